//! A client's WebSocket messages (RFC 7395) against one session.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| session::fuzz::messages(data));
