//! A stand-in for NVIDIA's driver: it runs the kernels' own source on the processor. For tests.
//!
//! ```text
//! cuda/kernels/*.cu ─┐
//! cuda/emulator ─────┼─► the system's C++ compiler ─► target/cuda-standin/<hash>/libcuda.so.1, libcublasLt.so.12
//! standin/driver ────┘                                        │
//! Standin::load: opened by its path, before cudarc looks ◄────┘   ─► set, get: what tests turn and count
//! ```
//! It opens libraries and compiles them; what the driver does is C++, in `driver/`.

#![expect(unsafe_code, reason = "the compiled library's functions are C; every block argues for itself")]
#![warn(clippy::undocumented_unsafe_blocks)]

mod compile;
mod error;
mod library;
#[cfg(test)]
mod tests;

pub use compile::{Built, Mutation, build, build_kernels, self_test};
pub use error::StandinError;
pub use library::{Control, Figure, Standin};
