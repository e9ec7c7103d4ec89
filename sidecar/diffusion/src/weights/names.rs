//! What every part of a model must have: names and sides of the original files, and where other layouts keep the same rows.
//!
//! The differences of diffusers: q, k and v lie apart; where it uses its continuous norm (the final layer, and the text of
//! the last block) scale comes before shift, in the original files after it; the autoencoder's levels on the way out are
//! numbered from the other end. Text encoders keep the names of transformers everywhere but in GGUF files of T5, which have
//! llama.cpp's.

use std::ops::Range;

use crate::config::{ClipConfig, MmditConfig, T5Config, VaeConfig};

/// Whose names a file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// The original files', and transformers'.
    Original,
    /// diffusers'.
    Diffusers,
    /// llama.cpp's, for T5.
    Llama,
}

/// A parameter that a part of a model must have.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Want {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    /// Where diffusers keeps its rows, from the first to the last; empty where under the same name.
    diffusers: Vec<Piece>,
    /// llama.cpp's name, where it is another.
    llama: Option<String>,
}

/// Rows of a stored tensor.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Piece {
    pub(crate) name: String,
    /// Rows that the stored tensor has in all.
    pub(crate) all: usize,
    pub(crate) rows: Range<usize>,
}

impl Want {
    /// The pieces that make it in a layout.
    pub(crate) fn pieces(&self, layout: Layout) -> Vec<Piece> {
        let rows = self.shape.first().copied().unwrap_or(1);
        let whole = |name: &str| vec![Piece { name: name.to_owned(), all: rows, rows: 0..rows }];
        match (layout, &self.llama) {
            (Layout::Diffusers, _) if !self.diffusers.is_empty() => self.diffusers.clone(),
            (Layout::Llama, Some(name)) => whole(name),
            _ => whole(&self.name),
        }
    }
}

/// Features of a timestep before its embedding.
const FREQUENCIES: usize = 256;

#[derive(Default)]
struct List(Vec<Want>);

impl List {
    fn add(&mut self, name: &str, shape: &[usize], diffusers: &str) {
        let all = shape.first().copied().unwrap_or(1);
        let diffusers = match diffusers {
            "" => Vec::new(),
            other => vec![Piece { name: other.to_owned(), all, rows: 0..all }],
        };
        self.0.push(Want { name: name.to_owned(), shape: shape.to_vec(), diffusers, llama: None });
    }

    /// Weight and bias.
    fn affine(&mut self, name: &str, shape: &[usize], diffusers: &str) {
        for (leaf, shape) in [("weight", shape), ("bias", &shape[..shape.len().min(1)])] {
            let diffusers = if diffusers.is_empty() { String::new() } else { format!("{diffusers}.{leaf}") };
            self.add(&format!("{name}.{leaf}"), shape, &diffusers);
        }
    }

    /// Several layers of diffusers as one.
    fn joined(&mut self, name: &str, shape: &[usize], diffusers: [String; 3]) {
        self.affine(name, shape, "");
        let all = shape.first().map_or(0, |rows| rows / 3);
        let stored = self.0.len();
        for (want, leaf) in self.0[stored - 2..].iter_mut().zip(["weight", "bias"]) {
            want.diffusers =
                diffusers.iter().map(|layer| Piece { name: format!("{layer}.{leaf}"), all, rows: 0..all }).collect();
        }
    }

    /// A layer whose halves diffusers keeps in the other order.
    fn swapped(&mut self, name: &str, shape: &[usize], diffusers: &str) {
        self.affine(name, shape, diffusers);
        let stored = self.0.len();
        for want in &mut self.0[stored - 2..] {
            if let Some(piece) = want.diffusers.pop() {
                let (all, half) = (piece.all, piece.all / 2);
                want.diffusers.push(Piece { rows: half..all, ..piece.clone() });
                want.diffusers.push(Piece { rows: 0..half, ..piece });
            }
        }
    }

    /// A weight of a text encoder.
    fn text(&mut self, name: String, shape: &[usize], llama: Option<String>) {
        self.0.push(Want { name, shape: shape.to_vec(), diffusers: Vec::new(), llama });
    }
}

