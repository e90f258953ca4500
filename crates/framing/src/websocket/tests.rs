use proptest::prelude::*;

use super::*;

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A client's frame, written from RFC 6455 5.2 without the code under test.
fn frame(first: u8, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        n if n < 126 => bytes.push(0x80 | n as u8),
        n if n < 65_536 => bytes.extend([0x80 | 126, (n >> 8) as u8, n as u8]),
        n => {
            bytes.push(0x80 | 127);
            bytes.extend((n as u64).to_be_bytes());
        }
    }
    bytes.extend(mask);
    bytes.extend(payload.iter().enumerate().map(|(at, octet)| octet ^ mask[at % 4]));
    bytes
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Got {
    Message(Vec<u8>),
    Ping(Vec<u8>),
    Close,
    Failed(CloseCode),
}

/// Feeds `bytes` in pieces of `piece` octets and collects what comes out.
fn decode(bytes: &[u8], piece: usize, message_max: usize) -> Vec<Got> {
    let mut decoder = Decoder::new(message_max);
    let mut got = Vec::new();
    for chunk in bytes.chunks(piece) {
        let mut chunk = chunk.to_vec();
        let mut input = &mut chunk[..];
        loop {
            match decoder.decode(&mut input) {
                Ok(Some(Incoming::Message(text))) => got.push(Got::Message(text.to_vec())),
                Ok(Some(Incoming::Ping(octets))) => got.push(Got::Ping(octets.to_vec())),
                Ok(Some(Incoming::Close)) => got.push(Got::Close),
                Ok(None) => break,
                Err(code) => {
                    got.push(Got::Failed(code));
                    return got;
                }
            }
        }
        assert!(input.is_empty(), "input left over");
    }
    got
}

