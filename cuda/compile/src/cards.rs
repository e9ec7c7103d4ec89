//! Cards that kernels are compiled for, and what a block may take on each.
//!
//! Figures are those of "Compute Capabilities" in NVIDIA's CUDA C++ Programming Guide, 12.9.

/// A kind of card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Card {
    /// The architecture as compilers have it, behind `sm_`.
    pub name: &'static str,
    /// Bytes of shared memory that one block may ask for.
    pub shared_bytes_max: u32,
    /// Threads that a multiprocessor holds.
    pub threads_max: u32,
}

/// Registers of a multiprocessor, and of a block, on all of them.
pub const REGISTERS: u32 = 65_536;
/// Registers of a thread, on all of them.
pub const REGISTERS_THREAD_MAX: u32 = 255;
/// Bytes of shared memory that a kernel may declare itself; the rest is asked for when it is launched.
pub const SHARED_BYTES_STATIC_MAX: u32 = 48 << 10;
/// Bytes that a kernel takes as parameters, up to compute capability 6 and without an own option of the compiler.
pub const PARAM_BYTES_MAX: u32 = 4096;

/// All that kernels are compiled for, in order. 90a has Hopper's own instructions, and runs on 9.0 alone.
pub const CARDS: [Card; 7] = [
    Card { name: "75", shared_bytes_max: 64 << 10, threads_max: 1024 },
    Card { name: "80", shared_bytes_max: 163 << 10, threads_max: 2048 },
    Card { name: "86", shared_bytes_max: 99 << 10, threads_max: 1536 },
    Card { name: "89", shared_bytes_max: 99 << 10, threads_max: 1536 },
    Card { name: "90a", shared_bytes_max: 227 << 10, threads_max: 2048 },
    Card { name: "100", shared_bytes_max: 227 << 10, threads_max: 2048 },
    Card { name: "120", shared_bytes_max: 99 << 10, threads_max: 1536 },
];
