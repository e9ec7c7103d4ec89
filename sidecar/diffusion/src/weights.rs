//! Weights as people have them, opened without a copy.
//!
//! A model comes as diffusers' folder, as one file with everything, as files of one part each, in shards, in safetensors or
//! in GGUF. [`open`] finds the parts by the names of their tensors, reads the configuration from diffusers' JSON or from
//! the tensors' sides, checks every name and shape against it, and gives [`Params`] under the names of the original files.
//! Numbers are converted when a device reads them ([`crate::rows`]). A file that is no such model is refused with what it
//! is and what was expected; nothing in a file can make this module panic or allocate more than the file's own size.

mod file;
mod find;
mod gather;
mod gguf;
mod hash;
mod infer;
mod lora;
mod map;
mod names;
mod safetensors;
mod settings;
pub mod write;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::file::{Files, Stored};
use self::find::{Found, Kind};
pub use self::hash::{FileKey, Hash, HashCache, NoCache};
use crate::config::{ClipConfig, MmditConfig, T5Config, VaeConfig};
use crate::error::DiffusionError;
use crate::param::{Param, Params, Tensor};

/// Where a model's parts are. What is `None` is looked for in the model's own file and beside it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sources {
    /// A file, a diffusers folder, or a folder of files with a part or more each.
    pub model: PathBuf,
    /// A folder with `tokenizer`, `tokenizer_2` and `tokenizer_3`, as diffusers has them. Configurations beside them
    /// (`vae/config.json` and the like) say what a single file's tensors do not.
    pub tokenizers: Option<PathBuf>,
    /// CLIP-L's file, or diffusers' folder of it.
    pub clip_l: Option<PathBuf>,
    /// CLIP-G's.
    pub clip_g: Option<PathBuf>,
    /// T5's.
    pub t5: Option<PathBuf>,
    /// The autoencoder's.
    pub vae: Option<PathBuf>,
    /// Files of LoRAs and the weight of each, added in this order.
    pub loras: Vec<(PathBuf, f32)>,
}

/// A text encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Encoder {
    /// CLIP ViT-L.
    ClipL,
    /// CLIP ViT-bigG.
    ClipG,
    /// T5-XXL.
    T5,
}

impl Encoder {
    /// The word in flags and messages.
    pub const fn word(self) -> &'static str {
        match self {
            Self::ClipL => "clip_l",
            Self::ClipG => "clip_g",
            Self::T5 => "t5",
        }
    }
}

/// A part of a model: what it is made of, its parameters, its files.
#[derive(Debug, Clone)]
pub struct Component<C> {
    /// What it is made of.
    pub config: C,
    /// Its parameters.
    pub params: Params,
    /// Files that they lie in.
    pub files: Vec<PathBuf>,
}

/// What the model was trained to be sampled with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scheduler {
    /// The shift of the schedule towards noise; 3 for all of SD3.5.
    pub shift: f64,
    /// Steps of the training's schedule, 1000.
    pub train_steps: u32,
}

/// A file that the model uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileUse {
    /// Which.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
}

/// Folders of tokenizers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenizerPaths {
    /// CLIP-L's.
    pub clip_l: Option<PathBuf>,
    /// CLIP-G's.
    pub clip_g: Option<PathBuf>,
    /// T5's.
    pub t5: Option<PathBuf>,
}

/// Which model it is, for the defaults that its card names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ModelKind {
    /// SD3.5 Medium: 24 blocks, some with dual attention.
    Medium,
    /// SD3.5 Large: 38 blocks.
    Large,
    /// SD3.5 Large Turbo: as Large, for four steps without guidance. Its tensors look the same, so its name decides.
    Turbo,
    /// Any other of this shape.
    Other,
}

/// A LoRA that was added.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraUse {
    /// Its file.
    pub path: PathBuf,
    /// The weight that was asked for.
    pub weight: f32,
    /// How many matrices it changes.
    pub targets: usize,
}

/// An opened model.
pub struct Weights {
    /// The transformer.
    pub mmdit: Component<MmditConfig>,
    /// The autoencoder.
    pub vae: Option<Component<VaeConfig>>,
    /// The first text encoder. Without `text_projection.weight` its projection is the identity: single files carry none,
    /// and who made SD3 used none.
    pub clip_l: Option<Component<ClipConfig>>,
    /// The second text encoder.
    pub clip_g: Option<Component<ClipConfig>>,
    /// The third text encoder; pictures can be drawn without it.
    pub t5: Option<Component<T5Config>>,
    /// What it was trained to be sampled with.
    pub scheduler: Scheduler,
    /// Every file of the parts above, LoRAs aside.
    pub files: Vec<FileUse>,
    /// Where its tokenizers are.
    pub tokenizers: TokenizerPaths,
    /// Which model it is.
    pub kind: ModelKind,
    /// LoRAs in the order of the request.
    pub loras: Vec<LoraUse>,
    /// Files beside the model that could not be read while encoders were looked for, and why.
    pub skipped: Vec<(PathBuf, String)>,
    /// Mapped files by part, for hashing.
    stored: Vec<(&'static str, Vec<Arc<Stored>>)>,
    /// Mapped LoRAs.
    adapters: Vec<Arc<Stored>>,
}

impl std::fmt::Debug for Weights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Weights").field("kind", &self.kind).field("files", &self.files).finish_non_exhaustive()
    }
}

