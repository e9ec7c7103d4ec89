//! What is asked of Stability, and what its answers mean.

use serde_json::json;

use super::super::vendor::tests::{
    KEY, PIXEL, call, edit, endpoint, pixels, png, ratio, refusal, reply, shown, survives_noise, told, upscale,
};
use super::*;

fn asked(call: &Call, path: &str, form: Value) {
    let expected = json!({"method": "POST", "path": path, "headers": [["accept", "application/json"]], "form": form});
    assert_eq!(shown(&Stability.begin(&endpoint(&[]), call).unwrap()), expected);
}

const IMAGE: &str = "image.png, image/png, 29 bytes";

#[test]
fn drawings_and_changes_are_forms() {
    let full = Call {
        size: ratio("16:9", None),
        negative: "blurry".to_owned(),
        seed: Some(4_294_967_294),
        guidance: Some(4.5),
        ..call("sd3.5-large")
    };
    asked(
        &full,
        "/v2beta/stable-image/generate/sd3",
        json!([
            ["aspect_ratio", "16:9"],
            ["cfg_scale", "4.5"],
            ["mode", "text-to-image"],
            ["model", "sd3.5-large"],
            ["negative_prompt", "blurry"],
            ["output_format", "png"],
            ["prompt", "red fox"],
            ["seed", "4294967294"]
        ]),
    );
    // Without any file it is a form all the same.
    asked(
        &call("sd3.5-flash"),
        "/v2beta/stable-image/generate/sd3",
        json!([["mode", "text-to-image"], ["model", "sd3.5-flash"], ["output_format", "png"], ["prompt", "red fox"]]),
    );
    // The picture that is changed says the size.
    asked(
        &Call { strength: Some(0.35), size: ratio("16:9", None), ..edit("sd3.5-medium") },
        "/v2beta/stable-image/generate/sd3",
        json!([
            ["image", IMAGE],
            ["mode", "image-to-image"],
            ["model", "sd3.5-medium"],
            ["output_format", "png"],
            ["prompt", "red fox"],
            ["strength", "0.35"]
        ]),
    );
    asked(
        &edit("sd3.5-medium"),
        "/v2beta/stable-image/generate/sd3",
        json!([
            ["image", IMAGE],
            ["mode", "image-to-image"],
            ["model", "sd3.5-medium"],
            ["output_format", "png"],
            ["prompt", "red fox"],
            ["strength", "0.5"]
        ]),
    );
}

#[test]
fn masks_and_enlargements_have_places_of_their_own() {
    asked(
        &Call { mask: Some(png()), seed: Some(7), ..edit("sd3.5-large") },
        "/v2beta/stable-image/edit/inpaint",
        json!([
            ["image", IMAGE],
            ["mask", "mask.png, image/png, 29 bytes"],
            ["output_format", "png"],
            ["prompt", "red fox"],
            ["seed", "7"]
        ]),
    );
    asked(
        &edit("edit/inpaint"),
        "/v2beta/stable-image/edit/inpaint",
        json!([["image", IMAGE], ["output_format", "png"], ["prompt", "red fox"]]),
    );
    asked(
        &Call { size: pixels(2560, 1440), ..upscale("upscale/fast") },
        "/v2beta/stable-image/upscale/fast",
        json!([["image", IMAGE], ["output_format", "png"]]),
    );
    asked(
        &Call { prompt: "red fox".to_owned(), strength: Some(0.35), ..upscale("stable-upscale-conservative") },
        "/v2beta/stable-image/upscale/conservative",
        json!([["creativity", "0.35"], ["image", IMAGE], ["output_format", "png"], ["prompt", "red fox"]]),
    );
    asked(
        &Call { prompt: "red fox".to_owned(), negative: "blurry".to_owned(), seed: Some(3), ..upscale("creative") },
        "/v2beta/stable-image/upscale/creative",
        json!([
            ["image", IMAGE],
            ["negative_prompt", "blurry"],
            ["output_format", "png"],
            ["prompt", "red fox"],
            ["seed", "3"]
        ]),
    );
}

#[test]
fn a_result_is_asked_after_by_its_id() {
    let request = Stability.poll(&endpoint(&[]), &call("creative"), "a1b2").unwrap();
    let expected =
        json!({"method": "GET", "path": "/v2beta/results/a1b2", "headers": [["accept", "application/json"]]});
    assert_eq!(shown(&request), expected);
    let keys = Stability.keys(&endpoint(&[]));
    let keys: Vec<_> = keys.iter().map(|(name, key)| (*name, key.expose().to_owned())).collect();
    assert_eq!(keys, [("authorization", format!("Bearer {KEY}"))]);
}

