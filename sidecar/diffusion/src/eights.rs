//! Whether matrices survive eight bits: what rounding takes from them, before a device is asked to keep them so.
//!
//! A row is kept as numbers of e4m3 with the scale `max|x| / 448` (`rows::eights`), so what is far below its largest number
//! is lost: steps shrink with the numbers down to a 28 672th of it (448 · 2⁶) and no further, and of less than a 458 752th
//! (448 · 2¹⁰) nothing is left. A few numbers that are too large spoil a row so, and its norm does not show it, for the
//! same few make up all of the norm. So a row is judged by the smaller half of its numbers: the root mean square of their
//! errors by their own. Zeros stay zeros and do not count.
//!
//! Rounding alone takes 2.6 % from a Gaussian row. Between powers of two the numbers of e4m3 lie an eighth of the lower power
//! apart; an error that is spread evenly over such a step has the root mean square 1/8/√12 = 3.6 % of that power, and the
//! numbers themselves, spread evenly too, √(7/3) = 1.53 of it: 2.4 %, and more where most of them are little above a power.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::error::DiffusionError;
use crate::param::{Param, Params};
use crate::rows::{self, eights};

/// The most that a row may lose. A number of e4m3 with a full mantissa errs by half a step at most, a sixteenth of the power
/// of two below it, whatever row it stands in: beyond this, numbers were lost below the smallest steps, and not by rounding.
pub const ERROR_MAX: f64 = 1.0 / 16.0;

/// Raised when [`worst`] begins to measure something else, so that figures that were kept are measured anew.
pub const VERSION: u32 = 1;

/// Threads that measure: beyond these, memory is the bound and not the processor.
const THREADS_MAX: usize = 8;

/// Rows that are read at once: an adapter is decoded once for all of them, and they stay in the cache.
const PIECE_ROWS: usize = 16;

/// The row of a model's matrices that loses most.
#[derive(Debug, Clone, PartialEq)]
pub struct Worst {
    /// Its matrix.
    pub name: String,
    /// Its place in it.
    pub row: usize,
    /// What it loses, as a share; infinite where its numbers are none.
    pub error: f64,
}

impl Worst {
    /// Whether all matrices survive.
    pub fn is_sound(&self) -> bool {
        self.error <= ERROR_MAX
    }
}

impl fmt::Display for Worst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, row, error } = self;
        write!(f, "row {row} of {name} would lose {:.2} % of its smaller half", error * 100.0)?;
        write!(f, " to rounding, and {:.2} % is the most", ERROR_MAX * 100.0)
    }
}

