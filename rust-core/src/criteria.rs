//! Criteria: what a finished picture is held to. They judge; they decide no pixel, so they stand in no key.
//!
//! What nobody says is said once, in [`usual`], with its reason. What depends on who drew the words is a function here:
//! words set in true type are right by construction, and words that a model drew are right when they were read.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::job::Gate;
use crate::limits;
use crate::locale::is_locale;
use crate::verdict::Severity;

/// What the checks go by where nothing is said. Bounds of single checks that nobody can change stand beside those.
pub mod usual {
    use super::Level;

    /// Every letter: one wrong letter in a price or a name is what players make screenshots of.
    pub const PRESENCE: f64 = 1.0;
    /// Half of the letters by the plain pass. It misses more than people do (outlined letters over busy art above all), so
    /// a picture below it is one that people squint at too.
    pub const LEGIBILITY: f64 = 0.5;
    /// Words that a model drew are promised to a player.
    pub const TEXT: Level = Level::Error;
    /// A reader's trouble is a hint and no proof that people cannot read it.
    pub const ILLEGIBLE: Level = Level::Warning;
    /// Art may hold a sign or a label that somebody wanted.
    pub const UNEXPECTED: Level = Level::Warning;
    /// Beside words that a model drew, more words are a typing error or a second try.
    pub const UNEXPECTED_BESIDE_DRAWN: Level = Level::Error;
    /// WCAG's figures were agreed on for people with weak eyes; a title below them is lost on a phone in the sun.
    pub const CONTRAST: Level = Level::Error;
    /// Shops and players cover the rim.
    pub const SAFE_AREA: Level = Level::Error;
    /// What a brand's colours cover is taste, as long as nobody names a share.
    pub const BRAND: Level = Level::Warning;
    /// Half a percent: a badge of 36 pixels on a thumbnail of 512, which is about the smallest that is seen as a colour.
    pub const BRAND_SHARE: f64 = 0.005;
    /// CIEDE2000 of 5: side by side the difference shows, apart from each other it is the same colour.
    pub const BRAND_DELTA_E: f64 = 5.0;
}

/// What a picture is held to. What nobody says is as usual.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Criteria {
    /// Whether words set in true type are read back as well; words that a model drew always are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read: Option<bool>,
    /// Words that must be there besides those of the text layers, the same in every locale: a brand's name on a sign.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub required: Vec<String>,
    /// BCP 47 tag by which the required words are read; "en" where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub required_locale: Option<String>,
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
    /// How bad words are that are there and hard to read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub illegible: Option<Level>,
    /// How bad words are that nobody asked for. Where it is said, every picture is read for them.
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
    /// Least height of small letters (in Chinese, Japanese and Korean of characters) as a fraction of the picture's height.
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

/// `[criteria]` of a manifest: what holds for every picture, and rows for a tier, or for a tier and an intent.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CriteriaTable {
    /// For every picture.
    #[serde(flatten)]
    pub all: Criteria,
    /// By "preview", "production" or "production.typography" (tier and intent, in quotes); the more specific row wins, key
    /// by key.
    #[serde(flatten)]
    pub rows: BTreeMap<String, Criteria>,
}

impl Criteria {
    /// Whether nothing is said.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// These criteria with what `over` says in place of what they say.
    #[must_use]
    pub fn overlaid(&self, over: &Self) -> Self {
        Self {
            read: over.read.or(self.read),
            required: if over.required.is_empty() { &self.required } else { &over.required }.clone(),
            required_locale: over.required_locale.as_ref().or(self.required_locale.as_ref()).cloned(),
            text: over.text.or(self.text),
            presence: over.presence.or(self.presence),
            legibility: over.legibility.or(self.legibility),
            illegible: over.illegible.or(self.illegible),
            unexpected: over.unexpected.or(self.unexpected),
            contrast: over.contrast.or(self.contrast),
            contrast_min: over.contrast_min.or(self.contrast_min),
            safe_area: over.safe_area.or(self.safe_area),
            text_height: over.text_height.or(self.text_height),
            brand: over.brand.or(self.brand),
            brand_share: over.brand_share.or(self.brand_share),
            brand_delta_e: over.brand_delta_e.or(self.brand_delta_e),
        }
    }

    /// Least presence of expected words.
    pub fn presence_min(&self) -> f64 {
        self.presence.unwrap_or(usual::PRESENCE)
    }

    /// Least legibility of expected words.
    pub fn legibility_min(&self) -> f64 {
        self.legibility.unwrap_or(usual::LEGIBILITY)
    }

    /// How bad it is when words that a model drew are not as they were asked for.
    pub fn text_level(&self) -> Level {
        self.text.unwrap_or(usual::TEXT)
    }

