//! Stability's v2beta API: drawing and changing with Stable Diffusion 3.5, painting inside a mask, making larger.
//!
//! Requests are always forms, also without a file. A picture that was found unfit comes as HTTP 200, blurred, with
//! `finish_reason: CONTENT_FILTERED`: it is never delivered. 403 refuses what was sent and says nothing of the key. No answer
//! states a delay: who asks too often is locked out for 60 seconds.

use std::time::Duration;

use serde_json::Value;
use thumbforge_core::job::Outcome;

use super::google::list;
use super::vendor::{self, Form, bad, number, text, whole};
use super::{Adapter, Body, Method, Protocol, Reply, Request, Stage, Step};
use crate::call::{Answer, AskedSize, Call, Picture, Task, Usage};
use crate::endpoint::{Endpoint, Secret};
use crate::fault::{Billed, Fault, Range};
use crate::sniff::sniff;

/// Its name in messages.
const WHO: &str = "Stability";

/// Largest request.
const REQUEST_BYTES_MAX: usize = 10 * 1024 * 1024;

/// Longest prompt, in letters.
const PROMPT_CHARS_MAX: usize = 10_000;

/// Largest seed; 0 means a random one and is never sent.
const SEED_MAX: u64 = 4_294_967_294;

/// How long an account is locked out that asked more than 150 times in 10 seconds.
const LOCKED_OUT_MS: u64 = 60_000;

/// How far a picture is left where nobody says: the field is required.
const STRENGTH: f64 = 0.5;

/// A result may be asked after once in 10 seconds.
const POLL_FIRST: Duration = Duration::from_secs(10);
const POLL_MOST: Duration = Duration::from_secs(20);

/// The ratios that it has.
const RATIOS: [&str; 9] = ["21:9", "16:9", "3:2", "5:4", "1:1", "4:5", "2:3", "9:16", "9:21"];

/// Stability.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stability;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Draw,
    Change,
    Inpaint,
    /// Four times as large, as it is.
    Fast,
    /// To 4 megapixels, as it is.
    Conservative,
    /// To 4 megapixels, with new detail; answered later.
    Creative,
}

impl Operation {
    fn of(call: &Call) -> Result<Self, Fault> {
        match call.task {
            Task::Generate => Ok(Self::Draw),
            Task::Edit if call.mask.is_some() || last_word(&call.model) == "inpaint" => Ok(Self::Inpaint),
            Task::Edit => Ok(Self::Change),
            Task::Upscale => match last_word(&call.model) {
                "fast" => Ok(Self::Fast),
                "conservative" => Ok(Self::Conservative),
                "creative" => Ok(Self::Creative),
                _ => Err(bad(format!(
                    "make a picture larger with {:?}: {WHO} has fast, conservative and creative",
                    call.model
                ))),
            },
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Self::Draw | Self::Change => "/v2beta/stable-image/generate/sd3",
            Self::Inpaint => "/v2beta/stable-image/edit/inpaint",
            Self::Fast => "/v2beta/stable-image/upscale/fast",
            Self::Conservative => "/v2beta/stable-image/upscale/conservative",
            Self::Creative => "/v2beta/stable-image/upscale/creative",
        }
    }
}

/// The operation in a model's name: "fast" of "upscale/fast" and "stable-upscale-fast".
fn last_word(model: &str) -> &str {
    model.rsplit(['/', '-']).next().unwrap_or_default()
}

impl Adapter for Stability {
    fn protocol(&self) -> Protocol {
        Protocol::Stability
    }

    fn version(&self) -> u32 {
        1
    }

    fn keys(&self, endpoint: &Endpoint) -> Vec<(&'static str, Secret)> {
        endpoint.key.iter().map(|key| ("authorization", Secret::new(format!("Bearer {}", key.expose())))).collect()
    }

    fn begin(&self, _endpoint: &Endpoint, call: &Call) -> Result<Request, Fault> {
        let operation = Operation::of(call)?;
        check(operation, call)?;
        let form = form(operation, call)?;
        let bytes = form.bytes();
        if bytes > REQUEST_BYTES_MAX {
            let message = format!("send {bytes} bytes to {WHO}: it takes at most {REQUEST_BYTES_MAX} in one request");
            return Err(bad(message));
        }
        Ok(Request {
            method: Method::Post,
            path: operation.path().to_owned(),
            query: Vec::new(),
            headers: vec![json_please()],
            body: Body::Multipart(form.0),
        })
    }

