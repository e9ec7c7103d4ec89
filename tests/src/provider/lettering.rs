//! Pictures with words in them: a provider that draws what a prompt quotes, and gets letters wrong as its script says.
//!
//! Everything but the words follows from the prompt alone, so a test can draw the right picture itself and hold what came
//! out against it, without reading anything.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use thumbforge_art::text::{self, FontBook};
use thumbforge_core::colour::Rgb;
use thumbforge_core::image::{Extent, ImageBuf};
use thumbforge_core::text_layer::{Fill, TextLayer, TextMode, TextStyle, Weight};

use super::picture::Picture;
use crate::seed::Seed;

/// How well a provider letters.
#[derive(Debug, Clone)]
pub struct Lettering {
    /// Chooses which pictures are wrong, and how.
    pub seed: u64,
    /// Drawings out of a hundred whose words are wrong.
    pub wrong: u64,
    /// The same of edits.
    pub wrong_edits: u64,
    /// A model that is never wrong.
    pub flawless: Option<String>,
    /// Whether wrong words are other words altogether, which no reader takes for right; or have one letter wrong.
    pub blunt: bool,
}

/// What a picture says, and should have said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lettered {
    /// The words that the prompt quotes.
    pub asked: String,
    /// The words in the picture.
    pub drawn: String,
    /// Whether a picture was changed.
    pub edit: bool,
    /// By which model.
    pub model: String,
}

impl Lettered {
    /// Whether the words are right.
    pub fn is_right(&self) -> bool {
        self.asked == self.drawn
    }
}

/// The words that a prompt quotes.
pub fn quoted(prompt: &str) -> Option<&str> {
    prompt.split('"').nth(1).filter(|words| !words.is_empty())
}

impl Lettering {
    /// What the picture number `number` of the provider says of `words`.
    pub(super) fn write(&self, words: &str, model: &str, edit: bool, number: u64) -> String {
        let wrong = if edit { self.wrong_edits } else { self.wrong };
        // By words and turn, not by the order in which calls happen to arrive.
        let mixed = words.bytes().fold(self.seed, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
        let mut seed = Seed::new(mixed.wrapping_mul(31).wrapping_add(number));
        if self.flawless.as_deref() == Some(model) || !seed.chance(wrong) {
            return words.to_owned();
        }
        match self.blunt {
            true => words.chars().map(next_letter).collect(),
            false => garbled(words, &mut seed),
        }
    }
}

/// The letter behind one in the alphabet.
fn next_letter(letter: char) -> char {
    match letter {
        'z' => 'a',
        'Z' => 'A',
        'a'..='y' | 'A'..='Y' => char::from(letter as u8 + 1),
        other => other,
    }
}

/// `words` with one letter changed, left out or doubled, or with two letters in each other's place.
fn garbled(words: &str, seed: &mut Seed) -> String {
    let letters: Vec<char> = words.chars().collect();
    loop {
        let mut wrong = letters.clone();
        let at = seed.below(wrong.len() as u64) as usize;
        if !wrong[at].is_alphabetic() {
            continue;
        }
        match seed.below(4) {
            0 => wrong[at] = char::from(b'A' + seed.below(26) as u8),
            1 if wrong.len() > 2 => _ = wrong.remove(at),
            2 => wrong.insert(at, wrong[at]),
            _ if at + 1 < wrong.len() && wrong[at + 1].is_alphabetic() => wrong.swap(at, at + 1),
            _ => continue,
        }
        let wrong: String = wrong.into_iter().collect();
        if wrong.to_lowercase() != words.to_lowercase() {
            return wrong;
        }
    }
}

/// The picture of `prompt` with `words` in it, or without any: a slope of two colours, large white letters.
///
/// # Panics
/// Where the words do not fit, which is a mistake of the test.
pub fn draw(size: (u32, u32), prompt: &str, words: Option<&str>) -> ImageBuf {
    let extent = Extent { width: size.0, height: size.1 };
    let mixed = prompt.bytes().fold(7u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let mut seed = Seed::new(mixed);
    // Far enough apart that the art without words is not held to be blank.
    let [from, to] = [10, 90].map(|least| [0; 3].map(|_| least + seed.below(40) as u32));
    let mut image = ImageBuf::filled(extent, [0, 0, 0, 255]);
    for (at, pixel) in image.pixels_mut().chunks_exact_mut(4).enumerate() {
        let (x, y) = (at as u32 % size.0, at as u32 / size.0);
        let share = (x + y) * 256 / (size.0 + size.1);
        for channel in 0..3 {
            pixel[channel] = ((from[channel] * (256 - share) + to[channel] * share) / 256) as u8;
        }
    }
    if let Some(words) = words {
        let style = TextStyle {
            area: [0.05, 0.3, 0.9, 0.4],
            size: 0.16,
            size_min: 0.04,
            lines_max: 2,
            weight: Weight::Bold,
            fill: Fill::Solid(Rgb([255, 255, 255])),
            outline: None,
            shadow: None,
            ..TextStyle::default()
        };
        let layer = TextLayer {
            name: "words".to_owned(),
            text: words.to_owned(),
            locale: "en".to_owned(),
            mode: TextMode::Composite,
            style,
        };
        text::set(&mut image, &[layer], &FontBook::packaged()).unwrap_or_else(|err| panic!("set {words:?}: {err}"));
    }
    image
}

/// The same as a file.
pub(super) fn picture(size: (u32, u32), prompt: &str, words: Option<&str>) -> Picture {
    let image = draw(size, prompt, words);
    let mut png = Vec::new();
    let mut encoder = png::Encoder::new(&mut png, size.0, size.1);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header().expect("a PNG header");
    let pixels: Vec<u8> = image.pixels().chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
    writer.write_image_data(&pixels).expect("pixels");
    writer.finish().expect("a PNG");
    Picture { base64: STANDARD.encode(&png).into(), png: png.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_wrong_as_often_as_the_script_says() {
        let letters = Lettering { seed: 1, wrong: 40, wrong_edits: 0, flawless: Some("best".into()), blunt: false };
        let wrong = (0..1000).filter(|number| letters.write("Dragon Hunt", "m", false, *number) != "Dragon Hunt");
        let wrong = wrong.count();
        assert!((350..450).contains(&wrong), "{wrong} of 1000");
        assert!((0..100).all(|number| letters.write("SALE", "m", true, number) == "SALE"));
        assert!((0..100).all(|number| letters.write("SALE", "best", false, number) == "SALE"));
    }
}
