//! Rows of the catalogue as one job sees them, and what takes the place of a model that is gone.

use std::fmt;

use serde::Serialize;
use thumbforge_core::day::Day;
use thumbforge_core::model::{Catalogue, ModelId, ModelRow, REPLACEMENTS_MAX, Standing};

/// The project's own rows over those of the machine. A job brings few, so no catalogue is made of both.
pub(super) struct Rows<'a> {
    pub(super) own: &'a [ModelRow],
    pub(super) catalogue: &'a Catalogue,
}

impl<'a> Rows<'a> {
    pub(super) fn get(&self, id: &ModelId) -> Option<&'a ModelRow> {
        self.own.iter().find(|row| row.id == *id).or_else(|| self.catalogue.get(id))
    }

    /// Rows of the machine for what `row` of the project's own sells: those of the same id, or of the same name on the wire of
    /// the same provider.
    pub(super) fn behind(&self, row: &'a ModelRow) -> impl Iterator<Item = &'a ModelRow> {
        let own = self.own.iter().any(|own| std::ptr::eq(own, row));
        let same = |other: &&ModelRow| {
            let wire = other.wire.is_some() && other.wire == row.wire && other.provider == row.provider;
            other.id == row.id || wire
        };
        let rows = if own { self.catalogue.rows() } else { &[] };
        rows.iter().filter(same)
    }

    /// What is there on the day `today` in place of `row`, which is gone; `None` where nothing is.
    pub(super) fn successor(&self, row: &'a ModelRow, today: Day) -> Option<&'a ModelRow> {
        let mut last = row;
        for _ in 0..REPLACEMENTS_MAX {
            last = self.get(last.replacement.as_ref()?)?;
            if !matches!(last.standing(today), Standing::Retired { .. }) {
                return Some(last);
            }
        }
        None
    }
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
        days: u64,
        /// What will take its place.
        #[serde(skip_serializing_if = "Option::is_none")]
        replacement: Option<ModelId>,
    },
}

impl Warning {
    /// The warning of a model that will soon be gone.
    pub(crate) fn of_the_end(row: &ModelRow, today: Day) -> Option<Self> {
        let Standing::Retiring { days } = row.standing(today) else { return None };
        Some(Self::RetiresSoon {
            model: row.id.clone(),
            on: row.retired_on?,
            days,
            replacement: row.replacement.clone(),
        })
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
