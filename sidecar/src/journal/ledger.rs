//! Money in the journal: set aside before a call, settled after it, and never counted twice.
//!
//! ```text
//! reserve ─► settle (what the provider says, or the price)
//!        ├─► release (nothing was billed)
//!        └─► unknown ─► settle | release (the provider was asked) | assume (a person decided, or the job ended)
//! ```
//! The caller holds the transaction. An attempt is settled once: whatever comes after is not counted.

use rusqlite::{Connection, OptionalExtension};
use thumbforge_core::day::Day;
use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::id::{ContentHash, JobId, RealisedKey};
use thumbforge_core::job::{Outcome, Purchase};
use thumbforge_core::money::Micros;
use thumbforge_core::terms::{Budget, Period, Scope};
use thumbforge_core::verdict::Finding;
use thumbforge_hosted::Usage;

/// What a call costs, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// This much.
    Paid(Micros),
    /// Nothing.
    Free,
    /// Nobody knows; what was set aside stays so.
    Unknown,
}

/// How a call to a provider ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// How.
    pub outcome: Outcome,
    /// What it costs.
    pub settled: Settled,
    /// What the provider says that it used.
    pub usage: Usage,
    /// The provider's name for it.
    pub provider_id: Option<String>,
    /// Which key it was made with, by a short hash; empty where none was.
    pub key_id: String,
    /// Wall time.
    pub latency_ms: u64,
    /// Why there is no picture; empty when there is.
    pub note: String,
    /// The picture, in the store.
    pub art: Option<Bought>,
}

impl Call {
    /// A call that was not made after all.
    pub fn unmade(outcome: Outcome) -> Self {
        Self {
            outcome,
            settled: Settled::Free,
            usage: Usage::default(),
            provider_id: None,
            key_id: String::new(),
            latency_ms: 0,
            note: String::new(),
            art: None,
        }
    }
}

/// Art that was bought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bought {
    /// What drew it, without words.
    pub art: RealisedKey,
    /// Its file in the store.
    pub blob: ContentHash,
    /// The seed that the provider says it drew with.
    pub seed: Option<u64>,
}

/// Art that is in the store.
#[derive(Debug, Clone, PartialEq)]
pub struct Art {
    /// Its file.
    pub blob: ContentHash,
    /// The job that it was bought or drawn for.
    pub job: JobId,
    /// What it cost.
    pub cost: Micros,
    /// How long the provider or the model took.
    pub latency_ms: u64,
    /// What was known of it when it was drawn.
    pub findings: Vec<Finding>,
}

/// Who a call is counted under.
struct Counted {
    client: String,
    batch: String,
    tier: String,
    asset: String,
    locale: String,
}

impl Counted {
    fn read(connection: &Connection, job: JobId) -> rusqlite::Result<Self> {
        connection.prepare_cached("SELECT client, batch, tier, asset, locale FROM jobs WHERE id = ?1")?.query_row(
            [job.0],
            |row| {
                Ok(Self {
                    client: row.get(0)?,
                    batch: row.get(1)?,
                    tier: row.get(2)?,
                    asset: row.get(3)?,
                    locale: row.get(4)?,
                })
            },
        )
    }

    /// Every row of `spend` that it counts in.
    fn rows(&self, account: &str, provider: &str, day: Day) -> Vec<(String, String)> {
        use Period::{Day as Daily, Ever, Month};
        let project = Scope::Project(self.client.clone()).to_string();
        let tier = tier_row(&self.client, &self.tier);
        let mut rows = Vec::with_capacity(16);
        for (scope, periods) in [
            (Scope::All.to_string(), &[Ever, Daily, Month][..]),
            (project, &[Ever, Daily, Month]),
            (tier, &[Ever, Daily, Month]),
            (Scope::Provider(provider.to_owned()).to_string(), &[Ever, Daily, Month]),
            (Scope::Account(account.to_owned()).to_string(), &[Ever, Daily, Month]),
            (Scope::Batch(self.batch.clone()).to_string(), &[Ever]),
        ] {
            if scope == "batch:" {
                continue;
            }
            rows.extend(periods.iter().map(|period| (scope.clone(), period_word(*period, day))));
        }
        rows
    }
}

