//! `preview`: the pixels of a picture, small enough for the one who wants to see it.
//!
//! The editor shows what lies on the disk, hand-edited files among it, without an importer of its own:
//! what is read here is whatever [`png::decode`] reads, within its bounds.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::{Value, json};
use thumbforge_core::error::{ErrorCode, Failure, chain};
use thumbforge_core::image::ImageBuf;

use crate::output::png::{self, DecodeLimits};
use crate::output::scale::shrink;

/// The picture of a file, its longer side at most `side_max` pixels (0: as it is), and its sizes.
///
/// # Errors
/// A failure that says what is wrong with the file.
pub(super) fn preview(file: &Path, side_max: u32) -> Result<(ImageBuf, Value), Failure> {
    let picture = png::decode(&read(file)?, DecodeLimits::ART).map_err(|err| {
        Failure::new(err.code(), format!("failed to show {}: failed to {}", file.display(), chain(&err)))
    })?;
    let source = picture.extent();
    let picture = if side_max == 0 { picture } else { shrink(picture, side_max) };
    let size = picture.extent();
    let said = json!({
        "width": size.width,
        "height": size.height,
        "source_width": source.width,
        "source_height": source.height,
    });
    Ok((picture, said))
}

/// A pipe or a device would never end, and a file that is too large is not read to find that out.
fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |err: std::io::Error| {
        let code = match err.kind() {
            std::io::ErrorKind::NotFound => ErrorCode::NotFound,
            _ => ErrorCode::InputFile,
        };
        Failure::new(code, format!("failed to read {}: {err}", file.display()))
    };
    let known = std::fs::metadata(file).map_err(failed)?;
    if !known.is_file() {
        let message = format!("failed to read {}: it is no ordinary file", file.display());
        return Err(Failure::new(ErrorCode::InputFile, message));
    }
    let mut bytes = Vec::new();
    let bytes_max = DecodeLimits::ART.file_bytes_max as u64;
    File::open(file).map_err(failed)?.take(bytes_max + 1).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}
