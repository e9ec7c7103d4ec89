//! One client: its rings or frames, what it has in flight, and the way back to it.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::sync::Mutex;
use thumbforge_core::id::RequestKey;
use thumbforge_core::job::JobState;
use thumbforge_core::limits;
use thumbforge_core::wire::frame::{self, Kind};
use thumbforge_core::wire::hello::{self, Hello, Welcome};
use thumbforge_core::wire::message::{Answer, ClientMessage, DETAIL_BYTES_MAX, Deliver, Lent, Outcome, ServerMessage};
use thumbforge_core::wire::{PROTOCOL, Writer};

use super::Guest;
use super::slot::{Gone, Reservation, Slot};
use crate::carrier::{Outbox, SendError};
use crate::inbox::Inbox;
use crate::layout::{Flags, RING_BYTES, ServerRings, SharedCells};
use crate::ring::{Broken, Consumer, Popped, Producer, fall_asleep, must_ring, wake_up};
use crate::slots::{Class, Slots};
use crate::sys::{Access, Memory, Stream};

/// Texture memory that nobody has used for so long goes back to the system.
const IDLE: Duration = Duration::from_secs(10);
/// Messages between two looks at who waits, and slots taken back between two messages.
const BATCH: usize = 64;
/// Batches between two looks at the socket, so that a client that never ends still hears when the connection is closed.
const SPREE_MAX: usize = 64;

/// How a request ended, as a host says it.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The client's number for the request.
    pub number: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// Number of an error code; 0 when done.
    pub code: u32,
    /// Tries it took.
    pub attempts: u32,
    /// Whether the picture was there already.
    pub cached: bool,
    /// The seed that was drawn with.
    pub seed: u64,
    /// The realised key; zeros where there is none.
    pub key: [u8; 32],
    /// What it cost in millionths of a US dollar.
    pub cost_micros_usd: u64,
    /// Wall time of drawing, checking and encoding.
    pub latency_ms: u64,
    /// Width and height of the picture in pixels; zeros where there is none.
    pub size: (u32, u32),
    /// What the slot holds.
    pub format: Deliver,
    /// JSON: `{"render": …}`, `{"failure": …}`, `{"content": …}` or `{"answer": …}`; at most [`DETAIL_BYTES_MAX`].
    pub detail: Vec<u8>,
}

impl Reply {
    /// An answer without a picture.
    pub fn bare(number: u64, outcome: Outcome) -> Self {
        Self {
            number,
            outcome,
            code: 0,
            attempts: 0,
            cached: false,
            seed: 0,
            key: [0; 32],
            cost_micros_usd: 0,
            latency_ms: 0,
            size: (0, 0),
            format: Deliver::Nothing,
            detail: Vec::new(),
        }
    }
}

/// The way back to one client. Clones share it; it stays usable after the client is gone, and then does nothing.
#[derive(Clone)]
pub struct Client {
    peer: Arc<Peer>,
}

pub(crate) struct Peer {
    pub(super) stream: Arc<Stream>,
    instance: [u8; 16],
    /// Until the connection's thread takes it.
    inbound: Mutex<Option<Inbound>>,
    outward: Outward,
    /// Answers that found the ring full, in order.
    parked: Mutex<VecDeque<Vec<u8>>>,
    pub(super) slots: Mutex<Slots>,
    /// Held while a segment is made and announced, so that nobody lends from one that the client does not know.
    pub(super) growing: Mutex<()>,
    in_flight: Mutex<HashSet<u64>>,
    pub(super) gone: AtomicBool,
}

/// How much of what lay in the rings was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    /// All, or all that there is room for; a bell follows.
    All,
    /// It goes on at once.
    Some,
}

struct Inbound {
    submissions: Consumer<SharedCells>,
    returns: Consumer<SharedCells>,
    buffer: Vec<u8>,
}

enum Outward {
    Rings { completions: Producer<SharedCells>, flags: Flags },
    Frames(Outbox),
}

