use super::*;
use proptest::prelude::*;
use tcp::Unreachable as Why;

/// A packet of ours as an error would quote it.
fn packet(src: &str, dst: &str, protocol: Protocol, transport: &[u8]) -> Vec<u8> {
    match (src.parse().unwrap(), dst.parse().unwrap()) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let mut bytes = vec![0; 20];
            ipv4::Header::new(src, dst, protocol, 64, transport.len() as u16).emit(&mut bytes);
            bytes.extend_from_slice(transport);
            bytes
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let mut bytes = vec![0; 40];
            ipv6::Header::new(src, dst, protocol, 64, transport.len() as u16).emit(&mut bytes);
            bytes.extend_from_slice(transport);
            bytes
        }
        _ => panic!("one family"),
    }
}

#[test]
fn a_quotation_needs_eight_octets_of_transport_and_no_more() {
    let transport: Vec<u8> = (1..=20).collect();
    for (src, dst, header) in [("10.0.0.1", "10.0.0.2", 20), ("2001:db8::1", "2001:db8::2", 40)] {
        let whole = packet(src, dst, Protocol::TCP, &transport);
        for len in 0..whole.len() {
            let quoted = Quoted::parse(&whole[..len]);
            assert_eq!(quoted.is_some(), len >= header + 8, "{len}");
        }
        let quoted = Quoted::parse(&whole[..header + 8]).unwrap();
        assert_eq!((quoted.src.to_string(), quoted.dst.to_string()), (src.to_owned(), dst.to_owned()));
        assert_eq!((quoted.ports(), quoted.protocol), ((0x0102, 0x0304), Protocol::TCP));
        assert_eq!(quoted.packet_len as usize, whole.len());
    }
}

#[test]
fn a_later_fragment_names_no_ports() {
    let mut bytes = packet("10.0.0.1", "10.0.0.2", Protocol::UDP, &[0; 8]);
    bytes[7] = 1;
    assert_eq!(Quoted::parse(&bytes), None);
    let fragment = extension::Fragment { next_header: Protocol::UDP, offset: 8, more: false, ident: 1 };
    let mut transport = vec![0; 24];
    fragment.emit(&mut transport);
    let later = packet("2001:db8::1", "2001:db8::2", Protocol::FRAGMENT, &transport);
    assert_eq!(Quoted::parse(&later), None);
    extension::Fragment { offset: 0, more: true, ..fragment }.emit(&mut transport);
    let first = packet("2001:db8::1", "2001:db8::2", Protocol::FRAGMENT, &transport);
    assert_eq!(Quoted::parse(&first).unwrap().protocol, Protocol::UDP);
}

#[test]
fn what_each_code_means_to_a_transport() {
    let v4 = |code| {
        let code = icmpv4::Unreachable(code);
        verdict_v4(&icmpv4::Message::DestinationUnreachable { code, next_hop_mtu: 1_400, original: b"" })
    };
    let rows = [
        (0, Verdict::Unreachable(Why::Network)),
        (1, Verdict::Unreachable(Why::Host)),
        (2, Verdict::Unreachable(Why::Protocol)),
        (3, Verdict::Unreachable(Why::Port)),
        (4, Verdict::TooBig(1_400)),
        (5, Verdict::Unreachable(Why::Network)),
        (6, Verdict::Unreachable(Why::Network)),
        (7, Verdict::Unreachable(Why::Host)),
        (9, Verdict::Unreachable(Why::Prohibited)),
        (10, Verdict::Unreachable(Why::Prohibited)),
        (11, Verdict::Unreachable(Why::Network)),
        (12, Verdict::Unreachable(Why::Host)),
        (13, Verdict::Unreachable(Why::Prohibited)),
    ];
    for (code, expected) in rows {
        assert_eq!(v4(code).map(|(verdict, _)| verdict), Some(expected), "code {code}");
    }
    let v6 = |code| {
        let code = icmpv6::Unreachable(code);
        verdict_v6(&icmpv6::Message::DestinationUnreachable { code, original: b"" })
    };
    let rows =
        [(0, Why::Network), (1, Why::Prohibited), (3, Why::Host), (4, Why::Port), (5, Why::Prohibited)];
    for (code, expected) in rows {
        assert_eq!(v6(code).map(|(verdict, _)| verdict), Some(Verdict::Unreachable(expected)), "code {code}");
    }
    // RFC 1122 3.2.2.2, 3.2.2.3, RFC 6633: neither redirects nor source quench reach a transport.
    let redirect = icmpv4::Message::Redirect { code: 1, gateway: Ipv4Addr::LOCALHOST, original: b"" };
    assert_eq!(verdict_v4(&redirect), None);
    assert_eq!(verdict_v4(&icmpv4::Message::Other { kind: 4, code: 0 }), None);
}

#[test]
fn errors_about_errors_are_recognised_even_when_cut_short() {
    let icmp = |kind| packet("10.0.0.1", "10.0.0.2", Protocol::ICMP, &[kind, 0, 0, 0, 0, 0, 0, 0]);
    for (kind, is_error) in
        [(0, false), (3, true), (4, true), (5, true), (8, false), (11, true), (12, true), (99, true)]
    {
        assert_eq!(is_about_an_error(&icmp(kind)), is_error, "type {kind}");
    }
    let icmp6 = |kind| packet("2001:db8::1", "2001:db8::2", Protocol::ICMPV6, &[kind, 0, 0, 0, 0, 0, 0, 0]);
    for (kind, is_error) in [(1, true), (2, true), (127, true), (128, false), (129, false), (135, false)] {
        assert_eq!(is_about_an_error(&icmp6(kind)), is_error, "type {kind}");
    }
    let long = packet("10.0.0.1", "10.0.0.2", Protocol::UDP, &[0; 1_000]);
    assert!(!is_about_an_error(&long[..100]));
    assert!(is_about_an_error(&[]) && is_about_an_error(&[0x45]) && is_about_an_error(&[0x60; 30]));
}

proptest! {
    #[test]
    fn any_octets_can_be_quoted(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
        if let Some(quoted) = Quoted::parse(&bytes) {
            let _ = quoted.ports();
            prop_assert!(quoted.transport.len() >= 8);
        }
        let _ = is_about_an_error(&bytes);
    }
}
