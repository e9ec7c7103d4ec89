//! The sidecar's end: it listens, greets, and hands what clients ask to its [`Host`].
//!
//! ```text
//! accept ─► greeting (user, protocol, project) ─► Host::welcome ─► Guest ◄─ submit, provide, command, cancel
//!                                                                    └────► Client: progress, complete
//! ```
//! A thread listens, and one thread a client waits on its socket. A client that is silent, slow, or hostile holds up its
//! own thread and nobody else's; what it has in flight and in texture memory is bounded.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::sync::Mutex;
use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::id::RequestKey;
use thumbforge_core::limits;
use thumbforge_core::wire::frame::{self, Kind};
use thumbforge_core::wire::hello::{Drain, Hello, Refused};
pub use thumbforge_core::wire::message::DETAIL_BYTES_MAX;
use thumbforge_core::wire::message::Request;
use thumbforge_core::wire::{PROTOCOL, Protocol};

use crate::BUILD;
use crate::inbox::Inbox;
use crate::sys::{Address, Listener, Stream};
use peer::Peer;

mod peer;
mod slot;

pub use peer::{Client, Reply};
pub use slot::{Gone, Reservation, Slot};

/// How long a client may take over its greeting: an editor greets in the same breath as it connects.
const GREETING_MAX: Duration = Duration::from_secs(5);
/// A pause after the system gave no connection (out of descriptors), so as not to spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The sidecar, as the channel sees it.
pub trait Host: Send + Sync + 'static {
    /// A client greets. Whoever is returned hears of what it asks; `client` is the way back.
    ///
    /// # Errors
    /// Why it is not let in; the client is told.
    fn welcome(&self, hello: &Hello, client: Client) -> Result<Arc<dyn Guest>, Failure>;
    /// A newer build asks the sidecar to finish what runs and to end.
    fn drain(&self, build: &str);
}

/// One client, as the sidecar sees it. Calls come from the client's thread, one at a time, and must not wait.
pub trait Guest: Send + Sync {
    /// A job, to be answered once with [`Client::complete`]. The same key may come again after a crash of either side.
    fn submit(&self, number: u64, key: RequestKey, request: Request<'_>);
    /// A file to keep, to be answered once.
    fn provide(&self, number: u64, path: PathBuf);
    /// Something that the command line can do, to be answered once. The same key may come again, also while what came
    /// under it still runs. Nobody has looked into `json`.
    fn command(&self, number: u64, key: RequestKey, json: &[u8]);
    /// A job or a command is taken back; it is answered all the same.
    fn cancel(&self, number: u64);
    /// The client is gone. Its jobs and commands go on.
    fn gone(&self);
}

/// How the server is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// The version that it says it is.
    pub build: String,
    /// Whether it offers shared memory; without, everything travels through the socket.
    pub shared_memory: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { build: BUILD.to_owned(), shared_memory: true }
    }
}

/// A server that runs.
pub struct Serving {
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    listener: Listener,
    host: Arc<dyn Host>,
    options: Options,
    closing: AtomicBool,
    clients: Mutex<Vec<Connected>>,
}

struct Connected {
    stream: Arc<Stream>,
    thread: JoinHandle<()>,
    greeted: Arc<AtomicBool>,
}

/// Listens for the clients of a data directory, whose lock the caller holds.
///
/// # Errors
/// When the system gives no socket or thread.
pub fn serve(data_dir: &Path, host: Arc<dyn Host>, options: Options) -> io::Result<Serving> {
    let listener = Listener::bind(&Address::of(data_dir)?)?;
    let shared =
        Arc::new(Shared { listener, host, options, closing: AtomicBool::new(false), clients: Mutex::new(Vec::new()) });
    let accepting = shared.clone();
    let acceptor = std::thread::Builder::new().name("channel-accept".to_owned()).spawn(move || accepting.accept())?;
    Ok(Serving { shared, acceptor: Some(acceptor) })
}

/// Lets go of what the process that started this one left open in it: an editor's ports and files are not a sidecar's to
/// keep. Only for a process that has opened nothing yet but its standard streams.
pub fn close_inherited() {
    crate::sys::close_inherited();
}

impl Serving {
    /// Clients that have greeted and are still there.
    pub fn clients(&self) -> usize {
        let clients = self.shared.clients.lock();
        clients.iter().filter(|client| client.greeted.load(Ordering::Relaxed) && !client.thread.is_finished()).count()
    }

    /// Lets nobody in any more and gives the address up; connections stay. To be called while the data directory is
    /// still the caller's: the next who owns it takes the same address.
    pub fn stop_listening(&self) {
        if !self.shared.closing.swap(true, Ordering::AcqRel) {
            self.shared.listener.close();
        }
    }

