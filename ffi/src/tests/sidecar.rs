//! A sidecar that draws by script: prompt or command say what becomes of a job, and its number what its pixels are.
//!
//! The channel is the real one. The suite `tests/abi` takes this file too, for programs in other languages.

use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use thumbforge_channel::client::{Deliver, Outcome, RecipeForm};
use thumbforge_channel::server::{self, Client, Guest, Host, Reply, Serving};
use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::id::RequestKey;
use thumbforge_core::job::JobState;
use thumbforge_core::wire::hello::Hello;
use thumbforge_core::wire::message::Request;

/// Waits for a condition that nothing tells of.
pub(crate) fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "waited for: {what}");
        std::thread::yield_now();
    }
}

/// The byte at `at` of the picture with a seed.
pub(crate) fn pixel(seed: u64, at: usize) -> u8 {
    (seed as usize).wrapping_mul(31).wrapping_add(at) as u8
}

/// What a client was promised.
struct Held {
    client: Client,
    reply: Reply,
}

#[derive(Default)]
struct Script {
    held: Mutex<Vec<Held>>,
    clients: Mutex<usize>,
}

struct Door(Arc<Script>);

struct Editor {
    script: Arc<Script>,
    client: Client,
}

impl Host for Door {
    fn welcome(&self, _: &Hello, client: Client) -> Result<Arc<dyn Guest>, Failure> {
        *self.0.clients.lock().expect("no panic") += 1;
        Ok(Arc::new(Editor { script: self.0.clone(), client }))
    }

    fn drain(&self, _: &str) {}
}

/// Answers with pixels. Tests hold few textures, so there is room at once, or the client is gone.
fn deliver(client: &Client, reply: &Reply) {
    let bytes = reply.size.0 as usize * reply.size.1 as usize * 4;
    let mut reserve = pin!(client.reserve(bytes));
    let reservation =
        until("room for a picture", || match reserve.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(reservation) => Some(reservation),
            Poll::Pending => None,
        });
    let Ok(mut slot) = reservation.map_err(|_| ()).and_then(|reservation| reservation.open().map_err(|_| ())) else {
        return;
    };
    for (at, byte) in slot.bytes_mut().iter_mut().enumerate() {
        *byte = pixel(reply.seed, at);
    }
    client.complete(reply, Some(slot));
}

impl Guest for Editor {
    fn submit(&self, number: u64, _: RequestKey, request: Request<'_>) {
        let brief = match request.recipe {
            RecipeForm::Brief(brief) => brief,
            RecipeForm::Json(json) => {
                let detail = format!("{} bytes of JSON", json.len()).into_bytes();
                self.client.complete(&Reply { detail, ..Reply::bare(number, Outcome::Done) }, None);
                return;
            }
        };
        // A tag is never sent; jobs of these tests are numbered from 1 and tagged from 0.
        let reply = Reply {
            seed: number - 1,
            size: brief.size,
            format: Deliver::Pixels,
            key: [7; 32],
            detail: br#"{"render":{}}"#.to_vec(),
            ..Reply::bare(number, Outcome::Done)
        };
        match (brief.model, brief.prompt) {
            ("no-such-model", _) => {
                let message =
                    br#"{"failure":{"code":"unknown_model","message":"failed to find the model no-such-model"}}"#;
                let (code, detail) = (ErrorCode::UnknownModel.number(), message.to_vec());
                self.client.complete(&Reply { code, detail, ..Reply::bare(number, Outcome::Failed) }, None);
            }
            (_, "hold") => {
                self.client.progress(number, JobState::Running, 3, 28);
                self.script.held.lock().expect("no panic").push(Held { client: self.client.clone(), reply });
            }
            (_, "fail") => {
                let message =
                    r#"{"failure":{"code":"engine_failed","message":"failed to draw \"fail\": as the script says"}}"#;
                let (code, detail) = (ErrorCode::EngineFailed.number(), message.into());
                self.client.complete(&Reply { code, detail, ..Reply::bare(number, Outcome::Failed) }, None);
            }
            _ => deliver(&self.client, &reply),
        }
    }

    fn provide(&self, number: u64, path: PathBuf) {
        let detail = format!("{{\"content\":{path:?}}}").into_bytes();
        self.client.complete(&Reply { detail, ..Reply::bare(number, Outcome::Done) }, None);
    }

    fn command(&self, number: u64, _: RequestKey, json: &[u8]) {
        let reply = Reply { size: (64, 48), format: Deliver::Pixels, ..Reply::bare(number, Outcome::Done) };
        let reply = Reply { seed: number - 1, ..reply };
        match json {
            br#"{"verb":"doctor"}"# => {
                let detail = br#"{"answer":{"healthy":true}}"#.to_vec();
                self.client.complete(&Reply { detail, ..Reply::bare(number, Outcome::Done) }, None);
            }
            br#"{"verb":"preview"}"# => {
                let detail = br#"{"answer":{"width":64,"height":48}}"#.to_vec();
                deliver(&self.client, &Reply { detail, ..reply });
            }
            br#"{"verb":"batch"}"# => {
                self.client.progress(number, JobState::Running, 3, 28);
                self.script.held.lock().expect("no panic").push(Held { client: self.client.clone(), reply });
            }
            _ => {
                let message =
                    r#"{"failure":{"code":"invalid_request","message":"failed to do this: there is no such verb"}}"#;
                let (code, detail) = (ErrorCode::InvalidRequest.number(), message.into());
                self.client.complete(&Reply { code, detail, ..Reply::bare(number, Outcome::Failed) }, None);
            }
        }
    }

    fn cancel(&self, number: u64) {
        let mut held = self.script.held.lock().expect("no panic");
        if let Some(at) = held.iter().position(|held| held.reply.number == number) {
            let Held { client, .. } = held.remove(at);
            let reply = Reply { code: ErrorCode::Cancelled.number(), ..Reply::bare(number, Outcome::Cancelled) };
            client.complete(&reply, None);
        }
    }

    fn gone(&self) {}
}

/// A data directory with a sidecar on it.
pub(crate) struct Sidecar {
    folder: tempfile::TempDir,
    script: Arc<Script>,
    _serving: Serving,
}

impl Sidecar {
    /// Starts one.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let script = Arc::new(Script::default());
        let options = server::Options::default();
        let serving = server::serve(folder.path(), Arc::new(Door(script.clone())), options).expect("a socket");
        Self { folder, script, _serving: serving }
    }

    /// Where it listens.
    pub(crate) fn data_dir(&self) -> String {
        self.folder.path().to_str().expect("UTF-8").to_owned()
    }

    /// Draws what was held, now and so far.
    pub(crate) fn let_go(&self) {
        until("something is held", || {
            let held = std::mem::take(&mut *self.script.held.lock().expect("no panic"));
            for held in &held {
                deliver(&held.client, &held.reply);
            }
            (!held.is_empty()).then_some(())
        });
    }

    /// Clients that it ever had.
    pub(crate) fn clients(&self) -> usize {
        *self.script.clients.lock().expect("no panic")
    }
}
