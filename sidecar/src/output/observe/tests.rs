//! What lies there is seen as it is, with a warm cache as with a cold one.

use std::time::Duration;

use super::*;

/// Later than any file that a test makes, by more than the racy seconds.
fn later() -> SystemTime {
    SystemTime::now() + Duration::from_secs(3600)
}

fn sha256(bytes: &[u8]) -> FileSha256 {
    FileSha256(Sha256::digest(bytes).into())
}

fn pointer(oid: &str) -> String {
    format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 471000\n")
}

#[test]
fn each_kind_of_thing_is_told_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let oid = "ab".repeat(32);
    std::fs::write(at("a.png"), b"picture").expect("writes");
    std::fs::write(at("empty.png"), b"").expect("writes");
    std::fs::write(at("pointer.png"), pointer(&oid)).expect("writes");
    std::fs::create_dir(at("folder.png")).expect("makes");
    let outputs = ["a.png", "empty.png", "pointer.png", "folder.png", "missing.png", "no/folder.png", "a.png/b.png"];
    let expected = [
        Observed::File { sha256: sha256(b"picture") },
        Observed::File { sha256: sha256(b"") },
        Observed::LfsPointer { oid: oid.parse().expect("a hash") },
        Observed::NotAFile,
        Observed::Missing,
        Observed::Missing,
        Observed::Missing,
    ];
    let mut cache = StatCache::empty();
    assert_eq!(observe_all(folder.path(), &outputs, &mut cache, later()), expected, "cold");
    assert_eq!(cache.len(), 3);
    assert_eq!(observe_all(folder.path(), &outputs, &mut cache, later()), expected, "warm");
}

#[cfg(unix)]
#[test]
fn a_link_is_no_file() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a.png"), b"picture").expect("writes");
    std::os::unix::fs::symlink("a.png", folder.path().join("link.png")).expect("links");
    let found = observe(&folder.path().join("link.png"), &mut StatCache::empty(), later());
    assert_eq!(found, Observed::NotAFile);
}

#[test]
fn more_outputs_than_one_block_keep_their_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let names: Vec<String> = (0..3 * BLOCK + 7).map(|at| format!("{at}.png")).collect();
    for name in names.iter().step_by(3) {
        std::fs::write(folder.path().join(name), name).expect("writes");
    }
    let outputs: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut cache = StatCache::empty();
    for _ in 0..2 {
        for (at, observed) in observe_all(folder.path(), &outputs, &mut cache, later()).into_iter().enumerate() {
            let expected =
                if at % 3 == 0 { Observed::File { sha256: sha256(names[at].as_bytes()) } } else { Observed::Missing };
            assert_eq!(observed, expected, "{at}");
        }
    }
}

#[test]
fn a_change_is_seen_with_a_warm_cache() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.png");
    let mut cache = StatCache::empty();
    for bytes in [&b"one"[..], b"two", b"longer"] {
        std::fs::write(&path, bytes).expect("writes");
        // The clock as it is: the file is too young to be remembered.
        let now = SystemTime::now();
        assert_eq!(observe(&path, &mut cache, now), Observed::File { sha256: sha256(bytes) });
        assert!(cache.is_empty());
    }
}

#[test]
fn the_cache_spares_the_reading_and_never_invents_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.png");
    std::fs::write(&path, b"picture").expect("writes");
    let mut cache = StatCache::empty();
    let key = PathKey::of(&path);
    let stamp = Stamp::of(&path.symlink_metadata().expect("there"));
    cache.learn(key, stamp, Seen::File { sha256: [9; 32], blake3: [8; 32] }, unix_ns(later()));
    // A hash that no file has shows that the file was not read.
    assert_eq!(observe(&path, &mut cache, later()), Observed::File { sha256: FileSha256([9; 32]) });
    assert_eq!(content_hash(&path, &mut cache, later()).expect("known"), ContentHash([8; 32]));
    std::fs::remove_file(&path).expect("removes");
    assert_eq!(observe(&path, &mut cache, later()), Observed::Missing);
}

#[test]
fn a_large_file_is_hashed_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.png");
    let bytes: Vec<u8> = (0..BUFFER_BYTES * 2 + 5).map(|at| (at % 253) as u8).collect();
    std::fs::write(&path, &bytes).expect("writes");
    let mut cache = StatCache::empty();
    assert_eq!(observe(&path, &mut cache, later()), Observed::File { sha256: sha256(&bytes) });
    assert_eq!(content_hash(&path, &mut cache, later()).expect("reads"), ContentHash::of(&bytes));
    assert_eq!(content_hash(&path, &mut StatCache::empty(), later()).expect("reads"), ContentHash::of(&bytes));
}

#[test]
fn inputs_that_are_not_there_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let pointer_path = folder.path().join("pointer.png");
    std::fs::write(&pointer_path, pointer(&"ab".repeat(32))).expect("writes");
    let check = |path: &Path, words: &str| {
        let err = content_hash(path, &mut StatCache::empty(), later()).expect_err("no content");
        assert!(err.to_string().contains(words), "{err}");
        assert_eq!(err.code(), ErrorCode::InputFile);
    };
    check(&folder.path().join("missing.png"), "no such file");
    check(folder.path(), "not a file");
    check(&pointer_path, "git lfs pull");
}

#[test]
fn only_a_pointer_is_a_pointer() {
    let oid = "0123456789abcdef".repeat(4);
    assert_eq!(lfs_pointer(pointer(&oid).as_bytes()), oid.parse().ok());
    let mut extended = pointer(&oid);
    extended.insert_str("version https://git-lfs.github.com/spec/v1\n".len(), "ext-0-foo sha256:00\n");
    assert_eq!(lfs_pointer(extended.as_bytes()), oid.parse().ok());
    let long = pointer(&oid) + &"x".repeat(POINTER_BYTES_MAX);
    for other in [&long, "", "version https://git-lfs.github.com/spec/v1\n", "picture", &pointer("12")] {
        assert_eq!(lfs_pointer(other.as_bytes()), None, "{other}");
    }
}
