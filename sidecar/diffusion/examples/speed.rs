//! How fast the processor is at the operations of SD3.5 Medium and its decoder, at their real shapes.
//!
//! ```text
//! cargo run --release -p thumbforge-diffusion --example speed -- [f32|bf16] [forward|decode] [threads] [runs]
//! ```
//! Weights are random. Figures are CPU-seconds of this process, the least of several runs, by kind of operation.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use thumbforge_diffusion::cpu::{Cpu, Kernels};
use thumbforge_diffusion::device::{Bases, Device};
use thumbforge_diffusion::dtype::{DType, Precision, f32_to_bf16};
use thumbforge_diffusion::graph::{Act, Builder, Element, Geometry, Graph, Mask, NormKind, Op, Tokens, View};
use thumbforge_diffusion::param::{Param, Params, Tensor};
use thumbforge_diffusion::plan::{Program, aligned};

/// Tokens of a picture of 512 × 512, and of its text.
const IMAGE: usize = 1024;
const TEXT: usize = 333;
const HIDDEN: usize = 1536;
const HEADS: usize = 24;

/// The blocks of Medium, without what a step computes once.
fn forward() -> Graph {
    let mut b = Builder::new();
    let mut x = b.input("x", IMAGE, HIDDEN, Element::Act);
    let mut c = b.input("c", TEXT, HIDDEN, Element::Act);
    let table = b.input("table", 1, 9 * HIDDEN, Element::Act);
    for block in 0..24 {
        let name = |part: &str| format!("{block}.{part}");
        let at = |index: usize| table.chunk(index, 9);
        let qkv = |b: &mut Builder, x: View, part: &str, shift: usize| {
            let normed = b.norm(x, NormKind::Layer, 1e-6);
            let normed = b.modulate(normed, at(shift), at(shift + 1));
            let qkv = b.linear(normed, &format!("{block}.{part}.qkv"), 3 * HIDDEN, true);
            let head = HIDDEN / HEADS;
            let norms = ["ln_q", "ln_k"].map(|norm| b.param(&format!("{block}.{part}.{norm}.weight"), &[head]));
            Tokens { query_norm: Some(norms[0]), key_norm: Some(norms[1]), ..Tokens::of(qkv) }
        };
        let last = block == 23;
        let (of_c, of_x) = (qkv(&mut b, c, "context", 0), qkv(&mut b, x, "x", 0));
        let of_c = Tokens { query: of_c.query.filter(|_| !last), ..of_c };
        let outs = b.attention(&[of_c, of_x], 1, HEADS, 0.125, 1e-6, Mask::Full);
        let (mut attended, first) = (b.linear(outs[outs.len() - 1], &name("x.proj"), HIDDEN, true), outs[0]);
        attended = b.gated(x, at(2), attended);
        if block < 13 {
            let second = qkv(&mut b, x, "x2", 6);
            let outs = b.attention(&[second], 1, HEADS, 0.125, 1e-6, Mask::Full);
            let second = b.linear(outs[0], &name("x2.proj"), HIDDEN, true);
            attended = b.gated(attended, at(8), second);
        }
        x = attended;
        let mlp = |b: &mut Builder, x: View, part: &str| {
            let normed = b.norm(x, NormKind::Layer, 1e-6);
            let normed = b.modulate(normed, at(3), at(4));
            let inner = b.linear(normed, &format!("{block}.{part}.fc1"), 4 * HIDDEN, true);
            let inner = b.activate(inner, Act::GeluTanh);
            let inner = b.linear(inner, &format!("{block}.{part}.fc2"), HIDDEN, true);
            b.gated(x, at(5), inner)
        };
        x = mlp(&mut b, x, "x");
        if !last {
            let attended = b.linear(first, &name("context.proj"), HIDDEN, true);
            c = b.gated(c, at(2), attended);
            c = mlp(&mut b, c, "context");
        }
    }
    b.output("y", x);
    b.finish()
}

