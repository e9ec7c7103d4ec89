//! The world's provider: it makes, bills, refuses, delays and forgets, and remembers the truth of every call.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use thumbforge_core::id::{ContentHash, JobId, PlannedKey, RealisedKey};
use thumbforge_core::job::{JobSpec, OnAmbiguous, Outcome, Purchase, Route};
use thumbforge_core::money::Micros;
use thumbforge_core::repair::{self, Step};
use thumbforge_core::terms::{Budget, Period, Scope};
use thumbforge_sidecar::dispatch::{Called, Event, GateLimits, Offer, Offers, Planned};
use thumbforge_sidecar::journal::ledger::{self, Bought as Art, Call, Settled};
use thumbforge_sidecar::journal::ops;

use super::{Coming, World, route};

/// What a picture is quoted at; it may cost up to [`MOST`].
pub(crate) const PRICE: Micros = Micros(40_000);
const MOST: Micros = Micros(50_000);
/// Calls that each account may have on their way.
const IN_FLIGHT: u32 = 3;

/// What became of purchases.
#[derive(Debug, Default)]
pub(crate) struct Bought {
    pub(crate) calls: u64,
    pub(crate) billed: u64,
    pub(crate) unknown: u64,
    pub(crate) asked: u64,
    pub(crate) held: u64,
    pub(crate) resent: u64,
    pub(crate) over_budget: u64,
    pub(crate) shared: u64,
}

impl Bought {
    pub(crate) fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.billed += other.billed;
        self.unknown += other.unknown;
        self.asked += other.asked;
        self.held += other.held;
        self.resent += other.resent;
        self.over_budget += other.over_budget;
        self.shared += other.shared;
    }
}

/// The other side, which outlives every crash.
#[derive(Default)]
pub(crate) struct Provider {
    /// What was really made and billed, by call.
    truth: BTreeMap<(JobId, u32), Micros>,
    /// Calls on their way in this life, with account and art.
    pub(crate) calls: HashMap<JobId, (String, RealisedKey)>,
    /// Those of them that were made before, and are only asked after.
    pub(crate) asked: HashSet<JobId>,
    /// How often a job may be billed more than once, because somebody said so.
    pub(crate) resent: HashMap<JobId, u64>,
    /// Different pictures that are asked for.
    pub(crate) pictures: u64,
    /// The budget of everything.
    pub(crate) limit: Micros,
}

impl World {
    /// What a shop says of a job: it is there, or where it can be bought.
    pub(super) fn shop(&mut self, spec: &JobSpec, steps: &[Step], planned: PlannedKey) -> Planned {
        let asked = repair::effective(&spec.recipe, steps);
        let rule = match spec.recipe.prompt.bytes().map(u32::from).sum::<u32>() % 3 {
            0 => OnAmbiguous::Hold,
            1 => OnAmbiguous::Poll,
            _ => OnAmbiguous::Resend { at_most: 1 },
        };
        let limits = GateLimits { in_flight: IN_FLIGHT, per_minute: Some(6000), burst: 10 };
        let mut offers = Vec::new();
        for (account, provider) in [("north", "one"), ("south", "two")] {
            let mut route = route(&spec.recipe, steps);
            provider.clone_into(&mut route.engine);
            provider.clone_into(&mut route.realisation.engine);
            let (key, art) = (route.realisation.key(planned), repair::art_of(&route.realisation, &asked));
            if let Some(render) = self.accepted(spec, key) {
                return Planned::Cached(render);
            }
            if ledger::find_art(&self.disk, art).expect("reads").is_some() {
                self.tally.bought.shared += 1;
                return Planned::Draw { route: Box::new(route), key, art: None };
            }
            route.purchase = Some(Purchase {
                account: account.to_owned(),
                provider: provider.to_owned(),
                key_id: String::new(),
                quoted: PRICE,
                reserve: MOST,
                images: 1,
                on_ambiguous: rule,
                nonce: String::new(),
                known_as: (rule == OnAmbiguous::Poll).then(|| format!("{art}")),
            });
            offers.push(Offer { route: Box::new(route), art, limits, lowered: None });
        }
        let budget = Budget { scope: Scope::All, period: Period::Ever, micros: self.provider.limit };
        Planned::Buy(Box::new(Offers { offers, budgets: Arc::new([budget]), cross_vendor: self.seed.chance(50) }))
    }

