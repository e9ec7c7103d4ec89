//! Attention with a running softmax: scores of a few rows and a block of keys at a time, never of all.
//!
//! ```text
//! task = picture × head × some of the queries
//!   pack the queries: normed, as rows of a product
//!   for each block of keys
//!     pack the keys, normed, and the values
//!     for each panel of queries
//!       scores = queries · keysᵀ, times the scale, plus the bias
//!       a larger maximum than so far shrinks what was summed; exponentials, their sum
//!       answer += exponentials · values
//!   divide by the sums; round and store
//! ```
//! Products take what the precision says; scores, exponentials, sums and answers are singles. Queries are cut by a rule
//! that knows the shape alone, and each query meets the keys in their order, so threads change no bit.

use super::kernels::Work;
use super::mat::Mat;
use super::maths;
use super::pack::SPILL;
use super::product::pair;
use super::team::{Need, Room, Team, lines};
use super::tile::{MOST_COLS, ROW_UNITS, Tile};
use crate::dtype::{Precision, bf16_to_f32, f32_to_bf16};

/// Keys of a block: with their values 128 KiB at 64 features, and a panel's scores fit the first cache. The scores are the
/// left side of a product as they lie.
const KEYS: usize = ROW_UNITS;

/// Keys whose shares of an answer in singles are summed from zero before they are added to those of the keys before: a
/// long sum errs by the root of its length. With all keys of T5 in one sum its features are 2.6 times as far from what
/// diffusers computes. Rounding to bf16 hides the difference.
const STRETCH: usize = 128;

/// Numbers of a task's queries, at most: with the answers half of a second cache of 1 MiB at small heads. Packing and
/// norming a key costs about two cycles for every feature, which this many queries make a percent or two.
const QUERIES: usize = 96 << 10;

/// One kind of tokens.
#[derive(Clone, Copy)]
pub(super) struct Stream<'a> {
    pub(super) query: Option<Query<'a>>,
    pub(super) key: Mat,
    pub(super) value: Mat,
    pub(super) key_norm: Option<&'a [f32]>,
    /// For one picture.
    pub(super) tokens: usize,
}

/// What they ask.
#[derive(Clone, Copy)]
pub(super) struct Query<'a> {
    pub(super) query: Mat,
    pub(super) norm: Option<&'a [f32]>,
    pub(super) out: Mat,
}

/// Who looks at whom.
#[derive(Clone, Copy)]
pub(super) enum Mask {
    Full,
    Causal,
    /// `[heads, tokens²]`
    Bias(Mat),
}

/// An attention.
pub(super) struct Attention<'a> {
    pub(super) streams: &'a [Stream<'a>],
    pub(super) batch: usize,
    pub(super) heads: usize,
    pub(super) head: usize,
    pub(super) scale: f32,
    pub(super) mask: Mask,
    pub(super) eps: f32,
    pub(super) precision: Precision,
}

/// How it is cut.
#[derive(Debug, Clone, Copy)]
struct Cut {
    /// Units of a head.
    units: usize,
    /// Columns of the answers, whole panels.
    cols: usize,
    /// Queries of a task, whole panels.
    queries: usize,
    /// Tasks for a head of a picture.
    parts: usize,
    /// Keys of a block, whole panels.
    keys: usize,
}

impl Cut {
    fn of(tile: &Tile, head: usize, asked: usize, tokens: usize) -> Self {
        let most = (QUERIES / head).max(tile.mr);
        let parts = asked.div_ceil(most).max(1);
        let queries = asked.div_ceil(parts).next_multiple_of(tile.mr);
        let step = tile.nr.max(tile.per_unit());
        let keys = KEYS.min(tokens).next_multiple_of(step);
        Self { units: head.div_ceil(tile.per_unit()), cols: head.next_multiple_of(tile.nr), queries, parts, keys }
    }

    fn need(&self, tile: &Tile) -> usize {
        let Self { units, cols, queries, keys, .. } = *self;
        let per_unit = tile.per_unit();
        lines(queries * units + SPILL)
            + lines(keys * units + SPILL)
            + lines(keys.div_ceil(per_unit) * cols)
            + lines(queries * cols)
            + 2 * lines(queries)
            + lines(tile.mr * KEYS)
            + lines(MOST_COLS * units * per_unit)
    }
}

/// What an attention works in.
pub(super) fn need(tile: &Tile, head: usize, asked: usize, tokens: usize) -> Need {
    Need { own: Cut::of(tile, head, asked, tokens).need(tile), shared: 0 }
}

