//! Launches of products in eight bits: e4m3 numbers with a scale for every row of both sides.
//!
//! A row is rounded to `q · scale`, `scale` its largest magnitude by 448, the largest e4m3 number. Weights are rounded once,
//! when they are loaded, activations before every product. Only where a user allows it: pictures are not those of bf16.

use super::product::{Card, End, Tile, act_code, check_end, check_mat, flags, in_pieces, pick};
use super::{Address, Args, Declaration, Launch, Mat, Misfit, Then, args};

#[cfg(test)]
mod tests;

args! {
    /// Rounds rows of bf16 to e4m3.
    Fp8RowsArgs {
        /// `[rows, k]` bf16.
        x: Mat,
        /// `[rows, k]` e4m3.
        out: Mat,
        /// `[rows]` singles.
        scale: u64,
        /// `PIECES`, for `x` and `out`.
        flags: u32,
        /// Nothing.
        pad: u32,
    }
}

args! {
    /// `out = then(act(x_scale · weight_scale · (x · weightᵀ) + bias))`, out in bf16.
    Fp8GemmArgs {
        /// `[m, k]` e4m3.
        x: Mat,
        /// `[n, k]` e4m3.
        weight: Mat,
        /// `[m, n]` bf16.
        out: Mat,
        /// What is done before storing.
        then: Then,
        /// `[m]` singles.
        x_scale: u64,
        /// `[n]` singles.
        weight_scale: u64,
        /// `[n]` singles, or 0.
        bias: u64,
        /// Index into `ACTS`.
        act: u32,
        /// `PIECES`, for the scales of the weight too.
        flags: u32,
    }
}

/// What its kernels take.
pub(super) const DECLARATIONS: &[Declaration] = &[Fp8RowsArgs::DECLARATION, Fp8GemmArgs::DECLARATION];

/// The first cards whose tensor cores take e4m3: Ada.
pub const CAPABILITY_MIN: u32 = 89;

/// Rows of e4m3 with a scale each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fp8Mat {
    /// Bytes; rows begin at multiples of 16.
    pub mat: Mat,
    /// A single for every row.
    pub scale: Address,
}

impl Fp8Mat {
    /// Numbers from row to row for `cols` of them.
    pub fn stride(cols: u32) -> u32 {
        cols.next_multiple_of(16)
    }

    fn check(&self, what: &'static str, name: &str) -> Result<(), Misfit> {
        check_mat(what, name, &self.mat, 1)?;
        if !in_pieces(&self.mat, 1) || self.scale == 0 || !self.scale.is_multiple_of(4) {
            let reason = format!(
                "{name} lies at {:#x} with {} from row to row and scales at {:#x}; rows begin at multiples of 16",
                self.mat.at, self.mat.stride, self.scale
            );
            return Err(Misfit { what, reason });
        }
        Ok(())
    }
}

/// Rounds rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fp8Rows {
    args: Fp8RowsArgs,
}

impl Fp8Rows {
    /// `out` becomes `x`, of bf16.
    ///
    /// # Errors
    /// When shapes do not fit each other.
    pub fn new(x: Mat, out: Fp8Mat) -> Result<Self, Misfit> {
        let what = "a rounding to e4m3";
        check_mat(what, "what is rounded", &x, 2)?;
        out.check(what, "the outcome")?;
        if (x.rows, x.cols) != (out.mat.rows, out.mat.cols) {
            let reason = format!("{} x {} becomes {} x {}", x.rows, x.cols, out.mat.rows, out.mat.cols);
            return Err(Misfit { what, reason });
        }
        let flags = u32::from(in_pieces(&x, 2));
        Ok(Self { args: Fp8RowsArgs { x, out: out.mat, scale: out.scale, flags, pad: 0 } })
    }
}

/// Threads of a block, a row each block.
const ROWS_THREADS: u32 = 256;

impl Launch for Fp8Rows {
    type Args = Fp8RowsArgs;

    fn kernel(&self) -> &'static str {
        "fp8_rows"
    }

    fn grid(&self) -> [u32; 3] {
        [self.args.x.rows, 1, 1]
    }

    fn threads(&self) -> u32 {
        ROWS_THREADS
    }

    fn args(&self) -> &Fp8RowsArgs {
        &self.args
    }
}

const LARGE: Tile =
    Tile { kernel: "fp8_gemm_128x128", rows: 128, cols: 128, threads: 256, shared: 4 * 256 * 64, beside: 1, cost: 100 };
const SMALL: Tile =
    Tile { kernel: "fp8_gemm_64x64", rows: 64, cols: 64, threads: 128, shared: 6 * 128 * 64, beside: 2, cost: 140 };

/// All of its tiles, and the first cards that each is taken for.
pub(super) const TILES: &[(Tile, u32)] = &[(LARGE, CAPABILITY_MIN), (SMALL, CAPABILITY_MIN)];

/// A product of rounded rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fp8Gemm {
    args: Fp8GemmArgs,
    tile: Tile,
}

impl Fp8Gemm {
    /// `out = end(x · weightᵀ)`, out and all that `end` reads in bf16 but for the bias.
    ///
    /// # Errors
    /// When shapes do not fit each other, or the card has no products of e4m3.
    pub fn new(card: &Card, x: Fp8Mat, weight: Fp8Mat, end: &End, out: Mat) -> Result<Self, Misfit> {
        let what = "a product of e4m3";
        if card.capability < CAPABILITY_MIN {
            let reason = format!("cards of {} have none; {CAPABILITY_MIN} is the first", card.capability);
            return Err(Misfit { what, reason });
        }
        x.check(what, "the left side")?;
        weight.check(what, "the right side")?;
        check_end(what, end, &out, 2)?;
        if x.mat.cols != weight.mat.cols || x.mat.rows != out.rows || weight.mat.rows != out.cols {
            let reason = format!(
                "{} x {} by {} x {} does not give {} x {}",
                x.mat.rows, x.mat.cols, weight.mat.rows, weight.mat.cols, out.rows, out.cols
            );
            return Err(Misfit { what, reason });
        }
        let tile = pick(what, &[LARGE, SMALL], card, out.rows, out.cols)?;
        let args = Fp8GemmArgs {
            x: x.mat,
            weight: weight.mat,
            out,
            then: end.then,
            x_scale: x.scale,
            weight_scale: weight.scale,
            bias: end.bias,
            act: act_code(end.act),
            flags: if weight.scale.is_multiple_of(16) { flags(end, &out, 2) } else { 0 },
        };
        Ok(Self { args, tile })
    }
}

impl Launch for Fp8Gemm {
    type Args = Fp8GemmArgs;

    fn kernel(&self) -> &'static str {
        self.tile.kernel
    }

    /// Tiles in one row, which the kernel walks in groups.
    fn grid(&self) -> [u32; 3] {
        let tiles = self.tile.blocks(self.args.out.rows, self.args.out.cols);
        [u32::try_from(tiles).unwrap_or(u32::MAX), 1, 1]
    }

    fn threads(&self) -> u32 {
        self.tile.threads
    }

    fn shared_bytes(&self) -> u32 {
        self.tile.shared
    }

    fn args(&self) -> &Fp8GemmArgs {
        &self.args
    }
}
