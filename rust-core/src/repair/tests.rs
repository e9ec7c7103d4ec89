//! Tests of the loop as a policy: what follows what, where it ends, and what keys are made of.

use proptest::prelude::*;

use super::*;
use crate::id::ContentHash;
use crate::image::Extent;
use crate::recipe::Recipe;
use crate::text_layer::{TextLayer, TextMode, TextStyle};
use crate::verdict::{Finding, FindingCode, Severity};
use Means::{Composite, Escalate, Guidance, Inpaint, Reseed};

fn recipe(words: &str, mode: TextMode) -> Recipe {
    let layer = TextLayer {
        name: "title".to_owned(),
        text: words.to_owned(),
        locale: "en".to_owned(),
        mode,
        style: TextStyle::default(),
    };
    Recipe { text: vec![layer], ..Recipe::from_prompt("a sword", Extent { width: 64, height: 64 }) }
}

fn step(means: Means) -> Step {
    let hash = ContentHash([7; 32]);
    match means {
        Reseed => Step::Reseed { seed: 5 },
        Guidance => Step::Guidance { guidance: 9.5 },
        Inpaint => Step::Inpaint { image: hash, mask: hash, seed: 6, strength: None },
        Escalate => Step::Escalate { model: serde_json::from_str("\"better\"").unwrap() },
        Composite => Step::Composite,
    }
}

fn drawn(steps: &[Means]) -> Vec<Drawn> {
    let first = Drawn { step: None, cost: Micros(10), latency_ms: 100 };
    let rest = steps.iter().map(|means| Drawn { step: Some(step(*means)), ..first.clone() });
    std::iter::once(first.clone()).chain(rest).collect()
}

/// What follows `behind` where every means but `lacking` can be carried out for 10 micros.
#[track_caller]
fn check(repair: &Repair, trouble: Trouble, behind: &[Means], lacking: &[Means], expected: Result<Means, &str>) {
    let offer = |means| (!lacking.contains(&means)).then(|| Offer { step: step(means), most: Micros(10) });
    match (next(repair, trouble, &drawn(behind), offer), expected) {
        (Decision::Do(step), Ok(means)) => assert_eq!(step.means(), Some(means)),
        (Decision::GiveUp(why), Err(expected)) => assert!(why.contains(expected), "{why}"),
        (decision, expected) => panic!("{decision:?}, and {expected:?} was expected"),
    }
}

#[test]
fn means_are_taken_in_order_and_none_twice() {
    let all = Repair::default();
    let (words, art) = (Trouble::Words, Trouble::Art);
    check(&all, words, &[], &[], Ok(Inpaint));
    check(&all, words, &[Inpaint], &[], Ok(Reseed));
    check(&all, words, &[Inpaint, Reseed], &[], Ok(Guidance));
    check(&all, words, &[Inpaint, Reseed, Guidance], &[], Ok(Escalate));
    check(&all, words, &[Inpaint, Reseed, Guidance, Escalate], &[], Ok(Composite));
    check(&all, words, &[Composite], &[], Err("nothing is left"));
    check(&all, words, &[], &[Inpaint, Reseed], Ok(Guidance));
    check(&all, words, &[Guidance], &[Escalate, Composite], Err("nothing is left"));
    check(&all, art, &[], &[], Ok(Reseed));
    check(&all, art, &[Reseed], &[], Ok(Escalate));
    check(&all, art, &[Reseed, Escalate], &[], Err("nothing is left"));
    check(&all, Trouble::Unread, &[], &[], Ok(Composite));
    check(&all, Trouble::Unread, &[], &[Composite], Err("nothing is left"));
    check(&all, Trouble::Setting, &[], &[], Err("no other art"));
    let twice = Repair { means: vec![Reseed, Reseed], ..all.clone() };
    check(&twice, words, &[Reseed], &[], Ok(Reseed));
    check(&twice, words, &[Reseed, Reseed], &[], Err("nothing is left"));
    // Steps that no version writes in this order.
    check(&all, words, &[Composite, Reseed], &[], Err("nothing is left"));
}

