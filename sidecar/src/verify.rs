//! The checks of a picture, folded into a verdict: the same for a job's picture and for any file of a disk.
//!
//! ```text
//! art ──────► blank? size? brand? ──────────────────────────────► art findings
//!   └──────► Eyes ─► words that a model drew, words too many ────► drawn findings
//! finished ─► Eyes ─► words set in true type, if they are read ──┐
//!   └──────► areas, safe area, contrast, heights, overlaps ──────┴► set findings
//! ```
//! How bad a finding is follows from who drew the words. Words set in true type are right by construction, and reading them
//! judges legibility; words that a model drew are right when they were read, and unverified when nobody could read them.
//!
//! Errors among the art findings are the same for all pictures that share the art, so whoever acts on them acts alike for each.
//! Nothing is repaired here.

use std::collections::BTreeSet;

use thumbforge_art::check::{self, Checks, bounds};
use thumbforge_art::text::SetLayer;
use thumbforge_core::colour::Rgb;
use thumbforge_core::criteria::Criteria;
use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::image::{Extent, ImageBuf};
use thumbforge_core::job::{Gate, JobSpec};
use thumbforge_core::model::ModelId;
use thumbforge_core::text_layer::{Fill, TextLayer};
use thumbforge_core::verdict::{Finding, FindingCode, Severity, Verdict};

use crate::compose::Composed;

pub mod album;
pub mod crop;
pub mod eyes;
pub mod file;
mod phrase;
mod words;

pub use album::Album;
pub use eyes::Eyes;
pub(crate) use words::{at, shown};

#[cfg(test)]
mod tests;

/// What the checks found, by what would have to be mended.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Judged {
    /// The art itself. Its errors know nothing of words that were asked for: they are the same for every picture that shares
    /// it.
    pub art: Vec<Finding>,
    /// Words in the art: those that a model drew or should have drawn, and those that nobody asked for.
    pub drawn: Vec<Finding>,
    /// Layers set in true type, and how they came out on this art.
    pub set: Vec<Finding>,
    /// What read, with versions and language data; empty where nothing was read.
    pub readers: Vec<String>,
}

impl Judged {
    /// All of it as one verdict.
    pub fn verdict(self) -> Verdict {
        let Self { art, drawn, set, readers } = self;
        let findings = art.into_iter().chain(drawn).chain(set).collect();
        Verdict { readers, ..Verdict::of(findings) }
    }
}

/// A picture, and what it is held to.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The picture before words were set over it.
    pub art: &'a ImageBuf,
    /// The picture with its words.
    pub finished: &'a ImageBuf,
    /// The size that was asked for.
    pub size: Extent,
    /// Every layer that was asked for, whoever draws it.
    pub layers: &'a [TextLayer],
    /// Those that were set in true type, in their order: all of them, or all that no model was to draw.
    pub set: &'a [SetLayer],
    /// Colours that the picture keeps to.
    pub brand: &'a [Rgb],
    /// Share of each side that words keep clear of.
    pub safe_inset: f64,
    /// Whether words set in true type are read back, and the art is read for words that nobody asked for.
    pub read: bool,
    /// Whether a model drew the art from nothing, so that no word in it is anybody's own.
    pub by_model: bool,
    /// Whether errors will fail the picture.
    pub gate: Gate,
    /// How bad what is.
    pub criteria: &'a Criteria,
}

impl Subject<'_> {
    /// Whether words that a model may draw were set in true type too.
    fn all_set(&self) -> bool {
        self.set.len() >= self.layers.len()
    }

    /// Layers that a model was to draw.
    fn drawn(&self) -> impl Iterator<Item = &TextLayer> {
        let all_set = self.all_set();
        self.layers.iter().filter(move |layer| !all_set && !layer.mode.is_composite())
    }

    /// The colours of letters, outlines and plates that were set.
    fn colours_set(&self) -> Vec<Rgb> {
        let all_set = self.all_set();
        let layers = self.layers.iter().filter(|layer| all_set || layer.mode.is_composite());
        let colours = layers.flat_map(|layer| {
            let style = &layer.style;
            let fill = match style.fill {
                Fill::Solid(one) => [one, one],
                Fill::Gradient(both) => both,
            };
            let outline = style.outline.map(|outline| outline.colour);
            fill.into_iter().chain(outline).chain(style.plate.map(|plate| plate.colour))
        });
        colours.collect()
    }
}

/// What the checks say of a finished picture of a job, behind what was `known` of it when it was drawn; `model` drew it.
pub fn verify(composed: &Composed, spec: &JobSpec, eyes: &Eyes, model: &ModelId, known: Vec<Finding>) -> Judged {
    let criteria = &spec.terms.criteria;
    let subject = Subject {
        art: &composed.art,
        finished: &composed.image,
        size: spec.recipe.size,
        layers: &spec.recipe.text,
        set: &composed.layers,
        brand: &spec.recipe.brand,
        safe_inset: spec.safe_inset.unwrap_or(bounds::SAFE_INSET),
        read: criteria.read.unwrap_or(spec.read_back),
        // The built-in engine draws no letters, and words in a team's own picture are its own, also where a part is changed.
        by_model: *model != ModelId::builtin() && spec.recipe.edit.is_none(),
        gate: spec.gate,
        criteria,
    };
    let mut judged = judge(&subject, eyes);
    judged.art.splice(0..0, known);
    judged
}

/// What the checks say of a picture.
pub fn judge(subject: &Subject<'_>, eyes: &Eyes) -> Judged {
    let near = subject.criteria.brand_delta_e_max();
    let worn = subject.colours_set();
    let (brand_set, brand): (Vec<Rgb>, Vec<Rgb>) =
        subject.brand.iter().partition(|colour| worn.iter().any(|own| check::alike(*own, **colour, near)));
    let checks = Checks {
        expected: subject.size,
        art: subject.art,
        finished: subject.finished,
        set: subject.set,
        safe_inset: subject.safe_inset,
        shown_width: subject.size.width,
        brand: &brand,
        brand_set: &brand_set,
        criteria: subject.criteria,
    };
    let mut judged = Judged { art: checks.art(), set: checks.layers(), ..Judged::default() };
    words::in_art(subject, eyes, &mut judged);
    words::in_true_type(subject, eyes, &mut judged);
    let mut seen = BTreeSet::new();
    judged.readers.retain(|reader| seen.insert(reader.clone()));
    judged
}

/// Why a picture with this verdict is withheld where errors fail it; `None` for one that passes. Wrong words are told before
/// anything else: they are what people look for in a log.
pub fn refusal(verdict: &Verdict) -> Option<Failure> {
    let errors = || verdict.findings.iter().filter(|finding| finding.severity == Severity::Error);
    let mismatch = errors().find(|finding| finding.code == FindingCode::TextMismatch);
    let failure = match mismatch {
        Some(finding) => Failure::new(ErrorCode::RenderedTextMismatch, finding.message.clone()),
        None => {
            let message = format!("failed to pass the checks: {}", errors().next()?.message);
            Failure::new(ErrorCode::VerificationFailed, message)
        }
    };
    Some(Failure { findings: verdict.findings.clone(), ..failure })
}
