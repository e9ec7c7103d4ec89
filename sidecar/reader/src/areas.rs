//! Letters that were cut out of a picture, area by area, and the level lines that they stand in.

use std::rc::Rc;

use thumbforge_core::image::{ImageBuf, PixelBox};

use crate::letters::{self, Cut, Side};
use crate::page::Lines;
use crate::passes::Source;
use crate::plane::{Channel, Plane};
use crate::rows;
use crate::slope;

/// Longest side of a plane that is searched for words, in pixels: a picture of 512 at twice its size. Larger ones are scaled
/// down to it, since time grows with the area and letters of a title do not need it.
pub(crate) const SIDE_MAX: u32 = 1024;
/// Areas whose letters are kept, 2 MiB each at most: the picture, a box, and what is around its words.
const CUTS_MAX: usize = 4;
/// Least room around a box, in pixels of its plane, which may be half as large as the picture.
const ROOM_MIN: u32 = 2;
/// Area of letters, in percent of that of their outlines, from which they are no holes of letters.
const INNER: u64 = 35;

/// The areas of one picture that were looked at.
pub(crate) struct Areas<'a> {
    image: &'a ImageBuf,
    /// Whether a word may be one patch, as [`rows::in_words`] takes it.
    joined: bool,
    /// Letters of both sides, for the areas that were looked at last.
    cuts: Vec<(PixelBox, Rc<[Cut; 2]>)>,
    /// By how many degrees lines fall.
    slopes: Vec<(PixelBox, f64)>,
}

/// Where level lines of letters stand in an area, by the letters that were cut out.
pub(crate) struct Hint {
    /// The area whose letters tell.
    area: PixelBox,
    /// First row of its plane that has the lines, with room above them, and one past the last.
    rows: [u32; 2],
    /// The side that the letters stand out to.
    pub(crate) side: Side,
    /// How many lines, and how high.
    pub(crate) lines: Lines,
}

impl<'a> Areas<'a> {
    /// Nothing has been looked at yet.
    pub(crate) fn new(image: &'a ImageBuf, joined: bool) -> Self {
        Self { image, joined, cuts: Vec::new(), slopes: Vec::new() }
    }

    /// The letters of both sides in `area`, cut out once: bright ones, dark ones.
    pub(crate) fn cuts(&mut self, area: PixelBox) -> Option<Rc<[Cut; 2]>> {
        if let Some((_, cuts)) = self.cuts.iter().find(|(known, _)| *known == area) {
            return Some(Rc::clone(cuts));
        }
        let plane = Plane::of(self.image, area, Channel::Grey)?.scaled(1.0, SIDE_MAX);
        // What is higher than half of a picture is scenery, and so is what crosses a whole box. Letters may be as high as the box
        // that was asked for, which has room beyond it, on one side at least.
        let whole = area == self.image.extent().bounds();
        let tallest = if whole { plane.height() / 2 } else { plane.height().saturating_sub(ROOM_MIN) };
        let cuts = Rc::new([Side::Bright, Side::Dark].map(|side| letters::cut(&plane, side, tallest)));
        if self.cuts.len() >= CUTS_MAX {
            self.cuts.remove(0);
        }
        self.cuts.push((area, Rc::clone(&cuts)));
        Some(cuts)
    }

    /// By how many degrees the lines in `area` fall, looked at once.
    pub(crate) fn slope(&mut self, area: PixelBox) -> f64 {
        if let Some((_, degrees)) = self.slopes.iter().find(|(known, _)| *known == area) {
            return *degrees;
        }
        let cuts = self.cuts(area);
        let degrees = cuts.map_or(0.0, |cuts| slope::slope([&cuts[0], &cuts[1]]));
        self.slopes.push((area, degrees));
        degrees
    }

