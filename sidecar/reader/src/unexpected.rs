//! Words in a picture that no expected string explains.
//!
//! ```text
//! letters of both sides ─► less those where expected words were read ─► those that stand as in words ─► read, where any are left
//! pages that were read for expected words ─► less the symbols of these
//! ```

use thumbforge_core::image::PixelBox;

use crate::letters::Cut;
use crate::look::{Look, covered};
use crate::matching;
use crate::normalise::normalise;
use crate::page::{Page, around};
use crate::plane::Plane;
use crate::rows;
use crate::tesseract::Mode;
use crate::{Ask, Found, ReadError, Word};

/// Confidence of a word, of 100, from which it may be one that nobody expected.
const UNEXPECTED_CONFIDENCE: f32 = 60.0;
/// How far around its box a symbol explains patches, in percent of its height: boxes of symbols are rough, and marks reach out.
const EXPLAINED: u32 = 35;
/// Which of the passes over the whole picture are made for their sake where lines are turned: bright letters cut out, and plain.
const TURNED: [usize; 2] = [1, 3];
/// Letters from which a word that nobody expected is told; edges of things are read as one or two letters all the time.
const UNEXPECTED_LETTERS: usize = 3;
/// The same where a letter is a syllable or a word.
const UNEXPECTED_SYLLABLES: usize = 2;

impl Look<'_, '_> {
    /// Words on the pages that no expected string explains.
    pub(crate) fn unexpected(
        &mut self,
        ask: &Ask,
        locale: &str,
        members: &[usize],
        found: &[Found],
    ) -> Result<Vec<Word>, ReadError> {
        // Where nothing is expected, nothing says either that letters stand out against a line.
        if ask.expected.is_empty() {
            self.page(0, locale)?;
        }
        // Letters of words that are turned do not stand on one level.
        if self.areas.slope(self.image.extent().bounds()) != 0.0 {
            for at in TURNED {
                self.page(at, locale)?;
            }
        }
        let mut rests = Vec::new();
        for at in 0..2 {
            rests.extend(self.rest(at, locale)?);
        }
        let all: Vec<Vec<char>> =
            ask.expected.iter().map(|expected| normalise(&expected.text, &expected.locale)).collect();
        let mut words: Vec<Word> = Vec::new();
        let pages = self.pages.values().flatten().map(|page| (page, true));
        for (page, whole) in pages.chain(rests.iter().map(|page| (page, false))) {
            let mut explained = vec![false; page.symbols.len()];
            let mut blind = false;
            for (at, expected) in all.iter().enumerate() {
                let best = self.find(page, expected);
                let found = std::iter::zip(members, found).find(|(member, _)| **member == at).map(|(_, found)| found);
                let located = best.distance * 2 <= expected.len();
                if located && (whole || !elsewhere(found)) {
                    let owners = page.owners.get(best.part).unwrap_or_default();
                    owners.iter().for_each(|&at| explained[at] = true);
                }
                let there = found.is_some_and(|found| found.presence >= 1.0);
                blind |= whole && there && !located;
            }
            // A pass that does not see words that are there makes up others of them.
            if blind {
                continue;
            }
            let mut at = 0;
            while at < page.symbols.len() {
                let mut end = at + 1;
                while end < page.symbols.len() && !page.symbols[end].starts_word {
                    end += 1;
                }
                let open: Vec<usize> = (at..end).filter(|&at| !explained[at]).collect();
                at = end;
                let letters: Vec<char> =
                    open.iter().flat_map(|&at| normalise(&page.symbols[at].text, locale)).collect();
                let Some(first) = open.first() else { continue };
                let confidence = page.symbols[*first].word_confidence;
                let same = letters.windows(2).all(|pair| pair[0] == pair[1]);
                let least =
                    if letters.iter().copied().any(syllable) { UNEXPECTED_SYLLABLES } else { UNEXPECTED_LETTERS };
                if letters.len() < least || same || confidence < UNEXPECTED_CONFIDENCE {
                    continue;
                }
                let known = all.iter().any(|expected| {
                    let text: Vec<matching::Letter> =
                        expected.iter().map(|&c| matching::Letter { c, starts_word: false }).collect();
                    matching::find(&letters, &text, false).distance * 4 <= letters.len()
                });
                let Some(place) = around(open.iter().map(|&at| page.places[at])) else { continue };
                if !known && !words.iter().any(|word| covered(place, &[word.place])) {
                    words.push(Word { text: page.text(&open), confidence: f64::from(confidence), place });
                }
            }
        }
        Ok(words)
    }

