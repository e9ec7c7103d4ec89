//! Version control: whether each output may be written is settled before any job runs.
//!
//! ```text
//! each output ─► look ─┬─► writable
//!                      ├─► read-only ─► check out, all at once ─► look again ─┬─► checked out
//!                      │                                                      └─► skipped, and why
//!                      └─► held, no file, folder not writable ─────────────────► skipped, and why
//! ```
//! Whether a check-out worked is read from the file, not from what the tool says:
//! tools differ in their words and exit codes, and only the file decides whether it can be written.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;
use thumbforge_core::error::ErrorCode;

use super::write::held;
use command::Ran;

mod command;

/// How the team's version control makes a file writable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Vcs {
    /// Not at all: a read-only file is skipped.
    None,
    /// `p4 edit`, and `p4 add` for new files.
    P4,
    /// A command of the team, split into words as a shell does, but run without one.
    ///
    /// A word with `{path}` in it makes the command run once for each file; without, the files follow the words.
    Command(String),
}

impl From<&str> for Vcs {
    fn from(text: &str) -> Self {
        match text.trim() {
            "" | "none" => Self::None,
            "p4" => Self::P4,
            command => Self::Command(command.to_owned()),
        }
    }
}

/// How version control is called.
#[derive(Debug, Clone)]
pub struct Tools {
    /// The Perforce command line.
    pub p4: PathBuf,
    /// Where commands run; `P4CONFIG` is looked for from here.
    pub folder: PathBuf,
    /// How long one call may take.
    pub timeout: Duration,
}

impl Tools {
    /// `p4` of the search path, run in the project. Two minutes: a server that checks out thousands of files needs
    /// one, and a server that does not answer should not hold a build for longer.
    pub fn of(project: &Path) -> Self {
        Self { p4: "p4".into(), folder: project.to_owned(), timeout: Duration::from_secs(120) }
    }
}

/// Whether an output may be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// As it is.
    Writable,
    /// Since version control made it so.
    CheckedOut,
    /// No.
    Skipped {
        /// Why, and what to do.
        reason: String,
    },
}

/// Version control could not be asked at all.
#[derive(Debug, Error)]
pub enum VcsError {
    /// No such program.
    #[error("run {program:?}: there is no such program; install it, put it on the search path, or change `vcs`")]
    NoProgram {
        /// As it was called.
        program: String,
    },
    /// It would not start, or its answer could not be read.
    #[error("run {program:?}")]
    Run {
        /// As it was called.
        program: String,
        /// As the system says it.
        #[source]
        err: io::Error,
    },
    /// It did not end.
    #[error(
        "run {program:?}: it did not end within {} seconds; see whether its server answers",
        timeout.as_secs()
    )]
    TimedOut {
        /// As it was called.
        program: String,
        /// How long it was given.
        timeout: Duration,
    },
    /// An open quote, or nothing.
    #[error("read the `vcs` command {command:?}: {why}")]
    Words {
        /// As it was written.
        command: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// New files were not taken.
    #[error("add new files with {program:?}: it said {said:?}; add them by hand")]
    NotAdded {
        /// As it was called.
        program: String,
        /// The first line of its answer.
        said: String,
    },
}

impl VcsError {
    /// The stable code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Words { .. } => ErrorCode::InvalidManifest,
            _ => ErrorCode::VersionControl,
        }
    }
}

