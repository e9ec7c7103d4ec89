//! Pictures that a provider gives: real PNGs of the asked size, different by prompt and seed, made once and kept.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::seed::Seed;

/// Pictures that are kept; beyond it the shelf is emptied, since tests ask for few sizes.
const KEPT_MAX: usize = 64;
/// Looks that pictures of one size have, so that not each prompt costs an encoding.
const LOOKS: u64 = 8;

/// A picture, ready to be sent.
#[derive(Debug, Clone)]
pub struct Picture {
    /// As PNG.
    pub png: Bytes,
    /// The same in base64.
    pub base64: Bytes,
}

/// A picture of `size` with a look that `word` and `seed` choose, of at least `least` bytes.
pub fn picture(size: (u32, u32), word: &str, seed: u64, least: usize) -> Picture {
    type Shelf = Mutex<HashMap<(u32, u32, u64, usize), Picture>>;
    static SHELF: OnceLock<Shelf> = OnceLock::new();
    let size = (size.0.clamp(1, 4096), size.1.clamp(1, 4096));
    let words = word.bytes().fold(0u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let look = Seed::new(words ^ seed).below(LOOKS);
    let shelf = SHELF.get_or_init(Mutex::default);
    let key = (size.0, size.1, look, least);
    if let Some(known) = super::lock(shelf).get(&key) {
        return known.clone();
    }
    let png = Bytes::from(draw(size, look, least));
    let picture = Picture { base64: STANDARD.encode(&png).into(), png };
    let mut shelf = super::lock(shelf);
    if shelf.len() >= KEPT_MAX {
        shelf.clear();
    }
    shelf.insert(key, picture.clone());
    picture
}

/// The size of a PNG, by its header.
pub fn size_of(png: &[u8]) -> Option<(u32, u32)> {
    let number = |at: usize| Some(u32::from_be_bytes(png.get(at..at + 4)?.try_into().ok()?));
    png.starts_with(b"\x89PNG\r\n\x1a\n").then(|| Some((number(16)?, number(20)?)))?
}

/// Tiles of two colours over a slope of light: nothing that a check would hold to be blank, and cheap to pack.
fn draw((width, height): (u32, u32), look: u64, least: usize) -> Vec<u8> {
    let mut seed = Seed::new(look + 1);
    let (dark, light) = ([0; 3].map(|_| seed.below(128) as u8), [0; 3].map(|_| 128 + seed.below(128) as u8));
    let tile = (width.min(height) / 8).max(1);
    let mut row = [Vec::new(), Vec::new()];
    for (phase, row) in row.iter_mut().enumerate() {
        for x in 0..width {
            let colour = if (x / tile) as usize % 2 == phase { dark } else { light };
            row.extend_from_slice(&colour);
        }
    }
    let tiles = (0..height).flat_map(|y| row[(y / tile) as usize % 2].iter().copied());
    // Whoever asks for more bytes than the pixels have wants them to be the picture's own: noise cannot be packed, so
    // what is read and written again stays as long as it was.
    let noise = least > width as usize * height as usize * 3;
    let pixels: Vec<u8> = tiles.map(|value| if noise { seed.below(256) as u8 } else { value }).collect();
    let mut png = Vec::new();
    let mut encoder = png::Encoder::new(&mut png, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header().expect("a PNG header");
    writer.write_image_data(&pixels).expect("pixels");
    writer.finish().expect("a PNG");
    pad(png, least)
}

/// Puts an ancillary, private, copyable chunk of noise before the end, so that the file has `least` bytes.
fn pad(mut png: Vec<u8>, least: usize) -> Vec<u8> {
    const END: usize = 12;
    const CHUNK: usize = 12;
    let Some(missing) = least.checked_sub(png.len() + CHUNK) else { return png };
    let mut seed = Seed::new(missing as u64);
    let mut body = b"paDd".to_vec();
    body.extend(std::iter::repeat_with(|| seed.draw().to_le_bytes()).flatten().take(missing));
    let mut chunk = (missing as u32).to_be_bytes().to_vec();
    chunk.extend_from_slice(&body);
    chunk.extend_from_slice(&crc(&body).to_be_bytes());
    let at = png.len() - END;
    png.splice(at..at, chunk);
    png
}

/// CRC-32 of a PNG chunk (ISO 3309), bit by bit: it runs once a picture.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(size: (u32, u32), least: usize) {
        let made = picture(size, "fox", 7, least);
        assert_eq!(size_of(&made.png), Some(size));
        let mut reader = png::Decoder::new(std::io::Cursor::new(&made.png)).read_info().expect("a header");
        let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
        reader.next_frame(&mut pixels).expect("pixels");
        assert!(made.png.len() >= least, "{} < {least}", made.png.len());
        if least > 0 {
            assert_eq!(made.png.len(), least);
        }
    }

    fn png_of_noise() -> Vec<u8> {
        let padded = draw((590, 590), 0, 1 << 20);
        let at = padded.windows(4).position(|name| name == b"paDd").expect("a chunk");
        padded[..at].to_vec()
    }

    #[test]
    fn pictures_are_real() {
        check((1, 1), 0);
        check((64, 32), 1024);
        check((1536, 1024), 1 << 20);
        check((16, 16), 1024);
        check((590, 590), 1 << 20);
        assert!(png_of_noise().len() > 590 * 590 * 3, "noise is not packed");
        assert_eq!(STANDARD.decode(picture((8, 8), "", 0, 0).base64).expect("base64"), picture((8, 8), "", 0, 0).png);
    }
}
