//! What is asked of OpenAI, and what its answers mean.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use thumbforge_core::image::Extent;

use super::*;
use crate::call::Usage;
use crate::fault::{Billed, Range};

pub(in crate::adapter) fn endpoint() -> Endpoint {
    Endpoint {
        account: "studio".to_owned(),
        base_url: "https://api.example/v1".parse().unwrap(),
        key: Some(Secret::new("sk-marked")),
        options: BTreeMap::new(),
        allow_private: false,
        timeout: Duration::from_secs(600),
    }
}

pub(in crate::adapter) fn call() -> Call {
    Call {
        task: Task::Generate,
        model: "gpt-image-2".to_owned(),
        prompt: "a red fox".to_owned(),
        negative: String::new(),
        size: AskedSize::Pixels(Extent { width: 1536, height: 1024 }),
        quality: "medium".to_owned(),
        count: 1,
        seed: None,
        steps: None,
        guidance: None,
        sampler: None,
        strength: None,
        images: Vec::new(),
        mask: None,
        nonce: "0b0e".to_owned(),
    }
}

pub(in crate::adapter) fn reply(status: u16, headers: &[(&str, &str)], body: &str) -> Reply {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Reply { status, headers, body: Bytes::copy_from_slice(body.as_bytes()) }
}

/// Outcome, range, cost and delay.
pub(in crate::adapter) type Verdict = (&'static str, Range, Billed, Option<u64>);

/// Headers of a case.
pub(in crate::adapter) type Headers = &'static [(&'static str, &'static str)];

/// What a step came to, for tables.
pub(in crate::adapter) fn verdict(step: &Step) -> Verdict {
    match step {
        Step::Failed(fault) => (fault.outcome.word(), fault.range, fault.billed, fault.retry_after_ms),
        Step::Done(_) => ("done", Range::Call, Billed::Yes, None),
        Step::Fetch { .. } => ("fetch", Range::Call, Billed::Yes, None),
        Step::Again(_) => ("again", Range::Call, Billed::No, None),
        Step::Poll { .. } => ("poll", Range::Call, Billed::Unknown, None),
    }
}

fn json_of(request: &Request) -> &Value {
    match &request.body {
        Body::Json(body) => body,
        other => panic!("no JSON: {other:?}"),
    }
}

#[test]
fn drawing_is_asked_in_json() {
    let mut endpoint = endpoint();
    let request = OpenAi.begin(&endpoint, &call()).unwrap();
    assert_eq!((request.method, request.path.as_str()), (Method::Post, "/images/generations"));
    assert_eq!(
        *json_of(&request),
        json!({"model": "gpt-image-2", "prompt": "a red fox", "n": 1, "size": "1536x1024", "quality": "medium",
            "output_format": "png", "moderation": "auto"})
    );
    assert_eq!(request.headers, []);
    endpoint.options = [("organization", "org-1"), ("project", "proj-1"), ("moderation", "low")]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let request = OpenAi.begin(&endpoint, &Call { size: AskedSize::Free, ..call() }).unwrap();
    assert_eq!((&json_of(&request)["size"], &json_of(&request)["moderation"]), (&json!("auto"), &json!("low")));
    let headers = [("openai-organization", "org-1"), ("openai-project", "proj-1")];
    assert_eq!(request.headers, headers.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[test]
fn changing_is_asked_in_a_form() {
    let names = |call: &Call| {
        let request = OpenAi.begin(&endpoint(), call).unwrap();
        assert_eq!(request.path, "/images/edits");
        let Body::Multipart(parts) = request.body else { panic!("no form") };
        parts.iter().map(|part| part.name.clone()).collect::<Vec<_>>().join(" ")
    };
    let image = Bytes::from_static(b"png");
    let one = Call { task: Task::Edit, images: vec![image.clone()], mask: Some(image.clone()), ..call() };
    assert_eq!(names(&one), "model n output_format prompt quality size image mask");
    let two = Call { task: Task::Edit, images: vec![image; 2], ..call() };
    assert_eq!(names(&two), "model n output_format prompt quality size image[] image[]");
}

#[test]
fn what_it_cannot_do_is_not_sent() {
    let long = Call { prompt: "ü".repeat(PROMPT_CHARS_MAX + 1), ..call() };
    for call in [long, Call { task: Task::Upscale, ..call() }] {
        assert_eq!(OpenAi.begin(&endpoint(), &call).unwrap_err().outcome, Outcome::BadRequest);
    }
    assert!(OpenAi.begin(&endpoint(), &Call { prompt: "ü".repeat(PROMPT_CHARS_MAX), ..call() }).is_ok());
}

#[test]
fn the_key_is_in_one_header() {
    let keys = OpenAi.keys(&endpoint());
    assert_eq!(
        keys.iter().map(|(name, key)| (*name, key.expose())).collect::<Vec<_>>(),
        [("authorization", "Bearer sk-marked")]
    );
    assert!(!format!("{keys:?}").contains("marked"));
    assert!(OpenAi.keys(&Endpoint { key: None, ..endpoint() }).is_empty());
}

fn error(code: &str, kind: &str, message: &str) -> String {
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}}).to_string()
}

