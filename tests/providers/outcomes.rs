//! Refusals and errors of every protocol through the real client. Each adapter has longer tables beside it; what is
//! proved here is that status, headers and body reach it as they were sent, and that nobody asks twice by itself.

use serde_json::{Value, json};
use thumbforge_core::job::Outcome;
use thumbforge_hosted::{Billed, Range};
use thumbforge_tests::provider::{Reply, Rule};

use super::*;

/// A reply to the first request, and the fault that it becomes.
#[track_caller]
fn check(protocol: Protocol, reply: Reply, outcome: Outcome, range: Range, billed: Billed, after: Option<u64>) {
    let shop = Shop::open();
    let status = reply.status;
    shop.provider.rule(Rule::reply(reply).method("POST"));
    let fault = fault(shop.ask(protocol, &drawing(protocol)));
    let told = (fault.outcome, fault.range, fault.billed, fault.retry_after_ms);
    assert_eq!(told, (outcome, range, billed, after), "{} {status}: {}", protocol.word(), fault.message);
    assert_eq!(shop.provider.count(), 1, "{} {status}: nobody asks twice by itself", protocol.word());
    assert!(!fault.message.is_empty() && fault.message.len() < 600);
}

fn error(status: u16, kind: &str, code: &str, message: &str) -> Reply {
    Reply::json(status, &json!({"error": {"message": message, "type": kind, "param": null, "code": code}}))
}

fn google(code: u16, status: &str, message: &str, details: Value) -> Reply {
    Reply::json(code, &json!({"error": {"code": code, "message": message, "status": status, "details": details}}))
}

use Billed::{No, Unknown};
use Outcome::*;
use Range::{Account, Call as One, Model};

#[test]
fn openai() {
    let on = |reply, outcome, range, billed, after| check(Protocol::OpenAi, reply, outcome, range, billed, after);
    let limit = || error(429, "requests", "rate_limit_exceeded", "Rate limit exceeded. Retry after 60s.");
    on(limit(), Throttled, Account, No, Some(60_000));
    on(limit().header("retry-after", "20"), Throttled, Account, No, Some(20_000));
    on(limit().header("retry-after-ms", "1500"), Throttled, Account, No, Some(1_500));
    on(error(429, "insufficient_quota", "credit_balance_exhausted", "no credit"), OutOfFunds, Account, No, None);
    on(error(401, "invalid_request_error", "invalid_api_key", "Incorrect API key"), Auth, Account, No, None);
    on(error(500, "server_error", "server_error", "The server had an error"), Transient, One, No, None);
    on(Reply::of(502, "text/html", "<html>bad gateway</html>"), Ambiguous, One, Unknown, None);
    on(Reply::of(504, "text/html", ""), Ambiguous, One, Unknown, None);
    on(Reply::of(200, "text/html", "<html>login</html>"), Empty, One, Unknown, None);
    on(Reply::of(200, "application/json", "{\"data\":[{\"b64_json\":\"iVB"), Ambiguous, One, Unknown, None);
}

#[test]
fn openai_and_models() {
    let on = |reply, outcome, range| {
        let shop = Shop::open();
        shop.provider.rule(Rule::reply(reply));
        let fault = fault(shop.ask(Protocol::OpenAi, &drawing(Protocol::OpenAi)));
        assert_eq!((fault.outcome, fault.range), (outcome, range), "{}", fault.message);
    };
    on(error(404, "invalid_request_error", "model_not_found", "The model does not exist"), Retired, Model);
    on(error(400, "invalid_request_error", "invalid_value", "Invalid value: 'size'"), BadRequest, One);
    on(
        error(400, "image_generation_user_error", "moderation_blocked", "safety_violations=[violence]"),
        PolicyInput,
        One,
    );
    on(error(400, "invalid_request_error", "content_policy_violation", "rejected"), PolicyInput, One);
    on(error(503, "server_error", "server_is_overloaded", "overloaded"), Transient, One);
}

#[test]
fn google_apis() {
    for protocol in [Protocol::Gemini, Protocol::Vertex] {
        let minute = json!([
            {"@type": "type.googleapis.com/google.rpc.QuotaFailure",
             "violations": [{"quotaId": "GenerateRequestsPerMinutePerProjectPerModel"}]},
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "46s"},
        ]);
        let on = |reply, outcome| {
            let shop = Shop::open();
            shop.provider.rule(Rule::reply(reply));
            let fault = fault(shop.ask(protocol, &drawing(protocol)));
            assert_eq!(fault.outcome, outcome, "{}: {}", protocol.word(), fault.message);
            fault
        };
        let waits = on(google(429, "RESOURCE_EXHAUSTED", "Quota exceeded", minute), Throttled);
        assert_eq!(waits.retry_after_ms, Some(46_000));
        on(google(403, "PERMISSION_DENIED", "no access", json!([])), Auth);
        on(google(404, "NOT_FOUND", "models/x is not found", json!([])), Retired);
        on(google(400, "INVALID_ARGUMENT", "bad size", json!([])), BadRequest);
        on(google(503, "UNAVAILABLE", "The model is overloaded.", json!([])), Transient);
        on(Reply::json(200, &json!({"promptFeedback": {"blockReason": "SAFETY"}})), PolicyInput);
        let unsafe_picture = json!({"candidates": [{"finishReason": "IMAGE_SAFETY"}]});
        on(Reply::json(200, &unsafe_picture), PolicyOutput);
        let words = json!({"candidates": [{"finishReason": "STOP", "content": {"parts": [{"text": "I cannot"}]}}]});
        on(Reply::json(200, &words), Empty);
    }
}

