//! Formats against the reference implementations: `dequantize` of ggml's Python package `gguf`, and torch for halves and fp8.

use std::sync::Arc;

use super::*;
use crate::dtype::f32_to_e4m3;
use crate::param::{Part, Tensor};
use crate::weights::write::{encode, f32_to_f16};

/// FNV-1a over the bits of `numbers`, in which infinities and NaN have values of their own, for NaN has many bits.
fn digest(numbers: &[f32]) -> u64 {
    let plain = |number: f32| match number {
        _ if number.is_nan() => 1e9,
        f32::INFINITY => 2e9,
        f32::NEG_INFINITY => 3e9,
        _ => number,
    };
    let bytes = numbers.iter().flat_map(|number| plain(*number).to_le_bytes());
    bytes.fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3))
}

/// Four blocks of bytes from a generator, with halves of known size where the format has scales.
fn stored(dtype: DType, scales: &[(usize, [u16; 4])]) -> Vec<u8> {
    let mut state = 7u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let mut bytes: Vec<u8> = (0..4 * dtype.block_bytes()).map(next).collect();
    for (at, halves) in scales {
        for (block, half) in halves.iter().enumerate() {
            bytes[block * dtype.block_bytes() + at..][..2].copy_from_slice(&half.to_le_bytes());
        }
    }
    bytes
}

#[test]
fn blocks_are_those_of_ggml() {
    let scale = [0.0123f32, 0.0246, 0.0369, 0.0492].map(f32_to_f16);
    let least = [-0.0369f32, -0.0738, -0.1107, -0.1476].map(f32_to_f16);
    for (dtype, halves, digest_expected, samples) in [
        (
            DType::Q4_0,
            &[(0, scale)][..],
            0xACB2_E1B2_D375_8BF1,
            [0x3D49_8000, 0x3D7B_E000, 0x3D97_2000, 0xBCC9_8000, 0xBD49_8000],
        ),
        (
            DType::Q4_1,
            &[(0, scale), (2, least)],
            0xE945_2787_B5A5_72CD,
            [0x3DE2_B000, 0x3DC9_8000, 0x3DFB_E000, 0x3DFB_E000, 0x3EC9_8000],
        ),
        (
            DType::Q5_0,
            &[(0, scale)],
            0xD3AB_933C_9F0A_A52E,
            [0xBD49_8000, 0xBD17_2000, 0xBE49_8000, 0x3DB0_5000, 0xBE49_8000],
        ),
        (
            DType::Q5_1,
            &[(0, scale), (2, least)],
            0x7BB2_46C3_9A24_056F,
            [0xBCC9_8000, 0x3DC9_8000, 0x3E17_2000, 0x3DC9_8000, 0x3F97_2000],
        ),
        (
            DType::Q8_0,
            &[(0, scale)],
            0x428C_3146_328A_E6A5,
            [0xBF9D_6C00, 0xBE6F_4800, 0xBEEF_4800, 0xBF98_B300, 0x4013_FA00],
        ),
        (
            DType::Q4K,
            &[(0, scale), (2, least)],
            0xE025_050F_30B6_D782,
            [0x3FD4_8500, 0x4010_0A80, 0x3F3C_E800, 0x403A_8B80, 0x3FF5_9400],
        ),
        (
            DType::Q5K,
            &[(0, scale), (2, least)],
            0xB7AE_D1A4_A740_61FE,
            [0x4048_B680, 0x40A6_7940, 0x3F20_9200, 0x406C_2200, 0x41B4_A440],
        ),
        (
            DType::Q6K,
            &[(208, scale)],
            0xA680_064E_9AA0_BE40,
            [0xC0C2_05C0, 0x3FBB_5500, 0x4122_EE80, 0xBF23_B800, 0xC204_3C00],
        ),
    ] {
        let length = dtype.block_len();
        let mut numbers = vec![0.0; 4 * length];
        let bytes = stored(dtype, halves);
        decode(dtype, &bytes, 0, &mut numbers);
        let places = [0, 1, length / 2 + 1, length - 1, 4 * length - 1];
        assert_eq!(places.map(|place| numbers[place].to_bits()), samples, "{}", dtype.word());
        assert_eq!(digest(&numbers), digest_expected, "{}", dtype.word());
        // Any part of it is the same numbers.
        for (first, count) in [(1, 1), (length - 1, 2), (5, 2 * length), (length, length), (4 * length - 3, 3), (9, 0)]
        {
            let mut part = vec![0.0; count];
            decode(dtype, &bytes, first, &mut part);
            assert_eq!(part, numbers[first..first + count], "{} {first} {count}", dtype.word());
        }
        // What is not there is no number, and no panic.
        let mut beyond = vec![0.0; 3];
        decode(dtype, &bytes, 4 * length - 1, &mut beyond);
        assert!(!beyond[0].is_nan() && beyond[1].is_nan() && beyond[2].is_nan(), "{}", dtype.word());
    }
}

