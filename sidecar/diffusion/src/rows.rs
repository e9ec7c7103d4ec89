//! Rows of a parameter as singles, whatever they are stored as.

use std::ops::Range;

use crate::dtype::{DType, bf16_to_f32};
use crate::param::Param;

/// Reads `rows` of `param` into `out`, which holds as many rows of [`Param::row_len`].
pub fn read(param: &Param, rows: Range<usize>, out: &mut [f32]) {
    let row_len = param.row_len();
    let (mut first, mut out) = (0, out);
    for part in &param.parts {
        let last = first + part.rows.len();
        let (from, to) = (rows.start.clamp(first, last), rows.end.clamp(first, last));
        let (this, rest) = std::mem::take(&mut out).split_at_mut((to - from) * row_len);
        let stored = (part.rows.start + from - first) * row_len;
        for (index, number) in this.iter_mut().enumerate() {
            let (at, bytes) = (stored + index, part.tensor.bytes());
            *number = part.scale
                * match part.tensor.dtype() {
                    DType::F32 => {
                        f32::from_le_bytes([bytes[4 * at], bytes[4 * at + 1], bytes[4 * at + 2], bytes[4 * at + 3]])
                    }
                    DType::Bf16 => bf16_to_f32(u16::from_le_bytes([bytes[2 * at], bytes[2 * at + 1]])),
                    _ => f32::NAN,
                };
        }
        (first, out) = (last, rest);
    }
}
