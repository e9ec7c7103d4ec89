//! The dispatcher's promises one by one: turns, fairness, cancelling, deadlines, draining, one drawing a key.
//! Their mixture under faults is the simulation's matter.

use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::id::{JobId, RealisedKey};
use thumbforge_core::job::{Ending, Lane, Outcome};

use super::*;
use crate::journal::tests::{render, route, spec};
use crate::journal::{Open, Record};

fn job(id: u64, lane: Lane, client: &str) -> Open {
    Open {
        id: JobId(id),
        lane,
        priority: 0,
        client: client.into(),
        deadline_ms: None,
        attempts: 0,
        unknown: 0,
        held: None,
    }
}

fn planned(effects: &[Effect]) -> Vec<u64> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Plan(job) => Some(job.0),
            _ => None,
        })
        .collect()
}

fn draw(id: u64, key: u8) -> Event {
    let route = Box::new(route(&spec("a sword")));
    let planned = Planned::Draw { route, key: RealisedKey([key; 32]), art: None };
    Event::Planned { job: JobId(id), planned }
}

/// The one record among `effects`, made durable.
fn durable(effects: &[Effect]) -> Event {
    let records: Vec<&Record> = effects
        .iter()
        .filter_map(|effect| if let Effect::Record(record) = effect { Some(record) } else { None })
        .collect();
    assert_eq!(records.len(), 1, "{effects:?}");
    Event::Recorded(records[0].clone())
}

/// Takes a job to its drawing.
fn start(state: &mut State, id: u64, key: u8) {
    let effects = state.apply(draw(id, key), 0);
    let effects = state.apply(durable(&effects), 0);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Draw { job, .. } if job.0 == id)), "{effects:?}");
}

fn drawn(id: u64) -> Event {
    Event::Drawn { job: JobId(id), attempt: 1, result: Ok(Box::new(render(&spec("a sword")))) }
}

/// How the answer among `effects` reads, if there is one.
fn answer(effects: &[Effect]) -> Option<&'static str> {
    effects.iter().find_map(|effect| match effect {
        Effect::Answer(_, Ending::Done { cached: true, .. }) => Some("cached"),
        Effect::Answer(_, Ending::Done { .. }) => Some("done"),
        Effect::Answer(_, Ending::Failed(failure)) => Some(failure.code.word()),
        Effect::Answer(_, Ending::Cancelled) => Some("cancelled"),
        _ => None,
    })
}

#[test]
fn people_come_before_builds_and_keep_a_slot() {
    let mut state = State::new(2);
    assert_eq!(planned(&state.apply(Event::Accepted(job(1, Lane::Batch, "night")), 0)), [1]);
    assert!(
        planned(&state.apply(Event::Accepted(job(2, Lane::Batch, "night")), 0)).is_empty(),
        "the last slot is kept"
    );
    assert_eq!(planned(&state.apply(Event::Accepted(job(3, Lane::Interactive, "artist")), 0)), [3]);
    assert!(planned(&state.apply(Event::Accepted(job(4, Lane::Interactive, "artist")), 0)).is_empty());
    let refused = Planned::Refused(Failure::new(ErrorCode::ModelUnavailable, "none"));
    let effects = state.apply(Event::Planned { job: JobId(1), planned: refused }, 0);
    assert_eq!(planned(&effects), [4], "a person who waits goes before the build that waited longer");
}

#[test]
fn a_single_slot_serves_builds_too() {
    let mut state = State::new(1);
    assert_eq!(planned(&state.apply(Event::Accepted(job(1, Lane::Batch, "night")), 0)), [1]);
}

#[test]
fn clients_take_turns_and_each_client_s_best_job_goes_first() {
    let mut state = State::new(1);
    let mut order = planned(&state.apply(Event::Accepted(job(1, Lane::Batch, "a")), 0));
    for id in 2..=4 {
        state.apply(Event::Accepted(job(id, Lane::Batch, "a")), 0);
    }
    state.apply(Event::Accepted(Open { priority: 5, ..job(5, Lane::Batch, "a") }), 0);
    state.apply(Event::Accepted(job(6, Lane::Batch, "b")), 0);
    state.apply(Event::Accepted(job(7, Lane::Batch, "b")), 0);
    while let Some(last) = order.last().copied().filter(|_| order.len() < 7) {
        let cached = Planned::Cached(Box::new(render(&spec("a sword"))));
        order.extend(planned(&state.apply(Event::Planned { job: JobId(last), planned: cached }, 0)));
    }
    assert_eq!(order, [1, 5, 6, 2, 7, 3, 4], "a, then a and b in turn, and 5 before 2 by its priority");
}

