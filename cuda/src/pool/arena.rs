//! Gaps and blocks of one stretch: best fit, and gaps that touch are one.

use std::collections::{BTreeMap, BTreeSet};

/// Blocks begin and end at multiples of this: what the driver's own memory keeps, and wide enough for every load and for
/// the matrices of cuBLASLt.
pub const ALIGN: u64 = 256;

/// `bytes` up to the next place where a block may end; nothing takes a block too, so that it has a place.
pub(super) fn aligned(bytes: u64) -> u64 {
    bytes.max(1).next_multiple_of(ALIGN)
}

/// The books of a stretch; offsets from its beginning.
#[derive(Debug)]
pub struct Arena {
    bytes: u64,
    /// Length of every gap by its offset.
    gaps: BTreeMap<u64, u64>,
    /// The same gaps by length, then offset.
    by_length: BTreeSet<(u64, u64)>,
    /// Length of every block by its offset.
    taken: BTreeMap<u64, u64>,
    free: u64,
}

impl Arena {
    /// One gap of `bytes`, a multiple of [`ALIGN`].
    pub fn new(bytes: u64) -> Self {
        let mut arena =
            Self { bytes, gaps: BTreeMap::new(), by_length: BTreeSet::new(), taken: BTreeMap::new(), free: 0 };
        arena.open(0, bytes / ALIGN * ALIGN);
        arena.free = bytes / ALIGN * ALIGN;
        arena
    }

    /// Its length.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Of all gaps.
    pub fn free_bytes(&self) -> u64 {
        self.free
    }

    /// Whether nobody holds a block.
    pub fn is_empty(&self) -> bool {
        self.taken.is_empty()
    }

    /// How many blocks are held.
    pub fn blocks(&self) -> usize {
        self.taken.len()
    }

    /// How many gaps there are.
    pub fn gaps(&self) -> usize {
        self.gaps.len()
    }

    /// The longest gap.
    pub fn gap_largest(&self) -> u64 {
        self.by_length.last().map_or(0, |(length, _)| *length)
    }

    /// Length of the smallest gap that has room for `bytes`.
    pub fn gap_for(&self, bytes: u64) -> Option<u64> {
        self.by_length.range((aligned(bytes), 0)..).next().map(|(length, _)| *length)
    }

    /// Takes the smallest gap that does, the first of them; the offset of the block.
    pub fn take(&mut self, bytes: u64) -> Option<u64> {
        let bytes = aligned(bytes);
        let (length, offset) = self.by_length.range((bytes, 0)..).next().copied()?;
        self.shut(offset, length);
        if length > bytes {
            self.open(offset + bytes, length - bytes);
        }
        self.taken.insert(offset, bytes);
        self.free -= bytes;
        Some(offset)
    }

    /// Takes a block back. False where no such block is held.
    pub fn give(&mut self, offset: u64, bytes: u64) -> bool {
        if self.taken.get(&offset) != Some(&bytes) {
            return false;
        }
        self.taken.remove(&offset);
        self.free += bytes;
        let before = self.gaps.range(..offset).next_back().map(|(at, length)| (*at, *length));
        let after = self.gaps.get(&(offset + bytes)).map(|length| (offset + bytes, *length));
        let (mut from, mut length) = (offset, bytes);
        if let Some((at, gap)) = before.filter(|(at, gap)| at + gap == offset) {
            self.shut(at, gap);
            (from, length) = (at, length + gap);
        }
        if let Some((at, gap)) = after {
            self.shut(at, gap);
            length += gap;
        }
        self.open(from, length);
        true
    }

    fn open(&mut self, offset: u64, length: u64) {
        if length > 0 {
            self.gaps.insert(offset, length);
            self.by_length.insert((length, offset));
        }
    }

    fn shut(&mut self, offset: u64, length: u64) {
        self.gaps.remove(&offset);
        self.by_length.remove(&(length, offset));
    }
}
