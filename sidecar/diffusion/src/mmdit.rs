//! MMDiT-X, the transformer of Stable Diffusion 3.5, as operations.
//!
//! Formulas are those of the original `mmditx.py` of Stability AI's SD3.5 reference and of diffusers'
//! `SD3Transformer2DModel`, which agree; parameters have the names of the original files. Two programs draw a picture:
//!
//! ```text
//! prepare   once per prompt and schedule    context, modulation (of every step), positions
//! step      once per call of the model      latents ─► velocity
//! ```
//!
//! What a timestep does to a block depends on the timestep and the pooled text alone, not on the latents. So all steps
//! are prepared at once, in products of many rows, and no step reads those parameters, a quarter of the model's, again.
//!
//! Rows are picture-major: `batch` pictures, and of each its tokens, from left to right and then down. With guidance the
//! batch holds the pictures without the prompt and then those with it, as diffusers orders them.

use std::ops::Range;

use crate::config::MmditConfig;
use crate::error::DiffusionError;
use crate::graph::{Act, Builder, Element, Geometry, Graph, NormKind, View};
use crate::mmdit::block::Block;

mod block;
#[cfg(test)]
mod tests;

/// Of layer norms, and of the norms of queries and keys.
const EPS: f32 = 1e-6;
/// Cosines and sines that a time is spread over.
const FREQUENCIES: usize = 256;
/// How much wider the inner layer of a block's perceptron is.
const EXPANSION: usize = 4;

/// Where the shift, scale and gate vectors of every block stand in a row of the table `modulation`.
///
/// A row holds, for each block in turn, the outcome of its `x_block.adaLN_modulation.1` and of its
/// `context_block.adaLN_modulation.1`, and at the end that of `final_layer.adaLN_modulation.1`; each as the original
/// files order it, in vectors of [`MmditConfig::hidden`]:
///
/// | layer | vectors |
/// |---|---|
/// | image, context | shift, scale, gate of the attention; shift, scale, gate of the perceptron |
/// | image with a second attention | the same; shift, scale, gate of the second attention |
/// | context of the last block, final layer | shift, scale (diffusers stores scale first) |
#[derive(Debug, Clone, Copy)]
pub struct Table<'a> {
    config: &'a MmditConfig,
}

impl<'a> Table<'a> {
    /// That of a model.
    pub fn of(config: &'a MmditConfig) -> Self {
        Self { config }
    }

    /// Vectors of a block's image tokens.
    fn of_image(self, block: usize) -> usize {
        if self.config.dual.contains(&block) { 9 } else { 6 }
    }

    /// Vectors of a block's context tokens: nothing follows the last block's, so it has no gates and no perceptron.
    fn of_context(self, block: usize) -> usize {
        if block + 1 == self.config.depth { 2 } else { 6 }
    }

    fn before(self, block: usize) -> usize {
        (0..block).map(|block| self.of_image(block) + self.of_context(block)).sum::<usize>() * self.config.hidden
    }

    /// Columns of the image tokens of a block.
    pub fn image(self, block: usize) -> Range<usize> {
        let from = self.before(block);
        from..from + self.of_image(block) * self.config.hidden
    }

    /// Columns of the context tokens of a block.
    pub fn context(self, block: usize) -> Range<usize> {
        let from = self.image(block).end;
        from..from + self.of_context(block) * self.config.hidden
    }

    /// Columns of the final layer.
    pub fn last(self) -> Range<usize> {
        let from = self.before(self.config.depth);
        from..from + 2 * self.config.hidden
    }

    /// All columns.
    pub fn columns(self) -> usize {
        self.last().end
    }
}

/// Latents of a picture, and how many are drawn at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Rows of the batch: twice the pictures where they are guided.
    pub batch: usize,
    /// Prompts in the batch: as many pictures for each, one after the other, share its rows of the modulation.
    pub conditions: usize,
    /// Latent pixels from top to bottom.
    pub height: usize,
    /// Latent pixels from left to right.
    pub width: usize,
    /// Text tokens of a picture: 77 of CLIP and those of T5.
    pub text: usize,
}

impl Shape {
    /// Patches from top to bottom and from left to right.
    fn patches(self, config: &MmditConfig) -> (usize, usize) {
        (self.height / config.patch, self.width / config.patch)
    }

    /// Image tokens of a picture.
    pub fn tokens(self, config: &MmditConfig) -> usize {
        let (height, width) = self.patches(config);
        height * width
    }

    fn check(self, config: &MmditConfig) -> Result<(), DiffusionError> {
        let (side, patch) = (config.position_side, config.patch);
        let fits = |side_of: usize| side_of > 0 && side_of.is_multiple_of(patch) && side_of / patch <= side;
        if self.batch == 0 || self.text == 0 || self.conditions == 0 || !self.batch.is_multiple_of(self.conditions) {
            return Err(DiffusionError::Request("plan a picture: nothing is to be drawn".to_owned()));
        }
        if !fits(self.height) || !fits(self.width) {
            return Err(DiffusionError::Request(format!(
                "plan a picture of {} x {} latent pixels (width x height): this model draws multiples of {patch} up to \
                 {}; ask for another size",
                self.width,
                self.height,
                side * patch,
            )));
        }
        Ok(())
    }
}

