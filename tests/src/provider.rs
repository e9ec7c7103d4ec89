//! A provider of pictures for suites, processes and benchmarks: a real HTTP server on this machine that speaks every
//! dialect which the adapters speak, misbehaves as a script says, and remembers what it was asked and what it billed.
//!
//! ```text
//! socket ─► server (hyper) ─► Recorded ─► the first Rule that fits ─► Answer: the dialect's own, or the script's
//!                                                                       │ made and billed ─► Book
//!                                                                       ▼
//!                                           Delivery: whole, in pieces, cut, reset, never, garbage
//! ```
//! It runs on a thread of its own, so tests without a runtime use it too. Nothing here sleeps for a test's sake: slow
//! answers wait at a [`Gate`] that the test opens.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

mod book;
mod control;
mod dialect;
pub mod lettering;
pub mod picture;
mod record;
mod rule;
mod server;

#[cfg(test)]
mod tests;

pub use book::{Book, Charge};
pub use lettering::{Lettered, Lettering};
pub use record::{Field, Payload, Recorded};
pub use rule::{Act, Answer, Delivery, Gate, Reply, Rule};

/// Requests that are remembered; the oldest are forgotten first, so that a benchmark's million costs no memory.
const RECORDED_MAX: usize = 20_000;

/// How a provider behaves where no rule says otherwise.
#[derive(Debug, Clone)]
pub struct Options {
    /// Port to listen on; 0 for any that is free.
    pub port: u16,
    /// The key that every dialect asks for, in its own header; without one nobody is asked.
    pub key: Option<String>,
    /// Size of every picture, whatever is asked.
    pub size: Option<(u32, u32)>,
    /// Least length of a picture in bytes; shorter ones are padded with an ancillary chunk that decoders skip.
    pub picture_bytes: usize,
    /// How long a picture takes.
    pub latency: Duration,
    /// Polls that find a call still at work, before one finds it done.
    pub polls: u32,
    /// Whether pictures of OpenAI's dialect come as addresses though base64 was asked for, as small servers do it.
    pub urls: bool,
    /// Whether requests are remembered; benchmarks do without.
    pub record: bool,
    /// Whether the words that prompts quote are drawn, and how well; absent means pictures without any.
    pub lettering: Option<Lettering>,
}

impl Options {
    /// As tests want it: any port, no key, pictures at once and of the asked size.
    pub fn plain() -> Self {
        Self {
            port: 0,
            key: None,
            size: None,
            picture_bytes: 0,
            latency: Duration::ZERO,
            polls: 1,
            urls: false,
            record: true,
            lettering: None,
        }
    }
}

/// What the threads of one provider share.
struct Shared {
    options: Options,
    began: Instant,
    address: Mutex<Option<SocketAddr>>,
    rules: Mutex<Vec<rule::Standing>>,
    recorded: Mutex<VecDeque<Arc<Recorded>>>,
    requests: AtomicU64,
    book: Mutex<Book>,
    works: Mutex<dialect::Works>,
}

impl Shared {
    fn origin(&self) -> String {
        lock(&self.address).map(|address| format!("http://{address}")).unwrap_or_default()
    }
}

/// A mutex that a panicked test has not made useless.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// A running provider; it ends with this value.
pub struct Provider {
    shared: Arc<Shared>,
    running: Option<Running>,
}

struct Running {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Provider {
    /// One that answers everything well.
    ///
    /// # Panics
    /// Where no port can be had.
    pub fn start() -> Self {
        Self::with(Options::plain())
    }

    /// One with `options`.
    ///
    /// # Panics
    /// Where the port cannot be had.
    pub fn with(options: Options) -> Self {
        let shared = Arc::new(Shared {
            options,
            began: Instant::now(),
            address: Mutex::new(None),
            rules: Mutex::default(),
            recorded: Mutex::default(),
            requests: AtomicU64::new(0),
            book: Mutex::default(),
            works: Mutex::default(),
        });
        let mut provider = Self { shared, running: None };
        provider.resume();
        provider
    }

    /// Where it listens, as `http://127.0.0.1:PORT`, also while it is stopped.
    pub fn origin(&self) -> String {
        self.shared.origin()
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        lock(&self.shared.address).map(|address| address.port()).unwrap_or_default()
    }

    /// Adds a rule behind those that there are.
    pub fn rule(&self, rule: Rule) -> &Self {
        lock(&self.shared.rules).push(rule::Standing::new(rule));
        self
    }

    /// Forgets every rule.
    pub fn well(&self) {
        lock(&self.shared.rules).clear();
    }

    /// Requests so far, in the order in which their bodies were complete; the newest 20,000.
    pub fn requests(&self) -> Vec<Arc<Recorded>> {
        lock(&self.shared.recorded).iter().cloned().collect()
    }

    /// The newest request.
    ///
    /// # Panics
    /// Where there was none.
    pub fn last(&self) -> Arc<Recorded> {
        lock(&self.shared.recorded).back().cloned().expect("a request")
    }

    /// How many requests there were.
    pub fn count(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// What it made and billed.
    pub fn book(&self) -> Book {
        lock(&self.shared.book).clone()
    }

    /// Ends it: connections break, new ones are refused. What it knows stays.
    pub fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            // The thread may have ended by a panic, which `join` tells.
            let _ = running.stop.send(());
            running.thread.join().expect("the provider's thread");
        }
    }

    /// Listens again, on the same port. Calls that were at work are forgotten where the real server keeps them in memory.
    ///
    /// # Panics
    /// Where the port was taken meanwhile.
    pub fn resume(&mut self) {
        if self.running.is_some() {
            return;
        }
        let port = lock(&self.shared.address).map_or(self.shared.options.port, |address| address.port());
        let listener = std::net::TcpListener::bind(("127.0.0.1", port)).expect("a port");
        listener.set_nonblocking(true).expect("a socket that does not block");
        *lock(&self.shared.address) = Some(listener.local_addr().expect("an address"));
        let (stop, stopped) = oneshot::channel();
        let shared = self.shared.clone();
        let thread = std::thread::Builder::new()
            .name("provider".into())
            .spawn(move || server::run(listener, shared, stopped))
            .expect("a thread");
        self.running = Some(Running { stop, thread });
    }

    /// Forgets calls that are at work or done, as a restart does with servers that keep them in memory.
    pub fn forget(&self) {
        lock(&self.shared.works).clear();
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            let _ = running.stop.send(());
            let _ = running.thread.join();
        }
    }
}
