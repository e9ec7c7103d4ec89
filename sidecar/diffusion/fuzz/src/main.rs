//! libFuzzer's way in.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| thumbforge_diffusion_fuzz::weights::probe(bytes));
