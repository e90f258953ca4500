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
