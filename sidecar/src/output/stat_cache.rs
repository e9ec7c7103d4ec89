//! The stat cache: which hash a file had when it was last read, kept in the data directory to save reading it again.
//!
//! It never decides anything. A file counts as the one that was read only while size, times and inode are equal
//! *and* its time was at least [`RACY`] old when it was read; a younger file may be changed again within the same
//! tick of the clock. A cache that is missing, damaged or of another version is an empty cache.
//!
//! ```text
//! "TFSTAT" version(u16) count(u64) │ count × record │ BLAKE3 of all before
//! record: path key 16 │ size 8 │ mtime ns 8 │ ctime ns 8 │ inode 8 │ kind 1 │ SHA-256 or LFS oid 32 │ BLAKE3 32
//! ```
//! Records are of one length and hold a hash of the path instead of the path, so 100,000 load in a few
//! milliseconds.

use std::collections::HashMap;
use std::fs::Metadata;
use std::hash::{BuildHasherDefault, Hasher};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::write::{Patience, WriteError, write_atomic};

/// How old a file must be before its times are trusted: the coarsest clock of a file system in use (FAT) ticks
/// every two seconds.
pub const RACY: Duration = Duration::from_secs(2);
/// Above this many entries those that were not looked at since loading are forgotten: 500,000 are 56 MB.
const ENTRIES_MAX: usize = 500_000;

const MAGIC: &[u8; 6] = b"TFSTAT";
/// History: 1, the first. A cache of any other version is thrown away.
const VERSION: u16 = 1;
const HEAD_BYTES: usize = 6 + 2 + 8;
const RECORD_BYTES: usize = 16 + 4 * 8 + 1 + 32 + 32;
const SUM_BYTES: usize = 32;

/// What a path is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PathKey([u8; 16]);

impl PathKey {
    pub(crate) fn of(path: &Path) -> Self {
        let mut key = [0; 16];
        key.copy_from_slice(&blake3::hash(path.as_os_str().as_encoded_bytes()).as_bytes()[..16]);
        Self(key)
    }
}

/// What a file system tells of a file without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    size: u64,
    modified_ns: i64,
    /// Time of the last change of anything, on Unix; catches a change that put the old time back.
    changed_ns: i64,
    /// Unix only.
    inode: u64,
}

impl Stamp {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let ns = |seconds: i64, ns: i64| seconds.saturating_mul(1_000_000_000).saturating_add(ns);
            Self {
                size: metadata.len(),
                modified_ns: ns(metadata.mtime(), metadata.mtime_nsec()),
                changed_ns: ns(metadata.ctime(), metadata.ctime_nsec()),
                inode: metadata.ino(),
            }
        }
        #[cfg(not(unix))]
        {
            // The file index is not in stable Rust.
            let modified_ns = metadata.modified().map_or(0, unix_ns);
            Self { size: metadata.len(), modified_ns, changed_ns: 0, inode: 0 }
        }
    }

    /// Whether a later change would be seen: the file has been at rest for [`RACY`].
    fn at_rest(&self, now_ns: i64) -> bool {
        let racy_ns = RACY.as_nanos() as i64;
        self.modified_ns.max(self.changed_ns).saturating_add(racy_ns) <= now_ns
    }
}

/// Nanoseconds since 1970, within what 64 bits hold (until 2262).
pub(crate) fn unix_ns(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
    }
}

/// What a file was when it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// A file with these hashes.
    File { sha256: [u8; 32], blake3: [u8; 32] },
    /// A Git LFS pointer to content with this SHA-256.
    LfsPointer { oid: [u8; 32] },
}

#[derive(Debug)]
struct Entry {
    stamp: Stamp,
    seen: Seen,
    used: AtomicBool,
}

/// Keys are hashes already.
#[derive(Debug, Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        let mut word = [0; 8];
        for (to, from) in word.iter_mut().zip(bytes) {
            *to = *from;
        }
        self.0 ^= u64::from_le_bytes(word);
    }
    fn write_usize(&mut self, _length: usize) {}
    fn write_u64(&mut self, _length: u64) {}
}

/// The hashes of files, by what the file system tells of them.
#[derive(Debug, Default)]
pub struct StatCache {
    entries: HashMap<PathKey, Entry, BuildHasherDefault<KeyHasher>>,
    changed: bool,
}

