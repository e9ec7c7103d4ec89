//! `thumbforge batch` and `thumbforge plan`.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::image::Extent;
use thumbforge_core::manifest::Overrides;
use thumbforge_core::money::Micros;
use thumbforge_core::recipe::{Settings, Tier};

use super::progress::{Bars, Lines, Silent};
use super::{Context, interruption, maker, pretty, print_out, runtime};
use crate::build::{BuildError, Item, ItemState, Progress, Project, Report, Source};
use crate::command::batch::{Batch, Ended, JOBS_DEFAULT, Mode, Order};
use crate::command::exit;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  thumbforge batch                                        the manifest in this folder
  thumbforge batch Game/ --locale ja,ko --sheet out.png   two locales, and a contact sheet to look at
  thumbforge batch --tier preview --out Drafts/           drafts to judge; `approve --from Drafts/` takes one
  thumbforge batch --prompt-file prompts.txt --out Art/   one picture for each line
  thumbforge batch --check --junit up-to-date.xml         in CI: exit 7 if anything is not up to date")]
pub(super) struct BatchArgs {
    /// Folder of the manifest, or the manifest itself [default: this folder]
    #[arg(value_name = "MANIFEST-DIR", conflicts_with = "prompt_file")]
    manifest: Option<PathBuf>,
    /// Read prompts from a file, one a line, instead of a manifest
    #[arg(long, value_name = "FILE")]
    prompt_file: Option<PathBuf>,
    /// Folder for pictures: of a prompt file, or of drafts that leave the manifest's own pictures and lock alone
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Tier file (JSON or TOML) that says what drafts and finals of a prompt file are drawn with
    #[arg(long, value_name = "FILE", requires = "prompt_file")]
    tiers: Option<PathBuf>,
    /// Only these locales
    #[arg(long, value_name = "L,…", value_delimiter = ',')]
    locale: Vec<String>,
    /// Only these assets
    #[arg(long, value_name = "A,…", value_delimiter = ',')]
    asset: Vec<String>,
    #[command(flatten)]
    recipe: RecipeArgs,
    /// Plan only
    #[arg(long)]
    dry_run: bool,
    /// Plan only, and exit 7 if anything would change
    #[arg(long)]
    check: bool,
    /// Replace files that were changed by hand or are not ours
    #[arg(long)]
    force: bool,
    /// Draw stale pictures anew
    #[arg(long)]
    upgrade: bool,
    /// Most jobs on their way at once
    #[arg(long, value_name = "N", default_value_t = JOBS_DEFAULT)]
    jobs: usize,
    /// Pictures per model call, 1 to 64; models that draw one at a time draw them one after another
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    batch: u32,
    /// The most that this build may spend, in US dollars; what would go beyond it is not drawn
    #[arg(long, value_name = "USD")]
    budget: Option<Micros>,
    /// Write a contact sheet of all pictures
    #[arg(long, value_name = "FILE")]
    sheet: Option<PathBuf>,
    /// Write the JSON report to a file
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Write the report as JUnit XML, for the test pages of CI servers
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write what happens while it happens, one JSON object a line
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Write --seed into the manifest for the assets of --asset
    #[arg(long, requires = "seed", requires = "asset")]
    keep_seed: bool,
    /// Exit 7 unless every picture is approved
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    require: Vec<Requirement>,
    /// Exit 7 if a picture is by one of these engines or of one of these tiers
    #[arg(long, value_name = "ENGINE,TIER…", value_delimiter = ',')]
    deny: Vec<String>,
    /// Draw in this process; the data directory must be free of a sidecar then
    #[arg(long)]
    no_sidecar: bool,
}

/// What every picture must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Requirement {
    /// Accepted by somebody, with the pixels that it has, and rejected by nobody
    Approved,
}

/// Flags that change recipes.
#[derive(Debug, Args, Default)]
pub(super) struct RecipeArgs {
    /// Draft (preview) or final (production)
    #[arg(long)]
    tier: Option<Tier>,
    /// Model, by any spelling
    #[arg(long)]
    pub(super) model: Option<String>,
    /// Seed, 0 to 9007199254740991 [default: follows from the recipe]
    #[arg(long)]
    pub(super) seed: Option<u64>,
    /// Size in pixels, as in 512x512
    #[arg(long, value_name = "WxH")]
    size: Option<String>,
    /// Denoising steps
    #[arg(long)]
    steps: Option<u32>,
    /// Guidance scale
    #[arg(long)]
    guidance: Option<f64>,
    /// Sampler, by any tool's name for it, as in euler_a
    #[arg(long, value_name = "NAME")]
    sampler: Option<String>,
    /// What the picture must not show
    #[arg(long, value_name = "PROMPT")]
    negative: Option<String>,
    /// Let built-in art stand in for a model that is not there
    #[arg(long)]
    pub(super) placeholder: bool,
}

