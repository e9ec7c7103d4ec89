//! `generateContent` on Vertex, with an OAuth token. The body and the answers are in [`super::google`].
//!
//! A call belongs to a project and a place; both are options of the account.

use std::collections::BTreeMap;

use super::google::{self, Service};
use super::vendor::{self, bad};
use super::{Adapter, Body, Method, Protocol, Reply, Request, Stage, Step};
use crate::call::Call;
use crate::endpoint::{Endpoint, Secret};
use crate::fault::Fault;

/// The place of models that are everywhere, image models among them.
const EVERYWHERE: &str = "global";

/// Vertex.
#[derive(Debug, Clone, Copy)]
pub(super) struct Vertex;

fn location(options: &BTreeMap<String, String>) -> &str {
    options.get("location").map_or(EVERYWHERE, String::as_str)
}

/// The path of a model's method.
pub(super) fn path(endpoint: &Endpoint, model: &str, method: &str) -> Result<String, Fault> {
    let project = endpoint.options.get("project").map(String::as_str).unwrap_or_default();
    if project.is_empty() {
        let account = &endpoint.account;
        return Err(bad(format!(
            "ask Vertex with the account {account:?}: it has no `project`; name the Google Cloud project"
        )));
    }
    let (project, location) = (vendor::segment(project), vendor::segment(location(&endpoint.options)));
    let model = vendor::segment(model);
    Ok(format!("/v1/projects/{project}/locations/{location}/publishers/google/models/{model}:{method}"))
}

/// The header of a token.
pub(super) fn bearer(endpoint: &Endpoint) -> Vec<(&'static str, Secret)> {
    endpoint.key.iter().map(|key| ("authorization", Secret::new(format!("Bearer {}", key.expose())))).collect()
}

impl Adapter for Vertex {
    fn protocol(&self) -> Protocol {
        Protocol::Vertex
    }

    fn version(&self) -> u32 {
        1
    }

    fn keys(&self, endpoint: &Endpoint) -> Vec<(&'static str, Secret)> {
        bearer(endpoint)
    }

    fn begin(&self, endpoint: &Endpoint, call: &Call) -> Result<Request, Fault> {
        Ok(Request {
            method: Method::Post,
            path: path(endpoint, &call.model, "generateContent")?,
            query: Vec::new(),
            headers: Vec::new(),
            body: Body::Json(google::content(Service::Vertex, endpoint, call)?),
        })
    }

    fn next(&self, endpoint: &Endpoint, _call: &Call, _stage: Stage<'_>, reply: &Reply) -> Step {
        google::read(Service::Vertex.who(), endpoint, reply)
    }
}
