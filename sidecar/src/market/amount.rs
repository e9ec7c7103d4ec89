//! Amounts of the settings: dollars as text or number, read exactly.

use std::fmt;

use serde::de::{Deserializer, Error, Visitor};
use thumbforge_core::money::Micros;

/// Dollars as a person writes them: `"2.50"`, `2.5` or `20`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dollars(pub Micros);

impl<'de> serde::Deserialize<'de> for Dollars {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Amount;
        impl Visitor<'_> for Amount {
            type Value = Dollars;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("dollars, as in \"2.50\"")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Dollars, E> {
                // What stands there is not repeated: in the settings it may be a key that slipped.
                let wrong = |_| E::custom("write dollars with at most six digits after the point, as in \"2.50\"");
                text.parse().map(Dollars).map_err(wrong)
            }
            fn visit_i64<E: Error>(self, whole: i64) -> Result<Dollars, E> {
                self.visit_str(&whole.to_string())
            }
            // The shortest digits that mean this float are those that were written.
            fn visit_f64<E: Error>(self, number: f64) -> Result<Dollars, E> {
                self.visit_str(&number.to_string())
            }
        }
        from.deserialize_any(Amount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(written: &str, expected: Option<u64>) {
        #[derive(serde::Deserialize)]
        struct File {
            usd: Dollars,
        }
        let read = toml::from_str::<File>(&format!("usd = {written}")).ok().map(|file| file.usd.0.0);
        assert_eq!(read, expected, "{written}");
    }

    #[test]
    fn dollars_are_read_exactly_however_they_are_written() {
        check("\"2.50\"", Some(2_500_000));
        check("2.5", Some(2_500_000));
        check("0.1", Some(100_000));
        check("0.000001", Some(1));
        check("20", Some(20_000_000));
        check("0", Some(0));
        check("0.0000001", None);
        check("-1", None);
        check("1e30", None);
        check("nan", None);
        check("\"2,50\"", None);
        check("true", None);
    }
}
