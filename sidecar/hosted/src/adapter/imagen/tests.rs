//! Bodies that are asked of Imagen, and what its answers mean.

use super::super::vendor::tests::{
    KEY, PIXEL, call, edit, endpoint, pixels, png, ratio, refusal, reply, shown, survives_noise, told, upscale,
};
use super::*;

const VERTEX: &[(&str, &str)] = &[("project", "studio-42"), ("location", "us-central1")];

#[test]
fn pictures_are_asked_of_vertex() {
    let call = Call {
        size: ratio("16:9", Some("2k")),
        negative: "blurry".to_owned(),
        seed: Some(7),
        count: 2,
        guidance: Some(7.5),
        ..call("imagen-4.0-generate-001")
    };
    let expected = json!({
        "method": "POST",
        "path": "/v1/projects/studio-42/locations/us-central1/publishers/google/models/imagen-4.0-generate-001:predict",
        "json": {
            "instances": [{"prompt": "red fox"}],
            "parameters": {
                "sampleCount": 2, "aspectRatio": "16:9", "sampleImageSize": "2K", "guidanceScale": 7.5,
                "includeRaiReason": true, "outputOptions": {"mimeType": "image/png"},
                "enhancePrompt": false, "negativePrompt": "blurry", "seed": 7, "addWatermark": false,
            },
        },
    });
    assert_eq!(shown(&Imagen.begin(&endpoint(VERTEX), &call).unwrap()), expected);
}

#[test]
fn a_watermark_stays_where_no_seed_is_named() {
    let request = shown(&Imagen.begin(&endpoint(VERTEX), &call("imagen-4.0-generate-001")).unwrap());
    assert_eq!(request["json"]["parameters"].get("addWatermark"), None);
}

#[test]
fn a_picture_is_asked_of_the_gemini_api() {
    let expected = json!({
        "method": "POST",
        "path": "/v1beta/models/imagen-4.0-fast-generate-001:predict",
        "json": {
            "instances": [{"prompt": "red fox"}],
            "parameters": {
                "sampleCount": 1, "aspectRatio": "1:1", "includeRaiReason": true, "enhancePrompt": false,
                "outputOptions": {"mimeType": "image/png"},
            },
        },
    });
    let call = Call { size: ratio("1:1", None), ..call("imagen-4.0-fast-generate-001") };
    assert_eq!(shown(&Imagen.begin(&endpoint(&[]), &call).unwrap()), expected);
}

#[test]
fn keys_are_those_of_the_service() {
    let shown = |options: &[(&str, &str)]| {
        let keys = Imagen.keys(&endpoint(options));
        keys.into_iter().map(|(name, key)| format!("{name}: {}", key.expose())).collect::<Vec<_>>()
    };
    assert_eq!(shown(VERTEX), [format!("authorization: Bearer {KEY}")]);
    assert_eq!(shown(&[]), [format!("x-goog-api-key: {KEY}")]);
}

#[test]
fn what_the_protocol_cannot_say_is_refused_before_it_is_sent() {
    let check = |options: &[(&str, &str)], call: Call, word: &str| {
        let message = refusal(&Imagen, &endpoint(options), &call);
        assert!(message.contains(word), "{message}");
    };
    for options in [VERTEX, &[]] {
        check(options, edit("m"), "change");
        check(options, upscale("m"), "change");
        check(options, Call { mask: Some(png()), ..call("m") }, "mask");
        check(options, Call { count: 5, ..call("m") }, "more than 4");
        check(options, Call { size: pixels(512, 512), ..call("m") }, "pixels");
        check(options, Call { quality: "high".to_owned(), ..call("m") }, "quality");
        check(options, Call { steps: Some(20), ..call("m") }, "steps");
    }
    check(VERTEX, Call { seed: Some(1 << 40), ..call("m") }, "seed above");
    check(&[("project", "")], call("m"), "project");
}

#[test]
fn answers_have_the_outcome_that_follows() {
    let check = |status: u16, headers: &[(&str, &str)], body: &str, expected: &str| {
        let step = Imagen.next(&endpoint(&[]), &call("m"), Stage::Begun, &reply(status, headers, body));
        assert_eq!(told(&step), expected, "{status} {body}");
    };
    let good = json!({"bytesBase64Encoded": PIXEL, "mimeType": "image/png"});
    let bad = json!({"raiFilteredReason": "Unable to show generated images: 58061214"});
    let list = |predictions: Value| json!({"predictions": predictions}).to_string();
    check(200, &[], &list(json!([good, good])), "done - -");
    // Fewer than asked for came back: the rest was filtered.
    check(200, &[], &list(json!([good])), "done -");
    check(200, &[], &list(json!([bad, good])), "done -");
    check(200, &[], &list(json!([bad])), "policy_output unknown call -");
    check(200, &[], &list(json!([])), "policy_output unknown call -");
    check(200, &[], "{}", "policy_output unknown call -");
    check(200, &[], &list(json!([{"gcsUri": "gs://bucket/x.png"}])), "empty unknown call -");
    check(200, &[], &list(json!([{"bytesBase64Encoded": "PHN2Zz4="}])), "empty unknown call -");
    check(200, &[], "{\"predictions\": [{\"bytesBase64", "ambiguous unknown call -");
    check(200, &[], "[]", "ambiguous unknown call -");
    check(400, &[], r#"{"error":{"status":"INVALID_ARGUMENT","message":"API key not valid."}}"#, "auth no account -");
    check(400, &[], r#"{"error":{"status":"INVALID_ARGUMENT","message":"bad ratio"}}"#, "bad_request no call -");
    check(403, &[], "", "auth no account -");
    check(404, &[], r#"{"error":{"status":"NOT_FOUND","message":"shut down"}}"#, "retired no model -");
    check(429, &[("retry-after", "3")], "", "throttled no account 3000");
    check(429, &[], r#"{"error":{"message":"limit: 0"}}"#, "out_of_funds no model -");
    check(500, &[], "", "transient no call -");
    check(503, &[], "", "transient no call -");
    check(504, &[], "", "ambiguous unknown call -");
    check(200, &[], r#"{"error":{"code":503,"message":"overloaded"}}"#, "transient no call -");
}

#[test]
fn noise_is_survived() {
    let answers = [
        json!({"predictions": [{"bytesBase64Encoded": PIXEL}, {"raiFilteredReason": "because"}]}),
        json!({"error": {"code": 404, "status": "NOT_FOUND", "message": "shut down"}}),
    ];
    let delivered = survives_noise(&Imagen, &answers, &["filtered", "limit: 0", "API key not valid", "NOT_FOUND"]);
    assert!(delivered > 50, "{delivered}");
}
