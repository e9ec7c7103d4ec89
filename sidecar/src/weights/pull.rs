//! A pull: every file of a plan into the store, checked, and the items written down.
//!
//! ```text
//! room? ─► for each item: lock ─► for each file ─► there already? ─┬─► hashes ─► next
//!                                                  └─► fetch ──────┘    └─► wrong: once more, then refuse
//!          all files ─► registry
//! ```
//! Interrupted anywhere, the same pull goes on: whole files are recognised by their hashes, parts by their state.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thumbforge_core::error::{ErrorCode, Failure};
use tokio_util::sync::CancellationToken;

use super::hash::{Hashes, hash_file};
use super::hub::Hub;
use super::look;
use super::offer::Part;
use super::part::{self, PartFile};
use super::plan::{self, Plan, PlannedFile, PlannedItem};
use super::store::{FileRow, Item, Place, Store};
use super::transfer::{self, Stop, Wanted, blocking, disk};
use crate::clock::Clock;

/// How often a file is begun anew because the hub has another one now.
const RESTARTS_MAX: u32 = 3;
/// How often a file whose hash is wrong is got: a line or proxy may spoil one, and who spoils two spoils all.
const SPOILED_MAX: u32 = 2;
/// Room that stays free on the disk, in bytes: for the journal and the system.
const ROOM_LEFT_BYTES: u64 = 64 << 20;

/// What happens in a pull, for whoever shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<'a> {
    /// A file begins, of which `done` bytes are there.
    Begins {
        /// Its item.
        item: &'a str,
        /// Its path in the store's folder.
        file: &'a str,
        /// How many bytes it has.
        bytes: u64,
        /// How many of them are there.
        done: u64,
    },
    /// So many bytes came.
    Came(u64),
    /// The file is hashed.
    Checks,
    /// So many bytes were hashed.
    Checked(u64),
    /// A file is begun anew.
    Again {
        /// Its path in the store's folder.
        file: &'a str,
        /// Why.
        why: &'a str,
    },
    /// What came is what the hub has, and nothing can be drawn with it.
    Odd {
        /// Its name.
        item: &'a str,
        /// What it is instead.
        why: &'a str,
    },
    /// A file is there and right.
    Ended {
        /// Its item.
        item: &'a str,
        /// Its path in the store's folder.
        file: &'a str,
        /// How many bytes it has.
        bytes: u64,
        /// Their BLAKE3.
        blake3: &'a str,
        /// Whether the hub said what they must hash to.
        proved: bool,
    },
}

