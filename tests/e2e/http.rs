//! The sidecar over HTTP: the calls that scripts make, word for word, and everything that must be refused.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use thumbforge_tests::rig::{Client, PATIENCE, Response, Rig, Sidecar, Signal, journal, wait_for};

use crate::BINARY;

/// A sidecar that lets built-in art stand in, as the case studies' machines have no models here.
fn sidecar() -> (Rig, Sidecar) {
    let rig = Rig::new(BINARY);
    let sidecar = rig.serve(&["--placeholder"]);
    (rig, sidecar)
}

/// Width and height of a PNG.
#[track_caller]
fn extent(bytes: &[u8]) -> (u32, u32) {
    let reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().expect("a PNG");
    (reader.info().width, reader.info().height)
}

/// The picture in a JSON answer.
#[track_caller]
fn picture(answer: &Value) -> Vec<u8> {
    BASE64.decode(answer["image"].as_str().expect("a picture")).expect("base64")
}

/// Refused with this status and code, in the shape that every client reads.
#[track_caller]
fn refused(answer: Response, status: u16, code: &str) -> Value {
    let answer = answer.expect(status);
    let error = answer.json()["error"].clone();
    assert_eq!(error["code"], code, "{error}");
    for name in ["message", "type", "param"] {
        assert!(error.get(name).is_some(), "no {name} in {error}");
    }
    error
}

#[test]
fn the_curl_call() {
    let (rig, sidecar) = sidecar();
    let body = r#"{"prompt":"studio photo of sword on table, cinematic lighting","width":512,"height":512}"#;
    let url = format!("http://localhost:{}/generate", sidecar.port);
    let curl = std::process::Command::new("curl")
        .args(["-s", "-X", "POST", &url, "-H", "Content-Type: application/json", "-d", body, "-o", "out.json"])
        .current_dir(rig.project())
        .status();
    let answer: Value = match curl {
        Ok(status) => {
            assert!(status.success(), "{status}");
            serde_json::from_slice(&rig.read("out.json")).expect("JSON")
        }
        // Without curl the same bytes go out by hand.
        Err(_) => sidecar.client().send("POST", "/generate", &[], body.as_bytes()).expect("an answer").json(),
    };
    assert_eq!((&answer["status"], &answer["width"], &answer["height"]), (&json!("done"), &json!(512), &json!(512)));
    assert_eq!(extent(&picture(&answer)), (512, 512));
    assert!(answer["model"].is_string() && answer["seed"].is_u64(), "{answer}");
    assert_eq!(answer["key"].as_str().map(str::len), Some(64));
    assert!(answer["meta"]["latency_ms"].is_u64() && answer["meta"]["cost_usd"].is_number(), "{}", answer["meta"]);
    assert!(answer["meta"]["dropped"].is_array());
}

#[test]
fn the_python_batcher_four_at_once() {
    let (rig, sidecar) = sidecar();
    let prompts: Vec<String> = (0..8).map(|at| format!("prompt {at} of prompts.txt")).collect();
    std::thread::scope(|scope| {
        for chunk in prompts.chunks(2) {
            let mut client = sidecar.client();
            scope.spawn(move || {
                for prompt in chunk {
                    let answer =
                        client.post("/generate", &json!({ "prompt": prompt, "w": 512, "h": 512 })).expect("an answer");
                    let answer = answer.expect(200).json();
                    assert_eq!(extent(&picture(&answer)), (512, 512));
                }
            });
        }
    });
    sidecar.end(Signal::Terminate).expect(0);
    assert_eq!(journal::figures(&rig.journal()).of("done"), 8);
}

#[test]
fn the_calls_that_name_a_model() {
    let (_rig, sidecar) = sidecar();
    let mut client = sidecar.client();
    let body = json!({ "prompt": "x", "model": "dalle3-hd", "seed": 42, "guidance": 7.5, "size": "1024x1024" });
    let answer = client.post("/generate", &body).expect("an answer").expect(200).json();
    assert_eq!((&answer["seed"], &answer["width"]), (&json!(42), &json!(1024)));
    assert_eq!(answer["placeholder_for"], "dall-e-3-hd");
    let dropped = answer["meta"]["dropped"].as_array().expect("a list");
    assert!(dropped.iter().any(|field| field == "guidance"), "{dropped:?}");

    let body = json!({ "model": "sd3.5-medium", "prompt": "x", "steps": 20 });
    let answer = client.post("/generate", &body).expect("an answer").expect(200).json();
    assert_eq!(answer["status"], "done");
    assert!(answer["meta"]["latency_ms"].is_u64());
}

