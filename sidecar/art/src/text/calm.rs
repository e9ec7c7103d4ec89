//! The calmest place for a layer: where little happens in the art and its middle, where the subject is, stays free.
//!
//! The art is divided into cells. Sums over any box of cells follow from a table of running sums, so that every place
//! costs four look-ups. All of it is in integers, so any machine finds the same place.

use std::borrow::Cow;

use thumbforge_core::image::{ImageBuf, PixelBox};
use thumbforge_core::text_layer::{Place, TextLayer};

use super::fit::area_px;
use crate::check::bounds::SAFE_INSET;

/// Cells along the longer side: places are found to a sixty-fourth of it, and a table of 64 × 64 stays in the cache.
const CELLS: u32 = 64;
/// Longer side in pixels at which the art is looked at, so that a draft and its final have their words at one place.
const SEEN_PX: u32 = 512;
/// Weight of edges against the spread of brightness: a wide soft gradient takes little from words, texture much.
const EDGE_WEIGHT: u64 = 12;
/// Most that the middle of the picture counts, on the scale of brightness: as much as texture of ten levels.
const MIDDLE_WEIGHT: u64 = 120;
/// How far the middle reaches to each side, in hundredths of the picture.
const MIDDLE_REACH: i64 = 30;
/// Places that are calm to within this much of the calmest look alike; of those the one nearest to the template's wins.
const ALIKE: u64 = 10;

/// The box of every layer: where its area says, or the calmest one of that size.
///
/// Places depend on the art and on the areas, never on words. A calm layer keeps clear of the areas of all layers that
/// stay where they are, and of calm layers before it, as long as there is such a place.
pub(super) fn places(image: &ImageBuf, layers: &[TextLayer]) -> Vec<PixelBox> {
    let extent = image.extent();
    let mut places: Vec<PixelBox> = layers.iter().map(|layer| area_px(layer.style.area, extent)).collect();
    if layers.iter().all(|layer| layer.style.place == Place::Area) {
        return places;
    }
    let table = Table::new(image);
    let stay = layers.iter().zip(&places).filter(|(layer, _)| layer.style.place == Place::Area);
    let mut taken: Vec<PixelBox> = stay.map(|(_, place)| *place).collect();
    for (layer, place) in layers.iter().zip(&mut places) {
        if layer.style.place == Place::Calm {
            *place = table.calmest(*place, &taken);
            taken.push(*place);
        }
    }
    places
}

/// What is summed of each cell.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    pixels: u64,
    luma: u64,
    luma_squared: u64,
    /// Squares of the steps to the pixels on the right and below.
    edges: u64,
    /// How near to the middle, 0 to 255, times pixels.
    middle: u64,
}

impl Sums {
    /// Each figure of the four with this sign.
    fn figures(self, by: impl Fn(fn(Sums) -> u64) -> u64) -> Self {
        Self {
            pixels: by(|sums| sums.pixels),
            luma: by(|sums| sums.luma),
            luma_squared: by(|sums| sums.luma_squared),
            edges: by(|sums| sums.edges),
            middle: by(|sums| sums.middle),
        }
    }

    /// How little words would be seen here: 0 is calm. About 0 to 4,000.
    fn unrest(self) -> u64 {
        let pixels = self.pixels.max(1);
        let mean = self.luma / pixels;
        let spread = (self.luma_squared / pixels).saturating_sub(mean * mean).isqrt();
        let edges = (self.edges / pixels).isqrt();
        EDGE_WEIGHT * edges + spread + self.middle * MIDDLE_WEIGHT / (pixels * 255)
    }
}

/// Running sums over cells.
struct Table {
    width: u32,
    height: u32,
    /// Side of a cell in pixels of the picture.
    cell: u32,
    columns: usize,
    /// Pixels of the picture along a side of one that was looked at.
    scale: u32,
    /// Sums of everything left of and above each corner of a cell, `columns + 1` in a row.
    corners: Vec<Sums>,
}

impl Table {
    fn new(image: &ImageBuf) -> Self {
        let extent = image.extent();
        let scale = extent.width.max(extent.height).div_ceil(SEEN_PX).max(1);
        let (width, height) = (extent.width.div_ceil(scale), extent.height.div_ceil(scale));
        let seen = seen(image, scale as usize);
        let cell = width.max(height).div_ceil(CELLS).max(1);
        let (columns, rows) = (width.div_ceil(cell) as usize, height.div_ceil(cell) as usize);
        let mut cells = vec![Sums::default(); columns * rows];
        let mut rows_of_pixels = seen.chunks_exact(width.max(1) as usize).peekable();
        let mut y = 0;
        while let Some(row) = rows_of_pixels.next() {
            // Beyond the border the picture goes on as it ends.
            let under = rows_of_pixels.peek().copied().unwrap_or(row);
            let beside = row.iter().skip(1).chain(row.last());
            let mut steps = row.iter().zip(beside).zip(under);
            for sums in &mut cells[y / cell as usize * columns..][..columns] {
                let (mut pixels, mut bright, mut squares, mut edges) = (0_u32, 0_u32, 0_u32, 0_u32);
                for ((own, beside), under) in steps.by_ref().take(cell as usize) {
                    let luma = luma(own);
                    let (across, down) = (step(own, beside), step(own, under));
                    pixels += 1;
                    bright += luma;
                    squares += luma * luma;
                    edges += across * across + down * down;
                }
                sums.pixels += u64::from(pixels);
                sums.luma += u64::from(bright);
                sums.luma_squared += u64::from(squares);
                sums.edges += u64::from(edges);
            }
            y += 1;
        }
        let mut corners = vec![Sums::default(); (columns + 1) * (rows + 1)];
        for row in 0..rows {
            for column in 0..columns {
                let mut own = cells[row * columns + column];
                own.middle = own.pixels * nearness(column, columns) * nearness(row, rows) / 255;
                let at = |row: usize, column: usize| corners[row * (columns + 1) + column];
                let (above, left, both) = (at(row, column + 1), at(row + 1, column), at(row, column));
                corners[(row + 1) * (columns + 1) + column + 1] =
                    own.figures(|of| of(own) + of(above) + of(left) - of(both));
            }
        }
        Self { width: extent.width, height: extent.height, cell: cell * scale, columns, scale, corners }
    }

