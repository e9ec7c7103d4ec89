//! A bounded queue of messages over memory that the peer can scribble on: many producers in one process, one consumer
//! in the other.
//!
//! After D. Vyukov's bounded queue: every cell has a sequence number that says whose turn it is.
//! Cell `i` of lap `l` is free at `l * cells + i`, holds a message at one more, and is free again a lap later.
//! A message takes as many consecutive cells as it needs; its first cell is published last, so that a consumer that sees
//! it sees the rest. Head and tail are private to their sides: only sequence numbers and payload are shared, all of it
//! atomic words, so that a peer that writes at a bad moment is a wrong value and never undefined behaviour.
//!
//! What a peer can do by scribbling: make this side see an empty or full queue, or a message that is garbage.
//! Each ends in [`Popped::Empty`], [`Full`] or [`Broken`] after a bounded number of steps.

use crate::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// Memory that holds a ring: words of 64 bits, the first of each cell its sequence number.
pub(crate) trait Cells {
    /// How many cells; a power of two.
    fn cells(&self) -> u64;
    /// Words of payload in a cell.
    fn payload_words(&self) -> usize;
    /// Word `word` of cell `cell`; 0 is its sequence number. `cell` is below [`Self::cells`], `word` at most
    /// [`Self::payload_words`].
    fn word(&self, cell: u64, word: usize) -> &AtomicU64;
}

/// Gives every cell its first sequence number.
pub(crate) fn prepare(cells: &impl Cells) {
    for cell in 0..cells.cells() {
        cells.word(cell, 0).store(cell, Ordering::Release);
    }
}

/// How many times a producer tries for a place that another producer takes first; each try that fails is another's
/// success, so an honest process never gets near it.
const TRIES_MAX: usize = 1024;

/// There is no room now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

/// The peer wrote what no peer writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Broken;

/// What the consumer found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Popped {
    /// A message, copied out.
    Message,
    /// Nothing.
    Empty,
}

/// The sending end; shared by the threads of one process.
#[derive(Debug)]
pub(crate) struct Producer<C> {
    cells: C,
    tail: AtomicU64,
}

impl<C: Cells> Producer<C> {
    /// The sending end of a ring that [`prepare`] was called on.
    pub(crate) fn new(cells: C) -> Self {
        Self { cells, tail: AtomicU64::new(0) }
    }

    /// Largest message in bytes: half the ring, so that two always fit.
    pub(crate) fn bytes_max(&self) -> usize {
        ((self.cells.cells() / 2) as usize * self.cells.payload_words() - 1) * 8
    }

    /// Puts a message in, or says at once that there is no room. The caller keeps to [`Self::bytes_max`].
    pub(crate) fn push(&self, message: &[u8]) -> Result<(), Full> {
        let cells = &self.cells;
        let taken = cells_of(message.len(), cells.payload_words());
        if message.len() > self.bytes_max() {
            return Err(Full);
        }
        let first = self.claim(taken)?;
        let mut words = std::iter::once(message.len() as u64).chain(message.chunks(8).map(word_of));
        for place in first..first + taken {
            for (word, value) in (1..=cells.payload_words()).zip(&mut words) {
                cells.word(place % cells.cells(), word).store(value, Ordering::Relaxed);
            }
        }
        for place in (first..first + taken).rev() {
            cells.word(place % cells.cells(), 0).store(place + 1, Ordering::Release);
        }
        Ok(())
    }

    /// Takes `taken` consecutive places.
    fn claim(&self, taken: u64) -> Result<u64, Full> {
        let mut tail = self.tail.load(Ordering::Relaxed);
        for _ in 0..TRIES_MAX {
            // The consumer frees in order, so where the last place is free the others are.
            let last = tail + taken - 1;
            if self.cells.word(last % self.cells.cells(), 0).load(Ordering::Acquire) != last {
                let now = self.tail.load(Ordering::Relaxed);
                if now == tail {
                    return Err(Full);
                }
                tail = now;
                continue;
            }
            match self.tail.compare_exchange_weak(tail, tail + taken, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(tail),
                Err(now) => tail = now,
            }
        }
        Err(Full)
    }
}

/// The receiving end; one in the world.
#[derive(Debug)]
pub(crate) struct Consumer<C> {
    cells: C,
    head: u64,
}

impl<C: Cells> Consumer<C> {
    /// The receiving end of a ring that [`prepare`] was called on.
    pub(crate) fn new(cells: C) -> Self {
        Self { cells, head: 0 }
    }

    /// Whether a message seems to wait.
    pub(crate) fn is_ready(&self) -> bool {
        self.cells.word(self.head % self.cells.cells(), 0).load(Ordering::Acquire) == self.head + 1
    }

    /// Copies the next message of at most `bytes_max` into `into`, whose former content goes.
    pub(crate) fn pop(&mut self, bytes_max: usize, into: &mut Vec<u8>) -> Result<Popped, Broken> {
        if !self.is_ready() {
            return Ok(Popped::Empty);
        }
        let (cells, payload_words) = (&self.cells, self.cells.payload_words());
        // Read once: the peer may change it while we look.
        let claimed = cells.word(self.head % cells.cells(), 1).load(Ordering::Relaxed);
        let bytes = usize::try_from(claimed).ok().filter(|bytes| *bytes <= bytes_max).ok_or(Broken)?;
        let taken = cells_of(bytes, payload_words);
        if taken > cells.cells() {
            return Err(Broken);
        }
        into.clear();
        into.reserve(bytes + 8);
        for place in self.head..self.head + taken {
            let cell = place % cells.cells();
            if cells.word(cell, 0).load(Ordering::Acquire) != place + 1 {
                return Err(Broken);
            }
            let from = if place == self.head { 2 } else { 1 };
            for word in from..=payload_words {
                if into.len() >= bytes {
                    break;
                }
                into.extend_from_slice(&cells.word(cell, word).load(Ordering::Relaxed).to_le_bytes());
            }
        }
        into.truncate(bytes);
        for place in self.head..self.head + taken {
            cells.word(place % cells.cells(), 0).store(place + cells.cells(), Ordering::Release);
        }
        self.head += taken;
        Ok(Popped::Message)
    }
}

/// Cells that a message takes: a word for its length, then its bytes.
fn cells_of(bytes: usize, payload_words: usize) -> u64 {
    (1 + bytes.div_ceil(8)).div_ceil(payload_words) as u64
}

/// Up to eight bytes as a little-endian word.
fn word_of(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

/// Says that it sleeps: about to look once more and then to wait for a bell.
///
/// Whoever sleeps stores, fences, looks; whoever sends publishes, fences, looks here. One of them sees the other.
pub(crate) fn fall_asleep(flag: &AtomicU32) {
    flag.store(1, Ordering::Relaxed);
    fence(Ordering::SeqCst);
}

/// Awake again without a bell.
#[cfg_attr(loom, allow(dead_code))]
pub(crate) fn wake_up(flag: &AtomicU32) {
    flag.store(0, Ordering::Relaxed);
}

/// After a message was published: whether the peer sleeps and has to be rung for. Only one caller is told so.
pub(crate) fn must_ring(flag: &AtomicU32) -> bool {
    fence(Ordering::SeqCst);
    flag.load(Ordering::Relaxed) == 1 && flag.swap(0, Ordering::Relaxed) == 1
}

#[cfg(all(test, loom))]
mod model;
#[cfg(all(test, not(loom)))]
mod tests;
