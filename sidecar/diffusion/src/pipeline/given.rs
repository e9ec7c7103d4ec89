//! A picture that is drawn over.

use crate::config::VaeConfig;
use crate::device::Device;
use crate::error::DiffusionError;
use crate::pipeline::coder::Coder;
use crate::pipeline::denoise::Running;
use crate::pipeline::plan::Plan;
use crate::pipeline::random::{Random, to_rows};
use crate::pipeline::request::Source;
use crate::sampler::mix;
use crate::vae;

/// The source as latents.
pub(crate) struct Given {
    /// For every picture: one of the latents that the source may stand for.
    latents: Vec<f32>,
    /// For every latent pixel: 1 where it may change, else 0.
    mask: Option<Vec<f32>>,
    /// Numbers of a latent pixel.
    channels: usize,
}

impl Given {
    /// diffusers' inpainting pipeline also encodes the source with the masked part blackened, for models that look at it;
    /// no model of this shape does, and no random number is drawn after that one, so it is left out.
    pub(crate) fn encode<D: Device>(
        mut running: Running<'_, D>,
        encoder: &Coder,
        config: &VaeConfig,
        plan: &Plan,
        source: &Source,
        random: &mut Random,
    ) -> Result<Self, DiffusionError> {
        let picture: Vec<f32> = source.picture.pixels.iter().map(|number| 2.0 * number - 1.0).collect();
        let moments = encoder.encode(&mut running, config, plan.size, &picture)?;
        let sample = |noise: Vec<f32>| {
            let mut planes = vae::sample(config, &moments, &noise);
            vae::scale(config, &mut planes);
            to_rows(&planes, config.latent)
        };
        let mut latents: Vec<f32> = random.source(plan.size, config.latent).into_iter().flat_map(sample).collect();
        if latents.len() == plan.each() {
            latents = latents.repeat(plan.pictures);
        }
        let (width, height) = (source.picture.width, source.picture.height);
        let mask = source.mask.as_ref().map(|mask| mask.latents(width, height, config.factor()));
        Ok(Self { latents, mask, channels: config.latent })
    }

    /// The source under noise.
    pub(crate) fn noisy(&self, noise: &[f32], sigma: f32) -> Vec<f32> {
        let mut latents = self.latents.clone();
        mix(&mut latents, noise, sigma);
        latents
    }

    /// Puts the source back, under as much noise as the latents have now, where the mask does not let it change.
    pub(crate) fn keep(&self, latents: &mut [f32], noise: &[f32], sigma: f32) {
        let Some(mask) = &self.mask else { return };
        let kept = self.noisy(noise, sigma);
        let pixels = latents.chunks_exact_mut(self.channels).zip(kept.chunks_exact(self.channels));
        for (share, (latents, kept)) in mask.iter().cycle().zip(pixels) {
            for (x, kept) in latents.iter_mut().zip(kept) {
                *x = (1.0 - share) * kept + share * *x;
            }
        }
    }
}
