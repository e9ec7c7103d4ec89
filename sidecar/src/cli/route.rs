//! `thumbforge route`: where a picture would be drawn, for how much, and why; and why nowhere else. It draws nothing.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Args;
use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::id::ContentHash;
use thumbforge_core::job::{JobSpec, Lane};
use thumbforge_core::limits;
use thumbforge_core::manifest::{DEFAULT_SIZE, Manifest, Overrides};
use thumbforge_core::model::{Catalogue, ModelId};
use thumbforge_core::money::Micros;
use thumbforge_core::recipe::{Edit, Intent, Operation, Recipe, Tier};
use thumbforge_core::routing::{Fit, Learned, Metadata, PASS_RATE, route_job};
use thumbforge_core::terms::Terms;

use super::batch::RecipeArgs;
use super::table::table;
use super::{Context, exit, pretty, print_out};
use crate::build::{self, BuildError, Project, Source};
use crate::router::{self, Candidate, Choice, Health, Span};

/// What is routed where nobody says what the picture shows: words decide nothing here.
const ANY_PROMPT: &str = "a picture";
/// Whose jobs these would be.
const CLIENT: &str = "route";

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  thumbforge route --explain --model imagen4_ultra       what draws it today, for how much, and why
  thumbforge route --explain --manifest . --asset sword  the same for an image of a manifest
  thumbforge route --requires-typography-precision --confidence 0.6
  thumbforge route --explain --model gpt-image-2 --edit --mask --seed 7 --json

What happened to an account's last calls is known to the sidecar alone: every account counts as well here.")]
pub(super) struct RouteArgs {
    /// What the picture shows
    #[arg(conflicts_with = "manifest")]
    prompt: Option<String>,
    /// Show every candidate, with the reason why it won or lost
    #[arg(long)]
    explain: bool,
    /// Folder of a manifest, or the manifest itself
    #[arg(long, value_name = "DIR", requires = "asset")]
    manifest: Option<PathBuf>,
    /// Image of the manifest
    #[arg(long, value_name = "A", requires = "manifest")]
    asset: Option<String>,
    /// Its locale [default: its first]
    #[arg(long, value_name = "L", requires = "manifest")]
    locale: Option<String>,
    /// What the picture is for: photo, typography, layout, brand-colour, hero, icon, edit
    #[arg(long, value_parser = intent, conflicts_with = "manifest")]
    intent: Option<Intent>,
    /// How much work goes into it: low, medium, high, or a word of the model's own
    #[arg(long, conflicts_with = "manifest")]
    quality: Option<String>,
    #[command(flatten)]
    recipe: RecipeArgs,
    /// As if a picture were to be changed
    #[arg(long)]
    edit: bool,
    /// As if it were to be changed in part
    #[arg(long, requires = "edit")]
    mask: bool,
    /// The words in the picture must be right to the letter
    #[arg(long, conflicts_with = "model")]
    requires_typography_precision: bool,
    /// How sure one is that a cheap model gets it right, 0 to 1
    #[arg(long, value_name = "SHARE", conflicts_with = "model")]
    confidence: Option<f64>,
    /// A quick draft is enough
    #[arg(long, conflicts_with = "model")]
    fast_preview: bool,
    /// Take the cheapest model of which enough pictures are sure to pass, as `route = "auto"` does in a manifest
    #[arg(long, conflicts_with_all = ["model", "manifest", "requires_typography_precision", "confidence", "fast_preview"])]
    auto: bool,
    /// The share of pictures that must be sure to pass, 0 to 1 [default: 0.5 of drafts, 0.7 of finals]
    #[arg(long, value_name = "SHARE", requires = "auto")]
    pass_rate: Option<f64>,
    /// The longest that one picture may be expected to take, in milliseconds
    #[arg(long, value_name = "MS", requires = "auto")]
    max_latency_ms: Option<u64>,
    /// Models to go on with when the one before them fails
    #[arg(long, value_name = "M,…", value_delimiter = ',')]
    fallback: Vec<String>,
    /// Refuse a model that is retired instead of replacing it
    #[arg(long)]
    pin: bool,
    /// Fields that may be left out where a model cannot honour them
    #[arg(long, value_name = "FIELD,…", value_delimiter = ',')]
    allow_lossy: Vec<String>,
}

