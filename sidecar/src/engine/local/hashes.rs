//! Hashes of weights, kept between runs: reading a model whole takes seconds, and a plan should take none.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use thumbforge_core::id::ContentHash;
use thumbforge_diffusion::weights::{FileKey, Hash, HashCache};

use crate::output::write::{Patience, write_atomic};

/// Most files that are remembered: hundreds of models.
const FILES_MAX: usize = 4096;
/// Largest cache that is read, in bytes.
const BYTES_MAX: u64 = 4 << 20;

/// A file that was hashed. Its time is text, because JSON has no integers of that size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    bytes: u64,
    modified_ns: String,
    inode: u64,
    blake3: ContentHash,
}

/// The cache, a file in the data directory. One that cannot be read or written costs time and nothing else.
pub(crate) struct Hashes {
    path: PathBuf,
    known: Mutex<Option<BTreeMap<PathBuf, Known>>>,
}

impl Hashes {
    /// Of a data directory.
    pub(crate) fn new(data_dir: &Path) -> Self {
        Self { path: data_dir.join("weights-hashes.json"), known: Mutex::new(None) }
    }

    fn read(&self) -> BTreeMap<PathBuf, Known> {
        let small = std::fs::metadata(&self.path).is_ok_and(|meta| meta.len() <= BYTES_MAX);
        let text = small.then(|| std::fs::read(&self.path).ok()).flatten();
        text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }
}

impl Known {
    fn is(&self, key: &FileKey) -> bool {
        self.bytes == key.bytes && self.modified_ns == key.modified_ns.to_string() && self.inode == key.inode
    }
}

impl HashCache for Hashes {
    fn get(&self, key: &FileKey) -> Option<Hash> {
        let mut known = self.known.lock();
        let known = known.get_or_insert_with(|| self.read());
        known.get(&key.path).filter(|known| known.is(key)).map(|known| known.blake3.0)
    }

    fn put(&self, key: &FileKey, hash: Hash) {
        let mut held = self.known.lock();
        // Another process may have written meanwhile.
        let mut known = self.read();
        while known.len() >= FILES_MAX {
            known.pop_first();
        }
        let FileKey { path, bytes, modified_ns, inode } = key.clone();
        let line = Known { bytes, modified_ns: modified_ns.to_string(), inode, blake3: ContentHash(hash) };
        known.insert(path, line);
        let written = serde_json::to_vec_pretty(&known).ok().map(|text| {
            let folder = self.path.parent().unwrap_or(Path::new("."));
            std::fs::create_dir_all(folder).and_then(|()| {
                write_atomic(&self.path, &text, &Patience::usual())
                    .map_err(|err| std::io::Error::other(err.to_string()))
            })
        });
        if let Some(Err(err)) = written {
            tracing::warn!("the hash of a file of weights was not kept, and will be made again: {err}");
        }
        *held = Some(known);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_holds_while_the_file_does() {
        let folder = tempfile::tempdir().unwrap();
        let key = FileKey { path: "/m".into(), bytes: 7, modified_ns: i128::MAX, inode: 3 };
        Hashes::new(folder.path()).put(&key, [9; 32]);
        let check = |key: &FileKey, expected: Option<Hash>| assert_eq!(Hashes::new(folder.path()).get(key), expected);
        check(&key, Some([9; 32]));
        check(&FileKey { bytes: 8, ..key.clone() }, None);
        check(&FileKey { modified_ns: 0, ..key.clone() }, None);
        check(&FileKey { inode: 4, ..key.clone() }, None);
        check(&FileKey { path: "/n".into(), ..key.clone() }, None);
        std::fs::write(folder.path().join("weights-hashes.json"), "{").unwrap();
        check(&key, None);
    }
}
