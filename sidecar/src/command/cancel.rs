//! `cancel`: one image is taken back from a build that runs, and the others go on.
//!
//! A whole build is taken back by its own request. Of single images the client knows asset and locale alone, so the builds
//! of this process are listed here while they run.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use thumbforge_core::error::{ErrorCode, Failure};

use crate::build::Singles;

static RUNNING: Mutex<Vec<(PathBuf, Arc<Singles>)>> = Mutex::new(Vec::new());

/// A build that is listed until this is dropped.
pub(super) struct Listed(Arc<Singles>);

/// Lists a build of the manifest in `folder`.
pub(super) fn list(folder: &Path, singles: Arc<Singles>) -> Listed {
    RUNNING.lock().push((folder.to_owned(), singles.clone()));
    Listed(singles)
}

impl Drop for Listed {
    fn drop(&mut self) {
        RUNNING.lock().retain(|(_, singles)| !Arc::ptr_eq(singles, &self.0));
    }
}

/// Takes an image back from every build of the manifest that has not ended it yet; says from how many.
///
/// # Errors
/// When there is no such folder.
pub(super) fn take_back(manifest: &Path, asset: &str, locale: &str) -> Result<usize, Failure> {
    let folder = if manifest.is_dir() { Some(manifest) } else { manifest.parent() };
    let folder = folder.unwrap_or(manifest).canonicalize().map_err(|err| {
        Failure::new(ErrorCode::NotFound, format!("failed to find the manifest {}: {err}", manifest.display()))
    })?;
    let running: Vec<Arc<Singles>> =
        RUNNING.lock().iter().filter(|(of, _)| *of == folder).map(|(_, singles)| singles.clone()).collect();
    Ok(running.iter().filter(|singles| singles.take_back(asset, locale)).count())
}
