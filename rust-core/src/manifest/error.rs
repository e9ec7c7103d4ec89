//! What is wrong with a file that a person wrote: which file, which line, which key, and what to do.

use std::fmt;

use crate::error::{ErrorCode, Failure};

/// Most errors told at once: a screenful. The rest are counted.
pub const ERRORS_MAX: usize = 20;

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestError {
    /// What kind of failure.
    pub code: ErrorCode,
    /// The file as it was named ("thumbforge.toml").
    pub file: String,
    /// Line, from 1; absent when the whole file is meant.
    pub line: Option<usize>,
    /// Column in characters, from 1.
    pub column: Option<usize>,
    /// Key path ("assets.sword.template"); empty where there is none.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub fix: String,
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
            if let Some(column) = self.column {
                write!(f, ":{column}")?;
            }
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.message)?;
        if !self.fix.is_empty() {
            write!(f, "; {}", self.fix)?;
        }
        Ok(())
    }
}

/// At least one [`ManifestError`], in the order they were found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestErrors {
    /// The first [`ERRORS_MAX`] of them.
    pub errors: Vec<ManifestError>,
    /// How many more there are.
    pub more: usize,
}

impl ManifestErrors {
    /// The code of the first, which decides the exit code.
    pub fn code(&self) -> ErrorCode {
        self.errors.first().map_or(ErrorCode::InvalidManifest, |error| error.code)
    }
}

impl From<ManifestError> for ManifestErrors {
    fn from(error: ManifestError) -> Self {
        Self { errors: vec![error], more: 0 }
    }
}

impl From<ManifestErrors> for Failure {
    fn from(errors: ManifestErrors) -> Self {
        Failure::new(errors.code(), errors.to_string())
    }
}

impl fmt::Display for ManifestErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, error) in self.errors.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        if self.more > 0 {
            write!(f, "\n… and {} more", self.more)?;
        }
        Ok(())
    }
}

impl std::error::Error for ManifestError {}
impl std::error::Error for ManifestErrors {}

/// Gathers errors, so that a person mends a file once and not twenty times.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    errors: Vec<ManifestError>,
    more: usize,
}

impl Gathered {
    pub(crate) fn push(&mut self, error: ManifestError) {
        if self.errors.len() < ERRORS_MAX {
            self.errors.push(error);
        } else {
            self.more += 1;
        }
    }

    /// Whether another error would only be counted; saves making it.
    pub(crate) fn full(&self) -> bool {
        self.errors.len() >= ERRORS_MAX
    }

    pub(crate) fn count_only(&mut self) {
        self.more += 1;
    }

    pub(crate) fn extend(&mut self, errors: ManifestErrors) {
        self.more += errors.more;
        for error in errors.errors {
            self.push(error);
        }
    }

    pub(crate) fn or<T>(self, value: T) -> Result<T, ManifestErrors> {
        if self.errors.is_empty() { Ok(value) } else { Err(ManifestErrors { errors: self.errors, more: self.more }) }
    }
}
