//! What a project wants: its manifest or prompt file expanded, and its lock.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use parking_lot::Mutex;
use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::id::ContentHash;
use thumbforge_core::image::Extent;
use thumbforge_core::limits;
use thumbforge_core::locale::Strings;
use thumbforge_core::lock::Lock;
use thumbforge_core::manifest::body::Vcs;
use thumbforge_core::manifest::{
    DEFAULT_SIZE, Expanded, Expansion, FileFault, Files, Manifest, ManifestErrors, Overrides, PromptFile, Share,
    TierFile, Wanted, expand_share, join,
};
use thumbforge_core::model::{Catalogue, ModelId};

use super::BuildError;
use crate::output::observe::{self, lfs_pointer};
use crate::output::stat_cache::StatCache;
use crate::output::write::{Patience, write_atomic};

/// Where the wishes come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A folder with a `thumbforge.toml`, or the file itself.
    Manifest(PathBuf),
    /// One prompt a line; pictures go to `out`.
    Prompts {
        /// The file.
        file: PathBuf,
        /// The folder for pictures.
        out: PathBuf,
        /// What drafts and finals are drawn with, in the tier file's form.
        tiers: Option<PathBuf>,
    },
}

/// A project, read and expanded.
pub struct Project {
    /// Folder that outputs are relative to.
    pub root: PathBuf,
    /// Everything that is wanted.
    pub expansion: Expansion,
    /// What the last build left.
    pub lock: Lock,
    /// Where the lock is written.
    pub lock_path: PathBuf,
    /// Name that decides GUIDs.
    pub name: String,
    /// How version control is told.
    pub vcs: Vcs,
    /// Margin that words keep.
    pub safe_inset: Option<f64>,
    /// A folder that the team shares renders in.
    pub shared_cache: Option<PathBuf>,
    /// Hashes of files by size and time of change; it saves time and decides nothing.
    pub stat_cache: StatCache,
    stat_path: PathBuf,
}

impl Project {
    /// Reads what `source` names. `data_dir` holds the stat cache, and the lock of a prompt file.
    ///
    /// # Errors
    /// Every mistake in the team's files, or why one cannot be read.
    pub fn open(
        source: &Source,
        overrides: &Overrides,
        catalogue: &Catalogue,
        data_dir: &Path,
        now: SystemTime,
    ) -> Result<Self, BuildError> {
        match source {
            Source::Manifest(path) => Self::of_manifest(path, overrides, catalogue, data_dir, now),
            Source::Prompts { file, out, tiers } => {
                Self::of_prompts(file, out, tiers.as_deref(), overrides, catalogue, data_dir)
            }
        }
    }

    fn of_manifest(
        path: &Path,
        overrides: &Overrides,
        catalogue: &Catalogue,
        data_dir: &Path,
        now: SystemTime,
    ) -> Result<Self, BuildError> {
        let file = if path.is_dir() { path.join("thumbforge.toml") } else { path.to_owned() };
        let folder = match file.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let bytes = read_bounded(&file, limits::MANIFEST_BYTES_MAX).map_err(|fault| {
            let message = format!(
                "failed to read the manifest {}: {fault}; name a folder that has a thumbforge.toml",
                file.display()
            );
            Failure::new(ErrorCode::InvalidManifest, message)
        })?;
        let root = folder.canonicalize().map_err(|err| unusable(folder, &err))?;
        let manifest = Manifest::parse(&file.display().to_string(), &bytes)?;
        let stat_path = side_file(data_dir, "stat", &root);
        let disk = Disk { root: &root, cache: Mutex::new(StatCache::load(&stat_path)), now };
        let strings = manifest.strings(&disk)?;
        let lock_path = root.join("thumbforge.lock");
        let (expansion, lock) = std::thread::scope(|scope| {
            let lock = scope.spawn(|| read_lock(&lock_path));
            let expansion = expand_on_all_cores(&manifest, &strings, &disk, catalogue, overrides);
            (expansion, joined(lock))
        });
        let (expansion, lock) = (expansion?, lock?);
        let body = manifest.body();
        Ok(Self {
            lock,
            lock_path,
            name: body.project.clone().unwrap_or_default(),
            vcs: body.output.vcs.clone(),
            safe_inset: body.output.safe_area,
            shared_cache: body.cache.shared.as_ref().map(|path| root.join(path)),
            stat_cache: disk.cache.into_inner(),
            stat_path,
            expansion,
            root,
        })
    }

