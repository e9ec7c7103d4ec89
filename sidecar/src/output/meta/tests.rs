//! New assets get a GUID that every machine agrees on; nothing that exists is touched.

use super::*;

fn project() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["Game/Assets/Shop", "Game/ProjectSettings", "Game/Packages/com.team.ui"] {
        std::fs::create_dir_all(folder.path().join(name)).expect("a folder");
    }
    folder
}

fn check(relative: &str, expected: Meta) {
    let folder = project();
    let output = folder.path().join(relative);
    let found = UnityProjects::new().write_meta(&output, "game", "sword", "ja").expect("writes");
    assert_eq!(found, expected, "{relative}");
    assert_eq!(meta_path(&output).exists(), expected == Meta::Written, "{relative}");
}

#[test]
fn assets_of_a_project_get_a_meta() {
    check("Game/Assets/sword.png", Meta::Written);
    check("Game/Assets/Shop/New/sword.png", Meta::Written);
    check("Game/Assets/StreamingAssets/sword.png", Meta::Written);
    check("Game/Packages/com.team.ui/sword.png", Meta::Written);
}

#[test]
fn what_unity_does_not_import_gets_none() {
    check("Game/sword.png", Meta::NotAnAsset);
    check("Game/Packages/sword.png", Meta::NotAnAsset);
    check("Game/ProjectSettings/sword.png", Meta::NotAnAsset);
    check("Game/Assets/Samples~/sword.png", Meta::NotAnAsset);
    check("Game/Assets/.cache/sword.png", Meta::NotAnAsset);
    check("Elsewhere/Assets/sword.png", Meta::NotAnAsset);
}

#[test]
fn a_meta_has_version_and_guid_and_no_more() {
    let folder = project();
    let output = folder.path().join("Game/Assets/sword.png");
    UnityProjects::new().write_meta(&output, "game", "sword", "ja").expect("writes");
    let text = std::fs::read_to_string(meta_path(&output)).expect("reads");
    assert_eq!(text, format!("fileFormatVersion: 2\nguid: {}\n", guid("game", "sword", "ja")));
}

#[test]
fn an_existing_meta_is_never_touched() {
    let folder = project();
    let output = folder.path().join("Game/Assets/sword.png");
    std::fs::write(meta_path(&output), b"by hand").expect("writes");
    let mut projects = UnityProjects::new();
    assert_eq!(projects.write_meta(&output, "game", "sword", "").expect("looks"), Meta::AlreadyThere);
    assert_eq!(std::fs::read(meta_path(&output)).expect("reads"), b"by hand");
}

/// A committed project holds these; if this fails, every reference in it breaks.
#[test]
fn guids_stay_what_they_are() {
    assert_eq!(guid("game", "sword", "ja"), "415ac61225c5597da9c90a0a93af9c53");
}

#[test]
fn guids_differ_by_every_part_and_by_where_parts_end() {
    let guids = [
        guid("game", "sword", "ja"),
        guid("game", "sword", ""),
        guid("game2", "sword", "ja"),
        guid("games", "word", "ja"),
        guid("game", "swordj", "a"),
        guid("game", "axe", "ja"),
    ];
    let distinct: std::collections::HashSet<_> = guids.iter().collect();
    assert_eq!(distinct.len(), guids.len());
    assert!(guids.iter().all(|guid| guid.len() == 32 && guid.bytes().all(|b| b.is_ascii_hexdigit())));
}
