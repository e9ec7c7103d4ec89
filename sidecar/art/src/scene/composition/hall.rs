//! Under vaults: a dungeon and a treasury, with what stands and hangs there.

use super::cloth;
use crate::scene::canvas::{mix, scale, screen, smooth};
use crate::scene::icons::Stance;
use crate::scene::land::{self, Form};
use crate::scene::noise::{Rng, hash, value};
use crate::scene::raster::{Path, cubic};
use crate::scene::sky;
use crate::scene::stage::Stage;

pub(super) fn dungeon(stage: &mut Stage) {
    let (unit, w, h) = (stage.unit(), stage.w(), stage.h());
    let floor = stage.footing() - unit * 0.05;
    let cx = stage.subject.map_or(w * 0.5, |s| s.x);
    stage.light = [cx, h * 0.3];
    let (deep, near) = (stage.palette.sky[1], stage.palette.near);
    let back = mix(stage.palette.sky[2], deep, 0.35);
    let seed = stage.texture("bricks");
    // The far end glows; walls darken toward the viewer.
    stage.canvas.shade(|x, y, _| {
        let (u, v) = ((x - cx) / unit, (y - floor) / unit);
        let d = (u * u + v * v * 0.8).sqrt();
        mix(back, mix(near, deep, 0.35), smooth(0.05, 0.75, d))
    });
    for (i, size) in [0.5f32, 0.72, 1.05].into_iter().enumerate() {
        let t = i as f32 / 2.0;
        let half = unit * size * 0.5;
        let spring = floor - half * 0.95;
        let tone = mix(mix(stage.palette.far, back, 0.35), near, 0.25 + 0.55 * t);
        let brick = unit * (0.035 + 0.03 * t);
        let light = stage.palette.accent;
        let rim = unit * 0.012 * (1.0 + t);
        stage.canvas.shade(|x, y, p| {
            // Inside the arch the picture stays; outside is wall of this depth.
            let (u, v) = ((x - cx).abs(), spring - y);
            let d = if v > 0.0 { (u * u + v * v * 0.72).sqrt() - half } else { u - half };
            if d < -1.0 || y > floor + half * 0.18 {
                return p;
            }
            let row = (y / (brick * 0.55)).floor();
            let shift = if row as i64 % 2 == 0 { 0.0 } else { 0.5 };
            let col = x / brick + shift;
            let (fu, fv) = (col - col.floor(), y / (brick * 0.55) - row);
            let joint = smooth(0.0, 0.07, fu.min(1.0 - fu)) * smooth(0.0, 0.12, fv.min(1.0 - fv));
            let n = (hash(col.max(0.0) as u32, row.max(0.0) as u32, seed) & 0xff) as f32 / 255.0;
            let stone = scale(tone, (0.72 + 0.28 * joint) * (0.9 + 0.2 * n));
            let edge = (1.0 - d / rim).clamp(0.0, 1.0);
            mix(p, screen(stone, scale(light, edge * 0.3 * (1.0 - 0.4 * t))), (d + 1.0).clamp(0.0, 1.0))
        });
    }
    let tone = mix(stage.palette.far, near, 0.5);
    let first = floor.max(0.0) as usize;
    for y in first.min(stage.canvas.h)..stage.canvas.h {
        let t = (y as f32 - floor) / (h - floor).max(1.0);
        let deep = 0.12 + t;
        let seam = 0.6 / deep;
        let row_line = seam - seam.floor();
        let rows = smooth(0.0, 0.05, row_line.min(1.0 - row_line));
        for (x, p) in stage.canvas.row(y).iter_mut().enumerate() {
            let u = (x as f32 - cx) / (unit * 0.17 * deep);
            let f = u - u.floor();
            let joint = smooth(0.0, 0.05, f.min(1.0 - f)) * rows;
            let shine = (1.0 - (x as f32 - cx).abs() / (unit * 0.6)).max(0.0) * (1.0 - t);
            let c = scale(mix(tone, near, t * 0.6), 0.72 + 0.28 * joint);
            *p = screen(c, scale(back, shine * 0.32));
        }
    }
    banners(stage, cx, [0.62, 0.3], floor - unit * 0.66);
    for side in [-1.0, 1.0] {
        let (x, y) = (cx + side * unit * 0.44, floor - unit * 0.36);
        if x > 0.0 && x < w && !stage.layout.covered(x, y, unit * 0.12) && stage.allowed(&["torch", "fire"]) {
            torch(stage, x, y);
        }
    }
    plinth(stage);
}

