//! Criteria: what a finished picture is held to. They judge; they decide no pixel, so they stand in no key.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::limits;
use crate::verdict::Severity;

/// What a picture is held to. Absent figures are the checks' own, which stand beside each check with their reasons.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Criteria {
    /// Whether words set in true type are read back as well; words that a model drew always are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read: Option<bool>,
    /// Words that must be there besides those of the text layers, in the locale of the picture.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub required: Vec<String>,
    /// How bad words are that are wrong, missing, or could not be verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<Level>,
    /// Least presence of expected words, 0 to 1: the best that any pass of the reader makes of them. 1 is every letter.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub presence: Option<f64>,
    /// Least legibility of expected words, 0 to 1: what a viewer sees without help.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub legibility: Option<f64>,
    /// How bad words are that nobody asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unexpected: Option<Level>,
    /// How bad weak contrast is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contrast: Option<Level>,
    /// Least contrast of all text, as WCAG counts it, in place of 3 for large and 4.5 for small letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1.0, max = 21.0))]
    pub contrast_min: Option<f64>,
    /// How bad it is when words leave the safe area.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub safe_area: Option<Level>,
    /// Least height of letters, as a fraction of the picture's height.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub text_height: Option<f64>,
    /// How bad it is when the brand's colours are missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub brand: Option<Level>,
    /// Least share of the picture's pixels that show each brand colour, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub brand_share: Option<f64>,
    /// How far a pixel may be from a brand colour to count, by CIEDE2000.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 100.0))]
    pub brand_delta_e: Option<f64>,
}

/// How bad a failed check is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// It is not looked at.
    Ignore,
    /// A person should look.
    Warning,
    /// The picture must not be used.
    Error,
}

impl Level {
    /// As findings say it; `None` where nobody looks.
    pub const fn severity(self) -> Option<Severity> {
        match self {
            Self::Ignore => None,
            Self::Warning => Some(Severity::Warning),
            Self::Error => Some(Severity::Error),
        }
    }
}

impl Criteria {
    /// Whether nothing is said.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// What of a client may be worked with.
    ///
    /// # Errors
    /// What is too much or no such figure, as a fragment after "failed to".
    pub fn check(&self) -> Result<(), String> {
        if self.required.len() > limits::LAYERS_MAX
            || self.required.iter().any(|words| words.len() > limits::LAYER_TEXT_BYTES_MAX)
        {
            return Err(format!(
                "look for the required words: at most {} of at most {} bytes each are looked for",
                limits::LAYERS_MAX,
                limits::LAYER_TEXT_BYTES_MAX
            ));
        }
        let figures = [
            ("presence", self.presence, 0.0, 1.0),
            ("legibility", self.legibility, 0.0, 1.0),
            ("contrast_min", self.contrast_min, 1.0, 21.0),
            ("text_height", self.text_height, 0.0, 1.0),
            ("brand_share", self.brand_share, 0.0, 1.0),
            ("brand_delta_e", self.brand_delta_e, 0.0, 100.0),
        ];
        for (name, figure, low, high) in figures {
            if let Some(figure) = figure.filter(|figure| !(low..=high).contains(figure)) {
                return Err(format!("judge by {name} = {figure}: it goes from {low} to {high}"));
            }
        }
        Ok(())
    }
}
