//! `.meta` files: Unity's identity of an asset, given to new outputs so that it is the same on every machine.
//!
//! Without one each machine's Unity would make up its own GUID at import, and references to the picture would
//! break for everybody else. The GUID follows from project, asset and locale, so it survives a move of the file.
//! Only format version and GUID are written; Unity adds the importer's settings.
//!
//! A `.meta` that lies there is never touched. It is written *before* the picture, since Unity makes its own as
//! soon as it sees a picture without one.
//! Folders get none: Unity makes those itself, nothing refers to a folder by its GUID, and one made here could
//! collide with what another machine has already committed for the same folder.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::write::{WriteError, write_new};

/// What became of a `.meta`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meta {
    /// Written now.
    Written,
    /// One was there.
    AlreadyThere,
    /// The output is no asset of a Unity project.
    NotAnAsset,
}

/// Finds the Unity project that outputs belong to; remembers the folders it has looked at.
#[derive(Debug, Default)]
pub struct UnityProjects {
    roots: HashMap<PathBuf, Option<PathBuf>>,
}

impl UnityProjects {
    /// Having looked at nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The nearest folder above `path` that has both `Assets` and `ProjectSettings`.
    pub fn root_of(&mut self, path: &Path) -> Option<PathBuf> {
        let folder = path.parent()?;
        if let Some(known) = self.roots.get(folder) {
            return known.clone();
        }
        let root = folder
            .ancestors()
            .find(|folder| folder.join("Assets").is_dir() && folder.join("ProjectSettings").is_dir())
            .map(Path::to_owned);
        self.roots.insert(folder.to_owned(), root.clone());
        root
    }

    /// The project that imports an output, and what the output is called there; `None` when none does.
    pub fn asset_path(&mut self, output: &Path) -> Option<(PathBuf, String)> {
        let root = self.root_of(output)?;
        let asset = output.strip_prefix(&root).ok().filter(|relative| is_asset(relative))?;
        let asset = asset.to_string_lossy().replace('\\', "/");
        Some((root, asset))
    }

    /// Gives a new output its `.meta`, if it is an asset and has none. Call it before the picture is written.
    ///
    /// # Errors
    /// [`WriteError`], which says what stands in the way.
    pub fn write_meta(&mut self, output: &Path, project: &str, asset: &str, locale: &str) -> Result<Meta, WriteError> {
        let Some(root) = self.root_of(output) else { return Ok(Meta::NotAnAsset) };
        if !output.strip_prefix(&root).is_ok_and(is_asset) {
            return Ok(Meta::NotAnAsset);
        }
        let path = meta_path(output);
        if path.symlink_metadata().is_ok() {
            return Ok(Meta::AlreadyThere);
        }
        let written = write_new(&path, meta_text(&guid(project, asset, locale)).as_bytes())?;
        Ok(if written { Meta::Written } else { Meta::AlreadyThere })
    }
}

/// The `.meta` that belongs to an output.
pub fn meta_path(output: &Path) -> PathBuf {
    let mut path = output.as_os_str().to_owned();
    path.push(".meta");
    path.into()
}

/// A GUID as Unity writes it, the same for the same project, asset and locale everywhere.
pub fn guid(project: &str, asset: &str, locale: &str) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("thumbforge 2026 unity guid 1");
    for part in [project, asset, locale] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().as_bytes()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn meta_text(guid: &str) -> String {
    format!("fileFormatVersion: 2\nguid: {guid}\n")
}

/// Whether Unity imports the file: within `Assets` or a package, and on no name that Unity passes over.
fn is_asset(relative: &Path) -> bool {
    let steps: Vec<String> = relative.iter().map(|step| step.to_string_lossy().to_lowercase()).collect();
    let imported = match steps.first().map(String::as_str) {
        Some("assets") => steps.len() >= 2,
        // A file directly in `Packages` belongs to the package manager.
        Some("packages") => steps.len() >= 3,
        _ => false,
    };
    imported && !steps.iter().any(|step| step.starts_with('.') || step.ends_with('~') || step == "cvs")
}

#[cfg(test)]
mod tests;
