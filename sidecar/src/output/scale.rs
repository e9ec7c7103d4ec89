//! Pictures made smaller for a person to look at.
//!
//! Every pixel of the small picture is the mean of the area that it stands for, taken in linear light and weighted by
//! alpha: thin bright lines keep their brightness, edges of icons take no colour from what is transparent, and nothing
//! rings beside letters, as it does with sharper filters in the file's own values. It decides no render, so its
//! arithmetic may be that of floats.

use std::sync::OnceLock;

use thumbforge_core::image::{Extent, ImageBuf};

/// Colour times alpha in linear light, and alpha.
type Light = [f32; 4];

/// The picture with its longer side at most `side_max` pixels; never enlarged.
pub fn shrink(picture: ImageBuf, side_max: u32) -> ImageBuf {
    let Extent { width, height } = picture.extent();
    let longer = width.max(height);
    if side_max == 0 || longer <= side_max {
        return picture;
    }
    let side = |side: u32| {
        let scaled = (u64::from(side) * u64::from(side_max) + u64::from(longer) / 2) / u64::from(longer);
        scaled.clamp(1, u64::from(side_max)) as u32
    };
    let small = Extent { width: side(width), height: side(height) };
    let (columns, rows) = (spans(width, small.width), spans(height, small.height));
    let mut pixels = Vec::with_capacity(small.pixels() * 4);
    // One row of the large picture at a time: no copy of it lies in memory as floats.
    let mut row = vec![[0.0; 4]; small.width as usize];
    for span in &rows {
        row.fill([0.0; 4]);
        for (y, weight) in span.parts() {
            let start = y * width as usize * 4;
            let line = &picture.pixels()[start..start + width as usize * 4];
            for (sum, span) in row.iter_mut().zip(&columns) {
                let mean = mean(line, span);
                for (sum, value) in sum.iter_mut().zip(mean) {
                    *sum += value * weight;
                }
            }
        }
        for light in &row {
            pixels.extend_from_slice(&seen(*light));
        }
    }
    // The vector has four bytes for each pixel of `small`; a fault there would show the picture as it was.
    ImageBuf::from_rgba(small, pixels).unwrap_or(picture)
}

/// The pixels of a side that one pixel of the small picture stands for, and how much of the first and last.
struct Span {
    first: usize,
    /// Weights, which sum to one.
    weights: Vec<f32>,
}

impl Span {
    fn parts(&self) -> impl Iterator<Item = (usize, f32)> + '_ {
        self.weights.iter().enumerate().map(|(at, weight)| (self.first + at, *weight))
    }
}

fn spans(large: u32, small: u32) -> Vec<Span> {
    let step = f64::from(large) / f64::from(small);
    let span = |at: u32| {
        let (from, to) = (f64::from(at) * step, (f64::from(at + 1) * step).min(f64::from(large)));
        let first = (from.floor() as usize).min(large as usize - 1);
        let last = ((to.ceil() as usize).saturating_sub(1)).clamp(first, large as usize - 1);
        let covered = |pixel: usize| (to.min(pixel as f64 + 1.0) - from.max(pixel as f64)).max(0.0);
        let whole: f64 = (first..=last).map(covered).sum();
        Span { first, weights: (first..=last).map(|pixel| (covered(pixel) / whole) as f32).collect() }
    };
    (0..small).map(span).collect()
}

fn mean(line: &[u8], span: &Span) -> Light {
    let linear = linear();
    let mut sum = [0.0; 4];
    for (pixel, weight) in line[span.first * 4..].chunks_exact(4).zip(&span.weights) {
        let alpha = f32::from(pixel[3]) / 255.0 * weight;
        for (sum, channel) in sum.iter_mut().zip(&pixel[..3]) {
            *sum += linear[usize::from(*channel)] * alpha;
        }
        sum[3] += alpha;
    }
    sum
}

fn seen(light: Light) -> [u8; 4] {
    let alpha = light[3].clamp(0.0, 1.0);
    if alpha <= 0.0 {
        return [0; 4];
    }
    let channel = |light: f32| {
        let light = (light / alpha).clamp(0.0, 1.0);
        let value = if light <= 0.003_130_8 { light * 12.92 } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 };
        (value * 255.0).round() as u8
    };
    [channel(light[0]), channel(light[1]), channel(light[2]), (alpha * 255.0).round() as u8]
}

/// Linear light of each sRGB value.
fn linear() -> &'static [f32; 256] {
    static TABLE: OnceLock<[f32; 256]> = OnceLock::new();
    TABLE.get_or_init(|| {
        std::array::from_fn(|value| {
            let value = value as f32 / 255.0;
            if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: u32, height: u32, pixel: impl Fn(u32, u32) -> [u8; 4]) -> ImageBuf {
        let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).flat_map(|(x, y)| pixel(x, y)).collect();
        ImageBuf::from_rgba(Extent { width, height }, pixels).expect("a picture")
    }

    #[track_caller]
    fn check(large: ImageBuf, side_max: u32, size: (u32, u32), corner: [u8; 4]) {
        let small = shrink(large, side_max);
        assert_eq!((small.extent().width, small.extent().height), size);
        assert_eq!(small.pixel(0, 0), Some(corner));
    }

    #[test]
    fn sides_keep_their_proportion_and_are_never_enlarged() {
        let grey = |_, _| [90, 120, 200, 255];
        check(picture(300, 100, grey), 100, (100, 33), [90, 120, 200, 255]);
        check(picture(100, 300, grey), 7, (2, 7), [90, 120, 200, 255]);
        check(picture(400, 1, grey), 16, (16, 1), [90, 120, 200, 255]);
        check(picture(40, 30, grey), 40, (40, 30), [90, 120, 200, 255]);
        check(picture(40, 30, grey), 0, (40, 30), [90, 120, 200, 255]);
    }

    #[test]
    fn black_and_white_lines_give_the_grey_that_is_half_as_bright() {
        let lines = |x, _| if x % 2 == 0 { [255, 255, 255, 255] } else { [0, 0, 0, 255] };
        check(picture(64, 64, lines), 32, (32, 32), [188, 188, 188, 255]);
    }

    #[test]
    fn what_is_transparent_gives_no_colour() {
        let edge = |x, _| if x % 2 == 0 { [200, 40, 10, 255] } else { [0, 255, 0, 0] };
        check(picture(64, 64, edge), 32, (32, 32), [200, 40, 10, 128]);
        check(picture(8, 8, |_, _| [9, 9, 9, 0]), 4, (4, 4), [0, 0, 0, 0]);
    }

    #[test]
    fn a_pixel_on_a_border_counts_for_both_sides() {
        // Three pixels onto two: each takes one and a half of them.
        let small = shrink(picture(3, 3, |x, _| if x == 1 { [255; 4] } else { [0, 0, 0, 255] }), 2);
        assert_eq!(small.pixel(0, 0), small.pixel(1, 0));
        // A third of the light.
        assert_eq!(small.pixel(0, 0), Some([156, 156, 156, 255]));
    }
}
