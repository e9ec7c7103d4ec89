//! Pictures as Tesseract reads them: one byte a pixel, at another size or another angle.
//!
//! ```text
//! RGBA ─► over grey ─► channel (grey, dark, bright) ─► crop ─► scale ─► turn
//! ```
//! Every plane remembers how its pixels lie in the picture, so that what was read can be found there again.

use thumbforge_core::image::{Extent, ImageBuf, PixelBox};

/// What a pixel's byte is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Channel {
    /// Brightness, by the weights of ITU-R BT.601.
    Grey,
    /// The least of red, green and blue, inverted: white letters become black on whatever colour is behind them.
    Dark,
    /// The greatest of red, green and blue: dark letters stand out from bright colours.
    Bright,
}

/// Grey that shows through where a picture is transparent: both white and black letters can be read on it.
const BEHIND: u32 = 128;

/// Where a plane's pixels lie in the picture: `picture = origin + turn(plane / scale)`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Frame {
    /// Top left corner of the crop in the picture.
    x: f64,
    y: f64,
    /// Plane pixels for each of the picture.
    scale: f64,
    /// Width and height of the crop as scaled, before it was turned.
    size: [f64; 2],
    /// Sine and cosine of the angle by which it was turned.
    turn: [f64; 2],
}

/// One byte a pixel, rows from the top.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plane {
    width: u32,
    height: u32,
    pixels: Vec<u8>,
    frame: Frame,
}

impl Plane {
    /// The part of `image` within `area`, as one channel; `None` when nothing of the area is in the picture.
    pub(crate) fn of(image: &ImageBuf, area: PixelBox, channel: Channel) -> Option<Self> {
        let extent = image.extent();
        let area = area.intersection(extent.bounds())?;
        let mut pixels = Vec::with_capacity(area.w as usize * area.h as usize);
        let row_bytes = extent.width as usize * 4;
        let rows = image.pixels().chunks_exact(row_bytes).skip(area.y as usize).take(area.h as usize);
        for row in rows {
            let row = row.get(area.x as usize * 4..).unwrap_or_default();
            pixels.extend(row.chunks_exact(4).take(area.w as usize).map(|pixel| value(pixel, channel)));
        }
        let size = [f64::from(area.w), f64::from(area.h)];
        let frame = Frame { x: f64::from(area.x), y: f64::from(area.y), scale: 1.0, size, turn: [0.0, 1.0] };
        Some(Self { width: area.w, height: area.h, pixels, frame })
    }

    /// Pixels from left to right.
    pub(crate) fn width(&self) -> u32 {
        self.width
    }

    /// Pixels from top to bottom.
    pub(crate) fn height(&self) -> u32 {
        self.height
    }

    /// Its pixels for each of the picture, across or down.
    pub(crate) fn scale(&self) -> f64 {
        self.frame.scale
    }

    /// Mean difference of a pixel to its right neighbour, of 255.
    pub(crate) fn roughness(&self) -> f64 {
        let row = |row: &[u8]| row.windows(2).map(|pair| u64::from(pair[0].abs_diff(pair[1]))).sum::<u64>();
        let sum: u64 = self.pixels.chunks_exact(self.width as usize).map(row).sum();
        sum as f64 / self.pixels.len().max(1) as f64
    }

    /// `width * height` bytes.
    pub(crate) fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The same place with other pixels; the same plane where there are not as many.
    pub(crate) fn repainted(&self, pixels: Vec<u8>) -> Self {
        if pixels.len() == self.pixels.len() { Self { pixels, ..self.clone() } } else { self.clone() }
    }

    /// The part of it within `[left, top, right, bottom]`, all of which lies in it; itself where it was turned.
    pub(crate) fn part(&self, [left, top, right, bottom]: [u32; 4]) -> Self {
        let (right, bottom) = (right.min(self.width), bottom.min(self.height));
        if self.frame.turn[0] != 0.0 || left >= right || top >= bottom {
            return self.clone();
        }
        let (width, height) = (right - left, bottom - top);
        let rows = self.pixels.chunks_exact(self.width as usize).skip(top as usize).take(height as usize);
        let pixels = rows.flat_map(|row| row[left as usize..right as usize].iter().copied()).collect();
        let (x, y) = (f64::from(left) / self.frame.scale, f64::from(top) / self.frame.scale);
        let size = [f64::from(width), f64::from(height)];
        let frame = Frame { x: self.frame.x + x, y: self.frame.y + y, size, ..self.frame };
        Self { width, height, pixels, frame }
    }