impl Peer {
    /// Gets everything ready for a client. The memory is handed to it with [`Self::welcome`].
    pub(super) fn prepare(stream: Arc<Stream>, hello: &Hello, shared: bool) -> io::Result<(Arc<Self>, Option<Memory>)> {
        // Whoever gets no shared memory from the system gets frames; everything else is the same.
        let memory = if shared && stream.takes_memory() { ring_memory().ok() } else { None };
        let (memory, inbound, outward) = match memory {
            Some((memory, rings)) => {
                let ServerRings { submissions, returns, completions, flags } = rings;
                let inbound = Inbound { submissions, returns, buffer: Vec::new() };
                (Some(memory), Some(inbound), Outward::Rings { completions, flags })
            }
            None => (None, None, Outward::Frames(Outbox::start(stream.clone())?)),
        };
        let peer = Arc::new(Self {
            stream,
            instance: hello.instance,
            inbound: Mutex::new(inbound),
            outward,
            parked: Mutex::new(VecDeque::new()),
            slots: Mutex::new(Slots::new()),
            growing: Mutex::new(()),
            in_flight: Mutex::new(HashSet::new()),
            gone: AtomicBool::new(false),
        });
        Ok((peer, memory))
    }

    /// Lets the client in.
    pub(super) fn welcome(&self, build: &str, memory: Option<&Memory>) -> io::Result<()> {
        let ticket = memory.map(|memory| self.stream.grant(memory, Access::Write)).transpose()?;
        let welcome = Welcome {
            protocol: PROTOCOL as u16,
            build: build.to_owned(),
            pid: std::process::id(),
            ring_bytes: if memory.is_some() { RING_BYTES as u64 } else { 0 },
            ticket: ticket.unwrap_or(0),
        };
        let frame = frame::encode(Kind::Welcome, &welcome.encode());
        self.stream.send(&frame, memory.map(|memory| (memory, Access::Write)))
    }

    /// Listens until the client is gone or says what no client says.
    pub(super) fn run(self: &Arc<Self>, inbox: &mut Inbox, guest: Arc<dyn Guest>) {
        let _leaving = Leaving { peer: self, guest: &*guest };
        let mut inbound = self.inbound.lock().take();
        // What was sent with the greeting has rung no bell: nobody had said yet that it slept.
        let mut taken = self.pump(&mut inbound, &guest);
        while let Ok(so_far) = taken {
            let idle = (self.slots.lock().bytes() > 0).then_some(IDLE);
            taken = match inbox.next(if so_far == Taken::All { idle } else { Some(Duration::ZERO) }) {
                Ok(Some((Kind::Bell, _))) => self.pump(&mut inbound, &guest),
                Ok(Some((Kind::Message, payload))) if !self.is_shared() => {
                    self.hear(&payload, &guest).map(|()| Taken::All)
                }
                Err(err) if err.kind() == io::ErrorKind::TimedOut && so_far == Taken::Some => {
                    self.pump(&mut inbound, &guest)
                }
                Err(err) if err.kind() == io::ErrorKind::TimedOut => {
                    let gone = self.slots.lock().shrink_to(0);
                    self.retire(&gone).map(|()| Taken::All)
                }
                // Gone, or a frame that no client sends.
                Ok(_) | Err(_) => Err(Broken),
            };
        }
    }

    pub(super) fn end(&self) {
        self.gone.store(true, Ordering::Release);
        self.stream.close();
        if let Outward::Frames(outbox) = &self.outward {
            outbox.close();
        }
        self.slots.lock().wake_all();
        self.in_flight.lock().clear();
        self.parked.lock().clear();
        // Rings and segments go with the last clone of the client's handle.
    }

    /// Takes what the rings hold, as far as the client may have more in flight.
    fn pump(&self, inbound: &mut Option<Inbound>, guest: &Arc<dyn Guest>) -> Result<Taken, Broken> {
        let (Some(inbound), Outward::Rings { flags, .. }) = (inbound.as_mut(), &self.outward) else {
            return Ok(Taken::All);
        };
        for _ in 0..SPREE_MAX {
            let mut heard = 0;
            while heard < BATCH {
                // Slots that come back are what answers wait for, so they go first, every time: a client that asks again
                // as soon as it is answered would otherwise keep this side from ever seeing them.
                self.take_returns(inbound)?;
                if !self.has_room()
                    || inbound.submissions.pop(limits::MESSAGE_BYTES_MAX, &mut inbound.buffer)? == Popped::Empty
                {
                    break;
                }
                self.hear(&inbound.buffer, guest)?;
                heard += 1;
            }
            if heard > 0 && must_ring(flags.client_wants_room()) {
                self.stream.bell().map_err(|_| Broken)?;
            }
            self.unpark();
            if heard == BATCH {
                continue;
            }
            fall_asleep(flags.server_sleeps());
            if !self.has_room() {
                // Said before looking for room once more: the client rings when it has heard an answer, which is what
                // makes room.
                fall_asleep(flags.server_wants_room());
            }
            let more = inbound.returns.is_ready() || (self.has_room() && inbound.submissions.is_ready());
            if !more {
                return Ok(Taken::All);
            }
            wake_up(flags.server_sleeps());
        }
        Ok(Taken::Some)
    }

