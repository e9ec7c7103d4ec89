//! From readings to findings: words that a model drew, words that nobody asked for, and words set in true type.

use std::sync::Arc;

use thumbforge_core::criteria::{Criteria, Level};
use thumbforge_core::image::{ImageBuf, PixelBox};
use thumbforge_core::job::Gate;
use thumbforge_core::verdict::{Finding, FindingCode, Severity};
use thumbforge_reader::{Ask, Expected, Found, ReadError, Reading, Word};

use super::{Eyes, Judged, Subject, phrase};

/// Locale by which art without words of its own is read for words that nobody asked for. What models scrawl looks like Latin
/// letters whatever the prompt, and one locale for all pictures keeps the answer the same for all that share the art.
pub(super) const ART_LOCALE: &str = "en";

/// Words that nobody asked for are told one by one up to here; more are counted.
const UNEXPECTED_MAX: usize = 8;
/// Longest text of a finding in characters; what a picture holds may be a page.
const SHOWN_CHARS_MAX: usize = 80;

/// Words in the art: what a model was to draw, what the criteria require, and what nobody asked for.
pub(super) fn in_art(subject: &Subject<'_>, eyes: &Eyes, judged: &mut Judged) {
    let criteria = subject.criteria;
    let drawn: Vec<Expected> = subject.drawn().map(|layer| anywhere(&plain(&layer.text), &layer.locale)).collect();
    // Words of a layer are there by construction, or are judged as that layer's: the picture shows them either way.
    let asked = |words: &str| subject.layers.iter().any(|layer| phrase::has(&layer.text, words));
    let locale = criteria.required_locale.as_deref().unwrap_or(ART_LOCALE);
    let required = criteria.required.iter().filter(|words| !asked(words)).map(|words| anywhere(words, locale));
    let has_drawn = !drawn.is_empty();
    let level = criteria.unexpected_level(has_drawn);
    let told_to = criteria.unexpected.is_some() || subject.read || has_drawn;
    // Models scrawl, and under words of ours that is the worst place for it. Nobody asked, so this warns at most.
    let by_itself = subject.by_model && subject.gate == Gate::Enforce && !subject.set.is_empty();
    let unexpected = (told_to || by_itself) && level != Level::Ignore;
    let mut locales: Vec<String> = drawn.iter().map(|expected| expected.locale.clone()).collect();
    if locales.is_empty() {
        locales.push(ART_LOCALE.to_owned());
    }
    locales.sort();
    locales.dedup();
    let ask = Ask { expected: drawn.into_iter().chain(required).collect(), unexpected, locales };
    // Where all words are set in true type the art is shared, and required words may stand in the layers of one locale and
    // not in those of the next: nothing that they say may change the art for some.
    let shared = !has_drawn && !subject.set.is_empty();
    let told = if shared { &mut judged.set } else { &mut judged.drawn };
    if ask.expected.is_empty() && !ask.unexpected {
        return;
    }
    let look = look(eyes, subject.art, ask);
    let (ask, reading) = (&look.ask, &look.reading);
    let unverified = criteria.unverified_level(subject.gate);
    judged.readers.extend(reading.readers.iter().cloned());
    for (expected, found) in ask.expected.iter().zip(&reading.found) {
        match found {
            Err(err) => told.extend(unread(expected, unverified, err)),
            Ok(found) => {
                let found = closer(eyes, subject.art, criteria, expected, found);
                told.extend(right(criteria, expected, &found));
            }
        }
    }
    let told = if has_drawn { &mut judged.drawn } else { &mut judged.art };
    told.extend(look.unlooked(criteria, if told_to { Severity::Warning } else { Severity::Info }));
    let Some(severity) = level.severity() else { return };
    // What a layer says too is no scrawl. An error is told all the same: it may draw the art anew, and that must not hang on
    // the words of one locale.
    let explained = |word: &Word| !has_drawn && severity < Severity::Error && asked(&word.text);
    let words: Vec<Word> = reading.unexpected.iter().filter(|word| !explained(word)).cloned().collect();
    told.extend(too_many(&words, severity));
}

