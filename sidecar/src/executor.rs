//! Worker threads that route, draw, set text, check and encode: one attempt at a time each.
//!
//! A worker changes no job's state; it answers the dispatcher with an event.
//! A panic in one attempt ends that attempt and nothing else.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;
use thumbforge_core::day::Day;
use thumbforge_core::error::{ErrorCode, Failure, chain};
use thumbforge_core::id::{JobId, PlannedKey, RealisedKey};
use thumbforge_core::job::{Ending, Gate, JobSpec, JobState, Outcome, Purchase, Render, Route};
use thumbforge_core::model::ModelId;
use thumbforge_core::recipe::Recipe;
use thumbforge_core::terms::{Budget, Scope};
use thumbforge_hosted::adapter::adapter;
use tokio_util::sync::CancellationToken;

use crate::buyer::{self, Buyer, Fresh, Order};
use crate::clock::Clock;
use crate::compose::{self, masked};
use crate::dispatch::{Acts, Called, Dispatcher, Event, GateLimits, Offer, Offers, Planned, State};
use crate::engine::{self, Cancel, Control, Drawn, EngineError, Engines};
use crate::fonts::Fonts;
use crate::journal::ledger::{self, Art, Settled};
use crate::journal::{Journal, ops};
use crate::market::{Limits, Market, Shelf};
use crate::metrics::Metrics;
use crate::output::png::{self, DecodeLimits};
use crate::output::provenance::Provenance;
use crate::publish::Publisher;
use crate::router::{self, Health};
use crate::store::Store;
use crate::verify::{self, Eyes};

/// Everything an attempt needs.
pub struct Tools {
    /// What may be bought where.
    pub shelf: Arc<Shelf>,
    /// What was bought a moment ago.
    pub fresh: Arc<Fresh>,
    /// Where specs are read.
    pub journal: Journal,
    /// Where art is read and renders are kept.
    pub store: Store,
    /// What draws.
    pub engines: Engines,
    /// Fonts of the package and of manifests.
    pub fonts: Fonts,
    /// What reads words.
    pub eyes: Eyes,
    /// The time.
    pub clock: Clock,
    /// The revision of the market that the dispatcher knows.
    pub told: AtomicU64,
}

/// The engine whose drawings wait for a model, on threads of their own.
const MODEL_ENGINE: &str = "local";

enum Task {
    Plan(JobId),
    Draw { job: JobId, attempt: u32, route: Box<Route>, cancel: Cancel },
}

/// What runs for a job, so that it can be stopped.
enum Running {
    Drawing(Cancel),
    Calling(CancellationToken),
}

type Runs = Arc<Mutex<HashMap<JobId, Running>>>;

/// The dispatcher's hands.
pub struct Executor {
    tasks: Sender<Task>,
    running: Runs,
    worker: Worker,
    tools: Arc<Tools>,
    buyer: Arc<Buyer>,
    dispatcher: Dispatcher,
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
        buyer: Arc<Buyer>,
        dispatcher: Dispatcher,
        publisher: Publisher,
        metrics: Arc<Metrics>,
    ) -> std::io::Result<Self> {
        let (tasks, receiver) = bounded(slots * 2);
        let running = Runs::default();
        let worker = Worker {
            tools: tools.clone(),
            dispatcher: dispatcher.clone(),
            running: running.clone(),
            publisher: publisher.clone(),
        };
        for number in 0..workers.max(1) {
            let worker = worker.clone();
            let receiver = receiver.clone();
            std::thread::Builder::new().name(format!("draw-{number}")).spawn(move || worker.run(&receiver))?;
        }
        Ok(Self { tasks, running, worker, tools, buyer, dispatcher, publisher, metrics })
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
        self.running.lock().insert(job, Running::Drawing(cancel.clone()));
        if route.engine != MODEL_ENGINE {
            return self.hand_out(Task::Draw { job, attempt, route, cancel });
        }
        // It waits for the model far longer than it works, and a worker that waits draws nothing else. The dispatcher has
        // no more of them under way than the model has slots.
        let worker = self.worker.clone();
        let began = std::thread::Builder::new().name("picture".to_owned());
        if let Err(err) = began.spawn(move || worker.draw(job, attempt, &route, &cancel)) {
            let failure =
                Failure::new(ErrorCode::EngineFailed, format!("failed to start a thread for a picture: {err}"));
            self.running.lock().remove(&job);
            let (dispatcher, result) = (self.dispatcher.clone(), Err((Outcome::Failed, failure)));
            tokio::spawn(async move { dispatcher.tell(Event::Drawn { job, attempt, result }).await });
        }
    }

    fn call(&mut self, job: JobId, attempt: u32, route: Box<Route>, art: RealisedKey, known_as: Option<String>) {
        let cancelled = CancellationToken::new();
        self.running.lock().insert(job, Running::Calling(cancelled.clone()));
        let (buyer, tools, running) = (self.buyer.clone(), self.tools.clone(), self.running.clone());
        let (dispatcher, metrics) = (self.dispatcher.clone(), self.metrics.clone());
        tokio::spawn(async move {
            // A panic must not leave a job waiting for an answer that never comes.
            let called = tokio::spawn(async move {
                let read = tokio::task::spawn_blocking(move || tools.spec(job));
                match read.await.unwrap_or_else(|err| Err(Failure::new(ErrorCode::Internal, err.to_string()))) {
                    Ok((spec, _)) => {
                        let order = Order { job, attempt, spec, route: *route, art, known_as };
                        buyer.buy(order, cancelled).await
                    }
                    Err(failure) => Called::unsent(&failure, known_as),
                }
            });
            let called = called.await.unwrap_or_else(|err| Called::lost(&err.to_string()));
            running.lock().remove(&job);
            if let Settled::Paid(amount) = called.call.settled {
                metrics.spent(amount);
            }
            dispatcher.tell(Event::Called { job, attempt, called: Box::new(called) }).await;
        });
    }

    fn stop(&mut self, job: JobId) {
        match self.running.lock().get(&job) {
            Some(Running::Drawing(cancel)) => cancel.raise(),
            Some(Running::Calling(cancelled)) => cancelled.cancel(),
            None => {}
        }
    }

    fn moved(&mut self, job: JobId, state: JobState) {
        self.publisher.state(job, state);
    }

    fn ended(&mut self, job: JobId, ending: &Ending) {
        self.metrics.ended(ending);
        self.publisher.ended(job, ending);
    }

    fn census(&mut self, state: &State) {
        self.metrics.open_jobs(state.open());
    }
}

