//! The kernels' sources, and the hash that committed images stand for.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// The file that includes all others.
pub const ALL: &str = "all.cu";

/// Files of the folder: more is a mistake.
const FILES_MAX: usize = 256;
/// Bytes of one of them: more is a mistake.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// A file of `cuda/kernels`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// As others include it.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// The folder `cuda`.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_path_buf)
}

/// All files of `cuda/kernels`, by name.
///
/// # Errors
/// When the folder or a file cannot be read, or something else lies there.
pub fn read(kernels: &Path) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    for entry in std::fs::read_dir(kernels).with_context(|| format!("read {}", kernels.display()))? {
        let path = entry.with_context(|| format!("read {}", kernels.display()))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let known = [".cu", ".cuh", ".h"].iter().any(|end| name.ends_with(end));
        ensure!(known && path.is_file(), "{} is no source of a kernel: put it elsewhere", path.display());
        let bytes = path.metadata().with_context(|| format!("read {}", path.display()))?.len();
        ensure!(bytes <= FILE_BYTES_MAX, "{} has {bytes} bytes: at most {FILE_BYTES_MAX}", path.display());
        let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        sources.push(Source { name, text });
        ensure!(sources.len() <= FILES_MAX, "{} has more than {FILES_MAX} files", kernels.display());
    }
    sources.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(sources)
}

/// The hash of all sources and of what the compiler is told: names and texts with their lengths, so that nothing can move
/// from one to the next unseen. Line ends are those of Unix wherever it was checked out.
pub fn hash(sources: &[Source], options: &[&str]) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut add = |text: &str| {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    };
    for option in options {
        add(option);
    }
    for source in sources {
        add(&source.name);
        add(&source.text.replace("\r\n", "\n"));
    }
    hasher.finalize().to_hex().to_string()
}
