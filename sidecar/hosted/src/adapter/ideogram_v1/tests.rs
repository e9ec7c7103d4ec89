//! What is asked of Ideogram's first API, and what its answers mean.

use super::super::vendor::tests::{
    KEY, call, edit, endpoint, pixels, png, ratio, refusal, reply, shown, survives_noise, told, upscale,
};
use super::*;

fn asked(call: &Call, expected: Value) {
    assert_eq!(shown(&IdeogramV1.begin(&endpoint(&[]), call).unwrap()), expected);
}

#[test]
fn drawings_are_asked_by_ratio_or_resolution() {
    let call2 = Call { size: ratio("16:9", None), negative: "blurry".to_owned(), seed: Some(5), ..call("V_2_TURBO") };
    let request = json!({
        "prompt": "red fox", "model": "V_2_TURBO", "aspect_ratio": "ASPECT_16_9", "magic_prompt_option": "OFF",
        "negative_prompt": "blurry", "seed": 5, "num_images": 1,
    });
    asked(&call2, json!({"method": "POST", "path": "/generate", "json": {"image_request": request}}));
    let request = json!({
        "prompt": "red fox", "model": "V_2", "resolution": "RESOLUTION_1312_736", "magic_prompt_option": "OFF",
        "num_images": 3,
    });
    let call2 = Call { size: pixels(1312, 736), count: 3, ..call("V_2") };
    asked(&call2, json!({"method": "POST", "path": "/generate", "json": {"image_request": request}}));
    let request = json!({"prompt": "red fox", "model": "V_1", "magic_prompt_option": "OFF", "num_images": 1});
    asked(&call("V_1"), json!({"method": "POST", "path": "/generate", "json": {"image_request": request}}));
}

#[test]
fn every_ratio_of_the_description_is_known() {
    for word in ["10_16", "16_10", "9_16", "16_9", "3_2", "2_3", "4_3", "3_4", "1_1", "1_3", "3_1"] {
        let call = Call { size: ratio(&word.replace('_', ":"), None), ..call("V_2A_TURBO") };
        let request = shown(&IdeogramV1.begin(&endpoint(&[]), &call).unwrap());
        assert_eq!(request["json"]["image_request"]["aspect_ratio"], format!("ASPECT_{word}"));
    }
}

const IMAGE: &str = "image.png, image/png, 29 bytes";

