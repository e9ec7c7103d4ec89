//! The journal's SQL, as plain functions over a connection.
//!
//! The row form of a job is written by hand here and ages on its own: `specs.json` carries a version,
//! and [`spec_from_json`] reads every version there ever was.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, named_params};
use serde::{Deserialize, Serialize};
use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::id::{ContentHash, JobId, PlannedKey, RealisedKey, RequestKey};
use thumbforge_core::job::{AssetRef, Ending, JobSpec, JobState, Lane, Outcome, Render, Route};
use thumbforge_core::limits;
use thumbforge_core::repair::Mended;
use thumbforge_core::terms::Budget;
use thumbforge_core::verdict::Finding;

use super::{ledger, repairs, ways};

/// What became of a request at the door.
#[derive(Debug, Clone, PartialEq)]
pub enum Accepted {
    /// A job was written for it.
    Fresh(Open),
    /// A job is open that it is for, or that asks for the same.
    Joined(Open),
    /// The same request was made before, and its job has ended.
    Ended(JobId, Ending),
}

impl Accepted {
    /// The job that the request belongs to.
    pub fn job(&self) -> JobId {
        match self {
            Self::Fresh(open) | Self::Joined(open) => open.id,
            Self::Ended(job, _) => *job,
        }
    }
}

/// An open job as the dispatcher holds it; small, because there may be [`limits::OPEN_JOBS_MAX`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// Its number.
    pub id: JobId,
    /// Who waits.
    pub lane: Lane,
    /// Within a lane, higher first.
    pub priority: i32,
    /// Who asked.
    pub client: String,
    /// Unix time in milliseconds after which nobody wants it.
    pub deadline_ms: Option<u64>,
    /// Tries so far.
    pub attempts: u32,
    /// Those of them of which nobody knew what became: a rule that sends some again counts them across restarts.
    pub unknown: u32,
    /// The call of which nobody knows what became, where the job waits for that.
    pub held: Option<Box<Held>>,
}

/// A call of which nobody knows what became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Which attempt of the job.
    pub attempt: u32,
    /// Where it went, and the key of the art that it would give; absent where the journal cannot tell any more, and
    /// then only a person can decide.
    pub call: Option<(Route, RealisedKey)>,
    /// The name by which the provider can be asked.
    pub provider_id: Option<String>,
    /// Calls of this job of which nobody knew what became, besides this one.
    pub others: u32,
}

/// Whether a change was written down.
#[derive(Debug, Clone, PartialEq)]
pub enum Applied {
    /// It was.
    Written,
    /// A budget did not allow it, and nothing was written.
    Refused {
        /// Which budget, and what to do.
        failure: Failure,
        /// Whether it may yet fit when calls that are under way have cost less than they might.
        may_fit: bool,
    },
    /// It was to buy art that is there by now, and nothing was written.
    Owned,
}

/// A change to write down.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// An attempt is about to run; one that is bought sets its money aside, as far as these budgets allow.
    Started {
        /// The job.
        job: JobId,
        /// Its number within the job, from 1.
        attempt: u32,
        /// Where it goes.
        route: Box<Route>,
        /// The key of the art that it would give, for one that is bought.
        art: Option<RealisedKey>,
        /// Budgets that it counts against.
        budgets: Arc<[Budget]>,
    },
    /// A call to a provider has ended.
    Called {
        /// The job.
        job: JobId,
        /// Which attempt.
        attempt: u32,
        /// How.
        call: Box<ledger::Call>,
        /// Where the job stands then.
        state: JobState,
    },
    /// A job that waited for a person is queued again; what nobody knows is counted as billed.
    Resent {
        /// The job.
        job: JobId,
    },
    /// The job has ended.
    Finished {
        /// The job.
        job: JobId,
        /// The attempt that ended with it and how, if one ran.
        attempt: Option<(u32, Outcome)>,
        /// How the job ended.
        ending: Ending,
        /// A render that came too late for the job; kept, since it is drawn and perhaps paid for.
        late: Option<Box<Render>>,
    },
    /// The checks refused a picture, and this is done about it: the job is queued again.
    Mended {
        /// The job.
        job: JobId,
        /// The step's number within the job, from 1.
        number: u32,
        /// What was refused, and what is done.
        mended: Box<Mended>,
    },
    /// An attempt ended and the job goes on.
    Returned {
        /// The job.
        job: JobId,
        /// Which attempt.
        attempt: u32,
        /// How it ended.
        outcome: Outcome,
    },
}

