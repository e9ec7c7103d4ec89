//! Copies for stores, and what is disclosed of them: as a person and as a CI does it.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use thumbforge_tests::rig::{Rig, snapshot};

use crate::fixture::{built, manifest};

#[cfg(unix)]
mod mixed;
#[cfg(all(unix, feature = "dist"))]
mod signed;

const SWORD: &str = "Assets/Shop/sword.en.png";

/// What `show --json` says of one file.
fn shown(rig: &Rig, file: &Path) -> Value {
    let name = file.display().to_string();
    rig.run(&["show", "--json", &name]).expect(0).json()[0].clone()
}

/// Lines of a CSV, each as its cells; the lists of these tests have no line breaks within cells.
fn cells(text: &str) -> Vec<Vec<String>> {
    let line = |line: &str| {
        let (mut cells, mut quoted) = (vec![String::new()], false);
        for c in line.chars() {
            match c {
                '"' => quoted = !quoted,
                ',' if !quoted => cells.push(String::new()),
                c => cells.last_mut().expect("a cell").push(c),
            }
        }
        cells
    };
    text.trim_start_matches('\u{feff}').lines().map(line).collect()
}

#[test]
fn copies_say_where_they_come_from_and_the_project_stays_as_it_is() {
    let rig = built();
    rig.write(
        "thumbforge.toml",
        manifest(
            "[export]\ncreator = \"Søn & Daughter\"\ncredit = \"Example <Studio>\"\ncopyright = \"© 2026\"\n\
             terms = \"https://example.com/terms\"\ndata_mining = \"no-training\"\n",
        ),
    );
    let before = rig.snapshot();
    let out = rig.path().join("Store");
    let to = out.display().to_string();
    let ran = rig.run(&["export", "--out", &to, "--json"]).expect(0).says(&["4 exported", "nothing was signed"]);
    let report = ran.json();
    assert_eq!((&report["exported"], &report["exit"]), (&json!(4), &json!(0)));
    assert!(rig.snapshot() == before, "the project was changed");
    let copies = snapshot(&out);
    assert_eq!(copies.len(), 4);
    assert!(copies[SWORD] != before[SWORD]);

    let copy = shown(&rig, &out.join(SWORD));
    assert_eq!(copy["provenance"], shown(&rig, &rig.project().join(SWORD))["provenance"]);
    assert_eq!(copy["keys_agree"], true);
    assert_eq!(
        copy["xmp"],
        json!({
            "source_type": "algorithmicMedia",
            "creator_tool": format!("Thumbforge {}", env!("CARGO_PKG_VERSION")),
            "creator": "Søn & Daughter",
            "credit": "Example <Studio>",
            "copyright": "© 2026",
            "terms": "https://example.com/terms",
            "data_mining": "DMI-PROHIBITED-AIMLTRAINING",
        })
    );
    assert_eq!(copy["c2pa"], Value::Null);
    // The working picture has none of it: the same realised key gives the same bytes.
    assert_eq!(shown(&rig, &rig.project().join(SWORD))["xmp"], Value::Null);
    rig.run(&["show", &out.join(SWORD).display().to_string()]).expect(0);
    // Done again it gives the same bytes.
    rig.run(&["export", "--out", &to]).expect(0);
    assert!(snapshot(&out) == copies);
    // Words of the manifest about whose they are draw nothing anew.
    rig.run(&["batch", "--check"]).expect(0);

    // For whom prompts are secrets.
    rig.run(&["export", "--out", &to, "--without-recipe", "--asset", "sword", "--locale", "en"]).expect(0);
    let bare = shown(&rig, &out.join(SWORD));
    assert_eq!((&bare["provenance"], &bare["parameters"]), (&Value::Null, &Value::Null));
    assert_eq!(bare["xmp"], copy["xmp"]);
    assert!(!String::from_utf8_lossy(&fs::read(out.join(SWORD)).expect("a copy")).contains("a steel sword"));
}

