//! Rows of a parameter as singles, whatever they are stored as.
//!
//! Devices call this while they pack weights, so nothing is converted before it is needed and nothing is kept twice. Each
//! format's loop is plain and without branches, so that the compiler makes vectors of it.

use std::ops::Range;

use crate::dtype::{DType, bf16_to_f32};
use crate::param::{LowRank, Param};

pub mod eights;

/// Reads `rows` of `param` into `out`, which holds as many rows of [`Param::row_len`]; adapters are added.
///
/// Without adapters nothing is allocated; with one, a row.
pub fn read(param: &Param, rows: Range<usize>, out: &mut [f32]) {
    let row_len = param.row_len();
    let (mut first, mut rest) = (0, &mut *out);
    for part in &param.parts {
        let last = first + part.rows.len();
        let (from, to) = (rows.start.clamp(first, last), rows.end.clamp(first, last));
        let (this, behind) = std::mem::take(&mut rest).split_at_mut((to - from) * row_len);
        decode(part.tensor.dtype(), part.tensor.bytes(), (part.rows.start + from - first) * row_len, this);
        if part.scale != 1.0 {
            this.iter_mut().for_each(|number| *number *= part.scale);
        }
        (first, rest) = (last, behind);
    }
    if !param.adapters.is_empty() && row_len > 0 {
        let mut line = vec![0.0; row_len];
        for adapter in &param.adapters {
            adapt(adapter, &rows, row_len, &mut line, out);
        }
    }
}

/// Adds `scale · up · down` to the rows that an adapter touches: one line of `down` at a time, which stays in the cache
/// while it is added to every row.
fn adapt(adapter: &LowRank, rows: &Range<usize>, row_len: usize, line: &mut [f32], out: &mut [f32]) {
    let (from, to) = (rows.start.max(adapter.rows.start), rows.end.min(adapter.rows.end));
    let rank = adapter.down.rows();
    for index in 0..if from < to { rank } else { 0 } {
        decode(adapter.down.dtype(), adapter.down.bytes(), index * row_len, line);
        for row in from..to {
            let mut up = [0.0];
            decode(adapter.up.dtype(), adapter.up.bytes(), (row - adapter.rows.start) * rank + index, &mut up);
            let up = up[0] * adapter.scale;
            let place = (row - rows.start) * row_len;
            let target = out.get_mut(place..place + row_len).unwrap_or_default();
            target.iter_mut().zip(&*line).for_each(|(number, down)| *number += up * down);
        }
    }
}

/// Numbers from the place `first` on, stored as `dtype` in `bytes`, into all of `out`.
///
/// What lies behind the end of `bytes` reads as NaN; a checked [`crate::param::Tensor`] has no such place.
pub fn decode(dtype: DType, bytes: &[u8], first: usize, out: &mut [f32]) {
    let size = dtype.block_bytes();
    match dtype {
        DType::F32 => each(bytes, first, out, f32::from_le_bytes),
        DType::F16 => each(bytes, first, out, |bytes| f16_to_f32(u16::from_le_bytes(bytes))),
        DType::Bf16 => each(bytes, first, out, |bytes| bf16_to_f32(u16::from_le_bytes(bytes))),
        DType::F8E4M3 => each(bytes, first, out, |[byte]| e4m3_to_f32(byte)),
        // The upper byte of a half.
        DType::F8E5M2 => each(bytes, first, out, |[byte]| f16_to_f32(u16::from(byte) << 8)),
        DType::Q4_0 => blocks::<32>(bytes, size, first, out, q4_0),
        DType::Q4_1 => blocks::<32>(bytes, size, first, out, q4_1),
        DType::Q5_0 => blocks::<32>(bytes, size, first, out, q5_0),
        DType::Q5_1 => blocks::<32>(bytes, size, first, out, q5_1),
        DType::Q8_0 => blocks::<32>(bytes, size, first, out, q8_0),
        DType::Q4K => blocks::<256>(bytes, size, first, out, q4_k),
        DType::Q5K => blocks::<256>(bytes, size, first, out, q5_k),
        DType::Q6K => blocks::<256>(bytes, size, first, out, q6_k),
    }
}

/// Numbers that stand alone, `N` bytes each.
fn each<const N: usize>(bytes: &[u8], first: usize, out: &mut [f32], convert: impl Fn([u8; N]) -> f32) {
    let (stored, _) = bytes.get(first * N..).unwrap_or_default().as_chunks::<N>();
    let (there, beyond) = out.split_at_mut(out.len().min(stored.len()));
    there.iter_mut().zip(stored).for_each(|(number, bytes)| *number = convert(*bytes));
    beyond.fill(f32::NAN);
}

/// Numbers in blocks of `N`; the first and last block may be read in part.
fn blocks<const N: usize>(
    bytes: &[u8],
    size: usize,
    first: usize,
    mut out: &mut [f32],
    convert: impl Fn(&[u8], &mut [f32; N]),
) {
    let (mut block, mut skip) = (first / N, first % N);
    let mut some = [0.0; N];
    while !out.is_empty() {
        let Some(stored) = bytes.get(block * size..(block + 1) * size) else { return out.fill(f32::NAN) };
        let count = (N - skip).min(out.len());
        let (this, rest) = out.split_at_mut(count);
        match <&mut [f32; N]>::try_from(&mut *this) {
            Ok(whole) => convert(stored, whole),
            Err(_) => {
                convert(stored, &mut some);
                this.copy_from_slice(&some[skip..skip + count]);
            }
        }
        (out, block, skip) = (rest, block + 1, 0);
    }
}

