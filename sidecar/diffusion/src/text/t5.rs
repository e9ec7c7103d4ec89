//! The T5 v1.1 encoder as operations: norms by the root mean square, scores that are not scaled but shifted by how far
//! tokens are apart, and gated GELUs. All tokens see all, padding included, as diffusers calls it.

use crate::config::T5Config;
use crate::graph::{Act, Builder, Element, Graph, Mask, NormKind, Tokens};

/// `ids` of `[batch · tokens, 1]` become `hidden`, `[batch · tokens, hidden]`.
pub fn graph(config: &T5Config, tokens: usize, batch: usize) -> Graph {
    let mut b = Builder::new();
    let ids = b.input("ids", batch * tokens, 1, Element::U32);
    let mut x = b.embed(ids, "shared.weight", config.vocabulary, config.hidden, None);
    // The first block's table serves them all.
    let table = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight";
    let bias = b.relative_bias(table, config.buckets, config.heads, tokens, config.distance);
    let wide = config.heads * config.head;
    for layer in 0..config.layers {
        let name = |part: &str| format!("encoder.block.{layer}.layer.{part}");
        let normed = b.norm_affine(x, NormKind::Rms, config.eps, &name("0.layer_norm"));
        let qkv = b.wide(x.rows, 3 * wide);
        for (index, part) in ["q", "k", "v"].into_iter().enumerate() {
            let part = name(&format!("0.SelfAttention.{part}"));
            b.linear_into(normed, &part, wide, 0..wide, false, qkv.chunk(index, 3));
        }
        let seen = b.attention(&[Tokens::of(qkv)], batch, config.heads, 1.0, config.eps, Mask::Bias(bias))[0];
        let seen = b.linear(seen, &name("0.SelfAttention.o"), config.hidden, false);
        x = b.add(x, seen);
        let normed = b.norm_affine(x, NormKind::Rms, config.eps, &name("1.layer_norm"));
        let gate = b.linear(normed, &name("1.DenseReluDense.wi_0"), config.inner, false);
        let gate = b.activate(gate, Act::GeluTanh);
        let y = b.linear(normed, &name("1.DenseReluDense.wi_1"), config.inner, false);
        let y = b.times(gate, y);
        let y = b.linear(y, &name("1.DenseReluDense.wo"), config.hidden, false);
        x = b.add(x, y);
    }
    let x = b.norm_affine(x, NormKind::Rms, config.eps, "encoder.final_layer_norm");
    b.output("hidden", x);
    b.finish()
}
