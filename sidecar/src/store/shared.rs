//! A folder on the team's network where finished renders are shared: what one machine drew, no other draws again.
//!
//! `ab/<realised key>.json` names the picture's hash, `ab/<realised key>.png` holds it. `ab/<name>.way.json` has the steps to
//! a picture that was repaired, under a name made of what was asked and what it was held to.
//! Everything read from there is checked: another machine, or a broken network, may have written anything.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use thumbforge_core::id::{ContentHash, RealisedKey};
use thumbforge_core::image::Extent;
use thumbforge_core::job::Render;

use crate::journal::ways::{Asked, Way};
use crate::output;

/// Largest way that is read, in bytes: sixteen steps with two hashes each have a quarter of that.
const WAY_BYTES_MAX: u64 = 16 << 10;

/// A shared folder.
#[derive(Debug, Clone)]
pub struct SharedCache {
    root: PathBuf,
}

impl SharedCache {
    /// The shared cache at `root`; the folder must exist, so that an unmounted share is not filled on the local disk.
    pub fn open(root: &Path) -> Option<Self> {
        if root.is_dir() {
            return Some(Self { root: root.to_owned() });
        }
        tracing::warn!(path = %root.display(), "the shared cache is not there; going on without it");
        None
    }

    fn paths(&self, key: RealisedKey) -> (PathBuf, PathBuf) {
        let hex = key.to_string();
        let folder = self.root.join(&hex[..2]);
        (folder.join(format!("{hex}.json")), folder.join(format!("{hex}.png")))
    }

    /// A render and its bytes, if both are there and belong together.
    pub fn get(&self, key: RealisedKey) -> Option<(Render, Vec<u8>)> {
        let (record, picture) = self.paths(key);
        let render: Render = serde_json::from_slice(&fs::read(&record).ok()?).ok()?;
        let bytes = fs::read(&picture).ok()?;
        let genuine = render.realised_key == key
            && render.realisation.key(render.planned_key) == key
            && ContentHash::of(&bytes) == render.blob
            && output::png::decode(&bytes, output::png::DecodeLimits::ART).is_ok_and(|image| {
                let Extent { width, height } = render.size;
                image.hash() == render.pixels && image.extent() == Extent { width, height }
            });
        if !genuine {
            tracing::warn!(path = %picture.display(), "a picture of the shared cache is not what it says; ignored");
        }
        genuine.then_some((render, bytes))
    }

    /// Offers a render to the team; a share that refuses costs a warning and nothing else.
    ///
    /// The first one stays, unless its record cannot be read or the same file was judged again and otherwise: a way may lead
    /// to it that somebody with other criteria told, and they would refuse the verdict that stands there.
    pub fn put(&self, render: &Render, bytes: &[u8]) {
        let (record, picture) = self.paths(render.realised_key);
        let known = fs::read(&record).ok().map(|json| serde_json::from_slice::<Render>(&json));
        let stays = |known: &Render| {
            known.blob != render.blob || (&known.held_to, &known.verdict) == (&render.held_to, &render.verdict)
        };
        if known.is_some_and(|known| known.as_ref().is_ok_and(stays)) {
            return;
        }
        let written = serde_json::to_vec(render).map_err(std::io::Error::other).and_then(|json| {
            fs::create_dir_all(record.parent().unwrap_or(&self.root))?;
            // The record comes last: a picture without one is not read.
            replace(&picture, bytes)?;
            replace(&record, &json)
        });
        if let Err(err) = written {
            tracing::warn!(path = %record.display(), %err, "could not share a render");
        }
    }

    fn way_path(&self, asked: Asked) -> PathBuf {
        let name = asked.name();
        self.root.join(&name[..2]).join(format!("{name}.way.json"))
    }

    /// The steps to a picture that somebody of the team asked for like this. Whoever takes them finds the picture by its own
    /// key, so a way that is wrong leads nowhere.
    pub fn way(&self, asked: Asked) -> Option<Way> {
        let mut json = Vec::new();
        let file = fs::File::open(self.way_path(asked)).ok()?;
        file.take(WAY_BYTES_MAX).read_to_end(&mut json).ok()?;
        Way::from_json(&json)
    }

    /// Tells the team of the steps to a picture; one that was told before may lead to a picture that is gone.
    pub fn put_way(&self, asked: Asked, way: &Way) {
        let path = self.way_path(asked);
        let written = fs::create_dir_all(path.parent().unwrap_or(&self.root));
        if let Err(err) = written.and_then(|()| replace(&path, way.to_json().as_bytes())) {
            tracing::warn!(path = %path.display(), %err, "could not share the steps to a render");
        }
    }
}

fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut temp = tempfile::NamedTempFile::new_in(folder)?;
    std::io::Write::write_all(&mut temp, bytes)?;
    temp.persist(path).map_err(|err| err.error)?;
    Ok(())
}
