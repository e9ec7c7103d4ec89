//! The CUDA device: memory pools, kernels, and programs of `thumbforge-diffusion` run on NVIDIA cards.
//!
//! ```text
//! Program ─► exec: checks every view and shape ─► launches ─► stream or graph ─► driver (looked up at run time)
//!                                                    └─► cuBLASLt where it is installed
//! pools: how much a class of jobs may hold ─► slabs of the driver's memory
//! ```
//! It knows operations and memory, and not Stable Diffusion.

#![expect(unsafe_code, reason = "the driver's functions are C; every block argues for itself")]
#![warn(clippy::undocumented_unsafe_blocks)]

pub mod cubins;
pub mod driver;
mod error;
pub mod launch;
pub mod pool;

pub use error::CudaError;
