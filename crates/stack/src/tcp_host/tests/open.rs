//! Opening: connect, refusal, backlog, families, ports, forgeries.

use super::cable::{Flying, Host, addr};
use super::{A, B, World};
use crate::counters::DropReason;
use crate::port::Scope;
use crate::ready::Readiness;
use crate::socket::error::{BindError, ConnectError, ListenError, RecvError, SendError};
use crate::socket::options::TcpOption;
use std::io::ErrorKind;
use std::time::Duration;
use tcp::State;
use wire::ip::Ecn;
use wire::tcp::{Flags, Header};

#[test]
fn a_connection_opens_and_carries_bytes_both_ways() {
    for remote in ["10.0.0.2:80", "[fd00::2]:80"] {
        let mut world = World::new();
        let listener = world.listen(B, "[::]:80", 16);
        let client = world.connect(A, remote);
        assert_eq!(world.try_send(A, client, b"early"), Ok(5), "data before the SYN is answered is queued");
        world.settle();
        assert_eq!(world.state(A, client), Some(State::Established));
        assert!(world.readiness(A, client).contains(Readiness::WRITABLE));
        assert!(world.readiness(B, listener).contains(Readiness::READABLE));
        let server = world.accept(B, listener).expect("it waits");
        assert!(
            world.readiness(B, server).contains(Readiness::READABLE),
            "what came before accept() is told"
        );
        assert_eq!(world.try_recv(B, server), Ok(b"early".to_vec()));
        assert_eq!(world.try_recv(B, server), Err(RecvError::WouldBlock));
        world.send(B, server, b"answer");
        world.settle();
        assert_eq!(world.try_recv(A, client), Ok(b"answer".to_vec()));
        let (tcp_a, tcp_b) = (&world.hosts[A].tcp, &world.hosts[B].tcp);
        assert_eq!(tcp_a.peer_addr(client), Some(addr(remote)));
        assert_eq!(tcp_a.local_addr(client), tcp_b.peer_addr(server));
        assert_eq!(tcp_b.local_addr(server), Some(addr(remote)));
    }
}

#[test]
fn a_port_without_a_listener_refuses() {
    let mut world = World::new();
    let client = world.connect(A, "10.0.0.2:81");
    world.settle();
    let ready = world.readiness(A, client);
    assert!(ready.contains(Readiness::ERROR | Readiness::HANGUP));
    let tcp = &mut world.hosts[A].tcp;
    assert_eq!(tcp.take_error(client), Some(ErrorKind::ConnectionRefused));
    assert_eq!(tcp.take_error(client), None, "told once");
    world.close(A, client);
    world.settle();
    assert_eq!(world.hosts[A].tcp.sockets_len(), 0);
    assert_eq!(world.hosts[A].tcp.flows.len(), 0);
}

/// As Linux: the error is told, then the same socket may try again, from the port that it is bound to if it is.
#[test]
fn a_refused_socket_may_call_again() {
    for (bound, asked) in
        [(None, false), (None, true), (Some("0.0.0.0:4000"), true), (Some("10.0.0.1:4000"), true)]
    {
        let mut world = World::new();
        let now = world.now;
        let (here, there) = (addr("10.0.0.1:4000"), addr("10.0.0.2:80"));
        let Host { tcp, floor } = &mut world.hosts[A];
        let client = tcp.socket().expect("room");
        if let Some(local) = bound {
            tcp.bind(floor, client, addr(local)).expect("free");
        }
        tcp.set_option(now, floor, client, TcpOption::NoDelay(true)).expect("fresh");
        for _ in 0..3 {
            let Host { tcp, floor } = &mut world.hosts[A];
            assert_eq!(tcp.connect(now, floor, client, there), Ok(()));
            assert_eq!(tcp.connect(now, floor, client, there), Err(ConnectError::AlreadyConnected));
            world.settle();
            let Host { tcp, floor } = &mut world.hosts[A];
            if asked {
                assert_eq!(tcp.take_error(client), Some(ErrorKind::ConnectionRefused));
            } else {
                let refused = Err(ConnectError::Failed(ErrorKind::ConnectionRefused));
                assert_eq!(tcp.connect(now, floor, client, there), refused);
            }
        }
        let listener = world.listen(B, "10.0.0.2:80", 8);
        let Host { tcp, floor } = &mut world.hosts[A];
        assert_eq!(tcp.connect(now, floor, client, there), Ok(()));
        assert!(bound.is_none() || tcp.local_addr(client) == Some(here));
        world.settle();
        assert_eq!(world.readiness(A, client), Readiness::WRITABLE, "nothing of the failures");
        assert!(world.hosts[A].tcp.settings(client).expect("there").nodelay, "what was set stays");
        let Host { tcp, floor } = &mut world.hosts[A];
        assert_eq!(tcp.connect(now, floor, client, there), Err(ConnectError::AlreadyConnected));
        let server = world.accept(B, listener).expect("open");
        world.close(B, server);
        world.settle();
        world.close(A, client);
        world.advance(Duration::from_secs(61));
        assert_eq!((world.hosts[A].tcp.flows.len(), world.hosts[A].tcp.sockets_len()), (0, 0));
        assert!(world.hosts[A].tcp.ports.is_free(4_000));
    }
}

