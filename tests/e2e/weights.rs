//! Weights from a hub: over lines that drop, servers that lie, and processes that are killed in the middle.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use thumbforge_diffusion::tiny::{Encoders, Tiny};
use thumbforge_tests::hub::{Act, Asked, Hub, Repo, sha256};
use thumbforge_tests::rig::{PATIENCE, Ran, Rig, Signal, snapshot, wait_for};

use crate::BINARY;
#[cfg(target_os = "linux")]
use crate::storage::SmallDisk;

const REPO: &str = "studio/model";
const NAME: &str = "studio--model";
/// A file of a few pieces: ranges of it are 1 MiB.
const BYTES: usize = 5 << 20;
/// More ranges than are got side by side, so that all connections can be held and some ranges be left.
const LARGE: usize = 12 << 20;
/// The token that must go to the hub alone.
const TOKEN: &str = "hf_MARKEDtoken0123456789";

/// Bytes like those of weights: a head that says what they are, and noise.
fn weights(seed: u64, bytes: usize) -> Vec<u8> {
    let head = br#"{"joint_blocks.23.x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#;
    let mut all = [&(head.len() as u64).to_le_bytes()[..], head].concat();
    let mut state = seed * 2 + 1;
    while all.len() < bytes {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        all.extend_from_slice(&state.to_be_bytes());
    }
    all.truncate(bytes);
    all
}

fn repo(files: &[(&str, Vec<u8>)]) -> Repo {
    let files: BTreeMap<String, Vec<u8>> =
        files.iter().map(|(path, bytes)| ((*path).to_owned(), bytes.clone())).collect();
    Repo { files, card: json!({ "license": "mit" }), small: Vec::new(), token: None }
}

/// A hub with one model, and a rig that knows its address.
fn fixture(seed: u64) -> (Hub, Rig, Vec<u8>) {
    fixture_of(seed, BYTES)
}

fn fixture_of(seed: u64, bytes: usize) -> (Hub, Rig, Vec<u8>) {
    let (hub, bytes) = (Hub::start(), weights(seed, bytes));
    hub.put(REPO, repo(&[("model.safetensors", bytes.clone())]));
    let rig = Rig::new(BINARY).with_variable("HF_ENDPOINT", hub.origin());
    (hub, rig, bytes)
}

fn pull(rig: &Rig) -> Ran {
    rig.run(&["weights", "pull", REPO])
}

fn file(rig: &Rig) -> PathBuf {
    rig.data().join("weights").join(NAME).join("model.safetensors")
}

/// The model is there, and nothing else but the store's own files.
#[track_caller]
fn is_whole(rig: &Rig, bytes: &[u8]) {
    assert!(fs::read(file(rig)).expect("the model") == bytes, "other bytes");
    let left: Vec<String> = snapshot(&rig.data().join("weights")).into_keys().collect();
    let item = [format!("{NAME}/.lock"), format!("{NAME}/model.safetensors")];
    assert_eq!(left, [".lock", "registry.json", &item[0], &item[1]]);
    rig.run(&["weights", "verify"]).expect(0);
}

/// A model that was pulled while the hub misbehaved by `script` is whole, and was not got much more than once.
#[track_caller]
fn check(seed: u64, script: impl FnMut(&Asked) -> Act + Send + 'static) -> (Hub, Rig) {
    let (hub, rig, bytes) = fixture(seed);
    hub.script(script);
    pull(&rig).expect(0);
    is_whole(&rig, &bytes);
    (hub, rig)
}

