//! Why no GPU draws here, or why one stopped.

use thiserror::Error;
use thumbforge_diffusion::DiffusionError;

use crate::cubins::CubinError;
use crate::launch::Misfit;
use crate::pool::{Leak, PoolError};

/// Why no GPU draws here, or why one stopped.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum CudaError {
    /// The driver's library is not on this machine.
    #[error("load the CUDA driver: {reason}; install the NVIDIA driver, or draw on the processor")]
    NoDriver {
        /// What the loader says.
        reason: String,
    },
    /// The driver is older than what is used of it.
    #[error("use the CUDA driver: it is of CUDA {found} and {needed} is needed; update the NVIDIA driver")]
    OldDriver {
        /// As people write it: "11.8".
        found: String,
        /// Likewise, or the function that it lacks.
        needed: String,
    },
    /// The driver sees no card.
    #[error("find a GPU: the driver sees none")]
    NoDevice,
    /// There are fewer cards.
    #[error("find GPU {wanted}: the driver sees {count}, numbered from 0")]
    NoSuchDevice {
        /// Which.
        wanted: u32,
        /// How many there are.
        count: u32,
    },
    /// No kernels were compiled for the card.
    #[error(transparent)]
    Kernels(#[from] CubinError),
    /// A pool has no room.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// The driver has no more memory.
    #[error("{call}: the driver has no more memory for {bytes} bytes")]
    OutOfMemory {
        /// The driver's function.
        call: &'static str,
        /// What was asked; 0 where it is the driver's own.
        bytes: u64,
    },
    /// The card's context is gone with all that it held: only a new one computes again.
    #[error("{call}: {name} ({text}); what was on the GPU is lost")]
    Lost {
        /// The driver's function that told.
        call: &'static str,
        /// Of the error, as the driver calls it.
        name: String,
        /// What the driver says of it.
        text: String,
    },
    /// The driver refused.
    #[error("{call}: {name} ({text})")]
    Driver {
        /// The driver's function.
        call: &'static str,
        /// Of the error, as the driver calls it.
        name: String,
        /// What the driver says of it.
        text: String,
    },
    /// A file is not cuBLASLt, or none that runs here.
    #[error("open cuBLASLt at {}: {reason}", path.display())]
    NoLibrary {
        /// Which.
        path: std::path::PathBuf,
        /// What the loader says, or why its version does not serve.
        reason: String,
    },
    /// cuBLASLt failed.
    #[error("{call}: cuBLASLt says {status}")]
    Library {
        /// Its function.
        call: &'static str,
        /// The status, as it calls it.
        status: String,
    },
    /// A launch does not fit its shapes.
    #[error(transparent)]
    Launch(#[from] Misfit),
    /// Memory that somebody still holds.
    #[error(transparent)]
    Leak(#[from] Leak),
    /// Spans, views or models that are not what they are said to be.
    #[error("{0}")]
    Fault(String),
}

/// What the system's loader says, down to its own words.
pub(crate) fn whole(err: &libloading::Error) -> String {
    use std::error::Error;
    let mut said = err.to_string();
    let mut source = err.source();
    while let Some(err) = source {
        said = format!("{said}: {err}");
        source = err.source();
    }
    said
}

impl CudaError {
    /// Whether the library that was named is what fails, and the card would serve without it.
    pub fn is_of_library(&self) -> bool {
        matches!(self, Self::NoLibrary { .. } | Self::Library { .. })
    }

    /// Whether the context is gone, so that nothing on it can go on.
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Lost { .. })
    }

    /// What a device tells of it, by the name of the card. Of a shortage the bytes that were free when it showed.
    pub fn told(self, device: &str, free_bytes: u64) -> DiffusionError {
        match &self {
            Self::OutOfMemory { bytes, .. } => DiffusionError::OutOfMemory { needed_bytes: *bytes, free_bytes },
            Self::Pool(pool) => match pool.shortage() {
                Some((needed_bytes, left)) => DiffusionError::OutOfMemory { needed_bytes, free_bytes: left },
                None => DiffusionError::Device { device: device.to_owned(), reason: self.to_string() },
            },
            Self::Lost { .. } => DiffusionError::Lost { device: device.to_owned(), reason: self.to_string() },
            _ => DiffusionError::Device { device: device.to_owned(), reason: self.to_string() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_tell_shortages_and_losses_apart() {
        let check = |err: CudaError, expected: &dyn Fn(&DiffusionError) -> bool| {
            let told = err.clone().told("a card", 7);
            assert!(expected(&told), "{err}: {told:?}");
        };
        let words = || (String::from("CUDA_ERROR_LAUNCH_FAILED"), String::from("unspecified launch failure"));
        let (name, text) = words();
        check(
            CudaError::Lost { call: "cuStreamSynchronize", name, text },
            &|told| matches!(told, DiffusionError::Lost { reason, .. } if reason.contains("cuStreamSynchronize")),
        );
        let (name, text) = words();
        check(
            CudaError::Driver { call: "cuLaunchKernel", name, text },
            &|told| matches!(told, DiffusionError::Device { device, .. } if device == "a card"),
        );
        check(CudaError::OutOfMemory { call: "cuMemAlloc", bytes: 5 }, &|told| {
            *told == DiffusionError::OutOfMemory { needed_bytes: 5, free_bytes: 7 }
        });
        check(CudaError::Pool(PoolError::Card { needed_bytes: 5, left_bytes: 3 }), &|told| {
            *told == DiffusionError::OutOfMemory { needed_bytes: 5, free_bytes: 3 }
        });
        check(CudaError::Pool(PoolError::Running { needed_bytes: 5 }), &|told| {
            matches!(told, DiffusionError::Device { .. })
        });
    }
}
