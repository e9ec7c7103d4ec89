//! The innermost products: a tile of the outcome in registers, `c += a · b` over one stretch of k.
//!
//! Both sides come packed in units of four bytes: a single, or a pair of bf16 numbers that follow one another along k.
//! `a` holds `mr` units of one k side by side, then those of the next; `b` likewise `nr`. Each step broadcasts a unit of
//! `a` over a vector and multiplies it with the vectors of `b`: on Zen 5 the 14 × 32 tile takes 28 sums, 2 vectors of `b`
//! and 1 broadcast of the 32 registers, and needs 16 loads for 28 products.

/// `c += a · b`, or `c = a · b` where `fresh`.
///
/// # Safety
/// `a` holds `mr · units` units (or `mr` rows of `units` that lie [`ROW_UNITS`] apart), `b` `nr · units`, `c` `mr` rows of `nr` singles that lie `stride` apart, and the machine
/// has the instructions of the set.
pub(super) type Run = unsafe fn(units: usize, a: *const u32, b: *const u32, c: *mut f32, stride: usize, fresh: bool);

/// A tile of one set of instructions.
#[derive(Clone, Copy)]
pub(super) struct Tile {
    /// Rows.
    pub(super) mr: usize,
    /// Columns.
    pub(super) nr: usize,
    /// A unit is a pair of bf16 numbers.
    pub(super) pairs: bool,
    /// The product.
    pub(super) run: Run,
    /// The product where `a` is not packed: its rows lie [`ROW_UNITS`] apart, and units of one row side by side.
    pub(super) run_rows: Run,
    /// Packs `mr` rows for `a`.
    pub(super) pack_a: super::pack::Turn,
    /// Packs `nr` rows for `b`.
    pub(super) pack_b: super::pack::Turn,
}

/// Units from one row to the next of an `a` that is not packed. The compiler knows the number, so that every row is one
/// address apart from a constant.
pub(super) const ROW_UNITS: usize = 256;

/// The most rows and columns of any tile.
pub(super) const MOST_ROWS: usize = 14;
/// See [`MOST_ROWS`].
pub(super) const MOST_COLS: usize = 32;

impl Tile {
    /// The tile of `kernels` for products of singles or pairs.
    pub(super) fn of(kernels: super::Kernels, precision: crate::dtype::Precision) -> Self {
        use super::pack;
        #[cfg(target_arch = "x86_64")]
        {
            use super::Kernels;
            let (pack_a, pack_b): (pack::Turn, pack::Turn) = (pack::turn_avx512::<14>, pack::turn_avx512::<32>);
            match kernels {
                Kernels::Avx512Bf16 if kernels.pairs(precision) => {
                    return Self {
                        mr: 14,
                        nr: 32,
                        pairs: true,
                        run: x86::avx512_bf16::<1, 14>,
                        run_rows: x86::avx512_bf16::<ROW_UNITS, 1>,
                        pack_a,
                        pack_b,
                    };
                }
                Kernels::Avx512 | Kernels::Avx512Bf16 => {
                    return Self {
                        mr: 14,
                        nr: 32,
                        pairs: false,
                        run: x86::avx512::<1, 14>,
                        run_rows: x86::avx512::<ROW_UNITS, 1>,
                        pack_a,
                        pack_b,
                    };
                }
                Kernels::Avx2 => {
                    let (pack_a, pack_b) = (pack::turn::<6>, pack::turn::<16>);
                    return Self {
                        mr: 6,
                        nr: 16,
                        pairs: false,
                        run: x86::avx2::<1, 6>,
                        run_rows: x86::avx2::<ROW_UNITS, 1>,
                        pack_a,
                        pack_b,
                    };
                }
                Kernels::Portable => {}
            }
        }
        let _ = (kernels, precision);
        let (run, run_rows): (Run, Run) = (portable::<1, 4>, portable::<ROW_UNITS, 1>);
        Self { mr: 4, nr: 8, pairs: false, run, run_rows, pack_a: pack::turn::<4>, pack_b: pack::turn::<8> }
    }

    /// Numbers in a unit.
    pub(super) fn per_unit(&self) -> usize {
        if self.pairs { 2 } else { 1 }
    }
}

