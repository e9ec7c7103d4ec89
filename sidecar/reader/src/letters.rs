//! Letters cut out of whatever is behind them, by the line around them.
//!
//! Titles over pictures have an outline or a shadow, since nobody could read them otherwise. So a letter is a patch of pixels
//! that all stand out against the pixels just outside of it, to the same side. Patches of scenery have such an edge here and
//! there, and seldom all around. What is left is black on white, as OCR likes it.

use crate::patches::{label, least};
use crate::plane::Plane;

/// Which side letters stand out to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Side {
    /// Bright letters in a dark line.
    Bright,
    /// Dark letters in a bright line.
    Dark,
}

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

/// The letters of one side.
#[derive(Debug, Clone)]
pub(crate) struct Cut {
    /// In black on white.
    pub(crate) plane: Plane,
    /// The box of each patch in pixels of the plane: left, top, right, bottom; the latter two one past the end.
    pub(crate) patches: Vec<[u32; 4]>,
}

/// The letters of `plane` that stand out to `side`, none of them higher than `tallest` pixels.
pub(crate) fn cut(plane: &Plane, side: Side, tallest: u32) -> Cut {
    let (width, height) = (plane.width() as usize, plane.height() as usize);
    // From here on letters are bright.
    let grey: Vec<u8> = match side {
        Side::Bright => plane.pixels().to_vec(),
        Side::Dark => plane.pixels().iter().map(|&value| 255 - value).collect(),
    };
    let low = least(&grey, width, height);
    // Nearer to the letter than to its line: above the middle of both.
    let high: Vec<bool> = grey.iter().zip(&low).map(|(&value, &low)| value.saturating_sub(low) >= EDGE as u8).collect();
    let (labels, count) = label(&high, width);
    let mut patches = vec![Patch { place: [u32::MAX, u32::MAX, 0, 0], ..Patch::default() }; count];
    for (y, (labels, grey)) in labels.chunks_exact(width).zip(grey.chunks_exact(width)).enumerate() {
        for (x, (&patch, &value)) in labels.iter().zip(grey).enumerate() {
            let Some(patch) = (patch as usize).checked_sub(1).and_then(|at| patches.get_mut(at)) else { continue };
            let (x, y) = (x as u32, y as u32);
            patch.pixels += 1;
            patch.sum += u64::from(value);
            let [l, t, r, b] = patch.place;
            patch.place = [l.min(x), t.min(y), r.max(x + 1), b.max(y + 1)];
        }
    }
    ring(&labels, &grey, [width, height], &mut patches);
    let kept = keep(&patches, tallest);
    // An edge is as grey as it is near to its line: marks and thin strokes keep their shape.
    let value = |((&patch, &value), &low): ((&u32, &u8), &u8)| {
        let Some(index) = (patch as usize).checked_sub(1).filter(|&at| kept.get(at).is_some_and(|kept| *kept)) else {
            return 255;
        };
        let full = (patches[index].mean() - i64::from(low)).max(i64::from(EDGE));
        (255 - (i64::from(value.saturating_sub(low)) * 255 / full).min(255)) as u8
    };
    let pixels = labels.iter().zip(&grey).zip(&low).map(value).collect();
    let places = patches.iter().zip(&kept).filter(|(_, kept)| **kept).map(|(patch, _)| patch.place).collect();
    Cut { plane: plane.repainted(pixels), patches: places }
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
fn keep(patches: &[Patch], tallest: u32) -> Vec<bool> {
    let ringed = |patch: &Patch| {
        let [_, top, _, bottom] = patch.place;
        let small = bottom.saturating_sub(top) <= tallest;
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
    use crate::slope::slope;

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

    fn slope_of(plane: &Plane) -> f64 {
        slope([Side::Bright, Side::Dark].map(|side| cut(plane, side, plane.height() / 2)).each_ref())
    }

    /// Black pixels that are letters, and black pixels in all.
    fn black(plane: &Plane, original: &Plane, letter: u8) -> (usize, usize) {
        let both = plane.pixels().iter().zip(original.pixels());
        let of = |right: bool| both.clone().filter(|(cut, old)| **cut < 128 && (!right || **old == letter)).count();
        (of(true), of(false))
    }

    #[test]
    fn letters_in_a_line_are_cut_out_of_noise() {
        for (letter, line, side) in [(255, 0, Side::Bright), (0, 255, Side::Dark)] {
            let original = picture(letter, line, 0.0);
            let there = original.pixels().iter().filter(|value| **value == letter).count();
            let (right, all) = black(&cut(&original, side, 64).plane, &original, letter);
            assert!(right * 10 > there * 8, "{side:?}: {right} of {there}");
            assert!(right * 10 > all * 8, "{side:?}: {right} of {all}");
            // The bars are 16 high.
            assert!(cut(&original, side, 15).patches.iter().all(|[_, top, _, bottom]| bottom - top <= 15), "{side:?}");
        }
    }

    #[test]
    fn level_and_falling_lines_are_told_apart() {
        assert_eq!(slope_of(&picture(255, 0, 0.0)), 0.0);
        for degrees in [8.0, -8.0] {
            let found = slope_of(&picture(255, 0, degrees));
            assert!((found - degrees).abs() < 1.5, "{degrees}: {found}");
        }
    }

    #[test]
    fn flat_and_tiny_planes_have_no_letters() {
        for extent in [Extent { width: 1, height: 1 }, Extent { width: 3, height: 40 }] {
            let image = ImageBuf::filled(extent, [90, 90, 90, 255]);
            let plane = Plane::of(&image, extent.bounds(), Channel::Grey).expect("it has an area");
            assert!(cut(&plane, Side::Bright, 40).plane.pixels().iter().all(|value| *value == 255));
            assert_eq!(slope_of(&plane), 0.0);
        }
    }
}
