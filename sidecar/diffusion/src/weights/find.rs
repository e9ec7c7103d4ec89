//! Which parts of a model a set of tensors has, told from names, never from the file's name.

use crate::error::DiffusionError;
use crate::weights::file::Files;
use crate::weights::names::Layout;
use crate::weights::refuse;

/// A part of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Mmdit,
    Vae,
    Clip,
    T5,
}

impl Kind {
    /// The word in messages.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Mmdit => "transformer",
            Self::Vae => "autoencoder",
            Self::Clip => "CLIP text encoder",
            Self::T5 => "T5 text encoder",
        }
    }
}

/// A part that stands in a file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Found {
    pub(crate) kind: Kind,
    pub(crate) layout: Layout,
    /// What stands before each of its names.
    pub(crate) prefix: String,
}

/// A tensor that every such part has, and one that tells it from its relatives.
const MARKS: [(Kind, Layout, &str, &str); 6] = [
    (Kind::Mmdit, Layout::Original, "joint_blocks.0.x_block.attn.qkv.weight", "x_embedder.proj.weight"),
    // Flux has the first of these too, but no positions in a table.
    (Kind::Mmdit, Layout::Diffusers, "transformer_blocks.0.attn.add_q_proj.weight", "pos_embed.proj.weight"),
    (Kind::Vae, Layout::Original, "decoder.mid.block_1.conv1.weight", "decoder.conv_in.weight"),
    (Kind::Vae, Layout::Diffusers, "decoder.mid_block.resnets.0.conv1.weight", "decoder.conv_in.weight"),
    (Kind::Clip, Layout::Original, "text_model.embeddings.token_embedding.weight", ""),
    (Kind::T5, Layout::Original, "encoder.block.0.layer.0.SelfAttention.q.weight", ""),
];

/// llama.cpp's names of T5; nothing stands before them.
const MARK_LLAMA: &str = "enc.blk.0.attn_q.weight";

/// Every part in `files`.
pub(crate) fn parts(files: &Files) -> Vec<Found> {
    let mut found = Vec::new();
    for name in files.names() {
        for (kind, layout, mark, second) in MARKS {
            let Some(prefix) = name.strip_suffix(mark) else { continue };
            let whole = prefix.is_empty() || prefix.ends_with('.');
            if whole && (second.is_empty() || files.has(&format!("{prefix}{second}"))) {
                found.push(Found { kind, layout, prefix: prefix.to_owned() });
            }
        }
        if name == MARK_LLAMA {
            found.push(Found { kind: Kind::T5, layout: Layout::Llama, prefix: String::new() });
        }
    }
    // Older Stable Diffusions keep a CLIP and an autoencoder under the same names, but no such transformer.
    let ours = found.iter().any(|found| found.kind == Kind::Mmdit) || stranger_base(files).is_none();
    if ours { found } else { Vec::new() }
}

fn any(files: &Files, test: impl Fn(&str) -> bool) -> bool {
    files.names().any(test)
}

/// Models of other kinds that have parts with our names.
fn stranger_base(files: &Files) -> Option<&'static str> {
    if any(files, |name| name.starts_with("conditioner.embedders.")) {
        return Some("an SDXL checkpoint (it has conditioner.embedders.…)");
    }
    if any(files, |name| name.starts_with("cond_stage_model.")) {
        return Some("a checkpoint of Stable Diffusion 1 or 2 (it has cond_stage_model.…)");
    }
    None
}

/// What a file without any part of SD3.5 is.
pub(crate) fn stranger(files: &Files) -> String {
    if let Some(what) = stranger_base(files) {
        return what.to_owned();
    }
    let has = |piece: &str| any(files, |name| name.contains(piece));
    let first = files.names().next().unwrap_or("no tensor at all");
    match () {
        () if has("lora_down.")
            || has("lora_up.")
            || has("lora_A.")
            || has("lora.down.")
            || has(".lokr_")
            || has(".hada_") =>
        {
            "a LoRA: give it with --lora, beside a model".into()
        }
        () if has("controlnet_") || has("pos_embed_input.") => "a ControlNet, which is not supported".into(),
        () if has("double_blocks.") || has("single_transformer_blocks.") => "a Flux model".into(),
        () if has("resblocks.0.attn.in_proj_weight") => {
            "a CLIP in OpenCLIP's names: take the file that comes with SD3.5 (clip_g.safetensors)".into()
        }
        () if has("input_blocks.") || has("down_blocks.") => "a U-Net of an older Stable Diffusion".into(),
        () if has("model.layers.") || has("blk.0.ffn") => "a language model".into(),
        () if has("joint_blocks.") || has("transformer_blocks.") => {
            format!("an MMDiT of another make, or a piece of one (it has {first:?})")
        }
        () => format!("no model that is known here (its first tensor is {first:?})"),
    }
}

/// The refusal of a file without any part of SD3.5.
pub(crate) fn refuse_stranger(files: &Files) -> DiffusionError {
    let reason = format!(
        "this is {}; expected a transformer of SD3.5 (joint_blocks.…), an autoencoder, a CLIP or a T5 encoder",
        stranger(files)
    );
    refuse(files.path(), reason)
}
