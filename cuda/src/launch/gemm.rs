//! Launches of products of matrices.

use thumbforge_diffusion::dtype::Precision;

use super::product::{Card, End, TENSOR_CORES, Tile, act_code, check_end, check_mat, flags, in_pieces, pick};
use super::{Address, Args, Declaration, Launch, Mat, Misfit, Then, args};

#[cfg(test)]
mod tests;

args! {
    /// `out = then(act(x · weightᵀ + bias))`
    GemmArgs {
        /// `[m, k]`
        x: Mat,
        /// `[n, k]`
        weight: Mat,
        /// `[m, n]`
        out: Mat,
        /// What is done before storing.
        then: Then,
        /// `[n]` singles, or 0.
        bias: u64,
        /// `[splits, m, n]` singles: the sums of each part of k; 0 where k is in one part.
        partial: u64,
        /// Index into `ACTS`.
        act: u32,
        /// `PIECES`.
        flags: u32,
        /// Parts that k is in.
        splits: u32,
        /// Numbers of k in a part, but for the last; a multiple of 64.
        part: u32,
    }
}

/// What its kernels take.
pub(super) const DECLARATIONS: &[Declaration] = &[GemmArgs::DECLARATION];

/// Numbers of k that a part holds at least: below, reading sums again costs more than more blocks win.
const PART_MIN: u32 = 256;
/// Parts at most.
const PARTS_MAX: u32 = 8;
/// Blocks that fill a card, whatever card it is: the bytes of a product must not hang on it.
const BLOCKS_WANTED: u32 = 128;
/// k is cut at multiples of this, which all stages of all kernels divide.
const PART_STEP: u32 = 64;
/// Rows up to which tiles of 16 rows are taken.
const FEW_ROWS: u32 = 16;

const WIDE: Tile = Tile {
    kernel: "gemm_bf16_128x256",
    rows: 128,
    cols: 256,
    threads: 256,
    shared: 4 * (128 + 256) * 64,
    beside: 1,
    cost: 100,
};
const LARGE: Tile =
    Tile { kernel: "gemm_bf16_128x128", cols: 128, threads: 128, shared: 3 * 256 * 64, beside: 2, cost: 110, ..WIDE };
const SMALL: Tile = Tile { kernel: "gemm_bf16_64x64", rows: 64, cols: 64, shared: 6 * 128 * 64, cost: 150, ..LARGE };
const FEW: Tile = Tile { kernel: "gemm_bf16_16x64", rows: 16, shared: 8 * 80 * 64, beside: 4, cost: 300, ..SMALL };
const ODD: Tile = Tile { kernel: "gemm_bf16_64x64_odd", shared: 2 * 128 * 64, ..SMALL };
const SINGLES_LARGE: Tile = Tile { kernel: "gemm_f32_128x128", threads: 256, ..LARGE };
const SINGLES_SMALL: Tile = Tile { kernel: "gemm_f32_64x64", shared: 3 * 128 * 64, cost: 130, ..SMALL };
const SINGLES_ODD: Tile = Tile { kernel: "gemm_f32_64x64_odd", shared: 2 * 128 * 64, ..SINGLES_SMALL };

/// All of its tiles, and the first cards that each is taken for.
pub(super) const TILES: &[(Tile, u32)] = &[
    (WIDE, TENSOR_CORES),
    (LARGE, TENSOR_CORES),
    (SMALL, 0),
    (FEW, 0),
    (ODD, 0),
    (SINGLES_LARGE, 0),
    (SINGLES_SMALL, 0),
    (SINGLES_ODD, 0),
];

/// How k is added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sums {
    /// In as many parts as fill a card, by rows, columns and k. Their sums lie at this address, a multiple of 16 with room for
    /// [`Gemm::workspace_bytes`]; it may be 0 where that is 0.
    Parts(Address),
    /// In one part, whatever the shape: a row has the same bytes however many are multiplied with it.
    Whole,
}

/// A product. Where [`Gemm::finish`] gives something, that runs after it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gemm {
    args: GemmArgs,
    tile: Tile,
    precision: Precision,
}

