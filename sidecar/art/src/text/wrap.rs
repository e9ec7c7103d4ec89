//! Where lines may break, and the most even way to break them.
//!
//! The places come from Unicode's line breaking with dictionaries for Thai, Chinese and Japanese (parley).
//! To those this file adds how good each place is: a title reads badly when a katakana word or a Korean word
//! is torn although a better place was near.

use std::ops::Range;

use icu_properties::props::Script;
use parley_engine::Analysis;

use super::locale::script;

/// How good a place is to break a line at, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Grade {
    /// After a mark that ends a clause, where a reader pauses anyway.
    Clause,
    /// Between words or phrases.
    Word,
    /// After the middle dot between parts of a foreign name.
    Part,
    /// At a soft hyphen.
    Hyphen,
    /// Inside a word of a script that allows it: Chinese, Japanese, Korean.
    Inside,
}

/// Every grade, best first.
pub(super) const GRADES: [Grade; 5] = [Grade::Clause, Grade::Word, Grade::Part, Grade::Hyphen, Grade::Inside];

/// Text that is never broken, up to the next place where it may be.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Piece {
    /// Bytes of the paragraph, white space at the end left out.
    pub(super) bytes: Range<usize>,
    /// Width in ems without that white space.
    pub(super) width: f32,
    /// Width of the white space.
    pub(super) space: f32,
    /// How good the place after it is.
    pub(super) after: Grade,
}

/// Text between line breaks that the author wrote.
#[derive(Debug)]
pub(super) struct Paragraph {
    pub(super) text: String,
    pub(super) pieces: Vec<Piece>,
}

impl Paragraph {
    /// Cuts an analysed text into pieces. `advances` holds the width of each character in ems.
    pub(super) fn new(text: String, analysis: &Analysis, advances: &[f32]) -> Self {
        let characters: Vec<(usize, char)> = text.char_indices().collect();
        let mut pieces = Vec::new();
        let mut start = 0;
        for at in 1..=characters.len() {
            let end = at == characters.len();
            let opportunity = analysis.char_info().get(at).is_some_and(|info| info.is_soft_wrap_opportunity())
                || characters.get(at).is_some_and(|&(_, next)| beside_quote(characters[at - 1].1, next));
            if !(end || opportunity) {
                continue;
            }
            let blank = characters[start..at].iter().rev().take_while(|(_, c)| c.is_whitespace()).count();
            let solid = at - blank;
            let byte = |at: usize| characters.get(at).map_or(text.len(), |&(byte, _)| byte);
            let word_boundary = analysis.char_info().get(at).is_some_and(|info| info.is_word_boundary());
            let after = match (characters.get(at), characters[..solid].last()) {
                (None, _) | (_, None) => Grade::Clause,
                (_, Some(&(_, before))) if ends_clause(before) => Grade::Clause,
                _ if blank > 0 => Grade::Word,
                (Some(&(_, next)), Some(&(_, before))) => grade(before, next, word_boundary),
            };
            let width = |range: Range<usize>| advances.get(range).unwrap_or(&[]).iter().sum();
            pieces.push(Piece {
                bytes: byte(start)..byte(solid),
                width: width(start..solid),
                space: width(solid..at),
                after,
            });
            start = at;
        }
        Self { text, pieces }
    }

    /// The words of a line, soft hyphens resolved.
    fn words(&self, line: &Range<usize>) -> String {
        let Some(pieces) = self.pieces.get(line.clone()) else {
            return String::new();
        };
        let (Some(first), Some(last)) = (pieces.first(), pieces.last()) else {
            return String::new();
        };
        let mut words: String = self.text[first.bytes.start..last.bytes.end].replace('\u{ad}', "");
        if last.after == Grade::Hyphen && line.end < self.pieces.len() {
            words.push('-');
        }
        words
    }
}

/// Places that Unicode's rules miss: curly quotes stand between Chinese words without spaces.
fn beside_quote(before: char, next: char) -> bool {
    let opens = matches!(next, '“' | '‘') && (eastern(before) || closing_mark(before));
    let closes = matches!(before, '”' | '’') && eastern(next);
    opens || closes
}

fn closing_mark(c: char) -> bool {
    matches!(c, '，' | '。' | '、' | '！' | '？' | '；' | '：' | '…' | '）' | '」' | '』' | '】' | '》')
}

/// Marks after which a reader pauses. The full stop is none: "Vol. 2" has one.
fn ends_clause(c: char) -> bool {
    closing_mark(c) || matches!(c, ',' | ';' | ':' | '!' | '?' | '–' | '—' | '،' | '؛' | '؟' | '।')
}