/// A refusal of a file.
pub(crate) fn refuse(path: &Path, reason: impl Into<String>) -> DiffusionError {
    DiffusionError::File { path: path.to_path_buf(), reason: reason.into() }
}

/// Opens a model: maps its files, finds and checks its parts, adds its LoRAs. Reads no more than headers.
pub fn open(sources: &Sources) -> Result<Weights, DiffusionError> {
    let about = std::fs::metadata(&sources.model).map_err(|err| refuse(&sources.model, err.to_string()))?;
    let mut shelf = Shelf::given(sources)?;
    match about.is_dir() {
        true if is_diffusers(&sources.model) => shelf.diffusers(&sources.model)?,
        true => shelf.folder(&sources.model)?,
        false => shelf.single(&sources.model)?,
    }
    let home = if about.is_dir() { Some(sources.model.as_path()) } else { sources.model.parent() };
    let homes: Vec<&Path> = sources.tokenizers.as_deref().into_iter().chain(home).collect();
    shelf.build(sources, &homes)
}

/// Whether a folder is in diffusers' layout.
fn is_diffusers(folder: &Path) -> bool {
    folder.join("model_index.json").is_file() || folder.join("transformer/config.json").is_file()
}

/// A part that was found: its files, where in them, and its configuration if it has a file of its own.
#[derive(Clone)]
struct Pick {
    files: Files,
    found: Found,
    /// What else is in these files.
    others: Vec<Found>,
    settings: Option<PathBuf>,
}

/// The parts of a model on the way to be opened.
#[derive(Default)]
struct Shelf {
    mmdit: Option<Pick>,
    vae: Option<Pick>,
    clip_l: Option<Pick>,
    clip_g: Option<Pick>,
    t5: Option<Pick>,
    skipped: Vec<(PathBuf, String)>,
    /// Places that were given by a path.
    fixed: Vec<Slot>,
}

/// diffusers' folders, what is in them, and where it belongs.
const PARTS: [(&str, Kind, Slot); 5] = [
    ("transformer", Kind::Mmdit, Slot::Mmdit),
    ("vae", Kind::Vae, Slot::Vae),
    ("text_encoder", Kind::Clip, Slot::Encoder(Encoder::ClipL)),
    ("text_encoder_2", Kind::Clip, Slot::Encoder(Encoder::ClipG)),
    ("text_encoder_3", Kind::T5, Slot::Encoder(Encoder::T5)),
];

fn is_transformer(pick: &Pick) -> bool {
    pick.found.kind == Kind::Mmdit
}

/// Files that a folder is searched for at most; a folder of all models that somebody ever fetched has fewer.
const SIBLINGS_MAX: usize = 256;

impl Shelf {
    /// Parts that were given by their paths; nothing else is looked at for them.
    fn given(sources: &Sources) -> Result<Self, DiffusionError> {
        let mut shelf = Self::default();
        for (path, slot) in [
            (&sources.vae, Slot::Vae),
            (&sources.clip_l, Slot::Encoder(Encoder::ClipL)),
            (&sources.clip_g, Slot::Encoder(Encoder::ClipG)),
            (&sources.t5, Slot::Encoder(Encoder::T5)),
        ] {
            if let Some(path) = path {
                *shelf.slot(slot) = Some(given(path, slot)?);
                shelf.fixed.push(slot);
            }
        }
        Ok(shelf)
    }

    /// diffusers' folder.
    fn diffusers(&mut self, folder: &Path) -> Result<(), DiffusionError> {
        for (name, kind, slot) in PARTS {
            let part = folder.join(name);
            if self.slot(slot).is_none() && part.is_dir() {
                *self.slot(slot) = Some(part_folder(&part, kind)?);
            }
        }
        match self.mmdit {
            Some(_) => Ok(()),
            None => Err(refuse(
                folder,
                "it has a model_index.json and no folder \"transformer\": expected SD3.5 in diffusers' layout",
            )),
        }
    }

