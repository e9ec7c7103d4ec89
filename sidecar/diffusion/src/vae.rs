//! The autoencoder: latents to pictures and back (Kingma & Welling 2013, in the form of `AutoencoderKL`).
//!
//! ```text
//! decode: conv_in ─► middle ─► level n-1 ─► … ─► level 0 ─► norm, SiLU, conv_out
//! encode: conv_in ─► level 0 ─► … ─► level n-1 ─► middle ─► norm, SiLU, conv_out ─► mean, log variance
//! middle: residual block ─► attention over all pixels, one head ─► residual block
//! ```
//! Names are those of the original files, in which level 0 is the one of full size on either way: the decoder walks its
//! `up` blocks backwards. Each way can be cut at the middle: [`tiles`] runs the levels tile by tile and the middle, with
//! its look at the whole picture, at once. The convolutions between moments and latents that older autoencoders have
//! (`quant_conv`, `post_quant_conv`) are not here: no model of this shape has them.

use crate::config::VaeConfig;
use crate::graph::{Act, Builder, Element, Geometry, Graph, Mask, Tokens, View};

pub mod tiles;

#[cfg(test)]
mod tests;

/// Epsilon of all norms.
const EPS: f32 = 1e-6;

/// Name of the kept buffer of latents: `[batch · height · width, latent]`.
pub const LATENTS: &str = "latents";
/// Name of the kept buffer of a picture, -1 to 1: `[batch · height · width, 3]`.
pub const PICTURE: &str = "picture";
/// Name of the kept buffer of means, then logarithms of variances: `[batch · height · width, 2 · latent]`.
pub const MOMENTS: &str = "moments";
/// Name of the kept buffer between levels and middle: `[batch · height · width, channels of the last level]`.
pub const FEATURES: &str = "features";

/// Pictures and their size at the level that is being written.
#[derive(Debug, Clone, Copy)]
struct Size {
    batch: usize,
    height: usize,
    width: usize,
}

/// Which half of the network a name begins with, and what all its norms share.
struct Half<'a> {
    b: Builder,
    config: &'a VaeConfig,
    name: &'static str,
}

/// Latents of `height` by `width`, as the transformer gives them but unscaled, to pictures.
pub fn decode(config: &VaeConfig, batch: usize, height: usize, width: usize) -> Graph {
    let mut half = Half::new(config, "decoder");
    let size = Size { batch, height, width };
    let x = half.latents_in(size);
    let x = half.features_of_latents(x, size);
    let picture = half.picture_of(x, size);
    half.b.output(PICTURE, picture);
    half.b.finish()
}

/// The first part of [`decode`]: latents to [`FEATURES`].
pub fn decode_middle(config: &VaeConfig, batch: usize, height: usize, width: usize) -> Graph {
    let mut half = Half::new(config, "decoder");
    let size = Size { batch, height, width };
    let x = half.latents_in(size);
    let features = half.features_of_latents(x, size);
    half.b.output(FEATURES, features);
    half.b.finish()
}

/// The second part of [`decode`]: [`FEATURES`] to pictures.
pub fn decode_levels(config: &VaeConfig, batch: usize, height: usize, width: usize) -> Graph {
    let mut half = Half::new(config, "decoder");
    let x = half.b.input(FEATURES, batch * height * width, half.top(), Element::Act);
    let picture = half.picture_of(x, Size { batch, height, width });
    half.b.output(PICTURE, picture);
    half.b.finish()
}

/// Pictures of `height` by `width` latent pixels to the moments of their latents.
pub fn encode(config: &VaeConfig, batch: usize, height: usize, width: usize) -> Graph {
    let mut half = Half::new(config, "encoder");
    let x = half.picture_in(Size { batch, height, width });
    let x = half.features_of_picture(x, Size { batch, height, width });
    let moments = half.moments_of(x, Size { batch, height, width });
    half.b.output(MOMENTS, moments);
    half.b.finish()
}

/// The first part of [`encode`]: pictures to [`FEATURES`].
pub fn encode_levels(config: &VaeConfig, batch: usize, height: usize, width: usize) -> Graph {
    let mut half = Half::new(config, "encoder");
    let x = half.picture_in(Size { batch, height, width });
    let features = half.features_of_picture(x, Size { batch, height, width });
    half.b.output(FEATURES, features);
    half.b.finish()
}

/// The second part of [`encode`]: [`FEATURES`] to moments.
pub fn encode_middle(config: &VaeConfig, batch: usize, height: usize, width: usize) -> Graph {
    let mut half = Half::new(config, "encoder");
    let x = half.b.input(FEATURES, batch * height * width, half.top(), Element::Act);
    let moments = half.moments_of(x, Size { batch, height, width });
    half.b.output(MOMENTS, moments);
    half.b.finish()
}

impl<'a> Half<'a> {
    fn new(config: &'a VaeConfig, name: &'static str) -> Self {
        Self { b: Builder::new(), config, name }
    }

    fn named(&self, part: &str) -> String {
        format!("{}.{part}", self.name)
    }

    /// Channels of the smallest level, which those of the middle are.
    fn top(&self) -> usize {
        self.config.channels.last().copied().unwrap_or(0)
    }

    fn latents_in(&mut self, size: Size) -> View {
        self.b.input(LATENTS, size.pixels(), self.config.latent, Element::Act)
    }

    /// A picture whose latents are of `size`.
    fn picture_in(&mut self, size: Size) -> View {
        self.b.input(PICTURE, size.times(self.config.factor()).pixels(), 3, Element::Act)
    }

    fn features_of_latents(&mut self, latents: View, size: Size) -> View {
        let x = self.conv(latents, "conv_in", self.top(), size.kernel(3));
        self.middle(x, size)
    }