impl StatCache {
    /// A cache that knows nothing.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The cache of a file; empty when the file is missing or damaged.
    pub fn load(path: &Path) -> Self {
        std::fs::read(path).ok().and_then(|bytes| Self::parse(&bytes)).unwrap_or_default()
    }

    /// Number of files it knows.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it knows none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Writes it, if it learned anything since it was loaded.
    ///
    /// # Errors
    /// [`WriteError`]; worth a warning and no more.
    pub fn save(&mut self, path: &Path, patience: &Patience<'_>) -> Result<(), WriteError> {
        if !self.changed {
            return Ok(());
        }
        if self.entries.len() > ENTRIES_MAX {
            self.entries.retain(|_, entry| *entry.used.get_mut());
        }
        write_atomic(path, &self.bytes(), patience)?;
        self.changed = false;
        Ok(())
    }

    /// What the file was, if it is certainly still the same.
    pub(crate) fn get(&self, key: PathKey, stamp: &Stamp) -> Option<Seen> {
        let entry = self.entries.get(&key).filter(|entry| entry.stamp == *stamp)?;
        entry.used.store(true, Ordering::Relaxed);
        Some(entry.seen)
    }

    /// Remembers what was read, unless the file is too young for its times to be trusted.
    pub(crate) fn learn(&mut self, key: PathKey, stamp: Stamp, seen: Seen, now_ns: i64) {
        if stamp.at_rest(now_ns) {
            self.entries.insert(key, Entry { stamp, seen, used: AtomicBool::new(true) });
            self.changed = true;
        } else if self.entries.remove(&key).is_some() {
            self.changed = true;
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD_BYTES + self.entries.len() * RECORD_BYTES + SUM_BYTES);
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend((self.entries.len() as u64).to_le_bytes());
        for (key, entry) in &self.entries {
            let stamp = &entry.stamp;
            bytes.extend_from_slice(&key.0);
            bytes.extend_from_slice(&stamp.size.to_le_bytes());
            bytes.extend_from_slice(&stamp.modified_ns.to_le_bytes());
            bytes.extend_from_slice(&stamp.changed_ns.to_le_bytes());
            bytes.extend_from_slice(&stamp.inode.to_le_bytes());
            let (kind, first, second) = match &entry.seen {
                Seen::File { sha256, blake3 } => (0, sha256, blake3),
                Seen::LfsPointer { oid } => (1, oid, &[0; 32]),
            };
            bytes.push(kind);
            bytes.extend_from_slice(first);
            bytes.extend_from_slice(second);
        }
        let sum = blake3::hash(&bytes);
        bytes.extend(sum.as_bytes());
        bytes
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (body, sum) = bytes.split_at_checked(bytes.len().checked_sub(SUM_BYTES)?)?;
        let (head, records) = body.split_at_checked(HEAD_BYTES)?;
        let (magic, rest) = head.split_at(MAGIC.len());
        let (version, count) = rest.split_at(2);
        let whole = magic == MAGIC
            && version == VERSION.to_le_bytes()
            && records.len() % RECORD_BYTES == 0
            && count == ((records.len() / RECORD_BYTES) as u64).to_le_bytes()
            && *blake3::hash(body).as_bytes() == *sum;
        if !whole {
            return None;
        }
        let mut entries =
            HashMap::with_capacity_and_hasher(records.len() / RECORD_BYTES, BuildHasherDefault::default());
        for record in records.chunks_exact(RECORD_BYTES) {
            let mut rest = record;
            let key = PathKey(take(&mut rest)?);
            let size = u64::from_le_bytes(take(&mut rest)?);
            let modified_ns = i64::from_le_bytes(take(&mut rest)?);
            let changed_ns = i64::from_le_bytes(take(&mut rest)?);
            let inode = u64::from_le_bytes(take(&mut rest)?);
            let [kind] = take(&mut rest)?;
            let first = take(&mut rest)?;
            let second = take(&mut rest)?;
            let seen = match kind {
                0 => Seen::File { sha256: first, blake3: second },
                1 => Seen::LfsPointer { oid: first },
                _ => return None,
            };
            let stamp = Stamp { size, modified_ns, changed_ns, inode };
            entries.insert(key, Entry { stamp, seen, used: AtomicBool::new(false) });
        }
        Some(Self { entries, changed: false })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*first)
}

#[cfg(test)]
mod tests;
