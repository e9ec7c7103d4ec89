//! Linear layers and convolutions: one product of matrices with different ways of fetching its rows.
//!
//! ```text
//! task = columns of the outcome (a slab) × rows of it
//!   pack the slab's weights once: [panel of nr columns][all of k][nr]
//!   for each chunk of rows
//!     for each stretch of k
//!       pack the chunk's rows: [panel of mr rows][stretch][mr]
//!       for each panel of columns, for each panel of rows: a tile, added to the chunk's sums
//!     finish the chunk's rows: bias, activation, residual; round and store
//! ```
//! Tasks are independent: no thread waits for another. k is cut by a rule that knows k alone, and its stretches are added
//! in order, so neither threads nor tasks change a bit. Weights are converted while they are packed, as often as there are
//! tasks over the same columns, and never lie in memory as a whole.

use std::ops::Range;

use super::kernels::Work;
use super::mat::{Finish, Mat};
use super::pack::SPILL;
use super::team::{Need, Room, Team, lines};
use super::tile::{MOST_COLS, MOST_ROWS, Tile};
use crate::dtype::{DType, Precision, bf16_to_f32, f32_to_bf16};
use crate::graph::Geometry;
use crate::param::Param;
use crate::rows;

/// Units of k that are packed together. A panel of weights of this depth is 32 KiB, two thirds of the first cache of
/// current processors; the rest is for rows of the other side as they stream through.
const DEPTH: usize = 256;

/// Bytes of a packed slab for one thread, at most: a part of the last cache.
const SLAB_BYTES: usize = 4 << 20;

/// The most columns of a slab. Packing a unit of the rows costs about a sixth of a cycle and using it a cycle for every 32
/// columns, so 512 columns make the packing a percent.
const SLAB_COLS: usize = 512;

/// Rows of a chunk, before it is rounded to whole tiles: its packed stretch and its sums fill half of a second cache of
/// 1 MiB.
const CHUNK_ROWS: usize = 224;

/// Rows of a part at least, where rows are cut to have tasks for all threads: packing weights for fewer costs more than it
/// gains. Kernels of convolutions cost more to pack, because they are stored with their taps innermost.
const LEAST_ROWS: [usize; 2] = [512, 2048];

/// Where the rows of the left side come from.
#[derive(Clone, Copy)]
pub(super) enum Rows {
    /// They lie there.
    Stored(Mat),
    /// Pixels under a kernel, tap by tap.
    Pixels(Mat, Geometry),
}

/// A product: `out[m, n] = finish(rows[m, k] · weights[n, k]ᵀ)`.
pub(super) struct Product<'a> {
    pub(super) rows: Rows,
    pub(super) m: usize,
    pub(super) n: usize,
    pub(super) k: usize,
    pub(super) param: &'a Param,
    /// Rows of the parameter.
    pub(super) wanted: Range<usize>,
    pub(super) precision: Precision,
    pub(super) finish: Finish<'a>,
}

/// How a product is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cut {
    /// Units of k.
    units: usize,
    /// Units of a stretch.
    depth: usize,
    /// Columns of a slab, whole panels.
    cols: usize,
    /// Rows of a chunk, whole panels.
    rows: usize,
    /// Parts that the rows are cut into.
    parts: usize,
}

impl Cut {
    fn of(tile: &Tile, m: usize, n: usize, k: usize, threads: usize, pixels: bool) -> Self {
        let units = k.div_ceil(tile.per_unit()).max(1);
        let stretches = units.div_ceil(DEPTH);
        let depth = units.div_ceil(stretches);
        let most = (SLAB_BYTES / 4 / units / tile.nr * tile.nr).clamp(tile.nr, SLAB_COLS);
        // Some tasks for each thread, so that one that is held up does not hold up all.
        let tasks = if threads == 1 { 1 } else { 4 * threads };
        let parts = tasks.div_ceil(n.div_ceil(most)).min(m / LEAST_ROWS[usize::from(pixels)]).max(1);
        let cols = n.div_ceil(tasks.div_ceil(parts)).next_multiple_of(tile.nr).max(4 * tile.nr);
        let cols = cols.max(if parts == 1 { 0 } else { most }).min(most).min(n.next_multiple_of(tile.nr));
        let rows = CHUNK_ROWS.min(m).next_multiple_of(tile.mr);
        Self { units, depth, cols, rows, parts }
    }

