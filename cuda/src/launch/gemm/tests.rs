//! Which kernel a product takes, and its grid.

use super::*;

const CARD: Card = Card { capability: 90, multiprocessors: 132, shared_bytes: 227 << 10 };

fn mat(at: Address, rows: u32, cols: u32) -> Mat {
    Mat { at, rows, cols, stride: cols, pad: 0 }
}

fn product(card: &Card, precision: Precision, rows: u32, cols: u32, k: u32) -> Gemm {
    let (x, weight) = (mat(1 << 20, rows, k), mat(1 << 30, cols, k));
    Gemm::new(card, precision, x, weight, &End::default(), mat(1 << 40, rows, cols), Sums::Parts(1 << 50))
        .expect("it fits")
}

#[test]
fn shapes_take_their_kernels() {
    let check = |precision, [rows, cols, k]: [u32; 3], kernel: &str, grid: [u32; 3]| {
        let gemm = product(&CARD, precision, rows, cols, k);
        assert_eq!((gemm.kernel(), gemm.grid()), (kernel, grid), "{rows} x {cols} x {k}");
        assert_eq!(gemm.finish().is_some(), grid[2] > 1, "{rows} x {cols} x {k}");
        assert_eq!(Gemm::workspace_bytes(rows, cols, k) > 0, grid[2] > 1, "{rows} x {cols} x {k}");
    };
    check(Precision::Bf16, [8192, 6144, 1536], "gemm_bf16_128x256", [64 * 24, 1, 1]);
    check(Precision::Bf16, [666, 1536, 1536], "gemm_bf16_64x64", [11 * 24, 1, 1]);
    check(Precision::Bf16, [2, 9216, 1536], "gemm_bf16_16x64", [144, 1, 1]);
    check(Precision::Bf16, [2, 1536, 2048], "gemm_bf16_16x64", [24, 1, 5]);
    check(Precision::Bf16, [77, 768, 3072], "gemm_bf16_64x64", [24, 1, 5]);
    check(Precision::Bf16, [7, 5, 33], "gemm_bf16_64x64_odd", [1, 1, 1]);
    check(Precision::Bf16, [17, 40, 1537], "gemm_bf16_64x64_odd", [1, 1, 5]);
    check(Precision::Bf16, [1, 1, 1], "gemm_bf16_64x64_odd", [1, 1, 1]);
    check(Precision::F32, [8192, 6144, 1536], "gemm_f32_128x128", [64 * 48, 1, 1]);
    check(Precision::F32, [9, 1100, 24], "gemm_f32_64x64", [18, 1, 1]);
    check(Precision::F32, [7, 5, 33], "gemm_f32_64x64_odd", [1, 1, 1]);
}

#[test]
fn cards_without_tensor_cores_for_bf16_take_small_tiles() {
    let turing = Card { capability: 75, multiprocessors: 40, shared_bytes: 64 << 10 };
    let gemm = product(&turing, Precision::Bf16, 8192, 6144, 1536);
    assert_eq!((gemm.kernel(), gemm.shared_bytes() <= turing.shared_bytes), ("gemm_bf16_64x64", true));
    let ampere = Card { capability: 86, multiprocessors: 40, shared_bytes: 99 << 10 };
    let gemm = product(&ampere, Precision::Bf16, 8192, 6144, 1536);
    assert_eq!((gemm.kernel(), gemm.shared_bytes() <= ampere.shared_bytes), ("gemm_bf16_128x256", true));
}

#[test]
fn all_of_k_is_in_a_part_and_no_part_is_empty() {
    for k in 1..6000 {
        let parts = splits(16, 64, k);
        let part = part(k, parts);
        assert!(
            part.is_multiple_of(PART_STEP) && part * parts >= k && part * (parts - 1) < k,
            "{k}: {parts} of {part}"
        );
    }
}

#[test]
fn parts_hang_on_the_shape_alone() {
    let small = Card { capability: 86, multiprocessors: 20, shared_bytes: 99 << 10 };
    for [rows, cols, k] in [[1, 64, 8192], [64, 768, 3072], [300, 2432, 2432]] {
        let [here, there] = [&CARD, &small].map(|card| product(card, Precision::Bf16, rows, cols, k).args);
        assert_eq!((here.splits, here.part), (there.splits, there.part), "{rows} x {cols} x {k}");
    }
}

#[test]
fn in_company_nothing_is_split() {
    for [rows, cols, k] in [[64, 64, 1536], [2, 1536, 2048], [7, 5, 3001]] {
        let (x, weight, out) = (mat(1 << 20, rows, k), mat(1 << 30, cols, k), mat(1 << 40, rows, cols));
        for precision in [Precision::F32, Precision::Bf16] {
            let made = |sums| Gemm::new(&CARD, precision, x, weight, &End::default(), out, sums).expect("it fits");
            let (whole, parts) = (made(Sums::Whole), made(Sums::Parts(1 << 50)));
            assert_eq!((whole.args.splits, whole.args.partial, whole.finish()), (1, 0, None), "{rows} x {cols} x {k}");
            assert!(whole.args.part >= k && parts.args.splits > 1, "{rows} x {cols} x {k}");
        }
    }
}

#[test]
fn what_does_not_fit_is_told() {
    let check = |x: Mat, weight: Mat, out: Mat, workspace: Address, expected: Option<&str>| {
        let made = Gemm::new(&CARD, Precision::Bf16, x, weight, &End::default(), out, Sums::Parts(workspace));
        let told = made.as_ref().err().map(|misfit| misfit.reason.as_str());
        match expected {
            None => assert_eq!(told, None),
            Some(part) => assert!(told.is_some_and(|told| told.contains(part)), "{told:?} does not say {part:?}"),
        }
    };
    let (x, weight, out) = (mat(64, 4, 2048), mat(1 << 20, 8, 2048), mat(1 << 30, 4, 8));
    check(x, weight, out, 1 << 40, None);
    check(x, weight, out, 0, Some("parts of k"));
    check(x, weight, out, 8, Some("parts of k"));
    check(x, mat(1 << 20, 8, 2040), out, 1 << 40, Some("does not give"));
    check(x, weight, mat(1 << 30, 4, 9), 1 << 40, Some("does not give"));
    check(x, weight, mat(1 << 30, 5, 8), 1 << 40, Some("does not give"));
    check(mat(65, 4, 2048), weight, out, 1 << 40, Some("the left side lies at 0x41"));
    check(mat(0, 4, 2048), weight, out, 1 << 40, Some("the left side lies at 0x0"));
    check(Mat { stride: 7, ..x }, weight, out, 1 << 40, Some("with 7 from row to row"));
    check(Mat { rows: 0, ..x }, weight, out, 1 << 40, Some("the left side is 0 x"));
}