#[test]
fn nothing_is_drawn_or_answered_before_it_is_durable() {
    let mut state = State::new(1);
    state.apply(Event::Accepted(job(1, Lane::Batch, "a")), 0);
    let effects = state.apply(draw(1, 1), 0);
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Draw { .. })), "not before its attempt is durable");
    state.apply(durable(&effects), 0);
    let effects = state.apply(drawn(1), 0);
    assert_eq!(answer(&effects), None, "not before its ending is durable");
    assert_eq!(answer(&state.apply(durable(&effects), 0)), Some("done"));
    assert_eq!(state.open(), 0);
}

#[test]
fn one_draws_and_the_other_finds_the_store() {
    let mut state = State::new(4);
    state.apply(Event::Accepted(job(1, Lane::Batch, "a")), 0);
    state.apply(Event::Accepted(job(2, Lane::Batch, "b")), 0);
    start(&mut state, 1, 9);
    let effects = state.apply(draw(2, 9), 0);
    assert!(effects.is_empty(), "the second waits: {effects:?}");
    let effects = state.apply(drawn(1), 0);
    assert!(planned(&effects).is_empty(), "the store does not know it yet");
    let effects = state.apply(durable(&effects), 0);
    assert_eq!(planned(&effects), [2], "now it does");
}

#[test]
fn an_answer_from_before_the_store_knew_is_asked_again() {
    let mut state = State::new(4);
    state.apply(Event::Accepted(job(1, Lane::Batch, "a")), 0);
    start(&mut state, 1, 9);
    state.apply(Event::Accepted(job(2, Lane::Batch, "b")), 0);
    // The router looks for job 2 and finds nothing; before it answers, job 1 ends.
    let effects = state.apply(drawn(1), 0);
    state.apply(durable(&effects), 0);
    assert_eq!(planned(&state.apply(draw(2, 9), 0)), [2]);
}

#[test]
fn a_job_is_cancelled_wherever_it_stands() {
    // Queued.
    let mut state = State::new(1);
    state.apply(Event::Accepted(job(1, Lane::Batch, "a")), 0);
    state.apply(Event::Accepted(job(2, Lane::Batch, "a")), 0);
    let effects = state.apply(Event::Cancel(JobId(2)), 0);
    assert_eq!(answer(&state.apply(durable(&effects), 0)), Some("cancelled"));
    // Planning: the router is told, and it ends as soon as that has answered.
    assert_eq!(state.apply(Event::Cancel(JobId(1)), 0), [Effect::Stop(JobId(1))]);
    let effects = state.apply(draw(1, 1), 0);
    assert_eq!(answer(&state.apply(durable(&effects), 0)), Some("cancelled"));
    // Drawing: the engine is told, and a picture that came all the same is kept.
    state.apply(Event::Accepted(job(3, Lane::Batch, "a")), 0);
    start(&mut state, 3, 3);
    assert_eq!(state.apply(Event::Cancel(JobId(3)), 0), [Effect::Stop(JobId(3))]);
    let effects = state.apply(drawn(3), 0);
    assert!(
        matches!(
            &effects[..],
            [Effect::Record(Record::Finished { late: Some(_), attempt: Some((1, Outcome::Rendered)), .. })]
        ),
        "{effects:?}"
    );
    assert_eq!(answer(&state.apply(durable(&effects), 0)), Some("cancelled"));
    // Nobody.
    assert!(state.apply(Event::Cancel(JobId(99)), 0).is_empty());
}

#[test]
fn deadlines_end_what_waits_and_what_runs() {
    let mut state = State::new(1);
    state.apply(Event::Accepted(job(1, Lane::Batch, "a")), 0);
    state.apply(Event::Accepted(Open { deadline_ms: Some(50), ..job(2, Lane::Batch, "a") }), 0);
    assert_eq!(state.next_deadline_ms(), Some(50));
    assert!(state.apply(Event::Tick, 49).is_empty());
    let effects = state.apply(Event::Tick, 50);
    assert_eq!(answer(&state.apply(durable(&effects), 51)), Some("deadline_exceeded"));
    assert_eq!(state.next_deadline_ms(), None);
}

