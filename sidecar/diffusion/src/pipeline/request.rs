//! What is asked for, and how it is fitted into memory.

use crate::device::byte_of;
use crate::dtype::Precision;
use crate::error::DiffusionError;
use crate::noise::NoiseKind;
use crate::sampler::{Guidance, Method};
use crate::text::encode::Prompt;
use crate::vae::tiles::Tiles;

/// What is to be drawn: everything here decides pixels.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// What the picture shows.
    pub prompt: Prompts,
    /// What it does not show; read only where guidance is above 1.
    pub negative: Prompts,
    /// Pixels from left to right, a multiple of what [`crate::pipeline::Model::multiple`] says (16).
    pub width: usize,
    /// Pixels from top to bottom, likewise.
    pub height: usize,
    /// Steps of the whole schedule; with a strength below 1 only the last of them are walked.
    pub steps: usize,
    /// Guidance by the prompt, and by left-out layers.
    pub guidance: Guidance,
    /// How to walk.
    pub method: Method,
    /// Shift of the schedule; the model's own where it is `None`.
    pub shift: Option<f64>,
    /// How many pictures, and what they begin with.
    pub seeds: Seeds,
    /// Where random numbers come from.
    pub noise: NoiseKind,
    /// The picture to begin with.
    pub source: Option<Source>,
    /// Whether T5 reads the prompt, where the model has it.
    pub t5: bool,
    /// Tokens of T5: 256 in diffusers.
    pub t5_tokens: usize,
    /// Of text encoders and transformer.
    pub precision: Precision,
    /// Of the autoencoder.
    pub vae_precision: Precision,
    /// The transformer sees the picture in tiles of this kind: for pictures larger than it was trained for, with a
    /// source that gives them their composition. Noise is one field over the whole picture and velocities are blended at
    /// every step, so that no seam can appear.
    pub tiled: Option<Tiles>,
}

/// How many pictures, and what they begin with.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Seeds {
    /// A picture for each. A seed gives the same picture alone and among others.
    Each(Vec<u64>),
    /// All from one generator, which goes on from picture to picture, as diffusers draws with `num_images_per_prompt`.
    One {
        /// Of the generator.
        seed: u64,
        /// How many.
        pictures: usize,
    },
}

impl Seeds {
    /// How many pictures.
    pub fn pictures(&self) -> usize {
        match self {
            Self::Each(seeds) => seeds.len(),
            Self::One { pictures, .. } => *pictures,
        }
    }

    /// The seed that picture `index` belongs to.
    pub fn of(&self, index: usize) -> u64 {
        match self {
            Self::Each(seeds) => seeds.get(index).copied().unwrap_or(0),
            Self::One { seed, .. } => *seed,
        }
    }
}

/// A text for each encoder. Where the second or third is empty, that encoder reads the first.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Prompts {
    /// For CLIP-L.
    pub clip_l: String,
    /// For CLIP-G.
    pub clip_g: String,
    /// For T5.
    pub t5: String,
}

impl Prompts {
    /// The same for all.
    pub fn all(text: &str) -> Self {
        Self { clip_l: text.to_owned(), ..Self::default() }
    }

    pub(crate) fn for_encoders(&self) -> Prompt<'_> {
        Prompt { prompt: &self.clip_l, prompt_2: Some(&self.clip_g), prompt_3: Some(&self.t5) }
    }
}

/// A picture to begin with.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// Of the request's size.
    pub picture: Picture,
    /// How much of the way from noise is walked, 0 to 1. At 1 nothing of the picture is left but what a mask keeps.
    pub strength: f64,
    /// Where it may change; everywhere without one.
    pub mask: Option<Mask>,
}

/// Pixels, row by row: red, green and blue from 0 to 1.
#[derive(Clone, PartialEq)]
pub struct Picture {
    /// Pixels from left to right.
    pub width: usize,
    /// Pixels from top to bottom.
    pub height: usize,
    /// Three for every pixel.
    pub pixels: Vec<f32>,
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Picture({} x {})", self.width, self.height)
    }
}

