//! T5's pieces, as transformers' `T5Tokenizer` has them: sentencepiece's own normalisation, words at white space with
//! `▁` before each, and the likeliest pieces of every word (unigram).

use std::path::{Path, PathBuf};

use serde_json::Value;
use tokenizers::models::unigram::Unigram;
use tokenizers::normalizers::precompiled::Precompiled;
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::pre_tokenizers::sequence::Sequence as Splits;
use tokenizers::pre_tokenizers::whitespace::WhitespaceSplit;
use tokenizers::{AddedToken, Tokenizer as Inner};

use super::files::{self, Specials, broken};
use super::{Encoder, Tokenizer, charsmap, spiece};
use crate::error::DiffusionError;

/// The piece for what no piece covers; transformers knows no other place for it.
const UNKNOWN: usize = 2;

/// The most pieces, and bytes of all pieces together. T5 has 32,100 with 240 kB; every byte becomes a node of a tree with
/// a table of its own, so this is also the bound of memory.
const PIECES_MAX: usize = 1 << 20;
const PIECE_BYTES_MAX: usize = 8 << 20;

/// Pieces with the logarithms of their probabilities, and the map of characters.
pub(super) struct Pieces {
    pub(super) pieces: Vec<(String, f64)>,
    pub(super) charsmap: Option<Vec<u8>>,
}

pub(super) fn open(folder: &Path) -> Result<Tokenizer, DiffusionError> {
    let specials = Specials::read(folder)?;
    let (path, Pieces { pieces, charsmap }, file) = read(folder)?;
    let bytes: usize = pieces.iter().map(|(piece, _)| piece.len()).sum();
    if pieces.len() > PIECES_MAX || bytes > PIECE_BYTES_MAX {
        return Err(broken(&path, format!("it has {} pieces of {bytes} bytes, far more than T5", pieces.len())));
    }
    if pieces.len() <= UNKNOWN {
        return Err(broken(&path, "it has no pieces: T5's tokenizer is of type unigram"));
    }
    if let Some((piece, score)) = pieces.iter().find(|(_, score)| !score.is_finite()) {
        return Err(broken(&path, format!("the score of {piece:?} is {score}")));
    }
    let built = |err: tokenizers::Error| broken(&path, format!("its parts do not fit together: {err}"));
    let extra = pieces.iter().filter(|(piece, _)| is_extra(piece));
    let extra: Vec<AddedToken> = extra.map(|(piece, _)| AddedToken::from(piece.as_str(), true)).collect();
    let mut inner = Inner::new(Unigram::from(pieces, Some(UNKNOWN), false).map_err(built)?);
    if let Some(charsmap) = charsmap {
        charsmap::check(&charsmap).map_err(|reason| broken(&path, format!("its map of characters: {reason}")))?;
        let map = Precompiled::from(&charsmap).map_err(|err| built(err.into()))?;
        inner.with_normalizer(Some(map)).map_err(built)?;
    }
    let words = Metaspace::new('▁', PrependScheme::Always, true);
    inner.with_pre_tokenizer(Some(Splits::new(vec![WhitespaceSplit.into(), words.into()])));
    let (end, pad) = (specials.token("eos_token", "</s>"), specials.token("pad_token", "<pad>"));
    let around = [None, Some(end.content.clone()), Some(pad.content.clone())];
    let named = [vec![end, specials.token("unk_token", "<unk>"), pad], extra].concat();
    files::add(&mut inner, specials.added(file.as_ref(), &named), &path)?;
    Tokenizer::new(Encoder::T5, inner, around, &path)
}

/// The tokens that T5 was trained to fill gaps with: special wherever they stand.
fn is_extra(piece: &str) -> bool {
    let number = piece.strip_prefix("<extra_id_").and_then(|rest| rest.strip_suffix('>'));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// From `tokenizer.json` if there is one, else from `spiece.model`, in the order of transformers.
fn read(folder: &Path) -> Result<(PathBuf, Pieces, Option<Value>), DiffusionError> {
    if let Some((path, file)) = files::json(folder, "tokenizer.json")? {
        let pieces = file.get("model").and_then(|model| model.get("vocab")).and_then(Value::as_array);
        let piece = |pair: &Value| Some((pair.get(0)?.as_str()?.to_owned(), pair.get(1)?.as_f64()?));
        let pieces = pieces.and_then(|pieces| pieces.iter().map(piece).collect::<Option<Vec<_>>>());
        let pieces = pieces
            .ok_or_else(|| broken(&path, "it has no list of pieces with scores: T5's tokenizer is of type unigram"))?;
        let charsmap = match precompiled(file.get("normalizer").unwrap_or(&Value::Null)) {
            Some(text) => {
                Some(charsmap::decode(text).ok_or_else(|| broken(&path, "its map of characters: no base64"))?)
            }
            None => None,
        };
        return Ok((path, Pieces { pieces, charsmap }, Some(file)));
    }
    if let Some((path, bytes)) = files::bytes(folder, "spiece.model")? {
        let mut pieces = spiece::parse(&bytes).map_err(|reason| broken(&path, reason))?;
        let extra = extra_ids(folder)?;
        pieces.pieces.extend((0..extra).rev().map(|index| (format!("<extra_id_{index}>"), 0.0)));
        return Ok((path, pieces, None));
    }
    Err(broken(folder, "no T5 tokenizer is there: it is tokenizer.json or spiece.model"))
}

/// How many gap tokens stand behind the pieces of a `spiece.model`: T5 has 100.
fn extra_ids(folder: &Path) -> Result<u64, DiffusionError> {
    let config = files::json(folder, "tokenizer_config.json")?;
    let said = config.as_ref().and_then(|(_, config)| config.get("extra_ids")).and_then(Value::as_u64);
    Ok(said.unwrap_or(100).min(1000))
}

/// The map of characters of a normalizer, or of the first in a sequence that has one.
fn precompiled(normalizer: &Value) -> Option<&str> {
    let steps = match normalizer.get("normalizers").and_then(Value::as_array) {
        Some(steps) => steps.as_slice(),
        None => std::slice::from_ref(normalizer),
    };
    let of = |step: &Value| step.get("type").and_then(Value::as_str) == Some("Precompiled");
    steps.iter().filter(|step| of(step)).find_map(|step| step.get("precompiled_charsmap")?.as_str())
}
