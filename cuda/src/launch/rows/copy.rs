//! Launches of what puts numbers elsewhere.

use thumbforge_diffusion::dtype::Precision;

use super::{POINT_THREADS, blocks, named, shaped, unless, wide};
use crate::launch::{Address, Launch, Mat, Misfit, args};

args! {
    /// What `upsample` takes: every pixel becomes a square of four.
    UpsampleArgs {
        /// `[pictures · height · width, channels]`
        x: Mat,
        /// Four times the rows.
        out: Mat,
        /// Of the input.
        height: u32,
        /// Of the input.
        width: u32,
        /// 1 where all is read in vectors.
        wide: u32,
        /// Nothing.
        pad: u32,
    }
}

args! {
    /// What `unpatchify` takes: tokens of `patch · patch · channels` become pixels.
    UnpatchifyArgs {
        /// `[pictures · height · width, patch · patch · channels]`
        x: Mat,
        /// `[pictures · height · patch · width · patch, channels]`
        out: Mat,
        /// Tokens from top to bottom.
        height: u32,
        /// Tokens from left to right.
        width: u32,
        /// Side of a patch.
        patch: u32,
        /// 1 where all is read in vectors.
        wide: u32,
    }
}

args! {
    /// What `positions` takes: the middle of a square table.
    PositionsArgs {
        /// `[side · side, features]`
        table: Mat,
        /// `[height · width, features]`
        out: Mat,
        /// Side of the table.
        side: u32,
        /// First row of the table that is taken.
        top: u32,
        /// First column of the table that is taken.
        left: u32,
        /// Patches from left to right.
        width: u32,
        /// 1 where all is read in vectors.
        wide: u32,
        /// Nothing.
        pad: u32,
    }
}

args! {
    /// What `rgba8` takes: rows of three numbers of -1 to 1 become pixels of four bytes.
    Rgba8Args {
        /// `[pixels, 3]`
        x: Mat,
        /// Of the first pixel, a multiple of 4.
        out: Address,
        /// A word where a pixel with a number that is none leaves its row + 1.
        fault: Address,
    }
}

/// Every pixel becomes a square of four.
#[derive(Debug, Clone, Copy)]
pub struct Upsample(Precision, UpsampleArgs);

/// Tokens become pixels.
#[derive(Debug, Clone, Copy)]
pub struct Unpatchify(Precision, UnpatchifyArgs);

/// The middle of a square table.
#[derive(Debug, Clone, Copy)]
pub struct Positions(Precision, PositionsArgs);

/// Pixels as pictures have them: red, green, blue and an alpha of 255.
#[derive(Debug, Clone, Copy)]
pub struct Rgba8(Precision, Rgba8Args);

/// The product of `factors`, unless it is more than a launch can count.
fn product(kernel: &'static str, factors: &[u32]) -> Result<u32, Misfit> {
    let product = factors.iter().try_fold(1u32, |product, factor| product.checked_mul(*factor));
    product.ok_or_else(|| Misfit { what: kernel, reason: format!("{factors:?} are too many rows") })
}

impl Upsample {
    /// Of `batch` pictures of `height` by `width` into `out`.
    ///
    /// # Errors
    /// When a matrix has not the shape that belongs there.
    pub fn new(precision: Precision, x: Mat, [batch, height, width]: [u32; 3], out: Mat) -> Result<Self, Misfit> {
        let kernel = named(precision, "upsample_bf16", "upsample_f32");
        shaped(kernel, "x", &x, product(kernel, &[batch, height, width])?, x.cols)?;
        shaped(kernel, "out", &out, product(kernel, &[x.rows, 4])?, x.cols)?;
        Ok(Self(precision, UpsampleArgs { x, out, height, width, wide: wide(precision, &[x, out]), pad: 0 }))
    }
}

