//! What is counted, out of journals that jobs went through.

use thumbforge_core::approvals::Approval;
use thumbforge_core::error::Failure;
use thumbforge_core::id::{ContentHash, JobId, PlannedKey};
use thumbforge_core::image::Extent;
use thumbforge_core::job::{Ending, JobSpec, JobState, Lane, OnAmbiguous, Outcome, Purchase, Render, Route};
use thumbforge_core::model::Catalogue;
use thumbforge_core::money::Micros;
use thumbforge_core::recipe::{Realisation, Recipe};
use thumbforge_core::verdict::Verdict;

use super::*;
use crate::journal::{Accepted, Journal, Record, ledger, ops};

/// A project folder with a journal in it.
struct Desk {
    folder: tempfile::TempDir,
    journal: Journal,
    now_ms: u64,
}

/// How a job ends.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Passed,
    KeptThoughFailed,
    FailedByChecks,
    FailedOtherwise,
}

fn id(name: &str) -> ModelId {
    Catalogue::built_in().resolve(name).expect("a known model").id.clone()
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("thumbforge.toml"), "").expect("writes");
        let journal = Journal::open(&folder.path().join("journal.sqlite")).expect("opens");
        Self { folder, journal, now_ms: 0 }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("journal.sqlite")
    }

    fn write<T: Send + 'static>(
        &self,
        op: impl FnMut(&rusqlite::Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> T {
        self.journal.write(op).durable_blocking().expect("writes")
    }

    /// A job that `model` draws in `latency_ms`; its pixels.
    fn job(&mut self, prompt: &str, model: &str, intent: Intent, end: End, latency_ms: u64) -> PixelHash {
        let recipe = Recipe { intent, ..Recipe::from_prompt(prompt, Extent { width: 64, height: 64 }) };
        let (planned, spec) = (recipe.planned_key(), JobSpec::new(recipe, Lane::Batch, "test"));
        let engine = if model == "builtin" { "builtin" } else { "local" };
        let render = self.render(planned, model, engine, end == End::Passed);
        let realisation = render.realisation.clone();
        let pixels = render.pixels;
        let (ending, outcome) = match end {
            End::Passed | End::KeptThoughFailed => {
                (Ending::Done { render: Box::new(render), cached: false, attempts: 1 }, Outcome::Rendered)
            }
            End::FailedByChecks => (Ending::Failed(Failure::new(ErrorCode::VerificationFailed, "")), Outcome::Failed),
            End::FailedOtherwise => (Ending::Failed(Failure::new(ErrorCode::EngineFailed, "")), Outcome::Failed),
        };
        let job = self.accept(spec, planned);
        let route = Box::new(Route::here(id(model), None, realisation));
        let began = self.now_ms;
        self.now_ms += latency_ms;
        self.apply(Record::Started { job, attempt: 1, route, art: None, budgets: Vec::new().into() }, began);
        let (attempt, ending) = (Some((1, outcome)), ending);
        self.apply(Record::Finished { job, attempt, ending, late: None }, began + latency_ms);
        pixels
    }

    /// A picture that is bought in `latency_ms`, then set with words in 3 ms.
    fn bought(&mut self, prompt: &str, model: &str, latency_ms: u64) {
        let recipe = Recipe::from_prompt(prompt, Extent { width: 64, height: 64 });
        let (planned, spec) = (recipe.planned_key(), JobSpec::new(recipe, Lane::Batch, "test"));
        let render = self.render(planned, model, "openai", true);
        let purchase = Purchase {
            account: "team".into(),
            provider: "openai".into(),
            key_id: String::new(),
            quoted: Micros(1),
            reserve: Micros(1),
            images: 1,
            on_ambiguous: OnAmbiguous::Hold,
            nonce: String::new(),
            known_as: None,
        };
        let job = self.accept(spec, planned);
        let set = Box::new(Route::here(id(model), None, render.realisation.clone()));
        let bought = Box::new(Route { purchase: Some(purchase), ..(*set).clone() });
        let call = ledger::Call {
            settled: ledger::Settled::Paid(Micros(1)),
            latency_ms,
            ..ledger::Call::unmade(Outcome::Rendered)
        };
        let began = |attempt, route| Record::Started { job, attempt, route, art: None, budgets: Vec::new().into() };
        self.apply(began(1, bought), 0);
        self.apply(Record::Called { job, attempt: 1, call: Box::new(call), state: JobState::Queued }, latency_ms);
        self.apply(began(2, set), latency_ms);
        let ending = Ending::Done { render: Box::new(render), cached: false, attempts: 2 };
        let attempt = Some((2, Outcome::Rendered));
        self.apply(Record::Finished { job, attempt, ending, late: None }, latency_ms + 3);
    }

    fn render(&self, planned: PlannedKey, model: &str, engine: &str, passed: bool) -> Render {
        let realisation = Realisation {
            engine: engine.into(),
            engine_version: "1".into(),
            wire_model: model.into(),
            weights: None,
            device_class: "any".into(),
            seed: 1,
            settings: BTreeMap::new(),
            dropped: Vec::new(),
        };
        let key = realisation.key(planned);
        Render {
            planned_key: planned,
            realised_key: key,
            blob: ContentHash::of(key.as_bytes()),
            pixels: PixelHash(key.0),
            size: Extent { width: 64, height: 64 },
            realisation,
            model: id(model),
            placeholder_for: None,
            replaces: None,
            verdict: Verdict { passed, ..Verdict::default() },
            latency_ms: 1,
            cost_micros_usd: 0,
            held_to: String::new(),
            repairs: Vec::new(),
        }
    }

    fn accept(&self, spec: JobSpec, planned: PlannedKey) -> JobId {
        let json = ops::spec_to_json(&spec);
        match self.write(move |connection| ops::accept(connection, None, &spec, &json, planned, 1)) {
            Accepted::Fresh(open) => open.id,
            other => panic!("{other:?}"),
        }
    }

    fn apply(&self, record: Record, now_ms: u64) {
        self.write(move |connection| ops::apply(connection, &record, now_ms));
    }

    fn decide(&self, asset: &str, pixels: PixelHash, decision: Decision) {
        let approval = Approval {
            asset: asset.into(),
            locale: String::new(),
            role: "art-director".into(),
            decision,
            pixels,
            person: "Kim".into(),
            date: "2026-11-21".into(),
            note: String::new(),
        };
        crate::build::decide(self.folder.path(), self.folder.path(), approval).expect("decides");
    }

    /// Passed, failed, accepted, rejected and the time, as the file has them after learning.
    #[track_caller]
    fn check(&self, model: &str, intent: Intent, expected: Option<(u64, u64, u64, u64, Option<u64>)>) {
        learn(self.folder.path(), &[self.path()]).expect("learns");
        let learned = build::learned(self.folder.path()).expect("reads");
        let counts = learned.get(&id(model), intent);
        let told = counts
            .map(|counts| (counts.passed, counts.failed, counts.accepted, counts.rejected, counts.latency_p50_ms));
        assert_eq!(told, expected, "{model} {}", intent.word());
    }
}