/// A tier is counted by project: the drafts of one are not those of another.
fn tier_row(client: &str, tier: &str) -> String {
    Scope::Tier(format!("{client}/{tier}")).to_string()
}

fn period_word(period: Period, day: Day) -> String {
    match period {
        Period::Ever => String::new(),
        Period::Day => day.to_string(),
        Period::Month => day.month(),
    }
}

/// Sets money aside for a call, unless a budget has too little left; then nothing is written.
///
/// # Errors
/// The outer one is SQLite's; the inner one names the budget, what it has left, and what to do, and says whether it may yet
/// fit when calls that are under way have cost less than they might.
pub(super) fn reserve(
    connection: &Connection,
    job: JobId,
    attempt: u32,
    (purchase, model): (&Purchase, &str),
    budgets: &[Budget],
    now_ms: u64,
) -> rusqlite::Result<Result<(), (Failure, bool)>> {
    let counted = Counted::read(connection, job)?;
    let day = Day::of_ms(now_ms);
    for budget in budgets {
        let Some(scope) = applies(&budget.scope, &counted, purchase) else { continue };
        let (reserved, spent) = used(connection, &scope, &period_word(budget.period, day))?;
        if reserved + spent + purchase.reserve > budget.micros {
            // Calls usually cost less than is set aside for them: what they leave may be enough.
            let may_fit = spent + purchase.reserve <= budget.micros;
            return Ok(Err((over(budget, reserved, spent, purchase), may_fit)));
        }
    }
    for (scope, period) in counted.rows(&purchase.account, &purchase.provider, day) {
        connection
            .prepare_cached(
                "INSERT INTO spend (scope, period, reserved_micros, spent_micros) VALUES (?1, ?2, ?3, 0)
                 ON CONFLICT (scope, period) DO UPDATE SET reserved_micros = reserved_micros + excluded.reserved_micros",
            )?
            .execute((scope, period, purchase.reserve.0))?;
    }
    let parties = Parties { account: &purchase.account, provider: &purchase.provider, model };
    write(connection, (job, attempt), "reserve", &parties, &counted, purchase.reserve, now_ms)?;
    Ok(Ok(()))
}

/// Whether every budget has room for a purchase now. Nothing is set aside: somebody else may take the room.
pub fn has_room(
    connection: &Connection,
    job: JobId,
    purchase: &Purchase,
    budgets: &[Budget],
    now_ms: u64,
) -> rusqlite::Result<bool> {
    let counted = Counted::read(connection, job)?;
    let day = Day::of_ms(now_ms);
    for budget in budgets {
        let Some(scope) = applies(&budget.scope, &counted, purchase) else { continue };
        let (reserved, spent) = used(connection, &scope, &period_word(budget.period, day))?;
        if reserved + spent + purchase.reserve > budget.micros {
            return Ok(false);
        }
    }
    Ok(true)
}

fn used(connection: &Connection, scope: &str, period: &str) -> rusqlite::Result<(Micros, Micros)> {
    let used = connection
        .prepare_cached("SELECT reserved_micros, spent_micros FROM spend WHERE scope = ?1 AND period = ?2")?
        .query_row((scope, period), |row| Ok((Micros(row.get(0)?), Micros(row.get(1)?))))
        .optional()?;
    Ok(used.unwrap_or_default())
}

/// The row that a budget is about, if the call counts in it. A project's own budgets are about that project, whatever
/// they call it.
fn applies(scope: &Scope, counted: &Counted, purchase: &Purchase) -> Option<String> {
    match scope {
        Scope::All => Some(scope.to_string()),
        Scope::Project(name) => (*name == counted.client).then(|| scope.to_string()),
        Scope::Batch(name) => (*name == counted.batch).then(|| scope.to_string()),
        Scope::Tier(tier) => (*tier == counted.tier).then(|| tier_row(&counted.client, tier)),
        Scope::Provider(name) => (*name == purchase.provider).then(|| scope.to_string()),
        Scope::Account(name) => (*name == purchase.account).then(|| scope.to_string()),
    }
}