    pub(super) fn call(&mut self, job: JobId, attempt: u32, route: &Route, art: RealisedKey) {
        self.tally.bought.calls += 1;
        let purchase = route.purchase.clone().expect("a call has an account");
        // A job that was let go of after a failed write may be taken up when another has come to its art; it only asks.
        let mut bought = self.provider.calls.iter().filter(|(job, _)| !self.provider.asked.contains(job));
        assert!(!bought.any(|(_, (_, other))| *other == art), "art {art} is bought twice at once");
        self.provider.calls.insert(job, (purchase.account.clone(), art));
        let made = |(job, (account, _)): &(&JobId, &(String, RealisedKey))| {
            *account == purchase.account && !self.provider.asked.contains(job)
        };
        let there = self.provider.calls.iter().filter(made).count();
        assert!(there <= IN_FLIGHT as usize, "{there} calls at once at {}", purchase.account);
        let row = ops::job(&self.disk, job).expect("reads").expect("is there");
        assert!(row.attempts >= attempt, "job {job} is bought before its attempt is durable");

        let cost = if self.seed.chance(20) { MOST } else { PRICE };
        let pick = if self.faults { self.seed.below(100) } else { 0 };
        let free = |outcome| (outcome, Settled::Free);
        let (outcome, settled) = match pick {
            0..55 => (Outcome::Rendered, Settled::Paid(cost)),
            55..65 => free(Outcome::Throttled),
            65..75 => free(Outcome::Transient),
            75..78 => free(Outcome::PolicyInput),
            78..80 => (Outcome::PolicyOutput, Settled::Paid(PRICE)),
            80..82 => (Outcome::Empty, Settled::Free),
            82..84 => free(Outcome::BadRequest),
            // These shut an account for a minute, and fail whoever has no other.
            84..85 if self.provider.pictures == 0 || self.seed.chance(2) => free(Outcome::Auth),
            85..86 if self.provider.pictures == 0 || self.seed.chance(2) => free(Outcome::OutOfFunds),
            84..86 => free(Outcome::Throttled),
            _ => (Outcome::Ambiguous, Settled::Unknown),
        };
        // What is billed is billed as the request arrives, whatever becomes of the answer.
        match settled {
            Settled::Paid(amount) => self.bill(job, attempt, amount),
            Settled::Unknown if self.seed.chance(50) => self.bill(job, attempt, PRICE),
            _ => {}
        }
        self.tally.bought.unknown += u64::from(outcome == Outcome::Ambiguous);
        let provider_id = purchase.known_as;
        self.answer(job, attempt, Told { outcome, settled, provider_id, art });
    }

    /// The provider says what became of a call, as it was.
    pub(super) fn ask(&mut self, job: JobId, attempt: u32, route: &Route, art: RealisedKey, id: &str) {
        self.tally.bought.asked += 1;
        self.waive(job);
        let account = route.purchase.as_ref().expect("a call has an account").account.clone();
        self.provider.calls.insert(job, (account, art));
        self.provider.asked.insert(job);
        let truth = self.provider.truth.get(&(job, attempt)).copied();
        let (outcome, settled) = match truth {
            _ if self.faults && self.seed.chance(20) => (Outcome::Ambiguous, Settled::Unknown),
            Some(amount) => (Outcome::Rendered, Settled::Paid(amount)),
            None => (Outcome::Transient, Settled::Free),
        };
        self.answer(job, attempt, Told { outcome, settled, provider_id: Some(id.to_owned()), art });
    }

