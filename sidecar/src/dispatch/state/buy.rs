//! The dispatcher's mind, the part that spends money: counters, gates, calls, and outcomes that nobody knows.
//!
//! No money is set aside before the gate is open, no call is made before that is durable, and no call is made again
//! unless [`retry`] says that it may be.

use std::cmp::Reverse;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::id::{JobId, RealisedKey};
use thumbforge_core::job::{Ending, JobState, Lane, Outcome, Purchase, Route};
use thumbforge_core::terms::Budget;

use super::{Drawing, Entry, Phase, State};
use crate::dispatch::event::{Called, Effect, Offer, Offers};
use crate::dispatch::gate::{Admission, Gate, GateLimits, Shut};
use crate::dispatch::retry::{self, Happened, Next, Tried};
use crate::journal::{Held, Open, Record};

/// Rests of a failing account that a job without another route waits for: about a quarter of an hour in all.
const RESTS_MAX: u32 = 5;

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
    /// People first, then by priority, then in their order.
    waiting: BTreeSet<(Lane, Reverse<i32>, JobId)>,
    /// How many rests the account has had since it last answered.
    rests: u32,
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
        if self.jobs.get(&drawer).is_some_and(|entry| matches!(entry.phase, Phase::Held { .. })) {
            effects.push(Effect::Tell(job, follows_held(drawer)));
        }
    }

    /// What to tell whoever begins to wait for a job that itself waits for a person.
    pub fn held(&self, job: JobId) -> Option<Failure> {
        let entry = self.jobs.get(&job)?;
        match entry.phase {
            Phase::Held { .. } => Some(held(job)),
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
        let tried = entry.purchasing.take().map_or_else(Tried::default, |earlier| earlier.tried);
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
        self.drawing.insert(key, Drawing::by(job));
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
        let place = (entry.open.lane, Reverse(entry.open.priority), job);
        let (account, limits) = (purchase.account.clone(), offer.limits);
        let counter = self.counter(&account, limits, now_ms);
        counter.gate.set_limits(limits);
        counter.waiting.insert(place);
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
            waiting: BTreeSet::new(),
            rests: 0,
        })
    }

    /// Takes a job out of the queue that it waits in, or out of its pause.
    pub(super) fn leave_gate(&mut self, job: JobId) {
        let Some(entry) = self.jobs.get(&job) else { return };
        let place = (entry.open.lane, Reverse(entry.open.priority), job);
        for counter in self.counters.values_mut() {
            counter.waiting.remove(&place);
        }
        self.wakes.retain(|(_, wake)| *wake != Wake::Job(job));
    }

    /// Forgets a job that this process lets go of.
    pub(super) fn leave_counter(&mut self, job: JobId, entry: &Entry) {
        let place = (entry.open.lane, Reverse(entry.open.priority), job);
        for counter in self.counters.values_mut() {
            counter.waiting.remove(&place);
        }
        self.wakes.retain(|(_, wake)| *wake != Wake::Job(job));
        let current = entry.purchasing.as_ref().and_then(|purchasing| purchasing.current());
        if let (Phase::Reserving { .. }, Some((_, purchase))) = (&entry.phase, current)
            && let Some(counter) = self.counters.get_mut(&purchase.account)
        {
            counter.gate.unmade(purchase.images);
        }
    }

    pub(super) fn set_limits(&mut self, account: &str, limits: GateLimits) {
        if let Some(counter) = self.counters.get_mut(account) {
            counter.gate.set_limits(limits);
            counter.gate.reopen();
            counter.rests = 0;
        }
        for entry in self.jobs.values_mut() {
            let offers = entry.purchasing.iter_mut().flat_map(|purchasing| purchasing.offers.iter_mut());
            for offer in offers.filter(|offer| is_of(offer, account)) {
                offer.limits = limits;
            }
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
        let accounts: Vec<String> = self
            .counters
            .iter()
            .filter(|(_, counter)| !counter.waiting.is_empty())
            .map(|(name, _)| name.clone())
            .collect();
        for account in accounts {
            self.open_gate(&account, now_ms, effects);
        }
    }

    fn open_gate(&mut self, account: &str, now_ms: u64, effects: &mut Vec<Effect>) {
        while let Some(counter) = self.counters.get_mut(account)
            && let Some(place) = counter.waiting.first().copied()
        {
            let (_, _, job) = place;
            let entry = self.jobs.get_mut(&job);
            let Some((entry, Phase::Gated { key })) = entry.map(|entry| {
                let key = entry.phase.key();
                (entry, key.map_or(Phase::Queued, |key| Phase::Gated { key }))
            }) else {
                counter.waiting.remove(&place);
                continue;
            };
            let Some(purchasing) = entry.purchasing.as_mut() else {
                counter.waiting.remove(&place);
                continue;
            };
            let Some((offer, purchase)) = purchasing.current() else {
                counter.waiting.remove(&place);
                continue;
            };
            let images = purchase.images;
            match counter.gate.admit(images, now_ms) {
                Admission::Now => {
                    let (route, art) = (offer.route.clone(), offer.art);
                    counter.waiting.remove(&place);
                    let attempt = entry.open.attempts + 1;
                    entry.open.attempts = attempt;
                    purchasing.attempt = attempt;
                    let budgets = purchasing.budgets.clone();
                    entry.phase = Phase::Reserving { key };
                    effects.push(Effect::Record(Record::Started { job, attempt, route, art: Some(art), budgets }));
                }
                Admission::WhenFree => return,
                Admission::At(at) => {
                    self.wakes.insert((at, Wake::Counter(account.to_owned())));
                    return;
                }
                Admission::Shut(Shut::Failing, until) if purchasing.offers.len() < 2 && counter.rests < RESTS_MAX => {
                    self.wakes.insert((until, Wake::Counter(account.to_owned())));
                    return;
                }
                Admission::Shut(why, until) => {
                    counter.waiting.remove(&place);
                    let failure = shut(account, why, until.saturating_sub(now_ms));
                    match next_offer(purchasing, true) {
                        true if self.claim(job, effects) => self.queue(job, now_ms),
                        true => {}
                        false => self.finish(job, None, Ending::Failed(failure), None, effects),
                    }
                }
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
            let (account, images) = (purchase.account.clone(), purchase.images);
            if let Some(counter) = self.counters.get_mut(&account) {
                counter.gate.unmade(images);
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

    /// A budget does not allow the call.
    pub(super) fn overdrawn(&mut self, record: &Record, failure: Failure, effects: &mut Vec<Effect>) {
        let job = record.job();
        let Some(entry) = self.jobs.get_mut(&job) else { return };
        // The attempt was not written, so it was none.
        entry.open.attempts -= 1;
        let account = entry.purchasing.as_ref().and_then(|purchasing| purchasing.current());
        let account = account.map(|(_, purchase)| (purchase.account.clone(), purchase.images));
        let stop = entry.stopping;
        if let Some((account, images)) = account
            && let Some(counter) = self.counters.get_mut(&account)
        {
            counter.gate.unmade(images);
        }
        let ending = stop.map_or(Ending::Failed(failure), super::Stop::ending);
        self.finish(job, None, ending, None, effects);
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
            match call.outcome {
                Outcome::Transient | Outcome::Ambiguous => counter.rests += u32::from(counter.gate.is_resting()),
                _ => counter.rests = 0,
            }
        }
        let happened = Happened { outcome: call.outcome, retry_after_ms, can_ask: call.provider_id.is_some() };
        let jitter = jitter(job, attempt);
        let failure = |code| failure(code, &account, &call.note);
        let (then, state) = if entry.stopping.is_some() {
            // It ends however the call went; what nobody knows is counted as billed.
            (None, JobState::Running)
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
        if let Some(stop) = entry.stopping {
            return self.finish(job, None, stop.ending(), None, effects);
        }
        match then {
            Some(then @ (Then::Compose | Then::Replan)) => {
                // Whoever waits for the same art finds it in the store from now on, or buys it itself.
                entry.advance(JobState::Queued);
                entry.phase = Phase::Queued;
                if matches!(then, Then::Compose) {
                    entry.purchasing = None;
                    entry.bought = Some(attempt);
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
        let happened =
            Happened { outcome: Outcome::Ambiguous, retry_after_ms: None, can_ask: held.provider_id.is_some() };
        let tried = Tried { resent: held.others, ..Tried::default() };
        let next = retry::next(happened, tried, on_ambiguous, jitter(job, attempt));
        let limits = GateLimits { in_flight: 1, per_minute: None, burst: 1 };
        let offers = VecDeque::from([Offer { route: Box::new(route), art, limits }]);
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

fn is_of(offer: &Offer, account: &str) -> bool {
    offer.route.purchase.as_ref().is_some_and(|purchase| purchase.account == account)
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

fn follows_held(drawer: JobId) -> Failure {
    Failure::new(
        ErrorCode::Ambiguous,
        format!(
            "failed to get the art: job {drawer} bought it, and nobody knows yet what became of that call; decide that one first"
        ),
    )
}

fn failure(code: ErrorCode, account: &str, note: &str) -> Failure {
    let note = if note.is_empty() { "get a picture" } else { note };
    let mend = match code {
        ErrorCode::ProviderAuth => "; check the account's key (`thumbforge doctor` says where it comes from)",
        ErrorCode::OutOfFunds => "; top the account up, or name another",
        ErrorCode::RateLimited => "; ask later, or lower the account's limits",
        ErrorCode::ContentPolicy => "; change the prompt",
        ErrorCode::ModelRetired => "; name another model (`thumbforge models` lists them)",
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
        Shut::Failing => {
            (ErrorCode::ProviderFailed, "the provider failed again and again; ask later, or name a fallback")
        }
    };
    Failure::new(code, format!("failed to buy from the account {account}: {said} (it is asked again in {minutes} min)"))
}