    /// Ends every connection and waits for the threads.
    pub fn close(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.stop_listening();
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        let clients = std::mem::take(&mut *self.shared.clients.lock());
        for client in &clients {
            client.stream.close();
        }
        for client in clients {
            let _ = client.thread.join();
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.end();
    }
}

/// Closes a stream in the end, whatever that is: others hold it too, and its client waits for that.
struct HungUp(Arc<Stream>);

impl Drop for HungUp {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Shared {
    fn accept(self: Arc<Self>) {
        while !self.closing.load(Ordering::Acquire) {
            match self.listener.accept() {
                Ok(stream) => self.clone().admit(Arc::new(stream)),
                Err(err) if err.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(err) if err.kind() == io::ErrorKind::PermissionDenied => {}
                Err(_) => std::thread::park_timeout(ACCEPT_PAUSE),
            }
        }
    }

    fn admit(self: Arc<Self>, stream: Arc<Stream>) {
        let mut clients = self.clients.lock();
        clients.retain(|client| !client.thread.is_finished());
        if clients.len() >= limits::CLIENTS_MAX {
            let message = format!("failed to connect: {} clients are connected already", limits::CLIENTS_MAX);
            refuse(&stream, &self.options.build, &Failure::new(ErrorCode::QueueFull, message));
            return;
        }
        let (talking, shared, greeted) = (stream.clone(), self.clone(), Arc::new(AtomicBool::new(false)));
        let seen = greeted.clone();
        let thread = std::thread::Builder::new().name("channel-client".to_owned()).spawn(move || {
            let talking = HungUp(talking);
            shared.converse(&talking.0, &seen);
        });
        // Without a thread the stream is dropped, and the client tries again later.
        if let Ok(thread) = thread {
            clients.push(Connected { stream, thread, greeted });
        }
    }

    /// One client from its greeting to its end.
    fn converse(&self, stream: &Arc<Stream>, greeted: &AtomicBool) {
        let mut inbox = Inbox::new(stream.clone());
        let Ok(hello) = self.greeting(&mut inbox) else { return };
        let shared_memory = self.options.shared_memory && hello.shared;
        let (peer, memory) = match Peer::prepare(stream.clone(), &hello, shared_memory) {
            Ok(prepared) => prepared,
            Err(err) => {
                let failure = Failure::new(ErrorCode::Internal, format!("failed to set up a connection: {err}"));
                refuse(stream, &self.options.build, &failure);
                return;
            }
        };
        match self.host.welcome(&hello, Client::of(&peer)) {
            Ok(guest) => {
                if peer.welcome(&self.options.build, memory.as_ref()).is_err() {
                    peer.end();
                    guest.gone();
                    return;
                }
                drop(memory);
                greeted.store(true, Ordering::Relaxed);
                peer.run(&mut inbox, guest);
            }
            Err(failure) => {
                refuse(stream, &self.options.build, &failure);
                peer.end();
            }
        }
    }

    /// Waits for a greeting that this build understands; answers every other one.
    fn greeting(&self, inbox: &mut Inbox) -> Result<Hello, ()> {
        let (kind, payload) = inbox.next(Some(GREETING_MAX)).map_err(|_| ())?.ok_or(())?;
        match kind {
            Kind::Hello => {
                let (protocol, build) = Hello::head(&payload).map_err(|_| ())?;
                if Protocol::from_number(protocol).is_none() {
                    let message = format!(
                        "failed to talk to Thumbforge {build}: it speaks protocol {protocol}, this sidecar ({}) speaks {}; \
                         restart the older of the two",
                        self.options.build, PROTOCOL as u16
                    );
                    refuse(&inbox.stream, &self.options.build, &Failure::new(ErrorCode::VersionMismatch, message));
                    return Err(());
                }
                Hello::decode(&payload).map_err(|err| {
                    let failure = Failure::new(ErrorCode::InvalidRequest, format!("failed to {err}"));
                    refuse(&inbox.stream, &self.options.build, &failure);
                })
            }
            Kind::Drain => {
                if let Ok(drain) = Drain::decode(&payload) {
                    self.host.drain(&drain.build);
                    // The connection stays until this process ends: its end is the answer.
                    while let Ok(Some(_)) = inbox.next(None) {}
                }
                Err(())
            }
            _ => Err(()),
        }
    }
}

fn refuse(stream: &Stream, build: &str, failure: &Failure) {
    let refused = Refused {
        code: failure.code.number(),
        message: failure.message.clone(),
        protocol: PROTOCOL as u16,
        build: build.to_owned(),
    };
    // A client that has gone needs no answer.
    let _ = stream.send(&frame::encode(Kind::Refused, &refused.encode()), None);
}
