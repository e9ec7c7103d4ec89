//! The session's thread: it finds or starts a sidecar, receives from it, and begins again when it dies.
//!
//! ```text
//! connect ─absent─► start one ─► connect …          (with growing pauses while it fails)
//!    │ older build: ask it to drain, wait for its end, start ours
//!    ▼
//! attached: everything unanswered goes over the new connection under its old key ─► receive ─► gone ─► connect
//! ```

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::wire::PROTOCOL;
use thumbforge_core::wire::frame::{self, Kind};
use thumbforge_core::wire::hello::{Drain, Hello, Refused};
use thumbforge_core::wire::message::{ClientMessage, ServerMessage};

use super::connection::{Connection, Greeted, Receiving, greet};
use super::start::{Started, is_older, log_of, program};
use super::{Completion, Inner, Link, Progress, Unsent};
use crate::carrier::SendError;
use crate::inbox::Inbox;
use crate::sys::{Address, Stream};

/// How long a sidecar that was just started may take until it listens: it takes 30 ms, and seconds on a machine that is
/// busy importing a project.
const START_MAX: Duration = Duration::from_secs(15);
/// Pause between two looks at a sidecar that starts.
const START_LOOK: Duration = Duration::from_millis(3);
/// How long an older sidecar may take to finish what runs before ours takes its place.
const DRAIN_MAX: Duration = Duration::from_secs(90);
/// Times that a session asks older sidecars to make room; somebody who keeps starting them is left alone after that.
const DRAINS_MAX: u32 = 3;
/// First and longest pause after a failed try. A death is followed by a try without pause, but for one that follows
/// another with nothing answered in between.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

pub(super) struct Supervisor {
    inner: Arc<Inner>,
    started: Option<Started>,
    drains: u32,
    attached_before: bool,
}

/// Why there is no connection.
enum Absent {
    /// Nobody listens.
    Nobody,
    /// Somebody does, but it cannot be talked to.
    Failed(Failure),
}

