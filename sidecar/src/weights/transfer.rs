//! One file from a hub to the disk: ranges side by side, over dropped connections and restarts of this process.
//!
//! ```text
//! missing ranges ─► queue ─┬─ worker ─► ask ─► bytes ─► write, record ─┐
//!                          ├─ worker ─► …                              ├─► all there ─► hashes ─► rename
//!                          └─ worker ─► nothing ─► wait, ask again     ┘
//! ```
//! A server that ignores ranges is read by one worker from the beginning; the others step aside.
//! Before a byte is written, the answer's name for its content is held against that of the bytes that are there.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_hosted::Opened;
use thumbforge_hosted::download::Head;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::hub::{Came, Hub, Tries};
use super::names;
use super::part::PartFile;

/// Largest range of one request in bytes: an address of a store runs out, and a file's end is shared between workers.
const RANGE_BYTES_MAX: u64 = 64 << 20;
/// Smallest: below it, asking costs more than it brings.
const RANGE_BYTES_MIN: u64 = 1 << 20;
/// Bytes that are gathered before they are written.
const BUFFER_BYTES: usize = 1 << 20;
/// A try that brought fewer bytes counts as one that brought nothing, so that a server which drips ends.
const BARREN_BYTES: u64 = 16 << 10;

/// A file that is wanted.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) repo: String,
    pub(super) commit: String,
    pub(super) path: String,
    pub(super) bytes: u64,
    pub(super) content: String,
}

