//! An unfinished file: which of its bytes are there, durably, so that an interrupted download goes on where it stopped.
//!
//! ```text
//! write bytes ─► record range ─► (now and then) flush bytes ─► write state
//! ```
//! The state never names bytes that have not been flushed, so after a crash or a power cut it is true or behind. It
//! names the content that the bytes are of; where the hub has another now, the file is begun anew.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::output::write::{Patience, write_atomic};

/// Version of the state file; another one means that the file is begun anew.
const VERSION: u32 = 1;
/// Largest state file that is read, in bytes: ranges are merged, so that a handful is usual.
const STATE_BYTES_MAX: u64 = 1 << 20;
/// New bytes after which the state is written, at most: what a crash costs, for each file.
const CHECKPOINT_BYTES_MAX: u64 = 16 << 20;
/// And at least: an fsync for less is not worth it.
const CHECKPOINT_BYTES_MIN: u64 = 128 << 10;

/// Ranges of bytes that do not touch, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Spans(Vec<Range<u64>>);

impl Spans {
    /// Adds a range; what overlaps or touches becomes one.
    pub(super) fn add(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let from = self.0.partition_point(|span| span.end < range.start);
        let to = self.0.partition_point(|span| span.start <= range.end);
        let start = self.0[from..to].first().map_or(range.start, |span| span.start.min(range.start));
        let end = self.0[from..to].last().map_or(range.end, |span| span.end.max(range.end));
        self.0.splice(from..to, std::iter::once(start..end));
    }

    /// How many bytes they have.
    pub(super) fn bytes(&self) -> u64 {
        self.0.iter().map(|span| span.end - span.start).sum()
    }

    /// What lies between them, of `0..bytes`.
    pub(super) fn missing(&self, bytes: u64) -> Vec<Range<u64>> {
        let mut missing = Vec::new();
        let mut at = 0;
        for span in &self.0 {
            if span.start > at {
                missing.push(at..span.start.min(bytes));
            }
            at = span.end;
        }
        if at < bytes {
            missing.push(at..bytes);
        }
        missing
    }
}

/// The state as it lies beside the file.
#[derive(Serialize, Deserialize)]
struct State {
    version: u32,
    /// How many bytes the whole file has.
    bytes: u64,
    /// What the file is, as the hub's listing says.
    content: String,
    /// What the answers said that it is.
    tag: Option<String>,
    /// What is there.
    done: Vec<[u64; 2]>,
}

/// An unfinished file.
pub(super) struct PartFile {
    path: PathBuf,
    state_path: PathBuf,
    bytes: u64,
    content: String,
    inner: Mutex<Inner>,
    /// Held while the state is written, so that an older one never goes over a newer one.
    writing: Mutex<()>,
}

struct Inner {
    done: Spans,
    tag: Option<String>,
    /// Bytes since the last state.
    since: u64,
}

impl PartFile {
    /// Where the unfinished form of `target` lies.
    pub(super) fn path_of(target: &Path) -> PathBuf {
        with_suffix(target, ".part")
    }

    /// Opens what is there of `target`, or begins it. `content` names what it is to become.
    pub(super) fn open(target: &Path, bytes: u64, content: &str) -> io::Result<Self> {
        let path = Self::path_of(target);
        let part = Self {
            state_path: with_suffix(&path, ".state"),
            path,
            bytes,
            content: content.to_owned(),
            inner: Mutex::new(Inner { done: Spans::default(), tag: None, since: 0 }),
            writing: Mutex::new(()),
        };
        match part.read_state() {
            Some(state) => {
                let mut inner = part.inner.lock();
                state.done.iter().for_each(|[start, end]| inner.done.add(*start..*end));
                inner.tag = state.tag;
            }
            None => part.begin()?,
        }
        Ok(part)
    }

    /// The state, if it and the file are sound and of the same content.
    fn read_state(&self) -> Option<State> {
        if fs::metadata(&self.state_path).ok()?.len() > STATE_BYTES_MAX {
            return None;
        }
        let state: State = serde_json::from_slice(&fs::read(&self.state_path).ok()?).ok()?;
        let sound = state.version == VERSION
            && state.bytes == self.bytes
            && state.content == self.content
            && state.done.iter().all(|[start, end]| start <= end && *end <= self.bytes)
            && fs::metadata(&self.path).is_ok_and(|meta| meta.is_file() && meta.len() == self.bytes);
        sound.then_some(state)
    }

