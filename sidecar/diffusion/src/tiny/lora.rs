//! One low-rank adapter of a toy in the spellings that people's files have; `tests/diffusion/reference/lora.py` makes the
//! same.

use super::{Values, gauss};
use crate::config::MmditConfig;

/// An adapter whose numbers follow from a seed.
#[derive(Debug, Clone, PartialEq)]
pub struct Adapter {
    /// Of its numbers.
    pub seed: u64,
    /// Rank of every layer.
    pub rank: usize,
    /// What is added is multiplied with this over the rank.
    pub alpha: f32,
}

/// How a file of adapters names its tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// diffusers with PEFT: `transformer.transformer_blocks.0.attn.to_q.lora_A.weight`, alpha folded in.
    Peft,
    /// kohya's scripts: `lora_unet_joint_blocks_0_x_block_attn_qkv.lora_down.weight`, and an alpha per layer.
    Kohya,
    /// The original layout: `diffusion_model.joint_blocks.0.x_block.attn.qkv.lora_A.weight`, alpha folded in.
    Original,
}

/// A layer that is adapted: its name in diffusers, where it stands in the original files, its sides.
struct Layer {
    diffusers: String,
    original: String,
    rows: usize,
    columns: usize,
}

impl Adapter {
    /// The tensors of its file.
    pub fn spelled(&self, config: &MmditConfig, spelling: Spelling) -> Vec<Values> {
        let (rank, share) = (self.rank, self.alpha / self.rank as f32);
        let mut out = Vec::new();
        let mut add = |name: String, shape: Vec<usize>, values: Vec<f32>| out.push(Values { name, shape, values });
        let scaled = |values: Vec<f32>| values.into_iter().map(|value| value * share).collect::<Vec<f32>>();
        let layers = layers(config);
        if spelling == Spelling::Peft {
            for layer in &layers {
                let stem = format!("transformer.{}", layer.diffusers);
                add(format!("{stem}.lora_A.weight"), vec![rank, layer.columns], self.down(layer));
                add(format!("{stem}.lora_B.weight"), vec![layer.rows, rank], scaled(self.up(layer)));
            }
            return out;
        }
        for parts in layers.chunk_by(|a, b| a.original == b.original) {
            let (count, columns) = (parts.len(), parts[0].columns);
            let (rows, ranks) = (parts.iter().map(|part| part.rows).sum::<usize>(), count * rank);
            let down: Vec<f32> = parts.iter().flat_map(|part| self.down(part)).collect();
            // Each part's rows look at that part's ranks alone.
            let mut up = vec![0.0; rows * ranks];
            for (index, part) in parts.iter().enumerate() {
                for (row, values) in self.up(part).chunks_exact(rank).enumerate() {
                    up[(index * part.rows + row) * ranks + index * rank..][..rank].copy_from_slice(values);
                }
            }
            let (shape_down, shape_up) = (vec![ranks, columns], vec![rows, ranks]);
            if spelling == Spelling::Kohya {
                let stem = format!("lora_unet_{}", parts[0].original.replace('.', "_"));
                add(format!("{stem}.lora_down.weight"), shape_down, down);
                add(format!("{stem}.lora_up.weight"), shape_up, up);
                // It is divided by all ranks that stand together.
                add(format!("{stem}.alpha"), vec![], vec![self.alpha * count as f32]);
            } else {
                let stem = format!("diffusion_model.{}", parts[0].original);
                add(format!("{stem}.lora_A.weight"), shape_down, down);
                add(format!("{stem}.lora_B.weight"), shape_up, scaled(up));
            }
        }
        out
    }

    fn down(&self, layer: &Layer) -> Vec<f32> {
        let deviation = 1.0 / (layer.columns as f64).sqrt();
        gauss(self.seed, &format!("lora/{}.down", layer.diffusers), self.rank * layer.columns, deviation)
    }

    fn up(&self, layer: &Layer) -> Vec<f32> {
        let deviation = 0.4 / (self.rank as f64).sqrt();
        gauss(self.seed, &format!("lora/{}.up", layer.diffusers), layer.rows * self.rank, deviation)
    }
}

/// Every kind of layer that a trainer may pick; parts of one original layer follow one another.
fn layers(config: &MmditConfig) -> Vec<Layer> {
    let hidden = config.hidden;
    let mut out = Vec::new();
    for block in 0..config.depth {
        let mut add = |diffusers: &str, original: &str, rows: usize, columns: usize| {
            out.push(Layer {
                diffusers: format!("transformer_blocks.{block}.{diffusers}"),
                original: format!("joint_blocks.{block}.{original}"),
                rows,
                columns,
            });
        };
        let mut three = |names: [&str; 3], original: &str| {
            for name in names {
                add(name, original, hidden, hidden);
            }
        };
        three(["attn.to_q", "attn.to_k", "attn.to_v"], "x_block.attn.qkv");
        three(["attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"], "context_block.attn.qkv");
        if config.dual.contains(&block) {
            three(["attn2.to_q", "attn2.to_k", "attn2.to_v"], "x_block.attn2.qkv");
            add("attn2.to_out.0", "x_block.attn2.proj", hidden, hidden);
        }
        add("attn.to_out.0", "x_block.attn.proj", hidden, hidden);
        add("ff.net.0.proj", "x_block.mlp.fc1", 4 * hidden, hidden);
        add("ff.net.2", "x_block.mlp.fc2", hidden, 4 * hidden);
        if block + 1 < config.depth {
            add("attn.to_add_out", "context_block.attn.proj", hidden, hidden);
            add("ff_context.net.0.proj", "context_block.mlp.fc1", 4 * hidden, hidden);
        }
    }
    out.push(Layer {
        diffusers: "proj_out".to_owned(),
        original: "final_layer.linear".to_owned(),
        rows: config.patch * config.patch * config.out_channels,
        columns: hidden,
    });
    out
}
