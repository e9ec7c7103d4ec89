//! Who makes the pictures of a command: the sidecar that runs on the data directory, or this process itself.
//!
//! A command never starts a sidecar. Over the channel it is a client like an editor, so a build that outlives its sidecar
//! goes over to the next one, and nothing is drawn twice.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::Deserialize;
use thumbforge_channel::client::{Completion, Deliver, Link, Options, Outcome, RecipeForm, Request, Session, Start};
use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::id::ContentHash;
use thumbforge_core::job::{Ending, JobSpec, Render};
use thumbforge_core::limits;
use thumbforge_core::model::Catalogue;
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

use crate::executor::may_answer;
use crate::intake::Intake;
use crate::publish::{Follow, Progress};
use crate::router::{self, Allowed, EnginesHere};
use crate::store::{Pin, SharedCache};

/// How long a sidecar may take to let a command in; it takes a millisecond.
const GREETING_MAX: Duration = Duration::from_secs(10);
/// How long a command waits for another sidecar when its own is gone: an editor starts one within a second.
const GONE_MAX: Duration = Duration::from_secs(10);
/// How long a sidecar may take to say what became of a job that was taken back. Whoever interrupts a command wants its
/// end, also when the sidecar has been stopped.
const TAKEN_BACK_MAX: Duration = Duration::from_secs(10);
/// Pause between two looks for a sidecar that is just starting.
const STARTING_LOOK: Duration = Duration::from_millis(20);
/// How often it is looked whether the sidecar is there.
const LOOK: Duration = Duration::from_millis(200);

/// Makes pictures; clones share it.
#[derive(Clone)]
pub enum Maker {
    /// This process.
    Here(Intake),
    /// A sidecar.
    There(Arc<There>),
    /// Either, with the team's folder of shared renders before it.
    Shared(Arc<Shared>),
}

/// A maker, and the folder that a team shares renders in. The folder is the manifest's, so the sidecar, which serves any
/// number of projects, does not know of it, and whoever builds a project looks there.
pub struct Shared {
    team: Arc<Team>,
    maker: Maker,
}

/// A picture, or why there is none.
pub struct Made {
    /// How its job ended.
    pub ending: Ending,
    /// Tries it took.
    pub attempts: u32,
    /// The finished PNG, when done.
    pub png: Option<Vec<u8>>,
}

impl Made {
    fn taken_back() -> Self {
        Self { ending: Ending::Cancelled, attempts: 0, png: None }
    }
}

/// Keeps a file that recipes name.
pub enum Kept {
    /// In this process's store.
    Here(Pin),
    /// By the sidecar, as long as the command is connected.
    There,
}

impl Maker {
    /// The sidecar of a data directory, if one runs or begins to within `patience`. `project` is who asks, as turns are
    /// shared out.
    ///
    /// # Errors
    /// When one runs that cannot be talked to.
    pub fn there(data_dir: &Path, project: &str, patience: Duration) -> Result<Option<Self>, Failure> {
        let deadline = Instant::now() + patience;
        let session = Session::open(Options::new(data_dir, project, Start::Never))?;
        loop {
            match session.attached(GREETING_MAX) {
                Ok(()) => return Ok(Some(Self::There(Arc::new(There::new(session)?)))),
                Err(failure) if failure.code != ErrorCode::NoSidecar => return Err(failure),
                Err(_) if Instant::now() >= deadline => return Ok(None),
                // Nothing was asked, so this waits for its time alone.
                Err(_) => drop(session.wait(STARTING_LOOK)),
            }
        }
    }

    /// This maker, with the team's folder of shared renders before it where there is one.
    pub fn with_cache(self, folder: Option<&Path>) -> Self {
        let Some(cache) = folder.and_then(SharedCache::open) else { return self };
        let (catalogue, here) = (Catalogue::built_in(), crate::engine::cards_of_this_build());
        Self::Shared(Arc::new(Shared { team: Arc::new(Team { cache, catalogue, here }), maker: self }))
    }

    /// Makes one picture. Raising `interrupted` takes it back; one that was done first is still told.
    ///
    /// # Errors
    /// When the job was not accepted.
    pub async fn make(&self, spec: JobSpec, interrupted: &CancellationToken) -> Result<Made, Failure> {
        self.make_heard(spec, interrupted, None).await
    }

