//! What the tests of all vendors' adapters share, and tests of what the adapters share.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use thumbforge_core::image::Extent;
use thumbforge_core::job::Outcome;
use url::Url;

use super::*;
use crate::adapter::{Adapter, Body, Method, Protocol, Request, Stage, Step};
use crate::call::{AskedSize, Call, Task};
use crate::fault::MESSAGE_BYTES_MAX;

/// A key that no message may have.
pub(crate) const KEY: &str = "sk-marked-0123456789";

/// A picture of one pixel, in base64.
pub(crate) const PIXEL: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

/// The first bytes of a PNG of 640 by 360.
pub(crate) fn png() -> Bytes {
    Bytes::from_static(b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x02\x80\0\0\x01\x68\x08\x02\0\0\0")
}

/// An account with options.
pub(crate) fn endpoint(options: &[(&str, &str)]) -> Endpoint {
    Endpoint {
        account: "studio".to_owned(),
        base_url: Url::parse("https://api.example.com").unwrap(),
        key: Some(Secret::new(KEY)),
        options: options
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect::<BTreeMap<_, _>>(),
        allow_private: false,
        timeout: Duration::from_secs(60),
    }
}

/// A call that draws one picture.
pub(crate) fn call(model: &str) -> Call {
    Call {
        task: Task::Generate,
        model: model.to_owned(),
        prompt: "red fox".to_owned(),
        negative: String::new(),
        size: AskedSize::Free,
        quality: String::new(),
        count: 1,
        seed: None,
        steps: None,
        guidance: None,
        sampler: None,
        strength: None,
        images: Vec::new(),
        mask: None,
        nonce: "0190b8a0-0000-7000-8000-000000000000".to_owned(),
    }
}

/// A call that changes one picture.
pub(crate) fn edit(model: &str) -> Call {
    Call { task: Task::Edit, images: vec![png()], ..call(model) }
}

/// A call that makes one picture larger.
pub(crate) fn upscale(model: &str) -> Call {
    Call { task: Task::Upscale, prompt: String::new(), images: vec![png()], ..call(model) }
}

pub(crate) fn ratio(ratio: &str, resolution: Option<&str>) -> AskedSize {
    AskedSize::Ratio { ratio: ratio.to_owned(), resolution: resolution.map(str::to_owned) }
}

pub(crate) fn pixels(width: u32, height: u32) -> AskedSize {
    AskedSize::Pixels(Extent { width, height })
}

pub(crate) fn reply(status: u16, headers: &[(&str, &str)], body: &str) -> Reply {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Reply { status, headers, body: Bytes::copy_from_slice(body.as_bytes()) }
}

/// A whole request as JSON, so that it is compared with one written by hand. Parts of forms are sorted by name.
pub(crate) fn shown(request: &Request) -> Value {
    let mut shown = json!({
        "method": match request.method { Method::Get => "GET", Method::Post => "POST" },
        "path": request.path,
    });
    if !request.query.is_empty() {
        shown["query"] = json!(request.query);
    }
    if !request.headers.is_empty() {
        shown["headers"] = json!(request.headers);
    }
    match &request.body {
        Body::None => {}
        Body::Json(body) => shown["json"] = body.clone(),
        Body::Multipart(parts) => {
            let mut parts: Vec<[String; 2]> = parts
                .iter()
                .map(|part| match &part.content {
                    PartContent::Text(text) => [part.name.clone(), text.clone()],
                    PartContent::File { file_name, mime, bytes } => {
                        [part.name.clone(), format!("{file_name}, {mime}, {} bytes", bytes.len())]
                    }
                })
                .collect();
            parts.sort_by(|a, b| a[0].cmp(&b[0]));
            shown["form"] = json!(parts);
        }
    }
    shown
}

/// What follows from a reply, in a line: "throttled no account 46000" is the outcome, whether it is billed, what it
/// concerns and how long to wait.
pub(crate) fn told(step: &Step) -> String {
    match step {
        Step::Poll { id, after } => format!("poll {id} after {}", after.as_millis()),
        Step::Fetch { urls, usage, provider_id } => {
            let urls: Vec<String> = urls
                .iter()
                .map(|(url, seed)| format!("{url}{}", seed.map(|seed| format!("#{seed}")).unwrap_or_default()))
                .collect();
            let cost = usage.micros.map(|micros| format!(" for {micros}")).unwrap_or_default();
            let id = provider_id.as_ref().map(|id| format!(" of {id}")).unwrap_or_default();
            format!("fetch {}{cost}{id}", urls.join(" "))
        }
        Step::Again(_) => "again".to_owned(),
        Step::Done(answer) => {
            let seeds: Vec<String> = answer
                .pictures
                .iter()
                .map(|picture| picture.seed.map_or("-".to_owned(), |seed| seed.to_string()))
                .collect();
            format!("done {}", seeds.join(" "))
        }
        Step::Failed(fault) => told_fault(fault),
    }
}

pub(crate) fn told_fault(fault: &Fault) -> String {
    let billed = match fault.billed {
        Billed::Yes => "yes",
        Billed::No => "no",
        Billed::Unknown => "unknown",
    };
    let range = match fault.range {
        Range::Call => "call",
        Range::Model => "model",
        Range::Account => "account",
    };
    let wait = fault.retry_after_ms.map_or("-".to_owned(), |ms| ms.to_string());
    format!("{} {billed} {range} {wait}", fault.outcome.word())
}

/// The refusal of a call before anything is sent: always of the call alone, and never billed.
pub(crate) fn refusal(adapter: &dyn Adapter, endpoint: &Endpoint, call: &Call) -> String {
    let fault = adapter.begin(endpoint, call).unwrap_err();
    assert_eq!(told_fault(&fault), "bad_request no call -", "{}", fault.message);
    assert_eq!(adapter.quote(endpoint, call), None);
    fault.message
}

/// Feeds an adapter noise of the shape that its answers have: `answers` of its own with parts of them replaced, left out or
/// cut off at any byte, and bytes of no shape; under any status and with odd headers. Whatever comes: no panic, no key and
/// no long message, pictures only that are pictures, and none out of an error. Returns how many of the answers gave
/// pictures, which shows that the noise is not all noise.
pub(crate) fn survives_noise(adapter: &dyn Adapter, answers: &[Value], words: &'static [&'static str]) -> usize {
    let word = prop_oneof![
        3 => proptest::sample::select(words).prop_map(str::to_owned),
        1 => Just(PIXEL.to_owned()),
        1 => Just(format!("no: {KEY}")),
        1 => ".{0,40}",
    ];
    let leaf = prop_oneof![
        1 => Just(Value::Null),
        1 => Just(json!([])),
        1 => Just(json!({})),
        1 => any::<bool>().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<u64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        8 => word.prop_map(Value::from),
    ];
    let changes = proptest::collection::vec((any::<proptest::sample::Index>(), proptest::option::of(leaf)), 0..4);
    let json = (proptest::sample::select(answers.to_vec()), changes).prop_map(|(mut answer, changes)| {
        for (at, value) in changes {
            let mut left = at.index(nodes(&answer));
            change(&mut answer, &mut left, &value);
        }
        answer.to_string().into_bytes()
    });
    let body = prop_oneof![
        8 => json.clone(),
        1 => (json, any::<proptest::sample::Index>()).prop_map(|(mut body, cut)| {
            body.truncate(cut.index(body.len()));
            body
        }),
        1 => proptest::collection::vec(any::<u8>(), 0..200),
    ];
    let status = prop_oneof![
        4 => Just(200_u16),
        1 => Just(202),
        4 => proptest::sample::select(&[400_u16, 401, 402, 403, 404, 408, 422, 429, 500, 502, 503, 504][..]),
        1 => any::<u16>(),
    ];
    let header = (
        proptest::sample::select(
            &["retry-after", "retry-after-ms", "date", "seed", "finish-reason", "content-type"][..],
        ),
        prop_oneof!["[0-9.e-]{0,12}", ".{0,30}", Just("Sat, 21 Nov 2026 99:01:04 GMT".to_owned())],
    );
    let input = (status, proptest::collection::vec(header, 0..3), body, proptest::option::of(any::<u32>()));
    let endpoint = endpoint(&[("project", "p")]);
    let delivered = std::cell::Cell::new(0);
    // No file of failures is kept: a failing input is printed, and becomes a case of a table.
    let mut runner = TestRunner::new(Config { cases: 3000, failure_persistence: None, ..Config::default() });
    runner
        .run(&input, |(status, headers, body, polls)| {
            let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            let reply = Reply { status, headers, body: Bytes::from(body) };
            let stage = polls.map_or(Stage::Begun, |polls| Stage::Polled { id: "abc", polls });
            match adapter.next(&endpoint, &call("m"), stage, &reply) {
                Step::Done(answer) => {
                    prop_assert!((200..300).contains(&status));
                    prop_assert!(!answer.pictures.is_empty() && answer.pictures.len() <= PICTURES_MAX);
                    prop_assert!(answer.pictures.iter().all(|picture| sniff(&picture.bytes).is_some()));
                    delivered.set(delivered.get() + 1);
                }
                Step::Fetch { urls, .. } => {
                    prop_assert!((200..300).contains(&status));
                    prop_assert!(!urls.is_empty() && urls.len() <= PICTURES_MAX);
                    delivered.set(delivered.get() + 1);
                }
                Step::Poll { id, after } => {
                    prop_assert!(call_id(Some(&json!(id))).is_some(), "{id:?}");
                    prop_assert!(after >= Duration::from_secs(1) && after <= Duration::from_millis(DELAY_MS_MAX));
                }
                Step::Failed(fault) => {
                    prop_assert!(!format!("{fault:?}").contains(KEY), "{fault:?}");
                    prop_assert!(fault.message.len() <= MESSAGE_BYTES_MAX + '…'.len_utf8());
                    prop_assert!(!fault.message.contains(char::is_control));
                    prop_assert!(fault.retry_after_ms.is_none_or(|ms| ms <= DELAY_MS_MAX));
                    prop_assert!(fault.outcome != Outcome::Ambiguous || fault.billed == Billed::Unknown);
                }
                Step::Again(_) => prop_assert!(false, "no vendor's call is changed and sent again"),
            }
            if let Err(fault) = adapter.quoted(&reply) {
                prop_assert!(fault.message.len() <= MESSAGE_BYTES_MAX + '…'.len_utf8());
                prop_assert!(!fault.message.contains(KEY), "{fault:?}");
            }
            Ok(())
        })
        .unwrap();
    delivered.get()
}

