//! What can be asked of Thumbforge beside a single picture: the verbs that the command line and the editor share.
//!
//! ```text
//! thumbforge batch …  ─► cli ─────────┐
//!                                     ├─► Order ─► Batch ─► Ended (report, gates, exit code)
//! {"verb":"batch", …} ─► command::run ┘
//! ```
//! There is one planner, one writer of locks, one report and one set of exit codes. The command line adds words and bars
//! for people; [`run`] adds JSON in and out, for clients that asked the sidecar over their session. Neither side knows
//! the other, and nothing in here speaks to a terminal: a sidecar has none.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use thumbforge_core::day::Day;
use thumbforge_core::error::{ErrorCode, Failure, chain};
use thumbforge_core::id::JobId;
use thumbforge_core::image::ImageBuf;
use thumbforge_core::limits;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::OcrFile;
use crate::journal::JobRow;
use crate::maker::Maker;
use crate::market::Market;

pub mod approve;
mod asked;
pub mod batch;
mod cancel;
pub mod doctor;
pub mod events;
pub mod exit;
mod junit;
pub mod learn;
mod preview;
mod seed;
mod sheet;

/// Longest answer in bytes: it travels in one message, in which the rest needs room. What can be longer goes to files.
pub const ANSWER_BYTES_MAX: usize = 128 << 10;

const _: () = assert!(ANSWER_BYTES_MAX * 5 / 4 < thumbforge_core::limits::MESSAGE_BYTES_MAX);

/// What commands work with; clones share it.
#[derive(Clone)]
pub struct Services {
    /// Who makes pictures.
    pub maker: Maker,
    /// Where journal, store and caches lie.
    pub data_dir: PathBuf,
}

impl Services {
    /// What can be bought where, as the maker of this process knows it.
    fn market(&self) -> Arc<Market> {
        match &self.maker {
            Maker::Here(intake) => intake.market(),
            // Only a sidecar's own commands come here; another maker has a sidecar, which has a market of its own.
            Maker::There(_) | Maker::Shared(_) => Arc::new(Market::built_in()),
        }
    }
}

/// Who watches a command.
pub trait Watch: Send + Sync {
    /// `done` of `all` images have ended.
    fn step(&self, done: u32, all: u32);
}

