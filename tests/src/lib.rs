//! What several suites share: seeded randomness, a rig around real processes, a scripted provider and hub, checks by schema,
//! pictures with words for readers.

use std::io::Write as _;

pub mod corpus;
pub mod hub;
pub mod provider;
pub mod rig;
pub mod schema;
pub mod seed;

/// Says aloud that something was not tested, and why. A full run promises that all of it was, and fails.
///
/// # Panics
/// Under `THUMBFORGE_FULL`.
#[track_caller]
pub fn not_run(why: &str) {
    assert!(std::env::var_os("THUMBFORGE_FULL").is_none(), "not run, and a full run leaves nothing out: {why}");
    // Not `eprintln!`: the test harness would swallow it.
    let _ = std::io::stderr().write_all(format!("\nNOT RUN: {why}\n").as_bytes());
}
