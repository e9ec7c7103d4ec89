//! The weights of this machine: a folder with a registry of what lies in it, and of what lies elsewhere and is used in place.
//!
//! ```text
//! DIR/registry.json     what there is: names, files with sizes and hashes, where they came from, licences accepted
//! DIR/.lock             held while the registry is changed
//! DIR/NAME/…            files that the store owns
//! DIR/NAME/….part       an unfinished file, with its state beside it
//! DIR/NAME/.lock        held while something is put there
//! ```
//! What is linked is never changed and never deleted.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};
use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_diffusion::weights::Sources;

use super::names;
use super::offer::Part;
use super::part;
use crate::output::write::{Patience, write_atomic};

/// Version of the registry. A newer one is left alone.
const VERSION: u32 = 1;
/// Largest registry that is read, in bytes: thousands of items.
const REGISTRY_BYTES_MAX: u64 = 16 << 20;
/// Most files of one item: a diffusers folder has about 30.
pub const FILES_MAX: usize = 2_000;
/// Deepest folder that is looked into.
const DEPTH_MAX: usize = 8;

/// A file of an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRow {
    /// Its path below the item's place, with slashes; empty when the place is the file.
    pub path: String,
    /// How many bytes it has.
    pub bytes: u64,
    /// BLAKE3 of them, in hexadecimal digits.
    pub blake3: String,
    /// `repo@commit/path` of the hub that it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

/// Where an item lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// In the store's folder of its name.
    Store,
    /// Somewhere else; a file or a folder.
    Linked(PathBuf),
}

/// Something that pictures are drawn with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// What it is called.
    pub name: String,
    /// What it is for.
    pub part: Part,
    /// What it has inside besides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<Part>,
    /// The model that it draws.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Where it lies.
    pub place: Place,
    /// Its files.
    pub files: Vec<FileRow>,
    /// The hub that it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hub: Option<String>,
    /// Its licence, as the hub writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// When it came here, in Unix milliseconds.
    pub added_ms: u64,
}

impl Item {
    /// How many bytes it has.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// A licence that somebody accepted on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// Where it could be read.
    pub url: String,
    /// When, in Unix milliseconds.
    pub at_ms: u64,
}

/// Everything that is written down.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registry {
    version: u32,
    /// What there is, by name.
    #[serde(default)]
    pub items: BTreeMap<String, Item>,
    /// Licences accepted, by id.
    #[serde(default)]
    pub accepted: BTreeMap<String, Accepted>,
}

/// What can be seen of an item without reading its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Every file is there, as long as it was.
    Here,
    /// A file is gone.
    Missing(PathBuf),
    /// A file has another length.
    Changed(PathBuf),
}

/// Something that a pull did not finish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unfinished {
    /// Its name.
    pub name: String,
    /// Bytes that are there.
    pub done_bytes: u64,
    /// Bytes of the files that are begun.
    pub bytes: u64,
}

/// What one model is drawn with: where its parts lie. Parts that the model's own files hold are not named again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Set {
    /// The model: a file, or a folder.
    pub model: PathBuf,
    /// Text encoder CLIP-L.
    pub clip_l: Option<PathBuf>,
    /// Text encoder CLIP-G.
    pub clip_g: Option<PathBuf>,
    /// Text encoder T5-XXL.
    pub t5: Option<PathBuf>,
    /// The VAE.
    pub vae: Option<PathBuf>,
    /// The folder of the tokenizers.
    pub tokenizers: Option<PathBuf>,
}

impl Set {
    /// The same, as the reader of models wants it.
    pub fn sources(&self) -> Sources {
        let Self { model, clip_l, clip_g, t5, vae, tokenizers } = self.clone();
        Sources { model, tokenizers, clip_l, clip_g, t5, vae, loras: Vec::new() }
    }
}

/// The store.
#[derive(Debug, Clone)]
pub struct Store {
    dir: PathBuf,
}

