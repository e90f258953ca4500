//! Sockets like std's, over a TCP/IP stack in user space.
//!
//! A [`Net`] is a host of its own: a thread that drives a [`stack::Stack`] over a [`device::Device`]. [`TcpListener`],
//! [`TcpStream`] and [`UdpSocket`] are used as std's are, and block the calling thread; with the feature `tokio`, `TcpStream` is
//! also `AsyncRead` and `AsyncWrite`, and the other calls have `async` sisters.
//!
//! ```no_run
//! use std::io::{Read, Write};
//! use device::tun::{Options, Tun};
//! use net::{Net, TcpListener};
//! use stack::{Config, InterfaceConfig};
//! # extern crate switchboard_net as net;
//!
//! // The kernel is 10.7.0.1 on the link, this host 10.7.0.2.
//! let tun = Tun::open(&Options { addresses: vec![("10.7.0.1".parse().unwrap(), 24)], ..Options::default() })?;
//! let interface = InterfaceConfig::ip(device::Device::capabilities(&tun)).with_address("10.7.0.2/24".parse().unwrap());
//! let host = Net::start(tun, &Config { interfaces: vec![interface], ..Config::default() })?;
//!
//! let listener = TcpListener::bind(&host, "10.7.0.2:80".parse().unwrap())?;
//! let (mut stream, _) = listener.accept()?;
//! let mut request = [0; 1024];
//! let len = stream.read(&mut request)?;
//! stream.write_all(&request[..len])?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Examples
//! `examples/http` is hyper, unchanged, serving curl over a TUN; `examples/tunnel` takes whatever the kernel routes into a TUN and
//! forwards it (tun2socks in fifty lines); `examples/million` is an echo server with a million clients in memory.
//!
//! # What a program gets
//! One host has one interface, and its driver serves the first queue of the device. Whoever wants more of either, or no thread at all,
//! drives the [`stack::Stack`] itself, as `server` does: a loop a queue, a stack a loop.
//!
//! What is in it, beside four others (smoltcp 0.14, lwIP 2.2, gVisor's netstack, Linux 6.18). Ours is what `docs/conformance.md`, the crates'
//! tests and the examples show. The others' columns come from what their sources, options and open issues say (gVisor 995: no ECN; 5919:
//! packets without DF; 12319: no IP_MTU_DISCOVER), looked up in November 2026 and not tried out. "?" was looked for and neither found nor
//! ruled out.
//!
//! | | here | smoltcp | lwIP | gVisor | Linux |
//! | --- | --- | --- | --- | --- | --- |
//! | runs in | a process | a process, no heap needed | a process or none, no heap needed | a process | a kernel |
//! | language | Rust, `unsafe` in the TUN's system calls only | Rust | C | Go | C |
//! | many connections of one listener, with a backlog | yes | -: a socket each | yes | yes | yes |
//! | connections found by | one hash probe | a walk over all sockets | a walk over a list | a hash table | a hash table |
//! | an idle connection | 252 B | 5 KB with buffers of 2 + 2 KiB | not measured | not measured | 4 to 5 KB |
//! | TIME_WAIT apart from the connection | 48 B | - | ? | ? | 256 B |
//! | SYN cookies | yes | - | ? | yes | yes |
//! | window scaling | yes | yes | yes | yes | yes |
//! | timestamps | yes, with PAWS | if a generator is set, no PAWS | if switched on | yes | yes, with PAWS |
//! | SACK told; used to send again | yes; yes | in part; - | yes; ? | yes; yes | yes; yes |
//! | RACK-TLP; false alarms undone | yes; yes | -; - | ?; ? | yes; ? | yes; yes |
//! | congestion control | CUBIC, Reno | CUBIC, Reno, none | Reno | CUBIC, Reno | CUBIC, BBR and more |
//! | ECN | yes | - | ? | - | yes |
//! | path MTU discovery | yes | - | - | in part | yes |
//! | IPv4 fragments, both ways | yes | yes | yes | yes | yes |
//! | IPv6 neighbours, autoconfiguration | yes; yes | yes; from router advertisements | yes; yes | yes; yes | yes; yes |
//! | TSO, GRO over TUN (64 KiB a call) | yes; yes | - | - | yes; yes | yes; yes |
//! | sockets | like std's, and tokio's | polled | BSD's, and callbacks | Go's net.Conn | BSD's |
//! | DNS, DHCP | - | yes; yes | yes; yes | - | in user space |
//! | raw and ICMP sockets | ping only | yes | yes | yes | yes |
//! | TCP Fast Open, MD5 or AO, multipath | - | - | - | - | yes |
//! | whole in a deterministic simulation | yes | - | - | - | - |
//! | packetdrill runs against it | yes | - | - | yes | yes |
//!
//! Reading order: `driver` (the thread), `bell` (waiting for a socket), `tcp`, `udp`.
//!
//! Owns: clock, thread, sleep; the only place of these crates that has them. Invariants: the stack is touched by one thread at a
//! time; nobody waits while holding it.
//! Not here: any protocol rule (`stack`, `tcp`), how frames are carried (`device`).

#![forbid(unsafe_code)]

mod bell;
mod driver;
mod tcp;
mod udp;

pub use driver::Net;
pub use tcp::{TcpListener, TcpStream};
pub use udp::UdpSocket;