#[test]
fn what_is_missing_or_changed_stays_behind_and_is_named() {
    let rig = built();
    let out = rig.path().join("Store").display().to_string();
    fs::remove_file(rig.project().join(SWORD)).expect("a picture");
    rig.write("Assets/Shop/shield.de.png", [&rig.read("Assets/Shop/shield.de.png")[..], b"more"].concat());
    let ran = rig.run(&["export", "--out", &out, "--json"]).expect(3);
    let ran = ran.says(&[
        "2 exported",
        "sword.en.png",
        "there is no such file",
        "shield.de.png",
        "changed since it was built",
    ]);
    let report = ran.json();
    assert_eq!((&report["exported"], &report["exit"]), (&json!(2), &json!(3)));
    let items = report["items"].as_array().expect("items");
    let errors = items.iter().filter(|item| item["error"]["code"].is_string()).count();
    assert_eq!((items.len(), errors), (4, 2));
    assert_eq!(snapshot(Path::new(&out)).len(), 2);
    // The list has all four, and says of the two what the lock says.
    let ran = rig.run(&["export", "--disclosure", "--format", "csv"]).expect(3);
    let rows = cells(&ran.stdout);
    let states: Vec<(&str, &str)> = rows[1..].iter().map(|row| (row[2].as_str(), row[3].as_str())).collect();
    assert_eq!(
        states,
        [
            ("Assets/Shop/shield.de.png", "changed"),
            ("Assets/Shop/shield.en.png", "built"),
            ("Assets/Shop/sword.de.png", "built"),
            (SWORD, "missing"),
        ]
    );
    // A manifest that wants something else by now: the picture is still what it says of itself.
    rig.run(&["batch", "--force"]).expect(0);
    rig.write("thumbforge.toml", manifest("").replace("on a table", "on a chair"));
    rig.run(&["export", "--out", &out]).expect(0).says(&["the manifest wants something else", "4 exported"]);
}

#[test]
fn slips_of_the_hand_are_refused_before_anything_is_written() {
    let rig = built();
    let before = rig.snapshot();
    rig.run(&["export"]).expect(2).says(&["--out"]);
    rig.run(&["export", "--out", "."]).expect(2).says(&["the project's own folder"]);
    rig.run(&["export", "--out", "Store", "--sign-cert", "chain.pem"]).expect(2).says(&["--sign-key"]);
    rig.run(&["export", "--out", "Store", "--sign-key", "key.pem"]).expect(2).says(&["--sign-cert"]);
    rig.run(&["export", "--disclosure", "--format", "pdf"]).expect(2).says(&["csv, json or md"]);
    rig.run(&["export", "--out", "Store", "--asset", "swrod"]).expect(2).says(&["did you mean \"sword\"?"]);
    let ran = rig.run(&["export", "--out", "Store", "--sign-cert", "chain.pem", "--sign-key", "key.pem"]).expect(2);
    // A build that cannot sign does not copy without a signature instead.
    if cfg!(feature = "dist") {
        ran.says(&["chain.pem"]);
    } else {
        ran.says(&["this build was made without it"]);
    }
    assert!(rig.snapshot() == before);
    // Nothing leaves that nobody has looked at, where that is asked for.
    let gate = ["export", "--out", "Store", "--require", "approved"];
    rig.run(&gate).expect(7).says(&["nobody has accepted", "nothing was exported"]);
    assert!(!rig.project().join("Store").exists());
    for (asset, locale) in [("sword", "en"), ("sword", "de"), ("shield", "en"), ("shield", "de")] {
        rig.run(&["approve", "--asset", asset, "--locale", locale, "--person", "Kim"]).expect(0);
    }
    rig.run(&gate).expect(0);
    assert_eq!(snapshot(&rig.project().join("Store")).len(), 4);
}

#[test]
fn a_manifest_of_c2pa_is_seen_and_never_taken_on_trust() {
    let rig = built();
    let file = rig.read(SWORD);
    let at = file.len() - 12;
    // A chunk as C2PA's, with nothing of it inside.
    let chunk = [0, 0, 0, 4, b'c', b'a', b'B', b'X', 1, 2, 3, 4, 0, 0, 0, 0];
    rig.write("sealed.png", [&file[..at], &chunk, &file[at..]].concat());
    let (code, state) = if cfg!(feature = "dist") { (7, "invalid") } else { (0, "unchecked") };
    let ran = rig.run(&["show", "--json", "sealed.png"]).expect(code);
    assert_eq!(ran.json()[0]["c2pa"]["state"], state);
    let text = rig.run(&["show", "sealed.png"]).expect(code).stdout;
    assert!(!text.contains("; valid") && text.contains("C2PA"), "{text}");
    if !cfg!(feature = "dist") {
        assert!(text.contains("this build cannot check it"), "{text}");
        rig.write("roots.pem", "");
        rig.run(&["show", "sealed.png", "--trust", "roots.pem"]).expect(2).says(&["this build was made without it"]);
    }
}

