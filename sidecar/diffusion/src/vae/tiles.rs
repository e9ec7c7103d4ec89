//! Tiles that overlap and are blended, so that memory grows with a tile and not with the picture.
//!
//! A tile is not exact: its group norms see the tile and not the picture, and its outer pixels see zeros where there is
//! picture. The second is cured: a tile's outermost quarter of an overlap is dropped. The first stays, as a slight
//! difference of contrast between tiles that the blend spreads over half an overlap; an exact way would sweep the whole
//! picture once for every norm. So tiles are a lossy step, and whoever draws for keeps must allow them.

use std::ops::Range;

use crate::error::DiffusionError;

/// How a side is cut. In latent pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tiles {
    /// Side of a tile.
    pub side: usize,
    /// At least this much of it lies on the next tile. Convolutions of the levels reach some twelve latent pixels far,
    /// though most of their weight is on the nearest four.
    pub overlap: usize,
}

impl Tiles {
    /// Tiles of 512 picture pixels, which need some 0.4 GB in bf16, and an overlap of which a quarter is four latent
    /// pixels.
    pub const USUAL: Self = Self { side: 64, overlap: 16 };

    /// # Errors
    /// When a tile would be all overlap, or so small that its norms mean nothing.
    pub fn checked(self) -> Result<Self, DiffusionError> {
        if self.side < 8 || self.overlap * 2 > self.side {
            return Err(DiffusionError::Request(format!(
                "cut a picture into tiles of {} latent pixels that overlap by {}: write at least 8, and an overlap of at \
                 most half of it",
                self.side, self.overlap
            )));
        }
        Ok(self)
    }

    /// Where tiles begin along a side, and how long all of them are. Evenly spread, so that each overlap is at least
    /// what was asked for.
    pub fn along(&self, side: usize) -> (Vec<usize>, usize) {
        if side <= self.side {
            return (vec![0], side);
        }
        let count = (side - self.overlap).div_ceil(self.side - self.overlap);
        let last = side - self.side;
        ((0..count).map(|index| index * last / (count - 1)).collect(), self.side)
    }

    /// All tiles of a picture, row by row.
    pub fn of(&self, height: usize, width: usize) -> Vec<Tile> {
        let ((tops, tall), (lefts, wide)) = (self.along(height), self.along(width));
        let row = |top: &usize| {
            let top = *top;
            lefts.iter().map(move |left| Tile { top, left: *left, height: tall, width: wide }).collect::<Vec<_>>()
        };
        tops.iter().flat_map(row).collect()
    }

    /// How much a pixel of a tile counts, by its place along a side of `range` out of `whole`: nothing in the outermost
    /// quarter of an overlap, then evenly more until three quarters. Edges of the picture are no edges of tiles.
    fn share(&self, range: &Range<usize>, whole: usize, times: usize, at: usize) -> f32 {
        let ramp = |from_edge: usize| {
            // Twice the distance, as pixels have their middle between places.
            let (twice, overlap) = (2 * from_edge as i64 + 1, (self.overlap * times) as i64);
            ((2 * twice - overlap) as f32 / (2 * overlap).max(1) as f32).clamp(0.0, 1.0)
        };
        let before = if range.start == 0 { 1.0 } else { ramp(at - range.start) };
        let after = if range.end == whole { 1.0 } else { ramp(range.end - 1 - at) };
        // Where nothing overlaps, there is only this tile.
        before.min(after)
    }
}

/// A rectangle of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tile {
    /// First row.
    pub top: usize,
    /// First column.
    pub left: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Tile {
    /// The same place where every pixel is `times` by `times`.
    #[must_use]
    pub fn times(self, times: usize) -> Self {
        Self { top: self.top * times, left: self.left * times, height: self.height * times, width: self.width * times }
    }

    /// Its pixels out of a picture of `width` by anything, `channels` each.
    pub fn cut(&self, picture: &[f32], width: usize, channels: usize) -> Vec<f32> {
        let row = |row: usize| {
            let from = ((self.top + row) * width + self.left) * channels;
            &picture[from..from + self.width * channels]
        };
        (0..self.height).flat_map(row).copied().collect()
    }
}

/// A picture that tiles are laid on.
#[derive(Debug, Clone)]
pub struct Canvas {
    height: usize,
    width: usize,
    channels: usize,
    sums: Vec<f32>,
    shares: Vec<f32>,
}

impl Canvas {
    /// An empty one.
    pub fn new(height: usize, width: usize, channels: usize) -> Self {
        Self { height, width, channels, sums: vec![0.0; height * width * channels], shares: vec![0.0; height * width] }
    }

    /// Lays a tile on it. `times` is how many pixels of this canvas a unit of `tiles` is long.
    pub fn lay(&mut self, tiles: &Tiles, times: usize, tile: Tile, pixels: &[f32]) {
        let (rows, columns) = (tile.top..tile.top + tile.height, tile.left..tile.left + tile.width);
        for (row, pixels) in rows.clone().zip(pixels.chunks_exact(tile.width * self.channels)) {
            let down = tiles.share(&rows, self.height, times, row);
            for (column, pixel) in columns.clone().zip(pixels.chunks_exact(self.channels)) {
                let share = down * tiles.share(&columns, self.width, times, column);
                let at = row * self.width + column;
                self.shares[at] += share;
                let sums = &mut self.sums[at * self.channels..][..self.channels];
                sums.iter_mut().zip(pixel).for_each(|(sum, number)| *sum += share * number);
            }
        }
    }

    /// The mean of what was laid on every pixel.
    pub fn finish(mut self) -> Vec<f32> {
        for (sums, share) in self.sums.chunks_exact_mut(self.channels.max(1)).zip(&self.shares) {
            sums.iter_mut().for_each(|sum| *sum /= share.max(f32::MIN_POSITIVE));
        }
        self.sums
    }
}
