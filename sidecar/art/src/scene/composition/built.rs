//! Places that people built: city, castle, dungeon, vault, arena, a table in a studio.

use super::cloth;
use crate::scene::canvas::{Colour, mix, scale, screen, smooth, stops};
use crate::scene::land::{self, Form};
use crate::scene::noise::{Rng, hash, value};
use crate::scene::raster::Path;
use crate::scene::sky;
use crate::scene::stage::Stage;

pub(super) fn city(stage: &mut Stage) {
    let (unit, h) = (stage.unit(), stage.h());
    let mut rng = stage.rng("city");
    let horizon = stage.layout.horizon;
    let side = if rng.chance(0.5) { 1.0 } else { -1.0 };
    let sun = sky::luminary(stage, [0.5 + side * rng.range(0.05, 0.25), horizon / h - rng.range(0.12, 0.2)], 0.11);
    sky::gradient(stage, horizon * 1.05, 0.6);
    if stage.palette.night {
        sky::stars(stage, 100.0, horizon * 0.8);
    }
    if let Some(sun) = sun {
        sky::luminary_disc(stage, sun);
    }
    sky::clouds(stage, 0.55, horizon);
    let foot = stage.footing();
    let haze = stage.palette.sky[2];
    for (i, t) in [0.12f32, 0.36, 0.62].into_iter().enumerate() {
        let base = horizon + (foot - horizon) * (0.2 + 0.4 * i as f32);
        let tall = stage.layout.rise([0.3, 0.26, 0.2][i]);
        let tone = mix(stage.land(t), haze, 0.12 * (1.0 - t));
        blocks(stage, &mut rng, base, tall, tone, t);
        land::mist(stage, base, unit * 0.12, mix(haze, tone, 0.35), 0.42 - 0.12 * i as f32);
    }
    street(stage, foot - unit * 0.02);
    land::mist(stage, foot - unit * 0.02, unit * 0.05, haze, 0.3);
}

/// A row of towers with lit windows.
fn blocks(stage: &mut Stage, rng: &mut Rng, base: f32, tall: f32, tone: Colour, t: f32) {
    let (unit, w, h) = (stage.unit(), stage.w(), stage.h());
    let mut x = -unit * rng.range(0.0, 0.06);
    let cell = unit * (0.010 + 0.006 * t);
    let seed = stage.texture("windows") ^ (t * 100.0) as u32;
    let lit = [
        stage.palette.accent,
        mix(stage.palette.light, stage.palette.sky[2], 0.3),
        mix(stage.palette.paint, [1.0; 4], 0.3),
    ];
    while x < w {
        let wide = unit * rng.range(0.05, 0.1) * (0.8 + 0.5 * t);
        let top = base - tall * rng.range(0.45, 1.25);
        let mut path = Path::default();
        path.rect(x, top, wide, h - top);
        match rng.below(5) {
            0 => path.rect(x + wide * 0.2, top - wide * 0.25, wide * 0.6, wide * 0.3),
            1 => path.stroke([x + wide * 0.5, top], [x + wide * 0.5, top - wide * 0.9], unit * 0.005, unit * 0.002),
            2 => path.polygon(&[[x, top], [x + wide, top], [x + wide, top - wide * 0.4]]),
            3 => path.polygon(&[[x + wide * 0.15, top], [x + wide * 0.5, top - wide * 0.55], [x + wide * 0.85, top]]),
            _ => {}
        }
        let shape = path.cover(stage.canvas.w, stage.canvas.h, 1);
        let (bx, lights) = (x, rng.range(0.12, 0.34));
        let low = mix(tone, stage.palette.sky[2], 0.2);
        let dark = scale(tone, 0.82);
        let colour = lit[rng.below(3)];
        stage.canvas.fill(&shape, |px, py| {
            let wall = mix(
                mix(tone, dark, smooth(0.3, 0.32, (px - bx) / wide - 0.3)),
                low,
                ((py - base + tall * 0.4) / tall).clamp(0.0, 0.7),
            );
            let (u, v) = ((px - bx) / cell, (py - top) / (cell * 1.5));
            let (fu, fv) = (u - u.floor(), v - v.floor());
            let room = hash(u.max(0.0) as u32, v.max(0.0) as u32, seed ^ bx.to_bits());
            let on = (room & 0xff) as f32 / 255.0 < lights && v > 1.0 && px - bx > cell && bx + wide - px > cell;
            if on && (0.25..0.8).contains(&fu) && (0.25..0.75).contains(&fv) {
                let k = 0.45 + 0.55 * ((room >> 8) & 0xff) as f32 / 255.0;
                (mix(wall, if room >> 30 == 0 { lit[1] } else { colour }, k * (0.35 + 0.6 * t)), 1.0)
            } else {
                (wall, 1.0)
            }
        });
        x += wide + unit * rng.range(0.0, 0.018);
    }
}

