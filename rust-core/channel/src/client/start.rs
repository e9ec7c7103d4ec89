//! Starting a sidecar, and telling which of two builds is newer.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::sync::Mutex;

use super::Start;
use crate::sys;

/// Minutes without client and job after which a sidecar that an editor started ends by itself: longer than a domain
/// reload or an upgrade takes, shorter than anybody would want memory held for nothing.
const IDLE_EXIT_SECONDS: u32 = 300;

/// Sidecars of sessions that were closed. They live on for other clients; what has ended is reaped with the next.
static LEFT_RUNNING: Mutex<Vec<Child>> = Mutex::new(Vec::new());

/// A sidecar that this session started.
pub(super) struct Started {
    child: Option<Child>,
}

impl Started {
    /// Starts the program on a data directory.
    pub(super) fn new(program: &Path, args: &[std::ffi::OsString], data_dir: &Path) -> io::Result<Self> {
        let mut command = Command::new(program);
        // No port is opened unless the caller asks for one.
        let silent = (!args.iter().any(|arg| arg == "--port")).then_some("--no-http");
        command
            .args(["serve", "--detached"])
            .args(silent)
            .arg("--idle-exit")
            .arg(IDLE_EXIT_SECONDS.to_string())
            .arg("--data-dir")
            .arg(data_dir)
            .arg("--log")
            .arg(log_of(data_dir))
            .args(args)
            // A folder of the project would be held on to.
            .current_dir(data_dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        sys::detached(&mut command);
        Ok(Self { child: Some(command.spawn()?) })
    }

    /// Whether it has ended; what it ended with, in words.
    pub(super) fn ended(&mut self) -> Option<String> {
        let status = self.child.as_mut()?.try_wait().ok()??;
        self.child = None;
        Some(status.to_string())
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let mut left = LEFT_RUNNING.lock();
        left.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
        left.extend(self.child.take());
    }
}

/// Where a sidecar that an editor started writes what it has to say.
pub(super) fn log_of(data_dir: &Path) -> PathBuf {
    data_dir.join("sidecar.log")
}

/// The program of a session that starts one.
pub(super) fn program(start: &Start) -> Option<(&Path, &[std::ffi::OsString])> {
    match start {
        Start::Never => None,
        Start::With { program, args } => Some((program, args)),
    }
}

/// Whether version `a` comes before version `b`; words that are no versions come before nothing.
pub(super) fn is_older(a: &str, b: &str) -> bool {
    let parse = |text: &str| -> Option<[u64; 3]> {
        let mut numbers = text.split(['-', '+']).next()?.split('.').map(|part| part.parse().ok());
        Some([numbers.next()??, numbers.next()??, numbers.next()??])
    };
    matches!((parse(a), parse(b)), (Some(a), Some(b)) if a < b)
}

#[cfg(test)]
mod tests {
    use super::is_older;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert!(is_older("0.9.0", "0.10.0"));
        assert!(is_older("0.1.0", "1.0.0-beta"));
        assert!(!is_older("1.0.0", "1.0.0"));
        assert!(!is_older("2.0.0", "1.9.9"));
        assert!(!is_older("unknown", "1.0.0"));
    }
}