    /// A file that has the transformer, and maybe more; what it lacks may lie beside it.
    fn single(&mut self, path: &Path) -> Result<(), DiffusionError> {
        let files = Files::open(path)?;
        let picks = picks(&files);
        if picks.is_empty() {
            return Err(find::refuse_stranger(&files));
        }
        if !picks.iter().any(is_transformer) {
            let words: Vec<&str> = picks.iter().map(|pick| pick.found.kind.word()).collect();
            let reason = format!(
                "it has the {} alone: expected a file with the transformer (joint_blocks.…)",
                words.join(" and the ")
            );
            return Err(refuse(path, reason));
        }
        self.take(picks, &|_| true)?;
        path.parent().map_or(Ok(()), |folder| self.beside(folder, Some(path)))
    }

    /// A folder of files with a part or more each.
    fn folder(&mut self, folder: &Path) -> Result<(), DiffusionError> {
        if settings::mmdit(&folder.join("config.json")).is_ok() {
            return Err(refuse(folder, "it is one part of a model in diffusers' layout: give the folder above it"));
        }
        let (found, skipped) = search(folder, None)?;
        let count = found.len();
        let (transformers, rest): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|picks| picks.iter().any(is_transformer));
        if transformers.is_empty() {
            if let Some((path, reason)) = skipped.first() {
                return Err(refuse(path, reason.clone()));
            }
            let what = format!(
                "none of its {count} files of weights has a transformer of SD3.5: expected a diffusers folder \
                 (model_index.json), or .safetensors or .gguf files"
            );
            return Err(refuse(folder, what));
        }
        for picks in transformers {
            self.take(picks, &|_| true)?;
        }
        self.skipped = skipped;
        self.take(rest.into_iter().flatten().collect(), &|_| true)?;
        let path = self.mmdit.as_ref().map(|pick| pick.files.path().to_path_buf());
        self.beside(folder, path.as_deref())
    }

    /// Fills what is missing from files beside the model, its usual sub-folders, and diffusers' folders in the same place.
    fn beside(&mut self, folder: &Path, except: Option<&Path>) -> Result<(), DiffusionError> {
        for place in [folder.to_path_buf(), folder.join("text_encoders"), folder.join("clip"), folder.join("vae")] {
            if self.complete() || !place.is_dir() || place.join("config.json").is_file() {
                continue;
            }
            let (found, skipped) = search(&place, except)?;
            for (path, reason) in skipped {
                if !self.skipped.iter().any(|(old, _)| *old == path) {
                    self.skipped.push((path, reason));
                }
            }
            // A file with a transformer of its own is another model.
            let others = found.into_iter().filter(|picks| !picks.iter().any(is_transformer));
            self.take_missing(others.flatten().collect())?;
        }
        if is_diffusers(folder) {
            for (name, kind, slot) in PARTS {
                let part = folder.join(name);
                if self.slot(slot).is_none() && part.is_dir() {
                    match part_folder(&part, kind) {
                        Ok(pick) => *self.slot(slot) = Some(pick),
                        Err(err) => self.skipped.push((part, err.to_string())),
                    }
                }
            }
        }
        Ok(())
    }

    fn complete(&self) -> bool {
        self.vae.is_some() && self.clip_l.is_some() && self.clip_g.is_some() && self.t5.is_some()
    }

    /// Takes of `found` what this shelf does not have yet.
    fn take_missing(&mut self, found: Vec<Pick>) -> Result<(), DiffusionError> {
        let missing: Vec<Slot> =
            PARTS.map(|(_, _, slot)| slot).into_iter().filter(|slot| self.slot(*slot).is_none()).collect();
        self.take(found, &|slot| missing.contains(&slot))
    }

    /// Puts each pick that is `wanted` in its place; two for one place are refused.
    fn take(&mut self, mut picks: Vec<Pick>, wanted: &dyn Fn(Slot) -> bool) -> Result<(), DiffusionError> {
        // The transformer first: two of it explain every other pair.
        picks.sort_by_key(|pick| pick.found.kind);
        let clips: Vec<&Pick> = picks.iter().filter(|pick| pick.found.kind == Kind::Clip).collect();
        let narrow = clips.iter().filter_map(|pick| width(pick)).min();
        let wide = clips.iter().filter_map(|pick| width(pick)).max();
        let two = clips.len() == 2 && narrow != wide;
        let mut places = Vec::new();
        for pick in picks {
            let slot = match pick.found.kind {
                Kind::Mmdit => Slot::Mmdit,
                Kind::Vae => Slot::Vae,
                Kind::T5 => Slot::Encoder(Encoder::T5),
                Kind::Clip => match named(&pick) {
                    Some(encoder) => Slot::Encoder(encoder),
                    // Of two, the narrow one is CLIP-L.
                    None if two && width(&pick) == narrow => Slot::Encoder(Encoder::ClipL),
                    None if two => Slot::Encoder(Encoder::ClipG),
                    None => {
                        let reason = "it has a CLIP text encoder, and nothing says whether it is CLIP-L or CLIP-G; give it \
                                      as one of them";
                        self.skipped.push((pick.files.path().to_path_buf(), reason.into()));
                        continue;
                    }
                },
            };
            places.push((slot, pick));
        }
        for (slot, pick) in places {
            if self.fixed.contains(&slot) || !wanted(slot) {
                continue;
            }
            let place = self.slot(slot);
            if let Some(old) = place {
                let (old, new) = (old.files.path().display().to_string(), pick.files.path());
                let reason = match slot {
                    Slot::Mmdit => format!("it has a transformer, and so has {old}: give one of the files"),
                    Slot::Vae => format!("it has an autoencoder, and so has {old}: give one of them by its path"),
                    Slot::Encoder(encoder) => {
                        format!("it has the encoder {}, and so has {old}: give one of them by its path", encoder.word())
                    }
                };
                return Err(refuse(new, reason));
            }
            *place = Some(pick);
        }
        Ok(())
    }

    fn slot(&mut self, slot: Slot) -> &mut Option<Pick> {
        match slot {
            Slot::Mmdit => &mut self.mmdit,
            Slot::Vae => &mut self.vae,
            Slot::Encoder(Encoder::ClipL) => &mut self.clip_l,
            Slot::Encoder(Encoder::ClipG) => &mut self.clip_g,
            Slot::Encoder(Encoder::T5) => &mut self.t5,
        }
    }

    /// Configurations, parameters, and what is beside them.
    fn build(self, sources: &Sources, homes: &[&Path]) -> Result<Weights, DiffusionError> {
        let Some(mmdit) = self.mmdit else {
            return Err(refuse(&sources.model, "it has no transformer of SD3.5"));
        };
        let side = |name: &str| homes.iter().map(|home| home.join(name)).find(|path| path.is_file());
        let mut stored: Vec<(&'static str, Vec<Arc<Stored>>)> = Vec::new();
        let mut keep = |word: &'static str, pick: &Pick| stored.push((word, pick.files.files.clone()));

        keep("mmdit", &mmdit);
        let config = match &mmdit.settings {
            Some(path) => settings::mmdit(path)?,
            None => infer::mmdit(&mmdit.files, &mmdit.found)?,
        };
        let kind = kind(&config, &mmdit, &sources.model);
        let mut mmdit = component(&mmdit, config, names::mmdit)?;

        let vae = self.vae.map(|pick| {
            keep("vae", &pick);
            let config = match (&pick.settings, side("vae/config.json")) {
                (Some(path), _) => settings::vae(path)?,
                (None, Some(path)) => {
                    let said = settings::vae(&path)?;
                    let same = infer::shapes_of_vae(&pick.files, &pick.found);
                    match same.is_ok_and(|(channels, layers, latent)| {
                        (&channels, layers, latent) == (&said.channels, said.layers, said.latent)
                    }) {
                        true => said,
                        false => infer::vae(&pick.files, &pick.found)?,
                    }
                }
                (None, None) => infer::vae(&pick.files, &pick.found)?,
            };
            component(&pick, config, names::vae)
        });
        let mut clip = |pick: Option<Pick>, encoder: Encoder| {
            pick.map(|pick| {
                keep(encoder.word(), &pick);
                clip(&pick, encoder, side(folder_of(encoder, "config.json").as_str()))
            })
        };
        let (clip_l, clip_g) = (clip(self.clip_l, Encoder::ClipL), clip(self.clip_g, Encoder::ClipG));
        let t5 = self.t5.map(|pick| {
            keep(Encoder::T5.word(), &pick);
            let config = match (&pick.settings, side("text_encoder_3/config.json")) {
                (Some(path), _) => settings::t5(path)?,
                (None, said) => {
                    let seen = infer::t5(&pick.files, &pick.found)?;
                    let said = said.map(|path| settings::t5(&path)).transpose()?;
                    // What tensors do not show may be taken from a configuration that agrees in all else.
                    let shape = |config: &T5Config| T5Config { distance: 0, eps: 0.0, ..config.clone() };
                    said.filter(|said| shape(said) == shape(&seen)).unwrap_or(seen)
                }
            };
            component(&pick, config, names::t5)
        });
        let (vae, mut clip_l, mut clip_g, mut t5) =
            (vae.transpose()?, clip_l.transpose()?, clip_g.transpose()?, t5.transpose()?);

        agree(&mmdit.config, vae.as_ref(), [clip_l.as_ref(), clip_g.as_ref()], t5.as_ref())?;

        let scheduler = match side("scheduler/scheduler_config.json") {
            Some(path) => settings::scheduler(&path)?,
            None => Scheduler { shift: 3.0, train_steps: 1000 },
        };
        let tokenizers = tokenizers(sources, homes)?;
        let mut files: Vec<FileUse> = Vec::new();
        for stored in stored.iter().flat_map(|(_, files)| files) {
            if !files.iter().any(|file| file.path == stored.path) {
                files.push(FileUse { path: stored.path.clone(), bytes: stored.map.bytes().len() as u64 });
            }
        }
        let mut parts =
            lora::Parts { mmdit: &mut mmdit, clip_l: clip_l.as_mut(), clip_g: clip_g.as_mut(), t5: t5.as_mut() };
        let (mut loras, mut adapters) = (Vec::new(), Vec::new());
        for (path, weight) in &sources.loras {
            let (stored, targets) = lora::add(path, *weight, &mut parts)?;
            loras.push(LoraUse { path: path.clone(), weight: *weight, targets });
            adapters.push(stored);
        }
        let skipped = self.skipped;
        Ok(Weights {
            mmdit,
            vae,
            clip_l,
            clip_g,
            t5,
            scheduler,
            files,
            tokenizers,
            kind,
            loras,
            skipped,
            stored,
            adapters,
        })
    }
}