/// A connection that was open and then failed is not one to open again.
#[test]
fn a_reset_socket_does_not_call_again() {
    let mut world = World::new();
    let (client, server) = world.pair();
    let (now, Host { tcp, floor }) = (world.now, &mut world.hosts[B]);
    tcp.abort(now, floor, server).expect("open");
    world.settle();
    let Host { tcp, floor } = &mut world.hosts[A];
    assert_eq!(tcp.take_error(client), Some(ErrorKind::ConnectionReset));
    let again = tcp.connect(now, floor, client, addr("10.0.0.2:80"));
    assert_eq!(again, Err(ConnectError::AlreadyConnected));
}

#[test]
fn a_host_that_does_not_answer_times_out() {
    let mut world = World::new();
    let client = world.connect(A, "10.0.0.2:80");
    world.cut = true;
    world.advance(Duration::from_secs(126));
    assert_eq!(world.state(A, client), Some(State::SynSent));
    world.advance(Duration::from_secs(2));
    assert_eq!(world.hosts[A].tcp.take_error(client), Some(ErrorKind::TimedOut));
    assert_eq!(world.try_send(A, client, b"x").map_err(SendError::kind), Err(ErrorKind::BrokenPipe));
}

#[test]
fn a_call_that_cannot_be_says_so_at_once() {
    let mut world = World::new();
    assert_eq!(world.try_connect(A, addr("10.0.0.2:0")), Err(ConnectError::InvalidAddress));
    assert_eq!(world.try_connect(A, addr("224.0.0.1:80")), Err(ConnectError::InvalidAddress));
    world.hosts[A].floor.routed = false;
    assert_eq!(world.try_connect(A, addr("10.0.0.2:80")), Err(ConnectError::NetworkUnreachable));
    let Host { tcp, floor } = &mut world.hosts[A];
    let socket = tcp.socket().expect("room");
    assert_eq!(tcp.bind(floor, socket, addr("10.9.9.9:80")), Err(BindError::AddrNotAvailable));
    let bound = tcp.bind(floor, socket, addr("10.0.0.1:0")).expect("a port is free");
    assert_ne!(bound.port(), 0);
    assert_eq!(tcp.bind(floor, socket, addr("10.0.0.1:0")), Err(BindError::AlreadyBound));
    let option = TcpOption::ReuseAddress(true);
    assert!(tcp.set_option(world.now, floor, socket, option).is_err(), "too late");
    let other = tcp.socket().expect("room");
    assert_eq!(tcp.bind(floor, other, bound), Err(BindError::AddrInUse));
    tcp.close(world.now, floor, socket).expect("open");
    tcp.bind(floor, other, bound).expect("free again");
}

