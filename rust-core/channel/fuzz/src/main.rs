//! libFuzzer's way in.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| thumbforge_channel_fuzz::read(bytes));
