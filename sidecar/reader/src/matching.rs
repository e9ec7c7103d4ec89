//! Finding an expected string in what was read: the part that differs from it least.
//!
//! Edit distance (Levenshtein) of the whole string to any part of the text, after Sellers 1980: a part may begin and end
//! anywhere. In scripts with spaces, letters of a word that stick out of the part are counted as inserted, so that "SALE" is
//! not found in "SALES".

use std::ops::Range;

/// Letters of one page that are looked at; what is beyond would be noise.
pub(crate) const LETTERS_MAX: usize = 8192;
/// Letters of an expected string that are compared; a thumbnail has no room for more, and the table below has so many rows.
/// Reading refuses longer ones.
pub(crate) const EXPECTED_MAX: usize = 512;

/// One letter that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Letter {
    /// As it is compared.
    pub(crate) c: char,
    /// Whether it begins a word.
    pub(crate) starts_word: bool,
}

/// What stands where an expected letter should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// The letter.
    Right,
    /// Another one.
    Wrong(char),
    /// None.
    Absent,
}

/// Where an expected string fits best.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Match {
    /// Letters that differ.
    pub(crate) distance: usize,
    /// One for each expected letter.
    pub(crate) seen: Vec<Seen>,
    /// Letters that stand before the expected one of that index, and are not expected.
    pub(crate) inserted: Vec<(usize, char)>,
    /// The part of the text, as indexes of its letters. Words that are touched belong to it whole.
    pub(crate) part: Range<usize>,
}

/// Steps of the way through the table.
const DIAGONAL: u8 = 0;
const ABSENT: u8 = 1;
const INSERTED: u8 = 2;

/// The best fit of `expected` in `text`. `spaced` says whether words stand apart. Letters beyond [`EXPECTED_MAX`] are absent.
pub(crate) fn find(expected: &[char], text: &[Letter], spaced: bool) -> Match {
    let (expected, beyond) = expected.split_at(expected.len().min(EXPECTED_MAX));
    let text = text.get(..LETTERS_MAX).unwrap_or(text);
    let (before, after) = overhangs(text, spaced);
    let width = text.len() + 1;
    let mut row: Vec<usize> = before.clone();
    let mut steps = vec![INSERTED; width];
    steps.reserve(width * expected.len());
    for &wanted in expected {
        let mut diagonal = row[0];
        row[0] += 1;
        steps.push(ABSENT);
        for (at, letter) in text.iter().enumerate() {
            let candidates = [
                (diagonal + usize::from(letter.c != wanted), DIAGONAL),
                (row[at + 1] + 1, ABSENT),
                (row[at] + 1, INSERTED),
            ];
            diagonal = row[at + 1];
            let (cost, step) = candidates.into_iter().min().unwrap_or(candidates[0]);
            row[at + 1] = cost;
            steps.push(step);
        }
    }
    let end = (0..width).min_by_key(|&at| row[at] + after[at]).unwrap_or(0);
    let mut found = Match {
        distance: row[end] + after[end] + beyond.len(),
        seen: vec![Seen::Absent; expected.len() + beyond.len()],
        inserted: text[end..end + after[end]].iter().map(|letter| (expected.len(), letter.c)).collect(),
        part: end..end + after[end],
    };
    let (mut i, mut j) = (expected.len(), end);
    while i > 0 {
        match steps[i * width + j] {
            DIAGONAL => {
                (i, j) = (i - 1, j - 1);
                let c = text[j].c;
                found.seen[i] = if c == expected[i] { Seen::Right } else { Seen::Wrong(c) };
            }
            ABSENT => i -= 1,
            _ => {
                j -= 1;
                found.inserted.push((i, text[j].c));
            }
        }
    }
    let start = j - before[j];
    found.inserted.extend(text[start..j].iter().map(|letter| (0, letter.c)));
    found.part.start = start;
    found
}

/// For each gap between letters, how many letters the word before it has there, and the word after it.
fn overhangs(text: &[Letter], spaced: bool) -> (Vec<usize>, Vec<usize>) {
    let (mut before, mut after) = (vec![0; text.len() + 1], vec![0; text.len() + 1]);
    if spaced {
        for at in 1..text.len() {
            before[at] = if text[at].starts_word { 0 } else { before[at - 1] + 1 };
        }
        for at in (1..text.len()).rev() {
            after[at] = if text[at].starts_word { 0 } else { after[at + 1] + 1 };
        }
    }
    (before, after)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(words: &str) -> Vec<Letter> {
        let word = |word: &str| -> Vec<Letter> {
            word.chars().enumerate().map(|(at, c)| Letter { c, starts_word: at == 0 }).collect()
        };
        words.split(' ').flat_map(word).collect()
    }

    fn check(expected: &str, read: &str, distance: usize, part: &str) {
        let letters = text(read);
        let found = find(&expected.chars().collect::<Vec<_>>(), &letters, true);
        let taken: String = letters[found.part.clone()].iter().map(|letter| letter.c).collect();
        assert_eq!((found.distance, taken.as_str()), (distance, part), "{expected} in {read}: {found:?}");
        let wrong = found.seen.iter().filter(|seen| **seen != Seen::Right).count();
        assert_eq!(wrong + found.inserted.len(), distance, "{expected} in {read}: {found:?}");
    }

    #[test]
    fn the_best_part_is_found() {
        check("sale", "sale", 0, "sale");
        check("sale", "xx sale yy", 0, "sale");
        check("megasale", "mega sale", 0, "megasale");
        check("sale", "salt sale", 0, "sale");
        check("sale", "sole", 1, "sole");
        check("sale", "sle", 1, "sle");
        check("sale", "slae", 2, "slae");
        check("sale", "", 4, "");
        check("", "sale", 0, "");
        check("sale", "xyz", 4, "");
    }

    #[test]
    fn letters_that_stick_out_of_words_are_inserted() {
        check("sale", "sales", 1, "sales");
        check("sale", "asales", 2, "asales");
        check("sale", "asale now", 1, "asale");
        check("megasale", "mega sales", 1, "megasales");
        check("megasale", "mega now sale", 3, "meganowsale");
    }

    #[test]
    fn without_spaces_any_part_will_do() {
        let letters = text("今日は限定セールです");
        let found = find(&"限定セール".chars().collect::<Vec<_>>(), &letters, false);
        assert_eq!((found.distance, found.part), (0, 3..8));
    }

    #[test]
    fn long_texts_are_cut_and_what_is_cut_is_absent() {
        let many = vec![Letter { c: 'a', starts_word: false }; LETTERS_MAX * 2];
        assert_eq!(find(&['a'; EXPECTED_MAX], &many, false).distance, 0);
        let longer = find(&['a'; EXPECTED_MAX + 3], &many, false);
        assert_eq!((longer.distance, longer.seen.len()), (3, EXPECTED_MAX + 3));
        assert!(longer.seen.ends_with(&[Seen::Right, Seen::Absent, Seen::Absent, Seen::Absent]));
    }
}
