//! What a file of language data has to look like before Tesseract gets it.
//!
//! ```text
//! u32 count │ i64 offset × count, from the file's start; -1 for a part that is not there │ the parts, in that order
//! ```
//! All little-endian, after `tessdatamanager.cpp`. Tesseract takes the difference of two offsets for a size: where that is
//! negative it asks for all the memory there is, and the process ends. A file without a network makes it fall back to its older
//! engine. So both are refused here. A part that is damaged within can still end the process: Tesseract checks the network
//! by assertion. Who has to rule that out pins the file.

/// Parts of a file; Tesseract's own bound. Version 5 knows 24.
const PARTS_MAX: usize = 1000;
/// The part that is the network, without which nothing is read (`TESSDATA_LSTM`).
const NETWORK: usize = 17;

/// Whether the table of parts fits the file.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check(data: &[u8]) -> Result<(), String> {
    let short = || format!("its {} bytes end within the table of its parts", data.len());
    let (count, rest) = data.split_first_chunk::<4>().ok_or_else(short)?;
    let count = u32::from_le_bytes(*count) as usize;
    if !(1..=PARTS_MAX).contains(&count) {
        return Err(format!("it says that it has {count} parts, and there are 1 to {PARTS_MAX}"));
    }
    let table = rest.get(..count * 8).ok_or_else(short)?;
    let (mut from, mut network) = (4 + count * 8, None);
    for (part, offset) in table.as_chunks::<8>().0.iter().enumerate() {
        let offset = i64::from_le_bytes(*offset);
        if offset == -1 {
            continue;
        }
        let within = usize::try_from(offset).ok().filter(|at| (from..=data.len()).contains(at));
        from = within.ok_or_else(|| {
            format!("part {part} begins at byte {offset}, and only {from} to {} can be right", data.len())
        })?;
        // The first part behind the network ends it.
        network = match network {
            Some((at, None)) => Some((at, Some(from))),
            None if part == NETWORK => Some((from, None)),
            network => network,
        };
    }
    match network {
        Some((at, end)) if end.unwrap_or(data.len()) > at => Ok(()),
        _ => Err("it has no neural network: data of Tesseract 4 or later is needed".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file whose parts have these lengths, where they are there.
    fn file(parts: &[Option<usize>]) -> Vec<u8> {
        let mut bytes = u32::try_from(parts.len()).expect("few").to_le_bytes().to_vec();
        let mut at = 4 + parts.len() * 8;
        for part in parts {
            bytes.extend(part.map_or(-1, |_| i64::try_from(at).expect("small")).to_le_bytes());
            at += part.unwrap_or_default();
        }
        bytes.resize(at, 7);
        bytes
    }

    /// As those that are published: a few parts around the network, 24 in all.
    fn whole() -> Vec<u8> {
        let mut parts = [None; 24];
        (parts[0], parts[NETWORK], parts[21], parts[23]) = (Some(40), Some(100), Some(30), Some(6));
        file(&parts)
    }

    /// The file with the offset of `part` set.
    fn moved(part: usize, offset: i64) -> Vec<u8> {
        let mut bytes = whole();
        bytes[4 + part * 8..][..8].copy_from_slice(&offset.to_le_bytes());
        bytes
    }

    /// `told` is a part of what is said, and empty where nothing is wrong.
    fn checked(data: &[u8], told: &str) {
        match check(data) {
            Ok(()) => assert_eq!(told, "", "it was taken"),
            Err(why) => assert!(!told.is_empty() && why.contains(told), "{why}"),
        }
    }

    #[test]
    fn a_table_that_fits_its_file_is_taken() {
        checked(&whole(), "");
        let mut last = [None; NETWORK + 1];
        last[NETWORK] = Some(1);
        checked(&file(&last), "");
        // An empty part of another kind is none of ours.
        checked(&moved(21, 4 + 24 * 8 + 140 + 30), "");
    }

    #[test]
    fn a_file_that_was_cut_short_is_refused() {
        let whole = whole();
        // The last part is 6 bytes long, and how much of it there is nobody knows.
        for length in 0..whole.len() - 6 {
            checked(&whole[..length], if length < 4 + 24 * 8 { "end within the table" } else { "begins at byte" });
        }
    }

    #[test]
    fn a_table_that_is_garbled_is_refused() {
        checked(b"no data at all", "parts");
        checked(&[0; 64], "has 0 parts");
        checked(&[0xFF; 64], "has 4294967295 parts");
        checked(&1001_u32.to_le_bytes(), "has 1001 parts");
        // Big-endian, as nobody publishes it.
        checked(&24_u32.to_be_bytes(), "has 402653184 parts");
        checked(&moved(0, 0), "part 0 begins at byte 0");
        checked(&moved(0, -2), "part 0 begins at byte -2");
        checked(&moved(1, i64::MAX), "part 1 begins at byte 9223372036854775807");
        checked(&moved(1, i64::MIN), "part 1 begins at byte -9223372036854775808");
        // Behind the network, and yet before it.
        checked(&moved(21, 200), "part 21 begins at byte 200");
        checked(&moved(NETWORK, 300), "");
        checked(&moved(NETWORK, 337), "part 21");
    }

    #[test]
    fn data_without_a_network_is_refused() {
        checked(&moved(NETWORK, -1), "no neural network");
        checked(&file(&[Some(5); NETWORK]), "no neural network");
        let mut empty = [Some(5); 24];
        empty[NETWORK] = Some(0);
        checked(&file(&empty), "no neural network");
    }
}
