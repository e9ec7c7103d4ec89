//! The journal on a real disk: durable, idempotent, recovered, and clear about damage.

use std::collections::BTreeMap;
use std::sync::Arc;

use thumbforge_core::criteria::Level;
use thumbforge_core::error::ErrorCode;
use thumbforge_core::id::{ContentHash, JobId, PixelHash, RequestKey};
use thumbforge_core::image::Extent;
use thumbforge_core::job::{AssetRef, Ending, Gate, JobSpec, JobState, Lane, Outcome, Render, Route};
use thumbforge_core::model::ModelId;
use thumbforge_core::recipe::{ArtFile, Realisation, Recipe};
use thumbforge_core::repair::Repair;
use thumbforge_core::verdict::{Finding, FindingCode, Severity, Verdict};

use super::*;

pub(crate) fn spec(prompt: &str) -> JobSpec {
    let recipe = Recipe::from_prompt(prompt, Extent { width: 64, height: 64 });
    let asset = AssetRef { name: "sword".into(), locale: "en".into() };
    JobSpec { asset, ..JobSpec::new(recipe, Lane::Batch, "test") }
}

fn started(job: JobId, attempt: u32, spec: &JobSpec) -> Record {
    Record::Started { job, attempt, route: Box::new(route(spec)), art: None, budgets: Arc::new([]) }
}

pub(crate) fn route(spec: &JobSpec) -> Route {
    let realisation = Realisation {
        engine: "builtin".into(),
        engine_version: "1".into(),
        wire_model: "builtin".into(),
        weights: None,
        device_class: "any".into(),
        seed: spec.recipe.drawing_seed(),
        settings: BTreeMap::new(),
        dropped: Vec::new(),
    };
    Route::here(ModelId::builtin(), None, realisation)
}

pub(crate) fn render(spec: &JobSpec) -> Render {
    let (planned, route) = (spec.recipe.planned_key(), route(spec));
    let key = route.realisation.key(planned);
    Render {
        planned_key: planned,
        realised_key: key,
        blob: ContentHash::of(key.as_bytes()),
        pixels: PixelHash(key.0),
        size: Extent { width: 64, height: 64 },
        realisation: route.realisation,
        model: ModelId::builtin(),
        placeholder_for: None,
        replaces: None,
        verdict: Verdict::of(Vec::new()),
        latency_ms: 1,
        cost_micros_usd: 0,
        held_to: String::new(),
        repairs: Vec::new(),
    }
}

fn accept(journal: &Journal, spec: &JobSpec) -> Open {
    match accept_as(journal, None, spec) {
        Accepted::Fresh(open) => open,
        other => panic!("{other:?}"),
    }
}

fn accept_as(journal: &Journal, request: Option<RequestKey>, spec: &JobSpec) -> Accepted {
    let (spec, json) = (spec.clone(), ops::spec_to_json(spec));
    journal
        .write(move |connection| ops::accept(connection, request, &spec, &json, spec.recipe.planned_key(), 1))
        .durable_blocking()
        .expect("accepts")
}

fn write(journal: &Journal, record: Record) {
    journal.write(move |connection| ops::apply(connection, &record, 2)).durable_blocking().expect("writes");
}

#[test]
fn what_was_accepted_is_there_after_the_process_is_gone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal.sqlite");
    let journal = Journal::open(&path).expect("opens");
    let accepted = accept(&journal, &spec("a sword"));
    // No close: the second journal finds what a killed process leaves.
    let again = Journal::open(&path).expect("opens beside");
    let open = again.write(|connection| ops::recover(connection, 3)).durable_blocking().expect("recovers");
    assert_eq!(open, std::slice::from_ref(&accepted));
    let (json, planned) =
        again.read(|connection| ops::spec(connection, accepted.id)).expect("reads").expect("is there");
    assert_eq!(ops::spec_from_json(&json).expect("its own"), spec("a sword"));
    assert_eq!(planned, spec("a sword").recipe.planned_key());
}

#[test]
fn asking_again_joins_what_is_open_and_only_that() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = Journal::open(&folder.path().join("j")).expect("opens");
    let first = accept(&journal, &spec("a sword"));
    assert_eq!(accept_as(&journal, None, &spec("a sword")), Accepted::Joined(first.clone()));
    let mut other = spec("a sword");
    other.client = "somebody else".into();
    assert_ne!(accept(&journal, &other).id, first.id, "another client has a job of its own");
    let job = first.id;
    write(&journal, Record::Finished { job, attempt: None, ending: Ending::Cancelled, late: None });
    assert_ne!(accept(&journal, &spec("a sword")).id, job, "an ended job is not joined");
}

