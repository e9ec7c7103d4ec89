//! Export: pictures that leave the project, for stores and the press, and the list that discloses what models made.
//!
//! ```text
//! manifest + lock + files ─► gather ─► Picture (what it is, where from) ─┬─► copy: XMP, then C2PA ─► folder
//! catalogue, journal ────────┘                                          └─► disclosure: CSV, JSON, Markdown
//! ```
//! The project's own files are read and never written: the same realised key gives the same bytes there. Nothing is drawn
//! and no sidecar is needed. A picture that is missing or was changed by hand is not exported, since what would be said of
//! it might not be so.

mod copy;
mod disclosure;
mod key;
mod picture;

pub use copy::{Copied, Copier, Options};
pub use disclosure::{Disclosure, Format, Row};
pub use key::{KeySource, read_chain, read_key};
pub use picture::{Fault, Made, Picture, gather};
