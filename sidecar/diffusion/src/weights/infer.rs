//! Configurations read off the tensors, where no file says them.

use crate::config::{ClipAct, ClipConfig, MmditConfig, T5Config, VaeConfig};
use crate::error::DiffusionError;
use crate::weights::Encoder;
use crate::weights::file::Files;
use crate::weights::find::Found;
use crate::weights::names::Layout;
use crate::weights::refuse;
use crate::weights::settings::{DEPTH_MAX, SIDE_MAX};

/// Tensors of one part.
struct Look<'a> {
    files: &'a Files,
    found: &'a Found,
}

impl Look<'_> {
    /// The sides of a tensor that has `N` of them.
    fn sides<const N: usize>(&self, name: &str) -> Result<[usize; N], DiffusionError> {
        let full = format!("{}{name}", self.found.prefix);
        let Some(shape) = self.files.shape(&full) else {
            return Err(self.fail(format!("it lacks {full:?}")));
        };
        let sides = <[usize; N]>::try_from(shape).ok();
        let sides = sides.filter(|sides| sides.iter().all(|side| (1..=SIDE_MAX).contains(side)));
        sides.ok_or_else(|| self.fail(format!("tensor {full:?} has the sides {shape:?}: expected {N} of them")))
    }

    fn has(&self, name: &str) -> bool {
        self.files.has(&format!("{}{name}", self.found.prefix))
    }

    /// How many of `name(0)`, `name(1)`, … there are without a gap.
    fn count(&self, max: usize, name: impl Fn(usize) -> String) -> usize {
        (0..max).take_while(|index| self.has(&name(*index))).count()
    }

    fn fail(&self, reason: String) -> DiffusionError {
        refuse(self.files.path(), format!("the {}: {reason}", self.found.kind.word()))
    }
}

/// Features of a head of every SD3 model.
pub(crate) const HEAD: usize = 64;

/// The transformer's.
pub(crate) fn mmdit(files: &Files, found: &Found) -> Result<MmditConfig, DiffusionError> {
    let look = Look { files, found };
    let diffusers = found.layout == Layout::Diffusers;
    let pick = |original: &'static str, other: &'static str| if diffusers { other } else { original };
    let [hidden, in_channels, patch, _] = look.sides(pick("x_embedder.proj.weight", "pos_embed.proj.weight"))?;
    let table = format!("{}{}", found.prefix, pick("pos_embed", "pos_embed.pos_embed"));
    let places: usize = files.shape(&table).map_or(0, |shape| shape.iter().product::<usize>() / hidden);
    let [_, context] = look.sides("context_embedder.weight")?;
    let pooled = pick("y_embedder.mlp.0.weight", "time_text_embed.text_embedder.linear_1.weight");
    let [_, pooled] = look.sides(pooled)?;
    let [out, _] = look.sides(pick("final_layer.linear.weight", "proj_out.weight"))?;
    let block = |index: usize, original: &str, other: &str| match diffusers {
        true => format!("transformer_blocks.{index}.{other}"),
        false => format!("joint_blocks.{index}.{original}"),
    };
    let depth = look.count(DEPTH_MAX, |index| block(index, "x_block.attn.qkv.weight", "attn.to_q.weight"));
    let second = |index: &usize| look.has(&block(*index, "x_block.attn2.qkv.weight", "attn2.to_q.weight"));
    let norm = block(0, "x_block.attn.ln_q.weight", "attn.norm_q.weight");
    let qk_norm = look.has(&norm);
    let head = if qk_norm { look.sides::<1>(&norm)?[0] } else { HEAD };
    if !hidden.is_multiple_of(head) {
        return Err(look.fail(format!("{hidden} features are not a multiple of {head}, the features of a head")));
    }
    if patch > 16 || !out.is_multiple_of(patch * patch) {
        return Err(look.fail(format!("{out} outputs are no patches of {patch}×{patch}")));
    }
    Ok(MmditConfig {
        depth,
        hidden,
        heads: hidden / head,
        dual: (0..depth).filter(second).collect(),
        qk_norm,
        position_side: places.isqrt(),
        patch,
        in_channels,
        out_channels: out / (patch * patch),
        context,
        pooled,
    })
}

