//! Launches of attention: the heads of each stream are normed and laid side by side, then tiles of queries meet all keys.
//!
//! ```text
//! pack: k, v, q of all streams ─► norm of each head ─► workspace [batch, heads, tokens, features]
//! meet: tile of queries × tiles of keys, with a running softmax ─► out of each stream
//! ```
//! Scores are never stored. The workspace holds keys, values and queries of all streams and nothing else.
//!
//! Where models spend their time (bf16, heads of 64, no mask, rows that lie at vectors) only the keys are packed: each is read
//! by many blocks, and normed once. Values are read where they lie, and queries too, which the one block norms that reads them.
//! With 1357 tokens that leaves out two thirds of what packing moves, which would be a fifth of the attention's time.

use thumbforge_diffusion::dtype::Precision;
use thumbforge_diffusion::graph;

use super::product::Card;
use super::rows::{shaped, unless, vector, wide};
use super::{Address, Args, Declaration, Mat, Misfit};

mod meet;
mod pack;
#[cfg(test)]
mod tests;

pub(super) use meet::shared;
use meet::{Kernel, PAD};
pub use meet::{Meet, MeetArgs};
pub use pack::{Pack, PackArgs};

/// What its kernels take.
pub(super) const DECLARATIONS: &[Declaration] = &[PackArgs::DECLARATION, MeetArgs::DECLARATION];

/// Streams of an attention at most; models have one or two.
pub const STREAMS: usize = 4;

/// Features of a head at most: the middle of a VAE has one head of so many.
pub const HEAD_MAX: u32 = 512;

/// A stream, where the card has it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stream {
    /// Queries, and where the answers go.
    pub query: Option<(Mat, Mat)>,
    /// `[head]` singles of the norm of queries, or 0.
    pub query_norm: Address,
    /// `[batch · tokens, heads · head]`
    pub key: Mat,
    /// As the keys.
    pub value: Mat,
    /// `[head]` singles of the norm of keys, or 0.
    pub key_norm: Address,
}

/// Who may look at whom.
#[derive(Debug, Clone, Copy)]
pub enum Mask {
    /// All at all.
    Full,
    /// Each at itself and what came before.
    Causal,
    /// All at all, with `[heads, tokens²]` singles added to the scores.
    Bias(Mat),
}

/// What is not a stream's.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Pictures.
    pub batch: u32,
    /// Heads.
    pub heads: u32,
    /// Features of a head.
    pub head: u32,
    /// What scores are multiplied with; above 0.
    pub scale: f32,
    /// Of the norms.
    pub eps: f32,
    /// Who looks at whom.
    pub mask: Mask,
}

/// An attention: two launches, in this order.
#[derive(Debug, Clone, Copy)]
pub struct Attention {
    /// First.
    pub pack: Pack,
    /// Then.
    pub meet: Meet,
}

impl Attention {
    /// Bytes of its workspace: keys, values and queries of all streams, on any card and wherever they lie.
    pub fn workspace_bytes(attention: &graph::Attention, precision: Precision) -> u64 {
        let padded = attention.head.next_multiple_of(PAD as usize);
        3 * (attention.batch * attention.heads * attention.tokens()) as u64 * (padded * precision.bytes()) as u64
    }