#[test]
fn two_listeners_on_one_port_need_reuseport() {
    let mut world = World::new();
    world.listen(B, "10.0.0.2:80", 1);
    let Host { tcp, floor } = &mut world.hosts[B];
    let socket = tcp.socket().expect("room");
    tcp.set_option(world.now, floor, socket, TcpOption::ReuseAddress(true)).expect("fresh");
    assert_eq!(tcp.bind(floor, socket, addr("0.0.0.0:80")), Err(BindError::AddrInUse));
    let mut group = Vec::new();
    for _ in 0..4 {
        let socket = tcp.socket().expect("room");
        tcp.set_option(world.now, floor, socket, TcpOption::ReusePort(true)).expect("fresh");
        tcp.bind(floor, socket, addr("0.0.0.0:90")).expect("all share");
        tcp.listen(floor, socket, 64).expect("all share");
        group.push(socket);
    }
    let lone = tcp.socket().expect("room");
    assert_eq!(tcp.bind(floor, lone, addr("0.0.0.0:90")), Err(BindError::AddrInUse));
    for _ in 0..40 {
        world.connect(A, "10.0.0.2:90");
    }
    world.settle();
    let shares: Vec<usize> =
        group.iter().map(|socket| world.hosts[B].tcp.accept_queue_len(*socket).expect("listens")).collect();
    assert_eq!(shares.iter().sum::<usize>(), 40);
    assert!(shares.iter().all(|share| *share > 0), "{shares:?}");
}

/// As Linux: backlog + 1 wait; the peer of one more believes to be connected, and is once there is room.
#[test]
fn a_full_backlog_makes_the_next_one_wait() {
    let mut world = World::new();
    let listener = world.listen(B, "10.0.0.2:80", 1);
    let clients: Vec<_> = (0..3).map(|_| world.connect(A, "10.0.0.2:80")).collect();
    world.settle();
    assert_eq!(world.hosts[B].tcp.accept_queue_len(listener), Some(2));
    let fourth = world.connect(A, "10.0.0.2:80");
    world.settle();
    assert_eq!(world.state(A, fourth), Some(State::SynSent), "its SYN was dropped, not refused");
    assert!(world.hosts[B].floor.counters.dropped(DropReason::TcpBacklogFull) > 0);
    let accepted: Vec<_> = std::iter::from_fn(|| world.accept(B, listener)).collect();
    assert_eq!(accepted.len(), 2);
    world.advance(Duration::from_secs(4));
    assert!(clients.iter().chain([&fourth]).all(|c| world.state(A, *c) == Some(State::Established)));
    let late: Vec<_> = std::iter::from_fn(|| world.accept(B, listener)).collect();
    assert_eq!(late.len(), 2);
}

#[test]
fn a_listener_on_any_address_and_port_tells_what_was_addressed() {
    let mut world = World::new();
    let particular = world.listen(B, "10.0.0.2:80", 8);
    let Host { tcp, .. } = &mut world.hosts[B];
    let tunnel = tcp.socket().expect("room");
    tcp.listen_any(tunnel, Scope::Any, 64).expect("fresh");
    world.connect(A, "93.184.216.34:443");
    world.connect(A, "[2001:db8::9]:8080");
    world.connect(A, "10.0.0.2:80");
    world.settle();
    let mut addressed: Vec<_> = std::iter::from_fn(|| world.accept(B, tunnel))
        .collect::<Vec<_>>()
        .into_iter()
        .map(|handle| world.hosts[B].tcp.local_addr(handle).expect("connected"))
        .collect();
    addressed.sort();
    assert_eq!(addressed, [addr("93.184.216.34:443"), addr("[2001:db8::9]:8080")]);
    assert!(world.accept(B, particular).is_some());
    assert!(world.hosts[B].tcp.ports.is_free(443), "a tunnel's connection holds no port of ours");
}

