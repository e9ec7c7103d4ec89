//! What a request brings. Its body is bounded in bytes and in time, and JSON whatever its Content-Type says
//! (`curl -d` calls it a form, and old scripts do not care).

use std::future::Future;
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
    let bytes = within(TIME_MAX, bytes(body, limits::TEXT_BODY_BYTES_MAX)).await?;
    parse(&bytes)
}

/// What comes of reading a body, if it comes in time.
pub(super) async fn within<T>(
    time_max: Duration,
    reading: impl Future<Output = Result<T, Refusal>>,
) -> Result<T, Refusal> {
    tokio::time::timeout(time_max, reading).await.unwrap_or_else(|_| {
        let message = format!("failed to read the body: it did not come within {} s", time_max.as_secs());
        Err(Refusal::new(ErrorCode::InvalidRequest, message).with_status(axum::http::StatusCode::REQUEST_TIMEOUT))
    })
}

/// A whole body of at most `bytes_max`.
pub(super) async fn bytes(body: Body, bytes_max: usize) -> Result<Vec<u8>, Refusal> {
    let mut chunks = body.into_data_stream();
    let (mut kept, mut size) = (Vec::new(), 0_usize);
    while let Some(chunk) = chunks.next().await {
        let chunk: Bytes =
            chunk.map_err(|err| Refusal::new(ErrorCode::InvalidRequest, format!("failed to read the body: {err}")))?;
        size += chunk.len();
        if size <= bytes_max {
            kept.extend_from_slice(&chunk);
        } else if size > bytes_max + FORGOTTEN_MAX {
            break;
        }
    }
    if size > bytes_max { Err(too_large(bytes_max)) } else { Ok(kept) }
}

/// The refusal of a body that is longer than `bytes_max`.
pub(super) fn too_large(bytes_max: usize) -> Refusal {
    let message = format!("failed to read the body: at most {bytes_max} bytes are read here");
    Refusal::new(ErrorCode::TooLarge, message)
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
