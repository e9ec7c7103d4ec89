//! Configuration files of a diffusers folder, and what of them this engine computes.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::config::{ClipAct, ClipConfig, MmditConfig, T5Config, VaeConfig};
use crate::error::DiffusionError;
use crate::weights::{Scheduler, file, refuse};

/// Real ones have under 2 kB.
const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// No side of a configuration is larger; it keeps products of two far from overflow on every machine. The largest real one
/// is CLIP's vocabulary, 49408.
pub(crate) const SIDE_MAX: usize = 1 << 20;

/// Blocks, layers and levels; Large has 38.
pub(crate) const DEPTH_MAX: usize = 512;

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, DiffusionError> {
    file::json(path, CONFIG_BYTES_MAX)
}

/// Refuses the first of `checks` that does not hold.
fn check(path: &Path, checks: &[(bool, &str)]) -> Result<(), DiffusionError> {
    match checks.iter().find(|(holds, _)| !holds) {
        Some((_, reason)) => Err(refuse(path, *reason)),
        None => Ok(()),
    }
}

fn sides(path: &Path, sides: &[(&str, usize, usize)]) -> Result<(), DiffusionError> {
    match sides.iter().find(|(_, side, max)| *side == 0 || side > max) {
        Some((name, side, max)) => Err(refuse(path, format!("{name} is {side}: expected 1 to {max}"))),
        None => Ok(()),
    }
}

/// `transformer/config.json`; a missing entry is what diffusers takes for it.
pub(crate) fn mmdit(path: &Path) -> Result<MmditConfig, DiffusionError> {
    #[derive(Deserialize)]
    struct Raw {
        #[serde(rename = "_class_name")]
        class: Option<String>,
        num_layers: usize,
        attention_head_dim: usize,
        num_attention_heads: usize,
        joint_attention_dim: usize,
        caption_projection_dim: usize,
        pooled_projection_dim: usize,
        pos_embed_max_size: usize,
        #[serde(default = "two")]
        patch_size: usize,
        #[serde(default = "sixteen")]
        in_channels: usize,
        out_channels: Option<usize>,
        #[serde(default)]
        dual_attention_layers: Vec<usize>,
        qk_norm: Option<String>,
        quantization_config: Option<Value>,
    }
    let class: Class = read(path)?;
    class.must_be(path, "SD3Transformer2DModel")?;
    let raw: Raw = read(path)?;
    let _ = raw.class;
    sides(
        path,
        &[
            ("num_layers", raw.num_layers, DEPTH_MAX),
            ("attention_head_dim", raw.attention_head_dim, 1024),
            ("num_attention_heads", raw.num_attention_heads, 1024),
            ("joint_attention_dim", raw.joint_attention_dim, SIDE_MAX),
            ("pooled_projection_dim", raw.pooled_projection_dim, SIDE_MAX),
            ("pos_embed_max_size", raw.pos_embed_max_size, 4096),
            ("patch_size", raw.patch_size, 16),
            ("in_channels", raw.in_channels, 1024),
            ("out_channels", raw.out_channels.unwrap_or(raw.in_channels), 1024),
        ],
    )?;
    let hidden = raw.attention_head_dim * raw.num_attention_heads;
    check(
        path,
        &[
            (
                raw.quantization_config.is_none(),
                "its weights are quantised by a Python library: take a GGUF file instead",
            ),
            (matches!(raw.qk_norm.as_deref(), None | Some("rms_norm")), "qk_norm must be rms_norm, or none"),
            (raw.caption_projection_dim == hidden, "caption_projection_dim must be heads times their size"),
            (
                raw.dual_attention_layers.iter().all(|block| *block < raw.num_layers),
                "dual_attention_layers names a block that there is not",
            ),
        ],
    )?;
    let mut dual = raw.dual_attention_layers;
    dual.sort_unstable();
    dual.dedup();
    Ok(MmditConfig {
        depth: raw.num_layers,
        hidden,
        heads: raw.num_attention_heads,
        dual,
        qk_norm: raw.qk_norm.is_some(),
        position_side: raw.pos_embed_max_size,
        patch: raw.patch_size,
        in_channels: raw.in_channels,
        out_channels: raw.out_channels.unwrap_or(raw.in_channels),
        context: raw.joint_attention_dim,
        pooled: raw.pooled_projection_dim,
    })
}

fn two() -> usize {
    2
}

fn sixteen() -> usize {
    16
}

fn yes() -> bool {
    true
}

/// Which model a `config.json` describes.
#[derive(Deserialize)]
struct Class {
    #[serde(rename = "_class_name")]
    class: Option<String>,
    #[serde(default)]
    architectures: Vec<String>,
}

