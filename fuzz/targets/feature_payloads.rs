//! Payloads of every feature, filled in and damaged, from sessions that have logged in, against a router and a store in memory.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| router::fuzz::payloads(data));
