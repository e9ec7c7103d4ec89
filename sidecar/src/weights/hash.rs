//! What the bytes of a file hash to: BLAKE3, which recipes name, and SHA-256, which hubs name.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

/// Bytes that are read at once: enough for either hash to run at its full speed, and still in the cache of a core.
const BUFFER_BYTES: usize = 1 << 20;

/// The hashes of a file, in hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hashes {
    /// How many bytes it has.
    pub bytes: u64,
    /// BLAKE3.
    pub blake3: String,
    /// SHA-256, where it was asked for.
    pub sha256: Option<String>,
}

/// Reads a file from end to end. `on` hears of every piece and says whether to go on.
///
/// # Errors
/// Of the disk; [`io::ErrorKind::Interrupted`] when `on` says no.
pub fn hash_file(path: &Path, with_sha256: bool, on: &mut dyn FnMut(u64) -> bool) -> io::Result<Hashes> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; BUFFER_BYTES];
    let (mut blake3, mut sha256, mut bytes) = (blake3::Hasher::new(), with_sha256.then(Sha256::new), 0);
    // As many turns as the file has pieces; one that grows meanwhile is read as far as it goes.
    loop {
        let read = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(err) if err.kind() == io::ErrorKind::Interrupted => continue,
            Err(err) => return Err(err),
        };
        blake3.update(&buffer[..read]);
        if let Some(sha256) = &mut sha256 {
            sha256.update(&buffer[..read]);
        }
        bytes += read as u64;
        if !on(read as u64) {
            return Err(io::ErrorKind::Interrupted.into());
        }
    }
    let sha256 = sha256.map(|sha256| hex(&sha256.finalize()));
    Ok(Hashes { bytes, blake3: blake3.finalize().to_hex().to_string(), sha256 })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_hashes_are_those_of_their_standards() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        let mut heard = 0;
        let hashes = hash_file(&path, true, &mut |bytes| {
            heard += bytes;
            true
        });
        let hashes = hashes.unwrap();
        assert_eq!((hashes.bytes, heard), (3, 3));
        // FIPS 180-2, appendix B.1, and the test vectors of BLAKE3.
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hashes.sha256.as_deref(), Some(sha256));
        assert_eq!(hashes.blake3, "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85");
        let stopped = hash_file(&path, false, &mut |_| false).unwrap_err();
        assert_eq!(stopped.kind(), io::ErrorKind::Interrupted);
    }
}
