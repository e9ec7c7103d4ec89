//! A sidecar that draws nothing: it answers as the prompt says, so that the channel alone is under test.

// Each suite uses its own part of this.
#![allow(dead_code, unreachable_pub)]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use thumbforge_channel::client::{Brief, Completion, Deliver, Options, RecipeForm, Request, Session, Start};
use thumbforge_channel::server::{self, Client, Guest, Host, Reply, Serving};
use thumbforge_core::error::Failure;
use thumbforge_core::id::RequestKey;
use thumbforge_core::job::{Gate, JobState, Lane};
use thumbforge_core::recipe::Tier;
use thumbforge_core::wire::hello::Hello;
use thumbforge_core::wire::message::{self, Outcome};

/// Nothing here takes so long.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Answers every job at once, and remembers what it was asked.
#[derive(Default)]
pub struct Echo {
    /// How often each key was asked for.
    pub asked: Mutex<HashMap<RequestKey, usize>>,
    /// Jobs by project.
    pub projects: Mutex<HashMap<String, usize>>,
    /// Jobs and commands that wait for somebody to let them go: those whose prompt or JSON is `hold`.
    pub held: Mutex<Vec<(Client, u64)>>,
    /// Clients that have gone.
    pub gone: AtomicUsize,
    /// Builds that asked it to drain.
    pub drains: Mutex<Vec<String>>,
    /// A project that is not let in.
    pub refuses: Option<String>,
}

pub struct EchoGuest {
    echo: Arc<Echo>,
    client: Client,
    project: String,
}

/// The host as the server has it.
pub struct Shared(pub Arc<Echo>);

impl Host for Shared {
    fn welcome(&self, hello: &Hello, client: Client) -> Result<Arc<dyn Guest>, Failure> {
        if self.0.refuses.as_ref() == Some(&hello.project) {
            return Err(Failure::new(thumbforge_core::error::ErrorCode::Forbidden, "failed to let you in"));
        }
        Ok(Arc::new(EchoGuest { echo: self.0.clone(), client, project: hello.project.clone() }))
    }

    fn drain(&self, build: &str) {
        self.0.drains.lock().push(build.to_owned());
    }
}

/// The byte at `at` of the picture for `seed`.
pub fn byte(seed: u64, at: usize) -> u8 {
    (seed as usize).wrapping_mul(7).wrapping_add(at / 4).wrapping_add(at % 4) as u8
}

impl EchoGuest {
    /// Answers with the picture for `seed`. A thread a picture is enough of an executor for a test.
    fn draw(&self, reply: Reply, seed: u64) {
        let client = self.client.clone();
        std::thread::spawn(move || {
            let bytes = reply.size.0 as usize * reply.size.1 as usize * 4;
            let Ok(reservation) = block_on(client.reserve(bytes)) else { return };
            let Ok(mut slot) = reservation.open() else { return };
            for (at, byte_of) in slot.bytes_mut().iter_mut().enumerate() {
                *byte_of = byte(seed, at);
            }
            client.complete(&reply, Some(slot));
        });
    }
}

impl Guest for EchoGuest {
    fn submit(&self, number: u64, key: RequestKey, request: message::Request<'_>) {
        *self.echo.asked.lock().entry(key).or_default() += 1;
        *self.echo.projects.lock().entry(self.project.clone()).or_default() += 1;
        let RecipeForm::Brief(brief) = request.recipe else {
            self.client.complete(&Reply { detail: b"json".to_vec(), ..Reply::bare(number, Outcome::Done) }, None);
            return;
        };
        if brief.prompt == "fault" {
            panic!("a fault of the host, as this test wants it");
        }
        if brief.prompt == "hold" {
            self.client.progress(number, JobState::Running, 3, 28);
            self.echo.held.lock().push((self.client.clone(), number));
            return;
        }
        if brief.prompt == "fail" {
            let reply = Reply { code: 12, detail: b"because".to_vec(), ..Reply::bare(number, Outcome::Failed) };
            self.client.complete(&reply, None);
            return;
        }
        let (seed, size, format) = (brief.seed.unwrap_or(0), brief.size, request.deliver);
        let reply = Reply { seed, size, format, attempts: 1, ..Reply::bare(number, Outcome::Done) };
        if format == Deliver::Nothing {
            self.client.complete(&reply, None);
            return;
        }
        self.draw(reply, seed);
    }

