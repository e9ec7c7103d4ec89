//! Where the rings lie in the memory that a connection shares.

use std::sync::Arc;

use crate::atomic::{AtomicU32, AtomicU64};
use crate::ring::{self, Cells, Consumer, Producer};
use crate::sys::Mapping;

/// Cells of submissions and of completions: 512 bytes hold a usual message, 1024 of them a burst of as many jobs.
const MESSAGES: Place = Place { cells: 1024, cell_bytes: 512 };
/// Cells of slots that are given back: one message each, and more cells than a connection can have slots.
const RETURNS: Place = Place { cells: 2048, cell_bytes: 32 };

/// Flags take a cache line each, so that the two sides do not fight for one.
const SERVER_SLEEPS: usize = 0;
const CLIENT_SLEEPS: usize = 64;
/// The server has completions that did not fit.
const SERVER_WANTS_ROOM: usize = 128;
/// The client has submissions that did not fit.
const CLIENT_WANTS_ROOM: usize = 192;
const SUBMISSIONS: usize = 4096;
const RETURNED: usize = SUBMISSIONS + MESSAGES.bytes();
const COMPLETIONS: usize = RETURNED + RETURNS.bytes();
/// Bytes of the whole.
pub(crate) const RING_BYTES: usize = COMPLETIONS + MESSAGES.bytes();

struct Place {
    cells: u64,
    cell_bytes: usize,
}

impl Place {
    const fn bytes(&self) -> usize {
        self.cells as usize * self.cell_bytes
    }
}

const _: () = assert!(MESSAGES.cells.is_power_of_two() && RETURNS.cells.is_power_of_two());
const _: () = assert!(SUBMISSIONS.is_multiple_of(64) && RETURNED.is_multiple_of(64) && COMPLETIONS.is_multiple_of(64));
// Half a ring holds the largest message.
const _: () =
    assert!(MESSAGES.cells as usize / 2 * (MESSAGES.cell_bytes - 8) - 8 >= thumbforge_core::limits::MESSAGE_BYTES_MAX);
// The smallest slots fill the texture memory, and every one of them can be on its way back at once.
const _: () = assert!(RETURNS.cells as usize > thumbforge_core::limits::TEXTURE_BYTES_MAX / crate::slots::SMALLEST);
const _: () = assert!(RETURNS.cell_bytes >= 16 + thumbforge_core::wire::message::Lent::BYTES);

/// A ring within a mapping.
pub(crate) struct SharedCells {
    mapping: Arc<Mapping>,
    offset: usize,
    cells: u64,
    cell_bytes: usize,
}

impl SharedCells {
    fn new(mapping: &Arc<Mapping>, offset: usize, place: Place) -> Self {
        assert!(mapping.bytes() >= RING_BYTES, "the mapping was checked for its size");
        Self { mapping: mapping.clone(), offset, cells: place.cells, cell_bytes: place.cell_bytes }
    }
}

impl Cells for SharedCells {
    fn cells(&self) -> u64 {
        self.cells
    }

    fn payload_words(&self) -> usize {
        self.cell_bytes / 8 - 1
    }

    fn word(&self, cell: u64, word: usize) -> &AtomicU64 {
        assert!(cell < self.cells && word * 8 < self.cell_bytes);
        let at = self.offset + cell as usize * self.cell_bytes + word * 8;
        // SAFETY: `at + 8` lies within the mapping (asserted in `new` and above against the layout's constants), which
        // lives as long as `self`; mappings start at a page and `at` is a multiple of 8; both processes touch this
        // memory through atomics alone.
        unsafe { AtomicU64::from_ptr(self.mapping.ptr().add(at).cast()) }
    }
}

/// The flags of a connection.
pub(crate) struct Flags {
    mapping: Arc<Mapping>,
}

impl Flags {
    fn flag(&self, at: usize) -> &AtomicU32 {
        // SAFETY: the flags lie in the first page of the mapping, which lives as long as `self`, at multiples of 64;
        // both processes touch them through atomics alone.
        unsafe { AtomicU32::from_ptr(self.mapping.ptr().add(at).cast()) }
    }

    pub(crate) fn server_sleeps(&self) -> &AtomicU32 {
        self.flag(SERVER_SLEEPS)
    }

    pub(crate) fn client_sleeps(&self) -> &AtomicU32 {
        self.flag(CLIENT_SLEEPS)
    }

    pub(crate) fn server_wants_room(&self) -> &AtomicU32 {
        self.flag(SERVER_WANTS_ROOM)
    }

    pub(crate) fn client_wants_room(&self) -> &AtomicU32 {
        self.flag(CLIENT_WANTS_ROOM)
    }
}

/// The client's ends.
pub(crate) struct ClientRings {
    pub(crate) submissions: Producer<SharedCells>,
    pub(crate) returns: Producer<SharedCells>,
    pub(crate) completions: Consumer<SharedCells>,
    pub(crate) flags: Flags,
}

/// The server's ends.
pub(crate) struct ServerRings {
    pub(crate) submissions: Consumer<SharedCells>,
    pub(crate) returns: Consumer<SharedCells>,
    pub(crate) completions: Producer<SharedCells>,
    pub(crate) flags: Flags,
}

impl ClientRings {
    pub(crate) fn over(mapping: Mapping) -> Self {
        let mapping = Arc::new(mapping);
        Self {
            submissions: Producer::new(SharedCells::new(&mapping, SUBMISSIONS, MESSAGES)),
            returns: Producer::new(SharedCells::new(&mapping, RETURNED, RETURNS)),
            completions: Consumer::new(SharedCells::new(&mapping, COMPLETIONS, MESSAGES)),
            flags: Flags { mapping },
        }
    }
}

impl ServerRings {
    /// Prepares fresh memory.
    pub(crate) fn over(mapping: Mapping) -> Self {
        let mapping = Arc::new(mapping);
        let ring = |offset, place| {
            let cells = SharedCells::new(&mapping, offset, place);
            ring::prepare(&cells);
            cells
        };
        Self {
            submissions: Consumer::new(ring(SUBMISSIONS, MESSAGES)),
            returns: Consumer::new(ring(RETURNED, RETURNS)),
            completions: Producer::new(ring(COMPLETIONS, MESSAGES)),
            flags: Flags { mapping },
        }
    }
}
