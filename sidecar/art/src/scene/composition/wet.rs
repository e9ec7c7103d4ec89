//! Water: the sea's surface and what lies below it.

use super::cloth;
use crate::scene::canvas::{mix, scale, screen, smooth};
use crate::scene::flora;
use crate::scene::icons::Stance;
use crate::scene::land::{self, Form};
use crate::scene::noise::{Field, value};
use crate::scene::raster::Path;
use crate::scene::sky;
use crate::scene::stage::Stage;
use crate::scene::tint::hex;

pub(super) fn sea(stage: &mut Stage) {
    let (unit, w, h) = (stage.unit(), stage.w(), stage.h());
    let mut rng = stage.rng("sea");
    let line = stage.layout.horizon - unit * 0.02;
    let side = if rng.chance(0.5) { 1.0 } else { -1.0 };
    let sun = sky::luminary(stage, [0.5 + side * rng.range(0.1, 0.28), line / h - rng.range(0.03, 0.12)], 0.095);
    sky::gradient(stage, line, 0.65);
    if stage.palette.night {
        sky::stars(stage, 130.0, line);
    }
    if stage.asked(&["aurora", "borealis"]) {
        sky::aurora(stage, line);
    }
    if let Some(sun) = sun {
        sky::luminary_disc(stage, sun);
    }
    sky::clouds(stage, 0.9, line);
    let haze = stage.palette.sky[2];
    if stage.allowed(&["island", "mountain", "land"]) {
        let isles = land::ridge(stage, "isles", Form::Peaks, line + unit * 0.07, unit * 0.17, 1.5);
        let isles: Vec<f32> = isles.iter().map(|y| y.max(line - unit * 0.12)).collect();
        land::paint(
            stage,
            &isles,
            &cloth(mix(stage.land(0.1), haze, 0.25), mix(stage.land(0.15), haze, 0.45), unit * 0.14, 0.4, 0.2),
        );
    }
    let near = stage.palette.near;
    land::water(stage, line, mix(near, stage.palette.far, 0.22));
    land::mist(stage, line, unit * 0.045, haze, 0.5);
    // Something that does not swim stands on a beach.
    if let (Some(s), Some(Stance::Ground | Stance::Item | Stance::Bust)) = (stage.subject, stage.stance) {
        let foot = stage.footing();
        let sand = if stage.palette.night { stage.land(0.6) } else { mix(hex(0xf0d9a4), stage.palette.far, 0.2) };
        let beach: Vec<f32> = (0..stage.canvas.w)
            .map(|x| {
                let d = (x as f32 - s.x) / w;
                foot - unit * 0.02 + d * d * unit * 0.5 + unit * 0.02 * value(x as f32 * 3.0 / unit, 0.0, 7)
            })
            .collect();
        let foam_tone = mix([1.0, 1.0, 1.0, 0.0], stage.palette.sky[1], if stage.palette.night { 0.6 } else { 0.15 });
        let foam: Vec<f32> = beach.iter().map(|y| y - unit * 0.014).collect();
        land::paint(stage, &foam, &cloth(foam_tone, mix(sand, [1.0; 4], 0.5), unit * 0.02, 0.0, 0.0));
        land::paint(stage, &beach, &cloth(sand, mix(sand, stage.palette.near, 0.55), unit * 0.3, 0.1, 0.12));
        if stage.allowed(&["palm", "tree", "trees"]) && rng.chance(0.75) {
            let mut path = Path::default();
            let x = s.x - side * (s.r + unit * 0.16);
            let at = (x.clamp(0.0, w - 1.0) as usize).min(beach.len() - 1);
            let tall = unit * 0.4;
            if !stage.layout.taken(x - tall * 0.5, beach[at] - tall * 1.2, x + tall * 0.5, beach[at], 0.0) {
                flora::palm(&mut path, &mut rng, x, beach[at] + unit * 0.03, tall);
                let shape = path.cover(stage.canvas.w, stage.canvas.h, 1);
                let tone = mix(stage.palette.near, hex(0x2f6b45), 0.3);
                stage.canvas.fill(&shape, |_, _| (tone, 1.0));
            }
        }
    }
}

