//! The dispatcher's mind, the part that spends money: counters, gates, calls, and outcomes that nobody knows.
//!
//! No money is set aside before the gate is open, no call is made before that is durable, and no call is made again
//! unless [`retry`] says that it may be.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::id::{JobId, RealisedKey};
use thumbforge_core::job::{Ending, JobState, Lane, Outcome, Purchase, Route};
use thumbforge_core::money::Micros;
use thumbforge_core::terms::Budget;

use super::{Drawing, Entry, Phase, State, Stop, Turns, late};
use crate::buyer::uuid;
use crate::dispatch::event::{Called, Effect, Offer, Offers};
use crate::dispatch::gate::{Admission, Gate, GateLimits, Shut};
use crate::dispatch::retry::{self, Happened, Next, Tried};
use crate::journal::ledger::Settled;
use crate::journal::{Held, Open, Record};

/// Rests of a failing account that a job without another route waits for: about a quarter of an hour in all.
const RESTS_MAX: u32 = 5;

/// Gates of clients of their own that one account keeps: more projects than anybody builds at once.
const LOWERED_MAX: usize = 64;

/// What happens at a time, besides deadlines.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wake {
    /// A job's pause is over.
    Job(JobId),
    /// An account's gate may be open.
    Counter(String),
}

/// An account: its gate, and who waits there.
#[derive(Debug)]
pub(super) struct Counter {
    gate: Gate,
    /// Gates of clients whose projects ask for less, before the account's own.
    lowered: BTreeMap<String, Gate>,
    /// People, who come first.
    interactive: Turns,
    batch: Turns,
    /// Jobs without another route, that wait for the end of a rest; those behind them may have one.
    resting: Vec<JobId>,
}

impl Counter {
    fn is_idle(&self) -> bool {
        self.interactive.is_empty() && self.batch.is_empty() && self.resting.is_empty()
    }

    fn lane(&mut self, lane: Lane) -> &mut Turns {
        match lane {
            Lane::Interactive => &mut self.interactive,
            Lane::Batch => &mut self.batch,
        }
    }

    /// Whose turn it is, leaving out clients that are at their own bound.
    fn first(&self, passed: &BTreeSet<String>) -> Option<(Lane, JobId)> {
        let person = self.interactive.first(passed).map(|job| (Lane::Interactive, job));
        person.or_else(|| self.batch.first(passed).map(|job| (Lane::Batch, job)))
    }

    fn remove(&mut self, open: &Open) {
        self.interactive.remove(open);
        self.batch.remove(open);
        self.resting.retain(|job| *job != open.id);
    }

    /// Whether a call may be made for `client`.
    fn admit(&mut self, client: &str, lowered: bool, images: u32, now_ms: u64) -> (Admission, bool) {
        let own = self.lowered.get_mut(client).filter(|_| lowered);
        let Some(own) = own else { return (self.gate.admit(images, now_ms), false) };
        match own.admit(images, now_ms) {
            Admission::Now => {}
            other => return (other, true),
        }
        let admission = self.gate.admit(images, now_ms);
        if admission != Admission::Now {
            own.unmade(images);
        }
        (admission, false)
    }

    fn unmade(&mut self, client: &str, images: u32) {
        self.gate.unmade(images);
        if let Some(own) = self.lowered.get_mut(client) {
            own.unmade(images);
        }
    }
}

/// How the purchase of one picture goes.
#[derive(Debug)]
pub(super) struct Purchasing {
    /// Routes that are left, the one in use first.
    offers: VecDeque<Offer>,
    budgets: Arc<[Budget]>,
    cross_vendor: bool,
    /// Whether all of that was an earlier process's: prices, budgets and routes are asked for anew before anything else is
    /// bought.
    stale: bool,
    tried: Tried,
    /// The call that is on its way, or was last.
    attempt: u32,
    /// What follows once the end of the call is durable.
    then: Option<Then>,
}

/// What follows once the end of a call is durable.
#[derive(Debug)]
enum Then {
    /// Words are set over its art.
    Compose,
    /// It takes another turn, and is routed again.
    Replan,
    /// It waits at its counter again, after a pause.
    Wait { until_ms: u64 },
    /// The provider is asked what became of it.
    Ask(String),
    /// A person decides.
    Hold(Failure),
    /// There will be no picture.
    Fail(Failure),
}

impl Purchasing {
    fn current(&self) -> Option<(&Offer, &Purchase)> {
        let offer = self.offers.front()?;
        Some((offer, offer.route.purchase.as_ref()?))
    }
}