    fn poll(&self, _endpoint: &Endpoint, _call: &Call, id: &str) -> Option<Request> {
        Some(Request {
            method: Method::Get,
            path: format!("/v2beta/results/{}", vendor::segment(id)),
            query: Vec::new(),
            headers: vec![json_please()],
            body: Body::None,
        })
    }

    fn next(&self, endpoint: &Endpoint, _call: &Call, stage: Stage<'_>, reply: &Reply) -> Step {
        match stage {
            Stage::Begun if (200..300).contains(&reply.status) => finished(endpoint, None, reply),
            Stage::Begun => Step::Failed(refused(endpoint, reply)),
            Stage::Polled { id, polls } => polled(endpoint, id, polls, reply),
        }
    }
}

/// The picture comes in JSON, with its seed and how it ended, instead of as bare bytes.
fn json_please() -> (String, String) {
    ("accept".to_owned(), "application/json".to_owned())
}

fn check(operation: Operation, call: &Call) -> Result<(), Fault> {
    use Operation::{Change, Conservative, Creative, Draw, Fast, Inpaint};
    let creative = matches!(operation, Conservative | Creative);
    let draws = matches!(operation, Draw | Change);
    vendor::refuse(
        WHO,
        &[
            (operation == Draw && !call.images.is_empty(), "a look at pictures"),
            (operation != Draw && call.images.len() != 1, "a change of other than one picture"),
            (call.mask.is_some() && operation != Inpaint, "a mask"),
            (call.count > 1, "several pictures at once"),
            (call.steps.is_some(), "steps"),
            (call.sampler.is_some(), "a sampler"),
            (!call.quality.is_empty(), "a quality"),
            (call.guidance.is_some() && !draws, "guidance"),
            (call.strength.is_some() && !(operation == Change || creative), "a strength"),
            (call.seed.is_some() && operation == Fast, "a seed"),
            (call.seed == Some(0), "the seed 0, which means a random one"),
            (call.seed.is_some_and(|seed| seed > SEED_MAX), "a seed above 4294967294"),
            (!call.negative.is_empty() && operation == Fast, "a negative prompt"),
            (call.prompt.is_empty() && operation != Fast, "a picture without a prompt"),
            (call.prompt.chars().count() > PROMPT_CHARS_MAX, "more than 10000 letters of prompt"),
            (call.negative.chars().count() > PROMPT_CHARS_MAX, "more than 10000 letters of negative prompt"),
            (operation == Draw && matches!(call.size, AskedSize::Pixels(_)), "a size in pixels"),
            (
                operation == Conservative && call.strength.is_some_and(|strength| !(0.2..=0.5).contains(&strength)),
                "a creativity outside 0.2 to 0.5",
            ),
        ],
    )
}

fn form(operation: Operation, call: &Call) -> Result<Form, Fault> {
    use Operation::{Change, Conservative, Creative, Draw, Fast};
    let mut form = Form::default();
    if operation != Fast {
        form.text("prompt", call.prompt.as_str());
    }
    if !call.negative.is_empty() {
        form.text("negative_prompt", call.negative.as_str());
    }
    match operation {
        Draw => {
            form.text("mode", "text-to-image");
            form.text("model", call.model.as_str());
            if let AskedSize::Ratio { ratio, .. } = &call.size {
                if !RATIOS.contains(&ratio.as_str()) {
                    return Err(bad(format!("ask {WHO} for the ratio {ratio:?}: it has {}", RATIOS.join(", "))));
                }
                form.text("aspect_ratio", ratio.as_str());
            }
        }
        Change => {
            form.text("mode", "image-to-image");
            form.text("model", call.model.as_str());
            form.text("strength", number(call.strength.unwrap_or(STRENGTH)));
        }
        Conservative | Creative => {
            if let Some(strength) = call.strength {
                form.text("creativity", number(strength));
            }
        }
        Operation::Inpaint | Fast => {}
    }
    if let Some(guidance) = call.guidance {
        form.text("cfg_scale", number(guidance));
    }
    if let Some(seed) = call.seed {
        form.text("seed", seed.to_string());
    }
    form.text("output_format", "png");
    for image in &call.images {
        form.png("image", "image.png", image);
    }
    if let Some(mask) = &call.mask {
        form.png("mask", "mask.png", mask);
    }
    Ok(form)
}

