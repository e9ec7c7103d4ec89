//! The GGUF format, versions 2 and 3: magic, counts, key-value pairs, a table of tensors, aligned numbers.
//!
//! Source of the rules: `docs/gguf.md` of ggml. Every count is checked against the bytes that are left before anything is
//! reserved for it, so a bomb of counts costs nothing.

use std::collections::BTreeMap;

use crate::dtype::DType;
use crate::weights::file::{Entry, Table};

/// What every such file begins with, whichever its endianness.
pub(crate) const MAGIC: &[u8] = b"GGUF";

/// The format's own bound of keys; names of tensors are held to it too.
const NAME_BYTES_MAX: u64 = 65_535;

/// Sides that a tensor has at most in this format.
const SIDES_MAX: u32 = 4;

/// Arrays in arrays: none is known that nests at all.
const NESTING_MAX: u32 = 2;

/// Text that is kept of a value: titles and the like. Vocabularies are arrays and are not kept.
const TEXT_BYTES_MAX: usize = 4096;

/// Bytes, read from the front.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: u64, what: &str) -> Result<&'a [u8], String> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let taken = usize::try_from(count).ok().and_then(|count| rest.get(..count));
        let taken = taken.ok_or_else(|| {
            format!(
                "it is truncated: {what} would take {count} bytes at {}, and {} are left; fetch it again",
                self.at,
                rest.len()
            )
        })?;
        self.at += taken.len();
        Ok(taken)
    }

    fn u32(&mut self, what: &str) -> Result<u32, String> {
        let bytes = self.take(4, what)?;
        Ok(bytes.try_into().map_or(0, u32::from_le_bytes))
    }

    fn u64(&mut self, what: &str) -> Result<u64, String> {
        let bytes = self.take(8, what)?;
        Ok(bytes.try_into().map_or(0, u64::from_le_bytes))
    }

    fn left(&self) -> u64 {
        (self.bytes.len() - self.at) as u64
    }

    fn string(&mut self, what: &str) -> Result<&'a [u8], String> {
        let length = self.u64(what)?;
        self.take(length, what)
    }

    fn name(&mut self, what: &str) -> Result<String, String> {
        let length = self.u64(what)?;
        if length > NAME_BYTES_MAX {
            return Err(format!("{what} would have {length} bytes, more than {NAME_BYTES_MAX}"));
        }
        let bytes = self.take(length, what)?;
        String::from_utf8(bytes.to_vec()).map_err(|_| format!("{what} is not UTF-8"))
    }

    /// A value of this type; only what is used of it comes back.
    fn value(&mut self, kind: u32, depth: u32) -> Result<Value, String> {
        Ok(match kind {
            STRING => {
                let text = self.string("a text")?;
                Value::Text(String::from_utf8_lossy(&text[..text.len().min(TEXT_BYTES_MAX)]).into_owned())
            }
            ARRAY if depth < NESTING_MAX => {
                let (kind, count) = (self.u32("an array's type")?, self.u64("an array's length")?);
                // Nothing takes less than a byte, so a longer array is a lie.
                if count > self.left() {
                    return Err(format!("an array would have {count} values in {} bytes", self.left()));
                }
                let mut kept = Vec::new();
                match width(kind) {
                    Some(width) => {
                        let bytes = self.take(count.saturating_mul(width), "an array")?;
                        let (numbers, _) = bytes.as_chunks::<4>();
                        if matches!(kind, U32 | I32) && numbers.len() <= SIDES_MAX as usize * 2 {
                            kept = numbers.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect();
                        }
                    }
                    None => {
                        for _ in 0..count {
                            self.value(kind, depth + 1)?;
                        }
                    }
                }
                Value::Numbers(kept)
            }
            ARRAY => return Err("arrays are nested too deep".into()),
            U32 => Value::Number(self.u32("a number")?),
            kind => match width(kind) {
                Some(width) => {
                    self.take(width, "a number")?;
                    Value::Other
                }
                None => return Err(format!("a value has the unknown type {kind}")),
            },
        })
    }
}

