//! What works on this machine, what is missing, and what to do about it: `thumbforge doctor` and the editor's settings.

use std::path::Path;
use std::time::Duration;

use thumbforge_channel::client::{Options, Session, Start};
use thumbforge_core::day::Day;
use thumbforge_core::error::ErrorCode;
use thumbforge_core::job::JobState;
use thumbforge_core::limits;

use crate::config::OcrFile;
use crate::engine::local::sd3::Figures;
use crate::journal::{self, ops};
use crate::market::Market;

mod accounts;
mod local;
mod reader;

/// How long a sidecar may take to answer before it is said to hang.
const GREETING_MAX: Duration = Duration::from_secs(5);

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Line {
    /// What.
    pub what: &'static str,
    /// Whether it is as it should be.
    pub ok: bool,
    /// What is so, and what to do where it should not be.
    pub says: String,
    /// What a picture of a local model takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) figures: Option<Figures>,
}

impl Line {
    fn new(what: &'static str, ok: bool, says: impl Into<String>) -> Self {
        Self { what, ok, says: says.into(), figures: None }
    }
}

/// Looks at everything. It opens files, fetches keys and may wait for a sidecar, so it is nothing for an async thread.
/// `market` is what hosted models are bought by, or why there is none.
pub fn look(data_dir: &Path, market: Result<&Market, &str>, ocr: &OcrFile, today: Day) -> Vec<Line> {
    let mut lines = vec![
        Line::new("version", true, env!("CARGO_PKG_VERSION").to_owned()),
        usable(data_dir),
        sidecar(data_dir),
        fonts(),
    ];
    for (name, card) in crate::engine::cards_of_this_build() {
        let says = match name.as_str() {
            "builtin" => format!("version {}: placeholder art, needs nothing", card.version),
            "file" => format!("version {}: the team's own pictures", card.version),
            _ => format!("version {} on {}", card.version, card.device_class),
        };
        lines.push(Line { what: "engine", ok: true, says: format!("{name}, {says}"), figures: None });
    }
    match market {
        Ok(market) => lines.extend(local::look(data_dir, market)),
        Err(_) => lines.extend(local::look(data_dir, &Market::built_in())),
    }
    match market {
        Ok(market) => lines.extend(accounts::look(market, today)),
        Err(problem) => lines.push(Line::new("hosted models", false, problem.to_owned())),
    }
    lines.extend(reader::look(ocr));
    lines
}

/// Tries what a build needs of the data directory: a journal that can be read, and space for a file.
fn usable(path: &Path) -> Line {
    let journal = journal::peek(&path.join("journal.sqlite")).and_then(|reader| match reader {
        Some(reader) => reader.read(|connection| ops::jobs(connection, Some(JobState::Queued), limits::LISTING_MAX)),
        None => Ok(Vec::new()),
    });
    let writable = std::fs::create_dir_all(path).and_then(|()| tempfile::NamedTempFile::new_in(path));
    let (ok, says) = match (journal, writable) {
        (Err(err), _) => (false, err.failure().message),
        (_, Err(err)) => (false, format!("{}: {err}; name another one with --data-dir", path.display())),
        (Ok(waiting), Ok(_)) if waiting.is_empty() => (true, path.display().to_string()),
        (Ok(waiting), Ok(_)) => (true, format!("{}, {} jobs wait in the journal", path.display(), waiting.len())),
    };
    Line { what: "data directory", ok, says, figures: None }
}

/// Greets the sidecar of the data directory, if one runs.
fn sidecar(data_dir: &Path) -> Line {
    let session = Session::open(Options::new(data_dir, "doctor", Start::Never));
    let attached = session.and_then(|session| session.attached(GREETING_MAX).map(|()| session.state().sidecar_pid));
    let (ok, says) = match attached {
        Ok(pid) => (true, format!("process {pid} serves editors and commands on this data directory")),
        Err(failure) if failure.code == ErrorCode::NoSidecar => {
            (true, "none runs; editors start one, commands draw in their own process".to_owned())
        }
        Err(failure) => (false, failure.message),
    };
    Line { what: "sidecar", ok, says, figures: None }
}

fn fonts() -> Line {
    use thumbforge_art::text::FontBook;
    let mib = FontBook::packaged_bytes() as f64 / f64::from(1 << 20);
    let count = FontBook::packaged().names().len();
    Line {
        what: "fonts",
        ok: true,
        says: format!("{count} packaged, {mib:.1} MiB; fonts of the system are never used"),
        figures: None,
    }
}
