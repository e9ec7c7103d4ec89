//! Terms of a job: what a team, a request or a flag says about money, providers and freedom of choice.
//!
//! Nothing here decides a pixel, so nothing here is in a key. They travel with the job, because the sidecar that
//! carries it out reads no project's files.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::criteria::Criteria;
use crate::limits;
use crate::model::{ModelId, ModelRow};
use crate::money::Micros;
use crate::repair::Repair;

/// The terms of one job. The default allows every provider of the user's accounts and has no budget.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Terms {
    /// Providers and accounts, by name, that may see the request; absent means any that the user has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub providers: Option<Vec<String>>,
    /// Licences of models and adapters that may be used.
    #[serde(skip_serializing_if = "Licences::is_empty")]
    pub licences: Licences,
    /// Models that may draw it where the recipe names none, best first; none means the built-in engine.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<ModelId>,
    /// Models to go on with when the one before them fails, best first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fallback: Vec<ModelId>,
    /// Whether a retired model is refused instead of replaced.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub pin: bool,
    /// Fields of the recipe that a route may drop, by their words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_lossy: Vec<String>,
    /// Whether what one vendor refused may be asked of another.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cross_vendor_refusals: bool,
    /// The longest that one picture is expected to take, in milliseconds; slower models are passed over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_latency_ms: Option<u64>,
    /// Budgets that the project and the command set, besides those of the user.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<Budget>,
    /// The build that the job is part of, for its budget and the ledger; empty for none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub batch: String,
    /// Limits of accounts that the project lowers, by the account's name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, AccountLimits>,
    /// Rows of the project's own catalogue, as far as this job's models have some.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<ModelRow>,
    /// Files of a model that is in no catalogue, drawn with as the model that the recipe names. What they hold decides
    /// pixels and so stands in the realised key; where they lie does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<LocalFiles>,
    /// What the finished picture is held to.
    #[serde(skip_serializing_if = "Criteria::is_default")]
    pub criteria: Criteria,
    /// What is done about a picture that the checks refuse; absent means nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repair: Option<Repair>,
    /// Most pictures of one call of a local model; absent means 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images_per_call: Option<u32>,
}

/// Files of a model on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalFiles {
    /// A file, or a folder in the layout of diffusers or of single files. Absolute.
    pub model: PathBuf,
    /// Folder of tokenizers, where the model has none beside it. Absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokenizers: Option<PathBuf>,
}

impl Terms {
    /// Whether nothing is said.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// What of a client may be worked with: nothing in it is longer than a manifest could make it.
    ///
    /// # Errors
    /// What is too much, as a fragment after "failed to".
    pub fn check(&self) -> Result<(), String> {
        let lists = [
            ("providers", self.providers.as_ref().map_or(0, Vec::len), limits::ACCOUNTS_MAX),
            ("allowed licences", self.licences.allow.as_ref().map_or(0, Vec::len), limits::OWN_MODELS_MAX),
            ("denied licences", self.licences.deny.len(), limits::OWN_MODELS_MAX),
            ("models", self.models.len(), limits::FALLBACKS_MAX),
            ("models to fall back to", self.fallback.len(), limits::FALLBACKS_MAX),
            ("fields to leave out", self.allow_lossy.len(), FIELDS_MAX),
            ("budgets", self.budgets.len(), limits::BUDGETS_MAX),
            ("accounts", self.limits.len(), limits::ACCOUNTS_MAX),
            ("model rows", self.rows.len(), limits::OWN_MODELS_MAX),
        ];
        if let Some((what, count, max)) = lists.into_iter().find(|(_, count, max)| count > max) {
            return Err(format!("take {count} {what} of a job: at most {max} are taken"));
        }
        if self.batch.len() > BATCH_BYTES_MAX {
            return Err(format!("take a build's name of {} bytes: at most {BATCH_BYTES_MAX} are", self.batch.len()));
        }
        if let Some(files) = &self.weights {
            for path in std::iter::once(&files.model).chain(&files.tokenizers) {
                if !path.is_absolute() || path.as_os_str().len() > limits::LOCAL_PATH_BYTES_MAX {
                    return Err(format!(
                        "take the weights {}: name them by an absolute path of at most {} bytes",
                        path.display(),
                        limits::LOCAL_PATH_BYTES_MAX
                    ));
                }
            }
        }
        if let Some(images) = self.images_per_call.filter(|images| !(1..=limits::IMAGES_PER_CALL_MAX).contains(images))
        {
            return Err(format!("draw {images} pictures in one call: 1 to {} are", limits::IMAGES_PER_CALL_MAX));
        }
        self.criteria.check()?;
        self.repair.iter().try_for_each(Repair::check)?;
        for (name, limits) in &self.limits {
            if [limits.images_in_flight, limits.images_per_minute].contains(&Some(0)) {
                return Err(format!("lower the limits of account {name:?} to nothing: name other providers instead"));
            }
        }
        self.rows.iter().try_for_each(|row| row.check().map_err(|err| err.to_string()))
    }
}

