//! The ABI as safer-ffi sees it: the library's own types and signatures, under its attributes and without bodies.

#![expect(dead_code, reason = "only their shapes are wanted")]
#![expect(unreachable_pub, reason = "the library exports them; here nobody sees them")]

pub(crate) mod abi {
    //! `ffi/src/abi.rs`, as the build script annotated it.
    use safer_ffi::prelude::*;
    include!(concat!(env!("OUT_DIR"), "/abi.rs"));
}

/// Takes the place of the library's macro: the signature and its comment, and no body.
macro_rules! exports {
    ($( $(#[$doc:meta])* fn $name:ident($($argument:ident: $kind:ty),* $(,)?) -> $answer:ty = $body:path; )*) => { $(
        $(#[$doc])*
        #[::safer_ffi::prelude::ffi_export]
        pub fn $name($($argument: $kind),*) -> $answer {
            let _ = ($($argument,)*);
            unreachable!("a shape that nobody calls")
        }
    )* };
}

pub(crate) mod exports {
    //! `ffi/src/exports.rs` under other names, as the build script has them: tests are linked from the library too.
    include!(concat!(env!("OUT_DIR"), "/exports.rs"));
}