impl Record {
    /// The job it concerns.
    pub fn job(&self) -> JobId {
        match self {
            Self::Started { job, .. }
            | Self::Called { job, .. }
            | Self::Resent { job }
            | Self::Finished { job, .. }
            | Self::Mended { job, .. }
            | Self::Returned { job, .. } => *job,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct SpecRecord {
    version: u32,
    spec: JobSpec,
}

/// The spec as it stands in the journal.
pub fn spec_to_json(spec: &JobSpec) -> String {
    serde_json::to_string(&SpecRecord { version: 1, spec: spec.clone() }).unwrap_or_default()
}

/// Reads a spec of any version.
///
/// # Errors
/// A [`Failure`] of code `corrupt` for what no version wrote.
pub fn spec_from_json(json: &str) -> Result<JobSpec, Failure> {
    serde_json::from_str::<SpecRecord>(json)
        .map(|record| record.spec)
        .map_err(|err| Failure::new(ErrorCode::Corrupt, format!("failed to read a job from the journal: {err}")))
}

/// All by which a job's picture is judged and repaired, as a hash. It stands in no key: requests that differ in it are other
/// jobs, which share their art. A version that spells criteria otherwise joins no job of the version before.
pub fn judged_by(spec: &JobSpec) -> [u8; 32] {
    let JobSpec { gate, terms, read_back, safe_inset, .. } = spec;
    let said = serde_json::to_vec(&(gate, &terms.criteria, &terms.repair, read_back, safe_inset));
    *blake3::hash(&said.unwrap_or_default()).as_bytes()
}

/// Says of open jobs from before version 5 by what they are judged, so that they are joined by their like and nobody else.
/// A spec that nobody can read is joined by nobody.
pub(super) fn judge_open(connection: &Connection) -> rusqlite::Result<()> {
    let open: Vec<(u64, String)> = connection
        .prepare(
            "SELECT id, json FROM jobs JOIN specs ON job_id = id WHERE state NOT IN ('done', 'failed', 'cancelled')",
        )?
        .query_map([], |row| row.try_into())?
        .collect::<rusqlite::Result<_>>()?;
    let mut judge = connection.prepare("UPDATE jobs SET judged_by = ?2 WHERE id = ?1")?;
    for (job, json) in open {
        if let Ok(spec) = spec_from_json(&json) {
            judge.execute((job, judged_by(&spec)))?;
        }
    }
    Ok(())
}

/// By what a job's picture is judged and repaired, as [`judged_by`] says; empty for one that nobody joins.
pub fn judged_by_of(connection: &Connection, job: JobId) -> rusqlite::Result<Vec<u8>> {
    let judged = connection
        .prepare_cached("SELECT judged_by FROM jobs WHERE id = ?1")?
        .query_row([job.0], |row| row.get(0))
        .optional()?;
    Ok(judged.unwrap_or_default())
}

/// Writes a job, or finds the open one that asks for the same; a request that was made before finds its own job, however
/// that stands. The caller holds the transaction, in which request and job become durable together.
pub fn accept(
    connection: &Connection,
    request: Option<RequestKey>,
    spec: &JobSpec,
    json: &str,
    planned: PlannedKey,
    now_ms: u64,
) -> rusqlite::Result<Accepted> {
    if let Some(request) = request
        && let Some(known) = known(connection, request)?
    {
        return Ok(known);
    }
    let accepted = write_or_join(connection, spec, json, planned, now_ms)?;
    if let Some(request) = request {
        connection
            .prepare_cached("INSERT INTO requests (request, job_id) VALUES (?1, ?2)")?
            .execute((request.0, accepted.job().0))?;
    }
    Ok(accepted)
}

/// How the job stands that a request was accepted as; `None` when it never was.
pub fn known(connection: &Connection, request: RequestKey) -> rusqlite::Result<Option<Accepted>> {
    let job: Option<u64> = connection
        .prepare_cached("SELECT job_id FROM requests WHERE request = ?1")?
        .query_row([request.0], |row| row.get(0))
        .optional()?;
    let Some(job) = job.map(JobId) else { return Ok(None) };
    if let Some(open) = open(connection, job)? {
        return Ok(Some(Accepted::Joined(open)));
    }
    Ok(ending(connection, job)?.map(|ending| Accepted::Ended(job, ending)))
}

/// Forgets that a request was made; its job stays.
pub fn forget_request(connection: &Connection, request: RequestKey) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM requests WHERE request = ?1")?.execute([request.0])?;
    Ok(())
}

fn write_or_join(
    connection: &Connection,
    spec: &JobSpec,
    json: &str,
    planned: PlannedKey,
    now_ms: u64,
) -> rusqlite::Result<Accepted> {
    let judged_by = judged_by(spec);
    let id: Option<u64> = connection
        .prepare_cached(
            "INSERT INTO jobs (client, asset, locale, planned, state, lane, priority, deadline_ms, created_ms, updated_ms,
               tier, intent, batch, judged_by)
             VALUES (:client, :asset, :locale, :planned, 'queued', :lane, :priority, :deadline_ms, :now, :now,
               :tier, :intent, :batch, :judged_by)
             ON CONFLICT DO NOTHING RETURNING id",
        )?
        .query_row(
            named_params! {
                ":client": spec.client, ":asset": spec.asset.name, ":locale": spec.asset.locale,
                ":planned": planned.0, ":lane": spec.lane.word(), ":priority": spec.priority,
                ":deadline_ms": spec.deadline_ms, ":now": now_ms, ":tier": spec.recipe.tier.word(),
                ":intent": spec.recipe.intent.word(), ":batch": spec.terms.batch, ":judged_by": judged_by,
            },
            |row| row.get(0),
        )
        .optional()?;
    if let Some(id) = id {
        connection.prepare_cached("INSERT INTO specs (job_id, json) VALUES (?1, ?2)")?.execute((id, json))?;
        for blob in inputs(spec) {
            connection
                .prepare_cached("INSERT OR IGNORE INTO inputs (job_id, blob) VALUES (?1, ?2)")?
                .execute((id, blob.0))?;
        }
        let open = Open {
            id: JobId(id),
            lane: spec.lane,
            priority: spec.priority,
            client: spec.client.clone(),
            deadline_ms: spec.deadline_ms,
            attempts: 0,
            unknown: 0,
            held: None,
        };
        return Ok(Accepted::Fresh(open));
    }
    let open = connection
        .prepare_cached(&format!(
            "SELECT {OPEN_COLUMNS} FROM jobs
             WHERE planned = ?1 AND client = ?2 AND asset = ?3 AND locale = ?4 AND judged_by = ?5
             AND state NOT IN ('done', 'failed', 'cancelled')",
        ))?
        .query_row((planned.0, &spec.client, &spec.asset.name, &spec.asset.locale, judged_by), open_from_row)?;
    Ok(Accepted::Joined(with_held(connection, open)?))
}

/// Files of the store that a job needs while it is open.
fn inputs(spec: &JobSpec) -> impl Iterator<Item = ContentHash> + '_ {
    let art = spec.recipe.art.iter().map(|art| art.content);
    let fonts = spec.recipe.text.iter().filter_map(|layer| layer.style.font.as_ref()?.content);
    let edit = spec.recipe.edit.iter().flat_map(|edit| edit.images.iter().copied().chain(edit.mask));
    art.chain(fonts).chain(spec.recipe.adapters.iter().map(|adapter| adapter.content)).chain(edit)
}

