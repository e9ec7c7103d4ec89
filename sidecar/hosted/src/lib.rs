//! Image providers: what each is asked, and what its answers mean.
//!
//! ```text
//! recipe × model row ─► translate ─► Call ─► Adapter::begin ─► Request ─► client ─► Reply ─► Adapter::next ─► Step
//!                                                                 ▲                                            │
//!                                                                 └──────── poll, fetch ◄──────────────────────┤
//!                                                                              Answer or Fault ◄───────────────┘
//! ```
//! An adapter is pure: it makes requests and reads replies. The client alone sends, waits and reads sockets.
//! This crate knows no jobs, journal, budgets or retries: a [`Fault`] says what happened, others decide what follows.

#![forbid(unsafe_code)]

pub mod adapter;
pub mod call;
pub mod client;
pub mod download;
pub mod endpoint;
pub mod fault;
pub mod fetch;
pub mod mask;
pub mod sniff;
pub mod translate;

pub use adapter::{Adapter, Protocol, Step, adapter};
pub use call::{Answer, AskedSize, Call, Picture, Task, Usage};
pub use client::{Client, Watch};
pub use download::{Ask, DownloadError, Downloader, Opened};
pub use endpoint::{Endpoint, Secret};
pub use fault::{Billed, Fault, Range};
pub use translate::{Translated, Unmet, translate};
