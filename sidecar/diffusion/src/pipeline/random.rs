//! The random numbers of a request, in the order that diffusers draws them.

use crate::noise::Noise;
use crate::pipeline::coder::Size;
use crate::pipeline::request::{Request, Seeds};

/// A generator for each picture, or one for all.
pub(crate) enum Random {
    Each(Vec<Noise>),
    One { noise: Noise, pictures: usize },
}

impl Random {
    pub(crate) fn new(request: &Request) -> Self {
        let generator = |seed: u64| Noise::new(request.noise, seed);
        match &request.seeds {
            Seeds::Each(seeds) => Self::Each(seeds.iter().copied().map(generator).collect()),
            Seeds::One { seed, pictures } => Self::One { noise: generator(*seed), pictures: *pictures },
        }
    }

    /// For the one source: planes `[channels, height, width]` for each generator.
    pub(crate) fn source(&mut self, (height, width): Size, channels: usize) -> Vec<Vec<f32>> {
        let draw = |noise: &mut Noise| {
            let mut planes = vec![0.0; channels * height * width];
            noise.fill(&mut planes);
            planes
        };
        match self {
            Self::Each(generators) => generators.iter_mut().map(draw).collect(),
            Self::One { noise, .. } => vec![draw(noise)],
        }
    }

    /// For all pictures, as rows: `[pictures · height · width, channels]`.
    pub(crate) fn latents(&mut self, size: Size, channels: usize) -> Vec<f32> {
        let pictures = match self {
            Self::Each(generators) => generators.len(),
            Self::One { pictures, .. } => *pictures,
        };
        let mut rows = vec![0.0; pictures * size.0 * size.1 * channels];
        self.fresh(&mut rows, size, channels);
        rows
    }

    /// The same into a buffer.
    pub(crate) fn fresh(&mut self, rows: &mut [f32], (height, width): Size, channels: usize) {
        let each = channels * height * width;
        let mut planes = vec![0.0; rows.len()];
        match self {
            Self::Each(generators) => {
                for (noise, planes) in generators.iter_mut().zip(planes.chunks_exact_mut(each)) {
                    noise.fill(planes);
                }
            }
            // One draw for all, as a tensor of all.
            Self::One { noise, .. } => noise.fill(&mut planes),
        }
        for (rows, planes) in rows.chunks_exact_mut(each).zip(planes.chunks_exact(each)) {
            rows.copy_from_slice(&to_rows(planes, channels));
        }
    }
}

/// Planes of one picture as rows of pixels.
pub(crate) fn to_rows(planes: &[f32], channels: usize) -> Vec<f32> {
    let pixels = planes.len() / channels.max(1);
    (0..planes.len()).map(|at| planes[at % channels * pixels + at / channels]).collect()
}

/// Rows of pixels of one picture as planes.
pub(crate) fn to_planes(rows: &[f32], channels: usize) -> Vec<f32> {
    let pixels = rows.len() / channels.max(1);
    (0..rows.len()).map(|at| rows[at % pixels * channels + at / pixels]).collect()
}
