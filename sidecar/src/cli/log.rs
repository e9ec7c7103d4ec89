//! The log file of a sidecar whose stderr nobody reads, such as one that an editor started.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use tracing_subscriber::fmt::MakeWriter;

/// Past this the file is set aside and a new one begun; one that was set aside before is replaced.
/// Some weeks of an ordinary day's lines, and twice this is small enough for anybody's disk.
const LOG_BYTES_MAX: u64 = 8 << 20;

/// A file that lines are added to; clones share it.
#[derive(Debug, Clone)]
pub(super) struct Log {
    open: Arc<Mutex<Open>>,
}

#[derive(Debug)]
struct Open {
    path: PathBuf,
    bytes_max: u64,
    bytes: u64,
    /// `None` after the system gave no new file; the next line tries again.
    file: Option<File>,
}

impl Log {
    /// Opens or makes the file.
    ///
    /// # Errors
    /// What the file system says.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Self::bounded(path, LOG_BYTES_MAX)
    }

    fn bounded(path: &Path, bytes_max: u64) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(path)?;
        let bytes = file.metadata()?.len();
        let open = Open { path: path.to_owned(), bytes_max, bytes, file: Some(file) };
        Ok(Self { open: Arc::new(Mutex::new(open)) })
    }
}

impl Open {
    fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
        if self.bytes > 0 && self.bytes + line.len() as u64 > self.bytes_max {
            // Closed first: not every system renames what is open.
            self.file = None;
            fs::rename(&self.path, set_aside(&self.path))?;
            self.bytes = 0;
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(File::options().create(true).append(true).open(&self.path)?),
        };
        file.write_all(line)?;
        self.bytes += line.len() as u64;
        Ok(())
    }
}

/// Where the lines before the newest go.
fn set_aside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".old");
    path.with_file_name(name)
}

impl Write for &Log {
    /// Whole lines come in; a full or lost disk costs lines and nothing else.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.open.lock().write_line(line).map(|()| line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = &'a Log;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_goes_on_where_it_was_and_is_set_aside_when_it_is_full() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, old) = (folder.path().join("sidecar.log"), folder.path().join("sidecar.log.old"));
        let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
        (&Log::bounded(&path, 30).expect("opens")).write_all(b"of the first process\n").expect("writes");
        let log = Log::bounded(&path, 30).expect("opens");
        (&log).write_all(b"second\n").expect("writes");
        assert_eq!(read(&path), "of the first process\nsecond\n");
        (&log).write_all(b"third\n").expect("writes");
        assert_eq!((read(&path).as_str(), read(&old).as_str()), ("third\n", "of the first process\nsecond\n"));
        for at in 0..100 {
            (&log).write_all(format!("line {at}\n").as_bytes()).expect("writes");
        }
        assert!(read(&path).ends_with("line 99\n") && read(&path).len() <= 30 && read(&old).len() <= 30);
        assert_eq!(fs::read_dir(folder.path()).expect("reads").count(), 2);
    }

    #[test]
    fn a_line_longer_than_a_whole_log_is_written_all_the_same() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("sidecar.log");
        let log = Log::bounded(&path, 10).expect("opens");
        (&log).write_all(b"a line that is longer than that\n").expect("writes");
        assert_eq!(fs::metadata(&path).expect("is there").len(), 32);
        assert!(Log::open(&folder.path().join("no/such/folder.log")).is_err());
    }
}
