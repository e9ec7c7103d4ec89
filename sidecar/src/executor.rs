//! Worker threads that route, draw, set text, check and encode: one attempt at a time each.
//!
//! ```text
//! spec, journalled steps ─► Case ─► routes ─► art: drawn, bought, or there ─► composed ─► judged ─┬─► render
//!                                                                                                 └─► mend ─► a step
//! ```
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
use thumbforge_core::image::ImageBuf;
use thumbforge_core::job::{Ending, Gate, JobSpec, JobState, Outcome, Purchase, Render, Route};
use thumbforge_core::model::ModelId;
use thumbforge_core::money::Micros;
use thumbforge_core::recipe::Recipe;
use thumbforge_core::repair::{self, Means, Mended, REPAIR_SETTING, Trouble};
use thumbforge_core::terms::{Budget, Scope};
use thumbforge_core::verdict::Verdict;
use thumbforge_hosted::adapter::adapter;
use tokio_util::sync::CancellationToken;

use crate::buyer::{self, Buyer, Fresh, Order};
use crate::clock::Clock;
use crate::compose::{self, masked};
use crate::dispatch::{Acts, Called, Dispatcher, Event, GateLimits, Offer, Offers, Planned, State};
use crate::engine::local::asked::{LOSSY, Lossy};
use crate::engine::{self, Cancel, Control, Drawn, EngineError, Engines, Leave};
use crate::fonts::Fonts;
use crate::journal::ledger::{self, Art, Settled};
use crate::journal::ways::{self, Way};
use crate::journal::{Journal, ops, repairs};
use crate::market::{Limits, Market, Shelf};
use crate::metrics::Metrics;
use crate::output::png::{self, DecodeLimits};
use crate::output::provenance::{Credit, Provenance};
use crate::publish::Publisher;
use crate::router::{self, Health};
use crate::store::{Pin, Store};
use crate::verify::{self, Album, Eyes};
pub(crate) use case::may_answer;
use case::{Asked, Case, held_to};
use enlarging::Accepted;
use mend::{Refused, RefusedArt};

mod case;
mod enlarging;
mod mend;

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
    /// Where refused pictures are kept to be looked at.
    pub album: Album,
    /// The time.
    pub clock: Clock,
    /// The revision of the market that the dispatcher knows.
    pub told: AtomicU64,
    /// Files that the next step of a job needs, until the journal holds them for it.
    pub pins: Mutex<HashMap<JobId, Vec<Pin>>>,
}

/// The engine whose drawings wait for a model, on threads of their own.
const MODEL_ENGINE: &str = "local";

enum Task {
    Plan(JobId, Cancel),
    Draw { job: JobId, attempt: u32, route: Box<Route>, art: Option<RealisedKey>, cancel: Cancel },
}

