//! Every parser of packets against the same bytes: none panics, loops or reads past the end, and what a parser takes,
//! its writer gives back.

#![no_main]

use wire::checksum::Sum;
use wire::ip::Protocol;
use wire::ipv6::extension::{Start, walk};
use wire::meta::Medium;
use wire::{arp, ethernet, icmpv4, icmpv6, igmp, ipv4, ipv6, mld, ndisc, pretty, tcp, udp};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    link(data);
    internet(data);
    control(data);
    transport(data);
    // The printers take anything, a checked packet or not.
    let _ = pretty::line(Medium::Ip, data).to_string();
    let _ = pretty::line(Medium::Ethernet, data).to_string();
});

fn link(data: &[u8]) {
    if let Ok(packet) = ethernet::Packet::new(data) {
        assert!(packet.payload().len() <= data.len());
        let header = ethernet::Header::parse(&packet);
        let mut again = [0; 64];
        let len = header.emit(&mut again);
        let again = ethernet::Packet::new(&again[..len]).expect("what was written is a header");
        assert_eq!(ethernet::Header::parse(&again), header);
    }
    if let Ok(packet) = arp::Packet::parse(data) {
        let mut again = [0; 64];
        let len = packet.emit(&mut again);
        assert_eq!(arp::Packet::parse(&again[..len]), Ok(packet));
    }
}

fn internet(data: &[u8]) {
    if let Ok(packet) = ipv4::Packet::new(data) {
        assert!(packet.header_len() <= packet.total_len() && packet.total_len() <= data.len());
        assert_eq!(packet.header_len() + packet.payload().len(), packet.total_len());
        assert!(packet.options().count() <= packet.option_bytes().len());
        let _ = (ipv4::Header::parse(&packet), packet.is_source_routed(), packet.checksum_is_valid());
        assert!(ipv4::Packet::quote(data, 576).len() <= 576);
    }
    if let Ok(packet) = ipv6::Packet::new(data) {
        let header = ipv6::Header::parse(&packet);
        let mut again = data[..packet.total_len()].to_vec();
        header.emit(&mut again);
        assert_eq!(ipv6::Header::parse(&ipv6::Packet::new(&again).expect("the same length")), header);
        if let Ok(walk) = packet.walk() {
            assert_eq!(walk.offset + walk.payload.len(), packet.total_len());
        }
    }
    if let Some((next, rest)) = data.split_first() {
        for start in [Start::AfterFixedHeader, Start::Reassembled] {
            if let Ok(walk) = walk(Protocol(*next), rest, start) {
                assert!(walk.payload.len() <= rest.len());
            }
        }
    }
}

fn control(data: &[u8]) {
    if let Ok(message) = icmpv4::Message::parse(data) {
        let mut again = vec![0; message.wire_len()];
        message.emit(&mut again);
        assert_eq!(icmpv4::Message::parse(&again), Ok(message));
    }
    if let Ok(message) = icmpv6::Message::parse_unverified(data) {
        if let icmpv6::Message::Ndisc(message) = &message {
            assert!(message.options().iter().count() <= ndisc::OPTIONS_MAX);
        }
        if let icmpv6::Message::Mld(mld::Message::ReportV2 { records }) = &message {
            assert!(records.iter().count() <= mld::RECORDS_MAX);
        }
        let mut again = vec![0; message.wire_len()];
        message.emit(&mut again, Sum::ZERO);
        assert!(icmpv6::Message::parse(&again, Sum::ZERO).is_ok(), "{message:?} became {again:02x?}");
    }
    if let Ok(message) = igmp::Message::parse(data) {
        let mut again = [0; 64];
        let len = message.emit(&mut again);
        assert_eq!(igmp::Message::parse(&again[..len]), Ok(message));
    }
}

fn transport(data: &[u8]) {
    if let Ok(packet) = udp::Packet::new(data) {
        let _ = (udp::Header::parse(&packet), packet.checksum_is_valid(Sum::ZERO));
        assert!(packet.payload().len() <= data.len());
    }
    if let Ok(packet) = tcp::Packet::new(data) {
        assert_eq!(packet.header_len() + packet.payload().len(), data.len());
        assert!(tcp::OptionWalk::new(packet.option_bytes()).count() <= tcp::MAX_OPTIONS_LEN);
        let header = tcp::Header::parse(&packet);
        let mut again = vec![0; header.header_len()];
        header.emit(&mut again);
        let again = tcp::Packet::new(&again).expect("what was written is a header");
        assert_eq!(tcp::Header::parse(&again), header);
    }
    assert!(tcp::OptionWalk::new(data).count() <= data.len());
}
