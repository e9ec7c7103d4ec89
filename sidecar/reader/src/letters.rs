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
/// Slopes below this, in degrees, are level: OCR reads them as they are.
const LEVEL: f64 = 2.0;
/// How many times as sharp as upright an angle has to be. Lines turned by 8° have 2.1 and more, upright ones up to 1.5.
const SHARPER: f64 = 1.8;
/// Points that an angle is judged by; so many say as much as all.
const POINTS: usize = 6000;
/// Fewest of them that say anything: two letters of 20 pixels.
const POINTS_MIN: usize = 200;

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

/// How the lines of letters in a picture lie.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Slope {
    /// By how many degrees they fall.
    degrees: f64,
    /// How much sharper rows are at this angle than upright.
    sharper: f64,
}

/// By how many degrees the lines of letters in `plane` fall; 0 where nothing says that they are not level.
///
/// Bright and dark letters are both looked for, and one of them is not there: what is cut out then are outlines and the holes
/// of letters, which may look sharp at any angle. So lines are only turned when neither side says that they are level.
pub(crate) fn slope(plane: &Plane) -> f64 {
    let slopes: Vec<Slope> =
        [Side::Bright, Side::Dark].into_iter().filter_map(|side| slope_of(&cut(plane, side))).collect();
    if slopes.iter().any(|slope| slope.degrees.abs() < LEVEL) {
        return 0.0;
    }
    let sharpest = slopes.into_iter().max_by(|a, b| a.sharper.total_cmp(&b.sharper));
    sharpest.filter(|slope| slope.sharper >= SHARPER).map_or(0.0, |slope| slope.degrees)
}

/// The angle at which the rows of `cut` are fullest and its gaps emptiest; nothing where there is too little to tell.
///
/// Each angle is judged by how much neighbouring rows differ in black pixels, squared and summed, as Postl did (1986).
fn slope_of(cut: &Plane) -> Option<Slope> {
    let width = cut.width() as usize;
    let black = |(at, _): (usize, &u8)| [(at % width) as f64, (at / width) as f64];
    let all: Vec<[f64; 2]> = cut.pixels().iter().enumerate().filter(|(_, value)| **value == 0).map(black).collect();
    let points: Vec<[f64; 2]> = all.iter().step_by((all.len() / POINTS).max(1)).copied().collect();
    if points.len() < POINTS_MIN {
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
        rows.windows(2).map(|pair| pair[0].abs_diff(pair[1]).pow(2)).sum::<u64>()
    };
    let best = |angles: &mut dyn Iterator<Item = f64>| {
        angles.map(|degrees| (sharpness(degrees), degrees)).max_by(|a, b| a.0.cmp(&b.0)).unwrap_or((0, 0.0))
    };
    let (_, near) = best(&mut (-SLOPE_MAX..=SLOPE_MAX).map(f64::from));
    let (sharp, degrees) = best(&mut (-3..=3).map(|step| near + f64::from(step) / 4.0));
    let upright = best(&mut [-1.0, 0.0, 1.0].into_iter()).0;
    Some(Slope { degrees, sharper: sharp as f64 / upright.max(1) as f64 })
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

#[cfg(test)]
mod tests {
    use thumbforge_core::image::{Extent, ImageBuf};

    use super::*;
    use crate::plane::Channel;

    /// Bars like the stems of letters, 4 wide and 16 high in a line of 2, on a background of noise; rows fall by `degrees`.
    fn picture(letter: u8, line: u8, degrees: f64) -> Plane {
        let extent = Extent { width: 256, height: 128 };
        let mut image = ImageBuf::filled(extent, [0, 0, 0, 255]);
        let mut noise = 12_345u32;
        let (sin, cos) = degrees.to_radians().sin_cos();
        for (at, pixel) in image.pixels_mut().chunks_exact_mut(4).enumerate() {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (x, y) = ((at as u32 % 256) as f64 - 128.0, (at as u32 / 256) as f64 - 64.0);
            let (along, across) = (x * cos + y * sin, y * cos - x * sin);
            let (in_bar, row) = ((along + 100.0).rem_euclid(12.0), across + 8.0);
            let within =
                |edge: f64| along.abs() < 100.0 && (-edge..16.0 + edge).contains(&row) && in_bar < 4.0 + 2.0 * edge;
            let value = match () {
                () if within(0.0) && in_bar >= 0.0 && (2.0..6.0).contains(&(in_bar + 2.0)) => letter,
                () if along.abs() < 104.0 && (-3.0..19.0).contains(&row) => line,
                () => (noise >> 24) as u8,
            };
            pixel[..3].fill(value);
        }
        Plane::of(&image, extent.bounds(), Channel::Grey).expect("it has an area")
    }

    /// Black pixels that are letters, and black pixels in all.
    fn black(plane: &Plane, original: &Plane, letter: u8) -> (usize, usize) {
        let both = plane.pixels().iter().zip(original.pixels());
        let of = |right: bool| both.clone().filter(|(cut, old)| **cut == 0 && (!right || **old == letter)).count();
        (of(true), of(false))
    }

    #[test]
    fn letters_in_a_line_are_cut_out_of_noise() {
        for (letter, line, side) in [(255, 0, Side::Bright), (0, 255, Side::Dark)] {
            let original = picture(letter, line, 0.0);
            let there = original.pixels().iter().filter(|value| **value == letter).count();
            let (right, all) = black(&cut(&original, side), &original, letter);
            assert!(right * 10 > there * 8, "{side:?}: {right} of {there}");
            assert!(right * 10 > all * 8, "{side:?}: {right} of {all}");
        }
    }

    #[test]
    fn level_and_falling_lines_are_told_apart() {
        assert_eq!(slope(&picture(255, 0, 0.0)), 0.0);
        for degrees in [8.0, -8.0] {
            let found = slope(&picture(255, 0, degrees));
            assert!((found - degrees).abs() < 1.5, "{degrees}: {found}");
        }
    }

    #[test]
    fn flat_and_tiny_planes_have_no_letters() {
        for extent in [Extent { width: 1, height: 1 }, Extent { width: 3, height: 40 }] {
            let image = ImageBuf::filled(extent, [90, 90, 90, 255]);
            let plane = Plane::of(&image, extent.bounds(), Channel::Grey).expect("it has an area");
            assert!(cut(&plane, Side::Bright).pixels().iter().all(|value| *value == 255));
            assert_eq!(slope(&plane), 0.0);
        }
    }
}
