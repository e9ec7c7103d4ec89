//! The views and the sums over a journal that was written as the dispatcher writes it.

use std::sync::Arc;

use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::id::{ContentHash, JobId, RealisedKey};
use thumbforge_core::job::{Ending, JobSpec, JobState, OnAmbiguous, Outcome, Purchase, Route};
use thumbforge_core::model::{Catalogue, ModelId};
use thumbforge_core::recipe::Realisation;
use thumbforge_core::verdict::{Finding, FindingCode, Severity, Verdict};
use thumbforge_hosted::Usage;

use super::*;
use crate::journal::ledger::{Bought, Call, Settled};
use crate::journal::{Accepted, Record, in_memory, ops, tests as fixture};

const DAY_MS: u64 = 86_400_000;
/// 2026-11-20.
const FIRST_MS: u64 = 20_777 * DAY_MS;

fn model(name: &str) -> ModelId {
    Catalogue::built_in().resolve(name).unwrap().id.clone()
}

fn hosted(spec: &JobSpec, model_name: &str) -> Route {
    let here = fixture::route(spec);
    let realisation = Realisation {
        engine: "openai".to_owned(),
        wire_model: format!("{model_name}-wire"),
        device_class: "hosted".to_owned(),
        ..here.realisation
    };
    Route { engine: "openai".to_owned(), model: model(model_name), realisation, ..here }
}

/// Writes jobs down, each change after the one before.
struct Book {
    connection: Connection,
    now_ms: u64,
}

impl Book {
    fn new() -> Self {
        Self { connection: in_memory().unwrap(), now_ms: FIRST_MS }
    }

    fn accept(&self, locale: &str) -> (JobId, JobSpec) {
        let mut spec = fixture::spec(&format!("a sword at {}", self.now_ms));
        spec.asset.locale = locale.to_owned();
        spec.terms.batch = "b1".to_owned();
        let planned = spec.recipe.planned_key();
        let json = ops::spec_to_json(&spec);
        match ops::accept(&self.connection, None, &spec, &json, planned, self.now_ms).unwrap() {
            Accepted::Fresh(open) => (open.id, spec),
            other => panic!("{other:?}"),
        }
    }

    fn write(&mut self, record: Record) {
        self.now_ms += 1000;
        ops::apply(&self.connection, &record, self.now_ms).unwrap();
    }

    /// Sets 60 thousandths of a dollar aside for attempt `attempt`.
    fn begin(&mut self, (job, spec): &(JobId, JobSpec), attempt: u32, model: &str) {
        let purchase = Purchase {
            account: "art".to_owned(),
            provider: "openai".to_owned(),
            key_id: "0a1b2c3d".to_owned(),
            quoted: Micros(53_000),
            reserve: Micros(60_000),
            images: 1,
            on_ambiguous: OnAmbiguous::Hold,
            nonce: String::new(),
            known_as: None,
        };
        let route = Route { purchase: Some(purchase), ..hosted(spec, model) };
        let art = Some(RealisedKey([attempt as u8; 32]));
        self.write(Record::Started { job: *job, attempt, route: Box::new(route), art, budgets: Arc::new([]) });
    }

    fn call(&mut self, (job, _): &(JobId, JobSpec), attempt: u32, outcome: Outcome, settled: Settled, latency_ms: u64) {
        let art = RealisedKey([attempt as u8; 32]);
        let rendered = outcome == Outcome::Rendered;
        let call = Call {
            outcome,
            settled,
            usage: Usage { output_tokens: rendered.then_some(1000), ..Usage::default() },
            provider_id: None,
            key_id: String::new(),
            latency_ms,
            note: String::new(),
            art: rendered.then(|| Bought { art, blob: ContentHash::of(art.as_bytes()), seed: None }),
        };
        let state = if rendered { JobState::Verifying } else { JobState::Ambiguous };
        self.write(Record::Called { job: *job, attempt, call: Box::new(call), state });
    }

