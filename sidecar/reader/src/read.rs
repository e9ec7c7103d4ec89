//! Which passes are made over a picture, in which order, and when enough is known.

use std::collections::BTreeMap;

use thumbforge_core::image::{ImageBuf, PixelBox};

use crate::language::{self, Language, Writing};
use crate::letters::{self, Side};
use crate::matching::{self, Match, Seen};
use crate::normalise::normalise;
use crate::page::{Lines, Page, around};
use crate::plane::{Channel, Plane};
use crate::tesseract::{Eye, Mode, Tesseract};
use crate::votes::Votes;
use crate::{Ask, Expected, Found, ReadError, Reading, Word};

/// Longest side of a plane that is searched for words, in pixels: a picture of 512 at twice its size. Larger ones are scaled
/// down to it, since time grows with the area and letters of a title do not need it.
const SIDE_MAX: u32 = 1024;
/// Mean difference of neighbouring pixels, of 255, from which a picture is noise. Scenes and photographs have under 20.
const ROUGH: f64 = 36.0;
/// Least and greatest scale of a box.
const SCALES: [f64; 2] = [0.25, 4.0];
/// Confidence of a word, of 100, from which it may be one that nobody expected.
const UNEXPECTED_CONFIDENCE: f32 = 60.0;
/// Which of [`PAGE`] are made for their sake: as it is, bright letters cut out, and turned where lines are not level.
const UNEXPECTED_PAGES: [usize; 3] = [0, 1, 3];
/// Letters from which a word that nobody expected is told; edges of things are read as one or two letters all the time.
const UNEXPECTED_LETTERS: usize = 3;
/// The same where a letter is a syllable or a word.
const UNEXPECTED_SYLLABLES: usize = 2;

/// How one pass looks at an area.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Pass {
    source: Source,
    scale: Scale,
    mode: Mode,
    upright: Upright,
}

/// At which size it is read.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Scale {
    /// So many times its own.
    Times(f64),
    /// So that a line has this height in pixels; its own size where no line is known yet.
    Line(f64),
}

/// Whether a plane is turned until its lines are level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Upright {
    /// It is read as it is.
    Always,
    /// It is turned. Where its lines are level already, a pass that was made so before is left out.
    Turned,
}

/// What letters are taken from.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Source {
    /// The pixels as they are.
    Plain(Channel),
    /// Patches that stand out against a line around them.
    Cut(Side),
}

const GREY: Source = Source::Plain(Channel::Grey);
const DARK: Source = Source::Plain(Channel::Dark);
const BRIGHT: Source = Source::Plain(Channel::Bright);
const CUT_BRIGHT: Source = Source::Cut(Side::Bright);
const CUT_DARK: Source = Source::Cut(Side::Dark);

const fn pass(source: Source, scale: Scale, mode: Mode, upright: Upright) -> Pass {
    Pass { source, scale, mode, upright }
}

/// Passes over the whole picture: sparse text, since nothing is known of where it stands.
const PAGE: [Pass; 9] = [
    pass(GREY, Scale::Times(1.0), Mode::Sparse, Upright::Always),
    pass(CUT_BRIGHT, Scale::Times(1.0), Mode::Sparse, Upright::Turned),
    pass(CUT_BRIGHT, Scale::Times(0.5), Mode::Sparse, Upright::Turned),
    pass(GREY, Scale::Times(1.0), Mode::Sparse, Upright::Turned),
    pass(CUT_DARK, Scale::Times(1.0), Mode::Sparse, Upright::Turned),
    pass(CUT_DARK, Scale::Times(0.5), Mode::Sparse, Upright::Turned),
    pass(GREY, Scale::Times(2.0), Mode::Sparse, Upright::Turned),
    pass(DARK, Scale::Times(2.0), Mode::Sparse, Upright::Turned),
    pass(BRIGHT, Scale::Times(2.0), Mode::Sparse, Upright::Turned),
];
/// Passes over a box, where lines are known or likely to be. [`Mode::Line`] is for words that were found in one line, and
/// stands for [`Mode::Block`] elsewhere: the layout of a block loses single characters at its ends, a line is read as it is.
const BOX: [Pass; 8] = [
    pass(GREY, Scale::Line(LINE_PX), Mode::Block, Upright::Always),
    pass(CUT_BRIGHT, Scale::Line(LINE_PX), Mode::Line, Upright::Turned),
    pass(GREY, Scale::Line(LINE_PX), Mode::Line, Upright::Turned),
    pass(CUT_DARK, Scale::Line(LINE_PX), Mode::Line, Upright::Turned),
    pass(CUT_BRIGHT, Scale::Line(LINE_PX * 1.4), Mode::Block, Upright::Turned),
    pass(DARK, Scale::Line(LINE_PX), Mode::Block, Upright::Turned),
    pass(GREY, Scale::Line(LINE_PX * 1.4), Mode::Block, Upright::Turned),
    pass(BRIGHT, Scale::Line(LINE_PX), Mode::Block, Upright::Turned),
];
/// Height of a line, in pixels, that is read best. The engine scales every line to 36; larger letters than these lose their
/// first and last characters in Chinese and Japanese, and smaller ones their marks.
const LINE_PX: f64 = 34.0;

