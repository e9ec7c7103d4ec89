//! Judging a finished picture by its pixels and by where its text lies.
//!
//! Everything here is a pure function of what was drawn; nothing is read back by a model or an OCR engine,
//! that is done elsewhere. Each check is one file; the bounds of all of them stand in [`bounds`].

mod blank;
pub mod bounds;
mod brand;
mod colour;
pub(crate) mod contrast;
mod layout;

#[cfg(test)]
mod tests;

use thumbforge_core::colour::Rgb;
use thumbforge_core::criteria::Criteria;
use thumbforge_core::image::{Extent, ImageBuf, PixelBox};
use thumbforge_core::verdict::{Finding, FindingCode, Severity};

use crate::text::SetLayer;

pub use brand::alike;
pub use contrast::within as contrast_within;
pub use layout::safe_area;

/// What there is to judge.
#[derive(Debug, Clone, Copy)]
pub struct Checks<'a> {
    /// The size that was asked for.
    pub expected: Extent,
    /// The picture before text was set: text must not hide that nothing was drawn.
    pub art: &'a ImageBuf,
    /// The picture with its text.
    pub finished: &'a ImageBuf,
    /// What [`crate::text::set`] told of each layer.
    pub set: &'a [SetLayer],
    /// Share of each side that text keeps clear of; [`bounds::SAFE_INSET`] where nobody says otherwise.
    pub safe_inset: f64,
    /// Width in pixels at which people see the picture at its smallest; its own width where nobody says otherwise.
    pub shown_width: u32,
    /// Brand colours that the art shows.
    pub brand: &'a [Rgb],
    /// Brand colours that letters, outlines or plates have: whether they are seen is asked of the finished picture.
    pub brand_set: &'a [Rgb],
    /// How bad what is, and figures in place of ours.
    pub criteria: &'a Criteria,
}

impl Checks<'_> {
    /// Runs every check. What cannot be judged, because the size is wrong, is left out.
    pub fn run(&self) -> Vec<Finding> {
        let mut findings = self.art();
        findings.extend(self.layers());
        findings
    }

    /// What can be said of the art alone. It is the same whatever the words are, so pictures that share their art are told
    /// the same here.
    pub fn art(&self) -> Vec<Finding> {
        let mut findings: Vec<Finding> = blank::check(self.art).into_iter().collect();
        if let Some(wrong) = layout::wrong_size(self) {
            findings.push(wrong);
            return findings;
        }
        findings.extend(brand::check(self.art, self.brand, self.criteria));
        findings
    }

    /// What can be said of the layers that were set.
    pub fn layers(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        if layout::wrong_size(self).is_some() {
            return findings;
        }
        for layer in self.set {
            findings.extend(layout::outside(self, layer));
            findings.extend(layout::too_small(self, layer));
            findings.extend(contrast::check(self.finished, layer, self.criteria));
        }
        findings.extend(layout::overlaps(self.set));
        findings.extend(brand::check(self.finished, self.brand_set, self.criteria));
        findings
    }
}

/// A finding about a place, without words that were read.
fn finding(code: FindingCode, severity: Severity, message: String, place: Option<PixelBox>, score: f64) -> Finding {
    Finding { code, severity, message, place, expected: None, read: None, score: Some(score) }
}
