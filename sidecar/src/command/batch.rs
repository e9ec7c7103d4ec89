//! `batch` and `plan`, whoever asks: from an order to a report, its gates and an exit code.
//!
//! ```text
//! Order ─► open (project, survey) ─┬─ needs_maker ─► make ───┐
//!                                  └─ otherwise ───► settle ─┴─► gates, files ─► Ended
//! ```
//! Whoever asks brings the maker, so a build without work opens no journal and needs no sidecar.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use thumbforge_core::day::Day;
use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::manifest::Overrides;
use thumbforge_core::money::Micros;
use thumbforge_core::plan::{Action, PlanItem};
use tokio_util::sync::CancellationToken;

use super::events::Events;
use super::{exit, invalid, junit, seed, sheet};
use crate::build::{
    self, Approved, BuildError, Item, ItemState, Progress, Project, Report, Run, Singles, Source, Survey,
};
use crate::clock::Clock;
use crate::maker::Maker;
use crate::market::Market;
use crate::output::png;
use crate::output::write::{Patience, write_atomic};
use crate::publish;

/// Most jobs on their way at once: enough to keep every worker busy and every commit full.
pub const JOBS_DEFAULT: usize = 256;
/// Most images that a message names; the report has them all.
const NAMED_MAX: usize = 5;

/// What is to be built, and what is to be said of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// Where the wishes come from.
    pub source: Source,
    /// What is said over the manifest.
    pub overrides: Overrides,
    /// Outputs that must not be written, as the report names them.
    pub except: BTreeSet<String>,
    /// Whether the seed that is ordered is written into the manifest for the assets that are ordered.
    pub keep_seed: bool,
    /// Whether anything is made.
    pub mode: Mode,
    /// Replace files that were changed by hand or are not ours.
    pub force: bool,
    /// Draw stale pictures anew.
    pub upgrade: bool,
    /// Most jobs on their way at once.
    pub jobs_max: usize,
    /// Most pictures of one call of a local model.
    pub images_per_call: u32,
    /// The most that this build may spend, besides what the manifest says.
    pub budget: Option<Micros>,
    /// Whether every picture must be one that somebody has accepted.
    pub require_approved: bool,
    /// Engines and tiers that no picture may be of.
    pub deny: Vec<String>,
    /// Where the JSON report goes.
    pub report: Option<PathBuf>,
    /// Where the same goes as JUnit XML.
    pub junit: Option<PathBuf>,
    /// Where is told what happens while it happens.
    pub events: Option<PathBuf>,
    /// Where a contact sheet of all pictures goes.
    pub sheet: Option<PathBuf>,
}

/// Whether anything is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Everything that is missing or changed.
    Make,
    /// Nothing: it is only said what would be.
    Plan,
    /// Nothing, and it is a gate whether anything would be.
    Check,
}

impl Mode {
    /// The mode of these two flags.
    pub fn of(dry_run: bool, check: bool) -> Self {
        match (dry_run, check) {
            (_, true) => Self::Check,
            (true, false) => Self::Plan,
            (false, false) => Self::Make,
        }
    }
}

/// An order whose project was read and planned.
pub struct Batch {
    order: Order,
    project: Project,
    survey: Survey,
    events: Option<Arc<Events>>,
    singles: Arc<Singles>,
    data_dir: PathBuf,
    /// What can be bought where.
    market: Arc<Market>,
    began: Instant,
}

/// A build that has come to its end.
pub struct Ended {
    /// As the lock is now.
    pub project: Project,
    /// What was planned.
    pub survey: Survey,
    /// What became of every image.
    pub report: Report,
    /// The exit code.
    pub exit: u8,
    /// One sentence that says why the exit code is not 0; empty when it is.
    pub message: String,
    /// What concerns the whole build: a report that could not be written, say.
    pub errors: Vec<Failure>,
    /// What the gates say of single images, in words, by their index in the report.
    pub refused: BTreeMap<usize, String>,
    /// What became of the contact sheet, in words.
    pub sheet: Option<String>,
}

impl Batch {
    /// Reads and plans. It reads files, so it is nothing for an async thread.
    ///
    /// # Errors
    /// Every mistake in the team's files, or why one cannot be read.
    pub fn open(order: Order, data_dir: &Path, market: Arc<Market>) -> Result<Self, BuildError> {
        let junit = order.junit.clone();
        // Where this build writes none, nobody may take the last one's for it.
        [&order.report, &order.junit].into_iter().flatten().for_each(|file| drop(std::fs::remove_file(file)));
        Self::read(order, data_dir, market).inspect_err(|error| {
            // The error is told either way; the page of a build server shows it too, if it can be written.
            let _ = junit.map(|path| write_text(&path, &junit::refusal(&error.failures())));
        })
    }

