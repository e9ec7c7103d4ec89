//! Chance and texture: a random generator, and value noise made from integer hashes.

/// SplitMix64: one multiplication chain per number, the same on every machine.
#[derive(Clone)]
pub(super) struct Rng(u64);

impl Rng {
    /// A stream of its own for each `topic`, so that a change in one part of a picture leaves the others.
    pub(super) fn new(seed: u64, topic: &str) -> Self {
        let topic =
            topic.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
        let mut rng = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ topic);
        rng.next();
        rng
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0..1.
    pub(super) fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u32 << 24) as f32
    }

    pub(super) fn range(&mut self, lo: f32, hi: f32) -> f32 {
        lo + (hi - lo) * self.unit()
    }

    /// 0 to `n - 1`; 0 when there is nothing to choose.
    pub(super) fn below(&mut self, n: usize) -> usize {
        if n == 0 { 0 } else { (self.next() % n as u64) as usize }
    }

    pub(super) fn chance(&mut self, p: f32) -> bool {
        self.unit() < p
    }
}

/// 32 well mixed bits of a place.
#[inline(always)]
pub(super) fn hash(x: u32, y: u32, seed: u32) -> u32 {
    let mut h = x.wrapping_mul(0x8da6_b343) ^ y.wrapping_mul(0xd816_3841) ^ seed.wrapping_mul(0xcb1a_b31f);
    h = (h ^ (h >> 15)).wrapping_mul(0x2c1b_3c6d);
    h = (h ^ (h >> 12)).wrapping_mul(0x297a_2d39);
    h ^ (h >> 15)
}

#[inline(always)]
fn lattice(x: i32, y: i32, seed: u32) -> f32 {
    (hash(x as u32, y as u32, seed) >> 8) as f32 / (1u32 << 24) as f32
}

/// Smooth noise, 0..1, one bump per unit.
pub(super) fn value(x: f32, y: f32, seed: u32) -> f32 {
    let (fx, fy) = (x.floor(), y.floor());
    let (i, j) = (fx as i32, fy as i32);
    let ease = |t: f32| t * t * t * (t * (t * 6.0 - 15.0) + 10.0);
    let (u, v) = (ease(x - fx), ease(y - fy));
    let a = lattice(i, j, seed);
    let b = lattice(i.wrapping_add(1), j, seed);
    let c = lattice(i, j.wrapping_add(1), seed);
    let d = lattice(i.wrapping_add(1), j.wrapping_add(1), seed);
    let (top, low) = (a + (b - a) * u, c + (d - c) * u);
    top + (low - top) * v
}

/// Noise with finer noise on it, about 0..1.
pub(super) fn fbm(x: f32, y: f32, octaves: u32, seed: u32) -> f32 {
    let (mut sum, mut amp, mut norm, mut k) = (0.0, 0.5, 0.0, 1.0);
    for o in 0..octaves {
        // The odd shift keeps lattice lines of the octaves apart, or they show as a grid.
        sum += amp * value(x * k + o as f32 * 17.31, y * k + o as f32 * 9.17, seed.wrapping_add(o));
        norm += amp;
        amp *= 0.5;
        k *= 2.03;
    }
    sum / norm
}

/// A texture computed on a coarse grid and read smoothly: noise is the dearest thing in a picture.
pub(super) struct Field {
    step: f32,
    w: usize,
    h: usize,
    v: Vec<f32>,
}

impl Field {
    /// Covers `w` by `h` pixels with about `nodes` grid steps along the longer side.
    pub(super) fn new(w: usize, h: usize, nodes: usize, mut at: impl FnMut(f32, f32) -> f32) -> Self {
        let step = (w.max(h) as f32 / nodes as f32).max(1.0);
        let (gw, gh) = ((w as f32 / step).ceil() as usize + 2, (h as f32 / step).ceil() as usize + 2);
        let mut v = Vec::with_capacity(gw * gh);
        for j in 0..gh {
            for i in 0..gw {
                v.push(at(i as f32 * step, j as f32 * step));
            }
        }
        Self { step, w: gw, h: gh, v }
    }

    /// Value at a pixel, by straight interpolation.
    #[inline(always)]
    pub(super) fn at(&self, x: f32, y: f32) -> f32 {
        let (x, y) = ((x / self.step).clamp(0.0, (self.w - 2) as f32), (y / self.step).clamp(0.0, (self.h - 2) as f32));
        let (i, j) = (x as usize, y as usize);
        let (u, v) = (x - i as f32, y - j as f32);
        let base = j * self.w + i;
        let (a, b) = (self.v[base], self.v[base + 1]);
        let (c, d) = (self.v[base + self.w], self.v[base + self.w + 1]);
        let (top, low) = (a + (b - a) * u, c + (d - c) * u);
        top + (low - top) * v
    }
}
