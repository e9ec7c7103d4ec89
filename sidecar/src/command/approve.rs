//! `approve`: a person's decision on one picture, and the way of a draft into the project.
//!
//! ```text
//! picture in its place ────────────────────────────────────────────────────────┐
//! draft (--from) ─► its seed into the manifest ─► its file, .meta and lock line ─┴─► a line of thumbforge.approvals
//!                                └─► a final that is made from drafts: the next build makes it
//! ```
//! Each step may be done again, so a command that was cut off is simply given once more.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::{Value, json};
use thumbforge_core::approvals::{Approval, Decision};
use thumbforge_core::day::Day;
use thumbforge_core::error::{ErrorCode, Failure, chain};
use thumbforge_core::id::PixelHash;
use thumbforge_core::lock::{DrawnBy, LockLine};
use thumbforge_core::manifest::{Overrides, Wanted};
use thumbforge_core::model::Catalogue;
use thumbforge_core::plan::Action;
use thumbforge_core::recipe::{Intent, Recipe, Tier};

use super::asked::short;
use super::{exit, invalid, seed};
use crate::build::{self, BuildError, Item, Project, Source};
use crate::output::observe::{Observed, observe_all};
use crate::output::png::{self, DecodeLimits};
use crate::output::provenance::Provenance;

/// The role of whoever names none.
pub const ROLE_DEFAULT: &str = "reviewer";

/// A decision that somebody makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The manifest, or its folder.
    pub manifest: PathBuf,
    /// Name of the asset.
    pub asset: String,
    /// BCP 47 tag; empty for a picture without locale.
    pub locale: String,
    /// What is decided.
    pub decision: Decision,
    /// Who decides.
    pub person: String,
    /// As what.
    pub role: String,
    /// Why.
    pub note: String,
    /// A folder of drafts, when the decision is on a draft.
    pub from: Option<PathBuf>,
    /// The pixels that the person looked at; without, those that are there.
    pub pixels: Option<PixelHash>,
    /// Whether a draft may replace a file that was changed by hand or is not ours.
    pub force: bool,
}

/// What became of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// What is to be said of it; empty when it is written down and that is all.
    pub message: String,
    /// The output in the project.
    pub path: String,
    /// The pixels that were decided on.
    pub pixels: PixelHash,
    /// The seed that the manifest has been given.
    pub seed: Option<u64>,
}

/// Writes the decision down.
///
/// # Errors
/// Mistakes in the team's files, a picture that is not there, or what cannot be written.
pub fn approve(order: &Order, data_dir: &Path) -> Result<Decided, BuildError> {
    let now = SystemTime::now();
    let mut project = open(order, Source::Manifest(order.manifest.clone()), None, data_dir, now)?;
    let wanted = find(&project, order)?;
    let draft = order.from.as_deref().map(|from| Draft::find(order, from, &wanted, data_dir, now)).transpose()?;
    let pixels = match &draft {
        Some(draft) => draft.line.pixels,
        None => pixels_in_place(&mut project, &wanted, now)?,
    };
    if order.pixels.is_some_and(|seen| seen != pixels) {
        let message =
            format!("failed to decide on {}: it has changed since you looked at it; look again", wanted.output);
        return Err(Failure::new(ErrorCode::InputFile, message).into());
    }
    let approval = Approval {
        asset: wanted.asset.name.clone(),
        locale: wanted.asset.locale.clone(),
        role: order.role.clone(),
        decision: order.decision,
        pixels,
        person: order.person.clone(),
        date: date(now),
        note: order.note.clone(),
    };
    // Before anything is written for it.
    approval.check().map_err(|err| invalid(format!("failed to {err}")))?;
    let decided = Decided { message: String::new(), path: wanted.output.clone(), pixels, seed: None };
    let Some(draft) = draft else {
        write_down(&project, data_dir, approval)?;
        return Ok(decided);
    };
    if order.decision == Decision::Rejected {
        // A draft that nobody wants says nothing of the picture in the project, and takes no decision on it away.
        let locked = project.lock.get(&wanted.output).map(|line| line.pixels);
        let of_role = |line: &&Approval| line.role == approval.role;
        let standing = project.approvals.of(&approval.asset, &approval.locale).iter().find(of_role);
        if standing.is_some_and(|line| Some(line.pixels) == locked && line.pixels != pixels) {
            let message = "the draft is rejected; the decision on the picture in the project stands".to_owned();
            return Ok(Decided { message, ..decided });
        }
        write_down(&project, data_dir, approval)?;
        return Ok(decided);
    }
    check_draft(&wanted, &draft)?;
    let survey = build::survey(&mut project, &crate::engine::cards_of_this_build(), order.force, false, now);
    check_place(&project, &survey, &wanted)?;
    let seed = keep_seed(&project, &wanted, &draft)?;
    if wanted.recipe.draft.is_some() {
        // The draft is no final: that is made from it, and then looked at by itself.
        let message = "the draft is accepted; build the project to make the final from it".to_owned();
        return Ok(Decided { message, seed, ..decided });
    }
    build::leave_profiles(&project)?;
    build::place(&mut project, &wanted, &draft.bytes, draft.line)?;
    write_down(&project, data_dir, approval)?;
    project.save_stat_cache();
    Ok(Decided { seed, ..decided })
}

