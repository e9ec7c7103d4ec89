//! A file is the old one or the new one, and nothing is left beside it.

use std::cell::RefCell;

use super::*;

fn never(_: Duration) {
    panic!("nothing is held, so nobody waits");
}

fn at_once() -> Patience<'static> {
    Patience::new(&[], &never)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = folder.read_dir().expect("reads");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("reads").file_name().into_string().expect("text")).collect();
    names.sort();
    names
}

#[test]
fn a_new_file_is_written_with_its_folders() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a/b/c.png");
    write_atomic(&path, b"new", &at_once()).expect("writes");
    assert_eq!(std::fs::read(&path).expect("reads"), b"new");
    assert_eq!(names(path.parent().expect("a folder")), ["c.png"]);
}

#[test]
fn an_existing_file_is_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("c.png");
    for bytes in [&b"old and long"[..], b"new"] {
        write_atomic(&path, bytes, &at_once()).expect("writes");
        assert_eq!(std::fs::read(&path).expect("reads"), bytes);
    }
    assert_eq!(names(folder.path()), ["c.png"]);
}

#[cfg(unix)]
#[test]
fn permissions_are_kept_and_new_files_are_readable() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let mode = |name: &str| folder.path().join(name).metadata().expect("there").permissions().mode() & 0o777;
    std::fs::write(folder.path().join("old"), b"").expect("writes");
    std::fs::set_permissions(folder.path().join("old"), std::fs::Permissions::from_mode(0o664)).expect("sets");
    write_atomic(&folder.path().join("old"), b"new", &at_once()).expect("writes");
    write_atomic(&folder.path().join("new"), b"new", &at_once()).expect("writes");
    assert!(write_new(&folder.path().join("meta"), b"new").expect("writes"));
    std::fs::write(folder.path().join("usual"), b"").expect("writes");
    assert_eq!(mode("old"), 0o664);
    assert_eq!(mode("new"), mode("usual"));
    assert_eq!(mode("meta"), mode("usual"));
}

#[test]
fn a_held_file_is_waited_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("c.png");
    let waits = RefCell::new(Vec::new());
    let sleep = |pause| waits.borrow_mut().push(pause);
    let patience = Patience::new(&PAUSES, &sleep);
    let mut tries = 0;
    write_with(&path, b"new", &patience, |from, to| {
        tries += 1;
        if tries <= 3 { Err(io::ErrorKind::ResourceBusy.into()) } else { std::fs::rename(from, to) }
    })
    .expect("writes in the end");
    assert_eq!(*waits.borrow(), PAUSES[..3]);
    assert_eq!(std::fs::read(&path).expect("reads"), b"new");
}

#[test]
fn a_file_that_stays_held_is_named_and_left_as_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("c.png");
    std::fs::write(&path, b"old").expect("writes");
    let waits = RefCell::new(0);
    let sleep = |_| *waits.borrow_mut() += 1;
    let patience = Patience::new(&PAUSES, &sleep);
    let err = write_with(&path, b"new", &patience, |_, _| Err(io::ErrorKind::ExecutableFileBusy.into()))
        .expect_err("is held");
    assert!(matches!(err, WriteError::Held { .. }), "{err:?}");
    assert!(err.to_string().contains("another program holds it"), "{err}");
    assert_eq!(*waits.borrow(), PAUSES.len());
    assert_eq!(std::fs::read(&path).expect("reads"), b"old");
    assert_eq!(names(folder.path()), ["c.png"], "no temporary file is left");
}

#[test]
fn other_failures_are_not_waited_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("c.png");
    let check = |kind: io::ErrorKind, code: ErrorCode, words: &str| {
        let err = write_with(&path, b"new", &at_once(), |_, _| Err(kind.into())).expect_err("fails");
        assert_eq!(err.code(), code, "{kind}");
        assert!(err.to_string().contains(words), "{err}");
        assert!(names(folder.path()).is_empty());
    };
    check(io::ErrorKind::StorageFull, ErrorCode::DiskFull, "the disk is full");
    check(io::ErrorKind::QuotaExceeded, ErrorCode::DiskFull, "the disk is full");
    check(io::ErrorKind::PermissionDenied, ErrorCode::OutputFile, "permission denied");
    check(io::ErrorKind::ReadOnlyFilesystem, ErrorCode::OutputFile, "mounted read-only");
}

