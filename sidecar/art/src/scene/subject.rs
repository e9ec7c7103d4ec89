//! The subject: an icon's flat outline made a lit figure of the scene.
//!
//! The figure's hull (outline with its gaps closed) gives a body, the strokes of the icon give relief on it;
//! from both a height field, from that normals, and these meet the scene's light.

use super::canvas::{Canvas, Colour, add, mix, scale, screen, smooth};
use super::icons::{Icon, Stance};
use super::layout::Spot;
use super::material::Material;
use super::noise::Field;
use super::stage::Stage;

/// Cells along the coarse grid on which the hull is found: fine enough for a silhouette, and its cost does not grow with the picture.
const GRID: usize = 144;

/// The figure's shapes in the pixels of the canvas.
struct Figure {
    x: usize,
    y: usize,
    w: usize,
    h: usize,
    /// Strokes, as drawn.
    ink: Vec<f32>,
    /// The strokes made soft: what the outline follows.
    soft: Vec<f32>,
    /// Height of the relief.
    height: Vec<f32>,
    hull: Field,
}

/// Paints `icon` in the square of `spot`; returns left, top, right, bottom of what it covers.
pub(super) fn draw(stage: &mut Stage, icon: &Icon, spot: Spot, material: &Material) -> Option<[f32; 4]> {
    let figure = figure(icon, spot, stage.canvas.w, stage.canvas.h)?;
    halo(stage, spot, material);
    outline(stage, &figure, spot);
    shade(stage, &figure, spot, material);
    Some([figure.x as f32, figure.y as f32, (figure.x + figure.w) as f32, (figure.y + figure.h) as f32])
}

fn figure(icon: &Icon, spot: Spot, cw: usize, ch: usize) -> Option<Figure> {
    let outline = icon.outline();
    let [l, t, r, b] = outline.bounds()?;
    let margin = 0.96;
    let k = 2.0 * spot.r * margin / (r - l).max(b - t).max(1.0);
    // Standing things stand on the square's foot; everything else is centred.
    let dy = if icon.stance == Stance::Ground { spot.y + spot.r * margin - b * k } else { spot.y - (t + b) * 0.5 * k };
    let placed = outline.placed([k, k], spot.x - (l + r) * 0.5 * k, dy);
    let pad = (spot.r * 0.05).ceil() as usize + 1;
    let cover = placed.cover(cw, ch, pad);
    if cover.w < 3 || cover.h < 3 {
        return None;
    }
    let side = spot.r * 2.0;
    let hull = hull(&cover.a, cover.w, cover.h, side);
    // Blurred twice: one pass leaves the square corners of its window in the outline.
    let soft = blurred(
        &blurred(&cover.a, cover.w, cover.h, (side * 0.007).max(1.0)),
        cover.w,
        cover.h,
        (side * 0.007).max(1.0),
    );
    let fine = blurred(&cover.a, cover.w, cover.h, (side * 0.008).max(0.8));
    let mid = blurred(&fine, cover.w, cover.h, (side * 0.026).max(1.0));
    let mut broad = Vec::with_capacity(fine.len());
    for y in 0..cover.h {
        broad.extend((0..cover.w).map(|x| hull.1.at(x as f32, y as f32)));
    }
    // The dome comes from a coarse grid: without this its straight pieces show as facets in the light.
    let broad = blurred(&broad, cover.w, cover.h, (side * 0.02).max(1.0));
    let height = fine.iter().zip(&mid).zip(&broad).map(|((f, m), b)| f * 0.011 + m * 0.05 + b * 0.24).collect();
    Some(Figure { x: cover.x, y: cover.y, w: cover.w, h: cover.h, ink: cover.a, soft, height, hull: hull.0 })
}