    /// Singles for a thread.
    fn need(&self, tile: &Tile) -> usize {
        let per_unit = tile.per_unit();
        lines(self.cols * self.units + SPILL)
            + lines(self.rows * self.depth + SPILL)
            + lines(self.rows * self.cols)
            + lines((tile.nr + 1) * self.units * per_unit)
            + lines((tile.mr + 1) * self.depth * per_unit)
    }
}

/// What a product of these sides works in.
pub(super) fn need(tile: &Tile, m: usize, n: usize, k: usize, threads: usize, pixels: bool) -> Need {
    Need { own: Cut::of(tile, m, n, k, threads, pixels).need(tile), shared: 0 }
}

/// Computes a product.
pub(super) fn run(team: &Team<'_>, product: &Product<'_>) {
    let tile = Tile::of(team.kernels, product.precision);
    let pixels = matches!(product.rows, Rows::Pixels(..));
    let cut = Cut::of(&tile, product.m, product.n, product.k, team.threads(), pixels);
    let part = product.m.div_ceil(cut.parts).next_multiple_of(tile.mr);
    let slabs = product.n.div_ceil(cut.cols);
    team.each(slabs * cut.parts, |task, room| {
        let (slab, part_at) = (task / cut.parts, task % cut.parts);
        let cols = slab * cut.cols..((slab + 1) * cut.cols).min(product.n);
        let rows = part_at * part..((part_at + 1) * part).min(product.m);
        if !rows.is_empty() {
            Task { team, product, tile, cut, cols, rows }.run(room);
        }
    });
}

struct Task<'a> {
    team: &'a Team<'a>,
    product: &'a Product<'a>,
    tile: Tile,
    cut: Cut,
    cols: Range<usize>,
    rows: Range<usize>,
}