/// Settles for each output, in order, whether it may be written; checks out what has to be.
///
/// # Errors
/// [`VcsError`] when version control is needed and cannot be asked.
pub fn settle(outputs: &[PathBuf], vcs: &Vcs, tools: &Tools) -> Result<Vec<(PathBuf, Settled)>, VcsError> {
    let mut folders = Folders::default();
    let looks: Vec<Look> = outputs.iter().map(|output| look(output, &mut folders)).collect();
    let read_only: Vec<&Path> = outputs
        .iter()
        .zip(&looks)
        .filter(|(_, look)| matches!(look, Look::ReadOnly))
        .map(|(output, _)| output.as_path())
        .collect();
    let said = if read_only.is_empty() { String::new() } else { check_out(&read_only, vcs, tools)? };
    let said = Said::of(&said);
    let settled = outputs.iter().zip(looks).map(|(output, seen)| {
        let settled = match seen {
            Look::Writable => Settled::Writable,
            Look::Blocked(reason) => Settled::Skipped { reason },
            Look::ReadOnly if *vcs == Vcs::None => Settled::Skipped {
                reason: "it is read-only; make it writable, or say with `vcs` how it is checked out".to_owned(),
            },
            Look::ReadOnly => match look(output, &mut folders) {
                Look::Writable => Settled::CheckedOut,
                Look::Blocked(reason) => Settled::Skipped { reason },
                Look::ReadOnly => Settled::Skipped { reason: said.refusal(output) },
            },
        };
        (output.clone(), settled)
    });
    Ok(settled.collect())
}

/// Tells version control of new files, after they were written.
///
/// Only Perforce needs it: `p4 edit` of the next run does not know a file that was never added.
///
/// # Errors
/// [`VcsError`]; the files are written whatever it says.
pub fn announce(new: &[PathBuf], vcs: &Vcs, tools: &Tools) -> Result<(), VcsError> {
    if *vcs != Vcs::P4 || new.is_empty() {
        return Ok(());
    }
    // -f takes the names as they are, with characters that are wildcards elsewhere.
    let ran = p4(&["add", "-f"], new.iter().map(PathBuf::as_path), |path| path.to_owned(), tools)?;
    if ran.succeeded {
        return Ok(());
    }
    let said = ran.said.lines().next().unwrap_or_default().to_owned();
    Err(VcsError::NotAdded { program: tools.p4.display().to_string(), said })
}

fn check_out(paths: &[&Path], vcs: &Vcs, tools: &Tools) -> Result<String, VcsError> {
    match vcs {
        Vcs::None => Ok(String::new()),
        Vcs::P4 => p4(&["edit"], paths.iter().copied(), p4_escaped, tools).map(|ran| ran.said),
        Vcs::Command(line) => {
            let words = command::words(line).map_err(|why| VcsError::Words { command: line.clone(), why })?;
            let mut said = String::new();
            for call in command::calls(&words, paths) {
                said.push_str(&command::run(&call, None, tools)?.said);
            }
            Ok(said)
        }
    }
}

/// One call for all files, named on its standard input: thousands do not fit on a command line.
fn p4<'a>(
    verb: &[&str],
    paths: impl Iterator<Item = &'a Path>,
    escape: impl Fn(&str) -> String,
    tools: &Tools,
) -> Result<Ran, VcsError> {
    let mut call = vec![tools.p4.clone().into_os_string()];
    call.extend(["-x", "-"].iter().chain(verb).map(|word| (*word).into()));
    let mut input = String::new();
    for path in paths {
        // A line is a name; what has a line break or is no text cannot be said, stays read-only, and is skipped.
        if let Some(path) = path.to_str().filter(|path| !path.contains(['\n', '\r'])) {
            input.push_str(&escape(path));
            input.push('\n');
        }
    }
    command::run(&call, Some(input), tools)
}

/// Perforce gives these characters a meaning in file arguments.
fn p4_escaped(path: &str) -> String {
    path.replace('%', "%25").replace('@', "%40").replace('#', "%23").replace('*', "%2A")
}

/// What a tool said, found by the file that it spoke of; thousands of files are asked about.
struct Said<'a> {
    lines: HashMap<&'a str, &'a str>,
    first: Option<&'a str>,
}

