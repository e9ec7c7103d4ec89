//! Pictures on a disk, whoever made them: `thumbforge verify`.
//!
//! Nothing is known of such a picture but its pixels, so its words are judged as words that a model drew: by what is read.
//! A picture of ours says itself which words it should have. Those that were set in true type are set once more: where that
//! changes no pixel that they cover, they are there, in any language and without a reader.

use std::path::Path;

use serde::Serialize;
use thumbforge_art::check::{self, Checks, bounds};
use thumbforge_art::text::{self, FontBook, SetLayer};
use thumbforge_core::colour::Rgb;
use thumbforge_core::criteria::{Criteria, Level};
use thumbforge_core::error::{Failure, chain};
use thumbforge_core::image::{Extent, ImageBuf, PixelBox};
use thumbforge_core::job::Gate;
use thumbforge_core::recipe::Recipe;
use thumbforge_core::verdict::{Finding, FindingCode, Severity};
use thumbforge_reader::{Ask, Expected, Word};

use super::eyes::Eyes;
use super::words::{self, ART_LOCALE};
use crate::output::png::{self, DecodeLimits};

/// Height in pixels from which a line of letters is large to WCAG: that of capitals of 24 pixels, 0.7 of the size.
const LARGE_LINE_PX: u32 = 17;

/// What a picture is asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Words that should be there; `None` for those that the picture's own recipe names.
    pub expected: Option<Vec<Expected>>,
    /// BCP 47 tags to read by where no words are expected.
    pub locales: Vec<String>,
    /// What it is held to.
    pub criteria: Criteria,
    /// Whether expected words alone are errors, and everything else that is found is a warning.
    pub words_alone: bool,
    /// Share of each side that words keep clear of.
    pub safe_inset: f64,
    /// Brand colours of a picture that does not say its own.
    pub brand: Vec<Rgb>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Checked {
    /// Its size in pixels.
    pub size: Extent,
    /// False as soon as one finding is an error.
    pub passed: bool,
    /// What was read of the expected words, in their order.
    pub words: Vec<ExpectedWord>,
    /// Words that nobody expected.
    pub unexpected: Vec<UnexpectedWord>,
    /// In the order of the checks. Whoever writes them adds where they are shown.
    #[serde(skip)]
    pub findings: Vec<Finding>,
    /// What read, with versions and language data.
    pub readers: Vec<String>,
}

/// What was read of expected words.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExpectedWord {
    /// The words.
    pub expected: String,
    /// By which they were read.
    pub locale: String,
    /// How much of them the best pass reads, 0 to 1; absent where nobody could read.
    pub presence: Option<f64>,
    /// How much of them the plain pass reads, 0 to 1.
    pub legibility: Option<f64>,
    /// What was read where they fit best.
    pub read: Option<String>,
    /// Where that is.
    #[serde(rename = "box")]
    pub place: Option<PixelBox>,
}

/// A word that nobody expected.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UnexpectedWord {
    /// As it was read.
    pub text: String,
    /// How sure the reader is, 0 to 100.
    pub confidence: f64,
    /// Where.
    #[serde(rename = "box")]
    pub place: PixelBox,
}

/// A picture that was read from a file.
#[derive(Debug)]
pub struct Picture {
    /// Its pixels.
    pub image: ImageBuf,
    /// How it was made, if it is ours.
    pub recipe: Option<Box<Recipe>>,
    /// Why it is not believed what it says of itself, if it says something.
    pub doubt: Option<String>,
}

