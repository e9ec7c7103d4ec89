//! `thumbforge verify`: right words, wrong words, words that nobody can read, policies, boxes, crops and exit codes.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use thumbforge_tests::not_run;
use thumbforge_tests::provider::{Provider, Reply, Rule};
use thumbforge_tests::rig::{Ran, Rig};

use crate::BINARY;
use crate::fixture::with_account;

/// A rig with `sale.png`, which shows MEGA SALE; `None`, said loudly, where this machine cannot read English.
fn shop(test: &str) -> Option<Rig> {
    shop_of(test, Rig::new(BINARY))
}

fn shop_of(test: &str, rig: Rig) -> Option<Rig> {
    let doctor = rig.run(&["doctor", "--json"]).expect(0).json();
    let reader = doctor.as_array().expect("lines").iter().find(|line| line["what"] == "text reader").expect("a line");
    let says = reader["says"].as_str().unwrap_or_default();
    if reader["ok"] != true || !says.contains(" reads en") {
        not_run(&format!("{test}: this machine cannot read words: {says}"));
        return None;
    }
    picture(&rig, "sale.png", "MEGA SALE");
    Some(rig)
}

fn picture(rig: &Rig, file: &str, words: &str) {
    rig.run(&["generate", "a red potion on a table", "--seed", "7", "--text", words, "--out-file", file, "-q"])
        .expect(0);
}

/// The lines that scripts read, one for each file.
#[track_caller]
fn lines(ran: &Ran) -> Vec<Value> {
    let line = |line: &str| serde_json::from_str(line).unwrap_or_else(|err| panic!("{err}: {line}"));
    ran.stdout.lines().map(line).collect()
}

/// Code, severity and message of every finding of a line.
fn findings(line: &Value) -> Vec<String> {
    let findings = line["findings"].as_array().unwrap_or_else(|| panic!("no findings in {line:#}"));
    let word = |finding: &Value, name: &str| finding[name].as_str().unwrap_or_default().to_owned();
    findings.iter().map(|finding| ["severity", "code", "message"].map(|name| word(finding, name)).join(" ")).collect()
}

#[test]
fn right_words_pass_with_their_scores_and_their_place() {
    let Some(rig) = shop("right_words_pass") else { return };
    let ran = rig.run(&["verify", "sale.png", "--expect", "MEGA SALE", "--lang", "en-US", "--json"]).expect(0);
    let [line] = &lines(&ran)[..] else { panic!("{}", ran.stdout) };
    assert_eq!(
        (&line["file"], &line["passed"], line["size"]["width"].as_u64()),
        (&"sale.png".into(), &true.into(), Some(512))
    );
    let word = &line["words"][0];
    assert_eq!((word["presence"].as_f64(), &word["locale"]), (Some(1.0), &"en-US".into()), "{line:#}");
    let place: Vec<u64> = word["box"].as_array().expect("a box").iter().filter_map(Value::as_u64).collect();
    assert!(place.len() == 4 && place[1] < 150 && place[2] > 150, "{place:?}");
    let readers = line["readers"].as_array().expect("readers");
    assert!(readers[0].as_str().is_some_and(|reader| reader.starts_with("tesseract ")), "{readers:?}");
    assert!(readers[1].as_str().is_some_and(|data| data.starts_with("eng ") && data.len() > 60), "{readers:?}");
    // A picture of ours says itself what it should show.
    let own = rig.run(&["verify", "sale.png", "--json"]).expect(0);
    assert_eq!(lines(&own)[0]["words"][0]["expected"], "MEGA SALE");
    let said = rig.run(&["verify", "sale.png"]).expect(0).stdout;
    assert!(said.contains("ok    sale.png  512x512") && said.contains("MEGA SALE  en"), "{said}");
    assert_eq!(rig.run(&["verify", "sale.png", "-q"]).expect(0).stdout, "");
}

#[test]
fn wrong_words_fail_in_the_words_that_scripts_look_for() {
    let Some(rig) = shop("wrong_words_fail") else { return };
    let ran = rig.run(&["verify", "sale.png", "--expect", "MEGA SALT", "--json"]).expect(7);
    let line = &lines(&ran)[0];
    let told = findings(line);
    assert!(told[0].starts_with("error text_mismatch expected 'MEGA SALT' not found; read '"), "{told:?}");
    let finding = &line["findings"][0];
    assert_eq!((&finding["expected"], finding["box"].as_array().map(Vec::len)), (&"MEGA SALT".into(), Some(4)));
    assert!(finding["score"].as_f64().is_some_and(|score| score > 0.5 && score < 1.0), "{finding:#}");
    let said = rig.run(&["verify", "sale.png", "--expect", "OPEN", "--expect", "SALE"]).expect(7).stdout;
    assert!(said.contains("FAIL  sale.png") && said.contains("error: expected 'OPEN' not found"), "{said}");
    assert!(!said.contains("'SALE' not found"), "{said}");
}

