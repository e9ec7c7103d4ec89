//! How fast the processor is at one call of SD3.5 Medium and at its decoder, by kind of operation.
//!
//! ```text
//! cargo run --release -p thumbforge-diffusion --example speed -- [f32|bf16] [forward|decode] [shapes] [avx2|portable] [f16] [threads] [runs]
//! ```
//! Weights are random, stored as they are computed with or as halves. Figures are CPU-seconds of this process, the least of several runs, by kind of operation.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use thumbforge_diffusion::config::VaeConfig;
use thumbforge_diffusion::cpu::{Cpu, Kernels};
use thumbforge_diffusion::device::{Bases, Device};
use thumbforge_diffusion::dtype::{DType, Precision, f32_to_bf16};
use thumbforge_diffusion::graph::{Graph, Op};
use thumbforge_diffusion::mmdit::{self, Shape};
use thumbforge_diffusion::param::{Param, Params, Tensor};
use thumbforge_diffusion::plan::{Program, aligned};
use thumbforge_diffusion::tiny::Tiny;
use thumbforge_diffusion::vae;

/// One call of Medium for a picture of 512 × 512 pixels and 333 text tokens.
fn forward() -> Graph {
    let config = Tiny::full_medium().mmdit;
    let shape = Shape { batch: 1, conditions: 1, height: 64, width: 64, text: 333 };
    mmdit::step(&config, shape, &[]).expect("a size that the model has")
}

/// The decoder of a picture of 512 × 512 pixels.
fn decode() -> Graph {
    let channels = vec![128, 256, 512, 512];
    let config = VaeConfig { channels, layers: 2, groups: 32, latent: 16, scaling: 1.5305, shift: 0.0609 };
    vae::decode(&config, 1, 64, 64)
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

/// Random weights.
fn params(program: &Program, dtype: DType) -> Params {
    let mut params = Params::default();
    let mut state = 1u32;
    for wanted in &program.weights {
        let count: usize = wanted.shape.iter().product();
        let scale = if wanted.shape.len() > 1 { 1.0 / (wanted.row_len() as f32).sqrt() } else { 0.3 };
        let mut bytes: Vec<u8> = Vec::with_capacity(count * 4);
        for _ in 0..count {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let number = ((state >> 8) as f32 / (1 << 23) as f32 - 1.0) * 1.7 * scale;
            match dtype {
                DType::Bf16 => bytes.extend(f32_to_bf16(number).to_le_bytes()),
                // Of halves any small exponent will do: 2^-7 to 2^-4, the sign and the fraction at random.
                DType::F16 => bytes.extend(((state >> 16) as u16 & 0xAFFF | 0x2000).to_le_bytes()),
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
    let dtype = match precision {
        _ if has("f16") => DType::F16,
        Precision::Bf16 => DType::Bf16,
        Precision::F32 => DType::F32,
    };
    let model = params(&program, dtype);
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
    let (mut whole, mut wall) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..runs {
        let begun = std::time::Instant::now();
        // `stop` is asked before each operation: a clock for nothing.
        let (at, marks) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        let clock = || {
            at.fetch_add(1, Ordering::Relaxed);
            marks.lock().expect("one thread").push(cpu_seconds());
            false
        };
        device.run(&program, &model, &mut memory, Bases { scratch: end, kept: &kept }, &clock).expect("runs");
        wall = wall.min(begun.elapsed().as_secs_f64());
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
    println!("  total: {whole:.3} CPU-s, {wall:.3} s");
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
