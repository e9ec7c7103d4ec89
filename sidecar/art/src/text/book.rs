//! The fonts that layers may be set in: the packaged ones, and those that a manifest names.
//!
//! There is no collection and no search: a face is chosen by locale and script (see `locale`),
//! so no font of the machine can slip in.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use thumbforge_core::id::ContentHash;

use super::error::FontError;
use super::face::{self, Face};
use super::shape::Bench;

/// Benches kept for reuse: one per thread that sets at the same time, and no machine here draws on more.
const BENCHES_MAX: usize = 8;

/// Fonts to set in. Cloning shares everything.
#[derive(Clone)]
pub struct FontBook {
    added: Arc<BTreeMap<ContentHash, Arc<Face>>>,
    /// Shaping plans and outlines of earlier layers. They save time and never change pixels.
    benches: Arc<Mutex<Vec<Bench>>>,
}

impl FontBook {
    /// Version of the packaged fonts: part of a recipe's key, raised whenever a file in `fonts/` changes.
    pub const VERSION: u32 = 1;

    /// The packaged fonts alone. Reads nothing yet.
    pub fn packaged() -> Self {
        Self { added: Arc::default(), benches: Arc::default() }
    }

    /// This book and a font of the manifest, which styles then name by its content.
    ///
    /// # Errors
    /// [`FontError::Broken`] when the bytes are no usable font.
    pub fn with_font(&self, content: ContentHash, bytes: Arc<[u8]>) -> Result<Self, FontError> {
        let mut added = BTreeMap::clone(&self.added);
        added.insert(content, Arc::new(Face::read(bytes)?));
        Ok(Self { added: Arc::new(added), benches: Arc::clone(&self.benches) })
    }

    /// Bytes of packaged font data in the program.
    pub fn packaged_bytes() -> usize {
        face::files().map(|(_, bytes)| bytes.len()).sum()
    }

    /// Names of every font of this book.
    pub fn names(&self) -> Vec<String> {
        let packaged = face::files().map(|(name, _)| name.to_owned());
        packaged.chain(self.added.values().map(|face| face.name.clone())).collect()
    }

    pub(super) fn added(&self, content: &ContentHash) -> Option<&Face> {
        self.added.get(content).map(Arc::as_ref)
    }

    /// Lends a bench to `work`. A poisoned lock is no matter: benches hold caches only.
    pub(super) fn with_bench<T>(&self, work: impl FnOnce(&mut Bench) -> T) -> T {
        let lent = self.benches.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut bench = lent.unwrap_or_default();
        let outcome = work(&mut bench);
        let mut benches = self.benches.lock().unwrap_or_else(PoisonError::into_inner);
        if benches.len() < BENCHES_MAX {
            benches.push(bench);
        }
        outcome
    }
}

impl std::fmt::Debug for FontBook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FontBook").field("names", &self.names()).finish_non_exhaustive()
    }
}
