//! What adapters read the same way from replies: delays, pictures in base64, messages of errors, plain statuses.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value;
use thumbforge_core::job::Outcome;

use super::Reply;
use crate::fault::Range;

/// Longest delay in milliseconds that is believed: a day. What is longer is a mistake or means "not any more".
pub const DELAY_MS_MAX: u64 = 24 * 60 * 60 * 1000;

/// How long the headers ask to wait, in milliseconds: `retry-after-ms`, or `retry-after` in seconds.
///
/// A date in `retry-after` is not read: adapters know no clock, and no provider of images sends one.
pub fn retry_after_ms(reply: &Reply) -> Option<u64> {
    let number = |name: &str| {
        let value: f64 = reply.header(name)?.trim().parse().ok()?;
        (value.is_finite() && value >= 0.0).then_some(value)
    };
    let ms = number("retry-after-ms").or_else(|| number("retry-after").map(|seconds| seconds * 1000.0))?;
    // Floats become integers by saturation, so that no header can overflow it.
    Some((ms.ceil() as u64).min(DELAY_MS_MAX))
}

/// How long a sentence asks to wait, in milliseconds, as in "Rate limit exceeded. Retry after 60s." or "try again in 1.5s".
pub fn delay_in_words_ms(message: &str) -> Option<u64> {
    let lower = message.to_ascii_lowercase();
    let after = ["retry after ", "try again in ", "retry in "]
        .iter()
        .find_map(|words| lower.find(words).map(|at| &lower[at + words.len()..]))?;
    let digits = after.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(after.len());
    let (number, unit) = after.split_at(digits);
    let number: f64 = number.trim_end_matches('.').parse().ok()?;
    let unit = unit.trim_start();
    let ms = if unit.starts_with("ms") || unit.starts_with("milli") {
        number
    } else if unit.starts_with('m') {
        number * 60_000.0
    } else {
        number * 1000.0
    };
    Some((ms.ceil() as u64).min(DELAY_MS_MAX))
}

/// The bytes of a picture in base64, with or without the `data:` prefix that some servers put before it.
pub fn picture(text: &str) -> Option<Bytes> {
    let text = match text.strip_prefix("data:") {
        Some(rest) => rest.split_once(',')?.1,
        None => text,
    };
    STANDARD.decode(text.trim_end()).ok().filter(|bytes| !bytes.is_empty()).map(Bytes::from)
}

