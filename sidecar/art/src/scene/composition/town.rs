//! A city by its street, and a castle on its hill.

use super::cloth;
use crate::scene::canvas::{Colour, mix, scale, smooth};
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
