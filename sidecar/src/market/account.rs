//! `[accounts.NAME]` and `[budget]` of the user's settings: what may stand there, and the accounts and budgets it gives.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use thumbforge_core::terms::{Budget, Period, Scope};
use thumbforge_hosted::Endpoint;
use url::{Host, Url};

use super::amount::Dollars;
use super::keys::{Kept, Source};
use super::kind::{KeyNeed, Kind, Need};
use super::{Account, Limits, OnAmbiguous, TIMEOUT_DEFAULT};

/// Longest name of an account in bytes: it stands in tables, messages and file names of people's scripts.
const NAME_BYTES_MAX: usize = 64;
/// Longest time of one answer that may be set, in seconds: a card that draws at night may take its time.
const TIMEOUT_S_MAX: u64 = 3600;
/// Most times that a call of unknown end is made again.
const RESEND_MAX: u32 = 8;

/// `[accounts.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountFile {
    /// What kind of account it is.
    provider: Word,
    /// Where it is, if not at its provider's usual address.
    base_url: Option<Address>,
    /// Where its key lies.
    key: Option<Source>,
    /// Further settings of single providers.
    #[serde(default)]
    options: BTreeMap<String, String>,
    /// Whether results may come from private addresses and without TLS.
    allow_private: Option<bool>,
    /// Longest time of one answer, in seconds.
    timeout_s: Option<u64>,
    /// Most pictures at once.
    images_in_flight: Option<NonZeroU32>,
    /// Most pictures a minute.
    images_per_minute: Option<NonZeroU32>,
    /// Most pictures in one moment after a rest.
    burst: Option<NonZeroU32>,
    /// What to do when nobody knows what became of a call.
    ambiguous: Option<Rule>,
    /// What one picture costs, whatever the catalogue says.
    price_usd: Option<Dollars>,
    /// The models that it has.
    models: Option<Vec<String>>,
    /// Most that is spent through it in a day.
    day_usd: Option<Dollars>,
    /// In a month.
    month_usd: Option<Dollars>,
    /// Ever.
    total_usd: Option<Dollars>,
}

/// `[budget]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BudgetFile {
    day_usd: Option<Dollars>,
    month_usd: Option<Dollars>,
    total_usd: Option<Dollars>,
    /// The same for single providers.
    providers: BTreeMap<Word, ProviderBudget>,
}

/// `[budget.providers.WORD]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ProviderBudget {
    day_usd: Option<Dollars>,
    month_usd: Option<Dollars>,
    total_usd: Option<Dollars>,
}

/// A word for a kind of account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Word(&'static str);

impl Word {
    fn kind(&self) -> &'static Kind {
        #[expect(clippy::expect_used, reason = "a word is only made of one")]
        Kind::of(self.0).expect("a word of a kind")
    }
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let word = String::deserialize(from)?;
        Kind::of(&word).map(|kind| Self(&kind.word)).ok_or_else(|| {
            let words: Vec<&str> = Kind::all().iter().map(|kind| kind.word.as_str()).collect();
            D::Error::custom(format!("there is no such provider; write one of {}", words.join(", ")))
        })
    }
}

/// An address that paths are put behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address(pub(super) Url);

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        address(&String::deserialize(from)?).map(Self).map_err(D::Error::custom)
    }
}

/// Reads an address. What is refused is not repeated: it may have a password in it.
pub(crate) fn address(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|err| format!("this is no address: {err}; write one as in https://host/v1"))?;
    if !matches!(url.scheme(), "https" | "http") {
        return Err("an address begins with https:// or http://".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("no name or password belongs into an address; say with `key` where they lie".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("paths are put behind the address, so it has neither ? nor #".to_owned());
    }
    Ok(url)
}

/// Whether what is sent there stays on this machine.
pub(super) fn stays_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

/// What to do when nobody knows what became of a call: `"hold"`, `"poll"` or `{ resend = 2 }`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rule(pub(super) OnAmbiguous);

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        const FORMS: &str = "write \"hold\", \"poll\" or { resend = 2 }";
        struct Forms;
        impl<'de> serde::de::Visitor<'de> for Forms {
            type Value = OnAmbiguous;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("\"hold\", \"poll\" or { resend = 2 }")
            }
            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<OnAmbiguous, E> {
                match word {
                    "hold" => Ok(OnAmbiguous::Hold),
                    "poll" => Ok(OnAmbiguous::Poll),
                    _ => Err(E::custom(FORMS)),
                }
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<OnAmbiguous, A::Error> {
                let Some((word, at_most)) = map.next_entry::<String, u32>()? else {
                    return Err(A::Error::custom(FORMS));
                };
                if word != "resend" || map.next_key::<String>()?.is_some() {
                    return Err(A::Error::custom(FORMS));
                }
                if !(1..=RESEND_MAX).contains(&at_most) {
                    return Err(A::Error::custom(format!("resend is between 1 and {RESEND_MAX}")));
                }
                Ok(OnAmbiguous::Resend { at_most })
            }
        }
        from.deserialize_any(Forms).map(Self)
    }
}

