//! The committed table of what every kernel takes on every card, and the committed images.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::cards::{CARDS, Card};
use crate::elf;
use crate::nvrtc::{Compiled, Nvrtc, OPTIONS, logged};
use crate::sources::{Source, hash};

/// Bytes of an unpacked image: more is a mistake.
pub const IMAGE_BYTES_MAX: usize = 64 << 20;
/// How hard images are packed: as hard as the packer can, for they are made seldom.
const PACKED: u8 = 10;

/// `cuda/cubins/kernels.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// BLAKE3 of the sources and of the compiler's options, see [`crate::sources::hash`].
    pub sources: String,
    /// What compiled them.
    pub compiler: String,
    /// By card.
    pub cards: BTreeMap<String, Built>,
}

/// The image for one card.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Built {
    /// Of the image, unpacked.
    pub bytes: u64,
    /// BLAKE3 of the image, unpacked.
    pub blake3: String,
    /// By name.
    pub kernels: BTreeMap<String, Takes>,
}

/// What one kernel takes on one card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Takes {
    /// Of a thread.
    pub registers: u32,
    /// Stored and loaded because registers did not suffice.
    pub spill_bytes: u32,
    /// Of a thread's stack.
    pub frame_bytes: u32,
    /// Of shared memory that it declares.
    pub shared_bytes: u32,
    /// Of its parameters.
    pub param_bytes: u32,
    /// Of a block, at most.
    pub threads: u32,
}

/// A table, and the images that it tells of.
pub struct Made {
    /// It.
    pub table: Table,
    /// By card.
    pub images: BTreeMap<String, Vec<u8>>,
    /// What the compiler warned of, by card.
    pub warnings: Vec<String>,
}

/// The file of a card's image.
pub fn image_path(cubins: &Path, card: &str) -> PathBuf {
    cubins.join(format!("sm_{card}.z"))
}

/// Compiles for all cards, as many at once as there are processors.
///
/// # Errors
/// When the compiler refuses, or its log and its image do not agree.
pub fn make(nvrtc: &Nvrtc, sources: &[Source]) -> Result<Made> {
    let built: Vec<Result<(Card, Compiled)>> = std::thread::scope(|scope| {
        let compile = |card: Card| scope.spawn(move || Ok((card, nvrtc.compile(sources, card)?)));
        let running: Vec<_> = CARDS.into_iter().map(compile).collect();
        running.into_iter().map(|one| one.join().unwrap_or_else(|_| bail!("have NVRTC compile: it panicked"))).collect()
    });
    let table = Table { sources: hash(sources, &OPTIONS), compiler: "NVRTC 12.9".to_owned(), cards: BTreeMap::new() };
    let mut made = Made { table, images: BTreeMap::new(), warnings: Vec::new() };
    for one in built {
        let (card, compiled) = one?;
        let kernels = takes(&compiled).with_context(|| format!("read what was compiled for sm_{}", card.name))?;
        let (bytes, blake3) = (compiled.cubin.len() as u64, blake3::hash(&compiled.cubin).to_hex().to_string());
        made.table.cards.insert(card.name.to_owned(), Built { bytes, blake3, kernels });
        let warned = |line: &&str| line.contains("warning");
        made.warnings.extend(compiled.log.lines().filter(warned).map(|line| format!("sm_{}: {line}", card.name)));
        made.images.insert(card.name.to_owned(), compiled.cubin);
    }
    Ok(made)
}