fn intent(word: &str) -> Result<Intent, String> {
    serde_json::from_value(serde_json::Value::from(word))
        .map_err(|_| "write one of photo, typography, layout, brand-colour, hero, icon and edit".to_owned())
}

/// `thumbforge route`.
pub(super) fn route(context: &Context, args: &RouteArgs) -> Result<u8, BuildError> {
    let market = context.shelf()?.now();
    let Asked { spec, ranking } = asked(context, args, &market.catalogue)?;
    let here = crate::engine::cards(&context.data_dir, &market);
    let well = |_: &str, _: &ModelId| Health::Well;
    let choice = router::choose(&spec, &market, &here, &well, context.today());
    if context.json {
        print_out(&pretty(&json(&spec, &choice, &ranking, args.explain)));
    } else {
        print_out(&text(&spec, &choice, &ranking, args.explain));
        choice.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
        choice.failure.iter().for_each(|failure| eprintln!("error[{}]: {}", failure.code, failure.message));
    }
    Ok(if choice.failure.is_some() { exit::INPUT } else { exit::DONE })
}

/// The job as it would be asked for.
struct Asked {
    spec: JobSpec,
    /// Where the models are ranked: all of them, best first.
    ranking: Vec<Place>,
}

/// A model's place in a ranking.
#[derive(Debug, serde::Serialize)]
struct Place {
    model: ModelId,
    fits: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    price_micros_usd: Option<Micros>,
    /// The share of its pictures that is sure to pass.
    pass_least: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_ms: Option<u64>,
    because: String,
}

fn asked(context: &Context, args: &RouteArgs, catalogue: &Catalogue) -> Result<Asked, BuildError> {
    let locales: Vec<String> = args.locale.iter().cloned().collect();
    let assets: Vec<String> = args.asset.iter().cloned().collect();
    let mut overrides = args.recipe.overrides(&locales, &assets)?;
    if args.requires_typography_precision || args.confidence.is_some() || args.fast_preview {
        let metadata = Metadata {
            requires_typography_precision: args.requires_typography_precision,
            // Whoever says nothing of it is not sure.
            confidence: args.confidence.unwrap_or(0.0),
            fast_preview: args.fast_preview,
        };
        overrides.model = Some(route_job(&metadata).to_owned());
    }
    let (mut spec, ranking) = match (&args.manifest, &args.asset) {
        (Some(folder), Some(asset)) => {
            let source = Source::Manifest(folder.clone());
            let project = Project::open(&source, &overrides, catalogue, &context.data_dir, SystemTime::now())?;
            of_project(context, &project, asset, catalogue)?
        }
        _ => of_prompt(context, args, overrides, catalogue)?,
    };
    spec.placeholder |= args.recipe.placeholder;
    for name in &args.fallback {
        spec.terms.fallback.push(resolve(name, catalogue)?);
    }
    spec.terms.pin |= args.pin;
    spec.terms.allow_lossy.extend(args.allow_lossy.iter().cloned());
    if args.edit {
        // Which picture it is decides nothing here.
        let (images, mask) = (vec![ContentHash([0; 32])], args.mask.then_some(ContentHash([0; 32])));
        spec.recipe.edit = Some(Edit { operation: Operation::Edit, images, mask });
    }
    Ok(Asked { spec, ranking })
}

