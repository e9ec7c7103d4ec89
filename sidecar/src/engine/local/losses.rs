//! How often a device may be lost before it is given up, and what a driver refused a moment ago. Pure: time comes in.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How often a device is begun anew within [`WINDOW`]: a driver that was updated or a card that woke up needs it once.
const RESTARTS_MAX: usize = 3;
/// A device that was lost in the morning is not the worse for it in the evening.
const WINDOW: Duration = Duration::from_secs(600);
/// How often a device may be lost while one picture is drawn, before that picture is taken to be what breaks it.
pub(super) const PICTURE_LOSSES_MAX: u32 = 2;

/// When a device was lost.
#[derive(Debug, Default)]
pub(super) struct Losses(VecDeque<Instant>);

impl Losses {
    /// It was lost once more: whether it is begun anew.
    pub(super) fn again(&mut self, now: Instant) -> bool {
        while self.0.front().is_some_and(|first| now.saturating_duration_since(*first) > WINDOW) {
            self.0.pop_front();
        }
        self.0.push_back(now);
        self.0.len() <= RESTARTS_MAX
    }

    /// How often it was lost of late.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }
}

/// How long what a driver refused is believed: others may have given memory back since.
const REFUSAL_HOLDS: Duration = Duration::from_secs(60);

/// What a driver refused although it had said that it was free, so that whoever plans does not believe it again at once.
#[derive(Debug, Default)]
pub(crate) struct Ceiling(Mutex<Option<(u64, Instant)>>);

impl Ceiling {
    /// More than `bytes` were refused.
    pub(super) fn met(&self, bytes: u64, now: Instant) {
        *self.0.lock() = Some((bytes, now));
    }

    /// The most that it makes sense to plan with.
    pub(crate) fn most(&self, now: Instant) -> u64 {
        let mut met = self.0.lock();
        if met.is_some_and(|(_, at)| now.saturating_duration_since(at) > REFUSAL_HOLDS) {
            *met = None;
        }
        met.map_or(u64::MAX, |(bytes, _)| bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_begun_anew_some_times_within_a_while() {
        let (mut losses, began) = (Losses::default(), Instant::now());
        let mut check = |seconds: u64, expected: bool| {
            assert_eq!(losses.again(began + Duration::from_secs(seconds)), expected, "at {seconds} s");
        };
        check(0, true);
        check(1, true);
        check(2, true);
        check(3, false);
        check(601, false);
        // The first four are long ago.
        check(700, true);
    }

    #[test]
    fn a_refusal_is_believed_for_a_while() {
        let (ceiling, began) = (Ceiling::default(), Instant::now());
        let at = |seconds: u64| ceiling.most(began + Duration::from_secs(seconds));
        assert_eq!(at(0), u64::MAX);
        ceiling.met(7, began);
        assert_eq!((at(0), at(60)), (7, 7));
        assert_eq!(at(61), u64::MAX);
        assert_eq!(at(0), u64::MAX);
    }
}