#[test]
fn the_bench_of_four_models_ten_at_once() {
    let (_rig, sidecar) = sidecar();
    std::thread::scope(|scope| {
        for at in 0..10 {
            let mut client = sidecar.client();
            scope.spawn(move || {
                let model = ["dalle3-std", "sd3-large", "imagen-fast", "nano-banana"][at % 4];
                let answer = client.post("/generate", &json!({ "model": model, "prompt": "test" })).expect("an answer");
                assert_eq!(answer.expect(200).json()["status"], "done");
            });
        }
    });
}

#[test]
fn a_body_is_json_whatever_its_type_says() {
    let (_rig, sidecar) = sidecar();
    let mut client = sidecar.client();
    let body = br#"{"prompt":"test","w":64,"h":64}"#;
    for kind in ["application/x-www-form-urlencoded", "text/plain", "application/json; charset=utf-8"] {
        client.send("POST", "/generate", &[("Content-Type", kind)], body).expect("an answer").expect(200);
    }
    client.send("POST", "/generate", &[], body).expect("an answer").expect(200);
}

#[test]
fn settings_are_translated_for_each_model() {
    let (_rig, sidecar) = sidecar();
    let body = json!({ "sampler": "euler_a", "steps": 28, "guidance": 7.5 });
    let answer = sidecar.client().post("/sample", &body).expect("an answer").expect(200).json();
    let models = answer["models"].as_array().expect("models");
    let of = |id: &str| models.iter().find(|model| model["model"] == id).expect("a model").clone();
    assert_eq!(of("sd3.5-medium")["settings"]["steps"], 28, "{answer:#}");
    assert!(of("dall-e-3-hd")["dropped"].to_string().contains("steps"), "{answer:#}");
}

#[test]
fn calls_that_answer_the_picture_itself() {
    let (_rig, sidecar) = sidecar();
    let mut client = sidecar.client();
    let body = json!({ "prompt": "a castle", "width": 1024, "height": 1536 });
    let answer = client.post("/api/generate", &body).expect("an answer").expect(200);
    assert_eq!(answer.header("content-type"), Some("image/png"));
    assert_eq!(extent(&answer.body), (1024, 1536));
    for name in ["x-thumbforge-key", "x-thumbforge-seed", "x-thumbforge-model", "x-thumbforge-engine"] {
        assert!(answer.header(name).is_some(), "no {name}");
    }
    let body = json!({ "prompt": "a castle", "seed": 7, "size": "768x512" });
    let by_model = client.post("/models/sd3.5_medium", &body).expect("an answer").expect(200);
    assert_eq!(extent(&by_model.body), (768, 512));
    assert_eq!(by_model.header("x-thumbforge-placeholder-for"), Some("sd3.5-medium"));
    let default = client.post("/models/render", &body).expect("an answer").expect(200);
    assert_eq!(default.header("x-thumbforge-seed"), Some("7"));
    assert_eq!(default.header("x-thumbforge-placeholder-for"), None);
    refused(client.post("/models/nothing", &body).expect("an answer"), 400, "unknown_model");
}

#[test]
fn the_same_call_twice_draws_once() {
    let (rig, sidecar) = sidecar();
    let mut client = sidecar.client();
    let body = json!({ "prompt": "a shield", "w": 128, "h": 128 });
    let first = client.post("/generate", &body).expect("an answer").expect(200).json();
    let second = client.post("/generate", &body).expect("an answer").expect(200).json();
    assert_eq!((&first["image"], &first["key"]), (&second["image"], &second["key"]));
    assert_eq!((&first["meta"]["cached"], &second["meta"]["cached"]), (&json!(false), &json!(true)));
    let path = format!("/renders/{}.png", first["key"].as_str().expect("a key"));
    let render = client.get(&path).expect("an answer").expect(200);
    assert_eq!(render.body, picture(&first));
    let tag = render.header("etag").expect("a tag").to_owned();
    client.send("GET", &path, &[("If-None-Match", &tag)], b"").expect("an answer").expect(304);
    sidecar.end(Signal::Terminate).expect(0);
    assert_eq!(journal::figures(&rig.journal()).rendered, 1);
}

