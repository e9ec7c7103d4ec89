//! Open land: mountains, meadow, desert, polar night.

use super::cloth;
use crate::scene::canvas::{Colour, mix, scale};
use crate::scene::flora;
use crate::scene::land::{self, Cloth, Form};
use crate::scene::raster::Path;
use crate::scene::sky;
use crate::scene::stage::Stage;
use crate::scene::tint::hex;

use super::woods::firs_clear;

/// Sky with sun and clouds, as most scenes under open air begin.
pub(super) fn open_sky(stage: &mut Stage, want: [f32; 2], size: f32, clouds: f32) {
    let horizon = stage.layout.horizon;
    let sun = sky::luminary(stage, want, size);
    sky::gradient(stage, horizon * 1.04, 0.62);
    if stage.palette.night {
        sky::stars(stage, 130.0, horizon);
    }
    if let Some(sun) = sun {
        sky::luminary_disc(stage, sun);
    }
    sky::clouds(stage, clouds, horizon);
}

/// Where the sun goes: beside the subject rather than behind its middle.
pub(super) fn sun_place(stage: &Stage) -> [f32; 2] {
    let mut rng = stage.rng("sun place");
    let side = if rng.chance(0.5) { 1.0 } else { -1.0 };
    let y = (stage.layout.horizon / stage.h() - rng.range(0.1, 0.24)).max(0.12);
    [0.5 + side * rng.range(0.08, 0.3), y]
}

pub(super) fn mountains(stage: &mut Stage) {
    let place = sun_place(stage);
    open_sky(stage, place, 0.085, 0.7);
    let (unit, horizon) = (stage.unit(), stage.layout.horizon);
    let (foot, h) = (stage.footing(), stage.h());
    let snowy = stage.asked(&["snow", "snowy", "winter", "ice", "frozen", "cold"]);
    let haze = stage.palette.sky[2];
    for (i, t) in [0.04f32, 0.22, 0.42].into_iter().enumerate() {
        let base = horizon + (foot - horizon) * t * 1.4;
        let rise = stage.layout.rise([0.34, 0.27, 0.2][i]);
        let profile = land::ridge(
            stage,
            ["far peaks", "mid peaks", "near peaks"][i],
            Form::Peaks,
            base,
            rise,
            [1.9, 2.5, 2.9][i],
        );
        let tone = stage.land(t);
        let cap = if snowy || (i == 0 && !stage.palette.night) { base - rise * [0.62, 0.66, 0.72][i] } else { 0.0 };
        let body = mix(tone, haze, 0.42 - t * 0.5);
        let cloth = Cloth { crest: tone, body, depth: rise * 1.1, rim: 0.5 - t * 0.3, relief: 0.22, snow: cap };
        land::paint(stage, &profile, &cloth);
        land::mist(stage, base, unit * 0.1, mix(haze, tone, 0.2), 0.5 - t * 0.3);
    }
    let hills = land::ridge(stage, "hills", Form::Hills, foot + unit * 0.02, unit * 0.1, 1.6);
    let tone = stage.land(0.66);
    firs_along(stage, &hills, 0.66, unit * 0.075, 26);
    land::paint(stage, &hills, &cloth(tone, stage.land(0.8), unit * 0.2, 0.25, 0.15));
    if foot < h * 0.9 {
        let front = land::ridge(stage, "front", Form::Hills, foot + unit * 0.12, unit * 0.07, 1.1);
        land::paint(stage, &front, &cloth(stage.land(0.84), stage.land(0.97), unit * 0.16, 0.15, 0.12));
        let ink = stage.land(0.92);
        land::grass(stage, &front, ink, unit * 0.03);
    }
}

/// A row of firs on a profile, painted as one layer.
fn firs_along(stage: &mut Stage, profile: &[f32], t: f32, tall: f32, count: usize) {
    if !stage.allowed(&["tree", "trees", "fir", "pine"]) {
        return;
    }
    let mut rng = stage.rng("firs").clone();
    let mut path = Path::default();
    let spread = stage.w() / stage.unit();
    for _ in 0..((count as f32 * spread) as usize).min(300) {
        let x = rng.range(-0.02, 1.02) * stage.w();
        let at = (x.max(0.0) as usize).min(profile.len().saturating_sub(1));
        let size = tall * rng.range(0.55, 1.25);
        flora::fir(&mut path, &mut rng, x, profile[at] + tall * 0.1, size);
    }
    fill_trees(stage, &path, t, tall);
}

/// Fills plants with the colour of their depth, paler toward the foot where mist lies, lit at the top.
pub(super) fn fill_trees(stage: &mut Stage, path: &Path, t: f32, tall: f32) {
    let shape = path.cover(stage.canvas.w, stage.canvas.h, 1);
    let top = mix(stage.land(t), stage.palette.light, 0.10 * (1.0 - t));
    let low = mix(stage.land((t - 0.16).max(0.0)), stage.palette.sky[2], 0.22 * (1.0 - t));
    let (y0, inv) = (shape.y as f32, 1.0 / (shape.h as f32).max(tall));
    stage.canvas.fill(&shape, |_, y| (mix(top, low, ((y - y0) * inv).clamp(0.0, 1.0)), 1.0));
}

