//! Pictures to bytes and back: PNG with provenance out, PNG and the team's own art in.
//!
//! Writing goes through the `png` crate, which can write text chunks; reading art goes through `image`, and reading
//! finished pictures back through `png`, which decodes where it is told.
//! Every bound is checked before memory is taken for what it bounds.
//! The bytes follow from pixels and provenance alone; a golden hash in the tests tells when an upgrade of a crate
//! would change them, which is a change of every picture in every team's repository.

use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader};
use thiserror::Error;
use thumbforge_core::error::ErrorCode;
use thumbforge_core::image::{Extent, ImageBuf};
use thumbforge_core::limits;

use super::provenance::{PROVENANCE_VERSION, Provenance};

mod chunks;

#[cfg(any(test, feature = "dist"))]
pub use chunks::is_intact;
pub use chunks::{C2PA, has_chunk, with_text};

/// Keyword of the chunk that holds provenance as JSON.
pub const KEYWORD: &str = "thumbforge";
/// Keyword of the chunk that readers of AUTOMATIC1111's images look for.
pub const PARAMETERS: &str = "parameters";
/// Longest text chunk that is read, unpacked. The longest honest one: prompt and negative prompt, sixteen full
/// layers, each byte escaped as six, twice over (80 KiB × 6 × 2).
pub const TEXT_BYTES_MAX: usize = 1 << 20;
/// Most chunks that are walked through in search of a text; an ordinary file has fewer than a thousand.
const CHUNKS_MAX: usize = 1 << 16;
const SIGNATURE: [u8; 8] = [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a];

const _: () =
    assert!((2 * limits::PROMPT_BYTES_MAX + limits::LAYERS_MAX * limits::LAYER_TEXT_BYTES_MAX) * 12 <= TEXT_BYTES_MAX);