impl Task<'_> {
    fn run(&self, mut room: Room<'_>) {
        let Self { cut, tile, .. } = self;
        let slab = room.take(cut.cols * cut.units + SPILL);
        let left = room.take(cut.rows * cut.depth + SPILL);
        let sums = room.take(cut.rows * cut.cols);
        let stage_weights = room.take((tile.nr + 1) * cut.units * tile.per_unit());
        let stage_rows = room.take((tile.mr + 1) * cut.depth * tile.per_unit());
        self.pack_weights(slab, stage_weights);
        let mut from = self.rows.start;
        while from < self.rows.end {
            let rows = from..(from + cut.rows).min(self.rows.end);
            let panels = rows.len().div_ceil(tile.mr);
            let mut start = 0;
            while start < cut.units {
                let depth = cut.depth.min(cut.units - start);
                for panel in 0..panels {
                    let first = rows.start + panel * tile.mr;
                    let own = first..(first + tile.mr).min(rows.end);
                    self.pack_rows(own, start, depth, stage_rows, &mut left[panel * tile.mr * depth..]);
                }
                self.multiply(panels, start, depth, left, slab, sums);
                start += depth;
            }
            for (at, row) in rows.clone().enumerate() {
                let y = &mut sums[at * cut.cols..][..self.cols.len()];
                self.team.kernels.run(FinishRow { finish: &self.product.finish, y, row, col: self.cols.start });
            }
            from = rows.end;
        }
    }

    /// All tiles of a chunk for one stretch of k.
    fn multiply(&self, panels: usize, start: usize, depth: usize, left: &[f32], slab: &[f32], sums: &mut [f32]) {
        let Self { cut, tile, .. } = self;
        for col in (0..self.cols.len()).step_by(tile.nr) {
            let b = &slab[col * cut.units + start * tile.nr..][..depth * tile.nr];
            for panel in 0..panels {
                let a = &left[panel * tile.mr * depth..][..tile.mr * depth];
                let c = &mut sums[panel * tile.mr * cut.cols + col..];
                debug_assert!(c.len() >= (tile.mr - 1) * cut.cols + tile.nr);
                // SAFETY: `a` and `b` are cut to what the tile reads; `cut.rows` and `cut.cols` are whole panels, so the
                // tile lies inside of the sums; a device has only kernels that the machine has.
                unsafe {
                    (tile.run)(depth, a.as_ptr().cast(), b.as_ptr().cast(), c.as_mut_ptr(), cut.cols, start == 0)
                };
            }
        }
    }

    /// The weights of this task's columns; columns that fill the last panel are zero.
    fn pack_weights(&self, slab: &mut [f32], stage: &mut [f32]) {
        let Self { cut, tile, product, .. } = self;
        let row_len = cut.units * tile.per_unit();
        let (stage, spare) = stage.split_at_mut(tile.nr * row_len);
        for (panel, first) in self.cols.clone().step_by(tile.nr).enumerate() {
            let out = &mut slab[panel * tile.nr * cut.units..];
            let count = tile.nr.min(self.cols.end - first);
            let direct = self.stored_rows(first..first + count);
            if direct.is_none() || count < tile.nr {
                stage.fill(0.0);
            }
            if direct.is_none() {
                for (row, stage) in stage.chunks_exact_mut(row_len).enumerate().take(count) {
                    self.stage_weights(self.product.wanted.start + first + row, stage, &mut spare[..product.k]);
                }
            }
            let mut from: [*const u32; MOST_COLS] = [std::ptr::null(); MOST_COLS];
            for (row, (from, staged)) in from.iter_mut().zip(stage.chunks_exact(row_len)).enumerate() {
                *from = match &direct {
                    Some((bytes, row_bytes)) if row < count => bytes[row * row_bytes..][..*row_bytes].as_ptr().cast(),
                    _ => staged.as_ptr().cast(),
                };
            }
            // SAFETY: every row has `units` units, stored or staged; the slab has room for its panels, in rising order, and
            // the spill of the last.
            unsafe { (tile.pack_b)(&from[..tile.nr], cut.units, out.as_mut_ptr().cast()) };
        }
    }

    /// Columns whose weights are stored as the tile wants them, and the bytes of one.
    fn stored_rows(&self, cols: Range<usize>) -> Option<(&[u8], usize)> {
        let Product { param, wanted, k, .. } = self.product;
        let stored = if self.tile.pairs { DType::Bf16 } else { DType::F32 };
        let linear =
            matches!(self.product.rows, Rows::Stored(_)) || param.shape.get(2..)?.iter().all(|side| *side == 1);
        let rounded = self.product.precision == Precision::Bf16 && !self.tile.pairs;
        if !linear || rounded || !cfg!(target_endian = "little") || k % self.tile.per_unit() != 0 {
            return None;
        }
        let rows = wanted.start + cols.start..wanted.start + cols.end;
        if param.adapters.iter().any(|adapter| adapter.rows.start < rows.end && rows.start < adapter.rows.end) {
            return None;
        }
        let mut first = 0;
        for part in &param.parts {
            let last = first + part.rows.len();
            if first <= rows.start && rows.end <= last {
                if part.tensor.dtype() != stored || part.scale != 1.0 {
                    return None;
                }
                let row_bytes = stored.bytes(*k)?;
                let from = (part.rows.start + rows.start - first).checked_mul(row_bytes)?;
                let bytes = part.tensor.bytes().get(from..from + rows.len() * row_bytes)?;
                return Some((bytes, row_bytes));
            }
            first = last;
        }
        None
    }

    /// One row of weights as the tile wants it. A convolution's `[in, tap]` becomes `[tap, in]`, as pixels lie.
    fn stage_weights(&self, row: usize, stage: &mut [f32], spare: &mut [f32]) {
        let k = self.product.k;
        match self.product.rows {
            Rows::Pixels(x, geometry) if geometry.kernel > 1 => {
                let (channels, area) = (x.cols, geometry.kernel * geometry.kernel);
                rows::read(self.product.param, row..row + 1, spare);
                for tap in 0..area {
                    let from = spare[tap..].iter().step_by(area);
                    stage[tap * channels..][..channels].iter_mut().zip(from).for_each(|(to, from)| *to = *from);
                }
            }
            _ => rows::read(self.product.param, row..row + 1, &mut stage[..k]),
        }
        if self.product.precision == Precision::Bf16 {
            self.team.kernels.run(Round { row: stage, count: k, pairs: self.tile.pairs });
        }
    }

    /// Units from `start` on of some rows; rows that fill the panel are zero.
    fn pack_rows(&self, own: Range<usize>, start: usize, depth: usize, stage: &mut [f32], out: &mut [f32]) {
        let tile = &self.tile;
        let per_unit = tile.per_unit();
        let (zeros, stage) = stage.split_at_mut(self.cut.depth * per_unit);
        let (first, last) = (start * per_unit, ((start + depth) * per_unit).min(self.product.k));
        let mut from: [*const u32; MOST_ROWS] = [std::ptr::null(); MOST_ROWS];
        let from = &mut from[..tile.mr];
        match self.product.rows {
            Rows::Stored(x) if x.size * per_unit == 4 && last - first == depth * per_unit => {
                zeros.fill(0.0);
                for (lane, from) in from.iter_mut().enumerate() {
                    *from = match own.start + lane {
                        // SAFETY: the row is one of the product's, which are those of `x`.
                        row if row < own.end => unsafe { x.place(row, first) }.cast_const().cast(),
                        _ => zeros.as_ptr().cast(),
                    };
                }
                // SAFETY: every row has `depth` units from `first` on, and nobody writes to what an operation reads; `out`
                // has room for the panel, and behind the last for the spill.
                unsafe { (tile.pack_a)(from, depth, out.as_mut_ptr().cast()) };
            }
            Rows::Pixels(x, geometry) if x.size * per_unit == 4 && x.cols.is_multiple_of(per_unit) => {
                zeros.fill(0.0);
                let places: [Option<Place>; MOST_ROWS] = std::array::from_fn(|lane| {
                    let row = own.start + lane;
                    (row < own.end).then(|| Place::of(row, &geometry))
                });
                let mut at = first;
                while at < last {
                    let (tap, channel) = (at / x.cols, at % x.cols);
                    let count = (x.cols - channel).min(last - at);
                    for (from, place) in from.iter_mut().zip(&places) {
                        *from = match place.and_then(|place| place.tap(tap, &geometry)) {
                            // SAFETY: a pixel of the input, as the geometry was checked against its rows.
                            Some(pixel) => unsafe { x.place(pixel, channel) }.cast_const().cast(),
                            None => zeros.as_ptr().cast(),
                        };
                    }
                    let to = (at - first) / per_unit * tile.mr;
                    // SAFETY: as above, for the channels of one tap; taps follow in rising order, so that each overwrites
                    // the spill of the one before.
                    unsafe { (tile.pack_a)(from, count / per_unit, out[to..].as_mut_ptr().cast()) };
                    at += count;
                }
            }
            rows => {
                for (lane, from) in from.iter_mut().enumerate() {
                    let row = &mut stage[lane * depth * per_unit..][..depth * per_unit];
                    row.fill(0.0);
                    if own.start + lane < own.end {
                        let wanted = first..last;
                        let round = self.tile.pairs;
                        self.team.kernels.run(Gather { rows, row: own.start + lane, wanted, round, out: row });
                    }
                    *from = row.as_ptr().cast();
                }
                // SAFETY: staged rows have `depth` units; `out` as above.
                unsafe { (tile.pack_a)(from, depth, out.as_mut_ptr().cast()) };
            }
        }
    }
}