/// How many values there are in a value, itself among them.
fn nodes(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(nodes).sum(),
        Value::Object(members) => members.values().map(nodes).sum::<usize>(),
        _ => 0,
    }
}

/// Replaces the value number `left`, or takes it out where there is nothing to put in its place.
fn change(value: &mut Value, left: &mut usize, with: &Option<Value>) {
    if *left == 0 {
        *value = with.clone().unwrap_or_default();
        *left = usize::MAX;
        return;
    }
    *left -= 1;
    match value {
        Value::Array(items) => {
            for item in items {
                change(item, left, with);
            }
        }
        Value::Object(members) => {
            if let (0, None) = (*left, with)
                && let Some(name) = members.keys().next().cloned()
            {
                members.remove(&name);
                *left = usize::MAX;
                return;
            }
            for member in members.values_mut() {
                change(member, left, with);
            }
        }
        _ => {}
    }
}

#[test]
fn statuses_without_a_meaning_of_their_own() {
    let check = |status: u16, headers: &[(&str, &str)], expected: &str| {
        let fault = by_status("X", &endpoint(&[]), &reply(status, headers, ""), "");
        assert_eq!(told_fault(&fault), expected, "{status}");
    };
    check(302, &[("location", "https://example.com")], "bad_request no account -");
    check(400, &[], "bad_request no call -");
    check(401, &[], "auth no account -");
    check(402, &[], "out_of_funds no account -");
    check(403, &[], "auth no account -");
    check(404, &[], "retired no model -");
    check(408, &[], "ambiguous unknown call -");
    check(410, &[], "retired no model -");
    check(413, &[], "bad_request no call -");
    check(429, &[], "throttled no account -");
    check(429, &[("retry-after", "7")], "throttled no account 7000");
    check(500, &[("retry-after", "1")], "transient no call 1000");
    check(502, &[("retry-after", "1")], "ambiguous unknown call -");
    check(503, &[], "transient no call -");
    check(504, &[], "ambiguous unknown call -");
    check(521, &[], "transient no call -");
    check(524, &[], "ambiguous unknown call -");
    check(529, &[], "transient no call -");
    check(999, &[], "bad_request no call -");
}