/// Writes down a job that was answered from the store before it was journalled.
pub fn note_cached(
    connection: &Connection,
    spec: &JobSpec,
    json: &str,
    render: &Render,
    now_ms: u64,
) -> rusqlite::Result<JobId> {
    let id: u64 = connection
        .prepare_cached(
            "INSERT INTO jobs (client, asset, locale, planned, state, lane, priority, realised, cached, created_ms, updated_ms,
               tier, intent, batch)
             VALUES (?1, ?2, ?3, ?4, 'done', ?5, ?6, ?7, 1, ?8, ?8, ?9, ?10, ?11) RETURNING id",
        )?
        .query_row(
            (
                &spec.client,
                &spec.asset.name,
                &spec.asset.locale,
                render.planned_key.0,
                spec.lane.word(),
                spec.priority,
                render.realised_key.0,
                now_ms,
                spec.recipe.tier.word(),
                spec.recipe.intent.word(),
                &spec.terms.batch,
            ),
            |row| row.get(0),
        )?;
    connection.prepare_cached("INSERT INTO specs (job_id, json) VALUES (?1, ?2)")?.execute((id, json))?;
    touch(connection, render.blob, now_ms)?;
    Ok(JobId(id))
}

/// Writes a change down, unless it is a purchase that a budget does not allow; the caller holds the transaction.
pub fn apply(connection: &Connection, record: &Record, now_ms: u64) -> rusqlite::Result<Applied> {
    match record {
        Record::Started { job, attempt, route, art, budgets } => {
            if let Some(purchase) = &route.purchase {
                // Whoever waited for long, or came to another route, may have been overtaken.
                if let Some(art) = art
                    && ledger::find_art(connection, *art)?.is_some()
                {
                    return Ok(Applied::Owned);
                }
                let bought = (purchase, route.model.as_str());
                let reserved = ledger::reserve(connection, *job, *attempt, bought, budgets, now_ms)?;
                if let Err((failure, may_fit)) = reserved {
                    return Ok(Applied::Refused { failure, may_fit });
                }
            }
            connection
                .prepare_cached("UPDATE jobs SET state = 'running', attempts = ?2, updated_ms = ?3 WHERE id = ?1")?
                .execute((job.0, attempt, now_ms))?;
            let planned: [u8; 32] = connection
                .prepare_cached("SELECT planned FROM jobs WHERE id = ?1")?
                .query_row([job.0], |row| row.get(0))?;
            let realised = route.realisation.key(PlannedKey(planned));
            connection
                .prepare_cached(
                    "INSERT INTO attempts (job_id, n, engine, model, realised, started_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute((job.0, attempt, &route.engine, route.model.as_str(), realised.0, now_ms))?;
            if route.purchase.is_none() && !route.realisation.settings.is_empty() {
                // What it was drawn with, and how it was fitted into memory.
                let mut settings = route.realisation.settings.clone();
                if !route.memory.is_empty() {
                    settings.insert("memory".to_owned(), route.memory.clone());
                }
                connection
                    .prepare_cached(
                        "UPDATE attempts SET wire_model = ?3, seed = ?4, settings = ?5 WHERE job_id = ?1 AND n = ?2",
                    )?
                    .execute((
                        job.0,
                        attempt,
                        &route.realisation.wire_model,
                        route.realisation.seed,
                        serde_json::to_string(&settings).unwrap_or_default(),
                    ))?;
            }
            if let Some(purchase) = &route.purchase {
                connection
                    .prepare_cached(
                        "UPDATE attempts SET provider = ?3, account = ?4, key_id = ?5, wire_model = ?6, seed = ?7,
                           settings = ?8, quoted_micros = ?9, reserved_micros = ?10, provider_id = ?11, route = ?12, art = ?13
                         WHERE job_id = ?1 AND n = ?2",
                    )?
                    .execute((
                        job.0,
                        attempt,
                        &purchase.provider,
                        &purchase.account,
                        &purchase.key_id,
                        &route.realisation.wire_model,
                        route.realisation.seed,
                        serde_json::to_string(&route.realisation.settings).unwrap_or_default(),
                        purchase.quoted.0,
                        purchase.reserve.0,
                        &purchase.known_as,
                        serde_json::to_string(route).unwrap_or_default(),
                        art.map(|art| art.0),
                    ))?;
            }
        }
        Record::Called { job, attempt, call, state } => {
            ledger::settle(connection, *job, *attempt, call, now_ms)?;
            set_state(connection, *job, *state, now_ms)?;
        }
        Record::Resent { job } => {
            ledger::assume(connection, *job, now_ms)?;
            set_state(connection, *job, JobState::Queued, now_ms)?;
            connection.prepare_cached("UPDATE jobs SET deadline_ms = NULL WHERE id = ?1")?.execute([job.0])?;
        }
        Record::Returned { job, attempt, outcome } => {
            end_attempt(connection, *job, *attempt, *outcome, now_ms)?;
            set_state(connection, *job, JobState::Queued, now_ms)?;
        }
        Record::Mended { job, number, mended } => {
            // A draft that is enlarged was accepted.
            let outcome = if mended.step.means().is_some() { Outcome::Refused } else { Outcome::Rendered };
            end_attempt(connection, *job, mended.attempt, outcome, now_ms)?;
            repairs::keep(connection, *job, *number, mended, now_ms)?;
            set_state(connection, *job, JobState::Queued, now_ms)?;
        }
        Record::Finished { job, attempt, ending, late } => {
            if let Some(render) = late {
                keep_render(connection, render, now_ms)?;
            }
            if let Some((attempt, outcome)) = attempt {
                end_attempt(connection, *job, *attempt, *outcome, now_ms)?;
            }
            end(connection, *job, ending, now_ms)?;
            ledger::assume(connection, *job, now_ms)?;
            connection.prepare_cached("DELETE FROM inputs WHERE job_id = ?1")?.execute([job.0])?;
        }
    }
    Ok(Applied::Written)
}

/// Writes an ending. One that stands already stays: somebody may have joined the job just as it ended.
fn end(connection: &Connection, job: JobId, ending: &Ending, now_ms: u64) -> rusqlite::Result<()> {
    let (state, realised, cached, failure) = match ending {
        Ending::Done { render, cached, .. } => {
            keep_render(connection, render, now_ms)?;
            (JobState::Done, Some(render.realised_key.0), *cached, None)
        }
        Ending::Failed(failure) => (JobState::Failed, None, false, Some(failure)),
        Ending::Cancelled => (JobState::Cancelled, None, false, None),
    };
    let ended = connection
        .prepare_cached(
            "UPDATE jobs SET state = ?2, realised = ?3, cached = ?4, error_code = ?5, error = ?6, findings = ?7,
               updated_ms = ?8
             WHERE id = ?1 AND state NOT IN ('done', 'failed', 'cancelled')",
        )?
        .execute((
            job.0,
            state.word(),
            realised,
            cached,
            failure.map(|failure| failure.code.word()),
            failure.map(|failure| &failure.message),
            failure.filter(|failure| !failure.findings.is_empty()).map(|failure| findings_to_json(&failure.findings)),
            now_ms,
        ))?;
    match ending {
        Ending::Done { render, .. } if ended > 0 => ways::keep(connection, job, render.realised_key, now_ms),
        _ => Ok(()),
    }
}

fn findings_to_json(findings: &[Finding]) -> String {
    serde_json::to_string(findings).unwrap_or_default()
}

/// How a job ended, as whoever waited for it was told; `None` while it is open, or when it never was.
///
/// A render whose file was given up since is told as `not_found`: the request that it answered is not drawn again.
pub fn ending(connection: &Connection, job: JobId) -> rusqlite::Result<Option<Ending>> {
    type Columns = (String, Option<[u8; 32]>, bool, u32, Option<String>, Option<String>, Option<String>);
    let row: Option<Columns> = connection
        .prepare_cached(
            "SELECT state, realised, cached, attempts, error_code, error, findings FROM jobs WHERE id = ?1",
        )?
        .query_row([job.0], |row| row.try_into())
        .optional()?;
    let Some((state, realised, cached, attempts, code, message, findings)) = row else { return Ok(None) };
    Ok(match JobState::from_word(&state) {
        Some(JobState::Done) => {
            let render = realised.map(|key| find_render(connection, RealisedKey(key))).transpose()?.flatten();
            Some(render.map_or_else(
                || Ending::Failed(gone(job)),
                |render| Ending::Done { render: Box::new(render), cached, attempts },
            ))
        }
        Some(JobState::Failed) => {
            let findings = findings.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default();
            Some(Ending::Failed(Failure { findings, ..failure_of(code.as_deref(), message) }))
        }
        Some(JobState::Cancelled) => Some(Ending::Cancelled),
        _ => None,
    })
}

fn gone(job: JobId) -> Failure {
    let message = format!("failed to find the picture of job {job}: the store gave it up since; ask anew");
    Failure::new(ErrorCode::NotFound, message)
}

fn failure_of(code: Option<&str>, message: Option<String>) -> Failure {
    let known = code.and_then(|word| ErrorCode::ALL.iter().copied().find(|code| code.word() == word));
    Failure::new(known.unwrap_or(ErrorCode::Internal), message.unwrap_or_default())
}

/// Says where a job stands; one that has ended stays so.
fn set_state(connection: &Connection, job: JobId, state: JobState, now_ms: u64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE jobs SET state = ?2, updated_ms = ?3
             WHERE id = ?1 AND state NOT IN ('done', 'failed', 'cancelled')",
        )?
        .execute((job.0, state.word(), now_ms))?;
    Ok(())
}