fn eastern(c: char) -> bool {
    // The long vowel mark belongs to two scripts, so Unicode gives it none.
    c == 'ー' || matches!(script(c), Script::Han | Script::Hiragana | Script::Katakana)
}

fn grade(before: char, next: char, word_boundary: bool) -> Grade {
    if before == '\u{ad}' {
        return Grade::Hyphen;
    }
    let (left, right) = (script(before), script(next));
    if left == Script::Hangul && right == Script::Hangul {
        return Grade::Inside;
    }
    if before == '・' && eastern(next) {
        return Grade::Part;
    }
    // A number and its counter.
    if before.is_ascii_digit() && right == Script::Han {
        return Grade::Inside;
    }
    if !(eastern(before) && eastern(next)) {
        return Grade::Word;
    }
    // Hiragana after a word is mostly its particle or ending, which belongs to it.
    if word_boundary && right != Script::Hiragana { Grade::Word } else { Grade::Inside }
}

/// One way to break the paragraphs into lines.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Breaking {
    /// Width in ems of the widest line.
    pub(super) width: f32,
    /// Worst place that was used.
    pub(super) grade: Grade,
    /// Paragraph and pieces of each line.
    lines: Vec<(usize, Range<usize>)>,
}

impl Breaking {
    /// Number of lines.
    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    /// The words of each line.
    pub(super) fn lines(&self, paragraphs: &[Paragraph]) -> Vec<String> {
        self.lines.iter().map(|(at, line)| paragraphs[*at].words(line)).collect()
    }
}

/// Rounds of bisection for the least width: 2^-20 of a line is far below a pixel.
const ROUNDS: usize = 20;

/// The most even breakings into up to `lines_max` lines, for every grade of places, without repeats.
pub(super) fn breakings(paragraphs: &[Paragraph], lines_max: usize, hyphen: f32) -> Vec<Breaking> {
    let pieces: usize = paragraphs.iter().map(|paragraph| paragraph.pieces.len()).sum();
    let mut found: Vec<Breaking> = Vec::new();
    for grade in GRADES {
        for lines in paragraphs.len()..=lines_max.min(pieces) {
            let breaking = evenest(paragraphs, lines, grade, hyphen);
            if !found.iter().any(|known| known.lines == breaking.lines) {
                found.push(breaking);
            }
        }
    }
    found
}

/// The narrowest block of at most `lines` lines: the smallest width at which filling line by line needs no more.
fn evenest(paragraphs: &[Paragraph], lines: usize, grade: Grade, hyphen: f32) -> Breaking {
    let total: f32 = paragraphs.iter().flat_map(|p| &p.pieces).map(|piece| piece.width + piece.space).sum();
    // A hair more than everything in one line, since sums in another order round differently.
    let (mut low, mut high) = (0.0_f32, total * 1.001 + hyphen + 0.001);
    for _ in 0..ROUNDS {
        let middle = low + (high - low) * 0.5;
        let tried = filled(paragraphs, middle, grade, hyphen);
        if tried.lines.len() <= lines && tried.width <= middle {
            high = middle;
        } else {
            low = middle;
        }
    }
    filled(paragraphs, high, grade, hyphen)
}

/// Fills lines up to `width` ems. A piece that is wider stands alone and makes the outcome wider than asked.
fn filled(paragraphs: &[Paragraph], width: f32, grade: Grade, hyphen: f32) -> Breaking {
    let mut breaking = Breaking { width: 0.0, grade: Grade::Clause, lines: Vec::new() };
    for (at, paragraph) in paragraphs.iter().enumerate() {
        let last = paragraph.pieces.len();
        let mut start = 0;
        while start < last {
            let (mut end, mut end_width) = (None, 0.0);
            let mut used = 0.0;
            for (next, piece) in paragraph.pieces.iter().enumerate().skip(start) {
                used += piece.width;
                let breakable = next + 1 == last || piece.after <= grade;
                let drawn = if next + 1 < last && piece.after == Grade::Hyphen { used + hyphen } else { used };
                if breakable && (drawn <= width || end.is_none()) {
                    (end, end_width) = (Some(next + 1), drawn);
                }
                if used > width && end.is_some() {
                    break;
                }
                used += piece.space;
            }
            let end = end.unwrap_or(last);
            breaking.width = breaking.width.max(end_width);
            if end < last {
                breaking.grade = breaking.grade.max(paragraph.pieces[end - 1].after);
            }
            breaking.lines.push((at, start..end));
            start = end;
        }
    }
    breaking
}
