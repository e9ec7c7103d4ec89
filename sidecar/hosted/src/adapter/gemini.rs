//! `generateContent` on the Gemini API, with a key in a header. The body and the answers are in [`super::google`].

use super::google::{self, Service};
use super::vendor;
use super::{Adapter, Body, Method, Protocol, Reply, Request, Stage, Step};
use crate::call::Call;
use crate::endpoint::{Endpoint, Secret};
use crate::fault::Fault;

/// The Gemini API.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gemini;

impl Adapter for Gemini {
    fn protocol(&self) -> Protocol {
        Protocol::Gemini
    }

    fn version(&self) -> u32 {
        1
    }

    fn keys(&self, endpoint: &Endpoint) -> Vec<(&'static str, Secret)> {
        endpoint.key.iter().map(|key| ("x-goog-api-key", key.clone())).collect()
    }

    fn begin(&self, endpoint: &Endpoint, call: &Call) -> Result<Request, Fault> {
        Ok(Request {
            method: Method::Post,
            path: format!("/v1beta/models/{}:generateContent", vendor::segment(&call.model)),
            query: Vec::new(),
            headers: Vec::new(),
            body: Body::Json(google::content(Service::GeminiApi, endpoint, call)?),
        })
    }

    fn next(&self, endpoint: &Endpoint, _call: &Call, _stage: Stage<'_>, reply: &Reply) -> Step {
        google::read(Service::GeminiApi.who(), endpoint, reply)
    }
}
