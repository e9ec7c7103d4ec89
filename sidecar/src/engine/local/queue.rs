//! Whose turn it is at the model: people first, then the model that is loaded, then whoever waits longest. Pure.
//!
//! Loading a model takes as long as drawing some pictures, so those that want the loaded one go before older ones that
//! want another; after [`STREAK_MAX`] of them the oldest has its turn whatever it wants.

use std::collections::VecDeque;
use std::sync::Arc;

use thumbforge_core::job::Lane;

use super::asked::{Asked, Files};

/// Pictures that one model draws while others wait for another: some minutes, against seconds of loading.
pub(crate) const STREAK_MAX: u32 = 32;

/// A picture that waits, and whatever its owner keeps with it.
pub(crate) struct Waiting<T> {
    /// It.
    pub asked: Asked,
    /// Who waits.
    pub lane: Lane,
    /// Most pictures of the call that it is drawn in.
    pub per_call: usize,
    /// The owner's.
    pub owner: T,
}

/// Pictures that wait.
pub(crate) struct Queue<T> {
    waiting: VecDeque<Waiting<T>>,
    streak: u32,
}

impl<T> Queue<T> {
    /// With nobody in it.
    pub(crate) fn new() -> Self {
        Self { waiting: VecDeque::new(), streak: 0 }
    }

    /// Whether nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Puts one at the end.
    pub(crate) fn push(&mut self, waiting: Waiting<T>) {
        self.waiting.push_back(waiting);
    }

    /// Puts one before everybody else: its turn had come.
    pub(crate) fn push_front(&mut self, waiting: Waiting<T>) {
        self.waiting.push_front(waiting);
    }

    /// Takes out everybody whom `gone` names.
    pub(crate) fn take_out(&mut self, gone: impl Fn(&Waiting<T>) -> bool) -> Vec<Waiting<T>> {
        let (out, stay) = self.waiting.drain(..).partition(|waiting| gone(waiting));
        self.waiting = stay;
        Vec::from(out)
    }

    /// The pictures of the next call, while `loaded` is loaded.
    pub(crate) fn next(&mut self, loaded: Option<&Arc<Files>>) -> Vec<Waiting<T>> {
        let lane = if self.waiting.iter().any(|waiting| waiting.lane == Lane::Interactive) {
            Lane::Interactive
        } else {
            Lane::Batch
        };
        let of_lane = |waiting: &&Waiting<T>| waiting.lane == lane;
        let is_loaded = |waiting: &Waiting<T>| loaded.is_some_and(|loaded| *loaded == waiting.asked.files);
        let oldest = self.waiting.iter().position(|waiting| of_lane(&waiting));
        let at_hand = self.waiting.iter().position(|waiting| of_lane(&waiting) && is_loaded(waiting));
        let others_wait = self.waiting.iter().any(|waiting| of_lane(&waiting) && !is_loaded(waiting));
        let tired = others_wait && self.streak >= STREAK_MAX;
        let first = if tired {
            self.waiting.iter().position(|waiting| of_lane(&waiting) && !is_loaded(waiting))
        } else {
            at_hand.or(oldest)
        };
        let Some(first) = first.and_then(|first| self.waiting.remove(first)) else { return Vec::new() };
        if !is_loaded(&first) || !others_wait {
            self.streak = 0;
        }
        let (most, mut call) = (first.per_call.max(1), vec![first]);
        let mut at = 0;
        while call.len() < most && at < self.waiting.len() {
            if self.waiting[at].asked.joins(&call[0].asked) && self.waiting[at].per_call > call.len() {
                call.extend(self.waiting.remove(at));
            } else {
                at += 1;
            }
        }
        self.streak = self.streak.saturating_add(call.len() as u32);
        call
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::local::tests::asked;

    /// `model prompt lane`, waiting in this order, with calls of at most `per_call`; the calls, as far as they go, with
    /// the model of each call loaded from then on.
    #[track_caller]
    fn check(per_call: usize, waiting: &[&str], expected: &[&str]) {
        let mut queue = Queue::new();
        for (number, words) in waiting.iter().enumerate() {
            let mut words = words.split(' ');
            let (model, prompt) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let lane = if words.next() == Some("person") { Lane::Interactive } else { Lane::Batch };
            queue.push(Waiting { asked: asked(model, prompt, number as u64), lane, per_call, owner: number });
        }
        let mut loaded: Option<Arc<Files>> = None;
        let mut calls = Vec::new();
        while !queue.is_empty() {
            let call = queue.next(loaded.as_ref());
            loaded = call.first().map(|first| first.asked.files.clone());
            let owners: Vec<String> = call.iter().map(|waiting| waiting.owner.to_string()).collect();
            calls.push(owners.join("+"));
        }
        assert_eq!(calls, expected);
    }

    #[test]
    fn the_loaded_model_goes_on_before_another_is_loaded() {
        check(1, &["a p", "b p", "a p", "b p"], &["0", "2", "1", "3"]);
        check(1, &["a p", "b p person", "a p", "b p"], &["1", "3", "0", "2"]);
    }

    #[test]
    fn pictures_alike_are_drawn_together() {
        check(3, &["a p", "a q", "a p", "a p", "a p"], &["0+2+3", "1", "4"]);
        check(1, &["a p", "a p"], &["0", "1"]);
    }

    #[test]
    fn nobody_waits_for_ever() {
        let mut waiting = vec!["a p"; STREAK_MAX as usize + 4];
        waiting[1] = "b p";
        let mut expected: Vec<String> = (0..waiting.len()).filter(|at| *at != 1).map(|at| at.to_string()).collect();
        expected.insert(STREAK_MAX as usize, "1".to_owned());
        check(1, &waiting, &expected.iter().map(String::as_str).collect::<Vec<_>>());
    }
}