    /// What the letters of one side say that no expected string explains; nothing where none stand as in words.
    fn rest(&mut self, side: usize, locale: &str) -> Result<Option<Page>, ReadError> {
        let area = self.image.extent().bounds();
        let Some(cuts) = self.areas.cuts(area) else { return Ok(None) };
        let cut = &cuts[side];
        let degrees = self.areas.slope(area);
        // The upright box of a symbol that was turned reaches out already.
        let room = if degrees == 0.0 { EXPLAINED } else { 0 };
        let mut explained = Mask::of(&cut.plane);
        for &place in &self.explained {
            explained.fill(widened(place, room, cut.plane.scale()));
        }
        let open: Vec<[u32; 4]> = cut.patches.iter().filter(|patch| !explained.holds(**patch)).copied().collect();
        let letters = rows::in_words(&open, self.language.joined());
        let words: Vec<[u32; 4]> =
            open.iter().zip(letters).filter(|(_, letter)| *letter).map(|(patch, _)| *patch).collect();
        let Some(plane) = only(cut, &open, &words) else { return Ok(None) };
        let plane = if degrees == 0.0 { plane } else { plane.turned(degrees) };
        self.see(&plane, Mode::Sparse, false, locale).map(Some)
    }
}

/// Whether an expected string was found, so that it is masked out of what is left of the letters: another that resembles it
/// there is another word. A second one that is the same is known by its letters.
fn elsewhere(found: Option<&Found>) -> bool {
    found.is_some_and(|found| found.presence >= 1.0 && found.place.is_some())
}

/// The patches `words` of a cut and what stands near them, their marks and dots; nothing where there are none.
fn only(cut: &Cut, open: &[[u32; 4]], words: &[[u32; 4]]) -> Option<Plane> {
    let mut near = Mask::of(&cut.plane);
    let mut around = words.first().copied()?;
    for &[l, t, r, b] in words {
        let room = (b - t) / 2;
        let wide = [l.saturating_sub(room), t.saturating_sub(room), r + room, b + room];
        near.fill(wide);
        around = [around[0].min(wide[0]), around[1].min(wide[1]), around[2].max(wide[2]), around[3].max(wide[3])];
    }
    let mut kept = Mask::of(&cut.plane);
    open.iter().filter(|patch| near.holds(**patch)).for_each(|patch| kept.fill(*patch));
    let pixels = cut.plane.pixels().iter().zip(&kept.pixels);
    let pixels = pixels.map(|(&value, &kept)| if kept { value } else { 255 }).collect();
    Some(cut.plane.repainted(pixels).part(around))
}

/// Pixels of a plane that are marked.
struct Mask {
    width: usize,
    pixels: Vec<bool>,
}

impl Mask {
    /// None of `plane`.
    fn of(plane: &Plane) -> Self {
        Self { width: plane.width() as usize, pixels: vec![false; plane.pixels().len()] }
    }

    /// Marks what of a box, left, top, right, bottom, lies in the plane.
    fn fill(&mut self, [l, t, r, b]: [u32; 4]) {
        let (l, r) = (l as usize, (r as usize).min(self.width));
        for row in self.pixels.chunks_exact_mut(self.width.max(1)).take(b as usize).skip(t as usize) {
            row.get_mut(l..r).unwrap_or_default().fill(true);
        }
    }

    /// Whether most of a box is marked.
    fn holds(&self, [l, t, r, b]: [u32; 4]) -> bool {
        let (l, r) = (l as usize, (r as usize).min(self.width));
        let rows = self.pixels.chunks_exact(self.width.max(1)).take(b as usize).skip(t as usize);
        let (mut all, mut marked) = (0, 0);
        for row in rows.map(|row| row.get(l..r).unwrap_or_default()) {
            all += row.len();
            marked += row.iter().filter(|marked| **marked).count();
        }
        marked * 2 > all
    }
}

