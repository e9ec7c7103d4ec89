//! The dispatcher's mind: which jobs there are, where each stands, and whose turn it is.
//!
//! [`State::apply`] is pure: the same events at the same times give the same effects, which the simulation relies on.
//! It reads no clock, waits for nothing and touches nothing.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::id::{JobId, RealisedKey};
use thumbforge_core::job::{Ending, JobState, Lane, Outcome, Render, Route};
use thumbforge_core::limits;
use thumbforge_core::repair::Mended;

use super::event::{Effect, Event, Planned};
use crate::journal::{Open, Record};
use buy::{Counter, Purchasing, Wake};

mod buy;

/// The engine whose pictures wait for a model.
const MODEL_ENGINE: &str = "local";

/// How often a picture is planned anew because its place is gone: from a card to the processor, and from there to an account.
const DISPLACED_MAX: u8 = 2;

/// Where a job stands in more detail than [`JobState`] has: what it waits for.
#[derive(Debug)]
enum Phase {
    /// Its turn.
    Queued,
    /// The router. A key that was released after the router looked into the store makes it look again.
    Planning { released: Vec<RealisedKey> },
    /// The drawing of the same realised key by another job.
    Following,
    /// A slot at the model: as many pictures as it takes are there already.
    Parked,
    /// Its attempt to become durable.
    Starting { route: Box<Route>, key: RealisedKey, art: Option<RealisedKey> },
    /// The engine.
    Drawing { key: RealisedKey },
    /// What is done about its refused picture to become durable, or that its place is gone.
    Mending { key: RealisedKey },
    /// An account's gate, or the end of a pause before it.
    Gated { key: RealisedKey },
    /// The money for its call to be set aside, durably.
    Reserving { key: RealisedKey },
    /// A provider.
    Calling { key: RealisedKey },
    /// The end of its call to become durable.
    Settling { key: RealisedKey },
    /// Somebody who knows what became of its call.
    Held { key: Option<RealisedKey> },
    /// Its way back into the queue to become durable.
    Resending { key: Option<RealisedKey> },
    /// Its ending to become durable; until then nobody else may draw its key, for the store does not know of it.
    Finishing { key: Option<RealisedKey> },
}

impl Phase {
    /// The key that nobody else may draw meanwhile.
    fn key(&self) -> Option<RealisedKey> {
        match self {
            Self::Starting { key, .. }
            | Self::Drawing { key }
            | Self::Mending { key }
            | Self::Gated { key }
            | Self::Reserving { key }
            | Self::Calling { key }
            | Self::Settling { key } => Some(*key),
            Self::Held { key } | Self::Resending { key } | Self::Finishing { key } => *key,
            Self::Queued | Self::Planning { .. } | Self::Following | Self::Parked => None,
        }
    }

    /// Whether something is under way that will come back.
    fn is_active(&self) -> bool {
        match self {
            Self::Planning { .. }
            | Self::Starting { .. }
            | Self::Drawing { .. }
            | Self::Mending { .. }
            | Self::Reserving { .. }
            | Self::Calling { .. }
            | Self::Settling { .. }
            | Self::Resending { .. }
            | Self::Finishing { .. } => true,
            // Whom a job follows is under way, or waits as well.
            Self::Queued | Self::Following | Self::Parked | Self::Gated { .. } | Self::Held { .. } => false,
        }
    }
}

#[derive(Debug)]
struct Entry {
    open: Open,
    state: JobState,
    phase: Phase,
    /// Why it is to end as soon as what it waits for has come.
    stopping: Option<Stop>,
    /// Where it is bought, and how that went so far.
    purchasing: Option<Box<Purchasing>>,
    /// Whether a person waits for its art, whoever asked for the job itself.
    hurried: bool,
    /// The attempt that bought its art: words are still to be set over that, in the same attempt.
    bought: Option<u32>,
    /// Whether it is at the model, or about to be: that takes one of the model's slots and none of the workers'.
    at_model: bool,
    /// How often its place was gone before its picture was done.
    displaced: u8,
    /// Keys of art, besides the phase's, that nobody else may draw or buy meanwhile: that of the art that a model draws for
    /// it, and those of further routes that it has come to.
    more_keys: Vec<RealisedKey>,
}