#[test]
fn what_the_protocol_cannot_say_is_refused_before_it_is_sent() {
    let check = |call: Call, word: &str| {
        let message = refusal(&Stability, &endpoint(&[]), &call);
        assert!(message.contains(word), "{message}");
    };
    check(Call { seed: Some(0), ..call("sd3.5-large") }, "seed 0");
    check(Call { seed: Some(4_294_967_295), ..call("sd3.5-large") }, "seed above");
    check(Call { seed: Some(7), ..upscale("fast") }, "a seed");
    check(Call { size: ratio("4:3", None), ..call("sd3.5-large") }, "4:3");
    check(Call { size: pixels(1024, 1024), ..call("sd3.5-large") }, "pixels");
    check(Call { count: 2, ..call("sd3.5-large") }, "several");
    check(Call { steps: Some(28), ..call("sd3.5-large") }, "steps");
    check(Call { sampler: Some("euler".to_owned()), ..call("sd3.5-large") }, "sampler");
    check(Call { quality: "high".to_owned(), ..call("sd3.5-large") }, "quality");
    check(Call { strength: Some(0.5), ..call("sd3.5-large") }, "strength");
    check(Call { guidance: Some(4.0), mask: Some(png()), ..edit("sd3.5-large") }, "guidance");
    check(Call { mask: Some(png()), ..call("sd3.5-large") }, "mask");
    check(Call { images: vec![png()], ..call("sd3.5-large") }, "look at pictures");
    check(Call { images: vec![png(), png()], ..edit("sd3.5-large") }, "other than one");
    check(Call { prompt: String::new(), ..call("sd3.5-large") }, "without a prompt");
    check(Call { prompt: "ä".repeat(10_001), ..call("sd3.5-large") }, "10000 letters");
    check(upscale("creative"), "without a prompt");
    check(upscale("sd3.5-large"), "fast, conservative and creative");
    let bold = Call { prompt: "fox".to_owned(), strength: Some(0.6), ..upscale("conservative") };
    check(bold, "0.2 to 0.5");
    check(Call { images: vec![vec![0; REQUEST_BYTES_MAX].into()], ..edit("sd3.5-large") }, "at most 10485760");
}

#[test]
fn a_request_just_below_the_limit_is_sent() {
    let call = Call { images: vec![vec![0; REQUEST_BYTES_MAX - 4096].into()], ..edit("sd3.5-large") };
    assert!(Stability.begin(&endpoint(&[]), &call).is_ok());
}

fn check(stage: Stage<'_>, status: u16, headers: &[(&str, &str)], body: &str, expected: &str) {
    let step = Stability.next(&endpoint(&[]), &call("sd3.5-large"), stage, &reply(status, headers, body));
    assert_eq!(told(&step), expected, "{stage:?} {status} {body}");
}

fn image(field: &str, finish: &str) -> String {
    json!({field: PIXEL, "seed": 343_940_597, "finish_reason": finish}).to_string()
}