    fn read(order: Order, data_dir: &Path, market: Arc<Market>) -> Result<Self, BuildError> {
        let (began, now) = (Instant::now(), SystemTime::now());
        let events = order.events.as_deref().map(Events::create).transpose()?.map(Arc::new);
        let opened = Project::open(&order.source, &order.overrides, &market.catalogue, data_dir, now);
        let mut project = opened.inspect_err(|error| given_up(&events, error))?;
        if order.keep_seed && order.mode == Mode::Make {
            keep_seed(&order, &project).map_err(BuildError::from).inspect_err(|error| given_up(&events, error))?;
        }
        if order.mode == Mode::Make {
            let left = build::leave_profiles(&project).map_err(BuildError::from);
            left.inspect_err(|error| given_up(&events, error))?;
        }
        let cards = crate::engine::cards(data_dir, &market);
        let survey = build::survey(&mut project, &cards, order.force, order.upgrade, now);
        let is_drawn = |item: &&PlanItem| matches!(item.action, Action::Render(_));
        let drawn = survey.plan.items.iter().filter(is_drawn).map(|item| &project.expansion.wanted[item.wanted]);
        let checked = project.expansion.check_drawn(drawn).map_err(BuildError::from);
        checked.inspect_err(|error| given_up(&events, error))?;
        let singles = Arc::default();
        Ok(Self { order, project, survey, events, singles, data_dir: data_dir.to_owned(), market, began })
    }

    /// Whether pictures are to be made; without, [`Batch::settle`] ends it.
    pub fn needs_maker(&self) -> bool {
        let is_made = |action: &Action| matches!(action, Action::Render(_));
        self.order.mode == Mode::Make && self.survey.plan.items.iter().any(|item| is_made(&item.action))
    }

    /// Who asks for the pictures; clients have their turns one after another.
    pub fn client(&self) -> String {
        self.project.client()
    }

    /// The folder of the manifest.
    pub fn folder(&self) -> &Path {
        &self.project.folder
    }

    /// Where single images are taken back while it runs.
    pub fn singles(&self) -> Arc<Singles> {
        self.singles.clone()
    }

    /// The team's folder of shared renders.
    pub fn shared_cache(&self) -> Option<&Path> {
        self.project.shared_cache.as_deref()
    }

    /// Ends what has nothing to make: a plan is told, a lock brought up to date.
    ///
    /// # Errors
    /// Why the lock cannot be written.
    pub fn settle(mut self) -> Result<Ended, BuildError> {
        if let Some(events) = &self.events {
            events.begin(&[]);
        }
        let items = match self.order.mode {
            Mode::Make => {
                build::settle(&mut self.project, &self.survey).inspect_err(|error| given_up(&self.events, error))?
            }
            Mode::Plan | Mode::Check => {
                let mut items = build::planned_items(&self.project, &self.survey);
                let today = Day::of_ms(Clock::Machine.now_ms());
                build::mark_cached(&mut items, &self.project, &self.data_dir, &self.market, today);
                items
            }
        };
        Ok(self.end(items, false))
    }

    /// Makes what is to be made. Raising `interrupted` ends it early: what is made is kept.
    ///
    /// It also reads and writes files of its own, so it belongs on a thread that may block.
    ///
    /// # Errors
    /// Why the lock cannot be written; an image that fails is an item of the report.
    pub async fn make(
        mut self,
        maker: &Maker,
        progress: Arc<dyn Progress>,
        interrupted: CancellationToken,
    ) -> Result<Ended, BuildError> {
        let progress: Arc<dyn Progress> = match &self.events {
            Some(events) => Arc::new(Told { events: events.clone(), others: progress }),
            None => progress,
        };
        let now = SystemTime::now();
        let batch = self.project.batch_id(now);
        let asked = Run {
            maker,
            jobs_max: self.order.jobs_max,
            images_per_call: self.order.images_per_call,
            batch: batch.clone(),
            budget: self.order.budget,
            progress,
            except: &self.order.except,
            singles: self.singles.clone(),
            interrupted: interrupted.clone(),
        };
        let ran = build::run(&mut self.project, &self.survey, asked).await;
        let mut items = ran.inspect_err(|error| given_up(&self.events, error))?;
        build::add_costs(&mut items, &batch, now, &self.data_dir);
        Ok(self.end(items, interrupted.is_cancelled()))
    }

