//! `thumbforge export`: copies for stores, signed where a key is named, and the disclosure of what models made.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Args;
use serde_json::{Value, json};
use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::manifest::Overrides;

use super::{Context, exit, pretty, print_out};
use crate::build::{self, BuildError, Project, Source};
use crate::export::{Copied, Copier, Disclosure, Format, KeySource, Options, Picture, gather};
use crate::output::c2pa;
use crate::output::write::{Patience, write_atomic};

/// Most pictures that a message names; the JSON has them all.
const NAMED_MAX: usize = 5;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  thumbforge export --out Store                                       copies that say where they come from
  thumbforge export --out Store --sign-cert chain.pem --sign-key key.pem    the same, signed (C2PA)
  thumbforge export --out Store --sign-cert chain.pem --sign-key-env SIGN_KEY    with the key of a CI's secrets
  thumbforge export --disclosure --format csv > disclosure.csv        what models made, for a form
Only pictures as they were built are exported; the project's own files stay as they are. docs/provenance.md has the rest.")]
pub(super) struct ExportArgs {
    /// Folder of the manifest, or the manifest itself [default: this folder]
    #[arg(value_name = "MANIFEST-DIR")]
    manifest: Option<PathBuf>,
    /// The folder that copies go to
    #[arg(long, value_name = "DIR", required_unless_present = "disclosure")]
    out: Option<PathBuf>,
    /// Only these assets
    #[arg(long, value_name = "A", value_delimiter = ',')]
    asset: Option<Vec<String>>,
    /// Only these locales
    #[arg(long, value_name = "L", value_delimiter = ',')]
    locale: Option<Vec<String>>,
    /// Sign copies with this chain of certificates in PEM, the signer's own first
    #[arg(long, value_name = "FILE", requires = "out", requires = "key")]
    sign_cert: Option<PathBuf>,
    /// The key of the certificate in PEM (PKCS #8); nobody else may be able to read the file
    #[arg(long, value_name = "FILE", group = "key", requires = "sign_cert")]
    sign_key: Option<PathBuf>,
    /// The variable of the environment that holds the key itself
    #[arg(long, value_name = "NAME", group = "key", requires = "sign_cert")]
    sign_key_env: Option<String>,
    /// Leave prompts, words and settings out of the copies
    #[arg(long, requires = "out")]
    without_recipe: bool,
    /// List every picture, and what models had a part in it; into the folder of --out where there is one
    #[arg(long)]
    disclosure: bool,
    /// How the list is written: csv, json or md [default: md, and json with --json]
    #[arg(long, value_name = "FORMAT", requires = "disclosure", value_parser = format)]
    format: Option<Format>,
    /// Exit 7 unless somebody has accepted every picture as it is ("approved")
    #[arg(long, value_name = "WHAT", value_parser = ["approved"])]
    require: Option<String>,
}

fn format(word: &str) -> Result<Format, String> {
    Format::ALL.into_iter().find(|format| format.word() == word).ok_or_else(|| "write csv, json or md".to_owned())
}

impl ExportArgs {
    fn key(&self) -> Option<KeySource> {
        let file = self.sign_key.clone().map(KeySource::File);
        file.or_else(|| self.sign_key_env.clone().map(KeySource::Variable))
    }
}

/// What became of the copies.
struct Copies {
    root: PathBuf,
    /// By the number of the picture.
    done: BTreeMap<usize, Copied>,
    /// By the number of the picture.
    failed: BTreeMap<usize, Failure>,
}

