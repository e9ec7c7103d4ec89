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

mod coder;
mod denoise;
mod estimate;
mod given;
mod mask;
mod plan;
mod random;
mod request;
pub(crate) mod stage;
#[cfg(test)]
mod tests;
mod texts;

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::{MmditConfig, VaeConfig};
use crate::device::{Device, DeviceClass};
use crate::dtype::Precision;
use crate::error::DiffusionError;
use crate::param::Params;
use crate::pipeline::denoise::Running;
use crate::pipeline::given::Given;
use crate::pipeline::plan::{Key, Plan};
use crate::pipeline::random::Random;
use crate::pipeline::texts::Texts;
use crate::sampler::Sampler;
use crate::text::encode::{self, Conditioning, Parts};
use crate::text::tokenizer::Truncated;
use crate::weights::{Component, Weights};

pub use self::estimate::{Estimate, Phase, PhaseKind, flops};
pub use self::mask::{FEATHER_PX_MAX, shares as mask_shares};
pub use self::request::{
    Guided, Keep, Layout, Lossy, Mask, MaskMode, PICTURES_MAX, Picture, Prompts, Request, Rgba8, Seeds, Source,
};

/// A model that is not loaded yet. Parameters are mapped, so that a copy costs nothing.
#[derive(Debug, Clone)]
pub struct Model {
    /// The transformer.
    pub mmdit: Component<MmditConfig>,
    /// The autoencoder.
    pub vae: Component<VaeConfig>,
    /// The text encoders.
    pub text: Parts,
    /// The scheduler's shift.
    pub shift: f64,
}

impl Model {
    /// Out of opened weights; `identity` is their hash.
    ///
    /// # Errors
    /// [`DiffusionError::Missing`] without an autoencoder, [`DiffusionError::Request`] for a scheduler of another kind.
    pub fn of(weights: &Weights, identity: [u8; 32]) -> Result<Self, DiffusionError> {
        let vae = weights.vae.clone().ok_or_else(|| {
            DiffusionError::Missing(
                "find the autoencoder: it is not among the weights; pass its file, or get it with `thumbforge weights \
                 pull`"
                    .to_owned(),
            )
        })?;
        // Every time that the model is told is a thousand times a sigma, see the schedule.
        let steps = weights.scheduler.train_steps;
        if steps != 1000 {
            return Err(DiffusionError::Request(format!(
                "draw with a scheduler of {steps} training steps (num_train_timesteps): 1000 are expected"
            )));
        }
        let folders = &weights.tokenizers;
        Ok(Self {
            mmdit: weights.mmdit.clone(),
            vae,
            text: Parts {
                clip_l: weights.clip_l.as_ref().map(|part| encoder(part, folders.clip_l.as_ref())),
                clip_g: weights.clip_g.as_ref().map(|part| encoder(part, folders.clip_g.as_ref())),
                t5: weights.t5.as_ref().map(|part| encoder(part, folders.t5.as_ref())),
                identity,
            },
            shift: weights.scheduler.shift,
        })
    }
}

fn encoder<C: Clone>(component: &Component<C>, tokenizer: Option<&PathBuf>) -> encode::Part<C> {
    let Component { config, params, .. } = component.clone();
    encode::Part { config, params, tokenizer: tokenizer.cloned() }
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

/// What came of a request: pictures as numbers ([`Picture`]) or as bytes ([`Rgba8`]).
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome<P = Picture> {
    /// In the order of the request's seeds.
    pub pictures: Vec<Drawn<P>>,
    /// What encoders did not read of the prompts.
    pub truncated: Vec<Truncated>,
    /// What changed pixels to save memory.
    pub lossy: Vec<Lossy>,
    /// The class of device that gives the same bytes.
    pub class: DeviceClass,
}

/// A picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawn<P = Picture> {
    /// Its seed.
    pub seed: u64,
    /// It.
    pub picture: P,
}