/// Base64 of bytes, as providers take pictures within JSON.
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The first words of a body that is no JSON, for messages: bounded, on one line, without control characters.
pub fn excerpt(body: &[u8]) -> String {
    let head = &body[..body.len().min(200)];
    let text: String = String::from_utf8_lossy(head).chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What the body of an error says, in any of the forms that servers of images have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Said {
    /// For people.
    pub message: String,
    /// The code for machines; empty where there is none.
    pub code: String,
    /// Its kind (`type`).
    pub kind: String,
    /// The field of the request that it is about.
    pub param: String,
}

/// Reads `{"error": {"message", "type", "param", "code"}}`, `{"error": "…"}`, `{"message": "…"}`, `{"detail": …}`, and
/// takes the first words of anything else.
pub fn said(reply: &Reply) -> Said {
    let Some(body) = reply.json() else { return Said { message: excerpt(&reply.body), ..Said::default() } };
    let error = match body.get("error") {
        Some(error @ Value::Object(_)) => error,
        _ => &body,
    };
    let text = |names: &[&str]| {
        let value = names.iter().find_map(|name| error.get(*name).filter(|value| !value.is_null()));
        value.map(words).unwrap_or_default()
    };
    Said {
        message: text(&["message", "error", "detail", "errors", "title"]),
        code: text(&["code", "name"]),
        kind: text(&["type"]),
        param: text(&["param"]),
    }
}

/// A value in words: text as it is, anything else as short JSON.
fn words(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(400).collect()
}

/// What a status means where the body says nothing more, and what it concerns.
///
/// A request that a gateway gave up on (408, 502, 504 and their like) may have been carried out behind it.
pub fn by_status(status: u16) -> (Outcome, Range) {
    match status {
        401 | 403 | 407 => (Outcome::Auth, Range::Account),
        402 => (Outcome::OutOfFunds, Range::Account),
        // Not the model but the address: nothing is there.
        404 | 405 => (Outcome::BadRequest, Range::Account),
        410 => (Outcome::Retired, Range::Model),
        425 | 429 => (Outcome::Throttled, Range::Account),
        409 | 500 | 503 | 529 => (Outcome::Transient, Range::Call),
        // Cloudflare's: the server behind it was never reached.
        521..=523 => (Outcome::Transient, Range::Call),
        501 | 505 => (Outcome::BadRequest, Range::Account),
        408 | 499 | 500.. => (Outcome::Ambiguous, Range::Call),
        // A redirect is not followed: it would carry the key elsewhere.
        300..=399 => (Outcome::BadRequest, Range::Account),
        400.. => (Outcome::BadRequest, Range::Call),
        _ => (Outcome::Ambiguous, Range::Call),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(headers: &[(&str, &str)]) -> Reply {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Reply { status: 429, headers, body: Bytes::new() }
    }

    #[test]
    fn delays_are_read_from_headers() {
        for (headers, expected) in [
            (&[][..], None),
            (&[("retry-after", "60")], Some(60_000)),
            (&[("retry-after", "0.25")], Some(250)),
            (&[("retry-after", "60"), ("retry-after-ms", "1500")], Some(1500)),
            (&[("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT")], None),
            (&[("retry-after", "-1")], None),
            (&[("retry-after", "NaN")], None),
            (&[("retry-after", "1e300")], Some(DELAY_MS_MAX)),
        ] {
            assert_eq!(retry_after_ms(&reply(headers)), expected, "{headers:?}");
        }
    }

    #[test]
    fn delays_are_read_from_sentences() {
        for (message, expected) in [
            ("Rate limit exceeded. Retry after 60s.", Some(60_000)),
            ("Please try again in 1.5s.", Some(1500)),
            ("Please try again in 250ms.", Some(250)),
            ("Please try again in 2m.", Some(120_000)),
            ("Please retry in 46 seconds", Some(46_000)),
            ("Retry after a while", None),
            ("no", None),
        ] {
            assert_eq!(delay_in_words_ms(message), expected, "{message}");
        }
    }

    #[test]
    fn pictures_are_read_with_and_without_a_prefix() {
        assert_eq!(picture("aGk=").as_deref(), Some(&b"hi"[..]));
        assert_eq!(picture("data:image/png;base64,aGk=").as_deref(), Some(&b"hi"[..]));
        for bad in ["", "data:image/png;base64", "a", "****"] {
            assert_eq!(picture(bad), None, "{bad}");
        }
    }

    #[test]
    fn excerpts_are_short_and_on_one_line() {
        assert_eq!(excerpt(b"<html>\n <b>\x00502</b>"), "<html> <b> 502</b>");
        assert!(excerpt(&[b'x'; 5000]).len() <= 200);
        assert!(!excerpt(&[0xff; 300]).is_empty());
    }

    #[test]
    fn errors_are_read_in_every_form() {
        for (body, message, code) in [
            (r#"{"error":{"message":"no","type":"t","param":"size","code":"c"}}"#, "no", "c"),
            (r#"{"error":{"message":"no","code":404}}"#, "no", "404"),
            (r#"{"error":{"message":"no","code":null}}"#, "no", ""),
            (r#"{"error":"job queue is full"}"#, "job queue is full", ""),
            (r#"{"object":"error","message":"no such model","code":404}"#, "no such model", "404"),
            (r#"{"detail":"Not Found"}"#, "Not Found", ""),
            (r#"{"detail":[{"msg":"m"}]}"#, r#"[{"msg":"m"}]"#, ""),
            (r#"{"id":"1","name":"bad_request","errors":["a"]}"#, r#"["a"]"#, "bad_request"),
            ("<html>\nBad gateway</html>", "<html> Bad gateway</html>", ""),
            ("[1]", "", ""),
            ("", "", ""),
        ] {
            let said = said(&Reply { status: 400, headers: Vec::new(), body: Bytes::from_static(body.as_bytes()) });
            assert_eq!((said.message.as_str(), said.code.as_str()), (message, code), "{body}");
        }
    }

    #[test]
    fn statuses_have_outcomes() {
        use Outcome::*;
        for (status, outcome) in [
            (302, BadRequest),
            (400, BadRequest),
            (401, Auth),
            (402, OutOfFunds),
            (403, Auth),
            (404, BadRequest),
            (408, Ambiguous),
            (410, Retired),
            (413, BadRequest),
            (418, BadRequest),
            (422, BadRequest),
            (429, Throttled),
            (500, Transient),
            (501, BadRequest),
            (502, Ambiguous),
            (503, Transient),
            (504, Ambiguous),
            (520, Ambiguous),
            (522, Transient),
            (524, Ambiguous),
            (529, Transient),
            (999, Ambiguous),
            (0, Ambiguous),
            (204, Ambiguous),
        ] {
            assert_eq!(by_status(status).0, outcome, "{status}");
        }
    }
}
