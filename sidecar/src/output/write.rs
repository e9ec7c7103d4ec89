//! Writing a file so that it is either the old one or the new one, never half of each.
//!
//! ```text
//! .thumbforge-PID-N.tmp in the same folder ─► bytes ─► flush to the disk ─► rename over the output
//! ```
//! Unity passes over names that begin with a dot, so a temporary file never becomes an asset.
//! Editors, indexers and virus scanners hold files for moments; a rename that meets one is tried again.
//! The temporary file is locked as long as its writer lives, so [`sweep`] knows the leavings of a killed run from
//! the work of a running one, on every system and without looking at process ids.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use thiserror::Error;
use thumbforge_core::error::ErrorCode;

const TEMP_PREFIX: &str = ".thumbforge-";
const TEMP_SUFFIX: &str = ".tmp";

/// Why an output could not be written.
#[derive(Debug, Error)]
pub enum WriteError {
    /// No space left, or a quota reached.
    #[error("write {path}: the disk is full; free some space and run again", path = path.display())]
    DiskFull {
        /// The output.
        path: PathBuf,
        /// As the system says it.
        #[source]
        err: io::Error,
    },
    /// The file is marked read-only, as version control does.
    #[error(
        "write {path}: it is marked read-only; check it out, or say with `vcs` how that is done",
        path = path.display()
    )]
    ReadOnly {
        /// The output.
        path: PathBuf,
    },
    /// No right to write there.
    #[error("write {path}: permission denied; give this user the right to write in its folder", path = path.display())]
    Denied {
        /// The output.
        path: PathBuf,
        /// As the system says it.
        #[source]
        err: io::Error,
    },
    /// The file system is mounted read-only.
    #[error("write {path}: its file system is mounted read-only; choose another place", path = path.display())]
    ReadOnlyFileSystem {
        /// The output.
        path: PathBuf,
        /// As the system says it.
        #[source]
        err: io::Error,
    },
    /// Another program held it all the while.
    #[error("write {path}: another program holds it; close that program and run again", path = path.display())]
    Held {
        /// The output.
        path: PathBuf,
        /// As the system says it.
        #[source]
        err: io::Error,
    },
    /// A folder, a link or a device stands there.
    #[error("write {path}: what lies there is no ordinary file; move it away", path = path.display())]
    NotAFile {
        /// The output.
        path: PathBuf,
    },
    /// Anything else.
    #[error("write {path}", path = path.display())]
    Io {
        /// The output.
        path: PathBuf,
        /// As the system says it.
        #[source]
        err: io::Error,
    },
}

impl WriteError {
    /// The stable code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::DiskFull { .. } => ErrorCode::DiskFull,
            _ => ErrorCode::OutputFile,
        }
    }

    fn new(path: &Path, err: io::Error) -> Self {
        let path = path.to_owned();
        match err.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path, err },
            _ if held(&err) => Self::Held { path, err },
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnlyFileSystem { path, err },
            io::ErrorKind::PermissionDenied => Self::Denied { path, err },
            _ => Self::Io { path, err },
        }
    }
}

/// How long to wait for a program that holds a file, and how waiting is done.
pub struct Patience<'a> {
    pauses: &'a [Duration],
    sleep: &'a dyn Fn(Duration),
}

/// 1.3 seconds in all: a virus scanner needs tens of milliseconds, Unity's importer up to a second for one file.
const PAUSES: [Duration; 6] = [
    Duration::from_millis(10),
    Duration::from_millis(30),
    Duration::from_millis(90),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(570),
];

impl<'a> Patience<'a> {
    /// Waits as long as an editor or a virus scanner usually needs. Blocks the thread: not for an async task.
    pub fn usual() -> Patience<'static> {
        Patience { pauses: &PAUSES, sleep: &std::thread::sleep }
    }

    /// Tries again after each of `pauses`, spent by `sleep`.
    pub fn new(pauses: &'a [Duration], sleep: &'a dyn Fn(Duration)) -> Self {
        Self { pauses, sleep }
    }

    /// The last answer of `attempt`, which is asked again as long as something is held.
    fn outlast<T>(&self, mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        for pause in self.pauses {
            match attempt() {
                Err(err) if held(&err) => (self.sleep)(*pause),
                answer => return answer,
            }
        }
        attempt()
    }
}

/// Puts `bytes` at `path`: afterwards the file there is the old one or the new one, and nothing else is left.
///
/// Folders on the way are made. The permissions of an existing file are kept.
/// The rename itself is not forced to the disk: after a power cut the old file may stand there,
/// which the next run sees by its hash and mends from the store.
///
/// # Errors
/// [`WriteError`], which says what stands in the way.
pub fn write_atomic(path: &Path, bytes: &[u8], patience: &Patience<'_>) -> Result<(), WriteError> {
    write_with(path, bytes, patience, |from, to| std::fs::rename(from, to))
}

