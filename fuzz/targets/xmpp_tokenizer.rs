//! Any bytes as an XML stream, cut anywhere.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| xmpp::fuzz::tokenizer(data));
