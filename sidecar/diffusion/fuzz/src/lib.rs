//! The readers of weights alone, as they are in the crate, built for random bytes.

/// The crate's own files.
#[allow(dead_code, reason = "what reads no bytes is used by the rest of the crate, which is not here")]
#[path = "../../src"]
mod source {
    pub mod config;
    pub mod dtype;
    pub mod error;
    pub mod param;
    pub mod rows;
    pub mod weights;
}

pub use source::{config, dtype, error, param, rows, weights};
