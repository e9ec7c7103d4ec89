//! Shapes that fit, and those that do not.

use super::*;

const PLACE: Address = 0x10000;

fn mat(rows: u32, cols: u32) -> Mat {
    Mat { at: PLACE, rows, cols, stride: cols, pad: 0 }
}

fn shape(batch: u32, heads: u32, head: u32) -> Shape {
    Shape { batch, heads, head, scale: 0.125, eps: 1e-6, mask: Mask::Full }
}

fn stream(rows: u32, cols: u32) -> Stream {
    Stream {
        query: Some((mat(rows, cols), mat(rows, cols))),
        key: mat(rows, cols),
        value: mat(rows, cols),
        ..Stream::default()
    }
}

fn kernel(precision: Precision, head: u32, shared_bytes_max: u32, mask: Mask) -> (&'static str, u32) {
    let shape = Shape { mask, ..shape(1, 1, head) };
    let attention = Attention::new(precision, &[stream(9, head)], &shape, PLACE, shared_bytes_max);
    let meet = attention.expect("it fits").meet;
    (meet.kernel(), meet.shared_bytes())
}

#[test]
fn the_kernel_follows_the_head_and_the_card() {
    let (ampere, turing) = (99 << 10, 64 << 10);
    let check = |head, most, mask, expected: &str| {
        let (name, shared) = kernel(Precision::Bf16, head, most, mask);
        assert_eq!(name, expected);
        assert!(shared <= most, "{name} takes {shared} bytes of {most}");
    };
    check(64, ampere, Mask::Full, "attention_64_full_bf16");
    check(8, turing, Mask::Causal, "attention_64_causal_bf16");
    check(33, turing, Mask::Bias(mat(1, 81)), "attention_64_bias_bf16");
    check(512, ampere, Mask::Full, "attention_wide_64_bf16");
    check(512, turing, Mask::Full, "attention_wide_16_bf16");
    check(65, turing, Mask::Causal, "attention_wide_64_bf16");
    for head in [1, 64, 65, 512] {
        assert!(kernel(Precision::F32, head, turing, Mask::Full).1 <= turing);
    }
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let check = |streams: &[Stream], shape: Shape, expected: &str| {
        let Err(misfit) = Attention::new(Precision::Bf16, streams, &shape, PLACE, 99 << 10) else {
            panic!("{shape:?} fits");
        };
        assert!(misfit.to_string().contains(expected), "{misfit}");
    };
    check(&[], shape(1, 1, 64), "0 streams");
    check(&[stream(7, 64)], shape(2, 1, 64), "7 rows of keys");
    check(&[stream(8, 64)], shape(2, 2, 64), "keys is 8 x 64");
    check(&[stream(8, 1024)], shape(1, 1, 1024), "heads of 1024");
    check(&[stream(8, 64)], Shape { scale: 0.0, ..shape(1, 1, 64) }, "times 0");
    check(&[stream(8, 64)], Shape { mask: Mask::Bias(mat(1, 63)), ..shape(1, 1, 64) }, "bias is 1 x 63");
    check(&[Stream { value: mat(6, 64), ..stream(8, 64) }], shape(1, 1, 64), "values is 6 x 64");
    check(&[Stream { value: Mat { at: 0, ..mat(8, 64) }, ..stream(8, 64) }], shape(1, 1, 64), "values");
}

#[test]
fn streams_follow_one_another() {
    let two = [stream(2 * 20, 192), Stream { query: None, ..stream(2 * 13, 192) }];
    let attention = Attention::new(Precision::F32, &two, &shape(2, 3, 64), PLACE, 99 << 10).expect("it fits");
    let args = attention.meet.args();
    assert_eq!((args.tokens, args.first), (33, [0, 20, 33, 33, 33]));
    assert_eq!(args.out.map(|out| out.at), [PLACE, 0, 0, 0]);
    assert_eq!(attention.packs.iter().map(|pack| pack.args().before).collect::<Vec<_>>(), [0, 20]);
    assert_eq!(args.packed[1] - args.packed[0], 2 * 3 * 33 * 64 * 4);
    assert_eq!(attention.meet.grid(), [1, 6, 1]);
}