fn polled(endpoint: &Endpoint, id: &str, polls: u32, reply: &Reply) -> Step {
    let after = vendor::poll_wait(reply, polls, POLL_FIRST, POLL_MOST);
    let again = |after| Step::Poll { id: id.to_owned(), after };
    match reply.status {
        202 => again(after),
        200..=299 => finished(endpoint, Some((id, after)), reply),
        // Locked out for asking too often; the call itself goes on.
        429 => again(after.max(Duration::from_millis(LOCKED_OUT_MS))),
        408 | 425 | 500..=599 => again(after),
        403 if text(&reply.json().unwrap_or_default(), "name") == "content_moderation" => {
            Step::Failed(Fault { provider_id: Some(id.to_owned()), ..refused(endpoint, reply) })
        }
        // A result that nobody fetched for a day is as unknown as one that never was.
        status => Step::Failed(vendor::lost(WHO, endpoint, id, status, &said(reply))),
    }
}

/// What an answer means that says that all is well.
fn finished(endpoint: &Endpoint, poll: Option<(&str, Duration)>, reply: &Reply) -> Step {
    let mut provider_id = poll.map(|(id, _)| id.to_owned());
    let (finish, seed, bytes) = if sniff(&reply.body).is_some() {
        // Something on the way did not pass the `accept` header on.
        let seed = reply.header("seed").and_then(|seed| seed.trim().parse().ok());
        (reply.header("finish-reason").unwrap_or_default().to_owned(), seed, Some(reply.body.clone()))
    } else {
        let Some(body) = reply.json().filter(Value::is_object) else {
            // An answer to a question may be asked for again; one to an order may not.
            return match poll {
                Some((id, after)) => Step::Poll { id: id.to_owned(), after },
                None => Step::Failed(vendor::unreadable(WHO, reply)),
            };
        };
        let finish = text(&body, "finish_reason");
        let finish = if finish.is_empty() { reply.header("finish-reason").unwrap_or_default() } else { finish };
        let base64 = [text(&body, "image"), text(&body, "result")].into_iter().find(|base64| !base64.is_empty());
        if base64.is_none() && finish.is_empty() {
            // The call was taken and goes on; or, asked after, it still goes on.
            match (poll, vendor::call_id(body.get("id"))) {
                (Some((id, after)), _) => return Step::Poll { id: id.to_owned(), after },
                (None, Some(id)) => return Step::Poll { id, after: POLL_FIRST },
                (None, None) => {}
            }
        }
        provider_id = provider_id.or_else(|| vendor::call_id(body.get("id")));
        (finish.to_owned(), whole(body.get("seed")), base64.and_then(vendor::picture))
    };
    let fault = match (finish.as_str(), bytes) {
        // Written so, or as a number in protobuf's manner by older servers; anything but success is no picture.
        ("" | "SUCCESS", Some(bytes)) => {
            let pictures = vec![Picture { bytes, seed }];
            return Step::Done(Answer { pictures, usage: Usage::default(), provider_id });
        }
        ("CONTENT_FILTERED", _) => {
            let why = "CONTENT_FILTERED: the picture was blurred for what it shows";
            vendor::fault(WHO, endpoint, Outcome::PolicyOutput, reply.status, why).billed(Billed::Unknown)
        }
        (finish, _) => vendor::empty(WHO, endpoint, finish),
    };
    Step::Failed(Fault { provider_id, ..fault })
}

/// The words of `{"id", "name", "errors": […]}`.
fn said(reply: &Reply) -> String {
    let body = reply.json().unwrap_or_default();
    let errors: Vec<&str> = list(&body, "errors").take(8).filter_map(Value::as_str).collect();
    format!("{} {}", text(&body, "name"), errors.join("; "))
}

fn refused(endpoint: &Endpoint, reply: &Reply) -> Fault {
    let said = said(reply);
    let name = text(&reply.json().unwrap_or_default(), "name").to_owned();
    let fault = |outcome| vendor::fault(WHO, endpoint, outcome, reply.status, &said);
    match (reply.status, name.as_str()) {
        // Only words that say so make it a matter of the key.
        (403, "unauthorized" | "permission_denied" | "forbidden") => fault(Outcome::Auth).of(Range::Account),
        (403, _) => fault(Outcome::PolicyInput),
        (429, _) => fault(Outcome::Throttled).of(Range::Account).after_ms(LOCKED_OUT_MS),
        _ => vendor::by_status(WHO, endpoint, reply, &said),
    }
}

#[cfg(test)]
mod tests;
