//! What stands between a caller and every body: no panic crosses the ABI, and each thread knows why its call failed.

use std::cell::UnsafeCell;
use std::ffi::CStr;
use std::panic::{AssertUnwindSafe, catch_unwind};

use thumbforge_core::error::{ErrorCode, Failure};

/// Longest text of a failure that is kept, in bytes: a sentence and a path.
pub(crate) const LAST_ERROR_BYTES_MAX: usize = 1024;

/// What a call answers with when its body broke.
pub(crate) trait Answer {
    /// The answer in place of a panic.
    fn broken() -> Self;
}

impl Answer for u32 {
    fn broken() -> Self {
        ErrorCode::Internal.number()
    }
}

impl Answer for *const std::ffi::c_char {
    fn broken() -> Self {
        const WORD: &CStr = c"internal";
        WORD.as_ptr()
    }
}

/// Runs a body; a panic in it becomes an answer.
pub(crate) fn guard<T: Answer>(body: impl FnOnce() -> T) -> T {
    // A body that panics may leave a half-done change behind a lock; each lock's user goes on from whatever it finds
    // there, and every change under a lock is one insertion or removal.
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        remember("failed to go on: a fault of Thumbforge itself; please report it with the editor's log");
        // Dropping a payload may panic again, outside of any guard.
        std::mem::forget(panic);
        T::broken()
    })
}

/// The status of an outcome; the text of a failure is kept for this thread.
pub(crate) fn status(outcome: Result<(), Failure>) -> u32 {
    match outcome {
        Ok(()) => crate::abi::TF_OK,
        Err(failure) => {
            remember(&failure.message);
            failure.code.number()
        }
    }
}

/// A text in a buffer of fixed size.
struct Text {
    bytes: [u8; LAST_ERROR_BYTES_MAX],
    used: usize,
}

thread_local! {
    // Without a destructor, and made before the first use: a thread-local that is to be dropped would be registered
    // with the C library, which then keeps this library mapped until the thread ends.
    static LAST: UnsafeCell<Text> = const { UnsafeCell::new(Text { bytes: [0; LAST_ERROR_BYTES_MAX], used: 0 }) };
}

const _: () = assert!(!std::mem::needs_drop::<UnsafeCell<Text>>());

/// Keeps `text`, cut at a character where it is too long.
fn remember(text: &str) {
    let mut cut = text.len().min(LAST_ERROR_BYTES_MAX);
    while !text.is_char_boundary(cut) {
        cut -= 1;
    }
    LAST.with(|last| {
        // SAFETY: only this thread has this cell, and neither this closure nor `last_error` calls anything that comes
        // back here while the reference lives.
        let last = unsafe { &mut *last.get() };
        last.bytes[..cut].copy_from_slice(&text.as_bytes()[..cut]);
        last.used = cut;
    });
}

/// The text of this thread's last failure.
pub(crate) fn last_error() -> String {
    LAST.with(|last| {
        // SAFETY: as in `remember`.
        let last = unsafe { &*last.get() };
        String::from_utf8_lossy(&last.bytes[..last.used]).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_answer_and_has_a_text() {
        let status: u32 = guard(|| std::panic::resume_unwind(Box::new("broken")));
        assert_eq!(status, ErrorCode::Internal.number());
        assert!(last_error().contains("please report"), "{}", last_error());
    }

    #[test]
    fn a_text_that_is_too_long_ends_at_a_character() {
        let long = "ü".repeat(LAST_ERROR_BYTES_MAX);
        status(Err(Failure::new(ErrorCode::InvalidRequest, format!("x{long}"))));
        let kept = last_error();
        assert_eq!(kept.len(), LAST_ERROR_BYTES_MAX - 1);
        assert!(kept.ends_with('ü'));
    }

    #[test]
    fn threads_have_their_own() {
        status(Err(Failure::new(ErrorCode::InvalidRequest, "failed to read mine")));
        std::thread::spawn(|| assert_eq!(last_error(), "")).join().expect("no panic");
        assert_eq!(last_error(), "failed to read mine");
    }
}
