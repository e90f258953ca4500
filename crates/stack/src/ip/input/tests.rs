use super::*;
use crate::config::{Config, InterfaceConfig};
use crate::frame::Capabilities;
use crate::random::Secret;
use tcp::Instant;
use wire::ethernet::MacAddr;

const TUNNEL: InterfaceId = InterfaceId(0);
const LINK: InterfaceId = InterfaceId(1);
const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

fn ip() -> Ip {
    let prefix = |text: &str| text.parse().unwrap();
    let tunnel = InterfaceConfig { any_address: true, ..InterfaceConfig::ip(Capabilities::default()) };
    let link =
        InterfaceConfig { dad_transmits: 0, ..InterfaceConfig::ethernet(Capabilities::default(), MAC) };
    let link = link.with_address(prefix("10.0.0.1/24")).with_address(prefix("fe80::1/64"));
    let config = Config { interfaces: vec![tunnel, link], ..Config::default() };
    Ip::new(&config, &Secret::from_seed(1), Instant::ZERO).unwrap()
}

fn packet(src: &str, dst: &str) -> Vec<u8> {
    match (src.parse().unwrap(), dst.parse().unwrap()) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let mut bytes = vec![0; 28];
            ipv4::Header::new(src, dst, Protocol::UDP, 64, 8).emit(&mut bytes);
            bytes
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let mut bytes = vec![0; 48];
            ipv6::Header::new(src, dst, Protocol::UDP, 64, 8).emit(&mut bytes);
            bytes
        }
        _ => panic!("one family"),
    }
}

fn framed(dst: MacAddr, ethertype: EtherType, packet: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; 14];
    ethernet::Header { dst, src: MacAddr([2, 0, 0, 0, 0, 9]), ethertype }.emit(&mut frame);
    frame.extend_from_slice(packet);
    frame
}

fn verdict(ip: &Ip, id: InterfaceId, bytes: &[u8]) -> Result<Delivery, DropReason> {
    match ip.classify(id, &RxFrame { bytes, meta: RxMeta::default() }) {
        Arrival::Whole(whole) => Ok(whole.meta.delivery),
        Arrival::Dropped(reason) => Err(reason),
        other => panic!("{other:?}"),
    }
}

#[test]
fn addresses_at_the_door() {
    use Delivery::{Broadcast, Multicast, Unicast};
    use DropReason::{MartianDestination, MartianSource, NotForThisHost};
    let ip = ip();
    let rows = [
        ("10.0.0.9", "10.0.0.1", Ok(Unicast)),
        ("10.0.0.9", "10.0.0.2", Err(NotForThisHost)),
        ("10.0.0.9", "10.0.0.255", Ok(Broadcast)),
        ("10.0.0.9", "255.255.255.255", Ok(Broadcast)),
        ("10.0.0.9", "224.0.0.1", Ok(Multicast)),
        ("10.0.0.9", "224.0.0.9", Err(NotForThisHost)),
        ("10.0.0.9", "0.0.0.0", Err(MartianDestination)),
        ("10.0.0.9", "127.0.0.1", Err(MartianDestination)),
        ("0.0.0.0", "10.0.0.1", Err(MartianSource)),
        ("127.0.0.1", "10.0.0.1", Err(MartianSource)),
        ("240.0.0.1", "10.0.0.1", Err(MartianSource)),
        ("255.255.255.255", "10.0.0.1", Err(MartianSource)),
        ("10.0.0.255", "10.0.0.1", Err(MartianSource)),
        ("224.0.0.1", "10.0.0.1", Err(MartianSource)),
        ("10.0.0.1", "10.0.0.1", Err(MartianSource)),
        ("fe80::9", "fe80::1", Ok(Unicast)),
        ("fe80::9", "fe80::2", Err(NotForThisHost)),
        ("fe80::9", "ff02::1", Ok(Multicast)),
        ("fe80::9", "ff02::1:ff00:1", Ok(Multicast)),
        ("fe80::9", "ff02::1:ff00:2", Err(NotForThisHost)),
        ("fe80::9", "::", Err(MartianDestination)),
        ("fe80::9", "::1", Err(MartianDestination)),
        ("::1", "fe80::1", Err(MartianSource)),
        ("::", "fe80::1", Err(MartianSource)),
        ("ff02::1", "fe80::1", Err(MartianSource)),
        ("::ffff:10.0.0.9", "fe80::1", Err(MartianSource)),
        ("fe80::9", "::ffff:10.0.0.1", Err(MartianDestination)),
        ("fe80::1", "fe80::1", Err(MartianSource)),
    ];
    for (src, dst, expected) in rows {
        let ethertype = if src.contains(':') { EtherType::IPV6 } else { EtherType::IPV4 };
        let frame = framed(MAC, ethertype, &packet(src, dst));
        assert_eq!(verdict(&ip, LINK, &frame), expected, "{src} > {dst}");
    }
}

#[test]
fn a_tunnels_end_takes_any_host_but_no_nonsense() {
    let ip = ip();
    for (dst, expected) in [
        ("198.51.100.1", Ok(Delivery::Unicast)),
        ("127.0.0.1", Err(DropReason::MartianDestination)),
        ("240.0.0.1", Err(DropReason::NotForThisHost)),
    ] {
        assert_eq!(verdict(&ip, TUNNEL, &packet("10.9.9.9", dst)), expected, "{dst}");
    }
    assert_eq!(verdict(&ip, TUNNEL, &packet("2001:db8::9", "2001:db8::77")), Ok(Delivery::Unicast));
}

#[test]
fn link_headers_at_the_door() {
    let ip = ip();
    let whole = packet("10.0.0.9", "10.0.0.1");
    let rows = [
        (MacAddr::BROADCAST, EtherType::IPV4, DropReason::NotForThisLink),
        (MacAddr([2, 0, 0, 0, 0, 7]), EtherType::IPV4, DropReason::NotForThisLink),
        (MAC, EtherType::IPV6, DropReason::Malformed),
        (MAC, EtherType(0x88cc), DropReason::UnknownProtocol),
    ];
    for (dst, ethertype, reason) in rows {
        assert_eq!(verdict(&ip, LINK, &framed(dst, ethertype, &whole)), Err(reason), "{dst} {ethertype:?}");
    }
    let tagged = [&framed(MAC, EtherType::VLAN, &[])[..], &[0, 5, 8, 0], &whole].concat();
    assert_eq!(verdict(&ip, LINK, &tagged), Err(DropReason::NotForThisLink));
    assert_eq!(verdict(&ip, LINK, &whole[..10]), Err(DropReason::Malformed));
    assert_eq!(verdict(&ip, InterfaceId(9), &whole), Err(DropReason::UnknownProtocol));
    let padded = [&framed(MAC, EtherType::IPV4, &whole)[..], &[0; 18]].concat();
    assert_eq!(verdict(&ip, LINK, &padded), Ok(Delivery::Unicast), "link padding is no part of the packet");
}