#[test]
fn changes_and_enlargements_are_forms() {
    let masked = Call { mask: Some(png()), seed: Some(5), count: 2, ..edit("V_2") };
    asked(
        &masked,
        json!({"method": "POST", "path": "/edit", "form": [
            ["image_file", IMAGE], ["magic_prompt_option", "OFF"], ["mask", "mask.png, image/png, 29 bytes"],
            ["model", "V_2"], ["num_images", "2"], ["prompt", "red fox"], ["seed", "5"],
        ]}),
    );
    let remix = Call { strength: Some(0.5), size: ratio("1:1", None), negative: "blurry".to_owned(), ..edit("V_2") };
    let request = shown(&IdeogramV1.begin(&endpoint(&[]), &remix).unwrap());
    assert_eq!((&request["path"], &request["form"][0]), (&json!("/remix"), &json!(["image_file", IMAGE])));
    let inner: Value = serde_json::from_str(request["form"][1][1].as_str().unwrap()).unwrap();
    let expected = json!({
        "prompt": "red fox", "model": "V_2", "aspect_ratio": "ASPECT_1_1", "magic_prompt_option": "OFF",
        "negative_prompt": "blurry", "num_images": 1, "image_weight": 50,
    });
    assert_eq!(inner, expected);
    asked(
        &upscale("V_2"),
        json!({"method": "POST", "path": "/upscale",
            "form": [["image_file", IMAGE], ["image_request", r#"{"num_images":1}"#]]}),
    );
    let upscale = Call { prompt: "red fox".to_owned(), seed: Some(5), strength: Some(0.2), ..upscale("V_2") };
    let request = shown(&IdeogramV1.begin(&endpoint(&[]), &upscale).unwrap());
    let inner: Value = serde_json::from_str(request["form"][1][1].as_str().unwrap()).unwrap();
    let expected =
        json!({"prompt": "red fox", "magic_prompt_option": "OFF", "num_images": 1, "seed": 5, "resemblance": 80});
    assert_eq!(inner, expected);
}

#[test]
fn what_the_protocol_cannot_say_is_refused_before_it_is_sent() {
    let check = |call: Call, word: &str| {
        let message = refusal(&IdeogramV1, &endpoint(&[]), &call);
        assert!(message.contains(word), "{message}");
    };
    check(Call { negative: "blurry".to_owned(), ..call("V_2A") }, "negative prompt");
    check(Call { negative: "blurry".to_owned(), mask: Some(png()), ..edit("V_2") }, "negative prompt");
    check(Call { strength: Some(0.5), mask: Some(png()), ..edit("V_2") }, "strength");
    check(Call { size: ratio("21:9", None), ..call("V_2") }, "21:9");
    check(Call { size: pixels(1024, 1024), ..call("V_1") }, "pixels");
    check(Call { seed: Some(1 << 31), ..call("V_2") }, "seed above");
    check(Call { count: 9, ..call("V_2") }, "more than 8");
    check(Call { quality: "turbo".to_owned(), ..call("V_2") }, "quality");
    check(Call { steps: Some(4), ..call("V_2") }, "steps");
    check(Call { guidance: Some(4.0), ..call("V_2") }, "guidance");
    check(Call { sampler: Some("euler".to_owned()), ..call("V_2") }, "sampler");
    check(Call { images: vec![png()], ..call("V_2") }, "look at pictures");
    check(Call { images: vec![png(), png()], ..edit("V_2") }, "other than one");
    check(Call { mask: Some(png()), ..call("V_2") }, "mask");
    check(Call { prompt: String::new(), ..call("V_2") }, "without a prompt");
    check(Call { images: vec![vec![0; PICTURE_BYTES_MAX + 1].into()], ..edit("V_2") }, "10 MB");
}

#[test]
fn the_key_travels_in_a_header_of_its_own() {
    let keys = IdeogramV1.keys(&endpoint(&[]));
    assert_eq!(keys.iter().map(|(name, key)| (*name, key.expose())).collect::<Vec<_>>(), [("api-key", KEY)]);
    assert_eq!(IdeogramV1.poll(&endpoint(&[]), &call("V_2"), "x"), None);
    assert_eq!(IdeogramV1.quote(&endpoint(&[]), &call("V_2")), None);
}

#[test]
fn answers_have_the_outcome_that_follows() {
    let check = |status: u16, headers: &[(&str, &str)], body: &str, expected: &str| {
        let step = IdeogramV1.next(&endpoint(&[]), &call("V_2"), Stage::Begun, &reply(status, headers, body));
        assert_eq!(told(&step), expected, "{status} {body}");
    };
    let data = |items: &str| format!(r#"{{"created":"2026-11-21T11:00:00+00:00","data":[{items}]}}"#);
    let safe = r#"{"url":"https://i/a.png","prompt":"p","resolution":"1024x1024","seed":9,"is_image_safe":true}"#;
    let withheld = r#"{"url":null,"prompt":"p","resolution":"1024x1024","seed":9,"is_image_safe":false}"#;
    check(200, &[], &data(safe), "fetch https://i/a.png#9");
    check(200, &[], &data(&format!("{safe},{withheld}")), "fetch https://i/a.png#9");
    check(200, &[], &data(withheld), "policy_output yes call -");
    check(200, &[], &data(r#"{"prompt":"p","seed":9,"is_image_safe":false}"#), "policy_output yes call -");
    check(200, &[], &data(""), "empty unknown call -");
    check(200, &[], "{}", "ambiguous unknown call -");
    check(200, &[], r#"{"data":[{"url":"htt"#, "ambiguous unknown call -");
    check(400, &[], r#"{"error":"bad model"}"#, "bad_request no call -");
    check(401, &[], "", "auth no account -");
    check(402, &[], r#"{"error":"no","reject_reason":"insufficient_funds"}"#, "out_of_funds no account -");
    check(403, &[], "", "auth no account -");
    check(404, &[], "", "retired no model -");
    check(413, &[], "", "bad_request no call -");
    check(422, &[], r#"{"error":"Prompt failed the safety check."}"#, "policy_input no call -");
    check(429, &[], r#"{"error":"busy","reject_reason":"inflight_limit"}"#, "throttled no account -");
    check(429, &[("retry-after", "60")], "", "throttled no account 60000");
    check(500, &[], "", "transient no call -");
    check(503, &[], "", "transient no call -");
    check(504, &[], "<html>", "ambiguous unknown call -");
}

#[test]
fn noise_is_survived() {
    let answers = [
        json!({"created": "2026", "data": [{"url": "https://i/a.png", "seed": 9, "is_image_safe": true}]}),
        json!({"error": "no", "reject_reason": "inflight_limit"}),
    ];
    let delivered = survives_noise(&IdeogramV1, &answers, &["insufficient_funds", "daily_limit", "https://i/b.png"]);
    assert!(delivered > 50, "{delivered}");
}
