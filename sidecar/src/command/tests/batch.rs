//! `batch` over the command: the same build as the command line's, its steps, its gates, and its end when it is taken back.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_draws_and_asked_again_finds_nothing_to_do() {
    let place = Place::new().await;
    let report = place.folder.path().join("report.json");
    let command = json!({"verb": "batch", "manifest": place.path(""), "report": report});
    let steps = Arc::new(Steps::default());
    let json = command.to_string();
    let answered = run(json.as_bytes(), &place.services(), steps.clone(), CancellationToken::new()).await;
    let Ok(Answered::Value(answer)) = answered else { panic!("{answered:?}") };
    assert_eq!((&answer["exit"], &answer["message"], &answer["errors"]), (&json!(0), &json!(""), &json!([])));
    assert_eq!((&answer["report"]["rendered"], &answer["report"]["items"]), (&json!(4), &Value::Null));
    assert_eq!(steps.0.lock().as_slice(), [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]);
    let written: Value = serde_json::from_slice(&std::fs::read(&report).expect("a report")).expect("JSON");
    assert_eq!(written["items"].as_array().map(Vec::len), Some(4));
    let again = place.value(command).await;
    assert_eq!((&again["exit"], &again["report"]["unchanged"]), (&json!(0), &json!(4)));
    place.app.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mistakes_in_the_teams_files_are_an_answer() {
    let place = Place::new().await;
    place.write("thumbforge.toml", MANIFEST.replace("subject }} on", "subjekt }} on"));
    let answer = place.value(json!({"verb": "batch", "manifest": place.path("")})).await;
    assert_eq!((&answer["exit"], &answer["report"]), (&json!(exit::INPUT), &Value::Null));
    let first = &answer["errors"][0];
    assert_eq!(first["code"], "invalid_manifest");
    assert!(first["message"].as_str().is_some_and(|message| message.contains("subjekt")), "{answer}");
    place.write("thumbforge.toml", "requires = \">=99\"");
    let answer = place.value(json!({"verb": "batch", "manifest": place.path("")})).await;
    assert_eq!(answer["exit"], exit::MISMATCH);
    let answer = place.value(json!({"verb": "batch", "manifest": place.path("nowhere")})).await;
    assert_eq!(answer["exit"], exit::INPUT);
    place.app.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gates_shut_in_the_words_of_the_command_line() {
    let place = Place::new().await;
    let manifest = place.path("");
    let check = json!({"verb": "batch", "manifest": manifest, "check": true});
    assert_eq!(place.value(check.clone()).await["exit"], exit::GATE);
    assert!(!place.path("Assets").exists());
    let dry = json!({"verb": "batch", "manifest": manifest, "dry_run": true});
    assert_eq!(place.value(dry).await["exit"], exit::DONE);
    let denied = place.value(json!({"verb": "batch", "manifest": manifest, "deny": ["builtin"]})).await;
    assert_eq!(denied["exit"], exit::GATE);
    assert!(denied["message"].as_str().is_some_and(|message| message.contains("Assets/shield.de.png")), "{denied}");
    assert_eq!(place.value(check).await["exit"], exit::DONE);
    // One picture whose words do not fit fails, and the others stand.
    place
        .write("Shop.csv", format!("Key,en,de\nsword.title,Sword,{}\nshield.title,Shield,Schild\n", "Lang".repeat(99)));
    let failed = place.value(json!({"verb": "batch", "manifest": manifest})).await;
    assert_eq!((&failed["exit"], &failed["report"]["failed"]), (&json!(exit::FAILED), &json!(1)));
    assert!(failed["message"].as_str().is_some_and(|message| message.contains("Assets/sword.de.png")), "{failed}");
    place.app.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_that_is_taken_back_keeps_what_it_made_and_reports() {
    let place = Place::new().await;
    let report = place.folder.path().join("report.json");
    let command = json!({"verb": "batch", "manifest": place.path(""), "report": report});
    let (token, json) = (CancellationToken::new(), command.to_string());
    token.cancel();
    let failure =
        run(json.as_bytes(), &place.services(), Arc::new(Steps::default()), token).await.expect_err("taken back");
    assert_eq!(failure.code, ErrorCode::Cancelled);
    let written: Value = serde_json::from_slice(&std::fs::read(&report).expect("a report")).expect("JSON");
    assert_eq!(written["cancelled"], 4);
    assert_eq!(place.value(command).await["exit"], exit::DONE);
    place.app.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_editor_may_not_write_is_drawn_by_nobody() {
    let place = Place::new().await;
    let events = place.folder.path().join("events.ndjson");
    let except = ["Assets/sword.en.png", "Assets/nothing.png"];
    let answer =
        place.value(json!({"verb": "batch", "manifest": place.path(""), "except": except, "events": events})).await;
    assert_eq!((&answer["exit"], &answer["report"]["failed"]), (&json!(exit::FAILED), &json!(1)));
    assert!(!place.path("Assets/sword.en.png").exists());
    assert!(place.path("Assets/sword.de.png").exists());
    assert_eq!(place.app.intake().jobs(None, 10).expect("jobs").len(), 3);
    let told = std::fs::read_to_string(&events).expect("events");
    assert!(told.contains("\"version_control\"") && told.contains("\"exit\":3"), "{told}");
    place.app.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_draft_is_accepted_and_put_into_its_place() {
    let place = Place::new().await;
    let (manifest, drafts) = (place.path(""), place.path("Drafts"));
    let draft = json!({
        "verb": "batch", "manifest": manifest, "out": drafts, "tier": "preview", "seed": 5, "assets": ["sword"],
        "locales": ["de"], "size": null,
    });
    assert_eq!(place.value(draft).await["report"]["rendered"], 1);
    let accept = json!({
        "verb": "approve", "manifest": manifest, "asset": "sword", "locale": "de", "decision": "accepted",
        "person": "Kim", "from": drafts,
    });
    let answer = place.value(accept.clone()).await;
    assert_eq!((&answer["exit"], &answer["path"]), (&json!(0), &json!("Assets/sword.de.png")));
    assert_eq!((&answer["message"], &answer["seed"]), (&json!(""), &json!(5)));
    // Asked again, after a crash say, it changes nothing.
    let again = place.value(accept).await;
    assert_eq!((&again["exit"], &again["pixels"], &again["seed"]), (&json!(0), &answer["pixels"], &Value::Null));
    let gate = json!({"verb": "batch", "manifest": manifest, "require": ["approved"]});
    let shut = place.value(gate.clone()).await;
    assert_eq!(shut["exit"], exit::GATE);
    assert!(shut["message"].as_str().is_some_and(|message| message.contains("nobody has decided on it")), "{shut}");
    for (asset, locale) in [("sword", "en"), ("sword", "de"), ("shield", "en"), ("shield", "de")] {
        let order = json!({
            "verb": "approve", "manifest": manifest, "asset": asset, "locale": locale, "decision": "accepted",
            "person": "Kim", "role": "art-director", "note": "",
        });
        assert_eq!(place.value(order).await["exit"], exit::DONE);
    }
    assert_eq!(place.value(gate).await["exit"], exit::DONE);
    let wrong = json!({
        "verb": "approve", "manifest": manifest, "asset": "swrod", "locale": "de", "decision": "rejected",
        "person": "Kim",
    });
    let answer = place.value(wrong).await;
    assert_eq!((&answer["exit"], &answer["path"]), (&json!(exit::INPUT), &Value::Null));
    place.app.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn builds_and_decisions_at_the_same_time_lose_nothing() {
    let place = Arc::new(Place::new().await);
    let manifest = place.path("");
    let halves = ["sword", "shield"].map(|asset| {
        let (place, command) = (place.clone(), json!({"verb": "batch", "manifest": manifest, "assets": [asset]}));
        tokio::spawn(async move { place.value(command).await["exit"].clone() })
    });
    for half in halves {
        assert_eq!(half.await.expect("a build"), exit::DONE);
    }
    let decisions: Vec<_> = (0..8)
        .map(|number| {
            let place = place.clone();
            let order = json!({
                "verb": "approve", "manifest": manifest, "asset": "sword", "locale": "en", "decision": "accepted",
                "person": "Kim", "role": format!("role {number}"),
            });
            tokio::spawn(async move { place.value(order).await["exit"].clone() })
        })
        .collect();
    for decision in decisions {
        assert_eq!(decision.await.expect("a decision"), exit::DONE);
    }
    let lock = std::fs::read_to_string(place.path("thumbforge.lock")).expect("a lock");
    assert_eq!(lock.lines().count(), 5, "{lock}");
    let approvals = std::fs::read_to_string(place.path("thumbforge.approvals")).expect("approvals");
    assert_eq!(approvals.lines().count(), 9, "{approvals}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn some_outputs_alone_are_made() {
    let place = Place::new().await;
    let only = |paths: &[&str]| json!({"verb": "batch", "manifest": place.path(""), "only": paths, "force": true});
    let answer = place.value(only(&["Assets/sword.en.png", "Assets/shield.de.png"])).await;
    assert_eq!((&answer["exit"], &answer["report"]["planned"]), (&json!(0), &json!(2)));
    assert!(!place.path("Assets/sword.de.png").exists());
    let answer = place.value(only(&[])).await;
    assert_eq!((&answer["report"]["planned"], &answer["report"]["orphans"]), (&json!(4), &json!(0)));
    place.app.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_tell_of_an_image_before_it_ends() {
    let place = Place::new().await;
    let events = place.folder.path().join("events.ndjson");
    place.value(json!({"verb": "batch", "manifest": place.path(""), "events": events})).await;
    let told = std::fs::read_to_string(&events).expect("events");
    let told: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    // What comes fast may be skipped, but nothing is told of an image that has ended, and no ending is told as a state.
    let mut ended = Vec::new();
    for event in &told {
        match event["event"].as_str() {
            Some("state") => {
                assert!(!ended.contains(&&event["path"]), "{event} after its end");
                let state = event["state"].as_str().expect("a state");
                assert!(["queued", "planning", "running", "verifying", "repairing"].contains(&state), "{event}");
            }
            Some("ended") => ended.push(&event["item"]["path"]),
            _ => {}
        }
    }
    assert_eq!(ended.len(), 4);
    place.app.drain().await;
}

/// Takes one image back as soon as it hears of the build.
struct Regret(PathBuf);

impl Watch for Regret {
    fn step(&self, done: u32, _all: u32) {
        if done == 0 {
            let taken_back = crate::command::cancel::take_back(&self.0, "sword", "de").expect("a manifest");
            assert_eq!(taken_back, 1);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_image_is_taken_back_and_the_others_are_made() {
    let place = Place::new().await;
    let manifest = place.path("");
    let json = json!({"verb": "batch", "manifest": manifest}).to_string();
    let regret = Arc::new(Regret(manifest.clone()));
    let answered = run(json.as_bytes(), &place.services(), regret, CancellationToken::new()).await;
    let Ok(Answered::Value(answer)) = answered else { panic!("{answered:?}") };
    assert_eq!((&answer["exit"], &answer["report"]["cancelled"]), (&json!(exit::FAILED), &json!(1)));
    assert_eq!(answer["report"]["rendered"], 3);
    assert!(answer["message"].as_str().is_some_and(|message| message.contains("sword.de.png: it was taken back")));
    assert!(!place.path("Assets/sword.de.png").exists());
    // Nothing runs any more; the next build makes it.
    let cancel = json!({"verb": "cancel", "manifest": manifest, "asset": "sword", "locale": "de"});
    assert_eq!(place.value(cancel).await["taken_back"], 0);
    assert_eq!(place.value(json!({"verb": "batch", "manifest": manifest})).await["exit"], exit::DONE);
    place.app.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_files_of_an_earlier_run_say_nothing_of_one_that_could_not_begin() {
    let place = Place::new().await;
    let (report, junit) = (place.folder.path().join("report.json"), place.folder.path().join("junit.xml"));
    let check = json!({"verb": "batch", "manifest": place.path(""), "report": report, "junit": junit});
    assert_eq!(place.value(check.clone()).await["exit"], exit::DONE);
    assert!(report.is_file() && std::fs::read_to_string(&junit).is_ok_and(|text| text.contains("failures=\"0\"")));
    place.write("thumbforge.toml", "project = [");
    assert_eq!(place.value(check).await["exit"], exit::INPUT);
    assert!(!report.exists());
    let said = std::fs::read_to_string(&junit).expect("a page that says why");
    assert!(said.contains("tests=\"1\" failures=\"1\"") && said.contains("type=\"invalid_manifest\""), "{said}");
    place.app.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_seeds_of_drafts_that_are_accepted_at_once_are_all_kept() {
    let place = Place::new().await;
    let names: Vec<String> = (0..24).map(|number| format!("item{number}")).collect();
    let head = MANIFEST.split("[assets.sword]").next().expect("a head");
    let asset = |name: &String| format!("[assets.{name}]\ntemplate = \"card\"\nvars = {{ subject = \"{name}\" }}\n");
    place.write("thumbforge.toml", head.to_owned() + &names.iter().map(asset).collect::<String>());
    let string = |name: &String| format!("{name}.title,It,Es\n");
    place.write("Shop.csv", "Key,en,de\n".to_owned() + &names.iter().map(string).collect::<String>());
    let (manifest, drafts) = (place.path(""), place.path("Drafts"));
    let draft = json!({
        "verb": "batch", "manifest": manifest, "out": drafts, "tier": "preview", "seed": 5, "locales": ["en"],
    });
    assert_eq!(place.value(draft).await["report"]["rendered"], names.len());
    let accepted = names.iter().map(|name| {
        place.value(json!({
            "verb": "approve", "manifest": manifest, "asset": name, "locale": "en", "decision": "accepted",
            "person": "Kim", "from": drafts,
        }))
    });
    for answer in futures_util::future::join_all(accepted).await {
        assert_eq!(answer["exit"], exit::DONE, "{answer}");
    }
    let kept = std::fs::read_to_string(place.path("thumbforge.toml")).expect("a manifest");
    assert_eq!(kept.matches("seed = 5\n").count(), names.len());
    let decided = std::fs::read_to_string(place.path("thumbforge.approvals")).expect("approvals");
    assert_eq!(decided.lines().count(), 1 + names.len());
    let locked = std::fs::read_to_string(place.path("thumbforge.lock")).expect("a lock");
    assert!(names.iter().all(|name| locked.contains(&format!("Assets/{name}.en.png"))));
    place.app.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_decides_on_pixels_that_they_have_not_seen() {
    let place = Place::new().await;
    let (manifest, report) = (place.path(""), place.folder.path().join("report.json"));
    let build = json!({"verb": "batch", "manifest": manifest, "report": report});
    assert_eq!(place.value(build.clone()).await["exit"], exit::DONE);
    let seen = || -> Value {
        let report: Value = serde_json::from_slice(&std::fs::read(&report).expect("a report")).expect("JSON");
        let items = report["items"].as_array().cloned().expect("items");
        items.into_iter().find(|item| item["path"] == "Assets/sword.en.png").expect("an item")["pixels"].clone()
    };
    let first = seen();
    // Meanwhile somebody else draws it anew.
    place.write("thumbforge.toml", MANIFEST.replace("a steel sword", "a golden sword"));
    assert_eq!(place.value(build).await["exit"], exit::DONE);
    let order = |pixels: &Value| {
        json!({
            "verb": "approve", "manifest": manifest, "asset": "sword", "locale": "en", "decision": "accepted",
            "person": "Kim", "pixels": pixels,
        })
    };
    let late = place.value(order(&first)).await;
    assert_eq!(late["exit"], exit::INPUT);
    assert!(late["message"].as_str().is_some_and(|message| message.contains("it has changed")), "{late}");
    assert!(!place.path("thumbforge.approvals").exists());
    let second = seen();
    let answer = place.value(order(&second)).await;
    assert_eq!((&answer["exit"], &answer["pixels"]), (&json!(exit::DONE), &second));
    place.app.drain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_that_fails_says_why_in_its_sentence_and_on_the_test_page() {
    let place = Place::new().await;
    let (manifest, junit) = (place.path(""), place.folder.path().join("junit.xml"));
    assert_eq!(place.value(json!({"verb": "batch", "manifest": manifest})).await["exit"], exit::DONE);
    let check = json!({"verb": "batch", "manifest": manifest, "check": true, "junit": junit});
    let page = || std::fs::read_to_string(&junit).expect("a page");
    assert_eq!(place.value(check.clone()).await["exit"], exit::DONE);
    assert!(page().contains("tests=\"4\" failures=\"0\""));

    // A tool has rewritten the file around its pixels, so the committed lock names another one.
    let file = place.path("Assets/sword.de.png");
    let bytes = std::fs::read(&file).expect("a picture");
    std::fs::write(&file, [&bytes[..], b"trailing"].concat()).expect("written");
    let answer = place.value(check.clone()).await;
    assert_eq!(answer["exit"], exit::GATE);
    assert!(answer["message"].as_str().is_some_and(|message| message.contains("Assets/sword.de.png")), "{answer}");
    assert!(page().contains("tests=\"4\" failures=\"1\""), "{}", page());
    std::fs::write(&file, bytes).expect("written");

    place.write("thumbforge.toml", MANIFEST.split("[assets.shield]").next().expect("a head"));
    let answer = place.value(check).await;
    assert_eq!(answer["exit"], exit::GATE);
    assert!(answer["message"].as_str().is_some_and(|message| message.contains("Assets/shield.de.png")), "{answer}");
    assert!(page().contains("tests=\"4\" failures=\"2\""), "{}", page());
    place.app.drain().await;
}
