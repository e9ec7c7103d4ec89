//! A joint block: image and context tokens, each with their own parameters, attend to all of both.
//!
//! ```text
//!   x = x + gate · proj(attention(norm(x) (1 + scale) + shift, context likewise))
//!   x = x + gate₂ · proj₂(attention₂(norm(x₀) (1 + scale₂) + shift₂))           where the block is dual; x₀ went in
//!   x = x + gate · fc2(gelu(fc1(norm(x) (1 + scale) + shift)))
//! ```
//! The context does the first and the third.

use crate::config::MmditConfig;
use crate::graph::{Act, Builder, Mask, NormKind, Tokens, View, Weight};
use crate::mmdit::{EPS, EXPANSION, Table};

/// A block of a model.
pub(super) struct Block<'a> {
    pub(super) config: &'a MmditConfig,
    pub(super) index: usize,
    /// Pictures.
    pub(super) batch: usize,
    /// The rows of this step, all columns.
    pub(super) modulation: View,
    /// Whether a later block reads the context.
    pub(super) context_read: bool,
}

impl Block<'_> {
    /// Image and context after the block; the context as it was where nobody reads it.
    pub(super) fn write(&self, b: &mut Builder, image: View, context: View) -> (View, View) {
        let table = Table::of(self.config);
        let of_image = self.vectors(table.image(self.index));
        let of_context = self.vectors(table.context(self.index));

        // Both modulations of a dual block come first: then nothing needs the tokens as they went in, and the sums below
        // take their place in memory.
        let normed = b.norm(image, NormKind::Layer, EPS);
        let joint = b.modulate(normed, of_image[0], of_image[1]);
        let own = self.dual().then(|| b.modulate(normed, of_image[6], of_image[7]));
        let normed = b.norm(context, NormKind::Layer, EPS);
        let read = b.modulate(normed, of_context[0], of_context[1]);

        let streams = [
            self.tokens(b, joint, "x_block.attn", true),
            self.tokens(b, read, "context_block.attn", self.context_read),
        ];
        let learned = self.attention(b, &streams);

        // The context first, so that it is small again when the image is at its widest.
        let context = match learned.get(1) {
            Some(learned) => {
                let context = self.project(b, *learned, "context_block.attn", of_context[2], context);
                self.think(b, context, "context_block", &of_context[3..6])
            }
            None => context,
        };
        let mut image = self.project(b, learned[0], "x_block.attn", of_image[2], image);
        if let Some(own) = own {
            let stream = self.tokens(b, own, "x_block.attn2", true);
            let learned = self.attention(b, &[stream]);
            image = self.project(b, learned[0], "x_block.attn2", of_image[8], image);
        }
        (self.think(b, image, "x_block", &of_image[3..6]), context)
    }

    fn dual(&self) -> bool {
        self.config.dual.contains(&self.index)
    }

    fn name(&self, part: &str) -> String {
        format!("joint_blocks.{}.{part}", self.index)
    }

    /// Shifts, scales and gates in these columns of the table.
    fn vectors(&self, columns: std::ops::Range<usize>) -> Vec<View> {
        let hidden = self.config.hidden;
        columns.step_by(hidden).map(|from| self.modulation.columns(from, hidden)).collect()
    }

    /// Queries, keys and values; keys and values alone where nobody reads what the tokens would learn.
    fn tokens(&self, b: &mut Builder, x: View, part: &str, asks: bool) -> Tokens {
        let (hidden, name) = (self.config.hidden, self.name(part));
        let qkv = format!("{name}.qkv");
        let tokens = if asks {
            Tokens::of(b.linear(x, &qkv, 3 * hidden, true))
        } else {
            let kv = b.linear_rows(x, &qkv, 3 * hidden, hidden..3 * hidden, true);
            Tokens { query: None, key: kv.chunk(0, 2), value: kv.chunk(1, 2), query_norm: None, key_norm: None }
        };
        let norm = |b: &mut Builder, of: &str| -> Option<Weight> {
            self.config.qk_norm.then(|| b.param(&format!("{name}.{of}.weight"), &[self.head()]))
        };
        let query_norm = if asks { norm(b, "ln_q") } else { None };
        Tokens { query_norm, key_norm: norm(b, "ln_k"), ..tokens }
    }

    fn head(&self) -> usize {
        self.config.hidden / self.config.heads
    }

    fn attention(&self, b: &mut Builder, streams: &[Tokens]) -> Vec<View> {
        let scale = (self.head() as f32).sqrt().recip();
        b.attention(streams, self.batch, self.config.heads, scale, EPS, Mask::Full)
    }

    fn project(&self, b: &mut Builder, learned: View, part: &str, gate: View, to: View) -> View {
        let y = b.linear(learned, &self.name(&format!("{part}.proj")), self.config.hidden, true);
        b.gated(to, gate, y)
    }

    /// The perceptron, by its shift, scale and gate.
    fn think(&self, b: &mut Builder, x: View, part: &str, by: &[View]) -> View {
        let normed = b.norm(x, NormKind::Layer, EPS);
        let y = b.modulate(normed, by[0], by[1]);
        let y = b.linear(y, &self.name(&format!("{part}.mlp.fc1")), EXPANSION * self.config.hidden, true);
        let y = b.activate(y, Act::GeluTanh);
        let y = b.linear(y, &self.name(&format!("{part}.mlp.fc2")), self.config.hidden, true);
        b.gated(x, by[2], y)
    }
}
