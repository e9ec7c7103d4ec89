//! What this machine can read, and what to install for the rest.

use super::{Settings, Tesseract, data_file};
use crate::ReadError;
use crate::language::{self, Platform};

/// What this machine can read.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// The library's version, as in "5.3.0", or why there is none.
    pub library: Result<String, ReadError>,
    /// One for each locale, in the order asked.
    pub languages: Vec<LanguageStatus>,
}

/// Whether one locale can be read.
#[derive(Debug, Clone, PartialEq)]
pub struct LanguageStatus {
    /// BCP 47 tag, as asked.
    pub locale: String,
    /// The language data that reads it ("jpn").
    pub code: &'static str,
    /// Whether that is so, or why it is not.
    pub ready: Result<(), ReadError>,
    /// What to install where the data is not there.
    pub install: Option<String>,
}

/// Tries the library and the data of every locale in `locales`.
pub fn status(settings: &Settings, locales: &[String]) -> Status {
    let opened = Tesseract::open(settings);
    let one = |locale: &String| {
        let code = language::of(locale).code;
        let ready = match &opened {
            Ok(tesseract) => tesseract.ready(locale),
            Err(err) => Err(err.clone()),
        };
        let install = data_file(settings, code).is_none().then(|| Platform::here().install_language(code));
        LanguageStatus { locale: locale.clone(), code, ready, install }
    };
    let languages = locales.iter().map(one).collect();
    Status { library: opened.map(|tesseract| tesseract.version().to_owned()), languages }
}
