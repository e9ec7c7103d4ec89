//! Repair: what may be done about a picture that its checks refuse, and when to stop.
//!
//! ```text
//! picture ─► verdict ─► Trouble ─► next ─┬─► Step ─► effective recipe ─► picture …
//!                                        └─► give up
//! ```
//! Pure: findings, money and what the routes can do come in, the next step comes out. Steps are journalled; the recipe that
//! they make is followed from them again whenever it is needed, so a job goes on after a crash as it would have.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::limits;
use crate::money::Micros;

mod decide;
mod step;

pub use decide::{Decision, Drawn, Offer, Trouble, next};
pub use step::{
    Enlarger, Guided, Mended, REPAIR_SETTING, Repaired, Step, art_of, effective, may_composite, said, seed, words,
};

#[cfg(test)]
mod tests;

/// What may be done about a picture that its checks refuse, and when to stop.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Repair {
    /// Means that may be used, in the order in which they are tried; each as often as it stands here. None forbids repair.
    pub means: Vec<Means>,
    /// Most pictures drawn for one job, the first one included.
    pub attempts_max: u32,
    /// Longest that drawing them may take together, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_max_ms: Option<u64>,
    /// Most that they may cost together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_max: Option<Micros>,
}

/// A way to mend a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Means {
    /// The same again with another seed.
    Reseed,
    /// The same again with more or less guidance.
    Guidance,
    /// Only the region that failed is drawn anew.
    Inpaint,
    /// The next better model.
    Escalate,
    /// Art without words, and the words set over it in true type.
    Composite,
}

impl Means {
    /// The word in manifests and reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Reseed => "reseed",
            Self::Guidance => "guidance",
            Self::Inpaint => "inpaint",
            Self::Escalate => "escalate",
            Self::Composite => "composite",
        }
    }
}

impl Default for Repair {
    /// From what costs least to what is sure.
    fn default() -> Self {
        use Means::{Composite, Escalate, Guidance, Inpaint, Reseed};
        Self {
            means: vec![Inpaint, Reseed, Guidance, Escalate, Composite],
            attempts_max: 6,
            time_max_ms: None,
            cost_max: None,
        }
    }
}

impl Repair {
    /// No repair at all.
    pub fn forbidden() -> Self {
        Self { means: Vec::new(), ..Self::default() }
    }

    /// Whether anything may be done at all.
    pub fn is_allowed(&self) -> bool {
        !self.means.is_empty() && self.attempts_max > 1
    }

    /// What of a client may be worked with.
    ///
    /// # Errors
    /// What is too much, as a fragment after "failed to".
    pub fn check(&self) -> Result<(), String> {
        if self.means.len() > limits::REPAIRS_MAX || self.attempts_max as usize > limits::REPAIRS_MAX {
            return Err(format!("repair a picture that often: at most {} attempts are made", limits::REPAIRS_MAX));
        }
        Ok(())
    }
}