/// The pixel of an outcome: picture, and where its kernel begins in the padded, enlarged input.
#[derive(Clone, Copy)]
struct Place {
    picture: usize,
    top: usize,
    left: usize,
}

impl Place {
    #[inline(always)]
    fn of(row: usize, geometry: &Geometry) -> Self {
        let (height, width) = geometry.out();
        let (picture, at) = (row / (height * width), row % (height * width));
        Self { picture, top: at / width * geometry.stride, left: at % width * geometry.stride }
    }

    /// The input's row under a tap, unless that lies in the padding.
    #[inline(always)]
    fn tap(self, tap: usize, geometry: &Geometry) -> Option<usize> {
        let y = (self.top + tap / geometry.kernel).checked_sub(geometry.before)? / geometry.upsample;
        let x = (self.left + tap % geometry.kernel).checked_sub(geometry.before)? / geometry.upsample;
        let inside = y < geometry.height && x < geometry.width;
        inside.then(|| (self.picture * geometry.height + y) * geometry.width + x)
    }
}

/// Fetches a row number by number, where it is not stored as the tile wants it.
struct Gather<'a> {
    rows: Rows,
    row: usize,
    wanted: Range<usize>,
    round: bool,
    out: &'a mut [f32],
}

impl Work for Gather<'_> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self { rows, row, wanted, round, out } = self;
        let count = wanted.len();
        match rows {
            // SAFETY: the product's rows and columns are those of `x`, which nobody writes to.
            Rows::Stored(x) => unsafe { x.load(row, wanted.start, &mut out[..count]) },
            Rows::Pixels(x, geometry) => {
                let place = Place::of(row, &geometry);
                let mut at = wanted.start;
                while at < wanted.end {
                    let (tap, channel) = (at / x.cols, at % x.cols);
                    let next = (x.cols - channel).min(wanted.end - at);
                    if let Some(pixel) = place.tap(tap, &geometry) {
                        // SAFETY: a pixel of the input, and channels of it.
                        unsafe { x.load(pixel, channel, &mut out[at - wanted.start..][..next]) };
                    }
                    at += next;
                }
            }
        }
        if round {
            pair(out, count);
        }
    }
}

