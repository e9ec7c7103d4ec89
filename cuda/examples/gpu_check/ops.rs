//! Where the time goes: each kind of operation of a step and of a decode, alone, beside what the card could do at best.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::{Value, json};
use thumbforge_diffusion::device::{Bases, Device, Span};
use thumbforge_diffusion::dtype::Precision;
use thumbforge_diffusion::error::DiffusionError;
use thumbforge_diffusion::graph::{Element, Graph, Op};
use thumbforge_diffusion::mmdit::{self, Shape};
use thumbforge_diffusion::pipeline::{Model, flops};
use thumbforge_diffusion::plan::{Program, bytes};
use thumbforge_diffusion::tiny::gauss;
use thumbforge_diffusion::vae;

use crate::models::open;
use crate::options::{Options, Outcome};
use crate::report;
use crate::subject::{Counted, Subject};

/// Dense bf16 TFLOP/s and GB/s by the makers' data sheets; shares are left out for other cards.
const CARDS: [(&str, f64, f64); 8] = [
    ("H200", 989.0, 4800.0),
    ("H100 PCIe", 756.0, 2000.0),
    ("H100", 989.0, 3350.0),
    ("A100", 312.0, 1935.0),
    ("L40S", 362.0, 864.0),
    ("4090", 165.0, 1008.0),
    ("5090", 210.0, 1792.0),
    ("B200", 2250.0, 8000.0),
];

/// Times the programs of Medium and of the autoencoder.
pub(crate) fn run<D: Device>(options: &Options, subject: &Subject<D>) -> Outcome<bool> {
    let device = subject.open(u64::MAX)?;
    let (kinds, side): (&[&str], usize) =
        if options.tiny { (&["tiny-medium"], 64) } else { (&["medium", "large"], 1024) };
    let limits =
        CARDS.iter().find(|(name, ..)| subject.about.card.contains(name)).map(|(_, tflops, gbs)| (*tflops, *gbs));
    let rounds = if options.tiny { 2 } else { 20 };
    let mut rows = Vec::new();
    for kind in kinds {
        let model = open(options, kind)?;
        let latent = side / model.vae.config.factor();
        let text = if options.tiny { 77 + 16 } else { 333 };
        let shape = Shape { batch: 2, conditions: 2, height: latent, width: latent, text };
        let step = mmdit::step(&model.mmdit.config, shape, &[]).map_err(|err| err.to_string())?;
        rows.extend(time(&device, &model, &format!("{kind}, a guided step"), step, rounds, limits)?);
        if kind.ends_with("medium") {
            let decode = vae::decode(&model.vae.config, 1, latent, latent);
            rows.extend(time(&device, &model, "decode", decode, rounds, limits)?);
        }
        report::write(options, "ops", &json!({ "side": side, "rows": rows }))?;
    }
    Ok(true)
}