    /// Of `streams`, with the workspace at an address that is a multiple of 128.
    ///
    /// # Errors
    /// When a matrix has not the shape that belongs there.
    pub fn new(
        card: &Card,
        precision: Precision,
        streams: &[Stream],
        shape: &Shape,
        workspace: Address,
    ) -> Result<Self, Misfit> {
        let aligned = |stream: &Stream| {
            let (query, _) = stream.query.unwrap_or_default();
            wide(precision, &[query, stream.value]) == 1 && stream.query_norm.is_multiple_of(16)
        };
        let kernel = Kernel::of(card, precision, shape.head, shape.mask, streams.iter().all(aligned));
        let tokens = check(kernel.name, streams, shape)?;
        unless(workspace != 0 && workspace.is_multiple_of(128), kernel.name, || {
            format!("workspace at {workspace:#x}")
        })?;
        let Shape { batch, heads, head, scale, eps, mask } = *shape;
        let padded = head.next_multiple_of(PAD);
        let each = u64::from(batch) * u64::from(heads) * u64::from(tokens) * u64::from(padded);
        let packed = [0, 1, 2].map(|at| workspace + at * each * precision.bytes() as u64);
        let mut args = MeetArgs {
            packed,
            values: [Mat::default(); STREAMS],
            queries: [Mat::default(); STREAMS],
            query_norms: [0; STREAMS],
            bias: Mat::default(),
            out: [Mat::default(); STREAMS],
            first: [tokens; STREAMS + 1],
            batch,
            heads,
            head,
            padded,
            tokens,
            mask: Meet::FULL,
            scale,
            wide: 1,
            eps,
        };
        match mask {
            Mask::Full => {}
            Mask::Causal => args.mask = Meet::CAUSAL,
            Mask::Bias(bias) => {
                shaped(kernel.name, "bias", &bias, heads, tokens * tokens)?;
                (args.mask, args.bias) = (Meet::BIAS, bias);
            }
        }
        let (mut from, mut norms) = ([Mat::default(); 3 * STREAMS], [0; 3 * STREAMS]);
        let mut before = 0;
        for (at, stream) in streams.iter().enumerate() {
            let (query, out) = stream.query.unwrap_or_default();
            (args.first[at], args.out[at], args.values[at]) = (before, out, stream.value);
            (args.queries[at], args.query_norms[at]) = (query, stream.query_norm);
            from[3 * at..3 * at + 3].copy_from_slice(&[stream.key, stream.value, query]);
            norms[3 * at..3 * at + 3].copy_from_slice(&[stream.key_norm, 0, stream.query_norm]);
            before += stream.key.rows / batch;
        }
        args.wide = wide(precision, &args.out) & u32::from(head.is_multiple_of(vector(precision)));
        let pack = PackArgs {
            from,
            norms,
            to: packed,
            first: args.first,
            tokens,
            heads,
            head,
            padded,
            lanes: 32,
            wide: 0,
            eps,
        };
        let parts = if kernel.name == Kernel::JOINT { 1 } else { 3 };
        Ok(Self { pack: Pack::new(precision, parts, streams.len() as u32, pack), meet: Meet { kernel, args } })
    }
}

/// That all of `streams` have the shapes that belong there; gives the tokens of a picture.
fn check(kernel: &'static str, streams: &[Stream], shape: &Shape) -> Result<u32, Misfit> {
    let Shape { batch, heads, head, scale, .. } = *shape;
    unless((1..=STREAMS).contains(&streams.len()), kernel, || format!("{} streams", streams.len()))?;
    unless(batch > 0 && heads > 0 && (1..=HEAD_MAX).contains(&head) && scale > 0.0, kernel, || {
        format!("{batch} pictures, {heads} heads of {head}, scores times {scale}")
    })?;
    let blocks = batch.checked_mul(heads).filter(|blocks| *blocks <= 65535);
    let cols = heads.checked_mul(head);
    let (Some(_), Some(cols)) = (blocks, cols) else {
        return Err(Misfit { what: kernel, reason: format!("{batch} pictures of {heads} heads are too many") });
    };
    let mut tokens = 0u32;
    for stream in streams {
        unless(stream.key.rows.is_multiple_of(batch), kernel, || {
            format!("{} rows of keys are not of {batch} pictures", stream.key.rows)
        })?;
        shaped(kernel, "keys", &stream.key, stream.key.rows, cols)?;
        shaped(kernel, "values", &stream.value, stream.key.rows, cols)?;
        if let Some((query, out)) = &stream.query {
            shaped(kernel, "queries", query, stream.key.rows, cols)?;
            shaped(kernel, "out", out, stream.key.rows, cols)?;
        }
        unless(u64::from(stream.key.rows) * u64::from(heads) < 1 << 31, kernel, || {
            format!("{} rows of {heads} heads are too many", stream.key.rows)
        })?;
        tokens = tokens.saturating_add(stream.key.rows / batch);
    }
    // What is added to scores is counted in words of 32 bits.
    let most = if matches!(shape.mask, Mask::Bias(_)) { u32::from(u16::MAX) } else { 1 << 24 };
    unless(tokens <= most, kernel, || format!("{tokens} tokens, of at most {most}"))?;
    Ok(tokens)
}
