//! Tesseract, where it is installed: which library, which language data, and warm handles for both.
//!
//! ```text
//! settings ─► library (path or the system's, pinned by hash) ─┐
//!             language data (folder, pinned by hash) ─────────┴─► pool of handles ─► read
//! ```
//! Nothing is linked: a program without the library starts, and says what to install when it is asked to read.

mod data;
mod places;
mod pool;
mod status;
mod sys;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use thumbforge_core::id::ContentHash;
use thumbforge_core::image::ImageBuf;

use crate::language::{self, Language, Platform};
use crate::plane::Plane;
use crate::{Ask, ReadError, Reading, TextReader, read};

use pool::Pool;
pub use status::{LanguageStatus, Status, status};
pub(crate) use sys::Symbol;
use sys::{Api, Handle, LoadError};

/// Most handles at once, idle ones included: 10 to 80 MB each, so that a machine that reads eleven languages on two
/// threads stays under half a gigabyte, as measured.
const HANDLES_MAX: usize = 12;
/// Bytes of one language data file; the largest that Tesseract publishes has 76 MiB.
const DATA_BYTES_MAX: u64 = 256 << 20;
/// Bytes of a pinned library; those that exist have under 20 MiB.
const LIBRARY_BYTES_MAX: u64 = 256 << 20;

/// Which Tesseract to use. The default takes what the system has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// The library's file; where the system looks when absent.
    pub library: Option<PathBuf>,
    /// BLAKE3 of that file; needs `library`.
    pub library_pin: Option<ContentHash>,
    /// Folder of language data, in place of those that are known.
    pub tessdata: Option<PathBuf>,
    /// BLAKE3 of language data by Tesseract's names ("jpn"). Data without a pin is taken as it is.
    pub pins: BTreeMap<String, ContentHash>,
}

/// Reads with Tesseract.
pub struct Tesseract {
    api: &'static Api,
    settings: Settings,
    library_hash: Option<ContentHash>,
    handles: Pool<Handle>,
    /// Hash of the data that handles were made of, by language.
    hashes: Mutex<BTreeMap<&'static str, ContentHash>>,
}

impl std::fmt::Debug for Tesseract {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tesseract").field("version", &self.version()).finish_non_exhaustive()
    }
}

impl Tesseract {
    /// Loads the library. Language data is looked for when it is needed.
    ///
    /// # Errors
    /// [`ReadError::Missing`] where there is no library, [`ReadError::Pin`] where it is another than the pinned one,
    /// [`ReadError::Failed`] where it is unusable.
    pub fn open(settings: &Settings) -> Result<Self, ReadError> {
        let library_hash = pinned_library(settings)?;
        let api = load(settings)?;
        let (handles, hashes) = (Pool::new(HANDLES_MAX), Mutex::default());
        Ok(Self { api, settings: settings.clone(), library_hash, handles, hashes })
    }

    /// What the library says of itself, as in "5.3.0".
    pub fn version(&self) -> &str {
        self.api.version()
    }

    /// Whether words of `locale` can be read, without reading any.
    ///
    /// # Errors
    /// What [`TextReader::read`] would say.
    pub fn ready(&self, locale: &str) -> Result<(), ReadError> {
        self.with(language::of(locale), locale, |_| ())
    }

    /// What stands in [`Reading::readers`] of pictures that were read by `codes`.
    pub(crate) fn readers(&self, codes: &[&'static str]) -> Vec<String> {
        let library = match self.library_hash {
            Some(hash) => format!("tesseract {} {hash}", self.version()),
            None => format!("tesseract {}", self.version()),
        };
        let hashes = self.hashes.lock().unwrap_or_else(PoisonError::into_inner);
        let data = codes.iter().filter_map(|code| hashes.get(code).map(|hash| format!("{code} {hash}")));
        std::iter::once(library).chain(data).collect()
    }

    /// Lends a handle of `language` to `work`, which is wanted for words in `locale`.
    pub(crate) fn with<T>(
        &self,
        language: Language,
        locale: &str,
        work: impl FnOnce(&mut Eye<'_>) -> T,
    ) -> Result<T, ReadError> {
        let make = || self.handle(language, locale);
        self.handles.with(language.code, make, |handle| work(&mut Eye { handle }))
    }

    fn handle(&self, language: Language, locale: &str) -> Result<Handle, ReadError> {
        let code = language.code;
        let file = data_file(&self.settings, code).ok_or_else(|| missing_data(code, locale))?;
        let data = bounded(&file, DATA_BYTES_MAX)?;
        let hash = ContentHash::of(&data);
        if let Some(pin) = self.settings.pins.get(code).filter(|pin| **pin != hash) {
            return Err(ReadError::Pin { what: file.display().to_string(), pinned: *pin, found: hash });
        }
        data::check(&data).map_err(|why| {
            ReadError::Failed(format!("{} is no language data to use: {why}; install it again", file.display()))
        })?;
        let folder = file.parent().unwrap_or(Path::new("."));
        let handle = Handle::new(self.api, folder, code, &data)
            .map_err(|why| ReadError::Failed(format!("{why}: {}", file.display())))?;
        self.hashes.lock().unwrap_or_else(PoisonError::into_inner).insert(code, hash);
        Ok(handle)
    }
}

impl TextReader for Tesseract {
    fn read(&self, image: &ImageBuf, ask: &Ask) -> Result<Reading, ReadError> {
        read::read(self, image, ask)
    }
}

/// A handle while it is lent.
pub(crate) struct Eye<'a> {
    handle: &'a mut Handle,
}

/// How Tesseract looks for lines in a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Mode {
    /// One block of lines (its mode 6).
    Block,
    /// One line (its mode 7).
    Line,
    /// Any words anywhere (its mode 11).
    Sparse,
}

