//! `thumbforge weights`: what this machine draws with. Lists it, registers what is there, gets what is not, holds it
//! against its hashes, and removes it.

use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::model::Catalogue;
use tokio_util::sync::CancellationToken;

use super::table::table;
use super::{Context, exit, interruption, pretty, print_out, runtime};
use crate::build::BuildError;
use crate::clock::Clock;
use crate::weights::adopt::{self, Adoption, Verdict};
use crate::weights::hub::Hub;
use crate::weights::offer::{Licence, Offers, Part};
use crate::weights::plan::{self, Plan, T5, Wish};
use crate::weights::pull::{Puller, Size};
use crate::weights::store::{Accepted, Item, Place, Registry, Standing, Store};
use crate::weights::{self, token};

mod meter;

/// Most ranges side by side: stores give more to nobody, and each holds a buffer.
const CONNECTIONS_MAX: u8 = 16;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  thumbforge weights list --available        what can be pulled by name, and how large it is
  thumbforge weights pull sd3.5-medium       a model with its text encoders and tokenizers
  thumbforge weights add ~/models/sd3.5_large.safetensors
  thumbforge weights verify                  read everything again and compare its hashes
  thumbforge weights pull --help             more about a command")]
pub(super) struct WeightsArgs {
    #[command(subcommand)]
    verb: WeightsVerb,
}

#[derive(Debug, Subcommand)]
enum WeightsVerb {
    /// List what is here, and what a pull began
    List(ListArgs),
    /// Register a file or folder that is on this machine, where it lies
    Add(AddArgs),
    /// Get a model, or files of a repository, from a hub; goes on where it was interrupted
    Pull(PullArgs),
    /// Read every byte again and say which files are not what they were
    Verify(VerifyArgs),
    /// Forget items; deletes files that the store owns, never those that are linked
    Remove(RemoveArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// List what can be pulled by name instead
    #[arg(long)]
    available: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  thumbforge weights add sd3.5_medium.safetensors
  thumbforge weights add ~/stable-diffusion-3.5-large --model sd3.5-large-turbo --name turbo
  thumbforge weights add D:/models/t5xxl_fp16.safetensors --copy

The file stays where it is unless --copy is said; its hash is written down, so `thumbforge weights verify` sees changes.")]
struct AddArgs {
    /// File (.safetensors, .gguf) or folder (diffusers, tokenizers)
    path: PathBuf,
    /// What it is called here [default: the file's or folder's name]
    #[arg(long)]
    name: Option<String>,
    /// The model that it draws, as `thumbforge models` lists it [default: what it looks like]
    #[arg(long, value_name = "ID")]
    model: Option<String>,
    /// What it is for [default: what it looks like]
    #[arg(long, value_enum)]
    part: Option<PartWord>,
    /// Copy it into the store
    #[arg(long)]
    copy: bool,
    /// Replace an item of that name
    #[arg(long)]
    force: bool,
}

/// The parts that can be named.
#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum PartWord {
    Model,
    ClipL,
    ClipG,
    T5,
    Vae,
    Tokenizers,
    Lora,
}

impl From<PartWord> for Part {
    fn from(word: PartWord) -> Self {
        match word {
            PartWord::Model => Self::Model,
            PartWord::ClipL => Self::ClipL,
            PartWord::ClipG => Self::ClipG,
            PartWord::T5 => Self::T5,
            PartWord::Vae => Self::Vae,
            PartWord::Tokenizers => Self::Tokenizers,
            PartWord::Lora => Self::Lora,
        }
    }
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  thumbforge weights pull sd3.5-medium --accept-licence stabilityai-ai-community
  thumbforge weights pull sd3.5-large --t5 fp8 --token login
  thumbforge weights pull city96/stable-diffusion-3.5-medium-gguf --file sd3.5_medium-Q8_0.gguf --model sd3.5-medium
  thumbforge weights pull OWNER/NAME@REVISION --dry-run

A token is read from HF_TOKEN, from `token` below [hub] in the settings, or from where --token says; it goes to the hub
itself and to nobody else, and only when the hub wants one. HF_ENDPOINT or --endpoint name a mirror; HTTPS_PROXY and
NO_PROXY are honoured. After an interruption the same command goes on where it stopped.")]
struct PullArgs {
    /// A name of `thumbforge weights list --available`, or a repository of the hub: OWNER/NAME or OWNER/NAME@REVISION
    #[arg(value_name = "NAME|REPO")]
    what: String,
    /// A file of the repository; may be said several times [default: a whole model, where it is clear which]
    #[arg(long = "file", value_name = "F")]
    files: Vec<String>,
    /// Which T5 comes along with a model: fp8 has half the size and draws other pixels
    #[arg(long, value_enum, default_value_t = T5::Fp16)]
    t5: T5,
    /// Leave text encoders and tokenizers out
    #[arg(long)]
    alone: bool,
    /// Accept a licence by its id, having read it; may be said several times
    #[arg(long = "accept-licence", value_name = "ID")]
    accept: Vec<String>,
    /// Where the hub's token lies: env:NAME, file:PATH, keyring:SERVICE/USER, or login (left by `hf auth login`)
    #[arg(long, value_name = "WHERE")]
    token: Option<String>,
    /// Address of a hub or mirror [default: HF_ENDPOINT, the settings, https://huggingface.co]
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// What a repository's files are called here [default: OWNER--NAME]
    #[arg(long)]
    name: Option<String>,
    /// The model that a repository's files draw, as `thumbforge models` lists it
    #[arg(long, value_name = "ID")]
    model: Option<String>,
    /// Ranges of a file that are got side by side
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=i64::from(CONNECTIONS_MAX)))]
    connections: u8,
    /// Say what would be got, and get nothing
    #[arg(long)]
    dry_run: bool,
    /// Ask the hub about the item though it is here
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Args)]
struct VerifyArgs {
    /// Items [default: all]
    names: Vec<String>,
}

