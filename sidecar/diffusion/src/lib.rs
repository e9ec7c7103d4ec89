//! Stable Diffusion 3.5 as maths, written once for every device.
//!
//! It knows no jobs, no HTTP, no tokio and no CUDA: a device is a trait that other crates implement.

pub mod config;
pub mod conformance;
#[expect(unsafe_code, reason = "vectors and threads that share a buffer; every block argues for itself")]
pub mod cpu;
pub mod device;
pub mod dtype;
pub mod eights;
pub mod error;
pub mod graph;
pub mod mmdit;
pub mod noise;
pub mod param;
pub mod pipeline;
pub mod plain;
pub mod plan;
pub mod preview;
pub mod rows;
pub mod sampler;
pub mod text;
pub mod tiny;
pub mod vae;
pub mod views;
pub mod weights;

pub use device::DeviceClass;
pub use error::DiffusionError;
