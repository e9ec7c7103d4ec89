//! Ideogram's second API: `POST /v2/image/{operation}/{model}`, then `GET /v2/generations/{id}`.
//!
//! Every call that may be is made asynchronous: it is answered with its id before anything is drawn, so that a call whose
//! connection breaks can be asked after instead of being paid for twice. `?dry_run=true` prices the very same request.
//!
//! A picture that was withheld for what it shows comes as HTTP 200 with `is_image_safe: false`, and is billed. A generation
//! that failed is not. Fields by operation and model were read in the vendor's OpenAPI description of 2026-10-07.

use std::time::Duration;

use serde_json::{Map, Value, json};
use thumbforge_core::job::Outcome;

use super::google::list;
use super::read;
use super::vendor::{self, Form, bad, text, whole};
use super::{Adapter, Body, Method, Protocol, Quote, Reply, Request, Stage, Step};
use crate::call::{AskedSize, Call, Task, Usage};
use crate::endpoint::{Endpoint, Secret};
use crate::fault::{Billed, Fault, Range};
use crate::sniff::sniff;

use fields::{Fields, Images, Mask, RatioForm, fields};

mod fields;

/// Its name in messages.
pub(super) const WHO: &str = "Ideogram";

/// Largest seed.
pub(super) const SEED_MAX: u64 = 2_147_483_647;

/// Most pictures of one call.
pub(super) const COUNT_MAX: u32 = 8;

/// Longest prompt, in letters.
const PROMPT_CHARS_MAX: usize = 10_000;

/// Largest picture that is sent: the descriptions name 25 to 50 MB by field, and the server refuses what is too large.
const PICTURE_BYTES_MAX: usize = 50 * 1024 * 1024;

/// Polls begin so and slow down: 1000 in 10 seconds are allowed, and a picture takes 4 to 60 seconds.
const POLL_FIRST: Duration = Duration::from_secs(1);
const POLL_MOST: Duration = Duration::from_secs(10);

/// Ideogram's second API.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ideogram;

/// The operation and model of a call. A catalogue may name both ("remove-background/ideogram-1").
fn target(call: &Call) -> (&str, &str) {
    if let Some(both) = call.model.split_once('/') {
        return both;
    }
    let model = call.model.as_str();
    let operation = match call.task {
        Task::Generate => "generate",
        Task::Upscale => "upscale",
        Task::Edit if model.starts_with("ideogram-4-5") => "precise-edit",
        // These change pictures where they draw others.
        Task::Edit if model.starts_with("gpt-image-") || model.starts_with("nano-banana-") => "generate",
        Task::Edit if call.mask.is_some() => "inpaint",
        Task::Edit => "remix",
    };
    (operation, model)
}

impl Adapter for Ideogram {
    fn protocol(&self) -> Protocol {
        Protocol::Ideogram
    }

    fn version(&self) -> u32 {
        1
    }

    fn keys(&self, endpoint: &Endpoint) -> Vec<(&'static str, Secret)> {
        endpoint.key.iter().map(|key| ("api-key", key.clone())).collect()
    }

    fn begin(&self, _endpoint: &Endpoint, call: &Call) -> Result<Request, Fault> {
        let (operation, model) = target(call);
        let Some(takes) = fields(operation, model) else {
            return Err(bad(format!("ask {WHO} for {operation} with {model}: it has no such operation")));
        };
        check(call, operation, model, &takes)?;
        let mut values = values(call, &takes)?;
        if takes.asynchronous {
            values.insert("async".to_owned(), json!(true));
        }
        let body = if call.images.is_empty() && call.mask.is_none() {
            Body::Json(Value::Object(values))
        } else {
            Body::Multipart(form(call, &takes, &values).0)
        };
        let path = format!("/v2/image/{}/{}", vendor::segment(operation), vendor::segment(model));
        Ok(Request { method: Method::Post, path, query: Vec::new(), headers: Vec::new(), body })
    }

    fn poll(&self, _endpoint: &Endpoint, _call: &Call, id: &str) -> Option<Request> {
        Some(Request {
            method: Method::Get,
            path: format!("/v2/generations/{}", vendor::segment(id)),
            query: Vec::new(),
            headers: Vec::new(),
            body: Body::None,
        })
    }

