//! Which tensors a model has, by the names of the original files.

use crate::config::{ClipConfig, MmditConfig, T5Config, VaeConfig};

type Shapes = Vec<(String, Vec<usize>)>;

/// Features of a timestep before its embedding.
const FREQUENCIES: usize = 256;

struct List(Shapes);

impl List {
    fn add(&mut self, name: impl Into<String>, shape: &[usize]) {
        self.0.push((name.into(), shape.to_vec()));
    }

    fn affine(&mut self, name: &str, shape: &[usize]) {
        self.add(format!("{name}.weight"), shape);
        self.add(format!("{name}.bias"), &shape[..1]);
    }
}

pub(super) fn mmdit(config: &MmditConfig) -> Shapes {
    let mut list = List(Vec::new());
    let (hidden, head) = (config.hidden, config.hidden / config.heads);
    list.add("pos_embed", &[1, config.position_side * config.position_side, hidden]);
    list.affine("x_embedder.proj", &[hidden, config.in_channels, config.patch, config.patch]);
    list.affine("t_embedder.mlp.0", &[hidden, FREQUENCIES]);
    list.affine("t_embedder.mlp.2", &[hidden, hidden]);
    list.affine("y_embedder.mlp.0", &[hidden, config.pooled]);
    list.affine("y_embedder.mlp.2", &[hidden, hidden]);
    list.affine("context_embedder", &[hidden, config.context]);
    for block in 0..config.depth {
        let last = block + 1 == config.depth;
        let dual = config.dual.contains(&block);
        for (stream, text) in [("x_block", false), ("context_block", true)] {
            let name = format!("joint_blocks.{block}.{stream}");
            // The last block's text goes nowhere but into the attention of the image.
            let ends = last && text;
            let parts = if ends {
                2
            } else if dual && !text {
                9
            } else {
                6
            };
            list.affine(&format!("{name}.adaLN_modulation.1"), &[parts * hidden, hidden]);
            for attention in if dual && !text { &["attn", "attn2"][..] } else { &["attn"] } {
                list.affine(&format!("{name}.{attention}.qkv"), &[3 * hidden, hidden]);
                if config.qk_norm {
                    list.add(format!("{name}.{attention}.ln_q.weight"), &[head]);
                    list.add(format!("{name}.{attention}.ln_k.weight"), &[head]);
                }
                if !ends {
                    list.affine(&format!("{name}.{attention}.proj"), &[hidden, hidden]);
                }
            }
            if !ends {
                list.affine(&format!("{name}.mlp.fc1"), &[4 * hidden, hidden]);
                list.affine(&format!("{name}.mlp.fc2"), &[hidden, 4 * hidden]);
            }
        }
    }
    list.affine("final_layer.adaLN_modulation.1", &[2 * hidden, hidden]);
    list.affine("final_layer.linear", &[config.patch * config.patch * config.out_channels, hidden]);
    list.0
}

pub(super) fn vae(config: &VaeConfig) -> Shapes {
    let mut list = List(Vec::new());
    let (channels, levels) = (&config.channels, config.channels.len());
    let (first, last) = (channels[0], channels[levels - 1]);

    list.affine("encoder.conv_in", &[first, 3, 3, 3]);
    let mut from = first;
    for (level, to) in channels.iter().enumerate() {
        for block in 0..config.layers {
            residual(&mut list, &format!("encoder.down.{level}.block.{block}"), from, *to);
            from = *to;
        }
        if level + 1 < levels {
            list.affine(&format!("encoder.down.{level}.downsample.conv"), &[from, from, 3, 3]);
        }
    }
    middle(&mut list, "encoder", last);
    list.affine("encoder.conv_out", &[2 * config.latent, last, 3, 3]);

    list.affine("decoder.conv_in", &[last, config.latent, 3, 3]);
    middle(&mut list, "decoder", last);
    let mut from = last;
    // Levels keep the numbers that they had on the way in.
    for (level, to) in channels.iter().enumerate().rev() {
        for block in 0..=config.layers {
            residual(&mut list, &format!("decoder.up.{level}.block.{block}"), from, *to);
            from = *to;
        }
        if level > 0 {
            list.affine(&format!("decoder.up.{level}.upsample.conv"), &[from, from, 3, 3]);
        }
    }
    list.affine("decoder.norm_out", &[first]);
    list.affine("decoder.conv_out", &[3, first, 3, 3]);
    list.0
}