impl RecipeArgs {
    pub(super) fn overrides(&self, locales: &[String], assets: &[String]) -> Result<Overrides, Failure> {
        let size: Option<Extent> = match &self.size {
            Some(text) => {
                Some(text.parse().map_err(|err| Failure::new(ErrorCode::InvalidRequest, format!("failed to {err}")))?)
            }
            None => None,
        };
        Ok(Overrides {
            locales: (!locales.is_empty()).then(|| locales.to_vec()),
            assets: (!assets.is_empty()).then(|| assets.to_vec()),
            outputs: None,
            tier: self.tier,
            model: self.model.clone(),
            seed: self.seed,
            size,
            settings: Settings {
                steps: self.steps,
                guidance: self.guidance,
                sampler: self.sampler.clone(),
                ..Settings::default()
            },
            negative: self.negative.clone(),
            placeholder: self.placeholder.then_some(true),
        })
    }
}

impl BatchArgs {
    fn order(&self, mode: Mode) -> Result<Order, Failure> {
        Ok(Order {
            source: self.source()?,
            overrides: self.recipe.overrides(&self.locale, &self.asset)?,
            except: BTreeSet::new(),
            keep_seed: self.keep_seed,
            mode,
            force: self.force,
            upgrade: self.upgrade,
            // A call is only full when so many jobs are on their way.
            jobs_max: self.jobs.max(self.batch as usize),
            images_per_call: self.batch,
            budget: self.budget,
            require_approved: self.require.contains(&Requirement::Approved),
            deny: self.deny.clone(),
            report: self.report.clone(),
            junit: self.junit.clone(),
            events: self.events.clone(),
            sheet: self.sheet.clone(),
        })
    }

    fn manifest(&self) -> PathBuf {
        self.manifest.clone().unwrap_or_else(|| PathBuf::from("."))
    }

    fn source(&self) -> Result<Source, Failure> {
        match (&self.prompt_file, &self.out) {
            (Some(file), Some(out)) => {
                Ok(Source::Prompts { file: file.clone(), out: out.clone(), tiers: self.tiers.clone() })
            }
            (Some(file), None) => {
                // Beside the prompts, under their name: visible, and never mixed with other files.
                let out = file.with_extension("thumbnails");
                Ok(Source::Prompts { file: file.clone(), out, tiers: self.tiers.clone() })
            }
            (None, Some(out)) => Ok(Source::Drafts { manifest: self.manifest(), out: out.clone() }),
            (None, None) => Ok(Source::Manifest(self.manifest())),
        }
    }
}

/// `thumbforge plan`.
pub(super) fn plan(context: &Context, args: &BatchArgs) -> Result<u8, BuildError> {
    build(context, args, Mode::of(true, args.check))
}

/// `thumbforge batch`.
pub(super) fn batch(context: &Context, args: &BatchArgs) -> Result<u8, BuildError> {
    build(context, args, Mode::of(args.dry_run, args.check))
}

fn build(context: &Context, args: &BatchArgs, mode: Mode) -> Result<u8, BuildError> {
    let batch = Batch::open(args.order(mode)?, &context.data_dir, context.shelf()?.now())?;
    let ended = if batch.needs_maker() { runtime()?.block_on(make(context, args, batch))? } else { batch.settle()? };
    match mode {
        Mode::Make => {
            say_problems(context, &ended.report);
            say_summary(context, &ended);
        }
        Mode::Plan | Mode::Check => say_plan(context, &ended),
    }
    for warning in ended.report.warnings.iter().filter(|_| !context.quiet) {
        eprintln!("warning[{}]: {}", warning.code, warning.message);
    }
    for refused in ended.refused.values() {
        eprintln!("{refused}");
    }
    if mode == Mode::Check && ended.exit == exit::GATE && ended.refused.is_empty() {
        eprintln!("{}", ended.message);
    }
    for failure in &ended.errors {
        eprintln!("error[{}]: {}", failure.code, failure.message);
    }
    if context.json {
        print_out(&pretty(&ended.report));
    }
    let exit = ended.exit;
    // The process ends with this: giving back a million small pieces of memory one by one takes longer than it is worth.
    std::mem::forget(ended);
    Ok(exit)
}

