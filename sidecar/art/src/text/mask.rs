//! Coverage of pixels by paths, and its blur, in integers.

use thumbforge_core::image::PixelBox;
use tiny_skia::Path;

use super::raster;

/// How much of each pixel of a box is covered, 0 to 255, rows from the top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// The box.
    pub place: PixelBox,
    /// One byte a pixel.
    pub alpha: Vec<u8>,
}

impl Coverage {
    /// Nothing covered.
    pub fn empty(place: PixelBox) -> Self {
        Self { place, alpha: vec![0; place.w as usize * place.h as usize] }
    }

    /// Coverage of the pixel at column `x`, row `y` of the image; 0 outside the box.
    pub fn at(&self, x: i32, y: i32) -> u8 {
        let (x, y) = (i64::from(x) - i64::from(self.place.x), i64::from(y) - i64::from(self.place.y));
        if x < 0 || y < 0 || x >= i64::from(self.place.w) || y >= i64::from(self.place.h) {
            return 0;
        }
        self.alpha.get(y as usize * self.place.w as usize + x as usize).copied().unwrap_or(0)
    }

    /// What `path` covers of `place`.
    pub(super) fn of(path: &Path, place: PixelBox) -> Self {
        Self { place, alpha: raster::fill(path, place) }
    }

    /// Covers what `other`, of the same box, covers as well.
    pub(super) fn join(&mut self, other: &Self) {
        for (own, other) in self.alpha.iter_mut().zip(&other.alpha) {
            *own = (*own).max(*other);
        }
    }

    /// Rows of coverage with their y.
    pub(super) fn rows(&self) -> impl Iterator<Item = (i32, &[u8])> {
        self.alpha.chunks_exact(self.place.w.max(1) as usize).zip(0..).map(|(row, at)| (self.place.y + at, row))
    }

    /// The smallest box that holds every covered pixel; the empty box at the place's corner if there is none.
    pub(super) fn bounds(&self) -> PixelBox {
        let (mut left, mut right, mut top, mut bottom) = (i32::MAX, i32::MIN, i32::MAX, i32::MIN);
        for (y, row) in self.rows() {
            let Some(first) = row.iter().position(|&alpha| alpha > 0) else {
                continue;
            };
            let last = row.iter().rposition(|&alpha| alpha > 0).unwrap_or(first);
            left = left.min(self.place.x + first as i32);
            right = right.max(self.place.x + last as i32 + 1);
            top = top.min(y);
            bottom = y + 1;
        }
        if bottom <= top {
            return PixelBox { w: 0, h: 0, ..self.place };
        }
        PixelBox { x: left, y: top, w: (right - left) as u32, h: (bottom - top) as u32 }
    }

    /// The part within `place`, which must lie inside this box; elsewhere nothing is covered.
    pub(super) fn cropped(&self, place: PixelBox) -> Self {
        let mut cropped = Self::empty(place);
        let width = place.w.max(1) as usize;
        for (row, y) in cropped.alpha.chunks_exact_mut(width).zip(place.y..) {
            for (alpha, x) in row.iter_mut().zip(place.x..) {
                *alpha = self.at(x, y);
            }
        }
        cropped
    }

    /// Blurred as by a Gaussian of `sigma_px`, moved by whole pixels, in a box large enough for it.
    ///
    /// Three box blurs come within 3 % of a Gaussian and need no transcendental function.
    pub(super) fn blurred(&self, sigma_px: f32, [dx, dy]: [i32; 2]) -> Self {
        let reaches = box_reaches(sigma_px);
        let reach: usize = reaches.iter().sum();
        let place = PixelBox {
            x: self.place.x + dx - reach as i32,
            y: self.place.y + dy - reach as i32,
            w: self.place.w + 2 * reach as u32,
            h: self.place.h + 2 * reach as u32,
        };
        let (width, height) = (place.w as usize, place.h as usize);
        // 16 bits between passes: six roundings to 8 would leave steps in a soft edge.
        let mut wide = vec![0_u16; width * height];
        for (row, source) in wide.chunks_exact_mut(width).skip(reach).zip(self.rows()) {
            for (out, &alpha) in row.iter_mut().skip(reach).zip(source.1) {
                *out = u16::from(alpha) * 257;
            }
        }
        let mut line = Vec::new();
        for reach in reaches.into_iter().filter(|&reach| reach > 0) {
            for row in wide.chunks_exact_mut(width) {
                box_blur(row, reach, &mut line);
            }
            box_blur_columns(&mut wide, width, reach);
        }
        Self { place, alpha: wide.into_iter().map(|wide| ((u32::from(wide) + 128) / 257) as u8).collect() }
    }
}

/// How far three box blurs reach to each side so that together their variance is that of the Gaussian.
fn box_reaches(sigma_px: f32) -> [usize; 3] {
    // A box of 2r+1 pixels has variance ((2r+1)² - 1) / 12 = r(r+1)/3.
    let wanted = sigma_px * sigma_px;
    let variance = |r: usize| (r * (r + 1)) as f32 / 3.0;
    let small = (0..4096).take_while(|&r| 3.0 * variance(r) <= wanted).last().unwrap_or(0);
    let mut reaches = [small; 3];
    for at in 0..3 {
        let now: f32 = reaches.iter().map(|&r| variance(r)).sum();
        // One step wider while that comes nearer.
        let gain = variance(small + 1) - variance(small);
        if wanted - now > gain * 0.5 {
            reaches[at] = small + 1;
        }
    }
    reaches
}

/// Rounded `sum / count` by multiplication, exact for the sums here (below 2^16 times a count below 2^14).
fn mean(sum: u32, inverse: u64) -> u16 {
    ((u64::from(sum) * inverse + (1 << 31)) >> 32) as u16
}

fn inverse(reach: usize) -> u64 {
    (1_u64 << 32) / (2 * reach as u64 + 1)
}

fn box_blur(row: &mut [u16], reach: usize, source: &mut Vec<u16>) {
    source.clear();
    source.extend_from_slice(row);
    let inverse = inverse(reach);
    let mut sum: u32 = source.iter().take(reach).map(|&v| u32::from(v)).sum();
    for (at, out) in row.iter_mut().enumerate() {
        sum += source.get(at + reach).map_or(0, |&v| u32::from(v));
        *out = mean(sum, inverse);
        sum -= at.checked_sub(reach).and_then(|gone| source.get(gone)).map_or(0, |&v| u32::from(v));
    }
}

/// The same down every column, a row at a time so that memory is read in order.
fn box_blur_columns(wide: &mut [u16], width: usize, reach: usize) {
    let source = wide.to_vec();
    let row = |at: usize| source.get(at * width..(at + 1) * width).unwrap_or(&[]);
    let inverse = inverse(reach);
    let mut sums = vec![0_u32; width];
    for at in 0..reach {
        for (sum, &v) in sums.iter_mut().zip(row(at)) {
            *sum += u32::from(v);
        }
    }
    for (at, out) in wide.chunks_exact_mut(width).enumerate() {
        for (sum, &v) in sums.iter_mut().zip(row(at + reach)) {
            *sum += u32::from(v);
        }
        for (out, &sum) in out.iter_mut().zip(&sums) {
            *out = mean(sum, inverse);
        }
        if let Some(gone) = at.checked_sub(reach) {
            for (sum, &v) in sums.iter_mut().zip(row(gone)) {
                *sum -= u32::from(v);
            }
        }
    }
}
