//! The whole conversation of the dispatcher on a page: what it hears, and what it asks for.

use thumbforge_core::error::Failure;
use thumbforge_core::id::{JobId, RealisedKey};
use thumbforge_core::job::{Ending, Outcome, Render, Route};

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
    /// An attempt has ended.
    Drawn {
        /// The job.
        job: JobId,
        /// Which attempt.
        attempt: u32,
        /// Its render, or how and why there is none.
        result: Result<Box<Render>, (Outcome, Failure)>,
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
    },
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
    },
    /// Stop the drawing of a job.
    Stop(JobId),
    /// Tell whoever waits.
    Answer(JobId, Ending),
    /// Nothing runs any more.
    Drained,
}
