//! Repair, one promise after the other: a step is durable before anything follows from it, slots and keys are given back,
//! and whoever shares the art is let go.

use thumbforge_core::money::Micros;
use thumbforge_core::repair::{Mended, Step};
use thumbforge_core::verdict::Verdict;

use super::*;

fn refused(id: u64, number: u32, attempt: u32) -> Event {
    let mended = Mended {
        attempt,
        model: thumbforge_core::model::ModelId::builtin(),
        verdict: Verdict::of(Vec::new()),
        cost: Micros(7),
        latency_ms: 3,
        step: Step::Reseed { seed: 5 },
    };
    Event::Refused { job: JobId(id), number, mended: Box::new(mended) }
}

/// A plan whose art a model draws.
fn model(id: u64, key: u8, art: Option<u8>) -> Event {
    let mut route = route(&spec("a sword"));
    route.engine = "local".into();
    let (key, art) = (RealisedKey([key; 32]), art.map(|art| RealisedKey([art; 32])));
    Event::Planned { job: JobId(id), planned: Planned::Draw { route: Box::new(route), key, art } }
}

fn accepted(state: &mut State, id: u64) {
    state.apply(Event::Accepted(job(id, Lane::Batch, "a")), 0);
}

#[test]
fn a_refused_picture_is_drawn_again_once_that_is_durable() {
    let mut state = State::new(1);
    accepted(&mut state, 1);
    start(&mut state, 1, 1);
    let effects = state.apply(refused(1, 1, 1), 0);
    assert!(
        matches!(&effects[..], [Effect::Moved(..), Effect::Record(Record::Mended { number: 1, .. })]),
        "{effects:?}"
    );
    let effects = state.apply(durable(&effects), 0);
    assert_eq!(planned(&effects), [1], "it takes another turn");
    let effects = state.apply(draw(1, 2), 0);
    let Event::Recorded(Record::Started { attempt: 2, .. }) = durable(&effects) else { panic!("{effects:?}") };
    state.apply(durable(&effects), 0);
    let effects = state.apply(Event::Drawn { job: JobId(1), attempt: 2, result: Ok(Box::new(render(&spec("a")))) }, 0);
    assert_eq!(answer(&state.apply(durable(&effects), 0)), Some("done"));
    assert_eq!((state.open(), state.holds()), (0, [0; 3]));
}

#[test]
fn others_have_their_turn_while_a_picture_is_mended() {
    let mut state = State::new(1);
    accepted(&mut state, 1);
    accepted(&mut state, 2);
    start(&mut state, 1, 1);
    let effects = state.apply(refused(1, 1, 1), 0);
    assert_eq!(planned(&effects), [2], "its slot is free as soon as it draws no more");
    assert!(planned(&state.apply(durable(&effects), 0)).is_empty());
}

#[test]
fn whoever_shares_the_art_finds_it_when_it_is_refused() {
    let mut state = State::new(8);
    (1..=3).for_each(|id| accepted(&mut state, id));
    let started = state.apply(model(1, 1, Some(9)), 0);
    state.apply(durable(&started), 0);
    // Other words over the same art: they wait for it, and take no place at the model.
    assert!(state.apply(model(2, 2, Some(9)), 0).is_empty());
    assert!(state.apply(model(3, 3, Some(9)), 0).is_empty());
    assert_eq!(state.holds()[1], 1);
    let effects = state.apply(refused(1, 1, 1), 0);
    assert_eq!(state.holds()[1], 0);
    let effects = state.apply(durable(&effects), 0);
    assert_eq!(planned(&effects), [1, 2, 3]);
    // The art is there: nobody asks a model.
    for id in 2..=3 {
        let effects = state.apply(model(id, id as u8, None), 0);
        let effects = state.apply(durable(&effects), 0);
        assert!(matches!(effects[..], [Effect::Draw { art: None, .. }]), "{effects:?}");
    }
    assert_eq!(state.holds()[1], 0);
}

#[test]
fn art_and_picture_each_have_one_drawer() {
    let mut state = State::new(8);
    (1..=3).for_each(|id| accepted(&mut state, id));
    // The art was there when the second came, though the first still holds the picture's key.
    let started = state.apply(model(1, 1, Some(9)), 0);
    state.apply(durable(&started), 0);
    assert!(state.apply(model(2, 1, None), 0).is_empty(), "the same picture is waited for");
    let effects = state.apply(drawn(1), 0);
    assert_eq!(planned(&state.apply(durable(&effects), 0)), [2]);
    assert_eq!(state.holds()[2], 0);
}

