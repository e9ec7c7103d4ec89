//! What several passes say together of one expected string.
//!
//! A letter is there when a pass reads it and more passes do than read the same other letter in its place: passes that err on a
//! right letter err in different ways, and a wrong letter looks the same to all of them. So neither does one bad pass lose a
//! right word, nor one lucky pass save a wrong one.

use std::collections::BTreeMap;

use crate::matching::{Match, Seen};

/// Passes that found the string, letter by letter.
#[derive(Debug, Clone, Default)]
pub(crate) struct Votes {
    passes: u32,
    right: Vec<u32>,
    wrong: Vec<BTreeMap<char, u32>>,
    inserted: BTreeMap<(usize, char), u32>,
}

impl Votes {
    /// For a string of so many letters.
    pub(crate) fn new(letters: usize) -> Self {
        Self { right: vec![0; letters], wrong: vec![BTreeMap::new(); letters], ..Self::default() }
    }

    /// Counts a pass. One that did not find half of the string says nothing about its letters.
    pub(crate) fn count(&mut self, found: &Match) {
        if found.distance * 2 > self.right.len() {
            return;
        }
        self.passes += 1;
        for (at, seen) in found.seen.iter().enumerate() {
            match seen {
                Seen::Right => self.right[at] += 1,
                Seen::Wrong(c) => *self.wrong[at].entry(*c).or_default() += 1,
                Seen::Absent => {}
            }
        }
        let mut inserted = found.inserted.clone();
        inserted.sort_unstable();
        inserted.dedup();
        for place in inserted {
            *self.inserted.entry(place).or_default() += 1;
        }
    }

    /// 0 to 1: how much of the string is there by all that was counted.
    pub(crate) fn presence(&self) -> f64 {
        let letters = self.right.len();
        if letters == 0 || self.passes == 0 {
            return 0.0;
        }
        let there = |at: usize| self.right[at] > self.wrong[at].values().copied().max().unwrap_or(0);
        let absent = (0..letters).filter(|&at| !there(at)).count();
        let more = self.inserted.values().filter(|&&count| count * 2 > self.passes).count();
        1.0 - ((absent + more) as f64 / letters as f64).min(1.0)
    }
}
