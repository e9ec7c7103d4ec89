//! What the adapters of vendors share: reading what a server wrote without trusting it, building forms, and what HTTP
//! statuses mean where a vendor gives them no meaning of its own.
//!
//! Nothing here panics or grows with what a server sends: lists are walked to a bound, words are cut, JSON is nested no
//! deeper than serde_json's own limit of 128.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use thumbforge_core::job::Outcome;

use super::read::{self, DELAY_MS_MAX, retry_after_ms};
use super::{Part, PartContent, Reply};
use crate::endpoint::{Endpoint, Secret};
use crate::fault::{Billed, Fault, Range};
use crate::sniff::sniff;

/// Most pictures that are read from one answer: the largest batch that any vendor here makes is 8.
pub(super) const PICTURES_MAX: usize = 16;

/// Longest name of a call that is taken from a server.
const ID_BYTES_MAX: usize = 128;

/// Letters of a body that are looked through for words, and letters that are passed on.
const WORDS_READ_MAX: usize = 2000;
const WORDS_MAX: usize = 300;

/// A picture in base64, if its first bytes are those of one that we can open. What a server says of the type is not asked.
pub(super) fn picture(base64: &str) -> Option<Bytes> {
    read::picture(base64).filter(|bytes| sniff(bytes).is_some())
}

/// A part of a path, escaped: letters, digits and `-._~` stay.
pub(super) fn segment(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

/// A server's name for a call, if it can stand in a path as it is: "..", slashes and long ones cannot.
pub(super) fn call_id(value: Option<&Value>) -> Option<String> {
    let id = value?.as_str()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'=');
    (!id.is_empty() && id.len() <= ID_BYTES_MAX && id.bytes().all(plain)).then(|| id.to_owned())
}

/// A whole number that is not negative, as JSON's number or as digits in a string (int64 is often sent so).
pub(super) fn whole(value: Option<&Value>) -> Option<u64> {
    match value? {
        Value::Number(number) => number.as_u64(),
        Value::String(digits) if digits.len() <= 20 => digits.parse().ok(),
        _ => None,
    }
}

/// The words of a text field; empty where there is none.
pub(super) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// A server's words as they may stand in a message: without the key should it be echoed, on one line, and short.
pub(super) fn words(endpoint: &Endpoint, said: &str) -> String {
    let mut said: String = said.chars().take(WORDS_READ_MAX).collect();
    if let Some(key) = endpoint.key.as_ref().map(Secret::expose).filter(|key| !key.is_empty()) {
        said = said.replace(key, "(key)");
    }
    let spaced: String = said.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = spaced.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(WORDS_MAX).collect()
}

/// A wait as a whole number of milliseconds within [`DELAY_MS_MAX`]; nothing for what is no time.
pub(super) fn bounded_ms(ms: f64) -> Option<u64> {
    (ms.is_finite() && ms >= 0.0).then(|| (ms.ceil() as u64).min(DELAY_MS_MAX))
}

/// How long to wait before poll number `polls` (from 0): `first` at first, half as long again each time, `most` at most;
/// or as long as the server asks, which is never less than `first`.
pub(super) fn poll_wait(reply: &Reply, polls: u32, first: Duration, most: Duration) -> Duration {
    if let Some(ms) = retry_after_ms(reply) {
        return Duration::from_millis(ms).max(first);
    }
    (0..polls.min(64)).fold(first, |wait, _| (wait * 3 / 2).min(most))
}

/// What an HTTP status means that the vendor gives no other meaning, after a request that may make a picture; and what it
/// concerns.
pub(super) fn meaning(status: u16) -> (Outcome, Range) {
    match status {
        // Redirects of calls are not followed: a key goes to the address that it belongs to and to no other.
        300..=399 => (Outcome::BadRequest, Range::Account),
        401 | 403 => (Outcome::Auth, Range::Account),
        402 => (Outcome::OutOfFunds, Range::Account),
        404 | 410 => (Outcome::Retired, Range::Model),
        // Something between us and the vendor gave up waiting (520 and 524 are Cloudflare's words for it); the vendor may
        // not have.
        408 | 499 | 502 | 504 | 520 | 524 => (Outcome::Ambiguous, Range::Call),
        429 => (Outcome::Throttled, Range::Account),
        500..=599 => (Outcome::Transient, Range::Call),
        _ => (Outcome::BadRequest, Range::Call),
    }
}

