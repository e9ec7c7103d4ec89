//! What follows when a call gave no picture. Pure: one table, from what happened and what was tried to what is done next.
//!
//! A call is made again by itself only when it provably did not start, or when the route's rule for unknown outcomes says so.

use thumbforge_core::error::ErrorCode;
use thumbforge_core::job::{OnAmbiguous, Outcome};

/// Times that a route is tried again after the provider failed before it made anything.
const TRANSIENT_RETRIES_MAX: u32 = 2;
/// Times that a route is tried again after an answer without a picture.
const EMPTY_RETRIES_MAX: u32 = 1;
/// Times that one job waits because its provider asked for patience; a provider that never has room is not a provider.
const THROTTLED_MAX: u32 = 30;
/// Times that a provider is asked what became of one call, each for as long as a call may take.
const ASKED_MAX: u32 = 3;
/// The first pause lasts up to this long, each further one up to twice as long.
const PAUSE_MS: u64 = 500;
/// Longest pause that nobody asked for.
const PAUSE_MS_MAX: u64 = 60_000;
/// Longest that a job waits for a provider that says when to come back; beyond it, it is told that it failed and when to ask.
pub(super) const WAIT_MS_MAX: u64 = 3_600_000;

/// How a job's calls went so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tried {
    /// Calls on this route that failed before anything was made.
    pub(super) transient: u32,
    /// Calls on this route that were answered with nothing.
    pub(super) empty: u32,
    /// Times that the provider asked for patience.
    pub(super) throttled: u32,
    /// Calls of this job of which nobody knew what became.
    pub(super) resent: u32,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Happened {
    /// How the call ended.
    pub(super) outcome: Outcome,
    /// How long the provider asks to wait.
    pub(super) retry_after_ms: Option<u64>,
    /// Whether the provider can be asked what became of the call.
    pub(super) can_ask: bool,
    /// Whether it is paid, though it gave no picture.
    pub(super) billed: bool,
}

/// What is done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// The same route, after a pause.
    Again {
        /// How long.
        after_ms: u64,
    },
    /// The next route.
    Elsewhere(ErrorCode),
    /// The next route, but of the same provider unless the team allows another.
    ElsewhereIfAllowed(ErrorCode),
    /// Nothing more.
    GiveUp(ErrorCode),
    /// The provider is asked what became of the call.
    Ask,
    /// A person decides.
    Hold,
}

/// What follows from `happened`, after `tried`. `jitter` is any number; the same one gives the same pause.
pub(super) fn next(happened: Happened, tried: Tried, on_ambiguous: OnAmbiguous, jitter: u64) -> Next {
    let asked = happened.retry_after_ms;
    let again = |count: u32| Next::Again { after_ms: pause(count, jitter).max(asked.unwrap_or(0)) };
    match happened.outcome {
        // About refusals the team has a rule. Beyond that, nothing is paid twice for one picture by itself.
        outcome if happened.billed && !is_of_policy(outcome) && outcome != Outcome::Ambiguous => {
            Next::GiveUp(ErrorCode::ProviderFailed)
        }
        Outcome::Throttled if tried.throttled >= THROTTLED_MAX || asked.is_some_and(|ms| ms > WAIT_MS_MAX) => {
            Next::Elsewhere(ErrorCode::RateLimited)
        }
        // The account's gate keeps everybody away for as long as was asked; jitter only adds to that.
        Outcome::Throttled => Next::Again { after_ms: asked.unwrap_or(0) + pause(tried.throttled.min(4), jitter) },
        Outcome::Transient if tried.transient < TRANSIENT_RETRIES_MAX => again(tried.transient),
        Outcome::Transient => Next::Elsewhere(ErrorCode::ProviderFailed),
        Outcome::Empty if tried.empty < EMPTY_RETRIES_MAX => again(tried.empty),
        Outcome::Empty => Next::Elsewhere(ErrorCode::ProviderFailed),
        Outcome::OutOfFunds => Next::Elsewhere(ErrorCode::OutOfFunds),
        Outcome::Auth => Next::Elsewhere(ErrorCode::ProviderAuth),
        Outcome::Retired => Next::Elsewhere(ErrorCode::ModelRetired),
        Outcome::BadRequest => Next::Elsewhere(ErrorCode::EngineFailed),
        Outcome::PolicyInput | Outcome::PolicyOutput => Next::ElsewhereIfAllowed(ErrorCode::ContentPolicy),
        Outcome::Ambiguous => match on_ambiguous {
            OnAmbiguous::Poll if happened.can_ask && tried.resent < ASKED_MAX => Next::Ask,
            OnAmbiguous::Resend { at_most } if tried.resent < at_most => again(tried.resent),
            _ => Next::Hold,
        },
        Outcome::Cancelled => Next::GiveUp(ErrorCode::Cancelled),
        Outcome::Rendered | Outcome::Refused | Outcome::Failed | Outcome::Interrupted => {
            Next::GiveUp(ErrorCode::EngineFailed)
        }
    }
}

