//! Stable Diffusion 3.5 as maths, written once for every device.
//!
//! It knows no jobs, no HTTP, no tokio and no CUDA: a device is a trait that other crates implement.

pub mod config;
pub mod dtype;
pub mod error;
pub mod param;
pub mod tiny;

pub use error::DiffusionError;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_written_as_in_keys() {
        assert_eq!(DeviceClass::Cpu.to_string(), "cpu");
        assert_eq!(DeviceClass::Cuda { capability: 90 }.to_string(), "cuda-sm90");
    }
}
