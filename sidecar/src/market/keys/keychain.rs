//! The system's keychain: that of macOS, the credential manager of Windows, and elsewhere the Secret Service, which
//! GNOME's and KDE's keychains and KeePassXC serve.
//!
//! The Secret Service is asked through `secret-tool`, which comes with libsecret: a D-Bus client of our own is 54 more
//! crates and an executor beside ours (measured), for one question a minute.

use std::time::Duration;

/// How long a keychain may take: it may ask a person for its password.
const PATIENCE: Duration = Duration::from_secs(60);

const INSTEAD: &str = "keep the key in a variable (key = \"env:NAME\") or a file (key = \"file:PATH\") instead";

#[cfg(not(any(target_os = "macos", windows)))]
pub(super) fn look_up(service: &str, user: &str) -> Result<String, String> {
    secret_tool::look_up(std::ffi::OsStr::new("secret-tool"), service, user, PATIENCE)
}

#[cfg(any(target_os = "macos", windows))]
pub(super) fn look_up(service: &str, user: &str) -> Result<String, String> {
    let (told, tells) = crossbeam_channel::bounded(1);
    let (entry, owner) = (service.to_owned(), user.to_owned());
    // A thread of its own, because the question cannot be taken back while a person is asked.
    let asked = std::thread::Builder::new().name("keychain".to_owned()).spawn(move || {
        let found = entry_of(&entry, &owner).and_then(|entry| entry.get_password());
        // Nobody listens any more once the patience is over.
        let _ = told.send(found.map_err(|err| match err {
            keyring_core::Error::NoEntry => format!("the keychain has no entry {entry}/{owner}; add it there"),
            // Its own words could have what it found in them.
            _ => format!("the keychain could not be read; {INSTEAD}"),
        }));
    });
    asked.map_err(|err| format!("the keychain could not be asked: {err}"))?;
    tells
        .recv_timeout(PATIENCE)
        .unwrap_or_else(|_| Err(format!("the keychain did not answer; unlock it, or {INSTEAD}")))
}

#[cfg(any(target_os = "macos", windows))]
fn entry_of(service: &str, user: &str) -> keyring_core::Result<keyring_core::Entry> {
    use keyring_core::api::CredentialStoreApi;
    #[cfg(target_os = "macos")]
    let store = apple_native_keyring_store::keychain::Store::new()?;
    #[cfg(windows)]
    let store = windows_native_keyring_store::Store::new()?;
    store.build(service, user, None)
}

#[cfg(not(any(target_os = "macos", windows)))]
mod secret_tool {
    use std::ffi::OsStr;
    use std::io::Read;
    use std::process::{Child, Command, Stdio};
    use std::time::Duration;

    use super::super::KEY_BYTES_MAX;
    use super::INSTEAD;

    /// Asks `program`, by the attributes that the keyring libraries of Rust and Python store entries under.
    pub(super) fn look_up(program: &OsStr, service: &str, user: &str, patience: Duration) -> Result<String, String> {
        let mut command = Command::new(program);
        command.args(["lookup", "service", service, "username", user]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|err| match err.kind() {
            std::io::ErrorKind::NotFound => {
                format!("this machine has no keychain that can be asked (no `secret-tool` of libsecret); {INSTEAD}")
            }
            _ => format!("the keychain could not be asked: {err}; {INSTEAD}"),
        })?;
        let answer = read(&mut child, patience);
        // Ended or not, nobody waits for it any longer.
        let _ = child.kill();
        let status = child.wait();
        match (answer, status) {
            (Some(key), Ok(status)) if status.success() && !key.is_empty() => Ok(key),
            (Some(_), _) => Err(format!(
                "the keychain has no entry {service}/{user}, or none is unlocked; \
                 add it with: secret-tool store --label={service} service {service} username {user} \
                 (a machine without a desktop has no keychain: {INSTEAD})"
            )),
            (None, _) => Err(format!("the keychain did not answer; unlock it, or {INSTEAD}")),
        }
    }

    /// What it prints until it closes its end; `None` when that takes too long.
    fn read(child: &mut Child, patience: Duration) -> Option<String> {
        let out = child.stdout.take()?;
        let (told, tells) = crossbeam_channel::bounded(1);
        let reader = std::thread::Builder::new().name("keychain".to_owned()).spawn(move || {
            let mut key = String::new();
            let read = out.take(KEY_BYTES_MAX as u64 + 2).read_to_string(&mut key);
            // Nobody listens any more once the patience is over.
            let _ = told.send(read.map(|_| key).unwrap_or_default());
        });
        reader.ok()?;
        tells.recv_timeout(patience).ok()
    }

    #[cfg(test)]
    mod tests {
        use std::os::unix::fs::PermissionsExt;

        use super::*;

        #[track_caller]
        fn check(script: &str, patience: Duration, expected: Result<&str, &str>) {
            let folder = tempfile::tempdir().unwrap();
            let program = folder.path().join("secret-tool");
            std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
            std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
            match (look_up(program.as_os_str(), "studio", "mia", patience), expected) {
                (Ok(key), Ok(expected)) => assert_eq!(key, expected),
                (Err(reason), Err(expected)) => assert!(reason.contains(expected), "{reason}"),
                (found, _) => panic!("{found:?}"),
            }
        }

        #[test]
        fn the_secret_service_is_asked_by_its_own_tool() {
            let long = Duration::from_secs(60);
            check(r#"printf 'sk-%s' "$1-$2-$3-$4-$5""#, long, Ok("sk-lookup-service-studio-username-mia"));
            check("exit 1", long, Err("no entry studio/mia"));
            check("echo sk-half; exit 1", long, Err("no entry studio/mia"));
            check("exec sleep 600", Duration::from_millis(50), Err("did not answer"));
        }

        #[test]
        fn a_machine_without_a_keychain_is_told_what_to_do() {
            let nothing = look_up(OsStr::new("/nowhere/secret-tool"), "studio", "mia", Duration::from_secs(60));
            let reason = nothing.unwrap_err();
            assert!(reason.contains("env:NAME") && reason.contains("file:PATH"), "{reason}");
        }
    }
}
