//! What is asked of a picture, language by language, and what comes of it.

use std::collections::BTreeMap;

use thumbforge_core::image::{ImageBuf, PixelBox};

use crate::language::{self, Language};
use crate::look::{Look, covered};
use crate::matching;
use crate::normalise::normalise;
use crate::tesseract::{Eye, Tesseract};
use crate::{Ask, Found, ReadError, Reading, Word};

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
            let mut look = Look::new(eye, image, *language);
            let mut found = Vec::new();
            for &at in members {
                found.push(look.expected(&ask.expected[at])?);
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
