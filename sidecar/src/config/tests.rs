//! What the user's file may say, and what is refused with its line.

use super::*;

fn parse(text: &str) -> Result<UserFile, String> {
    UserFile::parse(text, Path::new("/home/mia/config.toml")).map_err(|err| err.to_string())
}

/// A wrong file, and what its message must say, the line among it.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let reason = parse(text).expect_err(text);
    for words in expected.iter().chain(&["/home/mia/config.toml"]) {
        assert!(reason.contains(words), "{reason}\nlacks {words}");
    }
    assert_eq!(reason.lines().count(), 1, "{reason}");
}

#[test]
fn settings_of_the_machine_are_read() {
    let file = parse("store_mib_max = 100\nworkers = 2\nport = 8081\ntoken_file = \"token\"").unwrap();
    assert_eq!((file.store_mib_max, file.workers, file.port), (Some(100), Some(2), Some(8081)));
    assert!(file.accounts.is_empty() && file.budgets.is_empty());
}

#[test]
fn what_words_are_read_with_is_named_by_path_and_hash() {
    let hash = "ab".repeat(32);
    let text = format!(
        "[ocr]\nlibrary = \"lib/t.so\"\ntessdata = \"data\"\n[ocr.pins]\nlibrary = \"{hash}\"\njpn = \"{hash}\""
    );
    let reader = parse(&text).unwrap().ocr.reader();
    assert_eq!(reader.library.as_deref(), Some(Path::new("/home/mia/lib/t.so")));
    assert_eq!(reader.tessdata.as_deref(), Some(Path::new("/home/mia/data")));
    assert_eq!(
        (reader.library_pin.is_some(), reader.pins.into_keys().collect::<Vec<_>>()),
        (true, vec!["jpn".to_owned()])
    );
    assert_eq!(parse("").unwrap().ocr.reader(), thumbforge_reader::Settings::default());
    check("[ocr]\nlibary = \"t.so\"", &["line 2", "libary"]);
    check("[ocr.pins]\njpn = \"12\"", &["line 2"]);
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    check("workers = 2\nwrokers = 3", &["line 2", "wrokers", "workers"]);
    check("[accounts.a]\nprovider = \"opnai\"", &["line 2", "openai-compatible", "comfyui"]);
    check("[accounts.a]\nkey = \"env:K\"", &["line 1", "provider"]);
    check("\n[accounts.a]\nprovider = \"openai\"\nkye = \"env:K\"", &["line 4", "kye"]);
    check("[accounts.a]\nprovider = \"openai\"", &["line 1", "accounts.a", "key = \"env:NAME\""]);
    check("[accounts.a]\nprovider = \"a1111\"", &["accounts.a", "base_url"]);
    check("[accounts.a]\nprovider = \"vertex\"\nkey = \"env:K\"", &["accounts.a", "options.project"]);
    check(
        "[accounts.a]\nprovider = \"openai\"\nkey = \"env:K\"\noptions = { organisation = \"o\" }",
        &["organization"],
    );
    check("[accounts.\"a b\"]\nprovider = \"openai\"\nkey = \"env:K\"", &["letters, digits"]);
    check("[accounts.a]\nprovider = \"openai\"\nkey = \"env:K\"\ntimeout_s = 0", &["timeout_s is between 1 and 3600"]);
    check("[accounts.a]\nprovider = \"openai\"\nkey = \"env:K\"\nburst = 0", &["line 4", "nonzero"]);
    check(
        "[accounts.a]\nprovider = \"openai\"\nkey = \"env:K\"\nambiguous = \"retry\"",
        &["line 4", "\"hold\", \"poll\""],
    );
    check("[accounts.a]\nprovider = \"openai\"\nkey = \"env:K\"\nambiguous = { resend = 99 }", &["line 4", "1 and 8"]);
    check("[accounts.a]\nprovider = \"openai\"\nkey = \"env:K\"\nday_usd = \"much\"", &["line 4", "dollars"]);
    check("[budget.providers.opnai]\nday_usd = 1", &["line 1", "openai"]);
    check("[budget]\nyear_usd = 1", &["line 2", "year_usd"]);
}