#[test]
fn a_model_is_pulled_listed_verified_and_removed() {
    let (hub, rig, bytes) = fixture(1);
    pull(&rig).expect(0).says(&["studio--model", "5.2 MB", "mit", "got", "as the hub's hash says"]);
    is_whole(&rig, &bytes);
    assert_eq!(hub.gave(), BYTES as u64);
    assert!(hub.asked().iter().filter(|asked| asked.store).count() >= 4, "it came in one piece");
    let list = rig.run(&["weights", "list", "--json"]).expect(0).json();
    let item = &list["items"][0];
    assert_eq!((&item["name"], &item["state"], &item["model"]), (&json!(NAME), &json!("here"), &json!("sd3.5-medium")));
    assert_eq!(item["files"][0]["blake3"].as_str().map(str::len), Some(64));
    let table = rig.run(&["weights", "list"]).expect(0);
    assert!(
        table.stdout.contains("studio--model  model  sd3.5-medium    5.2 MB  here   studio/model"),
        "{}",
        table.stdout
    );
    assert!(table.stderr.contains("weights pull clip-l"), "{}", table.stderr);
    // What is there is recognised, by its bytes.
    let asked = hub.asked().len();
    pull(&rig).expect(0);
    assert_eq!((hub.gave(), hub.asked().len()), (BYTES as u64, asked + 1));
    // A byte that changes is found.
    let mut spoilt = bytes.clone();
    spoilt[BYTES / 2] ^= 1;
    fs::write(file(&rig), spoilt).expect("a file");
    let verified = rig.run(&["weights", "verify", "--json"]).expect(7).json();
    assert_eq!(verified["items"][0]["files"][0]["verdict"], "differs");
    rig.run(&["weights", "remove", NAME]).expect(0).says(&["removed studio--model: 5.2 MB"]);
    assert!(!file(&rig).exists());
    rig.run(&["weights", "remove", NAME]).expect(2).says(&["error[not_found]"]);
}

#[test]
fn connections_that_drop_cost_what_they_drop() {
    for (seed, cut) in [(2, 0), (3, 1), (4, 20_000), (5, 200_000), (6, 1_000_000)] {
        let mut left = 6;
        let (hub, _rig) = check(seed, move |asked| {
            if asked.store && left > 0 {
                left -= 1;
                return Act::Cut(cut);
            }
            Act::Well
        });
        assert_eq!(hub.gave(), BYTES as u64, "cut at {cut}: bytes came twice");
    }
}

