//! The model catalogue as data: every model's id, the spellings people use, and what family runs it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::day::Day;
use crate::error::{ErrorCode, Failure};
use crate::image::Extent;
use crate::limits;
use crate::money::{Micros, dollars};
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
    /// What it costs at least, in lists of the same kind; see [`Catalogue::raise`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub at_least: Vec<Vec<Price>>,
    /// What its tokens cost, where its provider counts some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<TokenPrice>,
    /// How long one picture of its default quality is expected to take, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u64>,
    /// The share of its pictures that is expected to pass the checks, by intent, before anything was learned.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pass: BTreeMap<Intent, f64>,
    /// As how many pictures `pass` counts once measured ones come in; absent means [`PASS_WEIGHT`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pass_weight: Option<f64>,
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
    #[serde(skip_serializing_if = "Vec::is_empty", with = "sizes")]
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
    /// Only for sizes of at most so many pixels; a word of a resolution has none that we know of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pixels_max: Option<u64>,
    /// Only for this quality; absent means every quality.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<String>,
    /// Only for this operation: "generate", "edit" or "upscale"; absent means every one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// What it is expected to cost.
    #[serde(rename = "usd", with = "dollars")]
    pub micros: Micros,
    /// The most that it can cost, where that is more.
    #[serde(default, with = "dollars::maybe", skip_serializing_if = "Option::is_none")]
    pub most: Option<Micros>,
    /// When that was so: a day, a month or a year.
    pub as_of: String,
    /// Whether it was worked out and not read from the provider.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub estimated: bool,
}

impl Price {
    /// The most that it can cost: what is set aside before a call.
    pub fn most(&self) -> Micros {
        self.most.unwrap_or(self.micros).max(self.micros)
    }

    fn fits(&self, size: &str, quality: &str, operation: &str) -> bool {
        let is = |wanted: &Option<String>, word: &str| wanted.as_deref().is_none_or(|wanted| wanted == word);
        let small = |most: u64| size.parse().is_ok_and(|size: Extent| size.pixels() as u64 <= most);
        is(&self.size, size)
            && is(&self.quality, quality)
            && is(&self.operation, operation)
            && self.pixels_max.is_none_or(small)
    }
}

/// What a million tokens cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenPrice {
    /// Words of the prompt.
    #[serde(with = "dollars")]
    pub text_in: Micros,
    /// Pictures that are sent; absent means that they cost what words cost.
    #[serde(default, with = "dollars::maybe", skip_serializing_if = "Option::is_none")]
    pub image_in: Option<Micros>,
    /// Pictures that come back.
    #[serde(with = "dollars")]
    pub image_out: Micros,
    /// When that was so.
    pub as_of: String,
}

impl TokenPrice {
    /// What a provider's own count of tokens costs, rounded up to a millionth of a dollar.
    pub fn cost(&self, text_in: u64, image_in: u64, image_out: u64) -> Micros {
        let image_price = self.image_in.unwrap_or(self.text_in);
        let parts = [(text_in, self.text_in), (image_in, image_price), (image_out, self.image_out)];
        let millionths: u128 = parts.into_iter().map(|(tokens, price)| u128::from(tokens) * u128::from(price.0)).sum();
        Micros(u64::try_from(millionths.div_ceil(1_000_000)).unwrap_or(u64::MAX).min(Micros::MAX.0))
    }
}

/// As how many pictures an expectation of the catalogue counts beside measured ones: two screens of thumbnails.
pub const PASS_WEIGHT: f64 = 20.0;
/// A model that goes within so many days is warned of: a month is what it takes to look at new art.
pub const RETIRING_DAYS: u64 = 30;
/// Longest chain of replacements that is followed; longer ones are a circle.
pub const REPLACEMENTS_MAX: usize = 8;

/// Where a model stands on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is there, and nobody said for how long, or for longer than [`RETIRING_DAYS`].
    Live,
    /// It is there for so many more days.
    Retiring {
        /// 1 on its last day.
        days: u64,
    },
    /// It is gone.
    Retired {
        /// The first day without it.
        since: Day,
    },
}