/// What runs for a job, so that it can be stopped.
enum Running {
    /// A worker that plans or draws it.
    Here(Cancel),
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
        // Mostly milliseconds; a model that is measured first is read whole.
        let cancel = Cancel::default();
        self.running.lock().insert(job, Running::Here(cancel.clone()));
        self.hand_out(Task::Plan(job, cancel));
    }

    fn draw(&mut self, job: JobId, attempt: u32, route: Box<Route>, art: Option<RealisedKey>) {
        self.publisher.state(job, JobState::Running);
        let cancel = Cancel::default();
        self.running.lock().insert(job, Running::Here(cancel.clone()));
        if route.engine != MODEL_ENGINE || art.is_none() {
            return self.hand_out(Task::Draw { job, attempt, route, art, cancel });
        }
        // It waits for the model far longer than it works, and a worker that waits draws nothing else. The dispatcher has
        // no more of them under way than the model has slots.
        let worker = self.worker.clone();
        let began = std::thread::Builder::new().name("picture".to_owned());
        if let Err(err) = began.spawn(move || worker.draw(job, attempt, (&route, art), &cancel)) {
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
                let along = route.clone();
                let read = tokio::task::spawn_blocking(move || tools.case_on(job, &along));
                match read.await.unwrap_or_else(|err| Err(Failure::new(ErrorCode::Internal, err.to_string()))) {
                    Ok(case) => {
                        let order = Order { job, attempt, spec: case.asked.spec, route: *route, art, known_as };
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
            Some(Running::Here(cancel)) => cancel.raise(),
            Some(Running::Calling(cancelled)) => cancelled.cancel(),
            None => {}
        }
    }

    fn moved(&mut self, job: JobId, state: JobState) {
        self.publisher.state(job, state);
    }

    fn ended(&mut self, job: JobId, ending: &Ending) {
        self.tools.pins.lock().remove(&job);
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
                Task::Plan(job, cancel) => {
                    let planned = guarded(|| self.tools.plan(job, &cancel)).unwrap_or_else(Planned::Refused);
                    self.running.lock().remove(&job);
                    // Before what was planned with it, so that a gate that was shut is open again when the job comes to it.
                    if let Some(changed) = self.tools.market_changed() {
                        self.dispatcher.tell_blocking(changed);
                    }
                    self.dispatcher.tell_blocking(Event::Planned { job, planned });
                }
                Task::Draw { job, attempt, route, art, cancel } => self.draw(job, attempt, (&route, art), &cancel),
            }
        }
    }

    fn draw(&self, job: JobId, attempt: u32, (route, art): (&Route, Option<RealisedKey>), cancel: &Cancel) {
        let order = (job, attempt, route, art);
        let tried = guarded(|| self.tools.attempt(order, cancel, &self.publisher));
        self.running.lock().remove(&job);
        let drawn = |result| Event::Drawn { job, attempt, result };
        self.dispatcher.tell_blocking(match tried {
            Ok(Ok(Tried::Drawn(render))) => drawn(Ok(render)),
            Ok(Ok(Tried::Further(number, mended))) => Event::Refused { job, number, mended },
            Ok(Err(failed)) => drawn(Err(failed)),
            Err(failure) => drawn(Err((Outcome::Failed, failure))),
        });
    }
}

/// One attempt at drawing.
struct Attempt<'a> {
    job: JobId,
    number: u32,
    case: &'a Case,
    route: &'a Route,
    /// The key of the art, where a model is to draw it.
    art: Option<RealisedKey>,
    started: Instant,
}

/// What an attempt came to.
enum Tried {
    /// A picture.
    Drawn(Box<Render>),
    /// A picture that is not the last, refused or an accepted draft; what is done about it, and the number of that.
    Further(u32, Box<Mended>),
}

/// Art before words, and what is known of it.
struct Made {
    drawn: Drawn,
    /// Its file, where it was neither cut nor scaled.
    file: Option<Bytes>,
    /// As the journal has it; absent for what is drawn in no time.
    kept: Option<Art>,
}

/// How often a job is planned in one turn: once for each kind of device that turns out to be gone while it is planned. Machines
/// have cards of one kind or two, and a processor.
const PLANS_MAX: usize = 4;

/// Why an attempt or a plan gave nothing.
struct Stopped {
    failure: Failure,
    /// Whether it may be planned anew, see [`EngineError::displaces`].
    displaced: bool,
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self { failure, displaced: false }
    }
}

