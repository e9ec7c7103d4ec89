//! What a project wants: its manifest or prompt file expanded, and its lock.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use parking_lot::Mutex;
use thumbforge_core::approvals::{Approval, Approvals};
use thumbforge_core::day::Day;
use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::id::{ContentHash, PixelHash};
use thumbforge_core::image::Extent;
use thumbforge_core::job::AssetRef;
use thumbforge_core::limits;
use thumbforge_core::locale::Strings;
use thumbforge_core::lock::Lock;
use thumbforge_core::manifest::body::Vcs;
use thumbforge_core::manifest::exporting::Export;
use thumbforge_core::manifest::{
    DEFAULT_SIZE, Expanded, Expansion, FileFault, Files, Known, Manifest, ManifestErrors, Overrides, PromptFile, Share,
    TierFile, Wanted, expand_share, join,
};
use thumbforge_core::model::{Catalogue, ModelId, ModelRow, parse_rows};
use thumbforge_core::routing::Learned;

use super::BuildError;
use super::report::Approved;
use crate::output::observe::{self, lfs_pointer};
use crate::output::stat_cache::StatCache;
use crate::output::write::{Patience, write_atomic};

/// Where the wishes come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A folder with a `thumbforge.toml`, or the file itself.
    Manifest(PathBuf),
    /// The same, drawn beside the project: pictures go to `out`, and its lock, version control and `.meta` files are left
    /// alone.
    Drafts {
        /// The manifest.
        manifest: PathBuf,
        /// The folder for pictures.
        out: PathBuf,
    },
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
    /// Folder that the files of the manifest are relative to.
    pub folder: PathBuf,
    /// The manifest, if there is one.
    pub manifest: Option<PathBuf>,
    /// Whether what is drawn goes beside the project.
    pub drafts: bool,
    /// What has been decided on its pictures.
    pub approvals: Approvals,
    /// Everything that is wanted.
    pub expansion: Expansion,
    /// What the last build left.
    pub lock: Lock,
    /// Where the lock is written.
    pub lock_file: LockFile,
    /// Name that decides GUIDs.
    pub name: String,
    /// How version control is told.
    pub vcs: Vcs,
    /// Margin that words keep.
    pub safe_inset: Option<f64>,
    /// What exported copies say of whose they are.
    pub export: Export,
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
            Source::Manifest(path) => Self::of_manifest(path, None, overrides, catalogue, data_dir, now),
            Source::Drafts { manifest, out } => {
                Self::of_manifest(manifest, Some(out), overrides, catalogue, data_dir, now)
            }
            Source::Prompts { file, out, tiers } => {
                let known = Known::of(catalogue, day(now));
                Self::of_prompts(file, out, tiers.as_deref(), overrides, known, data_dir)
            }
        }
    }

    fn of_manifest(
        path: &Path,
        out: Option<&Path>,
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
        let folder = folder.canonicalize().map_err(|err| unusable(folder, &err))?;
        let manifest = Manifest::parse(&file.display().to_string(), &bytes)?;
        let root = match out {
            Some(out) => drafts_folder(out, &folder)?,
            None => folder.clone(),
        };
        let stat_path = side_file(data_dir, "stat", &root);
        let disk = Disk { root: &folder, cache: Mutex::new(StatCache::load(&stat_path)), now };
        let strings = manifest.strings(&disk)?;
        let approvals = read_approvals(&folder)?;
        let (own, learned) = (own_rows(&folder)?, learned(&folder)?);
        let with_own = (!own.is_empty()).then(|| catalogue.with_rows(own.clone())).transpose();
        let with_own = with_own.map_err(|err| unusable_file(&folder.join(MODELS_FILE), &err))?;
        let catalogue = with_own.as_ref().unwrap_or(catalogue);
        let known = Known { catalogue, own: &own, learned: &learned, today: day(now) };
        let lock_file = match out {
            Some(_) => LockFile::new(side_file(data_dir, "lock", &root), data_dir, &root),
            None => LockFile::new(root.join("thumbforge.lock"), data_dir, &root),
        };
        let (expansion, lock) = std::thread::scope(|scope| {
            let lock = scope.spawn(|| lock_file.read());
            let expansion = expand_on_all_cores(&manifest, &strings, &disk, known, overrides);
            (expansion, joined(lock))
        });
        let (expansion, lock) = (expansion?, lock?);
        let body = manifest.body();
        Ok(Self {
            lock,
            lock_file,
            drafts: out.is_some(),
            approvals,
            name: body.project.clone().unwrap_or_default(),
            vcs: if out.is_some() { Vcs::None } else { body.output.vcs.clone() },
            safe_inset: body.output.safe_area,
            export: body.export.clone(),
            shared_cache: body.cache.shared.as_ref().map(|path| folder.join(path)),
            manifest: Some(folder.join(file.file_name().unwrap_or_default())),
            stat_cache: disk.cache.into_inner(),
            folder,
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
        known: Known<'_>,
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
        let expansion = PromptFile::parse(&file.display().to_string(), &bytes)?.expand(&tiers, known, overrides)?;
        fs::create_dir_all(out).map_err(|err| unusable(out, &err))?;
        let root = out.canonicalize().map_err(|err| unusable(out, &err))?;
        let lock_file = LockFile::new(side_file(data_dir, "lock", &root), data_dir, &root);
        let stat_path = side_file(data_dir, "stat", &root);
        Ok(Self {
            lock: lock_file.read()?,
            lock_file,
            folder: root.clone(),
            manifest: None,
            drafts: false,
            approvals: Approvals::default(),
            name: String::new(),
            vcs: Vcs::None,
            safe_inset: None,
            export: Export::default(),
            shared_cache: None,
            stat_cache: StatCache::load(&stat_path),
            stat_path,
            expansion,
            root,
        })
    }

    /// A name that no other build has, for its budget and the ledger.
    pub fn batch_id(&self, now: SystemTime) -> String {
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let unique = format!("{} {} {}", self.root.display(), since.as_nanos(), std::process::id());
        let hash = ContentHash::of(unique.as_bytes()).to_string();
        format!("{}-{}", day(now), &hash[..12])
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
        read_bounded(&self.folder.join(path), limits::INPUT_BYTES_MAX)
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

    /// Waits until nobody else changes files of `folder` that several commands write; held until it is dropped.
    pub(crate) fn take_turn(&self, folder: &Path) -> Option<fs::File> {
        take_turn(&self.stat_path.with_file_name(side_name("turn", folder)))
    }

    /// Changes the lock on the disk, and knows it as it is then.
    ///
    /// # Errors
    /// Why it cannot be read or written.
    pub fn update_lock(&mut self, change: impl FnOnce(&mut Lock)) -> Result<(), BuildError> {
        self.lock = self.lock_file.update(change)?;
        Ok(())
    }

    /// What the decisions on an image are worth for `pixels`.
    pub fn approval(&self, asset: &AssetRef, pixels: Option<PixelHash>) -> Option<Approved> {
        Approved::of(&self.approvals, asset, pixels)
    }
}

/// A lock on the disk. Others may write to it while we do, an editor that accepts a draft during a build say, so each
/// change is made to what stands there, one after another.
#[derive(Debug, Clone)]
pub struct LockFile {
    path: PathBuf,
    /// Held while the lock is changed. It lies in the data directory: a team's folder gets no files of that kind.
    turn: PathBuf,
}

impl LockFile {
    fn new(path: PathBuf, data_dir: &Path, root: &Path) -> Self {
        Self { path, turn: side_file(data_dir, "turn", root) }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The lock as it is; one that is not there has no lines.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn read(&self) -> Result<Lock, BuildError> {
        match read_bounded(&self.path, limits::LOCK_BYTES_MAX) {
            Ok(bytes) => Ok(Lock::parse(&self.path.display().to_string(), &bytes)?),
            Err(FileFault::Missing) => Ok(Lock::default()),
            Err(fault) => Err(unreadable(&self.path, &fault).into()),
        }
    }

    /// Makes a change, and gives the lock as it is then.
    ///
    /// # Errors
    /// Why it cannot be read or written.
    pub fn update(&self, change: impl FnOnce(&mut Lock)) -> Result<Lock, BuildError> {
        let _turn = take_turn(&self.turn);
        let mut lock = self.read()?;
        change(&mut lock);
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder).map_err(|err| unusable(folder, &err))?;
        }
        write_atomic(&self.path, lock.to_text().as_bytes(), &Patience::usual())
            .map_err(|err| Failure::new(err.code(), format!("failed to {}", thumbforge_core::error::chain(&err))))?;
        Ok(lock)
    }
}

/// Waits until nobody else changes the file. Where there are no locks, on some network folders, nobody waits for anybody.
fn take_turn(path: &Path) -> Option<fs::File> {
    fs::create_dir_all(path.parent()?).ok()?;
    let file = fs::File::options().create(true).truncate(false).write(true).open(path).ok()?;
    file.lock().ok()?;
    Some(file)
}

/// Where the approvals of a manifest lie.
pub fn approvals_path(folder: &Path) -> PathBuf {
    folder.join("thumbforge.approvals")
}

/// The decisions on a manifest's pictures; a file that is not there has none.
///
/// # Errors
/// Why it cannot be read.
pub fn read_approvals(folder: &Path) -> Result<Approvals, BuildError> {
    let path = approvals_path(folder);
    match read_bounded(&path, limits::APPROVALS_BYTES_MAX) {
        Ok(bytes) => Ok(Approvals::parse(&path.display().to_string(), &bytes)?),
        Err(FileFault::Missing) => Ok(Approvals::default()),
        Err(fault) => Err(unreadable(&path, &fault).into()),
    }
}

/// Decides something, among whatever others decide at the same time.
///
/// # Errors
/// What cannot be written down, or why the file cannot be read or written.
pub fn decide(folder: &Path, data_dir: &Path, approval: Approval) -> Result<(), BuildError> {
    let _turn = take_turn(&side_file(data_dir, "turn", folder));
    let mut approvals = read_approvals(folder)?;
    let invalid = |err| Failure::new(ErrorCode::InvalidRequest, format!("failed to {err}"));
    approvals.decide(approval).map_err(invalid)?;
    write_atomic(&approvals_path(folder), approvals.to_text().as_bytes(), &Patience::usual())
        .map_err(|err| Failure::new(err.code(), format!("failed to {}", thumbforge_core::error::chain(&err))))?;
    Ok(())
}

/// Rows of a project's own, beside its manifest.
pub const MODELS_FILE: &str = "thumbforge.models.toml";
/// What was learned of models, beside the manifest.
pub const QUALITY_FILE: &str = "thumbforge.quality.toml";

/// The project's own rows of the catalogue; a file that is not there has none.
///
/// # Errors
/// Why it cannot be read.
pub fn own_rows(folder: &Path) -> Result<Vec<ModelRow>, Failure> {
    let path = folder.join(MODELS_FILE);
    let text = read_text(&path)?;
    text.map_or(Ok(Vec::new()), |text| parse_rows(&text).map_err(|err| unusable_file(&path, &err)))
}

/// What was learned of models in the project; a file that is not there says nothing.
///
/// # Errors
/// Why it cannot be read.
pub fn learned(folder: &Path) -> Result<Learned, Failure> {
    let path = folder.join(QUALITY_FILE);
    let text = read_text(&path)?;
    text.map_or(Ok(Learned::default()), |text| Learned::parse(&text).map_err(|err| unusable_file(&path, &err)))
}

fn read_text(path: &Path) -> Result<Option<String>, Failure> {
    match read_bounded(path, limits::CATALOGUE_BYTES_MAX) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Ok(Some(text.trim_start_matches('\u{feff}').to_owned())),
            Err(_) => Err(unreadable(path, &FileFault::Unreadable("it is not UTF-8".to_owned()))),
        },
        Err(FileFault::Missing) => Ok(None),
        Err(fault) => Err(unreadable(path, &fault)),
    }
}

