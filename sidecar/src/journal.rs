//! The journal: what was accepted, tried and finished, durable before anybody is told.
//!
//! SQLite in WAL mode with `synchronous=FULL` under one writer thread that commits in groups.
//! `ops` are plain functions over a connection, so that the simulation runs the very same SQL.
//! Only this module knows SQLite.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use thiserror::Error;
use thumbforge_core::error::{ErrorCode, Failure};

pub mod costs;
pub mod learned;
pub mod ledger;
pub mod ops;
pub mod repairs;
pub mod ways;
mod writer;

pub use ops::{Accepted, Applied, Held, JobRow, Open, Record};
pub use writer::Pending;

/// What makes each schema version out of the one before, from an empty file on. A new journal goes the same way as an
/// old one, so that both end with the same schema. Versions that were released are never changed; version 5 was in no
/// release yet, and until it is it may be.
const VERSIONS: [&str; 5] = [
    include_str!("journal/version-1.sql"),
    include_str!("journal/version-2.sql"),
    include_str!("journal/version-3.sql"),
    include_str!("journal/version-4.sql"),
    include_str!("journal/version-5.sql"),
];
/// The schema version that this build writes, in SQLite's `user_version`.
const SCHEMA_VERSION: i64 = VERSIONS.len() as i64;
/// The version whose jobs say by what they are judged. Its SQL cannot hash, so jobs that are open then are told here.
const JUDGED_VERSION: i64 = 5;
/// Databases up to this size are checked page by page at every start; larger ones would take longer than a start may.
const CHECK_BYTES_MAX: u64 = 64 << 20;

/// Why the journal could not do what it was asked.
#[derive(Debug, Clone, Error)]
pub enum JournalError {
    /// The database is damaged.
    #[error(
        "read the journal {path}: it is damaged ({reason}); restore it from a backup or move it away \
         (outputs and lock files do not depend on it)"
    )]
    Corrupt {
        /// Where it lies.
        path: PathBuf,
        /// SQLite's word for it.
        reason: String,
    },
    /// Written by a newer Thumbforge.
    #[error("read the journal {path}: it has version {found}, this Thumbforge reads up to {SCHEMA_VERSION}; upgrade")]
    Newer {
        /// Where it lies.
        path: PathBuf,
        /// Its version.
        found: i64,
    },
    /// No space.
    #[error("write the journal {path}: the disk is full; nothing that was accepted is lost, free some space")]
    DiskFull {
        /// Where it lies.
        path: PathBuf,
    },
    /// Anything else that SQLite says.
    #[error("use the journal {path}: {reason}")]
    Sqlite {
        /// Where it lies.
        path: PathBuf,
        /// SQLite's word for it.
        reason: String,
    },
    /// The writer thread has ended.
    #[error("write the journal: it is closed")]
    Closed,
}

impl JournalError {
    fn from_sqlite(path: &Path, err: &rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Sqlite;
        let (path, reason) = (path.to_owned(), err.to_string());
        match err.sqlite_error_code() {
            Some(Sqlite::DatabaseCorrupt | Sqlite::NotADatabase) => Self::Corrupt { path, reason },
            Some(Sqlite::DiskFull) => Self::DiskFull { path },
            _ => Self::Sqlite { path, reason },
        }
    }

    /// As it reaches people and machines.
    pub fn failure(&self) -> Failure {
        let code = match self {
            Self::Corrupt { .. } => ErrorCode::Corrupt,
            Self::Newer { .. } => ErrorCode::VersionMismatch,
            Self::DiskFull { .. } => ErrorCode::DiskFull,
            Self::Sqlite { .. } => ErrorCode::Storage,
            Self::Closed => ErrorCode::ShuttingDown,
        };
        Failure::new(code, format!("failed to {self}"))
    }
}

/// Reads what is committed; any number of processes may, beside the one that writes.
pub struct Reader {
    path: Arc<Path>,
    connection: Mutex<Connection>,
}