fn over(budget: &Budget, reserved: Micros, spent: Micros, purchase: &Purchase) -> Failure {
    let (period, later) = match budget.period {
        Period::Ever => ("", ""),
        Period::Day => (" for today", ", or go on tomorrow (UTC)"),
        Period::Month => (" for this month", ", or go on next month (UTC)"),
    };
    let what = match &budget.scope {
        Scope::All => "the budget of everything".to_owned(),
        Scope::Project(name) => format!("the budget of the project {name}"),
        Scope::Batch(_) => "the budget of this build".to_owned(),
        Scope::Tier(name) => format!("the project's budget of its {name} tier"),
        Scope::Provider(name) => format!("the budget of the provider {name}"),
        Scope::Account(name) => format!("the budget of the account {name}"),
    };
    let held =
        if reserved > Micros::ZERO { format!(" and {reserved} set aside for calls under way") } else { String::new() };
    Failure::new(
        ErrorCode::OverBudget,
        format!(
            "failed to buy the picture: it may cost {}, and {what}{period} of {} has {spent} spent{held}; raise it{later}",
            purchase.reserve, budget.micros
        ),
    )
}

/// Writes down how a call ended and what it cost. A call that was settled before stays as it was settled.
pub(super) fn settle(
    connection: &Connection,
    job: JobId,
    attempt: u32,
    call: &Call,
    now_ms: u64,
) -> rusqlite::Result<()> {
    let paid = match call.settled {
        Settled::Paid(amount) => Some(("settle", amount)),
        Settled::Free => Some(("release", Micros::ZERO)),
        Settled::Unknown => None,
    };
    connection
        .prepare_cached(
            "UPDATE attempts SET ended_ms = ?3, outcome = ?4, latency_ms = coalesce(latency_ms, 0) + ?5, note = ?6,
               provider_id = coalesce(?7, provider_id), text_tokens = ?8, image_tokens = ?9, output_tokens = ?10,
               credits_milli = ?11, key_id = coalesce(?12, key_id)
             WHERE job_id = ?1 AND n = ?2",
        )?
        .execute((
            job.0,
            attempt,
            now_ms,
            call.outcome.word(),
            call.latency_ms,
            (!call.note.is_empty()).then_some(&call.note),
            &call.provider_id,
            call.usage.text_tokens.and_then(column),
            call.usage.image_tokens.and_then(column),
            call.usage.output_tokens.and_then(column),
            call.usage.credits_milli.and_then(column),
            (!call.key_id.is_empty()).then_some(&call.key_id),
        ))?;
    match paid {
        Some((kind, amount)) => close(connection, job, attempt, kind, Some(amount), now_ms)?,
        None => note_unknown(connection, job, attempt, now_ms)?,
    }
    if let Some(bought) = &call.art {
        let cost = if let Settled::Paid(amount) = call.settled { amount } else { Micros::ZERO };
        let latency_ms = latency_ms(connection, job, attempt)?;
        let art = Art { blob: bought.blob, job, cost, latency_ms, findings: Vec::new() };
        keep_art(connection, bought.art, &art, bought.seed, now_ms)?;
    }
    Ok(())
}

/// Remembers art that was bought or drawn; the first one stays while its file does.
pub fn keep_art(
    connection: &Connection,
    key: RealisedKey,
    art: &Art,
    seed: Option<u64>,
    now_ms: u64,
) -> rusqlite::Result<()> {
    let findings = (!art.findings.is_empty()).then(|| serde_json::to_string(&art.findings).unwrap_or_default());
    connection
        .prepare_cached(
            "INSERT INTO arts (art, blob, job_id, cost_micros, latency_ms, seed, created_ms, findings)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (art) DO UPDATE SET blob = excluded.blob, job_id = excluded.job_id,
               cost_micros = excluded.cost_micros, latency_ms = excluded.latency_ms, seed = excluded.seed,
               findings = excluded.findings
             WHERE NOT EXISTS (SELECT 1 FROM blobs WHERE hash = arts.blob)",
        )?
        .execute((key.0, art.blob.0, art.job.0, art.cost.0, art.latency_ms, seed.and_then(column), now_ms, findings))?;
    Ok(())
}

