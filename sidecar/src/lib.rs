//! The sidecar of Thumbforge: the one process that accepts jobs, draws them, checks them and keeps them.
//!
//! ```text
//! intake ─► journal ─► dispatch ─► router ─► engine ─► verify ─► store ─► publish ─► output
//! ```
//! Modules stand in the order that a job passes through them.
//! tokio and SQLite live in this crate only; axum stays in `intake`, SQLite in `journal`.

#![forbid(unsafe_code)]

pub mod output;