impl State {
    /// Waits for the drawing of the same art by another job; where that waits for a person, so does this.
    pub(super) fn follow(&mut self, job: JobId, key: Option<RealisedKey>, effects: &mut Vec<Effect>) {
        let Some(entry) = self.jobs.get_mut(&job) else { return };
        entry.advance(JobState::Waiting);
        entry.phase = Phase::Following;
        if let Some(key) = key {
            self.wait_for(job, key, effects);
        }
    }

    fn wait_for(&mut self, job: JobId, key: RealisedKey, effects: &mut Vec<Effect>) {
        let Some(drawing) = self.drawing.get_mut(&key) else { return };
        drawing.followers.push(job);
        let drawer = drawing.drawer;
        if self.jobs.get(&job).is_some_and(|entry| entry.lane() == Lane::Interactive) {
            self.hurry(drawer);
        }
        if self.jobs.get(&drawer).is_some_and(|entry| matches!(entry.phase, Phase::Held { .. })) {
            effects.push(Effect::Tell(job, follows_held(drawer)));
        }
    }

    /// A person waits for the art of a build's job: it goes before the rest of the build.
    fn hurry(&mut self, job: JobId) {
        let Some(entry) = self.jobs.get_mut(&job) else { return };
        entry.hurried = true;
        for counter in self.counters.values_mut() {
            if counter.batch.has(&entry.open) {
                counter.batch.remove(&entry.open);
                counter.interactive.push(&entry.open);
            }
        }
    }

    /// What to tell whoever begins to wait for a job that itself waits for a person, or has only its call's end to see.
    pub fn held(&self, job: JobId) -> Option<Failure> {
        let entry = self.jobs.get(&job)?;
        match entry.phase {
            Phase::Held { .. } => Some(held(job)),
            Phase::Calling { .. } if matches!(entry.stopping, Some(Stop::Deadline)) => Some(late()),
            Phase::Following => {
                let drawer = self.drawing.values().find(|drawing| drawing.followers.contains(&job))?.drawer;
                matches!(self.jobs.get(&drawer)?.phase, Phase::Held { .. }).then(|| follows_held(drawer))
            }
            _ => None,
        }
    }

    /// Takes a job to the counter of its first route.
    pub(super) fn buy(&mut self, job: JobId, offers: Offers, now_ms: u64, effects: &mut Vec<Effect>) {
        let Offers { offers, budgets, cross_vendor } = offers;
        let Some(entry) = self.jobs.get_mut(&job) else { return };
        let attempt = entry.open.attempts;
        // A job that was sent again after an unknown outcome remembers how often.
        let unknown = entry.open.unknown;
        let tried =
            entry.purchasing.take().map_or(Tried { resent: unknown, ..Tried::default() }, |earlier| earlier.tried);
        let tried = Tried { resent: tried.resent, ..Tried::default() };
        let offers: VecDeque<Offer> = offers.into();
        let Some(key) = offers.front().map(|offer| offer.art) else {
            let failure = Failure::new(ErrorCode::Internal, "failed to buy a picture: there is no offer");
            return self.finish(job, None, Ending::Failed(failure), None, effects);
        };
        entry.purchasing =
            Some(Box::new(Purchasing { offers, budgets, cross_vendor, stale: false, tried, attempt, then: None }));
        entry.advance(JobState::Waiting);
        entry.phase = Phase::Gated { key };
        self.drawing.entry(key).or_insert_with(|| Drawing::by(job));
        self.queue(job, now_ms);
    }

    /// Sees to it that nobody else buys the art of the job's current route; says whether the job goes on. Where somebody
    /// else is at it already, the job waits for that.
    fn claim(&mut self, job: JobId, effects: &mut Vec<Effect>) -> bool {
        let Some(entry) = self.jobs.get_mut(&job) else { return false };
        let Some(art) =
            entry.purchasing.as_ref().and_then(|purchasing| purchasing.current()).map(|(offer, _)| offer.art)
        else {
            return false;
        };
        match self.drawing.get(&art) {
            Some(drawing) if drawing.drawer == job => true,
            None => {
                self.drawing.insert(art, Drawing::by(job));
                entry.more_keys.push(art);
                true
            }
            Some(_) => {
                let keys = std::mem::take(&mut entry.more_keys).into_iter().chain(entry.phase.key());
                let keys: Vec<RealisedKey> = keys.collect();
                // From waiting at a counter to waiting for another job, which is the same to everybody else.
                entry.phase = Phase::Following;
                for key in keys {
                    self.release(job, key);
                }
                self.wait_for(job, art, effects);
                false
            }
        }
    }