/// What one language finds of its expected strings, and the words that nobody expected or why there are none.
type Looked = (Vec<Found>, Result<Vec<Word>, ReadError>);

/// Reads `image` with `ask` in mind.
pub(crate) fn read(tesseract: &Tesseract, image: &ImageBuf, ask: &Ask) -> Result<Reading, ReadError> {
    let mut groups: BTreeMap<&'static str, (Language, String, Vec<usize>)> = BTreeMap::new();
    let mut found: Vec<Option<Result<Found, ReadError>>> = vec![None; ask.expected.len()];
    for (at, expected) in ask.expected.iter().enumerate() {
        let language = language::of(&expected.locale);
        let letters = normalise(&expected.text, &expected.locale).len();
        if letters > matching::EXPECTED_MAX {
            found[at] = Some(Err(ReadError::TooLong { letters, most: matching::EXPECTED_MAX }));
            continue;
        }
        if letters == 0 {
            found[at] = Some(Err(ReadError::Nothing));
            continue;
        }
        groups.entry(language.code).or_insert_with(|| (language, expected.locale.clone(), Vec::new())).2.push(at);
    }
    if ask.unexpected {
        for locale in &ask.locales {
            let language = language::of(locale);
            groups.entry(language.code).or_insert_with(|| (language, locale.clone(), Vec::new()));
        }
    }
    let mut reading = Reading::default();
    if ask.unexpected && groups.is_empty() {
        let why = "words that nobody expected are looked for, and no language is named to read them by";
        reading.unlooked = Some(ReadError::Failed(why.to_owned()));
    }
    let mut strange = Vec::new();
    for (language, locale, members) in groups.values() {
        let look = |eye: &mut Eye<'_>| -> Result<Looked, ReadError> {
            let mut look = Look { eye, image, language: *language, pages: Vec::new(), slopes: Vec::new() };
            let mut found = Vec::new();
            for &at in members {
                found.push(look.expected(&ask.expected[at], ask.unexpected)?);
            }
            let words = if ask.unexpected { look.unexpected(ask, locale, members, &found) } else { Ok(Vec::new()) };
            Ok((found, words))
        };
        let words = match tesseract.with(*language, locale, look).and_then(|outcome| outcome) {
            Ok((some, words)) => {
                for (&at, one) in members.iter().zip(some) {
                    found[at] = Some(Ok(one));
                }
                words
            }
            Err(err) => {
                members.iter().for_each(|&at| found[at] = Some(Err(err.clone())));
                Err(err)
            }
        };
        match words {
            Ok(words) => strange.push((language.code, words)),
            Err(err) if ask.unexpected => {
                reading.unlooked.get_or_insert(err);
            }
            Err(_) => {}
        }
    }
    reading.found = found.into_iter().flatten().collect();
    // What one language's data makes of words of another is explained by where they stand.
    let places: Vec<(&str, PixelBox)> = std::iter::zip(&ask.expected, &reading.found)
        .filter_map(|(expected, found)| Some((language::of(&expected.locale).code, found.as_ref().ok()?)))
        .filter(|(_, found)| found.presence > 0.5)
        .filter_map(|(code, found)| Some((code, found.place?)))
        .collect();
    for (code, words) in strange {
        let others: Vec<PixelBox> =
            places.iter().filter(|(known, _)| *known != code).map(|(_, place)| *place).collect();
        reading.unexpected.extend(words.into_iter().filter(|word| !covered(word.place, &others)));
    }
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
    pages: Vec<Option<Page>>,
    /// By how many degrees lines fall, for areas that were looked at.
    slopes: Vec<(PixelBox, f64)>,
}

