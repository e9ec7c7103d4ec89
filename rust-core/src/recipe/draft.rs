//! Finals that are made from drafts: drawn small, checked, and only then enlarged.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::canon::Canon;
use super::{Recipe, RecipeError, Tier};
use crate::image::Extent;
use crate::model::ModelId;

/// The draft that a picture is made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Draft {
    /// Size that it is drawn at.
    pub size: Extent,
    /// How it becomes larger.
    pub enlarge: Enlarge,
    /// The model that enlarges it, where one is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelId>,
    /// How far the larger picture may leave it, 0 (not at all) to 1, where a model draws it anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strength: Option<f64>,
}

/// How a draft becomes a final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Enlarge {
    /// By the model that is named; else by the local model that drew it; else by resampling.
    #[default]
    Auto,
    /// By a model, which draws detail; where it cannot, the picture fails.
    Model,
    /// By Lanczos resampling, which draws nothing.
    Lanczos,
}

impl Enlarge {
    /// The word in manifests and reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Model => "model",
            Self::Lanczos => "lanczos",
        }
    }
}

impl Draft {
    pub(super) fn write(&self, canon: &mut Canon) {
        let Self { size, enlarge, model, strength } = self;
        canon.integer("draft.width", u64::from(size.width));
        canon.integer("draft.height", u64::from(size.height));
        canon.text("draft.enlarge", enlarge.word());
        if let Some(model) = model {
            canon.text("draft.model", model.as_str());
        }
        if let Some(strength) = strength {
            canon.number("draft.strength", *strength);
        }
    }

    /// Whether `recipe` may be made from it.
    ///
    /// # Errors
    /// Its size, or that the recipe draws nothing.
    pub(super) fn check(&self, recipe: &Recipe) -> Result<(), RecipeError> {
        if recipe.edit.is_some() || recipe.art.is_some() {
            return Err(RecipeError::DraftOfEdit);
        }
        let (draft, last) = (self.size, recipe.size);
        let smaller = draft.width < last.width && draft.height < last.height;
        // Within a pixel of the draft: 512 x 288 becomes 1920 x 1080.
        let across = u64::from(draft.width) * u64::from(last.height);
        let down = u64::from(draft.height) * u64::from(last.width);
        let slack = u64::from(last.width.max(last.height));
        if smaller && across.abs_diff(down) <= slack { Ok(()) } else { Err(RecipeError::DraftSize { draft, last }) }
    }
}

impl Recipe {
    /// The draft of this picture, as tier `preview` draws it; `None` where it is drawn at its size from the start.
    pub fn as_draft(&self) -> Option<Self> {
        let draft = self.draft.as_ref()?;
        Some(Self { size: draft.size, tier: Tier::Preview, draft: None, ..self.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(width: u32, height: u32) -> Extent {
        Extent { width, height }
    }

    fn from(draft: Extent, last: Extent) -> Recipe {
        let draft = Draft { size: draft, enlarge: Enlarge::Auto, model: None, strength: None };
        Recipe { draft: Some(draft), ..Recipe::from_prompt("a sword", last) }
    }

    #[test]
    fn a_draft_is_smaller_and_of_the_same_shape() {
        let check = |draft, last, expected: bool| {
            assert_eq!(from(draft, last).normalised().is_ok(), expected, "{draft} {last}");
        };
        check(extent(512, 512), extent(2048, 2048), true);
        check(extent(512, 288), extent(1920, 1080), true);
        check(extent(512, 512), extent(512, 512), false);
        check(extent(512, 512), extent(1024, 2048), false);
        check(extent(1024, 1024), extent(512, 512), false);
    }

    #[test]
    fn a_final_has_the_seed_of_its_draft_and_a_key_of_its_own() {
        let last = from(extent(512, 512), extent(2048, 2048)).normalised().expect("a recipe");
        let mut draft = Recipe::from_prompt("a sword", extent(512, 512));
        draft.tier = Tier::Preview;
        assert_eq!(last.as_draft(), Some(draft.clone()));
        assert_eq!(last.drawing_seed(), draft.drawing_seed());
        let direct = Recipe::from_prompt("a sword", extent(2048, 2048));
        assert_ne!(last.planned_key(), direct.planned_key());
        let other = Recipe { draft: last.draft.clone().map(|draft| Draft { strength: Some(0.2), ..draft }), ..last };
        assert_ne!(other.planned_key(), direct.planned_key());
        assert_eq!(other.drawing_seed(), draft.drawing_seed());
    }

    #[test]
    fn what_is_not_drawn_has_no_draft() {
        let mut recipe = from(extent(512, 512), extent(1024, 1024));
        recipe.edit = Some(crate::recipe::Edit {
            operation: crate::recipe::Operation::Edit,
            images: vec![crate::id::ContentHash::of(b"a picture")],
            mask: None,
        });
        assert_eq!(recipe.normalised(), Err(RecipeError::DraftOfEdit));
    }
}
