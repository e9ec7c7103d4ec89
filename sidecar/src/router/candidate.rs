//! Candidates: where a job could go, and the reason why it does or does not.

use std::fmt;

use serde::{Serialize, Serializer};
use thumbforge_core::day::Day;
use thumbforge_core::error::ErrorCode;
use thumbforge_core::model::ModelId;
use thumbforge_core::money::Micros;
use thumbforge_core::terms::Budget;

use super::price::Cost;

/// One place where a job could go.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Candidate {
    /// Model of the catalogue.
    pub model: ModelId,
    /// Engine of this machine, or whom the account pays; empty where there is neither.
    pub engine: String,
    /// The account that would buy it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// What it would cost; absent where nothing is bought or nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
    /// How long one picture is expected to take, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u64>,
    /// Fields of the recipe that it drops, as it is allowed to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<String>,
    /// Why it won or lost.
    #[serde(flatten)]
    pub reason: Reason,
}

/// Why a candidate won or lost. The sentence fits behind "sd3.5-large: ".
#[derive(Debug, Clone, PartialEq)]
pub enum Reason {
    /// The job goes here.
    Won {
        /// What it is considered as.
        role: Role,
        /// The retired model that it replaces.
        replaces: Option<ModelId>,
    },
    /// The job goes here when `before` others fail.
    Spare {
        /// What it is considered as.
        role: Role,
        /// The retired model that it replaces.
        replaces: Option<ModelId>,
        /// How many are tried before it.
        before: usize,
        /// What is known against it just now, which is why it comes after those that are well.
        resting: Option<Health>,
    },
    /// No row of the catalogue has this id.
    Unknown,
    /// The model is gone, and this one is taken in its place.
    Replaced {
        /// Since when.
        on: Day,
        /// What is taken.
        by: ModelId,
    },
    /// The model is gone and the template pins it, or nothing takes its place.
    Retired {
        /// Since when.
        on: Day,
        /// What would take its place.
        by: Option<ModelId>,
        /// Whether the template pins it.
        pinned: bool,
    },
    /// The policy does not allow its licence.
    Licence(String),
    /// The policy allows neither the provider nor the account.
    Provider {
        /// Whom it does not allow.
        provider: String,
        /// The account, where there is one.
        account: Option<String>,
    },
    /// Its weights are not on this machine, or not all of them.
    NoWeights {
        /// The model.
        model: ModelId,
        /// What is missing or wrong of what is there, and what to do; empty where nothing is there.
        lacks: String,
    },
    /// No engine of this machine has it.
    NoEngine,
    /// No account sells it.
    NoAccount {
        /// Who would.
        provider: Option<String>,
    },
    /// It cannot honour fields of the recipe.
    Unsupported(Vec<Lacks>),
    /// Nobody knows what it costs.
    UnknownPrice {
        /// The price that is missing, as it stands in TOML: size, quality and operation.
        asked: String,
    },
    /// One picture costs more than a whole budget.
    OverBudget {
        /// The most that it can cost.
        most: Micros,
        /// The budget.
        budget: Budget,
    },
    /// The account cannot be used just now.
    Unwell(Health),
    /// The model that is named is refused for good, so nothing else is asked in its place.
    Barred {
        /// The model that is named.
        named: ModelId,
    },
}

/// What a candidate is considered as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// What draws when nothing is named.
    Unnamed,
    /// The picture is a file already.
    OwnFile,
    /// The model that is named.
    Named,
    /// One of those that are ranked, from 1.
    Ranked(usize),
    /// A fallback, from 1.
    Fallback(usize),
    /// Built-in art in place of this model.
    StandsIn(ModelId),
}

/// A field that a route lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lacks {
    /// Its word.
    pub field: String,
    /// Why; empty where the word says it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub why: String,
}

impl Lacks {
    pub(super) fn new(field: impl Into<String>, why: impl Into<String>) -> Self {
        Self { field: field.into(), why: why.into() }
    }
}

/// How an account does, for one model, as the calls before say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Nothing is known against it.
    Well,
    /// Its last calls failed; it is asked after those that are well.
    Failing {
        /// How long it rests, in milliseconds.
        rest_ms: u64,
    },
    /// It has no credit or quota left; nothing is sent to it.
    OutOfFunds {
        /// How long until its quota begins anew, in milliseconds, where that is known.
        rest_ms: Option<u64>,
    },
    /// The provider does not take its key; nothing is sent until there is another.
    KeyRefused,
    /// The provider says that it has the model no more; nothing is sent.
    Gone,
}