/// The box of a symbol with all that it explains, in pixels of a plane of the whole picture at `scale`.
fn widened(place: PixelBox, room: u32, scale: f64) -> [u32; 4] {
    let room = f64::from(place.h) * f64::from(room) / 100.0;
    let side = |at: f64| (at.max(0.0) * scale) as u32;
    let (left, top) = (f64::from(place.x), f64::from(place.y));
    let (right, bottom) = (left + f64::from(place.w), top + f64::from(place.h));
    [side(left - room), side(top - room), side(right + room), side(bottom + room)]
}

/// Whether a letter is a syllable or a word: kana, Chinese characters, Hangul.
fn syllable(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{9FFF}' | '\u{AC00}'..='\u{D7AF}')
}

#[cfg(test)]
mod tests {
    use thumbforge_core::image::{Extent, ImageBuf};

    use super::*;
    use crate::plane::Channel;

    const EXTENT: Extent = Extent { width: 60, height: 40 };

    /// Black where patches are, white elsewhere.
    fn cut(patches: &[[u32; 4]]) -> Cut {
        let mut image = ImageBuf::filled(EXTENT, [255; 4]);
        for (at, pixel) in image.pixels_mut().chunks_exact_mut(4).enumerate() {
            let (x, y) = (at as u32 % EXTENT.width, at as u32 / EXTENT.width);
            if patches.iter().any(|&[l, t, r, b]| (l..r).contains(&x) && (t..b).contains(&y)) {
                pixel[..3].fill(0);
            }
        }
        let plane = Plane::of(&image, EXTENT.bounds(), Channel::Grey).expect("it has an area");
        Cut { plane, patches: patches.to_vec() }
    }

    #[test]
    fn words_are_left_with_their_marks_and_nothing_else() {
        let (word, mark, speck) = ([10, 10, 20, 20], [12, 7, 14, 9], [50, 30, 55, 35]);
        let cut = cut(&[word, mark, speck]);
        let left = only(&cut, &cut.patches, &[word]).expect("a word");
        let black = left.pixels().iter().filter(|value| **value == 0).count();
        assert_eq!((left.width(), left.height(), black), (20, 20, 100 + 4));
        assert_eq!(left.in_picture([0, 0, 20, 20], EXTENT), PixelBox { x: 5, y: 5, w: 20, h: 20 });
        assert!(only(&cut, &cut.patches, &[]).is_none());
    }

    #[test]
    fn a_string_that_was_found_explains_nothing_of_what_is_left() {
        let place = Some(EXTENT.bounds());
        let found = |presence, place| Found { legibility: 1.0, presence, read: "POTION".to_owned(), place };
        assert!(elsewhere(Some(&found(1.0, place))));
        assert!(!elsewhere(Some(&found(0.9, place))));
        assert!(!elsewhere(Some(&found(1.0, None))));
        assert!(!elsewhere(None));
    }

    #[test]
    fn most_of_a_patch_has_to_be_marked() {
        let cut = cut(&[]);
        let mut mask = Mask::of(&cut.plane);
        mask.fill([10, 10, 20, 20]);
        mask.fill([50, 30, 90, 90]);
        let check = |patch: [u32; 4], held: bool| assert_eq!(mask.holds(patch), held, "{patch:?}");
        check([10, 10, 20, 20], true);
        check([12, 12, 14, 14], true);
        check([4, 10, 19, 20], true);
        check([0, 10, 20, 20], false);
        check([55, 35, 60, 40], true);
        check([30, 30, 40, 40], false);
    }

    #[test]
    fn a_symbol_explains_what_is_around_it() {
        let place = PixelBox { x: 20, y: 30, w: 10, h: 20 };
        assert_eq!(widened(place, 0, 1.0), [20, 30, 30, 50]);
        assert_eq!(widened(place, 35, 1.0), [13, 23, 37, 57]);
        assert_eq!(widened(place, 0, 0.5), [10, 15, 15, 25]);
        assert_eq!(widened(PixelBox { x: 0, y: 0, ..place }, 35, 1.0), [0, 0, 17, 27]);
    }
}
