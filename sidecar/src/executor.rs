//! Worker threads that route, draw, set text, check and encode: one attempt at a time each.
//!
//! A worker changes no job's state; it answers the dispatcher with an event.
//! A panic in one attempt ends that attempt and nothing else.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;
use thumbforge_core::error::{ErrorCode, Failure, chain};
use thumbforge_core::id::{JobId, PlannedKey};
use thumbforge_core::job::{Ending, Gate, JobSpec, JobState, Outcome, Render, Route};
use thumbforge_core::model::Catalogue;
use thumbforge_core::verdict::Severity;

use crate::clock::Clock;
use crate::dispatch::{Acts, Dispatcher, Event, Planned, State};
use crate::engine::{Cancel, Control, Engines};
use crate::journal::{Journal, ops};
use crate::metrics::Metrics;
use crate::output::png;
use crate::output::provenance::Provenance;
use crate::publish::Publisher;
use crate::router::{self, Allowed};
use crate::store::Store;
use crate::verify;
use crate::{compose, fonts::Fonts};

/// Everything an attempt needs.
pub struct Tools {
    /// Where specs are read.
    pub journal: Journal,
    /// Where art is read and renders are kept.
    pub store: Store,
    /// What draws.
    pub engines: Engines,
    /// Which models there are.
    pub catalogue: Arc<Catalogue>,
    /// Fonts of the package and of manifests.
    pub fonts: Fonts,
    /// The time.
    pub clock: Clock,
}

enum Task {
    Plan(JobId),
    Draw { job: JobId, attempt: u32, route: Box<Route>, cancel: Cancel },
}

/// The dispatcher's hands.
pub struct Executor {
    tasks: Sender<Task>,
    running: Arc<Mutex<HashMap<JobId, Cancel>>>,
    publisher: Publisher,
    metrics: Arc<Metrics>,
}

impl Executor {
    /// Starts `workers` threads. `slots` bounds the tasks that the dispatcher hands out, so handing out never waits.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        workers: usize,
        slots: usize,
        tools: Arc<Tools>,
        dispatcher: Dispatcher,
        publisher: Publisher,
        metrics: Arc<Metrics>,
    ) -> std::io::Result<Self> {
        let (tasks, receiver) = bounded(slots * 2);
        let running: Arc<Mutex<HashMap<JobId, Cancel>>> = Arc::default();
        for number in 0..workers.max(1) {
            let worker = Worker {
                tools: tools.clone(),
                dispatcher: dispatcher.clone(),
                running: running.clone(),
                publisher: publisher.clone(),
            };
            let receiver = receiver.clone();
            std::thread::Builder::new().name(format!("draw-{number}")).spawn(move || worker.run(&receiver))?;
        }
        Ok(Self { tasks, running, publisher, metrics })
    }

    fn hand_out(&self, task: Task) {
        // The workers end only when this sender is dropped.
        let _ = self.tasks.send(task);
    }
}

impl Acts for Executor {
    fn plan(&mut self, job: JobId) {
        self.publisher.state(job, JobState::Planning);
        self.hand_out(Task::Plan(job));
    }

    fn draw(&mut self, job: JobId, attempt: u32, route: Box<Route>) {
        self.publisher.state(job, JobState::Running);
        let cancel = Cancel::default();
        self.running.lock().insert(job, cancel.clone());
        self.hand_out(Task::Draw { job, attempt, route, cancel });
    }

    fn stop(&mut self, job: JobId) {
        if let Some(cancel) = self.running.lock().get(&job) {
            cancel.raise();
        }
    }

    fn ended(&mut self, job: JobId, ending: &Ending) {
        self.metrics.ended(ending);
        self.publisher.ended(job, ending);
    }

    fn census(&mut self, state: &State) {
        self.metrics.open_jobs(state.open());
    }
}

struct Worker {
    tools: Arc<Tools>,
    dispatcher: Dispatcher,
    running: Arc<Mutex<HashMap<JobId, Cancel>>>,
    publisher: Publisher,
}

impl Worker {
    fn run(&self, tasks: &Receiver<Task>) {
        while let Ok(task) = tasks.recv() {
            let event = match task {
                Task::Plan(job) => {
                    let planned = guarded(|| self.tools.plan(job)).unwrap_or_else(Planned::Refused);
                    Event::Planned { job, planned }
                }
                Task::Draw { job, attempt, route, cancel } => {
                    let result = guarded(|| self.tools.attempt(job, &route, &cancel, &self.publisher))
                        .unwrap_or_else(|failure| Err((Outcome::Failed, failure)));
                    self.running.lock().remove(&job);
                    Event::Drawn { job, attempt, result }
                }
            };
            self.dispatcher.tell_blocking(event);
        }
    }
}

/// Turns a panic into a failure of this attempt alone.
fn guarded<T>(body: impl FnOnce() -> T) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(body)).map_err(|panic| {
        let said = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_default();
        Failure::new(ErrorCode::Internal, format!("failed to finish an attempt, a fault of Thumbforge: {said}"))
    })
}

