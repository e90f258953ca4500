//! Entry points for fuzzers.
//! Not here: the fuzzer (`fuzz/` has a target for each of these).

use crate::proxy;
use crate::websocket::{Decoder, Incoming, write_message, write_pong};

/// What a message may be long here.
const MESSAGE_MAX: usize = 600;

/// A WebSocket client's frames (RFC 6455 section 5). However they are cut they say the same; nothing is held beyond the
/// longest message and control frame; what is answered is within the client's sight a frame again.
///
/// # Panics
/// When that does not hold.
pub fn websocket(data: &[u8]) {
    let whole = heard(data, data.len().max(1));
    for piece in [1, 7] {
        assert_eq!(heard(data, piece), whole, "in pieces of {piece}");
    }
}

/// What a client is understood to say, and how it ended: an owned copy of each, control frames and errors by name.
fn heard(data: &[u8], piece: usize) -> Vec<(&'static str, Vec<u8>)> {
    let mut decoder = Decoder::new(MESSAGE_MAX);
    let mut said = Vec::new();
    let mut answer = Vec::new();
    for chunk in data.chunks(piece) {
        let mut chunk = chunk.to_vec();
        let mut input = &mut chunk[..];
        loop {
            match decoder.decode(&mut input) {
                Ok(None) => break,
                Ok(Some(Incoming::Message(text))) => {
                    assert!(text.len() <= MESSAGE_MAX);
                    write_message(text, &mut answer);
                    said.push(("message", text.to_vec()));
                }
                Ok(Some(Incoming::Ping(text))) => {
                    assert!(text.len() <= 125);
                    write_pong(text, &mut answer);
                    said.push(("ping", text.to_vec()));
                }
                Ok(Some(Incoming::Close)) => said.push(("close", Vec::new())),
                Err(code) => {
                    said.push(("error", (code as u16).to_be_bytes().to_vec()));
                    return said;
                }
            }
            // RFC 6455 5.1: what a server sends is not masked; its length is in the fewest octets (5.2).
            assert!(answer.get(1).is_none_or(|second| second & 0x80 == 0));
            answer.clear();
        }
        assert!(input.is_empty(), "what is not used up would be lost");
        // A buffer grows by doubling.
        assert!(decoder.held() <= 2 * (MESSAGE_MAX + 125), "{} octets are held", decoder.held());
    }
    said
}

/// What a trusted proxy says first (the PROXY protocol). A header is known when its last octet is there, and not before;
/// what follows changes nothing.
///
/// # Panics
/// When that does not hold.
pub fn proxy(data: &[u8]) {
    match proxy::parse(data) {
        Ok(None) => assert!(data.len() < proxy::HEADER_MAX, "{} octets and still no header", data.len()),
        Ok(Some(header)) => {
            assert!(header.len <= data.len() && header.len <= proxy::HEADER_MAX);
            assert_eq!(proxy::parse(&data[..header.len]), Ok(Some(header)));
            for cut in 0..header.len {
                assert_eq!(proxy::parse(&data[..cut]), Ok(None), "at {cut}");
            }
        }
        Err(proxy::NoHeader) => {}
    }
}
