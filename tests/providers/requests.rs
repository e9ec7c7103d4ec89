//! Calls that go well: one bill, one picture, the key where it belongs, and requests that OpenAI's own schemas accept.

use serde_json::{Map, Value, json};
use thumbforge_tests::provider::{Payload, Recorded};
use thumbforge_tests::schema::{Schemas, Unnamed};

use super::*;

/// A call, answered with one real picture and billed once.
#[track_caller]
fn check(protocol: Protocol, call: &Call) -> (Answer, Shop) {
    let shop = Shop::open();
    let answer = shop.ask(protocol, call).unwrap_or_else(|fault| panic!("{}: {fault:?}", protocol.word()));
    assert_eq!(answer.pictures.len(), call.count as usize, "{}", protocol.word());
    for picture in &answer.pictures {
        assert!(picture::size_of(&picture.bytes).is_some(), "{}: no PNG", protocol.word());
    }
    let book = shop.provider.book();
    assert_eq!((book.charges.len(), book.pictures()), (1, call.count), "{}", protocol.word());
    if call.task == Task::Generate {
        assert_eq!(book.charges[0].prompt, call.prompt, "{}", protocol.word());
    }
    for request in shop.provider.requests() {
        let fetched = request.path.starts_with("/files/");
        let key = ["authorization", "api-key", "x-goog-api-key"].iter().any(|name| request.header(name).is_some());
        assert_eq!(
            key, !fetched,
            "{} {}: the key goes to calls, and never with a result",
            request.method, request.path
        );
        assert!(!request.query.iter().any(|(_, value)| value.contains("marked-key")), "{}", request.path);
        assert_eq!(request.header("user-agent"), Some("thumbforge-tests"));
    }
    (answer, shop)
}

#[test]
fn drawings() {
    for protocol in Protocol::ALL {
        check(protocol, &drawing(protocol));
    }
}

#[test]
fn servers_without_a_key() {
    for protocol in [Protocol::A1111, Protocol::ComfyUi, Protocol::SdCpp, Protocol::Post, Protocol::OpenAiCompatible] {
        let shop = Shop::with(Options { polls: 2, ..Options::plain() });
        let mut endpoint = shop.endpoint(protocol);
        endpoint.key = None;
        let (call, waiting) = (drawing(protocol), waiting());
        let answer = shop.runtime.block_on(shop.client.perform(by(protocol), &endpoint, &call, &waiting));
        assert_eq!(answer.map(|answer| answer.pictures.len()), Ok(1), "{}", protocol.word());
        for request in shop.provider.requests() {
            assert_eq!((request.header("authorization"), request.header("api-key")), (None, None));
        }
    }
}

#[test]
fn edits() {
    for protocol in [
        Protocol::OpenAi,
        Protocol::OpenAiCompatible,
        Protocol::Gemini,
        Protocol::Vertex,
        Protocol::Ideogram,
        Protocol::IdeogramV1,
        Protocol::Stability,
        Protocol::A1111,
        Protocol::SdCpp,
    ] {
        let mut call = drawing(protocol);
        (call.task, call.images) = (Task::Edit, vec![photo()]);
        if protocol == Protocol::Stability {
            call.size = AskedSize::Free;
        }
        check(protocol, &call);
        if !matches!(protocol, Protocol::Gemini | Protocol::Vertex) {
            call.mask = Some(photo());
            check(protocol, &call);
        }
    }
}

#[test]
fn enlargements() {
    for (protocol, model) in [
        (Protocol::Ideogram, "topaz-standard-2"),
        (Protocol::IdeogramV1, "V_2"),
        (Protocol::Stability, "fast"),
        (Protocol::A1111, "R-ESRGAN 4x+"),
    ] {
        let mut call = drawing(protocol);
        (call.task, call.images, call.model) = (Task::Upscale, vec![photo()], model.into());
        (call.size, call.seed) = (AskedSize::Free, None);
        call.images = vec![picture::picture((256, 256), "small", 1, 0).png];
        let (answer, _) = check(protocol, &call);
        let size = picture::size_of(&answer.pictures[0].bytes);
        assert!(size.is_some_and(|(width, _)| width >= 256), "{}: {size:?}", protocol.word());
    }
}

#[test]
fn seeds_that_the_provider_says() {
    for protocol in [Protocol::Ideogram, Protocol::IdeogramV1, Protocol::Stability, Protocol::A1111] {
        let (answer, _) = check(protocol, &drawing(protocol));
        assert_eq!(answer.pictures[0].seed, Some(7), "{}", protocol.word());
    }
}

#[test]
fn usage_that_the_provider_says() {
    let (answer, _) = check(Protocol::OpenAi, &drawing(Protocol::OpenAi));
    assert_eq!((answer.usage.output_tokens, answer.usage.image_tokens), (Some(272), Some(0)));
    let (answer, _) = check(Protocol::Gemini, &drawing(Protocol::Gemini));
    assert_eq!(answer.usage.output_tokens, Some(1120));
    let (answer, _) = check(Protocol::Ideogram, &drawing(Protocol::Ideogram));
    assert_eq!(answer.usage.micros, Some(60_000));
}

