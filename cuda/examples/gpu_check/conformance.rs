//! Every operation beside the processor: the crate's own cases, and the shapes of the real models.

use std::time::Instant;

use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use thumbforge_diffusion::conformance::{Case, Difference, Tolerance, cases, cases_in_eights, differences};
use thumbforge_diffusion::cpu::Cpu;
use thumbforge_diffusion::device::Device;
use thumbforge_diffusion::dtype::{DType, Precision};
use thumbforge_diffusion::graph::{Act, Builder, Element, Geometry, Mask, NormKind, Tokens};
use thumbforge_diffusion::plain::Plain;

use crate::options::{Options, Outcome};
use crate::report;
use crate::subject::Subject;

/// What one way of multiplying came to.
#[derive(Debug, Serialize)]
struct Way {
    /// The library that multiplied, by its word; `None` for our kernels alone.
    #[serde(serialize_with = "told")]
    library: Option<String>,
    passed: u64,
    failed: u64,
    left_out: u64,
    #[serde(skip)]
    faults: Vec<Value>,
}

fn told<S: Serializer>(library: &Option<String>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(library.as_deref().unwrap_or("our kernels"))
}

impl Way {
    fn note(&mut self, name: &str, precision: Precision, outcome: Result<(), String>) {
        let Err(fault) = outcome else {
            self.passed += 1;
            return;
        };
        let library = self.library.as_deref().unwrap_or("our kernels");
        eprintln!("{name} in {} with {library}: {fault}", precision.word());
        self.failed += 1;
        self.faults.push(json!({ "name": name, "dtype": precision.word(), "library": library, "fault": fault }));
    }
}

/// Cases against plain loops, then shapes of real models against the fast processor: with our kernels alone, and in bf16
/// once more with the library where there is one. Singles are never the library's.
pub(crate) fn run<D: Device>(options: &Options, subject: &Subject<D>) -> Outcome<bool> {
    let processor = Cpu::new().map_err(|err| err.to_string())?;
    let began = Instant::now();
    let (mut ways, mut faults, mut eights) = (Vec::<Way>::new(), Vec::<Value>::new(), false);
    for (library, device) in subject.ways()? {
        eights |= device.keeps_eights();
        let precisions: &[Precision] =
            if library.is_some() { &[Precision::Bf16] } else { &[Precision::F32, Precision::Bf16] };
        // The library adds biases of bf16, one rounding more of numbers as large as the outcome's.
        let wider = if library.is_some() { 2.0 } else { 1.0 };
        let mut way = Way { library, passed: 0, failed: 0, left_out: 0, faults: Vec::new() };
        for precision in precisions.iter().copied() {
            let tolerance = Tolerance::of(precision);
            let mut beside_plain: Vec<(Case, Tolerance)> = Vec::new();
            beside_plain.extend(cases().into_iter().map(|case| (case, tolerance)));
            if precision == Precision::Bf16 && device.keeps_eights() {
                beside_plain.extend(cases_in_eights().into_iter().map(|case| (case, Tolerance::EIGHTS)));
                beside_plain.extend(wide_in_eights(options.tiny));
            }
            for (case, tolerance) in beside_plain {
                let far = differences(&Plain, &device, &case, precision);
                way.note(case.name, precision, within(far, times(tolerance, wider)));
            }
            for case in shapes(options.tiny) {
                if began.elapsed().as_secs() > options.seconds {
                    way.left_out += 1;
                    continue;
                }
                let far = differences(&processor, &device, &case, precision);
                // Both sides are within the tolerance of plain loops, so they are within twice of it of each other.
                way.note(case.name, precision, within(far, times(tolerance, 2.0 * wider)));
            }
        }
        println!("conformance: {way:?}");
        faults.append(&mut way.faults);
        ways.push(way);
    }
    let sum = |of: fn(&Way) -> u64| ways.iter().map(of).sum::<u64>();
    let about = json!({
        "passed": sum(|way| way.passed), "failed": faults.len(), "left_out": sum(|way| way.left_out), "faults": faults,
        "eights": eights, "ways": ways,
        "tolerances": "NMSE 1e-11 and 1e-5 of the largest in singles, 1e-5 and 1.5e-2 in bf16, 1e-4 and 3e-2 in eight bits \
            and more of them by the length of the real models' sums, see both conformance.rs; at the real models' other \
            shapes twice of it, for the processor is compared with; with the library twice of each",
    });
    report::write(options, "conformance", &about)?;
    Ok(faults.is_empty())
}

/// So many times as far. A mean square grows with the square.
fn times(tolerance: Tolerance, factor: f64) -> Tolerance {
    Tolerance { nmse: factor * factor * tolerance.nmse, largest: factor * tolerance.largest }
}

