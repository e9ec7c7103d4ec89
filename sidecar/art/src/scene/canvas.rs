//! The picture while it is painted: float pixels in sRGB encoding, and the few blends that everything uses.
//!
//! Blending happens on encoded values, as painters' programs do: gradients look even and no power function runs per pixel.
//! Only `+ - * /`, `sqrt`, `min`, `max` and `floor` touch pixels; these are exact on every machine.

use super::raster::Coverage;

/// Red, green, blue in 0..1 and one unused lane, so that a pixel is one vector register.
pub(super) type Colour = [f32; 4];

/// `a` at 0, `b` at 1.
#[inline(always)]
pub(super) fn mix(a: Colour, b: Colour, t: f32) -> Colour {
    [a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t, a[3] + (b[3] - a[3]) * t]
}

/// Every channel times `k`.
#[inline(always)]
pub(super) fn scale(a: Colour, k: f32) -> Colour {
    [a[0] * k, a[1] * k, a[2] * k, a[3] * k]
}

/// Sum of channels.
#[inline(always)]
pub(super) fn add(a: Colour, b: Colour) -> Colour {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]]
}

/// `a` lightened by `b` as two projectors on one wall would, without clipping.
#[inline(always)]
pub(super) fn screen(a: Colour, b: Colour) -> Colour {
    let lane = |i: usize| a[i] + b[i] - a[i] * b[i].min(1.0);
    [lane(0), lane(1), lane(2), 0.0]
}

/// 0 below `lo`, 1 above `hi`, smooth between.
#[inline(always)]
pub(super) fn smooth(lo: f32, hi: f32, x: f32) -> f32 {
    let t = ((x - lo) / (hi - lo)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// `a` at 0, a broad band of `b`, `c` from 1 on: flat enough that `b` is seen as it is.
#[inline(always)]
pub(super) fn stops(a: Colour, b: Colour, c: Colour, t: f32) -> Colour {
    mix(mix(a, b, smooth(0.0, 0.36, t)), c, smooth(0.5, 1.1, t))
}

/// Perceived lightness of an encoded colour, 0..1, good enough to compare.
pub(super) fn luma(c: Colour) -> f32 {
    c[0] * 0.299 + c[1] * 0.587 + c[2] * 0.114
}

/// Float pixels, rows from the top.
pub(super) struct Canvas {
    pub(super) w: usize,
    pub(super) h: usize,
    pub(super) px: Vec<Colour>,
}

impl Canvas {
    pub(super) fn new(w: usize, h: usize) -> Self {
        Self { w, h, px: vec![[0.0; 4]; w * h] }
    }

    pub(super) fn row(&mut self, y: usize) -> &mut [Colour] {
        let w = self.w;
        &mut self.px[y * w..(y + 1) * w]
    }

    /// Replaces every pixel by what `paint` makes of its place.
    pub(super) fn shade(&mut self, mut paint: impl FnMut(f32, f32, Colour) -> Colour) {
        let w = self.w;
        for (y, row) in self.px.chunks_exact_mut(w).enumerate() {
            for (x, p) in row.iter_mut().enumerate() {
                *p = paint(x as f32 + 0.5, y as f32 + 0.5, *p);
            }
        }
    }

    /// As [`Self::shade`], within a box in pixels that may reach outside.
    pub(super) fn shade_box(&mut self, area: [f32; 4], mut paint: impl FnMut(f32, f32, Colour) -> Colour) {
        let clip = |v: f32, side: usize| (v.max(0.0) as usize).min(side);
        let (x0, x1) = (clip(area[0], self.w), clip(area[0] + area[2] + 1.0, self.w));
        let (y0, y1) = (clip(area[1], self.h), clip(area[1] + area[3] + 1.0, self.h));
        for y in y0..y1 {
            for x in x0..x1.max(x0) {
                let p = &mut self.px[y * self.w + x];
                *p = paint(x as f32 + 0.5, y as f32 + 0.5, *p);
            }
        }
    }

    /// Paints a shape; `paint` gives colour and opacity at a place.
    pub(super) fn fill(&mut self, shape: &Coverage, mut paint: impl FnMut(f32, f32) -> (Colour, f32)) {
        for (j, line) in shape.a.chunks_exact(shape.w.max(1)).enumerate().take(shape.h) {
            let y = shape.y + j;
            let row = &mut self.px[y * self.w + shape.x..][..shape.w];
            for (i, (p, cover)) in row.iter_mut().zip(line).enumerate() {
                if *cover > 0.002 {
                    let (colour, alpha) = paint((shape.x + i) as f32 + 0.5, y as f32 + 0.5);
                    *p = mix(*p, colour, cover * alpha);
                }
            }
        }
    }

    /// A soft round light: full at the centre, nothing at `radius`.
    pub(super) fn glow(&mut self, x: f32, y: f32, radius: f32, colour: Colour, strength: f32) {
        let inv = 1.0 / (radius * radius).max(0.25);
        self.shade_box([x - radius, y - radius, radius * 2.0, radius * 2.0], |px, py, p| {
            let t = (1.0 - ((px - x) * (px - x) + (py - y) * (py - y)) * inv).max(0.0);
            screen(p, scale(colour, t * t * t * strength))
        });
    }

    /// A soft elliptic shadow.
    pub(super) fn shadow(&mut self, x: f32, y: f32, rx: f32, ry: f32, colour: Colour, strength: f32) {
        let (ix, iy) = (1.0 / rx.max(0.5), 1.0 / ry.max(0.5));
        self.shade_box([x - rx, y - ry, rx * 2.0, ry * 2.0], |px, py, p| {
            let (u, v) = ((px - x) * ix, (py - y) * iy);
            let t = (1.0 - u * u - v * v).max(0.0);
            mix(p, colour, t * (2.0 - t) * strength)
        });
    }

    /// A disc with a soft edge of `feather` pixels.
    pub(super) fn disc(
        &mut self,
        x: f32,
        y: f32,
        radius: f32,
        feather: f32,
        mut paint: impl FnMut(f32, f32) -> (Colour, f32),
    ) {
        let reach = radius + feather;
        self.shade_box([x - reach, y - reach, reach * 2.0, reach * 2.0], |px, py, p| {
            let (u, v) = (px - x, py - y);
            let cover = ((radius + feather * 0.5 - (u * u + v * v).sqrt()) / feather.max(1.0)).clamp(0.0, 1.0);
            if cover <= 0.0 {
                return p;
            }
            let (colour, alpha) = paint(u / radius, v / radius);
            mix(p, colour, cover * alpha)
        });
    }
}
