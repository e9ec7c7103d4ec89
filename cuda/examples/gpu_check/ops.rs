//! Where the time goes: each kind of operation of a step and of a decode, alone, beside what the card could do at best.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::{Value, json};
use thumbforge_diffusion::device::{Bases, Device, Span};
use thumbforge_diffusion::dtype::Precision;
use thumbforge_diffusion::error::DiffusionError;
use thumbforge_diffusion::graph::{Element, Graph, Op, View};
use thumbforge_diffusion::mmdit::{self, Shape};
use thumbforge_diffusion::param::Params;
use thumbforge_diffusion::pipeline::flops;
use thumbforge_diffusion::plan::{Program, bytes};
use thumbforge_diffusion::tiny::gauss;
use thumbforge_diffusion::vae;

use crate::models::open;
use crate::options::{Options, Outcome};
use crate::report;
use crate::subject::{Counted, Subject};

/// The most that a card does.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// The card's name holds it.
    name: &'static str,
    /// Dense products of bf16, added up as singles. Those of fp8 are twice as many.
    tflops: f64,
    /// Its memory.
    gbs: f64,
}

const fn card(name: &'static str, tflops: f64, gbs: f64) -> Limits {
    Limits { name, tflops, gbs }
}

/// By NVIDIA's data sheets of these products, where a figure with sparsity is halved; nothing is said of other cards. The
/// first name that fits counts.
const CARDS: [Limits; 10] = [
    card("H200", 989.0, 4800.0),
    card("H100 NVL", 835.0, 3900.0),
    card("H100 PCIe", 756.0, 2000.0),
    card("H100", 989.0, 3350.0),
    card("A100-SXM4-80GB", 312.0, 2039.0),
    card("A100 80GB PCIe", 312.0, 1935.0),
    card("A100", 312.0, 1555.0),
    card("L40S", 362.0, 864.0),
    card("RTX 4090", 165.2, 1008.0),
    card("RTX 5090", 209.5, 1792.0),
];

/// Times the programs of Medium and of the autoencoder.
pub(crate) fn run<D: Device>(options: &Options, subject: &Subject<D>) -> Outcome<bool> {
    let device = subject.open(u64::MAX)?;
    let (kinds, side): (&[&str], usize) =
        if options.tiny { (&["tiny-medium"], 64) } else { (&["medium", "large"], 1024) };
    let limits = CARDS.iter().find(|card| subject.about.card.contains(card.name)).copied();
    let rounds = if options.tiny { 2 } else { 20 };
    let mut rows = Vec::new();
    for kind in kinds {
        let model = open(options, kind)?;
        let latent = side / model.vae.config.factor();
        let text = if options.tiny { 77 + 16 } else { 333 };
        let shape = Shape { batch: 2, conditions: 2, height: latent, width: latent, text };
        let timed = |name: &str, graph, params: &Params| {
            Timed { name: name.to_owned(), graph, rounds, limits }.rows(&device, params)
        };
        let step = mmdit::step(&model.mmdit.config, shape, &[]).map_err(|err| err.to_string())?;
        let name = format!("{kind}, a guided step");
        rows.extend(timed(&name, step.clone(), &model.mmdit.params)?);
        if device.keeps_eights() {
            let mut step = step;
            step.in_eights(&mmdit::in_eights);
            rows.extend(timed(&format!("{name}, fp8"), step, &model.mmdit.params.in_eights(&mmdit::in_eights))?);
        } else {
            println!("ops: {name}: this device keeps no matrices in eight bits, so fp8 is not timed");
        }
        if kind.ends_with("medium") {
            let decode = vae::decode(&model.vae.config, 1, latent, latent);
            rows.extend(timed("decode", decode, &model.vae.params)?);
        }
        let note = "each operation alone, again and again: what it reads may still lie in the card's cache";
        let whole = json!({ "side": side, "note": note, "peaks": limits.map(|card| json!({ "tflops": card.tflops, "gbs": card.gbs })),
            "kinds": kinds_of(&rows), "rows": rows });
        report::write(options, "ops", &whole)?;
    }
    Ok(true)
}

