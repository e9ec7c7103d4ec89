//! Kinds of accounts, as data: what a word after `provider =` means, and what holds where an account says nothing.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Deserializer};
use thumbforge_hosted::Protocol;
use url::Url;

use super::Limits;
use super::account::{Address, Rule};
use super::amount::Dollars;

/// One kind of account.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kind {
    /// As people write it.
    pub word: String,
    #[serde(default)]
    aliases: Vec<String>,
    /// The provider in the catalogue.
    pub pays: String,
    /// What it speaks; the first is used where a row names none.
    #[serde(deserialize_with = "protocols")]
    pub protocols: Vec<Protocol>,
    base_url: Option<Address>,
    regional: Option<String>,
    /// Whether it asks for a key.
    pub key: KeyNeed,
    /// Further settings.
    #[serde(default)]
    pub options: BTreeMap<String, Need>,
    /// Whether results may come from private addresses.
    #[serde(default)]
    pub private: bool,
    /// How much may be asked of it.
    #[serde(deserialize_with = "limits")]
    pub limits: Limits,
    /// Why these limits.
    pub why: String,
    /// What happens to a call of which nobody knows the end.
    pub(super) ambiguous: Rule,
    /// What one picture costs, where that is so for every account of the kind.
    pub price_usd: Option<Dollars>,
    /// Variables of the environment that make an account.
    pub variables: Option<Variables>,
}

/// Whether a kind of account asks for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyNeed {
    /// Nothing works without.
    Needed,
    /// Some installations do.
    Optional,
}

/// Whether a setting must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Need {
    /// It must.
    Needed,
    /// It may.
    Optional,
}

/// Variables of the environment that make an account, as the provider's own clients read them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variables {
    /// The key; the first that is set.
    pub key: Vec<String>,
    /// The address.
    pub base_url: Option<String>,
    /// Options, each by the first that is set.
    #[serde(default)]
    pub options: BTreeMap<String, Vec<String>>,
}

impl Variables {
    /// Every one of them.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let all = self.key.iter().chain(&self.base_url).chain(self.options.values().flatten());
        all.map(String::as_str)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    kind: Vec<Kind>,
}

impl Kind {
    /// Every kind.
    #[expect(clippy::expect_used, reason = "the embedded file is read by a unit test")]
    pub fn all() -> &'static [Self] {
        static ALL: LazyLock<Vec<Kind>> = LazyLock::new(|| {
            let file: File = toml::from_str(include_str!("providers.toml")).expect("a unit test reads it");
            file.kind
        });
        &ALL
    }

    /// The kind that `word` spells.
    pub fn of(word: &str) -> Option<&'static Self> {
        let spelled = |kind: &&Self| kind.word == word || kind.aliases.iter().any(|alias| alias == word);
        Self::all().iter().find(spelled)
    }

    /// Where it is, for an account with these options; absent where only the user knows.
    pub fn base_url(&self, options: &BTreeMap<String, String>) -> Option<Url> {
        let location = options.get("location").filter(|location| *location != "global");
        match (&self.regional, location) {
            (Some(regional), Some(location)) => Url::parse(&regional.replace("{location}", location)).ok(),
            _ => self.base_url.as_ref().map(|address| address.0.clone()),
        }
    }
}

fn protocols<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Protocol>, D::Error> {
    let words = Vec::<String>::deserialize(from)?;
    let protocol = |word: &String| {
        Protocol::from_word(word).ok_or_else(|| serde::de::Error::custom(format!("{word} is no protocol")))
    };
    words.iter().map(protocol).collect()
}

fn limits<'de, D: Deserializer<'de>>(from: D) -> Result<Limits, D::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Words {
        images_in_flight: u32,
        images_per_minute: Option<u32>,
        burst: u32,
    }
    let Words { images_in_flight, images_per_minute, burst } = Words::deserialize(from)?;
    Ok(Limits { images_in_flight, images_per_minute, burst })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_sound() {
        let mut words = std::collections::BTreeSet::new();
        for kind in Kind::all() {
            for word in std::iter::once(&kind.word).chain(&kind.aliases) {
                assert!(words.insert(word), "{word} stands for two kinds");
                assert_eq!(Kind::of(word).unwrap().word, kind.word);
            }
            let limits = kind.limits;
            assert!(limits.images_in_flight > 0 && limits.burst > 0 && limits.images_per_minute != Some(0));
            assert!(!kind.protocols.is_empty() && !kind.why.is_empty(), "{}", kind.word);
            let known = |option: &String| kind.options.contains_key(option);
            let variables = kind.variables.iter().flat_map(|variables| variables.options.keys());
            assert!(variables.into_iter().all(known), "{}", kind.word);
        }
        for protocol in Protocol::ALL {
            assert!(Kind::all().iter().any(|kind| kind.protocols.contains(&protocol)), "{protocol:?}");
        }
    }

    #[test]
    fn vertex_is_where_its_location_is() {
        #[track_caller]
        fn check(location: Option<&str>, expected: &str) {
            let options = location.map(|location| ("location".to_owned(), location.to_owned())).into_iter().collect();
            assert_eq!(Kind::of("vertex").unwrap().base_url(&options).unwrap().as_str(), expected);
        }
        check(None, "https://aiplatform.googleapis.com/");
        check(Some("global"), "https://aiplatform.googleapis.com/");
        check(Some("europe-west4"), "https://europe-west4-aiplatform.googleapis.com/");
    }
}