#[test]
fn pictures_are_counted_by_what_the_checks_found() {
    let mut desk = Desk::new();
    let model = "sd3.5-large";
    for (number, end) in
        [End::Passed, End::Passed, End::KeptThoughFailed, End::FailedByChecks, End::FailedOtherwise].iter().enumerate()
    {
        desk.job(&format!("sword {number}"), model, Intent::Hero, *end, 100 * (number as u64 + 1));
    }
    desk.job("icon", model, Intent::Icon, End::Passed, 7);
    desk.job("placeholder", "builtin", Intent::Icon, End::Passed, 1);
    desk.check(model, Intent::Hero, Some((2, 2, 0, 0, Some(200))));
    desk.check(model, Intent::Icon, Some((1, 0, 0, 0, Some(7))));
    desk.check(model, Intent::Photo, None);
    desk.check("builtin", Intent::Icon, None);
}

#[test]
fn what_a_bought_picture_took_is_what_its_call_took() {
    let mut desk = Desk::new();
    for (number, latency_ms) in [9000, 30_000, 12_000].into_iter().enumerate() {
        desk.bought(&format!("sword {number}"), "gpt-image-2", latency_ms);
    }
    desk.check("gpt-image-2", Intent::Photo, Some((3, 0, 0, 0, Some(12_000))));
}

