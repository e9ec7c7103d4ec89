//! Bodies that are asked of the Gemini API and Vertex, and what their answers mean.

use serde_json::{Value, json};

use super::super::vendor::tests::{
    KEY, PIXEL, call, edit, endpoint, pixels, png, ratio, refusal, reply, shown, survives_noise, told, upscale,
};
use super::super::{Adapter, Stage, gemini, vertex};
use super::*;

const GEMINI: &dyn Adapter = &gemini::Gemini;
const VERTEX: &dyn Adapter = &vertex::Vertex;

fn asked(adapter: &dyn Adapter, endpoint: &Endpoint, call: &Call, expected: Value) {
    assert_eq!(shown(&adapter.begin(endpoint, call).unwrap()), expected);
}

#[test]
fn a_picture_is_asked_of_the_gemini_api() {
    let call = Call {
        size: ratio("16:9", Some("2k")),
        seed: Some(7),
        quality: "minimal".to_owned(),
        ..call("gemini-nano-banana-2.1")
    };
    let expected = json!({
        "method": "POST",
        "path": "/v1beta/models/gemini-nano-banana-2.1:generateContent",
        "json": {
            "contents": [{"role": "user", "parts": [{"text": "red fox"}]}],
            "generationConfig": {
                "responseModalities": ["IMAGE"],
                "seed": 7,
                "imageConfig": {"aspectRatio": "16:9", "imageSize": "2K"},
                "thinkingConfig": {"thinkingLevel": "minimal"},
            },
        },
    });
    asked(GEMINI, &endpoint(&[]), &call, expected);
}

#[test]
fn what_nobody_asks_for_is_not_sent() {
    let expected = json!({
        "method": "POST",
        "path": "/v1beta/models/gemini-3-pro-image:generateContent",
        "json": {
            "contents": [{"role": "user", "parts": [{"text": "red fox"}]}],
            "generationConfig": {"responseModalities": ["IMAGE"]},
        },
    });
    asked(GEMINI, &endpoint(&[]), &call("gemini-3-pro-image"), expected);
}

#[test]
fn a_change_sends_its_pictures_behind_the_words() {
    let call = Call { images: vec![png(), png()], ..edit("gemini-3-pro-image") };
    let picture = json!({"inlineData": {"mimeType": "image/png", "data": read::base64(&png())}});
    let expected = json!({
        "method": "POST",
        "path": "/v1beta/models/gemini-3-pro-image:generateContent",
        "json": {
            "contents": [{"role": "user", "parts": [{"text": "red fox"}, picture, picture]}],
            "generationConfig": {"responseModalities": ["IMAGE"]},
        },
    });
    asked(GEMINI, &endpoint(&[]), &call, expected);
}

#[test]
fn vertex_is_asked_in_a_project_and_for_png() {
    let options = [("project", "studio-42"), ("location", "europe-west4"), ("person_generation", "ALLOW_ADULT")];
    let call = Call { size: ratio("1:1", None), ..call("gemini-3-pro-image") };
    let expected = json!({
        "method": "POST",
        "path": "/v1/projects/studio-42/locations/europe-west4/publishers/google/models/gemini-3-pro-image:generateContent",
        "json": {
            "contents": [{"role": "user", "parts": [{"text": "red fox"}]}],
            "generationConfig": {
                "responseModalities": ["IMAGE"],
                "imageConfig": {
                    "aspectRatio": "1:1",
                    "imageOutputOptions": {"mimeType": "image/png"},
                    "personGeneration": "ALLOW_ADULT",
                },
            },
        },
    });
    asked(VERTEX, &endpoint(&options), &call, expected);
    // Fields of Vertex alone never reach the Gemini API, whatever the account's options say.
    let request = GEMINI.begin(&endpoint(&options), &call).unwrap();
    assert!(!shown(&request).to_string().contains("personGeneration"));
    assert!(!shown(&request).to_string().contains("imageOutputOptions"));
}

