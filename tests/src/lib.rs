//! What several suites share: a seeded source of randomness, a rig around real processes, and a provider of pictures that obeys a script.

pub mod provider;
pub mod rig;
pub mod seed;