    /// Black for white.
    pub(crate) fn inverted(mut self) -> Self {
        self.pixels.iter_mut().for_each(|value| *value = 255 - *value);
        self
    }

    /// Its size and everything else, `factor` times as large. Sides are at least a pixel and at most `side_max`.
    ///
    /// Larger by cubic interpolation (Keys, a = -1/2), smaller by the mean over the area of each new pixel.
    pub(crate) fn scaled(&self, factor: f64, side_max: u32) -> Self {
        let factor = factor.min(f64::from(side_max) / f64::from(self.width.max(self.height)));
        let side = |side: u32| ((f64::from(side) * factor + 0.5) as u32).clamp(1, side_max);
        let (width, height) = (side(self.width), side(self.height));
        if (width, height) == (self.width, self.height) {
            return self.clone();
        }
        let across = taps(self.width, width);
        let down = taps(self.height, height);
        let mut narrow = Vec::with_capacity(width as usize * self.height as usize);
        for row in self.pixels.chunks_exact(self.width as usize) {
            narrow.extend(across.iter().map(|taps| taps.sum(|at| row.get(at).copied().map_or(0.0, f32::from))));
        }
        let mut pixels = Vec::with_capacity(width as usize * height as usize);
        let mut sums = vec![0.0f32; width as usize];
        for taps in &down {
            sums.fill(0.0);
            for (at, weight) in taps.weights() {
                let row = narrow.get(at * width as usize..).unwrap_or_default();
                for (sum, value) in sums.iter_mut().zip(row) {
                    *sum += weight * value;
                }
            }
            pixels.extend(sums.iter().map(|sum| (sum + 0.5).clamp(0.0, 255.0) as u8));
        }
        let scale = self.frame.scale * f64::from(width) / self.frame.size[0];
        let frame = Frame { scale, size: [f64::from(width), f64::from(height)], ..self.frame };
        Self { width, height, pixels, frame }
    }

    /// Turned by `degrees` counter-clockwise, on a plane that holds all of it; the corners get the colour nearest to them.
    pub(crate) fn turned(&self, degrees: f64) -> Self {
        // `libm` is not needed for equal bytes here: readings are only compared with themselves on one machine.
        let (sin, cos) = degrees.to_radians().sin_cos();
        let [w, h] = self.frame.size;
        let width = ((w * cos.abs() + h * sin.abs()).ceil() as u32).max(1);
        let height = ((w * sin.abs() + h * cos.abs()).ceil() as u32).max(1);
        let frame = Frame { turn: [sin, cos], ..self.frame };
        let mut turned = Self { width, height, pixels: Vec::new(), frame };
        turned.pixels.reserve_exact(width as usize * height as usize);
        for y in 0..height {
            for x in 0..width {
                let [from_x, from_y] = turned.before_turn([f64::from(x) + 0.5, f64::from(y) + 0.5]);
                let value = self.between(from_x as f32 - 0.5, from_y as f32 - 0.5);
                turned.pixels.push(value);
            }
        }
        turned
    }

    /// The value between four pixels; outside, that of the nearest one.
    fn between(&self, x: f32, y: f32) -> u8 {
        let (last_x, last_y) = ((self.width - 1) as f32, (self.height - 1) as f32);
        let (x, y) = (x.clamp(0.0, last_x), y.clamp(0.0, last_y));
        let (left, top) = (x as usize, y as usize);
        let (right, bottom) = ((left + 1).min(last_x as usize), (top + 1).min(last_y as usize));
        let (part_x, part_y) = (x - left as f32, y - top as f32);
        let at = |x: usize, y: usize| self.pixels.get(y * self.width as usize + x).copied().map_or(0.0, f32::from);
        let upper = at(left, top) + (at(right, top) - at(left, top)) * part_x;
        let lower = at(left, bottom) + (at(right, bottom) - at(left, bottom)) * part_x;
        (upper + (lower - upper) * part_y + 0.5) as u8
    }

