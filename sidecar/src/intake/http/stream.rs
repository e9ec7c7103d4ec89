//! Answers to `"stream": true`: the original's events, each with its picture.
//!
//! | event | data |
//! |---|---|
//! | `image_generation.completed`, `image_edit.completed` | `type`, `b64_json`, `created_at`, `size`, `background`, `output_format`, and `thumbforge` as in whole answers |
//! | `error` | the object of a refusal; the last event |
//!
//! The head of the answer is sent once every job is journalled, so whatever is refused before has its own status.
//! A comment every few seconds keeps proxies from closing the line. Partial pictures are never sent: no engine makes
//! them, and asking for some is refused as any other field that cannot be honoured.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive};
use axum::response::{IntoResponse, Response, Sse};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures_util::stream::{self, FuturesOrdered, StreamExt};
use serde_json::json;

use super::Door;
use super::generate::{Coming, Picture};
use super::openai::{about, words};
use super::refusal::Refusal;

/// Below the half minute after which the most impatient proxies drop a silent connection.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Which call is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Generation,
    Edit,
}

impl Kind {
    fn completed(self) -> &'static str {
        match self {
            Self::Generation => "image_generation.completed",
            Self::Edit => "image_edit.completed",
        }
    }
}

/// An event for each picture, in the order of their seeds, up to the first that fails.
pub(super) fn answer(door: &Arc<Door>, kind: Kind, coming: Vec<Coming>) -> Response {
    // An answer under way keeps the sidecar awake.
    let under_way = door.activity.begin();
    let pictures: FuturesOrdered<_> = coming
        .into_iter()
        .map(|coming| {
            let door = door.clone();
            async move {
                let picture = coming.picture(&door).await;
                picture.map(|picture| completed(kind, &picture, door.intake.now_ms() / 1000))
            }
        })
        .collect();
    let events = stream::unfold(Some((pictures, under_way)), |rest| async {
        let (mut pictures, under_way) = rest?;
        match pictures.next().await? {
            Ok(event) => Some((Ok::<_, Infallible>(event), Some((pictures, under_way)))),
            Err(refusal) => Some((Ok(failed(&refusal)), None)),
        }
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}

fn completed(kind: Kind, picture: &Picture, created_at: u64) -> Event {
    let name = kind.completed();
    let mut text = String::with_capacity(picture.bytes.len() / 3 * 4 + 4096);
    text.push_str("{\"b64_json\":\"");
    BASE64.encode_string(&picture.bytes, &mut text);
    let mut rest = words(picture);
    rest.extend([
        ("type".to_owned(), json!(name)),
        ("created_at".to_owned(), json!(created_at)),
        ("thumbforge".to_owned(), about(picture)),
    ]);
    text.push('"');
    for (name, value) in &rest {
        text.push_str(&format!(",{}:{value}", json!(name)));
    }
    text.push('}');
    Event::default().event(name).data(text)
}

fn failed(refusal: &Refusal) -> Event {
    let mut object = refusal.object();
    object["type"] = json!("error");
    Event::default().event("error").data(object.to_string())
}
