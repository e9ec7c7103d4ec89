//! Which kernel a convolution takes, and its grid.

use super::*;

const CARD: Card = Card { capability: 90, multiprocessors: 132, shared_bytes: 227 << 10 };

fn convolution(precision: Precision, at: Geometry, channels: u32, features: u32) -> Result<Conv, Misfit> {
    let mat = |at: u64, rows: usize, cols: u32| Mat { at, rows: rows as u32, cols, stride: cols, pad: 0 };
    let (height, width) = at.out();
    let x = mat(1 << 20, at.batch * at.height * at.width, channels);
    let weight = mat(1 << 30, features as usize, (at.kernel * at.kernel) as u32 * channels);
    let out = mat(1 << 40, at.batch * height * width, features);
    Conv::new(&CARD, precision, x, weight, &at, &End::default(), out)
}

#[test]
fn shapes_take_their_kernels() {
    let check = |precision, at: Geometry, channels, features, kernel: &str, blocks: u32| {
        let conv = convolution(precision, at, channels, features).expect("it fits");
        assert_eq!((conv.kernel(), conv.grid()), (kernel, [blocks, 1, 1]), "{channels} to {features} {at:?}");
    };
    let same = Geometry::same;
    check(Precision::Bf16, same(1, 512, 512, 3), 256, 128, "conv_bf16_128x128", 2048);
    check(Precision::Bf16, same(1, 64, 64, 3), 512, 512, "conv_bf16_128x128", 128);
    check(Precision::Bf16, same(1, 9, 9, 3), 200, 3, "conv_bf16_128x16", 1);
    check(Precision::Bf16, same(1, 6, 5, 3), 3, 40, "conv_bf16_64x64_odd", 1);
    check(Precision::Bf16, same(2, 5, 7, 3), 16, 24, "conv_bf16_64x64", 2);
    check(Precision::F32, same(1, 512, 512, 3), 256, 128, "conv_f32_128x128", 2048);
    check(Precision::F32, same(2, 4, 4, 1), 40, 20, "conv_f32_64x64", 1);
    check(Precision::F32, same(1, 6, 5, 3), 3, 40, "conv_f32_64x64_odd", 1);
    let behind = Geometry { stride: 2, before: 0, after: 1, ..same(2, 8, 6, 3) };
    check(Precision::Bf16, behind, 32, 16, "conv_bf16_128x16", 1);
}

#[test]
fn what_does_not_fit_is_told() {
    let at = Geometry::same(1, 8, 8, 3);
    let mut conv = convolution(Precision::Bf16, at, 16, 16).expect("it fits").args;
    conv.out.rows -= 1;
    let made = Conv::new(&CARD, Precision::Bf16, conv.x, conv.weight, &at, &End::default(), conv.out);
    assert!(made.is_err_and(|misfit| misfit.reason.contains("does not give 63 x 16")));
    for at in [
        Geometry { kernel: 30, ..at },
        Geometry { stride: 0, ..at },
        Geometry { upsample: 0, ..at },
        Geometry { height: usize::MAX, ..at },
        Geometry { after: usize::MAX, ..at },
        Geometry { upsample: 3, ..at },
        Geometry { batch: usize::MAX, ..at },
    ] {
        let made = Conv::new(&CARD, Precision::Bf16, conv.x, conv.weight, &at, &End::default(), conv.out);
        assert!(made.is_err_and(|misfit| misfit.reason.contains("it cannot look")), "{at:?}");
    }
}