/// The autoencoder's channels, layers per level, and channels of latents.
pub(crate) fn shapes_of_vae(files: &Files, found: &Found) -> Result<(Vec<usize>, usize, usize), DiffusionError> {
    let look = Look { files, found };
    let (level, block) = match found.layout {
        Layout::Diffusers => ("encoder.down_blocks", "resnets"),
        _ => ("encoder.down", "block"),
    };
    let conv = |index: usize, number: usize| format!("{level}.{index}.{block}.{number}.conv2.weight");
    let levels = look.count(8, |index| conv(index, 0));
    let layers = look.count(64, |number| conv(0, number));
    let width = |index| look.sides::<4>(&conv(index, 0)).map(|sides| sides[0]);
    let channels = (0..levels).map(width).collect::<Result<Vec<_>, _>>()?;
    let [_, latent, ..] = look.sides::<4>("decoder.conv_in.weight")?;
    if look.has("post_quant_conv.weight") || latent == 4 {
        return Err(look.fail(format!(
            "it has {latent} latent channels{}: this is the autoencoder of an older Stable Diffusion; SD3.5's has 16 and no \
             such convolutions",
            if look.has("post_quant_conv.weight") { " and quant convolutions" } else { "" }
        )));
    }
    if channels.is_empty() {
        return Err(look.fail("it has no encoder".into()));
    }
    Ok((channels, layers, latent))
}

/// The autoencoder's. Its groups leave no trace in tensors: 32, as in every autoencoder of Stable Diffusion; the scaling of
/// 16 channels is SD3's.
pub(crate) fn vae(files: &Files, found: &Found) -> Result<VaeConfig, DiffusionError> {
    let (channels, layers, latent) = shapes_of_vae(files, found)?;
    let groups = 32;
    match channels.iter().find(|width| !width.is_multiple_of(groups)) {
        Some(width) => Err(Look { files, found }.fail(format!(
            "{width} channels are no multiple of {groups} groups; give the folder whose vae/config.json says them \
             (--tokenizers)"
        ))),
        None => Ok(VaeConfig { channels, layers, groups, latent, scaling: 1.5305, shift: 0.0609 }),
    }
}

/// A CLIP text encoder's. Heads and activation leave no trace in tensors: heads of 64, and the activation that this
/// encoder has in SD3.5.
pub(crate) fn clip(files: &Files, found: &Found, encoder: Encoder) -> Result<ClipConfig, DiffusionError> {
    let look = Look { files, found };
    let [vocabulary, hidden] = look.sides("text_model.embeddings.token_embedding.weight")?;
    let [positions, _] = look.sides("text_model.embeddings.position_embedding.weight")?;
    let layer = |index: usize| format!("text_model.encoder.layers.{index}.mlp.fc1.weight");
    let layers = look.count(DEPTH_MAX, layer);
    let [inner, _] = look.sides(&layer(0))?;
    let projection = match look.has("text_projection.weight") {
        true => look.sides::<2>("text_projection.weight")?[0],
        false => hidden,
    };
    Ok(ClipConfig {
        layers,
        hidden,
        heads: (hidden / HEAD).max(1),
        inner,
        vocabulary,
        positions,
        act: if encoder == Encoder::ClipL { ClipAct::QuickGelu } else { ClipAct::Gelu },
        projection,
        // The rule of every published configuration: the token with the highest number.
        end: 2,
    })
}

/// The T5 encoder's; distance and epsilon are those of every T5 v1.1.
pub(crate) fn t5(files: &Files, found: &Found) -> Result<T5Config, DiffusionError> {
    let look = Look { files, found };
    let llama = found.layout == Layout::Llama;
    let pick = |original: &'static str, other: &'static str| if llama { other } else { original };
    let table = match pick("shared.weight", "token_embd.weight") {
        "shared.weight" if !look.has("shared.weight") => "encoder.embed_tokens.weight",
        table => table,
    };
    let [vocabulary, hidden] = look.sides(table)?;
    let block = |index: usize, original: &str, other: &str| match llama {
        true => format!("enc.blk.{index}.{other}.weight"),
        false => format!("encoder.block.{index}.{original}.weight"),
    };
    let layers = look.count(DEPTH_MAX, |index| block(index, "layer.0.SelfAttention.q", "attn_q"));
    let [inside, _] = look.sides(&block(0, "layer.0.SelfAttention.q", "attn_q"))?;
    let [buckets, heads] = look.sides(&block(0, "layer.0.SelfAttention.relative_attention_bias", "attn_rel_b"))?;
    let [inner, _] = look.sides(&block(0, "layer.1.DenseReluDense.wi_0", "ffn_gate"))?;
    if !inside.is_multiple_of(heads) || !buckets.is_multiple_of(4) {
        return Err(look.fail(format!("{inside} features in {heads} heads with {buckets} buckets do not go together")));
    }
    Ok(T5Config { layers, hidden, heads, head: inside / heads, inner, vocabulary, buckets, distance: 128, eps: 1e-6 })
}
