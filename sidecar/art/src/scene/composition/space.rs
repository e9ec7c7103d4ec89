//! Deep space: nebula, stars, a planet and its ring.

use crate::scene::canvas::{mix, scale, screen, smooth};
use crate::scene::noise::{fbm, value};
use crate::scene::sky;
use crate::scene::stage::Stage;
use crate::scene::tint::shift;

pub(super) fn space(stage: &mut Stage) {
    let (unit, w, h) = (stage.unit(), stage.w(), stage.h());
    let mut rng = stage.rng("space");
    let side = if rng.chance(0.5) { 1.0 } else { -1.0 };
    stage.light = [w * (0.5 + side * 0.6), h * 0.1];
    let (deep, black) = (mix(stage.palette.sky[0], stage.palette.near, 0.4), stage.palette.near);
    stage.canvas.shade(|_, y, _| mix(deep, black, (y / h - 0.3).abs()));
    sky::nebula(stage);
    sky::stars(stage, 420.0, h * 1.6);
    let want = stage.subject.map_or([0.5 - side * 0.12, 0.56], |s| [if s.x < w * 0.5 { 0.78 } else { 0.22 }, 0.52]);
    let radius = unit * if stage.subject.is_some() { rng.range(0.15, 0.2) } else { rng.range(0.2, 0.26) };
    let ringed = rng.chance(0.65) && stage.allowed(&["ring"]);
    // A ring reaches twice the planet's radius, and no part of it may cross text.
    let reach = if ringed { 2.1 } else { 1.1 };
    if !stage.allowed(&["planet"]) {
        return;
    }
    let found = stage
        .layout
        .disc(&mut rng, want, radius, reach)
        .map(|s| (s, ringed))
        .or_else(|| stage.layout.disc(&mut rng, want, radius, 1.1).map(|s| (s, false)));
    let Some((spot, ringed)) = found else { return };
    planet(stage, [spot.x, spot.y], spot.r, ringed, side);
    let moon = [spot.x + side * spot.r * 1.9, spot.y - spot.r * 1.5];
    if !stage.layout.covered(moon[0], moon[1], spot.r * 0.3) {
        planet(stage, moon, spot.r * 0.2, false, side);
    }
    if let Some(s) = stage.subject {
        stage.light = [w * (0.5 + side * 0.6), s.y - unit * 0.6];
    }
}

fn planet(stage: &mut Stage, at: [f32; 2], r: f32, ringed: bool, side: f32) {
    let seed = stage.texture("planet");
    let a = mix(stage.palette.sky[2], stage.palette.accent, 0.25);
    let b = shift(stage.palette.paint, -0.02, 0.9, 0.0);
    let dark = scale(stage.palette.near, 0.7);
    let air = mix(stage.palette.light, stage.palette.sky[2], 0.4);
    let light = [side * 0.62, -0.45, 0.64];
    let tilt = 0.32 * side;
    let ring = |stage: &mut Stage, front: bool| {
        let tone = mix(stage.palette.accent, stage.palette.light, 0.4);
        stage.canvas.shade_box([at[0] - r * 2.1, at[1] - r * 1.1, r * 4.2, r * 2.2], |x, y, p| {
            let (u, v) = ((x - at[0]) / r, (y - at[1]) / r);
            let (c, s) = (1.0 / (1.0 + tilt * tilt).sqrt(), tilt / (1.0 + tilt * tilt).sqrt());
            let (pu, pv) = (u * c - v * s, u * s + v * c);
            if (pv > 0.0) != front {
                return p;
            }
            let d = (pu * pu + pv * pv * 14.0).sqrt();
            let band = smooth(1.3, 1.36, d) * smooth(2.0, 1.92, d);
            if band <= 0.0 {
                return p;
            }
            let grooves = 0.55 + 0.45 * value(d * 22.0, 0.0, seed);
            // The planet's shadow falls across the ring's far side.
            let shadow = if !front && pu * side < 0.3 && pu.abs() < 1.1 { 0.35 } else { 1.0 };
            mix(p, scale(tone, 0.6 + 0.4 * grooves * shadow), band * grooves * 0.85)
        });
    };
    if ringed {
        ring(stage, false);
    }
    stage.canvas.glow(at[0], at[1], r * 1.5, air, 0.4);
    stage.canvas.disc(at[0], at[1], r, (r * 0.01).max(1.2), |u, v| {
        let z = (1.0 - u * u - v * v).max(0.0).sqrt();
        let warp = fbm(u * 2.0 + 5.0, v * 2.5, 3, seed) - 0.5;
        let bands = value((v + tilt * u) * 6.5 + warp * 2.2, 0.5, seed ^ 9);
        let surface = mix(a, b, smooth(0.25, 0.75, bands * 0.75 + warp * 0.6 + 0.12));
        let lit = smooth(-0.12, 0.85, u * light[0] + v * light[1] + z * light[2]);
        let rim = (1.0 - z) * (1.0 - z) * lit;
        (screen(mix(dark, surface, lit), scale(air, rim * 0.8)), 1.0)
    });
    if ringed {
        ring(stage, true);
    }
}
