//! The manifest as it stands in the file: every table and key, with the words that editors show beside them.
//!
//! The JSON Schema is made from these types, and the same schema checks a file before it is read into them,
//! so completion, error messages and reading cannot drift apart.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::colour::Rgb;
use crate::criteria::{Criteria, CriteriaTable};
use crate::manifest::exporting::Export;
use crate::manifest::mending::Mending;
use crate::manifest::spending::{Auto, Choosing, Lossy, Policy, ProjectAccount, RouteBy, Routes, Spending};
use crate::recipe::{Enlarge, Intent, PostStep, Settings, Tier};
use crate::text_layer::{TextMode, TextStyle};

/// Which images exist: templates, assets, locales and where the files go.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "thumbforge.toml")]
pub struct Body {
    /// The versions of Thumbforge that may read this file, as in ">=0.1" or ">=0.1, <2".
    pub requires: Option<String>,
    /// Name of the project, as in "com.example.shop". It decides the GUIDs of new .meta files, so keep it.
    pub project: Option<String>,
    /// What happens when a locale lacks a string: fail, skip that image, or use the fallback locale's words.
    #[serde(default)]
    pub missing_string: MissingString,
    /// Whether built-in art may stand in for a model that is not on this machine.
    #[serde(default)]
    pub placeholder: bool,
    /// The tier of assets that name none.
    pub tier: Option<Tier>,
    /// Brand colours that every picture keeps to, as in ["#0b5fff"].
    #[serde(default)]
    pub brand: Vec<Rgb>,
    /// Whether the words of finished pictures are read back and compared.
    pub verify_ocr: Option<bool>,
    /// A tier file (JSON or TOML) whose rows stand under [tiers]; rows of this file win.
    pub tier_file: Option<String>,
    /// The locales and where their strings are.
    #[serde(default)]
    pub locales: Locales,
    /// Where pictures are written.
    #[serde(default)]
    pub output: Output,
    /// Where finished pictures are kept for reuse.
    #[serde(default)]
    pub cache: Cache,
    /// What drafts and finals are drawn with.
    #[serde(default)]
    pub tiers: Tiers,
    /// How a model is chosen where none is named: "pinned" by the tables here, or "auto" by price and learned quality.
    #[serde(default)]
    pub route: RouteBy,
    /// Models by "preview", "production", or "production.typography" (tier and intent, in quotes). They win over [tiers].
    #[serde(default)]
    pub routes: Routes,
    /// What finished pictures are held to: here for all, in [criteria.preview] or [criteria."production.typography"] for some.
    #[serde(default)]
    pub criteria: CriteriaTable,
    /// What is done about pictures that these refuse.
    #[serde(default)]
    pub repair: Mending,
    /// What `route = "auto"` asks of a model.
    #[serde(default)]
    pub auto: Auto,
    /// Whom pictures may be asked of, and under which licences.
    #[serde(default)]
    pub policy: Policy,
    /// The most that may be spent, in US dollars, as in total = "20.00".
    #[serde(default)]
    pub budget: Spending,
    /// Limits of accounts, below those of the user's settings. Keys and addresses stand there, never here.
    #[serde(default)]
    pub accounts: BTreeMap<String, ProjectAccount>,
    /// What copies for stores and the press say of whose they are.
    #[serde(default)]
    pub export: Export,
    /// Import profiles: what Unity's texture importer is set to.
    #[serde(default)]
    pub profiles: BTreeMap<String, Profile>,
    /// Prompt templates with their text layers.
    #[serde(default)]
    pub templates: BTreeMap<String, Template>,
    /// The images to make.
    #[serde(default)]
    pub assets: BTreeMap<String, Asset>,
}

/// What happens when a locale lacks a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MissingString {
    /// Planning fails and names the string.
    #[default]
    Fail,
    /// The image of that locale is left out and reported.
    Skip,
    /// The words of `locales.fallback` are used.
    Fallback,
}

/// The locales and where their strings are.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Locales {
    /// Locale codes (BCP 47), as in ["en", "de", "zh-Hans"].
    pub list: Vec<String>,
    /// The locale whose words stand in when `missing_string` is "fallback".
    pub fallback: Option<String>,
    /// String tables: Unity's CSV export (.csv) or XLIFF 1.2 or 2.0 (.xlf, .xliff), relative to this file.
    pub strings: Vec<String>,
}

