//! Launches of what works row by row, or pixel by pixel.
//!
//! A launch whose matrices all lie at multiples of 16 bytes, rows included, moves vectors of 16 bytes; others move numbers.

mod copy;
mod group;
mod norm;
mod point;
mod token;

use thumbforge_diffusion::dtype::Precision;

use super::{Address, Args, Declaration, Mat, Misfit};

pub use copy::{Positions, PositionsArgs, Rgba8, Rgba8Args, Unpatchify, UnpatchifyArgs, Upsample, UpsampleArgs};
pub use group::{GroupApply, GroupNorm, GroupNormArgs, GroupShape, GroupStats, GroupSums};
pub use norm::{Norm, NormArgs, NormShape};
pub use point::{Activate, ActivateArgs, Combine, CombineArgs, Modulate, ModulateArgs};
pub use token::{Embed, EmbedArgs, RelativeBias, RelativeBiasArgs, Timestep, TimestepArgs};

/// What its kernels take.
pub(super) const DECLARATIONS: &[Declaration] = &[
    NormArgs::DECLARATION,
    GroupNormArgs::DECLARATION,
    ActivateArgs::DECLARATION,
    ModulateArgs::DECLARATION,
    CombineArgs::DECLARATION,
    UpsampleArgs::DECLARATION,
    UnpatchifyArgs::DECLARATION,
    PositionsArgs::DECLARATION,
    Rgba8Args::DECLARATION,
    EmbedArgs::DECLARATION,
    TimestepArgs::DECLARATION,
    RelativeBiasArgs::DECLARATION,
];

/// Bytes that a thread moves at once where it can.
pub const VECTOR_BYTES: u64 = 16;

/// Threads of a block of the kernels that work number by number.
const POINT_THREADS: u32 = 256;

/// Blocks along x that are launched at most: enough for any card, and their threads go on to further numbers.
const POINT_BLOCKS: u64 = 16384;

/// The kernel of the two whose activations are those of `precision`.
pub(super) const fn named(precision: Precision, bf16: &'static str, f32: &'static str) -> &'static str {
    match precision {
        Precision::Bf16 => bf16,
        Precision::F32 => f32,
    }
}

/// Numbers of a vector of 16 bytes.
pub(super) const fn vector(precision: Precision) -> u32 {
    VECTOR_BYTES as u32 / precision.bytes() as u32
}

/// Whether all rows of `mats` lie at multiples of 16 bytes and end at one. A matrix at no address is nothing.
pub(super) fn wide(precision: Precision, mats: &[Mat]) -> u32 {
    let vector = vector(precision);
    let fits = |mat: &Mat| {
        let stride = mat.rows <= 1 || mat.stride.is_multiple_of(vector);
        mat.at == 0 || (mat.at.is_multiple_of(VECTOR_BYTES) && mat.cols.is_multiple_of(vector) && stride)
    };
    mats.iter().all(fits).into()
}

/// Whether parameters in singles can be read in vectors: four of them, or as many as a vector of activations has.
fn wide_params(params: &[Address]) -> bool {
    params.iter().all(|at| at.is_multiple_of(VECTOR_BYTES))
}

/// `reason`, unless `fits`.
pub(super) fn unless(fits: bool, what: &'static str, reason: impl FnOnce() -> String) -> Result<(), Misfit> {
    if fits { Ok(()) } else { Err(Misfit { what, reason: reason() }) }
}

/// That `mat` is `rows` by `cols` and lies somewhere, its rows apart from each other.
pub(super) fn shaped(kernel: &'static str, what: &str, mat: &Mat, rows: u32, cols: u32) -> Result<(), Misfit> {
    let fits = mat.rows == rows && mat.cols == cols && mat.at != 0 && (mat.stride >= cols || rows <= 1);
    unless(fits && rows > 0 && cols > 0, kernel, || {
        format!("{what} is {} x {} by {} at {:#x} where {rows} x {cols} belong", mat.rows, mat.cols, mat.stride, mat.at)
    })
}

/// Blocks for `rows` rows of `cols` numbers, where a thread has a vector of them if `wide`.
fn blocks(precision: Precision, rows: u32, cols: u32, wide: u32) -> u32 {
    let each = if wide == 1 { u64::from(vector(precision)) } else { 1 };
    let items = u64::from(rows) * u64::from(cols).div_ceil(each);
    items.div_ceil(POINT_THREADS.into()).clamp(1, POINT_BLOCKS) as u32
}

#[cfg(test)]
mod tests;
