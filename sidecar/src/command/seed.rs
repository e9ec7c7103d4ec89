//! Seeds that are kept: what a person liked of a draft is written into the manifest, so that the final shows the same.

use std::path::Path;

use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::manifest::Manifest;
use toml_edit::{DocumentMut, Item, Value};

use crate::build::{Project, make_writable};
use crate::output::write::{Patience, write_atomic};

/// Writes `seed = N` into the tables of these assets, and says whether that changed anything. Comments and order stay.
///
/// # Errors
/// Why the manifest cannot be read or written.
pub(super) fn keep(project: &Project, assets: &[String], seed: u64) -> Result<bool, Failure> {
    let Some(path) = &project.manifest else {
        return Err(Failure::new(
            ErrorCode::InvalidRequest,
            "failed to keep a seed: there is no manifest to keep it in",
        ));
    };
    let failed = |err: &dyn std::fmt::Display| {
        Failure::new(ErrorCode::InvalidManifest, format!("failed to keep a seed in {}: {err}", path.display()))
    };
    // People accept one draft after another, and each adds its line to what stands there then.
    let _turn = project.take_turn(&project.folder);
    let old = std::fs::read_to_string(path).map_err(|err| failed(&err))?;
    let new = with_seed(&old, assets, seed).map_err(|why| failed(&why))?;
    if new == old {
        return Ok(false);
    }
    // What stands there now is what the next build reads, so it is read once before it does.
    let read = Manifest::parse(&path.display().to_string(), new.as_bytes()).map_err(|err| failed(&err))?;
    let kept = |name: &String| read.body().assets.get(name).is_some_and(|asset| asset.seed == Some(seed));
    if !assets.iter().all(kept) {
        return Err(failed(&"its form is one that cannot be edited; write the seed by hand"));
    }
    make_writable(project, path)?;
    write(path, &new)?;
    Ok(true)
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    write_atomic(path, text.as_bytes(), &Patience::usual())
        .map_err(|err| Failure::new(err.code(), format!("failed to {}", thumbforge_core::error::chain(&err))))
}

fn with_seed(text: &str, assets: &[String], seed: u64) -> Result<String, String> {
    let (mark, body) = match text.strip_prefix('\u{feff}') {
        Some(body) => ("\u{feff}", body),
        None => ("", text),
    };
    let seed = i64::try_from(seed).map_err(|_| format!("{seed} is no seed"))?;
    let mut document: DocumentMut = body.parse().map_err(|err: toml_edit::TomlError| err.message().to_owned())?;
    for name in assets {
        let assets = document.get_mut("assets").and_then(Item::as_table_like_mut);
        let asset = assets.and_then(|assets| assets.get_mut(name)).and_then(Item::as_table_like_mut);
        let asset = asset.ok_or_else(|| format!("it has no asset {name:?}"))?;
        match asset.get_mut("seed").and_then(Item::as_value_mut) {
            Some(old) if old.as_integer() == Some(seed) => {}
            Some(old) => {
                let decor = old.decor().clone();
                *old = Value::from(seed);
                *old.decor_mut() = decor;
            }
            None => drop(asset.insert("seed", toml_edit::value(seed))),
        }
    }
    let new = document.to_string();
    // An editor on Windows may have written every line with two characters at its end.
    let crlf = body.contains("\r\n") && !new.contains("\r\n");
    let new = if crlf { new.replace('\n', "\r\n") } else { new };
    Ok(format!("{mark}{new}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(before: &str, asset: &str, after: &str) {
        let kept = with_seed(before, &[asset.to_owned()], 7).expect("an asset");
        assert_eq!(kept, after);
        assert_eq!(with_seed(&kept, &[asset.to_owned()], 7).expect("an asset"), kept);
    }

    #[test]
    fn comments_order_and_line_ends_stay() {
        check(
            "# ours\n[assets.sword] # the hero's\ntemplate = \"card\" # plain\n\n[assets.sword.vars]\na = 1\n# end\n",
            "sword",
            "# ours\n[assets.sword] # the hero's\ntemplate = \"card\" # plain\nseed = 7\n\n[assets.sword.vars]\na = 1\n# end\n",
        );
        check("[assets.a]\nseed = 3 # liked\n[assets.b]\n", "a", "[assets.a]\nseed = 7 # liked\n[assets.b]\n");
        check("[assets]\na = { prompt = \"x\" } # one\n", "a", "[assets]\na = { prompt = \"x\" , seed = 7 } # one\n");
        check(
            "assets.a.prompt = \"x\"\nassets.b.prompt = \"y\"\n",
            "a",
            "assets.a.prompt = \"x\"\nassets.a.seed = 7\nassets.b.prompt = \"y\"\n",
        );
        check(
            "\u{feff}[assets.\"odd name\"]\r\nprompt = \"x\"\r\n",
            "odd name",
            "\u{feff}[assets.\"odd name\"]\r\nprompt = \"x\"\r\nseed = 7\r\n",
        );
    }

    #[test]
    fn what_is_not_there_is_named() {
        for text in ["", "[assets.b]\n", "assets = 4\n", "[assets]\na = 4\n"] {
            assert!(with_seed(text, &["a".to_owned()], 7).expect_err(text).contains("\"a\""));
        }
        assert!(with_seed("[assets", &["a".to_owned()], 7).is_err());
    }
}
