//! A toy model as files, in the layouts that people have.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use super::{Tiny, Values, gauss, numbers, shapes};
use crate::config::{ClipAct, ClipConfig};
use crate::dtype::{DType, f32_to_bf16};
use crate::weights::write::{self, Head};

/// Where a single file's text encoders are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoders {
    /// In the file, under `text_encoders.`.
    Inside,
    /// In files of their own beside it: `clip_l.safetensors`, `clip_g.safetensors`, `t5xxl.safetensors`.
    Apart,
}

impl Tiny {
    /// The original layout: `sd3.5_tiny.safetensors` with transformer and autoencoder, in `folder`. Its path.
    pub fn write_single(&self, folder: &Path, encoders: Encoders) -> io::Result<PathBuf> {
        fs::create_dir_all(folder)?;
        let mut tensors = prefixed("model.diffusion_model.", self.mmdit_values());
        tensors.extend(prefixed("first_stage_model.", self.vae_values().into_iter().map(convolution).collect()));
        // A single file's CLIP-L has no projection: whoever reads it takes the identity.
        let mut clip_l = self.clip_l_values();
        clip_l.retain(|tensor| tensor.name != "text_projection.weight");
        for (name, values) in [("clip_l", clip_l), ("clip_g", self.clip_g_values()), ("t5xxl", self.t5_values())] {
            match encoders {
                Encoders::Inside => {
                    tensors.extend(prefixed(&format!("text_encoders.{name}.transformer."), values));
                }
                Encoders::Apart => fs::write(folder.join(format!("{name}.safetensors")), safetensors(&values))?,
            }
        }
        let path = folder.join("sd3.5_tiny.safetensors");
        fs::write(&path, safetensors(&tensors))?;
        Ok(path)
    }

    /// diffusers' layout in `folder`, without tokenizers. Files larger than `shard_bytes` become several with an index.
    pub fn write_diffusers(&self, folder: &Path, shard_bytes: usize) -> io::Result<()> {
        self.write_settings(folder)?;
        for (place, stem, values) in [
            ("transformer", "diffusion_pytorch_model", self.transformer_diffusers()),
            ("vae", "diffusion_pytorch_model", self.vae_diffusers()),
            ("text_encoder", "model", self.clip_l_values()),
            ("text_encoder_2", "model", self.clip_g_values()),
            ("text_encoder_3", "model", self.t5_values()),
        ] {
            write_shards(&folder.join(place), stem, values, shard_bytes)?;
        }
        Ok(())
    }

    /// The JSON files of diffusers' layout.
    fn write_settings(&self, folder: &Path) -> io::Result<()> {
        let put = |name: &str, text: String| {
            let path = folder.join(name);
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            fs::write(path, text)
        };
        put("model_index.json", MODEL_INDEX.to_owned())?;
        put(
            "scheduler/scheduler_config.json",
            format!(
                "{{\"_class_name\": \"FlowMatchEulerDiscreteScheduler\", \"num_train_timesteps\": 1000, \"shift\": {:?}}}",
                self.shift
            ),
        )?;
        put("transformer/config.json", self.transformer_json())?;
        put("vae/config.json", self.vae_json())?;
        put("text_encoder/config.json", clip_json(&self.clip_l))?;
        put("text_encoder_2/config.json", clip_json(&self.clip_g))?;
        put("text_encoder_3/config.json", self.t5_json())
    }

    /// diffusers' layout in `folder` with numbers of bf16, for models of full size: a block of random numbers again and
    /// again, in each tensor's own spread, so that gigabytes are written as fast as the disk takes them. How fast a device
    /// computes, no picture of such a model tells.
    pub fn write_diffusers_blocks(&self, folder: &Path) -> io::Result<()> {
        self.write_settings(folder)?;
        let empty = |(name, shape): (String, Vec<usize>)| Values { name, shape, values: Vec::new() };
        let all = |shapes: Vec<_>| shapes.into_iter().map(empty).collect::<Vec<_>>();
        for (place, stem, tensors) in [
            ("transformer", "diffusion_pytorch_model", self.to_transformer(all(shapes::mmdit(&self.mmdit)))),
            ("vae", "diffusion_pytorch_model", self.to_vae(all(shapes::vae(&self.vae)))),
            ("text_encoder", "model", all(shapes::clip(&self.clip_l))),
            ("text_encoder_2", "model", all(shapes::clip(&self.clip_g))),
            ("text_encoder_3", "model", all(shapes::t5(&self.t5))),
        ] {
            write_blocks(&folder.join(place), stem, self.seed, &tensors)?;
        }
        Ok(())
    }

