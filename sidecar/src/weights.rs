//! The weights that this machine draws with: where they lie, where they came from, and whether they are still the same.
//!
//! ```text
//! weights pull ─► plan (hub's listing) ─► licence, room ─► transfer (ranges, resumed) ─► hashes ─► store
//! weights add  ─► look, hash ──────────────────────────────────────────────────────────────────► store ─► engine
//! ```
//! Nothing here runs by itself: what is not on this machine is got by a person who asked for it, never by a job.
//! What a file means, `thumbforge-diffusion` knows; the store knows names, places, lengths and hashes.

use std::path::{Path, PathBuf};

use thumbforge_core::error::{ErrorCode, Failure};

pub mod offer;

pub mod names;
pub mod store;

pub mod adopt;
pub mod hash;
pub mod look;

pub mod hub;
mod part;
pub mod plan;
pub mod pull;
pub mod token;
mod transfer;

pub use offer::{Offers, Part};
pub use store::{Item, Set, Store};

/// The variable of the environment that names the store's folder.
pub const DIR_VARIABLE: &str = "THUMBFORGE_WEIGHTS";

/// Where the store is: what the environment says, what the settings say, or `weights` in the data directory.
pub fn dir(data_dir: &Path, settings: Option<&Path>, environment: &dyn Fn(&str) -> Option<String>) -> PathBuf {
    let named = environment(DIR_VARIABLE).filter(|value| !value.trim().is_empty()).map(PathBuf::from);
    let dir = named.or_else(|| settings.map(Path::to_owned)).unwrap_or_else(|| data_dir.join("weights"));
    // A link or a relative path must not move with the folder that a command is run in.
    std::path::absolute(&dir).unwrap_or(dir)
}

/// The address of a hub, as a flag, the environment or the settings say it.
///
/// # Errors
/// What is wrong with it.
pub fn endpoint(text: &str) -> Result<url::Url, Failure> {
    crate::market::account::address(text)
        .map_err(|why| Failure::new(ErrorCode::InvalidRequest, format!("failed to use the hub at {text:?}: {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_lies_where_somebody_said() {
        #[track_caller]
        fn check(variable: Option<&str>, settings: Option<&str>, expected: &str) {
            let found = dir(Path::new("/data"), settings.map(Path::new), &|_| variable.map(str::to_owned));
            assert_eq!(found, std::path::absolute(expected).unwrap());
        }
        check(None, None, "/data/weights");
        check(Some(" "), None, "/data/weights");
        check(None, Some("/models"), "/models");
        check(Some("/env"), Some("/models"), "/env");
        check(Some("here"), None, "here");
    }
}
