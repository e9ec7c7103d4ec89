//! How GPU memory is shared out: blocks out of stretches, stretches within caps. Pure: the driver appears behind [`Slab`]
//! alone, and what is free on the card comes in as a number.
//!
//! ```text
//! take(class, bytes) ─► small: a gap among small blocks of the class; large: an empty stretch of just its length
//!        └─► a new stretch, within the class's cap, the budget less others' floors, and what the card has free
//!                └─► after empty stretches went back to the driver ─► refused, with the figures of the limit met
//! give(block) ─► its gap joins its neighbours; the stretch stays for the next job (graphs like addresses that stay)
//! ```
//! A class takes from its own stretches alone, so that pictures of one class cannot cut up the memory of another.
//!
//! Blocks of a [`GRAIN`] and more lie alone. So what is held for a number of blocks is never more than their bytes and a
//! grain for each, in whatever order they came and went, and what [`Pools::whole`] says that fits is given: a small block
//! could else keep the stretch of a text encoder from going back to the driver.

mod arena;
mod class;
mod report;
mod slab;
#[cfg(test)]
mod tests;

pub use arena::{ALIGN, Arena};
pub use class::{Class, Limits, Room, Share};
pub use report::{Figures, Leak, Report};
pub use slab::{Slab, SlabError};

use thiserror::Error;

use crate::launch::Address;

/// Stretches are multiples of this: the granularity of the driver's memory on every card that we know (2 MiB).
pub const GRAIN: u64 = 2 << 20;
/// Most stretches of all classes: blocks are whole models and arenas, of which a card holds dozens. It bounds every search.
pub const STRETCHES_MAX: usize = 256;

/// Why no memory was given.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PoolError {
    /// A run takes nothing: whoever asks has not planned.
    #[error("reserve {needed_bytes} bytes of GPU memory: a program runs, and nothing is reserved while one does")]
    Running {
        /// What was asked.
        needed_bytes: u64,
    },
    /// The class has its share.
    #[error("reserve {needed_bytes} bytes of GPU memory: {left_bytes} are left of the share of {class}")]
    Share {
        /// Whose.
        class: Class,
        /// What was asked.
        needed_bytes: u64,
        /// What is left.
        left_bytes: u64,
    },
    /// All classes together have what Thumbforge may take, or the rest is kept for another class.
    #[error("reserve {needed_bytes} bytes of GPU memory: {left_bytes} are left of what Thumbforge may take")]
    Budget {
        /// What was asked.
        needed_bytes: u64,
        /// What is left.
        left_bytes: u64,
    },
    /// Other programs have the rest of the card.
    #[error("reserve {needed_bytes} bytes of GPU memory: {left_bytes} are free, others' reserve aside")]
    Card {
        /// What was asked.
        needed_bytes: u64,
        /// What is left.
        left_bytes: u64,
    },
    /// The driver said no, whatever it had told before.
    #[error("reserve {needed_bytes} bytes of GPU memory")]
    Driver {
        /// What was asked.
        needed_bytes: u64,
        /// What it says.
        #[source]
        err: SlabError,
    },
    /// There are too many stretches, which only a leak explains.
    #[error("reserve {needed_bytes} bytes of GPU memory: {STRETCHES_MAX} stretches are held already")]
    Stretches {
        /// What was asked.
        needed_bytes: u64,
    },
    /// A block came back that is none of these pools'.
    #[error("give back {bytes} bytes of GPU memory: these pools never gave them")]
    Stranger {
        /// What it says of itself.
        bytes: u64,
    },
}

impl PoolError {
    /// What was asked and what was left, where memory was short.
    pub fn shortage(&self) -> Option<(u64, u64)> {
        match *self {
            Self::Share { needed_bytes, left_bytes, .. }
            | Self::Budget { needed_bytes, left_bytes }
            | Self::Card { needed_bytes, left_bytes } => Some((needed_bytes, left_bytes)),
            Self::Driver { needed_bytes, err: SlabError::OutOfMemory } => Some((needed_bytes, 0)),
            Self::Stretches { needed_bytes } => Some((needed_bytes, 0)),
            Self::Driver { .. } | Self::Running { .. } | Self::Stranger { .. } => None,
        }
    }
}

/// Memory that somebody holds. It is given back with [`Pools::give`]; whoever forgets shows in [`Pools::close`].
#[derive(Debug, PartialEq, Eq)]
#[must_use = "memory that is dropped is leaked"]
pub struct Block {
    stretch: u64,
    offset: u64,
    class: Class,
    bytes: u64,
    at: Address,
}