/// The transformer's.
pub(crate) fn mmdit(config: &MmditConfig) -> Vec<Want> {
    let mut list = List::default();
    let (hidden, head) = (config.hidden, config.hidden / config.heads.max(1));
    list.add("pos_embed", &[1, config.position_side * config.position_side, hidden], "pos_embed.pos_embed");
    list.affine("x_embedder.proj", &[hidden, config.in_channels, config.patch, config.patch], "pos_embed.proj");
    list.affine("t_embedder.mlp.0", &[hidden, FREQUENCIES], "time_text_embed.timestep_embedder.linear_1");
    list.affine("t_embedder.mlp.2", &[hidden, hidden], "time_text_embed.timestep_embedder.linear_2");
    list.affine("y_embedder.mlp.0", &[hidden, config.pooled], "time_text_embed.text_embedder.linear_1");
    list.affine("y_embedder.mlp.2", &[hidden, hidden], "time_text_embed.text_embedder.linear_2");
    list.affine("context_embedder", &[hidden, config.context], "context_embedder");
    for block in 0..config.depth {
        let (old, new, last) =
            (format!("transformer_blocks.{block}"), format!("joint_blocks.{block}"), block + 1 == config.depth);
        let dual = config.dual.contains(&block);
        let (x, context) = (format!("{new}.x_block"), format!("{new}.context_block"));
        let modulations = if dual { 9 } else { 6 };
        list.affine(
            &format!("{x}.adaLN_modulation.1"),
            &[modulations * hidden, hidden],
            &format!("{old}.norm1.linear"),
        );
        let (norm, to) = (format!("{context}.adaLN_modulation.1"), format!("{old}.norm1_context.linear"));
        match last {
            // The text of the last block goes nowhere but into the attention of the picture.
            true => list.swapped(&norm, &[2 * hidden, hidden], &to),
            false => list.affine(&norm, &[6 * hidden, hidden], &to),
        }
        for (side, attention, layers, norms) in [
            (&x, "attn", ["attn.to_q", "attn.to_k", "attn.to_v"], "attn.norm_"),
            (&context, "attn", ["attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"], "attn.norm_added_"),
            (&x, "attn2", ["attn2.to_q", "attn2.to_k", "attn2.to_v"], "attn2.norm_"),
        ] {
            if attention == "attn2" && !dual {
                continue;
            }
            let layers = layers.map(|layer| format!("{old}.{layer}"));
            list.joined(&format!("{side}.{attention}.qkv"), &[3 * hidden, hidden], layers);
            for leaf in ["q", "k"].into_iter().filter(|_| config.qk_norm) {
                let name = format!("{side}.{attention}.ln_{leaf}.weight");
                list.add(&name, &[head], &format!("{old}.{norms}{leaf}.weight"));
            }
        }
        list.affine(&format!("{x}.attn.proj"), &[hidden, hidden], &format!("{old}.attn.to_out.0"));
        if dual {
            list.affine(&format!("{x}.attn2.proj"), &[hidden, hidden], &format!("{old}.attn2.to_out.0"));
        }
        list.affine(&format!("{x}.mlp.fc1"), &[4 * hidden, hidden], &format!("{old}.ff.net.0.proj"));
        list.affine(&format!("{x}.mlp.fc2"), &[hidden, 4 * hidden], &format!("{old}.ff.net.2"));
        if !last {
            list.affine(&format!("{context}.attn.proj"), &[hidden, hidden], &format!("{old}.attn.to_add_out"));
            list.affine(&format!("{context}.mlp.fc1"), &[4 * hidden, hidden], &format!("{old}.ff_context.net.0.proj"));
            list.affine(&format!("{context}.mlp.fc2"), &[hidden, 4 * hidden], &format!("{old}.ff_context.net.2"));
        }
    }
    list.swapped("final_layer.adaLN_modulation.1", &[2 * hidden, hidden], "norm_out.linear");
    list.affine("final_layer.linear", &[config.patch * config.patch * config.out_channels, hidden], "proj_out");
    list.0
}

/// The autoencoder's.
pub(crate) fn vae(config: &VaeConfig) -> Vec<Want> {
    let mut list = List::default();
    let levels = config.channels.len();
    let (Some(&first), Some(&last)) = (config.channels.first(), config.channels.last()) else { return list.0 };

    list.affine("encoder.conv_in", &[first, 3, 3, 3], "encoder.conv_in");
    let mut from = first;
    for (level, to) in config.channels.iter().enumerate() {
        let (new, old) = (format!("encoder.down.{level}"), format!("encoder.down_blocks.{level}"));
        for block in 0..config.layers {
            residual(&mut list, &format!("{new}.block.{block}"), &format!("{old}.resnets.{block}"), from, *to);
            from = *to;
        }
        if level + 1 < levels {
            let old = format!("{old}.downsamplers.0.conv");
            list.affine(&format!("{new}.downsample.conv"), &[from, from, 3, 3], &old);
        }
    }
    middle(&mut list, "encoder", last);
    list.affine("encoder.norm_out", &[last], "encoder.conv_norm_out");
    list.affine("encoder.conv_out", &[2 * config.latent, last, 3, 3], "encoder.conv_out");

    list.affine("decoder.conv_in", &[last, config.latent, 3, 3], "decoder.conv_in");
    middle(&mut list, "decoder", last);
    let mut from = last;
    for (level, to) in config.channels.iter().enumerate().rev() {
        let (new, old) = (format!("decoder.up.{level}"), format!("decoder.up_blocks.{}", levels - 1 - level));
        for block in 0..=config.layers {
            residual(&mut list, &format!("{new}.block.{block}"), &format!("{old}.resnets.{block}"), from, *to);
            from = *to;
        }
        if level > 0 {
            let old = format!("{old}.upsamplers.0.conv");
            list.affine(&format!("{new}.upsample.conv"), &[from, from, 3, 3], &old);
        }
    }
    list.affine("decoder.norm_out", &[first], "decoder.conv_norm_out");
    list.affine("decoder.conv_out", &[3, first, 3, 3], "decoder.conv_out");
    list.0
}

