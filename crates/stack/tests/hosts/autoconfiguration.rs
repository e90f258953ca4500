//! Addresses and routes that nobody configured: link-local addresses, router advertisements, lifetimes, duplicates.

use crate::lan::{LINK, Lan, ip, mac};
use stack::frame::{Capabilities, Medium};
use stack::{Config, DropReason, InterfaceConfig, Prefix, RouteOrigin};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;
use wire::ethernet::{self, EtherType, MacAddr};
use wire::icmpv6;
use wire::ip::{Protocol, pseudo_v6};
use wire::ipv6;
use wire::ndisc::{Message, NdOption, Options, PrefixInformation, RouterAdvertisement};

const ROUTER_MAC: MacAddr = MacAddr([2, 0xff, 0, 0, 0, 1]);
const ROUTER: &str = "fe80::ff";

fn config(host: usize) -> Config {
    let interface = InterfaceConfig::ethernet(Capabilities::default(), mac(host));
    Config {
        interfaces: vec![InterfaceConfig { autoconfigure: true, ..interface }],
        events_max: 100,
        ..Config::default()
    }
}

fn v6(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

/// A Neighbour Discovery message in its frame.
fn frame(src: &str, dst: &str, hop_limit: u8, message: Message<'_>) -> Vec<u8> {
    let (src, dst) = (v6(src), v6(dst));
    let message = icmpv6::Message::Ndisc(message);
    let len = message.wire_len();
    let mut bytes = vec![0; 54 + len];
    let to = if dst.is_multicast() { MacAddr::from_multicast_v6(dst) } else { mac(0) };
    ethernet::Header { dst: to, src: ROUTER_MAC, ethertype: EtherType::IPV6 }.emit(&mut bytes);
    ipv6::Header::new(src, dst, Protocol::ICMPV6, hop_limit, len as u16).emit(&mut bytes[14..]);
    message.emit(&mut bytes[54..], pseudo_v6(src, dst, Protocol::ICMPV6, len as u32));
    bytes
}

fn prefix(text: &str, valid: u32, preferred: u32) -> NdOption<'static> {
    let prefix: Prefix = text.parse().unwrap();
    let IpAddr::V6(addr) = prefix.addr() else { panic!("IPv6") };
    NdOption::Prefix(PrefixInformation {
        prefix_len: prefix.prefix_len(),
        on_link: true,
        autonomous: true,
        valid_lifetime: valid,
        preferred_lifetime: preferred,
        prefix: addr,
    })
}

