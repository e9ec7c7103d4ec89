//! Draws some of the corpus of words on a sheet, for a person to look at: a row a language, a column a condition, every
//! other one wrong on purpose. Each picture is cut out of the middle at its full size.
//!
//! `cargo run -p thumbforge-tests -p thumbforge-sidecar --example corpus_sheet -- /tmp/sheet.png [NUMBER]`

use std::error::Error;
use std::fs::File;
use std::io::BufWriter;

use thumbforge_art::text::FontBook;
use thumbforge_tests::corpus::{Condition, Fault, Plan, SIDE, languages};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("name the file to write")?;
    let number: u64 = std::env::args().nth(2).map_or(Ok(0), |number| number.parse())?;
    let fonts = FontBook::packaged();
    let faults = [None, Some(Fault::Changed), None, Some(Fault::Extra), None, Some(Fault::Mirrored), None];
    let side = SIDE / 2;
    let width = side * Condition::ALL.len() as u32;
    let mut pixels = Vec::new();
    for language in languages() {
        let tiles: Vec<_> = Condition::ALL
            .iter()
            .zip(faults)
            .map(|(&condition, fault)| Plan { language, condition, fault, number }.draw(&fonts).image)
            .collect();
        for y in 0..side {
            for tile in &tiles {
                for x in 0..side {
                    // The mean of four.
                    let four = [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(dx, dy)| tile.pixel(2 * x + dx, 2 * y + dy));
                    for channel in 0..3 {
                        let sum: u32 = four.iter().flatten().map(|pixel| u32::from(pixel[channel])).sum();
                        pixels.push((sum / 4) as u8);
                    }
                }
            }
        }
    }
    let mut encoder = png::Encoder::new(BufWriter::new(File::create(path)?), width, pixels.len() as u32 / 3 / width);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header()?.write_image_data(&pixels)?;
    Ok(())
}
