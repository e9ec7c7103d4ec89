//! Files of a tokenizer: read whole, with a bound, and looked into without trust.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tokenizers::AddedToken;

use crate::error::DiffusionError;

/// The largest file of a tokenizer that is read. Those of SD3.5 have at most 2.5 MB; the largest of any language model
/// have about 20.
const FILE_BYTES_MAX: u64 = 32 << 20;

/// Says what is wrong with a file.
pub(super) fn broken(path: &Path, reason: impl Into<String>) -> DiffusionError {
    DiffusionError::File { path: path.to_owned(), reason: reason.into() }
}

/// The bytes of `name` in `folder`; `None` where there is no such file.
pub(super) fn bytes(folder: &Path, name: &str) -> Result<Option<(PathBuf, Vec<u8>)>, DiffusionError> {
    let path = folder.join(name);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(err) => return Err(broken(&path, err.to_string())),
    };
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|err| broken(&path, err.to_string()))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(broken(&path, format!("it is no tokenizer: more than {} MiB", FILE_BYTES_MAX >> 20)));
    }
    Ok(Some((path, bytes)))
}

/// The same as JSON. How deeply it nests is bounded by the parser.
pub(super) fn json(folder: &Path, name: &str) -> Result<Option<(PathBuf, Value)>, DiffusionError> {
    let Some((path, bytes)) = bytes(folder, name)? else { return Ok(None) };
    let value = serde_json::from_slice(&bytes).map_err(|err| broken(&path, format!("it is no JSON: {err}")))?;
    Ok(Some((path, value)))
}

/// What the files beside a vocabulary say about special tokens.
pub(super) struct Specials {
    config: Value,
    map: Value,
}

impl Specials {
    /// Reads `tokenizer_config.json` and `special_tokens_map.json`, as far as they are there.
    pub(super) fn read(folder: &Path) -> Result<Self, DiffusionError> {
        let of = |name| Ok(json(folder, name)?.map_or(Value::Null, |(_, value)| value));
        Ok(Self { config: of("tokenizer_config.json")?, map: of("special_tokens_map.json")? })
    }

    /// The token for `role` (`pad_token`, …), else `default`. The older map is heeded where the configuration lists no
    /// added tokens, as transformers does.
    pub(super) fn token(&self, role: &str, default: &str) -> AddedToken {
        let token = |value: &Value| match value {
            Value::String(content) => Some(AddedToken::from(content.as_str(), true)),
            other => added(other, true),
        };
        let (map, config) = (self.map.get(role).and_then(token), self.config.get(role).and_then(token));
        let said = if self.config.get("added_tokens_decoder").is_some() { config.or(map) } else { map.or(config) };
        said.unwrap_or_else(|| AddedToken::from(default, true))
    }

    /// Tokens that are taken out of the text before anything else, with how they are matched: those that the
    /// configuration lists, those that `file` (a `tokenizer.json`) lists, and `named` ones that neither knows. The first
    /// mention of a token counts.
    pub(super) fn added(&self, file: Option<&Value>, named: &[AddedToken]) -> Vec<AddedToken> {
        let mut tokens: Vec<AddedToken> = Vec::new();
        let mut add = |token: AddedToken| {
            if !tokens.iter().any(|known| known.content == token.content) {
                tokens.push(token);
            }
        };
        match self.config.get("added_tokens_decoder").and_then(Value::as_object) {
            Some(listed) => listed.values().filter_map(listed_token).for_each(&mut add),
            None => {
                let listed = file.and_then(|file| file.get("added_tokens")).and_then(Value::as_array);
                listed.into_iter().flatten().filter_map(listed_token).for_each(&mut add);
            }
        }
        named.iter().cloned().for_each(add);
        tokens
    }
}

/// A token as lists of added tokens have it.
fn listed_token(value: &Value) -> Option<AddedToken> {
    added(value, value.get("special").and_then(Value::as_bool).unwrap_or(false))
}

/// A token with how it is matched. Where nothing is said, special ones are sought in the text as it came.
fn added(value: &Value, special: bool) -> Option<AddedToken> {
    let flag = |name: &str| value.get(name).and_then(Value::as_bool);
    let token = AddedToken::from(value.get("content")?.as_str()?, special)
        .single_word(flag("single_word").unwrap_or(false))
        .lstrip(flag("lstrip").unwrap_or(false))
        .rstrip(flag("rstrip").unwrap_or(false));
    Some(match flag("normalized") {
        Some(normalized) => token.normalized(normalized),
        None => token,
    })
}

/// Adds the tokens that the vocabulary has. A token beyond it would have no features in the encoder.
pub(super) fn add(
    tokenizer: &mut tokenizers::Tokenizer,
    tokens: Vec<AddedToken>,
    path: &Path,
) -> Result<(), DiffusionError> {
    let known: Vec<AddedToken> =
        tokens.into_iter().filter(|token| tokenizer.token_to_id(&token.content).is_some()).collect();
    tokenizer.add_tokens(known).map(drop).map_err(|err| broken(path, format!("its added tokens do not work: {err}")))
}