/// A place on the shelf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    Mmdit,
    Vae,
    Encoder(Encoder),
}

/// The parts in `files`.
fn picks(files: &Files) -> Vec<Pick> {
    let others = find::parts(files);
    let pick =
        |found: &Found| Pick { files: files.clone(), found: found.clone(), others: others.clone(), settings: None };
    others.iter().map(pick).collect()
}

/// Features of the tokens of an encoder.
fn width(pick: &Pick) -> Option<usize> {
    let name = format!("{}text_model.embeddings.token_embedding.weight", pick.found.prefix);
    pick.files.shape(&name).and_then(|shape| shape.get(1)).copied()
}

/// Which CLIP it is, where its place in the file, its size, or at last the file's name say so.
fn named(pick: &Pick) -> Option<Encoder> {
    let by = |text: &str| match (text.contains("clip_l"), text.contains("clip_g")) {
        (true, false) => Some(Encoder::ClipL),
        (false, true) => Some(Encoder::ClipG),
        _ => None,
    };
    let size = || match width(pick) {
        Some(768) => Some(Encoder::ClipL),
        Some(1280) => Some(Encoder::ClipG),
        _ => None,
    };
    let file = || by(&pick.files.path().file_name()?.to_string_lossy().to_ascii_lowercase().replace('-', "_"));
    by(&pick.found.prefix).or_else(size).or_else(file)
}

