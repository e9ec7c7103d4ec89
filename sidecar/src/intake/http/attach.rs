//! Which requests are one: a client that asks again because it heard no answer must not cause a second picture.
//!
//! | request | whose job it gets |
//! |---|---|
//! | says that it is a retry (`x-stainless-retry-count` of 1 and above, as OpenAI's clients do) | that of the same request before it, open or ended |
//! | the same, and no such request was let in, or its job ended more than an hour ago | as a new one |
//! | has an `Idempotency-Key` | that of the first request with this key, open or ended; with other contents it is refused |
//! | any other | a finished picture from the store, else an open job for the same recipe, else a new job |
//!
//! So a failure is told again to whoever asks again by itself, and a person who asks again after a failure has it drawn anew.
//! *The same* means the same client, path and fields, whatever their order or the boundary of the form; pictures count
//! by their bytes. The answer to that is durable: a request finds its job after a crash of the sidecar too.

use axum::http::HeaderMap;
use thumbforge_core::error::ErrorCode;
use thumbforge_core::id::{ContentHash, RequestKey};
use thumbforge_core::job::JobSpec;

use super::Door;
use super::body::Fields;
use super::refusal::Refusal;
use crate::intake::Ticket;

/// How long after its end a job answers for retries. OpenAI's clients wait ten minutes and ask again twice, so what
/// comes an hour later belongs to another request of which nothing was let in.
const ENDED_MS_MAX: u64 = 60 * 60 * 1000;
/// Longest `Idempotency-Key` in bytes, as its users have it elsewhere.
const NAME_BYTES_MAX: usize = 255;

/// What a request is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    hash: [u8; 32],
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A person or a program asks.
    Anew,
    /// A client asks again of its own accord.
    Again,
    /// The request has a name of its own.
    Named,
}

impl Identity {
    /// The identity of a request of `client` to `path`, with these fields and pictures.
    ///
    /// # Errors
    /// `invalid_request` for an `Idempotency-Key` that is none.
    pub(super) fn of(
        headers: &HeaderMap,
        client: &str,
        path: &str,
        fields: &Fields,
        pictures: &[ContentHash],
    ) -> Result<Self, Refusal> {
        let mut hasher = blake3::Hasher::new_derive_key("thumbforge http request, version 1");
        let mut part = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        part(client.as_bytes());
        let kind = if let Some(name) = headers.get("idempotency-key") {
            let name = name.as_bytes();
            if name.is_empty() || name.len() > NAME_BYTES_MAX {
                let message = format!("failed to read Idempotency-Key: it has 1 to {NAME_BYTES_MAX} bytes");
                return Err(Refusal::new(ErrorCode::InvalidRequest, message));
            }
            part(b"named");
            part(name);
            Kind::Named
        } else {
            part(b"contents");
            part(path.as_bytes());
            // Keys are sorted in this form, so that the same fields in another order are the same.
            part(&serde_json::to_vec(fields).unwrap_or_default());
            pictures.iter().for_each(|picture| part(picture.as_bytes()));
            let count = headers.get("x-stainless-retry-count").and_then(|count| count.to_str().ok());
            let again = count.and_then(|count| count.trim().parse::<u64>().ok()).is_some_and(|count| count > 0);
            if again { Kind::Again } else { Kind::Anew }
        };
        Ok(Self { hash: *hasher.finalize().as_bytes(), kind })
    }

    /// The key of the request's picture `nth`.
    fn key(&self, nth: u32) -> RequestKey {
        let hash = blake3::keyed_hash(&self.hash, &nth.to_le_bytes());
        let mut key = [0; 24];
        key.copy_from_slice(&hash.as_bytes()[..24]);
        RequestKey(key)
    }

    /// To be called before anything else of the request can fail: a request that is made anew is no longer what an
    /// earlier one was, so that its own retries never hear of that one's job.
    pub(super) async fn enter(&self, door: &Door, nth: u32) -> Result<(), Refusal> {
        let key = self.key(nth);
        let stale = match self.kind {
            Kind::Named => false,
            Kind::Anew => true,
            Kind::Again => {
                let now_ms = door.intake.now_ms();
                let old = |updated_ms: u64| now_ms.saturating_sub(updated_ms) > ENDED_MS_MAX;
                door.intake.requested(key)?.is_some_and(|job| job.state.is_final() && old(job.updated_ms))
            }
        };
        if stale {
            door.intake.forget_request(key).await?;
        }
        Ok(())
    }

