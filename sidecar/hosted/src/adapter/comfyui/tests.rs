//! What ComfyUI is asked, and what its answers mean.

use proptest::prelude::*;

use super::super::own::double::{body, call, endpoint, expect, reply, survives};
use super::*;

/// The name of the calls here.
const ID: &str = "0b9e7f6a-0000-4000-8000-000000000001";

/// A reply to the graph.
#[track_caller]
fn begun(status: u16, text: &str, head: &str, says: &str) {
    let reply = reply(status, text.to_owned());
    expect(ComfyUi.next(&endpoint(None), &call(Task::Generate), Stage::Begun, &reply), head, says);
}

/// A reply to a question about it.
#[track_caller]
fn polled(id: &str, polls: u32, status: u16, text: &str, head: &str, says: &str) {
    let (endpoint, reply, stage) = (endpoint(None), reply(status, text.to_owned()), Stage::Polled { id, polls });
    expect(ComfyUi.next(&endpoint, &call(Task::Generate), stage, &reply), head, says);
}

/// An entry of the history.
fn entry(outputs: Value, status: Value) -> String {
    json!({ID: {"prompt": [], "outputs": outputs, "status": status}}).to_string()
}

fn success(outputs: Value) -> String {
    entry(outputs, json!({"status_str": "success", "completed": true, "messages": []}))
}

fn error(name: &str, detail: Value) -> String {
    let messages = json!([["execution_start", {}], [name, detail]]);
    entry(json!({}), json!({"status_str": "error", "completed": false, "messages": messages}))
}