#[test]
fn repair_stops_by_attempts_time_and_money() {
    let all = Repair::default();
    let check = |repair: &Repair, behind: &[Means], expected| check(repair, Trouble::Words, behind, &[], expected);
    check(&Repair::forbidden(), &[], Err("forbidden"));
    check(&Repair { attempts_max: 1, ..all.clone() }, &[], Err("forbidden"));
    check(&Repair { attempts_max: 2, ..all.clone() }, &[], Ok(Inpaint));
    check(&Repair { attempts_max: 2, ..all.clone() }, &[Inpaint], Err("2 pictures were drawn"));
    check(&Repair { time_max_ms: Some(101), ..all.clone() }, &[], Ok(Inpaint));
    check(&Repair { time_max_ms: Some(200), ..all.clone() }, &[Inpaint], Err("they took 200 ms, and 200 ms"));
    check(&Repair { cost_max: Some(Micros(20)), ..all.clone() }, &[], Ok(Inpaint));
    check(&Repair { cost_max: Some(Micros(29)), ..all }, &[Inpaint], Err("another picture may cost $0.00001"));
}

#[test]
fn a_dear_step_is_passed_over_for_one_that_can_be_paid() {
    let repair = Repair { cost_max: Some(Micros(15)), ..Repair::default() };
    let offer = |means| Some(Offer { step: step(means), most: Micros(if means == Composite { 0 } else { 10 }) });
    assert_eq!(next(&repair, Trouble::Words, &drawn(&[]), offer), Decision::Do(Step::Composite));
}

fn finding(code: FindingCode, severity: Severity) -> Finding {
    let message = "expected 'SALE' not found".to_owned();
    Finding { code, severity, message, place: None, expected: None, read: Some("SALF".into()), score: None }
}

#[test]
fn troubles_follow_from_errors_alone() {
    use FindingCode::*;
    let errors = |codes: &[FindingCode]| codes.iter().map(|code| finding(*code, Severity::Error)).collect::<Vec<_>>();
    let check = |art: &[FindingCode], drawn: &[FindingCode], set: &[FindingCode], expected: Option<Trouble>| {
        assert_eq!(Trouble::of(&errors(art), &errors(drawn), &errors(set)), expected, "{art:?} {drawn:?} {set:?}");
    };
    check(&[], &[], &[], None);
    check(&[Blank], &[TextMismatch], &[LowContrast], Some(Trouble::Words));
    check(&[], &[TextMismatch, TextUnverified], &[], Some(Trouble::Unread));
    check(&[TextUnexpected], &[], &[LowContrast], Some(Trouble::Art));
    check(&[TextUnverified], &[], &[], Some(Trouble::Unread));
    check(&[], &[], &[TextUnverified], Some(Trouble::Setting));
    let warned = [finding(TextMismatch, Severity::Warning)];
    assert_eq!(Trouble::of(&warned, &warned, &warned), None);
    let told = said(&[finding(Blank, Severity::Info), finding(TextMismatch, Severity::Error)]);
    assert_eq!(told, "expected 'SALE' not found (read 'SALF')");
}

#[test]
fn guidance_goes_up_and_down_within_the_range() {
    let check = |least, most, now, done, expected: Option<f64>| {
        assert_eq!(Guided { least, most, now }.next(done), expected);
    };
    check(1.0, 10.0, 5.0, 0, Some(7.5));
    check(1.0, 10.0, 5.0, 1, Some(3.333));
    check(1.0, 10.0, 5.0, 2, Some(7.5));
    check(1.0, 10.0, 10.0, 0, Some(6.667));
    check(5.0, 10.0, 5.0, 1, Some(7.5));
    check(1.0, 1.0, 1.0, 0, None);
}

#[test]
fn the_recipe_that_is_asked_follows_from_the_steps() {
    let auto = recipe("SALE", TextMode::Auto);
    let asked = |means: &[Means]| {
        let steps: Vec<Step> = means.iter().map(|means| step(*means)).collect();
        effective(&auto, &steps).into_owned()
    };
    let first = asked(&[]);
    assert_eq!(first, auto.for_model().into_owned());
    assert_eq!(asked(&[Reseed]), Recipe { seed: Some(5), ..first.clone() });
    let edited = asked(&[Inpaint]);
    assert_eq!((edited.seed, edited.edit.unwrap().images), (Some(6), vec![ContentHash([7; 32])]));
    // A region is drawn over one picture; what follows begins anew, and another model has its own guidance.
    assert_eq!(asked(&[Inpaint, Reseed]), asked(&[Reseed]));
    assert_eq!(asked(&[Guidance, Escalate]).settings.guidance, None);
    assert_eq!(asked(&[Escalate]).model.unwrap().as_str(), "better");
    // Nothing before true type has a part in it, so all that fall back share the art.
    assert_eq!(asked(&[Inpaint, Escalate, Composite]), auto.in_true_type());
    assert_eq!(asked(&[Composite, Reseed]).art_key(), {
        let german = recipe("AKTION", TextMode::Auto);
        effective(&german, &[Step::Composite, step(Reseed)]).art_key()
    });
    assert!(may_composite(&auto));
    for mode in [TextMode::Model, TextMode::Composite] {
        assert!(!may_composite(&recipe("SALE", mode)));
    }
}

