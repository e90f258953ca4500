//! What every network must do, as one suite that each implementation runs. A `Rig` is the network, a way to wait for
//! it, and a peer that is none of its own.

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;

use super::*;

/// A network on a bench, with peers.
pub(super) trait Rig {
    /// The other end of a stream.
    type Peer;
    /// The other end of a datagram.
    type Datagrams;
    fn network(&mut self) -> &mut dyn Network;
    /// Waits until something is ready, at most a few seconds.
    fn wait(&mut self, ready: &mut Vec<Readiness>);
    fn address(&self) -> SocketAddr;
    fn connect(&mut self, to: SocketAddr) -> Self::Peer;
    fn peer_send(&mut self, peer: &mut Self::Peer, bytes: &[u8]);
    /// Reads exactly `len` bytes.
    fn peer_recv(&mut self, peer: &mut Self::Peer, len: usize) -> Vec<u8>;
    /// Reads until the end.
    fn peer_recv_end(&mut self, peer: &mut Self::Peer) -> Vec<u8>;
    fn peer_end(&mut self, peer: &mut Self::Peer);
    /// One datagram there.
    fn peer_datagram(&mut self, to: SocketAddr, bytes: &[u8]) -> Self::Datagrams;
    /// What comes back from there.
    fn peer_answer(&mut self, peer: &mut Self::Datagrams) -> Vec<u8>;
}

const LISTENER: Key = 7;
const STREAM: Key = 70_000;

struct Bench<R: Rig> {
    rig: R,
    ready: VecDeque<Readiness>,
}

impl<R: Rig> Bench<R> {
    fn new(rig: R) -> Self {
        Self { rig, ready: VecDeque::new() }
    }

    /// Waits for a readiness of `key` that has `what`.
    fn await_ready(&mut self, key: Key, what: fn(&Readiness) -> bool) {
        for _ in 0..100 {
            while let Some(ready) = self.ready.pop_front() {
                if ready.key == key && what(&ready) {
                    return;
                }
            }
            let mut batch = Vec::new();
            self.rig.wait(&mut batch);
            self.ready.extend(batch);
        }
        panic!("key {key} never became ready");
    }

    fn listen(&mut self) -> (ListenerId, SocketAddr) {
        let address = self.rig.address();
        self.rig.network().listen(address, 16, LISTENER).expect("a free port")
    }

