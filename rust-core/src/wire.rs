//! What the editor's library and the sidecar say to each other, as bytes. Pure: no sockets, no memory, no threads.
//!
//! ```text
//! control socket   bells and frames   (frame)     Hello ─► Welcome | Refused, then memory that is handed over
//! shared rings     messages           (message)   Submit, Command, Provide, Cancel, Release ─► · ◄─ Progress, Completion
//! ```
//! All integers are little endian. A text or a block is its length (u32) and its bytes.
//! Whatever arrives is copied to private memory first and checked here; nothing is trusted.

use thiserror::Error;

mod codec;
pub mod frame;
pub mod hello;
pub mod message;

pub use codec::{Reader, Writer};

/// The protocol that this build speaks.
pub const PROTOCOL: Protocol = Protocol::V1;

/// Every protocol there ever was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum Protocol {
    /// The first.
    V1 = 1,
}

impl Protocol {
    /// The protocol of a number, if this build knows it.
    pub fn from_number(number: u16) -> Option<Self> {
        (number == Self::V1 as u16).then_some(Self::V1)
    }
}

/// Bytes that no peer of this protocol sends.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WireError {
    /// It ends in the middle.
    #[error("read a message: it ends in the middle of {0}")]
    Short(&'static str),
    /// A length beyond its bound.
    #[error("read a message: {what} of {bytes} bytes, at most {max} are read")]
    Long {
        /// Of what.
        what: &'static str,
        /// The length that it claims.
        bytes: usize,
        /// Its bound.
        max: usize,
    },
    /// A value that its field does not have.
    #[error("read a message: {what} cannot be {value}")]
    Value {
        /// Which field.
        what: &'static str,
        /// What it holds.
        value: u64,
    },
    /// Text that is no UTF-8.
    #[error("read a message: {0} is not UTF-8")]
    Text(&'static str),
    /// Bytes after its end.
    #[error("read a message: {0} bytes follow its end")]
    Trailing(usize),
}

#[cfg(test)]
mod tests;