/// How latents of one picture leave the device: [`Plan::decode`] or [`Plan::decode_rgba8`].
type Decode<D, P> = fn(&Plan, &mut Running<'_, D>, &VaeConfig, &Request, &[f32]) -> Result<P, DiffusionError>;

/// A model on a device.
pub struct Engine<D: Device> {
    device: D,
    model: Model,
    loaded: Loaded<D>,
    texts: Texts<D>,
    plans: Vec<(Key, Arc<Plan>)>,
    /// The transformer's parameters by [`plan::split`].
    split: (Params, Params),
}

/// Weights where the device can read them.
struct Loaded<D: Device> {
    /// What is read once a picture.
    once: Slot<D>,
    /// What every call of the transformer reads.
    often: Slot<D>,
    vae: Slot<D>,
}

/// Parameters, and how they were loaded.
type Slot<D> = Option<(Kind, <D as Device>::Model)>;

/// The precision of the programs that parameters are loaded for, and whether matrices are kept in eight bits.
type Kind = (Precision, bool);

/// How a picture wants the autoencoder, what is read once, and what every call reads.
fn kinds(request: &Request, layout: &Layout) -> [Kind; 3] {
    [(request.vae_precision, false), (request.precision, false), (request.precision, layout.eights)]
}

impl<D: Device> Default for Loaded<D> {
    fn default() -> Self {
        Self { once: None, often: None, vae: None }
    }
}

/// Plans that are kept: a queue draws a few sizes in turn.
const PLANS_MAX: usize = 8;

impl<D: Device> std::fmt::Debug for Engine<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("mmdit", &self.model.mmdit.config).finish_non_exhaustive()
    }
}

impl<D: Device> Engine<D> {
    /// `model` on `device`. Nothing is loaded before the first picture needs it.
    pub fn new(device: D, model: Model) -> Self {
        let split = plan::split(&model.mmdit.params);
        Self { device, model, loaded: Loaded::default(), texts: Texts::new(), plans: Vec::new(), split }
    }

    /// The device.
    pub fn device(&self) -> &D {
        &self.device
    }

