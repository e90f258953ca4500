//! Neighbours between hosts: resolution, silence, change, defence.

use crate::lan::{LINK, Lan, at, ethernet, ip, mac};
use stack::frame::Medium;
use stack::socket::udp::{UdpRecvError, UdpSend};
use stack::{Config, DropReason, InterfaceConfig, NeighborState};
use std::io::ErrorKind;
use std::net::IpAddr;
use std::time::Duration;
use tcp::SendFlags;
use wire::arp;
use wire::ethernet::{self, EtherType, MacAddr};

const PAIRS: [(&str, &str); 2] = [("10.0.0.1:1", "10.0.0.2:2"), ("[2001:db8::1]:1", "[2001:db8::2]:2")];

fn state(lan: &Lan, host: usize, of: &str) -> Option<(MacAddr, NeighborState)> {
    lan.hosts[host].neighbors().find(|&(_, addr, ..)| addr == ip(of)).map(|(_, _, mac, state)| (mac, state))
}

#[test]
fn the_first_packet_asks_and_the_next_do_not() {
    for (local, remote) in PAIRS {
        let mut lan = Lan::pair();
        let (a, b) = (lan.bind(0, local), lan.bind(1, remote));
        lan.send(0, a, b"one", remote);
        assert_eq!(lan.passed.len(), 3, "question, answer, datagram: {:?}", lan.lines(Medium::Ethernet));
        lan.passed.clear();
        let addr = at(remote).ip().to_string();
        assert_eq!(state(&lan, 0, &addr), Some((mac(1), NeighborState::Reachable)));
        let ours = at(local).ip().to_string();
        let (known, how) = state(&lan, 1, &ours).expect("who asks is known too");
        assert!(known == mac(0) && matches!(how, NeighborState::Stale | NeighborState::Delay), "{how:?}");
        lan.send(0, a, b"two", remote);
        lan.send(1, b, b"back", local);
        assert_eq!(lan.passed.len(), 2, "{:?}", lan.lines(Medium::Ethernet));
        assert_eq!(lan.recv(1, b).unwrap().0, b"one");
        assert_eq!(lan.recv(0, a).unwrap().0, b"back");
    }
}

#[test]
fn a_silent_neighbour_delays_only_its_own_packets() {
    let mut lan = Lan::pair();
    let (a, b) = (lan.bind(0, "10.0.0.1:1"), lan.bind(1, "10.0.0.2:2"));
    for _ in 0..50 {
        lan.send(0, a, b"lost", "10.0.0.77:2");
    }
    assert_eq!(lan.passed.len(), 1, "one question however many wait");
    lan.send(0, a, b"found", "10.0.0.2:2");
    assert_eq!(lan.recv(1, b).unwrap().0, b"found");
    assert_eq!(lan.dropped(0, DropReason::NeighborQueueFull), 50 - 32);
    lan.passed.clear();
    lan.run(Duration::from_secs(10));
    assert_eq!(lan.passed.len(), 2, "two more questions, a second apart");
    assert_eq!(lan.dropped(0, DropReason::NeighborUnreachable), 32);
    assert_eq!(state(&lan, 0, "10.0.0.77"), None);
    assert_eq!(lan.recv(0, a), Err(UdpRecvError::WouldBlock), "an unreachable host is no refusal");
}

/// As Linux: connect() to an address on the link that nobody has says EHOSTUNREACH after three unanswered questions. Once open, a
/// neighbour that has gone ends nothing by itself.
#[test]
fn connect_to_a_silent_neighbour_fails_in_three_seconds() {
    for nobody in ["10.0.0.77:80", "[2001:db8::77]:80"] {
        let mut lan = Lan::pair();
        let (now, start) = (lan.now, lan.now);
        let socket = lan.hosts[0].tcp_connect_to(now, at(nobody)).expect("it begins");
        lan.run(Duration::from_millis(2_900));
        assert_eq!(lan.hosts[0].tcp_take_error(socket), None, "{nobody}");
        lan.run(Duration::from_millis(200));
        assert_eq!(lan.hosts[0].tcp_take_error(socket), Some(ErrorKind::HostUnreachable), "{nobody}");
        assert_eq!(lan.now - start, Duration::from_millis(3_100));
    }
    let mut lan = Lan::pair();
    let now = lan.now;
    let listener = lan.hosts[1].tcp_listener(now, at("10.0.0.2:80"), 16).expect("a free port");
    let socket = lan.hosts[0].tcp_connect_to(now, at("10.0.0.2:80")).expect("it begins");
    lan.settle();
    lan.hosts[1].tcp_accept(listener).expect("it is open");
    lan.carries = |from, _| from == 0;
    lan.run(Duration::from_secs(60));
    let now = lan.now;
    lan.hosts[0].tcp_send(now, socket, b"?", SendFlags::default()).expect("it is open");
    lan.run(Duration::from_secs(30));
    assert_eq!(state(&lan, 0, "10.0.0.2"), None, "the neighbour is gone");
    assert_eq!(lan.hosts[0].tcp_take_error(socket), None);
    lan.carries = |_, _| true;
    lan.run(Duration::from_secs(60));
    assert_eq!(
        lan.hosts[0].tcp_info(socket).map(|info| info.unacked),
        Some(0),
        "it goes on when the neighbour is back"
    );
}

