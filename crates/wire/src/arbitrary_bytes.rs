//! Every parser against arbitrary bytes: none may panic, loop or read past the end. The same doors that fuzz targets use, with
//! bytes that are random, and bytes that are almost right (valid packets, damaged).

use crate::meta::Medium;
use crate::{arp, ethernet, icmpv4, icmpv6, igmp, ipv4, ipv6, mld, ndisc, pretty, tcp, udp};
use proptest::prelude::*;

/// Opens every door with the same bytes.
fn read_everything(bytes: &[u8]) {
    if let Ok(p) = ethernet::Packet::new(bytes) {
        let _ = (ethernet::Header::parse(&p), p.payload(), p.vlan());
    }
    let _ = arp::Packet::parse(bytes);
    if let Ok(p) = ipv4::Packet::new(bytes) {
        let _ = (ipv4::Header::parse(&p), p.is_source_routed(), p.checksum_is_valid(), p.pseudo());
        assert!(p.total_len() <= bytes.len());
    }
    if let Ok(p) = ipv6::Packet::new(bytes) {
        let _ = ipv6::Header::parse(&p);
        if let Ok(walk) = p.walk() {
            assert_eq!(walk.offset + walk.payload.len(), p.total_len());
        }
    }
    for next in 0..=255 {
        for start in [ipv6::extension::Start::AfterFixedHeader, ipv6::extension::Start::Reassembled] {
            let _ = ipv6::extension::walk(crate::ip::Protocol(next), bytes, start);
        }
    }
    let _ = icmpv4::Message::parse(bytes);
    if let Ok(message) = icmpv6::Message::parse_unverified(bytes) {
        if let icmpv6::Message::Ndisc(m) = message {
            assert!(m.options().iter().count() <= ndisc::OPTIONS_MAX);
        }
        if let icmpv6::Message::Mld(mld::Message::ReportV2 { records }) = message {
            assert!(records.iter().count() <= mld::RECORDS_MAX);
        }
        let mut out = vec![0; message.wire_len()];
        message.emit(&mut out, crate::checksum::Sum::ZERO);
    }
    let _ = igmp::Message::parse(bytes);
    if let Ok(p) = udp::Packet::new(bytes) {
        let _ = (udp::Header::parse(&p), p.checksum_is_valid(crate::checksum::Sum::ZERO));
    }
    if let Ok(p) = tcp::Packet::new(bytes) {
        let header = tcp::Header::parse(&p);
        assert!(tcp::OptionWalk::new(p.option_bytes()).count() <= tcp::MAX_OPTIONS_LEN);
        let mut out = vec![0; header.header_len()];
        header.emit(&mut out);
    }
    let _ = tcp::OptionWalk::new(bytes).count();
    let _ = tcp::TcpOptions::parse(bytes);
    let _ = pretty::line(Medium::Ip, bytes).to_string();
    let _ = pretty::line(Medium::Ethernet, bytes).to_string();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn random_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..160)) {
        read_everything(&bytes);
    }

    /// Random bytes rarely get past the first check, so the first checks are made to pass.
    #[test]
    fn plausible_bytes(mut bytes in proptest::collection::vec(any::<u8>(), 60..160), v6: bool, upper: u8, kind: u8) {
        let len = bytes.len();
        const UPPER: [u8; 9] = [0, 6, 17, 1, 58, 2, 43, 44, 60];
        let upper = UPPER[usize::from(upper) % UPPER.len()];
        let start = if v6 {
            bytes[0] = 0x60;
            bytes[4..6].copy_from_slice(&((len - 40) as u16).to_be_bytes());
            bytes[6] = upper;
            40
        } else {
            bytes[0] = 0x45;
            bytes[2..4].copy_from_slice(&(len as u16).to_be_bytes());
            bytes[6..8].fill(0);
            bytes[9] = upper;
            20
        };
        if upper == 58 { bytes[start] = 128 + kind % 16; }
        if upper == 6 { bytes[start + 12] = 0x50 | kind << 5; }
        read_everything(&bytes);
        read_everything(&bytes[start..]);
    }
}
