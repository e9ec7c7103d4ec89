//! Places beyond the everyday: fire, a cavern, a neon grid, a graveyard.

use super::cloth;
use crate::scene::canvas::{mix, scale, screen, smooth};
use crate::scene::flora;
use crate::scene::land::{self, Form};
use crate::scene::noise::{Rng, fbm, value};
use crate::scene::raster::Path;
use crate::scene::sky;
use crate::scene::stage::Stage;
use crate::scene::tint::shift;

pub(super) fn volcano(stage: &mut Stage) {
    let (unit, w, h) = (stage.unit(), stage.w(), stage.h());
    let mut rng = stage.rng("volcano");
    let horizon = stage.layout.horizon;
    let foot = stage.footing();
    let x = w * if rng.chance(0.5) { rng.range(0.24, 0.38) } else { rng.range(0.62, 0.76) };
    let top = [0.36, 0.28, 0.2, 0.12]
        .into_iter()
        .map(|k| horizon - unit * k)
        .find(|t| !stage.layout.taken(x - unit * 0.2, t - unit * 0.1, x + unit * 0.2, *t, 0.0))
        .unwrap_or(horizon - unit * 0.06);
    stage.light = [x, top];
    sky::gradient(stage, horizon * 1.1, 0.35);
    sky::clouds(stage, 1.1, horizon);
    let (hot, light) = (stage.palette.accent, stage.palette.light);
    stage.canvas.glow(x, top, unit * 0.62, stage.palette.sky[2], 0.75);
    let haze = stage.palette.sky[2];
    let far = land::ridge(stage, "far", Form::Peaks, horizon + unit * 0.02, unit * 0.17, 2.4);
    land::paint(stage, &far, &cloth(stage.land(0.12), mix(stage.land(0.1), haze, 0.3), unit * 0.2, 0.4, 0.2));
    let seed = stage.texture("cone");
    let cone: Vec<f32> = (0..stage.canvas.w)
        .map(|px| {
            let d = ((px as f32 - x) / unit).abs();
            let crater = unit * 0.055;
            let slope = (d - crater / unit).max(0.0);
            let n = (fbm(px as f32 * 14.0 / unit, 0.0, 3, seed) - 0.5) * unit * 0.03;
            (top + slope * unit * (0.62 + 0.5 * slope) + n).min(horizon + unit * 0.2)
        })
        .collect();
    land::paint(stage, &cone, &cloth(stage.land(0.45), mix(stage.land(0.3), haze, 0.25), unit * 0.4, 0.25, 0.45));
    // Lava runs down in threads that widen with chance.
    for i in 0..4 {
        let mut path = Path::default();
        let mut last = [x + unit * (0.03 * i as f32 - 0.045), top + unit * 0.01];
        for step in 1..=12 {
            let t = step as f32 / 12.0;
            let next = [
                last[0] + unit * rng.range(-0.012, 0.012) + unit * 0.007 * (i as f32 - 1.5),
                top + (horizon + unit * 0.1 - top) * t,
            ];
            let wide = unit * 0.012 * (1.0 - 0.5 * t) * rng.range(0.7, 1.4);
            path.stroke(last, next, wide, wide * 0.9);
            last = next;
        }
        let shape = path.cover(stage.canvas.w, stage.canvas.h, 1);
        stage.canvas.fill(&shape, |_, y| (mix(light, hot, ((y - top) / unit * 3.0).min(1.0)), 0.92));
    }
    stage.canvas.glow(x, top, unit * 0.16, light, 0.9);
    land::mist(stage, horizon + unit * 0.08, unit * 0.1, mix(haze, stage.palette.far, 0.4), 0.5);
    for (i, t) in [0.6f32, 0.8].into_iter().enumerate() {
        let rock =
            land::ridge(stage, ["r1", "r2"][i], Form::Peaks, foot + unit * (0.03 + 0.09 * i as f32), unit * 0.12, 3.0);
        let rock: Vec<f32> = rock.iter().map(|y| y.max(foot - unit * 0.02 * (1.0 - i as f32))).collect();
        land::paint(stage, &rock, &cloth(stage.land(t), stage.land(t + 0.15), unit * 0.2, 0.5, 0.4));
        if i == 0 {
            let y0 = foot + unit * 0.05;
            let seed = stage.texture("cracks");
            stage.canvas.shade_box([0.0, y0, w, h - y0], |px, py, p| {
                let t = ((py - y0) / (h - y0)).clamp(0.0, 1.0);
                let k = 7.0 / unit / (0.5 + t);
                let n = (value(px * k + 2.0 * value(px * k, py * k * 2.0, seed), py * k * 2.4, seed) - 0.5).abs();
                let crack = smooth(0.055, 0.0, n) * smooth(0.0, 0.2, t);
                screen(p, scale(hot, crack * 0.85))
            });
        }
    }
}

