//! What can be pulled by name, and the licences it comes under: the data of `hub.toml`.
//!
//! Names and sizes are for planning; what a file is, the hub says when it is asked.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use thumbforge_core::model::fold;

/// What a file or folder of weights is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The transformer, usually with its VAE, sometimes with text encoders.
    Model,
    /// Text encoder CLIP-L.
    ClipL,
    /// Text encoder CLIP-G.
    ClipG,
    /// Text encoder T5-XXL.
    T5,
    /// The VAE by itself.
    Vae,
    /// A folder with `tokenizer`, `tokenizer_2` and `tokenizer_3`.
    Tokenizers,
    /// Low-rank changes of a model.
    Lora,
    /// Something else.
    Other,
}

impl Part {
    /// The word of tables and JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::ClipL => "clip_l",
            Self::ClipG => "clip_g",
            Self::T5 => "t5",
            Self::Vae => "vae",
            Self::Tokenizers => "tokenizers",
            Self::Lora => "lora",
            Self::Other => "other",
        }
    }
}

/// A file that an offer consists of.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfferedFile {
    /// Its repository, where it is not the offer's.
    pub repo: Option<String>,
    /// Its path there.
    pub path: String,
    /// Its path in the store's folder; the same without.
    pub to: Option<String>,
    /// About how many bytes it has.
    pub bytes: u64,
    /// What it must hash to, where we know.
    pub sha256: Option<String>,
}

/// Something that can be pulled.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// What it is called here.
    pub name: String,
    /// What it is, for people.
    pub about: String,
    /// What it is for.
    pub part: Part,
    /// What it has inside besides.
    #[serde(default)]
    pub holds: Vec<Part>,
    /// The model of the catalogue that it draws.
    pub model: Option<String>,
    /// Where it lies.
    pub repo: String,
    /// Which revision.
    #[serde(default = "main")]
    pub revision: String,
    /// Whether the hub asks for an account that accepted the licence.
    #[serde(default)]
    pub gated: bool,
    /// Its licence.
    pub licence: String,
    /// What else drawing with it takes.
    #[serde(default)]
    pub with: Vec<String>,
    /// Its files.
    pub files: Vec<OfferedFile>,
}

/// The revision that repositories begin with.
pub fn main() -> String {
    "main".to_owned()
}

impl Offer {
    /// About how many bytes it has.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// A licence.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Licence {
    /// The word that `--accept-licence` takes, as hubs write it.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Where it can be read.
    pub url: String,
    /// What it says, in short.
    pub notice: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    endpoint: String,
    free: Vec<String>,
    licence: Vec<Licence>,
    item: Vec<Offer>,
}

/// Everything that can be pulled by name.
#[derive(Debug, Clone)]
pub struct Offers {
    /// The hub that is asked when nobody names another.
    pub endpoint: String,
    free: Vec<String>,
    licences: Vec<Licence>,
    offers: Vec<Offer>,
}

impl Offers {
    /// Those of this build.
    pub fn built_in() -> &'static Self {
        static OFFERS: LazyLock<Offers> = LazyLock::new(|| match Offers::parse(include_str!("hub.toml")) {
            Ok(offers) => offers,
            // The file is part of the program, and a test reads it.
            Err(err) => unreachable!("hub.toml: {err}"),
        });
        &OFFERS
    }

    fn parse(text: &str) -> Result<Self, toml::de::Error> {
        let written: Written = toml::from_str(text)?;
        Ok(Self { endpoint: written.endpoint, free: written.free, licences: written.licence, offers: written.item })
    }

    /// All, in the order of the file.
    pub fn all(&self) -> &[Offer] {
        &self.offers
    }

    /// The one that `name` spells.
    pub fn get(&self, name: &str) -> Option<&Offer> {
        let folded = fold(name);
        self.offers.iter().find(|offer| fold(&offer.name) == folded)
    }

    /// What is known of a licence.
    pub fn licence(&self, id: &str) -> Option<&Licence> {
        self.licences.iter().find(|licence| licence.id.eq_ignore_ascii_case(id))
    }

    /// Whether a licence asks for nothing before a file is used.
    pub fn is_free(&self, id: &str) -> bool {
        self.free.iter().any(|free| free.eq_ignore_ascii_case(id))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use thumbforge_core::model::Catalogue;

    use super::*;
    use crate::weights::names;

    #[test]
    fn what_can_be_pulled_is_sound() {
        let offers = Offers::parse(include_str!("hub.toml")).expect("hub.toml");
        let catalogue = Catalogue::built_in();
        let mut seen = BTreeSet::new();
        for offer in offers.all() {
            let name = &offer.name;
            assert!(seen.insert(fold(name)), "{name} twice");
            assert!(names::item(name).is_ok(), "{name}");
            assert!(offers.licence(&offer.licence).is_some(), "{name}: {}", offer.licence);
            assert!(names::repo(&offer.repo).is_ok() && !offer.files.is_empty(), "{name}");
            assert_eq!(offer.part == Part::Model, offer.model.is_some(), "{name}");
            if let Some(model) = &offer.model {
                assert!(catalogue.rows().iter().any(|row| row.id.as_str() == model), "{name}: {model}");
            }
            for with in &offer.with {
                assert!(offers.get(with).is_some_and(|with| with.with.is_empty()), "{name}: {with}");
            }
            for file in &offer.files {
                assert!(names::file(&file.path).is_ok() && file.bytes > 0, "{name}: {}", file.path);
                assert!(file.to.as_deref().is_none_or(|to| names::file(to).is_ok()), "{name}");
                assert!(file.repo.as_deref().is_none_or(|repo| names::repo(repo).is_ok()), "{name}");
                assert!(file.sha256.as_deref().is_none_or(|hash| names::sha256(hash).is_some()), "{name}");
            }
        }
    }

    #[test]
    fn names_are_found_however_they_are_spelt() {
        let offers = Offers::built_in();
        for (spelt, expected) in [
            ("sd3.5-medium", Some("sd3.5-medium")),
            ("SD3.5_Medium", Some("sd3.5-medium")),
            ("CLIP L", Some("clip-l")),
            ("t5", None),
            ("", None),
        ] {
            assert_eq!(offers.get(spelt).map(|offer| offer.name.as_str()), expected, "{spelt}");
        }
        assert!(offers.is_free("MIT") && !offers.is_free("stabilityai-ai-community"));
    }
}
