//! Text layers: words set in true type over the art, as a person decided them.
//!
//! A layer is part of the recipe, so every field here decides pixels.
//! Positions are fractions of the image, so that one template serves every size.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::colour::Rgb;
use crate::id::ContentHash;

/// Words of one locale, where they go and how they look.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextLayer {
    /// Name of the layer within its template ("title"); findings speak of it.
    pub name: String,
    /// The words, already of the right locale. `\n` breaks a line, U+00AD marks where a word may break.
    pub text: String,
    /// BCP 47 tag of the words ("zh-Hans"); chooses fonts, direction and line breaking.
    pub locale: String,
    /// Who draws the words.
    #[serde(default, skip_serializing_if = "TextMode::is_composite")]
    pub mode: TextMode,
    /// How it is set.
    pub style: TextStyle,
}

/// Who draws the words of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TextMode {
    /// They are set over the art in true type.
    #[default]
    Composite,
    /// The model draws them into the art.
    Model,
    /// The model draws them; where it cannot get them right, they are set in true type over art without words.
    Auto,
}

impl TextMode {
    /// The word in manifests and reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Composite => "composite",
            Self::Model => "model",
            Self::Auto => "auto",
        }
    }

    /// Whether the words are set in true type from the start.
    pub const fn is_composite(&self) -> bool {
        matches!(self, Self::Composite)
    }
}

/// How a layer's words are set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TextStyle {
    /// The box that ink (outline included, shadow not) may not leave, `[x, y, width, height]` in fractions of the image.
    pub area: [f64; 4],
    /// Where lines stand from left to right. `start` is the right side in Arabic and Hebrew.
    pub align: Align,
    /// Where the block stands from top to bottom.
    pub valign: VerticalAlign,
    /// Largest font size as a fraction of the image height; words shrink from here to fit.
    pub size: f64,
    /// Smallest font size as a fraction of the image height; below it fitting fails.
    pub size_min: f64,
    /// Most lines that the words may be broken into.
    pub lines_max: u8,
    /// Line height as a multiple of the font size.
    pub line_height: f64,
    /// Weight of the letters.
    pub weight: Weight,
    /// A font file of the manifest in place of the packaged ones.
    pub font: Option<FontFile>,
    /// Fill of the letters: one colour, or two from top to bottom.
    pub fill: Fill,
    /// Line around the letters; `false` for none.
    #[serde(deserialize_with = "or_off")]
    #[schemars(with = "Option<OrOff<Outline>>")]
    pub outline: Option<Outline>,
    /// Soft shadow behind the letters; `false` for none.
    #[serde(deserialize_with = "or_off")]
    #[schemars(with = "Option<OrOff<Shadow>>")]
    pub shadow: Option<Shadow>,
    /// Coloured plate behind the words, as a price badge has; `false` for none.
    #[serde(deserialize_with = "or_off")]
    #[schemars(with = "Option<OrOff<Plate>>")]
    pub plate: Option<Plate>,
    /// Extra space between letters as a fraction of the font size; ignored in joined scripts.
    pub tracking: f64,
    /// Whether words are set in capitals, by the rules of the locale.
    pub uppercase: bool,
    /// Degrees of a circle that the line is bent over: above 0 its middle stands highest, below 0 lowest. Bent words
    /// stand in one line. The circle is never narrower than four times the letters' height, so short words bend less.
    #[serde(skip_serializing_if = "is_default")]
    pub arc: f64,
    /// Whether the box stays where `area` puts it, or goes where the art is calmest.
    #[serde(skip_serializing_if = "is_default")]
    pub place: Place,
    /// What may be added where the letters do not stand out from what is behind them.
    #[serde(skip_serializing_if = "is_default")]
    pub guard: Guard,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// What TOML can say where it has no null: `false`, or the thing.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum OrOff<T> {
    /// None.
    Off(bool),
    /// This one.
    On(T),
}

