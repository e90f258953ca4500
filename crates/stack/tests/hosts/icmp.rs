//! ICMP: echo, errors, their limits, and what is believed.

use crate::lan::{LINK, Lan, at, ip, point_to_point};
use stack::frame::Medium;
use stack::socket::udp::{UdpRecvError, UdpSend, UdpSendError};
use stack::{Config, DropReason, EchoReply, Fragmentation};
use std::net::IpAddr;
use std::time::Duration;
use wire::ip::{Protocol, pseudo_v6};
use wire::{icmpv4, icmpv6, ipv4, ipv6};

/// An IP packet around `payload`, as a stranger might send it.
pub(crate) fn packet(src: &str, dst: &str, protocol: Protocol, payload: &[u8]) -> Vec<u8> {
    match (ip(src), ip(dst)) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let mut bytes = vec![0; 20 + payload.len()];
            ipv4::Header::new(src, dst, protocol, 64, payload.len() as u16).emit(&mut bytes);
            bytes[20..].copy_from_slice(payload);
            bytes
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let mut bytes = vec![0; 40 + payload.len()];
            ipv6::Header::new(src, dst, protocol, 64, payload.len() as u16).emit(&mut bytes);
            bytes[40..].copy_from_slice(payload);
            bytes
        }
        _ => panic!("one family"),
    }
}

fn icmp_v4(src: &str, dst: &str, message: &icmpv4::Message<'_>) -> Vec<u8> {
    let mut payload = vec![0; message.wire_len()];
    message.emit(&mut payload);
    packet(src, dst, Protocol::ICMP, &payload)
}

fn icmp_v6(src: &str, dst: &str, message: &icmpv6::Message<'_>) -> Vec<u8> {
    let (IpAddr::V6(s), IpAddr::V6(d)) = (ip(src), ip(dst)) else { panic!("IPv6") };
    let mut payload = vec![0; message.wire_len()];
    let sum = pseudo_v6(s, d, Protocol::ICMPV6, payload.len() as u32);
    message.emit(&mut payload, sum);
    packet(src, dst, Protocol::ICMPV6, &payload)
}

#[test]
fn ping_is_answered_in_both_families_and_sizes() {
    for dst in ["10.0.0.2", "2001:db8::2"] {
        let mut lan = Lan::pair();
        for (seq, len) in [(1, 0), (2, 56), (3, 1_400), (4, 9_000)] {
            assert!(lan.hosts[0].ping(lan.now, ip(dst), 77, seq, &vec![3; len]));
            lan.settle();
            let expected = EchoReply { src: ip(dst), ident: 77, seq, len, hop_limit: 64 };
            assert_eq!(lan.hosts[0].poll_echo(), Some(expected), "{dst} {len}");
        }
        assert_eq!(lan.hosts[0].poll_echo(), None);
    }
    let mut lan = Lan::pair();
    assert!(lan.hosts[0].ping(lan.now, ip("127.0.0.1"), 1, 1, b"me"));
    lan.settle();
    assert!(lan.hosts[0].poll_echo().is_some() && lan.passed.is_empty());
    assert!(!lan.hosts[0].ping(lan.now, ip("192.0.2.1"), 1, 1, b""), "no way there");
}

#[test]
fn echo_to_broadcast_is_ignored_and_to_ipv6_groups_answered_from_an_address_of_ours() {
    let mut lan = Lan::tunnel();
    let request = icmpv4::Message::EchoRequest { ident: 1, seq: 1, data: b"" };
    for dst in ["10.0.0.255", "224.0.0.1", "255.255.255.255"] {
        lan.inject(0, &icmp_v4("10.0.0.9", dst, &request));
    }
    assert!(lan.passed.is_empty());
    let request = icmpv6::Message::EchoRequest { ident: 1, seq: 1, data: b"" };
    lan.inject(0, &icmp_v6("2001:db8::9", "ff02::1", &request));
    let reply = lan.passed.pop().unwrap().1;
    assert_eq!(ipv6::Packet::new(&reply).unwrap().src(), ip("2001:db8::1"));
}

/// What leaves when one packet comes in.
fn answer_to(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut lan = Lan::tunnel();
    lan.inject(0, bytes);
    assert!(lan.passed.len() <= 1);
    lan.passed.pop().map(|(_, frame)| frame)
}

