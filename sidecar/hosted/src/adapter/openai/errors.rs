//! What the errors of OpenAI's calls mean. The status alone decides little: 429 is both "later" and "no credit left".

use thumbforge_core::job::Outcome;

use crate::adapter::Reply;
use crate::adapter::read::{self, Said};
use crate::call::Call;
use crate::endpoint::Endpoint;
use crate::fault::{Billed, Fault, Range};

/// Codes and kinds that say that money or quota is gone, with whatever status.
const OUT_OF_FUNDS: [&str; 7] = [
    "insufficient_quota",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "billing_hard_limit_reached",
    "billing_not_active",
];
/// Codes that say that the prompt, or what came of it, is not allowed.
const POLICY: [&str; 4] = ["moderation_blocked", "content_policy_violation", "safety_violation", "content_filter"];
/// Codes that say that a model is gone, or never was.
const NO_MODEL: [&str; 3] = ["model_not_found", "invalid_model", "model_deprecated"];

/// What a reply that is no success means.
pub(in crate::adapter) fn read(endpoint: &Endpoint, call: &Call, reply: &Reply) -> Fault {
    let said = read::said(reply);
    let is = |words: &[&str]| words.iter().any(|word| said.code == *word || said.kind == *word);
    let fault = |outcome| Fault::new(outcome, message(endpoint, call, reply, &said));
    let status = reply.status;
    if is(&OUT_OF_FUNDS) {
        return fault(Outcome::OutOfFunds).of(Range::Account);
    }
    if is(&POLICY) {
        return policy(reply, fault);
    }
    let names_model = said.param == "model" && matches!(status, 400 | 422);
    if (is(&NO_MODEL) && matches!(status, 400 | 404 | 410 | 422))
        || names_model
        || (status == 404 && says_no_model(&said))
    {
        return fault(Outcome::Retired).of(Range::Model);
    }
    let (outcome, range) = read::by_status(status);
    match outcome {
        // A region is barred as a whole; a model may only want the organisation to be verified.
        Outcome::Auth if status == 403 && !said.code.contains("country") => fault(outcome).of(Range::Model),
        Outcome::Throttled => {
            let ms = read::retry_after_ms(reply).or_else(|| read::delay_in_words_ms(&said.message));
            Fault { retry_after_ms: ms, ..fault(outcome).of(range) }
        }
        Outcome::Transient => Fault { retry_after_ms: read::retry_after_ms(reply), ..fault(outcome).of(range) },
        _ => fault(outcome).of(range),
    }
}

/// A refusal, by the stage at which it was made. What was drawn and then withheld may be billed; nobody says.
fn policy(reply: &Reply, fault: impl Fn(Outcome) -> Fault) -> Fault {
    let body = reply.json().unwrap_or_default();
    let stage = body.pointer("/error/moderation_details/moderation_stage").and_then(|stage| stage.as_str());
    match stage {
        Some("output") => fault(Outcome::PolicyOutput).billed(Billed::Unknown),
        Some("unknown") => fault(Outcome::PolicyInput).billed(Billed::Unknown),
        _ => fault(Outcome::PolicyInput),
    }
}

/// Whether a message without a code speaks of the model, as compatible servers do.
fn says_no_model(said: &Said) -> bool {
    let message = said.message.to_ascii_lowercase();
    message.contains("model")
        && ["not found", "does not exist", "not exist", "unknown"].iter().any(|words| message.contains(words))
}

/// What people read. What a server says about a key it does not take has a part of that key in it, so it is left out.
fn message(endpoint: &Endpoint, call: &Call, reply: &Reply, said: &Said) -> String {
    let mut text = format!("draw with {}: {} answered {}", shown(&call.model), endpoint.account, reply.status);
    let code = if said.code.is_empty() { &said.kind } else { &said.code };
    if !code.is_empty() {
        text.push_str(&format!(" {code}"));
    }
    match reply.status {
        401 => text.push_str(": it does not take the account's key"),
        404 | 405 if said.code.is_empty() => {
            text.push_str(": nothing is at this address; check the account's base_url");
        }
        300..=399 => text.push_str(": it sends requests elsewhere; write the account's base_url as it is after that"),
        _ if !said.message.is_empty() => text.push_str(&format!(": {}", said.message)),
        _ => {}
    }
    // By it the provider finds the call in its logs.
    if let Some(id) = reply.header("x-request-id").filter(|id| id.len() <= 80) {
        text.push_str(&format!(" (request {id})"));
    }
    text
}

/// A model's name, or what stands for it where the server has but one.
pub(in crate::adapter) fn shown(model: &str) -> &str {
    if model.is_empty() { "the server's model" } else { model }
}
