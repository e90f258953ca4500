//! What the kernel knows of one of its TCP connections: TCP_INFO, asked by address over netlink, so that no descriptor and
//! no unsafe call is needed.
//! Spec: Linux's sock_diag(7), inet_diag.h, tcp.h (`struct tcp_info`, which only ever grows).
//! Owns: a netlink socket for the length of one question. Invariants: an answer that is too short says less, never wrong.
//! Not here: connections of our own stack.

use std::io;
use std::net::{IpAddr, SocketAddr};

/// A connection's facts, for people: names and values.
pub(crate) type Rows = Vec<(&'static str, String)>;

/// TCP_INFO of the connection whose client is at `remote`; `None`: there is none, or the kernel does not say.
#[cfg(target_os = "linux")]
pub(crate) fn tcp_info(remote: SocketAddr) -> Option<Rows> {
    // A client of an IPv6 listener may have an IPv4 address in disguise (RFC 4291 2.5.5.2).
    [linux::AF_INET, linux::AF_INET6].into_iter().find_map(|family| linux::ask(family, remote).ok().flatten())
}

/// Elsewhere nobody is asked.
#[cfg(not(target_os = "linux"))]
pub(crate) fn tcp_info(_: SocketAddr) -> Option<Rows> {
    None
}

#[cfg(target_os = "linux")]
mod linux {
    use std::time::Duration;

    use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
    use rustix::net::sockopt::{Timeout, set_socket_timeout};
    use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

    use super::{IpAddr, Rows, SocketAddr, io};

    pub(super) const AF_INET: u8 = 2;
    pub(super) const AF_INET6: u8 = 10;
    const IPPROTO_TCP: u8 = 6;
    /// linux/sock_diag.h.
    const SOCK_DIAG_BY_FAMILY: u16 = 20;
    /// linux/netlink.h: a request, for all that match.
    const REQUEST_DUMP: u16 = 0x301;
    const NLMSG_ERROR: u16 = 2;
    const NLMSG_DONE: u16 = 3;
    /// linux/inet_diag.h: the attribute that is `struct tcp_info`.
    const INET_DIAG_INFO: u16 = 2;
    /// Established and what follows it, without TIME_WAIT and listeners, whose information is another.
    const STATES: u32 = 1 << 1 | 1 << 4 | 1 << 5 | 1 << 8 | 1 << 9;
    const HEADER: usize = 16;
    const MESSAGE: usize = 72;
    /// Messages that are read before the question is given up: ports repeat, but not so often.
    const MESSAGES_MAX: usize = 4096;

    pub(super) fn ask(family: u8, remote: SocketAddr) -> io::Result<Option<Rows>> {
        let socket = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            Some(SOCK_DIAG),
        )?;
        set_socket_timeout(&socket, Timeout::Recv, Some(Duration::from_secs(1)))?;
        let kernel = SocketAddrNetlink::new(0, 0);
        rustix::net::sendto(&socket, &request(family, remote.port()), SendFlags::empty(), &kernel)?;
        let mut buffer = vec![0; 32 * 1024];
        let mut seen = 0;
        while seen < MESSAGES_MAX {
            let (len, _) = rustix::net::recv(&socket, &mut buffer[..], RecvFlags::empty())?;
            let mut rest = &buffer[..len];
            while rest.len() >= HEADER {
                seen += 1;
                let size = (u32_at(rest, 0).unwrap_or(0) as usize).clamp(HEADER, rest.len());
                let kind = u16_at(rest, 4).unwrap_or(NLMSG_ERROR);
                if kind == NLMSG_DONE || kind == NLMSG_ERROR {
                    return Ok(None);
                }
                let message = &rest[HEADER..size];
                if remote_of(message).is_some_and(|ip| ip.to_canonical() == remote.ip().to_canonical()) {
                    return Ok(info(message).map(rows));
                }
                rest = &rest[size.next_multiple_of(4).min(rest.len())..];
            }
        }
        Ok(None)
    }

    /// `struct nlmsghdr` and `struct inet_diag_req_v2`: connections whose far port is this.
    pub(super) fn request(family: u8, port: u16) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(MESSAGE);
        bytes.extend(72u32.to_ne_bytes());
        bytes.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
        bytes.extend(REQUEST_DUMP.to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend([family, IPPROTO_TCP, 1 << (INET_DIAG_INFO - 1), 0]);
        bytes.extend(STATES.to_ne_bytes());
        bytes.extend([0; 2]);
        bytes.extend(port.to_be_bytes());
        bytes.extend([0; 36]);
        // INET_DIAG_NOCOOKIE.
        bytes.extend([0xff; 8]);
        bytes
    }

    fn remote_of(message: &[u8]) -> Option<IpAddr> {
        let octets: [u8; 16] = message.get(24..40)?.try_into().ok()?;
        match *message.first()? {
            AF_INET => Some(IpAddr::from([octets[0], octets[1], octets[2], octets[3]])),
            AF_INET6 => Some(IpAddr::from(octets)),
            _ => None,
        }
    }

    /// The attribute among those behind `struct inet_diag_msg`.
    fn info(message: &[u8]) -> Option<&[u8]> {
        let mut rest = message.get(MESSAGE..)?;
        loop {
            let size = usize::from(u16_at(rest, 0)?);
            let kind = u16_at(rest, 2)?;
            let value = rest.get(4..size)?;
            if kind == INET_DIAG_INFO {
                return Some(value);
            }
            rest = rest.get(size.next_multiple_of(4)..)?;
        }
    }

    /// `struct tcp_info` in words. Offsets are the structure's, which is ABI.
    fn rows(info: &[u8]) -> Rows {
        let mut rows = Rows::new();
        let mut row = |name, value: Option<String>| rows.extend(value.map(|value| (name, value)));
        let count = |at| u32_at(info, at).map(|value| value.to_string());
        let time = |at| u32_at(info, at).map(|micros| format!("{:.2} ms", f64::from(micros) / 1000.0));
        let since = |at| u32_at(info, at).map(|millis| format!("{millis} ms"));
        let long = |at: usize| Some(u64::from_ne_bytes(info.get(at..at + 8)?.try_into().ok()?).to_string());
        row("state", info.first().map(|state| state_name(*state).to_owned()));
        row("rtt", time(68));
        row("rttvar", time(72));
        row("rto", time(8));
        row("cwnd", count(80));
        row("ssthresh", count(76).map(|text| if text == "2147483647" { "none yet".into() } else { text }));
        row("mss", count(16));
        row("path mtu", count(60));
        row("unacked", count(24));
        row("lost", count(32));
        row("retransmitted", count(100));
        row("segments out", count(136));
        row("segments in", count(140));
        row("octets acknowledged", long(120));
        row("octets received", long(128));
        row("last data sent", since(44));
        row("last data received", since(52));
        rows
    }

    /// RFC 9293's names for the kernel's numbers (net/tcp_states.h).
    fn state_name(state: u8) -> &'static str {
        match state {
            1 => "ESTABLISHED",
            4 => "FIN-WAIT-1",
            5 => "FIN-WAIT-2",
            8 => "CLOSE-WAIT",
            9 => "LAST-ACK",
            _ => "other",
        }
    }

    fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
        Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
    }

    fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
        Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn the_kernel_tells_of_a_connection_by_its_address() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, remote) = listener.accept().unwrap();
        client.write_all(&[7; 1000]).unwrap();
        server.read_exact(&mut [0; 1000]).unwrap();
        let rows = tcp_info(remote).expect("the kernel knows it");
        let value = |wanted| rows.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.as_str());
        assert_eq!(value("state"), Some("ESTABLISHED"));
        // Of the two ends this is the one that received.
        assert_eq!(value("octets received"), Some("1000"));
        drop((client, server));
    }

    #[test]
    fn a_request_has_the_kernel_s_layout() {
        let bytes = linux::request(linux::AF_INET, 0x1234);
        assert_eq!(bytes.len(), 72);
        assert_eq!(bytes[..4], 72u32.to_ne_bytes());
        assert_eq!(bytes[26..28], [0x12, 0x34]);
        assert_eq!(bytes[64..], [0xff; 8]);
    }

    #[test]
    fn nobody_is_at_an_address_that_nobody_has() {
        assert_eq!(tcp_info("192.0.2.1:9".parse().unwrap()), None);
    }
}
