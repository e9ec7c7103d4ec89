//! Weights that are on this machine already: registered in place or copied, and held against their hashes later.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use thumbforge_core::error::{ErrorCode, Failure};

use super::hash::{Hashes, hash_file};
use super::look::{confirm, look};
use super::names;
use super::offer::Part;
use super::store::{FileRow, Item, Place, Store, files_below};
use crate::clock::Clock;

/// Ends of files that belong to weights; others of a folder (pictures, cards, code) are passed over.
const KINDS: [&str; 5] = ["safetensors", "gguf", "json", "txt", "model"];

/// What is to be registered.
#[derive(Debug, Clone)]
pub struct Adoption {
    /// A file or folder.
    pub path: PathBuf,
    /// What it is to be called; its own name without.
    pub name: Option<String>,
    /// What it is for; what it looks like without.
    pub part: Option<Part>,
    /// The model that it draws, by its id of the catalogue.
    pub model: Option<String>,
    /// Whether the store is to have a copy of its own.
    pub copy: bool,
    /// Whether an item of that name is replaced.
    pub force: bool,
}

/// Registers a file or folder. `on` hears of every piece that is hashed and says whether to go on; before it come the
/// total.
///
/// # Errors
/// What it is instead of weights, or why it cannot be registered.
pub fn adopt(
    store: &Store,
    adoption: &Adoption,
    begins: &mut dyn FnMut(u64),
    on: &mut dyn FnMut(u64) -> bool,
) -> Result<Item, Failure> {
    let shown = adoption.path.display();
    let wrong = |why: String| Failure::new(ErrorCode::InputFile, format!("failed to add {shown}: {why}"));
    let path = std::path::absolute(&adoption.path).map_err(|err| wrong(err.to_string()))?;
    let seen = look(&path).map_err(wrong)?;
    let part = adoption.part.unwrap_or(if adoption.model.is_some() { Part::Model } else { seen.part });
    let seen = if part == Part::Model { confirm(&path).map_err(wrong)? } else { seen };
    let model = adoption.model.clone().or(seen.model.filter(|_| part == Part::Model).map(str::to_owned));
    let files = files_of(&path).map_err(|err| wrong(err.to_string()))?;
    if files.is_empty() {
        return Err(wrong("nothing in it is a file of weights".to_owned()));
    }
    let name = match &adoption.name {
        Some(name) => name.clone(),
        None => name_of(&path),
    };
    names::item(&name).map_err(|why| wrong(format!("{why}; say --name")))?;
    let registry = store.registry()?;
    if registry.items.contains_key(&name) && !adoption.force {
        let words = format!("there is an item {name} already; say another --name, or --force to replace it");
        return Err(wrong(words));
    }
    let _held = if adoption.copy { Some(store.hold_item(&name)?) } else { None };
    begins(files.iter().map(|(_, bytes)| bytes).sum());
    let mut rows = Vec::new();
    for (relative, _) in &files {
        let from = path.join(relative);
        let from = if relative.as_os_str().is_empty() { path.clone() } else { from };
        let mut row_path = slashed(relative);
        if adoption.copy {
            if row_path.is_empty() {
                row_path = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            }
            names::file(&row_path).map_err(wrong)?;
        }
        let hashes = hash_file(&from, false, on).map_err(|err| failed(&from, &err))?;
        if adoption.copy {
            let to = row_path.split('/').fold(store.folder(&name), |path, part| path.join(part));
            copy(&from, &to, &hashes).map_err(|err| failed(&to, &err))?;
        }
        rows.push(FileRow { path: row_path, bytes: hashes.bytes, blake3: hashes.blake3, from: None });
    }
    let item = Item {
        name: name.clone(),
        part,
        holds: seen.holds,
        model,
        place: if adoption.copy { Place::Store } else { Place::Linked(path) },
        files: rows,
        hub: None,
        licence: None,
        added_ms: Clock::Machine.now_ms(),
    };
    store.change(|registry| {
        registry.items.insert(name, item.clone());
        Ok(item)
    })
}

