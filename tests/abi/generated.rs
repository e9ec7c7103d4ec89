//! What is generated is what is committed, and the two headers agree.

use std::collections::BTreeMap;

use thumbforge_bindgen::meta::{self, Kind};

use crate::{Standard, compiled, root};

#[test]
fn what_is_generated_is_fresh() {
    for generated in thumbforge_bindgen::generate().expect("the ABI's source") {
        let path = root().join(&generated.path);
        let committed = std::fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
        let old = committed != generated.text;
        assert!(!old, "{} is missing or old: write it again with cargo run -p thumbforge-bindgen", generated.path);
    }
}

/// Unity passes over a file without a `.meta` in a package that somebody installed, and complains of the reverse.
#[test]
fn every_file_of_the_unity_package_has_a_meta_and_every_meta_a_file() {
    let metas = meta::metas(&root().join(thumbforge_bindgen::PACKAGE)).expect("the package");
    assert!(metas.orphans.is_empty(), "of nothing, cargo run -p thumbforge-bindgen removes them: {:?}", metas.orphans);
    let wanted: BTreeMap<&str, &str> = metas.wanted.iter().map(|(path, text)| (&path[..], &text[..])).collect();
    for path in ["package.json.meta", "Editor.meta", "Editor/Native/NativeMethods.g.cs.meta"] {
        assert!(wanted.contains_key(path), "no {path} among {} files", wanted.len());
    }
    assert!(wanted.keys().all(|path| !path.contains('~')), "Unity imports nothing below a folder that ends in ~");
    let identities: BTreeMap<String, &str> = wanted.iter().map(|(path, text)| (guid(text), *path)).collect();
    assert_eq!(identities.len(), wanted.len(), "two files have one identity");
}

/// A package that is there twice: with what a person who adds, moves and leaves out files would have.
#[test]
fn metas_follow_the_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let put = |path: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, "x").expect("written");
    };
    for path in ["A/B/One.cs", "A/Gone.cs.meta", "A/.hidden/x.cs", "Samples~/S/x.cs", "Two.asmdef", "cvs/x.cs"] {
        put(path);
    }
    std::fs::create_dir_all(folder.path().join("Empty/Deeper")).expect("made");
    let metas = meta::metas(folder.path()).expect("looked at");
    let wanted: Vec<&str> = metas.wanted.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(wanted, ["A.meta", "A/B.meta", "A/B/One.cs.meta", "Two.asmdef.meta"]);
    assert_eq!(metas.orphans, ["A/Gone.cs.meta"]);
    put("A/what.blend");
    let refused = meta::metas(folder.path()).err().expect("an importer that nobody knows").to_string();
    assert!(refused.contains("A/what.blend") && refused.contains("meta.rs"), "{refused}");
}

/// Shipped identities: settings of projects name scripts by them, so a change here breaks what people have.
#[test]
fn identities_stay() {
    assert_eq!(meta::guid("package.json"), "3e5e9e5333a90908886c128082e05093");
    assert_eq!(meta::guid("Editor/Native/NativeMethods.g.cs"), "b39ca48a64968f7dd54fade6dcf76bde");
    let library = meta::text("Plugins/x86_64/libthumbforge.so", Kind::File).expect("an importer");
    assert!(library.contains("OS: Linux\n") && !library.contains("enabled: 1\n      settings:\n        CPU: None"));
    assert_eq!(library.matches("enabled: 1").count(), 1, "the editor alone loads it");
}

fn guid(text: &str) -> String {
    let line = text.lines().nth(1).and_then(|line| line.strip_prefix("guid: "));
    line.expect("a .meta has its identity in its second line").to_owned()
}

#[test]
fn both_headers_agree_in_c_and_in_cpp() {
    let folder = tempfile::tempdir().expect("a folder");
    for standard in [Standard::C11, Standard::Cpp17] {
        compiled("layout.c", standard, folder.path(), &["-c"]);
    }
}

#[test]
fn the_header_is_c99() {
    let folder = tempfile::tempdir().expect("a folder");
    for standard in [Standard::C99, Standard::Cpp17] {
        compiled("round_trip.c", standard, folder.path(), &["-c"]);
    }
}
