//! Why there is no picture, in words that a policy can decide by.

use thumbforge_core::job::Outcome;

use crate::call::Usage;

/// Why a call gave no picture. It decides nothing: whoever called does.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// What happened.
    pub outcome: Outcome,
    /// The provider's words, bounded and without any key; fits after "failed to".
    pub message: String,
    /// How long the provider asks to wait, in milliseconds.
    pub retry_after_ms: Option<u64>,
    /// What it concerns.
    pub range: Range,
    /// Whether it costs money.
    pub billed: Billed,
    /// The provider's name for the call, by which it can be asked later.
    pub provider_id: Option<String>,
    /// What the provider says that it used.
    pub usage: Usage,
}

/// What a fault concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Range {
    /// This call alone.
    Call,
    /// Every call of the model.
    Model,
    /// Every call of the account.
    Account,
}

/// Whether a call costs money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Billed {
    /// It costs what was asked for, though nothing was delivered.
    Yes,
    /// It costs nothing.
    No,
    /// Nobody knows.
    Unknown,
}

/// Longest message of a provider that is passed on, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 500;

impl Fault {
    /// A fault of one call that costs nothing.
    pub fn new(outcome: Outcome, message: impl Into<String>) -> Self {
        let mut message: String = message.into();
        if message.len() > MESSAGE_BYTES_MAX {
            let end = (0..=MESSAGE_BYTES_MAX).rev().find(|at| message.is_char_boundary(*at)).unwrap_or_default();
            message.truncate(end);
            message.push('…');
        }
        let billed = if outcome == Outcome::Ambiguous { Billed::Unknown } else { Billed::No };
        let usage = Usage::default();
        Self { outcome, message, retry_after_ms: None, range: Range::Call, billed, provider_id: None, usage }
    }

    /// The same, with how long to wait.
    pub fn after_ms(self, ms: u64) -> Self {
        Self { retry_after_ms: Some(ms), ..self }
    }

    /// The same, for every call of the account or model.
    pub fn of(self, range: Range) -> Self {
        Self { range, ..self }
    }

    /// The same, with whether it costs money.
    pub fn billed(self, billed: Billed) -> Self {
        Self { billed, ..self }
    }
}