impl Block {
    /// Where it begins, a multiple of [`ALIGN`].
    pub fn at(&self) -> Address {
        self.at
    }

    /// Its bytes, a multiple of [`ALIGN`].
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whose it is.
    pub fn class(&self) -> Class {
        self.class
    }
}

/// A big piece of the driver's memory.
struct Stretch<T> {
    /// Never used twice, so a block that outlived its stretch is a stranger.
    id: u64,
    class: Class,
    arena: Arena,
    at: Address,
    held: T,
}

/// The memory of one card.
pub struct Pools<S: Slab> {
    slab: S,
    limits: Limits,
    stretches: Vec<Stretch<S::Held>>,
    /// Counts up.
    next: u64,
    running: usize,
    used_peak: [u64; Class::ALL.len()],
    reserved_peak: [u64; Class::ALL.len()],
    refused: [u64; Class::ALL.len()],
    total_peak: u64,
}

impl<S: Slab> Pools<S> {
    /// Takes nothing yet.
    pub fn new(slab: S, limits: Limits) -> Self {
        let none = [0; Class::ALL.len()];
        Self {
            slab,
            limits,
            stretches: Vec::new(),
            next: 0,
            running: 0,
            used_peak: none,
            reserved_peak: none,
            refused: none,
            total_peak: 0,
        }
    }

    /// What the memory comes from.
    pub fn slab(&self) -> &S {
        &self.slab
    }

    /// What may be taken.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// From now on a program runs: nothing is reserved and nothing goes back to the driver until [`Pools::leave`].
    pub fn enter(&mut self) {
        self.running += 1;
    }

    /// A program has ended.
    pub fn leave(&mut self) {
        self.running = self.running.saturating_sub(1);
    }

    /// At least `bytes` for a class, where `room` is what the card has free now.
    ///
    /// # Errors
    /// [`PoolError`]; nothing was changed but that empty stretches may have gone back to the driver.
    pub fn take(&mut self, class: Class, bytes: u64, room: Room) -> Result<Block, PoolError> {
        let taken = self.taken(class, bytes, room);
        if taken.as_ref().is_err_and(|err| err.shortage().is_some()) {
            self.refused[class.index()] += 1;
        }
        taken
    }

    fn taken(&mut self, class: Class, asked: u64, room: Room) -> Result<Block, PoolError> {
        if self.running > 0 {
            return Err(PoolError::Running { needed_bytes: asked });
        }
        // A size that cannot be rounded up is larger than every card.
        let Some(exact) = asked.max(1).checked_next_multiple_of(GRAIN) else {
            return Err(PoolError::Share { class, needed_bytes: asked, left_bytes: self.left(class, room) });
        };
        let bytes = arena::aligned(asked);
        if let Some(block) = self.fill(class, bytes, exact) {
            return Ok(block);
        }
        if self.stretches.len() >= STRETCHES_MAX && !self.release_one() {
            return Err(PoolError::Stretches { needed_bytes: bytes });
        }
        let mut room = room;
        self.make_room(class, exact, &mut room)?;
        let reserved = match self.stretch(class, exact) {
            // Somebody was faster, or the driver's memory is in pieces: what lies here unused is the last reserve.
            Err(SlabError::OutOfMemory) if self.trim() > 0 => self.stretch(class, exact),
            reserved => reserved,
        };
        reserved.map_err(|err| PoolError::Driver { needed_bytes: exact, err })?;
        self.fill(class, bytes, exact).ok_or(PoolError::Stretches { needed_bytes: bytes })
    }

    /// Takes a block back.
    ///
    /// # Errors
    /// [`PoolError::Stranger`].
    pub fn give(&mut self, block: Block) -> Result<(), PoolError> {
        let stretch = self.stretches.iter_mut().find(|stretch| stretch.id == block.stretch);
        match stretch.is_some_and(|stretch| stretch.arena.give(block.offset, block.bytes)) {
            true => Ok(()),
            false => Err(PoolError::Stranger { bytes: block.bytes }),
        }
    }