/// A lock on a part of the store, given back when it is dropped.
#[derive(Debug)]
pub struct Held(#[expect(dead_code, reason = "it holds the lock")] File);

impl Store {
    /// The store in `dir`, which need not exist.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where an item's own files lie.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn registry_path(&self) -> PathBuf {
        self.dir.join("registry.json")
    }

    /// What is written down; nothing where there is no store yet.
    ///
    /// # Errors
    /// When it cannot be read as what it is.
    pub fn registry(&self) -> Result<Registry, Failure> {
        let path = self.registry_path();
        let failed = |code, why: &str| Failure::new(code, format!("failed to read {}: {why}", path.display()));
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(err) if err.kind() == io::ErrorKind::NotFound => {
                return Ok(Registry { version: VERSION, ..Registry::default() });
            }
            Err(err) => return Err(failed(ErrorCode::Storage, &err.to_string())),
        };
        let mut text = Vec::new();
        file.take(REGISTRY_BYTES_MAX + 1)
            .read_to_end(&mut text)
            .map_err(|err| failed(ErrorCode::Storage, &err.to_string()))?;
        let mend = "put it aside and register what lies beside it again with thumbforge weights add";
        let registry: Registry = serde_json::from_slice(&text)
            .map_err(|err| failed(ErrorCode::Corrupt, &format!("it is damaged ({err}); {mend}")))?;
        if registry.version > VERSION {
            return Err(failed(ErrorCode::VersionMismatch, "a newer Thumbforge wrote it; use that one"));
        }
        let unsound = registry.items.iter().find(|(name, item)| !is_sound(name, item));
        match unsound {
            Some((name, _)) => {
                let why = format!("the entry {:?} is damaged; {mend}", names::shown(name));
                Err(failed(ErrorCode::Corrupt, &why))
            }
            None => Ok(registry),
        }
    }

    /// Changes the registry, under its lock.
    ///
    /// # Errors
    /// When it cannot be read or written, or `change` says so.
    pub fn change<T>(&self, change: impl FnOnce(&mut Registry) -> Result<T, Failure>) -> Result<T, Failure> {
        let _held = self.hold(&self.dir, true)?;
        let mut registry = self.registry()?;
        let value = change(&mut registry)?;
        registry.version = VERSION;
        let text = serde_json::to_vec_pretty(&registry)
            .map_err(|err| Failure::new(ErrorCode::Internal, format!("failed to write the registry: {err}")))?;
        write_atomic(&self.registry_path(), &text, &Patience::usual())
            .map_err(|err| Failure::new(err.code(), format!("failed to {err}")))?;
        Ok(value)
    }

    /// Keeps others from putting something under `name` too.
    ///
    /// # Errors
    /// When another process does so now.
    pub fn hold_item(&self, name: &str) -> Result<Held, Failure> {
        self.hold(&self.folder(name), false)
    }

    /// Locks a folder. `wait` for locks that are held for moments.
    fn hold(&self, folder: &Path, wait: bool) -> Result<Held, Failure> {
        let path = folder.join(".lock");
        let failed =
            |err: io::Error| Failure::new(ErrorCode::Storage, format!("failed to use {}: {err}", folder.display()));
        fs::create_dir_all(folder).map_err(failed)?;
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        if wait {
            file.lock().map_err(failed)?;
            return Ok(Held(file));
        }
        match file.try_lock() {
            Ok(()) => Ok(Held(file)),
            Err(TryLockError::WouldBlock) => Err(Failure::new(
                ErrorCode::DataDirInUse,
                format!("failed to use {}: another process pulls it now; wait for it", folder.display()),
            )),
            Err(TryLockError::Error(err)) => Err(failed(err)),
        }
    }

    /// Where an item lies.
    pub fn root(&self, item: &Item) -> PathBuf {
        match &item.place {
            Place::Store => self.folder(&item.name),
            Place::Linked(path) => path.clone(),
        }
    }

    /// Where a file of an item lies.
    pub fn path(&self, item: &Item, file: &FileRow) -> PathBuf {
        let root = self.root(item);
        if file.path.is_empty() { root } else { file.path.split('/').fold(root, |path, part| path.join(part)) }
    }

    /// What can be seen of an item.
    pub fn standing(&self, item: &Item) -> Standing {
        for file in &item.files {
            let path = self.path(item, file);
            match fs::metadata(&path) {
                Ok(meta) if meta.is_file() && meta.len() == file.bytes => {}
                Ok(meta) if meta.is_file() => return Standing::Changed(path),
                _ => return Standing::Missing(path),
            }
        }
        Standing::Here
    }

    /// Everything that a pull began and did not finish: folders of no item that have files in them.
    pub fn unfinished(&self, registry: &Registry) -> Vec<Unfinished> {
        let Ok(folders) = fs::read_dir(&self.dir) else { return Vec::new() };
        let names = folders.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut found: Vec<Unfinished> = names
            .filter(|name| names::item(name).is_ok() && !registry.items.contains_key(name))
            .filter_map(|name| {
                let files = files_below(&self.folder(&name)).ok()?;
                let (mut done_bytes, mut bytes) = (0, 0);
                for (path, size) in files {
                    let path = path.to_string_lossy();
                    if path.ends_with(".part") {
                        let (done, all) = part::progress(&self.folder(&name).join(&*path)).unwrap_or((0, size));
                        done_bytes += done;
                        bytes += all;
                    } else if !path.ends_with(".state") {
                        done_bytes += size;
                        bytes += size;
                    }
                }
                (bytes > 0).then_some(Unfinished { name, done_bytes, bytes })
            })
            .collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        found
    }

    /// Forgets an item, and deletes its files where they are the store's own and `keep_files` is not said. Says what
    /// was freed, in bytes.
    ///
    /// # Errors
    /// When there is no such item, or its files cannot be deleted.
    pub fn remove(&self, name: &str, keep_files: bool) -> Result<u64, Failure> {
        let known = self.registry()?.items.contains_key(name);
        let folder = self.folder(name);
        if !known && (names::item(name).is_err() || !folder.is_dir()) {
            let words = format!("failed to remove {:?}: there is no such item; list them first", names::shown(name));
            return Err(Failure::new(ErrorCode::NotFound, words));
        }
        let held = if folder.is_dir() { Some(self.hold_item(name)?) } else { None };
        // Forgotten first: an item without files would be worse than files without an item.
        let item = self.change(|registry| Ok(registry.items.remove(name)))?;
        let owned = item.as_ref().is_none_or(|item| item.place == Place::Store);
        if keep_files || !owned || !folder.is_dir() {
            return Ok(0);
        }
        let freed = files_below(&folder).unwrap_or_default().iter().map(|(_, bytes)| bytes).sum();
        // Windows deletes no file that is open.
        drop(held);
        fs::remove_dir_all(&folder)
            .map_err(|err| Failure::new(ErrorCode::Storage, format!("failed to delete {}: {err}", folder.display())))?;
        Ok(freed)
    }

    /// What `model` is drawn with, of what is here and whole as far as can be seen. The parts that nothing here holds
    /// are left out; nothing at all without the model itself.
    ///
    /// Of several, that which is named like the part's usual item comes first (`clip-l`, `t5xxl`), then the largest.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn find(&self, model: &str) -> Result<Option<Set>, Failure> {
        let registry = self.registry()?;
        let here = |item: &&Item| self.standing(item) == Standing::Here;
        let best = |part: Part, usual: &str| {
            let items = registry.items.values().filter(|item| item.part == part).filter(here);
            items.max_by_key(|item| (item.name == usual, item.bytes()))
        };
        let models = registry.items.values().filter(|item| item.part == Part::Model);
        let models = models.filter(|item| item.model.as_deref() == Some(model)).filter(here);
        let Some(item) = models.max_by_key(|item| (item.name == model, item.bytes())) else { return Ok(None) };
        let other = |part: Part, usual: &str| {
            if item.holds.contains(&part) { None } else { best(part, usual).map(|item| self.entry(item)) }
        };
        Ok(Some(Set {
            model: self.entry(item),
            clip_l: other(Part::ClipL, "clip-l"),
            clip_g: other(Part::ClipG, "clip-g"),
            t5: other(Part::T5, "t5xxl"),
            vae: other(Part::Vae, "vae"),
            tokenizers: if item.holds.contains(&Part::Tokenizers) {
                None
            } else {
                best(Part::Tokenizers, "sd3.5-tokenizers").map(|item| self.root(item))
            },
        }))
    }

    /// What a reader of weights opens: the file where there is one, else the folder.
    fn entry(&self, item: &Item) -> PathBuf {
        match item.files.as_slice() {
            [file] => self.path(item, file),
            _ => self.root(item),
        }
    }
}

