//! The rig: a folder of its own for each test, and the real binary run in it as people run it.
//!
//! ```text
//! Rig (temp folder) ─┬─ run(args)  ─► Ran      a command that ends
//!                    ├─ start(args) ─► Process a command that a test interrupts or kills
//!                    └─ serve(args) ─► Sidecar a process that listens; Client speaks HTTP to it
//! ```
//! Every call names `--data-dir`, so no test touches the user's own, and every call has an end.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use thumbforge_sidecar::market::kind::Kind;

pub mod editor;
pub mod http;
pub mod journal;
pub mod process;
pub mod serve;

pub use http::{Client, Response};
pub use journal::Figures;
pub use process::{Process, Signal};
pub use serve::Sidecar;

/// How long a command may take before the test holds that it hangs: CI machines are slow, but not this slow.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// Waits until `condition` gives something; the only place in the suites that waits.
///
/// # Panics
/// After `bound`, naming `what` did not come.
pub fn wait_for<T>(what: &str, bound: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(began.elapsed() < bound, "waited {bound:?} for {what}");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// A test's own folder, gone when it ends.
pub struct Rig {
    binary: PathBuf,
    folder: tempfile::TempDir,
    environment: Vec<(String, OsString)>,
}

impl Rig {
    /// A fresh folder for `binary`, which a suite names with `env!("CARGO_BIN_EXE_sidecar")`.
    pub fn new(binary: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("thumbforge-test-").tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("project")).expect("a project folder");
        Self { binary: PathBuf::from(binary), folder, environment: Vec::new() }
    }

    /// The same, with a variable in the environment of every command.
    pub fn with_variable(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// The test's folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Where the manifest lies.
    pub fn project(&self) -> PathBuf {
        self.path().join("project")
    }

    /// The data directory of calls that name no other.
    pub fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// The journal of the data directory.
    pub fn journal(&self) -> PathBuf {
        self.data().join("journal.sqlite")
    }

    /// Writes a file of the project, with the folders on its way.
    pub fn write(&self, relative: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.project().join(relative);
        fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        fs::write(&path, content).expect("a file");
        path
    }

    /// A file of the project.
    pub fn read(&self, relative: &str) -> Vec<u8> {
        let path = self.project().join(relative);
        fs::read(&path).unwrap_or_else(|err| panic!("{}: {err}", path.display()))
    }

    /// The command with the data directory and nothing of the user's environment that could matter.
    fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        let mut command = Command::new(&self.binary);
        command.current_dir(self.project()).env_remove("THUMBFORGE_LOG").env("HOME", self.path());
        // A developer's own keys must neither be spent nor seen, and a test is no CI unless it says so.
        let kinds = Kind::all().iter().filter_map(|kind| kind.variables.as_ref());
        let hubs = ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HOME", "HF_ENDPOINT", "XDG_CACHE_HOME"];
        let own = ["CI", "THUMBFORGE_WEIGHTS"];
        for name in kinds.flat_map(|variables| variables.names()).chain(own).chain(hubs) {
            command.env_remove(name);
        }
        // Pictures are the same wherever the suites run; who wants a card names it.
        command.env("THUMBFORGE_DEVICE", "cpu").env_remove("THUMBFORGE_VRAM_RESERVE");
        command.env("THUMBFORGE_CUBLASLT", "never");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.args(args);
        if !args.iter().any(|arg| arg.as_ref() == "--data-dir") {
            command.arg("--data-dir").arg(self.data());
        }
        command
    }

    /// Starts a command and leaves it running.
    pub fn start<S: AsRef<OsStr>>(&self, args: &[S]) -> Process {
        Process::start(self.command(args))
    }

    /// Runs a command to its end, in the project folder.
    pub fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> Ran {
        self.start(args).ended()
    }

    /// Starts `serve` on a free port and waits until it listens.
    pub fn serve(&self, args: &[&str]) -> Sidecar {
        let mut all = vec!["serve", "--port", "0"];
        all.extend(args);
        Sidecar::start(self.command(&all))
    }

    /// Every file of the project, by its relative path.
    pub fn snapshot(&self) -> BTreeMap<String, Vec<u8>> {
        snapshot(&self.project())
    }
}

/// Every file below `folder`, by its relative path with slashes.
pub fn snapshot(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(at) = folders.pop() {
        for entry in fs::read_dir(&at).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(path);
            } else {
                let relative = path.strip_prefix(folder).expect("below the folder").to_string_lossy();
                files.insert(relative.replace(std::path::MAIN_SEPARATOR, "/"), fs::read(&path).unwrap_or_default());
            }
        }
    }
    files
}

/// A command that has ended.
#[derive(Debug)]
pub struct Ran {
    /// Exit code; -1 when a signal ended it.
    pub code: i32,
    /// What scripts read.
    pub stdout: String,
    /// What people read.
    pub stderr: String,
    /// From start to end.
    pub took: Duration,
    /// Most memory it ever had, as last seen (Linux; 0 elsewhere).
    pub peak_kib: u64,
}

impl Ran {
    /// Itself, if it ended with `code`.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert!(!self.stderr.contains("panicked"), "a panic: {}", self.stderr);
        assert_eq!(self.code, code, "exit code; it said: {}{}", self.stderr, self.stdout);
        self
    }

    /// Itself, if people were told each of `words`.
    #[track_caller]
    pub fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is not in: {}", self.stderr);
        }
        self
    }

    /// Stdout as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|err| panic!("{err}: {:?} {}", self.stdout, self.stderr))
    }
}