    /// Puts a job in the queue of its current route's account.
    fn queue(&mut self, job: JobId, now_ms: u64) {
        let Some(entry) = self.jobs.get(&job) else { return };
        let Some((offer, purchase)) = entry.purchasing.as_ref().and_then(|purchasing| purchasing.current()) else {
            return;
        };
        let (account, limits, lowered) = (purchase.account.clone(), offer.limits, offer.lowered);
        let (open, lane) = (entry.open.clone(), entry.lane());
        let counter = self.counter(&account, limits, now_ms);
        counter.gate.set_limits(limits);
        if let Some(lowered) = lowered {
            let own = counter.lowered.entry(open.client.clone()).or_insert_with(|| Gate::new(lowered, now_ms));
            own.set_limits(lowered);
            // Clients come and go; what nobody uses is made again when it is wanted.
            if counter.lowered.len() > LOWERED_MAX {
                counter.lowered.retain(|client, own| *client == open.client || !own.is_idle());
            }
        }
        counter.lane(lane).push(&open);
    }

    /// Counts a call again that is asked after.
    fn rejoin(&mut self, route: &Route, limits: GateLimits, now_ms: u64) {
        if let Some(purchase) = &route.purchase {
            self.counter(&purchase.account, limits, now_ms).gate.rejoin(purchase.images);
        }
    }

    fn counter(&mut self, account: &str, limits: GateLimits, now_ms: u64) -> &mut Counter {
        self.counters.entry(account.to_owned()).or_insert_with(|| Counter {
            gate: Gate::new(limits, now_ms),
            lowered: BTreeMap::new(),
            interactive: Turns::default(),
            batch: Turns::default(),
            resting: Vec::new(),
        })
    }

    /// Takes a job out of the queue that it waits in, or out of its pause.
    pub(super) fn leave_gate(&mut self, job: JobId) {
        let Some(entry) = self.jobs.get(&job) else { return };
        for counter in self.counters.values_mut() {
            counter.remove(&entry.open);
        }
        self.wakes.retain(|(_, wake)| *wake != Wake::Job(job));
        self.broke.retain(|waiting| *waiting != job);
    }

    /// Forgets a job that this process lets go of.
    pub(super) fn leave_counter(&mut self, job: JobId, entry: &Entry) {
        for counter in self.counters.values_mut() {
            counter.remove(&entry.open);
        }
        self.wakes.retain(|(_, wake)| *wake != Wake::Job(job));
        self.broke.retain(|waiting| *waiting != job);
        let current = entry.purchasing.as_ref().and_then(|purchasing| purchasing.current());
        if let (Phase::Reserving { .. }, Some((_, purchase))) = (&entry.phase, current)
            && let Some(counter) = self.counters.get_mut(&purchase.account)
        {
            counter.unmade(&entry.open.client, purchase.images);
        }
    }

    /// Everything that waits at a counter is routed again, with the prices, budgets and limits that hold now. What is on
    /// its way goes on, and is routed again before anything else is bought for it.
    pub(super) fn market_changed(&mut self, limits: &BTreeMap<String, GateLimits>) {
        for (account, counter) in &mut self.counters {
            if let Some(limits) = limits.get(account) {
                counter.gate.set_limits(*limits);
            }
            counter.gate.reopen();
            // Made anew by the first job that still brings one; what is on its way is counted there no more.
            counter.lowered.retain(|_, own| !own.is_idle());
            (counter.interactive, counter.batch) = (Turns::default(), Turns::default());
            counter.resting.clear();
        }
        self.wakes.retain(|(_, wake)| !matches!(wake, Wake::Job(_)));
        let mut waiting = Vec::new();
        for (job, entry) in &mut self.jobs {
            if let Some(purchasing) = &mut entry.purchasing {
                purchasing.stale = true;
            }
            if matches!(entry.phase, Phase::Gated { .. }) {
                waiting.push(*job);
            }
        }
        // The map has no order, and the same events must give the same effects.
        waiting.sort_unstable();
        for job in waiting {
            self.route_again(job);
        }
    }

    /// Sends a job that waited at a counter to the router once more.
    fn route_again(&mut self, job: JobId) {
        let Some(entry) = self.jobs.get_mut(&job) else { return };
        let keys: Vec<RealisedKey> =
            std::mem::take(&mut entry.more_keys).into_iter().chain(entry.phase.key()).collect();
        entry.advance(JobState::Queued);
        entry.phase = Phase::Queued;
        let open = entry.open.clone();
        self.lane(open.lane).push(&open);
        for key in keys {
            self.release(job, key);
        }
    }