/// Where pictures are written.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Output {
    /// Template of the path, relative to this file, with forward slashes, ending in .png.
    /// Knows `asset`, `locale`, `tier` and `size` besides the asset's own variables.
    pub path: Option<String>,
    /// How version control is told before a file is written.
    pub vcs: Vcs,
    /// Margin that words keep from the edge, as a fraction of the shorter side.
    #[schemars(range(min = 0.0, max = 0.25))]
    pub safe_area: Option<f64>,
}

/// How version control is told before a file is written.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Vcs {
    /// Not at all, as with Git.
    #[default]
    None,
    /// Perforce: `p4 edit` or `p4 add`.
    P4,
    /// A command of your own; {path} in it is the file.
    Command(String),
}

/// Where finished pictures are kept for reuse.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Cache {
    /// A folder that the team shares, as in "//nas/thumbforge-cache".
    pub shared: Option<String>,
}

/// What drafts and finals are drawn with.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Tiers {
    /// Drafts, as fast as can be.
    pub preview: Option<TierRow>,
    /// The final pictures.
    pub production: Option<TierRow>,
}

impl Tiers {
    /// The row of a tier.
    pub fn row(&self, tier: Tier) -> Option<&TierRow> {
        match tier {
            Tier::Preview => self.preview.as_ref(),
            Tier::Production => self.production.as_ref(),
        }
    }
}

/// What one tier is drawn with.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TierRow {
    /// Model, by any spelling that `thumbforge models` lists.
    pub model: Option<String>,
    /// The time that one picture should take at most, in milliseconds; slower is reported.
    pub max_latency_ms: Option<u64>,
    /// Denoising steps.
    pub steps: Option<u32>,
    /// Classifier-free guidance scale.
    pub guidance: Option<f64>,
    /// Sampler by name, as in "euler_a".
    pub sampler: Option<String>,
}

impl TierRow {
    /// The settings that the row names.
    pub fn settings(&self) -> Settings {
        Settings { steps: self.steps, guidance: self.guidance, sampler: self.sampler.clone(), ..Settings::default() }
    }
}

/// What Unity's texture importer is set to; keys left out stay as the importer has them.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Profile {
    /// What the texture is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub texture_type: Option<TextureType>,
    /// One sprite, or several cut from one texture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sprite_mode: Option<SpriteMode>,
    /// Largest side after import, in pixels.
    #[schemars(range(min = 32, max = 16384))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_size: Option<u32>,
    /// Whether the pixels are colours (true) or data (false).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub srgb: Option<bool>,
    /// Whether smaller copies are made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mipmaps: Option<bool>,
    /// How hard the texture is compressed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// Pixels of the sprite in one unit of the world.
    #[schemars(range(min = 0.001))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pixels_per_unit: Option<f64>,
    /// Whether alpha is transparency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpha_is_transparency: Option<bool>,
    /// Border of a sprite that is stretched in nine parts, in pixels: left, bottom, right, top.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub border: Option<[u32; 4]>,
    /// What differs on single platforms, by Unity's names of them: Standalone, Android, iPhone, WebGL, …
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub platforms: BTreeMap<String, PlatformProfile>,
}

/// What Unity's texture importer is set to on one platform; keys left out are as on the others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlatformProfile {
    /// Largest side after import, in pixels.
    #[schemars(range(min = 32, max = 16384))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_size: Option<u32>,
    /// Texture format by Unity's name, as in "ASTC_6x6"; automatic when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// How hard the texture is compressed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
}

/// What a texture is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TextureType {
    /// A texture of a material.
    Default,
    /// A sprite or a picture of the user interface.
    Sprite,
    /// A picture of the editor's own windows.
    Gui,
}

/// One sprite, or several cut from one texture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SpriteMode {
    /// The whole picture is one sprite.
    Single,
    /// Several sprites.
    Multiple,
    /// A sprite with an outline of its own.
    Polygon,
}

