//! The built-in engine: placeholder art from `thumbforge-art`. It never pretends to be a model.

use thumbforge_art::{scene, text};
use thumbforge_core::recipe::Intent;
use thumbforge_core::text_layer::Place;

use super::{Control, Drawn, Engine, EngineError, Order};
use crate::output::provenance::Credit;
use crate::router::{EngineCard, Field};

/// Draws scenes.
pub(super) struct Builtin;

/// Versions of art and of text setting together: either changes pixels.
pub(super) fn card() -> EngineCard {
    EngineCard {
        version: format!("{}.{}", scene::VERSION, text::VERSION),
        device_class: "any".to_owned(),
        honours: &[Field::Negative, Field::Seed, Field::Composition, Field::Subject, Field::Brand],
        local: None,
    }
}

impl Engine for Builtin {
    fn name(&self) -> &'static str {
        "builtin"
    }

    fn card(&self) -> EngineCard {
        card()
    }

    fn draw(&self, order: &Order<'_>, control: &Control<'_>) -> Result<Drawn, EngineError> {
        let Order { recipe, realisation, .. } = order;
        if control.is_cancelled() {
            return Err(EngineError::Cancelled);
        }
        // Words that go where the art is calm are nothing to make room for.
        let placed = recipe.text.iter().filter(|layer| layer.style.place == Place::Area);
        let keep_free: Vec<[f64; 4]> = placed.map(|layer| layer.style.area).collect();
        let request = scene::SceneRequest {
            prompt: &recipe.prompt,
            negative: &recipe.negative,
            seed: realisation.seed,
            extent: recipe.size,
            brand: &recipe.brand,
            composition: recipe.settings.composition.as_deref(),
            subject: recipe.settings.subject.as_deref(),
            keep_free: &keep_free,
            intent: if recipe.intent == Intent::Icon { scene::SceneIntent::Icon } else { scene::SceneIntent::Scene },
        };
        let scene = scene::draw(&request).map_err(|err| EngineError::Recipe(err.to_string()))?;
        let credits = scene
            .credits
            .iter()
            .map(|credit| Credit {
                work: credit.work.to_string(),
                author: credit.author.to_string(),
                licence: credit.licence.to_string(),
                source: credit.source.to_string(),
            })
            .collect();
        Ok(Drawn { image: scene.image, credits, findings: Vec::new() })
    }
}
