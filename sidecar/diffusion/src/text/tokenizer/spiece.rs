//! A sentencepiece model, as far as a unigram tokenizer needs it: pieces with scores, and the map of characters.
//!
//! The format is a protocol buffer (`sentencepiece_model.proto`): field 1 of the model is a piece (1: text, 2: score as a
//! single), field 2 tells how it was trained (3: the type, of which 1 is unigram), field 3 how text is normalised (2: the
//! map). A field is a number with its kind in the lowest three bits, then a value of that kind.

use super::t5::Pieces;

/// A value of the wire format. Lengths are checked against what is there.
enum Field<'a> {
    Number(u64),
    Single(f32),
    Bytes(&'a [u8]),
    Other,
}

/// The pieces of a model; else what is wrong with it.
pub(super) fn parse(bytes: &[u8]) -> Result<Pieces, String> {
    let mut pieces = Vec::new();
    let (mut charsmap, mut kind) = (None, 1);
    for field in fields(bytes) {
        match field? {
            (1, Field::Bytes(piece)) => pieces.push(piece_of(piece)?),
            (2, Field::Bytes(trainer)) => {
                for field in fields(trainer) {
                    if let (3, Field::Number(number)) = field? {
                        kind = number;
                    }
                }
            }
            (3, Field::Bytes(normalizer)) => {
                for field in fields(normalizer) {
                    if let (2, Field::Bytes(map)) = field? {
                        charsmap = Some(map).filter(|map| !map.is_empty()).map(<[u8]>::to_vec);
                    }
                }
            }
            _ => {}
        }
    }
    match kind {
        1 => Ok(Pieces { pieces, charsmap }),
        _ => Err(format!("it is a sentencepiece model of type {kind}, and T5 has unigram, type 1")),
    }
}

fn piece_of(bytes: &[u8]) -> Result<(String, f64), String> {
    let (mut text, mut score) = (String::new(), 0.0);
    for field in fields(bytes) {
        match field? {
            (1, Field::Bytes(bytes)) => {
                text = String::from_utf8(bytes.to_vec()).map_err(|_| "a piece is no UTF-8".to_owned())?;
            }
            (2, Field::Single(number)) => score = f64::from(number),
            _ => {}
        }
    }
    Ok((text, score))
}

/// The fields of a message. It ends after the first fault.
fn fields(mut bytes: &[u8]) -> impl Iterator<Item = Result<(u64, Field<'_>), String>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let field = next(&mut bytes);
        if field.is_none() {
            bytes = &[];
        }
        Some(field.ok_or_else(|| "it is no sentencepiece model, or cut short".to_owned()))
    })
}

fn next<'a>(bytes: &mut &'a [u8]) -> Option<(u64, Field<'a>)> {
    let key = varint(bytes)?;
    let value = match key & 7 {
        0 => Field::Number(varint(bytes)?),
        1 => {
            take(bytes, 8)?;
            Field::Other
        }
        2 => {
            let length = usize::try_from(varint(bytes)?).ok()?;
            Field::Bytes(take(bytes, length)?)
        }
        5 => Field::Single(f32::from_le_bytes(take(bytes, 4)?.try_into().ok()?)),
        _ => return None,
    };
    Some((key >> 3, value))
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (value, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(value)
}

/// Seven bits a byte, the lowest first; the highest bit says that more follow. At most ten bytes, for 64 bits.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for index in 0..10 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