#[test]
fn which_packets_get_an_error_and_which_never() {
    let udp = [0, 9, 0, 9, 0, 8, 0, 0];
    let tell = |bytes: &[u8]| {
        answer_to(bytes).map(|reply| {
            let (packet, at) = if reply[0] >> 4 == 4 { (&reply[20..], 20) } else { (&reply[40..], 40) };
            let _ = at;
            (packet[0], packet[1])
        })
    };
    let unknown = Protocol(200);
    let echo = icmpv4::Message::EchoRequest { ident: 0, seq: 0, data: b"" };
    let error =
        icmpv4::Message::TimeExceeded { code: 0, original: &packet("10.0.0.1", "10.0.0.9", unknown, &udp) };
    let rows = [
        ("port", packet("10.0.0.9", "10.0.0.1", Protocol::UDP, &udp), Some((3, 3))),
        ("protocol", packet("10.0.0.9", "10.0.0.1", unknown, &[0; 8]), Some((3, 2))),
        ("protocol 6", packet("2001:db8::9", "2001:db8::1", unknown, &[0; 8]), Some((4, 1))),
        ("to broadcast", packet("10.0.0.9", "10.0.0.255", Protocol::UDP, &udp), None),
        ("to a group", packet("10.0.0.9", "224.0.0.1", Protocol::UDP, &udp), None),
        ("from a group", packet("224.0.0.5", "10.0.0.1", Protocol::UDP, &udp), None),
        ("from nobody", packet("0.0.0.0", "10.0.0.1", Protocol::UDP, &udp), None),
        ("from broadcast", packet("10.0.0.255", "10.0.0.1", Protocol::UDP, &udp), None),
        ("from ourselves", packet("10.0.0.1", "10.0.0.1", Protocol::UDP, &udp), None),
        ("from loopback", packet("127.0.0.1", "10.0.0.1", Protocol::UDP, &udp), None),
        ("to loopback", packet("10.0.0.9", "127.0.0.1", Protocol::UDP, &udp), None),
        ("to a stranger", packet("10.0.0.9", "10.0.0.77", Protocol::UDP, &udp), None),
        ("mapped", packet("::ffff:10.0.0.9", "2001:db8::1", Protocol::UDP, &udp), None),
        ("an error", icmp_v4("10.0.0.9", "10.0.0.1", &error), None),
        ("a question", icmp_v4("10.0.0.9", "10.0.0.1", &echo), Some((0, 0))),
    ];
    for (what, bytes, expected) in rows {
        assert_eq!(tell(&bytes), expected, "{what}");
    }
    // An error quotes as much of the packet as fits 576 octets (RFC 1812 4.3.2.3), or 1,280 (RFC 4443 2.4 c).
    let long = [&[0, 9, 0, 9, 5, 0, 0, 0][..], &[7; 1_272]].concat();
    assert_eq!(answer_to(&packet("10.0.0.9", "10.0.0.1", Protocol::UDP, &long)).unwrap().len(), 576);
    let reply = answer_to(&packet("2001:db8::9", "2001:db8::1", unknown, &[0; 1_400])).unwrap();
    assert_eq!(reply.len(), 1_280);
    let pointer = u32::from_be_bytes(reply[44..48].try_into().unwrap());
    assert_eq!(pointer, 6, "the next header field of the fixed header");
}

#[test]
fn ipv6_options_are_obeyed() {
    // RFC 8200 4.2: the two upper bits of an unknown option say what happens; here in a destination options header.
    let with_option = |kind: u8, dst| {
        let header = [Protocol::NO_NEXT_HEADER.0, 0, kind, 4, 0, 0, 0, 0];
        packet("2001:db8::9", dst, Protocol::DESTINATION_OPTIONS, &header)
    };
    for (kind, dst, answered) in [
        (0x1e, "2001:db8::1", false),
        (0x5e, "2001:db8::1", false),
        (0x9e, "2001:db8::1", true),
        (0xde, "2001:db8::1", true),
        (0x9e, "ff02::1", true),
        (0xde, "ff02::1", false),
    ] {
        let reply = answer_to(&with_option(kind, dst));
        assert_eq!(reply.is_some(), answered, "{kind:#x} {dst}");
        if let Some(reply) = reply {
            assert_eq!((reply[40], reply[41]), (4, 2));
            assert_eq!(u32::from_be_bytes(reply[44..48].try_into().unwrap()), 42, "the option's place");
        }
    }
}

#[test]
fn errors_obey_their_rate() {
    let mut lan = Lan::tunnel();
    let udp = [0, 9, 0, 9, 0, 8, 0, 0];
    for _ in 0..100 {
        lan.inject(0, &packet("10.0.0.9", "10.0.0.1", Protocol::UDP, &udp));
    }
    assert_eq!(lan.passed.len(), 10, "what one destination gets at once");
    assert_eq!(lan.dropped(0, DropReason::IcmpRateLimited), 90);
    lan.run(Duration::from_secs(1));
    lan.inject(0, &packet("10.0.0.9", "10.0.0.1", Protocol::UDP, &udp));
    assert_eq!(lan.passed.len(), 11);
    let quiet = Config {
        icmp: stack::config::IcmpConfig { unreachable: false, ..Default::default() },
        ..point_to_point(&["10.0.0.1/24"])
    };
    let mut lan = Lan::new(&[quiet]);
    lan.inject(0, &packet("10.0.0.9", "10.0.0.1", Protocol::UDP, &udp));
    assert!(lan.passed.is_empty());
}

