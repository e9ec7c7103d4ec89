//! Flags of `generate` for models with weights on this machine, and the files that they name.

use std::path::{Path, PathBuf};

use clap::Args;
use thumbforge_core::error::{ErrorCode, Failure, chain};
use thumbforge_core::id::ContentHash;
use thumbforge_core::image::Extent;
use thumbforge_core::limits;
use thumbforge_core::recipe::{Adapter, Dtype, Edit, MaskMode, Noise, Operation, Settings, SkipLayers};
use thumbforge_core::terms::LocalFiles;

use crate::maker::{Kept, Maker};
use crate::output::png::{self, DecodeLimits};

/// Flags of models with weights on this machine; `--image`, `--mask` and `--strength` are any model's.
#[derive(Debug, Args, Default)]
#[command(next_help_heading = "Pictures to change, and models on this machine")]
pub(super) struct LocalArgs {
    /// The picture to change [default size: its own]
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// Where it may change: white is drawn anew, black stays
    #[arg(long, value_name = "FILE", requires = "image")]
    mask: Option<PathBuf>,
    /// How far it may be left, 0 to 1
    #[arg(long, value_name = "S", requires = "image")]
    strength: Option<f64>,
    /// Draw the picture larger, to --size, instead of changing it
    #[arg(long, requires = "image", conflicts_with = "mask")]
    upscale: bool,
    /// Soften the mask's edge by so many pixels
    #[arg(long, value_name = "PX", requires = "mask")]
    mask_feather: Option<u32>,
    /// What becomes of what the mask leaves alone: keep its pixels, or let them through the model as diffusers does
    #[arg(long, value_name = "MODE", requires = "mask")]
    mask_mode: Option<MaskMode>,
    /// Draw with these weights: a file, or a folder as diffusers has them
    #[arg(long, value_name = "PATH", conflicts_with = "model")]
    pub(super) weights: Option<PathBuf>,
    /// Folder of tokenizers, for weights that have none beside them
    #[arg(long, value_name = "DIR", requires = "weights")]
    tokenizers: Option<PathBuf>,
    /// Where noise comes from: philox, or torch-cpu for the noise that a seed has in diffusers and ComfyUI
    #[arg(long, value_name = "KIND")]
    noise: Option<Noise>,
    /// Number format of the model: f32 or bf16 [default: the faster]
    #[arg(long, value_name = "FORMAT")]
    dtype: Option<Dtype>,
    /// A LoRA file and its weight; may be said several times
    #[arg(long, value_name = "PATH[=WEIGHT]")]
    lora: Vec<String>,
    /// Skip-layer guidance, as in 7,8,9:2.8:0.01:0.2
    #[arg(long, value_name = "LAYERS:SCALE:START:STOP")]
    slg: Option<SkipLayers>,
    /// What may change pixels where memory is short: tiled-vae, fp8
    #[arg(long, value_name = "WHAT", value_delimiter = ',', value_parser = ["tiled-vae", "fp8"])]
    pub(super) allow_lossy: Vec<String>,
}

/// A file that a recipe names by its content.
struct Named {
    path: PathBuf,
    bytes: Vec<u8>,
    content: ContentHash,
}

/// Files that the flags name.
pub(super) struct Brought {
    files: Vec<Named>,
    /// Its recipe's edit.
    pub(super) edit: Option<Edit>,
    /// The size of the picture that is changed.
    pub(super) size: Option<Extent>,
    /// LoRA files.
    pub(super) adapters: Vec<(PathBuf, Adapter)>,
    /// The mask as recipes have it, for a sidecar to read.
    _mask: Option<tempfile::NamedTempFile>,
}

fn unusable(path: &Path, reason: &str) -> Failure {
    Failure::new(ErrorCode::InputFile, format!("failed to use {}: {reason}", path.display()))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let meta = std::fs::metadata(path).map_err(|err| unusable(path, &err.to_string()))?;
    if !meta.is_file() || meta.len() > limits::INPUT_BYTES_MAX as u64 {
        return Err(unusable(path, &format!("it is no file of at most {} bytes", limits::INPUT_BYTES_MAX)));
    }
    std::fs::read(path).map_err(|err| unusable(path, &err.to_string()))
}

impl LocalArgs {
    /// The settings that the flags name.
    pub(super) fn settings(&self) -> Settings {
        Settings {
            strength: self.strength,
            noise: self.noise,
            dtype: self.dtype,
            slg: self.slg.clone(),
            mask_feather: self.mask_feather,
            mask_mode: self.mask_mode,
            ..Settings::default()
        }
    }

    /// The model's own files.
    pub(super) fn files(&self) -> Result<Option<LocalFiles>, Failure> {
        let Some(model) = &self.weights else { return Ok(None) };
        let absolute = |path: &PathBuf| {
            // A sidecar runs elsewhere. Links are not followed: in a hub's cache the file behind one has neither its name
            // nor its neighbours.
            let there = std::fs::metadata(path).and_then(|_| std::path::absolute(path));
            there.map_err(|err| unusable(path, &err.to_string()))
        };
        let tokenizers = self.tokenizers.as_ref().map(absolute).transpose()?;
        Ok(Some(LocalFiles { model: absolute(model)?, tokenizers }))
    }