#[test]
fn a_model_that_is_not_here_is_503() {
    let rig = Rig::new(BINARY);
    let sidecar = rig.serve(&[]);
    let mut client = sidecar.client();
    let body = json!({ "prompt": "x", "model": "sd3.5-medium" });
    let error = refused(client.post("/generate", &body).expect("an answer"), 503, "model_unavailable");
    assert!(
        error["message"]
            .as_str()
            .is_some_and(|words| words.contains("sd3.5-medium") && words.contains("--placeholder")),
        "{error}"
    );
    // A call may allow it for itself.
    let body = json!({ "prompt": "x", "model": "sd3.5-medium", "placeholder": true, "w": 64, "h": 64 });
    let answer = client.post("/generate", &body).expect("an answer").expect(200).json();
    assert_eq!(answer["placeholder_for"], "sd3.5-medium");
}

#[test]
fn openais_calls() {
    let (_rig, sidecar) = sidecar();
    let mut client = sidecar.client();
    let body = json!({ "model": "dall-e-3", "prompt": "a fox", "n": 2, "size": "256x256", "quality": "standard" });
    let answer = client.post("/v1/images/generations", &body).expect("an answer").expect(200).json();
    let data = answer["data"].as_array().expect("data");
    assert_eq!(data.len(), 2);
    assert!(answer["created"].is_u64());
    let picture = BASE64.decode(data[0]["b64_json"].as_str().expect("a picture")).expect("base64");
    assert_eq!(extent(&picture), (256, 256));
    assert_ne!(data[0]["b64_json"], data[1]["b64_json"]);

    let body = json!({ "prompt": "a fox", "size": "256x256", "response_format": "url" });
    let answer = client.post("/v1/images/generations", &body).expect("an answer").expect(200).json();
    let url = answer["data"][0]["url"].as_str().expect("a link").to_owned();
    let path = url.split_once(&format!(":{}", sidecar.port)).expect("this server").1;
    assert_eq!(client.get(path).expect("an answer").expect(200).header("content-type"), Some("image/png"));

    let models = client.get("/v1/models").expect("an answer").expect(200).json();
    assert!(
        models["data"]
            .as_array()
            .is_some_and(|rows| rows.iter().any(|row| row["id"] == "builtin" && row["available"] == true))
    );
    let one = client.get("/v1/models/sd3.5_medium").expect("an answer").expect(200).json();
    assert_eq!(one["id"], "sd3.5-medium");
    refused(client.get("/v1/models/nothing").expect("an answer"), 404, "unknown_model");

    let body = json!({ "prompt": "a fox", "style": "vivid" });
    let error = refused(client.post("/v1/images/generations", &body).expect("an answer"), 400, "unsupported_field");
    assert_eq!(error["param"], "style");
    let error = refused(
        client.post("/v1/images/generations", &json!({ "prompt": "x", "n": 11 })).expect("an answer"),
        400,
        "invalid_request",
    );
    assert_eq!(error["param"], "n");
    let edit = client.post("/v1/images/edits", &json!({ "prompt": "x" })).expect("an answer");
    assert_eq!(refused(edit, 400, "invalid_request")["param"], "image");
}