#[test]
fn a_stale_neighbour_is_probed_when_used_and_forgotten_when_gone() {
    for (local, remote) in PAIRS {
        let mut lan = Lan::pair();
        let (a, b) = (lan.bind(0, local), lan.bind(1, remote));
        let addr = at(remote).ip().to_string();
        lan.send(0, a, b"one", remote);
        lan.run(Duration::from_secs(50));
        lan.send(0, a, b"two", remote);
        assert_eq!(state(&lan, 0, &addr).unwrap().1, NeighborState::Delay);
        lan.run(Duration::from_secs(6));
        assert_eq!(state(&lan, 0, &addr).unwrap().1, NeighborState::Reachable, "it answered the probe");
        lan.carries = |from, _| from == 0;
        lan.run(Duration::from_secs(50));
        lan.send(0, a, b"three", remote);
        lan.run(Duration::from_secs(9));
        assert_eq!(state(&lan, 0, &addr), None);
        assert_eq!(std::iter::from_fn(|| lan.recv(1, b).ok()).count(), 3);
    }
}

fn arp_frame(from: MacAddr, packet: &arp::Packet) -> Vec<u8> {
    let mut frame = vec![0; 42];
    let dst =
        if packet.operation == arp::Operation::Request { MacAddr::BROADCAST } else { packet.target_mac };
    ethernet::Header { dst, src: from, ethertype: EtherType::ARP }.emit(&mut frame);
    packet.emit(&mut frame[14..]);
    frame
}

fn arp(operation: arp::Operation, sender: (MacAddr, &str), target: (MacAddr, &str)) -> arp::Packet {
    let v4 = |text: &str| match ip(text) {
        IpAddr::V4(addr) => addr,
        IpAddr::V6(_) => panic!("ARP is of IPv4"),
    };
    arp::Packet {
        operation,
        sender_mac: sender.0,
        sender_ip: v4(sender.1),
        target_mac: target.0,
        target_ip: v4(target.1),
    }
}

#[test]
fn arp_from_strangers() {
    use arp::Operation::{Reply, Request};
    let (stranger, nobody) = (MacAddr([2, 9, 9, 9, 9, 9]), MacAddr::UNSPECIFIED);
    // What comes in; whether it is answered; whether the stranger is then known.
    let rows = [
        (arp(Request, (stranger, "10.0.0.9"), (nobody, "10.0.0.1")), 1, true),
        (arp(Request, (stranger, "10.0.0.9"), (nobody, "10.0.0.8")), 0, false),
        (arp(Request, (stranger, "0.0.0.0"), (nobody, "10.0.0.1")), 1, false), // RFC 5227: a probe is answered
        (arp(Reply, (stranger, "10.0.0.9"), (mac(0), "10.0.0.1")), 0, false),  // nobody asked
        (arp(Request, (stranger, "224.0.0.9"), (nobody, "10.0.0.1")), 0, false),
        (arp(Request, (MacAddr::BROADCAST, "10.0.0.9"), (nobody, "10.0.0.1")), 0, false),
    ];
    for (packet, answers, known) in rows {
        let mut lan = Lan::new(&[ethernet(0, &["10.0.0.1/24"])]);
        lan.inject(0, &arp_frame(stranger, &packet));
        assert_eq!(lan.passed.len(), answers, "{packet:?}");
        assert_eq!(state(&lan, 0, "10.0.0.9").is_some(), known, "{packet:?}");
    }
}

