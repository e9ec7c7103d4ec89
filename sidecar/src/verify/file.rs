//! Pictures on a disk, whoever made them: `thumbforge verify`.
//!
//! Nothing is known of such a picture but its pixels, so all of its words are judged as words that a model drew: by what is
//! read. A picture of ours says itself which words it should have, and where they were set.

use std::path::Path;

use serde::Serialize;
use thumbforge_art::check::{self, Checks, bounds};
use thumbforge_art::text::{self, FontBook};
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
        // Another program's chunk, or none, is no fault of the picture.
        let provenance = png::read_provenance(&bytes).ok().flatten();
        Ok(Self { image, recipe: provenance.map(|provenance| Box::new(provenance.recipe)) })
    }

    /// The words that its recipe names, and where they were set as far as that can be told without its fonts and its art.
    fn own_words(&self) -> Vec<Expected> {
        let Some(recipe) = &self.recipe else { return Vec::new() };
        let fonts = FontBook::packaged();
        let words = recipe.text.iter().map(|layer| {
            let mut blank = ImageBuf::filled(self.image.extent(), [0, 0, 0, 255]);
            let set = match layer.mode.is_composite() {
                true => text::set(&mut blank, std::slice::from_ref(layer), &fonts).ok(),
                false => None,
            };
            let set = set.and_then(|set| set.into_iter().next());
            let (text, place) = match set {
                Some(set) => (set.lines.join("\n"), Some(set.ink)),
                None => (layer.text.clone(), None),
            };
            Expected { text, locale: layer.locale.clone(), place }
        });
        words.collect()
    }
}

/// What the checks say of a picture.
pub fn check(picture: &Picture, asked: &Asked, eyes: &Eyes) -> Checked {
    let (image, criteria) = (&picture.image, &asked.criteria);
    let own = || picture.own_words();
    let mut expected = asked.expected.clone().unwrap_or_else(own);
    // What lies outside was set for another size, and is looked for everywhere.
    for one in expected.iter_mut().filter(|_| asked.expected.is_none()) {
        one.place = one.place.filter(|place| image.extent().bounds().contains(*place));
    }
    let locale = criteria.required_locale.as_deref().unwrap_or(ART_LOCALE);
    let required =
        criteria.required.iter().map(|words| Expected { text: words.clone(), locale: locale.to_owned(), place: None });
    expected.extend(required);
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
    read(image, expected, asked, eyes, &mut checked);
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

fn read(image: &ImageBuf, expected: Vec<Expected>, asked: &Asked, eyes: &Eyes, checked: &mut Checked) {
    let criteria = &asked.criteria;
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
    if ask.expected.is_empty()
        && let Some(err) = ask.locales.iter().find_map(|locale| eyes.can_read(locale).err())
    {
        checked.findings.extend(words::unlooked(unexpected, &err));
        return;
    }
    // Who verifies wants an answer: what nobody could read is as bad as what is wrong.
    let unverified = criteria.unverified_level(Gate::Enforce);
    let unread = |expected: &Expected| ExpectedWord {
        expected: words::plain(&expected.text),
        locale: expected.locale.clone(),
        presence: None,
        legibility: None,
        read: None,
        place: None,
    };
    let reading = match eyes.read(image, &ask) {
        Ok(reading) => reading,
        Err(err) => {
            checked.words = ask.expected.iter().map(unread).collect();
            checked.findings.extend(ask.expected.iter().filter_map(|one| words::unread(one, unverified, &err)));
            return;
        }
    };
    checked.readers.clone_from(&reading.readers);
    for (one, found) in ask.expected.iter().zip(&reading.found) {
        let found = match found {
            Ok(found) => found,
            Err(err) => {
                checked.words.push(unread(one));
                checked.findings.extend(words::unread(one, unverified, err));
                continue;
            }
        };
        checked.words.push(ExpectedWord {
            presence: Some(found.presence),
            legibility: Some(found.legibility),
            read: Some(found.read.clone()),
            place: found.place,
            ..unread(one)
        });
        // A box that somebody names is a promise as well; where our own layers were set is a help to the reader.
        let named = one.place.filter(|_| asked.expected.is_some());
        let elsewhere = named.zip(found.place).is_some_and(|(named, place)| !mostly(place, named));
        checked.findings.extend(match elsewhere && found.presence >= criteria.presence_min() {
            true => criteria.text_level().severity().map(|severity| words::misplaced(one, found, severity)),
            false => words::right(criteria, one, found),
        });
        if let Some(place) = found.place.filter(|_| found.presence >= criteria.presence_min()) {
            checked.findings.extend(placed(image, one, place, asked));
        }
    }
    let told = |word: &Word| UnexpectedWord { text: word.text.clone(), confidence: word.confidence, place: word.place };
    checked.unexpected = reading.unexpected.iter().map(told).collect();
    let severity = unexpected.severity().into_iter();
    checked.findings.extend(severity.flat_map(|severity| words::too_many(&reading.unexpected, severity)));
}

/// Whether most of `place` lies within `named`.
fn mostly(place: PixelBox, named: PixelBox) -> bool {
    let area = |place: PixelBox| u64::from(place.w) * u64::from(place.h);
    place.intersection(named).is_some_and(|common| area(common) * 2 > area(place))
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
