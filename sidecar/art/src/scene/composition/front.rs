//! What floats before the subject: rain, snow, embers, fireflies; and the shadow it casts.

use crate::scene::canvas::{mix, scale, screen};
use crate::scene::icons::Stance;
use crate::scene::stage::Stage;

/// The subject's shadow on the ground, painted before the subject.
pub(in crate::scene) fn contact(stage: &mut Stage, composition: &str) {
    let (Some(s), Some(stance)) = (stage.subject, stage.stance) else {
        return;
    };
    let dark = scale(stage.palette.near, 0.45);
    let away = if stage.light[0] < s.x { 1.0 } else { -1.0 };
    match stance {
        Stance::Ground => {
            let y = s.y + s.r * 0.93;
            stage.canvas.shadow(s.x + away * s.r * 0.18, y, s.r * 1.15, s.r * 0.16, dark, 0.55);
            stage.canvas.shadow(s.x, y, s.r * 0.75, s.r * 0.08, dark, 0.6);
        }
        Stance::Item | Stance::Bust if composition == "tabletop" => {
            stage.canvas.shadow(s.x + away * s.r * 0.2, s.y + s.r * 0.95, s.r * 0.95, s.r * 0.17, dark, 0.6);
        }
        Stance::Water => {
            let y = s.y + s.r * 0.86;
            stage.canvas.shadow(s.x, y, s.r * 1.0, s.r * 0.12, dark, 0.4);
        }
        _ => {}
    }
}

/// Small things in the air, by weather words, palette and composition.
pub(in crate::scene) fn front(stage: &mut Stage, composition: &str) {
    if stage.asked(&["rain", "rainy", "storm", "stormy", "downpour"]) && stage.allowed(&["rain"]) {
        rain(stage);
    }
    let snow = composition == "aurora" || stage.asked(&["snow", "snowy", "blizzard", "christmas", "winter"]);
    if snow && stage.allowed(&["snow"]) {
        flakes(stage, 150.0, [1.0, 1.0, 1.0, 0.0], 0.9);
    }
    match composition {
        "volcano" => motes(stage, 70.0, stage.palette.accent, 0.95),
        "forest" | "jungle" | "haunted" => motes(stage, 26.0, stage.palette.accent, 0.8),
        "castle" | "dungeon" | "vault" | "mountains" | "desert" | "meadow" => {
            motes(stage, 18.0, mix(stage.palette.light, stage.palette.accent, 0.5), 0.6)
        }
        "city" | "grid" | "arena" => motes(stage, 16.0, stage.palette.accent, 0.55),
        "cavern" | "burst" | "spotlight" => {
            motes(stage, 24.0, mix(stage.palette.light, stage.palette.accent, 0.5), 0.75)
        }
        _ => {}
    }
}

/// Glowing points of different nearness.
fn motes(stage: &mut Stage, count: f32, tone: [f32; 4], strength: f32) {
    let mut rng = stage.rng("motes");
    let (w, h, unit) = (stage.w(), stage.h(), stage.unit());
    for _ in 0..((count * w * h / (unit * unit)) as usize).min(600) {
        let (x, y, m) = (rng.range(0.0, w), rng.range(0.15, 1.0) * h, rng.unit());
        let r = unit * (0.005 + 0.013 * m * m);
        if stage.layout.covered(x, y, unit * 0.03) {
            continue;
        }
        stage.canvas.glow(x, y, (r * 1.5).max(1.2), tone, strength * (0.4 + 0.4 * rng.unit()));
        stage.canvas.glow(x, y, (r * 0.6).max(1.0), [1.0, 1.0, 1.0, 0.0], strength * 0.5);
    }
}

fn flakes(stage: &mut Stage, count: f32, tone: [f32; 4], strength: f32) {
    let mut rng = stage.rng("flakes");
    let (w, h, unit) = (stage.w(), stage.h(), stage.unit());
    for _ in 0..((count * w * h / (unit * unit)) as usize).min(2000) {
        let (x, y, m) = (rng.range(0.0, w), rng.range(0.0, h), rng.unit());
        if stage.layout.covered(x, y, unit * 0.02) {
            continue;
        }
        let r = unit * (0.003 + 0.007 * m * m * m);
        stage.canvas.glow(x, y, (r * 1.6).max(1.1), tone, strength * (0.4 + 0.5 * m));
    }
}

/// Slanted streaks, fainter in text areas.
fn rain(stage: &mut Stage) {
    let mut rng = stage.rng("rain");
    let (w, h, unit) = (stage.w(), stage.h(), stage.unit());
    let tone = mix(stage.palette.light, stage.palette.sky[2], 0.3);
    for _ in 0..((220.0 * w * h / (unit * unit)) as usize).min(3000) {
        let (x, y) = (rng.range(-0.05, 1.05) * w, rng.range(-0.05, 1.0) * h);
        let long = unit * rng.range(0.03, 0.07);
        let k = rng.range(0.12, 0.4);
        if stage.layout.covered(x, y, unit * 0.05) {
            continue;
        }
        let wide = (unit * 0.0022).max(0.6);
        stage.canvas.shade_box([x - long * 0.22 - wide, y, long * 0.22 + wide * 2.0, long], |px, py, p| {
            let t = (py - y) / long;
            let d = (px - (x - long * 0.22 * t)).abs() / wide;
            screen(p, scale(tone, (1.0 - d).max(0.0) * k * t.clamp(0.0, 1.0)))
        });
    }
}
