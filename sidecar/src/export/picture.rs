//! One picture of the project as it stands: its file, how it came to be, and what people decided on it.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use thumbforge_core::day::Day;
use thumbforge_core::error::{ErrorCode, Failure, chain};
use thumbforge_core::id::{ContentHash, RealisedKey};
use thumbforge_core::lock::LockLine;
use thumbforge_core::manifest::Wanted;
use thumbforge_core::model::{Catalogue, ModelRow};
use thumbforge_core::recipe::Intent;

use crate::build::{Approved, Project};
use crate::journal::{self, Reader, ops};
use crate::output::observe::{Observed, observe_all};
use crate::output::origin::{self, Ground, SourceType};
use crate::output::png::{self, DecodeLimits};
use crate::output::provenance::Provenance;
use crate::output::xmp;

/// A picture of the project.
#[derive(Debug)]
pub struct Picture {
    /// Name of the asset.
    pub asset: String,
    /// BCP 47 tag; empty where it has none.
    pub locale: String,
    /// Where it lies, relative to the manifest.
    pub path: String,
    /// Its line of the lock; absent where it was never built.
    pub line: Option<LockLine>,
    /// How it came to be, as its file says; absent where the file cannot be asked.
    pub provenance: Option<Provenance>,
    /// Its term of IPTC's Digital Source Type, where it has one.
    pub source_type: Option<SourceType>,
    /// Whether a trained model had a part in it.
    pub of_model: bool,
    /// The catalogue's row of its model.
    pub model: Option<ModelRow>,
    /// When it was made.
    pub made: Option<Made>,
    /// What was decided on its pixels.
    pub approval: Option<Approved>,
    /// The team's own picture that it was made from, where it is still what it was.
    pub source: Option<PathBuf>,
    /// Whether the manifest wants something else by now.
    pub stale: bool,
    /// Why it cannot be exported.
    pub fault: Option<Fault>,
}

/// When a picture was made, and who says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    /// The day, in UTC.
    pub day: Day,
    /// "journal", or "file" for the time of the file, which a checkout sets anew.
    pub by: &'static str,
}

/// Why a picture cannot be exported.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// What it is: `missing`, `changed`, `unfetched` or `unreadable`.
    pub state: &'static str,
    /// In words.
    pub failure: Failure,
}

/// Looks at every picture that `project` wants, in order of their paths. It reads files, so it is nothing for an async
/// thread.
pub fn gather(project: &mut Project, catalogue: &Catalogue, data_dir: &Path, now: SystemTime) -> Vec<Picture> {
    let outputs: Vec<&str> = project.expansion.wanted.iter().map(|wanted| wanted.output.as_str()).collect();
    let observed = observe_all(&project.root, &outputs, &mut project.stat_cache, now);
    // Without a journal the files' own times are all that is known.
    let reader = journal::peek(&data_dir.join("journal.sqlite")).ok().flatten();
    let look = |(wanted, seen): (&Wanted, Observed)| picture(project, wanted, &seen, catalogue, reader.as_ref());
    project.expansion.wanted.iter().zip(observed).map(look).collect()
}

fn picture(
    project: &Project,
    wanted: &Wanted,
    seen: &Observed,
    catalogue: &Catalogue,
    reader: Option<&Reader>,
) -> Picture {
    let line = project.lock.get(&wanted.output).cloned();
    let file = project.root.join(&wanted.output);
    let read = look(&file, line.as_ref(), seen);
    let (provenance, fault) = match read {
        Ok(provenance) => (Some(provenance), None),
        Err(fault) => (None, Some(fault)),
    };
    let (source, own) = provenance.as_ref().map_or((None, None), |said| own_picture(project, wanted, said));
    let source_type = provenance.as_ref().and_then(|said| origin::source_type(said, own.as_deref()));
    // Where the file cannot be asked the lock says who drew it.
    let engine = provenance.as_ref().map(|said| said.realisation.engine.as_str());
    let engine = engine.or(line.as_ref().map(|line| line.drawn_by.engine.as_str()));
    let of_model = match source_type {
        Some(known) => known.is_of_model(),
        None => provenance.is_none() && engine.is_some_and(|engine| !matches!(engine, "builtin" | "file")),
    };
    Picture {
        asset: wanted.asset.name.clone(),
        locale: wanted.asset.locale.clone(),
        path: wanted.output.clone(),
        // No model of the catalogue has a part in the team's own picture, whatever made that.
        model: provenance.as_ref().filter(|said| !is_own(said)).and_then(|said| catalogue.get(&said.model)).cloned(),
        made: line.as_ref().and_then(|line| made(reader, line.realised, &file)),
        approval: line.as_ref().and_then(|line| project.approval(&wanted.asset, Some(line.pixels))),
        stale: line.as_ref().is_some_and(|line| line.planned != wanted.planned),
        line,
        provenance,
        source_type,
        of_model,
        source,
        fault,
    }
}

