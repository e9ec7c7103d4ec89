//! The model catalogue as data: every model's id, the spellings people use, and what family runs it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::day::Day;
use crate::image::Extent;
use crate::money::Micros;
use crate::recipe::Intent;

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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelRow {
    /// Canonical id.
    pub id: ModelId,
    /// Name for people.
    pub name: String,
    /// What runs it.
    pub family: Family,
    /// Other spellings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Who sells it ("openai", "google"); for hosted models alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The protocol that it is asked with, where its provider has several ("ideogram-v1"), by the word of an adapter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// Its name on the wire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wire: Option<String>,
    /// The licence or terms that it comes under, as `[policy.licences]` names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// What it is good for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub intents: Vec<Intent>,
    /// What it can do; for hosted models alone.
    #[serde(default, skip_serializing_if = "Capabilities::is_default")]
    pub can: Capabilities,
    /// What it costs, each by size and quality. The first that fits counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub price: Vec<Price>,
    /// What its tokens cost, where its provider counts some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<TokenPrice>,
    /// How long one picture is expected to take, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u64>,
    /// The share of its pictures that is expected to pass the checks, by intent, before anything was learned.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pass: BTreeMap<Intent, f64>,
    /// The day from which it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired_on: Option<Day>,
    /// What takes its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replacement: Option<ModelId>,
}

/// What a hosted model can do. The default is a model that draws one picture of a size of its own from a prompt.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Capabilities {
    /// Whether it draws from a prompt alone; upscalers do not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generate: Option<bool>,
    /// Sizes in pixels that it draws.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sizes: Vec<Extent>,
    /// Any size within these bounds, besides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub free_size: Option<FreeSize>,
    /// Ratios that it draws, as in "16:9", where it takes no pixels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ratios: Vec<String>,
    /// Words for how large a picture of a ratio is, with the length of its side as a square in pixels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resolutions: Vec<Resolution>,
    /// Words for how much work goes into a picture, from little to much. One is always sent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub qualities: Vec<String>,
    /// The one that is sent when nobody names one; absent means "medium", or the middle one where there is no such word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality: Option<String>,
    /// Most pictures of one call; absent means 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<u32>,
    /// What a seed does.
    #[serde(skip_serializing_if = "SeedUse::is_none")]
    pub seed: SeedUse,
    /// Whether it takes a negative prompt.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub negative: bool,
    /// Whether it takes a guidance scale.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub guidance: bool,
    /// Whether it takes steps and a sampler.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub sampling: bool,
    /// Whether it takes a strength when it changes pictures.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub strength: bool,
    /// Whether it takes adapters by name.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub adapters: bool,
    /// Most pictures that it changes or looks at; 0 where it only draws.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edit: Option<u32>,
    /// How it takes a mask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mask: Option<MaskForm>,
    /// Whether it makes pictures larger.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub upscale: bool,
}

impl Capabilities {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Bounds of sizes that a model draws.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreeSize {
    /// Both sides are multiples of it.
    pub multiple: u32,
    /// Longest side.
    pub edge_max: u32,
    /// The longer side is at most so many times the shorter.
    pub ratio_max: f64,
    /// Fewest and most pixels.
    pub pixels: [u64; 2],
}

/// A word for how large a picture is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resolution {
    /// As it is sent ("1K").
    pub word: String,
    /// Length of a square's side in pixels.
    pub side: u32,
}

/// What a seed does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeedUse {
    /// The model takes none.
    #[default]
    None,
    /// The model takes one and promises nothing.
    BestEffort,
    /// The same seed gives the same picture.
    Honoured,
}

impl SeedUse {
    fn is_none(&self) -> bool {
        *self == Self::None
    }
}

/// How a provider wants to be told what to draw anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MaskForm {
    /// A picture that is clear where it is drawn anew.
    Transparent,
    /// Black where it is drawn anew.
    Black,
    /// White where it is drawn anew, grey in part.
    White,
}

/// What one picture costs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Only for this size in pixels, or word of a resolution; absent means every size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// Only for this quality; absent means every quality.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<String>,
    /// Only for this operation: "generate", "edit" or "upscale"; absent means every one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// What it is expected to cost.
    pub micros: Micros,
    /// The most that it can cost, where that is more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most: Option<Micros>,
    /// When that was so: a day, a month or a year.
    pub as_of: String,
}

/// What a million tokens cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenPrice {
    /// Words of the prompt.
    pub text_in: Micros,
    /// Pictures that are sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_in: Option<Micros>,
    /// Pictures that come back.
    pub image_out: Micros,
    /// When that was so.
    pub as_of: String,
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
pub fn fold(name: &str) -> String {
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
