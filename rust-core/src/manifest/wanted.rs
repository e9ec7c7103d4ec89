//! What a manifest or a prompt file comes to: images that are wanted, each with its recipe and key.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use crate::id::PlannedKey;
use crate::image::Extent;
use crate::job::AssetRef;
use crate::manifest::body::{Profile, Tiers};
use crate::manifest::error::{Gathered, ManifestError, ManifestErrors};
use crate::model::ModelId;
use crate::money::Micros;
use crate::recipe::{Recipe, Settings, Tier};
use crate::terms::Terms;

/// One image that should exist.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// What it is for.
    pub asset: AssetRef,
    /// Where it goes: relative to the manifest, with forward slashes.
    pub output: String,
    /// How Unity imports it.
    pub profile: Option<Arc<NamedProfile>>,
    /// Everything that decides its pixels, normalised.
    pub recipe: Recipe,
    /// The recipe's planned key.
    pub planned: PlannedKey,
    /// Higher is drawn first.
    pub priority: i32,
    /// What may be spent on it, and where; the same for many.
    pub terms: Arc<Terms>,
}

/// An import profile of the manifest and its name.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedProfile {
    /// Its name in the manifest.
    pub name: String,
    /// What the importer is set to.
    pub profile: Profile,
}

/// An image that is left out because its locale lacks a string and `missing_string` is `skip`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// What it would be for.
    pub asset: AssetRef,
    /// Where it would go.
    pub output: String,
    /// The key that is missing.
    pub string: String,
}

/// All images of a manifest or a prompt file.
#[derive(Debug, Clone, PartialEq)]
pub struct Expansion {
    /// Sorted by output.
    pub wanted: Vec<Wanted>,
    /// What was left out for want of a string, sorted by output.
    pub skipped: Vec<Skipped>,
    /// Whether these are all images, or those of some locales or assets only.
    pub scope: Scope,
    /// Whether built-in art may stand in for a model that is not there.
    pub placeholder: bool,
    /// What each tier is drawn with and how long it should take: the tier file with the manifest's rows on top.
    pub tiers: Tiers,
    /// Whether the words of finished pictures are read back; absent when nobody said.
    pub verify_ocr: Option<bool>,
    /// What people should know before anything is drawn, each once.
    pub warnings: Vec<Warning>,
    /// Retired models that something pins, each with the error that whoever draws with one gets. What was drawn before
    /// stays as it is.
    pub retired: BTreeMap<ModelId, ManifestError>,
    /// The most that one build may spend.
    pub batch_budget: Option<Micros>,
}

impl Expansion {
    /// What is wrong with drawing these images today, each mistake once.
    ///
    /// # Errors
    /// A model that is retired, where it is pinned.
    pub fn check_drawn<'a>(&self, images: impl Iterator<Item = &'a Wanted>) -> Result<(), ManifestErrors> {
        if self.retired.is_empty() {
            return Ok(());
        }
        let pinned = images.filter(|wanted| wanted.terms.pin).filter_map(|wanted| wanted.recipe.model.as_ref());
        let models: BTreeSet<&ModelId> = pinned.filter(|model| self.retired.contains_key(model)).collect();
        let mut gathered = Gathered::default();
        models.into_iter().filter_map(|model| self.retired.get(model)).for_each(|error| gathered.push(error.clone()));
        gathered.or(())
    }
}

/// What people should know of a plan that is right all the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Warning {
    /// For machines: `model_retired`, `model_retires`, `lossy`, or `lossy_memory` of what was drawn.
    pub code: &'static str,
    /// For people.
    pub message: String,
}

/// Whether everything was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Everything that the manifest has; what the lock has besides is an orphan.
    Whole,
    /// Some locales or assets; nothing can be said about the rest of the lock.
    Part,
}

/// What the command line says over the manifest.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Overrides {
    /// Only these locales.
    pub locales: Option<Vec<String>>,
    /// Only these assets.
    pub assets: Option<Vec<String>>,
    /// Only these outputs, as the manifest places them; what it does not place is passed over.
    pub outputs: Option<Vec<String>>,
    /// This tier for every image.
    pub tier: Option<Tier>,
    /// This model for every image, by any spelling.
    pub model: Option<String>,
    /// This seed for every image.
    pub seed: Option<u64>,
    /// This size for every image.
    pub size: Option<Extent>,
    /// Settings over every other.
    pub settings: Settings,
    /// This negative prompt for every image.
    pub negative: Option<String>,
    /// Whether built-in art may stand in; absent means as the manifest says.
    pub placeholder: Option<bool>,
}