pub(super) fn cavern(stage: &mut Stage) {
    let (unit, w, h) = (stage.unit(), stage.w(), stage.h());
    let mut rng = stage.rng("cavern");
    let foot = stage.footing();
    let cx = stage.subject.map_or(w * 0.5, |s| s.x);
    let cy = stage.subject.map_or(h * 0.55, |s| s.y);
    stage.light = [cx, cy - unit * 0.6];
    let (glow, deep, near) = (stage.palette.sky[2], stage.palette.sky[1], stage.palette.near);
    stage.canvas.shade(|x, y, _| {
        let (u, v) = ((x - cx) / unit, (y - cy) / unit);
        let d = (u * u + v * v).sqrt();
        mix(mix(glow, deep, smooth(0.0, 0.4, d)), near, smooth(0.3, 1.0, d))
    });
    let (from, light) = (stage.light, mix(stage.palette.light, stage.palette.accent, 0.3));
    sky::rays(stage, from, light, 0.26, None, 1.5);
    // Rock closes in from above and below in three depths.
    for (i, t) in [0.35f32, 0.6, 0.85].into_iter().enumerate() {
        let seed = stage.texture(["s1", "s2", "s3"][i]);
        let tone = mix(mix(stage.palette.far, glow, 0.15), near, t);
        let reach = unit * [0.2, 0.15, 0.1][i];
        let arch: Vec<f32> = (0..stage.canvas.w)
            .map(|px| {
                let u = (px as f32 - cx) / unit;
                let spikes = 1.0 - (2.0 * value(px as f32 * (9.0 - 2.0 * i as f32) / unit, 0.5, seed) - 1.0).abs();
                let n = fbm(px as f32 * 4.0 / unit, 1.5, 3, seed);
                reach * (0.25 + 0.8 * n + spikes * spikes * spikes * 0.9) + unit * (0.5 - 0.12 * i as f32) * u * u
                    - unit * 0.04 * i as f32
            })
            .collect();
        let edge = mix(tone, light, 0.16 * (1.0 - t));
        for y in 0..stage.canvas.h {
            let fy = y as f32 + 0.5;
            for (x, p) in stage.canvas.row(y).iter_mut().enumerate() {
                let d = arch[x] - fy;
                let cover = (d + 0.5).clamp(0.0, 1.0);
                if cover > 0.0 {
                    *p = mix(*p, mix(edge, tone, (d / (unit * 0.05)).min(1.0)), cover);
                }
            }
        }
        let floor = land::ridge(
            stage,
            ["f1", "f2", "f3"][i],
            Form::Peaks,
            foot + unit * (0.02 + 0.06 * i as f32),
            unit * 0.14,
            3.0,
        );
        let floor: Vec<f32> = floor.iter().map(|y| if i < 2 { *y } else { y.max(foot) }).collect();
        crystals(stage, &mut rng, &floor, t, unit * [0.13, 0.19, 0.12][i], [7, 6, 4][i]);
        land::paint(stage, &floor, &cloth(mix(tone, light, 0.1), tone, unit * 0.14, 0.0, 0.3));
    }
    super::hall::plinth(stage);
}

