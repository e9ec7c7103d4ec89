//! Launches of a group norm: sums of pieces of a picture, what they say of a group, and the norm itself.
//!
//! ```text
//! sums:  block = piece of a picture × some columns ─► mean and squares of each channel there
//! stats: block = picture × group                   ─► mean and 1 / deviation
//! apply: block = piece of a picture × some columns ─► act((x - mean) / deviation · weight + bias)
//! ```
//! How a picture is cut depends on its shape alone, so every card adds in the same order.

use thumbforge_diffusion::dtype::Precision;
use thumbforge_diffusion::graph::Act;

use super::{named, shaped, unless, vector, wide, wide_params};
use crate::launch::product::act_code;
use crate::launch::{Address, Launch, Mat, Misfit, args};

args! {
    /// What the kernels of a group norm take.
    GroupNormArgs {
        /// `[batch · pixels, channels]`
        x: Mat,
        /// As `x`; apart from it.
        out: Mat,
        /// `[channels]` singles.
        weight: Address,
        /// `[channels]` singles.
        bias: Address,
        /// `[batch, pieces, channels, 2]` singles: means, and sums of the squares of what is left.
        sums: Address,
        /// `[batch, groups, 2]` singles: means, and one by the deviations.
        stats: Address,
        /// Pixels of a picture.
        pixels: u32,
        /// Pixels of a piece of one; the last may have fewer.
        piece: u32,
        /// Pieces of a picture.
        pieces: u32,
        /// Groups of channels.
        groups: u32,
        /// Channels that a block has: threads by numbers of a vector, or all of them if these are fewer.
        columns: u32,
        /// Which of `ACTS` comes last.
        act: u32,
        /// Is added to the variance.
        eps: f32,
        /// 1 where all is read in vectors.
        wide: u32,
    }
}

/// Threads of a block.
const THREADS: u32 = 256;

/// Pixels of a piece at least: a block reads them row by row, and what it writes is small beside them.
const PIECE_PIXELS_MIN: u32 = 32;

/// Pieces of a picture at most: with 1024² pixels all blocks of a large card have work, and merging them stays short.
const PIECES_MAX: u32 = 1024;

/// What a group norm is of.
#[derive(Debug, Clone, Copy)]
pub struct GroupShape {
    /// Pictures.
    pub batch: u32,
    /// Groups of channels.
    pub groups: u32,
    /// Is added to the variance.
    pub eps: f32,
    /// `[channels]` singles.
    pub weight: Address,
    /// `[channels]` singles.
    pub bias: Address,
    /// Comes last.
    pub act: Option<Act>,
}

/// A group norm: three launches, in this order.
#[derive(Debug, Clone, Copy)]
pub struct GroupNorm {
    /// First.
    pub sums: GroupSums,
    /// Then.
    pub stats: GroupStats,
    /// Last.
    pub apply: GroupApply,
}

/// Mean and squares of every channel in every piece.
#[derive(Debug, Clone, Copy)]
pub struct GroupSums(Precision, GroupNormArgs);

/// Mean and deviation of every group.
#[derive(Debug, Clone, Copy)]
pub struct GroupStats(GroupNormArgs);

/// The norm itself.
#[derive(Debug, Clone, Copy)]
pub struct GroupApply(Precision, GroupNormArgs);

/// Pixels of a piece, and how many pieces there are.
const fn cut(pixels: u32) -> (u32, u32) {
    let piece = pixels.div_ceil(PIECES_MAX);
    let piece = if piece > PIECE_PIXELS_MIN { piece } else { PIECE_PIXELS_MIN };
    (piece, pixels.div_ceil(piece))
}

impl GroupNorm {
    /// Bytes of its workspace, for a picture of so many pixels.
    pub fn workspace_bytes(batch: usize, pixels: usize, channels: usize, groups: usize) -> u64 {
        let (_, pieces) = cut(u32::try_from(pixels).unwrap_or(u32::MAX));
        let sums = batch as u64 * u64::from(pieces) * channels as u64 * 8;
        sums.next_multiple_of(256) + batch as u64 * groups as u64 * 8
    }

    /// Of `x` into `out`, with the workspace at an address that is a multiple of 16.
    ///
    /// # Errors
    /// When a matrix has not the shape that belongs there.
    pub fn new(precision: Precision, x: Mat, out: Mat, shape: &GroupShape, workspace: Address) -> Result<Self, Misfit> {
        let kernel = named(precision, "group_norm_sums_bf16", "group_norm_sums_f32");
        shaped(kernel, "x", &x, x.rows, x.cols)?;
        shaped(kernel, "out", &out, x.rows, x.cols)?;
        let GroupShape { batch, groups, eps, weight, bias, act } = *shape;
        let divides = |whole: u32, part: u32| part > 0 && whole.is_multiple_of(part);
        unless(divides(x.rows, batch) && divides(x.cols, groups) && batch <= 65535, kernel, || {
            format!("{} x {} are not {batch} pictures of {groups} groups", x.rows, x.cols)
        })?;
        unless(weight != 0 && bias != 0 && workspace != 0 && workspace.is_multiple_of(16), kernel, || {
            format!("weight at {weight:#x}, bias at {bias:#x}, workspace at {workspace:#x}")
        })?;
        let pixels = x.rows / batch;
        let (piece, pieces) = cut(pixels);
        let wide = u32::from(wide(precision, &[x, out]) == 1 && wide_params(&[weight, bias]));
        let vectors = if wide == 1 { vector(precision) } else { 1 };
        let sums_bytes = u64::from(batch) * u64::from(pieces) * u64::from(x.cols) * 8;
        let args = GroupNormArgs {
            x,
            out,
            weight,
            bias,
            sums: workspace,
            stats: workspace + sums_bytes.next_multiple_of(256),
            pixels,
            piece,
            pieces,
            groups,
            columns: (THREADS * vectors).min(x.cols),
            act: act_code(act),
            eps,
            wide,
        };
        Ok(Self { sums: GroupSums(precision, args), stats: GroupStats(args), apply: GroupApply(precision, args) })
    }
}

/// Blocks of the two kernels that read pictures.
fn pieces(args: &GroupNormArgs) -> [u32; 3] {
    [args.pieces, args.x.cols.div_ceil(args.columns), args.x.rows / args.pixels]
}

impl Launch for GroupSums {
    type Args = GroupNormArgs;

    fn kernel(&self) -> &'static str {
        named(self.0, "group_norm_sums_bf16", "group_norm_sums_f32")
    }

    fn grid(&self) -> [u32; 3] {
        pieces(&self.1)
    }

    fn threads(&self) -> u32 {
        THREADS
    }

    fn args(&self) -> &GroupNormArgs {
        &self.1
    }
}

impl Launch for GroupStats {
    type Args = GroupNormArgs;

    fn kernel(&self) -> &'static str {
        "group_norm_stats"
    }

    fn grid(&self) -> [u32; 3] {
        [self.0.groups, 1, self.0.x.rows / self.0.pixels]
    }

    fn threads(&self) -> u32 {
        THREADS
    }

    fn args(&self) -> &GroupNormArgs {
        &self.0
    }
}

impl Launch for GroupApply {
    type Args = GroupNormArgs;

    fn kernel(&self) -> &'static str {
        named(self.0, "group_norm_apply_bf16", "group_norm_apply_f32")
    }

    fn grid(&self) -> [u32; 3] {
        pieces(&self.1)
    }

    fn threads(&self) -> u32 {
        THREADS
    }

    fn args(&self) -> &GroupNormArgs {
        &self.1
    }
}