/// `thumbforge export`.
pub(super) fn export(context: &Context, args: &ExportArgs) -> Result<u8, BuildError> {
    let now = SystemTime::now();
    // Before anything is read or written, the key is tried.
    let signer = signer(args)?;
    let market = context.shelf()?.now();
    let source = Source::Manifest(args.manifest.clone().unwrap_or_else(|| PathBuf::from(".")));
    let overrides = Overrides { assets: args.asset.clone(), locales: args.locale.clone(), ..Overrides::default() };
    let mut project = Project::open(&source, &overrides, &market.catalogue, &context.data_dir, now)?;
    let own = build::own_rows(&project.folder)?;
    let catalogue = market.catalogue.with_rows(own).map_err(|err| {
        Failure::new(ErrorCode::InvalidManifest, format!("failed to read {}: {err}", build::MODELS_FILE))
    })?;
    let pictures = gather(&mut project, &catalogue, &context.data_dir, now);
    let refused = refused(args, &pictures);
    let copies = match &args.out {
        // Nothing leaves that nobody has looked at.
        Some(out) if refused.is_empty() => Some(copy(context, args, &project, &pictures, out, signer)?),
        _ => None,
    };
    let disclosure = args.disclosure.then(|| Disclosure::of(&project.name, &pictures));
    let format = args.format.unwrap_or(if context.json { Format::Json } else { Format::Markdown });
    let list = match (&disclosure, &copies) {
        (Some(disclosure), Some(copies)) => Some(write_list(disclosure, format, &copies.root)?),
        _ => None,
    };
    let is_whole = pictures.iter().all(|picture| picture.fault.is_none())
        && copies.as_ref().is_none_or(|copies| copies.failed.is_empty());
    let code = match (refused.is_empty(), is_whole) {
        (false, _) => exit::GATE,
        (true, false) => exit::FAILED,
        (true, true) => exit::DONE,
    };
    say(context, args, &pictures, copies.as_ref(), &refused);
    if let Some(list) = &list
        && !context.quiet
    {
        eprintln!("the disclosure is in {}", list.display());
    }
    match &disclosure {
        Some(disclosure) if copies.is_none() && args.out.is_none() => print_out(&disclosure.to_text(format)),
        _ if context.json => {
            print_out(&pretty(&report(&pictures, copies.as_ref(), disclosure.as_ref(), &refused, code)));
        }
        _ => {}
    }
    project.save_stat_cache();
    Ok(code)
}

#[cfg(feature = "dist")]
fn signer(args: &ExportArgs) -> Result<Option<c2pa::Signer>, Failure> {
    use crate::export::{read_chain, read_key};
    use thumbforge_core::error::chain;
    let (Some(cert), Some(key)) = (&args.sign_cert, args.key()) else { return Ok(None) };
    let signer = c2pa::Signer::new(&read_chain(cert)?, &read_key(&key)?);
    signer.map(Some).map_err(|err| Failure::new(ErrorCode::InputFile, format!("failed to {}", chain(&err))))
}

/// A build that cannot sign says so before it does half of what was asked.
#[cfg(not(feature = "dist"))]
fn signer(args: &ExportArgs) -> Result<Option<()>, Failure> {
    match (&args.sign_cert, args.key()) {
        (None, None) => Ok(None),
        _ => Err(Failure::new(ErrorCode::InvalidRequest, format!("failed to {}", c2pa::NOT_HERE))),
    }
}

fn copy(
    context: &Context,
    args: &ExportArgs,
    project: &Project,
    pictures: &[Picture],
    out: &Path,
    #[cfg(feature = "dist")] signer: Option<c2pa::Signer>,
    #[cfg(not(feature = "dist"))] _signer: Option<()>,
) -> Result<Copies, BuildError> {
    let options = Options {
        out: out.to_owned(),
        export: project.export.clone(),
        without_recipe: args.without_recipe,
        #[cfg(feature = "dist")]
        signer,
    };
    let wanted = project.expansion.wanted.iter().map(|wanted| wanted.output.as_str());
    let outputs = wanted.chain(project.lock.lines().iter().map(|line| line.output.as_str()));
    let mut copier = Copier::new(options, &project.root, outputs)?;
    let (mut done, mut failed) = (BTreeMap::new(), BTreeMap::new());
    for (at, picture) in pictures.iter().enumerate() {
        match copier.copy(picture, &project.root) {
            Ok(copied) => drop(done.insert(at, copied)),
            Err(failure) => drop(failed.insert(at, failure)),
        }
    }
    if !context.quiet {
        let signed = done.values().filter(|copied| copied.c2pa.is_some()).count();
        let signed = if signed > 0 { format!(", {signed} of them signed") } else { String::new() };
        let lost = if failed.is_empty() { String::new() } else { format!("; {} failed", failed.len()) };
        eprintln!("{} exported to {}{signed}{lost}", done.len(), copier.root().display());
    }
    Ok(Copies { root: copier.root().to_owned(), done, failed })
}

