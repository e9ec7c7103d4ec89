//! What a picture is, by its first bytes: servers' words for it are often wrong.

use thumbforge_core::image::Extent;

/// Most pixels of a picture that a provider may send: twice the largest texture, so that the widest "4K" pictures
/// (6336×2688) fit, and 128 MiB once it is decoded.
pub const PIXELS_MAX: u64 = 2 * 4096 * 4096;

/// A format that pictures come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// PNG.
    Png,
    /// JPEG.
    Jpeg,
    /// WebP.
    WebP,
}

/// The format and size of a picture; `None` for anything else, and for a picture whose head is damaged.
pub fn sniff(bytes: &[u8]) -> Option<(Format, Extent)> {
    let (format, (width, height)) = if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        (Format::Png, png(bytes)?)
    } else if bytes.starts_with(b"\xff\xd8\xff") {
        (Format::Jpeg, jpeg(bytes)?)
    } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        (Format::WebP, webp(bytes)?)
    } else {
        return None;
    };
    (width > 0 && height > 0).then_some((format, Extent { width, height }))
}

/// Why bytes are no picture that is taken, in words that fit behind "because"; `None` where they are one.
pub fn objection(bytes: &[u8]) -> Option<String> {
    match sniff(bytes) {
        None => Some(format!("its {} bytes are no PNG, JPEG or WebP", bytes.len())),
        Some((_, size)) if u64::from(size.width) * u64::from(size.height) > PIXELS_MAX => {
            Some(format!("it is {size}, and {PIXELS_MAX} pixels are the most"))
        }
        Some(_) => None,
    }
}

fn be16(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 2)?;
    Some(u32::from(bytes[0]) << 8 | u32::from(bytes[1]))
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(be16(bytes, at)? << 16 | be16(bytes, at + 2)?)
}

fn le24(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 3)?;
    Some(u32::from(bytes[0]) | u32::from(bytes[1]) << 8 | u32::from(bytes[2]) << 16)
}

/// The chunk IHDR comes first (PNG specification, 5.6).
fn png(bytes: &[u8]) -> Option<(u32, u32)> {
    (bytes.get(12..16)? == b"IHDR").then_some(())?;
    Some((be32(bytes, 16)?, be32(bytes, 20)?))
}

/// Segments are passed over until the frame header (ITU T.81, B.1.1.3 and B.2.2).
fn jpeg(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    // Each turn goes at least two bytes further, so the file's length bounds it.
    loop {
        (*bytes.get(at)? == 0xff).then_some(())?;
        let marker = *bytes.get(at + 1)?;
        match marker {
            // Padding before a marker.
            0xff => at += 1,
            // Markers without a segment.
            0x01 | 0xd0..=0xd8 => at += 2,
            // Frames; 0xc4, 0xc8 and 0xcc are tables.
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                return Some((be16(bytes, at + 7)?, be16(bytes, at + 5)?));
            }
            // The picture's data or its end, before any frame.
            0xd9 | 0xda => return None,
            _ => at += 2 + be16(bytes, at + 2)?.max(2) as usize,
        }
    }
}

/// One of three chunks has the size (RFC 9649, 2.5 to 2.7).
fn webp(bytes: &[u8]) -> Option<(u32, u32)> {
    match bytes.get(12..16)? {
        b"VP8X" => Some((le24(bytes, 24)? + 1, le24(bytes, 27)? + 1)),
        b"VP8L" => {
            (*bytes.get(20)? == 0x2f).then_some(())?;
            let low = le24(bytes, 21)?;
            let bits = low | u32::from(*bytes.get(24)?) << 24;
            Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
        }
        b"VP8 " => {
            (bytes.get(23..26)? == b"\x9d\x01\x2a").then_some(())?;
            let size = bytes.get(26..30)?;
            let side = |at: usize| (u32::from(size[at]) | u32::from(size[at + 1]) << 8) & 0x3fff;
            Some((side(0), side(2)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expected: Option<(Format, u32, u32)>) {
        let found = sniff(bytes).map(|(format, size)| (format, size.width, size.height));
        assert_eq!(found, expected, "{bytes:x?}");
    }

    fn png_head(width: u32, height: u32) -> Vec<u8> {
        let mut head = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
        head.extend(width.to_be_bytes());
        head.extend(height.to_be_bytes());
        head
    }

    const JPEG: &[u8] = b"\xff\xd8\xff\xe0\0\x04ab\xff\xff\xc4\0\x02\xff\xc2\0\x0b\x08\x01\x20\x02\x40\x01\x01\x11\0";
    const WEBP_LOSSLESS: &[u8] = b"RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0\x2f\xff\xc1\x3f\0";
    const WEBP_LOSSY: &[u8] = b"RIFF\x1a\0\0\0WEBPVP8 \x0d\0\0\0\x30\x01\0\x9d\x01\x2a\x40\x01\xf0\x00";
    const WEBP_EXTENDED: &[u8] = b"RIFF\x1a\0\0\0WEBPVP8X\x0a\0\0\0\x10\0\0\0\xff\x03\0\xff\x01\0";

    #[test]
    fn formats_and_sizes_are_read_from_the_head() {
        check(&png_head(512, 256), Some((Format::Png, 512, 256)));
        check(JPEG, Some((Format::Jpeg, 576, 288)));
        check(WEBP_LOSSLESS, Some((Format::WebP, 512, 256)));
        check(WEBP_LOSSY, Some((Format::WebP, 320, 240)));
        check(WEBP_EXTENDED, Some((Format::WebP, 1024, 512)));
    }

    #[test]
    fn anything_else_is_no_picture() {
        for bytes in [&b""[..], b"GIF89a", b"<html>", b"{\"error\":1}", b"RIFF\0\0\0\0WAVE", b"\xff\xd8\xff\xd9", b"BM"]
        {
            check(bytes, None);
        }
        check(&png_head(0, 5), None);
        for whole in [&png_head(9, 9)[..], JPEG, WEBP_LOSSLESS, WEBP_LOSSY, WEBP_EXTENDED] {
            // Cut anywhere, it is no panic; cut before the size, it is no picture.
            for end in 0..whole.len() {
                let _ = sniff(&whole[..end]);
            }
            check(&whole[..12], None);
        }
    }

    #[test]
    fn pictures_have_a_largest_size() {
        assert_eq!(objection(&png_head(6336, 2688)), None);
        assert_eq!(objection(&png_head(4096, 4096)), None);
        assert!(objection(&png_head(65_535, 65_535)).is_some_and(|why| why.contains("65535x65535")));
        assert!(objection(b"<html>").is_some_and(|why| why.contains("no PNG")));
    }
}
