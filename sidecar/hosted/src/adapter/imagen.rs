//! Google's `predict` for Imagen, on the Gemini API and on Vertex. Its models are retired; accounts with an arrangement of
//! their own, and old recordings, still speak it.
//!
//! An account with a `project` is one of Vertex. Filtered pictures are simply not in the list: fewer than asked for came
//! back, and with `includeRaiReason` sometimes a reason in a picture's place.

use serde_json::{Map, Value, json};
use thumbforge_core::job::Outcome;

use super::google::{self, Service, list};
use super::vendor::{self, text};
use super::vertex;
use super::{Adapter, Body, Method, Protocol, Reply, Request, Stage, Step};
use crate::call::{Answer, AskedSize, Call, Picture, Task, Usage};
use crate::endpoint::{Endpoint, Secret};
use crate::fault::{Billed, Fault};

/// Most pictures of one call.
const COUNT_MAX: u32 = 4;

/// Imagen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Imagen;

fn service(endpoint: &Endpoint) -> Service {
    if endpoint.options.contains_key("project") { Service::Vertex } else { Service::GeminiApi }
}

impl Adapter for Imagen {
    fn protocol(&self) -> Protocol {
        Protocol::Imagen
    }

    fn version(&self) -> u32 {
        1
    }

    fn keys(&self, endpoint: &Endpoint) -> Vec<(&'static str, Secret)> {
        match service(endpoint) {
            Service::Vertex => vertex::bearer(endpoint),
            Service::GeminiApi => endpoint.key.iter().map(|key| ("x-goog-api-key", key.clone())).collect(),
        }
    }

    fn begin(&self, endpoint: &Endpoint, call: &Call) -> Result<Request, Fault> {
        let service = service(endpoint);
        let who = service.who();
        vendor::refuse(
            who,
            &[
                (call.task != Task::Generate || !call.images.is_empty(), "a change of a picture with Imagen"),
                (call.mask.is_some(), "a mask with Imagen"),
                (call.count > COUNT_MAX, "more than 4 pictures at once"),
                (call.steps.is_some(), "steps"),
                (call.sampler.is_some(), "a sampler"),
                (call.strength.is_some(), "a strength"),
                (!call.quality.is_empty(), "a quality"),
                (matches!(call.size, AskedSize::Pixels(_)), "a size in pixels"),
                (call.seed.is_some_and(|seed| seed > google::SEED_MAX), "a seed above 2147483647"),
            ],
        )?;
        let path = match service {
            Service::Vertex => vertex::path(endpoint, &call.model, "predict")?,
            Service::GeminiApi => format!("/v1beta/models/{}:predict", vendor::segment(&call.model)),
        };
        let body = json!({"instances": [{"prompt": call.prompt}], "parameters": parameters(call)});
        Ok(Request { method: Method::Post, path, query: Vec::new(), headers: Vec::new(), body: Body::Json(body) })
    }

    fn next(&self, endpoint: &Endpoint, _call: &Call, _stage: Stage<'_>, reply: &Reply) -> Step {
        read(service(endpoint).who(), endpoint, reply)
    }
}

fn parameters(call: &Call) -> Map<String, Value> {
    let mut parameters = Map::new();
    let mut set = |name: &str, value: Value| parameters.insert(name.to_owned(), value);
    set("sampleCount", json!(call.count.max(1)));
    if let AskedSize::Ratio { ratio, resolution } = &call.size {
        set("aspectRatio", json!(ratio));
        if let Some(resolution) = resolution {
            set("sampleImageSize", json!(resolution.to_ascii_uppercase()));
        }
    }
    if let Some(guidance) = call.guidance {
        set("guidanceScale", json!(guidance));
    }
    set("includeRaiReason", json!(true));
    set("outputOptions", json!({"mimeType": "image/png"}));
    // Prompts are drawn as they were written.
    set("enhancePrompt", json!(false));
    if !call.negative.is_empty() {
        set("negativePrompt", json!(call.negative));
    }
    if let Some(seed) = call.seed {
        set("seed", json!(seed));
        // A seed is taken only where no watermark is drawn.
        set("addWatermark", json!(false));
    }
    parameters
}

fn read(who: &str, endpoint: &Endpoint, reply: &Reply) -> Step {
    if !(200..300).contains(&reply.status) {
        return Step::Failed(google::refused(who, endpoint, reply));
    }
    let Some(body) = reply.json().filter(Value::is_object) else {
        return Step::Failed(vendor::unreadable(who, reply));
    };
    if body.get("error").is_some_and(Value::is_object) {
        return Step::Failed(google::refused(who, endpoint, reply));
    }
    let mut pictures = Vec::new();
    let mut filtered = None;
    let mut found = 0_usize;
    for prediction in list(&body, "predictions").take(vendor::PICTURES_MAX) {
        found += 1;
        let reason = text(prediction, "raiFilteredReason");
        if !reason.is_empty() {
            filtered = Some(reason.to_owned());
            continue;
        }
        if let Some(bytes) = vendor::picture(text(prediction, "bytesBase64Encoded")) {
            pictures.push(Picture { bytes, seed: None });
        }
    }
    if !pictures.is_empty() {
        return Step::Done(Answer { pictures, usage: Usage::default(), provider_id: None });
    }
    let fault = match filtered {
        Some(reason) => {
            vendor::fault(who, endpoint, Outcome::PolicyOutput, reply.status, &reason).billed(Billed::Unknown)
        }
        None if found == 0 => {
            let why = "every picture was filtered, and no reason is given";
            vendor::fault(who, endpoint, Outcome::PolicyOutput, reply.status, why).billed(Billed::Unknown)
        }
        None => vendor::empty(who, endpoint, "what came back is no PNG, JPEG or WebP"),
    };
    Step::Failed(fault)
}

#[cfg(test)]
mod tests;