pub(super) fn underwater(stage: &mut Stage) {
    let (unit, w, h) = (stage.unit(), stage.w(), stage.h());
    let mut rng = stage.rng("underwater");
    stage.light = [w * rng.range(0.3, 0.7), -unit * 0.25];
    sky::gradient(stage, h * 1.05, 0.8);
    let (from, light) = (stage.light, mix(stage.palette.light, stage.palette.accent, 0.3));
    sky::rays(stage, from, light, 0.4, None, 1.5);
    let seed = stage.texture("caustics");
    let net = Field::new(stage.canvas.w, stage.canvas.h, 150, |x, y| {
        let k = 7.0 / unit;
        let n = value(x * k + 2.0 * value(x * k * 0.6, y * k, seed), y * k * 1.7, seed) * 2.0 - 1.0;
        smooth(0.25, 0.0, n.abs()) * (1.0 - y / (h * 0.45)).max(0.0)
    });
    stage.canvas.shade(|x, y, p| screen(p, scale(light, net.at(x, y) * 0.16)));
    let floor = stage.footing();
    for (i, t) in [0.15f32, 0.4].into_iter().enumerate() {
        let reef = land::ridge(
            stage,
            ["reef1", "reef2"][i],
            Form::Peaks,
            floor + unit * 0.02,
            unit * [0.3, 0.2][i],
            [2.4, 3.2][i],
        );
        let tone = mix(stage.palette.sky[1], stage.palette.near, 0.25 + t);
        land::paint(stage, &reef, &cloth(tone, mix(tone, stage.palette.near, 0.25), unit * 0.25, 0.12, 0.2));
    }
    let mut weeds = Path::default();
    for _ in 0..((16.0 * w / unit) as usize).min(120) {
        let x = rng.range(0.0, w);
        if stage.subject.is_some_and(|s| (x - s.x).abs() < s.r * 1.05) {
            continue;
        }
        let (tall, sway) = (unit * rng.range(0.1, 0.3), rng.range(-1.0, 1.0));
        let mut last = [x, floor + unit * 0.08];
        for i in 1..=7 {
            let t = i as f32 / 7.0;
            let bend = (value(t * 3.0, x, seed) - 0.5) * 0.5 + sway * 0.25 * t;
            let next = [x + bend * tall * 0.6, floor + unit * 0.08 - tall * t];
            weeds.stroke(last, next, unit * 0.022 * (1.15 - t), unit * 0.022 * (1.0 - t) + 0.3);
            last = next;
        }
    }
    let shape = weeds.cover(stage.canvas.w, stage.canvas.h, 1);
    let (deep, pale) = (stage.land(0.75), mix(stage.palette.accent, stage.palette.sky[1], 0.72));
    stage.canvas.fill(&shape, |_, y| (mix(pale, deep, smooth(floor - unit * 0.25, floor + unit * 0.08, y)), 1.0));
    let sand = land::ridge(stage, "sand", Form::Hills, floor + unit * 0.06, unit * 0.05, 1.2);
    let tone = mix(stage.palette.sky[1], stage.palette.light, 0.22);
    land::paint(
        stage,
        &sand,
        &cloth(
            mix(tone, stage.palette.near, 0.25),
            mix(stage.palette.near, stage.palette.sky[2], 0.3),
            unit * 0.26,
            0.15,
            0.12,
        ),
    );
    for _ in 0..26 {
        let (x, y) = (rng.range(0.0, w), rng.range(0.15, 1.0) * h);
        let r = unit * rng.range(0.003, 0.014);
        if stage.layout.covered(x, y, unit * 0.04) {
            continue;
        }
        stage.canvas.disc(x, y, r, 1.2, |u, v| {
            let d = u * u + v * v;
            (
                mix(light, [1.0; 4], smooth(0.3, 0.0, (u + 0.35) * (u + 0.35) + (v + 0.35) * (v + 0.35))),
                0.12 + 0.45 * smooth(0.5, 1.0, d),
            )
        });
    }
}
