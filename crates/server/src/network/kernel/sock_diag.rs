//! What the kernel knows of one of its TCP connections: TCP_INFO, asked by both its addresses over netlink, so that no
//! unsafe call is needed.
//! Spec: Linux's sock_diag(7), inet_diag.h, tcp.h (`struct tcp_info`, which only ever grows).
//! Owns: a netlink socket for the length of one question. Invariants: the kernel looks one connection up, however many there
//! are, and answers before the question returns: nobody waits; an answer that is too short says less, never wrong.
//! Not here: connections of our own stack.

use std::io;
use std::net::{IpAddr, SocketAddr};

use crate::network::Rows;

/// TCP_INFO of the connection between `local` and `remote`; `None`: there is none, or the kernel does not say.
#[cfg(target_os = "linux")]
pub(super) fn tcp_info(local: SocketAddr, remote: SocketAddr) -> Option<Rows> {
    linux::ask(local, remote).ok().flatten()
}

/// Elsewhere nobody is asked.
#[cfg(not(target_os = "linux"))]
pub(super) fn tcp_info(_: SocketAddr, _: SocketAddr) -> Option<Rows> {
    None
}

#[cfg(target_os = "linux")]
mod linux {
    use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
    use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

    use super::{IpAddr, Rows, SocketAddr, io};

    const AF_INET: u8 = 2;
    const AF_INET6: u8 = 10;
    const IPPROTO_TCP: u8 = 6;
    /// linux/sock_diag.h.
    const SOCK_DIAG_BY_FAMILY: u16 = 20;
    /// linux/netlink.h: a request, for the one that matches.
    const REQUEST: u16 = 1;
    /// linux/inet_diag.h: the attribute that is `struct tcp_info`.
    const INET_DIAG_INFO: u16 = 2;
    /// Established and what follows it: of a listener, which the kernel finds for want of a connection, and of TIME-WAIT the
    /// information is another.
    const STATES: [u8; 5] = [1, 4, 5, 8, 9];
    const HEADER: usize = 16;
    const MESSAGE: usize = 72;
    /// One answer: headers, `struct tcp_info`, and what kernels to come add.
    const ANSWER_MAX: usize = 4096;

    pub(super) fn ask(local: SocketAddr, remote: SocketAddr) -> io::Result<Option<Rows>> {
        let socket = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            Some(SOCK_DIAG),
        )?;
        let kernel = SocketAddrNetlink::new(0, 0);
        rustix::net::sendto(&socket, &request(local, remote), SendFlags::empty(), &kernel)?;
        let mut buffer = [0; ANSWER_MAX];
        let (len, _) = rustix::net::recv(&socket, &mut buffer[..], RecvFlags::DONTWAIT)?;
        let answer = &buffer[..len];
        // Without a connection the answer is an error message.
        let found = u16_at(answer, 4) == Some(SOCK_DIAG_BY_FAMILY);
        let message = answer.get(HEADER..).filter(|message| found && message.len() >= MESSAGE);
        let message = message.filter(|message| STATES.contains(&message[1]));
        Ok(message.and_then(info).map(rows))
    }

    /// `struct nlmsghdr` and `struct inet_diag_req_v2`: the connection with these ends.
    pub(super) fn request(local: SocketAddr, remote: SocketAddr) -> Vec<u8> {
        let family = if local.is_ipv4() { AF_INET } else { AF_INET6 };
        let interface = if let SocketAddr::V6(remote) = remote { remote.scope_id() } else { 0 };
        let mut bytes = Vec::with_capacity(MESSAGE);
        bytes.extend(72u32.to_ne_bytes());
        bytes.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
        bytes.extend(REQUEST.to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend([family, IPPROTO_TCP, 1 << (INET_DIAG_INFO - 1), 0]);
        // Every state.
        bytes.extend([0xff; 4]);
        bytes.extend(local.port().to_be_bytes());
        bytes.extend(remote.port().to_be_bytes());
        bytes.extend(octets(local.ip()));
        bytes.extend(octets(remote.ip()));
        bytes.extend(interface.to_ne_bytes());
        // INET_DIAG_NOCOOKIE.
        bytes.extend([0xff; 8]);
        bytes
    }

    /// `__be32[4]`.
    fn octets(ip: IpAddr) -> [u8; 16] {
        match ip {
            IpAddr::V4(ip) => {
                let mut octets = [0; 16];
                octets[..4].copy_from_slice(&ip.octets());
                octets
            }
            IpAddr::V6(ip) => ip.octets(),
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

    fn received(rows: &Rows) -> Option<&str> {
        rows.iter().find(|(name, _)| *name == "octets received").map(|(_, value)| value.as_str())
    }

    #[test]
    fn the_kernel_tells_of_a_connection_by_its_addresses_and_of_which_end() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(address).unwrap();
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (mut server, remote) = listener.accept().unwrap();
            let local = server.local_addr().unwrap();
            client.write_all(&[7; 1000]).unwrap();
            server.read_exact(&mut [0; 1000]).unwrap();
            let rows = tcp_info(local, remote).expect("the kernel knows it");
            assert!(rows.contains(&("state", "ESTABLISHED".to_owned())), "{rows:?}");
            assert_eq!(received(&rows), Some("1000"));
            let other_end = tcp_info(remote, local).expect("both ends are here");
            assert_eq!(received(&other_end), Some("0"));
        }
    }

    /// A port repeats: the same client's port may face several of ours.
    #[test]
    fn of_two_connections_from_one_port_the_right_one_is_told_of() {
        let listeners = [(), ()].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let mut from = "127.0.0.1:0".parse::<SocketAddr>().unwrap();
        let clients = [0, 1].map(|at| {
            let client = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
            client.set_reuse_address(true).unwrap();
            client.bind(&from.into()).unwrap();
            from = client.local_addr().unwrap().as_socket().unwrap();
            client.connect(&listeners[at].local_addr().unwrap().into()).unwrap();
            TcpStream::from(client)
        });
        (&clients[1]).write_all(&[7; 1000]).unwrap();
        let (servers, remotes): (Vec<_>, Vec<_>) = listeners.iter().map(|it| it.accept().unwrap()).unzip();
        assert_eq!(remotes, [from; 2]);
        (&servers[1]).read_exact(&mut [0; 1000]).unwrap();
        let told = |at: usize| tcp_info(servers[at].local_addr().unwrap(), remotes[at]).unwrap();
        assert_eq!(received(&told(0)), Some("0"));
        assert_eq!(received(&told(1)), Some("1000"));
    }

    #[test]
    fn a_request_has_the_kernel_s_layout() {
        let bytes = linux::request("10.0.0.1:22136".parse().unwrap(), "10.0.0.2:4660".parse().unwrap());
        assert_eq!(bytes.len(), 72);
        assert_eq!(bytes[..4], 72u32.to_ne_bytes());
        assert_eq!(bytes[24..28], [0x56, 0x78, 0x12, 0x34]);
        assert_eq!(bytes[28..32], [10, 0, 0, 1]);
        assert_eq!(bytes[44..48], [10, 0, 0, 2]);
        assert_eq!(bytes[64..], [0xff; 8]);
    }

    #[test]
    fn nobody_is_where_nobody_is_or_where_somebody_only_listens() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let local = listener.local_addr().unwrap();
        assert_eq!(tcp_info(local, "192.0.2.1:9".parse().unwrap()), None);
    }
}