#[test]
fn keys_travel_in_one_header() {
    let endpoint = endpoint(&[("project", "p")]);
    let shown = |adapter: &dyn Adapter| {
        adapter.keys(&endpoint).into_iter().map(|(name, key)| format!("{name}: {}", key.expose())).collect::<Vec<_>>()
    };
    assert_eq!(shown(GEMINI), [format!("x-goog-api-key: {KEY}")]);
    assert_eq!(shown(VERTEX), [format!("authorization: Bearer {KEY}")]);
    assert!(GEMINI.keys(&Endpoint { key: None, ..endpoint }).is_empty());
}

#[test]
fn what_the_protocol_cannot_say_is_refused_before_it_is_sent() {
    let check = |change: fn(&mut Call), word: &str| {
        let mut call = call("m");
        change(&mut call);
        let message = refusal(GEMINI, &endpoint(&[]), &call);
        assert!(message.contains(word), "{message}");
        refusal(VERTEX, &endpoint(&[("project", "p")]), &call);
    };
    check(|call| call.negative = "blurry".to_owned(), "negative prompt");
    check(|call| call.mask = Some(png()), "mask");
    check(|call| call.count = 2, "several pictures");
    check(|call| call.guidance = Some(4.0), "guidance");
    check(|call| call.steps = Some(20), "steps");
    check(|call| call.sampler = Some("euler".to_owned()), "sampler");
    check(|call| call.strength = Some(0.5), "strength");
    check(|call| call.seed = Some(1 << 31), "seed above");
    check(|call| call.size = pixels(512, 512), "pixels");
    check(|call| *call = upscale("m"), "larger");
    check(|call| call.task = Task::Edit, "no picture");
    assert!(refusal(VERTEX, &endpoint(&[]), &call("m")).contains("project"));
    let large = Call { images: vec![vec![0; VERTEX_PICTURE_BYTES_MAX + 1].into()], ..edit("m") };
    assert!(refusal(VERTEX, &endpoint(&[("project", "p")]), &large).contains("at most"));
    assert!(GEMINI.begin(&endpoint(&[]), &large).is_ok());
}

fn next(status: u16, headers: &[(&str, &str)], body: &str) -> Step {
    let step = GEMINI.next(&endpoint(&[]), &call("m"), Stage::Begun, &reply(status, headers, body));
    let vertex = VERTEX.next(&endpoint(&[]), &call("m"), Stage::Begun, &reply(status, headers, body));
    assert_eq!(told(&step), told(&vertex));
    step
}

#[test]
fn pictures_are_taken_and_thoughts_are_not() {
    let body = json!({
        "candidates": [{"index": 0, "finishReason": "STOP", "content": {"role": "model", "parts": [
            {"thought": true, "inlineData": {"mimeType": "image/png", "data": PIXEL}},
            {"text": "Here is your fox."},
            {"inlineData": {"mimeType": "image/png", "data": PIXEL}},
        ]}}],
        "usageMetadata": {"promptTokenCount": 267, "candidatesTokenCount": 1120, "totalTokenCount": 1387,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 9}, {"modality": "IMAGE", "tokenCount": 258}]},
        "modelVersion": "gemini-3-pro-image", "responseId": "abc-1",
    });
    let Step::Done(answer) = next(200, &[], &body.to_string()) else { panic!("no picture") };
    assert_eq!(answer.pictures, [Picture { bytes: vendor::picture(PIXEL).unwrap(), seed: None }]);
    assert_eq!(answer.provider_id.as_deref(), Some("abc-1"));
    let usage = Usage { text_tokens: Some(9), image_tokens: Some(258), output_tokens: Some(1120), ..Usage::default() };
    assert_eq!(answer.usage, usage);
}

fn candidate(finish: &str) -> String {
    json!({"candidates": [{"finishReason": finish, "finishMessage": "because"}], "responseId": "r1"}).to_string()
}

fn blocked(reason: &str) -> String {
    json!({"promptFeedback": {"blockReason": reason}}).to_string()
}

