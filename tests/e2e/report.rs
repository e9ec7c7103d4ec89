//! What machines read of a build: the report's places and templates, JUnit XML, and events while it runs.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::fixture::{TABLE, built, counts, manifest, shop, states};

#[test]
fn a_report_says_where_each_picture_is_and_what_template_made_it() {
    let rig = shop();
    let plan = rig.run(&["plan", "--json"]).expect(0).json();
    assert!(plan["items"].as_array().expect("items").iter().all(|item| item["file"] == Value::Null), "{plan:#}");
    rig.run(&["batch"]).expect(0);
    for args in [vec!["batch", "--json"], vec!["batch", "--json", "--force", "--seed", "5"]] {
        let report = rig.run(&args).expect(0).json();
        let root = Path::new(report["root"].as_str().expect("a root"));
        assert!(root.is_absolute());
        for item in report["items"].as_array().expect("items") {
            let file = item["file"].as_str().expect("a file");
            assert_eq!(Path::new(file), root.join(item["path"].as_str().expect("a path")));
            assert!(Path::new(file).is_file());
            assert_eq!((&item["template"], &item["template_version"]), (&json!("card"), &json!(1)));
            assert_eq!(item["pixels"].as_str().map(str::len), Some(64));
        }
    }
}

#[test]
fn some_assets_are_built_and_the_rest_of_the_lock_stays() {
    let rig = shop();
    let report = rig.run(&["batch", "--asset", "sword", "--json"]).expect(0).json();
    assert_eq!(counts(&report), [2, 0, 0, 2, 0]);
    assert!(states(&report).iter().all(|state| state.contains("sword")), "{report:#}");
    let report = rig.run(&["batch", "--asset", "shield", "--locale", "de", "--json"]).expect(0).json();
    assert_eq!((counts(&report), &report["orphans"]), ([1, 0, 0, 1, 0], &json!(0)));
    let report = rig.run(&["batch", "--json"]).expect(0).json();
    assert_eq!(counts(&report), [4, 3, 0, 1, 0]);
    rig.run(&["batch", "--asset", "sword,sheild"]).expect(2).says(&["sheild", "did you mean \"shield\"?"]);
}

/// Attributes of the first element called `name` whose text holds `words`.
fn element<'x>(xml: &'x str, name: &str, words: &str) -> &'x str {
    let start = format!("<{name} ");
    let found = xml.match_indices(&start).map(|(at, _)| &xml[at..at + xml[at..].find('>').expect("an end")]);
    found.clone().find(|tag| tag.contains(words)).unwrap_or_else(|| panic!("no {name} with {words} in {xml}"))
}

#[test]
fn a_ci_server_reads_the_build_as_tests() {
    let rig = built();
    rig.write("thumbforge.toml", manifest("[assets.\"a<b>&\\\"c\"]\ntemplate = \"card\"\nvars = { subject = \"x\" }\noutput = \"Assets/odd.{{ locale }}.png\"\n"));
    rig.write(
        "Shop.csv",
        format!("{}\"a<b>&\"\"c.title\",Odd,Seltsam\n", TABLE.replace("Schwert", &"Donaudampfschiff".repeat(16))),
    );
    rig.write("Assets/odd.en.png", "somebody else's");
    rig.run(&["batch", "--junit", "junit.xml"]).expect(3);
    let xml = String::from_utf8(rig.read("junit.xml")).expect("UTF-8");
    let all = element(&xml, "testsuites", "");
    assert!(all.contains("tests=\"6\" failures=\"1\" errors=\"0\" skipped=\"1\""), "{xml}");
    let failed = element(&xml, "testcase", "sword [de]");
    assert!(failed.contains("classname=\"thumbforge.sword\""), "{xml}");
    assert!(element(&xml, "failure", "").contains("type=\"text_does_not_fit\""), "{xml}");
    element(&xml, "testsuite", "name=\"a&lt;b&gt;&amp;&quot;c\"");
    assert!(element(&xml, "skipped", "").contains("--force"), "{xml}");
    assert!(xml.contains("<property name=\"template\" value=\"card\"/>"), "{xml}");
    // A check has the pictures that are not up to date as failures, and a gate those that it turned away.
    rig.write("Shop.csv", TABLE.replace("Sword", "Blade"));
    rig.write("thumbforge.toml", manifest(""));
    rig.run(&["batch", "--check", "--junit", "junit.xml"]).expect(7);
    let xml = String::from_utf8(rig.read("junit.xml")).expect("UTF-8");
    // The lock still has the odd one, which the manifest has no more.
    assert!(element(&xml, "testsuites", "").contains("tests=\"5\" failures=\"2\""), "{xml}");
    assert!(element(&xml, "failure", "").contains("type=\"out_of_date\""), "{xml}");
    element(&xml, "testcase", "thumbforge.lock [Assets/odd.de.png]");
    rig.run(&["batch", "--deny", "builtin", "--junit", "new/folder/junit.xml"]).expect(7);
    let xml = String::from_utf8(rig.read("new/folder/junit.xml")).expect("UTF-8");
    assert!(element(&xml, "testsuites", "").contains("tests=\"4\" failures=\"4\""), "{xml}");
}

