//! Where a picture comes from, in the words of IPTC's Digital Source Type.
//!
//! The vocabulary is <http://cv.iptc.org/newscodes/digitalsourcetype/> in its edition of 2024-09-17, which C2PA uses too.
//! What is decided here, and by which definition:
//!
//! | picture | term | definition |
//! |---|---|---|
//! | a model drew it from words | `trainedAlgorithmicMedia` | created by a model trained on captured content |
//! | the same with words set over it | `compositeWithTrainedAlgorithmicMedia` | a model's media put together with other media |
//! | a model changed a picture of the team | `compositeWithTrainedAlgorithmicMedia` | edited with a generative model, as in inpainting |
//! | the built-in engine drew it, with words or without | `algorithmicMedia` | created purely by an algorithm, without training data |
//! | the team's own picture with words or post steps | `humanEdits` | edited by people with tools that are not generative |
//! | the team's own picture as it is | none | nobody told us what it is |
//!
//! `compositeSynthetic` would be true of words over a model's art as well; the other term is the one that says that the
//! *whole* ground is a model's, and readers that know the vocabulary's first edition know it. `composite` is never said:
//! it leaves open whether a model had a part, and we know. `compositeCapture` would claim that the team's picture is a
//! photograph.

use serde::Serialize;
use thumbforge_core::recipe::{Intent, Recipe};
use thumbforge_core::repair::{Means, REPAIR_SETTING};

use super::provenance::Provenance;

/// Every term begins like this.
const VOCABULARY: &str = "http://cv.iptc.org/newscodes/digitalsourcetype/";
/// Terms of the vocabulary that say that a trained model had a part.
const OF_MODELS: [&str; 3] = ["trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia", "compositeSynthetic"];

/// A term of IPTC's Digital Source Type that a picture of ours can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum SourceType {
    /// A trained model made it.
    TrainedAlgorithmicMedia,
    /// A trained model had a part in it.
    CompositeWithTrainedAlgorithmicMedia,
    /// An algorithm made it that was not trained.
    AlgorithmicMedia,
    /// People edited it with tools that are not generative.
    HumanEdits,
}

impl SourceType {
    /// The term.
    pub const fn word(self) -> &'static str {
        match self {
            Self::TrainedAlgorithmicMedia => "trainedAlgorithmicMedia",
            Self::CompositeWithTrainedAlgorithmicMedia => "compositeWithTrainedAlgorithmicMedia",
            Self::AlgorithmicMedia => "algorithmicMedia",
            Self::HumanEdits => "humanEdits",
        }
    }

    /// The term's address, as XMP and C2PA have it.
    pub fn uri(self) -> String {
        format!("{VOCABULARY}{}", self.word())
    }

    /// Whether a trained model had a part in it.
    pub fn is_of_model(self) -> bool {
        is_of_model(self.word())
    }
}

/// The term of an address, or the address itself where it is of no vocabulary that we know.
pub fn term(uri: &str) -> &str {
    // Some programs write https, though the vocabulary's own addresses are http.
    let plain = uri.strip_prefix("https://").or(uri.strip_prefix("http://")).unwrap_or(uri);
    plain.strip_prefix("cv.iptc.org/newscodes/digitalsourcetype/").unwrap_or(uri)
}

/// Whether a term says that a trained model had a part.
pub fn is_of_model(term: &str) -> bool {
    OF_MODELS.contains(&term)
}

/// How a picture came about, as far as its term depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ground {
    /// A model drew it.
    Model,
    /// A model changed a picture that the team gave.
    ModelOverPicture,
    /// The built-in engine drew it.
    BuiltIn,
    /// It is the team's own picture.
    OwnPicture,
}

impl Ground {
    /// Of a picture that `engine` drew from `recipe`.
    pub fn of(engine: &str, recipe: &Recipe) -> Self {
        let is_given = recipe.edit.is_some() || (recipe.art.is_some() && recipe.intent == Intent::Edit);
        match engine {
            "builtin" => Self::BuiltIn,
            "file" => Self::OwnPicture,
            _ if is_given => Self::ModelOverPicture,
            _ => Self::Model,
        }
    }
}

/// Whether words stand over the art in true type.
pub fn has_set_words(provenance: &Provenance) -> bool {
    let steps = provenance.realisation.settings.get(REPAIR_SETTING).map(String::as_str).unwrap_or_default();
    let mended = steps.split("; ").any(|step| step == Means::Composite.word());
    provenance.recipe.text.iter().any(|layer| mended || layer.mode.is_composite())
}

/// The term of a picture of ours. `own` is what the team's own picture says of itself, where the picture is that.
pub fn source_type(provenance: &Provenance, own: Option<&str>) -> Option<SourceType> {
    let words = has_set_words(provenance);
    match Ground::of(&provenance.realisation.engine, &provenance.recipe) {
        Ground::Model if !words => Some(SourceType::TrainedAlgorithmicMedia),
        Ground::Model | Ground::ModelOverPicture => Some(SourceType::CompositeWithTrainedAlgorithmicMedia),
        Ground::BuiltIn => Some(SourceType::AlgorithmicMedia),
        Ground::OwnPicture => {
            let changed = words || !provenance.recipe.post.is_empty();
            match own {
                // A picture that says that a model made it is not washed clean by words over it.
                Some("trainedAlgorithmicMedia") if !changed => Some(SourceType::TrainedAlgorithmicMedia),
                Some(own) if is_of_model(own) => Some(SourceType::CompositeWithTrainedAlgorithmicMedia),
                _ => changed.then_some(SourceType::HumanEdits),
            }
        }
    }
}

#[cfg(test)]
mod tests;