fn end_attempt(
    connection: &Connection,
    job: JobId,
    attempt: u32,
    outcome: Outcome,
    now_ms: u64,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE attempts SET ended_ms = ?3, outcome = ?4 WHERE job_id = ?1 AND n = ?2 AND ended_ms IS NULL",
        )?
        .execute((job.0, attempt, now_ms, outcome.word()))?;
    Ok(())
}

/// Remembers a render under its realised key; the first one stays, unless its file is gone or the same file was judged again
/// and otherwise.
pub fn keep_render(connection: &Connection, render: &Render, now_ms: u64) -> rusqlite::Result<()> {
    let json = serde_json::to_string(render).unwrap_or_default();
    connection
        .prepare_cached(
            "INSERT INTO renders (realised, planned, blob, json, created_ms) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (realised) DO UPDATE SET blob = excluded.blob, json = excluded.json
             WHERE NOT EXISTS (SELECT 1 FROM blobs WHERE hash = renders.blob)
                OR (excluded.blob = renders.blob
                    AND (json_extract(excluded.json, '$.held_to') IS NOT json_extract(renders.json, '$.held_to')
                         OR json_extract(excluded.json, '$.verdict') <> json_extract(renders.json, '$.verdict')))",
        )?
        .execute((render.realised_key.0, render.planned_key.0, render.blob.0, json, now_ms))?;
    Ok(())
}

