//! What several passes say together of one expected string.
//!
//! A letter is there when passes read it and do not more of them read the same other letter in its place: passes that err on a
//! right letter err in different ways, and a wrong letter looks the same to all of them. So neither does one bad pass lose a
//! right word, nor one lucky pass among many save a wrong one. A pass counts the more, the more of the string it reads.

use std::collections::BTreeMap;

use crate::matching::{Match, Seen};

/// How much right readings of a letter have to weigh beside those that agree on another one.
const RIGHT_TO_WRONG: f64 = 0.7;
/// Passes that have to agree before a letter is wrong for good, and none reads it right. Passes of one
/// picture do not err alike so often.
const SURE: u32 = 5;
/// Passes after which a string that none of them found is not looked for any more.
const HOPELESS: u32 = 12;

/// Passes that found the string, letter by letter.
#[derive(Debug, Clone, Default)]
pub(crate) struct Votes {
    /// All passes, and those that found enough of it.
    passes: u32,
    counted: u32,
    weight: f64,
    right: Vec<f64>,
    wrong: Vec<BTreeMap<char, f64>>,
    inserted: BTreeMap<(usize, char), f64>,
}

impl Votes {
    /// For a string of so many letters.
    pub(crate) fn new(letters: usize) -> Self {
        Self { right: vec![0.0; letters], wrong: vec![BTreeMap::new(); letters], ..Self::default() }
    }

    /// Counts a pass. One that did not find half of the string says nothing about its letters.
    pub(crate) fn count(&mut self, found: &Match) {
        self.passes += 1;
        let part = 1.0 - 2.0 * found.distance as f64 / self.right.len().max(1) as f64;
        if part <= 0.0 {
            return;
        }
        let weight = part * part;
        self.counted += 1;
        self.weight += weight;
        for (at, seen) in found.seen.iter().enumerate() {
            match seen {
                Seen::Right => self.right[at] += weight,
                Seen::Wrong(c) => *self.wrong[at].entry(*c).or_default() += weight,
                Seen::Absent => {}
            }
        }
        let mut inserted = found.inserted.clone();
        inserted.sort_unstable();
        inserted.dedup();
        for place in inserted {
            *self.inserted.entry(place).or_default() += weight;
        }
    }

    /// How many passes found enough of it.
    pub(crate) fn counted(&self) -> u32 {
        self.counted
    }

    /// Whether a letter is there.
    fn there(&self, at: usize) -> bool {
        let wrong = self.wrong[at].values().copied().fold(0.0, f64::max);
        self.right[at] > 0.0 && self.right[at] >= wrong * RIGHT_TO_WRONG
    }

    /// Whether letters stand in a gap that should not: most of the passes see them.
    fn more(&self) -> usize {
        self.inserted.values().filter(|&&weight| weight * 2.0 > self.weight).count()
    }

    /// 0 to 1: how much of the string is there by all that was counted.
    pub(crate) fn presence(&self) -> f64 {
        let letters = self.right.len();
        if letters == 0 || self.counted == 0 {
            return 0.0;
        }
        let absent = (0..letters).filter(|&at| !self.there(at)).count();
        1.0 - ((absent + self.more()) as f64 / letters as f64).min(1.0)
    }

    /// Whether more passes would change nothing: all of it is there, or passes agree on what is not.
    pub(crate) fn settled(&self) -> bool {
        if self.presence() >= 1.0 {
            return true;
        }
        if self.counted < SURE {
            return false;
        }
        let absent = (0..self.right.len()).filter(|&at| !self.there(at));
        let never = absent.clone().filter(|&at| self.right[at] == 0.0).count();
        // One letter that nobody ever saw is enough: it will not come.
        never > 0 || (absent.count() == 0 && self.more() > 0)
    }

    /// Whether the string was not found at all, however often it was looked for.
    pub(crate) fn hopeless(&self) -> bool {
        self.counted == 0 && self.passes >= HOPELESS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::{self, Letter};

    /// The votes of passes that read these texts.
    fn votes(expected: &str, read: &[&str]) -> Votes {
        let expected: Vec<char> = expected.chars().collect();
        let mut votes = Votes::new(expected.len());
        for text in read {
            let letters: Vec<Letter> =
                text.chars().enumerate().map(|(at, c)| Letter { c, starts_word: at == 0 }).collect();
            votes.count(&matching::find(&expected, &letters, true));
        }
        votes
    }

    fn check(expected: &str, read: &[&str], presence: f64) {
        let found = votes(expected, read).presence();
        assert!((found - presence).abs() < 1e-9, "{expected} in {read:?}: {found}");
    }

    #[test]
    fn one_exact_pass_is_enough_and_passes_add_up() {
        check("megasale", &["megasale"], 1.0);
        check("megasale", &["megasa", "gasale"], 1.0);
        check("megasale", &["megaSale", "mexasale"], 1.0);
        check("megasale", &["megasa"], 0.75);
        check("megasale", &[], 0.0);
        check("megasale", &["nothing"], 0.0);
    }

    #[test]
    fn one_lucky_pass_saves_no_wrong_letter() {
        check("megasale", &["megasole", "megasole", "megasole", "megasale"], 0.875);
        check("megasale", &["megasole", "megasule", "megasale"], 1.0);
    }

    #[test]
    fn letters_too_many_count_when_most_passes_see_them() {
        check("megasale", &["megasales", "megasales"], 0.875);
        check("megasale", &["megasales", "megasale", "megasale"], 1.0);
    }

    #[test]
    fn it_is_settled_when_all_is_there_or_passes_agree_on_what_is_not() {
        assert!(votes("megasale", &["megasale"]).settled());
        assert!(!votes("megasale", &["megasole"]).settled());
        assert!(!votes("megasale", &["megasole"; 4]).settled());
        assert!(votes("megasale", &["megasole"; 5]).settled());
        assert!(!votes("megasale", &["nothing"; 11]).hopeless());
        assert!(votes("megasale", &["nothing"; 12]).hopeless());
    }

    #[test]
    fn the_empty_string_is_no_division() {
        check("", &["x"], 0.0);
    }
}