    /// As [`Maker::make`], telling `heard` what its job goes through on its way, as far as this process knows that.
    ///
    /// # Errors
    /// As [`Maker::make`].
    pub async fn make_heard(
        &self,
        spec: JobSpec,
        interrupted: &CancellationToken,
        heard: Heard<'_>,
    ) -> Result<Made, Failure> {
        match self {
            Self::Here(intake) => here(intake, spec, interrupted, heard).await,
            // Its sidecar would tell, but nobody has asked for that yet: a command line shows images that have ended.
            Self::There(there) => there.make(spec, interrupted).await,
            Self::Shared(shared) => Box::pin(shared.make(spec, interrupted, heard)).await,
        }
    }

    /// Keeps a file that recipes name by its content. `read` gives its bytes.
    ///
    /// # Errors
    /// Why it cannot be read or kept.
    pub async fn keep(
        &self,
        path: &Path,
        read: impl FnOnce() -> Result<Vec<u8>, Failure>,
    ) -> Result<(ContentHash, Kept), Failure> {
        let maker = match self {
            Self::Shared(shared) => &shared.maker,
            alone => alone,
        };
        match maker {
            Self::Here(intake) => intake.provide(read()?).await.map(|(content, pin)| (content, Kept::Here(pin))),
            Self::There(there) => Ok((there.keep(path).await?, Kept::There)),
            // Nobody wraps one in another; the file would have to be kept by the inner one.
            Self::Shared(_) => Err(Failure::new(ErrorCode::Internal, "failed to keep a file: two shared folders")),
        }
    }
}

/// Who hears what a job goes through.
pub type Heard<'a> = Option<&'a (dyn Fn(Progress) + Send + Sync)>;

async fn here(
    intake: &Intake,
    spec: JobSpec,
    interrupted: &CancellationToken,
    heard: Heard<'_>,
) -> Result<Made, Failure> {
    let mut ticket = intake.submit(spec).await?;
    let job = ticket.id;
    let mut follow = heard.and_then(|_| intake.follow(job).ok());
    let ended = loop {
        tokio::select! {
            ending = ticket.ending() => break Some(ending),
            () = interrupted.cancelled() => break None,
            progress = next(&mut follow) => {
                heard.filter(|_| !progress.state.is_final()).into_iter().for_each(|heard| heard(progress));
            }
        }
    };
    drop(follow);
    let ending = match ended {
        Some(ending) => ending,
        None => intake.withdraw(ticket).await?,
    };
    let Ending::Done { render, attempts, .. } = &ending else {
        let attempts = intake.job(job).map_or(0, |row| row.attempts);
        return Ok(Made { ending, attempts, png: None });
    };
    let (attempts, picture) = (*attempts, intake.picture(render.realised_key).await);
    let gone = || Failure::new(ErrorCode::Storage, "failed to read the finished picture back from the store");
    let (_, png) = picture.ok_or_else(gone)?;
    Ok(Made { ending, attempts, png: Some(png) })
}

async fn next(follow: &mut Option<Follow>) -> Progress {
    match follow {
        Some(follow) => follow.next().await,
        None => std::future::pending().await,
    }
}

/// A sidecar, over the channel.
pub struct There {
    line: Arc<Line>,
    answers: Option<JoinHandle<()>>,
}

struct Line {
    session: Session,
    waiting: Mutex<HashMap<u64, oneshot::Sender<Result<Completion, Failure>>>>,
    /// Room for another request.
    room: Notify,
}

/// What finds a picture in the team's folder.
struct Team {
    cache: SharedCache,
    catalogue: Catalogue,
    here: EnginesHere,
}

impl Shared {
    async fn make(&self, spec: JobSpec, interrupted: &CancellationToken, heard: Heard<'_>) -> Result<Made, Failure> {
        let team = self.team.clone();
        let looked = in_thread(move || {
            let found = team.find(&spec);
            (spec, found)
        });
        let (spec, found) = looked.await?;
        if let Some(made) = found {
            return Ok(made);
        }
        let made = self.maker.make_heard(spec, interrupted, heard).await?;
        if let (Ending::Done { render, .. }, Some(png)) = (&made.ending, &made.png) {
            let (team, render, png) = (self.team.clone(), render.clone(), png.clone());
            in_thread(move || team.cache.put(&render, &png)).await?;
        }
        Ok(made)
    }
}

