//! What is asked of Ideogram's second API, and what its answers mean.

use super::super::vendor::tests::{
    KEY, call, edit, endpoint, pixels, png, ratio, refusal, reply, shown, survives_noise, told, upscale,
};
use super::*;

fn asked(call: &Call) -> Value {
    shown(&Ideogram.begin(&endpoint(&[]), call).unwrap())
}

/// Checks a call without pictures: its path, and its fields besides those that every drawing has.
fn drawn(call: &Call, path: &str, more: Value) {
    let mut fields = json!({"prompt": "red fox", "num_images": 1, "async": true});
    for (name, value) in more.as_object().unwrap() {
        fields[name] = value.clone();
    }
    assert_eq!(asked(call), json!({"method": "POST", "path": path, "json": fields}));
}

/// Checks a call with pictures.
fn formed(call: &Call, path: &str, form: Value) {
    assert_eq!(asked(call), json!({"method": "POST", "path": path, "form": form}));
}

const IMAGE: &str = "image-0.png, image/png, 29 bytes";

#[test]
fn drawings_are_asked_as_each_model_takes_them() {
    let quality = |word: &str| word.to_owned();
    let wide = || ratio("16:9", None);
    let call3 = Call {
        size: wide(),
        quality: quality("turbo"),
        negative: "blurry".to_owned(),
        seed: Some(12345),
        count: 2,
        ..call("ideogram-3")
    };
    drawn(
        &call3,
        "/v2/image/generate/ideogram-3",
        json!({"aspect_ratio": "16x9", "rendering_speed": "turbo", "magic_prompt": "off", "negative_prompt": "blurry",
            "seed": 12345, "num_images": 2}),
    );
    drawn(
        &Call { size: pixels(1312, 736), quality: quality("default"), ..call("ideogram-3") },
        "/v2/image/generate/ideogram-3",
        json!({"resolution": "1312x736", "rendering_speed": "default", "magic_prompt": "off"}),
    );
    drawn(
        &Call { size: wide(), quality: quality("turbo"), ..call("ideogram-2a") },
        "/v2/image/generate/ideogram-2a",
        json!({"aspect_ratio": "16x9", "rendering_speed": "turbo", "magic_prompt": "off"}),
    );
    drawn(
        &Call { size: pixels(2048, 2048), quality: quality("quality"), ..call("ideogram-4") },
        "/v2/image/generate/ideogram-4",
        json!({"resolution": "2048x2048", "rendering_speed": "quality", "magic_prompt": "off"}),
    );
    drawn(
        &Call { size: pixels(1024, 1024), quality: quality("low"), ..call("ideogram-4-5") },
        "/v2/image/generate/ideogram-4-5",
        json!({"size": "1024x1024", "quality": "low", "magic_prompt": "off"}),
    );
    drawn(
        &Call { size: ratio("21:9", Some("2K")), ..call("nano-banana-pro") },
        "/v2/image/generate/nano-banana-pro",
        json!({"aspect_ratio": "21:9", "resolution_tier": "2K"}),
    );
    drawn(
        &Call { size: pixels(1536, 1024), quality: quality("low"), ..call("gpt-image-2-5-flare") },
        "/v2/image/generate/gpt-image-2-5-flare",
        json!({"resolution": "1536x1024", "quality": "low"}),
    );
    drawn(
        &Call { size: pixels(1024, 1024), steps: Some(8), ..call("z-image") },
        "/v2/image/generate/z-image",
        json!({"resolution": "1024x1024", "num_inference_steps": 8}),
    );
    drawn(
        &Call { size: ratio("3:4", Some("2k")), ..call("auto") },
        "/v2/image/generate/auto",
        json!({"aspect_ratio": "3x4", "resolution_tier": "2k", "magic_prompt": "off"}),
    );
    // A model that is newer than the table.
    drawn(
        &Call { size: wide(), quality: quality("turbo"), ..call("ideogram-9") },
        "/v2/image/generate/ideogram-9",
        json!({"aspect_ratio": "16x9", "rendering_speed": "turbo", "magic_prompt": "off"}),
    );
}

