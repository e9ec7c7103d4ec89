//! The doctor's look at what reads words: the library, and the data of the languages that games are sold in most.

use std::collections::BTreeMap;

use thumbforge_reader::{ReadError, tesseract};

use super::Line;
use crate::config::OcrFile;

const WHAT: &str = "text reader";

/// Locales that are looked at: those whose letters the packaged fonts have, by what shops sell most in. Others are found when
/// they are needed.
const LOCALES: [&str; 18] = [
    "en", "de", "fr", "es", "it", "pt", "pl", "nl", "tr", "ru", "zh-Hans", "zh-Hant", "ja", "ko", "ar", "he", "th",
    "hi",
];

/// Looks for the library and the language data. Each data is loaded, which takes up to a third of a second.
pub(super) fn look(ocr: &OcrFile) -> Vec<Line> {
    let locales = LOCALES.map(str::to_owned);
    let status = tesseract::status(&ocr.reader(), &locales);
    let version = match status.library {
        Ok(version) => version,
        Err(err) => {
            let says = format!("none, so no words are verified: {}", install(&err));
            return vec![Line::new(WHAT, false, says)];
        }
    };
    let place = ocr.library.as_ref().map(|path| format!(" ({})", path.display())).unwrap_or_default();
    let data = ocr.tessdata.as_ref().map(|path| format!(", language data of {}", path.display())).unwrap_or_default();
    let ready: Vec<&str> =
        status.languages.iter().filter(|one| one.ready.is_ok()).map(|one| one.locale.as_str()).collect();
    let reads = if ready.is_empty() { "no language".to_owned() } else { ready.join(", ") };
    let mut lines = vec![Line::new(WHAT, !ready.is_empty(), format!("Tesseract {version}{place} reads {reads}{data}"))];
    // What is to be done once is told once: on some systems one package has all languages.
    let mut lacking: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for one in &status.languages {
        if let Err(err) = &one.ready {
            lacking.entry(install(err)).or_default().push(&one.locale);
        }
    }
    let lacking = lacking
        .into_iter()
        .map(|(what, locales)| Line::new(WHAT, false, format!("cannot read {}: {what}", locales.join(", "))));
    lines.extend(lacking);
    lines
}

/// What is wrong and what to do, without the locale: several may lack the same.
fn install(err: &ReadError) -> String {
    match err {
        ReadError::Missing { missing, install, .. } => format!("{missing} is not on this machine; {install}"),
        err => err.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_the_library_is_told_what_to_install() {
        let ocr = OcrFile { library: Some("/nowhere/libtesseract.so.5".into()), ..OcrFile::default() };
        let lines = look(&ocr);
        assert_eq!(lines.len(), 1);
        let told = (lines[0].what, lines[0].ok, lines[0].says.contains("/nowhere/libtesseract.so.5"));
        assert_eq!(told, ("text reader", false, true), "{}", lines[0].says);
    }
}
