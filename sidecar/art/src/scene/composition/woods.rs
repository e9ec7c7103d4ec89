//! Among trees: a forest and a jungle.

use super::cloth;
use crate::scene::canvas::mix;
use crate::scene::flora;
use crate::scene::land::{self, Form};
use crate::scene::raster::Path;
use crate::scene::sky;
use crate::scene::stage::Stage;

use super::open::{fill_trees, open_sky, sun_place};

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
pub(super) fn firs_clear(stage: &mut Stage, profile: &[f32], t: f32, tall: f32, count: usize) {
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
