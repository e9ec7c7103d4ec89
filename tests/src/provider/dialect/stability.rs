//! Stability's v2beta: forms in, a picture's bytes or JSON out, and one call that is polled.

use std::sync::Arc;

use serde_json::json;

use super::{Asked, bill, lock, nth, ratio, work};
use crate::provider::picture::size_of;
use crate::provider::{Payload, Recorded, Reply, Shared};

pub(super) fn read(request: &Recorded) -> Option<Asked> {
    let rest = request.path.strip_prefix("/v2beta/stable-image/")?;
    let mut asked = Asked::new("stability", request.value("prompt").unwrap_or_default());
    asked.model = request.value("model").unwrap_or_else(|| rest.to_owned());
    asked.seed = request.value("seed").and_then(|seed| seed.parse().ok()).filter(|seed| *seed != 0);
    let given = request.field("image").and_then(|field| size_of(&field.bytes));
    let factor = if rest == "upscale/fast" { 4 } else { 1 };
    let given = given.map(|(width, height)| (width * factor, height * factor));
    let shape = request.value("aspect_ratio").and_then(|text| ratio(&text, 1024.0 * 1024.0));
    asked.size = given.or(shape).unwrap_or(asked.size);
    Some(asked)
}

fn error(status: u16, name: &str, message: &str) -> Reply {
    Reply::json(status, &json!({"id": "1f2e", "name": name, "errors": [message]}))
}

fn wrong(request: &Recorded, asked: &Asked) -> Option<&'static str> {
    let path = request.path.as_str();
    if !matches!(request.body, Payload::Form(_)) {
        return Some("content-type: must be multipart/form-data");
    }
    if asked.prompt.is_empty() && !path.ends_with("upscale/fast") && !path.ends_with("/erase") {
        return Some("prompt: cannot be blank");
    }
    if !path.contains("/generate/") && request.field("image").is_none() {
        return Some("image: is required");
    }
    let strength = request.value("mode").as_deref() == Some("image-to-image");
    if path.ends_with("/sd3") && strength && (request.value("strength").is_none() || request.field("image").is_none()) {
        return Some("strength: is required in image-to-image mode");
    }
    None
}

/// The picture in the form that was asked for.
fn deliver(shared: &Shared, request: &Recorded, asked: &Asked, field: &str) -> Reply {
    let picture = nth(shared, asked, 0);
    let seed = asked.seed.unwrap_or(343_940_597);
    if request.header("accept").is_some_and(|accept| accept.contains("application/json")) {
        let base64 = String::from_utf8_lossy(&picture.base64).into_owned();
        return Reply::json(200, &json!({field: base64, "seed": seed, "finish_reason": "SUCCESS"}));
    }
    Reply::of(200, "image/png", picture.png)
        .header("finish-reason", "SUCCESS")
        .header("seed", seed.to_string())
        .header("x-request-id", format!("req{}", request.number))
}

pub(super) async fn make(shared: &Arc<Shared>, request: &Recorded, asked: Asked) -> Reply {
    if let Some(message) = wrong(request, &asked) {
        return error(400, "bad_request", message);
    }
    if request.path.ends_with("upscale/creative") {
        bill(shared, request, &asked);
        let mut works = lock(&shared.works);
        let id = works.name("st");
        works.begin(&id, asked, shared.options.polls);
        return Reply::json(200, &json!({ "id": id }));
    }
    work(shared, request, &asked).await;
    deliver(shared, request, &asked, "image")
}

pub(super) fn other(shared: &Shared, request: &Recorded) -> Option<Reply> {
    let id = request.path.strip_prefix("/v2beta/results/")?;
    let polled = lock(&shared.works).poll(id);
    Some(match polled {
        None => error(404, "not_found", "result not found or expired"),
        Some((_, false)) => Reply::json(202, &json!({"id": id, "status": "in-progress"})),
        Some((work, true)) => deliver(shared, request, &work.asked, "result"),
    })
}