/// The row that loses most of all parameters with a wanted name; adapters count as they are added. `None` without any.
///
/// It reads all of them, on a bounded number of threads: some ten nanoseconds a number and thread beside the reading.
///
/// # Errors
/// [`DiffusionError::Cancelled`] where `stopped` said so, which every thread asks between two matrices.
pub fn worst(
    params: &Params,
    wanted: &dyn Fn(&str) -> bool,
    stopped: &(dyn Fn() -> bool + Sync),
) -> Result<Option<Worst>, DiffusionError> {
    let all: Vec<(&String, &Param)> = params.0.iter().filter(|(name, _)| wanted(name)).collect();
    let (next, worst) = (AtomicUsize::new(0), Mutex::new(None::<Worst>));
    let measure = || {
        while let Some((name, param)) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
            if stopped() {
                return;
            }
            let Some((row, error)) = of(param) else { continue };
            let found = Worst { name: (*name).clone(), row, error };
            let mut worst = worst.lock().unwrap_or_else(PoisonError::into_inner);
            // Of equals the first by name, whichever thread comes first.
            let rank = |one: &Worst, other: &Worst| one.error.total_cmp(&other.error).then(other.name.cmp(&one.name));
            if worst.as_ref().is_none_or(|known| rank(&found, known).is_gt()) {
                *worst = Some(found);
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX).min(all.len());
    // A thread that panics ends all of it when the scope does.
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(measure))));
    // Asked once more: a thread that saw it left matrices out.
    if stopped() {
        return Err(DiffusionError::Cancelled);
    }
    Ok(worst.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// The row of a matrix that loses most, and what it loses; the first of equals. `None` where it has no numbers.
pub fn of(param: &Param) -> Option<(usize, f64)> {
    let (count, len) = (param.rows(), param.row_len());
    if len == 0 {
        return None;
    }
    // Rows are as long as the model is wide, for its shapes were checked when it was opened.
    let (mut piece, mut sizes, mut rounded) = (vec![0.0; PIECE_ROWS.min(count) * len], Vec::new(), vec![0.0; len]);
    let mut worst = None;
    for first in (0..count).step_by(PIECE_ROWS) {
        let rows = first..count.min(first + PIECE_ROWS);
        let piece = &mut piece[..rows.len() * len];
        rows::read(param, rows.clone(), piece);
        for (row, numbers) in rows.zip(piece.chunks_exact(len)) {
            rounded.copy_from_slice(numbers);
            let error = of_row(numbers, &mut rounded, &mut sizes);
            if worst.is_none_or(|(_, most)| error > most) {
                worst = Some((row, error));
            }
        }
    }
    worst
}

/// What a row loses of the smaller half of its numbers, of which `rounded` is a copy. `sizes` is room to work in.
fn of_row(row: &[f32], rounded: &mut [f32], sizes: &mut Vec<u32>) -> f64 {
    // Sizes compare as their bits do.
    let size = |number: &f32| number.to_bits() & 0x7FFF_FFFF;
    sizes.clear();
    sizes.extend(row.iter().map(size).filter(|size| *size > 0));
    if sizes.is_empty() {
        return 0.0;
    }
    let half = (sizes.len() - 1) / 2;
    let middle = *sizes.select_nth_unstable(half).1;
    let scale = eights::rounded(rounded);
    let (mut lost, mut all) = (0.0, 0.0);
    for (number, near) in row.iter().zip(&*rounded).filter(|(number, _)| size(number) <= middle) {
        let error = f64::from(*near) * f64::from(scale) - f64::from(*number);
        lost += error * error;
        all += f64::from(*number) * f64::from(*number);
    }
    let error = (lost / all).sqrt();
    if error.is_nan() { f64::INFINITY } else { error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::param::{LowRank, Tensor};
    use crate::tiny::gauss;

    const LEN: usize = 1536;

    fn matrix(numbers: &[f32]) -> Param {
        Param::whole(Tensor::of_f32(vec![numbers.len() / LEN, LEN], numbers))
    }

    /// What the rows lose of Gaussian ones of which `change` is made.
    #[track_caller]
    fn check(change: &dyn Fn(&mut [f32]), least: f64, most: f64) {
        let mut numbers = gauss(7, "a matrix", 20 * LEN, 0.02);
        change(&mut numbers[13 * LEN..14 * LEN]);
        let (row, error) = of(&matrix(&numbers)).expect("numbers");
        assert!((least..=most).contains(&error), "row {row} loses {error}");
        // Where the change is what shows, it is named.
        assert!(error < 0.03 || row == 13, "row {row} loses {error}");
    }

    #[test]
    fn rounding_alone_takes_a_fortieth_of_any_sound_row() {
        check(&|_| (), 0.024, 0.029);
        check(&|row| row.fill(0.0), 0.024, 0.029);
        check(&|row| row.fill(0.3), 0.024, 0.029);
        check(&|row| row.iter_mut().for_each(|number| *number *= 1e-6), 0.024, 0.029);
        check(&|row| row.iter_mut().step_by(2).for_each(|number| *number = 0.0), 0.024, 0.029);
        // A number a thousand times as large as the others costs them nothing yet.
        check(&|row| row[5] = 20.0, 0.024, 0.032);
    }

    #[test]
    fn rows_whose_numbers_are_lost_are_found() {
        check(&|row| row[5] = 2_000.0, 0.0625, 1.0);
        check(&|row| row[5] = -200_000.0, 0.999, 1.001);
        // However many there are, as long as they are few.
        check(&|row| row.iter_mut().step_by(3).for_each(|number| *number = 200_000.0), 0.999, 1.001);
        check(&|row| row[5] = f32::NAN, f64::INFINITY, f64::INFINITY);
    }

    #[test]
    fn no_rounding_of_numbers_in_range_goes_beyond_the_bound() {
        // The worst number of all: in the middle between a power of two and the number after it.
        let mut row = vec![1.0625; LEN];
        row[0] = 448.0;
        let (_, error) = of(&matrix(&row)).expect("numbers");
        assert!((error - 1.0 / 17.0).abs() < 1e-6 && error < ERROR_MAX, "{error}");
    }

    #[test]
    fn the_worst_of_all_that_are_wanted_is_named() {
        let sound = matrix(&gauss(7, "sound", 3 * LEN, 0.02));
        let mut spoilt = sound.clone();
        // An adapter spoils a row as well as a number of the file does.
        let mut down = vec![0.0; LEN];
        down[9] = 1e6;
        spoilt.adapters.push(LowRank {
            down: Tensor::of_f32(vec![1, LEN], &down),
            up: Tensor::of_f32(vec![1, 1], &[1.0]),
            scale: 1.0,
            rows: 2..3,
        });
        let of = |names: &[(&str, &Param)]| {
            let params = names.iter().map(|(name, param)| ((*name).to_owned(), (*param).clone())).collect();
            worst(&Params(params), &|name| name.starts_with("blocks."), &|| false).expect("nobody stopped it")
        };
        assert_eq!(of(&[("first.weight", &spoilt)]), None);
        let found = of(&[("blocks.0.weight", &sound), ("first.weight", &spoilt)]).expect("a matrix");
        assert!(found.is_sound(), "{found}");
        let found = of(&[("blocks.0.weight", &sound), ("blocks.1.weight", &spoilt), ("blocks.2.weight", &spoilt)]);
        let found = found.expect("a matrix");
        assert!(!found.is_sound());
        let all = Params([("blocks.0.weight".to_owned(), sound)].into());
        assert!(matches!(worst(&all, &|_| true, &|| true), Err(DiffusionError::Cancelled)));
        let says =
            "row 2 of blocks.1.weight would lose 100.00 % of its smaller half to rounding, and 6.25 % is the most";
        assert_eq!(found.to_string(), says);
    }
}
