//! Many connections: what one costs, and that work follows what happens, not how many exist.

use super::{A, B, World};
use crate::tcp_host::socket::Socket;
use std::time::Duration;
use tcp::State;

/// DESIGN 6: an idle connection is at most 256 bytes all told. Beside its record: its index entry (`demux` tests: under 11
/// bytes), its generation (4) and, with keep-alive off, no timer.
#[test]
fn an_idle_connection_is_small() {
    let record = size_of::<Socket>();
    assert!(record + 4 + 11 <= 256, "{record}, of which the connection {}", size_of::<tcp::Connection>());
}

#[test]
fn a_thousand_connections_at_once() {
    let mut world = World::new();
    let listener = world.listen(B, "10.0.0.2:80", 4_096);
    let clients: Vec<_> = (0..1_000).map(|_| world.connect(A, "10.0.0.2:80")).collect();
    world.settle();
    let servers: Vec<_> = std::iter::from_fn(|| world.accept(B, listener)).collect();
    assert_eq!(servers.len(), 1_000);
    for (number, client) in clients.iter().enumerate() {
        world.send(A, *client, &(number as u32).to_be_bytes());
    }
    world.settle();
    let mut got: Vec<u32> = servers
        .iter()
        .map(|server| {
            let data = world.try_recv(B, *server).expect("a number");
            u32::from_be_bytes(data.try_into().expect("four octets"))
        })
        .collect();
    got.sort_unstable();
    assert_eq!(got, (0..1_000).collect::<Vec<_>>());
    assert!(clients.iter().all(|client| world.state(A, *client) == Some(State::Established)));
    for client in clients {
        world.close(A, client);
    }
    world.settle();
    for server in servers {
        world.close(B, server);
    }
    world.settle();
    assert_eq!(world.hosts[A].tcp.time_wait_len(), 1_000);
    assert_eq!(world.hosts[B].tcp.flows.len(), 0);
    world.advance(Duration::from_secs(61));
    assert_eq!(world.hosts[A].tcp.flows.len(), 0);
}

/// An idle connection has no timer, and a turn with nothing to do touches none.
#[test]
fn idle_connections_ask_for_nothing() {
    let mut world = World::new();
    let listener = world.listen(B, "10.0.0.2:80", 4_096);
    for _ in 0..500 {
        world.connect(A, "10.0.0.2:80");
    }
    world.advance(Duration::from_secs(5));
    while world.accept(B, listener).is_some() {}
    world.advance(Duration::from_secs(5));
    for host in &world.hosts {
        assert_eq!(host.tcp.next_deadline(world.now), None);
        assert!(!host.tcp.has_output());
    }
}
