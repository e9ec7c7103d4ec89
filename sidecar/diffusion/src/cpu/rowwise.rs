//! Operations that go over rows: norms, activations, and the small ones that fetch or move.
//!
//! Sums are doubles in sixteen lanes, so that they are as good as exact and vectors add them; group norms add up pixels in
//! parts that depend on the picture alone.

use std::ops::Range;
use std::sync::Mutex;

use super::kernels::Work;
use super::mat::{Finish, Mat};
use super::maths;
use super::team::{Need, Room, Team, lines};
use crate::error::DiffusionError;
use crate::graph::{Act, NormKind};
use crate::param::Param;
use crate::rows;

/// Numbers of a task: some microseconds of work.
const TASK: usize = 64 << 10;

/// Numbers that are worked on together, in the first cache.
const PIECE: usize = 256;

/// Parts that the pixels of a picture are added up in.
const PARTS: usize = 64;

/// The sum of `of` over `numbers`.
#[inline(always)]
pub(super) fn sum(numbers: &[f32], of: impl Fn(f64) -> f64) -> f64 {
    let mut lanes = [0.0f64; 16];
    let mut chunks = numbers.chunks_exact(16);
    for chunk in chunks.by_ref() {
        lanes.iter_mut().zip(chunk).for_each(|(lane, number)| *lane += of(f64::from(*number)));
    }
    lanes.iter_mut().zip(chunks.remainder()).for_each(|(lane, number)| *lane += of(f64::from(*number)));
    lanes.iter().sum()
}

/// Does `work` for ranges of `rows` rows of `cols` numbers, side by side.
fn each(team: &Team<'_>, rows: usize, cols: usize, work: impl Fn(Range<usize>, Room<'_>) + Sync) {
    let step = (TASK / cols.max(1)).max(1);
    team.each(rows.div_ceil(step), |task, room| work(task * step..((task + 1) * step).min(rows), room));
}

/// Shift and scale of each picture: `y (1 + scale) + shift`.
#[derive(Clone, Copy)]
pub(super) struct Modulation {
    pub(super) shift: Mat,
    pub(super) scale: Mat,
}

impl Modulation {
    /// # Safety
    /// `col` and the numbers behind it lie in the views, whose rows divide `rows`.
    #[inline(always)]
    unsafe fn piece(&self, y: &mut [f32], row: usize, rows: usize, col: usize, other: &mut [f32]) {
        let (picture, other) = (row / (rows / self.shift.rows), &mut other[..y.len()]);
        // SAFETY: as the caller says; nobody writes to what an operation reads.
        unsafe { self.scale.load(picture, col, other) };
        y.iter_mut().zip(&*other).for_each(|(y, scale)| *y *= 1.0 + scale);
        // SAFETY: as above.
        unsafe { self.shift.load(picture, col, other) };
        y.iter_mut().zip(&*other).for_each(|(y, shift)| *y += shift);
    }
}

/// A norm of every row; without a kind, only what follows it.
#[derive(Clone, Copy)]
pub(super) struct Norm<'a> {
    pub(super) x: Mat,
    pub(super) kind: Option<NormKind>,
    pub(super) eps: f32,
    pub(super) weight: Option<&'a [f32]>,
    pub(super) bias: Option<&'a [f32]>,
    pub(super) modulate: Option<Modulation>,
    pub(super) out: Mat,
}

/// Norms rows.
pub(super) fn norm(team: &Team<'_>, norm: &Norm<'_>) {
    each(team, norm.x.rows, norm.x.cols, |rows, _| team.kernels.run(NormRows { norm, rows }));
}

struct NormRows<'a> {
    norm: &'a Norm<'a>,
    rows: Range<usize>,
}