#[test]
fn words_that_nobody_expected_are_a_warning_until_a_policy_says_more() {
    let Some(rig) = shop("words_that_nobody_expected") else { return };
    let check = |args: &[&str], code: i32, expected: &str| {
        let mut all = vec!["verify", "sale.png", "--expect", "SALE", "--json"];
        all.extend(args);
        let ran = rig.run(&all).expect(code);
        let told = findings(&lines(&ran)[0]);
        assert!(told.iter().any(|finding| finding.starts_with(expected)), "{expected:?} is not in {told:?}");
    };
    check(&[], 0, "warning text_unexpected nobody asked for 'MEGA' at ");
    rig.write("strict.toml", "unexpected = 'error'\n");
    check(&["--policy", "strict.toml"], 7, "error text_unexpected");
    rig.write("tall.toml", "text_height = 0.9\nunexpected = 'warning'\n");
    check(&["--policy", "tall.toml"], 7, "error text_too_small the letters of 'SALE' are ");
    rig.write("sharp.toml", "contrast_min = 21\nunexpected = 'warning'\n");
    check(&["--policy", "sharp.toml"], 7, "error low_contrast 'SALE' has a contrast of about");
    rig.write("more.toml", "required = ['ACME']\nunexpected = 'warning'\n");
    check(&["--policy", "more.toml"], 7, "error text_mismatch expected 'ACME' not found");
    // A manifest is a policy too; its margin counts.
    rig.write("thumbforge.toml", "[output]\nsafe_area = 0.25\n[criteria]\nunexpected = 'ignore'\n");
    check(&["--policy", "thumbforge.toml"], 7, "error text_outside_safe_area 'SALE' reaches into the outer 25 %");
    rig.write("thumbforge.toml", "[criteria]\ntext = 'warning'\nunexpected = 'ignore'\n");
    let lenient = ["verify", "sale.png", "--expect", "SOLD", "--policy", "thumbforge.toml", "--json"];
    let told = findings(&lines(&rig.run(&lenient).expect(0))[0]);
    assert!(told.len() == 1 && told[0].starts_with("warning text_mismatch expected 'SOLD' not found"), "{told:?}");
}

#[test]
fn a_box_is_a_promise_too() {
    let Some(rig) = shop("a_box_is_a_promise_too") else { return };
    let verify = |place: &str, code: i32| {
        rig.run(&["verify", "sale.png", "--expect", "MEGA SALE", "--box", place, "--json"]).expect(code)
    };
    verify("20,20,472,140", 0);
    let told = findings(&lines(&verify("0,300,500,100", 7))[0]);
    assert!(told[0].starts_with("error text_mismatch expected 'MEGA SALE' not found"), "{told:?}");
    let outside =
        verify("0,300,513,100", 2).says(&["error[invalid_request]", "does not lie in the picture, which is 512x512"]);
    assert_eq!(lines(&outside)[0]["error"]["code"], "invalid_request");
    rig.run(&["verify", "sale.png", "--expect", "A", "--box", "1,2,3"]).expect(2).says(&["write it as X,Y,W,H"]);
}

#[test]
fn what_nobody_can_read_never_passes() {
    let Some(rig) = shop("what_nobody_can_read") else { return };
    let check = |settings: &str, told: &[&str]| {
        fs::write(rig.data().join("config.toml"), settings).expect("a file");
        let ran = rig.run(&["verify", "sale.png", "--expect", "SALE", "--json"]).expect(7);
        let line = &lines(&ran)[0];
        let said = findings(line).join("\n");
        assert!(said.contains("error text_unverified expected 'SALE' is unverified: "), "{said}");
        for part in told {
            assert!(said.contains(part), "{part:?} is not in {said}");
        }
        assert_eq!((&line["passed"], &line["words"][0]["presence"]), (&false.into(), &Value::Null));
    };
    check("[ocr]\nlibrary = '/nowhere/libtesseract.so.5'\n", &["/nowhere/libtesseract.so.5", "is not on this machine"]);
    let empty = rig.data().join("empty");
    fs::create_dir_all(&empty).expect("a folder");
    check("[ocr]\ntessdata = 'empty'\n", &["the language data eng is not on this machine", "eng"]);
    let pin = format!("[ocr.pins]\neng = '{}'\n", "0".repeat(64));
    check(&pin, &["eng.traineddata has the BLAKE3 hash ", "the settings pin 0000"]);
    // Nothing was asked for, and nobody can look for more: that is told and stops nothing.
    let none = rig.run(&["verify", "sale.png", "--policy", "p.toml", "--json"]);
    none.expect(2).says(&["failed to read the policy p.toml"]);
    fs::write(rig.data().join("config.toml"), "[ocr]\nlibary = 'x'\n").expect("a file");
    rig.run(&["verify", "sale.png", "--expect", "SALE"]).expect(2).says(&["line 2", "libary"]);
}