/// Long flags at both sides of the middle.
fn banners(stage: &mut Stage, cx: f32, at: [f32; 2], top: f32) {
    if !stage.allowed(&["banner", "flag"]) {
        return;
    }
    let unit = stage.unit();
    let top = top.max(unit * 0.02);
    let cloth = stage.palette.banner;
    let trim = mix(stage.palette.accent, cloth, 0.25);
    for away in at {
        for side in [-1.0, 1.0] {
            let (x, half, long) = (cx + side * away * unit, unit * 0.055, unit * 0.3);
            if stage.layout.taken(x - half, top, x + half, top + long, unit * 0.02) {
                continue;
            }
            for (k, tone) in [(1.12, trim), (1.0, cloth)] {
                let mut flag = Path::default();
                let (w, low) = (half * k, top + long * (0.98 + 0.02 * k));
                flag.polygon(&[
                    [x - w, top],
                    [x + w, top],
                    [x + w, low - half * 0.9],
                    [x, low],
                    [x - w, low - half * 0.9],
                ]);
                let shape = flag.cover(stage.canvas.w, stage.canvas.h, 1);
                stage.canvas.fill(&shape, |px, py| {
                    // Folds: bands of shade that widen downward.
                    let u = (px - x) / half * 2.6;
                    let fold = ((u - u.floor()) - 0.5).abs() * 2.0;
                    let deep = smooth(0.72, 1.0, fold) * (0.25 + 0.5 * (py - top) / long);
                    (scale(tone, 1.0 - 0.3 * deep), 1.0)
                });
            }
        }
    }
}

/// A flame in an iron bowl on the wall.
fn torch(stage: &mut Stage, x: f32, y: f32) {
    let unit = stage.unit();
    let warm = mix(stage.palette.accent, stage.palette.light, 0.2);
    stage.canvas.glow(x, y, unit * 0.34, stage.palette.accent, 0.55);
    let mut iron = Path::default();
    iron.polygon(&[
        [x - unit * 0.028, y],
        [x + unit * 0.028, y],
        [x + unit * 0.012, y + unit * 0.05],
        [x - unit * 0.012, y + unit * 0.05],
    ]);
    iron.stroke([x, y + unit * 0.04], [x, y + unit * 0.12], unit * 0.012, unit * 0.008);
    let shape = iron.cover(stage.canvas.w, stage.canvas.h, 1);
    let dark = scale(stage.palette.near, 0.7);
    stage.canvas.fill(&shape, |_, _| (dark, 1.0));
    for (k, tone) in [(1.0, stage.palette.accent), (0.6, mix(warm, [1.0, 1.0, 0.85, 0.0], 0.6))] {
        let mut flame = Path::default();
        let s = unit * 0.05 * k;
        let mut points = vec![[x - s * 0.5, y]];
        cubic(&mut points, [x - s * 0.9, y - s * 0.9], [x - s * 0.1, y - s * 1.0], [x + s * 0.1, y - s * 2.0]);
        cubic(&mut points, [x + s * 0.3, y - s * 1.2], [x + s * 0.9, y - s * 0.8], [x + s * 0.5, y]);
        flame.polygon(&points);
        let shape = flame.cover(stage.canvas.w, stage.canvas.h, 1);
        stage.canvas.fill(&shape, |_, _| (tone, 0.95));
    }
}

/// A stone to set a precious thing on.
pub(super) fn plinth(stage: &mut Stage) {
    let (Some(s), Some(Stance::Item | Stance::Bust)) = (stage.subject, stage.stance) else {
        return;
    };
    let unit = stage.unit();
    let top = s.y + s.r * 1.06;
    if top > stage.h() - unit * 0.03 {
        return;
    }
    let half = s.r * 0.72;
    let flat = half * 0.2;
    let low = (top + unit * 0.15).min(stage.h() + unit * 0.1);
    let from = if stage.light[0] < s.x { -1.0 } else { 1.0 };
    let stone = mix(mix(stage.palette.far, [0.6, 0.58, 0.6, 0.0], 0.25), stage.palette.near, 0.35);
    let near = stage.palette.near;
    stage.canvas.shadow(s.x, low, half * 1.5, flat * 1.3, near, 0.6);
    for (y0, y1, k) in [(top + (low - top) * 0.55, low, 1.22), (top, top + (low - top) * 0.6, 1.0)] {
        let mut drum = Path::default();
        drum.ellipse(s.x, y1, half * k, flat * k);
        drum.rect(s.x - half * k, y0, half * k * 2.0, y1 - y0);
        let shape = drum.cover(stage.canvas.w, stage.canvas.h, 1);
        stage.canvas.fill(&shape, |x, y| {
            let u = (x - s.x) / (half * k);
            let lit = 0.62 + 0.36 * u * from - 0.25 * u * u;
            (scale(stone, lit.max(0.3) * (1.05 - 0.35 * (y - y0) / (y1 - y0).max(1.0))), 1.0)
        });
        let mut lid = Path::default();
        lid.ellipse(s.x, y0, half * k, flat * k);
        let shape = lid.cover(stage.canvas.w, stage.canvas.h, 1);
        let bright = mix(stone, stage.palette.light, 0.35);
        let glow = stage.palette.accent;
        stage.canvas.fill(&shape, |x, y| {
            let (u, v) = ((x - s.x) / (half * k), (y - y0) / (flat * k));
            let d = u * u + v * v;
            (mix(mix(bright, glow, 0.3 * (1.0 - d).max(0.0)), stone, smooth(0.2, 1.0, d) * 0.5), 1.0)
        });
    }
    stage.canvas.shadow(s.x, top, half * 0.6, flat * 0.55, near, 0.55);
}

