//! The CLIP text encoders as operations: pre-norm blocks with causal attention and no mask for padding, as diffusers
//! calls them.
//!
//! [`graph`] gives the features that go into the last block, which SD3.5 reads (`hidden_states[-2]`, before any final
//! norm), and those that come out of it. [`pool`] makes the pooled text out of one row of the latter, the end token's:
//! which one that is only the numbers of the tokens say, so it is a program of its own that is bound to the row.

use crate::config::{ClipAct, ClipConfig};
use crate::graph::{Act, Builder, Element, Graph, Mask, NormKind, Tokens, View};

/// Epsilon of all norms.
const EPS: f32 = 1e-5;

/// `ids` of `[batch · positions, 1]` become `penultimate` and `last`, `[batch · positions, hidden]`.
pub fn graph(config: &ClipConfig, batch: usize) -> Graph {
    let mut b = Builder::new();
    let ids = b.input("ids", batch * config.positions, 1, Element::U32);
    let positions = b.param("text_model.embeddings.position_embedding.weight", &[config.positions, config.hidden]);
    let table = "text_model.embeddings.token_embedding.weight";
    let mut x = b.embed(ids, table, config.vocabulary, config.hidden, Some(positions));
    for layer in 0..config.layers {
        if layer + 1 == config.layers {
            b.output("penultimate", x);
        }
        x = block(&mut b, config, batch, layer, x);
    }
    b.output("last", x);
    b.finish()
}

fn block(b: &mut Builder, config: &ClipConfig, batch: usize, layer: usize, x: View) -> View {
    let name = |part: &str| format!("text_model.encoder.layers.{layer}.{part}");
    let hidden = config.hidden;
    let normed = b.norm_affine(x, NormKind::Layer, EPS, &name("layer_norm1"));
    let qkv = b.wide(x.rows, 3 * hidden);
    for (index, part) in ["q_proj", "k_proj", "v_proj"].into_iter().enumerate() {
        b.linear_into(normed, &name(&format!("self_attn.{part}")), hidden, 0..hidden, true, qkv.chunk(index, 3));
    }
    let scale = ((hidden / config.heads) as f32).powf(-0.5);
    let seen = b.attention(&[Tokens::of(qkv)], batch, config.heads, scale, EPS, Mask::Causal)[0];
    let seen = b.linear(seen, &name("self_attn.out_proj"), hidden, true);
    let x = b.add(x, seen);
    let y = b.norm_affine(x, NormKind::Layer, EPS, &name("layer_norm2"));
    let y = b.linear(y, &name("mlp.fc1"), config.inner, true);
    let y = b.activate(
        y,
        match config.act {
            ClipAct::QuickGelu => Act::QuickGelu,
            ClipAct::Gelu => Act::Gelu,
        },
    );
    let y = b.linear(y, &name("mlp.fc2"), hidden, true);
    b.add(x, y)
}

/// What makes the pooled text of the end token's features.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Projection {
    /// `text_projection.weight`.
    Linear,
    /// None: single files of CLIP-L carry no projection, and it is the identity.
    Identity,
}

/// `row` of `[1, hidden]` becomes `pooled`, `[1, projection]`.
pub fn pool(config: &ClipConfig, projection: Projection) -> Graph {
    let mut b = Builder::new();
    let row = b.input("row", 1, config.hidden, Element::Act);
    let mut pooled = b.norm_affine(row, NormKind::Layer, EPS, "text_model.final_layer_norm");
    if projection == Projection::Linear {
        pooled = b.linear(pooled, "text_projection", config.projection, false);
    }
    b.output("pooled", pooled);
    b.finish()
}

/// The place of the end token: the first one; where the configuration is of the old kind (it says 2, which is no end
/// token of CLIP's), the first of the highest number, as transformers has it. The first place of all if there is none.
pub fn end_place(config: &ClipConfig, ids: &[u32]) -> usize {
    let end = match config.end {
        2 => ids.iter().copied().max().unwrap_or(0),
        end => end,
    };
    ids.iter().position(|id| *id == end).unwrap_or(0)
}