    fn picture_of(&mut self, features: View, mut size: Size) -> View {
        let mut x = features;
        for (level, channels) in self.config.channels.iter().enumerate().rev() {
            for block in 0..=self.config.layers {
                x = self.residual(x, &format!("up.{level}.block.{block}"), *channels, size);
            }
            if level > 0 {
                x = self.b.upsample(x, size.batch, size.height, size.width);
                size = size.times(2);
                x = self.conv(x, &format!("up.{level}.upsample.conv"), *channels, size.kernel(3));
            }
        }
        self.out(x, 3, size)
    }

    /// `size` is that of the latents.
    fn features_of_picture(&mut self, picture: View, size: Size) -> View {
        let (levels, mut size) = (self.config.channels.len(), size.times(self.config.factor()));
        let first = self.config.channels.first().copied().unwrap_or(0);
        let mut x = self.conv(picture, "conv_in", first, size.kernel(3));
        for (level, channels) in self.config.channels.iter().enumerate() {
            for block in 0..self.config.layers {
                x = self.residual(x, &format!("down.{level}.block.{block}"), *channels, size);
            }
            if level + 1 < levels {
                // Padded on the right and at the bottom only.
                let geometry = Geometry { stride: 2, before: 0, after: 1, ..size.kernel(3) };
                x = self.conv(x, &format!("down.{level}.downsample.conv"), *channels, geometry);
                size = Size { height: size.height / 2, width: size.width / 2, ..size };
            }
        }
        x
    }

    fn moments_of(&mut self, features: View, size: Size) -> View {
        let x = self.middle(features, size);
        self.out(x, 2 * self.config.latent, size)
    }

    fn middle(&mut self, x: View, size: Size) -> View {
        let x = self.residual(x, "mid.block_1", x.cols, size);
        let x = self.attention(x, size);
        self.residual(x, "mid.block_2", x.cols, size)
    }

    fn residual(&mut self, x: View, name: &str, channels: usize, size: Size) -> View {
        let y = self.norm_silu(x, &format!("{name}.norm1"), size);
        let y = self.conv(y, &format!("{name}.conv1"), channels, size.kernel(3));
        let y = self.norm_silu(y, &format!("{name}.norm2"), size);
        let y = self.conv(y, &format!("{name}.conv2"), channels, size.kernel(3));
        let x = if x.cols == channels {
            x
        } else {
            self.conv(x, &format!("{name}.nin_shortcut"), channels, size.kernel(1))
        };
        self.b.add(x, y)
    }

    /// Every pixel looks at every pixel of its picture, with one head.
    fn attention(&mut self, x: View, size: Size) -> View {
        let y = self.b.group_norm(x, &self.named("mid.attn_1.norm"), size.batch, self.config.groups, EPS);
        let [query, key, value] =
            ["q", "k", "v"].map(|part| self.b.linear(y, &self.named(&format!("mid.attn_1.{part}")), x.cols, true));
        let tokens = Tokens { query: Some(query), key, value, query_norm: None, key_norm: None };
        let scale = (x.cols as f32).powf(-0.5);
        let seen = self.b.attention(&[tokens], size.batch, 1, scale, EPS, Mask::Full)[0];
        let y = self.b.linear(seen, &self.named("mid.attn_1.proj_out"), x.cols, true);
        self.b.add(x, y)
    }

    fn out(&mut self, x: View, channels: usize, size: Size) -> View {
        let x = self.norm_silu(x, "norm_out", size);
        self.conv(x, "conv_out", channels, size.kernel(3))
    }

    fn norm_silu(&mut self, x: View, name: &str, size: Size) -> View {
        let y = self.b.group_norm(x, &self.named(name), size.batch, self.config.groups, EPS);
        self.b.activate(y, Act::Silu)
    }

    fn conv(&mut self, x: View, name: &str, channels: usize, geometry: Geometry) -> View {
        self.b.conv(x, &self.named(name), channels, geometry)
    }
}

impl Size {
    fn pixels(self) -> usize {
        self.batch * self.height * self.width
    }

    fn times(self, by: usize) -> Self {
        Self { height: self.height * by, width: self.width * by, ..self }
    }

    fn kernel(self, side: usize) -> Geometry {
        Geometry::same(self.batch, self.height, self.width, side)
    }
}

/// Latents as the transformer has them, from those of the encoder.
pub fn scale(config: &VaeConfig, latents: &mut [f32]) {
    latents.iter_mut().for_each(|number| *number = (*number - config.shift) * config.scaling);
}

/// Latents as the decoder wants them, from those of the transformer.
pub fn unscale(config: &VaeConfig, latents: &mut [f32]) {
    latents.iter_mut().for_each(|number| *number = *number / config.scaling + config.shift);
}

/// One of the latents that a picture may stand for: `mean + exp(log variance / 2) · noise`, with the logarithm kept
/// from -30 to 20 as `DiagonalGaussianDistribution` keeps it. Moments are pixels, `[pixels, 2 · latent]`; noise and
/// outcome are planes, `[latent, pixels]`.
pub fn sample(config: &VaeConfig, moments: &[f32], noise: &[f32]) -> Vec<f32> {
    let (latent, pixels) = (config.latent, moments.len() / (2 * config.latent).max(1));
    let one = |(at, noise): (usize, &f32)| {
        let (channel, pixel) = (at / pixels.max(1), at % pixels.max(1));
        let of = |part: usize| moments[(pixel * 2 + part) * latent + channel];
        of(0) + (0.5 * of(1).clamp(-30.0, 20.0)).exp() * noise
    };
    noise.iter().take(latent * pixels).enumerate().map(one).collect()
}
