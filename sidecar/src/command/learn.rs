//! Learning what models are good at: journals and approvals go in, `thumbforge.quality.toml` comes out.
//!
//! The file is committed and read by every machine alike; journals are private and are only ever counted.

use std::collections::{BTreeMap, HashMap, hash_map::Entry};
use std::path::{Path, PathBuf};

use thumbforge_core::approvals::{Approvals, Decision};
use thumbforge_core::error::{ErrorCode, Failure, chain};
use thumbforge_core::id::{PixelHash, RealisedKey};
use thumbforge_core::model::ModelId;
use thumbforge_core::recipe::Intent;
use thumbforge_core::routing::{Counts, Learned};

use crate::build::{self, BuildError, QUALITY_FILE, read_approvals};
use crate::journal::learned::{self, Picture, Took};
use crate::journal::{self, Reader};
use crate::output::write::{Patience, write_atomic};

/// What was learned.
#[derive(Debug, Clone, PartialEq)]
pub struct Learnt {
    /// Where it is written down.
    pub path: PathBuf,
    /// Everything that the file says now.
    pub learned: Learned,
    /// How many pictures were counted.
    pub pictures: u64,
    /// Rows of the file that rest on more pictures than were counted now, and so were left as they were.
    pub left: usize,
}

/// Counts what came of the pictures of `journals` and writes it beside the manifest of `folder`.
///
/// # Errors
/// A folder without a manifest, a journal or file that cannot be read, or what cannot be written.
pub fn learn(folder: &Path, journals: &[PathBuf]) -> Result<Learnt, BuildError> {
    if !folder.join("thumbforge.toml").is_file() {
        let message = format!(
            "failed to learn for {}: it has no thumbforge.toml; name the folder that has one",
            folder.display()
        );
        return Err(Failure::new(ErrorCode::InvalidManifest, message).into());
    }
    let approvals = read_approvals(folder)?;
    let mut tally = Tally::new(&approvals);
    for path in journals {
        let reader = open(path)?;
        let read = reader.read(|connection| {
            learned::pictures(connection, &mut |picture| tally.count(picture))?;
            learned::latencies(connection, &mut |took| tally.time(took))
        });
        read.map_err(|err| err.failure())?;
    }
    let (learned, left) = over(build::learned(folder)?, &tally.counts());
    let path = folder.join(QUALITY_FILE);
    write_atomic(&path, learned.to_text().as_bytes(), &Patience::usual())
        .map_err(|err| Failure::new(err.code(), format!("failed to {}", chain(&err))))?;
    Ok(Learnt { path, learned, pictures: tally.pictures.len() as u64, left })
}

fn open(path: &Path) -> Result<Reader, Failure> {
    journal::peek(path).map_err(|err| err.failure())?.ok_or_else(|| {
        let message = format!("failed to learn from {}: there is no such journal", path.display());
        Failure::new(ErrorCode::NotFound, message)
    })
}

/// A team's file may rest on journals that this machine does not have: a row gives way to one of at least as many pictures.
fn over(mut known: Learned, counted: &BTreeMap<(ModelId, Intent), Counts>) -> (Learned, usize) {
    let mut left = 0;
    for ((model, intent), counts) in counted {
        let rests_on = |counts: &Counts| {
            let (good, bad) = counts.both();
            good.saturating_add(bad)
        };
        if known.get(model, *intent).is_some_and(|there| rests_on(there) > rests_on(counts)) {
            left += 1;
            continue;
        }
        known.set(model.clone(), *intent, *counts);
    }
    (known, left)
}

/// What was counted so far.
struct Tally {
    /// What people decided, by the pixels that they looked at. One who rejects outweighs any who accept.
    decided: HashMap<PixelHash, Decision>,
    /// Every picture once, whatever journals and jobs it stands in.
    pictures: HashMap<RealisedKey, Picture>,
    times: BTreeMap<(ModelId, Intent), Vec<u64>>,
}

impl Tally {
    fn new(approvals: &Approvals) -> Self {
        let mut decided = HashMap::new();
        for line in approvals.lines() {
            match decided.entry(line.pixels) {
                Entry::Vacant(vacant) => drop(vacant.insert(line.decision)),
                Entry::Occupied(mut there) if line.decision == Decision::Rejected => drop(there.insert(line.decision)),
                Entry::Occupied(_) => {}
            }
        }
        Self { decided, pictures: HashMap::new(), times: BTreeMap::new() }
    }

    /// A picture that was kept says more than one that failed under the same key.
    fn count(&mut self, picture: Picture) {
        match self.pictures.entry(picture.realised) {
            Entry::Vacant(vacant) => drop(vacant.insert(picture)),
            Entry::Occupied(mut there) if there.get().pixels.is_none() => drop(there.insert(picture)),
            Entry::Occupied(_) => {}
        }
    }

    fn time(&mut self, took: Took) {
        self.times.entry((took.model, took.intent)).or_default().push(took.latency_ms);
    }

    fn counts(&self) -> BTreeMap<(ModelId, Intent), Counts> {
        let mut all: BTreeMap<(ModelId, Intent), Counts> = BTreeMap::new();
        for picture in self.pictures.values() {
            let counts = all.entry((picture.model.clone(), picture.intent)).or_default();
            let decided = picture.pixels.and_then(|pixels| self.decided.get(&pixels));
            match (decided, picture.passed) {
                (Some(Decision::Accepted), _) => counts.accepted += 1,
                (Some(Decision::Rejected), _) => counts.rejected += 1,
                (None, true) => counts.passed += 1,
                (None, false) => counts.failed += 1,
            }
        }
        for (key, times) in &self.times {
            if let Some(counts) = all.get_mut(key) {
                let mut times = times.clone();
                times.sort_unstable();
                counts.latency_p50_ms = times.get(times.len() / 2).copied();
            }
        }
        all
    }
}

#[cfg(test)]
mod tests;
