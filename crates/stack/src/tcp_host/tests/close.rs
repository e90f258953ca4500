//! Closing: both orders, half-close, TIME-WAIT and reuse, orphans, full sinks, the budget.

use super::cable::{Host, addr};
use super::{A, B, World};
use crate::ready::Readiness;
use crate::socket::error::{BindError, ConnectError, RecvError, SendError, SocketError};
use crate::socket::options::TcpOption;
use std::io::ErrorKind;
use std::time::Duration;
use tcp::{Linger, State};

/// RFC 9293 3.6, figure 12; whoever closes first pays 2*MSL.
#[test]
fn the_first_to_close_waits_and_the_other_does_not() {
    for first in [A, B] {
        let mut world = World::new();
        let ends = world.pair();
        let handle = |at| if at == A { ends.0 } else { ends.1 };
        let second = 1 - first;
        world.close(first, handle(first));
        world.settle();
        assert_eq!(world.state(second, handle(second)), Some(State::CloseWait));
        assert!(world.readiness(second, handle(second)).contains(Readiness::READ_CLOSED));
        assert_eq!(world.try_recv(second, handle(second)), Ok(Vec::new()), "the end of the stream");
        world.close(second, handle(second));
        world.settle();
        assert_eq!(world.hosts[first].tcp.time_wait_len(), 1);
        assert_eq!(world.hosts[second].tcp.time_wait_len(), 0);
        assert_eq!(world.hosts[second].tcp.flows.len(), 0);
        world.advance(Duration::from_secs(59));
        assert_eq!(world.hosts[first].tcp.time_wait_len(), 1);
        world.advance(Duration::from_secs(2));
        assert_eq!(world.hosts[first].tcp.time_wait_len(), 0);
        assert_eq!(world.hosts[first].tcp.flows.len(), 0);
        assert_eq!(world.hosts.iter().map(|host| host.tcp.orphans()).sum::<usize>(), 0);
        assert_eq!(world.hosts.iter_mut().map(|h| h.tcp.memory_mut().budget.used()).sum::<usize>(), 0);
    }
}

#[test]
fn half_closed_data_still_flows_the_other_way() {
    let mut world = World::new();
    let (client, server) = world.pair();
    world.send(A, client, b"question");
    world.shutdown(A, client);
    world.settle();
    assert_eq!(world.try_send(A, client, b"more"), Err(SendError::BrokenPipe));
    assert_eq!(world.try_recv(B, server), Ok(b"question".to_vec()));
    assert_eq!(world.try_recv(B, server), Ok(Vec::new()));
    // After shutdown() FIN-WAIT-2 never ends by itself.
    world.advance(Duration::from_secs(600));
    assert_eq!(world.state(A, client), Some(State::FinWait2));
    world.send(B, server, b"a long answer");
    world.settle();
    assert_eq!(world.try_recv(A, client), Ok(b"a long answer".to_vec()));
    world.close(B, server);
    world.settle();
    assert_eq!(world.try_recv(A, client), Ok(Vec::new()));
    assert_eq!(world.hosts[A].tcp.time_wait_len(), 1);
    assert_eq!(world.try_recv(A, client), Ok(Vec::new()), "the end stays the end");
    world.close(A, client);
    world.settle();
    assert_eq!(world.hosts[A].tcp.sockets_len(), 0);
}

#[test]
fn after_close_a_peer_that_never_finishes_is_left_after_a_minute() {
    let mut world = World::new();
    let (client, _server) = world.pair();
    world.close(A, client);
    world.advance(Duration::from_secs(59));
    assert_eq!(world.hosts[A].tcp.sockets_len(), 1);
    world.advance(Duration::from_secs(2));
    assert_eq!(world.hosts[A].tcp.sockets_len(), 0);
}

#[test]
fn data_after_close_is_answered_by_reset() {
    let mut world = World::new();
    let (client, server) = world.pair();
    world.close(A, client);
    world.settle();
    world.send(B, server, b"too late");
    world.settle();
    assert_eq!(world.try_recv(B, server), Ok(Vec::new()), "the FIN came before the RST");
    assert_eq!(world.hosts[A].tcp.sockets_len(), 0);
    assert_eq!(world.hosts[A].tcp.time_wait_len(), 0);
}