fn is_of_policy(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::PolicyInput | Outcome::PolicyOutput)
}

/// Exponential backoff with full jitter: anything from nothing to the whole pause.
fn pause(count: u32, jitter: u64) -> u64 {
    let whole = (PAUSE_MS << count.min(16)).min(PAUSE_MS_MAX);
    jitter % (whole + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(outcome: Outcome) -> Happened {
        Happened { outcome, retry_after_ms: None, can_ask: false, billed: false }
    }

    #[track_caller]
    fn check(happened: Happened, tried: Tried, on_ambiguous: OnAmbiguous, expected: Next) {
        assert_eq!(next(happened, tried, on_ambiguous, 0), expected);
    }

    const FRESH: Tried = Tried { transient: 0, empty: 0, throttled: 0, resent: 0 };
    const HOLD: OnAmbiguous = OnAmbiguous::Hold;

    #[test]
    fn what_did_not_start_is_tried_again_and_then_elsewhere() {
        check(after(Outcome::Transient), FRESH, HOLD, Next::Again { after_ms: 0 });
        let tried = Tried { transient: 2, ..FRESH };
        check(after(Outcome::Transient), tried, HOLD, Next::Elsewhere(ErrorCode::ProviderFailed));
        check(after(Outcome::Empty), FRESH, HOLD, Next::Again { after_ms: 0 });
        check(after(Outcome::Empty), Tried { empty: 1, ..FRESH }, HOLD, Next::Elsewhere(ErrorCode::ProviderFailed));
    }

    #[test]
    fn what_is_paid_is_not_paid_again_by_itself() {
        for outcome in [Outcome::Empty, Outcome::Transient, Outcome::BadRequest, Outcome::Failed] {
            let paid = Happened { billed: true, ..after(outcome) };
            check(paid, FRESH, OnAmbiguous::Resend { at_most: 3 }, Next::GiveUp(ErrorCode::ProviderFailed));
        }
        // The team said that another vendor may be asked.
        let withheld = Happened { billed: true, ..after(Outcome::PolicyOutput) };
        check(withheld, FRESH, HOLD, Next::ElsewhereIfAllowed(ErrorCode::ContentPolicy));
    }

    #[test]
    fn patience_is_had_for_as_long_as_is_asked_but_not_for_hours() {
        let asked = |ms| Happened { retry_after_ms: Some(ms), ..after(Outcome::Throttled) };
        check(asked(60_000), FRESH, HOLD, Next::Again { after_ms: 60_000 });
        check(asked(36_000_000), FRESH, HOLD, Next::Elsewhere(ErrorCode::RateLimited));
        check(asked(1), Tried { throttled: 30, ..FRESH }, HOLD, Next::Elsewhere(ErrorCode::RateLimited));
    }

    #[test]
    fn what_a_retry_cannot_mend_is_not_tried_again() {
        for (outcome, code) in [
            (Outcome::OutOfFunds, ErrorCode::OutOfFunds),
            (Outcome::Auth, ErrorCode::ProviderAuth),
            (Outcome::Retired, ErrorCode::ModelRetired),
            (Outcome::BadRequest, ErrorCode::EngineFailed),
        ] {
            check(after(outcome), FRESH, HOLD, Next::Elsewhere(code));
        }
        for outcome in [Outcome::PolicyInput, Outcome::PolicyOutput] {
            check(after(outcome), FRESH, HOLD, Next::ElsewhereIfAllowed(ErrorCode::ContentPolicy));
        }
    }

    #[test]
    fn an_unknown_outcome_follows_the_rule_of_the_route() {
        let resend = OnAmbiguous::Resend { at_most: 1 };
        check(after(Outcome::Ambiguous), FRESH, HOLD, Next::Hold);
        check(after(Outcome::Ambiguous), FRESH, OnAmbiguous::Poll, Next::Hold);
        check(Happened { can_ask: true, ..after(Outcome::Ambiguous) }, FRESH, OnAmbiguous::Poll, Next::Ask);
        check(after(Outcome::Ambiguous), FRESH, resend, Next::Again { after_ms: 0 });
        check(after(Outcome::Ambiguous), Tried { resent: 1, ..FRESH }, resend, Next::Hold);
    }

    #[test]
    fn pauses_grow_and_use_all_of_their_length() {
        for (count, longest) in [(0, 500), (1, 1_000), (4, 8_000), (30, PAUSE_MS_MAX)] {
            assert_eq!(pause(count, longest), longest);
            assert_eq!(pause(count, longest + 1), 0);
        }
    }
}
