//! The promises about what is bought: whose turn it is at an account, and what ends, waits, or is asked for anew.

use std::collections::BTreeMap;
use std::sync::Arc;

use thumbforge_core::job::{JobState, OnAmbiguous, Purchase, Route};
use thumbforge_core::money::Micros;

use super::*;
use crate::journal::ledger::{Bought, Call, Settled};

const LIMITS: GateLimits = GateLimits { in_flight: 1, per_minute: None, burst: 1 };

fn offer(account: &str, art: u8, on_ambiguous: OnAmbiguous) -> Offer {
    let purchase = Purchase {
        account: account.to_owned(),
        provider: account.to_owned(),
        key_id: String::new(),
        quoted: Micros(10),
        reserve: Micros(10),
        images: 1,
        on_ambiguous,
        nonce: String::new(),
        known_as: None,
    };
    let route = Box::new(Route { purchase: Some(purchase), ..route(&spec("a sword")) });
    Offer { route, art: RealisedKey([art; 32]), limits: LIMITS, lowered: None }
}

fn offers(id: u64, offers: Vec<Offer>) -> Event {
    let offers = Offers { offers, budgets: Arc::new([]), cross_vendor: false };
    Event::Planned { job: JobId(id), planned: Planned::Buy(Box::new(offers)) }
}

/// Accepts a job of `client` and brings it to the counters of `accounts`, one after the other.
fn shop(state: &mut State, open: Open, accounts: &[&str], now_ms: u64) -> Vec<Effect> {
    let id = open.id.0;
    let at = |(place, account): (usize, &&str)| offer(account, (id * 10) as u8 + place as u8, OnAmbiguous::Hold);
    let wanted = accounts.iter().enumerate().map(at).collect();
    assert_eq!(planned(&state.apply(Event::Accepted(open), now_ms)), [id]);
    state.apply(offers(id, wanted), now_ms)
}

fn ended(id: u64, attempt: u32, outcome: Outcome, settled: Settled) -> Called {
    let art = (outcome == Outcome::Rendered).then_some(Bought {
        art: RealisedKey([(id * 10) as u8; 32]),
        blob: thumbforge_core::id::ContentHash([attempt as u8; 32]),
        seed: None,
    });
    let call = Call { settled, art, ..Call::unmade(outcome) };
    Called { call, retry_after_ms: None, account_wide: false }
}

fn called(id: u64, attempt: u32, outcome: Outcome, settled: Settled) -> Event {
    let called = Box::new(ended(id, attempt, outcome, settled));
    Event::Called { job: JobId(id), attempt, called }
}

/// Jobs whose money is to be set aside, by number.
fn reserving(effects: &[Effect]) -> Vec<u64> {
    let of = |effect: &Effect| match effect {
        Effect::Record(Record::Started { job, .. }) => Some(job.0),
        _ => None,
    };
    effects.iter().filter_map(of).collect()
}

fn told(effects: &[Effect]) -> Option<&'static str> {
    effects.iter().find_map(|effect| match effect {
        Effect::Tell(_, failure) => Some(failure.code.word()),
        _ => None,
    })
}

/// Fails calls of other jobs until the account rests.
fn shut(state: &mut State, account: &str) {
    for id in 100..105 {
        let effects = shop(state, job(id, Lane::Batch, "first"), &[account], 0);
        state.apply(durable(&effects), 0);
        let effects = state.apply(called(id, 1, Outcome::Transient, Settled::Free), 0);
        state.apply(durable(&effects), 0);
        let effects = state.apply(Event::Cancel(JobId(id)), 0);
        state.apply(durable(&effects), 0);
    }
}

#[test]
fn a_job_that_waits_for_the_end_of_a_rest_holds_up_nobody_who_can_go_elsewhere() {
    let mut state = State::new(4);
    shut(&mut state, "north");
    assert!(reserving(&shop(&mut state, job(1, Lane::Interactive, "a"), &["north"], 0)).is_empty());
    let effects = shop(&mut state, job(2, Lane::Batch, "b"), &["north", "south"], 0);
    assert_eq!(reserving(&effects), [2], "the second job has another route");
    let at = state.next_deadline_ms().expect("a time at which the rest is over");
    assert_eq!(reserving(&state.apply(Event::Tick, at)), [1], "and the first goes when the rest is over");
}

