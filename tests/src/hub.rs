//! A hub of weights for suites: a real HTTP server on this machine, with a store on another port, that misbehaves as a
//! script says and remembers what it was asked and how many bytes it gave.
//!
//! ```text
//! hub    GET /api/models/OWNER/NAME/revision/REV ─► listing      GET /OWNER/NAME/resolve/COMMIT/FILE ─► 302 to the store
//! store  GET /content/OWNER/NAME/FILE            ─► bytes, whole or a range
//! ```
//! It writes HTTP by hand, since what it is for are answers that no server library would give.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Bytes that are written at once.
const PIECE: usize = 16 << 10;

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Whether the store was asked, and not the hub.
    pub store: bool,
    /// The path, without a query.
    pub path: String,
    /// The whole first line.
    pub line: String,
    /// The range, as `(first, behind the last)`.
    pub range: Option<(u64, u64)>,
    /// What stands in `Authorization`.
    pub token: Option<String>,
    /// How many requests came before it.
    pub number: usize,
}

/// How a request is answered.
#[derive(Debug, Clone)]
pub enum Act {
    /// As a good hub does.
    Well,
    /// With these words, headers with their line ends and a body among them.
    Raw(Vec<u8>),
    /// Well, and the connection ends after so many bytes of the body.
    Cut(usize),
    /// Well, but as if no range had been asked for; it ends after so many bytes of the body.
    Whole(usize),
    /// Well, but with another name for the content.
    Tagged(String),
    /// Well, but with these bytes as if they were the file.
    Bytes(Vec<u8>),
}

impl Act {
    /// A status with headers and no body.
    pub fn status(status: u16, headers: &str) -> Self {
        Self::Raw(
            format!("HTTP/1.1 {status} x\r\n{headers}content-length: 0\r\nconnection: close\r\n\r\n").into_bytes(),
        )
    }
}

/// A repository.
#[derive(Debug, Clone, Default)]
pub struct Repo {
    /// Its files.
    pub files: BTreeMap<String, Vec<u8>>,
    /// What its card says.
    pub card: Value,
    /// Files that are told without a hash, as small ones are.
    pub small: Vec<String>,
    /// The token that it wants.
    pub token: Option<String>,
}

type Script = Box<dyn FnMut(&Asked) -> Act + Send>;

struct Shared {
    hub: SocketAddr,
    store: SocketAddr,
    repos: Mutex<BTreeMap<String, Repo>>,
    script: Mutex<Script>,
    asked: Mutex<VecDeque<Asked>>,
    /// Bytes of files that went out, and how many may.
    gave: Mutex<Gave>,
    changed: Condvar,
}

struct Gave {
    bytes: u64,
    most: u64,
    held: usize,
    over: bool,
}

/// A running hub; it ends with this value.
pub struct Hub {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Hub {
    /// A hub without a repository.
    ///
    /// # Panics
    /// Where no port can be had.
    pub fn start() -> Self {
        let (hub, store) = (listen(), listen());
        let shared = Arc::new(Shared {
            hub: hub.local_addr().expect("an address"),
            store: store.local_addr().expect("an address"),
            repos: Mutex::default(),
            script: Mutex::new(Box::new(|_| Act::Well)),
            asked: Mutex::default(),
            gave: Mutex::new(Gave { bytes: 0, most: u64::MAX, held: 0, over: false }),
            changed: Condvar::new(),
        });
        let threads = [(hub, false), (store, true)].map(|(listener, is_store)| {
            let shared = shared.clone();
            std::thread::spawn(move || accept(&listener, is_store, &shared))
        });
        Self { shared, threads: threads.into() }
    }

    /// Its address.
    pub fn origin(&self) -> String {
        format!("http://{}", self.shared.hub)
    }

    /// Puts a repository there, or another one in its place.
    pub fn put(&self, name: &str, repo: Repo) {
        lock(&self.shared.repos).insert(name.to_owned(), repo);
    }