/// The silhouette with gaps closed, and a broad dome over it, both as smooth fields.
fn hull(ink: &[f32], w: usize, h: usize, side: f32) -> (Field, Field) {
    let step = (w.max(h) as f32 / GRID as f32).max(1.0);
    let (gw, gh) = ((w as f32 / step).ceil() as usize + 2, (h as f32 / step).ceil() as usize + 2);
    let mut grid = vec![0.0f32; gw * gh];
    for (y, row) in ink.chunks_exact(w).enumerate() {
        let j = (y as f32 / step) as usize;
        for (x, v) in row.iter().enumerate() {
            let i = (x as f32 / step) as usize;
            let cell = &mut grid[j * gw + i];
            *cell = cell.max(*v);
        }
    }
    // Close gaps narrower than about 6 % of the figure, so that its parts hold together.
    let reach = (side * 0.026 / step).max(1.0);
    let grown = blurred(&grid, gw, gh, reach);
    let solid: Vec<bool> = grown.iter().map(|v| *v > 0.12).collect();
    let mut outside = vec![false; gw * gh];
    let mut queue: Vec<usize> =
        (0..gw).flat_map(|i| [i, (gh - 1) * gw + i]).chain((0..gh).flat_map(|j| [j * gw, j * gw + gw - 1])).collect();
    while let Some(at) = queue.pop() {
        if outside[at] || solid[at] {
            continue;
        }
        outside[at] = true;
        let (i, j) = (at % gw, at / gw);
        if i > 0 {
            queue.push(at - 1);
        }
        if i + 1 < gw {
            queue.push(at + 1);
        }
        if j > 0 {
            queue.push(at - gw);
        }
        if j + 1 < gh {
            queue.push(at + gw);
        }
    }
    let inside: Vec<f32> = outside.iter().map(|o| if *o { 0.0 } else { 1.0 }).collect();
    let soft = blurred(&inside, gw, gh, reach);
    let dome = blurred(&blurred(&inside, gw, gh, side * 0.07 / step), gw, gh, side * 0.05 / step);
    let read = |v: Vec<f32>| {
        move |x: f32, y: f32| {
            let at = ((y / step) as usize).min(gh - 1) * gw + ((x / step) as usize).min(gw - 1);
            v[at]
        }
    };
    let nodes = (w.max(h) as f32 / step).max(2.0) as usize;
    (Field::new(w, h, nodes, read(soft)), Field::new(w, h, nodes, read(dome)))
}

/// Averages over a square window of a radius in pixels.
fn blurred(v: &[f32], w: usize, h: usize, radius: f32) -> Vec<f32> {
    let r = radius.round().max(1.0) as usize;
    let mut out = v.to_vec();
    let mut line = vec![0.0; w.max(h)];
    let norm = 1.0 / (2 * r + 1) as f32;
    for row in out.chunks_exact_mut(w) {
        line[..w].copy_from_slice(row);
        let mut sum: f32 = line[..r.min(w)].iter().sum();
        for x in 0..w {
            if x + r < w {
                sum += line[x + r];
            }
            if x > r {
                sum -= line[x - r - 1];
            }
            row[x] = sum * norm;
        }
    }
    // Columns all at once, a running sum per column, so that memory is read in order.
    let source = out.clone();
    let mut sums = vec![0.0f32; w];
    let add_row = |sums: &mut [f32], y: usize, sign: f32| {
        for (s, v) in sums.iter_mut().zip(&source[y * w..(y + 1) * w]) {
            *s += v * sign;
        }
    };
    for y in 0..r.min(h) {
        add_row(&mut sums, y, 1.0);
    }
    for y in 0..h {
        if y + r < h {
            add_row(&mut sums, y + r, 1.0);
        }
        if y > r {
            add_row(&mut sums, y - r - 1, -1.0);
        }
        for (o, s) in out[y * w..(y + 1) * w].iter_mut().zip(&sums) {
            *o = s * norm;
        }
    }
    out
}

/// Light behind the figure, so that it stands out from any background.
fn halo(stage: &mut Stage, spot: Spot, material: &Material) {
    let (light, accent) = (stage.palette.light, stage.palette.accent);
    let colour = if material.glow > 0.1 { mix(material.low, light, 0.35) } else { mix(light, accent, 0.25) };
    let strength = 0.34 + 0.4 * material.glow;
    let reach = spot.r * (1.55 + 0.35 * material.glow);
    stage.canvas.glow(spot.x, spot.y, reach, colour, strength);
}

/// A dark rim around the hull and the shadow it casts on what is behind.
fn outline(stage: &mut Stage, figure: &Figure, spot: Spot) {
    let ink = scale(stage.palette.near, 0.45);
    let toward = if stage.light[0] < spot.x { 1.0 } else { -1.0 };
    let drop = [toward * spot.r * 0.035, spot.r * 0.05];
    blend(&mut stage.canvas, figure, |x, y, p| {
        let edge = smooth(0.02, 0.16, figure.soft[y as usize * figure.w + x as usize]).max(smooth(
            0.62,
            0.8,
            figure.hull.at(x, y),
        ));
        let cast = smooth(0.1, 0.9, figure.hull.at((x - drop[0]).max(0.0), (y - drop[1]).max(0.0)));
        mix(p, ink, (cast * 0.35).max(edge * 0.92))
    });
}

/// Visits the figure's pixels with places relative to the figure.
fn blend(canvas: &mut Canvas, figure: &Figure, mut paint: impl FnMut(f32, f32, Colour) -> Colour) {
    for j in 0..figure.h {
        let at = (figure.y + j) * canvas.w + figure.x;
        for (i, p) in canvas.px[at..at + figure.w].iter_mut().enumerate() {
            *p = paint(i as f32, j as f32, *p);
        }
    }
}

