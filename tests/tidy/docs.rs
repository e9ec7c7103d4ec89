//! What the documents promise is there: commands, links, generated files, licences.

use std::collections::BTreeSet;
use std::process::Command;

use crate::{files, none, root, rust, text};

const BINARY: &str = env!("CARGO_BIN_EXE_sidecar");

fn help(args: &[&str]) -> String {
    let output = Command::new(BINARY).args(args).arg("--help").output().expect("the binary runs");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// The verbs that the command line has.
fn verbs() -> BTreeSet<String> {
    let help = help(&[]);
    let commands =
        help.split("Commands:").nth(1).and_then(|rest| rest.split("\n\n").next()).expect("a list of commands");
    let indented = commands.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    indented.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

/// Documents that people read.
fn documents() -> Vec<String> {
    files().into_iter().filter(|path| path.ends_with(".md")).collect()
}

#[test]
fn the_readme_opens_with_two_commands() {
    let readme = text("README.md");
    for command in ["cargo run --release -- batch unity-package/Samples~/LocaleVariants --sheet", "\ntests/run\n"] {
        assert!(readme.contains(command), "README.md has no {command:?}");
    }
    for path in ["unity-package/Samples~/LocaleVariants/thumbforge.toml", "tests/run", ".ci/run", "deny.toml"] {
        assert!(root().join(path).exists(), "no {path}");
    }
}

#[test]
fn links_lead_somewhere() {
    let mut found = Vec::new();
    for document in documents() {
        let folder = document.rsplit_once('/').map_or("", |(folder, _)| folder);
        for link in text(&document).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split(['#', ' ']).next().unwrap_or_default();
            if !target.is_empty() && !target.contains("://") && !root().join(folder).join(target).exists() {
                found.push(format!("{document}: {link}"));
            }
        }
    }
    none("links to nothing", found);
}

#[test]
fn commands_that_we_name_are_there() {
    let verbs = verbs();
    assert!(verbs.contains("batch"), "{verbs:?}");
    let mut found = Vec::new();
    let sources = rust().into_iter().filter(|path| !path.starts_with("tests/"));
    for path in documents().into_iter().chain(sources) {
        // A changelog and decisions may speak of what is to come.
        if path.starts_with("docs/adr/") {
            continue;
        }
        for rest in text(&path).split("`thumbforge ").skip(1) {
            let verb: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
            let is_word = verb.starts_with(|c: char| c.is_ascii_lowercase());
            if is_word && !verbs.contains(&verb) {
                found.push(format!("{path}: `thumbforge {verb}`"));
            }
        }
    }
    none("commands that do not exist", found);
}

#[test]
fn flags_that_the_readme_names_are_there() {
    let mut known = help(&[]);
    for verb in verbs() {
        known.push_str(&help(&[&verb]));
    }
    // Flags of cargo, of tests/run and of tests/csharp/run.
    known.push_str("--release --full --workspace --all-targets --bench --features");
    let readme = text("README.md");
    let mut found = Vec::new();
    for rest in readme.split("--").skip(1) {
        let flag: String = rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
        let flag = flag.trim_end_matches('-');
        if flag.len() > 1 && !known.contains(&format!("--{flag}")) {
            found.push(format!("--{flag}"));
        }
    }
    none("flags that do not exist", found);
}

#[test]
fn the_schema_is_as_the_code_has_it() {
    let output = Command::new(BINARY).arg("schema").output().expect("the binary runs");
    let fresh = String::from_utf8(output.stdout).expect("text");
    let committed = text("docs/thumbforge.schema.json").replace("\r\n", "\n");
    assert!(fresh == committed, "docs/thumbforge.schema.json is old: write it again with `thumbforge schema`");
}

#[test]
fn licences_lie_beside_what_they_are_of() {
    for path in ["LICENSE-MIT", "LICENSE-APACHE", "CHANGELOG.md", "ARCHITECTURE.md"] {
        assert!(text(path).len() > 200, "{path} is empty");
    }
    let files = files();
    let mut found = Vec::new();
    for kind in ["/fonts/", "/icons/"] {
        let folders: BTreeSet<String> =
            files.iter().filter_map(|path| Some(format!("{}{kind}", path.split_once(kind)?.0))).collect();
        assert!(!folders.is_empty(), "no folder {kind}");
        // The licence itself, or a README that names it with its authors.
        found.extend(folders.into_iter().filter(|folder| {
            let named = |name: &str, words: &str| {
                let path = format!("{folder}{name}");
                files.contains(&path) && text(&path).contains(words)
            };
            !named("OFL.txt", "SIL OPEN FONT LICENSE") && !named("README.md", "**Licence:** Creative Commons")
        }));
    }
    none("works of others without their licence", found);
    for path in files.iter().filter(|path| path.ends_with("/Cargo.toml") && !path.ends_with("/fuzz/Cargo.toml")) {
        assert!(text(path).contains("license.workspace = true"), "{path} names no licence");
    }
}
