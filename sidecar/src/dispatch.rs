//! The dispatcher: one task that waits in one place, decides in a pure function and acts in one place.
//!
//! ```text
//! Accepted ─► [queued] ─slot─► Plan ─► Planned ─► Record(Started) ─► Recorded ─► Draw ─► Drawn
//!                                         │cached                                           │
//!                                         └────────────► Record(Finished) ◄─────────────────┘
//!                                                              └─► Recorded ─► Answer
//! ```
//! Nothing is drawn before its attempt is durable, and nobody is told of an ending before it is.
//! A job whose realised key is being drawn already waits for that drawing and then finds it in the store.

mod actor;
mod event;
mod state;

pub use actor::{Acts, Dispatcher, Waiter};
pub use event::{Effect, Event, Planned};
pub use state::State;

#[cfg(test)]
mod tests;