#[derive(Debug, Clone, Copy)]
enum Stop {
    Cancelled,
    Deadline,
}

/// Clients that wait in one lane; each turn goes to the next client's best job.
#[derive(Debug, Default)]
struct Turns {
    clients: VecDeque<String>,
    jobs: HashMap<String, BTreeSet<(Reverse<i32>, JobId)>>,
}

impl Turns {
    fn push(&mut self, open: &Open) {
        let jobs = self.jobs.entry(open.client.clone()).or_default();
        if jobs.is_empty() {
            self.clients.push_back(open.client.clone());
        }
        jobs.insert((Reverse(open.priority), open.id));
    }

    fn pop(&mut self) -> Option<JobId> {
        let client = self.clients.pop_front()?;
        let jobs = self.jobs.get_mut(&client)?;
        let (_, job) = jobs.pop_first()?;
        if jobs.is_empty() {
            self.jobs.remove(&client);
        } else {
            self.clients.push_back(client);
        }
        Some(job)
    }

    /// Whose turn it is, if it is not one of the clients that are passed over.
    fn first(&self, passed: &BTreeSet<String>) -> Option<JobId> {
        let client = self.clients.iter().find(|client| !passed.contains(*client))?;
        self.jobs.get(client)?.first().map(|(_, job)| *job)
    }

    /// Gives a job its turn; its client comes last from now on.
    fn take(&mut self, open: &Open) {
        self.remove(open);
        if self.jobs.contains_key(&open.client) {
            self.clients.retain(|client| *client != open.client);
            self.clients.push_back(open.client.clone());
        }
    }

    fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    fn has(&self, open: &Open) -> bool {
        self.jobs.get(&open.client).is_some_and(|jobs| jobs.contains(&(Reverse(open.priority), open.id)))
    }

    fn remove(&mut self, open: &Open) {
        if let Some(jobs) = self.jobs.get_mut(&open.client) {
            jobs.remove(&(Reverse(open.priority), open.id));
            if jobs.is_empty() {
                self.jobs.remove(&open.client);
                self.clients.retain(|client| *client != open.client);
            }
        }
    }
}

/// Who draws a key, and who waits for that.
#[derive(Debug)]
struct Drawing {
    drawer: JobId,
    /// Jobs that came by the same key besides: two that an earlier process left behind may each have a call for it.
    others: Vec<JobId>,
    followers: Vec<JobId>,
}

impl Drawing {
    fn by(drawer: JobId) -> Self {
        Self { drawer, others: Vec::new(), followers: Vec::new() }
    }
}

/// Everything the dispatcher knows.
#[derive(Debug)]
pub struct State {
    jobs: HashMap<JobId, Entry>,
    interactive: Turns,
    batch: Turns,
    /// Who draws which key, and who waits for it.
    drawing: HashMap<RealisedKey, Drawing>,
    /// At most one a slot.
    planning: BTreeSet<JobId>,
    deadlines: BTreeSet<(u64, JobId)>,
    /// Accounts, each with its gate and the jobs that wait there.
    counters: BTreeMap<String, Counter>,
    /// Jobs that a budget has no room for while calls are under way, in the order that they asked.
    broke: VecDeque<JobId>,
    /// Pauses that end, and gates that open.
    wakes: BTreeSet<(u64, Wake)>,
    busy: usize,
    slots: usize,
    /// Pictures at the model.
    at_model: usize,
    /// Jobs that wait for a slot there: those of people, and those of builds.
    parked: [VecDeque<JobId>; 2],
    draining: bool,
    drained: bool,
}

impl State {
    /// `slots` jobs may be planned or drawn at once; one of them is kept for people when there are two or more.
    pub fn new(slots: usize) -> Self {
        Self {
            jobs: HashMap::new(),
            interactive: Turns::default(),
            batch: Turns::default(),
            drawing: HashMap::new(),
            planning: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            counters: BTreeMap::new(),
            broke: VecDeque::new(),
            wakes: BTreeSet::new(),
            busy: 0,
            slots: slots.max(1),
            at_model: 0,
            parked: Default::default(),
            draining: false,
            drained: false,
        }
    }