#[test]
fn the_list_says_what_forms_ask_for() {
    let rig = built();
    rig.run(&["approve", "--asset", "sword", "--locale", "en", "--person", "Kim", "--role", "legal"]).expect(0);
    // No sidecar, no journal of this machine: as in a fresh clone.
    let clone = rig.path().join("clone").display().to_string();
    let value = rig.run(&["export", "--disclosure", "--json", "--data-dir", &clone]).expect(0).json();
    let expected = json!({
        "pictures": 4, "of_models": 0, "of_models_accepted": 0, "of_algorithms": 4, "own": 0, "unread": 0,
    });
    assert_eq!(value["totals"], expected);
    assert_eq!((&value["project"], &value["models"]), (&json!("com.example.shop"), &json!([])));
    let by: Vec<&Value> = value["pictures"].as_array().expect("rows").iter().map(|row| &row["made_by"]).collect();
    assert_eq!(by, [&json!("file"); 4]);
    let value = rig.run(&["export", "--disclosure", "--json"]).expect(0).json();
    let sword = value["pictures"].as_array().expect("rows").iter().find(|row| row["path"] == SWORD).expect("the sword");
    assert_eq!((&sword["kind"], &sword["made_by"]), (&json!("algorithm"), &json!("journal")));
    assert_eq!((&sword["approval"]["state"], &sword["approval"]["role"]), (&json!("accepted"), &json!("legal")));
    assert!(!value["works"].as_array().expect("works").is_empty(), "the built-in engine draws icons of others");

    let text = rig.run(&["export", "--disclosure"]).expect(0).stdout;
    assert!(text.contains("**A generative model made or changed 0 of 4 pictures.**"), "{text}");
    let rows = cells(&rig.run(&["export", "--disclosure", "--format", "csv"]).expect(0).stdout);
    assert_eq!(rows.len(), 5);
    assert!(rows.iter().all(|row| row.len() == rows[0].len()), "{rows:?}");
    // Beside copies it is a file among them.
    let out = rig.path().join("Store");
    rig.run(&["export", "--out", &out.display().to_string(), "--disclosure", "--format", "csv"]).expect(0);
    assert_eq!(cells(&fs::read_to_string(out.join("disclosure.csv")).expect("the list")), rows);
}

#[cfg(unix)]
#[test]
fn models_are_named_with_their_licences_and_own_art_is_none() {
    let rig = mixed::mixed();
    let value = rig.run(&["export", "--disclosure", "--json"]).expect(0).json();
    let expected = json!({
        "pictures": 5, "of_models": 2, "of_models_accepted": 0, "of_algorithms": 1, "own": 2, "unread": 0,
    });
    assert_eq!(value["totals"], expected, "{value:#}");
    let model = json!({
        "model": "gpt-image-2", "name": "GPT Image 2", "provider": "openai", "licence": "openai-terms", "pictures": 2,
    });
    assert_eq!(value["models"], json!([model]));
    let found: Vec<(&str, &str, &str)> = value["pictures"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| ["path", "kind", "source_type"].map(|name| row[name].as_str().unwrap_or("?")))
        .map(|[path, kind, term]| (path, kind, term))
        .collect();
    let composite = "compositeWithTrainedAlgorithmicMedia";
    assert_eq!(
        found,
        [
            ("plain.png", "model", "trainedAlgorithmicMedia"),
            ("worded.png", "model", composite),
            ("builtin.png", "algorithm", "algorithmicMedia"),
            ("kept.png", "own", "?"),
            ("own.png", "own", "humanEdits"),
        ]
    );
    let out = rig.path().join("Store");
    rig.run(&["export", "--out", &out.display().to_string()]).expect(0);
    assert_eq!(shown(&rig, &out.join("plain.png"))["xmp"]["ai_system"], "GPT Image 2");
    assert_eq!(shown(&rig, &out.join("own.png"))["xmp"]["ai_system"], Value::Null);

    // The team's own picture that says of itself that a model made it stays one of a model, and asks for a new build.
    let told = fs::read(out.join("plain.png")).expect("a copy");
    rig.write("Art/own.png", told);
    rig.run(&["export", "--out", &out.display().to_string()]).expect(0).says(&["the manifest wants something else"]);
    rig.run(&["batch", "--asset", "own"]).expect(0);
    let value = rig.run(&["export", "--disclosure", "--json", "--asset", "own"]).expect(0).json();
    assert_eq!(
        (&value["pictures"][0]["kind"], &value["pictures"][0]["source_type"]),
        (&json!("model"), &json!(composite))
    );
    assert_eq!(value["models"][0]["name"], "named by the team's own picture");
}
