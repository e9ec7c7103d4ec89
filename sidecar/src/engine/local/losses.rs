//! How often a device may be lost before it is given up, and what a driver refused a moment ago. Pure: time comes in.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::asked::{Asked, Files, Purpose};

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

/// How many refusals are remembered: of a model in each of its purposes, and some more that are drawn in turn.
const REFUSALS_MAX: usize = 8;

/// What a driver refused although it had said that it was free, so that whoever plans does not believe it again at once.
///
/// It is known of pictures of that model and purpose alone: others hold other weights, and take another share of the card.
#[derive(Debug, Default)]
pub(crate) struct Ceiling(Mutex<VecDeque<Refusal>>);

#[derive(Debug)]
struct Refusal {
    files: Arc<Files>,
    purpose: Purpose,
    bytes: u64,
    at: Instant,
}

impl Refusal {
    fn is_of(&self, files: &Files, purpose: Purpose) -> bool {
        *self.files == *files && self.purpose == purpose
    }
}

impl Ceiling {
    /// More than `bytes` were refused to a picture like this.
    pub(super) fn met(&self, asked: &Asked, bytes: u64, at: Instant) {
        let mut met = self.0.lock();
        met.retain(|refusal| !refusal.is_of(&asked.files, asked.purpose));
        // The oldest goes, and is believed as before it was met.
        met.truncate(REFUSALS_MAX - 1);
        met.push_front(Refusal { files: asked.files.clone(), purpose: asked.purpose, bytes, at });
    }

    /// So many bytes were given to a picture like this: a refusal of as many holds no longer.
    pub(super) fn gave(&self, asked: &Asked, bytes: u64) {
        self.0.lock().retain(|refusal| refusal.bytes >= bytes || !refusal.is_of(&asked.files, asked.purpose));
    }

    /// The most that it makes sense to plan with for pictures of a model and a purpose.
    pub(crate) fn most(&self, files: &Files, purpose: Purpose, now: Instant) -> u64 {
        let mut met = self.0.lock();
        met.retain(|refusal| now.saturating_duration_since(refusal.at) <= REFUSAL_HOLDS);
        met.iter().find(|refusal| refusal.is_of(files, purpose)).map_or(u64::MAX, |refusal| refusal.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::local::tests::asked;

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
        let (ceiling, began, asked) = (Ceiling::default(), Instant::now(), asked("a", "p", 1));
        let at = |seconds: u64| ceiling.most(&asked.files, asked.purpose, began + Duration::from_secs(seconds));
        assert_eq!(at(0), u64::MAX);
        ceiling.met(&asked, 7, began);
        assert_eq!((at(0), at(60)), (7, 7));
        assert_eq!(at(61), u64::MAX);
        assert_eq!(at(0), u64::MAX);
    }

    #[test]
    fn a_refusal_is_of_one_model_and_one_purpose() {
        let (ceiling, now) = (Ceiling::default(), Instant::now());
        let (one, other) = (asked("a", "p", 1), asked("b", "p", 1));
        let draft = Asked { purpose: Purpose::Draft, ..one.clone() };
        let most = |asked: &Asked| ceiling.most(&asked.files, asked.purpose, now);
        ceiling.met(&one, 7, now);
        assert_eq!((most(&one), most(&other), most(&draft)), (7, u64::MAX, u64::MAX));
        ceiling.met(&draft, 5, now);
        ceiling.met(&one, 6, now);
        assert_eq!((most(&one), most(&other), most(&draft)), (6, u64::MAX, 5));
        // Less than was refused says nothing of it, and more says that it holds no longer.
        ceiling.gave(&one, 6);
        ceiling.gave(&other, 9);
        assert_eq!((most(&one), most(&draft)), (6, 5));
        ceiling.gave(&one, 7);
        assert_eq!((most(&one), most(&draft)), (u64::MAX, 5));
    }

    #[test]
    fn refusals_are_few() {
        let (ceiling, now) = (Ceiling::default(), Instant::now());
        let models: Vec<Asked> = (0..=REFUSALS_MAX).map(|model| asked(&model.to_string(), "p", 1)).collect();
        models.iter().for_each(|asked| ceiling.met(asked, 7, now));
        let known = models.iter().filter(|asked| ceiling.most(&asked.files, asked.purpose, now) == 7);
        assert_eq!(known.count(), REFUSALS_MAX);
        assert_eq!(ceiling.most(&models[0].files, Purpose::Batch, now), u64::MAX, "the oldest is forgotten");
    }
}
