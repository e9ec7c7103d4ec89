//! Toy models with the real topology, for every test that would otherwise need a download.
//!
//! A weight is a function of the model's seed, the tensor's name and the number's place: a hash whose four halves are
//! summed, which is near enough to a Gaussian. Only integers are added and one product is rounded, so Python with numpy
//! makes the same bits (`tests/diffusion/reference/weights.py`), and no weights need to be kept beside the references that
//! diffusers computed from them. Spreads are those of trained models, roughly: linear layers keep the size of what goes
//! through, norms lie around 1, biases around 0, and nothing is so even that two tensors could be exchanged unseen.
//!
//! Tensors carry the names and shapes of the original SD3.5 files; `files` writes the layouts that people have.

mod files;
mod full;
mod lora;
mod numbers;
mod shapes;

use std::collections::BTreeMap;

pub use self::files::{Encoders, safetensors};
pub use self::lora::{Adapter, Spelling};
pub use self::numbers::gauss;
use crate::config::{ClipAct, ClipConfig, MmditConfig, T5Config, VaeConfig};
use crate::param::{Param, Params, Tensor};

/// One tensor of a toy: its name, its sides, its numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Values {
    /// In the original files, without prefix.
    pub name: String,
    /// Sides, the last varies fastest.
    pub shape: Vec<usize>,
    /// Row-major.
    pub values: Vec<f32>,
}

/// A toy model: what it is made of, and the seed of its weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Tiny {
    /// Weights of two seeds have nothing in common.
    pub seed: u64,
    /// The transformer.
    pub mmdit: MmditConfig,
    /// The autoencoder.
    pub vae: VaeConfig,
    /// The first text encoder.
    pub clip_l: ClipConfig,
    /// Whether CLIP-L's projection is the identity, as in single files, which carry none.
    pub clip_l_identity: bool,
    /// The second text encoder.
    pub clip_g: ClipConfig,
    /// The third text encoder.
    pub t5: T5Config,
    /// The scheduler's shift.
    pub shift: f32,
    /// What the first layers' and the queries' spread is multiplied with. 1; far below it the epsilons of norms show.
    pub faint: f64,
}

impl Tiny {
    /// In the manner of SD3.5 Medium: dual attention in the first blocks. The vocabularies are those of the toy
    /// tokenizers in `tests/diffusion/fixtures`.
    pub fn medium() -> Self {
        Self {
            seed: 1,
            mmdit: MmditConfig {
                depth: 4,
                hidden: 192,
                heads: 3,
                dual: vec![0, 1],
                qk_norm: true,
                position_side: 24,
                patch: 2,
                in_channels: 16,
                out_channels: 16,
                context: 352,
                pooled: 320,
            },
            vae: VaeConfig {
                channels: vec![32, 64, 64, 96],
                layers: 1,
                groups: 32,
                latent: 16,
                scaling: 1.5305,
                shift: 0.0609,
            },
            clip_l: ClipConfig {
                layers: 2,
                hidden: 128,
                heads: 2,
                inner: 256,
                vocabulary: VOCABULARY_CLIP,
                positions: 77,
                act: ClipAct::QuickGelu,
                projection: 128,
                end: 2,
            },
            clip_l_identity: true,
            clip_g: ClipConfig {
                layers: 3,
                hidden: 192,
                heads: 3,
                inner: 384,
                vocabulary: VOCABULARY_CLIP,
                positions: 77,
                act: ClipAct::Gelu,
                projection: 192,
                end: 2,
            },
            t5: T5Config {
                layers: 3,
                hidden: 352,
                heads: 4,
                head: 32,
                inner: 448,
                vocabulary: VOCABULARY_T5,
                buckets: 32,
                distance: 128,
                eps: 1e-6,
            },
            shift: 3.0,
            faint: 1.0,
        }
    }

    /// In the manner of SD3.5 Large: no dual attention.
    pub fn large() -> Self {
        let mut tiny = Self::medium();
        tiny.seed = 2;
        tiny.mmdit.dual.clear();
        tiny.mmdit.depth = 5;
        tiny.mmdit.hidden = 128;
        tiny.mmdit.heads = 2;
        tiny.mmdit.position_side = 32;
        tiny
    }

    /// Every tensor of the transformer.
    pub fn mmdit_values(&self) -> Vec<Values> {
        self.fill("mmdit", shapes::mmdit(&self.mmdit))
    }

    /// Every tensor of the autoencoder; 1×1 convolutions of its attention as matrices.
    pub fn vae_values(&self) -> Vec<Values> {
        self.fill("vae", shapes::vae(&self.vae))
    }