    /// Ends the pauses that are over.
    pub(super) fn wake(&mut self, now_ms: u64) {
        while let Some((at, _)) = self.wakes.first()
            && *at <= now_ms
        {
            if let Some((_, Wake::Job(job))) = self.wakes.pop_first() {
                self.queue(job, now_ms);
            }
        }
    }

    /// Lets whoever may go through the gates.
    pub(super) fn open_gates(&mut self, now_ms: u64, effects: &mut Vec<Effect>) {
        if self.draining {
            return;
        }
        // Whoever goes elsewhere may come to a counter that was looked at before. Each time costs a route, so this ends.
        loop {
            let waited = self.counters.iter().filter(|(_, counter)| !counter.is_idle());
            let accounts: Vec<String> = waited.map(|(name, _)| name.clone()).collect();
            let mut went = false;
            for account in accounts {
                went |= self.open_gate(&account, now_ms, effects);
            }
            if !went {
                return;
            }
        }
    }

    /// Lets whoever may go through an account's gate; says whether somebody went to another account instead.
    fn open_gate(&mut self, account: &str, now_ms: u64, effects: &mut Vec<Effect>) -> bool {
        let mut went = false;
        // Clients that are at a bound of their own; nobody else waits for that.
        let mut passed = BTreeSet::new();
        self.end_rest(account, now_ms);
        while let Some(counter) = self.counters.get_mut(account)
            && let Some((lane, job)) = counter.first(&passed)
        {
            let Some(entry) = self.jobs.get_mut(&job) else { return went };
            let open = entry.open.clone();
            let (Phase::Gated { key }, Some(purchasing)) = (&entry.phase, entry.purchasing.as_mut()) else {
                counter.remove(&open);
                continue;
            };
            let key = *key;
            let Some((offer, purchase)) = purchasing.current() else {
                counter.remove(&open);
                continue;
            };
            let (admission, is_own) = counter.admit(&open.client, offer.lowered.is_some(), purchase.images, now_ms);
            match admission {
                Admission::Now => {
                    let art = offer.art;
                    counter.lane(lane).take(&open);
                    let attempt = entry.open.attempts + 1;
                    entry.open.attempts = attempt;
                    purchasing.attempt = attempt;
                    let Some(offer) = purchasing.offers.front_mut() else { return went };
                    name_anew(&mut offer.route, attempt);
                    let route = offer.route.clone();
                    let budgets = purchasing.budgets.clone();
                    entry.phase = Phase::Reserving { key };
                    effects.push(Effect::Record(Record::Started { job, attempt, route, art: Some(art), budgets }));
                }
                Admission::WhenFree if is_own => _ = passed.insert(open.client),
                Admission::WhenFree => return went,
                Admission::At(at) => {
                    self.wakes.insert((at, Wake::Counter(account.to_owned())));
                    if !is_own {
                        return went;
                    }
                    passed.insert(open.client);
                }
                Admission::Shut(Shut::Failing, until)
                    if purchasing.offers.len() < 2 && counter.gate.rests() <= RESTS_MAX =>
                {
                    self.wakes.insert((until, Wake::Counter(account.to_owned())));
                    counter.lane(lane).take(&open);
                    counter.resting.push(job);
                }
                Admission::Shut(why, until) => {
                    counter.remove(&open);
                    let failure = shut(account, why, until.saturating_sub(now_ms));
                    match next_offer(purchasing, true) {
                        true if self.claim(job, effects) => {
                            went = true;
                            self.queue(job, now_ms);
                        }
                        true => {}
                        false => self.finish(job, None, Ending::Failed(failure), None, effects),
                    }
                }
            }
        }
        went
    }

    /// Whoever waited for the end of a rest takes a turn again when it has come.
    fn end_rest(&mut self, account: &str, now_ms: u64) {
        let Some(counter) = self.counters.get_mut(account) else { return };
        if counter.gate.is_shut(now_ms) {
            return;
        }
        for job in std::mem::take(&mut counter.resting) {
            if let Some(entry) = self.jobs.get(&job) {
                counter.lane(entry.lane()).push(&entry.open);
            }
        }
    }