/// The decoder from 64 × 64 latents.
fn decode() -> Graph {
    let mut b = Builder::new();
    let mut side = 64;
    let z = b.input("z", side * side, 16, Element::Act);
    let mut x = b.conv(z, "conv_in", 512, Geometry::same(1, side, side, 3));
    let residual = |b: &mut Builder, x: View, name: &str, features: usize, side: usize| {
        let inner = b.group_norm(x, &format!("{name}.norm1"), 1, 32, 1e-6);
        let inner = b.activate(inner, Act::Silu);
        let inner = b.conv(inner, &format!("{name}.conv1"), features, Geometry::same(1, side, side, 3));
        let inner = b.group_norm(inner, &format!("{name}.norm2"), 1, 32, 1e-6);
        let inner = b.activate(inner, Act::Silu);
        let inner = b.conv(inner, &format!("{name}.conv2"), features, Geometry::same(1, side, side, 3));
        let short = match x.cols == features {
            true => x,
            false => b.linear(x, &format!("{name}.short"), features, true),
        };
        b.add(short, inner)
    };
    x = residual(&mut b, x, "mid.1", 512, side);
    let normed = b.group_norm(x, "mid.norm", 1, 32, 1e-6);
    let qkv = ["q", "k", "v"].map(|name| b.linear(normed, &format!("mid.{name}"), 512, true));
    let tokens = Tokens { query: Some(qkv[0]), key: qkv[1], value: qkv[2], query_norm: None, key_norm: None };
    let attended = b.attention(&[tokens], 1, 1, 1.0 / 512f32.sqrt(), 1e-6, Mask::Full)[0];
    let attended = b.linear(attended, "mid.proj", 512, true);
    x = b.add(x, attended);
    x = residual(&mut b, x, "mid.2", 512, side);
    for (level, features) in [512, 512, 256, 128].into_iter().enumerate() {
        for at in 0..3 {
            x = residual(&mut b, x, &format!("up.{level}.{at}"), features, side);
        }
        if level < 3 {
            x = b.upsample(x, 1, side, side);
            side *= 2;
            x = b.conv(x, &format!("up.{level}.upsample"), features, Geometry::same(1, side, side, 3));
        }
    }
    let x = b.group_norm(x, "norm_out", 1, 32, 1e-6);
    let x = b.activate(x, Act::Silu);
    let y = b.conv(x, "conv_out", 3, Geometry::same(1, side, side, 3));
    b.output("y", y);
    b.finish()
}

/// Multiplications and additions of an operation's products.
fn operations(op: &Op) -> f64 {
    match op {
        Op::Linear { x, out, .. } => 2.0 * (x.rows * x.cols) as f64 * out.cols as f64,
        Op::Conv { x, geometry, out, .. } => {
            2.0 * (out.rows * out.cols) as f64 * (x.cols * geometry.kernel * geometry.kernel) as f64
        }
        Op::Attention(attention) => {
            let asked: usize =
                attention.streams.iter().filter(|stream| stream.query.is_some()).map(|s| s.key.rows).sum();
            4.0 * asked as f64 * attention.tokens() as f64 * (attention.heads * attention.head) as f64
        }
        _ => 0.0,
    }
}

/// Random weights, stored as the precision computes: bf16 for bf16, singles for singles.
fn params(program: &Program) -> Params {
    let mut params = Params::default();
    let mut state = 1u32;
    let dtype = if program.precision == Precision::Bf16 { DType::Bf16 } else { DType::F32 };
    for wanted in &program.weights {
        let count: usize = wanted.shape.iter().product();
        let scale = if wanted.shape.len() > 1 { 1.0 / (wanted.row_len() as f32).sqrt() } else { 0.3 };
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        let mut bytes: Vec<u8> = Vec::with_capacity(count * 4);
        for _ in 0..count {
            let number = next() * 1.7 * scale;
            match dtype {
                DType::Bf16 => bytes.extend(f32_to_bf16(number).to_le_bytes()),
                _ => bytes.extend(number.to_le_bytes()),
            }
        }
        let range = 0..bytes.len();
        let tensor = Tensor::new(dtype, wanted.shape.clone(), std::sync::Arc::new(bytes), range);
        params.0.insert(wanted.name.clone(), Param::whole(tensor.expect("as many bytes as numbers")));
    }
    params
}

/// Seconds of the processor that this process has used.
fn cpu_seconds() -> f64 {
    // Fields 14 and 15, counted behind the name in brackets, in hundredths of a second; the scheduler's figure is finer.
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    tasks
        .filter_map(|task| {
            let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
            text.split_whitespace().next()?.parse::<f64>().ok()
        })
        .sum::<f64>()
        / 1e9
}

