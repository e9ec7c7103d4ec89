//! What a picture says of itself: `thumbforge show FILE`.

use std::fmt::{self, Display, Write as _};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde::Serialize;
use thiserror::Error;
use thumbforge_core::error::ErrorCode;
use thumbforge_core::image::Extent;
use thumbforge_core::recipe::{Dtype, MaskMode, Noise};

use super::c2pa::{self, Seal, State};
use super::observe::lfs_pointer;
use super::png::{self, DecodeLimits, PARAMETERS, PngError, find_text, read_provenance_of};
use super::provenance::Provenance;
use super::xmp;

/// Why a file has nothing to show.
#[derive(Debug, Error)]
pub enum ShowError {
    /// Not there, or not readable.
    #[error("read {path}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// As the system says it.
        #[source]
        err: std::io::Error,
    },
    /// Not fetched.
    #[error("show {path}: it is a Git LFS pointer; fetch the file with `git lfs pull`", path = path.display())]
    LfsPointer {
        /// The file.
        path: PathBuf,
    },
    /// Not a picture with provenance that can be read.
    #[error("show {path}", path = path.display())]
    Png {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        err: PngError,
    },
    /// Roots that cannot be read, or a build that has no use for them.
    #[error("{why}")]
    Trust {
        /// What is wrong.
        why: String,
    },
}

impl ShowError {
    /// The stable code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Io { err, .. } if err.kind() == std::io::ErrorKind::NotFound => ErrorCode::NotFound,
            Self::Png { err, .. } => err.code(),
            Self::Trust { .. } => ErrorCode::InvalidRequest,
            _ => ErrorCode::InputFile,
        }
    }
}

/// What a picture says of itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Shown {
    /// The file, as it was named.
    pub path: String,
    /// Its size in pixels.
    pub size: Extent,
    /// Its length.
    pub file_bytes: u64,
    /// How it came to be; absent in a picture that Thumbforge did not make.
    pub provenance: Option<Provenance>,
    /// Whether recipe and keys agree; false when somebody edited the text.
    pub keys_agree: Option<bool>,
    /// What another program says of how it came to be, where there is no provenance.
    pub parameters: Option<String>,
    /// What its XMP says; an exported copy has some.
    pub xmp: Option<xmp::Told>,
    /// Who signed what it says, and whether it was changed since.
    pub c2pa: Option<Seal>,
}

impl Shown {
    /// Whether a signature in it does not hold.
    pub fn is_broken(&self) -> bool {
        self.c2pa.as_ref().is_some_and(|seal| seal.state == State::Invalid)
    }
}

/// Reads what a PNG says of itself, without its pixels; a manifest of C2PA is checked against all of it. `anchors` are the
/// roots in PEM that are trusted to vouch for who signed.
///
/// # Errors
/// [`ShowError`], which says what is wrong with the file.
pub fn describe(path: &Path, anchors: Option<&str>) -> Result<Shown, ShowError> {
    let io = |err| ShowError::Io { path: path.to_owned(), err };
    let png_error = |err| match err {
        PngError::Io(err) => ShowError::Io { path: path.to_owned(), err },
        err => ShowError::Png { path: path.to_owned(), err },
    };
    let mut file = std::io::BufReader::new(std::fs::File::open(path).map_err(io)?);
    let file_bytes = file.get_ref().metadata().map_err(io)?.len();
    let mut start = Vec::new();
    (&mut file).take(1024).read_to_end(&mut start).map_err(io)?;
    if lfs_pointer(&start).is_some() {
        return Err(ShowError::LfsPointer { path: path.to_owned() });
    }
    let provenance = read_provenance_of(path).map_err(png_error)?;
    let size = size(&start).ok_or_else(|| png_error(PngError::Truncated))?;
    let parameters = match provenance {
        Some(_) => None,
        None => {
            file.seek(SeekFrom::Start(0)).map_err(io)?;
            find_text(&mut file, PARAMETERS).map_err(png_error)?
        }
    };
    file.seek(SeekFrom::Start(0)).map_err(io)?;
    let packet = find_text(&mut file, xmp::KEYWORD).map_err(png_error)?;
    file.seek(SeekFrom::Start(0)).map_err(io)?;
    let seal = match png::has_chunk(&mut file, png::C2PA).map_err(png_error)? {
        true => {
            file.seek(SeekFrom::Start(0)).map_err(io)?;
            look(&mut file, anchors, path)?
        }
        // Roots that cannot be read are told whatever the picture is.
        false => c2pa::look(&[], anchors).map_err(|why| ShowError::Trust { why })?,
    };
    Ok(Shown {
        path: path.display().to_string(),
        size,
        file_bytes,
        keys_agree: provenance.as_ref().map(Provenance::keys_agree),
        provenance,
        parameters,
        xmp: packet.as_deref().and_then(xmp::read),
        c2pa: seal,
    })
}