#[test]
fn events_tell_what_happens_in_its_order() {
    let rig = shop();
    let events = || -> Vec<Value> {
        let text = String::from_utf8(rig.read("events.ndjson")).expect("UTF-8");
        text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    };
    let report = rig.run(&["batch", "--events", "events.ndjson", "--json"]).expect(0).json();
    let told = events();
    let words: Vec<&str> =
        told.iter().filter_map(|event| event["event"].as_str()).filter(|word| *word != "state").collect();
    assert_eq!(words, ["begin", "ended", "ended", "ended", "ended", "finished"]);
    let begun = told[0]["items"].as_array().expect("items");
    assert_eq!(begun.len(), 4);
    assert!(
        begun.contains(&json!({
            "asset": "sword", "locale": "en", "path": "Assets/Shop/sword.en.png", "tier": "production"
        })),
        "{begun:?}"
    );
    for event in told.iter().filter(|event| event["event"] == "ended") {
        assert!(report["items"].as_array().expect("items").contains(&event["item"]), "{event:#}");
    }
    assert_eq!(told.last(), Some(&json!({"event": "finished", "exit": 0})));
    // A later build begins the file anew, and one that cannot begin says so too.
    rig.run(&["batch", "--events", "events.ndjson"]).expect(0);
    assert_eq!(events(), [json!({"event": "begin", "items": []}), json!({"event": "finished", "exit": 0})]);
    fs::remove_file(rig.project().join("Shop.csv")).expect("a table");
    rig.run(&["batch", "--events", "events.ndjson"]).expect(2);
    assert_eq!(events(), [json!({"event": "finished", "exit": 2})]);
}

#[test]
fn a_report_that_cannot_be_written_does_not_lose_the_build() {
    let rig = shop();
    rig.write("folder/in the way", "");
    rig.run(&["batch", "--report", "folder", "--junit", "junit.xml"]).expect(3).says(&["folder", "error[output_file]"]);
    assert!(rig.project().join("junit.xml").is_file());
    rig.run(&["batch", "--check"]).expect(0);
}

#[test]
fn import_profiles_reach_unity_before_the_textures() {
    let rig = shop();
    let profiles = "[profiles.card]\ntexture_type = \"sprite\"\nmax_size = 512\n";
    rig.write(
        "thumbforge.toml",
        manifest(profiles).replace("[templates.card]", "[templates.card]\nprofile = \"card\""),
    );
    rig.run(&["batch"]).expect(0);
    assert!(!rig.project().join("Library").exists(), "no Unity project, no profiles");
    for folder in ["Assets", "ProjectSettings"] {
        fs::create_dir_all(rig.project().join(folder)).expect("a folder");
    }
    rig.run(&["batch", "--check"]).expect(0);
    assert!(!rig.project().join("Library").exists(), "a check writes nothing");
    rig.run(&["batch", "--asset", "sword"]).expect(0);
    let said = || -> Vec<Value> {
        let all: Value = serde_json::from_slice(&rig.read("Library/Thumbforge/profiles.json")).expect("JSON");
        all["files"].as_array().cloned().expect("files")
    };
    assert_eq!(said().len(), 2);
    rig.run(&["batch"]).expect(0);
    assert_eq!(said().len(), 4);
    assert_eq!(
        said()[0],
        json!({
            "path": "Assets/Shop/shield.de.png",
            "manifest": "thumbforge.toml",
            "profile": {"texture_type": "sprite", "max_size": 512},
        })
    );
    rig.write("thumbforge.toml", manifest(""));
    rig.run(&["batch"]).expect(0);
    assert!(said().is_empty());
}