impl Gemm {
    /// `out = end(x · weightᵀ)`, all in `precision` but for the bias.
    ///
    /// `out` may lie on what `end` combines with, element on element.
    ///
    /// # Errors
    /// When shapes do not fit each other.
    pub fn new(
        card: &Card,
        precision: Precision,
        x: Mat,
        weight: Mat,
        end: &End,
        out: Mat,
        sums: Sums,
    ) -> Result<Self, Misfit> {
        let what = "a product";
        let number = precision.bytes() as u64;
        check_mat(what, "the left side", &x, number)?;
        check_mat(what, "the right side", &weight, number)?;
        check_end(what, end, &out, number)?;
        if x.cols != weight.cols || x.rows != out.rows || weight.rows != out.cols {
            let reason = format!(
                "{} x {} by {} x {} does not give {} x {}",
                x.rows, x.cols, weight.rows, weight.cols, out.rows, out.cols
            );
            return Err(Misfit { what, reason });
        }
        let (splits, workspace) = match sums {
            Sums::Parts(workspace) => (splits(out.rows, out.cols, x.cols), workspace),
            Sums::Whole => (1, 0),
        };
        if splits > 1 && (workspace == 0 || !workspace.is_multiple_of(16)) {
            return Err(Misfit { what, reason: format!("sums of {splits} parts of k cannot lie at {workspace:#x}") });
        }
        let even = in_pieces(&x, number) && in_pieces(&weight, number);
        let tiles: &[Tile] = match (precision, even) {
            (Precision::F32, false) => &[SINGLES_ODD],
            (Precision::F32, true) if splits > 1 => &[SINGLES_SMALL],
            (Precision::F32, true) => &[SINGLES_LARGE, SINGLES_SMALL],
            (Precision::Bf16, false) => &[ODD],
            (Precision::Bf16, true) if out.rows <= FEW_ROWS => &[FEW],
            (Precision::Bf16, true) if splits > 1 || card.capability < TENSOR_CORES => &[SMALL],
            (Precision::Bf16, true) => &[WIDE, LARGE, SMALL],
        };
        let tile = pick(what, tiles, card, out.rows, out.cols)?;
        let args = GemmArgs {
            x,
            weight,
            out,
            then: end.then,
            bias: end.bias,
            partial: if splits > 1 { workspace } else { 0 },
            act: act_code(end.act),
            flags: flags(end, &out, number),
            splits,
            part: part(x.cols, splits),
        };
        Ok(Self { args, tile, precision })
    }

    /// Bytes that [`Sums::Parts`] takes for an outcome of `rows` and `cols` from `k` products each; the same on every card.
    pub fn workspace_bytes(rows: u32, cols: u32, k: u32) -> u64 {
        match splits(rows, cols, k) {
            1 => 0,
            splits => u64::from(splits) * u64::from(rows) * u64::from(cols) * 4,
        }
    }

    /// What adds the parts up, where there are several.
    pub fn finish(&self) -> Option<GemmFinish> {
        (self.args.splits > 1).then_some(GemmFinish { args: self.args, precision: self.precision })
    }
}

/// Parts of k. Few rows and columns make few blocks, so that each block's stretch of k is cut instead.
fn splits(rows: u32, cols: u32, k: u32) -> u32 {
    let side = if rows <= FEW_ROWS { FEW_ROWS } else { 64 };
    let blocks = rows.div_ceil(side).saturating_mul(cols.div_ceil(64));
    let parts = (BLOCKS_WANTED / blocks.max(1)).min(k / PART_MIN).clamp(1, PARTS_MAX);
    k.div_ceil(part(k, parts))
}

/// Numbers of k in each of so many parts.
fn part(k: u32, parts: u32) -> u32 {
    k.div_ceil(parts).next_multiple_of(PART_STEP)
}

impl Launch for Gemm {
    type Args = GemmArgs;

    fn kernel(&self) -> &'static str {
        self.tile.kernel
    }

    /// Tiles in one row, which the kernel walks in groups; parts of k along z.
    fn grid(&self) -> [u32; 3] {
        let tiles = self.tile.blocks(self.args.out.rows, self.args.out.cols);
        [u32::try_from(tiles).unwrap_or(u32::MAX), 1, self.args.splits]
    }

    fn threads(&self) -> u32 {
        self.tile.threads
    }

    fn shared_bytes(&self) -> u32 {
        self.tile.shared
    }

    fn args(&self) -> &GemmArgs {
        &self.args
    }
}

/// Adds the parts of a product up, in their order, and does what comes before storing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GemmFinish {
    args: GemmArgs,
    precision: Precision,
}

/// Threads of a block; each has eight columns of one row.
const FINISH_THREADS: u32 = 256;

impl Launch for GemmFinish {
    type Args = GemmArgs;

    fn kernel(&self) -> &'static str {
        match self.precision {
            Precision::F32 => "gemm_finish_f32",
            Precision::Bf16 => "gemm_finish_bf16",
        }
    }

    fn grid(&self) -> [u32; 3] {
        let runs = u64::from(self.args.out.rows) * u64::from(self.args.out.cols.div_ceil(8));
        [u32::try_from(runs.div_ceil(u64::from(FINISH_THREADS))).unwrap_or(u32::MAX), 1, 1]
    }

    fn threads(&self) -> u32 {
        FINISH_THREADS
    }

    fn args(&self) -> &GemmArgs {
        &self.args
    }
}