/// Checks the manifest of a whole file.
fn look(file: &mut impl Read, anchors: Option<&str>, path: &Path) -> Result<Option<Seal>, ShowError> {
    let bytes_max = DecodeLimits::ART.file_bytes_max;
    let mut bytes = Vec::new();
    let read = file.take(bytes_max as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|err| ShowError::Io { path: path.to_owned(), err })?;
    if bytes.len() > bytes_max {
        let err = PngError::FileTooLarge { bytes: bytes.len(), max: bytes_max };
        return Err(ShowError::Png { path: path.to_owned(), err });
    }
    c2pa::look(&bytes, anchors).map_err(|why| ShowError::Trust { why })
}

/// The first chunk of every PNG is its header.
fn size(start: &[u8]) -> Option<Extent> {
    let side = |at: usize| start.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
    (start.get(12..16)? == b"IHDR").then_some(Extent { width: side(16)?, height: side(20)? })
}

/// Aligned lines, without colours, each fact once.
impl Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = Lines::default();
        lines.fact("file", &self.path);
        lines.fact("size", format_args!("{}, {} bytes", self.size, self.file_bytes));
        match (&self.provenance, &self.parameters) {
            (Some(provenance), _) => lines.provenance(provenance),
            (None, Some(parameters)) => {
                lines.fact("provenance", "none of Thumbforge's; another program wrote:");
                lines.fact("parameters", parameters);
            }
            (None, None) => lines.fact("provenance", "none: Thumbforge did not make this file, or it was stripped"),
        }
        if let Some(told) = &self.xmp {
            lines.xmp(told);
        }
        if let Some(seal) = &self.c2pa {
            lines.seal(seal);
        }
        if self.keys_agree == Some(false) {
            lines.fact("warning", "recipe and keys do not agree: the text was edited after the picture was made");
        }
        f.write_str(&lines.text)
    }
}

/// Wide enough for the longest name below.
const NAME_WIDTH: usize = 14;

#[derive(Default)]
struct Lines {
    text: String,
}

impl Lines {
    /// Further lines of a value stand under its first. What could steer a terminal is written out.
    fn fact(&mut self, name: &str, value: impl Display) {
        let value = value.to_string();
        for (at, line) in value.lines().enumerate() {
            let name = if at == 0 { name } else { "" };
            let line: String = line.chars().flat_map(harmless).collect();
            // Writing to a string cannot fail.
            let _ = writeln!(self.text, "{name:<NAME_WIDTH$}  {line}");
        }
    }

