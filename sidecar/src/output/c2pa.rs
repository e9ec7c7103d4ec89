//! C2PA: a signed statement within a picture about how it came to be (specification 2.x, <https://spec.c2pa.org>).
//!
//! ```text
//! copy with XMP ─► claim (what is said; pure) ─► sign ─► file with a caBX chunk ─► look (who signed? unchanged?)
//! ```
//! A manifest binds every byte of the file but its own chunk, so signing comes last.
//! Signing and checking need the cargo feature `dist`, which packaged builds have. Without it a manifest is seen and
//! never judged: [`State::Unchecked`] is told, and nothing is called valid.
//!
//! The manifest is not the same twice: the standard salts its parts and names it by a random UUID. Everything else in the
//! file is; nothing asks for the time, and no timestamp authority is called.

use std::fmt;

use serde::Serialize;

// Without signing nobody makes a claim; its tests need no library.
#[cfg(any(test, feature = "dist"))]
mod claim;
#[cfg(feature = "dist")]
mod sign;
#[cfg(feature = "dist")]
mod verify;

#[cfg(any(test, feature = "dist"))]
pub use claim::{Claim, Source};
#[cfg(feature = "dist")]
pub use sign::{SignError, Signer};

/// Whether this build can sign and check.
pub const IS_HERE: bool = cfg!(feature = "dist");

/// What is known of the manifest in a picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Seal {
    /// What checking it came to.
    pub state: State,
    /// Common name of the certificate that signed it.
    pub signer: Option<String>,
    /// The organisation that the certificate was issued to.
    pub organisation: Option<String>,
    /// The signature's algorithm.
    pub algorithm: Option<String>,
    /// The program that made the claim, with its version.
    pub claimed_by: Option<String>,
    /// The terms of IPTC's Digital Source Type that its actions name.
    pub source_types: Vec<String>,
    /// What failed, by the standard's codes; `signingCredential.untrusted` among them says that nobody vouches for the
    /// certificate.
    pub failures: Vec<String>,
}

/// What checking a manifest came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Unchanged, and signed by a certificate that leads to a root of the trust list.
    Trusted,
    /// Unchanged, and signed by a certificate that nobody vouches for here.
    Untrusted,
    /// Changed after signing, or not signed as the standard asks.
    Invalid,
    /// This build cannot tell.
    Unchecked,
}

impl Seal {
    /// A manifest of which nothing is known but that it is there.
    pub fn unchecked() -> Self {
        Self {
            state: State::Unchecked,
            signer: None,
            organisation: None,
            algorithm: None,
            claimed_by: None,
            source_types: Vec::new(),
            failures: Vec::new(),
        }
    }
}

/// In words; a signer's name is somebody's own claim until the certificate is trusted.
impl fmt::Display for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signer = self.signer.as_deref().or(self.organisation.as_deref()).unwrap_or("an unnamed certificate");
        // Which of the failures it is that a person can do something about.
        let failed = |code: &str| self.failures.iter().any(|failure| failure.starts_with(code));
        let why = match () {
            () if failed("assertion.dataHash.mismatch") => "the file was changed after signing",
            () if failed("signingCredential.expired") => "the certificate has expired",
            () if failed("signingCredential.") && !failed("signingCredential.untrusted") => {
                "the certificate is not one that may sign pictures"
            }
            () => "the manifest was changed after signing, or is damaged",
        };
        match self.state {
            State::Trusted => write!(f, "signed by {signer}; valid"),
            State::Untrusted => {
                write!(f, "signed by {signer}; unchanged since, but the certificate's root is not in a trust list")
            }
            State::Invalid => write!(f, "INVALID: {why} (it names {signer})"),
            State::Unchecked => write!(
                f,
                "there is a C2PA manifest, and this build cannot check it; a packaged build can (cargo feature \"dist\")"
            ),
        }
    }
}

/// Checks the manifest of a PNG, if it has one. `anchors` are certificates of roots that are trusted, in PEM.
///
/// # Errors
/// What is wrong with `anchors`, as a fragment after "failed to".
#[cfg(feature = "dist")]
pub fn look(file: &[u8], anchors: Option<&str>) -> Result<Option<Seal>, String> {
    verify::look(file, anchors)
}

/// Sees whether a PNG has a manifest, and can tell no more.
///
/// # Errors
/// Trusted roots are of no use to this build.
#[cfg(not(feature = "dist"))]
pub fn look(file: &[u8], anchors: Option<&str>) -> Result<Option<Seal>, String> {
    if anchors.is_some() {
        return Err(NOT_HERE.to_owned());
    }
    let has = super::png::has_chunk(std::io::Cursor::new(file), super::png::C2PA).unwrap_or(false);
    Ok(has.then(Seal::unchecked))
}

/// Why this build neither signs nor checks.
pub const NOT_HERE: &str = "sign or check C2PA manifests: this build was made without it; use a packaged build, or build \
                            with `--features dist`";

#[cfg(test)]
mod tests;
