//! A finished picture in memory that the sidecar wrote and this process may only read.

use std::fmt;
use std::sync::{Arc, Weak};

use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::wire::message::{Deliver, Lent};

use super::connection::Connection;
use crate::sys::Mapping;

/// Which row comes first in a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flip {
    /// The top one.
    TopDown,
    /// The bottom one, as Unity's textures have it.
    BottomUp,
}

/// A picture. Dropping it gives its slot back; its bytes stay valid until then, whatever becomes of sidecar and session.
pub struct Texture {
    held: Held,
    bytes: usize,
    size: (u32, u32),
    format: Deliver,
}

enum Held {
    Shared { mapping: Arc<Mapping>, offset: usize, lent: Lent, connection: Weak<Connection> },
    Private { bytes: Vec<u8>, lent: Lent, connection: Weak<Connection> },
}

impl Texture {
    pub(super) fn shared(
        (mapping, offset): (Arc<Mapping>, usize),
        lent: Lent,
        connection: Weak<Connection>,
        (bytes, size, format): (usize, (u32, u32), Deliver),
    ) -> Self {
        Self { held: Held::Shared { mapping, offset, lent, connection }, bytes, size, format }
    }

    pub(super) fn private(
        bytes: Vec<u8>,
        lent: Lent,
        connection: Weak<Connection>,
        size: (u32, u32),
        format: Deliver,
    ) -> Self {
        Self { bytes: bytes.len(), held: Held::Private { bytes, lent, connection }, size, format }
    }

    /// Its first byte. [`Self::bytes`] may be read from here for as long as this value lives; nobody may write.
    ///
    /// The sidecar leaves a lent slot alone, but it is another process: no reference may be made of this pointer.
    pub fn ptr(&self) -> *const u8 {
        match &self.held {
            // SAFETY: the offset was checked to lie within the mapping when the texture was made.
            Held::Shared { mapping, offset, .. } => unsafe { mapping.ptr().add(*offset).cast_const() },
            Held::Private { bytes, .. } => bytes.as_ptr(),
        }
    }

    /// How many bytes it has.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Width and height in pixels.
    pub fn size(&self) -> (u32, u32) {
        self.size
    }

    /// What the bytes are.
    pub fn format(&self) -> Deliver {
        self.format
    }

    /// Copies it; pixels may be turned upside down on the way.
    ///
    /// # Errors
    /// `invalid_request` when `into` has another size, or for a PNG that is to be turned.
    pub fn copy_to(&self, into: &mut [u8], flip: Flip) -> Result<(), Failure> {
        let invalid =
            |what: String| Failure::new(ErrorCode::InvalidRequest, format!("failed to copy a texture: {what}"));
        if into.len() != self.bytes {
            return Err(invalid(format!("it has {} bytes, the room is for {}", self.bytes, into.len())));
        }
        if flip == Flip::TopDown {
            // SAFETY: both are `bytes` long, and `into` is private memory of the caller's that overlaps no mapping.
            unsafe { std::ptr::copy_nonoverlapping(self.ptr(), into.as_mut_ptr(), self.bytes) };
            return Ok(());
        }
        if self.format != Deliver::Pixels {
            return Err(invalid("only pixels have rows to turn".to_owned()));
        }
        let row = self.size.0 as usize * 4;
        for (at, into) in into.chunks_exact_mut(row).rev().enumerate() {
            // SAFETY: pixels are `height` rows of `row` bytes (checked when the texture was made), `at` counts at most
            // as many, and `into` is private memory.
            unsafe { std::ptr::copy_nonoverlapping(self.ptr().add(at * row), into.as_mut_ptr(), row) };
        }
        Ok(())
    }

    /// A copy of its bytes.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.bytes];
        // SAFETY: both are `bytes` long, and a fresh vector overlaps nothing.
        unsafe { std::ptr::copy_nonoverlapping(self.ptr(), bytes.as_mut_ptr(), self.bytes) };
        bytes
    }
}

impl fmt::Debug for Texture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Texture({}x{}, {:?}, {} bytes)", self.size.0, self.size.1, self.format, self.bytes)
    }
}

impl Drop for Texture {
    fn drop(&mut self) {
        let (Held::Shared { lent, connection, .. } | Held::Private { lent, connection, .. }) = &self.held;
        // A connection that is gone has no slots any more; the memory goes with the mapping.
        if let Some(connection) = connection.upgrade() {
            connection.give_back(*lent);
        }
    }
}