    fn answer(&mut self, job: JobId, attempt: u32, told: Told) {
        let Told { outcome, settled, provider_id, art } = told;
        let bought = (outcome == Outcome::Rendered).then_some(Art { art, blob: ContentHash(art.0), seed: None });
        let call = Call { outcome, settled, provider_id, art: bought, latency_ms: 1, ..Call::unmade(outcome) };
        let retry_after_ms = (outcome == Outcome::Throttled).then(|| self.seed.below(70_000));
        let account_wide = matches!(outcome, Outcome::Auth | Outcome::OutOfFunds);
        let called = Box::new(Called { call, retry_after_ms, account_wide });
        let slow = if self.seed.chance(10) { 3_000 } else { 100 };
        self.within(slow, Coming::Event(Event::Called { job, attempt, called }));
    }

    fn bill(&mut self, job: JobId, attempt: u32, amount: Micros) {
        self.tally.bought.billed += 1;
        assert!(self.provider.truth.insert((job, attempt), amount).is_none(), "one call is billed twice");
    }

    /// A person looks at what is held, and decides.
    pub(super) fn decide_what_nobody_knows(&mut self) {
        loop {
            let held = ops::jobs(&self.disk, Some(thumbforge_core::job::JobState::Ambiguous), 1000).expect("reads");
            if held.is_empty() {
                return;
            }
            for row in held {
                if self.seed.chance(50) {
                    *self.provider.resent.entry(row.id).or_default() += 1;
                    self.tally.bought.resent += 1;
                    self.tell(Event::Resend(row.id));
                } else {
                    self.tell(Event::Cancel(row.id));
                }
            }
            self.until_quiet();
        }
    }

    /// At no moment is more set aside and spent than the budget has.
    pub(super) fn check_budget(&self) {
        let (reserved, spent) = ledger::spent(&self.disk, &Scope::All, "").expect("reads");
        assert!(reserved + spent <= self.provider.limit, "{reserved} and {spent} of {}", self.provider.limit);
    }

    pub(super) fn check_money(&self) {
        let number = |sql: &str| self.disk.query_row(sql, [], |row| row.get::<_, u64>(0)).expect("counts");
        let (reserved, spent) = ledger::spent(&self.disk, &Scope::All, "").expect("reads");
        assert_eq!(reserved, Micros::ZERO, "money is set aside for nothing");
        let settled = number("SELECT coalesce(sum(amount_micros), 0) FROM ledger WHERE kind IN ('settle', 'assume')");
        assert_eq!(spent, Micros(settled), "the sums and the ledger differ");
        let rows = number("SELECT coalesce(sum(settled_micros), 0) FROM attempts");
        assert_eq!(spent, Micros(rows), "the sums and the attempts differ");
        let twice = number(
            "SELECT count(*) FROM (SELECT 1 FROM ledger WHERE kind IN ('settle', 'release', 'assume')
               GROUP BY job_id, attempt HAVING count(*) > 1)",
        );
        assert_eq!(twice, 0, "a call is counted twice");
        let truth: Micros = self.provider.truth.values().copied().sum();
        assert!(spent >= truth, "{truth} were billed and {spent} are known");
        // A job is billed once for a picture, and again only where somebody or a rule said so.
        let mut billed: HashMap<JobId, u64> = HashMap::new();
        for (job, _) in self.provider.truth.keys() {
            *billed.entry(*job).or_default() += 1;
        }
        for (job, times) in billed {
            let by_rule = self
                .disk
                .query_row(
                    "SELECT count(*) FROM attempts WHERE job_id = ?1
                       AND (outcome = 'policy_output' OR outcome = 'ambiguous' AND json_extract(route,
                         '$.purchase.on_ambiguous.resend.at_most') IS NOT NULL)",
                    [job.0],
                    |row| row.get::<_, u64>(0),
                )
                .expect("counts");
            // Each step buys one picture more.
            let steps = self.steps(job).len() as u64;
            let allowed = 1 + steps + by_rule + self.provider.resent.get(&job).copied().unwrap_or(0);
            assert!(times <= allowed, "job {job} was billed {times} times, {allowed} were allowed");
        }
    }
}

/// What the provider tells of a call.
struct Told {
    outcome: Outcome,
    settled: Settled,
    provider_id: Option<String>,
    art: RealisedKey,
}
