//! Every failure in one shape: `{"error":{"message","type","param","code"}}`, which OpenAI's clients read too.
//!
//! Those clients ask again by themselves after 408, 409, 429 and everything from 500 up. So every refusal says with
//! `x-should-retry` whether that helps: `true`, with a time, where the sidecar will take the same request a moment
//! later; `false` wherever the answer would be the same, or where asking again could cost money.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
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

    /// The field that is to blame, where none is named yet.
    pub(super) fn or_param(self, param: &str) -> Self {
        if self.param.is_some() { self } else { self.with_param(param) }
    }

    pub(super) fn with_status(self, status: StatusCode) -> Self {
        Self { status: Some(status), ..self }
    }

    /// The job that failed, which stays to be looked at.
    pub(super) fn with_job(self, job: JobId) -> Self {
        Self { job: Some(job), ..self }
    }

    pub(super) fn with_retry_after(self, seconds: u64) -> Self {
        Self { retry_after_s: Some(seconds), ..self }
    }

    pub(super) fn code(&self) -> ErrorCode {
        self.failure.code
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

impl Refusal {
    /// The failure as the original's clients read it, in answers and in streams.
    pub(super) fn object(&self) -> Value {
        json!({ "error": {
            "message": self.failure.message,
            "type": kind(self.failure.code, self.status()),
            "param": self.param,
            "code": self.failure.code.word(),
        }})
    }

    /// Seconds after which the same request is likely to be taken; `None` where asking again mends nothing.
    fn retry_after(&self) -> Option<u64> {
        self.retry_after_s.or(match self.failure.code {
            // A full queue empties within a second; a sidecar that stops is back within a few or not at all.
            ErrorCode::QueueFull | ErrorCode::RateLimited => Some(1),
            ErrorCode::ShuttingDown => Some(5),
            _ if self.status() == StatusCode::REQUEST_TIMEOUT => Some(1),
            _ => None,
        })
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = self.status();
        if status.is_server_error() {
            tracing::debug!(code = %self.failure.code, message = %self.failure.message, "a request failed");
        }
        let mut response = (status, Json(self.object())).into_response();
        let headers = response.headers_mut();
        let retry_after_s = self.retry_after();
        if let Some(seconds) = retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        let word = if retry_after_s.is_some() { "true" } else { "false" };
        headers.insert("x-should-retry", HeaderValue::from_static(word));
        if let Some(job) = self.job {
            headers.insert("x-thumbforge-job", HeaderValue::from(job.0));
        }
        response
    }
}

/// The original's word for a kind of failure.
fn kind(code: ErrorCode, status: StatusCode) -> &'static str {
    match (code, status.as_u16()) {
        // The original's accounts without credit have this word too.
        (ErrorCode::OverBudget | ErrorCode::OutOfFunds, _) => "insufficient_quota",
        (_, 403) => "permission_error",
        (_, 404) => "not_found_error",
        (_, 429) => "rate_limit_error",
        (_, 400..=499) => "invalid_request_error",
        _ => "server_error",
    }
}

/// What a caller wrote, short enough to be shown and without anything that moves a cursor.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(80).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Status, type, whether to ask again, and after how long.
    #[track_caller]
    fn check(code: ErrorCode, expected: (u16, &str, &str, Option<&str>)) {
        let response = Refusal::new(code, "failed to test").into_response();
        let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap());
        let object = Refusal::new(code, "failed to test").object();
        let told = (
            response.status().as_u16(),
            object["error"]["type"].as_str().unwrap(),
            header("x-should-retry").unwrap(),
            header("retry-after"),
        );
        assert_eq!(told, expected, "{code}");
        let keys: Vec<_> = object["error"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["code", "message", "param", "type"]);
    }

    #[test]
    fn what_each_code_makes_of_a_client() {
        use ErrorCode::*;
        check(InvalidRequest, (400, "invalid_request_error", "false", None));
        check(QueueFull, (503, "server_error", "true", Some("1")));
        check(ShuttingDown, (503, "server_error", "true", Some("5")));
        check(RateLimited, (429, "rate_limit_error", "true", Some("1")));
        check(ModelUnavailable, (503, "server_error", "false", None));
        check(Cancelled, (409, "invalid_request_error", "false", None));
        check(DeadlineExceeded, (504, "server_error", "false", None));
        check(Forbidden, (403, "permission_error", "false", None));
        check(NotFound, (404, "not_found_error", "false", None));
        check(Ambiguous, (409, "invalid_request_error", "false", None));
        check(OverBudget, (402, "insufficient_quota", "false", None));
        check(UnknownPrice, (400, "invalid_request_error", "false", None));
        check(ModelRetired, (410, "invalid_request_error", "false", None));
        check(LicenceDenied, (403, "permission_error", "false", None));
        check(PolicyDenied, (403, "permission_error", "false", None));
        check(ContentPolicy, (400, "invalid_request_error", "false", None));
        check(ProviderFailed, (502, "server_error", "false", None));
        check(ProviderAuth, (502, "server_error", "false", None));
        check(OutOfFunds, (402, "insufficient_quota", "false", None));
        check(EngineFailed, (500, "server_error", "false", None));
    }

    #[test]
    fn clients_know_a_refusal_of_the_prompt_by_its_word() {
        let object = Refusal::new(ErrorCode::ContentPolicy, "failed to draw").object();
        assert_eq!(object["error"]["code"], "content_policy_violation");
    }
}
