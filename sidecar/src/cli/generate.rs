//! `thumbforge generate PROMPT`: one picture, now.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use clap::Args;
use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::id::ContentHash;
use thumbforge_core::image::Extent;
use thumbforge_core::job::{Gate, JobSpec, JobState, Lane};
use thumbforge_core::locale::is_locale;
use thumbforge_core::manifest::{DEFAULT_SIZE, Wanted};
use thumbforge_core::model::{Catalogue, Family, ModelRow};
use thumbforge_core::money::Micros;
use thumbforge_core::recipe::{Intent, Recipe, one_line};
use thumbforge_core::repair::Repair;
use thumbforge_core::terms::{Budget, Period, Scope, Terms};
use thumbforge_core::text_layer::TextMode;

use super::batch::RecipeArgs;
use super::{Context, exit, interruption, maker, pretty, print_out, runtime};
use crate::build::{BuildError, Item, ItemState, Report};
use crate::command::batch::write_text;
use crate::intake::words;
use crate::maker::Maker;
use crate::output::write::{Patience, write_atomic};
use crate::publish::Progress;
use crate::router;
use local::{Brought, LocalArgs};

mod local;

/// Whose queue single pictures are in.
const CLIENT: &str = "generate";

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  thumbforge generate \"a golden sword on a table, cinematic lighting\"
  thumbforge generate \"dragon over a castle at night\" --text \"Dragon Siege\" --out-file siege.png
  thumbforge generate \"a neon shop sign\" --model ideogram-4 --text SALE --text-mode auto
  thumbforge generate \"red potion\" --seed 7 --size 1024x1024 --json
  thumbforge generate \"a castle\" --model sd3.5-medium --seed 7 --noise torch-cpu
  thumbforge generate \"a castle\" --weights sd3.5_medium.safetensors --tokenizers tokenizers/ --dtype f32
  thumbforge generate \"a castle at night\" --model sd3.5-medium --image castle.png --strength 0.5
  thumbforge generate \"a flag\" --model sd3.5-medium --image castle.png --mask tower.png --mask-feather 8
  thumbforge generate \"a castle\" --model sd3.5-medium --lora pixel-art.safetensors=0.8 --slg 7,8,9:2.8:0.01:0.2")]
pub(super) struct GenerateArgs {
    /// What the picture shows
    prompt: String,
    /// Where it goes [default: named after the prompt, in --out or this folder]
    #[arg(long, value_name = "FILE")]
    out_file: Option<PathBuf>,
    /// Folder for the picture
    #[arg(long, value_name = "DIR", conflicts_with = "out_file")]
    out: Option<PathBuf>,
    /// Words in the picture; without them it fails
    #[arg(long, value_name = "WORDS")]
    text: Option<String>,
    /// Who draws the words: composite sets them in true type, model asks the model, auto asks the model and sets them where
    /// it cannot get them right
    #[arg(long, value_name = "MODE", value_enum, default_value_t, requires = "text")]
    text_mode: Mode,
    /// Language of the words as a BCP 47 tag
    #[arg(long, value_name = "L", default_value = words::LOCALE, visible_alias = "lang")]
    locale: String,
    /// Mend a picture that the checks refuse: draw it again, in part or by a better model, or set its words
    #[arg(long, conflicts_with = "no_repair")]
    repair: bool,
    /// Mend nothing, not even with --text-mode auto
    #[arg(long)]
    no_repair: bool,
    #[command(flatten)]
    recipe: RecipeArgs,
    #[command(flatten)]
    local: LocalArgs,
    /// The most that the picture may cost, in US dollars; one that would cost more is not drawn
    #[arg(long, value_name = "USD")]
    budget: Option<Micros>,
    /// Write the JSON report to a file
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Draw in this process; the data directory must be free of a sidecar then
    #[arg(long)]
    no_sidecar: bool,
}

/// Who draws words, as the command line says it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Mode {
    #[default]
    Composite,
    Model,
    Auto,
}

impl From<Mode> for TextMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Composite => Self::Composite,
            Mode::Model => Self::Model,
            Mode::Auto => Self::Auto,
        }
    }
}