fn write_with(
    path: &Path,
    bytes: &[u8],
    patience: &Patience<'_>,
    mut rename: impl FnMut(&Path, &Path) -> io::Result<()>,
) -> Result<(), WriteError> {
    let fail = |err| WriteError::new(path, err);
    let old = match path.symlink_metadata() {
        Ok(metadata) if !metadata.is_file() => return Err(WriteError::NotAFile { path: path.to_owned() }),
        // A rename would go over a read-only file on Unix, behind the back of version control.
        Ok(metadata) if metadata.permissions().readonly() => {
            return Err(WriteError::ReadOnly { path: path.to_owned() });
        }
        Ok(metadata) => Some(metadata),
        Err(err) if err.kind() == io::ErrorKind::NotFound => None,
        Err(err) => return Err(fail(err)),
    };
    let folder = folder_of(path);
    std::fs::create_dir_all(folder).map_err(fail)?;
    let temp = Temp::new(folder).map_err(fail)?;
    temp.fill(bytes).map_err(fail)?;
    if let Some(old) = old {
        temp.file.set_permissions(old.permissions()).map_err(fail)?;
    }
    patience.outlast(|| rename(&temp.path, path)).map_err(fail)?;
    temp.keep();
    Ok(())
}

/// Puts `bytes` at `path` unless something lies there already; says whether it did.
///
/// # Errors
/// [`WriteError`], which says what stands in the way.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<bool, WriteError> {
    let fail = |err| WriteError::new(path, err);
    let folder = folder_of(path);
    std::fs::create_dir_all(folder).map_err(fail)?;
    let mut builder = tempfile::Builder::new();
    let prefix = format!("{TEMP_PREFIX}{}-", std::process::id());
    builder.prefix(&prefix).suffix(TEMP_SUFFIX);
    #[cfg(unix)]
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    #[cfg(unix)]
    builder.permissions(readable);
    let mut temp = builder.tempfile_in(folder).map_err(fail)?;
    lock(temp.as_file());
    temp.write_all(bytes).map_err(fail)?;
    match temp.persist_noclobber(path) {
        Ok(_) => Ok(true),
        Err(err) if err.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(err) => Err(fail(err.error)),
    }
}

/// Removes what killed runs left in these folders (not below them); says what it removed.
///
/// A folder or file that cannot be read is passed over: leavings harm nobody.
pub fn sweep<'a>(folders: impl IntoIterator<Item = &'a Path>) -> Vec<PathBuf> {
    let mut removed = Vec::new();
    for folder in folders {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let left = entry.file_name().to_str().is_some_and(is_temp)
                && entry.file_type().is_ok_and(|kind| kind.is_file())
                && abandoned(&entry.path());
            if left && std::fs::remove_file(entry.path()).is_ok() {
                removed.push(entry.path());
            }
        }
    }
    removed
}

fn is_temp(name: &str) -> bool {
    let middle = name.strip_prefix(TEMP_PREFIX).and_then(|rest| rest.strip_suffix(TEMP_SUFFIX));
    middle.and_then(|middle| middle.split_once('-')).is_some_and(|(pid, _)| pid.parse::<u32>().is_ok())
}

/// Where the file system knows no locks, nothing counts as abandoned.
fn abandoned(path: &Path) -> bool {
    OpenOptions::new().write(true).open(path).is_ok_and(|file| file.try_lock().is_ok())
}

fn lock(file: &File) {
    match file.try_lock() {
        // A file system without locks costs only the sweeping.
        Ok(()) | Err(TryLockError::Error(_) | TryLockError::WouldBlock) => {}
    }
}

/// A temporary file that is gone when it is dropped, unless it was kept.
struct Temp {
    path: PathBuf,
    file: File,
    kept: bool,
}

impl Temp {
    fn new(folder: &Path) -> io::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = folder.join(format!("{TEMP_PREFIX}{}-{count}{TEMP_SUFFIX}", std::process::id()));
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => {
                    lock(&file);
                    return Ok(Self { path, file, kept: false });
                }
                // A killed run had our process id.
                Err(err) if err.kind() == io::ErrorKind::AlreadyExists => {}
                Err(err) => return Err(err),
            }
        }
    }

    fn fill(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.file).write_all(bytes)?;
        // A rename may reach the disk before the bytes do, and an empty picture after a power cut is no picture.
        self.file.sync_data()
    }

    fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        if !self.kept {
            // Nobody is left to tell; `sweep` will find it.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Whether the error means that another program has the file open just now.
pub(crate) fn held(err: &io::Error) -> bool {
    if matches!(err.kind(), io::ErrorKind::ResourceBusy | io::ErrorKind::ExecutableFileBusy) {
        return true;
    }
    // ERROR_ACCESS_DENIED (what a rename over an open file gives), ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION,
    // ERROR_USER_MAPPED_FILE.
    cfg!(windows) && matches!(err.raw_os_error(), Some(5 | 32 | 33 | 1224))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests;
