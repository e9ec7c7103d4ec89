//! Real processes, real files, real sockets: what a team does with Thumbforge, and what goes wrong there.

mod approve;
mod bad_input;
mod batch;
mod beside;
mod cards;
mod eights;
mod export;
mod finals;
mod fixture;
#[cfg(unix)]
mod hosted;
mod http;
mod interrupted;
mod keys;
mod local;
mod locales;
mod masked;
mod repair;
mod report;
mod route;
mod serve;
mod storage;
mod terms;
mod verify;
mod weights;

/// The binary under test.
const BINARY: &str = env!("CARGO_BIN_EXE_sidecar");