#[test]
fn every_file_is_looked_at_and_the_worst_decides() {
    let Some(rig) = shop("every_file_is_looked_at") else { return };
    picture(&rig, "sold.png", "SOLD");
    rig.write("notes.png", "no picture");
    let ran = rig.run(&["verify", "sale.png", "sold.png", "--expect", "SALE", "--json"]).expect(7);
    let passed: Vec<_> = lines(&ran).iter().map(|line| line["passed"].clone()).collect();
    assert_eq!(passed, [Value::Bool(true), Value::Bool(false)]);
    let all = ["verify", "sale.png", "notes.png", "sold.png", "gone.png", "--expect", "SALE"];
    let ran = rig.run(&all).expect(2).says(&[
        "error[input_file]: failed to verify notes.png",
        "failed to verify gone.png",
        "4 pictures: 1 passed, 1 failing, 2 unreadable",
    ]);
    assert!(ran.stdout.contains("ok    sale.png") && ran.stdout.contains("FAIL  sold.png"), "{}", ran.stdout);
    let crops = ["verify", "sold.png", "--expect", "SALE", "--crops", "crops", "--json"];
    let line = &lines(&rig.run(&crops).expect(7))[0];
    let crop = line["findings"][0]["crop"].as_str().unwrap_or_else(|| panic!("no crop in {line:#}"));
    assert!(rig.read(crop).starts_with(b"\x89PNG"), "{crop}");
}

#[test]
fn words_and_languages_are_paired_in_their_order() {
    let rig = Rig::new(BINARY);
    rig.write("a.png", "");
    let check = |args: &[&str], told: &str| {
        let mut all = vec!["verify", "a.png"];
        all.extend(args);
        rig.run(&all).expect(2).says(&[told]);
    };
    check(
        &["--expect", "A", "--expect", "B", "--expect", "C", "--lang", "en", "--lang", "ja"],
        "3 texts by 2 languages",
    );
    check(&["--lang", "en", "--lang", "ja"], "name the words of each with --expect");
    check(&["--expect", "A", "--lang", "english!"], "write the language as en, pt-BR or zh-Hans");
    check(&["--expect", "A", "--expect", "B", "--box", "1,1,5,5"], "name one --box for each, or none");
    check(&["--box", "1,1,5,5"], "--expect");
    check(&["--expect", "…!"], "a text without a letter or a digit");
    rig.write("policy.toml", "presense = 1\n");
    check(&["--policy", "policy.toml"], "policy.toml:1:1: presense: no such key; did you mean \"presence\"?");
}

/// A model of a provider that paints what it was told beforehand, whatever it is asked.
fn paints(provider: &Provider, png: &[u8]) {
    provider.well();
    let answer = json!({ "created": 1, "data": [{ "b64_json": BASE64.encode(png) }] });
    provider.rule(Rule::reply(Reply::json(200, &answer)));
}

