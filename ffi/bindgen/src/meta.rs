//! `.meta` files of the Unity package: the identity and the importer of every file and folder that Unity imports.
//!
//! The package manager makes a package read-only, and Unity passes over what has no `.meta` in a read-only folder.
//! So each is committed, and written here rather than by an editor: the GUID follows from the path
//! (blake3 of the path below the package under [`CONTEXT`], its first 16 bytes), so two people who add the same file
//! give it the same one. A file that moves keeps the identity of the path that it was first shipped at ([`MOVED`]).
//!
//! What Unity passes over gets none: names that end in `~` or begin with `.`, `cvs`, and `.tmp` files.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

/// The context of the hash; a new number is a new identity for every file, which no shipped package may get.
const CONTEXT: &str = "thumbforge 2026 unity package guid 1";

/// Files that moved since they were shipped: where each lies now, and where it lay.
/// Settings of projects name the script that they are of by its GUID, so that one must outlive the move.
const MOVED: &[(&str, &str)] = &[];

/// What lies in a package: each `.meta` that has to be there, and each that has nothing to describe.
pub struct Metas {
    /// Paths below the package with forward slashes, and texts.
    pub wanted: Vec<(String, String)>,
    /// `.meta` files of nothing, by the same kind of path.
    pub orphans: Vec<String>,
}

/// Looks at a package's folder.
///
/// # Errors
/// When it cannot be read, or holds a file whose importer [`text`] does not know.
pub fn metas(package: &Path) -> io::Result<Metas> {
    let mut found = Found::default();
    look(package, "", &mut found)?;
    let mut wanted = Vec::new();
    for (path, kind) in &found.assets {
        wanted.push((format!("{path}.meta"), text(path, *kind)?));
    }
    let names: BTreeSet<&str> = wanted.iter().map(|(path, _)| path.as_str()).collect();
    let orphans = found.metas.iter().filter(|path| !names.contains(path.as_str())).cloned().collect();
    Ok(Metas { wanted, orphans })
}

/// Whether Unity imports what has this name, and so everything below it.
pub fn is_imported(name: &str) -> bool {
    let lower = name.to_lowercase();
    !(lower.starts_with('.') || lower.ends_with('~') || lower == "cvs" || lower.ends_with(".tmp"))
}

/// What a `.meta` is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File,
    /// A folder.
    Folder,
}

#[derive(Default)]
struct Found {
    assets: Vec<(String, Kind)>,
    metas: Vec<String>,
}

/// Collects what lies below a folder; whether there is anything to import. Git keeps no empty folders, so an
/// empty one that an editor left behind gets no `.meta` either.
fn look(folder: &Path, prefix: &str, found: &mut Found) -> io::Result<bool> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(|err| at(folder, &err))? {
        let entry = entry?;
        names.push((entry.file_name().to_string_lossy().into_owned(), entry.file_type()?.is_dir()));
    }
    names.sort();
    let mut any = false;
    for (name, is_folder) in names {
        if !is_imported(&name) {
            continue;
        }
        let path = format!("{prefix}{name}");
        if is_folder {
            let before = found.assets.len();
            found.assets.push((path.clone(), Kind::Folder));
            if look(&folder.join(&name), &format!("{path}/"), found)? {
                any = true;
            } else {
                found.assets.remove(before);
            }
        } else if name.ends_with(".meta") {
            found.metas.push(path);
        } else {
            found.assets.push((path, Kind::File));
            any = true;
        }
    }
    Ok(any)
}

fn at(path: &Path, err: &io::Error) -> io::Error {
    io::Error::new(err.kind(), format!("{}: {err}", path.display()))
}

