//! Servers of one's own: AUTOMATIC1111, ComfyUI, stable-diffusion.cpp, and a plain POST.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Asked, bill, lock, nth, string, work};
use crate::provider::picture::size_of;
use crate::provider::{Recorded, Reply, Shared};

pub(super) fn read(request: &Recorded) -> Option<Asked> {
    let body = request.json();
    let size = |body: &Value| {
        let side = |name: &str| body.get(name).and_then(Value::as_u64).unwrap_or(512).clamp(1, 4096) as u32;
        (side("width"), side("height"))
    };
    let seed = |value: Option<&Value>| value.and_then(Value::as_i64).and_then(|seed| u64::try_from(seed).ok());
    match request.path.as_str() {
        "/sdapi/v1/txt2img" | "/sdapi/v1/img2img" => {
            let mut asked = Asked::new("a1111", string(body.get("prompt")));
            asked.model = string(body.pointer("/override_settings/sd_model_checkpoint"));
            asked.size = size(body);
            asked.seed = seed(body.get("seed"));
            let count = |name: &str| body.get(name).and_then(Value::as_u64).unwrap_or(1).clamp(1, 16) as u32;
            asked.pictures = count("batch_size") * count("n_iter");
            Some(asked)
        }
        "/sdapi/v1/extra-single-image" => {
            let mut asked = Asked::new("a1111", "");
            let given = STANDARD.decode(string(body.get("image"))).ok().and_then(|png| size_of(&png));
            let (width, height) = given.unwrap_or((64, 64));
            let factor = body.get("upscaling_resize").and_then(Value::as_f64).unwrap_or(2.0).clamp(1.0, 8.0);
            asked.size = ((f64::from(width) * factor) as u32, (f64::from(height) * factor) as u32);
            Some(asked)
        }
        "/prompt" => {
            let graph = body.get("prompt").and_then(Value::as_object)?;
            let node = |kind: &str| graph.values().find(|node| string(node.get("class_type")).contains(kind));
            // Which text is the positive one, the sampler says: its input names the node.
            let sampler = node("KSampler").and_then(|node| node.get("inputs"));
            let positive = sampler.and_then(|inputs| inputs.pointer("/positive/0")).and_then(Value::as_str);
            let positive = positive.and_then(|name| graph.get(name)).or_else(|| node("CLIPTextEncode"));
            let mut asked = Asked::new("comfyui", string(positive.and_then(|node| node.pointer("/inputs/text"))));
            asked.model = string(node("CheckpointLoader").and_then(|node| node.pointer("/inputs/ckpt_name")));
            asked.size = node("Latent").and_then(|node| node.get("inputs")).map_or((512, 512), size);
            asked.seed = seed(sampler.and_then(|inputs| inputs.get("seed")));
            Some(asked)
        }
        "/sdcpp/v1/img_gen" => {
            let mut asked = Asked::new("sdcpp", string(body.get("prompt")));
            asked.size = size(body);
            asked.seed = seed(body.get("seed"));
            asked.pictures = body.get("batch_count").and_then(Value::as_u64).unwrap_or(1).clamp(1, 16) as u32;
            Some(asked)
        }
        path if path.starts_with("/post") => {
            let mut asked = Asked::new("post", request.value("prompt").unwrap_or_default());
            asked.size = size(body);
            asked.seed = seed(body.get("seed"));
            Some(asked)
        }
        _ => None,
    }
}

fn base64(shared: &Shared, asked: &Asked, number: u32) -> String {
    String::from_utf8_lossy(&nth(shared, asked, number).base64).into_owned()
}

pub(super) async fn make(shared: &Arc<Shared>, request: &Recorded, asked: Asked) -> Reply {
    match (asked.dialect, request.path.as_str()) {
        ("a1111", "/sdapi/v1/extra-single-image") => {
            work(shared, request, &asked).await;
            Reply::json(200, &json!({"html_info": "", "image": base64(shared, &asked, 0)}))
        }
        ("a1111", _) => {
            work(shared, request, &asked).await;
            let seed = asked.seed.unwrap_or(1_234_567);
            let seeds: Vec<u64> = (0..u64::from(asked.pictures)).map(|number| seed + number).collect();
            let info = json!({"prompt": asked.prompt, "seed": seed, "all_seeds": seeds, "infotexts": []});
            let images: Vec<String> = (0..asked.pictures).map(|number| base64(shared, &asked, number)).collect();
            Reply::json(200, &json!({"images": images, "parameters": request.json(), "info": info.to_string()}))
        }
        ("comfyui", _) => prompt(shared, request, asked),
        ("sdcpp", _) => {
            if asked.prompt.is_empty() {
                return Reply::json(400, &json!({"error": "prompt required"}));
            }
            bill(shared, request, &asked);
            let mut works = lock(&shared.works);
            let id = works.name("job_");
            works.begin(&id, asked, shared.options.polls);
            let poll = format!("/sdcpp/v1/jobs/{id}");
            Reply::json(
                202,
                &json!({"id": id, "kind": "img_gen", "status": "queued", "created": 1_795_000_000, "poll_url": poll}),
            )
        }
        _ => {
            work(shared, request, &asked).await;
            Reply::of(200, "image/png", nth(shared, &asked, 0).png)
        }
    }
}