#[test]
fn a_read_only_file_is_not_written_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("c.png");
    std::fs::write(&path, b"old").expect("writes");
    let mut permissions = path.metadata().expect("there").permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(&path, permissions).expect("sets");
    let err = write_atomic(&path, b"new", &at_once()).expect_err("is read-only");
    assert!(matches!(err, WriteError::ReadOnly { .. }), "{err:?}");
    assert_eq!(err.code(), ErrorCode::OutputFile);
    assert_eq!(std::fs::read(&path).expect("reads"), b"old");
}

#[test]
fn folders_and_links_are_not_written_over() {
    let folder = tempfile::tempdir().expect("a folder");
    assert!(matches!(write_atomic(folder.path(), b"new", &at_once()), Err(WriteError::NotAFile { .. })));
    #[cfg(unix)]
    {
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        std::fs::write(&target, b"old").expect("writes");
        std::os::unix::fs::symlink(&target, &link).expect("links");
        assert!(matches!(write_atomic(&link, b"new", &at_once()), Err(WriteError::NotAFile { .. })));
        assert_eq!(std::fs::read(&target).expect("reads"), b"old");
    }
}

#[test]
fn write_new_never_replaces() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a/c.meta");
    assert!(write_new(&path, b"first").expect("writes"));
    assert!(!write_new(&path, b"second").expect("sees it"));
    assert_eq!(std::fs::read(&path).expect("reads"), b"first");
    assert_eq!(names(path.parent().expect("a folder")), ["c.meta"]);
}

#[test]
fn only_abandoned_leavings_are_swept() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let others = [".thumbforge-.tmp", ".thumbforge-x-1.tmp", "thumbforge-1-1.tmp", "a.tmp", "a.png"];
    for name in others.iter().chain(&[".thumbforge-4194305-7.tmp", ".thumbforge-1-aB3.tmp"]) {
        std::fs::write(at(name), b"").expect("writes");
    }
    let running = Temp::new(folder.path()).expect("opens");
    let missing = at("not there");
    let mut removed = sweep([folder.path(), missing.as_path()]);
    removed.sort();
    assert_eq!(removed, [at(".thumbforge-1-aB3.tmp"), at(".thumbforge-4194305-7.tmp")]);
    assert!(running.path.exists(), "a file that is being written stays");
    drop(running);
    let mut expected = others.to_vec();
    expected.sort_unstable();
    assert_eq!(names(folder.path()), expected);
}

/// Mounts a file system of one megabyte for `test`; needs root.
#[cfg(target_os = "linux")]
fn on_small_disk(name: &str, options: &str, test: impl FnOnce(&Path)) {
    use std::process::Command;
    let folder = tempfile::tempdir().expect("a folder");
    let mount = Command::new("mount").args(["-t", "tmpfs", "-o", options, "thumbforge"]).arg(folder.path()).output();
    match mount {
        Ok(output) if output.status.success() => {}
        other => {
            eprintln!("not run: {name}: a small file system could not be mounted (needs root): {other:?}");
            return;
        }
    }
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(folder.path())));
    let unmounted = Command::new("umount").arg(folder.path()).status().expect("umount runs");
    assert!(unmounted.success());
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_and_leaves_the_old_file() {
    on_small_disk("a_full_disk_is_told_and_leaves_the_old_file", "size=1m", |folder| {
        let path = folder.join("c.png");
        write_atomic(&path, b"old", &at_once()).expect("fits");
        let err = write_atomic(&path, &vec![7; 2 << 20], &at_once()).expect_err("does not fit");
        assert_eq!(err.code(), ErrorCode::DiskFull, "{err:?}");
        assert_eq!(std::fs::read(&path).expect("reads"), b"old");
        assert_eq!(names(folder), ["c.png"]);
        write_atomic(&path, &vec![7; 1 << 19], &at_once()).expect("the space of the failed file is free again");
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_read_only_file_system_is_told() {
    on_small_disk("a_read_only_file_system_is_told", "ro,size=1m", |folder| {
        let err = write_atomic(&folder.join("c.png"), b"new", &at_once()).expect_err("cannot be written");
        assert!(matches!(err, WriteError::ReadOnlyFileSystem { .. }), "{err:?}");
        assert!(write_new(&folder.join("c.meta"), b"new").is_err());
    });
}