fn advertisement(lifetime: u64, options: &[NdOption<'_>]) -> Vec<u8> {
    let router = RouterAdvertisement {
        hop_limit: 33,
        lifetime: Duration::from_secs(lifetime),
        ..RouterAdvertisement::default()
    };
    let message = Message::RouterAdvertisement { router, options: Options::Values(options) };
    frame(ROUTER, "ff02::1", 255, message)
}

fn addresses(lan: &Lan) -> Vec<IpAddr> {
    lan.hosts[0].addresses(LINK).iter().filter(|a| a.is_assigned()).map(|a| a.prefix.addr()).collect()
}

fn settled() -> Lan {
    let mut lan = Lan::new(&[config(0)]);
    lan.run(Duration::from_secs(3));
    lan
}

#[test]
fn a_link_local_address_is_probed_then_routers_are_asked() {
    let mut lan = settled();
    let [addr] = addresses(&lan)[..] else { panic!("one address") };
    assert!(matches!(addr, IpAddr::V6(a) if a.is_unicast_link_local()));
    lan.run(Duration::from_secs(30));
    let lines = lan.lines(Medium::Ethernet);
    let count = |what: &str| lines.iter().filter(|line| line.to_lowercase().contains(what)).count();
    assert_eq!(count("router solicit"), 3, "{lines:#?}");
    assert_eq!(count("who has fe80"), 1, "{lines:#?}");
    // Opaque identifiers differ between hosts with other secrets, and repeat with the same.
    let other = Lan::new(&[config(1), config(0)]);
    let form = |host: &stack::Stack| host.addresses(LINK)[0].prefix.addr();
    assert_eq!(form(&Lan::new(&[config(0)]).hosts[0]), addr);
    assert_ne!(form(&other.hosts[1]), addr);
}

#[test]
fn an_advertisement_brings_address_route_and_parameters() {
    let mut lan = settled();
    let mtu = [
        prefix("2001:db8:1::/64", 7_200, 3_600),
        NdOption::Mtu(1_400),
        NdOption::SourceLinkLayer(ROUTER_MAC),
    ];
    lan.inject(0, &advertisement(1_800, &mtu));
    lan.run(Duration::from_secs(3));
    let formed = addresses(&lan)[1];
    assert!("2001:db8:1::/64".parse::<Prefix>().unwrap().contains(formed));
    let routes: Vec<_> = lan.hosts[0].routes().copied().collect();
    let default = routes.iter().find(|r| r.prefix == Prefix::DEFAULT_V6).unwrap();
    assert_eq!((default.gateway, default.origin), (Some(ip(ROUTER)), RouteOrigin::Router));
    assert!(routes.iter().any(|r| r.prefix.to_string() == "2001:db8:1::/64" && r.gateway.is_none()));
    let now = lan.now;
    assert_eq!(lan.hosts[0].path_mtu(now, ip("2001:db8:9::1")), Some(1_400));
    lan.passed.clear();
    lan.hosts[0].ping(now, ip("2001:db8:9::1"), 1, 1, b"");
    lan.settle();
    let (_, ping) = lan.passed.pop().unwrap();
    assert_eq!((&ping[..6], ping[21]), (&ROUTER_MAC.0[..], 33), "to the router, with the hop limit it told");
    assert_eq!(IpAddr::V6(ipv6::Packet::new(&ping[14..]).unwrap().src()), formed);
    assert!(
        lan.lines(Medium::Ethernet).iter().all(|l| !l.contains("router solicit")),
        "found: no more asking"
    );
}

#[test]
fn lifetimes_end_and_strangers_cannot_shorten_them_below_two_hours() {
    let mut lan = settled();
    lan.inject(0, &advertisement(1_800, &[prefix("2001:db8:1::/64", 86_400, 600)]));
    lan.run(Duration::from_secs(2));
    lan.inject(0, &advertisement(1_800, &[prefix("2001:db8:1::/64", 60, 60)]));
    lan.run(Duration::from_secs(120));
    assert_eq!(addresses(&lan).len(), 2, "RFC 4862 5.5.3 (e): two hours at least");
    assert!(lan.hosts[0].addresses(LINK)[1].preferred_until.unwrap() <= lan.now, "but it is deprecated");
    lan.run(Duration::from_secs(1_800));
    assert!(lan.hosts[0].routes().all(|r| r.origin != RouteOrigin::Router), "the router's time is over");
    lan.run(Duration::from_secs(5_400));
    assert_eq!(addresses(&lan).len(), 1);
}

#[test]
fn a_router_that_resigns_is_left() {
    let mut lan = settled();
    lan.inject(0, &advertisement(1_800, &[]));
    assert!(lan.hosts[0].routes().any(|r| r.origin == RouteOrigin::Router));
    lan.inject(0, &advertisement(0, &[]));
    assert!(lan.hosts[0].routes().all(|r| r.origin != RouteOrigin::Router));
}

#[test]
fn what_is_not_believed() {
    let good = Message::RouterAdvertisement {
        router: RouterAdvertisement { lifetime: Duration::from_secs(1_800), ..Default::default() },
        options: Options::NONE,
    };
    for (src, hop_limit) in [(ROUTER, 254), ("2001:db8::1", 255), ("::", 255)] {
        let mut lan = settled();
        lan.inject(0, &frame(src, "ff02::1", hop_limit, good));
        assert_eq!(lan.dropped(0, DropReason::BadNeighborMessage), 1, "{src} {hop_limit}");
        assert!(lan.hosts[0].routes().all(|r| r.origin != RouteOrigin::Router));
    }
    for bad in ["fe80::/64", "ff02::/64", "2001:db8::/63"] {
        let mut lan = settled();
        lan.inject(0, &advertisement(0, &[prefix(bad, 3_600, 3_600)]));
        lan.run(Duration::from_secs(3));
        assert_eq!(addresses(&lan).len(), 1, "{bad}");
    }
    let mut lan = settled();
    lan.inject(0, &advertisement(0, &[prefix("2001:db8:1::/64", 60, 3_600)]));
    lan.run(Duration::from_secs(3));
    assert_eq!(addresses(&lan).len(), 1, "preferred for longer than valid");
}

#[test]
fn a_flood_of_advertisements_fills_no_table_past_its_bound() {
    let mut lan = settled();
    for i in 0..2_000u32 {
        let text = format!("2001:db8:{:x}:{:x}::/64", i >> 8, i & 0xff);
        let router = format!("fe80::1:{i:x}");
        let message = Message::RouterAdvertisement {
            router: RouterAdvertisement { lifetime: Duration::from_secs(1_800), ..Default::default() },
            options: Options::Values(&[prefix(&text, 86_400, 86_400), NdOption::SourceLinkLayer(ROUTER_MAC)]),
        };
        lan.inject(0, &frame(&router, "ff02::1", 255, message));
    }
    assert!(lan.hosts[0].addresses(LINK).len() <= 32);
    assert!(lan.hosts[0].routes().count() <= 192 + 1);
    assert!(lan.hosts[0].neighbors().count() <= 1_024);
    lan.hosts[0]
        .add_route(stack::Route {
            prefix: Prefix::DEFAULT_V4,
            gateway: None,
            interface: LINK,
            metric: 0,
            origin: RouteOrigin::Static,
            expires: None,
        })
        .expect("the owner still finds room");
}

#[test]
fn a_duplicate_makes_the_host_try_another_identifier() {
    let mut lan = Lan::new(&[config(0)]);
    let wanted = lan.hosts[0].addresses(LINK)[0].prefix.addr();
    let IpAddr::V6(target) = wanted else { panic!("IPv6") };
    let options = [NdOption::TargetLinkLayer(ROUTER_MAC)];
    let claim = Message::NeighborAdvertisement {
        router: false,
        solicited: false,
        override_: true,
        target,
        options: Options::Values(&options),
    };
    lan.inject(0, &frame(&wanted.to_string(), "ff02::1", 255, claim));
    lan.run(Duration::from_secs(5));
    let [second] = addresses(&lan)[..] else { panic!("another address: {:?}", addresses(&lan)) };
    assert_ne!(second, wanted);
    // Two that probe for the same address at once both see the other's probe (RFC 4862 5.4.3).
    let mut lan = Lan::new(&[config(0)]);
    let IpAddr::V6(target) = lan.hosts[0].addresses(LINK)[0].prefix.addr() else { panic!("IPv6") };
    let [.., g, h] = target.segments();
    let group = format!("ff02::1:ff{:02x}:{h:x}", g & 0xff);
    lan.inject(
        0,
        &frame("::", &group, 255, Message::NeighborSolicitation { target, options: Options::NONE }),
    );
    lan.run(Duration::from_secs(5));
    assert!(!addresses(&lan).contains(&IpAddr::V6(target)));
}

#[test]
fn a_redirect_is_believed_from_the_router_in_use_only() {
    let mut lan = settled();
    lan.inject(
        0,
        &advertisement(
            1_800,
            &[prefix("2001:db8:1::/64", 7_200, 7_200), NdOption::SourceLinkLayer(ROUTER_MAC)],
        ),
    );
    lan.run(Duration::from_secs(3));
    let better = Message::Redirect {
        target: v6("fe80::ee"),
        destination: v6("2001:db8:9::1"),
        options: Options::NONE,
    };
    let redirects = |lan: &Lan| lan.hosts[0].routes().filter(|r| r.origin == RouteOrigin::Redirect).count();
    let ours = addresses(&lan)[0].to_string();
    lan.inject(0, &frame("fe80::bad", &ours, 255, better));
    assert_eq!(redirects(&lan), 0);
    lan.inject(0, &frame(ROUTER, &ours, 255, better));
    assert_eq!(redirects(&lan), 1);
}
