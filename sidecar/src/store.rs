//! The store: finished pictures and input files by the hash of their bytes.
//!
//! A file is written, synced and renamed before its row is; on eviction the row goes before the file.
//! So a crash leaves at worst a file without a row, which the sweep at the next start removes.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use parking_lot::Mutex;
use thiserror::Error;
use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::id::{ContentHash, RealisedKey};
use thumbforge_core::job::Render;

use crate::clock::Clock;
use crate::journal::ways::{self, Asked, Way};
use crate::journal::{Journal, JournalError, ops};

mod shared;

pub use shared::SharedCache;

/// Why the store could not keep or give a file.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The file system said no.
    #[error("{doing} {path}: {source}")]
    Io {
        /// "write" or "read".
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The journal said no.
    #[error("note a file of the store")]
    Journal(#[from] JournalError),
}

impl StoreError {
    /// As it reaches people and machines.
    pub fn failure(&self) -> Failure {
        match self {
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => Failure::new(
                ErrorCode::DiskFull,
                format!("failed to {self}; free some space, nothing that was accepted is lost"),
            ),
            Self::Io { .. } => Failure::new(ErrorCode::Storage, format!("failed to {self}")),
            Self::Journal(err) => err.failure(),
        }
    }
}

/// Content-addressed files under one folder, with a size that eviction keeps to.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    root: PathBuf,
    journal: Journal,
    clock: Clock,
    bytes_max: u64,
    bytes: AtomicU64,
    next_temp: AtomicU64,
    pins: Mutex<HashMap<ContentHash, usize>>,
    /// What was put since the store was opened; the sweep leaves it alone. `None` once the sweep is over.
    put_before_sweep: Mutex<Option<HashSet<ContentHash>>>,
    shared: Option<SharedCache>,
}

/// Keeps a file from eviction while it lives.
pub struct Pin {
    store: Store,
    hash: ContentHash,
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut pins = self.store.inner.pins.lock();
        if let Some(count) = pins.get_mut(&self.hash) {
            *count -= 1;
            if *count == 0 {
                pins.remove(&self.hash);
            }
        }
    }
}