    /// The device, to say how it is used from now on.
    pub fn device_mut(&mut self) -> &mut D {
        &mut self.device
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// What `request` takes in `layout`.
    ///
    /// # Errors
    /// When the request is not sound.
    pub fn estimate(&mut self, request: &Request, layout: &Layout) -> Result<Estimate, DiffusionError> {
        let plan = self.plan(request, layout)?;
        let encoders = self.texts.encoders(&self.model, request)?;
        let needs = encoders.needs(&self.device);
        Ok(plan.estimate(&self.device, &self.model, (&needs, texts::flops(&encoders)), layout))
    }

    /// Unloads all weights; the next picture loads them again.
    pub fn unload(&mut self) {
        self.loaded = Loaded::default();
        self.texts.unload();
    }

    /// Draws `request` in `layout`.
    ///
    /// # Errors
    /// When the request is not sound, the model lacks a part, memory does not suffice, the device fails, or
    /// [`DiffusionError::Cancelled`].
    pub fn draw(&mut self, request: &Request, layout: &Layout, watch: &dyn Watch) -> Result<Outcome, DiffusionError> {
        self.drawn(request, layout, watch, Plan::decode)
    }

    /// Draws `request` in `layout`, to the bytes that the numbers of [`Engine::draw`] round to. The device makes them where
    /// nothing on the host is laid over the numbers first.
    ///
    /// # Errors
    /// As [`Engine::draw`].
    pub fn draw_rgba8(
        &mut self,
        request: &Request,
        layout: &Layout,
        watch: &dyn Watch,
    ) -> Result<Outcome<Rgba8>, DiffusionError> {
        self.drawn(request, layout, watch, Plan::decode_rgba8)
    }

    fn drawn<P>(
        &mut self,
        request: &Request,
        layout: &Layout,
        watch: &dyn Watch,
        decode: Decode<D, P>,
    ) -> Result<Outcome<P>, DiffusionError> {
        // Whatever is wrong with it is found before the text encoders run.
        self.plan(request, layout)?;
        let read = match self.texts.known(request) {
            Some(read) => read,
            None => {
                self.make_room(request, layout);
                // Then text encoders and transformer are never loaded together.
                if layout.text == Keep::Leaves {
                    self.loaded = Loaded::default();
                }
                self.texts.read(&self.device, &self.model, request, layout, watch)?
            }
        };
        let texts: Vec<&Conditioning> = read.conditionings.iter().collect();
        let mut outcome = self.drawn_of(request, layout, &texts, watch, decode)?;
        outcome.truncated = read.truncated.clone();
        Ok(outcome)
    }

    /// Draws `request` in `layout` with texts that are read already: that of the prompt last, that of the negative prompt
    /// before it where guidance is above 1.
    ///
    /// # Errors
    /// As [`Engine::draw`].
    pub fn draw_texts(
        &mut self,
        request: &Request,
        layout: &Layout,
        texts: &[&Conditioning],
        watch: &dyn Watch,
    ) -> Result<Outcome, DiffusionError> {
        self.drawn_of(request, layout, texts, watch, Plan::decode)
    }

    /// As [`Engine::draw_texts`], to bytes as [`Engine::draw_rgba8`] gives them.
    ///
    /// # Errors
    /// As [`Engine::draw`].
    pub fn draw_texts_rgba8(
        &mut self,
        request: &Request,
        layout: &Layout,
        texts: &[&Conditioning],
        watch: &dyn Watch,
    ) -> Result<Outcome<Rgba8>, DiffusionError> {
        self.drawn_of(request, layout, texts, watch, Plan::decode_rgba8)
    }

    fn drawn_of<P>(
        &mut self,
        request: &Request,
        layout: &Layout,
        texts: &[&Conditioning],
        watch: &dyn Watch,
        decode: Decode<D, P>,
    ) -> Result<Outcome<P>, DiffusionError> {
        let plan = self.plan(request, layout)?;
        plan.check(texts)?;
        self.make_room(request, layout);
        let stop = || watch.cancelled();
        let Self { device, model, loaded, split, .. } = self;
        let (read_once, read_often) = &*split;
        let read_often = plan::kept(read_often, layout.eights);
        let [of_vae, of_once, of_often] = kinds(request, layout);
        let vae = load(device, &mut loaded.vae, &model.vae.params, of_vae)?;
        // Where all of it stays, all is loaded before the first program runs: what does not fit is known at once.
        if layout.modulation == Keep::Stays {
            load(device, &mut loaded.often, &read_often, of_often)?;
            load(device, &mut loaded.once, read_once, of_once)?;
        }
        let mut memory = device.reserve(plan.bytes())?;
        let config = &model.vae.config;

        // Random numbers are drawn in diffusers' order: for the source's latents first, then for the noise.
        let mut random = Random::new(request);
        let given = match (&plan.encoder, &request.source) {
            (Some(encoder), Some(source)) => {
                let running = Running { device, model: vae, memory: &mut memory, stop: &stop };
                Some(Given::encode(running, encoder, config, &plan, source, &mut random)?)
            }
            _ => None,
        };
        let noise = random.latents(plan.size, config.latent);
        let mut sampler = Sampler::new(request.method, plan.schedule.clone());
        let mut latents = match &given {
            Some(given) => given.noisy(&noise, plan.schedule.start()),
            None => noise.clone(),
        };

        if layout.modulation == Keep::Leaves {
            loaded.often = None;
        }
        let once = load(device, &mut loaded.once, read_once, of_once)?;
        let mut running = Running { device, model: once, memory: &mut memory, stop: &stop };
        plan.denoiser.prepare(&mut running, texts, plan.schedule.times())?;
        if layout.modulation == Keep::Leaves {
            loaded.once = None;
        }
        let often = load(device, &mut loaded.often, &read_often, of_often)?;
        let mut running = Running { device, model: often, memory: &mut memory, stop: &stop };
        let (calls, steps) = (sampler.calls(), plan.schedule.steps());
        while let Some(call) = sampler.next() {
            let velocity = plan.denoiser.velocity(&mut running, &latents, call, &request.guidance, steps)?;
            let preview = if watch.previews() { plan.preview(&latents, &velocity, call) } else { None };
            sampler.advance(&velocity, &mut latents, &mut |fresh| random.fresh(fresh, plan.size, config.latent));
            if let Some(given) = &given {
                given.keep(&mut latents, &noise, sampler.sigma());
            }
            watch.step(call.index + 1, calls, preview.as_ref());
            if stop() {
                return Err(DiffusionError::Cancelled);
            }
        }

        let mut running = Running { device, model: vae, memory: &mut memory, stop: &stop };
        let mut pictures = Vec::with_capacity(request.seeds.pictures());
        for (index, latents) in latents.chunks_exact(plan.each()).enumerate() {
            let picture = decode(&plan, &mut running, config, request, latents)?;
            pictures.push(Drawn { seed: request.seeds.of(index), picture });
        }
        let class = self.device.class(request.precision);
        Ok(Outcome { pictures, truncated: Vec::new(), lossy: plan.lossy(), class })
    }

    /// Gives back what earlier pictures left and the estimate of this one does not count: weights of another kind, text
    /// encoders that its text does not use, and what leaves in its layout. Before anything is loaded or reserved, so that
    /// what was found to fit is drawn whatever was drawn before.
    fn make_room(&mut self, request: &Request, layout: &Layout) {
        let [of_vae, of_once, of_often] = kinds(request, layout);
        let Loaded { once, often, vae } = &mut self.loaded;
        for (slot, kind) in [(vae, of_vae), (&mut *once, of_once), (often, of_often)] {
            if slot.as_ref().is_some_and(|(loaded, _)| *loaded != kind) {
                *slot = None;
            }
        }
        // A picture whose layout kept it, or that was stopped while it prepared, left it here.
        if layout.modulation == Keep::Leaves {
            *once = None;
        }
        self.texts.make_room(request, layout);
    }

    /// The plan of a request, made once for requests alike.
    fn plan(&mut self, request: &Request, layout: &Layout) -> Result<Arc<Plan>, DiffusionError> {
        if layout.eights && !(self.device.keeps_eights() && request.precision == Precision::Bf16) {
            let (device, precision) = (self.device.class(request.precision), request.precision.word());
            return Err(DiffusionError::Request(format!(
                "draw with weights in eight bits on {device} in {precision}: that takes a GPU with products of e4m3, and bf16"
            )));
        }
        let key = Key::of(request, layout);
        if let Some((_, plan)) = self.plans.iter().find(|(known, _)| *known == key) {
            return Ok(plan.clone());
        }
        let plan = Arc::new(Plan::new(&self.model, request, layout)?);
        if self.plans.len() == PLANS_MAX {
            self.plans.remove(0);
        }
        self.plans.push((key, plan.clone()));
        Ok(plan)
    }
}

/// Parameters on the device, loaded when they are first needed. [`Engine::make_room`] left none of another kind.
fn load<'a, D: Device>(
    device: &D,
    slot: &'a mut Slot<D>,
    params: &Params,
    kind: Kind,
) -> Result<&'a D::Model, DiffusionError> {
    let (_, model) = match slot {
        Some(loaded) => loaded,
        None => slot.insert((kind, device.load(params, kind.0)?)),
    };
    Ok(model)
}

/// What `request` takes in `layout`, before anything is loaded or reserved.
///
/// # Errors
/// When the request is not sound, or the model lacks a text encoder or its tokenizer.
pub fn estimate<D: Device>(
    device: &D,
    model: &Model,
    request: &Request,
    layout: &Layout,
) -> Result<Estimate, DiffusionError> {
    let encoders = texts::encoders(model, request)?;
    let needs = encoders.needs(device);
    Ok(Plan::new(model, request, layout)?.estimate(device, model, (&needs, texts::flops(&encoders)), layout))
}
