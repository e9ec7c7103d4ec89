//! The strings: what thumbnails of games say, in eleven languages.

use std::sync::LazyLock;

/// One language of the corpus.
#[derive(Debug, PartialEq, Eq)]
pub struct Language {
    /// BCP 47 tag.
    pub locale: &'static str,
    /// What stands between words when they are drawn.
    pub space: &'static str,
    /// Its strings, each as its words.
    pub strings: Vec<Vec<&'static str>>,
}

/// All languages, in the order of the file.
pub fn languages() -> &'static [Language] {
    static LANGUAGES: LazyLock<Vec<Language>> = LazyLock::new(|| read(include_str!("../../text/strings.txt")));
    &LANGUAGES
}

fn read(text: &'static str) -> Vec<Language> {
    let mut languages: Vec<Language> = Vec::new();
    // The first line says what the file is.
    for line in text.lines().skip(1) {
        if let Some(locale) = line.strip_prefix("# ") {
            let space = if matches!(locale, "ja" | "zh-Hans" | "th") { "" } else { " " };
            languages.push(Language { locale, space, strings: Vec::new() });
        } else if let Some(language) = languages.last_mut() {
            let between = if language.space.is_empty() { '|' } else { ' ' };
            language.strings.push(line.split(between).collect());
        }
    }
    languages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_strings_of_several_words() {
        let locales: Vec<&str> = languages().iter().map(|language| language.locale).collect();
        assert_eq!(locales, ["en", "de", "fr", "tr", "ja", "zh-Hans", "ko", "th", "hi", "ar", "he"]);
        for language in languages() {
            assert!(language.strings.len() >= 24, "{}", language.locale);
            for words in &language.strings {
                assert!(words.len() >= 2 && words.iter().all(|word| !word.is_empty()), "{words:?}");
            }
        }
    }
}