/// The answer of the command.
pub fn answer(decided: Result<Decided, BuildError>) -> Value {
    match decided {
        Ok(decided) => json!({
            "exit": exit::DONE,
            "message": decided.message,
            "path": decided.path,
            "pixels": decided.pixels,
            "seed": decided.seed,
        }),
        Err(error) => json!({
            "exit": exit::of_error(&error),
            "message": short(&error.failure().message),
            "path": null,
            "pixels": null,
            "seed": null,
        }),
    }
}

fn open(
    order: &Order,
    source: Source,
    tier: Option<Tier>,
    data_dir: &Path,
    now: SystemTime,
) -> Result<Project, BuildError> {
    let overrides = Overrides {
        assets: Some(vec![order.asset.clone()]),
        locales: (!order.locale.is_empty()).then(|| vec![order.locale.clone()]),
        tier,
        ..Overrides::default()
    };
    Project::open(&source, &overrides, &Catalogue::built_in(), data_dir, now)
}

fn find(project: &Project, order: &Order) -> Result<Wanted, Failure> {
    let wanted = &project.expansion.wanted;
    // The project was read for that locale alone, however it is spelt.
    let is_it = |wanted: &&Wanted| wanted.asset.locale.is_empty() == order.locale.is_empty();
    if let Some(found) = wanted.iter().find(is_it) {
        return Ok(found.clone());
    }
    let locales: Vec<&str> = wanted.iter().map(|wanted| wanted.asset.locale.as_str()).take(12).collect();
    let (asset, what) = (&order.asset, if order.locale.is_empty() { "without locale" } else { "in that locale" });
    Err(invalid(match locales.is_empty() {
        true => format!("failed to find the picture: {asset:?} has none {what}"),
        false => {
            format!("failed to find the picture: {asset:?} has none {what}; its locales are {}", locales.join(", "))
        }
    }))
}

/// What lies in the project now.
fn pixels_in_place(project: &mut Project, wanted: &Wanted, now: SystemTime) -> Result<PixelHash, Failure> {
    let output = wanted.output.as_str();
    let line = project.lock.get(output).cloned();
    let seen = observe_all(&project.root, &[output], &mut project.stat_cache, now).into_iter().next();
    let locked = |sha256| line.as_ref().filter(|line| line.sha256 == sha256).map(|line| line.pixels);
    match seen {
        None | Some(Observed::Missing) => Err(Failure::new(
            ErrorCode::NotFound,
            format!("failed to find the picture {output}: it has not been made yet; build it first"),
        )),
        Some(Observed::File { sha256 }) => match locked(sha256) {
            Some(pixels) => Ok(pixels),
            None => decoded(&project.root.join(output)).map(|(_, pixels)| pixels),
        },
        Some(Observed::LfsPointer { oid }) => locked(oid).ok_or_else(|| {
            let message = format!("failed to look at {output}: it is a Git LFS pointer; fetch it with `git lfs pull`");
            Failure::new(ErrorCode::InputFile, message)
        }),
        Some(Observed::NotAFile) => {
            Err(Failure::new(ErrorCode::InputFile, format!("failed to look at {output}: what lies there is no file")))
        }
        Some(Observed::Unreadable(why)) => {
            Err(Failure::new(ErrorCode::InputFile, format!("failed to look at {output}: {why}")))
        }
    }
}

fn decoded(path: &Path) -> Result<(Vec<u8>, PixelHash), Failure> {
    let failed =
        |why: String| Failure::new(ErrorCode::InputFile, format!("failed to look at {}: {why}", path.display()));
    let mut bytes = Vec::new();
    let bytes_max = DecodeLimits::ART.file_bytes_max as u64;
    let file = std::fs::File::open(path).map_err(|err| failed(err.to_string()))?;
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(|err| failed(err.to_string()))?;
    let picture = png::decode(&bytes, DecodeLimits::ART).map_err(|err| failed(format!("failed to {}", chain(&err))))?;
    Ok((bytes, picture.hash()))
}

/// A draft of the image, as it would stand in the project's lock.
struct Draft {
    bytes: Vec<u8>,
    line: LockLine,
    provenance: Provenance,
}