    fn of_prompts(
        file: &Path,
        out: &Path,
        tiers: Option<&Path>,
        overrides: &Overrides,
        catalogue: &Catalogue,
        data_dir: &Path,
    ) -> Result<Self, BuildError> {
        let bytes = read_bounded(file, limits::PROMPT_FILE_BYTES_MAX).map_err(|fault| {
            let message = format!("failed to read the prompt file {}: {fault}", file.display());
            Failure::new(ErrorCode::InvalidManifest, message)
        })?;
        let tiers = match tiers {
            Some(path) => {
                let bytes = read_bounded(path, limits::TIER_FILE_BYTES_MAX).map_err(|fault| {
                    let message = format!("failed to read the tier file {}: {fault}", path.display());
                    Failure::new(ErrorCode::InvalidManifest, message)
                })?;
                TierFile::parse(&path.display().to_string(), &bytes)?
            }
            None => TierFile::default(),
        };
        let expansion = PromptFile::parse(&file.display().to_string(), &bytes)?.expand(&tiers, catalogue, overrides)?;
        fs::create_dir_all(out).map_err(|err| unusable(out, &err))?;
        let root = out.canonicalize().map_err(|err| unusable(out, &err))?;
        let (lock_path, stat_path) = (side_file(data_dir, "lock", &root), side_file(data_dir, "stat", &root));
        Ok(Self {
            lock: read_lock(&lock_path)?,
            lock_path,
            name: String::new(),
            vcs: Vcs::None,
            safe_inset: None,
            shared_cache: None,
            stat_cache: StatCache::load(&stat_path),
            stat_path,
            expansion,
            root,
        })
    }

    /// Whether an output's recipe names a model other than the built-in one.
    pub fn names_a_model(&self, output: &str) -> bool {
        self.wanted(output)
            .and_then(|wanted| wanted.recipe.model.as_ref())
            .is_some_and(|model| *model != ModelId::builtin())
    }

    /// The size of an output, or nothing much for what nobody wants.
    pub fn size_of(&self, output: &str) -> Extent {
        self.wanted(output).map_or(DEFAULT_SIZE, |wanted| wanted.recipe.size)
    }

    fn wanted(&self, output: &str) -> Option<&Wanted> {
        let wanted = &self.expansion.wanted;
        wanted.binary_search_by(|wanted| wanted.output.as_str().cmp(output)).ok().map(|at| &wanted[at])
    }

    /// Who asks for its pictures; clients have their turns one after another.
    pub fn client(&self) -> String {
        format!("build {}", self.root.display())
    }

    /// Bytes of a file that the manifest names.
    ///
    /// # Errors
    /// A failure that names it.
    pub fn input(&self, path: &str) -> Result<Vec<u8>, Failure> {
        read_bounded(&self.root.join(path), limits::INPUT_BYTES_MAX)
            .map_err(|fault| Failure::new(ErrorCode::InputFile, format!("failed to read {path}: {fault}")))
    }

    /// Keeps what was learned of files for the next build; a cache that cannot be written costs time only.
    pub fn save_stat_cache(&mut self) {
        if let Some(folder) = self.stat_path.parent()
            && let Err(err) = fs::create_dir_all(folder)
        {
            tracing::debug!(%err, "no stat cache");
            return;
        }
        if let Err(err) = self.stat_cache.save(&self.stat_path, &Patience::usual()) {
            tracing::debug!(%err, "the stat cache was not written");
        }
    }

    /// Writes the lock.
    ///
    /// # Errors
    /// Why it cannot be written.
    pub fn save_lock(&self) -> Result<(), Failure> {
        save_lock(&self.lock, &self.lock_path)
    }
}