/// 4 × 8 sums: eight vectors of 128 bits.
///
/// # Safety
/// See [`Run`].
unsafe fn portable<const ROW: usize, const STEP: usize>(
    units: usize,
    a: *const u32,
    b: *const u32,
    c: *mut f32,
    stride: usize,
    fresh: bool,
) {
    const MR: usize = 4;
    const NR: usize = 8;
    let mut sums = [[0.0f32; NR]; MR];
    // SAFETY: the caller vouches for `nr · units` units, which are singles here.
    let b = unsafe { std::slice::from_raw_parts(b.cast::<f32>(), units * NR) };
    if !fresh {
        for (row, sums) in sums.iter_mut().enumerate() {
            // SAFETY: the caller vouches for `mr` rows of `nr` singles.
            sums.copy_from_slice(unsafe { std::slice::from_raw_parts(c.add(row * stride), NR) });
        }
    }
    for (k, b) in b.chunks_exact(NR).enumerate() {
        for (row, sums) in sums.iter_mut().enumerate() {
            // SAFETY: the caller vouches for `units` units of each of `mr` rows.
            let a = f32::from_bits(unsafe { *a.add(k * STEP + row * ROW) });
            for (sum, b) in sums.iter_mut().zip(b) {
                *sum += a * b;
            }
        }
    }
    for (row, sums) in sums.iter().enumerate() {
        // SAFETY: as above, and nobody else holds `c`.
        unsafe { std::slice::from_raw_parts_mut(c.add(row * stride), NR) }.copy_from_slice(sums);
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    //! Tiles of x86-64.

    use std::arch::x86_64::*;

    /// Writes a tile: its sums in registers, a loop over k, and the way to and from memory.
    macro_rules! tile {
        ($(#[$doc:meta])* $name:ident, $features:literal, $rows:literal x $vectors:literal of $lanes:literal,
         $vector:ty, $zero:ident, $load:ident, $store:ident, |$unit:ident| $broadcast:expr, |$sum:ident, $x:ident, $y:ident| $product:expr) => {
            $(#[$doc])*
            #[target_feature(enable = $features)]
            pub(super) unsafe fn $name<const ROW: usize, const STEP: usize>(
                units: usize,
                mut a: *const u32,
                mut b: *const u32,
                c: *mut f32,
                stride: usize,
                fresh: bool,
            ) {
                let mut sums: [[$vector; $vectors]; $rows] = [[$zero(); $vectors]; $rows];
                if !fresh {
                    for row in 0..$rows {
                        for vector in 0..$vectors {
                            // SAFETY: inside of the tile that the caller vouches for.
                            sums[row][vector] = unsafe { $load(c.add(row * stride + vector * $lanes)) };
                        }
                    }
                }
                for _ in 0..units {
                    let mut right: [$vector; $vectors] = [$zero(); $vectors];
                    for vector in 0..$vectors {
                        // SAFETY: `b` holds `nr` units for each of the `units` steps.
                        right[vector] = unsafe { $load(b.cast::<f32>().add(vector * $lanes)) };
                    }
                    for row in 0..$rows {
                        // SAFETY: `a` holds `mr` units for each of the `units` steps.
                        let $unit = unsafe { *a.add(row * ROW) };
                        let $x = $broadcast;
                        for vector in 0..$vectors {
                            let ($sum, $y) = (sums[row][vector], right[vector]);
                            sums[row][vector] = $product;
                        }
                    }
                    // SAFETY: at most one past the end of its row, after the last step.
                    (a, b) = unsafe { (a.add(STEP), b.add($vectors * $lanes)) };
                }
                for row in 0..$rows {
                    for vector in 0..$vectors {
                        // SAFETY: as where it was read.
                        unsafe { $store(c.add(row * stride + vector * $lanes), sums[row][vector]) };
                    }
                }
            }
        };
    }

    tile!(
        /// 14 × 32 singles.
        ///
        /// # Safety
        /// See [`super::Run`].
        avx512, "avx512f", 14 x 2 of 16, __m512, _mm512_setzero_ps, _mm512_loadu_ps, _mm512_storeu_ps,
        |unit| _mm512_set1_ps(f32::from_bits(unit)), |sum, x, y| _mm512_fmadd_ps(x, y, sum)
    );
    tile!(
        /// 14 × 32 of pairs, which are multiplied and added to a single in one instruction.
        ///
        /// # Safety
        /// See [`super::Run`].
        avx512_bf16, "avx512f,avx512bf16", 14 x 2 of 16, __m512, _mm512_setzero_ps, _mm512_loadu_ps, _mm512_storeu_ps,
        |unit| _mm512_set1_epi32(unit.cast_signed()),
        |sum, x, y| _mm512_dpbf16_ps(
            sum,
            // SAFETY: both are 512 bits without meaning of their own.
            unsafe { std::mem::transmute::<__m512i, __m512bh>(x) },
            // SAFETY: as above.
            unsafe { std::mem::transmute::<__m512, __m512bh>(y) },
        )
    );
    tile!(
        /// 6 × 16 singles: 12 sums, 2 vectors of `b` and 1 broadcast of 16 registers.
        ///
        /// # Safety
        /// See [`super::Run`].
        avx2, "avx2,fma", 6 x 2 of 8, __m256, _mm256_setzero_ps, _mm256_loadu_ps, _mm256_storeu_ps,
        |unit| _mm256_set1_ps(f32::from_bits(unit)), |sum, x, y| _mm256_fmadd_ps(x, y, sum)
    );
}
