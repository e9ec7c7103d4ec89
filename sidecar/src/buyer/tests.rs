//! What a call's end is told as, and what it is counted at.

use thumbforge_core::job::OnAmbiguous;

use super::*;

fn purchase() -> Purchase {
    Purchase {
        account: "studio".to_owned(),
        provider: "openai".to_owned(),
        key_id: String::new(),
        quoted: Micros(40),
        reserve: Micros(50),
        images: 1,
        on_ambiguous: OnAmbiguous::Hold,
        nonce: String::new(),
        known_as: None,
    }
}

#[track_caller]
fn check(outcome: Outcome, billed: Billed, told: Outcome, settled: Settled) {
    let called = failed(Fault::new(outcome, "draw").billed(billed), Some(&purchase()), 1, None);
    assert_eq!((called.call.outcome, called.call.settled), (told, settled), "{outcome:?} {billed:?}");
}

#[test]
fn what_may_be_billed_is_not_told_as_never_made() {
    for outcome in [Outcome::Auth, Outcome::OutOfFunds, Outcome::Throttled, Outcome::Transient, Outcome::BadRequest] {
        check(outcome, Billed::Unknown, Outcome::Ambiguous, Settled::Unknown);
        check(outcome, Billed::No, outcome, Settled::Free);
    }
    check(Outcome::PolicyOutput, Billed::Unknown, Outcome::PolicyOutput, Settled::Paid(Micros(40)));
    check(Outcome::Empty, Billed::Yes, Outcome::Empty, Settled::Paid(Micros(40)));
}

#[test]
fn no_answer_is_counted_at_more_than_there_is() {
    let usage = Usage { micros: Some(u64::MAX), ..Usage::default() };
    let row = ModelRow::bare("m", thumbforge_core::model::Family::Hosted);
    assert_eq!(price(&usage, &purchase(), &row, false), FIGURE_MAX);
    let fault = Fault { usage, ..Fault::new(Outcome::PolicyOutput, "draw").billed(Billed::Yes) };
    assert_eq!(failed(fault, Some(&purchase()), 1, None).call.settled, Settled::Paid(FIGURE_MAX));
}
