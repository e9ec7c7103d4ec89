//! Google's `generateContent`, which the Gemini API and Vertex share, and its errors.
//!
//! A refusal comes as HTTP 200: no candidates and a `blockReason`, or a candidate without a picture and a reason in
//! `finishReason`. Words that are known to both are in google-genai's `types.py`; unknown ones are read by what they say.

use serde_json::{Map, Value, json};
use thumbforge_core::job::Outcome;

use super::read;
use super::vendor::{self, bad, bounded_ms, text, whole};
use super::{Reply, Step};
use crate::call::{Answer, AskedSize, Call, Picture, Task, Usage};
use crate::endpoint::Endpoint;
use crate::fault::{Billed, Fault, Range};

/// Most candidates, and parts of one, that are looked at: one is asked for, with a picture, words and thoughts in it.
const CANDIDATES_MAX: usize = 8;
const PARTS_MAX: usize = 64;

/// Most details of an error that are looked at.
const DETAILS_MAX: usize = 32;

/// Seeds are int32 on the wire.
pub(super) const SEED_MAX: u64 = 2_147_483_647;

/// Vertex takes at most so many bytes of one picture in a request.
const VERTEX_PICTURE_BYTES_MAX: usize = 7 * 1024 * 1024;

/// Which of the two services is asked: some fields are taken by one alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    GeminiApi,
    Vertex,
}

impl Service {
    /// Its name in messages.
    pub(super) const fn who(self) -> &'static str {
        match self {
            Self::GeminiApi => "the Gemini API",
            Self::Vertex => "Vertex",
        }
    }
}

/// The body that asks for a picture.
pub(super) fn content(service: Service, endpoint: &Endpoint, call: &Call) -> Result<Value, Fault> {
    let who = service.who();
    vendor::refuse(
        who,
        &[
            (call.task == Task::Upscale, "a larger picture"),
            (call.task == Task::Edit && call.images.is_empty(), "a change of no picture"),
            (call.count > 1, "several pictures at once"),
            (call.mask.is_some(), "a mask"),
            (!call.negative.is_empty(), "a negative prompt"),
            (call.guidance.is_some(), "guidance"),
            (call.steps.is_some(), "steps"),
            (call.sampler.is_some(), "a sampler"),
            (call.strength.is_some(), "a strength"),
            (call.seed.is_some_and(|seed| seed > SEED_MAX), "a seed above 2147483647"),
            (matches!(call.size, AskedSize::Pixels(_)), "a size in pixels"),
        ],
    )?;
    if service == Service::Vertex && call.images.iter().any(|image| image.len() > VERTEX_PICTURE_BYTES_MAX) {
        return Err(bad(format!("send a picture to {who}: it takes at most {VERTEX_PICTURE_BYTES_MAX} bytes of each")));
    }
    let mut parts = vec![json!({"text": call.prompt})];
    for image in &call.images {
        parts.push(json!({"inlineData": {"mimeType": "image/png", "data": read::base64(image)}}));
    }
    let mut config = Map::new();
    // Without words: an answer that explains itself instead of drawing is none.
    config.insert("responseModalities".to_owned(), json!(["IMAGE"]));
    if let Some(seed) = call.seed {
        config.insert("seed".to_owned(), json!(seed));
    }
    let image = image_config(service, endpoint, call);
    if !image.is_empty() {
        config.insert("imageConfig".to_owned(), Value::Object(image));
    }
    // How much work goes into a picture is how long the model thinks about it; models without a choice have no such word.
    if !call.quality.is_empty() {
        config.insert("thinkingConfig".to_owned(), json!({"thinkingLevel": call.quality}));
    }
    Ok(json!({"contents": [{"role": "user", "parts": parts}], "generationConfig": config}))
}

fn image_config(service: Service, endpoint: &Endpoint, call: &Call) -> Map<String, Value> {
    let mut image = Map::new();
    if let AskedSize::Ratio { ratio, resolution } = &call.size {
        image.insert("aspectRatio".to_owned(), json!(ratio));
        if let Some(resolution) = resolution {
            // "1k" is refused: the K is a capital one.
            image.insert("imageSize".to_owned(), json!(resolution.to_ascii_uppercase()));
        }
    }
    if service == Service::Vertex {
        // The Gemini API has none of these, and gives JPEG or PNG as it likes.
        image.insert("imageOutputOptions".to_owned(), json!({"mimeType": "image/png"}));
        for (option, field) in [("person_generation", "personGeneration"), ("prominent_people", "prominentPeople")] {
            if let Some(value) = endpoint.options.get(option) {
                image.insert(field.to_owned(), json!(value));
            }
        }
    }
    image
}

