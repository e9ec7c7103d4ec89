//! Money by money: every budget is kept for what it is about, and nothing is set aside, paid or told twice.

use std::sync::Arc;

use thumbforge_core::error::Failure;
use thumbforge_core::id::ContentHash;
use thumbforge_core::job::{Ending, JobSpec, JobState, OnAmbiguous, Purchase, Route};
use thumbforge_core::limits;

use super::*;
use crate::journal::tests::{route, spec};
use crate::journal::{Accepted, Applied, Record, in_memory, ops};

/// 2026-11-21 23:59:59.000 UTC.
const LATE_MS: u64 = 1_795_305_599_000;

struct Book(Connection);

impl Book {
    fn new() -> Self {
        Self(in_memory().expect("a journal in memory"))
    }

    fn accept(&self, change: impl FnOnce(&mut JobSpec)) -> JobId {
        let mut spec = spec("a sword");
        change(&mut spec);
        let json = ops::spec_to_json(&spec);
        let planned = spec.recipe.planned_key();
        match ops::accept(&self.0, None, &spec, &json, planned, 1).expect("accepts") {
            Accepted::Fresh(open) => open.id,
            other => panic!("{other:?}"),
        }
    }

    /// Begins a call that may cost 10, under one budget.
    fn begin(&self, job: JobId, attempt: u32, budget: Option<Budget>, now_ms: u64) -> Applied {
        let purchase = Purchase {
            account: "studio".into(),
            provider: "openai".into(),
            key_id: String::new(),
            quoted: Micros(8),
            reserve: Micros(10),
            images: 1,
            on_ambiguous: OnAmbiguous::Hold,
            nonce: String::new(),
            known_as: None,
        };
        let route = Box::new(Route { purchase: Some(purchase), ..route(&spec("a sword")) });
        let art = Some(RealisedKey([job.0 as u8; 32]));
        let budgets = budget.into_iter().collect::<Arc<[Budget]>>();
        self.write(&Record::Started { job, attempt, route, art, budgets }, now_ms)
    }

    fn end(&self, job: JobId, attempt: u32, outcome: Outcome, settled: Settled) {
        let art = RealisedKey([job.0 as u8; 32]);
        let bought = (outcome == Outcome::Rendered).then_some(Bought { art, blob: ContentHash(art.0), seed: None });
        let call = Box::new(Call { settled, art: bought, latency_ms: 5, ..Call::unmade(outcome) });
        let state = if outcome == Outcome::Ambiguous { JobState::Ambiguous } else { JobState::Queued };
        self.write(&Record::Called { job, attempt, call, state }, LATE_MS + 5_000);
    }

    fn fail(&self, job: JobId) {
        let ending = Ending::Failed(Failure::new(ErrorCode::ProviderFailed, "failed to draw"));
        self.write(&Record::Finished { job, attempt: None, ending, late: None }, LATE_MS + 9_000);
    }

    fn write(&self, record: &Record, now_ms: u64) -> Applied {
        ops::apply(&self.0, record, now_ms).expect("applies")
    }

    fn spent(&self, scope: &Scope, period: &str) -> (u64, u64) {
        let (reserved, spent) = spent(&self.0, scope, period).expect("reads");
        (reserved.0, spent.0)
    }

    fn state(&self, job: JobId) -> JobState {
        ops::job(&self.0, job).expect("reads").expect("is there").state
    }
}

#[track_caller]
fn check(scope: Scope, period: Period, change: fn(&mut JobSpec), counts: bool) {
    let book = Book::new();
    let budget = || Some(Budget { scope: scope.clone(), period, micros: Micros(15) });
    let first = book.accept(|spec| spec.asset.locale = "first".into());
    assert_eq!(book.begin(first, 1, budget(), LATE_MS), Applied::Written);
    book.end(first, 1, Outcome::Empty, Settled::Paid(Micros(8)));
    let second = book.accept(change);
    let refused = book.begin(second, 1, budget(), LATE_MS);
    let is_refused = matches!(&refused, Applied::Refused { failure, .. } if failure.code == ErrorCode::OverBudget);
    assert_eq!(is_refused, counts, "{scope} {period:?}: {refused:?}");
}

#[test]
fn a_budget_is_kept_for_what_it_is_about() {
    let client = spec("a sword").client;
    let tier = spec("a sword").recipe.tier.word();
    let project = || Scope::Project(client.clone());
    for period in [Period::Ever, Period::Day, Period::Month] {
        for scope in [Scope::All, project(), Scope::Provider("openai".into()), Scope::Account("studio".into())] {
            check(scope, period, |_| {}, true);
        }
        check(Scope::Tier(tier.into()), period, |_| {}, true);
        check(project(), period, |spec| spec.client = "another".into(), false);
        check(Scope::Tier(tier.into()), period, |spec| spec.client = "another".into(), false);
        check(Scope::All, period, |spec| spec.client = "another".into(), true);
        check(Scope::Account("another".into()), period, |_| {}, false);
        check(Scope::Provider("google".into()), period, |_| {}, false);
    }
    check(Scope::Batch("night".into()), Period::Ever, |spec| spec.terms.batch = "day".into(), false);
}