    /// Whether there is a job that this request is to be told of, whatever the store has.
    ///
    /// # Errors
    /// Why the journal cannot be read.
    pub(super) fn is_known(&self, door: &Door, nth: u32) -> Result<bool, Refusal> {
        Ok(self.kind != Kind::Anew && door.intake.requested(self.key(nth))?.is_some())
    }

    /// Accepts the job of picture `nth`, or finds the one that this request has already.
    pub(super) async fn submit(&self, door: &Door, nth: u32, spec: JobSpec) -> Result<Ticket, Refusal> {
        let (intake, key, planned) = (door.intake.clone(), self.key(nth), spec.recipe.planned_key());
        // In a task of its own: a client that hangs up must not leave a job in the journal of which the dispatcher
        // never hears.
        let ticket = tokio::spawn(async move { intake.submit_as(key, spec).await })
            .await
            .map_err(|err| Refusal::new(ErrorCode::Internal, format!("failed to accept the job: {err}")))??;
        if self.kind == Kind::Named && door.intake.job(ticket.id)?.planned_key != planned {
            let message =
                "failed to accept the request: its Idempotency-Key belongs to another request; choose a new one";
            return Err(Refusal::new(ErrorCode::InvalidRequest, message)
                .with_status(axum::http::StatusCode::UNPROCESSABLE_ENTITY));
        }
        Ok(ticket)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::super::body;
    use super::*;

    fn identity(header: &str, client: &str, path: &str, json: &str, pictures: &[ContentHash]) -> Identity {
        let mut headers = HeaderMap::new();
        if let Some((name, value)) = header.split_once(": ") {
            let name = axum::http::HeaderName::try_from(name).unwrap();
            headers.insert(name, HeaderValue::try_from(value).unwrap());
        }
        Identity::of(&headers, client, path, &body::parse(json.as_bytes()).unwrap(), pictures).unwrap()
    }

    #[track_caller]
    fn check(header: &str, client: &str, path: &str, json: &str, same: bool, kind: Kind) {
        let first = identity("", "http:ada", "/p", r#"{"prompt":"a","n":2}"#, &[]);
        let other = identity(header, client, path, json, &[]);
        assert_eq!((first.hash == other.hash, other.kind), (same, kind), "{header} {client} {path} {json}");
    }

    #[test]
    fn what_is_the_same_request() {
        use Kind::*;
        let json = r#"{ "n": 2, "prompt": "a" }"#;
        check("", "http:ada", "/p", json, true, Anew);
        check("x-stainless-retry-count: 0", "http:ada", "/p", json, true, Anew);
        check("x-stainless-retry-count: none", "http:ada", "/p", json, true, Anew);
        check("x-stainless-retry-count: 1", "http:ada", "/p", json, true, Again);
        check("x-stainless-retry-count: 2", "http:ada", "/p", r#"{"n":3,"prompt":"a"}"#, false, Again);
        check("", "http:bob", "/p", json, false, Anew);
        check("", "http:ada", "/q", json, false, Anew);
        check("idempotency-key: k", "http:ada", "/p", json, false, Named);
    }

    #[test]
    fn a_name_stands_for_the_contents_and_belongs_to_its_client() {
        let named = |client, json| identity("idempotency-key: k", client, "/p", json, &[]);
        assert_eq!(named("http:ada", r#"{"a":1}"#), named("http:ada", r#"{"a":2}"#));
        assert_ne!(named("http:ada", "{}"), named("http:bob", "{}"));
        let mut headers = HeaderMap::new();
        headers.insert("idempotency-key", HeaderValue::try_from("k".repeat(NAME_BYTES_MAX + 1)).unwrap());
        assert!(Identity::of(&headers, "c", "/p", &Fields::new(), &[]).is_err());
    }

    #[test]
    fn pictures_count_by_their_bytes_and_each_of_several_has_a_key() {
        let (cat, dog) = (ContentHash::of(b"cat"), ContentHash::of(b"dog"));
        let of = |pictures: &[ContentHash]| identity("", "c", "/p", "{}", pictures);
        assert_eq!(of(&[cat]), of(&[cat]));
        assert_ne!(of(&[cat]), of(&[dog]));
        assert_ne!(of(&[cat, dog]), of(&[dog, cat]));
        assert_ne!(of(&[cat]).key(0), of(&[cat]).key(1));
    }
}