#[test]
fn quotes_bill_nothing() {
    let shop = Shop::open();
    let (endpoint, call) = (shop.endpoint(Protocol::Ideogram), drawing(Protocol::Ideogram));
    let quote = shop.runtime.block_on(shop.client.quote(by(Protocol::Ideogram), &endpoint, &call));
    let quote = quote.expect("an answer").expect("a quote");
    assert_eq!((quote.micros, quote.most, shop.billed()), (60_000, 60_000, 0));
    assert_eq!(shop.provider.last().asked("dry_run"), Some("true"));
    let endpoint = shop.endpoint(Protocol::OpenAi);
    let none = shop.runtime.block_on(shop.client.quote(by(Protocol::OpenAi), &endpoint, &drawing(Protocol::OpenAi)));
    assert_eq!((none.expect("an answer"), shop.provider.count()), (None, 1));
}

/// A form as the value that its schema speaks of: files are strings, numbers are numbers.
fn form_value(request: &Recorded) -> Value {
    let mut value = Map::new();
    for field in request.form() {
        let content = match (&field.file_name, field.name.as_str()) {
            (Some(_), _) => json!("(bytes)"),
            (None, "n" | "output_compression" | "partial_images") => {
                json!(field.text().parse::<u64>().expect("a number"))
            }
            _ => json!(field.text()),
        };
        if let Some(name) = field.name.strip_suffix("[]") {
            let list = value.entry(name).or_insert_with(|| json!([]));
            list.as_array_mut().expect("a list").push(content);
        } else {
            assert!(value.insert(field.name.clone(), content).is_none(), "{} comes twice", field.name);
        }
    }
    Value::Object(value)
}

/// What OpenAI's schemas say of the request of a call.
#[track_caller]
fn conforms(call: &Call) {
    let schemas = Schemas::read(include_str!("openai-images.json"));
    let (_, shop) = check(Protocol::OpenAi, call);
    let request = shop.provider.last();
    let wrong = match &request.body {
        Payload::Json(body) => schemas.check("CreateImageRequest", body, Unnamed::Refused),
        Payload::Form(_) => schemas.check("CreateImageEditRequest", &form_value(&request), Unnamed::Refused),
        other => vec![format!("{other:?} is no body")],
    };
    assert!(wrong.is_empty(), "{wrong:?} in {:?}", request.body);
    // What the schemas cannot say: fields of the older dialect, which this family refuses.
    for name in ["response_format", "style", "seed"] {
        assert_eq!(request.value(name), None, "{name}");
    }
}

#[test]
fn openai_accepts_our_requests() {
    let call = || drawing(Protocol::OpenAi);
    let size = |width, height| AskedSize::Pixels(Extent { width, height });
    for quality in ["low", "medium", "high", "auto"] {
        conforms(&Call { quality: quality.into(), ..call() });
    }
    conforms(&Call { size: size(1536, 864), ..call() });
    conforms(&Call { size: AskedSize::Free, ..call() });
    conforms(&Call { count: 3, ..call() });
    conforms(&Call { prompt: "狐 \"quoted\"\n\u{1F98A}".into(), ..call() });
    let edit = |images: usize, mask| Call { task: Task::Edit, images: vec![photo(); images], mask, ..call() };
    conforms(&edit(1, None));
    conforms(&edit(1, Some(photo())));
    conforms(&edit(3, None));
    conforms(&edit(16, Some(photo())));
}

#[test]
fn the_double_answers_as_the_schemas_say() {
    let schemas = Schemas::read(include_str!("openai-images.json"));
    let shop = Shop::open();
    let mut client = thumbforge_tests::rig::Client::new(shop.provider.port());
    let bearer = format!("Bearer {KEY}");
    let headers = [("content-type", "application/json"), ("authorization", bearer.as_str())];
    let mut ask = |body: Value| {
        let body = body.to_string();
        client.send("POST", "/v1/images/generations", &headers, body.as_bytes()).expect("an answer")
    };
    let good = ask(json!({"model": "gpt-image-2", "prompt": "fox", "size": "1024x1024"})).expect(200);
    assert_eq!(schemas.check("ImagesResponse", &good.json(), Unnamed::Refused), [""; 0]);
    let bad = ask(json!({"model": "gpt-image-2", "prompt": ""})).expect(400);
    assert_eq!(schemas.check("ErrorResponse", &bad.json(), Unnamed::Refused), [""; 0]);
}

#[test]
fn a_field_that_a_server_refuses_is_left_out_once() {
    use thumbforge_tests::provider::{Reply, Rule};
    let shop = Shop::open();
    let refusal = json!({"error": {"message": "Unknown parameter: 'response_format'.", "param": "response_format"}});
    shop.provider.rule(Rule::reply(Reply::json(400, &refusal)).times(1));
    shop.ask(Protocol::OpenAiCompatible, &drawing(Protocol::OpenAiCompatible)).expect("a picture");
    let requests = shop.provider.requests();
    let sent: Vec<bool> = requests.iter().map(|request| request.value("response_format").is_some()).collect();
    assert_eq!((sent, shop.billed()), (vec![true, false], 1));
    shop.provider.rule(Rule::reply(Reply::json(400, &refusal)));
    fault(shop.ask(Protocol::OpenAiCompatible, &drawing(Protocol::OpenAiCompatible)));
    assert_eq!(shop.provider.count(), 4, "it is asked again once at most");
}