fn shade(stage: &mut Stage, figure: &Figure, spot: Spot, m: &Material) {
    let side = spot.r * 2.0;
    let slope = side * 0.9;
    let (w, h) = (figure.w, figure.h);
    // The key light stands before the scene, on the side of the sun: a sun behind would leave only a silhouette.
    let sx = (stage.light[0] - spot.x) / stage.unit();
    let key_x = if sx.abs() < 0.08 { -0.45 } else { sx.clamp(-0.6, 0.6) };
    let key = unit([key_x, -0.62, 0.66]);
    let half = unit([key[0], key[1], key[2] + 1.0]);
    let rim_dir = unit([-key[0] * 1.2, -0.35, 0.0]);
    let palette = &stage.palette;
    let light = mix(palette.light, [1.0, 1.0, 1.0, 0.0], 0.4);
    let ambient = mix(palette.sky[1], palette.sky[2], 0.5);
    let rim_tone = mix(palette.sky[2], palette.accent, 0.35);
    let shade_tone = mix(palette.near, palette.sky[0], 0.3);
    let (ground, sky) = (mix(palette.near, palette.far, 0.35), mix(palette.sky[2], [1.0, 1.0, 1.0, 0.0], 0.45));
    let canvas = &mut stage.canvas;
    for j in 0..h {
        let v = (figure.y + j) as f32 - spot.y;
        let v = (v / spot.r * 0.5 + 0.5).clamp(0.0, 1.0);
        let body = mix(m.top, m.low, smooth(0.05, 0.95, v));
        let core = if m.clear {
            mix(scale(m.core, 0.8), mix(m.core, [1.0; 4], 0.16), smooth(0.15, 1.0, v))
        } else {
            mix(m.core, shade_tone, 0.35)
        };
        let at = (figure.y + j) * canvas.w + figure.x;
        let row = &mut canvas.px[at..at + w];
        let (up, down) = (j.saturating_sub(1) * w, (j + 1).min(h - 1) * w);
        for (i, p) in row.iter_mut().enumerate() {
            let solid = smooth(0.7, 0.88, figure.hull.at(i as f32, j as f32));
            let ink = figure.ink[j * w + i];
            if solid <= 0.0 && ink <= 0.0 {
                continue;
            }
            let (l, r) = (i.saturating_sub(1), (i + 1).min(w - 1));
            let gx = (figure.height[j * w + r] - figure.height[j * w + l]) * slope;
            let gy = (figure.height[down + i] - figure.height[up + i]) * slope;
            let n = unit([-gx, -gy, 0.55]);
            let lambert = (n[0] * key[0] + n[1] * key[1] + n[2] * key[2]).max(0.0);
            let lit = smooth(0.0, 0.95, lambert);
            let spec = (n[0] * half[0] + n[1] * half[1] + n[2] * half[2]).max(0.0);
            let s2 = spec * spec;
            let s8 = s2 * s2 * s2 * s2;
            let shine = s8 * s8 * s8 * m.gloss;
            let rim = (n[0] * rim_dir[0] + n[1] * rim_dir[1]).max(0.0);
            let paint = |c: Colour, gain: f32| {
                // Shade turns toward the scene's dark colour instead of black: that ties the figure to its place.
                let dark = mix(scale(c, 0.5), shade_tone, 0.38 - 0.3 * m.glow);
                let bright = mix(c, light, 0.18);
                let mut c = mix(dark, bright, (0.18 + 0.86 * lit) * gain + m.glow * 0.5 * (1.0 - lit));
                if m.mirror > 0.0 {
                    let t = smooth(-0.5, 0.35, -n[1] - 0.12);
                    let image = mix(mix(ground, c, 0.45), mix(sky, c, 0.35), t);
                    c = mix(c, image, m.mirror * 0.55);
                }
                c = add(c, scale(ambient, 0.10 * (0.5 - n[1] * 0.5)));
                c = screen(c, scale(rim_tone, rim * rim * 0.55));
                screen(c, scale(light, shine))
            };
            if solid > 0.0 {
                let c = if m.clear { paint(core, 0.95) } else { paint(core, 0.7) };
                *p = mix(*p, c, solid);
            }
            if ink > 0.0 {
                *p = mix(*p, paint(body, 1.0), ink);
            }
        }
    }
}

fn unit(v: [f32; 3]) -> [f32; 3] {
    let k = 1.0 / (v[0] * v[0] + v[1] * v[1] + v[2] * v[2]).sqrt().max(1e-6);
    [v[0] * k, v[1] * k, v[2] * k]
}
