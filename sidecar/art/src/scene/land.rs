//! Land: ridges of hills and mountains, mist between them, water, and ground under a subject.

use super::canvas::{Colour, luma, mix, scale, screen, smooth};
use super::noise::{Field, fbm, value};
use super::stage::Stage;

/// The shape of a ridge.
#[derive(Clone, Copy)]
pub(super) enum Form {
    /// Soft hills.
    Hills,
    /// Peaks with edges.
    Peaks,
    /// Long dunes, steep on one side.
    Dunes,
    /// Flat-topped rock with steps.
    Mesas,
}

/// Heights in pixels from the top, one per column. `base` is where the ridge's foot lies, `rise` how far it reaches above.
pub(super) fn ridge(stage: &Stage, topic: &str, form: Form, base: f32, rise: f32, bumps: f32) -> Vec<f32> {
    let seed = stage.texture(topic);
    let k = bumps / stage.unit();
    let phase = stage.rng(topic).range(0.0, 50.0);
    (0..stage.canvas.w)
        .map(|x| {
            let u = x as f32 * k + phase;
            let n = match form {
                Form::Hills => fbm(u, 0.5, 3, seed),
                Form::Peaks => {
                    let big = 1.0 - (2.0 * value(u, 0.5, seed) - 1.0).abs();
                    let mid = 1.0 - (2.0 * value(u * 2.3 + 11.0, 1.5, seed) - 1.0).abs();
                    let fine = fbm(u * 5.0, 2.5, 3, seed);
                    big * 0.6 + mid * 0.25 + fine * 0.2
                }
                Form::Dunes => {
                    let v = value(u, 0.5, seed);
                    let f = u * 0.9 - (u * 0.9).floor();
                    v * 0.6 + 0.4 * if f < 0.72 { f / 0.72 * f / 0.72 } else { (1.0 - f) / 0.28 }
                }
                Form::Mesas => {
                    let n = fbm(u * 0.8, 0.5, 2, seed);
                    smooth(0.46, 0.52, n) * 0.62 + smooth(0.58, 0.63, n) * 0.28 + 0.1 * fbm(u * 6.0, 3.5, 2, seed)
                }
            };
            base - rise * n
        })
        .collect()
}

/// How a ridge is painted.
pub(super) struct Cloth {
    /// At the crest, and deeper down.
    pub(super) crest: Colour,
    pub(super) body: Colour,
    /// Pixels from crest to body.
    pub(super) depth: f32,
    /// Brightness of the crest where it faces the light, 0..1.
    pub(super) rim: f32,
    /// Strength of the texture of rock or grass, 0..1.
    pub(super) relief: f32,
    /// Snow above this height in pixels from the top, 0 for none.
    pub(super) snow: f32,
}

/// Paints everything below a ridge.
pub(super) fn paint(stage: &mut Stage, profile: &[f32], cloth: &Cloth) {
    let unit = stage.unit();
    let (w, h) = (stage.canvas.w, stage.canvas.h);
    let Some(top) = profile.iter().copied().reduce(f32::min) else {
        return;
    };
    let low = profile.iter().copied().fold(0.0, f32::max);
    let seed = stage.texture("relief");
    let lx = stage.light[0];
    // How much each column of the crest faces the light, from its slope over a few pixels.
    let span = ((unit * 0.012) as usize).max(1);
    let facing: Vec<f32> = (0..w)
        .map(|x| {
            let (a, b) = (profile[x.saturating_sub(span)], profile[(x + span).min(w - 1)]);
            let slope = (b - a) / (2.0 * span as f32);
            // Right under the light no side is favoured, or a seam would stand there.
            let toward = -slope * ((lx - x as f32) / (unit * 0.15)).clamp(-1.0, 1.0);
            smooth(-0.5, 0.9, toward)
        })
        .collect();
    let first = top.max(0.0) as usize;
    let k = 9.0 / unit;
    let relief = (cloth.relief > 0.0).then(|| {
        Field::new(w, h.saturating_sub(first).max(1), 110, |x, y| fbm((x + y * 0.35) * k, y * k * 0.55, 3, seed) - 0.5)
    });
    let rim_px = unit * 0.035;
    let inv_depth = 1.0 / cloth.depth.max(1.0);
    let light = stage.palette.light;
    let white = mix([1.0, 1.0, 1.0, 0.0], cloth.crest, 0.12);
    let shade_snow = mix(mix(white, cloth.body, 0.45), stage.palette.sky[1], 0.25);
    // Below this no snow lies, and the noise of its edge need not be asked.
    let snow_end = if cloth.snow > 0.0 { cloth.snow + unit * 0.09 } else { 0.0 };
    let full = low + cloth.depth.max(rim_px) + 1.0;
    for y in first..h {
        let fy = y as f32 + 0.5;
        let row = stage.canvas.row(y);
        if fy > full && relief.is_none() {
            row.fill(cloth.body);
            continue;
        }
        for (x, p) in row.iter_mut().enumerate() {
            let d = fy - profile[x];
            let cover = (d + 0.5).clamp(0.0, 1.0);
            if cover <= 0.0 {
                continue;
            }
            let t = (d * inv_depth).clamp(0.0, 1.0);
            let mut c = mix(cloth.crest, cloth.body, t * (2.0 - t));
            let f = facing[x];
            if fy < snow_end {
                let ragged = fbm(x as f32 * 24.0 / unit, fy * 14.0 / unit, 3, seed ^ 3) - 0.5;
                let line = cloth.snow + unit * 0.12 * ragged + unit * 0.03 * (f - 0.5);
                let cap = smooth(line + unit * 0.006, line - unit * 0.006, fy);
                c = mix(c, mix(shade_snow, white, f), cap * 0.95);
            }
            if let Some(relief) = &relief {
                let n = relief.at(x as f32, (y - first) as f32);
                c = scale(c, 1.0 + n * cloth.relief);
            }
            if cloth.rim > 0.0 {
                let r = (1.0 - d / rim_px).max(0.0);
                c = screen(c, scale(light, r * r * f * cloth.rim));
            }
            *p = mix(*p, c, cover);
        }
    }
}