/// What is known of an expected string so far.
struct Search {
    expected: Vec<char>,
    votes: Votes,
    legibility: f64,
    best: Option<Best>,
    /// Its lines, by the pass that read most of it.
    lines: Lines,
    done: bool,
}

/// The pass that read most of it.
struct Best {
    distance: usize,
    text: String,
    place: Option<PixelBox>,
}

impl Search {
    fn new(expected: Vec<char>) -> Self {
        let votes = Votes::new(expected.len());
        Self { done: expected.is_empty(), expected, votes, legibility: 0.0, best: None, lines: Lines::default() }
    }

    /// Takes what a pass found.
    fn take(&mut self, page: &Page, found: &Match, plain: bool) {
        let letters = self.expected.len().max(1) as f64;
        if plain {
            self.legibility = self.legibility.max(1.0 - (found.distance as f64 / letters).min(1.0));
        }
        self.votes.count(found);
        if self.best.as_ref().is_none_or(|best| found.distance < best.distance) {
            let mut owners: Vec<usize> = page.owners.get(found.part.clone()).unwrap_or_default().to_vec();
            owners.dedup();
            if !found.seen.contains(&Seen::Right) {
                owners.clear();
            }
            let place = around(owners.iter().filter_map(|&at| page.places.get(at).copied()));
            self.lines = page.lines(&owners).unwrap_or(self.lines);
            self.best = Some(Best { distance: found.distance, text: page.text(&owners), place });
        }
        self.done = self.votes.settled() || self.votes.hopeless();
    }

    /// Whether a pass read at least half of it.
    fn located(&self) -> bool {
        self.best.as_ref().is_some_and(|best| best.distance * 2 <= self.expected.len())
    }

    fn found(self) -> Found {
        let presence = if self.expected.is_empty() { 1.0 } else { self.votes.presence() };
        let (read, place) = self.best.map_or((String::new(), None), |best| (best.text, best.place));
        Found { legibility: if self.expected.is_empty() { 1.0 } else { self.legibility }, presence, read, place }
    }
}