    /// The money is set aside: the call is made, unless somebody took the job back meanwhile.
    pub(super) fn reserved(&mut self, job: JobId, attempt: u32, effects: &mut Vec<Effect>) {
        let Some(entry) = self.jobs.get_mut(&job) else { return };
        let Phase::Reserving { key } = entry.phase else {
            panic!("job {job}: money was set aside for a call that it does not make");
        };
        let current = entry.purchasing.as_ref().and_then(|purchasing| purchasing.current());
        let Some((offer, purchase)) = current else { return };
        if entry.stopping.is_some() {
            // Nothing was sent: the money is free again.
            if let Some(counter) = self.counters.get_mut(&purchase.account) {
                counter.unmade(&entry.open.client, purchase.images);
            }
            let call = Box::new(crate::journal::ledger::Call::unmade(Outcome::Cancelled));
            entry.phase = Phase::Settling { key };
            effects.push(Effect::Record(Record::Called { job, attempt, call, state: JobState::Running }));
            entry.advance(JobState::Running);
            return;
        }
        let (route, art) = (offer.route.clone(), offer.art);
        entry.advance(JobState::Running);
        entry.phase = Phase::Calling { key };
        effects.push(Effect::Moved(job, JobState::Running));
        effects.push(Effect::Call { job, attempt, route, art });
    }

    /// Whether no call is under way anywhere.
    pub(super) fn is_idle(&self) -> bool {
        self.counters.values().all(|counter| counter.gate.is_idle())
    }

    /// Lets the next of those ask again whom a budget had no room for: a call has cost what it cost, or none is under way.
    pub(super) fn ask_budget_again(&mut self, now_ms: u64) {
        if let Some(job) = self.broke.pop_front() {
            self.queue(job, now_ms);
        }
    }

    /// A budget does not allow the call.
    pub(super) fn overdrawn(
        &mut self,
        record: &Record,
        (failure, may_fit): (Failure, bool),
        effects: &mut Vec<Effect>,
    ) {
        let job = record.job();
        let Some(stop) = self.unwritten(job) else { return };
        // Held jobs may keep their money set aside for days; a call that is under way ends.
        if may_fit
            && !self.is_idle()
            && stop.is_none()
            && let Some(entry) = self.jobs.get_mut(&job)
            && let Some(key) = entry.phase.key()
        {
            entry.phase = Phase::Gated { key };
            self.broke.push_back(job);
            return;
        }
        let ending = stop.map_or(Ending::Failed(failure), Stop::ending);
        self.finish(job, None, ending, None, effects);
    }

    /// Somebody else has bought the art while the job waited: it finds that, and nothing is paid.
    pub(super) fn owned(&mut self, record: &Record, effects: &mut Vec<Effect>) {
        let job = record.job();
        match self.unwritten(job) {
            Some(Some(stop)) => self.finish(job, None, stop.ending(), None, effects),
            Some(None) => self.route_again(job),
            None => {}
        }
    }

    /// Takes an attempt back that was not written down, so that it was none; says whether the job is to end.
    fn unwritten(&mut self, job: JobId) -> Option<Option<Stop>> {
        let entry = self.jobs.get_mut(&job)?;
        entry.open.attempts -= 1;
        let current = entry.purchasing.as_ref().and_then(|purchasing| purchasing.current());
        if let Some((_, purchase)) = current
            && let Some(counter) = self.counters.get_mut(&purchase.account)
        {
            counter.unmade(&entry.open.client, purchase.images);
        }
        Some(entry.stopping)
    }

