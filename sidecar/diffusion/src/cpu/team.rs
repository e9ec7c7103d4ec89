//! Threads that share an operation, and the memory that each works in.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Kernels;
use super::memory::Memory;
use crate::error::DiffusionError;

/// Singles that an operation works in, beside the buffers of the program.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Need {
    /// For each thread.
    pub(super) own: usize,
    /// For all together.
    pub(super) shared: usize,
}

impl Need {
    /// What serves either.
    pub(super) fn max(self, other: Self) -> Self {
        Self { own: self.own.max(other.own), shared: self.shared.max(other.shared) }
    }

    /// Bytes for `threads`.
    pub(super) fn bytes(self, threads: usize) -> u64 {
        4 * (self.own as u64 * threads as u64 + self.shared as u64)
    }
}

/// Working memory, kept from one run to the next.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    own: Vec<Mutex<Memory>>,
    shared: Option<Memory>,
}

impl Scratch {
    /// Makes it large enough; what it held is lost.
    pub(super) fn grow(&mut self, need: Need, threads: usize) -> Result<(), DiffusionError> {
        let bytes = |singles: usize| 4 * singles as u64;
        let small = |memory: &mut Mutex<Memory>| {
            memory.get_mut().map_or(true, |memory| (memory.len() as u64) < bytes(need.own))
        };
        if self.own.len() < threads || self.own.iter_mut().any(small) {
            self.own.clear();
            for _ in 0..threads {
                self.own.push(Mutex::new(Memory::zeros(bytes(need.own))?));
            }
        }
        if self.shared.as_ref().is_none_or(|memory| (memory.len() as u64) < bytes(need.shared)) {
            self.shared = None;
            self.shared = Some(Memory::zeros(bytes(need.shared))?);
        }
        Ok(())
    }

    /// The threads' part and the common one.
    pub(super) fn parts(&mut self) -> (&[Mutex<Memory>], Room<'_>) {
        let shared = self.shared.as_mut().map_or(&mut [][..], Memory::singles);
        (&self.own, Room(shared))
    }
}

/// Memory that is handed out piece by piece.
pub(super) struct Room<'a>(&'a mut [f32]);

impl<'a> Room<'a> {
    /// The next `count` singles, from the start of a line of the cache on. What they hold is left over from before.
    ///
    /// # Panics
    /// When there are not as many: [`Need`] of the operation was wrong.
    pub(super) fn take(&mut self, count: usize) -> &'a mut [f32] {
        let whole = std::mem::take(&mut self.0);
        let (piece, rest) = whole.split_at_mut(lines(count));
        self.0 = rest;
        &mut piece[..count]
    }
}

/// `count` singles up to whole lines of the cache, as [`Room::take`] takes them.
pub(super) const fn lines(count: usize) -> usize {
    count.div_ceil(16) * 16
}

/// The threads of a run.
pub(super) struct Team<'a> {
    /// `None` where there is one thread: the caller's.
    pub(super) pool: Option<&'a rayon::ThreadPool>,
    /// Memory of each.
    pub(super) own: &'a [Mutex<Memory>],
    /// Their instructions.
    pub(super) kernels: Kernels,
}

impl Team<'_> {
    /// Threads.
    pub(super) fn threads(&self) -> usize {
        self.pool.map_or(1, rayon::ThreadPool::current_num_threads)
    }

    /// Does the tasks from 0 to `tasks`, each once, on whichever thread is free. Tasks never depend on one another, and
    /// none knows its thread, so the outcome does not depend on how many there are.
    pub(super) fn each(&self, tasks: usize, work: impl Fn(usize, Room<'_>) + Sync) {
        let next = AtomicUsize::new(0);
        let part = |place: usize| {
            // Poisoned by a panic of an earlier run: it holds nothing that outlives a task.
            let mut memory = self.own[place].lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            loop {
                let task = next.fetch_add(1, Ordering::Relaxed);
                if task >= tasks {
                    break;
                }
                work(task, Room(memory.singles()));
            }
        };
        match self.pool {
            Some(pool) if tasks > 1 => {
                pool.broadcast(|context| part(context.index()));
            }
            _ => part(0),
        }
    }
}
