//! The safetensors format: eight bytes of length, that much JSON, then all numbers without gaps.
//!
//! An own reader, because the crate of that name keeps the last of two tensors with one name, and because a file of
//! weights shall be refused with a sentence that helps. Source of the rules: the format's README at
//! `huggingface/safetensors`.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use crate::dtype::DType;
use crate::weights::file::{Entry, Table};

/// The format's own bound of the header.
pub(crate) const HEADER_BYTES_MAX: u64 = 100_000_000;

/// What a tensor has at most as sides; real ones have four.
const SIDES_MAX: usize = 16;

/// The tensors of a file. The reason of a refusal says what was found and what was expected.
pub(crate) fn table(bytes: &[u8]) -> Result<Table, String> {
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else {
        return Err(format!("it has {} bytes: no safetensors file is that short", bytes.len()));
    };
    let header_bytes = u64::from_le_bytes(*length);
    if header_bytes > HEADER_BYTES_MAX {
        return Err(match u64::from_be_bytes(*length) {
            swapped if swapped <= rest.len() as u64 && swapped > 1 => {
                "its header's length is big-endian; safetensors files are little-endian".into()
            }
            _ => format!("its header would have {header_bytes} bytes, more than the format's {HEADER_BYTES_MAX}"),
        });
    }
    // The bound above fits every usize.
    let header_bytes = header_bytes as usize;
    let Some((header, data)) = rest.split_at_checked(header_bytes) else {
        return Err(format!(
            "it is truncated: its header says {header_bytes} bytes, and {} follow; fetch it again",
            rest.len()
        ));
    };
    let header: Header =
        serde_json::from_slice(header).map_err(|err| format!("its header is no JSON of tensors: {err}"))?;
    let mut table = Table { metadata: header.metadata, ..Table::default() };
    let mut spans = Vec::with_capacity(header.tensors.len());
    for (name, raw) in header.tensors {
        let [start, end] = raw.data_offsets;
        let (Ok(from), Ok(to)) = (usize::try_from(start), usize::try_from(end)) else {
            return Err(format!("tensor {name:?} lies at {start}..{end}, outside any memory"));
        };
        if from > to {
            return Err(format!("tensor {name:?} ends before it starts ({start}..{end})"));
        }
        if to > data.len() {
            let (says, has) = (end.saturating_add(8 + header_bytes as u64), bytes.len());
            return Err(format!(
                "it is truncated, or tensor {name:?} lies outside: the header says {says} bytes, the file has {has}; \
                 fetch it again"
            ));
        }
        if raw.shape.len() > SIDES_MAX {
            return Err(format!("tensor {name:?} has {} sides", raw.shape.len()));
        }
        let width =
            width(&raw.dtype).ok_or_else(|| format!("tensor {name:?} has the unknown dtype {:?}", raw.dtype))?;
        let bits = raw.shape.iter().try_fold(width, |bits, side| bits.checked_mul(*side));
        if bits.is_none_or(|bits| bits != (end - start) * 8) {
            return Err(format!(
                "tensor {name:?} is {}{:?} and has {} bytes: they do not agree",
                raw.dtype,
                raw.shape,
                end - start
            ));
        }
        let shape = raw.shape.iter().map(|side| usize::try_from(*side)).collect::<Result<Vec<_>, _>>();
        let shape = shape.map_err(|_| format!("tensor {name:?} is too large for this machine"))?;
        let base = 8 + header_bytes;
        spans.push((from, to, name.clone()));
        let entry = Entry { dtype: dtype(&raw.dtype).ok_or(raw.dtype), shape, range: base + from..base + to };
        if table.entries.insert(name.clone(), entry).is_some() {
            return Err(format!("two tensors are called {name:?}"));
        }
    }
    // Sorted by place, each tensor must start where the one before ends: no overlap, nothing hidden between them.
    spans.sort();
    let mut end = 0;
    for (from, to, name) in spans {
        if from != end {
            let what = if from < end { "overlaps the tensor before it" } else { "leaves a gap before it" };
            return Err(format!("tensor {name:?} {what} ({from} against {end})"));
        }
        end = to;
    }
    if end != data.len() {
        return Err(format!("{} bytes follow the last tensor", data.len() - end));
    }
    Ok(table)
}

/// Bits of one number of the dtypes that the format knows.
fn width(dtype: &str) -> Option<u64> {
    Some(match dtype {
        "F4" => 4,
        "F6_E2M3" | "F6_E3M2" => 6,
        "BOOL" | "U8" | "I8" | "F8_E4M3" | "F8_E5M2" | "F8_E8M0" | "F8_E4M3FNUZ" | "F8_E5M2FNUZ" => 8,
        "I16" | "U16" | "F16" | "BF16" => 16,
        "I32" | "U32" | "F32" => 32,
        "I64" | "U64" | "F64" | "C64" => 64,
        _ => return None,
    })
}

/// Those that weights may have.
fn dtype(word: &str) -> Option<DType> {
    Some(match word {
        "F32" => DType::F32,
        "F16" => DType::F16,
        "BF16" => DType::Bf16,
        "F8_E4M3" => DType::F8E4M3,
        "F8_E5M2" => DType::F8E5M2,
        _ => return None,
    })
}

/// The word of a dtype in this format; blocks have none.
pub(crate) fn word(dtype: DType) -> Option<&'static str> {
    Some(match dtype {
        DType::F32 => "F32",
        DType::F16 => "F16",
        DType::Bf16 => "BF16",
        DType::F8E4M3 => "F8_E4M3",
        DType::F8E5M2 => "F8_E5M2",
        _ => return None,
    })
}

/// A tensor as the header has it.
#[derive(Deserialize)]
struct Raw {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

/// The header in the order of the file, so that a second tensor of one name is seen.
struct Header {
    tensors: Vec<(String, Raw)>,
    metadata: BTreeMap<String, String>,
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Walk;
        impl<'de> Visitor<'de> for Walk {
            type Value = Header;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let mut header = Header { tensors: Vec::new(), metadata: BTreeMap::new() };
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        header.metadata = map.next_value()?;
                    } else {
                        header.tensors.push((name, map.next_value()?));
                    }
                }
                Ok(header)
            }
        }
        deserializer.deserialize_map(Walk)
    }
}