impl Reason {
    /// Whether the job may go there.
    pub fn won(&self) -> bool {
        matches!(self, Self::Won { .. } | Self::Spare { .. })
    }

    /// The word for machines.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Won { .. } => "won",
            Self::Spare { .. } => "spare",
            Self::Unknown => "unknown_model",
            Self::Replaced { .. } => "replaced",
            Self::Retired { .. } => "retired",
            Self::Licence(_) => "licence_denied",
            Self::Provider { .. } => "provider_denied",
            Self::NoWeights { .. } => "no_weights",
            Self::NoEngine => "no_engine",
            Self::NoAccount { .. } => "no_account",
            Self::Unsupported(_) => "unsupported_field",
            Self::UnknownPrice { .. } => "unknown_price",
            Self::OverBudget { .. } => "over_budget",
            Self::Unwell(Health::OutOfFunds { .. }) => "out_of_funds",
            Self::Unwell(Health::KeyRefused) => "key_refused",
            Self::Unwell(Health::Gone) => "gone",
            Self::Unwell(Health::Well | Health::Failing { .. }) => "failing",
            Self::Barred { .. } => "barred",
        }
    }

    /// The code of a job that ends for this reason.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Unknown => ErrorCode::UnknownModel,
            Self::Retired { .. } | Self::Replaced { .. } | Self::Unwell(Health::Gone) => ErrorCode::ModelRetired,
            Self::Licence(_) => ErrorCode::LicenceDenied,
            Self::Provider { .. } => ErrorCode::PolicyDenied,
            Self::Unsupported(_) => ErrorCode::UnsupportedField,
            Self::UnknownPrice { .. } => ErrorCode::UnknownPrice,
            Self::OverBudget { .. } => ErrorCode::OverBudget,
            Self::Unwell(Health::OutOfFunds { .. }) => ErrorCode::OutOfFunds,
            Self::Unwell(Health::KeyRefused) => ErrorCode::ProviderAuth,
            _ => ErrorCode::ModelUnavailable,
        }
    }

    /// What a person can do about it; empty where there is nothing to do.
    pub(super) fn mend(&self) -> String {
        let said = match self {
            Self::Won { .. } | Self::Spare { .. } | Self::Replaced { .. } | Self::Barred { .. } => "",
            Self::Unknown => "`thumbforge models` lists all that can be named",
            Self::Retired { by: Some(by), .. } => return format!("take the pin away, or name {by}"),
            Self::Retired { by: None, .. } | Self::Unwell(Health::Gone) => {
                "name another model; `thumbforge models` lists those that are there"
            }
            Self::Licence(_) => "name another model, or allow the licence under [policy.licences]",
            Self::Provider { .. } => "name a model of an allowed one, or add it to `providers` under [policy]",
            Self::NoAccount { .. } => {
                "give this machine one ([accounts.NAME] in the settings, or the provider's usual variable), name another \
                 model, or allow built-in art to stand in (--placeholder, or `placeholder = true` in the manifest)"
            }
            Self::NoWeights { lacks, .. } if !lacks.is_empty() => "",
            Self::NoWeights { model, .. } => {
                return format!(
                    "get them with `thumbforge weights pull {model}` (or `weights add` what lies here), name another model, \
                     leave the model out, or allow built-in art to stand in (--placeholder, or `placeholder = true` in \
                     the manifest)"
                );
            }
            Self::NoEngine => {
                "name another model, leave the model out, or allow built-in art to stand in \
                 (--placeholder, or `placeholder = true` in the manifest)"
            }
            Self::Unsupported(lacks) if lacks.iter().any(|lack| super::Field::is_the_task(&lack.field)) => {
                "name a model that does; `thumbforge models` says which"
            }
            Self::Unsupported(lacks) => {
                let words: Vec<String> = lacks.iter().map(|lack| format!("{:?}", lack.field)).collect();
                let words = words.join(", ");
                return format!("leave it out, choose another model, or let it go (`allow_lossy = [{words}]`)");
            }
            Self::UnknownPrice { asked } => {
                return format!("add its price to the model's row, in models.toml beside the settings: {asked}");
            }
            Self::OverBudget { .. } => "raise the budget, or choose a cheaper model, size or quality",
            Self::Unwell(Health::OutOfFunds { .. }) => "top the account up, or name a fallback",
            Self::Unwell(Health::KeyRefused) => "give the account a key that the provider takes",
            Self::Unwell(Health::Well | Health::Failing { .. }) => "try again later",
        };
        said.to_owned()
    }
}

/// Why a route is considered, as a sentence.
struct Considered<'a>(&'a Role, &'a Option<ModelId>);

