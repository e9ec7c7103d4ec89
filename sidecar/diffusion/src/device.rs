//! What computes: a processor here, a GPU elsewhere.

use crate::dtype::Precision;
use crate::error::DiffusionError;
use crate::graph::Element;
use crate::param::Params;
use crate::plan::Program;

/// The class of device that gives the same bytes for the same plan; it stands in every realised key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DeviceClass {
    /// A processor, by the instructions that its products use: another order of additions is another picture.
    Cpu {
        /// "plain", "avx2", "avx512".
        kernels: &'static str,
    },
    /// An NVIDIA card by its compute capability: 90 for Hopper.
    Cuda {
        /// Major times ten plus minor.
        capability: u32,
    },
}

impl std::fmt::Display for DeviceClass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cpu { kernels } => write!(f, "cpu-{kernels}"),
            Self::Cuda { capability } => write!(f, "cuda-sm{capability}"),
        }
    }
}

/// A matrix in a device's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Where it begins, a multiple of [`crate::plan::ALIGN`] or of a row.
    pub offset: u64,
    /// How many numbers.
    pub len: usize,
    /// What they are.
    pub element: Element,
    /// Of activations.
    pub precision: Precision,
}

/// Where a run finds its buffers.
#[derive(Debug, Clone, Copy)]
pub struct Bases<'a> {
    /// Offset of the scratch memory.
    pub scratch: u64,
    /// Offset of every kept buffer, in the order of [`Program::kept`].
    pub kept: &'a [u64],
}

/// Computes programs. One memory belongs to one run at a time; nothing is reserved while a program runs.
pub trait Device: Send + Sync {
    /// Parameters where the device can read them.
    type Model: Send + Sync;
    /// A stretch of the device's memory.
    type Memory: Send;

    /// The class of device that gives the same bytes as this one at `precision`.
    fn class(&self, precision: Precision) -> DeviceClass;

    /// Bytes that can still be reserved.
    fn free_bytes(&self) -> u64;

    /// Bytes that the parameters take in the device's memory: those of the files where it reads files in place.
    fn model_bytes(&self, params: &Params) -> u64;

    /// Bytes that running `program` takes beside its scratch memory: packed panels, partial sums.
    fn workspace_bytes(&self, program: &Program) -> u64;

    /// Makes the parameters readable.
    ///
    /// # Errors
    /// When they do not fit.
    fn load(&self, params: &Params) -> Result<Self::Model, DiffusionError>;

    /// A stretch of memory; what it holds at first is not said.
    ///
    /// # Errors
    /// [`DiffusionError::OutOfMemory`].
    fn reserve(&self, bytes: u64) -> Result<Self::Memory, DiffusionError>;

    /// Writes numbers into `memory`, rounded to what the span holds.
    ///
    /// # Errors
    /// When the span does not lie in the memory or the device fails.
    fn write(&self, memory: &mut Self::Memory, at: Span, numbers: &[f32]) -> Result<(), DiffusionError>;

    /// Writes token numbers.
    ///
    /// # Errors
    /// As [`Device::write`].
    fn write_ids(&self, memory: &mut Self::Memory, at: Span, ids: &[u32]) -> Result<(), DiffusionError>;

    /// Reads numbers.
    ///
    /// # Errors
    /// As [`Device::write`].
    fn read(&self, memory: &Self::Memory, at: Span, numbers: &mut [f32]) -> Result<(), DiffusionError>;

    /// Runs `program`. `stop` is asked between operations.
    ///
    /// # Errors
    /// When a parameter is not in the model as the program wants it, somebody stopped it, or the device fails.
    fn run(
        &self,
        program: &Program,
        model: &Self::Model,
        memory: &mut Self::Memory,
        bases: Bases<'_>,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), DiffusionError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_written_as_in_keys() {
        assert_eq!(DeviceClass::Cpu { kernels: "avx512bf16" }.to_string(), "cpu-avx512bf16");
        assert_eq!(DeviceClass::Cuda { capability: 90 }.to_string(), "cuda-sm90");
    }
}
