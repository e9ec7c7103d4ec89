//! Launches of what makes numbers of tokens, times and distances.

use thumbforge_diffusion::dtype::Precision;
use thumbforge_diffusion::plain;

use super::{POINT_THREADS, blocks, named, shaped, unless, wide};
use crate::launch::{Address, Launch, Mat, Misfit, args};

args! {
    /// What `embed` takes: `out[i] = table[ids[i]] + positions[i mod tokens]`.
    EmbedArgs {
        /// `[rows, 1]` numbers of tokens, unsigned words.
        ids: Mat,
        /// `[vocabulary, features]`
        table: Mat,
        /// `[tokens, features]`; at no address where nothing is added.
        positions: Mat,
        /// `[rows, features]`
        out: Mat,
        /// Of a word: 0 as the host writes it, then one more than the last row whose token the table does not have.
        fault: Address,
        /// 1 where all is read in vectors.
        wide: u32,
        /// Nothing.
        pad: u32,
    }
}

args! {
    /// What `timestep` takes: cosines then sines of `t · 10000^(-i/half)`.
    TimestepArgs {
        /// `[rows, 1]` singles.
        t: Mat,
        /// `[rows, 2 · half]`
        out: Mat,
    }
}

/// Buckets of one direction at most; T5 has 16.
const STARTS: usize = 32;

args! {
    /// What `relative_bias` takes: scores by distance.
    RelativeBiasArgs {
        /// `[buckets, heads]`
        table: Mat,
        /// `[heads, tokens²]` singles.
        out: Mat,
        /// Tokens.
        tokens: u32,
        /// Buckets of one direction: keys that come later are in the second half of the table.
        half: u32,
        /// The least distance of each bucket of one direction; distances that no token has where there is no more.
        starts: [u32; STARTS],
    }
}

/// Rows of a table by number.
#[derive(Debug, Clone, Copy)]
pub struct Embed(Precision, EmbedArgs);

/// Waves of a time.
#[derive(Debug, Clone, Copy)]
pub struct Timestep(Precision, TimestepArgs);

/// Scores by distance.
#[derive(Debug, Clone, Copy)]
pub struct RelativeBias(Precision, RelativeBiasArgs);

impl Embed {
    /// Rows of `table` into `out`. A token that the table does not have leaves zeros, and a number at `fault`.
    ///
    /// # Errors
    /// When a matrix has not the shape that belongs there.
    pub fn new(
        precision: Precision,
        ids: Mat,
        table: Mat,
        positions: Option<Mat>,
        out: Mat,
        fault: Address,
    ) -> Result<Self, Misfit> {
        let kernel = named(precision, "embed_bf16", "embed_f32");
        shaped(kernel, "ids", &ids, out.rows, 1)?;
        shaped(kernel, "table", &table, table.rows, out.cols)?;
        shaped(kernel, "out", &out, out.rows, out.cols)?;
        let positions = positions.unwrap_or_default();
        if positions.at != 0 || positions.rows > 0 {
            shaped(kernel, "positions", &positions, positions.rows, out.cols)?;
        }
        unless(fault != 0 && fault.is_multiple_of(4), kernel, || format!("the fault's word at {fault:#x}"))?;
        let wide = wide(precision, &[table, positions, out]);
        Ok(Self(precision, EmbedArgs { ids, table, positions, out, fault, wide, pad: 0 }))
    }
}

impl Timestep {
    /// Of the times `t` into `out`.
    ///
    /// # Errors
    /// When a matrix has not the shape that belongs there.
    pub fn new(precision: Precision, t: Mat, out: Mat) -> Result<Self, Misfit> {
        let kernel = named(precision, "timestep_bf16", "timestep_f32");
        shaped(kernel, "t", &t, out.rows, 1)?;
        shaped(kernel, "out", &out, out.rows, out.cols)?;
        unless(out.cols.is_multiple_of(2), kernel, || format!("{} columns are odd", out.cols))?;
        Ok(Self(precision, TimestepArgs { t, out }))
    }
}

impl RelativeBias {
    /// Of `table` into `out`.
    ///
    /// # Errors
    /// When a matrix has not the shape that belongs there, or there are more buckets than the kernel knows.
    pub fn new(precision: Precision, table: Mat, tokens: u32, distance: u32, out: Mat) -> Result<Self, Misfit> {
        let kernel = named(precision, "relative_bias_bf16", "relative_bias_f32");
        let fits = table.rows >= 4 && table.rows.is_multiple_of(2) && table.rows as usize <= 2 * STARTS;
        unless(fits && distance > table.rows / 4 && tokens <= u32::from(u16::MAX), kernel, || {
            format!("{} buckets up to {distance}, {tokens} tokens", table.rows)
        })?;
        shaped(kernel, "table", &table, table.rows, out.rows)?;
        shaped(kernel, "out", &out, out.rows, tokens * tokens)?;
        // The logarithms are taken here, by the words of the reference, so that no card rounds one to the next bucket.
        let mut starts = [u32::MAX; STARTS];
        let half = table.rows / 2;
        for away in 0..tokens.max(1) {
            let bucket = plain::bucket(0, away as usize, table.rows as usize, distance as usize);
            for start in starts.iter_mut().take(half as usize).take(bucket + 1) {
                *start = (*start).min(away);
            }
        }
        Ok(Self(precision, RelativeBiasArgs { table, out, tokens, half, starts }))
    }
}

impl Launch for Embed {
    type Args = EmbedArgs;

    fn kernel(&self) -> &'static str {
        named(self.0, "embed_bf16", "embed_f32")
    }

    fn grid(&self) -> [u32; 3] {
        [blocks(self.0, self.1.out.rows, self.1.out.cols, self.1.wide), 1, 1]
    }

    fn threads(&self) -> u32 {
        POINT_THREADS
    }

    fn args(&self) -> &EmbedArgs {
        &self.1
    }
}

impl Launch for Timestep {
    type Args = TimestepArgs;

    fn kernel(&self) -> &'static str {
        named(self.0, "timestep_bf16", "timestep_f32")
    }

    fn grid(&self) -> [u32; 3] {
        [blocks(self.0, self.1.out.rows, self.1.out.cols / 2, 0), 1, 1]
    }

    fn threads(&self) -> u32 {
        POINT_THREADS
    }

    fn args(&self) -> &TimestepArgs {
        &self.1
    }
}

impl Launch for RelativeBias {
    type Args = RelativeBiasArgs;

    fn kernel(&self) -> &'static str {
        named(self.0, "relative_bias_bf16", "relative_bias_f32")
    }

    fn grid(&self) -> [u32; 3] {
        [blocks(self.0, 1, self.1.out.cols, 0), 1, 1]
    }

    fn threads(&self) -> u32 {
        POINT_THREADS
    }

    fn args(&self) -> &RelativeBiasArgs {
        &self.1
    }
}
