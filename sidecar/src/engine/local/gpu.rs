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
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, OnceLock};

    use parking_lot::Mutex;
    use thumbforge_cuda::driver::version_words;
    use thumbforge_cuda::pool::Class;
    use thumbforge_cuda::support::{CardSupport, Degree, Support};
    use thumbforge_cuda::{Cuda, Library, Settings};
    use thumbforge_diffusion::device::DeviceClass;
    use thumbforge_diffusion::pipeline::Engine as Pipeline;

    use super::super::super::{CardMemory, EngineError};
    use super::super::asked::Purpose;
    use super::super::machine::{Card, Machine, Seen};
    use super::super::sd3::{self, Measures};
    use super::super::site::{Room, Site};
    use super::Seats;
    use crate::config::DeviceChoice;

    /// What the driver said when this process first asked.
    static SEEN: OnceLock<Seen> = OnceLock::new();

    /// What the driver says, asked for once a process; nobody is asked where the settings say the processor.
    pub(in super::super) fn seen(choice: DeviceChoice) -> Seen {
        match choice {
            DeviceChoice::Cpu => Seen::Nothing("the settings say the processor".to_owned()),
            // What a model takes is the machine's to weigh, with what is left to others.
            DeviceChoice::Auto | DeviceChoice::Cuda => SEEN.get_or_init(|| told(Support::look(0))).clone(),
        }
    }

    fn told(support: Support) -> Seen {
        match support {
            Support::NoDriver { .. } => Seen::Nothing("no NVIDIA driver".to_owned()),
            Support::Driver(err) => Seen::Nothing(format!("the NVIDIA driver cannot be used (failed to {err})")),
            Support::NoCard => Seen::Nothing("an NVIDIA driver, but no card that it sees".to_owned()),
            Support::Cards { driver_version, cards } => {
                Seen::Cards { driver: version_words(driver_version), cards: cards.into_iter().map(card).collect() }
            }
        }
    }

    fn card(CardSupport { card, degree }: CardSupport) -> Card {
        let (major, minor) = card.capability;
        let capability = major * 10 + minor;
        let unfit = match degree {
            Degree::Unknown(err) => Some(format!("this build cannot: failed to {err}")),
            Degree::Fine | Degree::Slow | Degree::Small { .. } => None,
        };
        Card {
            index: card.ordinal,
            name: card.name,
            capability,
            class: class(capability),
            total_bytes: card.total_bytes,
            unfit,
        }
    }

    /// The class of a card as it is opened here, see [`LIBRARY`].
    fn class(capability: u32) -> String {
        DeviceClass::Cuda { capability, library: None }.to_string()
    }

    /// Our own kernels multiply: what the library is called stands in the class of device, and so would have to be found out
    /// before anything is planned.
    const LIBRARY: Library = Library::Never;

    /// A card.
    #[derive(Clone)]
    struct Gpu(Arc<Held>);

    struct Held {
        settings: Settings,
        class: String,
        open: Mutex<Option<Cuda>>,
        /// What was last seen of its memory.
        seen: Mutex<Vec<CardMemory>>,
        round: AtomicU64,
    }

    impl Gpu {
        fn new(machine: &Machine, card: &Card) -> Self {
            let reserve_bytes = machine.reserve(card);
            let settings = Settings { ordinal: card.index, reserve_bytes, record: true, library: LIBRARY };
            let (open, seen, round) = (Mutex::new(None), Mutex::default(), AtomicU64::new(0));
            Self(Arc::new(Held { settings, class: card.class.clone(), open, seen, round }))
        }

        fn open(&self) -> Result<Cuda, EngineError> {
            let ordinal = self.0.settings.ordinal;
            let open = || Cuda::open(&self.0.settings).map_err(|err| sd3::told(err.told(&format!("GPU {ordinal}"), 0)));
            // Once more where memory lacks: what a program held that has just ended may still be on its way back.
            let opened = match open() {
                Err(EngineError::OutOfMemory { .. }) => open()?,
                opened => opened?,
            };
            // What stands in keys was said before it was opened.
            let class =
                thumbforge_diffusion::device::Device::class(&opened, thumbforge_diffusion::dtype::Precision::Bf16);
            if class.to_string() != self.0.class {
                let said = &self.0.class;
                return Err(EngineError::Failed(format!(
                    "draw on GPU {ordinal}: it is {class}, and was said to be {said}"
                )));
            }
            Ok(opened)
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
                card: self.0.settings.ordinal,
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
            let (machine, index) = (machine.clone(), card.index);
            let fell = Arc::new(move |why: &str| machine.fell(index, why));
            Box::new(sd3::seat(gpu, Machine::classes_of(card), fell)) as Box<dyn super::super::seat::Draws>
        };
        let seats = cards.into_iter().map(seat).collect();
        (seats, Box::new(move || gpus.iter().flat_map(Gpu::memory).collect()))
    }

    /// The card that is drawn on first, if one is.
    pub(in super::super) fn measures(machine: &Machine) -> Option<Box<dyn Measures>> {
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
    use crate::config::DeviceChoice;

    /// This build asks no driver.
    pub(in super::super) fn seen(_: DeviceChoice) -> Seen {
        Seen::Nothing("this build draws on no GPU".to_owned())
    }

    /// There are none.
    pub(in super::super) fn seats(_: &Arc<Machine>) -> Seats {
        (Vec::new(), Box::new(Vec::new))
    }

    /// There is none.
    pub(in super::super) fn measures(_: &Machine) -> Option<Box<dyn Measures>> {
        None
    }
}
