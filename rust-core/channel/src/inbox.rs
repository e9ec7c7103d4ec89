//! Frames out of a socket, whatever pieces they come in.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use thumbforge_core::wire::frame::{Decoder, Kind};

use crate::sys::Stream;

/// Bytes of one read: many bells, or a large piece of a frame.
const READ_BYTES: usize = 64 << 10;

/// Frames from a socket.
pub(crate) struct Inbox {
    pub(crate) stream: Arc<Stream>,
    decoder: Decoder,
    buffer: Vec<u8>,
    /// What was received and not yet looked at.
    at: usize,
    end: usize,
}

impl Inbox {
    pub(crate) fn new(stream: Arc<Stream>) -> Self {
        Self { stream, decoder: Decoder::default(), buffer: vec![0; READ_BYTES], at: 0, end: 0 }
    }

    /// The next frame; `None` when the peer is gone.
    ///
    /// # Errors
    /// `TimedOut`, `InvalidData` for what no peer sends, or what the system says.
    pub(crate) fn next(&mut self, timeout: Option<Duration>) -> io::Result<Option<(Kind, Vec<u8>)>> {
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        loop {
            let mut input = &self.buffer[self.at..self.end];
            let found = self.decoder.next(&mut input);
            self.at = self.end - input.len();
            match found {
                Ok(Some(frame)) => return Ok(Some(frame)),
                Ok(None) => {}
                Err(err) => return Err(io::Error::new(io::ErrorKind::InvalidData, err)),
            }
            // A peer that trickles bytes gets no more time for that.
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            match self.stream.recv(&mut self.buffer, left)? {
                0 => return Ok(None),
                bytes => (self.at, self.end) = (0, bytes),
            }
        }
    }
}
