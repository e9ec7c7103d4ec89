//! What a request brings. Its body is bounded in bytes and in time, and JSON whatever its Content-Type says
//! (`curl -d` calls it a form, and old scripts do not care).

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use futures_util::StreamExt;
use serde_json::{Map, Value};
use thumbforge_core::error::ErrorCode;
use thumbforge_core::limits;

use super::refusal::Refusal;

/// How long a body may take: a megabyte over the worst of office networks.
const TIME_MAX: Duration = Duration::from_secs(30);
/// Bytes beyond the bound that are read and forgotten, so that a client which sends all before it listens hears the refusal.
const FORGOTTEN_MAX: usize = 16 << 20;

/// The last part of a path, as text.
pub(super) struct Name(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let name = Path::from_request_parts(parts, state).await;
        let unread =
            |_| Refusal::new(ErrorCode::NotFound, "failed to read the path: it is not UTF-8 with percent signs");
        name.map(|Path(name)| Self(name)).map_err(unread)
    }
}

/// The fields of a JSON object.
pub(super) type Fields = Map<String, Value>;

/// Reads a body of at most [`limits::TEXT_BODY_BYTES_MAX`].
pub(super) async fn fields(body: Body) -> Result<Fields, Refusal> {
    let bytes = tokio::time::timeout(TIME_MAX, bytes(body)).await.unwrap_or_else(|_| {
        let message = format!("failed to read the body: it did not come within {} s", TIME_MAX.as_secs());
        Err(Refusal::new(ErrorCode::InvalidRequest, message).with_status(axum::http::StatusCode::REQUEST_TIMEOUT))
    })?;
    parse(&bytes)
}

/// Reads and forgets a body, for a request that is refused whatever it holds.
pub(super) async fn forget(body: Body) {
    let _ = tokio::time::timeout(TIME_MAX, bytes(body)).await;
}

async fn bytes(body: Body) -> Result<Vec<u8>, Refusal> {
    let mut chunks = body.into_data_stream();
    let (mut kept, mut size) = (Vec::new(), 0_usize);
    while let Some(chunk) = chunks.next().await {
        let chunk: Bytes =
            chunk.map_err(|err| Refusal::new(ErrorCode::InvalidRequest, format!("failed to read the body: {err}")))?;
        size += chunk.len();
        if size <= limits::TEXT_BODY_BYTES_MAX {
            kept.extend_from_slice(&chunk);
        } else if size > limits::TEXT_BODY_BYTES_MAX + FORGOTTEN_MAX {
            break;
        }
    }
    if size > limits::TEXT_BODY_BYTES_MAX {
        let message = format!("failed to read the body: at most {} bytes are read here", limits::TEXT_BODY_BYTES_MAX);
        return Err(Refusal::new(ErrorCode::TooLarge, message));
    }
    Ok(kept)
}

/// The fields of a JSON object in UTF-8, with or without a byte order mark.
pub(super) fn parse(bytes: &[u8]) -> Result<Fields, Refusal> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.trim_ascii().is_empty() {
        let message = r#"failed to read the body: it is empty; send JSON, as in {"prompt":"a sword on a table"}"#;
        return Err(Refusal::new(ErrorCode::InvalidRequest, message));
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(Refusal::new(ErrorCode::InvalidRequest, "failed to read the body: it is JSON but not an object")),
        Err(err) => Err(Refusal::new(ErrorCode::InvalidRequest, format!("failed to read the body as JSON: {err}"))),
    }
}
