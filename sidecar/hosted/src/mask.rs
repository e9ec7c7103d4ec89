//! Masks in the forms that providers want.
//!
//! A recipe's mask is a grey PNG of the first picture's size: white is drawn anew, black stays, grey is in between.
//! Providers disagree about the colour, and some look at transparency alone, so a mask is never passed on as it is.

use std::io::Cursor;

use bytes::Bytes;
use png::{BitDepth, ColorType, Compression, DecodeOptions, Decoder, Encoder, Limits, Transformations};
use thiserror::Error;
use thumbforge_core::limits::SIDE_MAX;
use thumbforge_core::model::MaskForm;

/// Largest mask in bytes that is sent with the picture's own colours. OpenAI's specification says less than 4 MB; beyond
/// it the colours, which nobody needs, are left out.
pub const COLOURED_BYTES_MAX: usize = 4_000_000;

/// A mask that cannot be brought into a model's form.
#[derive(Debug, Error)]
pub enum MaskError {
    /// One of the two files cannot be read.
    #[error("read the {what} as a PNG: {reason}")]
    Png {
        /// "mask" or "picture".
        what: &'static str,
        /// What the decoder says.
        reason: String,
    },
    /// The two differ in size.
    #[error("use a mask of {mask} for a picture of {picture}: make both the same size")]
    Size {
        /// Size of the mask.
        mask: String,
        /// Size of the picture.
        picture: String,
    },
    /// The result cannot be written.
    #[error("write the mask: {0}")]
    Write(String),
}

/// The mask in `form`, for the picture that it lies over.
///
/// White keeps grey as it is, transparent makes it half clear, and black knows only black and white, split at the middle,
/// because the one provider that wants it takes nothing between.
///
/// # Errors
/// [`MaskError`].
pub fn convert(form: MaskForm, mask: &[u8], picture: &[u8]) -> Result<Bytes, MaskError> {
    let grey = read(mask, "mask", ColorType::Grayscale)?;
    let size = dimensions(picture, "picture")?;
    if (grey.width, grey.height) != size {
        return Err(MaskError::Size {
            mask: format!("{}x{}", grey.width, grey.height),
            picture: format!("{}x{}", size.0, size.1),
        });
    }
    match form {
        MaskForm::White => write(&grey),
        MaskForm::Black => {
            let split = |value: &u8| if *value >= 128 { 0 } else { 255 };
            write(&Raster { pixels: grey.pixels.iter().map(split).collect(), ..grey })
        }
        MaskForm::Transparent => {
            let mut rgba = read(picture, "picture", ColorType::Rgba)?;
            for (pixel, value) in rgba.pixels.chunks_exact_mut(4).zip(&grey.pixels) {
                pixel[3] = 255 - value;
            }
            let coloured = write(&rgba)?;
            if coloured.len() <= COLOURED_BYTES_MAX {
                return Ok(coloured);
            }
            for pixel in rgba.pixels.chunks_exact_mut(4) {
                pixel[..3].fill(0);
            }
            write(&rgba)
        }
    }
}

/// Eight bits a channel.
struct Raster {
    width: u32,
    height: u32,
    colour: ColorType,
    pixels: Vec<u8>,
}

fn decoder(bytes: &[u8]) -> Decoder<Cursor<&[u8]>> {
    let mut options = DecodeOptions::default();
    options.set_ignore_text_chunk(true);
    options.set_ignore_iccp_chunk(true);
    let mut decoder = Decoder::new_with_options(Cursor::new(bytes), options);
    // Beside the picture some rows of 16 bits a channel are held, and small chunks.
    decoder.set_limits(Limits { bytes: SIDE_MAX as usize * 64 + (1 << 20) });
    decoder
}

fn dimensions(bytes: &[u8], what: &'static str) -> Result<(u32, u32), MaskError> {
    let mut decoder = decoder(bytes);
    let head = decoder.read_header_info().map_err(|error| MaskError::Png { what, reason: error.to_string() })?;
    if head.width > SIDE_MAX || head.height > SIDE_MAX {
        let reason = format!("it is {}x{}, and {SIDE_MAX} pixels a side are the most", head.width, head.height);
        return Err(MaskError::Png { what, reason });
    }
    Ok((head.width, head.height))
}