#[test]
fn closing_with_data_unread_resets() {
    let mut world = World::new();
    let (client, server) = world.pair();
    world.send(B, server, b"never read");
    world.settle();
    world.close(A, client);
    world.settle();
    assert_eq!(world.hosts[B].tcp.take_error(server), Some(ErrorKind::ConnectionReset));
    assert_eq!(world.hosts[A].tcp.sockets_len(), 0);
}

#[test]
fn linger_zero_resets() {
    let mut world = World::new();
    let (client, server) = world.pair();
    let Host { tcp, floor } = &mut world.hosts[A];
    tcp.set_option(world.now, floor, client, TcpOption::Linger(Linger::Abort)).expect("open");
    world.close(A, client);
    world.settle();
    assert_eq!(world.try_recv(B, server), Err(RecvError::Failed(ErrorKind::ConnectionReset)));
    assert_eq!(world.hosts[A].tcp.flows.len() + world.hosts[B].tcp.flows.len(), 0);
}

#[test]
fn a_closed_handle_is_dead_though_the_connection_goes_on() {
    let mut world = World::new();
    let (client, server) = world.pair();
    world.send(A, client, b"last words");
    world.close(A, client);
    let Host { tcp, floor } = &mut world.hosts[A];
    assert!(tcp.is_closing(client));
    assert_eq!(tcp.close(world.now, floor, client), Err(SocketError::NoSuchSocket));
    assert_eq!(world.try_send(A, client, b"x"), Err(SendError::NoSuchSocket));
    assert!(world.hosts[A].tcp.info(client).is_none());
    assert_eq!(world.hosts[A].tcp.orphans(), 1);
    world.settle();
    assert_eq!(world.try_recv(B, server), Ok(b"last words".to_vec()));
    world.close(B, server);
    world.settle();
    assert!(!world.hosts[A].tcp.is_closing(client), "TIME-WAIT has nothing to say");
    assert_eq!(world.hosts[A].tcp.orphans(), 0);
}

/// DESIGN 5: a restarted server listens at once, TIME-WAIT or not; without SO_REUSEADDR it may not.
#[test]
fn a_restarted_server_listens_over_its_time_wait() {
    let mut world = World::new();
    let listener = world.listen(B, "10.0.0.2:80", 8);
    let client = world.connect(A, "10.0.0.2:80");
    world.settle();
    let server = world.accept(B, listener).expect("open");
    world.close(B, server);
    world.settle();
    world.close(A, client);
    world.settle();
    world.close(B, listener);
    assert_eq!(world.hosts[B].tcp.time_wait_len(), 1);
    let Host { tcp, floor } = &mut world.hosts[B];
    let plain = tcp.socket().expect("room");
    assert_eq!(tcp.bind(floor, plain, addr("0.0.0.0:80")), Err(BindError::AddrInUse));
    let again = world.listen(B, "10.0.0.2:80", 8);
    world.connect(A, "10.0.0.2:80");
    world.settle();
    assert!(world.accept(B, again).is_some());
}

/// RFC 6191, RFC 9293 MAY-2: the same four-tuple again while the server still waits.
#[test]
fn a_newer_syn_ends_the_wait() {
    for timestamps in [true, false] {
        let mut world = World::with(|config| {
            config.ephemeral_ports = (50_000, 50_000);
            config.tcp.connection.timestamps = timestamps;
        });
        let listener = world.listen(B, "10.0.0.2:80", 8);
        for round in 0..3 {
            let client = world.connect(A, "10.0.0.2:80");
            world.settle();
            assert_eq!(world.state(A, client), Some(State::Established), "round {round}");
            let server = world.accept(B, listener).expect("open");
            world.close(B, server);
            world.settle();
            world.close(A, client);
            world.settle();
            assert_eq!(world.hosts[B].tcp.time_wait_len(), 1, "one entry, however often");
            world.advance(Duration::from_secs(1));
        }
    }
}