    fn end(mut self, items: Vec<Item>, interrupted: bool) -> Ended {
        self.project.save_stat_cache();
        let Self { order, project, survey, events, began, .. } = self;
        let elapsed_ms = began.elapsed().as_millis() as u64;
        let report = Report::of(&project.root, items, survey.plan.orphans.len(), elapsed_ms);
        let warnings = project.expansion.warnings.iter().cloned().chain(report.lossy()).collect();
        let report = Report { warnings, ..report };
        let mut ended = Ended {
            refused: refused(&report, &order, &project, &survey),
            project,
            survey,
            report,
            exit: exit::DONE,
            message: String::new(),
            errors: Vec::new(),
            sheet: None,
        };
        ended.write(&order);
        (ended.exit, ended.message) = ended.judge(order.mode, interrupted);
        if let Some(events) = &events {
            events.finished(ended.exit);
        }
        ended
    }
}

/// The seed comes first: with it in the manifest, a build that is cut off is gone on with by the next one.
fn keep_seed(order: &Order, project: &Project) -> Result<(), Failure> {
    let Overrides { assets: Some(assets), seed: Some(seed), .. } = &order.overrides else {
        return Err(invalid("failed to keep the seed: name the seed, and the assets that it is for"));
    };
    if project.drafts {
        return Err(invalid("failed to keep the seed: drafts decide nothing; accept one, or build without --out"));
    }
    seed::keep(project, assets, *seed).map(drop)
}

/// Ends the events of a build that has no report.
fn given_up(events: &Option<Arc<Events>>, error: &BuildError) {
    if let Some(events) = events {
        events.finished(exit::of_error(error));
    }
}

/// A build whose events are written to a file before anybody else hears of them.
struct Told {
    events: Arc<Events>,
    others: Arc<dyn Progress>,
}

impl Progress for Told {
    fn begin(&self, items: &[&Item]) {
        self.events.begin(items);
        self.others.begin(items);
    }

    fn listens(&self) -> bool {
        true
    }

    fn heard(&self, item: &Item, progress: publish::Progress) {
        self.events.state(&item.path, progress.state.word(), progress.step, progress.steps);
    }

    fn ended(&self, item: &Item) {
        self.events.ended(item);
        self.others.ended(item);
    }

    fn finished(&self) {
        self.others.finished();
    }
}

impl Ended {
    /// Writes what was asked for. What cannot be written is an error of the build, and the others are written all the same.
    fn write(&mut self, order: &Order) {
        if let Some(path) = order.sheet.as_deref().filter(|_| order.mode == Mode::Make) {
            match sheet::write(path, &self.project, &self.report) {
                Ok(said) => self.sheet = Some(said),
                Err(failure) => self.errors.push(failure),
            }
        }
        let report = order.report.as_deref().map(|path| write_text(path, &pretty(&self.report)));
        let junit = order.junit.as_deref().map(|path| {
            let skipped = &self.project.expansion.skipped;
            let orphans = &self.survey.plan.orphans;
            write_text(path, &junit::xml(&self.report, order.mode, &self.refused, skipped, orphans))
        });
        self.errors.extend([report, junit].into_iter().flatten().filter_map(Result::err));
    }

    /// The exit code and its sentence: what was interrupted or failed says more than a gate does.
    fn judge(&self, mode: Mode, interrupted: bool) -> (u8, String) {
        let report = &self.report;
        if interrupted {
            let made = report.rendered + report.cached;
            let message = format!(
                "the build was interrupted: {made} images were made and {} were not; the same again makes the rest",
                report.cancelled
            );
            return (exit::INTERRUPTED, message);
        }
        // What somebody took back singly is missing as well, and a build that lacks a picture is not done.
        let failed = report.failed + report.ambiguous + report.cancelled;
        if failed > 0 {
            // A build server tells a spent budget, which more money mends, from pictures that cannot be made.
            let errors = || report.items.iter().filter_map(|item| item.error.as_ref());
            let is_budget = |failure: &Failure| failure.code == ErrorCode::OverBudget;
            let exit = if errors().count() == failed && errors().all(is_budget) { exit::BUDGET } else { exit::FAILED };
            return (exit, self.failed_in_words(failed));
        }
        if let Some(failure) = self.errors.first() {
            return (exit::of(failure.code), failure.message.clone());
        }
        if !self.refused.is_empty() {
            let named: Vec<&str> = self.refused.values().take(NAMED_MAX).map(String::as_str).collect();
            let more = self.refused.len() - named.len();
            let others = if more > 0 { format!("; and {more} more") } else { String::new() };
            return (exit::GATE, format!("{}{others}", named.join("; ")));
        }
        if mode == Mode::Check && self.survey.plan.would_change() {
            return (exit::GATE, self.out_of_date_in_words());
        }
        (exit::DONE, String::new())
    }

