//! Steps of a repair: what was done, and the recipe that engines are asked after it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::Means;
use crate::id::{ContentHash, RealisedKey};
use crate::limits;
use crate::model::ModelId;
use crate::money::Micros;
use crate::recipe::{Edit, Operation, Realisation, Recipe, Settings};
use crate::text_layer::TextMode;
use crate::verdict::{Finding, Severity, Verdict};

/// The setting of a realisation that says by which steps a picture came about. Art has no such entry: the same art serves
/// whoever comes to it, by whatever steps.
pub const REPAIR_SETTING: &str = "repair";

/// What was done about a picture. The form in the journal carries a version; steps are only ever added.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "step")]
pub enum Step {
    /// The same again with another seed.
    Reseed {
        /// The seed.
        seed: u64,
    },
    /// The same again with another guidance scale.
    Guidance {
        /// The scale.
        guidance: f64,
    },
    /// A region of the picture that was refused is drawn anew.
    Inpaint {
        /// The art that was refused, as PNG of the recipe's size.
        image: ContentHash,
        /// Where it is drawn anew: white; a grey PNG of the same size.
        mask: ContentHash,
        /// The seed.
        seed: u64,
        /// How far the region may be left, 0 to 1, where the model can be told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        strength: Option<f64>,
    },
    /// Another model draws it.
    Escalate {
        /// The model.
        model: ModelId,
    },
    /// Art without words, and the words in true type.
    Composite,
    /// A draft that was accepted is made as large as its final: by a model, or else by resampling.
    Enlarge {
        /// The model, and the draft's art as PNG.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Enlarger>,
    },
}

/// What a model enlarges.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Enlarger {
    /// The model.
    pub model: ModelId,
    /// The draft's art, before words and post steps, as PNG.
    pub image: ContentHash,
}

impl Step {
    /// The means that it is; none for what mends nothing.
    pub const fn means(&self) -> Option<Means> {
        Some(match self {
            Self::Reseed { .. } => Means::Reseed,
            Self::Guidance { .. } => Means::Guidance,
            Self::Inpaint { .. } => Means::Inpaint,
            Self::Escalate { .. } => Means::Escalate,
            Self::Composite => Means::Composite,
            Self::Enlarge { .. } => return None,
        })
    }

    /// What people are told was done.
    pub fn said(&self) -> String {
        match self {
            Self::Reseed { .. } => "reseeded".to_owned(),
            Self::Guidance { guidance } => format!("drawn with guidance {guidance}"),
            Self::Inpaint { .. } => "the region drawn anew".to_owned(),
            Self::Escalate { model } => format!("drawn by {model}"),
            Self::Composite => "words set in true type".to_owned(),
            Self::Enlarge { by: Some(Enlarger { model, .. }) } => format!("enlarged by {model}"),
            Self::Enlarge { by: None } => "enlarged by resampling".to_owned(),
        }
    }

    /// As it stands in keys.
    fn word(&self) -> String {
        let means = self.means().map_or("enlarge", Means::word);
        match self {
            Self::Reseed { seed } => format!("{means} {seed}"),
            Self::Guidance { guidance } => format!("{means} {guidance}"),
            Self::Inpaint { image, mask, seed, strength } => {
                let strength = strength.map(|strength| format!(" {strength}")).unwrap_or_default();
                format!("{means} {image} {mask} {seed}{strength}")
            }
            Self::Escalate { model } => format!("{means} {model}"),
            Self::Composite => means.to_owned(),
            Self::Enlarge { by: Some(Enlarger { model, image }) } => format!("{means} {model} {image}"),
            Self::Enlarge { by: None } => format!("{means} lanczos"),
        }
    }
}

/// A picture that was not the last of its job, refused or an accepted draft, and what was decided about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mended {
    /// The attempt that gave the picture, from 1.
    pub attempt: u32,
    /// The model that drew it.
    pub model: ModelId,
    /// What was found.
    pub verdict: Verdict,
    /// What its art cost, whoever paid.
    pub cost: Micros,
    /// How long its art took, in milliseconds; 0 for what is drawn in no time.
    pub latency_ms: u64,
    /// What was done then.
    #[serde(flatten)]
    pub step: Step,
}

impl Mended {
    /// As a report has it.
    pub fn told(&self) -> Repaired {
        Repaired {
            attempt: self.attempt,
            model: self.model.to_string(),
            found: said(&self.verdict.findings),
            means: self.step.means(),
            done: self.step.said(),
            cost_micros_usd: self.cost.0,
            latency_ms: self.latency_ms,
        }
    }
}

/// A picture that was refused, and what was done about it, in words for people and scripts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repaired {
    /// The attempt whose picture was refused, from 1.
    pub attempt: u32,
    /// The model that drew it.
    pub model: String,
    /// What was found.
    pub found: String,
    /// What kind of thing was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub means: Option<Means>,
    /// What was done.
    pub done: String,
    /// What the refused art cost, in millionths of a US dollar.
    pub cost_micros_usd: u64,
    /// How long the refused art took, in milliseconds.
    pub latency_ms: u64,
}

/// What the first of `findings` that refuses a picture says, with what was read.
pub fn said(findings: &[Finding]) -> String {
    let Some(worst) = findings.iter().find(|finding| finding.severity == Severity::Error) else { return String::new() };
    match &worst.read {
        // The message may tell it already.
        Some(read) if !read.is_empty() && !worst.message.contains(read.as_str()) => {
            format!("{} (read '{read}')", worst.message)
        }
        _ => worst.message.clone(),
    }
}