#[derive(Debug, Args)]
struct RemoveArgs {
    /// Items, or names of unfinished pulls
    #[arg(required = true)]
    names: Vec<String>,
    /// Leave the files where they are
    #[arg(long)]
    keep_files: bool,
}

/// `thumbforge weights`.
pub(super) fn weights(context: &Context, args: &WeightsArgs) -> Result<u8, BuildError> {
    let store = store(context);
    match &args.verb {
        WeightsVerb::List(args) if args.available => available(context, &store),
        WeightsVerb::List(_) => list(context, &store),
        WeightsVerb::Add(args) => add(context, &store, args),
        WeightsVerb::Pull(args) => pull(context, &store, args),
        WeightsVerb::Verify(args) => verify(context, &store, args),
        WeightsVerb::Remove(args) => remove(context, &store, args),
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The store that this command is about.
fn store(context: &Context) -> Store {
    Store::new(weights::dir(&context.data_dir, context.user.weights_dir.as_deref(), &variable))
}

fn invalid(message: String) -> Failure {
    Failure::new(ErrorCode::InvalidRequest, message)
}

fn list(context: &Context, store: &Store) -> Result<u8, BuildError> {
    let registry = store.registry()?;
    let unfinished = store.unfinished(&registry);
    if context.json {
        let items: Vec<_> = registry.items.values().map(|item| told(store, item)).collect();
        print_out(&pretty(&json!({ "dir": store.dir(), "items": items, "unfinished": unfinished })));
        return Ok(exit::DONE);
    }
    if registry.items.is_empty() && unfinished.is_empty() {
        eprintln!("nothing is here yet; `thumbforge weights list --available` lists what can be pulled");
        return Ok(exit::DONE);
    }
    let mut rows: Vec<[String; 6]> = registry
        .items
        .values()
        .map(|item| {
            [
                item.name.clone(),
                item.part.word().to_owned(),
                item.model.clone().unwrap_or_default(),
                Size(item.bytes()).to_string(),
                state(store, item),
                from(item),
            ]
        })
        .collect();
    rows.extend(unfinished.iter().map(|one| {
        let percent = one.done_bytes.saturating_mul(100) / one.bytes.max(1);
        let size = Size(one.bytes).to_string();
        let state = format!("unfinished, {percent} %");
        [one.name.clone(), String::new(), String::new(), size, state, "pull it again to go on".to_owned()]
    }));
    align(&mut rows, 3);
    print_out(&table(["NAME", "PART", "MODEL", "    SIZE", "STATE", "FROM"], &rows));
    if !context.quiet {
        let bytes = registry.items.values().map(Item::bytes).sum();
        eprintln!("{} in {}", Size(bytes), store.dir().display());
        lacks(store, &registry)?.iter().for_each(|words| eprintln!("{words}"));
    }
    Ok(exit::DONE)
}

/// Numbers stand below each other by their ends.
fn align<const N: usize>(rows: &mut [[String; N]], column: usize) {
    let wide = rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0).max(8);
    for row in rows {
        row[column] = format!("{:>wide$}", row[column]);
    }
}

fn state(store: &Store, item: &Item) -> String {
    let name = |path: PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    match (store.standing(item), &item.place) {
        (Standing::Here, Place::Store) => "here".to_owned(),
        (Standing::Here, Place::Linked(_)) => "linked".to_owned(),
        (Standing::Missing(path), _) => format!("{} is gone", name(path)),
        (Standing::Changed(path), _) => format!("{} has changed", name(path)),
    }
}

fn from(item: &Item) -> String {
    match &item.place {
        Place::Linked(path) => path.display().to_string(),
        Place::Store => {
            let first = item.files.first().and_then(|file| file.from.as_deref());
            first.and_then(|from| from.split_once('@')).map_or("a copy", |(repo, _)| repo).to_owned()
        }
    }
}

fn told(store: &Store, item: &Item) -> serde_json::Value {
    let state = match store.standing(item) {
        Standing::Here => "here",
        Standing::Missing(_) => "missing",
        Standing::Changed(_) => "changed",
    };
    let files: Vec<_> = item
        .files
        .iter()
        .map(|file| {
            let path = store.path(item, file);
            json!({ "path": path, "bytes": file.bytes, "blake3": file.blake3, "from": file.from })
        })
        .collect();
    json!({
        "name": item.name, "part": item.part, "holds": item.holds, "model": item.model, "state": state,
        "linked": item.place != Place::Store, "path": store.root(item), "bytes": item.bytes(), "licence": item.licence,
        "hub": item.hub, "added_ms": item.added_ms, "files": files,
    })
}

/// What the models that are here cannot be drawn without, and how it is got.
fn lacks(store: &Store, registry: &Registry) -> Result<Vec<String>, Failure> {
    let mut words = Vec::new();
    for item in registry.items.values().filter(|item| item.part == Part::Model) {
        let Some(model) = &item.model else { continue };
        let Some(set) = store.find(model)? else { continue };
        let needs = [
            (Part::ClipL, set.clip_l.is_none(), "clip-l"),
            (Part::ClipG, set.clip_g.is_none(), "clip-g"),
            (Part::T5, set.t5.is_none(), "t5xxl"),
            (Part::Vae, set.vae.is_none(), "vae"),
            (Part::Tokenizers, set.tokenizers.is_none(), "sd3.5-tokenizers"),
        ];
        let missing = needs.into_iter().filter(|(part, missing, _)| *missing && !item.holds.contains(part));
        for (part, _, name) in missing {
            let optional = if part == Part::T5 { " (it can be drawn without)" } else { "" };
            words.push(format!("{}: no {} is here{optional}; thumbforge weights pull {name}", item.name, part.word()));
        }
    }
    words.dedup();
    Ok(words)
}

fn available(context: &Context, store: &Store) -> Result<u8, BuildError> {
    let (offers, registry) = (Offers::built_in(), store.registry()?);
    let here = |name: &str| registry.items.get(name).is_some_and(|item| store.standing(item) == Standing::Here);
    if context.json {
        let all: Vec<_> = offers
            .all()
            .iter()
            .map(|offer| {
                json!({
                    "name": offer.name, "about": offer.about, "part": offer.part, "model": offer.model,
                    "repo": offer.repo, "bytes": offer.bytes(), "gated": offer.gated, "licence": offer.licence,
                    "with": offer.with, "here": here(&offer.name),
                })
            })
            .collect();
        print_out(&pretty(&all));
        return Ok(exit::DONE);
    }
    let mut rows: Vec<[String; 5]> = offers
        .all()
        .iter()
        .map(|offer| {
            let state = match (here(&offer.name), offer.gated) {
                (true, _) => "here",
                (false, true) => "token",
                (false, false) => "open",
            };
            let size = Size(offer.bytes()).to_string();
            [offer.name.clone(), size, offer.about.clone(), state.to_owned(), offer.licence.clone()]
        })
        .collect();
    align(&mut rows, 1);
    print_out(&table(["NAME", "    SIZE", "WHAT", "ACCESS", "LICENCE"], &rows));
    if !context.quiet {
        eprintln!(
            "\"token\" wants an account of the hub that accepted the licence; a model's text encoders and tokenizers come \
             along, unless --alone is said"
        );
    }
    Ok(exit::DONE)
}

/// The id of a model that somebody named.
fn model_id(name: Option<&str>) -> Result<Option<String>, Failure> {
    let Some(name) = name else { return Ok(None) };
    let catalogue = Catalogue::built_in();
    let row = catalogue.resolve(name);
    let row = row.map_err(|err| Failure::new(ErrorCode::UnknownModel, format!("failed to use the model: {err}")))?;
    Ok(Some(row.id.to_string()))
}

fn add(context: &Context, store: &Store, args: &AddArgs) -> Result<u8, BuildError> {
    let adoption = Adoption {
        path: args.path.clone(),
        name: args.name.clone(),
        part: args.part.map(Part::from),
        model: model_id(args.model.as_deref())?,
        copy: args.copy,
        force: args.force,
    };
    let hashing = meter::Hashing::new(shown(context));
    let item = hashing.run(|on_total, on| adopt::adopt(store, &adoption, on_total, on))?;
    if context.json {
        print_out(&pretty(&told(store, &item)));
        return Ok(exit::DONE);
    }
    let model = item.model.as_deref().map(|model| format!(" of {model}")).unwrap_or_default();
    let how = if args.copy { "copied" } else { "linked" };
    eprintln!("{how} {}: {}{model}, {}", item.name, item.part.word(), Size(item.bytes()));
    if item.part == Part::Model && item.model.is_none() {
        eprintln!("note: which model it draws cannot be seen; say --model ID --force, so that templates can name it");
    }
    Ok(exit::DONE)
}

/// Whether, and how, progress is shown.
fn shown(context: &Context) -> meter::Shown {
    match (context.json, context.quiet, std::io::stderr().is_terminal()) {
        (true, ..) => meter::Shown::Json,
        (_, true, _) => meter::Shown::Nothing,
        (_, _, true) => meter::Shown::Bar,
        _ => meter::Shown::Lines,
    }
}

fn verify(context: &Context, store: &Store, args: &VerifyArgs) -> Result<u8, BuildError> {
    let registry = store.registry()?;
    let items = chosen(&registry, &args.names)?;
    let hashing = meter::Hashing::new(match shown(context) {
        // One document at the end; the items are few.
        meter::Shown::Json => meter::Shown::Nothing,
        other => other,
    });
    let total = items.iter().map(|item| item.bytes()).sum();
    let results = hashing.run(|on_total, on| {
        on_total(total);
        items.iter().map(|item| Ok((*item, adopt::verify(store, item, on)?))).collect::<Result<Vec<_>, Failure>>()
    })?;
    let sound = |files: &[adopt::Verified]| files.iter().all(|file| file.verdict == Verdict::Same);
    let all_sound = results.iter().all(|(_, files)| sound(files));
    if context.json {
        let told: Vec<_> = results
            .iter()
            .map(|(item, files)| json!({ "name": item.name, "sound": sound(files), "files": files }))
            .collect();
        print_out(&pretty(&json!({ "sound": all_sound, "items": told })));
        return Ok(if all_sound { exit::DONE } else { exit::GATE });
    }
    for (item, files) in &results {
        if sound(files) {
            print_out(&format!("ok  {}  {}", item.name, Size(item.bytes())));
        }
        for file in files {
            let path = file.path.display();
            let (what, mend) = match &file.verdict {
                Verdict::Same => continue,
                Verdict::Differs => ("its bytes are not what they were".to_owned(), mend(item)),
                Verdict::Missing => ("it is gone".to_owned(), mend(item)),
                Verdict::Unreadable(why) => (why.clone(), String::new()),
            };
            print_out(&format!("--  {}  {path}: {what}{mend}", item.name));
        }
    }
    Ok(if all_sound { exit::DONE } else { exit::GATE })
}

fn mend(item: &Item) -> String {
    match &item.place {
        Place::Store if item.hub.is_some() => {
            format!("; thumbforge weights remove {}, and pull it again", item.name)
        }
        Place::Store => format!("; thumbforge weights remove {}, and add it again", item.name),
        Place::Linked(path) => {
            format!("; if that is right: thumbforge weights add --force --name {} {}", item.name, path.display())
        }
    }
}

fn chosen<'a>(registry: &'a Registry, names: &[String]) -> Result<Vec<&'a Item>, Failure> {
    if names.is_empty() {
        return Ok(registry.items.values().collect());
    }
    let find = |name: &String| {
        registry.items.get(name).ok_or_else(|| {
            let words = format!("failed to find {name:?}: there is no such item; `thumbforge weights list` lists all");
            Failure::new(ErrorCode::NotFound, words)
        })
    };
    names.iter().map(find).collect()
}

