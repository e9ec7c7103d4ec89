//! The recipe: everything that a person decided and that can change a pixel; and the two keys made of it.
//!
//! The *planned key* covers what was decided. The *realised key* adds what actually drew it.
//! Neither holds time, host, output path or verdict, so the same decision has the same key everywhere.
//!
//! Keys are BLAKE3 over a canonical form written by hand ([`canon`]), not over a serialisation:
//! a later field that nobody set is not written, so an upgrade does not change the keys of old recipes.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use unicode_normalization::UnicodeNormalization;

use crate::colour::Rgb;
use crate::id::{ContentHash, PlannedKey, RealisedKey};
use crate::image::Extent;
use crate::limits;
use crate::model::ModelId;
use crate::text_layer::TextLayer;
use canon::Canon;

mod canon;
mod draft;
mod local;
mod words;

pub use draft::{Draft, Enlarge};
pub use local::{Dtype, FEATHER_MAX, MaskMode, Noise, SKIPPED_LAYERS_MAX, SkipLayers};

/// Everything that decides the pixels, as far as a person decides them.
///
/// Make it through [`Recipe::normalised`], so that the same decision written differently compares equal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// The template it came from; absent for a bare prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<TemplateRef>,
    /// Rendered prompt.
    pub prompt: String,
    /// Rendered negative prompt; empty when there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub negative: String,
    /// The model that was named; absent when the router may choose by intent and tier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelId>,
    /// What the picture is for.
    pub intent: Intent,
    /// Draft or final.
    pub tier: Tier,
    /// The seed that was named; absent means that [`Recipe::drawing_seed`] derives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Size of the finished picture.
    pub size: Extent,
    /// Sampling and drawing settings that were named.
    #[serde(default, skip_serializing_if = "Settings::is_empty")]
    pub settings: Settings,
    /// Adapters (LoRA), in the order they apply.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adapters: Vec<Adapter>,
    /// The team's own picture in place of a drawn one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub art: Option<ArtFile>,
    /// Pictures that are changed, in place of drawing from nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edit: Option<Edit>,
    /// The draft that the picture is made from, where it is drawn small first and enlarged once that is accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draft: Option<Draft>,
    /// Brand colours that the picture keeps to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub brand: Vec<Rgb>,
    /// Words set over the picture, bottom layer first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub text: Vec<TextLayer>,
    /// Steps applied after drawing and before text, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub post: Vec<PostStep>,
}

/// A template and its version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateRef {
    /// Its name in the manifest.
    pub name: String,
    /// Raised by the person who changes it.
    pub version: u32,
}

/// What a picture is for; the router chooses by it when no model is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Intent {
    /// A photographic picture.
    #[default]
    Photo,
    /// Words drawn by the model itself.
    Typography,
    /// Composition with room for words.
    Layout,
    /// Exact brand colours.
    BrandColour,
    /// A large key picture.
    Hero,
    /// A single item, centred.
    Icon,
    /// A change to an existing picture.
    Edit,
}

impl Intent {
    /// Every intent.
    pub const ALL: [Self; 7] =
        [Self::Photo, Self::Typography, Self::Layout, Self::BrandColour, Self::Hero, Self::Icon, Self::Edit];

    /// The word in manifests and reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Photo => "photo",
            Self::Typography => "typography",
            Self::Layout => "layout",
            Self::BrandColour => "brand-colour",
            Self::Hero => "hero",
            Self::Icon => "icon",
            Self::Edit => "edit",
        }
    }
}

/// Draft or final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// A draft, as fast as can be.
    Preview,
    /// The final picture.
    #[default]
    Production,
}

impl Tier {
    /// The word in manifests and reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Preview => "preview",
            Self::Production => "production",
        }
    }
}

impl std::str::FromStr for Tier {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "preview" | "draft" => Ok(Self::Preview),
            "production" | "final" => Ok(Self::Production),
            other => Err(format!("read the tier {other:?}: write preview (draft) or production (final)")),
        }
    }
}