#[test]
fn steps_stand_in_keys_and_art_does_not_know_them() {
    let said = |means: &[Means]| words(&means.iter().map(|means| step(*means)).collect::<Vec<_>>());
    assert_eq!(said(&[]), "");
    assert_eq!(said(&[Reseed, Guidance]), "reseed 5; guidance 9.5");
    assert_eq!(said(&[Reseed, Composite, Escalate]), "composite; escalate better");
    assert!(said(&[Inpaint]).starts_with("inpaint 0707"));
    let [sale, aktion] = ["SALE", "AKTION"].map(|words| recipe(words, TextMode::Composite));
    assert_eq!(seed(&sale, 1), seed(&aktion, 1));
    assert_ne!(seed(&sale, 1), seed(&sale, 2));
}

/// A committed form: journals of earlier versions are read by it.
#[test]
fn a_step_in_the_journal_reads_as_it_was_written() {
    let check = |step: Step, json: &str| {
        assert_eq!(serde_json::to_string(&step).unwrap(), json);
        assert_eq!(serde_json::from_str::<Step>(json).unwrap(), step);
    };
    check(step(Reseed), r#"{"step":"reseed","seed":5}"#);
    check(step(Guidance), r#"{"step":"guidance","guidance":9.5}"#);
    check(step(Escalate), r#"{"step":"escalate","model":"better"}"#);
    check(step(Composite), r#"{"step":"composite"}"#);
    let hash = "07".repeat(32);
    check(step(Inpaint), &format!(r#"{{"step":"inpaint","image":"{hash}","mask":"{hash}","seed":6}}"#));
}

fn some_means() -> impl Strategy<Value = Means> {
    prop::sample::select(vec![Inpaint, Reseed, Guidance, Escalate, Composite])
}

proptest! {
    /// Whatever is found and whatever routes can do, the loop ends, within its attempts, its time and its money.
    #[test]
    fn every_loop_ends_within_its_bounds(
        means in prop::collection::vec(some_means(), 0..=16),
        attempts_max in 0_u32..=16,
        time_max_ms in prop::option::of(0_u64..2000),
        cost_max in prop::option::of((0_u64..300).prop_map(Micros)),
        troubles in prop::collection::vec(0_usize..4, 32),
        prices in prop::collection::vec(prop::option::of(0_u64..40), 32),
    ) {
        let repair = Repair { means, attempts_max, time_max_ms, cost_max };
        let mut pictures = drawn(&[]);
        for turn in 0..32 {
            let trouble = [Trouble::Art, Trouble::Words, Trouble::Unread, Trouble::Setting][troubles[turn]];
            let offer = |means| prices[turn].map(|most| Offer { step: step(means), most: Micros(most) });
            match next(&repair, trouble, &pictures, offer) {
                Decision::Do(step) => {
                    let cost = Micros(prices[turn].unwrap());
                    pictures.push(Drawn { step: Some(step), cost, latency_ms: 100 });
                }
                Decision::GiveUp(_) => break,
            }
        }
        prop_assert!(pictures.len() <= 1.max(repair.means.len() + 1).min(1.max(attempts_max as usize)));
        let before_last: u64 = pictures.iter().rev().skip(1).map(|picture| picture.latency_ms).sum();
        prop_assert!(pictures.len() == 1 || time_max_ms.is_none_or(|most| before_last < most));
        let cost: Micros = pictures.iter().map(|picture| picture.cost).sum();
        prop_assert!(pictures.len() == 1 || cost_max.is_none_or(|most| cost <= most));
    }

    /// Two jobs that saw the same decide the same, and after a restart too: nothing but the arguments has a part in it.
    #[test]
    fn words_of_steps_tell_effective_recipes_apart(
        one in prop::collection::vec(some_means(), 0..6),
        other in prop::collection::vec(some_means(), 0..6),
    ) {
        let auto = recipe("SALE", TextMode::Auto);
        let [one, other] = [one, other].map(|means| means.into_iter().map(step).collect::<Vec<_>>());
        if words(&one) == words(&other) {
            prop_assert_eq!(effective(&auto, &one), effective(&auto, &other));
        }
    }
}