/// A wet street that mirrors the lights above it.
fn street(stage: &mut Stage, top: f32) {
    let (w, h, unit) = (stage.canvas.w, stage.canvas.h, stage.unit());
    let near = stage.palette.near;
    let seed = stage.texture("street");
    let first = (top.max(1.0) as usize).min(h);
    for y in first..h {
        let t = (y - first) as f32 / (h - first).max(1) as f32;
        let mirror = first.saturating_sub(1 + ((y - first) as f32 * 0.9) as usize);
        for x in 0..w {
            let ripple = (value(x as f32 * 20.0 / unit, y as f32 * 90.0 / unit, seed) - 0.5) * unit * 0.02;
            let sx = (x as f32 + ripple).clamp(0.0, w as f32 - 1.0) as usize;
            let image = stage.canvas.px[mirror * w + sx];
            stage.canvas.px[y * w + x] = mix(mix(near, image, 0.5), near, 0.25 + 0.6 * t);
        }
    }
}

pub(super) fn castle(stage: &mut Stage) {
    let (unit, w, h) = (stage.unit(), stage.w(), stage.h());
    let mut rng = stage.rng("castle");
    let horizon = stage.layout.horizon;
    let side = if rng.chance(0.5) { 1.0 } else { -1.0 };
    // The castle stands beside the subject, its sun behind it.
    let cx = stage.subject.map_or(0.5, |s| {
        if s.x > w * 0.55 {
            0.24
        } else if s.x < w * 0.45 {
            0.76
        } else {
            0.5 + side * 0.28
        }
    });
    let sun = sky::luminary(stage, [cx - side * 0.05, horizon / h - 0.2], 0.12);
    sky::gradient(stage, horizon * 1.05, 0.65);
    if stage.palette.night {
        sky::stars(stage, 120.0, horizon);
    }
    if let Some(sun) = sun {
        sky::luminary_disc(stage, sun);
    }
    sky::clouds(stage, 0.75, horizon);
    let haze = stage.palette.sky[2];
    let foot = stage.footing();
    for (i, t) in [0.06f32, 0.24].into_iter().enumerate() {
        let rise = unit * [0.22, 0.18][i];
        let peaks =
            land::ridge(stage, ["c1", "c2"][i], Form::Peaks, horizon + unit * 0.05 * i as f32, rise, [2.0, 2.7][i]);
        let tone = stage.land(t);
        land::paint(stage, &peaks, &cloth(tone, mix(tone, haze, 0.35), rise, 0.35, 0.2));
        land::mist(stage, horizon + unit * 0.05 * i as f32, unit * 0.08, haze, 0.35);
    }
    let hill: Vec<f32> = (0..stage.canvas.w)
        .map(|x| {
            let d = (x as f32 / w - cx) * w / unit;
            horizon + unit * 0.1 - unit * 0.16 * (1.0 - d * d * 5.0).max(0.0)
                + unit * 0.05 * value(x as f32 * 5.0 / unit, 0.3, 11)
        })
        .collect();
    let base = horizon - unit * 0.03;
    let tall = fitted_castle(stage, cx * w, base, unit * 0.42);
    let tone = stage.land(0.5);
    if tall > unit * 0.12 && stage.allowed(&["castle", "building"]) {
        towers(stage, cx * w, base, tall, tone);
    }
    land::paint(stage, &hill, &cloth(stage.land(0.52), stage.land(0.66), unit * 0.16, 0.3, 0.2));
    let front = land::ridge(stage, "front", Form::Hills, foot + unit * 0.05, unit * 0.08, 1.2);
    land::paint(stage, &front, &cloth(stage.land(0.72), stage.land(0.96), unit * 0.22, 0.25, 0.2));
    land::grass(stage, &front, stage.land(0.85), unit * 0.03);
}

