//! The door of editors and of our own command line: the channel's requests become jobs, and renders textures.
//!
//! ```text
//! Host::welcome ─► Caller (one a client) ─┬ submit ──► Intake::submit_as ─► ending ─► picture into a slot ─► complete
//!                                         └ command ─► Commands::begin ──► command::run ──► end ─────────────┘
//! ```
//! The channel's thread only hands over; every request is a task of its own, and pictures are read and decoded on
//! threads that may block, straight into memory that the client sees.
//! Whoever leaves, leaves its jobs and commands running: asked again under its key, a request is told of the same one.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use parking_lot::Mutex;
use serde_json::json;
use thumbforge_channel::client::Deliver;
use thumbforge_channel::server::{self, Client, Guest, Host, Options, Reply, Reservation, Serving, Slot};
use thumbforge_core::error::{ErrorCode, Failure, chain};
use thumbforge_core::id::{ContentHash, RequestKey};
use thumbforge_core::image::{Extent, ImageBuf};
use thumbforge_core::job::{Ending, JobSpec, JobState, Render};
use thumbforge_core::limits;
use thumbforge_core::wire::hello::Hello;
use thumbforge_core::wire::message::{Outcome, Request};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Intake, Ticket, in_thread};
use crate::command::Services;
use crate::maker::Maker;
use crate::output::png;
use crate::publish::Follow;
use crate::store::Pin;
use commands::{Commands, Ended, Next, Runs, Steps};

mod asked;
mod commands;

/// Files that are brought at once: each lies in memory whole, and the largest has two gigabytes.
const FILES_AT_ONCE: usize = 2;
/// How long a sidecar that stops goes on telling of what has ended: the largest pictures are read and decoded in less.
/// A client that has no room for them hears of them from the next sidecar.
const SETTLE_MAX: Duration = Duration::from_secs(5);

/// Listens for the clients of a data directory, which this process owns. `stop` is raised when a newer build asks for room.
///
/// # Errors
/// When the system gives no socket.
pub fn serve(data_dir: &Path, intake: Intake, stop: CancellationToken) -> Result<Listening, Failure> {
    let services = Services { maker: Maker::Here(intake.clone()), data_dir: data_dir.to_owned() };
    listen(data_dir, &Door::new(intake, Arc::new(services), stop))
}

fn listen(data_dir: &Path, door: &Arc<Door>) -> Result<Listening, Failure> {
    let serving = server::serve(data_dir, door.clone(), Options::default()).map_err(|err| {
        let message = format!("failed to listen for editors in {}: {err}", data_dir.display());
        Failure::new(ErrorCode::Storage, message)
    })?;
    Ok(Listening { serving, tasks: door.tasks.clone(), commands: door.commands.clone() })
}

/// The door while it is open; dropped, every connection ends.
pub struct Listening {
    serving: Serving,
    tasks: Tasks,
    commands: Arc<Commands>,
}

impl Listening {
    /// Clients that are connected.
    pub fn clients(&self) -> usize {
        self.serving.clients()
    }

    /// Commands that run, whether or not their client is still there.
    pub fn commands(&self) -> usize {
        self.commands.count()
    }

    /// Waits until everybody has been told of what has ended, for a sidecar that ends nothing more. Not for long: what
    /// could not be told is asked of the next one.
    pub async fn settle(&self) {
        self.tasks.leaving.cancel();
        self.tasks.open.close();
        if tokio::time::timeout(SETTLE_MAX, self.tasks.open.wait()).await.is_err() {
            tracing::warn!("stopped before every client had its answers; they get them at the next start");
        }
    }

    /// Lets nobody in any more and gives the address up.
    pub fn stop_listening(&self) {
        self.serving.stop_listening();
    }
}

/// Where requests are followed.
#[derive(Clone)]
struct Tasks {
    runtime: Handle,
    open: TaskTracker,
    /// Raised when nothing more ends here.
    leaving: CancellationToken,
}

impl Tasks {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.open.spawn_on(task, &self.runtime);
    }
}

