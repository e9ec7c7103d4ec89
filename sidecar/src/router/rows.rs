//! Rows of the catalogue as one job sees them, and what takes the place of a model that is gone.

use std::fmt;

use serde::Serialize;
use thumbforge_core::day::Day;
use thumbforge_core::model::{Catalogue, ModelId, ModelRow};

/// Most replacements that are followed from one name: providers retire a model every half year, and rows are kept for two.
const HOPS_MAX: usize = 8;
/// Days before its end from which a model is warned of: two sprints.
pub(crate) const SOON_DAYS: i64 = 30;

/// The project's own rows over those of the machine.
pub(super) struct Rows<'a> {
    pub(super) own: &'a [ModelRow],
    pub(super) catalogue: &'a Catalogue,
}

/// What is taken where a model is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Successor<'a> {
    /// The model itself.
    Itself,
    /// Another: the first that is still there.
    Other {
        /// The day from which the one that was asked for is gone.
        on: Day,
        /// The other's row.
        row: &'a ModelRow,
    },
    /// It is gone, and nothing that is still there takes its place.
    Nobody {
        /// The day from which it is gone.
        on: Day,
    },
    /// Replacements lead on and on.
    Circle,
}

impl<'a> Rows<'a> {
    pub(super) fn get(&self, id: &ModelId) -> Option<&'a ModelRow> {
        self.own.iter().find(|row| row.id == *id).or_else(|| self.catalogue.get(id))
    }

    pub(super) fn successor(&self, row: &'a ModelRow, today: Day) -> Successor<'a> {
        let gone = |row: &ModelRow| row.retired_on.filter(|day| *day <= today);
        let Some(on) = gone(row) else { return Successor::Itself };
        let mut last = row;
        for _ in 0..HOPS_MAX {
            let Some(next) = last.replacement.as_ref().and_then(|id| self.get(id)) else {
                return Successor::Nobody { on };
            };
            if gone(next).is_none() {
                return Successor::Other { on, row: next };
            }
            last = next;
        }
        Successor::Circle
    }
}

/// What is taken where the model of `row` is asked for on the day `today`.
pub fn successor<'a>(catalogue: &'a Catalogue, row: &'a ModelRow, today: Day) -> Successor<'a> {
    Rows { own: &[], catalogue }.successor(row, today)
}

/// What people should know of a route that works. The sentence stands alone.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Warning {
    /// Another model is taken in place of the one that is named.
    Replaced {
        /// The one that is named.
        named: ModelId,
        /// Since when it is gone.
        on: Day,
        /// The one that is taken.
        by: ModelId,
    },
    /// The model will soon be gone.
    RetiresSoon {
        /// Which.
        model: ModelId,
        /// From when on.
        on: Day,
        /// In how many days.
        days: i64,
        /// What will take its place.
        replacement: Option<ModelId>,
    },
}

impl Warning {
    /// The warning of a model that ends within [`SOON_DAYS`].
    pub(super) fn of_the_end(row: &ModelRow, today: Day) -> Option<Self> {
        let on = row.retired_on?;
        let days = on.after(today);
        let (model, replacement) = (row.id.clone(), row.replacement.clone());
        (1..=SOON_DAYS).contains(&days).then_some(Self::RetiresSoon { model, on, days, replacement })
    }

    /// The model that draws.
    pub(super) fn model(&self) -> &ModelId {
        match self {
            Self::Replaced { by: model, .. } | Self::RetiresSoon { model, .. } => model,
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replaced { named, on, by } => {
                write!(f, "{named} was retired on {on}; {by} takes its place, and `pin = true` refuses that")
            }
            Self::RetiresSoon { model, on, days, replacement } => {
                write!(f, "{model} retires in {days} {} ({on})", if *days == 1 { "day" } else { "days" })?;
                match replacement {
                    Some(replacement) => write!(f, "; {replacement} will take its place"),
                    None => f.write_str("; name another model before then"),
                }
            }
        }
    }
}
