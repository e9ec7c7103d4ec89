//! What a plain server is asked, and what its answers mean.

use bytes::Bytes;

use super::super::openai::tests::{Headers, Verdict, call, endpoint, reply, verdict};
use super::*;
use crate::fault::Range;

#[test]
fn everything_that_is_known_is_sent() {
    let body = |call: &Call| match Post.begin(&endpoint(), call).unwrap() {
        Request { method: Method::Post, path, body: Body::Json(body), .. } if path.is_empty() => body,
        other => panic!("{other:?}"),
    };
    let all = Call { negative: "blur".to_owned(), seed: Some(7), steps: Some(20), guidance: Some(4.5), ..call() };
    assert_eq!(
        body(&all),
        json!({"prompt": "a red fox", "negative_prompt": "blur", "width": 1536, "height": 1024, "seed": 7, "steps": 20,
            "guidance": 4.5, "model": "gpt-image-2"})
    );
    let bare = Call { model: String::new(), size: AskedSize::Free, ..call() };
    assert_eq!(body(&bare), json!({"prompt": "a red fox"}));
    for task in [Task::Edit, Task::Upscale] {
        assert_eq!(Post.begin(&endpoint(), &Call { task, ..call() }).unwrap_err().outcome, Outcome::BadRequest);
    }
}

#[test]
fn answers_have_outcomes() {
    let cases: &[(u16, Headers, &str, Verdict)] = &[
        (200, &[], r#"{"image":"aGk=","seed":7}"#, ("done", Range::Call, Billed::Yes, None)),
        (200, &[], r#"{"images":["data:image/png;base64,aGk="]}"#, ("done", Range::Call, Billed::Yes, None)),
        (200, &[], r#"{"image":"***"}"#, ("empty", Range::Call, Billed::Unknown, None)),
        (200, &[], r#"{"error":"the model is loading"}"#, ("empty", Range::Call, Billed::Unknown, None)),
        (200, &[], "<html>login</html>", ("empty", Range::Call, Billed::Unknown, None)),
        (200, &[], "", ("empty", Range::Call, Billed::Unknown, None)),
        (204, &[], "", ("empty", Range::Call, Billed::Unknown, None)),
        (301, &[], "", ("bad_request", Range::Account, Billed::No, None)),
        (400, &[], r#"{"error":"width"}"#, ("bad_request", Range::Call, Billed::No, None)),
        (401, &[], "", ("auth", Range::Account, Billed::No, None)),
        (402, &[], "", ("out_of_funds", Range::Account, Billed::No, None)),
        (403, &[], "", ("auth", Range::Account, Billed::No, None)),
        (404, &[], "", ("bad_request", Range::Account, Billed::No, None)),
        (410, &[], "", ("retired", Range::Model, Billed::No, None)),
        (413, &[], "", ("bad_request", Range::Call, Billed::No, None)),
        (429, &[], "Rate limit exceeded. Retry after 60s.", ("throttled", Range::Account, Billed::No, Some(60_000))),
        (429, &[("retry-after", "2")], "", ("throttled", Range::Account, Billed::No, Some(2000))),
        (500, &[], r#"{"error":"CUDA out of memory"}"#, ("transient", Range::Call, Billed::No, None)),
        (502, &[], "", ("ambiguous", Range::Call, Billed::Unknown, None)),
        (503, &[("retry-after", "9")], "", ("transient", Range::Call, Billed::No, Some(9000))),
        (504, &[("retry-after", "9")], "", ("ambiguous", Range::Call, Billed::Unknown, None)),
    ];
    for (status, headers, body, expected) in cases {
        let step = Post.next(&endpoint(), &call(), Stage::Begun, &reply(*status, headers, body));
        assert_eq!(verdict(&step), *expected, "{status} {body}");
    }
}

#[test]
fn the_body_may_be_the_picture() {
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
    png.extend([0, 0, 0, 4, 0, 0, 0, 4]);
    let answer = Reply { status: 200, headers: Vec::new(), body: Bytes::from(png.clone()) };
    match Post.next(&endpoint(), &call(), Stage::Begun, &answer) {
        Step::Done(answer) => assert_eq!(answer.pictures, [Picture { bytes: png.into(), seed: None }]),
        other => panic!("{other:?}"),
    }
}
