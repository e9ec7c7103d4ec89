//! How a model would be asked for a recipe: what a plan needs of the translation.

use std::collections::BTreeMap;

use thumbforge_art::text;
use thumbforge_core::model::ModelRow;
use thumbforge_core::recipe::Recipe;
use thumbforge_hosted::adapter::{Protocol, adapter};
use thumbforge_hosted::call::{AskedSize, Task};
use thumbforge_hosted::translate::translate;

use super::Lacks;

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
        let translated = translate(recipe, row, protocol, seed);
        Some(Self {
            task: translated.task,
            size: translated.size,
            quality: translated.quality,
            settings: translated.settings,
            lacks: translated.unmet.into_iter().map(|unmet| Lacks::new(unmet.field, unmet.why)).collect(),
            version: format!("{version}.{}", text::VERSION),
        })
    }
}
