//! A program with places for what it keeps, and how numbers get in and out.

use crate::device::{Bases, Device, Span};
use crate::dtype::Precision;
use crate::error::DiffusionError;
use crate::graph::{Element, Graph};
use crate::plan::{Program, aligned};

/// A program in a memory of its own layout: kept buffers first, one after the other, then scratch.
#[derive(Debug)]
pub(crate) struct Stage {
    /// What runs.
    pub(crate) program: Program,
    kept: Vec<u64>,
    scratch: u64,
}

impl Stage {
    /// Kept buffers begin at 0.
    pub(crate) fn new(graph: Graph, precision: Precision) -> Self {
        let program = Program::new(graph, precision);
        let mut end = 0;
        let mut place = |bytes: u64| {
            let from = end;
            end += aligned(bytes);
            from
        };
        let kept = program.kept.iter().map(|kept| place(kept.bytes)).collect();
        Self { program, kept, scratch: end }
    }

    /// Bytes of memory that it needs.
    pub(crate) fn bytes(&self) -> u64 {
        self.scratch + self.program.scratch_bytes
    }

    fn span(&self, name: &str) -> Result<Span, DiffusionError> {
        let (index, kept) = self
            .program
            .kept(name)
            .ok_or_else(|| DiffusionError::Missing(format!("find the buffer {name} of a program")))?;
        let (element, precision) = (kept.element, self.program.precision);
        Ok(Span { offset: self.kept[index], len: kept.rows * kept.cols, element, precision })
    }

    /// Fills a kept buffer.
    pub(crate) fn write<D: Device>(
        &self,
        device: &D,
        memory: &mut D::Memory,
        name: &str,
        numbers: &[f32],
    ) -> Result<(), DiffusionError> {
        let span = self.span(name)?;
        fits(name, span, numbers.len())?;
        device.write(memory, span, numbers)
    }

    /// Reads a kept buffer.
    pub(crate) fn read<D: Device>(
        &self,
        device: &D,
        memory: &D::Memory,
        name: &str,
    ) -> Result<Vec<f32>, DiffusionError> {
        let span = self.span(name)?;
        let mut numbers = vec![0.0; span.len];
        device.read(memory, span, &mut numbers)?;
        Ok(numbers)
    }

    /// Reads a kept buffer of three numbers a pixel as [`Device::read_rgba8`] has it.
    pub(crate) fn read_rgba8<D: Device>(
        &self,
        device: &D,
        memory: &D::Memory,
        name: &str,
    ) -> Result<Vec<u8>, DiffusionError> {
        let span = self.span(name)?;
        let mut pixels = vec![0; span.len / 3 * 4];
        device.read_rgba8(memory, span, &mut pixels)?;
        Ok(pixels)
    }

    /// Runs it in `memory`.
    pub(crate) fn run<D: Device>(
        &self,
        device: &D,
        model: &D::Model,
        memory: &mut D::Memory,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), DiffusionError> {
        let bases = Bases { scratch: self.scratch, kept: &self.kept };
        device.run(&self.program, model, memory, bases, stop)
    }
}

/// A fault of ours, but numbers that run over a buffer are somebody else's numbers.
pub(crate) fn fits(name: &str, span: Span, len: usize) -> Result<(), DiffusionError> {
    if span.len == len && span.element != Element::U32 {
        return Ok(());
    }
    Err(DiffusionError::Request(format!("write {len} numbers into {name}, which holds {}", span.len)))
}
