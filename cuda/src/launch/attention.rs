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
use super::rows::{named, shaped, unless, vector, wide};
use super::{Address, Args, Declaration, Launch, Mat, Misfit, args};

#[cfg(test)]
mod tests;

/// What its kernels take.
pub(super) const DECLARATIONS: &[Declaration] = &[PackArgs::DECLARATION, MeetArgs::DECLARATION];

/// Streams of an attention at most; models have one or two.
pub const STREAMS: usize = 4;

/// Features of a head at most: the middle of a VAE has one head of so many.
pub const HEAD_MAX: u32 = 512;

args! {
    /// What `attention_pack` takes.
    PackArgs {
        /// `[batch · own, heads · head]` of each stream: keys; values; queries, at no address where none are asked.
        from: [Mat; 3 * STREAMS],
        /// `[head]` singles for keys and queries of each stream, or nothing; nothing for values.
        norms: [Address; 3 * STREAMS],
        /// `[batch, heads, tokens, padded]` each: keys, values, queries.
        to: [Address; 3],
        /// Tokens of the streams before each, and of all in the end.
        first: [u32; STREAMS + 1],
        /// Tokens of all streams.
        tokens: u32,
        /// Heads.
        heads: u32,
        /// Features of a head.
        head: u32,
        /// The same up to what kernels load; those between are zeros.
        padded: u32,
        /// Threads that share a head of a token: a power of two up to 32.
        lanes: u32,
        /// 1 where all is read in vectors.
        wide: u32,
        /// Is added to the mean square.
        eps: f32,
    }
}

args! {
    /// What the kernels take that make queries meet keys.
    MeetArgs {
        /// `[batch, heads, tokens, padded]` each: keys, values, queries.
        packed: [Address; 3],
        /// `[batch · own, heads · head]` of each stream: values where they lie, for the kernel that reads them there.
        values: [Mat; STREAMS],
        /// The same of queries; at no address where a stream does not ask.
        queries: [Mat; STREAMS],
        /// `[head]` singles of each stream's norm of queries, or nothing, for that kernel.
        query_norms: [Address; STREAMS],
        /// `[heads, tokens²]` singles where scores have some added.
        bias: Mat,
        /// `[batch · own, heads · head]` of each stream; at no address where it does not ask.
        out: [Mat; STREAMS],
        /// Tokens of the streams before each, and of all in the end.
        first: [u32; STREAMS + 1],
        /// Pictures.
        batch: u32,
        /// Heads.
        heads: u32,
        /// Features of a head.
        head: u32,
        /// The same up to what is packed.
        padded: u32,
        /// Tokens of all streams.
        tokens: u32,
        /// One of [`Meet::FULL`], [`Meet::CAUSAL`], [`Meet::BIAS`].
        mask: u32,
        /// What scores are multiplied with.
        scale: f32,
        /// 1 where rows of `out` can be written in vectors.
        wide: u32,
        /// Is added to the mean square, for the kernel that norms queries.
        eps: f32,
    }
}

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

/// Heads of all streams, normed and side by side.
#[derive(Debug, Clone, Copy)]
pub struct Pack {
    precision: Precision,
    /// How many of keys, values and queries.
    parts: u32,
    /// How many streams.
    streams: u32,
    args: PackArgs,
}

/// Queries meet keys.
#[derive(Debug, Clone, Copy)]
pub struct Meet {
    kernel: Kernel,
    args: MeetArgs,
}

/// A kernel in which queries meet keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kernel {
    name: &'static str,
    /// Queries of a block.
    queries: u32,
    threads: u32,
    shared_bytes: u32,
}

/// Features that heads are padded to, for every kernel: what one row of swizzled shared memory holds.
const PAD: u32 = 64;

/// The first cards whose tensor cores know bf16; before them, bf16 goes through the products of singles.
const TENSOR_CAPABILITY: u32 = 80;

/// Threads of a block that packs.
const PACK_THREADS: u32 = 256;