/// The files of weights in a folder that hold a part of SD3.5, and those that could not be read.
type Search = (Vec<Vec<Pick>>, Vec<(PathBuf, String)>);

fn search(folder: &Path, except: Option<&Path>) -> Result<Search, DiffusionError> {
    let mut paths = Vec::new();
    let entries = std::fs::read_dir(folder).map_err(|err| refuse(folder, err.to_string()))?;
    for entry in entries {
        let path = entry.map_err(|err| refuse(folder, err.to_string()))?.path();
        if kind_of_name(&path).is_some() && Some(path.as_path()) != except {
            paths.push(path);
        }
    }
    // The order of a folder is no order.
    paths.sort();
    if paths.len() > SIBLINGS_MAX {
        return Err(refuse(folder, format!("it has {} files of weights: give the model's own file", paths.len())));
    }
    let indexes: Vec<PathBuf> = paths.iter().filter(|path| kind_of_name(path) == Some(Name::Index)).cloned().collect();
    let (mut found, mut skipped) = (Vec::new(), Vec::new());
    for path in paths {
        // A shard is read through its index.
        let of_index = |index: &PathBuf| shard_stem(&path).is_some_and(|stem| index.to_string_lossy().contains(&stem));
        if kind_of_name(&path) == Some(Name::File) && indexes.iter().any(of_index) {
            continue;
        }
        match Files::open(&path) {
            Ok(files) => {
                let picks = picks(&files);
                if !picks.is_empty() {
                    found.push(picks);
                }
            }
            Err(DiffusionError::File { path, reason }) => skipped.push((path, reason)),
            Err(err) => skipped.push((path, err.to_string())),
        }
    }
    Ok((found, skipped))
}

/// What a file's name promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    File,
    Index,
}

fn kind_of_name(path: &Path) -> Option<Name> {
    let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
    if name.ends_with(".safetensors") || name.ends_with(".gguf") {
        Some(Name::File)
    } else if name.contains(".safetensors.index.") && name.ends_with(".json") {
        Some(Name::Index)
    } else {
        None
    }
}

/// `model` of `model-00001-of-00002.safetensors`, with the folder.
fn shard_stem(path: &Path) -> Option<String> {
    let name = path.to_string_lossy();
    let (front, count) = name.strip_suffix(".safetensors")?.rsplit_once("-of-")?;
    let (stem, number) = front.rsplit_once('-')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // The variant stands before the numbers in shards and behind the stem in their index.
    let stem =
        stem.rsplit_once('.').filter(|(_, variant)| !variant.contains(['/', '\\'])).map_or(stem, |(stem, _)| stem);
    (digits(number) && digits(count)).then(|| stem.to_owned())
}

