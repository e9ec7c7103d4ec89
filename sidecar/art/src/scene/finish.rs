//! The last pass: text areas calmed, vignette, grain, and rounding to bytes without bands.

use thumbforge_core::image::{Extent, ImageBuf};

use super::canvas::{Canvas, Colour, mix, scale, smooth};
use super::noise::hash;
use super::stage::Stage;

/// Blurs and evens what lies under text, so that letters stand on something quiet whatever the scene put there.
pub(super) fn calm(stage: &mut Stage) {
    if stage.layout.zones().is_empty() {
        return;
    }
    let feather = stage.unit() * 0.07;
    // Near an edge of the picture the calm runs to the edge: a strip left over would look like a fault.
    let near = |v: f32, side: f32| if v < side * 0.14 { -feather * 2.0 } else { v };
    let (width, height) = (stage.w(), stage.h());
    let zones: Vec<[f32; 4]> = stage
        .layout
        .zones()
        .iter()
        .map(|z| {
            [
                near(z[0], width),
                near(z[1], height),
                width - near(width - z[2], width),
                height - near(height - z[3], height),
            ]
        })
        .collect();
    let blur = Blur::of(&stage.canvas, (stage.unit() * 0.035).max(2.0) as usize);
    let (w, h) = (stage.canvas.w, stage.canvas.h);
    for z in zones {
        let (x0, x1) = (((z[0] - feather).max(0.0) as usize).min(w), ((z[2] + feather) as usize + 1).min(w));
        let (y0, y1) = (((z[1] - feather).max(0.0) as usize).min(h), ((z[3] + feather) as usize + 1).min(h));
        for y in y0..y1 {
            let fy = y as f32 + 0.5;
            let dy = (z[1] - fy).max(fy - z[3]).max(0.0);
            for x in x0..x1 {
                let fx = x as f32 + 0.5;
                let dx = (z[0] - fx).max(fx - z[2]).max(0.0);
                let d = (dx * dx + dy * dy).sqrt() / feather;
                let k = smooth(1.0, 0.15, d) * 0.97;
                if k > 0.0 {
                    let p = &mut stage.canvas.px[y * w + x];
                    *p = mix(*p, blur.at(fx, fy), k);
                }
            }
        }
    }
}

/// A small blurred copy of a canvas.
struct Blur {
    step: f32,
    w: usize,
    h: usize,
    v: Vec<Colour>,
}

impl Blur {
    fn of(canvas: &Canvas, step: usize) -> Self {
        let (w, h) = (canvas.w.div_ceil(step), canvas.h.div_ceil(step));
        let mut v = vec![[0.0; 4]; w * h];
        for j in 0..h {
            for i in 0..w {
                let (y1, x1) = (((j + 1) * step).min(canvas.h), ((i + 1) * step).min(canvas.w));
                let mut sum = [0.0; 4];
                for y in j * step..y1 {
                    for p in &canvas.px[y * canvas.w + i * step..y * canvas.w + x1] {
                        sum = super::canvas::add(sum, *p);
                    }
                }
                v[j * w + i] = scale(sum, 1.0 / ((y1 - j * step) * (x1 - i * step)) as f32);
            }
        }
        let mut blur = Self { step: step as f32, w, h, v };
        blur.soften();
        blur.soften();
        blur
    }

    /// Averages each cell with its neighbours.
    fn soften(&mut self) {
        let cell = |i: isize, j: isize| {
            let (i, j) = (i.clamp(0, self.w as isize - 1) as usize, j.clamp(0, self.h as isize - 1) as usize);
            self.v[j * self.w + i]
        };
        let mut out = Vec::with_capacity(self.v.len());
        for j in 0..self.h as isize {
            for i in 0..self.w as isize {
                let mut sum = scale(cell(i, j), 4.0);
                for (di, dj, k) in [
                    (1, 0, 2.0),
                    (-1, 0, 2.0),
                    (0, 1, 2.0),
                    (0, -1, 2.0),
                    (1, 1, 1.0),
                    (-1, 1, 1.0),
                    (1, -1, 1.0),
                    (-1, -1, 1.0),
                ] {
                    sum = super::canvas::add(sum, scale(cell(i + di, j + dj), k));
                }
                out.push(scale(sum, 1.0 / 16.0));
            }
        }
        self.v = out;
    }

    fn at(&self, x: f32, y: f32) -> Colour {
        let read = |v: f32, n: usize| {
            let v = (v / self.step - 0.5).clamp(0.0, (n - 1) as f32);
            let i = (v as usize).min(n.saturating_sub(2));
            (i, (i + 1).min(n - 1), v - i as f32)
        };
        let ((i, i1, u), (j, j1, v)) = (read(x, self.w), read(y, self.h));
        let top = mix(self.v[j * self.w + i], self.v[j * self.w + i1], u);
        let low = mix(self.v[j1 * self.w + i], self.v[j1 * self.w + i1], u);
        mix(top, low, v)
    }
}

/// Vignette, grain and rounding. Grain is drawn per pixel and also hides the steps of 8-bit gradients.
pub(super) fn develop(stage: &Stage, extent: Extent) -> Option<ImageBuf> {
    let canvas = &stage.canvas;
    let (w, h) = (canvas.w as f32, canvas.h as f32);
    let seed = stage.texture("grain");
    let mut out = vec![255u8; canvas.w * canvas.h * 4];
    for (y, (row, bytes)) in canvas.px.chunks_exact(canvas.w).zip(out.chunks_exact_mut(canvas.w * 4)).enumerate() {
        let v = (y as f32 + 0.5) / h - 0.5;
        for (x, (p, b)) in row.iter().zip(bytes.chunks_exact_mut(4)).enumerate() {
            let u = (x as f32 + 0.5) / w - 0.5;
            let d = u * u + v * v;
            let shade = (1.0 - 1.05 * d * d) * 255.0;
            let bits = hash(x as u32, y as u32, seed);
            // The sum of two uniform numbers: triangular noise leaves no pattern where it dithers.
            let grain = ((bits & 0xffff) as f32 + (bits >> 16) as f32) * (1.0 / 65536.0) - 1.0;
            let lift = 0.5 + grain * 2.4;
            b[0] = (p[0] * shade + lift) as u8;
            b[1] = (p[1] * shade + lift) as u8;
            b[2] = (p[2] * shade + lift) as u8;
        }
    }
    ImageBuf::from_rgba(extent, out)
}
