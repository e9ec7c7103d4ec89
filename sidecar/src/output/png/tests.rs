//! What is written reads back; what is hostile is refused before it costs memory.

use std::io::Cursor;

use super::super::provenance::tests::{provenance, realisation, recipe};
use super::*;
use thumbforge_core::model::ModelId;

/// A picture without a pattern that compresses to nothing.
fn picture(extent: Extent, alpha: impl Fn(usize) -> u8) -> ImageBuf {
    let pixels = (0..extent.pixels())
        .flat_map(|at| {
            let noise = (at as u32).wrapping_mul(2_654_435_761) >> 24;
            [(at % 251) as u8, noise as u8, (at / 64) as u8, alpha(at)]
        })
        .collect();
    ImageBuf::from_rgba(extent, pixels).expect("as many bytes as pixels")
}

fn small() -> ImageBuf {
    picture(Extent { width: 64, height: 32 }, |_| 255)
}

fn chunks(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut chunks = Vec::new();
    let mut at = 8;
    while at < bytes.len() {
        let length = u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four")) as usize;
        let kind = String::from_utf8(bytes[at + 4..at + 8].to_vec()).expect("ascii");
        chunks.push((kind, bytes[at + 8..at + 8 + length].to_vec()));
        at += 12 + length;
    }
    chunks
}

fn kinds(bytes: &[u8]) -> Vec<String> {
    chunks(bytes).into_iter().map(|(kind, _)| kind).collect()
}

/// A PNG with one more chunk of our making before the pixels.
fn with_chunk(kind: [u8; 4], data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = ::png::Encoder::new(&mut bytes, 1, 1);
    encoder.set_color(::png::ColorType::Grayscale);
    let mut writer = encoder.write_header().expect("header");
    writer.write_chunk(::png::chunk::ChunkType(kind), data).expect("chunk");
    writer.write_image_data(&[0]).expect("pixel");
    writer.finish().expect("end");
    bytes
}

fn itxt(keyword: &str, packed: bool, text: &[u8]) -> Vec<u8> {
    let mut data = keyword.as_bytes().to_vec();
    data.extend([0, u8::from(packed), 0, 0, 0]);
    data.extend(text);
    with_chunk(*b"iTXt", &data)
}

#[test]
fn pixels_and_provenance_read_back_as_they_were() {
    for image in [small(), picture(Extent { width: 33, height: 17 }, |at| (at % 256) as u8)] {
        let bytes = encode(&image, &provenance()).expect("encodes");
        let back = decode(&bytes, DecodeLimits::ART).expect("decodes");
        assert_eq!(back.extent(), image.extent());
        assert!(back.pixels() == image.pixels());
        assert_eq!(read_provenance(&bytes).expect("reads"), Some(provenance()));
    }
}

#[test]
fn the_png_says_srgb_and_has_both_texts_before_the_pixels() {
    let bytes = encode(&small(), &provenance()).expect("encodes");
    let kinds = kinds(&bytes);
    let place = |kind: &str| kinds.iter().position(|k| k == kind).unwrap_or_else(|| panic!("no {kind} in {kinds:?}"));
    assert!(place("sRGB") < place("IDAT") && place("iTXt") < place("IDAT") && place("tEXt") < place("IDAT"));
    assert!(!kinds.iter().any(|kind| kind == "tIME" || kind == "pHYs"));
    assert_eq!(find_text(Cursor::new(&bytes), PARAMETERS).expect("reads"), Some(provenance().parameters()));
}

#[test]
fn parameters_that_are_not_latin1_are_utf8() {
    for (prompt, kinds_expected) in [("épée", vec!["iTXt", "tEXt"]), ("剣", vec!["iTXt", "iTXt"])] {
        let mut recipe = recipe();
        recipe.prompt = prompt.into();
        let provenance = Provenance::new(&recipe, realisation(), ModelId::builtin(), None, Vec::new());
        let bytes = encode(&small(), &provenance).expect("encodes");
        let texts: Vec<_> = kinds(&bytes).into_iter().filter(|kind| kind.ends_with("Xt")).collect();
        let mut sorted = texts.clone();
        sorted.sort();
        assert_eq!(sorted, kinds_expected, "{prompt}");
        let text = find_text(Cursor::new(&bytes), PARAMETERS).expect("reads").expect("is there");
        assert!(text.starts_with(prompt), "{text}");
    }
}

