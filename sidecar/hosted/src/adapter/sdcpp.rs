//! stable-diffusion.cpp's own API: a job is queued, and asked after until it is done.
//!
//! Fields, states and errors are as in `examples/server/api.md` and `routes_sdcpp.cpp` of that project (August 2026).
//! Its upscaler is newer and answers at once.

use serde_json::{Value, json};
use thumbforge_core::job::Outcome;

use super::{Adapter, Body, Method, Protocol, Reply, Request, Stage, Step, own, read};
use crate::call::{Answer, Call, Picture, Task, Usage};
use crate::endpoint::{Endpoint, Secret};
use crate::fault::{Fault, Range};

/// stable-diffusion.cpp.
pub(super) struct SdCpp;

impl Adapter for SdCpp {
    fn protocol(&self) -> Protocol {
        Protocol::SdCpp
    }

    fn version(&self) -> u32 {
        1
    }

    /// It has no keys of its own; one that is set is for a proxy before it.
    fn keys(&self, endpoint: &Endpoint) -> Vec<(&'static str, Secret)> {
        let bearer = |key: &Secret| Secret::new(format!("Bearer {}", key.expose()));
        endpoint.key.iter().map(|key| ("authorization", bearer(key))).collect()
    }

    fn begin(&self, _endpoint: &Endpoint, call: &Call) -> Result<Request, Fault> {
        let (path, body) = match call.task {
            Task::Upscale => ("/sdcpp/v1/upscale", enlargement(call)?),
            Task::Generate | Task::Edit => ("/sdcpp/v1/img_gen", drawing(call)?),
        };
        Ok(request(Method::Post, path.into(), Body::Json(body)))
    }

    fn poll(&self, _endpoint: &Endpoint, _call: &Call, id: &str) -> Option<Request> {
        own::is_id(id).then(|| request(Method::Get, format!("/sdcpp/v1/jobs/{id}"), Body::None))
    }

    /// A job that is drawn already goes on: the server says 409, and nothing follows from it.
    fn cancel(&self, _endpoint: &Endpoint, id: &str) -> Option<Request> {
        own::is_id(id).then(|| request(Method::Post, format!("/sdcpp/v1/jobs/{id}/cancel"), Body::None))
    }

    fn next(&self, _endpoint: &Endpoint, call: &Call, stage: Stage<'_>, reply: &Reply) -> Step {
        match stage {
            Stage::Begun => begun(call, reply),
            Stage::Polled { id, polls } => polled(call, id, polls, reply),
        }
    }
}

fn request(method: Method, path: String, body: Body) -> Request {
    Request { method, path, query: Vec::new(), headers: Vec::new(), body }
}

/// A drawing. The server has one model and takes no name of it; what is not named it has defaults for.
fn drawing(call: &Call) -> Result<Value, Fault> {
    let extent = own::extent(call)?;
    let mut body = json!({
        "prompt": call.prompt,
        "negative_prompt": call.negative,
        "width": extent.width,
        "height": extent.height,
        "seed": call.seed.map_or(json!(-1), Value::from),
        "batch_count": call.count.max(1),
        "output_format": "png",
    });
    let mut sampling = serde_json::Map::new();
    if let Some(steps) = call.steps {
        sampling.insert("sample_steps".into(), steps.into());
    }
    if let Some(sampler) = &call.sampler {
        sampling.insert("sample_method".into(), sampler.as_str().into());
    }
    if let Some(guidance) = call.guidance {
        sampling.insert("guidance".into(), json!({ "txt_cfg": guidance }));
    }
    if !sampling.is_empty() {
        body["sample_params"] = Value::Object(sampling);
    }
    if call.task == Task::Edit {
        let Some((first, more)) = call.images.split_first() else {
            return Err(Fault::new(Outcome::BadRequest, "change a picture: there is none"));
        };
        body["init_image"] = read::base64(first).into();
        // Models that look at pictures beside the one they change take these; others leave them alone.
        if !more.is_empty() {
            body["ref_images"] = more.iter().map(|image| Value::from(read::base64(image))).collect();
        }
        if let Some(strength) = call.strength {
            body["strength"] = strength.into();
        }
        if let Some(mask) = &call.mask {
            body["mask_image"] = read::base64(mask).into();
        }
    }
    Ok(body)
}