/// A model in place of one that was named, and every model that was passed over on the way.
#[derive(Debug, Clone, PartialEq)]
pub struct Successor<'a> {
    /// What is used.
    pub row: &'a ModelRow,
    /// What was named, and what would have replaced it but is gone itself; empty where what was named lives.
    pub replaced: Vec<&'a ModelRow>,
}

impl Successor<'_> {
    /// What people are told: both models and the day. Nothing where nothing was replaced.
    pub fn warning(&self) -> Option<String> {
        let named = self.replaced.first()?;
        let since = named.retired_on.map(|day| format!(" on {day}")).unwrap_or_default();
        Some(format!("{} was retired{since}; {} takes its place", named.id, self.row.id))
    }
}

impl ModelRow {
    /// A row that says nothing but who it is.
    pub fn bare(id: &str, family: Family) -> Self {
        Self {
            id: ModelId(id.to_owned()),
            name: id.to_owned(),
            family,
            aliases: Vec::new(),
            provider: None,
            protocol: None,
            wire: None,
            licence: None,
            intents: Vec::new(),
            can: Capabilities::default(),
            price: Vec::new(),
            at_least: Vec::new(),
            tokens: None,
            latency_ms: None,
            pass: BTreeMap::new(),
            pass_weight: None,
            retired_on: None,
            replacement: None,
        }
    }