/// Linux's tcp_tw_reuse: the end that waits calls again from the only port it has.
#[test]
fn our_own_wait_gives_way_to_our_own_call() {
    for (timestamps, reuse, works) in [(true, true, true), (false, true, false), (true, false, false)] {
        let mut world = World::with(|config| {
            config.ephemeral_ports = (50_000, 50_000);
            config.tcp.connection.timestamps = timestamps;
            config.tcp.time_wait_reuse = reuse;
        });
        let listener = world.listen(B, "10.0.0.2:80", 8);
        let client = world.connect(A, "10.0.0.2:80");
        world.settle();
        let server = world.accept(B, listener).expect("open");
        world.close(A, client);
        world.settle();
        world.close(B, server);
        world.settle();
        assert_eq!(world.hosts[A].tcp.time_wait_len(), 1);
        let again = |world: &mut World| world.try_connect(A, addr("10.0.0.2:80"));
        assert_eq!(again(&mut world), Err(ConnectError::AddrNotAvailable), "too soon");
        world.advance(Duration::from_secs(1));
        if !works {
            assert_eq!(again(&mut world), Err(ConnectError::AddrNotAvailable));
            world.advance(Duration::from_secs(60));
        }
        let client = again(&mut world).expect("the port is free for this destination");
        assert_eq!(world.hosts[A].tcp.time_wait_len(), 0);
        world.settle();
        let server = world.accept(B, listener).expect("open");
        world.send(A, client, b"again");
        world.settle();
        assert_eq!(world.try_recv(B, server), Ok(b"again".to_vec()));
        world.close(B, server);
        world.close(A, client);
        world.settle();
        world.advance(Duration::from_secs(130));
        assert_eq!((world.hosts[A].tcp.flows.len(), world.hosts[B].tcp.flows.len()), (0, 0));
    }
}

/// The peer never got the last ACK: the new SYN finds it in LAST-ACK, and it is brought to reason (RFC 9293 3.5.2, RFC 5961 4).
#[test]
fn a_call_that_ends_our_wait_gets_through_to_a_peer_that_missed_our_last_ack() {
    let mut world = World::with(|config| config.ephemeral_ports = (50_000, 50_000));
    let listener = world.listen(B, "10.0.0.2:80", 8);
    let client = world.connect(A, "10.0.0.2:80");
    world.settle();
    let server = world.accept(B, listener).expect("open");
    world.close(A, client);
    world.settle();
    world.close(B, server);
    let fins = world.take(B);
    for fin in &fins {
        world.deliver(A, fin);
    }
    world.cut = true;
    world.advance(Duration::from_secs(1));
    assert_eq!((world.hosts[A].tcp.time_wait_len(), world.hosts[B].tcp.flows.len()), (1, 1));
    world.cut = false;
    let client = world.connect(A, "10.0.0.2:80");
    world.advance(Duration::from_secs(3));
    assert_eq!(world.state(A, client), Some(State::Established));
}

/// A port of the program's own choice, with SO_REUSEADDR: at once, as Linux.
#[test]
fn a_bound_socket_calls_over_its_own_wait_at_once() {
    let mut world = World::new();
    let listener = world.listen(B, "10.0.0.2:80", 8);
    let now = world.now;
    for _ in 0..3 {
        let Host { tcp, floor } = &mut world.hosts[A];
        let client = tcp.socket().expect("room");
        tcp.set_option(now, floor, client, TcpOption::ReuseAddress(true)).expect("fresh");
        tcp.bind(floor, client, addr("10.0.0.1:4000")).expect("SO_REUSEADDR allows it");
        tcp.connect(now, floor, client, addr("10.0.0.2:80")).expect("timestamps allow it");
        world.settle();
        let server = world.accept(B, listener).expect("open");
        world.close(A, client);
        world.settle();
        world.close(B, server);
        world.settle();
        assert_eq!(world.hosts[A].tcp.time_wait_len(), 1, "the old entry has given way");
    }
}

#[test]
fn a_lost_last_ack_is_sent_again_from_time_wait() {
    let mut world = World::new();
    let (client, server) = world.pair();
    world.close(A, client);
    world.settle();
    world.close(B, server);
    let fin = world.take(B);
    world.deliver(A, &fin[0]);
    let ack = world.take(A);
    assert_eq!(ack.len(), 1);
    drop(ack);
    world.advance(Duration::from_secs(30));
    assert_eq!(world.hosts[B].tcp.sockets_len(), 1, "only the listener is left at B");
    assert_eq!(world.hosts[A].tcp.time_wait_len(), 1);
    // The FIN that came again restarted the wait.
    world.advance(Duration::from_secs(30));
    assert_eq!(world.hosts[A].tcp.time_wait_len(), 1);
    world.advance(Duration::from_secs(31));
    assert_eq!(world.hosts[A].tcp.time_wait_len(), 0);
}

