//! Islands that float in the sky.

use crate::scene::canvas::{Colour, mix, scale};
use crate::scene::flora;
use crate::scene::icons::Stance;
use crate::scene::land;
use crate::scene::noise::{Rng, value};
use crate::scene::raster::Path;
use crate::scene::sky;
use crate::scene::stage::Stage;
use crate::scene::tint::hex;

use super::open::sun_place;

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
    if let (Some(s), Some(Stance::Ground | Stance::Item | Stance::Bust)) = (stage.subject, stage.stance) {
        let y = stage.footing();
        island(stage, &mut rng, s.x, y, s.r * 1.5, 0.6, haze);
    }
    land::mist(stage, h, unit * 0.28, mix(haze, [1.0; 4], 0.4), 0.75);
}

/// Rock that hangs in the air, green on top.
fn island(stage: &mut Stage, rng: &mut Rng, x: f32, y: f32, r: f32, t: f32, haze: Colour) {
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
        let n = value(px * 14.0 / r, py * 5.0 / r, seed) - 0.5;
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
