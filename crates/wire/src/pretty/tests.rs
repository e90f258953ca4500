//! Lines written by hand from what the packets hold.

use super::*;
use crate::ip::{pseudo_v4, pseudo_v6};
use core::net::{Ipv4Addr, Ipv6Addr};
use tcp::{Flags, SackBlock, TcpOptions, Timestamps};

const A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const B: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

fn v4(protocol: Protocol, payload: &[u8], change: impl Fn(&mut ipv4::Header)) -> Vec<u8> {
    let mut header = ipv4::Header::new(A, B, protocol, 64, payload.len() as u16);
    change(&mut header);
    let mut bytes = vec![0; header.header_len() + payload.len()];
    let at = header.emit(&mut bytes);
    bytes[at..].copy_from_slice(payload);
    bytes
}

fn segment_bytes(header: &tcp::Header, text: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; header.header_len() + text.len()];
    let at = header.emit(&mut bytes);
    bytes[at..].copy_from_slice(text);
    let len = bytes.len() as u16;
    tcp::fill_checksum(&mut bytes, pseudo_v4(A, B, Protocol::TCP, len));
    bytes
}

#[test]
fn segments() {
    let syn = tcp::Header {
        src_port: 40000,
        dst_port: 80,
        seq: 7,
        flags: Flags::SYN,
        window: 64240,
        options: TcpOptions {
            mss: Some(1460),
            window_scale: Some(7),
            sack_permitted: true,
            timestamps: Some(Timestamps { tsval: 9, tsecr: 0 }),
            ..TcpOptions::NONE
        },
        ..tcp::Header::default()
    };
    assert_eq!(
        packet(&v4(Protocol::TCP, &segment_bytes(&syn, b""), |_| {})).to_string(),
        "10.0.0.1:40000 > 10.0.0.2:80 tcp S seq 7 win 64240 len 0 <mss 1460,sackOK,ts 9:0,wscale 7>"
    );
    let data = tcp::Header {
        src_port: 1,
        dst_port: 2,
        seq: u32::MAX,
        ack: 5,
        flags: Flags::ACK | Flags::PSH | Flags::URG,
        urgent: 2,
        options: TcpOptions {
            sack: [SackBlock { left: 3, right: 4 }].into_iter().collect(),
            ..TcpOptions::NONE
        },
        ..tcp::Header::default()
    };
    let mut bytes = v4(Protocol::TCP, &segment_bytes(&data, b"xyz"), |h| h.ecn = Ecn::Ce);
    let line = "10.0.0.1:1 > 10.0.0.2:2 tcp P.U seq 4294967295:2 ack 5 win 0 urg 2 len 3 <sack 3:4>";
    assert_eq!(packet(&bytes).to_string(), format!("{line} CE"));
    *bytes.last_mut().unwrap() ^= 1;
    assert_eq!(packet(&bytes).to_string(), format!("{line} (bad checksum) CE"));
    assert_eq!(packet(&bytes).without_checksums().to_string(), format!("{line} CE"));
}

#[test]
fn datagrams_fragments_and_quotations() {
    let mut datagram = vec![0; 10];
    udp::Header { src_port: 53, dst_port: 4000, payload_len: 2 }.emit(&mut datagram);
    let whole = v4(Protocol::UDP, &datagram, |_| {});
    assert_eq!(
        packet(&whole).to_string(),
        "10.0.0.1:53 > 10.0.0.2:4000 udp len 2",
        "no checksum over IPv4 is fine"
    );
    let fragment = v4(Protocol::UDP, &datagram[..8], |h| {
        (h.more_fragments, h.fragment_offset, h.ident) = (true, 1480, 7);
    });
    assert_eq!(packet(&fragment).to_string(), "10.0.0.1 > 10.0.0.2 udp fragment id 7 offset 1480+ len 8");
    let error = icmpv4::Message::DestinationUnreachable {
        code: icmpv4::Unreachable::PORT,
        next_hop_mtu: 0,
        original: &whole,
    };
    let mut bytes = vec![0; error.wire_len()];
    error.emit(&mut bytes);
    assert_eq!(
        packet(&v4(Protocol::ICMP, &bytes, |_| {})).to_string(),
        "10.0.0.1 > 10.0.0.2 icmp port unreachable for 10.0.0.1 > 10.0.0.2 udp"
    );
}

#[test]
fn neighbours() {
    let arp = arp::Packet {
        operation: arp::Operation::Request,
        sender_mac: ethernet::MacAddr([2, 0, 0, 0, 0, 1]),
        sender_ip: A,
        target_mac: ethernet::MacAddr::UNSPECIFIED,
        target_ip: B,
    };
    let mut frame = vec![0; 42];
    ethernet::Header {
        dst: ethernet::MacAddr::BROADCAST,
        src: arp.sender_mac,
        ethertype: ethernet::EtherType::ARP,
    }
    .emit(&mut frame);
    arp.emit(&mut frame[14..]);
    assert_eq!(
        line(Medium::Ethernet, &frame).to_string(),
        "arp who has 10.0.0.2 tell 10.0.0.1 (02:00:00:00:00:01)"
    );

    let (src, dst): (Ipv6Addr, Ipv6Addr) = ("fe80::1".parse().unwrap(), "ff02::1:ff00:2".parse().unwrap());
    let options = [ndisc::NdOption::SourceLinkLayer(arp.sender_mac)];
    let message = icmpv6::Message::Ndisc(ndisc::Message::NeighborSolicitation {
        target: "fe80::2".parse().unwrap(),
        options: ndisc::Options::Values(&options),
    });
    let len = message.wire_len();
    let mut bytes = vec![0; 40 + len];
    ipv6::Header::new(src, dst, Protocol::ICMPV6, 255, len as u16).emit(&mut bytes);
    message.emit(&mut bytes[40..], pseudo_v6(src, dst, Protocol::ICMPV6, len as u32));
    assert_eq!(
        packet(&bytes).to_string(),
        "fe80::1 > ff02::1:ff00:2 icmp6 who has fe80::2, source 02:00:00:00:00:01"
    );
}

#[test]
fn nonsense_prints_too() {
    assert_eq!(packet(&[]).to_string(), "neither IPv4 nor IPv6, 0 bytes");
    assert_eq!(packet(&[0x45]).to_string(), "unreadable IPv4: shorter than its fixed header, 1 bytes");
    assert_eq!(line(Medium::Ethernet, &[1, 2]).to_string(), "unreadable frame, 2 bytes");
}
