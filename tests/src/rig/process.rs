//! A running process whose words are gathered while it runs, and that a test can kill.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

use super::{PATIENCE, Ran, wait_for};

/// What a test sends to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// What a service manager sends.
    Terminate,
    /// What nobody can catch.
    Kill,
    /// It stands still, and nobody can see why.
    Stop,
    /// It goes on.
    Continue,
}

/// A process; one that a test leaves behind is killed.
pub struct Process {
    child: Child,
    began: Instant,
    stdout: JoinHandle<String>,
    stderr: JoinHandle<()>,
    said: Arc<Mutex<String>>,
    peak_kib: u64,
}

impl Process {
    pub(super) fn start(mut command: Command) -> Self {
        let began = Instant::now();
        let mut child = command.spawn().expect("the binary starts");
        let mut out = child.stdout.take().expect("a pipe");
        let err = child.stderr.take().expect("a pipe");
        let said = Arc::new(Mutex::new(String::new()));
        let heard = said.clone();
        let stdout = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            // A pipe that breaks ends the text.
            let _ = out.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        let stderr = std::thread::spawn(move || {
            for line in BufReader::new(err).split(b'\n').map_while(Result::ok) {
                let mut heard = heard.lock().expect("the reader alone writes");
                heard.push_str(&String::from_utf8_lossy(&line));
                heard.push('\n');
            }
        });
        Self { child, began, stdout, stderr, said, peak_kib: 0 }
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has told people so far.
    pub fn said(&self) -> String {
        self.said.lock().expect("the reader alone writes").clone()
    }

    /// The first line on stderr that begins with `prefix`, without it.
    ///
    /// # Panics
    /// When the process ends first.
    pub fn line(&mut self, prefix: &str) -> String {
        wait_for(&format!("a line that begins with {prefix:?}"), PATIENCE, || {
            let said = self.said();
            let found = said.lines().find_map(|line| line.strip_prefix(prefix)).map(str::to_owned);
            if found.is_none() && self.has_ended() {
                // What it said last may still be in the pipe.
                wait_for("its last words", PATIENCE, || self.stderr.is_finished().then_some(()));
                let said = self.said();
                let found = said.lines().find_map(|line| line.strip_prefix(prefix)).map(str::to_owned);
                assert!(found.is_some(), "it ended without a line {prefix:?}: {said}");
                return found;
            }
            found
        })
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child of ours").is_some()
    }

    /// Sends a signal. One that has ended already hears nothing.
    pub fn signal(&mut self, signal: Signal) {
        if signal == Signal::Kill {
            let _ = self.child.kill();
            return;
        }
        #[cfg(unix)]
        {
            use rustix::process::{Pid, Signal as Unix, kill_process};
            let pid = Pid::from_raw(self.child.id() as i32).expect("a process number");
            let unix = match signal {
                Signal::Interrupt => Unix::INT,
                Signal::Stop => Unix::STOP,
                Signal::Continue => Unix::CONT,
                Signal::Terminate | Signal::Kill => Unix::TERM,
            };
            let _ = kill_process(pid, unix);
        }
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not come within [`PATIENCE`]; the process is killed first.
    pub fn ended(mut self) -> Ran {
        let status = wait_for("a command to end", PATIENCE, || {
            self.peak_kib = memory_kib(self.child.id(), "VmHWM:").unwrap_or(self.peak_kib);
            let status = self.child.try_wait().expect("a child of ours");
            if status.is_none() && self.began.elapsed() > PATIENCE {
                let _ = self.child.kill();
            }
            status
        });
        let took = self.began.elapsed();
        let stdout = self.stdout.join().expect("the reader of stdout");
        self.stderr.join().expect("the reader of stderr");
        let stderr = self.said.lock().expect("the reader alone writes").clone();
        Ran { code: status.code().unwrap_or(-1), stdout, stderr, took, peak_kib: self.peak_kib }
    }
}

/// A line of a process's status, where the system tells (Linux).
pub fn memory_kib(process: u32, name: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix(name))?.trim().trim_end_matches(" kB").trim().parse().ok()
}