    /// A call has ended: what follows is decided, and comes true once its end is durable.
    pub(super) fn called(&mut self, job: JobId, attempt: u32, called: Called, now_ms: u64, effects: &mut Vec<Effect>) {
        let Some(entry) = self.jobs.get_mut(&job) else { return };
        let Phase::Calling { key } = entry.phase else {
            panic!("job {job}: a call ended while none was made");
        };
        let Called { call, retry_after_ms, account_wide } = called;
        let Some(purchasing) = entry.purchasing.as_mut() else { return };
        let current = purchasing.current().map(|(_, purchase)| {
            (purchase.account.clone(), purchase.provider.clone(), purchase.images, purchase.on_ambiguous)
        });
        let Some((account, provider, images, on_ambiguous)) = current else { return };
        if let Some(counter) = self.counters.get_mut(&account) {
            counter.gate.ended(images, call.outcome, retry_after_ms, account_wide, now_ms);
            if let Some(own) = counter.lowered.get_mut(&entry.open.client) {
                own.left(images);
            }
        }
        let billed = matches!(call.settled, Settled::Paid(amount) if amount > Micros::ZERO);
        let happened = Happened { outcome: call.outcome, retry_after_ms, can_ask: call.provider_id.is_some(), billed };
        let jitter = jitter(job, attempt);
        let failure = |code| failure(code, &account, &call.note, billed);
        let (then, state) = if let Some(stop) = entry.stopping {
            match (stop, retry::next(happened, purchasing.tried, on_ambiguous, jitter)) {
                // Nobody took it back, so an unknown end is no failure; and nobody wants it enough to buy it again.
                (Stop::Deadline, Next::Ask) if call.outcome == Outcome::Ambiguous => {
                    purchasing.tried.count(call.outcome);
                    (call.provider_id.clone().map(Then::Ask), JobState::Ambiguous)
                }
                (Stop::Deadline, _) if call.outcome == Outcome::Ambiguous => {
                    (Some(Then::Hold(held(job))), JobState::Ambiguous)
                }
                // It ends however the call went; what nobody knows is counted as billed.
                _ => (None, JobState::Running),
            }
        } else if call.outcome == Outcome::Rendered {
            (Some(Then::Compose), JobState::Queued)
        } else {
            let tried = purchasing.tried;
            purchasing.tried.count(call.outcome);
            match retry::next(happened, tried, on_ambiguous, jitter) {
                Next::Again { .. } | Next::Elsewhere(_) | Next::ElsewhereIfAllowed(_) if purchasing.stale => {
                    (Some(Then::Replan), JobState::Queued)
                }
                Next::Again { after_ms } => (Some(Then::Wait { until_ms: now_ms + after_ms }), JobState::Waiting),
                Next::Elsewhere(code) => match next_offer(purchasing, true) {
                    true => (Some(Then::Wait { until_ms: now_ms }), JobState::Waiting),
                    false => (Some(Then::Fail(failure(code))), JobState::Running),
                },
                Next::ElsewhereIfAllowed(code) => match next_of(purchasing, &provider) {
                    true => (Some(Then::Wait { until_ms: now_ms }), JobState::Waiting),
                    false => (Some(Then::Fail(failure(code))), JobState::Running),
                },
                Next::GiveUp(code) => (Some(Then::Fail(failure(code))), JobState::Running),
                Next::Ask => (call.provider_id.clone().map(Then::Ask), JobState::Ambiguous),
                Next::Hold => (Some(Then::Hold(held(job))), JobState::Ambiguous),
            }
        };
        purchasing.then = then;
        entry.phase = Phase::Settling { key };
        effects.push(Effect::Record(Record::Called { job, attempt, call: Box::new(call), state }));
    }

    /// The end of a call is durable.
    pub(super) fn settled(&mut self, job: JobId, attempt: u32, now_ms: u64, effects: &mut Vec<Effect>) {
        let Some(entry) = self.jobs.get_mut(&job) else { return };
        let Phase::Settling { key } = entry.phase else {
            panic!("job {job}: the end of a call came back while none was settled");
        };
        let then = entry.purchasing.as_mut().and_then(|purchasing| purchasing.then.take());
        self.ask_budget_again(now_ms);
        let Some(entry) = self.jobs.get_mut(&job) else { return };
        let is_unknown = matches!(then, Some(Then::Ask(_) | Then::Hold(_)));
        if let Some(stop) = entry.stopping
            && !(is_unknown && matches!(stop, Stop::Deadline))
        {
            return self.finish(job, None, stop.ending(), None, effects);
        }
        match then {
            Some(then @ (Then::Compose | Then::Replan)) => {
                entry.advance(JobState::Queued);
                entry.phase = Phase::Queued;
                if matches!(then, Then::Compose) {
                    // Whoever paid goes first, so that its picture is not told as one that was there for nothing; the
                    // others find the art in the store after it.
                    entry.purchasing = None;
                    entry.bought = Some(attempt);
                    entry.more_keys.push(key);
                    let open = entry.open.clone();
                    return self.lane(open.lane).push(&open);
                }
                let more_keys = std::mem::take(&mut entry.more_keys);
                let open = entry.open.clone();
                self.lane(open.lane).push(&open);
                for key in more_keys.into_iter().chain([key]) {
                    self.release(job, key);
                }
            }
            Some(Then::Wait { until_ms }) => {
                entry.advance(JobState::Waiting);
                entry.phase = Phase::Gated { key };
                effects.push(Effect::Moved(job, JobState::Waiting));
                if !self.claim(job, effects) {
                    return;
                }
                if until_ms > now_ms {
                    self.wakes.insert((until_ms, Wake::Job(job)));
                } else {
                    self.queue(job, now_ms);
                }
            }
            Some(Then::Ask(id)) => {
                let offer = entry.purchasing.as_ref().and_then(|purchasing| purchasing.current());
                let Some((offer, _)) = offer else { return };
                let (route, art, limits) = (offer.route.clone(), offer.art, offer.limits);
                entry.advance(JobState::Ambiguous);
                entry.advance(JobState::Running);
                entry.phase = Phase::Calling { key };
                self.rejoin(&route, limits, now_ms);
                effects.push(Effect::Ask { job, attempt, route, art, id });
            }
            Some(Then::Hold(failure)) => {
                entry.advance(JobState::Ambiguous);
                entry.phase = Phase::Held { key: Some(key) };
                entry.forget_deadline(&mut self.deadlines);
                // Whoever decides about it later is not held to a time that has passed.
                entry.open.deadline_ms = None;
                entry.stopping = None;
                effects.push(Effect::Moved(job, JobState::Ambiguous));
                effects.push(Effect::Tell(job, failure));
                for follower in self.drawing.get(&key).iter().flat_map(|drawing| &drawing.followers) {
                    effects.push(Effect::Tell(*follower, follows_held(job)));
                }
            }
            Some(Then::Fail(failure)) => self.finish(job, None, Ending::Failed(failure), None, effects),
            None => {
                let failure = Failure::new(ErrorCode::Internal, "failed to go on after a call: nobody said how");
                self.finish(job, None, Ending::Failed(failure), None, effects);
            }
        }
    }

