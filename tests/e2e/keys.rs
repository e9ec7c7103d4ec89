//! Keys go to their provider and nowhere else: after runs that fail in every way that could repeat one, no file and no
//! word of any process has a piece of it.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use serde_json::json;
use thumbforge_tests::provider::{Delivery, Provider, Reply, Rule};
use thumbforge_tests::rig::{Ran, Rig, snapshot};

use crate::BINARY;

/// The three keys repeat their mark, so that whatever part of one turns up has a whole mark in it.
const MARKS: [&str; 3] = ["qXENVx7", "qXFILx7", "qXRINx7"];

fn key(mark: &str) -> String {
    format!("sk-{}", mark.repeat(6))
}

fn private(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).expect("a file");
    #[cfg(unix)]
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).expect("a mode");
    let _ = mode;
}

/// Everything that commands said, and then everything that they wrote, is looked through for marks.
#[derive(Default)]
struct Seen(Vec<(String, Vec<u8>)>);

impl Seen {
    fn ran(&mut self, what: &str, ran: Ran) -> Ran {
        assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
        self.0.push((format!("stdout of {what}"), ran.stdout.clone().into_bytes()));
        self.0.push((format!("stderr of {what}"), ran.stderr.clone().into_bytes()));
        ran
    }

    #[track_caller]
    fn has_no_mark(&self) {
        for mark in MARKS {
            for (name, bytes) in &self.0 {
                let text = String::from_utf8_lossy(bytes);
                for form in forms(mark) {
                    let around = text.find(&form).map(|at| {
                        let before: String = text[..at].chars().rev().take(150).collect();
                        before.chars().rev().chain(text[at..].chars().take(150)).collect::<String>()
                    });
                    assert!(around.is_none(), "a key is in {name}: {around:?}");
                }
            }
        }
    }
}

/// How a piece of a key may look: as it is, in hexadecimal, and in base64, which differs with the place it comes to lie.
fn forms(mark: &str) -> Vec<String> {
    let hex = mark.bytes().map(|byte| format!("{byte:02x}")).collect();
    let coded = (0..3).map(|at| {
        let coded = base64::engine::general_purpose::STANDARD.encode(" ".repeat(at) + &mark.repeat(6));
        coded[8..20].to_owned()
    });
    [mark.to_owned(), hex].into_iter().chain(coded).collect()
}

/// Ways in which a provider that is asked with `key` fails, by a word of the prompt.
fn fails(provider: &Provider, key: &str) {
    let said = |status, code: &str| {
        let message = format!("refused: Authorization: Bearer {key} is not what you think, {key}");
        Reply::json(status, &json!({"error": {"message": message, "type": key, "param": key, "code": code}}))
            .header("x-request-id", key)
    };
    provider.rule(Rule::reply(said(400, "invalid_request_error")).prompt("wrong"));
    provider.rule(Rule::reply(said(400, key)).prompt("odd"));
    provider.rule(Rule::reply(said(400, "moderation_blocked")).prompt("rude"));
    provider.rule(Rule::reply(said(404, "model_not_found")).prompt("gone"));
    provider.rule(Rule::reply(Reply::of(400, "text/html", format!("<html>Bearer {key}</html>"))).prompt("page"));
    provider.rule(Rule::reply(Reply::of(200, "application/json", key.to_owned())).prompt("garbage"));
    // However long the message that is kept, it ends within a key.
    let message = key.repeat(40);
    let body = json!({"error": {"message": message}, "errors": [message], "message": message});
    provider.rule(Rule::reply(Reply::json(400, &body)).prompt("long"));
    let named = json!({"generation_id": key, "id": key, "request_id": key, "created": 1, "data": []});
    provider.rule(Rule::reply(Reply::json(200, &named).header("x-request-id", key)).prompt("named"));
    let address = json!({"created": 1, "data": [{"url": format!("https://{key}@127.0.0.1:1/{key}.png?key={key}")}]});
    provider.rule(Rule::reply(Reply::json(200, &address)).prompt("address"));
    let elsewhere =
        Reply::of(302, "text/plain", key.to_owned()).header("location", format!("https://127.0.0.1:1/{key}"));
    provider.rule(Rule::reply(elsewhere).prompt("elsewhere"));
    provider.rule(Rule::delivery(Delivery::Cut(100)).prompt("cut"));
    provider.rule(Rule::reply(said(401, "invalid_api_key")).prompt("locked"));
}

