//! Models that are drawn with: toys, and full size with random weights.

use std::path::{Path, PathBuf};

use thumbforge_diffusion::dtype::Precision;
use thumbforge_diffusion::noise::NoiseKind;
use thumbforge_diffusion::pipeline::{Mask, MaskMode, Model, Picture, Prompts, Request, Seeds, Source};
use thumbforge_diffusion::sampler::{Guidance, Method};
use thumbforge_diffusion::tiny::{Tiny, gauss};
use thumbforge_diffusion::weights::{self, Sources};

use crate::options::{Options, Outcome};

/// Models by their names here.
const KINDS: [&str; 4] = ["medium", "large", "tiny-medium", "tiny-large"];

/// What a model is made of.
fn tiny_of(kind: &str) -> Outcome<Tiny> {
    match kind {
        "medium" => Ok(Tiny::full_medium()),
        // Large Turbo has the same sides, and is asked otherwise.
        "large" => Ok(Tiny::full_large()),
        "tiny-medium" => Ok(Tiny::medium()),
        "tiny-large" => Ok(Tiny::large()),
        other => Err(format!("make {other}: there are {}", KINDS.join(", "))),
    }
}

/// `weights KIND FOLDER`: writes a model as diffusers' folder, with the toy tokenizers.
pub(crate) fn write(options: &Options) -> Outcome<()> {
    let [kind, folder] = &options.rest[..] else { return Err("write weights: name a kind and a folder".to_owned()) };
    make(&tiny_of(kind)?, Path::new(folder), &options.tokenizers)
}

fn make(tiny: &Tiny, folder: &Path, tokenizers: &Path) -> Outcome<()> {
    let told = |err: std::io::Error| format!("write {}: {err}", folder.display());
    tiny.write_diffusers_blocks(folder).map_err(told)?;
    for name in ["tokenizer", "tokenizer_2", "tokenizer_3"] {
        let (from, to) = (tokenizers.join(name), folder.join(name));
        std::fs::create_dir_all(&to).map_err(told)?;
        let entries = std::fs::read_dir(&from).map_err(|err| format!("read {}: {err}", from.display()))?;
        for entry in entries {
            let entry = entry.map_err(told)?;
            std::fs::copy(entry.path(), to.join(entry.file_name())).map_err(told)?;
        }
    }
    Ok(())
}

/// The model of this kind in the folder of models, which is made first if it is a toy. Its text encoders are known by the
/// kind, which is a sound identity here: a kind's weights never change.
pub(crate) fn open(options: &Options, kind: &str) -> Outcome<Model> {
    let folder: PathBuf = options.models.join(kind);
    if kind.starts_with("tiny") {
        make(&tiny_of(kind)?, &folder, &options.tokenizers)?;
    } else if !folder.join("model_index.json").is_file() {
        return Err(format!("open {}: run `gpu_check weights {kind} {0}` first", folder.display()));
    }
    let weights = weights::open(&Sources { model: folder, ..Sources::default() }).map_err(|err| err.to_string())?;
    let mut identity = [0; 32];
    for (to, from) in identity.iter_mut().zip(kind.bytes()) {
        *to = from;
    }
    Model::of(&weights, identity).map_err(|err| err.to_string())
}

/// What is asked for in most parts; they change what they are about.
pub(crate) fn request(side: usize, steps: usize, scale: f32, precision: Precision) -> Request {
    Request {
        prompt: Prompts::all("a small village by the sea at dawn, oil on canvas"),
        negative: Prompts::all("a blurry photograph"),
        width: side,
        height: side,
        steps,
        guidance: Guidance { scale, skip: None },
        method: Method::Euler,
        shift: None,
        seeds: Seeds::Each(vec![7]),
        noise: NoiseKind::Philox,
        source: None,
        t5: true,
        t5_tokens: 256,
        precision,
        vae_precision: precision,
        tiled: None,
    }
}

/// A picture to begin with, of which the right half may change where it is `masked`.
pub(crate) fn source(side: usize, strength: f64, masked: bool) -> Source {
    let pixels = gauss(1, "source", side * side * 3, 0.2).iter().map(|x| (x + 0.5).clamp(0.0, 1.0)).collect();
    let mask = masked.then(|| Mask {
        pixels: (0..side * side).map(|at| if at % side >= side / 2 { 1.0 } else { 0.0 }).collect(),
        mode: MaskMode::Keep { feather_px: 0 },
    });
    Source { picture: Picture { width: side, height: side, pixels }, strength, mask }
}