/// The render of a realised key whose file is still in the store.
pub fn find_render(connection: &Connection, realised: RealisedKey) -> rusqlite::Result<Option<Render>> {
    let json: Option<String> = connection
        .prepare_cached("SELECT json FROM renders JOIN blobs ON hash = blob WHERE realised = ?1")?
        .query_row([realised.0], |row| row.get(0))
        .optional()?;
    Ok(json.and_then(|json| serde_json::from_str(&json).ok()))
}

/// When a render was first kept, in Unix milliseconds, whether its file is still in the store or not.
pub fn render_made_ms(connection: &Connection, realised: RealisedKey) -> rusqlite::Result<Option<u64>> {
    connection
        .prepare_cached("SELECT created_ms FROM renders WHERE realised = ?1")?
        .query_row([realised.0], |row| row.get(0))
        .optional()
}

/// Notes that a file lies in the store.
pub fn keep_blob(connection: &Connection, hash: ContentHash, size: u64, now_ms: u64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO blobs (hash, size, last_used_ms) VALUES (?1, ?2, ?3)
             ON CONFLICT (hash) DO UPDATE SET last_used_ms = excluded.last_used_ms",
        )?
        .execute((hash.0, size, now_ms))?;
    Ok(())
}

/// Notes that a file of the store was used.
pub fn touch(connection: &Connection, hash: ContentHash, now_ms: u64) -> rusqlite::Result<()> {
    connection.prepare_cached("UPDATE blobs SET last_used_ms = ?2 WHERE hash = ?1")?.execute((hash.0, now_ms))?;
    Ok(())
}

