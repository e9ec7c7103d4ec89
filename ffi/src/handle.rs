//! Handles: 64-bit numbers that name a session or a job, and never memory.
//!
//! ```text
//! 63      56 55          32 31                 0
//! │ kind    │ generation   │ number of the job  │
//! ```
//! A generation belongs to one opening or adoption of a session and is used again only after 16 million others; a number is used once in
//! a session. So a handle that was released, closed or of an earlier owner can only miss.

use thumbforge_core::error::{ErrorCode, Failure};

/// Bits of a generation.
const GENERATION_BITS: u32 = 24;

const SESSION: u64 = 0x5e;
const JOB: u64 = 0x0b;

/// One opening or adoption of a session; never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Generation(u32);

impl Generation {
    /// A generation to begin with; any number will do.
    pub(crate) fn first(any: u64) -> Self {
        Self((any as u32) & ((1 << GENERATION_BITS) - 1)).next()
    }

    /// The one after it.
    pub(crate) fn next(self) -> Self {
        let next = (self.0 + 1) & ((1 << GENERATION_BITS) - 1);
        Self(next.max(1))
    }

    /// The handle of the session.
    pub(crate) fn session(self) -> u64 {
        handle(SESSION, self, 0)
    }

    /// The handle of a job of the session.
    pub(crate) fn job(self, number: u32) -> u64 {
        handle(JOB, self, number)
    }
}

fn handle(kind: u64, generation: Generation, number: u32) -> u64 {
    kind << 56 | u64::from(generation.0) << 32 | u64::from(number)
}

fn parts(handle: u64, kind: u64) -> Result<(Generation, u32), Failure> {
    let generation = (handle >> 32) as u32 & ((1 << GENERATION_BITS) - 1);
    if handle >> 56 != kind || generation == 0 { Err(stale()) } else { Ok((Generation(generation), handle as u32)) }
}

/// The session that a handle names.
pub(crate) fn session(handle: u64) -> Result<Generation, Failure> {
    match parts(handle, SESSION)? {
        (generation, 0) => Ok(generation),
        _ => Err(stale()),
    }
}

/// The job that a handle names.
pub(crate) fn job(handle: u64) -> Result<(Generation, u32), Failure> {
    parts(handle, JOB)
}

/// What a handle that names nothing is answered with.
pub(crate) fn stale() -> Failure {
    Failure::new(
        ErrorCode::StaleHandle,
        "failed to use this handle: it was released or closed, is of an earlier session, or was never given out",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_name_what_they_were_made_of_and_nothing_else() {
        let generation = Generation::first(41);
        assert_eq!(session(generation.session()).unwrap(), generation);
        assert_eq!(job(generation.job(7)).unwrap(), (generation, 7));
        for forged in [0, 1, u64::MAX, generation.job(7), generation.session() | 1, generation.session() << 1] {
            assert_eq!(session(forged).unwrap_err().code, ErrorCode::StaleHandle, "{forged:x}");
        }
        for forged in [0, 1, u64::MAX, generation.session(), JOB << 56] {
            assert_eq!(job(forged).unwrap_err().code, ErrorCode::StaleHandle, "{forged:x}");
        }
    }

    #[test]
    fn generations_never_are_0() {
        let last = Generation::first(u64::from(u32::MAX) - 1);
        assert_eq!(last.0, (1 << GENERATION_BITS) - 1);
        assert_eq!(last.next().0, 1);
        assert_eq!(Generation::first(u64::from(u32::MAX)).0, 1);
    }
}
