//! Skies: gradients, sun and moon, clouds, stars, rays, aurora.

use super::canvas::{Colour, add, mix, scale, screen, smooth};
use super::layout::Spot;
use super::noise::{Field, fbm, value};
use super::stage::Stage;
use super::tint::shift;

/// The gradient from top to `bottom` pixels, brighter around the light.
pub(super) fn gradient(stage: &mut Stage, bottom: f32, glow: f32) {
    let unit = stage.unit();
    let [lx, ly] = stage.light;
    let (w, h) = (stage.canvas.w, stage.canvas.h);
    let light = scale(stage.palette.light, glow);
    let inv = 1.0 / (unit * unit * 0.16);
    for y in 0..h {
        let base = stage.palette.sky_at((y as f32 + 0.5) / bottom.max(1.0));
        let dy = y as f32 + 0.5 - ly;
        let row = stage.canvas.row(y);
        for (x, p) in row.iter_mut().enumerate().take(w) {
            let dx = x as f32 + 0.5 - lx;
            let q = 1.0 / (1.0 + (dx * dx + dy * dy * 1.4) * inv);
            *p = screen(base, scale(light, q * q));
        }
    }
}

/// The sun, or the moon of a night palette; `None` where text leaves no room.
pub(super) fn luminary(stage: &mut Stage, want: [f32; 2], size: f32) -> Option<Spot> {
    if !stage.allowed(&["sun", "moon"]) {
        return None;
    }
    let mut rng = stage.rng("luminary");
    let radius = stage.unit() * size * rng.range(0.85, 1.2);
    let spot = stage.layout.disc(&mut rng, want, radius, 1.12)?;
    stage.light = [spot.x, spot.y];
    Some(spot)
}

/// Paints the disc that [`luminary`] found.
pub(super) fn luminary_disc(stage: &mut Stage, spot: Spot) {
    let light = stage.palette.light;
    let (night, texture, unit) = (stage.palette.night, stage.texture("moon"), stage.unit());
    let warm = mix(light, stage.palette.accent, 0.35);
    stage.canvas.glow(spot.x, spot.y, spot.r * 3.2, light, if night { 0.35 } else { 0.5 });
    stage.canvas.disc(spot.x, spot.y, spot.r, (unit / 400.0).max(1.0), |u, v| {
        if night {
            let crater = fbm(u * 2.2 + 7.0, v * 2.2 + 3.0, 3, texture);
            let shade = 0.86 + 0.14 * smooth(0.35, 0.62, crater) - 0.10 * (u * u + v * v);
            (scale(light, shade), 1.0)
        } else {
            (mix(mix(light, [1.0, 1.0, 0.96, 0.0], 0.45), warm, smooth(-0.9, 1.2, v)), 0.96)
        }
    });
}

/// Clouds of a fractal noise, lit from the side of the light. `amount` 0..1.
pub(super) fn clouds(stage: &mut Stage, amount: f32, bottom: f32) {
    if !stage.allowed(&["cloud", "clouds"]) {
        return;
    }
    let seed = stage.texture("clouds");
    let unit = stage.unit();
    let (kx, ky) = (2.1 / unit, 5.2 / unit);
    let (w, h) = (stage.canvas.w, stage.canvas.h.min(bottom.max(1.0) as usize));
    let [lx, _] = stage.light;
    let field = Field::new(w, h, 150, |x, y| {
        let warp = value(x * kx * 0.7, y * ky * 0.7, seed ^ 91) - 0.5;
        fbm(x * kx + warp * 0.8, y * ky + warp * 0.5, 4, seed)
    });
    let (bright, dark) =
        (mix(stage.palette.light, stage.palette.sky[2], 0.45), mix(stage.palette.sky[1], stage.palette.sky[0], 0.3));
    let lo = 0.62 - 0.2 * amount;
    let offset = unit * 0.02;
    for y in 0..h {
        let fy = y as f32 + 0.5;
        let fade = smooth(1.0, 0.55, fy / bottom) * (0.35 + 0.65 * smooth(0.0, 0.25, fy / bottom));
        let row = stage.canvas.row(y);
        for (x, p) in row.iter_mut().enumerate() {
            let fx = x as f32 + 0.5;
            let n = field.at(fx, fy);
            if n <= lo {
                continue;
            }
            let cover = smooth(lo, lo + 0.26, n) * fade;
            let toward = if fx < lx { offset } else { -offset };
            let lit = smooth(-0.07, 0.09, n - field.at(fx + toward, fy + offset * 0.8));
            *p = mix(*p, mix(dark, bright, lit * 0.8 + 0.1), cover * (0.3 + 0.35 * lit));
        }
    }
}

/// Stars of different brightness; `density` per area of a unit square.
pub(super) fn stars(stage: &mut Stage, density: f32, bottom: f32) {
    if !stage.allowed(&["star", "stars"]) {
        return;
    }
    let mut rng = stage.rng("stars");
    let (w, h, unit) = (stage.w(), stage.h(), stage.unit());
    let count = ((w * h) / (unit * unit) * density).min(4000.0) as usize;
    for _ in 0..count {
        let (x, y, m) = (rng.range(0.0, w), rng.range(0.0, bottom), rng.unit());
        let bright = m * m * m;
        if stage.layout.covered(x, y, unit * 0.03) {
            continue;
        }
        let fade = smooth(1.0, 0.6, y / bottom);
        let r = unit * (0.0022 + 0.0032 * bright);
        let tone =
            mix([1.0, 1.0, 1.0, 0.0], if rng.chance(0.3) { stage.palette.accent } else { stage.palette.light }, 0.4);
        stage.canvas.glow(x, y, (r * 1.6).max(1.1), tone, (0.5 + 0.5 * bright) * fade);
        if bright > 0.55 {
            stage.canvas.glow(x, y, r * 6.0, tone, 0.22 * fade);
        }
    }
}

