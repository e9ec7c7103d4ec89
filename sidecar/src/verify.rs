//! The checks of a finished picture, folded into a verdict.
//!
//! Pixels and layout are judged here; reading the words back (OCR) joins behind [`TextReader`].

use thumbforge_art::check::{Checks, bounds};
use thumbforge_core::image::ImageBuf;
use thumbforge_core::job::JobSpec;
use thumbforge_core::recipe::Recipe;
use thumbforge_core::verdict::{Finding, Verdict};

use crate::compose::Composed;

/// Reads the words of a picture and compares them with those asked for.
pub trait TextReader: Send + Sync {
    /// What it found wrong, or could not check.
    fn read(&self, image: &ImageBuf, recipe: &Recipe) -> Vec<Finding>;
}

/// What the checks say of a finished picture.
pub fn verify(composed: &Composed, spec: &JobSpec) -> Verdict {
    let checks = Checks {
        art: &composed.art,
        finished: &composed.image,
        expected: spec.recipe.size,
        set: &composed.layers,
        safe_inset: spec.safe_inset.unwrap_or(bounds::SAFE_INSET),
        shown_width: spec.recipe.size.width,
    };
    Verdict::of(checks.run())
}
