//! The checks of a finished picture, folded into a verdict.
//!
//! Pixels and layout are judged here; reading the words back (OCR) joins behind [`TextReader`].

use thumbforge_art::check::{Checks, bounds};
use thumbforge_core::image::{Extent, ImageBuf};
use thumbforge_core::job::{Gate, JobSpec};
use thumbforge_core::recipe::Recipe;
use thumbforge_core::text_layer::TextLayer;
use thumbforge_core::verdict::{Finding, FindingCode, Severity, Verdict};
use thumbforge_reader::{Ask, Expected, TextReader};

use crate::compose::Composed;

/// Whether every word of `recipe` that a model may draw can be read back here.
pub fn can_read(recipe: &Recipe, reader: Option<&dyn TextReader>) -> bool {
    let Some(reader) = reader else { return !recipe.has_drawn_words() };
    let blank = ImageBuf::filled(Extent { width: 16, height: 16 }, [255; 4]);
    let drawn = recipe.text.iter().filter(|layer| !layer.mode.is_composite());
    let ask = Ask { expected: drawn.map(expected).collect(), ..Ask::default() };
    ask.expected.is_empty() || reader.read(&blank, &ask).is_ok_and(|reading| reading.found.iter().all(Result::is_ok))
}

fn expected(layer: &TextLayer) -> Expected {
    Expected { text: layer.text.clone(), locale: layer.locale.clone(), place: None }
}

/// What the checks say of a finished picture, behind what was `known` of it when it was drawn.
pub fn verify(composed: &Composed, spec: &JobSpec, known: Vec<Finding>, reader: Option<&dyn TextReader>) -> Verdict {
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
    let drawn: Vec<&TextLayer> = spec.recipe.text.iter().filter(|layer| !layer.mode.is_composite()).collect();
    if !drawn.is_empty() {
        findings.extend(misread(composed, &drawn, spec.gate, reader));
    }
    Verdict::of(findings)
}

/// Words that a model drew, and that are not there.
fn misread(composed: &Composed, drawn: &[&TextLayer], gate: Gate, reader: Option<&dyn TextReader>) -> Vec<Finding> {
    let ask = Ask { expected: drawn.iter().map(|layer| expected(layer)).collect(), ..Ask::default() };
    let reading = reader.map(|reader| reader.read(&composed.image, &ask));
    let mut findings = Vec::new();
    for (at, layer) in drawn.iter().enumerate() {
        let found = match &reading {
            Some(Ok(reading)) => reading.found.get(at).cloned(),
            _ => None,
        };
        let finding = |code, severity, message, place, read, score| Finding {
            code,
            severity,
            message,
            place,
            expected: Some(layer.text.clone()),
            read,
            score,
        };
        match found {
            Some(Ok(found)) if found.presence >= 1.0 => {}
            Some(Ok(found)) => findings.push(finding(
                FindingCode::TextMismatch,
                Severity::Error,
                format!("expected '{}' not found", layer.text),
                found.place,
                Some(found.read),
                Some(found.presence),
            )),
            _ => {
                let severity = if gate == Gate::Enforce { Severity::Error } else { Severity::Warning };
                let message = format!("the words of layer {:?} were not read back", layer.name);
                findings.push(finding(FindingCode::TextUnverified, severity, message, None, None, None));
            }
        }
    }
    findings
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
