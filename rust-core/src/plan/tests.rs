//! Each row of the table in this module's head, and the machines that must agree.

use std::sync::Arc;

use super::*;
use crate::image::Extent;
use crate::job::AssetRef;
use crate::model::Catalogue;
use crate::recipe::Recipe;

const OURS: FileSha256 = FileSha256([1; 32]);
const OTHER: FileSha256 = FileSha256([9; 32]);
const PIXELS: PixelHash = PixelHash([2; 32]);
const DRAWN: RealisedKey = RealisedKey([3; 32]);
const DRAWN_AGAIN: RealisedKey = RealisedKey([4; 32]);
const EARLIER: PlannedKey = PlannedKey([5; 32]);

fn wanted(output: &str, model: Option<&str>) -> Wanted {
    let mut recipe = Recipe::from_prompt("a sword", Extent { width: 64, height: 64 });
    recipe.model = model.map(|model| Catalogue::built_in().resolve(model).expect("a known model").id.clone());
    Wanted {
        asset: AssetRef { name: "sword".into(), locale: "en".into() },
        output: output.to_owned(),
        profile: None,
        planned: recipe.planned_key(),
        recipe,
        priority: 0,
        terms: std::sync::Arc::default(),
    }
}

fn line(wanted: &Wanted, planned: PlannedKey, engine: &str) -> LockLine {
    LockLine {
        output: wanted.output.clone(),
        planned,
        realised: DRAWN,
        pixels: PIXELS,
        sha256: OURS,
        drawn_by: Arc::new(DrawnBy { engine: engine.into(), version: "3".into(), device_class: "cuda-sm90".into() }),
    }
}

fn file(sha256: FileSha256, keys: Option<(PlannedKey, RealisedKey)>, pixels: PixelHash) -> OutputState {
    OutputState::File { sha256, seen: Some(Seen { keys, pixels: Some(pixels) }) }
}

const PLAIN: PlanOptions = PlanOptions { foreign: Foreign::Keep, stale: Stale::Keep, scope: Scope::Whole };
const FORCE: PlanOptions = PlanOptions { foreign: Foreign::Replace, ..PLAIN };
const UPGRADE: PlanOptions = PlanOptions { stale: Stale::Render, ..PLAIN };

#[derive(Clone, Copy)]
enum Locked {
    No,
    AsWanted,
    Otherwise,
}

#[track_caller]
fn check(locked: Locked, output: OutputState, options: PlanOptions, expected: Action) {
    let wanted = wanted("a.png", None);
    let lines = match locked {
        Locked::No => vec![],
        Locked::AsWanted => vec![line(&wanted, wanted.planned, "local")],
        Locked::Otherwise => vec![line(&wanted, EARLIER, "local")],
    };
    let plan = plan(&[wanted], &Lock::new(lines), |_| output.clone(), &EnginesHere::default(), options);
    assert_eq!(plan.items[0].action, expected);
}

#[test]
fn every_row_of_the_table() {
    use Action::{Adopt, Keep, Render, Unchanged};
    use KeepReason::{Foreign as Theirs, HandEdited};
    use Locked::{AsWanted, No, Otherwise};
    use RenderReason::{Forced, New, OutputMissing, PlannedChanged};
    let same = || OutputState::File { sha256: OURS, seen: None };
    let pointer = |oid| OutputState::LfsPointer { oid };
    let planned = wanted("a.png", None).planned;
    let foreign = || file(OTHER, None, PixelHash([7; 32]));

    check(AsWanted, same(), PLAIN, Unchanged);
    check(AsWanted, same(), FORCE, Unchanged);
    check(AsWanted, pointer(OURS), PLAIN, Unchanged);
    check(AsWanted, pointer(OURS), FORCE, Unchanged);
    check(AsWanted, pointer(OTHER), PLAIN, Keep(HandEdited));
    check(AsWanted, OutputState::Missing, PLAIN, Render(OutputMissing));
    check(Otherwise, same(), PLAIN, Render(PlannedChanged));
    check(Otherwise, pointer(OURS), PLAIN, Render(PlannedChanged));
    check(Otherwise, OutputState::Missing, PLAIN, Render(PlannedChanged));
    check(No, OutputState::Missing, PLAIN, Render(New));

    // A crash between the file and the lock; a colleague's file with our line.
    check(No, file(OTHER, Some((planned, DRAWN)), PIXELS), PLAIN, Adopt);
    check(Otherwise, file(OTHER, Some((planned, DRAWN_AGAIN)), PIXELS), PLAIN, Adopt);
    check(AsWanted, file(OTHER, Some((planned, DRAWN_AGAIN)), PixelHash([7; 32])), PLAIN, Adopt);
    // The same pixels, packed tighter.
    check(AsWanted, file(OTHER, None, PIXELS), PLAIN, Adopt);
    // An editor that keeps the chunk of what it changed.
    check(AsWanted, file(OTHER, Some((planned, DRAWN)), PixelHash([7; 32])), PLAIN, Keep(HandEdited));
    check(AsWanted, foreign(), PLAIN, Keep(HandEdited));
    check(AsWanted, foreign(), FORCE, Render(Forced));
    check(Otherwise, foreign(), PLAIN, Keep(HandEdited));
    check(Otherwise, file(OTHER, None, PIXELS), PLAIN, Keep(HandEdited));
    check(No, foreign(), PLAIN, Keep(Theirs));
    check(No, foreign(), FORCE, Render(Forced));
    check(No, file(OTHER, Some((EARLIER, DRAWN)), PIXELS), PLAIN, Keep(Theirs));
    check(No, pointer(OURS), PLAIN, Keep(Theirs));
    let blocked = || OutputState::Unreadable("it is a folder".into());
    check(AsWanted, blocked(), FORCE, Keep(KeepReason::Unreadable("it is a folder".into())));
}

