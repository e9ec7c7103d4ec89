//! One connection to a sidecar: greeting, sending, and what comes back.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::sync::Mutex;
use thumbforge_core::limits;
use thumbforge_core::wire::frame::{self, Kind};
use thumbforge_core::wire::hello::{self, Hello, Refused, Welcome};
use thumbforge_core::wire::message::{Answer, Deliver, Lent, ServerMessage};
use thumbforge_core::wire::{PROTOCOL, Reader};

use super::texture::Texture;
use crate::carrier::{Channel, Frames, Outbox, Rings, SendError};
use crate::inbox::Inbox;
use crate::layout::{ClientRings, Flags, RING_BYTES, SharedCells};
use crate::ring::{Consumer, Popped, fall_asleep, must_ring, wake_up};
use crate::sys::{Access, Mapping, Stream};

/// How long a sidecar may take to answer a greeting: it does so in a microsecond unless its machine is out of breath.
const GREETING_MAX: Duration = Duration::from_secs(5);
/// Segments that a sidecar may have announced at once: the smallest ones, filling the texture memory, and as many free.
const SEGMENTS_MAX: usize = 256;

/// Pictures that may have come without their answers: as many as texture memory holds.
const PICTURES_MAX: usize = limits::TEXTURE_BYTES_MAX / crate::slots::SMALLEST;

/// How a greeting went.
pub(super) enum Greeted {
    /// Well.
    Welcome(Arc<Connection>, Receiving),
    /// The sidecar says no, and why.
    Refused(Refused),
}

/// The sending side of a connection, and its texture memory.
pub(super) struct Connection {
    stream: Arc<Stream>,
    channel: Box<dyn Channel>,
    segments: Mutex<HashMap<u32, Segment>>,
    /// Pictures that came through the socket and whose answer is still on its way.
    pixels: Mutex<HashMap<Lent, Vec<u8>>>,
    pub(super) welcome: Welcome,
}

struct Segment {
    mapping: Arc<Mapping>,
    slot_bytes: usize,
    slots: u32,
}

/// The receiving side; the session's thread has it.
pub(super) struct Receiving {
    inbox: Inbox,
    completions: Option<(Consumer<SharedCells>, Arc<Flags>)>,
    buffer: Vec<u8>,
}

