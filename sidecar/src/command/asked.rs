//! `batch` and `approve` as a client asks for them: JSON in, the exit code and what came of it out.
//!
//! ```text
//! {"verb":"batch","manifest":DIR, "locales":[…],"assets":[…],"only":[OUTPUT…],"except":[OUTPUT…],
//!  "tier","model","seed","size","steps","guidance","negative","placeholder", "out":DIR,"keep_seed",
//!  "dry_run","check","force","upgrade",
//!  "require":["approved"],"deny":[…],"budget":USD, "report":FILE,"junit":FILE,"events":FILE,"sheet":FILE}
//!     ─► {"exit","message","errors":[{"code","message"}],"report":{…without items} or null}
//! {"verb":"approve","manifest":DIR,"asset","locale","decision":"accepted" or "rejected","person",
//!  "role","note","from":DIR,"force"}
//!     ─► {"exit","message","path","pixels","seed"}
//! ```
//! A build that was taken back has no answer: it ends with [`ErrorCode::Cancelled`], and its report is written.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde::Deserialize;
use serde_json::{Value, json};
use thumbforge_core::approvals::Decision;
use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::id::PixelHash;
use thumbforge_core::manifest::Overrides;
use thumbforge_core::money::{Micros, dollars};
use thumbforge_core::recipe::{Settings, Tier};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::batch::{Batch, Ended, JOBS_DEFAULT, Mode, Order};
use super::{Services, Watch, absolute, approve, cancel, exit, in_thread, invalid};
use crate::build::{BuildError, Item, Progress, Source};

/// Most errors of one answer; the report has them all.
const ERRORS_MAX: usize = 20;
/// Longest error in bytes, for an answer of bounded length.
const ERROR_BYTES_MAX: usize = 2000;

/// The fields of the command; all but the manifest may be left out.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BatchOrder {
    manifest: PathBuf,
    locales: Option<Vec<String>>,
    assets: Option<Vec<String>>,
    only: Option<Vec<String>>,
    tier: Option<Tier>,
    model: Option<String>,
    seed: Option<u64>,
    size: Option<String>,
    steps: Option<u32>,
    guidance: Option<f64>,
    negative: Option<String>,
    placeholder: Option<bool>,
    #[serde(default)]
    dry_run: bool,
    #[serde(default)]
    check: bool,
    #[serde(default)]
    force: bool,
    #[serde(default)]
    upgrade: bool,
    #[serde(default)]
    except: Vec<String>,
    out: Option<PathBuf>,
    #[serde(default)]
    keep_seed: bool,
    #[serde(default)]
    require: Vec<Requirement>,
    #[serde(default)]
    deny: Vec<String>,
    #[serde(default, with = "dollars::maybe")]
    budget: Option<Micros>,
    report: Option<PathBuf>,
    junit: Option<PathBuf>,
    events: Option<PathBuf>,
    sheet: Option<PathBuf>,
}

/// What every picture must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Requirement {
    Approved,
}

/// The fields of `approve`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ApproveOrder {
    manifest: PathBuf,
    asset: String,
    #[serde(default)]
    locale: String,
    decision: Word,
    person: String,
    #[serde(default = "reviewer")]
    role: String,
    #[serde(default)]
    note: String,
    from: Option<PathBuf>,
    pixels: Option<PixelHash>,
    #[serde(default)]
    force: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    Accepted,
    Rejected,
}

fn reviewer() -> String {
    approve::ROLE_DEFAULT.to_owned()
}

impl ApproveOrder {
    pub(super) fn order(self) -> Result<approve::Order, Failure> {
        absolute("manifest", &self.manifest)?;
        self.from.as_deref().map_or(Ok(()), |from| absolute("from", from))?;
        Ok(approve::Order {
            manifest: self.manifest,
            asset: self.asset,
            locale: self.locale,
            decision: match self.decision {
                Word::Accepted => Decision::Accepted,
                Word::Rejected => Decision::Rejected,
            },
            person: self.person,
            role: self.role,
            note: self.note,
            from: self.from,
            pixels: self.pixels,
            force: self.force,
        })
    }
}