    /// Answers as `script` says from now on.
    pub fn script(&self, script: impl FnMut(&Asked) -> Act + Send + 'static) {
        *lock(&self.shared.script) = Box::new(script);
    }

    /// What it was asked, in order.
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.shared.asked).iter().cloned().collect()
    }

    /// How many bytes of files it gave.
    pub fn gave(&self) -> u64 {
        lock(&self.shared.gave).bytes
    }

    /// Gives no more than `most` bytes in all, and holds the connections that want more.
    pub fn hold_at(&self, most: u64) {
        lock(&self.shared.gave).most = most;
    }

    /// How many connections are held.
    pub fn held(&self) -> usize {
        lock(&self.shared.gave).held
    }

    /// Gives whatever is wanted again.
    pub fn release(&self) {
        lock(&self.shared.gave).most = u64::MAX;
        self.shared.changed.notify_all();
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        lock(&self.shared.gave).over = true;
        self.release();
        // The listeners wake up and see that it is over.
        for address in [self.shared.hub, self.shared.store] {
            drop(TcpStream::connect(address));
        }
        for thread in self.threads.drain(..) {
            // A panic there has been seen already.
            let _ = thread.join();
        }
    }
}

fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("a port")
}

fn accept(listener: &TcpListener, is_store: bool, shared: &Arc<Shared>) {
    for stream in listener.incoming().map_while(Result::ok) {
        if lock(&shared.gave).over {
            return;
        }
        let shared = shared.clone();
        // It ends with its connection, which clients close; nobody waits for it.
        std::thread::spawn(move || {
            // A client that has gone away is what half of the tests are about.
            let _ = answer(stream, is_store, &shared);
        });
    }
}

/// One request on one connection.
fn answer(stream: TcpStream, store: bool, shared: &Shared) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let line = lines.next().transpose()?.unwrap_or_default();
    let (mut range, mut token) = (None, None);
    for header in lines {
        let header = header?;
        if header.is_empty() {
            break;
        }
        let Some((name, value)) = header.split_once(':') else { continue };
        match name.to_ascii_lowercase().as_str() {
            "range" => range = read_range(value.trim()),
            "authorization" => token = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    let target = line.split(' ').nth(1).unwrap_or_default();
    // A proxy is asked by whole addresses.
    let target = target.strip_prefix("http://").map_or(target, |rest| rest.find('/').map_or("/", |at| &rest[at..]));
    let path = target.split('?').next().unwrap_or_default().to_owned();
    let asked = {
        let mut all = lock(&shared.asked);
        let asked = Asked { store, path, line: line.clone(), range, token, number: all.len() };
        all.push_back(asked.clone());
        asked
    };
    let act = (lock(&shared.script))(&asked);
    match act {
        Act::Raw(bytes) => (&stream).write_all(&bytes),
        act if store => give(&stream, &asked, &act, shared),
        act => {
            let head = reply(&asked, &act, shared);
            (&stream).write_all(&head)
        }
    }
}

fn read_range(value: &str) -> Option<(u64, u64)> {
    let (first, last) = value.strip_prefix("bytes=")?.split_once('-')?;
    Some((first.parse().ok()?, last.parse::<u64>().ok()? + 1))
}

fn plain(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}").into_bytes()
}