impl Look<'_, '_> {
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
        let scale = match (pass.scale, lines.px) {
            (Scale::Times(times), _) => times,
            (Scale::Line(wanted), Some(line_px)) => (wanted / line_px.max(1.0)).clamp(SCALES[0], SCALES[1]),
            (Scale::Line(_), None) => 1.0,
        };
        let channel = if let Source::Plain(channel) = pass.source { channel } else { Channel::Grey };
        let Some(plane) = Plane::of(self.image, area, channel) else { return Ok(None) };
        let plane = plane.scaled(1.0, SIDE_MAX);
        // Every speck of noise is a blob to look at: such a page takes seconds, and shows no word.
        if matches!(pass.source, Source::Plain(_)) && pass.mode == Mode::Sparse && plane.roughness() > ROUGH {
            return Ok(None);
        }
        let plane = if let Source::Cut(side) = pass.source { letters::cut(&plane, side) } else { plane };
        let plane = plane.scaled(scale, SIDE_MAX);
        let plane = if degrees == 0.0 { plane } else { plane.turned(degrees) };
        let symbols = self.eye.look(&plane, mode)?;
        let leftward = matches!(self.language.code, "ara" | "heb" | "fas" | "urd" | "yid" | "pus" | "snd" | "uig");
        Ok(Some(Page::new(symbols, &plane, self.image.extent(), locale, leftward)))
    }

    /// By how many degrees the lines in `area` fall, looked at once.
    fn slope(&mut self, area: PixelBox) -> f64 {
        if let Some((_, degrees)) = self.slopes.iter().find(|(known, _)| *known == area) {
            return *degrees;
        }
        let plane = Plane::of(self.image, area, Channel::Grey);
        let degrees = plane.map_or(0.0, |plane| letters::slope(&plane.scaled(1.0, SIDE_MAX)));
        self.slopes.push((area, degrees));
        degrees
    }

    fn find(&self, page: &Page, expected: &[char]) -> Match {
        matching::find(expected, &page.letters, self.language.writing == Writing::Spaced)
    }

    /// The page of pass `at`, read when it is first asked for; nothing for a pass that is left out.
    fn page(&mut self, at: usize, locale: &str) -> Result<Option<&Page>, ReadError> {
        while self.pages.len() <= at {
            let Some(&pass) = PAGE.get(self.pages.len()) else { return Ok(None) };
            let page = self.pass(self.image.extent().bounds(), pass, Lines::default(), locale)?;
            self.pages.push(page);
        }
        Ok(self.pages.get(at).and_then(Option::as_ref))
    }

    fn expected(&mut self, expected: &Expected, whole: bool) -> Result<Found, ReadError> {
        let mut search = Search::new(normalise(&expected.text, &expected.locale));
        // A box that lies outside of the picture says nothing of where the words are.
        let place = expected.place.and_then(|place| place.intersection(self.image.extent().bounds())).map(margined);
        // A pass over the whole picture that has to be made anyway often settles it.
        if whole {
            self.look_at_page(&mut search, 0, &expected.locale, place)?;
        }
        if let Some(place) = place {
            self.passes(&mut search, place, &expected.locale)?;
        }
        let mut near = None;
        for at in usize::from(whole)..PAGE.len() {
            if search.done {
                break;
            }
            // Turned words reach out of their box; words elsewhere are not the ones that should be in it.
            self.look_at_page(&mut search, at, &expected.locale, place)?;
            // Once two passes say where the words are, a look at them alone is cheaper, and less disturbed by what is around.
            if at > 0 && near.is_none() && !search.done && search.located() {
                near = search.best.as_ref().and_then(|best| best.place);
                if let Some(near) = near {
                    let area = roomy(near, search.lines);
                    self.passes(&mut search, area, &expected.locale)?;
                }
            }
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
        for pass in BOX {
            if search.done {
                break;
            }
            if let Some(page) = self.pass(area, pass, search.lines, locale)? {
                let found = self.find(&page, &search.expected);
                search.take(&page, &found, pass.source == GREY);
            }
        }
        Ok(())
    }

    /// Words on the pages that no expected string explains.
    fn unexpected(
        &mut self,
        ask: &Ask,
        locale: &str,
        members: &[usize],
        found: &[Found],
    ) -> Result<Vec<Word>, ReadError> {
        for at in UNEXPECTED_PAGES {
            self.page(at, locale)?;
        }
        let all: Vec<Vec<char>> =
            ask.expected.iter().map(|expected| normalise(&expected.text, &expected.locale)).collect();
        let mut words: Vec<Word> = Vec::new();
        for page in self.pages.iter().flatten() {
            let mut explained = vec![false; page.symbols.len()];
            let mut blind = false;
            for (at, expected) in all.iter().enumerate() {
                let best = self.find(page, expected);
                let located = best.distance * 2 <= expected.len();
                if located {
                    let owners = page.owners.get(best.part).unwrap_or_default();
                    owners.iter().for_each(|&at| explained[at] = true);
                }
                let there =
                    std::iter::zip(members, found).any(|(&member, found)| member == at && found.presence >= 1.0);
                blind |= there && !located;
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
}

/// Whether a letter is a syllable or a word: kana, Chinese characters, Hangul.
fn syllable(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{9FFF}' | '\u{AC00}'..='\u{D7AF}')
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
