//! Which instructions a processor's loops are compiled for, chosen when the device is made.
//!
//! Loops over rows are written once in plain Rust, as [`Work`], and compiled for every set: the compiler turns them into
//! vectors of that set. They multiply and add in the order that they are written in, so a set changes their speed and
//! never their bytes. Products of matrices are written by hand for every set, in [`super::tile`].

use crate::dtype::Precision;

/// Instructions that the loops may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kernels {
    /// What every processor of the target has: SSE2 or NEON.
    Portable,
    /// AVX2 and FMA: 256 bits.
    Avx2,
    /// AVX-512 F, BW, DQ and VL: 512 bits.
    Avx512,
    /// The same with BF16, whose dot products of pairs double the speed of products in that precision.
    Avx512Bf16,
}

impl Kernels {
    /// All sets, the slowest first.
    pub const ALL: [Self; 4] = [Self::Portable, Self::Avx2, Self::Avx512, Self::Avx512Bf16];

    /// The fastest that this machine has.
    pub fn best() -> Self {
        Self::ALL.into_iter().rev().find(|kernels| kernels.present()).unwrap_or(Self::Portable)
    }

    /// Whether this machine has them.
    pub fn present(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        {
            let avx512 = || {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx2")
                    && is_x86_feature_detected!("fma")
            };
            match self {
                Self::Portable => true,
                Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
                Self::Avx512 => avx512(),
                Self::Avx512Bf16 => avx512() && is_x86_feature_detected!("avx512bf16"),
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            self == Self::Portable
        }
    }

    /// Whether products at `precision` take pairs of bf16 numbers; else they take singles.
    pub(super) fn pairs(self, precision: Precision) -> bool {
        self == Self::Avx512Bf16 && precision == Precision::Bf16
    }

    /// The word in classes of devices: what has another word gives other bytes.
    pub fn word(self, precision: Precision) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512Bf16 if precision == Precision::Bf16 => "avx512bf16",
            Self::Avx512 | Self::Avx512Bf16 => "avx512",
        }
    }

    /// Does `work`, compiled for this set.
    #[inline]
    pub(super) fn run<W: Work>(self, work: W) -> W::Out {
        match self {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a device is only made with a set that `present` found.
            Self::Avx512 | Self::Avx512Bf16 => unsafe { for_avx512(work) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Self::Avx2 => unsafe { for_avx2(work) },
            _ => work.run(),
        }
    }
}

/// A loop that is compiled for every set of instructions. `run` must be `#[inline(always)]`, and so must all that it
/// calls in its loops: what is not inlined is compiled for the least processor.
pub(super) trait Work {
    /// What it gives.
    type Out;
    /// Does it.
    fn run(self) -> Self::Out;
}

/// # Safety
/// The machine must have these instructions.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
unsafe fn for_avx512<W: Work>(work: W) -> W::Out {
    work.run()
}

/// # Safety
/// The machine must have these instructions.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn for_avx2<W: Work>(work: W) -> W::Out {
    work.run()
}
