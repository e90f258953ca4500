//! WebSocket frames, from a client, cut anywhere (RFC 6455 section 5).

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| framing::fuzz::websocket(data));
