//! Backdrops for one thing shown large, as shops and inventories have: rays, a badge, a spotlight.

use crate::scene::canvas::{mix, scale, screen, smooth, stops};
use crate::scene::noise::hash;
use crate::scene::raster::Path;
use crate::scene::sky;
use crate::scene::stage::Stage;

/// The middle of the backdrop: the subject, or a place clear of text.
fn centre(stage: &Stage) -> [f32; 2] {
    stage.subject.map_or([stage.w() * 0.5, stage.h() * 0.55], |s| [s.x, s.y])
}

/// A round glow from the brightest sky colour to the darkest.
fn pool(stage: &mut Stage, c: [f32; 2], reach: f32) {
    let unit = stage.unit();
    let [top, mid, low] = stage.palette.sky;
    let bright = mix(mid, low, 0.75);
    let dark = mix(top, stage.palette.near, 0.25);
    stage.canvas.shade(|x, y, _| {
        let (u, v) = ((x - c[0]) / unit, (y - c[1]) / unit);
        let d = (u * u + v * v).sqrt() / reach;
        stops(bright, mid, dark, d)
    });
}

pub(super) fn burst(stage: &mut Stage) {
    let c = centre(stage);
    stage.light = [c[0] - stage.unit() * 0.4, c[1] - stage.unit() * 0.6];
    pool(stage, c, 0.85);
    let mut rng = stage.rng("burst");
    let spokes = [10.0, 12.0, 14.0, 16.0][rng.below(4)];
    let tone = mix(stage.palette.light, stage.palette.sky[2], 0.35);
    sky::rays(stage, c, tone, 0.34, Some(spokes), 1.25);
    stage.canvas.glow(c[0], c[1], stage.unit() * 0.5, tone, 0.4);
    ring_of_light(stage);
    specks(stage, c);
}

pub(super) fn emblem(stage: &mut Stage) {
    let unit = stage.unit();
    let c = centre(stage);
    stage.light = [c[0] - unit * 0.4, c[1] - unit * 0.6];
    let [top, mid, _] = stage.palette.sky;
    let dark = mix(top, stage.palette.near, 0.45);
    let seed = stage.texture("tiles");
    let cell = unit * 0.09;
    // Hexagons of slightly different shade.
    stage.canvas.shade(|x, y, _| {
        let (u, v) = ((x - c[0]) / unit, (y - c[1]) / unit);
        let d = (u * u + v * v).sqrt();
        let row = (y / (cell * 0.866)).floor();
        let odd = if row as i64 % 2 == 0 { 0.0 } else { 0.5 };
        let col = (x / cell + odd).floor();
        let (fx, fy) = (x / cell + odd - col - 0.5, y / (cell * 0.866) - row - 0.5);
        let edge = smooth(0.5, 0.44, fx.abs().max(fy.abs() * 0.75 + fx.abs() * 0.5));
        let n = (hash((col + 8.0) as u32, (row + 8.0) as u32, seed) & 0xff) as f32 / 255.0 - 0.5;
        let base = mix(mid, dark, smooth(0.05, 0.8, d));
        scale(base, 1.0 + 0.05 * n - 0.07 * (1.0 - edge))
    });
    let r = stage.subject.map_or(unit * 0.3, |s| s.r * 1.2);
    let accent = stage.palette.accent;
    let gold = mix(accent, stage.palette.light, 0.25);
    stage.canvas.shadow(c[0], c[1] + r * 0.1, r * 1.3, r * 1.3, scale(dark, 0.4), 0.55);
    let inner = mix(stage.palette.sky[2], mid, 0.35);
    for (k, lit) in [(1.08, 0.72), (1.0, 1.0), (0.93, 0.0)] {
        stage.canvas.disc(c[0], c[1], r * k, 1.5, |u, v| {
            if lit == 0.0 {
                let d = u * u + v * v;
                return (stops(mix(inner, stage.palette.light, 0.25), mid, mix(mid, dark, 0.6), d * 0.95), 1.0);
            }
            let t = smooth(-1.0, 1.0, -v * 0.8 - u * 0.5);
            (mix(scale(gold, 0.38 * lit), mix(gold, [1.0; 4], 0.25), t * lit), 1.0)
        });
    }
    if stage.rng("laurel").chance(0.6) {
        studs(stage, c, r * 1.005);
    }
}