impl Work for NormRows<'_> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Norm { x, kind, eps, weight, bias, modulate, out } = *self.norm;
        let (cols, count) = (x.cols, x.cols as f64);
        let (mut piece, mut other) = ([0.0f32; PIECE], [0.0f32; PIECE]);
        for row in self.rows {
            let mut total = |of: &dyn Fn(&[f32]) -> f64| {
                let mut total = 0.0;
                for col in (0..cols).step_by(PIECE) {
                    let piece = &mut piece[..PIECE.min(cols - col)];
                    // SAFETY: a row of `x` of this task.
                    unsafe { x.load(row, col, piece) };
                    total += of(piece);
                }
                total
            };
            let (mean, by) = match kind {
                None => (0.0, 1.0),
                Some(kind) => {
                    let mean = match kind {
                        NormKind::Layer => total(&|piece| sum(piece, |x| x)) / count,
                        NormKind::Rms => 0.0,
                    };
                    let square = total(&|piece| sum(piece, |x| (x - mean) * (x - mean))) / count;
                    (mean, (1.0 / (square + f64::from(eps)).sqrt()) as f32)
                }
            };
            // The mean in two singles, so that taking it away loses nothing.
            let high = mean as f32;
            let low = (mean - f64::from(high)) as f32;
            for col in (0..cols).step_by(PIECE) {
                let y = &mut piece[..PIECE.min(cols - col)];
                // SAFETY: a row of `x` of this task.
                unsafe { x.load(row, col, y) };
                if kind.is_some() {
                    y.iter_mut().for_each(|y| *y = (*y - high - low) * by);
                }
                if let Some(weight) = weight {
                    y.iter_mut().zip(&weight[col..]).for_each(|(y, weight)| *y *= weight);
                }
                if let Some(bias) = bias {
                    y.iter_mut().zip(&bias[col..]).for_each(|(y, bias)| *y += bias);
                }
                // SAFETY: views of the row's columns; `out` may lie on `x`, of which these columns have been read.
                unsafe {
                    if let Some(modulate) = modulate {
                        modulate.piece(y, row, x.rows, col, &mut other);
                    }
                    out.store(row, col, y);
                }
            }
        }
    }
}

/// A norm over the pixels of a picture and the channels of a group.
#[derive(Clone, Copy)]
pub(super) struct GroupNorm<'a> {
    pub(super) x: Mat,
    pub(super) batch: usize,
    pub(super) groups: usize,
    pub(super) eps: f32,
    pub(super) weight: &'a [f32],
    pub(super) bias: &'a [f32],
    pub(super) act: Option<Act>,
    pub(super) out: Mat,
}

/// What a group norm works in: sums of channels for each thread, sums of parts and factors of channels for all.
pub(super) fn group_norm_need(channels: usize, groups: usize, batch: usize) -> Need {
    let shared = lines(batch * PARTS * groups * 4) + lines(batch * channels * 4);
    Need { own: 2 * lines(channels * 2), shared }
}

/// Norms groups.
pub(super) fn group_norm(team: &Team<'_>, norm: &GroupNorm<'_>, shared: &mut Room<'_>) {
    let GroupNorm { x, batch, groups, eps, .. } = *norm;
    let (channels, pixels) = (x.cols, x.rows / batch);
    let part = pixels.div_ceil(PARTS);
    let sums = doubles(shared.take(batch * PARTS * groups * 4));
    sums.fill(0.0);
    let sums = Mutex::new(sums);
    team.each(batch * PARTS, |task, mut room| {
        let (picture, at) = (task / PARTS, task % PARTS);
        let rows = picture * pixels + (at * part).min(pixels)..picture * pixels + ((at + 1) * part).min(pixels);
        let (first, second) = (doubles(room.take(channels * 2)), doubles(room.take(channels * 2)));
        team.kernels.run(SumRows { x, rows, first: &mut *first, second: &mut *second });
        let size = channels / groups;
        // No task holds it when it panics: sums are plain numbers.
        let mut sums = sums.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for (group, sums) in sums[task * groups * 2..][..groups * 2].chunks_exact_mut(2).enumerate() {
            sums[0] = first[group * size..][..size].iter().sum();
            sums[1] = second[group * size..][..size].iter().sum();
        }
    });
    let sums = sums.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let factors = shared.take(batch * channels * 4);
    let count = (pixels * (channels / groups)) as f64;
    for (picture, factors) in factors.chunks_exact_mut(channels * 4).enumerate() {
        for channel in 0..channels {
            let group = channel / (channels / groups);
            let total = |which: usize| -> f64 {
                (0..PARTS).map(|at| sums[((picture * PARTS + at) * groups + group) * 2 + which]).sum()
            };
            // Squares of singles are exact in doubles, so little is lost by taking the mean away afterwards.
            let mean = total(0) / count;
            let variance = total(1) / count - mean * mean;
            let variance = if variance < 0.0 { 0.0 } else { variance };
            let by = norm.weight[channel] as f64 / (variance + f64::from(eps)).sqrt();
            let high = mean as f32;
            factors[channel] = high;
            factors[channels + channel] = (mean - f64::from(high)) as f32;
            factors[2 * channels + channel] = by as f32;
            factors[3 * channels + channel] = norm.bias[channel];
        }
    }
    let factors = &*factors;
    each(team, x.rows, channels, |rows, _| team.kernels.run(GroupRows { norm, rows, pixels, factors }));
}

