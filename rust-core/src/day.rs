//! Days of the calendar in UTC, as catalogues, budgets and decisions have them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

const MS: u64 = 86_400_000;

/// A day, counted from 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Day(u64);

/// A day that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("read the day {0:?}: write it as in 2026-11-21, from 1970 on")]
pub struct NotADay(String);

impl Day {
    /// The day of a Unix time in milliseconds.
    pub fn of_ms(unix_ms: u64) -> Self {
        Self(unix_ms / MS)
    }

    /// When it begins, in Unix milliseconds.
    pub fn begins_ms(self) -> u64 {
        self.0 * MS
    }

    /// How many days after `earlier` it is; negative before it.
    pub fn after(self, earlier: Self) -> i64 {
        self.0 as i64 - earlier.0 as i64
    }

    /// Its month, as in 2026-11.
    pub fn month(self) -> String {
        let (year, month, _) = self.civil();
        format!("{year:04}-{month:02}")
    }

    /// Year, month and day. Days are counted in years that begin in March, so that leap days end them.
    fn civil(self) -> (u64, u64, u64) {
        let days = self.0 + 719_468;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        (era * 400 + year_of_era + u64::from(month <= 2), month, day)
    }

    fn of_civil(year: u64, month: u64, day: u64) -> Option<Self> {
        if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || day == 0 {
            return None;
        }
        let (from_march, year) = if month > 2 { (month - 3, year) } else { (month + 9, year - 1) };
        let day_of_year = (153 * from_march + 2) / 5 + day - 1;
        let year_of_era = year % 400;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = Self(year / 400 * 146_097 + day_of_era - 719_468);
        // A 31st of a shorter month would come out as another day.
        (days.civil().2 == day).then_some(days)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl FromStr for Day {
    type Err = NotADay;
    fn from_str(text: &str) -> Result<Self, NotADay> {
        let mut parts = text.split('-').map(|part| part.parse::<u64>().ok().filter(|_| part.len() >= 2));
        let day = match (parts.next().flatten(), parts.next().flatten(), parts.next().flatten(), parts.next()) {
            (Some(year), Some(month), Some(day), None) => Self::of_civil(year, month, day),
            _ => None,
        };
        day.ok_or_else(|| NotADay(text.chars().take(40).collect()))
    }
}

impl From<Day> for String {
    fn from(day: Day) -> Self {
        day.to_string()
    }
}

impl TryFrom<String> for Day {
    type Error = NotADay;
    fn try_from(text: String) -> Result<Self, NotADay> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(seconds: u64, day: &str) {
        let of = Day::of_ms(seconds * 1000);
        assert_eq!(of.to_string(), day);
        assert_eq!(day.parse::<Day>().unwrap(), of);
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        check(0, "1970-01-01");
        check(951_782_399, "2000-02-28");
        check(951_782_400, "2000-02-29");
        check(951_868_800, "2000-03-01");
        check(1_709_164_800, "2024-02-29");
        check(1_795_219_199, "2026-11-20");
        check(1_795_219_200, "2026-11-21");
        check(4_107_542_400, "2100-03-01");
    }

    #[test]
    fn what_is_no_day_is_refused() {
        for text in ["", "2026-11", "2026-13-01", "2026-02-29", "2026-11-31", "2026-11-0", "1969-12-31", "today"] {
            assert!(text.parse::<Day>().is_err(), "{text}");
        }
    }

    #[test]
    fn days_know_their_distance_and_their_month() {
        let (one, other): (Day, Day) = ("2026-11-21".parse().unwrap(), "2026-12-01".parse().unwrap());
        assert_eq!((other.after(one), one.after(other)), (10, -10));
        assert_eq!(other.month(), "2026-12");
    }
}
