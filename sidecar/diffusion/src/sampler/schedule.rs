//! Which sigmas a picture goes through.

use crate::error::DiffusionError;
use crate::sampler::Method;

/// Steps that a schedule may have: SD3.5 knows a thousand times, and every step costs a row of the modulation.
pub const STEPS_MAX: usize = 1000;
/// Sigma 1 is this time.
const TIMES: f64 = 1000.0;

/// Sigmas from noise to picture, and the times that the model is told at them.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// One more than steps; the last is 0.
    sigmas: Vec<f32>,
    times: Vec<f32>,
}

impl Schedule {
    /// `steps` sigmas for `method`, moved towards noise by `shift` (3 for SD3.5): `shift · s / (1 + (shift - 1) s)`.
    ///
    /// Euler, Heun and the ancestral method have the sigmas of diffusers' flow-matching schedulers: evenly spaced between
    /// the shifted first and last of a thousand, then shifted *again*, so that with a shift of 3 the last is 0.0089. DPM++
    /// has those of `DPMSolverMultistepScheduler` with `use_flow_sigmas`: shifted once, from 0.9997 down without the last
    /// stop, and the model is told whole times. Both in doubles, rounded to singles where diffusers rounds.
    ///
    /// # Errors
    /// [`DiffusionError::Request`] for no steps or too many, or a shift that is no positive number.
    pub fn new(method: Method, steps: usize, shift: f64) -> Result<Self, DiffusionError> {
        if !(1..=STEPS_MAX).contains(&steps) {
            return Err(DiffusionError::Request(format!("draw in {steps} steps: ask for 1 to {STEPS_MAX}")));
        }
        if !(shift.is_finite() && shift > 0.0) {
            return Err(DiffusionError::Request(format!("shift by {shift}: a shift is above 0, usually 3")));
        }
        Ok(match method {
            Method::Euler | Method::Heun | Method::EulerAncestral => Self::flow_match(steps, shift),
            Method::DpmPp2m => Self::flow_sigmas(steps, shift),
        })
    }

    fn flow_match(steps: usize, shift: f64) -> Self {
        // The scheduler keeps its last sigma as a single.
        let least = 1.0 / TIMES as f32;
        let least = shift as f32 * least / (1.0 + (shift - 1.0) as f32 * least);
        let spaced = evenly(TIMES, f64::from(least) * TIMES, steps);
        let sigmas = spaced.map(|time| shifted(time / TIMES, shift) as f32);
        let mut sigmas: Vec<f32> = sigmas.collect();
        let times = sigmas.iter().map(|sigma| sigma * TIMES as f32).collect();
        sigmas.push(0.0);
        Self { sigmas, times }
    }

    fn flow_sigmas(steps: usize, shift: f64) -> Self {
        let mut spaced: Vec<f64> =
            evenly(1.0, 1.0 / TIMES, steps + 1).map(|alpha| shifted(1.0 - alpha, shift)).collect();
        spaced.reverse();
        spaced.pop();
        let mut sigmas: Vec<f32> = spaced.iter().map(|sigma| *sigma as f32).collect();
        sigmas.push(0.0);
        Self { sigmas, times: spaced.iter().map(|sigma| (sigma * TIMES).trunc() as f32).collect() }
    }

    /// The last steps of it, for a picture that is given: `strength` of them, counted as diffusers' image-to-image and
    /// inpainting pipelines count. The picture enters with noise to [`Schedule::start`], see [`mix`].
    ///
    /// # Errors
    /// [`DiffusionError::Request`] for a strength outside 0 to 1, or one so small that no step is left.
    pub fn of_strength(mut self, strength: f64) -> Result<Self, DiffusionError> {
        if !(0.0..=1.0).contains(&strength) {
            return Err(DiffusionError::Request(format!(
                "change a picture with strength {strength}: it goes from 0 to 1"
            )));
        }
        let steps = self.steps() as f64;
        let left_out = (steps - (steps * strength).min(steps)).max(0.0) as usize;
        if left_out >= self.steps() {
            return Err(DiffusionError::Request(format!(
                "change a picture with strength {strength} in {steps} steps: no step is left; raise either"
            )));
        }
        self.sigmas.drain(..left_out);
        self.times.drain(..left_out);
        Ok(self)
    }

    /// Steps.
    pub fn steps(&self) -> usize {
        self.times.len()
    }

    /// What the model is told at each step, from 1000 to 0: the `times` of the modulation.
    pub fn times(&self) -> &[f32] {
        &self.times
    }

    /// One more than steps, the last 0.
    pub fn sigmas(&self) -> &[f32] {
        &self.sigmas
    }

    /// How noisy the first latents are.
    pub fn start(&self) -> f32 {
        self.sigma(0)
    }

    /// The sigma of a step; 0 behind the last.
    pub(super) fn sigma(&self, step: usize) -> f32 {
        self.sigmas.get(step).copied().unwrap_or(0.0)
    }
}

/// `sigma · noise + (1 - sigma) · picture` into `picture`: latents of a picture as they are at `sigma`.
///
/// # Panics
/// When they differ in length: a fault of the caller's code.
pub fn mix(picture: &mut [f32], noise: &[f32], sigma: f32) {
    assert_eq!(picture.len(), noise.len(), "picture and noise");
    for (x, noise) in picture.iter_mut().zip(noise) {
        *x = sigma * noise + (1.0 - sigma) * *x;
    }
}

fn shifted(sigma: f64, shift: f64) -> f64 {
    shift * sigma / (1.0 + (shift - 1.0) * sigma)
}

/// `count` numbers from `from` to `to`, both included, as `numpy.linspace` computes them.
fn evenly(from: f64, to: f64, count: usize) -> impl Iterator<Item = f64> {
    let last = count.saturating_sub(1);
    let step = (to - from) / last.max(1) as f64;
    (0..count).map(move |at| if at == last && last > 0 { to } else { at as f64 * step + from })
}