#[test]
fn refusals_come_as_success() {
    let check = |body: String, expected: &str| assert_eq!(told(&next(200, &[], &body)), expected, "{body}");
    for reason in ["SAFETY", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "IMAGE_SAFETY", "MODEL_ARMOR", "JAILBREAK"] {
        check(blocked(reason), "policy_input no call -");
    }
    for finish in ["SAFETY", "PROHIBITED_CONTENT", "BLOCKLIST", "SPII", "RECITATION"] {
        check(candidate(finish), "policy_output unknown call -");
    }
    for finish in ["IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"] {
        check(candidate(finish), "policy_output unknown call -");
    }
    for finish in
        ["STOP", "MAX_TOKENS", "LANGUAGE", "OTHER", "IMAGE_OTHER", "NO_IMAGE", "MALFORMED_FUNCTION_CALL", "NEW"]
    {
        check(candidate(finish), "empty unknown call -");
    }
    // A picture beside the reason why it is withheld is withheld.
    let part = json!({"inlineData": {"data": PIXEL}});
    let body = json!({"candidates": [{"finishReason": "IMAGE_SAFETY", "content": {"parts": [part]}}]});
    check(body.to_string(), "policy_output unknown call -");
    let text =
        json!({"candidates": [{"finishReason": "STOP", "content": {"parts": [{"text": "I cannot draw that."}]}}]});
    check(text.to_string(), "empty unknown call -");
    check("{}".to_owned(), "empty unknown call -");
    let svg =
        json!({"candidates": [{"finishReason": "STOP", "content": {"parts": [{"inlineData": {"data": "PHN2Zz4="}}]}}]});
    check(svg.to_string(), "empty unknown call -");
}

#[test]
fn refusals_keep_their_words_and_names() {
    let Step::Failed(fault) = next(200, &[], &candidate("IMAGE_SAFETY")) else { panic!("no refusal") };
    assert!(fault.message.ends_with("IMAGE_SAFETY because"), "{}", fault.message);
    assert_eq!(fault.provider_id.as_deref(), Some("r1"));
    let text =
        json!({"candidates": [{"finishReason": "STOP", "content": {"parts": [{"text": "I cannot draw that."}]}}]});
    let Step::Failed(fault) = next(200, &[], &text.to_string()) else { panic!("no refusal") };
    assert!(fault.message.contains("I cannot draw that."), "{}", fault.message);
}

fn error(code: u16, status: &str, message: &str, details: Value) -> String {
    json!({"error": {"code": code, "status": status, "message": message, "details": details}}).to_string()
}

fn quota(id: &str, delay: &str) -> Value {
    json!([
        {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": id}]},
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay},
    ])
}

fn info(reason: &str) -> Value {
    json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com"}])
}