#[test]
fn words_are_bounded_on_one_line_and_without_the_key() {
    let endpoint = endpoint(&[]);
    assert_eq!(words(&endpoint, &format!("bad key {KEY}\u{1b}[31m\n\tno")), "bad key (key) [31m no");
    assert_eq!(words(&endpoint, &"ä".repeat(5000)).chars().count(), WORDS_MAX);
    let keyless = Endpoint { key: Some(Secret::new("")), ..endpoint };
    assert_eq!(words(&keyless, "as it is"), "as it is");
}

#[test]
fn names_of_calls_cannot_leave_their_place_in_a_path() {
    for good in ["abc", "xtdZ_-9=", &"a".repeat(128)] {
        assert_eq!(call_id(Some(&json!(good))).as_deref(), Some(good));
    }
    for bad in ["", "..", ".", "a/b", "a?b", "a b", "ä", &"a".repeat(129)] {
        assert_eq!(call_id(Some(&json!(bad))), None, "{bad}");
    }
    assert_eq!(call_id(Some(&json!(7))), None);
    assert_eq!(call_id(None), None);
}

#[test]
fn parts_of_paths_are_escaped() {
    for (text, expected) in [("gemini-3.1", "gemini-3.1"), ("a/b?c#d", "a%2Fb%3Fc%23d"), ("ä", "%C3%A4"), ("%", "%25")]
    {
        assert_eq!(segment(text), expected);
    }
}