/// `thumbforge generate`.
pub(super) fn generate(context: &Context, args: &GenerateArgs) -> Result<u8, BuildError> {
    let began = Instant::now();
    let market = context.shelf()?.now();
    let brought = args.local.bring()?;
    let spec = spec(args, &brought, &market.catalogue)?;
    let client = spec.client.clone();
    if !context.quiet {
        notes(&spec, &market.catalogue).iter().for_each(|note| eprintln!("note: {note}"));
    }
    let path = args
        .out_file
        .clone()
        .unwrap_or_else(|| args.out.clone().unwrap_or_default().join(format!("{}.png", slug(&spec.recipe.prompt))));
    let wanted = Wanted {
        asset: spec.asset.clone(),
        output: path.display().to_string(),
        profile: None,
        planned: spec.recipe.planned_key(),
        recipe: spec.recipe.clone(),
        priority: 0,
        terms: Arc::default(),
    };
    let item = Item::new(&wanted, ItemState::Planned);
    let item = runtime()?.block_on(async {
        let (maker, app) = maker(context, &client, None, args.no_sidecar).await?;
        let told = !context.quiet && std::io::stderr().is_terminal();
        let item = make(&maker, spec, brought, item, &path, told).await;
        if let Some(app) = app {
            app.drain().await;
        }
        item
    })?;
    let code = match (&item.state, &item.error) {
        (ItemState::Cancelled, _) => exit::INTERRUPTED,
        (_, Some(failure)) if failure.code == ErrorCode::OverBudget => exit::BUDGET,
        // The picture was drawn, and did not come through the checks.
        (_, Some(failure)) if exit::of(failure.code) == exit::GATE => exit::GATE,
        (_, Some(_)) => exit::FAILED,
        _ => exit::DONE,
    };
    say(context, &item, &path);
    let folder = std::env::current_dir().unwrap_or_default();
    let item = if item.state == ItemState::Done { item.with_file(&folder.join(&path)) } else { item };
    let report = Report::of(&folder, vec![item], 0, began.elapsed().as_millis() as u64);
    if context.json {
        print_out(&pretty(&report));
    }
    if let Some(path) = &args.report {
        write_text(path, &pretty(&report))?;
    }
    Ok(code)
}

fn spec(args: &GenerateArgs, brought: &Brought, catalogue: &Catalogue) -> Result<JobSpec, Failure> {
    let invalid = |message: String| Failure::new(ErrorCode::InvalidRequest, format!("failed to {message}"));
    let overrides = args.recipe.overrides(&[], &[])?;
    let model = match &overrides.model {
        Some(name) => {
            let row = catalogue
                .resolve(name)
                .map_err(|err| Failure::new(ErrorCode::UnknownModel, format!("failed to {err}")))?;
            Some(row.id.clone())
        }
        None => None,
    };
    let row = args.local.weights.as_deref().map(own_row);
    let model = row.as_ref().map(|row| row.id.clone()).or(model);
    let size: Extent = overrides.size.or(brought.size).unwrap_or(DEFAULT_SIZE);
    if !is_locale(&args.locale) {
        return Err(invalid(format!("read the locale {:?}: write it as en, pt-BR or zh-Hans", args.locale)));
    }
    let text =
        args.text.iter().map(|said| words::layer(said.clone(), Some(args.locale.clone()), args.text_mode.into()));
    let recipe = Recipe {
        model,
        seed: overrides.seed,
        negative: overrides.negative.unwrap_or_default(),
        tier: overrides.tier.unwrap_or_default(),
        settings: overrides.settings.overlaid(&args.local.settings()),
        adapters: brought.adapters.iter().map(|(_, adapter)| adapter.clone()).collect(),
        intent: if brought.edit.is_some() { Intent::Edit } else { Intent::default() },
        edit: brought.edit.clone(),
        text: text.collect(),
        ..Recipe::from_prompt(&args.prompt, size)
    };
    let recipe = recipe.normalised().map_err(|err| invalid(err.to_string()))?;
    let mut terms = terms(args.budget, &recipe);
    let said = match (args.repair, args.no_repair) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    };
    terms.repair = words::may_repair(&recipe, said).then(Repair::default);
    terms.weights = args.local.files()?;
    terms.rows.extend(row);
    terms.allow_lossy.clone_from(&args.local.allow_lossy);
    // Jobs of one client that are planned alike are one job, and what a model of one's own is called says not what it is.
    let client = match &terms.weights {
        Some(files) => format!("{CLIENT} {}", &ContentHash::of(format!("{files:?}").as_bytes()).to_string()[..12]),
        None => CLIENT.to_owned(),
    };
    let gate = Gate::of(&recipe, &terms);
    Ok(JobSpec { placeholder: args.recipe.placeholder, gate, terms, ..JobSpec::new(recipe, Lane::Interactive, client) })
}

