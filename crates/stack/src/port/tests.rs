use super::{InUse, Ports, Scope, Sharing};
use crate::random::Secret;
use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};

const PLAIN: Sharing = Sharing { address: false, port: false };
const ADDRESS: Sharing = Sharing { address: true, port: false };
const PORT: Sharing = Sharing { address: false, port: true };

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn ports() -> Ports {
    Ports::new(&Secret::from_seed(1), (40_000, 40_009))
}

fn scope(text: &str) -> Scope {
    Scope::of(ip(text), false)
}

/// Each row: the holder, how it shares, whether it listens; the newcomer and how it shares; whether bind() succeeds.
/// What Linux answers, tried there.
#[test]
fn who_may_bind_beside_whom() {
    let table = [
        ("10.0.0.1", PLAIN, false, "10.0.0.1", PLAIN, false),
        ("10.0.0.1", PLAIN, false, "10.0.0.2", PLAIN, true),
        ("0.0.0.0", PLAIN, false, "10.0.0.2", PLAIN, false),
        ("10.0.0.2", PLAIN, false, "0.0.0.0", ADDRESS, false),
        ("10.0.0.2", ADDRESS, false, "0.0.0.0", ADDRESS, true),
        ("10.0.0.2", ADDRESS, true, "0.0.0.0", ADDRESS, false),
        ("10.0.0.2", PORT, true, "10.0.0.2", PORT, true),
        ("10.0.0.2", PORT, true, "10.0.0.2", ADDRESS, false),
        ("::", PLAIN, false, "10.0.0.1", PLAIN, false),
        ("0.0.0.0", PLAIN, false, "::1", PLAIN, true),
    ];
    for (held, sharing, listens, new, by, want) in table {
        let mut ports = ports();
        ports.bind(1, scope(held), 80, sharing).expect("the first");
        if listens {
            ports.listen(1, 80).expect("the first");
        }
        let got = ports.bind(2, scope(new), 80, by).is_ok();
        assert_eq!(got, want, "{held} {sharing:?} {listens} then {new} {by:?}");
    }
}

#[test]
fn ipv6_only_leaves_ipv4_alone() {
    let mut ports = ports();
    ports.bind(1, Scope::of(ip("::"), true), 80, PLAIN).expect("free");
    ports.bind(2, scope("0.0.0.0"), 80, PLAIN).expect("the other family");
}

#[test]
fn of_two_that_share_an_address_one_may_listen() {
    let mut ports = ports();
    ports.bind(1, scope("0.0.0.0"), 80, ADDRESS).expect("free");
    ports.bind(2, scope("0.0.0.0"), 80, ADDRESS).expect("both share");
    ports.listen(1, 80).expect("the first to listen");
    assert_eq!(ports.listen(2, 80), Err(InUse));
    ports.unbind(1, 80);
    ports.listen(2, 80).expect("the rival has gone");
}

/// A restarted server: its old connections, TIME-WAIT among them, are still there.
#[test]
fn connections_block_a_bind_unless_both_share() {
    let local: SocketAddr = "10.0.0.1:80".parse().expect("an address");
    for (connection, new, want) in
        [(PLAIN, PLAIN, false), (PLAIN, ADDRESS, false), (ADDRESS, PLAIN, false), (ADDRESS, ADDRESS, true)]
    {
        let mut ports = ports();
        ports.add_connection(local, connection);
        assert_eq!(ports.bind(1, scope("0.0.0.0"), 80, new).is_ok(), want, "{connection:?} {new:?}");
        ports.unbind(1, 80);
        ports.remove_connection(local, connection);
        assert!(ports.is_free(80));
    }
}

#[test]
fn port_zero_finds_every_free_port_and_then_none() {
    let mut ports = ports();
    let got: HashSet<u16> =
        (0..10).map(|i| ports.bind_any(i, Scope::AnyV4, PLAIN).expect("one is free")).collect();
    assert_eq!(got, (40_000..=40_009).collect());
    assert_eq!(ports.bind_any(99, Scope::AnyV4, PLAIN), Err(InUse));
    ports.unbind(3, *got.iter().next().expect("ten"));
}

#[test]
fn connections_share_a_port_between_remotes_but_not_a_four_tuple() {
    let mut ports = ports();
    let local = ip("10.0.0.1");
    for remote in ["10.0.0.2:80", "10.0.0.3:80"] {
        let remote: SocketAddr = remote.parse().expect("an address");
        let mut used = HashSet::new();
        for _ in 0..10 {
            let port = ports.pick(local, remote, |port| used.contains(&port)).expect("one is free");
            assert!(used.insert(port));
            ports.add_connection(SocketAddr::new(local, port), PLAIN);
        }
        assert_eq!(ports.pick(local, remote, |port| used.contains(&port)), Err(InUse));
    }
}

#[test]
fn a_bound_port_is_not_given_to_connections() {
    let mut ports = Ports::new(&Secret::from_seed(1), (50_000, 50_000));
    ports.bind(1, scope("10.0.0.1"), 50_000, ADDRESS).expect("free");
    let remote: SocketAddr = "10.0.0.2:80".parse().expect("an address");
    assert_eq!(ports.pick(ip("10.0.0.1"), remote, |_| false), Err(InUse));
    assert_eq!(ports.pick(ip("10.0.0.9"), remote, |_| false), Ok(50_000));
}

/// RFC 6056 3.1: ports towards one destination follow one another, those of another start elsewhere.
#[test]
fn another_destination_starts_elsewhere() {
    let mut ports = Ports::new(&Secret::from_seed(1), (32_768, 60_999));
    let local = ip("10.0.0.1");
    let mut starts = HashSet::new();
    for host in 1..=20u8 {
        let remote = SocketAddr::from(([10, 9, 9, host], 80));
        let first = ports.pick(local, remote, |_| false).expect("free");
        let second = ports.pick(local, remote, |_| false).expect("free");
        assert_ne!(first, second);
        starts.insert(first);
    }
    assert!(starts.len() >= 19);
}

/// A million connections in TIME-WAIT hold all ports, so what a port costs each of them pays for.
#[test]
fn a_port_with_one_binding_takes_twenty_four_octets_and_no_memory_of_its_own() {
    assert_eq!(size_of::<super::Held>(), 24);
}
