//! Repair in the journal: the steps of each job, which make the recipe that it is drawn by.

use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize};
use thumbforge_core::id::{ContentHash, JobId};
use thumbforge_core::money::Micros;
use thumbforge_core::repair::{Mended, Step};

/// A step as it stands in the journal.
#[derive(Serialize, Deserialize)]
struct StepRecord {
    version: u32,
    #[serde(flatten)]
    step: Step,
}

/// Writes a step down, and holds the files that it needs for as long as the job is open. A job that has ended has no more.
pub(super) fn keep(
    connection: &Connection,
    job: JobId,
    number: u32,
    mended: &Mended,
    now_ms: u64,
) -> rusqlite::Result<()> {
    let json = |value: Result<String, serde_json::Error>| value.unwrap_or_default();
    let written = connection
        .prepare_cached(
            "INSERT INTO repairs (job_id, n, attempt, model, verdict, step, cost_micros, latency_ms, created_ms)
             SELECT id, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 FROM jobs
             WHERE id = ?1 AND state NOT IN ('done', 'failed', 'cancelled')",
        )?
        .execute((
            job.0,
            number,
            mended.attempt,
            mended.model.as_str(),
            json(serde_json::to_string(&mended.verdict)),
            json(serde_json::to_string(&StepRecord { version: 1, step: mended.step.clone() })),
            mended.cost.0,
            mended.latency_ms,
            now_ms,
        ))?;
    if written > 0 {
        for blob in files(&mended.step) {
            connection
                .prepare_cached("INSERT OR IGNORE INTO inputs (job_id, blob) VALUES (?1, ?2)")?
                .execute((job.0, blob.0))?;
        }
    }
    Ok(())
}

/// Files of the store that a step needs.
fn files(step: &Step) -> impl Iterator<Item = ContentHash> {
    let files = match step {
        Step::Inpaint { image, mask, .. } => vec![*image, *mask],
        Step::Enlarge { by: Some(by) } => vec![by.image],
        _ => Vec::new(),
    };
    files.into_iter()
}

/// What was repaired of a job, in its order. Journals that were only looked at may be of a version that had none.
///
/// # Errors
/// What SQLite says, and what is no step of any version: to leave one out would draw another picture.
pub fn of(connection: &Connection, job: JobId) -> rusqlite::Result<Vec<Mended>> {
    let known: Option<u32> = connection
        .prepare_cached("SELECT 1 FROM sqlite_schema WHERE name = 'repairs'")?
        .query_row([], |row| row.get(0))
        .optional()?;
    if known.is_none() {
        return Ok(Vec::new());
    }
    let unread = |column, err| rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, err);
    connection
        .prepare_cached(
            "SELECT attempt, model, verdict, step, cost_micros, latency_ms FROM repairs WHERE job_id = ?1 ORDER BY n",
        )?
        .query_map([job.0], |row| {
            let (model, verdict, step): (String, String, String) = (row.get(1)?, row.get(2)?, row.get(3)?);
            let step: StepRecord = serde_json::from_str(&step).map_err(|err| unread(3, err.into()))?;
            Ok(Mended {
                attempt: row.get(0)?,
                model: serde_json::from_value(model.into()).map_err(|err| unread(1, err.into()))?,
                verdict: serde_json::from_str(&verdict).map_err(|err| unread(2, err.into()))?,
                cost: Micros(row.get(4)?),
                latency_ms: row.get(5)?,
                step: step.step,
            })
        })?
        .collect()
}

#[cfg(test)]
mod tests;
