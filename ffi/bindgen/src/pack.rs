//! The Unity package as one archive, which Unity's Package Manager takes as it is (*Add package from tarball*).
//!
//! ```text
//! unity-package (what git knows of it) ─┐
//! libraries and programs of a build ────┼─► check ─► com.thumbforge.editor-VERSION.tgz
//! licences of what is built in ─────────┘
//! ```
//! The archive follows from what is in it: names are sorted, times, owners and modes fixed, so the same files give the
//! same bytes. What would not work in an editor is refused here rather than found out there: a `.meta` that is missing
//! or old, a manifest that Unity does not take, a version that the changelog does not know, a package without programs.

mod archive;
mod manifest;
mod notices;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::meta::{self, is_imported, Kind};

/// What to pack, and where to.
pub struct Options {
    /// The repository's folder.
    pub root: PathBuf,
    /// A folder with the programs for Linux.
    pub linux: Option<PathBuf>,
    /// A folder with the programs for Windows.
    pub windows: Option<PathBuf>,
    /// The folder that the archive comes to lie in.
    pub out: PathBuf,
    /// Whether programs are taken that were built without the feature `dist`: they neither sign nor check C2PA manifests.
    pub plain: bool,
}

/// A system that the package brings programs for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    /// x86-64, with glibc.
    Linux,
    /// x86-64.
    Windows,
}

impl System {
    /// What Rust calls it, for the folder that a build for another system is put in.
    pub fn triple(self) -> &'static str {
        match self {
            Self::Linux => "x86_64-unknown-linux-gnu",
            Self::Windows => "x86_64-pc-windows-gnu",
        }
    }

    /// Its library and its program: the file's name in a build, and where the package has it.
    fn files(self) -> [(&'static str, &'static str); 2] {
        match self {
            Self::Linux => [
                ("libthumbforge.so", "Plugins/x86_64/libthumbforge.so"),
                ("thumbforge", "Sidecar~/linux-x86_64/thumbforge"),
            ],
            Self::Windows => [
                ("thumbforge.dll", "Plugins/x86_64/thumbforge.dll"),
                ("thumbforge.exe", "Sidecar~/windows-x86_64/thumbforge.exe"),
            ],
        }
    }

    /// Whether a folder has both.
    pub fn is_complete(self, folder: &Path) -> bool {
        self.files().iter().all(|(name, _)| folder.join(name).is_file())
    }
}

/// An archive that was written.
#[derive(Debug)]
pub struct Packed {
    /// Where it lies.
    pub file: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// What is in it: paths below the package, and sizes.
    pub files: Vec<(String, u64)>,
    /// What it lacks and what it needs, in sentences.
    pub notes: Vec<String>,
}

impl fmt::Display for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (path, bytes) in &self.files {
            writeln!(f, "{bytes:>12}  {path}")?;
        }
        let all: u64 = self.files.iter().map(|(_, bytes)| bytes).sum();
        writeln!(f, "{all:>12}  in {} files", self.files.len())?;
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        write!(f, "{}: {} bytes", self.file.display(), self.bytes)
    }
}

/// A file of the archive.
struct File {
    bytes: Vec<u8>,
    executable: bool,
}

impl File {
    fn plain(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: bytes.into(), executable: false }
    }
}

/// Files by their paths below the package: sorted, which is their order in the archive.
type Files = BTreeMap<String, File>;

/// Packs the package.
///
/// # Errors
/// When something is missing that an editor would miss too; the message says what to do.
pub fn pack(options: &Options) -> io::Result<Packed> {
    let package = options.root.join(crate::PACKAGE);
    let mut files = sources(&package)?;
    fresh(&package)?;
    let manifest = manifest::check(&files)?;
    let systems = [(System::Linux, &options.linux), (System::Windows, &options.windows)];
    if systems.iter().all(|(_, folder)| folder.is_none()) {
        return Err(refused(
            "there is no program to pack: build it (cargo build --release -p thumbforge-sidecar -p thumbforge-ffi \
             --features thumbforge-sidecar/dist), or \
             name a folder with --linux or --windows",
        ));
    }
    let mut notes = Vec::new();
    for (system, folder) in systems {
        match folder {
            Some(folder) => notes.extend(programs(&mut files, system, folder, options.plain)?),
            None => {
                notes.push(format!("no programs for {system:?}: its editors can load no library from this archive"));
            }
        }
    }
    if let Some(minor) = files.values().filter_map(|file| glibc(&file.bytes)).max() {
        notes.push(format!("the programs for Linux need glibc 2.{minor} or newer, as the machine that built them had"));
    }
    for (name, text) in notices::collect(&options.root)? {
        files.insert(format!("Licences~/{name}"), File::plain(text));
    }
    every_file_has_a_meta(&mut files)?;

    let bytes = archive::write(&files)?;
    fs::create_dir_all(&options.out).map_err(|err| at(&options.out, &err))?;
    let file = options.out.join(format!("{}-{}.tgz", manifest.name, manifest.version));
    fs::write(&file, &bytes).map_err(|err| at(&file, &err))?;
    // A person copies the path.
    let file = file.canonicalize().map_err(|err| at(&file, &err))?;
    let sizes = files.into_iter().map(|(path, file)| (path, file.bytes.len() as u64)).collect();
    Ok(Packed { file, bytes: bytes.len() as u64, files: sizes, notes })
}