enum Value {
    Text(String),
    Number(u32),
    Numbers(Vec<u32>),
    Other,
}

const U32: u32 = 4;
const I32: u32 = 5;
const STRING: u32 = 8;
const ARRAY: u32 = 9;

/// Bytes of a value's type that is a number.
fn width(kind: u32) -> Option<u64> {
    Some(match kind {
        0 | 1 | 7 => 1,
        2 | 3 => 2,
        U32 | I32 | 6 => 4,
        10..=12 => 8,
        _ => return None,
    })
}

/// A tensor's type by its number: ours, or its word, with numbers and bytes of a block.
fn dtype(kind: u32) -> Option<(Result<DType, &'static str>, u64, u64)> {
    let other = |word, numbers, bytes| Some((Err(word), numbers, bytes));
    let ours = match kind {
        0 => DType::F32,
        1 => DType::F16,
        2 => DType::Q4_0,
        3 => DType::Q4_1,
        6 => DType::Q5_0,
        7 => DType::Q5_1,
        8 => DType::Q8_0,
        12 => DType::Q4K,
        13 => DType::Q5K,
        14 => DType::Q6K,
        30 => DType::Bf16,
        9 => return other("Q8_1", 32, 36),
        10 => return other("Q2_K", 256, 84),
        11 => return other("Q3_K", 256, 110),
        15 => return other("Q8_K", 256, 292),
        16 => return other("IQ2_XXS", 256, 66),
        17 => return other("IQ2_XS", 256, 74),
        18 => return other("IQ3_XXS", 256, 98),
        19 => return other("IQ1_S", 256, 50),
        20 => return other("IQ4_NL", 32, 18),
        21 => return other("IQ3_S", 256, 110),
        22 => return other("IQ2_S", 256, 82),
        23 => return other("IQ4_XS", 256, 136),
        24 => return other("I8", 1, 1),
        25 => return other("I16", 1, 2),
        26 => return other("I32", 1, 4),
        27 => return other("I64", 1, 8),
        28 => return other("F64", 1, 8),
        29 => return other("IQ1_M", 256, 56),
        _ => return None,
    };
    Some((Ok(ours), ours.block_len() as u64, ours.block_bytes() as u64))
}

/// The number of a dtype in this format.
pub(crate) fn number(dtype: DType) -> Option<u32> {
    Some(match dtype {
        DType::F32 => 0,
        DType::F16 => 1,
        DType::Q4_0 => 2,
        DType::Q4_1 => 3,
        DType::Q5_0 => 6,
        DType::Q5_1 => 7,
        DType::Q8_0 => 8,
        DType::Q4K => 12,
        DType::Q5K => 13,
        DType::Q6K => 14,
        DType::Bf16 => 30,
        DType::F8E4M3 | DType::F8E5M2 => return None,
    })
}

