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

/// Dollars in files: written as text, so that no reader makes a float of them; read as text or as a number.
pub mod dollars {
    use serde::de::{self, Visitor};
    use serde::{Deserializer, Serializer};

    use super::Micros;

    /// Writes "0.0336".
    pub fn serialize<S: Serializer>(amount: &Micros, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(amount.to_string().trim_start_matches('$'))
    }

    /// Reads "2.50", 2.5 or 2.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Micros, D::Error> {
        from.deserialize_any(Dollars)
    }

    struct Dollars;

    impl Visitor<'_> for Dollars {
        type Value = Micros;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("dollars with at most six digits after the point, as in \"2.50\"")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Micros, E> {
            text.parse().map_err(E::custom)
        }

        fn visit_u64<E: de::Error>(self, whole: u64) -> Result<Micros, E> {
            self.visit_str(&whole.to_string())
        }

        fn visit_i64<E: de::Error>(self, whole: i64) -> Result<Micros, E> {
            self.visit_str(&whole.to_string())
        }

        fn visit_f64<E: de::Error>(self, amount: f64) -> Result<Micros, E> {
            // The shortest form that reads back as the same float is what a person wrote.
            self.visit_str(&amount.to_string())
        }
    }

    /// The same where it may be absent.
    pub mod maybe {
        use serde::{Deserialize, Deserializer, Serializer};

        use super::Micros;

        /// Writes "0.0336", or nothing.
        pub fn serialize<S: Serializer>(amount: &Option<Micros>, to: S) -> Result<S::Ok, S::Error> {
            match amount {
                Some(amount) => super::serialize(amount, to),
                None => to.serialize_none(),
            }
        }

        /// Reads "2.50", 2.5, 2 or nothing.
        pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Micros>, D::Error> {
            #[derive(Deserialize)]
            struct Amount(#[serde(with = "super")] Micros);
            Ok(Option::<Amount>::deserialize(from)?.map(|amount| amount.0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_say_dollars_as_text_or_as_a_number() {
        #[derive(serde::Serialize, serde::Deserialize)]
        struct Row {
            #[serde(with = "dollars")]
            usd: Micros,
            #[serde(default, with = "dollars::maybe", skip_serializing_if = "Option::is_none")]
            most: Option<Micros>,
        }
        for (text, usd, most) in [
            ("usd = \"0.0336\"", 33_600, None),
            ("usd = 2.5\nmost = 3", 2_500_000, Some(3_000_000)),
            ("usd = 0.000001", 1, None),
        ] {
            let row: Row = toml::from_str(text).unwrap();
            assert_eq!((row.usd.0, row.most.map(|most| most.0)), (usd, most), "{text}");
            let again: Row = serde_json::from_str(&serde_json::to_string(&row).unwrap()).unwrap();
            assert_eq!((again.usd, again.most), (row.usd, row.most));
        }
        for text in ["usd = -1", "usd = \"1e3\"", "usd = 0.0000001", "usd = true", "usd = inf"] {
            assert!(toml::from_str::<Row>(text).is_err(), "{text}");
        }
    }

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