/// A server's figure as SQLite holds it. One that is larger is left out: it must not keep a picture that is paid out of the
/// journal.
fn column(figure: u64) -> Option<i64> {
    i64::try_from(figure).ok()
}

/// How long the call took, with the times that it was asked after.
fn latency_ms(connection: &Connection, job: JobId, attempt: u32) -> rusqlite::Result<u64> {
    connection
        .prepare_cached("SELECT coalesce(latency_ms, 0) FROM attempts WHERE job_id = ?1 AND n = ?2")?
        .query_row((job.0, attempt), |row| row.get(0))
}

/// What a job has paid so far; what nobody knows is counted as it will be, at the most that it can be.
pub fn paid(connection: &Connection, job: JobId) -> rusqlite::Result<Micros> {
    connection
        .prepare_cached(
            "SELECT coalesce(sum(coalesce(settled_micros, reserved_micros)), 0) FROM attempts
             WHERE job_id = ?1 AND account IS NOT NULL",
        )?
        .query_row([job.0], |row| row.get(0).map(Micros))
}

/// Counts what nobody knows of a job as billed at the most that it could cost: too much rather than too little.
pub(super) fn assume(connection: &Connection, job: JobId, now_ms: u64) -> rusqlite::Result<()> {
    // A call whose end could not be written down has none yet.
    connection
        .prepare_cached(
            "UPDATE attempts SET ended_ms = ?2, outcome = 'ambiguous'
             WHERE job_id = ?1 AND account IS NOT NULL AND ended_ms IS NULL",
        )?
        .execute((job.0, now_ms))?;
    let unknown: Vec<u32> = connection
        .prepare_cached("SELECT n FROM attempts WHERE job_id = ?1 AND account IS NOT NULL AND settled_micros IS NULL")?
        .query_map([job.0], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for attempt in unknown {
        close(connection, job, attempt, "assume", None, now_ms)?;
    }
    Ok(())
}

struct Parties<'a> {
    account: &'a str,
    provider: &'a str,
    model: &'a str,
}

/// What the attempt's row says of its money.
struct Row {
    account: String,
    provider: String,
    model: String,
    reserved: Micros,
    started_ms: u64,
}

/// The money of an attempt that is not settled yet.
fn unsettled(connection: &Connection, job: JobId, attempt: u32) -> rusqlite::Result<Option<Row>> {
    connection
        .prepare_cached(
            "SELECT account, provider, model, reserved_micros, started_ms FROM attempts
             WHERE job_id = ?1 AND n = ?2 AND account IS NOT NULL AND settled_micros IS NULL",
        )?
        .query_row((job.0, attempt), |row| {
            Ok(Row {
                account: row.get(0)?,
                provider: row.get(1)?,
                model: row.get(2)?,
                reserved: Micros(row.get(3)?),
                started_ms: row.get(4)?,
            })
        })
        .optional()
}

/// Settles an attempt at `amount`, or at all that was set aside; once.
fn close(
    connection: &Connection,
    job: JobId,
    attempt: u32,
    kind: &str,
    amount: Option<Micros>,
    now_ms: u64,
) -> rusqlite::Result<()> {
    let Some(row) = unsettled(connection, job, attempt)? else { return Ok(()) };
    let amount = amount.unwrap_or(row.reserved);
    connection
        .prepare_cached("UPDATE attempts SET settled_micros = ?3 WHERE job_id = ?1 AND n = ?2")?
        .execute((job.0, attempt, amount.0))?;
    let counted = Counted::read(connection, job)?;
    // What was set aside on one day is spent on that day, however late the answer comes.
    for (scope, period) in counted.rows(&row.account, &row.provider, Day::of_ms(row.started_ms)) {
        connection
            .prepare_cached(
                "UPDATE spend SET reserved_micros = max(reserved_micros - ?3, 0), spent_micros = spent_micros + ?4
                 WHERE scope = ?1 AND period = ?2",
            )?
            .execute((scope, period, row.reserved.0, amount.0))?;
    }
    let parties = Parties { account: &row.account, provider: &row.provider, model: &row.model };
    write(connection, (job, attempt), kind, &parties, &counted, amount, now_ms)
}