    /// Takes up a job of which an earlier process left a call behind: the provider is asked, or a person.
    pub(super) fn take_up(&mut self, open: Open, held: Held, now_ms: u64, effects: &mut Vec<Effect>) {
        let (job, attempt) = (open.id, held.attempt);
        let mut entry = Entry::new(Open { deadline_ms: None, ..open });
        entry.state = JobState::Ambiguous;
        let Some((route, art)) = held.call else {
            entry.phase = Phase::Held { key: None };
            self.jobs.insert(job, entry);
            return effects.push(Effect::Tell(job, self::held(job)));
        };
        let drawing = self.drawing.entry(art).or_insert_with(|| Drawing::by(job));
        if drawing.drawer != job {
            drawing.others.push(job);
        }
        let on_ambiguous = route.purchase.as_ref().map(|purchase| purchase.on_ambiguous).unwrap_or_default();
        let can_ask = held.provider_id.is_some();
        let happened = Happened { outcome: Outcome::Ambiguous, retry_after_ms: None, can_ask, billed: false };
        let tried = Tried { resent: held.others, ..Tried::default() };
        let next = retry::next(happened, tried, on_ambiguous, jitter(job, attempt));
        let limits = GateLimits { in_flight: 1, per_minute: None, burst: 1 };
        let offers = VecDeque::from([Offer { route: Box::new(route), art, limits, lowered: None }]);
        let tried = Tried { resent: held.others + 1, ..Tried::default() };
        let budgets = Arc::new([]);
        let purchasing = Purchasing { offers, budgets, cross_vendor: false, stale: true, tried, attempt, then: None };
        let route = purchasing.offers.front().map(|offer| offer.route.clone());
        entry.purchasing = Some(Box::new(purchasing));
        match (next, held.provider_id, route) {
            (Next::Ask, Some(id), Some(route)) => {
                entry.advance(JobState::Running);
                entry.phase = Phase::Calling { key: art };
                self.jobs.insert(job, entry);
                self.rejoin(&route, limits, now_ms);
                effects.push(Effect::Ask { job, attempt, route, art, id });
            }
            (Next::Again { .. }, ..) => {
                entry.phase = Phase::Held { key: Some(art) };
                self.jobs.insert(job, entry);
                self.resend(job, effects);
            }
            _ => {
                entry.phase = Phase::Held { key: Some(art) };
                self.jobs.insert(job, entry);
                effects.push(Effect::Tell(job, self::held(job)));
            }
        }
    }

    /// Queues a job again of which nobody knows what became of its call: the one before is counted as billed.
    pub(super) fn resend(&mut self, job: JobId, effects: &mut Vec<Effect>) {
        let Some(entry) = self.jobs.get_mut(&job) else { return };
        let Phase::Held { key } = entry.phase else { return };
        entry.phase = Phase::Resending { key };
        effects.push(Effect::Record(Record::Resent { job }));
    }

    pub(super) fn resent(&mut self, job: JobId, effects: &mut Vec<Effect>) {
        let Some(entry) = self.jobs.get_mut(&job) else { return };
        let Phase::Resending { key } = entry.phase else { return };
        if let Some(stop) = entry.stopping {
            return self.finish(job, None, stop.ending(), None, effects);
        }
        entry.advance(JobState::Queued);
        entry.phase = Phase::Queued;
        let more_keys = std::mem::take(&mut entry.more_keys);
        let open = entry.open.clone();
        self.lane(open.lane).push(&open);
        effects.push(Effect::Moved(job, JobState::Queued));
        for key in more_keys.into_iter().chain(key) {
            self.release(job, key);
        }
    }
}

