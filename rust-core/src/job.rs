//! Jobs, attempts and renders; and the legal life of a job in one `match`.
//!
//! ```text
//! queued ─► planning ─► running ─► verifying ─► done
//!   ▲          │          │  │         ├──────► repairing ─► planning
//!   │          ▼          ▼  └─────►   └──────► failed
//!   └────── waiting    ambiguous ─► queued | running | done | failed
//!             └► running
//! every state that is not final may become cancelled or failed
//! ```

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::error::Failure;
use crate::id::{ContentHash, JobId, PixelHash, PlannedKey, RealisedKey};
use crate::image::Extent;
use crate::model::ModelId;
use crate::money::Micros;
use crate::recipe::{Realisation, Recipe};
use crate::repair::Repaired;
use crate::terms::Terms;
use crate::verdict::Verdict;

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Journalled, and waiting for its turn.
    Queued,
    /// A route is being chosen.
    Planning,
    /// An engine draws it.
    Running,
    /// The checks look at it.
    Verifying,
    /// A failed check is being mended.
    Repairing,
    /// Held by a rate limit, a budget or a schedule.
    Waiting,
    /// A call went out and nobody knows what became of it.
    Ambiguous,
    /// There is a render.
    Done,
    /// There will be none.
    Failed,
    /// Somebody took it back.
    Cancelled,
}

/// A change of state that the life of a job does not have; a bug, never an input error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("take job {job} from {from:?} to {to:?}: no such edge")]
pub struct IllegalEdge {
    /// The job.
    pub job: JobId,
    /// Where it stands.
    pub from: JobState,
    /// Where it was to go.
    pub to: JobState,
}

impl JobState {
    /// Every state.
    pub const ALL: [Self; 10] = [
        Self::Queued,
        Self::Planning,
        Self::Running,
        Self::Verifying,
        Self::Repairing,
        Self::Waiting,
        Self::Ambiguous,
        Self::Done,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The word in SQL, JSON and C#.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Planning => "planning",
            Self::Running => "running",
            Self::Verifying => "verifying",
            Self::Repairing => "repairing",
            Self::Waiting => "waiting",
            Self::Ambiguous => "ambiguous",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }

    /// Whether nothing comes after it.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }

    /// The legal edges, all of them.
    pub const fn may_become(self, next: Self) -> bool {
        use JobState::*;
        match (self, next) {
            (Queued, Planning | Waiting) => true,
            (Planning, Running | Waiting | Done) => true,
            (Running, Verifying | Waiting | Ambiguous) => true,
            (Verifying, Done | Repairing) => true,
            (Repairing, Planning) => true,
            // A provider's gate opens for a job that waited at it.
            (Waiting, Queued | Running) => true,
            // Sent again it takes another turn; asked after, it goes on where it was.
            (Ambiguous, Queued | Running) => true,
            // After a crash an attempt that cost nothing is simply planned again.
            (Planning | Running | Verifying | Repairing, Queued) => true,
            (from, Failed | Cancelled) => !from.is_final(),
            _ => false,
        }
    }

    /// The only way from one state to the next.
    ///
    /// # Errors
    /// [`IllegalEdge`], which is a bug report.
    pub const fn step(self, job: JobId, next: Self) -> Result<Self, IllegalEdge> {
        if self.may_become(next) { Ok(next) } else { Err(IllegalEdge { job, from: self, to: next }) }
    }
}

/// Who waits for a job: a person, or a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// A person in an editor or at a terminal; always first.
    Interactive,
    /// A build script.
    Batch,
}

impl Lane {
    /// The word in SQL and JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Interactive => "interactive",
            Self::Batch => "batch",
        }
    }
}

/// What happens when the checks find an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// Findings are told, and the render is kept.
    Report,
    /// An error fails the job.
    Enforce,
}

impl Gate {
    /// What holds for a picture when nobody says: words on it are a promise to a player, and so is what somebody requires of
    /// it or wants repaired; a picture without any of that is art, and art is for people to judge.
    pub fn of(recipe: &Recipe, terms: &Terms) -> Self {
        let promised = !recipe.text.is_empty() || !terms.criteria.required.is_empty() || terms.repair.is_some();
        if promised { Self::Enforce } else { Self::Report }
    }
}

/// The place in the Unity project that an image belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AssetRef {
    /// Name in the manifest; empty for a bare prompt.
    pub name: String,
    /// BCP 47 tag; empty where the image has no words.
    pub locale: String,
}

/// What was asked: a recipe, for an asset, by somebody, under conditions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobSpec {
    /// Everything that decides the pixels.
    pub recipe: Recipe,
    /// What it is for.
    pub asset: AssetRef,
    /// Who waits.
    pub lane: Lane,
    /// Within a lane, higher first.
    pub priority: i32,
    /// Who asked; turns are shared fairly among clients.
    pub client: String,
    /// Unix time in milliseconds after which nobody wants it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    /// Whether the built-in engine may stand in for a model that is not there.
    pub placeholder: bool,
    /// Whether a route may drop fields that it cannot honour; they are listed in the result.
    pub lossy: bool,
    /// What an error of the checks means.
    pub gate: Gate,
    /// What may be spent on it, and where.
    #[serde(default, skip_serializing_if = "Terms::is_default")]
    pub terms: Terms,
    /// Share of each side that text keeps clear of, where the manifest names one; it judges and draws nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub safe_inset: Option<f64>,
    /// Whether the words of the finished picture are to be read back and compared.
    #[serde(default)]
    pub read_back: bool,
}