/// ComfyUI queues a graph under the asker's own name for it. A second one of the same name is a second one.
fn prompt(shared: &Shared, request: &Recorded, asked: Asked) -> Reply {
    let body = request.json();
    let graph = body.get("prompt").and_then(Value::as_object);
    let saves = graph.is_some_and(|graph| graph.values().any(|node| string(node.get("class_type")) == "SaveImage"));
    if !saves {
        let error = json!({
            "type": "prompt_no_outputs", "message": "Prompt has no outputs", "details": "", "extra_info": {},
        });
        return Reply::json(400, &json!({"error": error, "node_errors": {}}));
    }
    bill(shared, request, &asked);
    let mut works = lock(&shared.works);
    let own = string(body.get("prompt_id"));
    let id = if own.is_empty() { works.name("prompt") } else { own };
    works.begin(&id, asked, shared.options.polls);
    Reply::json(200, &json!({"prompt_id": id, "number": request.number, "node_errors": {}}))
}

pub(super) fn other(shared: &Shared, request: &Recorded) -> Option<Reply> {
    let path = request.path.as_str();
    if let Some(id) = path.strip_prefix("/history/") {
        let polled = lock(&shared.works).poll(id);
        return Some(match polled {
            Some((work, true)) if !work.cancelled => {
                let image = json!({"filename": format!("{id}.png"), "subfolder": "", "type": "output"});
                let status = json!({"status_str": "success", "completed": true, "messages": []});
                Reply::json(200, &json!({id: {"prompt": [], "outputs": {"9": {"images": [image]}}, "status": status}}))
            }
            _ => Reply::json(200, &json!({})),
        });
    }
    match (request.method.as_str(), path) {
        ("GET", "/queue") => {
            let works = lock(&shared.works);
            let open = works.works.iter().filter(|(_, work)| work.asked.dialect == "comfyui" && !work.cancelled);
            let running: Vec<Value> = open.map(|(id, _)| json!([0, id, {}, {}, ["9"]])).collect();
            Some(Reply::json(200, &json!({"queue_running": running, "queue_pending": []})))
        }
        ("POST", "/queue") => {
            let names = request.json().get("delete").and_then(Value::as_array).cloned().unwrap_or_default();
            let mut works = lock(&shared.works);
            for name in names.iter().filter_map(Value::as_str) {
                works.works.remove(name);
            }
            Some(Reply::of(200, "text/plain", ""))
        }
        ("GET", "/view") => {
            let id = request.asked("filename")?.strip_suffix(".png")?;
            let polled = lock(&shared.works).poll(id);
            Some(match polled {
                Some((work, _)) => Reply::of(200, "image/png", nth(shared, &work.asked, 0).png),
                None => Reply::of(404, "text/plain", ""),
            })
        }
        _ => job(shared, request, path.strip_prefix("/sdcpp/v1/jobs/")?),
    }
}

/// A job of stable-diffusion.cpp: how it stands, or its end.
fn job(shared: &Shared, request: &Recorded, rest: &str) -> Option<Reply> {
    let mut works = lock(&shared.works);
    if let Some(id) = rest.strip_suffix("/cancel") {
        let Some(work) = works.works.get_mut(id) else {
            return Some(Reply::json(404, &json!({"error": "job not found"})));
        };
        work.cancelled = true;
        return Some(Reply::json(200, &json!({"id": id, "status": "cancelled"})));
    }
    if request.method != "GET" {
        return None;
    }
    let polled = works.poll(rest);
    drop(works);
    let state =
        |status: &str, result: Value| json!({"id": rest, "kind": "img_gen", "status": status, "result": result});
    Some(match polled {
        None => Reply::json(404, &json!({"error": "job not found"})),
        Some((work, _)) if work.cancelled => Reply::json(200, &state("cancelled", Value::Null)),
        Some((_, false)) => Reply::json(200, &state("generating", Value::Null)),
        Some((work, true)) => {
            let images: Vec<Value> = (0..work.asked.pictures)
                .map(|number| json!({"index": number, "b64_json": base64(shared, &work.asked, number)}))
                .collect();
            Reply::json(200, &state("completed", json!({"output_format": "png", "images": images})))
        }
    })
}
