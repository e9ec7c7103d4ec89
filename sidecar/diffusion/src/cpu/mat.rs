//! Views of buffers as addresses, made once per operation after every check; what is done with a product's rows.
//!
//! Threads write to rows and columns of one buffer side by side, which references cannot say, so a [`Mat`] holds a
//! pointer. [`super::exec`] makes them: each lies inside of the memory of the run, at a multiple of its numbers' size,
//! and what an operation writes overlaps nothing that it reads, except where it lies on it exactly and every number is
//! read before it is written, by the same thread.

use super::maths;
use crate::dtype::{bf16_to_f32, f32_to_bf16};
use crate::graph::Act;

/// A rectangle of a buffer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mat {
    /// Its first number.
    pub(super) at: *mut u8,
    /// Rows.
    pub(super) rows: usize,
    /// Columns.
    pub(super) cols: usize,
    /// Numbers from one row to the next.
    pub(super) stride: usize,
    /// Bytes of a number: 4 for singles, 2 for bf16.
    pub(super) size: usize,
}

// SAFETY: it is an address; who reads and writes through it says so at every use.
unsafe impl Send for Mat {}
// SAFETY: as above.
unsafe impl Sync for Mat {}

impl Mat {
    /// Where a number lies.
    ///
    /// # Safety
    /// `row` and `col` lie in the rectangle.
    #[inline(always)]
    pub(super) unsafe fn place(&self, row: usize, col: usize) -> *mut u8 {
        debug_assert!(row < self.rows && col <= self.cols, "{row} {col} of {self:?}");
        // SAFETY: inside of the rectangle, which lies in one allocation.
        unsafe { self.at.add((row * self.stride + col) * self.size) }
    }

    /// Reads numbers of a row from `col` on.
    ///
    /// # Safety
    /// They lie in the rectangle, and nobody writes them meanwhile.
    #[inline(always)]
    pub(super) unsafe fn load(&self, row: usize, col: usize, numbers: &mut [f32]) {
        debug_assert!(col + numbers.len() <= self.cols, "{col} + {} of {self:?}", numbers.len());
        // SAFETY: as the caller says.
        let at = unsafe { self.place(row, col) };
        if self.size == 4 {
            // SAFETY: a multiple of four, as checked when it was made, and as many as the caller says.
            numbers.copy_from_slice(unsafe { std::slice::from_raw_parts(at.cast::<f32>(), numbers.len()) });
        } else {
            // SAFETY: a multiple of two, likewise.
            let stored = unsafe { std::slice::from_raw_parts(at.cast::<u16>(), numbers.len()) };
            numbers.iter_mut().zip(stored).for_each(|(number, stored)| *number = bf16_to_f32(*stored));
        }
    }

    /// Writes numbers of a row from `col` on, rounded to what the buffer holds.
    ///
    /// # Safety
    /// They lie in the rectangle, and nobody else touches them meanwhile.
    #[inline(always)]
    pub(super) unsafe fn store(&self, row: usize, col: usize, numbers: &[f32]) {
        debug_assert!(col + numbers.len() <= self.cols, "{col} + {} of {self:?}", numbers.len());
        // SAFETY: as the caller says.
        let at = unsafe { self.place(row, col) };
        if self.size == 4 {
            // SAFETY: a multiple of four, as checked when it was made, and as many as the caller says.
            unsafe { std::slice::from_raw_parts_mut(at.cast::<f32>(), numbers.len()) }.copy_from_slice(numbers);
        } else {
            // SAFETY: a multiple of two, likewise.
            let stored = unsafe { std::slice::from_raw_parts_mut(at.cast::<u16>(), numbers.len()) };
            stored.iter_mut().zip(numbers).for_each(|(stored, number)| *stored = f32_to_bf16(*number));
        }
    }
}

/// [`crate::graph::Then`] with addresses.
#[derive(Debug, Clone, Copy)]
pub(super) enum Then {
    Store,
    Add(Mat),
    Times(Mat),
    Gate { residual: Mat, gate: Mat },
}

/// What is done with rows of an outcome before they are stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Finish<'a> {
    /// A number for every column.
    pub(super) bias: Option<&'a [f32]>,
    /// After the bias.
    pub(super) act: Option<Act>,
    /// After the activation.
    pub(super) then: Then,
    /// Last of all.
    pub(super) out: Mat,
}

/// Numbers that are finished together: what else is read of them fits beside them in the fastest cache.
const PIECE: usize = 256;

impl Finish<'_> {
    /// Finishes `y`, the columns from `col` on of `row`.
    ///
    /// # Safety
    /// They lie in `out`, whose checks hold, and no other thread finishes them.
    #[inline(always)]
    pub(super) unsafe fn row(&self, y: &mut [f32], row: usize, col: usize) {
        let mut other = [0.0f32; PIECE];
        for (at, y) in y.chunks_mut(PIECE).enumerate() {
            let (col, other) = (col + at * PIECE, &mut other[..y.len()]);
            if let Some(bias) = self.bias {
                y.iter_mut().zip(&bias[col..]).for_each(|(y, bias)| *y += bias);
            }
            if let Some(act) = self.act {
                maths::act_row(act, y);
            }
            // SAFETY: other views have the columns of `out`, and rows as below; each number is read before it is written.
            unsafe {
                match self.then {
                    Then::Store => {}
                    Then::Add(this) => {
                        this.load(row % this.rows, col, other);
                        y.iter_mut().zip(&*other).for_each(|(y, this)| *y += this);
                    }
                    Then::Times(this) => {
                        this.load(row, col, other);
                        y.iter_mut().zip(&*other).for_each(|(y, this)| *y *= this);
                    }
                    Then::Gate { residual, gate } => {
                        gate.load(row / (self.out.rows / gate.rows), col, other);
                        y.iter_mut().zip(&*other).for_each(|(y, gate)| *y *= gate);
                        residual.load(row, col, other);
                        y.iter_mut().zip(&*other).for_each(|(y, residual)| *y += residual);
                    }
                }
                self.out.store(row, col, y);
            }
        }
    }
}