fn residual(list: &mut List, new: &str, old: &str, from: usize, to: usize) {
    list.affine(&format!("{new}.norm1"), &[from], &format!("{old}.norm1"));
    list.affine(&format!("{new}.conv1"), &[to, from, 3, 3], &format!("{old}.conv1"));
    list.affine(&format!("{new}.norm2"), &[to], &format!("{old}.norm2"));
    list.affine(&format!("{new}.conv2"), &[to, to, 3, 3], &format!("{old}.conv2"));
    if from != to {
        list.affine(&format!("{new}.nin_shortcut"), &[to, from, 1, 1], &format!("{old}.conv_shortcut"));
    }
}

fn middle(list: &mut List, side: &str, channels: usize) {
    let (new, old) = (format!("{side}.mid"), format!("{side}.mid_block"));
    residual(list, &format!("{new}.block_1"), &format!("{old}.resnets.0"), channels, channels);
    list.affine(&format!("{new}.attn_1.norm"), &[channels], &format!("{old}.attentions.0.group_norm"));
    for (layer, to) in [("q", "to_q"), ("k", "to_k"), ("v", "to_v"), ("proj_out", "to_out.0")] {
        let old = format!("{old}.attentions.0.{to}");
        // The original files keep them as convolutions of one pixel: the same numbers in the same order.
        list.affine(&format!("{new}.attn_1.{layer}"), &[channels, channels], &old);
    }
    residual(list, &format!("{new}.block_2"), &format!("{old}.resnets.1"), channels, channels);
}

/// A CLIP text encoder's; the projection only where the file has one.
pub(crate) fn clip(config: &ClipConfig, projected: bool) -> Vec<Want> {
    let mut list = List::default();
    let hidden = config.hidden;
    list.add("text_model.embeddings.token_embedding.weight", &[config.vocabulary, hidden], "");
    list.add("text_model.embeddings.position_embedding.weight", &[config.positions, hidden], "");
    for layer in 0..config.layers {
        let name = format!("text_model.encoder.layers.{layer}");
        list.affine(&format!("{name}.layer_norm1"), &[hidden], "");
        for projection in ["q_proj", "k_proj", "v_proj", "out_proj"] {
            list.affine(&format!("{name}.self_attn.{projection}"), &[hidden, hidden], "");
        }
        list.affine(&format!("{name}.layer_norm2"), &[hidden], "");
        list.affine(&format!("{name}.mlp.fc1"), &[config.inner, hidden], "");
        list.affine(&format!("{name}.mlp.fc2"), &[hidden, config.inner], "");
    }
    list.affine("text_model.final_layer_norm", &[hidden], "");
    if projected {
        list.add("text_projection.weight", &[config.projection, hidden], "");
    }
    list.0
}

/// The T5 encoder's.
pub(crate) fn t5(config: &T5Config) -> Vec<Want> {
    let mut list = List::default();
    let (hidden, inside) = (config.hidden, config.heads * config.head);
    list.text("shared.weight".into(), &[config.vocabulary, hidden], Some("token_embd.weight".into()));
    for block in 0..config.layers {
        let (attention, feed) = (format!("encoder.block.{block}.layer.0"), format!("encoder.block.{block}.layer.1"));
        let llama = |leaf: &str| Some(format!("enc.blk.{block}.{leaf}.weight"));
        for (layer, shape) in
            [("q", [inside, hidden]), ("k", [inside, hidden]), ("v", [inside, hidden]), ("o", [hidden, inside])]
        {
            list.text(format!("{attention}.SelfAttention.{layer}.weight"), &shape, llama(&format!("attn_{layer}")));
        }
        if block == 0 {
            let name = format!("{attention}.SelfAttention.relative_attention_bias.weight");
            list.text(name, &[config.buckets, config.heads], llama("attn_rel_b"));
        }
        list.text(format!("{attention}.layer_norm.weight"), &[hidden], llama("attn_norm"));
        let dense = format!("{feed}.DenseReluDense");
        list.text(format!("{dense}.wi_0.weight"), &[config.inner, hidden], llama("ffn_gate"));
        list.text(format!("{dense}.wi_1.weight"), &[config.inner, hidden], llama("ffn_up"));
        list.text(format!("{dense}.wo.weight"), &[hidden, config.inner], llama("ffn_down"));
        list.text(format!("{feed}.layer_norm.weight"), &[hidden], llama("ffn_norm"));
    }
    list.text("encoder.final_layer_norm.weight".into(), &[hidden], Some("enc.output_norm.weight".into()));
    list.0
}
