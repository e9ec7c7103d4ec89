//! Commands of clients: each runs once under its key, however often it is asked for, and all who asked hear of its end.
//!
//! ```text
//! command ─┬─ known ──────────────► join ─┐
//!          └─ new ─► a place ─► run once ─┴► Running ─ progress, end ─► told to those who are still there
//! ```
//! Nothing of it is journalled: a command that this sidecar did not answer is asked again of the next one, and does not
//! do again what it finds done.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use serde_json::json;
use thumbforge_channel::server::DETAIL_BYTES_MAX;
use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::id::RequestKey;
use thumbforge_core::image::ImageBuf;
use thumbforge_core::limits;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::Tasks;
use crate::command::{self, Answered, Services, Watch};

/// Commands of one client at a time, the others in line: a build and the previews of a window. Each may hold a picture
/// of 64 MiB until there is room for it in the client's memory.
pub(super) const AT_ONCE: usize = 8;
/// Commands of all clients: only those who come and go without waiting for an answer get so far.
const RUNNING_MAX: usize = limits::CLIENTS_MAX * AT_ONCE;
/// Shortest time between two words of progress: editors look once a frame.
const TELL_EVERY: Duration = Duration::from_millis(16);

/// Who carries commands out.
pub(super) trait Runs: Send + Sync + 'static {
    /// Runs one to its end, as [`command::run`] does.
    fn run(
        &self,
        json: Vec<u8>,
        watch: Arc<dyn Watch>,
        interrupted: CancellationToken,
    ) -> BoxFuture<'static, Result<Answered, Failure>>;
}

impl Runs for Services {
    fn run(
        &self,
        json: Vec<u8>,
        watch: Arc<dyn Watch>,
        interrupted: CancellationToken,
    ) -> BoxFuture<'static, Result<Answered, Failure>> {
        let services = self.clone();
        Box::pin(async move { command::run(&json, &services, watch, interrupted).await })
    }
}

/// How a command ended.
#[derive(Clone)]
pub(super) enum Ended {
    /// With an answer.
    Answered {
        /// `{"answer": …}`, no longer than a message carries.
        detail: Vec<u8>,
        /// A picture beside it.
        picture: Option<Arc<ImageBuf>>,
    },
    /// With none.
    Failed(Failure),
}

impl Ended {
    fn of(answered: Result<Answered, Failure>) -> Self {
        let (value, picture) = match answered {
            Ok(Answered::Value(value)) => (value, None),
            Ok(Answered::Picture(picture, value)) => (value, Some(Arc::new(picture))),
            Err(failure) => return Self::Failed(failure),
        };
        let detail = json!({ "answer": value }).to_string().into_bytes();
        if detail.len() > DETAIL_BYTES_MAX {
            let message = format!(
                "failed to answer the command: its answer has {} bytes, at most {DETAIL_BYTES_MAX} are sent; ask for a \
                 report file",
                detail.len()
            );
            return Self::Failed(Failure::new(ErrorCode::TooLarge, message));
        }
        Self::Answered { detail, picture }
    }
}

/// A command that runs, as long as somebody follows it or it has not ended.
pub(super) struct Running {
    progress: watch::Sender<Steps>,
    ended: watch::Sender<Option<Ended>>,
    interrupted: CancellationToken,
    taken_back: AtomicBool,
    /// Given up with the last who follows it, so that pictures that nobody has fetched count too.
    _place: OwnedSemaphorePermit,
}

/// How far a command is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Steps {
    /// Done.
    pub(super) done: u32,
    /// In all; 0 while nobody knows.
    pub(super) all: u32,
}

impl Watch for Running {
    fn step(&self, done: u32, all: u32) {
        self.progress.send_replace(Steps { done, all });
    }
}

impl Running {
    /// Asks it to end early. Whoever follows it is told that it was taken back, whatever it comes to.
    pub(super) fn take_back(&self) {
        self.taken_back.store(true, Ordering::Release);
        self.interrupted.cancel();
    }

    /// Whether somebody took it back.
    pub(super) fn is_taken_back(&self) -> bool {
        self.taken_back.load(Ordering::Acquire)
    }

