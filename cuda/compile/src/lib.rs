//! Compiles the kernels of `cuda/kernels` for every card that is served, and says what each of them takes.
//!
//! ```text
//! cuda/kernels/*  ─► sources: one hash ─► nvrtc, a card at a time ─► elf: registers, stack, shared memory, parameters
//!                                                    └─► cuda/cubins/sm_*.z        └─► cuda/cubins/kernels.json
//! ```
//! What comes out is committed, so that neither users nor builds need NVIDIA's toolkit. Tests hold the committed files
//! against the sources without a compiler; `--check` compiles again and compares bytes.

pub mod cards;
pub mod elf;
pub mod nvrtc;
pub mod sources;
pub mod table;

#[cfg(test)]
mod tests;