impl Class {
    fn must_be(&self, path: &Path, expected: &str) -> Result<(), DiffusionError> {
        let found = self.class.as_deref().or(self.architectures.first().map(String::as_str));
        match found {
            Some(found) if found != expected => {
                Err(refuse(path, format!("it describes a {found}: expected {expected}")))
            }
            _ => Ok(()),
        }
    }
}

/// `vae/config.json`.
pub(crate) fn vae(path: &Path) -> Result<VaeConfig, DiffusionError> {
    #[derive(Deserialize)]
    struct Raw {
        block_out_channels: Vec<usize>,
        #[serde(default = "one")]
        layers_per_block: usize,
        #[serde(default = "thirty_two")]
        norm_num_groups: usize,
        latent_channels: usize,
        scaling_factor: f32,
        shift_factor: Option<f32>,
        #[serde(default = "three")]
        in_channels: usize,
        #[serde(default = "three")]
        out_channels: usize,
        #[serde(default = "yes")]
        use_quant_conv: bool,
        #[serde(default = "yes")]
        use_post_quant_conv: bool,
        #[serde(default = "yes")]
        mid_block_add_attention: bool,
        act_fn: Option<String>,
    }
    fn one() -> usize {
        1
    }
    fn three() -> usize {
        3
    }
    fn thirty_two() -> usize {
        32
    }
    let class: Class = read(path)?;
    class.must_be(path, "AutoencoderKL")?;
    let raw: Raw = read(path)?;
    sides(
        path,
        &[
            ("layers_per_block", raw.layers_per_block, 64),
            ("norm_num_groups", raw.norm_num_groups, 1024),
            ("latent_channels", raw.latent_channels, 1024),
        ],
    )?;
    // A factor of 2⁷ along a side is more than any picture has.
    let levels = (1..=8).contains(&raw.block_out_channels.len());
    let groups = raw.norm_num_groups;
    let widths = |width: &usize| *width > 0 && *width <= 1 << 16 && width.is_multiple_of(groups);
    check(
        path,
        &[
            (levels, "block_out_channels must have 1 to 8 levels"),
            (
                raw.block_out_channels.iter().all(widths),
                "each of block_out_channels must be a multiple of norm_num_groups",
            ),
            (raw.in_channels == 3 && raw.out_channels == 3, "the picture must have 3 channels"),
            (
                !raw.use_quant_conv && !raw.use_post_quant_conv,
                "it has quant convolutions: this is an autoencoder of an older Stable Diffusion, expected that of SD3.5",
            ),
            (raw.mid_block_add_attention, "mid_block_add_attention must be true"),
            (matches!(raw.act_fn.as_deref(), None | Some("silu" | "swish")), "act_fn must be silu"),
            (
                raw.scaling_factor.is_finite() && raw.scaling_factor != 0.0,
                "scaling_factor must be a number other than 0",
            ),
            (raw.shift_factor.is_none_or(f32::is_finite), "shift_factor must be a number"),
        ],
    )?;
    Ok(VaeConfig {
        channels: raw.block_out_channels,
        layers: raw.layers_per_block,
        groups,
        latent: raw.latent_channels,
        scaling: raw.scaling_factor,
        shift: raw.shift_factor.unwrap_or(0.0),
    })
}

/// `text_encoder/config.json` and `text_encoder_2/config.json`; missing entries are transformers' own.
pub(crate) fn clip(path: &Path) -> Result<ClipConfig, DiffusionError> {
    #[derive(Deserialize)]
    struct Raw {
        num_hidden_layers: usize,
        hidden_size: usize,
        num_attention_heads: usize,
        intermediate_size: usize,
        vocab_size: usize,
        max_position_embeddings: Option<usize>,
        hidden_act: Option<String>,
        projection_dim: usize,
        eos_token_id: Option<u32>,
        layer_norm_eps: Option<f64>,
    }
    let class: Class = read(path)?;
    class.must_be(path, "CLIPTextModelWithProjection")?;
    let raw: Raw = read(path)?;
    sides(
        path,
        &[
            ("num_hidden_layers", raw.num_hidden_layers, DEPTH_MAX),
            ("hidden_size", raw.hidden_size, SIDE_MAX),
            ("num_attention_heads", raw.num_attention_heads, 1024),
            ("intermediate_size", raw.intermediate_size, SIDE_MAX),
            ("vocab_size", raw.vocab_size, SIDE_MAX),
            ("projection_dim", raw.projection_dim, SIDE_MAX),
            ("max_position_embeddings", raw.max_position_embeddings.unwrap_or(77), 4096),
        ],
    )?;
    let eps = raw.layer_norm_eps.unwrap_or(1e-5);
    check(
        path,
        &[
            (
                raw.hidden_size.is_multiple_of(raw.num_attention_heads),
                "hidden_size must be a multiple of num_attention_heads",
            ),
            ((eps - 1e-5).abs() < 1e-9, "layer_norm_eps must be 1e-5"),
        ],
    )?;
    let act = match raw.hidden_act.as_deref() {
        None | Some("quick_gelu") => ClipAct::QuickGelu,
        Some("gelu") => ClipAct::Gelu,
        Some(other) => return Err(refuse(path, format!("hidden_act is {other:?}: expected quick_gelu or gelu"))),
    };
    Ok(ClipConfig {
        layers: raw.num_hidden_layers,
        hidden: raw.hidden_size,
        heads: raw.num_attention_heads,
        inner: raw.intermediate_size,
        vocabulary: raw.vocab_size,
        positions: raw.max_position_embeddings.unwrap_or(77),
        act,
        projection: raw.projection_dim,
        // transformers' own default since it looks for the token; older files say 2.
        end: raw.eos_token_id.unwrap_or(49_407),
    })
}

