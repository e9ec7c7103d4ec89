//! Which crate may depend on what, and which module may know it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use crate::{none, rust, text};

/// What of the world outside one crate alone may name, and which.
const ONLY: [(&str, &[&str]); 12] = [
    ("tokio", &["thumbforge-sidecar", "thumbforge-hosted"]),
    ("tokio-util", &["thumbforge-sidecar"]),
    ("axum", &["thumbforge-sidecar"]),
    ("hyper", &["thumbforge-sidecar"]),
    ("reqwest", &["thumbforge-sidecar", "thumbforge-hosted"]),
    // TLS is that of calls to providers and of nothing else.
    ("rustls", &["thumbforge-hosted"]),
    ("rusqlite", &["thumbforge-sidecar"]),
    ("cudarc", &["thumbforge-cuda"]),
    ("libloading", &["thumbforge-reader", "thumbforge-cuda", "thumbforge-cuda-standin", "thumbforge-cuda-compile"]),
    ("clap", &["thumbforge-sidecar"]),
    ("safer-ffi", &["thumbforge-bindgen"]),
    ("cbindgen", &["thumbforge-bindgen"]),
];

/// Which of our own crates each may name.
const ARROWS: [(&str, &[&str]); 13] = [
    ("thumbforge-core", &[]),
    ("thumbforge-hosted", &["thumbforge-core"]),
    ("thumbforge-channel", &["thumbforge-core"]),
    ("thumbforge-art", &["thumbforge-core"]),
    ("thumbforge-diffusion", &["thumbforge-core"]),
    ("thumbforge-reader", &["thumbforge-core"]),
    ("thumbforge-cuda", &["thumbforge-diffusion"]),
    // A driver for tests, and a tool for whoever changes a kernel: neither is part of a product.
    ("thumbforge-cuda-standin", &[]),
    ("thumbforge-cuda-compile", &["thumbforge-cuda"]),
    ("thumbforge-ffi", &["thumbforge-core", "thumbforge-channel"]),
    // It reads the ABI's source and belongs to no product.
    ("thumbforge-bindgen", &[]),
    (
        "thumbforge-sidecar",
        &[
            "thumbforge-core",
            "thumbforge-channel",
            "thumbforge-art",
            "thumbforge-hosted",
            "thumbforge-diffusion",
            "thumbforge-reader",
            "thumbforge-cuda",
        ],
    ),
    (
        "thumbforge-tests",
        &[
            "thumbforge-core",
            "thumbforge-channel",
            "thumbforge-art",
            "thumbforge-hosted",
            "thumbforge-diffusion",
            "thumbforge-reader",
            "thumbforge-cuda",
            "thumbforge-cuda-standin",
            "thumbforge-ffi",
            "thumbforge-bindgen",
            "thumbforge-sidecar",
        ],
    ),
];

struct Crates {
    /// Direct dependencies that are no dev-dependencies, by name.
    direct: BTreeMap<String, BTreeSet<String>>,
    /// The same for every package of the build.
    graph: BTreeMap<String, BTreeSet<String>>,
    names: BTreeMap<String, String>,
}