impl Picture {
    /// Out of bytes, as files have them; `None` unless they are as many as the size says.
    pub fn of_rgb8(width: usize, height: usize, bytes: &[u8]) -> Option<Self> {
        let fits = width.checked_mul(height)?.checked_mul(3)? == bytes.len();
        let pixels = || bytes.iter().map(|byte| f32::from(*byte) / 255.0).collect();
        fits.then(|| Self { width, height, pixels: pixels() })
    }

    /// As files have them: `round(255 x)`, ties to even as numpy rounds them.
    pub fn to_rgb8(&self) -> Vec<u8> {
        self.pixels.iter().map(|number| byte_of(number.clamp(0.0, 1.0))).collect()
    }

    /// The same bytes, with an alpha of 255.
    pub fn to_rgba8(&self) -> Rgba8 {
        let byte = |number: &f32| byte_of(number.clamp(0.0, 1.0));
        let (pixels, _) = self.pixels.as_chunks::<3>();
        let pixels = pixels.iter().flat_map(|[red, green, blue]| [byte(red), byte(green), byte(blue), 255]).collect();
        Rgba8 { width: self.width, height: self.height, pixels }
    }
}

/// Pixels as most readers of pictures want them, row by row: bytes of red, green, blue and an alpha of 255.
#[derive(Clone, PartialEq, Eq)]
pub struct Rgba8 {
    /// Pixels from left to right.
    pub width: usize,
    /// Pixels from top to bottom.
    pub height: usize,
    /// Four for every pixel.
    pub pixels: Vec<u8>,
}

impl std::fmt::Debug for Rgba8 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rgba8({} x {})", self.width, self.height)
    }
}

/// Where a picture may change.
#[derive(Clone, PartialEq)]
pub struct Mask {
    /// Of the picture's size, 0 (keep) to 1 (change).
    pub pixels: Vec<f32>,
    /// How the rest is kept.
    pub mode: MaskMode,
}

impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mask({} pixels, {:?})", self.pixels.len(), self.mode)
    }
}

/// How what a mask does not cover is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MaskMode {
    /// Pixels where the mask is 0 are those of the source, bit for bit. The drawn part fades in over so many pixels
    /// inside the mask.
    Keep {
        /// 0 for a hard edge.
        feather_px: usize,
    },
    /// As diffusers' `StableDiffusion3InpaintPipeline`: latents are kept, so all pixels go through the autoencoder and
    /// change a little; the mask is 0 or 1; and latents are not shifted back before they are decoded.
    Diffusers,
}

/// How a request is fitted into memory. Nothing here decides pixels but `tiles` and `eights`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Layout {
    /// Pictures that are drawn at once; more are drawn in turn.
    pub pictures: usize,
    /// Whether the calls with and without the prompt are one batch.
    pub guided: Guided,
    /// What becomes of the text encoders when the text is read.
    pub text: Keep,
    /// What becomes of the parameters that are read once a picture (a third of Large, for the modulations of its blocks).
    /// Where they leave, they and the rest of the transformer are never loaded together, and either is loaded anew for
    /// the next picture.
    pub modulation: Keep,
    /// The autoencoder sees a picture in tiles of this kind. Lossy.
    pub tiles: Option<Tiles>,
    /// The matrices of the transformer's blocks are kept in eight bits, half of their bytes, and their products are made in
    /// eight bits too. Lossy, and for devices that [can](crate::device::Device::keeps_eights).
    pub eights: bool,
}

impl Layout {
    /// Everything at once: the most memory and the least time.
    pub fn widest(pictures: usize) -> Self {
        Self {
            pictures,
            guided: Guided::Together,
            text: Keep::Stays,
            modulation: Keep::Stays,
            tiles: None,
            eights: false,
        }
    }
}