fn here(engine: &str, version: &str, class: &str, model: &str) -> EnginesHere {
    EnginesHere {
        versions: [(engine.to_owned(), version.to_owned())].into(),
        device_classes: [(engine.to_owned(), [class.to_owned()].into())].into(),
        models: Catalogue::built_in().resolve(model).map(|row| row.id.clone()).into_iter().collect(),
    }
}

#[test]
fn only_an_engine_that_is_here_makes_an_image_stale() {
    let wanted = wanted("a.png", Some("sd3.5-medium"));
    let decided = |engine: &str, here: &EnginesHere, output: OutputState, options| {
        let lock = Lock::new(vec![line(&wanted, wanted.planned, engine)]);
        plan(std::slice::from_ref(&wanted), &lock, |_| output.clone(), here, options).items.remove(0).action
    };
    let same = || OutputState::File { sha256: OURS, seen: None };
    let settled =
        |engine: &str, here: &EnginesHere| assert_eq!(decided(engine, here, same(), UPGRADE), Action::Unchanged);

    settled("local", &EnginesHere::default());
    settled("local", &here("builtin", "9", "cpu", "builtin"));
    settled("local", &here("local", "3", "cuda-sm90", "sd3.5-medium"));
    settled("builtin", &here("builtin", "3", "cuda-sm90", "sd3.5-large"));
    for (engine, here, told) in [
        (
            "local",
            here("local", "4", "cuda-sm90", "sd3.5-medium"),
            "drawn by local/3 on cuda-sm90; here it is version 4",
        ),
        ("local", here("local", "3", "cpu", "sd3.5-medium"), "drawn by local/3 on cuda-sm90; here it is cpu"),
        (
            "builtin",
            here("local", "3", "cpu", "sd3.5-medium"),
            "built-in art stands in for sd3.5-medium, which is here",
        ),
    ] {
        match decided(engine, &here, same(), PLAIN) {
            Action::Stale(reason) => assert_eq!(reason.to_string(), told),
            other => panic!("{other:?} where {told}"),
        }
        assert_eq!(decided(engine, &here, same(), UPGRADE), Action::Render(RenderReason::Upgrade));
        let pointer = decided(engine, &here, OutputState::LfsPointer { oid: OURS }, UPGRADE);
        assert!(matches!(pointer, Action::Stale(_)), "a pointer is never overwritten: {pointer:?}");
    }
}

#[test]
fn the_rest_of_the_lock_is_orphaned_only_when_everything_was_asked_for() {
    let all = [wanted("b.png", None), wanted("d.png", None)];
    let lines = ["a.png", "b.png", "c.png", "e.png"]
        .map(|output| LockLine { output: output.into(), ..line(&all[0], all[0].planned, "local") });
    let lock = Lock::new(lines.to_vec());
    let states = |at: usize| match at {
        0 => OutputState::File { sha256: OURS, seen: None },
        _ => OutputState::Missing,
    };
    let whole = plan(&all, &lock, states, &EnginesHere::default(), PLAIN);
    assert_eq!(whole.orphans, ["a.png", "c.png", "e.png"]);
    assert_eq!(whole.counts(), PlanCounts { unchanged: 1, render: 1, orphans: 3, ..PlanCounts::default() });
    let part = plan(&all[..1], &lock, states, &EnginesHere::default(), PlanOptions { scope: Scope::Part, ..PLAIN });
    assert!(part.orphans.is_empty() && !part.would_change());
    assert!(whole.would_change());
    assert_eq!(locked(&all, &lock).iter().map(Option::is_some).collect::<Vec<_>>(), [true, false]);
}

/// What is wanted is the same on every machine, so a plan that is carried out settles.
#[test]
fn a_plan_that_was_carried_out_has_nothing_left_to_do() {
    let all = [wanted("a.png", None), wanted("b.png", None)];
    let mut lock = Lock::default();
    let first = plan(&all, &lock, |_| OutputState::Missing, &EnginesHere::default(), PLAIN);
    assert!(first.items.iter().all(|item| item.action == Action::Render(RenderReason::New)));
    lock.upsert(first.items.iter().map(|item| line(&all[item.wanted], all[item.wanted].planned, "local")));
    let lock = Lock::parse("l", lock.to_text().as_bytes()).expect("our own text");
    let again = plan(&all, &lock, |_| OutputState::File { sha256: OURS, seen: None }, &EnginesHere::default(), PLAIN);
    assert!(!again.would_change() && again.counts().unchanged == 2);
}
