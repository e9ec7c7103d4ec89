//! The store: durable, checked, bounded, and shared with care.

use std::time::{Duration, SystemTime};

use thumbforge_core::model::ModelId;
use thumbforge_core::repair::Step;

use super::*;
use crate::journal::tests::{render, spec};

fn store(folder: &Path, bytes_max: u64, shared: Option<SharedCache>) -> (Journal, Store) {
    let journal = Journal::open(&folder.join("journal.sqlite")).expect("opens");
    let store = Store::open(&folder.join("store"), journal.clone(), Clock::Machine, bytes_max, shared).expect("opens");
    (journal, store)
}

/// Waits for every write that is on its way.
fn settle(journal: &Journal) {
    journal.write(|_| Ok(())).durable_blocking().expect("settles");
}

#[test]
fn what_is_put_is_there_whole_or_not_at_all() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, store) = store(folder.path(), 1 << 20, None);
    let (hash, _pin) = store.put(b"picture").expect("puts");
    assert_eq!(store.get(hash).as_deref(), Some(b"picture".as_slice()));
    std::fs::write(store.path(hash), b"pic").expect("damages");
    assert_eq!(store.get(hash), None, "half a file is no file");
    settle(&journal);
    assert!(!store.path(hash).exists());
    assert!(journal.read(ops::known_blobs).expect("reads").is_empty());
}

#[test]
fn a_file_is_read_where_it_is_wanted_and_checked_on_the_way() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, store) = store(folder.path(), 1 << 20, None);
    let (hash, _pin) = store.put(b"picture").expect("puts");
    let mut buffer = vec![0; store.size(hash).expect("is there")];
    assert!(store.read_into(hash, &mut buffer));
    assert_eq!(buffer, b"picture");
    let stranger = ContentHash::of(b"stranger");
    assert_eq!(store.size(stranger), None);
    assert!(!store.read_into(stranger, &mut []));
    for damage in [b"pictura".as_slice(), b"pic", b"pictures"] {
        let (hash, _pin) = store.put(b"picture").expect("puts again");
        std::fs::write(store.path(hash), damage).expect("damages");
        assert!(!store.read_into(hash, &mut [0; 7]), "{damage:?}");
        settle(&journal);
        assert!(!store.path(hash).exists() && journal.read(ops::known_blobs).expect("reads").is_empty());
    }
}

#[test]
fn the_cap_is_kept_to_and_pins_are_respected() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_journal, store) = store(folder.path(), 1000, None);
    let (kept, pin) = store.put(&[1; 300]).expect("puts");
    let mut last = kept;
    for byte in 2..20_u8 {
        last = store.put(&[byte; 300]).expect("puts").0;
    }
    assert!(store.bytes() <= 1000, "{} bytes held", store.bytes());
    assert!(store.get(kept).is_some(), "a pinned file stays");
    assert!(store.get(last).is_some(), "the newest file stays");
    drop(pin);
    for byte in 20..40_u8 {
        store.put(&[byte; 300]).expect("puts");
    }
    assert!(store.get(kept).is_none(), "an unpinned file goes in its turn");
}

#[test]
fn a_sweep_removes_strangers_and_leaves_what_is_on_its_way() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, store) = store(folder.path(), 1 << 20, None);
    let (known, _pin) = store.put(b"known").expect("puts");
    settle(&journal);
    let orphan = store.path(ContentHash::of(b"orphan"));
    fs::create_dir_all(orphan.parent().expect("has one")).expect("makes");
    fs::write(&orphan, b"orphan").expect("writes");
    store.sweep(SystemTime::now() - Duration::from_secs(3600));
    assert!(orphan.exists(), "a file younger than the start may be on its way");
    store.sweep(SystemTime::now() + Duration::from_secs(3600));
    assert!(!orphan.exists() && store.get(known).is_some());
}