impl Store {
    /// Opens the store under `root`, clearing what a killed process left half written.
    ///
    /// # Errors
    /// What the file system or the journal says.
    pub fn open(
        root: &Path,
        journal: Journal,
        clock: Clock,
        bytes_max: u64,
        shared: Option<SharedCache>,
    ) -> Result<Self, StoreError> {
        let temp = root.join("tmp");
        let io = |doing, path: &Path| {
            let path = path.to_owned();
            move |source| StoreError::Io { doing, path, source }
        };
        if temp.exists() {
            fs::remove_dir_all(&temp).map_err(io("clear", &temp))?;
        }
        fs::create_dir_all(&temp).map_err(io("make", &temp))?;
        let bytes = journal.read(ops::stored_bytes)?;
        let inner = Inner {
            root: root.to_owned(),
            journal,
            clock,
            bytes_max,
            bytes: AtomicU64::new(bytes),
            next_temp: AtomicU64::new(0),
            pins: Mutex::new(HashMap::new()),
            put_before_sweep: Mutex::new(Some(HashSet::new())),
            shared,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Where a file lies, or would lie.
    pub fn path(&self, hash: ContentHash) -> PathBuf {
        let hex = hash.to_string();
        self.inner.root.join("b3").join(&hex[..2]).join(&hex[2..])
    }

    /// Keeps `bytes`; on return the file is durable and its row is on its way, before any later write.
    ///
    /// # Errors
    /// What the file system says.
    pub fn put(&self, bytes: &[u8]) -> Result<(ContentHash, Pin), StoreError> {
        let hash = ContentHash::of(bytes);
        let pin = self.pin(hash);
        // Before the look at the file: a killed process may have left it without a row, and a sweep that runs now
        // would take it away between our look and our row.
        if let Some(put) = self.inner.put_before_sweep.lock().as_mut() {
            put.insert(hash);
        }
        let path = self.path(hash);
        if !path.exists() {
            self.write(&path, bytes).map_err(|source| StoreError::Io { doing: "write", path, source })?;
            self.inner.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        }
        let (size, now_ms) = (bytes.len() as u64, self.inner.clock.now_ms());
        drop(self.inner.journal.write(move |connection| ops::keep_blob(connection, hash, size, now_ms)));
        self.evict();
        Ok((hash, pin))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let number = self.inner.next_temp.fetch_add(1, Ordering::Relaxed);
        let temp = self.inner.root.join("tmp").join(number.to_string());
        let written = (|| {
            let mut file = fs::File::create(&temp)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            let folder = path.parent().unwrap_or(&self.inner.root);
            fs::create_dir_all(folder)?;
            fs::rename(&temp, path)?;
            sync_folder(folder)
        })();
        if written.is_err() {
            // The error that matters is the one above.
            let _ = fs::remove_file(&temp);
        }
        written
    }

    /// The bytes of a file, if the store has it whole. A damaged file is forgotten.
    pub fn get(&self, hash: ContentHash) -> Option<Vec<u8>> {
        let bytes = fs::read(self.path(hash)).ok();
        let present = bytes.is_some();
        let whole = bytes.filter(|bytes| ContentHash::of(bytes) == hash);
        if whole.is_none() {
            self.forget(hash, present);
        }
        whole
    }

    /// How many bytes a file has, if the store has it; what a buffer for [`Store::read_into`] must hold.
    pub fn size(&self, hash: ContentHash) -> Option<usize> {
        fs::metadata(self.path(hash)).ok().and_then(|meta| usize::try_from(meta.len()).ok())
    }

    /// As [`Store::get`], into a buffer of exactly its size. False when the store does not have it whole;
    /// what the buffer holds means nothing then.
    pub fn read_into(&self, hash: ContentHash, buffer: &mut [u8]) -> bool {
        let Ok(mut file) = fs::File::open(self.path(hash)) else {
            self.forget(hash, false);
            return false;
        };
        let filled = file.read_exact(buffer).is_ok() && matches!(file.read(&mut [0]), Ok(0));
        let whole = filled && ContentHash::of(buffer) == hash;
        if !whole {
            self.forget(hash, true);
        }
        whole
    }

    /// Takes a file that is not as its name says out of the store.
    fn forget(&self, hash: ContentHash, present: bool) {
        if present {
            tracing::warn!(%hash, "a file of the store is damaged and will be drawn again");
            let _ = fs::remove_file(self.path(hash));
        }
        drop(self.inner.journal.write(move |connection| ops::forget_blob(connection, hash)));
    }

    /// A finished picture under its realised key, from here or from the team's shared cache.
    pub fn render(&self, key: RealisedKey) -> Option<(Render, Vec<u8>)> {
        let here = self.inner.journal.read(|connection| ops::find_render(connection, key)).ok().flatten();
        if let Some(render) = here
            && let Some(bytes) = self.get(render.blob)
        {
            return Some((render, bytes));
        }
        let (render, bytes) = self.inner.shared.as_ref()?.get(key)?;
        self.put(&bytes).ok()?;
        Some((render, bytes))
    }

    /// Tells the team's shared cache of a new render, if there is one.
    pub fn share(&self, render: &Render, bytes: &[u8]) {
        if let Some(shared) = &self.inner.shared {
            shared.put(render, bytes);
        }
    }

    /// The steps to a picture that was asked for like this before: those that this machine took, or else somebody of the
    /// team. What a shared folder says is no more than a guess at where to look.
    pub fn way(&self, asked: Asked) -> Option<Way> {
        let here = self.inner.journal.read(|connection| ways::find(connection, asked)).ok().flatten();
        here.or_else(|| self.inner.shared.as_ref()?.way(asked))
    }

    /// Tells the team's shared cache of the steps to a render, if there is one. The journal writes them as the job ends.
    pub fn share_way(&self, asked: Asked, way: &Way) {
        if let Some(shared) = &self.inner.shared {
            shared.put_way(asked, way);
        }
    }

    /// Keeps a file from eviction.
    pub fn pin(&self, hash: ContentHash) -> Pin {
        *self.inner.pins.lock().entry(hash).or_default() += 1;
        Pin { store: self.clone(), hash }
    }

    /// Bytes held, about.
    pub fn bytes(&self) -> u64 {
        self.inner.bytes.load(Ordering::Relaxed)
    }

    fn evict(&self) {
        let inner = &self.inner;
        if inner.bytes.load(Ordering::Relaxed) <= inner.bytes_max {
            return;
        }
        // Down to nine tenths, so that a full store does not evict at every put.
        let (bytes_max, weak) = (inner.bytes_max / 10 * 9, Arc::downgrade(inner));
        let evicted = inner.journal.write(move |connection| {
            let pinned = |hash: ContentHash| weak.upgrade().is_none_or(|inner| inner.pins.lock().contains_key(&hash));
            let evicted = ops::evict(connection, bytes_max, &pinned)?;
            Ok((evicted, ops::stored_bytes(connection)?))
        });
        // Only after the rows are gone for good may the files go.
        match evicted.durable_blocking() {
            Ok((hashes, left)) => {
                inner.bytes.store(left, Ordering::Relaxed);
                for hash in hashes {
                    let _ = fs::remove_file(self.path(hash));
                }
            }
            Err(err) => tracing::warn!(%err, "the store could not make room"),
        }
    }

    /// Removes files without a row, and rows without a file. Files younger than `before` are left: they may be on their way.
    /// So is whatever was put since the store was opened, older file or not.
    pub fn sweep(&self, before: SystemTime) {
        if let Ok(known) = self.inner.journal.read(ops::known_blobs) {
            self.sweep_rows(&known);
            self.sweep_files(&known, before);
        }
        *self.inner.put_before_sweep.lock() = None;
    }

    fn sweep_rows(&self, known: &[ContentHash]) {
        for hash in known.iter().copied().filter(|hash| !self.path(*hash).exists()) {
            self.unless_put(hash, || {
                drop(self.inner.journal.write(move |connection| ops::forget_blob(connection, hash)));
            });
        }
    }

    fn sweep_files(&self, known: &[ContentHash], before: SystemTime) {
        let shards = fs::read_dir(self.inner.root.join("b3")).into_iter().flatten().flatten();
        for file in shards.filter_map(|shard| fs::read_dir(shard.path()).ok()).flatten().flatten() {
            let path = file.path();
            let shard = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
            let hash: Option<ContentHash> = format!("{shard}{}", file.file_name().to_string_lossy()).parse().ok();
            let old = file.metadata().and_then(|meta| meta.modified()).is_ok_and(|modified| modified < before);
            match hash {
                _ if !old => {}
                None => drop(fs::remove_file(path)),
                Some(hash) if known.binary_search(&hash).is_ok() => {}
                Some(hash) => self.unless_put(hash, || drop(fs::remove_file(path))),
            }
        }
    }

    /// Does `change` unless the file was put meanwhile; a put that comes now waits for it.
    fn unless_put(&self, hash: ContentHash, change: impl FnOnce()) {
        let put = self.inner.put_before_sweep.lock();
        if put.as_ref().is_none_or(|put| !put.contains(&hash)) {
            change();
        }
    }
}

/// Makes a rename durable. Windows has no such call, and needs none for NTFS metadata.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { fs::File::open(folder)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests;