#[test]
fn no_file_and_no_word_has_a_key() {
    let words =
        ["fine", "wrong", "odd", "rude", "gone", "page", "garbage", "address", "elsewhere", "cut", "long", "named"];
    let providers: Vec<Provider> = MARKS.iter().map(|_| Provider::start()).collect();
    for (provider, mark) in providers.iter().zip(MARKS) {
        fails(provider, &key(mark));
    }
    let rig = Rig::new(BINARY).with_variable("STUDIO_KEY", key(MARKS[0]));
    // A keychain that knows one entry.
    let tools = rig.path().join("tools");
    fs::create_dir(&tools).expect("a folder");
    private(&tools.join("secret-tool"), &format!("#!/bin/sh\necho '{}'\n", key(MARKS[2])), 0o700);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([tools.clone()].into_iter().chain(std::env::split_paths(&path))).expect("a path");
    let rig = rig.with_variable("PATH", path);
    let keys = rig.path().join("keys");
    fs::create_dir(&keys).expect("a folder");
    private(&keys.join("stability"), &format!("{}\n", key(MARKS[1])), 0o600);
    fs::create_dir(rig.data()).expect("a folder");
    let origin = |at: usize| providers[at].origin();
    // Elsewhere the system's own keychain is asked, which tests leave alone.
    let third = if cfg!(target_os = "linux") { "keyring:studio/mia" } else { "env:STUDIO_KEY" };
    let settings = format!(
        "[accounts.env]\nprovider = \"openai\"\nbase_url = \"{}/v1\"\nkey = \"env:STUDIO_KEY\"\n\
         [accounts.file]\nprovider = \"stability\"\nbase_url = \"{}\"\nkey = \"file:../keys/stability\"\n\
         [accounts.ring]\nprovider = \"ideogram\"\nbase_url = \"{}\"\nkey = \"{third}\"\nallow_private = true\n",
        origin(0),
        origin(1),
        origin(2),
    );
    fs::write(rig.data().join("config.toml"), settings).expect("settings");
    let mut manifest = String::from("project = \"com.example.keys\"\n[output]\npath = \"Assets/{{ asset }}.png\"\n");
    for (model, name) in [("gpt-image-2", "env"), ("stability-sd3.5-large", "file"), ("ideogram-3", "ring")] {
        for word in words {
            manifest.push_str(&format!(
                "[assets.{name}-{word}]\nprompt = \"a {word} fox\"\nsize = \"1024x1024\"\nmodel = \"{model}\"\n"
            ));
        }
    }
    rig.write("thumbforge.toml", &manifest);

    let mut seen = Seen::default();
    seen.ran("doctor", rig.run(&["doctor"]).expect(0));
    seen.ran("plan", rig.run(&["plan", "--json", "-vv"]).expect(0));
    let files = ["--report", "report.json", "--junit", "junit.xml", "--events", "events.jsonl", "--sheet", "sheet.png"];
    let batch =
        seen.ran("batch", rig.run(&[&["batch", "--json", "-vv", "--no-sidecar"], &files[..]].concat()).expect(3));
    let report = batch.json();
    // The account is shut by what follows, so it comes last.
    for (model, prompt) in
        [("gpt-image-2", "a locked fox"), ("stability-sd3.5-large", "a locked fox"), ("ideogram-3", "a locked fox")]
    {
        let args = ["generate", prompt, "--model", model, "--size", "1024x1024", "--json", "-vv", "--no-sidecar"];
        seen.ran(prompt, rig.run(&args).expect(3));
    }
    for verb in [vec!["jobs", "--json", "--count", "1000"], vec!["costs", "--json"], vec!["costs", "--by", "account"]] {
        seen.ran(verb[0], rig.run(&verb).expect(0));
    }
    seen.ran("models", rig.run(&["models", "--json"]).expect(0));

    // The keys did what they are for, and something came of it.
    for (provider, (mark, name)) in providers.iter().zip(MARKS.iter().zip(["env", "file", "ring"])) {
        let mark = if name == "ring" && third.starts_with("env") { MARKS[0] } else { mark };
        let requests = provider.requests();
        assert!(requests.len() >= words.len(), "{name} was asked {} times", requests.len());
        // Results are fetched from signed addresses, which need none.
        for request in requests.iter().filter(|request| !request.path.starts_with("/files/")) {
            let sent = ["authorization", "api-key"].into_iter().filter_map(|header| request.header(header));
            assert!(sent.into_iter().any(|value| value.contains(&key(mark))), "{name}: {} has no key", request.path);
        }
        let item = |word: &str| {
            let items = report["items"].as_array().expect("items");
            let asset = format!("{name}-{word}");
            items.iter().find(|item| item["asset"] == asset.as_str()).expect("an item").clone()
        };
        assert_eq!(item("fine")["state"], "done", "{:#}", item("fine"));
        assert!(item("wrong")["error"]["message"].is_string(), "{:#}", item("wrong"));
    }
    for (name, bytes) in snapshot(rig.path()) {
        if !name.starts_with("keys/") && !name.starts_with("tools/") {
            seen.0.push((name, bytes));
        }
    }
    assert!(
        seen.0.iter().any(|(name, _)| name.ends_with("env-fine.png"))
            && seen.0.iter().any(|(name, _)| name.ends_with("journal.sqlite"))
    );
    seen.has_no_mark();
}

#[test]
fn a_key_that_lies_around_is_used_openly_and_in_ci_only_when_asked() {
    let rig = Rig::new(BINARY).with_variable("OPENAI_API_KEY", key(MARKS[0]));
    let account = "account        openai (openai) at https://api.openai.com/v1: key from env:OPENAI_API_KEY";
    let doctor = rig.run(&["doctor"]).expect(0);
    assert!(doctor.stdout.contains(account), "{}", doctor.stdout);
    // What this machine draws itself is drawn as ever, and the account is announced.
    rig.run(&["generate", "a fox", "--size", "64x64", "--no-sidecar"])
        .expect(0)
        .says(&["accounts from the environment: openai with env:OPENAI_API_KEY"]);
    let rig = rig.with_variable("CI", "true");
    let doctor = rig.run(&["doctor"]).expect(0);
    assert!(!doctor.stdout.contains(account) && doctor.stdout.contains("--ambient-keys"), "{}", doctor.stdout);
    let refused = rig.run(&["generate", "a fox", "--model", "gpt-image-2", "--size", "1024x1024", "--no-sidecar"]);
    assert_ne!(refused.code, 0, "{}", refused.stderr);
    let doctor = rig.run(&["doctor", "--ambient-keys"]).expect(0);
    assert!(doctor.stdout.contains(account), "{}", doctor.stdout);
}