#[test]
fn a_drain_ends_what_runs_and_leaves_the_rest() {
    let mut state = State::new(1);
    state.apply(Event::Accepted(job(1, Lane::Batch, "a")), 0);
    state.apply(Event::Accepted(job(2, Lane::Batch, "a")), 0);
    start(&mut state, 1, 1);
    assert!(state.apply(Event::Drain, 0).is_empty());
    let effects = state.apply(drawn(1), 0);
    let effects = state.apply(durable(&effects), 0);
    assert_eq!(answer(&effects), Some("done"));
    assert!(planned(&effects).is_empty(), "nothing more is started");
    assert_eq!(effects.last(), Some(&Effect::Drained));
    assert_eq!(state.open(), 1, "what waited stays in the journal");
}

#[test]
fn a_job_that_the_journal_could_not_follow_is_let_go_of() {
    let mut state = State::new(1);
    state.apply(Event::Accepted(job(1, Lane::Batch, "a")), 0);
    let effects = state.apply(draw(1, 1), 0);
    let Event::Recorded(record) = durable(&effects) else { panic!("a record") };
    let failure = Failure::new(ErrorCode::DiskFull, "the disk is full");
    let effects = state.apply(Event::Unrecorded(record, failure), 0);
    assert_eq!(answer(&effects), Some("disk_full"));
    // Its slot and its key are free again.
    state.apply(Event::Accepted(job(2, Lane::Batch, "a")), 0);
    start(&mut state, 2, 1);
}

mod buying;
mod mending;

fn draw_locally(id: u64) -> Event {
    let mut route = route(&spec("a sword"));
    route.engine = "local".to_owned();
    let [key, art] = [7, 8].map(|kind| {
        let mut key = [kind; 32];
        key[..8].copy_from_slice(&id.to_le_bytes());
        RealisedKey(key)
    });
    Event::Planned { job: JobId(id), planned: Planned::Draw { route: Box::new(route), key, art: Some(art) } }
}

/// As many jobs at the model as it has slots, and `more` that wait for one; all are of a build.
fn full(more: u64) -> State {
    let mut state = State::new(3);
    let slots = thumbforge_core::limits::MODEL_SLOTS as u64;
    for id in 1..=slots + more {
        assert_eq!(
            planned(&state.apply(Event::Accepted(job(id, Lane::Batch, "night")), 0)),
            [id],
            "no worker is taken"
        );
        let effects = state.apply(draw_locally(id), 0);
        if id <= slots {
            state.apply(durable(&effects), 0);
        } else {
            assert_eq!(effects, [], "the model takes no more");
        }
    }
    state
}

#[test]
fn pictures_at_the_model_take_no_worker_s_turn_and_are_bounded() {
    let mut state = full(2);
    let slots = thumbforge_core::limits::MODEL_SLOTS as u64;
    // Another engine's job has its turn all the same.
    assert_eq!(planned(&state.apply(Event::Accepted(job(1000, Lane::Interactive, "artist")), 0)), [1000]);
    start(&mut state, 1000, 200);
    // Whoever waited longest is planned anew when a slot is free, and no more than one for one.
    let effects = state.apply(drawn(1), 0);
    assert_eq!(planned(&effects), [slots + 1]);
    let again = state.apply(draw_locally(slots + 1), 0);
    assert!(again.iter().any(|effect| matches!(effect, Effect::Record(Record::Started { .. }))), "{again:?}");
    assert!(planned(&again).is_empty());
}

#[test]
fn what_was_parked_and_is_there_by_now_lets_the_next_one_go() {
    let mut state = full(2);
    let slots = thumbforge_core::limits::MODEL_SLOTS as u64;
    let effects = state.apply(drawn(1), 0);
    assert_eq!(planned(&effects), [slots + 1]);
    let cached = Planned::Cached(Box::new(render(&spec("a sword"))));
    assert_eq!(planned(&state.apply(Event::Planned { job: JobId(slots + 1), planned: cached }, 0)), [slots + 2]);
}

#[test]
fn people_leave_the_park_first_and_what_is_cancelled_there_leaves_it() {
    let mut state = full(2);
    let slots = thumbforge_core::limits::MODEL_SLOTS as u64;
    state.apply(Event::Accepted(job(1000, Lane::Interactive, "artist")), 0);
    assert_eq!(state.apply(draw_locally(1000), 0), []);
    let effects = state.apply(Event::Cancel(JobId(slots + 1)), 0);
    assert_eq!(answer(&state.apply(durable(&effects), 0)), Some("cancelled"));
    assert_eq!(planned(&state.apply(drawn(1), 0)), [1000]);
    state.apply(draw_locally(1000), 0);
    assert_eq!(planned(&state.apply(drawn(2), 0)), [slots + 2]);
}
