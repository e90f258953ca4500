//! Headers by hand and round trips.

use super::*;
use proptest::prelude::*;

/// The header of the well-known worked checksum example: 10.0.0.1 to 10.0.0.2, UDP, 28 bytes in all.
/// 4500 001c 0001 4000 4011 0000 0a00 0001 0a00 0002 sums to d931 -> complement 26ce.
const HEADER: [u8; 20] =
    [0x45, 0x00, 0x00, 0x1c, 0x00, 0x01, 0x40, 0x00, 0x40, 0x11, 0x26, 0xce, 10, 0, 0, 1, 10, 0, 0, 2];

#[test]
fn reads_and_writes_by_hand() {
    let mut bytes = [0u8; 30]; // two bytes of link padding
    bytes[..20].copy_from_slice(&HEADER);
    let packet = Packet::new(&bytes).unwrap();
    assert!(packet.checksum_is_valid());
    assert_eq!((packet.total_len(), packet.payload().len()), (28, 8));
    let header = Header {
        ident: 1,
        ..Header::new(Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2), Protocol::UDP, 64, 8)
    };
    assert_eq!(Header::parse(&packet), header);
    let mut out = [0xee; 20];
    header.emit(&mut out);
    assert_eq!(out, HEADER);
}

#[test]
fn router_alert_takes_a_word() {
    let header = Header {
        router_alert: true,
        ..Header::new(Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(224, 0, 0, 2), Protocol::IGMP, 1, 8)
    };
    let mut out = [0; 32];
    assert_eq!(header.emit(&mut out), 24);
    assert_eq!((out[0], &out[20..24]), (0x46, &[148, 4, 0, 0][..]));
    let packet = Packet::new(&out).unwrap();
    assert!(packet.checksum_is_valid());
    assert_eq!(Header::parse(&packet), header);
}

#[test]
fn lengths_that_lie_are_refused() {
    let with = |first: u8, total: u16, len: usize| {
        let mut bytes = vec![0; len];
        bytes[0] = first;
        bytes[2..4].copy_from_slice(&total.to_be_bytes());
        Packet::new(&bytes).map(|_| ()).err()
    };
    assert_eq!(Packet::new(&HEADER[..19]).err(), Some(Malformed::Truncated));
    assert_eq!(with(0x65, 20, 20), Some(Malformed::Version));
    assert_eq!(with(0x44, 20, 20), Some(Malformed::HeaderLength));
    assert_eq!(with(0x45, 21, 20), Some(Malformed::Length));
    assert_eq!(with(0x45, 19, 20), Some(Malformed::HeaderLength));
    assert_eq!(with(0x46, 20, 24), Some(Malformed::HeaderLength));
    assert_eq!(with(0x45, 20, 20), None);
}

#[test]
fn source_routes_are_seen_through_damage() {
    let routed = |options: &[u8]| {
        let mut bytes = vec![0; 20 + options.len()];
        bytes[0] = 0x40 | (bytes.len() / 4) as u8;
        let total = bytes.len() as u16;
        bytes[2..4].copy_from_slice(&total.to_be_bytes());
        bytes[20..].copy_from_slice(options);
        Packet::new(&bytes).unwrap().is_source_routed()
    };
    assert!(routed(&[131, 3, 4, 0]));
    assert!(routed(&[1, 137, 3, 4]));
    assert!(!routed(&[0, 131, 3, 4]));
    assert!(!routed(&[148, 4, 0, 0]));
    assert!(!routed(&[7, 0, 131, 3]), "an impossible length ends the walk");
}

proptest! {
    #[test]
    fn headers_round_trip(
        dscp in 0u8..64, ecn in 0u8..4, ident: u16, dont_fragment: bool, more_fragments: bool, offset in 0u16..8192, ttl: u8,
        protocol: u8, src: [u8; 4], dst: [u8; 4], router_alert: bool, payload_len in 0u16..100
    ) {
        let header = Header {
            dscp, ecn: Ecn::from_bits(ecn), ident, dont_fragment, more_fragments, fragment_offset: offset << 3, ttl,
            protocol: Protocol(protocol), src: src.into(), dst: dst.into(), router_alert, payload_len,
        };
        let mut bytes = vec![0xee; header.header_len() + usize::from(payload_len)];
        header.emit(&mut bytes);
        let packet = Packet::new(&bytes).unwrap();
        prop_assert!(packet.checksum_is_valid());
        prop_assert_eq!(Header::parse(&packet), header);
        prop_assert_eq!(packet.is_fragment(), more_fragments || offset != 0);
    }
}
