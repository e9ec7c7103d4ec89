//! The whole conversation of the dispatcher on a page: what it hears, and what it asks for.

use std::collections::BTreeMap;
use std::sync::Arc;

use thumbforge_core::error::Failure;
use thumbforge_core::id::{JobId, RealisedKey};
use thumbforge_core::job::{Ending, JobState, Outcome, Render, Route};
use thumbforge_core::repair::Mended;
use thumbforge_core::terms::Budget;

use super::gate::GateLimits;
use crate::journal::ledger::{Call, Settled};
use crate::journal::{Open, Record};

/// What the dispatcher hears.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A job is durable and wants its turn.
    Accepted(Open),
    /// The router has answered for a job.
    Planned {
        /// The job.
        job: JobId,
        /// Its answer.
        planned: Planned,
    },
    /// A record is durable.
    Recorded(Record),
    /// A record could not be written.
    Unrecorded(Record, Failure),
    /// A purchase was not written, because a budget does not allow it.
    Overdrawn {
        /// What was not written.
        record: Record,
        /// Which budget, and what to do.
        failure: Failure,
        /// Whether it may yet fit when calls that are under way have cost less than they might.
        may_fit: bool,
    },
    /// A call to a provider has ended.
    Called {
        /// The job.
        job: JobId,
        /// Which attempt.
        attempt: u32,
        /// How.
        called: Box<Called>,
    },
    /// A person says that a job whose outcome nobody knows is to be bought again.
    Resend(JobId),
    /// A purchase was not written, because its art is there by now.
    Owned(Record),
    /// The settings, models or budgets have changed: what waits to be bought is asked for anew, as they are now.
    Market {
        /// What each account may do now.
        limits: BTreeMap<String, GateLimits>,
    },
    /// An attempt has ended.
    Drawn {
        /// The job.
        job: JobId,
        /// Which attempt.
        attempt: u32,
        /// Its render, or how and why there is none.
        result: Result<Box<Render>, (Outcome, Failure)>,
    },
    /// An attempt has given a picture that the checks refuse, and something can be done about it.
    Refused {
        /// The job.
        job: JobId,
        /// The number of what is done, within the job, from 1.
        number: u32,
        /// What was refused, and what is done.
        mended: Box<Mended>,
    },
    /// Somebody takes a job back.
    Cancel(JobId),
    /// Time has passed.
    Tick,
    /// Start nothing more, and say when nothing runs.
    Drain,
}

/// What the router and the store say of a job.
#[derive(Debug, Clone, PartialEq)]
pub enum Planned {
    /// It must be drawn, along this route.
    Draw {
        /// Where.
        route: Box<Route>,
        /// Under which key.
        key: RealisedKey,
        /// The key of its art, where a model must draw that first and others may want the same; absent where the art is in
        /// the store, or is drawn faster than it is looked for.
        art: Option<RealisedKey>,
    },
    /// It must be bought.
    Buy(Box<Offers>),
    /// It is in the store.
    Cached(Box<Render>),
    /// It cannot be drawn here.
    Refused(Failure),
    /// It has ended, durably: somebody joined it just as it did.
    Ended(Ending),
}

/// What the dispatcher asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Ask the router and the store.
    Plan(JobId),
    /// Write down, and say when it is durable.
    Record(Record),
    /// Draw.
    Draw {
        /// The job.
        job: JobId,
        /// Which attempt.
        attempt: u32,
        /// Where.
        route: Box<Route>,
        /// The key of the art that a model must draw first; absent where words are only set over art that is there.
        art: Option<RealisedKey>,
    },
    /// Stop the drawing of a job, or its call.
    Stop(JobId),
    /// Ask a provider for the picture.
    Call {
        /// The job.
        job: JobId,
        /// Which attempt.
        attempt: u32,
        /// Where.
        route: Box<Route>,
        /// The key of the art.
        art: RealisedKey,
    },
    /// Ask a provider what became of a call.
    Ask {
        /// The job.
        job: JobId,
        /// Which attempt.
        attempt: u32,
        /// Where it went.
        route: Box<Route>,
        /// The key of the art.
        art: RealisedKey,
        /// The provider's name for the call.
        id: String,
    },
    /// A job stands elsewhere, which nobody could tell from what else is asked.
    Moved(JobId, JobState),
    /// Tell whoever waits; the job stays open.
    Tell(JobId, Failure),
    /// Tell whoever waits.
    Answer(JobId, Ending),
    /// Nothing runs any more.
    Drained,
}

/// Where a picture can be bought.
#[derive(Debug, Clone, PartialEq)]
pub struct Offers {
    /// Best first; at least one.
    pub offers: Vec<Offer>,
    /// Budgets that each call counts against.
    pub budgets: Arc<[Budget]>,
    /// Whether what one vendor refused may be asked of another.
    pub cross_vendor: bool,
}

/// One of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    /// Where; with a purchase.
    pub route: Box<Route>,
    /// The key of its art.
    pub art: RealisedKey,
    /// What its account may do.
    pub limits: GateLimits,
    /// What this client's jobs may do at that account, where its project asks for less.
    pub lowered: Option<GateLimits>,
}

/// How a call ended, and what only the dispatcher needs to know of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Called {
    /// What is written down.
    pub call: Call,
    /// How long the provider asks to wait, in milliseconds.
    pub retry_after_ms: Option<u64>,
    /// Whether what happened concerns every call of the account.
    pub account_wide: bool,
}

impl Called {
    /// A call that was not sent, because of `failure`; one that was made before stays unknown.
    pub fn unsent(failure: &Failure, known_as: Option<String>) -> Self {
        let outcome = if known_as.is_some() { Outcome::Ambiguous } else { Outcome::BadRequest };
        let settled = if known_as.is_some() { Settled::Unknown } else { Settled::Free };
        let note = failure.message.strip_prefix("failed to ").unwrap_or(&failure.message).to_owned();
        let call = Call { outcome, settled, note, provider_id: known_as, ..Call::unmade(outcome) };
        Self { call, retry_after_ms: None, account_wide: false }
    }

    /// A call whose end nobody saw.
    pub fn lost(reason: &str) -> Self {
        let note = format!("see how a call ended, a fault of Thumbforge: {reason}");
        let call = Call { settled: Settled::Unknown, note, ..Call::unmade(Outcome::Ambiguous) };
        Self { call, retry_after_ms: None, account_wide: false }
    }
}
