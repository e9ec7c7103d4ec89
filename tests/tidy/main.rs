//! What no compiler checks: which crate and module may know what, and that files say what they are for.

mod arrows;
mod docs;
mod manual;
mod sources;
mod unity;

use std::path::{Path, PathBuf};

/// The repository's folder.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the repository").to_owned()
}

/// Files of the repository, by paths relative to it with forward slashes; build outputs are none.
fn files() -> Vec<String> {
    let (root, mut folders, mut files) = (root(), vec![root()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder").flatten() {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            let relative = path.strip_prefix(&root).expect("below the root").to_string_lossy().replace('\\', "/");
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if !matches!(name.as_str(), ".git" | "target" | "node_modules" | "Library") {
                    folders.push(path);
                }
            } else if name != ".git" {
                files.push(relative);
            }
        }
    }
    files.sort();
    assert!(files.len() > 100, "the repository has {} files", files.len());
    files
}

/// Rust files.
fn rust() -> Vec<String> {
    files().into_iter().filter(|path| path.ends_with(".rs")).collect()
}

/// The text of a file.
fn text(path: &str) -> String {
    let bytes = std::fs::read(root().join(path)).unwrap_or_else(|err| panic!("{path}: {err}"));
    String::from_utf8(bytes).unwrap_or_else(|err| panic!("{path}: {err}"))
}

/// Fails with everything that was found, one a line.
#[track_caller]
fn none(what: &str, found: Vec<String>) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}