fn of_project(
    context: &Context,
    project: &Project,
    asset: &str,
    catalogue: &Catalogue,
) -> Result<(JobSpec, Vec<Place>), BuildError> {
    let wanted = project.expansion.wanted.iter().find(|wanted| wanted.asset.name == asset).ok_or_else(|| {
        Failure::new(ErrorCode::NotFound, format!("failed to find the asset {asset:?} in that locale of the manifest"))
    })?;
    let spec = JobSpec {
        asset: wanted.asset.clone(),
        terms: Terms::clone(&wanted.terms),
        placeholder: project.expansion.placeholder,
        ..JobSpec::new(wanted.recipe.clone(), Lane::Batch, project.client())
    };
    let Some(file) = project.manifest.as_deref().filter(|_| !spec.terms.models.is_empty()) else {
        return Ok((spec, Vec::new()));
    };
    let unreadable = |err: &dyn std::error::Error| {
        Failure::new(ErrorCode::InvalidManifest, format!("failed to read {}: {err}", file.display()))
    };
    let bytes = std::fs::read(file).map_err(|err| unreadable(&err))?;
    let rates = Manifest::parse(&file.display().to_string(), &bytes)?.body().auto.pass_rate.clone();
    let catalogue = catalogue.with_rows(build::own_rows(&project.folder)?).map_err(|err| unreadable(&err))?;
    let learned = build::learned(&project.folder)?;
    let ranking = ranking(&spec, &catalogue, &learned, rates.of(spec.recipe.tier), context);
    Ok((spec, ranking))
}

fn ranking(spec: &JobSpec, catalogue: &Catalogue, learned: &Learned, pass_rate: f64, context: &Context) -> Vec<Place> {
    let ranked = router::rank(spec, catalogue, learned, pass_rate, context.today());
    let places = ranked.into_iter().map(|one| Place {
        model: one.row.id.clone(),
        fits: one.fit == Fit::Fits,
        price_micros_usd: one.price,
        pass_least: one.pass_least,
        latency_ms: one.latency_ms,
        because: one.reason,
    });
    places.collect()
}

fn of_prompt(
    context: &Context,
    args: &RouteArgs,
    overrides: Overrides,
    catalogue: &Catalogue,
) -> Result<(JobSpec, Vec<Place>), Failure> {
    let model = overrides.model.as_deref().map(|name| resolve(name, catalogue)).transpose()?;
    let prompt = args.prompt.as_deref().unwrap_or(ANY_PROMPT);
    let mut recipe = Recipe {
        model,
        intent: args.intent.unwrap_or_default(),
        tier: overrides.tier.unwrap_or_default(),
        seed: overrides.seed,
        negative: overrides.negative.unwrap_or_default(),
        settings: overrides.settings,
        ..Recipe::from_prompt(prompt, overrides.size.unwrap_or(DEFAULT_SIZE))
    };
    recipe.settings.quality.clone_from(&args.quality);
    let recipe =
        recipe.normalised().map_err(|err| Failure::new(ErrorCode::InvalidRequest, format!("failed to {err}")))?;
    let mut spec = JobSpec::new(recipe, Lane::Interactive, CLIENT);
    if !args.auto {
        return Ok((spec, Vec::new()));
    }
    spec.terms.max_latency_ms = args.max_latency_ms;
    let [of_drafts, of_finals] = PASS_RATE;
    let usual = if spec.recipe.tier == Tier::Preview { of_drafts } else { of_finals };
    let pass_rate = args.pass_rate.unwrap_or(usual);
    // What a team learned lies beside its manifest, where people work.
    let learned = build::learned(Path::new("."))?;
    let ranking = ranking(&spec, catalogue, &learned, pass_rate, context);
    let fits = ranking.iter().filter(|place| place.fits).take(limits::FALLBACKS_MAX);
    spec.terms.models = fits.map(|place| place.model.clone()).collect();
    if spec.terms.models.is_empty() {
        let message = "failed to choose a model: of none are enough pictures sure to pass; \
                       lower --pass-rate, raise --max-latency-ms, or let models be measured (`thumbforge models --learn`)";
        return Err(Failure::new(ErrorCode::ModelUnavailable, message));
    }
    Ok((spec, ranking))
}

fn resolve(name: &str, catalogue: &Catalogue) -> Result<ModelId, Failure> {
    let row = catalogue.resolve(name);
    row.map(|row| row.id.clone()).map_err(|err| Failure::new(ErrorCode::UnknownModel, format!("failed to {err}")))
}

