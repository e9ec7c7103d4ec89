//! CLIP's byte pairs, as transformers' `CLIPTokenizer` has them: NFC, white space as one space, lower case; then runs of
//! letters, single digits, and runs of anything else, each pair of bytes merged in the order of the list.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tokenizers::models::bpe::{BPE, Merges, Vocab};
use tokenizers::normalizers::replace::{Replace, ReplacePattern};
use tokenizers::normalizers::{Lowercase, NFC, Sequence};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence as Splits;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{SplitDelimiterBehavior, Tokenizer as Inner};

use super::files::{self, Specials, broken};
use super::{Encoder, Tokenizer};
use crate::error::DiffusionError;

/// What stands behind a word in the vocabulary.
const WORD_END: &str = "</w>";

/// The words of a text (Radford et al. 2021; the same in every implementation).
const WORDS: &str = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";

pub(super) fn open(encoder: Encoder, folder: &Path) -> Result<Tokenizer, DiffusionError> {
    let (path, vocab, merges, file) = vocabulary(encoder, folder)?;
    let specials = Specials::read(folder)?;
    let (start, end) = (specials.token("bos_token", "<|startoftext|>"), specials.token("eos_token", "<|endoftext|>"));
    let unknown = specials.token("unk_token", "<|endoftext|>");
    // SD3.5 pads the two differently, and a folder without settings does not say which of them it is for.
    let pad = specials.token("pad_token", if encoder == Encoder::ClipG { "!" } else { "<|endoftext|>" });
    // Its own table of merges is made of concatenations that it takes to be in the vocabulary.
    for (left, right) in &merges {
        if [left, right, &format!("{left}{right}")].iter().any(|token| !vocab.contains_key(*token)) {
            return Err(broken(&path, format!("its vocabulary lacks what {left:?} and {right:?} merge to")));
        }
    }
    let built = |err: tokenizers::Error| broken(&path, format!("its parts do not fit together: {err}"));
    let model = BPE::builder()
        .vocab_and_merges(vocab, merges)
        .unk_token(unknown.content.clone())
        .end_of_word_suffix(WORD_END.to_owned())
        .build()
        .map_err(built)?;
    let mut inner = Inner::new(model);
    let spaces = Replace::new(ReplacePattern::Regex(r"\s+".to_owned()), " ").map_err(built)?;
    let steps = Sequence::new(vec![NFC.into(), spaces.into(), Lowercase.into()]);
    inner.with_normalizer(Some(steps)).map_err(built)?;
    let words = SplitPattern::Regex(WORDS.to_owned());
    let words = Split::new(words, SplitDelimiterBehavior::Removed, true).map_err(built)?;
    inner.with_pre_tokenizer(Some(Splits::new(vec![words.into(), ByteLevel::new(false, true, true).into()])));
    let around = [Some(&start.content), Some(&end.content), Some(&pad.content)].map(|token| token.cloned());
    files::add(&mut inner, specials.added(file.as_ref(), &[unknown, start, end, pad]), &path)?;
    Tokenizer::new(encoder, inner, around, &path)
}

type Read = (PathBuf, Vocab, Merges, Option<Value>);

/// From `tokenizer.json` if there is one, else from `vocab.json` and `merges.txt`, in the order of transformers.
fn vocabulary(encoder: Encoder, folder: &Path) -> Result<Read, DiffusionError> {
    if let Some((path, file)) = files::json(folder, "tokenizer.json")? {
        let model = file.get("model").unwrap_or(&Value::Null);
        let vocab = vocab(&path, model.get("vocab").unwrap_or(&Value::Null))?;
        let merges = model.get("merges").and_then(Value::as_array);
        let pair = |value: &Value| {
            let pair = match value {
                Value::String(pair) => pair.split_once(' '),
                other => other.get(0).and_then(Value::as_str).zip(other.get(1).and_then(Value::as_str)),
            };
            pair.map(|(left, right)| (left.to_owned(), right.to_owned()))
        };
        let merges = merges.and_then(|merges| merges.iter().map(pair).collect::<Option<Merges>>());
        let merges =
            merges.ok_or_else(|| broken(&path, "it has no list of merges: CLIP's tokenizer is of type BPE"))?;
        return Ok((path, vocab, merges, Some(file)));
    }
    let (Some((path, numbers)), Some((merges_path, text))) =
        (files::json(folder, "vocab.json")?, files::bytes(folder, "merges.txt")?)
    else {
        let reason = format!("no {encoder} tokenizer is there: it is vocab.json with merges.txt, or tokenizer.json");
        return Err(broken(folder, reason));
    };
    let text = String::from_utf8(text).map_err(|_| broken(&merges_path, "it is no UTF-8"))?;
    let mut merges = Merges::new();
    for line in text.lines().filter(|line| !line.starts_with("#version") && !line.trim().is_empty()) {
        let pair = line.trim_end().split_once(' ').filter(|(_, right)| !right.contains(' '));
        let (left, right) =
            pair.ok_or_else(|| broken(&merges_path, format!("line {:?} is no pair of tokens", short(line))))?;
        merges.push((left.to_owned(), right.to_owned()));
    }
    Ok((path.clone(), vocab(&path, &numbers)?, merges, None))
}

fn vocab(path: &Path, value: &Value) -> Result<Vocab, DiffusionError> {
    let object = value.as_object().ok_or_else(|| broken(path, "it has no table of tokens and their numbers"))?;
    let number = |(token, id): (&String, &Value)| {
        let number = id.as_u64().and_then(|id| u32::try_from(id).ok());
        let number = number.ok_or_else(|| broken(path, format!("the number of {:?} is {id}", short(token))))?;
        Ok((token.clone(), number))
    };
    object.iter().map(number).collect()
}

/// The beginning of a piece of a file, for a message.
fn short(text: &str) -> String {
    text.chars().take(40).collect()
}
