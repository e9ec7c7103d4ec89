//! The studio's certificate and key: read where somebody says that they are, and looked for nowhere.

use std::io::Read;
use std::path::{Path, PathBuf};

use thumbforge_core::error::{ErrorCode, Failure};

/// Longest certificate or key that is read; a chain of ten certificates has some 20 KB.
const PEM_BYTES_MAX: u64 = 64 << 10;

/// Where the key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A file that nobody else can read.
    File(PathBuf),
    /// A variable of the environment that holds the key itself, by its name.
    Variable(String),
}

/// The chain of certificates in a file.
///
/// # Errors
/// Why it cannot be read.
pub fn read_chain(path: &Path) -> Result<Vec<u8>, Failure> {
    bounded(path).map_err(|why| refused(&format!("read the certificate {}: {why}", path.display())))
}

/// The key, in PEM.
///
/// # Errors
/// That it is not there, or that others can read it.
pub fn read_key(source: &KeySource) -> Result<Vec<u8>, Failure> {
    match source {
        KeySource::File(path) => {
            check_private(path)?;
            bounded(path).map_err(|why| refused(&format!("read the key {}: {why}", path.display())))
        }
        // Neither it nor a part of it is ever repeated in a message.
        KeySource::Variable(name) => match std::env::var(name) {
            Ok(key) if !key.trim().is_empty() => Ok(key.into_bytes()),
            _ => Err(refused(&format!("read the key: the environment has no {name}; set it from your CI's secrets"))),
        },
    }
}

fn bounded(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|err| err.to_string())?;
    file.take(PEM_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|err| err.to_string())?;
    if bytes.len() as u64 > PEM_BYTES_MAX {
        return Err(format!("it has more than {PEM_BYTES_MAX} bytes, so it is no certificate or key in PEM"));
    }
    Ok(bytes)
}

/// A key that others on the machine can read is theirs as well.
#[cfg(unix)]
fn check_private(path: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt as _;
    let Ok(metadata) = path.metadata() else { return Ok(()) };
    let mode = metadata.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let name = path.display();
    Err(refused(&format!(
        "use the key {name}: others can read it (mode {:o}); `chmod 600 {name}`, and ask for a new certificate if they may \
         have",
        mode & 0o777
    )))
}

/// Windows keeps no such modes; who may read a file there is for its owner to see to.
#[cfg(not(unix))]
fn check_private(_path: &Path) -> Result<(), Failure> {
    Ok(())
}

fn refused(what: &str) -> Failure {
    Failure::new(ErrorCode::InputFile, format!("failed to {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_key_is_told_and_never_repeated() {
        let folder = tempfile::tempdir().expect("a folder");
        let missing = read_key(&KeySource::File(folder.path().join("no.pem"))).expect_err("missing");
        assert!(missing.message.contains("no.pem"), "{}", missing.message);
        let variable = read_key(&KeySource::Variable("THUMBFORGE_TEST_NO_SUCH_KEY".into())).expect_err("not set");
        assert!(variable.message.contains("THUMBFORGE_TEST_NO_SUCH_KEY"), "{}", variable.message);
        let long = folder.path().join("long.pem");
        std::fs::write(&long, vec![b'a'; PEM_BYTES_MAX as usize + 1]).expect("written");
        let failure = read_chain(&long).expect_err("too long");
        assert!(failure.message.contains("more than"), "{}", failure.message);
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key.pem");
        std::fs::write(&path, "secret").expect("written");
        let check = |mode: u32, is_taken: bool| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("a mode");
            let read = read_key(&KeySource::File(path.clone()));
            assert_eq!(read.is_ok(), is_taken, "{mode:o}");
            assert!(read.is_ok_and(|key| key == b"secret") || !is_taken);
        };
        for mode in [0o600, 0o400] {
            check(mode, true);
        }
        for mode in [0o644, 0o640, 0o604, 0o660] {
            check(mode, false);
        }
    }
}
