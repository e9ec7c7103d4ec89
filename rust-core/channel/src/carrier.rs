//! The two ways a message travels: through rings in shared memory, or as frames of the socket where that is refused.

use std::sync::Arc;
use std::thread::JoinHandle;

use crate::sync::Mutex;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use thumbforge_core::limits;
use thumbforge_core::wire::frame::{self, Kind};
use thumbforge_core::wire::message::{ClientMessage, Lent};

use crate::layout::{Flags, SharedCells};
use crate::ring::{Producer, fall_asleep, must_ring};
use crate::sys::Stream;

/// Frames that wait for the socket where there are no rings: answers to all that a client has in flight, the bytes of as
/// many pictures as texture memory holds (or their slots on the way back), and other messages beside them.
const OUTBOX_MAX: usize = 2 * limits::IN_FLIGHT_MAX;
/// Beyond how many frames those that may be refused or lost, jobs and progress, find no place any more.
const OUTBOX_MESSAGES_MAX: usize = 1024;

const _: () = assert!(
    OUTBOX_MAX > limits::IN_FLIGHT_MAX + limits::TEXTURE_BYTES_MAX / crate::slots::SMALLEST + OUTBOX_MESSAGES_MAX
);

/// Why a message did not go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SendError {
    /// No room now.
    Full,
    /// Larger than any message may be.
    TooLarge,
    /// The peer is gone.
    Gone,
}

/// What a client sends through. No call waits.
pub(crate) trait Channel: Send + Sync {
    /// Sends a message.
    fn send(&self, message: &[u8]) -> Result<(), SendError>;
    /// Gives a texture slot back; there is always room.
    fn give_back(&self, lent: Lent);
    /// Asks for a bell as soon as there is room.
    fn want_room(&self);
    /// Ends what it runs by itself; the stream is closed by then.
    fn close(&self);
}

/// Through shared memory.
pub(crate) struct Rings {
    pub(crate) submissions: Producer<SharedCells>,
    pub(crate) returns: Producer<SharedCells>,
    pub(crate) flags: Arc<Flags>,
    pub(crate) stream: Arc<Stream>,
}

impl Rings {
    fn ring_if_asleep(&self) -> Result<(), SendError> {
        if must_ring(self.flags.server_sleeps()) { self.stream.bell().map_err(|_| SendError::Gone) } else { Ok(()) }
    }
}

impl Channel for Rings {
    fn send(&self, message: &[u8]) -> Result<(), SendError> {
        if message.len() > limits::MESSAGE_BYTES_MAX {
            return Err(SendError::TooLarge);
        }
        self.submissions.push(message).map_err(|_| SendError::Full)?;
        self.ring_if_asleep()
    }

    fn give_back(&self, lent: Lent) {
        // Full only for a server that scribbles over its own ring; then its slots are its own affair. A stream that is
        // gone has no slots.
        if self.returns.push(&lent.encode()).is_ok() {
            let _ = self.ring_if_asleep();
        }
    }

    fn want_room(&self) {
        fall_asleep(self.flags.client_wants_room());
    }

    fn close(&self) {}
}

/// Frames on their way into the socket, written by a thread of their own so that no caller waits.
pub(crate) struct Outbox {
    frames: Mutex<Option<Sender<Vec<u8>>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Outbox {
    pub(crate) fn start(stream: Arc<Stream>) -> std::io::Result<Self> {
        let (sender, receiver): (Sender<Vec<u8>>, Receiver<Vec<u8>>) = bounded(OUTBOX_MAX);
        let writer = std::thread::Builder::new().name("thumbforge-out".to_owned()).spawn(move || {
            for frame in receiver {
                if stream.send(&frame, None).is_err() {
                    stream.close();
                    return;
                }
            }
        })?;
        Ok(Self { frames: Mutex::new(Some(sender)), writer: Mutex::new(Some(writer)) })
    }

    /// Sends a frame. `pressing` ones may use the room that is kept for what comes back.
    pub(crate) fn send(&self, kind: Kind, payload: &[u8], pressing: bool) -> Result<(), SendError> {
        if payload.len() > kind.bytes_max() {
            return Err(SendError::TooLarge);
        }
        let frames = self.frames.lock();
        let Some(frames) = frames.as_ref() else { return Err(SendError::Gone) };
        if !pressing && frames.len() >= OUTBOX_MESSAGES_MAX {
            return Err(SendError::Full);
        }
        frames.try_send(frame::encode(kind, payload)).map_err(|err| match err {
            TrySendError::Full(_) => SendError::Full,
            TrySendError::Disconnected(_) => SendError::Gone,
        })
    }

    /// Ends the writer; the stream is closed by then, so it holds nobody up.
    pub(crate) fn close(&self) {
        drop(self.frames.lock().take());
        if let Some(writer) = self.writer.lock().take() {
            // A writer that panicked has nothing more to say.
            let _ = writer.join();
        }
    }
}

/// As frames.
pub(crate) struct Frames(pub(crate) Outbox);

impl Channel for Frames {
    fn send(&self, message: &[u8]) -> Result<(), SendError> {
        self.0.send(Kind::Message, message, false)
    }

    fn give_back(&self, lent: Lent) {
        let _ = self.0.send(Kind::Message, &ClientMessage::Release(lent).encode(), true);
    }

    // Nobody rings for room in an outbox of one's own; what did not fit goes with the next answer.
    fn want_room(&self) {}

    fn close(&self) {
        self.0.close();
    }
}
