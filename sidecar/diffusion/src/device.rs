//! What computes: a processor here, a GPU elsewhere.

use std::ops::Range;

use crate::dtype::Precision;
use crate::error::DiffusionError;
use crate::graph::Element;
use crate::param::{Param, Params};
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
        /// NVIDIA's library that multiplies in place of our kernels, with its version and the card's multiprocessors
        /// ("cublaslt12.9.1x132"): it adds in another order, which hangs on both.
        library: Option<String>,
    },
}

impl std::fmt::Display for DeviceClass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cpu { kernels } => write!(f, "cpu-{kernels}"),
            Self::Cuda { capability, library: None } => write!(f, "cuda-sm{capability}"),
            Self::Cuda { capability, library: Some(library) } => write!(f, "cuda-sm{capability}-{library}"),
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

impl Span {
    /// Bytes from its first to behind its last number; `None` where they overflow.
    pub fn bytes(&self) -> Option<Range<u64>> {
        let bytes = (self.len as u64).checked_mul(self.element.bytes(self.precision) as u64)?;
        Some(self.offset..self.offset.checked_add(bytes)?)
    }

    /// The bytes of both for a copy from one to the other; `None` unless they hold as many numbers of one kind and lie
    /// apart in a memory of `memory_bytes`.
    pub fn copied_to(&self, to: &Self, memory_bytes: u64) -> Option<(Range<u64>, Range<u64>)> {
        let kind = |span: &Self| (span.len, span.element, span.element.bytes(span.precision));
        let (from, onto) = (self.bytes()?, to.bytes()?);
        let inside = from.end <= memory_bytes && onto.end <= memory_bytes;
        let apart = from.end <= onto.start || onto.end <= from.start;
        (kind(self) == kind(to) && inside && apart).then_some((from, onto))
    }
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

    /// Whether it keeps matrices in eight bits and multiplies them so, where [`crate::param::Param::eights`] asks for it.
    fn keeps_eights(&self) -> bool {
        false
    }

    /// Bytes that can still be reserved.
    fn free_bytes(&self) -> u64;

    /// Bytes that the parameters take in the device's memory when they are loaded for programs of `precision`: those of the
    /// files where it reads files in place.
    fn model_bytes(&self, params: &Params, precision: Precision) -> u64;

    /// Bytes that running `program` takes beside its scratch memory: packed panels, partial sums.
    fn workspace_bytes(&self, program: &Program) -> u64;

    /// Makes the parameters readable for programs of `precision`; a device that keeps them converted refuses others.
    ///
    /// # Errors
    /// When they do not fit, or are to be kept in eight bits by a device that does not.
    fn load(&self, params: &Params, precision: Precision) -> Result<Self::Model, DiffusionError>;

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

    /// Bytes that [`Device::read_rgba8`] of so many pixels takes beside the memory that it reads.
    fn rgba8_workspace_bytes(&self, pixels: usize) -> u64 {
        let _ = pixels;
        0
    }

    /// Reads a picture, three numbers of -1 to 1 for each pixel, as red, green, blue and an alpha of 255 each: 255 times
    /// `x / 2 + 1 / 2`, bounded, rounded, ties to even. A device that has pixels on a card makes the bytes there, so that a
    /// third of what singles are leaves it.
    ///
    /// # Errors
    /// As [`Device::write`], [`no_number`] where the picture has one that is none, or when the pixels are not four bytes each.
    fn read_rgba8(&self, memory: &Self::Memory, at: Span, pixels: &mut [u8]) -> Result<(), DiffusionError> {
        if pixels.len() as u64 * 3 != at.len as u64 * 4 {
            let (bytes, numbers) = (pixels.len(), at.len);
            return Err(DiffusionError::Request(format!("read {numbers} numbers of pixels into {bytes} bytes")));
        }
        let mut numbers = vec![0.0; at.len];
        self.read(memory, at, &mut numbers)?;
        if numbers.iter().any(|number| number.is_nan()) {
            return Err(no_number(&self.class(at.precision)));
        }
        for (pixel, number) in pixels.chunks_exact_mut(4).zip(numbers.chunks_exact(3)) {
            let byte = |x: f32| byte_of((x * 0.5 + 0.5).clamp(0.0, 1.0));
            pixel.copy_from_slice(&[byte(number[0]), byte(number[1]), byte(number[2]), 255]);
        }
        Ok(())
    }

