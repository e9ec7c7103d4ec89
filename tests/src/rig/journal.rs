//! Reads a journal from outside, as anybody with SQLite can: read-only, beside or after the process that writes it.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

/// What a journal says in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    /// Jobs by state.
    pub jobs: BTreeMap<String, u64>,
    /// Attempts that gave a render.
    pub rendered: u64,
    /// Realised keys that more than one attempt rendered.
    pub rendered_twice: u64,
    /// Attempts without an end.
    pub attempts_open: u64,
    /// Attempts that the end of a process interrupted.
    pub interrupted: u64,
    /// Files of the store that have a row.
    pub blobs: u64,
}

impl Figures {
    /// Jobs of a state.
    pub fn of(&self, state: &str) -> u64 {
        self.jobs.get(state).copied().unwrap_or_default()
    }
}

/// Opens a journal for reading.
pub fn open(path: &Path) -> Connection {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("a journal");
    connection.busy_timeout(std::time::Duration::from_secs(10)).expect("a bound");
    connection
}

/// Counts.
pub fn figures(path: &Path) -> Figures {
    let connection = open(path);
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, u64>(0)).expect(sql);
    let mut jobs = connection.prepare("SELECT state, count(*) FROM jobs GROUP BY state").expect("jobs");
    let jobs = jobs.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows").map(|row| row.expect("a row"));
    Figures {
        jobs: jobs.collect(),
        rendered: count("SELECT count(*) FROM attempts WHERE outcome = 'rendered'"),
        rendered_twice: count(
            "SELECT count(*) FROM (SELECT 1 FROM attempts WHERE outcome = 'rendered' GROUP BY realised HAVING count(*) > 1)",
        ),
        attempts_open: count("SELECT count(*) FROM attempts WHERE ended_ms IS NULL"),
        interrupted: count("SELECT count(*) FROM attempts WHERE outcome = 'interrupted'"),
        blobs: count("SELECT count(*) FROM blobs"),
    }
}

/// The state of a job.
pub fn state_of(connection: &Connection, job: u64) -> Option<String> {
    connection.query_row("SELECT state FROM jobs WHERE id = ?1", [job], |row| row.get(0)).ok()
}