/// Longest name of a build in bytes: a day, a folder's name and a hash.
const BATCH_BYTES_MAX: usize = 256;
/// More fields than a recipe has.
const FIELDS_MAX: usize = 64;

/// What a project lowers of an account's limits; what is absent stays as the user's settings have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AccountLimits {
    /// Most pictures of this project that are being made at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images_in_flight: Option<u32>,
    /// Most pictures of this project that are begun in a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images_per_minute: Option<u32>,
}

/// Licences of models and adapters that may be used, by their words in the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Licences {
    /// These alone; absent means all that are not denied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<String>>,
    /// None of these, whatever is allowed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<String>,
}

impl Licences {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.allow.is_none() && self.deny.is_empty()
    }

    /// Whether `licence` may be used.
    pub fn allows(&self, licence: &str) -> bool {
        !self.deny.iter().any(|denied| denied == licence)
            && self.allow.as_ref().is_none_or(|allowed| allowed.iter().any(|word| word == licence))
    }
}

/// The most that may be spent on what `scope` covers, in each `period`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Budget {
    /// What it covers.
    pub scope: Scope,
    /// For how long.
    pub period: Period,
    /// The most.
    pub micros: Micros,
}

/// What a budget covers. The words are those of the journal's table `spend`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Everything that this machine buys.
    All,
    /// What one project buys, by the name that it gives itself.
    Project(String),
    /// One build.
    Batch(String),
    /// Drafts or finals of one project: `preview` or `production`.
    Tier(String),
    /// One provider.
    Provider(String),
    /// One account.
    Account(String),
}

/// How long a budget lasts before it begins anew. Days and months are those of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Period {
    /// For good.
    Ever,
    /// A day.
    Day,
    /// A month.
    Month,
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Project(name) => write!(f, "project:{name}"),
            Self::Batch(name) => write!(f, "batch:{name}"),
            Self::Tier(name) => write!(f, "tier:{name}"),
            Self::Provider(name) => write!(f, "provider:{name}"),
            Self::Account(name) => write!(f, "account:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denied_licence_is_denied_whatever_is_allowed() {
        let licences = |allow: Option<&[&str]>, deny: &[&str]| Licences {
            allow: allow.map(|words| words.iter().map(|word| (*word).to_owned()).collect()),
            deny: deny.iter().map(|word| (*word).to_owned()).collect(),
        };
        assert!(licences(None, &[]).allows("mit"));
        assert!(!licences(None, &["mit"]).allows("mit"));
        assert!(!licences(Some(&["mit"]), &["mit"]).allows("mit"));
        assert!(!licences(Some(&["apache-2.0"]), &[]).allows("mit"));
    }

    #[test]
    fn terms_beyond_all_measure_are_refused() {
        let check = |json: &str, expected: &str| {
            let said = serde_json::from_str::<Terms>(json).unwrap().check().err().unwrap_or_default();
            assert!(said.starts_with(expected) && said.is_empty() == expected.is_empty(), "{said}");
        };
        let many = |count: usize| vec!["\"m\""; count].join(",");
        check(&format!("{{\"fallback\":[{}]}}", many(16)), "");
        check(&format!("{{\"fallback\":[{}]}}", many(17)), "take 17 models to fall back to of a job: at most 16");
        check(&format!("{{\"batch\":{:?}}}", "b".repeat(257)), "take a build's name of 257 bytes");
        check(r#"{"limits":{"a":{"images_in_flight":1}}}"#, "");
        check(r#"{"limits":{"a":{"images_per_minute":0}}}"#, "lower the limits of account \"a\" to nothing");
        check(r#"{"images_per_call":64}"#, "");
        check(r#"{"images_per_call":0}"#, "draw 0 pictures in one call: 1 to 64");
        check(r#"{"images_per_call":65}"#, "draw 65 pictures");
        let absolute = if cfg!(windows) { "C:/m" } else { "/m" };
        check(&format!("{{\"weights\":{{\"model\":{absolute:?}}}}}"), "");
        check(r#"{"criteria":{"presence":0.9}}"#, "");
        check(r#"{"criteria":{"presence":1.5}}"#, "judge by presence = 1.5: it goes from 0 to 1");
        check(
            r#"{"criteria":{"required":["a","a","a","a","a","a","a","a","a","a","a","a","a","a","a","a","a"]}}"#,
            "look for",
        );
        check(r#"{"repair":{"attempts_max":16}}"#, "");
        check(r#"{"repair":{"attempts_max":17}}"#, "repair a picture that often: at most 16");
        check(r#"{"weights":{"model":"m.safetensors"}}"#, "take the weights m.safetensors: name them by an absolute");
        check(
            r#"{"rows":[{"id":"m","name":"M","family":"hosted"}]}"#,
            "read the model catalogue: m: name the `provider`",
        );
    }

    #[test]
    fn terms_that_say_nothing_take_no_room() {
        assert_eq!(serde_json::to_string(&Terms::default()).unwrap(), "{}");
        assert_eq!(serde_json::from_str::<Terms>("{}").unwrap(), Terms::default());
    }
}
