//! Tables of the manifest about models that cost money: who may be asked, what may be spent, how a model is chosen.
//!
//! A manifest comes with a pull request, so it can only narrow what the user's own settings allow: it names no key and
//! no address, and its budgets and limits stand beside the user's.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::money::{Micros, NotMoney};
use crate::recipe::Tier;

/// Whom pictures may be asked of, and under which licences.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Providers, and accounts by name, that may see prompts and pictures, as in ["openai", "studio"]; absent means all
    /// that the user has, [] means none.
    pub providers: Option<Vec<String>>,
    /// Licences of models and adapters that may be used.
    pub licences: LicencePolicy,
    /// Whether what one vendor refused to draw may be asked of another.
    pub cross_vendor_refusals: bool,
}

/// Licences of models and adapters that may be used, as `thumbforge models` names them.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LicencePolicy {
    /// These alone; absent means all that are not denied. What has no known licence is called "unknown".
    pub allow: Option<Vec<String>>,
    /// None of these, whatever is allowed, as in ["stabilityai-community-2024"].
    pub deny: Vec<String>,
}

/// The most that may be spent, in US dollars.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Spending {
    /// On this project, for good.
    pub total: Option<Dollars>,
    /// On this project in a day (UTC).
    pub day: Option<Dollars>,
    /// On this project in a month (UTC).
    pub month: Option<Dollars>,
    /// In one build.
    pub batch: Option<Dollars>,
    /// On the project's drafts, for good.
    pub preview: Option<Dollars>,
    /// On the project's final pictures, for good.
    pub production: Option<Dollars>,
}

/// An amount in US dollars, as text ("2.50") or as a number.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Dollars {
    /// As it is written.
    Text(String),
    /// As TOML reads it.
    Number(f64),
}

impl Dollars {
    /// The amount.
    ///
    /// # Errors
    /// It is none: negative, or finer than a millionth.
    pub fn micros(&self) -> Result<Micros, NotMoney> {
        match self {
            Self::Text(text) => text.parse(),
            // The shortest form that reads back as the same float is what a person wrote.
            Self::Number(number) => number.to_string().parse(),
        }
    }
}

/// Limits of one account, below those of the user's settings. The key and the address are the user's to say.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProjectAccount {
    /// Who is asked, as in "openai"; says to readers, and to `policy.providers`, what the account is.
    pub provider: Option<String>,
    /// Most pictures that are being made at once.
    #[schemars(range(min = 1, max = 10000))]
    pub images_in_flight: Option<u32>,
    /// Most pictures that are begun in a minute.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub images_per_minute: Option<u32>,
    /// The most that is spent on it in a day (UTC).
    pub day: Option<Dollars>,
    /// The most that is spent on it in a month (UTC).
    pub month: Option<Dollars>,
}

/// How a model is chosen where none is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RouteBy {
    /// By [routes] and [tiers]: the same on every machine.
    #[default]
    Pinned,
    /// The cheapest model of which enough pictures are sure to pass, by thumbforge.quality.toml and the catalogue.
    Auto,
}

/// What `route = "auto"` asks of a model.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Auto {
    /// The share of pictures that must be sure to pass, 0 to 1.
    pub pass_rate: PassRates,
}

/// A share for drafts and one for finals, 0 to 1.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PassRates {
    /// Of drafts; 0.5 where absent.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub preview: Option<f64>,
    /// Of final pictures; 0.7 where absent.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub production: Option<f64>,
}

impl PassRates {
    /// The share of a tier.
    pub fn of(&self, tier: Tier) -> f64 {
        let [preview, production] = crate::routing::PASS_RATE;
        match tier {
            Tier::Preview => self.preview.unwrap_or(preview),
            Tier::Production => self.production.unwrap_or(production),
        }
    }
}

/// A field that a model may leave out where it cannot honour it. What is changed, and where, is never left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Lossy {
    /// The negative prompt.
    Negative,
    /// The seed that was named.
    Seed,
    /// Denoising steps.
    Steps,
    /// Guidance scale.
    Guidance,
    /// Sampler.
    Sampler,
    /// How far an edit may go.
    Strength,
    /// Composition of the built-in engine.
    Composition,
    /// Subject of the built-in engine.
    Subject,
    /// LoRA files.
    Adapters,
    /// Brand colours.
    Brand,
    /// How much work goes into it.
    Quality,
    /// Where a local model's noise comes from.
    Noise,
    /// The number format of a local model.
    Dtype,
    /// Skip-layer guidance.
    Slg,
    /// The softened edge of a mask.
    #[serde(rename = "mask_feather")]
    MaskFeather,
    /// What becomes of what a mask leaves alone.
    #[serde(rename = "mask_mode")]
    MaskMode,
    /// Exact pixels of a local model where memory is short: the picture is decoded in tiles, with seams blended away.
    #[serde(rename = "tiled-vae")]
    TiledVae,
    /// Exact pixels of a local model where memory is short even so: most of its matrices are kept and multiplied in eight bits,
    /// on cards that can.
    Fp8,
}

impl Lossy {
    /// The word in manifests, terms and reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Negative => "negative",
            Self::Seed => "seed",
            Self::Steps => "steps",
            Self::Guidance => "guidance",
            Self::Sampler => "sampler",
            Self::Strength => "strength",
            Self::Composition => "composition",
            Self::Subject => "subject",
            Self::Adapters => "adapters",
            Self::Brand => "brand",
            Self::Quality => "quality",
            Self::Noise => "noise",
            Self::Dtype => "dtype",
            Self::Slg => "slg",
            Self::MaskFeather => "mask_feather",
            Self::MaskMode => "mask_mode",
            Self::TiledVae => "tiled-vae",
            Self::Fp8 => "fp8",
        }
    }
}

/// What a template or an asset says of the choice of its model; an asset's words go over its template's.
#[derive(Debug, Clone, Copy, Default)]
pub struct Choosing<'a> {
    pub(super) route: Option<RouteBy>,
    pub(super) pin: Option<bool>,
    pub(super) allow_lossy: Option<&'a [Lossy]>,
    pub(super) requires_typography_precision: Option<bool>,
    pub(super) confidence: Option<f64>,
    pub(super) fast_preview: Option<bool>,
}

impl Choosing<'_> {
    /// What `over` says, and of the rest what `self` says.
    pub(super) fn overlaid<'a>(&'a self, over: &Choosing<'a>) -> Choosing<'a> {
        Choosing {
            route: over.route.or(self.route),
            pin: over.pin.or(self.pin),
            allow_lossy: over.allow_lossy.or(self.allow_lossy),
            requires_typography_precision: over.requires_typography_precision.or(self.requires_typography_precision),
            confidence: over.confidence.or(self.confidence),
            fast_preview: over.fast_preview.or(self.fast_preview),
        }
    }
}

/// Models of `[routes]`: by "preview" or "production", or by both tier and intent as in "production.typography".
pub type Routes = BTreeMap<String, String>;