impl Supervisor {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        Self { inner, started: None, drains: 0, attached_before: false }
    }

    pub(super) fn run(mut self) {
        let (mut pause, mut in_vain) = (PAUSES.0, false);
        while !self.inner.is_closing() {
            match self.attach() {
                Ok((connection, receiving)) => {
                    let served = self.live(&connection, receiving);
                    if served {
                        pause = PAUSES.0;
                    } else if in_vain {
                        // A sidecar that dies of what it is asked would be started as fast as the machine can.
                        self.pause(pause);
                        pause = (pause * 2).min(PAUSES.1);
                    }
                    in_vain = !served;
                }
                Err(failure) => {
                    self.say(Link::Down, 0, Some(failure));
                    self.pause(pause);
                    pause = (pause * 2).min(PAUSES.1);
                }
            }
        }
        self.say(Link::Down, 0, None);
    }

    /// A connection, by whatever it takes.
    fn attach(&mut self) -> Result<(Arc<Connection>, Receiving), Failure> {
        match self.connect() {
            Ok(attached) => return Ok(attached),
            Err(Absent::Failed(failure)) => return Err(failure),
            Err(Absent::Nobody) => {}
        }
        let inner = self.inner.clone();
        let options = &inner.options;
        let data_dir = &options.data_dir;
        let Some((path, args)) = program(&options.start) else {
            let message = format!(
                "failed to find a sidecar for {}: none runs; start one with thumbforge serve --data-dir {0}",
                data_dir.display()
            );
            return Err(Failure::new(ErrorCode::NoSidecar, message));
        };
        let failed = |what: String| {
            let message = format!("failed to start the sidecar {}: {what}", path.display());
            Failure::new(ErrorCode::NoSidecar, message)
        };
        std::fs::create_dir_all(data_dir)
            .map_err(|err| failed(format!("the data directory {} cannot be made: {err}", data_dir.display())))?;
        if self.started.as_mut().is_none_or(|started| started.ended().is_some() || started.pid().is_none()) {
            self.started = Some(Started::new(path, args, data_dir).map_err(|err| failed(err.to_string()))?);
        }
        let deadline = Instant::now() + START_MAX;
        let mut ended = None;
        while !self.inner.is_closing() && Instant::now() < deadline {
            match self.connect() {
                Ok(attached) => return Ok(attached),
                Err(Absent::Failed(failure)) => return Err(failure),
                // It may have found another one that was quicker, and that one may not listen yet.
                Err(Absent::Nobody) if ended.is_some() => break,
                Err(Absent::Nobody) => {}
            }
            ended = self.started.as_mut().and_then(Started::ended);
            self.pause(START_LOOK);
        }
        let log = log_of(data_dir);
        Err(failed(match ended {
            Some(status) => format!("it ended at once ({status}); see {}", log.display()),
            None => format!("it does not listen after {} s; see {}", START_MAX.as_secs(), log.display()),
        }))
    }

    /// Connects to whoever listens and greets.
    fn connect(&mut self) -> Result<(Arc<Connection>, Receiving), Absent> {
        let options = &self.inner.options;
        let failed = |what: &str, err: io::Error| {
            let message = format!("failed to {what} the sidecar of {}: {err}", options.data_dir.display());
            Absent::Failed(Failure::new(ErrorCode::NoSidecar, message))
        };
        let stream = match Address::of(&options.data_dir).and_then(|address| Stream::connect(&address)) {
            Ok(stream) => Arc::new(stream),
            Err(err) => {
                return Err(match err.kind() {
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Absent::Nobody,
                    _ => failed("connect to", err),
                });
            }
        };
        self.inner.state.lock().stream = Some(stream.clone());
        if self.inner.is_closing() {
            stream.close();
        }
        let hello = Hello {
            protocol: PROTOCOL as u16,
            build: options.build.clone(),
            project: options.project.clone(),
            instance: self.inner.instance,
            pid: std::process::id(),
            shared: options.shared_memory,
        };
        match greet(&stream, &hello) {
            Ok(Greeted::Welcome(connection, receiving)) => {
                if !self.is_to_go(&connection.welcome.build, connection.welcome.pid) {
                    return Ok((connection, receiving));
                }
                connection.close();
                self.drain()
            }
            Ok(Greeted::Refused(refused)) => self.refused(refused),
            // It died between connecting and answering, or is about to end.
            Err(err) if err.kind() == io::ErrorKind::UnexpectedEof => Err(Absent::Nobody),
            Err(err) => Err(failed("greet", err)),
        }
    }

    /// An older sidecar makes room for ours; not one that we started ourselves, and not for ever.
    fn is_to_go(&self, build: &str, pid: u32) -> bool {
        let ours = self.started.as_ref().and_then(Started::pid) == Some(pid);
        let options = &self.inner.options;
        program(&options.start).is_some() && !ours && self.drains < DRAINS_MAX && is_older(build, &options.build)
    }

    fn refused(&mut self, refused: Refused) -> Result<(Arc<Connection>, Receiving), Absent> {
        if refused.code == ErrorCode::VersionMismatch.number() && self.is_to_go(&refused.build, 0) {
            return self.drain();
        }
        let code = ErrorCode::ALL.iter().find(|code| code.number() == refused.code).copied();
        Err(Absent::Failed(Failure::new(code.unwrap_or(ErrorCode::Internal), refused.message)))
    }

    /// Asks the sidecar to end and waits until it has; nobody listens then.
    fn drain(&mut self) -> Result<(Arc<Connection>, Receiving), Absent> {
        self.drains += 1;
        let options = &self.inner.options;
        self.say(Link::Connecting, 0, None);
        let asked = Address::of(&options.data_dir).and_then(|address| {
            let stream = Arc::new(Stream::connect(&address)?);
            self.inner.state.lock().stream = Some(stream.clone());
            if self.inner.is_closing() {
                // Whoever closes the session has looked for a stream already.
                stream.close();
            }
            stream.send(&frame::encode(Kind::Drain, &Drain { build: options.build.clone() }.encode()), None)?;
            let (mut inbox, deadline) = (Inbox::new(stream), Instant::now() + DRAIN_MAX);
            while inbox.next(Some(deadline.saturating_duration_since(Instant::now())))?.is_some() {}
            Ok(())
        });
        match asked {
            Err(err) if err.kind() == io::ErrorKind::TimedOut => {
                let message = format!(
                    "failed to replace an older sidecar: it still works after {} s; stop it",
                    DRAIN_MAX.as_secs()
                );
                Err(Absent::Failed(Failure::new(ErrorCode::VersionMismatch, message)))
            }
            // Whether it ended or was gone already: nobody listens.
            _ => Err(Absent::Nobody),
        }
    }

    /// Attached, until the sidecar is gone. Whether it was of use: it answered something, or stayed for a while.
    fn live(&mut self, connection: &Arc<Connection>, receiving: Receiving) -> bool {
        {
            // In one step: what is in flight is to be sent, and whoever submits from here on lines up behind it.
            let mut table = self.inner.table.lock();
            table.epoch += 1;
            let epoch = table.epoch;
            table.unsent.clear();
            let mut numbers: Vec<(u64, bool)> =
                table.flights.iter().map(|(number, flight)| (*number, flight.cancelled)).collect();
            numbers.sort_unstable();
            for (number, cancelled) in numbers {
                table.unsent.push_back(Unsent::Request(number));
                if cancelled {
                    table.unsent.push_back(Unsent::Cancel(number));
                }
            }
            for flight in table.flights.values_mut() {
                flight.epoch = epoch;
            }
            table.link = Some(connection.clone());
        }
        if std::mem::replace(&mut self.attached_before, true) {
            self.inner.restarts.fetch_add(1, Ordering::Relaxed);
        }
        self.say(Link::Attached, connection.welcome.pid, None);
        let (inner, began, mut answered) = (&self.inner, Instant::now(), false);
        let hear = |message: ServerMessage<'_>| {
            answered |= matches!(message, ServerMessage::Completion(_));
            inner.hear(connection, message)
        };
        let ended = receiving.run(connection, hear, || inner.flush(connection));
        {
            let mut table = self.inner.table.lock();
            table.link = None;
            table.unsent.clear();
        }
        connection.close();
        let failure = ended
            .err()
            .filter(|err| err.kind() == io::ErrorKind::InvalidData)
            .map(|err| Failure::new(ErrorCode::Internal, format!("failed to understand the sidecar: {err}")));
        let broken = failure.is_some();
        self.say(Link::Connecting, 0, failure);
        if broken {
            // It may say the same again at once.
            self.pause(PAUSES.0);
        }
        answered || began.elapsed() >= PAUSES.1
    }

    fn say(&self, link: Link, pid: u32, failure: Option<Failure>) {
        let mut state = self.inner.state.lock();
        (state.link, state.pid, state.failure) = (link, pid, failure);
        if link != Link::Attached {
            state.stream = None;
        }
        self.inner.change.notify_all();
    }

    /// Waits, but not for a session that closes.
    fn pause(&self, pause: Duration) {
        let mut state = self.inner.state.lock();
        if !self.inner.is_closing() {
            let _ = self.inner.change.wait_for(&mut state, pause);
        }
    }
}

