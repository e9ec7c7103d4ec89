//! ComfyUI: a graph is queued under a name of ours, and asked after by it.
//!
//! ```text
//! POST /prompt ─► history ──{}──► history … every 16th: queue ──has it──► history
//!                    │                               └─has it not──► last (history once more) ──{}──► lost
//!                    └─ outputs ─► GET /view
//! ```
//! The history is in memory and says `{}` for what waits, runs, or was never heard of; only the queue tells these apart.
//! The name of a call carries which of the three is asked next: `ID`, `queue:ID`, `last:ID`.
//! Formats are as in ComfyUI's `server.py` and `execution.py`.

use std::time::Duration;

use serde_json::{Value, json};
use thumbforge_core::job::Outcome;
use url::form_urlencoded;

use super::{Adapter, Body, Method, Protocol, Reply, Request, Stage, Step, own, read};
use crate::call::{Call, Task, Usage};
use crate::endpoint::{Endpoint, Secret};
use crate::fault::{Fault, Range};

/// SD3.5 with its three text encoders in files of their own, under the names that they are published with.
const SD35: &str = include_str!("comfyui/sd35.json");
/// Checkpoint where the account names none: the smallest that the built-in graph is for.
const MODEL: &str = "sd3.5_medium.safetensors";
/// Steps where none are named: what the model's authors recommend for SD3.5 Medium and Large.
const STEPS: u32 = 28;
/// Guidance where none is named, by the same.
const GUIDANCE: f64 = 4.5;
/// Sampler where none is named.
const SAMPLER: &str = "euler";
/// Each so many polls the queue is looked at too; it lists whole graphs, so not each time.
const QUEUE_EVERY: u32 = 16;
/// The first of them: most pictures are done before, and one that was lost is known to be after some seconds.
const QUEUE_FIRST: u32 = 3;
/// Deepest nesting of a graph's inputs that is filled in; real ones have three.
const DEPTH_MAX: usize = 16;
/// Longest name of a file with its folder, in bytes, as Linux has it.
const FILE_BYTES_MAX: usize = 4096;
/// Largest workflow of one's own in bytes: the largest that people share have some hundred kilobytes.
const WORKFLOW_BYTES_MAX: usize = 4 << 20;

/// ComfyUI.
pub(super) struct ComfyUi;

/// What is asked about a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    History,
    Queue,
    Last,
}

impl Question {
    /// What a name asks, and the server's own name in it.
    fn of(id: &str) -> (Self, &str) {
        match id.split_once(':') {
            Some(("queue", id)) => (Self::Queue, id),
            Some(("last", id)) => (Self::Last, id),
            _ => (Self::History, id),
        }
    }

    fn name(self, id: &str) -> String {
        match self {
            Self::History => id.to_owned(),
            Self::Queue => format!("queue:{id}"),
            Self::Last => format!("last:{id}"),
        }
    }
}

impl Adapter for ComfyUi {
    fn protocol(&self) -> Protocol {
        Protocol::ComfyUi
    }

    fn version(&self) -> u32 {
        1
    }

    /// It has no keys of its own; one that is set is for a proxy before it.
    fn keys(&self, endpoint: &Endpoint) -> Vec<(&'static str, Secret)> {
        let bearer = |key: &Secret| Secret::new(format!("Bearer {}", key.expose()));
        endpoint.key.iter().map(|key| ("authorization", bearer(key))).collect()
    }

    fn begin(&self, endpoint: &Endpoint, call: &Call) -> Result<Request, Fault> {
        if call.task != Task::Generate {
            let message =
                "change a picture: ComfyUI is only asked to draw from words here; use another backend for edits";
            return Err(Fault::new(Outcome::BadRequest, message));
        }
        let graph = graph(endpoint, call)?;
        let body = json!({"prompt": graph, "prompt_id": call.nonce, "client_id": "thumbforge"});
        Ok(request(Method::Post, "/prompt".into(), Body::Json(body)))
    }

    fn poll(&self, _endpoint: &Endpoint, _call: &Call, id: &str) -> Option<Request> {
        let (question, id) = Question::of(id);
        let path = match question {
            Question::Queue => "/queue".to_owned(),
            Question::History | Question::Last if own::is_id(id) => format!("/history/{id}"),
            _ => return None,
        };
        Some(request(Method::Get, path, Body::None))
    }

