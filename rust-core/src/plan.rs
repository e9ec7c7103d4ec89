//! The plan: which wanted images are there, and what is to be done about the others.
//!
//! It is decided by what is wanted and by the lock alone, and by a look at the output files.
//! No journal, weights, GPU or key takes part, so a colleague's clone and a CI machine
//! find the same images unchanged as the machine that drew them.
//!
//! | lock line of the output | the file | what happens |
//! |---|---|---|
//! | planned key as wanted | as locked, or its LFS pointer | unchanged (or stale) |
//! | planned key as wanted | missing | rendered |
//! | another planned key | as locked, or its LFS pointer | rendered |
//! | another planned key | missing | rendered |
//! | none | missing | rendered |
//! | any | another file that says it is the wanted image | adopted |
//! | any | the locked pixels in another file | adopted when the planned key is as wanted |
//! | any | anything else | kept and reported; `--force` replaces it |

use std::collections::{BTreeMap, BTreeSet};

use crate::id::{FileSha256, PixelHash, PlannedKey, RealisedKey};
use crate::lock::{DrawnBy, Lock, LockLine};
use crate::manifest::{Scope, Wanted};
use crate::model::ModelId;

/// What lies at the path of an output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutputState {
    /// Nothing.
    Missing,
    /// A file.
    File {
        /// SHA-256 of its bytes.
        sha256: FileSha256,
        /// What it says of itself; needed only when the lock does not know these bytes.
        seen: Option<Seen>,
    },
    /// A Git LFS pointer in place of the file.
    LfsPointer {
        /// SHA-256 of the file that it stands for.
        oid: FileSha256,
    },
    /// Something that cannot be looked at, or that nothing may be written to: a folder, a link that leads out, no permission.
    Unreadable(String),
}

/// What a PNG says of itself, and what it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The keys in its provenance chunk, if it has one.
    pub keys: Option<(PlannedKey, RealisedKey)>,
    /// The hash of its pixels, if it could be decoded.
    pub pixels: Option<PixelHash>,
}

/// What can draw on this machine. An engine that is not here makes nothing stale.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EnginesHere {
    /// Versions by engine name.
    pub versions: BTreeMap<String, String>,
    /// Device classes by engine name.
    pub device_classes: BTreeMap<String, BTreeSet<String>>,
    /// Models that can be drawn with now.
    pub models: BTreeSet<ModelId>,
}

/// What is planned besides the ordinary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanOptions {
    /// What happens to files that are not as locked.
    pub foreign: Foreign,
    /// What happens to images that another engine version or device would draw anew.
    pub stale: Stale,
    /// Whether a lock line that nobody wants is an orphan.
    pub scope: Scope,
}

/// What happens to a hand-edited or foreign file at an output's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    /// It stays and is reported.
    Keep,
    /// It is replaced (`--force`).
    Replace,
}

/// What happens to a stale image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stale {
    /// It stays and is reported.
    Keep,
    /// It is drawn anew (`--upgrade`).
    Render,
}

/// What happens to one wanted image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// It is as it should be.
    Unchanged,
    /// It is as it should be, and would be drawn differently now.
    Stale(StaleReason),
    /// It is made: taken from a cache, or drawn.
    Render(RenderReason),
    /// It is as it should be, and only the lock does not say so yet.
    Adopt,
    /// The file is not ours to replace.
    Keep(KeepReason),
}

/// Why an image is stale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StaleReason {
    /// The engine has another version here.
    EngineVersion {
        /// What drew it.
        drawn_by: DrawnBy,
        /// The version here.
        here: String,
    },
    /// The engine runs on another class of device here.
    DeviceClass {
        /// What drew it.
        drawn_by: DrawnBy,
        /// The classes here.
        here: Vec<String>,
    },
    /// Built-in art stands in for a model that is here.
    Placeholder {
        /// The model.
        model: ModelId,
    },
}