    fn provide(&self, number: u64, path: PathBuf) {
        let detail = path.to_string_lossy().into_owned().into_bytes();
        self.client.complete(&Reply { detail, ..Reply::bare(number, Outcome::Done) }, None);
    }

    fn command(&self, number: u64, key: RequestKey, json: &[u8]) {
        *self.echo.asked.lock().entry(key).or_default() += 1;
        match json {
            b"fault" => panic!("a fault of the host, as this test wants it"),
            b"hold" => {
                self.client.progress(number, JobState::Running, 2, 40);
                self.echo.held.lock().push((self.client.clone(), number));
            }
            b"picture" => {
                let (size, format, detail) = ((64, 48), Deliver::Pixels, json.to_vec());
                self.draw(Reply { size, format, detail, ..Reply::bare(number, Outcome::Done) }, number);
            }
            _ => self.client.complete(&Reply { detail: json.to_vec(), ..Reply::bare(number, Outcome::Done) }, None),
        }
    }

    fn cancel(&self, number: u64) {
        let mut held = self.echo.held.lock();
        if let Some(at) = held.iter().position(|(_, held)| *held == number) {
            held.remove(at);
            self.client.complete(&Reply { code: 8, ..Reply::bare(number, Outcome::Cancelled) }, None);
        }
    }

    fn gone(&self) {
        self.echo.gone.fetch_add(1, Ordering::SeqCst);
    }
}

/// A data directory with a server on it.
pub struct Rig {
    pub folder: tempfile::TempDir,
    pub echo: Arc<Echo>,
    pub serving: Option<Serving>,
    pub shared_memory: bool,
}

impl Rig {
    pub fn new(shared_memory: bool) -> Self {
        Self::with(shared_memory, Echo::default())
    }

    pub fn with(shared_memory: bool, echo: Echo) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut rig = Self { folder, echo: Arc::new(echo), serving: None, shared_memory };
        rig.serve();
        rig
    }

    pub fn data(&self) -> &Path {
        self.folder.path()
    }

    pub fn serve(&mut self) {
        let options = server::Options { shared_memory: self.shared_memory, ..server::Options::default() };
        let host = Arc::new(Shared(self.echo.clone()));
        self.serving = Some(server::serve(self.folder.path(), host, options).expect("a socket"));
    }

    pub fn stop(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.close();
        }
    }

    pub fn open(&self, project: &str) -> Session {
        let options = Options::new(self.data(), project, Start::Never);
        let session = Session::open(options).expect("a session");
        session.attached(PATIENCE).expect("a server");
        session
    }
}

/// A job for a picture of `side` pixels.
pub fn job(prompt: &str, side: u32, seed: u64, deliver: Deliver) -> Request<'_> {
    Request {
        asset: "",
        locale: "",
        lane: Lane::Interactive,
        priority: 0,
        deadline_ms: None,
        placeholder: false,
        lossy: false,
        gate: Gate::Report,
        read_back: false,
        safe_inset: None,
        deliver,
        tag: seed,
        terms: b"",
        recipe: RecipeForm::Brief(Brief {
            prompt,
            negative: "",
            model: "",
            text: "",
            size: (side, side),
            tier: Tier::Preview,
            seed: Some(seed),
            steps: None,
            guidance: None,
        }),
    }
}

/// The next completion, within [`PATIENCE`].
#[track_caller]
pub fn next(session: &Session) -> Completion {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(completion) = session.poll() {
            return completion;
        }
        assert!(Instant::now() < deadline, "nothing came: {:?}", session.state());
        session.wait(Duration::from_secs(1));
    }
}

/// Looks until `condition` holds.
#[track_caller]
pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what} did not come");
        std::thread::yield_now();
    }
}

/// Runs a future on this thread.
pub fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        std::thread::park();
    }
}
