//! Texture slots of one connection, as the sidecar keeps them: segments of equal slots that come and go with demand.
//!
//! Which slot is lent stands in private memory here. A client gives back with the slot's generation, so a slot that is
//! given back twice, or that was never lent, changes nothing.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::task::Waker;

use thumbforge_core::limits;
use thumbforge_core::wire::message::Lent;

use crate::sys::Mapping;

/// Bytes of a slot and slots of a segment: icons, then pictures of 512, 1024, 2048 and 4096 pixels a side. Segments are
/// small enough that little is mapped in vain and large enough that a batch needs few.
const CLASSES: [(usize, u32); 5] =
    [(SMALLEST, 16), (1 << 20, 8), (4 << 20, 4), (16 << 20, 2), (limits::SLOT_BYTES_MAX, 1)];
/// Bytes of the smallest slot.
pub(crate) const SMALLEST: usize = 256 << 10;

const _: () = assert!(CLASSES[1].0 == 512 * 512 * 4 && CLASSES[3].0 == 2048 * 2048 * 4);

/// Size class by its place in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Class(usize);

impl Class {
    /// The smallest class that holds `bytes`; `None` above the largest.
    pub(crate) fn of(bytes: usize) -> Option<Self> {
        CLASSES.iter().position(|(slot_bytes, _)| bytes <= *slot_bytes).map(Self)
    }

    pub(crate) fn slot_bytes(self) -> usize {
        CLASSES[self.0].0
    }

    pub(crate) fn slots(self) -> u32 {
        CLASSES[self.0].1
    }

    fn segment_bytes(self) -> usize {
        self.slot_bytes() * self.slots() as usize
    }
}

/// Where slots lie: memory that the client sees, or private memory whose bytes are sent.
#[derive(Clone)]
pub(crate) enum Place {
    Shared(Arc<Mapping>),
    Private,
}

struct Segment {
    class: Class,
    place: Place,
    /// Generation of each slot, and whether it is out.
    slots: Vec<(u64, bool)>,
}

impl Segment {
    fn is_free(&self) -> bool {
        self.slots.iter().all(|(_, lent)| !lent)
    }
}

/// The books.
pub(crate) struct Slots {
    segments: BTreeMap<u32, Segment>,
    next_segment: u32,
    /// Bytes that are reserved or lent.
    used: usize,
    /// Who waits for room, first come first served, so that large pictures get their turn among small ones.
    waiting: VecDeque<(u64, Option<Waker>)>,
    next_waiter: u64,
}

impl Slots {
    pub(crate) fn new() -> Self {
        Self { segments: BTreeMap::new(), next_segment: 1, used: 0, waiting: VecDeque::new(), next_waiter: 0 }
    }

    /// Gets in line.
    pub(crate) fn queue(&mut self) -> u64 {
        self.next_waiter += 1;
        self.waiting.push_back((self.next_waiter, None));
        self.next_waiter
    }

    /// Room for one slot, if it is this waiter's turn and there is some.
    pub(crate) fn try_reserve(&mut self, waiter: u64, class: Class, waker: &Waker) -> bool {
        let first = self.waiting.front().is_some_and(|(id, _)| *id == waiter);
        if first && self.used + class.slot_bytes() <= limits::TEXTURE_BYTES_MAX {
            self.waiting.pop_front();
            self.used += class.slot_bytes();
            self.wake_first();
            return true;
        }
        if let Some((_, kept)) = self.waiting.iter_mut().find(|(id, _)| *id == waiter) {
            *kept = Some(waker.clone());
        }
        false
    }

    /// Leaves the line.
    pub(crate) fn leave(&mut self, waiter: u64) {
        self.waiting.retain(|(id, _)| *id != waiter);
        self.wake_first();
    }

    fn wake_first(&mut self) {
        if let Some(waker) = self.waiting.front_mut().and_then(|(_, waker)| waker.take()) {
            waker.wake();
        }
    }

    /// Wakes everybody: the connection has ended.
    pub(crate) fn wake_all(&mut self) {
        for waker in self.waiting.iter_mut().filter_map(|(_, waker)| waker.take()) {
            waker.wake();
        }
    }

    /// Gives room back that was reserved and not used.
    pub(crate) fn unreserve(&mut self, class: Class) {
        self.used = self.used.saturating_sub(class.slot_bytes());
        self.wake_first();
    }

    /// A free slot of a class, if a segment has one. Room was reserved before.
    pub(crate) fn lend(&mut self, class: Class) -> Option<(Lent, Place)> {
        for (id, segment) in self.segments.iter_mut().filter(|(_, segment)| segment.class == class) {
            if let Some(slot) = segment.slots.iter().position(|(_, lent)| !lent) {
                segment.slots[slot].1 = true;
                let lent = Lent { segment: *id, slot: slot as u32, generation: segment.slots[slot].0 };
                return Some((lent, segment.place.clone()));
            }
        }
        None
    }

    /// A number for a new segment.
    pub(crate) fn number(&mut self) -> u32 {
        let number = self.next_segment;
        self.next_segment = self.next_segment.wrapping_add(1).max(1);
        number
    }

    /// Takes a segment into use.
    pub(crate) fn grow(&mut self, number: u32, class: Class, place: Place) {
        self.segments.insert(number, Segment { class, place, slots: vec![(0, false); class.slots() as usize] });
    }

    /// A slot comes back. Returns whether it was out; and the segments that are to be given up now.
    pub(crate) fn give_back(&mut self, lent: Lent) -> (bool, Vec<u32>) {
        let Some(segment) = self.segments.get_mut(&lent.segment) else { return (false, Vec::new()) };
        let Some(slot) = segment.slots.get_mut(lent.slot as usize) else { return (false, Vec::new()) };
        if *slot != (lent.generation, true) {
            return (false, Vec::new());
        }
        *slot = (lent.generation + 1, false);
        let class = segment.class;
        self.unreserve(class);
        (true, self.shrink_to(limits::TEXTURE_KEEP_BYTES))
    }

    /// Gives up free segments, largest first, until at most `keep` free bytes are left; says which.
    pub(crate) fn shrink_to(&mut self, keep: usize) -> Vec<u32> {
        let mut free: Vec<(usize, u32)> = self
            .segments
            .iter()
            .filter(|(_, segment)| segment.is_free())
            .map(|(id, segment)| (segment.class.segment_bytes(), *id))
            .collect();
        let mut bytes: usize = free.iter().map(|(bytes, _)| bytes).sum();
        free.sort_unstable();
        let mut gone = Vec::new();
        while bytes > keep
            && let Some((segment_bytes, id)) = free.pop()
        {
            bytes -= segment_bytes;
            self.segments.remove(&id);
            gone.push(id);
        }
        gone
    }

    /// Bytes of all segments.
    pub(crate) fn bytes(&self) -> usize {
        self.segments.values().map(|segment| segment.class.segment_bytes()).sum()
    }
}

#[cfg(test)]
mod tests;