impl Kernel {
    /// Of queries and values that were not packed.
    const JOINT: &str = "attention_64_joint_bf16";

    /// The one for heads of `head`; `aligned` where queries and values can be read in vectors where they lie.
    fn of(card: &Card, precision: Precision, head: u32, mask: Mask, aligned: bool) -> Self {
        let narrow = head <= PAD;
        if precision == Precision::F32 || card.capability < TENSOR_CAPABILITY {
            let name = match (precision, narrow) {
                (Precision::F32, true) => "attention_64_f32",
                (Precision::F32, false) => "attention_512_f32",
                (Precision::Bf16, true) => "attention_64_any_bf16",
                (Precision::Bf16, false) => "attention_512_any_bf16",
            };
            // Slices of queries, and of keys or values, of 64 features and a padding each; shares.
            return Self { name, queries: 64, threads: 256, shared_bytes: 3 * 64 * 68 * 4 };
        }
        if narrow {
            let (name, queries) = match mask {
                Mask::Full if aligned && head == PAD => (Self::JOINT, 128),
                Mask::Full => ("attention_64_full_bf16", 128),
                Mask::Causal => ("attention_64_causal_bf16", 128),
                Mask::Bias(_) => ("attention_64_bias_bf16", 64),
            };
            // Queries, and two tiles of keys and values each.
            return Self { name, queries, threads: 128, shared_bytes: (queries + 4 * 64) * 64 * 2 };
        }
        // Queries, a tile of 16 keys, one of values; shares; for each query how its sums shrink. 99 KiB at the most.
        let shared_bytes = (64 + 32) * head.next_multiple_of(PAD) * 2 + 64 * (16 * 2 + 4);
        Self { name: "attention_wide_bf16", queries: 64, threads: 256, shared_bytes }
    }
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

impl Pack {
    fn new(precision: Precision, parts: u32, streams: u32, args: PackArgs) -> Self {
        let vectors = wide(precision, &args.from) == 1
            && args.head.is_multiple_of(vector(precision))
            && args.norms.iter().all(|norm| norm.is_multiple_of(16));
        // A row of vectors is shared by as many threads as it has vectors, and by a whole warp where that is more.
        let lanes = if vectors { (args.padded / vector(precision)).next_power_of_two().min(32) } else { 32 };
        Self { precision, parts, streams, args: PackArgs { wide: vectors.into(), lanes, ..args } }
    }
}

impl Launch for Pack {
    type Args = PackArgs;

    fn kernel(&self) -> &'static str {
        named(self.precision, "attention_pack_bf16", "attention_pack_f32")
    }

    /// Blocks of heads of tokens, as many as the largest stream has; keys, values and queries; streams.
    fn grid(&self) -> [u32; 3] {
        let rows = self.args.from.iter().map(|from| from.rows).max().unwrap_or(0);
        [(rows * self.args.heads).div_ceil(PACK_THREADS / self.args.lanes), self.parts, self.streams]
    }

    fn threads(&self) -> u32 {
        PACK_THREADS
    }

    fn args(&self) -> &PackArgs {
        &self.args
    }
}

impl Meet {
    /// All look at all.
    pub const FULL: u32 = 0;
    /// Each looks at itself and what came before.
    pub const CAUSAL: u32 = 1;
    /// All look at all, and something is added to the scores.
    pub const BIAS: u32 = 2;
}

impl Launch for Meet {
    type Args = MeetArgs;

    fn kernel(&self) -> &'static str {
        self.kernel.name
    }

    /// Tiles of queries, side by side for one head, whose keys then stay in the card's cache; heads of all pictures.
    fn grid(&self) -> [u32; 3] {
        [self.args.tokens.div_ceil(self.kernel.queries), self.args.batch * self.args.heads, 1]
    }

    fn threads(&self) -> u32 {
        self.kernel.threads
    }

    fn shared_bytes(&self) -> u32 {
        self.kernel.shared_bytes
    }

    fn args(&self) -> &MeetArgs {
        &self.args
    }
}