#[test]
fn listings_and_redirects_that_break_are_asked_for_again() {
    check(7, |asked| match asked.number {
        0 => Act::Raw(Vec::new()),
        1 => Act::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{".to_vec()),
        3 => Act::status(503, ""),
        4 => Act::Raw(b"SSH-2.0-nothing\r\n".to_vec()),
        _ => Act::Well,
    });
}

#[test]
fn a_server_without_ranges_is_read_from_its_beginning() {
    let mut cuts = 0;
    let (hub, _rig) = check(8, move |asked| match asked.store {
        true if cuts < 2 => {
            cuts += 1;
            Act::Whole(2 << 20)
        }
        true => Act::Whole(usize::MAX),
        false => Act::Well,
    });
    // Several are told at once that there are no ranges; one goes on.
    assert!(hub.gave() < 6 * BYTES as u64, "{}", hub.gave());
}

#[test]
fn a_hub_that_asks_for_patience_gets_it() {
    let mut left = 5;
    check(9, move |asked| {
        if asked.store && left > 0 {
            left -= 1;
            return Act::status(429, "retry-after: 0\r\n");
        }
        Act::Well
    });
    let (hub, rig, _) = fixture(10);
    hub.script(|asked| if asked.store { Act::status(429, "retry-after: 3600\r\n") } else { Act::Well });
    pull(&rig).expect(3).says(&["error[rate_limited]", "come back in 60 minutes"]);
    hub.script(|asked| if asked.store { Act::status(503, "retry-after: 0\r\n") } else { Act::Well });
    pull(&rig).expect(3).says(&["error[rate_limited]", "tried 8 times", "goes on"]);
}

#[test]
fn a_file_that_changes_on_the_way_is_never_mixed() {
    let (hub, rig, _) = fixture_of(11, LARGE);
    hub.hold_at(2 << 20);
    let running = rig.start(&["weights", "pull", REPO]);
    wait_for("connections that are held", PATIENCE, || (hub.held() >= 4).then_some(()));
    let new = weights(12, LARGE);
    hub.put(REPO, repo(&[("model.safetensors", new.clone())]));
    hub.release();
    running.ended().expect(0).says(&["again", "another file now"]);
    is_whole(&rig, &new);
}

#[test]
fn a_store_that_names_another_content_is_begun_anew_and_not_for_ever() {
    let (hub, rig, bytes) = fixture(13);
    hub.put(REPO, Repo { small: vec!["model.safetensors".into()], ..repo(&[("model.safetensors", bytes)]) });
    let mut number = 0;
    hub.script(move |asked| {
        number += 1;
        if asked.path.contains("/api/") { Act::Well } else { Act::Tagged(format!("tag-{number}")) }
    });
    pull(&rig).expect(3).says(&["error[provider_failed]", "another file"]);
    // A listing's hash decides where there is one.
    let (hub, rig, _) = fixture(14);
    hub.script(|asked| if asked.path.contains("/api/") { Act::Well } else { Act::Tagged("ab".repeat(32)) });
    pull(&rig).expect(3).says(&["error[provider_failed]", "another file"]);
}

#[test]
fn lengths_that_are_lies_are_found() {
    // Shorter than the listing says: a range behind its end does not exist.
    let (hub, rig, bytes) = fixture(15);
    let short = bytes[..BYTES / 2].to_vec();
    hub.script(move |asked| if asked.store { Act::Bytes(short.clone()) } else { Act::Well });
    pull(&rig).expect(3).says(&["error[provider_failed]", "another file"]);
    // Longer.
    let long = [bytes.clone(), vec![0; 100]].concat();
    hub.script(move |asked| if asked.store { Act::Bytes(long.clone()) } else { Act::Well });
    pull(&rig).expect(3).says(&["error[provider_failed]"]);
    // More in an answer than was asked for is nobody's.
    hub.script(move |asked| match asked.range {
        Some((first, end)) if asked.store => {
            let body = [&bytes[first as usize..end as usize], &[7; 999]].concat();
            let last = end - 1;
            let head = format!(
                "HTTP/1.1 206 x\r\ncontent-range: bytes {first}-{last}/{BYTES}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            Act::Raw([head.into_bytes(), body].concat())
        }
        _ => Act::Well,
    });
    pull(&rig).expect(0);
}

#[test]
fn bytes_with_the_wrong_hash_are_not_kept() {
    let (hub, rig, bytes) = fixture(16);
    let mut spoilt = bytes.clone();
    spoilt[BYTES - 1] ^= 0x80;
    let once = spoilt.clone();
    hub.script(move |asked| if asked.store { Act::Bytes(spoilt.clone()) } else { Act::Well });
    pull(&rig).expect(3).says(&[
        "error[provider_failed]",
        &sha256(&bytes),
        "nothing of it is kept",
        "proxies and mirrors",
    ]);
    assert_eq!(hub.gave(), 2 * BYTES as u64);
    assert!(!file(&rig).exists());
    assert!(rig.run(&["weights", "list", "--json"]).expect(0).json()["items"].as_array().is_some_and(Vec::is_empty));
    // Spoilt once on its way, it is got again.
    let mut left = BYTES as i64;
    hub.script(move |asked| {
        let length = asked.range.map_or(0, |(first, end)| end as i64 - first as i64);
        left -= if asked.store { length } else { 0 };
        if asked.store && left >= 0 { Act::Bytes(once.clone()) } else { Act::Well }
    });
    pull(&rig).expect(0).says(&["again", "wrong hash"]);
    is_whole(&rig, &bytes);
}

#[test]
fn heads_that_are_too_long_are_not_read() {
    check(17, |asked| {
        let head = |field: &str| format!("HTTP/1.1 206 x\r\n{field}: {}\r\n\r\n", "x".repeat(4 << 20)).into_bytes();
        match asked.number {
            0 => Act::Raw(head("x-padding")),
            3 => Act::Raw(head("etag")),
            _ => Act::Well,
        }
    });
    // A listing without an end.
    let (hub, rig, _) = fixture(18);
    hub.script(|_| {
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n[".to_vec();
        Act::Raw([head, vec![b' '; 17 << 20]].concat())
    });
    pull(&rig).expect(3).says(&["error[provider_failed]", "larger than"]);
}

#[test]
fn a_process_that_is_killed_goes_on_where_it_was() {
    let (hub, rig, bytes) = fixture_of(19, LARGE);
    hub.hold_at(5 << 20);
    let mut running = rig.start(&["weights", "pull", REPO]);
    let state = file(&rig).with_extension("safetensors.part.state");
    let kept = || {
        let state: Value = serde_json::from_slice(&fs::read(&state).ok()?).ok()?;
        let spans = state["done"].as_array()?.iter();
        let kept: u64 = spans.filter_map(|span| Some(span[1].as_u64()? - span[0].as_u64()?)).sum();
        (kept >= 2 << 20).then_some(kept)
    };
    wait_for("two megabytes on the disk", PATIENCE, kept);
    running.signal(Signal::Kill);
    running.ended();
    let kept = kept().expect("a state");
    let list = rig.run(&["weights", "list"]).expect(0);
    assert!(list.stdout.contains("unfinished"), "{}", list.stdout);
    hub.release();
    // What the killed process had asked for may still go out into nothing.
    wait_for("held connections to end", PATIENCE, || (hub.held() == 0).then_some(()));
    hub.script(|_| Act::Well);
    let before = hub.asked().len();
    pull(&rig).expect(0);
    is_whole(&rig, &bytes);
    let again: u64 =
        hub.asked()[before..].iter().filter(|it| it.store).filter_map(|it| it.range).map(|(a, b)| b - a).sum();
    assert_eq!(again, LARGE as u64 - kept, "what was on the disk came again, or was left out");
}

#[cfg(unix)]
#[test]
fn an_interruption_ends_it_at_once_and_keeps_what_came() {
    let (hub, rig, bytes) = fixture_of(20, LARGE);
    hub.hold_at(3 << 20);
    let mut running = rig.start(&["weights", "pull", REPO]);
    wait_for("connections that are held", PATIENCE, || (hub.held() >= 4).then_some(()));
    running.signal(Signal::Interrupt);
    running.ended().expect(130).says(&["error[cancelled]", "the same command goes on"]);
    hub.release();
    let before = hub.asked().len();
    pull(&rig).expect(0);
    is_whole(&rig, &bytes);
    let again: u64 =
        hub.asked()[before..].iter().filter(|it| it.store).filter_map(|it| it.range).map(|(a, b)| b - a).sum();
    assert!(again <= LARGE as u64 - (2 << 20), "{again} bytes came again");
}

#[test]
fn a_token_goes_to_the_hub_that_asks_for_it_and_nowhere_else() {
    let (hub, rig, bytes) = fixture(21);
    hub.put(REPO, Repo { token: Some(TOKEN.into()), ..repo(&[("model.safetensors", bytes.clone())]) });
    let refused = pull(&rig).expect(3);
    let page = format!("{}/{REPO}", hub.origin());
    let refused = refused.says(&["error[forbidden]", &page, "HF_TOKEN", "--token"]);
    assert!(!refused.stderr.contains("MARKED"));
    let rig = rig.with_variable("HF_TOKEN", "hf_MARKEDwrong999999");
    let wrong = pull(&rig).expect(3).says(&["error[forbidden]", "accept its licence", &page]);
    assert!(!wrong.stderr.contains("MARKED"), "{}", wrong.stderr);
    let rig = rig.with_variable("HF_TOKEN", TOKEN).with_variable("THUMBFORGE_LOG", "trace");
    let ran = rig.run(&["weights", "pull", REPO, "--json", "-v"]).expect(0);
    is_whole(&rig, &bytes);
    assert!(hub.asked().iter().all(|asked| !asked.store || asked.token.is_none()), "the store saw a token");
    assert!(hub.asked().iter().any(|asked| asked.token.as_deref() == Some(&format!("Bearer {TOKEN}"))));
    assert!(!ran.stdout.contains("MARKED") && !ran.stderr.contains("MARKED"), "{}{}", ran.stdout, ran.stderr);
    for (path, bytes) in snapshot(rig.path()) {
        assert!(!String::from_utf8_lossy(&bytes).contains("MARKED"), "{path} has the token");
    }
}

#[test]
fn a_token_is_found_where_it_is_said_to_lie_and_shown_only_when_asked_for() {
    let (hub, rig, bytes) = fixture(22);
    // An open repository hears of none.
    let rig = rig.with_variable("HF_TOKEN", TOKEN);
    pull(&rig).expect(0);
    assert!(hub.asked().iter().all(|asked| asked.token.is_none()));
    hub.put("studio/gated", Repo { token: Some(TOKEN.into()), ..repo(&[("m.safetensors", bytes)]) });
    let pull = |rig: &Rig, more: &[&str]| rig.run(&[&["weights", "pull", "studio/gated", "--force"], more].concat());
    // In CI nothing that lies around is used.
    let rig = rig.with_variable("CI", "true");
    pull(&rig, &[]).expect(3).says(&["error[forbidden]"]);
    pull(&rig, &["--ambient-keys"]).expect(0);
    rig.run(&["weights", "remove", "studio--gated"]).expect(0);
    fs::create_dir_all(rig.path().join(".cache/huggingface")).expect("a folder");
    let left = rig.path().join(".cache/huggingface/token");
    fs::write(&left, TOKEN).expect("a file");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&left, fs::Permissions::from_mode(0o644)).expect("permissions");
        pull(&rig, &["--token", "login"]).expect(3).says(&["error[provider_auth]", "chmod 600"]);
        fs::set_permissions(&left, fs::Permissions::from_mode(0o600)).expect("permissions");
    }
    pull(&rig, &["--token", "login"]).expect(0);
    let wrong = pull(&rig, &["--token", TOKEN]).expect(2);
    assert!(!wrong.stderr.contains("MARKED"), "{}", wrong.stderr);
}

#[test]
fn what_a_hub_lists_cannot_leave_the_store() {
    let (hub, rig, bytes) = fixture(23);
    let names = ["../../evil.safetensors", "/tmp/evil.safetensors", "a\\..\\evil.safetensors", "nul.safetensors"];
    hub.put(REPO, repo(&names.map(|name| (name, bytes.clone()))));
    pull(&rig).expect(2).says(&["no .safetensors"]);
    for name in names {
        rig.run(&["weights", "pull", REPO, "--file", name]).expect(2).says(&["error[invalid_request]", "no file"]);
    }
    assert!(snapshot(rig.path()).into_keys().all(|path| !path.contains("evil")));
    for what in ["../x", "a/../b", "a/b@../c", "nothing-known", "http://a/b"] {
        rig.run(&["weights", "pull", what]).expect(2).says(&["error[invalid_request]"]);
    }
}

#[test]
fn a_licence_is_accepted_once_and_never_by_silence() {
    let (hub, rig, bytes) = fixture(24);
    let card = json!({ "license": "other", "license_name": "stabilityai-ai-community" });
    hub.put(REPO, Repo { card, ..repo(&[("model.safetensors", bytes.clone())]) });
    let words =
        ["error[licence_denied]", "Stability AI Community License", "--accept-licence stabilityai-ai-community"];
    pull(&rig).expect(2).says(&words);
    assert_eq!(hub.gave(), 0);
    rig.run(&["weights", "pull", REPO, "--accept-licence", "mit"]).expect(2);
    rig.run(&["weights", "pull", REPO, "--accept-licence", "stabilityai-ai-community"]).expect(0);
    is_whole(&rig, &bytes);
    rig.run(&["weights", "remove", NAME]).expect(0);
    let again = pull(&rig).expect(0);
    assert!(!again.stderr.contains("Community License"), "{}", again.stderr);
    // No licence is no permission.
    hub.put("studio/bare", Repo { card: Value::Null, ..repo(&[("m.safetensors", bytes)]) });
    rig.run(&["weights", "pull", "studio/bare"]).expect(2).says(&["--accept-licence unknown"]);
}

#[test]
fn a_name_brings_what_it_takes_to_draw() {
    let hub = Hub::start();
    let rig = Rig::new(BINARY);
    let small = |path: &str| Repo { small: vec![path.to_owned()], ..repo(&[(path, br#"{"model":{}}"#.to_vec())]) };
    hub.put("openai/clip-vit-large-patch14", small("tokenizer.json"));
    hub.put("laion/CLIP-ViT-bigG-14-laion2B-39B-b160k", small("tokenizer.json"));
    hub.put("lmz/mt5-tokenizers", small("t5-v1_1-xxl.tokenizer.json"));
    let files =
        [("sd3.5_large_fp8_scaled.safetensors", weights(25, BYTES)), ("sd3.5_medium.safetensors", weights(25, 99))];
    let card = json!({ "license": "other", "license_name": "stabilityai-ai-community" });
    hub.put("Comfy-Org/stable-diffusion-3.5-fp8", Repo { card, ..repo(&files) });
    let gated = Repo { token: Some(TOKEN.into()), small: vec!["sd3.5_medium.safetensors".into()], ..repo(&files) };
    hub.put("stabilityai/stable-diffusion-3.5-large", repo(&[("sd3.5_large.safetensors", weights(25, 99))]));
    hub.put("stabilityai/stable-diffusion-3.5-medium", gated);
    let config = format!("weights_dir = \"elsewhere\"\n[hub]\nendpoint = \"{}\"\n", hub.origin());
    fs::create_dir_all(rig.data()).expect("a folder");
    fs::write(rig.data().join("config.toml"), config).expect("a file");
    let planned = rig.run(&["weights", "pull", "sd3.5-large-fp8", "--dry-run", "--json"]).expect(0).json();
    assert_eq!((planned["event"].as_str(), planned["items"].as_array().map(Vec::len)), (Some("plan"), Some(2)));
    assert_eq!(hub.gave(), 0);
    let accept = ["weights", "pull", "SD3.5 Large FP8", "--accept-licence", "stabilityai-ai-community", "--json"];
    let ran = rig.run(&accept).expect(0);
    let events: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).expect("an event")).collect();
    assert_eq!(events.iter().filter(|event| event["event"] == "file").count(), 4, "{}", ran.stdout);
    assert_eq!(events.last().map(|event| &event["event"]), Some(&json!("done")));
    let dir = rig.data().join("elsewhere");
    let tokenizers = ["tokenizer", "tokenizer_2", "tokenizer_3"];
    assert!(tokenizers.iter().all(|name| dir.join("sd3.5-tokenizers").join(name).join("tokenizer.json").is_file()));
    let list = rig.run(&["weights", "list"]).expect(0);
    assert!(!list.stderr.contains("weights pull"), "{}", list.stderr);
    // The environment goes before the settings.
    let rig = rig.with_variable("THUMBFORGE_WEIGHTS", rig_path("other"));
    rig.run(&["weights", "list"]).expect(0).says(&["nothing is here"]);
    // Who has no access is told before anything else has come.
    let medium = ["weights", "pull", "sd3.5-medium", "--alone", "--accept-licence", "stabilityai-ai-community"];
    let before = hub.gave();
    rig.run(&medium).expect(3).says(&["error[forbidden]", "stable-diffusion-3.5-medium", "HF_TOKEN"]);
    rig.run(&[&medium[..], &["--token", "env:NONE"]].concat()).expect(3).says(&["error[provider_auth]", "NONE"]);
    assert_eq!(hub.gave(), before);
    // Under a name that is known, nothing else is handed out: neither openly nor by a hub that names no hash.
    rig.run(&["weights", "pull", "sd3.5-large", "--alone", "--dry-run"])
        .expect(3)
        .says(&["error[provider_failed]", "another file there than this Thumbforge knows"]);
    let rig = rig.with_variable("HF_TOKEN", TOKEN);
    rig.run(&medium).expect(3).says(&["error[provider_failed]", "every time that it is another file"]);
    assert!(!rig.project().join("other/sd3.5-medium/sd3.5_medium.safetensors").exists());
}

/// A relative folder, which is below the one that the command runs in.
fn rig_path(name: &str) -> String {
    name.to_owned()
}

#[test]
fn a_proxy_is_asked_for_what_is_far() {
    let (hub, rig, bytes) = fixture(26);
    let rig = rig
        .with_variable("HF_ENDPOINT", "http://hub.example")
        .with_variable("http_proxy", hub.origin())
        .with_variable("HTTP_PROXY", hub.origin());
    pull(&rig).expect(0);
    is_whole(&rig, &bytes);
    let asked = hub.asked();
    let far = |asked: &&Asked| asked.line.starts_with("GET http://hub.example/");
    assert!(asked.iter().filter(|asked| !asked.store).all(|asked| far(&asked)), "{asked:#?}");
    // A token does not cross a network in the clear, whatever the proxy is.
    let rig = rig.with_variable("HF_TOKEN", TOKEN);
    hub.put("studio/gated", Repo { token: Some(TOKEN.into()), ..repo(&[("m.safetensors", bytes)]) });
    rig.run(&["weights", "pull", "studio/gated"]).expect(3).says(&["in the clear"]);
    assert!(hub.asked().iter().all(|asked| asked.token.is_none()));
}

#[test]
fn a_hub_that_is_not_there_is_told_in_seconds() {
    let rig = Rig::new(BINARY).with_variable("HF_ENDPOINT", "http://127.0.0.1:9");
    pull(&rig).expect(3).says(&["error[provider_failed]", "127.0.0.1", "tried 4 times"]);
    let (hub, rig, _) = fixture(27);
    rig.run(&["weights", "pull", "studio/none"]).expect(2).says(&["error[not_found]", "no such repository", "private"]);
    rig.run(&["weights", "pull", REPO, "--file", "x"]).expect(2).says(&["it has model.safetensors"]);
    rig.run(&["weights", "pull", REPO, "--endpoint", "nowhere"]).expect(2).says(&["error[invalid_request]", "nowhere"]);
    drop(hub);
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_without_room_is_told_before_anything_comes() {
    let (hub, rig, _) = fixture(28);
    let disk = rig.path().join("small");
    let rig = rig.with_variable("THUMBFORGE_WEIGHTS", disk.as_os_str());
    let Some(_disk) = SmallDisk::mount(&disk, "size=4m") else { return };
    pull(&rig).expect(3).says(&["error[disk_full]", "5.2 MB are missing", "THUMBFORGE_WEIGHTS"]);
    assert_eq!(hub.gave(), 0);
}

#[test]
fn two_pulls_of_one_thing_do_not_meet() {
    let (hub, rig, bytes) = fixture(29);
    hub.hold_at(1 << 20);
    let first = rig.start(&["weights", "pull", REPO]);
    wait_for("connections that are held", PATIENCE, || (hub.held() >= 1).then_some(()));
    pull(&rig).expect(2).says(&["error[data_dir_in_use]", "another process"]);
    hub.release();
    first.ended().expect(0);
    is_whole(&rig, &bytes);
}

#[test]
fn what_is_on_this_machine_is_registered_where_it_lies() {
    let rig = Rig::new(BINARY);
    let tiny = |tiny: Tiny| {
        let folder = rig.path().join("tiny");
        fs::create_dir_all(&folder).expect("a folder");
        fs::read(tiny.write_single(&folder, Encoders::Apart).expect("a tiny model")).expect("its bytes")
    };
    let path = rig.write("models/sd35.safetensors", tiny(Tiny::medium()));
    let add = ["weights", "add", "models/sd35.safetensors", "--model", "sd3.5_medium", "--json"];
    let added = rig.run(&add).expect(0).json();
    assert_eq!(
        (&added["linked"], &added["path"], &added["model"]),
        (&json!(true), &json!(path), &json!("sd3.5-medium"))
    );
    rig.run(&add).expect(2).says(&["error[input_file]", "--force"]);
    rig.run(&["weights", "verify", "sd35"]).expect(0);
    rig.write("models/sd35.safetensors", tiny(Tiny { seed: 9, ..Tiny::medium() }));
    let verified = rig.run(&["weights", "verify"]).expect(7);
    assert!(verified.stdout.contains("its bytes are not what they were"), "{}", verified.stdout);
    rig.run(&["weights", "remove", "sd35"]).expect(0).says(&["its files are where they were"]);
    assert!(path.exists());
    rig.write("models/odd.ckpt", b"PK\x03\x04pickled");
    rig.run(&["weights", "add", "models/odd.ckpt"]).expect(2).says(&["error[input_file]", "pickle"]);
    rig.write("models/half.safetensors", weights(32, 1000));
    rig.run(&["weights", "add", "models/half.safetensors"]).expect(2).says(&["error[input_file]", "half.safetensors"]);
    rig.run(&["weights", "verify", "nothing"]).expect(2).says(&["error[not_found]"]);
    let nonsense = ["weights", "add", "models/sd35.safetensors", "--model", "nonsense"];
    rig.run(&nonsense).expect(2).says(&["error[unknown_model]"]);
}
