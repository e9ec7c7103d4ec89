//! What several suites share: seeded randomness, a rig around real processes, a scripted provider, checks by schema.

pub mod provider;
pub mod rig;
pub mod schema;
pub mod seed;
