//! Headers and chains by hand, and round trips.

use super::extension::*;
use super::*;
use crate::icmpv6::Problem;
use proptest::prelude::*;

#[test]
fn by_hand() {
    let mut bytes = vec![0x6b, 0x8a, 0xbc, 0xde, 0, 2, 17, 64];
    bytes.extend("fd00::1".parse::<Ipv6Addr>().unwrap().octets());
    bytes.extend("fd00::2".parse::<Ipv6Addr>().unwrap().octets());
    bytes.extend([1, 2, 0xee]); // two bytes of payload, one of padding
    let packet = Packet::new(&bytes).unwrap();
    let header = Header {
        dscp: 0b10_1110, // expedited forwarding: b8 >> 2
        ecn: Ecn::NotEct,
        flow_label: 0xabcde,
        ..Header::new("fd00::1".parse().unwrap(), "fd00::2".parse().unwrap(), Protocol::UDP, 64, 2)
    };
    assert_eq!(Header::parse(&packet), header);
    assert_eq!((packet.payload(), packet.total_len()), (&[1, 2][..], 42));
    let mut out = [0xee; 40];
    header.emit(&mut out);
    assert_eq!(out, bytes[..40]);
}

#[test]
fn lengths_that_lie_are_refused() {
    let mut bytes = [0; 41];
    assert_eq!(Packet::new(&bytes[..39]).err(), Some(Malformed::Truncated));
    assert_eq!(Packet::new(&bytes).err(), Some(Malformed::Version));
    bytes[0] = 0x60;
    bytes[5] = 2;
    assert_eq!(Packet::new(&bytes).err(), Some(Malformed::Length));
    bytes[5] = 1;
    assert!(Packet::new(&bytes).is_ok());
}

/// An eight-byte options header of the given kind holding `option` (up to six bytes, padded with Pad1).
fn with_option(next: Protocol, option: &[u8]) -> Vec<u8> {
    let mut bytes = vec![next.0, 0];
    bytes.extend(option);
    bytes.resize(8, 0);
    bytes
}

const UDP: Protocol = Protocol::UDP;

#[test]
fn a_packet_without_extension_headers_walks_nowhere() {
    let walked = walk(UDP, &[1, 2, 3], Start::AfterFixedHeader).unwrap();
    assert_eq!(
        (walked.protocol, walked.payload, walked.offset, walked.named_at),
        (UDP, &[1, 2, 3][..], 40, 6)
    );
    let nothing = walk(Protocol::NO_NEXT_HEADER, &[1], Start::AfterFixedHeader).unwrap();
    assert_eq!(nothing.protocol, Protocol::NO_NEXT_HEADER);
}

#[test]
fn a_chain_of_all_headers() {
    let bytes = [
        with_option(Protocol::DESTINATION_OPTIONS, &[5, 2, 0, 0]), // hop-by-hop: router alert 0 (MLD)
        with_option(Protocol::ROUTING, &[1, 4, 9, 9, 9, 9]),       // destination options: PadN
        vec![51, 2, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9], // routing, none left
        vec![17, 4, 0, 0, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8], // AH: (4 + 2) words
        vec![7, 7],
    ]
    .concat();
    let walked = walk(Protocol::HOP_BY_HOP, &bytes, Start::AfterFixedHeader).unwrap();
    assert_eq!(
        walked,
        Walk {
            protocol: UDP,
            payload: &[7, 7],
            offset: 40 + 64,
            named_at: 40 + 40,
            fragment: None,
            router_alert: Some(0)
        }
    );
}

#[test]
fn the_two_upper_bits_of_an_unknown_option_decide() {
    let problem = |even_if_multicast| {
        Err(Refusal::Problem { code: Problem::OPTION, pointer: 40 + 3, even_if_multicast })
    };
    let rows = [(0x1e, Ok(UDP)), (0x5e, Err(Refusal::Silent)), (0x9e, problem(true)), (0xde, problem(false))];
    for (kind, expected) in rows {
        // A Pad1 before the option, so that the pointer has something to count.
        let bytes = with_option(UDP, &[0, kind, 1, 0]);
        for header in [Protocol::HOP_BY_HOP, Protocol::DESTINATION_OPTIONS] {
            let walked = walk(header, &bytes, Start::AfterFixedHeader).map(|w| w.protocol);
            assert_eq!(walked, expected, "{header} option {kind:#x}");
        }
    }
}

#[test]
fn hop_by_hop_stands_first_or_not_at_all() {
    let late = [with_option(Protocol::HOP_BY_HOP, &[]), with_option(UDP, &[])].concat();
    let refused = Refusal::Problem { code: Problem::NEXT_HEADER, pointer: 40, even_if_multicast: false };
    assert_eq!(walk(Protocol::DESTINATION_OPTIONS, &late, Start::AfterFixedHeader), Err(refused));
    let reassembled = Refusal::Problem { code: Problem::NEXT_HEADER, pointer: 6, even_if_multicast: false };
    let one = with_option(UDP, &[]);
    assert_eq!(walk(Protocol::HOP_BY_HOP, &one, Start::Reassembled), Err(reassembled));
}

