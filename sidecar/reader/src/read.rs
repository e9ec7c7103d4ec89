//! Which passes are made over a picture, in which order, and when enough is known.

use std::collections::BTreeMap;

use thumbforge_core::image::{ImageBuf, PixelBox};

use crate::language::{self, Language, Writing};
use crate::matching::{self, Match, Seen};
use crate::normalise::normalise;
use crate::page::{Page, around};
use crate::plane::{Channel, Plane};
use crate::tesseract::{Eye, Mode, Tesseract};
use crate::votes::Votes;
use crate::{Ask, Expected, Found, ReadError, Reading, Word};

/// Longest side of a plane that is searched for words, in pixels: a picture of 512 at twice its size. Larger ones are scaled
/// down to it, since time grows with the area and letters of a title do not need it.
const SIDE_MAX: u32 = 1024;
/// Confidence of a word, of 100, from which it may be one that nobody expected.
const UNEXPECTED_CONFIDENCE: f32 = 60.0;
/// Letters from which a word that nobody expected is told; edges of things are read as one or two letters all the time.
const UNEXPECTED_LETTERS: usize = 3;
/// The same where a letter is a syllable or a word.
const UNEXPECTED_LETTERS_UNSPACED: usize = 2;

/// How one pass looks at an area.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Pass {
    channel: Channel,
    scale: f64,
    mode: Mode,
    degrees: f64,
}

const fn pass(channel: Channel, scale: f64, mode: Mode, degrees: f64) -> Pass {
    Pass { channel, scale, mode, degrees }
}

/// Passes over the whole picture.
const PAGE: [Pass; 4] = [
    pass(Channel::Grey, 2.0, Mode::Sparse, 0.0),
    pass(Channel::Dark, 2.0, Mode::Sparse, 0.0),
    pass(Channel::Bright, 2.0, Mode::Sparse, 0.0),
    pass(Channel::Grey, 1.0, Mode::Sparse, 0.0),
];
/// Passes over a box.
const BOX: [Pass; 4] = [
    pass(Channel::Grey, 2.0, Mode::Block, 0.0),
    pass(Channel::Dark, 2.0, Mode::Block, 0.0),
    pass(Channel::Bright, 2.0, Mode::Block, 0.0),
    pass(Channel::Grey, 1.0, Mode::Block, 0.0),
];
/// Angles that are tried when nothing else helped.
const DEGREES: [f64; 6] = [8.0, -8.0, 20.0, -20.0, 10.0, -10.0];

/// Reads `image` with `ask` in mind.
pub(crate) fn read(tesseract: &Tesseract, image: &ImageBuf, ask: &Ask) -> Result<Reading, ReadError> {
    let mut groups: BTreeMap<&'static str, (Language, String, Vec<usize>)> = BTreeMap::new();
    for (at, expected) in ask.expected.iter().enumerate() {
        let language = language::of(&expected.locale);
        groups.entry(language.code).or_insert_with(|| (language, expected.locale.clone(), Vec::new())).2.push(at);
    }
    if ask.unexpected {
        for locale in &ask.locales {
            let language = language::of(locale);
            groups.entry(language.code).or_insert_with(|| (language, locale.clone(), Vec::new()));
        }
    }
    let mut reading = Reading::default();
    let mut found: Vec<Option<Result<Found, ReadError>>> = vec![None; ask.expected.len()];
    let mut strange = Vec::new();
    for (language, locale, members) in groups.values() {
        let look = |eye: &mut Eye<'_>| -> Result<(Vec<Found>, Vec<Word>), ReadError> {
            let mut look = Look { eye, image, language: *language, pages: Vec::new() };
            let mut found = Vec::new();
            for &at in members {
                found.push(look.expected(&ask.expected[at])?);
            }
            let words = if ask.unexpected { look.unexpected(ask, locale)? } else { Vec::new() };
            Ok((found, words))
        };
        match tesseract.with(*language, locale, look).and_then(|outcome| outcome) {
            Ok((some, words)) => {
                for (&at, one) in members.iter().zip(some) {
                    found[at] = Some(Ok(one));
                }
                strange.push((language.code, words));
            }
            Err(err) => members.iter().for_each(|&at| found[at] = Some(Err(err.clone()))),
        }
    }
    reading.found = found.into_iter().flatten().collect();
    // What one language's data makes of words of another is explained by where they stand.
    let places: Vec<PixelBox> =
        reading.found.iter().flatten().filter(|found| found.presence > 0.5).filter_map(|found| found.place).collect();
    reading.unexpected =
        strange.into_iter().flat_map(|(_, words)| words).filter(|word| !covered(word.place, &places)).collect();
    let codes: Vec<&'static str> = groups.keys().copied().collect();
    reading.readers = tesseract.readers(&codes);
    Ok(reading)
}