/// `text_encoder_3/config.json`; missing entries are transformers' own.
pub(crate) fn t5(path: &Path) -> Result<T5Config, DiffusionError> {
    #[derive(Deserialize)]
    struct Raw {
        num_layers: usize,
        d_model: usize,
        num_heads: usize,
        d_kv: usize,
        d_ff: usize,
        vocab_size: usize,
        relative_attention_num_buckets: Option<usize>,
        relative_attention_max_distance: Option<usize>,
        layer_norm_epsilon: Option<f32>,
        feed_forward_proj: Option<String>,
    }
    let class: Class = read(path)?;
    if class.architectures.first().map(String::as_str) != Some("T5ForConditionalGeneration") {
        class.must_be(path, "T5EncoderModel")?;
    }
    let raw: Raw = read(path)?;
    let (buckets, distance) =
        (raw.relative_attention_num_buckets.unwrap_or(32), raw.relative_attention_max_distance.unwrap_or(128));
    sides(
        path,
        &[
            ("num_layers", raw.num_layers, DEPTH_MAX),
            ("d_model", raw.d_model, SIDE_MAX),
            ("num_heads", raw.num_heads, 1024),
            ("d_kv", raw.d_kv, 1024),
            ("d_ff", raw.d_ff, SIDE_MAX),
            ("vocab_size", raw.vocab_size, SIDE_MAX),
            ("relative_attention_num_buckets", buckets, 4096),
            ("relative_attention_max_distance", distance, SIDE_MAX),
        ],
    )?;
    let eps = raw.layer_norm_epsilon.unwrap_or(1e-6);
    check(
        path,
        &[
            (
                raw.feed_forward_proj.as_deref() == Some("gated-gelu"),
                "feed_forward_proj must be gated-gelu, as in T5 v1.1",
            ),
            // A quarter of the buckets, at least one, stands for single steps to each side; the rest are logarithms between.
            (buckets.is_multiple_of(4), "relative_attention_num_buckets must be a multiple of 4"),
            (distance > buckets / 4, "relative_attention_max_distance must be more than a quarter of the buckets"),
            (eps.is_finite() && eps > 0.0, "layer_norm_epsilon must be above 0"),
        ],
    )?;
    Ok(T5Config {
        layers: raw.num_layers,
        hidden: raw.d_model,
        heads: raw.num_heads,
        head: raw.d_kv,
        inner: raw.d_ff,
        vocabulary: raw.vocab_size,
        buckets,
        distance,
        eps,
    })
}

/// `scheduler/scheduler_config.json`.
pub(crate) fn scheduler(path: &Path) -> Result<Scheduler, DiffusionError> {
    #[derive(Deserialize)]
    struct Raw {
        shift: Option<f64>,
        num_train_timesteps: Option<u32>,
        #[serde(default)]
        use_dynamic_shifting: bool,
    }
    let raw: Raw = read(path)?;
    let (shift, train_steps) = (raw.shift.unwrap_or(1.0), raw.num_train_timesteps.unwrap_or(1000));
    check(
        path,
        &[
            (shift.is_finite() && shift > 0.0, "shift must be above 0"),
            ((1..=1_000_000).contains(&train_steps), "num_train_timesteps must be 1 to 1000000"),
            (!raw.use_dynamic_shifting, "use_dynamic_shifting is not for SD3.5"),
        ],
    )?;
    Ok(Scheduler { shift, train_steps })
}
