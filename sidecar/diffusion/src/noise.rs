//! Gaussian noise from a seed.
//!
//! A picture is its noise and its prompt, so the same seed must give the same noise: on every machine, and, where people
//! come from other tools with seeds that they like, the noise of those tools. Noise is drawn on the host whatever device
//! computes, for latents are small; that is why it is equal on a processor and a GPU.

mod philox;
#[cfg(test)]
mod tests;
mod torch;

use std::str::FromStr;

pub use self::philox::Philox;
pub use self::torch::TorchCpu;

/// Where noise comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum NoiseKind {
    /// See [`Philox`].
    #[default]
    Philox,
    /// See [`TorchCpu`].
    TorchCpu,
}

impl NoiseKind {
    /// The word in flags, recipes and reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Philox => "philox",
            Self::TorchCpu => "torch-cpu",
        }
    }
}

impl FromStr for NoiseKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = [Self::Philox, Self::TorchCpu].into_iter().find(|kind| kind.word() == text);
        known.ok_or_else(|| format!("read the noise {text:?}: write philox or torch-cpu"))
    }
}

/// A generator that is being drawn from. Each draw continues where the last one ended.
#[derive(Debug, Clone)]
pub enum Noise {
    /// See [`Philox`].
    Philox(Philox),
    /// See [`TorchCpu`].
    TorchCpu(Box<TorchCpu>),
}

impl Noise {
    /// At its beginning.
    pub fn new(kind: NoiseKind, seed: u64) -> Self {
        match kind {
            NoiseKind::Philox => Self::Philox(Philox::new(seed)),
            NoiseKind::TorchCpu => Self::TorchCpu(Box::new(TorchCpu::new(seed))),
        }
    }

    /// One draw: `to` is one tensor, row-major in the order of its user (`[batch, channels, height, width]` for latents).
    pub fn fill(&mut self, to: &mut [f32]) {
        match self {
            Self::Philox(philox) => philox.fill(to),
            Self::TorchCpu(torch) => torch.fill(to),
        }
    }
}