fn broken(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Greets a sidecar that was just connected to.
pub(super) fn greet(stream: &Arc<Stream>, hello: &Hello) -> io::Result<Greeted> {
    match stream.send(&frame::encode(Kind::Hello, &hello.encode()), None) {
        Err(err) if err.kind() == io::ErrorKind::TimedOut => return Err(err),
        // One that is gone may have said why before it heard anything.
        Ok(()) | Err(_) => {}
    }
    let mut inbox = Inbox::new(stream.clone());
    let (kind, payload) = inbox.next(Some(GREETING_MAX))?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let invalid = |err| io::Error::new(io::ErrorKind::InvalidData, err);
    match kind {
        Kind::Welcome => {
            let welcome = Welcome::decode(&payload).map_err(invalid)?;
            if welcome.protocol != PROTOCOL as u16 {
                return Err(broken("the sidecar speaks another protocol than it was asked for"));
            }
            let (connection, receiving) = Connection::start(stream.clone(), inbox, welcome)?;
            Ok(Greeted::Welcome(connection, receiving))
        }
        Kind::Refused => Ok(Greeted::Refused(Refused::decode(&payload).map_err(invalid)?)),
        _ => Err(broken("the sidecar answers a greeting with something else")),
    }
}

impl Connection {
    fn start(stream: Arc<Stream>, inbox: Inbox, welcome: Welcome) -> io::Result<(Arc<Self>, Receiving)> {
        let (channel, completions): (Box<dyn Channel>, _) = if welcome.ring_bytes == 0 {
            (Box::new(Frames(Outbox::start(stream.clone())?)), None)
        } else {
            if welcome.ring_bytes != RING_BYTES as u64 {
                return Err(broken("the sidecar's rings have another size than this protocol's"));
            }
            let mapping = stream.take(welcome.ticket)?.map(RING_BYTES, Access::Write)?;
            let ClientRings { submissions, returns, completions, flags } = ClientRings::over(mapping);
            let flags = Arc::new(flags);
            let rings = Rings { submissions, returns, flags: flags.clone(), stream: stream.clone() };
            (Box::new(rings), Some((completions, flags)))
        };
        let connection =
            Arc::new(Self { stream, channel, segments: Mutex::default(), pixels: Mutex::default(), welcome });
        Ok((connection, Receiving { inbox, completions, buffer: Vec::new() }))
    }

    pub(super) fn send(&self, message: &[u8]) -> Result<(), SendError> {
        self.channel.send(message)
    }

    pub(super) fn give_back(&self, lent: Lent) {
        self.channel.give_back(lent);
    }

    pub(super) fn want_room(&self) {
        self.channel.want_room();
    }

    pub(super) fn close(&self) {
        self.stream.close();
        self.channel.close();
    }

    /// The picture of an answer, checked against what the sidecar announced.
    ///
    /// # Errors
    /// For an answer that names what is not there; the connection is of no more use then.
    pub(super) fn texture(self: &Arc<Self>, answer: &Answer<'_>) -> io::Result<Option<Texture>> {
        let Some(lent) = answer.lent else { return Ok(None) };
        let bytes = usize::try_from(answer.bytes).ok().filter(|bytes| *bytes > 0 && *bytes <= limits::SLOT_BYTES_MAX);
        let bytes = bytes.ok_or_else(|| broken("a picture of no size that there is"))?;
        let pixels = u64::from(answer.size.0) * u64::from(answer.size.1);
        if answer.format == Deliver::Pixels && pixels.checked_mul(4) != Some(answer.bytes) {
            return Err(broken("a picture whose pixels do not make its bytes"));
        }
        if self.welcome.ring_bytes == 0 {
            let held = self.pixels.lock().remove(&lent).filter(|held| held.len() == bytes);
            let held = held.ok_or_else(|| broken("a picture that did not come"))?;
            return Ok(Some(Texture::private(held, lent, Arc::downgrade(self), answer.size, answer.format)));
        }
        let segments = self.segments.lock();
        let segment =
            segments.get(&lent.segment).filter(|segment| lent.slot < segment.slots && bytes <= segment.slot_bytes);
        let segment = segment.ok_or_else(|| broken("a picture in a slot that is not there"))?;
        let place = (segment.mapping.clone(), lent.slot as usize * segment.slot_bytes);
        Ok(Some(Texture::shared(place, lent, Arc::downgrade(self), (bytes, answer.size, answer.format))))
    }

    fn grow(&self, payload: &[u8]) -> io::Result<()> {
        let segment = hello::Segment::decode(payload).map_err(|err| io::Error::new(io::ErrorKind::InvalidData, err))?;
        let slot_bytes = usize::try_from(segment.slot_bytes).map_err(|_| broken("a slot beyond this machine"))?;
        let memory = self.stream.take(segment.ticket)?;
        let mapping = memory.map(slot_bytes * segment.slots as usize, Access::Read)?;
        let mut segments = self.segments.lock();
        if segments.len() >= SEGMENTS_MAX {
            return Err(broken("more segments than texture memory has"));
        }
        segments.insert(segment.id, Segment { mapping: Arc::new(mapping), slot_bytes, slots: segment.slots });
        Ok(())
    }

    fn shrink(&self, payload: &[u8]) -> io::Result<()> {
        let segment =
            Reader::new(payload).u32("segment").map_err(|err| io::Error::new(io::ErrorKind::InvalidData, err))?;
        // Textures that are still held keep their mapping; a sidecar that is sound retires only what is free.
        self.segments.lock().remove(&segment);
        Ok(())
    }

    fn keep_pixels(&self, payload: &[u8]) -> io::Result<()> {
        let invalid = |err| io::Error::new(io::ErrorKind::InvalidData, err);
        let (lent, bytes) = payload.split_at_checked(Lent::BYTES).ok_or_else(|| broken("a picture without a place"))?;
        let mut pixels = self.pixels.lock();
        let held: usize = pixels.values().map(Vec::len).sum();
        if pixels.len() >= PICTURES_MAX || held + bytes.len() > limits::TEXTURE_BYTES_MAX {
            return Err(broken("more pictures than answers"));
        }
        pixels.insert(Lent::decode(lent).map_err(invalid)?, bytes.to_vec());
        Ok(())
    }
}

impl Receiving {
    /// Receives until the sidecar is gone (`Ok`), breaks the protocol, or `hear` ends it.
    /// `idle` is called whenever everything that came was heard.
    pub(super) fn run(
        mut self,
        connection: &Arc<Connection>,
        mut hear: impl FnMut(ServerMessage<'_>) -> io::Result<()>,
        mut idle: impl FnMut(),
    ) -> io::Result<()> {
        loop {
            self.pump(connection, &mut hear)?;
            idle();
            if !self.doze() {
                continue;
            }
            match self.inbox.next(None)? {
                None => return Ok(()),
                Some((Kind::Bell, _)) => {}
                Some((Kind::Segment, payload)) => connection.grow(&payload)?,
                Some((Kind::Retire, payload)) => connection.shrink(&payload)?,
                Some((Kind::Pixels, payload)) if self.completions.is_none() => connection.keep_pixels(&payload)?,
                Some((Kind::Message, payload)) if self.completions.is_none() => hear(decode(&payload)?)?,
                Some(_) => return Err(broken("a frame that no sidecar sends")),
            }
        }
    }

    /// Says that this side sleeps; false when there is something to hear after all.
    fn doze(&mut self) -> bool {
        let Some((completions, flags)) = &self.completions else { return true };
        fall_asleep(flags.client_sleeps());
        let ready = completions.is_ready();
        if ready {
            wake_up(flags.client_sleeps());
        }
        !ready
    }

    fn pump(
        &mut self,
        connection: &Connection,
        hear: &mut impl FnMut(ServerMessage<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let Some((completions, flags)) = &mut self.completions else { return Ok(()) };
        loop {
            match completions.pop(limits::MESSAGE_BYTES_MAX, &mut self.buffer) {
                Ok(Popped::Message) => {}
                Ok(Popped::Empty) => break,
                Err(_) => return Err(broken("a ring that makes no sense")),
            }
            // Segments are announced on the socket before the ring speaks of them.
            let message = decode(&self.buffer)?;
            if let ServerMessage::Completion(answer) = &message
                && let Some(lent) = answer.lent
            {
                let deadline = Instant::now() + GREETING_MAX;
                while !connection.segments.lock().contains_key(&lent.segment) {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Err(broken("a picture in a segment that is not announced"));
                    }
                    match self.inbox.next(Some(left))? {
                        Some((Kind::Segment, payload)) => connection.grow(&payload)?,
                        Some((Kind::Retire, payload)) => connection.shrink(&payload)?,
                        Some((Kind::Bell, _)) => {}
                        Some(_) => return Err(broken("a frame that no sidecar sends")),
                        None => return Err(io::ErrorKind::UnexpectedEof.into()),
                    }
                }
            }
            hear(message)?;
        }
        if must_ring(flags.server_wants_room()) {
            connection.stream.bell()?;
        }
        Ok(())
    }
}

fn decode(bytes: &[u8]) -> io::Result<ServerMessage<'_>> {
    ServerMessage::decode(bytes).map_err(|err| io::Error::new(io::ErrorKind::InvalidData, err))
}

#[cfg(test)]
mod tests {
    use thumbforge_core::error::ErrorCode;

    use super::*;
    use crate::sys::{Address, Listener};

    #[test]
    fn a_refusal_that_comes_before_the_greeting_is_heard() {
        let folder = tempfile::tempdir().expect("a folder");
        let address = Address::of(folder.path()).expect("an address");
        let listener = Listener::bind(&address).expect("a socket");
        let (build, project) = ("0.1.0".to_owned(), "game".to_owned());
        let hello =
            Hello { protocol: PROTOCOL as u16, build: build.clone(), project, instance: [7; 16], pid: 1, shared: true };
        let code = ErrorCode::QueueFull.number();
        let refused = Refused { code, message: "failed to connect".to_owned(), protocol: PROTOCOL as u16, build };
        for said in [true, false] {
            let ours = Arc::new(Stream::connect(&address).expect("a listener"));
            let theirs = listener.accept().expect("a client");
            if said {
                theirs.send(&frame::encode(Kind::Refused, &refused.encode()), None).expect("a client");
            }
            drop(theirs);
            match greet(&ours, &hello) {
                Ok(Greeted::Refused(heard)) => assert!(said && heard == refused, "{heard:?}"),
                Ok(Greeted::Welcome(..)) => panic!("nobody welcomes"),
                Err(err) => assert!(!said && err.kind() == io::ErrorKind::UnexpectedEof, "{err}"),
            }
        }
    }
}