/// Words set in true type, where they are read back: whether people can read them.
pub(super) fn in_true_type(subject: &Subject<'_>, eyes: &Eyes, judged: &mut Judged) {
    if !subject.read || subject.set.is_empty() {
        return;
    }
    // Signs alone are right by construction, and no reader compares them.
    let lettered =
        subject.set.iter().filter(|layer| layer.lines.iter().any(|line| line.contains(char::is_alphanumeric)));
    let expected = lettered.map(|layer| Expected {
        text: layer.lines.join("\n"),
        locale: layer.locale.clone(),
        place: Some(layer.ink),
    });
    let ask = Ask { expected: expected.collect(), unexpected: false, locales: Vec::new() };
    let criteria = subject.criteria;
    let level = criteria.illegible_level();
    match eyes.read(subject.finished, &ask) {
        Err(err) => judged.set.extend(ask.expected.iter().filter_map(|words| unread(words, level, &err))),
        Ok(reading) => {
            judged.readers.extend(reading.readers.iter().cloned());
            for (expected, found) in ask.expected.iter().zip(&reading.found) {
                judged.set.extend(match found {
                    Err(err) => unread(expected, level, err),
                    Ok(found) => illegible(criteria, expected, found),
                });
            }
        }
    }
}

fn anywhere(text: &str, locale: &str) -> Expected {
    Expected { text: text.to_owned(), locale: locale.to_owned(), place: None }
}

/// Words without the places where they may break.
pub(super) fn plain(text: &str) -> String {
    text.replace('\u{ad}', "")
}