    /// What could still be taken for a class, if all that lies empty went back to the driver first.
    pub fn left(&self, class: Class, room: Room) -> u64 {
        let busy = |stretch: &&Stretch<S::Held>| !stretch.arena.is_empty();
        let held = |class: Class| {
            let of_class = self.stretches.iter().filter(busy).filter(|stretch| stretch.class == class);
            of_class.map(|stretch| stretch.arena.bytes()).sum::<u64>()
        };
        let empty: u64 =
            self.stretches.iter().filter(|stretch| stretch.arena.is_empty()).map(|stretch| stretch.arena.bytes()).sum();
        let others = Class::ALL.into_iter().filter(|other| *other != class);
        let kept: u64 = others.map(|other| held(other).max(self.limits.share(other).floor_bytes)).sum();
        let share = self.limits.share(class).cap_bytes.saturating_sub(held(class));
        let budget = self.limits.budget_bytes.saturating_sub(kept + held(class));
        let ours: u64 = self.stretches.iter().map(|stretch| stretch.arena.bytes()).sum();
        let card = room.whole_bytes(ours).saturating_sub(ours - empty);
        let fresh = share.min(budget).min(card) / GRAIN * GRAIN;
        let shared = |stretch: &&Stretch<S::Held>| stretch.class == class && stretch.arena.bytes() == GRAIN;
        let gap = self.stretches.iter().filter(busy).filter(shared);
        fresh.max(gap.map(|stretch| stretch.arena.gap_largest()).max().unwrap_or(0))
    }

    /// What a picture may take in all, weights included, in no more than `blocks` blocks at a time, once everything
    /// that is held now was given back or is its own: what a plan is held against, where pictures are drawn one after
    /// another. Its arena has the class's cap besides.
    pub fn whole(&self, room: Room, blocks: u64) -> u64 {
        // Its own floor too: all that it takes may be weights, which have no right to that.
        let others = Class::ALL.into_iter().filter(|other| *other != Class::Weights);
        let floors: u64 = others.map(|other| self.limits.share(other).floor_bytes).sum();
        let ours: u64 = self.stretches.iter().map(|stretch| stretch.arena.bytes()).sum();
        let held = self.limits.budget_bytes.saturating_sub(floors).min(room.whole_bytes(ours));
        // Each block is rounded up.
        held.saturating_sub(blocks.saturating_mul(GRAIN))
    }

    /// Gives all that lies empty back to the driver; how many bytes that was.
    pub fn trim(&mut self) -> u64 {
        let mut bytes = 0;
        while self.running == 0
            && let Some(at) = self.stretches.iter().position(|stretch| stretch.arena.is_empty())
        {
            bytes += self.release(at);
        }
        bytes
    }

    /// What is held, used and was at most.
    pub fn report(&self) -> Report {
        let figures = |class: Class| {
            let of_class = || self.stretches.iter().filter(move |stretch| stretch.class == class);
            let free: u64 = of_class().map(|stretch| stretch.arena.free_bytes()).sum();
            let largest = of_class().map(|stretch| stretch.arena.gap_largest()).max().unwrap_or(0);
            Figures {
                class,
                cap_bytes: self.limits.share(class).cap_bytes,
                reserved_bytes: self.reserved(class),
                used_bytes: self.reserved(class) - free,
                blocks: of_class().map(|stretch| stretch.arena.blocks()).sum(),
                reserved_peak_bytes: self.reserved_peak[class.index()],
                used_peak_bytes: self.used_peak[class.index()],
                free_largest_bytes: largest,
                refused: self.refused[class.index()],
            }
        };
        Report {
            budget_bytes: self.limits.budget_bytes,
            reserved_peak_bytes: self.total_peak,
            classes: Class::ALL.map(figures),
        }
    }

    /// Gives everything back to the driver at the end.
    ///
    /// # Errors
    /// What somebody still held. It went back too: nobody can use it any more.
    pub fn close(mut self) -> Result<S, Leak> {
        let report = self.report();
        self.running = 0;
        while !self.stretches.is_empty() {
            self.release(0);
        }
        match report.leak() {
            None => Ok(self.slab),
            Some(leak) => Err(leak),
        }
    }

    fn reserved(&self, class: Class) -> u64 {
        let of_class = self.stretches.iter().filter(|stretch| stretch.class == class);
        of_class.map(|stretch| stretch.arena.bytes()).sum()
    }

    /// The best gap of a class's stretches of `length`, which is `bytes` in whole grains: the smallest that does.
    fn fill(&mut self, class: Class, bytes: u64, length: u64) -> Option<Block> {
        let fitting = |stretch: &&mut Stretch<S::Held>| stretch.class == class && stretch.arena.bytes() == length;
        // A stretch of one grain may be shared, and a block that is almost as long as one finds none of it; a longer one has
        // no gap for a second block of its length.
        let of_class = self.stretches.iter_mut().filter(fitting);
        let fits = of_class.filter_map(|stretch| Some((stretch.arena.gap_for(bytes)?, stretch)));
        let (_, stretch) = fits.min_by_key(|(gap, stretch)| (*gap, stretch.id))?;
        let offset = stretch.arena.take(bytes)?;
        let block = Block { stretch: stretch.id, offset, class, bytes, at: stretch.at + offset };
        let used: u64 = self.reserved(class) - self.free(class);
        let peak = &mut self.used_peak[class.index()];
        *peak = (*peak).max(used);
        Some(block)
    }

