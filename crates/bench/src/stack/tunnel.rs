//! Goodput over a TUN device, the kernel's socket at the other end: ours by way of `net`'s `TcpStream`, smoltcp by its own interface.
//! Owns: the device, in the network namespace that this process was given.

use super::goodput::{PIECE, gbit};
use super::smol;
use device::Device;
use device::tun::{Options, Tun};
use net::{Net, TcpListener, TcpStream};
use smoltcp::iface::SocketSet;
use smoltcp::phy::{Medium, TunTapInterface};
use smoltcp::socket::tcp::Socket;
use stack::{Config, InterfaceConfig};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::process::Command;
use std::time::Instant;

/// Octets moved.
pub(super) const TOTAL: usize = 2 << 30;
const SMOLTCP_TOTAL: usize = 512 << 20;
const PORT: u16 = 7_000;

/// Moves `total` octets and says how fast, counted where they arrive.
fn pump(mut from: impl Write + Send + 'static, mut into: impl Read, total: usize) -> io::Result<f64> {
    let sender = std::thread::spawn(move || -> io::Result<()> {
        let data = vec![5; PIECE];
        let mut left = total;
        while left > 0 {
            let len = left.min(PIECE);
            from.write_all(&data[..len])?;
            left -= len;
        }
        // Kept until everything is there: dropping it would only close.
        from.flush()
    });
    let mut scratch = vec![0; PIECE];
    let mut moved = 0;
    let begun = Instant::now();
    while moved < total {
        match into.read(&mut scratch)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            len => moved += len,
        }
    }
    let took = begun.elapsed();
    sender.join().map_err(|_| io::Error::other("the sender ended"))??;
    Ok(gbit(moved, took))
}

/// From the kernel to us, or from us to the kernel.
pub(super) fn ours(into: bool) -> io::Result<f64> {
    let parse = |text: &str| text.parse::<SocketAddr>().map_err(io::Error::other);
    let kernel = "10.77.0.1".parse().map_err(io::Error::other)?;
    let tun = Tun::open(&Options { addresses: vec![(kernel, 24)], ..Options::default() })?;
    let prefix = "10.77.0.2/24".parse().map_err(|_| io::Error::other("a prefix"))?;
    let interface = InterfaceConfig::ip(tun.capabilities()).with_address(prefix);
    let host = Net::start(tun, &Config { interfaces: vec![interface], ..Config::default() })?;
    let listener = TcpListener::bind(&host, parse("10.77.0.2:7000")?)?;
    let theirs = std::net::TcpStream::connect(parse("10.77.0.2:7000")?)?;
    let (stream, _): (TcpStream, _) = listener.accept()?;
    if into { pump(theirs, stream, TOTAL) } else { pump(stream, theirs, TOTAL) }
}

fn ip(arguments: &str) -> io::Result<()> {
    let status = Command::new("ip").args(arguments.split(' ')).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("ip {arguments} failed"))) }
}

/// The same for smoltcp, its event loop on a thread of its own as `net`'s is.
pub(super) fn smoltcp(into: bool) -> io::Result<f64> {
    ip("tuntap add dev smol mode tun")?;
    ip("addr add 10.0.0.1/24 dev smol")?;
    ip("link set smol up")?;
    let mut device = TunTapInterface::new("smol", Medium::Ip)?;
    let mut interface = smol::interface(&mut device, 2);
    let mut sockets = SocketSet::new(vec![]);
    let handle = sockets.add(smol::new_socket(512 << 10));
    sockets.get_mut::<Socket<'_>>(handle).listen(PORT).map_err(io::Error::other)?;
    let kernel = std::thread::spawn(move || -> io::Result<f64> {
        let mut stream = std::net::TcpStream::connect(("10.0.0.2", PORT))?;
        if into {
            // The last octet read at the other end is not seen here; what the kernel has queued is small beside the whole.
            let begun = Instant::now();
            let data = vec![5; PIECE];
            for _ in 0..SMOLTCP_TOTAL / PIECE {
                stream.write_all(&data)?;
            }
            return Ok(gbit(SMOLTCP_TOTAL, begun.elapsed()));
        }
        let mut scratch = vec![0; PIECE];
        let (mut moved, begun) = (0, Instant::now());
        while moved < SMOLTCP_TOTAL {
            match stream.read(&mut scratch)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                len => moved += len,
            }
        }
        Ok(gbit(moved, begun.elapsed()))
    });
    let data = vec![5; PIECE];
    let mut scratch = vec![0; PIECE];
    while !kernel.is_finished() {
        let now = smoltcp::time::Instant::now();
        interface.poll(now, &mut device, &mut sockets);
        let socket = sockets.get_mut::<Socket<'_>>(handle);
        while socket.recv_slice(&mut scratch).is_ok_and(|len| len > 0) {}
        if !into {
            while socket.send_slice(&data).is_ok_and(|len| len > 0) {}
        }
    }
    kernel.join().map_err(|_| io::Error::other("the kernel's side ended"))?
}