/// Bytes that the store holds.
pub fn stored_bytes(connection: &Connection) -> rusqlite::Result<u64> {
    connection.prepare_cached("SELECT coalesce(sum(size), 0) FROM blobs")?.query_row([], |row| row.get(0))
}

/// Forgets the files used longest ago until at most `bytes_max` remain, except those that `pinned` or an open job needs.
/// The caller removes the files after the commit.
pub fn evict(
    connection: &Connection,
    bytes_max: u64,
    pinned: &dyn Fn(ContentHash) -> bool,
) -> rusqlite::Result<Vec<ContentHash>> {
    let mut held = stored_bytes(connection)?;
    let mut evicted = Vec::new();
    let mut statement = connection.prepare_cached(
        "SELECT hash, size FROM blobs WHERE NOT EXISTS (SELECT 1 FROM inputs WHERE blob = hash) ORDER BY last_used_ms",
    )?;
    let mut rows = statement.query([])?;
    while held > bytes_max
        && let Some(row) = rows.next()?
    {
        let (hash, size) = (ContentHash(row.get(0)?), row.get::<_, u64>(1)?);
        if !pinned(hash) {
            held = held.saturating_sub(size);
            evicted.push(hash);
        }
    }
    for hash in &evicted {
        connection.prepare_cached("DELETE FROM blobs WHERE hash = ?1")?.execute([hash.0])?;
    }
    Ok(evicted)
}

/// Every file that the store should hold.
pub fn known_blobs(connection: &Connection) -> rusqlite::Result<Vec<ContentHash>> {
    connection
        .prepare_cached("SELECT hash FROM blobs ORDER BY hash")?
        .query_map([], |row| row.get(0).map(ContentHash))?
        .collect()
}

/// Forgets a file that is gone.
pub fn forget_blob(connection: &Connection, hash: ContentHash) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM blobs WHERE hash = ?1")?.execute([hash.0])?;
    Ok(())
}

/// Forgets ended jobs beyond the newest [`limits::JOBS_KEPT_MAX`], renders whose file is gone, and the oldest ways; how many
/// jobs and renders.
pub fn prune(connection: &Connection) -> rusqlite::Result<usize> {
    let jobs = connection.execute(
        "DELETE FROM jobs WHERE id <= (SELECT max(id) FROM jobs) - ?1 AND state IN ('done', 'failed', 'cancelled')",
        [limits::JOBS_KEPT_MAX],
    )?;
    let renders =
        connection.execute("DELETE FROM renders WHERE NOT EXISTS (SELECT 1 FROM blobs WHERE hash = blob)", [])?;
    ways::prune(connection)?;
    Ok(jobs + renders)
}

