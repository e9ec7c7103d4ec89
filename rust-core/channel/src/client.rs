//! The editor's end: a session that accepts jobs whether or not a sidecar runs just now, and looks after the sidecar.
//!
//! ```text
//! submit ─► in flight ─► ring ─► sidecar ─► completion ─► poll
//!              └─ sent again under the same key after either side's crash ─┘
//! ```
//! One thread per session connects, starts a sidecar where that is asked for, receives, and notices its death.
//! No call but [`Session::wait`] and [`Session::attached`] waits for anything but a short lock.

use std::collections::{HashMap, VecDeque};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::sync::{Condvar, Mutex};
use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::job::{Gate, JobState, Lane};
use thumbforge_core::limits;
use thumbforge_core::wire::message::{self, ClientMessage};

pub use texture::{Flip, Texture};
pub use thumbforge_core::wire::message::{Brief, Deliver, Outcome, RecipeForm};

use crate::BUILD;
use crate::carrier::SendError;
use connection::Connection;
use supervise::Supervisor;

mod connection;
mod start;
mod supervise;
mod texture;

/// What a session is for.
#[derive(Debug, Clone)]
pub struct Options {
    /// The data directory whose sidecar it talks to.
    pub data_dir: PathBuf,
    /// Name of the project; turns, queues and budgets are shared out among projects.
    pub project: String,
    /// Whether it starts a sidecar.
    pub start: Start,
    /// The version that it says it is.
    pub build: String,
    /// Whether it maps shared memory; without, everything travels through the socket.
    pub shared_memory: bool,
}

impl Options {
    /// A session of this build over shared memory.
    pub fn new(data_dir: impl Into<PathBuf>, project: impl Into<String>, start: Start) -> Self {
        let (data_dir, project) = (data_dir.into(), project.into());
        Self { data_dir, project, start, build: BUILD.to_owned(), shared_memory: true }
    }
}

/// What a session does when no sidecar runs.
#[derive(Debug, Clone)]
pub enum Start {
    /// It waits for one.
    Never,
    /// It starts one, and again when that one dies.
    With {
        /// The `thumbforge` program.
        program: PathBuf,
        /// Arguments beside those that the session gives.
        args: Vec<OsString>,
    },
}

/// A job to submit. Everything is copied before the call returns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Request<'a> {
    /// Name of the asset; empty for a bare prompt.
    pub asset: &'a str,
    /// BCP 47 tag; empty where the picture has no words.
    pub locale: &'a str,
    /// Who waits.
    pub lane: Lane,
    /// Within a lane, higher first.
    pub priority: i32,
    /// Unix time in milliseconds after which nobody wants it.
    pub deadline_ms: Option<u64>,
    /// Whether the built-in engine may stand in for a model that is not there.
    pub placeholder: bool,
    /// Whether a route may drop fields that it cannot honour.
    pub lossy: bool,
    /// What an error of the checks means.
    pub gate: Gate,
    /// Whether the words of the finished picture are to be read back.
    pub read_back: bool,
    /// Share of each side that text keeps clear of.
    pub safe_inset: Option<f64>,
    /// In what form the picture comes.
    pub deliver: Deliver,
    /// The caller's own mark, handed back with the completion and never sent.
    pub tag: u64,
    /// What to draw.
    pub recipe: RecipeForm<'a>,
    /// What may be spent on it, and where, in JSON; empty where nothing is said.
    pub terms: &'a [u8],
}

impl<'a> Request<'a> {
    /// What of it is sent.
    pub(crate) fn wire(&self) -> message::Request<'a> {
        message::Request {
            asset: self.asset,
            locale: self.locale,
            lane: self.lane,
            priority: self.priority,
            deadline_ms: self.deadline_ms,
            placeholder: self.placeholder,
            lossy: self.lossy,
            gate: self.gate,
            read_back: self.read_back,
            safe_inset: self.safe_inset,
            deliver: self.deliver,
            recipe: self.recipe,
            terms: self.terms,
        }
    }
}

/// A request that has ended.
#[derive(Debug)]
pub struct Completion {
    /// Its number.
    pub number: u64,
    /// The mark that the caller gave it.
    pub tag: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// Number of an [`ErrorCode`]; 0 when done.
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
    /// The picture, where one was asked for.
    pub texture: Option<Texture>,
    /// JSON: `{"render": …}`, `{"failure": …}`, `{"content": …}` or `{"answer": …}`.
    pub detail: Vec<u8>,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Its state.
    pub state: JobState,
    /// Steps drawn.
    pub step: u32,
    /// Steps in all; 0 where the engine has none.
    pub steps: u32,
}