#[test]
fn the_shared_cache_gives_only_what_it_says() {
    let (folder, share) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a share"));
    let shared = SharedCache::open(share.path()).expect("is there");
    let spec = spec("a sword");
    let image = thumbforge_core::image::ImageBuf::filled(spec.recipe.size, [1, 2, 3, 255]);
    let mut render = render(&spec);
    let provenance = crate::output::provenance::Provenance::new(
        &spec.recipe,
        render.realisation.clone(),
        render.model.clone(),
        None,
        Vec::new(),
    );
    let bytes = crate::output::png::encode(&image, &provenance).expect("encodes");
    render.blob = ContentHash::of(&bytes);
    render.pixels = image.hash();
    let (_journal, first) = store(folder.path(), 1 << 20, Some(shared.clone()));
    first.share(&render, &bytes);
    assert_eq!(first.render(render.realised_key), Some((render.clone(), bytes.clone())), "a colleague's render");

    // Judged by other criteria, the same file has another record; another file has not.
    let mut again = render.clone();
    again.held_to = "brand".to_owned();
    first.share(&again, &bytes);
    assert_eq!(shared.get(render.realised_key), Some((again.clone(), bytes.clone())));
    let mut refused = again.clone();
    refused.verdict.passed = !again.verdict.passed;
    first.share(&refused, &bytes);
    assert_eq!(shared.get(render.realised_key).map(|(known, _)| known), Some(refused.clone()));
    let other = Render { blob: ContentHash::of(b"another"), held_to: String::new(), ..refused.clone() };
    first.share(&other, b"another");
    assert_eq!(shared.get(render.realised_key).map(|(known, _)| known), Some(refused.clone()));
    let is_record = |path: &&PathBuf| path.extension().is_some_and(|kind| kind == "json");
    for record in shared_files(share.path()).iter().filter(is_record) {
        fs::write(record, b"{").expect("damages");
    }
    first.share(&render, &bytes);
    assert_eq!(
        shared.get(render.realised_key),
        Some((render.clone(), bytes.clone())),
        "a record that was none is replaced"
    );

    let damaged = shared_files(share.path());
    assert_eq!(damaged.len(), 2);
    for path in damaged.iter().filter(|path| path.extension().is_some_and(|kind| kind == "png")) {
        fs::write(path, &bytes[..bytes.len() - 20]).expect("damages");
    }
    assert!(shared.get(render.realised_key).is_none(), "half a picture of the network is not taken");
    assert!(SharedCache::open(&share.path().join("unmounted")).is_none());
}

#[test]
fn the_shared_cache_tells_the_steps_to_a_picture() {
    let share = tempfile::tempdir().expect("a share");
    let shared = SharedCache::open(share.path()).expect("is there");
    let (ours, theirs) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let (_journal, ours) = store(ours.path(), 1 << 20, Some(shared.clone()));
    let (_their_journal, theirs) = store(theirs.path(), 1 << 20, Some(shared));
    let asked = |judged_by| Asked { planned: spec("a sword").recipe.planned_key(), judged_by: [judged_by; 32] };
    let way = |seed| Way {
        realised: RealisedKey([seed as u8; 32]),
        taken: vec![(ModelId::builtin(), Step::Reseed { seed })],
    };
    ours.share_way(asked(1), &way(5));
    assert_eq!((theirs.way(asked(1)), theirs.way(asked(2))), (Some(way(5)), None));
    // The picture that it led to may be gone.
    ours.share_way(asked(1), &way(6));
    assert_eq!(theirs.way(asked(1)), Some(way(6)));
    let files = shared_files(share.path());
    assert_eq!(files.len(), 1);
    for damage in [&b"{}"[..], b"", &[b' '; 1 << 20]] {
        fs::write(&files[0], damage).expect("damages");
        assert_eq!(theirs.way(asked(1)), None);
    }
}

fn shared_files(root: &Path) -> Vec<PathBuf> {
    let folders = fs::read_dir(root).expect("reads").flatten();
    folders.flat_map(|folder| fs::read_dir(folder.path()).expect("reads").flatten()).map(|file| file.path()).collect()
}