#[test]
fn a_gratuitous_arp_updates_and_a_conflict_is_defended_once_in_ten_seconds() {
    use arp::Operation::Request;
    let mut lan = Lan::pair();
    let a = lan.bind(0, "10.0.0.1:1");
    lan.bind(1, "10.0.0.2:2");
    lan.send(0, a, b"x", "10.0.0.2:2");
    let moved = MacAddr([2, 8, 8, 8, 8, 8]);
    let nobody = MacAddr::UNSPECIFIED;
    lan.inject(0, &arp_frame(moved, &arp(Request, (moved, "10.0.0.2"), (nobody, "10.0.0.2"))));
    assert_eq!(state(&lan, 0, "10.0.0.2"), Some((moved, NeighborState::Stale)));
    lan.passed.clear();
    let claim = arp_frame(moved, &arp(Request, (moved, "10.0.0.1"), (nobody, "10.0.0.1")));
    for _ in 0..5 {
        lan.inject(0, &claim);
    }
    assert_eq!(lan.passed.iter().filter(|(from, _)| *from == 0).count(), 1);
    lan.run(Duration::from_secs(11));
    lan.inject(0, &claim);
    assert_eq!(lan.passed.iter().filter(|(from, _)| *from == 0).count(), 2);
}

#[test]
fn frames_for_other_stations_are_not_ours() {
    let mut lan = Lan::pair();
    let (a, b) = (lan.bind(0, "10.0.0.1:1"), lan.bind(1, "10.0.0.2:2"));
    lan.send(0, a, b"x", "10.0.0.2:2");
    lan.recv(1, b).unwrap();
    let (_, frame) = lan.passed.pop().unwrap();
    for (dst, reason) in [
        (MacAddr([2, 7, 7, 7, 7, 7]), DropReason::NotForThisLink),
        (MacAddr::BROADCAST, DropReason::NotForThisLink), // RFC 1122 3.3.6
    ] {
        let mut frame = frame.clone();
        frame[..6].copy_from_slice(&dst.0);
        let before = lan.dropped(1, reason);
        lan.inject(1, &frame);
        assert_eq!(lan.dropped(1, reason), before + 1);
    }
    assert_eq!(lan.recv(1, b), Err(UdpRecvError::WouldBlock));
}

#[test]
fn what_waits_goes_through_a_gateway() {
    let gateway = ethernet(1, &["10.0.0.2/24"]);
    let mut host = ethernet(0, &["10.0.0.1/24"]);
    host.routes.push(stack::RouteConfig {
        prefix: stack::Prefix::DEFAULT_V4,
        gateway: Some(ip("10.0.0.2")),
        interface: LINK,
        metric: 0,
    });
    let mut lan = Lan::new(&[host, gateway]);
    let a = lan.bind(0, "10.0.0.1:1");
    lan.send(0, a, b"far", "198.51.100.1:9");
    let (_, frame) = lan.passed.pop().unwrap();
    assert_eq!(&frame[..6], &mac(1).0, "to the gateway's station");
    assert_eq!(&frame[30..34], &[198, 51, 100, 1], "for the destination's address");
    assert_eq!(lan.dropped(1, DropReason::NotForThisHost), 1, "a host forwards nothing");
}

#[test]
fn a_probed_address_is_announced_or_given_up() {
    let careful = |host| {
        let mut config = ethernet(host, &["10.0.0.5/24"]);
        let interface = &mut config.interfaces[0];
        *interface = InterfaceConfig { probe_ipv4: true, dad_transmits: 1, ..interface.clone() };
        Config { events_max: 100, ..config }
    };
    let mut lan = Lan::new(&[careful(0)]);
    let assigned = |lan: &Lan, host: usize| lan.hosts[host].addresses(LINK).iter().any(|a| a.is_assigned());
    lan.run(Duration::from_secs(2));
    assert!(!assigned(&lan, 0));
    lan.run(Duration::from_secs(10));
    assert!(assigned(&lan, 0));
    assert_eq!(lan.passed.len(), 5, "three probes, two announcements: {:?}", lan.lines(Medium::Ethernet));
    // A host that has it already keeps it; the newcomer gives up.
    let mut lan = Lan::new(&[ethernet(0, &["10.0.0.5/24"]), careful(1)]);
    lan.run(Duration::from_secs(20));
    assert!(assigned(&lan, 0));
    assert!(lan.hosts[1].addresses(LINK).is_empty());
    let changes: Vec<_> = std::iter::from_fn(|| lan.hosts[1].poll_event()).map(|(_, event)| event).collect();
    assert!(
        changes
            .iter()
            .any(|e| matches!(e, stack::Event::Address { change: stack::AddressChange::Duplicate, .. })),
        "{changes:?}"
    );
    let _ = UdpSend::default();
}
