//! Where things are shown: an arena, and a table in a studio.

use crate::scene::canvas::{mix, scale, screen, smooth, stops};
use crate::scene::land;
use crate::scene::noise::{hash, value};
use crate::scene::sky;
use crate::scene::stage::Stage;

use super::hall::plinth;

pub(super) fn arena(stage: &mut Stage) {
    let (unit, w, h) = (stage.unit(), stage.w(), stage.h());
    let mut rng = stage.rng("arena");
    let foot = stage.footing();
    let line = (foot - unit * 0.16).min(stage.layout.horizon);
    let cx = stage.subject.map_or(w * 0.5, |s| s.x);
    stage.light = [cx, -unit * 0.1];
    sky::gradient(stage, line * 1.1, 0.35);
    let stand = mix(stage.palette.far, stage.palette.near, 0.4);
    let seed = stage.texture("crowd");
    let cell = unit * 0.016;
    let tops = unit * 0.24;
    let (accent, light, paint, near) =
        (stage.palette.accent, stage.palette.light, stage.palette.paint, stage.palette.near);
    // Stands curve away; every seat is a speck of some colour.
    stage.canvas.shade_box([0.0, line - tops * 1.4, w, tops * 1.4], |x, y, p| {
        let u = (x - cx) / w;
        let rim = line - tops * (0.62 + 1.3 * u * u);
        if y < rim {
            return p;
        }
        let row = ((y - rim) / cell).floor();
        let person = hash((x / cell) as u32, row.max(0.0) as u32, seed);
        let (fu, fv) = (x / cell - (x / cell).floor() - 0.5, (y - rim) / cell - row - 0.5);
        let head = fu * fu + fv * fv < 0.12;
        let base = mix(stand, near, ((y - rim) / tops * 0.6).clamp(0.0, 0.8));
        if !head || row < 1.0 {
            return base;
        }
        let tone = [accent, light, paint, stand][(person & 3) as usize];
        mix(base, tone, 0.18 + 0.4 * ((person >> 8) & 0xff) as f32 / 255.0)
    });
    let field = if stage.asked(&["soccer", "football", "baseball", "golf", "rugby", "tennis", "goal"]) {
        mix([0.25, 0.58, 0.26, 0.0], stage.palette.near, 0.15)
    } else {
        mix(stage.palette.sky[1], stage.palette.far, 0.5)
    };
    let first = (line.max(0.0) as usize).min(stage.canvas.h);
    for y in first..stage.canvas.h {
        let t = (y as f32 - line) / (h - line).max(1.0);
        let deep = 0.3 + t;
        for (x, p) in stage.canvas.row(y).iter_mut().enumerate() {
            let u = (x as f32 - cx) / (unit * 0.3 * deep);
            let stripe = if (u + 100.0).floor() as i64 % 2 == 0 { 1.06 } else { 0.94 };
            let d = ((x as f32 - cx) / (unit * 0.62)).abs();
            let pool = (1.0 - d * d).max(0.0) * (1.0 - (t - 0.25).abs());
            *p = screen(scale(mix(field, near, 0.12 + 0.5 * t), stripe), scale(light, pool.max(0.0) * 0.16));
        }
    }
    land::mist(stage, line, unit * 0.06, mix(stage.palette.sky[2], light, 0.3), 0.4);
    for i in 0..4 {
        let x = w * (0.08 + 0.28 * i as f32) + rng.range(-0.02, 0.02) * w;
        let y = line - tops * 1.25 - unit * 0.06;
        if stage.layout.covered(x, y, unit * 0.05) {
            continue;
        }
        let aim = cx + (x - cx) * 0.15;
        let reach = unit * 0.16;
        stage.canvas.shade_box([x.min(aim) - reach, y, (x - aim).abs() + reach * 2.0, foot - y], |px, py, p| {
            let t = (py - y) / (foot - y).max(1.0);
            let mid = x + (aim - x) * t;
            let k = (1.0 - ((px - mid) / (reach * (0.12 + 0.88 * t))).abs()).max(0.0);
            screen(p, scale(light, k * 0.26 * (1.0 - t * 0.75)))
        });
        stage.canvas.glow(x, y, unit * 0.09, light, 0.95);
        stage.canvas.glow(x, y, unit * 0.03, [1.0, 1.0, 1.0, 0.0], 1.0);
    }
    plinth(stage);
}

