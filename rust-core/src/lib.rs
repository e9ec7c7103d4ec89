//! The vocabulary of Thumbforge, the same words in Rust, SQL, C, C# and the README.
//!
//! ```text
//! template ─► recipe ─► job ─► attempt ─► render ─► verdict
//! ```
//!
//! A *template* with variables and locale strings gives a *recipe*: everything that decides the pixels.
//! A *job* realises a recipe for an asset; each try of it on one route is an *attempt*;
//! an attempt gives a *render* (an image with provenance), and the checks give it a *verdict*.
//!
//! This crate does no IO, reads no clock, starts no thread and knows neither tokio nor SQLite.
//! Time, randomness and file contents come in as arguments.

#![forbid(unsafe_code)]

pub mod approvals;
pub mod colour;
pub mod criteria;
pub mod day;
pub mod error;
pub mod id;
pub mod image;
pub mod job;
pub mod limits;
mod line_file;
pub mod locale;
pub mod lock;
pub mod manifest;
pub mod model;
pub mod money;
pub mod plan;
pub mod recipe;
pub mod repair;
pub mod routing;
pub mod sampling;
pub mod terms;
pub mod text_layer;
pub mod verdict;
pub mod wire;
