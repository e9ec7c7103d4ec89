//! Finals that are made from drafts: the very draft that tier preview draws, enlarged once it was accepted.

use serde_json::{Value, json};
use thumbforge_art::text::{FontBook, set};
use thumbforge_core::image::{Extent, ImageBuf};
use thumbforge_core::text_layer::{TextLayer, TextMode, TextStyle};
use thumbforge_tests::provider::Provider;
use thumbforge_tests::rig::Rig;

use crate::BINARY;
use crate::fixture::{Pixels, counts, with_account};

const MANIFEST: &str = r#"
[locales]
list = ["en"]
[templates.poster]
prompt = "a red castle on a hill"
size = "512x512"
seed = 5
draft = { size = "128x128" }
[assets.art]
template = "poster"
locales = []
[templates.titled]
prompt = "a red castle on a hill"
size = "512x512"
seed = 5
draft = { size = "128x128" }
[[templates.titled.text]]
name = "title"
text = "Siege"
[assets.title]
template = "titled"
locales = []
"#;

fn item(report: &Value, asset: &str) -> Value {
    let items = report["items"].as_array().expect("items");
    items.iter().find(|item| item["asset"] == asset).expect(asset).clone()
}

fn image(picture: &Pixels) -> ImageBuf {
    let extent = Extent { width: picture.width as u32, height: picture.height as u32 };
    ImageBuf::from_rgba(extent, picture.rgba.as_flattened().to_vec()).expect("a picture")
}

/// Builds the picture once more, with nothing left of what it was made from: no step is taken again, and it is told of.
#[track_caller]
fn found_again(rig: &Rig, done: &str) {
    let journal = rusqlite::Connection::open(rig.journal()).expect("a journal");
    journal.execute("DELETE FROM arts", []).expect("forgets");
    let made = rig.read("Thumbnails/art.png");
    std::fs::remove_file(rig.project().join("Thumbnails/art.png")).expect("is there");
    let again = item(&rig.run(&["batch", "--asset", "art", "--json"]).expect(0).json(), "art");
    assert_eq!((&again["attempts"], &again["repairs"][0]["done"]), (&json!(0), &json!(done)), "{again:#}");
    assert!(rig.read("Thumbnails/art.png") == made, "{again:#}");
}

/// A final holds what its draft showed.
#[test]
fn a_final_is_its_draft_enlarged() {
    let rig = Rig::new(BINARY);
    rig.write("thumbforge.toml", MANIFEST);
    let drafts = rig.run(&["batch", "--tier", "preview", "--out", "drafts", "--json"]).expect(0).json();
    assert_eq!(counts(&drafts), [2, 0, 0, 2, 0]);
    let draft = Pixels::of_png(&rig.read("drafts/Thumbnails/art.png"));
    assert_eq!((draft.width, draft.height), (128, 128));

    let report = rig.run(&["batch", "--json"]).expect(0).json();
    let art = item(&report, "art");
    assert_eq!((&art["attempts"], &art["seed"]), (&json!(2), &json!(5)), "{art:#}");
    assert_eq!(art["repairs"][0]["done"], "enlarged by resampling", "{art:#}");
    assert_eq!(art["repairs"].as_array().map(Vec::len), Some(1));
    let last = Pixels::of_png(&rig.read("Thumbnails/art.png"));
    assert_eq!((last.width, last.height), (512, 512));
    // Lanczos weighs neighbours: a block of the final means what the draft's pixel said, ringing at edges aside.
    let mut far = 0;
    for (at, pixel) in draft.rgba.iter().enumerate() {
        let (x, y) = (at % 128 * 4, at / 128 * 4);
        for (channel, said) in pixel.iter().take(3).enumerate() {
            let block = (0..16).map(|in_block| last.rgba[(y + in_block / 4) * 512 + x + in_block % 4][channel]);
            let mean = block.map(u32::from).sum::<u32>() / 16;
            far += usize::from(mean.abs_diff(u32::from(*said)) > 24);
        }
    }
    assert!(far < draft.rgba.len() * 3 / 50, "{far} of {} values differ", draft.rgba.len() * 3);

    assert_eq!(counts(&rig.run(&["batch", "--json"]).expect(0).json()), [2, 2, 0, 0, 0]);
    let shown = rig.run(&["show", "Thumbnails/art.png", "--json"]).expect(0).json()[0]["provenance"].clone();
    assert_eq!(shown["recipe"]["draft"]["size"], json!({"width": 128, "height": 128}), "{shown:#}");
    assert_eq!(shown["settings"]["repair"], "enlarge lanczos", "{shown:#}");
    found_again(&rig, "enlarged by resampling");
    // A new word draws nothing again: one picture is made, of the art that was there.
    rig.write("thumbforge.toml", MANIFEST.replace("\"Siege\"", "\"Storm\""));
    assert_eq!(counts(&rig.run(&["batch", "--json"]).expect(0).json()), [2, 1, 0, 1, 0]);
}

