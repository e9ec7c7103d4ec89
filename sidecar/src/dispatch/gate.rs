//! The gate before an account: how many pictures may be on their way, how many a minute, and when to leave it alone.
//!
//! ```text
//! job ─► open? ─► room in flight? ─► not before? ─► rate ─► call
//!          │                                                 │
//!          └── shut: the job goes elsewhere or fails ◄───────┘ key refused, no credit, too many failures in a row
//! ```
//! Pure: time comes in. Everything is counted in pictures, as providers count.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use thumbforge_core::job::Outcome;

use super::retry::WAIT_MS_MAX;

/// Failures in a row after which an account is left alone for a while.
const FAILURES_MAX: u32 = 5;
/// How long it is then left alone at first; each time it fails again, twice as long.
const REST_MS: u64 = 30_000;
/// Longest such rest: a provider that is down for a morning is asked six times an hour.
const REST_MS_MAX: u64 = 600_000;
/// How long an account without credit, or whose key was refused, is left alone unless the provider says otherwise. Whoever
/// has topped it up, or written the right key into a file, asks again soon; one refused call a minute harms nobody.
const SHUT_MS: u64 = 60_000;
/// How long everybody waits where a provider asks for patience and does not say how much; each further time in a row twice
/// as long. Without it every job of a night would be turned away until it had no patience left.
const PLEA_MS: u64 = 1_000;
/// Longest such wait: rates are by the minute.
const PLEA_MS_MAX: u64 = 60_000;
/// Longest that a provider's wish to wait is followed without asking again: the end of its day.
const PATIENCE_MS_MAX: u64 = 26 * 3_600_000;

/// How much one account may do at once and in a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GateLimits {
    /// Pictures that may be on their way at once.
    pub in_flight: u32,
    /// Pictures that may be asked for in a minute; absent means any number.
    pub per_minute: Option<u32>,
    /// Pictures that may be asked for at once after a quiet minute.
    pub burst: u32,
}

/// Why nothing may be bought from an account now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shut {
    /// Its key was refused.
    Auth,
    /// It has no credit or quota left.
    OutOfFunds,
    /// It failed too often in a row.
    Failing,
    /// It asked for so much patience that nobody waits for it.
    Patience,
}

/// Whether a call may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// Now; it is counted as on its way.
    Now,
    /// When another call has ended.
    WhenFree,
    /// From this Unix time in milliseconds on, at the earliest.
    At(u64),
    /// Not for some time, until this Unix time in milliseconds.
    Shut(Shut, u64),
}

/// Governor's clock, which is told the time.
#[derive(Debug, Clone, Default)]
struct Told(Arc<AtomicU64>);

