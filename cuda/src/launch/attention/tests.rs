//! Shapes that fit, and those that do not.

use super::*;
use crate::launch::Launch;

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

fn card(capability: u32) -> Card {
    Card { capability, multiprocessors: 40, shared_bytes: if capability < 80 { 64 << 10 } else { 99 << 10 } }
}

#[test]
fn the_kernel_follows_the_head_and_the_card() {
    let check = |capability, precision, head, mask, expected: &str| {
        let (card, shape) = (card(capability), Shape { mask, ..shape(1, 1, head) });
        let attention = Attention::new(&card, precision, &[stream(9, head)], &shape, PLACE).expect("it fits");
        assert_eq!(attention.meet.kernel(), expected);
        let shared = attention.meet.shared_bytes();
        assert!(shared <= card.shared_bytes, "{expected} takes {shared} bytes of {}", card.shared_bytes);
    };
    let (bf16, f32) = (Precision::Bf16, Precision::F32);
    check(80, bf16, 64, Mask::Full, "attention_64_joint_bf16");
    check(80, bf16, 40, Mask::Full, "attention_64_full_bf16");
    check(86, bf16, 8, Mask::Causal, "attention_64_causal_bf16");
    check(120, bf16, 33, Mask::Bias(mat(1, 81)), "attention_64_bias_bf16");
    check(86, bf16, 512, Mask::Full, "attention_wide_bf16");
    check(90, bf16, 65, Mask::Causal, "attention_wide_bf16");
    check(75, bf16, 64, Mask::Full, "attention_64_any_bf16");
    check(75, bf16, 512, Mask::Full, "attention_512_any_bf16");
    check(75, f32, 1, Mask::Full, "attention_64_f32");
    check(90, f32, 65, Mask::Causal, "attention_512_f32");
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let check = |streams: &[Stream], shape: Shape, expected: &str| {
        let Err(misfit) = Attention::new(&card(90), Precision::Bf16, streams, &shape, PLACE) else {
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
    let attention = Attention::new(&card(90), Precision::F32, &two, &shape(2, 3, 64), PLACE).expect("it fits");
    let args = attention.meet.args();
    assert_eq!((args.tokens, args.first), (33, [0, 20, 33, 33, 33]));
    assert_eq!(args.out.map(|out| out.at), [PLACE, 0, 0, 0]);
    assert_eq!(attention.pack.args().first, args.first);
    assert_eq!(attention.pack.grid(), [(2 * 20 * 3u32).div_ceil(16), 3, 2]);
    assert_eq!(args.packed[1] - args.packed[0], 2 * 3 * 33 * 64 * 4);
    assert_eq!(attention.meet.grid(), [1, 6, 1]);
}

#[test]
fn what_is_packed_fills_the_workspace() {
    let check = |precision, batch: u32, heads: u32, head: u32, tokens: u32| {
        let mut b = graph::Builder::new();
        let x = b.input("x", (batch * tokens) as usize, (3 * heads * head) as usize, graph::Element::Act);
        let (batch_of, heads_of) = (batch as usize, heads as usize);
        b.attention(&[graph::Tokens::of(x)], batch_of, heads_of, 1.0, 1e-6, graph::Mask::Full);
        let built = b.finish();
        let Some(graph::Op::Attention(op)) = built.ops.last() else { panic!("it was written down") };
        let streams = [stream(batch * tokens, heads * head)];
        let made = Attention::new(&card(90), precision, &streams, &shape(batch, heads, head), PLACE).expect("it fits");
        let args = made.meet.args();
        let each = u64::from(batch * heads * tokens * args.padded) * precision.bytes() as u64;
        let ends = args.packed.map(|at| at + each - PLACE);
        assert_eq!(ends[2], Attention::workspace_bytes(op, precision));
        assert_eq!((ends[0], ends[1]), (args.packed[1] - PLACE, args.packed[2] - PLACE));
    };
    check(Precision::Bf16, 2, 3, 64, 33);
    check(Precision::Bf16, 1, 1, 512, 7);
    check(Precision::F32, 3, 2, 20, 1);
}

#[test]
fn what_is_read_where_it_lies_is_not_packed() {
    let check = |stream: Stream, expected: (&str, u32)| {
        let attention =
            Attention::new(&card(90), Precision::Bf16, &[stream], &shape(1, 2, 64), PLACE).expect("it fits");
        assert_eq!((attention.meet.kernel(), attention.pack.grid()[1]), expected);
    };
    let aligned = stream(9, 128);
    check(aligned, ("attention_64_joint_bf16", 1));
    check(Stream { query: None, ..aligned }, ("attention_64_joint_bf16", 1));
    check(Stream { value: Mat { at: PLACE + 2, ..aligned.value }, ..aligned }, ("attention_64_full_bf16", 3));
    check(Stream { value: Mat { stride: 129, ..aligned.value }, ..aligned }, ("attention_64_full_bf16", 3));
    check(Stream { query_norm: 4, ..aligned }, ("attention_64_full_bf16", 3));
}
