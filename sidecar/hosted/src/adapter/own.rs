//! What the adapters for servers of one's own share: they bill nothing, sit behind proxies, and forget by restarting.
//!
//! Since nothing is billed, a call that such a server has lost without a trace is simply made again. Only where it may
//! still be at work on it, because a proxy gave up waiting, is the call called ambiguous as everywhere.

use std::time::Duration;

use serde_json::Value;
use thumbforge_core::image::Extent;
use thumbforge_core::job::Outcome;

use super::{Reply, Step, read};
use crate::call::{AskedSize, Call};
use crate::fault::{Billed, Fault, Range};

/// How long a full queue is left alone where the server names no time: about one picture.
const QUEUE_FULL_MS: u64 = 5_000;
/// Longest name of a call that is believed, in bytes: theirs are UUIDs or shorter.
const ID_BYTES_MAX: usize = 128;

/// What is wrong, by status, for statuses that mean the same at every such server.
pub(super) fn fault(verb: &str, reply: &Reply) -> Fault {
    let said = words(reply);
    let fault = |outcome| Fault::new(outcome, format!("{verb}: the server answered {}: {said}", reply.status));
    match reply.status {
        401 | 403 | 407 => fault(Outcome::Auth).of(Range::Account),
        404 | 405 => fault(Outcome::BadRequest).of(Range::Account),
        429 => {
            let asked = read::retry_after_ms(reply).or_else(|| read::delay_in_words_ms(&said));
            fault(Outcome::Throttled).of(Range::Account).after_ms(asked.unwrap_or(QUEUE_FULL_MS))
        }
        502 | 504 => fault(Outcome::Ambiguous).billed(Billed::Unknown),
        500.. => fault(Outcome::Transient),
        400..500 => fault(Outcome::BadRequest),
        // Neither a refusal nor a picture: a login page or a proxy's greeting.
        _ => fault(Outcome::Empty),
    }
}

/// A fault in our own words.
pub(super) fn said(outcome: Outcome, message: impl Into<String>) -> Step {
    Step::Failed(Fault::new(outcome, message))
}

/// The server's own words: its error's message, FastAPI's details, or the first words of whatever it sent.
pub(super) fn words(reply: &Reply) -> String {
    let Some(body) = reply.json() else { return read::excerpt(&reply.body) };
    let text = |value: &Value| value.as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    let joined = |parts: Vec<Option<String>>| {
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(": "))
    };
    let error = body.get("error").and_then(|error| match error {
        Value::Object(error) => joined(vec![error.get("message").and_then(text), error.get("details").and_then(text)]),
        other => joined(vec![text(other), body.get("errors").and_then(text), body.get("message").and_then(text)]),
    });
    let detail = || match body.get("detail")? {
        Value::Array(details) => {
            let one = |detail: &Value| {
                let place = detail.get("loc").and_then(Value::as_array).and_then(|loc| text(loc.last()?));
                joined(vec![place, detail.get("msg").and_then(text)])
            };
            // Each wrong field is one; a few tell enough, and messages are short.
            Some(details.iter().take(4).filter_map(one).collect::<Vec<_>>().join(", ")).filter(|text| !text.is_empty())
        }
        other => text(other),
    };
    error.or_else(detail).unwrap_or_else(|| read::excerpt(&reply.body))
}

/// Whether a message tells that memory ran out: the next try may find more of it.
pub(super) fn out_of_memory(message: &str) -> bool {
    let lower = message.to_ascii_lowercase();
    ["out of memory", "outofmemory", "allocation on device", "not enough memory"]
        .iter()
        .any(|word| lower.contains(word))
}

/// How long to wait before a poll: pictures take seconds, so waiting grows to 3 s and no further.
pub(super) fn pause(polls: u32) -> Duration {
    Duration::from_millis((500 + 250 * u64::from(polls)).min(3_000))
}

/// Whether a name of a call can stand in a path as it is. What is longer or has other letters is no such name.
pub(super) fn is_id(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !id.is_empty() && id.len() <= ID_BYTES_MAX && id.bytes().all(plain)
}

/// The size in pixels: what is asked, or that of the picture that is changed.
pub(super) fn extent(call: &Call) -> Result<Extent, Fault> {
    let wrong = |message: &str| Fault::new(Outcome::BadRequest, format!("ask for a picture: {message}"));
    match &call.size {
        AskedSize::Pixels(extent) => Ok(*extent),
        AskedSize::Ratio { ratio, .. } => Err(wrong(&format!("the server takes pixels, and {ratio:?} is a ratio"))),
        AskedSize::Free => match call.images.first() {
            Some(png) => png_extent(png).ok_or_else(|| wrong("the picture to change is no PNG of a usual size")),
            None => Ok(Extent { width: 1024, height: 1024 }),
        },
    }
}

/// The size in a PNG's header (PNG, 11.2.2), within what we draw.
fn png_extent(png: &[u8]) -> Option<Extent> {
    let number = |at: usize| Some(u32::from_be_bytes(png.get(at..at + 4)?.try_into().ok()?));
    let (width, height) = png.starts_with(b"\x89PNG\r\n\x1a\n").then(|| Some((number(16)?, number(20)?)))??;
    Extent::new(u64::from(width), u64::from(height)).ok()
}

/// The picture that is changed or enlarged; more than one is too many.
pub(super) fn only_picture(call: &Call) -> Result<&[u8], Fault> {
    match call.images.as_slice() {
        [image] => Ok(image),
        [] => Err(Fault::new(Outcome::BadRequest, "change a picture: there is none")),
        more => {
            let message = format!("change a picture: the server looks at one, and there are {}", more.len());
            Err(Fault::new(Outcome::BadRequest, message))
        }
    }
}

#[cfg(test)]
pub(super) mod double;
