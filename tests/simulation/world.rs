//! One seeded world: a clock that jumps to the next thing on its way, hands that are slow or fail, and a disk that
//! keeps exactly what was committed.

use std::collections::{BTreeMap, HashMap, HashSet};

use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::id::{ContentHash, JobId, PixelHash, PlannedKey, RealisedKey, RequestKey};
use thumbforge_core::image::Extent;
use thumbforge_core::job::{AssetRef, Ending, Gate, JobSpec, JobState, Lane, Outcome, Render, Route};
use thumbforge_core::limits;
use thumbforge_core::model::ModelId;
use thumbforge_core::money::Micros;
use thumbforge_core::recipe::{Realisation, Recipe};
use thumbforge_core::repair::{self, REPAIR_SETTING, Step};
use thumbforge_core::terms::Terms;
use thumbforge_core::verdict::Verdict;
use thumbforge_sidecar::dispatch::{Effect, Event, Planned, State};
use thumbforge_sidecar::journal::{Accepted, Applied, Record, in_memory, ledger, ops};
use thumbforge_tests::seed::Seed;

use checks::Garbled;
use provider::{Bought, PRICE, Provider};

mod checks;
mod provider;

/// What happened over many worlds, so that a run can show that it was rough.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) jobs: u64,
    pub(crate) crashes: u64,
    pub(crate) unrecorded: u64,
    pub(crate) cancelled: u64,
    pub(crate) cached: u64,
    pub(crate) rendered: u64,
    pub(crate) failed: u64,
    pub(crate) deadlines: u64,
    pub(crate) joined_late: u64,
    /// Requests that found a job open which somebody else had asked for.
    pub(crate) joined: u64,
    /// Requests that were sent again and found their job open, or ended.
    pub(crate) resent_open: u64,
    pub(crate) resent_ended: u64,
    /// What became of purchases.
    pub(crate) bought: Bought,
    /// What became of pictures that their checks refuse.
    pub(crate) garbled: Garbled,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.jobs += other.jobs;
        self.crashes += other.crashes;
        self.unrecorded += other.unrecorded;
        self.cancelled += other.cancelled;
        self.cached += other.cached;
        self.rendered += other.rendered;
        self.failed += other.failed;
        self.deadlines += other.deadlines;
        self.joined_late += other.joined_late;
        self.joined += other.joined;
        self.resent_open += other.resent_open;
        self.resent_ended += other.resent_ended;
        self.bought.add(&other.bought);
        self.garbled.add(&other.garbled);
    }
}

/// Something on its way to the dispatcher.
enum Coming {
    /// Delivered as it is.
    Event(Event),
    /// Committed when its time comes, then reported.
    Write(Record),
    /// A client asks for a picture, or asks again what it asked before.
    Submit(RequestKey, Box<JobSpec>),
    /// A person takes one back.
    Cancel,
    /// The process dies.
    Crash,
}