    fn transformer_json(&self) -> String {
        let config = &self.mmdit;
        let norm = if config.qk_norm { "\"rms_norm\"" } else { "null" };
        format!(
            "{{\"_class_name\": \"SD3Transformer2DModel\", \"attention_head_dim\": {}, \"caption_projection_dim\": {}, \
             \"dual_attention_layers\": {:?}, \"in_channels\": {}, \"joint_attention_dim\": {}, \
             \"num_attention_heads\": {}, \"num_layers\": {}, \"out_channels\": {}, \"patch_size\": {}, \
             \"pooled_projection_dim\": {}, \"pos_embed_max_size\": {}, \"qk_norm\": {norm}, \"sample_size\": 32}}",
            config.hidden / config.heads,
            config.hidden,
            config.dual,
            config.in_channels,
            config.context,
            config.heads,
            config.depth,
            config.out_channels,
            config.patch,
            config.pooled,
            config.position_side,
        )
    }

    fn vae_json(&self) -> String {
        let config = &self.vae;
        let blocks = |name: &str| format!("{:?}", vec![name; config.channels.len()]);
        format!(
            "{{\"_class_name\": \"AutoencoderKL\", \"block_out_channels\": {:?}, \"down_block_types\": {}, \
             \"up_block_types\": {}, \"in_channels\": 3, \"out_channels\": 3, \"latent_channels\": {}, \
             \"layers_per_block\": {}, \"norm_num_groups\": {}, \"scaling_factor\": {:?}, \"shift_factor\": {:?}, \
             \"use_quant_conv\": false, \"use_post_quant_conv\": false, \"act_fn\": \"silu\", \"force_upcast\": true}}",
            config.channels,
            blocks("DownEncoderBlock2D"),
            blocks("UpDecoderBlock2D"),
            config.latent,
            config.layers,
            config.groups,
            config.scaling,
            config.shift,
        )
    }

    fn t5_json(&self) -> String {
        let config = &self.t5;
        format!(
            "{{\"architectures\": [\"T5EncoderModel\"], \"d_model\": {}, \"d_kv\": {}, \"num_heads\": {}, \"d_ff\": {}, \
             \"num_layers\": {}, \"vocab_size\": {}, \"relative_attention_num_buckets\": {}, \
             \"relative_attention_max_distance\": {}, \"layer_norm_epsilon\": {:?}, \"feed_forward_proj\": \
             \"gated-gelu\", \"dense_act_fn\": \"gelu_new\", \"is_gated_act\": true, \"model_type\": \"t5\"}}",
            config.hidden,
            config.head,
            config.heads,
            config.inner,
            config.layers,
            config.vocabulary,
            config.buckets,
            config.distance,
            config.eps,
        )
    }

    /// q, k and v apart, and scale before shift where diffusers has it so.
    fn transformer_diffusers(&self) -> Vec<Values> {
        self.to_transformer(self.mmdit_values())
    }

    fn to_transformer(&self, tensors: Vec<Values>) -> Vec<Values> {
        let hidden = self.mmdit.hidden;
        let last = format!("joint_blocks.{}.context_block.adaLN_modulation.1.", self.mmdit.depth - 1);
        let mut out = Vec::new();
        for mut tensor in tensors {
            if tensor.name.starts_with("final_layer.adaLN_modulation.1.") || tensor.name.starts_with(&last) {
                let half = tensor.values.len() / 2;
                tensor.values.rotate_left(half);
            }
            let (stem, leaf) = tensor.name.rsplit_once('.').unwrap_or(("", &tensor.name));
            let (block, rest) = stem
                .strip_prefix("joint_blocks.")
                .and_then(|rest| rest.split_once('.'))
                .map_or((String::new(), stem), |(block, rest)| (format!("transformer_blocks.{block}."), rest));
            let parts: &[&str] = match rest {
                "x_block.attn.qkv" => &["attn.to_q", "attn.to_k", "attn.to_v"],
                "x_block.attn2.qkv" => &["attn2.to_q", "attn2.to_k", "attn2.to_v"],
                "context_block.attn.qkv" => &["attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"],
                other => &[TRANSFORMER.iter().find(|(original, _)| *original == other).map_or(other, |(_, to)| to)],
            };
            let rows = if parts.len() > 1 { hidden } else { tensor.shape[0] };
            let len = tensor.values.len() / parts.len();
            for (place, part) in parts.iter().enumerate() {
                let name = match (tensor.name.as_str(), *part) {
                    ("pos_embed", _) => "pos_embed.pos_embed".to_owned(),
                    (_, part) => format!("{block}{part}.{leaf}"),
                };
                let mut shape = tensor.shape.clone();
                shape[0] = rows;
                out.push(Values { name, shape, values: tensor.values[place * len..(place + 1) * len].to_vec() });
            }
        }
        out
    }

    fn vae_diffusers(&self) -> Vec<Values> {
        self.to_vae(self.vae_values())
    }