/// Singles as half as many doubles.
fn doubles(singles: &mut [f32]) -> &mut [f64] {
    // SAFETY: any bits are a double; a room begins at lines of the cache, so nothing is cut off at the start.
    unsafe { singles.align_to_mut::<f64>().1 }
}

struct SumRows<'a> {
    x: Mat,
    rows: Range<usize>,
    first: &'a mut [f64],
    second: &'a mut [f64],
}

impl Work for SumRows<'_> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self { x, rows, first, second } = self;
        first.fill(0.0);
        second.fill(0.0);
        let mut piece = [0.0f32; PIECE];
        for row in rows {
            for col in (0..x.cols).step_by(PIECE) {
                let piece = &mut piece[..PIECE.min(x.cols - col)];
                // SAFETY: a row of `x`, which nobody writes to.
                unsafe { x.load(row, col, piece) };
                let (first, second) = (&mut first[col..][..piece.len()], &mut second[col..][..piece.len()]);
                for ((x, first), second) in piece.iter().zip(first).zip(second) {
                    let x = f64::from(*x);
                    *first += x;
                    *second += x * x;
                }
            }
        }
    }
}

struct GroupRows<'a> {
    norm: &'a GroupNorm<'a>,
    rows: Range<usize>,
    pixels: usize,
    factors: &'a [f32],
}

impl Work for GroupRows<'_> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self { norm, rows, pixels, factors } = self;
        let (x, channels) = (norm.x, norm.x.cols);
        let mut piece = [0.0f32; PIECE];
        for row in rows {
            let factors = &factors[row / pixels * channels * 4..][..channels * 4];
            for col in (0..channels).step_by(PIECE) {
                let y = &mut piece[..PIECE.min(channels - col)];
                // SAFETY: a row of `x` of this task.
                unsafe { x.load(row, col, y) };
                let of = |which: usize| &factors[which * channels + col..][..y.len()];
                let (high, low, by, bias) = (of(0), of(1), of(2), of(3));
                let factors = high.iter().zip(low).zip(by).zip(bias);
                for (y, (((high, low), by), bias)) in y.iter_mut().zip(factors) {
                    *y = (*y - high - low) * by + bias;
                }
                if let Some(act) = norm.act {
                    maths::act_row(act, y);
                }
                // SAFETY: the same row of `out`, which lies apart from `x` or on it.
                unsafe { norm.out.store(row, col, y) };
            }
        }
    }
}

/// Finishes what lies in `y`: activations and combinations that no product took in.
pub(super) fn finish(team: &Team<'_>, y: Mat, finish: &Finish<'_>) {
    each(team, y.rows, y.cols, |rows, _| team.kernels.run(FinishRows { y, finish, rows }));
}

struct FinishRows<'a> {
    y: Mat,
    finish: &'a Finish<'a>,
    rows: Range<usize>,
}

impl Work for FinishRows<'_> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let mut piece = [0.0f32; PIECE];
        for row in self.rows {
            for col in (0..self.y.cols).step_by(PIECE) {
                let piece = &mut piece[..PIECE.min(self.y.cols - col)];
                // SAFETY: rows of this task; `out` has the sides of `y`, and is written after it was read.
                unsafe {
                    self.y.load(row, col, piece);
                    self.finish.row(piece, row, col);
                }
            }
        }
    }
}

/// Copies columns `col(row)..` of row `from(row)` of `x` to every row of `out`.
pub(super) fn copy(team: &Team<'_>, x: Mat, out: Mat, from: impl Fn(usize) -> (usize, usize) + Sync) {
    each(team, out.rows, out.cols, |rows, _| {
        for row in rows {
            let (at, col) = from(row);
            team.kernels.run(CopyRow { x, at, col, out, row });
        }
    });
}

