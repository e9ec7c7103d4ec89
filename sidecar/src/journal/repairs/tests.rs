//! Steps in the journal: durable, in order, held to open jobs, and forgotten with them.

use rusqlite::Connection;
use thumbforge_core::id::{ContentHash, JobId};
use thumbforge_core::job::{Ending, JobState, Outcome};
use thumbforge_core::model::ModelId;
use thumbforge_core::money::Micros;
use thumbforge_core::repair::{Mended, Step};
use thumbforge_core::verdict::Verdict;

use super::*;
use crate::journal::tests::{route, spec};
use crate::journal::{Accepted, Record, in_memory, ops};

const IMAGE: ContentHash = ContentHash([3; 32]);
const MASK: ContentHash = ContentHash([4; 32]);

fn open() -> (Connection, JobId) {
    let journal = in_memory().expect("a journal");
    let spec = spec("a sword");
    let json = ops::spec_to_json(&spec);
    let accepted = ops::accept(&journal, None, &spec, &json, spec.recipe.planned_key(), 1).expect("accepts");
    let Accepted::Fresh(open) = accepted else { panic!("{accepted:?}") };
    (journal, open.id)
}

fn mended(attempt: u32, step: Step) -> Mended {
    let verdict = Verdict { readers: vec!["tesseract 5.3.0".to_owned()], ..Verdict::of(Vec::new()) };
    Mended { attempt, model: ModelId::builtin(), verdict, cost: Micros(7), latency_ms: 11, step }
}

fn inpaint() -> Step {
    Step::Inpaint { image: IMAGE, mask: MASK, seed: 6, strength: Some(0.9) }
}

fn apply(journal: &Connection, job: JobId, number: u32, step: Step) {
    let route = Box::new(route(&spec("a sword")));
    let started = Record::Started { job, attempt: number, route, art: None, budgets: [].into() };
    ops::apply(journal, &started, 1).expect("starts");
    let mended = Box::new(mended(number, step));
    ops::apply(journal, &Record::Mended { job, number, mended }, 2).expect("mends");
}

fn count(journal: &Connection, sql: &str) -> u64 {
    journal.query_row(sql, [], |row| row.get(0)).expect(sql)
}

#[test]
fn steps_come_back_as_they_were_written_and_the_job_is_queued() {
    let (journal, job) = open();
    let steps = [Step::Reseed { seed: 5 }, inpaint(), Step::Composite];
    for (at, step) in steps.iter().enumerate() {
        apply(&journal, job, at as u32 + 1, step.clone());
    }
    let expected: Vec<Mended> = (1..).zip(&steps).map(|(attempt, step)| mended(attempt, step.clone())).collect();
    assert_eq!(of(&journal, job).expect("reads"), expected);
    let row = ops::job(&journal, job).expect("reads").expect("is there");
    assert_eq!((row.state, row.attempts, row.repairs), (JobState::Queued, 3, expected));
    assert_eq!(count(&journal, "SELECT count(*) FROM attempts WHERE outcome = 'refused'"), 3);
    // A process that dies now finds it where it was, and has not counted a crash.
    let recovered = ops::recover(&journal, 9).expect("recovers");
    assert_eq!((recovered.len(), recovered[0].attempts), (1, 3));
    assert_eq!(count(&journal, "SELECT crashes FROM jobs"), 0);
}

#[test]
fn what_a_step_needs_is_held_while_the_job_is_open() {
    let (journal, job) = open();
    ops::keep_blob(&journal, IMAGE, 100, 1).expect("keeps");
    ops::keep_blob(&journal, MASK, 100, 1).expect("keeps");
    apply(&journal, job, 1, inpaint());
    assert_eq!(ops::evict(&journal, 0, &|_| false).expect("evicts"), []);
    let attempt = Some((2, Outcome::Refused));
    ops::apply(&journal, &Record::Finished { job, attempt, ending: Ending::Cancelled, late: None }, 3).expect("ends");
    assert_eq!(ops::evict(&journal, 0, &|_| false).expect("evicts").len(), 2);
}

#[test]
fn an_ended_job_takes_no_step_and_its_steps_go_with_it() {
    let (journal, job) = open();
    apply(&journal, job, 1, Step::Composite);
    ops::apply(&journal, &Record::Finished { job, attempt: None, ending: Ending::Cancelled, late: None }, 3)
        .expect("ends");
    let late = Record::Mended { job, number: 2, mended: Box::new(mended(2, inpaint())) };
    ops::apply(&journal, &late, 4).expect("applies");
    assert_eq!(of(&journal, job).expect("reads").len(), 1);
    assert_eq!(count(&journal, "SELECT count(*) FROM inputs"), 0);
    journal.execute("DELETE FROM jobs", []).expect("forgets");
    assert_eq!(count(&journal, "SELECT count(*) FROM repairs"), 0);
}

/// Journals outlive versions: these bytes were written by version 1 of a step and must be read for ever.
#[test]
fn steps_of_version_1_are_read_and_others_are_no_empty_list() {
    let (journal, job) = open();
    let write = |step: &str| {
        journal
            .execute(
                "INSERT OR REPLACE INTO repairs VALUES (?1, 1, 1, 'builtin', '{\"passed\":false,\"findings\":[]}', ?2, 0, 0, 0)",
                (job.0, step),
            )
            .expect("writes");
    };
    write(r#"{"version":1,"step":"reseed","seed":5}"#);
    assert_eq!(of(&journal, job).expect("reads")[0].step, Step::Reseed { seed: 5 });
    write(r#"{"version":9,"step":"sing"}"#);
    assert!(of(&journal, job).is_err(), "to leave a step out would draw another picture");
}

#[test]
fn a_journal_from_before_there_was_repair_has_none() {
    let old = Connection::open_in_memory().expect("opens");
    assert_eq!(of(&old, JobId(1)).expect("reads"), []);
}
