//! thumbforge-ffi