    /// Where level lines of letters stand in `area`; nothing where none do, or where they are turned.
    pub(crate) fn hint(&mut self, area: PixelBox) -> Option<Hint> {
        if self.slope(area) != 0.0 {
            return None;
        }
        let cuts = self.cuts(area)?;
        let words = [0, 1].map(|at: usize| {
            let patches = &cuts[at].patches;
            let letters = rows::in_words(patches, self.joined);
            patches.iter().zip(letters).filter(|(_, letter)| *letter).map(|(patch, _)| *patch).collect::<Vec<_>>()
        });
        // Letters are in outlines, and holes are in letters. Holes are fewer than what they are in, or have much less area;
        // outlines of letters run into each other.
        let [bright, dark] = [0, 1].map(|at: usize| (words[at].len(), rows::area(&words[at])));
        let side = match () {
            () if bright.0 >= dark.0 * 2 => Side::Bright,
            () if dark.0 >= bright.0 * 2 => Side::Dark,
            () if dark.1 * 100 > bright.1 * INNER && dark.1 < bright.1 => Side::Dark,
            () if bright.1 * 100 > dark.1 * INNER && bright.1 <= dark.1 => Side::Bright,
            () if bright.1 > dark.1 => Side::Bright,
            () => Side::Dark,
        };
        let letters = &words[side as usize];
        let rows = rows::with_marks(&rows::rows(letters), &cuts[side as usize].patches);
        let (first, last) = (rows.first()?, rows.last()?);
        let px = rows.iter().map(|[top, bottom]| bottom - top).max()?;
        let height = rows::height(letters);
        let plane = &cuts[side as usize].plane;
        let (count, px) = if px > height * 5 / 2 { (0, height * 3 / 2) } else { (rows.len(), px) };
        let margin = px / 2;
        let within = [first[0].saturating_sub(margin), (last[1] + margin).min(plane.height())];
        Some(Hint { area, rows: within, side, lines: Lines { count, px: Some(f64::from(px) / plane.scale()) } })
    }

    /// What a pass over level lines reads, in dark letters. Letters that were cut out are taken from the area that told of the
    /// lines: cut anew so near to their edges, a letter would be as high as its surroundings, and look like scenery.
    pub(crate) fn level(&mut self, hint: &Hint, source: Source) -> Option<Plane> {
        let cuts = self.cuts(hint.area)?;
        let plane = &cuts[hint.side as usize].plane;
        let [top, bottom] = hint.rows;
        let within = [0, top, plane.width(), bottom];
        match source {
            Source::Cut(side) => Some(cuts[side as usize].plane.part(within)),
            Source::Plain(channel) => {
                let place = plane.in_picture(within.map(|side| side as i32), self.image.extent());
                let plane = Plane::of(self.image, place, channel)?.scaled(1.0, SIDE_MAX);
                Some(if hint.side == Side::Bright { plane.inverted() } else { plane })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use thumbforge_core::image::Extent;

    use super::*;

    const EXTENT: Extent = Extent { width: 200, height: 100 };

    /// Four white letters of 10 pixels by `px` on black, their tops at `top`, and how many of their pixels a pass over their
    /// lines in `area` gets.
    fn check(top: i32, px: u32, area: PixelBox) {
        let letters = [40, 54, 68, 82].map(|x| PixelBox { x, y: top, w: 10, h: px });
        let mut image = ImageBuf::filled(EXTENT, [0, 0, 0, 255]);
        for (at, pixel) in image.pixels_mut().chunks_exact_mut(4).enumerate() {
            let (x, y) = ((at as u32 % EXTENT.width) as i32, (at as u32 / EXTENT.width) as i32);
            let point = PixelBox { x, y, w: 1, h: 1 };
            if letters.iter().any(|letter| letter.contains(point)) {
                pixel[..3].fill(255);
            }
        }
        let mut areas = Areas::new(&image, false);
        let hint = areas.hint(area).unwrap_or_else(|| panic!("no lines: {px} at {top} in {area:?}"));
        assert_eq!((hint.side, hint.lines), (Side::Bright, Lines { count: 1, px: Some(f64::from(px)) }), "{area:?}");
        for source in [Source::Cut(Side::Bright), Source::Plain(Channel::Grey)] {
            let plane = areas.level(&hint, source).expect("lines have an area");
            let black = plane.pixels().iter().filter(|value| **value == 0).count();
            assert_eq!(black, 40 * px as usize, "{px} at {top} in {area:?} by {source:?}");
        }
    }

    #[test]
    fn lines_are_read_by_the_letters_that_told_of_them() {
        let all = EXTENT.bounds();
        for px in [14, 15, 20, 21, 33] {
            check(40, px, all);
            // Near the picture's edges.
            check(2, px, all);
            check(98 - px as i32, px, all);
            // In a box with room, and in boxes as tight as ink, with the room that every box gets.
            check(40, px, PixelBox { x: 10, y: 20, w: 120, h: 78 });
            check(40, px, PixelBox { x: 36, y: 36, w: 60, h: px + 8 });
            check(2, px, PixelBox { x: 36, y: -2, w: 60, h: px + 8 });
        }
    }
}
