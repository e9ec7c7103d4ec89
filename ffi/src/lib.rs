//! The C ABI that the Unity editor loads. So far it holds only its statuses; the calls come with the channel.
//!
//! Statuses start at [`OK`], are append-only, and are the numbers of [`ErrorCode`], so that Rust, C and C# agree.

use thumbforge_core::error::ErrorCode;

/// Success: no error has this number.
pub const OK: u32 = 0;

/// The status of an outcome, as it crosses the ABI.
pub fn status(outcome: Result<(), ErrorCode>) -> u32 {
    match outcome {
        Ok(()) => OK,
        Err(code) => code.number(),
    }
}

/// The stable word of a status; `None` for a number that no status has.
pub fn status_word(status: u32) -> Option<&'static str> {
    if status == OK {
        return Some("ok");
    }
    ErrorCode::ALL.iter().find(|code| code.number() == status).map(|code| code.word())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_one_word() {
        assert_eq!(status_word(status(Ok(()))), Some("ok"));
        for code in ErrorCode::ALL {
            assert_eq!(status_word(status(Err(*code))), Some(code.word()));
        }
        assert_eq!(status_word(u32::MAX), None);
    }
}
