//! Where the buffers of an operation lie in a memory, checked before a device makes addresses of them.
//!
//! A program, its bases and its memory come from safe code that may be wrong. What the loops of a device rely on is therefore
//! looked at here, per operation: a fault is an error that says what does not fit, not a read beyond a buffer.

use std::ops::Range;

use crate::device::Bases;
use crate::graph::{Geometry, Op, View, Weight, WeightUse};
use crate::plan::{Place, Program};

/// A program over a memory of so many bytes. Errors say what does not fit, as fragments.
#[derive(Debug, Clone, Copy)]
pub struct Views<'a> {
    program: &'a Program,
    bases: Bases<'a>,
    bytes: u64,
}

impl<'a> Views<'a> {
    /// Of `program` with its buffers at `bases` of `bytes`.
    ///
    /// # Errors
    /// When it was not given a place for every kept buffer.
    pub fn new(program: &'a Program, bases: Bases<'a>, bytes: u64) -> Result<Self, String> {
        if bases.kept.len() != program.kept.len() {
            return Err(format!("a program of {} kept buffers was given {}", program.kept.len(), bases.kept.len()));
        }
        Ok(Self { program, bases, bytes })
    }

    /// First byte and end of a view in the memory, checked against its buffer and the memory.
    ///
    /// # Errors
    /// When it does not lie in both, or not where a number of its kind may lie.
    pub fn bytes_of(&self, view: View) -> Result<Range<u64>, String> {
        let buffer = self.program.buffers.get(view.value.0 as usize);
        let buffer = buffer.ok_or_else(|| format!("buffer {} of {}", view.value.0, self.program.buffers.len()))?;
        let size = buffer.element.bytes(self.program.precision) as u64;
        let base = match buffer.place {
            Place::Scratch(offset) => self.bases.scratch.checked_add(offset),
            Place::Kept(index) => self.bases.kept.get(index).copied(),
        };
        let fits = |from: usize, count: usize, of: usize| from.checked_add(count).is_some_and(|end| end <= of);
        let inside = fits(view.row, view.rows, buffer.rows) && fits(view.col, view.cols, buffer.cols);
        let some = view.rows > 0 && view.cols > 0;
        let range = || -> Option<Range<u64>> {
            let number = |row: usize, col: usize| (row as u64).checked_mul(buffer.cols as u64)?.checked_add(col as u64);
            let from = base?.checked_add(number(view.row, view.col)?.checked_mul(size)?)?;
            let last = number(view.row + view.rows - 1, view.col + view.cols)?;
            let end = base?.checked_add(last.checked_mul(size)?)?;
            (end <= self.bytes && from % size == 0).then_some(from..end)
        };
        (inside && some)
            .then(range)
            .flatten()
            .ok_or_else(|| format!("{view:?} of {buffer:?} at {base:?} does not lie in {} bytes", self.bytes))
    }

    /// Whether what is written lies apart from what is read and from what else is written, or exactly on the one thing
    /// that is read element by element.
    ///
    /// # Errors
    /// When it does not, or a view does not lie in the memory.
    pub fn check_apart(&self, op: &Op) -> Result<(), String> {
        let (reads, writes) = (op.reads(), op.writes());
        for (index, out) in writes.iter().enumerate() {
            let meets = |other: View| Err(format!("{out:?} is written where {other:?} lies"));
            for (at, read) in reads.iter().enumerate() {
                if self.overlap(*out, *read)? && !(elementwise(op, at) && self.same_place(*out, *read)?) {
                    return meets(*read);
                }
            }
            for other in &writes[..index] {
                if self.overlap(*out, *other)? {
                    return meets(*other);
                }
            }
        }
        Ok(())
    }

    /// A parameter as the program wants it.
    ///
    /// # Errors
    /// When it has no such parameter.
    pub fn wanted(&self, weight: Weight) -> Result<&'a WeightUse, String> {
        let wanted = self.program.weights.get(weight.0 as usize);
        wanted.ok_or_else(|| format!("parameter {} of {}", weight.0, self.program.weights.len()))
    }

    fn same_place(&self, a: View, b: View) -> Result<bool, String> {
        let (of_a, of_b) = (self.program.buffer(a.value), self.program.buffer(b.value));
        let alike = (of_a.cols, of_a.element, a.rows, a.cols) == (of_b.cols, of_b.element, b.rows, b.cols);
        Ok(alike && self.bytes_of(a)?.start == self.bytes_of(b)?.start)
    }

    fn overlap(&self, a: View, b: View) -> Result<bool, String> {
        let (bytes_a, bytes_b) = (self.bytes_of(a)?, self.bytes_of(b)?);
        if bytes_a.end <= bytes_b.start || bytes_b.end <= bytes_a.start {
            return Ok(false);
        }
        if a.value != b.value {
            return Ok(true);
        }
        // Rectangles of one buffer may interleave without meeting.
        let meet = |from_a: usize, len_a: usize, from_b: usize, len_b: usize| {
            from_a < from_b + len_b && from_b < from_a + len_a
        };
        Ok(meet(a.row, a.rows, b.row, b.rows) && meet(a.col, a.cols, b.col, b.cols))
    }
}

/// Whether each number of the view at `read` of [`Op::reads`] is read before the same place is written, by the same
/// thread, and never again.
fn elementwise(op: &Op, read: usize) -> bool {
    match op {
        // The rows of a product are read by all of its tasks; of what follows it a gate is read for many rows.
        Op::Linear { .. } | Op::Conv { .. } => read == 1,
        Op::Combine { .. } => read <= 1,
        Op::Norm { .. } | Op::Modulate { .. } | Op::Activate { .. } => read == 0,
        _ => false,
    }
}

/// Whether `by` goes into `number`.
pub fn divides(by: usize, number: usize) -> bool {
    by > 0 && number.is_multiple_of(by)
}

/// Whether the product of `factors` is `expected` and does not overflow.
pub fn product_is(factors: [usize; 3], expected: usize) -> bool {
    let product = factors.into_iter().try_fold(1usize, usize::checked_mul);
    product == Some(expected)
}

/// A geometry over `rows` pixels, whose numbers are small enough to add and multiply.
///
/// # Errors
/// When it is none.
pub fn check_geometry(geometry: &Geometry, rows: usize) -> Result<(), String> {
    let Geometry { batch, height, width, kernel, stride, before, after, upsample } = *geometry;
    // Sides of pictures and kernels; anything beyond is a fault, and products of two of them still fit.
    const MOST: usize = 1 << 20;
    let small = [height, width, kernel, stride, before, after, upsample].iter().all(|number| *number <= MOST);
    let some = height > 0 && width > 0 && kernel > 0 && stride > 0 && upsample > 0;
    let covers = |side: usize| small && side * upsample + before + after >= kernel;
    if some && covers(height) && covers(width) && product_is([batch, height, width], rows) {
        return Ok(());
    }
    Err(format!("{geometry:?} over {rows} pixels"))
}
