//! Which passes are made over a picture for one language, in which order, and when enough is known.

use std::collections::BTreeMap;

use thumbforge_core::image::{ImageBuf, PixelBox};

use crate::areas::{Areas, Hint, SIDE_MAX};
use crate::language::{Language, Writing};
use crate::letters::Side;
use crate::matching::{self, Match};
use crate::normalise::normalise;
use crate::page::{Lines, Page, around};
use crate::passes::{BOX, GREY, LINE_PX, NEAR, PAGE, Pass, Scale, Source, Upright};
use crate::plane::Plane;
use crate::search::Search;
use crate::tesseract::{Eye, Mode};
use crate::{Expected, Found, ReadError};

/// Mean difference of neighbouring pixels, of 255, from which a picture is noise. Scenes and photographs have under 20.
const ROUGH: f64 = 36.0;
/// Least and greatest scale of a box.
const SCALES: [f64; 2] = [0.25, 4.0];
/// Passes over a box, and that found the words, from which the whole picture is not looked at for them.
const ENOUGH: u32 = 6;

/// One language's look at a picture.
pub(crate) struct Look<'a, 'b> {
    eye: &'a mut Eye<'b>,
    pub(crate) image: &'a ImageBuf,
    pub(crate) language: Language,
    /// Passes over the whole picture so far, by their place in [`PAGE`]; nothing for one that was left out.
    pub(crate) pages: BTreeMap<usize, Option<Page>>,
    /// Letters that were cut out, and how their lines stand.
    pub(crate) areas: Areas<'a>,
    /// Where expected strings were read: the boxes of their symbols.
    pub(crate) explained: Vec<PixelBox>,
}

impl<'a, 'b> Look<'a, 'b> {
    /// Nothing has been looked at yet.
    pub(crate) fn new(eye: &'a mut Eye<'b>, image: &'a ImageBuf, language: Language) -> Self {
        let areas = Areas::new(image, language.joined());
        Self { eye, image, language, pages: BTreeMap::new(), areas, explained: Vec::new() }
    }

    /// What a pass over `area` reads; nothing where it would be the same as one before.
    fn pass(&mut self, area: PixelBox, pass: Pass, lines: Lines, locale: &str) -> Result<Option<Page>, ReadError> {
        let degrees = match pass.upright {
            Upright::Always => 0.0,
            Upright::Turned => self.areas.slope(area),
        };
        let first = matches!(pass.scale, Scale::Times(1.0) | Scale::Line(LINE_PX));
        if pass.upright == Upright::Turned && pass.source == GREY && first && degrees == 0.0 {
            return Ok(None);
        }
        let mode = if pass.mode == Mode::Line && lines.count != 1 { Mode::Block } else { pass.mode };
        let scale = scale_of(pass.scale, lines);
        let plane = match pass.source {
            Source::Cut(side) => self.areas.cuts(area).map(|cuts| cuts[side as usize].plane.clone()),
            Source::Plain(channel) => Plane::of(self.image, area, channel).map(|plane| plane.scaled(1.0, SIDE_MAX)),
        };
        let Some(plane) = plane else { return Ok(None) };
        let plain = matches!(pass.source, Source::Plain(_));
        // Every speck of noise is a blob to look at: such a page takes seconds, and shows no word.
        if plain && pass.mode == Mode::Sparse && plane.roughness() > ROUGH {
            return Ok(None);
        }
        let plane = plane.scaled(scale, SIDE_MAX);
        let plane = if degrees == 0.0 { plane } else { plane.turned(degrees) };
        self.see(&plane, mode, plain, locale).map(Some)
    }

    /// What a pass over level lines reads whose letters are known to be bright or dark.
    fn level(&mut self, hint: &Hint, pass: Pass, locale: &str) -> Result<Option<Page>, ReadError> {
        let Some(plane) = self.areas.level(hint, pass.source) else { return Ok(None) };
        let plane = plane.scaled(scale_of(pass.scale, hint.lines) / plane.scale(), SIDE_MAX);
        let mode = if hint.lines.count == 1 { pass.mode } else { Mode::Block };
        self.see(&plane, mode, false, locale).map(Some)
    }

    /// What stands on a plane. `plain` is one that nothing was cut out of, so that letters may be white.
    pub(crate) fn see(&mut self, plane: &Plane, mode: Mode, plain: bool, locale: &str) -> Result<Page, ReadError> {
        let symbols = self.eye.look(plane, mode, plain)?;
        let leftward = matches!(self.language.code, "ara" | "heb" | "fas" | "urd" | "yid" | "pus" | "snd" | "uig");
        Ok(Page::new(symbols, plane, self.image.extent(), locale, leftward))
    }

    /// Where an expected string fits best on a page.
    pub(crate) fn find(&self, page: &Page, expected: &[char]) -> Match {
        matching::find(expected, &page.letters, self.language.writing == Writing::Spaced)
    }

    /// The page of pass `at`, read when it is first asked for; nothing for a pass that is left out.
    pub(crate) fn page(&mut self, at: usize, locale: &str) -> Result<Option<&Page>, ReadError> {
        if !self.pages.contains_key(&at) {
            let Some(&pass) = PAGE.get(at) else { return Ok(None) };
            let page = self.pass(self.image.extent().bounds(), pass, Lines::default(), locale)?;
            self.pages.insert(at, page);
        }
        Ok(self.pages.get(&at).and_then(Option::as_ref))
    }

