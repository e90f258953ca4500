//! tun2socks in fifty lines: takes every TCP connection that the kernel routes into a TUN, whatever its address and port, and
//! forwards it with the kernel's own sockets, or through a SOCKS5 proxy.
//!
//! ```text
//! tunnel [PROXY:PORT]      then, as root: ip route add 198.51.100.0/24 dev tunnel0
//! ```
//! Without a proxy the forwarded connections must leave by another route than they came, or they would come back.

use device::Device;
use device::tun::{Options, Tun};
use stack::{Config, InterfaceConfig, InterfaceId, Prefix, RouteConfig};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::thread;
use switchboard_net::{Net, TcpListener, TcpStream};

fn main() -> io::Result<()> {
    let proxy: Option<SocketAddr> = std::env::args().nth(1).and_then(|addr| addr.parse().ok());
    let kernel = "10.78.0.1".parse().expect("an address"); // what the kernel's own connections come from
    let tun =
        Tun::open(&Options { name: "tunnel%d".into(), addresses: vec![(kernel, 24)], ..Options::default() })?;
    println!("{} is up; route to it what shall be forwarded", tun.name());
    let interface = InterfaceConfig { any_address: true, ..InterfaceConfig::ip(tun.capabilities()) };
    let everything = |prefix| RouteConfig { prefix, gateway: None, interface: InterfaceId(0), metric: 0 };
    let routes = vec![everything(Prefix::DEFAULT_V4), everything(Prefix::DEFAULT_V6)];
    let net = Net::start(tun, &Config { interfaces: vec![interface], routes, ..Config::default() })?;
    let listener = TcpListener::bind_any(&net)?;
    loop {
        let (inner, peer) = listener.accept()?;
        thread::spawn(move || {
            if let Err(error) = forward(inner, proxy) {
                eprintln!("{peer}: {error}");
            }
        });
    }
}

fn forward(inner: TcpStream, proxy: Option<SocketAddr>) -> io::Result<()> {
    let wanted = inner.local_addr()?; // where its peer meant to go
    let outer = match proxy {
        None => std::net::TcpStream::connect(wanted)?,
        Some(proxy) => through(std::net::TcpStream::connect(proxy)?, wanted)?,
    };
    let (mut inward, mut outward) = ((inner.clone(), outer.try_clone()?), (inner, outer));
    let back = thread::spawn(move || {
        io::copy(&mut inward.1, &mut inward.0).and_then(|_| inward.0.shutdown(Shutdown::Write))
    });
    io::copy(&mut outward.0, &mut outward.1)?;
    outward.1.shutdown(Shutdown::Write)?;
    back.join().unwrap_or(Ok(()))
}

/// RFC 1928: no authentication, CONNECT.
fn through(mut proxy: std::net::TcpStream, wanted: SocketAddr) -> io::Result<std::net::TcpStream> {
    proxy.write_all(&[5, 1, 0])?;
    proxy.read_exact(&mut [0; 2])?;
    let mut request = vec![5, 1, 0];
    match wanted.ip() {
        IpAddr::V4(addr) => request.extend([&[1][..], &addr.octets()].concat()),
        IpAddr::V6(addr) => request.extend([&[4][..], &addr.octets()].concat()),
    }
    request.extend(wanted.port().to_be_bytes());
    proxy.write_all(&request)?;
    let mut head = [0; 4];
    proxy.read_exact(&mut head)?;
    proxy.read_exact(&mut vec![0; if head[3] == 4 { 18 } else { 6 }])?;
    if head[1] == 0 { Ok(proxy) } else { Err(io::ErrorKind::ConnectionRefused.into()) }
}