fn unusable_file(path: &Path, err: &dyn std::error::Error) -> Failure {
    Failure::new(ErrorCode::InvalidManifest, format!("{}: failed to {err}", path.display()))
}

/// The day of a moment, in UTC.
fn day(now: SystemTime) -> Day {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Day::of_ms(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// A folder for drafts: anywhere but in the place of the finals.
fn drafts_folder(out: &Path, folder: &Path) -> Result<PathBuf, Failure> {
    fs::create_dir_all(out).map_err(|err| unusable(out, &err))?;
    let root = out.canonicalize().map_err(|err| unusable(out, &err))?;
    if root == folder {
        let message = "failed to use --out: it is the manifest's own folder; leave it out, or name a folder for drafts";
        return Err(Failure::new(ErrorCode::InvalidRequest, message));
    }
    Ok(root)
}

fn unreadable(path: &Path, fault: &FileFault) -> Failure {
    Failure::new(ErrorCode::InvalidManifest, format!("failed to read {}: {fault}", path.display()))
}

/// Below this many assets one thread is done before others have started.
const ASSETS_PER_THREAD_MIN: usize = 200;

/// The core starts no thread; it takes its work in shares instead.
fn expand_on_all_cores(
    manifest: &Manifest,
    strings: &Strings,
    disk: &Disk<'_>,
    known: Known<'_>,
    overrides: &Overrides,
) -> Result<Expansion, BuildError> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let of = (manifest.body().assets.len() / ASSETS_PER_THREAD_MIN).clamp(1, cores);
    let expand = |number| expand_share(manifest, strings, disk, known, overrides, Share { number, of });
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..of).map(|number| scope.spawn(move || expand(number))).collect();
        let first = expand(0);
        let others: Vec<Result<Expanded, ManifestErrors>> = others.into_iter().map(joined).collect();
        Ok(join(manifest, known, overrides, first?, others.into_iter().collect::<Result<_, _>>()?)?)
    })
}

/// What a thread came to; its panic goes on in this one.
fn joined<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// A file of the data directory that belongs to one project folder.
fn side_file(data_dir: &Path, kind: &str, root: &Path) -> PathBuf {
    data_dir.join("projects").join(side_name(kind, root))
}

fn side_name(kind: &str, root: &Path) -> String {
    let hash = ContentHash::of(root.to_string_lossy().as_bytes()).to_string();
    format!("{}.{kind}", &hash[..32])
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
