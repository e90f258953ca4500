use super::{Host, shutdown_of};
use crate::testing::*;
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr};
use std::time::Duration;
use wire::tcp::Flags;

fn host() -> Host {
    Host::new(flags())
}

#[test]
fn sockets_are_of_tcp_and_of_ip() {
    let mut host = host();
    assert_eq!(host.socket(libc::AF_UNIX, libc::SOCK_STREAM), Err(libc::EAFNOSUPPORT));
    assert_eq!(host.socket(libc::AF_INET, libc::SOCK_DGRAM), Err(libc::EPROTONOSUPPORT));
    let fd = host.socket(libc::AF_INET6, libc::SOCK_STREAM | libc::SOCK_NONBLOCK).expect("a socket");
    let made = host.descriptors.get(fd).expect("it is open");
    assert_eq!((made.domain, made.flags), (libc::AF_INET6, libc::O_NONBLOCK));
}

#[test]
fn calls_fail_in_linuxs_words() {
    let mut host = host();
    let fd = listener(&mut host).expect("the port is free");
    let other = host.socket(libc::AF_INET, libc::SOCK_STREAM).expect("a socket");
    assert_eq!(host.bind(other, at(LOCAL, PORT)), Err(libc::EADDRINUSE));
    assert_eq!(host.bind(other, at(Ipv4Addr::new(10, 9, 8, 7), 1)), Err(libc::EADDRNOTAVAIL));
    assert_eq!(host.accept(fd).err(), Some(libc::EAGAIN));
    assert_eq!(host.accept(other).err(), Some(libc::EINVAL));
    assert_eq!(host.recv(other, &mut [0; 4], 0), Err(libc::ENOTCONN));
    assert_eq!(host.send(other, b"x", 0), Err(libc::EPIPE));
    assert_eq!(host.listen(-1, 1), Err(libc::EBADF));
    assert_eq!(host.close(-1).err(), Some(libc::EBADF));
}

/// Every packet leaves in the call that caused it, stamped with its time.
#[test]
fn a_listener_shakes_hands_and_what_comes_can_be_read() {
    let mut host = host();
    let fd = listener(&mut host).expect("the port is free");
    let iss = shake_hands(&mut host);
    let (new, peer) = host.accept(fd).expect("it is open");
    assert_eq!(peer, at(REMOTE, PEER_PORT));
    host.now += Duration::from_millis(3);
    host.inject(&segment(PEER_PORT, PORT, Flags::ACK | Flags::PSH, PEER_ISS + 1, iss + 1, b"hello"));
    let (when, ack) = host.take_emitted().expect("an ACK, at once so early in a connection");
    assert_eq!((when, read(&ack)), (host.now, (Flags::ACK, iss + 1, PEER_ISS + 6, 0)));
    assert_eq!(host.readable(new), Ok(5));
    let mut out = [0; 16];
    assert_eq!(host.recv(new, &mut out, libc::MSG_PEEK).map(|got| got.len), Ok(5));
    assert_eq!(host.recv(new, &mut out, 0).map(|got| got.len), Ok(5), "a peek takes nothing");
    assert_eq!(&out[..5], b"hello");
    assert_eq!(host.recv(new, &mut out, 0), Err(libc::EAGAIN));
    assert_eq!(host.send(new, b"good day", 0), Ok(8));
    let (_, text) = host.take_emitted().expect("the text");
    assert_eq!(read(&text), (Flags::ACK | Flags::PSH, iss + 1, PEER_ISS + 6, 8));
    assert_eq!(host.take_emitted(), None);
}