/// The SHA-256 of bytes, in hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the hub itself answers.
fn reply(asked: &Asked, act: &Act, shared: &Shared) -> Vec<u8> {
    let repos = lock(&shared.repos);
    let missing = || plain("404 Not Found", "x-error-code: EntryNotFound\r\n", "");
    if let Some(rest) = asked.path.strip_prefix("/api/models/") {
        let Some(repo) = rest.split("/revision/").next().and_then(|name| repos.get(name)) else {
            return plain("401 Unauthorized", "x-error-code: RepoNotFound\r\n", "");
        };
        let files = repo.files.iter().map(|(path, bytes)| {
            let mut file = json!({ "rfilename": path, "size": bytes.len(), "blobId": sha256(bytes)[..40] });
            if !repo.small.contains(path) {
                file["lfs"] = json!({ "sha256": sha256(bytes), "size": bytes.len(), "pointerSize": 130 });
            }
            file
        });
        let files: Vec<Value> = files.collect();
        let listing = json!({ "sha": commit(repo), "cardData": repo.card, "siblings": files });
        return plain("200 OK", "content-type: application/json\r\n", &listing.to_string());
    }
    let Some((name, rest)) = asked.path[1..].split_once("/resolve/") else { return missing() };
    let Some((_, file)) = rest.split_once('/') else { return missing() };
    let Some(repo) = repos.get(name) else { return missing() };
    let Some(bytes) = repo.files.get(file) else { return missing() };
    match (&repo.token, &asked.token) {
        (Some(_), None) => return plain("401 Unauthorized", "x-error-code: GatedRepo\r\n", ""),
        (Some(token), Some(shown)) if *shown != format!("Bearer {token}") => {
            return plain("403 Forbidden", "x-error-code: GatedRepo\r\n", "");
        }
        _ => {}
    }
    let tag = match act {
        Act::Tagged(tag) => tag.clone(),
        _ => sha256(bytes),
    };
    let headers = format!(
        "location: http://{}/content/{name}/{file}\r\nx-linked-etag: \"{tag}\"\r\nx-linked-size: {}\r\nx-repo-commit: {}\r\n",
        shared.store,
        bytes.len(),
        commit(repo)
    );
    plain("302 Found", &headers, "")
}

/// A name for what a repository has now.
fn commit(repo: &Repo) -> String {
    let all: Vec<u8> = repo.files.iter().flat_map(|(path, bytes)| [path.as_bytes(), bytes].concat()).collect();
    sha256(&all)[..40].to_owned()
}

/// What the store answers.
fn give(mut stream: &TcpStream, asked: &Asked, act: &Act, shared: &Shared) -> std::io::Result<()> {
    let path = asked.path.trim_start_matches("/content/");
    let repos = lock(&shared.repos);
    let found = repos.iter().find_map(|(name, repo)| {
        let file = path.strip_prefix(name.as_str())?.strip_prefix('/')?;
        repo.files.get(file).cloned()
    });
    drop(repos);
    let Some(bytes) = found else { return stream.write_all(&plain("404 Not Found", "", "")) };
    let bytes = if let Act::Bytes(other) = act { other.clone() } else { bytes };
    let tag = match act {
        Act::Tagged(tag) => tag.clone(),
        _ => sha256(&bytes)[..32].to_owned(),
    };
    let all = bytes.len() as u64;
    let range = asked.range.filter(|_| !matches!(act, Act::Whole(_)));
    let (head, start, end) = match range {
        Some((first, _)) if first >= all => return stream.write_all(&plain("416 Range Not Satisfiable", "", "")),
        Some((first, end)) => {
            let end = end.min(all);
            let line = format!("HTTP/1.1 206 Partial Content\r\ncontent-range: bytes {first}-{}/{all}\r\n", end - 1);
            (line, first as usize, end as usize)
        }
        None => ("HTTP/1.1 200 OK\r\n".to_owned(), 0, bytes.len()),
    };
    let head = format!("{head}etag: \"{tag}\"\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", end - start);
    stream.write_all(head.as_bytes())?;
    let most = match act {
        Act::Cut(most) | Act::Whole(most) => *most,
        _ => usize::MAX,
    };
    let end = end.min(start.saturating_add(most));
    for piece in bytes[start..end].chunks(PIECE) {
        allowed(shared, piece.len() as u64);
        stream.write_all(piece)?;
    }
    Ok(())
}

/// Waits until so many more bytes may go out, and counts them.
fn allowed(shared: &Shared, bytes: u64) {
    let mut gave = lock(&shared.gave);
    if gave.bytes + bytes > gave.most {
        gave.held += 1;
        while gave.bytes + bytes > gave.most {
            gave = shared.changed.wait(gave).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        gave.held -= 1;
    }
    gave.bytes += bytes;
}