/// A token: its stream, its row in the stream's matrices, and its place among the tokens of all streams.
#[derive(Clone, Copy)]
struct Token {
    stream: usize,
    row: usize,
    place: usize,
}

impl Attention<'_> {
    /// Token `at` of a picture, counting all streams or those that ask.
    fn token(&self, picture: usize, at: usize, asking: bool) -> Token {
        let (mut left, mut place) = (at, 0);
        for (index, stream) in self.streams.iter().enumerate() {
            if !asking || stream.query.is_some() {
                if left < stream.tokens {
                    return Token { stream: index, row: picture * stream.tokens + left, place: place + left };
                }
                left -= stream.tokens;
            }
            place += stream.tokens;
        }
        unreachable!("token {at} of fewer")
    }

    fn tokens(&self) -> usize {
        self.streams.iter().map(|stream| stream.tokens).sum()
    }

    fn asked(&self) -> usize {
        self.streams.iter().filter(|stream| stream.query.is_some()).map(|stream| stream.tokens).sum()
    }
}

/// Computes an attention.
pub(super) fn run(team: &Team<'_>, attention: &Attention<'_>) {
    let tile = Tile::of(team.kernels, attention.precision);
    let asked = attention.asked();
    let cut = Cut::of(&tile, attention.head, asked, attention.tokens());
    team.each(attention.batch * attention.heads * cut.parts, |task, room| {
        let (at, part) = (task / cut.parts, task % cut.parts);
        let (picture, head) = (at / attention.heads, at % attention.heads);
        let queries = (part * cut.queries).min(asked)..((part + 1) * cut.queries).min(asked);
        if !queries.is_empty() {
            Task { team, attention, tile, cut, picture, head, queries }.run(room);
        }
    });
}

struct Task<'a> {
    team: &'a Team<'a>,
    attention: &'a Attention<'a>,
    tile: Tile,
    cut: Cut,
    picture: usize,
    head: usize,
    queries: std::ops::Range<usize>,
}

/// The running softmax of a task's queries.
struct Running<'a> {
    most: &'a mut [f32],
    sums: &'a mut [f32],
    answers: &'a mut [f32],
}

