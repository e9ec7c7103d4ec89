//! Outlines to coverage: exact areas, so edges are smooth at any size.
//!
//! Signed areas are accumulated per row (the method of font rasterisers), which is plain float arithmetic in a fixed order.
//! That is why no vector library is used here: those take reciprocals that differ between processors.

/// A list of closed contours in pixels.
#[derive(Default, Clone)]
pub(super) struct Path {
    contours: Vec<Vec<[f32; 2]>>,
}

/// How much of each pixel of a box a shape covers, 0..1.
#[derive(Default)]
pub(super) struct Coverage {
    pub(super) x: usize,
    pub(super) y: usize,
    pub(super) w: usize,
    pub(super) h: usize,
    pub(super) a: Vec<f32>,
}

impl Path {
    /// A contour as it is; direction decides holes.
    pub(super) fn contour(&mut self, points: Vec<[f32; 2]>) {
        self.contours.push(points);
    }

    /// A polygon turned clockwise, so that polygons of one path unite.
    pub(super) fn polygon(&mut self, points: &[[f32; 2]]) {
        let mut points = points.to_vec();
        let area: f32 = points.iter().zip(points.iter().cycle().skip(1)).map(|(a, b)| a[0] * b[1] - b[0] * a[1]).sum();
        if area < 0.0 {
            points.reverse();
        }
        self.contours.push(points);
    }

    pub(super) fn rect(&mut self, x: f32, y: f32, w: f32, h: f32) {
        self.polygon(&[[x, y], [x + w, y], [x + w, y + h], [x, y + h]]);
    }

    /// An ellipse of four cubics.
    pub(super) fn ellipse(&mut self, x: f32, y: f32, rx: f32, ry: f32) {
        const K: f32 = 0.552_284_8;
        let mut points = vec![[x + rx, y]];
        let quarters = [[1.0, 0.0, 0.0, 1.0], [0.0, 1.0, -1.0, 0.0], [-1.0, 0.0, 0.0, -1.0], [0.0, -1.0, 1.0, 0.0]];
        for [ax, ay, bx, by] in quarters {
            let at = |u: f32, v: f32| [x + rx * u, y + ry * v];
            cubic(&mut points, at(ax + bx * K, ay + by * K), at(bx + ax * K, by + ay * K), at(bx, by));
        }
        self.polygon(&points);
    }

    /// A line of some width with flat ends.
    pub(super) fn stroke(&mut self, a: [f32; 2], b: [f32; 2], wa: f32, wb: f32) {
        let (dx, dy) = (b[0] - a[0], b[1] - a[1]);
        let len = (dx * dx + dy * dy).sqrt().max(1e-3);
        let (nx, ny) = (-dy / len * 0.5, dx / len * 0.5);
        self.polygon(&[
            [a[0] + nx * wa, a[1] + ny * wa],
            [b[0] + nx * wb, b[1] + ny * wb],
            [b[0] - nx * wb, b[1] - ny * wb],
            [a[0] - nx * wa, a[1] - ny * wa],
        ]);
    }

    /// Left, top, right, bottom.
    pub(super) fn bounds(&self) -> Option<[f32; 4]> {
        let mut points = self.contours.iter().flatten();
        let first = points.next()?;
        Some(points.fold([first[0], first[1], first[0], first[1]], |b, p| {
            [b[0].min(p[0]), b[1].min(p[1]), b[2].max(p[0]), b[3].max(p[1])]
        }))
    }

    /// The same path, scaled and then moved.
    pub(super) fn placed(&self, k: [f32; 2], dx: f32, dy: f32) -> Self {
        let place = |p: &[f32; 2]| [p[0] * k[0] + dx, p[1] * k[1] + dy];
        Self { contours: self.contours.iter().map(|c| c.iter().map(place).collect()).collect() }
    }