#[test]
fn answers_to_a_graph() {
    let missing = json!({
        "error": {"type": "prompt_outputs_failed_validation", "message": "Prompt outputs failed validation", "details": ""},
        "node_errors": {"1": {"errors": [{
            "type": "value_not_in_list", "message": "Value not in list", "details": "ckpt_name: 'x' not in ['y']",
            "extra_info": {"input_name": "ckpt_name"},
        }], "class_type": "CheckpointLoaderSimple"}},
    });
    let sampler = json!({
        "error": {"type": "prompt_outputs_failed_validation", "message": "Prompt outputs failed validation", "details": ""},
        "node_errors": {"6": {"errors": [{
            "type": "value_not_in_list", "message": "Value not in list", "details": "sampler_name: 'k' not in ['euler']",
            "extra_info": {"input_name": "sampler_name"},
        }]}},
    });
    begun(200, &format!(r#"{{"prompt_id":"{ID}","number":3,"node_errors":{{}}}}"#), &format!("poll {ID} 500"), "");
    begun(200, r#"{"prompt_id":"theirs","number":3}"#, "poll theirs 500", "");
    begun(200, r#"{"prompt_id":"../x"}"#, "empty", "prompt_id");
    begun(200, r#"{"prompt_id":""}"#, "empty", "prompt_id");
    begun(200, "ok", "empty", "ok");
    begun(400, &missing.to_string(), "retired Model No", "not in ['y']");
    begun(400, &sampler.to_string(), "bad_request Call No", "sampler_name: 'k'");
    begun(
        400,
        r#"{"error":{"type":"prompt_no_outputs","message":"Prompt has no outputs","details":""}}"#,
        "bad_request",
        "no outputs",
    );
    begun(400, r#"{"error":"no prompt","node_errors":[]}"#, "bad_request", "no prompt");
    begun(400, "null", "bad_request", "null");
    begun(401, "", "auth Account", "");
    begun(404, "", "bad_request Account", "");
    begun(413, "", "bad_request", "413");
    begun(429, "", "throttled Account No Some(5000)", "");
    begun(500, "", "transient Call No", "");
    begun(503, "", "transient", "");
    begun(502, "", &format!("ambiguous Call Unknown None id={ID}"), "");
    begun(504, "", &format!("ambiguous Call Unknown None id={ID}"), "");
}

#[test]
fn answers_to_questions() {
    let queue = |running: &str| {
        json!({"queue_running": [[0, running, {}, {}, []]], "queue_pending": [[1, "b", {}, {}, []], 7, []]}).to_string()
    };
    let (asks_queue, asks_last) = (format!("queue:{ID}"), format!("last:{ID}"));
    // Waiting: the queue is asked after some seconds, then seldom.
    polled(ID, 0, 200, "{}", &format!("poll {ID} 500"), "");
    polled(ID, 3, 200, "{}", &format!("poll queue:{ID} 0"), "");
    polled(ID, 1, 200, "{}", &format!("poll {ID} 750"), "");
    polled(ID, 15, 200, "{}", &format!("poll {ID} 3000"), "");
    polled(ID, 19, 200, "{}", &format!("poll queue:{ID} 0"), "");
    polled(&asks_queue, 1, 200, &queue(ID), &format!("poll {ID} 750"), "");
    polled("queue:b", 1, 200, &queue(ID), "poll b 750", "");
    polled(&asks_queue, 1, 200, &queue("other"), &format!("poll last:{ID} 0"), "");
    polled(&asks_queue, 1, 200, "{}", &format!("poll last:{ID} 0"), "");
    polled(&asks_last, 2, 200, "{}", &format!("transient Call No None id={ID}"), "restarted");
    polled(&asks_last, 2, 200, r#"{"other":{}}"#, "transient", "lost");
    // What breaks on the way to a free question is asked again.
    polled(ID, 2, 502, "", &format!("poll {ID} 1000"), "");
    polled(ID, 2, 429, "", &format!("poll {ID} 1000"), "");
    polled(&asks_last, 2, 500, "", &format!("poll last:{ID} 1000"), "");
    polled(ID, 2, 200, "<html>", &format!("poll {ID} 1000"), "");
    polled(ID, 2, 401, "", &format!("auth Account No None id={ID}"), "");
    polled(ID, 2, 404, "", "bad_request Account", "");
}

#[test]
fn endings() {
    let image = |name: &str, kind: &str| json!({"filename": name, "subfolder": "a b", "type": kind});
    let one = success(json!({"9": {"images": [image("f&1.png", "output")]}}));
    let url = "fetch http://127.0.0.1:8188/view?filename=f%261.png&subfolder=a+b&type=output";
    polled(ID, 3, 200, &one, url, "");
    polled(&format!("last:{ID}"), 3, 200, &one, url, "");
    let both = success(json!({"3": {"images": [image("t.png", "temp")]}, "9": {"images": [image("o.png", "output")]}}));
    polled(ID, 3, 200, &both, "fetch http://127.0.0.1:8188/view?filename=o.png", "");
    let preview = success(json!({"3": {"images": [image("t.png", "temp")]}}));
    polled(ID, 3, 200, &preview, "fetch http://127.0.0.1:8188/view?filename=t.png", "type=temp");
    let many = success(json!({"9": {"images": [image("1.png", "output"), image("2.png", "output")]}}));
    polled(ID, 3, 200, &many, "fetch http://127.0.0.1:8188/view?filename=1.png&subfolder=a+b&type=output", "");
    polled(ID, 3, 200, &success(json!({"9": {"text": ["x"]}})), &format!("empty Call No None id={ID}"), "SaveImage");
    polled(ID, 3, 200, &success(json!({"9": {"images": [{}, 7]}})), "empty", "");
    let long = success(json!({"9": {"images": [image(&"x".repeat(5000), "output")]}}));
    polled(ID, 3, 200, &long, "empty", "");
    polled(ID, 3, 200, &format!(r#"{{"{ID}":7}}"#), "empty", "");
    let oom = json!({
        "node_id": "6", "node_type": "KSampler", "exception_type": "torch.OutOfMemoryError",
        "exception_message": "Allocation on device ",
    });
    polled(ID, 3, 200, &error("execution_error", oom), "transient Call No", "node 6 (KSampler)");
    let bug = json!({"node_id": "2", "exception_type": "KeyError", "exception_message": "'clip_g'"});
    polled(ID, 3, 200, &error("execution_error", bug), "bad_request", "KeyError: 'clip_g'");
    polled(ID, 3, 200, &error("execution_interrupted", json!({})), "failed", "interrupted");
    polled(ID, 3, 200, &error("x", json!(7)), "bad_request", "");
}

#[test]
fn the_first_picture_alone_is_fetched() {
    let image = |name: &str| json!({"filename": name, "subfolder": "", "type": "output"});
    let text = success(json!({"9": {"images": [image("1.png"), image("2.png"), image("3.png")]}}));
    let mut call = call(Task::Generate);
    for count in [1, 2] {
        call.count = count;
        let stage = Stage::Polled { id: ID, polls: 1 };
        let Step::Fetch { urls, provider_id, .. } =
            ComfyUi.next(&endpoint(None), &call, stage, &reply(200, text.clone()))
        else {
            panic!("nothing to fetch")
        };
        assert_eq!((urls.len(), provider_id.as_deref()), (count as usize, Some(ID)));
    }
}

#[test]
fn the_built_in_graph_is_filled_in() {
    let asked = body(ComfyUi.begin(&endpoint(None), &call(Task::Generate)));
    assert_eq!(asked["prompt_id"], ID);
    let at = |node: &str, input: &str| asked["prompt"][node]["inputs"][input].clone();
    assert_eq!(at("1", "ckpt_name"), "sd3.5_medium.safetensors");
    assert_eq!((at("3", "text"), at("4", "text")), (json!("a fox"), json!("blurry")));
    assert_eq!((at("5", "width"), at("5", "height"), at("5", "batch_size")), (json!(512), json!(384), json!(1)));
    assert_eq!((at("6", "seed"), at("6", "steps"), at("6", "cfg")), (json!(7), json!(28), json!(4.5)));
    assert_eq!((at("6", "sampler_name"), at("6", "positive")), (json!("euler"), json!(["3", 0])));
    assert!(!asked.to_string().contains("\"{"), "a placeholder is left");
}

#[test]
fn checkpoints_are_files() {
    for (model, file) in [
        ("", "sd3.5_medium.safetensors"),
        ("sd3.5_large", "sd3.5_large.safetensors"),
        ("folder/x.ckpt", "folder/x.ckpt"),
        ("x.gguf", "x.gguf"),
    ] {
        let call = Call { model: model.into(), ..call(Task::Generate) };
        let asked = body(ComfyUi.begin(&endpoint(None), &call));
        assert_eq!(asked["prompt"]["1"]["inputs"]["ckpt_name"], file);
    }
}

#[test]
fn prompts_are_never_templates() {
    let mut endpoint = endpoint(None);
    let node = json!({"1": {"class_type": "X", "inputs": {
        "text": "photo of {prompt}, not {negative}; {unknown} {", "deep": {"list": ["{seed}", "seed {seed}"]}, "n": 3,
    }}});
    endpoint.options.insert("workflow".into(), node.to_string());
    let mut call = call(Task::Generate);
    call.prompt = "{negative} {seed} \"quoted\"".into();
    let asked = body(ComfyUi.begin(&endpoint, &call));
    let inputs = &asked["prompt"]["1"]["inputs"];
    assert_eq!(inputs["text"], "photo of {negative} {seed} \"quoted\", not blurry; {unknown} {");
    assert_eq!(inputs["deep"]["list"], json!([7, "seed 7"]));
    assert_eq!(inputs["n"], 3);
}

#[test]
fn workflows_that_are_none() {
    let wrong = |text: &str, says: &str| {
        let mut endpoint = endpoint(None);
        endpoint.options.insert("workflow".into(), text.into());
        let fault = ComfyUi.begin(&endpoint, &call(Task::Generate)).expect_err("no workflow");
        assert!(fault.message.contains(says) && fault.outcome == Outcome::BadRequest, "{fault:?}");
    };
    wrong("{", "no JSON");
    wrong("[]", "no object");
    wrong(r#"{"nodes":[],"links":[]}"#, "Export (API)");
    wrong(r#"{"1":{"inputs":{}}}"#, "class_type");
    wrong(&" ".repeat(WORKFLOW_BYTES_MAX + 1), "4 MiB");
}

#[test]
fn edits_are_refused_before_anything_is_sent() {
    for task in [Task::Edit, Task::Upscale] {
        let fault = ComfyUi.begin(&endpoint(None), &call(task)).expect_err("no edits");
        assert_eq!(fault.outcome, Outcome::BadRequest);
    }
}

#[test]
fn names_ask_different_questions() {
    let path = |id: &str| ComfyUi.poll(&endpoint(None), &call(Task::Generate), id).map(|request| request.path);
    assert_eq!(path(ID), Some(format!("/history/{ID}")));
    assert_eq!(path(&format!("last:{ID}")), Some(format!("/history/{ID}")));
    assert_eq!(path(&format!("queue:{ID}")).as_deref(), Some("/queue"));
    assert_eq!([path("../queue"), path(""), path("a?b"), path(&"x".repeat(200))], [None, None, None, None]);
    assert_eq!(ComfyUi.known_as(ID).as_deref(), Some(ID));
    let cancel = ComfyUi.cancel(&endpoint(None), &format!("queue:{ID}")).expect("a request");
    assert_eq!((cancel.path.as_str(), cancel.body), ("/queue", Body::Json(json!({"delete": [ID]}))));
}

proptest! {
    #[test]
    fn any_bytes_are_survived(status in 0u16..1000, bytes in proptest::collection::vec(any::<u8>(), 0..200), id in "\\PC{0,40}", polls: u32) {
        survives(&ComfyUi, Task::Generate, status, bytes, &id, polls);
    }

    #[test]
    fn any_history_is_survived(words in proptest::collection::vec("\\PC{0,12}", 6), number: i64) {
        let node = json!({"images": [{"filename": words[0], "type": words[1]}, number, null]});
        let messages = json!([[words[2], {"exception_message": words[3]}], [number], "execution_error"]);
        let status = json!({"status_str": if number % 2 == 0 { "error" } else { words[4].as_str() }, "messages": messages});
        let text = json!({"x": {"outputs": {"9": node, "8": number}, "status": status}}).to_string();
        survives(&ComfyUi, Task::Generate, 200, text.into_bytes(), "x", 1);
        let text = json!({"node_errors": {"1": {"errors": [number, {"type": words[5]}]}}, "error": {"message": number}});
        survives(&ComfyUi, Task::Generate, 400, text.to_string().into_bytes(), "x", 1);
    }
}