    /// Blocks on the way out are numbered in the order in which they run.
    fn to_vae(&self, tensors: Vec<Values>) -> Vec<Values> {
        let levels = self.vae.channels.len();
        let rename = |mut tensor: Values| {
            let mut name = tensor.name.clone();
            for level in 0..levels {
                let ran = levels - 1 - level;
                for (original, diffusers) in [
                    (format!("encoder.down.{level}.block."), format!("encoder.down_blocks.{level}.resnets.")),
                    (
                        format!("encoder.down.{level}.downsample."),
                        format!("encoder.down_blocks.{level}.downsamplers.0."),
                    ),
                    (format!("decoder.up.{level}.block."), format!("decoder.up_blocks.{ran}.resnets.")),
                    (format!("decoder.up.{level}.upsample."), format!("decoder.up_blocks.{ran}.upsamplers.0.")),
                ] {
                    if let Some(rest) = tensor.name.strip_prefix(&original) {
                        name = format!("{diffusers}{rest}");
                    }
                }
            }
            for (original, diffusers) in VAE {
                name = name.replace(original, diffusers);
            }
            tensor.name = name;
            tensor
        };
        tensors.into_iter().map(rename).collect()
    }
}

/// Layers of the transformer, original and diffusers.
const TRANSFORMER: &[(&str, &str)] = &[
    ("x_embedder.proj", "pos_embed.proj"),
    ("t_embedder.mlp.0", "time_text_embed.timestep_embedder.linear_1"),
    ("t_embedder.mlp.2", "time_text_embed.timestep_embedder.linear_2"),
    ("y_embedder.mlp.0", "time_text_embed.text_embedder.linear_1"),
    ("y_embedder.mlp.2", "time_text_embed.text_embedder.linear_2"),
    ("final_layer.adaLN_modulation.1", "norm_out.linear"),
    ("final_layer.linear", "proj_out"),
    ("x_block.adaLN_modulation.1", "norm1.linear"),
    ("context_block.adaLN_modulation.1", "norm1_context.linear"),
    ("x_block.attn.proj", "attn.to_out.0"),
    ("x_block.attn.ln_q", "attn.norm_q"),
    ("x_block.attn.ln_k", "attn.norm_k"),
    ("x_block.attn2.proj", "attn2.to_out.0"),
    ("x_block.attn2.ln_q", "attn2.norm_q"),
    ("x_block.attn2.ln_k", "attn2.norm_k"),
    ("context_block.attn.proj", "attn.to_add_out"),
    ("context_block.attn.ln_q", "attn.norm_added_q"),
    ("context_block.attn.ln_k", "attn.norm_added_k"),
    ("x_block.mlp.fc1", "ff.net.0.proj"),
    ("x_block.mlp.fc2", "ff.net.2"),
    ("context_block.mlp.fc1", "ff_context.net.0.proj"),
    ("context_block.mlp.fc2", "ff_context.net.2"),
];

/// Pieces of the autoencoder's names, original and diffusers; in this order, for one holds another.
const VAE: &[(&str, &str)] = &[
    ("mid.block_1.", "mid_block.resnets.0."),
    ("mid.block_2.", "mid_block.resnets.1."),
    ("mid.attn_1.norm.", "mid_block.attentions.0.group_norm."),
    ("mid.attn_1.q.", "mid_block.attentions.0.to_q."),
    ("mid.attn_1.k.", "mid_block.attentions.0.to_k."),
    ("mid.attn_1.v.", "mid_block.attentions.0.to_v."),
    ("mid.attn_1.proj_out.", "mid_block.attentions.0.to_out.0."),
    ("nin_shortcut", "conv_shortcut"),
    ("coder.norm_out", "coder.conv_norm_out"),
];

const MODEL_INDEX: &str = r#"{
  "_class_name": "StableDiffusion3Pipeline",
  "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
  "text_encoder": ["transformers", "CLIPTextModelWithProjection"],
  "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
  "text_encoder_3": ["transformers", "T5EncoderModel"],
  "tokenizer": ["transformers", "CLIPTokenizer"],
  "tokenizer_2": ["transformers", "CLIPTokenizer"],
  "tokenizer_3": ["transformers", "T5TokenizerFast"],
  "transformer": ["diffusers", "SD3Transformer2DModel"],
  "vae": ["diffusers", "AutoencoderKL"]
}
"#;

fn clip_json(config: &ClipConfig) -> String {
    let act = match config.act {
        ClipAct::QuickGelu => "quick_gelu",
        ClipAct::Gelu => "gelu",
    };
    format!(
        "{{\"architectures\": [\"CLIPTextModelWithProjection\"], \"hidden_act\": \"{act}\", \"hidden_size\": {}, \
         \"intermediate_size\": {}, \"num_attention_heads\": {}, \"num_hidden_layers\": {}, \"projection_dim\": {}, \
         \"max_position_embeddings\": {}, \"vocab_size\": {}, \"bos_token_id\": 0, \"eos_token_id\": {}, \
         \"pad_token_id\": 1, \"layer_norm_eps\": 1e-05, \"model_type\": \"clip_text_model\"}}",
        config.hidden,
        config.inner,
        config.heads,
        config.layers,
        config.projection,
        config.positions,
        config.vocabulary,
        config.end,
    )
}