#[test]
fn clients_take_turns_at_an_account() {
    let mut state = State::new(8);
    let effects = shop(&mut state, job(1, Lane::Batch, "night"), &["north"], 0);
    assert_eq!(reserving(&effects), [1]);
    state.apply(durable(&effects), 0);
    for id in 2..=4 {
        shop(&mut state, job(id, Lane::Batch, "night"), &["north"], 0);
    }
    shop(&mut state, job(5, Lane::Batch, "day"), &["north"], 0);
    let mut order = Vec::new();
    let mut id = 1;
    for _ in 0..4 {
        let effects = state.apply(called(id, 1, Outcome::PolicyInput, Settled::Free), 0);
        let next = reserving(&effects);
        let [next] = next[..] else { panic!("one goes when one has ended: {effects:?}") };
        for effect in effects {
            if let Effect::Record(record) = effect {
                state.apply(Event::Recorded(record), 0);
            }
        }
        order.push(next);
        id = next;
    }
    assert_eq!(order, [2, 5, 3, 4], "the other client does not wait for the whole night");
}

#[test]
fn a_project_s_own_bound_holds_up_nobody_else() {
    let mut state = State::new(8);
    let limits = GateLimits { in_flight: 4, ..LIMITS };
    let lowered = |id: u8| Offer { limits, lowered: Some(LIMITS), ..offer("north", id, OnAmbiguous::Hold) };
    for (id, client) in [(1, "careful"), (2, "careful"), (3, "bold"), (4, "bold")] {
        state.apply(Event::Accepted(job(id, Lane::Batch, client)), 0);
        let wanted = match client {
            "careful" => lowered(id as u8),
            _ => Offer { lowered: None, ..lowered(id as u8) },
        };
        let goes = reserving(&state.apply(offers(id, vec![wanted]), 0)) == [id];
        assert_eq!(goes, id != 2, "job {id} of {client}");
    }
}

#[test]
fn changed_settings_reach_jobs_that_wait() {
    let mut state = State::new(4);
    let effects = shop(&mut state, job(1, Lane::Batch, "a"), &["north"], 0);
    state.apply(durable(&effects), 0);
    shop(&mut state, job(2, Lane::Batch, "a"), &["north"], 0);
    let limits = GateLimits { in_flight: 2, ..LIMITS };
    let changed = Event::Market { limits: BTreeMap::from([("north".to_owned(), limits)]) };
    assert_eq!(planned(&state.apply(changed, 0)), [2], "prices and budgets are asked for anew");
    let wanted = Offer { limits, ..offer("north", 20, OnAmbiguous::Hold) };
    assert_eq!(reserving(&state.apply(offers(2, vec![wanted]), 0)), [2], "and there is room for two now");
    // The one whose call was on its way is routed again as well before it would be bought again.
    let effects = state.apply(called(1, 1, Outcome::Transient, Settled::Free), 0);
    assert_eq!(planned(&state.apply(durable(&effects), 0)), [1]);
}

#[test]
fn a_shut_account_is_open_again_for_changed_settings() {
    let mut state = State::new(4);
    shut(&mut state, "north");
    assert!(reserving(&shop(&mut state, job(1, Lane::Batch, "a"), &["north"], 0)).is_empty());
    assert_eq!(planned(&state.apply(Event::Market { limits: BTreeMap::new() }, 0)), [1]);
    assert_eq!(reserving(&state.apply(offers(1, vec![offer("north", 10, OnAmbiguous::Hold)]), 0)), [1]);
}

/// A job whose deadline comes while its call is on its way.
fn overdue(on_ambiguous: OnAmbiguous) -> State {
    let mut state = State::new(4);
    state.apply(Event::Accepted(Open { deadline_ms: Some(50), ..job(1, Lane::Batch, "a") }), 0);
    let effects = state.apply(offers(1, vec![offer("north", 10, on_ambiguous)]), 0);
    state.apply(durable(&effects), 0);
    let effects = state.apply(Event::Tick, 50);
    assert_eq!(told(&effects), Some("deadline_exceeded"));
    assert!(!effects.contains(&Effect::Stop(JobId(1))), "what may be paid is not thrown away: {effects:?}");
    state
}

#[test]
fn a_deadline_does_not_throw_away_what_is_paid() {
    let mut state = overdue(OnAmbiguous::Hold);
    let effects = state.apply(called(1, 1, Outcome::Rendered, Settled::Paid(Micros(10))), 60);
    assert!(
        matches!(&effects[..], [Effect::Record(Record::Called { call, .. })] if call.art.is_some()),
        "the art is kept: {effects:?}"
    );
    let effects = state.apply(durable(&effects), 60);
    assert_eq!(answer(&state.apply(durable(&effects), 60)), Some("deadline_exceeded"));
}

