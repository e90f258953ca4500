use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::time::Duration;

use super::super::contract::{self, Rig};
use super::*;

const WITHIN: Duration = Duration::from_secs(5);

struct Loopback {
    poll: mio::Poll,
    events: mio::Events,
    kernel: Kernel,
}

impl Loopback {
    fn new() -> Self {
        let poll = mio::Poll::new().unwrap();
        let kernel = Kernel::new(poll.registry().try_clone().unwrap(), 3);
        Self { poll, events: mio::Events::with_capacity(16), kernel }
    }
}

impl Rig for Loopback {
    type Peer = TcpStream;
    type Datagrams = UdpSocket;

    fn network(&mut self) -> &mut dyn Network {
        &mut self.kernel
    }

    fn wait(&mut self, ready: &mut Vec<Readiness>) {
        self.poll.poll(&mut self.events, Some(WITHIN)).unwrap();
        assert!(!self.events.is_empty(), "nothing became ready");
        for event in &self.events {
            assert_eq!(event.token().0 >> NETWORK_SHIFT, 3);
            self.kernel.handle_event(event, ready);
        }
    }

    fn address(&self) -> SocketAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    fn connect(&mut self, to: SocketAddr) -> TcpStream {
        let stream = TcpStream::connect(to).unwrap();
        stream.set_read_timeout(Some(WITHIN)).unwrap();
        stream
    }

    fn peer_send(&mut self, peer: &mut TcpStream, bytes: &[u8]) {
        peer.write_all(bytes).unwrap();
    }

    fn peer_recv(&mut self, peer: &mut TcpStream, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        peer.read_exact(&mut bytes).unwrap();
        bytes
    }

    fn peer_recv_end(&mut self, peer: &mut TcpStream) -> Vec<u8> {
        let mut bytes = Vec::new();
        peer.read_to_end(&mut bytes).unwrap();
        bytes
    }

    fn peer_end(&mut self, peer: &mut TcpStream) {
        peer.shutdown(Shutdown::Write).unwrap();
    }

    fn peer_datagram(&mut self, to: SocketAddr, bytes: &[u8]) -> UdpSocket {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(WITHIN)).unwrap();
        socket.connect(to).unwrap();
        socket.send(bytes).unwrap();
        socket
    }

    fn peer_answer(&mut self, peer: &mut UdpSocket) -> Vec<u8> {
        let mut reply = vec![0; 65_536];
        let len = peer.recv(&mut reply).unwrap();
        reply.truncate(len);
        reply
    }
}

#[test]
fn the_kernel_keeps_the_contract() {
    contract::check(Loopback::new);
}

#[test]
fn a_restarted_listener_ignores_time_wait() {
    let mut rig = Loopback::new();
    let (listener, address) = rig.kernel.listen("127.0.0.1:0".parse().unwrap(), 16, 1).unwrap();
    let mut peer = rig.connect(address);
    rig.wait(&mut Vec::new());
    let (stream, _) = rig.kernel.accept(listener).unwrap();
    let socket = rig.kernel.attach(stream, 2).unwrap();
    // The server closes first, so its port is left in TIME_WAIT.
    rig.kernel.close(socket);
    assert_eq!(rig.peer_recv_end(&mut peer), b"");
    drop(peer);
    rig.kernel.close_listener(listener);
    rig.kernel.listen(address, 16, 1).unwrap();
}

#[test]
fn accepted_sockets_inherit_the_listeners_options() {
    let mut rig = Loopback::new();
    let (listener, address) = rig.kernel.listen("127.0.0.1:0".parse().unwrap(), 16, 1).unwrap();
    let _peer = rig.connect(address);
    rig.wait(&mut Vec::new());
    let (stream, _) = rig.kernel.accept(listener).unwrap();
    let Stream::Descriptor(stream) = stream else { panic!("the kernel's streams are descriptors") };
    let socket = SockRef::from(&stream);
    assert!(socket.tcp_nodelay().unwrap());
    assert!(socket.keepalive().unwrap());
    assert_eq!(socket.tcp_user_timeout().unwrap(), Some(USER_TIMEOUT));
}

#[test]
fn datagram_sockets_never_share_an_address() {
    let mut rig = Loopback::new();
    let (udp, _) = rig.kernel.bind_udp("127.0.0.1:0".parse().unwrap(), 1).unwrap();
    assert!(!SockRef::from(&rig.kernel.datagrams[udp.0 as usize].socket).reuse_address().unwrap());
}
