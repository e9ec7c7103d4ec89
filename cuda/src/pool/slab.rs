//! Where stretches come from: the driver, or a test's bytes.

use thiserror::Error;

use crate::launch::Address;

/// Why there is no stretch.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SlabError {
    /// There is not as much.
    #[error("the driver has no more memory")]
    OutOfMemory,
    /// Anything else, in the driver's words.
    #[error("{0}")]
    Failed(String),
}

/// Gives and takes big stretches of memory.
pub trait Slab {
    /// A stretch, as its giver knows it.
    type Held;

    /// A stretch of `bytes`, a multiple of [`super::GRAIN`], and where it begins: a multiple of [`super::ALIGN`].
    ///
    /// # Errors
    /// [`SlabError`].
    fn reserve(&mut self, bytes: u64) -> Result<(Address, Self::Held), SlabError>;

    /// Takes a stretch back, at once or when what is queued on the card has been done. A failure is the giver's to tell:
    /// nobody here could do anything about it.
    fn release(&mut self, held: Self::Held);
}