    /// Reads the files that recipes name by their content.
    pub(super) fn bring(&self) -> Result<Brought, Failure> {
        let mut files = Vec::new();
        let mut take = |path: PathBuf, bytes: Vec<u8>| {
            let content = ContentHash::of(&bytes);
            files.push(Named { path, bytes, content });
            content
        };
        let (mut edit, mut size, mut temp) = (None, None, None);
        if let Some(path) = &self.image {
            let bytes = read(path)?;
            let picture = png::decode(&bytes, DecodeLimits::ART).map_err(|err| unusable(path, &chain(&err)))?;
            let Extent { width, height } = picture.extent();
            size = Some(Extent::new(width.into(), height.into()).map_err(|err| unusable(path, &err.to_string()))?);
            let images = vec![take(path.clone(), bytes)];
            let mask = match &self.mask {
                None => None,
                Some(path) => {
                    let grey = grey(path, picture.extent())?;
                    let file = tempfile::Builder::new().suffix(".png").tempfile();
                    let file = file.and_then(|file| std::fs::write(file.path(), &grey).map(|()| file));
                    let file = file.map_err(|err| unusable(path, &err.to_string()))?;
                    let content = take(file.path().to_owned(), grey);
                    temp = Some(file);
                    Some(content)
                }
            };
            let operation = if self.upscale { Operation::Upscale } else { Operation::Edit };
            edit = Some(Edit { operation, images, mask });
        }
        let mut adapters = Vec::new();
        for lora in &self.lora {
            let (path, weight) = lora_of(lora)?;
            let content = take(path.clone(), read(&path)?);
            adapters.push((path, Adapter { content, weight }));
        }
        Ok(Brought { files, edit, size, adapters, _mask: temp })
    }
}

/// `PATH` or `PATH=WEIGHT`. A path may have an equals sign of its own, so what follows the last one must be a number.
fn lora_of(text: &str) -> Result<(PathBuf, f64), Failure> {
    if let Some((path, weight)) = text.rsplit_once('=')
        && !Path::new(text).exists()
    {
        let weight = weight.parse().map_err(|_| {
            let message = format!("failed to read the LoRA {text:?}: write PATH=WEIGHT, the weight a number as in 0.8");
            Failure::new(ErrorCode::InvalidRequest, message)
        })?;
        return Ok((PathBuf::from(path), weight));
    }
    Ok((PathBuf::from(text), 1.0))
}

/// A mask as recipes have it: a grey PNG of the picture's size.
fn grey(path: &Path, size: Extent) -> Result<Vec<u8>, Failure> {
    let mask = png::decode(&read(path)?, DecodeLimits::ART).map_err(|err| unusable(path, &chain(&err)))?;
    if mask.extent() != size {
        let reason = format!("the mask is {}, and the picture {size}; make both the same size", mask.extent());
        return Err(unusable(path, &reason));
    }
    // ITU-R BT.601 in sixteen bits, as Pillow makes a picture grey, which diffusers reads masks with.
    let luma =
        |p: &[u8]| ((u32::from(p[0]) * 19595 + u32::from(p[1]) * 38470 + u32::from(p[2]) * 7471 + 0x8000) >> 16) as u8;
    let pixels: Vec<u8> = mask.pixels().chunks_exact(4).map(luma).collect();
    if pixels.iter().all(|grey| *grey < 128) {
        return Err(unusable(path, "nothing in the mask is white; what is to be drawn anew must be"));
    }
    png::encode_grey(size, &pixels).map_err(|err| unusable(path, &chain(&err)))
}

impl Brought {
    /// Puts the files where the model finds them.
    ///
    /// # Errors
    /// Why one cannot be kept, or that it changed since it was read.
    pub(super) async fn keep(self, maker: &Maker) -> Result<Vec<Kept>, Failure> {
        let mut kept = Vec::new();
        for Named { path, bytes, content } in self.files {
            let (found, pin) = maker.keep(&path, || Ok(bytes)).await?;
            if found != content {
                return Err(unusable(&path, "it changed while it was read; run the same command again"));
            }
            kept.push(pin);
        }
        Ok(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loras_have_weights() {
        let check = |text: &str, expected: &str| {
            let said = match lora_of(text) {
                Ok((path, weight)) => format!("{} {weight}", path.display()),
                Err(failure) => failure.message,
            };
            assert!(said.contains(expected), "{said}");
        };
        check("a.safetensors", "a.safetensors 1");
        check("a.safetensors=0.8", "a.safetensors 0.8");
        check("a=b.safetensors=-1", "a=b.safetensors -1");
        check("a=b", "write PATH=WEIGHT");
        let folder = tempfile::tempdir().unwrap();
        let odd = folder.path().join("a=1");
        std::fs::write(&odd, "").unwrap();
        check(&odd.display().to_string(), "a=1 1");
    }
}