/// What an answer to [`content`] means.
pub(super) fn read(who: &str, endpoint: &Endpoint, reply: &Reply) -> Step {
    if !(200..300).contains(&reply.status) {
        return Step::Failed(refused(who, endpoint, reply));
    }
    let Some(body) = reply.json() else { return Step::Failed(vendor::unreadable(who, reply)) };
    if body.get("error").is_some_and(Value::is_object) {
        return Step::Failed(refused(who, endpoint, reply));
    }
    let usage = usage(&body);
    let provider_id = vendor::call_id(body.get("responseId"));
    let mut pictures = Vec::new();
    let mut withheld = None;
    let mut said = String::new();
    for candidate in list(&body, "candidates").take(CANDIDATES_MAX) {
        let finish = text(candidate, "finishReason");
        if withholds(finish) {
            withheld = Some(format!("{finish} {}", text(candidate, "finishMessage")));
            continue;
        }
        let parts = candidate.get("content").into_iter().flat_map(|content| list(content, "parts"));
        for part in parts.take(PARTS_MAX) {
            if part.get("thought").and_then(Value::as_bool) == Some(true) {
                continue;
            }
            let data = part.pointer("/inlineData/data").and_then(Value::as_str);
            match data.and_then(vendor::picture) {
                Some(bytes) if pictures.len() < vendor::PICTURES_MAX => pictures.push(Picture { bytes, seed: None }),
                Some(_) => break,
                None if said.is_empty() => text(part, "text").clone_into(&mut said),
                None => {}
            }
        }
        said = format!("{finish} {} {said}", text(candidate, "finishMessage"));
    }
    if !pictures.is_empty() {
        return Step::Done(Answer { pictures, usage, provider_id });
    }
    let block = body.pointer("/promptFeedback/blockReason").and_then(Value::as_str).unwrap_or_default();
    let fault = if let Some(withheld) = withheld {
        // Whether withheld pictures are billed is written nowhere.
        vendor::fault(who, endpoint, Outcome::PolicyOutput, reply.status, &withheld).billed(Billed::Unknown)
    } else if !block.is_empty() {
        let why = body.pointer("/promptFeedback/blockReasonMessage").and_then(Value::as_str).unwrap_or_default();
        vendor::fault(who, endpoint, Outcome::PolicyInput, reply.status, &format!("{block} {why}"))
    } else {
        vendor::empty(who, endpoint, &said)
    };
    Step::Failed(Fault { usage, provider_id, ..fault })
}

/// Whether a `finishReason` says that a picture was withheld for what it shows or repeats.
/// `OTHER`, `IMAGE_OTHER`, `NO_IMAGE`, `LANGUAGE` and the rest say that nothing came of it.
fn withholds(finish: &str) -> bool {
    matches!(finish, "BLOCKLIST" | "SPII" | "RECITATION" | "IMAGE_RECITATION")
        || finish.ends_with("SAFETY")
        || finish.ends_with("PROHIBITED_CONTENT")
}

fn usage(body: &Value) -> Usage {
    let Some(meta) = body.get("usageMetadata") else { return Usage::default() };
    let prompt = whole(meta.get("promptTokenCount"));
    let images = list(meta, "promptTokensDetails")
        .take(CANDIDATES_MAX)
        .find(|detail| text(detail, "modality") == "IMAGE")
        .and_then(|detail| whole(detail.get("tokenCount")));
    Usage {
        text_tokens: prompt.map(|all| all.saturating_sub(images.unwrap_or_default())),
        image_tokens: images,
        output_tokens: whole(meta.get("candidatesTokenCount")),
        ..Usage::default()
    }
}