    /// Takes back what was given back; there are never more than there are slots, unless the client makes them up.
    fn take_returns(&self, inbound: &mut Inbound) -> Result<(), Broken> {
        for _ in 0..BATCH {
            if inbound.returns.pop(Lent::BYTES, &mut inbound.buffer)? == Popped::Empty {
                break;
            }
            self.take_back(Lent::decode(&inbound.buffer).map_err(|_| Broken)?)?;
        }
        Ok(())
    }

    /// Answers that nobody takes count as well, so that a client that never reads piles up no more than one that does.
    fn has_room(&self) -> bool {
        self.in_flight.lock().len() + self.parked.lock().len() < limits::IN_FLIGHT_MAX
    }

    /// One message, which lies in private memory.
    fn hear(&self, bytes: &[u8], guest: &Arc<dyn Guest>) -> Result<(), Broken> {
        match ClientMessage::decode(bytes).map_err(|_| Broken)? {
            ClientMessage::Submit { number, request } => {
                if self.enter(number) {
                    guest.submit(number, RequestKey::new(self.instance, number), request);
                }
            }
            ClientMessage::Provide { number, path } => {
                if self.enter(number) {
                    guest.provide(number, path.into());
                }
            }
            ClientMessage::Command { number, json } => {
                if self.enter(number) {
                    guest.command(number, RequestKey::new(self.instance, number), json);
                }
            }
            ClientMessage::Cancel { number } => guest.cancel(number),
            ClientMessage::Release(lent) => self.take_back(lent)?,
        }
        Ok(())
    }

    /// False for a number that is in flight already, or for one more than a client may have.
    fn enter(&self, number: u64) -> bool {
        let mut in_flight = self.in_flight.lock();
        in_flight.len() < limits::IN_FLIGHT_MAX && in_flight.insert(number)
    }

    fn take_back(&self, lent: Lent) -> Result<(), Broken> {
        // A slot that is not out (a replay) changes nothing.
        let (_, gone) = self.slots.lock().give_back(lent);
        self.retire(&gone)
    }

    pub(super) fn retire(&self, segments: &[u32]) -> Result<(), Broken> {
        for segment in segments {
            let mut writer = Writer::default();
            writer.u32(*segment);
            match &self.outward {
                Outward::Frames(_) => {}
                Outward::Rings { .. } => {
                    self.stream.send(&frame::encode(Kind::Retire, &writer.into_bytes()), None).map_err(|_| Broken)?
                }
            }
        }
        Ok(())
    }

    pub(super) fn is_shared(&self) -> bool {
        matches!(self.outward, Outward::Rings { .. })
    }

    /// Makes memory for a new segment and tells the client of it; the caller holds `growing`.
    pub(super) fn announce(&self, number: u32, class: Class) -> io::Result<crate::slots::Place> {
        if !self.is_shared() {
            return Ok(crate::slots::Place::Private);
        }
        let bytes = class.slot_bytes() * class.slots() as usize;
        let memory = Memory::create(bytes)?;
        let mapping = memory.map(bytes, Access::Write)?;
        // From here on this process is the only writer that there can be.
        memory.seal(true)?;
        let segment = hello::Segment {
            id: number,
            slot_bytes: class.slot_bytes() as u64,
            slots: class.slots(),
            ticket: self.stream.grant(&memory, Access::Read)?,
        };
        let frame = frame::encode(Kind::Segment, &segment.encode());
        self.stream.send(&frame, Some((&memory, Access::Read))).inspect_err(|_| {
            // Half a frame ends a stream. Said at once, so that nobody tells the client of a failure that is none: it
            // asks again over its next connection.
            self.gone.store(true, Ordering::Release);
            self.stream.close();
        })?;
        Ok(crate::slots::Place::Shared(Arc::new(mapping)))
    }

    /// Sends a message now or, if it must arrive, later; in order.
    fn tell(&self, message: Vec<u8>, must_arrive: bool) {
        let mut parked = self.parked.lock();
        if self.gone.load(Ordering::Acquire) {
            return;
        }
        if parked.is_empty() && self.put(&message, must_arrive) {
            return;
        }
        if must_arrive {
            parked.push_back(message);
            self.unpark_locked(&mut parked);
        }
    }

    fn unpark(&self) {
        self.unpark_locked(&mut self.parked.lock());
    }