    /// Every tensor of the first text encoder.
    pub fn clip_l_values(&self) -> Vec<Values> {
        let mut tensors = self.fill("clip_l", shapes::clip(&self.clip_l));
        if self.clip_l_identity {
            for tensor in tensors.iter_mut().filter(|tensor| tensor.name == "text_projection.weight") {
                let side = self.clip_l.hidden;
                for (place, value) in tensor.values.iter_mut().enumerate() {
                    *value = if place / side == place % side { 1.0 } else { 0.0 };
                }
            }
        }
        tensors
    }

    /// Every tensor of the second text encoder.
    pub fn clip_g_values(&self) -> Vec<Values> {
        self.fill("clip_g", shapes::clip(&self.clip_g))
    }

    /// Every tensor of the third text encoder.
    pub fn t5_values(&self) -> Vec<Values> {
        self.fill("t5", shapes::t5(&self.t5))
    }

    fn fill(&self, part: &str, shapes: Vec<(String, Vec<usize>)>) -> Vec<Values> {
        let one = |(name, shape): (String, Vec<usize>)| {
            let values = numbers::weights(self.seed, self.faint, part, &name, &shape);
            Values { name, shape, values }
        };
        shapes.into_iter().map(one).collect()
    }
}

/// Tokens of the toy CLIP tokenizers.
pub const VOCABULARY_CLIP: usize = 814;
/// Rows of the toy T5's table; its tokenizer has fewer tokens, as the real one does.
pub const VOCABULARY_T5: usize = 160;

/// Tensors as the model reads them.
pub fn params(tensors: Vec<Values>) -> Params {
    let one = |tensor: Values| (tensor.name, Param::whole(Tensor::of_f32(tensor.shape, &tensor.values)));
    Params(tensors.into_iter().map(one).collect::<BTreeMap<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bits that `weights.py` prints for the same arguments: `python3 tests/diffusion/reference/numbers.py`.
    #[test]
    fn python_makes_the_same_bits() {
        let tiny = Tiny::medium();
        let bits = |tensors: Vec<Values>, name: &str, place: usize| {
            let tensor = tensors.into_iter().find(|tensor| tensor.name == name);
            tensor.map(|tensor| tensor.values[place].to_bits())
        };
        for (tensors, name, place, expected) in [
            (tiny.mmdit_values(), "joint_blocks.3.x_block.attn.qkv.weight", 70_000, 0xBC6C_8000),
            (tiny.mmdit_values(), "joint_blocks.0.context_block.attn.ln_k.weight", 63, 0x3F90_4432),
            (tiny.mmdit_values(), "final_layer.adaLN_modulation.1.bias", 5, 0x3E11_8F57),
            (tiny.vae_values(), "decoder.up.0.block.1.conv1.weight", 1_234, 0x3B10_8518),
            (tiny.clip_l_values(), "text_projection.weight", 129, 1.0f32.to_bits()),
            (tiny.clip_g_values(), "text_model.embeddings.token_embedding.weight", 99_999, 0x3EC0_0555),
            (tiny.t5_values(), "encoder.block.1.layer.0.SelfAttention.q.weight", 3_000, 0xBA4F_9FE4),
        ] {
            assert_eq!(bits(tensors, name, place), Some(expected), "{name}");
        }
    }

    #[test]
    fn spreads_are_those_of_trained_models() {
        let spread = |tensor: &Values| {
            let count = tensor.values.len() as f64;
            let mean = tensor.values.iter().map(|value| f64::from(*value)).sum::<f64>() / count;
            let square = tensor.values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>() / count;
            (mean, (square - mean * mean).sqrt())
        };
        for tensor in Tiny::medium().mmdit_values() {
            let (mean, deviation) = spread(&tensor);
            let (mean_expected, deviation_expected) = match (tensor.shape.len(), tensor.name.ends_with("weight")) {
                (1, true) => (1.0, 0.2),
                (1, false) => (0.0, 0.1),
                _ if tensor.name == "pos_embed" => (0.0, 0.5),
                _ => (0.0, (tensor.shape[1..].iter().product::<usize>() as f64).powf(-0.5)),
            };
            let sample = deviation_expected / (tensor.values.len() as f64).sqrt();
            assert!((mean - mean_expected).abs() < 5.0 * sample, "{}: mean {mean}", tensor.name);
            assert!((deviation / deviation_expected - 1.0).abs() < 0.3, "{}: deviation {deviation}", tensor.name);
        }
    }
}
