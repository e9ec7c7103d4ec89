//! Every source file says what it is for, is reached by its crate, and holds nothing half done.

use std::collections::BTreeSet;

use crate::{files, none, root, rust, text};

#[test]
fn every_file_opens_with_what_it_is_for() {
    let without = rust().into_iter().filter(|path| {
        let text = text(path);
        let first = text.lines().next().unwrap_or_default();
        first.strip_prefix("//! ").is_none_or(|words| words.trim().len() < 12)
    });
    none("files without an opening //! line", without.collect());
}

#[test]
fn every_file_is_reached_by_its_crate() {
    let all: BTreeSet<String> = rust().into_iter().collect();
    let mut open: Vec<String> = all.iter().filter(|path| is_root(path)).cloned().collect();
    let mut reached: BTreeSet<String> = BTreeSet::new();
    while let Some(path) = open.pop() {
        if !reached.insert(path.clone()) {
            continue;
        }
        let (folder, name) = path.rsplit_once('/').expect("in a folder");
        let own = if is_root(&path) || name == "mod.rs" {
            folder.to_owned()
        } else {
            path.trim_end_matches(".rs").to_owned()
        };
        for line in text(&path).lines() {
            let Some(module) = module_of(line) else { continue };
            let places = [format!("{own}/{module}.rs"), format!("{own}/{module}/mod.rs")];
            open.extend(places.into_iter().filter(|place| all.contains(place)));
        }
    }
    none("files that no mod line reaches", all.difference(&reached).cloned().collect());
}

/// Whether cargo starts a target here.
fn is_root(path: &str) -> bool {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let is_build_script = name == "build.rs" && root().join(folder).join("Cargo.toml").exists();
    // Suites of one crate, and targets of a fuzzer.
    let is_suite = folder.ends_with("/tests") && root().join(folder).join("../Cargo.toml").exists();
    let is_example = ["/examples", "/bin", "/fuzz_targets"].iter().any(|end| folder.ends_with(end));
    matches!(name, "lib.rs" | "main.rs") || is_build_script || is_suite || is_example
}

/// The name in `mod name;`, whatever stands before it.
fn module_of(line: &str) -> Option<&str> {
    let rest = line.trim().strip_suffix(';')?;
    let rest = match rest.strip_prefix("pub") {
        Some(rest) if rest.starts_with('(') => rest.split_once(')')?.1,
        Some(rest) => rest,
        None => rest,
    };
    let name = rest.trim_start().strip_prefix("mod ")?;
    name.chars().all(|c| c.is_alphanumeric() || c == '_').then_some(name)
}

/// Words that this file may name without holding them.
fn word(halves: [&str; 2]) -> String {
    halves.concat()
}

#[test]
fn nothing_is_half_done() {
    let words = [["tod", "o!("], ["unimplem", "ented!("], ["dbg", "!("], ["#[ign", "ore"], ["FIX", "ME"]].map(word);
    let mut found = Vec::new();
    for path in rust() {
        // What a test runs in a process of its own is a test that only this process runs.
        let text = text(&path).replace(&word(["#[ign", "ore = \"a part of another test\"]"]), "");
        found.extend(words.iter().filter(|word| text.contains(word.as_str())).map(|word| format!("{path}: {word}")));
    }
    none("left undone", found);
}

#[test]
fn nothing_sleeps() {
    // A rename that another program holds up is tried again after a pause that callers choose.
    let may = ["sidecar/src/output/write.rs"];
    // Tasks of the sidecar that wait for a moment: a deadline, an idle end, a system out of file descriptors.
    // And the scripted provider, whose pictures take the time that a benchmark names.
    let provider = "tests/src/provider/dialect.rs";
    // The client of providers waits between two polls for as long as the provider asks.
    let polls = "sidecar/hosted/src/client.rs";
    // A pull of weights waits before it asks a hub again that gave nothing.
    let hub = "sidecar/src/weights/hub.rs";
    let waits = ["sidecar/src/dispatch/actor.rs", "sidecar/src/cli/serve.rs", "sidecar/src/intake/http.rs"];
    let tasks = [&[provider, polls, hub], &waits[..]].concat();
    let (blocking, asynchronous) = (word(["thread::", "sleep"]), word(["time::", "sleep"]));
    let mut found = Vec::new();
    for path in rust() {
        let text = text(&path);
        if text.contains(&blocking) && !may.contains(&path.as_str()) {
            found.push(format!("{path}: {blocking}"));
        }
        if text.contains(&asynchronous) && !tasks.contains(&path.as_str()) {
            found.push(format!("{path}: {asynchronous}"));
        }
        // Only the rig's one helper waits for a condition.
        if path.starts_with("tests/") && text.contains(&word(["park_", "timeout"])) && path != "tests/src/rig.rs" {
            found.push(format!("{path}: waits by itself; use wait_for"));
        }
    }
    // An editor's frames are paced in one place; tests ask for a condition in every frame.
    let paced = "tests/csharp/doubles/FakeEditor.cs";
    let words = [word(["Thread.", "Sleep"]), word(["Task.", "Delay"])];
    for path in files().into_iter().filter(|path| path.ends_with(".cs") && path != paced) {
        let text = text(&path);
        found.extend(words.iter().filter(|word| text.contains(word.as_str())).map(|word| format!("{path}: {word}")));
    }
    none("sleeping", found);
}

#[test]
fn unsafe_code_stays_where_it_is_argued_for() {
    let may = ["ffi/", "cuda/", "rust-core/channel/", "sidecar/diffusion/", "sidecar/reader/src/tesseract/sys.rs"];
    let (block, function) = (word(["unsafe", " {"]), word(["unsafe", " fn"]));
    let found = rust().into_iter().filter(|path| !may.iter().any(|may| path.starts_with(may))).filter(|path| {
        let text = text(path);
        text.contains(&block) || text.contains(&function)
    });
    none("unsafe code", found.collect());
}

#[test]
fn no_path_of_somebodys_machine() {
    let words = [["/ro", "ot/"], ["/wo", "rk/"], ["/Us", "ers/"], ["C:\\Us", "ers"], ["/mn", "t/"]].map(word);
    let mut found = Vec::new();
    for path in files() {
        let Ok(text) = std::fs::read_to_string(root().join(&path)) else { continue };
        if path == "Cargo.lock" {
            continue;
        }
        for (at, line) in text.lines().enumerate() {
            // Words in the middle of a path (`a/work/b`) are folders of some project.
            let names = |word: &String| {
                line.find(word.as_str()).is_some_and(|at| {
                    !line[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '.' | '}' | '*' | '~'))
                })
            };
            found.extend(words.iter().filter(|word| names(word)).map(|word| format!("{path}:{}: {word}", at + 1)));
        }
    }
    none("paths of one machine", found);
}

#[test]
fn files_end_in_one_newline_and_have_no_tabs_at_their_ends() {
    let mut found = Vec::new();
    for path in files() {
        let is_text = [".rs", ".toml", ".md", ".sql", ".cs", ".json", ".sh"].iter().any(|end| path.ends_with(end));
        if !is_text {
            continue;
        }
        let text = text(&path);
        if !text.is_empty() && (!text.ends_with('\n') || text.ends_with("\n\n")) {
            found.push(format!("{path}: its end"));
        }
        let trailing = text.lines().position(|line| line.ends_with([' ', '\t']));
        found.extend(trailing.map(|line| format!("{path}:{}: white space at the end", line + 1)));
    }
    none("white space", found);
}