pub(crate) struct World {
    seed: Seed,
    now_ms: u64,
    disk: rusqlite::Connection,
    state: State,
    slots: usize,
    coming: BTreeMap<(u64, u64), Coming>,
    order: u64,
    /// Every job that was acknowledged, in any life of the process.
    acknowledged: HashSet<JobId>,
    lanes: HashMap<JobId, (Lane, Option<u64>)>,
    /// What clients asked, and which job each request was told; they know it longer than the process lives.
    requests: BTreeMap<RequestKey, (Box<JobSpec>, JobId)>,
    drawing: HashMap<JobId, RealisedKey>,
    /// Art that a model draws in this life.
    at_model: HashMap<JobId, RealisedKey>,
    stopped: HashSet<JobId>,
    answered: HashSet<JobId>,
    /// Jobs that this life of the dispatcher holds.
    held: HashSet<JobId>,
    waiting_interactive: HashSet<JobId>,
    /// Jobs that this life of the dispatcher holds to no deadline.
    waived: HashSet<JobId>,
    faults: bool,
    provider: Provider,
    tally: Tally,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut seed = Seed::new(seed);
        let slots = 1 + seed.below(4) as usize;
        Self {
            seed,
            now_ms: 1_000,
            disk: in_memory().expect("a journal in memory"),
            state: State::new(slots),
            slots,
            coming: BTreeMap::new(),
            order: 0,
            acknowledged: HashSet::new(),
            lanes: HashMap::new(),
            requests: BTreeMap::new(),
            drawing: HashMap::new(),
            at_model: HashMap::new(),
            stopped: HashSet::new(),
            answered: HashSet::new(),
            held: HashSet::new(),
            waiting_interactive: HashSet::new(),
            waived: HashSet::new(),
            faults: true,
            provider: Provider::default(),
            tally: Tally::default(),
        }
    }

    pub(crate) fn run(mut self) -> Tally {
        let jobs = 8 + self.seed.below(16);
        self.provider.limit = Micros(PRICE.0 * (1 + self.seed.below(jobs * 2)));
        self.live(jobs, 400)
    }

    /// One world with `jobs` jobs that come within `span_ms`.
    pub(crate) fn run_long(mut self, jobs: u64, span_ms: u64) -> Tally {
        self.provider.pictures = jobs;
        self.provider.limit = Micros(PRICE.0 * jobs / 5);
        self.live(jobs, span_ms)
    }

    fn live(&mut self, jobs: u64, span_ms: u64) -> Tally {
        for number in 0..jobs {
            let spec = self.some_job();
            self.within(span_ms, Coming::Submit(RequestKey::new([0; 16], number), spec));
        }
        for _ in 0..self.seed.below(4) {
            self.within(span_ms + 100, Coming::Cancel);
        }
        for _ in 0..1 + self.seed.below(3) {
            self.within(span_ms + 200, Coming::Crash);
        }
        // Somebody edits the settings while jobs wait.
        for _ in 0..self.seed.below(4) {
            self.within(span_ms + 200, Coming::Event(Event::Market { limits: BTreeMap::new() }));
        }
        self.until_quiet();
        // Whatever a fault left behind, the next start without faults must bring to an end.
        self.faults = false;
        self.crash();
        self.until_quiet();
        self.decide_what_nobody_knows();
        self.check_end();
        std::mem::take(&mut self.tally)
    }

    fn until_quiet(&mut self) {
        let mut steps = 0;
        loop {
            let coming_at = self.coming.first_key_value().map(|(key, _)| key.0);
            let Some(at) = [coming_at, self.state.next_deadline_ms()].into_iter().flatten().min() else { return };
            self.now_ms = self.now_ms.max(at);
            if coming_at == Some(at)
                && let Some((_, coming)) = self.coming.pop_first()
            {
                self.arrive(coming);
            } else {
                self.tell(Event::Tick);
            }
            steps += 1;
            assert!(steps < 20_000 + 200 * self.provider.pictures, "the world does not come to rest");
        }
    }

    fn arrive(&mut self, coming: Coming) {
        match coming {
            Coming::Event(Event::Drawn { job, attempt, result }) => {
                self.drawing.remove(&job);
                match &result {
                    Err((Outcome::Failed | Outcome::Interrupted, _)) => _ = self.at_model.remove(&job),
                    _ => self.keep_art(job),
                }
                if let Ok(render) = &result {
                    // The store writes file and row before the worker answers.
                    ops::keep_blob(&self.disk, render.blob, 1, self.now_ms).expect("a blob row");
                }
                self.tell(Event::Drawn { job, attempt, result });
            }
            Coming::Event(Event::Refused { job, number, mended }) => {
                self.drawing.remove(&job);
                self.keep_art(job);
                self.tell(Event::Refused { job, number, mended });
            }
            Coming::Event(Event::Called { job, attempt, called }) => {
                self.provider.calls.remove(&job);
                self.provider.asked.remove(&job);
                if let Some(art) = &called.call.art {
                    ops::keep_blob(&self.disk, art.blob, 1, self.now_ms).expect("a blob row");
                }
                self.tell(Event::Called { job, attempt, called });
            }
            Coming::Event(event) => self.tell(event),
            Coming::Write(record) => self.write(record),
            Coming::Submit(request, spec) => self.submit(request, &spec),
            Coming::Cancel => {
                let mut ids: Vec<JobId> = self.acknowledged.iter().copied().collect();
                ids.sort_unstable();
                if !ids.is_empty() {
                    let job = ids[self.seed.below(ids.len() as u64) as usize];
                    self.tell(Event::Cancel(job));
                }
            }
            Coming::Crash => self.crash(),
        }
    }

    fn submit(&mut self, request: RequestKey, spec: &JobSpec) {
        let json = ops::spec_to_json(spec);
        let planned = spec.recipe.planned_key();
        let accepted = ops::accept(&self.disk, Some(request), spec, &json, planned, self.now_ms).expect("accepted");
        let id = accepted.job();
        let before = self.requests.insert(request, (Box::new(spec.clone()), id)).map(|(_, job)| job);
        assert!(before.is_none_or(|before| before == id), "{request:?} was job {before:?} and is now job {id}");
        let open = match accepted {
            Accepted::Fresh(open) => {
                assert_eq!(before, None, "{request:?} is asked again and given a fresh job");
                self.tally.jobs += 1;
                open
            }
            Accepted::Joined(open) => {
                self.tally.resent_open += u64::from(before.is_some());
                self.tally.joined += u64::from(before.is_none());
                let (json, _) = ops::spec(&self.disk, id).expect("reads").expect("a spec");
                let joined = ops::spec_from_json(&json).expect("its own spec");
                let held_to = |spec: &JobSpec| (spec.gate, spec.terms.repair.clone());
                assert_eq!(
                    held_to(&joined),
                    held_to(spec),
                    "{request:?} joins job {id}, which is held to something else"
                );
                open
            }
            Accepted::Ended(..) => {
                assert!(before.is_some(), "{request:?} is new and its job has ended");
                self.tally.resent_ended += 1;
                return;
            }
        };
        // An answer that is lost on its way, and a client that hangs up and comes again.
        if self.faults && self.seed.chance(20) {
            self.within(100, Coming::Submit(request, Box::new(spec.clone())));
        }
        self.acknowledged.insert(id);
        self.lanes.insert(id, (open.lane, open.deadline_ms));
        self.within(5, Coming::Event(Event::Accepted(open)));
    }

    fn write(&mut self, record: Record) {
        if self.faults && self.seed.chance(3) {
            self.tally.unrecorded += 1;
            let job = record.job();
            self.lose(job);
            return self.tell(Event::Unrecorded(record, Failure::new(ErrorCode::DiskFull, "the disk is full")));
        }
        let row = ops::job(&self.disk, record.job()).expect("reads").expect("is there");
        let applied = ops::apply(&self.disk, &record, self.now_ms).expect("a record applies");
        self.check_budget();
        match applied {
            Applied::Written => {}
            Applied::Refused { failure, may_fit } => {
                self.tally.bought.over_budget += 1;
                return self.within(3, Coming::Event(Event::Overdrawn { record, failure, may_fit }));
            }
            Applied::Owned => return self.within(3, Coming::Event(Event::Owned(record))),
        }
        if row.state.is_final() {
            let after = ops::job(&self.disk, record.job()).expect("reads").expect("is there");
            assert_eq!(after, row, "an ended job was changed by {record:?}");
        }
        self.within(3, Coming::Event(Event::Recorded(record)));
    }

    /// The dispatcher lets go of a job that the journal could not follow; its events may still come and must do no harm.
    fn lose(&mut self, job: JobId) {
        self.waiting_interactive.remove(&job);
    }

    fn crash(&mut self) {
        self.tally.crashes += u64::from(self.faults);
        let coming = std::mem::take(&mut self.coming);
        for (key, coming) in coming {
            match coming {
                // People outlive the process.
                Coming::Submit(..) | Coming::Cancel | Coming::Crash => drop(self.coming.insert(key, coming)),
                // A write may have reached the disk although nobody heard of it.
                Coming::Write(record) if self.seed.chance(50) => {
                    ops::apply(&self.disk, &record, self.now_ms).expect("a record applies");
                }
                // So may art that a model drew.
                Coming::Event(Event::Refused { job, .. }) if self.seed.chance(50) => self.keep_art(job),
                // A file may have reached the store although its attempt was not written down.
                Coming::Event(Event::Drawn { result: Ok(render), .. }) if self.seed.chance(50) => {
                    ops::keep_blob(&self.disk, render.blob, 1, self.now_ms).expect("a blob row");
                }
                Coming::Event(_) | Coming::Write(_) => {}
            }
        }
        self.drawing.clear();
        self.at_model.clear();
        self.provider.calls.clear();
        self.provider.asked.clear();
        self.waived.clear();
        self.stopped.clear();
        self.answered.clear();
        self.waiting_interactive.clear();
        self.held.clear();
        self.state = State::new(self.slots);
        for open in ops::recover(&self.disk, self.now_ms).expect("recovers") {
            self.lanes.insert(open.id, (open.lane, open.deadline_ms));
            self.tell(Event::Accepted(open));
        }
        // Clients that were connected send again what they were not answered, as far as they know.
        for (request, (spec, _)) in self.requests.clone() {
            if self.seed.chance(50) {
                self.within(50, Coming::Submit(request, spec));
            }
        }
    }

    fn tell(&mut self, event: Event) {
        if let Event::Accepted(open) = &event
            && self.take_up(open.id)
            && open.lane == Lane::Interactive
            && open.held.is_none()
            && open.deadline_ms.is_none_or(|at| at > self.now_ms)
        {
            self.waiting_interactive.insert(open.id);
        }
        // A job whose plan has just come back and is asked for again keeps its turn; it overtakes nobody.
        let again = if let Event::Planned { job, .. } = &event { Some(*job) } else { None };
        for effect in self.state.apply(event, self.now_ms) {
            match effect {
                Effect::Plan(job) => self.plan(job, again == Some(job)),
                other => self.perform(other),
            }
        }
    }

    /// Whether the dispatcher did not hold the job. One that it let go of after a failed write may be taken up again.
    fn take_up(&mut self, job: JobId) -> bool {
        self.answered.remove(&job);
        self.held.insert(job)
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Plan(_) => unreachable!("a plan is performed where its event is told"),
            Effect::Record(record) => {
                self.waiting_interactive.remove(&record.job());
                self.within(8, Coming::Write(record));
            }
            Effect::Draw { job, attempt, route, art } => self.draw(job, attempt, &route, art),
            Effect::Call { job, attempt, route, art } => self.call(job, attempt, &route, art),
            Effect::Ask { job, attempt, route, art, id } => self.ask(job, attempt, &route, art, &id),
            Effect::Moved(job, JobState::Queued) => self.waive(job),
            Effect::Moved(..) => {}
            Effect::Tell(job, failure) => {
                let is_late = failure.code == ErrorCode::DeadlineExceeded;
                assert!(is_late || failure.code == ErrorCode::Ambiguous, "job {job} is told {failure}");
                self.tally.bought.held += 1;
                // Nobody is pressed for time any more.
                self.waive(job);
            }
            Effect::Stop(job) => {
                let is_its_plan = |coming: &Coming| matches!(coming, Coming::Event(Event::Planned { job: planned, .. }) if *planned == job);
                let runs = self.drawing.contains_key(&job) || self.provider.calls.contains_key(&job);
                assert!(runs || self.coming.values().any(is_its_plan), "job {job} is stopped and does not run");
                self.stopped.insert(job);
            }
            Effect::Answer(job, ending) => {
                assert!(self.answered.insert(job), "job {job} is answered twice");
                self.waiting_interactive.remove(&job);
                self.held.remove(&job);
                let row = ops::job(&self.disk, job).expect("reads").expect("is there");
                let told_of_fault = matches!(&ending, Ending::Failed(failure) if failure.code == ErrorCode::DiskFull);
                assert!(told_of_fault || row.state.is_final(), "job {job} is answered before its ending is durable");
            }
            Effect::Drained => {}
        }
    }

    /// A job that was held, or is asked after, has no deadline any more.
    fn waive(&mut self, job: JobId) {
        self.waived.insert(job);
    }

    fn plan(&mut self, job: JobId, again: bool) {
        let (lane, deadline_ms) = self.lanes[&job];
        let in_time = deadline_ms.is_none_or(|at| at > self.now_ms) || self.waived.contains(&job);
        assert!(in_time, "job {job} starts after its deadline");
        if lane == Lane::Batch && !again {
            assert!(self.waiting_interactive.is_empty(), "batch job {job} overtakes {:?}", self.waiting_interactive);
        }
        self.waiting_interactive.remove(&job);
        let row = ops::job(&self.disk, job).expect("reads").expect("is there");
        if row.state.is_final() {
            self.tally.joined_late += 1;
            let planned = Planned::Ended(Ending::Cancelled);
            return self.within(4, Coming::Event(Event::Planned { job, planned }));
        }
        let (json, planned) = ops::spec(&self.disk, job).expect("reads").expect("a spec");
        let spec = ops::spec_from_json(&json).expect("its own spec");
        let steps = self.steps(job);
        if spec.recipe.prompt.starts_with("bought") {
            let planned = self.shop(&spec, &steps, planned);
            return self.within(4, Coming::Event(Event::Planned { job, planned }));
        }
        let route = route(&spec.recipe, &steps);
        let key = route.realisation.key(planned);
        let planned = if spec.recipe.prompt.starts_with("refused") {
            Planned::Refused(Failure::new(ErrorCode::ModelUnavailable, "no such engine"))
        } else if let Some(render) = self.accepted(&spec, key) {
            Planned::Cached(render)
        } else {
            let art = repair::art_of(&route.realisation, &repair::effective(&spec.recipe, &steps));
            let kept = ledger::find_art(&self.disk, art).expect("reads").is_some();
            self.tally.garbled.shared += u64::from(kept);
            let art = (route.engine == "local" && !kept).then_some(art);
            Planned::Draw { route: Box::new(route), key, art }
        };
        self.within(4, Coming::Event(Event::Planned { job, planned }));
    }

    fn draw(&mut self, job: JobId, attempt: u32, route: &Route, art: Option<RealisedKey>) {
        let (json, planned) = ops::spec(&self.disk, job).expect("reads").expect("a spec");
        let spec = ops::spec_from_json(&json).expect("its own spec");
        let key = route.realisation.key(planned);
        assert!(!self.drawing.values().any(|other| *other == key), "key {key} is drawn by two at once");
        self.drawing.insert(job, key);
        if let Some(art) = art {
            assert!(!self.at_model.values().any(|other| *other == art), "art {art} is drawn by two at once");
            assert!(ledger::find_art(&self.disk, art).expect("reads").is_none(), "art {art} is drawn once more");
            self.at_model.insert(job, art);
        }
        let workers = self.drawing.keys().filter(|job| !self.at_model.contains_key(job)).count();
        assert!(workers <= self.slots, "more drawings than slots");
        assert!(self.drawing.len() - workers <= limits::MODEL_SLOTS, "more pictures at the model than it has slots");
        let slow = if self.seed.chance(10) { 300 } else { 30 };
        if self.faults && self.seed.chance(10) {
            let failure = Failure::new(ErrorCode::EngineFailed, "the engine failed");
            // What it was drawn on may be gone, which is no fault of the picture's.
            let outcome = if self.seed.chance(50) { Outcome::Interrupted } else { Outcome::Failed };
            let result = Err((outcome, failure));
            return self.within(slow, Coming::Event(Event::Drawn { job, attempt, result }));
        }
        let event = self.judged(&spec, (job, attempt), (planned, route));
        self.within(slow, Coming::Event(event));
    }

    fn within(&mut self, span_ms: u64, coming: Coming) {
        let at = self.now_ms + 1 + self.seed.below(span_ms);
        self.order += 1;
        self.coming.insert((at, self.order), coming);
    }

    fn some_job(&mut self) -> Box<JobSpec> {
        let word = match self.seed.below(100) {
            0..5 => "refused",
            5..45 => "bought",
            45..58 => "model",
            _ => "picture",
        };
        let kind = if self.seed.chance(30) { "garbled " } else { "" };
        let prompt = format!("{word} {kind}{}", self.seed.below(self.provider.pictures.max(10)));
        let lane = if self.seed.chance(30) { Lane::Interactive } else { Lane::Batch };
        let size = Extent { width: 64, height: 64 };
        let client = format!("client {}", self.seed.below(3));
        Box::new(JobSpec {
            asset: AssetRef { name: format!("asset {}", self.seed.below(5)), locale: String::new() },
            priority: self.seed.below(3) as i32,
            deadline_ms: self.seed.chance(10).then(|| 1_000 + self.seed.below(600)),
            gate: if self.seed.chance(20) { Gate::Report } else { Gate::Enforce },
            terms: Terms { repair: self.some_repair(), ..Terms::default() },
            ..JobSpec::new(Recipe::from_prompt(&prompt, size), lane, client)
        })
    }

    fn check_end(&mut self) {
        for job in &self.acknowledged {
            let row = ops::job(&self.disk, *job).expect("reads").expect("an acknowledged job is in the journal");
            assert!(row.state.is_final(), "job {job} was accepted and is {:?} at the end", row.state);
            match (row.state.word(), row.error.map(|failure| failure.code)) {
                ("done", _) => {
                    let key = row.realised_key.expect("a done job has a key");
                    assert!(
                        ops::find_render(&self.disk, key).expect("reads").is_some(),
                        "job {job} is done without a render"
                    );
                }
                ("cancelled", _) => self.tally.cancelled += 1,
                (_, Some(ErrorCode::DeadlineExceeded)) => self.tally.deadlines += 1,
                _ => self.tally.failed += 1,
            }
        }
        let count = |sql: &str| self.disk.query_row(sql, [], |row| row.get::<_, u64>(0)).expect("counts");
        let twice = count(
            "SELECT count(*) FROM (SELECT realised FROM attempts WHERE outcome = 'rendered' AND account IS NULL
               GROUP BY realised HAVING count(*) > 1)",
        );
        assert_eq!(twice, 0, "a key was rendered twice");
        assert_eq!(count("SELECT count(*) FROM attempts WHERE outcome IS NULL"), 0, "an attempt was left open");
        assert_eq!(count("SELECT count(*) FROM inputs"), 0, "an ended job still holds inputs");
        self.tally.rendered += count("SELECT count(*) FROM attempts WHERE outcome = 'rendered'");
        self.tally.cached += count("SELECT count(*) FROM jobs WHERE cached = 1");
        assert_eq!(self.state.open(), 0, "the dispatcher still holds jobs");
        self.check_money();
        self.check_repairs();
        self.check_requests();
    }

    /// Whoever asks once more, about anything, is told of the job that it was, and nothing is written.
    fn check_requests(&mut self) {
        let jobs = || self.disk.query_row("SELECT count(*) FROM jobs", [], |row| row.get::<_, u64>(0)).expect("counts");
        let before = jobs();
        for (request, (spec, job)) in &self.requests {
            let (json, planned) = (ops::spec_to_json(spec), spec.recipe.planned_key());
            match ops::accept(&self.disk, Some(*request), spec, &json, planned, self.now_ms).expect("accepted") {
                Accepted::Ended(told, ending) => {
                    let row = ops::job(&self.disk, told).expect("reads").expect("is there");
                    let word = match ending {
                        Ending::Done { .. } => "done",
                        Ending::Failed(_) => "failed",
                        Ending::Cancelled => "cancelled",
                    };
                    assert_eq!((told, word), (*job, row.state.word()), "{request:?} is told something else");
                }
                other => panic!("{request:?} of the ended job {job} is {other:?}"),
            }
        }
        assert_eq!(jobs(), before, "asking again wrote a job");
    }
}

