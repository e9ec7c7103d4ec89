//! AUTOMATIC1111's web UI and Forge, as they answer with `--api`: one blocking request a picture.
//!
//! Routes, authentication and errors are as in the web UI's `modules/api/api.py`; stable-diffusion.cpp answers the same
//! routes with an empty `info`.

use serde_json::{Map, Value, json};
use thumbforge_core::job::Outcome;

use super::{Adapter, Body, Method, Protocol, Reply, Request, Stage, Step, own, read};
use crate::call::{Answer, Call, Picture, Task, Usage};
use crate::endpoint::{Endpoint, Secret};
use crate::fault::{Fault, Range};

/// How far an edit leaves the picture where nothing is said: the web UI's own default.
const STRENGTH: f64 = 0.75;
/// Pixels by which a mask's edge is blurred; the web UI's own default, sent so that a server's settings do not matter.
const MASK_BLUR: u32 = 4;
/// What enlarges pictures where no model is named; every installation has it.
const UPSCALER: &str = "R-ESRGAN 4x+";
/// How much larger, where no size is named.
const FACTOR: f64 = 2.0;

/// The web UI.
pub(super) struct A1111;

impl Adapter for A1111 {
    fn protocol(&self) -> Protocol {
        Protocol::A1111
    }

    fn version(&self) -> u32 {
        1
    }

    /// `--api-auth user:pass` is HTTP Basic; the key is those two with their colon.
    fn keys(&self, endpoint: &Endpoint) -> Vec<(&'static str, Secret)> {
        let basic = |key: &Secret| Secret::new(format!("Basic {}", read::base64(key.expose().as_bytes())));
        endpoint.key.iter().map(|key| ("authorization", basic(key))).collect()
    }

    fn begin(&self, _endpoint: &Endpoint, call: &Call) -> Result<Request, Fault> {
        let (path, body) = match call.task {
            Task::Generate => ("/sdapi/v1/txt2img", Value::Object(drawing(call)?)),
            Task::Edit => ("/sdapi/v1/img2img", Value::Object(change(call)?)),
            Task::Upscale => ("/sdapi/v1/extra-single-image", enlargement(call)?),
        };
        let (query, headers) = (Vec::new(), Vec::new());
        Ok(Request { method: Method::Post, path: path.into(), query, headers, body: Body::Json(body) })
    }

    fn next(&self, _endpoint: &Endpoint, call: &Call, _stage: Stage<'_>, reply: &Reply) -> Step {
        if reply.status != 200 {
            return Step::Failed(refusal(reply));
        }
        let Some(body) = reply.json() else {
            let message = format!("read a picture: the server sent no JSON: {}", read::excerpt(&reply.body));
            return own::said(Outcome::Empty, message);
        };
        if call.task == Task::Upscale {
            let picture = body.get("image").and_then(Value::as_str).and_then(read::picture);
            return done(picture.map(|bytes| Picture { bytes, seed: None }).into_iter().collect());
        }
        // A string with JSON in it, which stable-diffusion.cpp leaves empty.
        let info: Value = body
            .get("info")
            .and_then(Value::as_str)
            .map_or(Value::Null, |info| serde_json::from_str(info).unwrap_or(Value::Null));
        if let Some(fault) = other_model(call, &info) {
            return Step::Failed(fault);
        }
        done(pictures(call, &body, &info))
    }
}

/// What every drawing says. A seed of -1 lets the server choose one.
fn drawing(call: &Call) -> Result<Map<String, Value>, Fault> {
    let extent = own::extent(call)?;
    let mut body = Map::new();
    let mut put = |name: &str, value: Value| body.insert(name.to_owned(), value);
    put("prompt", call.prompt.as_str().into());
    put("negative_prompt", call.negative.as_str().into());
    put("width", extent.width.into());
    put("height", extent.height.into());
    put("seed", call.seed.map_or(json!(-1), Value::from));
    put("batch_size", call.count.max(1).into());
    put("n_iter", 1.into());
    put("send_images", true.into());
    put("save_images", false.into());
    // A contact sheet would come first among the pictures.
    put("do_not_save_grid", true.into());
    if let Some(steps) = call.steps {
        put("steps", steps.into());
    }
    if let Some(guidance) = call.guidance {
        put("cfg_scale", guidance.into());
    }
    if let Some(sampler) = &call.sampler {
        put("sampler_name", sampler.as_str().into());
    }
    if !call.model.is_empty() {
        put("override_settings", json!({"sd_model_checkpoint": call.model}));
        // Without it each picture would load two checkpoints: the asked one, and the one before.
        put("override_settings_restore_afterwards", false.into());
    }
    Ok(body)
}

