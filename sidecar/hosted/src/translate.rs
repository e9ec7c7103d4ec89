//! From a recipe to what a model can be asked: size, quality, seed, sampling, form of the mask. Pure.
//!
//! Nothing is dropped in silence. What a model cannot honour is listed as unmet, for the router to refuse or to drop;
//! what is honoured in other terms is listed in the settings, which become part of the picture's provenance and key.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use bytes::Bytes;
use thumbforge_core::job::Outcome;
use thumbforge_core::model::{Capabilities, MaskForm, ModelRow, SeedUse};
use thumbforge_core::recipe::{Operation, Recipe};
use thumbforge_core::sampling::Table;

use crate::adapter::{Adapter, Protocol};
use crate::call::{Call, Task};
use crate::endpoint::Endpoint;
use crate::fault::Fault;
use crate::mask;

pub use crate::call::AskedSize;

pub mod quality;
pub mod size;

/// What samplers are called where; read once, since every job of a plan comes through here.
static SAMPLING: LazyLock<Table> = LazyLock::new(Table::built_in);

/// Largest seed that every provider takes; the smallest is 1, because some take 0 for "any".
pub const SEED_MAX: u64 = 2_147_483_647;

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

/// The seed that stands for `seed` at every provider: itself where it is in 1..=[`SEED_MAX`], or else one that follows
/// from it.
pub fn fold_seed(seed: u64) -> u64 {
    if (1..=SEED_MAX).contains(&seed) { seed } else { seed % SEED_MAX + 1 }
}

/// What the model of `row` is asked for `recipe`, drawn with `seed`.
///
/// How a mask is softened, and what becomes of what it leaves alone, is asked of no model: whoever composes the picture does it.
pub fn translate(recipe: &Recipe, row: &ModelRow, protocol: Protocol, seed: u64) -> Translated {
    let can = &row.can;
    let task = match recipe.edit.as_ref().map(|edit| edit.operation) {
        None => Task::Generate,
        Some(Operation::Edit) => Task::Edit,
        Some(Operation::Upscale) => Task::Upscale,
    };
    let mut notes = Notes::default();
    let size = match size::choose(recipe.size, can, protocol, task) {
        Ok(chosen) => {
            notes.record("size", &recipe.size.to_string(), &size::words(&chosen));
            chosen
        }
        Err(why) => {
            notes.unmet("size", why);
            AskedSize::Free
        }
    };
    let quality = match quality::choose(recipe.settings.quality.as_deref(), can) {
        Ok(word) => {
            notes.record("quality", recipe.settings.quality.as_deref().unwrap_or_default(), &word);
            word
        }
        Err(why) => {
            notes.unmet("quality", why);
            quality::choose(None, can).unwrap_or_default()
        }
    };
    let seed_sent = (can.seed != SeedUse::None).then(|| fold_seed(seed));
    match seed_sent {
        Some(folded) => notes.record("seed", &seed.to_string(), &folded.to_string()),
        // A derived seed was nobody's wish.
        None if recipe.seed.is_some() => notes.unmet("seed", "it takes no seed".to_owned()),
        None => {}
    }
    if !recipe.brand.is_empty() {
        notes.settings.insert("brand".to_owned(), "prompt".to_owned());
    }
    let mask = pictures(recipe, can, task, &mut notes);
    let strength = match recipe.settings.strength {
        Some(_) if task != Task::Edit => {
            notes.unmet("strength", "no picture is changed".to_owned());
            None
        }
        strength => notes.taken("strength", strength, can.strength),
    };
    if !recipe.negative.is_empty() && !can.negative {
        notes.unmet("negative", "it takes no negative prompt".to_owned());
    }
    for (field, named) in
        [("composition", recipe.settings.composition.is_some()), ("subject", recipe.settings.subject.is_some())]
    {
        if named {
            notes.unmet(field, "only the built-in engine has any".to_owned());
        }
    }
    let settings = &recipe.settings;
    for (field, named) in
        [("noise", settings.noise.is_some()), ("dtype", settings.dtype.is_some()), ("slg", settings.slg.is_some())]
    {
        if named {
            notes.unmet(field, "only models with weights on this machine have it".to_owned());
        }
    }
    if !recipe.adapters.is_empty() && !can.adapters {
        notes.unmet("adapters", "it takes no adapters".to_owned());
    }
    let sampling = SAMPLING.translate(row, &recipe.settings);
    for field in ["guidance", "sampler", "steps"] {
        if sampling.dropped.iter().any(|dropped| dropped == field) {
            notes.unmet(field, format!("it takes no {field}"));
        }
    }
    let (named, given) = (&recipe.settings, sampling.given);
    let text = |number: Option<f64>| number.map(|number| number.to_string()).unwrap_or_default();
    notes.record("steps", &text(named.steps.map(f64::from)), &text(given.steps.map(f64::from)));
    notes.record("guidance", &text(named.guidance), &text(given.guidance));
    notes.record("sampler", named.sampler.as_deref().unwrap_or_default(), given.sampler.as_deref().unwrap_or_default());
    Translated {
        task,
        size,
        quality,
        seed: seed_sent,
        steps: given.steps,
        guidance: given.guidance,
        sampler: given.sampler,
        strength,
        mask,
        settings: notes.settings,
        unmet: notes.unmet,
    }
}

