use std::time::Duration;

use ::stack::{Config, InterfaceConfig, Secret};
use device::memory::{self, Memory};
use wire::meta::Capabilities;

use super::super::contract::{self, Rig};
use super::*;

/// How long the peer is waited for, in virtual time.
const WITHIN: Duration = Duration::from_secs(5);

/// A world of two: the network under test, and a host of the peer's own on the other end of a cable without delay.
struct Cable {
    network: StackNetwork<Memory>,
    now: Instant,
    peer: Stack,
    device: Memory,
}

fn host(address: &str, seed: u64) -> Stack {
    let interface = InterfaceConfig::ip(Capabilities::default()).with_address(address.parse().unwrap());
    let config = Config { interfaces: vec![interface], ..Config::default() };
    Stack::new(&config, &Secret::from_seed(seed), tcp::Instant::ZERO).unwrap()
}

impl Cable {
    fn new() -> Self {
        let (ours, theirs) = memory::pair(Capabilities::default());
        let network = StackNetwork::new("sim", host("10.0.0.1/24", 1), ours, 1);
        let mut cable = Self {
            network,
            now: Instant::from_nanos(1_000_000_000),
            peer: host("10.0.0.2/24", 2),
            device: theirs,
        };
        cable.network.begin_turn(cable.now, &mut Vec::new());
        cable
    }

    fn peer_now(&self) -> tcp::Instant {
        tcp::Instant::from_nanos(self.now.as_nanos())
    }

    /// One round of both ends. Answers whether anything moved; if not, the clock jumps to what is due next.
    fn step(&mut self, ready: &mut Vec<Readiness>) {
        let before = ready.len();
        self.network.end_turn();
        let now = self.peer_now();
        let nanos = Nanos(now.as_nanos());
        let batch = self.device.receive(nanos, 0, 64).unwrap();
        let mut moved = !batch.is_empty();
        self.peer.handle_frames(now, INTERFACE, batch);
        if self.peer.next_deadline(now).is_some_and(|at| at <= now) {
            self.peer.handle_deadline(now);
        }
        moved |= self.peer.poll_transmit(now, &mut self.device.transmit(nanos, 0)) > 0;
        self.device.flush(nanos, 0).unwrap();
        while self.peer.poll_ready().is_some() {}
        self.network.begin_turn(self.now, ready);
        if !moved && ready.len() == before {
            let peer = self.peer.next_deadline(now).map(|at| Instant::from_nanos(at.as_nanos()));
            let next = self.network.next_deadline().into_iter().chain(peer).min();
            self.now = next.expect("nothing is due and nothing moves").max(self.now);
        }
    }

    /// Steps until `done` gives something.
    fn until<T>(&mut self, mut done: impl FnMut(&mut Self) -> Option<T>) -> T {
        let end = self.now + WITHIN;
        let mut ready = Vec::new();
        loop {
            if let Some(value) = done(self) {
                // What became ready meanwhile is still the test's to hear.
                self.network.told.append(&mut ready);
                return value;
            }
            assert!(self.now <= end, "waited too long");
            self.step(&mut ready);
        }
    }
}

impl Rig for Cable {
    type Peer = TcpHandle;
    type Datagrams = UdpHandle;

    fn network(&mut self) -> &mut dyn Network {
        &mut self.network
    }

    fn wait(&mut self, ready: &mut Vec<Readiness>) {
        let end = self.now + WITHIN;
        while ready.is_empty() {
            assert!(self.now <= end, "nothing became ready");
            self.step(ready);
        }
    }

    fn address(&self) -> SocketAddr {
        "10.0.0.1:0".parse().unwrap()
    }

    fn connect(&mut self, to: SocketAddr) -> TcpHandle {
        let now = self.peer_now();
        let peer = self.peer.tcp_connect_to(now, to).unwrap();
        self.until(|cable| {
            cable.peer.tcp_info(peer).filter(|info| info.state == tcp::State::Established).map(|_| ())
        });
        peer
    }

    fn peer_send(&mut self, peer: &mut TcpHandle, bytes: &[u8]) {
        let mut sent = 0;
        self.until(|cable| {
            let now = cable.peer_now();
            sent += cable.peer.tcp_send(now, *peer, &bytes[sent..], SendFlags::default()).unwrap_or(0);
            (sent == bytes.len()).then_some(())
        });
    }

    fn peer_recv(&mut self, peer: &mut TcpHandle, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        let mut got = 0;
        self.until(|cable| {
            let now = cable.peer_now();
            got += cable.peer.tcp_recv(now, *peer, &mut bytes[got..]).unwrap_or(0);
            (got == len).then_some(())
        });
        bytes
    }