impl Eye<'_> {
    /// What stands on `plane`. `invert` says whether its letters may be white on black.
    pub(crate) fn look(&mut self, plane: &Plane, mode: Mode, invert: bool) -> Result<Vec<Symbol>, ReadError> {
        let mode = match mode {
            Mode::Block => 6,
            Mode::Line => 7,
            Mode::Sparse => 11,
        };
        self.handle.read(plane, mode, PPI, invert).map_err(ReadError::Failed)
    }
}

/// Pixels an inch that pages are said to have, since pictures do not say; it moves a few thresholds of the layout.
const PPI: i32 = 150;

fn load(settings: &Settings) -> Result<&'static Api, ReadError> {
    // Absolute, so that the file is loaded that was hashed: a loader looks for a bare name elsewhere first.
    let named = |path: &PathBuf| vec![std::path::absolute(path).unwrap_or_else(|_| path.clone())];
    let candidates = settings.library.as_ref().map_or_else(places::libraries, named);
    let mut unusable = None;
    for path in &candidates {
        match Api::load(path) {
            Ok(api) => return Ok(api),
            Err(LoadError::Unusable(why)) => {
                unusable.get_or_insert(format!("{} is no Tesseract to use: {why}", path.display()));
            }
            Err(LoadError::Absent(why)) if settings.library.is_some() && path.exists() => {
                unusable.get_or_insert(format!("the system does not load {}: {why}", path.display()));
            }
            Err(LoadError::Absent(_)) => {}
        }
    }
    Err(match (unusable, &settings.library) {
        (Some(why), _) => ReadError::Failed(why),
        (None, Some(path)) => ReadError::Missing {
            locale: String::new(),
            missing: format!("the library {}", path.display()),
            install: "correct its path in the settings, or leave it out for the system's".to_owned(),
        },
        (None, None) => ReadError::Missing {
            locale: String::new(),
            missing: "Tesseract's library".to_owned(),
            install: Platform::here().install_library().to_owned(),
        },
    })
}

/// The hash of the library's file where it is pinned, checked before a byte of it runs.
fn pinned_library(settings: &Settings) -> Result<Option<ContentHash>, ReadError> {
    let Some(pin) = settings.library_pin else { return Ok(None) };
    let Some(path) = &settings.library else {
        let why = "the library is pinned by its hash and not named: the settings have to say its path as well";
        return Err(ReadError::Failed(why.to_owned()));
    };
    let found = ContentHash::of(&bounded(path, LIBRARY_BYTES_MAX)?);
    match found == pin {
        true => Ok(Some(found)),
        false => Err(ReadError::Pin { what: path.display().to_string(), pinned: pin, found }),
    }
}

/// The file of a language, where there is one.
fn data_file(settings: &Settings, code: &str) -> Option<PathBuf> {
    let folders = settings.tessdata.as_ref().map_or_else(places::data, |folder| vec![folder.clone()]);
    folders.into_iter().map(|folder| folder.join(format!("{code}.traineddata"))).find(|file| file.is_file())
}

fn missing_data(code: &str, locale: &str) -> ReadError {
    ReadError::Missing {
        locale: locale.to_owned(),
        missing: format!("the language data {code}"),
        install: Platform::here().install_language(code),
    }
}

/// The bytes of a file of at most `max`.
fn bounded(path: &Path, max: u64) -> Result<Vec<u8>, ReadError> {
    use std::io::Read as _;
    let failed = |why: String| ReadError::Failed(format!("{} cannot be used: {why}", path.display()));
    let file = std::fs::File::open(path).map_err(|err| failed(err.to_string()))?;
    let mut bytes = Vec::new();
    file.take(max + 1).read_to_end(&mut bytes).map_err(|err| failed(err.to_string()))?;
    if bytes.len() as u64 > max {
        return Err(failed(format!("it has over {} MiB", max >> 20)));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
