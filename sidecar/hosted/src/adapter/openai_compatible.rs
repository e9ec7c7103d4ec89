//! OpenAiCompatible.

use thumbforge_core::job::Outcome;

use super::{Adapter, Protocol, Reply, Request, Stage, Step};
use crate::call::Call;
use crate::endpoint::{Endpoint, Secret};
use crate::fault::Fault;

/// OpenAiCompatible.
pub(super) struct OpenAiCompatible;

impl Adapter for OpenAiCompatible {
    fn protocol(&self) -> Protocol {
        Protocol::OpenAiCompatible
    }

    fn version(&self) -> u32 {
        1
    }

    fn keys(&self, _endpoint: &Endpoint) -> Vec<(&'static str, Secret)> {
        Vec::new()
    }

    fn begin(&self, _endpoint: &Endpoint, _call: &Call) -> Result<Request, Fault> {
        Err(Fault::new(Outcome::BadRequest, "ask: not written"))
    }

    fn next(&self, _endpoint: &Endpoint, _call: &Call, _stage: Stage<'_>, _reply: &Reply) -> Step {
        Step::Failed(Fault::new(Outcome::BadRequest, "read: not written"))
    }
}
