//! The provider itself: what it answers, how it misbehaves, and that its book is right.

use std::io::{Read, Write};
use std::net::TcpStream;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Act, Answer, Delivery, Gate, Options, Payload, Provider, Reply, Rule, picture};
use crate::rig::{Client, PATIENCE, wait_for};

fn fox() -> Value {
    json!({"model": "gpt-image-2", "prompt": "fox", "size": "64x32", "n": 1})
}

/// One request of every dialect is answered with `status`, is billed so many times, and is known by its prompt.
#[track_caller]
fn check(path: &str, body: Value, status: u16, billed: u32) -> Value {
    let provider = Provider::start();
    let answer = Client::new(provider.port()).post(path, &body).expect("an answer");
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(provider.book().pictures(), billed);
    if billed > 0 {
        assert_eq!(provider.book().charges[0].prompt, "fox");
    }
    serde_json::from_slice(&answer.body).unwrap_or(Value::Null)
}

#[test]
fn dialects_in_json() {
    let gemini = "/v1beta/models/gemini-3-pro-image:generateContent";
    let contents = json!({"contents": [{"parts": [{"text": "fox"}]}]});
    let ideogram = "/v2/image/generate/ideogram-3";
    let graph = |save: &str| {
        json!({
            "1": {"class_type": "CLIPTextEncode", "inputs": {"text": "blurry"}},
            "2": {"class_type": "CLIPTextEncode", "inputs": {"text": "fox"}},
            "3": {"class_type": "KSampler", "inputs": {"positive": ["2", 0], "negative": ["1", 0], "seed": 7}},
            "9": {"class_type": save, "inputs": {}},
        })
    };
    assert!(check("/v1/images/generations", fox(), 200, 1)["data"][0]["b64_json"].is_string());
    check("/v1/images/generations", json!({"model": "gpt-image-2", "prompt": "fox", "n": 3}), 200, 3);
    check("/v1/images/generations", json!({"model": "gpt-image-2", "prompt": "fox", "seed": 3}), 400, 0);
    check("/v1/images/generations", json!({"model": "gpt-image-2", "prompt": ""}), 400, 0);
    check("/v1/images/generations", json!({"model": "gpt-image-2", "prompt": "fox", "response_format": "url"}), 400, 0);
    let url = json!({"model": "dall-e-3", "prompt": "fox", "response_format": "url"});
    assert!(check("/v1/images/generations", url, 200, 1)["data"][0]["url"].is_string());
    assert_eq!(check(gemini, contents, 200, 1)["candidates"][0]["finishReason"], "STOP");
    check(gemini, json!({}), 400, 0);
    check(
        "/v1/projects/p/locations/l/publishers/google/models/m:predict",
        json!({"instances": [{"prompt": "fox"}]}),
        200,
        1,
    );
    assert_eq!(check(ideogram, json!({"prompt": "fox"}), 200, 1)["data"][0]["is_image_safe"], true);
    check(ideogram, json!({"prompt": "fox", "num_images": 9}), 400, 0);
    check(&format!("{ideogram}?dry_run=true"), json!({"prompt": "fox"}), 200, 0);
    check("/generate", json!({"image_request": {"prompt": "fox", "model": "V_2"}}), 200, 1);
    check("/v2beta/stable-image/generate/sd3", json!({"prompt": "fox"}), 400, 0);
    check("/sdapi/v1/txt2img", json!({"prompt": "fox", "width": 64, "height": 64}), 200, 1);
    check("/prompt", json!({"prompt": graph("SaveImage"), "prompt_id": "a"}), 200, 1);
    check("/prompt", json!({"prompt": graph("PreviewImage")}), 400, 0);
    check("/sdcpp/v1/img_gen", json!({"prompt": "fox"}), 202, 1);
    check("/sdcpp/v1/img_gen", json!({}), 400, 0);
    check("/post", json!({"prompt": "fox"}), 200, 1);
    check("/nowhere", json!({"prompt": "fox"}), 404, 0);
}