pub(super) fn tabletop(stage: &mut Stage) {
    let (unit, w, h) = (stage.unit(), stage.w(), stage.h());
    let mut rng = stage.rng("table");
    let cx = stage.subject.map_or(w * 0.5, |s| s.x);
    let edge = stage.subject.map_or(h * 0.68, |s| (s.y + s.r * 0.5).min(h * 0.86));
    let side = if rng.chance(0.5) { 1.0 } else { -1.0 };
    stage.light = [cx + side * unit * 0.5, -unit * 0.1];
    let (wall, dark) =
        (mix(stage.palette.sky[1], stage.palette.sky[2], 0.35), mix(stage.palette.sky[0], stage.palette.near, 0.45));
    let plain = stage.palette.sky[1];
    let spot = [cx + side * unit * 0.1, edge - unit * 0.25];
    stage.canvas.shade(|x, y, _| {
        let (u, v) = ((x - spot[0]) / unit, (y - spot[1]) / unit);
        stops(wall, plain, dark, (u * u + v * v).sqrt() * 1.15)
    });
    // Lights out of focus on the far wall.
    for _ in 0..14 {
        let (x, y) = (rng.range(0.0, w), rng.range(0.05, 0.95) * edge);
        let r = unit * rng.range(0.02, 0.06);
        if stage.layout.taken(x - r, y - r, x + r, y + r, unit * 0.01) {
            continue;
        }
        let tone = if rng.chance(0.5) { stage.palette.accent } else { stage.palette.light };
        let k = rng.range(0.05, 0.16);
        stage.canvas.disc(x, y, r, r * 0.25, |u, v| (tone, k * (0.7 + 0.3 * smooth(0.5, 1.0, u * u + v * v))));
    }
    let wood = if stage.asked(&["marble", "stone", "glass"]) {
        mix(stage.palette.sky[2], [0.8, 0.8, 0.82, 0.0], 0.5)
    } else {
        mix([0.5, 0.31, 0.18, 0.0], stage.palette.far, 0.25)
    };
    let seed = stage.texture("wood");
    let light = stage.palette.light;
    let first = (edge.max(0.0) as usize).min(stage.canvas.h);
    for y in first..stage.canvas.h {
        let t = (y as f32 - edge) / (h - edge).max(1.0);
        let deep = 0.35 + t;
        let lip = smooth(unit * 0.012, 0.0, y as f32 - edge);
        for (x, p) in stage.canvas.row(y).iter_mut().enumerate() {
            let u = (x as f32 - cx) / (unit * 0.2 * deep);
            let plank = u.floor();
            let f = u - plank;
            let joint = smooth(0.0, 0.025, f.min(1.0 - f));
            let n = value(u * 5.0 + 3.0 * value(u * 1.5, 1.2 / deep, seed), 3.0 / deep + plank * 7.0, seed);
            let tone = hash((plank + 50.0).max(0.0) as u32, 1, seed) & 0xff;
            let grain = scale(wood, (0.78 + 0.26 * n + 0.12 * tone as f32 / 255.0) * (0.55 + 0.45 * joint));
            let (du, dv) = ((x as f32 - spot[0]) / (unit * 0.6), t - 0.25);
            let pool = (1.0 - du * du - dv * dv * 1.2).max(0.0);
            let c = scale(grain, 0.42 + 0.66 * pool);
            *p = mix(screen(c, scale(light, pool * pool * 0.14 + lip * 0.25)), *p, 0.0);
        }
    }
}
