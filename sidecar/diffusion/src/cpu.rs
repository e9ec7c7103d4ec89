//! The processor as a device: products in tiles by hand for AVX-512, AVX-512 BF16 and AVX2, and in plain Rust elsewhere;
//! everything else in loops that the compiler turns into vectors.
//!
//! ```text
//! Program ─► exec: checks every view and shape ─► product │ attention │ rowwise ─► team: tasks on threads
//!                                                    └─► pack ─► tile
//! ```
//! Weights are read where they are mapped and converted while they are packed. The outcome depends on the program, the
//! precision and the set of instructions, never on threads or on what else the machine does: work is cut by rules that
//! know the shape, and sums are added in one order.

mod attention;
mod exec;
mod kernels;
mod mat;
mod maths;
mod memory;
mod pack;
mod product;
mod rowwise;
mod team;
mod tile;

#[cfg(test)]
mod tests;

use std::sync::{Mutex, PoisonError};

pub use kernels::Kernels;
pub use memory::Memory;

use crate::device::{self, Bases, Device, DeviceClass, Span};
use crate::dtype::{Precision, bf16_to_f32, f32_to_bf16};
use crate::error::DiffusionError;
use crate::param::Params;
use crate::plan::Program;
use team::{Scratch, Team};

/// Threads that are started at most: each works in some megabytes of its own.
const MOST_THREADS: usize = 256;

/// The processor.
pub struct Cpu {
    kernels: Kernels,
    threads: usize,
    /// `None` where one thread does: the caller's.
    pool: Option<rayon::ThreadPool>,
    /// Kept from run to run; runs take turns.
    scratch: Mutex<Scratch>,
}

impl std::fmt::Debug for Cpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cpu({:?}, {} threads)", self.kernels, self.threads)
    }
}

impl Cpu {
    /// With the best instructions of this machine, and a thread for every core that this process may use.
    ///
    /// # Errors
    /// When threads cannot be started.
    pub fn new() -> Result<Self, DiffusionError> {
        Self::with(Kernels::best(), std::thread::available_parallelism().map_or(1, usize::from))
    }

    /// With these instructions and this many threads.
    ///
    /// # Errors
    /// When the machine lacks the instructions or the threads cannot be started.
    pub fn with(kernels: Kernels, threads: usize) -> Result<Self, DiffusionError> {
        if !kernels.present() {
            return Err(failed(format!("this machine has no {}", kernels.word(Precision::Bf16))));
        }
        let threads = threads.clamp(1, MOST_THREADS);
        let pool = match threads {
            1 => None,
            threads => {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
                let pool = pool.thread_name(|index| format!("diffusion-{index}")).build();
                Some(pool.map_err(|err| failed(format!("start {threads} threads: {err}")))?)
            }
        };
        Ok(Self { kernels, threads, pool, scratch: Mutex::default() })
    }

    /// Threads that it computes with.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Instructions that it computes with.
    pub fn kernels(&self) -> Kernels {
        self.kernels
    }
}

fn failed(reason: impl Into<String>) -> DiffusionError {
    DiffusionError::Device { device: "the processor".to_owned(), reason: reason.into() }
}

/// The bytes of `at`, as a range of a memory of `len`.
fn range(len: usize, at: Span, numbers: usize) -> Result<std::ops::Range<usize>, DiffusionError> {
    let outside = || failed(format!("{} numbers at {} of {len} bytes", at.len, at.offset));
    if numbers != at.len {
        return Err(failed(format!("{numbers} numbers for a span of {}", at.len)));
    }
    let from = usize::try_from(at.offset).map_err(|_| outside())?;
    let bytes = at.len.checked_mul(at.element.bytes(at.precision)).ok_or_else(outside)?;
    let end = from.checked_add(bytes).filter(|end| *end <= len).ok_or_else(outside)?;
    Ok(from..end)
}

impl Device for Cpu {
    type Model = Params;
    type Memory = Memory;

    fn class(&self, precision: Precision) -> DeviceClass {
        DeviceClass::Cpu { kernels: self.kernels.word(precision) }
    }