impl BatchOrder {
    fn order(self) -> Result<Order, Failure> {
        let files = [
            ("out", &self.out),
            ("report", &self.report),
            ("junit", &self.junit),
            ("events", &self.events),
            ("sheet", &self.sheet),
        ];
        absolute("manifest", &self.manifest)?;
        for (field, file) in files {
            file.as_deref().map_or(Ok(()), |file| absolute(field, file))?;
        }
        let size = match self.size {
            Some(text) => Some(text.parse().map_err(|err| invalid(format!("failed to {err}")))?),
            None => None,
        };
        Ok(Order {
            source: match self.out {
                Some(out) => Source::Drafts { manifest: self.manifest, out },
                None => Source::Manifest(self.manifest),
            },
            overrides: Overrides {
                locales: some(self.locales),
                assets: some(self.assets),
                outputs: some(self.only),
                tier: self.tier,
                model: self.model,
                seed: self.seed,
                size,
                settings: Settings { steps: self.steps, guidance: self.guidance, ..Settings::default() },
                negative: self.negative,
                placeholder: self.placeholder,
            },
            except: self.except.into_iter().collect(),
            keep_seed: self.keep_seed,
            mode: Mode::of(self.dry_run, self.check),
            force: self.force,
            upgrade: self.upgrade,
            jobs_max: JOBS_DEFAULT,
            images_per_call: 1,
            budget: self.budget,
            require_approved: self.require.contains(&Requirement::Approved),
            deny: self.deny,
            report: self.report,
            junit: self.junit,
            events: self.events,
            sheet: self.sheet,
        })
    }
}

/// An empty list says nothing, as a client that fills in a form sends it.
fn some(list: Option<Vec<String>>) -> Option<Vec<String>> {
    list.filter(|list| !list.is_empty())
}

pub(super) async fn batch(
    asked: BatchOrder,
    services: &Services,
    watch: Arc<dyn Watch>,
    interrupted: CancellationToken,
) -> Result<Value, Failure> {
    let (order, services) = (asked.order()?, services.clone());
    // Whoever drops this future waits no longer, and wants nothing more.
    let interrupted = interrupted.child_token();
    let _dropped = interrupted.clone().drop_guard();
    let runtime = Handle::current();
    // A build reads and writes files all along, so it has a thread of its own, and waits for its jobs there.
    let built = in_thread(move || Ok(runtime.block_on(build(order, &services, watch, interrupted)))).await?;
    match built {
        Ok(ended) if ended.exit == exit::INTERRUPTED => Err(Failure::new(ErrorCode::Cancelled, ended.message)),
        Ok(ended) => Ok(answer(&ended)),
        Err(error) => Ok(refusal(&error)),
    }
}

async fn build(
    order: Order,
    services: &Services,
    watch: Arc<dyn Watch>,
    interrupted: CancellationToken,
) -> Result<Ended, BuildError> {
    let batch = Batch::open(order, &services.data_dir, services.market())?;
    if !batch.needs_maker() {
        return batch.settle();
    }
    let maker = services.maker.clone().with_cache(batch.shared_cache());
    let _listed = cancel::list(batch.folder(), batch.singles());
    let progress = Arc::new(Steps { watch, done: AtomicU32::new(0), all: AtomicU32::new(0) });
    batch.make(&maker, progress, interrupted).await
}

fn answer(ended: &Ended) -> Value {
    let mut report = json!(ended.report);
    if let Some(report) = report.as_object_mut() {
        report.remove("items");
    }
    json!({ "exit": ended.exit, "message": short(&ended.message), "errors": few(&ended.errors), "report": report })
}

/// Why nothing could be built, mistakes in the team's files above all.
fn refusal(error: &BuildError) -> Value {
    let failures = error.failures();
    let message = failures.first().map_or_else(String::new, |failure| failure.message.clone());
    let code = exit::of_error(error);
    json!({ "exit": code, "message": short(&message), "errors": few(&failures), "report": null })
}

fn few(failures: &[Failure]) -> Vec<Value> {
    let few = failures.iter().take(ERRORS_MAX);
    few.map(|failure| json!({ "code": failure.code, "message": short(&failure.message) })).collect()
}

pub(super) fn short(text: &str) -> String {
    let mut end = text.len().min(ERROR_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let more = if end < text.len() { "…" } else { "" };
    format!("{}{more}", &text[..end])
}

/// A build's progress as steps.
struct Steps {
    watch: Arc<dyn Watch>,
    done: AtomicU32,
    all: AtomicU32,
}

impl Progress for Steps {
    fn begin(&self, items: &[&Item]) {
        let all = u32::try_from(items.len()).unwrap_or(u32::MAX);
        self.all.store(all, Ordering::Relaxed);
        self.watch.step(0, all);
    }

    fn ended(&self, _item: &Item) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        self.watch.step(done, self.all.load(Ordering::Relaxed));
    }

    fn finished(&self) {}
}