fn remove(context: &Context, store: &Store, args: &RemoveArgs) -> Result<u8, BuildError> {
    let mut removed = Vec::new();
    for name in &args.names {
        let freed = store.remove(name, args.keep_files)?;
        removed.push(json!({ "name": name, "freed_bytes": freed }));
        if !context.json && !context.quiet {
            match freed {
                0 => eprintln!("forgot {name}; its files are where they were"),
                freed => eprintln!("removed {name}: {} are free again", Size(freed)),
            }
        }
    }
    if context.json {
        print_out(&pretty(&removed));
    }
    Ok(exit::DONE)
}

fn pull(context: &Context, store: &Store, args: &PullArgs) -> Result<u8, BuildError> {
    let ended = runtime()?.block_on(pull_async(context, store, args));
    match ended {
        // Its lines are events, one each; so is its end.
        Err(failure) if context.json => {
            eprintln!("error[{}]: {}", failure.code, failure.message);
            meter::line(&json!({ "event": "failed", "code": failure.code, "message": failure.message }));
            Ok(exit::of(failure.code))
        }
        ended => ended.map_err(BuildError::from),
    }
}

async fn pull_async(context: &Context, store: &Store, args: &PullArgs) -> Result<u8, Failure> {
    let interrupted = interruption();
    let offers = Offers::built_in();
    let wish = Wish {
        what: args.what.clone(),
        files: args.files.clone(),
        t5: args.t5,
        alone: args.alone,
        name: args.name.clone(),
        model: model_id(args.model.as_deref())?,
        force: args.force,
    };
    let hub = Arc::new(hub(context, offers, args)?);
    let gated = offers.get(&wish.what).is_some_and(|offer| offer.gated);
    if gated && !args.dry_run {
        // It is wanted anyway; where it is missing, that shows before anything is got.
        hub.show_token()?;
    }
    let planned = tokio::select! {
        planned = plan::plan(&hub, store, offers, &wish) => planned?,
        () = interrupted.cancelled() => return Err(cancelled()),
    };
    let puller = Puller {
        hub: hub.clone(),
        store: store.clone(),
        connections: usize::from(args.connections),
        show: Arc::new(|_| {}),
        interrupted: interrupted.clone(),
    };
    let missing = puller.missing_bytes(&planned);
    tell_plan(context, store, &planned, missing);
    if args.dry_run || planned.items.is_empty() {
        return Ok(exit::DONE);
    }
    accept(context, store, &planned.licences(offers, &store.registry()?, &hub), args, &interrupted).await?;
    let meter = meter::Meter::new(shown(context), planned.items.iter().map(|item| item.bytes()).sum());
    let puller = Puller { show: meter.show(), ..puller };
    let ended = puller.carry_out(&planned).await;
    meter.finish();
    ended?;
    let names: Vec<&str> = planned.items.iter().map(|item| item.name.as_str()).collect();
    if context.json {
        meter::line(&json!({ "event": "done", "items": names, "here": planned.here }));
    } else if !context.quiet {
        eprintln!("{} in {}", if names.len() == 1 { "it is" } else { "they are" }, store.dir().display());
        lacks(store, &store.registry()?)?.iter().for_each(|words| eprintln!("{words}"));
    }
    Ok(exit::DONE)
}