/// How a session stands with its sidecar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Looking for one, starting one, or waiting for an older one to end.
    Connecting,
    /// Connected.
    Attached,
    /// There is none, and the last try failed; it is tried again.
    Down,
}

/// A session at a glance.
#[derive(Debug, Clone)]
pub struct SessionState {
    /// How it stands with its sidecar.
    pub link: Link,
    /// The sidecar's process; 0 without one.
    pub sidecar_pid: u32,
    /// How often it was attached anew.
    pub restarts: u32,
    /// Requests that are unanswered or whose answer was not fetched.
    pub in_flight: usize,
    /// Why it is down.
    pub failure: Option<Failure>,
}

/// A conversation with the sidecar of a data directory, on behalf of one project.
pub struct Session {
    inner: Arc<Inner>,
    thread: Option<JoinHandle<()>>,
}

struct Inner {
    options: Options,
    instance: [u8; 16],
    next: AtomicU64,
    open: AtomicUsize,
    table: Mutex<Table>,
    done: Mutex<VecDeque<Completion>>,
    /// Something to poll.
    news: Condvar,
    state: Mutex<State>,
    /// The state changed, or the session closes.
    change: Condvar,
    closing: AtomicBool,
    restarts: AtomicU32,
}

/// What is asked and not yet answered.
#[derive(Default)]
struct Table {
    flights: HashMap<u64, Flight>,
    link: Option<Arc<Connection>>,
    /// Raised with every connection.
    epoch: u64,
    /// What is still to go over this connection, in order. While it is not empty, new jobs line up behind it.
    unsent: VecDeque<Unsent>,
}

struct Flight {
    tag: u64,
    message: Arc<[u8]>,
    progress: Progress,
    /// The connection that it was meant for.
    epoch: u64,
    cancelled: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unsent {
    Request(u64),
    Cancel(u64),
}

struct State {
    link: Link,
    pid: u32,
    failure: Option<Failure>,
    /// The connection that the thread is busy with, so that closing can end it.
    stream: Option<Arc<crate::sys::Stream>>,
}

impl Session {
    /// Opens a session. It returns at once; a sidecar is found or started in the background.
    ///
    /// # Errors
    /// `invalid_request` for a project name that is too long or a path that is none, `internal` when the system gives no
    /// thread.
    pub fn open(mut options: Options) -> Result<Self, Failure> {
        if options.project.len() > limits::PROJECT_BYTES_MAX {
            let message =
                format!("failed to open a session: a project's name has at most {} bytes", limits::PROJECT_BYTES_MAX);
            return Err(Failure::new(ErrorCode::InvalidRequest, message));
        }
        // The sidecar works in a folder of its own, where a relative path would name something else.
        options.data_dir = absolute(&options.data_dir)?;
        if let Start::With { program, .. } = &mut options.start
            && program.components().count() > 1
        {
            *program = absolute(program)?;
        }
        let internal = |what: String| Failure::new(ErrorCode::Internal, format!("failed to open a session: {what}"));
        let mut instance = [0; 16];
        getrandom::fill(&mut instance).map_err(|err| internal(err.to_string()))?;
        let inner = Arc::new(Inner {
            options,
            instance,
            next: AtomicU64::new(1),
            open: AtomicUsize::new(0),
            table: Mutex::default(),
            done: Mutex::default(),
            news: Condvar::new(),
            state: Mutex::new(State { link: Link::Connecting, pid: 0, failure: None, stream: None }),
            change: Condvar::new(),
            closing: AtomicBool::new(false),
            restarts: AtomicU32::new(0),
        });
        let supervisor = Supervisor::new(inner.clone());
        let thread = std::thread::Builder::new()
            .name("thumbforge".to_owned())
            .spawn(move || supervisor.run())
            .map_err(|err| internal(err.to_string()))?;
        Ok(Self { inner, thread: Some(thread) })
    }

