//! Provenance: what a PNG says about how it came to be, for machines (JSON) and for the readers of
//! AUTOMATIC1111's `parameters`.
//!
//! It is a function of the realised key: everything that decides pixels stands in it and nothing else does.
//! Paths and the names of text layers are therefore left out; two people who keep the same art in different
//! folders get the same bytes. Time, host and verdict live in the journal and in the report.

use serde::{Deserialize, Serialize};
use thumbforge_core::id::{PlannedKey, RealisedKey};
use thumbforge_core::model::ModelId;
use thumbforge_core::recipe::{Realisation, Recipe, TemplateRef, Tier};

/// Version of the JSON. History: 1, the first.
///
/// A later version may add fields that readers of version 1 pass over; it is raised when one changes its meaning.
pub const PROVENANCE_VERSION: u32 = 1;

/// What the `thumbforge` chunk of a PNG holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Which [`PROVENANCE_VERSION`] wrote it.
    pub version: u32,
    /// Key of what was decided.
    pub planned_key: PlannedKey,
    /// Key of what drew it.
    pub realised_key: RealisedKey,
    /// What drew it: engine, engine_version, wire_model, weights, device_class, seed, dropped.
    #[serde(flatten)]
    pub realisation: Realisation,
    /// Model of the catalogue.
    pub model: ModelId,
    /// The model that it stands in for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placeholder_for: Option<ModelId>,
    /// Template and version; absent for a bare prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<TemplateRef>,
    /// Draft or final.
    pub tier: Tier,
    /// What was decided, without paths and names that decide no pixel.
    pub recipe: Recipe,
    /// Works of others that were drawn into the picture.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub credits: Vec<Credit>,
}

/// A work of somebody else within a picture, as its licence asks to be named.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Credit {
    /// Title of the work.
    pub work: String,
    /// Who made it.
    pub author: String,
    /// Its licence, as an SPDX id where there is one.
    pub licence: String,
    /// Where it comes from.
    pub source: String,
}

impl Provenance {
    /// The provenance of a picture that `realisation` drew from `recipe`; the keys follow from these two.
    ///
    /// `credits` must follow from recipe and realisation too; they are sorted, so their order is nobody's concern.
    pub fn new(
        recipe: &Recipe,
        realisation: Realisation,
        model: ModelId,
        placeholder_for: Option<ModelId>,
        mut credits: Vec<Credit>,
    ) -> Self {
        credits.sort();
        credits.dedup();
        let planned_key = recipe.planned_key();
        Self {
            version: PROVENANCE_VERSION,
            planned_key,
            realised_key: realisation.key(planned_key),
            realisation,
            model,
            placeholder_for,
            template: recipe.template.clone(),
            tier: recipe.tier,
            recipe: anonymous(recipe.clone()),
            credits,
        }
    }

    /// Whether both keys follow from the recipe and the realisation: nobody edited one and not the other.
    pub fn keys_agree(&self) -> bool {
        let planned_key = self.recipe.planned_key();
        planned_key == self.planned_key && self.realisation.key(planned_key) == self.realised_key
    }

    /// The text that readers of AUTOMATIC1111's images expect under `parameters`.
    ///
    /// A field that was never decided is left out rather than guessed.
    /// The version is that of the engine, not of this program: the same realised key gives the same bytes.
    pub fn parameters(&self) -> String {
        let settings = &self.recipe.settings;
        let realisation = &self.realisation;
        let mut fields = Vec::new();
        let mut field = |name: &str, value: String| fields.push(format!("{name}: {}", quoted(value)));
        // A model of this machine says what it was drawn with, whether a person named it or its card did.
        let drawn = |name: &str| realisation.settings.get(name).filter(|_| realisation.engine == "local").cloned();
        if let Some(steps) = drawn("steps").or(settings.steps.map(|steps| steps.to_string())) {
            field("Steps", steps);
        }
        if let Some(sampler) = drawn("sampler").or(settings.sampler.clone()) {
            field("Sampler", sampler);
        }
        if let Some(guidance) = drawn("guidance").or(settings.guidance.map(|guidance| guidance.to_string())) {
            field("CFG scale", guidance);
        }
        field("Seed", realisation.seed.to_string());
        field("Size", self.recipe.size.to_string());
        field("Model", self.model.to_string());
        if let Some(strength) = settings.strength {
            field("Denoising strength", strength.to_string());
        }
        field("Version", format!("thumbforge {} {}", realisation.engine, realisation.engine_version));

        let mut text = self.recipe.prompt.clone();
        if !self.recipe.negative.is_empty() {
            text.push_str("\nNegative prompt: ");
            text.push_str(&self.recipe.negative);
        }
        text.push('\n');
        text.push_str(&fields.join(", "));
        text
    }
}

/// Without what decides no pixel and so stands in no key.
fn anonymous(mut recipe: Recipe) -> Recipe {
    if let Some(art) = &mut recipe.art {
        art.path.clear();
    }
    for (at, layer) in recipe.text.iter_mut().enumerate() {
        layer.name = (at + 1).to_string();
        if let Some(font) = layer.style.font.as_mut().filter(|font| font.content.is_some()) {
            font.path.clear();
        }
    }
    recipe
}

/// AUTOMATIC1111 writes a value that holds its separators as a JSON string.
fn quoted(value: String) -> String {
    if value.contains([',', ':', '\n', '"']) { serde_json::Value::String(value).to_string() } else { value }
}

#[cfg(test)]
pub(crate) mod tests;
