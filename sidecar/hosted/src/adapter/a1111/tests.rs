//! What the web UI is asked, and what its answers mean.

use proptest::prelude::*;
use serde_json::json;

use super::super::own::double::{body, call, endpoint, expect, png, reply, survives};
use super::*;
use crate::call::AskedSize;

/// A reply to a call, and what follows from it.
#[track_caller]
fn check(status: u16, text: &str, head: &str, says: &str) {
    expect(
        A1111.next(&endpoint(None), &call(Task::Generate), Stage::Begun, &reply(status, text.to_owned())),
        head,
        says,
    );
}

/// A good reply with this `info` to a call for so many pictures.
#[track_caller]
fn drew(count: u32, images: usize, info: &str, expected: &str) {
    let mut call = call(Task::Generate);
    call.count = count;
    let images: Vec<_> = (0..images).map(|at| read::base64(&[at as u8 + 1])).collect();
    let text = json!({"images": images, "parameters": {}, "info": info}).to_string();
    expect(A1111.next(&endpoint(None), &call, Stage::Begun, &reply(200, text)), expected, "");
}

#[test]
fn good_answers() {
    drew(1, 1, r#"{"seed":7,"all_seeds":[7]}"#, "done Some(7)");
    drew(1, 1, "", "done None");
    drew(1, 1, "not json", "done None");
    drew(1, 1, r#"{"seed":-1}"#, "done None");
    drew(2, 2, r#"{"seed":7,"all_seeds":[7,8]}"#, "done Some(7) Some(8)");
    drew(2, 2, r#"{"seed":7}"#, "done Some(7) None");
    drew(2, 3, r#"{"all_seeds":[7,8],"index_of_first_image":1}"#, "done Some(7) Some(8)");
    drew(1, 2, r#"{"all_seeds":[7],"index_of_first_image":0}"#, "done Some(7)");
    drew(1, 1, r#"{"seed":7,"sd_model_name":"sd3.5_medium"}"#, "done Some(7)");
    drew(1, 1, r#"{"seed":7,"sd_model_name":"SD/sd3.5_Medium.safetensors [abc]"}"#, "done Some(7)");
    drew(
        1,
        1,
        r#"{"seed":7,"sd_model_name":"dreamshaper"}"#,
        "bad_request Model No None id=: draw with \"sd3.5_medium\"",
    );
    drew(1, 0, "", "empty Call No");
    drew(1, 1, r#"{"index_of_first_image":9}"#, "empty Call No");
}

#[test]
fn a_sheet_is_left_out() {
    let mut call = call(Task::Generate);
    call.count = 2;
    let text = json!({"images": ["AQ==", "Ag==", "Aw=="], "info": ""}).to_string();
    let Step::Done(answer) = A1111.next(&endpoint(None), &call, Stage::Begun, &reply(200, text)) else {
        panic!("no pictures")
    };
    let bytes: Vec<&[u8]> = answer.pictures.iter().map(|picture| picture.bytes.as_ref()).collect();
    assert_eq!(bytes, [[2], [3]]);
}

#[test]
fn bad_answers() {
    check(200, "<html>login</html>", "empty Call No", "login");
    check(200, "", "empty", "no JSON");
    check(200, "[]", "empty", "none");
    check(200, r#"{"images":"x"}"#, "empty", "none");
    check(200, r#"{"images":["***"]}"#, "empty", "none");
    check(200, r#"{"images":[null,{}]}"#, "empty", "none");
    check(301, "", "empty", "301");
    check(400, "no", "bad_request Call", "no");
    check(401, r#"{"detail":"Incorrect username or password"}"#, "auth Account No", "Incorrect username");
    check(403, "", "auth Account", "403");
    check(404, r#"{"detail":"Not Found"}"#, "bad_request Account", "--api");
    check(404, r#"{"detail":"Sampler not found"}"#, "bad_request Call", "Sampler not found");
    check(413, "", "bad_request", "413");
    check(
        422,
        r#"{"detail":[{"loc":["body","steps"],"msg":"not an int","type":"int"}]}"#,
        "bad_request",
        "steps: not an int",
    );
    check(422, r#"{"detail":[{"loc":[],"msg":"x"},{"msg":1},7]}"#, "bad_request", "x");
    check(429, "", "throttled Account No Some(5000)", "");
    check(429, "Retry after 60s.", "throttled Account No Some(60000)", "");
    check(
        500,
        r#"{"error":"OutOfMemoryError","detail":"","body":"","errors":"CUDA out of memory"}"#,
        "transient",
        "CUDA",
    );
    check(500, r#"{"detail":"Invalid encoded image"}"#, "bad_request", "Invalid encoded image");
    check(500, "Internal Server Error", "transient", "Internal");
    check(502, "", "ambiguous Call Unknown", "502");
    check(503, "", "transient Call No", "503");
    check(504, "<html>504 Gateway Time-out</html>", "ambiguous Call Unknown", "Gateway");
}

#[test]
fn what_is_asked_of_a_drawing() {
    let asked = body(A1111.begin(&endpoint(None), &call(Task::Generate)));
    let expected = json!({
        "prompt": "a fox", "negative_prompt": "blurry", "width": 512, "height": 384, "seed": 7, "batch_size": 1,
        "n_iter": 1, "send_images": true, "save_images": false, "do_not_save_grid": true, "steps": 28, "cfg_scale": 4.5,
        "sampler_name": "euler", "override_settings": {"sd_model_checkpoint": "sd3.5_medium"},
        "override_settings_restore_afterwards": false,
    });
    assert_eq!(asked, expected);
    let mut least = call(Task::Generate);
    (least.seed, least.steps, least.guidance, least.sampler, least.model) = (None, None, None, None, String::new());
    let asked = body(A1111.begin(&endpoint(None), &least));
    assert_eq!(asked["seed"], -1);
    for absent in ["steps", "cfg_scale", "sampler_name", "override_settings"] {
        assert!(asked.get(absent).is_none(), "{absent}");
    }
}

#[test]
fn what_is_asked_of_an_edit() {
    let mut edit = call(Task::Edit);
    edit.size = AskedSize::Free;
    let asked = body(A1111.begin(&endpoint(None), &edit));
    assert_eq!((&asked["width"], &asked["height"]), (&json!(64), &json!(32)), "as the picture is");
    assert_eq!(asked["init_images"], json!([read::base64(&png(64, 32))]));
    assert_eq!(asked["denoising_strength"], 0.75);
    assert!(asked.get("mask").is_none());
    (edit.mask, edit.strength) = (Some(png(64, 32)), Some(0.4));
    let asked = body(A1111.begin(&endpoint(None), &edit));
    assert_eq!((&asked["inpainting_mask_invert"], &asked["denoising_strength"]), (&json!(0), &json!(0.4)));
    assert_eq!(asked["mask"], read::base64(&png(64, 32)));
    edit.images.push(png(1, 1));
    assert!(A1111.begin(&endpoint(None), &edit).is_err_and(|fault| fault.message.contains("there are 2")));
    edit.images.clear();
    assert!(A1111.begin(&endpoint(None), &edit).is_err());
}

#[test]
fn what_is_asked_of_an_enlargement() {
    let mut larger = call(Task::Upscale);
    let asked = body(A1111.begin(&endpoint(None), &larger));
    let expected = json!({
        "image": read::base64(&png(64, 32)), "upscaler_1": "sd3.5_medium", "resize_mode": 1, "upscaling_resize_w": 512,
        "upscaling_resize_h": 384, "upscaling_crop": false,
    });
    assert_eq!(asked, expected);
    (larger.size, larger.model) = (AskedSize::Free, String::new());
    let asked = body(A1111.begin(&endpoint(None), &larger));
    assert_eq!((&asked["upscaler_1"], &asked["upscaling_resize"]), (&json!(UPSCALER), &json!(2.0)));
    let answer = reply(200, r#"{"html_info":"","image":"AQ=="}"#);
    expect(A1111.next(&endpoint(None), &larger, Stage::Begun, &answer), "done None", "");
    expect(A1111.next(&endpoint(None), &larger, Stage::Begun, &reply(200, "{}")), "empty", "none");
}

#[test]
fn a_ratio_is_no_size_here() {
    let mut call = call(Task::Generate);
    call.size = AskedSize::Ratio { ratio: "16:9".into(), resolution: None };
    assert!(A1111.begin(&endpoint(None), &call).is_err_and(|fault| fault.outcome == Outcome::BadRequest));
}

#[test]
fn the_key_is_basic_authentication() {
    let keys = A1111.keys(&endpoint(Some("user:pass")));
    assert_eq!(keys, [("authorization", Secret::new("Basic dXNlcjpwYXNz"))]);
    assert!(A1111.keys(&endpoint(None)).is_empty());
    assert!(!format!("{keys:?}").contains("dXNl"));
}

proptest! {
    #[test]
    fn any_bytes_are_survived(status in 0u16..1000, bytes in proptest::collection::vec(any::<u8>(), 0..200), polls: u32) {
        for task in [Task::Generate, Task::Edit, Task::Upscale] {
            survives(&A1111, task, status, bytes.clone(), "x", polls);
        }
    }

    #[test]
    fn any_info_is_survived(info in "\\PC{0,60}", images in proptest::collection::vec("\\PC{0,12}", 0..5), first: i64) {
        let whole = json!({"images": images, "info": info}).to_string();
        survives(&A1111, Task::Generate, 200, whole.into_bytes(), "x", 0);
        let info = json!({"index_of_first_image": first, "all_seeds": [first, null], "sd_model_name": info}).to_string();
        survives(&A1111, Task::Generate, 200, json!({"images": images, "info": info}).to_string().into_bytes(), "x", 0);
    }
}