#[test]
fn routing_with_segments_left_is_refused_at_its_type() {
    let bytes = [17, 0, 0, 1, 0, 0, 0, 0];
    let refused = Refusal::Problem { code: Problem::HEADER_FIELD, pointer: 42, even_if_multicast: false };
    assert_eq!(walk(Protocol::ROUTING, &bytes, Start::AfterFixedHeader), Err(refused));
    let over = [17, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(walk(Protocol::ROUTING, &over, Start::AfterFixedHeader).map(|w| w.protocol), Ok(UDP));
}

#[test]
fn a_fragment_header_ends_the_walk() {
    let bytes = [vec![17, 0, 0x05, 0xa9, 0, 0, 0, 7], vec![1, 2, 3]].concat(); // offset 1448, more, ident 7
    let walked = walk(Protocol::FRAGMENT, &bytes, Start::AfterFixedHeader).unwrap();
    let fragment = Fragment { next_header: UDP, offset: 1448, more: true, ident: 7 };
    assert_eq!(walked.fragment, Some(fragment));
    assert_eq!((walked.payload, walked.offset, walked.named_at), (&[1, 2, 3][..], 48, 40));
    assert!(!fragment.is_atomic());
    assert_eq!(walk(Protocol::FRAGMENT, &bytes, Start::Reassembled), Err(Refusal::Silent));
}

#[test]
fn chains_and_headers_have_bounds() {
    let chain = |n: usize| {
        let mut bytes = with_option(Protocol::DESTINATION_OPTIONS, &[]).repeat(n - 1);
        bytes.extend(with_option(UDP, &[]));
        walk(Protocol::DESTINATION_OPTIONS, &bytes, Start::AfterFixedHeader).map(|w| w.protocol)
    };
    assert_eq!(chain(HEADERS_MAX), Ok(UDP));
    assert_eq!(chain(HEADERS_MAX + 1), Err(Refusal::TooMany));
    let options = |n: usize| {
        let mut bytes = vec![17, 3];
        bytes.extend([0x1e, 0].repeat(n));
        bytes.resize(32, 0);
        walk(Protocol::DESTINATION_OPTIONS, &bytes, Start::AfterFixedHeader).map(|w| w.protocol)
    };
    assert_eq!(options(OPTIONS_MAX), Ok(UDP));
    assert_eq!(options(OPTIONS_MAX + 1), Err(Refusal::TooMany));
}

#[test]
fn headers_cut_short_are_refused() {
    let whole = with_option(UDP, &[0x1e, 4, 0, 0, 0, 0]);
    for len in 0..8 {
        let walked = walk(Protocol::DESTINATION_OPTIONS, &whole[..len], Start::AfterFixedHeader);
        assert_eq!(walked, Err(Refusal::Truncated), "{len} bytes");
    }
    let lying = with_option(UDP, &[0x1e, 5]);
    assert_eq!(
        walk(Protocol::DESTINATION_OPTIONS, &lying, Start::AfterFixedHeader),
        Err(Refusal::Truncated),
        "an option past its header"
    );
}

#[test]
fn a_router_alert_reads_back() {
    let mut bytes = [0xee; 8];
    emit_router_alert(Protocol::ICMPV6, &mut bytes);
    let walked = walk(Protocol::HOP_BY_HOP, &bytes, Start::AfterFixedHeader).unwrap();
    assert_eq!((walked.protocol, walked.router_alert), (Protocol::ICMPV6, Some(0)));
}

proptest! {
    #[test]
    fn headers_round_trip(
        dscp in 0u8..64, ecn in 0u8..4, flow_label in 0u32..1 << 20, next: u8, hop_limit: u8, src: [u8; 16], dst: [u8; 16],
        payload_len in 0u16..100
    ) {
        let header = Header {
            dscp, ecn: Ecn::from_bits(ecn), flow_label, next_header: Protocol(next), hop_limit,
            src: src.into(), dst: dst.into(), payload_len,
        };
        let mut bytes = vec![0xee; 40 + usize::from(payload_len)];
        header.emit(&mut bytes);
        prop_assert_eq!(Header::parse(&Packet::new(&bytes).unwrap()), header);
    }

    #[test]
    fn fragments_round_trip(next: u8, offset in 0u16..8192, more: bool, ident: u32) {
        let fragment = Fragment { next_header: Protocol(next), offset: offset << 3, more, ident };
        let mut bytes = [0xee; 8];
        fragment.emit(&mut bytes);
        prop_assert_eq!(walk(Protocol::FRAGMENT, &bytes, Start::AfterFixedHeader).unwrap().fragment, Some(fragment));
    }
}