/// Why a file did not come.
pub(super) enum Stop {
    /// The hub has another file under its name now.
    Changed,
    /// Somebody stopped it, or another worker failed.
    Interrupted,
    /// For good.
    Failed(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Hears how many bytes came that were not there before.
pub(super) type Heard = Arc<dyn Fn(u64) + Send + Sync>;

struct Shared {
    hub: Arc<Hub>,
    wanted: Wanted,
    part: Arc<PartFile>,
    queue: Mutex<VecDeque<Range<u64>>>,
    /// Whether one worker reads the whole file.
    alone: AtomicBool,
    heard: Heard,
    target: String,
    /// Raised when a worker fails, or the command is stopped. Writes are not cut short by it: one that went on behind
    /// our back could go over the bytes of a file that is begun anew.
    stop: CancellationToken,
}

/// Gets every byte of `wanted` that `part` lacks.
pub(super) async fn fetch(
    hub: &Arc<Hub>,
    wanted: &Wanted,
    part: &Arc<PartFile>,
    target: &Path,
    connections: usize,
    heard: Heard,
    interrupted: &CancellationToken,
) -> Result<(), Stop> {
    let shared = Arc::new(Shared {
        hub: hub.clone(),
        wanted: wanted.clone(),
        part: part.clone(),
        queue: Mutex::new(pieces(part.missing(), wanted.bytes)),
        alone: AtomicBool::new(false),
        heard,
        target: target.display().to_string(),
        stop: interrupted.child_token(),
    });
    let workers = shared.queue.lock().len().min(connections.max(1));
    let mut set = JoinSet::new();
    for _ in 0..workers {
        let shared = shared.clone();
        set.spawn(async move { shared.work().await });
    }
    let mut ended = Ok(());
    while let Some(joined) = set.join_next().await {
        let result = joined.unwrap_or_else(|err| {
            Err(Stop::Failed(Failure::new(ErrorCode::Internal, format!("failed to get {}: {err}", wanted.path))))
        });
        if let (Err(stop), Ok(())) = (result, &ended) {
            ended = Err(stop);
            shared.stop.cancel();
        }
    }
    let kept = {
        let part = part.clone();
        blocking(move || part.checkpoint()).await
    };
    ended?;
    kept.map_err(|err| disk(&shared.target, &err))?;
    if part.missing().is_empty() {
        return Ok(());
    }
    let words = format!("failed to get {}: bytes are missing though every range came", wanted.path);
    Err(Stop::Failed(Failure::new(ErrorCode::Internal, words)))
}

/// Missing ranges, cut so that several workers have something to do until the end.
fn pieces(missing: Vec<Range<u64>>, bytes: u64) -> VecDeque<Range<u64>> {
    let most = (bytes / 16).clamp(RANGE_BYTES_MIN, RANGE_BYTES_MAX);
    let mut pieces = VecDeque::new();
    for range in missing {
        let mut at = range.start;
        while at < range.end {
            let end = range.end.min(at + most);
            pieces.push_back(at..end);
            at = end;
        }
    }
    pieces
}

impl Shared {
    /// What `future` gives, unless everything is stopped first.
    async fn unless_stopped<T>(&self, future: impl Future<Output = T>) -> Result<T, Stop> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Stop::Interrupted),
            value = future => Ok(value),
        }
    }

    async fn work(&self) -> Result<(), Stop> {
        // Bounded by the queue: every turn takes a range out of it.
        while !self.alone.load(Ordering::Acquire) {
            let Some(range) = self.queue.lock().pop_front() else { break };
            self.carry(range).await?;
        }
        Ok(())
    }

    /// Gets one range, however often it takes.
    async fn carry(&self, range: Range<u64>) -> Result<(), Stop> {
        let (mut at, mut tries) = (range.start, Tries::of_bytes());
        while at < range.end && !self.alone.load(Ordering::Acquire) {
            let (why, after) = match self.ask(Some(at..range.end)).await? {
                Came::Bytes(opened) if opened.head.status == 200 => {
                    // It ignores ranges: one worker takes the file from its beginning, which serves them all.
                    if self.alone.swap(true, Ordering::AcqRel) {
                        return Ok(());
                    }
                    return self.carry_whole(opened).await;
                }
                Came::Bytes(opened) => match self.sound(&opened.head, at..range.end) {
                    Ok(end) => {
                        let (written, why) = self.stream(opened, at, end).await?;
                        at += written;
                        if written >= BARREN_BYTES || at == range.end {
                            tries.forget();
                            continue;
                        }
                        (why.unwrap_or_else(|| "the answer was shorter than it said".to_owned()), None)
                    }
                    Err(why) => (why, None),
                },
                Came::Nothing { why, after } => (why, after),
                Came::Changed => return Err(Stop::Changed),
            };
            self.unless_stopped(tries.wait(&self.wanted.path, &why, after)).await??;
        }
        Ok(())
    }

    /// Reads the whole file in one answer, from a server that knows nothing else.
    async fn carry_whole(&self, first: Box<Opened>) -> Result<(), Stop> {
        let (mut tries, mut best, mut next) = (Tries::of_bytes(), 0, Some(first));
        loop {
            let came = match next.take() {
                Some(opened) => Came::Bytes(opened),
                None => self.ask(None).await?,
            };
            let (why, after) = match came {
                Came::Bytes(opened) if opened.head.status == 200 => {
                    let (written, why) = self.stream(opened, 0, self.wanted.bytes).await?;
                    if written == self.wanted.bytes {
                        return Ok(());
                    }
                    if written >= best + BARREN_BYTES {
                        tries.forget();
                    }
                    best = best.max(written);
                    (why.unwrap_or_else(|| "the answer was shorter than the file".to_owned()), None)
                }
                Came::Bytes(opened) => {
                    (format!("{} answered with a range that nobody asked for", opened.head.host), None)
                }
                Came::Nothing { why, after } => (why, after),
                Came::Changed => return Err(Stop::Changed),
            };
            self.unless_stopped(tries.wait(&self.wanted.path, &why, after)).await??;
        }
    }

    /// Asks for bytes, and makes sure that they are of the content that is wanted.
    async fn ask(&self, range: Option<Range<u64>>) -> Result<Came, Stop> {
        let Wanted { repo, commit, path, .. } = &self.wanted;
        let came = self.unless_stopped(self.hub.open(repo, commit, path, range)).await??;
        if let Came::Bytes(opened) = &came
            && !self.is_of(&opened.head)
        {
            return Ok(Came::Changed);
        }
        Ok(came)
    }

    /// Whether an answer is of the content that the listing names and that is there in part.
    fn is_of(&self, head: &Head) -> bool {
        if head.content_range.is_some_and(|(_, _, all)| all != self.wanted.bytes) {
            return false;
        }
        let Some(tag) = head.linked_etag.as_ref().or(head.etag.as_ref()) else { return true };
        let tag = tag.trim_start_matches("W/").trim_matches('"');
        // A hub names large files by their hash, and so may a store.
        match names::sha256(tag) {
            Some(hash) if self.wanted.content.starts_with("sha256:") && head.linked_etag.is_some() => {
                self.wanted.content.ends_with(&hash)
            }
            _ => self.part.is_of(tag),
        }
    }

    /// Where an answer to a range ends, if it is one.
    fn sound(&self, head: &Head, asked: Range<u64>) -> Result<u64, String> {
        match head.content_range {
            Some((first, end, _)) if first == asked.start => Ok(end.min(asked.end)),
            _ => Err(format!("{} answered with other bytes than were asked for", head.host)),
        }
    }

    /// Writes an answer to `start..end`, at most. Gives how many bytes came, and why no more, if less.
    async fn stream(&self, mut opened: Box<Opened>, start: u64, end: u64) -> Result<(u64, Option<String>), Stop> {
        let most = BUFFER_BYTES.min(usize::try_from(self.part.checkpoint_bytes()).unwrap_or(BUFFER_BYTES));
        let (mut at, mut buffer, mut why) = (start, Vec::with_capacity(most), None);
        let mut file = Some(self.part.handle().map_err(|err| disk(&self.target, &err))?);
        loop {
            let room = end - at - buffer.len() as u64;
            let piece = if room == 0 {
                None
            } else {
                match self.unless_stopped(opened.next()).await {
                    Ok(Ok(piece)) => piece,
                    Ok(Err(error)) => {
                        why = Some(error.to_string());
                        None
                    }
                    // What came is written; the next wait ends the worker.
                    Err(_) => None,
                }
            };
            let over = piece.is_none();
            if let Some(piece) = piece {
                // What comes beyond the range is nobody's.
                let kept = piece.len().min(usize::try_from(room).unwrap_or(usize::MAX));
                buffer.extend_from_slice(&piece[..kept]);
            }
            if !buffer.is_empty() && (over || buffer.len() >= most) {
                let written = buffer.len() as u64;
                buffer = self.write(&mut file, at, buffer).await?;
                at += written;
            }
            if over {
                return Ok((at - start, why));
            }
        }
    }

    /// Writes a buffer and gives it back empty.
    async fn write(&self, file: &mut Option<File>, at: u64, mut buffer: Vec<u8>) -> Result<Vec<u8>, Stop> {
        let (part, heard) = (self.part.clone(), self.heard.clone());
        let taken = file.take();
        let written = blocking(move || {
            let mut file = match taken {
                Some(file) => file,
                None => part.handle()?,
            };
            file.seek(SeekFrom::Start(at))?;
            file.write_all(&buffer)?;
            let new = part.record(at..at + buffer.len() as u64)?;
            heard(new);
            buffer.clear();
            Ok((file, buffer))
        });
        let (used, buffer) = written.await.map_err(|err| disk(&self.target, &err))?;
        *file = Some(used);
        Ok(buffer)
    }
}

