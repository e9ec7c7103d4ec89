//! Why a model cannot be drawn with.

use std::path::PathBuf;

use thiserror::Error;

/// Why a model cannot be drawn with.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum DiffusionError {
    /// Its plan needs more memory than the device has.
    #[error("plan a picture: it needs {needed_bytes} bytes and the device has {free_bytes}; draw it smaller")]
    OutOfMemory {
        /// What the plan reserves.
        needed_bytes: u64,
        /// What is free.
        free_bytes: u64,
    },
    /// A file of weights, tokenizers or settings cannot be used.
    #[error("read {path}: {reason}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong with it, what was expected, and what to do.
        reason: String,
    },
    /// The model lacks something that the request needs.
    #[error("{0}")]
    Missing(String),
    /// The request asks for what this model cannot do.
    #[error("{0}")]
    Request(String),
    /// Somebody stopped it.
    #[error("draw: it was cancelled")]
    Cancelled,
    /// The device failed.
    #[error("compute on {device}: {reason}")]
    Device {
        /// Which.
        device: String,
        /// What it says.
        reason: String,
    },
    /// The device is gone with all that it held; on a new one everything is loaded again.
    #[error("compute on {device}: it was lost: {reason}")]
    Lost {
        /// Which.
        device: String,
        /// What it says.
        reason: String,
    },
}