#[test]
fn polls_slow_down_and_listen() {
    let (first, most) = (Duration::from_secs(1), Duration::from_secs(10));
    let check = |headers: &[(&str, &str)], polls: u32, expected: u64| {
        assert_eq!(
            poll_wait(&reply(200, headers, ""), polls, first, most).as_millis(),
            u128::from(expected),
            "{polls}"
        );
    };
    check(&[], 0, 1000);
    check(&[], 1, 1500);
    check(&[], 2, 2250);
    check(&[], 6, 10_000);
    check(&[], u32::MAX, 10_000);
    check(&[("retry-after", "30")], 0, 30_000);
    check(&[("retry-after", "0")], 9, 1000);
}

#[test]
fn weights_go_the_other_way_from_strengths() {
    for (strength, expected) in [(0.0, 100), (0.25, 75), (0.5, 50), (1.0, 1), (7.0, 1), (-1.0, 100), (f64::NAN, 50)] {
        assert_eq!(weight(strength), expected, "{strength}");
    }
}

/// A whole PNG of one colour.
fn flat(width: u32, height: u32) -> Bytes {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.write_header().unwrap().write_image_data(&vec![255; (width * height) as usize]).unwrap();
    Bytes::from(bytes)
}

/// Every model of these vendors in the catalogue can be asked for whatever its row says that it can.
#[test]
fn every_row_of_the_catalogue_can_be_asked() {
    use thumbforge_core::id::ContentHash;
    use thumbforge_core::model::{Catalogue, SeedUse};
    use thumbforge_core::recipe::{Edit, Operation, Recipe};

    let catalogue = Catalogue::built_in();
    let mut asked = 0;
    for row in catalogue.rows() {
        let protocols: &[Protocol] = match (row.provider.as_deref(), row.protocol.as_deref()) {
            (Some("google"), None) => &[Protocol::Gemini, Protocol::Vertex],
            (Some("google"), Some("imagen")) => &[Protocol::Imagen],
            (Some("ideogram"), None) => &[Protocol::Ideogram],
            (Some("ideogram"), Some("ideogram-v1")) => &[Protocol::IdeogramV1],
            (Some("stability"), None) => &[Protocol::Stability],
            (Some("google" | "ideogram" | "stability"), Some(other)) => panic!("{}: {other}", row.id),
            _ => continue,
        };
        let can = &row.can;
        let mut tasks = Vec::new();
        if can.generate != Some(false) {
            tasks.push((None, false));
        }
        if can.edit.is_some() {
            // A row that only repaints needs its mask.
            if can.generate != Some(false) {
                tasks.push((Some(Operation::Edit), false));
            }
            if can.mask.is_some() {
                tasks.push((Some(Operation::Edit), true));
            }
        }
        if can.upscale {
            tasks.push((Some(Operation::Upscale), false));
        }
        assert!(!tasks.is_empty(), "{}", row.id);
        for (operation, masked) in tasks {
            for (protocol, size) in
                protocols.iter().flat_map(|protocol| [(*protocol, (512, 512)), (*protocol, (1280, 720))])
            {
                let mut recipe = Recipe::from_prompt("red fox", Extent { width: size.0, height: size.1 });
                recipe.seed = (can.seed != SeedUse::None).then_some(1 << 40);
                if can.negative && !masked {
                    recipe.negative = "blurry".to_owned();
                }
                let hash = ContentHash([7; 32]);
                recipe.edit =
                    operation.map(|operation| Edit { operation, images: vec![hash], mask: masked.then_some(hash) });
                let translated = crate::translate::translate(&recipe, row, protocol, recipe.drawing_seed());
                assert_eq!(translated.unmet, [], "{} {operation:?}", row.id);
                let adapter = crate::adapter::adapter(protocol).unwrap();
                assert_eq!(translated.objection(&recipe, row, adapter, &endpoint(&[("project", "p")])), None);
                let images = operation.map(|_| flat(64, 36)).into_iter().collect();
                let mask = masked.then(|| flat(64, 36));
                let call = translated.call(&recipe, row, images, mask, "nonce".to_owned()).unwrap();
                let endpoint = endpoint(&[("project", "p")]);
                let request = adapter.begin(&endpoint, &call);
                assert!(request.is_ok(), "{} {operation:?} masked {masked}: {request:?}", row.id);
                asked += 1;
            }
        }
    }
    assert!(asked > 60, "{asked}");
}

