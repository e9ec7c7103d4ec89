//! The archive of the Unity package: what is in it, that it is the same twice, and what is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use thumbforge_bindgen::{PACKAGE, meta, pack};

use crate::root;

/// Programs that do nothing, where a build would have put real ones; by their mark they were built with C2PA.
fn programs(folder: &Path) -> [PathBuf; 2] {
    let put = |system: &str, names: [&str; 2]| {
        let folder = folder.join(system);
        fs::create_dir_all(&folder).expect("made");
        for name in names {
            fs::write(folder.join(name), format!("stands in for {name} with c2pa.actions.v2")).expect("written");
        }
        folder
    };
    [put("linux", ["libthumbforge.so", "thumbforge"]), put("windows", ["thumbforge.dll", "thumbforge.exe"])]
}

/// Files of a folder, by paths relative to it.
fn files(folder: &Path) -> BTreeMap<String, PathBuf> {
    let (mut open, mut files) = (vec![folder.to_owned()], BTreeMap::new());
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else {
                let relative = path.strip_prefix(folder).expect("below it").to_str().expect("text").to_owned();
                files.insert(relative, path);
            }
        }
    }
    files
}

/// Unpacks as Unity does, with another program than the one that packed.
fn unpacked(archive: &Path, folder: &Path) -> PathBuf {
    fs::create_dir_all(folder).expect("made");
    let tar = Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(folder).status().expect("tar runs");
    assert!(tar.success(), "{tar}");
    folder.join("package")
}

#[test]
fn an_archive_holds_all_that_an_editor_needs() {
    let folder = tempfile::tempdir().expect("a folder");
    let [linux, windows] = programs(folder.path());
    let pack = |out: &str, linux, windows| {
        let options = pack::Options { root: root(), linux, windows, out: folder.path().join(out), plain: false };
        pack::pack(&options).expect("packed")
    };
    let packed = pack("out", Some(linux.clone()), Some(windows.clone()));
    assert!(packed.notes.is_empty(), "{:?}", packed.notes);
    let name = packed.file.file_name().and_then(|name| name.to_str()).expect("a name");
    assert_eq!(name, format!("com.thumbforge.editor-{}.tgz", env!("CARGO_PKG_VERSION")));

    let package = unpacked(&packed.file, &folder.path().join("unpacked"));
    let files = files(&package);
    let listed: BTreeSet<String> = packed.files.iter().map(|(path, _)| path.clone()).collect();
    assert_eq!(listed, files.keys().cloned().collect(), "what is printed is what is in it");
    for (path, bytes) in &packed.files {
        assert_eq!(fs::metadata(&files[path]).expect("there").len(), *bytes, "{path}");
    }

    // What Unity would say of the folder: nothing without a .meta, and no .meta of nothing.
    let metas = meta::metas(&package).expect("looked at");
    assert!(metas.orphans.is_empty(), "{:?}", metas.orphans);
    assert!(metas.wanted.len() > 20, "{}", metas.wanted.len());
    for (path, text) in &metas.wanted {
        assert_eq!(fs::read_to_string(package.join(path)).unwrap_or_default(), *text, "{path}");
    }

    let manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(package.join("package.json")).expect("there")).expect("JSON");
    assert_eq!(manifest["name"], "com.thumbforge.editor");
    assert_eq!(manifest["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(manifest["unity"], "2022.3");
    assert_eq!(manifest["dependencies"], serde_json::json!({}), "Localization is asked for by nothing");
    for sample in manifest["samples"].as_array().expect("samples") {
        let path = sample["path"].as_str().expect("a path");
        assert!(package.join(path).join("thumbforge.toml").is_file(), "{path}");
    }

    for (path, from, mode) in [
        ("Plugins/x86_64/libthumbforge.so", linux.join("libthumbforge.so"), 0o644),
        ("Plugins/x86_64/thumbforge.dll", windows.join("thumbforge.dll"), 0o644),
        ("Sidecar~/linux-x86_64/thumbforge", linux.join("thumbforge"), 0o755),
        ("Sidecar~/windows-x86_64/thumbforge.exe", windows.join("thumbforge.exe"), 0o755),
    ] {
        assert_eq!(fs::read(&files[path]).expect("there"), fs::read(from).expect("there"), "{path}");
        assert_eq!(fs::metadata(&files[path]).expect("there").permissions().mode() & 0o777, mode, "{path}");
    }
    let crates = fs::read_to_string(package.join("Licences~/crates.txt")).expect("the crates' licences");
    for of in ["\ntokio ", "\nrusqlite ", "\nskrifa ", "\nc2pa ", "Permission is hereby granted", "Apache License"] {
        assert!(crates.contains(of), "{of}");
    }
    assert!(!crates.contains("\ncbindgen "), "what only builds is in no program");
    assert!(files.keys().all(|path| !path.contains("/.") && !path.starts_with('.')), "{:?}", files.keys());

    let again = pack("again", Some(linux.clone()), Some(windows));
    assert!(fs::read(&packed.file).expect("there") == fs::read(&again.file).expect("there"), "the same bytes twice");
    let half = pack("half", Some(linux.clone()), None);
    assert!(half.notes.iter().any(|note| note.contains("Windows")), "{:?}", half.notes);
    assert!(half.files.iter().all(|(path, _)| !path.contains(".dll")), "{:?}", half.files);

    // An editor takes the copy that it runs for this program if size and time are the same: another has another time.
    let time = |package: &Path| {
        fs::metadata(package.join("Sidecar~/linux-x86_64/thumbforge"))
            .and_then(|there| there.modified())
            .expect("a time")
    };
    let mut bytes = fs::read(linux.join("thumbforge")).expect("there");
    bytes[0] ^= 1;
    fs::write(linux.join("thumbforge"), bytes).expect("written");
    let other = unpacked(&pack("other", Some(linux), None).file, &folder.path().join("other"));
    assert_ne!(time(&package), time(&other));
}

/// A copy of the package in a repository of its own, and what packing says once it was changed.
#[track_caller]
fn refused(change: impl FnOnce(&Path), words: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let [linux, _] = programs(folder.path());
    let copy = folder.path().join("repository");
    for (path, from) in files(&root().join(PACKAGE)) {
        let to = copy.join(PACKAGE).join(path);
        fs::create_dir_all(to.parent().expect("a folder")).expect("made");
        fs::copy(from, to).expect("copied");
    }
    let git = Command::new("git").arg("-C").arg(&copy).args(["init", "-q"]).status().expect("git runs");
    assert!(git.success(), "{git}");
    change(&copy.join(PACKAGE));
    let options =
        pack::Options { root: copy, linux: Some(linux), windows: None, out: folder.path().join("out"), plain: false };
    let said = pack::pack(&options).expect_err("it should be refused").to_string();
    assert!(said.contains(words), "{said}");
    assert!(!folder.path().join("out").exists(), "something was written");
}

/// Replaces words in a file, which must hold them.
fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).expect("there");
    assert!(text.contains(from), "{} has no {from:?}", path.display());
    fs::write(path, text.replace(from, to)).expect("written");
}