    /// Follows it from where it stands.
    pub(super) fn follow(self: &Arc<Self>) -> Follower {
        let mut progress = self.progress.subscribe();
        progress.mark_changed();
        let mut pace = tokio::time::interval(TELL_EVERY);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Follower { progress, ended: self.ended.subscribe(), pace, _running: self.clone() }
    }
}

/// One who waits for a command.
pub(super) struct Follower {
    progress: watch::Receiver<Steps>,
    ended: watch::Receiver<Option<Ended>>,
    /// When it is told of progress again.
    pace: Interval,
    _running: Arc<Running>,
}

impl Follower {
    /// What happens next: its end, or progress that is worth telling. It may be dropped and asked again.
    pub(super) async fn next(&mut self) -> Next {
        let Self { progress, ended, pace, .. } = self;
        // The senders live in what is followed, so neither wait ends for want of one.
        let stepped = async {
            pace.tick().await;
            let _ = progress.changed().await;
        };
        let ending = async { ended.wait_for(Option::is_some).await.ok().and_then(|ended| ended.clone()) };
        tokio::select! {
            biased;
            ended = ending => return Next::Ended(ended.unwrap_or_else(|| Ended::Failed(fault()))),
            () = stepped => {}
        }
        Next::Step(*self.progress.borrow_and_update())
    }
}

/// What [`Follower::next`] has seen.
pub(super) enum Next {
    /// It came further.
    Step(Steps),
    /// It ended.
    Ended(Ended),
}

/// The commands of all clients.
pub(super) struct Commands {
    runs: Arc<dyn Runs>,
    tasks: Tasks,
    running: Arc<Mutex<HashMap<RequestKey, Arc<Running>>>>,
}

impl Commands {
    pub(super) fn new(runs: Arc<dyn Runs>, tasks: Tasks) -> Self {
        Self { runs, tasks, running: Arc::default() }
    }

    /// How many run.
    pub(super) fn count(&self) -> usize {
        self.running.lock().len()
    }

    /// The command of a key, if it runs.
    pub(super) fn find(&self, key: RequestKey) -> Option<Arc<Running>> {
        self.running.lock().get(&key).cloned()
    }

    /// Begins a command, unless one of its key runs by now.
    ///
    /// # Errors
    /// `queue_full` when too many run.
    pub(super) fn begin(
        &self,
        key: RequestKey,
        json: Vec<u8>,
        place: OwnedSemaphorePermit,
    ) -> Result<Arc<Running>, Failure> {
        let mut running = self.running.lock();
        if let Some(running) = running.get(&key) {
            return Ok(running.clone());
        }
        if running.len() >= RUNNING_MAX {
            let message = format!("failed to run a command: {RUNNING_MAX} run already; try again later");
            return Err(Failure::new(ErrorCode::QueueFull, message));
        }
        let begun = Arc::new(Running {
            progress: watch::Sender::default(),
            ended: watch::Sender::default(),
            interrupted: self.tasks.leaving.child_token(),
            taken_back: AtomicBool::new(false),
            _place: place,
        });
        running.insert(key, begun.clone());
        drop(running);
        self.spawn(key, json, begun.clone());
        Ok(begun)
    }

    fn spawn(&self, key: RequestKey, json: Vec<u8>, running: Arc<Running>) {
        let entry = Entry { running: self.running.clone(), key };
        let (watch, interrupted) = (running.clone(), running.interrupted.clone());
        let runs = self.runs.clone();
        self.tasks.spawn(async move {
            // Made in here, so that what panics before it waits for anything is caught too.
            let answer = async { runs.run(json, watch, interrupted).await };
            let answered = AssertUnwindSafe(answer).catch_unwind().await;
            let ended = Ended::of(answered.unwrap_or_else(|_| Err(fault())));
            // Before anybody hears of the end: whoever asks again from there on asks for another run.
            drop(entry);
            running.ended.send_replace(Some(ended));
        });
    }
}

/// A command in the book of those that run, until this is dropped.
struct Entry {
    running: Arc<Mutex<HashMap<RequestKey, Arc<Running>>>>,
    key: RequestKey,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.running.lock().remove(&self.key);
    }
}

fn fault() -> Failure {
    Failure::new(ErrorCode::Internal, "failed to run the command, a fault of Thumbforge; please report it with the log")
}
