//! Ways: which steps led to a picture that was repaired, or made from a draft, by what was asked and what it was held to.
//!
//! ```text
//! job ends with steps ─► way ─┬─► journal, in the transaction of the ending
//!                             └─► shared folder, beside the render
//! ```
//! Whoever asks for the same goes to the picture at once. Without its way it is found only by drawing, composing and judging
//! every picture before it again, and those may be gone, or somebody else's.

use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize};
use thumbforge_core::id::{JobId, PlannedKey, RealisedKey};
use thumbforge_core::job::JobSpec;
use thumbforge_core::limits;
use thumbforge_core::model::ModelId;
use thumbforge_core::money::Micros;
use thumbforge_core::repair::{Mended, Step};
use thumbforge_core::verdict::Verdict;

use super::{ops, repairs};

/// What is asked for and what it is held to: who agrees in both takes the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// What was asked for.
    pub planned: PlannedKey,
    /// How it is judged and repaired, as [`ops::judged_by`] says.
    pub judged_by: [u8; 32],
}

impl Asked {
    /// What a job is asked for and held to.
    pub fn of(spec: &JobSpec, planned: PlannedKey) -> Self {
        Self { planned, judged_by: ops::judged_by(spec) }
    }

    /// Both as one name.
    pub fn name(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"thumbforge way").update(&self.planned.0).update(&self.judged_by);
        hasher.finalize().to_hex().to_string()
    }
}

/// The steps to a picture, and the picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Way {
    /// The picture.
    pub realised: RealisedKey,
    /// Each picture before it, by the model that drew it, and what was done then.
    pub taken: Vec<(ModelId, Step)>,
}

/// A way as it stands in the journal and in shared folders.
#[derive(Serialize, Deserialize)]
struct WayRecord {
    version: u32,
    realised: RealisedKey,
    taken: Vec<TakenRecord>,
}

#[derive(Serialize, Deserialize)]
struct TakenRecord {
    model: ModelId,
    #[serde(flatten)]
    step: Step,
}

impl Way {
    /// The way to a picture.
    pub fn to(realised: RealisedKey, repairs: &[Mended]) -> Self {
        Self { realised, taken: repairs.iter().map(|mended| (mended.model.clone(), mended.step.clone())).collect() }
    }

    /// As it is written down.
    pub fn to_json(&self) -> String {
        let taken = self.taken.iter().cloned().map(|(model, step)| TakenRecord { model, step }).collect();
        serde_json::to_string(&WayRecord { version: 1, realised: self.realised, taken }).unwrap_or_default()
    }

    /// Reads a way of any version; `None` for what is none, or has more steps than any job takes.
    pub fn from_json(json: &[u8]) -> Option<Self> {
        let WayRecord { realised, taken, .. } = serde_json::from_slice(json).ok()?;
        let taken: Vec<_> = taken.into_iter().map(|taken| (taken.model, taken.step)).collect();
        (!taken.is_empty() && taken.len() <= STEPS_MAX).then_some(Self { realised, taken })
    }

    /// Its steps as a job would have them. What was found and spent is not theirs to say; the picture's record tells it.
    pub fn mended(&self) -> Vec<Mended> {
        let mended = |(attempt, (model, step)): (u32, &(ModelId, Step))| Mended {
            attempt,
            model: model.clone(),
            verdict: Verdict::of(Vec::new()),
            cost: Micros::ZERO,
            latency_ms: 0,
            step: step.clone(),
        };
        (1..).zip(&self.taken).map(mended).collect()
    }
}

/// Most steps of a job: its repairs, a draft that a model enlarges, and resampling it where that was refused.
const STEPS_MAX: usize = limits::REPAIRS_MAX + 2;

/// Writes down which steps a job ended with; nothing where it took none, or is of before journals had ways.
pub(super) fn keep(connection: &Connection, job: JobId, realised: RealisedKey, now_ms: u64) -> rusqlite::Result<()> {
    let repairs = repairs::of(connection, job)?;
    if repairs.is_empty() {
        return Ok(());
    }
    connection
        .prepare_cached(
            "INSERT INTO ways (planned, judged_by, realised, way, created_ms)
             SELECT planned, judged_by, ?2, ?3, ?4 FROM jobs WHERE id = ?1 AND length(judged_by) = 32
             ON CONFLICT (planned, judged_by)
             DO UPDATE SET realised = excluded.realised, way = excluded.way, created_ms = excluded.created_ms",
        )?
        .execute((job.0, realised.0, Way::to(realised, &repairs).to_json(), now_ms))?;
    Ok(())
}

/// The way that the last job took that was asked for the same and held to the same.
pub fn find(connection: &Connection, asked: Asked) -> rusqlite::Result<Option<Way>> {
    let json: Option<String> = connection
        .prepare_cached("SELECT way FROM ways WHERE planned = ?1 AND judged_by = ?2")?
        .query_row((asked.planned.0, asked.judged_by), |row| row.get(0))
        .optional()?;
    // Without it the way is walked, which costs time and perhaps money, and gives no other picture.
    Ok(json.and_then(|json| Way::from_json(json.as_bytes())))
}

/// Forgets ways beyond the newest [`limits::WAYS_KEPT_MAX`].
pub(super) fn prune(connection: &Connection) -> rusqlite::Result<usize> {
    connection.execute(
        "DELETE FROM ways
         WHERE created_ms <= (SELECT created_ms FROM ways ORDER BY created_ms DESC LIMIT 1 OFFSET ?1)",
        [limits::WAYS_KEPT_MAX],
    )
}

#[cfg(test)]
mod tests;
