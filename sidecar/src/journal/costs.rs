//! What was spent, summed up for `thumbforge costs`: one query over the view of purchases.

use std::collections::BTreeMap;

use rusqlite::Connection;
use serde::Serialize;
use thumbforge_core::day::Day;
use thumbforge_core::money::Micros;

/// What spending is summed up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Model of the catalogue.
    Model,
    /// Locale.
    Locale,
    /// Asset of the manifest.
    Asset,
    /// Who was paid.
    Provider,
    /// Account of the user.
    Account,
    /// Day in UTC.
    Day,
    /// Project.
    Project,
    /// Build.
    Batch,
}

impl By {
    /// Every one.
    pub const ALL: [Self; 8] =
        [Self::Model, Self::Locale, Self::Asset, Self::Provider, Self::Account, Self::Day, Self::Project, Self::Batch];

    /// The word on the command line, which is the view's column too.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Locale => "locale",
            Self::Asset => "asset",
            Self::Provider => "provider",
            Self::Account => "account",
            Self::Day => "day",
            Self::Project => "project",
            Self::Batch => "batch",
        }
    }
}

/// What was spent on one of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// Which; empty where the jobs had none.
    pub name: String,
    /// Calls to providers.
    pub calls: u64,
    /// Pictures that came of them.
    pub pictures: u64,
    /// What was spent.
    #[serde(rename = "spent_micros_usd")]
    pub spent: Micros,
    /// What of it was counted as billed though nobody knows.
    #[serde(rename = "assumed_micros_usd")]
    pub assumed: Micros,
    /// What is set aside for calls that are under way, or of which nobody knows the end.
    #[serde(rename = "open_micros_usd")]
    pub open: Micros,
}

impl Cost {
    /// What 1000 pictures cost at this rate, with all that was billed on the way to them; `None` without a picture.
    pub fn per_1000(&self) -> Option<Micros> {
        let thousand = u128::from(self.spent.0) * 1000;
        let each = thousand.checked_div(u128::from(self.pictures))?;
        Some(Micros(u64::try_from(each).unwrap_or(u64::MAX).min(Micros::MAX.0)))
    }
}

/// Spending of the days from `since` to `until`, both included, the largest first; by day in their order.
pub fn costs(connection: &Connection, by: By, since: Option<Day>, until: Option<Day>) -> rusqlite::Result<Vec<Cost>> {
    // A journal of an earlier version, which nothing has written to since, has bought nothing.
    let views: bool =
        connection.query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'purchases'", [], |row| row.get(0))?;
    if !views {
        return Ok(Vec::new());
    }
    let order = if by == By::Day { "name" } else { "spent DESC, name" };
    let sql = format!(
        "SELECT {} AS name, count(*), sum(coalesce(outcome = 'rendered', state = 'paid')), sum(spent_micros) AS spent,
           sum(iif(state = 'assumed', spent_micros, 0)), sum(open_micros)
         FROM purchases WHERE day >= ?1 AND day <= ?2 GROUP BY name ORDER BY {order}",
        by.word()
    );
    let day = |day: Option<Day>, otherwise: &str| day.map_or_else(|| otherwise.to_owned(), |day| day.to_string());
    let mut rows = connection.prepare(&sql)?;
    let costs = rows.query_map((day(since, "0000"), day(until, "9999-12-31")), |row| {
        Ok(Cost {
            name: row.get(0)?,
            calls: row.get(1)?,
            pictures: row.get(2)?,
            spent: Micros(row.get(3)?),
            assumed: Micros(row.get(4)?),
            open: Micros(row.get(5)?),
        })
    })?;
    costs.collect()
}

/// What the calls of one build cost, by asset and locale, as the ledger has it: also where no picture came of them.
/// `since_ms` is when the build began, which spares a look at everything before.
pub fn of_batch(
    connection: &Connection,
    batch: &str,
    since_ms: u64,
) -> rusqlite::Result<BTreeMap<(String, String), Micros>> {
    connection
        .prepare(
            "SELECT asset, locale, sum(amount_micros) FROM ledger
             WHERE ts_ms >= ?2 AND batch = ?1 AND kind IN ('settle', 'assume') GROUP BY asset, locale",
        )?
        .query_map((batch, since_ms), |row| Ok(((row.get(0)?, row.get(1)?), Micros(row.get(2)?))))?
        .collect()
}

#[cfg(test)]
mod tests;