    fn next(&self, endpoint: &Endpoint, _call: &Call, stage: Stage<'_>, reply: &Reply) -> Step {
        match stage {
            Stage::Begun => begun(endpoint, reply),
            Stage::Polled { id, polls } => polled(endpoint, id, polls, reply),
        }
    }

    fn quote(&self, endpoint: &Endpoint, call: &Call) -> Option<Request> {
        let mut request = self.begin(endpoint, call).ok()?;
        request.query.push(("dry_run".to_owned(), "true".to_owned()));
        Some(request)
    }

    fn quoted(&self, reply: &Reply) -> Result<Quote, Fault> {
        quoted(reply)
    }
}

/// Refuses what the operation cannot be told.
fn check(call: &Call, operation: &str, model: &str, takes: &Fields) -> Result<(), Fault> {
    let who = format!("{WHO}'s {operation}/{model}");
    let (least, most) = match takes.images {
        Images::None => (0, 0),
        Images::One => (1, 1),
        Images::References(more) => (1, 1 + more - usize::from(call.mask.is_some())),
        Images::Many(most) => (usize::from(call.task == Task::Edit), most),
    };
    if !(least..=most).contains(&call.images.len()) {
        let sent = call.images.len();
        return Err(bad(format!("send {sent} pictures to {who}: it takes {least} to {most}")));
    }
    let sized = takes.ratio.is_some() || takes.pixels.is_some();
    vendor::refuse(
        &who,
        &[
            (call.mask.is_some() && takes.mask == Mask::None, "a mask"),
            (call.mask.is_none() && takes.mask == Mask::Must, "a change of the whole picture, without a mask"),
            (call.mask.is_some() && call.images.is_empty(), "a mask without a picture"),
            (!call.negative.is_empty() && !takes.negative, "a negative prompt"),
            (call.seed.is_some() && !takes.seed, "a seed"),
            (call.seed.is_some_and(|seed| seed > SEED_MAX), "a seed above 2147483647"),
            (call.count > 1 && !takes.count, "several pictures at once"),
            (call.count > COUNT_MAX, "more than 8 pictures at once"),
            (!call.quality.is_empty() && takes.effort.is_none(), "a quality"),
            (call.steps.is_some() && takes.steps.is_none(), "steps"),
            (call.guidance.is_some(), "guidance"),
            (call.sampler.is_some(), "a sampler"),
            (call.strength.is_some() && !takes.weight, "a strength"),
            // A picture that is changed keeps its size where the operation has none; it is scaled here afterwards.
            (sized && takes.pixels.is_none() && matches!(call.size, AskedSize::Pixels(_)), "a size in pixels"),
            (sized && takes.ratio.is_none() && matches!(call.size, AskedSize::Ratio { .. }), "a ratio"),
            (call.prompt.chars().count() > PROMPT_CHARS_MAX, "more than 10000 letters of prompt"),
            (takes.prompt && call.prompt.is_empty() && call.task != Task::Upscale, "a picture without a prompt"),
            (
                call.images.iter().chain(&call.mask).any(|image| image.len() > PICTURE_BYTES_MAX),
                "a change of a picture above 50 MB",
            ),
        ],
    )
}

/// Every field but the pictures.
fn values(call: &Call, takes: &Fields) -> Result<Map<String, Value>, Fault> {
    let mut values = Map::new();
    let mut set = |name: &str, value: Value| values.insert(name.to_owned(), value);
    if takes.prompt && !call.prompt.is_empty() {
        set("prompt", json!(call.prompt));
    }
    if !call.negative.is_empty() {
        set("negative_prompt", json!(call.negative));
    }
    if takes.magic_prompt {
        // Prompts are drawn as they were written.
        set("magic_prompt", json!("off"));
    }
    if takes.count {
        set("num_images", json!(call.count.max(1)));
    }
    if let Some(seed) = call.seed {
        set("seed", json!(seed));
    }
    if let (Some(name), false) = (takes.effort, call.quality.is_empty()) {
        set(name, json!(call.quality));
    }
    if let (Some(name), Some(steps)) = (takes.steps, call.steps) {
        set(name, json!(steps));
    }
    if let (true, Some(strength)) = (takes.weight, call.strength) {
        set("image_weight", json!(vendor::weight(strength)));
    }
    match &call.size {
        AskedSize::Pixels(size) => {
            if let Some(name) = takes.pixels {
                set(name, json!(format!("{}x{}", size.width, size.height)));
            } else if takes.tier == Some("upscale_factor") {
                set("upscale_factor", json!(factor(call, *size)?));
            }
        }
        AskedSize::Ratio { ratio, resolution } => {
            if let Some(form) = takes.ratio {
                set("aspect_ratio", json!(written(ratio, form)?));
            }
            if let (Some(name), Some(word)) = (takes.tier, resolution) {
                set(name, json!(word));
            }
        }
        AskedSize::Free => {}
    }
    Ok(values)
}