/// Shafts of light from the light's place; `strength` 0..1. `spokes` makes them even, as on a prize card.
pub(super) fn rays(stage: &mut Stage, from: [f32; 2], colour: Colour, strength: f32, spokes: Option<f32>, reach: f32) {
    let seed = stage.texture("rays");
    let (w, h, unit) = (stage.canvas.w, stage.canvas.h, stage.unit());
    let turn = stage.rng("turn").unit();
    let nodes = if spokes.is_some() { 512 } else { 160 };
    let field = Field::new(w, h, nodes, |x, y| {
        let (dx, dy) = (x - from[0], y - from[1]);
        let d = (dx * dx + dy * dy).sqrt() / unit;
        let angle = libm::atan2f(dy, dx) / (2.0 * core::f32::consts::PI) + 0.5;
        let beam = match spokes {
            Some(n) => {
                let t = (angle + turn) * n;
                let t = (t - t.floor() - 0.5).abs() * 2.0;
                smooth(0.42, 0.58, t)
            }
            None => {
                // Noise on a circle, so that the beams meet without a seam at angle 0.
                let (c, s) = (dx / (d * unit).max(1.0), dy / (d * unit).max(1.0));
                smooth(
                    0.42,
                    0.8,
                    0.65 * value(c * 7.0 + 40.0, s * 7.0 + 40.0, seed)
                        + 0.35 * value(c * 19.0 + 90.0, s * 19.0 + 90.0, seed),
                )
            }
        };
        beam * (1.0 - d / reach).max(0.0) * smooth(0.0, 0.12, d)
    });
    stage.canvas.shade(|x, y, p| {
        let v = field.at(x, y) * strength;
        if v > 0.001 { screen(p, scale(colour, v)) } else { p }
    });
}

/// Curtains of light for polar nights.
pub(super) fn aurora(stage: &mut Stage, bottom: f32) {
    let seed = stage.texture("aurora");
    let (w, h, unit) = (stage.canvas.w, stage.canvas.h.min(bottom.max(1.0) as usize), stage.unit());
    let green = mix(stage.palette.accent, [0.25, 1.0, 0.62, 0.0], 0.75);
    let violet = shift(green, -0.12, 1.0, 130.0);
    let field = Field::new(w, h, 170, |x, y| {
        let (u, v) = (x / unit, y / bottom);
        let mut sum = 0.0;
        for band in 0..2u32 {
            let b = band as f32;
            let bend = fbm(u * 1.3 + b * 5.0, 3.0 + b, 3, seed.wrapping_add(band));
            let foot = 0.74 + 0.4 * (bend - 0.5) + b * 0.16;
            let up = foot - v;
            let curtain = 0.45 + 0.55 * value(u * 16.0 + bend * 9.0, b, seed ^ 7);
            sum += smooth(-0.03, 0.02, up) * (1.0 - up / 0.6).max(0.0) * curtain * (1.0 - 0.45 * b);
        }
        sum
    });
    for y in 0..h {
        let fy = y as f32 + 0.5;
        let tone = mix(violet, green, smooth(0.05, 0.5, fy / bottom));
        for (x, p) in stage.canvas.row(y).iter_mut().enumerate() {
            *p = screen(*p, scale(tone, field.at(x as f32 + 0.5, fy) * 0.62));
        }
    }
}

/// Nebula: two coloured clouds of noise against black.
pub(super) fn nebula(stage: &mut Stage) {
    let seed = stage.texture("nebula");
    let (w, h, unit) = (stage.canvas.w, stage.canvas.h, stage.unit());
    let k = 1.7 / unit;
    let turn = stage.rng("nebula").range(-0.6, 0.6);
    let dense = Field::new(w, h, 130, |x, y| {
        let warp = fbm(x * k, y * k, 2, seed ^ 5) - 0.5;
        fbm(x * k + warp * 2.2, y * k + warp * 2.2, 4, seed)
    });
    let other = Field::new(w, h, 90, |x, y| fbm(x * k * 1.3 + 9.0, y * k * 1.3, 3, seed ^ 77));
    let (hot, cool) = (stage.palette.sky[2], shift(stage.palette.sky[1], 0.05, 1.1, -30.0));
    let brand = (stage.palette.name == "brand").then_some(stage.palette.banner);
    stage.canvas.shade(|x, y, p| {
        let (u, v) = (x / w as f32 - 0.5, y / h as f32 - 0.5);
        let band = 1.0 - (v + u * turn).abs() * 1.5;
        let n = dense.at(x, y);
        let a = smooth(0.42, 0.8, n * 0.75 + band * 0.25);
        let b = smooth(0.5, 0.85, other.at(x, y));
        match brand {
            Some(brand) => mix(p, brand, smooth(0.36, 0.6, n * 0.75 + band * 0.25)),
            None => screen(p, add(scale(hot, a * a * 0.75), scale(cool, b * 0.3))),
        }
    });
}
