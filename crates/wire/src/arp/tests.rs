//! Packets by hand and round trips.

use super::*;
use proptest::prelude::*;

#[test]
fn by_hand() {
    let packet = Packet {
        operation: Operation::Request,
        sender_mac: MacAddr([2, 0, 0, 0, 0, 1]),
        sender_ip: Ipv4Addr::new(10, 0, 0, 1),
        target_mac: MacAddr::UNSPECIFIED,
        target_ip: Ipv4Addr::new(10, 0, 0, 2),
    };
    let bytes = [
        0, 1, 8, 0, 6, 4, 0, 1, // Ethernet, IPv4, lengths, request
        2, 0, 0, 0, 0, 1, 10, 0, 0, 1, // sender
        0, 0, 0, 0, 0, 0, 10, 0, 0, 2, // target
    ];
    let mut out = [0xee; 28];
    assert_eq!(packet.emit(&mut out), 28);
    assert_eq!(out, bytes);
    assert_eq!(Packet::parse(&bytes), Ok(packet));
}

#[test]
fn other_kinds_are_refused() {
    let mut bytes = [0; 28];
    bytes[..8].copy_from_slice(&[0, 1, 8, 0, 6, 4, 0, 2]);
    assert!(Packet::parse(&bytes).is_ok());
    for (at, value) in [(1, 6), (2, 0x86), (4, 8), (5, 16), (7, 3), (7, 0)] {
        let mut bytes = bytes;
        bytes[at] = value;
        assert_eq!(Packet::parse(&bytes), Err(Malformed::Field), "byte {at} is {value}");
    }
    assert_eq!(Packet::parse(&bytes[..27]), Err(Malformed::Truncated));
}

proptest! {
    #[test]
    fn packets_round_trip(reply: bool, sm: [u8; 6], si: [u8; 4], tm: [u8; 6], ti: [u8; 4]) {
        let packet = Packet {
            operation: if reply { Operation::Reply } else { Operation::Request },
            sender_mac: MacAddr(sm), sender_ip: si.into(), target_mac: MacAddr(tm), target_ip: ti.into(),
        };
        let mut bytes = [0; LEN];
        packet.emit(&mut bytes);
        prop_assert_eq!(Packet::parse(&bytes), Ok(packet));
    }
}
