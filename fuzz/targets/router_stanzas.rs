//! Any stanzas, from any of three sessions, against a router and a store in memory.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| router::fuzz::stanzas(data));