#[test]
fn who_holds_it_to_something_else_has_a_job_of_their_own() {
    let check = |joins: bool, change: fn(&mut JobSpec)| {
        let folder = tempfile::tempdir().expect("a folder");
        let journal = Journal::open(&folder.path().join("j")).expect("opens");
        let request = Some(RequestKey::new([7; 16], 1));
        let first = accept_as(&journal, request, &spec("a sword")).job();
        let mut other = spec("a sword");
        change(&mut other);
        let accepted = accept_as(&journal, None, &other);
        assert_eq!(matches!(accepted, Accepted::Joined(_)), joins, "{other:?}");
        assert_eq!(accepted.job() == first, joins);
        // Once more it joins its like, and nobody else.
        assert!(matches!(accept_as(&journal, None, &other), Accepted::Joined(open) if open.id == accepted.job()));
        assert_eq!(accept_as(&journal, None, &spec("a sword")).job(), first);
        assert_eq!(
            accept_as(&journal, request, &other).job(),
            first,
            "a request is told of its job, whatever it says now"
        );
    };
    check(true, |_| {});
    check(true, |spec| spec.priority = 5);
    check(true, |spec| spec.terms.batch = "tonight".to_owned());
    check(false, |spec| spec.gate = Gate::Enforce);
    check(false, |spec| spec.terms.criteria.unexpected = Some(Level::Error));
    check(false, |spec| spec.terms.repair = Some(Repair::forbidden()));
    check(false, |spec| spec.terms.repair = Some(Repair::default()));
    check(false, |spec| spec.read_back = true);
    check(false, |spec| spec.safe_inset = Some(0.1));
}

#[test]
fn a_request_belongs_to_one_job_for_good() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("j");
    let journal = Journal::open(&path).expect("opens");
    let spec = spec("a sword");
    let request = |number| Some(RequestKey::new([7; 16], number));
    let Accepted::Fresh(open) = accept_as(&journal, request(1), &spec) else { panic!("the first is fresh") };
    assert_eq!(accept_as(&journal, request(1), &spec), Accepted::Joined(open.clone()), "sent again while it is open");
    assert_eq!(
        accept_as(&journal, request(2), &spec),
        Accepted::Joined(open.clone()),
        "another that asks for the same"
    );
    let finding = Finding {
        code: FindingCode::TextTooSmall,
        severity: Severity::Error,
        message: "no word can be read".into(),
        place: None,
        expected: None,
        read: None,
        score: None,
    };
    let failure = Failure::new(ErrorCode::VerificationFailed, "failed to pass the checks: no word can be read");
    let ending = Ending::Failed(Failure { findings: vec![finding], ..failure });
    write(&journal, Record::Finished { job: open.id, attempt: None, ending: ending.clone(), late: None });
    // As the next process finds it.
    journal.close();
    drop(journal);
    let journal = Journal::open(&path).expect("opens again");
    for number in [1, 2] {
        assert_eq!(accept_as(&journal, request(number), &spec), Accepted::Ended(open.id, ending.clone()));
    }
    let Accepted::Fresh(anew) = accept_as(&journal, request(3), &spec) else { panic!("another request draws again") };
    assert_ne!(anew.id, open.id);
    let stranger = journal.read(|connection| ops::known(connection, RequestKey::new([8; 16], 1))).expect("reads");
    assert_eq!(stranger, None, "numbers are each client's own");
}