#[test]
fn changes_go_where_the_model_makes_them() {
    let masked = |model: &str| Call { mask: Some(png()), ..edit(model) };
    let quality = |word: &str| word.to_owned();
    formed(
        &Call { quality: quality("turbo"), seed: Some(5), size: pixels(640, 360), ..masked("ideogram-3") },
        "/v2/image/inpaint/ideogram-3",
        json!([
            ["async", "true"],
            ["image", IMAGE],
            ["magic_prompt", "off"],
            ["mask", "mask.png, image/png, 29 bytes"],
            ["num_images", "1"],
            ["prompt", "red fox"],
            ["rendering_speed", "turbo"],
            ["seed", "5"]
        ]),
    );
    formed(
        &Call { strength: Some(0.3), size: ratio("16:9", None), negative: "blurry".to_owned(), ..edit("ideogram-3") },
        "/v2/image/remix/ideogram-3",
        json!([
            ["aspect_ratio", "16x9"],
            ["async", "true"],
            ["image", IMAGE],
            ["image_weight", "70"],
            ["magic_prompt", "off"],
            ["negative_prompt", "blurry"],
            ["num_images", "1"],
            ["prompt", "red fox"]
        ]),
    );
    formed(
        &Call { size: pixels(2048, 2048), quality: quality("turbo"), ..edit("ideogram-4") },
        "/v2/image/remix/ideogram-4",
        json!([
            ["async", "true"],
            ["image", IMAGE],
            ["num_images", "1"],
            ["prompt", "red fox"],
            ["rendering_speed", "turbo"],
            ["resolution", "2048x2048"]
        ]),
    );
    formed(
        &Call { quality: quality("low"), images: vec![png(), png(), png()], ..masked("ideogram-4-5") },
        "/v2/image/precise-edit/ideogram-4-5",
        json!([
            ["async", "true"],
            ["image", IMAGE],
            ["mask", "mask.png, image/png, 29 bytes"],
            ["num_images", "1"],
            ["prompt", "red fox"],
            ["quality", "low"],
            ["reference_images", "image-1.png, image/png, 29 bytes"],
            ["reference_images", "image-2.png, image/png, 29 bytes"]
        ]),
    );
    formed(
        &Call { images: vec![png(), png()], size: ratio("1:1", Some("1K")), ..edit("nano-banana-2") },
        "/v2/image/generate/nano-banana-2",
        json!([
            ["aspect_ratio", "1:1"],
            ["async", "true"],
            ["images", IMAGE],
            ["images", "image-1.png, image/png, 29 bytes"],
            ["num_images", "1"],
            ["prompt", "red fox"],
            ["resolution_tier", "1K"]
        ]),
    );
    formed(
        &edit("remove-background/ideogram-1"),
        "/v2/image/remove-background/ideogram-1",
        json!([["async", "true"], ["image", IMAGE]]),
    );
    // Operations that are always asynchronous have no field for it.
    formed(
        &Call { quality: quality("turbo"), ..edit("replace-background/ideogram-3") },
        "/v2/image/replace-background/ideogram-3",
        json!([["image", IMAGE], ["num_images", "1"], ["prompt", "red fox"], ["rendering_speed", "turbo"]]),
    );
    formed(
        &Call { seed: Some(3), ..masked("remove-object/ideogram-1") },
        "/v2/image/remove-object/ideogram-1",
        json!([["image", IMAGE], ["mask", "mask.png, image/png, 29 bytes"], ["seed", "3"]]),
    );
    formed(
        &Call { size: pixels(1312, 736), ..edit("reframe/ideogram-3") },
        "/v2/image/reframe/ideogram-3",
        json!([["async", "true"], ["image", IMAGE], ["num_images", "1"], ["resolution", "1312x736"]]),
    );
}

#[test]
fn pictures_are_made_larger_by_the_least_factor_that_is_enough() {
    let check = |model: &str, size: AskedSize, form: Value| {
        formed(&Call { size, ..upscale(model) }, &format!("/v2/image/upscale/{model}"), form);
    };
    let factor = |word: &str| json!([["async", "true"], ["image", IMAGE], ["upscale_factor", word]]);
    check("auto", pixels(1280, 720), factor("x2"));
    check("auto", pixels(1281, 720), factor("x4"));
    check("topaz-standard-2", pixels(2560, 1440), factor("x4"));
    check("auto", pixels(4096, 4096), factor("x8"));
    check("auto", ratio("16:9", Some("x4")), factor("x4"));
    check("auto", AskedSize::Free, json!([["async", "true"], ["image", IMAGE]]));
    check(
        "nano-banana-pro",
        ratio("16:9", Some("4K")),
        json!([["async", "true"], ["image", IMAGE], ["resolution_tier", "4K"]]),
    );
    formed(
        &Call { prompt: "red fox".to_owned(), seed: Some(4), ..upscale("topaz-bloom-2") },
        "/v2/image/upscale/topaz-bloom-2",
        json!([["async", "true"], ["image", IMAGE], ["prompt", "red fox"], ["seed", "4"]]),
    );
}