    /// Waits until a sidecar is attached.
    ///
    /// # Errors
    /// Why there is none: at once for a session that starts none, else after `timeout`.
    pub fn attached(&self, timeout: Duration) -> Result<(), Failure> {
        let deadline = after(timeout);
        let mut state = self.inner.state.lock();
        loop {
            let starts = matches!(self.inner.options.start, Start::With { .. });
            match (state.link, &state.failure) {
                (Link::Attached, _) => return Ok(()),
                (Link::Down, Some(failure)) if !starts => return Err(failure.clone()),
                _ => {}
            }
            if self.inner.change.wait_until(&mut state, deadline) {
                return Err(state.failure.clone().unwrap_or_else(|| {
                    let message = format!("failed to reach a sidecar within {} ms", timeout.as_millis());
                    Failure::new(ErrorCode::NoSidecar, message)
                }));
            }
        }
    }

    /// Submits a job and gives its number. Never waits: it is on its way, or it is refused.
    ///
    /// # Errors
    /// `queue_full`, `too_large`, `shutting_down`.
    pub fn submit(&self, request: &Request<'_>) -> Result<u64, Failure> {
        let number = self.inner.next.fetch_add(1, Ordering::Relaxed);
        self.inner.launch(number, request.tag, ClientMessage::Submit { number, request: request.wire() }.encode())?;
        Ok(number)
    }

    /// Asks the sidecar to keep a file that later recipes name by its content. The completion's detail has its hash.
    ///
    /// # Errors
    /// As [`Self::submit`]; `invalid_request` for a path that is not absolute or no UTF-8.
    pub fn provide(&self, path: &Path) -> Result<u64, Failure> {
        let text = path.to_str().filter(|text| path.is_absolute() && text.len() <= limits::LOCAL_PATH_BYTES_MAX);
        let path = text.ok_or_else(|| {
            let message = format!("failed to provide {}: give an absolute path in UTF-8", path.display());
            Failure::new(ErrorCode::InvalidRequest, message)
        })?;
        let number = self.inner.next.fetch_add(1, Ordering::Relaxed);
        self.inner.launch(number, 0, ClientMessage::Provide { number, path }.encode())?;
        Ok(number)
    }

    /// Asks the sidecar to do what the command line can do: `json` says what, and the completion's detail has
    /// `{"answer": …}`. Like a job it has a key for good, is asked again after a sidecar's death, tells how far it is,
    /// and can be taken back.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub fn command(&self, json: &[u8], tag: u64) -> Result<u64, Failure> {
        let number = self.inner.next.fetch_add(1, Ordering::Relaxed);
        self.inner.launch(number, tag, ClientMessage::Command { number, json }.encode())?;
        Ok(number)
    }

    /// Takes a job back. It is answered all the same, as cancelled or as what it had become by then.
    ///
    /// # Errors
    /// `not_found` for a job that was answered or never asked; `queue_full`.
    pub fn cancel(&self, number: u64) -> Result<(), Failure> {
        self.inner.cancel(number)
    }

    /// The next request that has ended.
    pub fn poll(&self) -> Option<Completion> {
        let completion = self.inner.done.lock().pop_front()?;
        self.inner.open.fetch_sub(1, Ordering::Relaxed);
        Some(completion)
    }

    /// Waits until there is something to poll; false when there is nothing by then. Not for a thread that draws a window.
    pub fn wait(&self, timeout: Duration) -> bool {
        let deadline = after(timeout);
        let mut done = self.inner.done.lock();
        while done.is_empty() && !self.inner.closing.load(Ordering::Acquire) {
            if self.inner.news.wait_until(&mut done, deadline) {
                break;
            }
        }
        !done.is_empty()
    }

    /// Where an unanswered job stands.
    pub fn progress(&self, number: u64) -> Option<Progress> {
        self.inner.table.lock().flights.get(&number).map(|flight| flight.progress)
    }

    /// How the session stands.
    pub fn state(&self) -> SessionState {
        let state = self.inner.state.lock();
        SessionState {
            link: state.link,
            sidecar_pid: state.pid,
            restarts: self.inner.restarts.load(Ordering::Relaxed),
            in_flight: self.inner.open.load(Ordering::Relaxed),
            failure: state.failure.clone(),
        }
    }

    /// Begins to end the session, from any thread: nothing more is accepted, and whoever waits stops waiting.
    pub fn stop(&self) {
        self.inner.close();
    }

    /// Whether it was stopped.
    pub fn is_stopped(&self) -> bool {
        self.inner.is_closing()
    }