fn crates() -> Crates {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--locked"])
        .current_dir(crate::root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let word = |value: &Value| value.as_str().expect("a word").to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let names: BTreeMap<String, String> =
        list(&metadata["packages"]).iter().map(|package| (word(&package["id"]), word(&package["name"]))).collect();
    let ours: BTreeSet<String> = list(&metadata["workspace_members"]).iter().map(word).collect();
    let (mut direct, mut graph) = (BTreeMap::new(), BTreeMap::new());
    for node in list(&metadata["resolve"]["nodes"]) {
        let id = word(&node["id"]);
        let deps = list(&node["deps"]);
        let normal = deps.iter().filter(|dep| list(&dep["dep_kinds"]).iter().any(|kind| kind["kind"].is_null()));
        let ids: BTreeSet<String> = normal.map(|dep| word(&dep["pkg"])).collect();
        if ours.contains(&id) {
            direct.insert(names[&id].clone(), ids.iter().map(|id| names[id].clone()).collect());
        }
        graph.insert(id, ids);
    }
    Crates { direct, graph, names }
}

impl Crates {
    /// Everything that is built for a crate.
    fn closure(&self, name: &str) -> BTreeSet<String> {
        let mut open: Vec<&String> = self.names.iter().filter(|(_, known)| *known == name).map(|(id, _)| id).collect();
        let mut seen = BTreeSet::new();
        while let Some(id) = open.pop() {
            if seen.insert(id.clone()) {
                open.extend(self.graph.get(id).into_iter().flatten());
            }
        }
        seen.iter().map(|id| self.names[id].clone()).collect()
    }
}

#[test]
fn crates_know_only_what_they_may() {
    let crates = crates();
    let mut found = Vec::new();
    for (name, direct) in &crates.direct {
        let Some((_, may)) = ARROWS.iter().find(|(known, _)| known == name) else {
            found.push(format!("{name} is a crate without an arrow here"));
            continue;
        };
        for dep in direct.iter().filter(|dep| dep.starts_with("thumbforge-")) {
            if !may.contains(&dep.as_str()) {
                found.push(format!("{name} may not depend on {dep}"));
            }
        }
        for (dep, only) in ONLY {
            if direct.contains(dep) && !only.contains(&name.as_str()) && name != "thumbforge-tests" {
                found.push(format!("{name} may not depend on {dep}: {} alone does", only.join(" or ")));
            }
        }
    }
    none("arrows between crates", found);
}

#[test]
fn the_core_and_what_draws_build_without_network_or_database() {
    let crates = crates();
    let heavy = ["tokio", "hyper", "axum", "reqwest", "rusqlite", "libsqlite3-sys", "mio", "openssl-sys", "rustls"];
    let mut found = Vec::new();
    for name in ["thumbforge-core", "thumbforge-art", "thumbforge-diffusion", "thumbforge-channel", "thumbforge-ffi"] {
        let all = crates.closure(name);
        assert!(all.contains(name), "no crate {name}");
        found.extend(heavy.iter().filter(|heavy| all.contains(**heavy)).map(|heavy| format!("{name} builds {heavy}")));
    }
    none("weight of small crates", found);
}

/// Rust files below `folder` that are no tests, with their code.
fn code_below(folder: &str) -> Vec<(String, String)> {
    let files: Vec<String> = rust().into_iter().filter(|path| path.starts_with(folder)).collect();
    assert!(!files.is_empty(), "nothing below {folder}");
    let texts: Vec<String> = files.iter().map(|path| text(path)).collect();
    let is_test = |path: &str| {
        // A file of its own that a `mod` line under `cfg(test)` names, in the folder above.
        let name = path.rsplit('/').next().unwrap_or_default().trim_end_matches(".rs");
        let line = format!("#[cfg(test)]\nmod {name};");
        let whole_file = name != "tests" && texts.iter().any(|text| text.contains(&line));
        path.ends_with("/tests.rs") || path.contains("/tests/") || path.contains("/examples/") || whole_file
    };
    files.iter().filter(|path| !is_test(path)).map(|path| (path.clone(), without_comments(&text(path)))).collect()
}

/// Code up to the file's own tests, without line comments.
fn without_comments(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn absent(folder: &str, words: &[&str], but_in: &[&str]) {
    let mut found = Vec::new();
    for (path, code) in code_below(folder) {
        if !but_in.iter().any(|allowed| path.starts_with(allowed)) {
            found.extend(words.iter().filter(|word| code.contains(**word)).map(|word| format!("{path} names {word}")));
        }
    }
    none(&format!("arrows below {folder}"), found);
}

#[test]
fn the_core_knows_no_clock_thread_file_or_socket() {
    let words =
        ["std::fs", "std::net", "std::thread", "std::process", "std::env", "SystemTime", "Instant::now", "println!"];
    absent("rust-core/src/", &words, &[]);
}

#[test]
fn art_knows_no_clock_thread_file_or_socket() {
    let words =
        ["std::fs", "std::net", "std::thread", "std::process", "std::env", "SystemTime", "Instant::now", "tokio"];
    absent("sidecar/art/src/", &words, &[]);
}

#[test]
fn http_stays_at_the_door() {
    // A bench measures the channel against HTTP.
    let places = ["sidecar/src/intake/http", "sidecar/src/bench/rivals.rs"];
    absent("sidecar/src/", &["axum::", "hyper::", "hyper_util::"], &places);
}

#[test]
fn weights_are_got_by_one_command_alone() {
    let places = ["sidecar/src/weights", "sidecar/src/cli/weights"];
    absent("sidecar/src/", &["weights::pull", "weights::hub", "Downloader"], &places);
}

#[test]
fn sqlite_stays_in_the_journal() {
    absent("sidecar/src/", &["rusqlite::"], &["sidecar/src/journal"]);
}

#[test]
fn c2pa_is_known_by_one_module_and_built_by_packaged_builds_alone() {
    absent("sidecar/src/", &["use c2pa::", "x509_parser"], &["sidecar/src/output/c2pa"]);
    let crates = crates();
    let built = crates.closure("thumbforge-sidecar");
    assert!(built.contains("png") && !built.contains("c2pa"), "a plain build has c2pa in it");
}

#[test]
fn the_machines_clock_is_read_in_few_places() {
    // Job times come from `clock`; the others compare files' times or give a build its moment.
    let places = [
        "sidecar/src/clock.rs",
        "sidecar/src/app.rs",
        "sidecar/src/cli/",
        "sidecar/src/command/",
        "sidecar/src/output/",
    ];
    absent("sidecar/src/", &["SystemTime::now"], &places);
}

#[test]
fn a_build_knows_no_engine_and_the_dispatcher_no_file() {
    absent("sidecar/src/dispatch/", &["std::fs", "std::net", "crate::engine", "crate::store", "crate::intake"], &[]);
    absent("sidecar/src/engine/", &["crate::intake", "crate::dispatch", "crate::build", "crate::journal"], &[]);
    absent("sidecar/src/output/", &["crate::intake", "crate::dispatch", "crate::build", "crate::journal"], &[]);
}

#[test]
fn every_crate_takes_the_workspaces_lints() {
    // A fuzzer is a workspace of its own.
    let is_ours = |path: &String| path.ends_with("/Cargo.toml") && !path.ends_with("/fuzz/Cargo.toml");
    let manifests: Vec<String> = crate::files().into_iter().filter(is_ours).collect();
    let without = manifests.into_iter().filter(|path| !text(path).contains("[lints]\nworkspace = true"));
    none("crates with lints of their own", without.collect());
}
