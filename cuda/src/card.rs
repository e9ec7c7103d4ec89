//! One card with all that is shared by who computes on it: context, stream, kernels, pools, staging, recordings.
//!
//! Everything on the card happens in the order of one stream, so memory that is given back may be taken again at once, and
//! nobody has to wait for a copy but who reads its outcome. Whoever works holds [`Work`]: loads, runs, reads and writes
//! take turns, and what is free can be asked meanwhile.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::blaslt::BlasLt;
use crate::cubins;
use crate::driver::{self, Card, Context, Driver, Function, Memory, Module, Pool, Recorded, Stream};
use crate::error::CudaError;
use crate::launch::{Address, product};
use crate::libraries::{self, Places};
use crate::pool::{Block, Class, GRAIN, Limits, PoolError, Pools, Report, Room, Slab, SlabError};
use crate::recordings::Recordings;
use crate::staging::Staging;

/// How a card is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Which card, from 0, as the driver numbers them.
    pub ordinal: u32,
    /// Bytes of its memory that are left to others: an editor and a desktop draw on the same card.
    pub reserve_bytes: u64,
    /// Whether programs that run often are recorded and run as one: it spares the time of starting hundreds of kernels.
    pub record: bool,
    /// Whether NVIDIA's library multiplies.
    pub library: Library,
}

/// Whether NVIDIA's library cuBLASLt multiplies in place of our kernels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Library {
    /// The newest that is found; where a person named one that cannot be had, or where it does not run, the card is not opened.
    Find,
    /// The one of this file; where it cannot be had, the card is not opened.
    At(PathBuf),
    /// Never.
    Never,
}

/// Bytes of the card for words that kernels tell something in.
const CONTROL_BYTES: u64 = 256;

/// The most blocks that a picture holds at a time: three text encoders, the transformer's two parts, the autoencoder, the
/// memory that it is computed in, and the workspace.
const BLOCKS_OF_PICTURE: u64 = 8;

/// A card that is open.
pub(crate) struct Gpu {
    pub(crate) work: Mutex<Work>,
    pub(crate) pools: Mutex<Pools<Stretches>>,
    /// A word for what kernels tell.
    control: Memory,
    functions: Mutex<HashMap<&'static str, Arc<Function>>>,
    module: Module,
    pub(crate) stream: Arc<Stream>,
    pub(crate) context: Context,
    pub(crate) card: Card,
    /// What launches are told of it.
    pub(crate) shape: product::Card,
    pub(crate) settings: Settings,
    pub(crate) driver: Driver,
    /// The word of the library that multiplies, and where it lies.
    pub(crate) library: Option<(String, PathBuf)>,
}

impl std::fmt::Debug for Gpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gpu({} {})", self.card.ordinal, self.card.name)
    }
}

/// What one at a time works with.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) staging: Staging,
    /// What programs work in beside their buffers; as large as the largest that ran.
    workspace: Option<Block>,
    pub(crate) recordings: Recordings<Recorded>,
    pub(crate) library: Option<BlasLt>,
}

impl Gpu {
    /// Opens a card.
    ///
    /// # Errors
    /// When there is no driver, no such card, no kernels for it, no memory, or not the library that is named.
    pub(crate) fn open(settings: &Settings) -> Result<Self, CudaError> {
        let driver = driver::open()?;
        let cards = driver.cards()?;
        let count = cards.len() as u32;
        let card = cards.into_iter().nth(settings.ordinal as usize);
        let card = card.ok_or(CudaError::NoSuchDevice { wanted: settings.ordinal, count })?;
        // Before a context takes some hundred megabytes of a card that cannot be used.
        let image = cubins::image(card.capability)?;
        let context = Context::of(driver, &card)?;
        let stream = Arc::new(context.stream()?);
        let module = context.module(&image.bytes)?;
        let limits = Limits::of_card(card.total_bytes, settings.reserve_bytes);
        let pool = match card.pools {
            // Our own pools keep the budget; the driver's takes whole steps.
            true => Some(Pool::new(&stream, &card, limits.budget_bytes.next_multiple_of(Pool::STEP_BYTES))?),
            false => None,
        };
        let pools = Mutex::new(Pools::new(Stretches { context: context.clone(), pool }, limits));
        let control = context.reserve(CONTROL_BYTES)?;
        let staging = Staging::new(&context)?;
        let library = match &settings.library {
            Library::Find => match libraries::find(&Places::here(), driver.version)? {
                Some(found) => Some(BlasLt::at(&found.path)?),
                None => None,
            },
            Library::At(path) => Some(BlasLt::at(path)?),
            Library::Never => None,
        };
        let word = library.as_ref().map(|library| (library.word(), library.path().to_owned()));
        let work = Mutex::new(Work { staging, workspace: None, recordings: Recordings::new(), library });
        let shape = product::Card {
            capability: card.capability.0 * 10 + card.capability.1,
            multiprocessors: card.multiprocessors,
            shared_bytes: card.shared_bytes,
        };
        let (functions, settings) = (Mutex::new(HashMap::new()), settings.clone());
        Ok(Self {
            work,
            pools,
            control,
            functions,
            module,
            stream,
            context,
            card,
            shape,
            settings,
            driver,
            library: word,
        })
    }