fn note_unknown(connection: &Connection, job: JobId, attempt: u32, now_ms: u64) -> rusqlite::Result<()> {
    let Some(row) = unsettled(connection, job, attempt)? else { return Ok(()) };
    let counted = Counted::read(connection, job)?;
    let parties = Parties { account: &row.account, provider: &row.provider, model: &row.model };
    write(connection, (job, attempt), "unknown", &parties, &counted, row.reserved, now_ms)
}

fn write(
    connection: &Connection,
    (job, attempt): (JobId, u32),
    kind: &str,
    parties: &Parties<'_>,
    counted: &Counted,
    amount: Micros,
    now_ms: u64,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO ledger (ts_ms, job_id, attempt, kind, account, provider, model, client, batch, tier, asset,
               locale, amount_micros)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        )?
        .execute((
            now_ms,
            job.0,
            attempt,
            kind,
            parties.account,
            parties.provider,
            parties.model,
            &counted.client,
            &counted.batch,
            &counted.tier,
            &counted.asset,
            &counted.locale,
            amount.0,
        ))?;
    Ok(())
}

/// Calls that were under way when the process ended: nobody knows what became of them.
pub(super) fn interrupted(connection: &Connection, now_ms: u64) -> rusqlite::Result<()> {
    let calls: Vec<(u64, u32)> = connection
        .prepare_cached("SELECT job_id, n FROM attempts WHERE ended_ms IS NULL AND account IS NOT NULL")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (job, attempt) in calls {
        connection
            .prepare_cached(
                "UPDATE attempts SET ended_ms = ?3, outcome = 'ambiguous',
                   note = 'the sidecar ended while it waited for the answer' WHERE job_id = ?1 AND n = ?2",
            )?
            .execute((job, attempt, now_ms))?;
        note_unknown(connection, JobId(job), attempt, now_ms)?;
        connection
            .prepare_cached(
                "UPDATE jobs SET state = 'ambiguous', updated_ms = ?2
                 WHERE id = ?1 AND state NOT IN ('done', 'failed', 'cancelled')",
            )?
            .execute((job, now_ms))?;
    }
    Ok(())
}

/// The provider's name for a call that it has taken: written down before it is asked after.
pub fn note_provider_id(connection: &Connection, job: JobId, attempt: u32, id: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE attempts SET provider_id = ?3 WHERE job_id = ?1 AND n = ?2")?
        .execute((job.0, attempt, id))?;
    Ok(())
}

/// Art whose file is still in the store.
pub fn find_art(connection: &Connection, art: RealisedKey) -> rusqlite::Result<Option<Art>> {
    connection
        .prepare_cached(
            "SELECT blob, job_id, cost_micros, latency_ms, findings FROM arts JOIN blobs ON hash = blob WHERE art = ?1",
        )?
        .query_row([art.0], |row| {
            Ok(Art {
                blob: ContentHash(row.get(0)?),
                job: JobId(row.get(1)?),
                cost: Micros(row.get(2)?),
                latency_ms: row.get(3)?,
                findings: row
                    .get::<_, Option<String>>(4)?
                    .and_then(|json| serde_json::from_str(&json).ok())
                    .unwrap_or_default(),
            })
        })
        .optional()
}

/// What is set aside and spent in one row of `spend`.
pub fn spent(connection: &Connection, scope: &Scope, period: &str) -> rusqlite::Result<(Micros, Micros)> {
    used(connection, &scope.to_string(), period)
}

#[cfg(test)]
mod tests;