#[test]
fn what_the_protocol_cannot_say_is_refused_before_it_is_sent() {
    let check = |call: Call, word: &str| {
        let message = refusal(&Ideogram, &endpoint(&[]), &call);
        assert!(message.contains(word), "{message}");
    };
    let masked = |model: &str| Call { mask: Some(png()), ..edit(model) };
    check(masked("ideogram-4"), "inpaint with ideogram-4");
    check(edit("ideogram-2"), "remix with ideogram-2");
    check(Call { strength: Some(0.5), ..masked("ideogram-3") }, "strength");
    check(Call { negative: "blurry".to_owned(), ..call("ideogram-4") }, "negative prompt");
    check(Call { negative: "blurry".to_owned(), ..masked("ideogram-3") }, "negative prompt");
    check(Call { seed: Some(1 << 31), ..call("ideogram-3") }, "seed above");
    check(Call { seed: Some(1), ..upscale("topaz-standard-2") }, "a seed");
    check(Call { count: 9, ..call("ideogram-3") }, "more than 8");
    check(Call { count: 2, ..upscale("auto") }, "several");
    check(Call { quality: "turbo".to_owned(), ..call("nano-banana-2") }, "quality");
    check(Call { guidance: Some(4.0), ..call("ideogram-3") }, "guidance");
    check(Call { steps: Some(4), ..call("ideogram-3") }, "steps");
    check(Call { sampler: Some("euler".to_owned()), ..call("ideogram-3") }, "sampler");
    check(Call { size: pixels(1024, 1024), ..call("ideogram-2") }, "pixels");
    check(Call { size: ratio("1:1", None), ..call("ideogram-4") }, "ratio");
    check(Call { size: ratio("wide", None), ..call("ideogram-3") }, "\"wide\"");
    check(Call { images: vec![png()], ..call("ideogram-3") }, "takes 0 to 0");
    check(Call { images: vec![png(); 5], ..masked("ideogram-4-5") }, "takes 1 to 4");
    check(Call { prompt: String::new(), ..call("ideogram-3") }, "without a prompt");
    check(Call { prompt: "ä".repeat(10_001), ..call("ideogram-3") }, "10000 letters");
    check(edit("remove-object/ideogram-1"), "without a mask");
    check(edit("animate/ideogram-3"), "no such operation");
    let odd = Call { images: vec!["GIF89a".into()], size: pixels(9, 9), ..upscale("auto") };
    check(odd, "no picture");
}

#[test]
fn names_of_models_stay_in_their_part_of_the_path() {
    let request = Ideogram.begin(&endpoint(&[]), &call("generate/a/../b?dry_run=false")).unwrap();
    assert_eq!(request.path, "/v2/image/generate/a%2F..%2Fb%3Fdry_run%3Dfalse");
}

#[test]
fn the_key_travels_in_a_header_of_its_own() {
    let keys = Ideogram.keys(&endpoint(&[]));
    assert_eq!(keys.iter().map(|(name, key)| (*name, key.expose())).collect::<Vec<_>>(), [("api-key", KEY)]);
}

#[test]
fn a_price_is_asked_with_the_very_request() {
    for call in [call("ideogram-3"), edit("ideogram-3"), upscale("auto")] {
        let quote = Ideogram.quote(&endpoint(&[]), &call).unwrap();
        assert_eq!(quote.query, [("dry_run".to_owned(), "true".to_owned())]);
        assert_eq!(Request { query: Vec::new(), ..quote }, Ideogram.begin(&endpoint(&[]), &call).unwrap());
    }
}

