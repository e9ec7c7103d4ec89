//! Whether words stand in a text as whole words: "Big SALE!" has "sale", "Wholesale" has not.
//!
//! What is compared is what a reader compares: letters, digits and their marks, without regard to case. Signs are borders. In
//! writing without spaces every place between two characters may be a border, so "夏のセール" has "セール".

/// Whether `text` has `words`, in their order and side by side. No words stand nowhere.
pub(super) fn has(text: &str, words: &str) -> bool {
    let (text, words) = (folded(text), folded(words));
    let is_border = |before: Option<char>, after: Option<char>| match (before, after) {
        (Some(before), Some(after)) => [before, after].iter().any(|char| *char == ' ' || is_unspaced(*char)),
        _ => true,
    };
    let (first, last) = (words.chars().next(), words.chars().next_back());
    // Every character may begin them: "xa a a" has "a a" behind one that begins within a word.
    let mut before = None;
    first.is_some()
        && text.char_indices().any(|(at, char)| {
            let before = before.replace(char);
            let after = text[at..].strip_prefix(words.as_str());
            after.is_some_and(|after| is_border(before, first) && is_border(last, after.chars().next()))
        })
}

/// Lower case, with one space for each run of signs and spaces between words, and none around them.
fn folded(text: &str) -> String {
    let plain = super::words::plain(text).to_lowercase();
    plain.split(is_sign).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Punctuation and symbols, by the blocks of Unicode that have little else. Marks of letters are in none of them.
fn is_sign(char: char) -> bool {
    char.is_whitespace()
        || char.is_ascii_punctuation()
        || matches!(char,
            // Latin-1's, general punctuation to arrows and dingbats, that of Chinese and Japanese, and its wide forms.
            '\u{a1}'..='\u{a9}' | '\u{ab}'..='\u{b1}' | '\u{b4}' | '\u{b6}'..='\u{b8}' | '\u{bb}' | '\u{bf}'
                | '\u{2000}'..='\u{206f}' | '\u{20a0}'..='\u{20cf}' | '\u{2120}' | '\u{2122}' | '\u{2190}'..='\u{245f}' | '\u{2500}'..='\u{2bff}' | '\u{3000}'..='\u{3004}'
                | '\u{3008}'..='\u{3020}' | '\u{30fb}' | '\u{ff01}'..='\u{ff0f}' | '\u{ff1a}'..='\u{ff20}')
}

/// Characters of writing without spaces: Thai to Burmese, Khmer, kana, and those that Chinese has.
fn is_unspaced(char: char) -> bool {
    matches!(char,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3005}'..='\u{3007}'
            | '\u{3021}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_between_borders() {
        let check =
            |text: &str, words: &str, expected: bool| assert_eq!(has(text, words), expected, "{words} in {text}");
        check("BIG SALE", "Sale", true);
        check("BIG SALE!", "sale", true);
        check("ACME: now", "ACME", true);
        check("ACME™", "acme", true);
        check("Wholesale", "sale", false);
        check("sales", "sale", false);
        check("sales, sale", "sale", true);
        check("the big\nsale", "BIG  SALE", true);
        check("the big old sale", "big sale", false);
        check("So\u{ad}ße", "soße", true);
        check("夏のセール", "セール", true);
        check("夏のセール", "冬", false);
        check("ลดราคา", "ราคา", true);
        check("할인행사", "행사", false);
        check("किताबें", "किताब", false);
        check("xa a a", "a a", true);
        check("mega gala sale sale", "sale sale", true);
        check("wholesale sale sale", "sale sale", true);
        check("xa a ab", "a a", false);
        check("xセールセール", "セール", true);
        check("SALE", "", false);
        check("SALE", "!", false);
        check("", "SALE", false);
    }
}
