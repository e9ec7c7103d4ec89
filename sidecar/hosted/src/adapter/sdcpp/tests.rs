//! What stable-diffusion.cpp is asked, and what its answers mean.

use proptest::prelude::*;

use super::super::own::double::{body, call, endpoint, expect, png, reply, survives};
use super::*;

/// A reply to a new job.
#[track_caller]
fn begun(status: u16, text: &str, head: &str, says: &str) {
    let reply = reply(status, text.to_owned());
    expect(SdCpp.next(&endpoint(None), &call(Task::Generate), Stage::Begun, &reply), head, says);
}

/// A reply to the question how it stands.
#[track_caller]
fn polled(status: u16, text: &str, head: &str, says: &str) {
    let (reply, stage) = (reply(status, text.to_owned()), Stage::Polled { id: "job_1", polls: 2 });
    expect(SdCpp.next(&endpoint(None), &call(Task::Generate), stage, &reply), head, says);
}

#[test]
fn answers_to_a_job() {
    begun(
        202,
        r#"{"id":"job_6a_00000001","status":"queued","poll_url":"/sdcpp/v1/jobs/x"}"#,
        "poll job_6a_00000001 500",
        "",
    );
    begun(200, r#"{"id":"job_1"}"#, "poll job_1 500", "");
    begun(202, r#"{"id":"../etc"}"#, "empty", "no id");
    begun(202, r#"{"id":7}"#, "empty", "no id");
    begun(202, "", "empty", "no id");
    begun(400, r#"{"error":"invalid generation parameters"}"#, "bad_request Call No", "invalid generation parameters");
    begun(400, r#"{"error":"invalid json","message":"line 1"}"#, "bad_request", "invalid json: line 1");
    begun(401, "", "auth Account", "");
    begun(404, "", "bad_request Account", "404");
    begun(429, r#"{"error":"job queue is full"}"#, "throttled Account No Some(5000)", "job queue is full");
    begun(500, r#"{"error":"server_error","message":"what"}"#, "transient Call No", "server_error: what");
    begun(502, "", "ambiguous Call Unknown", "");
    begun(503, "", "transient", "");
    begun(504, "", "ambiguous Call Unknown", "");
}

#[test]
fn answers_to_the_question_how_it_stands() {
    let failed =
        r#"{"status":"failed","error":{"code":"generation_failed","message":"generate_image returned no results"}}"#;
    polled(200, r#"{"status":"queued","queue_position":3}"#, "poll job_1 1000", "");
    polled(200, r#"{"status":"generating"}"#, "poll job_1 1000", "");
    polled(200, r#"{"status":"completed","result":{"images":[{"index":0,"b64_json":"AQ=="}]}}"#, "done None", "");
    polled(200, r#"{"status":"completed","result":{"images":[]}}"#, "empty Call No None id=job_1", "none");
    polled(200, r#"{"status":"completed","result":null}"#, "empty", "none");
    polled(200, r#"{"status":"completed","result":{"images":[{"b64_json":"*"}]}}"#, "empty", "none");
    polled(200, failed, "transient Call No None id=job_1", "generation_failed: generate_image");
    polled(200, r#"{"status":"failed"}"#, "transient", "");
    polled(200, r#"{"status":"cancelled","error":{"code":"cancelled"}}"#, "failed", "cancelled");
    polled(200, r#"{"status":"dreaming"}"#, "empty", "dreaming");
    polled(200, "<html>", "poll job_1 1000", "");
    polled(401, "", "auth Account No None id=job_1", "");
    polled(404, r#"{"error":"job not found"}"#, "transient Call No None id=job_1", "restarted");
    polled(410, r#"{"error":"job expired"}"#, "transient Call No None id=job_1", "thrown it away");
    polled(429, "", "poll job_1 1000", "");
    polled(500, "", "poll job_1 1000", "");
    polled(502, "", "poll job_1 1000", "");
}

#[test]
fn what_is_asked_of_a_drawing() {
    let asked = body(SdCpp.begin(&endpoint(None), &call(Task::Generate)));
    let expected = json!({
        "prompt": "a fox", "negative_prompt": "blurry", "width": 512, "height": 384, "seed": 7, "batch_count": 1,
        "output_format": "png",
        "sample_params": {"sample_steps": 28, "sample_method": "euler", "guidance": {"txt_cfg": 4.5}},
    });
    assert_eq!(asked, expected);
    let mut least = call(Task::Generate);
    (least.seed, least.steps, least.guidance, least.sampler) = (None, None, None, None);
    let asked = body(SdCpp.begin(&endpoint(None), &least));
    assert_eq!((&asked["seed"], asked.get("sample_params")), (&json!(-1), None));
}

#[test]
fn what_is_asked_of_an_edit() {
    let mut edit = call(Task::Edit);
    (edit.mask, edit.strength) = (Some(png(64, 32)), Some(0.4));
    edit.images.push(png(8, 8));
    let asked = body(SdCpp.begin(&endpoint(None), &edit));
    let base64 = |width, height| json!(read::base64(&png(width, height)));
    assert_eq!((&asked["init_image"], &asked["mask_image"]), (&base64(64, 32), &base64(64, 32)));
    assert_eq!((&asked["ref_images"], &asked["strength"]), (&json!([base64(8, 8)]), &json!(0.4)));
    edit.images.clear();
    assert!(SdCpp.begin(&endpoint(None), &edit).is_err());
}

#[test]
fn enlargements_are_answered_at_once() {
    let mut larger = call(Task::Upscale);
    let asked = SdCpp.begin(&endpoint(None), &larger).expect("a request");
    assert_eq!(asked.path, "/sdcpp/v1/upscale");
    assert_eq!(body(Ok(asked))["upscaler"], "sd3.5_medium");
    larger.model.clear();
    assert!(body(SdCpp.begin(&endpoint(None), &larger)).get("upscaler").is_none());
    let next = |status, text: &str| SdCpp.next(&endpoint(None), &larger, Stage::Begun, &reply(status, text.to_owned()));
    expect(next(200, r#"{"images":[{"index":0,"b64_json":"AQ=="}]}"#), "done None", "");
    expect(next(200, "{}"), "empty", "");
    expect(next(404, ""), "bad_request Model", "update it");
    expect(next(400, r#"{"error":"no compatible image upscaler called x"}"#), "bad_request Call", "called x");
}

#[test]
fn pictures_are_no_more_than_asked() {
    let mut call = call(Task::Generate);
    let text =
        r#"{"status":"completed","result":{"images":[{"b64_json":"AQ=="},{"b64_json":"Ag=="},{"b64_json":"Aw=="}]}}"#;
    for count in [1, 2] {
        call.count = count;
        let stage = Stage::Polled { id: "job_1", polls: 0 };
        let Step::Done(answer) = SdCpp.next(&endpoint(None), &call, stage, &reply(200, text)) else {
            panic!("no pictures")
        };
        assert_eq!((answer.pictures.len(), answer.provider_id.as_deref()), (count as usize, Some("job_1")));
    }
}

#[test]
fn names_stay_in_their_path() {
    let poll = |id: &str| SdCpp.poll(&endpoint(None), &call(Task::Generate), id).map(|request| request.path);
    assert_eq!(poll("job_1").as_deref(), Some("/sdcpp/v1/jobs/job_1"));
    assert_eq!([poll("a/b"), poll(".."), poll("a?b"), poll("")], [None, None, None, None]);
    let cancel = SdCpp.cancel(&endpoint(None), "job_1").expect("a request");
    assert_eq!((cancel.method, cancel.path.as_str()), (Method::Post, "/sdcpp/v1/jobs/job_1/cancel"));
    assert_eq!(SdCpp.known_as("0"), None);
}

proptest! {
    #[test]
    fn any_bytes_are_survived(status in 0u16..1000, bytes in proptest::collection::vec(any::<u8>(), 0..200), id in "\\PC{0,40}", polls: u32) {
        for task in [Task::Generate, Task::Upscale] {
            survives(&SdCpp, task, status, bytes.clone(), &id, polls);
        }
    }

    #[test]
    fn any_job_is_survived(state in "queued|generating|completed|failed|cancelled|\\PC{0,9}", words in "\\PC{0,20}", number: i64) {
        let result = json!({"images": [{"b64_json": words}, number, null]});
        let text = json!({"id": words, "status": state, "result": result, "error": {"message": words, "code": number}});
        survives(&SdCpp, Task::Generate, 200, text.to_string().into_bytes(), "x", 0);
    }
}