    fn done(&mut self, (job, spec): &(JobId, JobSpec), attempts: u32, route: Route, passed: bool) {
        let mut render = fixture::render(spec);
        render.realised_key = route.realisation.key(render.planned_key);
        (render.realisation, render.model) = (route.realisation, route.model);
        let finding = Finding {
            code: FindingCode::Blank,
            severity: Severity::Error,
            message: "nothing is drawn".to_owned(),
            place: None,
            expected: None,
            read: None,
            score: None,
        };
        render.verdict = Verdict::of(if passed { Vec::new() } else { vec![finding] });
        let ending = Ending::Done { render: Box::new(render), cached: false, attempts };
        let attempt = Some((attempts, Outcome::Rendered));
        self.write(Record::Finished { job: *job, attempt, ending, late: None });
    }

    /// A job of one call that gave a picture.
    fn bought(&mut self, locale: &str, model: &str, cost: u64, latency_ms: u64, passed: bool) {
        let job = self.accept(locale);
        self.begin(&job, 1, model);
        self.call(&job, 1, Outcome::Rendered, Settled::Paid(Micros(cost)), latency_ms);
        self.done(&job, 1, hosted(&job.1, model), passed);
    }

    /// A job whose art another locale bought.
    fn shared(&mut self, locale: &str, model: &str) {
        let job = self.accept(locale);
        let route = hosted(&job.1, model);
        let started = Record::Started {
            job: job.0,
            attempt: 1,
            route: Box::new(route.clone()),
            art: None,
            budgets: Arc::new([]),
        };
        self.write(started);
        self.done(&job, 1, route, true);
    }

    /// One row of a query, each value as SQLite prints it.
    #[track_caller]
    fn row(&self, sql: &str) -> Vec<String> {
        let mut rows = self.rows(sql);
        assert_eq!(rows.len(), 1, "{sql}: {rows:?}");
        rows.remove(0)
    }

    fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        use rusqlite::types::ValueRef;
        let mut statement = self.connection.prepare(sql).unwrap_or_else(|err| panic!("{err}: {sql}"));
        let columns = statement.column_count();
        let word = |value: ValueRef<'_>| match value {
            ValueRef::Null => "-".to_owned(),
            ValueRef::Integer(whole) => whole.to_string(),
            ValueRef::Real(number) => format!("{number:.6}"),
            ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
            ValueRef::Blob(bytes) => format!("{} bytes", bytes.len()),
        };
        let rows = statement.query_map([], |row| (0..columns).map(|at| row.get_ref(at).map(word)).collect()).unwrap();
        rows.map(|row| row.unwrap_or_else(|err| panic!("{err}: {sql}"))).collect()
    }
}

/// Two days: pictures in two locales, one shared, one refused after it was billed, one of unknown end, one drawn here.
fn two_days() -> Book {
    let mut book = Book::new();
    book.bought("en", "gpt-image-2", 53_000, 4000, true);
    book.shared("ja", "gpt-image-2");
    let withheld = book.accept("ja");
    book.begin(&withheld, 1, "gpt-image-2");
    book.call(&withheld, 1, Outcome::PolicyOutput, Settled::Paid(Micros(53_000)), 9000);
    book.begin(&withheld, 2, "gpt-image-2");
    book.call(&withheld, 2, Outcome::Rendered, Settled::Paid(Micros(50_000)), 5000);
    book.done(&withheld, 2, hosted(&withheld.1, "gpt-image-2"), true);
    book.now_ms += DAY_MS;
    book.bought("en", "nano-banana-pro", 134_000, 8000, false);
    let lost = book.accept("en");
    book.begin(&lost, 1, "gpt-image-2");
    book.call(&lost, 1, Outcome::Ambiguous, Settled::Unknown, 600_000);
    let free = book.accept("en");
    book.begin(&free, 1, "gpt-image-2");
    book.call(&free, 1, Outcome::Throttled, Settled::Free, 10);
    let failure = Failure::new(ErrorCode::RateLimited, "failed to buy it");
    book.write(Record::Finished { job: free.0, attempt: None, ending: Ending::Failed(failure), late: None });
    let drawn = book.accept("en");
    let route = Box::new(fixture::route(&drawn.1));
    book.write(Record::Started { job: drawn.0, attempt: 1, route, art: None, budgets: Arc::new([]) });
    book.done(&drawn, 1, fixture::route(&drawn.1), true);
    book
}