/// Takes up what an earlier process left open: attempts found in flight are interrupted, their jobs queued again.
///
/// A job found in flight more than [`limits::CRASHES_MAX`] times is failed: it is what ends the process.
///
/// A call to a provider that was under way may have been made and billed: its job waits until that is known.
pub fn recover(connection: &Connection, now_ms: u64) -> rusqlite::Result<Vec<Open>> {
    ledger::interrupted(connection, now_ms)?;
    connection
        .execute("UPDATE attempts SET ended_ms = ?1, outcome = 'interrupted' WHERE ended_ms IS NULL", [now_ms])?;
    connection.execute(
        "UPDATE jobs SET crashes = crashes + 1 WHERE state IN ('planning', 'running', 'verifying', 'repairing')",
        [],
    )?;
    connection.execute(
        "UPDATE jobs SET state = 'failed', error_code = 'internal', updated_ms = ?2,
           error = 'the sidecar ended ' || crashes || ' times while it drew this; please report the recipe'
         WHERE crashes > ?1 AND state NOT IN ('done', 'failed', 'cancelled')",
        (limits::CRASHES_MAX, now_ms),
    )?;
    // Nobody will learn any more what became of calls of jobs that ended so.
    let ended: Vec<u64> = connection
        .prepare(
            "SELECT DISTINCT job_id FROM attempts JOIN jobs ON id = job_id
             WHERE account IS NOT NULL AND settled_micros IS NULL AND state IN ('done', 'failed', 'cancelled')",
        )?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for job in ended {
        ledger::assume(connection, JobId(job), now_ms)?;
    }
    connection.execute(
        "UPDATE jobs SET state = 'queued' WHERE state IN ('planning', 'running', 'verifying', 'repairing', 'waiting')",
        [],
    )?;
    connection.execute(
        "DELETE FROM inputs WHERE job_id IN (SELECT id FROM jobs WHERE state IN ('done', 'failed', 'cancelled'))",
        [],
    )?;
    let open: Vec<(Open, bool)> = connection
        .prepare(&format!(
            "SELECT {OPEN_COLUMNS} FROM jobs WHERE state IN ('queued', 'ambiguous') ORDER BY id LIMIT ?1"
        ))?
        .query_map([limits::OPEN_JOBS_MAX], open_from_row)?
        .collect::<rusqlite::Result<_>>()?;
    open.into_iter().map(|open| with_held(connection, open)).collect()
}

/// An open job as the dispatcher holds it; `None` when it has ended or never was.
pub fn open(connection: &Connection, job: JobId) -> rusqlite::Result<Option<Open>> {
    let open = connection
        .prepare_cached(&format!(
            "SELECT {OPEN_COLUMNS} FROM jobs WHERE id = ?1 AND state NOT IN ('done', 'failed', 'cancelled')"
        ))?
        .query_row([job.0], open_from_row)
        .optional()?;
    open.map(|open| with_held(connection, open)).transpose()
}

/// What is read of an open job; whether it is held comes last. A call without an end is under way, and then the dispatcher
/// has the job; or its end could not be written down, and then nobody knows what became of it.
const OPEN_COLUMNS: &str = "id, lane, priority, client, deadline_ms, attempts,
    (SELECT count(*) FROM attempts WHERE job_id = jobs.id AND outcome = 'ambiguous'), state = 'ambiguous'
    OR EXISTS (SELECT 1 FROM attempts WHERE job_id = jobs.id AND account IS NOT NULL AND ended_ms IS NULL)";

/// Adds the call of which nobody knows what became, to a job that waits for that.
fn with_held(connection: &Connection, (open, is_held): (Open, bool)) -> rusqlite::Result<Open> {
    if !is_held {
        return Ok(open);
    }
    type Columns = (u32, Option<String>, Option<[u8; 32]>, Option<String>, u32);
    let held: Option<Columns> = connection
        .prepare_cached(
            "SELECT n, route, art, provider_id,
               (SELECT count(*) FROM attempts AS other
                WHERE other.job_id = ?1 AND other.outcome = 'ambiguous' AND other.n < attempts.n)
             FROM attempts WHERE job_id = ?1 AND account IS NOT NULL AND coalesce(outcome, 'ambiguous') = 'ambiguous'
             ORDER BY n DESC LIMIT 1",
        )?
        .query_row([open.id.0], |row| row.try_into())
        .optional()?;
    let (attempt, route, art, provider_id, others) = held.unwrap_or((open.attempts, None, None, None, 0));
    let route = route.and_then(|json| serde_json::from_str(&json).ok());
    let call = route.zip(art.map(RealisedKey));
    Ok(Open { held: Some(Box::new(Held { attempt, call, provider_id, others })), ..open })
}