/// Settings a person named; what is absent is the model's default.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Denoising steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u32>,
    /// Classifier-free guidance scale.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guidance: Option<f64>,
    /// Sampler by name ("euler_a").
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampler: Option<String>,
    /// How far an edit may leave the source picture, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strength: Option<f64>,
    /// Composition of the built-in engine by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub composition: Option<String>,
    /// Subject of the built-in engine by icon name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// How much work a hosted model puts into it: low, medium or high, or a word of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality: Option<String>,
    /// Where a local model's noise comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise: Option<Noise>,
    /// The number format that a local model is computed in; absent means the fastest that the machine has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dtype: Option<Dtype>,
    /// Skip-layer guidance of a local model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slg: Option<SkipLayers>,
    /// How many pixels a mask's edge is softened by, 0 to 1024.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mask_feather: Option<u32>,
    /// What becomes of what a mask leaves alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mask_mode: Option<MaskMode>,
}

impl Settings {
    /// Whether nothing was named.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What `over` names, and of the rest what `self` names.
    pub fn overlaid(&self, over: &Self) -> Self {
        Self {
            steps: over.steps.or(self.steps),
            guidance: over.guidance.or(self.guidance),
            sampler: over.sampler.clone().or_else(|| self.sampler.clone()),
            strength: over.strength.or(self.strength),
            composition: over.composition.clone().or_else(|| self.composition.clone()),
            subject: over.subject.clone().or_else(|| self.subject.clone()),
            quality: over.quality.clone().or_else(|| self.quality.clone()),
            noise: over.noise.or(self.noise),
            dtype: over.dtype.or(self.dtype),
            slg: over.slg.clone().or_else(|| self.slg.clone()),
            mask_feather: over.mask_feather.or(self.mask_feather),
            mask_mode: over.mask_mode.or(self.mask_mode),
        }
    }
}

/// A LoRA file and how strongly it applies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Adapter {
    /// BLAKE3 of the file.
    pub content: ContentHash,
    /// Multiplier of its weights.
    pub weight: f64,
}

/// The team's own picture; its content, not its path, decides pixels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtFile {
    /// Path relative to the manifest, with forward slashes.
    pub path: String,
    /// BLAKE3 of the file.
    pub content: ContentHash,
}

/// Pictures that are changed, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// What is done to them.
    pub operation: Operation,
    /// BLAKE3 of the pictures, the one that is changed first; what follows it is shown to the model beside it.
    pub images: Vec<ContentHash>,
    /// BLAKE3 of the mask as a grey PNG of the first picture's size: white is drawn anew, black stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<ContentHash>,
}

/// What is done to a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// It is changed as the prompt says: inside the mask, where there is one.
    #[default]
    Edit,
    /// It is made larger.
    Upscale,
}

impl Operation {
    /// The word in recipes and reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Edit => "edit",
            Self::Upscale => "upscale",
        }
    }
}

/// A step between drawing and text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "step")]
pub enum PostStep {
    /// Mirror left to right, as for a right-to-left layout.
    Mirror,
    /// Take the colour away (Rec. 709 luma).
    Grayscale,
    /// Darken towards the corners; `percent` of full black at the very corner.
    Vignette {
        /// 0 to 100.
        percent: u8,
    },
}

/// What actually drew a render; with the planned key it makes the realised key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Realisation {
    /// Engine by name: `builtin`, `file`, `local`, or a provider.
    pub engine: String,
    /// Version of the engine; raised when it draws differently.
    pub engine_version: String,
    /// The model as it was called on the wire.
    pub wire_model: String,
    /// BLAKE3 of the weights, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<ContentHash>,
    /// The class of device that gives the same bytes: `cpu`, `cuda-sm90`, `hosted`.
    pub device_class: String,
    /// The seed that was drawn with.
    pub seed: u64,
    /// What the model was asked in its own terms, where these are not the recipe's: a size it has, a quality, a sampler.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
    /// Fields of the recipe that the route could not honour and was allowed to drop, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<String>,
}