/// The tensors of a file. The reason of a refusal says what was found and what was expected.
pub(crate) fn table(bytes: &[u8]) -> Result<Table, String> {
    let mut reader = Reader { bytes, at: MAGIC.len() };
    let version = reader.u32("the version")?;
    match version {
        2 | 3 => {}
        1 => return Err("it is GGUF of version 1, which nothing writes any more: convert it".into()),
        _ if matches!(version.swap_bytes(), 1..=3) => {
            return Err("it is a big-endian GGUF file, for other machines: take the little-endian one".into());
        }
        _ => return Err(format!("it is GGUF of version {version}: expected 2 or 3")),
    }
    let (tensors, pairs) = (reader.u64("the number of tensors")?, reader.u64("the number of values")?);
    // A tensor takes at least its name's length, one side, type and place; a value its key's length, type and a byte.
    if tensors > reader.left() / 24 || pairs > reader.left() / 13 {
        return Err(format!(
            "it would have {tensors} tensors and {pairs} values in {} bytes: it is damaged or truncated",
            reader.left()
        ));
    }
    let mut table = Table::default();
    let mut alignment = 32u64;
    for _ in 0..pairs {
        let key = reader.name("a key")?;
        let kind = reader.u32("a value's type")?;
        match reader.value(kind, 0)? {
            Value::Number(number) if key == "general.alignment" => alignment = u64::from(number),
            Value::Text(text) => {
                table.metadata.insert(key, text);
            }
            // ComfyUI's converter notes the sides of what it had to store with other ones.
            Value::Numbers(sides) if key.starts_with("comfy.gguf.orig_shape.") => {
                let sides: Vec<u32> = sides.into_iter().filter(|side| *side != 1).collect();
                table.metadata.insert(key, format!("{sides:?}"));
            }
            _ => {}
        }
    }
    if !alignment.is_power_of_two() || !(8..=1 << 20).contains(&alignment) {
        return Err(format!("its alignment is {alignment}: expected a power of two from 8 to 2²⁰"));
    }
    let mut raw = Vec::new();
    for _ in 0..tensors {
        let name = reader.name("a tensor's name")?;
        let sides = reader.u32("a tensor's number of sides")?;
        if sides > SIDES_MAX {
            return Err(format!("tensor {name:?} has {sides} sides: expected at most {SIDES_MAX}"));
        }
        let mut shape = Vec::with_capacity(SIDES_MAX as usize);
        for _ in 0..sides {
            shape.push(reader.u64("a tensor's side")?);
        }
        // The format's first side varies fastest, ours the last.
        shape.reverse();
        let (kind, offset) = (reader.u32("a tensor's type")?, reader.u64("a tensor's place")?);
        raw.push((name, shape, kind, offset));
    }
    let start = (reader.at as u64).next_multiple_of(alignment);
    let mut spans: Vec<(u64, u64, String)> = Vec::with_capacity(raw.len());
    let mut entries = BTreeMap::new();
    for (name, shape, kind, offset) in raw {
        let (dtype, numbers, bytes_of_block) =
            dtype(kind).ok_or_else(|| format!("tensor {name:?} has the unknown type {kind}"))?;
        let row = shape.last().copied().unwrap_or(1);
        if !row.is_multiple_of(numbers) {
            return Err(format!("tensor {name:?} has rows of {row} numbers, which fill no blocks of {numbers}"));
        }
        let rows = shape[..shape.len().saturating_sub(1)].iter().try_fold(1u64, |rows, side| rows.checked_mul(*side));
        let length = rows.and_then(|rows| (row / numbers).checked_mul(bytes_of_block)?.checked_mul(rows));
        if !offset.is_multiple_of(alignment) {
            return Err(format!("tensor {name:?} lies at {offset}, which is no multiple of {alignment}"));
        }
        let from = start.checked_add(offset);
        let to = from.zip(length).and_then(|(from, length)| from.checked_add(length));
        let (Some(from), Some(to)) = (from, to) else {
            return Err(format!("tensor {name:?} is {shape:?}, larger than any memory"));
        };
        if to > bytes.len() as u64 {
            return Err(format!(
                "it is truncated: tensor {name:?} ends at {to}, the file has {} bytes; fetch it again",
                bytes.len()
            ));
        }
        // Below the file's size, which fits.
        let range = from as usize..to as usize;
        let sides = shape.iter().map(|side| usize::try_from(*side)).collect::<Result<Vec<_>, _>>();
        let shape = sides.map_err(|_| format!("tensor {name:?} is too large for this machine"))?;
        spans.push((from, to, name.clone()));
        if entries.insert(name.clone(), Entry { dtype: dtype.map_err(str::to_owned), shape, range }).is_some() {
            return Err(format!("two tensors are called {name:?}"));
        }
    }
    spans.sort();
    for pair in spans.windows(2) {
        if let [(_, end, _), (from, _, name)] = pair
            && from < end
        {
            return Err(format!("tensor {name:?} overlaps the tensor before it ({from} against {end})"));
        }
    }
    table.entries = entries;
    Ok(table)
}
