//! The handshake, and what hands memory over.
//!
//! The head of [`Hello`] (magic, protocol, build), all of [`Refused`] and of [`Drain`] are the same in every protocol,
//! so that builds of any two versions can tell each other what to do.

use super::{Protocol, Reader, WireError, Writer};
use crate::limits;

/// The first bytes of a connection: not some other program's.
const MAGIC: [u8; 4] = *b"TFch";
/// Longest build name in bytes.
const BUILD_BYTES_MAX: usize = 64;

/// Who connects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The protocol that it speaks, by number.
    pub protocol: u16,
    /// Its version, as in `1.2.3`.
    pub build: String,
    /// Name of the project that it works on; turns, queues and budgets are shared out among projects.
    pub project: String,
    /// Random; with a request's number it makes the key under which the journal knows the request.
    pub instance: [u8; 16],
    /// Its process.
    pub pid: u32,
    /// Whether it can map shared memory.
    pub shared: bool,
}

impl Hello {
    /// As a frame's payload.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.raw(&MAGIC);
        writer.u16(self.protocol);
        writer.text(&self.build);
        writer.text(&self.project);
        writer.raw(&self.instance);
        writer.u32(self.pid);
        writer.u8(u8::from(self.shared));
        writer.into_bytes()
    }

    /// Protocol and build alone, which every version can read.
    ///
    /// # Errors
    /// [`WireError`].
    pub fn head(bytes: &[u8]) -> Result<(u16, String), WireError> {
        let mut reader = Reader::new(bytes);
        Self::read_head(&mut reader)
    }

    fn read_head(reader: &mut Reader<'_>) -> Result<(u16, String), WireError> {
        let magic: [u8; 4] = reader.array("the greeting")?;
        if magic != MAGIC {
            return Err(WireError::Value { what: "the greeting", value: u32::from_le_bytes(magic).into() });
        }
        Ok((reader.u16("protocol")?, reader.text(BUILD_BYTES_MAX, "build")?.to_owned()))
    }

    /// From a frame's payload of this protocol.
    ///
    /// # Errors
    /// [`WireError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        let (protocol, build) = Self::read_head(&mut reader)?;
        if Protocol::from_number(protocol).is_none() {
            return Err(WireError::Value { what: "protocol", value: protocol.into() });
        }
        let hello = Self {
            protocol,
            build,
            project: reader.text(limits::PROJECT_BYTES_MAX, "project")?.to_owned(),
            instance: reader.array("instance")?,
            pid: reader.u32("pid")?,
            shared: reader.flag("shared")?,
        };
        reader.end()?;
        Ok(hello)
    }
}

/// The client may go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    /// The protocol that is spoken from here on.
    pub protocol: u16,
    /// The sidecar's version.
    pub build: String,
    /// Its process.
    pub pid: u32,
    /// Size of the ring memory in bytes; 0 where there is none and messages come as frames.
    pub ring_bytes: u64,
    /// What names the memory on this platform.
    pub ticket: u64,
}

impl Welcome {
    /// As a frame's payload.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.u16(self.protocol);
        writer.text(&self.build);
        writer.u32(self.pid);
        writer.u64(self.ring_bytes);
        writer.u64(self.ticket);
        writer.into_bytes()
    }

    /// From a frame's payload.
    ///
    /// # Errors
    /// [`WireError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        let welcome = Self {
            protocol: reader.u16("protocol")?,
            build: reader.text(BUILD_BYTES_MAX, "build")?.to_owned(),
            pid: reader.u32("pid")?,
            ring_bytes: reader.u64("ring bytes")?,
            ticket: reader.u64("ticket")?,
        };
        reader.end()?;
        Ok(welcome)
    }
}

/// The client may not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Number of an [`crate::error::ErrorCode`].
    pub code: u32,
    /// For people.
    pub message: String,
    /// The protocol that the sidecar speaks.
    pub protocol: u16,
    /// Its version.
    pub build: String,
}

impl Refused {
    /// As a frame's payload.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.u32(self.code);
        writer.text(&self.message);
        writer.u16(self.protocol);
        writer.text(&self.build);
        writer.into_bytes()
    }

    /// From a frame's payload.
    ///
    /// # Errors
    /// [`WireError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        let refused = Self {
            code: reader.u32("code")?,
            message: reader.text(limits::HELLO_BYTES_MAX, "message")?.to_owned(),
            protocol: reader.u16("protocol")?,
            build: reader.text(BUILD_BYTES_MAX, "build")?.to_owned(),
        };
        reader.end()?;
        Ok(refused)
    }
}

/// A newer build asks the sidecar to make room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drain {
    /// The version that asks.
    pub build: String,
}

impl Drain {
    /// As a frame's payload.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.raw(&MAGIC);
        writer.text(&self.build);
        writer.into_bytes()
    }

    /// From a frame's payload.
    ///
    /// # Errors
    /// [`WireError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        let magic: [u8; 4] = reader.array("the greeting")?;
        if magic != MAGIC {
            return Err(WireError::Value { what: "the greeting", value: u32::from_le_bytes(magic).into() });
        }
        let drain = Self { build: reader.text(BUILD_BYTES_MAX, "build")?.to_owned() };
        reader.end()?;
        Ok(drain)
    }
}

/// A segment of equal texture slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Its number within the connection; never used twice.
    pub id: u32,
    /// Bytes of a slot.
    pub slot_bytes: u64,
    /// How many.
    pub slots: u32,
    /// What names the memory on this platform.
    pub ticket: u64,
}

impl Segment {
    /// As a frame's payload.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.u32(self.id);
        writer.u64(self.slot_bytes);
        writer.u32(self.slots);
        writer.u64(self.ticket);
        writer.into_bytes()
    }

    /// From a frame's payload.
    ///
    /// # Errors
    /// [`WireError`], also for a segment larger than any there is.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        let segment = Self {
            id: reader.u32("segment")?,
            slot_bytes: reader.u64("slot bytes")?,
            slots: reader.u32("slots")?,
            ticket: reader.u64("ticket")?,
        };
        reader.end()?;
        if segment.slot_bytes == 0 || segment.slot_bytes > limits::SLOT_BYTES_MAX as u64 {
            return Err(WireError::Value { what: "slot bytes", value: segment.slot_bytes });
        }
        if segment.slots == 0 || segment.slot_bytes * u64::from(segment.slots) > limits::TEXTURE_BYTES_MAX as u64 {
            return Err(WireError::Value { what: "slots", value: segment.slots.into() });
        }
        Ok(segment)
    }
}