/// A recipe that no engine could draw.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum RecipeError {
    /// Neither a prompt nor a picture.
    #[error("draw from an empty prompt: say what the picture shows, or name the team's own picture with `art`")]
    EmptyPrompt,
    /// More than [`limits::PROMPT_BYTES_MAX`].
    #[error("read a {what} of {bytes} bytes: at most {max} are read", max = limits::PROMPT_BYTES_MAX)]
    PromptTooLong {
        /// "prompt", "negative prompt", or the prompt with the words that the model draws.
        what: &'static str,
        /// Its length.
        bytes: usize,
    },
    /// More than [`limits::LAYER_TEXT_BYTES_MAX`], or too many layers.
    #[error(
        "set the text layers: at most {layers} of at most {bytes} bytes each",
        layers = limits::LAYERS_MAX,
        bytes = limits::LAYER_TEXT_BYTES_MAX
    )]
    TooMuchText,
    /// Above [`limits::SEED_MAX`].
    #[error("use the seed {0}: seeds go from 0 to {max}", max = limits::SEED_MAX)]
    Seed(u64),
    /// More than [`limits::ADAPTERS_MAX`].
    #[error("apply {0} adapters: at most {max} fit", max = limits::ADAPTERS_MAX)]
    TooManyAdapters(usize),
    /// A draft that is no smaller than its final, or of another shape.
    #[error("make {last} from a draft of {draft}: a draft is smaller than its final and has the same shape")]
    DraftSize {
        /// Size of the draft.
        draft: Extent,
        /// Size of the final.
        last: Extent,
    },
    /// A draft of a picture that is not drawn from nothing.
    #[error("draw a draft first: a picture that changes another, or is a file, has none")]
    DraftOfEdit,
    /// None, or more than [`limits::EDIT_IMAGES_MAX`].
    #[error("change {0} pictures at once: name one to {max}", max = limits::EDIT_IMAGES_MAX)]
    EditImages(usize),
    /// NaN, infinite or outside its range.
    #[error("use {value} for {field}: {range}")]
    Number {
        /// Which field.
        field: String,
        /// What it holds.
        value: f64,
        /// What it may hold.
        range: &'static str,
    },
}

impl Recipe {
    /// A bare prompt with everything else at its default.
    pub fn from_prompt(prompt: &str, size: Extent) -> Self {
        Self {
            template: None,
            prompt: prompt.to_owned(),
            negative: String::new(),
            model: None,
            intent: Intent::default(),
            tier: Tier::default(),
            seed: None,
            size,
            settings: Settings::default(),
            adapters: Vec::new(),
            art: None,
            edit: None,
            draft: None,
            brand: Vec::new(),
            text: Vec::new(),
            post: Vec::new(),
        }
    }

    /// The one spelling of this recipe, with every bound checked.
    ///
    /// Prompts become NFC with single spaces; words of text layers NFC with their line breaks kept.
    ///
    /// # Errors
    /// [`RecipeError`], which names the field and its bound.
    pub fn normalised(mut self) -> Result<Self, RecipeError> {
        for (what, text) in [("prompt", &self.prompt), ("negative prompt", &self.negative)] {
            if text.len() > limits::PROMPT_BYTES_MAX {
                return Err(RecipeError::PromptTooLong { what, bytes: text.len() });
            }
        }
        if self.text.len() > limits::LAYERS_MAX
            || self.text.iter().any(|layer| layer.text.len() > limits::LAYER_TEXT_BYTES_MAX)
        {
            return Err(RecipeError::TooMuchText);
        }
        if self.adapters.len() > limits::ADAPTERS_MAX {
            return Err(RecipeError::TooManyAdapters(self.adapters.len()));
        }
        if let Some(edit) = &self.edit
            && !(1..=limits::EDIT_IMAGES_MAX).contains(&edit.images.len())
        {
            return Err(RecipeError::EditImages(edit.images.len()));
        }
        if let Some(seed) = self.seed.filter(|seed| *seed > limits::SEED_MAX) {
            return Err(RecipeError::Seed(seed));
        }
        if let Some(draft) = &self.draft {
            draft.check(&self)?;
        }
        self.check_numbers()?;
        self.prompt = one_line(&self.prompt);
        self.negative = one_line(&self.negative);
        // Making a picture larger needs no words.
        let upscale = self.edit.as_ref().is_some_and(|edit| edit.operation == Operation::Upscale);
        if self.prompt.is_empty() && self.art.is_none() && !upscale {
            return Err(RecipeError::EmptyPrompt);
        }
        for layer in &mut self.text {
            layer.text = lines(&layer.text);
        }
        self.text.retain(|layer| !layer.text.is_empty());
        if let Cow::Owned(asked) = self.for_model()
            && asked.prompt.len() > limits::PROMPT_BYTES_MAX
        {
            let what = "prompt with the words that the model draws";
            return Err(RecipeError::PromptTooLong { what, bytes: asked.prompt.len() });
        }
        Ok(self)
    }

