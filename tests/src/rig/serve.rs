//! A sidecar as a process that listens.

use std::process::Command;
use std::time::{Duration, Instant};

use super::{Client, PATIENCE, Process, Ran, Signal, process, wait_for};

/// A running `serve`.
pub struct Sidecar {
    process: Option<Process>,
    /// The port that it listens on.
    pub port: u16,
    /// From its start to the first answer of `/healthz`.
    pub ready: Duration,
}

impl Sidecar {
    pub(super) fn start(command: Command) -> Self {
        let began = Instant::now();
        let mut process = Process::start(command);
        let address = process.line("listening on http://127.0.0.1:");
        let port = address.trim().parse().expect("a port");
        let mut client = Client::new(port);
        wait_for("the first answer", PATIENCE, || client.get("/healthz").ok().filter(|answer| answer.status == 200));
        Self { process: Some(process), port, ready: began.elapsed() }
    }

    /// A client of its own connection.
    pub fn client(&self) -> Client {
        Client::new(self.port)
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("it runs until it is ended")
    }

    /// Memory it holds now (Linux).
    pub fn resident_kib(&mut self) -> Option<u64> {
        process::memory_kib(self.process().id(), "VmRSS:")
    }

    /// Ends it with `signal` and waits.
    pub fn end(mut self, signal: Signal) -> Ran {
        let mut process = self.process.take().expect("it runs until it is ended");
        process.signal(signal);
        process.ended()
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.signal(Signal::Kill);
            let _ = process.ended();
        }
    }
}