#[test]
fn one_local_port_serves_many_remotes() {
    let mut world = World::with(|config| config.ephemeral_ports = (50_000, 50_000));
    world.listen(B, "[::]:80", 16);
    world.listen(B, "[::]:81", 16);
    let clients: Vec<_> = ["10.0.0.2:80", "10.0.0.3:80", "10.0.0.2:81", "[fd00::2]:80"]
        .map(|remote| world.connect(A, remote))
        .into_iter()
        .collect();
    world.settle();
    for client in clients {
        assert_eq!(world.state(A, client), Some(State::Established));
        assert_eq!(world.hosts[A].tcp.local_addr(client).map(|addr| addr.port()), Some(50_000));
    }
    assert_eq!(world.try_connect(A, addr("10.0.0.2:80")), Err(ConnectError::AddrNotAvailable));
}

/// RFC 9293 MUST-42: a port is listened on while connections of the same port are in SYN-SENT and in SYN-RECEIVED; and MUST-41:
/// neither these nor an open one take notice.
#[test]
fn a_port_is_listened_on_beside_connections_that_open() {
    let mut world = World::new();
    let busy = |world: &mut World, remote: &str| {
        let Host { tcp, floor } = &mut world.hosts[A];
        let socket = tcp.socket().expect("room");
        tcp.set_option(world.now, floor, socket, TcpOption::ReuseAddress(true)).expect("fresh");
        tcp.bind(floor, socket, addr("10.0.0.1:70")).expect("all share");
        tcp.connect(world.now, floor, socket, addr(remote)).expect("begins");
        socket
    };
    world.listen(B, "10.0.0.2:79", 4);
    let open = busy(&mut world, "10.0.0.2:79");
    world.settle();
    let received = busy(&mut world, "10.0.0.2:71");
    world.take(A);
    world.deliver(A, &forged("10.0.0.2:71", "10.0.0.1:70", Flags::SYN, 5));
    let sent = busy(&mut world, "10.0.0.2:72");
    world.take(A);
    let states = |world: &World| [open, received, sent].map(|socket| world.state(A, socket));
    let before = [State::Established, State::SynReceived, State::SynSent].map(Some);
    assert_eq!(states(&world), before);
    let Host { tcp, floor } = &mut world.hosts[A];
    let listener = tcp.socket().expect("room");
    tcp.set_option(world.now, floor, listener, TcpOption::ReuseAddress(true)).expect("fresh");
    tcp.bind(floor, listener, addr("10.0.0.1:70")).expect("nobody listens there");
    tcp.listen(floor, listener, 4).expect("nobody listens there");
    assert_eq!(states(&world), before);
    world.connect(B, "10.0.0.1:70");
    world.settle();
    assert!(world.accept(A, listener).is_some());
    world.send(A, open, b"still here");
    world.settle();
    assert_eq!(world.state(A, open), Some(State::Established));
}

/// RFC 9293 3.5, figure 8, MUST-10.
#[test]
fn both_may_open_at_once() {
    let mut world = World::new();
    let mut sockets = Vec::new();
    for (at, local, remote) in [(A, "10.0.0.1:70", "10.0.0.2:71"), (B, "10.0.0.2:71", "10.0.0.1:70")] {
        let Host { tcp, floor } = &mut world.hosts[at];
        let socket = tcp.socket().expect("room");
        tcp.bind(floor, socket, addr(local)).expect("free");
        tcp.connect(world.now, floor, socket, addr(remote)).expect("begins");
        sockets.push(socket);
    }
    let (from_a, from_b) = (world.take(A), world.take(B));
    from_a.iter().for_each(|syn| world.deliver(B, syn));
    from_b.iter().for_each(|syn| world.deliver(A, syn));
    world.settle();
    assert_eq!(world.state(A, sockets[0]), Some(State::Established));
    assert_eq!(world.state(B, sockets[1]), Some(State::Established));
    world.send(A, sockets[0], b"hello");
    world.settle();
    assert_eq!(world.try_recv(B, sockets[1]), Ok(b"hello".to_vec()));
}

fn forged(src: &str, dst: &str, flags: Flags, seq: u32) -> Flying {
    let (src, dst) = (addr(src), addr(dst));
    let header =
        Header { src_port: src.port(), dst_port: dst.port(), seq, flags, window: 1000, ..Header::default() };
    let mut bytes = vec![0; header.header_len()];
    header.emit(&mut bytes);
    Flying { src: src.ip(), dst: dst.ip(), ecn: Ecn::NotEct, bytes }
}

