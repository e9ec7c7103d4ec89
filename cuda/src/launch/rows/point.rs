//! Launches of what is done with every number of a matrix.

use thumbforge_diffusion::dtype::Precision;
use thumbforge_diffusion::graph::Act;

use super::{POINT_THREADS, blocks, named, shaped, unless, wide};
use crate::launch::product::act_code;
use crate::launch::{Launch, Mat, Misfit, Then, args};

args! {
    /// What `activate` takes: `out = act(x)`.
    ActivateArgs {
        /// `[rows, cols]`
        x: Mat,
        /// As `x`; may lie on it.
        out: Mat,
        /// Which of `ACTS`.
        act: u32,
        /// 1 where all is read in vectors.
        wide: u32,
    }
}

args! {
    /// What `modulate` takes: `out = x (1 + scale) + shift`.
    ModulateArgs {
        /// `[pictures · tokens, cols]`
        x: Mat,
        /// As `x`; may lie on it.
        out: Mat,
        /// A row per picture.
        shift: Mat,
        /// A row per picture.
        scale: Mat,
        /// Rows of a picture.
        tokens: u32,
        /// 1 where all is read in vectors.
        wide: u32,
    }
}

args! {
    /// What `combine` takes: `out = then(y)`.
    CombineArgs {
        /// `[rows, cols]`
        y: Mat,
        /// As `y`; may lie on it or on what `then` reads.
        out: Mat,
        /// What is done.
        then: Then,
        /// 1 where all is read in vectors.
        wide: u32,
        /// Nothing.
        pad: u32,
    }
}

/// `out = act(x)`
#[derive(Debug, Clone, Copy)]
pub struct Activate(Precision, ActivateArgs);

/// `out = x (1 + scale) + shift`
#[derive(Debug, Clone, Copy)]
pub struct Modulate(Precision, ModulateArgs);

/// `out = then(y)`
#[derive(Debug, Clone, Copy)]
pub struct Combine(Precision, CombineArgs);

impl Activate {
    /// Of `x` into `out`.
    ///
    /// # Errors
    /// When `out` has not the shape of `x`.
    pub fn new(precision: Precision, x: Mat, act: Act, out: Mat) -> Result<Self, Misfit> {
        let kernel = named(precision, "activate_bf16", "activate_f32");
        shaped(kernel, "x", &x, x.rows, x.cols)?;
        shaped(kernel, "out", &out, x.rows, x.cols)?;
        let args = ActivateArgs { x, out, act: act_code(Some(act)), wide: wide(precision, &[x, out]) };
        Ok(Self(precision, args))
    }
}

impl Modulate {
    /// Of `x` into `out`.
    ///
    /// # Errors
    /// When a matrix has not the shape that belongs there.
    pub fn new(precision: Precision, x: Mat, shift: Mat, scale: Mat, out: Mat) -> Result<Self, Misfit> {
        let kernel = named(precision, "modulate_bf16", "modulate_f32");
        shaped(kernel, "x", &x, x.rows, x.cols)?;
        shaped(kernel, "out", &out, x.rows, x.cols)?;
        shaped(kernel, "shift", &shift, shift.rows, x.cols)?;
        shaped(kernel, "scale", &scale, shift.rows, x.cols)?;
        unless(x.rows.is_multiple_of(shift.rows), kernel, || {
            format!("{} rows are not of {} pictures", x.rows, shift.rows)
        })?;
        let wide = wide(precision, &[x, out, shift, scale]);
        Ok(Self(precision, ModulateArgs { x, out, shift, scale, tokens: x.rows / shift.rows, wide }))
    }
}

impl Combine {
    /// Of `y` into `out`.
    ///
    /// # Errors
    /// When a matrix has not the shape that belongs there.
    pub fn new(precision: Precision, y: Mat, then: Then, out: Mat) -> Result<Self, Misfit> {
        let kernel = named(precision, "combine_bf16", "combine_f32");
        shaped(kernel, "y", &y, y.rows, y.cols)?;
        shaped(kernel, "out", &out, y.rows, y.cols)?;
        let Then { kind, tokens, that, gate } = then;
        let fits = match kind {
            Then::STORE => true,
            Then::ADD => that.rows > 0 && y.rows.is_multiple_of(that.rows),
            Then::TIMES => that.rows == y.rows,
            Then::GATE => {
                that.rows == y.rows && tokens > 0 && u64::from(tokens) * u64::from(gate.rows) == u64::from(y.rows)
            }
            _ => false,
        };
        unless(fits, kernel, || {
            format!("kind {kind} of {} rows with {} rows, {} gates of {tokens}", y.rows, that.rows, gate.rows)
        })?;
        let mut mats = [y, out, Mat::default(), Mat::default()];
        if kind != Then::STORE {
            shaped(kernel, "that", &that, that.rows, y.cols)?;
            mats[2] = that;
        }
        if kind == Then::GATE {
            shaped(kernel, "gate", &gate, gate.rows, y.cols)?;
            mats[3] = gate;
        }
        Ok(Self(precision, CombineArgs { y, out, then, wide: wide(precision, &mats), pad: 0 }))
    }
}

impl Launch for Activate {
    type Args = ActivateArgs;

    fn kernel(&self) -> &'static str {
        named(self.0, "activate_bf16", "activate_f32")
    }

    fn grid(&self) -> [u32; 3] {
        [blocks(self.0, self.1.x.rows, self.1.x.cols, self.1.wide), 1, 1]
    }

    fn threads(&self) -> u32 {
        POINT_THREADS
    }

    fn args(&self) -> &ActivateArgs {
        &self.1
    }
}

impl Launch for Modulate {
    type Args = ModulateArgs;

    fn kernel(&self) -> &'static str {
        named(self.0, "modulate_bf16", "modulate_f32")
    }

    fn grid(&self) -> [u32; 3] {
        [blocks(self.0, self.1.x.rows, self.1.x.cols, self.1.wide), 1, 1]
    }

    fn threads(&self) -> u32 {
        POINT_THREADS
    }

    fn args(&self) -> &ModulateArgs {
        &self.1
    }
}

impl Launch for Combine {
    type Args = CombineArgs;

    fn kernel(&self) -> &'static str {
        named(self.0, "combine_bf16", "combine_f32")
    }

    fn grid(&self) -> [u32; 3] {
        [blocks(self.0, self.1.y.rows, self.1.y.cols, self.1.wide), 1, 1]
    }

    fn threads(&self) -> u32 {
        POINT_THREADS
    }

    fn args(&self) -> &CombineArgs {
        &self.1
    }
}
