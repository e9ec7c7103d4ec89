//! A device as the painter is given it: how it is begun, and what of its memory is free for a plan.

use thumbforge_diffusion::cpu::Cpu;
use thumbforge_diffusion::device::Device;
use thumbforge_diffusion::dtype::Precision;
use thumbforge_diffusion::pipeline::Engine as Pipeline;

use super::super::EngineError;
use super::asked::Purpose;

/// Where pipelines are begun. Clones are of one place.
pub(crate) trait Site: Clone + Send + Sync + 'static {
    /// What computes there.
    type Device: Device + 'static;

    /// The device, for one more pipeline.
    ///
    /// # Errors
    /// Why it cannot be had.
    fn device(&self) -> Result<Self::Device, EngineError>;

    /// Begins the device anew after it was lost; pipelines of before are dead.
    ///
    /// # Errors
    /// Why it cannot be had again.
    fn restart(&self) -> Result<(), EngineError>;

    /// Nobody draws for a while: what the device holds goes back to others. Pipelines of before are closed.
    fn rest(&self);

    /// Whether the device is lost with all that lay on it.
    fn is_lost(&self, device: &Self::Device) -> bool;

    /// How often it was begun anew: whoever opened a pipeline in an earlier round opens another.
    fn round(&self) -> u64;

    /// Says whose share of memory is taken from now on.
    fn purpose(&self, device: &mut Self::Device, purpose: Purpose);

    /// What a plan may take. `held_bytes` are those of a drawing under way that will be over by then.
    fn room(&self, pipeline: &Pipeline<Self::Device>, held_bytes: u64) -> Room;

    /// What of a plan's bytes the site counts as free while they are drawn with.
    fn counted_free(&self, pipeline: &Pipeline<Self::Device>) -> u64;
}

/// What a plan may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    /// In all, weights included.
    pub(crate) total_bytes: u64,
    /// Of it for what pictures are computed in: the share of what they are for.
    pub(crate) arena_bytes: u64,
}

/// The processor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Processor;

impl Site for Processor {
    type Device = Cpu;

    fn device(&self) -> Result<Cpu, EngineError> {
        Cpu::new().map_err(super::sd3::told)
    }

    fn restart(&self) -> Result<(), EngineError> {
        Ok(())
    }

    fn rest(&self) {}

    fn is_lost(&self, _: &Cpu) -> bool {
        false
    }

    fn round(&self) -> u64 {
        0
    }

    fn purpose(&self, _: &mut Cpu, _: Purpose) {}

    fn room(&self, pipeline: &Pipeline<Cpu>, held_bytes: u64) -> Room {
        let total_bytes = pipeline.device().free_bytes().saturating_add(held_bytes);
        Room { total_bytes, arena_bytes: u64::MAX }
    }

    /// Weights are mapped: the system counts them as free while they are drawn with, since it can drop them, and to count
    /// them as given back too would be to count them twice. Windows counts them as taken.
    fn counted_free(&self, pipeline: &Pipeline<Cpu>) -> u64 {
        if cfg!(windows) {
            return 0;
        }
        let (device, model) = (pipeline.device(), pipeline.model());
        let clips = model.text.clip_l.iter().chain(&model.text.clip_g).map(|part| &part.params);
        let text = clips.chain(model.text.t5.iter().map(|part| &part.params));
        let all = [&model.mmdit.params, &model.vae.params].into_iter().chain(text);
        // The processor reads files in place, whatever the precision.
        all.map(|params| device.model_bytes(params, Precision::F32)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_keeps_nothing_in_eight_bits() {
        assert!(!Processor.device().expect("a processor").keeps_eights());
    }
}
