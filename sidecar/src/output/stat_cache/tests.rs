//! The cache answers only for a file that is certainly the same, and a damaged cache is an empty one.

use super::*;

const SECOND: i64 = 1_000_000_000;

fn stamp() -> Stamp {
    Stamp { size: 10, modified_ns: 100 * SECOND, changed_ns: 100 * SECOND, inode: 7 }
}

fn key(name: &str) -> PathKey {
    PathKey::of(Path::new(name))
}

fn seen() -> Seen {
    Seen::File { sha256: [1; 32], blake3: [2; 32] }
}

fn full() -> StatCache {
    let mut cache = StatCache::empty();
    cache.learn(key("a"), stamp(), seen(), 200 * SECOND);
    cache.learn(key("b"), stamp(), Seen::LfsPointer { oid: [3; 32] }, 200 * SECOND);
    cache
}

fn never(_: Duration) {
    panic!("nothing is held, so nobody waits");
}

#[test]
fn what_was_learned_is_known_after_loading() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("data/stat-cache");
    let patience = Patience::new(&[], &never);
    full().save(&path, &patience).expect("writes");
    let mut cache = StatCache::load(&path);
    assert_eq!(cache.len(), 2);
    assert_eq!(cache.get(key("a"), &stamp()), Some(seen()));
    assert_eq!(cache.get(key("b"), &stamp()), Some(Seen::LfsPointer { oid: [3; 32] }));
    assert_eq!(cache.get(key("c"), &stamp()), None);

    std::fs::remove_file(&path).expect("removes");
    cache.save(&path, &patience).expect("has nothing to write");
    assert!(!path.exists(), "a cache that learned nothing is not written");
}

#[test]
fn any_difference_of_the_stamp_makes_the_file_another() {
    let cache = full();
    for change in [
        Stamp { size: 11, ..stamp() },
        Stamp { modified_ns: 100 * SECOND + 1, ..stamp() },
        Stamp { changed_ns: 100 * SECOND + 1, ..stamp() },
        Stamp { inode: 8, ..stamp() },
    ] {
        assert_eq!(cache.get(key("a"), &change), None, "{change:?}");
    }
}

#[test]
fn a_file_that_was_just_changed_is_not_remembered() {
    let known = |now_ns: i64| {
        let mut cache = full();
        cache.learn(key("a"), stamp(), seen(), now_ns);
        cache.get(key("a"), &stamp()).is_some()
    };
    assert!(known(102 * SECOND));
    assert!(!known(102 * SECOND - 1), "and what was remembered of it is forgotten");
    assert!(!known(50 * SECOND), "a file from the future");
}

#[test]
fn damage_anywhere_makes_an_empty_cache() {
    let bytes = full().bytes();
    assert_eq!(StatCache::parse(&bytes).map(|cache| cache.len()), Some(2));
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        assert!(StatCache::parse(&damaged).is_none(), "byte {at}");
        assert!(StatCache::parse(&bytes[..at]).is_none(), "cut at {at}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    assert!(StatCache::load(&folder.path().join("missing")).is_empty());
    assert!(StatCache::load(folder.path()).is_empty());
}

#[test]
fn a_later_version_is_an_empty_cache() {
    let mut bytes = full().bytes();
    bytes.truncate(bytes.len() - SUM_BYTES);
    bytes[6] = 2;
    let sum = blake3::hash(&bytes);
    bytes.extend(sum.as_bytes());
    assert!(StatCache::parse(&bytes).is_none());
}