/// How hard a texture is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compression {
    /// Not at all.
    None,
    /// Smallest.
    Low,
    /// Unity's default.
    Normal,
    /// Best looking.
    High,
}

/// A value that a template may name.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Variable {
    /// Words; they may hold {{ other }} variables.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A number.
    Number(f64),
    /// Yes or no.
    Bool(bool),
}

/// A prompt template with its text layers.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// Raise it to draw every image of the template anew.
    #[serde(default = "one")]
    pub version: u32,
    /// Prompt in minijinja, as in "{{ style }}, {{ subject }}, no text".
    pub prompt: Option<String>,
    /// What the picture must not show.
    pub negative: Option<String>,
    /// What the picture is for; a model is chosen by it when none is named.
    pub intent: Option<Intent>,
    /// Width and height in pixels, as in "512x512".
    pub size: Option<String>,
    /// Draw the picture small first; once that has passed its checks, the final is made from it.
    pub draft: Option<DraftRow>,
    /// Model, by any spelling that `thumbforge models` lists.
    pub model: Option<String>,
    /// How a model is chosen where none is named: "pinned" or "auto".
    pub route: Option<RouteBy>,
    /// Whether a retired model is an error instead of being replaced by its successor.
    pub pin: Option<bool>,
    /// Fields that a model may leave out where it cannot honour them, as in ["seed"]; others are refused.
    pub allow_lossy: Option<Vec<Lossy>>,
    /// Models to go on with when the one before them fails, best first.
    pub fallback: Option<Vec<String>>,
    /// Whether words that the model draws must be right to the letter; chooses a model together with the next two.
    pub requires_typography_precision: Option<bool>,
    /// How sure you are that a cheap model gets it right, 0 to 1; 0 where absent.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub confidence: Option<f64>,
    /// Whether a quick draft of a local model is enough.
    pub fast_preview: Option<bool>,
    /// Seed; derived from the recipe when absent.
    pub seed: Option<u64>,
    /// Draft or final.
    pub tier: Option<Tier>,
    /// Import profile by name.
    pub profile: Option<String>,
    /// Template of the output path, in place of output.path.
    pub output: Option<String>,
    /// Brand colours in place of the manifest's.
    pub brand: Option<Vec<Rgb>>,
    /// What its pictures are held to, over [criteria].
    #[serde(default)]
    pub criteria: Criteria,
    /// What is done about its pictures that are refused, over [repair].
    #[serde(default)]
    pub repair: Mending,
    /// Sampling and drawing settings.
    #[serde(default)]
    pub settings: Settings,
    /// Steps after drawing and before text.
    #[serde(default)]
    pub post: Vec<PostStep>,
    /// LoRA files, in the order they apply.
    #[serde(default)]
    pub adapters: Vec<AdapterFile>,
    /// Variables; an asset's variables of the same name win.
    #[serde(default)]
    pub vars: BTreeMap<String, Variable>,
    /// Text layers, bottom layer first.
    #[serde(default)]
    pub text: Vec<Layer>,
}

impl Template {
    /// What it says of the choice of its model.
    pub fn choosing(&self) -> Choosing<'_> {
        Choosing {
            route: self.route,
            pin: self.pin,
            allow_lossy: self.allow_lossy.as_deref(),
            requires_typography_precision: self.requires_typography_precision,
            confidence: self.confidence,
            fast_preview: self.fast_preview,
        }
    }
}

impl Asset {
    /// What it says of the choice of its model.
    pub fn choosing(&self) -> Choosing<'_> {
        Choosing {
            route: self.route,
            pin: self.pin,
            allow_lossy: self.allow_lossy.as_deref(),
            requires_typography_precision: self.requires_typography_precision,
            confidence: self.confidence,
            fast_preview: self.fast_preview,
        }
    }
}

/// The draft that a final is made from. Tier `preview` draws the draft alone; `production` draws it as that does, checks
/// it, and makes it as large as `size` says.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DraftRow {
    /// Width and height of the draft in pixels, as in "512x512".
    #[serde(default = "draft_size")]
    pub size: String,
    /// How it becomes larger: "auto", "model" or "lanczos".
    #[serde(default)]
    pub enlarge: Enlarge,
    /// The model that enlarges it, by any spelling that `thumbforge models` lists; absent means the local one that drew it.
    pub model: Option<String>,
    /// How far the larger picture may leave the draft, 0 to 1, where a model draws it anew.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub strength: Option<f64>,
}

