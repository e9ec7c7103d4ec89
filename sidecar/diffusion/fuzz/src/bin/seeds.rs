//! Writes the corpus: a file of every format and part, as small as it can be.

use std::collections::BTreeMap;
use std::fs;

use thumbforge_diffusion_fuzz::dtype::DType;
use thumbforge_diffusion_fuzz::weights::write::{self, Head, Value};

fn main() -> std::io::Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "corpus".into());
    fs::create_dir_all(&folder)?;
    let head = |name: &str, dtype, shape: &[usize]| Head::new(name, dtype, shape);
    let files: [(&str, Vec<Head>); 7] = [
        (
            "transformer",
            vec![
                head("model.diffusion_model.x_embedder.proj.weight", DType::F16, &[4, 1, 1, 1]),
                head("model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight", DType::F8E4M3, &[12, 4]),
                head("model.diffusion_model.joint_blocks.0.x_block.attn.qkv.scale_weight", DType::F32, &[]),
                head("model.diffusion_model.joint_blocks.0.x_block.attn.ln_q.weight", DType::F32, &[4]),
                head("model.diffusion_model.context_embedder.weight", DType::Bf16, &[4, 2]),
                head("model.diffusion_model.y_embedder.mlp.0.weight", DType::F32, &[4, 2]),
                head("model.diffusion_model.final_layer.linear.weight", DType::F32, &[1, 4]),
                head("model.diffusion_model.pos_embed", DType::F32, &[1, 4, 4]),
            ],
        ),
        (
            "diffusers",
            vec![
                head("pos_embed.proj.weight", DType::F32, &[4, 1, 1, 1]),
                head("pos_embed.pos_embed", DType::F32, &[1, 1, 4]),
                head("transformer_blocks.0.attn.add_q_proj.weight", DType::F32, &[4, 4]),
            ],
        ),
        (
            "vae",
            vec![
                head("decoder.mid.block_1.conv1.weight", DType::F32, &[1, 1, 3, 3]),
                head("decoder.conv_in.weight", DType::F32, &[1, 1, 3, 3]),
            ],
        ),
        (
            "clip",
            vec![
                head("text_model.embeddings.token_embedding.weight", DType::F32, &[2, 4]),
                head("text_model.embeddings.position_embedding.weight", DType::F32, &[2, 4]),
                head("text_model.encoder.layers.0.mlp.fc1.weight", DType::F32, &[4, 4]),
                head("text_projection", DType::F16, &[4, 4]),
            ],
        ),
        (
            "t5",
            vec![
                head("shared.weight", DType::F32, &[2, 2]),
                head("encoder.block.0.layer.0.SelfAttention.q.weight", DType::F32, &[2, 2]),
                head("encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", DType::F32, &[4, 1]),
                head("encoder.block.0.layer.1.DenseReluDense.wi_0.weight", DType::F32, &[2, 2]),
            ],
        ),
        (
            "lora",
            vec![
                head("transformer.transformer_blocks.0.attn.to_q.lora_A.weight", DType::F32, &[1, 2]),
                head("transformer.transformer_blocks.0.attn.to_q.lora_B.weight", DType::F32, &[2, 1]),
                head("lora_unet_joint_blocks_0_x_block_attn_qkv.alpha", DType::F32, &[]),
            ],
        ),
        ("none", Vec::new()),
    ];
    let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    for (name, heads) in files {
        let zeros =
            |index: usize, out: &mut dyn std::io::Write| out.write_all(&vec![0; heads[index].bytes().unwrap_or(0)]);
        write::safetensors(&mut fs::File::create(format!("{folder}/{name}.safetensors"))?, &heads, &metadata, zeros)?;
    }
    let heads = [
        head("enc.blk.0.attn_q.weight", DType::Q8_0, &[2, 32]),
        head("token_embd.weight", DType::Q4K, &[1, 256]),
        head("joint_blocks.0.x_block.attn.qkv.weight", DType::F16, &[3, 1]),
    ];
    let values = [
        ("general.architecture".to_owned(), Value::Text("sd3".into())),
        ("general.alignment".to_owned(), Value::U32(32)),
        ("comfy.gguf.orig_shape.token_embd.weight".to_owned(), Value::I32s(vec![4, 64])),
        ("tokenizer.ggml.tokens".to_owned(), Value::Texts(vec!["a".into(), "b".into()])),
    ];
    // Blocks that this writer does not fill with numbers are zeros all the same.
    let zeros = |index: usize, out: &mut dyn std::io::Write| out.write_all(&vec![0; heads[index].bytes().unwrap_or(0)]);
    write::gguf(&mut fs::File::create(format!("{folder}/t5.gguf"))?, &heads, &values, zeros)
}