#[test]
fn every_attempt_is_one_row_in_words() {
    let book = two_days();
    assert_eq!(
        book.row("SELECT count(*), count(DISTINCT job), sum(account IS NOT NULL) FROM attempts_all"),
        ["8", "7", "6"]
    );
    let first =
        "SELECT day, started, project, batch, asset, locale, tier, intent, provider, account, key_id, wire_model,
                   outcome, quoted_micros, reserved_micros, settled_micros, settled_usd, output_tokens, latency_ms
                 FROM attempts_all WHERE job = 1";
    let expected = [
        "2026-11-20",
        "2026-11-20T00:00:01Z",
        "test",
        "b1",
        "sword",
        "en",
        "production",
        "photo",
        "openai",
        "art",
        "0a1b2c3d",
        "gpt-image-2-wire",
        "rendered",
        "53000",
        "60000",
        "53000",
        "0.053000",
        "1000",
        "4000",
    ];
    assert_eq!(book.row(first), expected);
    let unknown = "SELECT settled_micros, settled_usd FROM attempts_all WHERE outcome = 'ambiguous'";
    assert_eq!(book.row(unknown), ["-", "-"], "what nobody knows is not 0");
    let here = "SELECT provider, settled_micros, latency_ms FROM attempts_all WHERE engine = 'builtin'";
    assert_eq!(book.row(here), ["-", "-", "1000"]);
}

#[test]
fn a_thousand_pictures_cost_what_was_billed_on_the_way_to_them() {
    let book = two_days();
    let by_model =
        book.rows("SELECT model, calls, pictures, spent_usd, usd_per_1000 FROM cost_per_1000_by_model ORDER BY model");
    assert_eq!(by_model[1], ["nano-banana-pro", "1", "1", "0.134000", "134.000000"]);
    assert_eq!(by_model[0], ["gpt-image-2", "5", "2", "0.156000", "78.000000"]);
    let by_locale =
        book.rows("SELECT locale, pictures, bought, spent_usd, usd_per_1000 FROM cost_per_1000_by_locale ORDER BY 1");
    assert_eq!(by_locale[0], ["en", "2", "2", "0.187000", "93.500000"]);
    assert_eq!(by_locale[1], ["ja", "2", "1", "0.103000", "51.500000"]);
}

#[test]
fn a_first_picture_is_accepted_when_it_passed_and_stayed() {
    let book = two_days();
    let sql = "SELECT engine, model, pictures, accepted, rate FROM first_accept_by_model ORDER BY engine, model";
    let rows = book.rows(sql);
    assert_eq!(rows[0], ["builtin", "builtin", "1", "1", "1.000000"]);
    assert_eq!(rows[1], ["openai", "gpt-image-2", "3", "3", "1.000000"], "a withheld picture is none");
    assert_eq!(rows[2], ["openai", "nano-banana-pro", "1", "0", "0.000000"], "it failed the checks");
}

#[test]
fn latencies_are_times_that_were() {
    let mut book = Book::new();
    for latency in 1..=200 {
        book.bought("en", "gpt-image-2", 1, latency, true);
    }
    assert_eq!(
        book.row("SELECT pictures, p50_ms, p95_ms, p99_ms, max_ms FROM latency_by_model"),
        ["200", "100", "190", "198", "200"]
    );
    let one = two_days();
    let row = one.row("SELECT pictures, p50_ms, p99_ms FROM latency_by_model WHERE model = 'nano-banana-pro'");
    assert_eq!(row, ["1", "8000", "8000"]);
}

