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
use serde_json::{Value, json};
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
    let rest = stream::unfold(listener, |mut listener| async {
        let (name, data) = listener.next().await?;
        Some((Ok(told(name, &data)), listener))
    });
    Sse::new(ready.chain(rest)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

impl Listener {
    /// Name and data of the next event; none once the stream is to end.
    async fn next(&mut self) -> Option<(&'static str, Value)> {
        let received = tokio::select! {
            received = self.events.recv() => received,
            () = self.closing.cancelled() => return None,
        };
        match received {
            Ok(event) => Some(("job", json!(event))),
            Err(RecvError::Lagged(missed)) => Some(("lagged", json!({ "missed": missed }))),
            Err(RecvError::Closed) => None,
        }
    }
}

fn told(name: &str, data: &Value) -> Event {
    // JSON on one line, as an event wants it.
    Event::default().event(name).data(data.to_string())
}

#[cfg(test)]
mod tests {
    use thumbforge_core::id::JobId;
    use tokio::sync::broadcast;

    use super::super::activity::Activity;
    use super::*;

    fn event(job: u64) -> JobEvent {
        JobEvent { job: JobId(job), state: "queued", realised_key: None, error: None }
    }

    #[tokio::test]
    async fn who_is_too_slow_is_told_and_hears_the_rest() {
        let (sender, events) = broadcast::channel(2);
        let (activity, closing) = (Activity::default(), CancellationToken::new());
        let mut listener = Listener { events, closing: closing.clone(), _under_way: activity.begin() };
        for job in 1..=5 {
            sender.send(event(job)).unwrap();
        }
        assert_eq!(listener.next().await, Some(("lagged", json!({ "missed": 3 }))));
        assert_eq!(listener.next().await, Some(("job", json!({ "job": 4, "state": "queued" }))));
        assert_eq!(listener.next().await, Some(("job", json!({ "job": 5, "state": "queued" }))));
        closing.cancel();
        assert_eq!(listener.next().await, None);
        assert_eq!(activity.idle(), None);
        drop(listener);
        assert!(activity.idle().is_some());
    }
}
