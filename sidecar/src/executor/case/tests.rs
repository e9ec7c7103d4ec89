//! Which pictures and ways of others a job may take.

use thumbforge_core::id::{ContentHash, RealisedKey};
use thumbforge_core::image::Extent;
use thumbforge_core::recipe::Draft;
use thumbforge_core::text_layer::{TextLayer, TextMode, TextStyle};
use thumbforge_core::verdict::Verdict;

use super::*;
use crate::journal::tests::{render, route, spec};

fn model(id: &str) -> ModelId {
    serde_json::from_value(id.into()).expect("a model")
}

/// A job that may be reseeded and escalated to `better`, and whose first picture `first` draws.
fn job() -> JobSpec {
    let mut job = JobSpec { gate: Gate::Enforce, ..spec("a sword") };
    job.recipe.model = Some(model("first"));
    job.terms.fallback = vec![model("better")];
    job.terms.repair = Some(Repair { means: vec![Means::Reseed, Means::Escalate], ..Repair::default() });
    job
}

fn drafted(enlarge: Enlarge, by: Option<&str>) -> JobSpec {
    let mut job = job();
    let size = Extent { width: 32, height: 32 };
    job.recipe.draft = Some(Draft { size, enlarge, model: by.map(model), strength: None });
    job
}

fn reseed() -> Step {
    Step::Reseed { seed: 5 }
}

fn escalate(to: &str) -> Step {
    Step::Escalate { model: model(to) }
}

fn enlarge(by: Option<&str>) -> Step {
    Step::Enlarge { by: by.map(|by| Enlarger { model: model(by), image: ContentHash([3; 32]) }) }
}

fn may_go(job: &JobSpec, drew: &str, engine: &str, steps: &[Step]) -> bool {
    let mut first = route(job);
    first.model = model("first");
    first.engine = engine.to_owned();
    let taken = steps.iter().map(|step| (model(drew), step.clone())).collect();
    let case = Case::new(job.clone(), job.recipe.planned_key(), Vec::new(), false);
    case.may_go(&Way { realised: RealisedKey([1; 32]), taken }, &first)
}

#[test]
fn a_way_is_taken_by_whoever_might_have_gone_it() {
    let check = |job: &JobSpec, steps: &[Step], expected: bool| {
        assert_eq!(may_go(job, "first", "openai", steps), expected, "{steps:?}");
    };
    check(&job(), &[reseed()], true);
    check(&job(), &[reseed(), escalate("better")], true);
    check(&job(), &[escalate("dearer")], false);
    check(&job(), &[Step::Composite], false);
    check(&job(), &[reseed(), Step::Composite], false);
    check(&job(), &[enlarge(None)], false);
    check(&JobSpec { gate: Gate::Report, ..job() }, &[reseed()], false);
    let mut forbids = job();
    forbids.terms.repair = Some(Repair::forbidden());
    check(&forbids, &[reseed()], false);
    check(&drafted(Enlarge::Lanczos, None), &[enlarge(None)], true);
    check(&drafted(Enlarge::Lanczos, None), &[reseed(), enlarge(None)], true);
    check(&drafted(Enlarge::Lanczos, None), &[enlarge(Some("first"))], false);
    assert!(!may_go(&job(), "another", "openai", &[reseed()]), "it began with what draws no first picture now");
}

#[test]
fn what_was_resampled_for_want_of_room_is_tried_again() {
    let check = |by: Option<&str>, engine: &str, steps: &[Step], expected: bool| {
        assert_eq!(may_go(&drafted(Enlarge::Auto, by), "first", engine, steps), expected, "{by:?} {engine} {steps:?}");
    };
    check(None, "openai", &[enlarge(None)], true);
    check(Some("upscaler"), "openai", &[enlarge(None)], false);
    check(None, MODEL_ENGINE, &[enlarge(None)], false);
    check(None, MODEL_ENGINE, &[enlarge(Some("first"))], true);
    // A model enlarged it, and spoilt it.
    check(Some("upscaler"), "openai", &[enlarge(Some("upscaler")), enlarge(None)], true);
}

#[test]
fn a_picture_is_judged_again_where_somebody_wanted_words_read() {
    let check = |gate: Gate, code, severity, expected: bool| {
        let job = JobSpec { gate, ..spec("a sword") };
        let finding =
            Finding { code, severity, message: String::new(), place: None, expected: None, read: None, score: None };
        let render = Render { verdict: Verdict::of(vec![finding]), ..render(&job) };
        let case = Case::new(job.clone(), job.recipe.planned_key(), Vec::new(), false);
        assert_eq!(case.takes(&render), expected, "{gate:?} {code:?} {severity:?}");
    };
    check(Gate::Enforce, FindingCode::TextUnexpected, Severity::Warning, true);
    check(Gate::Enforce, FindingCode::TextUnverified, Severity::Info, true);
    check(Gate::Enforce, FindingCode::TextUnverified, Severity::Warning, false);
    check(Gate::Report, FindingCode::TextUnverified, Severity::Warning, true);
    check(Gate::Enforce, FindingCode::TextMismatch, Severity::Error, false);
}

/// Under words in true type the art of a model is read where the gate is enforced, so the gate is part of what it is held to.
#[test]
fn the_gate_counts_where_there_are_words() {
    let check = |words: bool, same: bool| {
        let mut job = JobSpec { gate: Gate::Enforce, ..spec("a sword") };
        if words {
            job.recipe.text.push(TextLayer {
                name: "title".to_owned(),
                text: "SALE".to_owned(),
                locale: "en".to_owned(),
                mode: TextMode::Composite,
                style: TextStyle::default(),
            });
        }
        let reported = JobSpec { gate: Gate::Report, ..job.clone() };
        assert_eq!((held_to(&job), held_to(&reported) == held_to(&job)), (String::new(), same));
    };
    check(false, true);
    check(true, false);
}
