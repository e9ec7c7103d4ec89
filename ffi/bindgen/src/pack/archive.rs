//! The archive itself: a gzipped tar with everything below `package/`, as npm has it.

use std::io;

use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header};

use super::{File, Files};

/// 1985-10-26 08:15 UTC, which npm gives to every file it packs.
/// Zero would be as fixed, but tools of Windows refuse times before 1980.
const TIME: u64 = 499_162_500;

/// When a file was changed. A program has a time that follows from its bytes: an editor copies it to where it runs, and
/// takes a copy of the same size and time for the same program.
fn time(file: &File) -> u64 {
    let [first, second, third, ..] = *blake3::hash(&file.bytes).as_bytes();
    let seconds = u64::from(u32::from_le_bytes([first, second, third, 0]));
    // Half a year at most; FAT keeps even seconds alone.
    if file.executable {
        TIME + seconds / 2 * 2
    } else {
        TIME
    }
}

/// The archive's bytes, the same for the same files.
pub(super) fn write(files: &Files) -> io::Result<Vec<u8>> {
    // The header of gzip has a time and a system too: neither is set.
    let packer = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    let mut builder = Builder::new(packer);
    for (path, file) in files {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_size(file.bytes.len() as u64);
        header.set_mode(if file.executable { 0o755 } else { 0o644 });
        header.set_mtime(time(file));
        header.set_uid(0);
        header.set_gid(0);
        builder.append_data(&mut header, format!("package/{path}"), file.bytes.as_slice())?;
    }
    builder.into_inner()?.finish()
}
