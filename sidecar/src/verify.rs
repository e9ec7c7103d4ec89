//! The checks of a finished picture, folded into a verdict.
//!
//! Pixels and layout are judged here; reading the words back (OCR) joins behind [`TextReader`].

use thumbforge_art::check::{Checks, bounds};
use thumbforge_core::image::ImageBuf;
use thumbforge_core::job::JobSpec;
use thumbforge_core::recipe::Recipe;
use thumbforge_core::verdict::{Finding, FindingCode, Severity, Verdict};

use crate::compose::Composed;

/// Reads the words of a picture and compares them with those asked for.
pub trait TextReader: Send + Sync {
    /// What it found wrong, or could not check.
    fn read(&self, image: &ImageBuf, recipe: &Recipe) -> Vec<Finding>;
}

/// What the checks say of a finished picture, behind what was `known` of it when it was drawn.
pub fn verify(composed: &Composed, spec: &JobSpec, known: Vec<Finding>) -> Verdict {
    let checks = Checks {
        art: &composed.art,
        finished: &composed.image,
        expected: spec.recipe.size,
        set: &composed.layers,
        safe_inset: spec.safe_inset.unwrap_or(bounds::SAFE_INSET),
        shown_width: spec.recipe.size.width,
    };
    let mut findings = known;
    findings.extend(checks.run());
    if spec.read_back {
        findings.extend(unread(spec));
    }
    Verdict::of(findings)
}

/// Words that were to be read back and that nobody here can read: unverified, which is a finding and never a pass.
fn unread(spec: &JobSpec) -> impl Iterator<Item = Finding> + '_ {
    spec.recipe.text.iter().map(|layer| Finding {
        code: FindingCode::TextUnverified,
        severity: Severity::Warning,
        message: format!("the words of layer {:?} were not read back: this version has no text reader", layer.name),
        place: None,
        expected: Some(layer.text.clone()),
        read: None,
        score: None,
    })
}
