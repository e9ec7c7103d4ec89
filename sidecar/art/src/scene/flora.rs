//! Plants and rocks as outlines: conifers, round trees, palms, cacti, crystals, dead wood.

use super::noise::Rng;
use super::raster::{Path, cubic};

/// A fir: tiers of drooping branches on a stem.
pub(super) fn fir(path: &mut Path, rng: &mut Rng, x: f32, foot: f32, tall: f32) {
    let tiers = 6;
    let half = tall * rng.range(0.17, 0.23);
    path.rect(x - tall * 0.018, foot - tall * 0.12, tall * 0.036, tall * 0.14);
    let lean = rng.range(-0.01, 0.01) * tall;
    for i in 0..tiers {
        let t = i as f32 / tiers as f32;
        let top = foot - tall + tall * 0.82 * t * 0.98;
        let low = top + tall * (0.2 + 0.1 * t);
        let wide = half * (0.22 + 0.78 * (t + 1.0 / tiers as f32)) * rng.range(0.88, 1.1);
        let cx = x + lean * (1.0 - t);
        let dip = tall * 0.03;
        path.polygon(&[
            [cx, top],
            [cx + wide * 0.42, top + (low - top) * 0.55],
            [cx + wide, low],
            [cx + wide * 0.62, low - dip * 0.7],
            [cx + wide * 0.35, low + dip * 0.4],
            [cx, low - dip * 0.4],
            [cx - wide * 0.38, low + dip * 0.4],
            [cx - wide * 0.64, low - dip * 0.7],
            [cx - wide, low],
            [cx - wide * 0.42, top + (low - top) * 0.55],
        ]);
    }
}

/// A leafy tree: a crown of circles on a stem.
pub(super) fn broad(path: &mut Path, rng: &mut Rng, x: f32, foot: f32, tall: f32) {
    path.stroke([x, foot + tall * 0.02], [x, foot - tall * 0.5], tall * 0.09, tall * 0.05);
    path.stroke([x, foot - tall * 0.38], [x + tall * 0.16, foot - tall * 0.58], tall * 0.04, tall * 0.02);
    path.stroke([x, foot - tall * 0.34], [x - tall * 0.15, foot - tall * 0.55], tall * 0.04, tall * 0.02);
    for i in 0..9 {
        let (u, v) = [
            (0.0, 0.78),
            (0.2, 0.66),
            (-0.2, 0.66),
            (0.28, 0.52),
            (-0.28, 0.52),
            (0.0, 0.56),
            (0.12, 0.84),
            (-0.13, 0.82),
            (0.0, 0.66),
        ][i];
        let r = tall * rng.range(0.12, 0.18);
        path.ellipse(x + tall * (u + rng.range(-0.03, 0.03)), foot - tall * v, r * 1.12, r);
    }
}

/// A palm with fronds that hang over.
pub(super) fn palm(path: &mut Path, rng: &mut Rng, x: f32, foot: f32, tall: f32) {
    let lean = rng.range(-0.28, 0.28) * tall;
    let mut last = [x, foot];
    for i in 1..=8 {
        let t = i as f32 / 8.0;
        let next = [x + lean * t * t, foot - tall * t];
        path.stroke(last, next, tall * (0.055 - 0.022 * t), tall * (0.05 - 0.022 * t));
        last = next;
    }
    for i in 0..9 {
        let side = (i as f32 - 4.0) / 4.0;
        let long = tall * rng.range(0.34, 0.46);
        let (tx, ty) =
            (last[0] + long * side, last[1] + long * (0.5 * side * side - 0.16) + rng.range(-0.03, 0.03) * tall);
        let mid = [(last[0] + tx) * 0.5, last[1].min(ty) - long * 0.24];
        let mut points = vec![last];
        cubic(&mut points, mid, [(mid[0] + tx) * 0.5, mid[1] + long * 0.03], [tx, ty]);
        cubic(&mut points, [(mid[0] + tx) * 0.5, mid[1] + long * 0.2], [mid[0], mid[1] + long * 0.19], last);
        path.polygon(&points);
    }
}