impl Reader {
    fn open(path: Arc<Path>) -> Result<Self, JournalError> {
        let sqlite = |err: rusqlite::Error| JournalError::from_sqlite(&path, &err);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags).map_err(sqlite)?;
        connection.execute_batch("PRAGMA busy_timeout=5000; PRAGMA cache_size=-16384;").map_err(sqlite)?;
        let found = version(&connection).map_err(sqlite)?;
        if found > SCHEMA_VERSION {
            return Err(JournalError::Newer { path: path.to_path_buf(), found });
        }
        Ok(Self { connection: Mutex::new(connection), path })
    }

    /// Reads.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn read<T>(&self, op: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, JournalError> {
        op(&self.connection.lock()).map_err(|err| JournalError::from_sqlite(&self.path, &err))
    }
}

/// The journal at `path` for reading alone; `None` when there is none yet.
///
/// # Errors
/// What SQLite says.
pub fn peek(path: &Path) -> Result<Option<Reader>, JournalError> {
    if !path.exists() {
        return Ok(None);
    }
    Reader::open(path.into()).map(Some)
}

/// A handle on the journal; clones share the writer thread and the reader connection.
#[derive(Clone)]
pub struct Journal {
    writer: writer::Writer,
    reader: Arc<Reader>,
}

impl Journal {
    /// Opens or makes the journal at `path` and starts its writer thread.
    ///
    /// # Errors
    /// [`JournalError::Corrupt`], [`JournalError::Newer`], or what SQLite says.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let sqlite = |err: rusqlite::Error| JournalError::from_sqlite(path, &err);
        let existing = path.metadata().map(|meta| meta.len()).unwrap_or(0);
        let connection = Connection::open(path).map_err(sqlite)?;
        prepare(&connection).map_err(sqlite)?;
        let found = version(&connection).map_err(sqlite)?;
        if found > SCHEMA_VERSION {
            return Err(JournalError::Newer { path: path.to_owned(), found });
        }
        if existing > 0 && existing <= CHECK_BYTES_MAX {
            let check: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(sqlite)?;
            if check != "ok" {
                return Err(JournalError::Corrupt { path: path.to_owned(), reason: check });
            }
        }
        upgrade(&connection, found, SCHEMA_VERSION).map_err(sqlite)?;
        let path: Arc<Path> = path.into();
        let reader = Arc::new(Reader::open(path.clone())?);
        Ok(Self { writer: writer::Writer::start(connection, path), reader })
    }

    /// Runs `op` in the next durable group; the answer comes once it is on disk.
    ///
    /// `op` may run twice: when another of its group fails, each is run again alone.
    pub fn write<T, F>(&self, op: F) -> Pending<T>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        self.writer.send(op)
    }

    /// Reads what is committed.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn read<T>(&self, op: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, JournalError> {
        self.reader.read(op)
    }

    /// Commits what is waiting, folds the log into the database and ends the writer thread.
    pub fn close(&self) {
        self.writer.close();
    }
}

/// A journal in memory with the real schema, for the simulation.
///
/// # Errors
/// What SQLite says.
pub fn in_memory() -> rusqlite::Result<Connection> {
    let connection = Connection::open_in_memory()?;
    connection.execute_batch("PRAGMA foreign_keys=ON;")?;
    upgrade(&connection, 0, SCHEMA_VERSION)?;
    Ok(connection)
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(64);
    connection.execute_batch(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA fullfsync=1; PRAGMA foreign_keys=ON;
         PRAGMA busy_timeout=5000; PRAGMA cache_size=-65536;
         PRAGMA wal_autocheckpoint=4000; PRAGMA journal_size_limit=67108864;",
    )
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Brings a journal from one version to a later one, whole or not at all.
fn upgrade(connection: &Connection, from: i64, to: i64) -> rusqlite::Result<()> {
    let steps: Vec<(i64, &str)> =
        (1..).zip(VERSIONS).filter(|(version, _)| (from + 1..=to).contains(version)).collect();
    if steps.is_empty() {
        return Ok(());
    }
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    for (version, sql) in steps {
        transaction.execute_batch(sql)?;
        if version == JUDGED_VERSION {
            ops::judge_open(&transaction)?;
        }
    }
    transaction.pragma_update(None, "user_version", to)?;
    transaction.commit()
}

#[cfg(test)]
pub(crate) mod tests;