impl Task<'_> {
    fn run(&self, mut room: Room<'_>) {
        let Self { attention, tile, cut, .. } = self;
        let per_unit = tile.per_unit();
        let queries = room.take(cut.queries * cut.units + SPILL);
        let keys = room.take(cut.keys * cut.units + SPILL);
        let values = room.take(cut.keys.div_ceil(per_unit) * cut.cols);
        let answers = room.take(cut.queries * cut.cols);
        let (most, sums) = (room.take(cut.queries), room.take(cut.queries));
        let scores = room.take(tile.mr * KEYS);
        let stage = room.take(MOST_COLS * cut.units * per_unit);
        answers.fill(0.0);
        most.fill(f32::NEG_INFINITY);
        sums.fill(0.0);
        let mut running = Running { most, sums, answers };
        let panels = self.queries.len().div_ceil(tile.mr);
        for panel in 0..panels {
            let first = self.queries.start + panel * tile.mr;
            let rows = (first..(first + tile.mr).min(self.queries.end)).map(|at| {
                let token = attention.token(self.picture, at, true);
                attention.streams[token.stream].query.map(|query| (query.query, query.norm, token.row))
            });
            self.pack_heads(rows.flatten(), tile.mr, tile.pack_a, stage, &mut queries[panel * tile.mr * cut.units..]);
        }
        let tokens = attention.tokens();
        let last = attention.token(self.picture, self.queries.end - 1, true).place;
        let seen = if matches!(attention.mask, Mask::Causal) { last + 1 } else { tokens };
        let mut from = 0;
        while from < seen {
            let count = cut.keys.min(seen - from);
            for (panel, first) in (0..count).step_by(tile.nr).enumerate() {
                let rows = (from + first..from + (first + tile.nr).min(count)).map(|at| {
                    let token = attention.token(self.picture, at, false);
                    let stream = &attention.streams[token.stream];
                    (stream.key, stream.key_norm, token.row)
                });
                self.pack_heads(rows, tile.nr, tile.pack_b, stage, &mut keys[panel * tile.nr * cut.units..]);
            }
            self.pack_values(from, count, stage, values);
            for panel in 0..panels {
                let asking = &queries[panel * tile.mr * cut.units..][..tile.mr * cut.units];
                self.block(panel, from, count, asking, keys, values, scores, &mut running);
            }
            from += count;
        }
        for (at, query) in self.queries.clone().enumerate() {
            let token = attention.token(self.picture, query, true);
            let Some(query) = attention.streams[token.stream].query else { continue };
            let y = &mut running.answers[at * cut.cols..][..attention.head];
            let (out, row, col) = (query.out, token.row, self.head * attention.head);
            self.team.kernels.run(Divide { y, by: running.sums[at], out, row, col });
        }
    }

    /// Loads, norms, rounds and packs features of this head for rows of tokens; what fills the panel is zero.
    fn pack_heads<'a>(
        &self,
        rows: impl Iterator<Item = (Mat, Option<&'a [f32]>, usize)>,
        panel: usize,
        pack: super::pack::Turn,
        stage: &mut [f32],
        out: &mut [f32],
    ) {
        let Attention { head, eps, precision, .. } = *self.attention;
        let row_len = self.cut.units * self.tile.per_unit();
        stage[..panel * row_len].fill(0.0);
        for ((mat, weight, row), stage) in rows.zip(stage.chunks_exact_mut(row_len)) {
            let rounding = Rounding::of(precision, self.tile.pairs);
            let y = &mut stage[..head];
            self.team.kernels.run(LoadHead { mat, row, col: self.head * head, weight, eps, rounding, y });
        }
        let mut from: [*const u32; MOST_COLS] = [std::ptr::null(); MOST_COLS];
        for (from, stage) in from.iter_mut().zip(stage.chunks_exact(row_len)) {
            *from = stage.as_ptr().cast();
        }
        // SAFETY: `panel` rows of `units` units are staged; `out` has room for them, and behind its last panel for a spill.
        unsafe { pack(&from[..panel], self.cut.units, out.as_mut_ptr().cast()) };
    }

    /// Values of `count` keys from `from` on as the right side of a product: `[panel of nr features][keys][nr]`.
    fn pack_values(&self, from: usize, count: usize, stage: &mut [f32], values: &mut [f32]) {
        let (tile, cut, attention) = (&self.tile, &self.cut, self.attention);
        let (head, per_unit) = (attention.head, tile.per_unit());
        let depth = count.div_ceil(per_unit);
        let (low, rest) = stage.split_at_mut(cut.units * per_unit);
        let high = &mut rest[..cut.units * per_unit];
        for k in 0..depth {
            let load = |at: usize, y: &mut [f32]| {
                if at >= count {
                    return y.fill(0.0);
                }
                let token = attention.token(self.picture, from + at, false);
                let mat = attention.streams[token.stream].value;
                let rounding = if tile.pairs { Rounding::None } else { Rounding::of(attention.precision, false) };
                let (row, col) = (token.row, self.head * head);
                let work = LoadHead { mat, row, col, weight: None, eps: 0.0, rounding, y: &mut y[..head] };
                self.team.kernels.run(work);
            };
            load(k * per_unit, low);
            if tile.pairs {
                load(2 * k + 1, high);
            }
            let pairs = tile.pairs.then_some(&high[..head]);
            self.team.kernels.run(Lay { low: &low[..head], high: pairs, nr: tile.nr, depth, k, values });
        }
    }

    /// One panel of queries and one block of keys.
    #[expect(clippy::too_many_arguments, reason = "the task's memory, cut up")]
    fn block(
        &self,
        panel: usize,
        from: usize,
        count: usize,
        queries: &[f32],
        keys: &[f32],
        values: &[f32],
        scores: &mut [f32],
        running: &mut Running<'_>,
    ) {
        let (tile, cut, attention) = (&self.tile, &self.cut, self.attention);
        for col in (0..count).step_by(tile.nr) {
            let keys = &keys[col * cut.units..][..tile.nr * cut.units];
            let to = &mut scores[col..];
            debug_assert!(to.len() >= (tile.mr - 1) * KEYS + tile.nr);
            // SAFETY: a panel of queries, a panel of keys, and a tile of the scores, whose rows hold whole panels.
            unsafe {
                (tile.run)(cut.units, queries.as_ptr().cast(), keys.as_ptr().cast(), to.as_mut_ptr(), KEYS, true);
            }
        }
        let depth = count.div_ceil(tile.per_unit());
        for (lane, scores) in scores.chunks_exact_mut(KEYS).enumerate().take(tile.mr) {
            let at = panel * tile.mr + lane;
            let query = self.queries.start + at;
            let (bias, visible) = if query < self.queries.end {
                let place = attention.token(self.picture, query, true).place;
                match attention.mask {
                    Mask::Full => (None, count),
                    Mask::Causal => (None, (place + 1).saturating_sub(from).min(count)),
                    Mask::Bias(bias) => (Some((bias, self.head, place * attention.tokens() + from)), count),
                }
            } else {
                (None, 0)
            };
            let answers = &mut running.answers[at * cut.cols..][..cut.cols];
            let (most, sum) = (&mut running.most[at], &mut running.sums[at]);
            let (scale, pairs) = (attention.scale, tile.pairs);
            let rounded = attention.precision == Precision::Bf16;
            let whole = depth * tile.per_unit();
            let scores = &mut scores[..whole.max(count)];
            self.team.kernels.run(Soften { scores, visible, scale, bias, most, sum, answers, pairs, rounded });
        }
        for col in (0..cut.cols).step_by(tile.nr) {
            let values = &values[col * depth..][..tile.nr * depth];
            let to = &mut running.answers[panel * tile.mr * cut.cols + col..];
            debug_assert!(to.len() >= (tile.mr - 1) * cut.cols + tile.nr);
            if tile.pairs {
                // SAFETY: a panel of shares, whose rows lie `ROW_UNITS` apart, a panel of values, and a tile of the
                // answers, whose rows hold whole panels.
                unsafe {
                    let (shares, values) = (scores.as_ptr().cast(), values.as_ptr().cast());
                    (tile.run_rows)(depth, shares, values, to.as_mut_ptr(), cut.cols, false);
                }
                continue;
            }
            let mut sums = [0.0; MOST_COLS * MOST_COLS];
            for key in (0..depth).step_by(STRETCH) {
                let (shares, values) = (&scores[key..], &values[key * tile.nr..]);
                debug_assert!(tile.mr * tile.nr <= sums.len());
                // SAFETY: as above, from `key` on; the tile is one of `mr` rows of `nr` singles.
                unsafe {
                    let (shares, values) = (shares.as_ptr().cast(), values.as_ptr().cast());
                    (tile.run_rows)(STRETCH.min(depth - key), shares, values, sums.as_mut_ptr(), tile.nr, true);
                }
                for (to, sums) in to.chunks_mut(cut.cols).zip(sums.chunks_exact(tile.nr)).take(tile.mr) {
                    to.iter_mut().zip(sums).for_each(|(to, sum)| *to += sum);
                }
            }
        }
    }
}