fn change(call: &Call) -> Result<Map<String, Value>, Fault> {
    let image = own::only_picture(call)?;
    let mut body = drawing(call)?;
    let mut put = |name: &str, value: Value| body.insert(name.to_owned(), value);
    put("init_images", json!([read::base64(image)]));
    put("denoising_strength", call.strength.unwrap_or(STRENGTH).into());
    put("include_init_images", false.into());
    if let Some(mask) = &call.mask {
        put("mask", read::base64(mask).into());
        put("mask_blur", MASK_BLUR.into());
        // Begin from what is there, on the whole picture, and draw where the mask is white.
        put("inpainting_fill", 1.into());
        put("inpaint_full_res", false.into());
        put("inpainting_mask_invert", 0.into());
    }
    Ok(body)
}

fn enlargement(call: &Call) -> Result<Value, Fault> {
    let image = own::only_picture(call)?;
    let upscaler = if call.model.is_empty() { UPSCALER } else { &call.model };
    let mut body = json!({"image": read::base64(image), "upscaler_1": upscaler});
    match call.size {
        crate::call::AskedSize::Pixels(extent) => {
            body["resize_mode"] = 1.into();
            body["upscaling_resize_w"] = extent.width.into();
            body["upscaling_resize_h"] = extent.height.into();
            body["upscaling_crop"] = false.into();
        }
        _ => {
            body["resize_mode"] = 0.into();
            body["upscaling_resize"] = FACTOR.into();
        }
    }
    Ok(body)
}

fn done(pictures: Vec<Picture>) -> Step {
    if pictures.is_empty() {
        return own::said(Outcome::Empty, "read a picture: the server's answer has none");
    }
    Step::Done(Answer { pictures, usage: Usage::default(), provider_id: None })
}

/// The pictures that were asked for: a contact sheet before them, or what extensions put behind them, is left out.
fn pictures(call: &Call, body: &Value, info: &Value) -> Vec<Picture> {
    let images = body.get("images").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let count = call.count.max(1) as usize;
    let said = info.get("index_of_first_image").and_then(Value::as_u64).and_then(|first| usize::try_from(first).ok());
    // Where nothing is said, one too many is a sheet, which is only made of several.
    let guess = usize::from(count > 1 && images.len() == count + 1);
    let first = said.unwrap_or(guess);
    let seed_of = |at: usize| {
        let listed = info.get("all_seeds").and_then(|seeds| seeds.get(at)).and_then(Value::as_u64);
        listed.or_else(|| info.get("seed").and_then(Value::as_u64).filter(|_| at == 0))
    };
    let decode = |image: &Value| image.as_str().and_then(read::picture);
    let each = images.iter().skip(first).take(count).enumerate();
    each.filter_map(|(at, image)| Some(Picture { bytes: decode(image)?, seed: seed_of(at) })).collect()
}

/// A checkpoint that the server does not have it passes over in silence, and draws with the one that is loaded.
fn other_model(call: &Call, info: &Value) -> Option<Fault> {
    let drew = info.get("sd_model_name").and_then(Value::as_str).filter(|name| !name.is_empty())?;
    let hash = info.get("sd_model_hash").and_then(Value::as_str).unwrap_or_default();
    if call.model.is_empty() || stem(&call.model) == stem(drew) || call.model == hash {
        return None;
    }
    let message = format!(
        "draw with {:?}: the server has no such checkpoint and drew with {drew:?}; name one of GET /sdapi/v1/sd-models",
        call.model
    );
    Some(Fault::new(Outcome::BadRequest, message).of(Range::Model))
}

/// A checkpoint's name without folder, extension and the hash in brackets.
fn stem(name: &str) -> String {
    let name = name.split(" [").next().unwrap_or(name).trim();
    let name = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let extension = [".safetensors", ".ckpt", ".gguf"].into_iter().find_map(|end| name.strip_suffix(end));
    extension.unwrap_or(name).to_ascii_lowercase()
}

/// What an error means. A picture that the server cannot read is a 500 there, though it is the request's fault.
fn refusal(reply: &Reply) -> Fault {
    let fault = own::fault("draw", reply);
    let said = own::words(reply).to_ascii_lowercase();
    let unreadable = ["invalid encoded image", "cannot identify image", "incorrect padding", "invalid image url"];
    match reply.status {
        404 if said.contains("sampler") => fault.of(Range::Call),
        404 if said.contains("not found") => {
            let message = "draw: the server has no such route; start the web UI with --api";
            Fault::new(Outcome::BadRequest, message).of(Range::Account)
        }
        500 if unreadable.iter().any(|words| said.contains(words)) => Fault { outcome: Outcome::BadRequest, ..fault },
        _ => fault,
    }
}

#[cfg(test)]
mod tests;
