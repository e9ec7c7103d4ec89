//! Launches of convolutions.

use thumbforge_diffusion::dtype::Precision;
use thumbforge_diffusion::graph::Geometry;

use super::product::{Card, End, TENSOR_CORES, Tile, act_code, check_end, check_mat, flags, in_pieces, pick};
use super::{Args, Declaration, Launch, Mat, Misfit, Then, args};

#[cfg(test)]
mod tests;

args! {
    /// `out = then(x ∗ weight + bias)`, pictures as rows of channels.
    ConvArgs {
        /// `[batch · height · width, channels]`
        x: Mat,
        /// `[features, side · side · channels]`
        weight: Mat,
        /// `[batch · out_height · out_width, features]`
        out: Mat,
        /// What is done before storing.
        then: Then,
        /// `[features]` singles, or 0.
        bias: u64,
        /// 0: the product has no activation, and shares its ending with those that have.
        act: u32,
        /// `PIECES`.
        flags: u32,
        /// Of the input, before it is enlarged.
        height: u32,
        /// Of the input, before it is enlarged.
        width: u32,
        /// Of the outcome.
        out_height: u32,
        /// Of the outcome.
        out_width: u32,
        /// Side of the kernel.
        side: u32,
        /// Pixels from one place to the next.
        step: u32,
        /// Zeros before the first row and column.
        before: u32,
        /// Side of the square that an input pixel is seen as: 1 or 2.
        upsample: u32,
    }
}

/// What its kernels take.
pub(super) const DECLARATIONS: &[Declaration] = &[ConvArgs::DECLARATION];

const LARGE: Tile = Tile {
    kernel: "conv_bf16_128x128",
    rows: 128,
    cols: 128,
    threads: 128,
    shared: 3 * 256 * 64,
    beside: 2,
    cost: 100,
};
const SMALL: Tile = Tile { kernel: "conv_bf16_64x64", rows: 64, cols: 64, shared: 6 * 128 * 64, cost: 140, ..LARGE };
const FEW: Tile = Tile { kernel: "conv_bf16_128x16", cols: 16, shared: 4 * 144 * 64, cost: 300, ..LARGE };
const ODD: Tile = Tile { kernel: "conv_bf16_64x64_odd", shared: 2 * 128 * 64, ..SMALL };
const SINGLES_LARGE: Tile = Tile { kernel: "conv_f32_128x128", threads: 256, ..LARGE };
const SINGLES_SMALL: Tile = Tile { kernel: "conv_f32_64x64", shared: 3 * 128 * 64, ..SMALL };
const SINGLES_ODD: Tile = Tile { kernel: "conv_f32_64x64_odd", shared: 2 * 128 * 64, ..SMALL };

/// All of its tiles, and the first cards that each is taken for.
pub(super) const TILES: &[(Tile, u32)] =
    &[(LARGE, TENSOR_CORES), (SMALL, 0), (FEW, 0), (ODD, 0), (SINGLES_LARGE, 0), (SINGLES_SMALL, 0), (SINGLES_ODD, 0)];

/// Features up to which tiles of 16 columns are taken: the last convolution of a decoder makes three colours.
const FEW_FEATURES: u32 = 16;

/// Sides with their zeros are below: a kernel keeps a place in 16 bits.
const SIDE_END: usize = 1 << 15;

/// Kernels find the pixel below an enlarged one by a shift; decoders enlarge twofold.
const UPSAMPLE_MAX: usize = 2;

/// A convolution as a product, whose left side is gathered from the picture as it is read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conv {
    args: ConvArgs,
    tile: Tile,
}

impl Conv {
    /// `out = end(x ∗ weight)`, all in `precision` but for the bias. The weight's rows hold a feature each, its taps from
    /// the top left on and the channels of each tap side by side.
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
        geometry: &Geometry,
        end: &End,
        out: Mat,
    ) -> Result<Self, Misfit> {
        let what = "a convolution";
        let misfit = |reason: String| Misfit { what, reason };
        let number = precision.bytes() as u64;
        check_mat(what, "the picture", &x, number)?;
        check_mat(what, "the weight", &weight, number)?;
        check_end(what, end, &out, number)?;
        let Geometry { batch, height, width, kernel, stride, before, after, upsample } = *geometry;
        let padded = |side: usize| side.saturating_mul(upsample).saturating_add(before).saturating_add(after);
        let known = [batch, height, width, kernel, stride, upsample].iter().all(|number| *number > 0);
        let looks = |side: usize| (kernel..SIDE_END).contains(&padded(side));
        if !known
            || upsample > UPSAMPLE_MAX
            || stride >= SIDE_END
            || batch > u32::MAX as usize
            || !looks(height)
            || !looks(width)
        {
            return Err(misfit(format!("it cannot look as {geometry:?} says")));
        }
        let (out_height, out_width) = geometry.out();
        let seen = (batch * height * width, kernel * kernel * x.cols as usize, batch * out_height * out_width);
        if (x.rows as usize, weight.cols as usize, out.rows as usize) != seen || weight.rows != out.cols {
            return Err(misfit(format!(
                "{} x {} by {} x {} does not give {} x {} where it looks as {geometry:?} says",
                x.rows, x.cols, weight.rows, weight.cols, out.rows, out.cols
            )));
        }
        let piece = 16 / number as u32;
        let even = in_pieces(&x, number) && in_pieces(&weight, number) && x.cols.is_multiple_of(piece);
        let tiles: &[Tile] = match (precision, even) {
            (Precision::F32, false) => &[SINGLES_ODD],
            (Precision::F32, true) => &[SINGLES_LARGE, SINGLES_SMALL],
            (Precision::Bf16, false) => &[ODD],
            (Precision::Bf16, true) if out.cols <= FEW_FEATURES => &[FEW],
            (Precision::Bf16, true) if card.capability < TENSOR_CORES => &[SMALL],
            (Precision::Bf16, true) => &[LARGE, SMALL],
        };
        let tile = pick(what, tiles, card, out.rows, out.cols)?;
        let args = ConvArgs {
            x,
            weight,
            out,
            then: end.then,
            bias: end.bias,
            act: act_code(end.act),
            flags: flags(end, &out, number),
            height: height as u32,
            width: width as u32,
            out_height: out_height as u32,
            out_width: out_width as u32,
            side: kernel as u32,
            step: stride as u32,
            before: before as u32,
            upsample: upsample as u32,
        };
        Ok(Self { args, tile })
    }
}

impl Launch for Conv {
    type Args = ConvArgs;

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

    fn args(&self) -> &ConvArgs {
        &self.args
    }
}