    /// Copies numbers within `memory`, without a way over the host. So what changes from call to call (the modulations of a
    /// step) is laid where the program always looks, and a recorded run serves all calls.
    ///
    /// # Errors
    /// When the spans hold different numbers, meet, or do not lie in the memory, or the device fails.
    fn copy(&self, memory: &mut Self::Memory, from: Span, to: Span) -> Result<(), DiffusionError>;

    /// Runs `program`. `stop` is asked between operations, or once where the device runs all of them as one.
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

/// A number of 0 to 1 as files of pictures have it: 255 times as much, rounded, ties to even as numpy rounds them.
pub(crate) fn byte_of(number: f32) -> u8 {
    (number * 255.0).round_ties_even() as u8
}

/// Why a picture of a device has no bytes: some of its numbers are NaN.
pub fn no_number(class: &DeviceClass) -> DiffusionError {
    let reason =
        "the picture came out as numbers that are none: the weights are damaged, or overflow this number format";
    DiffusionError::Device { device: class.to_string(), reason: reason.to_owned() }
}

/// For devices that keep nothing in eight bits.
///
/// # Errors
/// When something is to be kept so.
pub fn refuse_eights(params: &Params) -> Result<(), DiffusionError> {
    match params.first_in_eights() {
        None => Ok(()),
        Some(name) => Err(DiffusionError::Request(format!("load {name} in eight bits: this device keeps none so"))),
    }
}

/// For devices that keep matrices in eight bits: only what linear layers read, and only for programs of bf16, whose
/// activations are rounded on their way to a product.
///
/// # Errors
/// When something else is to be kept so.
pub fn check_eights(params: &Params, precision: Precision) -> Result<(), DiffusionError> {
    let wrong = |(name, param): (&String, &Param)| {
        let reason = match (param.shape.len(), precision) {
            (2, Precision::Bf16) => return None,
            (2, other) => format!("products in eight bits are part of bf16, not of {}", other.word()),
            _ => format!("{:?} is no matrix", param.shape),
        };
        Some(DiffusionError::Request(format!("load {name} in eight bits: {reason}")))
    };
    params.0.iter().filter(|(_, param)| param.eights).find_map(wrong).map_or(Ok(()), Err)
}

/// Why a program does not run with a model: `wanted` says whether the program reads `name` in eight bits.
pub fn eights_differ(name: &str, wanted: bool) -> String {
    match wanted {
        true => format!("the program reads {name} in eight bits, and the model was loaded without"),
        false => format!("the model keeps {name} in eight bits, and the program was planned without"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_of_one_kind_apart_and_inside() {
        let span = |offset, len| Span { offset, len, element: Element::Act, precision: Precision::Bf16 };
        let check = |from: Span, to: Span, expected: bool| {
            assert_eq!(from.copied_to(&to, 100).is_some(), expected, "{from:?} {to:?}");
        };
        check(span(0, 10), span(20, 10), true);
        check(span(80, 10), span(0, 10), true);
        check(span(0, 10), span(18, 10), false);
        check(span(0, 10), span(0, 10), false);
        check(span(0, 10), span(82, 10), false);
        check(span(82, 10), span(0, 10), false);
        check(span(0, 10), span(20, 9), false);
        check(span(0, 10), Span { element: Element::F32, ..span(20, 10) }, false);
        check(span(0, 10), Span { precision: Precision::F32, ..span(20, 10) }, false);
        check(span(u64::MAX - 4, 10), span(0, 10), false);
        check(span(0, usize::MAX), span(0, usize::MAX), false);
    }

    #[test]
    fn classes_are_written_as_in_keys() {
        assert_eq!(DeviceClass::Cpu { kernels: "avx512bf16" }.to_string(), "cpu-avx512bf16");
        let cuda = |library: Option<&str>| DeviceClass::Cuda { capability: 90, library: library.map(str::to_owned) };
        assert_eq!(cuda(None).to_string(), "cuda-sm90");
        assert_eq!(cuda(Some("cublaslt12.9.1x132")).to_string(), "cuda-sm90-cublaslt12.9.1x132");
    }
}