fn prefixed(prefix: &str, mut tensors: Vec<Values>) -> Vec<Values> {
    for tensor in &mut tensors {
        tensor.name.insert_str(0, prefix);
    }
    tensors
}

/// Single files keep the layers of the autoencoder's attention as 1×1 convolutions.
fn convolution(mut tensor: Values) -> Values {
    if tensor.name.contains(".mid.attn_1.") && tensor.shape.len() == 2 {
        tensor.shape.extend([1, 1]);
    }
    tensor
}

/// Random numbers that are written again and again.
const BLOCK: usize = 1 << 20;

fn write_blocks(folder: &Path, stem: &str, seed: u64, tensors: &[Values]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    let heads: Vec<Head> =
        tensors.iter().map(|tensor| Head::new(tensor.name.clone(), DType::Bf16, &tensor.shape)).collect();
    let block = gauss(seed, "block", BLOCK, 1.0);
    let mut file = fs::File::create(folder.join(format!("{stem}.safetensors")))?;
    // The last spread's block: most tensors that follow each other are of a few spreads.
    let mut made: Vec<((f32, f64), Vec<u8>)> = Vec::new();
    write::safetensors(&mut file, &heads, &metadata, |index, out| {
        let tensor = &tensors[index];
        let (mean, deviation) = numbers::spread(&tensor.name, &tensor.shape);
        if !made.iter().any(|(spread, _)| *spread == (mean, deviation)) {
            let spread = block.iter().map(|number| f32_to_bf16(number * deviation as f32 + mean).to_le_bytes());
            made.push(((mean, deviation), spread.flatten().collect()));
        }
        let bytes = made.iter().find(|(spread, _)| *spread == (mean, deviation)).map_or(&[][..], |(_, bytes)| bytes);
        // Each tensor begins elsewhere in the block, so that no two matrices are alike.
        let mut left = 2 * tensor.shape.iter().product::<usize>();
        let mut from = (index * 65_537 % BLOCK) * 2;
        while left > 0 {
            let part = &bytes[from..bytes.len().min(from + left)];
            out.write_all(part)?;
            left -= part.len();
            from = 0;
        }
        Ok(())
    })
}

fn write_shards(folder: &Path, stem: &str, tensors: Vec<Values>, shard_bytes: usize) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let mut shards: Vec<Vec<Values>> = vec![Vec::new()];
    let mut filled = 0;
    for tensor in tensors {
        let bytes = 4 * tensor.values.len();
        if filled > 0 && filled + bytes > shard_bytes {
            shards.push(Vec::new());
            filled = 0;
        }
        filled += bytes;
        if let Some(shard) = shards.last_mut() {
            shard.push(tensor);
        }
    }
    if let [tensors] = &shards[..] {
        return fs::write(folder.join(format!("{stem}.safetensors")), safetensors(tensors));
    }
    let (count, mut map, mut total) = (shards.len(), String::new(), 0);
    for (place, tensors) in shards.iter().enumerate() {
        let file = format!("{stem}-{:05}-of-{count:05}.safetensors", place + 1);
        for tensor in tensors {
            let comma = if map.is_empty() { "" } else { ", " };
            let _ = write!(map, "{comma}{:?}: {file:?}", tensor.name);
            total += 4 * tensor.values.len();
        }
        fs::write(folder.join(file), safetensors(tensors))?;
    }
    let index = format!("{{\"metadata\": {{\"total_size\": {total}}}, \"weight_map\": {{{map}}}}}");
    fs::write(folder.join(format!("{stem}.safetensors.index.json")), index)
}

/// The bytes of a safetensors file of singles.
pub fn safetensors(tensors: &[Values]) -> Vec<u8> {
    let mut header = String::from("{\"__metadata__\": {\"format\": \"pt\"}");
    let mut end = 0;
    for tensor in tensors {
        let start = end;
        end += 4 * tensor.values.len();
        let _ = write!(
            header,
            ", {:?}: {{\"dtype\": \"F32\", \"shape\": {:?}, \"data_offsets\": [{start}, {end}]}}",
            tensor.name, tensor.shape
        );
    }
    header.push('}');
    // Numbers start at a multiple of 8.
    header.extend(std::iter::repeat_n(' ', header.len().next_multiple_of(8) - header.len()));
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend(tensors.iter().flat_map(|tensor| &tensor.values).flat_map(|value| value.to_le_bytes()));
    bytes
}