#[test]
fn prices_are_read() {
    let check = |status: u16, body: &str, expected: Option<(u64, u64)>| {
        let quote = Ideogram.quoted(&reply(status, &[], body));
        assert_eq!(quote.ok().map(|quote| (quote.micros, quote.most)), expected, "{status} {body}");
    };
    check(200, r#"{"usd_micros":60000,"credit_millis":6000,"qualifier":"exact","quantity":1}"#, Some((60_000, 60_000)));
    check(200, r#"{"usd_micros":60000,"qualifier":"estimate","upper_bound_usd_micros":90000}"#, Some((60_000, 90_000)));
    check(200, r#"{"usd_micros":"60000","qualifier":"exact","upper_bound_usd_micros":"5"}"#, Some((60_000, 60_000)));
    check(200, r#"{"usd_micros":60000,"qualifier":"estimate"}"#, None);
    check(200, r#"{"usd_micros":60000}"#, None);
    check(200, r#"{"usd_micros":-1,"qualifier":"exact"}"#, None);
    check(200, r#"{"generation_id":"abc"}"#, None);
    check(200, "", None);
    check(422, r#"{"usd_micros":60000,"qualifier":"exact"}"#, None);
}

#[test]
fn a_call_is_asked_after_by_its_id() {
    let request = Ideogram.poll(&endpoint(&[]), &call("ideogram-3"), "xtdZ_9").unwrap();
    assert_eq!(shown(&request), json!({"method": "GET", "path": "/v2/generations/xtdZ_9"}));
}

fn check(stage: Stage<'_>, status: u16, headers: &[(&str, &str)], body: &str, expected: &str) {
    let step = Ideogram.next(&endpoint(&[]), &call("ideogram-3"), stage, &reply(status, headers, body));
    assert_eq!(told(&step), expected, "{stage:?} {status} {body}");
}

const SAFE: &str = r#"{"url":"https://i/a.png","seed":12345,"is_image_safe":true}"#;
const WITHHELD: &str = r#"{"url":null,"seed":12346,"is_image_safe":false}"#;

#[test]
fn answers_have_the_outcome_that_follows() {
    let check = |status, headers: &[(&str, &str)], body: &str, expected: &str| {
        check(Stage::Begun, status, headers, body, expected)
    };
    check(200, &[], r#"{"generation_id":"xtdZ","seed":5}"#, "poll xtdZ after 1000");
    check(200, &[], r#"{"seed":5}"#, "ambiguous unknown call -");
    check(200, &[], r#"{"generation_id":"../keys"}"#, "ambiguous unknown call -");
    check(200, &[], "{\"generation_id\":\"xt", "ambiguous unknown call -");
    let data = |items: &str| format!(r#"{{"generation_id":"g1","data":[{items}]}}"#);
    check(200, &[], &data(SAFE), "fetch https://i/a.png#12345 of g1");
    check(200, &[], &data(&format!("{WITHHELD},{SAFE}")), "fetch https://i/a.png#12345 of g1");
    check(200, &[], &data(WITHHELD), "policy_output yes call -");
    // A picture that is not safe is not fetched, even where it lies.
    check(200, &[], &data(r#"{"url":"https://i/a.png","is_image_safe":false}"#), "policy_output yes call -");
    check(200, &[], &data(""), "empty unknown call -");

    check(400, &[], r#"{"error":"bad aspect_ratio"}"#, "bad_request no call -");
    check(401, &[], r#"{"error":"no key"}"#, "auth no account -");
    for reason in ["insufficient_funds", "subscription_required", "daily_limit", "priority_credit_required"] {
        let body = format!(r#"{{"error":"no","reject_reason":"{reason}"}}"#);
        check(402, &[], &body, "out_of_funds no account -");
        check(429, &[], &body, "out_of_funds no account -");
    }
    check(402, &[], r#"{"error":"no","reject_reason":"feature_limit"}"#, "out_of_funds no model -");
    check(402, &[], "", "out_of_funds no account -");
    check(403, &[], "", "auth no account -");
    check(404, &[], "", "retired no model -");
    check(413, &[], "", "bad_request no call -");
    check(422, &[], r#"{"error":"prompt failed the safety check"}"#, "policy_input no call -");
    let inflight = r#"{"error":"busy","reject_reason":"inflight_limit","max_inflight_requests":10}"#;
    check(429, &[], inflight, "throttled no account -");
    check(429, &[("retry-after", "4")], inflight, "throttled no account 4000");
    check(429, &[("retry-after", "2")], "too many", "throttled no account 2000");
    check(500, &[], "", "transient no call -");
    check(502, &[], "", "ambiguous unknown call -");
    check(503, &[], "", "transient no call -");
    check(504, &[], "", "ambiguous unknown call -");
}

#[test]
fn polls_have_the_outcome_that_follows() {
    let polled = |polls| Stage::Polled { id: "g1", polls };
    let first = |status, headers: &[(&str, &str)], body: &str, expected: &str| {
        check(polled(0), status, headers, body, expected)
    };
    first(200, &[], r#"{"status":"pending"}"#, "poll g1 after 1000");
    check(polled(4), 200, &[], r#"{"status":"pending"}"#, "poll g1 after 5062");
    check(polled(90), 200, &[], r#"{"status":"pending"}"#, "poll g1 after 10000");
    first(200, &[], r#"{"status":"composing"}"#, "poll g1 after 1000");
    first(200, &[], "{\"status\":\"comp", "poll g1 after 1000");
    first(429, &[("retry-after", "7")], "", "poll g1 after 7000");
    first(429, &[], "", "poll g1 after 1000");
    first(500, &[], "", "poll g1 after 1000");
    first(504, &[], "", "poll g1 after 1000");
    let done = |items: &str| format!(r#"{{"status":"completed","usage_cost_usd_micros":60000,"data":[{items}]}}"#);
    first(200, &[], &done(SAFE), "fetch https://i/a.png#12345 for 60000 of g1");
    first(200, &[], &done(WITHHELD), "policy_output yes call -");
    first(200, &[], &done(""), "empty unknown call -");
    first(200, &[], r#"{"status":"completed"}"#, "empty unknown call -");
    let failed = |reason: &str| format!(r#"{{"status":"failed","failure_reason":"{reason}"}}"#);
    first(200, &[], &failed("content_policy_violation"), "policy_input no call -");
    first(200, &[], &failed("internal_error"), "transient no call -");
    first(200, &[], &failed("insufficient_funds"), "out_of_funds no call -");
    first(200, &[], r#"{"status":"failed","usage_cost_usd_micros":5}"#, "transient yes call -");
    // The call was accepted: nobody knows what became of it.
    first(401, &[], "", "ambiguous unknown call -");
    first(404, &[], "", "ambiguous unknown call -");
}

#[test]
fn faults_of_accepted_calls_keep_its_id_and_its_cost() {
    let next = |status, body: &str| {
        let stage = Stage::Polled { id: "g1", polls: 0 };
        match Ideogram.next(&endpoint(&[]), &call("m"), stage, &reply(status, &[], body)) {
            Step::Failed(fault) => fault,
            step => panic!("{step:?}"),
        }
    };
    let withheld = next(200, &format!(r#"{{"status":"completed","usage_cost_usd_micros":60000,"data":[{WITHHELD}]}}"#));
    assert_eq!((withheld.provider_id.as_deref(), withheld.usage.micros), (Some("g1"), Some(60_000)));
    assert_eq!(next(404, "").provider_id.as_deref(), Some("g1"));
    let failed = next(200, r#"{"status":"failed","failure_reason":"content_policy_violation"}"#);
    assert_eq!(failed.provider_id.as_deref(), Some("g1"));
    assert!(failed.message.contains("content_policy_violation"), "{}", failed.message);
}

#[test]
fn noise_is_survived() {
    let parse = |body: &str| serde_json::from_str::<Value>(body).unwrap();
    let answers = [
        json!({"generation_id": "g1", "seed": 5}),
        parse(&format!(
            r#"{{"generation_id":"g1","status":"completed","usage_cost_usd_micros":6,"data":[{SAFE},{WITHHELD}]}}"#
        )),
        json!({"status": "failed", "failure_reason": "content_policy_violation"}),
        json!({"error": "no", "reject_reason": "inflight_limit", "max_inflight_requests": 10}),
        json!({"usd_micros": 60000, "qualifier": "estimate", "upper_bound_usd_micros": 90000}),
    ];
    let delivered =
        survives_noise(&Ideogram, &answers, &["completed", "failed", "pending", "../..", "exact", "daily_limit"]);
    assert!(delivered > 50, "{delivered}");
}