/// The fault of such a status.
pub(super) fn by_status(who: &str, endpoint: &Endpoint, reply: &Reply, said: &str) -> Fault {
    let (outcome, range) = meaning(reply.status);
    let fault = fault(who, endpoint, outcome, reply.status, said).of(range);
    match outcome {
        Outcome::Throttled | Outcome::Transient => Fault { retry_after_ms: retry_after_ms(reply), ..fault },
        _ => fault,
    }
}

/// A fault in a vendor's words.
pub(super) fn fault(who: &str, endpoint: &Endpoint, outcome: Outcome, status: u16, said: &str) -> Fault {
    let said = words(endpoint, said);
    let why = if said.is_empty() { format!("it answered {status}") } else { format!("it answered {status}: {said}") };
    Fault::new(outcome, format!("draw with {who}: {why}"))
}

/// An answer that says that all is well and cannot be read: a picture may have been made and billed.
pub(super) fn unreadable(who: &str, reply: &Reply) -> Fault {
    let (status, bytes) = (reply.status, reply.body.len());
    Fault::new(
        Outcome::Ambiguous,
        format!("read the answer of {who}: {status} with {bytes} bytes that are no whole answer"),
    )
}

/// An answer without a picture and without a refusal. Nobody says whether it costs anything.
pub(super) fn empty(who: &str, endpoint: &Endpoint, said: &str) -> Fault {
    let said = words(endpoint, said);
    let why = if said.is_empty() {
        "no picture and no reason came back".to_owned()
    } else {
        format!("no picture came back: {said}")
    };
    Fault::new(Outcome::Empty, format!("draw with {who}: {why}")).billed(Billed::Unknown)
}

/// A poll that tells nothing of a call that was accepted.
pub(super) fn lost(who: &str, endpoint: &Endpoint, id: &str, status: u16, said: &str) -> Fault {
    let said = words(endpoint, said);
    let message = format!("ask {who} after the call {id}: it answered {status}: {said}");
    Fault { provider_id: Some(id.to_owned()), ..Fault::new(Outcome::Ambiguous, message) }
}

/// Refuses the first of what a call has and its protocol cannot say, before anything is sent.
pub(super) fn refuse(who: &str, wants: &[(bool, &str)]) -> Result<(), Fault> {
    match wants.iter().find(|(wanted, _)| *wanted) {
        Some((_, what)) => Err(bad(format!("ask {who} for {what}: it takes none"))),
        None => Ok(()),
    }
}

/// A call that is refused here, before anything is sent.
pub(super) fn bad(message: impl Into<String>) -> Fault {
    Fault::new(Outcome::BadRequest, message)
}

/// A form that is being filled in.
#[derive(Debug, Default)]
pub(super) struct Form(pub(super) Vec<Part>);

impl Form {
    /// Adds words.
    pub(super) fn text(&mut self, name: &str, value: impl Into<String>) {
        self.0.push(Part { name: name.to_owned(), content: PartContent::Text(value.into()) });
    }

    /// Adds a PNG.
    pub(super) fn png(&mut self, name: &str, file_name: &str, bytes: &Bytes) {
        let content =
            PartContent::File { file_name: file_name.to_owned(), mime: "image/png".to_owned(), bytes: bytes.clone() };
        self.0.push(Part { name: name.to_owned(), content });
    }

    /// Bytes on the wire, near enough: each part with 256 for its heading and boundary, which take fewer.
    pub(super) fn bytes(&self) -> usize {
        let content = |part: &Part| match &part.content {
            PartContent::Text(text) => text.len(),
            PartContent::File { bytes, .. } => bytes.len(),
        };
        self.0.iter().map(|part| content(part) + part.name.len() + 256).sum()
    }
}

/// A number as a form has it: "7.5", "4".
pub(super) fn number(value: f64) -> String {
    format!("{value}")
}

/// How closely a picture is followed, from 100 for wholly to 1, where a call says how far it may be left from 0 to 1.
pub(super) fn weight(strength: f64) -> u8 {
    let kept = if strength.is_finite() { (1.0 - strength.clamp(0.0, 1.0)) * 100.0 } else { 50.0 };
    kept.round().clamp(1.0, 100.0) as u8
}

#[cfg(test)]
pub(super) mod tests;