#[test]
fn opaque_pictures_have_no_alpha_channel() {
    let colour = |image: &ImageBuf| encode(image, &provenance()).expect("encodes")[25];
    assert_eq!(colour(&small()), 2, "RGB");
    assert_eq!(colour(&picture(Extent { width: 8, height: 8 }, |at| u8::from(at != 5) * 255)), 6, "RGBA");
}

/// When this fails after an upgrade of `png` or `fdeflate`, every committed picture would change: hold the upgrade,
/// or raise the engines' versions with it.
#[test]
fn the_bytes_of_a_realised_key_stay_the_same() {
    let bytes = encode(&small(), &provenance()).expect("encodes");
    assert_eq!(bytes, encode(&small(), &provenance()).expect("encodes"));
    assert_eq!(
        blake3::hash(&bytes).to_hex().as_str(),
        "f1a72bf6cb4fc060d913594649d8e7e2ef549438b66151fb5a56a576ee0c00d1"
    );
}

#[test]
fn a_png_of_others_has_no_provenance() {
    let bytes = with_chunk(*b"tEXt", b"Comment\0made by hand");
    assert_eq!(read_provenance(&bytes).expect("reads"), None);
}

#[test]
fn packed_provenance_is_read() {
    let json = serde_json::to_vec(&provenance()).expect("json");
    let bytes = itxt(KEYWORD, true, &miniz_oxide::deflate::compress_to_vec_zlib(&json, 6));
    assert_eq!(read_provenance(&bytes).expect("reads"), Some(provenance()));
}

#[test]
fn a_text_that_unpacks_to_too_much_is_refused() {
    let bomb = miniz_oxide::deflate::compress_to_vec_zlib(&vec![b' '; TEXT_BYTES_MAX + 1], 6);
    assert!(bomb.len() < 4096);
    assert!(matches!(read_provenance(&itxt(KEYWORD, true, &bomb)), Err(PngError::TextTooLong)));
    let long = vec![b' '; TEXT_BYTES_MAX + 64];
    assert!(matches!(read_provenance(&itxt(KEYWORD, false, &long)), Err(PngError::TextTooLong)));
}

#[test]
fn a_length_that_the_file_does_not_have_takes_no_memory() {
    let mut bytes = SIGNATURE.to_vec();
    bytes.extend(0xffff_ff00_u32.to_be_bytes());
    bytes.extend(b"iTXtthumbforge\0");
    assert!(matches!(read_provenance(&bytes), Err(PngError::TextTooLong)));
}

