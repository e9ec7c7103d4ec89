//! All programs of a request, and the one memory that they share.

use std::borrow::Cow;

use crate::config::VaeConfig;
use crate::device::{Device, no_number};
use crate::dtype::Precision;
use crate::error::DiffusionError;
use crate::mmdit;
use crate::param::Params;
use crate::pipeline::coder::{Coder, Size};
use crate::pipeline::denoise::{Denoiser, Running};
use crate::pipeline::estimate::{Estimate, Phase, PhaseKind};
use crate::pipeline::random::to_planes;
use crate::pipeline::request::{Keep, Layout, Lossy, Mask, MaskMode, Picture, Request, Rgba8, Source};
use crate::pipeline::{Model, Preview};
use crate::preview;
use crate::sampler::{Call, Guidance, Method, Schedule, denoised};
use crate::text::encode::{Conditioning, Need};
use crate::vae;
use crate::vae::tiles::Tiles;

/// Tokens of the CLIP encoders' part of the text.
const CLIP_TOKENS: usize = 77;

/// All that decides programs: requests with the same key share a plan.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Key {
    size: (usize, usize),
    pictures: usize,
    steps: usize,
    shift: Option<f64>,
    method: Method,
    guidance: Guidance,
    strength: Option<f64>,
    text: usize,
    precision: [Precision; 2],
    tiled: Option<Tiles>,
    layout: Layout,
}

impl Key {
    pub(crate) fn of(request: &Request, layout: &Layout) -> Self {
        Self {
            size: (request.height, request.width),
            pictures: request.seeds.pictures(),
            steps: request.steps,
            shift: request.shift,
            method: request.method,
            guidance: request.guidance.clone(),
            strength: request.source.as_ref().map(|source| source.strength),
            text: request.t5_tokens,
            precision: [request.precision, request.vae_precision],
            tiled: request.tiled,
            layout: *layout,
        }
    }
}

/// Programs of all phases that pixels go through.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Latents of one picture.
    pub(crate) size: Size,
    /// How many pictures.
    pub(crate) pictures: usize,
    /// What is walked of the schedule.
    pub(crate) schedule: Schedule,
    pub(crate) denoiser: Denoiser,
    pub(crate) encoder: Option<Coder>,
    pub(crate) decoder: Coder,
    channels: usize,
    calls: usize,
    skipped: usize,
    eights: bool,
    /// Of the transformer and of the autoencoder.
    precision: (Precision, Precision),
}

/// What `prepare` alone reads of the transformer, and what every call reads. The numbers are shared, not copied.
pub(crate) fn split(params: &Params) -> (Params, Params) {
    let (once, often) = params.0.clone().into_iter().partition(|(name, _)| mmdit::prepares(name));
    (Params(once), Params(often))
}

/// What every call reads, as a layout keeps it.
pub(crate) fn kept(often: &Params, eights: bool) -> Cow<'_, Params> {
    if eights { Cow::Owned(often.in_eights(&mmdit::in_eights)) } else { Cow::Borrowed(often) }
}

impl Plan {
    pub(crate) fn new(model: &Model, request: &Request, layout: &Layout) -> Result<Self, DiffusionError> {
        request.check(model.multiple())?;
        let (latent, mmdit) = (model.vae.config.latent, &model.mmdit.config);
        if (mmdit.in_channels, mmdit.out_channels) != (latent, latent) {
            return Err(DiffusionError::Request(format!(
                "draw with a transformer of {} channels in and {} out and an autoencoder of {latent}: they are of two \
                 models",
                mmdit.in_channels, mmdit.out_channels
            )));
        }
        let (vae, factor) = (&model.vae.config, model.vae.config.factor());
        let size = (request.height / factor, request.width / factor);
        let tiles = layout.tiles.map(Tiles::checked).transpose()?;
        let mut schedule = Schedule::new(request.method, request.steps, request.shift.unwrap_or(model.shift))?;
        if let Some(source) = &request.source {
            schedule = schedule.of_strength(source.strength)?;
        }
        let text = CLIP_TOKENS + request.t5_tokens;
        let denoiser = Denoiser::new(&model.mmdit.config, factor, request, layout, text, schedule.steps())?;
        let (calls, steps) = (request.method.calls(schedule.steps()), schedule.steps());
        let skipped = (0..calls).filter(|call| request.guidance.skips(*call, steps).is_some()).count();
        let encoder = request.source.as_ref().map(|_| Coder::encoder(vae, size, tiles, request.vae_precision));
        let decoder = Coder::decoder(vae, size, tiles, request.vae_precision);
        let (pictures, channels) = (request.seeds.pictures(), vae.latent);
        let precision = (request.precision, request.vae_precision);
        let eights = layout.eights;
        Ok(Self { size, pictures, schedule, denoiser, encoder, decoder, channels, calls, skipped, eights, precision })
    }

