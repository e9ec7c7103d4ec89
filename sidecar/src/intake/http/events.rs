//! `GET /events`: what becomes of jobs, as server-sent events.
//!
//! | event | data |
//! |---|---|
//! | `ready` | `{"version"}`: from here on nothing is missed unless `lagged` says so |
//! | `job` | `{"job","state","realised_key"?,"error"?}` |
//! | `lagged` | `{"missed"}`: the listener was too slow for so many; `GET /jobs` has what they said |
//!
//! The stream ends when the sidecar stops; a browser's `EventSource` then tries again by itself.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures_util::{Stream, StreamExt, stream};
use serde::Serialize;
use serde_json::json;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::Door;
use super::activity::UnderWay;
use crate::publish::JobEvent;

/// Below the minute after which proxies and firewalls drop a silent connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A listener, until it goes away or the server does.
struct Listener {
    events: Receiver<JobEvent>,
    closing: CancellationToken,
    /// Whoever listens keeps the sidecar awake.
    _under_way: UnderWay,
}

/// `GET /events`.
pub(super) async fn listen(State(door): State<Arc<Door>>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let listener =
        Listener { events: door.intake.subscribe(), closing: door.closing.clone(), _under_way: door.activity.begin() };
    let ready = stream::once(async { Ok(told("ready", &json!({ "version": env!("CARGO_PKG_VERSION") }))) });
    let rest = stream::unfold(listener, |mut listener| async { Some((Ok(listener.next().await?), listener)) });
    Sse::new(ready.chain(rest)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

impl Listener {
    async fn next(&mut self) -> Option<Event> {
        let received = tokio::select! {
            received = self.events.recv() => received,
            () = self.closing.cancelled() => return None,
        };
        match received {
            Ok(event) => Some(told("job", &event)),
            Err(RecvError::Lagged(missed)) => Some(told("lagged", &json!({ "missed": missed }))),
            Err(RecvError::Closed) => None,
        }
    }
}

fn told(name: &str, data: &impl Serialize) -> Event {
    // JSON of our own values has no form that cannot be written, and no line breaks.
    Event::default().event(name).data(serde_json::to_string(data).unwrap_or_default())
}
