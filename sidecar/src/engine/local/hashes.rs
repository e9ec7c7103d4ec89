//! Hashes of weights, by what their files were when they were read.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thumbforge_core::id::ContentHash;
use thumbforge_diffusion::weights::{FileKey, Hash, HashCache};

use super::kept::Kept;

/// A file that was hashed. Its time is text, because JSON has no integers of that size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    bytes: u64,
    modified_ns: String,
    inode: u64,
    blake3: ContentHash,
}

/// The hashes that this machine knows.
pub(crate) struct Hashes(Kept<PathBuf, Known>);

impl Hashes {
    /// Of a data directory.
    pub(crate) fn new(data_dir: &Path) -> Self {
        Self(Kept::new(data_dir, "weights-hashes.json"))
    }
}

impl Known {
    fn is(&self, key: &FileKey) -> bool {
        self.bytes == key.bytes && self.modified_ns == key.modified_ns.to_string() && self.inode == key.inode
    }
}

impl HashCache for Hashes {
    fn get(&self, key: &FileKey) -> Option<Hash> {
        self.0.get(&key.path).filter(|known| known.is(key)).map(|known| known.blake3.0)
    }

    fn put(&self, key: &FileKey, hash: Hash) {
        let FileKey { path, bytes, modified_ns, inode } = key.clone();
        let line = Known { bytes, modified_ns: modified_ns.to_string(), inode, blake3: ContentHash(hash) };
        self.0.put(path, line);
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