#[derive(Clone)]
struct Worker {
    tools: Arc<Tools>,
    dispatcher: Dispatcher,
    running: Runs,
    publisher: Publisher,
}

impl Worker {
    fn run(&self, tasks: &Receiver<Task>) {
        while let Ok(task) = tasks.recv() {
            match task {
                Task::Plan(job) => {
                    let planned = guarded(|| self.tools.plan(job)).unwrap_or_else(Planned::Refused);
                    // Before what was planned with it, so that a gate that was shut is open again when the job comes to it.
                    if let Some(changed) = self.tools.market_changed() {
                        self.dispatcher.tell_blocking(changed);
                    }
                    self.dispatcher.tell_blocking(Event::Planned { job, planned });
                }
                Task::Draw { job, attempt, route, cancel } => self.draw(job, attempt, &route, &cancel),
            }
        }
    }

    fn draw(&self, job: JobId, attempt: u32, route: &Route, cancel: &Cancel) {
        let result = guarded(|| self.tools.attempt(job, route, cancel, &self.publisher))
            .unwrap_or_else(|failure| Err((Outcome::Failed, failure)));
        self.running.lock().remove(&job);
        self.dispatcher.tell_blocking(Event::Drawn { job, attempt, result });
    }
}

/// One attempt at drawing.
struct Attempt<'a> {
    job: JobId,
    spec: &'a JobSpec,
    planned: PlannedKey,
    route: &'a Route,
    started: Instant,
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
        self.spec(job).and_then(|(spec, planned)| self.place(&spec, planned)).unwrap_or_else(Planned::Refused)
    }

    /// What the dispatcher is to hear when settings, models or budgets have changed since it last did.
    pub fn market_changed(&self) -> Option<Event> {
        let market = self.shelf.now();
        if self.told.swap(market.revision, Ordering::AcqRel) == market.revision {
            return None;
        }
        let limits = market.accounts.iter().map(|(name, account)| (name.clone(), gate_limits(account.limits)));
        Some(Event::Market { limits: limits.collect::<BTreeMap<_, _>>() })
    }

    /// From the store, drawn here, or bought.
    fn place(&self, spec: &JobSpec, planned: PlannedKey) -> Result<Planned, Failure> {
        let market = self.shelf.now();
        let routes = self.routes(spec, &market)?;
        let art_key = spec.recipe.art_key();
        let mut no_room = None;
        for route in &routes {
            let key = route.realisation.key(planned);
            if let Some((render, _)) = self.store.render(key) {
                return Ok(Planned::Cached(Box::new(render)));
            }
            if route.purchase.is_none() {
                match self.admitted(spec, route) {
                    Ok(route) => {
                        let key = route.realisation.key(planned);
                        return Ok(match self.store.render(key) {
                            Some((render, _)) => Planned::Cached(Box::new(render)),
                            None => Planned::Draw { route: Box::new(route), key },
                        });
                    }
                    // What is named behind it is there for this.
                    Err(err @ EngineError::OutOfMemory { .. }) => {
                        tracing::info!(model = %route.model, "{err}");
                        no_room.get_or_insert(err);
                        continue;
                    }
                    Err(err) => return Err(err.failure()),
                }
            }
            let art = route.realisation.key(art_key);
            let art = self.journal.read(|connection| ledger::find_art(connection, art)).map_err(|err| err.failure())?;
            if art.is_some() {
                // Paid for already, for this job or for one with other words: nothing is bought.
                let route = Route { purchase: None, ..route.clone() };
                return Ok(Planned::Draw { route: Box::new(route), key });
            }
        }
        let now_ms = self.clock.now_ms();
        let offers = routes.into_iter().filter_map(|route| {
            let art = route.realisation.key(art_key);
            let account = market.accounts.get(&route.purchase.as_ref()?.account)?;
            let limits = gate_limits(account.limits);
            let lowered = spec.terms.limits.get(&account.name).map(|less| gate_limits(account.limits.lowered(less)));
            let on_ambiguous = account.ambiguous;
            let own = spec.terms.rows.iter().find(|row| row.id == route.model);
            let row = own.or_else(|| market.catalogue.get(&route.model));
            let purchase = route.purchase.map(|purchase| {
                let nonce = buyer::nonce(art, now_ms);
                let protocol = row.and_then(|row| account.sells(row));
                let known_as = protocol.and_then(adapter).and_then(|adapter| adapter.known_as(&nonce));
                Purchase { on_ambiguous, nonce, known_as, ..purchase }
            });
            Some(Offer { route: Box::new(Route { purchase, ..route }), art, limits, lowered })
        });
        let offers: Vec<Offer> = offers.collect();
        if let Some(err) = no_room.filter(|_| offers.is_empty()) {
            return Err(err.failure());
        }
        if offers.is_empty() {
            let message = "failed to buy the picture: its account is gone from the settings; name another";
            return Err(Failure::new(ErrorCode::ModelUnavailable, message));
        }
        let budgets = budgets(spec, &market);
        Ok(Planned::Buy(Box::new(Offers { offers, budgets, cross_vendor: spec.terms.cross_vendor_refusals })))
    }

    /// A route on this machine, with what it gives up to fit into memory.
    fn admitted(&self, spec: &JobSpec, route: &Route) -> Result<Route, EngineError> {
        let Some(engine) = self.engines.get(&route.engine) else { return Ok(route.clone()) };
        let admitted = engine.admit(&engine::Order::new(spec, route))?;
        let mut route = route.clone();
        route.realisation.settings.extend(admitted.settings);
        route.memory = admitted.memory;
        Ok(route)
    }

    /// Where a job may go, best first; at least one.
    fn routes(&self, spec: &JobSpec, market: &Market) -> Result<Vec<Route>, Failure> {
        // How accounts do is the gates' to know; a job that comes to one that is shut goes on to its next route there.
        let well = |_: &str, _: &ModelId| Health::Well;
        let today = Day::of_ms(self.clock.now_ms());
        let here = self.engines.here_for(spec).map_err(|err| err.failure())?;
        let choice = router::choose(spec, market, &here, &well, today);
        for warning in &choice.warnings {
            tracing::debug!(%warning, "a route has a warning");
        }
        choice.failure.map_or(Ok(choice.routes), Err)
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
    /// As [`router::choose`].
    pub fn route(&self, spec: &JobSpec) -> Result<Route, Failure> {
        let routes = self.routes(spec, &self.shelf.now())?;
        let none = || Failure::new(ErrorCode::Internal, "failed to choose a route: the router named none");
        routes.into_iter().next().ok_or_else(none)
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
        let attempt = Attempt { job, spec: &spec, planned, route, started };
        let render = self.render(&attempt, &control, &verifying).map_err(|failure| {
            let outcome = if cancel.is_raised() { Outcome::Cancelled } else { Outcome::Failed };
            (outcome, failure)
        })?;
        if let Some(failure) = verify::refusal(&render.verdict).filter(|_| spec.gate == Gate::Enforce) {
            return Err(failed(failure));
        }
        Ok(Box::new(render))
    }

    fn render(&self, attempt: &Attempt<'_>, control: &Control<'_>, verifying: &dyn Fn()) -> Result<Render, Failure> {
        let Attempt { job, spec, planned, route, started } = *attempt;
        let recipe = &spec.recipe;
        let (drawn, bought) = match self.engines.get(&route.engine) {
            Some(engine) => {
                let drawn = engine.draw(&engine::Order::new(spec, route), control).map_err(|err| err.failure())?;
                (drawn, None)
            }
            None => self.unwrap_bought(recipe, route).map(|(drawn, bought)| (drawn, Some(bought)))?,
        };
        let edge = if bought.is_some() { masked::Edge::Unknown } else { masked::Edge::Drawn };
        let image = masked::keep(drawn.image, recipe, edge, &self.store)?;
        let (bought, as_it_came) = bought.map_or((None, None), |(art, file)| (Some(art), file));
        // Whoever the art was bought for waited for it; for the others it was there.
        let bought = bought.filter(|art| art.job == job);
        // All that the job paid, and not for this picture alone: one before it may have been withheld, and billed.
        let paid = self.journal.read(|connection| ledger::paid(connection, job)).map_err(|err| err.failure())?;
        let fonts = self.fonts.with(recipe, &self.store)?;
        let composed = compose::compose(image, recipe, &fonts)?;
        if control.is_cancelled() {
            return Err(Failure::new(ErrorCode::Cancelled, "failed to draw: it was cancelled"));
        }
        verifying();
        let verdict = verify::verify(&composed, spec, &self.eyes, drawn.findings).verdict();
        let realised_key = route.realisation.key(planned);
        let provenance = Provenance::new(
            recipe,
            route.realisation.clone(),
            route.model.clone(),
            route.placeholder_for.clone(),
            drawn.credits,
        );
        // Where nothing was changed, the provider's own PNG says the same pixels, and was packed with more patience.
        let untouched = as_it_came.filter(|_| buyer::is_finished(recipe, &composed.image));
        let stamped = untouched.map(|file| png::stamp(&file, &provenance)).transpose();
        let bytes = match stamped.map(Option::flatten) {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => png::encode(&composed.image, &provenance),
            Err(err) => Err(err),
        };
        let bytes = bytes.map_err(|err| Failure::new(ErrorCode::Internal, format!("failed to {}", chain(&err))))?;
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
            replaces: route.replaces.clone(),
            verdict,
            latency_ms: started.elapsed().as_millis() as u64 + bought.as_ref().map_or(0, |art| art.latency_ms),
            cost_micros_usd: paid.0,
        };
        self.store.share(&render, &bytes);
        Ok(render)
    }

    /// The art that was bought along this route, cut and scaled to the recipe's size; with its file where that was not
    /// needed.
    fn unwrap_bought(&self, recipe: &Recipe, route: &Route) -> Result<(Drawn, (Art, Option<Bytes>)), Failure> {
        let key = route.realisation.key(recipe.art_key());
        let art = self.journal.read(|connection| ledger::find_art(connection, key)).map_err(|err| err.failure())?;
        let gone = || {
            let message =
                format!("failed to find the picture that was bought from {}: the store gave it up", route.engine);
            Failure::new(ErrorCode::Storage, message)
        };
        let art = art.ok_or_else(gone)?;
        let unusable = |reason: String| {
            Failure::new(ErrorCode::EngineFailed, format!("failed to use the picture from {}: {reason}", route.engine))
        };
        let (image, file) = match self.fresh.take(art.blob) {
            Some(fresh) => fresh,
            None => {
                let file = self.store.get(art.blob).map(Bytes::from).ok_or_else(gone)?;
                (png::decode(&file, DecodeLimits::ART).map_err(|err| unusable(chain(&err)))?, file)
            }
        };
        let drawn = |image| Drawn { image, credits: Vec::new(), findings: Vec::new() };
        if image.extent() == recipe.size {
            return Ok((drawn(image), (art, Some(file))));
        }
        let image = engine::cover(&image, recipe.size).map_err(unusable)?;
        Ok((drawn(image), (art, None)))
    }
}

/// How much an account may do, in the gate's words.
fn gate_limits(limits: Limits) -> GateLimits {
    GateLimits { in_flight: limits.images_in_flight, per_minute: limits.images_per_minute, burst: limits.burst }
}

/// What the job counts against: the user's budgets, and its own. What a project says of "the project" is about itself.
fn budgets(spec: &JobSpec, market: &Market) -> Arc<[Budget]> {
    let own = spec.terms.budgets.iter().map(|budget| match &budget.scope {
        Scope::Project(_) => Budget { scope: Scope::Project(spec.client.clone()), ..budget.clone() },
        _ => budget.clone(),
    });
    // Bounded where each is read; one that is left out would be a budget that nobody keeps.
    market.budgets.iter().cloned().chain(own).collect()
}