impl From<EngineError> for Stopped {
    fn from(err: EngineError) -> Self {
        Self { displaced: err.displaces(), failure: err.failure() }
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

    /// A job as it stands.
    fn case(&self, job: JobId) -> Result<Case, Failure> {
        let (spec, planned) = self.spec(job)?;
        let repairs = self.journal.read(|connection| repairs::of(connection, job)).map_err(|err| err.failure())?;
        Ok(self.case_of(spec, planned, repairs))
    }

    /// A job as it stood when it was planned along `route`: whether words are set in true type was decided then, and a
    /// language that can be read since changes nothing of a picture that is on its way.
    fn case_on(&self, job: JobId, route: &Route) -> Result<Case, Failure> {
        let (spec, planned) = self.spec(job)?;
        let repairs = self.journal.read(|connection| repairs::of(connection, job)).map_err(|err| err.failure())?;
        let steps = route.realisation.settings.get(REPAIR_SETTING);
        let in_true_type = steps.is_some_and(|steps| steps.starts_with(Means::Composite.word()));
        Ok(Case::new(spec, planned, repairs, in_true_type))
    }

    fn case_of(&self, spec: JobSpec, planned: PlannedKey, repairs: Vec<Mended>) -> Case {
        // What cannot be verified is not asked of a model.
        let mut drawn = spec.recipe.text.iter().filter(|layer| !layer.mode.is_composite());
        let in_true_type =
            repair::may_composite(&spec.recipe) && drawn.any(|layer| self.eyes.can_read(&layer.locale).is_err());
        Case::new(spec, planned, repairs, in_true_type)
    }

    fn plan(&self, job: JobId, stop: &Cancel) -> Planned {
        if let Some(ending) = self.ended(job) {
            return Planned::Ended(ending);
        }
        let mut planned = self.planned(job, stop);
        // A device that turns out to be gone is planned for no more, so the next turn finds what is left.
        for _ in 1..PLANS_MAX {
            match &planned {
                Err(Stopped { displaced: true, failure }) => {
                    tracing::info!(%job, "{}; it is planned anew", failure.message)
                }
                _ => break,
            }
            planned = self.planned(job, stop);
        }
        planned.unwrap_or_else(|stopped| Planned::Refused(stopped.failure))
    }

    fn planned(&self, job: JobId, stop: &Cancel) -> Result<Planned, Stopped> {
        let case = self.case(job)?;
        self.place(&case, Leave::Read(stop))
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
    fn place(&self, case: &Case, leave: Leave<'_>) -> Result<Planned, Stopped> {
        let market = self.shelf.now();
        let spec = &case.asked.spec;
        let routes = self.routes_on(case, &market)?;
        if routes.is_empty() {
            let message = "failed to go on with the picture: the model that drew it, or that was to enlarge it, can be had no \
                           more; ask for it again";
            return Err(Failure::new(ErrorCode::ModelUnavailable, message).into());
        }
        if let Some((render, _)) = self.found_again(case, &routes, &market, leave)? {
            return Ok(Planned::Cached(Box::new(render)));
        }
        let mut no_room = None;
        for route in &routes {
            let key = route.realisation.key(case.planned);
            if let Some(render) = self.answer(case, key) {
                return Ok(Planned::Cached(render));
            }
            let is_model = route.engine == MODEL_ENGINE;
            if (is_model || route.purchase.is_some()) && self.art(route, spec)?.is_some() {
                // Paid or drawn already, for this job or for one with other words: nothing is bought, and no model asked.
                let route = Route { purchase: None, ..route.clone() };
                return Ok(Planned::Draw { route: Box::new(route), key, art: None });
            }
            if (is_model || route.purchase.is_some())
                && let Some((render, _)) = self.store.render(key).filter(|(render, _)| case.makes_do_with(render))
            {
                return Ok(Planned::Cached(Box::new(render)));
            }
            if route.purchase.is_some() {
                continue;
            }
            match self.admitted(spec, route, leave) {
                Ok(route) => {
                    let key = route.realisation.key(case.planned);
                    if let Some(render) = self.answer(case, key) {
                        return Ok(Planned::Cached(render));
                    }
                    let art = match is_model && self.art(&route, spec)?.is_none() {
                        true => Some(repair::art_of(&route.realisation, &spec.recipe)),
                        false => None,
                    };
                    return Ok(Planned::Draw { route: Box::new(route), key, art });
                }
                // What is named behind it is there for this.
                Err(err @ EngineError::OutOfMemory { .. }) => {
                    tracing::info!(model = %route.model, "{err}");
                    no_room.get_or_insert(err);
                }
                Err(err) => return Err(err.into()),
            }
        }
        let now_ms = self.clock.now_ms();
        let offers = routes.into_iter().filter_map(|route| {
            let art = repair::art_of(&route.realisation, &spec.recipe);
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
        let all: Vec<Offer> = offers.collect();
        let reserve = |offer: &Offer| offer.route.purchase.as_ref().map_or(Micros::ZERO, |purchase| purchase.reserve);
        let dear = all.iter().map(reserve).find(|reserve| !case.affords(*reserve));
        let offers: Vec<Offer> = all.into_iter().filter(|offer| case.affords(reserve(offer))).collect();
        if let Some(dear) = dear.filter(|_| offers.is_empty()) {
            let message =
                format!("failed to repair the picture: another may cost {dear}, beyond what `repair.budget` leaves");
            return Err(Failure::new(ErrorCode::OverBudget, message).into());
        }
        if let Some(err) = no_room.filter(|_| offers.is_empty()) {
            // Planned at once again, it would find as little.
            return Err(err.failure().into());
        }
        if offers.is_empty() {
            let message = "failed to buy the picture: its account is gone from the settings; name another";
            return Err(Failure::new(ErrorCode::ModelUnavailable, message).into());
        }
        let budgets = budgets(spec, &market);
        Ok(Planned::Buy(Box::new(Offers { offers, budgets, cross_vendor: spec.terms.cross_vendor_refusals })))
    }

    /// Where a job goes on, best first; none where what it goes on from can be had no more.
    fn routes_on(&self, case: &Case, market: &Market) -> Result<Vec<Route>, Failure> {
        let routes = self.routes(&case.asked, market)?.into_iter().map(|mut route| {
            case.mark(&mut route.realisation);
            route
        });
        Ok(routes.filter(|route| case.goes_along(route)).collect())
    }

    /// A picture that was repaired or enlarged for somebody who asked for just this and held it to just the same: the way
    /// there is known, so nothing of it is drawn, bought or judged again. `routes` are those of the job's first picture.
    fn found_again(
        &self,
        case: &Case,
        routes: &[Route],
        market: &Market,
        leave: Leave<'_>,
    ) -> Result<Option<(Render, Vec<u8>)>, Failure> {
        let (true, true, Some(first)) = (case.repairs.is_empty(), case.may_take_steps(), routes.first()) else {
            return Ok(None);
        };
        let way = self.store.way(ways::Asked::of(&case.spec, case.planned)).filter(|way| case.may_go(way, first));
        let Some(way) = way else { return Ok(None) };
        let there = self.case_of(case.spec.clone(), case.planned, way.mended());
        // Models that can be had no more lead nowhere, and are no reason to fail the job.
        let Some(last) = self.routes_on(&there, market).ok().and_then(|routes| routes.into_iter().next()) else {
            return Ok(None);
        };
        let leads = |route: &Route| route.realisation.key(case.planned) == way.realised;
        let is_model = last.engine == MODEL_ENGINE;
        // What a model gives up to fit into this machine's memory stands in its keys. Whether it would is asked only where
        // nothing else tells the keys apart: to answer, the model is opened, on its card.
        let lossy = || {
            Lossy::RUNGS.into_iter().any(|lossy| {
                let mut route = last.clone();
                route.realisation.settings.insert(LOSSY.to_owned(), lossy.word().to_owned());
                leads(&route)
            })
        };
        let admitted =
            || is_model && lossy() && self.admitted(&there.asked.spec, &last, leave).is_ok_and(|route| leads(&route));
        if !leads(&last) && !admitted() {
            return Ok(None);
        }
        let Some((render, bytes)) = self.store.render(way.realised) else { return Ok(None) };
        let is_dear = first.engine == MODEL_ENGINE || first.purchase.is_some();
        let taken = there.takes(&render)
            || (is_dear && there.makes_do_with(&render) && self.art(first, &case.asked.spec)?.is_none());
        Ok(taken.then_some((render, bytes)))
    }

    /// A finished picture of this key, where it may be the job's answer. One that was refused, or held to something else, is
    /// composed and judged again: its art is there.
    fn answer(&self, case: &Case, key: RealisedKey) -> Option<Box<Render>> {
        let (render, _) = self.store.render(key)?;
        case.takes(&render).then(|| Box::new(render))
    }

    /// Art of a route that was bought or drawn, and is still there.
    fn art(&self, route: &Route, asked: &JobSpec) -> Result<Option<Art>, Failure> {
        let key = repair::art_of(&route.realisation, &asked.recipe);
        self.journal.read(|connection| ledger::find_art(connection, key)).map_err(|err| err.failure())
    }

    /// A route on this machine, with what it gives up to fit into memory.
    fn admitted(&self, spec: &JobSpec, route: &Route, leave: Leave<'_>) -> Result<Route, EngineError> {
        let Some(engine) = self.engines.get(&route.engine) else { return Ok(route.clone()) };
        let admitted = engine.admit(&engine::Order::new(spec, route), leave)?;
        let mut route = route.clone();
        route.realisation.settings.extend(admitted.settings);
        route.memory = admitted.memory;
        Ok(route)
    }

    /// Where a job may go, best first; at least one.
    fn routes(&self, asked: &Asked, market: &Market) -> Result<Vec<Route>, Failure> {
        // How accounts do is the gates' to know; a job that comes to one that is shut goes on to its next route there.
        let well = |_: &str, _: &ModelId| Health::Well;
        let today = Day::of_ms(self.clock.now_ms());
        let here = self.engines.here_for(&asked.spec).map_err(|err| err.failure())?;
        let mut choice = router::choose(&asked.spec, market, &here, &well, today);
        for warning in &choice.warnings {
            tracing::debug!(%warning, "a route has a warning");
        }
        if asked.seed_is_ours {
            // Nobody asked for it, so nothing of the recipe was left out.
            let dropped = choice.routes.iter_mut().map(|route| &mut route.realisation.dropped);
            dropped.for_each(|dropped| dropped.retain(|field| field != "seed"));
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
        let case = self.case_of(spec.clone(), spec.recipe.planned_key(), Vec::new());
        let routes = self.routes(&case.asked, &self.shelf.now())?;
        let none = || Failure::new(ErrorCode::Internal, "failed to choose a route: the router named none");
        let mut route = routes.into_iter().next().ok_or_else(none)?;
        case.mark(&mut route.realisation);
        Ok(route)
    }

    /// A finished picture that answers a job as it is, with its bytes.
    ///
    /// # Errors
    /// As [`Tools::route`].
    pub fn finished(&self, spec: &JobSpec) -> Result<Option<(Render, Vec<u8>)>, Failure> {
        let case = self.case_of(spec.clone(), spec.recipe.planned_key(), Vec::new());
        let route = self.route(spec)?;
        let first = self.store.render(route.realisation.key(case.planned)).filter(|(render, _)| case.takes(render));
        match first {
            Some(found) => Ok(Some(found)),
            None => self.found_again(&case, std::slice::from_ref(&route), &self.shelf.now(), Leave::Look),
        }
    }

    fn attempt(
        &self,
        (job, number, route, art): (JobId, u32, &Route, Option<RealisedKey>),
        cancel: &Cancel,
        publisher: &Publisher,
    ) -> Result<Tried, (Outcome, Failure)> {
        let started = Instant::now();
        // What its last step needs is held by the journal since that is durable.
        self.pins.lock().remove(&job);
        let case = self.case_on(job, route).map_err(|failure| (Outcome::Failed, failure))?;
        let step = |done, steps| publisher.step(job, done, steps);
        let verifying = || publisher.state(job, JobState::Verifying);
        let control = Control::new(cancel, &step);
        let attempt = Attempt { job, number, case: &case, route, art, started };
        self.try_once(&attempt, &control, &verifying).map_err(|Stopped { failure, displaced }| {
            let outcome = match failure.code {
                _ if cancel.is_raised() => Outcome::Cancelled,
                _ if displaced => Outcome::Interrupted,
                ErrorCode::VerificationFailed | ErrorCode::RenderedTextMismatch => Outcome::Refused,
                _ => Outcome::Failed,
            };
            (outcome, failure)
        })
    }

    /// Makes the picture and judges it.
    fn try_once(&self, attempt: &Attempt<'_>, control: &Control<'_>, verifying: &dyn Fn()) -> Result<Tried, Stopped> {
        let Attempt { job, number, case, route, .. } = *attempt;
        let asked = &case.asked.spec.recipe;
        let Made { mut drawn, mut file, kept } = self.made(attempt, control)?;
        let draft = case.is_draft().then(|| drawn.image.clone());
        if case.enlarged() == Some(None) {
            // Its pixels are no longer those of its file.
            file = None;
            drawn.image = engine::cover(&drawn.image, case.spec.recipe.size)
                .map_err(|why| Failure::new(ErrorCode::EngineFailed, format!("failed to enlarge the draft: {why}")))?;
        }
        let edge = if route.engine == MODEL_ENGINE { masked::Edge::Drawn } else { masked::Edge::Unknown };
        let file = file.filter(|_| !masked::applies(asked));
        let art = masked::keep(drawn.image, asked, edge, &self.store)?;
        // A region is drawn anew over pixels that the store has as a file, or else these.
        let image = match (&file, &case.spec.terms.repair) {
            (None, Some(policy)) if policy.means.contains(&Means::Inpaint) => Some(art.clone()),
            _ => None,
        };
        // Words over a draft are set when it is as large as its final.
        let wordless = case.is_draft().then(|| Recipe { text: Vec::new(), ..asked.clone() });
        let fonts = self.fonts.with(asked, &self.store)?;
        let composed = compose::compose(art, wordless.as_ref().unwrap_or(asked), &fonts)?;
        if control.is_cancelled() {
            return Err(Failure::new(ErrorCode::Cancelled, "failed to draw: it was cancelled").into());
        }
        verifying();
        let judged = verify::verify(&composed, &case.judged(), &self.eyes, &route.model, drawn.findings);
        let trouble = Trouble::of(&judged.art, &judged.drawn, &judged.set);
        let verdict = judged.verdict();
        if let Some(failure) = verify::refusal(&verdict).filter(|_| case.spec.gate == Gate::Enforce) {
            let kept_as = self.album.keep(job, number, &composed.image, &failure.findings);
            let failure = match kept_as {
                Some(path) => Failure { message: format!("{}; see {}", failure.message, path.display()), ..failure },
                None => failure,
            };
            if let Some(by) = case.enlarged() {
                let mended = enlarging::after_refusal(case, by, (number, route), kept.as_ref(), (verdict, failure))?;
                return Ok(Tried::Further(case.repairs.len() as u32 + 1, Box::new(mended)));
            }
            let art = RefusedArt {
                file: file.as_ref().and(kept.as_ref()).map(|art| art.blob),
                image,
                cost: kept.as_ref().map_or(Micros::ZERO, |art| art.cost),
                latency_ms: kept.as_ref().map_or(0, |art| art.latency_ms),
            };
            let mended = self.mend(&Refused { job, attempt: number, case, route, art, verdict, trouble }, failure)?;
            return Ok(Tried::Further(case.repairs.len() as u32 + 1, Box::new(mended)));
        }
        if let Some(image) = &draft {
            let (has_file, kept, credits) = (file.is_some(), kept.as_ref(), drawn.credits.as_slice());
            let accepted = Accepted { job, attempt: number, route, image, has_file, kept, credits, verdict };
            let mended = self.enlarge(case, accepted, control.cancel())?;
            return Ok(Tried::Further(case.repairs.len() as u32 + 1, Box::new(mended)));
        }
        drawn.credits.extend(self.credits_of_draft(case, route));
        Ok(Tried::Drawn(self.render(attempt, composed.image, verdict, (file, kept, drawn.credits))?))
    }

    /// Keeps a picture that is finished.
    fn render(
        &self,
        attempt: &Attempt<'_>,
        image: ImageBuf,
        verdict: Verdict,
        (file, kept, credits): (Option<Bytes>, Option<Art>, Vec<Credit>),
    ) -> Result<Box<Render>, Failure> {
        let Attempt { job, case, route, started, .. } = *attempt;
        let (realisation, model) = (route.realisation.clone(), route.model.clone());
        let provenance = Provenance::new(&case.spec.recipe, realisation, model, route.placeholder_for.clone(), credits);
        // Where nothing was changed, the art's own PNG says the same pixels; a provider's was packed with more patience.
        let untouched = file.filter(|_| buyer::is_finished(&case.asked.spec.recipe, &image));
        let stamped = untouched.map(|file| png::stamp(&file, &provenance)).transpose();
        let bytes = match stamped.map(Option::flatten) {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => png::encode(&image, &provenance),
            Err(err) => Err(err),
        };
        let bytes = bytes.map_err(|err| Failure::new(ErrorCode::Internal, format!("failed to {}", chain(&err))))?;
        let (blob, _pin) = self.store.put(&bytes).map_err(|err| err.failure())?;
        // Whoever the art was bought for waited for it; for the others it was there.
        let waited = kept.filter(|art| art.job == job && attempt.art.is_none());
        // All that the job paid, and not for this picture alone: one before it may have been withheld, and billed.
        let paid = self.journal.read(|connection| ledger::paid(connection, job)).map_err(|err| err.failure())?;
        let render = Render {
            planned_key: case.planned,
            realised_key: route.realisation.key(case.planned),
            blob,
            pixels: image.hash(),
            size: case.spec.recipe.size,
            realisation: route.realisation.clone(),
            model: route.model.clone(),
            placeholder_for: route.placeholder_for.clone(),
            replaces: route.replaces.clone(),
            verdict,
            latency_ms: started.elapsed().as_millis() as u64 + waited.map_or(0, |art| art.latency_ms),
            cost_micros_usd: paid.0,
            held_to: held_to(&case.spec),
            repairs: case.repairs.iter().map(Mended::told).collect(),
        };
        self.store.share(&render, &bytes);
        if !case.repairs.is_empty() {
            let way = Way::to(render.realised_key, &case.repairs);
            self.store.share_way(ways::Asked::of(&case.spec, case.planned), &way);
        }
        Ok(Box::new(render))
    }

    /// The art of an attempt: drawn now, or there.
    fn made(&self, attempt: &Attempt<'_>, control: &Control<'_>) -> Result<Made, Stopped> {
        let Attempt { case, route, .. } = *attempt;
        let spec = &case.asked.spec;
        let Some(engine) = self.engines.get(&route.engine) else { return Ok(self.unwrap_art(&spec.recipe, route)?) };
        let is_model = route.engine == MODEL_ENGINE;
        if is_model && attempt.art.is_none() {
            match self.unwrap_art(&spec.recipe, route) {
                Ok(made) => return Ok(made),
                // Given up by the store a moment ago: it is drawn again.
                Err(failure) => tracing::warn!("{failure}"),
            }
        }
        let began = Instant::now();
        let drawn = engine.draw(&engine::Order::new(spec, route), control)?;
        if !is_model {
            return Ok(Made { drawn, file: None, kept: None });
        }
        let (art, file) = self.keep_art(attempt, &drawn, began.elapsed().as_millis() as u64)?;
        Ok(Made { drawn, file: Some(file), kept: Some(art) })
    }

    /// Keeps what a model drew, durably: the other locales of an asset set their words over it, and what is repaired is
    /// drawn once, whoever comes to it.
    fn keep_art(&self, attempt: &Attempt<'_>, drawn: &Drawn, latency_ms: u64) -> Result<(Art, Bytes), Failure> {
        let Attempt { job, case, route, .. } = *attempt;
        let asked = &case.asked.spec.recipe;
        let key = repair::art_of(&route.realisation, asked);
        // The art knows nothing of the steps that led to it.
        let mut unmarked = route.clone();
        unmarked.realisation.settings.remove(REPAIR_SETTING);
        let provenance = buyer::provenance(asked, &unmarked);
        let bytes = png::encode(&drawn.image, &provenance)
            .map_err(|err| Failure::new(ErrorCode::Internal, format!("failed to {}", chain(&err))))?;
        // Until its row is there, nobody else knows of it.
        let (blob, _pin) = self.store.put(&bytes).map_err(|err| err.failure())?;
        let art = Art { blob, job, cost: Micros::ZERO, latency_ms, findings: drawn.findings.clone() };
        let (kept, seed, now_ms) = (art.clone(), route.realisation.seed, self.clock.now_ms());
        let written =
            self.journal.write(move |connection| ledger::keep_art(connection, key, &kept, Some(seed), now_ms));
        written.durable_blocking().map_err(|err| err.failure())?;
        Ok((art, Bytes::from(bytes)))
    }

    /// The art that was bought or drawn along this route, cut and scaled to the recipe's size; with its file where that was
    /// not needed.
    fn unwrap_art(&self, asked: &Recipe, route: &Route) -> Result<Made, Failure> {
        let key = repair::art_of(&route.realisation, asked);
        let art = self.journal.read(|connection| ledger::find_art(connection, key)).map_err(|err| err.failure())?;
        let gone = || {
            let message = format!("failed to find the picture that came from {}: the store gave it up", route.engine);
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
        let drawn = |image| Drawn { image, credits: Vec::new(), findings: art.findings.clone() };
        if image.extent() == asked.size {
            return Ok(Made { drawn: drawn(image), file: Some(file), kept: Some(art) });
        }
        let image = engine::cover(&image, asked.size).map_err(unusable)?;
        Ok(Made { drawn: drawn(image), file: None, kept: Some(art) })
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
