//! Fields of a recipe that not every engine can honour, and what the engines of this machine say of themselves.

use std::collections::BTreeMap;

use thumbforge_core::recipe::Recipe;

/// What an engine of this machine says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineCard {
    /// Version; raised when it draws differently.
    pub version: String,
    /// Class of device that gives the same bytes.
    pub device_class: String,
    /// Fields of a recipe that it honours.
    pub honours: &'static [Field],
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
}

impl Field {
    pub(super) const ALL: [Self; 13] = [
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
        }
    }
}
