//! What is wrong with words on purpose.

use unicode_normalization::char::is_combining_mark;

use super::strings::Language;
use crate::seed::Seed;

/// A way of being wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// One letter is another.
    Changed,
    /// Two letters that stand together have changed places.
    Swapped,
    /// A word is not there.
    Missing,
    /// A word too many, among the words or elsewhere in the picture.
    Extra,
    /// All of it is mirrored.
    Mirrored,
}

/// What is asked for and what is drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Words {
    /// The right words.
    pub(super) asked: String,
    /// What the picture says in their place.
    pub(super) drawn: String,
    /// What it says elsewhere.
    pub(super) beside: Option<String>,
}

/// Places that are tried for a fault. Every string has one, as the test shows; some have few.
const TRIES_MAX: usize = 2048;

/// Makes `fault` of the string `at`.
pub(super) fn words(language: &Language, at: usize, fault: Option<Fault>, seed: &mut Seed) -> Words {
    let string = &language.strings[at];
    let asked = string.join(language.space);
    let drawn = |drawn: String| Words { asked: asked.clone(), drawn, beside: None };
    let pick = |seed: &mut Seed, count: usize| seed.below(count as u64) as usize;
    match fault {
        None | Some(Fault::Mirrored) => drawn(asked.clone()),
        Some(Fault::Missing) => {
            let mut left = string.clone();
            left.remove(pick(seed, string.len()));
            drawn(left.join(language.space))
        }
        Some(Fault::Extra) => {
            let mut others = language.strings.iter().flatten().filter(|word| !asked.contains(**word));
            let longer: Vec<&&str> = others.by_ref().filter(|word| word.chars().count() > 1).collect();
            let extra = *longer[pick(seed, longer.len())];
            if seed.chance(50) {
                return Words { beside: Some(extra.to_owned()), ..drawn(asked.clone()) };
            }
            let mut more = string.clone();
            more.insert(pick(seed, string.len() + 1), extra);
            drawn(more.join(language.space))
        }
        Some(Fault::Changed) => drawn(until(&asked, |clusters| change(language, clusters, seed))),
        Some(Fault::Swapped) => drawn(until(&asked, |clusters| swap(clusters, seed))),
    }
}

/// The string after `fault` has made another one of it.
fn until(asked: &str, mut fault: impl FnMut(&mut Vec<String>)) -> String {
    for _ in 0..TRIES_MAX {
        let mut clusters = clusters(asked);
        fault(&mut clusters);
        let drawn = clusters.concat();
        if drawn.to_lowercase() != asked.to_lowercase() {
            return drawn;
        }
    }
    panic!("no place for a fault in {asked:?}")
}

/// Letters, each with its marks.
fn clusters(text: &str) -> Vec<String> {
    let mut clusters: Vec<String> = Vec::new();
    for c in text.chars() {
        match clusters.last_mut() {
            Some(last) if is_combining_mark(c) => last.push(c),
            _ => clusters.push(c.to_string()),
        }
    }
    clusters
}

/// Puts another letter of the same kind into the place of one; its marks stay.
fn change(language: &Language, clusters: &mut [String], seed: &mut Seed) {
    let at = seed.below(clusters.len() as u64) as usize;
    let Some(old) = clusters[at].chars().next() else { return };
    let Some(kind) = kind(old) else { return };
    let mut letters: Vec<char> = language.strings.iter().flatten().flat_map(|word| word.chars()).collect();
    letters.retain(|&c| self::kind(c) == Some(kind) && c != old);
    letters.sort_unstable();
    letters.dedup();
    if letters.is_empty() {
        return;
    }
    let new = letters[seed.below(letters.len() as u64) as usize];
    clusters[at] = clusters[at].replacen(old, &new.to_string(), 1);
}

/// Lets two neighbours change places.
fn swap(clusters: &mut [String], seed: &mut Seed) {
    let at = seed.below(clusters.len().saturating_sub(1) as u64) as usize;
    let letter = |at: usize| clusters.get(at).and_then(|cluster| cluster.chars().next()).and_then(kind);
    // Japanese mixes its sets in every word.
    let set = |at: usize| letter(at).map(|kind| if (5..=7).contains(&kind) { 5 } else { kind });
    if set(at).is_some() && set(at) == set(at + 1) {
        clusters.swap(at, at + 1);
    }
}

/// Letters that may stand for one another: a capital for a capital, a kana for one of its own set.
fn kind(c: char) -> Option<u32> {
    if !c.is_alphabetic() || is_combining_mark(c) {
        return None;
    }
    Some(match c as u32 {
        // Thai consonants, and vowels that stand by themselves.
        0x0E01..=0x0E2E => 1,
        0x0E2F..=0x0E7F => 2,
        // Devanagari vowels, and consonants.
        0x0904..=0x0914 => 3,
        0x0915..=0x0939 => 4,
        0x3041..=0x309F => 5,
        0x30A1..=0x30FA => 6,
        // The sign of a long vowel is no letter that another could replace.
        0x30FC => return None,
        0x4E00..=0x9FFF => 7,
        0xAC00..=0xD7AF => 8,
        _ if c.is_uppercase() => 9,
        _ => 10,
    })
}

#[cfg(test)]
mod tests {
    use super::super::strings::languages;
    use super::*;

    #[test]
    fn every_string_can_be_wrong_in_every_way() {
        for language in languages() {
            for at in 0..language.strings.len() {
                for number in 0..20 {
                    let make = |fault| words(language, at, Some(fault), &mut Seed::new(number));
                    let changed = make(Fault::Changed);
                    assert_eq!(changed.asked.chars().count(), changed.drawn.chars().count());
                    let differ = changed.asked.chars().zip(changed.drawn.chars()).filter(|(a, b)| a != b).count();
                    assert_eq!(differ, 1, "{changed:?}");
                    let swapped = make(Fault::Swapped);
                    assert_ne!(swapped.asked, swapped.drawn);
                    let sorted = |text: &str| {
                        let mut chars: Vec<char> = text.chars().collect();
                        chars.sort_unstable();
                        chars
                    };
                    assert_eq!(sorted(&swapped.asked), sorted(&swapped.drawn));
                    let missing = make(Fault::Missing);
                    assert!(missing.drawn.len() < missing.asked.len());
                    let extra = make(Fault::Extra);
                    assert!(extra.beside.is_some() || extra.drawn.len() > extra.asked.len());
                }
            }
        }
    }
}
