//! What came of pictures, for `thumbforge models --learn`. It only reads, and reads journals of every version.

use rusqlite::{Connection, Row};
use thumbforge_core::error::ErrorCode;
use thumbforge_core::id::{PixelHash, RealisedKey};
use thumbforge_core::job::{JobSpec, Outcome, Render};
use thumbforge_core::model::ModelId;
use thumbforge_core::recipe::Intent;

use super::ops;

/// A picture that a model made.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// What drew it; the same picture has the same key in every journal.
    pub realised: RealisedKey,
    /// Model of the catalogue.
    pub model: ModelId,
    /// What it is for.
    pub intent: Intent,
    /// Whether the checks let it pass.
    pub passed: bool,
    /// Its pixels; absent where it was not kept.
    pub pixels: Option<PixelHash>,
}

/// How long one picture took.
#[derive(Debug, Clone, PartialEq)]
pub struct Took {
    /// Model of the catalogue.
    pub model: ModelId,
    /// What it is for.
    pub intent: Intent,
    /// Wall time of the call or the drawing, in milliseconds.
    pub latency_ms: u64,
}

/// What Thumbforge draws itself, and files of the team's own: no model made these.
const NO_MODEL: [&str; 2] = ["builtin", "file"];
/// The engine that has weights on this machine.
const WITH_WEIGHTS: &str = "local";

/// Every picture of the journal that a model made, each once for every job that ended with it.
///
/// # Errors
/// What SQLite says.
pub fn pictures(connection: &Connection, each: &mut dyn FnMut(Picture)) -> rusqlite::Result<()> {
    kept(connection, each)?;
    mended(connection, each)?;
    failed(connection, each)
}

/// Pictures that jobs ended with. A stand-in says nothing of the model that it stands in for.
fn kept(connection: &Connection, each: &mut dyn FnMut(Picture)) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(
        "SELECT renders.json, specs.json FROM jobs
         JOIN renders ON renders.realised = jobs.realised JOIN specs ON specs.job_id = jobs.id
         WHERE jobs.state = 'done'",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (render, spec): (String, String) = (row.get(0)?, row.get(1)?);
        let (Ok(render), Some(spec)) = (serde_json::from_str::<Render>(&render), readable(&spec)) else { continue };
        if render.placeholder_for.is_some() || NO_MODEL.contains(&render.realisation.engine.as_str()) {
            continue;
        }
        each(Picture {
            realised: render.realised_key,
            model: render.model,
            intent: spec.recipe.intent,
            passed: render.verdict.passed,
            pixels: Some(render.pixels),
        });
    }
    Ok(())
}

/// Pictures for which the checks failed their jobs: the last attempt made each.
fn failed(connection: &Connection, each: &mut dyn FnMut(Picture)) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(
        "SELECT attempts.realised, attempts.model, attempts.engine, specs.json FROM jobs
         JOIN attempts ON attempts.job_id = jobs.id AND attempts.n = jobs.attempts
         JOIN specs ON specs.job_id = jobs.id
         WHERE jobs.state = 'failed' AND jobs.error_code IN (?1, ?2)",
    )?;
    let by_checks = [ErrorCode::VerificationFailed.word(), ErrorCode::RenderedTextMismatch.word()];
    let mut rows = statement.query(by_checks)?;
    while let Some(row) = rows.next()? {
        not_passed(row, each)?;
    }
    Ok(())
}

/// Pictures that the checks refused and that their jobs went on from.
fn mended(connection: &Connection, each: &mut dyn FnMut(Picture)) -> rusqlite::Result<()> {
    // Journals before version 5 mended nothing.
    let known: bool =
        connection.query_row("SELECT count(*) > 0 FROM sqlite_schema WHERE name = 'repairs'", [], |row| row.get(0))?;
    if !known {
        return Ok(());
    }
    let mut statement = connection.prepare(
        "SELECT attempts.realised, attempts.model, attempts.engine, specs.json FROM repairs
         JOIN attempts ON attempts.job_id = repairs.job_id AND attempts.n = repairs.attempt
         JOIN specs ON specs.job_id = repairs.job_id",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        not_passed(row, each)?;
    }
    Ok(())
}