    /// Jobs that have not ended.
    pub fn open(&self) -> usize {
        self.jobs.len()
    }

    /// Whether it has the job.
    pub fn has(&self, job: JobId) -> bool {
        self.jobs.contains_key(&job)
    }

    /// Whether the job waits for somebody who decides about a call of which nobody knows what became.
    pub fn is_held(&self, job: JobId) -> bool {
        self.jobs.get(&job).is_some_and(|entry| matches!(entry.phase, Phase::Held { .. }))
    }

    /// Turns and places at the model that are taken, and keys that somebody draws.
    #[cfg(test)]
    pub(super) fn holds(&self) -> [usize; 3] {
        [self.busy, self.at_model, self.drawing.len()]
    }

    /// When time alone will change something, in Unix milliseconds.
    pub fn next_deadline_ms(&self) -> Option<u64> {
        let deadline = self.deadlines.first().map(|(at, _)| *at);
        let wake = self.wakes.first().map(|(at, _)| *at);
        deadline.into_iter().chain(wake).min()
    }

    /// Open jobs by state, for the metrics.
    pub fn census(&self) -> BTreeMap<JobState, usize> {
        let mut census = BTreeMap::new();
        for entry in self.jobs.values() {
            *census.entry(entry.state).or_default() += 1;
        }
        census
    }