impl Clock for Told {
    type Instant = Duration;
    fn now(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, Told, NoOpMiddleware<Duration>>;

/// One account's gate.
#[derive(Debug)]
pub(super) struct Gate {
    limits: GateLimits,
    clock: Told,
    limiter: Option<Limiter>,
    in_flight: u32,
    not_before_ms: u64,
    shut: Option<(Shut, u64)>,
    failures: u32,
    /// How often it was shut for failing since it last answered.
    rests: u32,
    /// How often in a row it asked for patience without saying how much.
    pleas: u32,
    /// Pictures that the rate has let through and that were not asked for after all; they go before others.
    spare: u32,
}

impl Gate {
    pub(super) fn new(limits: GateLimits, now_ms: u64) -> Self {
        let clock = Told(Arc::new(AtomicU64::new(now_ms)));
        let limiter = limiter(limits, &clock);
        Self {
            limits,
            clock,
            limiter,
            in_flight: 0,
            not_before_ms: 0,
            shut: None,
            failures: 0,
            rests: 0,
            pleas: 0,
            spare: 0,
        }
    }

    /// Takes new limits; what is on its way stays counted.
    pub(super) fn set_limits(&mut self, limits: GateLimits) {
        if self.limits != limits {
            self.limits = limits;
            self.limiter = limiter(limits, &self.clock);
            self.spare = 0;
        }
    }

    /// Forgets why it was shut: the account's settings have changed.
    pub(super) fn reopen(&mut self) {
        self.shut = None;
        self.not_before_ms = 0;
        (self.failures, self.rests, self.pleas) = (0, 0, 0);
    }

    /// Whether it is shut at `now_ms`, so that no call is made however long anybody waits in its queue.
    pub(super) fn is_shut(&self, now_ms: u64) -> bool {
        self.shut.is_some_and(|(_, until_ms)| now_ms < until_ms)
    }

    /// Whether nothing of it is on its way.
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight == 0
    }

    /// How many rests it had since it last answered.
    pub(super) fn rests(&self) -> u32 {
        self.rests
    }

    /// Whether a call for `images` pictures may be made at `now_ms`.
    pub(super) fn admit(&mut self, images: u32, now_ms: u64) -> Admission {
        if let Some((why, until_ms)) = self.shut {
            if now_ms < until_ms {
                return Admission::Shut(why, until_ms);
            }
            // One call finds out whether it is well again; the others wait for its end.
            if self.in_flight > 0 {
                return Admission::WhenFree;
            }
        }
        let images = images.max(1);
        // A call that is larger than the bound goes alone.
        if self.in_flight > 0 && self.in_flight.saturating_add(images) > self.limits.in_flight.max(1) {
            return Admission::WhenFree;
        }
        if now_ms < self.not_before_ms {
            let is_long = self.not_before_ms - now_ms > WAIT_MS_MAX;
            let at = self.not_before_ms;
            return if is_long { Admission::Shut(Shut::Patience, at) } else { Admission::At(at) };
        }
        if self.spare >= images {
            self.spare -= images;
        } else if let Some(limiter) = &self.limiter {
            self.clock.0.fetch_max(now_ms, Ordering::Relaxed);
            let most = self.limits.burst.max(1);
            let counted = NonZeroU32::new(images.min(most)).unwrap_or(NonZeroU32::MIN);
            if let Ok(Err(not_until)) = limiter.check_n(counted) {
                let wait = not_until.wait_time_from(self.clock.now());
                return Admission::At(now_ms + wait.as_millis() as u64 + 1);
            }
        }
        self.in_flight += images;
        Admission::Now
    }

    /// A call that was made before is asked after: it is on its way again.
    pub(super) fn rejoin(&mut self, images: u32) {
        self.in_flight += images.max(1);
    }

    /// A call that was admitted was not made after all: the rate is not charged for it.
    pub(super) fn unmade(&mut self, images: u32) {
        self.left(images);
        if self.limiter.is_some() {
            self.spare = self.spare.saturating_add(images.max(1)).min(self.limits.burst.max(1));
        }
    }

    /// A call is not on its way any more.
    pub(super) fn left(&mut self, images: u32) {
        self.in_flight = self.in_flight.saturating_sub(images.max(1));
    }

    /// A call has ended. `retry_after_ms` is how long the provider asks to wait, `account_wide` whether its fault concerns
    /// more than the call.
    pub(super) fn ended(
        &mut self,
        images: u32,
        outcome: Outcome,
        retry_after_ms: Option<u64>,
        account_wide: bool,
        now_ms: u64,
    ) {
        self.left(images);
        let asked = retry_after_ms.map(|ms| now_ms + ms.min(PATIENCE_MS_MAX));
        match outcome {
            Outcome::Rendered | Outcome::PolicyInput | Outcome::PolicyOutput | Outcome::BadRequest | Outcome::Empty => {
                // It answers, whatever it answers.
                (self.failures, self.rests, self.shut) = (0, 0, None);
                self.pleas = 0;
            }
            Outcome::Throttled => {
                (self.failures, self.rests, self.shut) = (0, 0, None);
                // Calls that were on their way together are turned away together, which is one plea.
                let until_ms = asked.unwrap_or_else(|| match now_ms < self.not_before_ms {
                    true => self.not_before_ms,
                    false => {
                        let pause = (PLEA_MS << self.pleas.min(16)).min(PLEA_MS_MAX);
                        self.pleas += 1;
                        now_ms + pause
                    }
                });
                self.not_before_ms = self.not_before_ms.max(until_ms);
            }
            Outcome::Auth if account_wide => self.shut = Some((Shut::Auth, now_ms + SHUT_MS)),
            Outcome::OutOfFunds => self.shut = Some((Shut::OutOfFunds, asked.unwrap_or(now_ms + SHUT_MS))),
            // It began before the account was shut, and says nothing of whether the rest has helped.
            Outcome::Transient | Outcome::Ambiguous if self.is_shut(now_ms) => {}
            Outcome::Transient | Outcome::Ambiguous => {
                self.failures += 1;
                // After a rest a single failure is enough to rest again, for longer.
                if self.failures >= FAILURES_MAX || self.shut.is_some() {
                    let rest = (REST_MS << self.rests.min(16)).min(REST_MS_MAX);
                    self.rests += 1;
                    self.failures = 0;
                    self.shut = Some((Shut::Failing, asked.unwrap_or(0).max(now_ms + rest)));
                } else if let Some(at) = asked {
                    self.not_before_ms = self.not_before_ms.max(at);
                }
            }
            _ => {}
        }
    }
}

fn limiter(limits: GateLimits, clock: &Told) -> Option<Limiter> {
    let per_minute = NonZeroU32::new(limits.per_minute?).unwrap_or(NonZeroU32::MIN);
    let burst = NonZeroU32::new(limits.burst).unwrap_or(NonZeroU32::MIN);
    let quota = Quota::per_minute(per_minute).allow_burst(burst);
    Some(RateLimiter::direct_with_clock(quota, clock.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: GateLimits = GateLimits { in_flight: 3, per_minute: None, burst: 1 };

    fn gate(limits: GateLimits) -> Gate {
        Gate::new(limits, 1_000)
    }

    #[test]
    fn pictures_on_their_way_are_counted_not_calls() {
        let mut gate = gate(LIMITS);
        assert_eq!(gate.admit(2, 1_000), Admission::Now);
        assert_eq!(gate.admit(2, 1_000), Admission::WhenFree);
        assert_eq!(gate.admit(1, 1_000), Admission::Now);
        gate.ended(2, Outcome::Rendered, None, false, 1_000);
        assert_eq!(gate.admit(2, 1_000), Admission::Now);
    }

    #[test]
    fn a_call_larger_than_the_bound_goes_alone() {
        let mut gate = gate(LIMITS);
        assert_eq!(gate.admit(8, 1_000), Admission::Now);
        assert_eq!(gate.admit(1, 1_000), Admission::WhenFree);
    }

    #[test]
    fn the_rate_is_kept_and_says_when() {
        let mut gate = gate(GateLimits { in_flight: 100, per_minute: Some(60), burst: 2 });
        assert_eq!(gate.admit(1, 1_000), Admission::Now);
        assert_eq!(gate.admit(1, 1_000), Admission::Now);
        let Admission::At(at) = gate.admit(1, 1_000) else { panic!("the third comes too early") };
        assert!((1_900..=2_100).contains(&at), "{at}");
        assert_eq!(gate.admit(1, at), Admission::Now);
    }

    #[test]
    fn a_wish_to_wait_holds_everybody_for_as_long_as_it_says() {
        let mut gate = gate(LIMITS);
        assert_eq!(gate.admit(1, 1_000), Admission::Now);
        gate.ended(1, Outcome::Throttled, Some(60_000), false, 1_000);
        assert_eq!(gate.admit(1, 1_001), Admission::At(61_000));
        assert_eq!(gate.admit(1, 61_000), Admission::Now);
    }

    #[test]
    fn a_wish_to_wait_that_does_not_say_how_long_holds_everybody_longer_each_time() {
        let mut gate = gate(LIMITS);
        let mut now_ms = 1_000;
        for pause in [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000] {
            for _ in 0..3 {
                assert_eq!(gate.admit(1, now_ms), Admission::Now);
            }
            for _ in 0..3 {
                gate.ended(1, Outcome::Throttled, None, false, now_ms);
            }
            assert_eq!(gate.admit(1, now_ms), Admission::At(now_ms + pause), "three at once are one");
            now_ms += pause;
        }
        assert_eq!(gate.admit(1, now_ms), Admission::Now);
        gate.ended(1, Outcome::Rendered, None, false, now_ms);
        assert_eq!(gate.admit(1, now_ms), Admission::Now);
        gate.ended(1, Outcome::Throttled, None, false, now_ms);
        assert_eq!(gate.admit(1, now_ms), Admission::At(now_ms + 1_000));
    }

    #[test]
    fn failures_in_a_row_shut_it_and_one_call_tries_again() {
        let mut gate = gate(LIMITS);
        for _ in 0..FAILURES_MAX {
            assert_eq!(gate.admit(1, 1_000), Admission::Now);
            gate.ended(1, Outcome::Transient, None, false, 1_000);
        }
        assert_eq!(gate.admit(1, 1_000), Admission::Shut(Shut::Failing, 31_000));
        assert_eq!(gate.admit(1, 31_000), Admission::Now);
        assert_eq!(gate.admit(1, 31_000), Admission::WhenFree, "one finds out for all");
        gate.ended(1, Outcome::Transient, None, false, 31_000);
        assert_eq!(gate.admit(1, 31_001), Admission::Shut(Shut::Failing, 91_000), "and then it rests longer");
        assert_eq!(gate.admit(1, 91_000), Admission::Now);
        gate.ended(1, Outcome::Rendered, None, false, 91_000);
        assert_eq!(gate.admit(1, 91_000), Admission::Now);
        assert_eq!(gate.admit(1, 91_000), Admission::Now);
    }

    #[test]
    fn calls_that_were_on_their_way_do_not_make_a_rest_longer() {
        let mut gate = gate(GateLimits { in_flight: 50, ..LIMITS });
        for _ in 0..50 {
            assert_eq!(gate.admit(1, 1_000), Admission::Now);
        }
        for _ in 0..50 {
            gate.ended(1, Outcome::Transient, None, false, 1_000);
        }
        assert_eq!(gate.rests(), 1, "one cut of the line is one rest");
        assert_eq!(gate.admit(1, 1_000), Admission::Shut(Shut::Failing, 31_000));
    }

    #[test]
    fn patience_for_half_a_day_is_had_by_nobody() {
        let mut gate = gate(LIMITS);
        assert_eq!(gate.admit(1, 1_000), Admission::Now);
        gate.ended(1, Outcome::Throttled, Some(12 * 3_600_000), false, 1_000);
        assert_eq!(gate.admit(1, 1_000), Admission::Shut(Shut::Patience, 1_000 + 12 * 3_600_000));
        gate.reopen();
        assert_eq!(gate.admit(1, 1_000), Admission::Now);
    }

    #[test]
    fn the_rate_is_not_charged_for_what_was_not_asked() {
        let mut gate = gate(GateLimits { in_flight: 100, per_minute: Some(1), burst: 1 });
        for _ in 0..3 {
            assert_eq!(gate.admit(1, 1_000), Admission::Now);
            gate.unmade(1);
        }
        assert_eq!(gate.admit(1, 1_000), Admission::Now);
        assert!(matches!(gate.admit(1, 1_000), Admission::At(_)), "and no more than that");
    }

    #[test]
    fn a_refused_key_and_an_empty_purse_shut_it_until_the_settings_change() {
        for (outcome, why) in [(Outcome::Auth, Shut::Auth), (Outcome::OutOfFunds, Shut::OutOfFunds)] {
            let mut gate = gate(LIMITS);
            assert_eq!(gate.admit(1, 1_000), Admission::Now);
            gate.ended(1, outcome, None, true, 1_000);
            assert_eq!(gate.admit(1, 2_000), Admission::Shut(why, 1_000 + SHUT_MS));
            gate.reopen();
            assert_eq!(gate.admit(1, 2_000), Admission::Now);
        }
    }
}