/// Why a picture could not be written or read.
#[derive(Debug, Error)]
pub enum PngError {
    /// The encoder refused; a fault of ours.
    #[error("encode a picture as PNG")]
    Encode(#[source] ::png::EncodingError),
    /// The provenance would not become JSON; a fault of ours.
    #[error("write provenance as JSON")]
    EncodeProvenance(#[source] serde_json::Error),
    /// The file is larger than is read.
    #[error("read a picture of {bytes} bytes: at most {max} are read; save it smaller")]
    FileTooLarge {
        /// Its length.
        bytes: usize,
        /// The bound.
        max: usize,
    },
    /// The picture has more pixels than are read.
    #[error("read a picture of {width}x{height}: at most {max} pixels a side are read; scale it down")]
    PictureTooLarge {
        /// Its width.
        width: u32,
        /// Its height.
        height: u32,
        /// The bound.
        max: u32,
    },
    /// No format that we know.
    #[error("read a picture: it is none of PNG, JPEG, WebP, TGA and BMP; save it as one of these")]
    UnknownFormat,
    /// A Git LFS pointer stands where the picture should be.
    #[error("read a picture: it is a Git LFS pointer; fetch the file with `git lfs pull`")]
    LfsPointer,
    /// Not the picture that was meant.
    #[error("read a picture of {found}: it should be of {wanted}")]
    OtherSize {
        /// What the file says.
        found: Extent,
        /// What it should be.
        wanted: Extent,
    },
    /// A picture of ours, broken.
    #[error("read a finished picture: its data is damaged")]
    DamagedRender(#[source] ::png::DecodingError),
    /// Broken.
    #[error("read a picture: its data is damaged; export it again")]
    Damaged(#[source] image::ImageError),
    /// No PNG, though one is needed.
    #[error("read provenance: it is no PNG file")]
    NotPng,
    /// A PNG that ends early or has impossible lengths.
    #[error("read provenance: the PNG file is cut short or damaged")]
    Truncated,
    /// A chunk that unpacks to more than [`TEXT_BYTES_MAX`].
    #[error("read provenance: its text is longer than {TEXT_BYTES_MAX} bytes")]
    TextTooLong,
    /// Our chunk, but not our JSON.
    #[error("read provenance: the `thumbforge` text is damaged")]
    BadProvenance(#[source] serde_json::Error),
    /// Written by a later version.
    #[error("read provenance of version {0}: only version {PROVENANCE_VERSION} is known; upgrade thumbforge")]
    NewerProvenance(u32),
    /// The file system failed.
    #[error("read a PNG file")]
    Io(#[source] std::io::Error),
}

impl PngError {
    /// The stable code, for the team's own art.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Encode(_) | Self::EncodeProvenance(_) => ErrorCode::Internal,
            Self::OtherSize { .. } | Self::DamagedRender(_) => ErrorCode::Storage,
            Self::FileTooLarge { .. } | Self::PictureTooLarge { .. } | Self::TextTooLong => ErrorCode::TooLarge,
            _ => ErrorCode::InputFile,
        }
    }
}

/// PNG bytes of `image`: sRGB, 8 bits, without alpha where all is opaque (12 to 16 % smaller).
///
/// # Errors
/// [`PngError::Encode`] and [`PngError::EncodeProvenance`], which are faults of ours.
pub fn encode(image: &ImageBuf, provenance: &Provenance) -> Result<Vec<u8>, PngError> {
    let json = serde_json::to_string(provenance).map_err(PngError::EncodeProvenance)?;
    encode_with_texts(
        image,
        &[(KEYWORD, &json, TextChunk::Utf8), (PARAMETERS, &provenance.parameters(), TextChunk::Latin1)],
    )
}

/// The PNG `file` with provenance in it and its pixels as they are packed; `None` where it is not of the plain kind that
/// [`encode`] writes: 8 bits, true colour with or without alpha, not interlaced. What else it says of itself is left out,
/// as decoding and encoding it would leave it out.
///
/// # Errors
/// As [`encode`].
pub fn stamp(file: &[u8], provenance: &Provenance) -> Result<Option<Vec<u8>>, PngError> {
    use ::png::text_metadata::{EncodableTextChunk, ITXtChunk, TEXtChunk};
    let Some(kept) = plain_chunks(file) else { return Ok(None) };
    let json = serde_json::to_string(provenance).map_err(PngError::EncodeProvenance)?;
    let parameters = provenance.parameters();
    let mut bytes = Vec::with_capacity(file.len() + json.len() + parameters.len() + 256);
    bytes.extend_from_slice(&SIGNATURE);
    for (at, chunk) in kept.into_iter().enumerate() {
        bytes.extend_from_slice(chunk);
        if at > 0 {
            continue;
        }
        // Behind the header: a rendering intent of sRGB, "perceptual", with its CRC.
        bytes.extend_from_slice(&[0, 0, 0, 1, b's', b'R', b'G', b'B', 0, 0xae, 0xce, 0x1c, 0xe9]);
        ITXtChunk::new(KEYWORD, json.clone()).encode(&mut bytes).map_err(PngError::Encode)?;
        if parameters.chars().all(|c| u32::from(c) <= 0xff) {
            TEXtChunk::new(PARAMETERS, parameters.clone()).encode(&mut bytes).map_err(PngError::Encode)?;
        } else {
            ITXtChunk::new(PARAMETERS, parameters.clone()).encode(&mut bytes).map_err(PngError::Encode)?;
        }
    }
    Ok(Some(bytes))
}

/// Header, transparent colour, data and end of a plain PNG, each whole with its length and CRC.
fn plain_chunks(file: &[u8]) -> Option<Vec<&[u8]>> {
    let mut rest = file.strip_prefix(&SIGNATURE)?;
    let mut kept = Vec::new();
    for _ in 0..CHUNKS_MAX {
        let (length, kind) = (rest.get(..4)?, rest.get(4..8)?);
        let length = u32::from_be_bytes(length.try_into().ok()?) as usize;
        let (chunk, after) = rest.split_at_checked(length.checked_add(12)?)?;
        match kind {
            // Depth, colour type, compression, filter, interlacing.
            b"IHDR" if kept.is_empty() && matches!(chunk.get(16..21)?, [8, 2 | 6, 0, 0, 0]) => kept.push(chunk),
            // A camera's orientation, which reading applies, stands in eXIf.
            b"IHDR" | b"eXIf" => return None,
            // An older program may show a transparent colour, and ours does; it must come before the data.
            b"tRNS" | b"IDAT" if !kept.is_empty() => kept.push(chunk),
            b"IEND" => {
                kept.push(chunk);
                return Some(kept);
            }
            _ if kept.is_empty() => return None,
            _ => {}
        }
        rest = after;
    }
    None
}

/// How a text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextChunk {
    /// iTXt.
    Utf8,
    /// tEXt where the text is Latin-1, since some readers of `parameters` know no other; iTXt elsewhere.
    Latin1,
}

pub(crate) fn encode_with_texts(image: &ImageBuf, texts: &[(&str, &str, TextChunk)]) -> Result<Vec<u8>, PngError> {
    let extent = image.extent();
    let opaque = image.pixels().chunks_exact(4).all(|pixel| pixel[3] == 255);
    // Most pictures take less than one byte a pixel; growing the vector twice costs nothing beside deflating.
    let mut bytes = Vec::with_capacity(extent.pixels() + 4096);
    let mut encoder = ::png::Encoder::new(&mut bytes, extent.width, extent.height);
    encoder.set_depth(::png::BitDepth::Eight);
    encoder.set_color(if opaque { ::png::ColorType::Rgb } else { ::png::ColorType::Rgba });
    encoder.set_source_srgb(::png::SrgbRenderingIntent::Perceptual);
    encoder.set_compression(::png::Compression::Fast);
    for (keyword, text, chunk) in texts {
        let (keyword, text) = ((*keyword).to_owned(), (*text).to_owned());
        if *chunk == TextChunk::Latin1 && text.chars().all(|c| u32::from(c) <= 0xff) {
            encoder.add_text_chunk(keyword, text).map_err(PngError::Encode)?;
        } else {
            encoder.add_itxt_chunk(keyword, text).map_err(PngError::Encode)?;
        }
    }
    let mut writer = encoder.write_header().map_err(PngError::Encode)?;
    if opaque {
        let rgb: Vec<u8> = image.pixels().chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
        writer.write_image_data(&rgb).map_err(PngError::Encode)?;
    } else {
        writer.write_image_data(image.pixels()).map_err(PngError::Encode)?;
    }
    writer.finish().map_err(PngError::Encode)?;
    Ok(bytes)
}

/// PNG bytes of grey pixels, as masks are kept.
///
/// # Errors
/// [`PngError::Encode`], which is a fault of ours.
pub(crate) fn encode_grey(size: Extent, pixels: &[u8]) -> Result<Vec<u8>, PngError> {
    let mut bytes = Vec::new();
    let mut encoder = ::png::Encoder::new(&mut bytes, size.width, size.height);
    encoder.set_color(::png::ColorType::Grayscale);
    encoder.set_depth(::png::BitDepth::Eight);
    encoder.set_compression(::png::Compression::Fast);
    let mut writer = encoder.write_header().map_err(PngError::Encode)?;
    writer.write_image_data(pixels).map_err(PngError::Encode)?;
    writer.finish().map_err(PngError::Encode)?;
    Ok(bytes)
}

/// How much of a picture is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Longest file in bytes.
    pub file_bytes_max: usize,
    /// Longest side in pixels.
    pub side_max: u32,
}

impl DecodeLimits {
    /// For the team's own art: a picture of the largest size, uncompressed, with 16 bits a channel.
    pub const ART: Self = Self {
        file_bytes_max: limits::SIDE_MAX as usize * limits::SIDE_MAX as usize * 8 + (1 << 20),
        side_max: limits::SIDE_MAX,
    };
}

/// Pixels of a PNG, JPEG, WebP, TGA or BMP file: grey, palette and 16 bits become RGBA8, and a camera's
/// orientation is applied. A colour profile is not: sRGB is assumed.
///
/// # Errors
/// [`PngError`], which says what is wrong with the file and what to do.
pub fn decode(bytes: &[u8], limits: DecodeLimits) -> Result<ImageBuf, PngError> {
    if bytes.len() > limits.file_bytes_max {
        return Err(PngError::FileTooLarge { bytes: bytes.len(), max: limits.file_bytes_max });
    }
    if super::observe::lfs_pointer(bytes).is_some() {
        return Err(PngError::LfsPointer);
    }
    let format = format(bytes).ok_or(PngError::UnknownFormat)?;
    let too_large = |(width, height)| PngError::PictureTooLarge { width, height, max: limits.side_max };
    let side_max = limits.side_max;
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut bounds = image::Limits::default();
    // The widest pixel that the decoders give is 16 bytes; what they need beside it is less than one picture more.
    bounds.max_alloc = Some(u64::from(side_max) * u64::from(side_max) * 32);
    reader.limits(bounds);
    let mut decoder = reader.into_decoder().map_err(PngError::Damaged)?;
    let (width, height) = decoder.dimensions();
    if width > side_max || height > side_max {
        return Err(too_large((width, height)));
    }
    let orientation = decoder.orientation().unwrap_or(image::metadata::Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder).map_err(PngError::Damaged)?;
    picture.apply_orientation(orientation);
    let picture = picture.into_rgba8();
    let extent = Extent { width: picture.width(), height: picture.height() };
    // A picture has as many bytes as its extent says, or the decoder is broken.
    ImageBuf::from_rgba(extent, picture.into_raw()).ok_or(PngError::UnknownFormat)
}

/// Pixels of a PNG of `size`, as RGBA8 straight into `pixels`: no picture lies in memory beside it.
///
/// For finished pictures of the store. Grey, palettes and 16 bits are read too (of 16 the upper 8); text is passed over.
/// After an error, what `pixels` holds means nothing.
///
/// # Errors
/// [`PngError::OtherSize`] and [`PngError::DamagedRender`].
///
/// # Panics
/// When `pixels` is not four bytes for each pixel of `size`: a fault of the caller.
pub fn decode_into(bytes: &[u8], size: Extent, pixels: &mut [u8]) -> Result<(), PngError> {
    use ::png::{ColorType, DecodeOptions, Decoder, Limits, Transformations};
    assert_eq!(pixels.len(), size.pixels() * 4, "a buffer for another picture");
    let mut options = DecodeOptions::default();
    options.set_ignore_text_chunk(true);
    options.set_ignore_iccp_chunk(true);
    let mut decoder = Decoder::new_with_options(Cursor::new(bytes), options);
    // What is needed beside the picture: some rows, the widest of 8 bytes a pixel, and whatever small chunks there are.
    decoder.set_limits(Limits { bytes: size.width as usize * 64 + (1 << 20) });
    decoder.set_transformations(Transformations::normalize_to_color8() | Transformations::ALPHA);
    let other = |width, height| PngError::OtherSize { found: Extent { width, height }, wanted: size };
    let head = decoder.read_header_info().map_err(PngError::DamagedRender)?;
    if (head.width, head.height) != (size.width, size.height) {
        return Err(other(head.width, head.height));
    }
    let mut reader = decoder.read_info().map_err(PngError::DamagedRender)?;
    let grey = reader.output_color_type().0 == ColorType::GrayscaleAlpha;
    // Two bytes a pixel go into the second half, and are then spread from the front: the fourth byte of a pixel never
    // reaches the two bytes of the next.
    let (half, whole) = (pixels.len() / 2, pixels.len());
    let target = if grey { &mut pixels[half..] } else { &mut *pixels };
    let frame = reader.next_frame(target).map_err(PngError::DamagedRender)?;
    if (frame.width, frame.height) != (size.width, size.height) {
        return Err(other(frame.width, frame.height));
    }
    if grey {
        for at in 0..whole / 4 {
            let (grey, alpha) = (pixels[half + at * 2], pixels[half + at * 2 + 1]);
            pixels[at * 4..at * 4 + 4].copy_from_slice(&[grey, grey, grey, alpha]);
        }
    }
    Ok(())
}

/// TGA has no signature, so what nothing else claims is TGA if its header is one that we can draw.
fn format(bytes: &[u8]) -> Option<ImageFormat> {
    const KNOWN: [ImageFormat; 4] = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP, ImageFormat::Bmp];
    match image::guess_format(bytes) {
        Ok(format) => KNOWN.contains(&format).then_some(format),
        Err(_) => {
            let colour_map = *bytes.get(1)?;
            let kind = *bytes.get(2)?;
            let depth = *bytes.get(16)?;
            let tga = colour_map <= 1 && matches!(kind, 1..=3 | 9..=11) && matches!(depth, 8 | 15 | 16 | 24 | 32);
            tga.then_some(ImageFormat::Tga)
        }
    }
}

/// The provenance in PNG bytes; `None` when there is none.
///
/// # Errors
/// [`PngError`] when it is no PNG, or has a `thumbforge` text that cannot be read.
pub fn read_provenance(bytes: &[u8]) -> Result<Option<Provenance>, PngError> {
    parse_provenance(find_text(Cursor::new(bytes), KEYWORD)?)
}

/// As [`read_provenance`], passing over the pixels instead of reading them.
///
/// # Errors
/// As [`read_provenance`], and [`PngError::Io`].
pub fn read_provenance_of(path: &Path) -> Result<Option<Provenance>, PngError> {
    let file = std::fs::File::open(path).map_err(PngError::Io)?;
    parse_provenance(find_text(std::io::BufReader::new(file), KEYWORD)?)
}

fn parse_provenance(text: Option<String>) -> Result<Option<Provenance>, PngError> {
    #[derive(serde::Deserialize)]
    struct Version {
        version: u32,
    }
    let Some(text) = text else { return Ok(None) };
    let Version { version } = serde_json::from_str(&text).map_err(PngError::BadProvenance)?;
    if version > PROVENANCE_VERSION {
        return Err(PngError::NewerProvenance(version));
    }
    serde_json::from_str(&text).map(Some).map_err(PngError::BadProvenance)
}

/// The first text chunk of a PNG with this keyword, of any of the three kinds.
pub(crate) fn find_text(mut source: impl Read + Seek, keyword: &str) -> Result<Option<String>, PngError> {
    let mut signature = [0; 8];
    match source.read_exact(&mut signature) {
        Ok(()) if signature == SIGNATURE => {}
        Ok(()) => return Err(PngError::NotPng),
        Err(err) if err.kind() == std::io::ErrorKind::UnexpectedEof => return Err(PngError::NotPng),
        Err(err) => return Err(PngError::Io(err)),
    }
    for _ in 0..CHUNKS_MAX {
        let mut head = [0; 8];
        read_exact(&mut source, &mut head)?;
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
        let kind = [head[4], head[5], head[6], head[7]];
        if kind == *b"IEND" {
            return Ok(None);
        }
        if !matches!(&kind, b"iTXt" | b"tEXt" | b"zTXt") {
            source.seek(SeekFrom::Current(i64::from(length) + 4)).map_err(PngError::Io)?;
            continue;
        }
        // The keyword comes first, so a long text of somebody else costs no memory.
        let mut name = vec![0; (keyword.len() + 1).min(length as usize)];
        read_exact(&mut source, &mut name)?;
        let rest = length as usize - name.len();
        if name.strip_suffix(&[0]) != Some(keyword.as_bytes()) {
            source.seek(SeekFrom::Current(rest as i64 + 4)).map_err(PngError::Io)?;
            continue;
        }
        if rest > TEXT_BYTES_MAX {
            return Err(PngError::TextTooLong);
        }
        let mut data = vec![0; rest];
        read_exact(&mut source, &mut data)?;
        return text_of(kind, &data).map(Some);
    }
    Ok(None)
}

fn text_of(kind: [u8; 4], data: &[u8]) -> Result<String, PngError> {
    let latin1 = |bytes: &[u8]| bytes.iter().copied().map(char::from).collect();
    match &kind {
        b"tEXt" => Ok(latin1(data)),
        // One byte names the method, of which there is one.
        b"zTXt" => unpack(data.get(1..).ok_or(PngError::Truncated)?).map(|bytes| latin1(&bytes)),
        _ => {
            let [packed, _method, rest @ ..] = data else { return Err(PngError::Truncated) };
            // Language and translated keyword, each ended by a zero, are nothing to us.
            let text = rest.splitn(3, |byte| *byte == 0).nth(2).ok_or(PngError::Truncated)?;
            let bytes = if *packed == 0 { text.to_vec() } else { unpack(text)? };
            String::from_utf8(bytes).map_err(|_| PngError::Truncated)
        }
    }
}

/// A kilobyte can unpack to a gigabyte, so unpacking stops at the bound.
fn unpack(bytes: &[u8]) -> Result<Vec<u8>, PngError> {
    use miniz_oxide::inflate::{TINFLStatus, decompress_to_vec_zlib_with_limit};
    decompress_to_vec_zlib_with_limit(bytes, TEXT_BYTES_MAX).map_err(|err| match err.status {
        TINFLStatus::HasMoreOutput => PngError::TextTooLong,
        _ => PngError::Truncated,
    })
}

fn read_exact(source: &mut impl Read, buffer: &mut [u8]) -> Result<(), PngError> {
    source.read_exact(buffer).map_err(|err| match err.kind() {
        std::io::ErrorKind::UnexpectedEof => PngError::Truncated,
        _ => PngError::Io(err),
    })
}

#[cfg(test)]
mod tests;