/// Which pictures nobody has accepted as they are, where that is asked for.
fn refused(args: &ExportArgs, pictures: &[Picture]) -> Vec<String> {
    if args.require.is_none() {
        return Vec::new();
    }
    let is_accepted = |picture: &&Picture| {
        picture.fault.is_none() && picture.approval.as_ref().is_some_and(|approval| approval.state == "accepted")
    };
    pictures.iter().filter(|picture| !is_accepted(picture)).map(|picture| picture.path.clone()).collect()
}

fn write_list(disclosure: &Disclosure, format: Format, root: &Path) -> Result<PathBuf, Failure> {
    let file = root.join(format!("disclosure.{}", format.word()));
    write_atomic(&file, disclosure.to_text(format).as_bytes(), &Patience::usual())
        .map_err(|err| Failure::new(err.code(), format!("failed to {}", thumbforge_core::error::chain(&err))))?;
    Ok(file)
}

/// Words for people, on stderr.
fn say(context: &Context, args: &ExportArgs, pictures: &[Picture], copies: Option<&Copies>, refused: &[String]) {
    let faults = pictures.iter().filter_map(|picture| picture.fault.as_ref()).map(|fault| &fault.failure);
    let failures: Vec<&Failure> = match copies {
        Some(copies) => copies.failed.values().collect(),
        None => faults.collect(),
    };
    for failure in failures.iter().take(NAMED_MAX) {
        eprintln!("error[{}]: {}", failure.code, failure.message);
    }
    if failures.len() > NAMED_MAX {
        eprintln!("… and {} more; --json has them all", failures.len() - NAMED_MAX);
    }
    if !refused.is_empty() {
        let named: Vec<&str> = refused.iter().take(NAMED_MAX).map(String::as_str).collect();
        let more = refused.len().saturating_sub(NAMED_MAX);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        eprintln!("error: nobody has accepted {}{more} as it is; nothing was exported", named.join(", "));
    }
    let stale = pictures.iter().filter(|picture| picture.stale && picture.fault.is_none()).count();
    if stale > 0 && !context.quiet {
        eprintln!("note: of {stale} the manifest wants something else by now; `thumbforge batch` builds them anew");
    }
    if copies.is_some() && args.sign_cert.is_none() && !context.quiet {
        eprintln!("note: nothing was signed; name a certificate and its key with --sign-cert and --sign-key");
    }
}

/// What scripts read.
fn report(
    pictures: &[Picture],
    copies: Option<&Copies>,
    disclosure: Option<&Disclosure>,
    refused: &[String],
    code: u8,
) -> Value {
    let copied = |at: usize| copies.and_then(|copies| copies.done.get(&at));
    let failed = |at: usize| copies.and_then(|copies| copies.failed.get(&at));
    let item = |(at, picture): (usize, &Picture)| {
        let copy = copied(at);
        let fault = picture.fault.as_ref().map(|fault| &fault.failure);
        json!({
            "asset": picture.asset,
            "locale": picture.locale,
            "path": picture.path,
            "stale": picture.stale,
            "source_type": picture.source_type,
            "of_model": picture.of_model,
            "file": copy.map(|copy| &copy.file),
            "file_bytes": copy.map(|copy| copy.file_bytes),
            "c2pa": copy.and_then(|copy| copy.c2pa.as_ref()),
            "error": failed(at).or(fault),
        })
    };
    json!({
        "exit": code,
        "out": copies.map(|copies| copies.root.display().to_string()),
        "exported": copies.map_or(0, |copies| copies.done.len()),
        "refused": refused,
        "items": pictures.iter().enumerate().map(item).collect::<Vec<_>>(),
        "disclosure": disclosure,
    })
}