    fn peer_recv_end(&mut self, peer: &mut TcpHandle) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.until(|cable| {
            let now = cable.peer_now();
            let mut buffer = [0; 4096];
            match cable.peer.tcp_recv(now, *peer, &mut buffer) {
                Ok(0) => return Some(()),
                Ok(len) => bytes.extend_from_slice(&buffer[..len]),
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
            None
        });
        bytes
    }

    fn peer_end(&mut self, peer: &mut TcpHandle) {
        let now = self.peer_now();
        self.peer.tcp_shutdown(now, *peer, Shutdown::Write).unwrap();
    }

    fn peer_datagram(&mut self, to: SocketAddr, bytes: &[u8]) -> UdpHandle {
        let now = self.peer_now();
        let peer = self.peer.udp_bind("10.0.0.2:0".parse().unwrap()).unwrap();
        self.peer.udp_connect(peer, to).unwrap();
        self.peer.udp_send_to(now, peer, bytes, to).unwrap();
        peer
    }

    fn peer_answer(&mut self, peer: &mut UdpHandle) -> Vec<u8> {
        self.until(|cable| {
            let mut buffer = [0; 4096];
            cable.peer.udp_recv(*peer, &mut buffer).ok().map(|got| buffer[..got.len].to_vec())
        })
    }
}

#[test]
fn the_stack_keeps_the_contract() {
    contract::check(Cable::new);
}

/// A session that leaves the loop's hands takes nothing of the next one at its place along.
#[test]
fn a_place_has_one_tenant_at_a_time() {
    let mut rig = Cable::new();
    let (listener, address) = rig.network.listen(rig.address(), 16, 1).unwrap();
    let mut first = rig.connect(address);
    let (stream, _) = rig.network.accept(listener).unwrap();
    let socket = rig.network.attach(stream, 5).unwrap();
    rig.peer_end(&mut first);
    rig.until(|cable| cable.network.places[socket.0 as usize].ending.then_some(()));
    rig.network.close(socket);
    rig.peer_recv_end(&mut first);
    let mut second = rig.connect(address);
    let (stream, _) = rig.network.accept(listener).unwrap();
    let again = rig.network.attach(stream, 6).unwrap();
    assert_eq!(again, socket, "the place is used again");
    rig.peer_send(&mut second, b"hello");
    let mut buffer = [0; 64];
    rig.until(|cable| cable.network.recv(again, &mut buffer).ok().filter(|received| received.len == 5));
}

#[test]
fn what_belongs_to_another_network_is_refused() {
    let mut rig = Cable::new();
    let foreign = TcpHandle { index: 77, generation: 3 };
    assert!(rig.network.attach(Stream::Stack(foreign), 1).is_err());
    let foreign = UdpHandle { index: 77, generation: 3 };
    assert!(rig.network.attach_udp(DatagramSocket::Stack(foreign), 1).is_err());
}

/// RFC 792, RFC 4443: errors and nothing else.
#[test]
fn icmp_errors_are_told_from_the_rest() {
    let v4 = |protocol: u8, kind: u8| {
        let mut packet = [0; 28];
        packet[0] = 0x45;
        packet[9] = protocol;
        packet[20] = kind;
        packet
    };
    assert!(is_icmp_error(&v4(1, 3)));
    assert!(!is_icmp_error(&v4(1, 8)), "an echo request");
    assert!(!is_icmp_error(&v4(6, 3)), "a TCP segment");
    let v6 = |next: u8, kind: u8| {
        let mut packet = [0; 48];
        packet[0] = 0x60;
        packet[6] = next;
        packet[40] = kind;
        packet
    };
    assert!(is_icmp_error(&v6(58, 2)));
    assert!(!is_icmp_error(&v6(58, 128)), "an echo request");
    assert!(!is_icmp_error(&[]));
}

/// Two loops behind one address, each with its queue, and a peer that can be made to choose the wrong one.
struct Twins {
    networks: [StackNetwork<Memory>; 2],
    queues: [Memory; 2],
    peer: Stack,
    now: Instant,
}

impl Twins {
    fn new() -> Self {
        let pairs = [memory::pair(Capabilities::default()), memory::pair(Capabilities::default())];
        let [(ours_0, theirs_0), (ours_1, theirs_1)] = pairs;
        // One secret for both, as for all queues of an interface.
        let network = |device| StackNetwork::new("sim", host("10.0.0.1/24", 1), device, 2);
        let mut twins = Self {
            networks: [network(ours_0), network(ours_1)],
            queues: [theirs_0, theirs_1],
            peer: host("10.0.0.2/24", 2),
            now: Instant::from_nanos(1_000_000_000),
        };
        twins.round(0);
        twins
    }