    fn accept(&mut self, listener: ListenerId) -> SocketId {
        loop {
            match self.rig.network().accept(listener) {
                Ok((stream, _)) => return self.rig.network().attach(stream, STREAM).expect("room"),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.await_ready(LISTENER, |r| r.readable);
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Reads `len` bytes in pieces of at most `piece`.
    fn read(&mut self, socket: SocketId, len: usize, piece: usize) -> Vec<u8> {
        let (mut all, mut buffer) = (Vec::new(), vec![0; piece]);
        while all.len() < len {
            match self.rig.network().recv(socket, &mut buffer) {
                Ok(Received { len: 0, .. }) => panic!("ended after {} bytes", all.len()),
                Ok(received) => {
                    all.extend_from_slice(&buffer[..received.len]);
                    if !received.more && all.len() < len {
                        self.await_ready(STREAM, |r| r.readable);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.await_ready(STREAM, |r| r.readable);
                }
                Err(error) => panic!("{error}"),
            }
        }
        all
    }

    /// Follows the contract to the end of the stream: recv while there may be more, else wait.
    fn read_to_end(&mut self, socket: SocketId) -> Vec<u8> {
        let (mut all, mut buffer) = (Vec::new(), vec![0; 4096]);
        loop {
            match self.rig.network().recv(socket, &mut buffer) {
                Ok(Received { len: 0, .. }) => return all,
                Ok(received) => {
                    all.extend_from_slice(&buffer[..received.len]);
                    if !received.more {
                        self.await_ready(STREAM, |r| r.readable);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.await_ready(STREAM, |r| r.readable);
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// Runs every clause, each on a fresh rig.
pub(super) fn check<R: Rig>(make: impl Fn() -> R) {
    bytes_cross_in_pieces(Bench::new(make()));
    an_end_behind_bytes_is_seen(Bench::new(make()));
    a_full_pipe_takes_what_fits_and_tells_when_there_is_room(Bench::new(make()));
    what_was_ready_before_attach_is_told_after_it(Bench::new(make()));
    a_taken_address_is_an_error(Bench::new(make()));
    datagrams_cross(Bench::new(make()));
    datagrams_carry_the_local_address_and_ecn(Bench::new(make()));
    a_shared_datagram_socket_sends(Bench::new(make()));
    what_tcp_knows_is_told(Bench::new(make()));
}

fn what_tcp_knows_is_told<R: Rig>(mut bench: Bench<R>) {
    let (listener, address) = bench.listen();
    let mut peer = bench.rig.connect(address);
    let socket = bench.accept(listener);
    bench.rig.peer_send(&mut peer, b"hello");
    bench.read(socket, 5, 64);
    let state = |bench: &mut Bench<R>| {
        let rows = bench.rig.network().tcp_facts(socket).expect("the connection stands");
        assert!(rows.iter().any(|(name, value)| *name == "rto" && value.ends_with(" ms")), "{rows:?}");
        assert!(rows.iter().any(|(name, value)| *name == "unacked" && value.starts_with('0')), "{rows:?}");
        rows.into_iter().find(|(name, _)| *name == "state").map(|(_, value)| value)
    };
    assert_eq!(state(&mut bench).as_deref(), Some("ESTABLISHED"));
    bench.rig.peer_end(&mut peer);
    assert_eq!(bench.read_to_end(socket), b"");
    assert_eq!(state(&mut bench).as_deref(), Some("CLOSE-WAIT"));
}

fn bytes_cross_in_pieces<R: Rig>(mut bench: Bench<R>) {
    let (listener, address) = bench.listen();
    assert_ne!(address.port(), 0);
    let mut peer = bench.rig.connect(address);
    let socket = bench.accept(listener);
    let sent: Vec<u8> = (0..100_000u32).map(|n| n as u8).collect();
    // In rounds, since nobody promises that a peer can send more than the pipe holds.
    for chunk in sent.chunks(10_000) {
        bench.rig.peer_send(&mut peer, chunk);
        assert_eq!(bench.read(socket, chunk.len(), 777), chunk);
    }
    let parts = [IoSlice::new(b"three"), IoSlice::new(b" "), IoSlice::new(b"parts")];
    assert_eq!(bench.rig.network().send_vectored(socket, &parts).expect("room"), 11);
    assert_eq!(bench.rig.peer_recv(&mut peer, 11), b"three parts");
    bench.rig.network().close(socket);
    assert_eq!(bench.rig.peer_recv_end(&mut peer), b"");
}

fn an_end_behind_bytes_is_seen<R: Rig>(mut bench: Bench<R>) {
    let (listener, address) = bench.listen();
    let mut peer = bench.rig.connect(address);
    let socket = bench.accept(listener);
    bench.rig.peer_send(&mut peer, b"last words");
    bench.rig.peer_end(&mut peer);
    assert_eq!(bench.read_to_end(socket), b"last words");
    // Half a close: ours still goes the other way.
    assert_eq!(bench.rig.network().send_vectored(socket, &[IoSlice::new(b"heard")]).expect("room"), 5);
    bench.rig.network().shutdown_write(socket).expect("connected");
    assert_eq!(bench.rig.peer_recv_end(&mut peer), b"heard");
    bench.rig.network().close(socket);
}

fn a_full_pipe_takes_what_fits_and_tells_when_there_is_room<R: Rig>(mut bench: Bench<R>) {
    let (listener, address) = bench.listen();
    let mut peer = bench.rig.connect(address);
    let socket = bench.accept(listener);
    let block: Vec<u8> = (0..65_536u32).map(|n| (n % 251) as u8).collect();
    let mut sent = 0;
    let full = loop {
        assert!(sent < 1 << 30, "a pipe that never fills");
        match bench.rig.network().send_vectored(socket, &[IoSlice::new(&block[sent % block.len()..])]) {
            Ok(n) => sent += n,
            Err(error) => break error,
        }
    };
    assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
    let got = bench.rig.peer_recv(&mut peer, sent);
    assert!(got.iter().enumerate().all(|(at, byte)| *byte == block[at % block.len()]));
    bench.await_ready(STREAM, |r| r.writable);
    assert!(bench.rig.network().send_vectored(socket, &[IoSlice::new(b"more")]).is_ok());
}

fn what_was_ready_before_attach_is_told_after_it<R: Rig>(mut bench: Bench<R>) {
    let (listener, address) = bench.listen();
    let mut peer = bench.rig.connect(address);
    let socket = bench.accept(listener);
    bench.rig.peer_send(&mut peer, b"early");
    bench.await_ready(STREAM, |r| r.readable);
    let stream = bench.rig.network().detach(socket).expect("attached");
    bench.ready.clear();
    let socket = bench.rig.network().attach(stream, STREAM).expect("room");
    bench.await_ready(STREAM, |r| r.readable);
    assert_eq!(bench.read(socket, 5, 64), b"early");
}

fn a_taken_address_is_an_error<R: Rig>(mut bench: Bench<R>) {
    let (listener, address) = bench.listen();
    let again = bench.rig.network().listen(address, 16, LISTENER).expect_err("two listeners on one address");
    assert_eq!(again.kind(), io::ErrorKind::AddrInUse);
    bench.rig.network().close_listener(listener);
    bench.rig.network().listen(address, 16, LISTENER).expect("free again");

    let any = bench.rig.address();
    let (_, bound) = bench.rig.network().bind_udp(any, 1).expect("a free port");
    let again = bench.rig.network().bind_udp(bound, 2).expect_err("two sockets on one address");
    assert_eq!(again.kind(), io::ErrorKind::AddrInUse);
}

fn receive<R: Rig>(bench: &mut Bench<R>, udp: UdpId, key: Key) -> (Vec<u8>, DatagramMeta) {
    let mut space = vec![0; 65_536];
    let mut metas = Vec::new();
    loop {
        let buffers = &mut [IoSliceMut::new(&mut space)];
        match bench.rig.network().recv_datagrams(udp, buffers, &mut metas) {
            Ok(count) => {
                assert_eq!((count, metas.len()), (1, 1));
                return (space[..metas[0].len].to_vec(), metas[0]);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => bench.await_ready(key, |r| r.readable),
            Err(error) => panic!("{error}"),
        }
    }
}

fn datagrams_carry_the_local_address_and_ecn<R: Rig>(mut bench: Bench<R>) {
    let any = bench.rig.address();
    let (udp, address) = bench.rig.network().bind_udp(any, 3).expect("a free port");
    let mut peer = bench.rig.peer_datagram(address, b"ping");
    let (_, meta) = receive(&mut bench, udp, 3);
    assert_eq!(meta.local, Some(address.ip()));
    assert_eq!(meta.ecn, 0);
    let marked = Datagrams { ecn: 2, ..answer(&meta, b"marked") };
    bench.rig.network().send_datagrams(udp, &marked).expect("room");
    assert_eq!(bench.rig.peer_answer(&mut peer), b"marked");
}

fn answer(meta: &DatagramMeta, contents: &'static [u8]) -> Datagrams<'static> {
    Datagrams { remote: meta.remote, local: meta.local, contents, segment_size: None, ecn: 0 }
}

fn datagrams_cross<R: Rig>(mut bench: Bench<R>) {
    let any = bench.rig.address();
    let (udp, address) = bench.rig.network().bind_udp(any, 3).expect("a free port");
    let mut peer = bench.rig.peer_datagram(address, b"ping");
    let (bytes, meta) = receive(&mut bench, udp, 3);
    assert_eq!((&bytes[..], meta.stride), (&b"ping"[..], 4));
    bench.rig.network().send_datagrams(udp, &answer(&meta, b"pong")).expect("room");
    assert_eq!(bench.rig.peer_answer(&mut peer), b"pong");
    // Several in one call arrive as several, the last of them shorter, with their mark.
    if bench.rig.network().segments_max(udp) >= 3 {
        let several = Datagrams { segment_size: Some(100), ..answer(&meta, &[7; 250]) };
        bench.rig.network().send_datagrams(udp, &several).expect("room");
        for len in [100, 100, 50] {
            assert_eq!(bench.rig.peer_answer(&mut peer), vec![7; len]);
        }
    }
}

fn a_shared_datagram_socket_sends<R: Rig>(mut bench: Bench<R>) {
    let any = bench.rig.address();
    let (udp, address) = bench.rig.network().bind_udp(any, 3).expect("a free port");
    let mut peer = bench.rig.peer_datagram(address, b"ping");
    let (_, meta) = receive(&mut bench, udp, 3);
    let shared = bench.rig.network().share_udp(udp).expect("a descriptor");
    let other = bench.rig.network().attach_udp(shared, 4).expect("room");
    bench.rig.network().send_datagrams(other, &answer(&meta, b"from the other")).expect("room");
    assert_eq!(bench.rig.peer_answer(&mut peer), b"from the other");
    bench.rig.network().close_udp(other);
}
