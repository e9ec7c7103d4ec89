//! OpenAI's images calls, as the vendor and as the many servers that copy dall-e-3's form of them.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;

use super::{Asked, address, nth, pixels, work};
use crate::provider::picture::size_of;
use crate::provider::{Recorded, Reply, Shared};

pub(super) fn read(request: &Recorded) -> Option<Asked> {
    let edit = request.path.ends_with("/images/edits");
    if !edit && !request.path.ends_with("/images/generations") {
        return None;
    }
    let mut asked = Asked::new("openai", request.value("prompt").unwrap_or_default());
    asked.edit = edit;
    asked.model = request.value("model").unwrap_or_default();
    asked.pictures = request.value("n").and_then(|n| n.parse().ok()).unwrap_or(1);
    let given = request.form().iter().find(|field| matches!(field.name.as_str(), "image" | "image[]"));
    let given = given.and_then(|field| size_of(&field.bytes));
    let size = request.value("size").as_deref().and_then(pixels);
    asked.size = size.or(given).unwrap_or((1024, 1024));
    asked.seed = request.value("seed").and_then(|seed| seed.parse().ok());
    Some(asked)
}

/// What is wrong with a request, as the vendor's own server would say it.
fn wrong(request: &Recorded, asked: &Asked) -> Option<(&'static str, String)> {
    let ours = asked.model.starts_with("gpt-image");
    if asked.prompt.is_empty() {
        return Some(("prompt", "Missing required parameter: 'prompt'.".into()));
    }
    if asked.prompt.chars().count() > if ours { 32_000 } else { 4_000 } {
        return Some(("prompt", "Invalid 'prompt': string too long.".into()));
    }
    if ours && request.value("response_format").is_some() {
        return Some(("response_format", "Unknown parameter: 'response_format'.".into()));
    }
    if !(1..=10).contains(&asked.pictures) {
        return Some(("n", format!("Invalid value for 'n': {}.", asked.pictures)));
    }
    for name in ["seed", "negative_prompt", "steps", "cfg_scale"] {
        if ours && request.value(name).is_some() {
            return Some(("", format!("Unknown parameter: '{name}'.")));
        }
    }
    let size = request.value("size").unwrap_or_else(|| "auto".into());
    (size != "auto" && pixels(&size).is_none()).then(|| ("size", format!("Invalid value: '{size}'.")))
}

pub(super) async fn make(shared: &Arc<Shared>, request: &Recorded, asked: Asked) -> Reply {
    if let Some((param, message)) = wrong(request, &asked) {
        let code = if message.starts_with("Unknown") { "unknown_parameter" } else { "invalid_value" };
        let error = json!({"message": message, "type": "invalid_request_error", "param": param, "code": code});
        return Reply::json(400, &json!({ "error": error })).header("x-request-id", format!("req_{}", request.number));
    }
    work(shared, request, &asked).await;
    let asks_url = request.value("response_format").as_deref() == Some("url");
    let urls = shared.options.urls || (asks_url && !asked.model.starts_with("gpt-image"));
    // Base64 is shared between answers and never copied: benchmarks measure others by this server.
    let mut body = vec![Bytes::from_static(b"{\"created\":1795000000,\"data\":[")];
    for number in 0..asked.pictures {
        let comma = if number > 0 { "," } else { "" };
        if urls {
            body.push(format!("{comma}{{\"url\":\"{}\"}}", address(shared, &asked, number)).into());
        } else {
            body.push(format!("{comma}{{\"b64_json\":\"").into());
            body.push(nth(shared, &asked, number).base64);
            body.push(Bytes::from_static(b"\"}"));
        }
    }
    let words = asked.prompt.split_whitespace().count() as u64 + 4;
    let out = 272 * u64::from(asked.pictures);
    let details = json!({"text_tokens": words, "image_tokens": 0});
    let usage = json!({
        "input_tokens": words, "input_tokens_details": details, "output_tokens": out, "total_tokens": words + out,
    });
    let (width, height) = asked.size;
    let format = request.value("output_format").unwrap_or_else(|| "png".into());
    let quality = request.value("quality").unwrap_or_else(|| "medium".into());
    let tail = format!(
        "],\"background\":\"opaque\",\"output_format\":{},\"quality\":{},\"size\":\"{width}x{height}\",\"usage\":{usage}}}",
        json!(format),
        json!(quality),
    );
    body.push(tail.into());
    let mut reply = Reply::of(200, "application/json", Bytes::new());
    reply.body = body;
    reply.header("x-request-id", format!("req_{}", request.number))
}

pub(super) fn other(_shared: &Shared, request: &Recorded) -> Option<Reply> {
    (request.method == "GET" && request.path.ends_with("/v1/models")).then(|| {
        let model = |id: &str| json!({"id": id, "object": "model", "created": 1_795_000_000, "owned_by": "provider"});
        Reply::json(200, &json!({"object": "list", "data": [model("gpt-image-2.5-flare"), model("dall-e-3")]}))
    })
}
