//! The night that a provider said "Rate limit exceeded. Retry after 60s." in the middle of a batch of 300, replayed on a
//! clock that jumps: 300 pictures, 300 charges, one minute of patience, and nobody asked twice.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use thumbforge_core::id::{ContentHash, JobId, PixelHash};
use thumbforge_core::image::Extent;
use thumbforge_core::job::{AssetRef, Ending, JobSpec, Lane, OnAmbiguous, Outcome, Purchase, Render, Route};
use thumbforge_core::model::ModelId;
use thumbforge_core::money::Micros;
use thumbforge_core::recipe::{Realisation, Recipe};
use thumbforge_core::terms::Scope;
use thumbforge_core::verdict::Verdict;
use thumbforge_sidecar::dispatch::{Called, Effect, Event, GateLimits, Offer, Offers, Planned, State};
use thumbforge_sidecar::journal::ledger::{self, Bought, Call, Settled};
use thumbforge_sidecar::journal::{Accepted, Applied, in_memory, ops};

const JOBS: u64 = 300;
const IN_FLIGHT: u32 = 4;
/// How long the provider takes for a picture.
const PICTURE_MS: u64 = 500;
/// Pictures that it makes before it loses its patience.
const PATIENCE: u64 = 120;
const PRICE: Micros = Micros(40_000);

struct Night {
    now_ms: u64,
    disk: rusqlite::Connection,
    state: State,
    coming: BTreeMap<(u64, u64), Event>,
    order: u64,
    specs: HashMap<JobId, JobSpec>,
    /// Requests that reached the provider, and those of them that it billed, by job.
    requests: u64,
    billed: HashMap<JobId, u64>,
    /// Until when it answers everybody with 429.
    closed_until_ms: Option<u64>,
    answered: HashMap<JobId, Ending>,
}

impl Night {
    fn new() -> Self {
        Self {
            now_ms: 1_000_000,
            disk: in_memory().expect("a journal in memory"),
            state: State::new(4),
            coming: BTreeMap::new(),
            order: 0,
            specs: HashMap::new(),
            requests: 0,
            billed: HashMap::new(),
            closed_until_ms: None,
            answered: HashMap::new(),
        }
    }

    fn run(&mut self) {
        for number in 0..JOBS {
            let recipe = Recipe::from_prompt(&format!("thumbnail {number}"), Extent { width: 512, height: 512 });
            let asset = AssetRef { name: format!("asset-{number:03}"), locale: String::new() };
            let spec = JobSpec { asset, ..JobSpec::new(recipe, Lane::Batch, "night") };
            let (json, planned) = (ops::spec_to_json(&spec), spec.recipe.planned_key());
            let accepted = ops::accept(&self.disk, None, &spec, &json, planned, self.now_ms).expect("accepted");
            let Accepted::Fresh(open) = accepted else { panic!("{accepted:?}") };
            self.specs.insert(open.id, spec);
            self.after(0, Event::Accepted(open));
        }
        for steps in 0.. {
            assert!(steps < 100_000, "the night does not end");
            let coming = self.coming.first_key_value().map(|(key, _)| key.0);
            let Some(at) = coming.into_iter().chain(self.state.next_deadline_ms()).min() else { return };
            self.now_ms = self.now_ms.max(at);
            let event = if coming == Some(at) { self.coming.pop_first().map(|(_, event)| event) } else { None };
            for effect in self.state.apply(event.unwrap_or(Event::Tick), self.now_ms) {
                self.perform(effect);
            }
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Plan(job) => {
                let planned = self.plan(job);
                self.after(0, Event::Planned { job, planned });
            }
            Effect::Record(record) => {
                let applied = ops::apply(&self.disk, &record, self.now_ms).expect("a record applies");
                assert_eq!(applied, Applied::Written);
                self.after(1, Event::Recorded(record));
            }
            Effect::Call { job, attempt, art, .. } => {
                self.requests += 1;
                let made = self.requests - 1;
                if made == PATIENCE {
                    self.closed_until_ms = Some(self.now_ms + 60_000);
                }
                let closed = self.closed_until_ms.is_some_and(|until| self.now_ms < until);
                let (call, retry_after_ms, took) = if closed {
                    (Call::unmade(Outcome::Throttled), Some(60_000), 20)
                } else {
                    *self.billed.entry(job).or_default() += 1;
                    let blob = ContentHash(art.0);
                    ops::keep_blob(&self.disk, blob, 1, self.now_ms).expect("a blob row");
                    let bought = Some(Bought { art, blob, seed: None });
                    let call = Call { settled: Settled::Paid(PRICE), art: bought, ..Call::unmade(Outcome::Rendered) };
                    (call, None, PICTURE_MS)
                };
                let called = Box::new(Called { call, retry_after_ms, account_wide: false });
                self.after(took, Event::Called { job, attempt, called });
            }
            Effect::Draw { job, attempt, route, .. } => {
                let result = Ok(Box::new(self.render(job, &route)));
                self.after(5, Event::Drawn { job, attempt, result });
            }
            Effect::Answer(job, ending) => assert!(self.answered.insert(job, ending).is_none(), "{job} ends twice"),
            Effect::Moved(..) => {}
            other => panic!("nobody asked for {other:?}"),
        }
    }

