//! Rows in eight bits: numbers of e4m3, and a single for each row that they are multiplied with.
//!
//! The one place that says how a row is rounded, for whoever keeps weights so and for what such devices are held against.
//! `cuda/kernels/fp8.cu` (`fp8_rows`) rounds rows of activations to the same bytes.

use super::e4m3_to_f32;
use crate::dtype::f32_to_e4m3;

/// The largest number of e4m3.
pub const E4M3_MAX: f32 = 448.0;

/// Rounds `row` into `eights`, which has room for it, and gives its scale: the largest magnitude by [`E4M3_MAX`].
///
/// A row of zeros, or of numbers so small that nothing is left of them by 448, has the scale 0 and zeros. Where a number is
/// none, so is the scale, and with it all of the row.
pub fn round(row: &[f32], eights: &mut [u8]) -> f32 {
    let scale = scale(row);
    let round = |number: &f32| if scale == 0.0 { 0 } else { f32_to_e4m3(number / scale) };
    eights.iter_mut().zip(row).for_each(|(eight, number)| *eight = round(number));
    scale
}

/// Makes `row` the numbers of e4m3 that [`round`] gives, and gives their scale.
pub fn rounded(row: &mut [f32]) -> f32 {
    let scale = scale(row);
    let round = |number: f32| if scale == 0.0 { 0.0 } else { e4m3_to_f32(f32_to_e4m3(number / scale)) };
    row.iter_mut().for_each(|number| *number = round(*number));
    scale
}

/// Magnitudes are compared as bits, of which those of what is no number are the greatest: a maximum of singles drops it.
fn scale(row: &[f32]) -> f32 {
    let most = row.iter().fold(0, |most, number| most.max(number.to_bits() & 0x7FFF_FFFF));
    f32::from_bits(most) / E4M3_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(row: &[f32], scale_expected: f32, expected: &[f32]) {
        let mut eights = vec![0xAA; row.len()];
        let scale = round(row, &mut eights);
        assert_eq!(scale.to_bits(), scale_expected.to_bits(), "the scale of {row:?}");
        let near: Vec<f32> = eights.iter().map(|eight| e4m3_to_f32(*eight)).collect();
        let mut same = row.to_vec();
        assert_eq!(rounded(&mut same).to_bits(), scale.to_bits());
        let one = |number: &f32| if number.is_nan() { f32::NAN } else { *number }.to_bits();
        let bits = |row: &[f32]| row.iter().map(one).collect::<Vec<_>>();
        assert_eq!((bits(&near), bits(&same)), (bits(expected), bits(expected)), "{row:?}");
    }

    #[test]
    fn rows_have_a_scale_each() {
        check(&[448.0, -448.0, 1.0, 17.0, 19.0], 1.0, &[448.0, -448.0, 1.0, 16.0, 20.0]);
        check(&[-0.5, 0.25, 0.0, -0.0], 0.5 / 448.0, &[-448.0, 224.0, 0.0, -0.0]);
        check(&[0.0, -0.0], 0.0, &[0.0, 0.0]);
        check(&[], 0.0, &[]);
        // Nothing is left of the least single by 448.
        check(&[f32::from_bits(1)], 0.0, &[0.0]);
        // What is far below the largest of its row is lost.
        check(&[448.0, 0.0009], 1.0, &[448.0, 0.0]);
        check(&[1.0, f32::NAN], f32::NAN / 448.0, &[f32::NAN, f32::NAN]);
        check(&[1.0, f32::INFINITY], f32::INFINITY, &[0.0, f32::NAN]);
    }
}
