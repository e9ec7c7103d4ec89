//! The manual of the Unity package says what is so: error words, exit codes, arguments, and manifests that work.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use thumbforge_core::error::ErrorCode;
use thumbforge_core::verdict::FindingCode;

use crate::{files, none, root, text};

const BINARY: &str = env!("CARGO_BIN_EXE_sidecar");
const MANUAL: &str = "unity-package/Documentation~/";

fn pages() -> Vec<String> {
    let pages: Vec<String> =
        files().into_iter().filter(|path| path.starts_with(MANUAL) && path.ends_with(".md")).collect();
    assert!(pages.len() >= 8, "{pages:?}");
    pages
}

/// First cells of a page's tables.
fn first_cells(page: &str) -> Vec<String> {
    cells_of(&text(&format!("{MANUAL}{page}")))
}

fn cells_of(page: &str) -> Vec<String> {
    let rows = page.lines().filter_map(|line| line.strip_prefix("| "));
    rows.filter_map(|row| row.split(" | ").next()).map(str::to_owned).collect()
}

#[test]
fn every_error_word_is_explained() {
    let words: BTreeSet<String> = ErrorCode::ALL.iter().map(|code| code.word().to_owned()).collect();
    assert_eq!(explained(&text(&format!("{MANUAL}troubleshooting.md")), "By error word"), words);
}

#[test]
fn every_finding_is_explained() {
    let words: BTreeSet<String> = FindingCode::ALL.iter().map(|code| code.word().to_owned()).collect();
    assert_eq!(explained(&text(&format!("{MANUAL}troubleshooting.md")), "By finding"), words);
    assert_eq!(explained(&text("docs/text.md"), "What a finding means"), words);
}

/// Words that the tables of a chapter explain.
fn explained(page: &str, chapter: &str) -> BTreeSet<String> {
    let chapter = page.split(&format!("\n## {chapter}\n")).nth(1).unwrap_or_else(|| panic!("no chapter {chapter}"));
    let cells = cells_of(chapter.split("\n## ").next().unwrap_or_default());
    let words = cells.iter().flat_map(|cell| cell.split(", "));
    words.filter_map(|word| Some(word.strip_prefix('`')?.strip_suffix('`')?.to_owned())).collect()
}

#[test]
fn every_exit_code_is_explained() {
    let readme = text("README.md");
    let table = readme.split("## Exit codes").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("a table");
    let number = |cell: &str| cell.parse::<u32>().ok();
    let of_readme: BTreeSet<u32> = table.lines().filter_map(|row| number(row.split('|').nth(1)?.trim())).collect();
    let mut explained: BTreeSet<u32> =
        first_cells("troubleshooting.md").iter().filter_map(|cell| number(cell.trim())).collect();
    assert!(explained.remove(&1), "1 is Unity's own, and people see it");
    assert_eq!(explained, of_readme);
}

/// Words of `text` that begin with `prefix` and go on with letters.
fn words_after<'a>(text: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    let rests = text.split(prefix).skip(1);
    rests.map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default())
}

#[test]
fn arguments_of_headless_editors_are_there() {
    let source = text("unity-package/Editor/Batch/BatchArguments.cs");
    let known: BTreeSet<&str> = words_after(&source, "{ \"").collect();
    assert!(known.contains("Manifest") && known.contains("Check"), "{known:?}");
    let mut named = BTreeSet::new();
    for page in pages() {
        named.extend(words_after(&text(&page), "-thumbforge").filter(|word| !word.is_empty()).map(str::to_owned));
    }
    none("arguments that do not exist", named.iter().filter(|word| !known.contains(&word[..])).cloned().collect());
    let unsaid = known.iter().filter(|word| !named.contains(**word)).map(|word| (*word).to_owned());
    none("arguments that the manual does not name", unsaid.collect());
}

/// Plans a manifest; what was printed.
fn planned(folder: &Path) -> String {
    let data = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(BINARY);
    command.arg("plan").arg(folder).arg("--no-sidecar").arg("--data-dir").arg(data.path());
    let output = command.output().expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    said
}

/// What stands between the fences of a kind of code, the first on the page.
fn block(page: &str, kind: &str) -> String {
    let text = text(&format!("{MANUAL}{page}"));
    let from = text.split(&format!("\n```{kind}\n")).nth(1).and_then(|rest| rest.split("\n```").next());
    from.unwrap_or_else(|| panic!("{page} has no block of {kind}")).to_owned() + "\n"
}

#[test]
fn the_first_manifest_works_and_is_that_of_the_sample() {
    let folder = tempfile::tempdir().expect("a folder");
    let (manifest, words) = (block("first-thumbnail.md", "toml"), block("first-thumbnail.md", "csv"));
    std::fs::write(folder.path().join("thumbforge.toml"), &manifest).expect("written");
    std::fs::create_dir(folder.path().join("Localization")).expect("made");
    std::fs::write(folder.path().join("Localization/Items.csv"), &words).expect("written");
    assert!(planned(folder.path()).contains("4 to draw"));

    assert_eq!(words, text("unity-package/Samples~/Starter/Localization/Items.csv"));
    // The sample has a comment more, a name of its own, and no folder of assets.
    let sample = text("unity-package/Samples~/Starter/thumbforge.toml");
    let lines = |text: &str| -> Vec<String> {
        let told =
            |line: &&str| !line.is_empty() && !["#", "project = ", "path = "].iter().any(|no| line.starts_with(no));
        text.lines().filter(told).map(str::to_owned).collect()
    };
    assert_eq!(lines(&manifest), lines(&sample));
}

#[test]
fn the_starter_sample_plans() {
    assert!(planned(&root().join("unity-package/Samples~/Starter")).contains("4 wanted"));
}

/// The help of a verb, with its flags.
fn help(verb: &str) -> String {
    let output = Command::new(BINARY).args([verb, "--help"]).output().expect("the binary runs");
    assert!(output.status.success(), "there is no {verb:?}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn commands_in_blocks_are_there_with_their_flags() {
    let (mut found, mut looked_at) = (Vec::new(), 0);
    for page in pages() {
        // Lines that end in a backslash go on in the next one.
        let text = text(&page).replace("\\\n", " ");
        for line in text.lines() {
            // `thumbforge batch --check`, `./thumbforge plan`, `…/thumbforge" batch`: what stands behind the program.
            let behind = line.split("thumbforge ").nth(1).or_else(|| line.split("thumbforge\" ").nth(1));
            let words: Vec<&str> = behind.unwrap_or_default().split_whitespace().collect();
            let verb = words.first().filter(|verb| ["batch", "plan", "approve", "doctor"].contains(verb));
            let Some(verb) = verb else { continue };
            looked_at += 1;
            let help = help(verb);
            let flags = words.iter().filter(|word| word.starts_with("--"));
            let unknown =
                flags.filter(|flag| !help.contains(&format!("{} ", flag)) && !help.contains(&format!("{flag}\n")));
            found.extend(unknown.map(|flag| format!("{page}: {verb} {flag}")));
        }
    }
    assert!(looked_at >= 8, "{looked_at} commands were found");
    none("flags that do not exist", found);
}