#[test]
fn time_wait_is_bounded_and_the_oldest_goes_first() {
    let mut world = World::with(|config| config.tcp.time_wait_max = 3);
    let listener = world.listen(B, "10.0.0.2:80", 8);
    for _ in 0..5 {
        let client = world.connect(A, "10.0.0.2:80");
        world.settle();
        let server = world.accept(B, listener).expect("open");
        world.close(A, client);
        world.settle();
        world.close(B, server);
        world.settle();
    }
    let tcp = &world.hosts[A].tcp;
    assert_eq!((tcp.time_wait_len(), tcp.flows.len()), (3, 3));
    world.advance(Duration::from_secs(62));
    assert_eq!(world.hosts[A].tcp.flows.len(), 0);
}

#[test]
fn too_many_orphans_are_reset() {
    let mut world = World::with(|config| config.tcp.orphans_max = 2);
    let listener = world.listen(B, "10.0.0.2:80", 8);
    let clients: Vec<_> = (0..4).map(|_| world.connect(A, "10.0.0.2:80")).collect();
    world.settle();
    let servers: Vec<_> = std::iter::from_fn(|| world.accept(B, listener)).collect();
    clients.into_iter().for_each(|client| world.close(A, client));
    world.settle();
    let reset = servers
        .into_iter()
        .filter(|server| world.hosts[B].tcp.take_error(*server) == Some(ErrorKind::ConnectionReset))
        .count();
    assert_eq!(reset, 2);
    assert_eq!(world.hosts[A].tcp.orphans(), 2);
}

#[test]
fn a_full_sink_loses_nothing_and_flows_share_it() {
    let mut world = World::new();
    let listener = world.listen(B, "10.0.0.2:80", 8);
    let clients: Vec<_> = (0..3).map(|_| world.connect(A, "10.0.0.2:80")).collect();
    world.settle();
    let servers: Vec<_> = std::iter::from_fn(|| world.accept(B, listener)).collect();
    for client in &clients {
        world.send(A, *client, &[7; 14_000]);
    }
    world.hosts[A].floor.room = 6;
    let mut ports = std::collections::HashSet::new();
    for _ in 0..3 {
        let Host { tcp, floor } = &mut world.hosts[A];
        tcp.poll_transmit(world.now, floor, 64);
        assert!(floor.out.len() <= 6 && tcp.has_output());
        let batch: Vec<_> = floor.out.drain(..).collect();
        for flying in batch {
            ports.insert(flying.header().src_port);
            world.deliver(B, &flying);
        }
    }
    assert_eq!(ports.len(), 3, "each flow had its turn");
    world.advance(Duration::from_secs(1));
    let got: usize = servers.iter().map(|server| world.try_recv(B, *server).expect("data").len()).sum();
    assert_eq!(got, 3 * 14_000);
}

#[test]
fn a_device_that_cuts_gets_super_segments() {
    let mut world = World::new();
    world.hosts.iter_mut().for_each(|host| host.floor.tso_max = 65_535);
    let (client, server) = world.pair();
    world.send(A, client, &[1; 60_000]);
    let largest = world.take(A).iter().map(|flying| flying.bytes.len()).max().expect("something left");
    // Half of the initial window.
    assert_eq!(largest, 32 + 5 * 1448, "{largest}");
    world.advance(Duration::from_secs(5));
    let _ = server;
}

/// One byte budget covers all buffers: peers that take nothing stay inside it, and who waits for room is told of it.
#[test]
fn the_budget_bounds_all_buffers_and_waiting_programs_are_told() {
    let mut world = World::with(|config| config.buffer_bytes_max = 1 << 20);
    let listener = world.listen(B, "10.0.0.2:80", 64);
    let clients: Vec<_> = (0..40).map(|_| world.connect(A, "10.0.0.2:80")).collect();
    world.settle();
    let _servers: Vec<_> = std::iter::from_fn(|| world.accept(B, listener)).collect();
    world.cut = true;
    let mut refused = 0;
    for client in &clients {
        while world.try_send(A, *client, &[0; 16_384]).is_ok_and(|taken| taken > 0) {}
        refused += usize::from(world.try_send(A, *client, &[0; 1]) == Err(SendError::WouldBlock));
    }
    assert_eq!(refused, 40);
    let tcp = &mut world.hosts[A].tcp;
    assert!(tcp.memory_mut().budget.used() <= 1 << 20);
    let last = clients[39];
    world.readiness(A, last);
    for client in &clients[..20] {
        let Host { tcp, floor } = &mut world.hosts[A];
        tcp.abort(world.now, floor, *client).expect("open");
    }
    world.settle();
    assert!(world.readiness(A, last).contains(Readiness::WRITABLE));
    assert!(world.try_send(A, last, &[0; 1]).is_ok());
}