/// The castle's height where text leaves it room.
fn fitted_castle(stage: &Stage, x: f32, base: f32, tall: f32) -> f32 {
    [1.0, 0.8, 0.6, 0.45]
        .into_iter()
        .map(|k| tall * k)
        .find(|t| !stage.layout.taken(x - t * 0.5, base - t * 1.05, x + t * 0.5, base, 0.0))
        .unwrap_or(0.0)
}

fn towers(stage: &mut Stage, x: f32, base: f32, tall: f32, tone: Colour) {
    let mut path = Path::default();
    let mut roofs = Path::default();
    let s = tall;
    path.rect(x - 0.42 * s, base - 0.26 * s, 0.84 * s, 0.36 * s);
    for i in 0..14 {
        path.rect(x - 0.42 * s + i as f32 * 0.0615 * s, base - 0.295 * s, 0.034 * s, 0.04 * s);
    }
    for (dx, wide, high) in
        [(-0.42, 0.11, 0.42), (0.42, 0.11, 0.42), (-0.2, 0.12, 0.58), (0.2, 0.12, 0.54), (0.0, 0.19, 0.72)]
    {
        let (tx, tw, th) = (x + dx * s, wide * s, high * s);
        path.rect(tx - tw / 2.0, base - th, tw, th + 0.1 * s);
        path.rect(tx - tw * 0.62, base - th, tw * 1.24, tw * 0.3);
        for i in 0..4 {
            path.rect(tx - tw * 0.62 + i as f32 * tw * 0.34, base - th - tw * 0.16, tw * 0.2, tw * 0.2);
        }
        roofs.polygon(&[
            [tx - tw * 0.56, base - th - tw * 0.05],
            [tx, base - th - tw * 1.55],
            [tx + tw * 0.56, base - th - tw * 0.05],
        ]);
        let pole = base - th - tw * 1.5;
        roofs.stroke([tx, pole], [tx, pole - tw * 0.55], 0.008 * s, 0.006 * s);
        roofs.polygon(&[[tx, pole - tw * 0.55], [tx + tw * 0.5, pole - tw * 0.4], [tx, pole - tw * 0.22]]);
    }
    let from = stage.light[0];
    let light = mix(tone, stage.palette.sky[2], 0.28);
    let edge = if from < x { -1.0 } else { 1.0 };
    let seed = stage.texture("stones");
    let (cw, ch) = (stage.canvas.w, stage.canvas.h);
    let shape = path.cover(cw, ch, 1);
    let mist = mix(tone, stage.palette.sky[2], 0.3);
    stage.canvas.fill(&shape, |px, py| {
        let n = value(px * 60.0 / s, py * 90.0 / s, seed) - 0.5;
        let lit = smooth(-0.6, 0.6, (px - x) / s * edge);
        (
            mix(scale(mix(tone, light, lit), 1.0 + 0.12 * n), mist, smooth(base - s * 0.2, base + s * 0.06, py) * 0.6),
            1.0,
        )
    });
    let shape = roofs.cover(cw, ch, 1);
    let roof = mix(stage.palette.paint, tone, 0.55);
    stage.canvas.fill(&shape, |px, _| {
        (mix(roof, mix(roof, stage.palette.light, 0.3), smooth(-0.5, 0.5, (px - x) / s * edge)), 1.0)
    });
    let mut windows = Path::default();
    for (dx, dy) in
        [(0.0, 0.6), (0.0, 0.45), (-0.2, 0.47), (0.2, 0.43), (-0.42, 0.33), (0.42, 0.33), (-0.1, 0.16), (0.1, 0.16)]
    {
        windows.rect(x + (dx - 0.011) * s, base - dy * s, 0.022 * s, 0.045 * s);
        windows.ellipse(x + dx * s, base - dy * s, 0.011 * s, 0.014 * s);
    }
    windows.rect(x - 0.04 * s, base - 0.08 * s, 0.08 * s, 0.18 * s);
    windows.ellipse(x, base - 0.08 * s, 0.04 * s, 0.05 * s);
    let shape = windows.cover(cw, ch, 1);
    let glow = mix(stage.palette.accent, stage.palette.light, 0.3);
    stage.canvas.fill(&shape, |_, _| (glow, 0.92));
}

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
        crate::scene::raster::cubic(
            &mut points,
            [x - s * 0.9, y - s * 0.9],
            [x - s * 0.1, y - s * 1.0],
            [x + s * 0.1, y - s * 2.0],
        );
        crate::scene::raster::cubic(
            &mut points,
            [x + s * 0.3, y - s * 1.2],
            [x + s * 0.9, y - s * 0.8],
            [x + s * 0.5, y],
        );
        flame.polygon(&points);
        let shape = flame.cover(stage.canvas.w, stage.canvas.h, 1);
        stage.canvas.fill(&shape, |_, _| (tone, 0.95));
    }
}

