//! Cases that every device is held against [`crate::plain`] with: each operation on the shapes where loops go wrong.
//!
//! One row, odd sides, sums that fill no vector, batches, views of wider buffers, residuals that are written over, rows of
//! larger parameters. Numbers are seeded by the name of the case, so that devices on two machines see the same ones.

use std::sync::Arc;

use crate::device::{Bases, Device, Span};
use crate::dtype::{DType, Precision};
use crate::error::DiffusionError;
use crate::graph::{Act, Builder, Element, Geometry, Mask, NormKind, Tokens, View};
use crate::param::{LowRank, Param, Params, Tensor};
use crate::plain::Plain;
use crate::plan::{Program, aligned};
use crate::weights::write::encode;

/// What a case may differ from the plain device by.
#[derive(Debug, Clone, Copy)]
pub struct Tolerance {
    /// Mean square of the difference by the mean square of what is expected.
    pub nmse: f64,
    /// Largest difference by the largest number expected.
    pub largest: f64,
}

impl Tolerance {
    /// Of any device at `precision`.
    ///
    /// Singles: adding up k products in another order differs by about √k · 6e-8, so 1e-5 of the largest has room for the
    /// thousands that are added here. bf16: both sides round the same sums, which may fall to neighbours 2⁻⁸ apart, and
    /// the shares of an attention are rounded before their product, each by up to 2⁻⁹.
    pub const fn of(precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self { nmse: 1e-11, largest: 1e-5 },
            Precision::Bf16 => Self { nmse: 1e-5, largest: 1.5e-2 },
        }
    }

    /// Of products in eight bits.
    ///
    /// Both sides round the same numbers to the same eight bits, so what bf16 may differ by remains, and one thing more: tensor
    /// cores keep about 13 bits behind the point of the largest of 32 products and the sum so far, and cut the others. Over
    /// the 41 additions of the longest sums here that is at most 41 · 2⁻¹³ = 5e-3 of the largest sum, so twice bf16's largest
    /// difference has room for it; its mean square is far below, and ten times bf16's.
    pub const EIGHTS: Self = Self { nmse: 1e-4, largest: 3e-2 };
}

/// A case: a name and what it computes.
pub struct Case {
    /// What it is about.
    pub name: &'static str,
    build: Box<dyn Fn(&mut Builder)>,
    /// How its parameters are stored.
    dtype: DType,
    /// Rank of a LoRA that is added to every parameter of a product; 0 for none.
    rank: usize,
    /// Whether matrices are kept in eight bits.
    eights: bool,
}

impl Case {
    /// What `build` writes down, on parameters that are stored as `dtype`; those of one dimension always as singles.
    pub fn new(name: &'static str, dtype: DType, build: impl Fn(&mut Builder) + 'static) -> Self {
        Self { name, build: Box::new(build), dtype, rank: 0, eights: false }
    }

    /// The same with matrices of linear layers that are kept in eight bits.
    #[must_use]
    pub fn in_eights(self) -> Self {
        Self { eights: true, ..self }
    }

    /// Whether matrices are kept in eight bits.
    pub const fn keeps_eights(&self) -> bool {
        self.eights
    }

    /// What it may differ from the plain device by.
    pub const fn tolerance(&self, precision: Precision) -> Tolerance {
        if self.eights { Tolerance::EIGHTS } else { Tolerance::of(precision) }
    }
}

/// splitmix64 (Steele, Lea and Flood 2014), enough for test numbers.
struct Seeded(u64);

impl Seeded {
    fn of(text: &str) -> Self {
        Self(
            text.bytes()
                .fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3)),
        )
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// About normal: four numbers of -1 to 1, together of variance 4/3.
    fn number(&mut self) -> f32 {
        let bits = self.next();
        (0..4).map(|at| ((bits >> (16 * at)) & 0xFFFF) as f32 / 32768.0 - 1.0).sum()
    }
}

fn case(name: &'static str, build: impl Fn(&mut Builder) + 'static) -> Case {
    Case::new(name, DType::F32, build)
}

fn stored(name: &'static str, dtype: DType, build: impl Fn(&mut Builder) + 'static) -> Case {
    Case::new(name, dtype, build)
}

fn linear(rows: usize, k: usize, n: usize) -> impl Fn(&mut Builder) {
    move |b| {
        let x = b.input("x", rows, k, Element::Act);
        let y = b.linear(x, "fc", n, true);
        b.output("y", y);
    }
}

