//! The library that an editor loads: the C ABI over the channel's client. It guards, checks, converts and calls.
//!
//! ```text
//! C, C# ─► exports ─► guard ─► calls ─► registry ─► session ─► thumbforge_channel::client
//!            │                   └► pointer, request (callers' memory)  └► handles name, never point
//!           abi (structs and constants; read by ffi/bindgen too)
//! ```
//! Rules for every export: any thread may call it; it never calls back; only `tf_wait` waits for what is to happen; a
//! pointer that is null, misaligned or too long, a handle that is stale or forged, and a panic inside are answers, not crashes.
//! Nothing is installed in the process: no signal handler, no hook, no thread beyond those of open sessions.

#![expect(unsafe_code, reason = "the C boundary: callers' pointers are followed here, and nowhere above")]
#![warn(clippy::undocumented_unsafe_blocks)]

#[cfg(not(panic = "unwind"))]
compile_error!("a panic must become an answer: build with panic = \"unwind\"");

/// Makes the exports: each body runs behind the guard, under its own name, with the calling convention of C.
macro_rules! exports {
    ($( $(#[$doc:meta])* fn $name:ident($($argument:ident: $kind:ty),* $(,)?) -> $answer:ty = calls::$body:ident; )*) => { $(
        $(#[$doc])*
        #[expect(clippy::missing_safety_doc, reason = "the comment is that of the header: it says what callers owe")]
        // SAFETY: no other symbol begins with `tf_`.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name($($argument: $kind),*) -> $answer {
            // SAFETY: the caller keeps the contract of this export, which is that of the body.
            $crate::guard::guard(|| unsafe { $crate::calls::$body($($argument),*) })
        }
    )* };
}

pub mod abi;
pub mod exports;

mod calls;
mod detail;
mod guard;
mod handle;
mod pointer;
mod registry;
mod request;
mod session;
mod word;

#[cfg(test)]
mod tests;
