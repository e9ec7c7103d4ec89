//! Why no GPU draws here, or why one stopped.

use thiserror::Error;

/// Why no GPU draws here, or why one stopped.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CudaError {
    /// The driver's library is not on this machine.
    #[error("load the CUDA driver: {reason}; install the NVIDIA driver, or draw on the processor")]
    NoDriver {
        /// What the loader says.
        reason: String,
    },
    /// The driver sees no card.
    #[error("find a GPU: the driver sees none")]
    NoDevice,
    /// A pool is full.
    #[error("reserve {needed_bytes} bytes of GPU memory: {free_bytes} are free")]
    PoolFull {
        /// What was asked.
        needed_bytes: u64,
        /// What is left.
        free_bytes: u64,
    },
}
