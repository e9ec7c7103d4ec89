//! The composition root: builds every part, wires bounded channels between them, and owns the shutdown.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

use thiserror::Error;
use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::limits;
use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;

use crate::buyer::{Buyer, Fresh};
use crate::clock::Clock;
use crate::config::Config;
use crate::dispatch::Dispatcher;
use crate::engine::Engines;
use crate::executor::{Executor, Tools};
use crate::fonts::Fonts;
use crate::intake::Intake;
use crate::journal::{Journal, JournalError, ops};
use crate::market::Shelf;
use crate::metrics::Metrics;
use crate::publish::Publisher;
use crate::store::{SharedCache, Store, StoreError};
use crate::verify::{Album, Eyes};

/// Why the sidecar did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The data directory cannot be used.
    #[error("use the data directory {path}: {source}")]
    DataDir {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another process has it.
    #[error(
        "use the data directory {path}: another Thumbforge process uses it; \
         stop that one, or name another directory with --data-dir"
    )]
    InUse {
        /// Which.
        path: PathBuf,
    },
    /// The journal says no.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The store says no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The settings of accounts say no.
    #[error("{0}")]
    Market(Failure),
}

impl StartError {
    /// As it reaches people and machines.
    pub fn failure(&self) -> Failure {
        match self {
            Self::DataDir { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                Failure::new(ErrorCode::DiskFull, format!("failed to {self}"))
            }
            Self::DataDir { .. } => Failure::new(ErrorCode::Storage, format!("failed to {self}")),
            Self::InUse { .. } => Failure::new(ErrorCode::DataDirInUse, format!("failed to {self}")),
            Self::Journal(err) => err.failure(),
            Self::Store(err) => err.failure(),
            Self::Market(failure) => failure.clone(),
        }
    }
}

/// A running sidecar, in this process.
pub struct App {
    intake: Intake,
    journal: Journal,
    config: Config,
    drained: oneshot::Receiver<()>,
    /// Jobs that an earlier process left open.
    pub recovered: usize,
    owned: Owned,
}

/// The data directory, which is this process's until this is dropped.
pub struct Owned {
    _lock: File,
}

impl App {
    /// Takes the data directory, recovers what an earlier process left, and starts every part.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let began = Instant::now();
        let lock = own(&config)?;
        let clock = Clock::Machine;
        let journal = Journal::open(&config.data_dir.join("journal.sqlite"))?;
        let now_ms = clock.now_ms();
        let open = journal.write(move |connection| ops::recover(connection, now_ms)).durable().await?;
        let shared = config.shared_cache.as_deref().and_then(SharedCache::open);
        let store = Store::open(
            &config.data_dir.join("store"),
            journal.clone(),
            clock.clone(),
            config.store_bytes_max,
            shared,
        )?;
        let shelf = Shelf::open(&config.data_dir, config.user_file.as_deref(), config.ambient)
            .map_err(|err| StartError::Market(Failure::new(ErrorCode::InvalidRequest, format!("failed to {err}"))))?;
        let shelf = Arc::new(shelf);
        let fresh = Arc::new(Fresh::default());
        let buyer = Arc::new(
            Buyer::new(journal.clone(), store.clone(), shelf.clone(), fresh.clone()).map_err(StartError::Market)?,
        );
        let market = shelf.now();
        let tools = Arc::new(Tools {
            fresh,
            told: AtomicU64::new(market.revision),
            pins: Default::default(),
            shelf,
            journal: journal.clone(),
            engines: Engines::discover(&store, &config.data_dir, &market),
            store: store.clone(),
            fonts: Fonts::default(),
            eyes: Eyes::new(&config.ocr),
            album: Album::of(&config.data_dir),
            clock: clock.clone(),
        });
        let (publisher, metrics) = (Publisher::default(), Arc::new(Metrics::default()));
        // Twice the workers: while one attempt waits for its record to be durable, another draws.
        let slots = config.workers * 2;
        let mailbox = mpsc::channel(limits::DISPATCH_EVENTS_MAX);
        let address = Dispatcher::address(mailbox.0.clone());
        let executor =
            Executor::start(config.workers, slots, tools.clone(), buyer, address, publisher.clone(), metrics.clone())
                .map_err(|source| StartError::DataDir { path: config.data_dir.clone(), source })?;
        let (drained_sender, drained) = oneshot::channel();
        let recovered = open.len();
        let dispatcher = Dispatcher::start(slots, open, journal.clone(), clock, mailbox, executor, drained_sender);
        let swept = store.clone();
        let before = SystemTime::now();
        let pruned = journal.clone();
        // Neither matters to the first job, so neither delays the start.
        tokio::task::spawn_blocking(move || {
            swept.sweep(before);
            drop(pruned.write(ops::prune));
        });
        tracing::debug!(recovered, elapsed_ms = began.elapsed().as_millis() as u64, "sidecar started");
        tokio::spawn(watch_market(Arc::downgrade(&tools), dispatcher.clone(), metrics.clone()));
        let intake = Intake::new(tools, dispatcher, publisher, metrics, config.open_jobs_max);
        Ok(Self { intake, journal, config, drained, recovered, owned: Owned { _lock: lock } })
    }

    /// The door.
    pub fn intake(&self) -> &Intake {
        &self.intake
    }

    /// Stops intake, waits for what runs, leaves what is queued to the next start, and folds the journal's log.
    /// The data directory is held until what is returned is dropped.
    pub async fn drain(self) -> Owned {
        self.intake.close();
        self.intake.drain().await;
        if tokio::time::timeout(self.config.drain, self.drained).await.is_err() {
            tracing::warn!("stopped while drawings were still running; they are taken up at the next start");
        }
        let journal = self.journal;
        // Closing joins a thread, which no task may wait for in place.
        let _ = tokio::task::spawn_blocking(move || journal.close()).await;
        self.owned
    }
}

/// How often jobs that wait look whether the settings have changed: soon enough for a person who has just saved them.
const LOOK: Duration = Duration::from_secs(2);

/// Tells the dispatcher of changed settings while jobs are open, so that those that wait for an account hear of it too.
/// Ends with the sidecar.
async fn watch_market(tools: Weak<Tools>, dispatcher: Dispatcher, metrics: Arc<Metrics>) {
    let mut looks = tokio::time::interval(LOOK);
    // After a machine has slept one look is enough.
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let Some(tools) = tools.upgrade() else { return };
        if metrics.open() == 0 {
            continue;
        }
        // Files are read, which no task may wait for in place.
        if let Ok(Some(changed)) = tokio::task::spawn_blocking(move || tools.market_changed()).await {
            dispatcher.tell(changed).await;
        }
    }
}

/// Makes the data directory private to the user and locks it.
fn own(config: &Config) -> Result<File, StartError> {
    let path = &config.data_dir;
    let failed = |source| StartError::DataDir { path: path.clone(), source };
    fs::create_dir_all(path).map_err(failed)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(failed)?;
    }
    let file = File::options().create(true).truncate(false).write(true).open(path.join("lock")).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StartError::InUse { path: path.clone() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}
