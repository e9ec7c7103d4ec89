//! What is checked, with books of all memory that is taken of it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use thumbforge_cuda::{Cuda, Library, Settings};
use thumbforge_cuda_standin::Standin;
use thumbforge_diffusion::cpu::Cpu;
use thumbforge_diffusion::device::{Bases, Device, DeviceClass, Span};
use thumbforge_diffusion::dtype::Precision;
use thumbforge_diffusion::error::DiffusionError;
use thumbforge_diffusion::param::Params;
use thumbforge_diffusion::plan::Program;

use crate::options::Outcome;

/// What stands at the head of the report.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct About {
    /// As the driver names it.
    pub(crate) card: String,
    /// Of the driver; empty for a processor.
    pub(crate) driver: String,
    /// Compute capability: 90 for Hopper; 0 for a processor.
    pub(crate) capability: u32,
    /// Of the card's memory.
    pub(crate) memory_mb: u64,
    /// NVIDIA's library that multiplies, as classes of devices name it; `None` where our kernels do.
    pub(crate) library: Option<String>,
    /// Where that lies.
    pub(crate) library_path: Option<PathBuf>,
}

/// What is checked.
pub(crate) struct Subject<D> {
    /// What it is.
    pub(crate) about: About,
    /// With the library that `about` names, or with our kernels alone.
    open: Box<dyn Fn(bool) -> Outcome<D>>,
}

impl Subject<Cpu> {
    /// The processor, for dry runs.
    pub(crate) fn cpu() -> Outcome<Self> {
        let about = About {
            card: "processor".to_owned(),
            driver: String::new(),
            capability: 0,
            memory_mb: 0,
            library: None,
            library_path: None,
        };
        Ok(Self { about, open: Box::new(|_| Cpu::new().map_err(|err| err.to_string())) })
    }
}

impl Subject<Cuda> {
    /// The first card.
    pub(crate) fn cuda(library: Library) -> Outcome<Self> {
        // All of its memory: what others hold is taken away by the parts themselves.
        let settings = Settings { ordinal: 0, reserve_bytes: 0, record: true, library };
        let open = move |with: bool| {
            let library = if with { settings.library.clone() } else { Library::Never };
            Cuda::open(&Settings { library, ..settings.clone() }).map_err(|err| err.to_string())
        };
        let opened = open(true)?;
        let (card, driver) = (opened.card(), opened.driver_version());
        let about = About {
            card: card.name.clone(),
            driver: format!("CUDA {}.{}", driver / 1000, driver % 1000 / 10),
            capability: card.capability.0 * 10 + card.capability.1,
            memory_mb: card.total_bytes >> 20,
            library: opened.library().map(|(word, _)| word.to_owned()),
            library_path: opened.library().map(|(_, path)| path.to_owned()),
        };
        drop(opened);
        Ok(Self { about, open: Box::new(open) })
    }

    /// The stand-in for the driver, which runs the kernels' own source on the processor.
    pub(crate) fn standin(library: &Library) -> Outcome<Self> {
        let standin = Standin::load().map_err(|err| err.to_string())?;
        // A plain version of the library was built with it, and no other runs there.
        let library = match library {
            Library::Never => Library::Never,
            Library::Find | Library::At(_) => Library::At(standin.built().blaslt.clone()),
        };
        let mut subject = Self::cuda(library)?;
        subject.about.card = "stand-in".to_owned();
        Ok(subject)
    }
}

impl<D: Device> Subject<D> {
    /// It, with at most `cap_bytes` of its memory.
    pub(crate) fn open(&self, cap_bytes: u64) -> Outcome<Counted<D>> {
        self.opened(true, cap_bytes)
    }

    /// All ways of it to multiply: our kernels alone, and with the library that it has, by its word.
    pub(crate) fn ways(&self) -> Outcome<Vec<(Option<String>, Counted<D>)>> {
        let mut ways = vec![(None, self.opened(false, u64::MAX)?)];
        if self.about.library.is_some() {
            ways.push((self.about.library.clone(), self.opened(true, u64::MAX)?));
        }
        Ok(ways)
    }

    fn opened(&self, with: bool, cap_bytes: u64) -> Outcome<Counted<D>> {
        let books = Books { cap_bytes, used_bytes: 0, peak_bytes: 0 };
        Ok(Counted { inner: Arc::new((self.open)(with)?), books: Arc::new(Mutex::new(books)) })
    }
}