/// What a row can, but not at once, is known before there is a picture.
#[test]
fn what_cannot_be_had_at_once_is_known_beforehand() {
    use thumbforge_core::id::ContentHash;
    use thumbforge_core::model::Catalogue;
    use thumbforge_core::recipe::{Edit, Operation, Recipe};

    let catalogue = Catalogue::built_in();
    let row = catalogue.resolve("ideogram-3").unwrap();
    let adapter = crate::adapter::adapter(Protocol::Ideogram).unwrap();
    let check = |negative: &str, strength: Option<f64>, masked: bool, expected: Option<&str>| {
        let hash = ContentHash([7; 32]);
        let mut recipe = Recipe::from_prompt("red fox", Extent { width: 512, height: 512 });
        recipe.negative = negative.to_owned();
        recipe.settings.strength = strength;
        recipe.edit = Some(Edit { operation: Operation::Edit, images: vec![hash], mask: masked.then_some(hash) });
        let translated = crate::translate::translate(&recipe, row, Protocol::Ideogram, 7);
        assert_eq!(translated.unmet, []);
        let objection = translated.objection(&recipe, row, adapter, &endpoint(&[]));
        match expected {
            None => assert_eq!(objection, None),
            Some(word) => assert!(objection.as_ref().is_some_and(|why| why.contains(word)), "{objection:?}"),
        }
    };
    check("", None, true, None);
    check("blurry", Some(0.5), false, None);
    check("blurry", None, true, Some("negative prompt"));
    check("", Some(0.5), true, Some("strength"));
}
