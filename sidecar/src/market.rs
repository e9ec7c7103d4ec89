//! Where hosted models are bought: the catalogue, the user's accounts and the user's budgets, as they are now.
//!
//! ```text
//! built-in rows ─┐
//! models.toml ───┤
//! config.toml ───┼─► Shelf ── now() ─► Arc<Market> ─► router (who may draw it, for how much)
//! environment ───┘   (re-reads what changed)        └► buyer  (endpoint and key of the call)
//! ```
//! A snapshot never changes: whoever holds one ends its work with the prices and limits that it began with.
//! Keys are not in a snapshot; they are fetched from where they lie when a call needs one.

use std::collections::BTreeMap;
use std::time::Duration;

use thumbforge_core::error::Failure;
use thumbforge_core::model::{Catalogue, ModelRow};
use thumbforge_core::money::Micros;
use thumbforge_core::terms::{AccountLimits, Budget};
use thumbforge_hosted::{Endpoint, Protocol};
use url::Url;

use crate::config::LocalFile;

pub mod account;
mod ambient;
mod amount;
pub mod keys;
pub mod kind;
mod shelf;

pub use shelf::Shelf;
pub use thumbforge_core::job::OnAmbiguous;

/// Everything that purchases are decided by, at one moment.
#[derive(Debug, Clone)]
pub struct Market {
    /// The rows that ship with Thumbforge, with the user's own over them.
    pub catalogue: Catalogue,
    /// The user's accounts by name.
    pub accounts: BTreeMap<String, Account>,
    /// The user's budgets; projects and commands bring their own besides.
    pub budgets: Vec<Budget>,
    /// Counts up whenever any of it changed.
    pub revision: u64,
    /// What is wrong with the files, for people; the snapshot is then the last good one.
    pub problems: Vec<String>,
    /// Where weights lie, where the settings say another place than the data directory.
    pub weights_dir: Option<std::path::PathBuf>,
    /// Where models of this machine are drawn. The first of a process counts until it ends.
    pub local: LocalFile,
    /// Variables that hold keys and make no account here, because this is CI and nobody said that they may.
    pub unused_keys: Vec<String>,
}

impl Market {
    /// The catalogue that ships with Thumbforge, and nowhere to buy.
    pub fn built_in() -> Self {
        Self {
            catalogue: Catalogue::built_in(),
            accounts: BTreeMap::new(),
            budgets: Vec::new(),
            revision: 0,
            problems: Vec::new(),
            weights_dir: None,
            local: LocalFile::default(),
            unused_keys: Vec::new(),
        }
    }

    /// What people are told once of accounts that nobody declared; `None` where there are none.
    pub fn announcement(&self) -> Option<String> {
        let ambient = self.accounts.values().filter(|account| account.ambient);
        let named: Vec<String> =
            ambient.filter_map(|account| Some(format!("{} with {}", account.name, account.key.as_ref()?))).collect();
        let words = "[accounts.NAME] in config.toml makes accounts of your own";
        (!named.is_empty()).then(|| format!("accounts from the environment: {} ({words})", named.join(", ")))
    }

    /// The accounts that sell `row`, by name, each with the protocol that it is asked with.
    pub fn sellers<'a>(&'a self, row: &'a ModelRow) -> impl Iterator<Item = (&'a Account, Protocol)> {
        self.accounts.values().filter_map(|account| Some((account, account.sells(row)?)))
    }
}

/// One account of the user.
#[derive(Debug, Clone)]
pub struct Account {
    /// As the settings name it.
    pub name: String,
    /// Who is paid, by the catalogue's word ("openai", "google"), or what kind of server it is ("a1111").
    pub provider: String,
    /// Protocols that it speaks; the first is used where a row names none.
    pub protocols: Vec<Protocol>,
    /// Where its calls go, without the key.
    pub place: Endpoint,
    /// Where its key lies; absent for servers that ask for none.
    pub key: Option<keys::Source>,
    /// What the keychain said a moment ago.
    pub kept: keys::Kept,
    /// How much may be asked of it.
    pub limits: Limits,
    /// What to do when nobody knows what became of a call.
    pub ambiguous: OnAmbiguous,
    /// What one picture costs, whatever the catalogue says; for servers of one's own and resellers.
    pub price: Option<Micros>,
    /// The models that it has, by any spelling of the catalogue or by wire name; absent means those of its provider.
    pub models: Option<Vec<String>>,
    /// Whether it was made from variables of the environment, without being declared.
    pub ambient: bool,
}