    fn free(&self, class: Class) -> u64 {
        let of_class = self.stretches.iter().filter(|stretch| stretch.class == class);
        of_class.map(|stretch| stretch.arena.free_bytes()).sum()
    }

    /// Whether a stretch of `bytes` would stay within every limit.
    fn allows(&self, class: Class, bytes: u64, room: Room) -> Result<(), PoolError> {
        let own = self.reserved(class);
        let others = Class::ALL.into_iter().filter(|other| *other != class);
        // What another class has a right to and does not hold yet is kept for it.
        let kept: u64 = others.map(|other| self.reserved(other).max(self.limits.share(other).floor_bytes)).sum();
        let share = self.limits.share(class).cap_bytes.saturating_sub(own);
        let budget = self.limits.budget_bytes.saturating_sub(kept.saturating_add(own));
        let needed_bytes = bytes;
        if bytes > share {
            return Err(PoolError::Share { class, needed_bytes, left_bytes: share });
        }
        if bytes > budget {
            return Err(PoolError::Budget { needed_bytes, left_bytes: budget });
        }
        let ours = Class::ALL.into_iter().map(|class| self.reserved(class)).sum();
        let card = room.whole_bytes(ours).saturating_sub(ours);
        if bytes > card {
            return Err(PoolError::Card { needed_bytes, left_bytes: card });
        }
        Ok(())
    }

    /// Gives empty stretches back until `bytes` more are allowed; none where all of them would not do.
    fn make_room(&mut self, class: Class, bytes: u64, room: &mut Room) -> Result<(), PoolError> {
        while let Err(met) = self.allows(class, bytes, *room) {
            let left_bytes = self.left(class, *room);
            if left_bytes < bytes {
                // Told as it would be with everything empty given back.
                return Err(match met {
                    PoolError::Share { class, needed_bytes, .. } => {
                        PoolError::Share { class, needed_bytes, left_bytes }
                    }
                    PoolError::Budget { needed_bytes, .. } => PoolError::Budget { needed_bytes, left_bytes },
                    _ => PoolError::Card { needed_bytes: bytes, left_bytes },
                });
            }
            let own_only = matches!(met, PoolError::Share { .. });
            let Some(at) = self.emptiest(own_only.then_some(class)) else { return Err(met) };
            room.free_bytes = room.free_bytes.saturating_add(self.release(at));
        }
        Ok(())
    }

    /// The largest empty stretch, of a class or of all: the fewest of them go.
    fn emptiest(&self, class: Option<Class>) -> Option<usize> {
        let empty = self.stretches.iter().enumerate().filter(|(_, stretch)| stretch.arena.is_empty());
        let of_class = empty.filter(|(_, stretch)| class.is_none_or(|class| stretch.class == class));
        of_class.max_by_key(|(_, stretch)| stretch.arena.bytes()).map(|(at, _)| at)
    }

    fn release_one(&mut self) -> bool {
        self.emptiest(None).map(|at| self.release(at)).is_some()
    }

    fn release(&mut self, at: usize) -> u64 {
        let stretch = self.stretches.swap_remove(at);
        let bytes = stretch.arena.bytes();
        self.slab.release(stretch.held);
        bytes
    }

    fn stretch(&mut self, class: Class, bytes: u64) -> Result<(), SlabError> {
        let (at, held) = self.slab.reserve(bytes)?;
        if !at.is_multiple_of(ALIGN) {
            self.slab.release(held);
            return Err(SlabError::Failed(format!("memory at {at:#x}, which is no multiple of {ALIGN}")));
        }
        self.stretches.push(Stretch { id: self.next, class, arena: Arena::new(bytes), at, held });
        self.next += 1;
        let (reserved, total) = (self.reserved(class), Class::ALL.map(|class| self.reserved(class)).iter().sum());
        let peak = &mut self.reserved_peak[class.index()];
        *peak = (*peak).max(reserved);
        self.total_peak = self.total_peak.max(total);
        Ok(())
    }
}
