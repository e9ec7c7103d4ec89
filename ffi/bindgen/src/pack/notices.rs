//! The licences of what is built into the programs: fonts, icons, and the crates that they are linked from.
//!
//! Nearly all of them ask that their text goes along with a binary.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::{at, refused, System};

/// What goes into the programs, for whose crates licences are collected.
const ROOTS: &[&str] = &["thumbforge-sidecar", "thumbforge-ffi"];

/// What packaged programs are built with, beside what they always have.
const FEATURES: &str = "thumbforge-sidecar/dist";

/// Beginnings of the names, in small letters, of files that a licence asks to be kept.
const NAMES: &[&str] = &["licen", "copying", "copyright", "notice", "unlicense"];

/// Names below the package's folder of licences, and texts.
pub(super) fn collect(root: &Path) -> io::Result<Vec<(String, String)>> {
    let read = |path: &str| {
        let path = root.join(path);
        fs::read_to_string(&path).map(|text| text.replace("\r\n", "\n")).map_err(|err| at(&path, &err))
    };
    Ok(vec![
        ("LICENSE-APACHE".to_owned(), read("LICENSE-APACHE")?),
        ("LICENSE-MIT".to_owned(), read("LICENSE-MIT")?),
        ("crates.txt".to_owned(), crates(root)?),
        ("fonts-OFL.txt".to_owned(), read("sidecar/art/fonts/OFL.txt")?),
        ("fonts.md".to_owned(), read("sidecar/art/fonts/README.md")?),
        ("icons.md".to_owned(), read("sidecar/art/icons/README.md")?),
    ])
}

/// A crate that is linked in.
#[derive(Default)]
struct Crate {
    licence: String,
    /// Where its authors develop it; crates of one place share a licence's file.
    repository: String,
    /// Files that its licence asks to be kept: names and texts.
    texts: BTreeMap<String, String>,
}

/// Every crate with its licence, then every text once with the crates that it is of.
fn crates(root: &Path) -> io::Result<String> {
    let mut crates = BTreeMap::new();
    for system in [System::Linux, System::Windows] {
        linked(&metadata(root, system)?, &mut crates)?;
    }
    complete(&mut crates)?;
    let mut text = String::from(
        "Thumbforge's programs are linked from these works, and from the Rust standard library (MIT OR Apache-2.0,\n\
         Copyright (c) The Rust Project Contributors). The texts of their licences follow.\n\n",
    );
    let mut of: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, found) in &crates {
        let _ = writeln!(text, "{name}: {}", found.licence);
        for licence in found.texts.values() {
            of.entry(licence).or_default().insert(name);
        }
    }
    for (licence, names) in of {
        let names: Vec<&str> = names.into_iter().collect();
        let _ =
            write!(text, "\n{}\n{}\n{}\n\n{}\n", "=".repeat(80), names.join("\n"), "-".repeat(80), licence.trim_end());
    }
    Ok(text)
}

/// What cargo knows of the workspace for a system, from what is on this machine alone.
fn metadata(root: &Path, system: System) -> io::Result<Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root).args(["metadata", "--locked", "--format-version", "1", "--features", FEATURES]);
    let output = command
        .args(["--filter-platform", system.triple()])
        .output()
        .map_err(|err| refused(format!("cargo cannot be run: {err}")))?;
    if !output.status.success() {
        return Err(refused(format!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr).trim())));
    }
    serde_json::from_slice(&output.stdout).map_err(|err| refused(format!("cargo metadata is no JSON: {err}")))
}