/// What a person accepts of a draft is its seed; the final is made by the next build.
#[test]
fn an_accepted_draft_keeps_its_seed_and_becomes_a_final_by_the_next_build() {
    let rig = Rig::new(BINARY);
    rig.write("thumbforge.toml", MANIFEST);
    let draft = ["batch", "--tier", "preview", "--out", "drafts", "--seed", "77", "--json"];
    rig.run(&draft).expect(0);
    let approve = ["approve", "--asset", "art", "--person", "Kim", "--from", "drafts"];
    rig.run(&approve).expect(0).says(&["build the project to make the final"]);
    assert!(!rig.project().join("Thumbnails/art.png").exists(), "a draft is no final");
    let report = rig.run(&["batch", "--json"]).expect(0).json();
    assert_eq!(item(&report, "art")["seed"], 77);
    assert_eq!(item(&report, "title")["seed"], 5);
    rig.write("thumbforge.toml", String::from_utf8(rig.read("thumbforge.toml")).expect("text").replace("red", "blue"));
    rig.run(&approve).expect(2).says(&["the manifest has changed since it was drawn"]);
}

/// A model of this machine draws detail into its own draft, in tiles where it is larger than the model likes.
#[test]
fn a_local_model_enlarges_what_it_drew() {
    let rig = crate::local::registered();
    let manifest = r#"
[templates.poster]
prompt = "a red castle"
model = "sd3.5-medium"
size = "192x128"
seed = 5
settings = { steps = 2 }
draft = { size = "96x64", strength = 0.5 }
[assets.art]
template = "poster"
[templates.titled]
prompt = "a red castle"
model = "sd3.5-medium"
size = "192x128"
seed = 5
settings = { steps = 2 }
draft = { size = "96x64", strength = 0.5 }
[[templates.titled.text]]
name = "title"
text = "Siege"
[assets.title]
template = "titled"
locales = []
"#;
    rig.write("thumbforge.toml", manifest);
    let report = rig.run(&["batch", "--json"]).expect(0).json();
    let art = item(&report, "art");
    assert_eq!((&art["engine"], &art["attempts"]), (&json!("local"), &json!(2)), "{art:#}");
    assert_eq!(art["repairs"][0]["done"], "enlarged by sd3.5-medium", "{art:#}");
    let refined = Pixels::of_png(&rig.read("Thumbnails/art.png"));
    assert_eq!((refined.width, refined.height), (192, 128));
    found_again(&rig, "enlarged by sd3.5-medium");
    rig.write("thumbforge.toml", manifest.replace("strength = 0.5", "enlarge = \"lanczos\""));
    let report = rig.run(&["batch", "--json"]).expect(0).json();
    assert_eq!(item(&report, "art")["repairs"][0]["done"], "enlarged by resampling");
    let resampled = Pixels::of_png(&rig.read("Thumbnails/art.png"));
    assert!(!refined.differences(&resampled).is_empty(), "the model drew something");
    // The same art, with words that no resampling has touched.
    let mut expected = image(&resampled);
    let layer = TextLayer {
        name: "title".to_owned(),
        text: "Siege".to_owned(),
        locale: "en".to_owned(),
        mode: TextMode::Composite,
        style: TextStyle::default(),
    };
    set(&mut expected, &[layer], &FontBook::packaged()).expect("it fits");
    assert!(expected == image(&Pixels::of_png(&rig.read("Thumbnails/title.png"))), "words are set at the final's size");

    // A model that cannot do it is told of, and nothing is made.
    rig.write("thumbforge.toml", manifest.replace("strength = 0.5", "enlarge = \"model\", model = \"gpt-image-2\""));
    rig.run(&["batch", "--json"]).expect(3).says(&["enlarge the draft", "draft.enlarge = \"lanczos\""]);
}

/// Drafts that cost nothing, and one call that enlarges each, whatever words come over it later.
#[test]
fn a_hosted_upscaler_is_asked_once_a_draft() {
    let provider = Provider::start();
    let rig = with_account(&provider);
    let account = format!(
        "[accounts.tests]\nprovider = \"stability\"\nbase_url = \"{}\"\nkey = \"env:STUDIO_KEY\"\nallow_private = true\n",
        provider.origin()
    );
    std::fs::write(rig.data().join("config.toml"), account).expect("a file");
    let draft = "draft = { size = \"128x128\", model = \"stability-upscale-fast\" }";
    rig.write("thumbforge.toml", MANIFEST.replace("draft = { size = \"128x128\" }", draft));
    let report = rig.run(&["batch", "--json"]).expect(0).json();
    for asset in ["art", "title"] {
        let item = item(&report, asset);
        assert_eq!(item["repairs"][0]["done"], "enlarged by stability-upscale-fast", "{item:#}");
        assert_eq!((&item["engine"], &item["model"]), (&json!("stability"), &json!("stability-upscale-fast")));
    }
    // The built-in engine leaves room for a title, so these are two drafts.
    assert_eq!((provider.count(), &report["cost_micros_usd"]), (2, &json!(40_000)), "{report:#}");
    // Other words over the same art cost nothing.
    let other = MANIFEST.replace("draft = { size = \"128x128\" }", draft).replace("\"Siege\"", "\"Storm\"");
    rig.write("thumbforge.toml", other);
    assert_eq!(counts(&rig.run(&["batch", "--json"]).expect(0).json()), [2, 1, 0, 1, 0]);
    assert_eq!(provider.count(), 2);
    // Nor does the same picture, when the store has given up what it was made from.
    found_again(&rig, "enlarged by stability-upscale-fast");
    assert_eq!(provider.count(), 2);
    let last = Pixels::of_png(&rig.read("Thumbnails/art.png"));
    assert_eq!((last.width, last.height), (512, 512));
}
