//! Groups between hosts: joining, hearing, reporting.

use crate::lan::{LINK, Lan, at, ethernet, ip};
use stack::frame::Medium;
use stack::socket::udp::{GroupError, UdpRecvError};
use std::time::Duration;

#[test]
fn only_those_who_joined_hear() {
    for (group, local) in [("239.1.2.3", "0.0.0.0:5353"), ("[ff02::fb]", "[::]:5353")] {
        let mut lan = Lan::new(&[
            ethernet(0, &["10.0.0.1/24", "fe80::1/64"]),
            ethernet(1, &["10.0.0.2/24", "fe80::2/64"]),
            ethernet(2, &["10.0.0.3/24", "fe80::3/64"]),
        ]);
        let sockets: Vec<_> = (0..3).map(|host| lan.bind(host, local)).collect();
        let addr = ip(group.trim_matches(['[', ']']));
        for host in [0, 1] {
            lan.hosts[host].udp_join_group(lan.now, sockets[host], addr, Some(LINK)).unwrap();
        }
        let remote = format!("{group}:5353");
        lan.send(0, sockets[0], b"hello all", &remote);
        assert_eq!(lan.recv(1, sockets[1]).unwrap().1.local, addr);
        assert_eq!(lan.recv(0, sockets[0]).unwrap().0, b"hello all", "who joined hears itself");
        assert_eq!(lan.recv(2, sockets[2]), Err(UdpRecvError::WouldBlock));
        let frame = lan.passed.iter().rev().find(|(_, f)| f.len() > 50 && f.ends_with(b"hello all")).unwrap();
        assert_eq!(frame.1[0] & 1, 1, "a group's link address");
        let hop_limit = if addr.is_ipv4() { frame.1[22] } else { frame.1[21] };
        assert_eq!(hop_limit, 1, "RFC 1112 6.1");
        lan.hosts[1].udp_leave_group(sockets[1], addr, Some(LINK)).unwrap();
        lan.send(0, sockets[0], b"again", &remote);
        assert_eq!(lan.recv(1, sockets[1]), Err(UdpRecvError::WouldBlock));
    }
}

#[test]
fn joins_and_leaves_are_told_on_the_link() {
    let mut config = ethernet(0, &["10.0.0.1/24", "fe80::1/64"]);
    config.interfaces[0].announce_groups = true;
    let mut lan = Lan::new(&[config]);
    lan.run(Duration::from_secs(30)); // reports of the solicited-node group
    lan.passed.clear();
    let (v4, v6) = (lan.bind(0, "0.0.0.0:1"), lan.bind(0, "[::]:1"));
    lan.hosts[0].udp_join_group(lan.now, v4, ip("239.1.2.3"), Some(LINK)).unwrap();
    lan.hosts[0].udp_join_group(lan.now, v6, ip("ff02::fb"), Some(LINK)).unwrap();
    lan.run(Duration::from_secs(30));
    let reports = lan.lines(Medium::Ethernet);
    assert_eq!(reports.len(), 4, "each twice: {reports:#?}");
    assert!(reports.iter().filter(|line| line.contains("239.1.2.3")).count() == 2, "{reports:#?}");
    lan.hosts[0].udp_close(v4).unwrap();
    lan.hosts[0].udp_close(v6).unwrap();
    lan.settle();
    let leaves = lan.lines(Medium::Ethernet);
    assert_eq!(leaves.len(), 2, "{leaves:#?}");
    assert!(leaves.iter().any(|line| line.contains("224.0.0.2")), "{leaves:#?}");
    assert!(leaves.iter().any(|line| line.contains("ff02::2")), "{leaves:#?}");
}

#[test]
fn joins_that_cannot_be() {
    let mut lan = Lan::pair();
    let socket = lan.bind(0, "0.0.0.0:1");
    let host = &mut lan.hosts[0];
    let now = lan.now;
    assert_eq!(host.udp_join_group(now, socket, ip("10.0.0.2"), Some(LINK)), Err(GroupError::InvalidInput));
    let nowhere = Some(stack::InterfaceId(9));
    assert_eq!(host.udp_join_group(now, socket, ip("239.0.0.1"), nowhere), Err(GroupError::NoSuchInterface));
    assert_eq!(host.udp_leave_group(socket, ip("239.0.0.1"), Some(LINK)), Err(GroupError::AddrNotAvailable));
    for i in 0..20 {
        let group = std::net::IpAddr::from([239, 0, 0, i]);
        assert_eq!(host.udp_join_group(now, socket, group, Some(LINK)), Ok(()));
    }
    assert_eq!(host.udp_join_group(now, socket, ip("239.0.0.5"), Some(LINK)), Err(GroupError::AddrInUse));
    assert_eq!(host.udp_join_group(now, socket, ip("239.9.9.9"), Some(LINK)), Err(GroupError::TooMany));
    let _ = at("10.0.0.1:1");
}