    /// Numbers of one picture's latents.
    pub(crate) fn each(&self) -> usize {
        self.size.0 * self.size.1 * self.channels
    }

    /// Bytes of the memory for all phases of pixels.
    pub(crate) fn bytes(&self) -> u64 {
        let encoder = self.encoder.as_ref().map_or(0, Coder::bytes);
        self.denoiser.bytes().max(encoder).max(self.decoder.bytes())
    }

    /// What of it changes pixels.
    pub(crate) fn lossy(&self) -> Vec<Lossy> {
        let mut coders = self.encoder.iter().chain([&self.decoder]);
        let given_up = [(coders.any(Coder::lossy), Lossy::TiledVae), (self.eights, Lossy::Fp8)];
        given_up.into_iter().filter(|(given_up, _)| *given_up).map(|(_, lossy)| lossy).collect()
    }

    /// Refuses texts that are not those of this plan.
    pub(crate) fn check(&self, texts: &[&Conditioning]) -> Result<(), DiffusionError> {
        let fits = |text: &&Conditioning| text.tokens == self.denoiser.text();
        if texts.len() == self.denoiser.prompts() && texts.iter().all(fits) {
            return Ok(());
        }
        let tokens: Vec<usize> = texts.iter().map(|text| text.tokens).collect();
        Err(DiffusionError::Request(format!(
            "draw with texts of {tokens:?} tokens: {} of {} are wanted",
            self.denoiser.prompts(),
            self.denoiser.text()
        )))
    }

    /// What all phases take, with text encoders of these `needs` and so many multiplications and additions.
    pub(crate) fn estimate<D: Device>(
        &self,
        device: &D,
        model: &Model,
        (needs, text_flops): (&[Need], u64),
        layout: &Layout,
    ) -> Estimate {
        let (once, often) = split(&model.mmdit.params);
        let (precision, vae_precision) = self.precision;
        let vae = device.model_bytes(&model.vae.params, vae_precision);
        let often = kept(&often, self.eights);
        let (once, often) = (device.model_bytes(&once, precision), device.model_bytes(&often, precision));
        // While it prepares, and while it denoises. Whatever stays from the picture before counts too.
        let (preparing, denoising) = match layout.modulation {
            Keep::Stays => (once + often + vae, once + often + vae),
            Keep::Leaves => (once + vae, often + vae),
        };
        let of_text = needs.iter().map(|need| need.model_bytes);
        let (text_weights, kept_text) = match layout.text {
            Keep::Stays => {
                let all = of_text.sum::<u64>();
                (all + denoising, all)
            }
            // One encoder at a time, and none of them beside the transformer.
            Keep::Leaves => (of_text.max().unwrap_or(0), 0),
        };
        let weights_bytes = denoising + kept_text;
        let most = |of: fn(&Need) -> u64| needs.iter().map(of).max().unwrap_or(0);
        let text = Phase {
            kind: PhaseKind::Text,
            weights_bytes: text_weights,
            arena_bytes: most(|need| need.memory_bytes),
            workspace_bytes: most(|need| need.workspace_bytes),
            flops: text_flops * self.denoiser.prompts() as u64,
        };
        let phase = |kind: PhaseKind, workspace_bytes: u64, flops: u64| Phase {
            kind,
            weights_bytes,
            arena_bytes: self.bytes(),
            workspace_bytes,
            flops,
        };
        let encode = self
            .encoder
            .as_ref()
            .map(|encoder| phase(PhaseKind::Encode, encoder.workspace_bytes(device), encoder.flops(self.size)));
        let denoise = phase(
            PhaseKind::Denoise,
            self.denoiser.workspace_bytes(device),
            self.denoiser.flops(self.calls, self.skipped),
        );
        let pixels = self.size.0 * self.size.1 * model.vae.config.factor().pow(2);
        let decode = phase(
            PhaseKind::Decode,
            self.decoder.decoder_workspace_bytes(device, pixels),
            self.decoder.flops(self.size) * self.pictures as u64,
        );
        let prepare = Phase {
            weights_bytes: preparing + kept_text,
            ..phase(PhaseKind::Prepare, self.denoiser.prepare_workspace_bytes(device), self.denoiser.prepare_flops())
        };
        Estimate::of([text].into_iter().chain(encode).chain([prepare, denoise, decode]).collect())
    }

