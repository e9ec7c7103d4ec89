//! Import profiles on their way to Unity: `Library/Thumbforge/profiles.json` of the project that outputs lie in.
//!
//! ```text
//! {"files":[{"path":"Assets/Shop/sword.en.png","manifest":"thumbforge.toml","profile":{"texture_type":"sprite"}}]}
//! ```
//! Unity's importer reads it when it meets a new texture, so it is written before the first texture is. The folder is no
//! team's: every machine writes its own. Several manifests may write to one project, and each keeps to its own entries.
//! The reader knows neither maps nor values that are absent: platforms are a list, and switches that are set are named.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use thumbforge_core::manifest::body::Profile;

use super::meta::UnityProjects;
use super::write::{Patience, WriteError, write_atomic};

/// Settings that are on or off.
const SWITCHES: [&str; 3] = ["srgb", "mipmaps", "alpha_is_transparency"];

#[derive(Default, Serialize, Deserialize)]
struct Table {
    files: Vec<Entry>,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct Entry {
    path: String,
    manifest: String,
    profile: Value,
}

/// Which entries of a manifest are said anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// All: what is not said any more is gone.
    All,
    /// Those of these outputs.
    Some,
}

/// The file of a Unity project.
pub fn path_of(unity_root: &Path) -> PathBuf {
    unity_root.join("Library").join("Thumbforge").join("profiles.json")
}

/// Sorts outputs with their profiles by the Unity project that they are assets of. A project without any is there as well
/// when the manifest's outputs lie in it: what an earlier build said may have to go.
pub fn by_project<'w>(
    outputs: impl Iterator<Item = (PathBuf, Option<&'w Profile>)>,
) -> BTreeMap<PathBuf, Vec<(String, &'w Profile)>> {
    let (mut unity, mut projects) = (UnityProjects::new(), BTreeMap::new());
    for (output, profile) in outputs {
        let Some((root, asset)) = unity.asset_path(&output) else { continue };
        let known: &mut Vec<_> = projects.entry(root).or_default();
        known.extend(profile.map(|profile| (asset, profile)));
    }
    projects
}

/// Brings the file of a Unity project up to date, and leaves it alone when it is.
///
/// # Errors
/// [`WriteError`], which says what stands in the way.
pub fn write(unity_root: &Path, manifest: &Path, outputs: &[(String, &Profile)], said: Said) -> Result<(), WriteError> {
    let path = path_of(unity_root);
    let old = std::fs::read_to_string(&path).ok();
    if old.is_none() && outputs.is_empty() {
        return Ok(());
    }
    let manifest = manifest.strip_prefix(unity_root).unwrap_or(manifest).to_string_lossy().replace('\\', "/");
    // A damaged file is nobody's work: builds say everything again.
    let table: Table = old.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let ours: BTreeSet<&str> = outputs.iter().map(|(path, _)| path.as_str()).collect();
    let is_kept = |entry: &Entry| {
        let is_of_another = entry.manifest != manifest || said == Said::Some;
        is_of_another && !ours.contains(entry.path.as_str())
    };
    let mut files: Vec<Entry> = table.files.into_iter().filter(is_kept).collect();
    files.extend(outputs.iter().map(|(path, profile)| Entry {
        path: path.clone(),
        manifest: manifest.clone(),
        profile: for_unity(profile),
    }));
    files.sort_by(|a, b| a.path.cmp(&b.path));
    // Writing values that serde made of plain types cannot fail.
    let new = serde_json::to_string_pretty(&Table { files }).unwrap_or_default() + "\n";
    if old.as_deref() == Some(new.as_str()) {
        return Ok(());
    }
    write_atomic(&path, new.as_bytes(), &Patience::usual())
}

fn for_unity(profile: &Profile) -> Value {
    let mut value = json!(profile);
    let Some(fields) = value.as_object_mut() else { return value };
    let switches: Vec<&str> = SWITCHES.into_iter().filter(|name| fields.contains_key(*name)).collect();
    if !switches.is_empty() {
        fields.insert("switches".to_owned(), json!(switches));
    }
    if let Some(Value::Object(platforms)) = fields.remove("platforms") {
        let named = platforms.into_iter().map(|(name, mut platform)| {
            platform["name"] = name.into();
            platform
        });
        fields.insert("platforms".to_owned(), named.collect());
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(toml: &str) -> Profile {
        toml::from_str(toml).expect("a profile")
    }

    fn files(root: &Path) -> Vec<Value> {
        let text = std::fs::read_to_string(path_of(root)).expect("a file");
        let table: Value = serde_json::from_str(&text).expect("JSON");
        table["files"].as_array().cloned().expect("files")
    }

    #[test]
    fn the_reader_knows_lists_and_names_of_switches() {
        let folder = tempfile::tempdir().expect("a folder");
        let icon = profile(
            "texture_type = 'sprite'\nmipmaps = false\nborder = [4, 5, 6, 7]\n[platforms.Android]\nmax_size = 256\nformat = 'ASTC_6x6'",
        );
        write(folder.path(), &folder.path().join("thumbforge.toml"), &[("Assets/a.png".into(), &icon)], Said::All)
            .expect("written");
        let said = json!({
            "path": "Assets/a.png",
            "manifest": "thumbforge.toml",
            "profile": {
                "texture_type": "sprite", "mipmaps": false, "switches": ["mipmaps"], "border": [4, 5, 6, 7],
                "platforms": [{"name": "Android", "max_size": 256, "format": "ASTC_6x6"}],
            },
        });
        assert_eq!(files(folder.path()), [said]);
    }

    #[test]
    fn manifests_keep_to_their_own_entries() {
        let folder = tempfile::tempdir().expect("a folder");
        let (root, plain) = (folder.path(), profile("max_size = 64"));
        let say = |manifest: &str, paths: &[&str], said| {
            let outputs: Vec<_> = paths.iter().map(|path| ((*path).to_owned(), &plain)).collect();
            write(root, &root.join(manifest), &outputs, said).expect("written");
            let paths = files(root);
            paths.iter().filter_map(|file| file["path"].as_str()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(say("one.toml", &["Assets/b.png", "Assets/a.png"], Said::All), "Assets/a.png Assets/b.png");
        assert_eq!(say("two.toml", &["Assets/c.png"], Said::All), "Assets/a.png Assets/b.png Assets/c.png");
        assert_eq!(
            say("one.toml", &["Assets/d.png"], Said::Some),
            "Assets/a.png Assets/b.png Assets/c.png Assets/d.png"
        );
        assert_eq!(say("one.toml", &[], Said::All), "Assets/c.png");
        // Nothing new is nothing written.
        let before = std::fs::metadata(path_of(root)).and_then(|file| file.modified()).expect("a time");
        assert_eq!(say("two.toml", &["Assets/c.png"], Said::All), "Assets/c.png");
        assert_eq!(std::fs::metadata(path_of(root)).and_then(|file| file.modified()).expect("a time"), before);
        std::fs::write(path_of(root), "{\"files\": 4}").expect("a file");
        assert_eq!(say("one.toml", &["Assets/a.png"], Said::Some), "Assets/a.png");
    }

    #[test]
    fn where_there_is_no_profile_there_is_no_file() {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path(), &folder.path().join("thumbforge.toml"), &[], Said::All).expect("nothing to do");
        assert!(!folder.path().join("Library").exists());
    }
}