/// A part of diffusers' layout: its `config.json` and its file, shards or variant.
fn part_folder(folder: &Path, kind: Kind) -> Result<Pick, DiffusionError> {
    let settings = folder.join("config.json");
    if !settings.is_file() {
        return Err(refuse(&settings, "there is none: expected diffusers' configuration beside the weights"));
    }
    let files = Files::open(&part_file(folder)?)?;
    let mut picks = picks(&files);
    match picks.iter().position(|pick| pick.found.kind == kind) {
        Some(place) => Ok(Pick { settings: Some(settings), ..picks.swap_remove(place) }),
        None if picks.is_empty() => Err(find::refuse_stranger(&files)),
        None => Err(refuse(
            files.path(),
            format!("it has the {}: expected the {}", picks[0].found.kind.word(), kind.word()),
        )),
    }
}

/// The file or index of a part's folder: that without a variant, else the only variant.
fn part_file(folder: &Path) -> Result<PathBuf, DiffusionError> {
    let stems = ["diffusion_pytorch_model", "model"];
    for stem in stems {
        for ending in ["safetensors", "safetensors.index.json"] {
            let path = folder.join(format!("{stem}.{ending}"));
            if path.is_file() {
                return Ok(path);
            }
        }
    }
    let mut variants = Vec::new();
    let mut others = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|err| refuse(folder, err.to_string()))? {
        let path = entry.map_err(|err| refuse(folder, err.to_string()))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match kind_of_name(&path) {
            Some(Name::Index) => variants.push(path),
            Some(Name::File) if shard_stem(&path).is_none() => variants.push(path),
            _ if [".bin", ".pt", ".ckpt", ".msgpack", ".h5"].iter().any(|end| name.ends_with(end)) => others.push(name),
            _ => {}
        }
    }
    variants.sort();
    match &variants[..] {
        [one] => Ok(one.clone()),
        [] if !others.is_empty() => Err(refuse(
            folder,
            format!("it has {} alone, which can run code when it is read: expected .safetensors", others[0]),
        )),
        [] => Err(refuse(folder, "it has no .safetensors file")),
        [first, second, ..] => {
            let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            Err(refuse(folder, format!("it has {} and {}: leave one", name(first), name(second))))
        }
    }
}

/// A part that was given by its path: a file, or a folder of diffusers'.
fn given(path: &Path, slot: Slot) -> Result<Pick, DiffusionError> {
    let (kind, folder) = match slot {
        Slot::Mmdit => (Kind::Mmdit, "transformer".to_owned()),
        Slot::Vae => (Kind::Vae, "vae".to_owned()),
        Slot::Encoder(Encoder::T5) => (Kind::T5, folder_of(Encoder::T5, "")),
        Slot::Encoder(encoder) => (Kind::Clip, folder_of(encoder, "")),
    };
    if path.is_dir() {
        let inner = path.join(folder.trim_end_matches('/'));
        return part_folder(if inner.is_dir() { &inner } else { path }, kind);
    }
    let files = Files::open(path)?;
    let mut picks = picks(&files);
    picks.retain(|pick| pick.found.kind == kind);
    // A file of a whole model has both CLIPs.
    if picks.len() > 1
        && let Slot::Encoder(encoder) = slot
    {
        picks.retain(|pick| named(pick) == Some(encoder));
    }
    match (picks.pop(), picks.pop()) {
        (Some(pick), None) => Ok(pick),
        (Some(_), Some(_)) => Err(refuse(path, format!("it has more than one {}", kind.word()))),
        (None, _) => {
            let has = find::parts(&files).first().map(|found| format!("it has the {}", found.kind.word()));
            let has = has.unwrap_or_else(|| format!("this is {}", find::stranger(&files)));
            Err(refuse(path, format!("{has}; expected the {}", kind.word())))
        }
    }
}

/// diffusers' folder of an encoder.
fn folder_of(encoder: Encoder, file: &str) -> String {
    let folder = match encoder {
        Encoder::ClipL => "text_encoder",
        Encoder::ClipG => "text_encoder_2",
        Encoder::T5 => "text_encoder_3",
    };
    format!("{folder}/{file}")
}

fn component<C>(
    pick: &Pick,
    config: C,
    wants: impl Fn(&C) -> Vec<names::Want>,
) -> Result<Component<C>, DiffusionError> {
    let params = gather::gather(&pick.files, &pick.found, &pick.others, &wants(&config))?;
    Ok(Component { config, params, files: pick.files.paths() })
}