#[test]
fn an_address_that_would_give_a_key_away_is_refused() {
    #[track_caller]
    fn at(address: &str, more: &str, expected: Option<&str>) {
        let text = format!(
            "[accounts.a]\nprovider = \"openai-compatible\"\nkey = \"env:K\"\nbase_url = \"{address}\"\n{more}"
        );
        match expected {
            Some(expected) => check(&text, &[expected]),
            None => assert_eq!(parse(&text).unwrap().accounts["a"].place.base_url.as_str(), address),
        }
    }
    at("https://host.example/v1", "", None);
    at("http://127.0.0.1:4000/v1", "", None);
    at("http://localhost:4000/v1", "", None);
    at("http://[::1]:4000/v1", "", None);
    at("http://render.lan/v1", "allow_private = true", None);
    at("http://render.lan/v1", "", Some("allow_private = true"));
    at("http://localhost.example/v1", "", Some("allow_private = true"));
    at("ftp://host.example", "", Some("https://"));
    at("https://mia:pw@host.example", "", Some("no name or password"));
    at("https://host.example/v1?key=1", "", Some("neither ? nor #"));
    at("host.example", "", Some("https://host/v1"));
}

#[test]
fn a_key_in_the_file_is_refused_and_never_repeated() {
    #[track_caller]
    fn hidden(text: &str) {
        let reason = parse(text).expect_err(text);
        assert!(!reason.contains("sk-MARK"), "{reason}");
    }
    check("[accounts.a]\nprovider = \"openai\"\nkey = \"sk-1234\"", &["line 3", "env:NAME", "replaced"]);
    hidden("[accounts.a]\nprovider = \"openai\"\nkey = \"sk-MARK\"");
    hidden("[accounts.a]\nprovider = \"openai\"\nkey = \"sk-MARK");
    hidden("[accounts.a]\nprovider = \"sk-MARK\"");
    hidden("[accounts.a]\nprovider = \"openai\"\noptions = \"sk-MARK\"");
    hidden("[accounts.a]\nprovider = \"openai\"\ntimeout_s = \"sk-MARK \\\" sk-MARK\"");
    hidden("[accounts.a]\nprovider = \"openai\"\nday_usd = \"sk-MARK\"");
    hidden("[accounts]\na = \"sk-MARK\"");
    hidden("accounts = \"sk-MARK\"");
    hidden("[accounts.a]\nprovider = \"openai\"\nkey = \"env:sk-MARK\"");
    hidden("[accounts.a]\nprovider = \"openai\"\nkey = sk-MARK");
    hidden("[accounts.a]\nprovider = \"a1111\"\nbase_url = \"https://sk-MARK@host\"");
    hidden("[accounts.a]\nprovider = \"a1111\"\nbase_url = \"http://u:sk-MARK\"");
}

#[test]
fn the_example_of_the_page_of_weights_is_read() {
    const PAGE: &str = include_str!("../../../docs/weights.md");
    let example = PAGE.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let file = parse(example).unwrap();
    assert_eq!(file.weights_dir.as_deref(), Some(Path::new("/srv/weights")));
    assert_eq!(file.hub.endpoint.map(|address| address.0.to_string()).as_deref(), Some("https://hub.example.com/"));
    assert!(matches!(file.hub.token, Some(HubToken(Source::File(path))) if path.ends_with(".config/hub-token")));
    let beside = parse("weights_dir = \"w\"\nhub.token = \"file:t\"").unwrap();
    assert_eq!(beside.weights_dir.as_deref(), Some(Path::new("/home/mia/w")));
    assert_eq!(beside.hub.token, Some(HubToken(Source::File("/home/mia/t".into()))));
}

#[test]
fn a_hub_is_refused_with_its_line_and_without_its_token() {
    check("[hub]\nendpiont = \"x\"", &["line 2", "endpiont", "endpoint"]);
    check("[hub]\nendpoint = \"nowhere\"", &["line 2", "no address"]);
    check("[hub]\nendpoint = \"https://mia:pw@hub.example\"", &["line 2", "no name or password"]);
    check("\n[hub]\ntoken = \"hf_1\"", &["line 3", "env:NAME", "login"]);
    let reason = parse("[hub]\ntoken = \"hf_MARK\"").unwrap_err();
    assert!(!reason.contains("hf_MARK"), "{reason}");
}

#[test]
fn a_named_file_must_be_there_and_the_usual_one_may() {
    let folder = tempfile::tempdir().unwrap();
    assert!(UserFile::read(None, folder.path()).is_ok());
    let named = folder.path().join("other.toml");
    let err = UserFile::read(Some(&named), folder.path()).unwrap_err();
    assert!(err.to_string().contains("other.toml: there is no such file"), "{err}");
    std::fs::write(&named, "workers = 3").unwrap();
    assert_eq!(UserFile::read(Some(&named), folder.path()).unwrap().workers, Some(3));
}

#[test]
fn the_example_of_the_page_is_read() {
    const PAGE: &str = include_str!("../../../docs/accounts.md");
    let example = PAGE.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let file = parse(example).unwrap();
    assert_eq!((file.accounts.len(), file.budgets.len()), (5, 4));
    assert_eq!(file.accounts["studio"].place.base_url.as_str(), "https://europe-west4-aiplatform.googleapis.com/");
}