/// A ratio as the model writes it.
fn written(ratio: &str, form: RatioForm) -> Result<String, Fault> {
    let sides = ratio.split_once([':', 'x']).filter(|(width, height)| {
        let number = |side: &str| (1..=2).contains(&side.len()) && side.bytes().all(|byte| byte.is_ascii_digit());
        number(width) && number(height)
    });
    match (sides, form) {
        (Some((width, height)), RatioForm::Cross) => Ok(format!("{width}x{height}")),
        (Some((width, height)), RatioForm::Colon) => Ok(format!("{width}:{height}")),
        (None, _) => Err(bad(format!("ask {WHO} for the ratio {ratio:?}: ratios are written as in \"16:9\""))),
    }
}

/// The least factor by which the first picture is as large as `asked`, both ways.
fn factor(call: &Call, asked: thumbforge_core::image::Extent) -> Result<&'static str, Fault> {
    let Some((_, now)) = call.images.first().and_then(|image| sniff(image)) else {
        return Err(bad(format!("make a picture larger with {WHO}: what is sent is no picture")));
    };
    let enough = |by: u32| {
        u64::from(now.width) * u64::from(by) >= u64::from(asked.width)
            && u64::from(now.height) * u64::from(by) >= u64::from(asked.height)
    };
    // Beyond 8 the rest is scaled here.
    Ok([(2, "x2"), (4, "x4")].into_iter().find(|(by, _)| enough(*by)).map_or("x8", |(_, word)| word))
}