impl std::fmt::Display for StaleReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::EngineVersion { drawn_by, here } => write!(f, "drawn by {drawn_by}; here it is version {here}"),
            Self::DeviceClass { drawn_by, here } => write!(f, "drawn by {drawn_by}; here it is {}", here.join(" or ")),
            Self::Placeholder { model } => write!(f, "built-in art stands in for {model}, which is here"),
        }
    }
}

/// Why an image is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RenderReason {
    /// There was none.
    New,
    /// Something that decides its pixels changed.
    PlannedChanged,
    /// The lock knows it and the file is gone.
    OutputMissing,
    /// A file that is not ours is replaced.
    Forced,
    /// A stale image is drawn anew.
    Upgrade,
}

/// Why a file is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeepReason {
    /// The lock knows the output, and the file is not the one it knows.
    HandEdited,
    /// The lock does not know the output, and somebody else's file is there.
    Foreign,
    /// It cannot be looked at.
    Unreadable(String),
}

/// A wanted image and what happens to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanItem {
    /// Which of the wanted images.
    pub wanted: usize,
    /// What happens.
    pub action: Action,
}

/// What happens to every wanted image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// In the order of the wanted images.
    pub items: Vec<PlanItem>,
    /// Outputs of lock lines that nothing wants any more; their files are left alone.
    pub orphans: Vec<String>,
}

/// How many images each action has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PlanCounts {
    /// As they should be.
    pub unchanged: usize,
    /// As they should be, though they would be drawn differently now.
    pub stale: usize,
    /// To be made.
    pub render: usize,
    /// To be written into the lock.
    pub adopt: usize,
    /// Not ours to replace.
    pub keep: usize,
    /// Lock lines that nothing wants.
    pub orphans: usize,
}

impl Plan {
    /// How many images each action has.
    pub fn counts(&self) -> PlanCounts {
        let mut counts = PlanCounts { orphans: self.orphans.len(), ..PlanCounts::default() };
        for item in &self.items {
            match item.action {
                Action::Unchanged => counts.unchanged += 1,
                Action::Stale(_) => counts.stale += 1,
                Action::Render(_) => counts.render += 1,
                Action::Adopt => counts.adopt += 1,
                Action::Keep(_) => counts.keep += 1,
            }
        }
        counts
    }

    /// Whether carrying it out would change any file or the lock, which is what `--check` asks.
    pub fn would_change(&self) -> bool {
        let changes = |item: &PlanItem| matches!(item.action, Action::Render(_) | Action::Adopt);
        !self.orphans.is_empty() || self.items.iter().any(changes)
    }
}

/// The lock line of each wanted image, for whoever looks at the files.
pub fn locked<'l>(wanted: &[Wanted], lock: &'l Lock) -> Vec<Option<&'l LockLine>> {
    side_by_side(wanted, lock).0
}

/// What happens to each of the wanted images; `output` says what lies at the path of the one it is asked for.
pub fn plan(
    wanted: &[Wanted],
    lock: &Lock,
    mut output: impl FnMut(usize) -> OutputState,
    here: &EnginesHere,
    options: PlanOptions,
) -> Plan {
    let (lines, orphans) = side_by_side(wanted, lock);
    let items = lines
        .into_iter()
        .enumerate()
        .map(|(at, line)| PlanItem { wanted: at, action: decide(&wanted[at], line, output(at), here, options) });
    let orphans = match options.scope {
        Scope::Whole => orphans.into_iter().map(|line| line.output.clone()).collect(),
        Scope::Part => Vec::new(),
    };
    Plan { items: items.collect(), orphans }
}

/// Both are sorted by output, so one walk pairs them.
fn side_by_side<'l>(wanted: &[Wanted], lock: &'l Lock) -> (Vec<Option<&'l LockLine>>, Vec<&'l LockLine>) {
    debug_assert!(wanted.is_sorted_by(|a, b| a.output < b.output), "wanted images come sorted, each output once");
    let mut lines = lock.lines().iter().peekable();
    let mut orphans = Vec::new();
    let pairs = wanted.iter().map(|wanted| {
        while let Some(line) = lines.next_if(|line| line.output < wanted.output) {
            orphans.push(line);
        }
        lines.next_if(|line| line.output == wanted.output)
    });
    let pairs = pairs.collect();
    orphans.extend(lines);
    (pairs, orphans)
}

