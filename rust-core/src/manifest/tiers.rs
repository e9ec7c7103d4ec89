//! The tier file of the case studies, JSON or the same in TOML, read as it is.

use serde::Deserialize;

use crate::error::ErrorCode;
use crate::limits;
use crate::manifest::body::{TierRow, Tiers};
use crate::manifest::error::{ManifestError, ManifestErrors};
use crate::manifest::source::{did_you_mean, excerpt, position};
use crate::model::Catalogue;
use crate::recipe::Tier;

/// What each tier is drawn with, in a file of its own.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TierFile {
    /// The rows.
    pub tiers: Tiers,
    /// Whether the words of finished pictures are read back and compared.
    pub verify_ocr: Option<bool>,
}

impl TierFile {
    /// Reads a tier file; JSON when it begins with a brace.
    ///
    /// # Errors
    /// Where it is not what it should be, with the line.
    pub fn parse(label: &str, bytes: &[u8]) -> Result<Self, ManifestErrors> {
        let text = super::text_of(label, bytes, limits::TIER_FILE_BYTES_MAX)?;
        let at = |line_column: Option<(usize, usize)>, message: &str| {
            let (message, known) = match message.split_once(", expected") {
                Some((message, known)) => (message, known),
                None => (message, ""),
            };
            let word = message.split('`').nth(1).unwrap_or_default();
            let known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
            ManifestErrors::from(ManifestError {
                code: ErrorCode::InvalidManifest,
                file: label.to_owned(),
                line: line_column.map(|place| place.0),
                column: line_column.map(|place| place.1),
                key: word.to_owned(),
                message: excerpt_line(message),
                fix: match known.is_empty() {
                    true => {
                        "compare it with {\"tiers\":{\"preview\":{\"model\":\"sd3.5_turbo\",\"max_latency_ms\":800}}}"
                            .to_owned()
                    }
                    false => did_you_mean(word, known.iter().copied()),
                },
            })
        };
        if text.trim_start().starts_with('{') {
            serde_json::from_str(text).map_err(|err| {
                let message = err.to_string();
                let message = message.rsplit_once(" at line").map_or(message.as_str(), |(message, _)| message);
                at(Some((err.line(), err.column())), message)
            })
        } else {
            toml::from_str(text).map_err(|err| at(err.span().map(|span| position(text, span.start)), err.message()))
        }
    }

    /// Checks that every model is one that the catalogue has.
    ///
    /// # Errors
    /// The tier and the nearest spelling.
    pub fn check(&self, label: &str, catalogue: &Catalogue) -> Result<(), ManifestErrors> {
        for tier in [Tier::Preview, Tier::Production] {
            let Some(model) = self.tiers.row(tier).and_then(|row| row.model.as_deref()) else { continue };
            if let Err(unknown) = catalogue.resolve(model) {
                return Err(ManifestErrors::from(ManifestError {
                    code: ErrorCode::UnknownModel,
                    file: label.to_owned(),
                    line: None,
                    column: None,
                    key: format!("tiers.{}.model", tier.word()),
                    message: format!("no model {:?}", excerpt(model)),
                    fix: unknown.hint().to_owned(),
                }));
            }
        }
        Ok(())
    }
}

fn excerpt_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().to_owned()
}

/// `over`'s rows where it names anything, on top of `under`'s.
pub(super) fn overlaid(under: Option<&TierRow>, over: Option<&TierRow>) -> TierRow {
    let none = TierRow::default();
    let (under, over) = (under.unwrap_or(&none), over.unwrap_or(&none));
    TierRow {
        model: over.model.clone().or_else(|| under.model.clone()),
        max_latency_ms: over.max_latency_ms.or(under.max_latency_ms),
        steps: over.steps.or(under.steps),
        guidance: over.guidance.or(under.guidance),
        sampler: over.sampler.clone().or_else(|| under.sampler.clone()),
    }
}