#[test]
fn the_examples_of_the_rfc() {
    // RFC 6455 5.7.
    let masked_hello = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    assert_eq!(decode(&masked_hello, 64, 100), [Got::Message(b"Hello".to_vec())]);
    let mut out = Vec::new();
    write_message(b"Hello", &mut out);
    assert_eq!(out, [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
    out.clear();
    write_pong(b"Hello", &mut out);
    assert_eq!(out, [0x8a, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
    out.clear();
    write_message(&[0; 256], &mut out);
    assert_eq!(out[..4], [0x81, 0x7e, 0x01, 0x00]);
    out.clear();
    write_message(&[0; 65_536], &mut out);
    assert_eq!(out[..10], [0x81, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0]);
    out.clear();
    write_close(CloseCode::ProtocolError, &mut out);
    assert_eq!(out, [0x88, 0x02, 0x03, 0xea]);
}

#[test]
fn what_breaks_the_protocol_closes_with_the_right_code() {
    let long_zero = |n: u64| {
        let mut bytes = vec![0x81, 0xff];
        bytes.extend(n.to_be_bytes());
        bytes.extend(MASK);
        bytes
    };
    let rows: &[(&str, Vec<u8>, CloseCode)] = &[
        ("not masked", vec![0x81, 0x05, b'H', b'e', b'l', b'l', b'o'], CloseCode::ProtocolError),
        ("reserved bit", frame(0xc1, b"x", MASK), CloseCode::ProtocolError),
        ("reserved opcode", frame(0x83, b"x", MASK), CloseCode::ProtocolError),
        ("reserved control", frame(0x8b, b"x", MASK), CloseCode::ProtocolError),
        ("binary", frame(0x82, b"x", MASK), CloseCode::Unsupported),
        ("continuation of nothing", frame(0x80, b"x", MASK), CloseCode::ProtocolError),
        ("ping in fragments", frame(0x09, b"x", MASK), CloseCode::ProtocolError),
        ("ping of 126", frame(0x89, &[0; 126], MASK), CloseCode::ProtocolError),
        ("too long", frame(0x81, &[0; 1001], MASK), CloseCode::TooBig),
        ("a claim of an exabyte", long_zero(1 << 60), CloseCode::TooBig),
        ("length with the highest bit", long_zero(1 << 63), CloseCode::ProtocolError),
        ("16 bits for 5", vec![0x81, 0xfe, 0, 5], CloseCode::ProtocolError),
        ("64 bits for 300", long_zero(300), CloseCode::ProtocolError),
        (
            "two messages interleaved",
            [frame(0x01, b"a", MASK), frame(0x81, b"b", MASK)].concat(),
            CloseCode::ProtocolError,
        ),
        (
            "fragments past the limit",
            [frame(0x01, &[0; 600], MASK), frame(0x80, &[0; 600], MASK)].concat(),
            CloseCode::TooBig,
        ),
        ("close with half a code", frame(0x88, &[3], MASK), CloseCode::ProtocolError),
        ("close with 1005", frame(0x88, &[3, 0xed], MASK), CloseCode::ProtocolError),
    ];
    for (what, bytes, code) in rows {
        for piece in [1, 3, 4096] {
            assert_eq!(decode(bytes, piece, 1000), [Got::Failed(*code)], "{what}, {piece} octets a time");
        }
    }
}

#[test]
fn control_frames_may_stand_between_fragments() {
    let bytes = [
        frame(0x01, b"one ", MASK),
        frame(0x89, b"are you there", MASK),
        frame(0x00, b"two ", MASK),
        frame(0x8a, b"unasked", MASK),
        frame(0x80, b"three", MASK),
        frame(0x88, &[3, 0xe8], MASK),
        frame(0x81, b"after the close", MASK),
    ]
    .concat();
    let expected =
        [Got::Ping(b"are you there".to_vec()), Got::Message(b"one two three".to_vec()), Got::Close];
    for piece in 1..80 {
        assert_eq!(decode(&bytes, piece, 1000), expected, "{piece} octets a time");
    }
}

#[test]
fn an_idle_decoder_holds_nothing_and_a_claim_reserves_little() {
    let mut decoder = Decoder::new(1 << 24);
    let mut claim = vec![0x81, 0xff];
    claim.extend((1u64 << 23).to_be_bytes());
    claim.extend(MASK);
    claim.push(0);
    assert_eq!(decoder.decode(&mut &mut claim[..]), Ok(None));
    assert!(decoder.held() <= FIRST_RESERVE);

    let mut decoder = Decoder::new(1 << 24);
    let bytes = frame(0x81, &[7; 5000], MASK);
    let (mut first, mut second) = (bytes[..100].to_vec(), bytes[100..].to_vec());
    assert_eq!(decoder.decode(&mut &mut first[..]), Ok(None));
    assert_eq!(decoder.decode(&mut &mut second[..]), Ok(Some(Incoming::Message(&[7; 5000]))));
    assert_eq!(decoder.decode(&mut &mut [][..]), Ok(None));
    assert_eq!(decoder.held(), 0);
}

proptest! {
    #[test]
    fn any_split_decodes_the_same(
        messages in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..400), any::<[u8; 4]>(), 1usize..5), 1..6),
        piece in 1usize..700,
    ) {
        let (mut bytes, mut expected) = (Vec::new(), Vec::new());
        for (payload, mask, fragments) in &messages {
            let step = payload.len().div_ceil(*fragments).max(1);
            let mut parts: Vec<&[u8]> = payload.chunks(step).collect();
            if parts.is_empty() {
                parts.push(&[]);
            }
            for (at, part) in parts.iter().enumerate() {
                let fin = if at + 1 == parts.len() { 0x80 } else { 0 };
                bytes.extend(frame(fin | u8::from(at == 0), part, *mask));
            }
            expected.push(Got::Message(payload.clone()));
        }
        prop_assert_eq!(decode(&bytes, piece, 1000), expected);
    }

    #[test]
    fn nothing_a_peer_sends_panics_or_grows(bytes in prop::collection::vec(any::<u8>(), 0..2000), piece in 1usize..300) {
        decode(&bytes, piece, 500);
    }

    #[test]
    fn unmasking_twice_is_nothing(bytes in prop::collection::vec(any::<u8>(), 0..100), mask: [u8; 4], at in 0usize..9) {
        let mut once = bytes.clone();
        unmask(&mut once, mask, at);
        for (index, octet) in once.iter().enumerate() {
            prop_assert_eq!(*octet, bytes[index] ^ mask[(at + index) % 4]);
        }
    }
}
