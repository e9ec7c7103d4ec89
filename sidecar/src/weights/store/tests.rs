//! What the store knows, what it refuses to believe, and what it deletes.

use super::*;

struct Fixture(tempfile::TempDir);

impl Fixture {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn store(&self) -> Store {
        Store::new(self.0.path().join("weights"))
    }

    /// An item of one file of `bytes` bytes, which is there.
    fn put(&self, name: &str, part: Part, bytes: u64, model: Option<&str>) -> Item {
        let item = Item {
            name: name.to_owned(),
            part,
            holds: Vec::new(),
            model: model.map(str::to_owned),
            place: Place::Store,
            files: vec![FileRow { path: "w.safetensors".to_owned(), bytes, blake3: String::new(), from: None }],
            hub: None,
            licence: None,
            added_ms: 0,
        };
        self.keep(&item);
        let folder = self.store().folder(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("w.safetensors"), vec![0; bytes as usize]).unwrap();
        item
    }

    fn keep(&self, item: &Item) {
        let insert = |registry: &mut Registry| {
            registry.items.insert(item.name.clone(), item.clone());
            Ok(())
        };
        self.store().change(insert).unwrap();
    }
}

#[test]
fn what_a_model_is_drawn_with_is_found() {
    let fixture = Fixture::new();
    let store = fixture.store();
    assert_eq!(store.find("sd3.5-medium").unwrap(), None);
    fixture.put("sd3.5-medium", Part::Model, 9, Some("sd3.5-medium"));
    let file = |name: &str| store.folder(name).join("w.safetensors");
    let bare = Set { model: file("sd3.5-medium"), ..Set::default() };
    assert_eq!(store.find("sd3.5-medium").unwrap(), Some(bare));
    assert_eq!(store.find("sd3.5-large").unwrap(), None);
    fixture.put("clip-l", Part::ClipL, 1, None);
    fixture.put("clip-g", Part::ClipG, 1, None);
    fixture.put("t5xxl-fp8", Part::T5, 5, None);
    fixture.put("sd3.5-tokenizers", Part::Tokenizers, 1, None);
    let found = store.find("sd3.5-medium").unwrap().unwrap();
    assert_eq!((found.t5, found.tokenizers), (Some(file("t5xxl-fp8")), Some(store.folder("sd3.5-tokenizers"))));
    // The usual one comes first, however large another is.
    fixture.put("t5xxl", Part::T5, 3, None);
    assert_eq!(store.find("sd3.5-medium").unwrap().unwrap().t5, Some(file("t5xxl")));
    // One that is not whole is not there.
    fs::write(file("t5xxl"), "").unwrap();
    assert_eq!(store.find("sd3.5-medium").unwrap().unwrap().t5, Some(file("t5xxl-fp8")));
    // What the model holds itself is not taken from elsewhere.
    let mut whole = fixture.put("whole", Part::Model, 20, Some("sd3.5-large"));
    whole.holds = vec![Part::ClipL, Part::ClipG, Part::T5, Part::Tokenizers];
    fixture.keep(&whole);
    assert_eq!(store.find("sd3.5-large").unwrap(), Some(Set { model: file("whole"), ..Set::default() }));
}

#[test]
fn what_is_linked_is_never_deleted() {
    let fixture = Fixture::new();
    let (store, outside) = (fixture.store(), fixture.0.path().join("mine.safetensors"));
    fs::write(&outside, "mine").unwrap();
    let mut item = fixture.put("linked", Part::Model, 4, Some("sd3.5-medium"));
    fs::remove_dir_all(store.folder("linked")).unwrap();
    item.place = Place::Linked(outside.clone());
    item.files[0].path = String::new();
    fixture.keep(&item);
    assert_eq!(store.find("sd3.5-medium").unwrap().unwrap().model, outside);
    assert_eq!(store.standing(&item), Standing::Here);
    fs::write(&outside, "mine now").unwrap();
    assert_eq!(store.standing(&item), Standing::Changed(outside.clone()));
    assert_eq!(store.remove("linked", false).unwrap(), 0);
    assert!(outside.exists() && store.registry().unwrap().items.is_empty());
    fs::remove_file(&outside).unwrap();
    assert_eq!(store.standing(&item), Standing::Missing(outside));
}

#[test]
fn what_the_store_owns_is_deleted_unless_it_is_to_stay() {
    let fixture = Fixture::new();
    let store = fixture.store();
    fixture.put("a", Part::Model, 7, None);
    fixture.put("b", Part::Model, 7, None);
    assert_eq!(store.remove("a", false).unwrap(), 7);
    assert_eq!(store.remove("b", true).unwrap(), 0);
    assert!(!store.folder("a").exists() && store.folder("b").join("w.safetensors").exists());
    assert_eq!(store.remove("a", false).unwrap_err().code, ErrorCode::NotFound);
    assert_eq!(store.remove("../a", false).unwrap_err().code, ErrorCode::NotFound);
    // What is left without an entry can be removed by its name.
    let left = Unfinished { name: "b".to_owned(), done_bytes: 7, bytes: 7 };
    assert_eq!(store.unfinished(&store.registry().unwrap()), [left]);
    assert_eq!(store.remove("b", false).unwrap(), 7);
    assert!(store.unfinished(&store.registry().unwrap()).is_empty());
}

#[test]
fn a_registry_that_somebody_made_up_leads_nowhere() {
    #[track_caller]
    fn check(text: &str, expected: ErrorCode, words: &str) {
        let fixture = Fixture::new();
        let store = fixture.store();
        fs::create_dir_all(store.dir()).unwrap();
        fs::write(store.dir().join("registry.json"), text).unwrap();
        let failure = store.registry().unwrap_err();
        assert_eq!(failure.code, expected, "{failure}");
        assert!(failure.message.contains(words), "{failure}");
    }
    let entry = |name: &str, place: &str, path: &str| {
        format!(
            r#"{{"version":1,"items":{{"{name}":{{"name":"{name}","part":"model","place":{place},"added_ms":0,
            "files":[{{"path":"{path}","bytes":1,"blake3":""}}]}}}}}}"#
        )
    };
    check("{", ErrorCode::Corrupt, "damaged");
    check(r#"{"version":2}"#, ErrorCode::VersionMismatch, "newer");
    check(&entry("../a", r#""store""#, "w"), ErrorCode::Corrupt, "../a");
    check(&entry("a", r#""store""#, "../../w"), ErrorCode::Corrupt, "entry");
    check(&entry("a", r#"{"linked":"relative"}"#, "w"), ErrorCode::Corrupt, "entry");
    check(&entry("a", r#"{"linked":"/x"}"#, "../w"), ErrorCode::Corrupt, "entry");
}

#[test]
fn one_process_puts_an_item_there() {
    let fixture = Fixture::new();
    let store = fixture.store();
    let held = store.hold_item("a").unwrap();
    assert_eq!(store.hold_item("a").unwrap_err().code, ErrorCode::DataDirInUse);
    assert!(store.hold_item("b").is_ok());
    drop(held);
    assert!(store.hold_item("a").is_ok());
}
