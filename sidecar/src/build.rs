//! Building a project: a manifest or a prompt file goes in, checked pictures and a lock come out.
//!
//! ```text
//! Project (what is wanted) ─► Survey (what is there, what is to do) ─► run (jobs, files, lock) ─► Report
//! ```
//! A build is a client of the sidecar like any other: it submits jobs through [`crate::intake::Intake`] and writes
//! what they give. It alone knows the project's folder.

mod project;
mod report;
mod run;
mod survey;

pub use project::{
    LockFile, MODELS_FILE, Project, QUALITY_FILE, Source, approvals_path, decide, learned, own_rows, read_approvals,
};
pub use report::{Approved, Item, ItemState, Report, plain};
pub use run::{
    Progress, Run, Singles, announce, leave_profiles, make_writable, place, planned_items, run, settle, sha256,
};
pub use survey::{Survey, add_costs, mark_cached, survey};

use thumbforge_core::error::Failure;
use thumbforge_core::manifest::ManifestErrors;

/// Why a project cannot be built at all.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BuildError {
    /// Mistakes in the team's files, each with its place and its mend.
    #[error(transparent)]
    Mistakes(#[from] ManifestErrors),
    /// Anything else.
    #[error(transparent)]
    Failure(#[from] Failure),
}

impl BuildError {
    /// All of them in one.
    pub fn failure(&self) -> Failure {
        match self {
            Self::Failure(failure) => failure.clone(),
            Self::Mistakes(mistakes) => Failure::new(mistakes.code(), mistakes.to_string()),
        }
    }

    /// Each mistake as a failure of its own.
    pub fn failures(&self) -> Vec<Failure> {
        match self {
            Self::Failure(failure) => vec![failure.clone()],
            Self::Mistakes(mistakes) => {
                mistakes.errors.iter().map(|mistake| Failure::new(mistake.code, mistake.to_string())).collect()
            }
        }
    }
}
