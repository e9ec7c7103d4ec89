//! Chunks of a finished PNG: one put in, some left out, and every other one kept to the byte. Pixels are not unpacked.

use std::io::{Read, Seek, SeekFrom};

use super::{CHUNKS_MAX, PngError, SIGNATURE, read_exact};

/// The chunk that C2PA keeps a manifest in (C2PA specification, embedding manifests into PNG).
pub const C2PA: [u8; 4] = *b"caBX";

/// The PNG `file` with `text` as an iTXt chunk before its pixels, in place of any chunk of text with that keyword.
/// Texts with the keywords `without` are left out, and so is a manifest of C2PA: it would speak of other bytes.
///
/// # Errors
/// [`PngError::NotPng`] and [`PngError::Truncated`]; [`PngError::Encode`], which is a fault of ours.
pub fn with_text(file: &[u8], keyword: &str, text: &str, without: &[&str]) -> Result<Vec<u8>, PngError> {
    use ::png::text_metadata::{EncodableTextChunk, ITXtChunk};
    let mut bytes = Vec::with_capacity(file.len() + text.len() + keyword.len() + 32);
    bytes.extend_from_slice(&SIGNATURE);
    let mut is_written = false;
    for chunk in Chunks::of(file)? {
        let chunk = chunk?;
        let is_left_out = chunk.kind == C2PA
            || chunk
                .keyword()
                .is_some_and(|found| [&[keyword], without].concat().iter().any(|name| name.as_bytes() == found));
        if is_left_out {
            continue;
        }
        if !is_written && (chunk.kind == *b"IDAT" || chunk.kind == *b"IEND") {
            ITXtChunk::new(keyword, text).encode(&mut bytes).map_err(PngError::Encode)?;
            is_written = true;
        }
        bytes.extend_from_slice(chunk.whole);
    }
    Ok(bytes)
}

/// Whether a PNG has a chunk of this kind. Only heads of chunks are read.
///
/// # Errors
/// [`PngError::NotPng`], [`PngError::Truncated`] and [`PngError::Io`].
pub fn has_chunk(mut source: impl Read + Seek, kind: [u8; 4]) -> Result<bool, PngError> {
    let mut signature = [0; 8];
    read_exact(&mut source, &mut signature)?;
    if signature != SIGNATURE {
        return Err(PngError::NotPng);
    }
    for _ in 0..CHUNKS_MAX {
        let mut head = [0; 8];
        read_exact(&mut source, &mut head)?;
        let [a, b, c, d, found @ ..] = head;
        if found == kind {
            return Ok(true);
        }
        if found == *b"IEND" {
            break;
        }
        source.seek(SeekFrom::Current(i64::from(u32::from_be_bytes([a, b, c, d])) + 4)).map_err(PngError::Io)?;
    }
    Ok(false)
}

/// Whether the checksums of all chunks of this kind hold.
///
/// # Errors
/// [`PngError::NotPng`] and [`PngError::Truncated`].
#[cfg(any(test, feature = "dist"))]
pub fn is_intact(file: &[u8], kind: [u8; 4]) -> Result<bool, PngError> {
    for chunk in Chunks::of(file)? {
        let chunk = chunk?;
        if chunk.kind == kind && !chunk.holds() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// CRC-32 as PNG has it (ISO 3309), bit by bit: it is asked of a few kilobytes.
#[cfg(any(test, feature = "dist"))]
fn crc(bytes: &[u8]) -> u32 {
    let round = |crc: u32, _| if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), round))
}

/// One chunk of a file.
struct Chunk<'a> {
    kind: [u8; 4],
    /// Length, kind, data and CRC.
    whole: &'a [u8],
}

impl<'a> Chunk<'a> {
    /// Whether its checksum is that of its kind and data.
    #[cfg(any(test, feature = "dist"))]
    fn holds(&self) -> bool {
        let Some((data, sum)) = self.whole.get(4..).and_then(|rest| rest.split_last_chunk::<4>()) else { return false };
        crc(data) == u32::from_be_bytes(*sum)
    }

    /// The keyword of a chunk of text.
    fn keyword(&self) -> Option<&'a [u8]> {
        let data = self.whole.get(8..self.whole.len().checked_sub(4)?)?;
        matches!(&self.kind, b"iTXt" | b"tEXt" | b"zTXt").then(|| data.split(|byte| *byte == 0).next())?
    }
}

/// The chunks of a file, up to its end.
struct Chunks<'a> {
    rest: &'a [u8],
    seen: usize,
    ended: bool,
}