/// Whether the calls with and without the prompt are one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Guided {
    /// One call for both.
    Together,
    /// One after the other, with half the activations.
    Apart,
}

/// What becomes of weights that are not needed any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Keep {
    /// They stay loaded for the next picture.
    Stays,
    /// They are unloaded.
    Leaves,
}

/// Something that changes pixels to save memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lossy {
    /// The autoencoder sees tiles.
    TiledVae,
    /// The transformer's products are made in eight bits.
    Fp8,
}

impl Lossy {
    /// The word in settings, keys and reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::TiledVae => "tiled-vae",
            Self::Fp8 => "fp8",
        }
    }
}

/// Pictures of one request: what latents, masks and noise of one picture take on the host bounds them already, and a
/// request for more is a mistake.
pub const PICTURES_MAX: usize = 256;

impl Request {
    /// Refuses what no model could draw; sizes are checked against the model.
    ///
    /// # Errors
    /// [`DiffusionError::Request`] with what to do.
    pub fn check(&self, multiple: usize) -> Result<(), DiffusionError> {
        let refuse = |reason: String| Err(DiffusionError::Request(reason));
        let (width, height) = (self.width, self.height);
        if width == 0 || height == 0 || !width.is_multiple_of(multiple) || !height.is_multiple_of(multiple) {
            let next = |side: usize| side.div_ceil(multiple).max(1).saturating_mul(multiple);
            return refuse(format!(
                "draw {width} x {height} pixels: this model draws multiples of {multiple}; ask for {} x {} and crop",
                next(width),
                next(height)
            ));
        }
        let pictures = self.seeds.pictures();
        if !(1..=PICTURES_MAX).contains(&pictures) {
            return refuse(format!("draw {pictures} pictures at once: ask for 1 to {PICTURES_MAX}"));
        }
        if !self.guidance.scale.is_finite() {
            return refuse(format!("guide by {}: guidance is a number, usually 1 to 10", self.guidance.scale));
        }
        if let Some(skip) = &self.guidance.skip {
            let sound = |share: f64| (0.0..=1.0).contains(&share);
            if !self.guidance.doubles() {
                return refuse("guide by left-out layers: that needs a guidance above 1".to_owned());
            }
            if skip.layers.is_empty() || !skip.scale.is_finite() || !sound(skip.start) || !sound(skip.stop) {
                return refuse(
                    "guide by left-out layers: name at least one layer, a scale, and a beginning and an end from 0 to 1"
                        .to_owned(),
                );
            }
        }
        if let Some(tiles) = self.tiled {
            tiles.checked()?;
        }
        match &self.source {
            Some(source) => source.check(width, height),
            None => Ok(()),
        }
    }
}

impl Source {
    fn check(&self, width: usize, height: usize) -> Result<(), DiffusionError> {
        let refuse = |reason: String| Err(DiffusionError::Request(reason));
        let picture = &self.picture;
        if (picture.width, picture.height) != (width, height) || picture.pixels.len() != width * height * 3 {
            return refuse(format!(
                "draw {width} x {height} pixels from a picture of {} x {}: resize it first",
                picture.width, picture.height
            ));
        }
        if !picture.pixels.iter().all(|number| (0.0..=1.0).contains(number)) {
            return refuse("draw from a picture whose pixels are not from 0 to 1".to_owned());
        }
        if let Some(mask) = &self.mask {
            if mask.pixels.len() != width * height {
                return refuse(format!(
                    "draw {width} x {height} pixels with a mask of {}: resize it first",
                    mask.pixels.len()
                ));
            }
            if !mask.pixels.iter().all(|number| (0.0..=1.0).contains(number)) {
                return refuse("draw with a mask whose pixels are not from 0 to 1".to_owned());
            }
            if mask.pixels.iter().all(|number| *number < 0.5) {
                return refuse("draw with a mask that covers nothing: nothing would change".to_owned());
            }
        }
        Ok(())
    }
}