pub(super) fn vault(stage: &mut Stage) {
    let (unit, w, h) = (stage.unit(), stage.w(), stage.h());
    let mut rng = stage.rng("vault");
    let cx = stage.subject.map_or(w * 0.5, |s| s.x);
    stage.light = [cx + unit * 0.3, h * 0.1];
    let (deep, near) = (stage.palette.sky[1], stage.palette.near);
    let warm = stage.palette.accent;
    let cy = stage.footing() - unit * 0.3;
    stage.canvas.shade(|x, y, _| {
        let (u, v) = ((x - cx) / unit, (y - cy) / unit);
        mix(mix(deep, warm, 0.28), mix(near, deep, 0.3), smooth(0.0, 0.62, (u * u + v * v).sqrt()))
    });
    let tone = mix(stage.palette.far, near, 0.45);
    let mut columns = Path::default();
    let mut x = cx - (cx / (unit * 0.34)).ceil() * unit * 0.34 + unit * 0.17;
    while x < w {
        columns.rect(x - unit * 0.05, 0.0, unit * 0.1, h);
        columns.rect(x - unit * 0.07, 0.0, unit * 0.14, unit * 0.05);
        x += unit * 0.34;
    }
    let shape = columns.cover(stage.canvas.w, stage.canvas.h, 1);
    let pitch = unit * 0.34;
    stage.canvas.fill(&shape, |px, _| {
        let u = ((px - cx) / pitch - 0.5) - ((px - cx) / pitch - 0.5).round();
        let flute = 0.86 + 0.28 * (1.0 - (u * 7.0).abs()).max(0.0);
        (mix(scale(tone, flute), near, ((px - cx).abs() / unit * 0.6).min(0.5)), 0.85)
    });
    let top = stage.footing() - unit * 0.8;
    banners(stage, cx, [0.34, 0.68], top);
    sky::rays(stage, [cx, -unit * 0.2], stage.palette.light, 0.25, None, 1.4);
    let foot = stage.footing();
    for (i, k) in [(0usize, 0.0f32), (1, 0.6), (2, 1.0)] {
        let base = foot + unit * (0.02 + 0.07 * i as f32);
        let heap = land::ridge(stage, ["g1", "g2", "g3"][i], Form::Hills, base, unit * 0.14, 2.2);
        coins(stage, &mut rng, &heap, 0.55 + 0.45 * k, h);
    }
}

/// A heap of gold: discs tipped at chance, lit on their upper edge.
fn coins(stage: &mut Stage, rng: &mut Rng, heap: &[f32], bright: f32, low: f32) {
    let unit = stage.unit();
    let gold = mix(stage.palette.accent, [0.98, 0.76, 0.24, 0.0], 0.6);
    let dark = mix(scale(gold, 0.35), stage.palette.near, 0.3);
    land::paint(stage, heap, &cloth(scale(gold, bright * 0.8), scale(dark, bright), unit * 0.2, 0.2, 0.5));
    let n = ((200.0 * stage.w() / unit) as usize).min(1200);
    let mut faces = Path::default();
    let mut edges = Path::default();
    for _ in 0..n {
        let x = rng.range(0.0, stage.w());
        let at = (x as usize).min(heap.len().saturating_sub(1));
        let y = heap[at] + (low - heap[at]).min(unit * 0.2) * rng.unit() * rng.unit() + unit * 0.004;
        if stage.layout.covered(x, y, unit * 0.02) {
            continue;
        }
        let r = unit * rng.range(0.012, 0.019);
        let tip = rng.range(0.25, 0.75);
        edges.ellipse(x, y + r * 0.22, r, r * tip);
        faces.ellipse(x, y, r, r * tip);
    }
    let shape = edges.cover(stage.canvas.w, stage.canvas.h, 1);
    stage.canvas.fill(&shape, |_, _| (scale(dark, bright * 1.2), 0.9));
    let shape = faces.cover(stage.canvas.w, stage.canvas.h, 1);
    let seed = stage.texture("coins");
    let shine = mix(gold, [1.0, 0.98, 0.8, 0.0], 0.45);
    stage.canvas.fill(&shape, |x, y| {
        let n = value(x * 70.0 / unit, y * 70.0 / unit, seed);
        (scale(mix(scale(gold, 0.8), shine, smooth(0.4, 0.85, n)), bright), 0.95)
    });
}
