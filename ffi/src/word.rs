//! The words of statuses as C has strings: with a terminator, in memory that is never freed.

use std::ffi::CStr;

use thumbforge_core::error::ErrorCode;

/// Longest word of a status in bytes.
const BYTES_MAX: usize = 31;

/// A word and zeroes behind it.
type Word = [u8; BYTES_MAX + 1];

/// The words of [`ErrorCode::ALL`], in its order.
static WORDS: [Word; ErrorCode::ALL.len()] = {
    let mut words = [[0; BYTES_MAX + 1]; ErrorCode::ALL.len()];
    let mut at = 0;
    while at < words.len() {
        let word = ErrorCode::ALL[at].word().as_bytes();
        assert!(word.len() <= BYTES_MAX);
        let mut byte = 0;
        while byte < word.len() {
            words[at][byte] = word[byte];
            byte += 1;
        }
        at += 1;
    }
    words
};

/// The stable word of a status; "unknown" for a number that no status has.
pub(crate) fn of_status(status: u32) -> &'static CStr {
    if status == crate::abi::TF_OK {
        return c"ok";
    }
    let at = ErrorCode::ALL.iter().position(|code| code.number() == status);
    at.and_then(|at| CStr::from_bytes_until_nul(&WORDS[at]).ok()).unwrap_or(c"unknown")
}
