//! Which passes are made over a picture for one language, in which order, and when enough is known.

use std::collections::BTreeMap;
use std::rc::Rc;

use thumbforge_core::image::{ImageBuf, PixelBox};

use crate::language::{Language, Writing};
use crate::letters::{self, Cut, Side};
use crate::matching::{self, Match};
use crate::normalise::normalise;
use crate::page::{Lines, Page, around};
use crate::passes::{BOX, GREY, LINE_PX, NEAR, PAGE, Pass, Scale, Source, Upright};
use crate::plane::{Channel, Plane};
use crate::rows;
use crate::search::Search;
use crate::slope;
use crate::tesseract::{Eye, Mode};
use crate::{Expected, Found, ReadError};

/// Longest side of a plane that is searched for words, in pixels: a picture of 512 at twice its size. Larger ones are scaled
/// down to it, since time grows with the area and letters of a title do not need it.
const SIDE_MAX: u32 = 1024;
/// Mean difference of neighbouring pixels, of 255, from which a picture is noise. Scenes and photographs have under 20.
const ROUGH: f64 = 36.0;
/// Least and greatest scale of a box.
const SCALES: [f64; 2] = [0.25, 4.0];
/// Areas whose letters are kept, 2 MiB each at most: the picture, a box, its lines, and what is around them.
const CUTS_MAX: usize = 4;
/// Passes over a box, and that found the words, from which the whole picture is not looked at for them.
const ENOUGH: u32 = 6;
/// Area of letters, in percent of that of their outlines, from which they are no holes of letters.
const INNER: u64 = 35;

/// One language's look at a picture.
pub(crate) struct Look<'a, 'b> {
    eye: &'a mut Eye<'b>,
    pub(crate) image: &'a ImageBuf,
    pub(crate) language: Language,
    /// Passes over the whole picture so far, by their place in [`PAGE`]; nothing for one that was left out.
    pub(crate) pages: BTreeMap<usize, Option<Page>>,
    /// Letters of both sides, for the areas that were looked at last.
    cuts: Vec<(PixelBox, Rc<[Cut; 2]>)>,
    /// By how many degrees lines fall, for areas that were looked at.
    slopes: Vec<(PixelBox, f64)>,
    /// Where expected strings were read: the boxes of their symbols.
    pub(crate) explained: Vec<PixelBox>,
}

/// Where lines of letters stand in an area, by the letters that were cut out.
struct Hint {
    area: PixelBox,
    side: Side,
    lines: Lines,
}

impl<'a, 'b> Look<'a, 'b> {
    /// Nothing has been looked at yet.
    pub(crate) fn new(eye: &'a mut Eye<'b>, image: &'a ImageBuf, language: Language) -> Self {
        let (pages, cuts, slopes, explained) = (BTreeMap::new(), Vec::new(), Vec::new(), Vec::new());
        Self { eye, image, language, pages, cuts, slopes, explained }
    }

    /// What a pass over `area` reads; nothing where it would be the same as one before.
    fn pass(&mut self, area: PixelBox, pass: Pass, lines: Lines, locale: &str) -> Result<Option<Page>, ReadError> {
        let degrees = match pass.upright {
            Upright::Always => 0.0,
            Upright::Turned => self.slope(area),
        };
        let first = matches!(pass.scale, Scale::Times(1.0) | Scale::Line(LINE_PX));
        if pass.upright == Upright::Turned && pass.source == GREY && first && degrees == 0.0 {
            return Ok(None);
        }
        let mode = if pass.mode == Mode::Line && lines.count != 1 { Mode::Block } else { pass.mode };
        let scale = scale_of(pass.scale, lines);
        let plane = match pass.source {
            Source::Cut(side) => self.cuts(area).map(|cuts| cuts[side as usize].plane.clone()),
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
        let plane = match pass.source {
            Source::Cut(side) => self.cuts(hint.area).map(|cuts| cuts[side as usize].plane.clone()),
            Source::Plain(channel) => Plane::of(self.image, hint.area, channel).map(|plane| {
                let plane = plane.scaled(1.0, SIDE_MAX);
                if hint.side == Side::Bright { plane.inverted() } else { plane }
            }),
        };
        let Some(plane) = plane else { return Ok(None) };
        let plane = plane.scaled(scale_of(pass.scale, hint.lines), SIDE_MAX);
        let mode = if hint.lines.count == 1 { pass.mode } else { Mode::Block };
        self.see(&plane, mode, false, locale).map(Some)
    }

    /// What stands on a plane. `plain` is one that nothing was cut out of, so that letters may be white.
    pub(crate) fn see(&mut self, plane: &Plane, mode: Mode, plain: bool, locale: &str) -> Result<Page, ReadError> {
        let symbols = self.eye.look(plane, mode, plain)?;
        let leftward = matches!(self.language.code, "ara" | "heb" | "fas" | "urd" | "yid" | "pus" | "snd" | "uig");
        Ok(Page::new(symbols, plane, self.image.extent(), locale, leftward))
    }

    /// The letters of both sides in `area`, cut out once: bright ones, dark ones.
    pub(crate) fn cuts(&mut self, area: PixelBox) -> Option<Rc<[Cut; 2]>> {
        if let Some((_, cuts)) = self.cuts.iter().find(|(known, _)| *known == area) {
            return Some(Rc::clone(cuts));
        }
        let plane = Plane::of(self.image, area, Channel::Grey)?.scaled(1.0, SIDE_MAX);
        let cuts = Rc::new([Side::Bright, Side::Dark].map(|side| letters::cut(&plane, side)));
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
    fn hint(&mut self, area: PixelBox) -> Option<Hint> {
        if self.slope(area) != 0.0 {
            return None;
        }
        let cuts = self.cuts(area)?;
        let words = [0, 1].map(|at: usize| {
            let patches = &cuts[at].patches;
            let letters = rows::in_words(patches, self.language.joined());
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
        let within = [0, first[0].saturating_sub(margin), plane.width(), (last[1] + margin).min(plane.height())];
        let area = plane.in_picture(within.map(|side| side as i32), self.image.extent());
        Some(Hint { area, side, lines: Lines { count, px: Some(f64::from(px) / plane.scale()) } })
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
        let boxed = known && place.is_some_and(|place| self.slope(place) == 0.0);
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
        let hint = self.hint(area);
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
        for pass in BOX {
            if search.done {
                break;
            }
            // Those that were made of the lines alone.
            let cut = hint.as_ref().map(|hint| Source::Cut(hint.side));
            if pass.scale == NEAR.scale && cut.is_some() && (pass.source == GREY || Some(pass.source) == cut) {
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