/// What a command came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Answered {
    /// A value, as JSON.
    Value(Value),
    /// A picture, and what is to be said of it.
    Picture(ImageBuf, Value),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PreviewOrder {
    file: PathBuf,
    #[serde(default)]
    side_max: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CancelOrder {
    manifest: PathBuf,
    asset: String,
    #[serde(default)]
    locale: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DecideOrder {
    jobs: Vec<JobId>,
    #[serde(rename = "as")]
    decision: Decision,
}

/// What a person says of a job of which nobody knows what became of its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// Buy it again; it may be billed twice.
    Resend,
    /// Let it be; it is counted as billed.
    GiveUp,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShowOrder {
    file: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DoctorOrder {}

/// Carries out a command that answers with a value, by this process or by the sidecar that it talks to.
///
/// # Errors
/// As [`run`].
pub async fn obey(order: &Value, services: Services) -> Result<Value, Failure> {
    struct Unwatched;
    impl Watch for Unwatched {
        fn step(&self, _done: u32, _all: u32) {}
    }
    if let Maker::There(there) = &services.maker {
        return there.command(order).await;
    }
    let answered = run(order.to_string().as_bytes(), &services, Arc::new(Unwatched), CancellationToken::new()).await?;
    match answered {
        Answered::Value(value) => Ok(value),
        Answered::Picture(_, said) => Ok(said),
    }
}

/// Carries out one command: a JSON object whose `verb` says which.
///
/// It may be asked again, after a crash or by accident: a batch makes only what is missing, and the others change
/// nothing. Raising `interrupted`, or dropping the future, ends a batch as Ctrl-C does: what is made is kept, the report
/// is written, and the answer is [`ErrorCode::Cancelled`].
///
/// # Errors
/// When it is no command, when it was taken back, or when it has no answer. A batch that fails is an answer.
pub async fn run(
    json: &[u8],
    services: &Services,
    watch: Arc<dyn Watch>,
    interrupted: CancellationToken,
) -> Result<Answered, Failure> {
    let (verb, fields) = verb(json)?;
    match verb.as_str() {
        "batch" => asked::batch(order(&verb, fields)?, services, watch, interrupted).await.and_then(bounded),
        "approve" => {
            let (asked, data_dir) = (order::<asked::ApproveOrder>(&verb, fields)?.order()?, services.data_dir.clone());
            in_thread(move || Ok(approve::answer(approve::approve(&asked, &data_dir)))).await.and_then(bounded)
        }
        "cancel" => {
            let CancelOrder { manifest, asset, locale } = order(&verb, fields)?;
            absolute("manifest", &manifest)?;
            let taken_back = in_thread(move || cancel::take_back(&manifest, &asset, &locale)).await?;
            bounded(json!({ "exit": exit::DONE, "message": "", "taken_back": taken_back }))
        }
        "decide" => {
            let DecideOrder { jobs, decision } = order(&verb, fields)?;
            bounded(
                json!({ "exit": exit::DONE, "message": "", "jobs": decide(&services.maker, &jobs, decision).await? }),
            )
        }
        "preview" => {
            let PreviewOrder { file, side_max } = order(&verb, fields)?;
            absolute("file", &file)?;
            let (picture, said) = in_thread(move || preview::preview(&file, side_max)).await?;
            Ok(Answered::Picture(picture, said))
        }
        "show" => {
            let ShowOrder { file } = order(&verb, fields)?;
            absolute("file", &file)?;
            in_thread(move || show(&file)).await.and_then(bounded)
        }
        "doctor" => {
            let DoctorOrder {} = order(&verb, fields)?;
            let data_dir = services.data_dir.clone();
            // Only a sidecar's own commands come here; another maker has a sidecar, which has a market of its own.
            let (market, ocr) = match &services.maker {
                Maker::Here(intake) => (Ok(intake.market()), intake.ocr()),
                _ => (Err("ask the sidecar that buys them"), OcrFile::default()),
            };
            let today = Day::of_ms(Clock::Machine.now_ms());
            in_thread(move || {
                let market = market.as_deref().map_err(|problem| *problem);
                Ok(json!(doctor::look(&data_dir, market, &ocr, today)))
            })
            .await
            .and_then(bounded)
        }
        other => {
            let other: String = other.chars().take(60).collect();
            Err(invalid(format!(
                "failed to obey {other:?}: the verbs are batch, cancel, approve, decide, preview, show and doctor"
            )))
        }
    }
}

/// Says what becomes of jobs of which nobody knows what became of their calls.
async fn decide(maker: &Maker, jobs: &[JobId], decision: Decision) -> Result<Vec<JobRow>, Failure> {
    let Maker::Here(intake) = maker else {
        return Err(Failure::new(ErrorCode::Internal, "failed to decide: this process has no jobs"));
    };
    if jobs.len() > limits::LISTING_MAX {
        return Err(invalid(format!(
            "failed to decide about {} jobs: name at most {}",
            jobs.len(),
            limits::LISTING_MAX
        )));
    }
    let mut rows = Vec::with_capacity(jobs.len());
    for job in jobs {
        rows.push(match decision {
            Decision::Resend => intake.resend(*job).await?,
            Decision::GiveUp => intake.give_up(*job).await?,
        });
    }
    Ok(rows)
}

fn verb(json: &[u8]) -> Result<(String, Value), Failure> {
    let mut fields: Value =
        serde_json::from_slice(json).map_err(|err| invalid(format!("failed to read a command: {err}")))?;
    match fields.as_object_mut().and_then(|fields| fields.remove("verb")) {
        Some(Value::String(verb)) => Ok((verb, fields)),
        _ => Err(invalid("failed to read a command: it must be a JSON object with a \"verb\"")),
    }
}

fn order<T: DeserializeOwned>(verb: &str, fields: Value) -> Result<T, Failure> {
    serde_json::from_value(fields).map_err(|err| invalid(format!("failed to read the command {verb:?}: {err}")))
}

/// The sidecar's own folder is nobody's, so a relative path would mean nothing.
fn absolute(field: &str, path: &Path) -> Result<(), Failure> {
    if path.is_absolute() {
        return Ok(());
    }
    Err(invalid(format!("failed to use {field} {:?}: write the whole path, from the root on", path.display())))
}

fn show(file: &Path) -> Result<Value, Failure> {
    let shown = crate::output::show::describe(file, None);
    shown.map(|shown| json!(shown)).map_err(|err| Failure::new(err.code(), format!("failed to {}", chain(&err))))
}

fn bounded(answer: Value) -> Result<Answered, Failure> {
    let bytes = answer.to_string().len();
    if bytes > ANSWER_BYTES_MAX {
        let message = format!(
            "failed to answer: the answer has {bytes} bytes, at most {ANSWER_BYTES_MAX} are sent; ask with the command line"
        );
        return Err(Failure::new(ErrorCode::TooLarge, message));
    }
    Ok(Answered::Value(answer))
}

fn invalid(message: impl Into<String>) -> Failure {
    Failure::new(ErrorCode::InvalidRequest, message)
}

/// Runs what reads and writes files away from the tasks that answer. A panic ends the command and nothing else.
async fn in_thread<T: Send + 'static>(
    body: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let ran = tokio::task::spawn_blocking(body).await;
    ran.unwrap_or_else(|err| Err(Failure::new(ErrorCode::Internal, format!("failed to finish a command: {err}"))))
}

#[cfg(test)]
mod tests;