struct CopyRow {
    x: Mat,
    at: usize,
    col: usize,
    out: Mat,
    row: usize,
}

impl Work for CopyRow {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self { x, at, col, out, row } = self;
        let mut piece = [0.0f32; PIECE];
        for to in (0..out.cols).step_by(PIECE) {
            let piece = &mut piece[..PIECE.min(out.cols - to)];
            // SAFETY: the executor checked that `from` stays inside of `x`, and `out` overlaps nothing that is read.
            unsafe {
                x.load(at, col + to, piece);
                out.store(row, to, piece);
            }
        }
    }
}

/// What fetching rows of tables works in.
pub(super) fn embed_need(features: usize) -> Need {
    Need { own: 2 * lines(features), shared: 0 }
}

/// Rows of `table` by number, plus those of `positions` in turn, rounded to bf16 first where `round` says so, as weights
/// of more than one side are everywhere.
pub(super) fn embed(
    team: &Team<'_>,
    table: &Param,
    row_of: impl Fn(usize) -> usize + Sync,
    positions: Option<&Param>,
    round: bool,
    out: Mat,
) {
    each(team, out.rows, out.cols, |rows, mut room| {
        let (y, other) = (room.take(out.cols), room.take(out.cols));
        let read = |param: &Param, row: usize, y: &mut [f32]| {
            rows::read(param, row..row + 1, y);
            if round {
                y.iter_mut().for_each(|y| *y = crate::dtype::bf16_to_f32(crate::dtype::f32_to_bf16(*y)));
            }
        };
        for row in rows {
            read(table, row_of(row), y);
            if let Some(positions) = positions {
                read(positions, row % positions.rows(), other);
                y.iter_mut().zip(&*other).for_each(|(y, position)| *y += position);
            }
            // SAFETY: a row of this task.
            unsafe { out.store(row, 0, y) };
        }
    });
}

/// Cosines then sines. The functions are libm's, alike on every machine.
pub(super) fn timestep(t: Mat, out: Mat) -> Result<(), DiffusionError> {
    let half = out.cols / 2;
    for row in 0..out.rows {
        let mut time = [0.0];
        // SAFETY: a row each of views that one thread holds.
        unsafe { t.load(row, 0, &mut time) };
        for i in 0..half {
            let frequency = libm::expf(-libm::logf(10_000.0) * i as f32 / half as f32);
            let angle = time[0] * frequency;
            // SAFETY: as above; `2 · half` columns.
            unsafe {
                out.store(row, i, &[libm::cosf(angle)]);
                out.store(row, half + i, &[libm::sinf(angle)]);
            }
        }
    }
    Ok(())
}

/// What scores by distance work in: the table, and a number for every distance.
pub(super) fn relative_bias_need(numbers: usize, heads: usize, tokens: usize) -> Need {
    Need { own: 0, shared: lines(numbers) + lines(heads * 2 * tokens) }
}

/// Scores by distance; `table` is `[buckets, heads]`.
pub(super) fn relative_bias(
    team: &Team<'_>,
    table: &[f32],
    tokens: usize,
    distance: usize,
    shared: &mut Room<'_>,
    out: Mat,
) {
    let heads = out.rows;
    let buckets = table.len() / heads;
    // Of each head from the farthest key before to the farthest behind: row `query` of the outcome is a window of it.
    let by_distance = shared.take(heads * 2 * tokens);
    for away in 0..(2 * tokens).saturating_sub(1) {
        let (key, query) = ((away + 1).saturating_sub(tokens), (tokens - 1).saturating_sub(away));
        let bucket = crate::plain::bucket(key, query, buckets, distance);
        for head in 0..heads {
            by_distance[head * 2 * tokens + away] = table[bucket * heads + head];
        }
    }
    let by_distance = &*by_distance;
    each(team, heads * tokens, tokens, |rows, _| {
        for row in rows {
            let (head, query) = (row / tokens, row % tokens);
            let window = &by_distance[head * 2 * tokens + tokens - 1 - query..][..tokens];
            // SAFETY: `tokens²` columns for each head, of which this row of queries is one task's.
            unsafe { out.store(head, query * tokens, window) };
        }
    });
}