#[test]
fn ideogram() {
    for protocol in [Protocol::Ideogram, Protocol::IdeogramV1] {
        let on = |reply, outcome| {
            let shop = Shop::open();
            shop.provider.rule(Rule::reply(reply).method("POST"));
            let fault = fault(shop.ask(protocol, &drawing(protocol)));
            assert_eq!(fault.outcome, outcome, "{}: {}", protocol.word(), fault.message);
            fault
        };
        let refusal = |status, reason: &str| Reply::json(status, &json!({"error": "no", "reject_reason": reason}));
        on(refusal(429, "inflight_limit"), Throttled);
        on(refusal(402, "insufficient_funds"), OutOfFunds);
        on(Reply::json(422, &json!({"error": "Prompt failed safety check"})), PolicyInput);
        on(Reply::json(401, &json!({"error": "bad key"})), Auth);
        on(Reply::json(400, &json!({"error": "bad size"})), BadRequest);
        on(Reply::json(500, &json!({"error": "oops"})), Transient);
    }
}

#[test]
fn ideogram_bills_what_it_withholds() {
    let withheld = json!({"url": null, "prompt": "x", "resolution": "1024x1024", "seed": 1, "is_image_safe": false});
    let shop = Shop::open();
    let one = json!({"created": "2026-11-20T10:00:00Z", "data": [withheld]});
    shop.provider.rule(Rule::reply(Reply::json(200, &one)));
    let first = fault(shop.ask(Protocol::IdeogramV1, &drawing(Protocol::IdeogramV1)));
    assert_eq!((first.outcome, first.billed), (PolicyOutput, Billed::Yes));
    let shop = Shop::open();
    let done = json!({"generation_id": "gen1", "status": "completed", "data": [withheld]});
    shop.provider.rule(Rule::reply(Reply::json(200, &done)).path("/v2/generations/"));
    let second = fault(shop.ask(Protocol::Ideogram, &drawing(Protocol::Ideogram)));
    assert_eq!((second.outcome, second.billed), (PolicyOutput, Billed::Yes));
    assert!(second.provider_id.is_some());
    let shop = Shop::open();
    let failed = json!({"generation_id": "gen1", "status": "failed", "failure_reason": "content_policy_violation"});
    shop.provider.rule(Rule::reply(Reply::json(200, &failed)).path("/v2/generations/"));
    let third = fault(shop.ask(Protocol::Ideogram, &drawing(Protocol::Ideogram)));
    assert!(matches!(third.outcome, PolicyInput | PolicyOutput) && third.billed == No, "{third:?}");
}

#[test]
fn stability() {
    let on = |reply, outcome| {
        let shop = Shop::open();
        shop.provider.rule(Rule::reply(reply));
        let fault = fault(shop.ask(Protocol::Stability, &drawing(Protocol::Stability)));
        assert_eq!(fault.outcome, outcome, "{}", fault.message);
        fault
    };
    let error = |status, name: &str| Reply::json(status, &json!({"id": "1", "name": name, "errors": ["no"]}));
    assert_eq!(on(error(429, "rate_limit_exceeded"), Throttled).retry_after_ms, Some(60_000));
    on(error(403, "content_moderation"), PolicyInput);
    on(error(402, "payment_required"), OutOfFunds);
    on(error(401, "unauthorized"), Auth);
    on(error(400, "bad_request"), BadRequest);
    on(error(422, "unprocessable"), BadRequest);
    on(error(500, "internal_error"), Transient);
    let png = photo();
    // A blurred picture is never delivered, in whichever form it comes.
    on(Reply::of(200, "image/png", png.clone()).header("finish-reason", "CONTENT_FILTERED"), PolicyOutput);
    let base64 = String::from_utf8_lossy(&picture::picture((8, 8), "blur", 1, 0).base64).into_owned();
    on(Reply::json(200, &json!({"image": base64, "seed": 1, "finish_reason": "CONTENT_FILTERED"})), PolicyOutput);
}

#[test]
fn servers_of_ones_own() {
    for protocol in [Protocol::A1111, Protocol::ComfyUi, Protocol::SdCpp] {
        let on = |status, outcome, range, billed, after| {
            check(protocol, Reply::json(status, &json!({"error": "no"})), outcome, range, billed, after);
        };
        on(401, Auth, Account, No, None);
        on(429, Throttled, Account, No, Some(5_000));
        on(400, BadRequest, One, No, None);
        on(500, Transient, One, No, None);
        on(503, Transient, One, No, None);
        on(504, Ambiguous, One, Unknown, None);
    }
    check(Protocol::Post, Reply::of(429, "text/plain", "Retry after 7s."), Throttled, Account, No, Some(7_000));
    check(Protocol::Post, Reply::of(401, "text/plain", ""), Auth, Account, No, None);
}