/// Whether an entry of a registry can be used: names that leave the store's folder are nobody's.
fn is_sound(name: &str, item: &Item) -> bool {
    let below = |path: &str| match &item.place {
        Place::Store => names::file(path).is_ok(),
        Place::Linked(root) => root.is_absolute() && (path.is_empty() || is_below(path)),
    };
    name == item.name && names::item(name).is_ok() && item.files.iter().all(|file| below(&file.path))
}

/// Whether a relative path stays below where it begins.
fn is_below(path: &str) -> bool {
    Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

/// Every file below a folder with its size, hidden ones left out, in order of their names.
///
/// # Errors
/// When a folder cannot be read, or has more than anybody puts there.
pub fn files_below(folder: &Path) -> io::Result<Vec<(PathBuf, u64)>> {
    let mut files = Vec::new();
    let mut folders = vec![(PathBuf::new(), 0)];
    while let Some((at, depth)) = folders.pop() {
        for entry in fs::read_dir(folder.join(&at))? {
            let name = entry?.file_name();
            if name.to_string_lossy().starts_with('.') {
                continue;
            }
            let path = at.join(&name);
            // Links are followed: the caches of hubs consist of them. One that leads nowhere is no file.
            let Ok(meta) = fs::metadata(folder.join(&path)) else { continue };
            if meta.is_dir() && depth < DEPTH_MAX {
                folders.push((path, depth + 1));
            } else if meta.is_file() {
                files.push((path, meta.len()));
            }
            if files.len() > FILES_MAX || folders.len() > FILES_MAX {
                return Err(io::Error::other(format!("it has more than {FILES_MAX} files or folders")));
            }
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests;
