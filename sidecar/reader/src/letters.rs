//! Letters cut out of whatever is behind them, by the line around them.
//!
//! Titles over pictures have an outline or a shadow, since nobody could read them otherwise. So a letter is a patch of pixels
//! that all stand out against the pixels just outside of it, to the same side. Patches of scenery have such an edge here and
//! there, and seldom all around. What is left is black on white, as OCR likes it.

use crate::plane::Plane;

/// Which side letters stand out to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Side {
    /// Bright letters in a dark line.
    Bright,
    /// Dark letters in a bright line.
    Dark,
}

/// How far from a letter's middle its line may be, in pixels: half the stem of the boldest title at 512 pixels.
const REACH: usize = 8;
/// How much a letter stands out against its line, of 255; less is no outline but a tint.
const EDGE: i32 = 56;
/// Share of the pixels around a patch that have to be darker, of 256. Letters that touch one another keep this much.
const RINGED: u64 = 218;
/// Fewest pixels of a patch: a dot of an i in letters of 12 pixels.
const PATCH_MIN: u64 = 4;
/// How much two channels' means may differ between a patch and one that lies within its box, of 255. A larger difference
/// means that it is the picture behind, seen through the hole of a letter.
const ALIKE: i64 = 48;
/// How much brighter or darker than most letters a letter may be: one end of a fill that runs from white to gold.
const UNLIKE: i64 = 56;
/// Steepest lines that are looked for, in degrees either way; steeper ones are rare and cost time.
const SLOPE_MAX: i32 = 30;
/// How much sharper than upright an angle has to be, in percent.
const SHARPER: u64 = 112;

/// One patch.
#[derive(Debug, Clone, Default)]
struct Patch {
    pixels: u64,
    sum: u64,
    ring: u64,
    ringed: u64,
    /// Left, top, right, bottom; the latter two one past the end.
    place: [u32; 4],
}

impl Patch {
    fn mean(&self) -> i64 {
        (self.sum / self.pixels.max(1)) as i64
    }

    fn holds(&self, other: &Self) -> bool {
        let ([l, t, r, b], [ol, ot, or, ob]) = (self.place, other.place);
        l < ol && t < ot && r > or && b > ob
    }
}

/// The letters of `plane` in black on white.
pub(crate) fn cut(plane: &Plane, side: Side) -> Plane {
    let (width, height) = (plane.width() as usize, plane.height() as usize);
    // From here on letters are bright.
    let grey: Vec<u8> = match side {
        Side::Bright => plane.pixels().to_vec(),
        Side::Dark => plane.pixels().iter().map(|&value| 255 - value).collect(),
    };
    let low = least(&grey, width, height);
    // Nearer to the letter than to its line: above the middle of both.
    let high: Vec<bool> =
        grey.iter().zip(&low).map(|(&value, &low)| i32::from(value) - i32::from(low) >= EDGE).collect();
    let (labels, count) = label(&high, width);
    let mut patches = vec![Patch { place: [u32::MAX, u32::MAX, 0, 0], ..Patch::default() }; count];
    for (at, &patch) in labels.iter().enumerate() {
        let Some(patch) = (patch as usize).checked_sub(1).and_then(|at| patches.get_mut(at)) else { continue };
        let (x, y) = ((at % width) as u32, (at / width) as u32);
        patch.pixels += 1;
        patch.sum += u64::from(grey[at]);
        let [l, t, r, b] = patch.place;
        patch.place = [l.min(x), t.min(y), r.max(x + 1), b.max(y + 1)];
    }
    ring(&labels, &grey, [width, height], &mut patches);
    let kept = keep(&patches, [width, height]);
    let mut pixels = vec![255u8; width * height];
    for (at, &patch) in labels.iter().enumerate() {
        if let Some(index) = (patch as usize).checked_sub(1)
            && kept[index]
        {
            pixels[at] = 0;
        }
    }
    plane.repainted(pixels)
}

/// By how many degrees the lines of letters in `cut` fall: the angle at which rows are fullest and gaps emptiest.
///
/// Each angle is judged by the sum of the squares of how many black pixels its rows have, as Postl did (1986). Nothing where
/// no angle is clearly better than upright.
pub(crate) fn slope(cut: &Plane) -> Option<f64> {
    let width = cut.width() as usize;
    let black = |(at, _): (usize, &u8)| [(at % width) as f64, (at / width) as f64];
    let all: Vec<[f64; 2]> = cut.pixels().iter().enumerate().filter(|(_, value)| **value == 0).map(black).collect();
    // A few thousand pixels say as much as all of them.
    let points: Vec<[f64; 2]> = all.iter().step_by((all.len() / 6000).max(1)).copied().collect();
    if points.len() < 200 {
        return None;
    }
    let sharpness = |degrees: f64| {
        let (sin, cos) = degrees.to_radians().sin_cos();
        let reach = (cut.width() + cut.height()) as usize;
        let mut rows = vec![0u64; reach * 2];
        for [x, y] in &points {
            let row = (y * cos - x * sin) as i64 + reach as i64;
            if let Some(row) = usize::try_from(row).ok().and_then(|row| rows.get_mut(row)) {
                *row += 1;
            }
        }
        rows.iter().map(|count| count * count).sum::<u64>()
    };
    let best = |angles: &mut dyn Iterator<Item = f64>| {
        angles.map(|degrees| (sharpness(degrees), degrees)).max_by(|a, b| a.0.cmp(&b.0)).unwrap_or((0, 0.0))
    };
    let (_, near) = best(&mut (-SLOPE_MAX..=SLOPE_MAX).map(f64::from));
    let (sharp, degrees) = best(&mut (-3..=3).map(|step| near + f64::from(step) / 4.0));
    let upright = best(&mut [-1.0, 0.0, 1.0].into_iter()).0;
    (degrees.abs() >= 2.0 && sharp * 100 >= upright * SHARPER).then_some(degrees)
}

