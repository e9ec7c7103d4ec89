//! How a model would be asked for a recipe: what a plan needs of the translation.

use std::collections::BTreeMap;

use thumbforge_art::text;
use thumbforge_core::model::ModelRow;
use thumbforge_core::recipe::{MaskMode, Recipe};
use thumbforge_hosted::adapter::{Protocol, adapter};
use thumbforge_hosted::call::{AskedSize, Task};
use thumbforge_hosted::translate::translate;

use super::Lacks;
use super::masked::masked;

/// A recipe in the terms of a model and a protocol.
pub(super) struct Asking {
    pub(super) task: Task,
    pub(super) size: AskedSize,
    pub(super) quality: String,
    /// What becomes part of the picture's key.
    pub(super) settings: BTreeMap<String, String>,
    pub(super) lacks: Vec<Lacks>,
    /// Version of what asks and of what sets words over the answer: both decide pixels.
    pub(super) version: String,
}

impl Asking {
    /// `None` where this build does not speak the protocol.
    pub(super) fn new(recipe: &Recipe, row: &ModelRow, protocol: Protocol, seed: u64) -> Option<Self> {
        let version = adapter(protocol)?.version();
        let mut translated = translate(recipe, row, protocol, seed);
        let (of_mask, lacking) = masked(recipe);
        translated.settings.extend(of_mask.into_iter().map(|(name, value)| (name.to_owned(), value)));
        let unmet = translated.unmet.into_iter().map(|unmet| Lacks::new(unmet.field, unmet.why));
        let mut lacks: Vec<Lacks> = unmet.chain(lacking).collect();
        if recipe.edit.is_some() && recipe.settings.mask_mode == Some(MaskMode::Diffusers) {
            lacks.push(Lacks::new("mask_mode", "only models with weights on this machine draw as diffusers does"));
        }
        Some(Self {
            task: translated.task,
            size: translated.size,
            quality: translated.quality,
            settings: translated.settings,
            lacks,
            version: format!("{version}.{}", text::VERSION),
        })
    }
}