/// Below this many assets one thread is done before others have started.
const ASSETS_PER_THREAD_MIN: usize = 200;

/// The core starts no thread; it takes its work in shares instead.
fn expand_on_all_cores(
    manifest: &Manifest,
    strings: &Strings,
    disk: &Disk<'_>,
    catalogue: &Catalogue,
    overrides: &Overrides,
) -> Result<Expansion, BuildError> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let of = (manifest.body().assets.len() / ASSETS_PER_THREAD_MIN).clamp(1, cores);
    let expand = |number| expand_share(manifest, strings, disk, catalogue, overrides, Share { number, of });
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..of).map(|number| scope.spawn(move || expand(number))).collect();
        let first = expand(0);
        let others: Vec<Result<Expanded, ManifestErrors>> = others.into_iter().map(joined).collect();
        Ok(join(manifest, overrides, first?, others.into_iter().collect::<Result<_, _>>()?)?)
    })
}

/// What a thread came to; its panic goes on in this one.
fn joined<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

pub(super) fn save_lock(lock: &Lock, path: &Path) -> Result<(), Failure> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|err| unusable(folder, &err))?;
    }
    write_atomic(path, lock.to_text().as_bytes(), &Patience::usual())
        .map_err(|err| Failure::new(err.code(), format!("failed to {}", thumbforge_core::error::chain(&err))))
}

/// A file of the data directory that belongs to one project folder.
fn side_file(data_dir: &Path, kind: &str, root: &Path) -> PathBuf {
    let hash = ContentHash::of(root.to_string_lossy().as_bytes()).to_string();
    data_dir.join("projects").join(format!("{}.{kind}", &hash[..32]))
}

fn read_lock(path: &Path) -> Result<Lock, BuildError> {
    match read_bounded(path, limits::LOCK_BYTES_MAX) {
        Ok(bytes) => Ok(Lock::parse(&path.display().to_string(), &bytes)?),
        Err(FileFault::Missing) => Ok(Lock::default()),
        Err(fault) => {
            let message = format!("failed to read {}: {fault}", path.display());
            Err(Failure::new(ErrorCode::InvalidManifest, message).into())
        }
    }
}

fn unusable(folder: &Path, err: &io::Error) -> Failure {
    Failure::new(ErrorCode::OutputFile, format!("failed to use the folder {}: {err}", folder.display()))
}

fn read_bounded(path: &Path, bytes_max: usize) -> Result<Vec<u8>, FileFault> {
    let fault = |err: io::Error| match err.kind() {
        io::ErrorKind::NotFound => FileFault::Missing,
        _ => FileFault::Unreadable(err.to_string()),
    };
    let file = fs::File::open(path).map_err(fault)?;
    let mut bytes = Vec::new();
    file.take(bytes_max as u64 + 1).read_to_end(&mut bytes).map_err(fault)?;
    if bytes.len() > bytes_max {
        return Err(FileFault::TooLarge { bytes_max });
    }
    if lfs_pointer(&bytes).is_some() {
        return Err(FileFault::LfsPointer);
    }
    Ok(bytes)
}

/// The manifest's folder as the core sees it.
struct Disk<'a> {
    root: &'a Path,
    cache: Mutex<StatCache>,
    now: SystemTime,
}

impl Files for Disk<'_> {
    fn read(&self, path: &str, bytes_max: usize) -> Result<Vec<u8>, FileFault> {
        read_bounded(&self.root.join(path), bytes_max)
    }

    fn content(&self, path: &str) -> Result<ContentHash, FileFault> {
        let path = self.root.join(path);
        observe::content_hash(&path, &mut self.cache.lock(), self.now).map_err(|err| match err {
            observe::ContentError::Missing { .. } => FileFault::Missing,
            observe::ContentError::LfsPointer { .. } => FileFault::LfsPointer,
            other => FileFault::Unreadable(thumbforge_core::error::chain(&other)),
        })
    }
}