impl Unpatchify {
    /// Of `batch` pictures of `height` by `width` tokens into `out`.
    ///
    /// # Errors
    /// When a matrix has not the shape that belongs there.
    pub fn new(
        precision: Precision,
        x: Mat,
        [batch, height, width]: [u32; 3],
        patch: u32,
        out: Mat,
    ) -> Result<Self, Misfit> {
        let kernel = named(precision, "unpatchify_bf16", "unpatchify_f32");
        shaped(
            kernel,
            "x",
            &x,
            product(kernel, &[batch, height, width])?,
            product(kernel, &[patch, patch, out.cols])?,
        )?;
        shaped(kernel, "out", &out, product(kernel, &[x.rows, patch, patch])?, out.cols)?;
        // Whole pixels are moved, so they must lie at vectors within a token too, as they do where `out` has vectors.
        Ok(Self(precision, UnpatchifyArgs { x, out, height, width, patch, wide: wide(precision, &[x, out]) }))
    }
}

impl Positions {
    /// Of `height` by `width` patches into `out`.
    ///
    /// # Errors
    /// When the table is smaller, or a matrix has not the shape that belongs there.
    pub fn new(
        precision: Precision,
        table: Mat,
        side: u32,
        [height, width]: [u32; 2],
        out: Mat,
    ) -> Result<Self, Misfit> {
        let kernel = named(precision, "positions_bf16", "positions_f32");
        unless(height <= side && width <= side, kernel, || {
            format!("{height} x {width} patches need positions of {side} x {side}")
        })?;
        shaped(kernel, "table", &table, product(kernel, &[side, side])?, out.cols)?;
        shaped(kernel, "out", &out, product(kernel, &[height, width])?, out.cols)?;
        let (top, left) = ((side - height) / 2, (side - width) / 2);
        let wide = wide(precision, &[table, out]);
        Ok(Self(precision, PositionsArgs { table, out, side, top, left, width, wide, pad: 0 }))
    }
}

impl Rgba8 {
    /// Of `x` into four bytes for each of its rows.
    ///
    /// # Errors
    /// When there are not three numbers to a pixel, or the bytes or the word lie nowhere.
    pub fn new(precision: Precision, x: Mat, out: Address, fault: Address) -> Result<Self, Misfit> {
        let kernel = named(precision, "rgba8_bf16", "rgba8_f32");
        shaped(kernel, "x", &x, x.rows, 3)?;
        unless(out != 0 && out.is_multiple_of(4), kernel, || format!("pixels at {out:#x}"))?;
        unless(fault != 0 && fault.is_multiple_of(4), kernel, || format!("a word at {fault:#x}"))?;
        Ok(Self(precision, Rgba8Args { x, out, fault }))
    }
}

impl Launch for Upsample {
    type Args = UpsampleArgs;

    fn kernel(&self) -> &'static str {
        named(self.0, "upsample_bf16", "upsample_f32")
    }

    fn grid(&self) -> [u32; 3] {
        [blocks(self.0, self.1.out.rows, self.1.out.cols, self.1.wide), 1, 1]
    }

    fn threads(&self) -> u32 {
        POINT_THREADS
    }

    fn args(&self) -> &UpsampleArgs {
        &self.1
    }
}

impl Launch for Unpatchify {
    type Args = UnpatchifyArgs;

    fn kernel(&self) -> &'static str {
        named(self.0, "unpatchify_bf16", "unpatchify_f32")
    }

    fn grid(&self) -> [u32; 3] {
        [blocks(self.0, self.1.out.rows, self.1.out.cols, self.1.wide), 1, 1]
    }

    fn threads(&self) -> u32 {
        POINT_THREADS
    }

    fn args(&self) -> &UnpatchifyArgs {
        &self.1
    }
}

impl Launch for Positions {
    type Args = PositionsArgs;

    fn kernel(&self) -> &'static str {
        named(self.0, "positions_bf16", "positions_f32")
    }

    fn grid(&self) -> [u32; 3] {
        [blocks(self.0, self.1.out.rows, self.1.out.cols, self.1.wide), 1, 1]
    }

    fn threads(&self) -> u32 {
        POINT_THREADS
    }

    fn args(&self) -> &PositionsArgs {
        &self.1
    }
}

impl Launch for Rgba8 {
    type Args = Rgba8Args;

    fn kernel(&self) -> &'static str {
        named(self.0, "rgba8_bf16", "rgba8_f32")
    }

    fn grid(&self) -> [u32; 3] {
        [blocks(self.0, self.1.x.rows, 1, 0), 1, 1]
    }

    fn threads(&self) -> u32 {
        POINT_THREADS
    }

    fn args(&self) -> &Rgba8Args {
        &self.1
    }
}
