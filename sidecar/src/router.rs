//! The router, first table: which engine draws a recipe on this machine. Pure.
//!
//! A named model is drawn by what has it, or refused; only `placeholder` lets the built-in engine stand in,
//! and then the route says for whom. Without a named model, the first engine of the intent's list that is here draws.

use std::collections::BTreeMap;

use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::job::Route;
use thumbforge_core::model::{Catalogue, Family, ModelId};
use thumbforge_core::recipe::{Intent, Realisation, Recipe, Tier};

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
    const ALL: [Self; 13] = [
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

    fn is_named(self, recipe: &Recipe) -> bool {
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

/// The engines of this machine by name.
pub type EnginesHere = BTreeMap<String, EngineCard>;

/// What a request allows the router.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowed {
    /// The built-in engine may stand in for a model that is not here.
    pub placeholder: bool,
    /// Fields that the route cannot honour may be dropped, and are then listed.
    pub lossy: bool,
}

/// Models to try when none is named, best first. The built-in engine ends every list: it is always here.
fn preferred(intent: Intent, tier: Tier) -> &'static [&'static str] {
    match (tier, intent) {
        (Tier::Preview, _) => &["sd3.5-large-turbo", "sd3.5-medium"],
        (Tier::Production, Intent::Typography | Intent::Layout) => &["ideogram-v2", "imagen-4-ultra", "sd3.5-large"],
        (Tier::Production, Intent::Hero | Intent::BrandColour) => &["imagen-4-ultra", "sd3.5-large", "sd3.5-medium"],
        (Tier::Production, _) => &["sd3.5-large", "sd3.5-medium", "imagen-4"],
    }
}

/// Where `recipe` is drawn on this machine.
///
/// # Errors
/// `model_unavailable` or `unsupported_field`, each saying what to do.
pub fn route(recipe: &Recipe, allowed: Allowed, catalogue: &Catalogue, here: &EnginesHere) -> Result<Route, Failure> {
    if recipe.art.is_some() {
        // What decides the art is the file; a model named beside it (by the tier, say) has no part in it.
        return to("file", ModelId::builtin(), None, recipe, Allowed { lossy: true, ..allowed }, here);
    }
    let Some(named) = &recipe.model else {
        let best = preferred(recipe.intent, recipe.tier)
            .iter()
            .filter_map(|name| catalogue.resolve(name).ok())
            .find(|row| engine_of(row.family).is_some_and(|engine| here.contains_key(engine)));
        return match best {
            Some(row) => {
                let engine = engine_of(row.family).unwrap_or("builtin");
                to(engine, row.id.clone(), None, recipe, allowed, here)
            }
            None => to("builtin", ModelId::builtin(), None, recipe, allowed, here),
        };
    };
    let row = catalogue.get(named);
    let engine = row.and_then(|row| engine_of(row.family));
    if let Some(engine) = engine.filter(|engine| here.contains_key(*engine)) {
        return to(engine, named.clone(), None, recipe, allowed, here);
    }
    if allowed.placeholder {
        // A stand-in is a draft of what is to come: what the real model would honour cannot be refused here.
        let allowed = Allowed { lossy: true, ..allowed };
        return to("builtin", ModelId::builtin(), Some(named.clone()), recipe, allowed, here);
    }
    let mend = match row.map(|row| row.family) {
        Some(Family::Local) => "its weights are not on this machine",
        Some(Family::Hosted) => "no provider is configured for it",
        _ => "no engine of this machine has it",
    };
    Err(Failure::new(
        ErrorCode::ModelUnavailable,
        format!(
            "failed to draw with {named}: {mend}; name another model, leave the model out, \
             or allow built-in art to stand in (--placeholder, or `placeholder = true` in the manifest)"
        ),
    ))
}

/// The engine that runs a family of models.
pub(crate) fn engine_of(family: Family) -> Option<&'static str> {
    match family {
        Family::Builtin => Some("builtin"),
        Family::Local => Some("local"),
        Family::Hosted => Some("hosted"),
    }
}

fn to(
    engine: &str,
    model: ModelId,
    placeholder_for: Option<ModelId>,
    recipe: &Recipe,
    allowed: Allowed,
    here: &EnginesHere,
) -> Result<Route, Failure> {
    let Some(card) = here.get(engine) else {
        return Err(Failure::new(
            ErrorCode::ModelUnavailable,
            format!("failed to draw with {model}: no engine {engine}"),
        ));
    };
    let dropped: Vec<&str> = Field::ALL
        .into_iter()
        .filter(|field| field.is_named(recipe) && !card.honours.contains(field))
        .map(Field::word)
        .collect();
    if !allowed.lossy && !dropped.is_empty() {
        return Err(Failure::new(
            ErrorCode::UnsupportedField,
            format!(
                "failed to draw with {model}: its engine {engine} cannot honour {}; leave it out or choose another model",
                dropped.join(", ")
            ),
        ));
    }
    let mut dropped: Vec<String> = dropped.into_iter().map(str::to_owned).collect();
    dropped.sort_unstable();
    let realisation = Realisation {
        engine: engine.to_owned(),
        engine_version: card.version.clone(),
        wire_model: model.as_str().to_owned(),
        weights: None,
        device_class: card.device_class.clone(),
        seed: recipe.drawing_seed(),
        settings: BTreeMap::new(),
        dropped,
    };
    Ok(Route::here(model, placeholder_for, realisation))
}

#[cfg(test)]
mod tests;
