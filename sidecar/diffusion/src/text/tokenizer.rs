//! From words to token numbers: the numbers that transformers 5 gives for the same folder and text.
//!
//! A folder is one of diffusers' (`tokenizer`, `tokenizer_2`, `tokenizer_3`): `vocab.json` and `merges.txt` or
//! `tokenizer.json` for CLIP, `tokenizer.json` or `spiece.model` for T5, with `tokenizer_config.json` and
//! `special_tokens_map.json` beside them where they exist. As in transformers, the vocabulary comes from the files and
//! the rules come from the class: what else a `tokenizer.json` says about splitting is not looked at.
//!
//! Prompts arrive normalised once for every engine (NFC, runs of white space as one space: `one_line` of the recipe), and
//! nothing is changed here: a raw prompt gives what diffusers gives for the raw prompt. For CLIP the two are the same,
//! as its own rules start with both steps.

mod charsmap;
mod clip;
mod files;
mod spiece;
mod t5;
#[cfg(test)]
mod tests;

use std::path::Path;

use crate::error::DiffusionError;

/// The text encoders of SD3.5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Encoder {
    /// OpenAI's CLIP ViT-L/14.
    ClipL,
    /// OpenCLIP's ViT-bigG/14.
    ClipG,
    /// T5 v1.1 XXL.
    T5,
}

impl Encoder {
    /// All of them, in the order that their features stand in.
    pub const ALL: [Self; 3] = [Self::ClipL, Self::ClipG, Self::T5];

    /// The name in messages.
    pub const fn word(self) -> &'static str {
        match self {
            Self::ClipL => "CLIP-L",
            Self::ClipG => "CLIP-G",
            Self::T5 => "T5",
        }
    }
}

impl std::fmt::Display for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// The longest prompt that is looked at, in bytes: far more than 512 tokens can say, and few enough that splitting it
/// costs milliseconds.
pub const PROMPT_BYTES_MAX: usize = 256 * 1024;

/// An encoder did not read all of a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truncated {
    /// Which.
    pub encoder: Encoder,
    /// How many tokens it reads, those at the start and the end included.
    pub limit: usize,
    /// The end of the prompt that it does not see, from the first word that is not whole.
    pub lost: String,
}

impl std::fmt::Display for Truncated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} reads {} tokens and does not see {:?}", self.encoder, self.limit, self.lost)
    }
}

/// A text as an encoder reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// As many as the limit says: start (CLIP), text, end, and padding.
    pub ids: Vec<u32>,
    /// What did not fit.
    pub truncated: Option<Truncated>,
}

/// A tokenizer with its special tokens.
pub struct Tokenizer {
    encoder: Encoder,
    inner: tokenizers::Tokenizer,
    start: Option<u32>,
    end: u32,
    pad: u32,
    highest: u32,
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} tokenizer of {} tokens", self.encoder, self.inner.get_vocab_size(true))
    }
}

impl Tokenizer {
    /// The tokenizer in `folder`.
    ///
    /// # Errors
    /// When its files are missing or broken; the message says which and what is wrong.
    pub fn open(encoder: Encoder, folder: &Path) -> Result<Self, DiffusionError> {
        match encoder {
            Encoder::ClipL | Encoder::ClipG => clip::open(encoder, folder),
            Encoder::T5 => t5::open(folder),
        }
    }

    /// Puts together what the files gave.
    fn new(
        encoder: Encoder,
        inner: tokenizers::Tokenizer,
        [start, end, pad]: [Option<String>; 3],
        path: &Path,
    ) -> Result<Self, DiffusionError> {
        let id = |token: String| {
            let missing = || files::broken(path, format!("its vocabulary lacks {token:?}"));
            inner.token_to_id(&token).ok_or_else(missing)
        };
        let start = start.map(id).transpose()?;
        let (end, pad) = (id(end.unwrap_or_default())?, id(pad.unwrap_or_default())?);
        let highest = inner.get_vocab(true).into_values().max().unwrap_or(0);
        Ok(Self { encoder, inner, start, end, pad, highest })
    }

    /// The highest number that it gives: the table of the encoder must have more rows.
    pub fn highest(&self) -> u32 {
        self.highest
    }

    /// The token behind the text.
    pub fn end(&self) -> u32 {
        self.end
    }

    /// `text` as `limit` token numbers.
    ///
    /// # Errors
    /// When the text is longer than [`PROMPT_BYTES_MAX`], or `limit` leaves no room for the tokens around it.
    pub fn encode(&self, text: &str, limit: usize) -> Result<Tokens, DiffusionError> {
        if text.len() > PROMPT_BYTES_MAX {
            let reason = format!("it has {} bytes and at most {PROMPT_BYTES_MAX} are looked at", text.len());
            return Err(DiffusionError::Request(format!("read the prompt: {reason}")));
        }
        let around = 1 + usize::from(self.start.is_some());
        let room = limit.checked_sub(around).ok_or_else(|| {
            DiffusionError::Request(format!("read the prompt: {} needs at least {around} tokens", self.encoder))
        })?;
        let failed = |err| DiffusionError::Request(format!("read the prompt as {} does: {err}", self.encoder));
        let encoding = self.inner.encode(text, false).map_err(failed)?;
        let read = encoding.get_ids();
        let mut ids: Vec<u32> = self.start.into_iter().collect();
        ids.extend(read.iter().take(room));
        ids.push(self.end);
        ids.resize(limit, self.pad);
        let truncated = encoding.get_offsets().get(room).map(|(from, _)| Truncated {
            encoder: self.encoder,
            limit,
            lost: text[word_start(text, *from)..].to_owned(),
        });
        Ok(Tokens { ids, truncated })
    }
}

/// Every file that decides what a tokenizer of either kind reads.
const FILES: [&str; 6] =
    ["merges.txt", "special_tokens_map.json", "spiece.model", "tokenizer.json", "tokenizer_config.json", "vocab.json"];

/// What the tokenizer in `folder` is: a hash over its files.
///
/// # Errors
/// When a file is there and cannot be read.
pub fn hash(folder: &Path) -> Result<[u8; 32], DiffusionError> {
    let mut hasher = blake3::Hasher::new();
    for name in FILES {
        if let Some((_, bytes)) = files::bytes(folder, name)? {
            // Names are of letters, so a zero ends them.
            hasher.update(name.as_bytes()).update(&[0]).update(blake3::hash(&bytes).as_bytes());
        }
    }
    Ok(hasher.finalize().into())
}

/// Where the word at `at` begins. Only words of ASCII letters and digits are made whole: elsewhere a run of letters can
/// be a whole sentence.
fn word_start(text: &str, at: usize) -> usize {
    let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let inside = text[at..].starts_with(|c: char| c.is_ascii_alphanumeric());
    let before = text[..at].bytes().rev().take_while(u8::is_ascii_alphanumeric).count();
    if inside { at - before } else { at }
}