    /// What the peer has to say goes by this queue; both loops turn, and hand on what is the other's.
    fn round(&mut self, queue: usize) {
        let now = tcp::Instant::from_nanos(self.now.as_nanos());
        let nanos = Nanos(now.as_nanos());
        self.peer.poll_transmit(now, &mut self.queues[queue].transmit(nanos, 0));
        self.queues[queue].flush(nanos, 0).unwrap();
        // There, to the other, and back.
        for this in [0, 1, 0, 1] {
            self.networks[this].begin_turn(self.now, &mut Vec::new());
            while let Some(stray) = self.networks[this].poll_stray() {
                self.networks[1 - this].handle_stray(&stray);
            }
            self.networks[this].end_turn();
        }
        for queue in &mut self.queues {
            let batch = queue.receive(nanos, 0, 64).unwrap();
            self.peer.handle_frames(now, INTERFACE, batch);
        }
        while self.peer.poll_ready().is_some() {}
        self.now += Duration::from_millis(50);
    }
}

/// Whatever queue the kernel picks, a segment reaches the connection that it belongs to, and nobody answers it by RST.
#[test]
fn a_segment_that_comes_by_the_wrong_queue_reaches_its_connection() {
    for (syn, rest) in [(0, 1), (1, 0)] {
        let mut twins = Twins::new();
        let address = "10.0.0.1:5222".parse().unwrap();
        let listeners = [0, 1].map(|this: usize| twins.networks[this].listen(address, 16, 1).unwrap().0);
        let now = tcp::Instant::from_nanos(twins.now.as_nanos());
        let peer = twins.peer.tcp_connect_to(now, address).unwrap();
        twins.round(syn);
        twins.round(rest);
        assert_eq!(twins.peer.tcp_info(peer).map(|info| info.state), Some(tcp::State::Established));
        let (stream, _) = twins.networks[syn].accept(listeners[syn]).unwrap();
        assert!(twins.networks[rest].accept(listeners[rest]).is_err(), "it was opened once");
        let socket = twins.networks[syn].attach(stream, 5).unwrap();
        let now = tcp::Instant::from_nanos(twins.now.as_nanos());
        twins.peer.tcp_send(now, peer, b"hello", SendFlags::default()).unwrap();
        twins.round(rest);
        let mut buffer = [0; 64];
        assert_eq!(twins.networks[syn].recv(socket, &mut buffer).unwrap().len, 5);
        twins.networks[syn].close(socket);
        twins.round(rest);
        let now = tcp::Instant::from_nanos(twins.now.as_nanos());
        twins.peer.tcp_close(now, peer).unwrap();
        (0..3).for_each(|_| twins.round(rest));
        // We closed first, politely: no RST, and TIME-WAIT is where the connection was.
        assert_eq!(twins.networks[syn].stack().tcp_counts().time_wait, 1);
        assert_eq!(twins.networks[rest].stack().tcp_counts().time_wait, 0);
    }
}

/// What belongs to nobody is answered once, by the loop that it came to.
#[test]
fn a_segment_of_no_connection_is_reset_by_the_loop_that_it_came_to() {
    let mut twins = Twins::new();
    let address: SocketAddr = "10.0.0.1:5222".parse().unwrap();
    let now = tcp::Instant::from_nanos(twins.now.as_nanos());
    let peer = twins.peer.tcp_connect_to(now, address).unwrap();
    let listener = twins.networks[0].listen(address, 16, 1).unwrap().0;
    twins.round(0);
    twins.round(0);
    assert!(twins.networks[0].accept(listener).is_ok());
    // Its host is started anew, and knows nothing of it.
    let pairs = [memory::pair(Capabilities::default()), memory::pair(Capabilities::default())];
    let [(ours_0, theirs_0), (ours_1, theirs_1)] = pairs;
    let network = |device| StackNetwork::new("sim", host("10.0.0.1/24", 3), device, 2);
    twins.networks = [network(ours_0), network(ours_1)];
    twins.queues = [theirs_0, theirs_1];
    let now = tcp::Instant::from_nanos(twins.now.as_nanos());
    twins.peer.tcp_send(now, peer, b"are you there?", SendFlags::default()).unwrap();
    twins.round(1);
    let dealt_with = [0, 1].map(|this: usize| twins.networks[this].stack().counters().tcp_segments_received);
    assert_eq!(dealt_with, [0, 1]);
    assert_eq!(twins.peer.tcp_info(peer).map(|info| info.state), Some(tcp::State::Closed));
}
