//! Ideogram's first API: `/generate`, `/edit`, `/remix` and `/upscale`. It answers when the pictures are drawn, and knows no
//! id: a call whose connection breaks cannot be asked after.
//!
//! Its field names and enums are those of the vendor's description of 2026-06-17. Sizes are one of eleven ratios, or, for
//! version 2 alone, one of 78 resolutions. Errors and billing are those of the second API.

use serde_json::{Map, Value, json};

use super::ideogram::{self, COUNT_MAX, SEED_MAX};
use super::vendor::{self, Form, bad};
use super::{Adapter, Body, Method, Protocol, Reply, Request, Stage, Step};
use crate::call::{AskedSize, Call, Task};
use crate::endpoint::{Endpoint, Secret};
use crate::fault::Fault;

/// Its name in messages.
const WHO: &str = "Ideogram";

/// Largest picture and mask of `/edit`.
const PICTURE_BYTES_MAX: usize = 10 * 1024 * 1024;

/// The ratios that it has, as "16:9".
const RATIOS: [&str; 11] = ["10:16", "16:10", "9:16", "16:9", "3:2", "2:3", "4:3", "3:4", "1:1", "1:3", "3:1"];

/// Ideogram's first API.
#[derive(Debug, Clone, Copy)]
pub(super) struct IdeogramV1;

impl Adapter for IdeogramV1 {
    fn protocol(&self) -> Protocol {
        Protocol::IdeogramV1
    }

    fn version(&self) -> u32 {
        1
    }

    fn keys(&self, endpoint: &Endpoint) -> Vec<(&'static str, Secret)> {
        endpoint.key.iter().map(|key| ("api-key", key.clone())).collect()
    }

    fn begin(&self, _endpoint: &Endpoint, call: &Call) -> Result<Request, Fault> {
        check(call)?;
        let (path, body) = match call.task {
            Task::Generate => ("/generate", Body::Json(json!({"image_request": image_request(call)?}))),
            Task::Edit if call.mask.is_some() => ("/edit", Body::Multipart(edit(call).0)),
            Task::Edit => ("/remix", Body::Multipart(with_image(call, &remix(call)?).0)),
            Task::Upscale => ("/upscale", Body::Multipart(with_image(call, &upscale(call)).0)),
        };
        Ok(Request { method: Method::Post, path: path.to_owned(), query: Vec::new(), headers: Vec::new(), body })
    }

    fn next(&self, endpoint: &Endpoint, _call: &Call, _stage: Stage<'_>, reply: &Reply) -> Step {
        if !(200..300).contains(&reply.status) {
            return Step::Failed(ideogram::refused(WHO, endpoint, reply));
        }
        match reply.json().filter(|body| body.get("data").is_some_and(Value::is_array)) {
            Some(body) => ideogram::delivered(WHO, endpoint, &body, None),
            None => Step::Failed(vendor::unreadable(WHO, reply)),
        }
    }
}

fn check(call: &Call) -> Result<(), Fault> {
    let edits = call.task != Task::Generate;
    let negative = matches!(call.model.as_str(), "V_1" | "V_1_TURBO" | "V_2" | "V_2_TURBO");
    // Neither `/edit` nor `/upscale` has the field.
    let negative = negative && (call.task == Task::Generate || (call.task == Task::Edit && call.mask.is_none()));
    let weighed = call.task == Task::Upscale || (call.task == Task::Edit && call.mask.is_none());
    vendor::refuse(
        WHO,
        &[
            (edits && call.images.len() != 1, "a change of other than one picture"),
            (!edits && !call.images.is_empty(), "a look at pictures in its first API"),
            (call.mask.is_some() && call.task != Task::Edit, "a mask"),
            (!call.negative.is_empty() && !negative, "a negative prompt with this model"),
            (call.seed.is_some_and(|seed| seed > SEED_MAX), "a seed above 2147483647"),
            (call.count > COUNT_MAX, "more than 8 pictures at once"),
            (!call.quality.is_empty(), "a quality: the model's name says it"),
            (call.steps.is_some(), "steps"),
            (call.guidance.is_some(), "guidance"),
            (call.sampler.is_some(), "a sampler"),
            (call.strength.is_some() && !weighed, "a strength"),
            (call.prompt.is_empty() && call.task != Task::Upscale, "a picture without a prompt"),
            (
                call.images.iter().chain(&call.mask).any(|image| image.len() > PICTURE_BYTES_MAX),
                "a change of a picture above 10 MB",
            ),
        ],
    )
}

/// What `/generate` and `/remix` are asked.
fn image_request(call: &Call) -> Result<Map<String, Value>, Fault> {
    let mut request = Map::new();
    let mut set = |name: &str, value: Value| request.insert(name.to_owned(), value);
    set("prompt", json!(call.prompt));
    set("model", json!(call.model));
    // Prompts are drawn as they were written.
    set("magic_prompt_option", json!("OFF"));
    set("num_images", json!(call.count.max(1)));
    if !call.negative.is_empty() {
        set("negative_prompt", json!(call.negative));
    }
    if let Some(seed) = call.seed {
        set("seed", json!(seed));
    }
    match &call.size {
        AskedSize::Ratio { ratio, .. } => {
            if !RATIOS.contains(&ratio.as_str()) {
                return Err(bad(format!("ask {WHO} for the ratio {ratio:?}: it has {}", RATIOS.join(", "))));
            }
            set("aspect_ratio", json!(format!("ASPECT_{}", ratio.replace(':', "_"))));
        }
        AskedSize::Pixels(size) if matches!(call.model.as_str(), "V_2" | "V_2_TURBO") => {
            set("resolution", json!(format!("RESOLUTION_{}_{}", size.width, size.height)));
        }
        AskedSize::Pixels(_) => {
            return Err(bad(format!("ask {WHO} for a size in pixels: {} takes ratios", call.model)));
        }
        AskedSize::Free => {}
    }
    Ok(request)
}

fn remix(call: &Call) -> Result<Map<String, Value>, Fault> {
    let mut request = image_request(call)?;
    if let Some(strength) = call.strength {
        request.insert("image_weight".to_owned(), json!(vendor::weight(strength)));
    }
    Ok(request)
}

fn upscale(call: &Call) -> Map<String, Value> {
    let mut request = Map::new();
    let mut set = |name: &str, value: Value| request.insert(name.to_owned(), value);
    if !call.prompt.is_empty() {
        set("prompt", json!(call.prompt));
        set("magic_prompt_option", json!("OFF"));
    }
    set("num_images", json!(call.count.max(1)));
    if let Some(seed) = call.seed {
        set("seed", json!(seed));
    }
    if let Some(strength) = call.strength {
        set("resemblance", json!(vendor::weight(strength)));
    }
    request
}

/// A picture, and beside it a request as JSON.
fn with_image(call: &Call, request: &Map<String, Value>) -> Form {
    let mut form = Form::default();
    form.text("image_request", Value::Object(request.clone()).to_string());
    for image in &call.images {
        form.png("image_file", "image.png", image);
    }
    form
}

/// What `/edit` is asked: its fields lie side by side.
fn edit(call: &Call) -> Form {
    let mut form = Form::default();
    form.text("prompt", call.prompt.as_str());
    form.text("model", call.model.as_str());
    form.text("magic_prompt_option", "OFF");
    form.text("num_images", call.count.max(1).to_string());
    if let Some(seed) = call.seed {
        form.text("seed", seed.to_string());
    }
    for image in &call.images {
        form.png("image_file", "image.png", image);
    }
    if let Some(mask) = &call.mask {
        form.png("mask", "mask.png", mask);
    }
    form
}

#[cfg(test)]
mod tests;