    /// The server takes our name, so that a call whose answer was lost can be asked after.
    fn known_as(&self, nonce: &str) -> Option<String> {
        own::is_id(nonce).then(|| nonce.to_owned())
    }

    /// Takes it from the queue. One that runs goes on: older servers know only how to interrupt whatever runs.
    fn cancel(&self, _endpoint: &Endpoint, id: &str) -> Option<Request> {
        let (_, id) = Question::of(id);
        own::is_id(id).then(|| request(Method::Post, "/queue".into(), Body::Json(json!({ "delete": [id] }))))
    }

    fn next(&self, endpoint: &Endpoint, call: &Call, stage: Stage<'_>, reply: &Reply) -> Step {
        match stage {
            Stage::Begun => begun(call, reply),
            Stage::Polled { id, polls } => polled(endpoint, call, id, polls, reply),
        }
    }
}

fn request(method: Method, path: String, body: Body) -> Request {
    Request { method, path, query: Vec::new(), headers: Vec::new(), body }
}

/// The graph with this call in it.
fn graph(endpoint: &Endpoint, call: &Call) -> Result<Value, Fault> {
    let own = endpoint.options.get("workflow");
    let wrong = |what: &str| {
        let message = format!("read the workflow of account {}: {what}", endpoint.account);
        Fault::new(Outcome::BadRequest, message).of(Range::Account)
    };
    let text = own.map_or(SD35, String::as_str);
    if text.len() > WORKFLOW_BYTES_MAX {
        return Err(wrong("it is larger than 4 MiB"));
    }
    let mut graph: Value = serde_json::from_str(text).map_err(|err| wrong(&format!("it is no JSON: {err}")))?;
    let nodes = graph.as_object_mut().ok_or_else(|| wrong("it is no object of nodes"))?;
    if nodes.contains_key("nodes") {
        return Err(wrong("it is saved for the editor; use Export (API) in ComfyUI"));
    }
    let words = Words::of(call)?;
    for (name, node) in nodes {
        if node.get("class_type").and_then(Value::as_str).is_none() {
            return Err(wrong(&format!("node {name:?} has no class_type; use Export (API) in ComfyUI")));
        }
        if let Some(inputs) = node.get_mut("inputs") {
            words.fill(inputs, 0);
        }
    }
    Ok(graph)
}