struct Door {
    intake: Intake,
    tasks: Tasks,
    rooms: Arc<Rooms>,
    commands: Arc<Commands>,
    stop: CancellationToken,
}

/// What all clients share of the threads that may block.
struct Rooms {
    /// Pictures that are read and decoded.
    pictures: Semaphore,
    /// Files that are taken into the store.
    files: Semaphore,
}

impl Door {
    fn new(intake: Intake, runs: Arc<dyn Runs>, stop: CancellationToken) -> Arc<Self> {
        // Decoding keeps a core busy; more at once would only hold more pictures in memory.
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let rooms = Arc::new(Rooms { pictures: Semaphore::new(cores), files: Semaphore::new(FILES_AT_ONCE) });
        let tasks = Tasks { runtime: Handle::current(), open: TaskTracker::new(), leaving: CancellationToken::new() };
        let commands = Arc::new(Commands::new(runs, tasks.clone()));
        Arc::new(Self { intake, tasks, rooms, commands, stop })
    }
}

impl Host for Door {
    fn welcome(&self, hello: &Hello, client: Client) -> Result<Arc<dyn Guest>, Failure> {
        if self.intake.is_closed() {
            return Err(Failure::new(ErrorCode::ShuttingDown, "failed to connect: the sidecar is stopping"));
        }
        tracing::debug!(project = hello.project, pid = hello.pid, build = hello.build, "a client connects");
        Ok(Arc::new(Caller {
            shared: Arc::new(Shared {
                intake: self.intake.clone(),
                client,
                rooms: self.rooms.clone(),
                commands: self.commands.clone(),
                places: Arc::new(Semaphore::new(commands::AT_ONCE)),
                project: hello.project.clone(),
                open: Mutex::default(),
                provided: Mutex::default(),
                left: self.tasks.leaving.child_token(),
            }),
            tasks: self.tasks.clone(),
        }))
    }

    fn drain(&self, build: &str) {
        tracing::info!("Thumbforge {build} asks this sidecar to make room");
        self.stop.cancel();
    }
}

/// One client.
struct Caller {
    shared: Arc<Shared>,
    tasks: Tasks,
}

struct Shared {
    intake: Intake,
    client: Client,
    rooms: Arc<Rooms>,
    commands: Arc<Commands>,
    /// Its commands that may run.
    places: Arc<Semaphore>,
    project: String,
    /// Raised to take a request back; for those that are not answered yet.
    open: Mutex<HashMap<u64, CancellationToken>>,
    /// Files that it brought; they stay while it is connected.
    provided: Mutex<HashMap<ContentHash, Pin>>,
    /// Raised when it is gone, or nothing more ends here.
    left: CancellationToken,
}

impl Guest for Caller {
    fn submit(&self, number: u64, key: RequestKey, request: Request<'_>) {
        let shared = self.shared.clone();
        let taken_back = CancellationToken::new();
        shared.open.lock().insert(number, taken_back.clone());
        let spec = asked::spec(&shared.intake.market().catalogue, &shared.project, &request);
        let deliver = request.deliver;
        self.tasks.spawn(async move {
            let outcome = match spec {
                Ok(spec) => {
                    let job = AssertUnwindSafe(shared.job(number, key, spec, &taken_back)).catch_unwind();
                    job.await.unwrap_or_else(|_| Some((Ending::Failed(fault()), 0)))
                }
                Err(failure) => Some((Ending::Failed(failure), 0)),
            };
            // What is not answered here is asked again of the next sidecar.
            if let Some((ending, attempts)) = outcome {
                shared.answer(number, ending, attempts, deliver, &taken_back).await;
            }
            shared.open.lock().remove(&number);
        });
    }

    fn provide(&self, number: u64, path: PathBuf) {
        let shared = self.shared.clone();
        self.tasks.spawn(async move {
            let reply = match shared.keep(path).await {
                Ok(content) => Reply {
                    detail: json!({ "content": content }).to_string().into_bytes(),
                    ..Reply::bare(number, Outcome::Done)
                },
                Err(failure) => refusal(number, &failure),
            };
            shared.client.complete(&reply, None);
        });
    }

