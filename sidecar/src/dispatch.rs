//! The dispatcher: one task that waits in one place, decides in a pure function and acts in one place.
//!
//! ```text
//! Accepted ─► [queued] ─slot─► Plan ─► Planned ─► Record(Started) ─► Recorded ─► Draw ─► Drawn
//!                                         │cached                                           │
//!                                         └────────────► Record(Finished) ◄─────────────────┘
//!                                                              └─► Recorded ─► Answer
//! ```
//! Nothing is drawn before its attempt is durable, and nobody is told of an ending before it is.
//! A job whose realised key is being drawn already waits for that drawing and then finds it in the store; so does one whose
//! art a model draws for another job, and then only its words are set, which takes no place at the model.
//!
//! A picture that the checks refuse is mended where its terms say how: the step is durable before anything else is drawn, and
//! the job takes another turn. `Planned` follows from the steps that are written down, so a job goes on after a crash as it
//! would have.
//! ```text
//! Refused ─► Record(Mended) ─► Recorded ─► [queued] ─► Plan …
//! ```
//!
//! What is bought takes another way from `Planned` on, and holds no slot while it waits for an account or a provider:
//! ```text
//! Planned ─► gate ─► Record(Started, money set aside) ─► Call ─► Called ─► Record(Called, settled, art) ─┬─► [queued] ─► Draw
//!              ▲                                                                                         ├─► held (ambiguous)
//!              └──────────────── pause, next route ◄─────────────────────────────────────────────────────┘
//! ```
//! The art is durable, and its price settled, before words are set over it. The money is not set aside where a budget has too
//! little left, nor where somebody else has bought the art meanwhile: the job then takes another turn and finds it.
//! Changed settings send everything that waits at a gate back into the queue, to be routed with the prices that hold now.

mod actor;
mod event;
mod gate;
mod retry;
mod state;

pub use actor::{Acts, Dispatcher, Waiter};
pub use event::{Called, Effect, Event, Offer, Offers, Planned};
pub use gate::GateLimits;
pub use state::State;

#[cfg(test)]
mod tests;