#[test]
fn an_unknown_outcome_after_the_deadline_is_no_failure() {
    for rule in [OnAmbiguous::Hold, OnAmbiguous::Resend { at_most: 3 }] {
        let mut state = overdue(rule);
        let effects = state.apply(called(1, 1, Outcome::Ambiguous, Settled::Unknown), 60);
        let effects = state.apply(durable(&effects), 60);
        assert_eq!(told(&effects), Some("ambiguous"));
        assert!(state.is_held(JobId(1)), "a person decides");
        assert_eq!(state.census().get(&JobState::Ambiguous), Some(&1));
    }
}

#[test]
fn a_deadline_that_comes_while_an_unknown_outcome_is_written_down_ends_nothing() {
    let mut state = State::new(4);
    state.apply(Event::Accepted(Open { deadline_ms: Some(50), ..job(1, Lane::Batch, "a") }), 0);
    let effects = state.apply(offers(1, vec![offer("north", 10, OnAmbiguous::Hold)]), 0);
    state.apply(durable(&effects), 0);
    let effects = state.apply(called(1, 1, Outcome::Ambiguous, Settled::Unknown), 40);
    state.apply(Event::Tick, 50);
    state.apply(durable(&effects), 51);
    assert!(state.is_held(JobId(1)));
}

#[test]
fn who_takes_back_what_is_overdue_is_obeyed() {
    let mut state = overdue(OnAmbiguous::Hold);
    assert_eq!(state.apply(Event::Cancel(JobId(1)), 60), [Effect::Stop(JobId(1))]);
    let effects = state.apply(called(1, 1, Outcome::Ambiguous, Settled::Unknown), 61);
    let effects = state.apply(durable(&effects), 61);
    assert_eq!(answer(&state.apply(durable(&effects), 61)), Some("cancelled"));
}

#[test]
fn art_that_somebody_else_bought_meanwhile_is_not_bought_again() {
    let mut state = State::new(4);
    let effects = shop(&mut state, job(1, Lane::Batch, "a"), &["north"], 0);
    let Event::Recorded(record) = durable(&effects) else { panic!("a record") };
    assert_eq!(planned(&state.apply(Event::Owned(record), 0)), [1], "it looks into the store again");
    assert_eq!(reserving(&shop(&mut state, job(2, Lane::Batch, "a"), &["north"], 0)), [2], "its place is free");
}

#[test]
fn whoever_paid_has_the_picture_first() {
    let mut state = State::new(2);
    let effects = shop(&mut state, job(1, Lane::Interactive, "a"), &["north"], 0);
    state.apply(durable(&effects), 0);
    state.apply(Event::Accepted(job(2, Lane::Interactive, "b")), 0);
    state.apply(offers(2, vec![offer("north", 10, OnAmbiguous::Hold)]), 0);
    let effects = state.apply(called(1, 1, Outcome::Rendered, Settled::Paid(Micros(10))), 0);
    assert_eq!(planned(&state.apply(durable(&effects), 0)), [1], "the other waits for it");
    let effects = state.apply(draw(1, 99), 0);
    assert!(matches!(&effects[..], [Effect::Draw { attempt: 1, .. }]), "it is the same attempt: {effects:?}");
    let effects = state.apply(drawn(1), 0);
    let effects = state.apply(durable(&effects), 0);
    assert_eq!((answer(&effects), planned(&effects)), (Some("done"), vec![2]));
}

#[test]
fn art_that_is_gone_as_soon_as_it_is_paid_is_not_paid_for_ever() {
    let mut state = State::new(2);
    let effects = shop(&mut state, job(1, Lane::Batch, "a"), &["north"], 0);
    state.apply(durable(&effects), 0);
    let effects = state.apply(called(1, 1, Outcome::Rendered, Settled::Paid(Micros(10))), 0);
    assert_eq!(planned(&state.apply(durable(&effects), 0)), [1]);
    let effects = state.apply(offers(1, vec![offer("north", 10, OnAmbiguous::Hold)]), 0);
    assert_eq!(answer(&state.apply(durable(&effects), 0)), Some("storage"));
}

#[test]
fn a_rule_that_sends_again_counts_across_restarts() {
    let resend = OnAmbiguous::Resend { at_most: 1 };
    for (unknown, held) in [(0, false), (1, true)] {
        let mut state = State::new(2);
        state.apply(Event::Accepted(Open { unknown, ..job(1, Lane::Batch, "a") }), 0);
        let effects = state.apply(offers(1, vec![offer("north", 10, resend)]), 0);
        state.apply(durable(&effects), 0);
        let effects = state.apply(called(1, 1, Outcome::Ambiguous, Settled::Unknown), 0);
        state.apply(durable(&effects), 0);
        assert_eq!(state.is_held(JobId(1)), held, "after {unknown} before");
    }
}

