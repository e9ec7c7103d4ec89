//! What is asked of compatible servers, and what their answers mean.

use bytes::Bytes;

use super::super::openai::tests::{Headers, Verdict, call, endpoint, reply, verdict};
use super::super::{Body, PartContent};
use super::*;
use crate::fault::{Billed, Range};

fn json_of(request: &Request) -> Value {
    match &request.body {
        Body::Json(body) => body.clone(),
        other => panic!("no JSON: {other:?}"),
    }
}

#[test]
fn the_older_dialect_is_spoken() {
    let request = OpenAiCompatible.begin(&endpoint(), &call()).unwrap();
    assert_eq!(request.path, "/images/generations");
    assert_eq!(
        json_of(&request),
        json!({"model": "gpt-image-2", "prompt": "a red fox", "n": 1, "size": "1536x1024", "quality": "medium",
            "response_format": "b64_json"})
    );
    let bare = Call { model: String::new(), quality: String::new(), size: AskedSize::Free, ..call() };
    let request = OpenAiCompatible.begin(&endpoint(), &bare).unwrap();
    assert_eq!(json_of(&request), json!({"prompt": "a red fox", "n": 1, "response_format": "b64_json"}));
    let all = Call {
        negative: "blur".to_owned(),
        seed: Some(7),
        steps: Some(20),
        guidance: Some(7.5),
        sampler: Some("euler".to_owned()),
        ..bare
    };
    let request = OpenAiCompatible.begin(&endpoint(), &all).unwrap();
    assert_eq!(
        json_of(&request),
        json!({"prompt": "a red fox", "n": 1, "response_format": "b64_json", "negative_prompt": "blur", "seed": 7,
            "steps": 20, "guidance_scale": 7.5, "sampler": "euler"})
    );
    assert!(OpenAiCompatible.begin(&endpoint(), &Call { task: Task::Upscale, ..call() }).is_err());
}

#[test]
fn a_refused_response_format_is_left_out_once() {
    for (status, body) in [
        (400, r#"{"error":{"message":"Unknown parameter: 'response_format'.","param":"response_format"}}"#),
        (400, r#"{"error":"response_format is not supported"}"#),
        (422, r#"{"detail":[{"loc":["body","response_format"],"msg":"extra fields not permitted"}]}"#),
    ] {
        let step = OpenAiCompatible.next(&endpoint(), &call(), Stage::Begun, &reply(status, &[], body));
        let Step::Again(request) = step else { panic!("{step:?}") };
        assert_eq!(json_of(&request).get("response_format"), None);
        assert_eq!(json_of(&request)["prompt"], "a red fox");
    }
    let edit = Call { task: Task::Edit, images: vec![Bytes::from_static(b"png")], seed: Some(7), ..call() };
    let step = OpenAiCompatible.next(&endpoint(), &edit, Stage::Begun, &reply(400, &[], "response_format?"));
    let Step::Again(request) = step else { panic!("{step:?}") };
    let Body::Multipart(parts) = request.body else { panic!("no form") };
    let seed = parts.iter().find(|part| part.name == "seed").unwrap();
    assert_eq!(seed.content, PartContent::Text("7".to_owned()));
    assert!(parts.iter().all(|part| part.name != "response_format"));
}

#[test]
fn answers_have_outcomes() {
    let cases: &[(u16, Headers, &str, Verdict)] = &[
        (200, &[], r#"{"data":[{"b64_json":"aGk="}]}"#, ("done", Range::Call, Billed::Yes, None)),
        (200, &[], r#"{"data":[{"b64_json":"data:image/png;base64,aGk="}]}"#, ("done", Range::Call, Billed::Yes, None)),
        (200, &[], r#"{"data":[{"url":"data:image/png;base64,aGk="}]}"#, ("done", Range::Call, Billed::Yes, None)),
        (200, &[], r#"{"data":[{"b64_json":null,"url":"/a.png"}]}"#, ("fetch", Range::Call, Billed::Yes, None)),
        (200, &[], r#"{"data":null}"#, ("empty", Range::Call, Billed::Unknown, None)),
        (200, &[], r#"{"error":"out of memory"}"#, ("empty", Range::Call, Billed::Unknown, None)),
        (200, &[], "ok", ("empty", Range::Call, Billed::Unknown, None)),
        (400, &[], r#"{"error":"bad prompt"}"#, ("bad_request", Range::Call, Billed::No, None)),
        (
            400,
            &[],
            r#"{"error":{"message":"no","code":"content_policy_violation"}}"#,
            ("policy_input", Range::Call, Billed::No, None),
        ),
        (
            400,
            &[],
            r#"{"error":{"message":"model x not found","param":"model"}}"#,
            ("retired", Range::Model, Billed::No, None),
        ),
        (401, &[], r#"{"error":"Invalid token"}"#, ("auth", Range::Account, Billed::No, None)),
        (402, &[], r#"{"error":"insufficient credits"}"#, ("out_of_funds", Range::Account, Billed::No, None)),
        (404, &[], r#"{"detail":"Not Found"}"#, ("bad_request", Range::Account, Billed::No, None)),
        (
            404,
            &[],
            r#"{"object":"error","message":"The model `x` does not exist.","code":404}"#,
            ("retired", Range::Model, Billed::No, None),
        ),
        (
            422,
            &[],
            r#"{"detail":[{"loc":["body","n"],"msg":"less than 2"}]}"#,
            ("bad_request", Range::Call, Billed::No, None),
        ),
        (429, &[("retry-after", "3")], r#"{"error":"busy"}"#, ("throttled", Range::Account, Billed::No, Some(3000))),
        (429, &[], r#"{"error":"job queue is full"}"#, ("throttled", Range::Account, Billed::No, None)),
        (500, &[], r#"{"error":"CUDA out of memory"}"#, ("transient", Range::Call, Billed::No, None)),
        (503, &[], "", ("transient", Range::Call, Billed::No, None)),
        (502, &[], "", ("ambiguous", Range::Call, Billed::Unknown, None)),
        (504, &[], "", ("ambiguous", Range::Call, Billed::Unknown, None)),
    ];
    for (status, headers, body, expected) in cases {
        let step = OpenAiCompatible.next(&endpoint(), &call(), Stage::Begun, &reply(*status, headers, body));
        assert_eq!(verdict(&step), *expected, "{status} {body}");
    }
}

#[test]
fn addresses_are_made_whole() {
    for (url, expected) in [
        ("https://files.example/a.png?sig=1", "https://files.example/a.png?sig=1"),
        ("http://localhost:8080/generated/a.png", "http://localhost:8080/generated/a.png"),
        ("/generated/a.png", "https://api.example/generated/a.png"),
        ("a.png", "https://api.example/v1/images/a.png"),
        ("//cdn.example/a.png", "https://cdn.example/a.png"),
    ] {
        let body = json!({"data": [{"url": url}]}).to_string();
        match OpenAiCompatible.next(&endpoint(), &call(), Stage::Begun, &reply(200, &[], &body)) {
            Step::Fetch { urls, .. } => assert_eq!(urls, [(expected.to_owned(), None)]),
            other => panic!("{other:?}"),
        }
    }
}
