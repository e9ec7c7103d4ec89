//! Stable Diffusion 3.5 as maths. So far it holds only what its devices and errors are called; the model follows.
//!
//! It knows no jobs, no HTTP, no tokio and no CUDA: a device is a trait that other crates implement.

use thiserror::Error;

/// The class of device that gives the same bytes for the same plan; it stands in every realised key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DeviceClass {
    /// The reference implementation on any processor.
    Cpu,
    /// An NVIDIA card by its compute capability: 90 for Hopper.
    Cuda {
        /// Major times ten plus minor.
        capability: u32,
    },
}

impl std::fmt::Display for DeviceClass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda { capability } => write!(f, "cuda-sm{capability}"),
        }
    }
}

/// Why a model cannot be drawn with.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DiffusionError {
    /// Its plan needs more memory than the device has.
    #[error("plan a picture: it needs {needed_bytes} bytes and the device has {free_bytes}; draw it smaller")]
    OutOfMemory {
        /// What the plan reserves.
        needed_bytes: u64,
        /// What is free.
        free_bytes: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_written_as_in_keys() {
        assert_eq!(DeviceClass::Cpu.to_string(), "cpu");
        assert_eq!(DeviceClass::Cuda { capability: 90 }.to_string(), "cuda-sm90");
    }
}