#[test]
fn what_was_paid_without_a_picture_is_not_paid_again() {
    for settled in [Settled::Paid(Micros(10)), Settled::Paid(Micros::ZERO)] {
        let mut state = State::new(2);
        let effects = shop(&mut state, job(1, Lane::Batch, "a"), &["north", "south"], 0);
        state.apply(durable(&effects), 0);
        let effects = state.apply(called(1, 1, Outcome::Empty, settled), 0);
        let effects = state.apply(durable(&effects), 0);
        let ends = effects.iter().any(|effect| matches!(effect, Effect::Record(Record::Finished { .. })));
        assert_eq!(ends, settled == Settled::Paid(Micros(10)), "{effects:?}");
    }
}

#[test]
fn each_call_has_a_name_of_its_own() {
    let mut state = State::new(2);
    state.apply(Event::Accepted(job(1, Lane::Batch, "a")), 0);
    let mut wanted = offer("north", 10, OnAmbiguous::Hold);
    if let Some(purchase) = &mut wanted.route.purchase {
        purchase.nonce = "0b9e7f6a-0000-4000-8000-000000000001".into();
        purchase.known_as = Some(purchase.nonce.clone());
    }
    let mut names = std::collections::BTreeSet::new();
    let mut effects = state.apply(offers(1, vec![wanted]), 0);
    for attempt in 1..=3 {
        let name = effects.iter().find_map(|effect| match effect {
            Effect::Record(Record::Started { route, .. }) => route.purchase.clone(),
            _ => None,
        });
        let name = name.expect("a call");
        assert_eq!(name.known_as.as_ref(), Some(&name.nonce));
        names.insert(name.nonce);
        state.apply(durable(&effects), 0);
        let fails = state.apply(called(1, attempt, Outcome::Transient, Settled::Free), 0);
        state.apply(durable(&fails), 0);
        effects = state.apply(Event::Tick, 10_000);
    }
    assert_eq!(names.len(), 3, "{names:?}");
}

#[test]
fn a_person_does_not_wait_behind_the_build_that_has_the_same_art() {
    let mut state = State::new(8);
    for id in 1..=4 {
        let effects = shop(&mut state, job(id, Lane::Batch, "night"), &["north"], 0);
        assert_eq!(reserving(&effects).len(), usize::from(id == 1));
        for effect in effects {
            if let Effect::Record(record) = effect {
                state.apply(Event::Recorded(record), 0);
            }
        }
    }
    // The art that the last job of the build waits to buy.
    state.apply(Event::Accepted(job(5, Lane::Interactive, "artist")), 0);
    assert!(state.apply(offers(5, vec![offer("north", 40, OnAmbiguous::Hold)]), 0).is_empty());
    let effects = state.apply(called(1, 1, Outcome::PolicyInput, Settled::Free), 0);
    assert_eq!(reserving(&effects), [4]);
}

/// A job whose money a budget has no room for now.
fn overdrawn(effects: &[Effect], may_fit: bool) -> Event {
    let record = effects.iter().find_map(|effect| match effect {
        Effect::Record(record @ Record::Started { .. }) => Some(record.clone()),
        _ => None,
    });
    let failure = Failure::new(ErrorCode::OverBudget, "failed to buy the picture: the budget is spent");
    Event::Overdrawn { record: record.expect("money is to be set aside"), failure, may_fit }
}

#[test]
fn whom_a_budget_has_no_room_for_asks_again_when_a_call_has_cost_less() {
    let mut state = State::new(4);
    let first = shop(&mut state, job(1, Lane::Batch, "a"), &["north"], 0);
    state.apply(durable(&first), 0);
    let second = shop(&mut state, job(2, Lane::Batch, "a"), &["south"], 0);
    let effects = state.apply(overdrawn(&second, true), 0);
    assert_eq!(answer(&effects), None, "a call is under way that may cost less");
    // The journal writes in order: what the call left is free before it is asked for.
    let effects = state.apply(called(1, 1, Outcome::Rendered, Settled::Paid(Micros(1))), 0);
    assert!(matches!(&effects[..], [Effect::Record(Record::Called { .. }), Effect::Record(Record::Started { .. })]));
    // With nothing under way there is nothing to wait for.
    let effects = state.apply(overdrawn(&effects, true), 0);
    assert_eq!(answer(&state.apply(durable(&effects), 0)), Some("over_budget"));
}

#[test]
fn what_can_never_fit_is_refused_at_once() {
    let mut state = State::new(4);
    let first = shop(&mut state, job(1, Lane::Batch, "a"), &["north"], 0);
    state.apply(durable(&first), 0);
    let second = shop(&mut state, job(2, Lane::Batch, "a"), &["south"], 0);
    let effects = state.apply(overdrawn(&second, false), 0);
    assert_eq!(answer(&state.apply(durable(&effects), 0)), Some("over_budget"));
}