#[test]
fn calls_that_are_polled() {
    let provider = Provider::start();
    let mut client = Client::new(provider.port());
    let body = json!({"prompt": "fox", "aspect_ratio": "16x9", "async": true, "seed": 5});
    let id = client.post("/v2/image/generate/ideogram-3", &body).expect("an answer").json()["generation_id"].clone();
    let poll = format!("/v2/generations/{}", id.as_str().expect("a name"));
    assert_eq!(client.get(&poll).expect("an answer").json()["status"], "pending");
    let done = client.get(&poll).expect("an answer").json();
    let url = done["data"][0]["url"].as_str().expect("an address").to_owned();
    let (_, path) = url.split_once("/files/").expect("a result");
    let file = client.get(&format!("/files/{path}")).expect("an answer").expect(200);
    assert_eq!(picture::size_of(&file.body), Some((1360, 768)));
    let job = client.post("/sdcpp/v1/img_gen", &json!({"prompt": "owl"})).expect("an answer").json();
    let poll = job["poll_url"].as_str().expect("an address").to_owned();
    assert_eq!(client.get(&poll).expect("an answer").json()["status"], "generating");
    assert_eq!(client.get(&poll).expect("an answer").json()["status"], "completed");
    provider.forget();
    client.get(&poll).expect("an answer").expect(404);
    assert_eq!(provider.book().pictures(), 2, "polls bill nothing");
}

#[test]
fn forms_are_taken_apart() {
    let provider = Provider::start();
    let png = picture::picture((48, 24), "a", 1, 0).png;
    let mut body = b"--xx\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\nfox\r\n--xx\r\n".to_vec();
    body.extend_from_slice(b"Content-Disposition: form-data; name=\"image[]\"; filename=\"a.png\"\r\n");
    body.extend_from_slice(b"Content-Type: image/png\r\n\r\n");
    body.extend_from_slice(&png);
    body.extend_from_slice(b"\r\n--xx--\r\n");
    let headers = [("Content-Type", "multipart/form-data; boundary=xx")];
    let mut client = Client::new(provider.port());
    client.send("POST", "/v1/images/edits", &headers, &body).expect("an answer").expect(200);
    let request = provider.last();
    let image = request.field("image[]").expect("the field");
    assert_eq!((image.bytes.as_ref(), image.mime.as_deref()), (png.as_ref(), Some("image/png")));
    assert_eq!(request.value("prompt").as_deref(), Some("fox"));
    // A form that ends too early is no form.
    client.send("POST", "/v1/images/edits", &headers, &body[..body.len() - 6]).expect("an answer").expect(400);
    assert!(matches!(provider.last().body, Payload::Other(_)));
}

/// What a client sees of a request that is delivered in some way, and how often it was billed.
#[track_caller]
fn delivered(act: Act, seen: &str, billed: usize) {
    let provider = Provider::start();
    provider.rule(Rule::new(act));
    let body = fox().to_string();
    let mut stream = TcpStream::connect(("127.0.0.1", provider.port())).expect("a connection");
    let head = "POST /v1/images/generations HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    write!(stream, "{head}connection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len()).expect("a request");
    let mut answer = Vec::new();
    let end = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let how = match end {
        Err(err) if err.kind() == std::io::ErrorKind::ConnectionReset => "reset".to_owned(),
        Err(err) => err.to_string(),
        Ok(_) if answer.is_empty() => "closed".to_owned(),
        Ok(_) => {
            let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
            let asked: usize = head
                .split("content-length: ")
                .nth(1)
                .map_or(0, |rest| rest.lines().next().unwrap_or_default().parse().expect("a length"));
            let word = if asked > body.len() { "cut" } else { "whole" };
            format!("{word} {}", head.split_whitespace().nth(1).unwrap_or_default())
        }
    };
    assert_eq!(how, seen);
    assert_eq!(provider.book().charges.len(), billed);
}

#[test]
fn deliveries() {
    let own = |delivery| Act { answer: Answer::Own, delivery };
    let reply = Reply::json(504, &json!({}));
    delivered(own(Delivery::Whole), "whole 200", 1);
    delivered(own(Delivery::Reset), "reset", 1);
    delivered(own(Delivery::Closed), "closed", 1);
    delivered(own(Delivery::Cut(30)), "cut 200", 1);
    delivered(own(Delivery::Cut(0)), "cut 200", 1);
    delivered(own(Delivery::Raw(Bytes::from_static(b"SSH-2.0 hello"))), "whole hello", 1);
    delivered(Act { answer: Answer::Lost(reply.clone()), delivery: Delivery::Whole }, "whole 504", 1);
    delivered(Act { answer: Answer::Reply(reply.clone()), delivery: Delivery::Whole }, "whole 504", 0);
    delivered(Act { answer: Answer::Reply(reply), delivery: Delivery::Reset }, "reset", 0);
}