fn crystals(stage: &mut Stage, rng: &mut Rng, floor: &[f32], t: f32, tall: f32, count: usize) {
    if !stage.allowed(&["crystal", "gem"]) {
        return;
    }
    let tones = [stage.palette.accent, shift(stage.palette.accent, -0.05, 1.0, 70.0), stage.palette.sky[2]];
    for _ in 0..((count as f32 * stage.w() / stage.unit()) as usize).min(60) {
        let x = rng.range(0.0, stage.w());
        if stage.subject.is_some_and(|s| (x - s.x).abs() < s.r * 0.95) {
            continue;
        }
        let at = (x as usize).min(floor.len().saturating_sub(1));
        let tone = tones[rng.below(3)];
        let (mut lit, mut dark) = (Path::default(), Path::default());
        let size = tall * rng.range(0.6, 1.2);
        if stage.layout.taken(x - size, floor[at] - size, x + size, floor[at], 0.0) {
            continue;
        }
        for _ in 0..3 {
            let lean = rng.range(-0.55, 0.55);
            let k = 1.0 / (1.0 + lean * lean).sqrt();
            let s = size * rng.range(0.5, 1.0);
            flora::crystal(
                &mut lit,
                &mut dark,
                [x + lean * size * 0.2, floor[at] + size * 0.12],
                [lean * k, -k],
                s,
                s * 0.26,
            );
        }
        let (cw, ch) = (stage.canvas.w, stage.canvas.h);
        stage.canvas.glow(x, floor[at] - size * 0.4, size * 1.3, tone, 0.3);
        let (a, b) = (lit.cover(cw, ch, 1), dark.cover(cw, ch, 1));
        let y0 = floor[at];
        let shade = mix(scale(tone, 0.42), stage.palette.near, 0.25 * t);
        stage.canvas.fill(&b, |_, y| (mix(shade, scale(tone, 0.8), ((y0 - y) / size).clamp(0.0, 1.0)), 0.95));
        stage.canvas.fill(&a, |_, y| {
            (mix(scale(tone, 0.7), mix(tone, [1.0; 4], 0.45), ((y0 - y) / size).clamp(0.0, 1.0)), 0.95)
        });
    }
}

pub(super) fn grid(stage: &mut Stage) {
    let (unit, w, h) = (stage.unit(), stage.w(), stage.h());
    let line = stage.layout.horizon;
    let mut rng = stage.rng("grid");
    let cx = w * 0.5;
    let spot = sky::luminary(stage, [0.5, line / h - 0.1], 0.19);
    sky::gradient(stage, line, 0.4);
    sky::stars(stage, 160.0, line);
    if let Some(s) = spot {
        let (top, low) = (mix(stage.palette.light, stage.palette.accent, 0.15), stage.palette.sky[2]);
        let hot = mix(stage.palette.sky[2], stage.palette.paint, 0.2);
        stage.canvas.glow(s.x, s.y, s.r * 2.1, stage.palette.sky[2], 0.5);
        stage.canvas.disc(s.x, s.y, s.r, 1.5, |_, v| {
            let t = v * 0.5 + 0.5;
            // Bands open toward the sun's foot.
            let bar = v * 7.0;
            let gap = if v > -0.05 && bar - bar.floor() < 0.10 + 0.42 * t * t { 0.0 } else { 1.0 };
            (mix(mix([1.0, 0.9, 0.45, 0.0], top, 0.35), mix(low, hot, 0.5), smooth(0.0, 0.85, t)), gap)
        });
    }
    let peaks = land::ridge(stage, "peaks", Form::Peaks, line + unit * 0.02, unit * 0.2, 3.0);
    let valley: Vec<f32> = peaks
        .iter()
        .enumerate()
        .map(|(x, y)| line - (line - y) * smooth(0.05, 0.42, ((x as f32 - cx) / w).abs()))
        .collect();
    let neon = stage.palette.accent;
    land::paint(
        stage,
        &valley,
        &cloth(
            mix(stage.palette.far, neon, 0.25),
            mix(stage.palette.near, stage.palette.far, 0.4),
            unit * 0.12,
            0.6,
            0.25,
        ),
    );
    let near = stage.palette.near;
    let first = (line.max(0.0) as usize).min(stage.canvas.h);
    let glow = mix(stage.palette.sky[2], neon, 0.25);
    let phase = rng.unit();
    for y in first..stage.canvas.h {
        let t = ((y as f32 + 0.5 - line) / (h - line).max(1.0)).max(1e-3);
        let depth = 0.55 / t + phase;
        let f = depth - depth.floor();
        // One pixel spans this much depth; lines fade where they would crowd.
        let span = 0.55 / (t * t) / (h - line).max(1.0);
        let across = (1.0 - (f.min(1.0 - f) / (span * 0.9 + 0.012))).max(0.0) * smooth(0.0, 0.25, 1.0 - span * 1.4);
        let k = unit * 0.26 * t;
        for (x, p) in stage.canvas.row(y).iter_mut().enumerate() {
            let u = (x as f32 + 0.5 - cx) / k.max(0.5);
            let g = u - u.floor();
            let along =
                (1.0 - g.min(1.0 - g) * k / (unit * 0.0035 * (0.4 + t)).max(0.7)).max(0.0) * smooth(0.02, 0.12, t);
            let base = mix(mix(near, stage.palette.sky[1], 0.35), near, t);
            let c = screen(base, scale(glow, 0.5 * smooth(0.35, 0.0, t)));
            *p = screen(c, scale(neon, across.max(along) * (0.35 + 0.5 * t)));
        }
    }
    stage.canvas.shade_box([0.0, line - unit * 0.02, w, unit * 0.04], |_, y, p| {
        let d = ((y - line) / (unit * 0.016)).abs();
        screen(p, scale(neon, (1.0 - d).max(0.0) * 0.7))
    });
    if stage.subject.is_some() {
        super::backdrop::ring_of_light(stage);
    }
}