fn conv(geometry: Geometry, channels: usize, features: usize) -> impl Fn(&mut Builder) {
    move |b| {
        let x = b.input("x", geometry.batch * geometry.height * geometry.width, channels, Element::Act);
        let y = b.conv(x, "conv", features, geometry);
        b.output("y", y);
    }
}

/// Attention of streams of so many tokens for each picture, of which `asking` say who asks.
fn attention(
    batch: usize,
    heads: usize,
    head: usize,
    tokens: &'static [usize],
    asking: &'static [bool],
    normed: bool,
) -> impl Fn(&mut Builder) {
    move |b| {
        let streams: Vec<Tokens> = tokens
            .iter()
            .zip(asking)
            .enumerate()
            .map(|(at, (tokens, asks))| {
                let x = b.input(&format!("x{at}"), batch * tokens, heads * head, Element::Act);
                let qkv = b.linear(x, &format!("qkv{at}"), 3 * heads * head, true);
                let mut of = Tokens::of(qkv);
                if normed {
                    of.query_norm = Some(b.param(&format!("q{at}"), &[head]));
                    of.key_norm = Some(b.param(&format!("k{at}"), &[head]));
                }
                Tokens { query: of.query.filter(|_| *asks), ..of }
            })
            .collect();
        let scale = 1.0 / (head as f32).sqrt();
        for (at, y) in b.attention(&streams, batch, heads, scale, 1e-6, Mask::Full).into_iter().enumerate() {
            b.output(&format!("y{at}"), y);
        }
    }
}

fn masked(tokens: usize, mask: impl Fn(&mut Builder) -> Mask) -> impl Fn(&mut Builder) {
    masked_heads(tokens, 32, mask)
}

/// The same with heads of `head`.
fn masked_heads(tokens: usize, head: usize, mask: impl Fn(&mut Builder) -> Mask) -> impl Fn(&mut Builder) {
    move |b| {
        let qkv = b.input("qkv", 2 * tokens, 3 * 3 * head, Element::Act);
        let mask = mask(b);
        for y in b.attention(&[Tokens::of(qkv)], 2, 3, 0.2, 1e-6, mask) {
            b.output("y", y);
        }
    }
}

/// A view of a part of each row of a new input.
fn part(b: &mut Builder, name: &str, rows: usize, cols: usize) -> View {
    b.input(name, rows, cols + 24, Element::Act).columns(8, cols)
}