fn draft_size() -> String {
    crate::manifest::DEFAULT_SIZE.to_string()
}

fn one() -> u32 {
    1
}

/// A LoRA file and how strongly it applies.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdapterFile {
    /// Path of the file, relative to this one.
    pub file: String,
    /// Multiplier of its weights.
    #[serde(default = "full")]
    pub weight: f64,
    /// The licence that it comes under, for `policy.licences`; "unknown" where absent.
    pub licence: Option<String>,
}

fn full() -> f64 {
    1.0
}

/// Words over the picture: where they come from, and how they are set.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// Name of the layer; findings and an asset's `strings` speak of it.
    pub name: String,
    /// Key into the string tables, as a template: "{{ asset }}.title".
    pub string: Option<String>,
    /// The words themselves, as a template; the same in every locale.
    pub text: Option<String>,
    /// Whether an image without this string simply lacks the layer.
    #[serde(default)]
    pub optional: bool,
    /// Who draws the words: "composite" sets them in true type, "model" asks the model to draw them, "auto" asks the model
    /// and sets them where it cannot get them right.
    #[serde(default)]
    pub mode: TextMode,
    /// How the words are set.
    #[serde(flatten)]
    pub style: TextStyle,
}

/// One image, in each of its locales.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Asset {
    /// Template by name.
    pub template: Option<String>,
    /// The team's own picture in place of a drawn one, relative to this file.
    pub art: Option<String>,
    /// Prompt in place of the template's.
    pub prompt: Option<String>,
    /// Negative prompt in place of the template's.
    pub negative: Option<String>,
    /// Variables of the template.
    #[serde(default)]
    pub vars: BTreeMap<String, Variable>,
    /// Locales, out of locales.list; absent means all of them, [] means one image without locale.
    pub locales: Option<Vec<String>>,
    /// Locales that this asset has besides, and that are not in locales.list, as in ["th"].
    #[serde(default)]
    pub more_locales: Vec<String>,
    /// String keys by the name of a text layer, in place of the layer's own.
    #[serde(default)]
    pub strings: BTreeMap<String, String>,
    /// Width and height in pixels, in place of the template's.
    pub size: Option<String>,
    /// The draft that the final is made from, in place of the template's.
    pub draft: Option<DraftRow>,
    /// Model, in place of the template's.
    pub model: Option<String>,
    /// How a model is chosen where none is named: "pinned" or "auto".
    pub route: Option<RouteBy>,
    /// Whether a retired model is an error instead of being replaced by its successor.
    pub pin: Option<bool>,
    /// Fields that a model may leave out where it cannot honour them, as in ["seed"]; others are refused.
    pub allow_lossy: Option<Vec<Lossy>>,
    /// Models to go on with when the one before them fails, best first.
    pub fallback: Option<Vec<String>>,
    /// Whether words that the model draws must be right to the letter; chooses a model together with the next two.
    pub requires_typography_precision: Option<bool>,
    /// How sure you are that a cheap model gets it right, 0 to 1; 0 where absent.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub confidence: Option<f64>,
    /// Whether a quick draft of a local model is enough.
    pub fast_preview: Option<bool>,
    /// Seed, in place of the template's.
    pub seed: Option<u64>,
    /// Draft or final, in place of the template's.
    pub tier: Option<Tier>,
    /// What the picture is held to, over the template's.
    #[serde(default)]
    pub criteria: Criteria,
    /// What is done about it when it is refused, over the template's.
    #[serde(default)]
    pub repair: Mending,
    /// Settings over the template's.
    #[serde(default)]
    pub settings: Settings,
    /// Import profile by name, in place of the template's.
    pub profile: Option<String>,
    /// Template of the output path, in place of the template's.
    pub output: Option<String>,
    /// Higher is drawn first.
    #[serde(default)]
    pub priority: i32,
}