pub(super) fn meadow(stage: &mut Stage) {
    let place = sun_place(stage);
    open_sky(stage, place, 0.08, 0.95);
    let (unit, horizon) = (stage.unit(), stage.layout.horizon);
    let foot = stage.footing();
    let green = if stage.palette.night { stage.palette.far } else { mix(hex(0x86c25a), stage.palette.far, 0.35) };
    let deep = mix(hex(0x2c6b3a), stage.palette.near, 0.45);
    let haze = stage.palette.sky[2];
    let far = land::ridge(stage, "far", Form::Peaks, horizon + unit * 0.02, unit * 0.16, 1.6);
    land::paint(
        stage,
        &far,
        &cloth(mix(stage.land(0.05), haze, 0.25), mix(stage.land(0.05), haze, 0.6), unit * 0.16, 0.3, 0.15),
    );
    for (i, t) in [0.0f32, 0.35, 0.7].into_iter().enumerate() {
        let base = horizon + unit * 0.04 + (foot - horizon) * t;
        let hill =
            land::ridge(stage, ["h1", "h2", "h3"][i], Form::Hills, base + unit * 0.05, unit * 0.13, [1.5, 1.2, 1.0][i]);
        let tone = mix(mix(green, haze, 0.32), deep, t * 0.75);
        trees_on(
            stage,
            &hill,
            mix(tone, deep, 0.55),
            unit * [0.05, 0.075, 0.11][i],
            [16, 9, 4][i],
            ["t1", "t2", "t3"][i],
        );
        land::paint(
            stage,
            &hill,
            &cloth(mix(tone, stage.palette.light, 0.16), mix(tone, deep, 0.35), unit * 0.22, 0.35, 0.12),
        );
    }
    let near = land::ridge(stage, "near", Form::Hills, foot + unit * 0.08, unit * 0.07, 1.0);
    land::paint(stage, &near, &cloth(mix(green, deep, 0.55), deep, unit * 0.3, 0.25, 0.25));
    land::grass(stage, &near, mix(green, deep, 0.75), unit * 0.035);
    flowers(stage, foot + unit * 0.1);
}

fn trees_on(stage: &mut Stage, profile: &[f32], tone: Colour, tall: f32, count: usize, topic: &str) {
    if !stage.allowed(&["tree", "trees"]) {
        return;
    }
    let mut rng = stage.rng(topic);
    let mut path = Path::default();
    let n = ((count as f32 * stage.w() / stage.unit()) as usize).min(200);
    for _ in 0..n {
        let x = rng.range(0.0, 1.0) * stage.w();
        if stage.subject.is_some_and(|s| (x - s.x).abs() < s.r * 0.9) && tall > stage.unit() * 0.06 {
            continue;
        }
        let at = (x as usize).min(profile.len().saturating_sub(1));
        let size = tall * rng.range(0.7, 1.25);
        flora::broad(&mut path, &mut rng, x, profile[at] + size * 0.05, size);
    }
    let shape = path.cover(stage.canvas.w, stage.canvas.h, 1);
    let lit = mix(tone, stage.palette.light, 0.22);
    let (y0, inv) = (shape.y as f32, 1.0 / (shape.h as f32).max(1.0));
    stage.canvas.fill(&shape, |_, y| (mix(lit, tone, ((y - y0) * inv * 1.2).clamp(0.0, 1.0)), 1.0));
}

fn flowers(stage: &mut Stage, top: f32) {
    let top = top.min(stage.h() * 0.93);
    let mut rng = stage.rng("flowers");
    let (w, h, unit) = (stage.w(), stage.h(), stage.unit());
    let tones = [stage.palette.accent, mix(stage.palette.paint, [1.0; 4], 0.2), [1.0, 1.0, 0.96, 0.0]];
    for _ in 0..((70.0 * w / unit) as usize).min(500) {
        let t = rng.unit();
        let (x, y) = (rng.range(0.0, w), top + (h - top) * (0.1 + 0.9 * t));
        let tone = tones[rng.below(3)];
        if !stage.layout.covered(x, y, unit * 0.02) {
            let r = unit * (0.003 + 0.006 * t);
            stage.canvas.disc(x, y, r, 1.2, |_, v| (scale(tone, 0.95 - 0.2 * v), 0.9));
        }
    }
}