    /// Latents to a picture, with what a mask keeps laid over it.
    pub(crate) fn decode<D: Device>(
        &self,
        running: &mut Running<'_, D>,
        config: &VaeConfig,
        request: &Request,
        latents: &[f32],
    ) -> Result<Picture, DiffusionError> {
        self.picture(running, config, request, &unscaled(config, request, latents))
    }

    /// The same as bytes. They are those that the numbers round to; where nothing on the host wants the numbers the device
    /// makes them.
    pub(crate) fn decode_rgba8<D: Device>(
        &self,
        running: &mut Running<'_, D>,
        config: &VaeConfig,
        request: &Request,
        latents: &[f32],
    ) -> Result<Rgba8, DiffusionError> {
        let latents = unscaled(config, request, latents);
        let blends = masked(request).is_some_and(|(_, mask)| mask.blends());
        let made = if blends { None } else { self.decoder.decode_rgba8(running, &latents) };
        match made {
            Some(pixels) => Ok(Rgba8 { width: request.width, height: request.height, pixels: pixels? }),
            None => Ok(self.picture(running, config, request, &latents)?.to_rgba8()),
        }
    }

    fn picture<D: Device>(
        &self,
        running: &mut Running<'_, D>,
        config: &VaeConfig,
        request: &Request,
        latents: &[f32],
    ) -> Result<Picture, DiffusionError> {
        let mut pixels = self.decoder.decode(running, config, self.size, latents)?;
        if pixels.iter().any(|number| number.is_nan()) {
            return Err(no_number(&running.device.class(request.vae_precision)));
        }
        pixels.iter_mut().for_each(|number| *number = (*number * 0.5 + 0.5).clamp(0.0, 1.0));
        if let Some((source, mask)) = masked(request) {
            mask.lay(&source.picture, &mut pixels);
        }
        Ok(Picture { width: request.width, height: request.height, pixels })
    }

    /// The first picture as it looks so far; `None` for latents that no preview is known of.
    pub(crate) fn preview(&self, latents: &[f32], velocity: &[f32], call: Call) -> Option<Preview> {
        let (height, width) = self.size;
        let (latents, velocity) = (&latents[..self.each()], &velocity[..self.each()]);
        let seen = to_planes(&denoised(latents, velocity, call.sigma), self.channels);
        Some(Preview { width, height, rgb8: preview::rgb8(&seen, height * width)? })
    }
}

/// The source and the mask of a request that has both.
fn masked(request: &Request) -> Option<(&Source, &Mask)> {
    let source = request.source.as_ref()?;
    Some((source, source.mask.as_ref()?))
}

/// Latents as the autoencoder takes them.
fn unscaled(config: &VaeConfig, request: &Request, latents: &[f32]) -> Vec<f32> {
    let mut latents = latents.to_vec();
    match masked(request) {
        // As the pipeline of diffusers 0.42 has it.
        Some((_, mask)) if mask.mode == MaskMode::Diffusers => {
            latents.iter_mut().for_each(|number| *number /= config.scaling);
        }
        _ => vae::unscale(config, &mut latents),
    }
    latents
}