/// In one line, and not too long.
pub(crate) fn shown(text: &str) -> String {
    let line: String = plain(text).split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// "12,40,200,48": as `--box` takes it, in pixels from the top left.
pub(crate) fn at(place: PixelBox) -> String {
    format!("{},{},{},{}", place.x, place.y, place.w, place.h)
}

fn about(code: FindingCode, severity: Severity, message: String, expected: &Expected) -> Finding {
    Finding {
        code,
        severity,
        message,
        place: expected.place,
        expected: Some(plain(&expected.text)),
        read: None,
        score: None,
    }
}

/// What was found, with a closer look at words that stand there and that a plain look at the whole picture misses: people
/// look at the words, and a reader of pages gets lost in art that people do not even notice.
pub(super) fn closer(eyes: &Eyes, image: &ImageBuf, criteria: &Criteria, expected: &Expected, found: &Found) -> Found {
    let mut found = found.clone();
    let missed = found.presence >= criteria.presence_min() && found.legibility < criteria.legibility_min();
    if let (true, None, Some(place)) = (missed, expected.place, found.place) {
        let there = Expected { place: Some(place), ..expected.clone() };
        let again = eyes.read(image, &Ask { expected: vec![there], ..Ask::default() });
        if let Ok(reading) = again
            && let Some(Ok(near)) = reading.found.first()
        {
            found.legibility = found.legibility.max(near.legibility);
        }
    }
    found
}

/// What is wrong with words that stand in the art, or hard about them.
pub(super) fn right(criteria: &Criteria, expected: &Expected, found: &Found) -> Option<Finding> {
    if found.presence < criteria.presence_min() {
        return criteria.text_level().severity().map(|severity| mismatch(expected, found, severity));
    }
    illegible(criteria, expected, found)
}

/// What was asked for and is not there. The first words are a promise to scripts that look for them.
fn mismatch(expected: &Expected, found: &Found, severity: Severity) -> Finding {
    let read = match (found.read.trim(), found.place) {
        ("", _) => "; nothing like it was read".to_owned(),
        (read, Some(place)) => format!("; read '{}' at {}", shown(read), at(place)),
        (read, None) => format!("; read '{}'", shown(read)),
    };
    let message = format!("expected '{}' not found{read}", shown(&expected.text));
    Finding {
        place: found.place.or(expected.place),
        read: Some(found.read.clone()),
        score: Some(found.presence),
        ..about(FindingCode::TextMismatch, severity, message, expected)
    }
}

/// What is there, and hard to read.
pub(super) fn illegible(criteria: &Criteria, expected: &Expected, found: &Found) -> Option<Finding> {
    let severity = criteria.illegible_level().severity()?;
    let least = criteria.legibility_min();
    (found.legibility < least).then(|| {
        let message = format!(
            "'{}' is hard to read: a plain look makes out {:.0} % of it, and {:.0} % is asked for; make the letters larger, \
             or set them further apart from what is behind them with an outline or a plate",
            shown(&expected.text),
            found.legibility * 100.0,
            least * 100.0
        );
        Finding {
            place: found.place.or(expected.place),
            read: Some(found.read.clone()),
            score: Some(found.legibility),
            ..about(FindingCode::TextIllegible, severity, message, expected)
        }
    })
}

/// What is missing, and what to do about it.
fn why(err: &ReadError) -> String {
    match err {
        ReadError::Missing { missing, install, .. } => format!("{missing} is not on this machine; {install}"),
        err => err.to_string(),
    }
}

/// Words that nobody here can read: unverified, and never a pass.
pub(super) fn unread(expected: &Expected, level: Level, err: &ReadError) -> Option<Finding> {
    let severity = level.severity()?;
    let message = format!("expected '{}' is unverified: {}", shown(&expected.text), why(err));
    Some(about(FindingCode::TextUnverified, severity, message, expected))
}

/// A look at a picture.
pub(super) struct Look {
    /// What was asked, less the languages in which nothing is expected and nothing can be read.
    pub(super) ask: Ask,
    /// What was read. Where nobody could read at all, that stands at every word that is expected.
    pub(super) reading: Arc<Reading>,
    /// Why nobody looked in some language, or at all, where no expected word tells it.
    lost: Option<ReadError>,
}

/// Looks at `image`. A language that is asked for beside those of the expected words is tried first: a reading has no place
/// to say that it could not be read, and must not look as if somebody had.
pub(super) fn look(eyes: &Eyes, image: &ImageBuf, mut ask: Ask) -> Look {
    let mut lost = None;
    let Ask { expected, unexpected, locales } = &mut ask;
    let alone = |locale: &String| *unexpected && !expected.iter().any(|one| one.locale == *locale);
    locales.retain(|locale| match alone(locale).then(|| eyes.can_read(locale)) {
        Some(Err(err)) => {
            lost.get_or_insert(err);
            false
        }
        _ => true,
    });
    if ask.expected.is_empty() && ask.locales.is_empty() {
        return Look { ask, reading: Arc::default(), lost };
    }
    let reading = eyes.read(image, &ask).unwrap_or_else(|err| {
        let found = vec![Err(err.clone()); ask.expected.len()];
        if found.is_empty() {
            lost.get_or_insert(err);
        }
        Arc::new(Reading { found, ..Reading::default() })
    });
    let lost = lost.or_else(|| reading.unlooked.clone());
    Look { ask, reading, lost }
}

impl Look {
    /// Nobody looked for words that should not be there, in one language or in all. It is as bad as somebody said such words
    /// are. Where nobody said so it is as bad as `usual`, and goes without saying beside words that are unverified themselves.
    pub(super) fn unlooked(&self, criteria: &Criteria, usual: Severity) -> Option<Finding> {
        let of_words = || self.reading.found.iter().find_map(|found| found.as_ref().err());
        let of_words = || of_words().filter(|_| criteria.unexpected.is_some());
        let err = self.lost.as_ref().or_else(of_words).filter(|_| self.ask.unexpected)?;
        Some(Finding {
            code: FindingCode::TextUnverified,
            severity: criteria.unexpected.map_or(Some(usual), Level::severity)?,
            message: format!("nobody looked for words in the art: {}", why(err)),
            place: None,
            expected: None,
            read: None,
            score: None,
        })
    }
}

/// Words that nobody asked for.
pub(super) fn too_many(words: &[Word], severity: Severity) -> Vec<Finding> {
    let more = words.len().saturating_sub(UNEXPECTED_MAX);
    let shown_words = words.iter().take(UNEXPECTED_MAX).enumerate();
    let finding = |(at_word, word): (usize, &Word)| {
        let and_more = match more {
            more if more > 0 && at_word + 1 == UNEXPECTED_MAX => format!(", and {more} more"),
            _ => String::new(),
        };
        Finding {
            code: FindingCode::TextUnexpected,
            severity,
            message: format!("nobody asked for '{}' at {}{and_more}", shown(&word.text), at(word.place)),
            place: Some(word.place),
            expected: None,
            read: Some(word.text.clone()),
            score: Some(word.confidence),
        }
    };
    shown_words.map(finding).collect()
}