/// What a `google.rpc.Status` means.
///
/// The same 429 says "wait a minute", "wait for tomorrow" and "never": the quota's name and the message tell them apart.
pub(super) fn refused(who: &str, endpoint: &Endpoint, reply: &Reply) -> Fault {
    let body = reply.json().unwrap_or_default();
    // Errors of streams come in a list of one.
    let error = body.get("error").or_else(|| body.get(0)?.get("error")).unwrap_or(&Value::Null);
    let message = text(error, "message");
    let code = whole(error.get("code")).and_then(|code| u16::try_from(code).ok());
    let status = if (200..300).contains(&reply.status) { code.unwrap_or(500) } else { reply.status };
    let reason =
        details(error, "google.rpc.ErrorInfo").map(|info| text(info, "reason")).find(|reason| !reason.is_empty());
    let reason = reason.unwrap_or_default();
    let said = format!("{} {message}", if reason.is_empty() { text(error, "status") } else { reason });
    let fault = |outcome| vendor::fault(who, endpoint, outcome, status, &said);

    match status {
        _ if reason.starts_with("API_KEY_")
            || reason.starts_with("ACCESS_TOKEN_")
            || reason == "CREDENTIALS_MISSING" =>
        {
            fault(Outcome::Auth).of(Range::Account)
        }
        _ if reason == "BILLING_DISABLED" => fault(Outcome::OutOfFunds).of(Range::Account),
        400 if message.contains("API key not valid") || message.contains("API key expired") => {
            fault(Outcome::Auth).of(Range::Account)
        }
        // Billing that is off, or a country that is not served: no call of the account fares better.
        400 if text(error, "status") == "FAILED_PRECONDITION" => {
            let billing = message.to_ascii_lowercase().contains("billing");
            fault(if billing { Outcome::OutOfFunds } else { Outcome::Auth }).of(Range::Account)
        }
        429 => {
            let quota = details(error, "google.rpc.QuotaFailure")
                .flat_map(|failure| list(failure, "violations").take(DETAILS_MAX))
                .map(|violation| text(violation, "quotaId"))
                .collect::<Vec<_>>();
            if no_quota_at_all(message) {
                // A delay is advertised even so, of hours; after it the quota is 0 again.
                fault(Outcome::OutOfFunds).of(Range::Model)
            } else if quota.iter().any(|id| id.contains("PerDay")) {
                let fault = fault(Outcome::OutOfFunds).of(Range::Account);
                Fault { retry_after_ms: until_reset_ms(reply), ..fault }
            } else if message.contains("credits are depleted") || message.contains("spending cap") {
                fault(Outcome::OutOfFunds).of(Range::Account)
            } else {
                let stated = details(error, "google.rpc.RetryInfo").find_map(|info| delay_ms(text(info, "retryDelay")));
                let fault = fault(Outcome::Throttled).of(Range::Account);
                Fault { retry_after_ms: stated.or_else(|| read::retry_after_ms(reply)), ..fault }
            }
        }
        _ => vendor::by_status(who, endpoint, &Reply { status, ..reply.clone() }, &said),
    }
}

/// The details of an error that are of one type; their `@type` is an address that ends with it.
fn details<'a>(error: &'a Value, kind: &'static str) -> impl Iterator<Item = &'a Value> {
    list(error, "details").take(DETAILS_MAX).filter(move |detail| text(detail, "@type").ends_with(kind))
}

/// Whether a message says that the account's tier has no quota for the model: "limit: 0", and not "limit: 05" or "0.5".
fn no_quota_at_all(message: &str) -> bool {
    message.match_indices("limit: 0").any(|(at, found)| {
        let after = &message.as_bytes()[at + found.len()..];
        match after {
            [b'.', digit, ..] => !digit.is_ascii_digit(),
            [next, ..] => !next.is_ascii_digit(),
            [] => true,
        }
    })
}

/// A protobuf Duration as JSON has it ("46s", "1.5s"), in milliseconds.
fn delay_ms(text: &str) -> Option<u64> {
    bounded_ms(text.strip_suffix('s')?.parse::<f64>().ok()? * 1000.0)
}

/// Milliseconds until quotas of a day are counted anew, which is midnight in California, by the answer's own `date`
/// header: there is no clock here. 08:00 UTC is midnight there in winter and an hour past it in summer, never before it.
/// Nothing where the header is missing or odd.
fn until_reset_ms(reply: &Reply) -> Option<u64> {
    const RESET: u64 = 8 * 3600;
    const DAY: u64 = 24 * 3600;
    // "Sat, 21 Nov 2026 11:01:04 GMT"
    let clock = reply.header("date")?.split_ascii_whitespace().nth(4)?;
    let mut parts = clock.split(':').map(|part| part.parse::<u64>().ok());
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    (hour < 24 && minute < 60 && second <= 60).then(|| {
        let now = hour * 3600 + minute * 60 + second;
        (DAY + RESET - now % DAY - 1) % DAY * 1000 + 1000
    })
}

/// The entries of a list field; none where it is no list.
pub(super) fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests;