    /// Whether its numbers and words mean something.
    ///
    /// # Errors
    /// [`CatalogueError::Row`], which says what they should be.
    pub fn check(&self) -> Result<(), CatalogueError> {
        let wrong = |why: String| Err(CatalogueError::Row { id: self.id.clone(), why });
        let id = self.id.as_str();
        if id.is_empty() || id.len() > 80 || id.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return wrong(format!("an id has 1 to 80 characters and no spaces, and {id:?} has not"));
        }
        if self.family == Family::Hosted && self.provider.is_none() {
            return wrong(
                "name the `provider` that is asked for a hosted model, as in provider = \"openai\"".to_owned(),
            );
        }
        if let Some((intent, share)) = self.pass.iter().find(|(_, share)| !(0.0..=1.0).contains(*share)) {
            return wrong(format!("pass.{} is a share from 0 to 1, and {share} is not", intent.word()));
        }
        if let Some(weight) = self.pass_weight.filter(|weight| !(0.5..=1e6).contains(weight)) {
            return wrong(format!("pass_weight counts pictures, 0.5 to 1000000, and {weight} does not"));
        }
        if let Some(ratio) = self.can.ratios.iter().find(|ratio| ratio_of(ratio).is_none()) {
            return wrong(format!("write the ratio {ratio:?} as in \"16:9\""));
        }
        if let Some(free) = &self.can.free_size
            && (free.multiple == 0
                || free.edge_max < free.multiple
                || !free.ratio_max.is_finite()
                || free.ratio_max < 1.0
                || free.pixels[0] > free.pixels[1])
        {
            return wrong("free_size fits no size: see the head of models.toml for what its numbers mean".to_owned());
        }
        if let Some(quality) = self.can.quality.as_ref().filter(|quality| !self.can.qualities.contains(quality)) {
            return wrong(format!("its quality {quality:?} is none of its qualities"));
        }
        if self.replacement.as_ref() == Some(&self.id) {
            return wrong("it cannot take its own place".to_owned());
        }
        Ok(())
    }

    /// The licence or terms as policies name them; "unknown" where nobody said.
    pub fn licence(&self) -> &str {
        self.licence.as_deref().unwrap_or("unknown")
    }

    /// What one picture of `size` ("1024x1024", or the word of a resolution; empty for a size that it chooses) costs.
    /// `None` is not 0: nobody knows.
    pub fn price_of(&self, size: &str, quality: &str, operation: &str) -> Option<&Price> {
        let lists = std::iter::once(&self.price).chain(&self.at_least);
        let first = lists.filter_map(|list| list.iter().find(|price| price.fits(size, quality, operation)));
        first.max_by_key(|price| (price.most(), price.micros))
    }

    /// What one picture of a recipe's size and quality is likely to cost, before it is known what is asked for exactly:
    /// of the smallest size that it has and that holds the recipe's, or of its largest.
    pub fn likely_price(&self, size: Extent, quality: Option<&str>) -> Option<Micros> {
        let (can, pixels) = (&self.can, size.pixels() as u64);
        let holds = |one: &&Extent| one.width >= size.width && one.height >= size.height;
        let listed = can.sizes.iter().filter(holds).min_by_key(|one| one.pixels());
        let listed = listed.or_else(|| can.sizes.iter().max_by_key(|one| one.pixels()));
        let side = |side: u32| u64::from(side) * u64::from(side);
        let word = can.resolutions.iter().filter(|one| side(one.side) >= pixels).min_by_key(|one| one.side);
        let word = word.or_else(|| can.resolutions.iter().max_by_key(|one| one.side));
        let free = can.free_size.as_ref().filter(|free| (free.pixels[0]..=free.pixels[1]).contains(&pixels));
        let asked = match (free, listed, word) {
            (Some(_), ..) => size.to_string(),
            (None, Some(listed), _) => listed.to_string(),
            (None, None, Some(word)) => word.word.clone(),
            (None, None, None) => String::new(),
        };
        let quality = quality.filter(|word| can.qualities.iter().any(|known| known == word));
        let quality = quality.unwrap_or_else(|| self.default_quality());
        self.price_of(&asked, quality, "generate").map(|price| price.micros)
    }

    /// The quality that is sent when nobody names one: its own, or "medium", or the middle one; empty where it has none.
    pub fn default_quality(&self) -> &str {
        let words = &self.can.qualities;
        let middle = || words.get(words.len().saturating_sub(1) / 2);
        let medium = words.iter().find(|word| *word == "medium");
        self.can.quality.as_ref().or(medium).or_else(middle).map_or("", String::as_str)
    }

    /// Where it stands on a day.
    pub fn standing(&self, today: Day) -> Standing {
        let Some(day) = self.retired_on else { return Standing::Live };
        match u64::try_from(day.after(today)) {
            Ok(days @ 1..=RETIRING_DAYS) => Standing::Retiring { days },
            Ok(1..) => Standing::Live,
            _ => Standing::Retired { since: day },
        }
    }
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
    /// A row that no engine could use.
    #[error("read the model catalogue: {id}: {why}")]
    Row {
        /// Which.
        id: ModelId,
        /// What is wrong, and what it should be.
        why: String,
    },
    /// More than [`limits::OWN_MODELS_MAX`] rows of one's own, or more than [`limits::CATALOGUE_BYTES_MAX`] bytes.
    #[error(
        "read the model catalogue: it has {0}; at most {rows} rows of {bytes} bytes are read",
        rows = limits::OWN_MODELS_MAX,
        bytes = limits::CATALOGUE_BYTES_MAX
    )]
    TooMany(String),
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
    #[serde(rename = "model", default)]
    rows: Vec<ModelRow>,
}

/// Reads rows from TOML without making a catalogue of them: those of a project, which go over the built-in ones.
///
/// # Errors
/// [`CatalogueError`] for bad TOML, too many rows, or a row that no engine could use.
pub fn parse_rows(text: &str) -> Result<Vec<ModelRow>, CatalogueError> {
    if text.len() > limits::CATALOGUE_BYTES_MAX {
        return Err(CatalogueError::TooMany(format!("{} bytes", text.len())));
    }
    let file: File = toml::from_str(text).map_err(|err| CatalogueError::Toml(err.to_string()))?;
    if file.rows.len() > limits::OWN_MODELS_MAX {
        return Err(CatalogueError::TooMany(format!("{} rows", file.rows.len())));
    }
    file.rows.iter().try_for_each(ModelRow::check)?;
    Ok(file.rows)
}