pub(super) fn desert(stage: &mut Stage) {
    let place = sun_place(stage);
    open_sky(stage, place, 0.1, 0.35);
    let (unit, horizon) = (stage.unit(), stage.layout.horizon);
    let foot = stage.footing();
    let haze = stage.palette.sky[2];
    let western =
        stage.rng("mesas").chance(0.6) || stage.asked(&["canyon", "western", "mesa", "cowboy", "wild", "sheriff"]);
    if western && !stage.asked(&["dune", "dunes", "sahara", "pyramid"]) {
        for (i, t) in [0.1f32, 0.28].into_iter().enumerate() {
            let rise = stage.layout.rise([0.2, 0.27][i]);
            let mesa = land::ridge(
                stage,
                ["mesa1", "mesa2"][i],
                Form::Mesas,
                horizon + unit * 0.03 * i as f32,
                rise,
                [1.5, 1.0][i],
            );
            let tone = stage.land(t);
            land::paint(stage, &mesa, &cloth(mix(tone, haze, 0.1), mix(tone, haze, 0.4 - t * 0.4), rise, 0.45, 0.3));
            land::mist(stage, horizon + unit * 0.02, unit * 0.07, haze, 0.4);
        }
    }
    for (i, t) in [0.16f32, 0.34, 0.52].into_iter().enumerate() {
        let base = horizon + unit * 0.07 + (foot - horizon) * (0.12 + 0.3 * i as f32);
        let dune = land::ridge(stage, ["d1", "d2", "d3"][i], Form::Dunes, base, unit * 0.09, [1.3, 1.0, 0.8][i]);
        let tone = mix(stage.land(t), stage.palette.light, 0.12);
        land::paint(stage, &dune, &cloth(mix(tone, haze, 0.25), stage.land(t + 0.12), unit * 0.16, 0.55, 0.08));
    }
    let near = land::ridge(stage, "near", Form::Hills, foot + unit * 0.07, unit * 0.07, 0.9);
    if stage.allowed(&["cactus", "cacti", "plant"]) {
        let mut rng = stage.rng("cacti");
        let mut path = Path::default();
        for _ in 0..((7.0 * stage.w() / unit) as usize).min(60) {
            let x = rng.range(0.0, stage.w());
            if stage.subject.is_some_and(|s| (x - s.x).abs() < s.r * 1.1) {
                continue;
            }
            let at = (x as usize).min(near.len() - 1);
            let tall = unit * rng.range(0.06, 0.16);
            flora::cactus(&mut path, &mut rng, x, near[at] + unit * 0.02, tall);
        }
        fill_trees(stage, &path, 0.8, unit * 0.1);
    }
    land::paint(stage, &near, &cloth(stage.land(0.62), stage.land(0.92), unit * 0.26, 0.3, 0.18));
    let mut rocks = Path::default();
    let mut rng = stage.rng("rocks");
    for _ in 0..6 {
        let (x, r) = (rng.range(0.0, stage.w()), unit * rng.range(0.012, 0.04));
        flora::boulder(&mut rocks, &mut rng, x, stage.h() - unit * 0.02, r * 1.6, r);
    }
    fill_trees(stage, &rocks, 0.95, unit * 0.1);
}

pub(super) fn aurora(stage: &mut Stage) {
    let place = sun_place(stage);
    let horizon = stage.layout.horizon;
    let unit = stage.unit();
    if stage.palette.night {
        stage.light = [stage.w() * place[0], unit * -0.1];
        sky::gradient(stage, horizon, 0.3);
        sky::stars(stage, 200.0, horizon);
        sky::aurora(stage, horizon);
    } else {
        open_sky(stage, place, 0.08, 0.6);
    }
    let foot = stage.footing();
    let haze = stage.palette.sky[2];
    for (i, t) in [0.08f32, 0.3].into_iter().enumerate() {
        let rise = stage.layout.rise([0.34, 0.24][i]);
        let base = horizon + unit * 0.06 * i as f32;
        let peaks = land::ridge(stage, ["p1", "p2"][i], Form::Peaks, base, rise, [1.7, 2.4][i]);
        let tone = stage.land(t + 0.1);
        let cloth = Cloth {
            crest: tone,
            body: mix(tone, haze, 0.35),
            depth: rise,
            rim: 0.4,
            relief: 0.25,
            snow: base - rise * [0.45, 0.6][i],
        };
        land::paint(stage, &peaks, &cloth);
        land::mist(stage, base + unit * 0.02, unit * 0.08, mix(haze, [1.0; 4], 0.25), 0.45);
    }
    let snow = if stage.palette.night { mix(stage.palette.sky[2], [1.0, 1.0, 1.0, 0.0], 0.35) } else { hex(0xf2f8ff) };
    let shade = mix(snow, stage.palette.sky[1], 0.55);
    for i in 0..3 {
        let base = horizon + unit * 0.06 + (foot - horizon) * (0.25 + 0.34 * i as f32);
        let hill = land::ridge(stage, ["s1", "s2", "s3"][i], Form::Hills, base, unit * 0.07, 1.3);
        if i > 0 {
            firs_clear(stage, &hill, 0.5 + 0.15 * i as f32, unit * (0.09 + 0.05 * i as f32), 14 - 5 * i);
        }
        let dim = scale(mix(shade, stage.palette.near, 0.15 * i as f32), 1.0);
        land::paint(stage, &hill, &cloth(mix(snow, shade, 0.2 * i as f32), dim, unit * 0.14, 0.2, 0.06));
    }
    let near = land::ridge(stage, "near", Form::Hills, foot + unit * 0.06, unit * 0.06, 1.0);
    land::paint(
        stage,
        &near,
        &cloth(mix(snow, shade, 0.35), mix(shade, stage.palette.near, 0.5), unit * 0.24, 0.25, 0.08),
    );
}