/// The package's own files as git has them, so that what a sample drew where it was tried stays behind.
/// Files that are new and not yet added count; programs that lie in the folder for trying it out are ignored by git.
fn sources(package: &Path) -> io::Result<Files> {
    let mut git = Command::new("git");
    git.arg("-C").arg(package).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "."]);
    let output =
        git.output().map_err(|err| refused(format!("git, which knows the package's files, cannot be run: {err}")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(refused(format!("git does not know {}: {}", package.display(), said.trim())));
    }
    let mut files = Files::new();
    let listed = String::from_utf8(output.stdout).map_err(|_| refused("a file's name is not UTF-8"))?;
    for path in listed.split('\0').filter(|path| !path.is_empty()) {
        // Neither npm nor Unity has a use for files of git.
        if path.split('/').any(|name| name.starts_with('.')) {
            continue;
        }
        match fs::read(package.join(path)) {
            Ok(bytes) => _ = files.insert(path.to_owned(), File::plain(bytes)),
            // Deleted, and the deletion is not committed.
            Err(err) if err.kind() == io::ErrorKind::NotFound => {}
            Err(err) => return Err(at(&package.join(path), &err)),
        }
    }
    Ok(files)
}

/// Refuses a package whose `.meta` files are not those that its files ask for.
fn fresh(package: &Path) -> io::Result<()> {
    let metas = meta::metas(package)?;
    let is_old = |(path, text): &&(String, String)| {
        fs::read_to_string(package.join(path)).map_or(true, |there| there.replace("\r\n", "\n") != *text)
    };
    let mut wrong: Vec<String> = metas.wanted.iter().filter(is_old).map(|(path, _)| path.clone()).collect();
    wrong.extend(metas.orphans);
    if wrong.is_empty() {
        return Ok(());
    }
    let wrong = wrong.join(", ");
    Err(refused(format!("these are missing, old or of nothing: {wrong}; run cargo run -p thumbforge-bindgen")))
}

/// What a program with C2PA has in it, and none without: the label of the actions that it claims.
const C2PA_MARK: &[u8] = b"c2pa.actions.v2";

/// Adds the programs of a system; what is to be said of them.
fn programs(files: &mut Files, system: System, folder: &Path, plain: bool) -> io::Result<Option<String>> {
    let mut note = None;
    for (name, place) in system.files() {
        let path = folder.join(name);
        let bytes = fs::read(&path).map_err(|err| at(&path, &err))?;
        if bytes.is_empty() {
            return Err(refused(format!("{} is empty", path.display())));
        }
        // The library is mapped, not run.
        let executable = place.starts_with("Sidecar~/");
        if executable && !bytes.windows(C2PA_MARK.len()).any(|window| window == C2PA_MARK) {
            let what = format!("{} was built without C2PA, so it neither signs nor checks pictures", path.display());
            if !plain {
                return Err(refused(format!(
                    "{what}: build it with `--features thumbforge-sidecar/dist`, or pack it as it is with --plain"
                )));
            }
            note = Some(what);
        }
        files.insert(place.to_owned(), File { bytes, executable });
    }
    Ok(note)
}

/// The newest glibc, 2.x, that a program for Linux asks for; versions stand in it as text. A program that was built on
/// a new system does not start on an old one, and an editor could say no more than that it does not start.
fn glibc(bytes: &[u8]) -> Option<u32> {
    const BEFORE: &[u8] = b"GLIBC_2.";
    if !bytes.starts_with(b"\x7fELF") {
        return None;
    }
    let found = bytes.windows(BEFORE.len()).enumerate().filter(|(_, window)| *window == BEFORE);
    let minors = found.filter_map(|(at, _)| {
        let digits = bytes[at + BEFORE.len()..].iter().take_while(|b| b.is_ascii_digit());
        digits.map(|b| char::from(*b)).collect::<String>().parse().ok()
    });
    minors.max()
}

/// Adds the `.meta` files of what was added, with those of its folders.
fn every_file_has_a_meta(files: &mut Files) -> io::Result<()> {
    let mut wanted = BTreeMap::new();
    for path in files.keys().filter(|path| !path.ends_with(".meta") && path.split('/').all(is_imported)) {
        wanted.insert(path.clone(), Kind::File);
        let folders = path.match_indices('/').map(|(at, _)| path[..at].to_owned());
        wanted.extend(folders.map(|folder| (folder, Kind::Folder)));
    }
    for (path, kind) in wanted {
        let text = meta::text(&path, kind)?;
        files.insert(format!("{path}.meta"), File::plain(text));
    }
    Ok(())
}

fn refused(message: impl Into<String>) -> io::Error {
    io::Error::other(message.into())
}

fn at(path: &Path, err: &io::Error) -> io::Error {
    io::Error::new(err.kind(), format!("{}: {err}", path.display()))
}
