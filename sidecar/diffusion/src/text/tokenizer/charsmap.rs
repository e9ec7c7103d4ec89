//! Sentencepiece's map of characters, checked before it is used: who follows it follows numbers out of a file.
//!
//! It is the length of a tree in bytes, the tree as a double array (darts-clone: 32-bit units), and texts that end in a
//! zero byte. A unit has a label in its lowest eight bits (and bit 31 for values), whether a value follows in bit 8, and
//! the distance to its children above: bits 10 up, eight bits farther where bit 9 is set. The child for byte `c` stands at
//! `place ^ distance ^ c` and has the label `c`; the value stands at `place ^ distance` and is where a text begins.

/// Whether every path through the map stays inside it; else what is wrong.
pub(super) fn check(bytes: &[u8]) -> Result<(), &'static str> {
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or("it is empty")?;
    let length = u32::from_le_bytes(*length) as usize;
    let (tree, texts) = rest.split_at_checked(length).ok_or("it is cut short")?;
    if tree.is_empty() || !tree.len().is_multiple_of(4) {
        return Err("its tree has no whole number of units");
    }
    let texts = std::str::from_utf8(texts).map_err(|_| "its texts are no UTF-8")?;
    let units: Vec<u32> =
        tree.chunks_exact(4).map(|unit| u32::from_le_bytes([unit[0], unit[1], unit[2], unit[3]])).collect();
    let distance = |unit: u32| ((unit >> 10) << ((unit & (1 << 9)) >> 6)) as usize;
    // Places stand in `open` once, so this ends after as many steps as there are units.
    let mut seen = vec![false; units.len()];
    let mut open = vec![0];
    seen[0] = true;
    while let Some(place) = open.pop() {
        let unit = units[place];
        let base = place ^ distance(unit);
        // The children lie in the block of 256 around the base, all of which must be there.
        if base | 0xFF >= units.len() {
            return Err("a branch of its tree leads outside");
        }
        // The root has no value: it would be that of no character at all.
        if place != 0 && unit >> 8 & 1 == 1 {
            let value = (units[base] & 0x7FFF_FFFF) as usize;
            if !texts.is_char_boundary(value) {
                return Err("a value of its tree is no place of a text");
            }
        }
        for byte in 1..=0xFFusize {
            let child = base ^ byte;
            if units[child] & 0x8000_00FF == byte as u32 && !seen[child] {
                seen[child] = true;
                open.push(child);
            }
        }
    }
    Ok(())
}

/// The bytes of `text` in base64 (RFC 4648 with padding).
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    if !text.len().is_multiple_of(4) || text.len() - digits.len() > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0u32, 0);
    for digit in digits.bytes() {
        let digit = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        (bits, count) = (bits << 6 | u32::from(digit), count + 6);
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    Some(bytes)
}
