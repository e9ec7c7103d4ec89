//! Names that come from outside (hubs, registries, command lines), and what may become of them: a path below one folder.

/// Longest name of an item in bytes: it is a folder's name and a column of a table.
const ITEM_BYTES_MAX: usize = 100;
/// Longest path of a file within a repository in bytes; with the store's own folder it must be openable on Windows.
const FILE_BYTES_MAX: usize = 180;
/// Longest name of a repository or revision in bytes: hubs end at 96.
const REPO_BYTES_MAX: usize = 128;

/// Names that Windows has devices under, whatever stands behind a dot.
const DEVICES: [&str; 22] = [
    "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9", "lpt1", "lpt2",
    "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
];

/// Whether a text may be the name of an item of the store, which is a folder's name.
///
/// # Errors
/// What is wrong with it, and what a name is.
pub fn item(name: &str) -> Result<(), String> {
    let letters = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
    if name.is_empty() || name.len() > ITEM_BYTES_MAX || !letters || !is_part(name) || name.starts_with('.') {
        return Err(format!(
            "{:?} is no name: one has letters, digits, '.', '-' and '_', begins with none of the signs, \
             and has at most {ITEM_BYTES_MAX} of them",
            shown(name)
        ));
    }
    Ok(())
}

/// Whether a text names a repository: `owner/name`.
///
/// # Errors
/// What is wrong with it.
pub fn repo(name: &str) -> Result<(), String> {
    let sound = |part: &str| {
        is_part(part)
            && !part.starts_with(['.', '-'])
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
    };
    match name.split_once('/') {
        Some((owner, repo)) if name.len() <= REPO_BYTES_MAX && sound(owner) && sound(repo) => Ok(()),
        _ => Err(format!("{:?} is no repository of a hub; write OWNER/NAME or OWNER/NAME@REVISION", shown(name))),
    }
}

/// Whether a text names a branch, tag or commit.
///
/// # Errors
/// What is wrong with it.
pub fn revision(name: &str) -> Result<(), String> {
    let sound = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
    };
    if name.len() <= REPO_BYTES_MAX && name.split('/').all(sound) && !name.starts_with('-') {
        return Ok(());
    }
    Err(format!("{:?} is no branch, tag or commit", shown(name)))
}

/// Whether a path of a file within a repository may be a path below a folder of ours, on every system.
///
/// # Errors
/// What is wrong with it.
pub fn file(path: &str) -> Result<(), String> {
    let wrong = |why: &str| Err(format!("the file name {:?} is refused: {why}", shown(path)));
    if path.is_empty() || path.len() > FILE_BYTES_MAX {
        return wrong("it is empty or too long");
    }
    if path.split('/').count() > 8 {
        return wrong("it lies more than 8 folders deep");
    }
    for part in path.split('/') {
        if !is_part(part) {
            return wrong("it would leave its folder, or not every system can have it");
        }
        // Ours: unfinished files, and locks.
        if part.starts_with('.') || part.ends_with(".part") || part.ends_with(".state") {
            return wrong("such names are those of the store's own files");
        }
    }
    Ok(())
}

/// Whether a text may be one part of a path on every system.
fn is_part(part: &str) -> bool {
    let odd = |c: char| c.is_control() || matches!(c, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|');
    let stem = part.split('.').next().unwrap_or_default().trim_end().to_ascii_lowercase();
    !part.is_empty()
        && !part.chars().any(odd)
        && !part.ends_with(['.', ' '])
        && !part.starts_with(' ')
        && !DEVICES.contains(&stem.as_str())
}

/// A SHA-256 in hexadecimal digits, in lower case.
pub fn sha256(text: &str) -> Option<String> {
    let text = text.strip_prefix("sha256:").unwrap_or(text);
    (text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| text.to_ascii_lowercase())
}

/// The beginning of a text from outside, for a message.
pub fn shown(text: &str) -> String {
    text.chars().take(120).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_stay_below_their_folder() {
        #[track_caller]
        fn check(path: &str, expected: bool) {
            assert_eq!(file(path).is_ok(), expected, "{path:?}");
        }
        check("model.safetensors", true);
        check("text_encoders/clip_l.safetensors", true);
        check("a b/größe.json", true);
        check("a..b", true);
        check("", false);
        check("/etc/passwd", false);
        check("../up", false);
        check("a/../../up", false);
        check("a/./b", false);
        check("a//b", false);
        check("a/", false);
        check("..\\up", false);
        check("C:\\up", false);
        check("c:up", false);
        check("a\0b", false);
        check("a\nb", false);
        check("nul", false);
        check("a/CON.json", false);
        check("trailing.", false);
        check("trailing ", false);
        check(".hidden", false);
        check("a/.lock", false);
        check("x.part", false);
        check("x.part.state", false);
        check("1/2/3/4/5/6/7/8", true);
        check("1/2/3/4/5/6/7/8/9", false);
        check(&"x".repeat(181), false);
    }

    #[test]
    fn items_repositories_and_revisions_are_told_apart_from_noise() {
        #[track_caller]
        fn check(found: Result<(), String>, expected: bool) {
            assert_eq!(found.is_ok(), expected, "{found:?}");
        }
        check(item("sd3.5-medium"), true);
        check(item("My_Model.v2"), true);
        check(item(""), false);
        check(item(".lock"), false);
        check(item(".."), false);
        check(item("a/b"), false);
        check(item("nul"), false);
        check(item("ü"), false);
        check(item(&"x".repeat(101)), false);
        check(repo("stabilityai/stable-diffusion-3.5-medium"), true);
        check(repo("a/b/c"), false);
        check(repo("../b"), false);
        check(repo("a/.."), false);
        check(repo("a"), false);
        check(repo("a/b?x"), false);
        check(revision("main"), true);
        check(revision("refs/pr/6"), true);
        check(revision("0123456789abcdef"), true);
        check(revision("a/../b"), false);
        check(revision(""), false);
        check(revision("a b"), false);
    }
}
