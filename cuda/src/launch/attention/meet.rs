//! The launch in which queries meet keys, and which kernel it takes.

use thumbforge_diffusion::dtype::Precision;

use super::{HEAD_MAX, Mask, STREAMS};
use crate::launch::product::Card;
use crate::launch::{Address, Launch, Mat, Shared, args};

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

/// Queries meet keys.
#[derive(Debug, Clone, Copy)]
pub struct Meet {
    pub(super) kernel: Kernel,
    pub(super) args: MeetArgs,
}

/// A kernel in which queries meet keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kernel {
    pub(super) name: &'static str,
    /// Queries of a block.
    queries: u32,
    threads: u32,
    shared_bytes: u32,
}

/// Features that heads are padded to, for every kernel: what one row of swizzled shared memory holds.
pub(super) const PAD: u32 = 64;

/// The first cards whose tensor cores know bf16; before them, bf16 goes through the products of singles.
const TENSOR_CAPABILITY: u32 = 80;

impl Kernel {
    /// Of queries and values that were not packed.
    pub(super) const JOINT: &str = "attention_64_joint_bf16";

    /// The one for heads of `head`; `aligned` where queries and values can be read in vectors where they lie.
    pub(super) fn of(card: &Card, precision: Precision, head: u32, mask: Mask, aligned: bool) -> Self {
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

/// What every kernel asks of a block's shared memory at the most, and the first cards that it is taken for.
pub(in crate::launch) fn shared() -> Vec<Shared> {
    // Below and above the first cards with tensor cores; what a kernel takes hangs on nothing else of a card.
    let of = |capability: u32| {
        let card = Card { capability, multiprocessors: 1, shared_bytes: u32::MAX };
        let masks = [Mask::Full, Mask::Causal, Mask::Bias(Mat::default())];
        let kinds = [Precision::F32, Precision::Bf16].into_iter().flat_map(move |of| masks.map(|mask| (of, mask)));
        let kinds = kinds.flat_map(|kind| [(kind, true), (kind, false)]);
        kinds.flat_map(move |((precision, mask), aligned)| {
            (1..=HEAD_MAX).map(move |head| {
                let Kernel { name, shared_bytes, .. } = Kernel::of(&card, precision, head, mask, aligned);
                Shared { kernel: name, bytes: shared_bytes, capability }
            })
        })
    };
    of(TENSOR_CAPABILITY).chain(of(0)).collect()
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
