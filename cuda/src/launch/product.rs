//! What launches of products share: the card, what happens to an outcome before it is stored, and the choice of a tile.
//!
//! Blocks compute tiles of the outcome. All tiles add up the numbers of k in one order, so which tile is taken changes how
//! long a product takes and not its bytes; how many parts k is split into does change them, so that hangs on the shape
//! alone and never on the card, and where rows are a company's k is in one part ([`super::gemm::Sums`]).

use thumbforge_diffusion::graph::Act;

use super::{Address, Mat, Misfit, Then};

#[cfg(test)]
mod tests;

/// What a launch asks of the card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Card {
    /// Compute capability, major times ten plus minor: 90 for Hopper.
    pub capability: u32,
    /// Multiprocessors.
    pub multiprocessors: u32,
    /// Bytes of shared memory that a block may ask for.
    pub shared_bytes: u32,
}

/// What happens to sums before they are stored: `out = then(act(sum + bias))`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct End {
    /// Singles, one for every column; 0 for none.
    pub bias: Address,
    /// Before `then`.
    pub act: Option<Act>,
    /// Before storing.
    pub then: Then,
}

/// `flags`: rows of the outcome and of all that [`End`] reads can be touched in pieces of 16 bytes.
pub const PIECES: u32 = 1;

/// How kernels know an activation; an index into [`super::ACTS`].
pub const fn act_code(act: Option<Act>) -> u32 {
    match act {
        None => 0,
        Some(Act::Silu) => 1,
        Some(Act::Gelu) => 2,
        Some(Act::GeluTanh) => 3,
        Some(Act::QuickGelu) => 4,
    }
}

/// The first cards whose tensor cores take bf16: Ampere. Older ones multiply it in small tiles, slowly.
pub(super) const TENSOR_CORES: u32 = 80;

/// A block's part of the outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tile {
    /// The kernel.
    pub kernel: &'static str,
    /// Rows of the outcome.
    pub rows: u32,
    /// Columns of the outcome.
    pub cols: u32,
    /// Threads of a block.
    pub threads: u32,
    /// Bytes of shared memory: stages of both sides' 64 bytes a row.
    pub shared: u32,
    /// Blocks that a multiprocessor holds at once, by registers and shared memory of sm_80 and later.
    pub beside: u32,
    /// Time for a number of the outcome, in hundredths of the best tile's. A guess by loads from shared memory for each
    /// product of the tensor cores; not yet measured.
    pub cost: u64,
}

impl Tile {
    /// Blocks for an outcome of so many rows and columns.
    pub(super) fn blocks(&self, rows: u32, cols: u32) -> u64 {
        u64::from(rows.div_ceil(self.rows)) * u64::from(cols.div_ceil(self.cols))
    }

    /// What the launch takes, in hundredths of the best tile's time for one number: the busiest multiprocessor computes its
    /// blocks one after another, a fifth slower where it has too few of them to hide what they wait for.
    fn time(&self, card: &Card, rows: u32, cols: u32) -> u64 {
        let each = self.blocks(rows, cols).div_ceil(u64::from(card.multiprocessors.max(1)));
        let time = each.saturating_mul(u64::from(self.rows) * u64::from(self.cols) * self.cost);
        if each < u64::from(self.beside) { time.saturating_add(time / 5) } else { time }
    }
}

/// The tile of `tiles` that is done first, of those whose shared memory the card has. These kernels declare none themselves.
///
/// # Errors
/// Where none fits.
pub(super) fn pick(what: &'static str, tiles: &[Tile], card: &Card, rows: u32, cols: u32) -> Result<Tile, Misfit> {
    let fits = tiles.iter().filter(|tile| tile.shared <= card.shared_bytes);
    fits.min_by_key(|tile| tile.time(card, rows, cols)).copied().ok_or_else(|| {
        let least = tiles.iter().map(|tile| tile.shared).min().unwrap_or(0);
        let reason = format!("its blocks take {least} bytes of shared memory, and the card has {}", card.shared_bytes);
        Misfit { what, reason }
    })
}

/// Whether rows can be touched in pieces of 16 bytes from their first number on.
pub(super) fn in_pieces(mat: &Mat, number_bytes: u64) -> bool {
    mat.at.is_multiple_of(16) && (u64::from(mat.stride) * number_bytes).is_multiple_of(16)
}

/// [`PIECES`], where all that `end` touches allows it.
pub(super) fn flags(end: &End, out: &Mat, number_bytes: u64) -> u32 {
    let mut mats = vec![*out];
    if end.then.kind != Then::STORE {
        mats.push(end.then.that);
    }
    if end.then.kind == Then::GATE {
        mats.push(end.then.gate);
    }
    let pieces = end.bias.is_multiple_of(16) && mats.iter().all(|mat| in_pieces(mat, number_bytes));
    if pieces { PIECES } else { 0 }
}

/// Checks a matrix by itself.
pub(super) fn check_mat(what: &'static str, name: &str, mat: &Mat, number_bytes: u64) -> Result<(), Misfit> {
    let misfit = |reason: String| Err(Misfit { what, reason });
    if mat.at == 0 || !mat.at.is_multiple_of(number_bytes) {
        return misfit(format!("{name} lies at {:#x}, where no number of {number_bytes} bytes can be", mat.at));
    }
    if mat.rows == 0 || mat.cols == 0 || mat.stride < mat.cols {
        return misfit(format!("{name} is {} x {} with {} from row to row", mat.rows, mat.cols, mat.stride));
    }
    Ok(())
}

/// Checks what happens to an outcome of `out`'s shape.
pub(super) fn check_end(what: &'static str, end: &End, out: &Mat, number_bytes: u64) -> Result<(), Misfit> {
    let Then { kind, tokens, that, gate } = end.then;
    let misfit = |reason: String| Err(Misfit { what, reason });
    check_mat(what, "the outcome", out, number_bytes)?;
    if !end.bias.is_multiple_of(4) {
        return misfit(format!("the bias lies at {:#x}, where no single can be", end.bias));
    }
    match kind {
        Then::STORE => return Ok(()),
        Then::ADD | Then::TIMES | Then::GATE => {}
        other => return misfit(format!("nothing is known of what is done in way {other}")),
    }
    check_mat(what, "what is combined", &that, number_bytes)?;
    let repeats = kind == Then::ADD && out.rows.is_multiple_of(that.rows);
    if that.cols != out.cols || !(that.rows == out.rows || repeats) {
        return misfit(format!("{} x {} is combined with {} x {}", out.rows, out.cols, that.rows, that.cols));
    }
    if kind == Then::GATE {
        check_mat(what, "the gate", &gate, number_bytes)?;
        let rows = u64::from(gate.rows) * u64::from(tokens);
        if gate.cols != out.cols || rows != u64::from(out.rows) {
            return misfit(format!(
                "{} x {} is gated by {} x {} for {tokens} rows each",
                out.rows, out.cols, gate.rows, gate.cols
            ));
        }
    }
    Ok(())
}
