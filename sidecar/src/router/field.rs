//! Fields of a recipe that not every engine can honour, and what the engines of this machine say of themselves.

use std::collections::BTreeMap;
use std::sync::Arc;

use thumbforge_core::recipe::Recipe;

use super::LocalModels;

/// What an engine of this machine says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineCard {
    /// Version; raised when it draws differently.
    pub version: String,
    /// Class of device that gives the same bytes.
    pub device_class: String,
    /// Fields of a recipe that it honours.
    pub honours: &'static [Field],
    /// The models with weights that it has, for an engine that has such.
    pub local: Option<Arc<LocalModels>>,
}

impl EngineCard {
    /// Whether it says the same as `other`. Models are compared by where they lie: they are made anew when they change.
    pub(crate) fn is(&self, other: &Self) -> bool {
        let models = match (&self.local, &other.local) {
            (Some(ours), Some(theirs)) => Arc::ptr_eq(ours, theirs),
            (None, None) => true,
            _ => false,
        };
        models
            && self.version == other.version
            && self.device_class == other.device_class
            && self.honours == other.honours
    }
}

/// The engines of this machine by name.
pub type EnginesHere = BTreeMap<String, EngineCard>;

/// Fields of a recipe that not every engine can honour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field {
    /// Negative prompt.
    Negative,
    /// Seed.
    Seed,
    /// Denoising steps.
    Steps,
    /// Guidance scale.
    Guidance,
    /// Sampler.
    Sampler,
    /// Edit strength.
    Strength,
    /// Composition by name.
    Composition,
    /// Subject by name.
    Subject,
    /// LoRA files.
    Adapters,
    /// Brand colours.
    Brand,
    /// How much work a model puts into it.
    Quality,
    /// Pictures that are changed.
    Edit,
    /// Where they are changed.
    Mask,
    /// Where noise comes from.
    Noise,
    /// Number format.
    Dtype,
    /// Skip-layer guidance.
    Slg,
    /// The softened edge of a mask.
    MaskFeather,
    /// What becomes of what a mask leaves alone.
    MaskMode,
}

impl Field {
    pub(super) const ALL: [Self; 18] = [
        Self::Negative,
        Self::Seed,
        Self::Steps,
        Self::Guidance,
        Self::Sampler,
        Self::Strength,
        Self::Composition,
        Self::Subject,
        Self::Adapters,
        Self::Brand,
        Self::Quality,
        Self::Edit,
        Self::Mask,
        Self::Noise,
        Self::Dtype,
        Self::Slg,
        Self::MaskFeather,
        Self::MaskMode,
    ];

    /// The word in requests and reports.
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
            Self::Edit => "edit",
            Self::Mask => "mask",
            Self::Noise => "noise",
            Self::Dtype => "dtype",
            Self::Slg => "slg",
            Self::MaskFeather => "mask_feather",
            Self::MaskMode => "mask_mode",
        }
    }

    /// Whether the field of this word is what is asked for, rather than how: without it another picture would be paid for.
    pub(super) fn is_the_task(word: &str) -> bool {
        [Self::Edit.word(), Self::Mask.word()].contains(&word)
    }

    pub(super) fn is_named(self, recipe: &Recipe) -> bool {
        match self {
            Self::Negative => !recipe.negative.is_empty(),
            Self::Seed => recipe.seed.is_some(),
            Self::Steps => recipe.settings.steps.is_some(),
            Self::Guidance => recipe.settings.guidance.is_some(),
            Self::Sampler => recipe.settings.sampler.is_some(),
            Self::Strength => recipe.settings.strength.is_some(),
            Self::Composition => recipe.settings.composition.is_some(),
            Self::Subject => recipe.settings.subject.is_some(),
            Self::Adapters => !recipe.adapters.is_empty(),
            Self::Brand => !recipe.brand.is_empty(),
            Self::Quality => recipe.settings.quality.is_some(),
            Self::Edit => recipe.edit.is_some(),
            Self::Mask => recipe.edit.as_ref().is_some_and(|edit| edit.mask.is_some()),
            Self::Noise => recipe.settings.noise.is_some(),
            Self::Dtype => recipe.settings.dtype.is_some(),
            Self::Slg => recipe.settings.slg.is_some(),
            Self::MaskFeather => recipe.settings.mask_feather.is_some(),
            Self::MaskMode => recipe.settings.mask_mode.is_some(),
        }
    }
}
