//! What leaves Thumbforge for a team's project: PNG files with provenance, `.meta` files, contact sheets;
//! and what is seen of the files that lie there.
//!
//! ```text
//! before:  fence ─► observe (what lies there?) ─► vcs (may it be written?)
//! after:   provenance ─► png ─► meta ─► write ─► vcs (new files are announced)
//! ```
//! Modules stand in the order that an output passes through them.
//! This module knows neither jobs in flight nor the journal nor the network, and never reads the clock or sleeps
//! of its own accord: both come in as arguments, so that its tests need neither.

pub mod fence;
pub mod observe;
pub mod stat_cache;

pub mod vcs;

pub mod png;
pub mod provenance;

pub mod c2pa;
pub mod origin;
pub mod xmp;

pub mod meta;
pub mod profiles;
pub mod write;

pub mod scale;
pub mod sheet;
pub mod show;