    /// A point of this plane, in the scaled crop that it was turned from.
    fn before_turn(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        let [sin, cos] = self.frame.turn;
        let [w, h] = self.frame.size;
        let (x, y) = (x - f64::from(self.width) / 2.0, y - f64::from(self.height) / 2.0);
        [x * cos - y * sin + w / 2.0, x * sin + y * cos + h / 2.0]
    }

    /// The box `[left, top, right, bottom]` of this plane as an upright box around the same pixels of the picture.
    pub(crate) fn in_picture(&self, [left, top, right, bottom]: [i32; 4], picture: Extent) -> PixelBox {
        let (mut from, mut to) = ([f64::MAX; 2], [f64::MIN; 2]);
        for corner in [[left, top], [right, top], [left, bottom], [right, bottom]] {
            let [x, y] = self.before_turn(corner.map(f64::from));
            let point = [self.frame.x + x / self.frame.scale, self.frame.y + y / self.frame.scale];
            for axis in 0..2 {
                from[axis] = from[axis].min(point[axis]);
                to[axis] = to[axis].max(point[axis]);
            }
        }
        let within = |value: f64, side: u32| value.clamp(0.0, f64::from(side));
        let (x, y) = (within(from[0].floor(), picture.width), within(from[1].floor(), picture.height));
        let (right, bottom) = (within(to[0].ceil(), picture.width), within(to[1].ceil(), picture.height));
        PixelBox { x: x as i32, y: y as i32, w: (right - x) as u32, h: (bottom - y) as u32 }
    }
}

/// One channel of a pixel, over grey where it is transparent.
fn value(pixel: &[u8], channel: Channel) -> u8 {
    let &[r, g, b, alpha] = pixel else { return 0 };
    let alpha = u32::from(alpha);
    let [r, g, b] = [r, g, b].map(|value| (u32::from(value) * alpha + BEHIND * (255 - alpha) + 127) / 255);
    let value = match channel {
        Channel::Grey => (299 * r + 587 * g + 114 * b + 500) / 1000,
        Channel::Dark => 255 - r.min(g).min(b),
        Channel::Bright => r.max(g).max(b),
    };
    value as u8
}

/// Which pixels of a row go into one of a scaled row, and how much.
struct Taps {
    first: usize,
    weights: Vec<f32>,
}

impl Taps {
    fn weights(&self) -> impl Iterator<Item = (usize, f32)> + '_ {
        self.weights.iter().enumerate().map(|(at, &weight)| (self.first + at, weight))
    }

    fn sum(&self, value: impl Fn(usize) -> f32) -> f32 {
        self.weights().map(|(at, weight)| weight * value(at)).sum()
    }
}

fn taps(from: u32, to: u32) -> Vec<Taps> {
    let ratio = f64::from(from) / f64::from(to);
    let wide = ratio.max(1.0);
    let reach = if ratio > 1.0 { ratio / 2.0 + 0.5 } else { 2.0 };
    (0..to)
        .map(|at| {
            let centre = (f64::from(at) + 0.5) * ratio - 0.5;
            let first = (centre - reach).ceil().max(0.0) as usize;
            let last = ((centre + reach).floor() as usize).min(from as usize - 1);
            let weight = |at: usize| {
                let away = (at as f64 - centre).abs();
                if ratio > 1.0 { (wide / 2.0 + 0.5 - away).clamp(0.0, 1.0) } else { cubic(away) }
            };
            let weights: Vec<f64> = (first..=last).map(weight).collect();
            let total: f64 = weights.iter().sum();
            let total = if total.abs() < 1e-9 { 1.0 } else { total };
            Taps { first, weights: weights.into_iter().map(|weight| (weight / total) as f32).collect() }
        })
        .collect()
}

