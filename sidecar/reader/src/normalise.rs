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
    composed.nfkc().filter(|&c| counts(c)).map(fold).collect()
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

/// Letters that no reader tells apart, neither a person nor a machine, as the one that stands for both. Case is lower by now.
///
/// Japanese fonts draw these signs of katakana and these characters of Chinese with the same strokes; the sign of a long vowel
/// is a dash; and four hiragana are drawn as their katakana are.
const ALIKE: [(char, char); 13] = [
    ('ニ', '二'),
    ('ロ', '口'),
    ('カ', '力'),
    ('エ', '工'),
    ('タ', '夕'),
    ('ト', '卜'),
    ('ハ', '八'),
    ('ミ', '三'),
    ('ー', '一'),
    ('ヘ', 'へ'),
    ('ベ', 'べ'),
    ('ペ', 'ぺ'),
    ('リ', 'り'),
];

fn fold(c: char) -> char {
    ALIKE.iter().find(|(from, _)| *from == c).map_or(c, |(_, to)| *to)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(locale: &str, text: &str, expected: &str) {
        assert_eq!(normalise(text, locale).into_iter().collect::<String>(), expected, "{text:?} in {locale}");
    }

    /// Whether two texts say the same.
    fn same(locale: &str, a: &str, b: &str, expected: bool) {
        assert_eq!(normalise(a, locale) == normalise(b, locale), expected, "{a:?} and {b:?} in {locale}");
    }

    #[test]
    fn case_white_space_and_punctuation_say_nothing() {
        check("en", "Mega SALE!", "megasale");
        check("en", "  50 % off — today… ", "50offtoday");
        check("en", "don’t “stop”", "dontstop");
        check("en", "a\u{AD}b\u{200B}c\u{FEFF}d", "abcd");
        check("en", "", "");
        check("en", "?!", "");
    }

    #[test]
    fn compatibility_forms_are_plain_letters() {
        check("en", "ﬁnal Ⅳ ½ ①", "finaliv121");
        check("ja", "ﾊﾞﾄﾙ", "バトル".replace('ト', "卜").as_str());
        check("ja", "Ａ１", "a1");
        check("zh-Hans", "\u{F900}", "\u{8C48}");
        check("ar", "\u{FEB3}\u{FEE0}\u{FE8E}\u{FEE1}", "سلام");
    }

    #[test]
    fn turkish_keeps_its_two_letters_i() {
        check("tr", "IŞIK", "ışık");
        check("tr", "İNDİRİM", "indirim");
        check("tr-TR", "ISI", "ısı");
        check("az", "I", "ı");
        check("en", "INDIRIM", "indirim");
        check("en", "İ", "i");
        same("tr", "kış", "KIŞ", true);
        same("tr", "kis", "kıs", false);
    }

    #[test]
    fn capitals_of_sharp_s_and_of_final_sigma_are_known() {
        same("de", "Größe", "GRÖSSE", true);
        same("de", "Größe", "Grösse", true);
        same("de", "Große", "Größe", false);
        same("el", "λόγος", "ΛΌΓΟΣ", true);
    }

    #[test]
    fn marks_are_part_of_their_letters() {
        same("fr", "é", "e\u{301}", true);
        same("fr", "é", "e", false);
        same("vi", "ưỡ", "ưo", false);
        same("th", "น้ำ", "นำ", false);
        same("th", "กิ", "กี", false);
        same("hi", "की", "कि", false);
        same("hi", "क्ष", "कष", false);
        same("hi", "ड़", "ड\u{93C}", true);
        same("th", "ทำ", "ท\u{E4D}า", true);
    }

    #[test]
    fn what_a_script_leaves_out_at_will_is_left_out() {
        same("ar", "مَرْحَبًا", "مرحبا", true);
        same("ar", "مرحـــبا", "مرحبا", true);
        same("ar", "\u{200F}سلام\u{202C}", "سلام", true);
        same("ar", "سلام", "سلاح", false);
        same("he", "שָׁלוֹם", "שלום", true);
        same("he", "שלום", "שלוס", false);
    }

    #[test]
    fn korean_is_the_same_composed_and_taken_apart() {
        same("ko", "한정", "\u{1112}\u{1161}\u{11AB}\u{110C}\u{1165}\u{11BC}", true);
        same("ko", "한", "할", false);
    }

    #[test]
    fn signs_that_look_the_same_are_the_same() {
        same("ja", "二", "ニ", true);
        same("ja", "カード", "力ード", true);
        same("ja", "ツ", "ッ", false);
        same("ja", "パ", "バ", false);
        same("ja", "は", "ば", false);
    }

    #[test]
    fn normalising_twice_changes_nothing() {
        for (locale, text) in
            [("tr", "İIıi"), ("de", "ẞß"), ("ja", "ﾊﾞー"), ("th", "น้ำ"), ("hi", "ड़ क्ष"), ("ko", "한정")]
        {
            let once: String = normalise(text, locale).into_iter().collect();
            check(locale, &once, &once);
        }
    }
}