/// Copies a file, durably, and makes sure that the copy is what was hashed.
fn copy(from: &Path, to: &Path, hashes: &Hashes) -> io::Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut temp = to.as_os_str().to_owned();
    temp.push(".part");
    let temp = PathBuf::from(temp);
    fs::copy(from, &temp)?;
    fs::OpenOptions::new().write(true).open(&temp)?.sync_all()?;
    let copied = hash_file(&temp, false, &mut |_| true)?;
    if copied.blake3 != hashes.blake3 {
        fs::remove_file(&temp)?;
        return Err(io::Error::other("the file changed while it was copied"));
    }
    fs::rename(&temp, to)
}

fn failed(path: &Path, err: &io::Error) -> Failure {
    match err.kind() {
        io::ErrorKind::Interrupted => Failure::new(ErrorCode::Cancelled, "failed to hash: it was interrupted"),
        _ => super::transfer::disk(&path.display().to_string(), err),
    }
}

/// The files that belong to weights, by their paths below `path`; an empty path when `path` is the file.
fn files_of(path: &Path) -> io::Result<Vec<(PathBuf, u64)>> {
    if path.is_file() {
        return Ok(vec![(PathBuf::new(), fs::metadata(path)?.len())]);
    }
    let known = |path: &Path| {
        let kind = path.extension().map(|kind| kind.to_string_lossy().to_ascii_lowercase());
        kind.is_some_and(|kind| KINDS.contains(&kind.as_str()))
    };
    Ok(files_below(path)?.into_iter().filter(|(path, _)| known(path)).collect())
}

fn slashed(path: &Path) -> String {
    path.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/")
}

/// A name for what lies at `path`: its own, with signs that no name has left out.
fn name_of(path: &Path) -> String {
    let name = if path.is_dir() { path.file_name() } else { path.file_stem() };
    let name = name.unwrap_or_default().to_string_lossy().into_owned();
    let kept = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '-' };
    name.chars().map(kept).collect::<String>().trim_start_matches(['.', '-', '_']).to_owned()
}

/// How a file stands against what was written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The same bytes.
    Same,
    /// Other bytes.
    Differs,
    /// It is gone.
    Missing,
    /// It cannot be read.
    Unreadable(String),
}

/// A file and how it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Where it lies.
    pub path: PathBuf,
    /// How it stands.
    pub verdict: Verdict,
}

/// Reads every file of an item and compares. `on` hears of every piece and says whether to go on.
///
/// # Errors
/// When it was interrupted.
pub fn verify(store: &Store, item: &Item, on: &mut dyn FnMut(u64) -> bool) -> Result<Vec<Verified>, Failure> {
    let mut verified = Vec::new();
    for file in &item.files {
        let path = store.path(item, file);
        let verdict = match hash_file(&path, false, on) {
            Ok(hashes) if hashes.blake3 == file.blake3 => Verdict::Same,
            Ok(_) => Verdict::Differs,
            Err(err) if err.kind() == io::ErrorKind::Interrupted => return Err(failed(&path, &err)),
            Err(err) if err.kind() == io::ErrorKind::NotFound => Verdict::Missing,
            Err(err) => Verdict::Unreadable(err.to_string()),
        };
        verified.push(Verified { path, verdict });
    }
    Ok(verified)
}

#[cfg(test)]
mod tests {
    use thumbforge_diffusion::tiny::{Encoders, Tiny};

    use super::*;

    fn weights(at: &Path) {
        let folder = tempfile::tempdir().unwrap();
        fs::copy(Tiny::large().write_single(folder.path(), Encoders::Apart).unwrap(), at).unwrap();
    }

    fn adoption(path: &Path) -> Adoption {
        Adoption { path: path.to_owned(), name: None, part: None, model: None, copy: false, force: false }
    }

    fn add(store: &Store, adoption: &Adoption) -> Result<Item, Failure> {
        adopt(store, adoption, &mut |_| {}, &mut |_| true)
    }

