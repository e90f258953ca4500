//! The other end of the cable, for tests: packets by hand, and a look at what came.
//! Owns: the addresses that every test uses.

use crate::errno::Errno;
use crate::flags::Flags;
use crate::host::Host;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::RawFd;
use wire::ip::{Protocol, pseudo};
use wire::tcp::{Flags as Bits, Header, Packet};
use wire::{ipv4, tcp};

pub(crate) const LOCAL: Ipv4Addr = Ipv4Addr::new(192, 168, 0, 1);
pub(crate) const REMOTE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub(crate) const PORT: u16 = 8080;
/// The peer's port, and its ISS.
pub(crate) const PEER_PORT: u16 = 40_000;
pub(crate) const PEER_ISS: u32 = 7_000;

pub(crate) fn flags() -> Flags {
    Flags::parse("local=192.168.0.1/16,remote=192.0.2.1,mtu=1500").expect("flags")
}

pub(crate) fn at(ip: Ipv4Addr, port: u16) -> SocketAddr {
    SocketAddr::new(ip.into(), port)
}

/// A segment of the peer's, to `port` of ours.
pub(crate) fn segment(from: u16, port: u16, flags: Bits, seq: u32, ack: u32, text: &[u8]) -> Vec<u8> {
    segment_with(65_535, from, port, flags, seq, ack, text)
}

/// The same, with a window of its own.
pub(crate) fn segment_with(
    window: u16,
    from: u16,
    port: u16,
    flags: Bits,
    seq: u32,
    ack: u32,
    text: &[u8],
) -> Vec<u8> {
    let header = Header { src_port: from, dst_port: port, seq, ack, flags, window, ..Header::default() };
    let mut packet = vec![0; ipv4::HEADER_LEN + tcp::HEADER_LEN + text.len()];
    let len = tcp::HEADER_LEN + text.len();
    ipv4::Header::new(REMOTE, LOCAL, Protocol::TCP, 64, len as u16).emit(&mut packet);
    let segment = &mut packet[ipv4::HEADER_LEN..];
    header.emit(segment);
    segment[tcp::HEADER_LEN..].copy_from_slice(text);
    tcp::fill_checksum(segment, pseudo(REMOTE.into(), LOCAL.into(), Protocol::TCP, len).expect("one family"));
    packet
}

/// What a packet of ours says: flags, sequence number, acknowledgment, octets of text.
pub(crate) fn read(packet: &[u8]) -> (Bits, u32, u32, usize) {
    let ip = ipv4::Packet::new(packet).expect("an IPv4 packet");
    let segment = Packet::new(ip.payload()).expect("a segment");
    let sum = pseudo(ip.src().into(), ip.dst().into(), Protocol::TCP, ip.payload().len());
    assert!(sum.is_some_and(|sum| segment.checksum_is_valid(sum)), "packetdrill verifies checksums");
    (segment.flags(), segment.seq(), segment.ack(), segment.payload().len())
}

/// The port that a packet of ours comes from.
pub(crate) fn port_of(packet: &[u8]) -> u16 {
    let ip = ipv4::Packet::new(packet).expect("an IPv4 packet");
    Packet::new(ip.payload()).expect("a segment").src_port()
}

/// A socket that listens.
pub(crate) fn listener(host: &mut Host) -> Result<RawFd, Errno> {
    let fd = host.socket(libc::AF_INET, libc::SOCK_STREAM)?;
    host.bind(fd, at(LOCAL, PORT))?;
    host.listen(fd, 1)?;
    Ok(fd)
}

/// The peer's handshake with a listener; what our SYN was numbered.
pub(crate) fn shake_hands(host: &mut Host) -> u32 {
    host.inject(&segment(PEER_PORT, PORT, Bits::SYN, PEER_ISS, 0, b""));
    let (_, answer) = host.take_emitted().expect("a SYN,ACK");
    let (flags, iss, ack, _) = read(&answer);
    assert_eq!((flags, ack), (Bits::SYN | Bits::ACK, PEER_ISS + 1));
    host.inject(&segment(PEER_PORT, PORT, Bits::ACK, PEER_ISS + 1, iss + 1, b""));
    iss
}

/// A connection that a listener accepted; the descriptor and what our SYN was numbered.
pub(crate) fn connected(host: &mut Host) -> (RawFd, u32) {
    let listener = listener(host).expect("the port is free");
    let iss = shake_hands(host);
    let (fd, _) = host.accept(listener).expect("it is open");
    (fd, iss)
}