/// A CLIP text encoder with the configuration of its folder, or that which its tensors show.
fn clip(pick: &Pick, encoder: Encoder, said: Option<PathBuf>) -> Result<Component<ClipConfig>, DiffusionError> {
    let config = match (&pick.settings, said) {
        (Some(path), _) => settings::clip(path)?,
        (None, said) => {
            let seen = infer::clip(&pick.files, &pick.found, encoder)?;
            let said = said.map(|path| settings::clip(&path)).transpose()?;
            // What tensors do not show may be taken from a configuration that agrees in all else.
            let shape = |config: &ClipConfig| ClipConfig { heads: 0, act: seen.act, end: 0, ..config.clone() };
            match said.filter(|said| shape(said) == shape(&seen)) {
                Some(said) => said,
                None if seen.hidden % seen.heads != 0 || seen.hidden / seen.heads != infer::HEAD => {
                    return Err(refuse(
                        pick.files.path(),
                        format!(
                            "nothing says into how many heads the {} features of {} are split; give the folder whose {} says \
                             it (--tokenizers)",
                            seen.hidden,
                            encoder.word(),
                            folder_of(encoder, "config.json")
                        ),
                    ));
                }
                None => seen,
            }
        }
    };
    let projection = format!("{}text_projection.weight", pick.found.prefix);
    let single = pick.settings.is_none();
    // SD3 was made with CLIP-L's features before any projection, and files of it alone may carry one that was never used.
    let ignored = single && encoder == Encoder::ClipL;
    let turned = turned_projection(pick)?;
    let config = if ignored { ClipConfig { projection: config.hidden, ..config } } else { config };
    let projected = pick.files.has(&projection) && !ignored;
    let mut built = component(pick, config, |config| names::clip(config, projected))?;
    if let Some(turned) = turned.filter(|_| !projected && !ignored) {
        built.params.0.insert("text_projection.weight".into(), Param::whole(turned));
    } else if !projected && !ignored {
        return Err(refuse(pick.files.path(), format!("{} lacks {projection:?}", encoder.word())));
    }
    Ok(built)
}

/// OpenCLIP's projection, which stands the other way round under a name without `.weight`: the one matrix that is copied.
fn turned_projection(pick: &Pick) -> Result<Option<Tensor>, DiffusionError> {
    let prefix = &pick.found.prefix;
    let outer = prefix.strip_suffix("transformer.").unwrap_or(prefix);
    for name in [format!("{prefix}text_projection"), format!("{outer}text_projection")] {
        let Some(tensor) = pick.files.tensor(&name)? else { continue };
        let &[width, out] = tensor.shape() else {
            return Err(refuse(pick.files.path(), format!("tensor {name:?} is {tensor:?}: expected a matrix")));
        };
        if Some(width) != self::width(pick) {
            return Err(refuse(
                pick.files.path(),
                format!("tensor {name:?} is {tensor:?}: expected {:?} rows", self::width(pick)),
            ));
        }
        let param = Param::whole(tensor);
        let mut numbers = vec![0.0; width * out];
        crate::rows::read(&param, 0..width, &mut numbers);
        let turned: Vec<f32> = (0..width * out).map(|place| numbers[place % width * out + place / width]).collect();
        return Ok(Some(Tensor::of_f32(vec![out, width], &turned)));
    }
    Ok(None)
}

/// Whether parts that may come from different files fit each other.
fn agree(
    mmdit: &MmditConfig,
    vae: Option<&Component<VaeConfig>>,
    clips: [Option<&Component<ClipConfig>>; 2],
    t5: Option<&Component<T5Config>>,
) -> Result<(), DiffusionError> {
    let unlike = |files: &[PathBuf], what: &str, has: usize, expected: usize| match has == expected {
        true => Ok(()),
        false => Err(refuse(
            files.first().map_or(Path::new(""), PathBuf::as_path),
            format!("it has {has} {what}, and the transformer takes {expected}: it belongs to another model"),
        )),
    };
    if let Some(vae) = vae {
        unlike(&vae.files, "channels of latents", vae.config.latent, mmdit.in_channels)?;
    }
    if let Some(t5) = t5 {
        unlike(&t5.files, "features of a token", t5.config.hidden, mmdit.context)?;
    }
    if let [Some(clip_l), Some(clip_g)] = clips {
        let pooled = clip_l.config.projection + clip_g.config.projection;
        unlike(&clip_g.files, "pooled features with CLIP-L's", pooled, mmdit.pooled)?;
    }
    Ok(())
}

/// Blocks of the published models.
const MEDIUM_DEPTH: usize = 24;
const LARGE_DEPTH: usize = 38;

