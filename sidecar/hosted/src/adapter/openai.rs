//! OpenAI's image calls, as the GPT Image family has them.
//!
//! Pictures always come back in base64; `response_format` does not exist. Quality and size are always sent, because the
//! server's own choice ("auto") has no price beforehand. There is no seed, no negative prompt and no sampling.
//! Options of the account: `organization`, `project`, and `moderation` ("auto" or "low").

use serde_json::{Map, Value, json};
use thumbforge_core::job::Outcome;

use super::{Adapter, Body, Method, Part, PartContent, Protocol, Reply, Request, Stage, Step};
use crate::call::{AskedSize, Call, Task};
use crate::endpoint::{Endpoint, Secret};
use crate::fault::Fault;

pub(super) mod errors;
pub(super) mod pictures;

/// Longest prompt in characters, as the specification has it.
const PROMPT_CHARS_MAX: usize = 32_000;

/// The adapter.
pub(super) struct OpenAi;

impl Adapter for OpenAi {
    fn protocol(&self) -> Protocol {
        Protocol::OpenAi
    }

    fn version(&self) -> u32 {
        1
    }

    fn keys(&self, endpoint: &Endpoint) -> Vec<(&'static str, Secret)> {
        bearer(endpoint)
    }

    fn begin(&self, endpoint: &Endpoint, call: &Call) -> Result<Request, Fault> {
        let refuse = |why: String| Err(Fault::new(Outcome::BadRequest, format!("ask {}: {why}", call.model)));
        let chars = call.prompt.chars().count();
        if chars > PROMPT_CHARS_MAX {
            return refuse(format!("the prompt has {chars} characters, and {PROMPT_CHARS_MAX} are the most"));
        }
        let mut fields = fields(call);
        fields.insert("output_format".to_owned(), json!("png"));
        match call.task {
            Task::Upscale => refuse("it makes no pictures larger; name a model that does".to_owned()),
            Task::Edit => Ok(edit(endpoint, fields, call)),
            Task::Generate => {
                let moderation = endpoint.options.get("moderation").map_or("auto", String::as_str);
                fields.insert("moderation".to_owned(), json!(moderation));
                Ok(generate(endpoint, fields))
            }
        }
    }

    fn next(&self, endpoint: &Endpoint, call: &Call, _stage: Stage<'_>, reply: &Reply) -> Step {
        if reply.status == 200 {
            return pictures::read(endpoint, call, reply);
        }
        Step::Failed(errors::read(endpoint, call, reply))
    }
}

/// The key as OpenAI and everybody after it has it.
pub(super) fn bearer(endpoint: &Endpoint) -> Vec<(&'static str, Secret)> {
    let key = endpoint.key.iter();
    key.map(|key| ("authorization", Secret::new(format!("Bearer {}", key.expose())))).collect()
}

/// The fields that every dialect and both calls have.
pub(super) fn fields(call: &Call) -> Map<String, Value> {
    let mut fields = Map::new();
    if !call.model.is_empty() {
        fields.insert("model".to_owned(), json!(call.model));
    }
    fields.insert("prompt".to_owned(), json!(call.prompt));
    fields.insert("n".to_owned(), json!(call.count.max(1)));
    match &call.size {
        AskedSize::Pixels(extent) => fields.insert("size".to_owned(), json!(extent.to_string())),
        // No dialect has ratios; the server's choice is nearer than nothing.
        AskedSize::Ratio { .. } | AskedSize::Free => fields.insert("size".to_owned(), json!("auto")),
    };
    if !call.quality.is_empty() {
        fields.insert("quality".to_owned(), json!(call.quality));
    }
    fields
}

/// The call that draws from a prompt.
pub(super) fn generate(endpoint: &Endpoint, fields: Map<String, Value>) -> Request {
    request(endpoint, "/images/generations", Body::Json(Value::Object(fields)))
}

/// The call that changes pictures: a form, because files in JSON are a third larger and older servers take none.
pub(super) fn edit(endpoint: &Endpoint, fields: Map<String, Value>, call: &Call) -> Request {
    let text = |(name, value): (String, Value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Part { name, content: PartContent::Text(value) }
    };
    let mut parts: Vec<Part> = fields.into_iter().map(text).collect();
    let mut file = |name: &str, file_name: String, bytes: &bytes::Bytes| {
        let content = PartContent::File { file_name, mime: "image/png".to_owned(), bytes: bytes.clone() };
        parts.push(Part { name: name.to_owned(), content });
    };
    // As the official clients do: one picture alone has the plain name, which older servers know.
    let name = if call.images.len() == 1 { "image" } else { "image[]" };
    for (at, image) in call.images.iter().enumerate() {
        file(name, format!("image-{at}.png"), image);
    }
    if let Some(mask) = &call.mask {
        file("mask", "mask.png".to_owned(), mask);
    }
    request(endpoint, "/images/edits", Body::Multipart(parts))
}

fn request(endpoint: &Endpoint, path: &str, body: Body) -> Request {
    let options = [("organization", "openai-organization"), ("project", "openai-project")];
    let headers = options.iter().filter_map(|(option, header)| {
        endpoint.options.get(*option).map(|value| ((*header).to_owned(), value.clone()))
    });
    Request { method: Method::Post, path: path.to_owned(), query: Vec::new(), headers: headers.collect(), body }
}

#[cfg(test)]
pub(super) mod tests;