/// Whether the art is the team's own picture.
pub(super) fn is_own(said: &Provenance) -> bool {
    Ground::of(&said.realisation.engine, &said.recipe) == Ground::OwnPicture
}

/// Whether a model changed a picture of the team's.
#[cfg(feature = "dist")]
pub(super) fn is_changed_by_model(said: &Provenance) -> bool {
    Ground::of(&said.realisation.engine, &said.recipe) == Ground::ModelOverPicture
}

/// What the file says of itself, if it is the file that the lock knows.
fn look(file: &Path, line: Option<&LockLine>, seen: &Observed) -> Result<Provenance, Fault> {
    let name = file.display();
    let fault = |state, code, why: String| Fault {
        state,
        failure: Failure::new(code, format!("failed to export {name}: {why}")),
    };
    let Some(line) = line else {
        return Err(fault(
            "missing",
            ErrorCode::NotFound,
            "the lock does not know it; build it with `thumbforge batch`".to_owned(),
        ));
    };
    match seen {
        Observed::File { sha256 } if *sha256 == line.sha256 => {}
        Observed::File { .. } => {
            let why = "it was changed since it was built; build it anew, or take the change out";
            return Err(fault("changed", ErrorCode::InputFile, why.to_owned()));
        }
        Observed::LfsPointer { .. } => {
            let why = "it is a Git LFS pointer; fetch it with `git lfs pull`";
            return Err(fault("unfetched", ErrorCode::InputFile, why.to_owned()));
        }
        Observed::Missing => {
            let why = "there is no such file; build it with `thumbforge batch`";
            return Err(fault("missing", ErrorCode::NotFound, why.to_owned()));
        }
        Observed::NotAFile => {
            return Err(fault("unreadable", ErrorCode::InputFile, "what lies there is no file".to_owned()));
        }
        Observed::Unreadable(why) => return Err(fault("unreadable", ErrorCode::InputFile, why.clone())),
    }
    match png::read_provenance_of(file) {
        Ok(Some(said)) if said.keys_agree() && said.realised_key == line.realised => Ok(said),
        Ok(_) => {
            let why = "it does not say how it came to be; build it anew with `thumbforge batch`";
            Err(fault("unreadable", ErrorCode::InputFile, why.to_owned()))
        }
        Err(err) => Err(fault("unreadable", ErrorCode::InputFile, format!("failed to {}", chain(&err)))),
    }
}

/// The team's own picture that this one was made from, and its term where it names one.
///
/// Provenance holds no path, so the manifest says where it lies; it counts only while it is what it was.
fn own_picture(project: &Project, wanted: &Wanted, said: &Provenance) -> (Option<PathBuf>, Option<String>) {
    let is_source = is_own(said) || said.recipe.intent == Intent::Edit;
    let (Some(then), Some(art), true) = (&said.recipe.art, &wanted.recipe.art, is_source) else { return (None, None) };
    if then.content != art.content {
        return (None, None);
    }
    let file = project.folder.join(&art.path);
    let Ok(bytes) = read(&file) else { return (None, None) };
    if ContentHash::of(&bytes) != then.content {
        return (None, None);
    }
    (Some(file), term_of(&bytes))
}

/// What a picture of anybody says of where it comes from.
fn term_of(file: &[u8]) -> Option<String> {
    if let Ok(Some(said)) = png::read_provenance(file) {
        return origin::source_type(&said, None).map(|term| term.word().to_owned());
    }
    let packed = || png::find_text(std::io::Cursor::new(file), xmp::KEYWORD).ok().flatten();
    let told = xmp::find(file).and_then(xmp::read).or_else(|| xmp::read(&packed()?));
    told.and_then(|told| told.source_type)
}

/// A whole picture file.
pub(super) fn read(file: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let bytes_max = DecodeLimits::ART.file_bytes_max as u64;
    std::fs::File::open(file)?.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(std::io::Error::other(format!("it has more than {bytes_max} bytes")));
    }
    Ok(bytes)
}

fn made(reader: Option<&Reader>, realised: RealisedKey, file: &Path) -> Option<Made> {
    let noted =
        reader.and_then(|reader| reader.read(|connection| ops::render_made_ms(connection, realised)).ok().flatten());
    if let Some(ms) = noted {
        return Some(Made { day: Day::of_ms(ms), by: "journal" });
    }
    let changed = file.metadata().ok()?.modified().ok()?;
    let since = changed.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(Made { day: Day::of_ms(u64::try_from(since.as_millis()).ok()?), by: "file" })
}
