//! Vectors where all lies at them, and shapes that are refused.

use super::*;
use crate::launch::{Launch, Then};

fn mat(at: Address, rows: u32, cols: u32, stride: u32) -> Mat {
    Mat { at, rows, cols, stride, pad: 0 }
}

#[test]
fn vectors_are_moved_where_all_rows_lie_at_them() {
    let check = |mat: Mat, bf16: u32, f32: u32| {
        assert_eq!((wide(Precision::Bf16, &[mat]), wide(Precision::F32, &[mat])), (bf16, f32), "{mat:?}");
    };
    check(mat(256, 3, 64, 64), 1, 1);
    check(mat(264, 3, 64, 64), 0, 0);
    check(mat(256, 3, 60, 64), 0, 1);
    check(mat(256, 3, 64, 68), 0, 1);
    check(mat(256, 1, 64, 65), 1, 1);
    check(mat(256, 3, 63, 64), 0, 0);
    check(Mat::default(), 1, 1);
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let check = |outcome: Result<(), Misfit>, expected: &str| {
        let misfit = outcome.expect_err("it does not fit");
        assert!(misfit.to_string().contains(expected), "{misfit}");
    };
    let m = |rows, cols| mat(4096, rows, cols, cols);
    let f32 = Precision::F32;
    let shape = |groups| GroupShape { batch: 2, groups, eps: 1e-6, weight: 64, bias: 64, act: None };
    check(GroupNorm::new(f32, m(6, 30), m(6, 30), &shape(4), 64).map(drop), "6 x 30");
    check(GroupNorm::new(f32, m(7, 32), m(7, 32), &shape(4), 64).map(drop), "7 x 32");
    check(
        Combine::new(f32, m(6, 8), Then { kind: Then::ADD, that: m(4, 8), ..Then::default() }, m(6, 8)).map(drop),
        "4",
    );
    check(Upsample::new(f32, m(6, 8), [1, 2, 3], m(12, 8)).map(drop), "24 x 8");
    check(Upsample::new(f32, m(6, 8), [1 << 20, 1 << 20, 3], m(12, 8)).map(drop), "too many");
    check(Positions::new(f32, m(16, 8), 4, [5, 2], m(10, 8)).map(drop), "4 x 4");
    check(Unpatchify::new(f32, m(6, 8), [1, 2, 3], 2, m(24, 3)).map(drop), "6 x 12");
    check(RelativeBias::new(f32, m(3, 2), 4, 128, m(2, 16)).map(drop), "3 buckets");
    check(Rgba8::new(f32, m(6, 3), 66, 64).map(drop), "0x42");
    check(Rgba8::new(f32, m(6, 3), 64, 0).map(drop), "a word at 0x0");
    check(Rgba8::new(f32, m(6, 4), 64, 64).map(drop), "6 x 3");
    check(Embed::new(f32, m(6, 1), m(9, 8), None, m(6, 8), 0).map(drop), "fault");
}

#[test]
fn a_group_norm_says_what_it_needs() {
    let x = mat(4096, 2 * 70_000, 128, 128);
    let shape = GroupShape { batch: 2, groups: 32, eps: 1e-6, weight: 64, bias: 64, act: None };
    let norm = GroupNorm::new(Precision::Bf16, x, x, &shape, 1 << 20).expect("it fits");
    let args = norm.sums.args();
    assert_eq!((args.piece, args.pieces, norm.sums.grid()), (69, 1015, [1015, 1, 2]));
    let end = args.stats + 2 * 32 * 8;
    assert_eq!(end - args.sums, GroupNorm::workspace_bytes(2, 70_000, 128, 32));
}

#[test]
fn buckets_begin_where_the_reference_has_them() {
    let out = mat(4096, 3, 150 * 150, 150 * 150);
    let bias = RelativeBias::new(Precision::F32, mat(64, 32, 3, 3), 150, 128, out).expect("it fits");
    let args = bias.args();
    for away in 0..150 {
        let bucket = args.starts.iter().filter(|start| **start <= away).count() - 1;
        assert_eq!(bucket, thumbforge_diffusion::plain::bucket(0, away as usize, 32, 128), "{away}");
    }
}