/// An enlargement, by whatever upscaler the server has where none is named; its factor is the model's own.
fn enlargement(call: &Call) -> Result<Value, Fault> {
    let mut body = json!({"image": read::base64(own::only_picture(call)?), "output_format": "png"});
    if !call.model.is_empty() {
        body["upscaler"] = call.model.as_str().into();
    }
    Ok(body)
}

fn begun(call: &Call, reply: &Reply) -> Step {
    if !matches!(reply.status, 200 | 202) {
        let fault = own::fault("queue a drawing", reply);
        return Step::Failed(match (reply.status, call.task) {
            (404, Task::Upscale) => {
                let message = "make a picture larger: this stable-diffusion.cpp has no upscaler route; update it";
                Fault::new(Outcome::BadRequest, message).of(Range::Model)
            }
            _ => fault,
        });
    }
    let body = reply.json().unwrap_or_default();
    if call.task == Task::Upscale {
        return done(call, &body, None);
    }
    match body.get("id").and_then(Value::as_str) {
        Some(id) if own::is_id(id) => Step::Poll { id: id.to_owned(), after: own::pause(0) },
        _ => own::said(Outcome::Empty, format!("queue a drawing: the answer has no id: {}", own::words(reply))),
    }
}

fn polled(call: &Call, id: &str, polls: u32, reply: &Reply) -> Step {
    let with_id = |fault: Fault| Step::Failed(Fault { provider_id: Some(id.to_owned()), ..fault });
    let again = |after| Step::Poll { id: id.to_owned(), after };
    match reply.status {
        200 => {}
        // Neither was billed; a restart forgets jobs, and finished ones are kept for minutes.
        404 => {
            return with_id(Fault::new(
                Outcome::Transient,
                "ask after a drawing: the server was restarted and lost it",
            ));
        }
        410 => {
            let message = "ask after a drawing: the server has thrown it away; nobody asked for it in time";
            return with_id(Fault::new(Outcome::Transient, message));
        }
        408 | 429 | 500.. => {
            let asked = read::retry_after_ms(reply).map(std::time::Duration::from_millis);
            return again(asked.unwrap_or_else(|| own::pause(polls)));
        }
        _ => return with_id(own::fault("ask after a drawing", reply)),
    }
    let Some(body) = reply.json() else { return again(own::pause(polls)) };
    let said = |name: &str| body.pointer(&format!("/error/{name}")).and_then(Value::as_str).unwrap_or_default();
    match body.get("status").and_then(Value::as_str).unwrap_or_default() {
        "queued" | "generating" => again(own::pause(polls)),
        "completed" => done(call, body.get("result").unwrap_or(&Value::Null), Some(id)),
        "cancelled" => {
            // A person stopped it there; drawing it again would argue with them.
            with_id(Fault::new(Outcome::Failed, "draw: somebody cancelled the drawing at the server"))
        }
        // The server names no reason apart from its code; memory is the usual one, and may be there later.
        "failed" => with_id(Fault::new(Outcome::Transient, format!("draw: {}: {}", said("code"), said("message")))),
        other => {
            let other: String = other.chars().take(40).collect();
            with_id(Fault::new(
                Outcome::Empty,
                format!("ask after a drawing: the server says {other:?}, which is no state"),
            ))
        }
    }
}

/// The pictures of a result. The server does not say the seed; it drew with the one that it was told.
fn done(call: &Call, result: &Value, id: Option<&str>) -> Step {
    let images = result.get("images").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let decode = |image: &Value| image.get("b64_json").and_then(Value::as_str).and_then(read::picture);
    let pictures: Vec<Picture> = images
        .iter()
        .filter_map(decode)
        .take(call.count.max(1) as usize)
        .map(|bytes| Picture { bytes, seed: None })
        .collect();
    let provider_id = id.map(str::to_owned);
    if pictures.is_empty() {
        let fault = Fault::new(Outcome::Empty, "read a picture: the server's answer has none");
        return Step::Failed(Fault { provider_id, ..fault });
    }
    Step::Done(Answer { pictures, usage: Usage::default(), provider_id })
}

#[cfg(test)]
mod tests;
