//! What the weights are: a hash that goes into the recipe, and whether all their numbers are numbers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::{ClipConfig, T5Config, VaeConfig};
use crate::dtype::DType;
use crate::error::DiffusionError;
use crate::text::tokenizer;
use crate::weights::file::Stored;
use crate::weights::{Encoder, Weights, refuse};

/// A BLAKE3 hash.
pub type Hash = [u8; 32];

/// What a file was when it was hashed; another value of any of these means that it may be another file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FileKey {
    /// Where it is, links resolved.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Its time of change in nanoseconds since 1970.
    pub modified_ns: i128,
    /// Its number on its disk; 0 where the system has none.
    pub inode: u64,
}

/// Keeps hashes, for reading a model takes seconds. A file that is kept has been read whole once and all its numbers were
/// numbers.
pub trait HashCache: Sync {
    /// The hash of this file, if it is known.
    fn get(&self, key: &FileKey) -> Option<Hash>;
    /// Keeps it.
    fn put(&self, key: &FileKey, hash: Hash);
}

/// Keeps nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCache;

impl HashCache for NoCache {
    fn get(&self, _: &FileKey) -> Option<Hash> {
        None
    }
    fn put(&self, _: &FileKey, _: Hash) {}
}

impl FileKey {
    /// Of the file at `path` as it is now.
    pub fn of(path: &Path) -> Result<Self, DiffusionError> {
        let fail = |err: std::io::Error| refuse(path, err.to_string());
        let about = std::fs::metadata(path).map_err(fail)?;
        let modified = about.modified().map_err(fail)?;
        let modified_ns = match modified.duration_since(std::time::UNIX_EPOCH) {
            Ok(after) => after.as_nanos() as i128,
            Err(before) => -(before.duration().as_nanos() as i128),
        };
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(&about);
        #[cfg(not(unix))]
        let inode = 0;
        Ok(Self { path: std::fs::canonicalize(path).map_err(fail)?, bytes: about.len(), modified_ns, inode })
    }
}

/// Bytes that are hashed and looked through together: enough for every core, and still in the cache of a large one.
const SPAN_BYTES: usize = 8 << 20;

impl Weights {
    /// What the model is: a hash over its parts and the hashes of their files, over what configurations say that no tensor
    /// shows, and over its tokenizers; LoRAs aside. Reads every file of weights that `cache` does not know, and finds
    /// numbers that are none in them.
    pub fn hash(&self, cache: &dyn HashCache) -> Result<Hash, DiffusionError> {
        let mut list = Vec::new();
        let mut known: Vec<(&Path, Hash)> = Vec::new();
        for (part, files) in &self.stored {
            for file in files {
                let hash = match known.iter().find(|(path, _)| *path == file.path) {
                    Some((_, hash)) => *hash,
                    None => of(file, cache)?,
                };
                known.push((&file.path, hash));
                list.push((*part, hash));
            }
        }
        // Sorted, so that neither names of files nor the order of shards matter.
        list.sort_unstable();
        let mut hasher = blake3::Hasher::new();
        for (part, hash) in list {
            // Parts' names are of letters, so a zero ends them.
            hasher.update(part.as_bytes()).update(&[0]).update(&hash);
        }
        hasher.update(b"settings\0").update(blake3::hash(self.settings().as_bytes()).as_bytes());
        for (word, folder) in self.tokenizers_read() {
            hasher.update(word.as_bytes()).update(b" tokenizer\0").update(&tokenizer::hash(folder)?);
        }
        Ok(hasher.finalize().into())
    }

    /// What decides pixels and leaves no trace in tensors: two folders may differ in their JSON alone.
    fn settings(&self) -> String {
        let mut said = vec![format!("mmdit {}", self.mmdit.config.heads)];
        if let Some(part) = &self.vae {
            let VaeConfig { groups, scaling, shift, .. } = &part.config;
            said.push(format!("vae {groups} {scaling} {shift}"));
        }
        for (encoder, part) in [(Encoder::ClipL, &self.clip_l), (Encoder::ClipG, &self.clip_g)] {
            if let Some(part) = part {
                let ClipConfig { heads, act, end, .. } = &part.config;
                said.push(format!("{} {heads} {act:?} {end}", encoder.word()));
            }
        }
        if let Some(part) = &self.t5 {
            let T5Config { heads, distance, eps, .. } = &part.config;
            said.push(format!("t5 {heads} {distance} {eps}"));
        }
        said.join("\n")
    }

    /// The folders of tokenizers that an encoder reads by.
    fn tokenizers_read(&self) -> Vec<(&'static str, &Path)> {
        let paths = &self.tokenizers;
        let read = [
            (Encoder::ClipL, self.clip_l.is_some(), &paths.clip_l),
            (Encoder::ClipG, self.clip_g.is_some(), &paths.clip_g),
            (Encoder::T5, self.t5.is_some(), &paths.t5),
        ];
        let read = read.into_iter().filter(|(_, reads, _)| *reads);
        read.filter_map(|(encoder, _, folder)| Some((encoder.word(), folder.as_deref()?))).collect()
    }