/// What the image says, with the spills that the log tells of; both must agree where both speak.
fn takes(compiled: &Compiled) -> Result<BTreeMap<String, Takes>> {
    let (image, log) = (elf::kernels(&compiled.cubin)?, logged(&compiled.log)?);
    ensure!(image.keys().eq(log.keys()), "the image has {:?}, and the log {:?}", image.keys(), log.keys());
    let mut all = BTreeMap::new();
    for (name, kernel) in image {
        let logged = log.get(&name).copied().unwrap_or_default();
        let ours = (kernel.registers, kernel.frame_bytes, kernel.shared_bytes);
        let theirs = (logged.registers, logged.frame_bytes, logged.shared_bytes);
        ensure!(ours == theirs, "{name} has registers, stack and shared memory {ours:?}, and {theirs:?} by the log");
        all.insert(
            name,
            Takes {
                registers: kernel.registers,
                spill_bytes: logged.spill_bytes,
                frame_bytes: kernel.frame_bytes,
                shared_bytes: kernel.shared_bytes,
                param_bytes: kernel.param_bytes,
                threads: kernel.threads,
            },
        );
    }
    Ok(all)
}

/// Writes the table and the images, and removes images of cards that are not served any more.
///
/// # Errors
/// When a file cannot be written.
pub fn write(made: &Made, cubins: &Path) -> Result<()> {
    std::fs::create_dir_all(cubins).with_context(|| format!("make {}", cubins.display()))?;
    for entry in std::fs::read_dir(cubins).with_context(|| format!("read {}", cubins.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "z") {
            std::fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?;
        }
    }
    for (card, image) in &made.images {
        let path = image_path(cubins, card);
        let packed = miniz_oxide::deflate::compress_to_vec_zlib(image, PACKED);
        std::fs::write(&path, packed).with_context(|| format!("write {}", path.display()))?;
    }
    let path = cubins.join("kernels.json");
    std::fs::write(&path, text(&made.table)?).with_context(|| format!("write {}", path.display()))
}

/// The table as JSON with a line for each kernel, so that a change shows what it changed.
fn text(table: &Table) -> Result<String> {
    let line = |(name, takes): (&String, &Takes)| Ok(format!("        {name:?}: {}", serde_json::to_string(takes)?));
    let card = |(name, built): (&String, &Built)| {
        let kernels = built.kernels.iter().map(line).collect::<Result<Vec<_>>>()?.join(",\n");
        let Built { bytes, blake3, .. } = built;
        Ok(format!(
            "    {name:?}: {{\n      \"bytes\": {bytes},\n      \"blake3\": {blake3:?},\n      \"kernels\": {{\n{kernels}\n      }}\n    }}"
        ))
    };
    let cards = table.cards.iter().map(card).collect::<Result<Vec<_>>>()?.join(",\n");
    let Table { sources, compiler, .. } = table;
    Ok(format!("{{\n  \"sources\": {sources:?},\n  \"compiler\": {compiler:?},\n  \"cards\": {{\n{cards}\n  }}\n}}\n"))
}

/// The committed table.
///
/// # Errors
/// When it is not there or is no table.
pub fn read(cubins: &Path) -> Result<Table> {
    let path = cubins.join("kernels.json");
    let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("read {}", path.display()))
}

/// The committed image for `card`, unpacked.
///
/// # Errors
/// When it is not there or is no image.
pub fn image(cubins: &Path, card: &str) -> Result<Vec<u8>> {
    let path = image_path(cubins, card);
    let packed = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
    miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(&packed, IMAGE_BYTES_MAX)
        .map_err(|err| anyhow!("unpack {}: {err}", path.display()))
}

/// What differs between `made` and the files of `cubins`, a line each.
///
/// # Errors
/// When a committed file cannot be read.
pub fn differences(made: &Made, cubins: &Path) -> Result<Vec<String>> {
    let committed = read(cubins)?;
    let mut lines = Vec::new();
    if committed.sources != made.table.sources {
        lines.push(format!("sources: {} is committed, {} are here", committed.sources, made.table.sources));
    }
    for (card, bytes) in &made.images {
        let (ours, theirs) = (made.table.cards.get(card), committed.cards.get(card));
        if ours != theirs {
            lines.push(format!("sm_{card}: the table says something else"));
        }
        if image(cubins, card)? != *bytes {
            lines.push(format!("sm_{card}: the image has other bytes"));
        }
    }
    if lines.is_empty() && committed != made.table {
        lines.push("kernels.json: it names other cards or another compiler".to_owned());
    }
    Ok(lines)
}
