//! Writers of both formats, for tests, benches and toy models: nothing is held but the table, so a file may be larger than
//! memory.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};

use crate::dtype::{DType, f32_to_bf16, f32_to_e4m3};
use crate::rows;
use crate::weights::{gguf as format, safetensors as header};

/// A tensor to write: its name, its dtype, its sides.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// As readers will look for it.
    pub name: String,
    /// How its numbers are stored.
    pub dtype: DType,
    /// Sides, the last varies fastest.
    pub shape: Vec<usize>,
}

impl Head {
    /// A tensor of this name.
    pub fn new(name: impl Into<String>, dtype: DType, shape: &[usize]) -> Self {
        Self { name: name.into(), dtype, shape: shape.to_vec() }
    }

    /// Bytes of its numbers.
    pub fn bytes(&self) -> Option<usize> {
        let row = self.shape.last().copied().unwrap_or(1);
        let rows: usize = self.shape.get(..self.shape.len().saturating_sub(1)).unwrap_or_default().iter().product();
        self.dtype.bytes(row)?.checked_mul(rows)
    }
}

fn invalid(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, reason)
}

/// Counts what passes through.
struct Counted<'a> {
    inner: &'a mut dyn Write,
    bytes: usize,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.bytes += count;
        Ok(count)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Calls `fill` for a tensor and holds it to the bytes that its head says.
