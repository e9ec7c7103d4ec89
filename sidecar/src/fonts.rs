//! Fonts for setting text: the packaged ones, and those that a recipe names and intake has put in the store.

use std::sync::Arc;

use parking_lot::Mutex;
use thumbforge_art::text::FontBook;
use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::id::ContentHash;
use thumbforge_core::recipe::Recipe;

use crate::store::Store;

/// Named fonts kept read: a project has a handful, and each read face costs its file's size in memory.
const NAMED_MAX: usize = 16;

/// The fonts of this process.
#[derive(Clone)]
pub struct Fonts {
    packaged: FontBook,
    named: Arc<Mutex<(FontBook, Vec<ContentHash>)>>,
}

impl Default for Fonts {
    fn default() -> Self {
        let packaged = FontBook::packaged();
        Self { named: Arc::new(Mutex::new((packaged.clone(), Vec::new()))), packaged }
    }
}

impl Fonts {
    /// A book that has every font which `recipe` names.
    ///
    /// # Errors
    /// A [`Failure`] that names the font file and what is wrong with it.
    pub fn with(&self, recipe: &Recipe, store: &Store) -> Result<FontBook, Failure> {
        let mut named = self.named.lock();
        for font in recipe.text.iter().filter_map(|layer| layer.style.font.as_ref()) {
            let Some(content) = font.content.filter(|content| !named.1.contains(content)) else { continue };
            let failed = |reason: String| {
                Failure::new(ErrorCode::InputFile, format!("failed to use the font {}: {reason}", font.path))
            };
            let bytes = store
                .get(content)
                .ok_or_else(|| failed("it is no longer in the store; run the same command again".to_owned()))?;
            if named.1.len() == NAMED_MAX {
                *named = (self.packaged.clone(), Vec::new());
            }
            let book = named.0.with_font(content, bytes.into()).map_err(|err| failed(err.to_string()))?;
            named.0 = book;
            named.1.push(content);
        }
        Ok(named.0.clone())
    }
}