    /// The hash of every LoRA's file, in their order.
    pub fn lora_hashes(&self, cache: &dyn HashCache) -> Result<Vec<Hash>, DiffusionError> {
        self.adapters.iter().map(|file| of(file, cache)).collect()
    }
}

/// The hash of a file: from the cache, or by reading it once.
fn of(file: &Arc<Stored>, cache: &dyn HashCache) -> Result<Hash, DiffusionError> {
    let key = FileKey::of(&file.path)?;
    if key.bytes != file.map.bytes().len() as u64 {
        return Err(refuse(&file.path, "it changed its size while it was in use: open the model again"));
    }
    if let Some(hash) = cache.get(&key) {
        return Ok(hash);
    }
    let hash = read(file)?;
    // What was changed while it was read has no hash.
    if FileKey::of(&file.path)? != key {
        return Err(refuse(&file.path, "it was changed while it was read: open the model again"));
    }
    cache.put(&key, hash);
    Ok(hash)
}

/// Hashes a file on one thread while others look for NaN and infinities in what was just read.
fn read(file: &Stored) -> Result<Hash, DiffusionError> {
    let bytes = file.map.bytes();
    let mut spans = Vec::new();
    for (name, entry) in &file.table.entries {
        let Ok(dtype) = entry.dtype else { continue };
        let step = SPAN_BYTES / dtype.block_bytes() * dtype.block_bytes();
        let mut from = entry.range.start;
        while from < entry.range.end {
            let to = entry.range.end.min(from + step);
            spans.push((from, name.as_str(), dtype, from..to));
            from = to;
        }
    }
    // In the order of the file, so that both sides read the same pages at about the same time.
    spans.sort_unstable_by_key(|span| span.0);
    let next = std::sync::atomic::AtomicUsize::new(0);
    let look = || {
        let mut found: Option<&str> = None;
        loop {
            let place = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let Some((_, name, dtype, range)) = spans.get(place) else { return found };
            if !finite(*dtype, bytes.get(range.clone()).unwrap_or_default()) {
                found = Some(found.map_or(*name, |old| old.min(name)));
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
    let (hash, odd) = std::thread::scope(|scope| {
        let lookers: Vec<_> = (0..threads).map(|_| scope.spawn(look)).collect();
        let mut hasher = blake3::Hasher::new();
        hasher.update_rayon(bytes);
        let odd = lookers.into_iter().filter_map(|looker| looker.join().ok().flatten()).min();
        (hasher.finalize().into(), odd)
    });
    match odd {
        Some(name) => Err(refuse(
            &file.path,
            format!("tensor {name:?} has numbers that are none (NaN or infinite): the file is damaged, fetch it again"),
        )),
        None => Ok(hash),
    }
}

/// Beyond these, memory is the bound and not the processor.
const THREADS_MAX: usize = 8;

/// Whether all stored numbers are finite: the scales of blocks, and what stands alone.
pub(crate) fn finite(dtype: DType, bytes: &[u8]) -> bool {
    // Sums of violations keep these loops free of branches.
    let halves = |width: usize, at: &[usize]| {
        bytes
            .chunks_exact(width)
            .all(|block| at.iter().all(|at| block.get(*at..at + 2).is_some_and(|half| half[1] & 0x7C != 0x7C)))
    };
    match dtype {
        DType::F32 => {
            bytes
                .as_chunks::<4>()
                .0
                .iter()
                .fold(0, |odd, bytes| odd | u32::from(bytes[3] & 0x7F == 0x7F && bytes[2] & 0x80 != 0))
                == 0
        }
        DType::F16 => {
            bytes.as_chunks::<2>().0.iter().fold(0, |odd, bytes| odd | u32::from(bytes[1] & 0x7C == 0x7C)) == 0
        }
        DType::Bf16 => {
            let odd = |bytes: &[u8; 2]| u32::from(bytes[1] & 0x7F == 0x7F && bytes[0] & 0x80 != 0);
            bytes.as_chunks::<2>().0.iter().fold(0, |all, bytes| all | odd(bytes)) == 0
        }
        DType::F8E4M3 => bytes.iter().fold(0, |odd, byte| odd | u32::from(byte & 0x7F == 0x7F)) == 0,
        DType::F8E5M2 => bytes.iter().fold(0, |odd, byte| odd | u32::from(byte & 0x7C == 0x7C)) == 0,
        DType::Q4_0 | DType::Q5_0 | DType::Q8_0 => halves(dtype.block_bytes(), &[0]),
        DType::Q4_1 | DType::Q5_1 | DType::Q4K | DType::Q5K => halves(dtype.block_bytes(), &[0, 2]),
        DType::Q6K => halves(dtype.block_bytes(), &[208]),
    }
}