/// What a row becomes before a product.
#[derive(Clone, Copy, PartialEq)]
enum Rounding {
    /// As it is.
    None,
    /// Values of bf16, as singles.
    Values,
    /// Pairs.
    Pairs,
}

impl Rounding {
    fn of(precision: Precision, pairs: bool) -> Self {
        match precision {
            Precision::F32 => Self::None,
            Precision::Bf16 if pairs => Self::Pairs,
            Precision::Bf16 => Self::Values,
        }
    }
}

/// Loads the features of a head, and norms them by their root mean square where there are weights.
struct LoadHead<'a> {
    mat: Mat,
    row: usize,
    col: usize,
    weight: Option<&'a [f32]>,
    eps: f32,
    rounding: Rounding,
    y: &'a mut [f32],
}

impl Work for LoadHead<'_> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self { mat, row, col, weight, eps, rounding, y } = self;
        // SAFETY: rows and heads are those of the attention, whose views were checked; nobody writes to what it reads.
        unsafe { mat.load(row, col, y) };
        if let Some(weight) = weight {
            let square = super::rowwise::sum(y, |x| x * x) / y.len() as f64;
            let by = (1.0 / (square + f64::from(eps)).sqrt()) as f32;
            y.iter_mut().zip(weight).for_each(|(y, weight)| *y = *y * by * weight);
        }
        match rounding {
            Rounding::None => {}
            Rounding::Values => y.iter_mut().for_each(|y| *y = bf16_to_f32(f32_to_bf16(*y))),
            Rounding::Pairs => {
                let count = y.len();
                pair(y, count);
            }
        }
    }
}

/// Lays one unit of k of the values into their panels.
struct Lay<'a> {
    low: &'a [f32],
    /// The other half of the pairs.
    high: Option<&'a [f32]>,
    nr: usize,
    depth: usize,
    k: usize,
    values: &'a mut [f32],
}

