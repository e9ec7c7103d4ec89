//! A whole sidecar behind a real socket, and requests as they stand on the wire.
//!
//! The client blocks the test's own thread; the sidecar runs on the runtime's other threads.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream as Stream};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;
use crate::app::App;
use crate::config::{Config, UserFile};

/// Longer than anything here takes; a test that needs it has failed.
const PATIENCE: Duration = Duration::from_secs(60);

struct Server {
    address: SocketAddr,
    activity: Activity,
    app: App,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), Failure>>,
    _folder: tempfile::TempDir,
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.head))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

impl Server {
    async fn start(placeholder: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let app = App::start(Config::new(folder.path(), &UserFile::default())).await.unwrap();
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let bound = bind(listen).await.unwrap();
        let (address, activity) = (bound.local_addr().unwrap(), bound.activity());
        let serving = Serving { listen, token: None, allowed_hosts: Vec::new(), placeholder };
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async move { drop(stopped.await) };
        let task = tokio::spawn(serve(bound, app.intake().clone(), serving, shutdown));
        Self { address, activity, app, stop, task, _folder: folder }
    }

    /// Sends a request and reads its answer.
    fn call(&self, method: &str, path: &str, extra: &str, body: &[u8]) -> Answer {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost:8080\r\nConnection: close\r\nContent-Length: {}\r\n{extra}\r\n",
            body.len()
        );
        self.raw(&[head.as_bytes(), body].concat())
    }

    fn connect(&self) -> Stream {
        let stream = Stream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn raw(&self, request: &[u8]) -> Answer {
        let mut stream = self.connect();
        stream.write_all(request).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
        let head = String::from_utf8(answer[..end].to_vec()).unwrap();
        Answer { status: head[9..12].parse().unwrap(), head, body: answer[end + 4..].to_vec() }
    }

    fn post(&self, path: &str, body: &str) -> Answer {
        self.call("POST", path, "", body.as_bytes())
    }

    fn get(&self, path: &str) -> Answer {
        self.call("GET", path, "", b"")
    }

    async fn stop(self) {
        let _ = self.stop.send(());
        tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap().unwrap();
        self.app.drain().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_gets_its_picture_and_the_second_time_from_the_store() {
    let server = Server::start(false).await;
    let body = r#"{"prompt":"studio photo of sword on table","width":64,"height":48,"steps":20,"cheese":true}"#;
    // `curl -d` without a header says that this is a form.
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let first = server.call("POST", "/generate", form, body.as_bytes());
    let answer = first.json();
    assert_eq!(first.status, 200, "{answer}");
    assert_eq!(answer["status"], "done");
    assert_eq!(answer["model"], "builtin");
    assert_eq!((&answer["width"], &answer["height"]), (&json!(64), &json!(48)));
    assert!(answer["seed"].is_u64() && answer["image"].is_string() && answer["meta"]["latency_ms"].is_u64());
    assert_eq!(answer["meta"]["cost_usd"], 0.0);
    assert_eq!(answer["meta"]["dropped"], json!(["cheese", "steps"]));
    assert_eq!(answer["meta"]["cached"], false);
    let job = answer["job"].as_u64().unwrap();
    assert_eq!(first.header("x-thumbforge-job"), Some(job.to_string().as_str()));

    let second = server.post("/generate", body).json();
    assert_eq!(second["meta"]["cached"], true);
    assert_eq!(
        (&second["key"], &second["seed"], &second["image"]),
        (&answer["key"], &answer["seed"], &answer["image"])
    );

    // The job, its picture, and that a key never changes.
    let view = server.get(&format!("/jobs/{job}")).json();
    assert_eq!((&view["state"], &view["realised_key"]), (&json!("done"), &answer["key"]));
    let place = view["picture"].as_str().unwrap();
    let picture = server.get(place);
    assert_eq!((picture.status, picture.header("content-type")), (200, Some("image/png")));
    assert!(picture.header("cache-control").unwrap().contains("immutable"));
    let tag = picture.header("etag").unwrap().to_owned();
    let again = server.call("GET", place, &format!("If-None-Match: W/\"x\", {tag}\r\n"), b"");
    assert_eq!((again.status, again.body.len()), (304, 0));
    let listed = server.get("/jobs?state=done&limit=5").json();
    assert!(listed["jobs"].as_array().unwrap().iter().any(|row| row["id"] == job));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn image_calls_answer_the_bytes_and_headers() {
    let server = Server::start(true).await;
    let body = r#"{"prompt":"p","seed":1234,"size":"64x48"}"#;
    for path in ["/api/generate", "/models/render", "/models/dalle-ultra", "/models/DALL%C2%B7E%203%20HD"] {
        let answer = server.post(path, body);
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("image/png")), "{path}");
        assert_eq!(answer.header("x-thumbforge-seed"), Some("1234"));
        assert_eq!(answer.header("x-thumbforge-engine"), Some("builtin"));
        assert_eq!(answer.header("x-thumbforge-key").unwrap().len(), 64);
        let stands_in = (path.contains("dalle") || path.contains("DALL")).then_some("dall-e-3-hd");
        assert_eq!(answer.header("x-thumbforge-placeholder-for"), stands_in, "{path}");
    }
    assert_eq!(server.post("/models/no-such-thing", body).json()["error"]["code"], "unknown_model");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_now_and_the_picture_by_event() {
    let server = Server::start(false).await;
    let mut listener = server.connect();
    listener.write_all(b"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").unwrap();
    let mut heard = String::new();
    hear(&mut listener, &mut heard, "event: ready");
    assert!(heard.contains("text/event-stream"));
    assert_eq!(server.activity.under_way(), 1, "whoever listens keeps the sidecar awake");

    let prefer = "Prefer: respond-async\r\n";
    let receipt = server.call("POST", "/generate", prefer, br#"{"prompt":"p","size":"64x48"}"#);
    let job = receipt.json()["job"].as_u64().unwrap();
    assert_eq!(receipt.status, 202);
    assert_eq!(receipt.header("location"), Some(format!("/jobs/{job}").as_str()));
    hear(&mut listener, &mut heard, r#""state":"done"}"#);
    assert!(heard.contains("event: job\ndata: {") && heard.contains("\"realised_key\":\""), "{heard}");
    assert!(heard.contains(&format!("\"job\":{job},")), "{heard}");
    assert_eq!(server.call("DELETE", &format!("/jobs/{job}"), "", b"").json()["state"], "done");

    // A server that stops ends the stream instead of waiting for it.
    let activity = server.activity.clone();
    server.stop().await;
    let mut rest = Vec::new();
    listener.read_to_end(&mut rest).unwrap();
    assert!(activity.idle().is_some());
}

/// Reads until `word` was heard.
fn hear(stream: &mut Stream, heard: &mut String, word: &str) {
    let began = Instant::now();
    while !heard.contains(word) {
        // Reading alone would never time out: a silent stream is kept alive.
        assert!(began.elapsed() < PATIENCE, "{word:?} never came: {heard}");
        let mut chunk = [0; 4096];
        let size = stream.read(&mut chunk).expect(heard);
        assert!(size > 0, "the stream ended before {word:?}: {heard}");
        heard.push_str(&String::from_utf8_lossy(&chunk[..size]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openai_clients() {
    let server = Server::start(false).await;
    let key = "Authorization: Bearer sk-unused\r\n";
    let body = br#"{"prompt":"p","n":3,"size":"64x48","model":"builtin","quality":"auto","response_format":"url","user":"ada"}"#;
    let answer = server.call("POST", "/v1/images/generations", key, body).json();
    assert!(answer["created"].as_u64().unwrap() > 1_600_000_000, "{answer}");
    let data = answer["data"].as_array().unwrap();
    let seeds: std::collections::BTreeSet<u64> =
        data.iter().map(|row| row["thumbforge"]["seed"].as_u64().unwrap()).collect();
    assert_eq!((data.len(), seeds.len()), (3, 3));
    let url = data[0]["url"].as_str().unwrap().strip_prefix("http://localhost:8080").unwrap();
    assert_eq!(server.get(url).status, 200);

    let plain = server.post("/v1/images/generations", r#"{"prompt":"p","size":"64x48"}"#).json();
    assert!(plain["data"][0]["b64_json"].is_string());
    let models = server.get("/v1/models").json();
    let available = |name: &str| {
        let rows = models["data"].as_array().unwrap();
        rows.iter().find(|row| row["id"] == name).unwrap()["available"].clone()
    };
    assert_eq!((available("builtin"), available("imagen-4")), (json!(true), json!(false)));
    assert_eq!(server.get("/v1/models/placeholder").json()["id"], "builtin");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_are_translated_for_each_model() {
    let server = Server::start(false).await;
    let answer = server.post("/sample", r#"{"sampler":"euler_a","steps":28,"guidance":7.5}"#).json();
    let rows = answer["models"].as_array().unwrap();
    let row = |name: &str| rows.iter().find(|row| row["model"] == name).unwrap();
    assert_eq!(
        row("sd3.5-medium")["settings"],
        json!({ "sampler": "Euler ancestral (flow)", "steps": 28, "guidance": 7.5 })
    );
    assert_eq!(row("builtin")["settings"], json!({}));
    assert_eq!(row("builtin")["available"], true);
    assert_eq!(server.post("/sample", r#"{"sampler":"nope"}"#).json()["error"]["param"], "sampler");
    server.stop().await;
}

/// A picture as JSON carries it.
fn data_url() -> String {
    let mut png = Vec::new();
    let picture = image::RgbImage::from_pixel(32, 16, image::Rgb([200, 100, 50]));
    picture.write_to(&mut std::io::Cursor::new(&mut png), image::ImageFormat::Png).unwrap();
    format!("data:image/png;base64,{}", base64::Engine::encode(&base64::engine::general_purpose::STANDARD, png))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_has_an_event_for_each_picture_and_ends() {
    let server = Server::start(false).await;
    let body = r#"{"prompt":"p","size":"64x48","n":2,"stream":true}"#;
    let plain = r#"{"prompt":"p","size":"64x48","n":2}"#;
    let streamed = server.post("/v1/images/generations", body);
    assert!(streamed.header("content-type").unwrap().starts_with("text/event-stream"));
    let text = String::from_utf8(streamed.body).unwrap();
    let events: Vec<Value> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    assert_eq!(text.matches("event: image_generation.completed\n").count(), 2, "{text}");
    let whole = server.post("/v1/images/generations", plain).json();
    for (nth, event) in events.iter().enumerate() {
        assert_eq!(event["type"], "image_generation.completed");
        assert_eq!(event["b64_json"], whole["data"][nth]["b64_json"]);
        assert_eq!((&event["size"], &event["output_format"]), (&json!("64x48"), &json!("png")));
        assert!(event["created_at"].as_u64().unwrap() > 1_600_000_000 && event["usage"].is_null());
    }
    // What fails once the head is sent is told as an event.
    let failing = r#"{"prompt":"p","size":"64x48","composition":"no such thing","stream":true}"#;
    let text = String::from_utf8(server.post("/v1/images/generations", failing).body).unwrap();
    assert!(text.contains("event: error\ndata: {\"error\":{\"code\":"), "{text}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_hears_of_the_job_of_its_request_and_a_new_request_does_not() {
    let server = Server::start(false).await;
    let path = "/v1/images/generations";
    // Drawing this fails, so no picture in the store answers for the job.
    let body = br#"{"prompt":"p","size":"64x48","composition":"no such thing"}"#;
    let call = |header: &str, body: &[u8]| {
        let answer = server.call("POST", path, header, body);
        assert_eq!(answer.header("x-should-retry"), Some("false"), "{}", answer.head);
        answer.header("x-thumbforge-job").map(str::to_owned)
    };
    let again = "x-stainless-retry-count: 1\r\n";
    let first = call("x-stainless-retry-count: 0\r\n", body);
    assert!(first.is_some());
    assert_eq!(call(again, body), first, "the retry of a request is told of its job");
    let reordered = br#"{"size":"64x48","composition":"no such thing","prompt":"p"}"#;
    assert_eq!(call(again, reordered), first);
    let second = call("", body);
    assert_ne!(second, first, "who asks anew gets a new job");
    assert_eq!(call(again, body), second, "and its retries belong to that one");
    let other = br#"{"prompt":"q","size":"64x48","composition":"no such thing"}"#;
    assert!(call(again, other).is_some_and(|job| Some(job) != second), "a retry of what never came in is let in");
    let drawn = server.call("POST", path, "", br#"{"prompt":"p","size":"64x48"}"#);
    let repeated = server.call("POST", path, again, br#"{"prompt":"p","size":"64x48"}"#);
    let job = drawn.header("x-thumbforge-job").unwrap();
    assert_eq!((repeated.status, repeated.header("x-thumbforge-job")), (200, Some(job)));
    let done = server.post(&format!("/jobs/{job}/resend"), "");
    assert_eq!((done.status, done.json()["error"]["code"].clone()), (400, json!("invalid_request")));

    let named = "Idempotency-Key: abc\r\n";
    let third = call(named, body);
    assert!(third != second && call(named, body) == third);
    let misused = server.call("POST", path, named, other);
    assert_eq!((misused.status, misused.json()["error"]["code"].clone()), (422, json!("invalid_request")));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_failure_has_the_one_shape() {
    let server = Server::start(false).await;
    let large = format!("{{\"prompt\":\"{}\"}}", "x".repeat(3 << 20));
    let edit = json!({ "prompt": "p", "images": [{ "image_url": data_url() }] }).to_string();
    let upscale = json!({ "operation": "upscale", "image": data_url() }).to_string();
    for (method, path, extra, body, status, code, param) in [
        ("GET", "/", "", "", 404, "not_found", None),
        ("GET", "/generate", "", "", 405, "invalid_request", None),
        ("POST", "/generate", "", "", 400, "invalid_request", None),
        ("POST", "/generate", "", "{\"prompt\":", 400, "invalid_request", None),
        ("POST", "/generate", "", "{}", 400, "invalid_request", Some("prompt")),
        ("POST", "/generate", "", r#"{"prompt":"p","w":7,"h":512}"#, 400, "invalid_request", Some("width")),
        ("POST", "/generate", "", r#"{"prompt":"p","model":"zz"}"#, 400, "unknown_model", Some("model")),
        ("POST", "/generate", "", r#"{"prompt":"p","model":"sd3-large"}"#, 503, "model_unavailable", None),
        ("POST", "/generate", "", large.as_str(), 413, "too_large", None),
        ("POST", "/generate", "Origin: http://evil.example\r\n", r#"{"prompt":"p"}"#, 403, "forbidden", None),
        (
            "POST",
            "/v1/images/generations",
            "",
            r#"{"prompt":"p","style":"vivid"}"#,
            400,
            "unsupported_field",
            Some("style"),
        ),
        ("POST", "/v1/images/generations", "", r#"{"prompt":"p","n":11}"#, 400, "invalid_request", Some("n")),
        ("POST", "/v1/images/generations", "", r#"{"prompt":"p","steps":4}"#, 400, "unsupported_field", None),
        ("POST", "/v1/images/edits", "", "--boundary", 400, "invalid_request", None),
        ("POST", "/v1/images/edits", "", r#"{"prompt":"p"}"#, 400, "invalid_request", Some("image")),
        ("POST", "/v1/images/edits", "", edit.as_str(), 400, "unsupported_field", Some("image")),
        ("POST", "/v1/images/edits", "", upscale.as_str(), 400, "invalid_request", Some("size")),
        ("POST", "/v1/images/generations", "", r#"{"prompt":"p","size":"big"}"#, 400, "invalid_request", Some("size")),
        (
            "POST",
            "/v1/images/generations",
            "",
            r#"{"prompt":"p","stream":true,"partial_images":2}"#,
            400,
            "unsupported_field",
            Some("partial_images"),
        ),
        ("GET", "/v1/models/zz", "", "", 404, "unknown_model", Some("model")),
        ("GET", "/jobs/999", "", "", 404, "not_found", None),
        ("DELETE", "/jobs/999", "", "", 404, "not_found", None),
        ("POST", "/jobs/999/resend", "", "", 404, "not_found", None),
        ("GET", "/jobs/x", "", "", 404, "not_found", None),
        ("GET", "/jobs/%ff", "", "", 404, "not_found", None),
        ("POST", "/generate?async=1", "", r#"{"prompt":"p","model":"sd3-large"}"#, 503, "model_unavailable", None),
        ("GET", "/jobs?state=lost", "", "", 400, "invalid_request", Some("state")),
        ("GET", "/jobs?limit=-1", "", "", 400, "invalid_request", None),
        ("GET", "/jobs?limit=1000000", "", "", 400, "invalid_request", Some("limit")),
        ("GET", "/renders/..%2f..%2fjournal.sqlite", "", "", 404, "not_found", None),
        ("GET", "/renders/abc.png", "", "", 404, "not_found", None),
    ] {
        let answer = server.call(method, path, extra, body.as_bytes());
        let error = answer.json()["error"].clone();
        let name = format!("{method} {path} {:.60}: {error}", body);
        assert_eq!((answer.status, &error["code"], &error["param"]), (status, &json!(code), &json!(param)), "{name}");
        assert!(error["message"].as_str().unwrap().starts_with("failed to "), "{name}");
        assert!(error["type"].is_string(), "{name}");
        assert_eq!(error.as_object().unwrap().len(), 4, "{name}");
        assert!(answer.header("x-should-retry") == Some("false") && answer.header("x-request-id").is_some(), "{name}");
    }
    let wrong = server.call("GET", "/generate", "", b"");
    assert!(wrong.header("allow").unwrap().contains("POST"));
    let rebound = server.raw(b"GET /jobs HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
    assert_eq!((rebound.status, rebound.json()["error"]["code"].clone()), (403, json!("forbidden")));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_and_counters() {
    let server = Server::start(false).await;
    let health = server.get("/healthz");
    assert_eq!((health.status, health.json()["status"].clone()), (200, json!("ok")));
    let metrics = server.get("/metrics");
    assert!(metrics.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    assert!(String::from_utf8(metrics.body).unwrap().contains("thumbforge_jobs_accepted_total"));
    server.app.intake().close();
    assert_eq!(server.get("/healthz").status, 503);
    let refused = server.post("/generate", r#"{"prompt":"p"}"#);
    assert_eq!((refused.status, refused.json()["error"]["code"].clone()), (503, json!("shutting_down")));
    assert!(refused.header("retry-after").is_some());
    server.stop().await;
}

#[tokio::test]
async fn a_port_is_taken_once() {
    let bound = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
    let failure = bind(bound.local_addr().unwrap()).await.err().unwrap();
    assert_eq!(failure.code, ErrorCode::PortTaken);
    assert!(failure.message.contains("--port"), "{}", failure.message);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_machines_are_not_served_without_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let app = App::start(Config::new(folder.path(), &UserFile::default())).await.unwrap();
    let listen = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let serving = Serving { listen, token: None, allowed_hosts: Vec::new(), placeholder: false };
    let served = serve(bind(listen).await.unwrap(), app.intake().clone(), serving, std::future::pending()).await;
    assert_eq!(served.unwrap_err().code, ErrorCode::Forbidden);
    app.drain().await;
}