#[test]
fn land_and_blat_find_nobody() {
    let mut world = World::new();
    world.listen(B, "10.0.0.2:80", 8);
    for flags in [Flags::SYN, Flags::SYN | Flags::FIN, Flags::ACK, Flags::SYN | Flags::URG] {
        world.deliver(B, &forged("10.0.0.2:80", "10.0.0.2:80", flags, 5));
    }
    assert!(world.take(B).is_empty());
    assert_eq!(world.hosts[B].tcp.half_open_len(), 0);
    assert_eq!(world.hosts[B].floor.counters.dropped(DropReason::TcpUnwanted), 4);
}

/// RFC 9293 3.10.7.1.
#[test]
fn strangers_are_answered_by_reset_and_resets_by_nothing() {
    let mut world = World::new();
    world.deliver(B, &forged("10.0.0.1:1000", "10.0.0.2:9", Flags::SYN, 5));
    world.deliver(B, &forged("10.0.0.1:1000", "10.0.0.2:9", Flags::ACK, 5));
    world.deliver(B, &forged("10.0.0.1:1000", "10.0.0.2:9", Flags::RST, 5));
    let answers: Vec<Header> = world.take(B).iter().map(Flying::header).collect();
    assert_eq!(answers.len(), 2);
    assert_eq!((answers[0].flags, answers[0].seq, answers[0].ack), (Flags::RST | Flags::ACK, 0, 6));
    assert_eq!((answers[1].flags, answers[1].seq), (Flags::RST, 0));
}

#[test]
fn answers_to_strangers_are_bounded() {
    let mut world = World::with(|config| config.tcp.replies_max = 10);
    for port in 1..=50 {
        world.deliver(B, &forged(&format!("10.0.0.1:{port}"), "10.0.0.2:9", Flags::SYN, 5));
    }
    assert_eq!(world.take(B).len(), 10);
    assert_eq!(world.hosts[B].floor.counters.dropped(DropReason::TcpAnswerLimited), 40);
}

#[test]
fn a_closed_listener_resets_those_who_wait() {
    let mut world = World::new();
    let listener = world.listen(B, "10.0.0.2:80", 8);
    let client = world.connect(A, "10.0.0.2:80");
    world.settle();
    world.close(B, listener);
    world.settle();
    assert_eq!(world.hosts[A].tcp.take_error(client), Some(ErrorKind::ConnectionReset));
    assert_eq!((world.hosts[B].tcp.sockets_len(), world.hosts[B].tcp.flows.len()), (0, 0));
    assert!(world.hosts[B].tcp.ports.is_free(80));
    assert_eq!(world.accept(B, listener), None, "the handle is dead");
    let Host { tcp, floor } = &mut world.hosts[B];
    assert_eq!(tcp.listen(floor, listener, 1), Err(ListenError::NoSuchSocket));
}

/// RFC 5927 4.1: an ICMP error is believed if it quotes what is in flight.
#[test]
fn icmp_errors_reach_the_connection_they_quote() {
    for (offset, believed) in [(0u32, true), (1_000_000, false)] {
        let mut world = World::new();
        let client = world.connect(A, "10.0.0.2:80");
        let mut quoted = world.take(A)[0].bytes.clone();
        let seq = u32::from_be_bytes([quoted[4], quoted[5], quoted[6], quoted[7]]);
        quoted[4..8].copy_from_slice(&(seq + offset).to_be_bytes());
        let ends = (addr("10.0.0.1:0").ip(), addr("10.0.0.2:0").ip());
        let Host { tcp, floor } = &mut world.hosts[A];
        assert_eq!(tcp.is_in_flight(ends.0, ends.1, &quoted), believed);
        tcp.handle_unreachable(world.now, floor, ends, &quoted, tcp::Unreachable::Port);
        let want = believed.then_some(ErrorKind::ConnectionRefused);
        assert_eq!(tcp.take_error(client), want);
        tcp.handle_unreachable(world.now, floor, ends, &quoted[..3], tcp::Unreachable::Port);
    }
}
