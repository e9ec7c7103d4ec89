//! How a model would be asked for a recipe: a look at the translation, for the plan.

use std::collections::BTreeMap;

use thumbforge_core::model::{ModelRow, SeedUse};
use thumbforge_core::recipe::{Operation, Recipe};
use thumbforge_hosted::Protocol;
use thumbforge_hosted::call::{AskedSize, Task};

use super::{Field, Lacks};

/// What a plan needs to know of a translation.
pub(super) struct Asking {
    pub(super) task: Task,
    pub(super) size: AskedSize,
    pub(super) quality: String,
    pub(super) settings: BTreeMap<String, String>,
    pub(super) lacks: Vec<Lacks>,
    /// Version of whatever decides pixels besides the model.
    pub(super) version: String,
}

impl Asking {
    pub(super) fn new(recipe: &Recipe, row: &ModelRow, _protocol: Protocol, _seed: u64) -> Self {
        let can = &row.can;
        let honoured = |field: Field| match field {
            Field::Negative => can.negative,
            Field::Seed => can.seed != SeedUse::None,
            Field::Steps | Field::Sampler => can.sampling,
            Field::Guidance => can.guidance,
            Field::Strength => can.strength,
            Field::Adapters => can.adapters,
            Field::Quality => !can.qualities.is_empty(),
            Field::Edit => can.edit.is_some(),
            Field::Mask => can.mask.is_some(),
            Field::Composition | Field::Subject | Field::Brand => false,
        };
        let lacks = Field::ALL.into_iter().filter(|field| field.is_named(recipe) && !honoured(*field));
        let task = match recipe.edit.as_ref().map(|edit| edit.operation) {
            None => Task::Generate,
            Some(Operation::Edit) => Task::Edit,
            Some(Operation::Upscale) => Task::Upscale,
        };
        Self {
            task,
            size: AskedSize::Pixels(recipe.size),
            quality: recipe.settings.quality.clone().unwrap_or_else(|| "medium".to_owned()),
            settings: BTreeMap::new(),
            lacks: lacks.map(|field| Lacks::new(field.word(), "")).collect(),
            version: "1".to_owned(),
        }
    }
}