fn cancelled() -> Failure {
    Failure::new(ErrorCode::Cancelled, "failed to pull: it was interrupted; nothing was got")
}

fn hub(context: &Context, offers: &Offers, args: &PullArgs) -> Result<Hub, Failure> {
    let settings = &context.user.hub;
    let named = args.endpoint.clone().or_else(|| variable("HF_ENDPOINT").filter(|text| !text.trim().is_empty()));
    let endpoint = match (&named, &settings.endpoint) {
        (Some(text), _) => weights::endpoint(text.trim())?,
        (None, Some(address)) => address.0.clone(),
        (None, None) => weights::endpoint(&offers.endpoint)?,
    };
    let said = args.token.as_deref().map(|text| token::parse(text, Path::new(""), &variable)).transpose();
    let said = said.map_err(|why| invalid(format!("failed to read --token: {why}")))?;
    let token = said.or_else(|| settings.token.as_ref().map(|token| token.0.clone()));
    Hub::new(endpoint, token.or_else(|| token::ambient(context.ambient, &variable)))
}

/// What will come, for whoever decides whether it shall.
fn tell_plan(context: &Context, store: &Store, plan: &Plan, missing: u64) {
    let total: u64 = plan.items.iter().map(|item| item.bytes()).sum();
    if context.json {
        let items: Vec<_> = plan
            .items
            .iter()
            .map(|item| {
                let file = |file: &plan::PlannedFile| {
                    json!({
                        "repo": file.repo, "commit": file.commit, "path": file.listed.path, "to": file.to,
                        "bytes": file.listed.bytes, "sha256": file.listed.sha256,
                    })
                };
                let files: Vec<_> = item.files.iter().map(file).collect();
                json!({ "name": item.name, "licence": item.licence, "bytes": item.bytes(), "files": files })
            })
            .collect();
        return meter::line(&json!({
            "event": "plan", "dir": store.dir(), "bytes": total, "missing_bytes": missing, "items": items,
            "here": plan.here,
        }));
    }
    if context.quiet {
        return;
    }
    if plan.items.is_empty() {
        return eprintln!("here already: {}", plan.here.join(", "));
    }
    let mut rows: Vec<[String; 4]> = plan
        .items
        .iter()
        .map(|item| {
            let licence = item.licence.clone().unwrap_or_else(|| "none named".to_owned());
            [item.name.clone(), Size(item.bytes()).to_string(), licence, item.repo.clone()]
        })
        .collect();
    align(&mut rows, 1);
    eprint!("{}", table(["ITEM", "    SIZE", "LICENCE", "FROM"], &rows));
    let left = if missing == total { String::new() } else { format!(", {} of it missing", Size(missing)) };
    eprintln!("{}{left}, into {}", Size(total), store.dir().display());
    if !plan.here.is_empty() {
        eprintln!("here already: {}", plan.here.join(", "));
    }
}

