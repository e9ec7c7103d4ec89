//! Models with weights on this machine, toys of the real topology: registered, drawn with, stopped, killed, resumed.

use std::path::PathBuf;

use serde_json::{Value, json};
use thumbforge_diffusion::tiny::{Encoders, Tiny};
#[cfg(unix)]
use thumbforge_tests::rig::{PATIENCE, Signal, journal, wait_for};
use thumbforge_tests::rig::{Rig, snapshot};

use crate::BINARY;
use crate::fixture::counts;

/// Tokenizers of the toys' vocabularies.
fn tokenizers() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("diffusion/fixtures/tokenizers")
}

/// A rig with a toy's files in `model/` of its folder.
fn with_files(rig: Rig) -> (Rig, PathBuf) {
    with_files_of(rig, &Tiny::medium())
}

fn with_files_of(rig: Rig, tiny: &Tiny) -> (Rig, PathBuf) {
    let file = tiny.write_single(&rig.path().join("model"), Encoders::Inside).expect("a toy's file");
    (rig, file)
}

/// A rig where the toy is registered as SD3.5 Medium.
pub(crate) fn registered() -> Rig {
    registered_in(Rig::new(BINARY))
}

/// The same, in this rig.
pub(crate) fn registered_in(rig: Rig) -> Rig {
    registered_of(rig, &Tiny::medium())
}

/// The same of another toy.
pub(crate) fn registered_of(rig: Rig, tiny: &Tiny) -> Rig {
    let (rig, file) = with_files_of(rig, tiny);
    let file = file.display().to_string();
    rig.run(&["weights", "add", &file, "--model", "sd3.5-medium"]).expect(0);
    rig.run(&["weights", "add", &tokenizers().display().to_string(), "--part", "tokenizers"]).expect(0);
    rig
}

/// Pixels of a file of the project.
pub(crate) fn pixels(rig: &Rig, name: &str) -> Vec<u8> {
    let bytes = rig.read(name);
    let mut reader = png::Decoder::new(std::io::Cursor::new(&bytes)).read_info().expect(name);
    let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
    let info = reader.next_frame(&mut pixels).expect(name);
    pixels.truncate(info.buffer_size());
    pixels
}

const QUICK: [&str; 4] = ["--steps", "2", "--size", "64x48"];

fn generate<'a>(rest: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["generate", "a red castle", "--out-file", "a.png"];
    args.extend(QUICK);
    args.extend(rest);
    args
}

#[test]
fn files_that_nobody_registered_are_drawn_with_as_they_are() {
    let (rig, file) = with_files(Rig::new(BINARY));
    let (file, tokens) = (file.display().to_string(), tokenizers().display().to_string());
    let own = ["--weights", &file, "--tokenizers", &tokens, "--dtype", "f32", "--seed", "7", "--noise", "torch-cpu"];
    let item = |report: &Value| report["items"][0].clone();
    let first = item(&rig.run(&generate(&[&own[..], &["--json"]].concat())).expect(0).json());
    assert_eq!((first["engine"].as_str(), first["model"].as_str()), (Some("local"), Some("local:sd3.5_tiny")));
    let drawn = pixels(&rig, "a.png");
    assert_eq!(drawn.len(), 64 * 48 * 3);
    assert!(drawn.iter().any(|byte| *byte != drawn[0]), "something is drawn");

    // Wherever the file lies, what it holds decides.
    std::fs::rename(rig.path().join("model"), rig.path().join("moved")).expect("moved");
    let moved = rig.path().join("moved/sd3.5_tiny.safetensors").display().to_string();
    let again = [&["--weights", &moved], &own[2..]].concat();
    let second = item(&rig.run(&generate(&[&again[..], &["--json"]].concat())).expect(0).json());
    assert_eq!(first["realised_key"], second["realised_key"]);
    assert_eq!(second["attempts"], 0, "it was taken from the store: {second:#}");

    // The same in words that say what drew it.
    let shown = rig.run(&["show", "a.png", "--json"]).expect(0).json()[0]["provenance"].clone();
    let settings = &shown["settings"];
    for (name, value) in [("steps", "2"), ("dtype", "f32"), ("noise", "torch-cpu"), ("encoders", "clip_l+clip_g+t5")] {
        assert_eq!(settings[name], value, "{settings:#}");
    }
    assert!(shown["weights"].is_string(), "{shown:#}");
    assert!(!shown.to_string().contains("moved"), "no path is told: {shown:#}");

    // Without tokenizers the encoder that lacks one is named.
    let bare = ["--weights", &moved];
    rig.run(&generate(&bare)).expect(3).says(&["clip_l has no tokenizer", "sd3.5-tokenizers", "--tokenizers"]);
    let none = rig.path().join("none.safetensors").display().to_string();
    rig.run(&generate(&["--weights", &none])).expect(2).says(&["none.safetensors"]);
}

