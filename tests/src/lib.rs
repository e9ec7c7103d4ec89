//! What several suites share: seeded randomness, a rig around real processes, a scripted provider and hub, checks by schema,
//! pictures with words for readers.

pub mod corpus;
pub mod hub;
pub mod provider;
pub mod rig;
pub mod schema;
pub mod seed;