impl<'a> Chunks<'a> {
    fn of(file: &'a [u8]) -> Result<Self, PngError> {
        let rest = file.strip_prefix(&SIGNATURE).ok_or(PngError::NotPng)?;
        Ok(Self { rest, seen: 0, ended: false })
    }

    fn next_chunk(&mut self) -> Option<Chunk<'a>> {
        let length = u32::from_be_bytes(self.rest.get(..4)?.try_into().ok()?) as usize;
        let kind: [u8; 4] = self.rest.get(4..8)?.try_into().ok()?;
        let (whole, rest) = self.rest.split_at_checked(length.checked_add(12)?)?;
        self.rest = rest;
        self.ended = kind == *b"IEND";
        Some(Chunk { kind, whole })
    }
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Result<Chunk<'a>, PngError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        self.seen += 1;
        let chunk = if self.seen > CHUNKS_MAX { None } else { self.next_chunk() };
        // A file that ends before its end is told once.
        self.ended |= chunk.is_none();
        Some(chunk.ok_or(PngError::Truncated))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use thumbforge_core::image::{Extent, ImageBuf};

    use super::super::{DecodeLimits, KEYWORD, PARAMETERS, decode, encode, find_text, read_provenance};
    use super::*;
    use crate::output::provenance::tests::provenance;

    fn file() -> (ImageBuf, Vec<u8>) {
        let image = ImageBuf::filled(Extent { width: 9, height: 5 }, [1, 2, 3, 200]);
        let bytes = encode(&image, &provenance()).expect("encodes");
        (image, bytes)
    }

    #[test]
    fn a_text_is_put_in_once_and_nothing_else_changes() {
        let (image, bytes) = file();
        let once = with_text(&bytes, "XML:com.adobe.xmp", "<大>", &[]).expect("a PNG");
        assert_eq!(find_text(Cursor::new(&once), "XML:com.adobe.xmp").expect("reads").as_deref(), Some("<大>"));
        assert_eq!(decode(&once, DecodeLimits::ART).expect("decodes"), image);
        assert_eq!(read_provenance(&once).expect("reads"), Some(provenance()));
        let again = with_text(&once, "XML:com.adobe.xmp", "<大>", &[]).expect("a PNG");
        assert!(again == once, "putting it in twice is putting it in once");
    }

    #[test]
    fn what_is_to_be_left_out_is_left_out() {
        let (image, bytes) = file();
        let at = bytes.len() - 12;
        let mut sealed = bytes[..at].to_vec();
        sealed.extend_from_slice(&[0, 0, 0, 1, b'c', b'a', b'B', b'X', 7, 0, 0, 0, 0]);
        sealed.extend_from_slice(&bytes[at..]);
        assert!(has_chunk(Cursor::new(&sealed), C2PA).expect("reads"));
        let bare = with_text(&sealed, "Title", "a", &[KEYWORD, PARAMETERS]).expect("a PNG");
        assert!(!has_chunk(Cursor::new(&bare), C2PA).expect("reads"));
        assert_eq!(read_provenance(&bare).expect("reads"), None);
        assert_eq!(find_text(Cursor::new(&bare), PARAMETERS).expect("reads"), None);
        assert_eq!(decode(&bare, DecodeLimits::ART).expect("decodes"), image);
    }

    #[test]
    fn a_checksum_tells_of_any_bit() {
        let (_, bytes) = file();
        assert_eq!(crc(b"IEND"), 0xae42_6082);
        assert!(is_intact(&bytes, *b"iTXt").expect("a PNG"));
        let at = bytes.windows(4).position(|window| window == b"iTXt").expect("a chunk");
        for bit in 0..64 {
            let mut changed = bytes.clone();
            changed[at + 20 + bit / 8] ^= 1 << (bit % 8);
            assert!(!is_intact(&changed, *b"iTXt").expect("a PNG"), "{bit}");
            assert!(is_intact(&changed, *b"IDAT").expect("a PNG"));
        }
    }

    #[test]
    fn a_damaged_file_is_an_error_at_every_length() {
        let (_, bytes) = file();
        for cut in 0..bytes.len() {
            assert!(with_text(&bytes[..cut], "Title", "a", &[]).is_err(), "{cut}");
            let _ = has_chunk(Cursor::new(&bytes[..cut]), C2PA);
        }
        assert!(with_text(b"GIF89a", "Title", "a", &[]).is_err());
        let mut long = bytes.clone();
        long[8..12].copy_from_slice(&u32::MAX.to_be_bytes());
        assert!(with_text(&long, "Title", "a", &[]).is_err());
    }
}