    fn command(&self, number: u64, key: RequestKey, json: &[u8]) {
        let (shared, json) = (self.shared.clone(), json.to_vec());
        let taken_back = CancellationToken::new();
        shared.open.lock().insert(number, taken_back.clone());
        self.tasks.spawn(async move {
            // What is not answered here is asked again of the next sidecar.
            if let Some((reply, slot)) = shared.command(number, key, json, &taken_back).await {
                shared.client.complete(&reply, slot);
            }
            shared.open.lock().remove(&number);
        });
    }

    fn cancel(&self, number: u64) {
        if let Some(taken_back) = self.shared.open.lock().get(&number) {
            taken_back.cancel();
        }
    }

    fn gone(&self) {
        tracing::debug!(project = self.shared.project, open = self.shared.open.lock().len(), "a client is gone");
        self.shared.left.cancel();
    }
}

impl Shared {
    /// A job from its acceptance to its end; `None` when nobody here is to tell of it.
    async fn job(
        &self,
        number: u64,
        key: RequestKey,
        spec: JobSpec,
        taken_back: &CancellationToken,
    ) -> Option<(Ending, u32)> {
        let mut ticket = match self.intake.submit_as(key, spec).await {
            Ok(ticket) => ticket,
            Err(failure) => return self.told(Ending::Failed(failure)).map(|ending| (ending, 0)),
        };
        let job = ticket.id;
        let ending = match self.follow(number, &mut ticket, taken_back).await {
            Waited::Ended(ending) => ending,
            Waited::TakenBack => self.intake.withdraw(ticket).await.unwrap_or_else(Ending::Failed),
            Waited::Left => return None,
        };
        let attempts = match &ending {
            Ending::Done { attempts, .. } => *attempts,
            _ => self.intake.job(job).map_or(0, |row| row.attempts),
        };
        self.told(ending).map(|ending| (ending, attempts))
    }