/// A row for the whole program and for each kind of its operations.
fn time<D: Device>(
    device: &Counted<D>,
    model: &Model,
    name: &str,
    graph: Graph,
    rounds: u32,
    limits: Option<(f64, f64)>,
) -> Outcome<Vec<Value>> {
    let told = |err: DiffusionError| err.to_string();
    let program = Program::new(graph, Precision::Bf16);
    let vae = program.weights.iter().all(|weight| model.vae.params.has(&weight.name));
    let params = if vae { &model.vae.params } else { &model.mmdit.params };
    let loaded = device.load(params, program.precision).map_err(told)?;
    let (mut end, mut kept) = (0, Vec::new());
    for buffer in &program.kept {
        kept.push(end);
        end += buffer.bytes;
    }
    let mut memory = device.reserve(end + program.scratch_bytes.max(1)).map_err(told)?;
    let bases = Bases { scratch: end, kept: &kept };
    let spans: Vec<Span> = program
        .kept
        .iter()
        .zip(&kept)
        .map(|(buffer, offset)| Span {
            offset: *offset,
            len: buffer.rows * buffer.cols,
            element: buffer.element,
            precision: program.precision,
        })
        .collect();
    for span in spans.iter().filter(|span| span.element != Element::U32) {
        device.write(&mut memory, *span, &gauss(3, "given", span.len, 0.5)).map_err(told)?;
    }
    // What is read at last, so that all before it has happened.
    let last = spans.last().map(|span| Span { len: 1, ..*span }).ok_or("time a program that keeps nothing")?;
    let mut seconds = |program: &Program, rounds: u32| -> Result<f64, DiffusionError> {
        let mut one = [0.0];
        // Twice: a device may record the second run.
        for _ in 0..2 {
            device.run(program, &loaded, &mut memory, bases, &|| false)?;
        }
        device.read(&memory, last, &mut one)?;
        let began = Instant::now();
        for _ in 0..rounds {
            device.run(program, &loaded, &mut memory, bases, &|| false)?;
        }
        device.read(&memory, last, &mut one)?;
        Ok(began.elapsed().as_secs_f64() / f64::from(rounds))
    };
    let mut rows = Vec::new();
    let mut row = |op: &str, count: usize, each: f64, flops: f64, moved: f64| {
        let all = each * count as f64;
        let best = limits.map(|(tflops, gbs)| (flops / (tflops * 1e12)).max(moved / (gbs * 1e9)));
        rows.push(json!({
            "program": name, "op": op, "count": count, "ms": all * 1e3, "tflops": flops / each / 1e12,
            "gbs": moved / each / 1e9, "roofline": best.map(|best| best / each),
        }));
    };
    let whole = seconds(&program, rounds).map_err(told)?;
    let moved: f64 = program.ops.iter().map(|op| traffic(&program, op)).sum();
    row("all of it", 1, whole, flops(&program) as f64, moved);
    let mut kinds: BTreeMap<String, (usize, Op)> = BTreeMap::new();
    for op in &program.ops {
        kinds.entry(label(op)).or_insert_with(|| (0, op.clone())).0 += 1;
    }
    for (label, (count, op)) in kinds {
        let mut alone = program.clone();
        alone.ops = vec![op];
        let alone = alone.renewed();
        let each = seconds(&alone, rounds).map_err(told)?;
        row(&label, count, each, flops(&alone) as f64, traffic(&program, &alone.ops[0]));
    }
    Ok(rows)
}

/// Bytes that an operation reads and writes at least: each view once, and the parameters of products.
fn traffic(program: &Program, op: &Op) -> f64 {
    let view = |view: &thumbforge_diffusion::graph::View| {
        bytes(view.rows, view.cols, program.buffer(view.value).element, program.precision) as f64
    };
    let views: f64 = op.reads().iter().chain(&op.writes()).map(view).sum();
    let weights = match op {
        Op::Linear { x, out, .. } => x.cols * out.cols,
        Op::Conv { x, geometry, out, .. } => x.cols * out.cols * geometry.kernel * geometry.kernel,
        _ => 0,
    };
    views + 2.0 * weights as f64
}

/// Operations that are alike have one: kind and shapes.
fn label(op: &Op) -> String {
    let shape = |view: &thumbforge_diffusion::graph::View| format!("{}×{}", view.rows, view.cols);
    match op {
        Op::Linear { x, out, .. } => format!("linear {} → {}", shape(x), shape(out)),
        Op::Conv { x, geometry, out, .. } => {
            format!("conv {0}×{0} {1} → {2}", geometry.kernel, shape(x), shape(out))
        }
        Op::Attention(attention) => {
            format!("attention {}×{}, {} tokens", attention.batch, attention.heads, attention.tokens())
        }
        other => {
            let debug = format!("{other:?}");
            let kind = debug.split([' ', '(', '{']).next().unwrap_or_default().to_lowercase();
            let out = other.writes().first().map(shape).unwrap_or_default();
            format!("{kind} {out}")
        }
    }
}
