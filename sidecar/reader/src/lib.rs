//! Reading the words of a picture, and comparing them with those that were asked for.
//!
//! ```text
//! picture ─► plane (grey, dark, bright; or letters cut out by their outline) ─► turned level, scaled ─► OCR ─► page
//! page + expected string ─► best part by edit distance ─► votes of the passes ─► presence, legibility, words nobody expected
//! ```
//! Two numbers for every expected string: *legibility* is what a viewer sees without help (the plain passes), *presence* what
//! all passes see together. Words that nobody expected are told as well. What follows from them is decided elsewhere.
//!
//! Passes are made until the outcome is settled: most right pictures take one or two. `look` has the order, `passes` the list,
//! `votes` the rule. Words that nobody expected are looked for among the letters that expected words do not explain.
//! The library is loaded at run time, in `tesseract/sys.rs`, which has the only unsafe code and says at its head what that
//! stands on. A machine without it, or without a language's data, gets [`ReadError::Missing`] and never a reading.
//!
//! What is left to trust: the library runs in this process. The table of a language data file is checked before the library
//! gets it (`tesseract/data.rs`); bytes that are damaged within its network can still make the library end the process. The
//! hashes that settings pin rule that out.
//!
//! It knows no jobs, recipes, files of pictures or policies.

mod areas;
pub mod language;
mod letters;
mod look;
mod matching;
mod normalise;
mod page;
mod passes;
mod patches;
mod plane;
mod read;
mod rows;
mod search;
mod slope;
pub mod tesseract;
mod unexpected;
mod votes;

use thiserror::Error;
use thumbforge_core::id::ContentHash;
use thumbforge_core::image::{ImageBuf, PixelBox};

pub use tesseract::{LanguageStatus, Settings, Status, Tesseract, status};

/// Words that should be in a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Expected {
    /// The words.
    pub text: String,
    /// BCP 47 tag; chooses the language data.
    pub locale: String,
    /// Where they should be, in pixels; anywhere when absent.
    pub place: Option<PixelBox>,
}

/// What to look for in a picture.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ask {
    /// Words that should be there.
    pub expected: Vec<Expected>,
    /// Whether to look for words that nobody expected; letters are then cut out of the whole picture.
    pub unexpected: bool,
    /// BCP 47 tags to read by where nothing is expected.
    pub locales: Vec<String>,
}

/// What was read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reading {
    /// For each expected string, in order, what was found of it; or why nobody could look.
    pub found: Vec<Result<Found, ReadError>>,
    /// Words that nobody expected; empty unless they were asked for.
    pub unexpected: Vec<Word>,
    /// Why nobody could look for such words by one of the languages, though they were asked for: then none of them were told,
    /// and there may be some. The first such language's reason.
    pub unlooked: Option<ReadError>,
    /// What read, with its version and the language data by hash, as in "tesseract 5.3.0", "eng 7d4322bd2a7749724879683fc3912cb542f19906c83bcc1a52132556427170b2".
    pub readers: Vec<String>,
}

/// What was found of an expected string.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// 0 to 1: how much of it the best plain pass reads.
    pub legibility: f64,
    /// 0 to 1: how much of it all passes together see; 1 is every letter, and no letter too many.
    pub presence: f64,
    /// What was read where it fits best; empty when nothing was.
    pub read: String,
    /// Where that is, in pixels of the picture.
    pub place: Option<PixelBox>,
}

/// A word that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Word {
    /// As it was read.
    pub text: String,
    /// How sure the reader is, 0 to 100.
    pub confidence: f64,
    /// Where, in pixels of the picture.
    pub place: PixelBox,
}

/// Why words could not be read. It fits behind "failed to".
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ReadError {
    /// The library or the data of a language is not on this machine.
    #[error("read words in {locale:?}: {missing} is not on this machine; {install}")]
    Missing {
        /// What was to be read.
        locale: String,
        /// What is missing, as in "the language data jpn".
        missing: String,
        /// What to do, as in "install tesseract-ocr-jpn".
        install: String,
    },
    /// A file is another than the one that the settings pin.
    #[error(
        "read words: {what} has the BLAKE3 hash {found}, and the settings pin {pinned}; install the pinned one or correct the pin"
    )]
    Pin {
        /// The file.
        what: String,
        /// Its hash in the settings.
        pinned: ContentHash,
        /// Its hash as it is.
        found: ContentHash,
    },
    /// More letters are expected in one piece than are compared.
    #[error(
        "read words: {letters} letters are expected in one piece, and {most} can be compared; expect them in shorter pieces"
    )]
    TooLong {
        /// Letters, digits and marks of the expected string.
        letters: usize,
        /// How many there may be.
        most: usize,
    },
    /// The expected string holds nothing that is compared: signs and punctuation alone.
    #[error("read words: they hold no letter and no digit, and nothing else can be compared; look at them yourself")]
    Nothing,
    /// The library is there and does not do what it should.
    #[error("read words: {0}")]
    Failed(String),
}

/// Reads pictures. Implementations are called from worker threads, several at once.
pub trait TextReader: Send + Sync {
    /// Reads `image` with `ask` in mind.
    ///
    /// # Errors
    /// Only what concerns the whole picture; what one language lacks stands in [`Reading::found`] and [`Reading::unlooked`].
    fn read(&self, image: &ImageBuf, ask: &Ask) -> Result<Reading, ReadError>;
}

/// 0 to 1: how much of `expected` stands in `text`, which somebody else read; by the comparison that pictures are held to.
pub fn compare(expected: &str, text: &str, locale: &str) -> f64 {
    let expected = normalise::normalise(expected, locale);
    let word = |word: &str| {
        let letters = normalise::normalise(word, locale).into_iter().enumerate();
        letters.map(|(at, c)| matching::Letter { c, starts_word: at == 0 }).collect::<Vec<_>>()
    };
    let text: Vec<matching::Letter> = text.split_whitespace().flat_map(word).collect();
    let spaced = language::of(locale).writing == language::Writing::Spaced;
    let distance = matching::find(&expected, &text, spaced).distance;
    1.0 - (distance as f64 / expected.len().max(1) as f64).min(1.0)
}