/// Where a recipe goes after `steps`: the built-in engine, or a model on this machine for prompts that say so.
fn route(recipe: &Recipe, steps: &[Step]) -> Route {
    let engine = if recipe.prompt.starts_with("model") { "local" } else { "builtin" };
    let words = repair::words(steps);
    let realisation = Realisation {
        engine: engine.into(),
        engine_version: "1".into(),
        wire_model: "builtin".into(),
        weights: None,
        device_class: "any".into(),
        seed: repair::effective(recipe, steps).drawing_seed(),
        settings: (!words.is_empty()).then(|| (REPAIR_SETTING.to_owned(), words)).into_iter().collect(),
        dropped: Vec::new(),
    };
    Route::here(ModelId::builtin(), None, realisation)
}

fn render(planned: PlannedKey, key: RealisedKey, route: &Route, verdict: Verdict) -> Render {
    Render {
        planned_key: planned,
        realised_key: key,
        blob: ContentHash::of(key.as_bytes()),
        pixels: PixelHash(key.0),
        size: Extent { width: 64, height: 64 },
        realisation: route.realisation.clone(),
        model: route.model.clone(),
        placeholder_for: None,
        replaces: None,
        verdict,
        latency_ms: 1,
        cost_micros_usd: 0,
        held_to: String::new(),
        repairs: Vec::new(),
    }
}
