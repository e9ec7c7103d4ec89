//! Which token the hub is shown: the one that a person names, or one that lies where the hub's own tools look.
//!
//! A token lies in the environment, in a file that nobody else may read, or in the keychain, as keys of accounts do.
//! Nothing here fetches it; that happens when the hub refuses somebody without one.

use std::path::{Path, PathBuf};

use crate::market::Ambient;
use crate::market::account::beside;
use crate::market::keys::Source;

/// A variable of the environment by its name.
type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Variables that the hub's own tools read a token from, in their order.
pub const VARIABLES: [&str; 2] = ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"];

/// Reads where a token lies, as a flag or the settings say it: as for keys, or `login` for the one that `hf auth login`
/// left on this machine. Relative files begin at `folder`.
///
/// # Errors
/// What is wrong; never the text, which may be a token.
pub fn parse(text: &str, folder: &Path, environment: Environment<'_>) -> Result<Source, String> {
    if text == "login" {
        return login(environment).map(Source::File).ok_or_else(|| "this user has no home folder".to_owned());
    }
    let source: Source = text.parse().map_err(|wrong: String| format!("{wrong}; or \"login\""))?;
    Ok(beside(source, folder))
}

/// The token that nobody named: a variable of the environment. In CI it takes `--ambient-keys`, as keys do.
pub fn ambient(ambient: Ambient, environment: Environment<'_>) -> Option<Source> {
    let there = |name: &&str| environment(name).is_some_and(|value| !value.trim().is_empty());
    let name = VARIABLES.iter().find(|name| there(name))?;
    (ambient == Ambient::Used).then(|| Source::Env((*name).to_owned()))
}

/// Where the hub's own tools keep a token.
fn login(environment: Environment<'_>) -> Option<PathBuf> {
    let variable = |name: &str| environment(name).filter(|value| !value.trim().is_empty()).map(PathBuf::from);
    if let Some(path) = variable("HF_TOKEN_PATH") {
        return Some(path);
    }
    let cache = || variable("XDG_CACHE_HOME").or_else(|| Some(directories::BaseDirs::new()?.home_dir().join(".cache")));
    Some(variable("HF_HOME").or_else(|| Some(cache()?.join("huggingface")))?.join("token"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> impl Fn(&str) -> Option<String> {
        let pairs: BTreeMap<String, String> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        move |name| pairs.get(name).cloned()
    }

    #[test]
    fn a_token_is_looked_for_where_the_hub_s_own_tools_leave_it() {
        #[track_caller]
        fn check(text: &str, pairs: &[(&str, &str)], expected: &str) {
            let found = parse(text, Path::new("/config"), &variables(pairs));
            let found = found.map(|source| source.to_string()).unwrap_or_else(|wrong| wrong);
            assert_eq!(found.replace(std::path::MAIN_SEPARATOR, "/"), expected);
        }
        check("env:MINE", &[], "env:MINE");
        check("file:token", &[], "file:/config/token");
        check("file:/abs/token", &[], "file:/abs/token");
        check("keyring:hub/mia", &[], "keyring:hub/mia");
        check("login", &[("HF_TOKEN_PATH", "/t/tok")], "file:/t/tok");
        check("login", &[("HF_HOME", "/h")], "file:/h/token");
        check("login", &[("XDG_CACHE_HOME", "/c")], "file:/c/huggingface/token");
        let wrong = parse("hf_MARKED", Path::new("/"), &variables(&[])).unwrap_err();
        assert!(!wrong.contains("hf_MARKED") && wrong.contains("login"), "{wrong}");
    }

    #[test]
    fn what_lies_around_is_used_but_in_ci() {
        #[track_caller]
        fn check(pairs: &[(&str, &str)], used: Ambient, expected: Option<&str>) {
            assert_eq!(ambient(used, &variables(pairs)).map(|it| it.to_string()).as_deref(), expected);
        }
        check(&[], Ambient::Used, None);
        check(&[("HF_TOKEN", " ")], Ambient::Used, None);
        check(&[("HF_TOKEN", "hf_a"), ("HUGGING_FACE_HUB_TOKEN", "hf_b")], Ambient::Used, Some("env:HF_TOKEN"));
        check(&[("HUGGING_FACE_HUB_TOKEN", "hf_b")], Ambient::Used, Some("env:HUGGING_FACE_HUB_TOKEN"));
        check(&[("HF_TOKEN", "hf_a")], Ambient::Ignored, None);
    }
}