#[test]
fn damaged_files_are_errors_and_never_panics() {
    let bytes = encode(&small(), &provenance()).expect("encodes");
    for length in 0..bytes.len() {
        let _ = read_provenance(&bytes[..length]);
        let _ = decode(&bytes[..length], DecodeLimits::ART);
    }
    assert!(matches!(read_provenance(b"GIF89a.."), Err(PngError::NotPng)));
    assert!(matches!(read_provenance(&bytes[..40]), Err(PngError::Truncated)));
    assert!(matches!(read_provenance(&itxt(KEYWORD, false, b"{}")), Err(PngError::BadProvenance(_))));
    let newer = itxt(KEYWORD, false, br#"{"version":2,"anything":"else"}"#);
    assert!(matches!(read_provenance(&newer), Err(PngError::NewerProvenance(2))));
}

#[test]
fn every_kind_of_art_becomes_rgba8() {
    let rgba = image::RgbaImage::from_fn(20, 10, |x, y| image::Rgba([x as u8 * 12, y as u8 * 25, 128, 255]));
    let picture = DynamicImage::ImageRgba8(rgba);
    let cases: [(&str, DynamicImage, ImageFormat, u8); 8] = [
        ("png", picture.clone(), ImageFormat::Png, 0),
        ("16-bit png", DynamicImage::ImageRgba16(picture.to_rgba16()), ImageFormat::Png, 0),
        ("16-bit rgb png", DynamicImage::ImageRgb16(picture.to_rgb16()), ImageFormat::Png, 0),
        ("webp", picture.clone(), ImageFormat::WebP, 0),
        ("tga", picture.clone(), ImageFormat::Tga, 0),
        ("rgb tga", DynamicImage::ImageRgb8(picture.to_rgb8()), ImageFormat::Tga, 0),
        ("bmp", DynamicImage::ImageRgb8(picture.to_rgb8()), ImageFormat::Bmp, 0),
        ("jpeg", DynamicImage::ImageRgb8(picture.to_rgb8()), ImageFormat::Jpeg, 24),
    ];
    for (name, art, format, tolerance) in cases {
        let mut bytes = Cursor::new(Vec::new());
        art.write_to(&mut bytes, format).unwrap_or_else(|err| panic!("{name}: {err}"));
        let back = decode(bytes.get_ref(), DecodeLimits::ART).unwrap_or_else(|err| panic!("{name}: {err}"));
        assert_eq!(back.extent(), Extent { width: 20, height: 10 }, "{name}");
        let worst = back.pixels().iter().zip(picture.as_bytes()).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(worst <= Some(tolerance), "{name}: off by {worst:?}");
    }
}

#[test]
fn grey_and_palette_become_rgba8() {
    let grey = DynamicImage::ImageLumaA8(image::GrayAlphaImage::from_pixel(3, 3, image::LumaA([90, 40])));
    let mut bytes = Cursor::new(Vec::new());
    grey.write_to(&mut bytes, ImageFormat::Png).expect("writes");
    assert_eq!(decode(bytes.get_ref(), DecodeLimits::ART).expect("reads").pixel(1, 1), Some([90, 90, 90, 40]));

    let mut bytes = Vec::new();
    let mut encoder = ::png::Encoder::new(&mut bytes, 2, 1);
    encoder.set_color(::png::ColorType::Indexed);
    encoder.set_palette(vec![1, 2, 3, 250, 251, 252]);
    encoder.set_trns(vec![255, 7]);
    let mut writer = encoder.write_header().expect("header");
    writer.write_image_data(&[0, 1]).expect("pixels");
    writer.finish().expect("end");
    let back = decode(&bytes, DecodeLimits::ART).expect("reads");
    assert_eq!((back.pixel(0, 0), back.pixel(1, 0)), (Some([1, 2, 3, 255]), Some([250, 251, 252, 7])));
}

#[test]
fn art_beyond_the_limits_is_refused_by_its_header() {
    let bytes = encode(&small(), &provenance()).expect("encodes");
    let limits = DecodeLimits { side_max: 63, ..DecodeLimits::ART };
    assert!(matches!(decode(&bytes, limits), Err(PngError::PictureTooLarge { width: 64, height: 32, max: 63 })));
    let limits = DecodeLimits { file_bytes_max: 100, ..DecodeLimits::ART };
    assert!(matches!(decode(&bytes, limits), Err(PngError::FileTooLarge { max: 100, .. })));

    // Headers that claim 60,000 x 60,000 pixels, with nothing behind them.
    let mut png = bytes;
    png[16..20].copy_from_slice(&60_000_u32.to_be_bytes());
    png[20..24].copy_from_slice(&60_000_u32.to_be_bytes());
    assert!(decode(&png, DecodeLimits::ART).is_err());
    let mut tga = vec![0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    tga.extend([0x60, 0xea, 0x60, 0xea, 32, 0]);
    assert!(matches!(decode(&tga, DecodeLimits::ART), Err(PngError::PictureTooLarge { .. })));
}

#[test]
fn what_is_no_picture_is_named_as_such() {
    assert!(matches!(decode(b"", DecodeLimits::ART), Err(PngError::UnknownFormat)));
    assert!(matches!(decode(b"hello, I am a text file", DecodeLimits::ART), Err(PngError::UnknownFormat)));
    let pointer = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 12\n", "ab".repeat(32));
    assert!(matches!(decode(pointer.as_bytes(), DecodeLimits::ART), Err(PngError::LfsPointer)));
}

fn into(bytes: &[u8], size: Extent) -> Result<Vec<u8>, PngError> {
    let mut pixels = vec![0x5a; size.pixels() * 4];
    decode_into(bytes, size, &mut pixels).map(|()| pixels)
}

#[test]
fn finished_pictures_read_back_where_they_are_wanted() {
    for image in [small(), picture(Extent { width: 33, height: 17 }, |at| (at % 256) as u8)] {
        let bytes = encode(&image, &provenance()).expect("encodes");
        assert!(into(&bytes, image.extent()).expect("decodes") == image.pixels());
    }
}

/// A PNG of 5×3 of any kind, `row` bytes long rows.
fn of_kind(colour: ::png::ColorType, depth: ::png::BitDepth, palette: Option<(&[u8], &[u8])>, data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = ::png::Encoder::new(&mut bytes, 5, 3);
    encoder.set_color(colour);
    encoder.set_depth(depth);
    if let Some((colours, clear)) = palette {
        encoder.set_palette(colours.to_vec());
        encoder.set_trns(clear.to_vec());
    }
    let mut writer = encoder.write_header().expect("header");
    writer.write_image_data(data).expect("pixels");
    writer.finish().expect("end");
    bytes
}

#[test]
fn every_kind_of_png_becomes_rgba() {
    use ::png::{BitDepth, ColorType};
    let size = Extent { width: 5, height: 3 };
    let check = |what: &str, bytes: &[u8], pixel: &dyn Fn(u8) -> [u8; 4]| {
        let expected: Vec<u8> = (0..15).flat_map(pixel).collect();
        assert_eq!(into(bytes, size).expect(what), expected, "{what}");
        // The reader of art, which goes another way, sees the same.
        assert_eq!(decode(bytes, DecodeLimits::ART).expect(what).pixels(), expected, "{what}");
    };
    let bytes = |each: &dyn Fn(u8) -> Vec<u8>| (0..15).flat_map(each).collect::<Vec<u8>>();
    let grey = of_kind(ColorType::Grayscale, BitDepth::Eight, None, &bytes(&|at| vec![at * 17]));
    check("grey", &grey, &|at| [at * 17, at * 17, at * 17, 255]);
    let clear = of_kind(ColorType::GrayscaleAlpha, BitDepth::Eight, None, &bytes(&|at| vec![at * 17, at]));
    check("grey with alpha", &clear, &|at| [at * 17, at * 17, at * 17, at]);
    // Two equal bytes are a number of 16 bits that rounds to the upper one.
    let deep = of_kind(ColorType::Grayscale, BitDepth::Sixteen, None, &bytes(&|at| vec![at * 17, at * 17]));
    check("grey of 16 bits", &deep, &|at| [at * 17, at * 17, at * 17, 255]);
    let deep = of_kind(ColorType::Rgb, BitDepth::Sixteen, None, &bytes(&|at| vec![at, at, 7, 7, 200, 200]));
    check("colours of 16 bits", &deep, &|at| [at, 7, 200, 255]);
    let deep = of_kind(ColorType::Rgba, BitDepth::Sixteen, None, &bytes(&|at| vec![at, at, 7, 7, 200, 200, 9, 9]));
    check("colours of 16 bits with alpha", &deep, &|at| [at, 7, 200, 9]);
    let palette: (&[u8], &[u8]) = (&[10, 20, 30, 40, 50, 60], &[255, 128]);
    let indexed = of_kind(ColorType::Indexed, BitDepth::Eight, Some(palette), &bytes(&|at| vec![at % 2]));
    check("palette", &indexed, &|at| if at % 2 == 0 { [10, 20, 30, 255] } else { [40, 50, 60, 128] });
    // One bit a pixel, each row of five in a byte of its own.
    let bits = of_kind(ColorType::Grayscale, BitDepth::One, None, &[0b1010_1000, 0b0101_0000, 0b1010_1000]);
    check("one bit", &bits, &|at| if at % 2 == 0 { [255; 4] } else { [0, 0, 0, 255] });
}

#[test]
fn what_is_not_the_picture_that_was_meant_is_told_apart() {
    let image = small();
    let bytes = encode(&image, &provenance()).expect("encodes");
    let turned = Extent { width: 32, height: 64 };
    assert!(matches!(into(&bytes, turned), Err(PngError::OtherSize { found, .. }) if found == image.extent()));
    for cut in [0, 7, 20, 60, bytes.len() / 2, bytes.len() - 13] {
        let error = into(&bytes[..cut], image.extent()).expect_err("it is cut short");
        assert!(matches!(error, PngError::DamagedRender(_)), "{cut}: {error:?}");
        assert_eq!(error.code(), ErrorCode::Storage);
    }
    let mut flipped = bytes.clone();
    let middle = flipped.len() - 200;
    flipped[middle] ^= 0x10;
    assert!(into(&flipped, image.extent()).is_err(), "a flipped bit is seen");
    assert!(into(b"GIF89a and so on, no PNG at all", image.extent()).is_err());
}

#[test]
fn text_of_any_length_costs_no_memory_when_pixels_are_wanted() {
    let long = vec![b'a'; 8 << 20];
    let bytes = itxt("comment", false, &long);
    assert_eq!(into(&bytes, Extent { width: 1, height: 1 }).expect("decodes"), [0, 0, 0, 255]);
}

/// A picture as another program writes it: with its own words, time and density.
fn foreign(color: ::png::ColorType, depth: ::png::BitDepth, pixels: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = ::png::Encoder::new(&mut bytes, 2, 2);
    encoder.set_color(color);
    encoder.set_depth(depth);
    encoder.add_text_chunk("Software".into(), "somebody's".into()).expect("a text");
    encoder.set_pixel_dims(Some(::png::PixelDimensions { xppu: 1, yppu: 2, unit: ::png::Unit::Meter }));
    let mut writer = encoder.write_header().expect("a header");
    writer.write_image_data(pixels).expect("pixels");
    writer.finish().expect("an end");
    bytes
}

#[test]
fn a_stamped_file_has_its_pixels_and_our_words_and_nobody_else_s() {
    let provenance = provenance();
    for (color, pixels) in [
        (::png::ColorType::Rgb, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12][..]),
        (::png::ColorType::Rgba, &[1, 2, 3, 255, 4, 5, 6, 0, 7, 8, 9, 128, 10, 11, 12, 255]),
    ] {
        let file = foreign(color, ::png::BitDepth::Eight, pixels);
        let stamped = stamp(&file, &provenance).expect("stamped").expect("a plain PNG");
        let read = |bytes: &[u8]| decode(bytes, DecodeLimits::ART).expect("a picture").hash();
        assert_eq!(read(&stamped), read(&file), "{color:?}");
        assert_eq!(read_provenance(&stamped).expect("read").as_ref(), Some(&provenance), "{color:?}");
        assert!(!stamped.windows(8).any(|part| part == b"Software"), "{color:?}");
    }
}

#[test]
fn what_is_no_plain_png_is_not_stamped() {
    let provenance = provenance();
    let check = |file: &[u8]| assert_eq!(stamp(file, &provenance).expect("no fault of ours"), None);
    let plain = foreign(::png::ColorType::Rgb, ::png::BitDepth::Eight, &[0; 12]);
    check(&foreign(::png::ColorType::Grayscale, ::png::BitDepth::Eight, &[0; 4]));
    check(&foreign(::png::ColorType::Rgb, ::png::BitDepth::Sixteen, &[0; 24]));
    check(b"\xff\xd8\xff\xe0 a JPEG");
    check(&plain[..plain.len() - 13]);
    check(&[]);
    let mut turned = plain[..33].to_vec();
    turned.extend_from_slice(b"\0\0\0\0eXIf\0\0\0\0");
    turned.extend_from_slice(&plain[33..]);
    check(&turned);
}
