//! Pictures from requests: text to features, source to latents, noise to latents, latents to pictures.
//!
//! ```text
//! Request ─► check ─► text ─► encode (with a source) ─► denoise: prepare, step, step, … ─► decode ─► Drawn
//!        └─► estimate: the bytes of every phase, exactly those that the run reserves
//! ```
//! Behaviour is that of diffusers' `StableDiffusion3Pipeline`, `…Img2ImgPipeline` and `…InpaintPipeline`, down to the
//! order in which random numbers are drawn. Latents lie on the host between phases, as rows of pixels in singles; all
//! pictures of a request walk the schedule together, some at a time through the transformer.
//!
//! One memory is reserved for the text, and one for all phases of pixels. Nothing is reserved while a program runs.

mod estimate;
mod request;
pub(crate) mod stage;

use crate::config::{ClipConfig, MmditConfig, T5Config, VaeConfig};
use crate::device::{Device, DeviceClass};
use crate::error::DiffusionError;
use crate::param::Params;

pub use self::estimate::{Estimate, Phase, PhaseKind, flops};
pub use self::request::{
    Guided, Keep, Layout, Lossy, Mask, MaskMode, NoiseKind, PICTURES_MAX, Picture, Prompts, Request, Seeds, Source,
};

/// A part of a model: what it is made of, and its parameters as they lie in files.
#[derive(Debug, Clone)]
pub struct Part<C> {
    /// What it is made of.
    pub config: C,
    /// Under the names of the original files.
    pub params: Params,
}

/// A model that is not loaded yet. Parameters are mapped, so that a copy costs nothing.
#[derive(Debug, Clone)]
pub struct Model {
    /// The transformer.
    pub mmdit: Part<MmditConfig>,
    /// The autoencoder.
    pub vae: Part<VaeConfig>,
    /// The first text encoder.
    pub clip_l: Option<Part<ClipConfig>>,
    /// The second text encoder.
    pub clip_g: Option<Part<ClipConfig>>,
    /// The third text encoder.
    pub t5: Option<Part<T5Config>>,
    /// The scheduler's shift.
    pub shift: f64,
}

impl Model {
    /// Sides of pictures are multiples of this: 16 for SD3.5.
    pub fn multiple(&self) -> usize {
        self.vae.config.factor() * self.mmdit.config.patch
    }

    /// The longest side that it has positions for.
    pub fn side_max(&self) -> usize {
        self.mmdit.config.position_side * self.multiple()
    }
}

/// Sees a run go on, and may end it. All calls come from the thread that draws.
pub trait Watch {
    /// After every call of the transformer for all pictures: `done` of `of`.
    fn step(&self, done: usize, of: usize, preview: Option<&Preview>) {
        let _ = (done, of, preview);
    }

    /// Whether [`Watch::step`] wants a picture.
    fn previews(&self) -> bool {
        false
    }

    /// Asked between operations.
    fn cancelled(&self) -> bool {
        false
    }
}

/// Nobody watches.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwatched;

impl Watch for Unwatched {}

/// The first picture of a request as it looks so far, a pixel for every latent pixel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// Pixels from left to right.
    pub width: usize,
    /// Pixels from top to bottom.
    pub height: usize,
    /// Red, green, blue.
    pub rgb8: Vec<u8>,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// In the order of the request's seeds.
    pub pictures: Vec<Drawn>,
    /// What changed pixels to save memory.
    pub lossy: Vec<Lossy>,
    /// The class of device that gives the same bytes.
    pub class: DeviceClass,
}

/// A picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawn {
    /// Its seed.
    pub seed: u64,
    /// It.
    pub picture: Picture,
}

/// A model on a device.
pub struct Engine<D: Device> {
    device: D,
    model: Model,
}

impl<D: Device> std::fmt::Debug for Engine<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("mmdit", &self.model.mmdit.config).finish_non_exhaustive()
    }
}

impl<D: Device> Engine<D> {
    /// `model` on `device`. Nothing is loaded before the first picture needs it.
    pub fn new(device: D, model: Model) -> Self {
        Self { device, model }
    }

    /// The device.
    pub fn device(&self) -> &D {
        &self.device
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// What `request` takes in `layout`.
    ///
    /// # Errors
    /// When the request is not sound.
    pub fn estimate(&self, request: &Request, layout: &Layout) -> Result<Estimate, DiffusionError> {
        estimate(&self.device, &self.model, request, layout)
    }

    /// Draws `request` in `layout`.
    ///
    /// # Errors
    /// When the request is not sound, the model lacks a part, memory does not suffice, the device fails, or
    /// [`DiffusionError::Cancelled`].
    pub fn draw(&mut self, request: &Request, layout: &Layout, watch: &dyn Watch) -> Result<Outcome, DiffusionError> {
        let _ = (layout, watch);
        request.check(self.model.multiple())?;
        Err(DiffusionError::Missing("draw: the pipeline is not wired yet".to_owned()))
    }

    /// Unloads all weights; the next picture loads them again.
    pub fn unload(&mut self) {}
}

/// What `request` takes in `layout`, before anything is loaded or reserved.
///
/// # Errors
/// When the request is not sound.
pub fn estimate<D: Device>(
    device: &D,
    model: &Model,
    request: &Request,
    layout: &Layout,
) -> Result<Estimate, DiffusionError> {
    let _ = (device, layout);
    request.check(model.multiple())?;
    Ok(Estimate::of(Vec::new()))
}