/// Whether most of `place` lies in one of `places`.
fn covered(place: PixelBox, places: &[PixelBox]) -> bool {
    let area = |place: PixelBox| u64::from(place.w) * u64::from(place.h);
    places.iter().filter_map(|known| known.intersection(place)).any(|common| area(common) * 2 > area(place))
}

/// One language's look at a picture.
struct Look<'a, 'b> {
    eye: &'a mut Eye<'b>,
    image: &'a ImageBuf,
    language: Language,
    /// Passes over the whole picture so far, in the order of [`PAGE`].
    pages: Vec<Page>,
}

/// What is known of an expected string so far.
struct Search {
    expected: Vec<char>,
    votes: Votes,
    legibility: Option<f64>,
    best: Option<(usize, String, Option<PixelBox>)>,
    done: bool,
}

impl Search {
    fn new(expected: Vec<char>) -> Self {
        let votes = Votes::new(expected.len());
        Self { done: expected.is_empty(), expected, votes, legibility: None, best: None }
    }

    /// Takes what a pass found.
    fn take(&mut self, page: &Page, found: &Match) {
        let letters = self.expected.len().max(1) as f64;
        self.legibility.get_or_insert(1.0 - (found.distance as f64 / letters).min(1.0));
        self.votes.count(found);
        if self.best.as_ref().is_none_or(|(distance, ..)| found.distance < *distance) {
            let right = found.seen.contains(&Seen::Right);
            let mut owners: Vec<usize> = page.owners.get(found.part.clone()).unwrap_or_default().to_vec();
            owners.dedup();
            let place = around(owners.iter().filter_map(|&at| page.places.get(at).copied()));
            let text = page.text(&owners);
            self.best = Some(if right { (found.distance, text, place) } else { (found.distance, String::new(), None) });
        }
        self.done = self.votes.presence() >= 1.0;
    }

    fn found(self) -> Found {
        let presence = if self.expected.is_empty() { 1.0 } else { self.votes.presence() };
        let (_, read, place) = self.best.unwrap_or((0, String::new(), None));
        Found { legibility: self.legibility.unwrap_or(presence), presence, read, place }
    }
}

impl Look<'_, '_> {
    fn pass(&mut self, area: PixelBox, pass: Pass, locale: &str) -> Result<Option<Page>, ReadError> {
        let Some(plane) = Plane::of(self.image, area, pass.channel) else { return Ok(None) };
        let plane = plane.scaled(pass.scale, SIDE_MAX);
        let plane = if pass.degrees == 0.0 { plane } else { plane.turned(pass.degrees) };
        let symbols = self.eye.look(&plane, pass.mode)?;
        let leftward = matches!(self.language.code, "ara" | "heb" | "fas" | "urd" | "yid" | "pus" | "snd" | "uig");
        Ok(Some(Page::new(symbols, &plane, self.image.extent(), locale, leftward)))
    }

    fn find(&self, page: &Page, expected: &[char]) -> Match {
        matching::find(expected, &page.letters, self.language.writing == Writing::Spaced)
    }

    /// The page of pass `at`, read when it is first asked for.
    fn page(&mut self, at: usize, locale: &str) -> Result<Option<&Page>, ReadError> {
        while self.pages.len() <= at {
            let Some(&pass) = PAGE.get(self.pages.len()) else { return Ok(None) };
            let Some(page) = self.pass(self.image.extent().bounds(), pass, locale)? else { return Ok(None) };
            self.pages.push(page);
        }
        Ok(self.pages.get(at))
    }