/// What was taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Books {
    /// It may hold so much.
    pub(crate) cap_bytes: u64,
    /// It holds so much.
    pub(crate) used_bytes: u64,
    /// It held so much at most.
    pub(crate) peak_bytes: u64,
}

/// A device of which no more is taken than a cap; a copy is the same device with the same books.
pub(crate) struct Counted<D> {
    inner: Arc<D>,
    books: Arc<Mutex<Books>>,
}

impl<D> Clone for Counted<D> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), books: self.books.clone() }
    }
}

impl<D> Counted<D> {
    /// What was taken so far.
    pub(crate) fn books(&self) -> Books {
        *self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another cap from now on. What is held above it stays.
    pub(crate) fn cap(&self, cap_bytes: u64) {
        self.books.lock().unwrap_or_else(PoisonError::into_inner).cap_bytes = cap_bytes;
    }

    /// The peak begins anew.
    pub(crate) fn forget_peak(&self) {
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        books.peak_bytes = books.used_bytes;
    }

    fn take(&self, bytes: u64) -> Result<Taken, DiffusionError> {
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        let free_bytes = books.cap_bytes.saturating_sub(books.used_bytes);
        if bytes > free_bytes {
            return Err(DiffusionError::OutOfMemory { needed_bytes: bytes, free_bytes });
        }
        books.used_bytes += bytes;
        books.peak_bytes = books.peak_bytes.max(books.used_bytes);
        Ok(Taken { bytes, books: self.books.clone() })
    }
}

/// So much is taken until this is dropped.
struct Taken {
    bytes: u64,
    books: Arc<Mutex<Books>>,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.books.lock().unwrap_or_else(PoisonError::into_inner).used_bytes -= self.bytes;
    }
}

/// Memory or parameters of a counted device; given back to the device before the books hear of it.
pub(crate) struct Held<T> {
    inner: T,
    _taken: Taken,
}

impl<D: Device> Device for Counted<D> {
    type Model = Held<D::Model>;
    type Memory = Held<D::Memory>;

    fn class(&self, precision: Precision) -> DeviceClass {
        self.inner.class(precision)
    }

    fn free_bytes(&self) -> u64 {
        let books = self.books();
        self.inner.free_bytes().min(books.cap_bytes.saturating_sub(books.used_bytes))
    }

    fn keeps_eights(&self) -> bool {
        self.inner.keeps_eights()
    }

    fn model_bytes(&self, params: &Params, precision: Precision) -> u64 {
        self.inner.model_bytes(params, precision)
    }

    fn workspace_bytes(&self, program: &Program) -> u64 {
        self.inner.workspace_bytes(program)
    }

    fn load(&self, params: &Params, precision: Precision) -> Result<Self::Model, DiffusionError> {
        let taken = self.take(self.inner.model_bytes(params, precision))?;
        Ok(Held { inner: self.inner.load(params, precision)?, _taken: taken })
    }

    fn reserve(&self, bytes: u64) -> Result<Self::Memory, DiffusionError> {
        let taken = self.take(bytes)?;
        Ok(Held { inner: self.inner.reserve(bytes)?, _taken: taken })
    }

    fn write(&self, memory: &mut Self::Memory, at: Span, numbers: &[f32]) -> Result<(), DiffusionError> {
        self.inner.write(&mut memory.inner, at, numbers)
    }

    fn write_ids(&self, memory: &mut Self::Memory, at: Span, ids: &[u32]) -> Result<(), DiffusionError> {
        self.inner.write_ids(&mut memory.inner, at, ids)
    }

    fn read(&self, memory: &Self::Memory, at: Span, numbers: &mut [f32]) -> Result<(), DiffusionError> {
        self.inner.read(&memory.inner, at, numbers)
    }

    fn rgba8_workspace_bytes(&self, pixels: usize) -> u64 {
        self.inner.rgba8_workspace_bytes(pixels)
    }

    fn read_rgba8(&self, memory: &Self::Memory, at: Span, pixels: &mut [u8]) -> Result<(), DiffusionError> {
        self.inner.read_rgba8(&memory.inner, at, pixels)
    }

    fn copy(&self, memory: &mut Self::Memory, from: Span, to: Span) -> Result<(), DiffusionError> {
        self.inner.copy(&mut memory.inner, from, to)
    }

    fn run(
        &self,
        program: &Program,
        model: &Self::Model,
        memory: &mut Self::Memory,
        bases: Bases<'_>,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), DiffusionError> {
        self.inner.run(program, &model.inner, &mut memory.inner, bases, stop)
    }
}
