//! Messages by hand and round trips.

use super::*;
use proptest::prelude::*;

fn emitted(message: &Message<'_>) -> Vec<u8> {
    let mut bytes = vec![0xee; message.wire_len()];
    message.emit(&mut bytes);
    bytes
}

#[test]
fn a_solicitation_by_hand() {
    let target: Ipv6Addr = "fe80::2".parse().unwrap();
    let mut bytes = vec![135, 0, 0, 0, 0, 0, 0, 0];
    bytes.extend(target.octets());
    bytes.extend([1, 1, 2, 0, 0, 0, 0, 1]);
    let mac = MacAddr([2, 0, 0, 0, 0, 1]);
    let options = [NdOption::SourceLinkLayer(mac)];
    let message = Message::NeighborSolicitation { target, options: Options::Values(&options) };
    assert_eq!(emitted(&message), bytes);
    let parsed = Message::parse(&bytes).unwrap();
    assert_eq!(parsed, message);
    assert_eq!(
        (parsed.options().source_link_layer(), parsed.options().target_link_layer()),
        (Some(mac), None)
    );
}

#[test]
fn an_advertised_router_by_hand() {
    let mut bytes = vec![134, 0, 0, 0, 64, 0xc0, 0x07, 0x08]; // hop limit 64, M and O, 1800 s
    bytes.extend([0, 0, 0x75, 0x30, 0, 0, 0x03, 0xe8]); // reachable 30 s, retransmit 1 s
    bytes.extend([5, 1, 0, 0, 0, 0, 0x05, 0xdc]); // MTU 1500
    bytes.extend([3, 4, 64, 0xc0, 0, 1, 0x51, 0x80, 0, 0, 0x38, 0x40, 0, 0, 0, 0]); // a day, four hours
    bytes.extend("2001:db8::".parse::<Ipv6Addr>().unwrap().octets());
    let Message::RouterAdvertisement { router, options } = Message::parse(&bytes).unwrap() else {
        panic!("a router advertisement")
    };
    assert_eq!(
        router,
        RouterAdvertisement {
            hop_limit: 64,
            managed: true,
            other_config: true,
            lifetime: Duration::from_secs(1800),
            reachable_time: Duration::from_secs(30),
            retrans_timer: Duration::from_secs(1),
        }
    );
    assert_eq!(options.mtu(), Some(1500));
    let prefix = PrefixInformation {
        prefix_len: 64,
        on_link: true,
        autonomous: true,
        valid_lifetime: 86_400,
        preferred_lifetime: 14_400,
        prefix: "2001:db8::".parse().unwrap(),
    };
    assert_eq!(options.prefixes().collect::<Vec<_>>(), [prefix]);
    let values = [NdOption::Mtu(1500), NdOption::Prefix(prefix)];
    assert_eq!(emitted(&Message::RouterAdvertisement { router, options: Options::Values(&values) }), bytes);
}

/// RFC 4861 4.6: "nodes MUST silently discard a packet that contains an option with length zero"; 6.1 and 7.1 likewise.
#[test]
fn impossible_options_condemn_the_message() {
    let with = |options: &[u8]| {
        let mut bytes = vec![133, 0, 0, 0, 0, 0, 0, 0];
        bytes.extend(options);
        Message::parse(&bytes).map(|m| m.options().iter().count())
    };
    assert_eq!(with(&[]), Ok(0));
    assert_eq!(with(&[1, 1, 2, 0, 0, 0, 0, 1]), Ok(1));
    assert_eq!(with(&[200, 1, 2, 0, 0, 0, 0, 1]), Ok(1), "unknown kinds are ignored");
    assert_eq!(with(&[1, 0, 2, 0, 0, 0, 0, 1]), Err(Malformed::OptionLength));
    assert_eq!(with(&[1, 2, 2, 0, 0, 0, 0, 1]), Err(Malformed::OptionLength));
    assert_eq!(with(&[1]), Err(Malformed::OptionLength));
    assert_eq!(with(&[200, 1, 0, 0, 0, 0, 0, 0].repeat(OPTIONS_MAX)), Ok(OPTIONS_MAX));
    assert_eq!(with(&[200, 1, 0, 0, 0, 0, 0, 0].repeat(OPTIONS_MAX + 1)), Err(Malformed::TooMany));
}

#[test]
fn fixed_parts_cut_short_are_refused() {
    for (kind, len) in [(133, 8), (134, 16), (135, 24), (136, 24), (137, 40)] {
        let mut bytes = vec![0; len];
        bytes[0] = kind;
        assert!(Message::parse(&bytes).is_ok());
        assert_eq!(Message::parse(&bytes[..len - 1]).err(), Some(Malformed::Truncated), "type {kind}");
    }
}

fn any_option() -> impl Strategy<Value = (u8, [u8; 6], u32, u32, [u8; 16], bool, bool)> {
    any::<(u8, [u8; 6], u32, u32, [u8; 16], bool, bool)>()
}

proptest! {
    #[test]
    fn messages_round_trip(
        which in 0u8..5, target: [u8; 16], destination: [u8; 16], flags: (bool, bool, bool), times: (u16, u32, u32),
        options in proptest::collection::vec(any_option(), 0..6), packet in proptest::collection::vec(any::<u8>(), 0..5)
    ) {
        // A redirected header is padded to eight bytes, so only whole words come back as they went.
        let packet: Vec<u8> = packet.iter().flat_map(|b| [*b; 8]).collect();
        let options: Vec<NdOption<'_>> = options.into_iter().map(|(kind, mac, a, b, prefix, on_link, autonomous)| match kind % 5 {
            0 => NdOption::SourceLinkLayer(MacAddr(mac)),
            1 => NdOption::TargetLinkLayer(MacAddr(mac)),
            2 => NdOption::Mtu(a),
            3 => NdOption::RedirectedHeader(&packet),
            _ => NdOption::Prefix(PrefixInformation {
                prefix_len: kind, on_link, autonomous, valid_lifetime: a, preferred_lifetime: b, prefix: prefix.into(),
            }),
        }).collect();
        let options = Options::Values(&options);
        let (target, destination) = (target.into(), destination.into());
        let message = match which {
            0 => Message::RouterSolicitation { options },
            1 => Message::RouterAdvertisement {
                router: RouterAdvertisement {
                    hop_limit: times.0 as u8, managed: flags.0, other_config: flags.1,
                    lifetime: Duration::from_secs(times.0.into()),
                    reachable_time: Duration::from_millis(times.1.into()),
                    retrans_timer: Duration::from_millis(times.2.into()),
                },
                options,
            },
            2 => Message::NeighborSolicitation { target, options },
            3 => Message::NeighborAdvertisement { router: flags.0, solicited: flags.1, override_: flags.2, target, options },
            _ => Message::Redirect { target, destination, options },
        };
        let bytes = emitted(&message);
        prop_assert_eq!(Message::parse(&bytes), Ok(message));
    }
}