/// All cases.
pub fn cases() -> Vec<Case> {
    let same = Geometry::same;
    let mut cases = vec![
        case("linear: one row", linear(1, 64, 48)),
        case("linear: one number", linear(1, 1, 1)),
        case("linear: odd sides", linear(7, 33, 5)),
        case("linear: more rows than a tile, a column more than a panel", linear(29, 96, 33)),
        case("linear: k of several stretches", linear(17, 1537, 40)),
        case("linear: k of several stretches, even", linear(15, 1300, 16)),
        case("linear: rows of several chunks", linear(470, 40, 70)),
        case("linear: columns of several slabs", linear(9, 24, 1100)),
        case("linear: no bias, part of the rows and columns", |b| {
            let x = part(b, "x", 11, 40);
            let y = b.linear(x, "fc", 24, false);
            b.output("y", y);
        }),
        case("linear: some rows of the parameter into columns of a wide buffer", |b| {
            let x = b.input("x", 10, 32, Element::Act);
            let wide = b.wide(10, 60);
            b.linear_into(x, "fc", 80, 13..53, true, wide.columns(0, 40));
            b.linear_into(x, "fc", 80, 60..80, true, wide.columns(40, 20));
            b.output("y", wide);
        }),
        case("linear: a residual written over", |b| {
            let x = b.input("x", 19, 48, Element::Act);
            let mut y = b.linear(x, "in", 48, true);
            for at in 0..3 {
                let inner = b.norm(y, NormKind::Layer, 1e-6);
                let inner = b.linear(inner, &format!("{at}.a"), 96, true);
                let inner = b.activate(inner, Act::GeluTanh);
                let inner = b.linear(inner, &format!("{at}.b"), 48, true);
                y = b.add(y, inner);
            }
            b.output("y", y);
        }),
        case("linear: fewer rows added, in turn", |b| {
            let x = b.input("x", 12, 16, Element::Act);
            let few = b.input("few", 4, 24, Element::Act);
            let y = b.linear(x, "fc", 24, true);
            let y = b.add(few, y);
            b.output("y", y);
        }),
        case("linear: gated for each picture", |b| {
            let x = b.input("x", 15, 16, Element::Act);
            let residual = b.input("residual", 15, 40, Element::Act);
            let gate = part(b, "gate", 3, 40);
            let y = b.linear(x, "fc", 40, true);
            let y = b.gated(residual, gate, y);
            b.output("y", y);
        }),
        case("linear: two multiplied", |b| {
            let x = b.input("x", 9, 32, Element::Act);
            let gate = b.linear(x, "gate", 72, false);
            let gate = b.activate(gate, Act::GeluTanh);
            let up = b.linear(x, "up", 72, false);
            let y = b.times(gate, up);
            b.output("y", y);
        }),
        case("conv: 3 x 3 over a batch of odd pictures", conv(same(2, 5, 7, 3), 16, 24)),
        case("conv: channels that fill no vector", conv(same(1, 6, 5, 3), 3, 40)),
        case("conv: many channels, few features", conv(same(1, 9, 9, 3), 200, 3)),
        case("conv: as many features as a large tile", conv(same(1, 15, 17, 3), 8, 128)),
        case("conv: 1 x 1", conv(same(2, 4, 4, 1), 40, 20)),
        case("conv: one pixel", conv(same(1, 1, 1, 3), 8, 8)),
        case(
            "conv: stride 2 with zeros behind only",
            conv(Geometry { stride: 2, before: 0, after: 1, ..same(2, 8, 6, 3) }, 32, 16),
        ),
        case("conv: patches", conv(Geometry { stride: 2, before: 0, after: 0, ..same(2, 6, 8, 2) }, 16, 48)),
        case("conv: over an enlarged picture", |b| {
            let x = b.input("x", 2 * 5 * 4, 24, Element::Act);
            let x = b.upsample(x, 2, 5, 4);
            let y = b.conv(x, "conv", 24, Geometry::same(2, 10, 8, 3));
            b.output("y", y);
        }),
        case("conv: a residual written over", |b| {
            let x = b.input("x", 48, 32, Element::Act);
            let y = b.conv(x, "in", 32, Geometry::same(1, 6, 8, 3));
            let inner = b.group_norm(y, "norm", 1, 8, 1e-6);
            let inner = b.activate(inner, Act::Silu);
            let inner = b.conv(inner, "out", 32, Geometry::same(1, 6, 8, 3));
            let y = b.add(y, inner);
            b.output("y", y);
        }),
        case("conv: patches with positions added in turn", |b| {
            let x = b.input("x", 2 * 6 * 4, 16, Element::Act);
            let y = b.conv(x, "conv", 40, Geometry { stride: 2, before: 0, after: 0, ..Geometry::same(2, 6, 4, 2) });
            let positions = b.positions("positions", 5, 40, 3, 2);
            let y = b.add(positions, y);
            b.output("y", y);
        }),
        case("norm: layer with parameters", |b| {
            let x = part(b, "x", 5, 300);
            let y = b.norm_affine(x, NormKind::Layer, 1e-5, "norm");
            b.output("y", y);
        }),
        case("norm: whole vectors with parameters", |b| {
            let x = part(b, "x", 5, 304);
            let y = b.norm_affine(x, NormKind::Layer, 1e-5, "norm");
            b.output("y", y);
        }),
        case("norm: root mean square with a weight", |b| {
            let x = b.input("x", 3, 77, Element::Act);
            let y = b.norm_affine(x, NormKind::Rms, 1e-6, "norm");
            b.output("y", y);
        }),
        case("norm: rows of thousands", |b| {
            let x = b.input("x", 3, 4500, Element::Act);
            let y = b.norm_affine(x, NormKind::Layer, 1e-5, "norm");
            b.output("y", y);
            let z = b.input("z", 2, 4352, Element::Act);
            let z = b.norm_affine(z, NormKind::Rms, 1e-6, "rms");
            b.output("w", z);
        }),
        case("norm: modulated twice for each picture", |b| {
            let x = b.input("x", 12, 272, Element::Act);
            let table = b.input("table", 3, 4 * 272, Element::Act);
            let normed = b.norm(x, NormKind::Layer, 1e-6);
            for (at, name) in ["y", "z"].into_iter().enumerate() {
                let y = b.modulate(normed, table.chunk(2 * at, 4), table.chunk(2 * at + 1, 4));
                b.output(name, y);
            }
        }),
        case("norm: a mean far from zero", |b| {
            let x = b.input("x", 4, 64, Element::Act);
            let far = b.input("far", 1, 64, Element::Act);
            let hundreds = b.linear(far, "far", 64, true);
            let hundreds = b.times(hundreds, hundreds);
            let x = b.add(hundreds, x);
            let y = b.norm(x, NormKind::Layer, 1e-6);
            b.output("y", y);
        }),
        case("modulate alone", |b| {
            let x = b.input("x", 6, 40, Element::Act);
            let table = b.input("table", 2, 80, Element::Act);
            let y = b.modulate(x, table.chunk(0, 2), table.chunk(1, 2));
            b.output("y", y);
        }),
        case("group norm: a batch, groups of one vector and less", |b| {
            let x = b.input("x", 2 * 35, 96, Element::Act);
            let y = b.group_norm(x, "norm", 2, 32, 1e-6);
            let y = b.activate(y, Act::Silu);
            b.output("y", y);
        }),
        case("group norm: one pixel", |b| {
            let x = b.input("x", 1, 8, Element::Act);
            let y = b.group_norm(x, "norm", 1, 2, 1e-6);
            b.output("y", y);
        }),
        case("group norm: few groups of many channels", |b| {
            let x = b.input("x", 2 * 70, 192, Element::Act);
            let y = b.group_norm(x, "norm", 2, 2, 1e-6);
            b.output("y", y);
        }),
        case("group norm: more channels than a piece", |b| {
            let x = b.input("x", 130, 320, Element::Act);
            let y = b.group_norm(x, "norm", 1, 32, 1e-6);
            b.output("y", y);
        }),
        case("group norm: pieces of a picture, groups over tiles of channels", |b| {
            let x = b.input("x", 2 * 150, 300, Element::Act);
            let y = b.group_norm(x, "norm", 2, 30, 1e-6);
            b.output("y", y);
        }),
        case("group norm: a mean far from zero", |b| {
            let x = b.input("x", 140, 64, Element::Act);
            let far = b.input("far", 1, 64, Element::Act);
            let hundreds = b.linear(far, "far", 64, true);
            let hundreds = b.times(hundreds, hundreds);
            let x = b.add(hundreds, x);
            let y = b.group_norm(x, "norm", 1, 8, 1e-6);
            b.output("y", y);
        }),
        case("combine: gated, added and multiplied", |b| {
            let x = b.input("x", 6, 300, Element::Act);
            let y = b.input("y0", 6, 300, Element::Act);
            let gate = b.input("gate", 2, 300, Element::Act);
            let few = b.input("few", 3, 300, Element::Act);
            let y = b.gated(x, gate, y);
            let y = b.add(few, y);
            let y = b.times(x, y);
            b.output("y", y);
        }),
        case("combine: whole vectors, gated and multiplied", |b| {
            let x = b.input("x", 6, 304, Element::Act);
            let y = b.input("y0", 6, 304, Element::Act);
            let gate = b.input("gate", 2, 304, Element::Act);
            let y = b.gated(x, gate, y);
            let y = b.times(x, y);
            b.output("y", y);
        }),
        case("upsample", |b| {
            let x = b.input("x", 2 * 3 * 5, 9, Element::Act);
            let y = b.upsample(x, 2, 3, 5);
            b.output("y", y);
        }),
        case("unpatchify", |b| {
            let x = b.input("x", 2 * 3 * 5, 2 * 2 * 7, Element::Act);
            let y = b.unpatchify(x, 2, 3, 5, 2);
            b.output("y", y);
        }),
        case("positions: the middle of a table", |b| {
            let y = b.positions("table", 9, 24, 4, 7);
            b.output("y", y);
        }),
        case("embed: with positions", |b| {
            let ids = b.input("ids", 2 * 6, 1, Element::U32);
            let positions = b.param("positions", &[6, 20]);
            let y = b.embed(ids, "table", 50, 20, Some(positions));
            b.output("y", y);
        }),
        case("embed: alone", |b| {
            let ids = b.input("ids", 5, 1, Element::U32);
            let y = b.embed(ids, "table", 50, 33, None);
            b.output("y", y);
        }),
        case("timestep", |b| {
            let t = b.input("t", 3, 1, Element::F32);
            let y = b.timestep(t, 64);
            b.output("y", y);
        }),
        case("relative bias", |b| {
            let y = b.relative_bias("table", 32, 3, 150, 128);
            b.output("y", y);
        }),
        case("attention: one token", attention(1, 1, 8, &[1], &[true], false)),
        case("attention: one stream, a batch", attention(3, 2, 64, &[37], &[true], false)),
        case("attention: more keys than a block", attention(1, 2, 64, &[600], &[true], true)),
        case("attention: two streams, normed", attention(2, 3, 64, &[20, 13], &[true, true], true)),
        case("attention: a stream that does not ask", attention(2, 2, 64, &[40, 29], &[true, false], true)),
        case("attention: the first stream does not ask", attention(1, 2, 32, &[33, 18], &[false, true], false)),
        case("attention: heads of a number that fills no vector", attention(2, 2, 20, &[19, 5], &[true, true], true)),
        case("attention: one head of 512", attention(1, 1, 512, &[290], &[true], false)),
        case("attention: causal", masked(77, |_| Mask::Causal)),
        case("attention: causal over blocks", masked(300, |_| Mask::Causal)),
        case(
            "attention: with scores by distance",
            masked(70, |b| Mask::Bias(b.relative_bias("table", 32, 3, 70, 128))),
        ),
        case("attention: with scores by distance over blocks", {
            masked(270, |b| Mask::Bias(b.relative_bias("table", 32, 3, 270, 128)))
        }),
        case("attention: causal, wide heads", masked_heads(90, 80, |_| Mask::Causal)),
        case("attention: with scores by distance, wide heads that fill no vector", {
            masked_heads(40, 99, |b| Mask::Bias(b.relative_bias("table", 32, 3, 40, 128)))
        }),
        case("attention: two streams, wide heads", attention(2, 2, 160, &[70, 9], &[true, true], true)),
        case(
            "attention: wide heads of a stream that does not ask",
            attention(1, 1, 300, &[80, 65], &[false, true], false),
        ),
        stored("linear: bf16 parameters", DType::Bf16, linear(20, 160, 70)),
        stored("linear: bf16 parameters, odd k", DType::Bf16, linear(20, 161, 70)),
        stored("conv: bf16 parameters", DType::Bf16, conv(same(1, 8, 8, 3), 32, 33)),
        stored("conv: f16 parameters", DType::F16, conv(same(1, 8, 8, 3), 32, 33)),
        stored("linear: f16 parameters", DType::F16, linear(20, 161, 70)),
        stored("linear: fp8 parameters", DType::F8E4M3, linear(20, 161, 70)),
        stored("linear: blocks of q8_0", DType::Q8_0, linear(20, 160, 70)),
        stored("linear: blocks of q4_0", DType::Q4_0, linear(20, 160, 70)),
        stored("linear: blocks of q5_1", DType::Q5_1, linear(20, 160, 70)),
        stored("linear: blocks of q4_k", DType::Q4K, linear(20, 512, 70)),
        stored("linear: blocks of q6_k", DType::Q6K, linear(20, 512, 70)),
        Case { rank: 5, ..case("linear: with a LoRA", linear(20, 161, 70)) },
        Case { rank: 5, ..stored("linear: blocks of q8_0 with a LoRA", DType::Q8_0, linear(300, 160, 70)) },
    ];
    for (name, act) in [
        ("activate: silu", Act::Silu),
        ("activate: gelu", Act::Gelu),
        ("activate: gelu by tanh", Act::GeluTanh),
        ("activate: quick gelu", Act::QuickGelu),
    ] {
        cases.push(case(name, move |b| {
            let x = part(b, "x", 7, 270);
            let y = b.activate(x, act);
            let z = b.linear(y, "fc", 30, true);
            let z = b.activate(z, act);
            b.output("y", y);
            b.output("z", z);
        }));
    }
    cases
}