fn within(far: Result<Vec<Difference>, String>, tolerance: Tolerance) -> Result<(), String> {
    far.and_then(|far| far.iter().try_for_each(|far| far.within(tolerance)))
}

/// Perceptrons of the real models' widths. The fast processor keeps no eights, and plain loops take seconds for these.
fn wide_in_eights(tiny: bool) -> Vec<(Case, Tolerance)> {
    let widths = if tiny { [96, 152] } else { [1536, 2432] };
    let names = ["perceptron, Medium, in eight bits", "perceptron, Large, in eight bits"];
    let of = |(name, hidden): (&'static str, usize)| {
        let tokens = if tiny { 9 } else { 64 };
        (perceptron(name, 1, tokens, hidden).in_eights(), in_eights(4 * hidden))
    };
    names.into_iter().zip(widths).map(of).collect()
}

/// What sums of `k` products of e4m3 may differ by, for which [`Tolerance::EIGHTS`] has room up to 1300: a tensor core adds 32
/// of them at a time and keeps some 13 bits behind the point of what is largest so far. It cuts, always to the same side,
/// so the loss of each time adds up: 2⁻¹³ of the largest at most, half of it on average.
fn in_eights(k: usize) -> Tolerance {
    let (bf16, eights) = (Tolerance::of(Precision::Bf16), Tolerance::EIGHTS);
    let lost = k.div_ceil(32) as f64 / f64::from(1 << 13);
    Tolerance { nmse: eights.nmse + (lost / 2.0) * (lost / 2.0), largest: eights.largest.max(bf16.largest + lost) }
}

/// What a block of the transformer asks of its attention.
struct Joint {
    batch: usize,
    heads: usize,
    head: usize,
    /// Of the picture and of the text.
    tokens: [usize; 2],
}

/// Joint attention of normed streams.
fn joint(name: &'static str, of: Joint) -> Case {
    Case::new(name, DType::Bf16, move |b| {
        let streams = of.tokens.into_iter().enumerate().filter(|(_, tokens)| *tokens > 0).map(|(at, tokens)| {
            let qkv = b.input(&format!("qkv{at}"), of.batch * tokens, 3 * of.heads * of.head, Element::Act);
            let norm = |b: &mut Builder, side: &str| Some(b.param(&format!("{side}{at}"), &[of.head]));
            Tokens { query_norm: norm(b, "q"), key_norm: norm(b, "k"), ..Tokens::of(qkv) }
        });
        let streams: Vec<Tokens> = streams.collect();
        let scale = 1.0 / (of.head as f32).sqrt();
        for (at, y) in b.attention(&streams, of.batch, of.heads, scale, 1e-6, Mask::Full).into_iter().enumerate() {
            b.output(&format!("y{at}"), y);
        }
    })
}

/// A perceptron's two layers with what is fused to them: a norm that is modulated, an activation, a gate.
fn perceptron(name: &'static str, batch: usize, tokens: usize, hidden: usize) -> Case {
    Case::new(name, DType::Bf16, move |b| {
        let x = b.input("x", batch * tokens, hidden, Element::Act);
        let table = b.input("table", batch, 3 * hidden, Element::Act);
        let y = b.norm(x, NormKind::Layer, 1e-6);
        let y = b.modulate(y, table.chunk(0, 3), table.chunk(1, 3));
        let y = b.linear(y, "fc1", 4 * hidden, true);
        let y = b.activate(y, Act::GeluTanh);
        let y = b.linear(y, "fc2", hidden, true);
        let y = b.gated(x, table.chunk(2, 3), y);
        b.output("y", y);
    })
}

/// A residual block of the autoencoder, of so many channels over a square picture.
fn residual(name: &'static str, side: usize, from: usize, to: usize) -> Case {
    Case::new(name, DType::Bf16, move |b| {
        let x = b.input("x", side * side, from, Element::Act);
        let y = b.group_norm(x, "norm1", 1, 32, 1e-6);
        let y = b.activate(y, Act::Silu);
        let y = b.conv(y, "conv1", to, Geometry::same(1, side, side, 3));
        let y = b.group_norm(y, "norm2", 1, 32, 1e-6);
        let y = b.activate(y, Act::Silu);
        let y = b.conv(y, "conv2", to, Geometry::same(1, side, side, 3));
        let x = if from == to { x } else { b.linear(x, "shortcut", to, true) };
        let y = b.add(x, y);
        b.output("y", y);
    })
}

/// Names of the attentions of a batch of 1 to 8.
const BATCHES: [&str; 8] = [
    "joint attention, batch 1",
    "joint attention, batch 2",
    "joint attention, batch 3",
    "joint attention, batch 4",
    "joint attention, batch 5",
    "joint attention, batch 6",
    "joint attention, batch 7",
    "joint attention, batch 8",
];