fn json(spec: &JobSpec, choice: &Choice, ranking: &[Place], explain: bool) -> serde_json::Value {
    let recipe = &spec.recipe;
    let warnings: Vec<serde_json::Value> = choice
        .warnings
        .iter()
        .map(|warning| {
            let mut value = serde_json::to_value(warning).unwrap_or_default();
            value["message"] = warning.to_string().into();
            value
        })
        .collect();
    let mut value = serde_json::json!({
        "asked": {
            "asset": spec.asset.name, "locale": spec.asset.locale, "model": recipe.model, "intent": recipe.intent,
            "tier": recipe.tier, "size": recipe.size.to_string(), "models": spec.terms.models,
            "fallback": spec.terms.fallback,
        },
        "route": choice.routes.first(),
        "warnings": warnings,
        "error": choice.failure,
    });
    if explain {
        value["routes"] = serde_json::to_value(&choice.routes).unwrap_or_default();
        value["candidates"] = serde_json::to_value(&choice.candidates).unwrap_or_default();
        value["ranking"] = serde_json::to_value(ranking).unwrap_or_default();
    }
    value
}

fn text(spec: &JobSpec, choice: &Choice, ranking: &[Place], explain: bool) -> String {
    let mut text = String::new();
    if explain {
        text.push_str(&format!("{}\n\n", what(spec)));
    }
    let (won, lost): (Vec<&Candidate>, Vec<&Candidate>) =
        choice.candidates.iter().partition(|candidate| candidate.reason.won());
    for (at, candidate) in won.iter().enumerate().take(if explain { usize::MAX } else { 1 }) {
        text.push_str(&told(&format!("{}", at + 1), candidate));
    }
    for candidate in lost.iter().filter(|_| explain) {
        text.push_str(&told("-", candidate));
    }
    if explain && !ranking.is_empty() {
        text.push_str("\nThe ranking, by price among those whose pictures pass often enough and come soon enough:\n");
        text.push_str(&table(["MODEL", "PRICE", "PASS", "TIME", "WHY"], &ranking.iter().map(line).collect::<Vec<_>>()));
    }
    text
}

fn line(place: &Place) -> [String; 5] {
    [
        place.model.to_string(),
        place.price_micros_usd.map(|price| price.to_string()).unwrap_or_default(),
        format!("{:.0} %", (place.pass_least * 100.0).floor()),
        place.latency_ms.map(|ms| Span(ms).to_string()).unwrap_or_default(),
        place.because.clone(),
    ]
}

/// What is asked for, in a line.
fn what(spec: &JobSpec) -> String {
    let recipe = &spec.recipe;
    let name = match (spec.asset.name.as_str(), spec.asset.locale.as_str()) {
        ("", _) => format!("{:?}", recipe.prompt),
        (asset, "") => asset.to_owned(),
        (asset, locale) => format!("{asset} {locale}"),
    };
    let model = match (&recipe.model, spec.terms.models.len()) {
        (Some(model), _) => format!("with {model}"),
        (None, 0) => "with no model named".to_owned(),
        (None, count) => format!("with the best of {count} models"),
    };
    let edit = if recipe.edit.is_some() { ", a change of a picture" } else { "" };
    format!("{name}: {}, {}, {}{edit}, {model}", recipe.tier.word(), recipe.intent.word(), recipe.size)
}

/// Two lines: who and for how much, and why.
fn told(mark: &str, candidate: &Candidate) -> String {
    let mut parts = vec![candidate.model.to_string()];
    parts.extend(match &candidate.account {
        Some(account) if *account == candidate.engine => Some(format!("account {account}")),
        Some(account) => Some(format!("account {account} ({})", candidate.engine)),
        None if candidate.engine.is_empty() => None,
        None => Some(format!("engine {} of this machine", candidate.engine)),
    });
    parts.extend(candidate.cost.map(|cost| match cost.reserve == cost.quoted {
        true => cost.quoted.to_string(),
        false => format!("{}, at most {}", cost.quoted, cost.reserve),
    }));
    parts.extend(candidate.latency_ms.map(|ms| format!("about {}", Span(ms))));
    if !candidate.dropped.is_empty() {
        parts.push(format!("without {}", candidate.dropped.join(", ")));
    }
    format!("{mark:>2}  {}\n    {}\n", parts.join(" · "), candidate.reason)
}