/// The numbers of guidance that a model takes, and the one in use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Guided {
    /// Least.
    pub least: f64,
    /// Most.
    pub most: f64,
    /// What the refused picture was drawn with.
    pub now: f64,
}

impl Guided {
    /// The scale to try next, `done` scales having been tried: half as much more for the first, a third less for the
    /// second, and so on in turns. More guidance keeps closer to the words of a prompt, less draws with fewer artefacts.
    /// `None` where the model's range has no room.
    pub fn next(self, done: usize) -> Option<f64> {
        // Three digits: the scale stands in keys, and nobody sees less.
        let fit = |scale: f64| (scale.clamp(self.least, self.most) * 1e3).round() / 1e3;
        let (more, less) = (fit(self.now * 1.5), fit(self.now / 1.5));
        let turns = if done.is_multiple_of(2) { [more, less] } else { [less, more] };
        // Less than a tenth of a step is the same picture again.
        turns.into_iter().find(|scale| (scale - self.now).abs() > 0.1)
    }
}

/// The seed of the step with this number, counted from 1. It follows from the art that was decided, without its words, so
/// that every locale of an asset takes the same.
pub fn seed(recipe: &Recipe, number: usize) -> u64 {
    // A final repairs its draft as tier preview did.
    let art = recipe.as_draft().map_or_else(|| recipe.art_key(), |draft| draft.art_key());
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"thumbforge repair").update(art.as_bytes()).update(&(number as u64).to_le_bytes());
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_le_bytes(bytes) & limits::SEED_MAX
}

/// Whether the words of `recipe` may be set in true type instead of drawn: some are drawn, and each may.
pub fn may_composite(recipe: &Recipe) -> bool {
    recipe.has_drawn_words() && recipe.text.iter().all(|layer| layer.mode != TextMode::Model)
}

/// The steps that decide pixels: nothing that came before words were set in true type does.
fn deciding(steps: &[Step]) -> &[Step] {
    let from = steps.iter().rposition(|step| *step == Step::Composite).unwrap_or(0);
    steps.get(from..).unwrap_or_default()
}

/// The recipe that engines are asked after `steps`. The job's own stays as it is.
///
/// A region is drawn anew over one picture; whatever follows begins from nothing again. Another model is asked with its own
/// guidance. A final that is made from a draft is asked for as that draft until it is enlarged.
pub fn effective<'a>(recipe: &'a Recipe, steps: &[Step]) -> Cow<'a, Recipe> {
    let steps = deciding(steps);
    // Asked as tier preview asks, so that what it drew is there already.
    let Some(draft) = recipe.as_draft() else { return repaired(recipe, steps) };
    let mut asked = repaired(&draft, steps).into_owned();
    match steps.iter().rev().find_map(|step| if let Step::Enlarge { by } = step { Some(by) } else { None }) {
        // Resampled it is the draft again, which is there; what becomes larger is the picture.
        None | Some(None) => {}
        Some(Some(by)) => enlarged(&mut asked, recipe, by),
    }
    Cow::Owned(asked)
}

/// `asked`, a draft's recipe, as its enlargement. A model that did not draw the draft is told nothing of how that was drawn.
fn enlarged(asked: &mut Recipe, recipe: &Recipe, by: &Enlarger) {
    asked.seed = Some(asked.drawing_seed());
    asked.size = recipe.size;
    asked.tier = recipe.tier;
    asked.edit = Some(Edit { operation: Operation::Upscale, images: vec![by.image], mask: None });
    let named = recipe.draft.as_ref().and_then(|draft| draft.model.as_ref());
    if named.is_some_and(|named| asked.model.as_ref() != Some(named)) {
        asked.settings = Settings::default();
        asked.negative.clear();
        asked.adapters.clear();
        asked.brand.clear();
    }
    asked.settings.strength = recipe.draft.as_ref().and_then(|draft| draft.strength);
    asked.model = Some(by.model.clone());
}

fn repaired<'a>(recipe: &'a Recipe, steps: &[Step]) -> Cow<'a, Recipe> {
    let mut asked = recipe.for_model();
    for step in steps {
        if *step == Step::Composite {
            asked = Cow::Owned(recipe.in_true_type());
            continue;
        }
        if matches!(step, Step::Enlarge { .. }) {
            continue;
        }
        let asked = asked.to_mut();
        asked.edit.clone_from(&recipe.edit);
        asked.settings.strength = recipe.settings.strength;
        match step {
            Step::Reseed { seed } => asked.seed = Some(*seed),
            Step::Guidance { guidance } => asked.settings.guidance = Some(*guidance),
            Step::Inpaint { image, mask, seed, strength } => {
                asked.seed = Some(*seed);
                asked.edit = Some(Edit { operation: Operation::Edit, images: vec![*image], mask: Some(*mask) });
                asked.settings.strength = strength.or(recipe.settings.strength);
            }
            Step::Escalate { model } => {
                asked.model = Some(model.clone());
                asked.settings.guidance = recipe.settings.guidance;
            }
            Step::Composite | Step::Enlarge { .. } => {}
        }
    }
    asked
}

/// Steps as they stand in the realised key; empty where nothing was repaired.
pub fn words(steps: &[Step]) -> String {
    let words: Vec<String> = deciding(steps).iter().map(Step::word).collect();
    words.join("; ")
}

/// The key of the art that `realisation` gives for `asked`, an effective recipe.
pub fn art_of(realisation: &Realisation, asked: &Recipe) -> RealisedKey {
    if !realisation.settings.contains_key(REPAIR_SETTING) {
        return realisation.key(asked.art_key());
    }
    let mut art = realisation.clone();
    art.settings.remove(REPAIR_SETTING);
    art.key(asked.art_key())
}
