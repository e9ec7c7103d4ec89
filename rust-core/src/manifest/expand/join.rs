//! Shares of a manifest's images, and how they become one: sorted, and checked for images that want one file.

use std::collections::{HashMap, HashSet};

use crate::error::ErrorCode;
use crate::manifest::Manifest;
use crate::manifest::body::Tiers;
use crate::manifest::choosing::{Judged, Known, Noticed, judge};
use crate::manifest::error::{Gathered, ManifestErrors};
use crate::manifest::path::folded;
use crate::manifest::source::excerpt;
use crate::manifest::wanted::{Expansion, Overrides, Scope, Skipped, Wanted};

/// One of several even shares of a manifest's assets, for callers that have threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Which share, from 0.
    pub number: usize,
    /// How many there are.
    pub of: usize,
}

/// The images of one share, and what is wrong with them.
pub struct Expanded {
    pub(super) wanted: Vec<Wanted>,
    pub(super) skipped: Vec<Skipped>,
    pub(super) tiers: Tiers,
    pub(super) verify_ocr: Option<bool>,
    pub(super) noticed: Noticed,
    pub(super) gathered: Gathered,
}

/// All shares as one, in the order of their numbers; sorted by output and checked for images that want one file.
///
/// # Errors
/// Everything that is wrong, up to [`ERRORS_MAX`](super::ERRORS_MAX) at once.
pub fn join(
    manifest: &Manifest,
    known: Known<'_>,
    overrides: &Overrides,
    first: Expanded,
    others: Vec<Expanded>,
) -> Result<Expansion, ManifestErrors> {
    let mut all = first;
    all.wanted.reserve_exact(others.iter().map(|share| share.wanted.len()).sum());
    for share in others {
        all.wanted.extend(share.wanted);
        all.skipped.extend(share.skipped);
        all.noticed.extend(share.noticed);
        if let Err(errors) = share.gathered.or(()) {
            all.gathered.extend(errors);
        }
    }
    all.wanted.sort_by(|a, b| a.output.cmp(&b.output));
    all.skipped.sort_by(|a, b| a.output.cmp(&b.output));
    check_collisions(manifest, &all.wanted, &mut all.gathered);
    let error = |code, path: &[&str], message, fix: &str| match path {
        [flag] if flag.starts_with("--") => super::flag_error(code, flag, message, fix),
        _ => manifest.source.error(code, path, message, fix),
    };
    let Judged { warnings, retired } = judge(&manifest.body, known, &all.noticed, &error, &mut all.gathered);
    if let Some(outputs) = &overrides.outputs {
        let outputs: HashSet<&str> = outputs.iter().map(String::as_str).collect();
        all.wanted.retain(|wanted| outputs.contains(wanted.output.as_str()));
        all.skipped.retain(|skipped| outputs.contains(skipped.output.as_str()));
    }
    let expansion = Expansion {
        wanted: all.wanted,
        skipped: all.skipped,
        scope: match (&overrides.locales, &overrides.assets, &overrides.outputs) {
            (None, None, None) => Scope::Whole,
            _ => Scope::Part,
        },
        placeholder: overrides.placeholder.unwrap_or(manifest.body.placeholder),
        tiers: all.tiers,
        verify_ocr: all.verify_ocr,
        warnings,
        retired,
        batch_budget: manifest.body.budget.batch.as_ref().and_then(|amount| amount.micros().ok()),
    };
    all.gathered.or(expansion)
}

/// Two images in one file, also where only Windows and macOS see one file; and an image over one of the team's files.
fn check_collisions(manifest: &Manifest, all: &[Wanted], gathered: &mut Gathered) {
    let mut collisions = Vec::new();
    let inputs: HashSet<String> = manifest.inputs().iter().map(|input| folded(&input.path)).collect();
    let mut seen: HashMap<String, usize> = HashMap::with_capacity(all.len());
    for (at, wanted) in all.iter().enumerate() {
        let folded = folded(&wanted.output);
        if inputs.contains(&folded) {
            collisions.push((at, None));
        }
        if let Some(earlier) = seen.insert(folded, at) {
            collisions.push((at, Some(earlier)));
        }
    }
    // A file cannot be a folder too; only a folder called x.png makes this possible.
    for (at, wanted) in all.iter().enumerate() {
        let folder = wanted.output.rfind('/').map(|end| folded(&wanted.output[..end]));
        let mut folder = folder.as_deref();
        while let Some(path) = folder.filter(|path| path.contains(".png")) {
            collisions.extend(seen.get(path).map(|file| (at, Some(*file))));
            folder = path.rfind('/').map(|end| &path[..end]);
        }
    }
    for (at, earlier) in collisions {
        let (message, fix) = match earlier.map(|earlier| &all[earlier]) {
            None => (
                format!("{:?} is a file of the team's own", excerpt(&all[at].output)),
                "write outputs to a folder of their own".to_owned(),
            ),
            Some(earlier) => collision(earlier, &all[at]),
        };
        let name = all[at].asset.name.clone();
        let place = match manifest.body.assets.get(&name) {
            Some(asset) if asset.output.is_some() => vec!["assets", &name, "output"],
            _ => vec!["assets", &name],
        };
        let error = manifest.source.error(ErrorCode::OutputPath, &place, message, fix);
        gathered.push(error);
    }
}

fn collision(earlier: &Wanted, later: &Wanted) -> (String, String) {
    let of = |wanted: &Wanted| match wanted.asset.locale.as_str() {
        "" => format!("asset {:?}", wanted.asset.name),
        locale => format!("asset {:?} in {locale}", wanted.asset.name),
    };
    let same = if earlier.output == later.output { "" } else { " (Windows and macOS see one file)" };
    let message = format!("{} and {} both want {:?}{same}", of(earlier), of(later), excerpt(&later.output));
    let fix = if earlier.asset.name == later.asset.name {
        "put {{ locale }} into the output path"
    } else {
        "put {{ asset }} into the output path, or give one of them an output of its own"
    };
    (message, fix.to_owned())
}