    fn expected(&mut self, expected: &Expected) -> Result<Found, ReadError> {
        let mut search = Search::new(normalise(&expected.text, &expected.locale));
        let whole = self.image.extent().bounds();
        if let Some(place) = expected.place {
            self.passes(&mut search, margined(place), &BOX, &expected.locale)?;
        }
        for at in 0..PAGE.len() {
            if search.done {
                break;
            }
            let Some(page) = self.page(at, &expected.locale)? else { break };
            let page = page.clone();
            let found = self.find(&page, &search.expected);
            search.take(&page, &found);
        }
        if let Some(place) = search.best.as_ref().and_then(|(_, _, place)| *place) {
            self.passes(&mut search, margined(place), &BOX, &expected.locale)?;
        }
        for degrees in DEGREES {
            self.passes(&mut search, whole, &[pass(Channel::Grey, 2.0, Mode::Sparse, degrees)], &expected.locale)?;
        }
        Ok(search.found())
    }

    fn passes(&mut self, search: &mut Search, area: PixelBox, passes: &[Pass], locale: &str) -> Result<(), ReadError> {
        for &pass in passes {
            if search.done {
                break;
            }
            if let Some(page) = self.pass(area, pass, locale)? {
                let found = self.find(&page, &search.expected);
                search.take(&page, &found);
            }
        }
        Ok(())
    }

    /// Words on the pages that no expected string explains.
    fn unexpected(&mut self, ask: &Ask, locale: &str) -> Result<Vec<Word>, ReadError> {
        self.page(0, locale)?;
        let all: Vec<Vec<char>> =
            ask.expected.iter().map(|expected| normalise(&expected.text, &expected.locale)).collect();
        let spaced = self.language.writing == Writing::Spaced;
        let least = if spaced { UNEXPECTED_LETTERS } else { UNEXPECTED_LETTERS_UNSPACED };
        let mut words: Vec<Word> = Vec::new();
        for page in &self.pages {
            let mut explained = vec![false; page.symbols.len()];
            for expected in &all {
                let found = self.find(page, expected);
                if found.distance * 2 <= expected.len() {
                    let owners = page.owners.get(found.part).unwrap_or_default();
                    owners.iter().for_each(|&at| explained[at] = true);
                }
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
                if letters.len() < least || confidence < UNEXPECTED_CONFIDENCE {
                    continue;
                }
                let known = all.iter().any(|expected| {
                    let text: Vec<matching::Letter> =
                        expected.iter().map(|&c| matching::Letter { c, starts_word: false }).collect();
                    matching::find(&letters, &text, false).distance * 2 <= letters.len()
                });
                let Some(place) = around(open.iter().map(|&at| page.places[at])) else { continue };
                if !known && !words.iter().any(|word| covered(place, &[word.place])) {
                    words.push(Word { text: page.text(&open), confidence: f64::from(confidence), place });
                }
            }
        }
        Ok(words)
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

/// Temporary.
#[doc(hidden)]
pub fn raw(
    t: &Tesseract,
    image: &ImageBuf,
    locale: &str,
    area: PixelBox,
    pass: (u8, f64, u8, f64),
) -> Vec<(String, f32, [i32; 4], bool, bool)> {
    let channel = [Channel::Grey, Channel::Dark, Channel::Bright][pass.0 as usize];
    let mode = [Mode::Block, Mode::Line, Mode::Sparse][pass.2 as usize];
    let plane = Plane::of(image, area, channel).expect("plane").scaled(pass.1, 4096);
    let plane = if pass.3 == 0.0 { plane } else { plane.turned(pass.3) };
    t.with(language::of(locale), locale, |eye| eye.look(&plane, mode))
        .expect("data")
        .expect("read")
        .into_iter()
        .map(|s| {
            let p = plane.in_picture(s.place, image.extent());
            (s.text, s.confidence, [p.x, p.y, p.w as i32, p.h as i32], s.starts_word, s.starts_line)
        })
        .collect()
}