    /// Begins anew, with no byte there. The space is reserved where the system does so when a length is set (Windows).
    fn begin(&self) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        // The state goes first: between the two, a file without a state is no more than garbage.
        remove(&self.state_path)?;
        let file = OpenOptions::new().create(true).write(true).truncate(true).open(&self.path)?;
        file.set_len(self.bytes)
    }

    /// Forgets everything that is there.
    pub(super) fn reset(&self) -> io::Result<()> {
        let _writing = self.writing.lock();
        *self.inner.lock() = Inner { done: Spans::default(), tag: None, since: 0 };
        self.begin()
    }

    /// A handle to write with.
    pub(super) fn handle(&self) -> io::Result<File> {
        OpenOptions::new().write(true).open(&self.path)
    }

    /// What is not there.
    pub(super) fn missing(&self) -> Vec<Range<u64>> {
        self.inner.lock().done.missing(self.bytes)
    }

    /// Whether answers that say `tag` are of the content that is there. The first one decides.
    pub(super) fn is_of(&self, tag: &str) -> bool {
        let mut inner = self.inner.lock();
        match &inner.tag {
            Some(known) => known == tag,
            None => {
                inner.tag = Some(tag.to_owned());
                true
            }
        }
    }

    /// Notes that a range has been written; now and then makes that durable. Blocks. Says how many bytes of it are new.
    pub(super) fn record(&self, range: Range<u64>) -> io::Result<u64> {
        let (new, due) = {
            let mut inner = self.inner.lock();
            let before = inner.done.bytes();
            inner.done.add(range);
            let new = inner.done.bytes() - before;
            inner.since += new;
            (new, inner.since >= self.checkpoint_bytes())
        };
        if due && let Some(writing) = self.writing.try_lock() {
            self.keep(&writing)?;
        }
        Ok(new)
    }

    /// The file is looked after about a hundred times on its way.
    pub(super) fn checkpoint_bytes(&self) -> u64 {
        (self.bytes / 64).clamp(CHECKPOINT_BYTES_MIN, CHECKPOINT_BYTES_MAX)
    }

    /// Makes what is there durable. Blocks.
    pub(super) fn checkpoint(&self) -> io::Result<()> {
        let writing = self.writing.lock();
        self.keep(&writing)
    }

    fn keep(&self, _writing: &parking_lot::MutexGuard<'_, ()>) -> io::Result<()> {
        let (done, tag) = {
            let mut inner = self.inner.lock();
            inner.since = 0;
            (inner.done.clone(), inner.tag.clone())
        };
        // Only what was there before the flush is named.
        self.handle()?.sync_data()?;
        let done = done.0.iter().map(|span| [span.start, span.end]).collect();
        let state = State { version: VERSION, bytes: self.bytes, content: self.content.clone(), tag, done };
        let text = serde_json::to_vec(&state).map_err(io::Error::other)?;
        write_atomic(&self.state_path, &text, &Patience::usual()).map_err(io::Error::other)
    }

    /// Puts the finished file where it belongs, durably.
    pub(super) fn finish(&self, target: &Path) -> io::Result<()> {
        let _writing = self.writing.lock();
        self.handle()?.sync_all()?;
        fs::rename(&self.path, target)?;
        remove(&self.state_path)?;
        if let (true, Some(folder)) = (cfg!(unix), target.parent()) {
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    }
}

/// How far an unfinished file is, and how long it will be, as its state says.
pub(super) fn progress(part: &Path) -> Option<(u64, u64)> {
    let state_path = with_suffix(part, ".state");
    if fs::metadata(&state_path).ok()?.len() > STATE_BYTES_MAX {
        return None;
    }
    let state: State = serde_json::from_slice(&fs::read(state_path).ok()?).ok()?;
    let done: u64 = state.done.iter().map(|[start, end]| end.saturating_sub(*start)).sum();
    Some((done.min(state.bytes), state.bytes))
}

