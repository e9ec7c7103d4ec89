//! Words that nobody asked for beside ones that they resemble.

use thumbforge_art::text::{self, FontBook};
use thumbforge_core::image::{Extent, ImageBuf, PixelBox};
use thumbforge_core::text_layer::{TextLayer, TextMode, TextStyle};
use thumbforge_reader::{Ask, Expected, TextReader};

use crate::reader;

const EXTENT: Extent = Extent { width: 512, height: 512 };

/// Sets `words` in a part of the picture, and tells the box of their ink.
fn set(image: &mut ImageBuf, words: &str, top: f64, fonts: &FontBook) -> PixelBox {
    let text = TextLayer {
        name: "words".to_owned(),
        text: words.to_owned(),
        locale: "en".to_owned(),
        mode: TextMode::Composite,
        style: TextStyle { area: [0.1, top, 0.8, 0.25], size: 0.11, ..TextStyle::default() },
    };
    let set = text::set(image, &[text], fonts).unwrap_or_else(|err| panic!("set {words}: {err}"));
    set[0].ink
}

#[test]
fn a_word_that_resembles_the_one_beside_it_is_told() {
    let Some(tesseract) = reader() else { return };
    let fonts = FontBook::packaged();
    let check = |asked: &str, beside: &str, told: bool| {
        let mut image = ImageBuf::filled(EXTENT, [70, 60, 110, 255]);
        let place = set(&mut image, asked, 0.1, &fonts);
        set(&mut image, beside, 0.6, &fonts);
        for place in [None, Some(place)] {
            let expected = Expected { text: asked.to_owned(), locale: "en".to_owned(), place };
            let ask = Ask { expected: vec![expected], unexpected: true, locales: Vec::new() };
            let reading = tesseract.read(&image, &ask).unwrap_or_else(|err| panic!("failed to {err}"));
            let all = matches!(reading.found.as_slice(), [Ok(found)] if found.presence >= 1.0);
            let words: Vec<&str> = reading.unexpected.iter().map(|word| word.text.as_str()).collect();
            let right: &[&str] = if told { &[beside] } else { &[] };
            assert!(all && words == right, "{asked} beside {beside} in {place:?}: {reading:?}");
        }
    };
    check("POTION", "POISON", true);
    check("SALE", "SOLD", true);
    check("MEGASALE", "MEAL", true);
    check("WINTER FESTIVAL", "WINTER FESTIVE", false);
    check("POTION", "POTION", false);
    check("SALE", "SALE", false);
}