    /// Waits for the end, and tells how far it is meanwhile.
    async fn follow(&self, number: u64, ticket: &mut Ticket, taken_back: &CancellationToken) -> Waited {
        let mut follow = self.intake.follow(ticket.id).ok();
        // A job that was joined may be well under way.
        if let Some(now) = follow.as_ref().map(Follow::now).filter(|now| now.state != JobState::Queued) {
            self.client.progress(number, now.state, now.step, now.steps);
        }
        loop {
            let next = async {
                match &mut follow {
                    Some(follow) => follow.next().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                ending = ticket.ending() => return Waited::Ended(ending),
                () = taken_back.cancelled() => return Waited::TakenBack,
                () = self.left.cancelled() => return Waited::Left,
                progress = next => self.client.progress(number, progress.state, progress.step, progress.steps),
            }
        }
    }

    /// A sidecar that stops keeps its jobs, so their end is told by the next one.
    fn told(&self, ending: Ending) -> Option<Ending> {
        match &ending {
            Ending::Failed(failure) if failure.code == ErrorCode::ShuttingDown => None,
            _ => Some(ending),
        }
    }

    async fn answer(
        &self,
        number: u64,
        ending: Ending,
        attempts: u32,
        deliver: Deliver,
        taken_back: &CancellationToken,
    ) {
        let (reply, slot) = match ending {
            Ending::Done { render, cached, .. } => {
                let picture = tokio::select! {
                    picture = self.picture(&render, deliver) => picture,
                    // Whoever wants none any more must not wait for room among those that it has not looked at.
                    () = taken_back.cancelled() => Err(Undelivered::TakenBack),
                };
                match picture {
                    Ok(slot) => (done(number, &render, cached, attempts, deliver), slot),
                    Err(Undelivered::Failed(failure)) => (Reply { attempts, ..refusal(number, &failure) }, None),
                    Err(Undelivered::TakenBack) => (cancelled(number, attempts), None),
                    Err(Undelivered::Left) => return,
                }
            }
            Ending::Failed(failure) => (Reply { attempts, ..refusal(number, &failure) }, None),
            Ending::Cancelled => (cancelled(number, attempts), None),
        };
        self.client.complete(&reply, slot);
    }

    /// A command from its start to its answer; `None` when nobody here is to give one.
    async fn command(
        &self,
        number: u64,
        key: RequestKey,
        json: Vec<u8>,
        taken_back: &CancellationToken,
    ) -> Option<(Reply, Option<Slot>)> {
        let running = match self.commands.find(key) {
            Some(running) => running,
            None => {
                let place = tokio::select! {
                    biased;
                    () = taken_back.cancelled() => return Some((interrupted(number), None)),
                    () = self.left.cancelled() => return None,
                    place = self.places.clone().acquire_owned() => place.ok()?,
                };
                if self.is_leaving() {
                    return None;
                }
                match self.commands.begin(key, json, place) {
                    Ok(running) => running,
                    Err(failure) => return Some((refusal(number, &failure), None)),
                }
            }
        };
        let mut follower = running.follow();
        let ended = loop {
            tokio::select! {
                biased;
                next = follower.next() => match next {
                    Next::Ended(ended) => break ended,
                    Next::Step(Steps { done, all }) => self.client.progress(number, JobState::Running, done, all),
                },
                () = taken_back.cancelled(), if !running.is_taken_back() => running.take_back(),
                () = self.left.cancelled() => return None,
            }
        };
        if running.is_taken_back() {
            return Some((interrupted(number), None));
        }
        // What it came to may come of a sidecar that stops: jobs that were not accepted any more, a drawing given up.
        if self.is_leaving() {
            return None;
        }
        match ended {
            Ended::Failed(failure) => Some((refusal(number, &failure), None)),
            Ended::Answered { detail, picture } => {
                let reply = Reply { detail, ..Reply::bare(number, Outcome::Done) };
                let Some(picture) = picture else { return Some((reply, None)) };
                let Extent { width, height } = picture.extent();
                let slot = tokio::select! {
                    slot = self.show(picture) => slot,
                    () = taken_back.cancelled() => Err(Undelivered::TakenBack),
                    () = self.left.cancelled() => Err(Undelivered::Left),
                };
                match slot {
                    Ok(slot) => Some((Reply { size: (width, height), format: Deliver::Pixels, ..reply }, Some(slot))),
                    Err(Undelivered::Failed(failure)) => Some((refusal(number, &failure), None)),
                    Err(Undelivered::TakenBack) => Some((interrupted(number), None)),
                    Err(Undelivered::Left) => None,
                }
            }
        }
    }

    /// Whether nobody hears any more, or what ends from here on is for the next sidecar to tell.
    fn is_leaving(&self) -> bool {
        self.left.is_cancelled() || self.intake.is_closed()
    }

    /// A picture that lies in memory already, in a slot.
    async fn show(&self, picture: Arc<ImageBuf>) -> Result<Slot, Undelivered> {
        let reservation = self.room(picture.pixels().len()).await?;
        let copied = in_thread(move || {
            let mut slot = open(reservation)?;
            slot.bytes_mut().copy_from_slice(picture.pixels());
            Ok(slot)
        });
        Ok(copied.await?)
    }

    /// Room in the client's memory, as soon as there is some.
    async fn room(&self, bytes: usize) -> Result<Reservation, Undelivered> {
        if bytes > limits::SLOT_BYTES_MAX {
            let message =
                format!("failed to deliver a picture of {bytes} bytes: at most {} fit", limits::SLOT_BYTES_MAX);
            return Err(Failure::new(ErrorCode::TooLarge, message).into());
        }
        self.client.reserve(bytes).await.map_err(|_| Undelivered::Left)
    }

    /// The finished picture in a slot, as the client wants it.
    async fn picture(&self, render: &Render, deliver: Deliver) -> Result<Option<Slot>, Undelivered> {
        let store = self.intake.store().clone();
        let (blob, size) = (render.blob, render.size);
        let bytes = match deliver {
            Deliver::Nothing => return Ok(None),
            Deliver::Pixels => size.pixels() * 4,
            Deliver::Png => in_thread(move || Ok(store.size(blob))).await?.ok_or_else(evicted)?,
        };
        let reservation = self.room(bytes).await?;
        // Taken after the room in the client's memory, so that a client which gives nothing back holds up nobody else.
        let _room = self.rooms.pictures.acquire().await;
        let store = self.intake.store().clone();
        let drawn = in_thread(move || {
            let mut slot = open(reservation)?;
            match deliver {
                Deliver::Png if store.read_into(blob, slot.bytes_mut()) => Ok(slot),
                Deliver::Png => Err(evicted()),
                _ => {
                    let png = store.get(blob).ok_or_else(evicted)?;
                    png::decode_into(&png, size, slot.bytes_mut())
                        .map_err(|err| Failure::new(ErrorCode::Corrupt, format!("failed to {}", chain(&err))))?;
                    Ok(slot)
                }
            }
        });
        Ok(Some(drawn.await?))
    }

    /// Takes a file into the store.
    async fn keep(&self, path: PathBuf) -> Result<ContentHash, Failure> {
        let _room = self.rooms.files.acquire().await;
        let bytes = in_thread(move || read_input(&path)).await?;
        let (content, pin) = self.intake.provide(bytes).await?;
        self.provided.lock().insert(content, pin);
        Ok(content)
    }
}

/// How waiting for a job ended.
enum Waited {
    Ended(Ending),
    TakenBack,
    Left,
}

/// Why a picture is not on its way.
enum Undelivered {
    Failed(Failure),
    TakenBack,
    Left,
}

impl From<Failure> for Undelivered {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

fn fault() -> Failure {
    Failure::new(ErrorCode::Internal, "failed to follow the job, a fault of Thumbforge; please report it with the log")
}

fn open(reservation: Reservation) -> Result<Slot, Failure> {
    let failed = |err| Failure::new(ErrorCode::Internal, format!("failed to get memory for a picture: {err}"));
    reservation.open().map_err(failed)
}

fn evicted() -> Failure {
    Failure::new(ErrorCode::Storage, "failed to read the finished picture back from the store; ask again")
}

fn read_input(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed =
        |what: String| Failure::new(ErrorCode::InputFile, format!("failed to read {}: {what}", path.display()));
    let meta = std::fs::metadata(path).map_err(|err| failed(err.to_string()))?;
    if !meta.is_file() || meta.len() > limits::INPUT_BYTES_MAX as u64 {
        return Err(failed(format!("it is no file of at most {} bytes", limits::INPUT_BYTES_MAX)));
    }
    std::fs::read(path).map_err(|err| failed(err.to_string()))
}

fn done(number: u64, render: &Render, cached: bool, attempts: u32, deliver: Deliver) -> Reply {
    Reply {
        attempts,
        cached,
        seed: render.realisation.seed,
        key: render.realised_key.0,
        cost_micros_usd: render.cost_micros_usd,
        latency_ms: render.latency_ms,
        size: (render.size.width, render.size.height),
        format: deliver,
        detail: json!({ "render": render }).to_string().into_bytes(),
        ..Reply::bare(number, Outcome::Done)
    }
}

fn cancelled(number: u64, attempts: u32) -> Reply {
    let failure = Failure::new(ErrorCode::Cancelled, "failed to draw: it was taken back");
    Reply { attempts, outcome: Outcome::Cancelled, ..refusal(number, &failure) }
}

fn interrupted(number: u64) -> Reply {
    let failure = Failure::new(ErrorCode::Cancelled, "failed to run the command to its end: it was taken back");
    Reply { outcome: Outcome::Cancelled, ..refusal(number, &failure) }
}

fn refusal(number: u64, failure: &Failure) -> Reply {
    let detail = json!({ "failure": failure }).to_string().into_bytes();
    Reply { code: failure.code.number(), detail, ..Reply::bare(number, Outcome::Failed) }
}

#[cfg(test)]
mod tests;