/// Studs around the badge's rim.
fn studs(stage: &mut Stage, c: [f32; 2], r: f32) {
    let tone = mix(stage.palette.light, stage.palette.accent, 0.3);
    let n = 12;
    for i in 0..n {
        let a = i as f32 / n as f32 * 2.0 * core::f32::consts::PI;
        let (x, y) = (c[0] + libm::cosf(a) * r, c[1] + libm::sinf(a) * r);
        stage.canvas.disc(x, y, r * 0.03, 1.0, |u, v| (scale(tone, 0.75 - 0.25 * (u + v)), 1.0));
    }
}

pub(super) fn spotlight(stage: &mut Stage) {
    let (unit, w, h) = (stage.unit(), stage.w(), stage.h());
    let c = centre(stage);
    let lamp = [c[0] - unit * 0.22, -unit * 0.25];
    stage.light = lamp;
    let [top, mid, low] = stage.palette.sky;
    let dark = mix(top, stage.palette.near, 0.5);
    let foot = stage.footing();
    let floor = mix(mid, stage.palette.near, 0.35);
    stage.canvas.shade(|x, y, _| {
        let (u, v) = ((x - c[0]) / unit, (y - c[1]) / unit);
        let wall = stops(mix(mid, low, 0.45), mid, dark, (u * u + v * v).sqrt() * 1.25);
        let t = smooth(foot - unit * 0.1, foot + unit * 0.02, y);
        let d = ((x - c[0]) / (unit * 0.62)).abs();
        let ground = mix(
            mix(floor, low, 0.3 * (1.0 - d * d).max(0.0)),
            dark,
            ((y - foot) / (h - foot + unit * 0.1)).clamp(0.0, 1.0) * 0.7 + 0.2 * d.min(1.0),
        );
        mix(wall, ground, t)
    });
    let light = stage.palette.light;
    stage.canvas.shade_box([0.0, 0.0, w, foot], |x, y, p| {
        let t = (y - lamp[1]) / (foot - lamp[1]).max(1.0);
        let mid = lamp[0] + (c[0] - lamp[0]) * t;
        let k = (1.0 - ((x - mid) / (unit * (0.06 + 0.4 * t))).abs()).max(0.0);
        screen(p, scale(light, smooth(0.0, 0.7, k) * 0.26 * (1.0 - 0.6 * t)))
    });
    let mut pool = Path::default();
    pool.ellipse(c[0], foot + unit * 0.02, unit * 0.38, unit * 0.065);
    stage.canvas.glow(c[0], foot, unit * 0.42, light, 0.14);
    let shape = pool.cover(stage.canvas.w, stage.canvas.h, 1);
    stage.canvas.fill(&shape, |x, y| {
        let (u, v) = ((x - c[0]) / (unit * 0.38), (y - foot - unit * 0.02) / (unit * 0.065));
        (mix(low, light, 0.5), 0.42 * (1.0 - u * u - v * v).max(0.0).sqrt())
    });
    specks(stage, c);
    super::hall::plinth(stage);
}

/// A bright thin ring around the subject.
pub(super) fn ring_of_light(stage: &mut Stage) {
    let Some(s) = stage.subject else { return };
    let r = s.r * 1.12;
    if stage.layout.taken(s.x - r, s.y - r, s.x + r, s.y + r, 0.0) {
        return;
    }
    let tone = mix(stage.palette.accent, stage.palette.light, 0.4);
    let wide = stage.unit() * 0.02;
    stage.canvas.shade_box([s.x - r - wide, s.y - r - wide, (r + wide) * 2.0, (r + wide) * 2.0], |x, y, p| {
        let d = (((x - s.x) * (x - s.x) + (y - s.y) * (y - s.y)).sqrt() - r).abs();
        let core = (1.0 - d / (wide * 0.16)).clamp(0.0, 1.0);
        let soft = (1.0 - d / wide).max(0.0);
        screen(p, scale(tone, core * 0.6 + soft * soft * 0.3))
    });
}

/// Bright dust around the middle.
fn specks(stage: &mut Stage, c: [f32; 2]) {
    let mut rng = stage.rng("specks");
    let unit = stage.unit();
    let tone = mix(stage.palette.light, stage.palette.accent, 0.4);
    for _ in 0..46 {
        let (x, y) = (c[0] + rng.range(-0.6, 0.6) * unit, c[1] + rng.range(-0.6, 0.6) * unit);
        let r = unit * rng.range(0.004, 0.011);
        if !stage.layout.covered(x, y, unit * 0.03) {
            stage.canvas.glow(x, y, r.max(1.2), tone, rng.range(0.3, 0.9));
        }
    }
}
