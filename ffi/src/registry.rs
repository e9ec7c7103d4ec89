//! Which sessions there are, by generation: the only state of the library.
//!
//! ```text
//! open ─► owned ──relinquish──► kept ──open──► owned, in a new generation
//!           │ └────open with take-over────────────▲
//!           └──close──► gone
//! ```
//! A call on a session holds its gate for reading. Who closes or adopts it first takes it off the list, then waits at
//! the gate until those calls have left; whoever comes meanwhile finds a stale handle and never waits.

use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use thumbforge_core::error::{ErrorCode, Failure};

use crate::handle::{self, Generation};
use crate::session::Session;

/// Most sessions of one process: an editor has one, a test of many editors some more.
const SESSIONS_MAX: usize = 64;

/// What a session is found by when it is adopted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Home {
    /// The data directory, as it was named.
    pub(crate) data_dir: PathBuf,
    /// The project.
    pub(crate) project: String,
}

/// Whether a session that nobody relinquished may be adopted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Adopt {
    /// Only what was relinquished.
    Relinquished,
    /// The latest of the same home, whoever has it.
    Any,
}

/// A session and its gate.
struct Slot {
    generation: Generation,
    home: Home,
    /// Set once its owner has let go; its handles are stale then.
    kept: AtomicBool,
    /// Set when somebody waits at the gate; calls that take long look at it.
    leaving: AtomicBool,
    session: RwLock<Option<Session>>,
}

#[derive(Default)]
struct Registry {
    slots: Vec<Arc<Slot>>,
    latest: Option<Generation>,
}

static REGISTRY: Mutex<Registry> = Mutex::new(Registry { slots: Vec::new(), latest: None });
/// One opening at a time: two at once must not both adopt, or both miss, the same session.
static OPENING: Mutex<()> = Mutex::new(());

fn registry() -> MutexGuard<'static, Registry> {
    // Every change is one insertion or removal: what a panic left is whole.
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Registry {
    fn next(&mut self) -> Generation {
        // Not from 1: a caller that stored a handle over a restart of its process should miss.
        let next = self.latest.map_or_else(|| Generation::first(RandomState::new().hash_one(0)), Generation::next);
        self.latest = Some(next);
        next
    }

    fn owned(&self, generation: Generation) -> Option<usize> {
        self.slots.iter().position(|slot| slot.generation == generation && !slot.kept.load(Ordering::Acquire))
    }

    fn take(&mut self, at: usize) -> Arc<Slot> {
        let slot = self.slots.remove(at);
        if self.slots.is_empty() {
            // Nothing of the heap is left behind when the library is unloaded.
            self.slots = Vec::new();
        }
        slot
    }
}

impl Slot {
    /// The session, once no call is on it any more.
    fn empty(&self) -> Option<Session> {
        self.leaving.store(true, Ordering::Release);
        self.session.write().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Opens a session with `make`, or adopts one of the same home; its handle.
pub(crate) fn open(home: Home, adopt: Adopt, make: impl FnOnce() -> Result<Session, Failure>) -> Result<u64, Failure> {
    let _opening = OPENING.lock().unwrap_or_else(PoisonError::into_inner);
    let found = {
        let mut registry = registry();
        let fits = |slot: &Arc<Slot>| slot.home == home && (adopt == Adopt::Any || slot.kept.load(Ordering::Acquire));
        let at = registry.slots.iter().rposition(fits);
        if at.is_none() && registry.slots.len() >= SESSIONS_MAX {
            return Err(Failure::new(
                ErrorCode::QueueFull,
                format!("failed to open a session: this process has {SESSIONS_MAX}; close some first"),
            ));
        }
        at.map(|at| registry.take(at))
    };
    let session = match found.and_then(|slot| slot.empty()) {
        Some(session) => {
            session.offer_again();
            session
        }
        None => make()?,
    };
    let mut registry = registry();
    let generation = registry.next();
    registry.slots.push(Arc::new(Slot {
        generation,
        home,
        kept: AtomicBool::new(false),
        leaving: AtomicBool::new(false),
        session: RwLock::new(Some(session)),
    }));
    Ok(generation.session())
}

/// Calls `use_it` with the session of a generation; it gets a look at whether somebody waits for it to leave.
pub(crate) fn with<T>(
    generation: Generation,
    use_it: impl FnOnce(&Session, &dyn Fn() -> bool) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let slot = {
        let registry = registry();
        registry.owned(generation).map(|at| registry.slots[at].clone()).ok_or_else(handle::stale)?
    };
    // Not `read`: that would wait behind whoever closes or adopts it.
    let gate = match slot.session.try_read() {
        Ok(gate) => gate,
        Err(std::sync::TryLockError::Poisoned(gate)) => gate.into_inner(),
        Err(std::sync::TryLockError::WouldBlock) => return Err(handle::stale()),
    };
    let session = gate.as_ref().ok_or_else(handle::stale)?;
    use_it(session, &|| slot.leaving.load(Ordering::Acquire))
}

/// Keeps a session for who opens it next.
pub(crate) fn relinquish(generation: Generation) -> Result<(), Failure> {
    let registry = registry();
    let at = registry.owned(generation).ok_or_else(handle::stale)?;
    registry.slots[at].kept.store(true, Ordering::Release);
    Ok(())
}

/// Ends a session.
pub(crate) fn close(generation: Generation) -> Result<(), Failure> {
    let slot = {
        let mut registry = registry();
        let at = registry.owned(generation).ok_or_else(handle::stale)?;
        registry.take(at)
    };
    slot.empty().ok_or_else(handle::stale)?.close();
    Ok(())
}