/// Rounds a row of weights to bf16: to pairs, or to singles of the same values.
struct Round<'a> {
    row: &'a mut [f32],
    count: usize,
    pairs: bool,
}

impl Work for Round<'_> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        if self.pairs {
            pair(self.row, self.count);
        } else {
            self.row[..self.count].iter_mut().for_each(|number| *number = bf16_to_f32(f32_to_bf16(*number)));
        }
    }
}

/// Rounds `count` numbers at the start of `row` to bf16 and moves them together in its first half: pairs, of which an odd
/// last one is filled with zero.
#[inline(always)]
pub(super) fn pair(row: &mut [f32], count: usize) {
    // By pieces that are read before they are written, so that the compiler sees vectors.
    const PIECE: usize = 32;
    let whole = count / PIECE;
    for piece in 0..whole {
        let mut from = [0.0f32; PIECE];
        from.copy_from_slice(&row[piece * PIECE..][..PIECE]);
        let mut bits = [0u16; PIECE];
        bits.iter_mut().zip(&from).for_each(|(bits, number)| *bits = f32_to_bf16(*number));
        let to = &mut row[piece * PIECE / 2..][..PIECE / 2];
        to.iter_mut().zip(bits.as_chunks::<2>().0).for_each(|(to, [low, high])| {
            *to = f32::from_bits(u32::from(*low) | u32::from(*high) << 16);
        });
    }
    for at in whole * PIECE / 2..count / 2 {
        let (low, high) = (f32_to_bf16(row[2 * at]), f32_to_bf16(row[2 * at + 1]));
        row[at] = f32::from_bits(u32::from(low) | u32::from(high) << 16);
    }
    if count % 2 == 1 {
        row[count / 2] = f32::from_bits(u32::from(f32_to_bf16(row[count - 1])));
    }
}

struct FinishRow<'a> {
    finish: &'a Finish<'a>,
    y: &'a mut [f32],
    row: usize,
    col: usize,
}

impl Work for FinishRow<'_> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        // SAFETY: rows and columns are the task's own part of the outcome, which has the product's sides.
        unsafe { self.finish.row(self.y, self.row, self.col) };
    }
}
