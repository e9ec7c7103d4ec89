//! Where keys lie, and how they are fetched: the environment, a file, the system's keychain. They go nowhere else.

use std::path::PathBuf;

use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_hosted::Secret;

/// Where a key lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// In a variable of the environment.
    Env(String),
    /// In a file that nobody else may read.
    File(PathBuf),
    /// In the system's keychain.
    Keyring {
        /// What it is for.
        service: String,
        /// Whose it is.
        user: String,
    },
}

impl Source {
    /// Fetches the key of the account `account`.
    ///
    /// # Errors
    /// Where it was to come from, and what to do; never the key.
    pub fn fetch(&self, account: &str) -> Result<Secret, Failure> {
        let failed = |reason: String| {
            Failure::new(
                ErrorCode::ModelUnavailable,
                format!("failed to fetch the key of the account {account}: {reason}"),
            )
        };
        match self {
            Self::Env(name) => {
                std::env::var(name).map(Secret::new).map_err(|_| failed(format!("set the variable {name}")))
            }
            Self::File(_) | Self::Keyring { .. } => Err(failed("keep it in a variable for now".to_owned())),
        }
    }
}

/// Which key it is, for the ledger: 8 hexadecimal digits of a hash that cannot be turned back.
pub fn id(key: &Secret) -> String {
    let hash = blake3::derive_key("thumbforge 2026-11-21 id of a provider's key", key.expose().as_bytes());
    hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}
