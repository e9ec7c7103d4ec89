//! Ways in the journal: written with the ending, found by what was asked and held to, and kept when their job is not.

use rusqlite::Connection;
use thumbforge_core::id::ContentHash;
use thumbforge_core::job::{Ending, Gate, JobSpec};
use thumbforge_core::repair::{Enlarger, Repair};

use super::*;
use crate::journal::tests::{render, route, spec};
use crate::journal::{Accepted, Record, in_memory};

fn accept(journal: &Connection, spec: &JobSpec) -> JobId {
    let json = ops::spec_to_json(spec);
    let accepted = ops::accept(journal, None, spec, &json, spec.recipe.planned_key(), 1).expect("accepts");
    let Accepted::Fresh(open) = accepted else { panic!("{accepted:?}") };
    open.id
}

fn mend(journal: &Connection, job: JobId, number: u32, step: Step) {
    let route = Box::new(route(&spec("a sword")));
    let started = Record::Started { job, attempt: number, route, art: None, budgets: [].into() };
    ops::apply(journal, &started, 1).expect("starts");
    let mended = Way { realised: RealisedKey([0; 32]), taken: vec![(ModelId::builtin(), step)] }.mended().remove(0);
    let mended = Box::new(Mended { attempt: number, ..mended });
    ops::apply(journal, &Record::Mended { job, number, mended }, 2).expect("mends");
}

fn end(journal: &Connection, job: JobId, ending: Ending) {
    ops::apply(journal, &Record::Finished { job, attempt: None, ending, late: None }, 3).expect("ends");
}

fn done(spec: &JobSpec) -> Ending {
    Ending::Done { render: Box::new(render(spec)), cached: false, attempts: 1 }
}

fn find_for(journal: &Connection, spec: &JobSpec) -> Option<Way> {
    find(journal, Asked::of(spec, spec.recipe.planned_key())).expect("reads")
}

#[test]
fn a_way_is_found_by_who_asks_for_the_same_and_holds_it_to_the_same() {
    let journal = in_memory().expect("a journal");
    let asked = spec("a sword");
    let steps = [Step::Reseed { seed: 5 }, Step::Composite];
    let job = accept(&journal, &asked);
    for (number, step) in (1..).zip(&steps) {
        mend(&journal, job, number, step.clone());
    }
    assert_eq!(find_for(&journal, &asked), None, "the job is open");
    end(&journal, job, done(&asked));
    let way = find_for(&journal, &asked).expect("is there");
    let taken: Vec<_> = steps.iter().map(|step| (ModelId::builtin(), step.clone())).collect();
    assert_eq!(way, Way { realised: render(&asked).realised_key, taken });
    let told: Vec<Step> = way.mended().into_iter().map(|mended| mended.step).collect();
    assert_eq!(told, steps);
    let stricter = JobSpec { gate: Gate::Enforce, ..asked.clone() };
    let mut other = asked.clone();
    other.terms.repair = Some(Repair::default());
    for other in [stricter, other, spec("a shield")] {
        assert_eq!(find_for(&journal, &other), None, "{other:?}");
    }
    // Jobs are forgotten long before pictures are.
    journal.execute("DELETE FROM jobs", []).expect("forgets");
    assert_eq!(find_for(&journal, &asked), Some(way));
}

#[test]
fn only_a_picture_has_a_way_and_only_one_that_was_not_the_first() {
    let check = |steps: u32, ending: fn(&JobSpec) -> Ending, expected: bool| {
        let journal = in_memory().expect("a journal");
        let asked = spec("a sword");
        let job = accept(&journal, &asked);
        for number in 1..=steps {
            mend(&journal, job, number, Step::Reseed { seed: 5 });
        }
        end(&journal, job, ending(&asked));
        // Whatever comes after its ending changes nothing.
        end(&journal, job, done(&asked));
        assert_eq!(find_for(&journal, &asked).is_some(), expected, "{steps} steps");
    };
    check(0, done, false);
    check(1, done, true);
    check(1, |_| Ending::Cancelled, false);
}

#[test]
fn a_later_way_takes_the_place_of_an_earlier_one() {
    let journal = in_memory().expect("a journal");
    let asked = spec("a sword");
    for seed in [5, 6] {
        let job = accept(&journal, &asked);
        mend(&journal, job, 1, Step::Reseed { seed });
        end(&journal, job, done(&asked));
        let way = find_for(&journal, &asked).expect("is there");
        assert_eq!(way.taken, [(ModelId::builtin(), Step::Reseed { seed })]);
    }
}

#[test]
fn the_oldest_ways_are_forgotten() {
    let journal = in_memory().expect("a journal");
    let fill = format!(
        "WITH RECURSIVE n (at) AS (SELECT 1 UNION ALL SELECT at + 1 FROM n WHERE at < {})
         INSERT INTO ways SELECT CAST(printf('%032d', at) AS BLOB), zeroblob(32), zeroblob(32), '', at FROM n",
        limits::WAYS_KEPT_MAX + 2
    );
    journal.execute(&fill, []).expect("fills");
    prune(&journal).expect("prunes");
    let kept = |sql: &str| journal.query_row(sql, [], |row| row.get::<_, u64>(0)).expect(sql);
    assert_eq!(kept("SELECT count(*) FROM ways"), limits::WAYS_KEPT_MAX);
    assert_eq!(kept("SELECT min(created_ms) FROM ways"), 3);
}

/// Journals and shared folders outlive versions: these bytes were written by version 1 and must be read for ever.
#[test]
fn ways_of_version_1_are_read_and_others_are_none() {
    let key = RealisedKey([7; 32]);
    let step = format!(
        r#"{{"model":"builtin","step":"enlarge","by":{{"model":"sd3.5-large","image":"{}"}}}}"#,
        "03".repeat(32)
    );
    let way = |steps: &[&str]| format!(r#"{{"version":1,"realised":"{key}","taken":[{}]}}"#, steps.join(","));
    let by = Some(Enlarger {
        model: serde_json::from_value("sd3.5-large".into()).expect("a model"),
        image: ContentHash([3; 32]),
    });
    let expected = Way { realised: key, taken: vec![(ModelId::builtin(), Step::Enlarge { by })] };
    assert_eq!(expected.to_json(), way(&[&step]));
    assert_eq!(Way::from_json(way(&[&step]).as_bytes()), Some(expected));
    let none = |json: &str| assert_eq!(Way::from_json(json.as_bytes()), None, "{json}");
    none("");
    none("{}");
    none(&way(&[]));
    none(&way(&[r#"{"model":"builtin","step":"sing"}"#]));
    none(&way(&vec![r#"{"model":"builtin","step":"composite"}"#; STEPS_MAX + 1]));
}