    /// Sums over the cells that a box touches.
    fn sums(&self, place: PixelBox) -> Sums {
        let cell = |px: i64, most: u32| (px.clamp(0, i64::from(most)) as u32).div_ceil(self.cell) as usize;
        let (left, top) = (place.x.max(0) as usize / self.cell as usize, place.y.max(0) as usize / self.cell as usize);
        let (right, bottom) = (cell(place.right(), self.width).max(left), cell(place.bottom(), self.height).max(top));
        let at = |row: usize, column: usize| {
            self.corners.get(row * (self.columns + 1) + column).copied().unwrap_or_default()
        };
        let (all, above, beside, both) = (at(bottom, right), at(top, right), at(bottom, left), at(top, left));
        all.figures(|of| (of(all) + of(both)).saturating_sub(of(above) + of(beside)))
    }

    /// The calmest box of the size of `wanted` within the safe area that touches none of `taken`.
    fn calmest(&self, wanted: PixelBox, taken: &[PixelBox]) -> PixelBox {
        let (columns, x) = self.starts(wanted.x, wanted.w, self.width);
        let (rows, y) = self.starts(wanted.y, wanted.h, self.height);
        let near = PixelBox { x, y, ..wanted };
        let free = |place: &PixelBox| taken.iter().all(|taken| place.intersection(*taken).is_none());
        let away = |place: &PixelBox| {
            let (dx, dy) = (i64::from(place.x - x), i64::from(place.y - y));
            dx * dx + dy * dy
        };
        let places = rows.iter().flat_map(|&y| columns.iter().map(move |&x| PixelBox { x, y, ..wanted }));
        let ranked: Vec<(u64, PixelBox)> =
            places.chain([near]).filter(free).map(|place| (self.sums(place).unrest(), place)).collect();
        let calmest = ranked.iter().map(|(unrest, _)| *unrest).min().unwrap_or(0);
        let alike = ranked.into_iter().filter(|(unrest, _)| *unrest <= calmest + ALIKE).map(|(_, place)| place);
        alike.min_by_key(|place| (away(place), place.y, place.x)).unwrap_or(wanted)
    }

    /// Where a box of `length` may begin along a side of `whole` pixels, and the nearest of it to where it was wanted.
    fn starts(&self, wanted: i32, length: u32, whole: u32) -> (Vec<i32>, i32) {
        // In whole pixels of what was looked at, so that a picture of twice the size has twice these places.
        let scale = self.scale as i32;
        let (seen, box_seen) = (whole.div_ceil(self.scale), length.div_ceil(self.scale) as i32);
        let inset = libm::ceil(f64::from(seen) * SAFE_INSET) as i32;
        let last = ((seen as i32 - inset - box_seen) * scale).min(whole as i32 - length as i32);
        let inset = inset * scale;
        if last < inset {
            return (vec![wanted], wanted);
        }
        let mut starts: Vec<i32> = (inset..=last).step_by(self.cell as usize).collect();
        let near = wanted.clamp(inset, last);
        starts.extend([near, last]);
        (starts, near)
    }
}

/// The picture, each square of `scale` pixels as one of their mean colour.
fn seen(image: &ImageBuf, scale: usize) -> Cow<'_, [[u8; 4]]> {
    let pixels = image.pixels().as_chunks::<4>().0;
    if scale == 1 {
        return Cow::Borrowed(pixels);
    }
    let width = (image.extent().width as usize).max(1);
    let mut seen = Vec::new();
    let mut sums = vec![[0_u32; 4]; width.div_ceil(scale)];
    for rows in pixels.chunks(width * scale) {
        sums.fill([0; 4]);
        for row in rows.chunks_exact(width) {
            for (sum, square) in sums.iter_mut().zip(row.chunks(scale)) {
                for &[r, g, b, _] in square {
                    *sum = [sum[0] + u32::from(r), sum[1] + u32::from(g), sum[2] + u32::from(b), sum[3] + 1];
                }
            }
        }
        seen.extend(sums.iter().map(|&[r, g, b, count]| {
            let mean = |sum: u32| ((sum + count / 2) / count.max(1)) as u8;
            [mean(r), mean(g), mean(b), 255]
        }));
    }
    Cow::Owned(seen)
}

/// Rec. 709 luma in eight bits.
fn luma(&[r, g, b, _]: &[u8; 4]) -> u32 {
    (u32::from(r) * 54 + u32::from(g) * 183 + u32::from(b) * 19) >> 8
}

/// How far two pixels lie apart: by the channel that differs most, since red on brown is an edge too.
fn step([r, g, b, _]: &[u8; 4], other: &[u8; 4]) -> u32 {
    u32::from(r.abs_diff(other[0]).max(g.abs_diff(other[1])).max(b.abs_diff(other[2])))
}

/// How near a cell is to the middle of its side, 0 to 255.
fn nearness(at: usize, of: usize) -> u64 {
    let (at, of) = (at as i64, of.max(1) as i64);
    let away = (2 * at + 1 - of).abs() * 50 / of;
    (255 - 255 * (away * away).min(MIDDLE_REACH * MIDDLE_REACH) / (MIDDLE_REACH * MIDDLE_REACH)) as u64
}