/// Adds the crates of others that the programs are linked from: not those that only build or test them.
fn linked(metadata: &Value, crates: &mut BTreeMap<String, Crate>) -> io::Result<()> {
    let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    let id = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let packages: BTreeMap<String, Value> =
        list(metadata, "packages").into_iter().map(|package| (id(&package, "id"), package)).collect();
    let nodes: BTreeMap<String, Value> =
        list(&metadata["resolve"], "nodes").into_iter().map(|node| (id(&node, "id"), node)).collect();
    let is_root = |package: &Value| ROOTS.iter().any(|root| package["name"] == *root);
    let mut open: Vec<String> =
        packages.iter().filter(|(_, package)| is_root(package)).map(|(id, _)| id.clone()).collect();
    if open.len() != ROOTS.len() {
        return Err(refused(format!("cargo metadata does not name {}", ROOTS.join(" and "))));
    }
    let mut seen = BTreeSet::new();
    while let Some(next) = open.pop() {
        if !seen.insert(next.clone()) {
            continue;
        }
        for dependency in list(&nodes[&next], "deps") {
            if list(&dependency, "dep_kinds").iter().any(|kind| kind["kind"].is_null()) {
                open.push(id(&dependency, "pkg"));
            }
        }
        let package = &packages[&next];
        if package["source"].is_null() {
            continue;
        }
        let name = format!("{} {}", id(package, "name"), id(package, "version"));
        crates.insert(name, read(package)?);
    }
    Ok(())
}

/// Gives crates that come without a licence's file the text that theirs is: that of a crate from the same repository under
/// the same licence, or where they may be taken under it the Apache licence, which is the same for all.
fn complete(crates: &mut BTreeMap<String, Crate>) -> io::Result<()> {
    let with: Vec<(String, String, BTreeMap<String, String>)> = crates
        .values()
        .filter(|found| !found.texts.is_empty() && !found.repository.is_empty())
        .map(|found| (found.repository.clone(), found.licence.clone(), found.texts.clone()))
        .collect();
    for (name, found) in crates.iter_mut().filter(|(_, found)| found.texts.is_empty()) {
        let of_both = |other: &&(String, String, _)| other.0 == found.repository && other.1 == found.licence;
        if let Some((.., texts)) = with.iter().find(of_both) {
            found.texts.clone_from(texts);
        } else if found.licence.replace('/', " OR ").split(" OR ").any(|licence| licence.trim() == "Apache-2.0") {
            found.texts.insert("LICENSE-APACHE".to_owned(), APACHE.replace("\r\n", "\n"));
        } else {
            return Err(refused(format!("{name} ({}) has no file that says its licence", found.licence)));
        }
    }
    Ok(())
}

/// The Apache licence, as this project's own copy has it.
const APACHE: &str = include_str!("../../../../LICENSE-APACHE");

/// The MIT licence from its grant on, as this project's own copy has it.
fn mit() -> &'static str {
    let text = include_str!("../../../../LICENSE-MIT");
    text.find("Permission is hereby granted").map_or(text, |at| &text[at..])
}

/// A crate as its sources have it.
fn read(package: &Value) -> io::Result<Crate> {
    let manifest = Path::new(package["manifest_path"].as_str().unwrap_or_default());
    let folder = manifest.parent().ok_or_else(|| refused("a crate lies nowhere"))?;
    // A repository of several crates is named with the folder of each, or without.
    let repository = package["repository"].as_str().unwrap_or_default();
    let repository = repository.split("/tree/").next().unwrap_or_default().trim_end_matches(".git");
    let mut found = Crate {
        licence: package["license"].as_str().unwrap_or("see below").to_owned(),
        repository: repository.to_owned(),
        ..Crate::default()
    };
    for entry in fs::read_dir(folder).map_err(|err| at(folder, &err))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_asked_for = NAMES.iter().any(|begin| name.to_lowercase().starts_with(begin));
        if is_asked_for && entry.file_type()?.is_file() {
            let bytes = fs::read(entry.path()).map_err(|err| at(&entry.path(), &err))?;
            found.texts.insert(name, String::from_utf8_lossy(&bytes).replace("\r\n", "\n"));
        }
    }
    if found.texts.is_empty() && found.licence == "MIT" {
        // Some authors say it in their manifest alone. The licence's words are always the same; whose they are stands there.
        let authors: Vec<&str> =
            package["authors"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let authors = authors.join(", ");
        if !authors.is_empty() {
            found.texts.insert("LICENSE-MIT".to_owned(), format!("Copyright (c) {authors}\n\n{}", mit()));
        }
    }
    Ok(found)
}