/// Runs what waits for a disk on a thread for it.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|err| Err(io::Error::other(err)))
}

/// A failure of the disk, in words.
pub(super) fn disk(path: &str, err: &io::Error) -> Failure {
    match err.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Failure::new(
            ErrorCode::DiskFull,
            format!(
                "failed to write {path}: the disk is full; free some space and run again, it goes on where it stopped"
            ),
        ),
        _ => Failure::new(ErrorCode::Storage, format!("failed to use {path}: {err}")),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::single_range_in_vec_init, reason = "lists of ranges, of which some have one")]

    use super::*;

    #[test]
    fn missing_ranges_are_cut_into_pieces() {
        #[track_caller]
        fn check(missing: &[Range<u64>], bytes: u64, expected: &[Range<u64>]) {
            assert_eq!(Vec::from(pieces(missing.to_vec(), bytes)), expected);
        }
        const M: u64 = 1 << 20;
        check(&[], 0, &[]);
        check(&[0..100], 100, &[0..100]);
        check(&[0..3 * M, 5 * M..5 * M + 1], 6 * M, &[0..M, M..2 * M, 2 * M..3 * M, 5 * M..5 * M + 1]);
        check(&[0..32 * M], 32 * M, &(0..16).map(|at| at * 2 * M..(at + 1) * 2 * M).collect::<Vec<_>>());
        let large = pieces(vec![0..16 << 30], 16 << 30);
        assert!(large.len() == 256 && large.iter().all(|piece| piece.end - piece.start == RANGE_BYTES_MAX));
    }
}
