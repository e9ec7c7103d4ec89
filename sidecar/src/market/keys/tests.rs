//! Where keys come from, and what is said when one cannot be had; never the key.

use super::*;

fn nothing(_: &str) -> Option<String> {
    None
}

#[test]
fn a_key_is_named_by_where_it_lies() {
    #[track_caller]
    fn check(text: &str, expected: Result<&str, &str>) {
        match (text.parse::<Source>(), expected) {
            (Ok(source), Ok(expected)) => assert_eq!(source.to_string(), expected),
            (Err(reason), Err(expected)) => {
                assert!(reason.contains(expected), "{reason}");
                assert!(text.len() < 6 || !reason.contains(text), "{reason}");
            }
            (read, _) => panic!("{text}: {read:?}"),
        }
    }
    check("env:OPENAI_API_KEY", Ok("env:OPENAI_API_KEY"));
    check("file:/home/mia/key", Ok("file:/home/mia/key"));
    check("file:C:\\keys\\openai", Ok("file:C:\\keys\\openai"));
    check("keyring:studio/mia", Ok("keyring:studio/mia"));
    check("keyring:studio/a/b", Ok("keyring:studio/a/b"));
    check("env:", Err("name of a variable"));
    check("env:sk-abc", Err("name of a variable"));
    check("keyring:studio", Err("SERVICE/USER"));
    check("keyring:/mia", Err("SERVICE/USER"));
    check("file:", Err("a key itself"));
    check("sk-proj-1234567890", Err("a key itself"));
    check("", Err("a key itself"));
}

#[test]
fn a_variable_is_read_at_the_call() {
    #[track_caller]
    fn check(value: Option<&str>, expected: Result<&str, &str>) {
        let source: Source = "env:STUDIO_KEY".parse().unwrap();
        let read = source.fetch_with(&Kept::default(), &|name| {
            assert_eq!(name, "STUDIO_KEY");
            value.map(str::to_owned)
        });
        match (read, expected) {
            (Ok(key), Ok(expected)) => assert_eq!(key.expose(), expected),
            (Err(reason), Err(expected)) => assert!(reason.contains(expected), "{reason}"),
            (read, _) => panic!("{read:?}"),
        }
    }
    check(Some("sk-1"), Ok("sk-1"));
    check(Some("sk-1\n"), Ok("sk-1"));
    check(None, Err("STUDIO_KEY is not set"));
    check(Some("  "), Err("STUDIO_KEY is not set"));
    check(Some("one two"), Err("one line"));
    check(Some("one\ntwo"), Err("one line"));
}

#[test]
fn a_file_is_read_anew_at_each_call() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let source = Source::File(path.clone());
    let fetch = || source.fetch_with(&Kept::default(), &nothing);
    assert!(fetch().unwrap_err().contains(&path.display().to_string()));
    std::fs::write(&path, "first\n").unwrap();
    make_private(&path);
    assert_eq!(fetch().unwrap().expose(), "first");
    std::fs::write(&path, "second\r\n").unwrap();
    assert_eq!(fetch().unwrap().expose(), "second");
    std::fs::write(&path, "x".repeat(KEY_BYTES_MAX + 1)).unwrap();
    assert!(fetch().unwrap_err().contains("too long"));
    std::fs::write(&path, "\n").unwrap();
    assert!(fetch().unwrap_err().contains("is empty"));
    assert!(Source::File(folder.path().to_owned()).fetch_with(&Kept::default(), &nothing).is_err());
}

fn make_private(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let _ = path;
}

#[cfg(unix)]
#[test]
fn a_file_that_others_may_read_is_refused_with_what_to_do() {
    use std::os::unix::fs::PermissionsExt;
    #[track_caller]
    fn check(mode: u32, taken: bool) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, "sk-1").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let read = Source::File(path.clone()).fetch_with(&Kept::default(), &nothing);
        assert_eq!(read.is_ok(), taken, "{mode:o}");
        if let Err(reason) = read {
            assert!(reason.contains(&format!("chmod 600 {}", path.display())), "{reason}");
            assert!(!reason.contains("sk-1"));
        }
    }
    check(0o600, true);
    check(0o400, true);
    check(0o640, false);
    check(0o604, false);
    check(0o644, false);
}

#[cfg(unix)]
#[test]
fn a_pipe_is_no_file_and_nobody_waits_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.is_ok_and(|status| status.success()), "mkfifo makes a pipe");
    let reason = Source::File(path).fetch_with(&Kept::default(), &nothing).unwrap_err();
    assert!(reason.contains("is no file"), "{reason}");
}

#[test]
fn the_id_of_a_key_tells_keys_apart_and_is_no_part_of_one() {
    let (one, two) = (id(&Secret::new("sk-one")), id(&Secret::new("sk-two")));
    assert_eq!(one.len(), 8);
    assert_ne!(one, two);
    assert_eq!(one, id(&Secret::new("sk-one\n")));
    assert!(one.bytes().all(|byte| byte.is_ascii_hexdigit()));
}

#[test]
fn nobody_sees_a_key_that_was_kept() {
    let kept = Kept::default();
    *kept.0.lock() = Some((Instant::now(), Secret::new("sk-hidden")));
    let keyring = Source::Keyring { service: "studio".to_owned(), user: "mia".to_owned() };
    assert_eq!(keyring.fetch_with(&kept, &nothing).unwrap().expose(), "sk-hidden");
    assert!(!format!("{kept:?}").contains("hidden"));
}
