//! Number formats that weights are stored in and activations are computed in.

/// How the numbers of a tensor are stored.
///
/// Blocks are as GGUF has them (`ggml-common.h`); a tensor of blocks has its last dimension a multiple of the block's length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DType {
    /// IEEE 754 single.
    F32,
    /// IEEE 754 half.
    F16,
    /// The upper half of a single.
    Bf16,
    /// Eight bits: 4 of exponent, 3 of mantissa, no infinity (OCP FP8, `e4m3fn`).
    F8E4M3,
    /// Eight bits: 5 of exponent, 2 of mantissa (OCP FP8).
    F8E5M2,
    /// GGUF: 32 numbers of 4 bits with one scale.
    Q4_0,
    /// GGUF: 32 numbers of 4 bits with scale and least value.
    Q4_1,
    /// GGUF: 32 numbers of 5 bits with one scale.
    Q5_0,
    /// GGUF: 32 numbers of 5 bits with scale and least value.
    Q5_1,
    /// GGUF: 32 numbers of 8 bits with one scale.
    Q8_0,
    /// GGUF: 256 numbers of 4 bits, scales and least values of 32 each in 6 bits.
    Q4K,
    /// GGUF: 256 numbers of 5 bits, scales and least values of 32 each in 6 bits.
    Q5K,
    /// GGUF: 256 numbers of 6 bits, scales of 16 each in 8 bits.
    Q6K,
}

impl DType {
    /// How many numbers stand together in a block; 1 where each stands alone.
    pub const fn block_len(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::Bf16 | Self::F8E4M3 | Self::F8E5M2 => 1,
            Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 | Self::Q8_0 => 32,
            Self::Q4K | Self::Q5K | Self::Q6K => 256,
        }
    }

    /// Bytes of a block.
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::F8E4M3 | Self::F8E5M2 => 1,
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
            Self::Q5_0 => 22,
            Self::Q5_1 => 24,
            Self::Q8_0 => 34,
            Self::Q4K => 144,
            Self::Q5K => 176,
            Self::Q6K => 210,
        }
    }

    /// Bytes of `numbers` in a row; `None` where they fill no whole blocks or overflow.
    pub const fn bytes(self, numbers: usize) -> Option<usize> {
        if !numbers.is_multiple_of(self.block_len()) {
            return None;
        }
        (numbers / self.block_len()).checked_mul(self.block_bytes())
    }

    /// The word in messages and reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::F8E4M3 => "f8_e4m3",
            Self::F8E5M2 => "f8_e5m2",
            Self::Q4_0 => "q4_0",
            Self::Q4_1 => "q4_1",
            Self::Q5_0 => "q5_0",
            Self::Q5_1 => "q5_1",
            Self::Q8_0 => "q8_0",
            Self::Q4K => "q4_k",
            Self::Q5K => "q5_k",
            Self::Q6K => "q6_k",
        }
    }
}

/// What activations are computed in. Sums are f32 either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Precision {
    /// Singles: the reference.
    #[default]
    F32,
    /// bf16: half the memory, and twice the speed or more where the machine has instructions for it.
    Bf16,
}

impl Precision {
    /// Bytes of one activation.
    pub const fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 => 2,
        }
    }

    /// The word in flags, keys and reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        }
    }
}

impl std::str::FromStr for Precision {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "f32" | "fp32" | "float32" => Ok(Self::F32),
            "bf16" | "bfloat16" => Ok(Self::Bf16),
            other => Err(format!("read the precision {other:?}: write f32 or bf16")),
        }
    }
}

/// A bf16 number as a single.
#[inline]
pub const fn bf16_to_f32(bits: u16) -> f32 {
    f32::from_bits((bits as u32) << 16)
}

/// The nearest bf16 number, ties to even; NaN stays NaN.
#[inline]
pub const fn f32_to_bf16(value: f32) -> u16 {
    let bits = value.to_bits();
    if value.is_nan() {
        return (bits >> 16) as u16 | 0x40;
    }
    ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16) as u16
}

