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
