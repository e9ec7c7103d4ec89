//! What may be done about refused pictures, as a manifest says it: `[repair]`, and the same of a template or an asset.

use schemars::JsonSchema;
use serde::Deserialize;

use super::error::Gathered;
use super::source::Source;
use super::spending::Dollars;
use crate::error::ErrorCode;
use crate::limits;
use crate::repair::{Means, Repair};

/// What is done about a picture that its checks refuse. Where nothing is said, pictures with words that a model draws are
/// mended, and others are not.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Mending {
    /// Whether refused pictures are mended; false forbids it.
    pub allow: Option<bool>,
    /// Ways to mend them, in the order in which they are tried; each as often as it stands here.
    pub means: Option<Vec<Means>>,
    /// Most pictures that are drawn for one image, the first one included.
    #[schemars(range(min = 1, max = 16))]
    pub attempts: Option<u32>,
    /// Longest that drawing them may take together, in seconds.
    #[schemars(range(min = 0.0))]
    pub seconds: Option<f64>,
    /// Most that they may cost together, in US dollars.
    pub budget: Option<Dollars>,
}

impl Mending {
    /// What `over` says, and of the rest what `self` says.
    #[must_use]
    pub fn overlaid(&self, over: &Self) -> Self {
        Self {
            allow: over.allow.or(self.allow),
            means: over.means.as_ref().or(self.means.as_ref()).cloned(),
            attempts: over.attempts.or(self.attempts),
            seconds: over.seconds.or(self.seconds),
            budget: over.budget.as_ref().or(self.budget.as_ref()).cloned(),
        }
    }

    /// What holds for a picture; `draws_words` says whether a model draws any of its words.
    pub fn repair(&self, draws_words: bool) -> Option<Repair> {
        let allowed = self.allow.unwrap_or(draws_words || *self != Self::default());
        let usual = Repair::default();
        allowed.then(|| Repair {
            means: self.means.clone().unwrap_or(usual.means),
            attempts_max: self.attempts.unwrap_or(usual.attempts_max),
            // More milliseconds than anybody waits are as good as the most that there are.
            time_max_ms: self.seconds.map(|seconds| (seconds * 1e3) as u64),
            // What is no amount was an error when the manifest was read.
            cost_max: self.budget.as_ref().and_then(|amount| amount.micros().ok()),
        })
    }

    /// What the schema takes and no picture can be mended by.
    pub(super) fn check(&self, source: &Source, path: &[&str], gathered: &mut Gathered) {
        let mut wrong = |key: &str, message: String, fix: &str| {
            let path: Vec<&str> = path.iter().copied().chain([key]).collect();
            gathered.push(source.error(ErrorCode::InvalidManifest, &path, message, fix));
        };
        if let Some(means) = &self.means {
            if means.is_empty() {
                wrong("means", "no means at all".to_owned(), "name some, or write allow = false");
            } else if means.len() >= limits::REPAIRS_MAX {
                wrong("means", format!("{} means", means.len()), "name at most 15: each costs a picture");
            }
        }
        let most = u32::try_from(limits::REPAIRS_MAX).unwrap_or(u32::MAX);
        if let Some(attempts) = self.attempts.filter(|attempts| !(1..=most).contains(attempts)) {
            wrong("attempts", format!("{attempts} attempts"), "write 1 to 16; 1 mends nothing");
        }
        if let Some(seconds) = self.seconds.filter(|seconds| !seconds.is_finite() || *seconds < 0.0) {
            wrong("seconds", format!("{seconds} is no time"), "write seconds, as in 90");
        }
        if let Some(Err(err)) = self.budget.as_ref().map(Dollars::micros) {
            let message = err.to_string();
            let (message, fix) = message.split_once(": ").unwrap_or((&message, ""));
            wrong("budget", message.replace("read the amount", "no amount:"), fix);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Micros;

    #[test]
    fn what_is_said_decides_and_else_who_draws_the_words() {
        let read = |toml: &str| toml::from_str::<Mending>(toml).unwrap();
        let check = |toml: &str, drawn: bool, expected: Option<Repair>| {
            assert_eq!(read(toml).repair(drawn), expected, "{toml} {drawn}");
        };
        let usual = Repair::default;
        check("", false, None);
        check("", true, Some(usual()));
        check("allow = false", true, None);
        check("allow = false\nattempts = 3", true, None);
        check("allow = true", false, Some(usual()));
        check("attempts = 3", false, Some(Repair { attempts_max: 3, ..usual() }));
        check("means = ['reseed']", true, Some(Repair { means: vec![Means::Reseed], ..usual() }));
        let bounded = Repair { time_max_ms: Some(1500), cost_max: Some(Micros(250_000)), ..usual() };
        check("seconds = 1.5\nbudget = '0.25'", true, Some(bounded));
        let both = read("attempts = 3\nseconds = 9").overlaid(&read("attempts = 4"));
        assert_eq!(both, read("attempts = 4\nseconds = 9"));
    }
}
