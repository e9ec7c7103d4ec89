//! Google's `generateContent`, on the Gemini API and on Vertex, and Imagen's `predict`.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Asked, nth, ratio, string, work};
use crate::provider::{Recorded, Reply, Shared};

pub(super) fn read(request: &Recorded) -> Option<Asked> {
    let body = request.json();
    let (front, verb) = request.path.rsplit_once(':')?;
    let model = front.rsplit('/').next()?.to_owned();
    let mut asked = match verb {
        "generateContent" => {
            let parts =
                body.pointer("/contents/0/parts").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let words: Vec<&str> = parts.iter().filter_map(|part| part.get("text")?.as_str()).collect();
            let mut asked = Asked::new("gemini", words.join("\n"));
            let image = body.pointer("/generationConfig/imageConfig").unwrap_or(&Value::Null);
            let area = match string(image.get("imageSize")).as_str() {
                "4K" => 4.0 * 1024.0 * 1024.0 * 4.0,
                "2K" => 4.0 * 1024.0 * 1024.0,
                _ => 1024.0 * 1024.0,
            };
            asked.size = ratio(&string(image.get("aspectRatio")), area).unwrap_or(asked.size);
            asked.seed = body.pointer("/generationConfig/seed").and_then(Value::as_u64);
            asked
        }
        "predict" => {
            let mut asked = Asked::new("imagen", string(body.pointer("/instances/0/prompt")));
            let parameters = body.get("parameters").unwrap_or(&Value::Null);
            asked.size = ratio(&string(parameters.get("aspectRatio")), 1024.0 * 1024.0).unwrap_or(asked.size);
            asked.seed = parameters.get("seed").and_then(Value::as_u64);
            asked.pictures = parameters.get("sampleCount").and_then(Value::as_u64).unwrap_or(1).clamp(1, 4) as u32;
            asked
        }
        _ => return None,
    };
    asked.model = model;
    Some(asked)
}

/// An error of `google.rpc.Status`.
fn error(code: u16, status: &str, message: &str) -> Reply {
    Reply::json(code, &json!({"error": {"code": code, "message": message, "status": status}}))
}

pub(super) async fn make(shared: &Arc<Shared>, request: &Recorded, asked: Asked) -> Reply {
    if asked.prompt.is_empty() {
        return error(400, "INVALID_ARGUMENT", "contents is not specified");
    }
    let words = asked.prompt.split_whitespace().count();
    if asked.dialect == "imagen" {
        work(shared, request, &asked).await;
        let prediction = |number| {
            let base64 = String::from_utf8_lossy(&nth(shared, &asked, number).base64).into_owned();
            json!({"bytesBase64Encoded": base64, "mimeType": "image/png"})
        };
        let predictions: Vec<Value> = (0..asked.pictures).map(prediction).collect();
        return Reply::json(200, &json!({ "predictions": predictions }));
    }
    let size = string(request.json().pointer("/generationConfig/imageConfig/imageSize"));
    if !matches!(size.as_str(), "" | "1K" | "2K" | "4K") {
        return error(400, "INVALID_ARGUMENT", "Invalid value at 'generation_config.image_config.image_size'");
    }
    work(shared, request, &asked).await;
    let base64 = String::from_utf8_lossy(&nth(shared, &asked, 0).base64).into_owned();
    let parts = json!([
        {"text": "Thinking of foxes.", "thought": true},
        {"inlineData": {"mimeType": "image/png", "data": base64}},
    ]);
    let candidate = json!({"index": 0, "finishReason": "STOP", "content": {"role": "model", "parts": parts}});
    let usage = json!({"promptTokenCount": words, "candidatesTokenCount": 1120, "totalTokenCount": words + 1120});
    let body = json!({
        "candidates": [candidate], "usageMetadata": usage, "modelVersion": asked.model,
        "responseId": format!("resp{}", request.number),
    });
    Reply::json(200, &body)
}
