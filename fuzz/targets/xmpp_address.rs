//! Any text as an address (RFC 7622).

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| xmpp::fuzz::address(data));