/// A half as a single, exactly. The exponent's bias is corrected by a product, which also makes subnormals right.
#[inline]
pub const fn f16_to_f32(bits: u16) -> f32 {
    let magnitude = f32::from_bits(((bits & 0x7FFF) as u32) << 13) * f32::from_bits((127 + 112) << 23);
    let infinite = if bits & 0x7C00 == 0x7C00 { 0x7F80_0000 } else { 0 };
    f32::from_bits(magnitude.to_bits() | infinite | ((bits & 0x8000) as u32) << 16)
}

/// An fp8 number with 4 bits of exponent as a single, exactly: no infinities, and NaN where all bits are set.
#[inline]
pub const fn e4m3_to_f32(bits: u8) -> f32 {
    let magnitude = f32::from_bits(((bits & 0x7F) as u32) << 20) * f32::from_bits((127 + 120) << 23);
    let nan = if bits & 0x7F == 0x7F { 0x7FC0_0000 } else { 0 };
    f32::from_bits(magnitude.to_bits() | nan | ((bits & 0x80) as u32) << 24)
}

// The blocks are those of ggml (`ggml-common.h`, and `ggml-quants.c` for the order of numbers in them). Every block comes
// with as many bytes as its dtype says, so an index below that is never out of range.

fn half(block: &[u8], at: usize) -> f32 {
    f16_to_f32(u16::from_le_bytes([block[at], block[at + 1]]))
}

/// Sixteen bytes: low halves are the first sixteen numbers, high halves the others.
fn nibbles(quants: &[u8], out: &mut [f32; 32], convert: impl Fn(usize, u8) -> f32) {
    for (place, byte) in quants[..16].iter().enumerate() {
        out[place] = convert(place, byte & 0xF);
        out[place + 16] = convert(place + 16, byte >> 4);
    }
}

fn q4_0(block: &[u8], out: &mut [f32; 32]) {
    let scale = half(block, 0);
    nibbles(&block[2..], out, |_, quant| (f32::from(quant) - 8.0) * scale);
}

fn q4_1(block: &[u8], out: &mut [f32; 32]) {
    let (scale, least) = (half(block, 0), half(block, 2));
    nibbles(&block[4..], out, |_, quant| f32::from(quant) * scale + least);
}

/// The fifth bits of 32 numbers.
fn fifths(block: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]])
}

fn fifth(bits: u32, place: usize) -> f32 {
    16.0 * (bits >> place & 1) as f32
}

fn q5_0(block: &[u8], out: &mut [f32; 32]) {
    let (scale, bits) = (half(block, 0), fifths(block, 2));
    nibbles(&block[6..], out, |place, quant| (f32::from(quant) + fifth(bits, place) - 16.0) * scale);
}

fn q5_1(block: &[u8], out: &mut [f32; 32]) {
    let (scale, least, bits) = (half(block, 0), half(block, 2), fifths(block, 4));
    nibbles(&block[8..], out, |place, quant| (f32::from(quant) + fifth(bits, place)) * scale + least);
}

fn q8_0(block: &[u8], out: &mut [f32; 32]) {
    let scale = half(block, 0);
    out.iter_mut().zip(&block[2..]).for_each(|(number, quant)| *number = f32::from(*quant as i8) * scale);
}

/// Scale and least value of the group `index` of eight, six bits each in twelve bytes.
fn scale_and_least(packed: &[u8], index: usize) -> (f32, f32) {
    let (scale, least) = match index {
        0..4 => (packed[index] & 63, packed[index + 4] & 63),
        _ => (packed[index + 4] & 0xF | packed[index - 4] >> 6 << 4, packed[index + 4] >> 4 | packed[index] >> 6 << 4),
    };
    (f32::from(scale), f32::from(least))
}

/// Eight groups of 32: bytes are shared by two groups, and `high` adds the fifth bit.
fn groups_of_32(block: &[u8], quants: &[u8], out: &mut [f32; 256], high: impl Fn(usize, usize) -> f32) {
    let (scale, least) = (half(block, 0), half(block, 2));
    let (lines, _) = out.as_chunks_mut::<32>();
    for (group, line) in lines.iter_mut().enumerate() {
        let (group_scale, group_least) = scale_and_least(&block[4..16], group);
        let (scale, least) = (scale * group_scale, least * group_least);
        let shift = 4 * (group % 2);
        let quants = &quants[group / 2 * 32..][..32];
        for (place, (number, quant)) in line.iter_mut().zip(quants).enumerate() {
            *number = scale * (f32::from(quant >> shift & 0xF) + high(group, place)) - least;
        }
    }
}

fn q4_k(block: &[u8], out: &mut [f32; 256]) {
    groups_of_32(block, &block[16..], out, |_, _| 0.0);
}

fn q5_k(block: &[u8], out: &mut [f32; 256]) {
    let high = &block[16..48];
    groups_of_32(block, &block[48..], out, |group, place| f32::from(high[place] >> group & 1) * 16.0);
}

fn q6_k(block: &[u8], out: &mut [f32; 256]) {
    let (low, high, scales, scale) = (&block[..128], &block[128..192], &block[192..208], half(block, 208));
    let (lines, _) = out.as_chunks_mut::<32>();
    for (line, numbers) in lines.iter_mut().enumerate() {
        // Two halves of four lines each: lines 0 and 1 have the low nibbles of 64 bytes, lines 2 and 3 the high ones.
        let (side, line) = (line / 4, line % 4);
        let (low, high) = (&low[64 * side + 32 * (line % 2)..][..32], &high[32 * side..][..32]);
        for (place, number) in numbers.iter_mut().enumerate() {
            let quant = low[place] >> (4 * (line / 2)) & 0xF | (high[place] >> (2 * line) & 3) << 4;
            let group = f32::from(scales[8 * side + 2 * line + place / 16] as i8);
            *number = scale * group * (f32::from(quant) - 32.0);
        }
    }
}

#[cfg(test)]
mod tests;
