use super::*;
use proptest::prelude::*;
use std::time::Duration;
use wire::ip::{Protocol, pseudo};
use wire::tcp::{Header, fill_checksum};
use wire::{ipv4, ipv6};

fn record(link: LinkType, bytes: &[u8]) -> Record<'_> {
    Record { time: Duration::ZERO, link, bytes, original_len: bytes.len() as u32 }
}

/// An IP packet with a segment of three octets, as `wire` writes it.
fn packet(v6: bool) -> Vec<u8> {
    let header = Header {
        src_port: 5000,
        dst_port: 80,
        seq: 7,
        ack: 9,
        flags: Flags::PSH | Flags::ACK,
        window: 300,
        ..Header::default()
    };
    let mut segment = vec![0; 20];
    header.emit(&mut segment);
    segment.extend(b"abc");
    let (src, dst): (IpAddr, IpAddr) = if v6 {
        ("fd00::1".parse().expect("address"), "fd00::2".parse().expect("address"))
    } else {
        ("10.0.0.1".parse().expect("address"), "10.0.0.2".parse().expect("address"))
    };
    let sum = pseudo(src, dst, Protocol::TCP, segment.len()).expect("one family");
    fill_checksum(&mut segment, sum);
    let mut bytes = vec![0; if v6 { 40 } else { 20 }];
    match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            bytes[0] = 0x45;
            bytes[2..4].copy_from_slice(&(20 + segment.len() as u16).to_be_bytes());
            bytes[8..10].copy_from_slice(&[64, 6]);
            bytes[12..16].copy_from_slice(&src.octets());
            bytes[16..20].copy_from_slice(&dst.octets());
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            bytes[0] = 0x60;
            bytes[4..6].copy_from_slice(&(segment.len() as u16).to_be_bytes());
            bytes[6..8].copy_from_slice(&[6, 64]);
            bytes[8..24].copy_from_slice(&src.octets());
            bytes[24..40].copy_from_slice(&dst.octets());
        }
        _ => unreachable!("both are of one family"),
    }
    bytes.extend(segment);
    // What is compared with is a packet that the checked parser takes too.
    match v6 {
        false => assert!(ipv4::Packet::new(&bytes).is_ok()),
        true => assert!(ipv6::Packet::new(&bytes).is_ok()),
    }
    bytes
}

#[track_caller]
fn is_the_segment(link: LinkType, bytes: &[u8], v6: bool) {
    let record = record(link, bytes);
    let found = dissect(&record).expect("a segment");
    let (src, dst) = if v6 { ("[fd00::1]:5000", "[fd00::2]:80") } else { ("10.0.0.1:5000", "10.0.0.2:80") };
    assert_eq!((found.src.to_string().as_str(), found.dst.to_string().as_str()), (src, dst));
    let Body::Tcp { seq, ack, flags, window, len, .. } = found.body else { panic!("{found:?}") };
    assert_eq!((seq, ack, flags, window, len), (7, 9, Flags::PSH | Flags::ACK, 300, 3));
}

#[test]
fn every_link_type_leads_to_the_segment() {
    for v6 in [false, true] {
        let ip = packet(v6);
        let kind: [u8; 2] = if v6 { [0x86, 0xdd] } else { [0x08, 0x00] };
        let with = |head: &[u8]| [head, &ip].concat();
        is_the_segment(LinkType::Raw, &ip, v6);
        is_the_segment(LinkType::Ethernet, &with(&[&[0; 12][..], &kind].concat()), v6);
        is_the_segment(LinkType::Ethernet, &with(&[&[0; 12][..], &[0x81, 0, 0, 5], &kind].concat()), v6);
        is_the_segment(
            LinkType::Ethernet,
            &with(&[&[0; 12][..], &[0x88, 0xa8, 0, 5, 0x81, 0, 0, 6], &kind].concat()),
            v6,
        );
        is_the_segment(LinkType::LinuxSll, &with(&[&[0; 14][..], &kind].concat()), v6);
        is_the_segment(LinkType::LinuxSll2, &with(&[&kind[..], &[0; 18]].concat()), v6);
        // A tag stands behind the cooked header.
        is_the_segment(LinkType::LinuxSll2, &with(&[&[0x81, 0][..], &[0; 18], &[0, 5], &kind].concat()), v6);
        for family in [[2, 0, 0, 0], [0, 0, 0, 2], [30, 0, 0, 0]] {
            is_the_segment(LinkType::Null, &with(&family), v6);
        }
        // Padding of a short frame is not text.
        is_the_segment(
            LinkType::Ethernet,
            &[&with(&[&[0; 12][..], &kind].concat())[..], &[0; 9]].concat(),
            v6,
        );
    }
}

#[test]
fn a_snap_length_cuts_text_not_numbers() {
    for v6 in [false, true] {
        let ip = packet(v6);
        is_the_segment(LinkType::Raw, &ip[..ip.len() - 3], v6);
        assert!(matches!(dissect(&record(LinkType::Raw, &ip[..ip.len() - 4])), Err(Skipped::Malformed)));
    }
}

#[test]
fn extension_headers_are_stepped_over() {
    let ip = packet(true);
    let mut with = ip[..40].to_vec();
    let len = u16::from_be_bytes([with[4], with[5]]) + 8;
    with[4..6].copy_from_slice(&len.to_be_bytes());
    with[6] = 60; // destination options
    with.extend([6, 0, 1, 4, 0, 0, 0, 0]);
    with.extend(&ip[40..]);
    is_the_segment(LinkType::Raw, &with, true);
}

#[test]
fn what_is_no_conversation_says_why() {
    let mut icmp = packet(false);
    icmp[9] = 1;
    let mut fragment = packet(false);
    fragment[6] = 0x20;
    let mut arp = vec![0; 12];
    arp.extend([8, 6]);
    arp.extend([0; 28]);
    let why = |link, bytes: &[u8]| dissect(&record(link, bytes)).expect_err("none");
    assert_eq!(why(LinkType::Raw, &icmp), Skipped::NotTransport);
    assert_eq!(why(LinkType::Raw, &fragment), Skipped::Fragment);
    assert_eq!(why(LinkType::Ethernet, &arp), Skipped::NotIp);
    assert_eq!(why(LinkType::Other(147), &icmp), Skipped::Link);
    assert_eq!(why(LinkType::Ethernet, &[0; 13]), Skipped::Malformed);
}

proptest! {
    #[test]
    fn no_octets_panic(bytes in prop::collection::vec(any::<u8>(), 0..120), v6: bool, at in 0..60_usize, flip: u8) {
        let mut ip = packet(v6);
        let at = at % ip.len();
        ip[at] ^= flip;
        for link in [LinkType::Null, LinkType::Ethernet, LinkType::Raw, LinkType::LinuxSll, LinkType::LinuxSll2] {
            for bytes in [&bytes, &ip] {
                if let Ok(found) = dissect(&record(link, bytes)) {
                    let _ = found.body.header(); // the options are walked
                }
            }
        }
    }
}