#[test]
fn money_counts_on_the_day_on_which_it_was_set_aside() {
    let book = two_days();
    let days = book.rows("SELECT * FROM spend_by_day ORDER BY day");
    assert_eq!(days, [["2026-11-20", "3", "0.156000", "0.000000"], ["2026-11-21", "3", "0.134000", "0.060000"]]);
    assert_eq!(book.row("SELECT * FROM spend_by_provider"), ["openai", "art", "6", "0.290000", "0.060000"]);
    assert_eq!(book.row("SELECT * FROM spend_by_project"), ["test", "production", "6", "0.290000", "0.060000"]);
    let all = book.row("SELECT spent_micros, reserved_micros FROM spend WHERE scope = 'all' AND period = ''");
    assert_eq!(all, ["290000", "60000"], "the views and the budgets count the same");
    let share = "SELECT calls, share FROM outcomes_by_model WHERE model = 'gpt-image-2' AND outcome = 'throttled'";
    assert_eq!(book.row(share), ["1", "0.200000"]);
}

#[test]
fn costs_are_summed_by_what_is_asked() {
    let mut book = two_days();
    let sums = |book: &Book, by, since: Option<&str>, until: Option<&str>| -> Vec<(String, u64, u64, u64, u64)> {
        let day = |day: Option<&str>| day.map(|day| day.parse().unwrap());
        let rows = costs(&book.connection, by, day(since), day(until)).unwrap();
        rows.into_iter().map(|row| (row.name, row.calls, row.pictures, row.spent.0, row.open.0)).collect()
    };
    let row = |name: &str, calls, pictures, spent, open| (name.to_owned(), calls, pictures, spent, open);
    let two = [row("gpt-image-2", 5, 2, 156_000, 60_000), row("nano-banana-pro", 1, 1, 134_000, 0)];
    assert_eq!(sums(&book, By::Model, None, None), two);
    let today = [row("nano-banana-pro", 1, 1, 134_000, 0), row("gpt-image-2", 2, 0, 0, 60_000)];
    assert_eq!(sums(&book, By::Model, Some("2026-11-21"), None), today);
    assert_eq!(sums(&book, By::Day, None, Some("2026-11-20")), [row("2026-11-20", 3, 2, 156_000, 0)]);
    for by in By::ALL {
        let sum: u64 = sums(&book, by, None, None).iter().map(|row| row.3).sum();
        assert_eq!(sum, 290_000, "{}", by.word());
    }
    // A person gives the lost call up: it is counted as billed.
    let lost = JobId(5);
    book.write(Record::Resent { job: lost });
    let rows = costs(&book.connection, By::Provider, None, None).unwrap();
    assert_eq!((rows[0].spent.0, rows[0].assumed.0, rows[0].open.0), (350_000, 60_000, 0));
    // Forgotten jobs stay in the sums: the ledger outlives them.
    book.connection.execute("DELETE FROM jobs", []).unwrap();
    assert_eq!(costs(&book.connection, By::Provider, None, None).unwrap()[0].spent.0, 350_000);
}

#[test]
fn a_journal_of_an_earlier_version_has_bought_nothing() {
    let connection = Connection::open_in_memory().unwrap();
    assert_eq!(costs(&connection, By::Model, None, None).unwrap(), []);
}

const PAGE: &str = include_str!("../../../../docs/ledger.md");

#[test]
fn every_query_of_the_page_runs() {
    let book = two_days();
    let blocks: Vec<&str> = PAGE.split("```sql\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() >= 6, "the page has queries");
    for block in blocks {
        assert!(!book.rows(block).is_empty(), "it finds nothing: {block}");
    }
}

#[test]
fn the_page_has_every_view_with_its_columns() {
    let book = two_days();
    let views = book.rows("SELECT name FROM sqlite_schema WHERE type = 'view' ORDER BY name");
    assert!(views.len() >= 8);
    for view in views.iter().map(|row| &row[0]) {
        let heading = format!("### `{view}`\n");
        let section = PAGE.split(&heading).nth(1).and_then(|rest| rest.split("\n#").next());
        let section = section.unwrap_or_else(|| panic!("docs/ledger.md has no section {heading}"));
        for column in book.rows(&format!("SELECT name FROM pragma_table_info('{view}')")) {
            assert!(section.contains(&format!("`{}`", column[0])), "{view} has {}, and the page does not", column[0]);
        }
    }
}