pub(super) fn haunted(stage: &mut Stage) {
    let (unit, w, h) = (stage.unit(), stage.w(), stage.h());
    let mut rng = stage.rng("haunted");
    let horizon = stage.layout.horizon;
    let side = if rng.chance(0.5) { 1.0 } else { -1.0 };
    stage.palette.night = true;
    let moon = sky::luminary(stage, [0.5 + side * rng.range(0.12, 0.3), horizon / h - 0.24], 0.14);
    sky::gradient(stage, horizon * 1.08, 0.6);
    sky::stars(stage, 60.0, horizon * 0.8);
    if let Some(moon) = moon {
        sky::luminary_disc(stage, moon);
    }
    sky::clouds(stage, 1.0, horizon);
    let foot = stage.footing();
    let haze = mix(stage.palette.sky[2], stage.palette.far, 0.35);
    let hills = land::ridge(stage, "hills", Form::Hills, horizon + unit * 0.04, unit * 0.16, 2.0);
    land::paint(stage, &hills, &cloth(stage.land(0.2), mix(stage.land(0.2), haze, 0.4), unit * 0.15, 0.35, 0.15));
    land::mist(stage, horizon + unit * 0.06, unit * 0.09, haze, 0.6);
    let ground = land::ridge(stage, "ground", Form::Hills, foot + unit * 0.03, unit * 0.09, 1.4);
    let mut path = Path::default();
    for i in 0..3 {
        let x = w * [0.08, 0.93, 0.7][i] + unit * rng.range(-0.03, 0.03);
        let tall = unit * [0.2, 0.23, 0.1][i];
        let at = (x.clamp(0.0, w - 1.0)) as usize;
        let up = tall * 2.2;
        if !stage.layout.taken(x - up * 0.4, ground[at] - up, x + up * 0.4, ground[at], 0.0)
            && stage.allowed(&["tree", "trees"])
        {
            let lean = rng.range(-0.15, 0.15);
            flora::bare(&mut path, &mut rng, [x, ground[at] + unit * 0.03], [lean, -1.0], tall, tall * 0.16, 5);
        }
    }
    for _ in 0..((9.0 * w / unit) as usize).min(60) {
        let x = rng.range(0.02, 0.98) * w;
        if stage.subject.is_some_and(|s| (x - s.x).abs() < s.r) {
            continue;
        }
        let y = ground[(x as usize).min(ground.len() - 1)] + unit * 0.012;
        let s = unit * rng.range(0.022, 0.042);
        if rng.chance(0.3) {
            path.rect(x - s * 0.2, y - s * 2.2, s * 0.4, s * 2.2);
            path.rect(x - s * 0.7, y - s * 1.7, s * 1.4, s * 0.4);
        } else {
            path.rect(x - s * 0.6, y - s * 1.2, s * 1.2, s * 1.2);
            path.ellipse(x, y - s * 1.2, s * 0.6, s * 0.55);
        }
    }
    let shape = path.cover(stage.canvas.w, stage.canvas.h, 1);
    let (ink, pale) = (stage.land(0.82), mix(stage.land(0.6), haze, 0.3));
    stage.canvas.fill(&shape, |_, y| (mix(ink, pale, smooth(foot - unit * 0.1, foot + unit * 0.05, y) * 0.6), 1.0));
    land::paint(stage, &ground, &cloth(stage.land(0.7), stage.land(0.97), unit * 0.2, 0.3, 0.2));
    land::grass(stage, &ground, stage.land(0.86), unit * 0.04);
    land::mist(stage, foot + unit * 0.06, unit * 0.1, haze, 0.4);
}