/// What each kind of operation takes of its program: of all the operations' own times, and beside its roofline.
fn kinds_of(rows: &[Value]) -> Vec<Value> {
    let mut kinds: BTreeMap<(String, String), (f64, Option<f64>)> = BTreeMap::new();
    let mut wholes: BTreeMap<String, f64> = BTreeMap::new();
    for row in rows.iter().filter(|row| row["op"] != WHOLE) {
        let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let (program, ms) = (text("program"), row["ms"].as_f64().unwrap_or_default());
        let kind = text("op").split(' ').next().unwrap_or_default().to_owned();
        let kind = kinds.entry((program.clone(), kind)).or_insert((0.0, Some(0.0)));
        kind.0 += ms;
        kind.1 = kind.1.zip(row["roofline"].as_f64()).map(|(best, share)| best + share * ms);
        *wholes.entry(program).or_default() += ms;
    }
    let row = |((program, kind), (ms, best)): ((String, String), (f64, Option<f64>))| {
        let share = ms / wholes.get(&program).copied().unwrap_or(f64::NAN);
        json!({ "program": program, "kind": kind, "ms": ms, "share": share, "roofline": best.map(|best| best / ms) })
    };
    kinds.into_iter().map(row).collect()
}

/// The row of a whole program.
const WHOLE: &str = "all of it";

/// A program that is timed.
struct Timed {
    name: String,
    graph: Graph,
    rounds: u32,
    limits: Option<Limits>,
}

impl Timed {
    /// A row for the whole program and for each kind of its operations.
    fn rows<D: Device>(self, device: &Counted<D>, params: &Params) -> Outcome<Vec<Value>> {
        let Self { name, graph, rounds, limits } = self;
        let told = |err: DiffusionError| err.to_string();
        let program = Program::new(graph, Precision::Bf16);
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
        let mut row = |op: &str, count: usize, each: f64, work: Work| {
            rows.push(json!({
            "program": name, "op": op, "count": count, "ms": each * count as f64 * 1e3, "tflops": work.flops / each / 1e12,
            "gbs": work.bytes / each / 1e9, "roofline": work.best_s.map(|best| best / each),
        }));
        };
        let whole = seconds(&program, rounds).map_err(told)?;
        // The sum of what each operation takes at best: they run one behind the other.
        row(WHOLE, 1, whole, program.ops.iter().map(|op| Work::of(&program, op, limits)).fold(Work::NONE, Work::and));
        let mut kinds: BTreeMap<String, (usize, Op)> = BTreeMap::new();
        for op in &program.ops {
            kinds.entry(label(&program, op)).or_insert_with(|| (0, op.clone())).0 += 1;
        }
        for (label, (count, op)) in kinds {
            let mut alone = program.clone();
            alone.ops = vec![op];
            let alone = alone.renewed();
            let each = seconds(&alone, rounds).map_err(told)?;
            row(&label, count, each, Work::of(&program, &alone.ops[0], limits));
        }
        Ok(rows)
    }
}

/// What operations ask of a card.
#[derive(Debug, Clone, Copy)]
struct Work {
    flops: f64,
    /// Read and written at least: each view once, and the parameters of products.
    bytes: f64,
    /// Seconds that the card takes at best, for its products or for its memory, whichever is longer.
    best_s: Option<f64>,
}

impl Work {
    const NONE: Self = Self { flops: 0.0, bytes: 0.0, best_s: Some(0.0) };

    fn of(program: &Program, op: &Op, limits: Option<Limits>) -> Self {
        let mut alone = program.clone();
        alone.ops = vec![op.clone()];
        let flops = flops(&alone) as f64;
        let view =
            |view: &View| bytes(view.rows, view.cols, program.buffer(view.value).element, program.precision) as f64;
        let views: f64 = op.reads().iter().chain(&op.writes()).map(view).sum();
        let weights = match op {
            Op::Linear { x, out, .. } => x.cols * out.cols,
            Op::Conv { x, geometry, out, .. } => x.cols * out.cols * geometry.kernel * geometry.kernel,
            _ => 0,
        };
        let eights = in_eights(program, op);
        let bytes = views + if eights { 1.0 } else { 2.0 } * weights as f64;
        let rate = if eights { 2.0 } else { 1.0 };
        let best_s = limits.map(|card| (flops / (rate * card.tflops * 1e12)).max(bytes / (card.gbs * 1e9)));
        Self { flops, bytes, best_s }
    }

    fn and(self, other: Self) -> Self {
        Self {
            flops: self.flops + other.flops,
            bytes: self.bytes + other.bytes,
            best_s: self.best_s.zip(other.best_s).map(|(one, two)| one + two),
        }
    }
}

/// Whether it multiplies with a matrix in eight bits.
fn in_eights(program: &Program, op: &Op) -> bool {
    matches!(op, Op::Linear { weight, .. } if program.weights.get(weight.0 as usize).is_some_and(|weight| weight.eights))
}

/// Operations that are alike have one: kind and shapes.
fn label(program: &Program, op: &Op) -> String {
    let shape = |view: &thumbforge_diffusion::graph::View| format!("{}×{}", view.rows, view.cols);
    match op {
        Op::Linear { x, out, .. } if in_eights(program, op) => format!("linear-fp8 {} → {}", shape(x), shape(out)),
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
