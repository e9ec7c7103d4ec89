//! `thumbforge jobs`: what the journal knows. Listing only reads, so it works beside a running sidecar; decisions about
//! jobs of which nobody knows what became are made by the sidecar, or by this process where none runs.

use clap::Args;
use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::id::JobId;
use thumbforge_core::job::JobState;
use thumbforge_core::repair::said;

use super::{Context, exit, maker, pretty, print_out, runtime};
use crate::build::BuildError;
use crate::command::{self, Decision, Services};
use crate::journal::{self, JobRow, ops};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  thumbforge jobs                    the newest jobs
  thumbforge jobs --state failed     what went wrong
  thumbforge jobs 42                 one, with every picture that was refused and what was done about it
  thumbforge jobs 42 --json          everything about one
  thumbforge jobs --state ambiguous  calls of which nobody knows whether they were made and billed
  thumbforge jobs --resend 42        have such a picture made again, though it may be billed twice")]
pub(super) struct JobsArgs {
    /// Show one job
    id: Option<u64>,
    /// Only jobs of one state: queued, running, done, failed, cancelled …
    #[arg(long)]
    state: Option<String>,
    /// How many
    #[arg(long, value_name = "N", default_value_t = 50)]
    count: usize,
    /// Buy the pictures of these ambiguous jobs again; they may be billed twice
    #[arg(long, value_name = "ID,…", value_delimiter = ',', conflicts_with_all = ["id", "state"])]
    resend: Vec<u64>,
    /// Give these ambiguous jobs up; they are counted as billed
    #[arg(long, value_name = "ID,…", value_delimiter = ',', conflicts_with_all = ["id", "state", "resend"])]
    give_up: Vec<u64>,
}

/// `thumbforge jobs`.
pub(super) fn jobs(context: &Context, args: &JobsArgs) -> Result<u8, BuildError> {
    for (ids, decision) in [(&args.resend, Decision::Resend), (&args.give_up, Decision::GiveUp)] {
        if !ids.is_empty() {
            return decide(context, ids, decision);
        }
    }
    let state = match &args.state {
        Some(word) => Some(JobState::from_word(word).ok_or_else(|| {
            let words: Vec<&str> = JobState::ALL.into_iter().map(JobState::word).collect();
            let message = format!("failed to list jobs in state {word:?}: write one of {}", words.join(", "));
            Failure::new(ErrorCode::InvalidRequest, message)
        })?),
        None => None,
    };
    let Some(reader) = journal::peek(&context.data_dir.join("journal.sqlite")).map_err(|err| err.failure())? else {
        if context.json {
            print_out("[]");
        } else {
            eprintln!("no jobs: {} has no journal yet", context.data_dir.display());
        }
        return Ok(exit::DONE);
    };
    let rows = match args.id {
        Some(id) => {
            let row = reader.read(|connection| ops::job(connection, JobId(id))).map_err(|err| err.failure())?;
            vec![row.ok_or_else(|| Failure::new(ErrorCode::NotFound, format!("failed to find job {id}")))?]
        }
        None => reader.read(|connection| ops::jobs(connection, state, args.count)).map_err(|err| err.failure())?,
    };
    if context.json {
        print_out(&pretty(&rows));
        return Ok(exit::DONE);
    }
    let mut table = String::new();
    for row in &rows {
        let what = match (row.asset.asset.as_str(), row.asset.locale.as_str()) {
            ("", _) => row.planned_key.to_string()[..12].to_owned(),
            (asset, "") => asset.to_owned(),
            (asset, locale) => format!("{asset} {locale}"),
        };
        let why =
            row.error.as_ref().map(|failure| format!("  {}: {}", failure.code, failure.message)).unwrap_or_default();
        table.push_str(&format!("{:>8}  {:<10}  {:<11}  {what}{why}\n", row.id.0, row.state.word(), row.lane.word()));
        table.push_str(&story(row));
    }
    print_out(&table);
    Ok(exit::DONE)
}

/// How a repaired job came to what it is: a line for every picture, what led to it and what was found.
fn story(row: &JobRow) -> String {
    let Some(first) = row.repairs.first() else { return String::new() };
    let first = format!("drawn by {}", first.model);
    let led = std::iter::once(first).chain(row.repairs.iter().map(|mended| mended.step.said()));
    let last = match row.state {
        JobState::Done => "passed".to_owned(),
        JobState::Failed => "refused, and nothing was left to try".to_owned(),
        state => state.word().to_owned(),
    };
    let found = row.repairs.iter().map(|mended| said(&mended.verdict.findings)).chain([last]);
    let lines = led.zip(found).zip(1..).map(|((led, found), number)| format!("{number:>12} {led}: {found}\n"));
    lines.collect()
}

fn decide(context: &Context, ids: &[u64], decision: Decision) -> Result<u8, BuildError> {
    let order = serde_json::json!({ "verb": "decide", "jobs": ids, "as": decision });
    let decided = runtime()?.block_on(async {
        let (maker, app) = maker(context, "jobs", None, false).await?;
        let data_dir = context.data_dir.clone();
        let decided = command::obey(&order, Services { maker, data_dir }).await;
        if let Some(app) = app {
            // The decision is durable then; what was sent again is bought by the next process that runs on this journal.
            app.drain().await;
        }
        decided
    })?;
    if context.json {
        print_out(&pretty(&decided));
    } else {
        let word = if decision == Decision::Resend { "asked for again" } else { "given up" };
        eprintln!("{} {word}; the same build again takes the pictures", ids.len());
    }
    Ok(exit::DONE)
}

#[cfg(test)]
mod tests {
    use thumbforge_core::id::PlannedKey;
    use thumbforge_core::job::Lane;
    use thumbforge_core::model::ModelId;
    use thumbforge_core::money::Micros;
    use thumbforge_core::repair::{Mended, Step};
    use thumbforge_core::verdict::{Finding, FindingCode, Severity, Verdict};

    use super::*;
    use crate::journal::ops::AssetView;

    #[test]
    fn a_repaired_job_tells_its_story() {
        let finding = Finding {
            code: FindingCode::TextMismatch,
            severity: Severity::Error,
            message: "expected 'SALE' not found".to_owned(),
            place: None,
            expected: Some("SALE".to_owned()),
            read: Some("SALF".to_owned()),
            score: Some(0.75),
        };
        let mended = |step| Mended {
            attempt: 1,
            model: ModelId::builtin(),
            verdict: Verdict::of(vec![finding.clone()]),
            cost: Micros::ZERO,
            latency_ms: 0,
            step,
        };
        let row = |state| JobRow {
            id: JobId(42),
            asset: AssetView { asset: "sword".to_owned(), locale: "en".to_owned() },
            client: String::new(),
            state,
            lane: Lane::Batch,
            attempts: 3,
            planned_key: PlannedKey([0; 32]),
            realised_key: None,
            error: None,
            repairs: vec![mended(Step::Reseed { seed: 5 }), mended(Step::Composite)],
            created_ms: 0,
            updated_ms: 0,
        };
        let told = story(&row(JobState::Done));
        let lines: Vec<&str> = told.lines().map(str::trim).collect();
        assert_eq!(
            lines,
            [
                "1 drawn by builtin: expected 'SALE' not found (read 'SALF')",
                "2 reseeded: expected 'SALE' not found (read 'SALF')",
                "3 words set in true type: passed",
            ]
        );
        assert!(story(&row(JobState::Failed)).ends_with("refused, and nothing was left to try\n"));
        assert_eq!(story(&JobRow { repairs: Vec::new(), ..row(JobState::Done) }), "");
    }
}