/// Removes a file that may not be there.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => Err(err),
        _ => Ok(()),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::single_range_in_vec_init, reason = "lists of ranges, of which some have one")]

    use std::io::{Seek, SeekFrom, Write};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_become_one_where_they_touch() {
        #[track_caller]
        fn check(added: &[Range<u64>], expected: &[Range<u64>], missing: &[Range<u64>]) {
            let mut spans = Spans::default();
            added.iter().for_each(|range| spans.add(range.clone()));
            assert_eq!(spans.0, expected, "{added:?}");
            assert_eq!(spans.missing(10), missing, "{added:?}");
        }
        check(&[], &[], &[0..10]);
        check(&[0..10], &[0..10], &[]);
        check(&[2..4, 6..8], &[2..4, 6..8], &[0..2, 4..6, 8..10]);
        check(&[2..4, 4..8], &[2..8], &[0..2, 8..10]);
        check(&[6..8, 2..4, 3..7], &[2..8], &[0..2, 8..10]);
        check(&[0..1, 2..3, 4..5, 0..10], &[0..10], &[]);
        check(&[5..5], &[], &[0..10]);
        check(&[3..4, 3..4], &[3..4], &[0..3, 4..10]);
    }

    proptest! {
        #[test]
        fn ranges_are_what_a_set_of_bytes_is(ranges in prop::collection::vec((0_u64..64, 0_u64..16), 0..24)) {
            let (mut spans, mut set) = (Spans::default(), std::collections::BTreeSet::new());
            for (start, length) in ranges {
                spans.add(start..start + length);
                set.extend(start..start + length);
            }
            prop_assert_eq!(spans.bytes(), set.len() as u64);
            let missing: Vec<u64> = spans.missing(80).into_iter().flatten().collect();
            prop_assert_eq!(missing, (0..80).filter(|at| !set.contains(at)).collect::<Vec<_>>());
            prop_assert!(spans.0.windows(2).all(|two| two[0].end < two[1].start));
        }
    }

    #[test]
    fn what_was_made_durable_is_there_again() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a/model.safetensors");
        let part = PartFile::open(&target, 1000, "sha256:1").unwrap();
        let mut file = part.handle().unwrap();
        file.seek(SeekFrom::Start(100)).unwrap();
        file.write_all(&[7; 50]).unwrap();
        assert!(part.is_of("e1") && !part.is_of("e2"));
        assert_eq!((part.record(100..150).unwrap(), part.record(120..150).unwrap()), (50, 0));
        // Without a checkpoint nothing is claimed.
        assert_eq!(PartFile::path_of(&target).metadata().unwrap().len(), 1000);
        part.checkpoint().unwrap();
        let again = PartFile::open(&target, 1000, "sha256:1").unwrap();
        assert_eq!(again.missing(), [0..100, 150..1000]);
        assert!(!again.is_of("e2"));
        assert_eq!(progress(&PartFile::path_of(&target)), Some((50, 1000)));
        again.finish(&target).unwrap();
        assert_eq!(fs::read(&target).unwrap()[100..150], [7; 50]);
        assert_eq!(fs::read_dir(target.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_state_that_is_of_something_else_counts_for_nothing() {
        #[track_caller]
        fn check(spoil: impl FnOnce(&Path, &Path), bytes: u64, content: &str) {
            let folder = tempfile::tempdir().unwrap();
            let target = folder.path().join("m");
            let part = PartFile::open(&target, 1000, "sha256:1").unwrap();
            part.record(0..500).unwrap();
            part.checkpoint().unwrap();
            spoil(&PartFile::path_of(&target), &part.state_path);
            let again = PartFile::open(&target, bytes, content).unwrap();
            assert_eq!(again.missing(), [0..bytes]);
        }
        check(|_, _| {}, 1000, "sha256:2");
        check(|_, _| {}, 999, "sha256:1");
        check(|part, _| fs::write(part, "short").unwrap(), 1000, "sha256:1");
        check(|part, _| fs::remove_file(part).unwrap(), 1000, "sha256:1");
        check(|_, state| fs::write(state, "{").unwrap(), 1000, "sha256:1");
        check(|_, state| fs::write(state, vec![b' '; 2 << 20]).unwrap(), 1000, "sha256:1");
        let lie = r#"{"version":1,"bytes":1000,"content":"sha256:1","tag":null,"done":[[0,1001]]}"#;
        check(move |_, state| fs::write(state, lie).unwrap(), 1000, "sha256:1");
        let old = r#"{"version":0,"bytes":1000,"content":"sha256:1","tag":null,"done":[[0,500]]}"#;
        check(move |_, state| fs::write(state, old).unwrap(), 1000, "sha256:1");
    }
}
