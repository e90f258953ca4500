//! Fragments both ways between hosts, and what attackers make of them.

use crate::icmp::packet;
use crate::lan::{Lan, ip};
use stack::DropReason;
use stack::socket::udp::UdpRecvError;
use std::net::IpAddr;
use std::time::Duration;
use wire::ip::Protocol;
use wire::{ipv4, ipv6};

const PAIRS: [(&str, &str); 2] = [("10.0.0.1:1", "10.0.0.2:2"), ("[2001:db8::1]:1", "[2001:db8::2]:2")];

#[test]
fn large_datagrams_are_cut_and_put_together() {
    for (local, remote) in PAIRS {
        for mut lan in [Lan::pair(), Lan::tunnel()] {
            let (a, b) = (lan.bind(0, local), lan.bind(1, remote));
            for len in [1_473, 2_952, 10_000, 65_507] {
                let data: Vec<u8> = (0..len).map(|i| (i * 13) as u8).collect();
                lan.send(0, a, &data, remote);
                assert_eq!(lan.recv(1, b).unwrap().0, data, "{len}");
            }
            assert_eq!(lan.counters(0).datagrams_fragmented, 4);
            assert_eq!(lan.counters(1).datagrams_reassembled, 4);
            assert!(lan.passed.iter().all(|(_, frame)| frame.len() <= 1_514));
        }
    }
}

#[test]
fn one_lost_piece_loses_the_datagram_and_its_sender_is_told() {
    for ((local, remote), wait) in PAIRS.into_iter().zip([30, 60]) {
        let mut lan = Lan::tunnel();
        let (a, b) = (lan.bind(0, local), lan.bind(1, remote));
        lan.carries = |_, frame| frame.len() > 1_400; // the last, short piece is lost
        lan.send(0, a, &[7; 2_500], remote);
        assert_eq!(lan.recv(1, b), Err(UdpRecvError::WouldBlock));
        lan.passed.clear();
        lan.carries = |_, _| true;
        lan.run(Duration::from_secs(wait - 1));
        assert_eq!(lan.dropped(1, DropReason::ReassemblyTimeout), 0);
        lan.run(Duration::from_secs(2));
        assert_eq!(lan.dropped(1, DropReason::ReassemblyTimeout), 1);
        let (from, told) = lan.passed.pop().unwrap();
        let head = if local.starts_with('[') { (told[40], told[41]) } else { (told[20], told[21]) };
        assert_eq!((from, head), (1, if local.starts_with('[') { (3, 1) } else { (11, 1) }));
    }
}

/// A fragment of an IPv4 datagram from 10.0.0.9.
fn piece_v4(ident: u16, offset: u16, more: bool, data: &[u8]) -> Vec<u8> {
    let (IpAddr::V4(src), IpAddr::V4(dst)) = (ip("10.0.0.9"), ip("10.0.0.2")) else { unreachable!() };
    let mut header = ipv4::Header::new(src, dst, Protocol::UDP, 64, data.len() as u16);
    header.dont_fragment = false;
    (header.ident, header.fragment_offset, header.more_fragments) = (ident, offset, more);
    let mut bytes = vec![0; 20 + data.len()];
    header.emit(&mut bytes);
    bytes[20..].copy_from_slice(data);
    bytes
}

fn piece_v6(ident: u32, offset: u16, more: bool, data: &[u8]) -> Vec<u8> {
    let fragment = ipv6::extension::Fragment { next_header: Protocol::UDP, offset, more, ident };
    let mut payload = vec![0; 8 + data.len()];
    fragment.emit(&mut payload);
    payload[8..].copy_from_slice(data);
    packet("2001:db8::9", "2001:db8::2", Protocol::FRAGMENT, &payload)
}

#[test]
fn an_overlap_kills_its_datagram_in_both_families() {
    let udp = [0, 9, 0, 2, 0, 24, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1];
    let mut lan = Lan::tunnel();
    let b = lan.bind(1, "10.0.0.2:2");
    lan.inject(1, &piece_v4(1, 0, true, &udp[..16]));
    lan.inject(1, &piece_v4(1, 8, false, &udp[8..])); // RFC 1858, RFC 5722
    lan.inject(1, &piece_v4(1, 16, false, &udp[16..]));
    lan.inject(1, &piece_v6(1, 0, true, &udp[..16]));
    lan.inject(1, &piece_v6(1, 8, false, &udp[8..]));
    assert_eq!(lan.dropped(1, DropReason::BadFragment), 2);
    assert_eq!(lan.recv(1, b), Err(UdpRecvError::WouldBlock));
    // The same without overlap arrives.
    lan.inject(1, &piece_v4(2, 16, false, &udp[16..]));
    lan.inject(1, &piece_v4(2, 0, true, &udp[..16]));
    assert_eq!(lan.recv(1, b).unwrap().0, &udp[8..]);
}

#[test]
fn an_atomic_fragment_waits_for_nobody() {
    let mut lan = Lan::tunnel();
    let b = lan.bind(1, "[2001:db8::2]:2");
    let mut udp = vec![0, 9, 0, 2, 0, 12, 0, 0, b'a', b't', b'o', b'm'];
    let (IpAddr::V6(src), IpAddr::V6(dst)) = (ip("2001:db8::9"), ip("2001:db8::2")) else { unreachable!() };
    let sum = wire::ip::pseudo_v6(src, dst, Protocol::UDP, udp.len() as u32);
    wire::udp::fill_checksum(&mut udp, sum);
    lan.inject(1, &piece_v6(1, 0, true, &[0; 8])); // an unfinished datagram of the same identification (RFC 6946 4)
    lan.inject(1, &piece_v6(1, 0, false, &udp));
    assert_eq!(lan.recv(1, b).unwrap().0, b"atom");
}

#[test]
fn pieces_that_no_sender_makes_are_told_of() {
    let told = |bytes: &[u8]| {
        let mut lan = Lan::tunnel();
        lan.inject(1, bytes);
        lan.passed.pop().map(|(_, f)| (f[40], f[41], u32::from_be_bytes(f[44..48].try_into().unwrap())))
    };
    // RFC 8200 4.5: length not a multiple of eight; past 65,535 octets.
    assert_eq!(told(&piece_v6(1, 0, true, &[0; 9])), Some((4, 0, 4)));
    assert_eq!(told(&piece_v6(1, 0xfff8, false, &[0; 9])), Some((4, 0, 42)));
    // RFC 7112: the header chain ends in another packet.
    let mut chain = piece_v6(1, 0, true, &[Protocol::UDP.0, 9, 0, 0, 0, 0, 0, 0]);
    chain[40] = Protocol::DESTINATION_OPTIONS.0;
    assert_eq!(told(&chain), Some((4, 3, 0)));
}

#[test]
fn a_flood_of_first_pieces_does_not_stop_honest_traffic() {
    let mut lan = Lan::tunnel();
    let (a, b) = (lan.bind(0, "10.0.0.1:1"), lan.bind(1, "10.0.0.2:2"));
    for ident in 0..5_000 {
        lan.inject(1, &piece_v4(ident, 0, true, &[0; 1_480]));
    }
    assert_eq!(lan.dropped(1, DropReason::ReassemblyFull), 5_000 - 64, "one source gets its share");
    lan.send(0, a, &[7; 5_000], "10.0.0.2:2");
    assert_eq!(lan.recv(1, b).unwrap().0.len(), 5_000);
}