/// What the placeholders of a workflow stand for.
struct Words {
    pairs: [(&'static str, Value); 10],
}

impl Words {
    fn of(call: &Call) -> Result<Self, Fault> {
        let extent = own::extent(call)?;
        // Names are those of the files; people write them with and without their ending.
        let model = match call.model.rsplit_once('.') {
            Some((_, "safetensors" | "ckpt" | "gguf" | "sft")) => call.model.clone(),
            _ if call.model.is_empty() => MODEL.to_owned(),
            _ => format!("{}.safetensors", call.model),
        };
        let sampler = call.sampler.as_deref().unwrap_or(SAMPLER);
        Ok(Self {
            pairs: [
                ("{prompt}", call.prompt.as_str().into()),
                ("{negative}", call.negative.as_str().into()),
                ("{model}", model.into()),
                ("{sampler}", sampler.into()),
                ("{seed}", call.seed.unwrap_or_default().into()),
                ("{width}", extent.width.into()),
                ("{height}", extent.height.into()),
                ("{steps}", call.steps.unwrap_or(STEPS).into()),
                ("{cfg}", call.guidance.unwrap_or(GUIDANCE).into()),
                ("{count}", call.count.max(1).into()),
            ],
        })
    }

    /// Fills a value in. A text that is nothing but a placeholder becomes what it stands for, a number where it is one.
    fn fill(&self, value: &mut Value, depth: usize) {
        match value {
            _ if depth > DEPTH_MAX => {}
            Value::String(text) => {
                let whole = self.pairs.iter().find(|(name, _)| name == text).map(|(_, stands_for)| stands_for.clone());
                *value = whole.unwrap_or_else(|| self.within(text).into());
            }
            Value::Array(values) => values.iter_mut().for_each(|value| self.fill(value, depth + 1)),
            Value::Object(values) => values.values_mut().for_each(|value| self.fill(value, depth + 1)),
            _ => {}
        }
    }

    /// Fills a text in, once from left to right, so that a placeholder in somebody's prompt stays what it is.
    fn within(&self, text: &str) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('{') {
            filled.push_str(&rest[..at]);
            rest = &rest[at..];
            match self.pairs.iter().find(|(name, _)| rest.starts_with(name)) {
                Some((name, value)) => {
                    match value {
                        Value::String(words) => filled.push_str(words),
                        number => filled.push_str(&number.to_string()),
                    }
                    rest = &rest[name.len()..];
                }
                None => {
                    filled.push('{');
                    rest = &rest[1..];
                }
            }
        }
        filled.push_str(rest);
        filled
    }
}

/// What follows from the answer to a graph.
fn begun(call: &Call, reply: &Reply) -> Step {
    if reply.status != 200 {
        let fault = match reply.status {
            400 => invalid(call, reply),
            _ => own::fault("queue a graph", reply),
        };
        // A gateway that gave up waiting may have passed it on, and our name finds it then.
        let named = fault.outcome == Outcome::Ambiguous && own::is_id(&call.nonce);
        let provider_id = named.then(|| call.nonce.clone());
        return Step::Failed(Fault { provider_id, ..fault });
    }
    let body = reply.json().unwrap_or_default();
    // Older servers choose the name themselves.
    match body.get("prompt_id").and_then(Value::as_str) {
        Some(id) if own::is_id(id) => Step::Poll { id: id.to_owned(), after: own::pause(0) },
        _ => own::said(Outcome::Empty, format!("queue a graph: the answer has no prompt_id: {}", own::words(reply))),
    }
}

/// A graph that the server does not take. A checkpoint that it does not have is its own case.
fn invalid(call: &Call, reply: &Reply) -> Fault {
    let body = reply.json().unwrap_or_default();
    let nodes = body.get("node_errors").and_then(Value::as_object).into_iter().flatten();
    let errors = nodes.flat_map(|(_, node)| node.get("errors").and_then(Value::as_array).into_iter().flatten());
    let mut details = Vec::new();
    for error in errors {
        let field = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default();
        let input = error.pointer("/extra_info/input_name").and_then(Value::as_str).unwrap_or_default();
        if field("type") == "value_not_in_list" && matches!(input, "ckpt_name" | "unet_name") {
            let message = format!("draw with {:?}: ComfyUI has no such file: {}", call.model, field("details"));
            return Fault::new(Outcome::Retired, message).of(Range::Model);
        }
        // Each wrong input is one; a few tell enough, and messages are short.
        if details.len() < 4 {
            details.push(format!("{} {}", field("message"), field("details")));
        }
    }
    let mut message = format!("queue a graph: {}", own::words(reply));
    if !details.is_empty() {
        message = format!("{message}: {}", details.join(", "));
    }
    Fault::new(Outcome::BadRequest, message)
}

/// What follows from the answer to one of the three questions.
fn polled(endpoint: &Endpoint, call: &Call, name: &str, polls: u32, reply: &Reply) -> Step {
    let (question, id) = Question::of(name);
    let ask = |question: Question, after| Step::Poll { id: question.name(id), after };
    let with_id = |fault: Fault| Step::Failed(Fault { provider_id: Some(id.to_owned()), ..fault });
    match reply.status {
        200 => {}
        // Asking again is free, and what breaks here is a proxy or a server that just starts.
        408 | 429 | 500.. => {
            let asked = read::retry_after_ms(reply).map(Duration::from_millis);
            return ask(question, asked.unwrap_or_else(|| own::pause(polls)));
        }
        _ => return with_id(own::fault("ask after a graph", reply)),
    }
    let Some(body) = reply.json() else { return ask(question, own::pause(polls)) };
    if question == Question::Queue {
        // One that is not there may have ended between the two questions, so the history has the last word.
        return if queued(&body, id) {
            ask(Question::History, own::pause(polls))
        } else {
            ask(Question::Last, Duration::ZERO)
        };
    }
    match body.get(id) {
        Some(entry) => ended(endpoint, call, id, entry),
        None if question == Question::Last => {
            let message = "ask after a graph: ComfyUI knows nothing of it; it was restarted, and the graph is lost";
            with_id(Fault::new(Outcome::Transient, message))
        }
        None if polls % QUEUE_EVERY == QUEUE_FIRST => ask(Question::Queue, Duration::ZERO),
        None => ask(Question::History, own::pause(polls)),
    }
}

/// Whether a queue has a graph: entries are lists of which the second is the name.
fn queued(queue: &Value, id: &str) -> bool {
    ["queue_running", "queue_pending"].iter().any(|name| {
        let entries = queue.get(*name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        entries.iter().any(|entry| entry.get(1).and_then(Value::as_str) == Some(id))
    })
}

/// What became of a graph, by its entry in the history.
fn ended(endpoint: &Endpoint, call: &Call, id: &str, entry: &Value) -> Step {
    let status = entry.pointer("/status/status_str").and_then(Value::as_str);
    if status == Some("error") {
        return Step::Failed(Fault { provider_id: Some(id.to_owned()), ..broken(entry) });
    }
    let outputs = entry.get("outputs").and_then(Value::as_object).into_iter().flatten();
    let images = outputs.flat_map(|(_, node)| node.get("images").and_then(Value::as_array).into_iter().flatten());
    let images: Vec<&Value> = images.collect();
    let kind = |image: &Value| image.get("type").and_then(Value::as_str).unwrap_or("output").to_owned();
    // Previews of a workflow lie in "temp"; they are taken only where nothing was saved.
    let saved: Vec<&Value> = images.iter().copied().filter(|image| kind(image) == "output").collect();
    let chosen = if saved.is_empty() { images } else { saved };
    let files: Vec<String> =
        chosen.into_iter().filter_map(|image| file(image, &kind(image))).take(call.count.max(1) as usize).collect();
    if files.is_empty() {
        let message = "read a picture: the graph ended without one; its workflow needs a SaveImage node";
        return Step::Failed(Fault { provider_id: Some(id.to_owned()), ..Fault::new(Outcome::Empty, message) });
    }
    let base = endpoint.base_url.as_str().trim_end_matches('/');
    let urls = files.into_iter().map(|file| (format!("{base}/view?{file}"), None)).collect();
    Step::Fetch { urls, usage: Usage::default(), provider_id: Some(id.to_owned()) }
}

/// How a file of a graph is asked for, as a query; none that is longer than file systems have names.
fn file(image: &Value, kind: &str) -> Option<String> {
    let text = |name: &str| image.get(name).and_then(Value::as_str);
    let (name, folder) = (text("filename")?, text("subfolder").unwrap_or_default());
    if name.len() + folder.len() + kind.len() > FILE_BYTES_MAX {
        return None;
    }
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("filename", name).append_pair("subfolder", folder).append_pair("type", kind);
    Some(query.finish())
}

/// Why a graph broke, by the messages of its run.
fn broken(entry: &Value) -> Fault {
    let messages = entry.pointer("/status/messages").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let find = |name: &str| messages.iter().find(|message| message.get(0).and_then(Value::as_str) == Some(name));
    if find("execution_interrupted").is_some() {
        // A person stopped it there; drawing it again would argue with them.
        return Fault::new(Outcome::Failed, "draw: somebody interrupted the graph in ComfyUI");
    }
    let error = find("execution_error").and_then(|message| message.get(1));
    let field = |name: &str| error.and_then(|error| error.get(name)?.as_str()).unwrap_or_default().trim().to_owned();
    let (kind, said) = (field("exception_type"), field("exception_message"));
    let message = format!("draw: node {} ({}): {kind}: {said}", field("node_id"), field("node_type"));
    let memory = own::out_of_memory(&kind) || own::out_of_memory(&said);
    // The same graph breaks in the same way again, unless memory was what it lacked.
    Fault::new(if memory { Outcome::Transient } else { Outcome::BadRequest }, message)
}

#[cfg(test)]
mod tests;