/// What does not change from step to step.
///
/// | kept | | |
/// |---|---|---|
/// | `text` | in | `[batch · text, context]`, the tokens of the text encoders |
/// | `pooled` | in | `[conditions, pooled]` |
/// | `times` | in | `[steps · conditions, 1]` singles, 1000 times sigma; row `step · conditions + condition` |
/// | `context` | out | `[batch · text, hidden]` |
/// | `modulation` | out | `[steps · conditions, columns]`, rows as those of `times`, columns as [`Table`] says |
/// | `positions` | out | `[tokens, hidden]`: the middle of the model's table |
///
/// # Errors
/// [`DiffusionError::Request`] for a size that the model has no positions for.
pub fn prepare(config: &MmditConfig, shape: Shape, steps: usize) -> Result<Graph, DiffusionError> {
    shape.check(config)?;
    let hidden = config.hidden;
    let mut b = Builder::new();

    let text = b.input("text", shape.batch * shape.text, config.context, Element::Act);
    let context = b.linear(text, "context_embedder", hidden, true);
    b.output("context", context);

    let pooled = b.input("pooled", shape.conditions, config.pooled, Element::Act);
    let pooled = perceptron(&mut b, pooled, "y_embedder", hidden);
    let times = b.input("times", steps.max(1) * shape.conditions, 1, Element::F32);
    let times = b.timestep(times, FREQUENCIES);
    let times = perceptron(&mut b, times, "t_embedder", hidden);
    // The rows of the pooled text repeat for every step.
    let when = b.add(pooled, times);
    let when = b.activate(when, Act::Silu);

    let table = Table::of(config);
    let modulation = b.wide(when.rows, table.columns());
    let mut fill = |name: &str, columns: Range<usize>| {
        let rows = 0..columns.len();
        let out = modulation.columns(columns.start, columns.len());
        b.linear_into(when, &format!("{name}.adaLN_modulation.1"), rows.len(), rows, true, out);
    };
    for block in 0..config.depth {
        fill(&format!("joint_blocks.{block}.x_block"), table.image(block));
        fill(&format!("joint_blocks.{block}.context_block"), table.context(block));
    }
    fill("final_layer", table.last());
    b.output("modulation", modulation);

    let (height, width) = shape.patches(config);
    let positions = b.positions("pos_embed", config.position_side, hidden, height, width);
    b.output("positions", positions);
    Ok(b.finish())
}

/// Whether [`prepare`] alone reads the parameter `name`, and [`step`] never.
pub fn prepares(name: &str) -> bool {
    let embedders = ["context_embedder.", "y_embedder.", "t_embedder.", "pos_embed"];
    embedders.iter().any(|embedder| name.starts_with(embedder)) || name.contains(".adaLN_modulation.")
}

/// Whether the parameter `name` may be kept in eight bits: the matrices of attention and perceptrons, nearly all of what
/// [`step`] reads. What comes before and behind the blocks is small, and errs in every pixel.
pub fn in_eights(name: &str) -> bool {
    let layers = [".qkv.weight", ".proj.weight", ".fc1.weight", ".fc2.weight"];
    name.starts_with("joint_blocks.") && layers.iter().any(|layer| name.ends_with(layer))
}

/// Two linear layers with a SiLU between them.
fn perceptron(b: &mut Builder, x: View, name: &str, hidden: usize) -> View {
    let inner = b.linear(x, &format!("{name}.mlp.0"), hidden, true);
    let inner = b.activate(inner, Act::Silu);
    b.linear(inner, &format!("{name}.mlp.2"), hidden, true)
}

/// One call of the model. Blocks in `skip` are left out, both of their streams, as skip-layer guidance wants it.
///
/// | kept | | |
/// |---|---|---|
/// | `latents` | in | `[batch · height · width, in_channels]`, a pixel a row |
/// | `context`, `positions` | in | as [`prepare`] makes them; not written |
/// | `modulation` | in | `[conditions, columns]`: the rows of this step |
/// | `velocity` | out | `[batch · height · width, out_channels]` |
///
/// # Errors
/// [`DiffusionError::Request`] for a size that the model has no positions for, or a block that it does not have.
pub fn step(config: &MmditConfig, shape: Shape, skip: &[usize]) -> Result<Graph, DiffusionError> {
    shape.check(config)?;
    if let Some(block) = skip.iter().find(|block| **block >= config.depth) {
        return Err(DiffusionError::Request(format!(
            "leave out block {block}: this model has {}, numbered from 0",
            config.depth
        )));
    }
    let (hidden, patch, table) = (config.hidden, config.patch, Table::of(config));
    let mut b = Builder::new();

    let latents = b.input("latents", shape.batch * shape.height * shape.width, config.in_channels, Element::Act);
    let mut context = b.input("context", shape.batch * shape.text, hidden, Element::Act);
    let modulation = b.input("modulation", shape.conditions, table.columns(), Element::Act);
    let positions = b.input("positions", shape.tokens(config), hidden, Element::Act);

    let geometry = Geometry {
        batch: shape.batch,
        height: shape.height,
        width: shape.width,
        kernel: patch,
        stride: patch,
        before: 0,
        after: 0,
        upsample: 1,
    };
    let patches = b.conv(latents, "x_embedder.proj", hidden, geometry);
    let mut image = b.add(positions, patches);

    let run: Vec<usize> = (0..config.depth).filter(|block| !skip.contains(block)).collect();
    for (at, index) in run.iter().enumerate() {
        let block = Block { config, index: *index, batch: shape.batch, modulation, context_read: at + 1 < run.len() };
        (image, context) = block.write(&mut b, image, context);
    }

    let columns = table.last();
    let by = modulation.columns(columns.start, columns.len());
    let normed = b.norm(image, NormKind::Layer, EPS);
    let modulated = b.modulate(normed, by.chunk(0, 2), by.chunk(1, 2));
    let tokens = b.linear(modulated, "final_layer.linear", patch * patch * config.out_channels, true);
    let (height, width) = shape.patches(config);
    let velocity = b.unpatchify(tokens, shape.batch, height, width, patch);
    b.output("velocity", velocity);
    Ok(b.finish())
}