impl fmt::Display for Considered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let as_what = match self.0 {
            Role::Unnamed => {
                return f.write_str("no model is named: nothing is bought and nothing leaves this machine");
            }
            Role::OwnFile => return f.write_str("the picture is a file of the project's own"),
            Role::StandsIn(model) => return write!(f, "it stands in for {model}, which is not here"),
            Role::Named => "the model that is named".to_owned(),
            Role::Ranked(1) => "first of the ranking".to_owned(),
            Role::Ranked(place) => format!("number {place} of the ranking"),
            Role::Fallback(1) => "the first fallback".to_owned(),
            Role::Fallback(place) => format!("fallback number {place}"),
        };
        match self.1 {
            None => write!(f, "it is {as_what}"),
            Some(replaced) => write!(f, "it takes the place of {replaced}, {as_what}"),
        }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Well => f.write_str("the account is well"),
            Self::Failing { rest_ms } => {
                write!(f, "its last calls failed, so it rests for another {}", Span(*rest_ms))
            }
            Self::OutOfFunds { rest_ms: Some(ms) } => {
                write!(f, "the account has no credit or quota left, for another {}", Span(*ms))
            }
            Self::OutOfFunds { rest_ms: None } => f.write_str("the account has no credit left"),
            Self::KeyRefused => f.write_str("the provider does not take the account's key"),
            Self::Gone => f.write_str("the provider says that it has the model no more"),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Won { role, replaces } => Considered(role, replaces).fmt(f),
            Self::Spare { role, replaces, before, resting } => {
                match before {
                    1 => f.write_str("asked if the first fails: ")?,
                    before => write!(f, "asked if the first {before} fail: ")?,
                }
                Considered(role, replaces).fmt(f)?;
                resting.iter().try_for_each(|health| write!(f, "; {health}"))
            }
            Self::Unknown => f.write_str("no row of the catalogue has it"),
            Self::Replaced { on, by } => write!(f, "retired on {on}, {by} takes its place"),
            Self::Retired { on, pinned: true, .. } => write!(f, "retired on {on}, and the template pins it"),
            Self::Retired { on, .. } => write!(f, "retired on {on}, and nothing that is there takes its place"),
            Self::Licence(licence) => write!(f, "the policy does not allow its licence, {licence}"),
            Self::Provider { provider, account: Some(account) } => {
                write!(f, "the policy allows neither the provider {provider} nor the account {account}")
            }
            Self::Provider { provider, account: None } => {
                write!(f, "the policy does not allow the provider {provider}")
            }
            Self::NoWeights { lacks, .. } if lacks.is_empty() => f.write_str("its weights are not on this machine"),
            Self::NoWeights { lacks, .. } => f.write_str(lacks),
            Self::NoEngine => f.write_str("no engine of this machine has it"),
            Self::NoAccount { provider: Some(provider) } => write!(f, "there is no account for {provider}"),
            Self::NoAccount { provider: None } => f.write_str("there is no account that sells it"),
            Self::Unsupported(lacks) => {
                f.write_str("it cannot honour ")?;
                for (at, lack) in lacks.iter().enumerate() {
                    f.write_str(if at == 0 { "" } else { ", " })?;
                    f.write_str(&lack.field)?;
                    if !lack.why.is_empty() {
                        write!(f, " ({})", lack.why)?;
                    }
                }
                Ok(())
            }
            Self::UnknownPrice { .. } => f.write_str("nobody knows what it costs"),
            Self::OverBudget { most, budget } => {
                write!(
                    f,
                    "one picture can cost {most}, more than the whole budget {} ({})",
                    budget.micros, budget.scope
                )
            }
            Self::Unwell(health) => health.fmt(f),
            Self::Barred { named } => write!(f, "{named} is refused, and no fallback stands in for what is refused"),
        }
    }
}

/// A span of time as people say it.
pub(crate) struct Span(pub(crate) u64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ms @ ..1000 => write!(f, "{ms} ms"),
            ms @ ..10_000 if ms % 1000 > 0 => write!(f, "{:.1} s", ms as f64 / 1e3),
            ms @ ..120_000 => write!(f, "{} s", ms.div_ceil(1000)),
            ms @ ..7_200_000 => write!(f, "{} min", ms.div_ceil(60_000)),
            ms => write!(f, "{} h", ms.div_ceil(3_600_000)),
        }
    }
}

/// In JSON a reason is its word and its sentence.
impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut fields = serializer.serialize_struct("Reason", 3)?;
        fields.serialize_field("won", &self.won())?;
        fields.serialize_field("reason", self.word())?;
        fields.serialize_field("because", &self.to_string())?;
        fields.end()
    }
}
