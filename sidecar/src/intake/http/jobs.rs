//! What becomes of jobs, the pictures they ended with, and how the sidecar itself is.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use thumbforge_core::error::ErrorCode;
use thumbforge_core::id::{JobId, RealisedKey};
use thumbforge_core::job::JobState;
use thumbforge_core::limits;

use super::Door;
use super::body::Name;
use super::refusal::{Refusal, shown};
use crate::intake::in_thread;
use crate::journal::JobRow;

/// Jobs of a listing where no number is named.
const LISTING: usize = 100;
/// A key names its bytes for ever.
const FOR_EVER: &str = "private, max-age=31536000, immutable";

#[derive(Deserialize)]
pub(super) struct Which {
    state: Option<String>,
    limit: Option<usize>,
}

/// `GET /jobs?state=&limit=`, newest first.
pub(super) async fn list(
    State(door): State<Arc<Door>>,
    which: Result<Query<Which>, QueryRejection>,
) -> Result<Json<Value>, Refusal> {
    let Query(which) = which.map_err(|err| {
        Refusal::new(ErrorCode::InvalidRequest, format!("failed to read the query: {}", err.body_text()))
    })?;
    let state = which.state.as_deref().filter(|word| !word.is_empty()).map(state).transpose()?;
    let count = which.limit.unwrap_or(LISTING);
    if count > limits::LISTING_MAX {
        return Err(Refusal::field("limit", format!("list {count} jobs: at most {} at once", limits::LISTING_MAX)));
    }
    let intake = door.intake.clone();
    let rows = in_thread(move || intake.jobs(state, count)).await?;
    Ok(Json(json!({ "jobs": rows.iter().map(view).collect::<Vec<_>>() })))
}

fn state(word: &str) -> Result<JobState, Refusal> {
    JobState::from_word(word).ok_or_else(|| {
        let words: Vec<_> = JobState::ALL.into_iter().map(JobState::word).collect();
        Refusal::field("state", format!("list the state {:?}: there are {}", shown(word), words.join(", ")))
    })
}

/// `GET /jobs/{id}`.
pub(super) async fn one(State(door): State<Arc<Door>>, Name(id): Name) -> Result<Json<Value>, Refusal> {
    let (intake, id) = (door.intake.clone(), number(&id)?);
    Ok(Json(view(&in_thread(move || intake.job(id)).await?)))
}

/// `DELETE /jobs/{id}`: takes it back; one that has ended stays as it is.
pub(super) async fn cancel(State(door): State<Arc<Door>>, Name(id): Name) -> Result<Json<Value>, Refusal> {
    Ok(Json(view(&door.intake.cancel(number(&id)?).await?)))
}

/// `POST /jobs/{id}/resend`: buys again what a call was lost for, which a person decides, for it may be billed twice.
/// Who gives such a job up deletes it.
pub(super) async fn resend(State(door): State<Arc<Door>>, Name(id): Name) -> Result<Json<Value>, Refusal> {
    Ok(Json(view(&door.intake.resend(number(&id)?).await?)))
}

fn number(id: &str) -> Result<JobId, Refusal> {
    let not_one =
        |_| Refusal::new(ErrorCode::NotFound, format!("failed to find job {:?}: jobs have numbers", shown(id)));
    id.parse().map(JobId).map_err(not_one)
}

/// The row, and where its picture is.
fn view(row: &JobRow) -> Value {
    let mut view = json!(row);
    view["status"] = json!(row.state);
    view["picture"] = json!(row.realised_key.map(|key| format!("/renders/{key}.png")));
    view
}

/// `GET /renders/{key}.png`.
pub(super) async fn picture(
    State(door): State<Arc<Door>>,
    Name(file): Name,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let missing = || Refusal::new(ErrorCode::NotFound, format!("failed to find the picture {:?}", shown(&file)));
    let key: RealisedKey = file.strip_suffix(".png").and_then(|key| key.parse().ok()).ok_or_else(missing)?;
    let tag = format!("\"{key}\"");
    let lasting = [(header::ETAG, tag.clone()), (header::CACHE_CONTROL, FOR_EVER.to_owned())];
    if has(&headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, lasting).into_response());
    }
    let (_, bytes) = door.intake.picture(key).await.ok_or_else(missing)?;
    Ok((lasting, [(header::CONTENT_TYPE, "image/png")], bytes).into_response())
}

/// Whether the client says that it has the picture of this tag.
fn has(headers: &HeaderMap, tag: &str) -> bool {
    let tags = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    tags.flat_map(|value| value.split(',')).any(|held| held.trim().trim_start_matches("W/") == tag)
}

/// `GET /healthz`: 503 once the sidecar is stopping, so that a supervisor sends nothing more.
pub(super) async fn health(State(door): State<Arc<Door>>) -> Response {
    let stopping = door.intake.is_closed() || door.closing.is_cancelled();
    let (status, word) = if stopping { (StatusCode::SERVICE_UNAVAILABLE, "stopping") } else { (StatusCode::OK, "ok") };
    (status, Json(json!({ "status": word, "version": env!("CARGO_PKG_VERSION") }))).into_response()
}

/// `GET /metrics`.
pub(super) async fn metrics(State(door): State<Arc<Door>>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], door.intake.metrics_text()).into_response()
}
