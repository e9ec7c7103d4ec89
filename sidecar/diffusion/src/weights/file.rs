//! One file of weights, whatever its format, and several that belong together.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use crate::dtype::DType;
use crate::error::DiffusionError;
use crate::param::{Backing, Tensor};
use crate::weights::map::Mapping;
use crate::weights::{gguf, refuse, safetensors};

/// A tensor of a file's table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    /// How its numbers are stored, or the format's word for what no weights are stored in.
    pub(crate) dtype: Result<DType, String>,
    pub(crate) shape: Vec<usize>,
    /// Of the file's bytes; inside them.
    pub(crate) range: Range<usize>,
}

/// What stands in a file.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Table {
    pub(crate) entries: BTreeMap<String, Entry>,
    pub(crate) metadata: BTreeMap<String, String>,
}

/// A mapped file and its table.
pub(crate) struct Stored {
    pub(crate) path: PathBuf,
    pub(crate) table: Table,
    pub(crate) map: Arc<dyn Backing>,
}

impl Stored {
    /// The file at `path`, its table checked.
    pub(crate) fn open(path: &Path) -> Result<Self, DiffusionError> {
        let map = Mapping::of(path)?;
        let table = table(map.bytes()).map_err(|reason| refuse(path, reason))?;
        Ok(Self { path: path.to_path_buf(), table, map: Arc::new(map) })
    }

    /// The tensor of this name; a reason where it is stored as no weights are.
    pub(crate) fn tensor(&self, name: &str) -> Result<Option<Tensor>, DiffusionError> {
        let Some(entry) = self.table.entries.get(name) else { return Ok(None) };
        let dtype = entry.dtype.as_ref().map_err(|word| {
            refuse(
                &self.path,
                format!(
                    "tensor {name:?} is stored as {word}, which no weights of this model may be: take a \
                                        file in f32, f16, bf16, fp8, Q4_0…Q8_0, Q4_K, Q5_K or Q6_K"
                ),
            )
        })?;
        // The table's reader checked all that can fail here.
        Ok(Tensor::new(*dtype, entry.shape.clone(), self.map.clone(), entry.range.clone()))
    }
}

/// The table of a file with these bytes, or what the file is instead.
pub(crate) fn table(bytes: &[u8]) -> Result<Table, String> {
    if let Some(what) = mistaken(bytes) {
        return Err(format!("{what}; expected .safetensors or .gguf"));
    }
    if bytes.starts_with(gguf::MAGIC) { gguf::table(bytes) } else { safetensors::table(bytes) }
}

/// What people take for weights.
fn mistaken(bytes: &[u8]) -> Option<String> {
    let head = &bytes[..bytes.len().min(1024)];
    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    let text = text.trim_start_matches(['\u{feff}', ' ', '\n', '\r', '\t']);
    Some(match head {
        [] => "the file is empty".into(),
        [b'P', b'K', 3, 4, ..] => {
            "it is a zip archive, as torch.save writes (.ckpt, .pt, .bin): such a file can run code when it is read, so it \
             is not; convert it"
                .into()
        }
        [0x80, 2..=5, b'}' | b']' | b'(' | b'c' | 0x8A | 0x95, ..] => {
            "it is a Python pickle (.ckpt, .pt): such a file can run code when it is read, so it is not; convert it".into()
        }
        [0x1F, 0x8B, ..] => "it is a gzip archive: unpack it".into(),
        [0x89, b'P', b'N', b'G', ..] | [0xFF, 0xD8, 0xFF, ..] => "it is a picture".into(),
        _ if text.starts_with("version https://git-lfs") => {
            let size = text.lines().find_map(|line| line.strip_prefix("size "));
            let size = size.and_then(|size| size.trim().parse::<u64>().ok());
            let size = size.map_or_else(String::new, |size| format!(" to a file of {size} bytes"));
            format!("it is a git-lfs pointer{size}: fetch the file itself with `git lfs pull`")
        }
        _ if text.starts_with("<!doctype") || text.starts_with("<html") || text.starts_with("<?xml") => {
            "it is a page of the web, most likely one that asks for a login or reports an error: fetch the file again".into()
        }
        _ if text.starts_with('{') => "it is JSON text".into(),
        _ => return None,
    })
}

/// Files that hold one set of tensors together.
#[derive(Clone, Default)]
pub(crate) struct Files {
    pub(crate) files: Vec<Arc<Stored>>,
    /// Which file has a name.
    names: BTreeMap<String, usize>,
}

