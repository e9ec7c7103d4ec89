//! What the checks found in a render.

use serde::{Deserialize, Serialize};

use crate::image::PixelBox;

/// Everything the checks found. A render passes when no finding is an error.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Verdict {
    /// False as soon as one finding is an [`Severity::Error`].
    pub passed: bool,
    /// In the order the checks ran.
    pub findings: Vec<Finding>,
    /// What read the words, with versions and language data; empty where nothing was read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub readers: Vec<String>,
}

impl Verdict {
    /// Folds findings into a verdict.
    pub fn of(findings: Vec<Finding>) -> Self {
        let passed = findings.iter().all(|finding| finding.severity != Severity::Error);
        Self { passed, findings, readers: Vec::new() }
    }
}

/// One thing a check found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// What kind of thing.
    pub code: FindingCode,
    /// How bad it is.
    pub severity: Severity,
    /// A sentence for people: what, where, and what to do.
    pub message: String,
    /// Where, in pixels from the top left; absent when it concerns the whole image.
    #[serde(rename = "box")]
    pub place: Option<PixelBox>,
    /// The words that were asked for, where words are concerned.
    pub expected: Option<String>,
    /// The words that were read, where a reader ran.
    pub read: Option<String>,
    /// The measured figure (a contrast ratio, a share of pixels), in the unit the message names.
    pub score: Option<f64>,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// A person should look.
    Warning,
    /// The render must not be used.
    Error,
}

/// Kinds of findings; append only, people filter by these words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingCode {
    /// Nothing is drawn, or nearly nothing.
    Blank,
    /// The picture is not of the size that was asked for.
    WrongSize,
    /// Ink of a text layer leaves its box.
    TextOutsideBox,
    /// Ink of a text layer leaves the safe area.
    TextOutsideSafeArea,
    /// Two text layers lie on each other.
    TextOverlap,
    /// Letters are too close in lightness to what is behind them.
    LowContrast,
    /// Letters are too small to read.
    TextTooSmall,
    /// Words were asked for and no reader could check them.
    TextUnverified,
    /// Words that were asked for are not there, or not as they were asked.
    TextMismatch,
    /// Words are there, and hard to read.
    TextIllegible,
    /// Words are there that nobody asked for.
    TextUnexpected,
    /// A brand colour is missing, or nearly.
    BrandColour,
    /// The end of the prompt was left out: a text encoder reads no more.
    PromptTruncated,
    /// The model drew a larger picture, and its middle was cut out.
    Cropped,
}

impl FindingCode {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Blank,
        Self::WrongSize,
        Self::TextOutsideBox,
        Self::TextOutsideSafeArea,
        Self::TextOverlap,
        Self::LowContrast,
        Self::TextTooSmall,
        Self::TextUnverified,
        Self::TextMismatch,
        Self::TextIllegible,
        Self::TextUnexpected,
        Self::BrandColour,
        Self::PromptTruncated,
        Self::Cropped,
    ];

    /// The word in reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Blank => "blank",
            Self::WrongSize => "wrong_size",
            Self::TextOutsideBox => "text_outside_box",
            Self::TextOutsideSafeArea => "text_outside_safe_area",
            Self::TextOverlap => "text_overlap",
            Self::LowContrast => "low_contrast",
            Self::TextTooSmall => "text_too_small",
            Self::TextUnverified => "text_unverified",
            Self::TextMismatch => "text_mismatch",
            Self::TextIllegible => "text_illegible",
            Self::TextUnexpected => "text_unexpected",
            Self::BrandColour => "brand_colour",
            Self::PromptTruncated => "prompt_truncated",
            Self::Cropped => "cropped",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_the_words_that_reports_have() {
        for code in FindingCode::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.word());
        }
    }
}