#[test]
fn a_smaller_path_is_believed_when_it_quotes_what_we_sent() {
    for v6 in [false, true] {
        let (local, remote) =
            if v6 { ("[2001:db8::1]:1", "[2001:db8::2]:2") } else { ("10.0.0.1:1", "10.0.0.2:2") };
        let mut lan = Lan::tunnel();
        let a = lan.bind(0, local);
        lan.carries = |_, _| false;
        lan.send(0, a, &[7; 1_400], remote);
        let original = lan.passed.pop().unwrap().1;
        let too_big = |original: &[u8]| {
            if v6 {
                let message = icmpv6::Message::PacketTooBig { mtu: 1_300, original };
                icmp_v6("2001:db8::77", "2001:db8::1", &message)
            } else {
                let code = icmpv4::Unreachable::FRAGMENTATION_NEEDED;
                let message = icmpv4::Message::DestinationUnreachable { code, next_hop_mtu: 1_300, original };
                icmp_v4("10.0.0.77", "10.0.0.1", &message)
            }
        };
        let mtu = |lan: &mut Lan| lan.hosts[0].path_mtu(lan.now, at(remote).ip()).unwrap();
        // RFC 5927: a stranger who guesses wrong is not believed.
        let mut foreign = original.clone();
        let port = if v6 { 40 } else { 20 };
        foreign[port] ^= 0x55;
        lan.inject(0, &too_big(&foreign[..original.len().min(500)]));
        assert_eq!((mtu(&mut lan), lan.dropped(0, DropReason::IcmpUnrelated)), (1_500, 1));
        lan.inject(0, &too_big(&original[..original.len().min(500)]));
        assert_eq!(mtu(&mut lan), 1_300);
        // From now on: refused where cutting is forbidden, cut where it is not, probed past where asked.
        let now = lan.now;
        let mut send = |how| {
            let send = UdpSend { fragmentation: Some(how), ..UdpSend::to(at(remote)) };
            lan.hosts[0].udp_send(now, a, &[7; 1_400], &send)
        };
        assert_eq!(send(Fragmentation::Forbid), Err(UdpSendError::MessageTooLong));
        assert_eq!(send(Fragmentation::Allow), Ok(1_400));
        lan.settle();
        assert_eq!(lan.passed.drain(..).count(), 2);
        let probe = UdpSend { fragmentation: Some(Fragmentation::Probe), ..UdpSend::to(at(remote)) };
        lan.hosts[0].udp_send(now, a, &[7; 1_400], &probe).unwrap();
        lan.settle();
        assert_eq!(lan.passed.drain(..).count(), 1);
        lan.run(Duration::from_secs(601));
        assert_eq!(mtu(&mut lan), 1_500, "after ten minutes larger packets are tried again");
    }
}

#[test]
fn unreachables_about_others_are_not_believed() {
    let mut lan = Lan::tunnel();
    let a = lan.bind(0, "10.0.0.1:1");
    lan.hosts[0].udp_connect(a, at("10.0.0.2:2")).unwrap();
    let quote = |src, dst, ports: [u8; 4]| {
        let udp = [ports[0], ports[1], ports[2], ports[3], 0, 8, 0, 0];
        packet(src, dst, Protocol::UDP, &udp)
    };
    let tell = |lan: &mut Lan, original: &[u8]| {
        let code = icmpv4::Unreachable::PORT;
        let message = icmpv4::Message::DestinationUnreachable { code, next_hop_mtu: 0, original };
        lan.inject(0, &icmp_v4("10.0.0.2", "10.0.0.1", &message));
        lan.recv(0, a)
    };
    for original in [
        quote("10.0.0.9", "10.0.0.2", [0, 1, 0, 2]),
        quote("10.0.0.1", "10.0.0.2", [0, 9, 0, 2]),
        quote("10.0.0.1", "10.0.0.2", [0, 1, 0, 9]),
        quote("10.0.0.1", "10.0.0.2", [0, 1, 0, 2])[..24].to_vec(),
        vec![0x45],
        vec![],
    ] {
        assert_eq!(tell(&mut lan, &original), Err(UdpRecvError::WouldBlock), "{original:?}");
    }
    assert_eq!(lan.dropped(0, DropReason::IcmpUnrelated), 6);
    let real = quote("10.0.0.1", "10.0.0.2", [0, 1, 0, 2]);
    assert_eq!(tell(&mut lan, &real), Err(UdpRecvError::ConnectionRefused));
}

#[test]
fn source_routes_and_broken_options_are_refused() {
    let mut lan = Lan::tunnel();
    for options in [[131, 4, 4, 0], [137, 4, 4, 0], [7, 0, 0, 0], [7, 9, 0, 0]] {
        let mut bytes = packet("10.0.0.9", "10.0.0.1", Protocol::UDP, &[&options[..], &[0; 8]].concat());
        bytes[0] = 0x46;
        bytes[10..12].fill(0);
        let sum = wire::checksum::Sum::of(&bytes[..24]).checksum();
        bytes[10..12].copy_from_slice(&sum.to_be_bytes());
        lan.inject(0, &bytes);
    }
    assert_eq!(lan.dropped(0, DropReason::BadOption), 4);
    let mut bytes = packet("10.0.0.9", "10.0.0.1", Protocol::UDP, &[0; 8]);
    bytes[8] ^= 1;
    lan.inject(0, &bytes);
    assert_eq!(lan.dropped(0, DropReason::BadHeaderChecksum), 1);
    assert!(lan.lines(Medium::Ip).is_empty());
    let _ = LINK;
}