/// connect(2): EINPROGRESS, EALREADY until the outcome is known, then the outcome, once.
#[test]
fn connect_tells_how_far_it_is() {
    for refused in [false, true] {
        let mut host = host();
        let fd = host.socket(libc::AF_INET, libc::SOCK_STREAM).expect("a socket");
        // In IPv6's clothes, as a script's mapped mode has it.
        let mapped = SocketAddr::new(IpAddr::V6(REMOTE.to_ipv6_mapped()), PORT);
        assert_eq!(host.connect(fd, mapped), Err(libc::EINPROGRESS));
        assert_eq!(host.connect(fd, mapped), Err(libc::EALREADY));
        let (_, syn) = host.take_emitted().expect("a SYN");
        let (bits, iss, ..) = read(&syn);
        assert_eq!(bits, Flags::SYN);
        let answer = if refused { Flags::RST | Flags::ACK } else { Flags::SYN | Flags::ACK };
        host.inject(&segment(PORT, port_of(&syn), answer, PEER_ISS, iss + 1, b""));
        let outcome = if refused { Err(libc::ECONNREFUSED) } else { Ok(()) };
        assert_eq!(host.connect(fd, mapped), outcome);
        if !refused {
            assert_eq!(host.connect(fd, mapped), Err(libc::EISCONN));
        }
    }
}

/// TCP_INQ: octets left behind a read, and one where only the end is left.
#[test]
fn a_read_tells_what_is_left() {
    let mut host = host();
    let (fd, iss) = connected(&mut host);
    host.descriptors.get_mut(fd).expect("it is open").inq = true;
    host.inject(&segment(PEER_PORT, PORT, Flags::ACK | Flags::FIN, PEER_ISS + 1, iss + 1, b"abcde"));
    let mut out = [0; 3];
    assert_eq!(host.recv(fd, &mut out, 0).map(|got| (got.len, got.inq)), Ok((3, Some(2))));
    assert_eq!(host.recv(fd, &mut out, 0).map(|got| (got.len, got.inq)), Ok((2, Some(1))));
    assert_eq!(host.recv(fd, &mut out, 0).map(|got| (got.len, got.inq)), Ok((0, Some(1))), "the end");
}

#[test]
fn poll_and_epoll_see_what_holds() {
    let mut host = host();
    let (fd, iss) = connected(&mut host);
    let (input, output) = (libc::EPOLLIN as u32, libc::EPOLLOUT as u32);
    assert_eq!(host.level(fd) & (input | output), output);
    let set = host.epoll_create().expect("a set");
    assert_eq!(host.epoll_control(set, libc::EPOLL_CTL_ADD, 9_999, input, 0), Err(libc::EBADF));
    host.epoll_control(set, libc::EPOLL_CTL_ADD, fd, input | libc::EPOLLET as u32, 77).expect("a new item");
    assert_eq!(host.epoll_wait(set, 4), Ok(vec![]));
    host.inject(&segment(PEER_PORT, PORT, Flags::ACK | Flags::PSH, PEER_ISS + 1, iss + 1, b"x"));
    assert_eq!(host.level(fd) & input, input);
    assert_eq!(host.epoll_wait(set, 4), Ok(vec![(input, 77)]));
    assert_eq!(host.epoll_wait(set, 4), Ok(vec![]), "an edge is told once");
    assert_eq!(host.epoll_wait(fd, 4), Err(libc::EINVAL), "a socket is no set");
}

#[test]
fn close_tells_whom_to_wait_for_only_where_the_socket_lingers() {
    for lingers in [false, true] {
        let mut host = host();
        let (fd, _) = connected(&mut host);
        if lingers {
            let span = tcp::Linger::Bounded(Duration::from_secs(2));
            host.set_option(fd, super::TcpOption::Linger(span)).expect("it is open");
        }
        let until =
            host.close(fd).expect("it is open").map(|(handle, until)| (host.is_closing(handle), until));
        let want = lingers.then(|| (true, host.now + Duration::from_secs(2)));
        assert_eq!(until, want);
        let (_, fin) = host.take_emitted().expect("a FIN");
        assert!(read(&fin).0.fin());
    }
}

#[test]
fn shutdown_has_three_ways() {
    let table = [
        (libc::SHUT_RD, Ok(Shutdown::Read)),
        (libc::SHUT_WR, Ok(Shutdown::Write)),
        (libc::SHUT_RDWR, Ok(Shutdown::Both)),
        (3, Err(libc::EINVAL)),
    ];
    for (how, want) in table {
        assert_eq!(shutdown_of(how), want);
    }
}
