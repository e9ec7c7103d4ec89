//! Ideogram's two APIs. Pictures come as addresses, which this server answers itself.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Asked, address, bill, lock, pixels, ratio, string, work};
use crate::provider::picture::size_of;
use crate::provider::{Payload, Recorded, Reply, Shared};

pub(super) fn read(request: &Recorded) -> Option<Asked> {
    if let Some(rest) = request.path.strip_prefix("/v2/image/") {
        let mut asked = Asked::new("ideogram", request.value("prompt").unwrap_or_default());
        asked.model = rest.split('/').nth(1).unwrap_or_default().to_owned();
        asked.pictures = request.value("num_images").and_then(|n| n.parse().ok()).unwrap_or(1);
        asked.seed = request.value("seed").and_then(|seed| seed.parse().ok());
        let ratio = request.value("aspect_ratio").and_then(|text| ratio(&text, 1024.0 * 1024.0));
        let size = request.value("resolution").or_else(|| request.value("size"));
        let size = size.as_deref().and_then(pixels).or(ratio).or_else(|| given(request));
        asked.size = size.unwrap_or(asked.size);
        return Some(asked);
    }
    if !matches!(request.path.as_str(), "/generate" | "/edit" | "/remix" | "/upscale")
        && !request.path.starts_with("/v1/ideogram-v3/")
    {
        return None;
    }
    let mut asked = Asked::new("ideogram-v1", "");
    let inner = match &request.body {
        Payload::Json(body) => body.get("image_request").cloned().unwrap_or_else(|| body.clone()),
        _ => {
            let part = request.value("image_request").and_then(|text| serde_json::from_str(&text).ok());
            part.unwrap_or_else(|| {
                let field = |field: &crate::provider::Field| (field.name.clone(), Value::from(field.text()));
                Value::Object(request.form().iter().filter(|field| field.file_name.is_none()).map(field).collect())
            })
        }
    };
    asked.prompt = string(inner.get("prompt"));
    asked.model = string(inner.get("model"));
    let number = |name: &str| match inner.get(name)? {
        Value::String(text) => text.parse().ok(),
        value => value.as_u64(),
    };
    asked.pictures = number("num_images").unwrap_or(1) as u32;
    asked.seed = number("seed");
    let shape = string(inner.get("aspect_ratio"));
    let shape = ratio(shape.trim_start_matches("ASPECT_"), 1024.0 * 1024.0);
    let size = string(inner.get("resolution"));
    let size = pixels(size.trim_start_matches("RESOLUTION_"));
    asked.size = size.or(shape).or_else(|| given(request)).unwrap_or(asked.size);
    Some(asked)
}

/// The size of the picture that was sent.
fn given(request: &Recorded) -> Option<(u32, u32)> {
    request.form().iter().find_map(|field| size_of(&field.bytes))
}

fn data(shared: &Shared, asked: &Asked) -> Vec<Value> {
    let (width, height) = asked.size;
    (0..asked.pictures)
        .map(|number| {
            json!({
                "url": address(shared, asked, number), "prompt": asked.prompt,
                "resolution": format!("{width}x{height}"), "seed": asked.seed.unwrap_or(12345) + u64::from(number),
                "is_image_safe": true,
            })
        })
        .collect()
}

pub(super) async fn make(shared: &Arc<Shared>, request: &Recorded, asked: Asked) -> Reply {
    let upscale = request.path.contains("upscale");
    if asked.prompt.is_empty() && !upscale && !request.path.contains("/remove-") {
        return Reply::json(400, &json!({"error": "prompt is required"}));
    }
    if !(1..=8).contains(&asked.pictures) {
        return Reply::json(400, &json!({"error": "num_images must be between 1 and 8"}));
    }
    if asked.dialect == "ideogram-v1" {
        work(shared, request, &asked).await;
        return Reply::json(200, &json!({"created": "2026-11-20T10:00:00Z", "data": data(shared, &asked)}));
    }
    if request.asked("dry_run") == Some("true") {
        let micros = 60_000 * u64::from(asked.pictures);
        let body = json!({
            "object": "price_quote", "usd_micros": micros, "credit_millis": micros / 10, "qualifier": "exact",
            "upper_bound_usd_micros": micros, "billing_identifier": "ideogram_v3_generation", "quantity": asked.pictures,
        });
        return Reply::json(200, &body);
    }
    let id = lock(&shared.works).name("gen");
    let seed = asked.seed.unwrap_or(12345);
    if request.value("async").as_deref() == Some("true") {
        bill(shared, request, &asked);
        lock(&shared.works).begin(&id, asked, shared.options.polls);
        return Reply::json(200, &json!({"generation_id": id, "seed": seed}));
    }
    work(shared, request, &asked).await;
    let body = json!({"generation_id": id, "generation_kind": "sampling", "seed": seed, "data": data(shared, &asked)});
    Reply::json(200, &body)
}

pub(super) fn other(shared: &Shared, request: &Recorded) -> Option<Reply> {
    let id = request.path.strip_prefix("/v2/generations/")?;
    let polled = lock(&shared.works).poll(id);
    Some(match polled {
        None => Reply::json(404, &json!({"error": "generation not found"})),
        Some((work, false)) => {
            Reply::json(200, &json!({"generation_id": id, "status": "pending", "seed": work.asked.seed, "data": null}))
        }
        Some((work, true)) => {
            let micros = 60_000 * u64::from(work.asked.pictures);
            let body = json!({
                "generation_id": id, "status": "completed", "generation_kind": "sampling", "seed": work.asked.seed,
                "data": data(shared, &work.asked), "usage_cost_usd_micros": micros,
            });
            Reply::json(200, &body)
        }
    })
}
