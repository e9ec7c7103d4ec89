//! How long a full-size model takes from its file to the first operation, and what it costs in memory.
//!
//! `load make PATH` writes a file of SD3.5 Medium's sides, about 5 GB of bf16, with random weights.
//! `load open PATH` opens it as the sidecar does, reads the first layer, and then all of it; it fails where opening takes
//! longer than 1.5 s or leaves a copy behind. Run it twice: the first time may read the disk.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use thumbforge_diffusion::dtype::DType;
use thumbforge_diffusion::rows;
use thumbforge_diffusion::weights::write::{self, Head};
use thumbforge_diffusion::weights::{self, NoCache, Sources};

type Outcome = Result<(), Box<dyn Error>>;

/// SD3.5 Medium's features of a token, blocks, and blocks with dual attention.
const HIDDEN: usize = 1536;
const DEPTH: usize = 24;
const DUAL: usize = 13;

/// From a warm file to the first operation.
const OPEN_MAX: Duration = Duration::from_millis(1500);
/// Of memory that is ours and no page of the file: tables of names and one row.
const OWN_BYTES_MAX: u64 = 64 << 20;

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [verb, path] if verb == "make" => make(Path::new(path)),
        [verb, path] if verb == "open" => open(Path::new(path), None),
        [verb, path, tokenizers] if verb == "open" => open(Path::new(path), Some(tokenizers.into())),
        _ => Err("write: load make PATH, or load open PATH [TOKENIZERS]".into()),
    }
}

fn heads() -> Vec<Head> {
    let mut heads = Vec::new();
    let mut add = |name: &str, shape: &[usize]| {
        heads.push(Head::new(format!("model.diffusion_model.{name}"), DType::Bf16, shape));
    };
    let affine = |add: &mut dyn FnMut(&str, &[usize]), name: &str, shape: &[usize]| {
        add(&format!("{name}.weight"), shape);
        add(&format!("{name}.bias"), &shape[..1]);
    };
    add("pos_embed", &[1, 384 * 384, HIDDEN]);
    affine(&mut add, "x_embedder.proj", &[HIDDEN, 16, 2, 2]);
    affine(&mut add, "t_embedder.mlp.0", &[HIDDEN, 256]);
    affine(&mut add, "t_embedder.mlp.2", &[HIDDEN, HIDDEN]);
    affine(&mut add, "y_embedder.mlp.0", &[HIDDEN, 2048]);
    affine(&mut add, "y_embedder.mlp.2", &[HIDDEN, HIDDEN]);
    affine(&mut add, "context_embedder", &[HIDDEN, 4096]);
    for block in 0..DEPTH {
        for side in ["x_block", "context_block"] {
            let (ends, dual) = (block + 1 == DEPTH && side == "context_block", block < DUAL && side == "x_block");
            let name = format!("joint_blocks.{block}.{side}");
            let parts = if ends { 2 } else { 6 + if dual { 3 } else { 0 } };
            affine(&mut add, &format!("{name}.adaLN_modulation.1"), &[parts * HIDDEN, HIDDEN]);
            for attention in ["attn", "attn2"].into_iter().take(if dual { 2 } else { 1 }) {
                affine(&mut add, &format!("{name}.{attention}.qkv"), &[3 * HIDDEN, HIDDEN]);
                add(&format!("{name}.{attention}.ln_q.weight"), &[64]);
                add(&format!("{name}.{attention}.ln_k.weight"), &[64]);
                if !ends {
                    affine(&mut add, &format!("{name}.{attention}.proj"), &[HIDDEN, HIDDEN]);
                }
            }
            if !ends {
                affine(&mut add, &format!("{name}.mlp.fc1"), &[4 * HIDDEN, HIDDEN]);
                affine(&mut add, &format!("{name}.mlp.fc2"), &[HIDDEN, 4 * HIDDEN]);
            }
        }
    }
    affine(&mut add, "final_layer.adaLN_modulation.1", &[2 * HIDDEN, HIDDEN]);
    affine(&mut add, "final_layer.linear", &[64, HIDDEN]);
    heads
}

/// Random bits whose exponents are those of small numbers, a span at a time.
fn make(path: &Path) -> Outcome {
    let heads = heads();
    let mut state = 1u64;
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    write::safetensors(&mut file, &heads, &BTreeMap::new(), |index, out| {
        let mut left = heads.get(index).and_then(Head::bytes).unwrap_or(0);
        let mut span = vec![0u8; 1 << 16];
        while left > 0 {
            for number in span.as_chunks_mut::<2>().0 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                // Exponent 0x3C80…0x3CFF: about ±0.02.
                *number = ((state >> 48) as u16 & 0x80FF | 0x3C00).to_le_bytes();
            }
            let count = left.min(span.len());
            out.write_all(&span[..count])?;
            left -= count;
        }
        Ok(())
    })?;
    println!("wrote {} bytes to {}", fs::metadata(path)?.len(), path.display());
    Ok(())
}

/// Memory of this process that is its own, and pages of files, in bytes; `None` where the system does not say.
fn memory() -> Option<(u64, u64)> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok().map(|kilobytes| kilobytes << 10)
    };
    Some((field("RssAnon:")?, field("RssFile:")?))
}

fn report(what: &str, since: Instant) {
    let (own, file) = memory().unwrap_or_default();
    println!("{what}: {:.3} s, own {} MB, of files {} MB", since.elapsed().as_secs_f64(), own >> 20, file >> 20);
}

fn open(path: &Path, tokenizers: Option<PathBuf>) -> Outcome {
    let before = memory();
    let start = Instant::now();
    let opened = weights::open(&Sources { model: path.to_path_buf(), tokenizers, ..Sources::default() })?;
    let took = start.elapsed();
    report("opened", start);
    let config = &opened.mmdit.config;
    println!("{:?}: {} blocks of {} features, dual {}", opened.kind, config.depth, config.hidden, config.dual.len());

    // The first operation of the model: latents into tokens. One row in, as much work as a product needs.
    let param = opened.mmdit.params.get("x_embedder.proj.weight").ok_or("x_embedder.proj.weight is missing")?;
    let mut numbers = vec![0.0; param.rows() * param.row_len()];
    rows::read(param, 0..param.rows(), &mut numbers);
    let first = start.elapsed();
    report("first layer read", start);

    let all = Instant::now();
    let (mut sum, mut bytes) = (0f64, 0);
    for param in opened.mmdit.params.0.values() {
        let mut line = vec![0.0; param.row_len()];
        for row in 0..param.rows() {
            rows::read(param, row..row + 1, &mut line);
            sum += f64::from(line.iter().sum::<f32>());
        }
        bytes += param.stored_bytes();
    }
    report("all rows read", all);
    println!("{bytes} bytes of parameters, sum {sum:.3}");
    let hashing = Instant::now();
    let hash = opened.hash(&NoCache)?;
    report("hashed and looked through", hashing);
    println!("{}", hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>());

    if took.max(first) > OPEN_MAX {
        return Err(format!("it took {first:?} to the first operation, more than {OPEN_MAX:?}").into());
    }
    match (before, memory()) {
        (Some((before, _)), Some((after, _))) if after.saturating_sub(before) > OWN_BYTES_MAX => {
            Err(format!("it left {} bytes of its own, more than {OWN_BYTES_MAX}: a copy", after - before).into())
        }
        (Some(_), Some(_)) => Ok(()),
        _ => {
            println!("NOT CHECKED: this system does not say what memory a process has of its own");
            Ok(())
        }
    }
}