#[test]
fn what_a_person_decided_counts_in_place_of_the_checks() {
    let mut desk = Desk::new();
    let (good, bad) = (
        desk.job("one", "sd3.5-large", Intent::Photo, End::KeptThoughFailed, 10),
        desk.job("two", "sd3.5-large", Intent::Photo, End::Passed, 10),
    );
    desk.job("three", "sd3.5-large", Intent::Photo, End::Passed, 10);
    desk.decide("one", good, Decision::Accepted);
    desk.decide("two", bad, Decision::Rejected);
    // The same pixels under another name: whoever rejects them outweighs whoever accepts.
    desk.decide("three", bad, Decision::Accepted);
    desk.check("sd3.5-large", Intent::Photo, Some((1, 0, 1, 1, Some(10))));
}

#[test]
fn a_picture_counts_once_however_many_journals_have_it() {
    let (mut desk, mut other) = (Desk::new(), Desk::new());
    for desk in [&mut desk, &mut other] {
        desk.job("shared", "sd3.5-large", Intent::Photo, End::Passed, 10);
    }
    other.job("its own", "sd3.5-large", Intent::Photo, End::FailedByChecks, 10);
    let learnt = learn(desk.folder.path(), &[desk.path(), other.path(), other.path()]).expect("learns");
    assert_eq!(learnt.pictures, 2);
    let counts = learnt.learned.get(&id("sd3.5-large"), Intent::Photo).copied().expect("a row");
    assert_eq!((counts.passed, counts.failed), (1, 1));
}

#[test]
fn a_row_that_rests_on_more_pictures_stays() {
    let mut desk = Desk::new();
    desk.job("one", "sd3.5-large", Intent::Photo, End::Passed, 10);
    let mut known = Learned::default();
    known.set(id("sd3.5-large"), Intent::Photo, Counts { passed: 40, failed: 2, ..Counts::default() });
    known.set(id("gpt-image-2"), Intent::Photo, Counts { passed: 9, ..Counts::default() });
    std::fs::write(desk.folder.path().join(QUALITY_FILE), known.to_text()).expect("writes");
    desk.check("sd3.5-large", Intent::Photo, Some((40, 2, 0, 0, None)));
    desk.check("gpt-image-2", Intent::Photo, Some((9, 0, 0, 0, None)));
    let learnt = learn(desk.folder.path(), &[desk.path()]).expect("learns");
    assert_eq!(learnt.left, 1);
    // Learning twice is learning once.
    let text = std::fs::read_to_string(&learnt.path).expect("reads");
    assert_eq!(text, learnt.learned.to_text());
}

#[test]
fn what_cannot_be_learned_from_is_said() {
    let desk = Desk::new();
    let refused = |folder: &Path, journals: &[PathBuf]| match learn(folder, journals) {
        Err(err) => err.failure(),
        Ok(learnt) => panic!("{learnt:?}"),
    };
    let elsewhere = tempfile::tempdir().expect("a folder");
    assert_eq!(refused(elsewhere.path(), &[desk.path()]).code, ErrorCode::InvalidManifest);
    assert_eq!(refused(desk.folder.path(), &[elsewhere.path().join("none.sqlite")]).code, ErrorCode::NotFound);
    let text = elsewhere.path().join("text.sqlite");
    std::fs::write(&text, "no database at all, but long enough to be taken for one by its size").expect("writes");
    assert_eq!(refused(desk.folder.path(), &[text]).code, ErrorCode::Corrupt);
    std::fs::write(desk.folder.path().join(QUALITY_FILE), "version = 99").expect("writes");
    assert_eq!(refused(desk.folder.path(), &[desk.path()]).code, ErrorCode::InvalidManifest);
}