fn or_off<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    match Option::<OrOff<T>>::deserialize(deserializer)? {
        None | Some(OrOff::Off(false)) => Ok(None),
        Some(OrOff::On(thing)) => Ok(Some(thing)),
        Some(OrOff::Off(true)) => {
            Err(serde::de::Error::custom("`true` says nothing of how it looks: write `false`, or a table"))
        }
    }
}

impl Default for TextStyle {
    fn default() -> Self {
        Self {
            area: [0.06, 0.06, 0.88, 0.26],
            align: Align::Center,
            valign: VerticalAlign::Middle,
            size: 0.13,
            size_min: 0.035,
            lines_max: 2,
            line_height: 1.15,
            weight: Weight::Bold,
            font: None,
            fill: Fill::Solid(Rgb([255, 255, 255])),
            outline: Some(Outline { colour: Rgb([16, 12, 28]), width: 0.09 }),
            shadow: Some(Shadow { colour: Rgb([0, 0, 0]), opacity: 0.55, blur: 0.12, offset: [0.0, 0.06] }),
            plate: None,
            tracking: 0.0,
            uppercase: false,
            arc: 0.0,
            place: Place::Area,
            guard: Guard::None,
        }
    }
}

/// Where a layer's box lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// Where `area` says.
    #[default]
    Area,
    /// Where the art is calmest and its middle stays free; `area` gives the size, and the place where all are alike.
    /// It follows from the art and the areas alone, never from the words, so that all locales look alike.
    Calm,
}

/// What may be added to letters whose contrast falls short of WCAG: 3 for large letters, 4.5 for others, measured
/// against the worst tenth of what is behind them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Guard {
    /// Nothing; the checks find what falls short.
    #[default]
    None,
    /// A wider outline, or one of another colour.
    Outline,
    /// A plate, or a denser one.
    Plate,
    /// An outline, and a plate where that is not enough.
    Auto,
}

impl Guard {
    /// The word in manifests.
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Outline => "outline",
            Self::Plate => "plate",
            Self::Auto => "auto",
        }
    }
}

/// A font file named by the manifest; its content, not its path, decides pixels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FontFile {
    /// Path relative to the manifest.
    pub path: String,
    /// BLAKE3 of the file; filled in when the manifest is planned.
    #[serde(default)]
    #[schemars(skip)]
    pub content: Option<ContentHash>,
}

/// Horizontal place of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Align {
    /// Left, or right in scripts written from right to left.
    Start,
    /// Centred.
    Center,
    /// Right, or left in scripts written from right to left.
    End,
}

/// Vertical place of the block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum VerticalAlign {
    /// At the top of the area.
    Top,
    /// In the middle.
    Middle,
    /// At the bottom.
    Bottom,
}

/// Weight of letters; the packaged fonts have these two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// 400.
    Regular,
    /// 700.
    Bold,
}

/// Fill of letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Fill {
    /// One colour.
    Solid(Rgb),
    /// From the first colour at the top of the ink to the second at its bottom.
    Gradient([Rgb; 2]),
}

/// Line around letters.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outline {
    /// Its colour.
    pub colour: Rgb,
    /// How far it reaches outside the letter, as a fraction of the font size.
    pub width: f64,
}

/// Shadow behind letters.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shadow {
    /// Its colour.
    pub colour: Rgb,
    /// 0 (none) to 1.
    pub opacity: f64,
    /// Standard deviation of the blur as a fraction of the font size.
    pub blur: f64,
    /// Right and down, in fractions of the font size.
    pub offset: [f64; 2],
}

/// Rounded plate behind words.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plate {
    /// Its colour.
    pub colour: Rgb,
    /// 0 (none) to 1.
    pub opacity: f64,
    /// Corner radius as a fraction of the plate's height; 0.5 makes a pill.
    pub radius: f64,
    /// Space around the ink, `[horizontal, vertical]` in fractions of the font size.
    pub padding: [f64; 2],
}
