//! Datagrams by hand and round trips.

use super::*;
use crate::ip::{Protocol, pseudo_v4, pseudo_v6};
use core::net::{Ipv4Addr, Ipv6Addr};
use proptest::prelude::*;

#[test]
fn by_hand() {
    // ports 53 -> 4000, "hi": 0035 0fa0 000a 0000 6869
    // pseudo of 10.0.0.1 -> 10.0.0.2: 0a00 0001 0a00 0002 0011 000a; all told 8c66, complement 7399
    let mut bytes = [0; 10];
    let header = Header { src_port: 53, dst_port: 4000, payload_len: 2 };
    let at = header.emit(&mut bytes);
    bytes[at..].copy_from_slice(b"hi");
    let pseudo = pseudo_v4(Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2), Protocol::UDP, 10);
    fill_checksum(&mut bytes, pseudo);
    assert_eq!(bytes, [0, 53, 0x0f, 0xa0, 0, 10, 0x73, 0x99, b'h', b'i']);
    let packet = Packet::new(&bytes).unwrap();
    assert!(packet.checksum_is_valid(pseudo));
    assert_eq!(Header::parse(&packet), header);
}

#[test]
fn a_zero_field_is_never_valid_and_a_computed_zero_is_sent_as_ones() {
    // Choose the payload so that the sum is ffff: the complement would be zero.
    let pseudo = pseudo_v6(Ipv6Addr::LOCALHOST, Ipv6Addr::LOCALHOST, Protocol::UDP, 10);
    let mut bytes = [0; 10];
    Header { src_port: 1, dst_port: 2, payload_len: 2 }.emit(&mut bytes);
    let missing = pseudo.add_bytes(&bytes).checksum();
    bytes[8..].copy_from_slice(&missing.to_be_bytes());
    assert!(!Packet::new(&bytes).unwrap().checksum_is_valid(pseudo), "field still zero");
    fill_checksum(&mut bytes, pseudo);
    assert_eq!(Packet::new(&bytes).unwrap().checksum(), 0xffff);
    assert!(Packet::new(&bytes).unwrap().checksum_is_valid(pseudo));
}

#[test]
fn lengths_that_lie_are_refused() {
    let with = |len: u16, bytes: usize| {
        let mut b = vec![0; bytes];
        b[4..6].copy_from_slice(&len.to_be_bytes());
        Packet::new(&b).map(|p| p.payload().len())
    };
    assert_eq!(Packet::new(&[0; 7]).err(), Some(Malformed::Truncated));
    assert_eq!(with(7, 8), Err(Malformed::Length));
    assert_eq!(with(9, 8), Err(Malformed::Length));
    assert_eq!(with(8, 8), Ok(0));
    assert_eq!(with(8, 12), Ok(0));
}

proptest! {
    #[test]
    fn datagrams_round_trip(src_port: u16, dst_port: u16, text in proptest::collection::vec(any::<u8>(), 0..100)) {
        let header = Header { src_port, dst_port, payload_len: text.len() as u16 };
        let mut bytes = vec![0xee; 8 + text.len()];
        let at = header.emit(&mut bytes);
        bytes[at..].copy_from_slice(&text);
        let pseudo = pseudo_v4(Ipv4Addr::LOCALHOST, Ipv4Addr::BROADCAST, Protocol::UDP, bytes.len() as u16);
        fill_checksum(&mut bytes, pseudo);
        let packet = Packet::new(&bytes).unwrap();
        prop_assert!(packet.checksum_is_valid(pseudo));
        prop_assert_eq!(Header::parse(&packet), header);
        prop_assert_eq!(packet.payload(), &text[..]);
    }
}