#[test]
fn flags_that_make_no_sense_are_refused() {
    let rig = registered();
    let check = |rest: &[&str], code: i32, says: &str| {
        rig.run(&generate(&[&["--model", "sd3.5-medium"], rest].concat())).expect(code).says(&[says]);
    };
    check(&["--weights", "x"], 2, "cannot be used with");
    check(&["--mask", "x.png"], 2, "--image");
    check(&["--strength", "0.5"], 2, "--image");
    check(&["--noise", "cuda"], 2, "philox or torch-cpu");
    check(&["--dtype", "f16"], 2, "f32 or bf16");
    check(&["--slg", "1:2"], 2, "LAYERS:SCALE:START:STOP");
    check(&["--sampler", "magic"], 3, "it cannot honour sampler");
    check(&["--lora", "nothing.safetensors"], 2, "nothing.safetensors");
    // A model that is bought has none of it.
    let hosted = generate(&["--model", "gpt-image-2", "--noise", "torch-cpu"]);
    rig.run(&hosted).expect(3);
}

#[test]
fn a_picture_is_changed_where_its_mask_is_white() {
    let rig = registered();
    let model = ["--model", "sd3.5-medium", "--dtype", "f32", "--seed", "3"];
    rig.run(&generate(&model)).expect(0);
    let source = pixels(&rig, "a.png");
    std::fs::copy(rig.project().join("a.png"), rig.project().join("source.png")).expect("copied");
    let mut mask = Vec::new();
    let mut encoder = png::Encoder::new(&mut mask, 64, 48);
    encoder.set_color(png::ColorType::Grayscale);
    let grey: Vec<u8> = (0..64 * 48).map(|at| if at % 64 < 32 { 0 } else { 255 }).collect();
    let mut writer = encoder.write_header().expect("a head");
    writer.write_image_data(&grey).expect("pixels");
    writer.finish().expect("an end");
    rig.write("mask.png", &mask);

    let edit = ["generate", "a blue castle", "--out-file", "b.png", "--steps", "4", "--image", "source.png"];
    let inpaint = [&edit[..], &model, &["--mask", "mask.png", "--strength", "0.9"]].concat();
    rig.run(&inpaint).expect(0);
    let changed = pixels(&rig, "b.png");
    let same = |at: usize| source[at * 3..][..3] == changed[at * 3..][..3];
    let kept = (0..64 * 48).filter(|at| at % 64 < 32);
    assert!(kept.clone().all(same), "what is black stays, bit for bit");
    let anew = (0..64 * 48).filter(|at| at % 64 >= 40 && !same(*at)).count();
    assert!(anew > 100, "what is white is drawn anew: {anew}");

    // As diffusers does it, all of it goes through the model.
    rig.run(&[&inpaint[..], &["--mask-mode", "diffusers"]].concat()).expect(0);
    let through = pixels(&rig, "b.png");
    assert!(kept.clone().any(|at| source[at * 3..][..3] != through[at * 3..][..3]));
    // Without a mask everything may change.
    rig.run(&[&edit[..], &model].concat()).expect(0);
    assert!(kept.clone().any(|at| source[at * 3..][..3] != pixels(&rig, "b.png")[at * 3..][..3]));
}

#[test]
fn sizes_that_the_model_does_not_draw_are_cut_out_of_larger_ones() {
    let rig = registered();
    let args = ["generate", "p", "--out-file", "a.png", "--steps", "1", "--model", "sd3.5-medium", "--size", "50x40"];
    rig.run(&args).expect(0).says(&["64 x 48 was drawn and its middle cut out"]);
    assert_eq!(pixels(&rig, "a.png").len(), 50 * 40 * 3);
}

#[test]
fn a_model_that_is_not_whole_says_what_it_lacks() {
    let (rig, file) = with_files(Rig::new(BINARY));
    let local = ["generate", "p", "--model", "sd3.5-medium", "--size", "64x64"];
    rig.run(&local).expect(3).says(&["its weights are not on this machine", "thumbforge weights pull sd3.5-medium"]);
    rig.run(&["weights", "add", &file.display().to_string(), "--model", "sd3.5-medium"]).expect(0);
    rig.run(&local).expect(3).says(&["clip_l has no tokenizer", "weights pull sd3.5-tokenizers"]);
    let route = rig.run(&["route", "--explain", "p", "--model", "sd3.5-medium", "--json"]).json();
    assert!(route.to_string().contains("clip_l has no tokenizer"), "{route:#}");
    rig.run(&["weights", "add", &tokenizers().display().to_string(), "--part", "tokenizers"]).expect(0);
    let models = rig.run(&["models", "--json"]).expect(0).json();
    let row = models.as_array().expect("rows").iter().find(|row| row["id"] == "sd3.5-medium").expect("a row").clone();
    assert_eq!((row["state"].as_str(), row["available"].as_bool()), (Some("here"), Some(true)), "{row:#}");
}