#[test]
fn answers_have_the_outcome_that_follows() {
    let check = |status, headers: &[(&str, &str)], body: &str, expected: &str| {
        check(Stage::Begun, status, headers, body, expected)
    };
    check(200, &[], &image("image", "SUCCESS"), "done 343940597");
    check(200, &[], &image("result", "SUCCESS"), "done 343940597");
    check(200, &[], &json!({"image": PIXEL}).to_string(), "done -");
    check(200, &[], &image("image", "CONTENT_FILTERED"), "policy_output unknown call -");
    check(
        200,
        &[("finish-reason", "CONTENT_FILTERED")],
        &json!({"image": PIXEL}).to_string(),
        "policy_output unknown call -",
    );
    check(200, &[], &image("image", "ERROR"), "empty unknown call -");
    check(200, &[], r#"{"image":"PHN2Zz4=","finish_reason":"SUCCESS"}"#, "empty unknown call -");
    check(200, &[], r#"{"finish_reason":"SUCCESS"}"#, "empty unknown call -");
    check(200, &[], "{}", "empty unknown call -");
    check(200, &[], r#"{"id":"a1b2"}"#, "poll a1b2 after 10000");
    check(202, &[], r#"{"id":"a1b2"}"#, "poll a1b2 after 10000");
    check(200, &[], r#"{"id":"../../v1/user"}"#, "empty unknown call -");
    check(200, &[], "{\"image\":\"iVBOR", "ambiguous unknown call -");
    check(200, &[], "", "ambiguous unknown call -");

    let error = |name: &str| json!({"id": "e1", "name": name, "errors": ["because"]}).to_string();
    check(400, &[], &error("bad_request"), "bad_request no call -");
    check(401, &[], &error("unauthorized"), "auth no account -");
    check(402, &[], &error("payment_required"), "out_of_funds no account -");
    check(403, &[], &error("content_moderation"), "policy_input no call -");
    check(403, &[], "", "policy_input no call -");
    check(403, &[], &error("permission_denied"), "auth no account -");
    check(404, &[], &error("not_found"), "retired no model -");
    check(413, &[], &error("payload_too_large"), "bad_request no call -");
    check(422, &[], &error("invalid_parameters"), "bad_request no call -");
    // Locked out for 60 seconds, whatever a proxy says.
    check(429, &[], &error("rate_limit_exceeded"), "throttled no account 60000");
    check(429, &[("retry-after", "1")], &error("rate_limit_exceeded"), "throttled no account 60000");
    check(500, &[], &error("internal_error"), "transient no call -");
    check(502, &[], "<html>", "ambiguous unknown call -");
    check(503, &[], "", "transient no call -");
    check(504, &[], "", "ambiguous unknown call -");
}

#[test]
fn bare_bytes_are_read_where_json_was_not_given() {
    let next = |headers: &[(&str, &str)]| {
        let mut reply = reply(200, headers, "");
        reply.body = png();
        told(&Stability.next(&endpoint(&[]), &call("m"), Stage::Begun, &reply))
    };
    assert_eq!(next(&[("finish-reason", "SUCCESS"), ("seed", "9")]), "done 9");
    assert_eq!(next(&[("seed", "x")]), "done -");
    assert_eq!(next(&[("finish-reason", "CONTENT_FILTERED")]), "policy_output unknown call -");
}

#[test]
fn polls_have_the_outcome_that_follows() {
    let polled = |polls| Stage::Polled { id: "a1b2", polls };
    let first = |status, headers: &[(&str, &str)], body: &str, expected: &str| {
        check(polled(0), status, headers, body, expected)
    };
    first(202, &[], r#"{"id":"a1b2","status":"in-progress"}"#, "poll a1b2 after 10000");
    first(202, &[], "", "poll a1b2 after 10000");
    check(polled(1), 202, &[], "", "poll a1b2 after 15000");
    check(polled(99), 202, &[], "", "poll a1b2 after 20000");
    first(202, &[("retry-after", "2")], "", "poll a1b2 after 10000");
    first(200, &[], r#"{"id":"a1b2"}"#, "poll a1b2 after 10000");
    first(200, &[], "{\"result\":\"iVB", "poll a1b2 after 10000");
    first(200, &[], &image("result", "SUCCESS"), "done 343940597");
    first(200, &[], &image("image", "SUCCESS"), "done 343940597");
    first(200, &[], &image("result", "CONTENT_FILTERED"), "policy_output unknown call -");
    first(429, &[], "", "poll a1b2 after 60000");
    first(500, &[], "", "poll a1b2 after 10000");
    first(504, &[], "", "poll a1b2 after 10000");
    first(403, &[], r#"{"name":"content_moderation","errors":["no"]}"#, "policy_input no call -");
    first(401, &[], "", "ambiguous unknown call -");
    first(404, &[], r#"{"name":"not_found","errors":["no"]}"#, "ambiguous unknown call -");
}

#[test]
fn faults_of_accepted_calls_keep_its_id() {
    for (status, body) in
        [(404, ""), (200, r#"{"finish_reason":"CONTENT_FILTERED"}"#), (403, r#"{"name":"content_moderation"}"#)]
    {
        let stage = Stage::Polled { id: "a1b2", polls: 3 };
        let Step::Failed(fault) = Stability.next(&endpoint(&[]), &call("m"), stage, &reply(status, &[], body)) else {
            panic!("{status} {body}")
        };
        assert_eq!(fault.provider_id.as_deref(), Some("a1b2"));
    }
}

#[test]
fn noise_is_survived() {
    let parse = |body: String| serde_json::from_str::<Value>(&body).unwrap();
    let answers = [
        parse(image("image", "SUCCESS")),
        parse(image("result", "CONTENT_FILTERED")),
        json!({"id": "a1b2"}),
        json!({"id": "e1", "name": "content_moderation", "errors": ["because", "of"]}),
    ];
    let words = &["SUCCESS", "CONTENT_FILTERED", "content_moderation", "permission_denied", "../.."];
    let delivered = survives_noise(&Stability, &answers, words);
    assert!(delivered > 50, "{delivered}");
}