/// Which model it is.
fn kind(config: &MmditConfig, pick: &Pick, model: &Path) -> ModelKind {
    let turbo = |text: &str| text.to_ascii_lowercase().contains("turbo");
    let names = [model, pick.files.path()];
    let by_name = names.iter().filter_map(|path| path.file_name()).any(|name| turbo(&name.to_string_lossy()));
    let by_itself = pick.files.metadata().any(|(key, value)| {
        (key.starts_with("modelspec.") || key.starts_with("general.")) && value.len() < 4096 && turbo(value)
    });
    match config.depth {
        MEDIUM_DEPTH if !config.dual.is_empty() => ModelKind::Medium,
        LARGE_DEPTH if by_name || by_itself => ModelKind::Turbo,
        LARGE_DEPTH => ModelKind::Large,
        _ => ModelKind::Other,
    }
}

/// The folders of tokenizers: those of the folder that was named for them, else those beside the model.
fn tokenizers(sources: &Sources, homes: &[&Path]) -> Result<TokenizerPaths, DiffusionError> {
    let find = |name: &str| homes.iter().map(|home| home.join(name)).find(|path| path.is_dir());
    let paths = TokenizerPaths { clip_l: find("tokenizer"), clip_g: find("tokenizer_2"), t5: find("tokenizer_3") };
    let Some(named) = &sources.tokenizers else { return Ok(paths) };
    let any = ["tokenizer", "tokenizer_2", "tokenizer_3"].iter().any(|name| named.join(name).is_dir());
    match any {
        true => Ok(paths),
        false => Err(refuse(
            named,
            "it has no folder \"tokenizer\", \"tokenizer_2\" or \"tokenizer_3\", as diffusers' layout has them",
        )),
    }
}

impl Weights {
    /// The parts that the model has, for messages.
    pub fn encoders(&self) -> Vec<Encoder> {
        let has = [
            (self.clip_l.is_some(), Encoder::ClipL),
            (self.clip_g.is_some(), Encoder::ClipG),
            (self.t5.is_some(), Encoder::T5),
        ];
        has.into_iter().filter(|(has, _)| *has).map(|(_, encoder)| encoder).collect()
    }
}

/// Everything that reads a file's bytes, for the fuzzer: whatever they are, it comes back without a panic.
#[cfg(any(test, fuzzing))]
pub fn probe(bytes: &[u8]) {
    let path = Path::new("bytes");
    let Ok(table) = file::table(bytes) else { return };
    let stored = Arc::new(Stored { path: path.to_path_buf(), table, map: Arc::new(bytes.to_vec()) });
    for (name, entry) in &stored.table.entries {
        let tensor = stored.tensor(name).ok().flatten();
        // A table that was accepted has only tensors that can be read.
        assert_eq!(tensor.is_some(), entry.dtype.is_ok(), "{name}");
        if let (Some(tensor), Ok(dtype)) = (tensor, &entry.dtype) {
            let mut some = [0.0; 40];
            let count = tensor.len().min(some.len());
            crate::rows::decode(*dtype, tensor.bytes(), tensor.len() - count, &mut some[..count]);
            hash::finite(*dtype, tensor.bytes());
        }
    }
    let files = Files::one(stored);
    let mut shelf = Shelf::default();
    let found = picks(&files);
    if found.is_empty() {
        let _ = find::refuse_stranger(&files);
    }
    if shelf.take(found, &|_| true).is_err() {
        return;
    }
    let encoders = [(&shelf.clip_l, Encoder::ClipL), (&shelf.clip_g, Encoder::ClipG)];
    let _ = encoders.map(|(pick, encoder)| pick.as_ref().map(|pick| clip(pick, encoder, None)));
    let _ = shelf.t5.as_ref().map(|pick| component(pick, infer::t5(&pick.files, &pick.found)?, names::t5));
    let _ = shelf.vae.as_ref().map(|pick| component(pick, infer::vae(&pick.files, &pick.found)?, names::vae));
    let _ = shelf.mmdit.as_ref().map(|pick| component(pick, infer::mmdit(&pick.files, &pick.found)?, names::mmdit));
    let tiny = MmditConfig {
        depth: 1,
        hidden: 2,
        heads: 1,
        dual: Vec::new(),
        qk_norm: false,
        position_side: 1,
        patch: 1,
        in_channels: 1,
        out_channels: 1,
        context: 1,
        pooled: 1,
    };
    let mut mmdit = Component { config: tiny, params: Params::default(), files: Vec::new() };
    for want in names::mmdit(&mmdit.config) {
        let numbers = vec![0.0; want.shape.iter().product()];
        mmdit.params.0.insert(want.name, Param::whole(Tensor::of_f32(want.shape, &numbers)));
    }
    let mut parts = lora::Parts { mmdit: &mut mmdit, clip_l: None, clip_g: None, t5: None };
    if let Some(stored) = files.files.first()
        && lora::merge(stored, 1.0, &mut parts).is_ok()
    {
        for param in mmdit.params.0.values() {
            let mut numbers = vec![0.0; param.rows() * param.row_len()];
            crate::rows::read(param, 0..param.rows(), &mut numbers);
        }
    }
}

#[cfg(test)]
mod tests;
