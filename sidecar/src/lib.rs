//! The sidecar of Thumbforge: the one process that accepts jobs, draws them, checks them and keeps them.
//!
//! ```text
//! intake ─► journal ─► dispatch ─► router ─► engine (or buyer) ─► verify ─► store ─► publish ─► output
//! ```
//! Modules stand in the order that a job passes through them.
//! tokio and SQLite live in this crate only; axum stays in `intake`, SQLite in `journal`.

#![forbid(unsafe_code)]

pub mod app;
pub mod bench;
pub mod build;
pub mod buyer;
pub mod cli;
pub mod clock;
pub mod command;
pub mod compose;
pub mod config;
pub mod dispatch;
pub mod engine;
pub mod executor;
pub mod export;
pub mod fonts;
pub mod intake;
pub mod journal;
pub mod maker;
pub mod market;
pub mod metrics;
pub mod output;
pub mod publish;
pub mod region;
pub mod router;
pub mod store;
pub mod verify;
pub mod weights;
