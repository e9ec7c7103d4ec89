//! Open land: mountains, forest, meadow, desert, polar night, jungle, islands in the sky.

use super::cloth;
use crate::scene::canvas::{mix, scale};
use crate::scene::flora;
use crate::scene::land::{self, Cloth, Form};
use crate::scene::raster::Path;
use crate::scene::sky;
use crate::scene::stage::Stage;
use crate::scene::tint::hex;

/// Sky with sun and clouds, as most scenes under open air begin.
fn open_sky(stage: &mut Stage, want: [f32; 2], size: f32, clouds: f32) {
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
fn sun_place(stage: &Stage) -> [f32; 2] {
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
fn fill_trees(stage: &mut Stage, path: &Path, t: f32, tall: f32) {
    let shape = path.cover(stage.canvas.w, stage.canvas.h, 1);
    let top = mix(stage.land(t), stage.palette.light, 0.10 * (1.0 - t));
    let low = mix(stage.land((t - 0.16).max(0.0)), stage.palette.sky[2], 0.22 * (1.0 - t));
    let (y0, inv) = (shape.y as f32, 1.0 / (shape.h as f32).max(tall));
    stage.canvas.fill(&shape, |_, y| (mix(top, low, ((y - y0) * inv).clamp(0.0, 1.0)), 1.0));
}

pub(super) fn forest(stage: &mut Stage) {
    let place = sun_place(stage);
    open_sky(stage, place, 0.075, 0.5);
    let (unit, horizon) = (stage.unit(), stage.layout.horizon);
    let foot = stage.footing();
    let hills = land::ridge(stage, "far hills", Form::Hills, horizon, unit * 0.2, 1.4);
    land::paint(
        stage,
        &hills,
        &cloth(stage.land(0.06), mix(stage.land(0.1), stage.palette.sky[2], 0.4), unit * 0.2, 0.3, 0.0),
    );
    let light = stage.palette.light;
    let from = stage.light;
    let deep = (foot - horizon).max(unit * 0.08);
    for (i, t) in [0.2f32, 0.4, 0.6].into_iter().enumerate() {
        let base = horizon + deep * (0.05 + 0.42 * i as f32);
        let ground = land::ridge(stage, ["a", "b", "c"][i], Form::Hills, base, unit * 0.06, 1.7);
        let tall = unit * [0.13, 0.19, 0.25][i];
        firs_clear(stage, &ground, t, tall, [30, 20, 13][i]);
        land::paint(stage, &ground, &cloth(stage.land((t - 0.1).max(0.0)), stage.land(t), unit * 0.12, 0.0, 0.0));
        land::mist(
            stage,
            base + unit * 0.02,
            unit * 0.09,
            mix(stage.palette.sky[2], light, 0.3),
            0.42 - 0.1 * i as f32,
        );
    }
    sky::rays(stage, from, light, 0.3, None, 1.25);
    let ground = land::ridge(stage, "floor", Form::Hills, foot + unit * 0.05, unit * 0.06, 1.2);
    land::paint(stage, &ground, &cloth(stage.land(0.72), stage.land(0.95), unit * 0.2, 0.2, 0.2));
    let ink = stage.land(0.86);
    land::grass(stage, &ground, ink, unit * 0.035);
    frame_trees(stage);
}

/// Firs that leave the middle open where a subject stands.
fn firs_clear(stage: &mut Stage, profile: &[f32], t: f32, tall: f32, count: usize) {
    if !stage.allowed(&["tree", "trees", "fir", "pine"]) {
        return;
    }
    let mut rng = stage.rng(["x", "y", "z", "w"][(t * 4.0) as usize % 4]);
    let mut path = Path::default();
    let n = ((count as f32 * stage.w() / stage.unit()) as usize).min(300);
    for _ in 0..n {
        let x = rng.range(-0.02, 1.02) * stage.w();
        let at = (x.max(0.0) as usize).min(profile.len().saturating_sub(1));
        let away = stage.subject.map_or(1.0, |s| ((x - s.x).abs() / (s.r * 1.1)).min(1.0));
        let size = tall * rng.range(0.6, 1.3) * (0.6 + 0.4 * away);
        flora::fir(&mut path, &mut rng, x, profile[at] + tall * 0.06, size);
    }
    fill_trees(stage, &path, t, tall);
}

/// Tall dark trees at both sides: a frame that leads the eye to the middle.
fn frame_trees(stage: &mut Stage) {
    if !stage.allowed(&["tree", "trees", "fir", "pine"]) {
        return;
    }
    let mut rng = stage.rng("frame");
    let (w, h, unit) = (stage.w(), stage.h(), stage.unit());
    let mut path = Path::default();
    for side in [0.0, 1.0] {
        for i in 0..3 {
            let inset = unit * (0.02 + 0.085 * i as f32) * rng.range(0.6, 1.2);
            let x = if side == 0.0 { inset } else { w - inset };
            let tall = unit * (0.52 - 0.12 * i as f32) * rng.range(0.85, 1.15);
            if !stage.layout.taken(x - tall * 0.2, h - tall, x + tall * 0.2, h, 0.0) {
                flora::fir(&mut path, &mut rng, x, h + unit * 0.03, tall);
            }
        }
    }
    fill_trees(stage, &path, 0.95, unit * 0.5);
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

fn trees_on(
    stage: &mut Stage,
    profile: &[f32],
    tone: crate::scene::canvas::Colour,
    tall: f32,
    count: usize,
    topic: &str,
) {
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

pub(super) fn jungle(stage: &mut Stage) {
    let place = sun_place(stage);
    open_sky(stage, place, 0.08, 0.5);
    let (unit, horizon) = (stage.unit(), stage.layout.horizon);
    let (w, h, foot) = (stage.w(), stage.h(), stage.footing());
    let haze = mix(stage.palette.sky[2], stage.palette.light, 0.3);
    let mut rng = stage.rng("jungle");
    // A stepped temple in the haze.
    let tx = if rng.chance(0.5) { 0.28 } else { 0.72 } * w;
    if stage.allowed(&["temple", "ruin", "building"]) {
        let mut temple = Path::default();
        for i in 0..6 {
            let half = unit * (0.25 - 0.036 * i as f32);
            temple.rect(tx - half, horizon - unit * 0.05 * (i + 1) as f32, half * 2.0, unit * 0.052);
        }
        temple.rect(tx - unit * 0.045, horizon - unit * 0.37, unit * 0.09, unit * 0.08);
        temple.rect(tx - unit * 0.058, horizon - unit * 0.385, unit * 0.116, unit * 0.02);
        let shape = temple.cover(stage.canvas.w, stage.canvas.h, 1);
        let tone = mix(stage.land(0.3), haze, 0.25);
        let from = stage.light[0];
        stage.canvas.fill(&shape, |x, _| (mix(tone, haze, if (x < tx) == (from < tx) { 0.22 } else { 0.0 }), 1.0));
    }
    for (i, t) in [0.15f32, 0.35, 0.55].into_iter().enumerate() {
        let base = horizon + (foot - horizon) * (0.1 + 0.38 * i as f32);
        let ground = land::ridge(stage, ["j1", "j2", "j3"][i], Form::Hills, base, unit * 0.08, 3.0);
        let mut path = Path::default();
        for _ in 0..((10.0 * w / unit) as usize).min(90) {
            let x = rng.range(0.0, w);
            let at = (x as usize).min(ground.len() - 1);
            let tall = unit * rng.range(0.09, 0.17) * (1.0 + 0.3 * i as f32);
            if rng.chance(0.45) {
                flora::palm(&mut path, &mut rng, x, ground[at] + tall * 0.1, tall * 1.1);
            } else {
                flora::broad(&mut path, &mut rng, x, ground[at] + tall * 0.1, tall * 0.8);
            }
        }
        if stage.allowed(&["tree", "trees", "palm"]) {
            fill_trees(stage, &path, t, unit * 0.2);
        }
        land::paint(stage, &ground, &cloth(stage.land(t - 0.05), stage.land(t + 0.1), unit * 0.12, 0.1, 0.15));
        land::mist(stage, base + unit * 0.02, unit * 0.07, haze, 0.35);
    }
    let (from, light) = (stage.light, stage.palette.light);
    sky::rays(stage, from, light, 0.26, None, 1.3);
    let floor = land::ridge(stage, "floor", Form::Hills, foot + unit * 0.06, unit * 0.06, 1.4);
    land::paint(stage, &floor, &cloth(stage.land(0.7), stage.land(0.95), unit * 0.2, 0.25, 0.25));
    land::grass(stage, &floor, stage.land(0.82), unit * 0.045);
    let mut leaves = Path::default();
    for i in 0..14 {
        let left = i % 2 == 0;
        let x = if left { -unit * 0.02 } else { w + unit * 0.02 };
        let y = h * rng.range(0.55, 1.02);
        let reach = unit * rng.range(0.14, 0.27) * if left { 1.0 } else { -1.0 };
        let to = [x + reach, y - unit * rng.range(-0.06, 0.14)];
        if !stage.layout.taken(x.min(to[0]), y.min(to[1]) - unit * 0.06, x.max(to[0]), y.max(to[1]) + unit * 0.06, 0.0)
        {
            flora::frond(&mut leaves, [x, y], to, rng.range(0.28, 0.5));
        }
    }
    fill_trees(stage, &leaves, 0.93, unit * 0.3);
}

pub(super) fn islands(stage: &mut Stage) {
    let mut place = sun_place(stage);
    place[1] *= 0.8;
    let (unit, w, h) = (stage.unit(), stage.w(), stage.h());
    let sun = sky::luminary(stage, place, 0.08);
    sky::gradient(stage, h * 0.95, 0.6);
    if stage.palette.night {
        sky::stars(stage, 120.0, h * 0.8);
    }
    if let Some(sun) = sun {
        sky::luminary_disc(stage, sun);
    }
    sky::clouds(stage, 1.0, h * 0.95);
    let mut rng = stage.rng("islands");
    let haze = stage.palette.sky[2];
    for (t, size, count) in [(0.1, 0.09, 4), (0.35, 0.15, 3)] {
        for _ in 0..count {
            let (x, y) = (rng.range(0.04, 0.96) * w, rng.range(0.3, 0.8) * h);
            let r = unit * size * rng.range(0.7, 1.3);
            let near_subject = stage.subject.is_some_and(|s| (x - s.x).abs() < s.r + r && (y - s.y).abs() < s.r + r);
            if !stage.layout.taken(x - r, y - r, x + r, y + r * 1.2, 0.0) && !near_subject {
                island(stage, &mut rng, x, y, r, t, haze);
            }
        }
    }
    if let (
        Some(s),
        Some(
            crate::scene::icons::Stance::Ground | crate::scene::icons::Stance::Item | crate::scene::icons::Stance::Bust,
        ),
    ) = (stage.subject, stage.stance)
    {
        let y = stage.footing();
        island(stage, &mut rng, s.x, y, s.r * 1.5, 0.6, haze);
    }
    land::mist(stage, h, unit * 0.28, mix(haze, [1.0; 4], 0.4), 0.75);
}

/// Rock that hangs in the air, green on top.
fn island(
    stage: &mut Stage,
    rng: &mut crate::scene::noise::Rng,
    x: f32,
    y: f32,
    r: f32,
    t: f32,
    haze: crate::scene::canvas::Colour,
) {
    let mut rock = Path::default();
    let mut points = vec![[x - r, y], [x + r, y]];
    let steps = 9;
    for i in 0..=steps {
        let u = 1.0 - 2.0 * i as f32 / steps as f32;
        let deep = (1.0 - u.abs()) * rng.range(0.75, 1.25) + 0.08;
        points.push([x + r * u * 0.96, y + r * 0.95 * deep]);
    }
    rock.polygon(&points);
    let shape = rock.cover(stage.canvas.w, stage.canvas.h, 1);
    let stone = mix(stage.land(t + 0.2), haze, 0.3 * (1.0 - t));
    let (lx, seed) = (stage.light[0], stage.texture("island"));
    stage.canvas.fill(&shape, |px, py| {
        let side = if (px < x) == (lx < x) { 1.16 } else { 0.86 };
        let n = crate::scene::noise::value(px * 14.0 / r, py * 5.0 / r, seed) - 0.5;
        (mix(scale(stone, side * (1.0 + 0.3 * n)), haze, ((py - y) / r * 0.55).clamp(0.0, 0.6)), 1.0)
    });
    let green = if stage.palette.night {
        mix(stage.palette.far, stage.palette.accent, 0.2)
    } else {
        mix(hex(0x6fb04a), stage.palette.far, 0.35)
    };
    let green = mix(green, haze, 0.35 * (1.0 - t));
    let mut trees = Path::default();
    if stage.allowed(&["tree", "trees"]) {
        for _ in 0..4 {
            let u = rng.range(-0.8, 0.8);
            let blocked = t > 0.5 && u.abs() < 0.62;
            if !blocked {
                let tall = r * rng.range(0.28, 0.5);
                flora::broad(&mut trees, rng, x + r * u, y + r * 0.02, tall);
            }
        }
    }
    let leaf = scale(green, 0.72);
    let shape = trees.cover(stage.canvas.w, stage.canvas.h, 1);
    stage.canvas.fill(&shape, |_, _| (leaf, 1.0));
    let mut top = Path::default();
    top.ellipse(x, y, r * 1.02, r * 0.13);
    let shape = top.cover(stage.canvas.w, stage.canvas.h, 1);
    let light = stage.palette.light;
    stage.canvas.fill(&shape, |_, py| {
        (mix(mix(green, light, 0.25), scale(green, 0.75), ((py - y) / (r * 0.26) + 0.5).clamp(0.0, 1.0)), 1.0)
    });
}
