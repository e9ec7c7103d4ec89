//! Pinned memory of the host that everything goes through on its way to the card and back: two slots in turn, so that one is
//! filled or emptied while the card copies the other.
//!
//! The card copies from pageable memory only after the driver has copied it elsewhere first, and waits for that.

use crate::driver::{Context, Event, Pinned, Stream};
use crate::error::CudaError;
use crate::launch::Address;

/// Bytes of a slot: a copy of so many takes most of a millisecond on a bus of 25 GB/s, long against starting it, and two of
/// them are little of a host's memory.
pub(crate) const SLOT_BYTES: usize = 16 << 20;

/// How many.
const SLOTS: usize = 2;

/// The slots, taken in turn.
#[derive(Debug)]
pub(crate) struct Staging {
    slots: [Slot; SLOTS],
    next: usize,
}

#[derive(Debug)]
struct Slot {
    pinned: Pinned,
    /// Stands behind the card's last use of it.
    passed: Event,
}

impl Slot {
    /// Has `passed` stand behind what `stream` was just given, whatever came of that: a copy that was taken on is waited for.
    /// Where it cannot be marked, the copy is waited for here, or whoever uses the slot next would meet it.
    fn mark(&self, stream: &Stream, copied: Result<(), CudaError>) -> Result<(), CudaError> {
        let marked = self.passed.mark(stream).or_else(|err| stream.wait().and(Err(err)));
        copied.and(marked)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // The card may still copy. Where it is lost, nobody copies any more.
        let _ = self.passed.wait();
    }
}

impl Staging {
    /// Slots of [`SLOT_BYTES`].
    ///
    /// # Errors
    /// When the host has not as much memory that can be pinned.
    pub(crate) fn new(context: &Context) -> Result<Self, CudaError> {
        let slot = || Ok::<_, CudaError>(Slot { pinned: context.pinned(SLOT_BYTES)?, passed: context.event()? });
        Ok(Self { slots: [slot()?, slot()?], next: 0 })
    }

    /// Fills a slot with `fill` and has the card copy its first `bytes` to `to`.
    ///
    /// # Safety
    /// As many bytes of the card lie at `to`, in the order of `stream`.
    ///
    /// # Errors
    /// Those of `fill` and the driver, or when there are more bytes than a slot has.
    pub(crate) unsafe fn send(
        &mut self,
        stream: &Stream,
        to: Address,
        bytes: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), CudaError>,
    ) -> Result<(), CudaError> {
        let slot = &mut self.slots[self.next];
        self.next = (self.next + 1) % SLOTS;
        slot.passed.wait()?;
        let room = slot.pinned.bytes_mut().get_mut(..bytes);
        let room = room.ok_or_else(|| CudaError::Fault(format!("send {bytes} bytes at once")))?;
        fill(room)?;
        // SAFETY: the caller says that the bytes are there; nobody touches the slot before `passed`, which every use waits for.
        let sent = unsafe { stream.upload(to, room) };
        slot.mark(stream, sent)
    }

    /// Has the card copy `bytes` from `from`, piece by piece, and hands each piece to `take` with its place, in order.
    /// Pieces are as long as a slot but for the last.
    ///
    /// # Safety
    /// As many bytes of the card lie at `from`, in the order of `stream`.
    ///
    /// # Errors
    /// Those of the driver, and what went wrong on the card before.
    pub(crate) unsafe fn fetch(
        &mut self,
        stream: &Stream,
        from: Address,
        bytes: u64,
        mut take: impl FnMut(u64, &[u8]),
    ) -> Result<(), CudaError> {
        let mut asked: Option<(usize, u64, usize)> = None;
        let mut at = 0;
        while at < bytes || asked.is_some() {
            let next = if at < bytes {
                let (index, count) = (self.next, SLOT_BYTES.min(usize::try_from(bytes - at).unwrap_or(SLOT_BYTES)));
                self.next = (self.next + 1) % SLOTS;
                let slot = &mut self.slots[index];
                slot.passed.wait()?;
                // SAFETY: the caller says that the bytes are there; a slot is as long as a piece, and nobody touches it before
                // `passed`, which every use waits for.
                let got = unsafe { stream.download(slot.pinned.bytes_mut().as_mut_ptr(), from + at, count) };
                slot.mark(stream, got)?;
                let piece = (index, at, count);
                at += count as u64;
                Some(piece)
            } else {
                None
            };
            if let Some((index, place, count)) = asked {
                let slot = &self.slots[index];
                slot.passed.wait()?;
                take(place, &slot.pinned.bytes()[..count]);
            }
            asked = next;
        }
        Ok(())
    }
}
