//! What reads words here: opened when the first words are to be read, and asked once about the same picture.
//!
//! A machine without a reader is no fault of ours or the user's, so nothing fails at the start; whoever needs words read is
//! told then what is missing. A reader that could not be opened is tried again at the next need: what is missing may have
//! been installed meanwhile, and looking costs a fraction of a millisecond.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use thumbforge_core::id::PixelHash;
use thumbforge_core::image::{Extent, ImageBuf};
use thumbforge_core::limits::SIDE_MIN;
use thumbforge_reader::{Ask, Expected, ReadError, Reading, Tesseract, TextReader};

use crate::config::OcrFile;

/// Readings that are remembered. A build goes through its assets one by one, and the locales of an asset share their art:
/// what is asked again is asked soon. A reading is at most some hundred words.
const READINGS_MAX: usize = 64;

type Open = dyn Fn() -> Result<Arc<dyn TextReader>, ReadError> + Send + Sync;

/// The reader of this process.
#[derive(Clone)]
pub struct Eyes {
    settings: Arc<OcrFile>,
    open: Arc<Open>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    reader: Option<Arc<dyn TextReader>>,
    /// The newest last.
    readings: VecDeque<(PixelHash, Ask, Arc<Reading>)>,
}

impl fmt::Debug for Eyes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Eyes({})", if self.state.lock().reader.is_some() { "open" } else { "not opened" })
    }
}

impl Eyes {
    /// Tesseract, as the user's settings name it or as the system has it.
    pub fn new(settings: &OcrFile) -> Self {
        let reader = settings.reader();
        let eyes = Self::lazy(move || Ok(Arc::new(Tesseract::open(&reader)?)));
        Self { settings: Arc::new(settings.clone()), ..eyes }
    }

    /// What the user's settings say of it.
    pub fn settings(&self) -> &OcrFile {
        &self.settings
    }

    /// Eyes whose reader is opened by `open` when it is needed.
    pub fn lazy(open: impl Fn() -> Result<Arc<dyn TextReader>, ReadError> + Send + Sync + 'static) -> Self {
        Self { settings: Arc::default(), open: Arc::new(open), state: Arc::default() }
    }

    /// A reader that is here.
    pub fn of(reader: Arc<dyn TextReader>) -> Self {
        Self::lazy(move || Ok(reader.clone()))
    }

    /// None at all: every word is unverified.
    pub fn shut() -> Self {
        Self::lazy(|| {
            Err(ReadError::Missing {
                locale: "und".to_owned(),
                missing: "a text reader".to_owned(),
                install: "let this sidecar have one".to_owned(),
            })
        })
    }

    fn reader(&self) -> Result<Arc<dyn TextReader>, ReadError> {
        let mut state = self.state.lock();
        if let Some(reader) = &state.reader {
            return Ok(reader.clone());
        }
        let reader = (self.open)()?;
        state.reader = Some(reader.clone());
        Ok(reader)
    }

    /// Reads `image` with `ask` in mind; a picture that was just read so is not read again.
    ///
    /// # Errors
    /// Why nothing could be read.
    pub fn read(&self, image: &ImageBuf, ask: &Ask) -> Result<Arc<Reading>, ReadError> {
        let reader = self.reader()?;
        let pixels = image.hash();
        let known = |state: &State| {
            let found = state.readings.iter().find(|(of, asked, _)| *of == pixels && asked == ask);
            found.map(|(_, _, reading)| reading.clone())
        };
        if let Some(reading) = known(&self.state.lock()) {
            return Ok(reading);
        }
        let reading = Arc::new(reader.read(image, ask)?);
        // What one language lacks may be installed a moment later; only what was read is worth remembering.
        if reading.found.iter().all(Result::is_ok) && reading.unlooked.is_none() {
            let mut state = self.state.lock();
            if known(&state).is_none() {
                if state.readings.len() == READINGS_MAX {
                    state.readings.pop_front();
                }
                state.readings.push_back((pixels, ask.clone(), reading.clone()));
            }
        }
        Ok(reading)
    }

    /// Whether words of `locale` can be read here. It tries, on a picture with nothing in it.
    ///
    /// # Errors
    /// What is missing, and what to install.
    pub fn can_read(&self, locale: &str) -> Result<(), ReadError> {
        let nothing = ImageBuf::filled(Extent { width: SIDE_MIN, height: SIDE_MIN }, [255; 4]);
        let word = Expected { text: "a".to_owned(), locale: locale.to_owned(), place: None };
        let reading = self.read(&nothing, &Ask { expected: vec![word], ..Ask::default() })?;
        match reading.found.first() {
            Some(Err(err)) => Err(err.clone()),
            _ => Ok(()),
        }
    }
}
