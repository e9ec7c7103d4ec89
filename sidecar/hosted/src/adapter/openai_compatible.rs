//! Servers that speak OpenAI's image calls as dall-e-3 had them: vLLM, LocalAI, LiteLLM and many more.
//!
//! They agree on little: `url` may be relative or local, `n` and `quality` are ignored, errors are a sentence, there is no
//! `usage`. `response_format` is asked for, since a picture in the answer needs no second request; a server that refuses
//! the field is asked once more without it. What the row of a model says that it takes besides goes by the names that
//! are most common: `negative_prompt`, `seed`, `steps`, `guidance_scale`, `sampler`, `strength`.

use serde_json::{Map, Value, json};
use thumbforge_core::job::Outcome;

use super::{Adapter, Protocol, Reply, Request, Stage, Step, openai, read};
use crate::call::{AskedSize, Call, Task};
use crate::endpoint::{Endpoint, Secret};
use crate::fault::Fault;

/// The adapter.
pub(super) struct OpenAiCompatible;

impl Adapter for OpenAiCompatible {
    fn protocol(&self) -> Protocol {
        Protocol::OpenAiCompatible
    }

    fn version(&self) -> u32 {
        1
    }

    fn keys(&self, endpoint: &Endpoint) -> Vec<(&'static str, Secret)> {
        openai::bearer(endpoint)
    }

    fn begin(&self, endpoint: &Endpoint, call: &Call) -> Result<Request, Fault> {
        let mut fields = fields(call);
        fields.insert("response_format".to_owned(), json!("b64_json"));
        ask(endpoint, call, fields)
    }

    fn next(&self, endpoint: &Endpoint, call: &Call, _stage: Stage<'_>, reply: &Reply) -> Step {
        if reply.status == 200 {
            return openai::pictures::read(endpoint, call, reply);
        }
        if matches!(reply.status, 400 | 422) && names_response_format(reply) {
            return match ask(endpoint, call, fields(call)) {
                Ok(request) => Step::Again(Box::new(request)),
                Err(fault) => Step::Failed(fault),
            };
        }
        Step::Failed(openai::errors::read(endpoint, call, reply))
    }
}

fn fields(call: &Call) -> Map<String, Value> {
    let mut fields = openai::fields(call);
    if !matches!(call.size, AskedSize::Pixels(_)) {
        // "auto" came with GPT Image; the older dialect leaves the field out.
        fields.remove("size");
    }
    let mut add = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            fields.insert(name.to_owned(), value);
        }
    };
    add("negative_prompt", (!call.negative.is_empty()).then(|| json!(call.negative)));
    add("seed", call.seed.map(|seed| json!(seed)));
    add("steps", call.steps.map(|steps| json!(steps)));
    add("guidance_scale", call.guidance.map(|guidance| json!(guidance)));
    add("sampler", call.sampler.as_ref().map(|sampler| json!(sampler)));
    add("strength", call.strength.map(|strength| json!(strength)));
    fields
}

fn ask(endpoint: &Endpoint, call: &Call, fields: Map<String, Value>) -> Result<Request, Fault> {
    match call.task {
        Task::Generate => Ok(openai::generate(endpoint, fields)),
        Task::Edit => Ok(openai::edit(endpoint, fields, call)),
        Task::Upscale => {
            let words = format!("ask {}: its protocol makes no pictures larger", openai::errors::shown(&call.model));
            Err(Fault::new(Outcome::BadRequest, words))
        }
    }
}

/// Whether a refusal is about the one field that servers disagree on.
fn names_response_format(reply: &Reply) -> bool {
    let said = read::said(reply);
    said.param == "response_format" || said.message.contains("response_format")
}

#[cfg(test)]
mod tests;
