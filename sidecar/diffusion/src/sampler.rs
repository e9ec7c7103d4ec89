//! From noise to latents: which sigmas, what the model is asked at each, and what its answers are made into.
//!
//! SD3.5 is a rectified flow: latents at `sigma` are `(1 - sigma) · picture + sigma · noise`, and the model answers with
//! the velocity `noise - picture`. So the picture that it sees in `latents` is `latents - sigma · velocity`, whatever the
//! method; methods differ in how they walk from one sigma to the next.
//!
//! ```text
//! while let Some(call) = sampler.next() {        which row of the modulation, which sigma
//!     velocity = model(latents, call.row)        guided: see `Guidance`
//!     sampler.advance(velocity, latents, noise)  in singles, on the host: latents are small
//! }
//! ```
//! It computes as diffusers does, in the same order of singles, so that a seed gives the same picture.

mod guidance;
mod schedule;
#[cfg(test)]
mod tests;

use std::str::FromStr;

pub use self::guidance::{Defaults, Guidance, SkipLayers};
pub use self::schedule::{STEPS_MAX, Schedule, mix};

/// How to walk from one sigma to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// A straight line along the velocity: diffusers' `FlowMatchEulerDiscreteScheduler`.
    Euler,
    /// The mean of the velocities at both ends, so two calls of the model for each step but the last: diffusers'
    /// `FlowMatchHeunDiscreteScheduler`.
    Heun,
    /// DPM-Solver++ of second order in two steps, by midpoint (Lu et al. 2022, algorithm 2): diffusers'
    /// `DPMSolverMultistepScheduler` with `use_flow_sigmas`. The first and the last step are of first order.
    DpmPp2m,
    /// Beyond the next sigma and back to it with new noise: the rectified flow's counterpart of Karras et al.'s ancestral
    /// step, as k-diffusion's descendants have it, with eta 1.
    EulerAncestral,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Euler, Self::Heun, Self::DpmPp2m, Self::EulerAncestral];

    /// Its name where samplers are translated from other tools' names (`flow` in `samplers.toml`).
    pub const fn word(self) -> &'static str {
        match self {
            Self::Euler => "Euler (flow)",
            Self::Heun => "Heun (flow)",
            Self::DpmPp2m => "DPM++ 2M (flow)",
            Self::EulerAncestral => "Euler ancestral (flow)",
        }
    }

    /// Calls of the model for so many steps.
    pub const fn calls(self, steps: usize) -> usize {
        match self {
            Self::Heun => (2 * steps).saturating_sub(1),
            Self::Euler | Self::DpmPp2m | Self::EulerAncestral => steps,
        }
    }
}

impl FromStr for Method {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words = || Self::ALL.map(Self::word).join(", ");
        let known = Self::ALL.into_iter().find(|method| method.word() == text);
        known.ok_or_else(|| format!("read the sampler {text:?}: write one of {}", words()))
    }
}

/// What the model is asked next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Call {
    /// Which call of the model it is, from 0.
    pub index: usize,
    /// The step that it belongs to, from 0: its row of [`Schedule::times`], and so of the modulation.
    pub row: usize,
    /// How noisy the latents are.
    pub sigma: f32,
    /// The time that the model is told.
    pub time: f32,
}

/// Walks along a schedule. It knows the latents only while it is shown them.
#[derive(Debug, Clone)]
pub struct Sampler {
    method: Method,
    schedule: Schedule,
    index: usize,
    step: usize,
    memory: Memory,
}

/// What a method remembers from one call to the next.
#[derive(Debug, Clone)]
enum Memory {
    Nothing,
    /// Heun, between the two calls of a step: where it began, and the velocity there.
    Half {
        latents: Vec<f32>,
        derivative: Vec<f32>,
    },
    /// DPM++: the picture that the model saw at the sigma before.
    Seen(Vec<f32>),
}

impl Sampler {
    /// At the beginning of `schedule`, which [`Schedule::new`] made for the same method.
    pub fn new(method: Method, schedule: Schedule) -> Self {
        Self { method, schedule, index: 0, step: 0, memory: Memory::Nothing }
    }

    /// The schedule that it walks along.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// Calls of the model from beginning to end.
    pub fn calls(&self) -> usize {
        self.method.calls(self.schedule.steps())
    }

    /// What the model is asked next; `None` when the latents are finished.
    pub fn next(&self) -> Option<Call> {
        // Halfway through a step of Heun's the model is asked at its end.
        let row = self.step + usize::from(matches!(self.memory, Memory::Half { .. }));
        let time = *self.schedule.times().get(row)?;
        Some(Call { index: self.index, row, sigma: self.schedule.sigma(row), time })
    }

    /// How noisy the latents are now: 0 when they are finished.
    pub fn sigma(&self) -> f32 {
        self.next().map_or(0.0, |call| call.sigma)
    }