/// Has the licences accepted, by flag or by a person at a terminal, and writes that down.
async fn accept(
    context: &Context,
    store: &Store,
    licences: &[Licence],
    args: &PullArgs,
    interrupted: &CancellationToken,
) -> Result<(), Failure> {
    for licence in licences {
        let said = args.accept.iter().any(|id| id.eq_ignore_ascii_case(&licence.id));
        let person = std::io::stdin().is_terminal() && std::io::stderr().is_terminal() && !context.json;
        if !said || !context.quiet {
            eprintln!("\n{} ({})\n{}\n  {}\n", licence.name, licence.id, indented(&licence.notice), licence.url);
        }
        let accepted = said || (person && asked(&licence.id, interrupted).await?);
        if !accepted {
            return Err(Failure::new(
                ErrorCode::LicenceDenied,
                format!(
                    "failed to pull: its licence is not accepted; read it at {}, and say --accept-licence {}",
                    licence.url, licence.id
                ),
            ));
        }
        let entry = Accepted { url: licence.url.clone(), at_ms: Clock::Machine.now_ms() };
        store.change(|registry| {
            registry.accepted.insert(licence.id.clone(), entry);
            Ok(())
        })?;
    }
    Ok(())
}

fn indented(text: &str) -> String {
    text.trim().lines().map(|line| format!("  {}", line.trim())).collect::<Vec<_>>().join("\n")
}

/// Asks the person at the terminal.
async fn asked(id: &str, interrupted: &CancellationToken) -> Result<bool, Failure> {
    eprint!("Do you accept {id}? [y/N] ");
    // A terminal that is gone says nothing.
    let _ = std::io::stderr().flush();
    let (tell, told) = tokio::sync::oneshot::channel();
    // A thread of its own: reading a terminal cannot be taken back, and nothing waits for this one.
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line);
        let _ = tell.send(read.is_ok() && matches!(line.trim(), "y" | "Y" | "yes" | "Yes"));
    });
    tokio::select! {
        answer = told => Ok(answer.unwrap_or(false)),
        () = interrupted.cancelled() => Err(cancelled()),
    }
}
