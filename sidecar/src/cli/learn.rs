//! `thumbforge models --learn`: what models turned out to be good at, in a file that a team commits.

use std::path::{Path, PathBuf};

use thumbforge_core::routing::Counts;

use super::table::table;
use super::{Context, exit, pretty, print_out};
use crate::build::BuildError;
use crate::command::learn::{self, Learnt};
use crate::router::Span;

/// `thumbforge models --learn`.
pub(super) fn learn(context: &Context, manifest: Option<&Path>, journals: &[PathBuf]) -> Result<u8, BuildError> {
    let manifest = manifest.unwrap_or(Path::new("."));
    let folder = match manifest.parent() {
        _ if manifest.is_dir() => manifest,
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let own = [context.data_dir.join("journal.sqlite")];
    let journals = if journals.is_empty() { &own } else { journals };
    let learnt = learn::learn(folder, journals)?;
    if context.json {
        print_out(&pretty(&json(&learnt)));
        return Ok(exit::DONE);
    }
    print_out(&text(&learnt));
    if !context.quiet {
        eprintln!("{}: {} pictures counted; commit it", learnt.path.display(), learnt.pictures);
        if learnt.left > 0 {
            eprintln!("{} rows rest on more pictures than these journals have, and stay as they were", learnt.left);
        }
    }
    Ok(exit::DONE)
}

fn json(learnt: &Learnt) -> serde_json::Value {
    let rows: Vec<serde_json::Value> = learnt
        .learned
        .rows()
        .map(|(model, intent, counts)| {
            let Counts { passed, failed, accepted, rejected, latency_p50_ms } = counts;
            serde_json::json!({
                "model": model, "intent": intent.word(), "passed": passed, "failed": failed,
                "accepted": accepted, "rejected": rejected, "latency_p50_ms": latency_p50_ms,
            })
        })
        .collect();
    serde_json::json!({
        "path": learnt.path.display().to_string(), "pictures": learnt.pictures, "left": learnt.left, "rows": rows,
    })
}

fn text(learnt: &Learnt) -> String {
    let rows: Vec<[String; 7]> = learnt
        .learned
        .rows()
        .map(|(model, intent, counts)| {
            [
                model.to_string(),
                intent.word().to_owned(),
                counts.passed.to_string(),
                counts.failed.to_string(),
                counts.accepted.to_string(),
                counts.rejected.to_string(),
                counts.latency_p50_ms.map(|ms| Span(ms).to_string()).unwrap_or_default(),
            ]
        })
        .collect();
    table(["MODEL", "INTENT", "PASSED", "FAILED", "ACCEPTED", "REJECTED", "TIME"], &rows)
}