async fn make(context: &Context, args: &BatchArgs, batch: Batch) -> Result<Ended, BuildError> {
    let (maker, app) = maker(context, &batch.client(), batch.shared_cache(), args.no_sidecar).await?;
    let progress: Arc<dyn Progress> = if context.quiet {
        Arc::new(Silent)
    } else if std::io::stderr().is_terminal() {
        Arc::new(Bars::default())
    } else {
        Arc::new(Lines)
    };
    let ended = batch.make(&maker, progress, interruption()).await;
    if let Some(app) = app {
        app.drain().await;
    }
    ended
}

fn say_plan(context: &Context, ended: &Ended) {
    if context.quiet {
        return;
    }
    let report = &ended.report;
    for item in &report.items {
        let word = match item.state {
            ItemState::Planned => "draw",
            ItemState::Cached => "copy",
            ItemState::Stale => "stale",
            ItemState::Kept => "keep",
            ItemState::Failed => "error",
            _ => continue,
        };
        let why = item.note.as_deref().map(|note| format!("  ({note})")).unwrap_or_default();
        eprintln!("{word:>6}  {}{why}", item.path);
    }
    for output in &ended.survey.plan.orphans {
        eprintln!("forget  {output}  (nothing wants it any more; the file is left alone)");
    }
    say_skipped(&ended.project);
    eprintln!(
        "{} wanted: {} to draw, {} to copy from the store, {} unchanged, {} stale, {} kept",
        report.planned, report.rendered, report.cached, report.unchanged, report.stale, report.kept
    );
}

fn say_skipped(project: &Project) {
    for skipped in &project.expansion.skipped {
        eprintln!("  skip  {}  (no string {:?} in {})", skipped.output, skipped.string, skipped.asset.locale);
    }
}

/// What a person has to know of single images: failures, kept files, findings.
fn say_problems(context: &Context, report: &Report) {
    for item in &report.items {
        if let Some(failure) = &item.error {
            eprintln!("error[{}]: {}: {}", failure.code, item.path, failure.message);
        } else if item.state == ItemState::Kept {
            eprintln!("kept: {}: {}", item.path, item.note.as_deref().unwrap_or_default());
        } else if item.state == ItemState::Stale && !context.quiet {
            eprintln!("stale: {}: {}; --upgrade draws it anew", item.path, item.note.as_deref().unwrap_or_default());
        }
        let findings = item.verdict.iter().flat_map(|verdict| &verdict.findings);
        for finding in findings.filter(|_| !context.quiet && item.error.is_none()) {
            eprintln!("note: {}: {}", item.path, finding.message);
        }
    }
}

fn say_summary(context: &Context, ended: &Ended) {
    if context.quiet {
        return;
    }
    let Ended { report, sheet, .. } = ended;
    say_skipped(&ended.project);
    let mut parts = Vec::new();
    for (count, word) in [
        (report.rendered, "drawn"),
        (report.cached, "from the store"),
        (report.unchanged, "unchanged"),
        (report.stale, "stale"),
        (report.kept, "kept"),
        (report.failed, "failed"),
        (report.cancelled, "not made"),
        (report.ambiguous, "ambiguous"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {word}"));
        }
    }
    let made = report.rendered + report.cached;
    let nothing = if made + report.failed + report.cancelled == 0 { "nothing to do: " } else { "" };
    let seconds = report.elapsed_ms as f64 / 1000.0;
    eprintln!("{nothing}{} in {seconds:.2} s", parts.join(", "));
    let made_now = |item: &&Item| item.state == ItemState::Done;
    let standing_in = report.items.iter().filter(made_now).filter(|item| item.placeholder_for.is_some()).count();
    if standing_in > 0 {
        eprintln!("{standing_in} of them are built-in art that stands in for a model that is not on this machine");
    }
    if let Some(sheet) = sheet {
        eprintln!("{sheet}");
    }
    if report.cancelled > 0 {
        eprintln!("the same command again makes the rest");
    }
}