fn fill_one(
    out: &mut dyn Write,
    index: usize,
    head: &Head,
    bytes: usize,
    fill: &mut dyn FnMut(usize, &mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut counted = Counted { inner: out, bytes: 0 };
    fill(index, &mut counted)?;
    match counted.bytes == bytes {
        true => Ok(()),
        false => Err(invalid(format!("{} was filled with {} bytes: expected {bytes}", head.name, counted.bytes))),
    }
}

/// Writes a safetensors file; `fill(i, out)` writes the numbers of `heads[i]`, in this order.
pub fn safetensors(
    out: &mut dyn Write,
    heads: &[Head],
    metadata: &BTreeMap<String, String>,
    mut fill: impl FnMut(usize, &mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut text = String::from("{");
    if !metadata.is_empty() {
        let _ = write!(text, "\"__metadata__\":{},", serde_json::to_string(metadata)?);
    }
    let mut sizes = Vec::with_capacity(heads.len());
    let mut end = 0;
    for head in heads {
        let (Some(dtype), Some(bytes)) = (header::word(head.dtype), head.bytes()) else {
            return Err(invalid(format!(
                "{} is {}{:?}, which this format has not",
                head.name,
                head.dtype.word(),
                head.shape
            )));
        };
        let start = end;
        end += bytes;
        let name = serde_json::to_string(&head.name)?;
        let _ = write!(
            text,
            "{name}:{{\"dtype\":\"{dtype}\",\"shape\":{},\"data_offsets\":[{start},{end}]}},",
            serde_json::to_string(&head.shape)?
        );
        sizes.push(bytes);
    }
    if text.len() > 1 {
        text.pop();
    }
    text.push('}');
    // Numbers begin at a multiple of eight, as other writers have it.
    while !text.len().is_multiple_of(8) {
        text.push(' ');
    }
    out.write_all(&(text.len() as u64).to_le_bytes())?;
    out.write_all(text.as_bytes())?;
    for (index, (head, bytes)) in heads.iter().zip(sizes).enumerate() {
        fill_one(out, index, head, bytes, &mut fill)?;
    }
    out.flush()
}

/// A value of a GGUF file.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// An unsigned number.
    U32(u32),
    /// Text.
    Text(String),
    /// Signed numbers.
    I32s(Vec<i32>),
    /// Texts, as vocabularies are kept.
    Texts(Vec<String>),
}

/// Where tensors of a GGUF file begin: a multiple of this, unless the file says otherwise.
const ALIGNMENT: usize = 32;

/// Writes a GGUF file of version 3; `fill(i, out)` writes the numbers of `heads[i]`, in this order.
pub fn gguf(
    out: &mut dyn Write,
    heads: &[Head],
    values: &[(String, Value)],
    mut fill: impl FnMut(usize, &mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    fn text(bytes: &mut Vec<u8>, text: &str) {
        bytes.extend((text.len() as u64).to_le_bytes());
        bytes.extend(text.as_bytes());
    }
    let mut bytes = format::MAGIC.to_vec();
    bytes.extend(3u32.to_le_bytes());
    bytes.extend((heads.len() as u64).to_le_bytes());
    bytes.extend((values.len() as u64).to_le_bytes());
    let array = |bytes: &mut Vec<u8>, kind: u32, count: usize| {
        bytes.extend(9u32.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes.extend((count as u64).to_le_bytes());
    };
    for (key, value) in values {
        text(&mut bytes, key);
        match value {
            Value::U32(number) => bytes.extend([4u32, *number].iter().flat_map(|number| number.to_le_bytes())),
            Value::Text(value) => {
                bytes.extend(8u32.to_le_bytes());
                text(&mut bytes, value);
            }
            Value::I32s(numbers) => {
                array(&mut bytes, 5, numbers.len());
                bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
            }
            Value::Texts(texts) => {
                array(&mut bytes, 8, texts.len());
                texts.iter().for_each(|value| text(&mut bytes, value));
            }
        }
    }
    let mut offset = 0;
    let mut sizes = Vec::with_capacity(heads.len());
    for head in heads {
        let (Some(kind), Some(size)) = (format::number(head.dtype), head.bytes()) else {
            return Err(invalid(format!(
                "{} is {}{:?}, which this format has not",
                head.name,
                head.dtype.word(),
                head.shape
            )));
        };
        text(&mut bytes, &head.name);
        bytes.extend((head.shape.len() as u32).to_le_bytes());
        bytes.extend(head.shape.iter().rev().flat_map(|side| (*side as u64).to_le_bytes()));
        bytes.extend(kind.to_le_bytes());
        bytes.extend((offset as u64).to_le_bytes());
        sizes.push(size);
        offset += size.next_multiple_of(ALIGNMENT);
    }
    bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
    out.write_all(&bytes)?;
    for (index, (head, size)) in heads.iter().zip(sizes).enumerate() {
        fill_one(out, index, head, size, &mut fill)?;
        out.write_all(&[0; ALIGNMENT][..size.next_multiple_of(ALIGNMENT) - size])?;
    }
    out.flush()
}

/// Numbers as `dtype` stores them, each rounded to the nearest; `None` for formats that nobody here writes, and where the
/// numbers fill no whole blocks.
pub fn encode(dtype: DType, numbers: &[f32]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(dtype.bytes(numbers.len())?);
    match dtype {
        DType::F32 => numbers.iter().for_each(|number| bytes.extend(number.to_le_bytes())),
        DType::Bf16 => numbers.iter().for_each(|number| bytes.extend(f32_to_bf16(*number).to_le_bytes())),
        DType::F16 => numbers.iter().for_each(|number| bytes.extend(f32_to_f16(*number).to_le_bytes())),
        DType::F8E4M3 => numbers.iter().for_each(|number| bytes.push(f32_to_e4m3(*number))),
        DType::Q8_0 => {
            for block in numbers.as_chunks::<32>().0 {
                let most = block.iter().fold(0f32, |most, number| most.max(number.abs()));
                let scale = most / 127.0;
                bytes.extend(f32_to_f16(scale).to_le_bytes());
                let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
                bytes.extend(block.iter().map(|number| (number * inverse).round() as i8 as u8));
            }
        }
        _ => return None,
    }
    Some(bytes)
}

/// The nearest half, ties to even; what is too large becomes infinite.
pub fn f32_to_f16(number: f32) -> u16 {
    let sign = (number.to_bits() >> 16) as u16 & 0x8000;
    let magnitude = number.abs();
    if number.is_nan() {
        return sign | 0x7E00;
    }
    // Halves from 65520 on round to what is no half any more.
    if magnitude >= 65_520.0 {
        return sign | 0x7C00;
    }
    // In steps of the last place of this size, or of the smallest subnormal.
    let exponent = ((magnitude.to_bits() >> 23) as i32 - 127).max(-14);
    let step = f32::from_bits(((exponent - 10 + 127) as u32) << 23);
    let steps = (magnitude / step).round_ties_even() as u32;
    // Steps carry into the exponent by themselves.
    sign | (((exponent + 14) as u32) * 1024 + steps) as u16
}

/// Numbers as they were read back, for tests of what a format loses.
pub fn decode(dtype: DType, bytes: &[u8], count: usize) -> Vec<f32> {
    let mut numbers = vec![0.0; count];
    rows::decode(dtype, bytes, 0, &mut numbers);
    numbers
}
