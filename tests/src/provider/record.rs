//! Requests as they came, with their bodies taken apart.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

/// A request.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Counts from 1.
    pub number: u64,
    /// When its body was complete, since the provider started.
    pub at: Duration,
    /// Which connection it came on; counts from 1.
    pub connection: u64,
    /// Its method.
    pub method: String,
    /// Its path as it was sent.
    pub path: String,
    /// What stood behind the question mark, unescaped.
    pub query: Vec<(String, String)>,
    /// Its headers; names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Payload,
}

/// A request's body.
#[derive(Debug, Clone)]
pub enum Payload {
    /// There was none.
    None,
    /// It said that it is JSON, and is.
    Json(Value),
    /// A form.
    Form(Vec<Field>),
    /// Anything else.
    Other(Bytes),
}

/// A field of a form.
#[derive(Debug, Clone)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// The file's name, for a file.
    pub file_name: Option<String>,
    /// Its type, where it says one.
    pub mime: Option<String>,
    /// Its content.
    pub bytes: Bytes,
}

impl Field {
    /// Its content as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

impl Recorded {
    /// A header by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A value from behind the question mark.
    pub fn asked(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; null for any other.
    pub fn json(&self) -> &Value {
        match &self.body {
            Payload::Json(value) => value,
            _ => &Value::Null,
        }
    }

    /// The fields of the form; none for any other body.
    pub fn form(&self) -> &[Field] {
        match &self.body {
            Payload::Form(fields) => fields,
            _ => &[],
        }
    }

    /// A field of the form.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.form().iter().find(|field| field.name == name)
    }

    /// A value by name, whether JSON or a form carries it.
    pub fn value(&self, name: &str) -> Option<String> {
        match &self.body {
            Payload::Json(value) => match value.get(name)? {
                Value::String(text) => Some(text.clone()),
                Value::Null => None,
                other => Some(other.to_string()),
            },
            Payload::Form(_) => self.field(name).map(Field::text),
            _ => None,
        }
    }
}

/// Reads a body by its content type.
pub(super) fn payload(content_type: Option<&str>, body: Bytes) -> Payload {
    let kind = content_type.unwrap_or_default();
    if body.is_empty() {
        return Payload::None;
    }
    if kind.starts_with("application/json")
        && let Ok(value) = serde_json::from_slice(&body)
    {
        return Payload::Json(value);
    }
    if let Some(boundary) = boundary(kind)
        && let Some(fields) = form(&boundary, &body)
    {
        return Payload::Form(fields);
    }
    Payload::Other(body)
}

fn boundary(content_type: &str) -> Option<String> {
    let rest = content_type.strip_prefix("multipart/form-data")?;
    let value = rest.split(';').find_map(|part| part.trim().strip_prefix("boundary="))?;
    Some(value.trim_matches('"').to_owned())
}

/// The parts of a form (RFC 7578); `None` where the body is not one, to the last boundary.
fn form(boundary: &str, body: &Bytes) -> Option<Vec<Field>> {
    let line = format!("--{boundary}");
    let mark = format!("\r\n--{boundary}");
    let mut at = line.len();
    if !body.starts_with(line.as_bytes()) {
        return None;
    }
    let mut fields = Vec::new();
    loop {
        let rest = body.get(at..)?;
        if rest.starts_with(b"--") {
            return Some(fields);
        }
        let rest = rest.strip_prefix(b"\r\n")?;
        let start = at + 2;
        let head_end = find(rest, b"\r\n\r\n")?;
        let head = std::str::from_utf8(&rest[..head_end]).ok()?;
        let content = start + head_end + 4;
        let length = find(body.get(content..)?, mark.as_bytes())?;
        fields.push(field(head, body.slice(content..content + length))?);
        at = content + length + mark.len();
    }
}

fn field(head: &str, bytes: Bytes) -> Option<Field> {
    let line = |name: &str| {
        head.split("\r\n").find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    let disposition = line("content-disposition")?;
    let value = |name: &str| {
        let start = disposition.find(&format!("; {name}=\""))? + name.len() + 4;
        let rest = &disposition[start..];
        Some(rest[..rest.find('"')?].to_owned())
    };
    Some(Field {
        name: value("name")?,
        file_name: value("filename"),
        mime: line("content-type").map(str::to_owned),
        bytes,
    })
}

/// Where `needle` first lies; by its first byte, since forms are large and boundaries rare.
fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    loop {
        let at = from + hay.get(from..)?.iter().position(|byte| *byte == first)?;
        if hay[at..].starts_with(needle) {
            return Some(at);
        }
        from = at + 1;
    }
}

/// What stands behind a question mark.
pub(super) fn query(text: &str) -> Vec<(String, String)> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (unescape(name), unescape(value))
        })
        .collect()
}

/// Percent signs and pluses made letters again.
pub(super) fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        let pair = (*byte == b'%').then(|| after.get(..2)).flatten();
        let hex = pair.and_then(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        match hex {
            Some(value) => {
                bytes.push(value);
                rest = &after[2..];
            }
            None if *byte == b'+' => bytes.push(b' '),
            None => bytes.push(*byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