/// Linear layers in eight bits, for devices that [can](Device::keeps_eights): sides that fill no tile and no sixteen, every
/// end, parts of parameters, rows of zeros and rows with one number far above the others.
pub fn cases_in_eights() -> Vec<Case> {
    let eights = |name, build: Box<dyn Fn(&mut Builder)>| Case { build, ..case(name, |_| {}) }.in_eights();
    let cases: [(&'static str, Box<dyn Fn(&mut Builder)>); 13] = [
        ("eights: one row", Box::new(linear(1, 64, 48))),
        ("eights: one number", Box::new(linear(1, 1, 1))),
        ("eights: odd sides", Box::new(linear(7, 33, 5))),
        ("eights: more rows than a tile, k of no sixteen", Box::new(linear(150, 72, 133))),
        ("eights: k of several stretches", Box::new(linear(17, 1300, 40))),
        ("eights: a large tile", Box::new(linear(130, 256, 144))),
        (
            "eights: no bias, part of the rows and columns",
            Box::new(|b| {
                let x = part(b, "x", 11, 40);
                let y = b.linear(x, "fc", 24, false);
                b.output("y", y);
            }),
        ),
        (
            "eights: some rows of the parameter into columns of a wide buffer",
            Box::new(|b| {
                let x = b.input("x", 10, 40, Element::Act);
                let wide = b.wide(10, 60);
                b.linear_into(x, "fc", 80, 13..53, true, wide.columns(0, 40));
                b.linear_into(x, "fc", 80, 60..80, true, wide.columns(40, 20));
                b.output("y", wide);
            }),
        ),
        (
            "eights: bent and added",
            Box::new(|b| {
                let (x, few) = (b.input("x", 12, 48, Element::Act), b.input("few", 4, 24, Element::Act));
                let y = b.linear(x, "fc", 24, true);
                let y = b.activate(y, Act::GeluTanh);
                let y = b.add(few, y);
                b.output("y", y);
            }),
        ),
        (
            "eights: gated for each picture",
            Box::new(|b| {
                let (x, residual) = (b.input("x", 15, 16, Element::Act), b.input("residual", 15, 40, Element::Act));
                let gate = part(b, "gate", 3, 40);
                let y = b.linear(x, "fc", 40, true);
                let y = b.gated(residual, gate, y);
                b.output("y", y);
            }),
        ),
        (
            "eights: a perceptron beside a layer of bf16",
            Box::new(|b| {
                let x = b.input("x", 19, 48, Element::Act);
                let inner = b.linear(x, "a", 96, true);
                let inner = b.activate(inner, Act::Silu);
                let gate = b.linear(x, "plain", 96, false);
                let inner = b.times(gate, inner);
                b.output("y", inner);
            }),
        ),
        // A product with zeros is zeros, and what a row of zeros is divided by is 0.
        (
            "eights: rows of zeros",
            Box::new(|b| {
                let x = b.input("x", 9, 40, Element::Act);
                let zeros = b.linear(x, "zero", 40, false);
                let y = b.linear(zeros, "fc", 24, true);
                b.output("zeros", zeros);
                b.output("y", y);
            }),
        ),
        // Against the row's largest number, which is its first, the others have few bits left.
        (
            "eights: rows with an outlier",
            Box::new(|b| {
                let (x, wide) = (b.input("x", 9, 47, Element::Act), b.wide(9, 48));
                b.linear_into(x, "far", 1, 0..1, false, wide.columns(0, 1));
                b.linear_into(x, "plain", 47, 0..47, false, wide.columns(1, 47));
                let y = b.linear(wide, "fc", 24, true);
                b.output("y", y);
            }),
        ),
    ];
    let mut cases: Vec<Case> = cases.into_iter().map(|(name, build)| eights(name, build)).collect();
    // What files have makes no difference to how it is kept.
    for (name, dtype) in
        [("eights: of bf16", DType::Bf16), ("eights: of e4m3", DType::F8E4M3), ("eights: of q8_0", DType::Q8_0)]
    {
        cases.push(stored(name, dtype, linear(20, 160, 70)).in_eights());
    }
    cases.push(Case { rank: 5, ..case("eights: with a LoRA", linear(20, 161, 70)).in_eights() });
    cases
}

/// Which parameters of a case are kept in eight bits, where any are: all matrices but those of layers called "plain".
fn kept_in_eights(name: &str) -> bool {
    name.ends_with(".weight") && !name.starts_with("plain")
}

/// Parameters for all that `program` reads, as numbers that keep sums near one.
fn params(program: &Program, case: &Case, seeded: &mut Seeded) -> Params {
    let mut params = Params::default();
    for wanted in &program.weights {
        if params.has(&wanted.name) {
            continue;
        }
        let product = wanted.shape.len() > 1;
        let scale = if product { 1.0 / (wanted.row_len() as f32).sqrt() } else { 1.0 };
        let scale = match wanted.name.as_str() {
            "zero.weight" => 0.0,
            "far.weight" => 300.0 * scale,
            _ => scale,
        };
        let count: usize = wanted.shape.iter().product();
        let numbers: Vec<f32> = (0..count).map(|_| seeded.number() * scale).collect();
        // Vectors are stored as singles in files of blocks.
        let dtype = if product { case.dtype } else { DType::F32 };
        let bytes = encode(dtype, &numbers).unwrap_or_else(|| blocks(dtype, count, seeded));
        let range = 0..bytes.len();
        let Some(tensor) = Tensor::new(dtype, wanted.shape.clone(), Arc::new(bytes), range) else { continue };
        let mut param = Param::whole(tensor);
        if product && case.rank > 0 {
            let mut of = |rows: usize, cols: usize| {
                let numbers: Vec<f32> = (0..rows * cols).map(|_| seeded.number() * 0.1).collect();
                Tensor::of_f32(vec![rows, cols], &numbers)
            };
            // Of some rows, as that of one third of q, k and v is.
            let rows = param.rows() / 3..param.rows() - 1;
            let (down, up) = (of(case.rank, wanted.row_len()), of(rows.len(), case.rank));
            param.adapters.push(LowRank { down, up, scale: 0.7, rows });
        }
        params.0.insert(wanted.name.clone(), param);
    }
    if case.eights { params.in_eights(&kept_in_eights) } else { params }
}

/// Blocks of any bits whose scales, of halves at the places that formats have them, are a few thousandths.
fn blocks(dtype: DType, count: usize, seeded: &mut Seeded) -> Vec<u8> {
    let scales: &[usize] = match dtype {
        DType::Q4_1 | DType::Q5_1 | DType::Q4K | DType::Q5K => &[0, 2],
        DType::Q6K => &[208],
        _ => &[0],
    };
    let mut bytes: Vec<u8> = (0..dtype.bytes(count).unwrap_or(0)).map(|_| seeded.next() as u8).collect();
    for block in bytes.chunks_exact_mut(dtype.block_bytes()) {
        for at in scales {
            // 2⁻⁹ to 2⁻⁸ as a half; the k formats multiply it with another 6 or 8 bits.
            let small = if dtype.block_len() == 256 { 0x0800 } else { 0x1800 };
            block[*at..at + 2].copy_from_slice(&(small | (seeded.next() as u16 & 0x03FF)).to_le_bytes());
        }
    }
    bytes
}

/// Numbers of a kept buffer by its name.
type Named = (String, Vec<f32>);

/// What a case gave: every kept buffer by name.
pub type Outcome = Vec<Named>;

/// Runs `case` on `device`, with every input number passed through `change`.
///
/// # Errors
/// Those of the device.
pub fn outcome<D: Device>(
    device: &D,
    case: &Case,
    precision: Precision,
    change: impl Fn(usize, f32) -> f32,
) -> Result<Outcome, DiffusionError> {
    let mut builder = Builder::new();
    (case.build)(&mut builder);
    let mut graph = builder.finish();
    if case.eights {
        graph.in_eights(&kept_in_eights);
    }
    let program = Program::new(graph, precision);
    let mut seeded = Seeded::of(case.name);
    let model = device.load(&params(&program, case, &mut seeded), precision)?;
    // Scratch behind the kept buffers, and a little before all, so that an offset left out is found.
    let mut end = 128;
    let mut kept = Vec::new();
    for buffer in &program.kept {
        kept.push(end);
        end += buffer.bytes;
    }
    let mut memory = device.reserve(end + aligned(program.scratch_bytes))?;
    let spans: Vec<Span> = program
        .kept
        .iter()
        .zip(&kept)
        .map(|(buffer, offset)| Span {
            offset: *offset,
            len: buffer.rows * buffer.cols,
            element: buffer.element,
            precision,
        })
        .collect();
    for (buffer, span) in program.kept.iter().zip(&spans) {
        match buffer.element {
            Element::U32 => {
                let ids: Vec<u32> = (0..span.len).map(|_| (seeded.next() % 50) as u32).collect();
                device.write_ids(&mut memory, *span, &ids)?;
            }
            element => {
                // Singles are times here.
                let scale = if element == Element::F32 { 300.0 } else { 1.0 };
                let number = |at| change(at, if scale > 1.0 { scale * seeded.number().abs() } else { seeded.number() });
                let numbers: Vec<f32> = (0..span.len).map(number).collect();
                device.write(&mut memory, *span, &numbers)?;
            }
        }
    }
    device.run(&program, &model, &mut memory, Bases { scratch: end, kept: &kept }, &|| false)?;
    let mut outcome = Vec::new();
    for (buffer, span) in program.kept.iter().zip(&spans) {
        if buffer.element != Element::U32 {
            let mut numbers = vec![0.0; span.len];
            device.read(&memory, *span, &mut numbers)?;
            outcome.push((buffer.name.clone(), numbers));
        }
    }
    Ok(outcome)
}

/// Holds `device` against the plain one in every case at `precision`, and says which ones differ and by how much. A device
/// that says that it keeps eights is held to that too, so there are more cases of it.
///
/// # Errors
/// A line for each case that differs by more than its tolerance or fails.
pub fn check<D: Device>(device: &D, precision: Precision) -> Result<usize, String> {
    let mut cases = cases();
    if device.keeps_eights() && precision == Precision::Bf16 {
        cases.extend(cases_in_eights());
    }
    let faults: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            let fault = compare(device, case, precision).err()?;
            Some(format!("{} in {}: {fault}", case.name, precision.word()))
        })
        .collect();
    if faults.is_empty() { Ok(cases.len()) } else { Err(faults.join("\n")) }
}