impl Work for Lay<'_> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self { low, high, nr, depth, k, values } = self;
        for (panel, low) in low.chunks(nr).enumerate() {
            let to = &mut values[(panel * depth + k) * nr..][..nr];
            let (to, rest) = to.split_at_mut(low.len());
            match high {
                None => to.copy_from_slice(low),
                Some(high) => {
                    for ((to, low), high) in to.iter_mut().zip(low).zip(&high[panel * nr..]) {
                        *to = f32::from_bits(u32::from(f32_to_bf16(*low)) | u32::from(f32_to_bf16(*high)) << 16);
                    }
                }
            }
            rest.fill(0.0);
        }
    }
}

/// Scores of a query become shares, `e^(score - most)`; what was summed before shrinks if the maximum grew.
struct Soften<'a> {
    /// As many as the product with the values takes; those behind `visible` become zero.
    scores: &'a mut [f32],
    visible: usize,
    scale: f32,
    /// A row, and where in it the block begins.
    bias: Option<(Mat, usize, usize)>,
    most: &'a mut f32,
    sum: &'a mut f32,
    answers: &'a mut [f32],
    pairs: bool,
    rounded: bool,
}

impl Work for Soften<'_> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self { scores, visible, scale, bias, most, sum, answers, pairs, rounded } = self;
        let whole = scores.len();
        let (scores_seen, rest) = scores.split_at_mut(visible);
        rest.fill(0.0);
        scores_seen.iter_mut().for_each(|score| *score *= scale);
        if let Some((bias, row, col)) = bias {
            let mut with = [0.0f32; KEYS];
            for (at, scores) in scores_seen.chunks_mut(KEYS).enumerate() {
                let with = &mut with[..scores.len()];
                // SAFETY: the bias has a row for each head and a column for each pair of tokens.
                unsafe { bias.load(row, col + at * KEYS, with) };
                scores.iter_mut().zip(&*with).for_each(|(score, bias)| *score += bias);
            }
        }
        let before = *most;
        let now = greatest(scores_seen, before);
        // Where nothing counts yet, nothing shrinks; a maximum of minus infinity would make NaN of it.
        if now > before {
            let shrink = if before == f32::NEG_INFINITY { 0.0 } else { maths::exp(before - now) };
            *sum *= shrink;
            answers.iter_mut().for_each(|answer| *answer *= shrink);
            *most = now;
        }
        // All at minus infinity: shares of zero, unless later keys count more. (If none does, 0/0 is NaN, as by definition.)
        let now = if now == f32::NEG_INFINITY { 0.0 } else { now };
        let mut lanes = [0.0f32; 16];
        let mut chunks = scores_seen.chunks_exact_mut(16);
        for chunk in chunks.by_ref() {
            for (lane, score) in lanes.iter_mut().zip(chunk) {
                *score = maths::exp(*score - now);
                *lane += *score;
            }
        }
        for (lane, score) in lanes.iter_mut().zip(chunks.into_remainder()) {
            *score = maths::exp(*score - now);
            *lane += *score;
        }
        *sum += lanes.iter().sum::<f32>();
        if pairs {
            pair(scores, whole);
        } else if rounded {
            scores.iter_mut().for_each(|score| *score = bf16_to_f32(f32_to_bf16(*score)));
        }
    }
}

/// The greatest of `numbers` and `least`; NaN is never greater.
#[inline(always)]
fn greatest(numbers: &[f32], least: f32) -> f32 {
    let mut lanes = [least; 16];
    let mut chunks = numbers.chunks_exact(16);
    for chunk in chunks.by_ref() {
        for (lane, number) in lanes.iter_mut().zip(chunk) {
            *lane = if *number > *lane { *number } else { *lane };
        }
    }
    for (lane, number) in lanes.iter_mut().zip(chunks.remainder()) {
        *lane = if *number > *lane { *number } else { *lane };
    }
    lanes.iter().fold(least, |most, lane| if *lane > most { *lane } else { most })
}

/// Divides an answer by its sum and stores it.
struct Divide<'a> {
    y: &'a mut [f32],
    by: f32,
    out: Mat,
    row: usize,
    col: usize,
}

impl Work for Divide<'_> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self { y, by, out, row, col } = self;
        let by = 1.0 / by;
        y.iter_mut().for_each(|y| *y *= by);
        // SAFETY: the answer of one query and head, which this task alone computes.
        unsafe { out.store(row, col, y) };
    }
}
