//! The shelf: the files that a market is read from, and the last good reading of them.
//!
//! Whoever asks for the market pays for a look at the files' times, at most once a second; there is no watcher and no
//! thread. What cannot be read changes nothing: jobs go on with what was good, and people are told what is wrong.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use thumbforge_core::model::{self, Catalogue};

use super::keys::Source;
use super::{Ambient, Market, ambient};
use crate::config::{ConfigError, UserFile, read_bounded};

/// How long a look at the files holds: soon enough for a person who has just saved one, and far less work than a job.
const LOOK: Duration = Duration::from_secs(1);

/// Hands out the market as it is now.
pub struct Shelf {
    files: Option<Files>,
    state: Mutex<State>,
}

struct State {
    market: Arc<Market>,
    looked: Instant,
    seen: [Stamp; 2],
}

/// Where everything is read from.
struct Files {
    data_dir: PathBuf,
    config: Option<PathBuf>,
    /// The user's own rows of the catalogue.
    models: PathBuf,
    ambient: Ambient,
}

/// What tells one state of a file from the next; absent where there is no file.
type Stamp = Option<(SystemTime, u64, u64)>;

impl Shelf {
    /// A shelf that always has this one; for tests, and for commands that buy nothing.
    pub fn fixed(market: Market) -> Self {
        let state = State { market: Arc::new(market), looked: Instant::now(), seen: [None; 2] };
        Self { files: None, state: Mutex::new(state) }
    }

    /// The shelf of the user's files: `config`, or `config.toml` of the data directory, and `models.toml` beside it.
    ///
    /// # Errors
    /// A file that is not as it should be: at the start there is no earlier reading to go on with.
    pub fn open(data_dir: &Path, config: Option<&Path>, ambient: Ambient) -> Result<Self, ConfigError> {
        let file = UserFile::path(config, data_dir);
        let models = file.parent().unwrap_or(Path::new("")).join("models.toml");
        let files = Files { data_dir: data_dir.to_owned(), config: config.map(Path::to_owned), models, ambient };
        // Before the reading: what is written in between is seen as a change.
        let seen = files.stamps();
        let market = files.read(1)?;
        let state = State { market: Arc::new(market), looked: Instant::now(), seen };
        Ok(Self { files: Some(files), state: Mutex::new(state) })
    }

    /// The market as it is now.
    pub fn now(&self) -> Arc<Market> {
        self.at(Instant::now())
    }

    /// The market at a moment.
    fn at(&self, now: Instant) -> Arc<Market> {
        let mut state = self.state.lock();
        if let Some(files) = &self.files
            && now.saturating_duration_since(state.looked) >= LOOK
        {
            state.looked = now;
            let seen = files.stamps();
            if seen != state.seen {
                state.seen = seen;
                state.market = Arc::new(files.read_over(&state.market));
            }
        }
        state.market.clone()
    }
}

impl Files {
    fn stamps(&self) -> [Stamp; 2] {
        [stamp(&UserFile::path(self.config.as_deref(), &self.data_dir)), stamp(&self.models)]
    }

    /// The market as the files have it.
    fn read(&self, revision: u64) -> Result<Market, ConfigError> {
        let user = UserFile::read(self.config.as_deref(), &self.data_dir)?;
        let catalogue = match read_bounded("models", &self.models)? {
            Some(text) => own_rows(&text, &self.models)?,
            None => Catalogue::built_in(),
        };
        let environment = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        let (made, problems) = ambient::accounts(&environment, &user.accounts);
        let (budgets, unused_keys) = (user.budgets, Vec::new());
        let mut market = Market {
            catalogue,
            accounts: user.accounts,
            budgets,
            revision,
            problems,
            weights_dir: user.weights_dir,
            local: user.local,
            unused_keys,
        };
        for account in made {
            match (self.ambient, &account.key) {
                (Ambient::Used, _) => _ = market.accounts.insert(account.name.clone(), account),
                (Ambient::Ignored, Some(Source::Env(name))) => market.unused_keys.push(name.clone()),
                (Ambient::Ignored, _) => {}
            }
        }
        Ok(market)
    }

    /// The market after a file changed: as the files have it, or as it was, with what is wrong now.
    fn read_over(&self, earlier: &Market) -> Market {
        match self.read(earlier.revision + 1) {
            Ok(market) => {
                tracing::info!(revision = market.revision, "the settings or models changed and are used from now on");
                market
            }
            Err(err) => {
                let problem = format!("failed to {err}; until it is mended, what stood there before is used");
                tracing::warn!("{problem}");
                Market { problems: vec![problem], ..earlier.clone() }
            }
        }
    }
}

/// The catalogue with the user's own rows over those that ship with Thumbforge.
fn own_rows(text: &str, path: &Path) -> Result<Catalogue, ConfigError> {
    let wrong = |reason: String| ConfigError { what: "models", path: path.to_owned(), line: None, reason };
    let rows = model::parse_rows(text);
    rows.and_then(|rows| Catalogue::built_in().with_rows(rows)).map_err(|err| wrong(err.to_string()))
}

fn stamp(path: &Path) -> Stamp {
    let meta = path.metadata().ok()?;
    #[cfg(unix)]
    let number = std::os::unix::fs::MetadataExt::ino(&meta);
    #[cfg(not(unix))]
    let number = 0;
    Some((meta.modified().unwrap_or(SystemTime::UNIX_EPOCH), meta.len(), number))
}

#[cfg(test)]
mod tests;
