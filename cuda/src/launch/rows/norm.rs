//! The launch of a norm of rows.

use thumbforge_diffusion::dtype::Precision;
use thumbforge_diffusion::graph::NormKind;

use super::{named, shaped, unless, wide, wide_params};
use crate::launch::{Address, Launch, Mat, Misfit, args};

args! {
    /// What `norm` takes: `out = norm(x) · weight + bias`, then `· (1 + scale) + shift`.
    NormArgs {
        /// `[rows, features]`
        x: Mat,
        /// As `x`; may lie on it.
        out: Mat,
        /// A row per picture; at no address where nothing is modulated.
        shift: Mat,
        /// As `shift`.
        scale: Mat,
        /// `[features]` singles, or nothing.
        weight: Address,
        /// `[features]` singles, or nothing.
        bias: Address,
        /// Rows of a picture.
        tokens: u32,
        /// 1 where the mean is taken away first.
        layer: u32,
        /// Is added to the mean square.
        eps: f32,
        /// 1 where all is read in vectors.
        wide: u32,
    }
}

/// What a norm is of.
#[derive(Debug, Clone, Copy)]
pub struct NormShape {
    /// What it divides by.
    pub kind: NormKind,
    /// Is added to the mean square.
    pub eps: f32,
    /// `[features]` singles, or 0.
    pub weight: Address,
    /// `[features]` singles, or 0.
    pub bias: Address,
    /// Shift and scale, a row per picture.
    pub modulate: Option<(Mat, Mat)>,
}

/// A norm of every row.
#[derive(Debug, Clone, Copy)]
pub struct Norm {
    precision: Precision,
    args: NormArgs,
}

/// Rows of a block: a warp each.
const ROWS: u32 = 4;

impl Norm {
    /// Of `x` into `out`.
    ///
    /// # Errors
    /// When a matrix has not the shape that belongs there.
    pub fn new(precision: Precision, x: Mat, out: Mat, shape: &NormShape) -> Result<Self, Misfit> {
        let kernel = named(precision, "norm_bf16", "norm_f32");
        shaped(kernel, "x", &x, x.rows, x.cols)?;
        shaped(kernel, "out", &out, x.rows, x.cols)?;
        let (shift, scale) = shape.modulate.unwrap_or_default();
        let mut tokens = x.rows;
        if shape.modulate.is_some() {
            shaped(kernel, "shift", &shift, shift.rows, x.cols)?;
            shaped(kernel, "scale", &scale, shift.rows, x.cols)?;
            unless(x.rows.is_multiple_of(shift.rows), kernel, || {
                format!("{} rows are not of {} pictures", x.rows, shift.rows)
            })?;
            tokens = x.rows / shift.rows;
        }
        let vectors = wide(precision, &[x, out, shift, scale]) == 1 && wide_params(&[shape.weight, shape.bias]);
        let args = NormArgs {
            x,
            out,
            shift,
            scale,
            weight: shape.weight,
            bias: shape.bias,
            tokens,
            layer: (shape.kind == NormKind::Layer).into(),
            eps: shape.eps,
            wide: vectors.into(),
        };
        Ok(Self { precision, args })
    }
}

impl Launch for Norm {
    type Args = NormArgs;

    fn kernel(&self) -> &'static str {
        named(self.precision, "norm_bf16", "norm_f32")
    }

    fn grid(&self) -> [u32; 3] {
        [self.args.x.rows.div_ceil(ROWS), 1, 1]
    }

    fn threads(&self) -> u32 {
        32 * ROWS
    }

    fn args(&self) -> &NormArgs {
        &self.args
    }
}
