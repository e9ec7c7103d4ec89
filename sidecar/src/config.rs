//! What the user of this machine decides about the sidecar: nothing here changes a pixel.
//!
//! What a team shares (templates, tiers, profiles, routes) stands in the manifest instead;
//! the README has the table of both.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use thiserror::Error;
use thumbforge_core::id::ContentHash;
use thumbforge_core::limits;
use thumbforge_core::terms::Budget;
use toml::Spanned;
use url::Url;

use crate::market::account::{AccountFile, BudgetFile, beside};
use crate::market::keys::Source;
use crate::market::{Account, Ambient};
use crate::weights::token;

mod local;

pub use local::{Amount, DEVICE_VARIABLE, DeviceChoice, LIBRARY_VARIABLE, LibraryChoice, LocalFile, RESERVE_VARIABLE};

/// Settings of one sidecar, from flags over the user's file over defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where journal, store and caches lie.
    pub data_dir: PathBuf,
    /// Size that the store is kept to, in bytes.
    pub store_bytes_max: u64,
    /// Worker threads that draw.
    pub workers: usize,
    /// A folder that the team shares renders in.
    pub shared_cache: Option<PathBuf>,
    /// How long a drain waits for what runs.
    pub drain: Duration,
    /// Most jobs that are open at once; one more is told that the sidecar is busy.
    pub open_jobs_max: usize,
    /// The user's file where `--config` names one.
    pub user_file: Option<PathBuf>,
    /// Whether variables of the environment make accounts.
    pub ambient: Ambient,
    /// What words are read with.
    pub ocr: OcrFile,
}

/// The user's file, `config.toml` in the data directory or where `--config` says.
#[derive(Debug, Clone, Default)]
pub struct UserFile {
    /// Size that the store is kept to, in MiB.
    pub store_mib_max: Option<u64>,
    /// Worker threads that draw.
    pub workers: Option<usize>,
    /// Port of `serve`.
    pub port: Option<u16>,
    /// Token that `serve` asks of anything but this machine.
    pub token_file: Option<PathBuf>,
    /// Accounts of hosted models, by name.
    pub accounts: BTreeMap<String, Account>,
    /// Budgets for everything, for providers and for accounts.
    pub budgets: Vec<Budget>,
    /// Where weights lie, if not in the data directory.
    pub weights_dir: Option<PathBuf>,
    /// Where weights are got.
    pub hub: HubFile,
    /// What words are read with.
    pub ocr: OcrFile,
    /// Where models of this machine are drawn.
    pub local: LocalFile,
}

/// `[ocr]`: the library that reads words and its language data. What nobody names is looked for where the system has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OcrFile {
    /// The library's file, libtesseract.
    pub library: Option<PathBuf>,
    /// The folder of language data.
    pub tessdata: Option<PathBuf>,
    /// BLAKE3 of files, by "library" and by the name of language data ("eng"): a file that differs reads nothing.
    pub pins: BTreeMap<String, ContentHash>,
}

impl OcrFile {
    /// The same for the reader.
    pub fn reader(&self) -> thumbforge_reader::Settings {
        let mut pins = self.pins.clone();
        let library_pin = pins.remove(LIBRARY_PIN);
        thumbforge_reader::Settings {
            library: self.library.clone(),
            library_pin,
            tessdata: self.tessdata.clone(),
            pins,
        }
    }
}

/// The name of the library among pins; no language data is called so.
const LIBRARY_PIN: &str = "library";

/// `[hub]`: where weights are got, and where the token for it lies.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HubFile {
    /// Its address, for a mirror.
    pub endpoint: Option<Address>,
    /// Where its token lies.
    pub token: Option<HubToken>,
}

/// The address of a hub.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Address(pub Url);

impl TryFrom<String> for Address {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        crate::market::account::address(&text).map(Self)
    }
}

/// Where a hub's token lies.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct HubToken(pub Source);

impl TryFrom<String> for HubToken {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        // The folder of the settings is put before it when they are whole.
        token::parse(&text, Path::new(""), &|name| std::env::var(name).ok()).map(Self)
    }
}

/// The file as it is written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    store_mib_max: Option<u64>,
    workers: Option<usize>,
    port: Option<u16>,
    token_file: Option<PathBuf>,
    accounts: BTreeMap<String, Spanned<AccountFile>>,
    budget: BudgetFile,
    weights_dir: Option<PathBuf>,
    hub: HubFile,
    ocr: OcrFile,
    local: LocalFile,
}

/// A user's file that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("read the {what} {}{}: {reason}", path.display(), line.map(|line| format!(", line {line}")).unwrap_or_default())]
pub struct ConfigError {
    /// What it is, for people.
    pub what: &'static str,
    /// Which.
    pub path: PathBuf,
    /// Where in it, counted from 1.
    pub line: Option<usize>,
    /// What is wrong, and what to do; never what stands there, since that may be a key.
    pub reason: String,
}

impl UserFile {
    /// Where the file is: `named`, or `config.toml` of the data directory.
    pub fn path(named: Option<&Path>, data_dir: &Path) -> PathBuf {
        named.map_or_else(|| data_dir.join("config.toml"), Path::to_owned)
    }