/// The table of this module's head.
fn decide(
    wanted: &Wanted,
    line: Option<&LockLine>,
    output: OutputState,
    here: &EnginesHere,
    options: PlanOptions,
) -> Action {
    let as_wanted = line.filter(|line| line.planned == wanted.planned);
    let (sha256, seen, is_pointer) = match output {
        OutputState::Missing => {
            return Action::Render(match (line, as_wanted) {
                (None, _) => RenderReason::New,
                (Some(_), Some(_)) => RenderReason::OutputMissing,
                (Some(_), None) => RenderReason::PlannedChanged,
            });
        }
        OutputState::Unreadable(why) => return Action::Keep(KeepReason::Unreadable(why)),
        OutputState::File { sha256, seen } => (sha256, seen, false),
        OutputState::LfsPointer { oid } => (oid, None, true),
    };
    if let Some(line) = line.filter(|line| line.sha256 == sha256) {
        if as_wanted.is_none() {
            return Action::Render(RenderReason::PlannedChanged);
        }
        return match (stale(wanted, &line.drawn_by, here), options.stale) {
            (None, _) => Action::Unchanged,
            // What is not fetched is not replaced: nobody here has seen it.
            (Some(_), Stale::Render) if !is_pointer => Action::Render(RenderReason::Upgrade),
            (Some(reason), _) => Action::Stale(reason),
        };
    }
    if seen.is_some_and(|seen| is_unlocked_render(&seen, wanted, line, as_wanted)) {
        return Action::Adopt;
    }
    match (options.foreign, line) {
        (Foreign::Replace, _) => Action::Render(RenderReason::Forced),
        (Foreign::Keep, Some(_)) => Action::Keep(KeepReason::HandEdited),
        (Foreign::Keep, None) => Action::Keep(KeepReason::Foreign),
    }
}

/// Whether a file that the lock does not know is the wanted image all the same.
///
/// That is so after a crash between writing the file and the lock, after a merge that took the file from one side
/// and the line from the other, and after a tool that packs PNGs tighter. An image editor may keep the provenance chunk
/// of the image it changed, so a chunk with the very keys of the locked image proves nothing about other bytes.
fn is_unlocked_render(seen: &Seen, wanted: &Wanted, line: Option<&LockLine>, as_wanted: Option<&LockLine>) -> bool {
    if as_wanted.is_some_and(|line| seen.pixels == Some(line.pixels)) {
        return true;
    }
    match seen.keys {
        Some((planned, realised)) => planned == wanted.planned && line.is_none_or(|line| line.realised != realised),
        None => false,
    }
}

/// Why an image would be drawn differently on this machine, if it would.
///
/// Only an engine that is here can say so. Where the engine is missing (a colleague without the GPU, a CI machine
/// without keys), the image is as good as its lock line says, or every clone would want to draw it again.
fn stale(wanted: &Wanted, drawn_by: &DrawnBy, here: &EnginesHere) -> Option<StaleReason> {
    let model =
        wanted.recipe.model.as_ref().filter(|model| **model != ModelId::builtin() && wanted.recipe.art.is_none());
    if let Some(model) = model.filter(|model| drawn_by.engine == BUILTIN && here.models.contains(*model)) {
        return Some(StaleReason::Placeholder { model: model.clone() });
    }
    let version = here.versions.get(&drawn_by.engine)?;
    if *version != drawn_by.version {
        return Some(StaleReason::EngineVersion { drawn_by: drawn_by.clone(), here: version.clone() });
    }
    let classes = here.device_classes.get(&drawn_by.engine)?;
    if !classes.is_empty() && !classes.contains(&drawn_by.device_class) {
        return Some(StaleReason::DeviceClass { drawn_by: drawn_by.clone(), here: classes.iter().cloned().collect() });
    }
    None
}

/// The engine whose art may stand in for a model.
const BUILTIN: &str = "builtin";

#[cfg(test)]
mod tests;
