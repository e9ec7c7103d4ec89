//! Which kernel a product of e4m3 takes, and what it refuses.

use super::*;

const CARD: Card = Card { capability: 89, multiprocessors: 128, shared_bytes: 99 << 10 };

fn rounded(at: Address, rows: u32, cols: u32) -> Fp8Mat {
    Fp8Mat { mat: Mat { at, rows, cols, stride: Fp8Mat::stride(cols), pad: 0 }, scale: at + (1 << 20) }
}

fn singles(at: Address, rows: u32, cols: u32) -> Mat {
    Mat { at, rows, cols, stride: cols, pad: 0 }
}

#[test]
fn shapes_take_their_kernels() {
    let check = |[rows, cols, k]: [u32; 3], kernel: &str, blocks: u32| {
        let (x, weight) = (rounded(1 << 20, rows, k), rounded(1 << 30, cols, k));
        let gemm = Fp8Gemm::new(&CARD, x, weight, &End::default(), singles(1 << 40, rows, cols)).expect("it fits");
        assert_eq!((gemm.kernel(), gemm.grid()), (kernel, [blocks, 1, 1]), "{rows} x {cols} x {k}");
    };
    check([8192, 6144, 1536], "fp8_gemm_128x128", 64 * 48);
    check([7, 5, 33], "fp8_gemm_64x64", 1);
}

#[test]
fn what_does_not_fit_is_told() {
    let (x, weight, out) = (rounded(1 << 20, 4, 33), rounded(1 << 30, 8, 33), singles(1 << 40, 4, 8));
    let check = |card: Card, x: Fp8Mat, weight: Fp8Mat, part: &str| {
        let made = Fp8Gemm::new(&card, x, weight, &End::default(), out);
        assert!(made.as_ref().is_err_and(|misfit| misfit.reason.contains(part)), "{made:?} does not say {part:?}");
    };
    check(Card { capability: 86, ..CARD }, x, weight, "89 is the first");
    check(CARD, Fp8Mat { mat: Mat { stride: 33, ..x.mat }, ..x }, weight, "multiples of 16");
    check(CARD, Fp8Mat { scale: 0, ..x }, weight, "scales at 0x0");
    check(CARD, x, rounded(1 << 30, 8, 32), "does not give");
    assert!(Fp8Rows::new(singles(64, 4, 33), x).is_ok());
    assert!(Fp8Rows::new(singles(64, 4, 32), x).is_err_and(|misfit| misfit.reason.contains("4 x 32 becomes 4 x 33")));
}
