//! What lies at the place of an output, and what an input file holds.
//!
//! A hundred thousand outputs are looked at before every batch, so this is done on all cores, and files that the
//! [`StatCache`] certainly knows are not read.
//! A Git LFS pointer stands for the file that it names: a checkout without the pictures is not a project whose
//! pictures were deleted.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::SystemTime;

use sha2::{Digest, Sha256};
use thiserror::Error;
use thumbforge_core::error::ErrorCode;
use thumbforge_core::id::{ContentHash, FileSha256};

use super::stat_cache::{PathKey, Seen, Stamp, StatCache, unix_ns};

/// The specification of Git LFS bounds pointers so.
const POINTER_BYTES_MAX: usize = 1024;
/// Small enough that the last blocks end together, large enough that taking one costs nothing.
const BLOCK: usize = 256;
/// What is read at once; four pages of a disk's cache line up in it and it stays in the second-level cache.
const BUFFER_BYTES: usize = 256 * 1024;

/// What lies at the place of an output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed {
    /// Nothing.
    Missing,
    /// A file.
    File {
        /// Of its bytes.
        sha256: FileSha256,
    },
    /// A Git LFS pointer that was not fetched: never written over while it names what the lock says.
    LfsPointer {
        /// SHA-256 of the file that it stands for.
        oid: FileSha256,
    },
    /// A folder, a link or a device.
    NotAFile,
    /// Something that could not be read, and why.
    Unreadable(String),
}

impl Observed {
    /// The SHA-256 of the file that is there or that the pointer stands for.
    pub fn sha256(&self) -> Option<FileSha256> {
        match self {
            Self::File { sha256 } => Some(*sha256),
            Self::LfsPointer { oid } => Some(*oid),
            Self::Missing | Self::NotAFile | Self::Unreadable(_) => None,
        }
    }
}

/// Why an input file has no content.
#[derive(Debug, Error)]
pub enum ContentError {
    /// Not there.
    #[error("read {path}: there is no such file", path = path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A folder or a device.
    #[error("read {path}: it is not a file", path = path.display())]
    NotAFile {
        /// The file.
        path: PathBuf,
    },
    /// Not fetched.
    #[error("read {path}: it is a Git LFS pointer; fetch the file with `git lfs pull`", path = path.display())]
    LfsPointer {
        /// The file.
        path: PathBuf,
    },
    /// The file system failed.
    #[error("read {path}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// As the system says it.
        #[source]
        err: io::Error,
    },
}

impl ContentError {
    /// The stable code.
    pub fn code(&self) -> ErrorCode {
        ErrorCode::InputFile
    }
}

/// What lies at each of `outputs` (relative to `root`), in their order.
///
/// `now` must not be later than the call: files younger than it are read again the next time.
pub fn observe_all(root: &Path, outputs: &[&str], cache: &mut StatCache, now: SystemTime) -> Vec<Observed> {
    let mut observed = vec![Observed::Missing; outputs.len()];
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(outputs.len().div_ceil(BLOCK)).max(1);
    let work = Mutex::new(outputs.chunks(BLOCK).zip(observed.chunks_mut(BLOCK)));
    let known: &StatCache = cache;
    let look = || {
        let mut reader = Reader::new();
        let mut learned = Vec::new();
        let mut path = PathBuf::new();
        loop {
            // A thread that panicked has not left the iterator half moved.
            let block = work.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
            let Some((outputs, observed)) = block else { return learned };
            for (output, observed) in outputs.iter().zip(observed) {
                path.clear();
                path.push(root);
                path.push(output);
                *observed = reader.observe(&path, known, &mut learned);
            }
        }
    };
    let learned: Vec<Learned> = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(look)).collect();
        let mut learned = look();
        for other in others {
            match other.join() {
                Ok(more) => learned.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        learned
    });
    let now_ns = unix_ns(now);
    for Learned { key, stamp, seen } in learned {
        cache.learn(key, stamp, seen, now_ns);
    }
    observed
}

/// What lies at one output.
pub fn observe(path: &Path, cache: &mut StatCache, now: SystemTime) -> Observed {
    let mut learned = Vec::new();
    let observed = Reader::new().observe(path, cache, &mut learned);
    for Learned { key, stamp, seen } in learned {
        cache.learn(key, stamp, seen, unix_ns(now));
    }
    observed
}