impl Draft {
    /// Drafts lie where finals would, below a folder of their own; what an output path makes of the tier included.
    fn find(order: &Order, from: &Path, wanted: &Wanted, data_dir: &Path, now: SystemTime) -> Result<Self, BuildError> {
        let missing = |what: String| Failure::new(ErrorCode::NotFound, format!("failed to find the draft: {what}"));
        if !from.is_dir() {
            return Err(missing(format!("there is no folder {}", from.display())).into());
        }
        let source = Source::Drafts { manifest: order.manifest.clone(), out: from.to_owned() };
        let drafts = open(order, source, Some(Tier::Preview), data_dir, now)?;
        let preview = find(&drafts, order)?.output;
        let there = |output: &&String| drafts.root.join(output).is_file();
        let outputs = [&preview, &wanted.output];
        let output = outputs
            .into_iter()
            .find(there)
            .ok_or_else(|| missing(format!("{} has no {preview}; draw it with `batch --out`", from.display())))?;
        let file = drafts.root.join(output);
        let (bytes, pixels) = decoded(&file)?;
        let sha256 = build::sha256(&bytes);
        if drafts.lock.get(output).is_some_and(|line| line.sha256 != sha256) {
            let message = format!("failed to take the draft {}: it was changed by hand; draw it anew", file.display());
            return Err(Failure::new(ErrorCode::InputFile, message).into());
        }
        let provenance = png::read_provenance(&bytes).ok().flatten().filter(Provenance::keys_agree);
        let provenance = provenance.ok_or_else(|| {
            let why = "it does not say how it was drawn, so it could not be drawn again; draw it anew";
            Failure::new(ErrorCode::InputFile, format!("failed to take the draft {}: {why}", file.display()))
        })?;
        let drawn_by = DrawnBy {
            engine: provenance.realisation.engine.clone(),
            version: provenance.realisation.engine_version.clone(),
            device_class: provenance.realisation.device_class.clone(),
        };
        let line = LockLine {
            output: wanted.output.clone(),
            planned: provenance.planned_key,
            realised: provenance.realised_key,
            pixels,
            sha256,
            drawn_by: Arc::new(drawn_by),
        };
        Ok(Self { bytes, line, provenance })
    }
}

/// A draft goes over a picture of ours, and over nobody else's.
fn check_place(project: &Project, survey: &build::Survey, wanted: &Wanted) -> Result<(), Failure> {
    let at = project.expansion.wanted.iter().position(|other| other.output == wanted.output);
    let planned = survey.plan.items.iter().find(|item| Some(item.wanted) == at);
    match planned.map(|planned| &planned.action) {
        Some(action @ Action::Keep(_)) => {
            let why = Item::planned(wanted, action).note.unwrap_or_default();
            Err(Failure::new(ErrorCode::OutputFile, format!("failed to put the draft at {}: {why}", wanted.output)))
        }
        _ => Ok(()),
    }
}

/// A final that is made from drafts is made from this one only while the manifest still says what drew it.
fn check_draft(wanted: &Wanted, draft: &Draft) -> Result<(), Failure> {
    let Some(as_draft) = wanted.recipe.as_draft() else { return Ok(()) };
    let seed = Some(draft.provenance.realisation.seed);
    let key = |recipe: Recipe| Recipe { seed, ..recipe }.planned_key();
    if key(as_draft) == key(draft.provenance.recipe.clone()) {
        return Ok(());
    }
    let message = format!(
        "failed to accept the draft of {}: the manifest has changed since it was drawn, so the final would show something \
         else; draw it anew",
        wanted.output
    );
    Err(Failure::new(ErrorCode::InputFile, message))
}

/// Without its seed the final would show something else than what was accepted.
fn keep_seed(project: &Project, wanted: &Wanted, draft: &Draft) -> Result<Option<u64>, Failure> {
    let seed = draft.provenance.realisation.seed;
    // The team's own picture is not drawn, so no seed decides it.
    let is_drawn = wanted.recipe.art.is_none() || wanted.recipe.intent == Intent::Edit;
    if !is_drawn || wanted.recipe.drawing_seed() == seed {
        return Ok(None);
    }
    Ok(seed::keep(project, std::slice::from_ref(&wanted.asset.name), seed)?.then_some(seed))
}

fn write_down(project: &Project, data_dir: &Path, approval: Approval) -> Result<(), BuildError> {
    let path = build::approvals_path(&project.folder);
    let is_new = !path.exists();
    build::make_writable(project, &path)?;
    build::decide(&project.folder, data_dir, approval)?;
    if is_new {
        build::announce(project, &[path]);
    }
    Ok(())
}

/// Today, in UTC.
fn date(now: SystemTime) -> String {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Day::of_ms(since.as_millis() as u64).to_string()
}