impl Picture {
    /// Reads a PNG, JPEG, WebP, TGA or BMP.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        use std::io::Read as _;
        use thumbforge_core::error::ErrorCode;
        let failed = |code, why: String| Failure::new(code, format!("failed to verify {}: {why}", path.display()));
        let mut bytes = Vec::new();
        let limits = DecodeLimits::ART;
        let file = std::fs::File::open(path).map_err(|err| failed(ErrorCode::InputFile, err.to_string()))?;
        // One byte more than may be read shows that a file is too large.
        file.take(limits.file_bytes_max as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|err| failed(ErrorCode::InputFile, err.to_string()))?;
        let image = png::decode(&bytes, limits).map_err(|err| failed(err.code(), chain(&err)))?;
        let (recipe, doubt) = match png::read_provenance(&bytes) {
            Ok(None) => (None, None),
            Ok(Some(said)) if !said.keys_agree() => {
                (None, Some("its recipe and its keys do not agree, so one of them was changed".to_owned()))
            }
            // As bounded as one that is to be drawn: each of its layers is set and read.
            Ok(Some(said)) => match said.recipe.normalised() {
                Ok(recipe) => (Some(Box::new(recipe)), None),
                Err(err) => (None, Some(format!("nobody could have drawn its recipe: {err}"))),
            },
            Err(err) => (None, Some(chain(&err))),
        };
        Ok(Self { image, recipe, doubt })
    }

    /// The words that its recipe names.
    fn own_words(&self) -> Vec<Sought> {
        let Some(recipe) = &self.recipe else { return Vec::new() };
        let fonts = FontBook::packaged();
        let words = recipe.text.iter().map(|layer| {
            let sought = |place| Sought::of(Expected { text: layer.text.clone(), locale: layer.locale.clone(), place });
            if !layer.mode.is_composite() {
                return sought(None);
            }
            // Set once more over the picture: it tells where the words are, and whether they are there.
            let mut again = self.image.clone();
            let set =
                text::set(&mut again, std::slice::from_ref(layer), &fonts).ok().and_then(|set| set.into_iter().next());
            // A font of the team's own is not here, and a picture of another size was made of this one.
            let Some(set) = set.filter(|set| self.image.extent().bounds().contains(set.ink)) else {
                return sought(None);
            };
            Sought { is_set: is_set(&self.image, &again, &set), ..sought(Some(set.ink)) }
        });
        words.collect()
    }
}

/// Words that are looked for.
struct Sought {
    expected: Expected,
    /// Whether they stand there in true type, pixel for pixel, so that nobody need read them.
    is_set: bool,
}

impl Sought {
    fn of(expected: Expected) -> Self {
        Self { expected, is_set: false }
    }
}

/// Share of the pixels that letters and outlines cover wholly which setting the words again may change: none but those that
/// another layer's shadow darkened at its rim.
const CHANGED_MAX: f64 = 0.001;
/// Least contrast of words that are set: what is as bright as its background proves nothing when it is painted again.
const APART_MIN: f64 = 1.5;

/// Whether setting words over `image`, which gave `again`, changed nothing of what they cover wholly.
fn is_set(image: &ImageBuf, again: &ImageBuf, set: &SetLayer) -> bool {
    let ink = set.ink;
    let places = (ink.y..ink.y + ink.h as i32).flat_map(|y| (ink.x..ink.x + ink.w as i32).map(move |x| (x, y)));
    let (mut covered, mut changed) = (0_u32, 0_u32);
    for (x, y) in places.filter(|&(x, y)| set.coverage.at(x, y) == u8::MAX) {
        covered += 1;
        changed += u32::from(image.pixel(x as u32, y as u32) != again.pixel(x as u32, y as u32));
    }
    let apart = check::contrast_within(image, ink).is_some_and(|ratio| ratio >= APART_MIN);
    apart && covered > 0 && f64::from(changed) <= f64::from(covered) * CHANGED_MAX
}

/// What the checks say of a picture.
pub fn check(picture: &Picture, asked: &Asked, eyes: &Eyes) -> Checked {
    let (image, criteria) = (&picture.image, &asked.criteria);
    let mut sought = match &asked.expected {
        Some(expected) => expected.iter().cloned().map(Sought::of).collect(),
        None => picture.own_words(),
    };
    let locale = criteria.required_locale.as_deref().unwrap_or(ART_LOCALE);
    let required =
        criteria.required.iter().map(|words| Expected { text: words.clone(), locale: locale.to_owned(), place: None });
    sought.extend(required.map(Sought::of));
    let brand = picture.recipe.as_ref().map_or(&asked.brand, |recipe| &recipe.brand);
    let mut checked = Checked {
        size: image.extent(),
        passed: true,
        words: Vec::new(),
        unexpected: Vec::new(),
        findings: Checks {
            expected: picture.recipe.as_ref().map_or(image.extent(), |recipe| recipe.size),
            art: image,
            finished: image,
            set: &[],
            safe_inset: asked.safe_inset,
            shown_width: image.extent().width,
            brand,
            brand_set: &[],
            criteria,
        }
        .art(),
        readers: Vec::new(),
    };
    read(image, sought, asked, eyes, &mut checked);
    if let (None, Some(doubt)) = (&asked.expected, &picture.doubt) {
        checked.findings.push(Finding {
            code: FindingCode::TextUnverified,
            severity: Severity::Error,
            message: format!(
                "what words it should show is not known: {doubt}; name them with --expect, or build it anew"
            ),
            place: None,
            expected: None,
            read: None,
            score: None,
        });
    }
    for finding in checked.findings.iter_mut().filter(|finding| asked.words_alone && !is_of_words(finding)) {
        finding.severity = finding.severity.min(Severity::Warning);
    }
    checked.passed = checked.findings.iter().all(|finding| finding.severity != Severity::Error);
    checked
}