/// Whether the pictures of the recipe can be changed, and in which form their mask goes.
fn pictures(recipe: &Recipe, can: &Capabilities, task: Task, notes: &mut Notes) -> Option<MaskForm> {
    let images = recipe.edit.as_ref().map_or(0, |edit| edit.images.len());
    let images_max = can.edit.unwrap_or(0) as usize;
    match task {
        Task::Generate if can.generate == Some(false) => {
            notes.unmet("edit", "it only changes pictures, and the recipe has none".to_owned());
        }
        Task::Edit if images_max == 0 => notes.unmet("edit", "it changes no pictures".to_owned()),
        Task::Edit if images > images_max => {
            notes.unmet("edit", format!("it looks at {images_max} pictures at most, and the recipe has {images}"));
        }
        Task::Upscale if !can.upscale => notes.unmet("edit", "it makes no pictures larger".to_owned()),
        Task::Upscale if images > 1 => {
            notes.unmet("edit", format!("it makes one picture larger, and the recipe has {images}"));
        }
        _ => {}
    }
    recipe.edit.as_ref().and_then(|edit| edit.mask)?;
    match can.mask {
        Some(form) if task == Task::Edit => Some(form),
        _ => {
            notes.unmet("mask", "it takes no mask".to_owned());
            None
        }
    }
}

/// What is found while fields are gone through.
#[derive(Default)]
struct Notes {
    settings: BTreeMap<String, String>,
    unmet: Vec<Unmet>,
}

impl Notes {
    fn unmet(&mut self, field: &'static str, why: String) {
        self.unmet.push(Unmet { field, why });
    }

    /// Keeps what is asked, where the recipe does not say the same.
    fn record(&mut self, field: &str, named: &str, asked: &str) {
        if !asked.is_empty() && asked != named {
            self.settings.insert(field.to_owned(), asked.to_owned());
        }
    }

    /// The value where the model takes such; unmet where it does not and one was named.
    fn taken<T>(&mut self, field: &'static str, named: Option<T>, takes: bool) -> Option<T> {
        if named.is_some() && !takes {
            self.unmet(field, format!("it takes no {field}"));
            return None;
        }
        named
    }
}

/// A picture of one pixel, to stand for those that are not there yet.
const PIXEL: &[u8] =
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x00\x00\x00\x00\x3a\x7e\x9b\x55\
    \x00\x00\x00\x0aIDAT\x78\x9c\x63\xf8\x0f\x00\x01\x01\x01\x00\xb1\x38\xf6\x14\x00\x00\x00\x00IEND\xae\x42\x60\x82";

impl Translated {
    /// Why `adapter` cannot say all of it in one request, before there is any picture; nothing where it can.
    ///
    /// A row says what its model can; some cannot be had at once, such as a mask with a negative prompt. Only the adapter
    /// knows, and a router that asks it here need not find out when the call is due.
    pub fn objection(
        &self,
        recipe: &Recipe,
        row: &ModelRow,
        adapter: &dyn Adapter,
        endpoint: &Endpoint,
    ) -> Option<String> {
        let pixel = || Bytes::from_static(PIXEL);
        let images = recipe.edit.iter().flat_map(|edit| &edit.images).map(|_| pixel()).collect();
        let mask = self.mask.map(|_| pixel());
        let call = self.clone().call(recipe, row, images, mask, String::new());
        call.and_then(|call| adapter.begin(endpoint, &call)).err().map(|fault| fault.message)
    }

    /// The call, with the pictures of the recipe's edit and its mask, which is brought into the model's form.
    ///
    /// Fields that the model cannot honour are left out: whoever calls this was allowed to drop them.
    ///
    /// # Errors
    /// `bad_request` for a picture that is missing, or a mask that does not fit.
    pub fn call(
        self,
        recipe: &Recipe,
        row: &ModelRow,
        images: Vec<Bytes>,
        mask: Option<Bytes>,
        nonce: String,
    ) -> Result<Call, Fault> {
        if self.task != Task::Generate && images.is_empty() {
            return Err(Fault::new(Outcome::BadRequest, "change a picture: there is none"));
        }
        let mask = match (self.mask, mask, images.first()) {
            (Some(form), Some(mask), Some(first)) => Some(
                mask::convert(form, &mask, first)
                    .map_err(|error| Fault::new(Outcome::BadRequest, error.to_string()))?,
            ),
            _ => None,
        };
        Ok(Call {
            task: self.task,
            model: row.wire.clone().unwrap_or_default(),
            prompt: prompt(recipe),
            negative: if row.can.negative { recipe.negative.clone() } else { String::new() },
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

/// The prompt, with the brand's colours named behind it: no hosted model has a field for colours.
fn prompt(recipe: &Recipe) -> String {
    if recipe.brand.is_empty() {
        return recipe.prompt.clone();
    }
    let colours: Vec<String> = recipe.brand.iter().map(ToString::to_string).collect();
    format!("{} Keep to these brand colours: {}.", recipe.prompt, colours.join(", ")).trim_start().to_owned()
}

#[cfg(test)]
mod tests;