#[test]
fn small_floats_are_those_of_torch() {
    let all = |dtype: DType, bytes: Vec<u8>| {
        let mut numbers = vec![0.0; bytes.len() / dtype.block_bytes()];
        decode(dtype, &bytes, 0, &mut numbers);
        digest(&numbers)
    };
    let bytes: Vec<u8> = (0..=255).collect();
    assert_eq!(all(DType::F8E4M3, bytes.clone()), 0x1D90_8B2C_D68A_A121);
    assert_eq!(all(DType::F8E5M2, bytes), 0x4CFE_A168_E17F_B1A9);
    assert_eq!(all(DType::F16, (0..=u16::MAX).flat_map(u16::to_le_bytes).collect()), 0x8188_55E7_B1B0_9339);
}

#[test]
fn what_is_written_is_the_nearest() {
    for bits in 0..=u16::MAX {
        let number = f16_to_f32(bits);
        assert!(number.is_nan() || f32_to_f16(number) == bits, "{bits:#x}");
    }
    for bits in 0..=u8::MAX {
        let number = e4m3_to_f32(bits);
        assert!(number.is_nan() || f32_to_e4m3(number) == bits, "{bits:#x}");
    }
    for (number, bits) in [(1.0f32, 0x3C00), (65_519.9, 0x7BFF), (65_520.0, 0x7C00), (1.000_488_3, 0x3C00), (1e-9, 0)] {
        assert_eq!(f32_to_f16(number), bits, "{number}");
    }
    for (number, bits) in [(1.0625f32, 0x38), (1.1875, 0x3A), (1e9, 0x7E), (-1e9, 0xFE), (0.000_1, 0)] {
        assert_eq!(f32_to_e4m3(number), bits, "{number}");
    }
}

fn tensor(dtype: DType, shape: &[usize], numbers: &[f32]) -> Tensor {
    let bytes = encode(dtype, numbers).unwrap();
    let range = 0..bytes.len();
    Tensor::new(dtype, shape.to_vec(), Arc::new(bytes), range).unwrap()
}

/// Rows of a stack of three parts, one swapped, one scaled, one in halves, with two adapters that overlap its seams.
#[test]
fn rows_of_a_stack_with_adapters() {
    let count = |from: usize, numbers: usize| (from..from + numbers).map(|number| number as f32).collect::<Vec<_>>();
    let first = tensor(DType::F32, &[4, 3], &count(0, 12));
    let second = tensor(DType::F16, &[2, 3], &count(100, 6));
    let part = |tensor: &Tensor, rows: Range<usize>, scale: f32| Part { tensor: tensor.clone(), rows, scale };
    let mut param = Param {
        shape: vec![6, 3],
        parts: vec![part(&first, 2..4, 1.0), part(&first, 0..2, 0.5), part(&second, 0..2, -1.0)],
        adapters: Vec::new(),
        eights: false,
    };
    let expected = [
        [6.0, 7.0, 8.0],
        [9.0, 10.0, 11.0],
        [0.0, 0.5, 1.0],
        [1.5, 2.0, 2.5],
        [-100.0, -101.0, -102.0],
        [-103.0, -104.0, -105.0],
    ];
    let check = |param: &Param, expected: &[[f32; 3]; 6]| {
        for from in 0..=6 {
            for to in from..=6 {
                let mut out = vec![7.7; (to - from) * 3];
                read(param, from..to, &mut out);
                assert_eq!(out, expected[from..to].concat(), "{from}..{to}");
            }
        }
    };
    check(&param, &expected);

    // Rank 2 on rows 1 to 4, and rank 1 on all.
    param.adapters.push(LowRank {
        down: tensor(DType::F32, &[2, 3], &[1.0, 0.0, 2.0, 0.0, 1.0, 1.0]),
        up: tensor(DType::F16, &[3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
        scale: 0.5,
        rows: 1..4,
    });
    param.adapters.push(LowRank {
        down: tensor(DType::Bf16, &[1, 3], &[1.0, 1.0, 0.0]),
        up: tensor(DType::F32, &[6, 1], &[0.0, 10.0, 20.0, 30.0, 40.0, 50.0]),
        scale: 1.0,
        rows: 0..6,
    });
    let mut adapted = expected;
    for (row, [one, two]) in [(1, [1.0, 2.0]), (2, [3.0, 4.0]), (3, [5.0, 6.0])] {
        let product = [one, two, 2.0 * one + two];
        adapted[row].iter_mut().zip(product).for_each(|(number, product)| *number += 0.5 * product);
    }
    for (row, numbers) in adapted.iter_mut().enumerate() {
        numbers[0] += 10.0 * row as f32;
        numbers[1] += 10.0 * row as f32;
    }
    check(&param, &adapted);
}