/// Whether a finding says that expected words are wrong, or that nobody knows.
fn is_of_words(finding: &Finding) -> bool {
    matches!(finding.code, FindingCode::TextMismatch | FindingCode::TextUnverified)
}

fn read(image: &ImageBuf, sought: Vec<Sought>, asked: &Asked, eyes: &Eyes, checked: &mut Checked) {
    let criteria = &asked.criteria;
    let is_set: Vec<bool> = sought.iter().map(|one| one.is_set).collect();
    let expected: Vec<Expected> = sought.into_iter().map(|one| one.expected).collect();
    let unexpected = criteria.unexpected_level(!expected.is_empty());
    let mut locales: Vec<String> = expected.iter().map(|one| one.locale.clone()).collect();
    if locales.is_empty() {
        locales.clone_from(&asked.locales);
    }
    locales.sort();
    locales.dedup();
    let ask = Ask { expected, unexpected: unexpected != Level::Ignore, locales };
    if ask.expected.is_empty() && !ask.unexpected {
        return;
    }
    // Who verifies wants an answer: what nobody could read is as bad as what is wrong.
    let unverified = criteria.unverified_level(Gate::Enforce);
    let blank = |expected: &Expected| ExpectedWord {
        expected: words::plain(&expected.text),
        locale: expected.locale.clone(),
        presence: None,
        legibility: None,
        read: None,
        place: None,
    };
    let set = |expected: &Expected| ExpectedWord {
        presence: Some(1.0),
        read: Some(words::plain(&expected.text)),
        place: expected.place,
        ..blank(expected)
    };
    let look = words::look(eyes, image, ask);
    let (ask, reading) = (&look.ask, &look.reading);
    checked.readers.clone_from(&reading.readers);
    for ((one, found), is_set) in ask.expected.iter().zip(&reading.found).zip(is_set) {
        if is_set {
            // Right by construction; what a reader makes of it is a measure of how well people can read it, and no more.
            let legibility = found.as_ref().ok().map(|found| found.legibility);
            checked.words.push(ExpectedWord { legibility, ..set(one) });
            let told = found.as_ref().ok().filter(|_| criteria.illegible.is_some() || criteria.legibility.is_some());
            checked.findings.extend(told.and_then(|found| words::illegible(criteria, one, found)));
            checked.findings.extend(one.place.into_iter().flat_map(|place| placed(image, one, place, asked)));
            continue;
        }
        let found = match found {
            Ok(found) => words::closer(eyes, image, criteria, one, found),
            Err(err) => {
                checked.words.push(blank(one));
                checked.findings.extend(words::unread(one, unverified, err));
                continue;
            }
        };
        checked.words.push(ExpectedWord {
            presence: Some(found.presence),
            legibility: Some(found.legibility),
            read: Some(found.read.clone()),
            place: found.place,
            ..blank(one)
        });
        checked.findings.extend(words::right(criteria, one, &found));
        if let Some(place) = found.place.filter(|_| found.presence >= criteria.presence_min()) {
            checked.findings.extend(placed(image, one, place, asked));
        }
    }
    let told = |word: &Word| UnexpectedWord { text: word.text.clone(), confidence: word.confidence, place: word.place };
    checked.findings.extend(look.unlooked(criteria, Severity::Warning));
    checked.unexpected = reading.unexpected.iter().map(told).collect();
    let severity = unexpected.severity().into_iter();
    checked.findings.extend(severity.flat_map(|severity| words::too_many(&reading.unexpected, severity)));
}