/// A stone to set a precious thing on.
pub(super) fn plinth(stage: &mut Stage) {
    use crate::scene::icons::Stance;
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

pub(super) fn arena(stage: &mut Stage) {
    let (unit, w, h) = (stage.unit(), stage.w(), stage.h());
    let mut rng = stage.rng("arena");
    let foot = stage.footing();
    let line = (foot - unit * 0.16).min(stage.layout.horizon);
    let cx = stage.subject.map_or(w * 0.5, |s| s.x);
    stage.light = [cx, -unit * 0.1];
    sky::gradient(stage, line * 1.1, 0.35);
    let stand = mix(stage.palette.far, stage.palette.near, 0.4);
    let seed = stage.texture("crowd");
    let cell = unit * 0.016;
    let tops = unit * 0.24;
    let (accent, light, paint, near) =
        (stage.palette.accent, stage.palette.light, stage.palette.paint, stage.palette.near);
    // Stands curve away; every seat is a speck of some colour.
    stage.canvas.shade_box([0.0, line - tops * 1.4, w, tops * 1.4], |x, y, p| {
        let u = (x - cx) / w;
        let rim = line - tops * (0.62 + 1.3 * u * u);
        if y < rim {
            return p;
        }
        let row = ((y - rim) / cell).floor();
        let person = hash((x / cell) as u32, row.max(0.0) as u32, seed);
        let (fu, fv) = (x / cell - (x / cell).floor() - 0.5, (y - rim) / cell - row - 0.5);
        let head = fu * fu + fv * fv < 0.12;
        let base = mix(stand, near, ((y - rim) / tops * 0.6).clamp(0.0, 0.8));
        if !head || row < 1.0 {
            return base;
        }
        let tone = [accent, light, paint, stand][(person & 3) as usize];
        mix(base, tone, 0.18 + 0.4 * ((person >> 8) & 0xff) as f32 / 255.0)
    });
    let field = if stage.asked(&["soccer", "football", "baseball", "golf", "rugby", "tennis", "goal"]) {
        mix([0.25, 0.58, 0.26, 0.0], stage.palette.near, 0.15)
    } else {
        mix(stage.palette.sky[1], stage.palette.far, 0.5)
    };
    let first = (line.max(0.0) as usize).min(stage.canvas.h);
    for y in first..stage.canvas.h {
        let t = (y as f32 - line) / (h - line).max(1.0);
        let deep = 0.3 + t;
        for (x, p) in stage.canvas.row(y).iter_mut().enumerate() {
            let u = (x as f32 - cx) / (unit * 0.3 * deep);
            let stripe = if (u + 100.0).floor() as i64 % 2 == 0 { 1.06 } else { 0.94 };
            let d = ((x as f32 - cx) / (unit * 0.62)).abs();
            let pool = (1.0 - d * d).max(0.0) * (1.0 - (t - 0.25).abs());
            *p = screen(scale(mix(field, near, 0.12 + 0.5 * t), stripe), scale(light, pool.max(0.0) * 0.16));
        }
    }
    land::mist(stage, line, unit * 0.06, mix(stage.palette.sky[2], light, 0.3), 0.4);
    for i in 0..4 {
        let x = w * (0.08 + 0.28 * i as f32) + rng.range(-0.02, 0.02) * w;
        let y = line - tops * 1.25 - unit * 0.06;
        if stage.layout.covered(x, y, unit * 0.05) {
            continue;
        }
        let aim = cx + (x - cx) * 0.15;
        let reach = unit * 0.16;
        stage.canvas.shade_box([x.min(aim) - reach, y, (x - aim).abs() + reach * 2.0, foot - y], |px, py, p| {
            let t = (py - y) / (foot - y).max(1.0);
            let mid = x + (aim - x) * t;
            let k = (1.0 - ((px - mid) / (reach * (0.12 + 0.88 * t))).abs()).max(0.0);
            screen(p, scale(light, k * 0.26 * (1.0 - t * 0.75)))
        });
        stage.canvas.glow(x, y, unit * 0.09, light, 0.95);
        stage.canvas.glow(x, y, unit * 0.03, [1.0, 1.0, 1.0, 0.0], 1.0);
    }
    plinth(stage);
}

pub(super) fn tabletop(stage: &mut Stage) {
    let (unit, w, h) = (stage.unit(), stage.w(), stage.h());
    let mut rng = stage.rng("table");
    let cx = stage.subject.map_or(w * 0.5, |s| s.x);
    let edge = stage.subject.map_or(h * 0.68, |s| (s.y + s.r * 0.5).min(h * 0.86));
    let side = if rng.chance(0.5) { 1.0 } else { -1.0 };
    stage.light = [cx + side * unit * 0.5, -unit * 0.1];
    let (wall, dark) =
        (mix(stage.palette.sky[1], stage.palette.sky[2], 0.35), mix(stage.palette.sky[0], stage.palette.near, 0.45));
    let plain = stage.palette.sky[1];
    let spot = [cx + side * unit * 0.1, edge - unit * 0.25];
    stage.canvas.shade(|x, y, _| {
        let (u, v) = ((x - spot[0]) / unit, (y - spot[1]) / unit);
        stops(wall, plain, dark, (u * u + v * v).sqrt() * 1.15)
    });
    // Lights out of focus on the far wall.
    for _ in 0..14 {
        let (x, y) = (rng.range(0.0, w), rng.range(0.05, 0.95) * edge);
        let r = unit * rng.range(0.02, 0.06);
        if stage.layout.taken(x - r, y - r, x + r, y + r, unit * 0.01) {
            continue;
        }
        let tone = if rng.chance(0.5) { stage.palette.accent } else { stage.palette.light };
        let k = rng.range(0.05, 0.16);
        stage.canvas.disc(x, y, r, r * 0.25, |u, v| (tone, k * (0.7 + 0.3 * smooth(0.5, 1.0, u * u + v * v))));
    }
    let wood = if stage.asked(&["marble", "stone", "glass"]) {
        mix(stage.palette.sky[2], [0.8, 0.8, 0.82, 0.0], 0.5)
    } else {
        mix([0.5, 0.31, 0.18, 0.0], stage.palette.far, 0.25)
    };
    let seed = stage.texture("wood");
    let light = stage.palette.light;
    let first = (edge.max(0.0) as usize).min(stage.canvas.h);
    for y in first..stage.canvas.h {
        let t = (y as f32 - edge) / (h - edge).max(1.0);
        let deep = 0.35 + t;
        let lip = smooth(unit * 0.012, 0.0, y as f32 - edge);
        for (x, p) in stage.canvas.row(y).iter_mut().enumerate() {
            let u = (x as f32 - cx) / (unit * 0.2 * deep);
            let plank = u.floor();
            let f = u - plank;
            let joint = smooth(0.0, 0.025, f.min(1.0 - f));
            let n = value(u * 5.0 + 3.0 * value(u * 1.5, 1.2 / deep, seed), 3.0 / deep + plank * 7.0, seed);
            let tone = hash((plank + 50.0).max(0.0) as u32, 1, seed) & 0xff;
            let grain = scale(wood, (0.78 + 0.26 * n + 0.12 * tone as f32 / 255.0) * (0.55 + 0.45 * joint));
            let (du, dv) = ((x as f32 - spot[0]) / (unit * 0.6), t - 0.25);
            let pool = (1.0 - du * du - dv * dv * 1.2).max(0.0);
            let c = scale(grain, 0.42 + 0.66 * pool);
            *p = mix(screen(c, scale(light, pool * pool * 0.14 + lip * 0.25)), *p, 0.0);
        }
    }
}