impl Team {
    fn find(&self, spec: &JobSpec) -> Option<Made> {
        let allowed = Allowed { placeholder: spec.placeholder, lossy: spec.lossy };
        // What has no route here may have one in the sidecar, which says so if not.
        let route = router::route(&spec.recipe, allowed, &self.catalogue, &self.here).ok()?;
        let found = self.cache.get(route.realisation.key(spec.recipe.planned_key()));
        // What another project let pass may be held to more here.
        let (render, png) = found.filter(|(render, _)| may_answer(spec, render))?;
        let ending = Ending::Done { render: Box::new(render), cached: true, attempts: 0 };
        Some(Made { ending, attempts: 0, png: Some(png) })
    }
}

/// What a completion says in words.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Detail {
    Render(Box<Render>),
    Failure(Failure),
    Content(ContentHash),
    Answer(serde_json::Value),
}

fn detail(completion: &Completion) -> Result<Detail, Failure> {
    serde_json::from_slice(&completion.detail).map_err(|err| {
        // A detail that was too long to be sent leaves the code.
        let code = ErrorCode::ALL.iter().copied().find(|code| code.number() == completion.code);
        let message = format!("failed to understand the sidecar's answer: {err}");
        Failure::new(code.unwrap_or(ErrorCode::Internal), message)
    })
}

impl There {
    fn new(session: Session) -> Result<Self, Failure> {
        let line = Arc::new(Line { session, waiting: Mutex::default(), room: Notify::new() });
        let listening = line.clone();
        let answers = std::thread::Builder::new().name("answers".to_owned()).spawn(move || listening.listen());
        let answers =
            answers.map_err(|err| Failure::new(ErrorCode::Internal, format!("failed to start a thread: {err}")))?;
        Ok(Self { line, answers: Some(answers) })
    }

    async fn make(&self, spec: JobSpec, interrupted: &CancellationToken) -> Result<Made, Failure> {
        let recipe = serde_json::to_vec(&spec.recipe)
            .map_err(|err| Failure::new(ErrorCode::Internal, format!("failed to write a recipe: {err}")))?;
        let terms = match spec.terms.is_default() {
            true => Vec::new(),
            false => serde_json::to_vec(&spec.terms).map_err(|err| {
                Failure::new(ErrorCode::Internal, format!("failed to write the terms of a job: {err}"))
            })?,
        };
        if terms.len() > limits::TERMS_BYTES_MAX {
            let message = format!(
                "failed to send the terms of a job: they have {} bytes, and {} is the most; name fewer models of your own",
                terms.len(),
                limits::TERMS_BYTES_MAX
            );
            return Err(Failure::new(ErrorCode::TooLarge, message));
        }
        let request = Request {
            asset: &spec.asset.name,
            locale: &spec.asset.locale,
            lane: spec.lane,
            priority: spec.priority,
            deadline_ms: spec.deadline_ms,
            placeholder: spec.placeholder,
            lossy: spec.lossy,
            gate: spec.gate,
            read_back: spec.read_back,
            safe_inset: spec.safe_inset,
            deliver: Deliver::Png,
            tag: 0,
            recipe: RecipeForm::Json(&recipe),
            terms: &terms,
        };
        let asked = tokio::select! {
            asked = self.line.ask(|session| session.submit(&request)) => asked?,
            () = interrupted.cancelled() => return Ok(Made::taken_back()),
        };
        let (number, mut answer) = asked;
        let answered = tokio::select! {
            answer = &mut answer => Some(answer),
            () = interrupted.cancelled() => {
                // It may have ended just now, and is answered either way.
                let taken_back = async {
                    self.line.take_back(number).await;
                    answer.await
                };
                tokio::time::timeout(TAKEN_BACK_MAX, taken_back).await.ok()
            }
        };
        let Some(answered) = answered else { return Ok(Made::taken_back()) };
        let completion = heard(answered)?;
        let (attempts, cached) = (completion.attempts, completion.cached);
        let (ending, png) = match (completion.outcome, detail(&completion)?) {
            (Outcome::Done, Detail::Render(render)) => {
                let png = completion.texture.as_ref().map(thumbforge_channel::client::Texture::to_vec);
                (Ending::Done { render, cached, attempts }, png)
            }
            (Outcome::Cancelled, _) => (Ending::Cancelled, None),
            (_, Detail::Failure(failure)) => (Ending::Failed(failure), None),
            _ => return Err(not_understood()),
        };
        if let Ending::Done { render, .. } = &ending {
            // A sidecar of another version may know fewer fields, and what it does not know it does not read.
            if render.planned_key != spec.recipe.planned_key() {
                return Err(Failure::new(
                    ErrorCode::VersionMismatch,
                    "failed to take the picture: the sidecar is of another version and read the recipe differently; \
                     restart it, or draw without it (--no-sidecar)",
                ));
            }
        }
        Ok(Made { ending, attempts, png })
    }