    #[test]
    fn a_file_is_used_where_it_lies_and_its_changes_are_seen() {
        let folder = tempfile::tempdir().unwrap();
        let (store, path) = (Store::new(folder.path().join("store")), folder.path().join("my model.safetensors"));
        weights(&path);
        let item = add(&store, &adoption(&path)).unwrap();
        assert_eq!((item.name.as_str(), item.part, item.holds.as_slice()), ("my-model", Part::Model, &[Part::Vae][..]));
        assert_eq!(item.place, Place::Linked(path.clone()));
        let verdict = |item: &Item| verify(&store, item, &mut |_| true).unwrap()[0].verdict.clone();
        assert_eq!(verdict(&item), Verdict::Same);
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, bytes).unwrap();
        assert_eq!(verdict(&item), Verdict::Differs);
        fs::remove_file(&path).unwrap();
        assert_eq!(verdict(&item), Verdict::Missing);
    }

    #[test]
    fn a_copy_is_the_store_s_own() {
        let folder = tempfile::tempdir().unwrap();
        let (store, path) = (Store::new(folder.path().join("store")), folder.path().join("m.safetensors"));
        weights(&path);
        let item = add(&store, &Adoption { copy: true, name: Some("mine".into()), ..adoption(&path) }).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(item.place, Place::Store);
        assert!(store.folder("mine").join("m.safetensors").exists());
        assert_eq!(verify(&store, &item, &mut |_| true).unwrap()[0].verdict, Verdict::Same);
    }

    #[test]
    fn a_folder_is_taken_with_what_belongs_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let (store, path) = (Store::new(folder.path().join("store")), folder.path().join("tiny"));
        Tiny::medium().write_diffusers(&path, usize::MAX).unwrap();
        fs::create_dir_all(path.join(".cache")).unwrap();
        fs::write(path.join(".cache/model.safetensors"), "half of it").unwrap();
        fs::write(path.join("README.md"), "hello").unwrap();
        let item = add(&store, &adoption(&path)).unwrap();
        let files: Vec<&str> = item.files.iter().map(|file| file.path.as_str()).collect();
        assert!(files.contains(&"model_index.json") && files.contains(&"transformer/config.json"), "{files:?}");
        assert!(!files.iter().any(|file| file.contains("cache") || file.contains("README")), "{files:?}");
        assert_eq!(item.holds, [Part::ClipL, Part::ClipG, Part::T5, Part::Vae]);
    }

    #[test]
    fn what_cannot_be_added_is_told_why() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("store"));
        #[track_caller]
        fn check(store: &Store, adoption: &Adoption, expected: &str) {
            let failure = add(store, adoption).unwrap_err();
            assert!(failure.message.contains(expected) && failure.code == ErrorCode::InputFile, "{failure}");
        }
        let path = folder.path().join("m.safetensors");
        check(&store, &adoption(&path), "failed to add");
        fs::write(&path, "PK\x03\x04....").unwrap();
        check(&store, &adoption(&path), "pickle");
        weights(&path);
        let half = fs::read(&path).unwrap();
        fs::write(&path, &half[..half.len() / 2]).unwrap();
        check(&store, &adoption(&path), "failed to add");
        weights(&path);
        check(&store, &Adoption { name: Some("../m".into()), ..adoption(&path) }, "no name");
        add(&store, &adoption(&path)).unwrap();
        check(&store, &adoption(&path), "--force");
        add(&store, &Adoption { force: true, ..adoption(&path) }).unwrap();
        let empty = folder.path().join("empty");
        fs::create_dir(&empty).unwrap();
        check(&store, &adoption(&empty), "nothing in it");
        let stopped = adopt(&store, &Adoption { force: true, ..adoption(&path) }, &mut |_| {}, &mut |_| false);
        assert_eq!(stopped.unwrap_err().code, ErrorCode::Cancelled);
    }
}