#[test]
fn a_request_is_told_the_same_ending_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = Journal::open(&folder.path().join("j")).expect("opens");
    let (spec, request) = (spec("a sword"), Some(RequestKey::new([7; 16], 1)));
    let (job, render) = (accept_as(&journal, request, &spec).job(), render(&spec));
    write(&journal, started(job, 1, &spec));
    let blob = render.blob;
    journal.write(move |connection| ops::keep_blob(connection, blob, 10, 1)).durable_blocking().expect("writes");
    let ending = Ending::Done { render: Box::new(render), cached: false, attempts: 1 };
    let attempt = Some((1, Outcome::Rendered));
    write(&journal, Record::Finished { job, attempt, ending: ending.clone(), late: None });
    assert_eq!(accept_as(&journal, request, &spec), Accepted::Ended(job, ending), "what it cost included");
    journal.write(move |connection| ops::forget_blob(connection, blob)).durable_blocking().expect("writes");
    match accept_as(&journal, request, &spec) {
        Accepted::Ended(_, Ending::Failed(failure)) => assert_eq!(failure.code, ErrorCode::NotFound, "and not drawn"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_attempt_in_flight_is_interrupted_and_its_job_queued_again_until_it_is_the_culprit() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = Journal::open(&folder.path().join("j")).expect("opens");
    let spec = spec("a sword");
    let job = accept(&journal, &spec).id;
    for crash in 1..=limits_crashes() + 1 {
        write(&journal, started(job, crash, &spec));
        let open = journal.write(|connection| ops::recover(connection, 3)).durable_blocking().expect("recovers");
        let row = journal.read(|connection| ops::job(connection, job)).expect("reads").expect("is there");
        if crash <= limits_crashes() {
            assert_eq!((open.len(), row.state), (1, JobState::Queued), "after crash {crash}");
            assert_eq!(open[0].attempts, crash);
        } else {
            assert_eq!((open.len(), row.state), (0, JobState::Failed));
            assert_eq!(row.error.map(|failure| failure.code), Some(ErrorCode::Internal));
        }
    }
}

fn limits_crashes() -> u32 {
    thumbforge_core::limits::CRASHES_MAX
}

#[test]
fn a_render_is_found_by_its_key_while_its_file_is_known() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = Journal::open(&folder.path().join("j")).expect("opens");
    let spec = spec("a sword");
    let (job, render) = (accept(&journal, &spec).id, render(&spec));
    write(&journal, started(job, 1, &spec));
    let ending = Ending::Done { render: Box::new(render.clone()), cached: false, attempts: 1 };
    write(&journal, Record::Finished { job, attempt: Some((1, Outcome::Rendered)), ending, late: None });
    let find = || journal.read(|connection| ops::find_render(connection, render.realised_key)).expect("reads");
    assert_eq!(find(), None, "without its file it is no render");
    let blob = render.blob;
    journal.write(move |connection| ops::keep_blob(connection, blob, 10, 1)).durable_blocking().expect("writes");
    assert_eq!(find(), Some(render.clone()));
    let row = journal.read(|connection| ops::job(connection, job)).expect("reads").expect("is there");
    assert_eq!((row.state, row.realised_key), (JobState::Done, Some(render.realised_key)));
}

#[test]
fn eviction_takes_what_was_used_longest_ago_and_leaves_what_is_needed() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = Journal::open(&folder.path().join("j")).expect("opens");
    let mut needs_art = spec("over own art");
    needs_art.recipe.art = Some(ArtFile { path: "a.png".into(), content: ContentHash([1; 32]) });
    accept(&journal, &needs_art);
    let evicted = journal
        .write(|connection| {
            for (byte, used_ms) in [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5)] {
                ops::keep_blob(connection, ContentHash([byte; 32]), 100, used_ms)?;
            }
            ops::touch(connection, ContentHash([2; 32]), 9)?;
            ops::evict(connection, 300, &|hash| hash == ContentHash([3; 32]))
        })
        .durable_blocking()
        .expect("evicts");
    // 1 is an open job's input, 3 is pinned, 2 was used last.
    assert_eq!(evicted, [ContentHash([4; 32]), ContentHash([5; 32])], "500 bytes held, 300 allowed, two may go");
}

#[test]
fn old_jobs_and_renders_without_a_file_are_forgotten() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = Journal::open(&folder.path().join("j")).expect("opens");
    let old = accept(&journal, &spec("old")).id;
    write(&journal, Record::Finished { job: old, attempt: None, ending: Ending::Cancelled, late: None });
    let waits = accept(&journal, &spec("old and still open")).id;
    let render = render(&spec("a sword"));
    let forgotten = journal
        .write(move |connection| {
            let newest = thumbforge_core::limits::JOBS_KEPT_MAX + waits.0;
            connection.execute(
                "INSERT INTO jobs (id, client, asset, locale, planned, state, lane, priority, created_ms, updated_ms)
                 VALUES (?1, '', '', '', zeroblob(32), 'done', 'batch', 0, 0, 0)",
                [newest],
            )?;
            ops::keep_render(connection, &render, 1)?;
            connection.execute("INSERT INTO requests VALUES (zeroblob(24), ?1)", [old.0])?;
            ops::prune(connection)
        })
        .durable_blocking()
        .expect("prunes");
    assert_eq!(forgotten, 2, "one ended job and one render");
    let row = |id| journal.read(|connection| ops::job(connection, id)).expect("reads");
    assert!(row(old).is_none() && row(waits).is_some(), "an open job is never forgotten");
    let request = journal.read(|connection| ops::known(connection, RequestKey([0; 24]))).expect("reads");
    assert_eq!(request, None, "requests go with their job");
}