/// A band of mist lying at `y`, `reach` pixels up and down.
pub(super) fn mist(stage: &mut Stage, y: f32, reach: f32, colour: Colour, strength: f32) {
    if !stage.allowed(&["fog", "mist", "haze"]) {
        return;
    }
    let strength =
        if stage.asked(&["fog", "foggy", "mist", "misty", "haze"]) { (strength * 1.5).min(0.9) } else { strength };
    let seed = stage.texture("mist") ^ (y as u32);
    let k = 3.0 / stage.unit();
    let (w, h) = (stage.canvas.w, stage.canvas.h);
    let (y0, y1) = ((y - reach).max(0.0) as usize, ((y + reach).max(0.0) as usize).min(h));
    let along: Vec<f32> = (0..w).map(|x| 0.6 + 0.4 * fbm(x as f32 * k, 0.0, 2, seed)).collect();
    for row in y0..y1 {
        let t = 1.0 - ((row as f32 + 0.5 - y) / reach).abs();
        let s = t.max(0.0) * t.max(0.0) * (3.0 - 2.0 * t) * strength;
        for (p, a) in stage.canvas.row(row).iter_mut().zip(&along) {
            *p = mix(*p, colour, s * a);
        }
    }
}

/// Water from `top` down, with the sky's colours, a road of light and small waves.
pub(super) fn water(stage: &mut Stage, top: f32, near: Colour) {
    let seed = stage.texture("water");
    let (h, unit) = (stage.canvas.h, stage.unit());
    let [lx, ly] = stage.light;
    let far = mix(stage.palette.sky_at(0.86), stage.palette.far, 0.3);
    let light = stage.palette.light;
    let strong = if ly < top + unit * 0.05 { 1.0 } else { 0.25 };
    for y in (top.max(0.0) as usize)..h {
        let fy = y as f32 + 0.5;
        let t = ((fy - top) / (stage.canvas.h as f32 - top).max(1.0)).clamp(0.0, 1.0);
        let base = mix(far, near, smooth(-0.25, 1.0, t));
        // Waves widen toward the viewer: rows of noise, stretched along x.
        let ky = 46.0 / (0.25 + 2.2 * t) / unit;
        let kx = 9.0 / (0.3 + 2.0 * t) / unit;
        let wide = unit * (0.05 + 0.22 * t);
        let vy = (fy - top) * ky + 31.0 * t;
        for (x, p) in stage.canvas.row(y).iter_mut().enumerate() {
            let n = value(x as f32 * kx, vy, seed) - 0.5;
            let d = ((x as f32 - lx + n * wide * 0.9) / wide).abs();
            let road = (1.0 - d * 0.5).max(0.0);
            let glint = smooth(0.08, 0.28, n + road * 0.24) * road;
            let c = scale(base, 1.0 + n * (0.10 + 0.16 * t));
            *p = screen(c, scale(light, (glint * 0.55 + road * road * 0.10) * strong));
        }
    }
}

/// Blades of grass along a profile: one jagged fringe.
pub(super) fn grass(stage: &mut Stage, profile: &[f32], colour: Colour, tall: f32) {
    let seed = stage.texture("grass");
    let unit = stage.unit();
    let fringe: Vec<f32> = profile
        .iter()
        .enumerate()
        .map(|(x, y)| {
            let u = x as f32 * 95.0 / unit;
            let f = (u - u.floor() - 0.5).abs() * 2.0;
            let v = x as f32 * 57.0 / unit + 0.37;
            let g = (v - v.floor() - 0.5).abs() * 2.0;
            let clump = fbm(x as f32 * 7.0 / unit, 0.0, 2, seed);
            let a = value(u.floor(), 4.0, seed) * f;
            let b = value(v.floor(), 9.0, seed) * g;
            y - tall * a.max(b) * smooth(0.25, 0.7, clump)
        })
        .collect();
    let body = colour;
    let dark = luma(body) < 0.1;
    let cloth = Cloth {
        crest: if dark { mix(body, stage.palette.light, 0.08) } else { body },
        body,
        depth: tall * 1.5,
        rim: 0.0,
        relief: 0.0,
        snow: 0.0,
    };
    paint(stage, &fringe, &cloth);
}
