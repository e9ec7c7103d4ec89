//! What several suites share: a seeded source of randomness, and a rig around real processes.

pub mod rig;
pub mod seed;
