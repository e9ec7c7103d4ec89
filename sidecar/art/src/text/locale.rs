//! What a locale decides: which fonts, in which order, which direction, how capitals are made.

use icu_casemap::CaseMapper;
use icu_properties::props::Script;
use icu_properties::{CodePointMapData, PropertyNamesLong};
use parlance::Language;
use thumbforge_core::text_layer::Weight;

use super::face::{Face, Family, packaged};

/// A parsed locale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Locale {
    /// What the shaper and the case rules are told; `None` for a tag that is none.
    pub(super) language: Option<Language>,
    /// The writing of the locale.
    pub(super) writing: Writing,
}

/// Kinds of writing that the package tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writing {
    /// Latin, Greek and Cyrillic, and every locale without a line of its own here.
    Latin,
    Arabic,
    Hebrew,
    Devanagari,
    Thai,
    Japanese,
    Korean,
    ChineseSimplified,
    /// Known so that it can be refused: its characters in Simplified shapes would look wrong to every reader.
    ChineseTraditional,
}

impl Locale {
    pub(super) fn parse(tag: &str) -> Self {
        let language = Language::parse(tag).ok();
        let subtags: Vec<String> = tag.split(['-', '_']).map(str::to_ascii_lowercase).collect();
        let has = |wanted: &[&str]| subtags.iter().skip(1).any(|subtag| wanted.contains(&subtag.as_str()));
        let writing = match subtags.first().map_or("", String::as_str) {
            _ if has(&["latn", "cyrl", "grek"]) => Writing::Latin,
            "ja" => Writing::Japanese,
            "ko" => Writing::Korean,
            "zh" | "yue" if has(&["hant"]) || (has(&["tw", "hk", "mo"]) && !has(&["hans"])) => {
                Writing::ChineseTraditional
            }
            "zh" => Writing::ChineseSimplified,
            "ar" | "fa" | "ur" | "ps" | "ckb" | "ug" | "sd" => Writing::Arabic,
            "he" | "iw" | "yi" => Writing::Hebrew,
            "hi" | "mr" | "ne" | "sa" | "kok" => Writing::Devanagari,
            "th" => Writing::Thai,
            _ => Writing::Latin,
        };
        Self { language, writing }
    }

    /// Whether lines of this locale run from right to left.
    pub(super) fn right_to_left(self) -> bool {
        matches!(self.writing, Writing::Arabic | Writing::Hebrew)
    }

    /// Whether a reader needs the whole character rather than a small letter's height to make it out.
    pub(super) fn dense(self) -> bool {
        matches!(
            self.writing,
            Writing::Japanese | Writing::Korean | Writing::ChineseSimplified | Writing::ChineseTraditional
        )
    }

    /// Capitals by the rules of the language: Turkish i becomes İ, ß becomes SS, Greek loses its accents.
    pub(super) fn uppercase(self, text: &str) -> String {
        let tag = self.language.as_ref().map_or("und", |language| language.language());
        match tag.parse() {
            Ok(tag) => CaseMapper::new().uppercase_to_string(text, &tag).into_owned(),
            Err(_) => text.to_uppercase(),
        }
    }
}

impl Writing {
    /// The families to ask, in order. The locale's own comes first, so that its spaces, digits and marks are used.
    fn families(self) -> &'static [Family] {
        use Family::{Arabic, Chinese, Devanagari, Hebrew, Japanese, Korean, Sans, Thai};
        match self {
            Self::Latin => &[Sans, Arabic, Hebrew, Devanagari, Thai, Japanese, Korean, Chinese],
            Self::Arabic => &[Arabic, Sans, Hebrew, Devanagari, Thai, Japanese, Korean, Chinese],
            Self::Hebrew => &[Hebrew, Sans, Arabic, Devanagari, Thai, Japanese, Korean, Chinese],
            Self::Devanagari => &[Devanagari, Sans, Arabic, Hebrew, Thai, Japanese, Korean, Chinese],
            Self::Thai => &[Thai, Sans, Arabic, Hebrew, Devanagari, Japanese, Korean, Chinese],
            Self::Japanese => &[Japanese, Sans, Arabic, Hebrew, Devanagari, Thai, Korean],
            Self::Korean => &[Korean, Sans, Arabic, Hebrew, Devanagari, Thai, Japanese],
            Self::ChineseSimplified => &[Chinese, Sans, Arabic, Hebrew, Devanagari, Thai, Japanese, Korean],
            Self::ChineseTraditional => &[Sans, Arabic, Hebrew, Devanagari, Thai, Japanese, Korean],
        }
    }

    /// The only family that may draw Han characters: the same code point has other shapes in other countries.
    fn han(self) -> Option<Family> {
        match self {
            Self::Korean => Some(Family::Korean),
            Self::ChineseSimplified => Some(Family::Chinese),
            Self::ChineseTraditional => None,
            _ => Some(Family::Japanese),
        }
    }
}

/// The faces that a layer may be set in.
pub(super) struct Choice<'a> {
    /// In the order in which they are asked.
    pub(super) faces: Vec<&'a Face>,
    /// Which of them may draw Han characters.
    han: Vec<bool>,
}

impl<'a> Choice<'a> {
    /// Faces for a locale: the manifest's font, if the style names one, before the packaged ones.
    pub(super) fn new(locale: Locale, weight: Weight, own: Option<&'a Face>) -> Self {
        let mut choice = Self { faces: Vec::new(), han: Vec::new() };
        if let Some(own) = own {
            choice.faces.push(own);
            choice.han.push(true);
        }
        for &family in locale.writing.families() {
            choice.faces.push(packaged(family, weight));
            choice.han.push(Some(family) == locale.writing.han());
        }
        choice
    }

    /// Index of the first face that has every character of a cluster, else of the one that has most of them.
    pub(super) fn face_for(&self, cluster: impl Iterator<Item = char> + Clone) -> usize {
        let han = cluster.clone().any(|c| script(c) == Script::Han);
        let mut best = (0, 0);
        for (at, face) in self.faces.iter().enumerate() {
            if han && !self.han[at] {
                continue;
            }
            let Some(font) = face.font() else { continue };
            let charmap = skrifa::MetadataProvider::charmap(&font);
            let total = cluster.clone().count();
            let covered = cluster.clone().filter(|&c| charmap.map(c).is_some_and(|glyph| glyph.to_u32() != 0)).count();
            if covered == total {
                return at;
            }
            if covered > best.1 {
                best = (at, covered);
            }
        }
        best.0
    }
}

/// Script of a character.
pub(super) fn script(c: char) -> Script {
    CodePointMapData::<Script>::new().get(c)
}

/// English name of a character's script.
pub(super) fn script_name(c: char) -> String {
    match c as u32 {
        // Unicode calls them "Common", which would help nobody.
        0x1F000..=0x1FAFF | 0x2600..=0x27BF => "emoji and symbols".to_owned(),
        _ => PropertyNamesLong::<Script>::new().get(script(c)).unwrap_or("unknown script").replace('_', " "),
    }
}
