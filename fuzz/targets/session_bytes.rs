//! A client's byte stream, from its first byte to its last, against one session.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| session::fuzz::bytes(data));
