//! Drafts, decisions on them, and their way into a project; with every step that a person takes.

use std::fs;

use serde_json::{Value, json};
use thumbforge_tests::rig::{Ran, Rig, snapshot};

use crate::fixture::{TABLE, built, counts, manifest, shop};

const SWORD: &str = "Assets/Shop/sword.en.png";

fn approve(rig: &Rig, args: &[&str]) -> Ran {
    let mut all = vec!["approve", "--asset", "sword", "--locale", "en", "--person", "Kim"];
    all.extend(args);
    rig.run(&all)
}

/// The item of the sword in English.
fn sword(report: &Value) -> Value {
    let items = report["items"].as_array().expect("items");
    items.iter().find(|item| item["path"] == SWORD).expect("the sword").clone()
}

#[test]
fn a_draft_becomes_a_final_that_somebody_has_accepted() {
    let rig = shop();
    // A Unity project around it, as the editor has one.
    for folder in ["Assets", "ProjectSettings"] {
        fs::create_dir_all(rig.project().join(folder)).expect("a folder");
    }
    let drafts = rig.project().join("Library/Thumbforge/Drafts");
    let before = rig.snapshot();
    let draft = ["batch", "--tier", "preview", "--out", "Library/Thumbforge/Drafts", "--seed", "77", "--json"];
    let report = rig.run(&draft).expect(0).json();
    assert_eq!(counts(&report), [4, 0, 0, 4, 0]);
    assert_eq!((&sword(&report)["tier"], &sword(&report)["approval"]), (&json!("preview"), &Value::Null));
    assert_eq!(counts(&rig.run(&draft).expect(0).json()), [4, 4, 0, 0, 0]);
    let outside = |files: &std::collections::BTreeMap<String, Vec<u8>>| {
        let mut files = files.clone();
        files.retain(|path, _| !path.starts_with("Library/Thumbforge/Drafts"));
        files
    };
    assert!(outside(&rig.snapshot()) == before, "a draft changed the project");
    assert_eq!(snapshot(&drafts).len(), 4, "drafts have neither lock nor .meta");

    // The draft is accepted: it lies in its place, and says that it is a draft.
    approve(&rig, &["--from", "Library/Thumbforge/Drafts", "--role", "art-director", "--note", "bold"])
        .expect(0)
        .says(&["accepted by Kim (art-director)", "seed 77"]);
    assert_eq!(rig.read(SWORD), rig.read(&format!("Library/Thumbforge/Drafts/{SWORD}")));
    assert!(rig.project().join(format!("{SWORD}.meta")).is_file());
    let written = String::from_utf8(rig.read("thumbforge.toml")).expect("UTF-8");
    assert_eq!(written.matches("seed = 77").count(), 1, "{written}");
    let ran =
        rig.run(&["batch", "--check", "--asset", "sword", "--locale", "en", "--deny", "preview", "--json"]).expect(7);
    let ran = ran.says(&["denied", SWORD, "preview"]);
    let item = sword(&ran.json());
    assert_eq!((&item["state"], &item["approval"]["state"]), (&json!("planned"), &json!("accepted")));
    assert_eq!(item["approval"]["note"], "bold");

    // Promoted: the kept seed gives the pixels that were judged, which is what it is kept for.
    let report = rig.run(&["batch", "--deny", "preview", "--json"]).expect(0).json();
    let item = sword(&report);
    assert_eq!((&item["tier"], &item["seed"]), (&json!("production"), &json!(77)));
    assert_eq!(item["approval"]["state"], "accepted");
    // A word is changed, and with it the pixels: what was judged is not what lies there now.
    rig.write("Shop.csv", TABLE.replace("Sword", "Blade"));
    assert_eq!(sword(&rig.run(&["batch", "--json"]).expect(0).json())["approval"]["state"], "void");
    rig.run(&["batch", "--require", "approved"]).expect(7).says(&[
        SWORD,
        "not those that Kim (art-director) judged",
        "nobody has decided",
    ]);

    // Accepted again as it is now, with all the others.
    for (asset, locale) in [("sword", "en"), ("sword", "de"), ("shield", "en"), ("shield", "de")] {
        let asked = ["approve", "--asset", asset, "--locale", locale, "--person", "Kim", "--role", "art-director"];
        rig.run(&asked).expect(0);
    }
    let report = rig.run(&["batch", "--require", "approved", "--deny", "preview", "--json"]).expect(0).json();
    assert_eq!(counts(&report), [4, 4, 0, 0, 0]);
    assert_eq!(sword(&report)["approval"]["state"], "accepted");
    rig.run(&["batch", "--check", "--require", "approved"]).expect(0);
    // A decision is one line, and the same bytes whoever writes it.
    let approvals = String::from_utf8(rig.read("thumbforge.approvals")).expect("UTF-8");
    assert_eq!(approvals.lines().count(), 5, "{approvals}");
    assert!(approvals.starts_with("thumbforge.approvals 1\nshield\tde\tart-director\taccepted\t"), "{approvals}");
}

