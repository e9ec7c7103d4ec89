//! What the passes so far say of one expected string.

use thumbforge_core::image::PixelBox;

use crate::Found;
use crate::matching::{Match, Seen};
use crate::page::{Lines, Page, around};
use crate::votes::Votes;

/// What is known of an expected string so far.
pub(crate) struct Search {
    pub(crate) expected: Vec<char>,
    votes: Votes,
    legibility: f64,
    best: Option<Best>,
    /// Its lines, by the pass that read most of it.
    pub(crate) lines: Lines,
    /// Whether more passes would change nothing.
    pub(crate) done: bool,
}

/// The pass that read most of it.
struct Best {
    distance: usize,
    text: String,
    /// The boxes of its symbols.
    places: Vec<PixelBox>,
}

impl Search {
    /// Nothing was read yet.
    pub(crate) fn new(expected: Vec<char>) -> Self {
        let votes = Votes::new(expected.len());
        Self { done: expected.is_empty(), expected, votes, legibility: 0.0, best: None, lines: Lines::default() }
    }

    /// Takes what a pass found.
    pub(crate) fn take(&mut self, page: &Page, found: &Match, plain: bool) {
        let letters = self.expected.len().max(1) as f64;
        if plain {
            self.legibility = self.legibility.max(1.0 - (found.distance as f64 / letters).min(1.0));
        }
        self.votes.count(found);
        if self.best.as_ref().is_none_or(|best| found.distance < best.distance) {
            let mut owners: Vec<usize> = page.owners.get(found.part.clone()).unwrap_or_default().to_vec();
            owners.dedup();
            if !found.seen.contains(&Seen::Right) {
                owners.clear();
            }
            let places = owners.iter().filter_map(|&at| page.places.get(at).copied()).collect();
            self.lines = page.lines(&owners).unwrap_or(self.lines);
            self.best = Some(Best { distance: found.distance, text: page.text(&owners), places });
        }
        self.done = self.votes.settled() || self.votes.hopeless();
    }

    /// Whether a pass read at least half of it.
    pub(crate) fn located(&self) -> bool {
        self.best.as_ref().is_some_and(|best| best.distance * 2 <= self.expected.len())
    }

    /// How many passes found enough of it to count.
    pub(crate) fn counted(&self) -> u32 {
        self.votes.counted()
    }

    /// The boxes of its symbols, by the pass that read most of it.
    pub(crate) fn places(&self) -> &[PixelBox] {
        self.best.as_ref().map_or(&[], |best| &best.places)
    }

    /// The box around them.
    pub(crate) fn place(&self) -> Option<PixelBox> {
        around(self.places().iter().copied())
    }

    /// What is told of it.
    pub(crate) fn found(self) -> Found {
        let presence = if self.expected.is_empty() { 1.0 } else { self.votes.presence() };
        let place = self.place();
        let read = self.best.map_or_else(String::new, |best| best.text);
        Found { legibility: if self.expected.is_empty() { 1.0 } else { self.legibility }, presence, read, place }
    }
}
