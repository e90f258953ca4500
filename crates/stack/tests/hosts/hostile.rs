//! Arbitrary and nearly valid frames: a host neither panics nor grows, and two equal lives are equal, octet for octet.

use proptest::prelude::*;
use stack::hostile::live;

/// A script for [`live`] from frames with their leading octet.
fn script(frames: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut script = Vec::new();
    for (how, frame) in frames {
        script.push(*how);
        script.extend_from_slice(&(frame.len() as u16).to_le_bytes());
        script.extend_from_slice(frame);
    }
    script
}

/// Packets that pass the outer checks more often than noise does: a header with the right version, addresses and length, then noise.
fn nearly_valid() -> impl Strategy<Value = (u8, Vec<u8>)> {
    let protocol = prop_oneof![
        Just(0u8),
        Just(1),
        Just(2),
        Just(6),
        Just(17),
        Just(43),
        Just(44),
        Just(58),
        Just(60),
        any::<u8>()
    ];
    (
        any::<u8>(),
        any::<bool>(),
        protocol,
        any::<u16>(),
        any::<bool>(),
        proptest::collection::vec(any::<u8>(), 0..200),
    )
        .prop_map(|(how, v6, protocol, fragment, to_group, noise)| {
            let ethernet = how & 1 == 1;
            let mut packet = if v6 {
                let mut p = vec![0x60, 0, 0, 0];
                p.extend_from_slice(&(noise.len() as u16).to_be_bytes());
                p.extend_from_slice(&[protocol, if fragment & 1 == 0 { 255 } else { 1 }]);
                let (src, dst): (std::net::Ipv6Addr, std::net::Ipv6Addr) = (
                    if fragment & 2 == 0 { "fe80::9" } else { "2001:db8::9" }.parse().unwrap(),
                    if to_group {
                        "ff02::1"
                    } else if ethernet {
                        "2001:db8:1::1"
                    } else {
                        "2001:db8::1"
                    }
                    .parse()
                    .unwrap(),
                );
                p.extend_from_slice(&src.octets());
                p.extend_from_slice(&dst.octets());
                p.extend_from_slice(&noise);
                if protocol == 58 && noise.len() >= 4 {
                    p[42..44].fill(0);
                    let sum = wire::ip::pseudo_v6(src, dst, wire::ip::Protocol::ICMPV6, noise.len() as u32);
                    let sum = sum.add_bytes(&p[40..]).checksum();
                    p[42..44].copy_from_slice(&sum.to_be_bytes());
                }
                p
            } else {
                let mut p = vec![0x45, 0];
                p.extend_from_slice(&((20 + noise.len()) as u16).to_be_bytes());
                p.extend_from_slice(&[0, 7]);
                p.extend_from_slice(&(fragment & 0x20ff).to_be_bytes());
                p.extend_from_slice(&[64, protocol, 0, 0, 10, 0, u8::from(ethernet), 9]);
                p.extend_from_slice(&if to_group { [224, 0, 0, 1] } else { [10, 0, u8::from(ethernet), 1] });
                let sum = wire::checksum::Sum::of(&p).checksum();
                p[10..12].copy_from_slice(&sum.to_be_bytes());
                p.extend_from_slice(&noise);
                p
            };
            if ethernet {
                let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 9, 9, 9, 9, 9];
                if to_group {
                    frame[..6].fill(0xff);
                }
                frame.extend_from_slice(if v6 { &[0x86, 0xdd] } else { &[8, 0] });
                frame.append(&mut packet);
                packet = frame;
            }
            (how, packet)
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn noise(script in proptest::collection::vec(any::<u8>(), 0..4_000)) {
        live(&script, 1);
    }

    #[test]
    fn nearly_valid_packets(frames in proptest::collection::vec(nearly_valid(), 0..60)) {
        let script = script(&frames);
        prop_assert_eq!(live(&script, 1), live(&script, 1), "the same life twice");
    }
}

#[test]
fn nearly_valid_packets_do_get_answers() {
    // The generator would be worthless if nothing it makes came past the first door.
    let echo = {
        let mut payload = vec![0; 16];
        wire::icmpv4::Message::EchoRequest { ident: 1, seq: 1, data: &[0; 8] }.emit(&mut payload);
        crate::icmp::packet("10.0.0.9", "10.0.0.1", wire::ip::Protocol::ICMP, &payload)
    };
    let sent = live(&script(&[(0, echo)]), 1);
    assert!(sent.iter().any(|frame| frame.first() == Some(&0x45) && frame.get(20) == Some(&0)), "{sent:?}");
}
