//! Where things may stand: areas that text will cover are kept free, the rest is searched for room.

use thumbforge_core::image::Extent;

use super::noise::Rng;

/// A circle in pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    pub(super) x: f32,
    pub(super) y: f32,
    pub(super) r: f32,
}

/// A picture's size, its free areas, and the line where ground meets sky.
pub(super) struct Layout {
    pub(super) w: f32,
    pub(super) h: f32,
    /// The shorter side; sizes of things are fractions of it.
    pub(super) unit: f32,
    /// Left, top, right, bottom in pixels.
    zones: Vec<[f32; 4]>,
    /// Height of the horizon in pixels from the top.
    pub(super) horizon: f32,
}

impl Layout {
    pub(super) fn new(extent: Extent, keep_free: &[[f64; 4]]) -> Self {
        let (w, h) = (extent.width as f32, extent.height as f32);
        let bound = |v: f64| {
            if v.is_finite() { v.clamp(-1.0, 2.0) as f32 } else { 0.0 }
        };
        let zones: Vec<[f32; 4]> = keep_free
            .iter()
            .map(|z| z.map(bound))
            .map(|[x, y, zw, zh]| {
                let clip = |v: f32| v.clamp(0.0, 1.0);
                [clip(x) * w, clip(y) * h, clip(x + zw.max(0.0)) * w, clip(y + zh.max(0.0)) * h]
            })
            .filter(|z| z[2] > z[0] && z[3] > z[1])
            .collect();
        // The horizon passes below a title at the top, so that its letters stand on sky.
        let top = zones.iter().filter(|z| z[1] + z[3] < h).map(|z| z[3] / h).fold(0.0, f32::max);
        let horizon = (top + 0.2).clamp(0.62, 0.76) * h;
        Self { w, h, unit: w.min(h), zones, horizon }
    }

    /// How high land may rise above the horizon without reaching into a title, at most `k` of the shorter side.
    pub(super) fn rise(&self, k: f32) -> f32 {
        let top = self.zones.iter().filter(|z| z[3] < self.horizon).map(|z| z[3]).fold(self.h * 0.16, f32::max);
        (self.unit * k).min((self.horizon - top) * k / 0.38)
    }

    /// Text areas: left, top, right, bottom in pixels.
    pub(super) fn zones(&self) -> &[[f32; 4]] {
        &self.zones
    }

    /// Whether a box in pixels touches a text area or comes nearer than `gap`.
    pub(super) fn taken(&self, l: f32, t: f32, r: f32, b: f32, gap: f32) -> bool {
        self.zones.iter().any(|z| l < z[2] + gap && r > z[0] - gap && t < z[3] + gap && b > z[1] - gap)
    }

    /// Whether a point lies in a text area grown by `gap`.
    pub(super) fn covered(&self, x: f32, y: f32, gap: f32) -> bool {
        self.taken(x, y, x, y, gap)
    }

    /// The best square for a subject near `want` (fractions), at most `most` of the shorter side;
    /// `None` where text leaves no room for anything readable.
    pub(super) fn square(&self, want: [f32; 2], most: f32) -> Option<Spot> {
        const STEPS: usize = 20;
        let gap = self.unit * 0.025;
        let edge = self.unit * 0.05;
        let want = [self.open_middle(want[0]), want[1]];
        let mut best: Option<(f32, Spot)> = None;
        for step in (3..=STEPS).rev() {
            let side = self.unit * most * step as f32 / STEPS as f32;
            let (lo_x, hi_x) = (edge + side / 2.0, self.w - edge - side / 2.0);
            let (lo_y, hi_y) = (edge + side / 2.0, self.h - edge - side / 2.0);
            if hi_x < lo_x || hi_y < lo_y {
                continue;
            }
            for j in 0..=24 {
                for i in 0..=24 {
                    let x = lo_x + (hi_x - lo_x) * i as f32 / 24.0;
                    let y = lo_y + (hi_y - lo_y) * j as f32 / 24.0;
                    if self.taken(x - side / 2.0, y - side / 2.0, x + side / 2.0, y + side / 2.0, gap) {
                        continue;
                    }
                    let (dx, dy) = ((x - want[0] * self.w) / self.w, (y - want[1] * self.h) / self.h);
                    let score = step as f32 / STEPS as f32 - 0.9 * (dx * dx + dy * dy).sqrt();
                    if best.is_none_or(|(s, _)| score > s) {
                        best = Some((score, Spot { x, y, r: side / 2.0 }));
                    }
                }
            }
        }
        best.map(|(_, spot)| spot)
    }

    /// Beside a tall column of text, as banners have, the middle of what is left; `x` otherwise.
    fn open_middle(&self, x: f32) -> f32 {
        let mut tall: Vec<[f32; 2]> =
            self.zones.iter().filter(|z| z[3] - z[1] > self.h * 0.4).map(|z| [z[0], z[2]]).collect();
        if tall.is_empty() {
            return x;
        }
        tall.sort_by(|a, b| a[0].total_cmp(&b[0]));
        let (mut from, mut widest) = (0.0f32, [0.0f32, 0.0]);
        for [l, r] in tall.into_iter().chain([[self.w, self.w]]) {
            if l - from > widest[1] - widest[0] {
                widest = [from, l];
            }
            from = from.max(r);
        }
        let open = widest[1] - widest[0];
        // Text over the whole width leaves no column, and the given place is as good as any.
        if open < self.unit * 0.2 { x } else { (widest[0] + open * (0.5 + (x - 0.5) * 0.5)) / self.w }
    }

    /// A place for a disc (sun, moon, planet) of about `radius` pixels near `want`, clear of text; it shrinks before it gives up.
    pub(super) fn disc(&self, rng: &mut Rng, want: [f32; 2], radius: f32, reach: f32) -> Option<Spot> {
        for spread in 0..14 {
            let s = 0.05 * spread as f32;
            for shrink in [1.0, 0.8, 0.62] {
                let r = radius * shrink;
                let x = (want[0] + rng.range(-s, s)) * self.w;
                let y = (want[1] + rng.range(-s, s) * 0.6) * self.h;
                let inside = x > r * 0.5 && x < self.w - r * 0.5 && y > r * 0.7 && y < self.h;
                if inside && !self.taken(x - r * reach, y - r * reach, x + r * reach, y + r * reach, 0.0) {
                    return Some(Spot { x, y, r });
                }
            }
        }
        None
    }
}
