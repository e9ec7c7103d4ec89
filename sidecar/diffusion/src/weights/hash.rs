//! What the weights are: a hash that goes into the recipe, and whether all their numbers are numbers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::dtype::DType;
use crate::error::DiffusionError;
use crate::weights::file::Stored;
use crate::weights::{Weights, refuse};

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
    /// What the model is: a hash over its parts, the hashes of their files, what configurations say of them, and the files
    /// of its tokenizers; LoRAs aside. Reads every file of weights that `cache` does not know, and finds numbers that are
    /// none in them.
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
        // The same tensors split into other heads or groups are another model.
        let configs = format!(
            "{:?} {:?} {:?} {:?} {:?} {:?}",
            self.mmdit.config,
            self.vae.as_ref().map(|part| &part.config),
            self.clip_l.as_ref().map(|part| &part.config),
            self.clip_g.as_ref().map(|part| &part.config),
            self.t5.as_ref().map(|part| &part.config),
            self.scheduler,
        );
        hasher.update(blake3::hash(configs.as_bytes()).as_bytes());
        for folder in [&self.tokenizers.clip_l, &self.tokenizers.clip_g, &self.tokenizers.t5] {
            hasher.update(&rules(folder.as_deref())?);
        }
        Ok(hasher.finalize().into())
    }

    /// The hash of every LoRA's file, in their order.
    pub fn lora_hashes(&self, cache: &dyn HashCache) -> Result<Vec<Hash>, DiffusionError> {
        self.adapters.iter().map(|file| of(file, cache)).collect()
    }
}

/// Files of a tokenizer, as far as one has them.
const TOKENIZER_FILES: [&str; 6] =
    ["merges.txt", "special_tokens_map.json", "spiece.model", "tokenizer.json", "tokenizer_config.json", "vocab.json"];

/// The largest file of a tokenizer; T5's is 2.4 MB.
const TOKENIZER_BYTES_MAX: u64 = 64 << 20;

/// The hash of a tokenizer: other tokens are another picture.
fn rules(folder: Option<&Path>) -> Result<Hash, DiffusionError> {
    let mut hasher = blake3::Hasher::new();
    for name in TOKENIZER_FILES {
        let Some(path) = folder.map(|folder| folder.join(name)).filter(|path| path.is_file()) else { continue };
        let fail = |err: std::io::Error| refuse(&path, err.to_string());
        if std::fs::metadata(&path).map_err(fail)?.len() > TOKENIZER_BYTES_MAX {
            return Err(refuse(&path, format!("it is larger than {TOKENIZER_BYTES_MAX} bytes: no tokenizer is")));
        }
        let bytes = std::fs::read(&path).map_err(fail)?;
        hasher.update(name.as_bytes()).update(&[0]).update(blake3::hash(&bytes).as_bytes());
    }
    Ok(hasher.finalize().into())
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