#[test]
fn a_job_that_is_taken_back_is_not_mended() {
    // Before the checks say anything, and while the step is on its way to the disk.
    for late in [false, true] {
        let mut state = State::new(1);
        accepted(&mut state, 1);
        start(&mut state, 1, 1);
        let cancel = Event::Cancel(JobId(1));
        let effects = match late {
            false => {
                state.apply(cancel, 0);
                state.apply(refused(1, 1, 1), 0)
            }
            true => {
                let effects = state.apply(refused(1, 1, 1), 0);
                assert!(state.apply(cancel, 0).is_empty());
                state.apply(durable(&effects), 0)
            }
        };
        assert!(matches!(&effects[..], [Effect::Record(Record::Finished { ending: Ending::Cancelled, .. })]));
        assert_eq!(answer(&state.apply(durable(&effects), 0)), Some("cancelled"));
        assert_eq!((state.open(), state.holds()), (0, [0; 3]));
    }
}

#[test]
fn a_deadline_ends_what_is_being_mended() {
    let mut state = State::new(1);
    state.apply(Event::Accepted(Open { deadline_ms: Some(100), ..job(1, Lane::Batch, "a") }), 0);
    start(&mut state, 1, 1);
    let effects = state.apply(refused(1, 1, 1), 50);
    assert!(state.apply(Event::Tick, 100).is_empty());
    let effects = state.apply(durable(&effects), 101);
    assert_eq!(answer(&state.apply(durable(&effects), 102)), Some("deadline_exceeded"));
}

#[test]
fn draining_waits_for_a_step_and_leaves_the_rest_to_the_next_start() {
    let mut state = State::new(1);
    accepted(&mut state, 1);
    start(&mut state, 1, 1);
    let effects = state.apply(refused(1, 1, 1), 0);
    assert!(!state.apply(Event::Drain, 0).contains(&Effect::Drained));
    assert_eq!(state.apply(durable(&effects), 0), [Effect::Drained]);
}

#[test]
fn a_step_that_cannot_be_written_lets_the_job_go() {
    let mut state = State::new(1);
    accepted(&mut state, 1);
    start(&mut state, 1, 1);
    let effects = state.apply(refused(1, 1, 1), 0);
    let Event::Recorded(record) = durable(&effects) else { panic!("{effects:?}") };
    let full = Failure::new(ErrorCode::DiskFull, "failed to write: the disk is full");
    let effects = state.apply(Event::Unrecorded(record, full), 0);
    assert_eq!(answer(&effects), Some("disk_full"));
    assert_eq!((state.open(), state.holds()), (0, [0; 3]));
}

/// The end of an attempt whose place is gone.
fn displaced(id: u64, attempt: u32) -> Event {
    let failure = Failure::new(ErrorCode::ModelUnavailable, "failed to draw: the GPU was lost");
    Event::Drawn { job: JobId(id), attempt, result: Err((Outcome::Interrupted, failure)) }
}

#[test]
fn a_picture_whose_place_is_gone_is_planned_anew_and_not_for_ever() {
    let mut state = State::new(8);
    (1..=2).for_each(|id| accepted(&mut state, id));
    let started = state.apply(model(1, 1, Some(9)), 0);
    state.apply(durable(&started), 0);
    // Somebody waits for the same art.
    assert!(state.apply(model(2, 2, Some(9)), 0).is_empty());
    let effects = state.apply(displaced(1, 1), 0);
    assert!(
        matches!(effects[..], [Effect::Record(Record::Returned { attempt: 1, outcome: Outcome::Interrupted, .. })]),
        "{effects:?}"
    );
    assert_eq!(state.holds()[1], 0, "its slot is free");
    let effects = state.apply(durable(&effects), 0);
    assert_eq!(planned(&effects), [1, 2], "both take another turn");
    for attempt in 2..=3 {
        // It goes another way now, under another key.
        let started = state.apply(model(1, 10 + attempt as u8, Some(20 + attempt as u8)), 0);
        state.apply(durable(&started), 0);
        let effects = state.apply(displaced(1, attempt), 0);
        if attempt == 2 {
            assert_eq!(planned(&state.apply(durable(&effects), 0)), [1]);
        } else {
            let ended = state.apply(durable(&effects), 0);
            assert_eq!(answer(&ended), Some("model_unavailable"), "{effects:?}");
        }
    }
    let started = state.apply(model(2, 2, Some(9)), 0);
    state.apply(durable(&started), 0);
    let done = Event::Drawn { job: JobId(2), attempt: 1, result: Ok(Box::new(render(&spec("a")))) };
    let effects = state.apply(done, 0);
    state.apply(durable(&effects), 0);
    assert_eq!((state.open(), state.holds()), (0, [0; 3]));
}

#[test]
fn a_cancelled_picture_whose_place_is_gone_ends() {
    let mut state = State::new(1);
    accepted(&mut state, 1);
    start(&mut state, 1, 1);
    state.apply(Event::Cancel(JobId(1)), 0);
    let effects = state.apply(displaced(1, 1), 0);
    assert_eq!(answer(&state.apply(durable(&effects), 0)), Some("cancelled"));
    assert_eq!(state.open(), 0);
}