    fn check_numbers(&self) -> Result<(), RecipeError> {
        // The field is put into words only when it is wrong: plans of 100,000 recipes come through here.
        let number = |(name, layer): (&str, Option<&TextLayer>), value: f64, low: f64, high: f64, range| {
            if value.is_finite() && (low..=high).contains(&value) {
                return Ok(());
            }
            let field = match layer {
                Some(layer) => format!("{name} of the text layer {:?}", layer.name),
                None => name.to_owned(),
            };
            Err(RecipeError::Number { field, value, range })
        };
        if let Some(steps) = self.settings.steps {
            number(("steps", None), f64::from(steps), 1.0, 1000.0, "steps go from 1 to 1000")?;
        }
        if let Some(guidance) = self.settings.guidance {
            number(("guidance", None), guidance, 0.0, 100.0, "guidance goes from 0 to 100")?;
        }
        if let Some(strength) = self.settings.strength {
            number(("strength", None), strength, 0.0, 1.0, "strength goes from 0 to 1")?;
        }
        if let Some(feather) = self.settings.mask_feather {
            number(
                ("mask_feather", None),
                f64::from(feather),
                0.0,
                f64::from(FEATHER_MAX),
                "a mask's feather goes from 0 to 1024 pixels",
            )?;
        }
        if let Some(strength) = self.draft.as_ref().and_then(|draft| draft.strength) {
            number(("draft.strength", None), strength, 0.0, 1.0, "strength goes from 0 to 1")?;
        }
        for adapter in &self.adapters {
            number(("adapter weight", None), adapter.weight, -10.0, 10.0, "weights go from -10 to 10")?;
        }
        for layer in &self.text {
            let style = &layer.style;
            let [x, y, w, h] = style.area;
            for value in [x, y, w, h] {
                number(
                    ("area", Some(layer)),
                    value,
                    0.0,
                    1.0,
                    "areas are [x, y, width, height] in fractions from 0 to 1",
                )?;
            }
            for value in [x + w, y + h] {
                number(("area", Some(layer)), value, 0.0, 1.000_001, "an area may not reach beyond the picture")?;
            }
            number(("width", Some(layer)), w, 0.001, 1.0, "an area needs a width above 0")?;
            number(("height", Some(layer)), h, 0.001, 1.0, "an area needs a height above 0")?;
            number(
                ("size", Some(layer)),
                style.size,
                0.001,
                2.0,
                "sizes are fractions of the picture's height above 0",
            )?;
            number(
                ("size_min", Some(layer)),
                style.size_min,
                0.001,
                style.size,
                "size_min is above 0 and at most size",
            )?;
            number(("lines_max", Some(layer)), f64::from(style.lines_max), 1.0, 20.0, "1 to 20 lines")?;
            number(("line_height", Some(layer)), style.line_height, 0.5, 4.0, "line heights go from 0.5 to 4")?;
            number(("tracking", Some(layer)), style.tracking, -0.2, 2.0, "tracking goes from -0.2 to 2")?;
            number(("arc", Some(layer)), style.arc, -180.0, 180.0, "arcs go from -180 to 180 degrees")?;
            if let Some(outline) = style.outline {
                number(("outline.width", Some(layer)), outline.width, 0.0, 0.5, "outlines go from 0 to 0.5")?;
            }
            if let Some(shadow) = style.shadow {
                number(("shadow.opacity", Some(layer)), shadow.opacity, 0.0, 1.0, "opacity goes from 0 to 1")?;
                number(("shadow.blur", Some(layer)), shadow.blur, 0.0, 1.0, "blur goes from 0 to 1")?;
                for offset in shadow.offset {
                    number(("shadow.offset", Some(layer)), offset, -2.0, 2.0, "offsets go from -2 to 2")?;
                }
            }
            if let Some(plate) = style.plate {
                number(("plate.opacity", Some(layer)), plate.opacity, 0.0, 1.0, "opacity goes from 0 to 1")?;
                number(("plate.radius", Some(layer)), plate.radius, 0.0, 0.5, "radius goes from 0 to 0.5")?;
                for padding in plate.padding {
                    number(("plate.padding", Some(layer)), padding, 0.0, 4.0, "padding goes from 0 to 4")?;
                }
            }
        }
        Ok(())
    }