/// What an index of shards has at most; SD3.5 Large has two, and T5-XXL two.
const SHARDS_MAX: usize = 1024;

/// An index is a name and a file per tensor.
const INDEX_BYTES_MAX: u64 = 16 << 20;

impl Files {
    /// A single file.
    pub(crate) fn one(file: Arc<Stored>) -> Self {
        let names = file.table.entries.keys().map(|name| (name.clone(), 0)).collect();
        Self { files: vec![file], names }
    }

    /// The file at `path`, or the shards that the index at `path` names.
    pub(crate) fn open(path: &Path) -> Result<Self, DiffusionError> {
        let index = path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(".json"));
        if index { Self::sharded(path) } else { Ok(Self::one(Arc::new(Stored::open(path)?))) }
    }

    /// The shards of an index: `{"weight_map": {tensor: file}}`.
    fn sharded(path: &Path) -> Result<Self, DiffusionError> {
        #[derive(Deserialize)]
        struct Index {
            weight_map: BTreeMap<String, String>,
        }
        let index: Index = json(path, INDEX_BYTES_MAX)?;
        let mut shards: Vec<&str> = index.weight_map.values().map(String::as_str).collect();
        shards.sort_unstable();
        shards.dedup();
        if shards.len() > SHARDS_MAX {
            return Err(refuse(path, format!("it names {} shards, more than {SHARDS_MAX}", shards.len())));
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut all = Self::default();
        for (number, shard) in shards.iter().enumerate() {
            // A name and nothing else, so that an index from a hub cannot reach other files of this machine.
            let plain = shard.strip_suffix(".safetensors").is_some_and(|stem| {
                let dots = stem.chars().all(|c| c == '.');
                !dots && stem.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
            });
            if !plain {
                return Err(refuse(
                    path,
                    format!("it names the shard {shard:?}: expected a .safetensors file beside it"),
                ));
            }
            let stored = Stored::open(&folder.join(shard))?;
            for name in stored.table.entries.keys() {
                if index.weight_map.get(name).map(String::as_str) != Some(*shard) {
                    return Err(refuse(path, format!("{shard} has the tensor {name:?}, which the index does not say")));
                }
                all.names.insert(name.clone(), number);
            }
            all.files.push(Arc::new(stored));
        }
        match index.weight_map.iter().find(|(name, _)| !all.names.contains_key(*name)) {
            Some((name, shard)) => Err(refuse(path, format!("{shard} lacks the tensor {name:?} that the index says"))),
            None => Ok(all),
        }
    }

    /// Every tensor's name, sorted.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    /// The sides of the tensor of this name.
    pub(crate) fn shape(&self, name: &str) -> Option<&[usize]> {
        let file = self.files.get(*self.names.get(name)?)?;
        file.table.entries.get(name).map(|entry| entry.shape.as_slice())
    }

    pub(crate) fn tensor(&self, name: &str) -> Result<Option<Tensor>, DiffusionError> {
        let file = self.names.get(name).and_then(|number| self.files.get(*number));
        file.map_or(Ok(None), |file| file.tensor(name))
    }

    /// Text that the file says about itself.
    pub(crate) fn metadata(&self) -> impl Iterator<Item = (&String, &String)> {
        self.files.iter().flat_map(|file| file.table.metadata.iter())
    }

    /// The file to name in a refusal.
    pub(crate) fn path(&self) -> &Path {
        self.files.first().map_or(Path::new(""), |file| &file.path)
    }

    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        self.files.iter().map(|file| file.path.clone()).collect()
    }
}

/// A small JSON file; one that is larger than `bytes_max` is none.
pub(crate) fn json<T: serde::de::DeserializeOwned>(path: &Path, bytes_max: u64) -> Result<T, DiffusionError> {
    use std::io::Read;
    let fail = |err: std::io::Error| refuse(path, err.to_string());
    let mut text = Vec::new();
    let file = std::fs::File::open(path).map_err(fail)?;
    file.take(bytes_max + 1).read_to_end(&mut text).map_err(fail)?;
    if text.len() as u64 > bytes_max {
        return Err(refuse(path, format!("it has more than {bytes_max} bytes, too many for what it should be")));
    }
    serde_json::from_slice(&text).map_err(|err| refuse(path, err.to_string()))
}