/// The least value within [`REACH`] pixels across and down.
fn least(grey: &[u8], width: usize, height: usize) -> Vec<u8> {
    let mut across = vec![0u8; grey.len()];
    for (row, out) in grey.chunks_exact(width).zip(across.chunks_exact_mut(width)) {
        for (x, out) in out.iter_mut().enumerate() {
            let part = &row[x.saturating_sub(REACH)..(x + REACH + 1).min(width)];
            *out = part.iter().copied().min().unwrap_or(0);
        }
    }
    let mut both = vec![255u8; grey.len()];
    for (y, out) in both.chunks_exact_mut(width).enumerate() {
        let rows = across.chunks_exact(width).take((y + REACH + 1).min(height)).skip(y.saturating_sub(REACH));
        for row in rows {
            for (out, &value) in out.iter_mut().zip(row) {
                *out = (*out).min(value);
            }
        }
    }
    both
}

/// Numbers the patches of pixels that touch, corners included, from 1; 0 is no patch.
fn label(high: &[bool], width: usize) -> (Vec<u32>, usize) {
    let mut labels = vec![0u32; high.len()];
    let (mut count, mut open) = (0u32, Vec::new());
    for start in 0..high.len() {
        if !high[start] || labels[start] != 0 {
            continue;
        }
        count += 1;
        labels[start] = count;
        open.push(start);
        while let Some(at) = open.pop() {
            for next in around(at, width, high.len()) {
                if high[next] && labels[next] == 0 {
                    labels[next] = count;
                    open.push(next);
                }
            }
        }
    }
    (labels, count as usize)
}

/// The pixels that touch one, those outside left out.
fn around(at: usize, width: usize, len: usize) -> impl Iterator<Item = usize> {
    let x = (at % width) as isize;
    let steps = [(-1, -1), (0, -1), (1, -1), (-1, 0), (1, 0), (-1, 1), (0, 1), (1, 1)];
    steps.into_iter().filter_map(move |(dx, dy): (isize, isize)| {
        let inside = (0..width as isize).contains(&(x + dx));
        let next = at as isize + dx + dy * width as isize;
        (inside && (0..len as isize).contains(&next)).then_some(next as usize)
    })
}

/// Counts, for each patch, the pixels two steps outside of it, and those of them that are darker by [`EDGE`].
fn ring(labels: &[u32], grey: &[u8], [width, height]: [usize; 2], patches: &mut [Patch]) {
    for (at, &own) in labels.iter().enumerate() {
        let Some(index) = (own as usize).checked_sub(1) else { continue };
        let mean = patches[index].mean();
        let (x, y) = ((at % width) as isize, (at / width) as isize);
        for (dx, dy) in [(-1isize, 0isize), (1, 0), (0, -1), (0, 1)] {
            let label_at = |steps: isize| {
                let (x, y) = (x + dx * steps, y + dy * steps);
                let inside = (0..width as isize).contains(&x) && (0..height as isize).contains(&y);
                inside.then(|| (y as usize) * width + x as usize)
            };
            // Only where the patch ends.
            let Some(first) = label_at(1) else {
                patches[index].ring += 1;
                continue;
            };
            if labels[first] == own {
                continue;
            }
            let dark =
                [1, 2, 3].into_iter().filter_map(label_at).any(|at| mean - i64::from(grey[at]) >= i64::from(EDGE));
            patches[index].ring += 1;
            patches[index].ringed += u64::from(dark);
        }
    }
}

/// The brightness that most of what is left has, reckoned by the length of edges, of which letters have much.
fn usual<'a>(patches: impl Iterator<Item = &'a Patch>) -> Option<i64> {
    let mut edges = [0u64; 256];
    for patch in patches {
        edges[patch.mean().clamp(0, 255) as usize] += patch.ring;
    }
    let near = |at: usize| edges[at.saturating_sub(12)..(at + 13).min(256)].iter().sum::<u64>();
    (0..256).filter(|&at| near(at) > 0).max_by_key(|&at| near(at)).map(|at| at as i64)
}

/// Which patches are letters.
fn keep(patches: &[Patch], [width, height]: [usize; 2]) -> Vec<bool> {
    let ringed = |patch: &Patch| {
        let [l, t, r, b] = patch.place;
        let small = u64::from(r - l.min(r)) * 2 <= width as u64 * 2 && u64::from(b - t.min(b)) * 2 <= height as u64;
        patch.pixels >= PATCH_MIN && small && patch.ringed * 256 >= patch.ring * RINGED
    };
    let mut kept: Vec<bool> = patches.iter().map(ringed).collect();
    let letters: Vec<usize> = (0..patches.len()).filter(|&at| kept[at]).collect();
    if let Some(usual) = usual(letters.iter().map(|&at| &patches[at])) {
        letters.iter().for_each(|&at| kept[at] &= (patches[at].mean() - usual).abs() <= UNLIKE);
    }
    for &inner in &letters {
        let through = letters.iter().any(|&outer| {
            let (inner, outer) = (&patches[inner], &patches[outer]);
            outer.holds(inner) && (outer.mean() - inner.mean()).abs() > ALIKE
        });
        if through {
            kept[inner] = false;
        }
    }
    kept
}