    /// How bad it is when nobody could read words that a model drew. Where findings are only told, nobody is stopped by
    /// what one machine lacks.
    pub fn unverified_level(&self, gate: Gate) -> Level {
        self.text.unwrap_or(match gate {
            Gate::Enforce => usual::TEXT,
            Gate::Report => Level::Warning,
        })
    }

    /// How bad it is when words are hard to read, or when nobody could tell of words set in true type.
    pub fn illegible_level(&self) -> Level {
        self.illegible.unwrap_or(usual::ILLEGIBLE)
    }

    /// How bad words are that nobody asked for; `drawn` says whether a model drew words that were asked for beside them.
    pub fn unexpected_level(&self, drawn: bool) -> Level {
        self.unexpected.unwrap_or(if drawn { usual::UNEXPECTED_BESIDE_DRAWN } else { usual::UNEXPECTED })
    }

    /// How bad weak contrast is.
    pub fn contrast_level(&self) -> Level {
        self.contrast.unwrap_or(usual::CONTRAST)
    }

    /// How bad words outside the safe area are.
    pub fn safe_area_level(&self) -> Level {
        self.safe_area.unwrap_or(usual::SAFE_AREA)
    }

    /// How bad a missing brand colour is.
    pub fn brand_level(&self) -> Level {
        self.brand.unwrap_or(usual::BRAND)
    }

    /// Least share of pixels that show each brand colour.
    pub fn brand_share_min(&self) -> f64 {
        self.brand_share.unwrap_or(usual::BRAND_SHARE)
    }

    /// How far a pixel may be from a brand colour to count.
    pub fn brand_delta_e_max(&self) -> f64 {
        self.brand_delta_e.unwrap_or(usual::BRAND_DELTA_E)
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
        if let Some(locale) = self.required_locale.as_ref().filter(|locale| !is_locale(locale)) {
            let locale: String = locale.chars().take(40).collect();
            return Err(format!("read the required words in {locale:?}: write the locale as en or zh-Hans"));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_specific_criteria_win_key_by_key() {
        let all = Criteria { presence: Some(0.9), contrast: Some(Level::Warning), ..Criteria::default() };
        let row = Criteria { presence: Some(1.0), required: vec!["ACME".to_owned()], ..Criteria::default() };
        let both = all.overlaid(&row);
        assert_eq!((both.presence, both.contrast), (Some(1.0), Some(Level::Warning)));
        assert_eq!(both.overlaid(&Criteria::default()), both);
        assert_eq!(Criteria::default().overlaid(&both), both);
    }

    /// Every key of `over` wins over every key of what it lies on; a key that were forgotten would not.
    #[test]
    fn no_key_is_forgotten() {
        let full = |at: f64, level: Level, words: &str| Criteria {
            read: Some(level == Level::Error),
            required: vec![words.to_owned()],
            required_locale: Some(words.to_owned()),
            text: Some(level),
            presence: Some(at),
            legibility: Some(at),
            illegible: Some(level),
            unexpected: Some(level),
            contrast: Some(level),
            contrast_min: Some(at),
            safe_area: Some(level),
            text_height: Some(at),
            brand: Some(level),
            brand_share: Some(at),
            brand_delta_e: Some(at),
        };
        let (one, other) = (full(0.1, Level::Ignore, "a"), full(0.2, Level::Error, "b"));
        assert_eq!(one.overlaid(&other), other);
        assert_eq!(Criteria::default().overlaid(&other), other);
        assert_eq!(one.overlaid(&Criteria::default()), one);
    }

    #[test]
    fn what_nobody_says_is_as_usual() {
        let nothing = Criteria::default();
        assert_eq!(nothing.unverified_level(Gate::Enforce), Level::Error);
        assert_eq!(nothing.unverified_level(Gate::Report), Level::Warning);
        assert_eq!(nothing.unexpected_level(false), Level::Warning);
        assert_eq!(nothing.unexpected_level(true), Level::Error);
        let said = Criteria { text: Some(Level::Warning), unexpected: Some(Level::Ignore), ..nothing };
        assert_eq!(said.unverified_level(Gate::Enforce), Level::Warning);
        assert_eq!(said.unexpected_level(true).severity(), None);
    }

    #[test]
    fn required_words_have_a_locale() {
        let check = |locale: &str, fits: bool| {
            let criteria = Criteria { required_locale: Some(locale.to_owned()), ..Criteria::default() };
            assert_eq!(criteria.check().is_ok(), fits, "{locale}");
        };
        check("zh-Hans", true);
        check("not a locale", false);
    }
}
