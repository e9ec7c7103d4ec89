//! The model catalogue as data: every model's id, the spellings people use, and what family runs it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The rows that ship with Thumbforge.
const BUILT_IN: &str = include_str!("../models.toml");

/// Canonical id of a model of the catalogue ("sd3.5-medium"). Only [`Catalogue::resolve`] makes one from a person's spelling.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ModelId(String);

impl ModelId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The built-in engine's model.
    pub fn builtin() -> Self {
        Self("builtin".to_owned())
    }
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What kind of engine runs a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// Weights on this machine.
    Local,
    /// A provider's API.
    Hosted,
    /// Drawn by Thumbforge itself.
    Builtin,
}

/// One row of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelRow {
    /// Canonical id.
    pub id: ModelId,
    /// Name for people.
    pub name: String,
    /// What runs it.
    pub family: Family,
    /// Other spellings.
    #[serde(default)]
    pub aliases: Vec<String>,
}

/// A model name that no row has.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("find the model {name:?}: {hint}")]
pub struct UnknownModel {
    /// As it was written.
    pub name: String,
    hint: String,
}

impl UnknownModel {
    /// What to do: the nearest spelling, or where all are listed.
    pub fn hint(&self) -> &str {
        &self.hint
    }
}

/// A catalogue file that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CatalogueError {
    /// Not the TOML of a catalogue.
    #[error("read the model catalogue: {0}")]
    Toml(String),
    /// Two rows claim one spelling.
    #[error("read the model catalogue: {spelling:?} names both {first} and {second}")]
    Ambiguous {
        /// The spelling in question.
        spelling: String,
        /// The row that has it already.
        first: ModelId,
        /// The row that claims it too.
        second: ModelId,
    },
}

/// All known models, found by any of their spellings.
#[derive(Debug, Clone)]
pub struct Catalogue {
    rows: Vec<ModelRow>,
    by_spelling: BTreeMap<String, usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "model")]
    rows: Vec<ModelRow>,
}

impl Catalogue {
    /// The catalogue that ships with Thumbforge.
    ///
    /// # Panics
    /// Never in a build whose tests passed: the embedded file is read by one.
    pub fn built_in() -> Self {
        #[expect(clippy::expect_used, reason = "the embedded file is read by a unit test")]
        Self::parse(BUILT_IN).expect("the embedded catalogue is read by a unit test")
    }

    /// Reads a catalogue from TOML.
    ///
    /// # Errors
    /// [`CatalogueError`] for bad TOML, or a spelling that two rows claim.
    pub fn parse(text: &str) -> Result<Self, CatalogueError> {
        let file: File = toml::from_str(text).map_err(|err| CatalogueError::Toml(err.to_string()))?;
        let mut by_spelling = BTreeMap::new();
        for (at, row) in file.rows.iter().enumerate() {
            for spelling in std::iter::once(row.id.as_str()).chain(row.aliases.iter().map(String::as_str)) {
                match by_spelling.insert(fold(spelling), at) {
                    Some(earlier) if earlier != at => {
                        return Err(CatalogueError::Ambiguous {
                            spelling: spelling.to_owned(),
                            first: file.rows[earlier].id.clone(),
                            second: row.id.clone(),
                        });
                    }
                    _ => {}
                }
            }
        }
        Ok(Self { rows: file.rows, by_spelling })
    }

    /// The row that `name` spells.
    ///
    /// # Errors
    /// [`UnknownModel`], which proposes the nearest spelling.
    pub fn resolve(&self, name: &str) -> Result<&ModelRow, UnknownModel> {
        if let Some(at) = self.by_spelling.get(&fold(name)) {
            return Ok(&self.rows[*at]);
        }
        let hint = match self.nearest(name) {
            Some(row) => format!("did you mean {:?}? `thumbforge models` lists all", row.id.as_str()),
            None => "`thumbforge models` lists all".to_owned(),
        };
        Err(UnknownModel { name: name.chars().take(80).collect(), hint })
    }

    /// The row of a canonical id.
    pub fn get(&self, id: &ModelId) -> Option<&ModelRow> {
        self.by_spelling.get(&fold(id.as_str())).map(|at| &self.rows[*at])
    }

    /// All rows, in the file's order.
    pub fn rows(&self) -> &[ModelRow] {
        &self.rows
    }

    fn nearest(&self, name: &str) -> Option<&ModelRow> {
        let folded = fold(name);
        if folded.len() > 64 {
            return None;
        }
        let (spelling, at) = self.by_spelling.iter().min_by_key(|(spelling, _)| edit_distance(&folded, spelling))?;
        (edit_distance(&folded, spelling) <= folded.len().max(4) / 3).then(|| &self.rows[*at])
    }
}

/// Spellings are compared without case, spaces, underscores, hyphens and middle dots.
fn fold(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, ' ' | '_' | '-' | '·')).flat_map(char::to_lowercase).collect()
}

/// How many letters must be added, left out, changed or swapped with their neighbour, for "did you mean".
pub fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let (mut before, mut row): (Vec<usize>, Vec<usize>) = (Vec::new(), (0..=b.len()).collect());
    let mut previous = None;
    for (i, ca) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for (j, cb) in b.iter().enumerate() {
            let mut least = (row[j] + usize::from(ca != *cb)).min(row[j + 1] + 1).min(next[j] + 1);
            if j > 0 && previous == Some(*cb) && b[j - 1] == ca {
                least = least.min(before[j - 1] + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut row, next);
        previous = Some(ca);
    }
    row[b.len()]
}

#[cfg(test)]
mod tests;
