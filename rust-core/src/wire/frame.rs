//! Frames of the control socket: a kind, and for all but the bell a length and a payload.

use super::WireError;
use crate::limits;

/// What a frame is. Numbers are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// "Look into your ring." One byte, nothing else.
    Bell = 0,
    /// Client: who I am.
    Hello = 1,
    /// Server: come in; ring memory is attached.
    Welcome = 2,
    /// Server: why not.
    Refused = 3,
    /// Client: finish what runs and end, a newer build takes your place.
    Drain = 4,
    /// Server: a segment of texture slots; its memory is attached.
    Segment = 5,
    /// Server: this segment will not be used again.
    Retire = 6,
    /// Either: a message, where there are no rings.
    Message = 7,
    /// Server: the bytes of a slot, where there is no shared memory.
    Pixels = 8,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Bell,
        Self::Hello,
        Self::Welcome,
        Self::Refused,
        Self::Drain,
        Self::Segment,
        Self::Retire,
        Self::Message,
        Self::Pixels,
    ];

    fn from_byte(byte: u8) -> Result<Self, WireError> {
        let known = Self::ALL.into_iter().find(|kind| *kind as u8 == byte);
        known.ok_or(WireError::Value { what: "a frame's kind", value: byte.into() })
    }

    /// Most bytes that its payload may have.
    pub const fn bytes_max(self) -> usize {
        match self {
            Self::Bell => 0,
            Self::Hello | Self::Welcome | Self::Refused | Self::Drain => limits::HELLO_BYTES_MAX,
            Self::Segment | Self::Retire => 64,
            Self::Message => limits::MESSAGE_BYTES_MAX,
            Self::Pixels => limits::SLOT_BYTES_MAX + 16,
        }
    }
}

/// A frame as bytes.
pub fn encode(kind: Kind, payload: &[u8]) -> Vec<u8> {
    if kind == Kind::Bell {
        return vec![kind as u8];
    }
    let mut bytes = Vec::with_capacity(5 + payload.len());
    bytes.push(kind as u8);
    // Payloads are bounded far below 4 GiB; a longer one would be refused by its reader.
    bytes.extend_from_slice(&u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// Puts frames together from whatever pieces the socket gives.
#[derive(Debug, Default)]
pub struct Decoder {
    head: Vec<u8>,
    open: Option<(Kind, usize)>,
    payload: Vec<u8>,
}

impl Decoder {
    /// Takes the next frame from the front of `input`, which it shortens; `None` when more bytes are needed.
    /// A bell is a frame without payload.
    ///
    /// # Errors
    /// [`WireError`] for a kind or a length that no peer sends; the connection is of no more use then.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<(Kind, Vec<u8>)>, WireError> {
        while self.open.is_none() {
            let Some((byte, rest)) = input.split_first() else { return Ok(None) };
            *input = rest;
            self.head.push(*byte);
            let kind = Kind::from_byte(self.head[0])?;
            if kind == Kind::Bell {
                self.head.clear();
                return Ok(Some((Kind::Bell, Vec::new())));
            }
            if let Some((_, length)) = self.head.split_first()
                && let Ok(length) = <[u8; 4]>::try_from(length)
            {
                let (bytes, max) = (u32::from_le_bytes(length) as usize, kind.bytes_max());
                if bytes > max {
                    return Err(WireError::Long { what: "a frame", bytes, max });
                }
                self.head.clear();
                self.open = Some((kind, bytes));
            }
        }
        let Some((kind, bytes)) = self.open else { return Ok(None) };
        let (now, rest) = input.split_at(input.len().min(bytes - self.payload.len()));
        // Memory grows with what has arrived, not with what a length claims.
        self.payload.extend_from_slice(now);
        *input = rest;
        if self.payload.len() < bytes {
            return Ok(None);
        }
        self.open = None;
        Ok(Some((kind, std::mem::take(&mut self.payload))))
    }
}