fn not_passed(row: &Row<'_>, each: &mut dyn FnMut(Picture)) -> rusqlite::Result<()> {
    let (realised, model, engine, spec): ([u8; 32], String, String, String) =
        (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
    let (Some(model), Some(spec)) = (model_of(&model), readable(&spec)) else { return Ok(()) };
    if !NO_MODEL.contains(&engine.as_str()) {
        let intent = spec.recipe.intent;
        each(Picture { realised: RealisedKey(realised), model, intent, passed: false, pixels: None });
    }
    Ok(())
}

/// How long every picture took that was drawn or bought, and not merely set with other words.
///
/// # Errors
/// What SQLite says.
pub fn latencies(connection: &Connection, each: &mut dyn FnMut(Took)) -> rusqlite::Result<()> {
    // Journals before version 3 bought nothing and measured no calls. Of a picture that was bought, the call is what took
    // time; that it was set with words afterwards is an attempt too, and says nothing of the model.
    let bought: bool = connection.query_row(
        "SELECT count(*) > 0 FROM pragma_table_info('attempts') WHERE name = 'latency_ms'",
        [],
        |row| row.get(0),
    )?;
    let latency = match bought {
        true => "CASE WHEN account IS NOT NULL THEN latency_ms WHEN engine = ?2 THEN ended_ms - started_ms END",
        false => "CASE WHEN engine = ?2 THEN ended_ms - started_ms END",
    };
    let mut statement = connection.prepare(&format!(
        "SELECT attempts.model, {latency}, specs.json
         FROM attempts JOIN specs ON specs.job_id = attempts.job_id WHERE attempts.outcome = ?1"
    ))?;
    let mut rows = statement.query([Outcome::Rendered.word(), WITH_WEIGHTS])?;
    while let Some(row) = rows.next()? {
        let (model, latency_ms, spec): (String, Option<i64>, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let latency_ms = latency_ms.and_then(|ms| u64::try_from(ms).ok()).filter(|ms| *ms > 0);
        if let (Some(model), Some(latency_ms), Some(spec)) = (model_of(&model), latency_ms, readable(&spec)) {
            each(Took { model, intent: spec.recipe.intent, latency_ms });
        }
    }
    Ok(())
}

/// A job that can be read; one that cannot is told of by whoever needs it.
fn readable(json: &str) -> Option<JobSpec> {
    ops::spec_from_json(json).ok()
}

fn model_of(word: &str) -> Option<ModelId> {
    serde_json::from_value(serde_json::Value::from(word)).ok()
}

#[cfg(test)]
mod tests {
    use thumbforge_core::job::{Lane, Route};

    use super::*;
    use crate::journal::tests::{render, route, spec};

    /// A journal of `version` in which one job ended with a picture that an engine with weights drew in 40 ms.
    fn journal(version: i64) -> Connection {
        let connection = Connection::open_in_memory().expect("opens");
        super::super::upgrade(&connection, 0, version).expect("upgrades");
        let spec = JobSpec { lane: Lane::Batch, ..spec("a sword") };
        let (mut render, Route { model, .. }) = (render(&spec), route(&spec));
        render.realisation.engine = WITH_WEIGHTS.to_owned();
        let key = render.realised_key.0;
        let json = (serde_json::to_string(&render).expect("JSON"), ops::spec_to_json(&spec));
        let write = |sql: &str, values: &[&dyn rusqlite::ToSql]| connection.execute(sql, values).expect(sql);
        write(
            "INSERT INTO jobs (id, client, asset, locale, planned, state, lane, priority, attempts, realised, created_ms,
               updated_ms) VALUES (1, 'c', 'a', '', ?1, 'done', 'batch', 0, 1, ?1, 1, 1)",
            &[&key],
        );
        write("INSERT INTO specs VALUES (1, ?1)", &[&json.1]);
        write("INSERT INTO renders VALUES (?1, ?1, ?1, ?2, 1)", &[&key, &json.0]);
        write(
            "INSERT INTO attempts (job_id, n, engine, model, realised, started_ms, ended_ms, outcome)
             VALUES (1, 1, ?1, ?2, ?3, 10, 50, 'rendered')",
            &[&WITH_WEIGHTS, &model.as_str(), &key],
        );
        connection
    }

    #[test]
    fn journals_of_every_version_are_learned_from() {
        for version in 1..=super::super::SCHEMA_VERSION {
            let connection = journal(version);
            let (mut found, mut took) = (Vec::new(), Vec::new());
            pictures(&connection, &mut |picture| found.push((picture.passed, picture.intent))).expect("reads");
            latencies(&connection, &mut |one| took.push(one.latency_ms)).expect("reads");
            assert_eq!((found, took), (vec![(true, Intent::Photo)], vec![40]), "version {version}");
        }
    }
}
