//! Messages by hand and round trips.

use super::*;
use proptest::prelude::*;

#[test]
fn an_echo_by_hand() {
    // 0800 0000 0007 0001 6162 sums to 696a, complement 9695.
    let bytes = [8, 0, 0x96, 0x95, 0, 7, 0, 1, b'a', b'b'];
    let message = Message::EchoRequest { ident: 7, seq: 1, data: b"ab" };
    assert_eq!(Message::parse(&bytes), Ok(message));
    let mut out = [0xee; 10];
    assert_eq!(message.emit(&mut out), 10);
    assert_eq!(out, bytes);
    let mut bad = bytes;
    bad[9] ^= 0x80;
    assert_eq!(Message::parse(&bad), Err(Malformed::Field));
    assert_eq!(Message::parse(&bytes[..7]), Err(Malformed::Truncated));
}

#[test]
fn fragmentation_needed_carries_the_mtu_of_rfc_1191() {
    // 0304 0000 0000 0514 4500 sums to 4d18, complement b2e7.
    let bytes = [3, 4, 0xb2, 0xe7, 0, 0, 0x05, 0x14, 0x45, 0x00];
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(
        message,
        Message::DestinationUnreachable {
            code: Unreachable::FRAGMENTATION_NEEDED,
            next_hop_mtu: 1300,
            original: &[0x45, 0],
        }
    );
    assert!(message.is_error());
}

#[test]
fn questions_are_no_errors_and_source_quench_is_one() {
    assert!(!Message::EchoReply { ident: 0, seq: 0, data: &[] }.is_error());
    assert!(!Message::Other { kind: 13, code: 0 }.is_error());
    assert!(Message::Other { kind: 4, code: 0 }.is_error());
}

fn any_message() -> impl Strategy<Value = (u8, u8, u32, Vec<u8>)> {
    (0u8..7, any::<u8>(), any::<u32>(), proptest::collection::vec(any::<u8>(), 0..64))
}

proptest! {
    #[test]
    fn messages_round_trip((which, code, word, data) in any_message()) {
        let (ident, seq) = ((word >> 16) as u16, word as u16);
        let original = &data[..];
        let message = match which {
            0 => Message::EchoRequest { ident, seq, data: original },
            1 => Message::EchoReply { ident, seq, data: original },
            2 => Message::DestinationUnreachable { code: Unreachable(code), next_hop_mtu: seq, original },
            3 => Message::TimeExceeded { code, original },
            4 => Message::ParameterProblem { code, pointer: word as u8, original },
            5 => Message::Redirect { code, gateway: Ipv4Addr::from(word), original },
            _ => Message::Other { kind: 200, code },
        };
        let mut bytes = vec![0xee; message.wire_len()];
        prop_assert_eq!(message.emit(&mut bytes), bytes.len());
        prop_assert_eq!(Message::parse(&bytes), Ok(message));
    }
}