    /// BLAKE3 of what was decided.
    pub fn planned_key(&self) -> PlannedKey {
        self.key_with(&self.text)
    }

    /// BLAKE3 of what was decided of the art, without the words over it: the same for every locale of an asset.
    pub fn art_key(&self) -> PlannedKey {
        self.key_with(&[])
    }

    fn key_with(&self, text: &[TextLayer]) -> PlannedKey {
        let mut canon = Canon::new(&canon::PLANNED);
        if let Some(template) = &self.template {
            canon.text("template", &template.name);
            canon.integer("template.version", u64::from(template.version));
        }
        canon.text("prompt", &self.prompt);
        canon.text_if("negative", &self.negative);
        if let Some(model) = &self.model {
            canon.text("model", model.as_str());
        }
        canon.text("intent", self.intent.word());
        canon.text("tier", self.tier.word());
        if let Some(seed) = self.seed {
            canon.integer("seed", seed);
        }
        canon.integer("width", u64::from(self.size.width));
        canon.integer("height", u64::from(self.size.height));
        canon::settings(&mut canon, &self.settings);
        for adapter in &self.adapters {
            canon.bytes("adapter", adapter.content.as_bytes());
            canon.number("adapter.weight", adapter.weight);
        }
        if let Some(art) = &self.art {
            canon.bytes("art", art.content.as_bytes());
        }
        if let Some(edit) = &self.edit {
            canon.text("edit", edit.operation.word());
            for image in &edit.images {
                canon.bytes("edit.image", image.as_bytes());
            }
            if let Some(mask) = &edit.mask {
                canon.bytes("edit.mask", mask.as_bytes());
            }
        }
        if let Some(draft) = &self.draft {
            draft.write(&mut canon);
        }
        for colour in &self.brand {
            canon.bytes("brand", &colour.0);
        }
        for layer in text {
            canon::text_layer(&mut canon, layer);
        }
        for step in &self.post {
            match step {
                PostStep::Mirror => canon.text("post", "mirror"),
                PostStep::Grayscale => canon.text("post", "grayscale"),
                PostStep::Vignette { percent } => {
                    canon.text("post", "vignette");
                    canon.integer("post.percent", u64::from(*percent));
                }
            }
        }
        PlannedKey(canon.finish())
    }

    /// The seed to draw with: the one that was named, or one that follows from the art key,
    /// so that all locales of an asset show the same art under their words. A picture made from a draft has the draft's.
    pub fn drawing_seed(&self) -> u64 {
        if let Some(draft) = self.as_draft() {
            return draft.drawing_seed();
        }
        self.seed.unwrap_or_else(|| {
            let mut bytes = [0_u8; 8];
            bytes.copy_from_slice(&self.art_key().0[..8]);
            u64::from_le_bytes(bytes) & limits::SEED_MAX
        })
    }
}

impl Realisation {
    /// The planned key and everything that drew it, as one key.
    pub fn key(&self, planned: PlannedKey) -> RealisedKey {
        let mut canon = Canon::new(&canon::REALISED);
        canon.bytes("planned", planned.as_bytes());
        canon.text("engine", &self.engine);
        canon.text("engine.version", &self.engine_version);
        canon.text("wire_model", &self.wire_model);
        if let Some(weights) = &self.weights {
            canon.bytes("weights", weights.as_bytes());
        }
        canon.text("device_class", &self.device_class);
        canon.integer("seed", self.seed);
        for (name, value) in &self.settings {
            canon.text("setting", name);
            canon.text("setting.value", value);
        }
        for field in &self.dropped {
            canon.text("dropped", field);
        }
        RealisedKey(canon.finish())
    }
}

/// NFC, every run of white space one space, none at the ends.
pub fn one_line(text: &str) -> String {
    if text.is_ascii() {
        words(text.split_ascii_whitespace())
    } else {
        words(text.nfc().collect::<String>().split_whitespace())
    }
}

/// NFC with line breaks kept: each line as [`one_line`], no empty lines at the ends.
pub fn lines(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(one_line).collect();
    lines.join("\n").trim_matches('\n').to_owned()
}

fn words<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut line = String::new();
    for word in words {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line
}

#[cfg(test)]
mod tests;