/// A row for a model that is in no catalogue, named like its file.
fn own_row(path: &std::path::Path) -> ModelRow {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let plain = |c: char| if c.is_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '-' };
    let name: String = name.chars().map(plain).take(60).collect();
    ModelRow::bare(&format!("{}{}", router::OWN_MODEL, if name.is_empty() { "model" } else { &name }), Family::Local)
}

/// What people should know of the settings that they named.
fn notes(spec: &JobSpec, catalogue: &Catalogue) -> Vec<String> {
    let Some(id) = &spec.recipe.model else { return Vec::new() };
    let row = spec.terms.rows.iter().find(|row| row.id == *id).or_else(|| catalogue.get(id));
    row.filter(|row| row.family == Family::Local).map(|row| router::notes(&spec.recipe, row)).unwrap_or_default()
}

/// What may be spent on the picture: a build of its own.
fn terms(budget: Option<Micros>, recipe: &Recipe) -> Terms {
    let Some(micros) = budget else { return Terms::default() };
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let batch = format!("generate-{}-{}", &recipe.planned_key().to_string()[..12], since.as_nanos());
    let budgets = vec![Budget { scope: Scope::Batch(batch.clone()), period: Period::Ever, micros }];
    Terms { batch, budgets, ..Terms::default() }
}

async fn make(
    maker: &Maker,
    spec: JobSpec,
    brought: Brought,
    item: Item,
    path: &std::path::Path,
    told: bool,
) -> Result<Item, Failure> {
    // They stay until the job has ended.
    let _kept = brought.keep(maker).await?;
    // A model on a processor takes minutes, and whoever waits wants to see that it goes on.
    let steps = |progress: Progress| {
        if progress.steps > 0 && progress.state == JobState::Running {
            let end = if progress.step == progress.steps { "\n" } else { "" };
            eprint!("\rstep {} of {}{end}", progress.step, progress.steps);
        }
    };
    let made = maker.make_heard(spec, &interruption(), told.then_some(&steps as _)).await?;
    if let Some(bytes) = &made.png {
        write_atomic(path, bytes, &Patience::usual())
            .map_err(|err| Failure::new(err.code(), format!("failed to {}", thumbforge_core::error::chain(&err))))?;
    }
    Ok(item.with_ending(&made.ending))
}

fn say(context: &Context, item: &Item, path: &std::path::Path) {
    if let Some(failure) = &item.error {
        eprintln!("error[{}]: {}", failure.code, failure.message);
        return;
    }
    if context.quiet || item.state != ItemState::Done {
        return;
    }
    let stands_in = item.placeholder_for.as_ref().map(|model| format!(", standing in for {model}")).unwrap_or_default();
    eprintln!(
        "{}  by {}{stands_in}, seed {}, {}",
        path.display(),
        item.engine.as_deref().unwrap_or_default(),
        item.seed.unwrap_or_default(),
        if item.from_store {
            "from the store".to_owned()
        } else {
            format!("{} ms", item.latency_ms.unwrap_or_default())
        },
    );
    if let (Some(retired), Some(model)) = (&item.replaces, &item.model) {
        eprintln!("warning: {retired} is retired, and {model} took its place; `thumbforge models` says since when");
    }
    if item.cost_micros_usd > 0 {
        eprintln!("it cost {}", Micros(item.cost_micros_usd));
    }
    if let Some(lossy) = &item.lossy {
        eprintln!("note: it gave up exactness to fit into memory ({lossy})");
    }
    for finding in item.verdict.iter().flat_map(|verdict| &verdict.findings) {
        eprintln!("note: {}", finding.message);
    }
}

/// A file name out of a prompt: its first words, in ASCII where they have it.
fn slug(prompt: &str) -> String {
    let mut slug = String::new();
    for word in one_line(prompt).split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        if slug.len() + word.len() > 48 {
            break;
        }
        if !slug.is_empty() {
            slug.push('-');
        }
        slug.push_str(&word.to_lowercase());
    }
    if slug.is_empty() { "picture".to_owned() } else { slug }
}