    /// Ends the session and its thread. Jobs that were accepted go on in the sidecar; textures that are held stay valid.
    pub fn close(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.inner.close();
        if let Some(thread) = self.thread.take() {
            // A panic in there was told where it happened, and leaves nothing to be done here.
            let _ = thread.join();
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.end();
    }
}

impl Inner {
    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    fn close(&self) {
        self.closing.store(true, Ordering::Release);
        // Through the locks, so that nobody who has just looked misses the call.
        if let Some(stream) = &self.state.lock().stream {
            stream.close();
        }
        self.change.notify_all();
        drop(self.done.lock());
        self.news.notify_all();
    }

    /// Puts a request in flight and sends it, if it is its turn.
    fn launch(&self, number: u64, tag: u64, message: Vec<u8>) -> Result<(), Failure> {
        if message.len() > limits::MESSAGE_BYTES_MAX {
            return Err(too_large(message.len()));
        }
        if self.is_closing() {
            return Err(Failure::new(ErrorCode::ShuttingDown, "failed to submit: the session is closed"));
        }
        if self.open.fetch_add(1, Ordering::Relaxed) >= limits::IN_FLIGHT_MAX {
            self.open.fetch_sub(1, Ordering::Relaxed);
            return Err(queue_full());
        }
        let message: Arc<[u8]> = message.into();
        let (link, epoch) = {
            let mut table = self.table.lock();
            let (epoch, progress) = (table.epoch, Progress { state: JobState::Queued, step: 0, steps: 0 });
            let flight = Flight { tag, message: message.clone(), progress, epoch, cancelled: false };
            table.flights.insert(number, flight);
            let Some(link) = table.link.clone().filter(|_| table.unsent.is_empty()) else {
                // What is not connected is sent on connecting; what lines up is sent in its turn.
                if table.link.is_some() {
                    table.unsent.push_back(Unsent::Request(number));
                }
                return Ok(());
            };
            (link, epoch)
        };
        match link.send(&message) {
            Ok(()) | Err(SendError::Gone) => Ok(()),
            Err(err) => {
                let mut table = self.table.lock();
                // Connected anew in between, it is on its way already.
                if table.epoch != epoch || table.flights.remove(&number).is_none() {
                    return Ok(());
                }
                drop(table);
                self.open.fetch_sub(1, Ordering::Relaxed);
                Err(if err == SendError::TooLarge { too_large(message.len()) } else { queue_full() })
            }
        }
    }

    fn cancel(&self, number: u64) -> Result<(), Failure> {
        let link = {
            let mut table = self.table.lock();
            let Some(flight) = table.flights.get_mut(&number) else {
                let message = format!("failed to cancel job {number}: it has ended, or was never submitted here");
                return Err(Failure::new(ErrorCode::NotFound, message));
            };
            if std::mem::replace(&mut flight.cancelled, true) {
                return Ok(());
            }
            match table.link.clone() {
                // Said again on connecting.
                None => return Ok(()),
                Some(_) if !table.unsent.is_empty() => {
                    table.unsent.push_back(Unsent::Cancel(number));
                    return Ok(());
                }
                Some(link) => link,
            }
        };
        match link.send(&ClientMessage::Cancel { number }.encode()) {
            Ok(()) | Err(SendError::Gone) => Ok(()),
            Err(_) => {
                if let Some(flight) = self.table.lock().flights.get_mut(&number) {
                    flight.cancelled = false;
                }
                let message = "failed to cancel: the queue to the sidecar is full; poll what is done and try again";
                Err(Failure::new(ErrorCode::QueueFull, message))
            }
        }
    }
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|err| {
        let message = format!("failed to open a session: the path {} is none: {err}", path.display());
        Failure::new(ErrorCode::InvalidRequest, message)
    })
}

/// The end of a time from now; one that the clock has no number for ends in a year.
fn after(timeout: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(timeout).unwrap_or(now + Duration::from_secs(365 * 24 * 3600))
}

fn queue_full() -> Failure {
    Failure::new(
        ErrorCode::QueueFull,
        "failed to submit: the queue to the sidecar is full; poll what is done and try again",
    )
}

fn too_large(bytes: usize) -> Failure {
    let message = format!("failed to submit: the request has {bytes} bytes, at most {} fit", limits::MESSAGE_BYTES_MAX);
    Failure::new(ErrorCode::TooLarge, message)
}