impl Inner {
    /// What the sidecar says.
    fn hear(&self, connection: &Arc<Connection>, message: ServerMessage<'_>) -> io::Result<()> {
        if self.is_closing() {
            // A sidecar that never stops telling would never let go.
            return Err(io::ErrorKind::Interrupted.into());
        }
        match message {
            ServerMessage::Progress { number, state, step, steps } => {
                if let Some(flight) = self.table.lock().flights.get_mut(&number) {
                    flight.progress = Progress { state, step, steps };
                }
            }
            ServerMessage::Completion(answer) => {
                // Made before anything else, so that the slot goes back even if nobody waits for the answer any more.
                let texture = connection.texture(&answer)?;
                let Some(flight) = self.table.lock().flights.remove(&answer.number) else { return Ok(()) };
                let completion = Completion {
                    number: answer.number,
                    tag: flight.tag,
                    outcome: answer.outcome,
                    code: answer.code,
                    attempts: answer.attempts,
                    cached: answer.cached,
                    seed: answer.seed,
                    key: answer.key,
                    cost_micros_usd: answer.cost_micros_usd,
                    latency_ms: answer.latency_ms,
                    texture,
                    detail: answer.detail.to_vec(),
                };
                self.done.lock().push_back(completion);
                self.news.notify_all();
            }
        }
        Ok(())
    }

    /// Sends what waits in line, as far as there is room.
    fn flush(&self, connection: &Connection) {
        loop {
            let (next, message) = {
                let mut table = self.table.lock();
                let Some(next) = table.unsent.front().copied() else { return };
                let message = match next {
                    Unsent::Request(number) => table.flights.get(&number).map(|flight| flight.message.clone()),
                    Unsent::Cancel(number) => Some(ClientMessage::Cancel { number }.encode().into()),
                };
                match message {
                    Some(message) => (next, message),
                    None => {
                        table.unsent.pop_front();
                        continue;
                    }
                }
            };
            let mut sent = connection.send(&message);
            if sent == Err(SendError::Full) {
                // Said before looking again, so that whoever makes room afterwards rings.
                connection.want_room();
                sent = connection.send(&message);
            }
            match sent {
                Ok(()) | Err(SendError::TooLarge) => {
                    let mut table = self.table.lock();
                    if table.unsent.front() == Some(&next) {
                        table.unsent.pop_front();
                    }
                }
                Err(SendError::Full | SendError::Gone) => return,
            }
        }
    }
}
