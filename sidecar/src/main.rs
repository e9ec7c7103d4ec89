//! The `thumbforge` binary: parse, call the library, exit.

fn main() {}
