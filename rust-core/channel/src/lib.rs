//! The channel between an editor and the sidecar.
//!
//! ```text
//! editor                                        sidecar
//! Session ─ submissions ring ─────────────────► server ─► Host (intake)
//!         ─ returns ring (slots given back) ──►
//!         ◄───────────────── completions ring ─
//!         ◄─ texture slots, read-only here ───── decoded straight into
//!         ◄═ control socket: handshake, bells, memory handed over, notice of death ═►
//! ```
//! The rings and slots lie in anonymous shared memory that the sidecar makes; nothing is left behind by a crash.
//! Cursors and slot ownership are private to each side, what is read is copied out before it is checked, and every
//! loop over shared memory is bounded, so that no peer, however broken, can bring the other side down or hold it up.
//! A bell is rung only for a peer that has said that it sleeps.
//! Where shared memory is refused the same messages travel as frames of the socket.

// This crate's reason to be is memory that two processes share; every block argues for itself.
#![allow(unsafe_code)]
#![warn(clippy::undocumented_unsafe_blocks)]

#[cfg(all(test, not(loom)))]
extern crate self as thumbforge_channel;

mod atomic;
// Systems use it in their streams, which the model of its orders has none of.
#[cfg_attr(loom, allow(dead_code))]
mod bell;
#[cfg(not(loom))]
mod carrier;
#[cfg(not(loom))]
pub mod client;
#[cfg(all(test, not(loom)))]
mod hostile;
#[cfg(not(loom))]
mod inbox;
#[cfg(not(loom))]
mod layout;
mod ring;
#[cfg(not(loom))]
pub mod server;
#[cfg(not(loom))]
mod slots;
#[cfg(not(loom))]
mod sync;
#[cfg(not(loom))]
mod sys;

/// The version of this build, as the handshake names it.
pub const BUILD: &str = env!("CARGO_PKG_VERSION");
