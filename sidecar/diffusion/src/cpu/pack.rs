//! Brings rows into the order in which tiles read them.

/// Turns `units` units of every row so that those of one k lie side by side: `out[k · rows + row]`.
///
/// # Safety
/// Every pointer can be read for `units` units, at any alignment; `out` can be written for `rows · units` units and
/// [`SPILL`] more, which are overwritten with anything.
pub(super) type Turn = unsafe fn(rows: &[*const u32], units: usize, out: *mut u32);

/// What a [`Turn`] may write behind its outcome: whole vectors are stored where fewer lanes count.
pub(super) const SPILL: usize = 16;

/// By single units.
///
/// # Safety
/// See [`Turn`].
pub(super) unsafe fn turn<const R: usize>(rows: &[*const u32], units: usize, out: *mut u32) {
    for (row, from) in rows[..R].iter().enumerate() {
        for k in 0..units {
            // SAFETY: the caller vouches for `units` units of the row, and for `R · units` of `out`.
            unsafe { out.add(k * R + row).write(from.add(k).read_unaligned()) };
        }
    }
}

/// By squares of 16 × 16.
///
/// # Safety
/// See [`Turn`]; the machine has AVX-512F.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn turn_avx512<const R: usize>(rows: &[*const u32], units: usize, out: *mut u32) {
    let rows = &rows[..R];
    let mut k = 0;
    while k < units {
        let now = (units - k).min(16);
        for first in (0..R).step_by(16) {
            // Lanes beyond the last row hold it again; they are overwritten by the next k, or are the spill.
            let square: [*const u32; 16] = std::array::from_fn(|lane| rows[(first + lane).min(R - 1)]);
            // SAFETY: `now` units of every row from `k` on; `R` is a multiple of 16, or less than it with a spill.
            unsafe { square_avx512::<R>(&square, k, now, out.add(k * R + first)) };
        }
        k += now;
    }
}

/// Sixteen rows of up to sixteen units.
///
/// # Safety
/// `now` units of every row can be read from `k` on, and vectors of 16 written every `R` units.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn square_avx512<const R: usize>(rows: &[*const u32; 16], k: usize, now: usize, out: *mut u32) {
    use std::arch::x86_64::*;
    let mask = if now == 16 { u16::MAX } else { (1 << now) - 1 };
    let mut r: [__m512i; 16] = std::array::from_fn(|lane| {
        // SAFETY: lanes outside of the mask are not read.
        unsafe { _mm512_maskz_loadu_epi32(mask, rows[lane].add(k).cast()) }
    });
    // Pairs of rows, then fours, within quarters of a vector; then the quarters.
    let mut t = r;
    for i in 0..8 {
        t[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
    }
    for i in 0..4 {
        r[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
        r[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
        r[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
        r[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
    }
    // Now vector 4i + j holds, in its quarter q, column 4q + j of rows 4i to 4i + 3.
    for j in 0..4 {
        t[j] = _mm512_shuffle_i32x4::<0x88>(r[j], r[4 + j]);
        t[4 + j] = _mm512_shuffle_i32x4::<0xDD>(r[j], r[4 + j]);
        t[8 + j] = _mm512_shuffle_i32x4::<0x88>(r[8 + j], r[12 + j]);
        t[12 + j] = _mm512_shuffle_i32x4::<0xDD>(r[8 + j], r[12 + j]);
    }
    for j in 0..4 {
        // Columns j, 4 + j, 8 + j and 12 + j.
        r[j] = _mm512_shuffle_i32x4::<0x88>(t[j], t[8 + j]);
        r[4 + j] = _mm512_shuffle_i32x4::<0x88>(t[4 + j], t[12 + j]);
        r[8 + j] = _mm512_shuffle_i32x4::<0xDD>(t[j], t[8 + j]);
        r[12 + j] = _mm512_shuffle_i32x4::<0xDD>(t[4 + j], t[12 + j]);
    }
    for (column, vector) in r.iter().enumerate().take(now) {
        // SAFETY: the caller vouches for vectors every `R` units, in rising order, so that a spill is overwritten.
        unsafe { _mm512_storeu_si512(out.add(column * R).cast(), *vector) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<const R: usize>(turn: Turn, units: usize) {
        let rows: Vec<Vec<u32>> = (0..R as u32).map(|row| (0..units as u32).map(|k| row << 16 | k).collect()).collect();
        let from: Vec<*const u32> = rows.iter().map(|row| row.as_ptr()).collect();
        let mut out = vec![u32::MAX; R * units + SPILL];
        // SAFETY: every row has `units` units, and `out` room for all and the spill.
        unsafe { turn(&from, units, out.as_mut_ptr()) };
        for (at, unit) in out[..R * units].iter().enumerate() {
            assert_eq!((*unit >> 16, *unit & 0xFFFF), ((at % R) as u32, (at / R) as u32), "{R} {units} {at}");
        }
    }

    #[test]
    fn rows_become_columns() {
        for units in [0, 1, 2, 15, 16, 17, 31, 32, 47, 256] {
            check::<4>(turn::<4>, units);
            check::<16>(turn::<16>, units);
            #[cfg(target_arch = "x86_64")]
            if is_x86_feature_detected!("avx512f") {
                check::<14>(turn_avx512::<14>, units);
                check::<32>(turn_avx512::<32>, units);
            }
        }
    }
}