    /// The part of the path within a canvas of `w` by `h`, grown by `pad` pixels of nothing where there is room.
    pub(super) fn cover(&self, w: usize, h: usize, pad: usize) -> Coverage {
        let Some([l, t, r, b]) = self.bounds() else {
            return Coverage::default();
        };
        let lo = |v: f32, side: usize| ((v.floor().max(0.0) as usize).saturating_sub(pad)).min(side);
        let hi = |v: f32, side: usize| ((v.ceil().max(0.0) as usize) + pad).min(side);
        let (x0, y0, x1, y1) = (lo(l, w), lo(t, h), hi(r, w), hi(b, h));
        if x1 <= x0 || y1 <= y0 || r < 0.0 || b < 0.0 {
            return Coverage::default();
        }
        let (cw, ch) = (x1 - x0, y1 - y0);
        let stride = cw + 2;
        let mut sums = vec![0.0f32; stride * ch];
        let shift = |p: &[f32; 2]| [p[0] - x0 as f32, p[1] - y0 as f32];
        for contour in &self.contours {
            let Some(last) = contour.last() else { continue };
            let mut from = shift(last);
            for point in contour {
                let to = shift(point);
                edge(&mut sums, stride, cw, ch, from, to);
                from = to;
            }
        }
        let mut a = vec![0.0f32; cw * ch];
        for (out, line) in a.chunks_exact_mut(cw).zip(sums.chunks_exact(stride)) {
            let mut sum = 0.0;
            for (o, s) in out.iter_mut().zip(line) {
                sum += s;
                let cover = sum.abs().min(1.0);
                // Rounding leaves specks of 1e-7 right of a shape.
                *o = if cover < 1e-3 { 0.0 } else { cover };
            }
        }
        Coverage { x: x0, y: y0, w: cw, h: ch, a }
    }
}

/// Adds the signed area right of an edge to each row it crosses.
fn edge(sums: &mut [f32], stride: usize, w: usize, h: usize, a: [f32; 2], b: [f32; 2]) {
    let (dir, p, q) = if a[1] < b[1] { (1.0, a, b) } else { (-1.0, b, a) };
    if p[1] == q[1] || q[1] <= 0.0 || p[1] >= h as f32 {
        return;
    }
    let slope = (q[0] - p[0]) / (q[1] - p[1]);
    let mut x = if p[1] < 0.0 { p[0] - p[1] * slope } else { p[0] };
    let side = w as f32;
    for y in p[1].max(0.0) as usize..(q[1].ceil() as usize).min(h) {
        let dy = ((y + 1) as f32).min(q[1]) - (y as f32).max(p[1]);
        let next = x + slope * dy;
        let d = dy * dir;
        let (cx, cn) = (x.clamp(0.0, side), next.clamp(0.0, side));
        let (lo, hi) = if cx < cn { (cx, cn) } else { (cn, cx) };
        let line = &mut sums[y * stride..(y + 1) * stride];
        let first = lo.floor();
        let i = first as usize;
        let end = hi.ceil();
        let n = end as usize;
        if n <= i + 1 {
            let m = 0.5 * (cx + cn) - first;
            line[i] += d - d * m;
            line[i + 1] += d * m;
        } else {
            let s = 1.0 / (hi - lo);
            let f = lo - first;
            let a0 = 0.5 * s * (1.0 - f) * (1.0 - f);
            let g = hi - end + 1.0;
            let am = 0.5 * s * g * g;
            line[i] += d * a0;
            if n == i + 2 {
                line[i + 1] += d * (1.0 - a0 - am);
            } else {
                let a1 = s * (1.5 - f);
                line[i + 1] += d * (a1 - a0);
                for v in &mut line[i + 2..n - 1] {
                    *v += d * s;
                }
                let a2 = a1 + (n - i - 3) as f32 * s;
                line[n - 1] += d * (1.0 - a2 - am);
            }
            line[n] += d * am;
        }
        x = next;
    }
}

/// Appends a cubic from the last point as short lines; 12 keep a curve of 500 pixels within half a pixel.
pub(super) fn cubic(points: &mut Vec<[f32; 2]>, c: [f32; 2], d: [f32; 2], e: [f32; 2]) {
    let Some(&b) = points.last() else { return };
    let len = |p: [f32; 2], q: [f32; 2]| (p[0] - q[0]).abs() + (p[1] - q[1]).abs();
    let steps = ((len(b, c) + len(c, d) + len(d, e)) * 0.5).sqrt().clamp(2.0, 24.0) as usize;
    for i in 1..=steps {
        let t = i as f32 / steps as f32;
        let s = 1.0 - t;
        let at = |k: usize| s * s * s * b[k] + 3.0 * s * s * t * c[k] + 3.0 * s * t * t * d[k] + t * t * t * e[k];
        points.push([at(0), at(1)]);
    }
}