impl<'a> Said<'a> {
    /// Perforce writes `PATH#REVISION - MESSAGE` or `PATH - MESSAGE`; the path may be that of the depot.
    fn of(said: &'a str) -> Self {
        let mut lines = HashMap::new();
        let spoken = said.lines().map(str::trim).filter(|line| !line.is_empty());
        for line in spoken.clone() {
            let Some((file, _)) = line.split_once(" - ") else { continue };
            let file = match file.rsplit_once('#') {
                Some((path, revision)) if revision.bytes().all(|byte| byte.is_ascii_digit()) => path,
                _ => file,
            };
            lines.entry(file).or_insert(line);
            lines.entry(file.rsplit(['/', '\\']).next().unwrap_or(file)).or_insert(line);
        }
        Self { lines, first: spoken.clone().next() }
    }

    /// Why the file is still read-only.
    fn refusal(&self, output: &Path) -> String {
        let of = |name: Option<&str>| name.and_then(|name| self.lines.get(name));
        let name = output.file_name().and_then(|name| name.to_str());
        match of(output.to_str()).or_else(|| of(name)).or(self.first.as_ref()) {
            Some(line) => format!("it is still read-only after checking it out: {line}"),
            None => "it is still read-only after checking it out, and version control did not say why".to_owned(),
        }
    }
}

/// What a look at one output says.
enum Look {
    Writable,
    ReadOnly,
    Blocked(String),
}

fn look(output: &Path, folders: &mut Folders) -> Look {
    let blocked = |reason: &str| Look::Blocked(reason.to_owned());
    match output.symlink_metadata() {
        Err(err) if err.kind() == io::ErrorKind::NotFound => match folders.obstacle(output.parent()) {
            None => Look::Writable,
            Some(reason) => Look::Blocked(reason),
        },
        Err(err) => Look::Blocked(format!("it cannot be looked at: {err}")),
        Ok(metadata) if metadata.is_dir() => blocked("a folder lies there; move it away"),
        Ok(metadata) if !metadata.is_file() => blocked("a link or a device lies there; remove it"),
        // Perforce and Git LFS mark files so; a superuser could write them all the same, and should not.
        Ok(metadata) if metadata.permissions().readonly() => Look::ReadOnly,
        Ok(_) => match std::fs::OpenOptions::new().write(true).open(output) {
            // Opened without truncating, and closed: the file is as it was. Its folder must take a temporary file.
            Ok(_) => folders.obstacle(output.parent()).map_or(Look::Writable, Look::Blocked),
            Err(err) if held(&err) => blocked("another program holds it; close that program"),
            Err(err) if err.kind() == io::ErrorKind::PermissionDenied => {
                blocked("permission denied; give this user the right to write it")
            }
            Err(err) => Look::Blocked(format!("it cannot be opened for writing: {err}")),
        },
    }
}

/// Folders, each tried once.
#[derive(Default)]
struct Folders {
    tried: HashMap<PathBuf, Option<String>>,
}

impl Folders {
    /// Why no file can be made in the folder, or in the nearest one above that is there.
    fn obstacle(&mut self, folder: Option<&Path>) -> Option<String> {
        let folder = folder.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if let Some(known) = self.tried.get(folder) {
            return known.clone();
        }
        let obstacle = match folder.metadata() {
            Ok(metadata) if !metadata.is_dir() => Some(format!("{} is a file, not a folder", folder.display())),
            Ok(_) => probe(folder),
            Err(err) if err.kind() == io::ErrorKind::NotFound && folder.parent().is_some() => {
                self.obstacle(folder.parent())
            }
            Err(err) => Some(format!("the folder {} cannot be looked at: {err}", folder.display())),
        };
        self.tried.insert(folder.to_owned(), obstacle.clone());
        obstacle
    }
}

/// Making a file is the only question that every file system answers truthfully.
fn probe(folder: &Path) -> Option<String> {
    let prefix = format!(".thumbforge-{}-", std::process::id());
    match tempfile::Builder::new().prefix(&prefix).suffix(".tmp").tempfile_in(folder) {
        Ok(_) => None,
        Err(err) => {
            // The library adds the path to its message; the cause is enough.
            let cause = io::Error::from(err.kind());
            Some(format!("no file can be made in {}: {cause}; choose another place or mend it", folder.display()))
        }
    }
}

#[cfg(test)]
mod tests;
