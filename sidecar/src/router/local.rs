//! Models with weights on this machine: which are here, and what one is asked for a recipe.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use thumbforge_core::id::ContentHash;
use thumbforge_core::model::{ModelId, ModelRow};
use thumbforge_core::recipe::{Dtype, Operation, Recipe};
use thumbforge_core::sampling::Table;

use super::Lacks;
use super::masked::masked;

/// What samplers are called; read once, since every job of a plan comes through here.
static SAMPLING: LazyLock<Table> = LazyLock::new(Table::built_in);

/// Begins the id of a model that is in no catalogue; its files come with the job.
pub const OWN_MODEL: &str = "local:";
/// The sampler where nobody names one: what SD3.5's cards use.
const SAMPLER: &str = "Euler (flow)";
/// Strength of an edit where nobody names one, as in diffusers.
const STRENGTH: f64 = 0.6;

/// The models of the local engine, and what it computes with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalModels {
    /// Those that are registered, whole or not.
    pub models: BTreeMap<ModelId, Local>,
    /// The number format where nobody names one: the fastest of the device.
    pub dtype: Dtype,
    /// The class of device that gives the same bytes, in 32-bit floating point.
    pub class_f32: String,
    /// The same in bfloat16.
    pub class_bf16: String,
}

/// How a model is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Local {
    /// It can be drawn with.
    Ready(LocalModel),
    /// It cannot; what is missing or wrong, and what to do.
    Lacking(String),
}

/// What a route needs of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalModel {
    /// Hash of everything that is drawn with.
    pub weights: ContentHash,
    /// What its card says, for what a recipe leaves open.
    pub defaults: LocalDefaults,
    /// Its text encoders, as in "clip_l+clip_g": one that is not there is another picture.
    pub encoders: String,
}

/// What a model is drawn with where nobody says otherwise. Numbers as text, as they stand in keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalDefaults {
    /// Denoising steps.
    pub steps: u32,
    /// Guidance scale in thousandths: what is compared and hashed is no floating point.
    pub guidance_milli: u32,
    /// Shift of the noise schedule in thousandths.
    pub shift_milli: u32,
}

impl LocalDefaults {
    /// The guidance scale.
    pub fn guidance(&self) -> f64 {
        f64::from(self.guidance_milli) / 1e3
    }

    /// The shift.
    pub fn shift(&self) -> f64 {
        f64::from(self.shift_milli) / 1e3
    }
}

impl LocalModels {
    /// The class of device for a number format.
    pub fn class(&self, dtype: Dtype) -> &str {
        match dtype {
            Dtype::F32 => &self.class_f32,
            Dtype::Bf16 => &self.class_bf16,
        }
    }
}

/// A recipe in the terms of a model of this machine.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LocalAsking {
    /// Everything that decides pixels and is not in the recipe, or not in these words.
    pub(super) settings: BTreeMap<String, String>,
    pub(super) dtype: Dtype,
    pub(super) lacks: Vec<Lacks>,
}

impl LocalAsking {
    pub(super) fn new(recipe: &Recipe, row: &ModelRow, models: &LocalModels, model: &LocalModel) -> Self {
        let named = &recipe.settings;
        let mut lacks = Vec::new();
        // Ranges are what a model of the catalogue is made for. Whoever brings files of their own knows them better.
        let translated = SAMPLING.translate(row, named);
        let own = row.id.as_str().starts_with(OWN_MODEL);
        let given = if own { named } else { &translated.given };
        let sampler = translated.given.sampler.as_deref().unwrap_or(SAMPLER);
        if named.sampler.is_some() && translated.given.sampler.is_none() {
            lacks.push(Lacks::new("sampler", format!("there are {}", SAMPLING.names().join(", "))));
        }
        let edit = recipe.edit.as_ref();
        if let Some(images) = edit.map(|edit| edit.images.len()).filter(|images| *images > 1) {
            lacks.push(Lacks::new("edit", format!("it looks at one picture, and the recipe has {images}")));
        }
        if named.strength.is_some() && edit.is_none() {
            lacks.push(Lacks::new("strength", "no picture is changed"));
        }
        let (of_mask, lacking) = masked(recipe);
        lacks.extend(lacking);
        let dtype = named.dtype.unwrap_or(models.dtype);
        let mut settings = BTreeMap::new();
        let mut set = |name: &str, value: String| settings.insert(name.to_owned(), value);
        set("steps", given.steps.unwrap_or(model.defaults.steps).to_string());
        set("guidance", given.guidance.unwrap_or_else(|| model.defaults.guidance()).to_string());
        set("shift", model.defaults.shift().to_string());
        set("sampler", sampler.to_owned());
        set("dtype", dtype.word().to_owned());
        set("noise", named.noise.unwrap_or_default().word().to_owned());
        set("encoders", model.encoders.clone());
        if let Some(slg) = &named.slg {
            set("slg", slg.to_string());
        }
        if let Some(edit) = edit {
            set("task", edit.operation.word().to_owned());
            // Diffusers' own default draws most of the picture anew; whoever upscales wants it kept.
            let strength = if edit.operation == Operation::Upscale { UPSCALE_STRENGTH } else { STRENGTH };
            set("strength", named.strength.unwrap_or(strength).to_string());
        }
        for (name, value) in of_mask {
            set(name, value);
        }
        Self { settings, dtype, lacks }
    }
}

/// Strength of an upscale where nobody names one: enough to draw detail, too little to draw another thing.
const UPSCALE_STRENGTH: f64 = 0.3;

/// What people should know of the settings that they named: a sampler that is another one here, numbers out of range.
pub fn notes(recipe: &Recipe, row: &ModelRow) -> Vec<String> {
    if row.id.as_str().starts_with(OWN_MODEL) {
        let sampler =
            thumbforge_core::recipe::Settings { sampler: recipe.settings.sampler.clone(), ..Default::default() };
        return SAMPLING.translate(row, &sampler).notes;
    }
    SAMPLING.translate(row, &recipe.settings).notes
}