    fn free_bytes(&self) -> u64 {
        memory::free_bytes()
    }

    fn model_bytes(&self, params: &Params, _: Precision) -> u64 {
        params.0.values().map(|param| param.stored_bytes() as u64).sum()
    }

    fn workspace_bytes(&self, program: &Program) -> u64 {
        exec::need(program, self.kernels, self.threads).bytes(self.threads)
    }

    fn load(&self, params: &Params, _: Precision) -> Result<Params, DiffusionError> {
        device::refuse_eights(params)?;
        Ok(params.clone())
    }

    fn reserve(&self, bytes: u64) -> Result<Memory, DiffusionError> {
        // The system may promise what it does not have and end the process when it is used, so it is asked first.
        let free_bytes = memory::free_bytes();
        if bytes > free_bytes {
            return Err(DiffusionError::OutOfMemory { needed_bytes: bytes, free_bytes });
        }
        Memory::zeros(bytes)
    }

    fn write(&self, memory: &mut Memory, at: Span, numbers: &[f32]) -> Result<(), DiffusionError> {
        let range = range(memory.len(), at, numbers.len())?;
        let bytes = &mut memory.bytes_mut()[range];
        match at.element.bytes(at.precision) {
            2 => {
                let pairs = bytes.chunks_exact_mut(2).zip(numbers);
                pairs.for_each(|(raw, number)| raw.copy_from_slice(&f32_to_bf16(*number).to_ne_bytes()));
            }
            _ => {
                let fours = bytes.chunks_exact_mut(4).zip(numbers);
                fours.for_each(|(raw, number)| raw.copy_from_slice(&number.to_ne_bytes()));
            }
        }
        Ok(())
    }

    fn write_ids(&self, memory: &mut Memory, at: Span, ids: &[u32]) -> Result<(), DiffusionError> {
        let range = range(memory.len(), at, ids.len())?;
        let fours = memory.bytes_mut()[range].chunks_exact_mut(4).zip(ids);
        fours.for_each(|(raw, id)| raw.copy_from_slice(&id.to_ne_bytes()));
        Ok(())
    }

    fn read(&self, memory: &Memory, at: Span, numbers: &mut [f32]) -> Result<(), DiffusionError> {
        let bytes = &memory.bytes()[range(memory.len(), at, numbers.len())?];
        match at.element.bytes(at.precision) {
            2 => {
                let pairs = bytes.chunks_exact(2).zip(numbers);
                pairs.for_each(|(raw, number)| *number = bf16_to_f32(u16::from_ne_bytes([raw[0], raw[1]])));
            }
            _ => {
                let fours = bytes.chunks_exact(4).zip(numbers);
                fours.for_each(|(raw, number)| *number = f32::from_ne_bytes([raw[0], raw[1], raw[2], raw[3]]));
            }
        }
        Ok(())
    }

    fn copy(&self, memory: &mut Memory, from: Span, to: Span) -> Result<(), DiffusionError> {
        let bytes = from.copied_to(&to, memory.len() as u64);
        let (from, to) = bytes.ok_or_else(|| failed(format!("copy {from:?} to {to:?} of {} bytes", memory.len())))?;
        memory.bytes_mut().copy_within(from.start as usize..from.end as usize, to.start as usize);
        Ok(())
    }

    fn run(
        &self,
        program: &Program,
        model: &Params,
        memory: &mut Memory,
        bases: Bases<'_>,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), DiffusionError> {
        // Poisoned by a panic of an earlier run: it holds nothing that outlives one.
        let mut scratch = self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        scratch.grow(exec::need(program, self.kernels, self.threads), self.threads)?;
        for op in &program.ops {
            if stop() {
                return Err(DiffusionError::Cancelled);
            }
            let (own, mut shared) = scratch.parts();
            let team = Team { pool: self.pool.as_ref(), own, kernels: self.kernels };
            exec::Run::new(program, model, memory, bases, team)?.op(op, &mut shared)?;
        }
        Ok(())
    }
}