impl Tools {
    fn spec(&self, job: JobId) -> Result<(JobSpec, PlannedKey), Failure> {
        let row = self.journal.read(|connection| ops::spec(connection, job)).map_err(|err| err.failure())?;
        let (json, planned) =
            row.ok_or_else(|| Failure::new(ErrorCode::Corrupt, format!("failed to find job {job} in the journal")))?;
        Ok((ops::spec_from_json(&json)?, planned))
    }

    fn plan(&self, job: JobId) -> Planned {
        if let Some(ending) = self.ended(job) {
            return Planned::Ended(ending);
        }
        let route = self.spec(job).and_then(|(spec, planned)| Ok((self.route(&spec)?, planned)));
        match route {
            Err(failure) => Planned::Refused(failure),
            Ok((route, planned)) => {
                let key = route.realisation.key(planned);
                match self.store.render(key) {
                    Some((render, _)) => Planned::Cached(Box::new(render)),
                    None => Planned::Draw { route: Box::new(route), key },
                }
            }
        }
    }

    /// How a job ended, if the journal says that it has. What it cost was counted when it did.
    fn ended(&self, job: JobId) -> Option<Ending> {
        let ending = self.journal.read(|connection| ops::ending(connection, job)).ok().flatten()?;
        Some(match ending {
            Ending::Done { render, attempts, .. } => Ending::Done { render, cached: true, attempts },
            other => other,
        })
    }

    /// Where a job goes on this machine.
    ///
    /// # Errors
    /// As [`router::route`].
    pub fn route(&self, spec: &JobSpec) -> Result<Route, Failure> {
        let allowed = Allowed { placeholder: spec.placeholder, lossy: spec.lossy };
        router::route(&spec.recipe, allowed, &self.catalogue, self.engines.here())
    }

    fn attempt(
        &self,
        job: JobId,
        route: &Route,
        cancel: &Cancel,
        publisher: &Publisher,
    ) -> Result<Box<Render>, (Outcome, Failure)> {
        let started = Instant::now();
        let failed = |failure| (Outcome::Failed, failure);
        let (spec, planned) = self.spec(job).map_err(failed)?;
        let step = |done, steps| publisher.step(job, done, steps);
        let verifying = || publisher.state(job, JobState::Verifying);
        let control = Control::new(cancel, &step);
        let render = self.render(&spec, planned, route, &control, &verifying, started).map_err(|failure| {
            let outcome = if cancel.is_raised() { Outcome::Cancelled } else { Outcome::Failed };
            (outcome, failure)
        })?;
        if spec.gate == Gate::Enforce && !render.verdict.passed {
            let worst = render.verdict.findings.iter().find(|finding| finding.severity == Severity::Error);
            let said = worst.map(|finding| finding.message.clone()).unwrap_or_default();
            let failure = Failure::new(ErrorCode::VerificationFailed, format!("failed to pass the checks: {said}"));
            return Err(failed(Failure { findings: render.verdict.findings, ..failure }));
        }
        Ok(Box::new(render))
    }

    fn render(
        &self,
        spec: &JobSpec,
        planned: PlannedKey,
        route: &Route,
        control: &Control<'_>,
        verifying: &dyn Fn(),
        started: Instant,
    ) -> Result<Render, Failure> {
        let recipe = &spec.recipe;
        let engine = self.engines.get(&route.engine).ok_or_else(|| {
            Failure::new(ErrorCode::ModelUnavailable, format!("failed to find the engine {}", route.engine))
        })?;
        let drawn = engine.draw(recipe, route.realisation.seed, control).map_err(|err| err.failure())?;
        let fonts = self.fonts.with(recipe, &self.store)?;
        let composed = compose::compose(drawn.image, recipe, &fonts)?;
        if control.is_cancelled() {
            return Err(Failure::new(ErrorCode::Cancelled, "failed to draw: it was cancelled"));
        }
        verifying();
        let verdict = verify::verify(&composed, spec);
        let realised_key = route.realisation.key(planned);
        let provenance = Provenance::new(
            recipe,
            route.realisation.clone(),
            route.model.clone(),
            route.placeholder_for.clone(),
            drawn.credits,
        );
        let bytes = png::encode(&composed.image, &provenance)
            .map_err(|err| Failure::new(ErrorCode::Internal, format!("failed to {}", chain(&err))))?;
        let (blob, _pin) = self.store.put(&bytes).map_err(|err| err.failure())?;
        let render = Render {
            planned_key: planned,
            realised_key,
            blob,
            pixels: composed.image.hash(),
            size: recipe.size,
            realisation: route.realisation.clone(),
            model: route.model.clone(),
            placeholder_for: route.placeholder_for.clone(),
            verdict,
            latency_ms: started.elapsed().as_millis() as u64,
            cost_micros_usd: 0,
        };
        self.store.share(&render, &bytes);
        Ok(render)
    }
}
