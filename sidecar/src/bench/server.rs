//! The serving process of the bench: the same payload over the channel, over HTTP and over a bare socket.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::FutureExt;
use thumbforge_channel::client::{Deliver, RecipeForm};
use thumbforge_channel::server::{self, Client, Guest, Host, Options, Reply};
use thumbforge_core::error::Failure;
use thumbforge_core::id::RequestKey;
use thumbforge_core::wire::hello::Hello;
use thumbforge_core::wire::message::{Outcome, Request};

use super::{SIDES, bytes_of, failed, rivals};

/// Serves until its input ends.
///
/// # Errors
/// When the system gives no socket.
pub fn serve(folder: &Path) -> Result<(), Failure> {
    let payload: Arc<[u8]> = (0..bytes_of(SIDES[1])).map(|at| ((at * 31) >> 3) as u8).collect();
    let serving = server::serve(folder, Arc::new(Payload(payload.clone())), Options::default())
        .map_err(|err| failed(format!("listen: {err}")))?;
    rivals::serve_bare(folder, payload.clone())?;
    rivals::serve_http(&payload, |port| println!("{port}"))?;
    serving.close();
    Ok(())
}

/// Processor time of this process in nanoseconds, where the system says.
pub(super) fn cpu_ns() -> Option<f64> {
    #[cfg(unix)]
    {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        Some(time.tv_sec as f64 * 1e9 + time.tv_nsec as f64)
    }
    #[cfg(not(unix))]
    None
}

struct Payload(Arc<[u8]>);

struct Asker {
    payload: Arc<[u8]>,
    client: Client,
}

impl Host for Payload {
    fn welcome(&self, _hello: &Hello, client: Client) -> Result<Arc<dyn Guest>, Failure> {
        Ok(Arc::new(Asker { payload: self.0.clone(), client }))
    }

    fn drain(&self, _build: &str) {}
}

impl Asker {
    /// A slot with the picture in it. One picture is out at a time, so there is always room at once.
    fn draw(&self, number: u64, size: (u32, u32), copied: bool) -> Option<()> {
        let bytes = size.0 as usize * size.1 as usize * 4;
        let mut slot = self.client.reserve(bytes).now_or_never()?.ok()?.open().ok()?;
        if copied {
            slot.bytes_mut().copy_from_slice(self.payload.get(..bytes)?);
        }
        let reply = Reply { size, format: Deliver::Pixels, ..Reply::bare(number, Outcome::Done) };
        self.client.complete(&reply, Some(slot));
        Some(())
    }
}

impl Guest for Asker {
    fn submit(&self, number: u64, _key: RequestKey, request: Request<'_>) {
        let RecipeForm::Brief(brief) = request.recipe else { return };
        let drawn = match brief.prompt {
            "copy" => self.draw(number, brief.size, true),
            // The picture is where it was rendered; what is measured is the way to its reader.
            "direct" => self.draw(number, brief.size, false),
            "cpu" => {
                let detail = cpu_ns().map(|ns| ns.to_string()).unwrap_or_default().into_bytes();
                self.client.complete(&Reply { detail, ..Reply::bare(number, Outcome::Done) }, None);
                Some(())
            }
            _ => {
                self.client.complete(&Reply::bare(number, Outcome::Done), None);
                Some(())
            }
        };
        if drawn.is_none() {
            self.client.complete(&Reply::bare(number, Outcome::Failed), None);
        }
    }

    fn provide(&self, number: u64, _path: PathBuf) {
        self.client.complete(&Reply::bare(number, Outcome::Failed), None);
    }

    fn command(&self, number: u64, _key: RequestKey, _json: &[u8]) {
        self.client.complete(&Reply::bare(number, Outcome::Failed), None);
    }

    fn cancel(&self, _number: u64) {}

    fn gone(&self) {}
}
