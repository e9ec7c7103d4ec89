//! Which models there are, where a picture would go, and what was learned: nothing is drawn or bought for any of it.

use serde_json::Value;
use thumbforge_tests::rig::Rig;

use crate::BINARY;
use crate::fixture::{built, shop};

/// An account whose key is nowhere: whoever only asks needs none.
const SETTINGS: &str = "[accounts.team]\nprovider = \"openai\"\nkey = \"env:A_VARIABLE_THAT_NOBODY_SETS\"\n";

fn with_account(rig: Rig) -> Rig {
    rig.write("settings.toml", SETTINGS);
    rig
}

fn ask(rig: &Rig, args: &[&str], code: i32) -> Value {
    let args: Vec<&str> =
        ["route", "--config", "settings.toml", "--explain", "--json"].iter().chain(args).copied().collect();
    rig.run(&args).expect(code).json()
}

/// The model that won, and the one that it replaces.
fn won(answer: &Value) -> (&str, &str) {
    let word = |name: &str| answer["route"][name].as_str().unwrap_or_default();
    (word("model"), word("replaces"))
}

/// The reason word of a candidate.
fn reason<'a>(answer: &'a Value, model: &str) -> &'a str {
    let candidates = answer["candidates"].as_array().expect("candidates");
    let one = candidates.iter().find(|one| one["model"] == model);
    one.and_then(|one| one["reason"].as_str()).unwrap_or("not a candidate")
}

#[test]
fn a_route_is_told_with_everything_that_lost() {
    let rig = with_account(Rig::new(BINARY));
    let answer = ask(&rig, &["--model", "dalle3-hd", "--fallback", "local-sd3.5"], 0);
    assert_eq!(won(&answer), ("gpt-image-2", "dall-e-3-hd"), "{answer:#}");
    assert_eq!(answer["route"]["purchase"]["account"], "team");
    assert!(answer["route"]["purchase"]["quoted"].as_u64().expect("a price") > 0);
    assert_eq!(reason(&answer, "dall-e-3-hd"), "replaced");
    assert_eq!(reason(&answer, "sd3.5-medium"), "no_weights");
    assert_eq!(answer["warnings"][0]["code"], "replaced");
    assert!(!rig.journal().exists(), "asking opens no journal");
    rig.run(&["route", "--config", "settings.toml", "--model", "dalle3-hd", "--pin"]).expect(2).says(&[
        "error[model_retired]",
        "dall-e-3-hd",
        "2026-05-12",
    ]);
    let answer = ask(&rig, &["--model", "gpt-image-2", "--seed", "7"], 2);
    assert_eq!(answer["error"]["code"], "unsupported_field", "{answer:#}");
    let answer = ask(&rig, &["--model", "gpt-image-2", "--seed", "7", "--allow-lossy", "seed"], 0);
    assert_eq!(answer["route"]["realisation"]["dropped"][0], "seed");
    let answer = ask(&rig, &["a red dragon"], 0);
    assert_eq!(won(&answer), ("builtin", ""), "nobody named a model");
}

#[test]
fn the_rule_of_the_case_study_names_the_model() {
    let rig = with_account(Rig::new(BINARY));
    let named = |args: &[&str], code| ask(&rig, args, code)["asked"]["model"].clone();
    assert_eq!(named(&["--requires-typography-precision", "--confidence", "0.6", "--placeholder"], 0), "imagen-4");
    assert_eq!(named(&["--requires-typography-precision", "--confidence", "0.9", "--fast-preview"], 2), "sd3.5-medium");
    assert_eq!(named(&["--confidence", "0.9", "--placeholder"], 0), "imagen-4");
}

#[test]
fn an_image_of_a_manifest_is_routed_as_it_stands_there() {
    let rig = with_account(shop());
    let answer = ask(&rig, &["--manifest", ".", "--asset", "sword", "--locale", "de"], 0);
    assert_eq!((answer["asked"]["asset"].as_str(), answer["asked"]["locale"].as_str()), (Some("sword"), Some("de")));
    assert_eq!(won(&answer), ("builtin", ""));
    let answer = ask(&rig, &["--manifest", ".", "--asset", "sword", "--model", "gpt-image-2"], 0);
    assert_eq!(won(&answer), ("gpt-image-2", ""));
    rig.run(&["route", "--manifest", ".", "--asset", "axe"]).expect(2);
}

#[test]
fn models_are_told_with_state_price_and_end() {
    let rig = with_account(Rig::new(BINARY));
    let ran = rig.run(&["models", "--config", "settings.toml", "--json"]).expect(0);
    let models = ran.json();
    let row = |id: &str| models.as_array().expect("rows").iter().find(|row| row["id"] == id).expect("a row").clone();
    let hosted = row("gpt-image-2");
    assert_eq!((hosted["state"].as_str(), hosted["available"].as_bool()), (Some("account"), Some(true)));
    assert_eq!(hosted["accounts"][0], "team");
    assert!(hosted["price_micros_usd"][0].as_u64() < hosted["price_micros_usd"][1].as_u64());
    let gone = row("dall-e-3-hd");
    assert_eq!((gone["state"].as_str(), gone["available"].as_bool()), (Some("retired"), Some(false)));
    assert!(gone["successor"].is_string() && gone["retired_on"].is_string(), "{gone:#}");
    assert_eq!(row("sd3.5-medium")["state"], "no_weights");
    assert_eq!(row("builtin")["state"], "here");
    let text = rig.run(&["models", "--config", "settings.toml"]).expect(0).stdout;
    for line in text.lines() {
        assert!(line.chars().count() <= 120, "{line:?} is too wide for a terminal");
    }
    assert!(text.contains("account team") && text.contains("RETIRED MODEL"), "{text}");
}

#[test]
fn what_was_learned_is_written_beside_the_manifest() {
    let rig = built();
    let learnt = rig.run(&["models", "--learn", "--json"]).expect(0).json();
    // Built-in art says nothing of any model.
    assert_eq!(
        (learnt["pictures"].as_u64(), learnt["rows"].as_array().map(Vec::len)),
        (Some(0), Some(0)),
        "{learnt:#}"
    );
    let text = String::from_utf8(rig.read("thumbforge.quality.toml")).expect("UTF-8");
    assert!(text.contains("version = 1"), "{text}");
    rig.run(&["models", "--learn", "--journal", "none.sqlite"]).expect(2).says(&["none.sqlite", "no such journal"]);
    rig.run(&["models", "--learn", "Assets"]).expect(2).says(&["has no thumbforge.toml"]);
}