/// Keys' cubic with a = -1/2, at a distance in pixels.
fn cubic(away: f64) -> f64 {
    match away {
        away if away < 1.0 => (1.5 * away - 2.5) * away * away + 1.0,
        away if away < 2.0 => ((-0.5 * away + 2.5) * away - 4.0) * away + 2.0,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXTENT: Extent = Extent { width: 40, height: 30 };

    fn plane(area: PixelBox) -> Option<Plane> {
        Plane::of(&ImageBuf::filled(EXTENT, [10, 20, 30, 255]), area, Channel::Grey)
    }

    #[test]
    fn channels_are_what_they_say() {
        let check =
            |pixel: [u8; 4], channel, expected| assert_eq!(value(&pixel, channel), expected, "{pixel:?} {channel:?}");
        check([255, 255, 255, 255], Channel::Grey, 255);
        check([255, 0, 0, 255], Channel::Grey, 76);
        check([255, 255, 255, 255], Channel::Dark, 0);
        check([255, 200, 30, 255], Channel::Dark, 225);
        check([255, 200, 30, 255], Channel::Bright, 255);
        check([255, 255, 255, 0], Channel::Grey, BEHIND as u8);
    }

    #[test]
    fn areas_are_cut_to_the_picture() {
        let cut = plane(PixelBox { x: -5, y: -5, w: 10, h: 10 }).expect("part of it");
        assert_eq!((cut.width(), cut.height(), cut.pixels().len()), (5, 5, 25));
        assert!(plane(PixelBox { x: 40, y: 0, w: 5, h: 5 }).is_none());
        assert!(plane(PixelBox { x: 0, y: 0, w: 0, h: 5 }).is_none());
    }

    #[test]
    fn scaling_keeps_flat_colours_and_bounds_sides() {
        let whole = plane(EXTENT.bounds()).expect("all of it");
        for factor in [0.1, 0.5, 1.0, 2.0, 1000.0] {
            let scaled = whole.scaled(factor, 100);
            assert!(scaled.width().max(scaled.height()) <= 100, "{factor}");
            assert!(scaled.pixels().iter().all(|value| value.abs_diff(whole.pixels()[0]) <= 1), "{factor}");
        }
    }

    #[test]
    fn boxes_are_found_again_in_the_picture() {
        let area = PixelBox { x: 10, y: 5, w: 20, h: 20 };
        let crop = plane(area).expect("part of it");
        assert_eq!(crop.in_picture([0, 0, 20, 20], EXTENT), area);
        assert_eq!(crop.scaled(2.0, 100).in_picture([0, 0, 40, 40], EXTENT), area);
        let twice = crop.scaled(0.5, 100).scaled(4.0, 100);
        assert_eq!(twice.in_picture([0, 0, 40, 40], EXTENT), area);
        let turned = crop.scaled(2.0, 100).turned(20.0);
        let [w, h] = [turned.width() as i32, turned.height() as i32];
        let middle = turned.in_picture([w / 2 - 1, h / 2 - 1, w / 2 + 1, h / 2 + 1], EXTENT);
        assert!(PixelBox { x: 17, y: 12, w: 6, h: 6 }.contains(middle), "{middle:?}");
    }

    #[test]
    fn parts_are_found_again_in_the_picture() {
        let whole = plane(PixelBox { x: 4, y: 2, w: 30, h: 20 }).expect("part of it").scaled(2.0, 100);
        let part = whole.part([10, 6, 30, 16]);
        assert_eq!((part.width(), part.height(), part.pixels().len()), (20, 10, 200));
        assert_eq!(part.in_picture([0, 0, 20, 10], EXTENT), PixelBox { x: 9, y: 5, w: 10, h: 5 });
        // As much of it as there is, and all of it where nothing is left.
        assert_eq!(whole.part([50, 30, 90, 90]).width(), 10);
        assert_eq!(whole.part([60, 0, 90, 90]), whole);
        let turned = whole.turned(20.0);
        assert_eq!(turned.part([10, 6, 30, 16]), turned);
    }

    #[test]
    fn black_is_white_and_white_is_black_when_inverted() {
        let whole = plane(EXTENT.bounds()).expect("all of it");
        let value = whole.pixels()[0];
        assert!(whole.inverted().pixels().iter().all(|inverted| *inverted == 255 - value));
    }

    #[test]
    fn noise_is_rough_and_flat_colours_are_not() {
        assert_eq!(plane(EXTENT.bounds()).expect("all of it").roughness(), 0.0);
    }
}
