//! `thumbforge.quality.toml`: what was learned of models, counted by what a picture is for.
//!
//! It is written by `thumbforge models --learn` and committed, so that every machine chooses by the same numbers and a
//! change of them can be reviewed. Its text is sorted, one table a line's worth of facts, so that two of them merge.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;
use thiserror::Error;

use crate::limits;
use crate::model::ModelId;
use crate::recipe::Intent;

/// The form that is written; forms up to it are read.
const VERSION: u32 = 1;

const HEAD: &str = "\
# What was learned of models, by what a picture is for. Written by `thumbforge models --learn`; commit it.
# Each picture counts once: as a person decided, or as the checks found where nobody did.
# `route = \"auto\"` takes the cheapest model of which enough pictures are sure to pass.
";

/// What was learned.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Learned {
    rows: BTreeMap<(ModelId, Intent), Counts>,
}

/// What became of a model's pictures of one intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Passed the checks, and nobody decided on them.
    pub passed: u64,
    /// Failed the checks, and nobody decided on them.
    pub failed: u64,
    /// A person accepted them.
    pub accepted: u64,
    /// A person rejected them.
    pub rejected: u64,
    /// Half of them took no longer, in milliseconds; absent where none was measured.
    pub latency_p50_ms: Option<u64>,
}

impl Counts {
    /// Good ones and bad ones.
    pub fn both(&self) -> (u64, u64) {
        (self.passed.saturating_add(self.accepted), self.failed.saturating_add(self.rejected))
    }
}

/// A quality file that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LearnedError {
    /// Not the TOML of such a file.
    #[error("read what was learned of models: {0}")]
    Toml(String),
    /// Written by a later version of Thumbforge.
    #[error("read what was learned of models: it has version {0}, and this Thumbforge knows {VERSION}; update it")]
    Version(u32),
    /// One model and intent twice, as a merge may leave them.
    #[error("read what was learned of models: {model} has two rows for {intent}; keep one, or learn anew")]
    Twice {
        /// Which.
        model: ModelId,
        /// What for.
        intent: &'static str,
    },
    /// More than [`limits::CATALOGUE_BYTES_MAX`].
    #[error("read what was learned of models: the file has {0} bytes, and at most {max} are read", max = limits::CATALOGUE_BYTES_MAX)]
    TooLarge(usize),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[expect(dead_code, reason = "it was read before the rest, whose keys depend on it")]
    version: u32,
    #[serde(default, rename = "learned")]
    rows: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    model: ModelId,
    intent: Intent,
    #[serde(default)]
    passed: u64,
    #[serde(default)]
    failed: u64,
    #[serde(default)]
    accepted: u64,
    #[serde(default)]
    rejected: u64,
    #[serde(default)]
    latency_p50_ms: Option<u64>,
}

impl Learned {
    /// Nothing learned.
    pub const fn new() -> Self {
        Self { rows: BTreeMap::new() }
    }

    /// Reads the file.
    ///
    /// # Errors
    /// [`LearnedError`].
    pub fn parse(text: &str) -> Result<Self, LearnedError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        if text.len() > limits::CATALOGUE_BYTES_MAX {
            return Err(LearnedError::TooLarge(text.len()));
        }
        let wrong = |err: toml::de::Error| LearnedError::Toml(err.to_string());
        let Versioned { version } = toml::from_str(text).map_err(wrong)?;
        if version > VERSION {
            return Err(LearnedError::Version(version));
        }
        let file: File = toml::from_str(text).map_err(wrong)?;
        let mut learned = Self::default();
        for row in file.rows {
            let Row { model, intent, passed, failed, accepted, rejected, latency_p50_ms } = row;
            let counts = Counts { passed, failed, accepted, rejected, latency_p50_ms };
            if learned.rows.insert((model.clone(), intent), counts).is_some() {
                return Err(LearnedError::Twice { model, intent: intent.word() });
            }
        }
        Ok(learned)
    }

    /// The file's text: sorted by model and intent, the same for the same counts.
    pub fn to_text(&self) -> String {
        let mut text = format!("{HEAD}version = {VERSION}\n");
        for ((model, intent), counts) in &self.rows {
            // A JSON string is one of TOML too.
            let model = serde_json::Value::from(model.as_str());
            let Counts { passed, failed, accepted, rejected, latency_p50_ms } = counts;
            let _ = write!(text, "\n[[learned]]\nmodel = {model}\nintent = \"{}\"\n", intent.word());
            for (key, count) in [("passed", passed), ("failed", failed), ("accepted", accepted), ("rejected", rejected)]
            {
                if *count > 0 {
                    let _ = writeln!(text, "{key} = {count}");
                }
            }
            if let Some(ms) = latency_p50_ms {
                let _ = writeln!(text, "latency_p50_ms = {ms}");
            }
        }
        text
    }

    /// What became of a model's pictures of an intent.
    pub fn get(&self, model: &ModelId, intent: Intent) -> Option<&Counts> {
        self.rows.get(&(model.clone(), intent))
    }

    /// Puts counts in place of what was known.
    pub fn set(&mut self, model: ModelId, intent: Intent, counts: Counts) {
        self.rows.insert((model, intent), counts);
    }

    /// Everything, sorted by model and intent.
    pub fn rows(&self) -> impl Iterator<Item = (&ModelId, Intent, &Counts)> {
        self.rows.iter().map(|((model, intent), counts)| (model, *intent, counts))
    }

    /// Whether nothing was learned.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How long a model's picture takes, in milliseconds: of this intent, or of any where this one was not measured.
    pub fn latency_ms(&self, model: &ModelId, intent: Intent) -> Option<u64> {
        let own = self.get(model, intent).and_then(|counts| counts.latency_p50_ms);
        own.or_else(|| {
            let all = self.rows().filter(|(id, ..)| *id == model);
            all.filter_map(|(_, _, counts)| counts.latency_p50_ms).max()
        })
    }
}