#[test]
fn answers_have_outcomes() {
    let moderation = |stage: &str| {
        json!({"error": {"message": "rejected by the safety system. safety_violations=[violence]", "param": null,
            "type": "image_generation_user_error", "code": "moderation_blocked",
            "moderation_details": {"moderation_stage": stage, "categories": ["violence"]}}})
        .to_string()
    };
    let billing = |code: &str| error(code, "insufficient_quota", "You exceeded your current quota");
    let picture = r#"{"created":1,"data":[{"b64_json":"iVBORw0KGgo="}]}"#;
    let wait: Headers = &[("retry-after", "20")];
    let cases: Vec<(u16, Headers, String, Verdict)> = vec![
        (200, &[], picture.to_owned(), ("done", Range::Call, Billed::Yes, None)),
        (
            200,
            &[],
            r#"{"data":[{"url":"https://files.example/a.png"}]}"#.to_owned(),
            ("fetch", Range::Call, Billed::Yes, None),
        ),
        (200, &[], r#"{"data":[]}"#.to_owned(), ("empty", Range::Call, Billed::Unknown, None)),
        (200, &[], "{}".to_owned(), ("empty", Range::Call, Billed::Unknown, None)),
        (200, &[], r#"{"data":[{"b64_json":"***"}]}"#.to_owned(), ("empty", Range::Call, Billed::Yes, None)),
        (200, &[], r#"{"data":[{"b64_json":"iVB"#.to_owned(), ("ambiguous", Range::Call, Billed::Unknown, None)),
        (200, &[], "<html>login</html>".to_owned(), ("empty", Range::Call, Billed::Unknown, None)),
        (400, &[], error("", "invalid_request_error", "Invalid size"), ("bad_request", Range::Call, Billed::No, None)),
        (400, &[], moderation("input"), ("policy_input", Range::Call, Billed::No, None)),
        (400, &[], moderation("output"), ("policy_output", Range::Call, Billed::Unknown, None)),
        (400, &[], moderation("unknown"), ("policy_input", Range::Call, Billed::Unknown, None)),
        (
            400,
            &[],
            error("moderation_blocked", "image_generation_user_error", "no"),
            ("policy_input", Range::Call, Billed::No, None),
        ),
        (
            400,
            &[],
            error("content_policy_violation", "invalid_request_error", "no"),
            ("policy_input", Range::Call, Billed::No, None),
        ),
        (400, &[], error("billing_hard_limit_reached", "x", "no"), ("out_of_funds", Range::Account, Billed::No, None)),
        (
            400,
            &[],
            error("model_not_found", "invalid_request_error", "no"),
            ("retired", Range::Model, Billed::No, None),
        ),
        (
            404,
            &[],
            error("model_not_found", "invalid_request_error", "no"),
            ("retired", Range::Model, Billed::No, None),
        ),
        (404, &[], error("", "", "The model `dall-e-3` does not exist"), ("retired", Range::Model, Billed::No, None)),
        (404, &[], "<html>nginx</html>".to_owned(), ("bad_request", Range::Account, Billed::No, None)),
        (
            401,
            &[],
            error("invalid_api_key", "", "Incorrect API key: sk-mar***"),
            ("auth", Range::Account, Billed::No, None),
        ),
        (403, &[], error("", "", "organization must be verified"), ("auth", Range::Model, Billed::No, None)),
        (403, &[], error("unsupported_country_region_territory", "", ""), ("auth", Range::Account, Billed::No, None)),
        (403, &[], error("model_not_found", "", "Project has no access"), ("auth", Range::Model, Billed::No, None)),
        (408, &[], String::new(), ("ambiguous", Range::Call, Billed::Unknown, None)),
        (413, &[], String::new(), ("bad_request", Range::Call, Billed::No, None)),
        (
            429,
            wait,
            error("rate_limit_exceeded", "requests", "slow"),
            ("throttled", Range::Account, Billed::No, Some(20_000)),
        ),
        (
            429,
            &[],
            "Rate limit exceeded. Retry after 60s.".to_owned(),
            ("throttled", Range::Account, Billed::No, Some(60_000)),
        ),
        (429, &[], error("slow_down", "", "slow down"), ("throttled", Range::Account, Billed::No, None)),
        (
            429,
            &[("retry-after-ms", "1500"), ("retry-after", "2")],
            String::new(),
            ("throttled", Range::Account, Billed::No, Some(1500)),
        ),
        (429, wait, billing("insufficient_quota"), ("out_of_funds", Range::Account, Billed::No, None)),
        (429, wait, billing("credit_balance_exhausted"), ("out_of_funds", Range::Account, Billed::No, None)),
        (429, wait, billing("organization_spend_limit_exceeded"), ("out_of_funds", Range::Account, Billed::No, None)),
        (429, wait, billing("project_spend_limit_exceeded"), ("out_of_funds", Range::Account, Billed::No, None)),
        (429, wait, billing("organization_usage_limit_exceeded"), ("out_of_funds", Range::Account, Billed::No, None)),
        (429, wait, billing(""), ("out_of_funds", Range::Account, Billed::No, None)),
        (500, &[], error("", "server_error", "oops"), ("transient", Range::Call, Billed::No, None)),
        (502, &[], "<html>".to_owned(), ("ambiguous", Range::Call, Billed::Unknown, None)),
        (503, wait, error("server_is_overloaded", "", ""), ("transient", Range::Call, Billed::No, Some(20_000))),
        (504, &[], String::new(), ("ambiguous", Range::Call, Billed::Unknown, None)),
        (
            307,
            &[("location", "https://elsewhere.example/")],
            String::new(),
            ("bad_request", Range::Account, Billed::No, None),
        ),
    ];
    for (status, headers, body, expected) in cases {
        let step = OpenAi.next(&endpoint(), &call(), Stage::Begun, &reply(status, headers, &body));
        assert_eq!(verdict(&step), expected, "{status} {body}");
        if let Step::Failed(fault) = step {
            assert!(fault.message.starts_with("draw with gpt-image-2: studio answered"), "{}", fault.message);
            assert!(!fault.message.contains("sk-mar"), "{}", fault.message);
        }
    }
}

#[test]
fn tokens_are_what_the_answer_says() {
    let usage = |usage: &str| {
        let body = format!(r#"{{"data":[{{"b64_json":"aGk="}}]{usage}}}"#);
        match OpenAi.next(&endpoint(), &call(), Stage::Begun, &reply(200, &[("x-request-id", "req-1")], &body)) {
            Step::Done(answer) => {
                assert_eq!(
                    (answer.pictures[0].bytes.as_ref(), answer.provider_id.as_deref()),
                    (&b"hi"[..], Some("req-1"))
                );
                answer.usage
            }
            other => panic!("{other:?}"),
        }
    };
    let whole = r#","usage":{"input_tokens":14,"input_tokens_details":{"text_tokens":10,"image_tokens":4},"output_tokens":210,"total_tokens":224}"#;
    let tokens = |text, image, output| Usage {
        text_tokens: text,
        image_tokens: image,
        output_tokens: output,
        ..Usage::default()
    };
    assert_eq!(usage(whole), tokens(Some(10), Some(4), Some(210)));
    assert_eq!(usage(r#","usage":{"input_tokens":14,"output_tokens":210}"#), tokens(Some(14), None, Some(210)));
    assert_eq!(usage(r#","usage":null"#), Usage::default());
    assert_eq!(usage(""), Usage::default());
}

#[test]
fn no_answer_panics() {
    let whole =
        r#"{"created":1,"data":[{"b64_json":"iVBORw0KGgo=","url":"/a.png","seed":7}],"usage":{"input_tokens":1}}"#;
    for end in 0..whole.len() {
        for status in [0, 200, 204, 299, 400, 429, 999] {
            let _ = OpenAi.next(&endpoint(), &call(), Stage::Begun, &reply(status, &[], &whole[..end]));
        }
    }
}
