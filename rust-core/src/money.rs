//! Money: millionths of a US dollar in whole numbers, so that sums are exact and comparisons mean something.

use std::fmt;
use std::iter::Sum;
use std::ops::Add;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// An amount in millionths of a US dollar; never negative. Sums stop at the largest amount instead of wrapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Micros(pub u64);

/// An amount that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("read the amount {0:?}: write dollars with at most six digits after the point, as in 2.50")]
pub struct NotMoney(String);

impl Micros {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// More than anybody has; what no sum exceeds.
    pub const MAX: Self = Self(i64::MAX as u64);

    /// What is left of it after `other`; nothing where that is more.
    pub fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// `count` times it.
    pub fn times(self, count: u64) -> Self {
        Self(self.0.saturating_mul(count).min(Self::MAX.0))
    }

    /// Dollars as a float, for JSON fields that have always been floats.
    pub fn dollars(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

impl Add for Micros {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0).min(Self::MAX.0))
    }
}

impl Sum for Micros {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

/// Dollars with a sign: at least two digits after the point, and as many more as the amount has.
impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fraction = format!("{:06}", self.0 % 1_000_000);
        let kept = fraction.trim_end_matches('0').len().max(2);
        write!(f, "${}.{}", self.0 / 1_000_000, &fraction[..kept])
    }
}

impl FromStr for Micros {
    type Err = NotMoney;

    /// Reads dollars, with or without a sign, without going through a float.
    fn from_str(text: &str) -> Result<Self, NotMoney> {
        let wrong = || NotMoney(text.chars().take(40).collect());
        let digits = text.trim().trim_start_matches('$');
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if digits.is_empty() || digits == "." || fraction.len() > 6 || !all_digits(whole) || !all_digits(fraction) {
            return Err(wrong());
        }
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| wrong())? };
        let fraction: u64 = format!("{fraction:0<6}").parse().map_err(|_| wrong())?;
        let micros = whole.checked_mul(1_000_000).and_then(|micros| micros.checked_add(fraction));
        micros.map(Self).filter(|amount| *amount <= Self::MAX).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_read_and_written_to_the_last_millionth() {
        for (text, micros, shown) in [
            ("2.50", 2_500_000, "$2.50"),
            ("$0.0336", 33_600, "$0.0336"),
            (".000001", 1, "$0.000001"),
            ("20", 20_000_000, "$20.00"),
            ("0", 0, "$0.00"),
        ] {
            let amount: Micros = text.parse().unwrap();
            assert_eq!((amount.0, amount.to_string().as_str()), (micros, shown), "{text}");
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in ["", "$", ".", "-1", "1e3", "1.2345678", "1,50", "NaN", "99999999999999999999"] {
            assert!(text.parse::<Micros>().is_err(), "{text}");
        }
    }

    #[test]
    fn sums_stop_at_the_largest_amount() {
        assert_eq!(Micros::MAX + Micros(1), Micros::MAX);
        assert_eq!(Micros(u64::MAX / 2).times(9), Micros::MAX);
        assert_eq!(Micros(3).minus(Micros(5)), Micros::ZERO);
    }
}