#[test]
fn the_doctor_says_what_a_picture_takes() {
    let rig = registered();
    let lines = rig.run(&["doctor", "--json"]).expect(0).json();
    let line =
        lines.as_array().expect("lines").iter().find(|line| line["what"] == "local model").expect("a line").clone();
    assert_eq!(line["ok"], true, "{line:#}");
    let figure = |name: &str| line["figures"][name].as_u64().expect(name);
    assert!(figure("needed_bytes") > 1 << 20 && figure("needed_bytes") < figure("free_bytes"), "{line:#}");
    assert!(figure("expected_ms") > 0 && figure("steps") == 40, "{line:#}");
    let words = line["says"].as_str().expect("words");
    assert!(words.starts_with("sd3.5-medium: 384x384 in 40 steps needs"), "{words}");
}

/// Prompts enough to be met half-way.
const COUNT: usize = 12;

fn prompts(rig: &Rig) {
    let lines: Vec<String> = (0..COUNT).map(|at| format!("castle number {at}, oak and steel")).collect();
    rig.write("prompts.txt", lines.join("\n"));
}

const BATCH: [&str; 11] = [
    "batch",
    "--model",
    "local-sd3.5",
    "--prompt-file",
    "prompts.txt",
    "--batch",
    "50",
    "--size",
    "64x64",
    "--steps",
    "8",
];

#[test]
fn a_prompt_file_is_drawn_in_calls_of_many_and_the_bytes_are_those_of_each_alone() {
    let rig = registered();
    prompts(&rig);
    let report = rig.run(&[&BATCH[..], &["--json", "--out", "Many"]].concat()).expect(0).json();
    assert_eq!(counts(&report), [COUNT as u64, 0, 0, COUNT as u64, 0], "{report:#}");
    let many = snapshot(&rig.project().join("Many"));
    let mut alone = BATCH.to_vec();
    alone[6] = "1";
    // Another data directory knows nothing of the first pictures, but where the weights are.
    let data = rig.path().join("other").display().to_string();
    let weights = rig.data().join("weights");
    std::fs::create_dir_all(&data).expect("a folder");
    std::fs::write(rig.path().join("other/config.toml"), format!("weights_dir = {weights:?}\n")).expect("settings");
    let rest = ["--json", "--out", "Alone", "--data-dir", &data];
    rig.run(&[&alone[..], &rest].concat()).expect(0);
    assert_eq!(snapshot(&rig.project().join("Alone")), many);
}

#[cfg(unix)]
#[test]
fn a_killed_batch_is_finished_by_the_next_with_the_same_bytes() {
    let rig = registered();
    prompts(&rig);
    let whole = rig.run(&[&BATCH[..], &["--json", "--out", "Whole"]].concat()).expect(0).json();
    assert_eq!(counts(&whole)[3], COUNT as u64);
    let whole = snapshot(&rig.project().join("Whole"));

    let data = rig.path().join("other").display().to_string();
    std::fs::create_dir_all(&data).expect("a folder");
    let settings = format!("weights_dir = {:?}\n", rig.data().join("weights"));
    std::fs::write(rig.path().join("other/config.toml"), settings).expect("settings");
    let args = [&BATCH[..], &["--json", "--out", "Halves", "--data-dir", &data]].concat();
    let mut process = rig.start(&args);
    let written = || snapshot(&rig.project().join("Halves")).keys().filter(|name| name.ends_with(".png")).count();
    wait_for("a picture", PATIENCE, || {
        assert!(!process.has_ended(), "it ended before it could be killed: {}", process.said());
        (rig.project().join("Halves").exists() && written() >= 1).then_some(())
    });
    process.signal(Signal::Kill);
    process.ended().expect(-1);
    let report = rig.run(&args).expect(0).json();
    assert_eq!(counts(&report)[4], 0, "{report:#}");
    let mut halves = snapshot(&rig.project().join("Halves"));
    halves.retain(|name, _| name.ends_with(".png"));
    let whole: std::collections::BTreeMap<_, _> =
        whole.into_iter().filter(|(name, _)| name.ends_with(".png")).collect();
    assert_eq!(halves, whole);
    let figures = journal::figures(&rig.path().join("other/journal.sqlite"));
    assert_eq!(figures.rendered_twice, 0, "{figures:?}");
}

