//! What a trusted proxy says before the first byte of a stream (the PROXY protocol, versions 1 and 2).

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| framing::fuzz::proxy(data));