impl AccountFile {
    /// The account that it describes. Paths of keys are taken from `folder`, the folder of the settings.
    ///
    /// # Errors
    /// What is missing or does not fit together.
    pub(crate) fn account(&self, name: &str, folder: &Path) -> Result<Account, String> {
        let kind = self.provider.kind();
        named(name)?;
        options(kind, &self.options)?;
        let base_url = match &self.base_url {
            Some(address) => address.0.clone(),
            None => kind.base_url(&self.options).ok_or_else(|| {
                format!("an account of the kind {} needs base_url = \"…\", the server's address", kind.word)
            })?,
        };
        let allow_private = self.allow_private.unwrap_or(kind.private);
        if base_url.scheme() == "http" && !stays_here(&base_url) && !allow_private {
            return Err(
                "what is sent to an http:// address can be read on its way, and so can the key: write https://, \
                        or allow_private = true for a server of your own network"
                    .to_owned(),
            );
        }
        if kind.key == KeyNeed::Needed && self.key.is_none() {
            return Err(format!(
                "an account of the kind {} needs key = \"env:NAME\", \"file:PATH\" or \"keyring:SERVICE/USER\"",
                kind.word
            ));
        }
        let timeout = match self.timeout_s {
            Some(seconds) if (1..=TIMEOUT_S_MAX).contains(&seconds) => Duration::from_secs(seconds),
            Some(_) => return Err(format!("timeout_s is between 1 and {TIMEOUT_S_MAX}")),
            None => TIMEOUT_DEFAULT,
        };
        let burst = self.burst.map_or(kind.limits.burst, NonZeroU32::get);
        let limits = Limits {
            images_in_flight: self.images_in_flight.map_or(kind.limits.images_in_flight, NonZeroU32::get),
            images_per_minute: self.images_per_minute.map(NonZeroU32::get).or(kind.limits.images_per_minute),
            // A smaller rate with the usual burst would send it all in the first second.
            burst: if self.burst.is_some() {
                burst
            } else {
                burst.min(self.images_per_minute.map_or(burst, NonZeroU32::get))
            },
        };
        Ok(Account {
            name: name.to_owned(),
            provider: kind.pays.clone(),
            protocols: kind.protocols.clone(),
            place: Endpoint {
                account: name.to_owned(),
                base_url,
                key: None,
                options: self.options.clone(),
                allow_private,
                timeout,
            },
            key: self.key.clone().map(|key| beside(key, folder)),
            kept: Kept::default(),
            limits,
            ambiguous: self.ambiguous.unwrap_or(kind.ambiguous).0,
            price: self.price_usd.or(kind.price_usd).map(|price| price.0),
            models: self.models.clone(),
            ambient: false,
        })
    }

    /// The budgets of the account.
    pub(crate) fn budgets(&self, name: &str) -> Vec<Budget> {
        budgets(&Scope::Account(name.to_owned()), self.day_usd, self.month_usd, self.total_usd)
    }
}

impl BudgetFile {
    /// The user's budgets for everything and for single providers.
    pub(crate) fn budgets(&self) -> Vec<Budget> {
        let all = budgets(&Scope::All, self.day_usd, self.month_usd, self.total_usd);
        let providers = self.providers.iter().flat_map(|(word, budget)| {
            let scope = Scope::Provider(word.kind().pays.clone());
            budgets(&scope, budget.day_usd, budget.month_usd, budget.total_usd)
        });
        all.into_iter().chain(providers).collect()
    }
}

fn budgets(scope: &Scope, day: Option<Dollars>, month: Option<Dollars>, ever: Option<Dollars>) -> Vec<Budget> {
    let periods = [(Period::Day, day), (Period::Month, month), (Period::Ever, ever)];
    let budget =
        |(period, most): (Period, Option<Dollars>)| Some(Budget { scope: scope.clone(), period, micros: most?.0 });
    periods.into_iter().filter_map(budget).collect()
}

fn named(name: &str) -> Result<(), String> {
    let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(sound) {
        return Err(format!("an account's name has letters, digits, \"-\", \"_\" and \".\", at most {NAME_BYTES_MAX}"));
    }
    Ok(())
}

fn options(kind: &Kind, options: &BTreeMap<String, String>) -> Result<(), String> {
    if let Some(unknown) = options.keys().find(|option| !kind.options.contains_key(*option)) {
        let known: Vec<&str> = kind.options.keys().map(String::as_str).collect();
        let known = if known.is_empty() { "has none".to_owned() } else { format!("has {}", known.join(", ")) };
        return Err(format!("the option {unknown:?} is not known; the kind {} {known}", kind.word));
    }
    let needed = kind.options.iter().filter(|(_, need)| **need == Need::Needed);
    match needed.map(|(option, _)| option).find(|option| !options.contains_key(*option)) {
        Some(missing) => Err(format!("an account of the kind {} needs options.{missing}", kind.word)),
        None => Ok(()),
    }
}

/// A key's file is found from the folder of the settings, or from the user's home.
pub(crate) fn beside(key: Source, folder: &Path) -> Source {
    match key {
        Source::File(path) => {
            let home = path.strip_prefix("~").ok().zip(directories::BaseDirs::new());
            Source::File(match home {
                Some((rest, dirs)) => dirs.home_dir().join(rest),
                None => folder.join(path),
            })
        }
        other => other,
    }
}

#[cfg(test)]
mod tests;