#[cfg(unix)]
#[test]
fn a_drawing_is_cancelled_between_its_steps() {
    let rig = registered();
    let mut args = vec!["generate", "p", "--model", "sd3.5-medium", "--size", "256x256", "--out-file", "a.png"];
    args.extend(["--steps", "1000"]);
    let mut process = rig.start(&args);
    wait_for("the drawing", PATIENCE, || {
        assert!(!process.has_ended(), "it ended by itself: {}", process.said());
        // Before its first migration the journal has no table, which is no state either.
        let state = rig.journal().exists().then(|| journal::state_of(&journal::open(&rig.journal()), 1))?;
        (state.as_deref() == Some("running")).then_some(())
    });
    process.signal(Signal::Interrupt);
    process.ended().expect(130);
    assert!(!rig.project().join("a.png").exists());
}

#[test]
fn a_local_model_draws_over_http() {
    let rig = registered();
    let sidecar = rig.serve(&[]);
    let mut client = sidecar.client();
    let body = json!({ "model": "sd3.5-medium", "prompt": "a castle", "steps": 2, "size": "64x64", "seed": 5 });
    let drawn = client.post("/generate", &body).expect("an answer").expect(200).json();
    assert_eq!((drawn["status"].as_str(), drawn["model"].as_str()), (Some("done"), Some("sd3.5-medium")));
    assert_eq!(drawn["meta"]["engine"], "local");
    assert_eq!(drawn["meta"]["dropped"], json!([]), "{drawn:#}");
    // Through the sidecar a command gets the same picture, from the store.
    let args = ["generate", "a castle", "--model", "sd3.5-medium", "--steps", "2", "--size", "64x64", "--seed", "5"];
    let report = rig.run(&[&args[..], &["--out-file", "a.png", "--json"]].concat()).expect(0).json();
    assert_eq!(report["items"][0]["realised_key"], drawn["key"], "{report:#}");
    // A picture is changed as OpenAI's clients ask for it.
    let image = format!("data:image/png;base64,{}", drawn["image"].as_str().expect("a picture"));
    let edit =
        json!({ "model": "sd3.5-medium", "prompt": "a blue castle", "image": image, "steps": 2, "size": "64x64" });
    let edited = client.post("/v1/images/edits", &edit).expect("an answer").expect(200).json();
    assert!(edited["data"][0]["b64_json"].is_string(), "{edited:#}");
    // What is not here is not stood in for.
    let absent = json!({ "model": "sd3-large", "prompt": "p" });
    let refused = client.post("/generate", &absent).expect("an answer").expect(503).json();
    assert_eq!(refused["error"]["code"], "model_unavailable", "{refused:#}");
}

#[test]
fn words_over_art_that_a_model_drew_ask_it_no_more() {
    let rig = registered();
    let manifest = r#"project = "com.example.locales"
[locales]
list = ["en", "de", "fr", "tr", "es", "it"]
strings = ["Shop.csv"]
[output]
path = "Out/{{ asset }}.{{ locale }}.png"
[templates.card]
prompt = "a red castle"
model = "sd3.5-medium"
size = "128x96"
settings = { steps = 2, dtype = "f32" }
[[templates.card.text]]
name = "title"
string = "castle.title"
area = [0.05, 0.1, 0.9, 0.5]
size = 0.3
[criteria]
contrast = "ignore"
[assets.castle]
template = "card"
"#;
    rig.write("thumbforge.toml", manifest);
    rig.write("Shop.csv", "Key,en,de,fr,tr,es,it\ncastle.title,Castle,Burg,Fort,Kale,Castillo,Castello\n");
    let build = || counts(&rig.run(&["batch", "--json"]).expect(0).json());
    assert_eq!(build(), [6, 0, 0, 6, 0]);
    let number = |sql: &str| {
        thumbforge_tests::rig::journal::open(&rig.journal()).query_row(sql, [], |row| row.get::<_, u64>(0)).expect(sql)
    };
    // The model was asked once: five of six set their words over what it drew.
    assert_eq!(number("SELECT count(*) FROM arts"), 1);
    assert_eq!(number("SELECT count(*) FROM attempts WHERE json_extract(settings, '$.memory') IS NOT NULL"), 1);
    assert_eq!(number("SELECT count(*) FROM attempts WHERE outcome = 'rendered' AND engine = 'local'"), 6);
    let made = |locale: &str| pixels(&rig, &format!("Out/castle.{locale}.png"));
    let below = |pixels: &[u8]| pixels[pixels.len() * 8 / 10..].to_vec();
    let en = made("en");
    for locale in ["de", "fr", "tr", "es", "it"] {
        assert!(made(locale) != en && below(&made(locale)) == below(&en), "{locale}");
    }
    // Other words are other pictures over the same art.
    rig.write("Shop.csv", "Key,en,de,fr,tr,es,it\ncastle.title,Keep,Burg,Fort,Kale,Castillo,Castello\n");
    assert_eq!(build(), [6, 5, 0, 1, 0]);
    assert_eq!(number("SELECT count(*) FROM arts"), 1);
    assert_eq!(below(&made("en")), below(&en));
}
