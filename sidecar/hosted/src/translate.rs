//! From a recipe to what a model can be asked: size, quality, seed, sampling, form of the mask. Pure.

use std::collections::BTreeMap;

use bytes::Bytes;
use thumbforge_core::model::{MaskForm, ModelRow};
use thumbforge_core::recipe::Recipe;

use crate::adapter::Protocol;
use crate::call::{AskedSize, Call, Task};
use crate::fault::Fault;

/// A recipe in a model's own terms.
#[derive(Debug, Clone, PartialEq)]
pub struct Translated {
    /// What is to be done.
    pub task: Task,
    /// How large a picture is asked for.
    pub size: AskedSize,
    /// How much work goes into it, in the model's word; empty where it has none.
    pub quality: String,
    /// The seed in the provider's range; absent where it takes none.
    pub seed: Option<u64>,
    /// Denoising steps.
    pub steps: Option<u32>,
    /// Guidance scale.
    pub guidance: Option<f64>,
    /// Sampler, in the backend's word.
    pub sampler: Option<String>,
    /// How far an edit may leave the picture.
    pub strength: Option<f64>,
    /// The form that the mask is sent in; absent where there is none.
    pub mask: Option<MaskForm>,
    /// What is recorded of it in the render, where it differs from the recipe or adds to it.
    pub settings: BTreeMap<String, String>,
    /// Fields of the recipe that the model cannot honour.
    pub unmet: Vec<Unmet>,
}

/// A field of a recipe that a model cannot honour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmet {
    /// Its word.
    pub field: &'static str,
    /// Why, for people; fits behind "because".
    pub why: String,
}

/// What the model of `row` is asked for `recipe`, drawn with `seed`.
pub fn translate(recipe: &Recipe, _row: &ModelRow, _protocol: Protocol, seed: u64) -> Translated {
    Translated {
        task: Task::Generate,
        size: AskedSize::Pixels(recipe.size),
        quality: String::new(),
        seed: Some(seed),
        steps: None,
        guidance: None,
        sampler: None,
        strength: None,
        mask: None,
        settings: BTreeMap::new(),
        unmet: Vec::new(),
    }
}

impl Translated {
    /// The call, with the pictures of the recipe's edit and its mask, which is brought into the model's form.
    ///
    /// # Errors
    /// `bad_request` for a mask that is no PNG.
    pub fn call(
        self,
        recipe: &Recipe,
        row: &ModelRow,
        images: Vec<Bytes>,
        mask: Option<Bytes>,
        nonce: String,
    ) -> Result<Call, Fault> {
        Ok(Call {
            task: self.task,
            model: row.wire.clone().unwrap_or_else(|| row.id.as_str().to_owned()),
            prompt: recipe.prompt.clone(),
            negative: recipe.negative.clone(),
            size: self.size,
            quality: self.quality,
            count: 1,
            seed: self.seed,
            steps: self.steps,
            guidance: self.guidance,
            sampler: self.sampler,
            strength: self.strength,
            images,
            mask,
            nonce,
        })
    }
}
