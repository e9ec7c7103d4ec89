//! The plainest server: a `POST` of what is wanted, answered with the picture itself.
//!
//! The body is JSON with `prompt`, `width` and `height`, and where they are known `negative_prompt`, `seed`, `steps`,
//! `guidance` and `model`. The answer is a PNG, JPEG or WebP, or JSON with it in base64 as `image`. Errors are read from
//! the status, and from whatever the body says.

use serde_json::{Map, Value, json};
use thumbforge_core::job::Outcome;

use super::openai::{bearer, errors::shown};
use super::{Adapter, Body, Method, Protocol, Reply, Request, Stage, Step, read};
use crate::call::{Answer, AskedSize, Call, Picture, Task, Usage};
use crate::endpoint::{Endpoint, Secret};
use crate::fault::{Billed, Fault};
use crate::sniff::sniff;

/// The adapter.
pub(super) struct Post;

impl Adapter for Post {
    fn protocol(&self) -> Protocol {
        Protocol::Post
    }

    fn version(&self) -> u32 {
        1
    }

    fn keys(&self, endpoint: &Endpoint) -> Vec<(&'static str, Secret)> {
        bearer(endpoint)
    }

    fn begin(&self, _endpoint: &Endpoint, call: &Call) -> Result<Request, Fault> {
        if call.task != Task::Generate {
            let words = format!("ask {}: a plain POST sends no pictures", shown(&call.model));
            return Err(Fault::new(Outcome::BadRequest, words));
        }
        let mut fields = Map::new();
        let mut add = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        add("prompt", json!(call.prompt));
        if !call.negative.is_empty() {
            add("negative_prompt", json!(call.negative));
        }
        if let AskedSize::Pixels(size) = call.size {
            add("width", json!(size.width));
            add("height", json!(size.height));
        }
        if let Some(seed) = call.seed {
            add("seed", json!(seed));
        }
        if let Some(steps) = call.steps {
            add("steps", json!(steps));
        }
        if let Some(guidance) = call.guidance {
            add("guidance", json!(guidance));
        }
        if !call.model.is_empty() {
            add("model", json!(call.model));
        }
        let headers = vec![("accept".to_owned(), "image/png, image/jpeg, image/webp, application/json".to_owned())];
        let body = Body::Json(Value::Object(fields));
        Ok(Request { method: Method::Post, path: String::new(), query: Vec::new(), headers, body })
    }

    fn next(&self, endpoint: &Endpoint, call: &Call, _stage: Stage<'_>, reply: &Reply) -> Step {
        let head = format!("draw with {}: {} answered {}", shown(&call.model), endpoint.account, reply.status);
        if !(200..300).contains(&reply.status) {
            return Step::Failed(refused(reply, &head));
        }
        let done = |bytes, seed| {
            let pictures = vec![Picture { bytes, seed }];
            Step::Done(Answer { pictures, usage: Usage::default(), provider_id: None })
        };
        if sniff(&reply.body).is_some() {
            return done(reply.body.clone(), None);
        }
        let body = reply.json().unwrap_or_default();
        let image = body.get("image").or_else(|| body.pointer("/images/0")).and_then(Value::as_str);
        if let Some(bytes) = image.and_then(read::picture) {
            return done(bytes, body.get("seed").and_then(Value::as_u64));
        }
        let said = read::said(reply).message;
        let words = if said.is_empty() { format!("{head} without a picture") } else { format!("{head}: {said}") };
        Step::Failed(Fault::new(Outcome::Empty, words).billed(Billed::Unknown))
    }
}

fn refused(reply: &Reply, head: &str) -> Fault {
    let (outcome, range) = read::by_status(reply.status);
    let said = read::said(reply);
    let words = match (reply.status, said.message.as_str()) {
        (401, _) => format!("{head}: it does not take the account's key"),
        (_, "") => head.to_owned(),
        (_, message) => format!("{head}: {message}"),
    };
    let waits = matches!(outcome, Outcome::Throttled | Outcome::Transient);
    let delay = || read::retry_after_ms(reply).or_else(|| read::delay_in_words_ms(&said.message));
    Fault { retry_after_ms: waits.then(delay).flatten(), ..Fault::new(outcome, words).of(range) }
}

#[cfg(test)]
mod tests;