#[test]
fn errors_have_the_outcome_that_follows() {
    let check = |status: u16, headers: &[(&str, &str)], body: &str, expected: &str| {
        assert_eq!(told(&next(status, headers, body)), expected, "{status} {body}");
    };
    let none = || json!([]);
    let minute = "GenerateRequestsPerMinutePerProjectPerModel-FreeTier";
    let day = "GenerateRequestsPerDayPerProjectPerModel-FreeTier";
    let exhausted = |message: &str, details| error(429, "RESOURCE_EXHAUSTED", message, details);

    check(429, &[], &exhausted("slow", quota(minute, "46s")), "throttled no account 46000");
    check(429, &[], &exhausted("slow", quota(minute, "1.5s")), "throttled no account 1500");
    check(429, &[("retry-after", "9")], &exhausted("slow", none()), "throttled no account 9000");
    check(429, &[], &exhausted("slow", quota(minute, "46 minutes")), "throttled no account -");
    check(429, &[], &exhausted("slow", quota(minute, "1e300s")), "throttled no account 86400000");
    check(429, &[], "no JSON", "throttled no account -");
    check(429, &[], &format!("[{}]", exhausted("slow", quota(minute, "46s"))), "throttled no account 46000");
    // A day's quota: the delay that is advertised is not believed; the reset is at 08:00 UTC.
    check(429, &[], &exhausted("day", quota(day, "46s")), "out_of_funds no account -");
    let date = |clock: &'static str| [("date", clock)];
    let daily = exhausted("day", quota(day, "46s"));
    check(429, &date("Sat, 21 Nov 2026 07:59:00 GMT"), &daily, "out_of_funds no account 60000");
    check(429, &date("Sat, 21 Nov 2026 08:00:00 GMT"), &daily, "out_of_funds no account 86400000");
    check(429, &date("Sat, 21 Nov 2026 11:00:00 GMT"), &daily, "out_of_funds no account 75600000");
    check(429, &date("Saturday, 21-Nov-26 25:00:00 GMT"), &daily, "out_of_funds no account -");
    check(429, &date("soon"), &daily, "out_of_funds no account -");
    // A tier without any quota for the model advertises ten hours, and has none after them.
    let zero = "Quota exceeded for metric: x, limit: 0, model: m";
    check(429, &[], &exhausted(zero, quota(minute, "36000s")), "out_of_funds no model -");
    check(429, &[], &exhausted("limit: 0", none()), "out_of_funds no model -");
    check(429, &[], &exhausted("limit: 05", none()), "throttled no account -");
    check(429, &[], &exhausted("limit: 0.5", none()), "throttled no account -");
    check(429, &[], &exhausted("Your prepayment credits are depleted.", none()), "out_of_funds no account -");

    check(400, &[], &error(400, "INVALID_ARGUMENT", "bad size", none()), "bad_request no call -");
    check(
        400,
        &[],
        &error(400, "INVALID_ARGUMENT", "API key not valid.", info("API_KEY_INVALID")),
        "auth no account -",
    );
    check(400, &[], &error(400, "INVALID_ARGUMENT", "API key not valid. Pass one.", none()), "auth no account -");
    check(400, &[], &error(400, "FAILED_PRECONDITION", "User location is not supported", none()), "auth no account -");
    check(400, &[], &error(400, "FAILED_PRECONDITION", "enable billing", none()), "out_of_funds no account -");
    check(401, &[], &error(401, "UNAUTHENTICATED", "no", info("ACCESS_TOKEN_EXPIRED")), "auth no account -");
    check(402, &[], "", "out_of_funds no account -");
    check(403, &[], &error(403, "PERMISSION_DENIED", "no", none()), "auth no account -");
    check(403, &[], &error(403, "PERMISSION_DENIED", "no", info("BILLING_DISABLED")), "out_of_funds no account -");
    check(404, &[], &error(404, "NOT_FOUND", "models/x is not found", none()), "retired no model -");
    check(499, &[], &error(499, "CANCELLED", "cancelled", none()), "ambiguous unknown call -");
    check(500, &[], &error(500, "INTERNAL", "oops", none()), "transient no call -");
    check(502, &[], "<html>", "ambiguous unknown call -");
    check(503, &[("retry-after", "2")], &error(503, "UNAVAILABLE", "overloaded", none()), "transient no call 2000");
    check(504, &[], &error(504, "DEADLINE_EXCEEDED", "late", none()), "ambiguous unknown call -");
    // Proxies wrap errors in success.
    check(200, &[], &error(429, "RESOURCE_EXHAUSTED", "slow", quota(minute, "46s")), "throttled no account 46000");
    check(200, &[], "{\"candidates\": [{\"content\": {\"parts\": [{\"inlineDa", "ambiguous unknown call -");
    check(200, &[], "", "ambiguous unknown call -");
}

#[test]
fn noise_is_survived() {
    let answers = [
        json!({
            "candidates": [{"finishReason": "STOP", "content": {"parts": [
                {"thought": true, "text": "hm"},
                {"inlineData": {"mimeType": "image/png", "data": PIXEL}},
            ]}}],
            "usageMetadata": {"promptTokenCount": 267, "promptTokensDetails": [{"modality": "IMAGE", "tokenCount": 258}]},
            "responseId": "abc-1",
        }),
        json!({"candidates": [{"finishReason": "IMAGE_SAFETY", "finishMessage": "because"}], "responseId": "r"}),
        json!({"promptFeedback": {"blockReason": "SAFETY", "blockReasonMessage": "because"}}),
        serde_json::from_str(&error(429, "RESOURCE_EXHAUSTED", "limit: 0", quota("PerDay", "46s"))).unwrap(),
        serde_json::from_str(&error(400, "INVALID_ARGUMENT", "no", info("API_KEY_INVALID"))).unwrap(),
    ];
    const WORDS: &[&str] =
        &["STOP", "IMAGE_SAFETY", "NO_IMAGE", "limit: 0", "limit: 0ä", "1e999s", "-3s", "NaNs", "PerDay"];
    for adapter in [GEMINI, VERTEX] {
        let delivered = survives_noise(adapter, &answers, WORDS);
        assert!(delivered > 20, "{delivered}");
    }
}