    /// Looks for an expected string until enough is known.
    pub(crate) fn expected(&mut self, expected: &Expected) -> Result<Found, ReadError> {
        let mut search = Search::new(normalise(&expected.text, &expected.locale));
        // A box that lies outside of the picture says nothing of where the words are.
        let place = expected.place.and_then(|place| place.intersection(self.image.extent().bounds())).map(margined);
        if let Some(place) = place {
            self.passes(&mut search, place, &expected.locale)?;
        }
        // Level words that were read in their box so often do not become others by a look from further away.
        let known = search.counted() >= ENOUGH && search.located();
        let boxed = known && place.is_some_and(|place| self.areas.slope(place) == 0.0);
        let mut near = None;
        for at in 0..PAGE.len() {
            if search.done || boxed {
                break;
            }
            // Turned words reach out of their box; words elsewhere are not the ones that should be in it.
            self.look_at_page(&mut search, at, &expected.locale, place)?;
            // Once two passes say where the words are, a look at them alone is cheaper, and less disturbed by what is around.
            if at > 0 && near.is_none() && !search.done && search.located() {
                near = search.place();
                if let Some(near) = near {
                    let area = roomy(near, search.lines);
                    self.passes(&mut search, area, &expected.locale)?;
                }
            }
        }
        if search.located() {
            self.explained.extend_from_slice(search.places());
        }
        Ok(search.found())
    }

    /// One pass over the whole picture, of which what lies `within` a box counts.
    fn look_at_page(
        &mut self,
        search: &mut Search,
        at: usize,
        locale: &str,
        within: Option<PixelBox>,
    ) -> Result<(), ReadError> {
        if let Some(page) = self.page(at, locale)?.cloned() {
            let found = self.find(&page, &search.expected);
            if let Some(within) = within {
                let owners = page.owners.get(found.part.clone()).unwrap_or_default();
                let place = around(owners.iter().filter_map(|&owner| page.places.get(owner).copied()));
                if !place.is_some_and(|place| covered(place, &[within])) {
                    return Ok(());
                }
            }
            search.take(&page, &found, PAGE.get(at).is_some_and(|pass| pass.source == GREY));
        }
        Ok(())
    }

    /// The passes over a box, until enough is known.
    fn passes(&mut self, search: &mut Search, area: PixelBox, locale: &str) -> Result<(), ReadError> {
        let hint = self.areas.hint(area);
        let before = search.counted();
        if let Some(hint) = &hint {
            for pass in [NEAR, Pass { source: Source::Cut(hint.side), ..NEAR }] {
                if search.done {
                    return Ok(());
                }
                if let Some(page) = self.level(hint, pass, locale)? {
                    let found = self.find(&page, &search.expected);
                    search.take(&page, &found, pass.source == GREY);
                }
            }
        }
        // Lines that none of it was read in may be others; then the whole box is looked at.
        let on_lines = search.counted() > before;
        for pass in BOX {
            if search.done {
                break;
            }
            if on_lines && hint.as_ref().is_some_and(|hint| made(pass, hint.side)) {
                continue;
            }
            if let Some(page) = self.pass(area, pass, search.lines, locale)? {
                let found = self.find(&page, &search.expected);
                search.take(&page, &found, pass.source == GREY);
            }
        }
        Ok(())
    }
}

/// Whether a pass over a box was made of its lines alone, whose letters stand out to `side`.
fn made(pass: Pass, side: Side) -> bool {
    pass.scale == NEAR.scale && (pass.source == GREY || pass.source == Source::Cut(side))
}

/// By how much a plane is scaled before it is read.
fn scale_of(scale: Scale, lines: Lines) -> f64 {
    match (scale, lines.px) {
        (Scale::Times(times), _) => times,
        (Scale::Line(wanted), Some(line_px)) => (wanted / line_px.max(1.0)).clamp(SCALES[0], SCALES[1]),
        (Scale::Line(_), None) => 1.0,
    }
}

/// A box with room for what a pass may have lost: a character and a half at the ends of lines, and a line above and below.
fn roomy(place: PixelBox, lines: Lines) -> PixelBox {
    let px = lines.px.map_or(16, |px| px as u32);
    let (across, along) = ((place.w / 6).max(px * 2).max(16) as i32, (px * 3 / 2).max(16) as i32);
    PixelBox {
        x: place.x.saturating_sub(across),
        y: place.y.saturating_sub(along),
        w: place.w.saturating_add(2 * across as u32),
        h: place.h.saturating_add(2 * along as u32),
    }
}

/// A box with some room around it: letters that touch an edge are read badly.
fn margined(place: PixelBox) -> PixelBox {
    let margin = (place.h / 8).clamp(4, 24);
    PixelBox {
        x: place.x - margin as i32,
        y: place.y - margin as i32,
        w: place.w + 2 * margin,
        h: place.h + 2 * margin,
    }
}

/// Whether most of `place` lies in one of `places`.
pub(crate) fn covered(place: PixelBox, places: &[PixelBox]) -> bool {
    let area = |place: PixelBox| u64::from(place.w) * u64::from(place.h);
    places.iter().filter_map(|known| known.intersection(place)).any(|common| area(common) * 2 > area(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_is_not_looked_at_as_its_lines_were() {
        let made = |side| BOX.iter().map(|pass| made(*pass, side)).collect::<Vec<_>>();
        assert_eq!(made(Side::Bright), [true, true, true, false, false, false, false, false]);
        assert_eq!(made(Side::Dark), [true, false, true, true, false, false, false, false]);
    }
}