#[test]
fn what_would_not_work_in_an_editor_is_refused() {
    let version = env!("CARGO_PKG_VERSION");
    refused(|package| fs::write(package.join("Editor/New.cs"), "// new\n").expect("written"), "Editor/New.cs.meta");
    refused(|package| fs::remove_file(package.join("Editor/AssemblyInfo.cs")).expect("gone"), "AssemblyInfo.cs.meta");
    refused(|package| edit(&package.join("package.json.meta"), "guid: ", "guid: 0"), "package.json.meta");
    refused(|package| edit(&package.join("package.json"), "\"keywords\"", "\"keyword\""), "\"keyword\"");
    refused(|package| edit(&package.join("package.json"), version, "9.9.9"), "9.9.9");
    refused(|package| edit(&package.join("package.json"), "2022.3", "2022"), "unity");
    refused(|package| edit(&package.join("package.json"), "Samples~/Starter", "Samples~/Started"), "Samples~/Started");
    refused(|package| edit(&package.join("package.json"), ",", ";"), "no JSON");
    refused(|package| edit(&package.join("CHANGELOG.md"), &format!("## {version}"), "## 0.0.1"), "CHANGELOG.md");
}

#[test]
fn an_archive_without_programs_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let pack = |linux| {
        let options =
            pack::Options { root: root(), linux, windows: None, out: folder.path().join("out"), plain: false };
        pack::pack(&options).expect_err("refused").to_string()
    };
    assert!(pack(None).contains("cargo build --release"), "it says how to get them");
    let half = folder.path().join("half");
    fs::create_dir_all(&half).expect("made");
    fs::write(half.join("thumbforge"), "stands in with c2pa.actions.v2").expect("written");
    assert!(pack(Some(half)).contains("libthumbforge.so"), "it names what lacks");
}

#[test]
fn programs_without_c2pa_are_taken_only_when_that_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let [linux, _] = programs(folder.path());
    fs::write(linux.join("thumbforge"), "stands in").expect("written");
    let pack = |plain| {
        let out = folder.path().join("out");
        pack::pack(&pack::Options { root: root(), linux: Some(linux.clone()), windows: None, out, plain })
    };
    let said = pack(false).expect_err("refused").to_string();
    assert!(said.contains("--features thumbforge-sidecar/dist") && said.contains("--plain"), "{said}");
    let notes = pack(true).expect("packed").notes;
    assert!(notes.iter().any(|note| note.contains("without C2PA")), "{notes:?}");
}