/// Whoever shows it.
pub type Show = Arc<dyn Fn(Event<'_>) + Send + Sync>;

/// How a pull is carried out.
#[derive(Clone)]
pub struct Puller {
    /// The hub.
    pub hub: Arc<Hub>,
    /// Where things go.
    pub store: Store,
    /// Ranges side by side.
    pub connections: usize,
    /// Who shows it.
    pub show: Show,
    /// Raised by Ctrl+C.
    pub interrupted: CancellationToken,
}

impl Puller {
    /// Gets everything of `plan`.
    ///
    /// # Errors
    /// Why it is not all there, and what to do; what came is kept.
    pub async fn carry_out(&self, plan: &Plan) -> Result<(), Failure> {
        let held = plan.items.iter().map(|item| self.store.hold_item(&item.name)).collect::<Result<Vec<_>, _>>()?;
        self.check_room(plan)?;
        for item in plan.items.iter().filter(|item| item.gated) {
            self.check_access(item).await?;
        }
        for item in &plan.items {
            self.carry_item(item).await?;
        }
        drop(held);
        Ok(())
    }

    /// Asks for one byte of what the hub gives to some accounts alone, before gigabytes of other things come.
    async fn check_access(&self, item: &PlannedItem) -> Result<(), Failure> {
        let Some(file) = item.files.first() else { return Ok(()) };
        let asked = self.hub.open(&file.repo, &file.commit, &file.listed.path, Some(0..1));
        tokio::select! {
            // What else may be wrong shows when the file is got, and is tried again there.
            came = asked => came.map(|_| ()),
            () = self.interrupted.cancelled() => {
                Err(Failure::new(ErrorCode::Cancelled, "failed to pull: it was interrupted; nothing was got"))
            }
        }
    }

    /// How many bytes of a plan are still to come.
    pub fn missing_bytes(&self, plan: &Plan) -> u64 {
        let missing = |item: &PlannedItem| -> u64 {
            let folder = self.store.folder(&item.name);
            item.files.iter().map(|file| missing_bytes(&folder.join(&file.to), file.listed.bytes)).sum()
        };
        plan.items.iter().map(missing).sum()
    }

    /// Refuses what cannot fit.
    fn check_room(&self, plan: &Plan) -> Result<(), Failure> {
        let needed = self.missing_bytes(plan);
        let Some(free) = free_bytes(self.store.dir()) else { return Ok(()) };
        if needed.saturating_add(ROOM_LEFT_BYTES) <= free {
            return Ok(());
        }
        let dir = self.store.dir().display();
        Err(Failure::new(
            ErrorCode::DiskFull,
            format!(
                "failed to pull into {dir}: {} are missing and {} are free there; free some space, or name another \
                 folder with THUMBFORGE_WEIGHTS or weights_dir in the settings",
                Size(needed),
                Size(free)
            ),
        ))
    }

    async fn carry_item(&self, item: &PlannedItem) -> Result<(), Failure> {
        let folder = self.store.folder(&item.name);
        let mut files = Vec::new();
        for file in &item.files {
            let (got, hashes) = self.carry_file(item, file, &folder).await?;
            files.push(FileRow {
                path: file.to.clone(),
                bytes: hashes.bytes,
                blake3: hashes.blake3,
                from: Some(format!("{}@{}/{}", got.repo, got.commit, got.listed.path)),
            });
        }
        let entry = match files.as_slice() {
            [file] => folder.join(&file.path),
            _ => folder.clone(),
        };
        // What nobody named is looked at. What is of no use is kept, since it is what was asked for, and said to be so.
        let seen = look::look(&entry).unwrap_or_else(|why| {
            self.tell(Event::Odd { item: &item.name, why: &why });
            look::Seen { part: Part::Other, holds: Vec::new(), model: None }
        });
        let part = item.part.unwrap_or(seen.part);
        let seen = if part == Part::Model {
            look::confirm(&entry).unwrap_or_else(|why| {
                self.tell(Event::Odd { item: &item.name, why: &why });
                seen
            })
        } else {
            seen
        };
        let model = item.model.clone().or(seen.model.map(str::to_owned));
        let holds = if seen.holds.is_empty() { item.holds.clone() } else { seen.holds };
        let kept = Item {
            name: item.name.clone(),
            part,
            holds,
            model,
            place: Place::Store,
            files,
            hub: Some(self.hub.endpoint().to_owned()),
            licence: item.licence.clone(),
            added_ms: Clock::Machine.now_ms(),
        };
        self.store.change(|registry| {
            registry.items.insert(kept.name.clone(), kept);
            Ok(())
        })
    }

    /// Gets one file, and gives what it is by the hub's newest word.
    async fn carry_file(
        &self,
        item: &PlannedItem,
        file: &PlannedFile,
        folder: &Path,
    ) -> Result<(PlannedFile, Hashes), Failure> {
        let target = file.to.split('/').fold(folder.to_owned(), |path, part| path.join(part));
        let mut file = file.clone();
        let (mut restarts, mut spoiled) = (0, 0);
        // Bounded by the two counters: every turn but the last raises one.
        loop {
            let there = file_bytes(&target) == Some(file.listed.bytes);
            let done = if there { file.listed.bytes } else { part_bytes(&target) };
            self.tell(Event::Begins { item: &item.name, file: &file.to, bytes: file.listed.bytes, done });
            let part = if there { None } else { Some(self.fetch(&file, &target).await) };
            let part = match part {
                None => None,
                Some(Ok(part)) => Some(part),
                Some(Err(Stop::Failed(failure))) => return Err(failure),
                Some(Err(Stop::Interrupted)) => return Err(interrupted(&file, &target)),
                Some(Err(Stop::Changed)) => {
                    restarts += 1;
                    if restarts > RESTARTS_MAX {
                        return Err(Failure::new(
                            ErrorCode::ProviderFailed,
                            format!(
                                "failed to get {}: {} says every time that it is another file; ask another hub",
                                file.listed.path,
                                self.hub.endpoint()
                            ),
                        ));
                    }
                    self.tell(Event::Again { file: &file.to, why: "the hub has another file now" });
                    file = self.listed_anew(&file).await?;
                    continue;
                }
            };
            let path = part.as_ref().map_or_else(|| target.clone(), |_| PartFile::path_of(&target));
            let hashes = self.check(path, file.listed.sha256.is_some()).await;
            let hashes = match hashes {
                Ok(hashes) => hashes,
                Err(err) if err.kind() == io::ErrorKind::Interrupted => return Err(interrupted(&file, &target)),
                Err(err) => return Err(disk(&target.display().to_string(), &err)),
            };
            if hashes.sha256 == file.listed.sha256 && hashes.bytes == file.listed.bytes {
                if let Some(part) = part {
                    let to = target.clone();
                    blocking(move || part.finish(&to))
                        .await
                        .map_err(|err| disk(&target.display().to_string(), &err))?;
                }
                let proved = file.listed.sha256.is_some();
                let (bytes, blake3) = (hashes.bytes, hashes.blake3.as_str());
                self.tell(Event::Ended { item: &item.name, file: &file.to, bytes, blake3, proved });
                return Ok((file, hashes));
            }
            // Wrong bytes are of no use to anybody.
            let (wrong, why) = (target.clone(), disk);
            let dropped = blocking(move || match part {
                Some(part) => part.reset(),
                None => part::remove(&wrong),
            });
            dropped.await.map_err(|err| why(&target.display().to_string(), &err))?;
            if !there {
                spoiled += 1;
            }
            if spoiled >= SPOILED_MAX {
                return Err(Failure::new(
                    ErrorCode::ProviderFailed,
                    format!(
                        "failed to get {}: what came {SPOILED_MAX} times has the SHA-256 {}, and the hub says {}; \
                         nothing of it is kept. Something between here and {} changes files: look at proxies and mirrors",
                        file.listed.path,
                        hashes.sha256.as_deref().unwrap_or("of another length"),
                        file.listed.sha256.as_deref().unwrap_or("otherwise"),
                        self.hub.endpoint()
                    ),
                ));
            }
            self.tell(Event::Again { file: &file.to, why: "its bytes have the wrong hash" });
        }
    }

    async fn fetch(&self, file: &PlannedFile, target: &Path) -> Result<Arc<PartFile>, Stop> {
        let name = target.display().to_string();
        let (to, bytes, content) = (target.to_owned(), file.listed.bytes, file.listed.content.clone());
        let part = blocking(move || PartFile::open(&to, bytes, &content)).await.map_err(|err| disk(&name, &err))?;
        let part = Arc::new(part);
        let wanted = Wanted {
            repo: file.repo.clone(),
            commit: file.commit.clone(),
            path: file.listed.path.clone(),
            bytes,
            content: file.listed.content.clone(),
        };
        let show = self.show.clone();
        let heard = Arc::new(move |bytes| show(Event::Came(bytes)));
        transfer::fetch(&self.hub, &wanted, &part, target, self.connections, heard, &self.interrupted).await?;
        Ok(part)
    }

    /// The file by the hub's word of now, with nothing of the old one left.
    async fn listed_anew(&self, file: &PlannedFile) -> Result<PlannedFile, Failure> {
        let listing = self.hub.list(&file.repo, &file.revision).await?;
        plan::planned(&listing, &file.revision, &file.listed.path, Some(&file.to), file.pinned.as_deref())
    }

    async fn check(&self, path: PathBuf, with_sha256: bool) -> io::Result<Hashes> {
        self.tell(Event::Checks);
        let (show, interrupted) = (self.show.clone(), self.interrupted.clone());
        blocking(move || {
            hash_file(&path, with_sha256, &mut |bytes| {
                show(Event::Checked(bytes));
                !interrupted.is_cancelled()
            })
        })
        .await
    }

    fn tell(&self, event: Event<'_>) {
        (self.show)(event);
    }
}

/// How long a file is, if it is one.
fn file_bytes(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file).map(|meta| meta.len())
}