    fn unpark_locked(&self, parked: &mut VecDeque<Vec<u8>>) {
        while let Some(message) = parked.front() {
            if let Outward::Rings { flags, .. } = &self.outward {
                // Said before looking for room, so that whoever makes room afterwards rings.
                fall_asleep(flags.server_wants_room());
            }
            if !self.put(message, true) {
                return;
            }
            parked.pop_front();
        }
        // What was said stays said: somebody else may want room too, and a bell too many costs a look.
    }

    fn put(&self, message: &[u8], must_arrive: bool) -> bool {
        match &self.outward {
            Outward::Rings { completions, flags } => {
                let put = completions.push(message).is_ok();
                if put && must_ring(flags.client_sleeps()) {
                    // A stream that is gone is noticed by the thread that waits on it.
                    let _ = self.stream.bell();
                }
                put
            }
            Outward::Frames(outbox) => {
                self.post(outbox, Kind::Message, message, must_arrive);
                true
            }
        }
    }
}

/// Ends a connection and says so, also where a fault of the host ends its thread: the client asks again elsewhere.
struct Leaving<'a> {
    peer: &'a Peer,
    guest: &'a dyn Guest,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.peer.end();
        self.guest.gone();
    }
}

impl Peer {
    /// Puts a frame into the outbox, which has room for all that an honest client can have coming. Progress may be lost.
    fn post(&self, outbox: &Outbox, kind: Kind, payload: &[u8], must_arrive: bool) {
        if outbox.send(kind, payload, must_arrive) == Err(SendError::Full) && must_arrive {
            self.stream.close();
        }
    }
}

fn ring_memory() -> io::Result<(Memory, ServerRings)> {
    let memory = Memory::create(RING_BYTES)?;
    let mapping = memory.map(RING_BYTES, Access::Write)?;
    memory.seal(false)?;
    Ok((memory, ServerRings::over(mapping)))
}

impl Client {
    pub(super) fn of(peer: &Arc<Peer>) -> Self {
        Self { peer: peer.clone() }
    }

    /// Tells where a job stands; lost if the client is behind.
    pub fn progress(&self, number: u64, state: JobState, step: u32, steps: u32) {
        self.peer.tell(ServerMessage::Progress { number, state, step, steps }.encode(), false);
    }

    /// Waits for room for a picture of `bytes`: until the client has given enough back.
    ///
    /// # Errors
    /// [`Gone`] when the client is gone, or for more bytes than any slot has.
    pub async fn reserve(&self, bytes: usize) -> Result<Reservation, Gone> {
        Reservation::wait(self.peer.clone(), bytes).await
    }

    /// Answers a request. With a slot, the client has it from here on.
    pub fn complete(&self, reply: &Reply, slot: Option<Slot>) {
        if !self.peer.in_flight.lock().remove(&reply.number) {
            return;
        }
        let (lent, bytes) = slot.as_ref().map_or((None, 0), |slot| (Some(slot.lent()), slot.filled() as u64));
        let answer = Answer {
            number: reply.number,
            outcome: reply.outcome,
            code: reply.code,
            attempts: reply.attempts,
            cached: reply.cached,
            seed: reply.seed,
            key: reply.key,
            cost_micros_usd: reply.cost_micros_usd,
            latency_ms: reply.latency_ms,
            size: reply.size,
            format: if lent.is_some() { reply.format } else { Deliver::Nothing },
            bytes,
            lent,
            // A detail too long for a message is less than no answer at all.
            detail: if reply.detail.len() <= DETAIL_BYTES_MAX { &reply.detail } else { b"{}" },
        };
        let message = ServerMessage::Completion(answer).encode();
        if let Some(slot) = slot {
            slot.lend(|lent, bytes| self.send_pixels(lent, bytes));
        }
        // A client that had all in flight that it may rings when it has heard this, and its thread here goes on.
        self.peer.tell(message, true);
    }

    /// Without shared memory the bytes go ahead of the answer that names them.
    fn send_pixels(&self, lent: Lent, bytes: &[u8]) {
        if let Outward::Frames(outbox) = &self.peer.outward {
            let mut payload = lent.encode().to_vec();
            payload.extend_from_slice(bytes);
            self.peer.post(outbox, Kind::Pixels, &payload, true);
        }
    }

    /// Requests without an answer.
    pub fn in_flight(&self) -> usize {
        self.peer.in_flight.lock().len()
    }

    /// Whether nobody hears any more.
    pub fn is_gone(&self) -> bool {
        self.peer.gone.load(Ordering::Acquire)
    }
}
