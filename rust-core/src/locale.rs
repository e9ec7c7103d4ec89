//! Strings of every locale, from the tables that localisers exchange: Unity's CSV export and XLIFF.
//!
//! A table says, for a key and a locale, which words. Empty words count as missing,
//! because Unity exports an untranslated entry as an empty cell.

use std::collections::HashMap;

use crate::error::ErrorCode;
use crate::manifest::{ManifestError, ManifestErrors};

mod csv;
mod xliff;

/// Words by key and locale, gathered from any number of files.
#[derive(Debug, Default)]
pub struct Strings {
    files: Vec<String>,
    locales: Vec<String>,
    keys: HashMap<Box<str>, u32>,
    /// One row of cells per key, one cell per locale of `locales` at the time; short rows end in nothing.
    rows: Vec<Vec<Cell>>,
    /// All words behind each other; a cell is a range of it.
    words: String,
}

/// One entry of a table.
#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    start: u32,
    len: u32,
    line: u32,
    file: u16,
    /// XLIFF repeats the source words beside each translation; those give way to a table of that locale.
    weak: bool,
}

/// What the readers of the formats hand over, entry by entry.
struct Entry<'a> {
    key: &'a str,
    locale: &'a str,
    words: &'a str,
    line: usize,
    weak: bool,
}

impl Strings {
    /// Reads one more table; its name says its format.
    ///
    /// # Errors
    /// What is wrong with the file, with its line; or a key that two files give different words.
    pub fn add(&mut self, label: &str, bytes: &[u8]) -> Result<(), ManifestErrors> {
        let text = crate::manifest::text_of(label, bytes, crate::limits::STRINGS_BYTES_MAX)?;
        let file = u16::try_from(self.files.len())
            .map_err(|_| table_error(label, 0, "", "too many string tables", "at most 65535 are read"))?;
        if self.words.len() + text.len() > u32::MAX as usize {
            return Err(table_error(label, 0, "", "the string tables are too large together", "4 GiB are read").into());
        }
        self.files.push(label.to_owned());
        let name = label.to_ascii_lowercase();
        let mut clashes = crate::manifest::Gathered::default();
        let mut take = |entry: Entry<'_>| {
            if let Err(clash) = self.take(file, label, &entry) {
                clashes.push(*clash);
            }
        };
        if name.ends_with(".xlf") || name.ends_with(".xliff") || text.trim_start().starts_with("<?xml") {
            xliff::read(label, text, &mut take)?;
        } else {
            csv::read(label, text, &mut take)?;
        }
        clashes.or(())
    }

    fn take(&mut self, file: u16, label: &str, entry: &Entry<'_>) -> Result<(), Box<ManifestError>> {
        if entry.words.trim().is_empty() {
            return Ok(());
        }
        let column = self.column(entry.locale);
        let row = match self.keys.get(entry.key) {
            Some(row) => *row as usize,
            None => {
                self.keys.insert(entry.key.into(), self.rows.len() as u32);
                self.rows.push(Vec::with_capacity(self.locales.len()));
                self.rows.len() - 1
            }
        };
        if self.rows[row].len() <= column {
            self.rows[row].resize(column + 1, Cell::default());
        }
        let earlier = self.rows[row][column];
        if earlier.len > 0 {
            if self.words_of(earlier) == entry.words || (entry.weak && !earlier.weak) {
                return Ok(());
            }
            if entry.weak == earlier.weak && !entry.weak {
                let there = format!("{}:{}", self.files[usize::from(earlier.file)], earlier.line);
                return Err(Box::new(table_error(
                    label,
                    entry.line,
                    entry.key,
                    &format!("the words for locale {:?} differ from those of {there}", entry.locale),
                    "keep one of the two entries, or give them different keys",
                )));
            }
        }
        let start = self.words.len() as u32;
        self.words.push_str(entry.words);
        self.rows[row][column] =
            Cell { start, len: entry.words.len() as u32, line: entry.line as u32, file, weak: entry.weak };
        Ok(())
    }

    fn column(&mut self, locale: &str) -> usize {
        match self.column_of(locale) {
            Some(column) => column,
            None => {
                self.locales.push(locale.to_owned());
                self.locales.len() - 1
            }
        }
    }

    fn column_of(&self, locale: &str) -> Option<usize> {
        self.locales.iter().position(|known| same_locale(known, locale))
    }

    fn words_of(&self, cell: Cell) -> &str {
        &self.words[cell.start as usize..(cell.start + cell.len) as usize]
    }

    /// Locales that any table has, in the order they were met.
    pub fn locales(&self) -> &[String] {
        &self.locales
    }

    /// Files that were read.
    pub fn files(&self) -> &[String] {
        &self.files
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no table gave any words.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// All keys, in no order.
    pub fn keys(&self) -> impl Iterator<Item = &str> + Clone {
        self.keys.keys().map(AsRef::as_ref)
    }

    /// Columns to look in for a locale, nearest first: `zh-Hans-CN`, `zh-Hans`, `zh`.
    pub fn chain(&self, locale: &str) -> Chain {
        let mut columns = Vec::new();
        let mut tag = locale;
        loop {
            columns.extend(self.column_of(tag));
            match tag.rfind(['-', '_']) {
                Some(at) => tag = &tag[..at],
                None => return Chain(columns),
            }
        }
    }

    /// The words of a key in the first locale of the chain that has any.
    pub fn get(&self, key: &str, chain: &Chain) -> Option<&str> {
        let row = &self.rows[*self.keys.get(key)? as usize];
        chain.0.iter().find_map(|column| row.get(*column).filter(|cell| cell.len > 0)).map(|cell| self.words_of(*cell))
    }
}

/// Where a locale's words are looked for; see [`Strings::chain`].
#[derive(Debug, Clone, Default)]
pub struct Chain(Vec<usize>);

/// Locale codes are compared without case, and `zh_Hans` is `zh-Hans`.
pub(crate) fn same_locale(a: &str, b: &str) -> bool {
    let fold = |byte: u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    a.len() == b.len() && a.bytes().zip(b.bytes()).all(|(a, b)| fold(a) == fold(b))
}

/// Whether this has the form of a BCP 47 tag: letters and digits in groups of one to eight.
pub fn is_locale(text: &str) -> bool {
    let mut groups = text.split(['-', '_']);
    let letters = |group: &str| (2..=8).contains(&group.len()) && group.bytes().all(|byte| byte.is_ascii_alphabetic());
    groups.next().is_some_and(letters)
        && groups.all(|group| (1..=8).contains(&group.len()) && group.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

fn table_error(label: &str, line: usize, key: &str, message: &str, fix: &str) -> ManifestError {
    ManifestError {
        code: ErrorCode::InvalidManifest,
        file: label.to_owned(),
        line: (line > 0).then_some(line),
        column: None,
        key: crate::manifest::excerpt(key),
        message: message.to_owned(),
        fix: fix.to_owned(),
    }
}

#[cfg(test)]
mod tests;