/// The same fields as a form, with the pictures.
fn form(call: &Call, takes: &Fields, values: &Map<String, Value>) -> Form {
    let mut form = Form::default();
    for (name, value) in values {
        form.text(name, value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
    for (at, image) in call.images.iter().enumerate() {
        let name = match takes.images {
            Images::Many(_) => "images",
            Images::References(_) if at > 0 => "reference_images",
            _ => "image",
        };
        form.png(name, &format!("image-{at}.png"), image);
    }
    if let Some(mask) = &call.mask {
        form.png("mask", "mask.png", mask);
    }
    form
}

fn begun(endpoint: &Endpoint, reply: &Reply) -> Step {
    if !(200..300).contains(&reply.status) {
        return Step::Failed(refused(WHO, endpoint, reply));
    }
    let Some(body) = reply.json() else { return Step::Failed(vendor::unreadable(WHO, reply)) };
    let id = vendor::call_id(body.get("generation_id"));
    // Operations that are never asynchronous, and servers that did not listen, answer with the pictures.
    if body.get("data").is_some_and(Value::is_array) {
        return delivered(WHO, endpoint, &body, id);
    }
    match id {
        Some(id) => Step::Poll { id, after: POLL_FIRST },
        None => Step::Failed(vendor::unreadable(WHO, reply)),
    }
}

fn polled(endpoint: &Endpoint, id: &str, polls: u32, reply: &Reply) -> Step {
    let again = || Step::Poll { id: id.to_owned(), after: vendor::poll_wait(reply, polls, POLL_FIRST, POLL_MOST) };
    let known = Some(id.to_owned());
    match reply.status {
        200..=299 => {}
        // The call was accepted: that a question after it is refused for now says nothing of it.
        408 | 425 | 429 | 500..=599 => return again(),
        status => return Step::Failed(vendor::lost(WHO, endpoint, id, status, said(reply).0.as_str())),
    }
    let Some(body) = reply.json() else { return again() };
    match text(&body, "status") {
        "completed" => delivered(WHO, endpoint, &body, known),
        "failed" => {
            let reason = text(&body, "failure_reason");
            let usage = usage(&body);
            let fault = vendor::fault(WHO, endpoint, failure(reason), reply.status, reason);
            // Failed generations are not billed, unless this one says so.
            let billed = if usage.micros.is_some_and(|micros| micros > 0) { Billed::Yes } else { Billed::No };
            Step::Failed(Fault { usage, billed, provider_id: known, ..fault })
        }
        // A word that is newer than this is no end: whoever waits stops at the account's own limit.
        _ => again(),
    }
}

/// What the reason of a failed generation means.
fn failure(reason: &str) -> Outcome {
    let reason = reason.to_ascii_lowercase();
    if ["policy", "safety", "moderation", "copyright"].iter().any(|word| reason.contains(word)) {
        Outcome::PolicyInput
    } else if reason.contains("insufficient_funds") || reason.contains("daily_limit") {
        Outcome::OutOfFunds
    } else {
        Outcome::Transient
    }
}

/// What a list of finished pictures means. Pictures that were withheld are not fetched, whether or not they have an address.
pub(super) fn delivered(who: &str, endpoint: &Endpoint, body: &Value, provider_id: Option<String>) -> Step {
    let usage = usage(body);
    let mut urls = Vec::new();
    let mut withheld = 0_usize;
    for item in list(body, "data").take(vendor::PICTURES_MAX) {
        let safe = item.get("is_image_safe").and_then(Value::as_bool) != Some(false);
        let url = text(item, "url");
        if safe && !url.is_empty() {
            urls.push((url.to_owned(), whole(item.get("seed"))));
        } else {
            withheld += 1;
        }
    }
    if !urls.is_empty() {
        return Step::Fetch { urls, usage, provider_id };
    }
    let fault = if withheld > 0 {
        let why = format!("{withheld} withheld for what is in it (is_image_safe is false)");
        vendor::fault(who, endpoint, Outcome::PolicyOutput, 200, &why).billed(Billed::Yes)
    } else {
        vendor::empty(who, endpoint, "its list is empty")
    };
    Step::Failed(Fault { usage, provider_id, ..fault })
}

fn usage(body: &Value) -> Usage {
    Usage { micros: whole(body.get("usage_cost_usd_micros")), ..Usage::default() }
}

/// The words of an error, and its `reject_reason`.
fn said(reply: &Reply) -> (String, String) {
    let body = reply.json().unwrap_or_default();
    let reason = text(&body, "reject_reason").to_owned();
    let error = body.get("error").or_else(|| body.get("message")).or_else(|| body.get("detail"));
    let error = match error {
        Some(Value::String(words)) => words.clone(),
        Some(value) => text(value, "message").to_owned(),
        None => String::new(),
    };
    (format!("{reason} {error}"), reason)
}

/// What an error means; both of Ideogram's APIs have the same.
pub(super) fn refused(who: &str, endpoint: &Endpoint, reply: &Reply) -> Fault {
    let (said, reason) = said(reply);
    let fault = |outcome| vendor::fault(who, endpoint, outcome, reply.status, &said);
    match (reply.status, reason.as_str()) {
        (402 | 429, "insufficient_funds" | "subscription_required" | "daily_limit" | "priority_credit_required") => {
            fault(Outcome::OutOfFunds).of(Range::Account)
        }
        (402 | 429, "feature_limit") => fault(Outcome::OutOfFunds).of(Range::Model),
        // Ten pictures may be in flight by default; no delay is stated, for it is over when one of them is.
        (402 | 429, "inflight_limit") => {
            let fault = fault(Outcome::Throttled).of(Range::Account);
            Fault { retry_after_ms: read::retry_after_ms(reply), ..fault }
        }
        (422, _) => fault(Outcome::PolicyInput),
        _ => vendor::by_status(who, endpoint, reply, &said),
    }
}

fn quoted(reply: &Reply) -> Result<Quote, Fault> {
    let body = reply.json().unwrap_or_default();
    if reply.status != 200 {
        // Without its words: here nobody could take the key out of them.
        let (outcome, range) = vendor::meaning(reply.status);
        return Err(Fault::new(outcome, format!("read a price of {WHO}: it answered {}", reply.status)).of(range));
    }
    let Some(micros) = whole(body.get("usd_micros")) else {
        return Err(bad(format!("read a price of {WHO}: its answer has no `usd_micros`")));
    };
    let most = match (whole(body.get("upper_bound_usd_micros")), text(&body, "qualifier")) {
        (Some(most), _) => most.max(micros),
        (None, "exact") => micros,
        (None, _) => return Err(bad(format!("read a price of {WHO}: it is an estimate without an upper bound"))),
    };
    Ok(Quote { micros, most })
}

#[cfg(test)]
mod tests;
