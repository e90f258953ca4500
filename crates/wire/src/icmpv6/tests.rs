//! Messages by hand and round trips.

use super::*;
use crate::ip::{Protocol, pseudo_v6};
use core::net::Ipv6Addr;
use proptest::prelude::*;

fn pseudo(len: usize) -> Sum {
    pseudo_v6(Ipv6Addr::LOCALHOST, Ipv6Addr::LOCALHOST, Protocol::ICMPV6, len as u32)
}

#[test]
fn an_echo_by_hand() {
    // ::1 to ::1: 0001 0001 0000 000a 003a; 8000 0000 0007 0001 6162; all told e1b0, complement 1e4f.
    let bytes = [128, 0, 0x1e, 0x4f, 0, 7, 0, 1, b'a', b'b'];
    let message = Message::EchoRequest { ident: 7, seq: 1, data: b"ab" };
    assert_eq!(Message::parse(&bytes, pseudo(10)), Ok(message));
    let mut out = [0xee; 10];
    assert_eq!(message.emit(&mut out, pseudo(10)), 10);
    assert_eq!(out, bytes);
    let mut bad = bytes;
    bad[9] ^= 0x80;
    assert_eq!(Message::parse(&bad, pseudo(10)), Err(Malformed::Field));
    assert_eq!(Message::parse_unverified(&bytes[..7]), Err(Malformed::Truncated));
}

#[test]
fn the_upper_half_of_the_types_are_no_errors() {
    assert!(Message::PacketTooBig { mtu: 1280, original: &[] }.is_error());
    assert!(Message::Other { kind: 127, code: 0, body: &[] }.is_error());
    assert!(!Message::Other { kind: 128, code: 0, body: &[] }.is_error());
    assert!(!Message::EchoReply { ident: 0, seq: 0, data: &[] }.is_error());
}

proptest! {
    #[test]
    fn messages_round_trip(which in 0u8..7, code: u8, word: u32, data in proptest::collection::vec(any::<u8>(), 0..64)) {
        let (ident, seq) = ((word >> 16) as u16, word as u16);
        let original = &data[..];
        let message = match which {
            0 => Message::EchoRequest { ident, seq, data: original },
            1 => Message::EchoReply { ident, seq, data: original },
            2 => Message::DestinationUnreachable { code: Unreachable(code), original },
            3 => Message::TimeExceeded { code, original },
            4 => Message::ParameterProblem { code: Problem(code), pointer: word, original },
            5 => Message::PacketTooBig { mtu: word, original },
            _ => Message::Other { kind: 200, code, body: original },
        };
        let mut bytes = vec![0xee; message.wire_len()];
        let sum = pseudo(bytes.len());
        prop_assert_eq!(message.emit(&mut bytes, sum), bytes.len());
        prop_assert_eq!(Message::parse(&bytes, sum), Ok(message));
    }
}
