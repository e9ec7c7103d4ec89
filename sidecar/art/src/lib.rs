//! Pictures drawn without a model: the built-in engine's scenes, and text layers set in true type.
//!
//! The same input gives the same bytes on any machine and thread count.
//! This crate knows no jobs, files, clocks, threads or network.

#![forbid(unsafe_code)]

pub mod check;
pub mod scene;
pub mod text;

#[cfg(test)]
mod portable;