impl Tried {
    fn count(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Transient => self.transient += 1,
            Outcome::Empty => self.empty += 1,
            Outcome::Throttled => self.throttled += 1,
            Outcome::Ambiguous => self.resent += 1,
            _ => {}
        }
    }
}

/// Gives each call a name of its own, made of the one before: a server that knows calls by our names must not answer a
/// second call with what became of the first.
fn name_anew(route: &mut Route, attempt: u32) {
    let Some(purchase) = route.purchase.as_mut().filter(|purchase| !purchase.nonce.is_empty()) else { return };
    let mut hasher = blake3::Hasher::new();
    hasher.update(purchase.nonce.as_bytes()).update(&attempt.to_le_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    let nonce = uuid(bytes);
    if purchase.known_as.as_ref() == Some(&purchase.nonce) {
        purchase.known_as = Some(nonce.clone());
    }
    purchase.nonce = nonce;
}

/// Goes on to the next route; says whether there is one.
fn next_offer(purchasing: &mut Purchasing, allowed: bool) -> bool {
    if !allowed || purchasing.offers.len() < 2 {
        return false;
    }
    purchasing.offers.pop_front();
    purchasing.tried = Tried { resent: purchasing.tried.resent, ..Tried::default() };
    true
}

/// Goes on to the next route after a refusal: one of the same vendor with another model would refuse as well, and another
/// vendor is asked only where the team allows it.
fn next_of(purchasing: &mut Purchasing, refused_by: &str) -> bool {
    if !purchasing.cross_vendor {
        return false;
    }
    let same = |offer: &Offer| offer.route.purchase.as_ref().is_some_and(|purchase| purchase.provider == refused_by);
    let left: VecDeque<Offer> = purchasing.offers.iter().filter(|offer| !same(offer)).cloned().collect();
    if left.is_empty() {
        return false;
    }
    purchasing.offers = left;
    purchasing.tried = Tried { resent: purchasing.tried.resent, ..Tried::default() };
    true
}

/// A number that differs from job to job and from attempt to attempt (SplitMix64), so that nobody comes back at once.
fn jitter(job: JobId, attempt: u32) -> u64 {
    let mut mixed = job.0.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(u64::from(attempt) << 32);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn held(job: JobId) -> Failure {
    Failure::new(
        ErrorCode::Ambiguous,
        format!(
            "failed to learn what became of the call: the picture may have been made and billed, so it is not asked for again; \
             look at the provider's own list, then `thumbforge jobs --resend {job}` (it may be billed twice) or \
             `thumbforge jobs --give-up {job}`"
        ),
    )
}

/// Why a picture that was paid is not bought a second time.
pub(super) fn gone() -> Failure {
    Failure::new(
        ErrorCode::Storage,
        "failed to find the picture that was bought a moment ago: the store gave it up, or the settings changed meanwhile; \
         look at store_mib_max and ask again, which buys it again",
    )
}

fn follows_held(drawer: JobId) -> Failure {
    Failure::new(
        ErrorCode::Ambiguous,
        format!(
            "failed to get the art: job {drawer} bought it, and nobody knows yet what became of that call; decide that one first"
        ),
    )
}

fn failure(code: ErrorCode, account: &str, note: &str, billed: bool) -> Failure {
    let note = if note.is_empty() { "get a picture" } else { note };
    let mend = match code {
        ErrorCode::ProviderAuth => "; check the account's key (`thumbforge doctor` says where it comes from)",
        ErrorCode::OutOfFunds => "; top the account up, or name another",
        ErrorCode::RateLimited => "; ask later, or lower the account's limits",
        ErrorCode::ContentPolicy => "; change the prompt",
        ErrorCode::ModelRetired => "; name another model (`thumbforge models` lists them)",
        _ if billed => "; it is counted as billed, so it is not asked for again by itself",
        _ => "",
    };
    Failure::new(code, format!("failed to {note} (account {account}){mend}"))
}

fn shut(account: &str, why: Shut, left_ms: u64) -> Failure {
    let minutes = left_ms.div_ceil(60_000);
    let (code, said) = match why {
        Shut::Auth => {
            (ErrorCode::ProviderAuth, "the provider refused its key; check where it comes from (`thumbforge doctor`)")
        }
        Shut::OutOfFunds => (ErrorCode::OutOfFunds, "it has no credit or quota left; top it up, or name another"),
        Shut::Patience => (ErrorCode::RateLimited, "the provider asks to be left alone; ask later, or name a fallback"),
        Shut::Failing => {
            (ErrorCode::ProviderFailed, "the provider failed again and again; ask later, or name a fallback")
        }
    };
    Failure::new(code, format!("failed to buy from the account {account}: {said} (it is asked again in {minutes} min)"))
}