#[test]
fn answers_wait_at_the_gate() {
    let provider = Provider::start();
    let (held, pieces) = (Gate::new(), Gate::new());
    provider.rule(Rule::delivery(Delivery::Held(held.clone())).prompt("held"));
    provider.rule(Rule::delivery(Delivery::Pieces(pieces.clone(), 100)).prompt("pieces"));
    let port = provider.port();
    let ask = move |prompt: &'static str| {
        std::thread::spawn(move || {
            Client::new(port).post("/v1/images/generations", &json!({"model": "m", "prompt": prompt, "size": "8x8"}))
        })
    };
    let (first, second) = (ask("held"), ask("pieces"));
    wait_for("both to wait", PATIENCE, || (held.reached() == 1 && pieces.reached() == 1).then_some(()));
    assert!(!first.is_finished() && !second.is_finished());
    held.open(1);
    assert_eq!(first.join().expect("a thread").expect("an answer").status, 200);
    pieces.open(1);
    wait_for("the second piece", PATIENCE, || (pieces.reached() == 2).then_some(()));
    assert!(!second.is_finished());
    pieces.open_wide();
    assert!(second.join().expect("a thread").expect("an answer").json()["data"].is_array());
}

#[test]
fn rules_count() {
    let provider = Provider::start();
    let limit = Reply::json(429, &json!({"error": {"message": "Rate limit exceeded. Retry after 60s."}}));
    provider.rule(Rule::reply(limit.header("retry-after", "60")).path("/images/").after(2).times(2));
    let mut client = Client::new(provider.port());
    let mut statuses = Vec::new();
    for _ in 0..6 {
        let answer = client.post("/v1/images/generations", &fox()).expect("an answer");
        assert_eq!(answer.header("retry-after").is_some(), answer.status == 429);
        statuses.push(answer.status);
    }
    assert_eq!(statuses, [200, 200, 429, 429, 200, 200]);
    assert_eq!(provider.book().billed_twice(), [("fox", 4)]);
    assert_eq!(provider.count(), 6);
    assert!(provider.requests().iter().all(|request| request.connection == 1), "connections are kept");
}

#[test]
fn stopped_it_refuses_and_then_goes_on() {
    let mut provider = Provider::start();
    let (port, mut client) = (provider.port(), Client::new(provider.port()));
    client.post("/v1/images/generations", &fox()).expect("an answer").expect(200);
    provider.stop();
    assert!(client.post("/v1/images/generations", &fox()).is_err(), "the kept connection broke");
    let refused = TcpStream::connect(("127.0.0.1", port)).expect_err("nobody listens");
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    provider.resume();
    client.post("/v1/images/generations", &fox()).expect("an answer").expect(200);
    assert_eq!((provider.port(), provider.book().pictures()), (port, 2));
}

#[test]
fn keys_and_the_control() {
    let provider = Provider::with(Options { key: Some("k".into()), ..Options::plain() });
    let mut client = Client::new(provider.port());
    let mut ask = |name: &str, value: &str| {
        let headers = [("content-type", "application/json"), (name, value)];
        client.send("POST", "/v1/images/generations", &headers, fox().to_string().as_bytes()).expect("an answer").status
    };
    assert_eq!([ask("x", "k"), ask("authorization", "Bearer l"), ask("authorization", "Bearer k")], [401, 401, 200]);
    assert_eq!([ask("api-key", "k"), ask("x-goog-api-key", "k"), ask("authorization", "Basic aw==")], [200; 3]);
    client.post("/_/rules", &json!({"status": 503, "times": 1, "made": true})).expect("an answer").expect(200);
    client.post("/_/rules", &json!({"delivery": "slow"})).expect("an answer").expect(400);
    let headers = [("content-type", "application/json"), ("api-key", "k")];
    client
        .send("POST", "/v1/images/generations", &headers, fox().to_string().as_bytes())
        .expect("an answer")
        .expect(503);
    let book = client.get("/_/book").expect("an answer").json();
    assert_eq!((&book["pictures"], &book["twice"]["fox"], &book["requests"]), (&json!(5), &json!(5), &json!(7)));
}