/// A ratio of two whole numbers from 1 to 100, as in "16:9".
pub fn ratio_of(text: &str) -> Option<f64> {
    let (width, height) = text.split_once(':')?;
    let side = |text: &str| text.parse::<u8>().ok().filter(|side| (1..=100).contains(side)).map(f64::from);
    Some(side(width)? / side(height)?)
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
    /// [`CatalogueError`] for bad TOML, a row that no engine could use, or a spelling that two rows claim.
    pub fn parse(text: &str) -> Result<Self, CatalogueError> {
        Self::of(parse_rows(text)?)
    }

    fn of(rows: Vec<ModelRow>) -> Result<Self, CatalogueError> {
        let mut by_spelling = BTreeMap::new();
        for (at, row) in rows.iter().enumerate() {
            for spelling in std::iter::once(row.id.as_str()).chain(row.aliases.iter().map(String::as_str)) {
                match by_spelling.insert(fold(spelling), at) {
                    Some(earlier) if earlier != at => {
                        return Err(CatalogueError::Ambiguous {
                            spelling: spelling.to_owned(),
                            first: rows[earlier].id.clone(),
                            second: row.id.clone(),
                        });
                    }
                    _ => {}
                }
            }
        }
        Ok(Self { rows, by_spelling })
    }

    /// The same with rows of one's own: each takes the place of the row with its id, or comes after all others.
    ///
    /// # Errors
    /// [`CatalogueError`] where a row's spelling then names two, or a row is one that no engine could use.
    pub fn with_rows(&self, own: Vec<ModelRow>) -> Result<Self, CatalogueError> {
        if own.len() > limits::OWN_MODELS_MAX {
            return Err(CatalogueError::TooMany(format!("{} rows", own.len())));
        }
        let mut rows = self.rows.clone();
        for row in own {
            row.check()?;
            match rows.iter_mut().find(|there| there.id == row.id) {
                Some(there) => *there = row,
                None => rows.push(row),
            }
        }
        Self::of(rows)
    }

    /// Raises what a row of somebody else says of its price to what is known of the same model here, so that a project
    /// cannot spend more than the user allows by calling it less. What is not known here is left as it is said.
    pub fn raise(&self, row: &mut ModelRow) {
        let by_wire = row.wire.as_deref().and_then(|wire| {
            let sold = |known: &&ModelRow| known.provider == row.provider && known.wire.as_deref() == Some(wire);
            self.rows.iter().find(sold).or_else(|| self.resolve(wire).ok())
        });
        let known: Vec<&ModelRow> = self.get(&row.id).into_iter().chain(by_wire).collect();
        for known in known {
            row.at_least.push(known.price.clone());
            if let Some(known) = &known.tokens {
                let said = row.tokens.take().unwrap_or_else(|| known.clone());
                row.tokens = Some(TokenPrice {
                    text_in: said.text_in.max(known.text_in),
                    image_in: said.image_in.max(known.image_in),
                    image_out: said.image_out.max(known.image_out),
                    as_of: said.as_of,
                });
            }
        }
    }

    /// What is used today for `row`: itself while it lives, then its replacement, and so on.
    ///
    /// # Errors
    /// [`ErrorCode::ModelRetired`] where nothing that lives takes its place.
    pub fn successor<'a>(&'a self, row: &'a ModelRow, today: Day) -> Result<Successor<'a>, Failure> {
        let mut replaced = Vec::new();
        let mut at = row;
        while let Standing::Retired { since } = at.standing(today) {
            let next = at.replacement.as_ref().and_then(|id| self.get(id));
            let (Some(next), true) = (next, replaced.len() < REPLACEMENTS_MAX) else {
                let message = format!(
                    "failed to draw with {}: it was retired on {since}, and nothing takes its place; name another model",
                    at.id
                );
                return Err(Failure::new(ErrorCode::ModelRetired, message));
            };
            replaced.push(at);
            at = next;
        }
        Ok(Successor { row: at, replaced })
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

/// Sizes as texts ("1024x1024"), as people write them.
mod sizes {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    use super::Extent;

    pub(super) fn serialize<S: Serializer>(sizes: &[Extent], to: S) -> Result<S::Ok, S::Error> {
        sizes.iter().map(ToString::to_string).collect::<Vec<_>>().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Extent>, D::Error> {
        let texts = Vec::<String>::deserialize(from)?;
        texts.iter().map(|text| text.parse().map_err(de::Error::custom)).collect()
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