#[test]
fn requests_that_are_wrong() {
    let (rig, sidecar) = sidecar();
    let mut client = sidecar.client();
    let mut ask = |body: &str| client.send("POST", "/generate", &[], body.as_bytes()).expect("an answer");
    refused(ask(""), 400, "invalid_request");
    refused(ask("prompt=sword"), 400, "invalid_request");
    refused(ask("[1,2]"), 400, "invalid_request");
    refused(ask("\u{0}\u{1}"), 400, "invalid_request");
    assert_eq!(refused(ask("{}"), 400, "invalid_request")["param"], "prompt");
    assert_eq!(refused(ask(r#"{"prompt":""}"#), 400, "invalid_request")["param"], "prompt");
    assert_eq!(refused(ask(r#"{"prompt":7}"#), 400, "invalid_request")["param"], "prompt");
    assert_eq!(refused(ask(r#"{"prompt":"x","w":0,"h":512}"#), 400, "invalid_request")["param"], "width");
    assert_eq!(refused(ask(r#"{"prompt":"x","w":512,"h":7}"#), 400, "invalid_request")["param"], "height");
    assert_eq!(refused(ask(r#"{"prompt":"x","size":"100000x100000"}"#), 400, "invalid_request")["param"], "size");
    assert_eq!(refused(ask(r#"{"prompt":"x","w":512}"#), 400, "invalid_request")["param"], "height");
    assert_eq!(refused(ask(r#"{"prompt":"x","seed":-2}"#), 400, "invalid_request")["param"], "seed");
    assert_eq!(refused(ask(r#"{"prompt":"x","seed":9007199254740993}"#), 400, "invalid_request")["param"], "seed");
    assert_eq!(refused(ask(r#"{"prompt":"x","model":"nothing"}"#), 400, "unknown_model")["param"], "model");
    refused(ask(&format!(r#"{{"prompt":"{}"}}"#, "x".repeat(100_000))), 400, "invalid_request");
    refused(ask(&format!(r#"{{"prompt":"{}"}}"#, "x".repeat(10 << 20))), 413, "too_large");
    let latin: Vec<u8> = b"{\"prompt\":\"\xe9p\xe9e\"}".to_vec();
    refused(client.send("POST", "/generate", &[], &latin).expect("an answer"), 400, "invalid_request");
    refused(client.get("/nothing").expect("an answer"), 404, "not_found");
    refused(client.get("/generate").expect("an answer"), 405, "invalid_request");
    refused(client.get("/jobs/99").expect("an answer"), 404, "not_found");
    refused(client.get("/jobs/sword").expect("an answer"), 404, "not_found");
    refused(client.get("/renders/../../../etc/passwd.png").expect("an answer"), 404, "not_found");
    refused(client.get(&format!("/renders/{}.png", "0".repeat(64))).expect("an answer"), 404, "not_found");
    client.get("/healthz").expect("an answer").expect(200);
    let ran = sidecar.end(Signal::Terminate).expect(0);
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    let jobs: u64 = journal::figures(&rig.journal()).jobs.values().sum();
    assert_eq!(jobs, 0, "a refused request reached the journal");
}

#[test]
fn a_foreign_host_or_origin_is_refused() {
    let (_rig, sidecar) = sidecar();
    let mut client = sidecar.client();
    let body = br#"{"prompt":"x"}"#;
    let port = sidecar.port;
    let mut ask = |headers: &[(&str, &str)]| client.send("POST", "/generate", headers, body).expect("an answer");
    refused(ask(&[("Host", "evil.example")]), 403, "forbidden");
    refused(ask(&[("Host", &format!("evil.example:{port}"))]), 403, "forbidden");
    refused(ask(&[("Origin", "https://evil.example")]), 403, "forbidden");
    refused(ask(&[("Origin", "null")]), 403, "forbidden");
    refused(ask(&[("X-Forwarded-For", "10.0.0.7")]), 403, "forbidden");
    ask(&[("Origin", &format!("http://localhost:{port}"))]).expect(200);
    ask(&[("Host", &format!("127.0.0.1:{port}"))]).expect(200);
    let mut client = sidecar.client();
    refused(client.send("GET", "/healthz", &[("Host", "evil.example")], b"").expect("an answer"), 403, "forbidden");
}

#[test]
fn other_machines_need_a_token() {
    let rig = Rig::new(BINARY);
    rig.run(&["serve", "--port", "0", "--listen", "0.0.0.0"]).expect(3).says(&["error[forbidden]", "token"]);
    let short = rig.write("token.txt", "short");
    let args = ["serve", "--port", "0", "--token-file", short.to_str().expect("a path")];
    rig.run(&args).expect(2).says(&["error[invalid_request]", "16 characters"]);
}

#[test]
fn a_job_can_be_followed_and_taken_back() {
    let (rig, sidecar) = sidecar();
    let mut events = Client::events(sidecar.port, "/events").expect("events");
    assert_eq!(events.next().map(|event| event.0).as_deref(), Some("ready"));
    let mut client = sidecar.client();
    let later = [("Prefer", "respond-async"), ("Content-Type", "application/json")];
    let body = br#"{"prompt":"a followed job","w":128,"h":128}"#;
    let receipt = client.send("POST", "/generate", &later, body).expect("an answer").expect(202);
    let job = receipt.json()["job"].as_u64().expect("a number");
    assert_eq!(receipt.header("location"), Some(format!("/jobs/{job}").as_str()));
    let mut states = Vec::new();
    for (name, data) in events.by_ref() {
        if name == "job" && data["job"] == job {
            states.push(data["state"].as_str().expect("a state").to_owned());
            if states.last().is_some_and(|state| state == "done") {
                break;
            }
        }
    }
    assert_eq!(states.last().map(String::as_str), Some("done"), "{states:?}");
    let view = client.get(&format!("/jobs/{job}")).expect("an answer").expect(200).json();
    assert_eq!(view["status"], "done");
    let picture = client.get(view["picture"].as_str().expect("a path")).expect("an answer").expect(200);
    assert_eq!(extent(&picture.body), (128, 128));

    // Behind a queue of large pictures there is time to take one back.
    for at in 0..20 {
        let body = json!({ "prompt": format!("large {at}"), "w": 2048, "h": 2048 }).to_string();
        client.send("POST", "/generate", &later, body.as_bytes()).expect("an answer").expect(202);
    }
    let receipt =
        client.send("POST", "/generate", &later, br#"{"prompt":"nobody wants this"}"#).expect("an answer").expect(202);
    let job = receipt.json()["job"].as_u64().expect("a number");
    let taken = client.send("DELETE", &format!("/jobs/{job}"), &[], b"").expect("an answer").expect(200).json();
    assert_eq!(taken["status"], "cancelled");
    let again = client.send("DELETE", &format!("/jobs/{job}"), &[], b"").expect("an answer").expect(200).json();
    assert_eq!(again["status"], "cancelled");
    let listed = client.get("/jobs?state=cancelled").expect("an answer").expect(200).json();
    assert_eq!(listed["jobs"][0]["id"], job);
    sidecar.end(Signal::Kill);
    assert_eq!(journal::state_of(&journal::open(&rig.journal()), job).as_deref(), Some("cancelled"));
}

#[test]
fn counters_count() {
    let (_rig, sidecar) = sidecar();
    let mut client = sidecar.client();
    let body = json!({ "prompt": "counted", "w": 64, "h": 64 });
    for _ in 0..3 {
        client.post("/generate", &body).expect("an answer").expect(200);
    }
    // The counter of drawings follows the answer by a moment.
    let text = wait_for("the counters", PATIENCE, || {
        let text = client.get("/metrics").expect("an answer").expect(200).text();
        text.contains("thumbforge_jobs_rendered_total 1\n").then_some(text)
    });
    for line in ["thumbforge_jobs_accepted_total 1\n", "thumbforge_jobs_cached_total 2\n", "# EOF"] {
        assert!(text.contains(line), "no {line:?} in {text}");
    }
}

#[test]
fn told_to_stop_it_finishes_what_it_answers_and_keeps_what_waits() {
    let (rig, mut sidecar) = sidecar();
    let mut client = sidecar.client();
    let later = [("Prefer", "respond-async")];
    let mut jobs = Vec::new();
    for at in 0..60 {
        let body = json!({ "prompt": format!("waiting {at}"), "w": 512, "h": 512 }).to_string();
        let receipt = client.send("POST", "/generate", &later, body.as_bytes()).expect("an answer").expect(202);
        jobs.push(receipt.json()["job"].as_u64().expect("a number"));
    }
    let port = sidecar.port;
    let (asked, answer) = std::sync::mpsc::sync_channel(1);
    let waiting = std::thread::spawn(move || {
        let mut client = Client::new(port);
        asked.send(()).expect("somebody listens");
        client.post("/generate", &json!({ "prompt": "answered at the end", "w": 64, "h": 64 }))
    });
    answer.recv().expect("the thread runs");
    sidecar.process().signal(Signal::Terminate);
    let ran = sidecar.end(Signal::Terminate).expect(0).says(&["stopped"]);
    // Answered with its picture, or told that the server stops; never cut off in the middle of an answer.
    match waiting.join().expect("a thread") {
        Ok(answer) => assert!(matches!(answer.status, 200 | 503), "{}", answer.text()),
        Err(err) => assert!(err.kind() != std::io::ErrorKind::InvalidData, "{err}; {}", ran.stderr),
    }
    let open = journal::open(&rig.journal());
    let kept = jobs.iter().filter(|job| journal::state_of(&open, **job).as_deref() == Some("queued")).count();
    drop(open);
    // The next start takes them up, each once.
    let mut sidecar = rig.serve(&["--placeholder"]);
    if kept > 0 {
        sidecar.process().line("taking up ");
    }
    wait_for("every job", PATIENCE, || {
        let figures = journal::figures(&rig.journal());
        (figures.of("done") >= 60 && figures.of("queued") == 0 && figures.attempts_open == 0).then_some(())
    });
    sidecar.end(Signal::Terminate).expect(0);
    let figures = journal::figures(&rig.journal());
    assert_eq!((figures.rendered_twice, figures.of("failed")), (0, 0), "{figures:?}");
}

#[test]
fn an_idle_sidecar_ends_when_it_may() {
    let rig = Rig::new(BINARY);
    let sidecar = rig.serve(&["--idle-exit", "1"]);
    let mut sidecar = sidecar;
    wait_for("the idle end", PATIENCE, || sidecar.process().has_ended().then_some(()));
    assert!(!fs::exists(rig.data().join("store/tmp/0")).unwrap_or(true));
}