    /// Reads `named`, or `config.toml` of the data directory if there is one.
    ///
    /// # Errors
    /// A named file that is missing, or any file that is not as it should be.
    pub fn read(named: Option<&Path>, data_dir: &Path) -> Result<Self, ConfigError> {
        let path = Self::path(named, data_dir);
        match read_bounded("settings", &path)? {
            Some(text) => Self::parse(&text, &path),
            None if named.is_none() => Ok(Self::default()),
            None => Err(ConfigError { what: "settings", path, line: None, reason: "there is no such file".to_owned() }),
        }
    }

    /// Reads the settings from the text of `path`.
    ///
    /// # Errors
    /// What is wrong, with its line.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let wrong = |at: Option<usize>, reason: String| {
            let line = at.map(|at| line_of(text, at));
            ConfigError { what: "settings", path: path.to_owned(), line, reason }
        };
        let written: Written =
            toml::from_str(text).map_err(|err| wrong(err.span().map(|span| span.start), unquoted(err.message())))?;
        if written.accounts.len() > limits::ACCOUNTS_MAX {
            return Err(wrong(None, format!("it has more than {} accounts", limits::ACCOUNTS_MAX)));
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        let (mut accounts, mut budgets) = (BTreeMap::new(), written.budget.budgets());
        for (name, file) in &written.accounts {
            let file_at = file.span().start;
            let account = file.get_ref().account(name, folder);
            let account = account.map_err(|reason| wrong(Some(file_at), format!("[accounts.{name}]: {reason}")))?;
            budgets.extend(file.get_ref().budgets(name));
            accounts.insert(name.clone(), account);
        }
        Ok(Self {
            store_mib_max: written.store_mib_max,
            workers: written.workers,
            port: written.port,
            token_file: written.token_file,
            accounts,
            budgets,
            weights_dir: written.weights_dir.map(|dir| home_or(dir, folder)),
            hub: HubFile {
                token: written.hub.token.map(|HubToken(source)| HubToken(beside(source, folder))),
                ..written.hub
            },
            ocr: OcrFile {
                library: written.ocr.library.map(|path| home_or(path, folder)),
                tessdata: written.ocr.tessdata.map(|path| home_or(path, folder)),
                ..written.ocr
            },
            local: written.local.at_home(&|path| home_or(path, folder)),
        })
    }
}

/// A file or folder that the settings name: from the user's home, or from the settings' own folder.
fn home_or(dir: PathBuf, folder: &Path) -> PathBuf {
    match dir.strip_prefix("~").ok().zip(directories::BaseDirs::new()) {
        Some((rest, dirs)) => dirs.home_dir().join(rest),
        None => folder.join(dir),
    }
}

/// The text of a file of the user's, if there is one.
pub(crate) fn read_bounded(what: &'static str, path: &Path) -> Result<Option<String>, ConfigError> {
    use std::io::{ErrorKind, Read};
    let failed = |reason: String| ConfigError { what, path: path.to_owned(), line: None, reason };
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        // In a folder that is none there is no file either; whoever uses the folder says what is wrong with it.
        Err(err) if matches!(err.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(err) => return Err(failed(err.to_string())),
    };
    let mut text = String::new();
    let most = limits::CATALOGUE_BYTES_MAX as u64;
    file.take(most + 1).read_to_string(&mut text).map_err(|err| failed(err.to_string()))?;
    if text.len() as u64 > most {
        return Err(failed(format!("it is larger than {} MiB", most >> 20)));
    }
    Ok(Some(text))
}

/// The line of a byte, counted from 1.
fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

/// A message of the TOML reader without the values that it quotes: one of them may be a key that stands in the wrong place.
fn unquoted(message: &str) -> String {
    let mut kept = String::new();
    let mut rest = message;
    while let Some(at) = rest.find("string \"") {
        kept.push_str(&rest[..at]);
        kept.push_str("a string");
        let quoted = &rest[at + "string \"".len()..];
        rest = quoted.rfind('"').map_or("", |end| &quoted[end + 1..]);
    }
    kept.push_str(rest);
    kept
}

impl Config {
    /// The settings for `data_dir` as the user's file has them.
    pub fn new(data_dir: &Path, user: &UserFile) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            data_dir: data_dir.to_owned(),
            store_bytes_max: user.store_mib_max.map_or(limits::STORE_BYTES_DEFAULT, |mib| mib << 20),
            workers: user.workers.unwrap_or(cores).clamp(1, 64),
            shared_cache: None,
            // Longer than any local picture takes, shorter than a service manager's patience (90 s).
            drain: Duration::from_secs(60),
            open_jobs_max: limits::OPEN_JOBS_MAX,
            user_file: None,
            ambient: Ambient::Ignored,
            ocr: user.ocr.clone(),
        }
    }
}

/// The user's data directory when no flag names one.
pub fn default_data_dir() -> PathBuf {
    directories::ProjectDirs::from("", "", "thumbforge")
        .map_or_else(|| std::env::temp_dir().join("thumbforge"), |dirs| dirs.data_local_dir().to_owned())
}

#[cfg(test)]
mod tests;
