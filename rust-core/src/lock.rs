//! The lock file, `thumbforge.lock`: what every output is. Committed beside the manifest.
//!
//! ```text
//! thumbforge.lock 1
//! Thumbnails/sword/sword.en.png⇥planned⇥realised⇥pixels⇥sha256⇥builtin/3⇥cpu
//! ```
//!
//! One line per output, sorted, fields apart by tabs, so that two branches that add images merge without a conflict.
//! Planning needs the manifest and this file alone: no journal of one machine, no weights, no GPU, no keys.

use std::sync::Arc;

use crate::error::ErrorCode;
use crate::id::{FileSha256, PixelHash, PlannedKey, RealisedKey};
use crate::limits;
use crate::line_file::LineFile;
use crate::manifest::{Gathered, ManifestError, ManifestErrors, excerpt, path, text_of};

/// Version of the format that is written. History: 1 since the first release.
pub const LOCK_VERSION: u32 = 1;

const FILE: LineFile = LineFile {
    name: "thumbforge.lock",
    has: "the lock has",
    version: LOCK_VERSION,
    after_merge: "keep one line for each output (either side is good), then run `thumbforge batch`",
};

/// What one output is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockLine {
    /// Where it is: relative to the manifest, with forward slashes.
    pub output: String,
    /// What was decided.
    pub planned: PlannedKey,
    /// What drew it; finds it in any cache.
    pub realised: RealisedKey,
    /// Its pixels.
    pub pixels: PixelHash,
    /// Its file, as a Git LFS pointer names it.
    pub sha256: FileSha256,
    /// What drew it, in words; shared by the lines that say the same.
    pub drawn_by: Arc<DrawnBy>,
}

/// Engine and device that drew an output.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DrawnBy {
    /// Engine by name.
    pub engine: String,
    /// Its version.
    pub version: String,
    /// The class of device that gives the same bytes.
    pub device_class: String,
}

impl std::fmt::Display for DrawnBy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{} on {}", self.engine, self.version, self.device_class)
    }
}

/// All lines, sorted by output, one per output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lock {
    lines: Vec<LockLine>,
}

impl Lock {
    /// A lock of these lines; of two for one output the later counts.
    pub fn new(mut lines: Vec<LockLine>) -> Self {
        lines.reverse();
        lines.sort_by(|a, b| a.output.cmp(&b.output));
        lines.dedup_by(|later, earlier| later.output == earlier.output);
        Self { lines }
    }

    /// Reads a lock file; an empty one is a lock without lines. `label` is how errors call it.
    ///
    /// # Errors
    /// [`ErrorCode::Corrupt`] for a merge conflict or a damaged line, [`ErrorCode::VersionMismatch`] for a newer format.
    pub fn parse(label: &str, bytes: &[u8]) -> Result<Self, ManifestErrors> {
        let text = text_of(label, bytes, limits::LOCK_BYTES_MAX)?;
        let fault = |code, line: usize, message: String, fix: &str| ManifestError {
            code,
            file: label.to_owned(),
            line: Some(line),
            column: None,
            key: String::new(),
            message,
            fix: fix.to_owned(),
        };
        let mut rest = text.lines().enumerate().filter(|(_, line)| !line.trim_ascii().is_empty());
        let Some((at, header)) = rest.next() else { return Ok(Self::default()) };
        FILE.check_header(header).map_err(|(code, message, fix)| fault(code, at + 1, message, &fix))?;
        let mut gathered = Gathered::default();
        // A line has at least four hashes.
        let mut lines: Vec<(LockLine, usize)> = Vec::with_capacity(text.len() / 300);
        let mut stamps: Vec<(&str, &str, Arc<DrawnBy>)> = Vec::new();
        for (at, line) in rest {
            match read_line(line, &mut stamps) {
                Ok(line) => lines.push((line, at + 1)),
                Err((message, fix)) => gathered.push(fault(ErrorCode::Corrupt, at + 1, message, fix)),
            }
        }
        if !lines.is_sorted_by(|a, b| a.0.output < b.0.output) {
            lines.sort_by(|a, b| a.0.output.cmp(&b.0.output));
            // A union merge leaves the same line twice; that says nothing new.
            lines.dedup_by(|later, earlier| later.0 == earlier.0);
            for pair in lines.windows(2).filter(|pair| pair[0].0.output == pair[1].0.output) {
                let message = format!(
                    "{:?} stands here and on line {}, and the two differ",
                    excerpt(&pair[0].0.output),
                    pair[0].1.min(pair[1].1)
                );
                let fix = "keep either line; `thumbforge plan` says whether the file is that one";
                gathered.push(fault(ErrorCode::Corrupt, pair[0].1.max(pair[1].1), message, fix));
            }
        }
        gathered.or(Self { lines: lines.into_iter().map(|(line, _)| line).collect() })
    }

