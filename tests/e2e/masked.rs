//! Edits under a mask: whoever draws, and however much of the picture comes back changed, what the mask leaves alone is
//! the user's own picture.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use thumbforge_tests::provider::Provider;
use thumbforge_tests::rig::Rig;

use crate::fixture::{Pixels, with_account};
use crate::local::registered;

const WIDTH: usize = 64;
const HEIGHT: usize = 48;
/// Columns from here on are drawn anew.
const ANEW: usize = 40;

/// A photograph with soft colours, and with a clear and a half clear corner.
fn photo() -> Pixels {
    Pixels::drawn(WIDTH, HEIGHT, |x, y| {
        let alpha = match (x, y) {
            (0..8, 0..8) => 0,
            (0..8, 8..16) => 128,
            _ => 255,
        };
        [(x * 3 + y) as u8, (200 - x) as u8, (y * 5 % 251) as u8, alpha]
    })
}

/// White where it is drawn anew.
fn mask() -> Pixels {
    Pixels::drawn(WIDTH, HEIGHT, |x, _| if x < ANEW { [0, 0, 0, 255] } else { [255; 4] })
}

/// The same as OpenAI's clients send it: clear where it is drawn anew.
fn clear_mask() -> Pixels {
    Pixels::drawn(WIDTH, HEIGHT, |x, _| [7, 7, 7, if x < ANEW { 255 } else { 0 }])
}

/// Everything outside is the photograph's, and much inside is not.
#[track_caller]
fn kept(made: &Pixels, photo: &Pixels, what: &str) {
    let changed = made.differences(photo);
    let outside: Vec<_> = changed.iter().filter(|(x, _)| *x < ANEW).take(5).collect();
    assert!(outside.is_empty(), "{what}: changed outside at {outside:?}");
    assert!(changed.len() > (WIDTH - ANEW) * HEIGHT / 2, "{what}: {} pixels are new", changed.len());
}

fn with_files(rig: &Rig) {
    rig.write("photo.png", photo().png());
    rig.write("mask.png", mask().png());
}

const EDIT: [&str; 8] =
    ["generate", "a red door", "--image", "photo.png", "--mask", "mask.png", "--out-file", "out.png"];

#[test]
fn a_hosted_model_that_changes_everything_changes_what_is_masked() {
    let provider = Provider::start();
    let rig = with_account(&provider);
    with_files(&rig);
    let edit = |rest: &[&str]| {
        rig.run(&[&EDIT[..], &["--model", "gpt-image-2"], rest].concat()).expect(0);
        Pixels::of_png(&rig.read("out.png"))
    };
    let hard = edit(&[]);
    kept(&hard, &photo(), "a hard edge");
    let asked = provider.last();
    assert!(asked.path.ends_with("/images/edits") && asked.form().iter().any(|field| field.name == "mask"));
    // A feather reaches inwards only, and changes what the edge is like.
    let soft = edit(&["--mask-feather", "6"]);
    kept(&soft, &photo(), "a soft edge");
    let differ = soft.differences(&hard);
    assert!(!differ.is_empty() && differ.iter().all(|(x, _)| (ANEW..ANEW + 6).contains(x)), "{differ:?}");
    // Nobody but a model of this machine lets all of it through.
    let diffusers = [&EDIT[..], &["--model", "gpt-image-2", "--mask-mode", "diffusers"]].concat();
    rig.run(&diffusers).expect(3).says(&["mask_mode"]);
    let wide = [&EDIT[..], &["--model", "gpt-image-2", "--mask-feather", "300"]].concat();
    rig.run(&wide).expect(3).says(&["mask_feather", "256 pixels at most"]);
    // The same edit is not bought again, and gives the same bytes.
    let charges = provider.book().charges.len();
    let again = edit(&[]);
    assert_eq!((again, provider.book().charges.len()), (hard, charges));
}

#[test]
fn what_is_kept_at_another_size_is_the_picture_at_that_size() {
    let provider = Provider::start();
    let rig = with_account(&provider);
    with_files(&rig);
    rig.run(&[&EDIT[..], &["--model", "gpt-image-2", "--size", "128x96"]].concat()).expect(0);
    let made = Pixels::of_png(&rig.read("out.png"));
    // The team's own art goes the same way without a model.
    rig.write(
        "thumbforge.toml",
        "[output]\npath = \"art.png\"\n[assets.photo]\nart = \"photo.png\"\nsize = \"128x96\"\n",
    );
    rig.run(&["batch"]).expect(0);
    let scaled = Pixels::of_png(&rig.read("art.png"));
    // Where the scaled mask is black: the resampling reaches three pixels of the smaller picture to each side.
    let outside = |(x, _): &&(usize, usize)| *x < 2 * (ANEW - 3);
    let changed = made.differences(&scaled);
    assert_eq!(changed.iter().find(outside), None);
    assert!(changed.len() > 1000, "{}", changed.len());
}

#[test]
fn openai_clients_get_back_what_they_did_not_mask() {
    let provider = Provider::start();
    let rig = with_account(&provider);
    let sidecar = rig.serve(&[]);
    let mut client = sidecar.client();
    let url = |pixels: &Pixels| format!("data:image/png;base64,{}", STANDARD.encode(pixels.png()));
    let body = json!({
        "model": "gpt-image-2", "prompt": "a red door", "size": format!("{WIDTH}x{HEIGHT}"),
        "image": url(&photo()), "mask": { "image_url": url(&clear_mask()) },
    });
    let answer = client.post("/v1/images/edits", &body).expect("an answer").expect(200).json();
    let png = STANDARD.decode(answer["data"][0]["b64_json"].as_str().expect("a picture")).expect("base64");
    kept(&Pixels::of_png(&png), &photo(), "over HTTP");
    assert_eq!(provider.book().charges.len(), 1);
}

#[test]
fn a_local_model_keeps_what_is_clear_too() {
    let rig = registered();
    with_files(&rig);
    let local = ["--model", "sd3.5-medium", "--dtype", "f32", "--seed", "3", "--steps", "4", "--strength", "0.9"];
    for rest in [&[][..], &["--mask-feather", "5"]] {
        rig.run(&[&EDIT[..], &local, rest].concat()).expect(0);
        kept(&Pixels::of_png(&rig.read("out.png")), &photo(), "a local model");
    }
}
