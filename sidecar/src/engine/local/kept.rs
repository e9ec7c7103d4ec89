//! What was found out about weights, kept between runs: to read a model whole takes seconds, and a plan should take none.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::output::write::{Patience, write_atomic};

/// Most things that are remembered: files of hundreds of models.
const KEPT_MAX: usize = 4096;
/// Largest file that is read, in bytes: a kilobyte for each, which is a path and some figures.
const BYTES_MAX: u64 = 4 << 20;

/// A file in the data directory. One that cannot be read or written costs time and nothing else.
pub(super) struct Kept<K, V> {
    path: PathBuf,
    known: Mutex<Option<BTreeMap<K, V>>>,
}

impl<K: Ord + Serialize + DeserializeOwned, V: Clone + Serialize + DeserializeOwned> Kept<K, V> {
    /// The file `name` of a data directory.
    pub(super) fn new(data_dir: &Path, name: &str) -> Self {
        Self { path: data_dir.join(name), known: Mutex::new(None) }
    }

    /// What is kept under `key`.
    pub(super) fn get(&self, key: &K) -> Option<V> {
        let mut known = self.known.lock();
        known.get_or_insert_with(|| self.read()).get(key).cloned()
    }

    /// Keeps `value`.
    pub(super) fn put(&self, key: K, value: V) {
        let mut held = self.known.lock();
        // Another process may have written meanwhile.
        let mut known = self.read();
        while known.len() >= KEPT_MAX {
            known.pop_first();
        }
        known.insert(key, value);
        let written = serde_json::to_vec_pretty(&known).ok().map(|text| {
            let folder = self.path.parent().unwrap_or(Path::new("."));
            std::fs::create_dir_all(folder).and_then(|()| {
                write_atomic(&self.path, &text, &Patience::usual())
                    .map_err(|err| std::io::Error::other(err.to_string()))
            })
        });
        if let Some(Err(err)) = written {
            tracing::warn!("what was found out about weights was not kept, and will be found out again: {err}");
        }
        *held = Some(known);
    }

    fn read(&self) -> BTreeMap<K, V> {
        let small = std::fs::metadata(&self.path).is_ok_and(|meta| meta.len() <= BYTES_MAX);
        let text = small.then(|| std::fs::read(&self.path).ok()).flatten();
        text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }
}
