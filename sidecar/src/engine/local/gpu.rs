//! NVIDIA's cards: all that the sidecar knows of `thumbforge-cuda`.
//!
//! A card is opened when a picture is first planned for it, and closed when nobody drew for a while: an open one takes some
//! hundred megabytes of its memory.

#[cfg(feature = "cuda")]
pub(super) use with::{measures, seats, seen};
#[cfg(not(feature = "cuda"))]
pub(super) use without::{measures, seats, seen};

/// What the engine has of cards: a seat for each, and a look at their memory.
pub(super) type Seats = (Vec<Box<dyn super::seat::Draws>>, Box<super::Gauges>);

#[cfg(feature = "cuda")]
mod with {
    use std::path::{Path, PathBuf};
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, OnceLock};

    use parking_lot::Mutex;
    use thumbforge_cuda::driver::version_words;
    use thumbforge_cuda::libraries::{self, Found, Places};
    use thumbforge_cuda::pool::Class;
    use thumbforge_cuda::support::{CardSupport, Degree, Support};
    use thumbforge_cuda::{Cuda, CudaError, Library, Settings};
    use thumbforge_diffusion::DiffusionError;
    use thumbforge_diffusion::device::{Device, DeviceClass};
    use thumbforge_diffusion::dtype::Precision;
    use thumbforge_diffusion::pipeline::Engine as Pipeline;

    use super::super::super::{CardMemory, EngineError};
    use super::super::asked::Purpose;
    use super::super::machine::{BF16_CAPABILITY, Card, Library as Multiplies, Machine, Seen};
    use super::super::sd3::{self, Measures};
    use super::super::site::{Room, Site};
    use super::Seats;
    use crate::config::{DeviceChoice, LIBRARY_VARIABLE, LibraryChoice, LocalFile};

    /// What the driver said when this process first asked.
    static SUPPORT: OnceLock<Support> = OnceLock::new();

    /// The library that was found, and for which settings: looked for once, so that whoever plans in this process names one class.
    static LIBRARY: Mutex<Option<(LibraryChoice, u32, Multiplies)>> = Mutex::new(None);

    /// What the driver says, asked for once a process; nobody is asked where the settings say the processor.
    pub(in super::super) fn seen(file: &LocalFile) -> Seen {
        match file.device {
            DeviceChoice::Cpu => Seen::Nothing("the settings say the processor".to_owned()),
            // What a model takes is the machine's to weigh, with what is left to others.
            DeviceChoice::Auto | DeviceChoice::Cuda => told(SUPPORT.get_or_init(|| Support::look(0)), &file.cublaslt),
        }
    }

    fn told(support: &Support, choice: &LibraryChoice) -> Seen {
        match support {
            Support::NoDriver { .. } => Seen::Nothing("no NVIDIA driver".to_owned()),
            Support::Driver(err) => Seen::Nothing(format!("the NVIDIA driver cannot be used (failed to {err})")),
            Support::NoCard => Seen::Nothing("an NVIDIA driver, but no card that it sees".to_owned()),
            Support::Cards { driver_version, cards } => {
                let library = match cards.iter().any(multiplies) {
                    true => library(choice, *driver_version),
                    false => Multiplies::Ours { ok: true, why: "no card here is fast at bf16".to_owned() },
                };
                let cards = cards.iter().map(|found| card(found, &library)).collect();
                Seen::Cards { driver: version_words(*driver_version), cards, library }
            }
        }
    }

    /// Whether a library would multiply there.
    fn multiplies(card: &CardSupport) -> bool {
        let (major, minor) = card.card.capability;
        major * 10 + minor >= BF16_CAPABILITY && !matches!(card.degree, Degree::Unknown(_))
    }

    fn library(choice: &LibraryChoice, driver_version: u32) -> Multiplies {
        let mut known = LIBRARY.lock();
        match &*known {
            Some((of, driver, library)) if of == choice && *driver == driver_version => library.clone(),
            _ => {
                let library = found(choice, driver_version);
                *known = Some((choice.clone(), driver_version, library.clone()));
                library
            }
        }
    }

    fn found(choice: &LibraryChoice, driver_version: u32) -> Multiplies {
        let places = match choice {
            LibraryChoice::Never => {
                let why = "the settings say so (`cublaslt = \"never\"`)".to_owned();
                return Multiplies::Ours { ok: true, why };
            }
            LibraryChoice::Auto => Places::of_machine(),
            LibraryChoice::At(path) => Places::at(path),
        };
        match libraries::find(&places, driver_version) {
            Ok(Some(Found { word, path })) => Multiplies::Theirs { word, path },
            Ok(None) => {
                let why = "no cuBLASLt was found; NVIDIA's CUDA toolkit or PyTorch bring it, and `cublaslt` under [local] \
                           names one that lies elsewhere";
                Multiplies::Ours { ok: true, why: why.to_owned() }
            }
            Err(err) => {
                let why = format!("failed to {err}; it is named by `cublaslt` under [local] or by {LIBRARY_VARIABLE}");
                tracing::warn!("our own kernels multiply: {why}");
                Multiplies::Ours { ok: false, why }
            }
        }
    }

    fn card(found: &CardSupport, library: &Multiplies) -> Card {
        let CardSupport { card, degree } = found;
        let (major, minor) = card.capability;
        let capability = major * 10 + minor;
        let unfit = match degree {
            Degree::Unknown(err) => Some(format!("this build cannot: failed to {err}")),
            Degree::Fine | Degree::Slow | Degree::Small { .. } => None,
        };
        let class = |library: Option<String>| DeviceClass::Cuda { capability, library }.to_string();
        let library_class = match library {
            Multiplies::Theirs { word, .. } if multiplies(found) => {
                Some(class(Some(libraries::word_on(word, card.multiprocessors))))
            }
            _ => None,
        };
        Card {
            index: card.ordinal,
            name: card.name.clone(),
            capability,
            class: class(None),
            library_class,
            total_bytes: card.total_bytes,
            unfit,
        }
    }

    /// A card.
    #[derive(Clone)]
    struct Gpu(Arc<Held>);

    struct Held {
        machine: Arc<Machine>,
        card: Card,
        open: Mutex<Option<Cuda>>,
        /// What was last seen of its memory.
        seen: Mutex<Vec<CardMemory>>,
        round: AtomicU64,
    }

    impl Gpu {
        fn new(machine: &Arc<Machine>, card: &Card) -> Self {
            let (open, seen, round) = (Mutex::new(None), Mutex::default(), AtomicU64::new(0));
            Self(Arc::new(Held { machine: machine.clone(), card: card.clone(), open, seen, round }))
        }

        /// Opens it as it is planned for. What it is then is what the machine says from now on: where the library does not run,
        /// pictures are planned for our own kernels; where nothing does, the card is given up.
        fn open(&self) -> Result<Cuda, EngineError> {
            let Held { machine, card, .. } = &*self.0;
            let library = machine.library(card).map(Path::to_owned);
            let mut opened = self.opened(library.clone());
            if let (Some(_), Err(err)) = (library, &opened)
                && err.is_of_library()
            {
                tracing::warn!(card = card.index, "our own kernels multiply: failed to {err}");
                machine.without_library(card.index, &err.to_string());
                opened = self.opened(None);
            }
            let name = format!("GPU {}", card.index);
            let opened = opened.map_err(|err| match err.clone().told(&name, 0) {
                short @ DiffusionError::OutOfMemory { .. } => sd3::told(short),
                _ => self.given_up(&err.to_string()),
            })?;
            // What stands in keys was said before it was opened. Whoever draws compares once more, with each picture's key.
            let is = |precision| opened.class(precision).to_string();
            let classes = machine.classes_of(card);
            if (is(Precision::F32), is(Precision::Bf16)) != (classes.f32.clone(), classes.bf16.clone()) {
                let said = &classes.bf16;
                return Err(
                    self.given_up(&format!("use {name}: it is {}, and was said to be {said}", is(Precision::Bf16)))
                );
            }
            Ok(opened)
        }

        fn opened(&self, library: Option<PathBuf>) -> Result<Cuda, CudaError> {
            let Held { machine, card, .. } = &*self.0;
            let library = library.map_or(Library::Never, Library::At);
            let (ordinal, reserve_bytes) = (card.index, machine.reserve(card));
            let settings = Settings { ordinal, reserve_bytes, record: true, library };
            match Cuda::open(&settings) {
                // Once more where memory lacks: what a program held that has just ended may still be on its way back.
                Err(CudaError::OutOfMemory { .. } | CudaError::Pool(_)) => Cuda::open(&settings),
                opened => opened,
            }
        }

        /// It cannot be opened, and that lies not in memory, which others may give back: nothing is planned for it any more.
        fn given_up(&self, why: &str) -> EngineError {
            let why = format!("open GPU {}: {why}", self.0.card.index);
            tracing::error!("failed to {why}; it is given up");
            self.0.machine.fell(self.0.card.index, &why);
            EngineError::Unopened(why)
        }

        /// What its pools hold, if it is open. While it is being opened, which takes seconds, nobody is kept waiting, least of
        /// all a thread of the server: then the figures are those of the last look.
        fn memory(&self) -> Vec<CardMemory> {
            let Some(open) = self.0.open.try_lock() else { return self.0.seen.lock().clone() };
            let memory = open.as_ref().map_or_else(Vec::new, |cuda| self.told_of(cuda));
            self.0.seen.lock().clone_from(&memory);
            memory
        }

        fn told_of(&self, cuda: &Cuda) -> Vec<CardMemory> {
            let of_class = |figures: &thumbforge_cuda::pool::Figures| CardMemory {
                card: self.0.card.index,
                class: figures.class.word(),
                cap_bytes: figures.cap_bytes,
                reserved_bytes: figures.reserved_bytes,
                used_bytes: figures.used_bytes,
                peak_bytes: figures.reserved_peak_bytes,
                fragmentation: figures.fragmentation(),
                refused: figures.refused,
            };
            cuda.report().classes.iter().map(of_class).collect()
        }
    }

    impl Site for Gpu {
        type Device = Cuda;

        fn device(&self) -> Result<Cuda, EngineError> {
            let mut open = self.0.open.lock();
            match &*open {
                Some(cuda) => Ok(cuda.clone()),
                None => Ok(open.insert(self.open()?).clone()),
            }
        }

        fn restart(&self) -> Result<(), EngineError> {
            let mut open = self.0.open.lock();
            // The lost context goes first: the driver gives the same one again as long as anybody holds it.
            *open = None;
            self.0.round.fetch_add(1, Ordering::AcqRel);
            *open = Some(self.open()?);
            Ok(())
        }

        fn rest(&self) {
            *self.0.open.lock() = None;
            self.0.round.fetch_add(1, Ordering::AcqRel);
        }

        fn round(&self) -> u64 {
            self.0.round.load(Ordering::Acquire)
        }

        fn is_lost(&self, device: &Cuda) -> bool {
            device.is_lost()
        }

        fn purpose(&self, device: &mut Cuda, purpose: Purpose) {
            *device = device.of(match purpose {
                Purpose::Draft => Class::Drafts,
                Purpose::Batch => Class::Batch,
                Purpose::Final => Class::Finals,
            });
        }

        fn room(&self, pipeline: &Pipeline<Cuda>, _: u64) -> Room {
            let device = pipeline.device();
            let (total_bytes, arena_bytes) = (device.whole_bytes(), device.share_bytes());
            match device.is_lost() {
                // Whoever draws finds out, and begins it anew.
                true => Room { total_bytes: u64::MAX, arena_bytes: u64::MAX },
                false => Room { total_bytes, arena_bytes },
            }
        }

        fn counted_free(&self, _: &Pipeline<Cuda>) -> u64 {
            0
        }
    }

    /// A seat for every card that could be drawn on, and a look at their memory.
    pub(in super::super) fn seats(machine: &Arc<Machine>) -> Seats {
        let cards: Vec<(Gpu, &Card)> = machine.fit().into_iter().map(|card| (Gpu::new(machine, card), card)).collect();
        let gpus: Vec<Gpu> = cards.iter().map(|(gpu, _)| gpu.clone()).collect();
        let seat = |(gpu, card): (Gpu, &Card)| {
            let (machine, of, index) = (machine.clone(), card.clone(), card.index);
            let (fallen, classes) = (machine.clone(), Box::new(move || machine.classes_of(&of)));
            let fell = Arc::new(move |why: &str| fallen.fell(index, why));
            Box::new(sd3::seat(gpu, classes, fell)) as Box<dyn super::super::seat::Draws>
        };
        let seats = cards.into_iter().map(seat).collect();
        (seats, Box::new(move || gpus.iter().flat_map(Gpu::memory).collect()))
    }

    /// The card that is drawn on first, if one is.
    pub(in super::super) fn measures(machine: &Arc<Machine>) -> Option<Box<dyn Measures>> {
        let card = machine.cards().first().copied()?;
        Some(Box::new(Gpu::new(machine, card)))
    }
}

#[cfg(not(feature = "cuda"))]
mod without {
    use std::sync::Arc;

    use super::super::machine::{Machine, Seen};
    use super::super::sd3::Measures;
    use super::Seats;
    use crate::config::LocalFile;

    /// This build asks no driver.
    pub(in super::super) fn seen(_: &LocalFile) -> Seen {
        Seen::Nothing("this build draws on no GPU".to_owned())
    }

    /// There are none.
    pub(in super::super) fn seats(_: &Arc<Machine>) -> Seats {
        (Vec::new(), Box::new(Vec::new))
    }

    /// There is none.
    pub(in super::super) fn measures(_: &Arc<Machine>) -> Option<Box<dyn Measures>> {
        None
    }
}