#[test]
fn a_rejected_picture_shuts_the_gate() {
    let rig = built();
    approve(&rig, &["--reject", "--note", "too dark"]).expect(0).says(&["rejected by Kim (reviewer)"]);
    let ran = rig.run(&["batch", "--asset", "sword", "--locale", "en", "--require", "approved", "--json"]).expect(7);
    let ran = ran.says(&["Kim (reviewer) rejected it: too dark"]);
    assert_eq!(sword(&ran.json())["approval"]["state"], "rejected");
    // Another role accepts it: one who rejects outweighs that. Who changes his mind replaces his own word.
    approve(&rig, &["--role", "brand"]).expect(0);
    let gate = ["batch", "--asset", "sword", "--locale", "en", "--require", "approved"];
    rig.run(&gate).expect(7);
    approve(&rig, &[]).expect(0);
    rig.run(&gate).expect(0);
    // In the report of a CI server it is a failure until then.
    rig.run(&["batch", "--require", "approved", "--junit", "junit.xml"]).expect(7);
    let xml = String::from_utf8(rig.read("junit.xml")).expect("UTF-8");
    assert!(xml.contains("tests=\"4\" failures=\"3\""), "{xml}");
    assert!(xml.contains("nobody has decided on it"), "{xml}");
}

#[test]
fn a_rejected_draft_leaves_the_final_and_its_decision() {
    let rig = built();
    approve(&rig, &[]).expect(0);
    let draft = ["batch", "--tier", "preview", "--out", "Drafts", "--seed", "4", "--asset", "sword", "--locale", "en"];
    rig.run(&draft).expect(0);
    let before = rig.snapshot();
    approve(&rig, &["--from", "Drafts", "--reject"])
        .expect(0)
        .says(&["the decision on the picture in the project stands"]);
    assert!(rig.snapshot() == before);
    approve(&rig, &["--from", "Drafts", "--reject", "--role", "brand"]).expect(0);
    assert_ne!(rig.snapshot()["thumbforge.approvals"], before["thumbforge.approvals"]);
    assert_eq!(rig.read(SWORD), before[SWORD]);
    // The draft itself is rejected wherever it is looked at.
    let report = rig.run(&[&draft[..], &["--json"]].concat()).expect(0).json();
    assert_eq!(sword(&report)["approval"]["state"], "rejected");
}

#[test]
fn a_draft_goes_over_nobody_elses_picture() {
    let rig = built();
    rig.run(&["batch", "--tier", "preview", "--out", "Drafts", "--asset", "sword", "--locale", "en"]).expect(0);
    rig.write(SWORD, "somebody else's");
    let before = rig.snapshot();
    approve(&rig, &["--from", "Drafts"]).expect(3).says(&[SWORD, "changed by hand"]);
    assert!(rig.snapshot() == before);
    approve(&rig, &["--from", "Drafts", "--force"]).expect(0);
    assert_eq!(rig.read(SWORD), rig.read(&format!("Drafts/{SWORD}")));
    // A draft that was painted over could not be drawn again.
    rig.write(&format!("Drafts/{SWORD}"), [&rig.read(SWORD)[..], b"and more"].concat());
    approve(&rig, &["--from", "Drafts"]).expect(2).says(&["changed by hand"]);
}

#[test]
fn what_cannot_be_decided_is_said() {
    let rig = built();
    let before = rig.snapshot();
    let sword = |args: &[&str]| approve(&rig, args);
    sword(&["--note", "two\nlines"]).expect(2).says(&["note", "one line"]);
    sword(&["--role", " "]).expect(2).says(&["role"]);
    sword(&["--from", "Nowhere"]).expect(2).says(&["Nowhere"]);
    rig.run(&["approve", "--asset", "sword", "--locale", "fr", "--person", "Kim"]).expect(2).says(&["fr", "de"]);
    rig.run(&["approve", "--asset", "swrod", "--locale", "en", "--person", "Kim"])
        .expect(2)
        .says(&["did you mean \"sword\"?"]);
    rig.run(&["approve", "--asset", "sword", "--person", "Kim"]).expect(2).says(&["without locale", "de, en"]);
    fs::create_dir(rig.project().join("Drafts")).expect("a folder");
    sword(&["--from", "Drafts"]).expect(2).says(&["batch --out"]);
    assert!(rig.snapshot() == before);
    fs::remove_file(rig.project().join(SWORD)).expect("a picture");
    sword(&[]).expect(2).says(&["build it first"]);
    // A file with a conflict is nobody's decision, and no build guesses.
    rig.write("thumbforge.approvals", "thumbforge.approvals 1\n<<<<<<< ours\n");
    for args in [
        vec!["batch", "--require", "approved"],
        vec!["batch"],
        vec!["approve", "--asset", "sword", "--locale", "en", "--person", "Kim"],
    ] {
        rig.run(&args).expect(3).says(&["thumbforge.approvals:2", "merge conflict"]);
    }
}

#[test]
fn a_seed_that_is_kept_stands_in_the_manifest_and_draws_nothing_twice() {
    let rig = built();
    rig.write("thumbforge.toml", manifest("# the end\n").replace("[assets.sword]", "[assets.sword] # the hero's"));
    let keep = ["batch", "--asset", "sword", "--seed", "9", "--keep-seed"];
    rig.run(&[&keep[..], &["--check"]].concat()).expect(7);
    assert!(!String::from_utf8_lossy(&rig.read("thumbforge.toml")).contains("seed"));
    rig.run(&keep).expect(0).says(&["2 drawn"]);
    let kept = String::from_utf8(rig.read("thumbforge.toml")).expect("UTF-8");
    assert!(kept.contains("[assets.sword] # the hero's\n") && kept.ends_with("# the end\n"), "{kept}");
    assert_eq!(counts(&rig.run(&["batch", "--json"]).expect(0).json()), [4, 4, 0, 0, 0]);
    rig.run(&["batch", "--keep-seed"]).expect(2).says(&["--seed"]);
    rig.run(&[&keep[..], &["--out", "Drafts"]].concat()).expect(2).says(&["drafts decide nothing"]);
    rig.run(&["batch", "--out", "."]).expect(2).says(&["the manifest's own folder"]);
}