    /// The file's text.
    pub fn to_text(&self) -> String {
        let mut text = String::with_capacity(32 + self.lines.len() * 340);
        text.push_str(&format!("{} {LOCK_VERSION}\n", FILE.name));
        for line in &self.lines {
            text.push_str(&line.output);
            for hash in [&line.planned.0, &line.realised.0, &line.pixels.0, &line.sha256.0] {
                text.push('\t');
                push_hex(&mut text, hash);
            }
            let DrawnBy { engine, version, device_class } = line.drawn_by.as_ref();
            for part in ["\t", engine, "/", version, "\t", device_class, "\n"] {
                text.push_str(part);
            }
        }
        text
    }

    /// Lines in order of their outputs.
    pub fn lines(&self) -> &[LockLine] {
        &self.lines
    }

    /// The line of an output.
    pub fn get(&self, output: &str) -> Option<&LockLine> {
        let at = self.lines.binary_search_by(|line| line.output.as_str().cmp(output)).ok()?;
        self.lines.get(at)
    }

    /// Takes these lines in, each in place of the one that its output had.
    pub fn upsert(&mut self, lines: impl IntoIterator<Item = LockLine>) {
        self.lines.extend(lines);
        *self = Self::new(std::mem::take(&mut self.lines));
    }

    /// Keeps the lines whose output passes.
    pub fn retain(&mut self, mut keep: impl FnMut(&LockLine) -> bool) {
        self.lines.retain(|line| keep(line));
    }
}

const DAMAGED: &str = "delete the line and run `thumbforge batch`: the output is looked at again";

fn read_line<'t>(
    line: &'t str,
    stamps: &mut Vec<(&'t str, &'t str, Arc<DrawnBy>)>,
) -> Result<LockLine, (String, &'static str)> {
    let mut fields = line.split('\t');
    let mut next = || fields.next();
    let (Some(output), Some(planned), Some(realised), Some(pixels), Some(sha256), Some(engine), Some(device), None) =
        (next(), next(), next(), next(), next(), next(), next(), next())
    else {
        return Err(FILE
            .conflict(line)
            .unwrap_or_else(|| (format!("the line has {} fields of 7", line.split('\t').count()), DAMAGED)));
    };
    if let Err(fault) = path::check_output(output) {
        return Err((format!("the output {:?} {}", excerpt(output), fault.message), DAMAGED));
    }
    let hash = |name: &str, digits: &str| {
        unhex(digits).ok_or_else(|| (format!("the {name} {:?} is no hash", excerpt(digits)), DAMAGED))
    };
    // A team has few engines and devices; the last one met is nearly always the next.
    let known = stamps.iter().rfind(|known| known.0 == engine && known.1 == device).map(|known| known.2.clone());
    let drawn_by = match known {
        Some(drawn_by) => drawn_by,
        None => {
            let parts = engine.split_once('/').filter(|(name, version)| is_word(name) && is_word(version));
            let Some((name, version)) = parts.filter(|_| is_word(device)) else {
                return Err((format!("{:?} is no engine and device", excerpt(&format!("{engine} {device}"))), DAMAGED));
            };
            let drawn_by = Arc::new(DrawnBy {
                engine: name.to_owned(),
                version: version.to_owned(),
                device_class: device.to_owned(),
            });
            stamps.push((engine, device, drawn_by.clone()));
            drawn_by
        }
    };
    Ok(LockLine {
        output: output.to_owned(),
        planned: PlannedKey(hash("planned key", planned)?),
        realised: RealisedKey(hash("realised key", realised)?),
        pixels: PixelHash(hash("pixel hash", pixels)?),
        sha256: FileSha256(hash("SHA-256", sha256)?),
        drawn_by,
    })
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.len() <= 128 && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Digits by their value, 255 for what is no digit.
const NIBBLES: [u8; 256] = {
    let mut table = [255; 256];
    let mut digit = 0;
    while digit < 16 {
        table[b"0123456789abcdef"[digit] as usize] = digit as u8;
        table[b"0123456789ABCDEF"[digit] as usize] = digit as u8;
        digit += 1;
    }
    table
};

/// A large lock has millions of digits, so this looks them up and checks once at the end.
fn unhex(text: &str) -> Option<[u8; 32]> {
    let digits: &[u8; 64] = text.as_bytes().try_into().ok()?;
    let mut bytes = [0; 32];
    let mut bad = 0;
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let (high, low) = (NIBBLES[usize::from(pair[0])], NIBBLES[usize::from(pair[1])]);
        bad |= high | low;
        *byte = high << 4 | low;
    }
    (bad < 16).then_some(bytes)
}

fn push_hex(text: &mut String, bytes: &[u8; 32]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

#[cfg(test)]
mod tests;