fn residual(list: &mut List, name: &str, from: usize, to: usize) {
    list.affine(&format!("{name}.norm1"), &[from]);
    list.affine(&format!("{name}.conv1"), &[to, from, 3, 3]);
    list.affine(&format!("{name}.norm2"), &[to]);
    list.affine(&format!("{name}.conv2"), &[to, to, 3, 3]);
    if from != to {
        list.affine(&format!("{name}.nin_shortcut"), &[to, from, 1, 1]);
    }
}

fn middle(list: &mut List, side: &str, channels: usize) {
    residual(list, &format!("{side}.mid.block_1"), channels, channels);
    list.affine(&format!("{side}.mid.attn_1.norm"), &[channels]);
    for layer in ["q", "k", "v", "proj_out"] {
        list.affine(&format!("{side}.mid.attn_1.{layer}"), &[channels, channels]);
    }
    residual(list, &format!("{side}.mid.block_2"), channels, channels);
    if side == "encoder" {
        list.affine("encoder.norm_out", &[channels]);
    }
}

pub(super) fn clip(config: &ClipConfig) -> Shapes {
    let mut list = List(Vec::new());
    let hidden = config.hidden;
    list.add("text_model.embeddings.token_embedding.weight", &[config.vocabulary, hidden]);
    list.add("text_model.embeddings.position_embedding.weight", &[config.positions, hidden]);
    for layer in 0..config.layers {
        let name = format!("text_model.encoder.layers.{layer}");
        list.affine(&format!("{name}.layer_norm1"), &[hidden]);
        for projection in ["q_proj", "k_proj", "v_proj", "out_proj"] {
            list.affine(&format!("{name}.self_attn.{projection}"), &[hidden, hidden]);
        }
        list.affine(&format!("{name}.layer_norm2"), &[hidden]);
        list.affine(&format!("{name}.mlp.fc1"), &[config.inner, hidden]);
        list.affine(&format!("{name}.mlp.fc2"), &[hidden, config.inner]);
    }
    list.affine("text_model.final_layer_norm", &[hidden]);
    list.add("text_projection.weight", &[config.projection, hidden]);
    list.0
}

pub(super) fn t5(config: &T5Config) -> Shapes {
    let mut list = List(Vec::new());
    let (hidden, inside) = (config.hidden, config.heads * config.head);
    list.add("shared.weight", &[config.vocabulary, hidden]);
    for block in 0..config.layers {
        let attention = format!("encoder.block.{block}.layer.0");
        for projection in ["q", "k", "v"] {
            list.add(format!("{attention}.SelfAttention.{projection}.weight"), &[inside, hidden]);
        }
        list.add(format!("{attention}.SelfAttention.o.weight"), &[hidden, inside]);
        if block == 0 {
            list.add(
                format!("{attention}.SelfAttention.relative_attention_bias.weight"),
                &[config.buckets, config.heads],
            );
        }
        list.add(format!("{attention}.layer_norm.weight"), &[hidden]);
        let feed = format!("encoder.block.{block}.layer.1");
        list.add(format!("{feed}.DenseReluDense.wi_0.weight"), &[config.inner, hidden]);
        list.add(format!("{feed}.DenseReluDense.wi_1.weight"), &[config.inner, hidden]);
        list.add(format!("{feed}.DenseReluDense.wo.weight"), &[hidden, config.inner]);
        list.add(format!("{feed}.layer_norm.weight"), &[hidden]);
    }
    list.add("encoder.final_layer_norm.weight", &[hidden]);
    list.0
}