/// BLAKE3 of an input file (art, a font, an adapter). Links are followed.
///
/// # Errors
/// [`ContentError`], which says what to do.
pub fn content_hash(path: &Path, cache: &mut StatCache, now: SystemTime) -> Result<ContentHash, ContentError> {
    let io = |err: io::Error| match err.kind() {
        io::ErrorKind::NotFound => ContentError::Missing { path: path.to_owned() },
        _ => ContentError::Io { path: path.to_owned(), err },
    };
    let metadata = path.metadata().map_err(io)?;
    if !metadata.is_file() {
        return Err(ContentError::NotAFile { path: path.to_owned() });
    }
    let key = PathKey::of(path);
    let seen = match cache.get(key, &Stamp::of(&metadata)) {
        Some(seen) => seen,
        None => {
            let (seen, stamp) = Reader::new().read(path).map_err(io)?;
            if let Some(stamp) = stamp {
                cache.learn(key, stamp, seen, unix_ns(now));
            }
            seen
        }
    };
    match seen {
        Seen::File { blake3, .. } => Ok(ContentHash(blake3)),
        Seen::LfsPointer { .. } => Err(ContentError::LfsPointer { path: path.to_owned() }),
    }
}

struct Learned {
    key: PathKey,
    stamp: Stamp,
    seen: Seen,
}

/// A buffer that serves one file after another.
struct Reader {
    buffer: Vec<u8>,
}

impl Reader {
    fn new() -> Self {
        Self { buffer: Vec::new() }
    }

    fn observe(&mut self, path: &Path, known: &StatCache, learned: &mut Vec<Learned>) -> Observed {
        let metadata = match path.symlink_metadata() {
            Ok(metadata) => metadata,
            Err(err) => return absent(&err),
        };
        if !metadata.is_file() {
            return Observed::NotAFile;
        }
        let key = PathKey::of(path);
        let seen = match known.get(key, &Stamp::of(&metadata)) {
            Some(seen) => seen,
            None => match self.read(path) {
                Ok((seen, stamp)) => {
                    learned.extend(stamp.map(|stamp| Learned { key, stamp, seen }));
                    seen
                }
                Err(err) => return absent(&err),
            },
        };
        match seen {
            Seen::File { sha256, .. } => Observed::File { sha256: FileSha256(sha256) },
            Seen::LfsPointer { oid } => Observed::LfsPointer { oid: FileSha256(oid) },
        }
    }

    /// Reads a file; no stamp when it changed meanwhile.
    fn read(&mut self, path: &Path) -> io::Result<(Seen, Option<Stamp>)> {
        self.buffer.resize(BUFFER_BYTES, 0);
        let mut file = File::open(path)?;
        let before = Stamp::of(&file.metadata()?);
        let (mut sha256, mut blake3) = (Sha256::new(), blake3::Hasher::new());
        let mut bytes = 0;
        let mut pointer = None;
        loop {
            let read = match file.read(&mut self.buffer) {
                Ok(read) => read,
                Err(err) if err.kind() == io::ErrorKind::Interrupted => continue,
                Err(err) => return Err(err),
            };
            let part = &self.buffer[..read];
            if read == 0 {
                break;
            }
            // A pointer is so short that it comes in one piece.
            pointer = if bytes == 0 { lfs_pointer(part) } else { None };
            bytes += read;
            sha256.update(part);
            blake3.update(part);
        }
        let seen = match pointer {
            Some(FileSha256(oid)) => Seen::LfsPointer { oid },
            None => Seen::File { sha256: sha256.finalize().into(), blake3: *blake3.finalize().as_bytes() },
        };
        let after = Stamp::of(&file.metadata()?);
        Ok((seen, (before == after).then_some(after)))
    }
}

fn absent(err: &io::Error) -> Observed {
    match err.kind() {
        // A file where a folder should be: the output is not there, and the fence tells why it cannot be.
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Observed::Missing,
        _ => Observed::Unreadable(err.to_string()),
    }
}

/// What a Git LFS pointer names, if these are the bytes of one.
pub fn lfs_pointer(bytes: &[u8]) -> Option<FileSha256> {
    if bytes.len() >= POINTER_BYTES_MAX {
        return None;
    }
    let rest = bytes.strip_prefix(b"version https://git-lfs.github.com/spec/v1\n")?;
    let mut lines = std::str::from_utf8(rest).ok()?.lines();
    lines.find_map(|line| line.strip_prefix("oid sha256:"))?.parse().ok()
}

#[cfg(test)]
mod tests;