/// A saguaro.
pub(super) fn cactus(path: &mut Path, rng: &mut Rng, x: f32, foot: f32, tall: f32) {
    let w = tall * 0.15;
    let column = |path: &mut Path, x: f32, low: f32, top: f32, w: f32| {
        path.rect(x - w / 2.0, top + w / 2.0, w, low - top - w / 2.0);
        path.ellipse(x, top + w / 2.0, w / 2.0, w / 2.0);
    };
    column(path, x, foot + tall * 0.02, foot - tall, w);
    for side in [-1.0, 1.0] {
        let (y, reach, up) =
            (foot - tall * rng.range(0.35, 0.55), tall * rng.range(0.2, 0.26), tall * rng.range(0.22, 0.38));
        let a = w * 0.72;
        let ex = x + side * reach;
        path.rect(x.min(ex), y - a / 2.0, reach, a);
        path.ellipse(ex, y, a / 2.0, a / 2.0);
        column(path, ex, y, y - up, a);
    }
}

/// A bare tree: forks of forks.
pub(super) fn bare(path: &mut Path, rng: &mut Rng, from: [f32; 2], dir: [f32; 2], tall: f32, wide: f32, depth: u32) {
    let to = [from[0] + dir[0] * tall, from[1] + dir[1] * tall];
    path.stroke(from, to, wide, wide * 0.62);
    path.ellipse(to[0], to[1], wide * 0.3, wide * 0.3);
    if depth == 0 {
        return;
    }
    for side in [-1.0, 1.0] {
        let turn = side * rng.range(0.3, 0.75);
        let (c, s) = (1.0 / (1.0 + turn * turn).sqrt(), turn / (1.0 + turn * turn).sqrt());
        let next = [dir[0] * c - dir[1] * s, dir[0] * s + dir[1] * c];
        let long = tall * rng.range(0.58, 0.78);
        bare(path, rng, to, next, long, wide * 0.6, depth - 1);
    }
}

/// One crystal: a hexagonal prism seen from the side, as a lit and a dark half.
pub(super) fn crystal(lit: &mut Path, dark: &mut Path, foot: [f32; 2], dir: [f32; 2], tall: f32, wide: f32) {
    let side = [-dir[1], dir[0]];
    let at = |u: f32, v: f32| {
        [foot[0] + side[0] * u * wide + dir[0] * v * tall, foot[1] + side[1] * u * wide + dir[1] * v * tall]
    };
    lit.polygon(&[at(-0.5, 0.0), at(-0.5, 0.74), at(-0.08, 1.0), at(0.1, 0.66), at(0.1, 0.0)]);
    dark.polygon(&[at(0.1, 0.0), at(0.1, 0.66), at(-0.08, 1.0), at(0.5, 0.7), at(0.5, 0.0)]);
}

/// A boulder: an irregular polygon.
pub(super) fn boulder(path: &mut Path, rng: &mut Rng, x: f32, y: f32, rx: f32, ry: f32) {
    // Points of a ten-sided figure, without trigonometry.
    const RING: [[f32; 2]; 10] = [
        [1.0, 0.0],
        [0.81, 0.59],
        [0.31, 0.95],
        [-0.31, 0.95],
        [-0.81, 0.59],
        [-1.0, 0.0],
        [-0.81, -0.59],
        [-0.31, -0.95],
        [0.31, -0.95],
        [0.81, -0.59],
    ];
    let points: Vec<[f32; 2]> = RING
        .iter()
        .map(|p| {
            let k = rng.range(0.78, 1.08);
            [x + p[0] * rx * k, y + p[1] * ry * k]
        })
        .collect();
    path.polygon(&points);
}

/// A broad hanging leaf from a point, for foregrounds.
pub(super) fn frond(path: &mut Path, from: [f32; 2], to: [f32; 2], wide: f32) {
    let (dx, dy) = (to[0] - from[0], to[1] - from[1]);
    let n = [-dy * wide, dx * wide];
    let at = |t: f32, k: f32| [from[0] + dx * t + n[0] * k, from[1] + dy * t + n[1] * k];
    let mut points = vec![from];
    cubic(&mut points, at(0.25, 0.5), at(0.7, 0.45), to);
    cubic(&mut points, at(0.7, -0.35), at(0.25, -0.5), from);
    path.polygon(&points);
}
