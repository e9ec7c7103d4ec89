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

mod blaslt;
mod card;
pub mod cubins;
mod device;
pub mod driver;
mod error;
mod exec;
pub mod launch;
pub mod libraries;
mod model;
pub mod pool;
mod recordings;
mod staging;
pub mod support;

pub use card::{Library, Settings};
pub use device::{Cuda, Model, Reserved};
pub use error::CudaError;