    async fn keep(&self, path: &Path) -> Result<ContentHash, Failure> {
        let path = std::path::absolute(path)
            .map_err(|err| Failure::new(ErrorCode::InputFile, format!("failed to find {}: {err}", path.display())))?;
        let (_, answer) = self.line.ask(|session| session.provide(&path)).await?;
        match detail(&heard(answer.await)?)? {
            Detail::Content(content) => Ok(content),
            Detail::Failure(failure) => Err(failure),
            Detail::Render(_) | Detail::Answer(_) => Err(not_understood()),
        }
    }

    /// Has the sidecar obey a command.
    ///
    /// # Errors
    /// Why it did not.
    pub(crate) async fn command(&self, order: &serde_json::Value) -> Result<serde_json::Value, Failure> {
        let json = order.to_string();
        let (_, answer) = self.line.ask(|session| session.command(json.as_bytes(), 0)).await?;
        match detail(&heard(answer.await)?)? {
            Detail::Answer(answer) => Ok(answer),
            Detail::Failure(failure) => Err(failure),
            Detail::Render(_) | Detail::Content(_) => Err(not_understood()),
        }
    }
}

impl Drop for There {
    fn drop(&mut self) {
        self.line.session.stop();
        if let Some(answers) = self.answers.take() {
            // A panic in there was told where it happened.
            let _ = answers.join();
        }
    }
}

/// Runs what reads and writes files of the network away from the tasks.
async fn in_thread<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    let ran = tokio::task::spawn_blocking(body).await;
    ran.map_err(|err| Failure::new(ErrorCode::Internal, format!("failed to use the shared cache: {err}")))
}

fn not_understood() -> Failure {
    Failure::new(ErrorCode::Internal, "failed to understand the sidecar's answer")
}

fn heard(answer: Result<Result<Completion, Failure>, oneshot::error::RecvError>) -> Result<Completion, Failure> {
    answer.unwrap_or_else(|_| Err(Failure::new(ErrorCode::Internal, "failed to hear an answer: the session has ended")))
}

type Answer = oneshot::Receiver<Result<Completion, Failure>>;

impl Line {
    /// Sends a request, as soon as there is room for it.
    async fn ask(&self, send: impl Fn(&Session) -> Result<u64, Failure>) -> Result<(u64, Answer), Failure> {
        loop {
            let room = self.room.notified();
            {
                // Held while it is sent, so that its answer finds somebody waiting.
                let mut waiting = self.waiting.lock();
                match send(&self.session) {
                    Ok(number) => {
                        let (sender, receiver) = oneshot::channel();
                        waiting.insert(number, sender);
                        return Ok((number, receiver));
                    }
                    Err(failure) if failure.code == ErrorCode::QueueFull && !waiting.is_empty() => {}
                    Err(failure) => return Err(failure),
                }
            }
            room.await;
        }
    }

    /// Takes a request back, as soon as there is room to say so. One that is answered meanwhile is answered.
    async fn take_back(&self, number: u64) {
        loop {
            let room = self.room.notified();
            match self.session.cancel(number) {
                Err(failure) if failure.code == ErrorCode::QueueFull => room.await,
                _ => return,
            }
        }
    }

    /// Hands answers to those who wait, until the session is stopped.
    fn listen(&self) {
        let mut gone_since: Option<Instant> = None;
        while !self.session.is_stopped() {
            self.session.wait(LOOK);
            while let Some(completion) = self.session.poll() {
                if let Some(waiter) = self.waiting.lock().remove(&completion.number) {
                    // Whoever went away wants no answer.
                    let _ = waiter.send(Ok(completion));
                }
            }
            // Also when nothing was answered: the sidecar may have taken what it was sent.
            self.room.notify_waiters();
            let state = self.session.state();
            if state.link == Link::Attached {
                gone_since = None;
            } else if gone_since.get_or_insert_with(Instant::now).elapsed() > GONE_MAX {
                let message = format!(
                    "failed to hear from the sidecar: it is gone, and none took its place within {} s; run the same command \
                     again, what is done is kept",
                    GONE_MAX.as_secs()
                );
                for (_, waiter) in self.waiting.lock().drain() {
                    let _ = waiter.send(Err(Failure::new(ErrorCode::NoSidecar, message.clone())));
                }
                self.room.notify_waiters();
            }
        }
    }
}