#[test]
fn one_bad_write_costs_no_other_of_its_group() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = Journal::open(&folder.path().join("j")).expect("opens");
    let gate = Arc::new(Mutex::new(()));
    let held = gate.lock();
    let waits = gate.clone();
    // While the first write waits, the others gather into one group.
    let first = journal.write(move |_| {
        drop(waits.lock());
        Ok(())
    });
    let good = journal.write(|connection| ops::keep_blob(connection, ContentHash([1; 32]), 1, 1));
    let bad = journal.write(|connection| connection.execute("INSERT INTO nowhere VALUES (1)", []).map(drop));
    let after = journal.write(|connection| ops::keep_blob(connection, ContentHash([2; 32]), 1, 1));
    drop(held);
    assert!(first.durable_blocking().is_ok() && good.durable_blocking().is_ok());
    assert!(bad.durable_blocking().is_err() && after.durable_blocking().is_ok());
    assert_eq!(journal.read(ops::known_blobs).expect("reads").len(), 2);
}

#[test]
fn damage_and_newer_versions_are_told_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("j");
    let journal = Journal::open(&path).expect("opens");
    for number in 0..200 {
        accept(&journal, &spec(&format!("picture {number}")));
    }
    journal.close();
    drop(journal);
    let mut bytes = std::fs::read(&path).expect("reads");
    let damaged = bytes.len() / 2..bytes.len() / 2 + 4096;
    bytes[damaged].fill(0xA5);
    std::fs::write(&path, &bytes).expect("writes");
    let error = Journal::open(&path).err().expect("a damaged journal is refused");
    assert_eq!(error.failure().code, ErrorCode::Corrupt);
    assert!(error.to_string().contains("move it away"), "{error}");

    let newer = folder.path().join("newer");
    drop(Journal::open(&newer).expect("opens"));
    let connection = Connection::open(&newer).expect("opens");
    connection.execute_batch("PRAGMA user_version=99").expect("sets");
    assert_eq!(Journal::open(&newer).err().map(|err| err.failure().code), Some(ErrorCode::VersionMismatch));

    let text = folder.path().join("text");
    std::fs::write(&text, "this is no database, whatever its name is".repeat(100)).expect("writes");
    assert_eq!(Journal::open(&text).err().map(|err| err.failure().code), Some(ErrorCode::Corrupt));
}

#[test]
fn a_journal_of_version_1_is_brought_up_to_date() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("j");
    let old = Connection::open(&path).expect("opens");
    upgrade(&old, 0, 1).expect("version 1");
    let spec = spec("a sword");
    old.execute(
        "INSERT INTO jobs (id, client, asset, locale, planned, state, lane, priority, created_ms, updated_ms)
         VALUES (5, 'test', 'sword', 'en', ?1, 'queued', 'batch', 0, 1, 1)",
        [spec.recipe.planned_key().0],
    )
    .expect("a job");
    old.execute("INSERT INTO specs VALUES (5, ?1)", [ops::spec_to_json(&spec)]).expect("its spec");
    // People look at it before anything writes to it.
    let reader = peek(&path).expect("opens").expect("is there");
    assert_eq!(reader.read(|connection| ops::jobs(connection, None, 10)).expect("reads").len(), 1);
    drop((old, reader));
    let journal = Journal::open(&path).expect("is brought up to date");
    let request = Some(RequestKey::new([7; 16], 1));
    match accept_as(&journal, request, &spec) {
        Accepted::Joined(open) => assert_eq!(open.id, JobId(5)),
        other => panic!("{other:?}"),
    }
    let stricter = JobSpec { gate: Gate::Enforce, ..spec.clone() };
    assert!(matches!(accept_as(&journal, None, &stricter), Accepted::Fresh(_)), "it was held to less then");
    journal.close();
    drop(journal);
    let schema = |connection: &Connection| -> Vec<String> {
        let mut rows =
            connection.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name").expect("sql");
        rows.query_map([], |row| row.get(0)).expect("rows").map(|row| row.expect("a row")).collect()
    };
    let connection = Connection::open(&path).expect("opens");
    assert_eq!(version(&connection).expect("reads"), SCHEMA_VERSION);
    assert_eq!(schema(&connection), schema(&in_memory().expect("a new one")));
    drop((Journal::open(&path).expect("opens once more"), connection));
}

/// Journals outlive versions: these bytes were written by version 1 and must be read for ever.
#[test]
fn specs_of_version_1_are_read() {
    let written = r#"{"version":1,"spec":{"recipe":{"prompt":"a sword","intent":"photo","tier":"production","size":{"width":64,"height":64}},"asset":{"name":"sword","locale":"en"},"lane":"batch","priority":0,"client":"test","placeholder":false,"lossy":false,"gate":"report"}}"#;
    assert_eq!(ops::spec_from_json(written).expect("version 1"), spec("a sword"));
    assert_eq!(ops::spec_from_json("{}").expect_err("nothing").code, ErrorCode::Corrupt);
    assert_eq!(JobId(3).to_string(), "3");
}
