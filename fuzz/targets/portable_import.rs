//! Any document of XEP-0227: it is refused, or what it says comes out again.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| portable::fuzz::import(data));