/// What can be said of words by the place where they were read.
fn placed(image: &ImageBuf, expected: &Expected, place: PixelBox, asked: &Asked) -> Vec<Finding> {
    let criteria = &asked.criteria;
    let words = words::shown(&expected.text);
    let lines = expected.text.lines().count().max(1) as u32;
    let height = place.h / lines;
    let mut findings = Vec::new();
    let mut add = |code, severity, message: String, score: f64| {
        findings.push(Finding {
            code,
            severity,
            message,
            place: Some(place),
            expected: Some(words::plain(&expected.text)),
            read: None,
            score: Some(score),
        });
    };
    let usual = if height >= LARGE_LINE_PX { bounds::CONTRAST_LARGE_MIN } else { bounds::CONTRAST_SMALL_MIN };
    let least = criteria.contrast_min.unwrap_or(usual);
    let ratio = check::contrast_within(image, place);
    if let (Some(severity), Some(ratio)) = (criteria.contrast_level().severity(), ratio.filter(|ratio| *ratio < least))
    {
        let message = format!(
            "'{words}' has a contrast of about {ratio:.1}:1 to what is behind it, and {least}:1 is needed; set it apart with \
             an outline or a plate"
        );
        add(FindingCode::LowContrast, severity, message, ratio);
    }
    let safe = check::safe_area(image.extent(), asked.safe_inset);
    if let Some(severity) = criteria.safe_area_level().severity().filter(|_| !safe.contains(place)) {
        let message = format!(
            "'{words}' reaches into the outer {:.0} % that shops crop or cover; move it inwards",
            asked.safe_inset * 100.0
        );
        add(FindingCode::TextOutsideSafeArea, severity, message, asked.safe_inset);
    }
    let share = f64::from(height) / f64::from(image.extent().height.max(1));
    if let Some(least) = criteria.text_height.filter(|least| share < *least) {
        let message = format!(
            "the letters of '{words}' are {:.1} % of the picture high, and {:.1} % are asked for; make them larger",
            share * 100.0,
            least * 100.0
        );
        add(FindingCode::TextTooSmall, Severity::Error, message, share);
    }
    findings
}

#[cfg(test)]
mod tests {
    use thumbforge_core::text_layer::{TextLayer, TextMode, TextStyle};

    use super::*;

    fn layer(words: &str, locale: &str) -> TextLayer {
        TextLayer {
            name: "title".to_owned(),
            text: words.to_owned(),
            locale: locale.to_owned(),
            mode: TextMode::Composite,
            style: TextStyle::default(),
        }
    }

    /// A picture whose pixels show `shown` and whose recipe names `said`.
    fn picture(shown: &TextLayer, said: &TextLayer) -> Picture {
        let extent = Extent { width: 256, height: 256 };
        let pixels = (0..extent.pixels()).flat_map(|at| [(at % 256) as u8, (at / 256) as u8, (at / 7) as u8, 255]);
        let mut image = ImageBuf::from_rgba(extent, pixels.collect()).expect("the right length");
        text::set(&mut image, std::slice::from_ref(shown), &FontBook::packaged()).expect("it fits");
        let recipe = Recipe { text: vec![said.clone()], ..Recipe::from_prompt("a potion", extent) };
        Picture { image, recipe: Some(Box::new(recipe)), doubt: None }
    }

    #[test]
    fn words_in_true_type_need_no_reader_and_wrong_ones_do() {
        let asked = Asked {
            expected: None,
            locales: vec!["en".to_owned()],
            criteria: Criteria { unexpected: Some(Level::Ignore), ..Criteria::default() },
            words_alone: true,
            safe_inset: bounds::SAFE_INSET,
            brand: Vec::new(),
        };
        let judged = |shown: &TextLayer, said: &TextLayer| check(&picture(shown, said), &asked, &Eyes::shut());
        for (words, locale) in [("SALE", "en"), ("大セール", "ja"), ("تخفيضات", "ar"), ("ลดราคา", "th")]
        {
            let right = judged(&layer(words, locale), &layer(words, locale));
            assert!(right.passed && right.findings.is_empty(), "{words}: {:#?}", right.findings);
            assert_eq!((right.words[0].presence, right.words[0].read.as_deref()), (Some(1.0), Some(words)));
        }
        // One letter, one mark, or nothing at all: then somebody has to read it, and here nobody can.
        for (shown, said, locale) in
            [("SALT", "SALE", "en"), ("Kızıl", "Kizil", "tr"), ("大セル", "大セール", "ja"), ("·", "SALE", "en")]
        {
            let wrong = judged(&layer(shown, locale), &layer(said, locale));
            assert!(!wrong.passed && wrong.findings[0].code == FindingCode::TextUnverified, "{shown}: {wrong:#?}");
        }
    }

    #[test]
    fn letters_like_their_background_prove_nothing() {
        let plain = TextStyle { outline: None, shadow: None, ..TextStyle::default() };
        let white = TextLayer { style: plain, ..layer("SALE", "en") };
        let extent = Extent { width: 256, height: 256 };
        let recipe = Recipe { text: vec![white], ..Recipe::from_prompt("snow", extent) };
        let picture =
            Picture { image: ImageBuf::filled(extent, [255; 4]), recipe: Some(Box::new(recipe)), doubt: None };
        assert!(picture.own_words().iter().all(|sought| !sought.is_set));
    }
}