    fn out_of_date_in_words(&self) -> String {
        let is_wanted = |item: &&Item| matches!(item.state, ItemState::Planned | ItemState::Cached);
        let wanted = self.report.items.iter().filter(is_wanted).map(|item| item.path.as_str());
        let orphans = self.survey.plan.orphans.iter().map(String::as_str);
        let named: Vec<&str> = wanted.chain(orphans).collect();
        let more = named.len().saturating_sub(NAMED_MAX);
        let others = if more > 0 { format!(" and {more} more") } else { String::new() };
        let first = named[..named.len() - more].join(", ");
        format!("not everything is up to date: {first}{others}; `thumbforge batch` makes it so")
    }

    fn failed_in_words(&self, failed: usize) -> String {
        let is_missing = |item: &&Item| item.error.is_some() || item.state == ItemState::Cancelled;
        let failed_items = self.report.items.iter().filter(is_missing);
        let named: Vec<String> = failed_items
            .take(NAMED_MAX)
            .map(|item| {
                let why = item.error.as_ref().map_or("it was taken back", |failure| &failure.message);
                format!("{}: {why}", item.path)
            })
            .collect();
        let more = failed.saturating_sub(named.len());
        let others = if more > 0 { format!("; and {more} more") } else { String::new() };
        format!("{failed} of {} images were not made: {}{others}", self.report.planned, named.join("; "))
    }
}

/// What the gates say of single images, by their index in the report.
fn refused(report: &Report, order: &Order, project: &Project, survey: &Survey) -> BTreeMap<usize, String> {
    let mut refused = BTreeMap::new();
    let is_checked = order.mode == Mode::Check;
    let adopted: BTreeSet<usize> = survey.plan.items.iter().filter(|_| is_checked).filter_map(adopted).collect();
    for (at, item) in report.items.iter().enumerate() {
        let denied = (!order.deny.is_empty()).then(|| denied(item, &order.deny, project)).flatten();
        let unapproved = order.require_approved.then(|| unapproved(item)).flatten();
        // The picture is right, and whoever has the lock alone could not know it.
        let unknown = adopted.contains(&at).then(|| {
            format!("not up to date: {}: thumbforge.lock does not know the file; build, and commit the lock", item.path)
        });
        let words: Vec<String> = [denied, unapproved, unknown].into_iter().flatten().collect();
        if !words.is_empty() {
            refused.insert(at, words.join("; "));
        }
    }
    refused
}

fn adopted(item: &PlanItem) -> Option<usize> {
    (item.action == Action::Adopt).then_some(item.wanted)
}

/// Whether the picture that lies there is by an engine or of a tier that none may be of.
fn denied(item: &Item, deny: &[String], project: &Project) -> Option<String> {
    // What is unchanged says in the lock what drew it.
    let engine = item.engine.clone().or_else(|| project.lock.get(&item.path).map(|line| line.drawn_by.engine.clone()));
    // What was not made just now may be an accepted draft in the place of a final; it says so itself.
    let is_as_wanted = matches!(item.state, ItemState::Done | ItemState::Unchanged | ItemState::Stale);
    let lying = item.file.as_deref().filter(|_| !is_as_wanted);
    let said = lying.and_then(|file| png::read_provenance_of(Path::new(file)).ok().flatten());
    let tier = said.map_or_else(|| item.tier.clone(), |said| said.tier.word().to_owned());
    let is_denied = deny.iter().any(|word| Some(word.as_str()) == engine.as_deref() || *word == tier);
    is_denied.then(|| format!("denied: {}: {} {tier}", item.path, engine.unwrap_or_default()))
}

/// Why a picture does not count as approved, if it does not.
fn unapproved(item: &Item) -> Option<String> {
    let why = match (&item.approval, item.state) {
        (_, ItemState::Planned | ItemState::Cached) => {
            "it is to be made, and what it will show was not judged".to_owned()
        }
        (None, _) => "nobody has decided on it".to_owned(),
        (Some(Approved { state: "accepted", .. }), _) => return None,
        (Some(Approved { state: "rejected", person, role, note, .. }), _) => {
            let note = if note.is_empty() { String::new() } else { format!(": {note}") };
            format!("{person} ({role}) rejected it{note}")
        }
        (Some(Approved { person, role, date, .. }), _) => {
            format!("its pixels are not those that {person} ({role}) judged on {date}")
        }
    };
    Some(format!("not approved: {}: {why}", item.path))
}

fn pretty(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// Writes a text of ours, whole or not at all.
///
/// # Errors
/// What stands in the way.
pub fn write_text(path: &Path, text: &str) -> Result<(), Failure> {
    write_atomic(path, text.as_bytes(), &Patience::usual())
        .map_err(|err| Failure::new(err.code(), format!("failed to {}", thumbforge_core::error::chain(&err))))
}
