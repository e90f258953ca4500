//! Two hosts in one process, joined by a cable in memory, through the sockets that programs use.

extern crate switchboard_net as net;

use device::memory;
use net::{Net, TcpListener, TcpStream, UdpSocket};
use stack::{Config, InterfaceConfig};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;
use wire::meta::Capabilities;

fn hosts() -> (Net, Net) {
    let (a, b) = memory::pair(Capabilities::default());
    let config = |addr: &str| {
        let interface = InterfaceConfig::ip(Capabilities::default());
        let interface = interface.with_address(addr.parse().expect("a prefix"));
        Config { interfaces: vec![interface], ..Config::default() }
    };
    (
        Net::start(a, &config("10.0.0.1/24")).expect("a host"),
        Net::start(b, &config("10.0.0.2/24")).expect("a host"),
    )
}

fn at(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

#[test]
fn a_stream_carries_both_ways_and_ends() {
    let (a, b) = hosts();
    let listener = TcpListener::bind(&b, at("10.0.0.2:80")).expect("bind");
    let server = std::thread::spawn(move || {
        let (mut stream, peer) = listener.accept().expect("accept");
        assert_eq!(peer.ip(), at("10.0.0.1:0").ip());
        let mut all = Vec::new();
        stream.read_to_end(&mut all).expect("read");
        all.reverse();
        stream.write_all(&all).expect("write");
    });
    let mut stream = TcpStream::connect(&a, at("10.0.0.2:80")).expect("connect");
    assert_eq!(stream.peer_addr().expect("peer"), at("10.0.0.2:80"));
    let data: Vec<u8> = (0..300_000).map(|i| (i * 7) as u8).collect();
    stream.write_all(&data).expect("write");
    stream.shutdown(Shutdown::Write).expect("shutdown");
    let mut back = Vec::new();
    stream.read_to_end(&mut back).expect("read");
    back.reverse();
    assert!(back == data, "{} octets came back", back.len());
    server.join().expect("the server");
}

#[test]
fn refusals_and_addresses_in_use_have_stds_words() {
    let (a, b) = hosts();
    let refused = TcpStream::connect(&a, at("10.0.0.2:9")).expect_err("nobody listens");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    let unreachable = TcpStream::connect(&a, at("192.0.2.1:9")).expect_err("no route");
    assert_eq!(unreachable.kind(), ErrorKind::NetworkUnreachable);
    let listener = TcpListener::bind(&b, at("10.0.0.2:80")).expect("bind");
    let taken = TcpListener::bind(&b, at("10.0.0.2:80")).expect_err("taken");
    assert_eq!(taken.kind(), ErrorKind::AddrInUse);
    drop(listener);
    TcpListener::bind(&b, at("10.0.0.2:80")).expect("free again");
    let foreign = TcpListener::bind(&b, at("10.0.0.7:80")).expect_err("not ours");
    assert_eq!(foreign.kind(), ErrorKind::AddrNotAvailable);
}

#[test]
fn a_read_that_waits_ends_with_its_time_and_never_when_nonblocking() {
    let (a, b) = hosts();
    let listener = TcpListener::bind(&b, at("10.0.0.2:80")).expect("bind");
    listener.set_nonblocking(true).expect("nonblocking");
    assert_eq!(listener.accept().expect_err("nobody came").kind(), ErrorKind::WouldBlock);
    listener.set_nonblocking(false).expect("blocking");
    let mut client = TcpStream::connect(&a, at("10.0.0.2:80")).expect("connect");
    let (mut server, _) = listener.accept().expect("accept");
    client.set_read_timeout(Some(Duration::from_millis(5))).expect("timeout");
    assert_eq!(client.read(&mut [0]).expect_err("silence").kind(), ErrorKind::WouldBlock);
    server.write_all(b"x").expect("write");
    client.set_read_timeout(Some(Duration::from_secs(30))).expect("timeout");
    assert_eq!(client.read(&mut [0; 8]).expect("one octet"), 1);
    assert_eq!(
        client.set_read_timeout(Some(Duration::ZERO)).expect_err("std's rule").kind(),
        ErrorKind::InvalidInput
    );
}

#[test]
fn datagrams_pings_and_the_end_of_a_host() {
    let (a, b) = hosts();
    let ours = UdpSocket::bind(&a, at("10.0.0.1:0")).expect("bind");
    let theirs = UdpSocket::bind(&b, at("10.0.0.2:53")).expect("bind");
    ours.send_to(b"question", at("10.0.0.2:53")).expect("send");
    let mut buffer = [0; 64];
    let (len, from) = theirs.recv_from(&mut buffer).expect("recv");
    theirs.send_to(&buffer[..len], from).expect("send");
    ours.set_read_timeout(Some(Duration::from_secs(30))).expect("timeout");
    assert_eq!(ours.recv(&mut buffer).expect("recv"), 8);
    ours.connect(at("10.0.0.2:9")).expect("connect");
    ours.send(b"anyone?").expect("send");
    assert_eq!(ours.recv(&mut buffer).expect_err("nobody").kind(), ErrorKind::ConnectionRefused);
    a.ping(at("10.0.0.2:0").ip(), 1, 56, Duration::from_secs(30)).expect("an answer");
    // Dropped handles end their thread, and leave nothing of the socket behind.
    drop(ours);
    assert_eq!(a.with_stack(|stack, _| stack.buffer_bytes()), 0);
    drop(a);
}

#[cfg(feature = "tokio")]
#[test]
fn tasks_wait_as_threads_do() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (a, b) = hosts();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind(&b, at("10.0.0.2:80")).expect("bind");
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept_async().await.expect("accept");
            let mut all = Vec::new();
            AsyncReadExt::read_to_end(&mut stream, &mut all).await.expect("read");
            AsyncWriteExt::write_all(&mut stream, &all).await.expect("write");
            AsyncWriteExt::shutdown(&mut stream).await.expect("shutdown");
        });
        let mut stream = TcpStream::connect_async(&a, at("10.0.0.2:80")).await.expect("connect");
        let data = vec![5; 1 << 20];
        AsyncWriteExt::write_all(&mut stream, &data).await.expect("write");
        AsyncWriteExt::shutdown(&mut stream).await.expect("shutdown");
        let mut back = Vec::new();
        AsyncReadExt::read_to_end(&mut stream, &mut back).await.expect("read");
        assert!(back == data);
        server.await.expect("the server");
    });
}