    fn fact_if(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.fact(name, value);
        }
    }

    fn xmp(&mut self, told: &xmp::Told) {
        self.fact_if("source type", told.source_type.as_ref());
        self.fact_if("written by", told.creator_tool.as_ref());
        self.fact_if("AI system", told.ai_system.as_ref());
        self.fact_if("creator", told.creator.as_ref());
        self.fact_if("credit line", told.credit.as_ref());
        self.fact_if("copyright", told.copyright.as_ref());
        self.fact_if("terms", told.terms.as_ref());
        self.fact_if("data mining", told.data_mining.as_ref());
    }

    fn seal(&mut self, seal: &Seal) {
        self.fact("C2PA", seal);
        self.fact_if("claimed by", seal.claimed_by.as_ref());
        self.fact_if("claimed type", (!seal.source_types.is_empty()).then(|| seal.source_types.join(", ")));
        let failures = seal.failures.join(", ");
        self.fact_if("C2PA codes", (!failures.is_empty()).then_some(failures));
    }

    fn provenance(&mut self, provenance: &Provenance) {
        let Provenance { recipe, realisation, .. } = provenance;
        self.fact_if("prompt", (!recipe.prompt.is_empty()).then_some(&recipe.prompt));
        self.fact_if("negative", (!recipe.negative.is_empty()).then_some(&recipe.negative));
        for layer in &recipe.text {
            let locale = if layer.locale.is_empty() { String::new() } else { format!(" ({})", layer.locale) };
            self.fact("text", format_args!("{}{locale}", layer.text));
        }
        let template = provenance.template.as_ref();
        self.fact_if("template", template.map(|template| format!("{} version {}", template.name, template.version)));
        self.fact("model", &provenance.model);
        self.fact_if("stands in for", provenance.placeholder_for.as_ref());
        let named = recipe.model.as_ref().filter(|named| **named != provenance.model);
        self.fact_if("in place of", named.filter(|_| provenance.placeholder_for.is_none()));
        self.fact("engine", format_args!("{} {}", realisation.engine, realisation.engine_version));
        self.fact_if(
            "called as",
            (realisation.wire_model != provenance.model.as_str()).then_some(&realisation.wire_model),
        );
        self.fact("device", &realisation.device_class);
        self.fact_if("weights", realisation.weights);
        self.fact("seed", realisation.seed);
        let asked: Vec<String> = realisation.settings.iter().map(|(name, value)| format!("{name} {value}")).collect();
        self.fact_if("asked with", (!asked.is_empty()).then(|| asked.join(", ")));
        self.fact("tier", provenance.tier.word());
        self.fact("intent", recipe.intent.word());
        let settings = &recipe.settings;
        self.fact_if("steps", settings.steps);
        self.fact_if("guidance", settings.guidance);
        self.fact_if("sampler", settings.sampler.as_ref());
        self.fact_if("strength", settings.strength);
        self.fact_if("noise", settings.noise.map(Noise::word));
        self.fact_if("number format", settings.dtype.map(Dtype::word));
        self.fact_if("skipped layers", settings.slg.as_ref());
        self.fact_if("mask feather", settings.mask_feather);
        self.fact_if("mask mode", settings.mask_mode.map(MaskMode::word));
        self.fact_if("composition", settings.composition.as_ref());
        self.fact_if("subject", settings.subject.as_ref());
        for adapter in &recipe.adapters {
            self.fact("adapter", format_args!("{} at {}", adapter.content, adapter.weight));
        }
        self.fact_if("art", recipe.art.as_ref().map(|art| art.content));
        let brand: Vec<String> = recipe.brand.iter().map(ToString::to_string).collect();
        self.fact_if("brand", (!brand.is_empty()).then(|| brand.join(" ")));
        for step in &recipe.post {
            self.fact("post", serde_json::to_string(step).unwrap_or_default());
        }
        self.fact_if("dropped", (!realisation.dropped.is_empty()).then(|| realisation.dropped.join(", ")));
        self.fact("planned key", provenance.planned_key);
        self.fact("realised key", provenance.realised_key);
        for credit in &provenance.credits {
            self.fact(
                "credit",
                format_args!("{} by {}, {}, {}", credit.work, credit.author, credit.licence, credit.source),
            );
        }
    }
}

/// Control characters and those that turn the direction of writing, escaped.
fn harmless(c: char) -> impl Iterator<Item = char> {
    let steers = c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let escaped = steers.then(|| c.escape_unicode());
    let plain = if steers { None } else { Some(c) };
    plain.into_iter().chain(escaped.into_iter().flatten())
}

#[cfg(test)]
mod tests;