    /// A kernel, looked up once.
    pub(crate) fn function(&self, kernel: &'static str) -> Result<Arc<Function>, CudaError> {
        let mut functions = self.functions.lock();
        if let Some(function) = functions.get(kernel) {
            return Ok(function.clone());
        }
        let function = Arc::new(self.module.function(kernel)?);
        functions.insert(kernel, function.clone());
        Ok(function)
    }

    /// Where kernels tell of a token that is in no table.
    pub(crate) fn fault(&self) -> Address {
        self.control.at()
    }

    /// What the card has free, where nobody changes what these pools hold meanwhile.
    fn room(&self, pools: &Pools<Stretches>) -> Result<Room, CudaError> {
        let (free_bytes, _) = self.context.memory()?;
        let (unused_bytes, step_bytes) = match &pools.slab().pool {
            Some(pool) => (pool.unused_bytes()?, Pool::STEP_BYTES),
            None => (0, GRAIN),
        };
        let free_bytes = free_bytes.saturating_add(unused_bytes);
        Ok(Room { free_bytes, reserve_bytes: self.settings.reserve_bytes, step_bytes })
    }

    /// What a class can still take.
    pub(crate) fn left(&self, class: Class) -> u64 {
        let pools = self.pools.lock();
        self.room(&pools).map_or(0, |room| pools.left(class, room))
    }

    /// What a picture may take in all.
    pub(crate) fn whole(&self) -> u64 {
        let pools = self.pools.lock();
        self.room(&pools).map_or(0, |room| pools.whole(room, BLOCKS_OF_PICTURE))
    }

    fn taken(&self, class: Class, bytes: u64) -> Result<Result<Block, PoolError>, CudaError> {
        let mut pools = self.pools.lock();
        let room = self.room(&pools)?;
        Ok(pools.take(class, bytes, room))
    }

    /// Memory for a class. Where there is none, what is only kept for speed goes first.
    pub(crate) fn take(&self, work: &mut Work, class: Class, bytes: u64) -> Result<Block, CudaError> {
        match self.taken(class, bytes)? {
            Err(err) if err.shortage().is_some() && work.keeps() => {
                self.spare(work)?;
                self.taken(class, bytes)?.map_err(|err| self.refused(err))
            }
            taken => taken.map_err(|err| self.refused(err)),
        }
    }

    /// Why pools gave nothing. They know no contexts: one that is lost is told as that.
    fn refused(&self, err: PoolError) -> CudaError {
        let known = if self.context.is_lost() { self.context.enter().err() } else { None };
        known.unwrap_or_else(|| err.into())
    }

    /// Gives memory back.
    pub(crate) fn give(&self, block: Block) {
        // A block is of these pools: nobody outside of this crate makes one, and here each is given once.
        let given = self.pools.lock().give(block);
        debug_assert!(given.is_ok(), "{given:?}");
    }

    /// Gives what is only kept for speed back: recordings and workspace.
    pub(crate) fn spare(&self, work: &mut Work) -> Result<(), CudaError> {
        self.stream.wait()?;
        work.recordings.clear();
        if let Some(workspace) = work.workspace.take() {
            self.give(workspace);
        }
        Ok(())
    }

    /// At least `bytes` to work in; its address and bytes. It is reserved before a program runs and stays for the next.
    pub(crate) fn workspace(&self, work: &mut Work, bytes: u64) -> Result<(Address, u64), CudaError> {
        if bytes == 0 {
            return Ok((0, 0));
        }
        if work.workspace.as_ref().is_none_or(|workspace| workspace.bytes() < bytes) {
            if let Some(small) = work.workspace.take() {
                self.give(small);
            }
            // It serves all classes in turn, as weights do.
            work.workspace = Some(self.take(work, Class::Weights, bytes)?);
        }
        Ok(work.workspace.as_ref().map_or((0, 0), |workspace| (workspace.at(), workspace.bytes())))
    }

    /// What pools hold.
    pub(crate) fn report(&self) -> Report {
        self.pools.lock().report()
    }
}

impl Work {
    /// Whether something is only kept for speed.
    fn keeps(&self) -> bool {
        self.workspace.is_some() || self.recordings.recorded() > 0
    }
}

impl Drop for Gpu {
    fn drop(&mut self) {
        if let Some(workspace) = self.work.get_mut().workspace.take() {
            self.give(workspace);
        }
        // cuBLASLt goes next, on this thread, and looks for the context itself.
        let _ = self.context.enter();
    }
}

/// The driver's memory, of a pool that it holds together where it can: then the driver itself keeps the cap.
#[derive(Debug)]
pub(crate) struct Stretches {
    context: Context,
    pool: Option<Pool>,
}

impl Slab for Stretches {
    type Held = Memory;

    fn reserve(&mut self, bytes: u64) -> Result<(Address, Memory), SlabError> {
        let reserved = match &self.pool {
            Some(pool) => pool.reserve(bytes),
            None => self.context.reserve(bytes),
        };
        let memory = reserved.map_err(|err| match err {
            CudaError::OutOfMemory { .. } => SlabError::OutOfMemory,
            other => SlabError::Failed(other.to_string()),
        })?;
        Ok((memory.at(), memory))
    }

    fn release(&mut self, held: Memory) {
        drop(held);
        if let Some(pool) = &self.pool {
            // What it could not give to the card it keeps for the next stretch; a lost context shows in the next call.
            let _ = pool.trim();
        }
    }
}