impl JobSpec {
    /// A job for `client` that belongs to no asset, allows nothing that was not asked for, and reports what the checks find.
    pub fn new(recipe: Recipe, lane: Lane, client: impl Into<String>) -> Self {
        Self {
            recipe,
            asset: AssetRef { name: String::new(), locale: String::new() },
            lane,
            priority: 0,
            client: client.into(),
            deadline_ms: None,
            placeholder: false,
            lossy: false,
            gate: Gate::Report,
            terms: Terms::default(),
            safe_inset: None,
            read_back: false,
        }
    }
}

/// Engine, model and account that an attempt goes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Engine by name.
    pub engine: String,
    /// Model of the catalogue; the one asked for may differ when this is a stand-in.
    pub model: ModelId,
    /// The model that was named and that this route stands in for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placeholder_for: Option<ModelId>,
    /// The retired model that was named and that this one replaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<ModelId>,
    /// What would draw it here, as far as known before drawing.
    pub realisation: Realisation,
    /// Where it is bought, for a hosted model; absent for what this machine draws itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purchase: Option<Purchase>,
    /// How it is fitted into this machine's memory, in words for the journal; decides no pixel.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub memory: String,
}

impl Route {
    /// A route on this machine.
    pub fn here(model: ModelId, placeholder_for: Option<ModelId>, realisation: Realisation) -> Self {
        let engine = realisation.engine.clone();
        Self { engine, model, placeholder_for, replaces: None, realisation, purchase: None, memory: String::new() }
    }
}

/// Where a picture is bought, and for how much.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purchase {
    /// The account by its name in the settings.
    pub account: String,
    /// Who is paid, by the catalogue's word ("openai").
    pub provider: String,
    /// Which key of the account, by a short hash: never the key.
    pub key_id: String,
    /// What it is expected to cost.
    pub quoted: Micros,
    /// The most that it can cost; this much is set aside before the call.
    pub reserve: Micros,
    /// Pictures of the one call, as limits count them.
    pub images: u32,
    /// What follows when nobody knows what became of the call.
    #[serde(default)]
    pub on_ambiguous: OnAmbiguous,
    /// Our own name for the call, never used twice; empty until it is about to be made.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub nonce: String,
    /// The name by which the provider knows the call even if it never answered, where it lets us choose one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_as: Option<String>,
}

/// What follows when nobody knows whether a picture was made and billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnAmbiguous {
    /// The job waits for a person.
    #[default]
    Hold,
    /// The provider is asked after the call, where it can be; otherwise the job waits for a person.
    Poll,
    /// The call is made again, so many times at most, each time out of the budget; then the job waits for a person.
    Resend {
        /// How many times.
        at_most: u32,
    },
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It gave a render.
    Rendered,
    /// It gave a picture that the checks refused.
    Refused,
    /// It gave an error.
    Failed,
    /// It was stopped because the job was cancelled.
    Cancelled,
    /// The process, or the device that it ran on, ended while it ran, and it had cost nothing.
    Interrupted,
    /// The provider asked for patience; nothing was made.
    Throttled,
    /// The account has no credit or quota left.
    OutOfFunds,
    /// The provider refused the prompt or the pictures sent with it.
    PolicyInput,
    /// The provider made a picture and withheld it.
    PolicyOutput,
    /// The provider did not take the request as it was.
    BadRequest,
    /// The provider has the model no more.
    Retired,
    /// The provider does not take the key.
    Auth,
    /// The provider failed before it made anything.
    Transient,
    /// Nobody knows whether a picture was made and billed.
    Ambiguous,
    /// The provider answered, without a picture and without a refusal.
    Empty,
}

impl Outcome {
    /// The word in SQL and JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Rendered => "rendered",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
            Self::Throttled => "throttled",
            Self::OutOfFunds => "out_of_funds",
            Self::PolicyInput => "policy_input",
            Self::PolicyOutput => "policy_output",
            Self::BadRequest => "bad_request",
            Self::Retired => "retired",
            Self::Auth => "auth",
            Self::Transient => "transient",
            Self::Ambiguous => "ambiguous",
            Self::Empty => "empty",
        }
    }
}

/// An image with provenance: what the store keeps and a job ends with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Render {
    /// What was decided.
    pub planned_key: PlannedKey,
    /// What drew it.
    pub realised_key: RealisedKey,
    /// Its finished PNG in the store.
    pub blob: ContentHash,
    /// Its pixels.
    pub pixels: PixelHash,
    /// Its size.
    pub size: Extent,
    /// What drew it, in words.
    pub realisation: Realisation,
    /// Model of the catalogue.
    pub model: ModelId,
    /// The model that it stands in for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placeholder_for: Option<ModelId>,
    /// The retired model that was asked for and that its model replaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<ModelId>,
    /// What the checks found.
    pub verdict: Verdict,
    /// Wall time of drawing, checking and encoding.
    pub latency_ms: u64,
    /// What it cost, in millionths of a US dollar.
    pub cost_micros_usd: u64,
    /// What it was judged by, as a short hash; empty for the checks' own figures. Whoever judges by something else looks
    /// at it again.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub held_to: String,
    /// Pictures that were refused on the way to it, and what was done about each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repairs: Vec<Repaired>,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Ending {
    /// With a render; `cached` says that it was there already.
    Done {
        /// The render.
        render: Box<Render>,
        /// Whether it was taken from the store.
        cached: bool,
        /// Tries it took.
        attempts: u32,
    },
    /// Without.
    Failed(Failure),
    /// Taken back.
    Cancelled,
}

#[cfg(test)]
mod tests;
