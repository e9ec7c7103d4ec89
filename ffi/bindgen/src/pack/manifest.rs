//! What Unity's Package Manager asks of `package.json`, and what we ask of it besides.

use std::io;

use serde_json::Value;

use super::{refused, Files};

/// What the archive is called by.
pub(super) struct Manifest {
    pub(super) name: String,
    pub(super) version: String,
}

/// Keys that the Package Manager knows. One that it does not know is passed over without a word, so a slip of the
/// pen would be found by nobody.
const KEYS: &[&str] = &[
    "name",
    "version",
    "displayName",
    "description",
    "unity",
    "unityRelease",
    "keywords",
    "author",
    "license",
    "licensesUrl",
    "documentationUrl",
    "changelogUrl",
    "dependencies",
    "samples",
    "hideInEditor",
    "type",
];

/// Reads `package.json` and compares it with the files that it speaks of.
pub(super) fn check(files: &Files) -> io::Result<Manifest> {
    let text = files.get("package.json").ok_or_else(|| refused("the package has no package.json"))?;
    let manifest: Value =
        serde_json::from_slice(&text.bytes).map_err(|err| refused(format!("package.json is no JSON: {err}")))?;
    let Value::Object(object) = &manifest else { return Err(refused("package.json is no object")) };
    if let Some(key) = object.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(wrong(format!("the Package Manager knows no {key:?}")));
    }
    let name = string(&manifest, "name")?;
    if !is_name(name) {
        return Err(wrong(format!("name {name:?} is no reversed domain name of small letters, digits, - and _")));
    }
    let version = string(&manifest, "version")?;
    if version != env!("CARGO_PKG_VERSION") {
        return Err(wrong(format!("version {version} is not that of the programs, {}", env!("CARGO_PKG_VERSION"))));
    }
    for key in ["displayName", "description"] {
        string(&manifest, key)?;
    }
    let unity = string(&manifest, "unity")?;
    if !unity.split_once('.').is_some_and(|(major, minor)| is_number(major) && is_number(minor)) {
        return Err(wrong(format!("unity {unity:?} is not as in \"2022.3\"")));
    }
    for key in ["documentationUrl", "changelogUrl", "licensesUrl"] {
        if object.contains_key(key) && !string(&manifest, key)?.starts_with("https://") {
            return Err(wrong(format!("{key} is no address; without one Unity opens the package's own file")));
        }
    }
    samples(&manifest, files)?;
    changelog(files, version)?;
    for path in ["README.md", "LICENSE.md"] {
        if !files.contains_key(path) {
            return Err(refused(format!("the package has no {path}")));
        }
    }
    Ok(Manifest { name: name.to_owned(), version: version.to_owned() })
}

/// Every sample is there, and every folder of samples is named: only then does the Package Manager list it.
fn samples(manifest: &Value, files: &Files) -> io::Result<()> {
    let mut named = Vec::new();
    for sample in manifest.get("samples").and_then(Value::as_array).into_iter().flatten() {
        for key in ["displayName", "description"] {
            string(sample, key)?;
        }
        let path = string(sample, "path")?;
        if !path.starts_with("Samples~/") || !files.keys().any(|file| file.starts_with(&format!("{path}/"))) {
            return Err(wrong(format!("the sample {path:?} is not there")));
        }
        named.push(path);
    }
    for file in files.keys().filter(|file| file.starts_with("Samples~/")) {
        let folder: Vec<&str> = file.split('/').take(2).collect();
        if !named.contains(&folder.join("/").as_str()) {
            return Err(wrong(format!("{file} is of no sample that package.json names")));
        }
    }
    Ok(())
}

/// The changelog has an entry for the version.
fn changelog(files: &Files, version: &str) -> io::Result<()> {
    let text = files.get("CHANGELOG.md").map(|file| String::from_utf8_lossy(&file.bytes)).unwrap_or_default();
    let heads = text.lines().filter_map(|line| line.strip_prefix("## "));
    let is_there = |head: &str| head.trim_start_matches('[').split([',', ' ', ']']).next() == Some(version);
    if heads.into_iter().any(is_there) {
        return Ok(());
    }
    Err(refused(format!("CHANGELOG.md of the package has no entry for {version}: write one under \"## {version}\"")))
}

fn string<'a>(object: &'a Value, key: &str) -> io::Result<&'a str> {
    let found = object.get(key).and_then(Value::as_str).filter(|text| !text.trim().is_empty());
    found.ok_or_else(|| wrong(format!("{key} is missing or no text")))
}

fn is_name(name: &str) -> bool {
    let parts: Vec<&str> = name.split('.').collect();
    let is_part = |part: &&str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
    };
    name.len() <= 214 && parts.len() >= 3 && parts.iter().all(is_part)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn wrong(message: impl std::fmt::Display) -> io::Error {
    refused(format!("package.json: {message}"))
}
