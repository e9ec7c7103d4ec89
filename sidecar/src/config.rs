//! What the user of this machine decides about the sidecar: nothing here changes a pixel.
//!
//! What a team shares (templates, tiers, profiles, routes) stands in the manifest instead;
//! the README has the table of both.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use thiserror::Error;
use thumbforge_core::limits;

use crate::market::Ambient;

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
}

/// The user's file, `config.toml` in the data directory or where `--config` says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UserFile {
    /// Size that the store is kept to, in MiB.
    pub store_mib_max: Option<u64>,
    /// Worker threads that draw.
    pub workers: Option<usize>,
    /// Port of `serve`.
    pub port: Option<u16>,
    /// Token that `serve` asks of anything but this machine.
    pub token_file: Option<PathBuf>,
}

/// A user's file that cannot be read.
#[derive(Debug, Error)]
#[error("read the settings {path}: {reason}")]
pub struct ConfigError {
    path: PathBuf,
    reason: String,
}

impl UserFile {
    /// Reads `named`, or `config.toml` of the data directory if there is one.
    ///
    /// # Errors
    /// A named file that is missing, or any file that is not as it should be.
    pub fn read(named: Option<&Path>, data_dir: &Path) -> Result<Self, ConfigError> {
        let default = data_dir.join("config.toml");
        let path = named.unwrap_or(&default);
        if named.is_none() && !path.exists() {
            return Ok(Self::default());
        }
        let failed = |reason: String| ConfigError { path: path.to_owned(), reason };
        let text = std::fs::read_to_string(path).map_err(|err| failed(err.to_string()))?;
        toml::from_str(&text).map_err(|err| failed(err.to_string()))
    }
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
        }
    }
}

/// The user's data directory when no flag names one.
pub fn default_data_dir() -> PathBuf {
    directories::ProjectDirs::from("", "", "thumbforge")
        .map_or_else(|| std::env::temp_dir().join("thumbforge"), |dirs| dirs.data_local_dir().to_owned())
}