/// Pixels as grey or as RGBA, whatever the file has.
fn read(bytes: &[u8], what: &'static str, wanted: ColorType) -> Result<Raster, MaskError> {
    let wrong = |error: png::DecodingError| MaskError::Png { what, reason: error.to_string() };
    let (width, height) = dimensions(bytes, what)?;
    let mut decoder = decoder(bytes);
    decoder.set_transformations(Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(wrong)?;
    // At most 4 bytes a pixel and 4096 pixels a side: 64 MiB.
    let mut found = vec![0; width as usize * height as usize * 4];
    let frame = reader.next_frame(&mut found).map_err(wrong)?;
    found.truncate(frame.buffer_size());
    let channels = frame.color_type.samples();
    let pixels = found.chunks_exact(channels.max(1));
    let pixels: Vec<u8> = if wanted == ColorType::Rgba {
        pixels
            .flat_map(|pixel| match *pixel {
                [grey] => [grey, grey, grey, 255],
                [grey, alpha] => [grey, grey, grey, alpha],
                [r, g, b] => [r, g, b, 255],
                [r, g, b, alpha, ..] => [r, g, b, alpha],
                [] => [0; 4],
            })
            .collect()
    } else {
        pixels
            .map(|pixel| match *pixel {
                [grey] | [grey, _] => grey,
                // Masks are grey; where somebody's editor saved one in colour, its channels are alike.
                [r, g, b, ..] => ((u32::from(r) + u32::from(g) + u32::from(b)) / 3) as u8,
                [] => 0,
            })
            .collect()
    };
    Ok(Raster { width, height, colour: wanted, pixels })
}

fn write(raster: &Raster) -> Result<Bytes, MaskError> {
    let wrong = |error: png::EncodingError| MaskError::Write(error.to_string());
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, raster.width, raster.height);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_color(raster.colour);
    encoder.set_compression(Compression::Fast);
    let mut writer = encoder.write_header().map_err(wrong)?;
    writer.write_image_data(&raster.pixels).map_err(wrong)?;
    writer.finish().map_err(wrong)?;
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(colour: ColorType, width: u32, height: u32, pixels: &[u8]) -> Bytes {
        write(&Raster { width, height, colour, pixels: pixels.to_vec() }).unwrap()
    }

    /// Five pixels from black to white over a picture with colours and a clear pixel.
    const GREYS: [u8; 5] = [0, 64, 127, 128, 255];

    fn picture() -> Bytes {
        file(ColorType::Rgba, 5, 1, &[9, 8, 7, 255, 1, 2, 3, 255, 4, 5, 6, 255, 7, 7, 7, 0, 200, 100, 50, 255])
    }

    fn check(form: MaskForm, colour: ColorType, expected: &[u8]) {
        let mask = convert(form, &file(ColorType::Grayscale, 5, 1, &GREYS), &picture()).unwrap();
        assert_eq!(read(&mask, "mask", colour).unwrap().pixels, expected, "{form:?}");
    }

    #[test]
    fn each_form_marks_the_same_pixels() {
        check(MaskForm::White, ColorType::Grayscale, &GREYS);
        check(MaskForm::Black, ColorType::Grayscale, &[255, 255, 255, 0, 0]);
        let clear = [9, 8, 7, 255, 1, 2, 3, 191, 4, 5, 6, 128, 7, 7, 7, 127, 200, 100, 50, 0];
        check(MaskForm::Transparent, ColorType::Rgba, &clear);
    }

    #[test]
    fn masks_in_colour_are_read_as_grey() {
        for (colour, pixels) in [
            (ColorType::Rgb, &[0, 0, 0, 255, 255, 255][..]),
            (ColorType::Rgba, &[0, 0, 0, 255, 255, 255, 255, 0]),
            (ColorType::GrayscaleAlpha, &[0, 255, 255, 255]),
        ] {
            let mask = file(colour, 2, 1, pixels);
            let white = convert(MaskForm::White, &mask, &mask).unwrap();
            assert_eq!(read(&white, "mask", ColorType::Grayscale).unwrap().pixels, [0, 255], "{colour:?}");
        }
    }

    #[test]
    fn a_mask_too_large_in_colour_keeps_its_shape_alone() {
        // Noise does not compress: 1200×1200×4 bytes are beyond what is sent.
        let side = 1200_u32;
        let mut state = 1_u32;
        let noise: Vec<u8> = (0..side * side * 3)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect();
        let grey = vec![255; (side * side) as usize];
        let mask = file(ColorType::Grayscale, side, side, &grey);
        let bare = convert(MaskForm::Transparent, &mask, &file(ColorType::Rgb, side, side, &noise)).unwrap();
        assert!(bare.len() < COLOURED_BYTES_MAX, "{}", bare.len());
        assert!(read(&bare, "mask", ColorType::Rgba).unwrap().pixels.iter().all(|byte| *byte == 0));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mask = file(ColorType::Grayscale, 5, 1, &GREYS);
        let other = file(ColorType::Grayscale, 1, 5, &GREYS);
        for (mask, picture, words) in [
            (&mask[..], &other[..], "use a mask of 5x1 for a picture of 1x5"),
            (&b"GIF89a"[..], &mask[..], "read the mask as a PNG"),
            (&mask[..], &b""[..], "read the picture as a PNG"),
            (&mask[..mask.len() / 2], &mask[..], "read the mask as a PNG"),
        ] {
            for form in [MaskForm::White, MaskForm::Black, MaskForm::Transparent] {
                let error = convert(form, mask, picture).unwrap_err().to_string();
                assert!(error.contains(words), "{error}");
            }
        }
    }

    #[test]
    fn a_file_that_says_it_is_huge_takes_no_memory() {
        let mut huge = file(ColorType::Grayscale, 5, 1, &GREYS).to_vec();
        huge[16..24].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
        assert!(convert(MaskForm::White, &huge, &huge).is_err());
    }
}