fn compare<D: Device>(device: &D, case: &Case, precision: Precision) -> Result<(), String> {
    for far in differences(&Plain, device, case, precision)? {
        far.within(case.tolerance(precision))?;
    }
    Ok(())
}

/// How far two devices are apart in one outcome of a case.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Of the outcome.
    pub name: String,
    /// Mean square of the difference by the mean square of what is expected.
    pub nmse: f64,
    /// The largest difference.
    pub largest: f64,
    /// The largest number expected.
    pub scale: f64,
}

impl Difference {
    /// Fails with a sentence unless it is within `tolerance`. Written so that NaN fails.
    ///
    /// # Errors
    /// The sentence.
    pub fn within(&self, tolerance: Tolerance) -> Result<(), String> {
        let Self { name, nmse, largest, scale } = self;
        let close = *nmse <= tolerance.nmse && *largest <= tolerance.largest * scale;
        if close {
            Ok(())
        } else {
            Err(format!("{name} differs by NMSE {nmse:.2e}, at most {largest:.2e} of {scale:.2e}"))
        }
    }
}

/// How far `device` is from `reference` in every outcome of `case`.
///
/// # Errors
/// Those of the devices, as a sentence.
pub fn differences<R: Device, D: Device>(
    reference: &R,
    device: &D,
    case: &Case,
    precision: Precision,
) -> Result<Vec<Difference>, String> {
    let of = |outcome: Result<Outcome, DiffusionError>| outcome.map_err(|err| format!("failed to {err}"));
    let expected = of(outcome(reference, case, precision, |_, x| x))?;
    let given = of(outcome(device, case, precision, |_, x| x))?;
    let one = |(name, expected): &Named, given: &[f32]| {
        let (mut error, mut power, mut largest, mut scale) = (0.0, 0.0, 0.0f64, 0.0f64);
        for (expected, given) in expected.iter().zip(given) {
            let (expected, given) = (f64::from(*expected), f64::from(*given));
            error += (expected - given).powi(2);
            power += expected.powi(2);
            let apart = (expected - given).abs();
            // A maximum would drop NaN, and so would any number after it.
            largest = if largest.is_nan() || apart <= largest { largest } else { apart };
            scale = scale.max(expected.abs());
        }
        // Nothing is expected and nothing was given: no difference.
        let nmse = if error == 0.0 { 0.0 } else { error / power };
        Difference { name: name.clone(), nmse, largest, scale }
    };
    Ok(expected.iter().zip(&given).map(|(expected, (_, given))| one(expected, given)).collect())
}
