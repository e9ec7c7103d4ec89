//! The launch that lays heads side by side.

use thumbforge_diffusion::dtype::Precision;

use super::STREAMS;
use crate::launch::rows::{named, vector, wide};
use crate::launch::{Address, Launch, Mat, args};

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

/// Threads of a block that packs.
const PACK_THREADS: u32 = 256;

impl Pack {
    pub(super) fn new(precision: Precision, parts: u32, streams: u32, args: PackArgs) -> Self {
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