impl Account {
    /// An account at `base_url` that needs no key, with the limits of a server that does one thing at a time.
    pub fn new(name: impl Into<String>, provider: impl Into<String>, protocol: Protocol, base_url: Url) -> Self {
        let name: String = name.into();
        let place = Endpoint {
            account: name.clone(),
            base_url,
            key: None,
            options: BTreeMap::new(),
            allow_private: false,
            timeout: TIMEOUT_DEFAULT,
        };
        Self {
            name,
            provider: provider.into(),
            protocols: vec![protocol],
            place,
            key: None,
            kept: keys::Kept::default(),
            limits: Limits { images_in_flight: 1, images_per_minute: None, burst: 1 },
            ambiguous: OnAmbiguous::Hold,
            price: None,
            models: None,
            ambient: false,
        }
    }

    /// The protocol by which it sells the model of `row`; `None` where it does not.
    pub fn sells(&self, row: &ModelRow) -> Option<Protocol> {
        let named = row.protocol.as_deref().and_then(Protocol::from_word);
        let spoken = named.filter(|protocol| self.protocols.contains(protocol));
        match &self.models {
            // Whoever lists a model of another provider has a server that sells it on, in its own protocol.
            Some(models) => {
                // A row without a wire name stands for whatever such a server has.
                let whatever = row.wire.is_none() && row.provider.as_deref() == Some(self.provider.as_str());
                let listed = whatever || models.iter().any(|model| spells(row, model));
                listed.then(|| spoken.or_else(|| self.protocols.first().copied())).flatten()
            }
            None if row.provider.as_deref() != Some(self.provider.as_str()) => None,
            None if row.protocol.is_some() => spoken,
            None => self.protocols.first().copied(),
        }
    }

    /// The name on the wire by which it is asked for the model of `row`: the row's own, or else as the account lists it.
    /// Empty where neither says, which is for servers that have one model.
    pub fn wire_name<'a>(&'a self, row: &'a ModelRow) -> &'a str {
        let listed = || {
            let models = self.models.as_deref()?;
            models.iter().find(|model| spells(row, model)).or(models.first()).map(String::as_str)
        };
        row.wire.as_deref().or_else(listed).unwrap_or_default()
    }

    /// Where a call goes, with the key as it is now.
    ///
    /// # Errors
    /// Where the key was to come from, and what to do; never the key. Files and keychains are read, so this may block.
    pub fn endpoint(&self) -> Result<Endpoint, Failure> {
        let key = self.key.as_ref().map(|source| source.fetch(&self.name, &self.kept)).transpose()?;
        Ok(Endpoint { key, ..self.place.clone() })
    }

    /// Which key a call would be made with now, by a short hash; empty without one, or where it cannot be fetched.
    pub fn key_id(&self) -> String {
        self.endpoint().ok().and_then(|endpoint| endpoint.key).map(|key| keys::id(&key)).unwrap_or_default()
    }
}

/// Longest time of one answer where nobody says: the slowest documented picture takes two minutes, and OpenAI's own
/// clients wait this long.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(600);

fn spells(row: &ModelRow, name: &str) -> bool {
    use thumbforge_core::model::fold;
    let name = fold(name);
    let spellings = std::iter::once(row.id.as_str()).chain(row.wire.as_deref());
    spellings.chain(row.aliases.iter().map(String::as_str)).any(|spelling| fold(spelling) == name)
}

/// How much may be asked of an account at once. Pictures are counted, not calls: that is what providers count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most pictures that are being made at once; at least 1.
    pub images_in_flight: u32,
    /// Most pictures that are begun in a minute; absent means any number.
    pub images_per_minute: Option<u32>,
    /// Most pictures that may be begun in one moment after a rest; at least 1.
    pub burst: u32,
}

impl Limits {
    /// These, as far as a project does not lower them; it can raise none.
    pub fn lowered(self, project: &AccountLimits) -> Self {
        let images_in_flight =
            project.images_in_flight.map_or(self.images_in_flight, |most| most.min(self.images_in_flight));
        let per_minute = [self.images_per_minute, project.images_per_minute].into_iter().flatten().min();
        // No rate at all would be no limit; one a minute is as slow as an account can be told to be.
        let per_minute = per_minute.map(|rate| rate.max(1));
        // A rate below the burst would be sent all in its first second.
        let burst = project.images_per_minute.map_or(self.burst, |rate| rate.min(self.burst));
        Self { images_in_flight: images_in_flight.max(1), images_per_minute: per_minute, burst: burst.max(1) }
    }
}

/// Whether variables of the environment make accounts where none is declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ambient {
    /// They do not: in CI a key that lies around is no permission to spend.
    #[default]
    Ignored,
    /// They do.
    Used,
}

#[cfg(test)]
mod tests;
