//! Where keys lie, and how they are fetched: the environment, a file, the system's keychain. They go nowhere else.
//!
//! A key is fetched when a call needs it, so a token that somebody renews in its file is used from the next call on.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::de::{Deserializer, Error as _};
use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_hosted::Secret;

mod keychain;

/// Longest key in bytes: OAuth tokens have up to 2 KiB, and headers end at 8 KiB.
const KEY_BYTES_MAX: usize = 8 << 10;
/// How long a key from the keychain is kept: asking costs a process or a dialogue, and a build makes hundreds of calls.
const KEPT: Duration = Duration::from_secs(60);

/// Where a key lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// In a variable of the environment.
    Env(String),
    /// In a file that nobody else may read.
    File(PathBuf),
    /// In the system's keychain.
    Keyring {
        /// What it is for.
        service: String,
        /// Whose it is.
        user: String,
    },
}

/// Where it lies, in the words of the settings.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Keyring { service, user } => write!(f, "keyring:{service}/{user}"),
        }
    }
}

/// A key of the keychain that was fetched a moment ago; shared by every snapshot that has the account.
#[derive(Debug, Clone, Default)]
pub struct Kept(Arc<Mutex<Option<(Instant, Secret)>>>);

impl Source {
    /// Fetches the key of the account `account`.
    ///
    /// # Errors
    /// Where it was to come from, and what to do; never the key.
    pub fn fetch(&self, account: &str, kept: &Kept) -> Result<Secret, Failure> {
        self.fetch_with(kept, &|name| std::env::var(name).ok()).map_err(|reason| {
            let message = format!("failed to fetch the key of the account {account}: {reason}");
            Failure::new(ErrorCode::ModelUnavailable, message)
        })
    }

    /// Fetches what lies there, for whoever has no account.
    ///
    /// # Errors
    /// Where it was to come from, and what to do; never the key.
    pub fn look_up(&self) -> Result<Secret, String> {
        self.fetch_with(&Kept::default(), &|name| std::env::var(name).ok())
    }

    fn fetch_with(&self, kept: &Kept, variable: &dyn Fn(&str) -> Option<String>) -> Result<Secret, String> {
        match self {
            Self::Env(name) => match variable(name).filter(|value| !value.trim().is_empty()) {
                Some(value) => sound(value).map_err(|wrong| format!("the variable {name} {wrong}")),
                None => Err(format!("the variable {name} is not set where this process was started; set it there")),
            },
            Self::File(path) => {
                let text = read(path).map_err(|reason| format!("the file {}: {reason}", path.display()))?;
                sound(text).map_err(|wrong| format!("the file {} {wrong}", path.display()))
            }
            Self::Keyring { service, user } => {
                // Held while asking, so that ten calls at once ask one question.
                let mut kept = kept.0.lock();
                if let Some((fetched, key)) = &*kept
                    && fetched.elapsed() < KEPT
                {
                    return Ok(key.clone());
                }
                let key = keychain::look_up(service, user)?;
                let key = sound(key).map_err(|wrong| format!("the entry {service}/{user} of the keychain {wrong}"))?;
                *kept = Some((Instant::now(), key.clone()));
                Ok(key)
            }
        }
    }
}

/// A key is one line of visible ASCII: anything else could not stand in a header.
fn sound(text: String) -> Result<Secret, &'static str> {
    let key = Secret::new(text);
    match key.expose() {
        "" => Err("is empty"),
        long if long.len() > KEY_BYTES_MAX => Err("is too long for a key"),
        odd if !odd.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Err("does not hold one line of letters, digits and signs, as keys do")
        }
        _ => Ok(key),
    }
}

fn read(path: &Path) -> Result<String, String> {
    let meta = path.metadata().map_err(|err| err.to_string())?;
    // Before it is opened: opening a pipe would wait for whoever writes into it.
    if !meta.is_file() {
        return Err("is no file".to_owned());
    }
    let file = std::fs::File::open(path).map_err(|err| err.to_string())?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = file.metadata().map_err(|err| err.to_string())?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            let advice = format!("others may read it (its mode is {mode:03o}); run: chmod 600 {}", path.display());
            return Err(advice);
        }
    }
    let mut text = String::new();
    // One byte more than fits, so that a key which does not fit is told apart from one that was cut.
    file.take(KEY_BYTES_MAX as u64 + 2).read_to_string(&mut text).map_err(|err| err.to_string())?;
    Ok(text)
}

/// Which key it is, for the ledger: 8 hexadecimal digits of a hash that cannot be turned back.
pub fn id(key: &Secret) -> String {
    let hash = blake3::derive_key("thumbforge 2026-11-21 id of a provider's key", key.expose().as_bytes());
    hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

const FORMS: &str = "write \"env:NAME\" for a variable, \"file:PATH\" for a file that only you may read, \
                     or \"keyring:SERVICE/USER\" for the system's keychain";

impl std::str::FromStr for Source {
    type Err = String;

    /// Reads where a key lies. What is refused is never repeated, since it may be a key.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("env", name)) => {
                let sound = |c: char| c.is_ascii_alphanumeric() || c == '_';
                if name.is_empty() || !name.chars().all(sound) {
                    return Err("env: is followed by the name of a variable, as in \"env:OPENAI_API_KEY\"".to_owned());
                }
                Ok(Self::Env(name.to_owned()))
            }
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            Some(("keyring", entry)) => match entry.split_once('/') {
                Some((service, user)) if !service.is_empty() && !user.is_empty() => {
                    Ok(Self::Keyring { service: service.to_owned(), user: user.to_owned() })
                }
                _ => Err("keyring: is followed by SERVICE/USER, as in \"keyring:thumbforge/openai\"".to_owned()),
            },
            _ => Err(format!(
                "a key itself does not belong into a file that is copied, shared and backed up; {FORMS}. \
                 If this one was ever committed or sent, have it replaced"
            )),
        }
    }
}

impl<'de> serde::Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests;
