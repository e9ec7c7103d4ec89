//! A bell that never waits: whoever finds the way busy leaves it to whoever is on it.
//!
//! Whoever rings says that a bell is owed and then looks whether the way is free; whoever leaves the way looks whether a
//! bell is owed. Between the two steps of each lies a fence, or else a processor may take them the other way round, both
//! look too early, and a bell that somebody sleeps for is lost. The order of a lock alone does not forbid that.

use crate::atomic::{AtomicU32, Ordering, fence};

/// A bell of a connection.
#[derive(Debug)]
pub(crate) struct Bell {
    owed: AtomicU32,
}

impl Bell {
    pub(crate) fn new() -> Self {
        Self { owed: AtomicU32::new(0) }
    }

    /// Rings, now or by whoever is on the way. `enter` gives the way if it is free.
    pub(crate) fn ring<Way, E>(
        &self,
        enter: impl FnMut() -> Option<Way>,
        send: impl FnMut() -> Result<(), E>,
    ) -> Result<(), E> {
        self.owed.store(1, Ordering::Release);
        self.settle(enter, send)
    }

    /// Rings what is owed; to be called after leaving the way.
    pub(crate) fn settle<Way, E>(
        &self,
        mut enter: impl FnMut() -> Option<Way>,
        mut send: impl FnMut() -> Result<(), E>,
    ) -> Result<(), E> {
        loop {
            fence(Ordering::SeqCst);
            if self.owed.load(Ordering::Relaxed) == 0 {
                return Ok(());
            }
            let Some(_way) = enter() else { return Ok(()) };
            if self.owed.swap(0, Ordering::AcqRel) == 1 {
                send()?;
            }
        }
    }
}

#[cfg(all(test, loom))]
mod model;