    /// Decides what follows from `event` at `now_ms`.
    ///
    /// # Panics
    /// On an edge that the life of a job does not have: a bug, which the simulation looks for.
    pub fn apply(&mut self, event: Event, now_ms: u64) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            Event::Accepted(open) => self.accepted(open, now_ms, &mut effects),
            Event::Planned { job, planned } => self.planned(job, planned, now_ms, &mut effects),
            Event::Recorded(record) => self.recorded(record, now_ms, &mut effects),
            Event::Unrecorded(record, failure) => self.unrecorded(&record, failure, &mut effects),
            Event::Overdrawn { record, failure, may_fit } => {
                self.overdrawn(&record, (failure, may_fit), &mut effects);
            }
            Event::Called { job, attempt, called } => self.called(job, attempt, *called, now_ms, &mut effects),
            Event::Resend(job) => self.resend(job, &mut effects),
            Event::Owned(record) => self.owned(&record, &mut effects),
            Event::Market { limits } => self.market_changed(&limits),
            Event::Drawn { job, attempt, result } => self.drawn(job, attempt, result, &mut effects),
            Event::Refused { job, number, mended } => self.refused(job, number, mended, &mut effects),
            Event::Cancel(job) => self.stop(job, Stop::Cancelled, &mut effects),
            Event::Tick => {}
            Event::Drain => self.draining = true,
        }
        self.expire(now_ms, &mut effects);
        self.wake(now_ms);
        if self.is_idle() {
            self.ask_budget_again(now_ms);
        }
        self.open_gates(now_ms, &mut effects);
        self.unpark();
        self.give_turns(&mut effects);
        if self.draining && !self.drained && !self.jobs.values().any(|entry| entry.phase.is_active()) {
            self.drained = true;
            effects.push(Effect::Drained);
        }
        effects
    }

    fn accepted(&mut self, mut open: Open, now_ms: u64, effects: &mut Vec<Effect>) {
        let id = open.id;
        if self.jobs.contains_key(&id) {
            return;
        }
        if let Some(held) = open.held.take() {
            return self.take_up(open, *held, now_ms, effects);
        }
        if let Some(at) = open.deadline_ms {
            self.deadlines.insert((at, id));
        }
        self.lane(open.lane).push(&open);
        self.jobs.insert(id, Entry::new(open));
    }

    fn planned(&mut self, job: JobId, planned: Planned, now_ms: u64, effects: &mut Vec<Effect>) {
        if let Planned::Ended(ending) = planned {
            self.planning.remove(&job);
            if let Some(entry) = self.jobs.remove(&job) {
                entry.forget_deadline(&mut self.deadlines);
                self.busy -= 1;
                for key in entry.more_keys {
                    self.release(job, key);
                }
                effects.push(Effect::Answer(job, ending));
            }
            return;
        }
        let Some(entry) = self.jobs.get_mut(&job) else { return };
        if let Some(stop) = entry.stopping {
            self.planning.remove(&job);
            self.busy -= 1;
            return self.finish(job, None, stop.ending(), None, effects);
        }
        // Art first: whoever draws that is further from its end than whoever sets words over it.
        let keys = match &planned {
            Planned::Draw { key, art, .. } => [*art, Some(*key)],
            Planned::Buy(offers) => [offers.offers.first().map(|offer| offer.art), None],
            _ => [None, None],
        };
        if let Phase::Planning { released } = &mut entry.phase {
            let released = std::mem::take(released);
            if keys.iter().flatten().any(|key| released.contains(key)) {
                effects.push(Effect::Plan(job));
                return;
            }
        }
        self.planning.remove(&job);
        let drawn_by_another = |key: &&RealisedKey| self.drawing.get(key).is_some_and(|drawing| drawing.drawer != job);
        let followed = keys.iter().flatten().find(drawn_by_another).copied();
        match planned {
            Planned::Ended(_) => {}
            Planned::Refused(failure) => {
                self.busy -= 1;
                self.finish(job, None, Ending::Failed(failure), None, effects);
            }
            Planned::Cached(render) => {
                let attempts = entry.open.attempts;
                self.busy -= 1;
                self.finish(job, None, Ending::Done { render, cached: true, attempts }, None, effects);
            }
            Planned::Draw { .. } | Planned::Buy(_) if followed.is_some() => {
                self.busy -= 1;
                self.follow(job, followed, effects);
            }
            // Its art is paid and gone from the store, or its model from the settings: somebody asks again, or nobody.
            Planned::Buy(_) if entry.bought.is_some() => {
                self.busy -= 1;
                self.finish(job, None, Ending::Failed(buy::gone()), None, effects);
            }
            Planned::Buy(offers) => {
                self.busy -= 1;
                self.buy(job, *offers, now_ms, effects);
            }
            Planned::Draw { route, art: Some(_), .. }
                if route.engine == MODEL_ENGINE && self.at_model >= limits::MODEL_SLOTS =>
            {
                self.busy -= 1;
                entry.advance(JobState::Waiting);
                entry.phase = Phase::Parked;
                let lane = entry.lane();
                self.parked[usize::from(lane == Lane::Batch)].push_back(job);
            }
            Planned::Draw { route, key, art } => {
                entry.advance(JobState::Running);
                if route.engine == MODEL_ENGINE && art.is_some() {
                    entry.at_model = true;
                    self.at_model += 1;
                    self.busy -= 1;
                }
                entry.more_keys.extend(art);
                for key in art.into_iter().chain([key]) {
                    self.drawing.entry(key).or_insert_with(|| Drawing::by(job));
                }
                if let Some(attempt) = entry.bought.take() {
                    // Durable since the call, which is what it cost.
                    entry.phase = Phase::Drawing { key };
                    effects.push(Effect::Draw { job, attempt, route, art });
                    return;
                }
                let attempt = entry.open.attempts + 1;
                entry.open.attempts = attempt;
                entry.phase = Phase::Starting { route: route.clone(), key, art };
                let budgets = Arc::new([]);
                effects.push(Effect::Record(Record::Started { job, attempt, route, art: None, budgets }));
            }
        }
    }

    fn recorded(&mut self, record: Record, now_ms: u64, effects: &mut Vec<Effect>) {
        match record {
            Record::Started { job, attempt, ref route, .. } if route.purchase.is_some() => {
                self.reserved(job, attempt, effects);
            }
            Record::Called { job, attempt, .. } => self.settled(job, attempt, now_ms, effects),
            Record::Resent { job } => self.resent(job, effects),
            Record::Mended { job, .. } => self.mended(job, effects),
            Record::Started { job, attempt, .. } => {
                let Some(entry) = self.jobs.get_mut(&job) else { return };
                let Phase::Starting { route, key, art } = std::mem::replace(&mut entry.phase, Phase::Queued) else {
                    panic!("job {job}: a started record came back while it was not starting");
                };
                entry.phase = Phase::Drawing { key };
                if let Some(stop) = entry.stopping {
                    self.leave_slot(job);
                    return self.finish(job, Some((attempt, Outcome::Cancelled)), stop.ending(), None, effects);
                }
                effects.push(Effect::Draw { job, attempt, route, art });
            }
            Record::Finished { job, ending, .. } => {
                if let Some(entry) = self.jobs.remove(&job) {
                    entry.forget_deadline(&mut self.deadlines);
                    for key in entry.phase.key().into_iter().chain(entry.more_keys) {
                        self.release(job, key);
                    }
                    effects.push(Effect::Answer(job, ending));
                }
            }
            Record::Returned { job, .. } => self.mended(job, effects),
        }
    }

    /// The journal failed: this process lets go of the job, and the next one finds it as it was last written.
    fn unrecorded(&mut self, record: &Record, failure: Failure, effects: &mut Vec<Effect>) {
        let job = record.job();
        if self
            .jobs
            .get(&job)
            .is_some_and(|entry| matches!(entry.phase, Phase::Starting { .. } | Phase::Drawing { .. }))
        {
            self.leave_slot(job);
        }
        let Some(entry) = self.jobs.remove(&job) else { return };
        entry.forget_deadline(&mut self.deadlines);
        self.leave_counter(job, &entry);
        for key in entry.phase.key().into_iter().chain(entry.more_keys) {
            self.release(job, key);
        }
        effects.push(Effect::Answer(job, Ending::Failed(failure)));
    }

    fn drawn(
        &mut self,
        job: JobId,
        attempt: u32,
        result: Result<Box<Render>, (Outcome, Failure)>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(entry) = self.jobs.get_mut(&job) else { return };
        assert!(matches!(entry.phase, Phase::Drawing { .. }), "job {job}: an attempt ended while none was drawing");
        let stopping = entry.stopping;
        if result.is_ok() {
            entry.advance(JobState::Verifying);
        }
        self.leave_slot(job);
        let result = match result {
            Err((Outcome::Interrupted, failure)) => {
                match self.displaced(job, attempt, effects) {
                    true => return,
                    // However often it is planned anew, its place goes: that is a failure like others.
                    false => Err((Outcome::Failed, failure)),
                }
            }
            result => result,
        };
        let (outcome, ending, late) = match (result, stopping) {
            (Ok(render), Some(stop)) => (Outcome::Rendered, stop.ending(), Some(render)),
            (Ok(render), None) => (Outcome::Rendered, Ending::Done { render, cached: false, attempts: attempt }, None),
            (Err((outcome, _)), Some(stop)) => (outcome, stop.ending(), None),
            (Err((outcome, failure)), None) => (outcome, Ending::Failed(failure), None),
        };
        self.finish(job, Some((attempt, outcome)), ending, late, effects);
    }

    /// What a picture was drawn on is gone, or has no room for it after all: once that is durable it is planned anew, on
    /// what there is then. Its key says what draws it, so it is never just drawn on something else.
    fn displaced(&mut self, job: JobId, attempt: u32, effects: &mut Vec<Effect>) -> bool {
        let Some(entry) = self.jobs.get_mut(&job) else { return false };
        let Phase::Drawing { key } = entry.phase else { return false };
        if entry.stopping.is_some() || entry.displaced >= DISPLACED_MAX {
            return false;
        }
        entry.displaced += 1;
        entry.phase = Phase::Mending { key };
        effects.push(Effect::Record(Record::Returned { job, attempt, outcome: Outcome::Interrupted }));
        true
    }

    /// The checks refuse a picture, and something can be done about it: that is written down before it is done.
    fn refused(&mut self, job: JobId, number: u32, mended: Box<Mended>, effects: &mut Vec<Effect>) {
        let Some(entry) = self.jobs.get_mut(&job) else { return };
        let Phase::Drawing { key } = entry.phase else {
            panic!("job {job}: a picture was refused while none was drawing");
        };
        let stopping = entry.stopping;
        entry.advance(JobState::Verifying);
        if stopping.is_none() {
            entry.advance(JobState::Repairing);
            entry.phase = Phase::Mending { key };
        }
        self.leave_slot(job);
        match stopping {
            Some(stop) => self.finish(job, Some((mended.attempt, Outcome::Refused)), stop.ending(), None, effects),
            None => {
                effects.push(Effect::Moved(job, JobState::Repairing));
                effects.push(Effect::Record(Record::Mended { job, number, mended }));
            }
        }
    }

    /// What is done about a picture is durable, or that its place is gone: the job takes another turn, and whoever waited for
    /// its art finds that, or draws it.
    fn mended(&mut self, job: JobId, effects: &mut Vec<Effect>) {
        let Some(entry) = self.jobs.get_mut(&job) else { return };
        let Phase::Mending { key } = entry.phase else {
            panic!("job {job}: a step came back while none was taken");
        };
        if let Some(stop) = entry.stopping {
            return self.finish(job, None, stop.ending(), None, effects);
        }
        entry.advance(JobState::Queued);
        entry.phase = Phase::Queued;
        let more_keys = std::mem::take(&mut entry.more_keys);
        let open = entry.open.clone();
        self.lane(open.lane).push(&open);
        for key in more_keys.into_iter().chain([key]) {
            self.release(job, key);
        }
    }

    /// Frees a key; whoever followed takes another turn and finds the store, or draws itself.
    fn release(&mut self, job: JobId, key: RealisedKey) {
        for planning in &self.planning {
            if let Some(Entry { phase: Phase::Planning { released }, .. }) = self.jobs.get_mut(planning) {
                released.push(key);
            }
        }
        let Some(drawing) = self.drawing.get_mut(&key) else { return };
        drawing.others.retain(|other| *other != job);
        if drawing.drawer != job {
            return;
        }
        if let Some(other) = drawing.others.pop() {
            drawing.drawer = other;
            return;
        }
        let followers = self.drawing.remove(&key).map(|drawing| drawing.followers).unwrap_or_default();
        for follower in followers {
            if let Some(entry) = self.jobs.get_mut(&follower)
                && matches!(entry.phase, Phase::Following)
            {
                entry.advance(JobState::Queued);
                entry.phase = Phase::Queued;
                let open = entry.open.clone();
                self.lane(open.lane).push(&open);
            }
        }
    }

    fn finish(
        &mut self,
        job: JobId,
        attempt: Option<(u32, Outcome)>,
        ending: Ending,
        late: Option<Box<Render>>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(entry) = self.jobs.get_mut(&job) else { return };
        entry.advance(match &ending {
            Ending::Done { .. } => JobState::Done,
            Ending::Failed(_) => JobState::Failed,
            Ending::Cancelled => JobState::Cancelled,
        });
        let key = entry.phase.key();
        entry.purchasing = None;
        entry.phase = Phase::Finishing { key };
        effects.push(Effect::Record(Record::Finished { job, attempt, ending, late }));
    }

    fn stop(&mut self, job: JobId, stop: Stop, effects: &mut Vec<Effect>) {
        let Some(entry) = self.jobs.get_mut(&job) else { return };
        match (entry.stopping, stop) {
            (None, _) | (Some(Stop::Deadline), Stop::Cancelled) => {}
            _ => return,
        }
        match entry.phase {
            Phase::Queued => {
                let open = entry.open.clone();
                self.lane(open.lane).remove(&open);
                self.finish(job, None, stop.ending(), None, effects);
            }
            Phase::Following => self.finish(job, None, stop.ending(), None, effects),
            Phase::Parked => {
                self.parked.iter_mut().for_each(|parked| parked.retain(|other| *other != job));
                self.finish(job, None, stop.ending(), None, effects);
            }
            // Whoever knows what became of the call is not pressed for time: an unknown outcome is no failure.
            Phase::Held { .. } if matches!(stop, Stop::Deadline) => {}
            Phase::Gated { .. } | Phase::Held { .. } => {
                self.leave_gate(job);
                self.finish(job, None, stop.ending(), None, effects);
            }
            Phase::Starting { .. }
            | Phase::Mending { .. }
            | Phase::Reserving { .. }
            | Phase::Settling { .. }
            | Phase::Resending { .. } => entry.stopping = Some(stop),
            // It may be billed already, and to hang up would lose what is paid: whoever waits is told, and the art is kept.
            Phase::Calling { .. } if matches!(stop, Stop::Deadline) => {
                entry.stopping = Some(stop);
                effects.push(Effect::Tell(job, late()));
            }
            // To plan may mean to read a model whole.
            Phase::Planning { .. } | Phase::Drawing { .. } | Phase::Calling { .. } => {
                entry.stopping = Some(stop);
                effects.push(Effect::Stop(job));
            }
            // Its ending is on its way to the disk: too late to take it back.
            Phase::Finishing { .. } => {}
        }
    }

    fn expire(&mut self, now_ms: u64, effects: &mut Vec<Effect>) {
        while let Some((at, job)) = self.deadlines.first().copied()
            && at <= now_ms
        {
            self.deadlines.remove(&(at, job));
            self.stop(job, Stop::Deadline, effects);
        }
    }

    /// Gives back the slot that a drawing took, a worker's or the model's.
    fn leave_slot(&mut self, job: JobId) {
        let Some(entry) = self.jobs.get_mut(&job) else { return };
        if std::mem::take(&mut entry.at_model) {
            self.at_model -= 1;
        } else {
            self.busy -= 1;
        }
    }

    /// Lets one job that waits for the model take another turn, people's first. One an event is enough: its own turn is
    /// the next event.
    fn unpark(&mut self) {
        if self.draining || self.at_model + self.planning.len() >= limits::MODEL_SLOTS {
            return;
        }
        let [interactive, batch] = &mut self.parked;
        let Some(job) = interactive.pop_front().or_else(|| batch.pop_front()) else { return };
        let Some(entry) = self.jobs.get_mut(&job) else { return };
        entry.advance(JobState::Queued);
        entry.phase = Phase::Queued;
        let open = entry.open.clone();
        self.lane(open.lane).push(&open);
    }

    fn give_turns(&mut self, effects: &mut Vec<Effect>) {
        while !self.draining && self.busy < self.slots {
            // The last slot is for people, so that no night build makes an artist wait for more than one drawing.
            let batch_may = self.slots == 1 || self.busy + 1 < self.slots;
            let next = self.interactive.pop().or_else(|| if batch_may { self.batch.pop() } else { None });
            let Some(job) = next else { return };
            let Some(entry) = self.jobs.get_mut(&job) else { continue };
            entry.advance(JobState::Planning);
            entry.phase = Phase::Planning { released: Vec::new() };
            self.planning.insert(job);
            self.busy += 1;
            effects.push(Effect::Plan(job));
        }
    }

    fn lane(&mut self, lane: Lane) -> &mut Turns {
        match lane {
            Lane::Interactive => &mut self.interactive,
            Lane::Batch => &mut self.batch,
        }
    }
}