/// An open job, and whether it waits for what became of a call.
fn open_from_row(row: &Row<'_>) -> rusqlite::Result<(Open, bool)> {
    let lane: String = row.get(1)?;
    let open = Open {
        id: JobId(row.get(0)?),
        lane: if lane == Lane::Interactive.word() { Lane::Interactive } else { Lane::Batch },
        priority: row.get(2)?,
        client: row.get(3)?,
        deadline_ms: row.get(4)?,
        attempts: row.get(5)?,
        unknown: row.get(6)?,
        held: None,
    };
    Ok((open, row.get(7)?))
}

/// What was asked of a job, as it was written down.
pub fn spec(connection: &Connection, job: JobId) -> rusqlite::Result<Option<(String, PlannedKey)>> {
    connection
        .prepare_cached("SELECT json, planned FROM specs JOIN jobs ON id = job_id WHERE job_id = ?1")?
        .query_row([job.0], |row| Ok((row.get(0)?, PlannedKey(row.get(1)?))))
        .optional()
}

/// A job as people look at it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JobRow {
    /// Its number.
    pub id: JobId,
    /// What it is for.
    #[serde(flatten)]
    pub asset: AssetView,
    /// Who asked.
    pub client: String,
    /// Where it stands, as last written down.
    pub state: JobState,
    /// Who waits.
    pub lane: Lane,
    /// Tries so far.
    pub attempts: u32,
    /// What was decided.
    pub planned_key: PlannedKey,
    /// What drew it, once done.
    pub realised_key: Option<RealisedKey>,
    /// Why it failed.
    pub error: Option<Failure>,
    /// Pictures that the checks refused, and what was done about each; told of a job that is asked for by its number.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub repairs: Vec<Mended>,
    /// Unix time in milliseconds.
    pub created_ms: u64,
    /// Unix time in milliseconds.
    pub updated_ms: u64,
}

/// The asset's two words, as they stand beside the rest.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AssetView {
    /// Name in the manifest.
    pub asset: String,
    /// BCP 47 tag.
    pub locale: String,
}

impl JobRow {
    /// The asset as the domain has it.
    pub fn asset_ref(&self) -> AssetRef {
        AssetRef { name: self.asset.asset.clone(), locale: self.asset.locale.clone() }
    }
}

const JOB_COLUMNS: &str =
    "id, asset, locale, client, state, lane, attempts, planned, realised, error_code, error, created_ms, updated_ms";

fn job_from_row(row: &Row<'_>) -> rusqlite::Result<JobRow> {
    let state: String = row.get(4)?;
    let lane: String = row.get(5)?;
    let code: Option<String> = row.get(9)?;
    let message: Option<String> = row.get(10)?;
    let error = code.map(|word| failure_of(Some(&word), message));
    Ok(JobRow {
        id: JobId(row.get(0)?),
        asset: AssetView { asset: row.get(1)?, locale: row.get(2)? },
        client: row.get(3)?,
        state: JobState::from_word(&state).unwrap_or(JobState::Failed),
        lane: if lane == Lane::Interactive.word() { Lane::Interactive } else { Lane::Batch },
        attempts: row.get(6)?,
        planned_key: PlannedKey(row.get(7)?),
        realised_key: row.get::<_, Option<[u8; 32]>>(8)?.map(RealisedKey),
        error,
        repairs: Vec::new(),
        created_ms: row.get(11)?,
        updated_ms: row.get(12)?,
    })
}

/// One job, with what was repaired of it.
pub fn job(connection: &Connection, id: JobId) -> rusqlite::Result<Option<JobRow>> {
    let row = connection
        .prepare_cached(&format!("SELECT {JOB_COLUMNS} FROM jobs WHERE id = ?1"))?
        .query_row([id.0], job_from_row)
        .optional()?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(JobRow { repairs: repairs::of(connection, id)?, ..row }))
}

/// The newest jobs, newest first, of one state or of all.
pub fn jobs(connection: &Connection, state: Option<JobState>, count: usize) -> rusqlite::Result<Vec<JobRow>> {
    connection
        .prepare_cached(&format!(
            "SELECT {JOB_COLUMNS} FROM jobs WHERE ?1 IS NULL OR state = ?1 ORDER BY id DESC LIMIT ?2"
        ))?
        .query_map((state.map(JobState::word), count.min(limits::LISTING_MAX)), job_from_row)?
        .collect()
}