/// The nearest fp8 number with 4 bits of exponent, ties to even, as cards' own instruction has it: what is too large becomes
/// the largest, 448, and NaN the one NaN with all bits but the sign set.
#[inline]
pub const fn f32_to_e4m3(value: f32) -> u8 {
    let bits = value.to_bits();
    let (sign, size) = ((bits >> 24) as u8 & 0x80, bits & 0x7FFF_FFFF);
    if size > 0x7F80_0000 {
        return 0x7F;
    }
    // Below 2⁻⁶ steps are 2⁻⁹ wide, as those of singles from 2¹⁴ to 2¹⁵ are. A carry is the first number with an exponent.
    if size < 0x3C80_0000 {
        let steps = (f32::from_bits(size) + 16_384.0).to_bits() - 16_384f32.to_bits();
        return sign | steps as u8;
    }
    // The exponent's bias goes from 127 to 7, 20 bits of mantissa are rounded away, and a carry goes into the exponent.
    let rounded = ((size + 0x7_FFFF + ((size >> 20) & 1)) >> 20) - (120 << 3);
    sign | if rounded < 0x7E { rounded as u8 } else { 0x7E }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::e4m3_to_f32;

    /// By a search of all numbers; of two as near, the one whose last bit is 0.
    fn nearest(value: f32) -> u8 {
        // Far above all of them doubles would not tell them apart.
        let size = f64::from(value.abs().min(1e6));
        let far = |bits: &u8| (f64::from(e4m3_to_f32(*bits)) - size).abs();
        let near = (0..0x7F).min_by(|a: &u8, b: &u8| far(a).total_cmp(&far(b)).then((a & 1).cmp(&(b & 1))));
        near.unwrap_or_default() | (value.to_bits() >> 24) as u8 & 0x80
    }

    #[test]
    fn e4m3_rounds_to_the_nearest() {
        // Every number of e4m3, every middle between two, and their neighbours among singles.
        for bits in 0..0x7E {
            let (low, high) = (e4m3_to_f32(bits), e4m3_to_f32(bits + 1));
            let middle = f32::midpoint(low, high);
            for value in [low, low.next_up(), middle.next_down(), middle, middle.next_up(), high.next_down(), high] {
                assert_eq!((f32_to_e4m3(value), f32_to_e4m3(-value)), (nearest(value), nearest(-value)), "{value}");
            }
        }
        // Every bf16 number but those that are none.
        for value in (0..=u16::MAX).map(bf16_to_f32).filter(|value| value.is_finite()) {
            assert_eq!(f32_to_e4m3(value), nearest(value), "{value}");
        }
        assert_eq!((f32_to_e4m3(f32::INFINITY), f32_to_e4m3(f32::NEG_INFINITY)), (0x7E, 0xFE));
        assert_eq!((f32_to_e4m3(f32::NAN), f32_to_e4m3(-f32::NAN)), (0x7F, 0x7F));
    }

    #[test]
    fn bf16_rounds_to_even() {
        for (value, bits) in [
            (1.0, 0x3F80),
            (f32::from_bits(0x3F80_8000), 0x3F80),
            (f32::from_bits(0x3F81_8000), 0x3F82),
            (f32::from_bits(0x3F80_8001), 0x3F81),
            (f32::INFINITY, 0x7F80),
            (-0.0, 0x8000),
        ] {
            assert_eq!(f32_to_bf16(value), bits, "{value}");
        }
        assert!(bf16_to_f32(f32_to_bf16(f32::NAN)).is_nan());
    }

    #[test]
    fn blocks_fill_rows_or_do_not() {
        assert_eq!(DType::Q8_0.bytes(64), Some(68));
        assert_eq!(DType::Q4K.bytes(512), Some(288));
        assert_eq!(DType::Q4K.bytes(100), None);
        assert_eq!(DType::F32.bytes(usize::MAX), None);
    }
}