impl Entry {
    fn new(open: Open) -> Self {
        Self {
            open,
            state: JobState::Queued,
            phase: Phase::Queued,
            stopping: None,
            purchasing: None,
            hurried: false,
            bought: None,
            at_model: false,
            displaced: 0,
            more_keys: Vec::new(),
        }
    }

    /// Who waits for it at an account.
    fn lane(&self) -> Lane {
        if self.hurried { Lane::Interactive } else { self.open.lane }
    }

    /// The only assignment to `state`.
    fn advance(&mut self, next: JobState) {
        match self.state.step(self.open.id, next) {
            Ok(state) => self.state = state,
            Err(bug) => panic!("failed to {bug}"),
        }
    }

    fn forget_deadline(&self, deadlines: &mut BTreeSet<(u64, JobId)>) {
        if let Some(at) = self.open.deadline_ms {
            deadlines.remove(&(at, self.open.id));
        }
    }
}

/// What whoever waits for a call is told at the job's deadline.
fn late() -> Failure {
    Failure::new(
        ErrorCode::DeadlineExceeded,
        "failed to buy the picture before the deadline: the provider is still at it; when its picture comes it is kept, \
         and asking again takes it",
    )
}

impl Stop {
    fn ending(self) -> Ending {
        match self {
            Self::Cancelled => Ending::Cancelled,
            Self::Deadline => Ending::Failed(Failure::new(
                ErrorCode::DeadlineExceeded,
                "failed to draw before the deadline: ask for more time, or for fewer pictures at once",
            )),
        }
    }
}