    fn plan(&self, job: JobId) -> Planned {
        let spec = &self.specs[&job];
        let route = route(&spec.recipe);
        let art = route.realisation.key(spec.recipe.art_key());
        if ledger::find_art(&self.disk, art).expect("reads").is_some() {
            let key = route.realisation.key(spec.recipe.planned_key());
            return Planned::Draw { route: Box::new(Route { purchase: None, ..route }), key, art: None };
        }
        let limits = GateLimits { in_flight: IN_FLIGHT, per_minute: None, burst: 1 };
        let offers = vec![Offer { route: Box::new(route), art, limits, lowered: None }];
        Planned::Buy(Box::new(Offers { offers, budgets: Arc::new([]), cross_vendor: false }))
    }

    fn render(&self, job: JobId, route: &Route) -> Render {
        let planned_key = self.specs[&job].recipe.planned_key();
        let realised_key = route.realisation.key(planned_key);
        Render {
            planned_key,
            realised_key,
            blob: ContentHash(realised_key.0),
            pixels: PixelHash(realised_key.0),
            size: Extent { width: 512, height: 512 },
            realisation: route.realisation.clone(),
            model: route.model.clone(),
            placeholder_for: None,
            replaces: None,
            verdict: Verdict::of(Vec::new()),
            latency_ms: 1,
            cost_micros_usd: PRICE.0,
            held_to: String::new(),
            repairs: Vec::new(),
        }
    }

    fn after(&mut self, ms: u64, event: Event) {
        self.order += 1;
        self.coming.insert((self.now_ms + ms, self.order), event);
    }
}

fn route(recipe: &Recipe) -> Route {
    let realisation = Realisation {
        engine: "openai".into(),
        engine_version: "1".into(),
        wire_model: "gpt-image-2".into(),
        weights: None,
        device_class: "hosted".into(),
        seed: recipe.drawing_seed(),
        settings: BTreeMap::new(),
        dropped: Vec::new(),
    };
    let purchase = Purchase {
        account: "studio".into(),
        provider: "openai".into(),
        key_id: String::new(),
        quoted: PRICE,
        reserve: PRICE,
        images: 1,
        on_ambiguous: OnAmbiguous::Hold,
        nonce: String::new(),
        known_as: None,
    };
    Route { purchase: Some(purchase), ..Route::here(ModelId::builtin(), None, realisation) }
}

#[test]
fn three_hundred_jobs_and_a_minute_of_429_are_three_hundred_charges() {
    let mut night = Night::new();
    let began = night.now_ms;
    night.run();
    let done = night.answered.values().filter(|ending| matches!(ending, Ending::Done { .. })).count();
    assert_eq!(done as u64, JOBS);
    assert!(night.billed.len() as u64 == JOBS && night.billed.values().all(|times| *times == 1), "one charge each");
    // Only what was on its way when the provider lost its patience heard of it; the rest waited at the gate.
    let refused = night.requests - JOBS;
    assert!((1..=u64::from(IN_FLIGHT)).contains(&refused), "{refused} requests were refused");
    let (reserved, spent) = ledger::spent(&night.disk, &Scope::All, "").expect("reads");
    assert_eq!((reserved, spent), (Micros::ZERO, PRICE.times(JOBS)));
    // A minute of patience, and 300 pictures at four at once.
    let took_s = (night.now_ms - began) / 1000;
    let drawing_s = JOBS * PICTURE_MS / u64::from(IN_FLIGHT) / 1000;
    assert!((60 + drawing_s..60 + 2 * drawing_s).contains(&took_s), "it took {took_s} s");
}