#[test]
fn words_that_a_model_got_wrong_are_refused_word_for_word() {
    let provider = Provider::start();
    let Some(rig) = shop_of("words_that_a_model_got_wrong", with_account(&provider)) else { return };
    picture(&rig, "salt.png", "MEGA SALT");
    let sidecar = rig.serve(&[]);
    let mut client = sidecar.client();
    let body = |prompt: &str, more: Value| {
        let mut body = json!({ "prompt": prompt, "model": "gpt-image-2", "size": "512x512", "text": "MEGA SALE" });
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        body
    };
    paints(&provider, &rig.read("salt.png"));
    let asked = body("a red potion", json!({ "text_mode": "model" }));
    let error = client.post("/generate", &asked).expect("an answer").expect(422).json()["error"].clone();
    assert_eq!(error["code"], "rendered_text_mismatch", "{error}");
    let message = error["message"].as_str().unwrap_or_default();
    assert!(message.starts_with("expected 'MEGA SALE' not found; read '"), "{message}");
    // The picture is delivered nowhere, and kept to be looked at.
    let (_, seen) = message.rsplit_once("; see ").expect("where it is");
    assert!(fs::read(seen).is_ok_and(|file| file.starts_with(b"\x89PNG")), "{message}");
    // Forbidden is forbidden for `auto` as well, and the picture that is known to be wrong is not bought again.
    let charges = provider.count();
    let forbidden = body("a red potion", json!({ "text_mode": "auto", "repair": false }));
    let error = client.post("/generate", &forbidden).expect("an answer").expect(422).json()["error"].clone();
    assert_eq!(error["code"], "rendered_text_mismatch", "{error}");
    // Whoever sets the words himself depends on nobody's spelling.
    let set = body("a red potion", json!({}));
    let answer = client.post("/generate", &set).expect("an answer").expect(200).json();
    assert_eq!(answer["status"], "done");
    // What the model scrawled under them is told all the same, and refuses nothing; what they say too is no scrawl.
    let findings = answer["meta"]["verdict"]["findings"].as_array().expect("findings");
    let scrawled: Vec<_> = findings.iter().filter(|finding| finding["code"] == "text_unexpected").collect();
    assert_eq!(scrawled.len(), 1, "{answer:#}");
    assert_eq!((&scrawled[0]["read"], &scrawled[0]["severity"]), (&json!("SALT"), &json!("warning")), "{answer:#}");
    paints(&provider, &rig.read("sale.png"));
    let right = body("a blue potion", json!({ "text_mode": "model" }));
    client.post("/generate", &right).expect("an answer").expect(200);
    assert!(provider.count() > charges);
    drop(sidecar);
    paints(&provider, &rig.read("salt.png"));
    let generate = |more: &[&str]| {
        let mut args = vec!["generate", "a green potion", "--model", "gpt-image-2", "--size", "512x512"];
        args.extend(["--text", "MEGA SALE", "--text-mode"]);
        args.extend(more);
        rig.run(&args)
    };
    generate(&["model"]).expect(7).says(&["error[rendered_text_mismatch]: expected 'MEGA SALE' not found; read '"]);
    generate(&["auto", "--no-repair"]).expect(7).says(&["expected 'MEGA SALE' not found"]);
}

/// A recipe that was edited to what the picture shows proves nothing.
#[test]
fn a_recipe_that_was_changed_is_not_believed() {
    let Some(rig) = shop("a_recipe_that_was_changed_is_not_believed") else { return };
    let generate = ["generate", "a shop", "--text", "SALE", "--size", "256x256", "--out-file", "ours.png"];
    rig.run(&generate).expect(0);
    rig.run(&["verify", "ours.png", "--json"]).expect(0);
    let forged = forge(&rig.read("ours.png"), "\"SALE\"", "\"SALT\"");
    rig.write("forged.png", forged);
    let told = findings(&lines(&rig.run(&["verify", "forged.png", "--json"]).expect(7))[0]);
    assert!(told.iter().any(|finding| finding.contains("do not agree")), "{told:?}");
    // Whoever says what it should show need not believe it.
    rig.run(&["verify", "forged.png", "--expect", "SALE", "--json"]).expect(0);
    // Signs alone are nothing that a reader compares.
    rig.run(&["verify", "sale.png", "--expect", "?!"]).expect(2).says(&["without a letter or a digit"]);
    rig.write("signs.toml", "required = ['?!']\n");
    let signs = ["verify", "sale.png", "--expect", "SALE", "--policy", "signs.toml", "--json"];
    let told = findings(&lines(&rig.run(&signs).expect(7))[0]);
    assert!(told.iter().any(|finding| finding.contains("text_unverified")), "{told:?}");
}

/// The PNG with `from` replaced by `to` of the same length in its first text chunk that has it, and that chunk's sum made right.
fn forge(png: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut forged = png[..8].to_vec();
    let (mut at, mut done) = (8, false);
    while at < png.len() {
        let length = u32::from_be_bytes(png[at..at + 4].try_into().expect("four bytes")) as usize;
        let mut chunk = png[at + 4..at + 8 + length].to_vec();
        let place = chunk.windows(from.len()).position(|window| window == from.as_bytes());
        if let (b"iTXt", Some(place), false) = (&chunk[..4], place, done) {
            chunk[place..place + to.len()].copy_from_slice(to.as_bytes());
            done = true;
        }
        forged.extend((length as u32).to_be_bytes());
        forged.extend(&chunk);
        let sum = chunk.iter().fold(u32::MAX, |sum, byte| {
            (0..8).fold(sum ^ u32::from(*byte), |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 })
        });
        forged.extend((!sum).to_be_bytes());
        at += 12 + length;
    }
    assert!(done, "no chunk holds {from}");
    forged
}
