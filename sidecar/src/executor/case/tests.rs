//! Which ways of others a job may take.

use thumbforge_core::id::{ContentHash, RealisedKey};
use thumbforge_core::image::Extent;
use thumbforge_core::recipe::Draft;

use super::*;
use crate::journal::tests::{route, spec};

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