    /// Takes the model's answer to [`Sampler::next`] and moves the latents on. Where the method adds noise, `noise` fills
    /// a buffer of as many numbers with new Gaussian ones; the caller decides where they come from.
    ///
    /// # Panics
    /// When velocity and latents differ in length: a fault of the caller's code.
    pub fn advance(&mut self, velocity: &[f32], latents: &mut [f32], noise: &mut dyn FnMut(&mut [f32])) {
        assert_eq!(velocity.len(), latents.len(), "velocity and latents");
        if self.next().is_none() {
            return;
        }
        let (sigma, next) = (self.schedule.sigma(self.step), self.schedule.sigma(self.step + 1));
        match self.method {
            Method::Euler => {
                let dt = next - sigma;
                for (x, v) in latents.iter_mut().zip(velocity) {
                    *x += dt * v;
                }
                self.step += 1;
            }
            Method::Heun => self.heun(velocity, latents, sigma, next),
            Method::DpmPp2m => {
                let seen = denoised(latents, velocity, sigma);
                let before = match (&self.memory, next > 0.0, self.step.checked_sub(1)) {
                    (Memory::Seen(before), true, Some(last)) => Some((before.as_slice(), self.schedule.sigma(last))),
                    _ => None,
                };
                dpm(latents, &seen, before, sigma, next);
                self.memory = Memory::Seen(seen);
                self.step += 1;
            }
            Method::EulerAncestral => {
                ancestral(latents, velocity, sigma, next, noise);
                self.step += 1;
            }
        }
        self.index += 1;
    }

    fn heun(&mut self, velocity: &[f32], latents: &mut [f32], sigma: f32, next: f32) {
        let dt = next - sigma;
        // The velocity by way of the picture that it leads to, which rounds differently: as diffusers does.
        let slope = |x: f32, v: f32, sigma: f32| (x - (x - v * sigma)) / sigma;
        match std::mem::replace(&mut self.memory, Memory::Nothing) {
            Memory::Half { latents: from, derivative } => {
                for (((x, v), from), first) in latents.iter_mut().zip(velocity).zip(from).zip(derivative) {
                    *x = from + 0.5 * (first + slope(*x, *v, next)) * dt;
                }
                self.step += 1;
            }
            _ => {
                let derivative: Vec<f32> = latents.iter().zip(velocity).map(|(x, v)| slope(*x, *v, sigma)).collect();
                let from = latents.to_vec();
                for (x, slope) in latents.iter_mut().zip(&derivative) {
                    *x += slope * dt;
                }
                if next > 0.0 {
                    self.memory = Memory::Half { latents: from, derivative };
                } else {
                    self.step += 1;
                }
            }
        }
    }
}

/// The picture that the model sees in latents at `sigma`: what previews show.
pub fn denoised(latents: &[f32], velocity: &[f32], sigma: f32) -> Vec<f32> {
    latents.iter().zip(velocity).map(|(x, v)| x - sigma * v).collect()
}

/// `lambda = log((1 - sigma) / sigma)`, half the logarithm of signal to noise; infinite at the end.
fn lambda(sigma: f32) -> f64 {
    let sigma = f64::from(sigma);
    libm::log(1.0 - sigma) - libm::log(sigma)
}

/// `x = sigma'/sigma · x - alpha' (e^-h - 1) · (m + (m - before) / 2r)`, where `h` is the way in lambda and `r` the way
/// before as a share of it; without a step before it the last term is none.
fn dpm(latents: &mut [f32], seen: &[f32], before: Option<(&[f32], f32)>, sigma: f32, next: f32) {
    let h = lambda(next) - lambda(sigma);
    let keep = next / sigma;
    let take = ((1.0 - f64::from(next)) * -libm::expm1(-h)) as f32;
    match before {
        None => {
            for (x, m) in latents.iter_mut().zip(seen) {
                *x = keep * *x + take * m;
            }
        }
        Some((before, last)) => {
            let share = (h / (lambda(sigma) - lambda(last))) as f32;
            for ((x, m), before) in latents.iter_mut().zip(seen).zip(before) {
                *x = keep * *x + take * m + 0.5 * take * (share * (m - before));
            }
        }
    }
}

/// To `down = next²/sigma` without noise, then back to `next`: the picture's share becomes `1 - next` by scaling, and
/// what the noise then lacks of `next` is added anew, as variances add up.
fn ancestral(latents: &mut [f32], velocity: &[f32], sigma: f32, next: f32, noise: &mut dyn FnMut(&mut [f32])) {
    if next <= 0.0 {
        for (x, v) in latents.iter_mut().zip(velocity) {
            *x -= sigma * v;
        }
        return;
    }
    let down = next * (next / sigma);
    let keep = down / sigma;
    let scale = (1.0 - next) / (1.0 - down);
    let renewed = (next * next - (down * scale) * (down * scale)).max(0.0).sqrt();
    let mut fresh = vec![0.0; latents.len()];
    noise(&mut fresh);
    for ((x, v), fresh) in latents.iter_mut().zip(velocity).zip(fresh) {
        let seen = *x - sigma * v;
        *x = scale * (keep * *x + (1.0 - keep) * seen) + renewed * fresh;
    }
}
