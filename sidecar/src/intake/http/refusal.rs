//! Every failure in one shape: `{"error":{"message","type","param","code"}}`, which OpenAI's clients read too.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::id::JobId;

/// A request that gets no picture, and why.
#[derive(Debug)]
pub(super) struct Refusal {
    failure: Failure,
    /// Another status than the code's, where HTTP has a word that the codes have not.
    status: Option<StatusCode>,
    param: Option<String>,
    job: Option<JobId>,
    retry_after_s: Option<u64>,
}

impl Refusal {
    pub(super) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Failure::new(code, message).into()
    }

    /// A field that cannot be used.
    pub(super) fn field(param: &str, message: impl std::fmt::Display) -> Self {
        Self::new(ErrorCode::InvalidRequest, format!("failed to {message}")).with_param(param)
    }

    pub(super) fn with_param(self, param: &str) -> Self {
        Self { param: Some(shown(param)), ..self }
    }

    pub(super) fn with_status(self, status: StatusCode) -> Self {
        Self { status: Some(status), ..self }
    }

    /// The job that failed, which stays to be looked at.
    pub(super) fn with_job(self, job: JobId) -> Self {
        Self { job: Some(job), ..self }
    }

    pub(super) fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after_s: Some(seconds), ..self }
    }

    fn status(&self) -> StatusCode {
        self.status
            .or_else(|| StatusCode::from_u16(self.failure.code.http_status()).ok())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    #[cfg(test)]
    pub(super) fn told(&self) -> (u16, ErrorCode, Option<&str>, &str) {
        (self.status().as_u16(), self.failure.code, self.param.as_deref(), &self.failure.message)
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self { failure, status: None, param: None, job: None, retry_after_s: None }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = self.status();
        if status.is_server_error() {
            tracing::debug!(code = %self.failure.code, message = %self.failure.message, "a request failed");
        }
        let error = json!({ "error": {
            "message": self.failure.message,
            "type": kind(status),
            "param": self.param,
            "code": self.failure.code.word(),
        }});
        let mut response = (status, Json(error)).into_response();
        let headers = response.headers_mut();
        // A full queue empties within a second; a sidecar that stops is back within a few or not at all.
        let retry_after_s = self.retry_after_s.or(match self.failure.code {
            ErrorCode::QueueFull | ErrorCode::RateLimited => Some(1),
            ErrorCode::ShuttingDown => Some(5),
            _ => None,
        });
        if let Some(seconds) = retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        } else if status.is_server_error() {
            // OpenAI's clients ask again after any 5xx unless told that it changes nothing.
            headers.insert("x-should-retry", HeaderValue::from_static("false"));
        }
        if let Some(job) = self.job {
            headers.insert("x-thumbforge-job", HeaderValue::from(job.0));
        }
        response
    }
}

fn kind(status: StatusCode) -> &'static str {
    match status.as_u16() {
        403 => "permission_error",
        404 => "not_found_error",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        _ => "server_error",
    }
}

/// What a caller wrote, short enough to be shown and without anything that moves a cursor.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(80).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