/// The GUID of what lies at a path below the package.
pub fn guid(path: &str) -> String {
    let first = MOVED.iter().find(|(now, _)| *now == path).map_or(path, |(_, first)| first);
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    hasher.update(first.as_bytes());
    hasher.finalize().as_bytes()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The `.meta` of what lies at a path below the package.
///
/// # Errors
/// When the importer of such files is not known here: a wrong one would make Unity write the file anew, which it cannot
/// in a read-only package.
pub fn text(path: &str, kind: Kind) -> io::Result<String> {
    let guid = guid(path);
    let (head, importer) = match kind {
        Kind::Folder => ("folderAsset: yes\n", plain("DefaultImporter")),
        Kind::File => ("", importer(path)?),
    };
    Ok(format!("fileFormatVersion: 2\nguid: {guid}\n{head}{importer}"))
}

/// What every importer ends with; Unity writes the blanks after the colons.
const END: &str = "  userData:\x20
  assetBundleName:\x20
  assetBundleVariant:\x20
";

const SCRIPT: &str = "\
MonoImporter:
  externalObjects: {}
  serializedVersion: 2
  defaultReferences: []
  executionOrder: 0
  icon: {instanceID: 0}
";

/// An importer of Unity's own that is written in C#.
const SCRIPTED: &str = "\
ScriptedImporter:
  internalIDToNameTable: []
  externalObjects: {}
  serializedVersion: 2
";

/// A picture of the editor's own windows: as it is, without smaller copies.
const PICTURE: &str = "\
TextureImporter:
  internalIDToNameTable: []
  externalObjects: {}
  serializedVersion: 11
  mipmaps:
    mipMapMode: 0
    enableMipMap: 0
    sRGBTexture: 1
  isReadable: 0
  maxTextureSize: 2048
  textureSettings:
    serializedVersion: 2
    filterMode: 1
    aniso: 1
    mipBias: 0
    wrapU: 1
    wrapV: 1
    wrapW: 1
  nPOTScale: 0
  alphaUsage: 1
  alphaIsTransparency: 1
  textureType: 2
  textureShape: 1
";

/// A native library that the editor of one system on x86-64 loads, and no player.
const LIBRARY: &str = "\
PluginImporter:
  externalObjects: {}
  serializedVersion: 2
  iconMap: {}
  executionOrder: {}
  defineConstraints: []
  isPreloaded: 0
  isOverridable: 0
  isExplicitlyReferenced: 0
  validateReferences: 1
  platformData:
  - first:
      : Any
    second:
      enabled: 0
      settings:
        Exclude Editor: 0
        Exclude Linux64: 1
        Exclude OSXUniversal: 1
        Exclude Win: 1
        Exclude Win64: 1
  - first:
      Any:\x20
    second:
      enabled: 0
      settings: {}
  - first:
      Editor: Editor
    second:
      enabled: 1
      settings:
        CPU: x86_64
        DefaultValueInitialized: true
        OS: SYSTEM
";

/// A player that does not load it.
const PLAYER: &str = "  - first:
      Standalone: PLAYER
    second:
      enabled: 0
      settings:
        CPU: None
";

/// The importer of a file, with the settings that Unity 2022.3 writes for it; newer versions read them.
fn importer(path: &str) -> io::Result<String> {
    if path == "package.json" {
        return Ok(plain("PackageManifestImporter"));
    }
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    Ok(match extension {
        "cs" => format!("{SCRIPT}{END}"),
        "asmdef" => plain("AssemblyDefinitionImporter"),
        "md" | "txt" | "json" => plain("TextScriptImporter"),
        "uxml" => scripted(13804),
        "uss" => scripted(12385) + "  disableValidation: 0\n",
        "png" => format!("{PICTURE}{END}"),
        "so" => library("Linux"),
        "dll" => library("Windows"),
        _ => {
            let message = format!(
                "{path}: which of Unity's importers is for .{extension} files? Say it in ffi/bindgen/src/meta.rs, or put the \
                 file into a folder that Unity passes over (its name ends in ~)"
            );
            return Err(io::Error::other(message));
        }
    })
}

fn plain(importer: &str) -> String {
    format!("{importer}:\n  externalObjects: {{}}\n{END}")
}

/// Such an importer, by its number among the editor's built-in resources.
fn scripted(number: u32) -> String {
    let script = format!("{{fileID: {number}, guid: 0000000000000000e000000000000000, type: 0}}");
    format!("{SCRIPTED}{END}  script: {script}\n")
}

fn library(system: &str) -> String {
    let players = ["Linux64", "OSXUniversal", "Win", "Win64"].map(|player| PLAYER.replace("PLAYER", player));
    LIBRARY.replace("SYSTEM", system) + &players.concat() + END
}
