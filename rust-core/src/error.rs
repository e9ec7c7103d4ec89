//! One append-only catalogue of error codes for Rust, JSON, C and C#.
//!
//! The word travels in JSON and in reports, the number across the C ABI. Neither ever changes its meaning.

use serde::{Deserialize, Serialize};

use crate::verdict::Finding;

macro_rules! error_codes {
    ($( $(#[$doc:meta])* $name:ident = $number:literal, $word:literal, $http:literal; )*) => {
        /// What kind of failure; stable for machines, while messages are for people.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[repr(u32)]
        pub enum ErrorCode {
            $( $(#[$doc])* #[serde(rename = $word)] $name = $number, )*
        }

        impl ErrorCode {
            /// Every code, in order of their numbers.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$name),*];

            /// The stable word, as it stands in JSON.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// The HTTP status that carries this code.
            pub const fn http_status(self) -> u16 {
                match self { $(Self::$name => $http,)* }
            }
        }
    };
}

error_codes! {
    /// A request that no retry can mend: a field is missing, malformed or out of its bounds.
    InvalidRequest = 1, "invalid_request", 400;
    /// A manifest, locale table, tier file or prompt file that cannot be read as what it is.
    InvalidManifest = 2, "invalid_manifest", 400;
    /// A model name that no catalogue row or alias has.
    UnknownModel = 3, "unknown_model", 400;
    /// A known model that this machine cannot run now: no weights, no key, no GPU.
    ModelUnavailable = 4, "model_unavailable", 503;
    /// A field of the recipe that the chosen route cannot honour.
    UnsupportedField = 5, "unsupported_field", 400;
    /// A bounded queue is full; try again later.
    QueueFull = 6, "queue_full", 503;
    /// The sidecar is draining and takes no new jobs.
    ShuttingDown = 7, "shutting_down", 503;
    /// Somebody cancelled the job.
    Cancelled = 8, "cancelled", 409;
    /// The job's deadline passed before it was done.
    DeadlineExceeded = 9, "deadline_exceeded", 504;
    /// A text layer needs a character that none of its fonts has.
    MissingGlyph = 10, "missing_glyph", 422;
    /// A text layer does not fit its area at the smallest size.
    TextDoesNotFit = 11, "text_does_not_fit", 422;
    /// An engine failed to draw; the message has its reason.
    EngineFailed = 12, "engine_failed", 500;
    /// The checks found an error in the render and the policy allows no repair.
    VerificationFailed = 13, "verification_failed", 422;
    /// A file of the team's own (art, font) is missing or unreadable.
    InputFile = 14, "input_file", 400;
    /// An output could not be written: no permission, no space, held by another program.
    OutputFile = 15, "output_file", 500;
    /// An output path leaves the project or collides with another.
    OutputPath = 16, "output_path", 400;
    /// The journal or the store of the data directory failed.
    Storage = 17, "storage", 500;
    /// The disk is full.
    DiskFull = 18, "disk_full", 507;
    /// Another sidecar owns the data directory.
    DataDirInUse = 19, "data_dir_in_use", 409;
    /// The port is taken.
    PortTaken = 20, "port_taken", 500;
    /// No such job or render.
    NotFound = 21, "not_found", 404;
    /// The caller may not do this: missing token, foreign host or origin.
    Forbidden = 22, "forbidden", 403;
    /// Too many requests in a short time.
    RateLimited = 23, "rate_limited", 429;
    /// The body, the picture or the text is larger than its bound.
    TooLarge = 24, "too_large", 413;
    /// The manifest asks for another version of Thumbforge.
    VersionMismatch = 25, "version_mismatch", 409;
    /// A locale lacks a string that the manifest says must be there.
    MissingString = 26, "missing_string", 400;
    /// Version control would not let an output be written.
    VersionControl = 27, "version_control", 409;
    /// A fault of Thumbforge itself; please report it.
    Internal = 28, "internal", 500;
    /// The manifest's journal or lock file is damaged.
    Corrupt = 29, "corrupt", 500;
    /// The words asked for cannot be found in the picture, and no repair was allowed.
    RenderedTextMismatch = 30, "rendered_text_mismatch", 422;
    /// A handle of the C ABI that was closed, released, or never given out.
    StaleHandle = 31, "stale_handle", 404;
    /// The caller of the C ABI was built for another major version of it.
    AbiMismatch = 32, "abi_mismatch", 409;
    /// No sidecar runs, and none was to be started or could be.
    NoSidecar = 33, "no_sidecar", 503;
    /// A call went out, and nobody knows whether the provider made and billed the picture; a person or a rule decides.
    Ambiguous = 34, "ambiguous", 409;
    /// The picture would cost more than a budget has left.
    OverBudget = 35, "over_budget", 402;
    /// Nobody knows what the picture would cost, so it is not bought.
    UnknownPrice = 36, "unknown_price", 400;
    /// The model is retired, and the template pins it.
    ModelRetired = 37, "model_retired", 410;
    /// The project's policy does not allow the licence of the model or adapter.
    LicenceDenied = 38, "licence_denied", 403;
    /// The project's policy does not allow the provider.
    PolicyDenied = 39, "policy_denied", 403;
    /// The provider refused the prompt or withheld its picture. OpenAI's clients know this word.
    ContentPolicy = 40, "content_policy_violation", 400;
    /// The provider failed, or answered without a picture, as often as was allowed to try.
    ProviderFailed = 41, "provider_failed", 502;
    /// The provider does not take the account's key.
    ProviderAuth = 42, "provider_auth", 502;
    /// The account has no credit left.
    OutOfFunds = 43, "out_of_funds", 402;
    /// The picture needs more memory than this machine has for it; the message has both figures.
    OutOfMemory = 44, "out_of_memory", 507;
}

impl ErrorCode {
    /// The number that crosses the C ABI; 0 is success and no error.
    pub const fn number(self) -> u32 {
        self as u32
    }
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// A failure as it reaches people and machines: a stable code and a sentence that says what to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// For machines.
    pub code: ErrorCode,
    /// For people: what failed, where, and what to do.
    pub message: String,
    /// What the checks found, where they are what failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

impl Failure {
    /// A failure of kind `code`.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), findings: Vec::new() }
    }
}

/// The message of an error and of all its sources, joined by colons.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