#[test]
fn a_call_counts_on_the_day_on_which_it_began() {
    let book = Book::new();
    let job = book.accept(|_| {});
    book.begin(job, 1, None, LATE_MS);
    assert_eq!(book.spent(&Scope::All, "2026-11-21"), (10, 0));
    // It ends on the day after.
    book.end(job, 1, Outcome::Rendered, Settled::Paid(Micros(8)));
    assert_eq!(book.spent(&Scope::All, "2026-11-21"), (0, 8));
    assert_eq!(book.spent(&Scope::All, "2026-11-22"), (0, 0));
    assert_eq!(book.spent(&Scope::All, "2026-11"), (0, 8));
}

#[test]
fn art_that_is_there_is_not_bought_again() {
    let book = Book::new();
    let job = book.accept(|_| {});
    book.begin(job, 1, None, LATE_MS);
    ops::keep_blob(&book.0, ContentHash([job.0 as u8; 32]), 1, 1).expect("a blob");
    book.end(job, 1, Outcome::Rendered, Settled::Paid(Micros(8)));
    assert_eq!(book.begin(job, 2, None, LATE_MS), Applied::Owned);
    assert_eq!(book.spent(&Scope::All, ""), (0, 8), "nothing is set aside for it");
    ops::forget_blob(&book.0, ContentHash([job.0 as u8; 32])).expect("forgets");
    assert_eq!(book.begin(job, 2, None, LATE_MS), Applied::Written, "what the store gave up is bought anew");
}

#[test]
fn what_nobody_knows_is_counted_once_when_its_job_ends() {
    let book = Book::new();
    let job = book.accept(|_| {});
    book.begin(job, 1, None, LATE_MS);
    book.end(job, 1, Outcome::Ambiguous, Settled::Unknown);
    assert_eq!((book.spent(&Scope::All, ""), book.state(job)), ((10, 0), JobState::Ambiguous));
    book.begin(job, 2, None, LATE_MS);
    book.end(job, 2, Outcome::Empty, Settled::Paid(Micros(8)));
    assert_eq!(paid(&book.0, job).expect("reads"), Micros(18), "with what it will be counted at");
    book.fail(job);
    assert_eq!(book.spent(&Scope::All, ""), (0, 18));
    // What comes after the end changes neither the money nor the job.
    book.end(job, 1, Outcome::Rendered, Settled::Paid(Micros(8)));
    book.fail(job);
    assert_eq!((book.spent(&Scope::All, ""), book.state(job)), ((0, 18), JobState::Failed));
}

#[test]
fn a_job_that_ends_the_process_again_and_again_leaves_nothing_set_aside() {
    let book = Book::new();
    let job = book.accept(|_| {});
    book.begin(job, 1, None, LATE_MS);
    book.end(job, 1, Outcome::Ambiguous, Settled::Unknown);
    book.write(&Record::Returned { job, attempt: 1, outcome: Outcome::Ambiguous }, LATE_MS);
    for attempt in 2..limits::CRASHES_MAX + 4 {
        let open = ops::recover(&book.0, LATE_MS).expect("recovers");
        if open.is_empty() {
            break;
        }
        assert_eq!(open[0].unknown, 1, "the call before is remembered");
        let route = Box::new(route(&spec("a sword")));
        book.write(&Record::Started { job, attempt, route, art: None, budgets: Arc::new([]) }, LATE_MS);
    }
    assert_eq!((book.state(job), book.spent(&Scope::All, "")), (JobState::Failed, (0, 10)));
}

#[test]
fn no_figure_of_a_server_keeps_its_picture_out() {
    let book = Book::new();
    let job = book.accept(|_| {});
    book.begin(job, 1, None, LATE_MS);
    let art = RealisedKey([job.0 as u8; 32]);
    let usage = Usage {
        text_tokens: Some(u64::MAX),
        image_tokens: Some(u64::MAX),
        output_tokens: Some(u64::MAX),
        credits_milli: Some(u64::MAX),
        ..Usage::default()
    };
    let bought = Some(Bought { art, blob: ContentHash(art.0), seed: Some(u64::MAX) });
    let call = Call { settled: Settled::Paid(Micros(8)), usage, art: bought, ..Call::unmade(Outcome::Rendered) };
    ops::keep_blob(&book.0, ContentHash(art.0), 1, 1).expect("a blob");
    book.write(&Record::Called { job, attempt: 1, call: Box::new(call), state: JobState::Queued }, LATE_MS);
    assert!(find_art(&book.0, art).expect("reads").is_some());
}

#[test]
fn a_call_that_was_asked_after_took_all_of_its_time() {
    let book = Book::new();
    let job = book.accept(|_| {});
    book.begin(job, 1, None, LATE_MS);
    book.end(job, 1, Outcome::Ambiguous, Settled::Unknown);
    ops::keep_blob(&book.0, ContentHash([job.0 as u8; 32]), 1, 1).expect("a blob");
    book.end(job, 1, Outcome::Rendered, Settled::Paid(Micros(8)));
    let art = find_art(&book.0, RealisedKey([job.0 as u8; 32])).expect("reads").expect("is there");
    assert_eq!((art.latency_ms, art.cost), (10, Micros(8)));
}