/// A figure of `/proc/self/status` in MiB.
fn status(field: &str) -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
    line.trim_matches([':', ' ', '\t', 'k', 'B']).trim().parse::<f64>().unwrap_or(0.0) / 1024.0
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let has = |word: &str| words.iter().any(|given| given == word);
    let precision = if has("bf16") { Precision::Bf16 } else { Precision::F32 };
    let mut numbers = words.iter().filter_map(|word| word.parse::<usize>().ok());
    let (threads, runs) = (numbers.next().unwrap_or(2), numbers.next().unwrap_or(3));
    let kernels = if has("avx2") {
        Kernels::Avx2
    } else if has("portable") {
        Kernels::Portable
    } else {
        Kernels::best()
    };
    let (what, graph) = if has("decode") { ("decode", decode()) } else { ("forward", forward()) };
    let program = Program::new(graph, precision);
    let device = Cpu::with(kernels, threads).expect("threads");
    let model = params(&program);
    let before = status("VmRSS");
    let mut kept = Vec::new();
    let mut end = 0;
    for buffer in &program.kept {
        kept.push(end);
        end += buffer.bytes;
    }
    let mut memory = device.reserve(end + aligned(program.scratch_bytes)).expect("memory");
    for (buffer, offset) in program.kept.iter().zip(&kept) {
        let len = buffer.rows * buffer.cols;
        let numbers: Vec<f32> = (0..len).map(|at| ((at * 7919) % 1000) as f32 / 500.0 - 1.0).collect();
        let span = thumbforge_diffusion::device::Span { offset: *offset, len, element: buffer.element, precision };
        device.write(&mut memory, span, &numbers).expect("inside");
    }
    let words: Vec<(String, f64)> = program
        .ops
        .iter()
        .map(|op| {
            let shape = match op {
                Op::Linear { x, out, .. } if has("shapes") => format!(" {} {}->{}", x.rows, x.cols, out.cols),
                Op::Conv { x, out, geometry, .. } if has("shapes") => {
                    format!(" {}x{} {}->{}", geometry.height * geometry.upsample, geometry.kernel, x.cols, out.cols)
                }
                Op::Attention(attention) if has("shapes") => format!(" {} of {}", attention.tokens(), attention.head),
                _ => String::new(),
            };
            (format!("{}{shape}", op.word()), operations(op))
        })
        .collect();
    let mut best: BTreeMap<String, f64> = BTreeMap::new();
    let mut whole = f64::INFINITY;
    for _ in 0..runs {
        // `stop` is asked before each operation: a clock for nothing.
        let (at, marks) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        let clock = || {
            at.fetch_add(1, Ordering::Relaxed);
            marks.lock().expect("one thread").push(cpu_seconds());
            false
        };
        device.run(&program, &model, &mut memory, Bases { scratch: end, kept: &kept }, &clock).expect("runs");
        let mut marks = marks.into_inner().expect("one thread");
        marks.push(cpu_seconds());
        let mut now: BTreeMap<String, f64> = BTreeMap::new();
        for (pair, (word, _)) in marks.windows(2).zip(&words) {
            *now.entry(word.clone()).or_default() += pair[1] - pair[0];
        }
        whole = whole.min(marks[marks.len() - 1] - marks[0]);
        for (word, seconds) in now {
            let best = best.entry(word).or_insert(f64::INFINITY);
            *best = best.min(seconds);
        }
    }
    let total: f64 = words.iter().map(|(_, count)| count).sum();
    println!(
        "{what} in {}, {} of {} threads: {whole:.2} CPU-s, {:.0} GFLOP/CPU-s",
        precision.word(),
        device.class(precision),
        device.threads(),
        total / whole / 1e9
    );
    for (word, seconds) in &best {
        let count: f64 = words.iter().filter(|(other, _)| other == word).map(|(_, count)| count).sum();
        println!("  {word:24} {seconds:7.3} s {:7.1} GFLOP/CPU-s", count / seconds / 1e9);
    }
    let mib = |bytes: u64| bytes as f64 / (1 << 20) as f64;
    let planned = mib(end + program.scratch_bytes + device.workspace_bytes(&program));
    println!(
        "  plan {planned:.1} MiB (scratch {:.1}, workspace {:.1}); resident grew by {:.1} MiB, most {:.1} MiB",
        mib(program.scratch_bytes),
        mib(device.workspace_bytes(&program)),
        status("VmRSS") - before,
        status("VmHWM") - before
    );
}