/// How many bytes of an unfinished file are there.
fn part_bytes(target: &Path) -> u64 {
    part::progress(&PartFile::path_of(target)).map_or(0, |(done, _)| done)
}

/// How many bytes of a file are still to come.
fn missing_bytes(target: &Path, bytes: u64) -> u64 {
    if file_bytes(target) == Some(bytes) { 0 } else { bytes.saturating_sub(part_bytes(target)) }
}

fn interrupted(file: &PlannedFile, target: &Path) -> Failure {
    let done = part_bytes(target);
    let words = format!(
        "failed to get {}: it was interrupted; {} of {} are kept, and the same command goes on from there",
        file.listed.path,
        Size(done),
        Size(file.listed.bytes)
    );
    Failure::new(ErrorCode::Cancelled, words)
}

/// Free bytes of the disk that `dir` is on or will be on, where the system tells. Windows does so by itself: it takes
/// the room when a file's length is set.
fn free_bytes(dir: &Path) -> Option<u64> {
    #[cfg(unix)]
    {
        let there = dir.ancestors().find(|dir| dir.exists())?;
        let stat = rustix::fs::statvfs(there).ok()?;
        Some(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
    #[cfg(not(unix))]
    {
        let _ = dir;
        None
    }
}

/// A number of bytes for people, in powers of ten as hubs and disks count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub u64);

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = self.0 as f64;
        match self.0 {
            0..1_000 => write!(f, "{} B", self.0),
            1_000..1_000_000 => write!(f, "{:.1} kB", bytes / 1e3),
            1_000_000..1_000_000_000 => write!(f, "{:.1} MB", bytes / 1e6),
            _ => write!(f, "{:.2} GB", bytes / 1e9),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        for (bytes, expected) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (246_144_152, "246.1 MB"),
            (5_107_104_094, "5.11 GB"),
            (16_460_379_262, "16.46 GB"),
        ] {
            assert_eq!(Size(bytes).to_string(), expected);
        }
    }

    #[test]
    fn this_disk_has_room() {
        let folder = tempfile::tempdir().unwrap();
        // The folder itself need not exist yet.
        assert_eq!(free_bytes(&folder.path().join("a/b")).is_some(), cfg!(unix));
    }
}