/// Shapes of the real models, or the same of toys.
fn shapes(tiny: bool) -> Vec<Case> {
    // What is divided away in a toy: pixels of a side, heads, features.
    let pick = |real: usize, toy: usize| if tiny { toy } else { real };
    let mut cases = Vec::new();
    for (name, batch) in BATCHES.into_iter().zip(1..) {
        // Medium at 512 x 512, with 77 tokens of CLIP and 256 of T5.
        let tokens = [pick(1024, 24), pick(333, 13)];
        cases.push(joint(name, Joint { batch, heads: pick(24, 2), head: 64, tokens }));
    }
    let of = |batch, heads, tokens| Joint { batch, heads, head: 64, tokens };
    cases.push(joint("joint attention, Medium, 1024²", of(2, pick(24, 2), [pick(4096, 70), pick(333, 9)])));
    cases.push(joint("second attention, Medium, 1024²", of(2, pick(24, 2), [pick(4096, 70), 0])));
    cases.push(joint("joint attention, Large, 1024²", of(1, pick(38, 3), [pick(4096, 70), pick(333, 9)])));
    cases.push(perceptron("perceptron, Medium, 1024²", 2, pick(4096, 20), pick(1536, 96)));
    cases.push(perceptron("perceptron, Large, 512²", 2, pick(1024, 20), pick(2432, 152)));
    cases.push(perceptron("perceptron, the text's", 8, pick(333, 9), pick(1536, 96)));
    cases.push(residual("decoder, 512 channels, 128²", pick(128, 8), pick(512, 64), pick(512, 64)));
    cases.push(residual("decoder, 512 to 256 channels, 512²", pick(512, 12), pick(512, 64), pick(256, 32)));
    cases.push(residual("decoder, 128 channels, 1024²", pick(1024, 16), pick(128, 32), pick(128, 32)));
    let tokens = pick(16_384, 80);
    cases.push(Case::new("decoder, one head of 512 over 128²", DType::Bf16, move |b| {
        let qkv = b.input("qkv", tokens, 3 * 512, Element::Act);
        for y in b.attention(&[Tokens::of(qkv)], 1, 1, 1.0 / 512f32.sqrt(), 1e-6, Mask::Full) {
            b.output("y", y);
        }
    }));
    let (side, channels) = (pick(1024, 16), pick(128, 32));
    cases.push(Case::new("decoder, to pixels, 1024²", DType::Bf16, move |b| {
        let x = b.input("x", side * side, channels, Element::Act);
        let y = b.conv(x, "conv", 3, Geometry::same(1, side, side, 3));
        b.output("y", y);
    }));
    let (side, channels) = (pick(256, 6), pick(512, 32));
    cases.push(Case::new("decoder, enlarged to 512²", DType::Bf16, move |b| {
        let x = b.input("x", side * side, channels, Element::Act);
        let x = b.upsample(x, 1, side, side);
        let y = b.conv(x, "conv", channels, Geometry::same(1, 2 * side, 2 * side, 3));
        b.output("y", y);
    }));
    let (heads, tokens) = (pick(64, 3), pick(256, 40));
    cases.push(Case::new("T5, attention by distance", DType::Bf16, move |b| {
        let qkv = b.input("qkv", 2 * tokens, 3 * heads * 64, Element::Act);
        let bias = b.relative_bias("table", 32, heads, tokens, 128);
        for y in b.attention(&[Tokens::of(qkv)], 2, heads, 1.0, 1e-6, Mask::Bias(bias)) {
            b.output("y", y);
        }
    }));
    let heads = pick(20, 2);
    cases.push(Case::new("CLIP-G, causal attention", DType::Bf16, move |b| {
        let qkv = b.input("qkv", 2 * 77, 3 * heads * 64, Element::Act);
        for y in b.attention(&[Tokens::of(qkv)], 2, heads, 0.125, 1e-6, Mask::Causal) {
            b.output("y", y);
        }
    }));
    let (tokens, hidden, inner) = (pick(256, 11), pick(4096, 128), pick(10_240, 320));
    cases.push(Case::new("T5, gated layer", DType::Bf16, move |b| {
        let x = b.input("x", tokens, hidden, Element::Act);
        let y = b.norm_affine(x, NormKind::Rms, 1e-6, "norm");
        let gate = b.linear(y, "gate", inner, false);
        let gate = b.activate(gate, Act::GeluTanh);
        let up = b.linear(y, "up", inner, false);
        let y = b.times(gate, up);
        let y = b.linear(y, "out", hidden, false);
        let y = b.add(x, y);
        b.output("y", y);
    }));
    cases
}
