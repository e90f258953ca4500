//! smoltcp 0.14 from crates.io, beside ours: the same work, by its own means.
//! Owns: a cable of memory for its `Device`. Invariants: checksums are made and verified, as its default is; its sockets have 2 + 2 KiB
//! of buffer, the least that carries the exchange, except where goodput is measured, there 512 KiB; no ACK is delayed where
//! that would stop a round (its timers would have to pass).
//! Not here: what it cannot do: a listener with a backlog (each socket listens for itself), TIME-WAIT apart from its socket.

use super::goodput::{PIECE, gbit};
use crate::ALLOCATOR;
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp::{CongestionControl, Socket, SocketBuffer, State};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr, IpEndpoint};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;

/// Sockets whose bytes are counted.
pub(super) const SOCKETS: usize = 4_096;
const SMALL: usize = 2_048;
const LARGE: usize = 512 << 10;

type Wire = Rc<RefCell<VecDeque<Vec<u8>>>>;

/// One end of a cable. Buffers go back to a pool, so that the allocator is not what is measured.
struct End {
    mtu: usize,
    receives: Wire,
    sends: Wire,
    pool: Wire,
}

fn cable(mtu: usize) -> [End; 2] {
    let (one, other, pool) = (Wire::default(), Wire::default(), Wire::default());
    [
        End { mtu, receives: one.clone(), sends: other.clone(), pool: pool.clone() },
        End { mtu, receives: other, sends: one, pool },
    ]
}

struct Rx {
    frame: Vec<u8>,
    pool: Wire,
}

impl RxToken for Rx {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        let result = read(&self.frame);
        self.pool.borrow_mut().push_back(self.frame);
        result
    }
}

struct Tx {
    sends: Wire,
    pool: Wire,
}

impl TxToken for Tx {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, write: F) -> R {
        let mut frame = self.pool.borrow_mut().pop_front().unwrap_or_default();
        frame.resize(len, 0);
        let result = write(&mut frame);
        self.sends.borrow_mut().push_back(frame);
        result
    }
}

impl Device for End {
    type RxToken<'a> = Rx;
    type TxToken<'a> = Tx;

    fn receive(&mut self, _: Instant) -> Option<(Rx, Tx)> {
        let frame = self.receives.borrow_mut().pop_front()?;
        let (sends, pool) = (self.sends.clone(), self.pool.clone());
        Some((Rx { frame, pool: pool.clone() }, Tx { sends, pool }))
    }

    fn transmit(&mut self, _: Instant) -> Option<Tx> {
        Some(Tx { sends: self.sends.clone(), pool: self.pool.clone() })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.mtu;
        capabilities
    }
}

/// A host.
struct Host {
    interface: Interface,
    device: End,
    sockets: SocketSet<'static>,
}

pub(super) fn interface(device: &mut impl Device, last: u8) -> Interface {
    let mut interface = Interface::new(Config::new(HardwareAddress::Ip), device, Instant::ZERO);
    interface.update_ip_addrs(|addresses| {
        // One address of an interface that has none: it fits.
        let _ = addresses.push(IpCidr::new(IpAddress::v4(10, 0, 0, last), 24));
    });
    interface
}

impl Host {
    fn poll(&mut self, now: Instant) {
        self.interface.poll(now, &mut self.device, &mut self.sockets);
    }

    fn socket(&mut self, handle: SocketHandle) -> &mut Socket<'static> {
        self.sockets.get_mut(handle)
    }
}

fn hosts(mtu: usize) -> [Host; 2] {
    let mut last = 0;
    cable(mtu).map(|mut device| {
        last += 1;
        Host { interface: interface(&mut device, last), device, sockets: SocketSet::new(vec![]) }
    })
}

pub(super) fn new_socket(buffer: usize) -> Socket<'static> {
    let mut socket = Socket::new(SocketBuffer::new(vec![0; buffer]), SocketBuffer::new(vec![0; buffer]));
    socket.set_ack_delay(None);
    socket.set_nagle_enabled(false);
    socket.set_congestion_control(CongestionControl::None);
    socket
}

fn connect(host: &mut Host, handle: SocketHandle, remote: u16, local: u16) -> io::Result<()> {
    let Host { interface, sockets, .. } = host;
    let socket: &mut Socket<'static> = sockets.get_mut(handle);
    let remote = IpEndpoint::new(IpAddress::v4(10, 0, 0, 2), remote);
    socket.connect(interface.context(), remote, local).map_err(io::Error::other)
}

/// Polls both ends until `done` says so; each poll is a round of the cable.
fn until(
    hosts: &mut [Host; 2],
    now: Instant,
    mut done: impl FnMut(&mut [Host; 2]) -> bool,
) -> io::Result<()> {
    for _ in 0..1_000 {
        if done(hosts) {
            return Ok(());
        }
        hosts.iter_mut().for_each(|host| host.poll(now));
    }
    Err(io::Error::other("smoltcp did not come to an end"))
}

/// Bytes of a socket, its place in the set included; what it is in does not matter, TIME-WAIT least.
pub(super) fn socket_bytes() -> f64 {
    let before = ALLOCATOR.allocated();
    let mut set = SocketSet::new(vec![]);
    for _ in 0..SOCKETS {
        set.add(new_socket(SMALL));
    }
    let bytes = (ALLOCATOR.allocated() - before) as f64 / SOCKETS as f64;
    drop(set);
    bytes
}

/// Nanoseconds of one echo at the server, whose set holds `among` sockets: one is connected, the others listen elsewhere.
pub(super) fn echo(among: usize) -> io::Result<f64> {
    let rounds = (20_000_000 / (among + 1_000)).max(20);
    let mut hosts = hosts(1_500);
    let now = Instant::from_secs(1);
    for index in 1..among {
        let handle = hosts[1].sockets.add(new_socket(SMALL));
        let port = 1_000 + (index % 60_000) as u16;
        hosts[1].socket(handle).listen(port).map_err(io::Error::other)?;
    }
    let server = hosts[1].sockets.add(new_socket(SMALL));
    hosts[1].socket(server).listen(80).map_err(io::Error::other)?;
    let client = hosts[0].sockets.add(new_socket(SMALL));
    connect(&mut hosts[0], client, 80, 50_000)?;
    until(&mut hosts, now, |hosts| hosts[1].socket(server).state() == State::Established)?;
    let mut spent = std::time::Duration::ZERO;
    let mut scratch = [1; 64];
    for _ in 0..rounds {
        hosts[0].socket(client).send_slice(&scratch).map_err(io::Error::other)?;
        hosts[0].poll(now);
        let begun = std::time::Instant::now();
        hosts[1].poll(now);
        let len = hosts[1].socket(server).recv_slice(&mut scratch).map_err(io::Error::other)?;
        hosts[1].socket(server).send_slice(&scratch[..len]).map_err(io::Error::other)?;
        hosts[1].poll(now);
        spent += begun.elapsed();
        hosts[0].poll(now);
        if hosts[0].socket(client).recv_slice(&mut scratch) != Ok(64) {
            return Err(io::Error::other("an echo did not come"));
        }
    }
    Ok(spent.as_nanos() as f64 / rounds as f64)
}

/// Connections opened and closed a second, the client first; its sockets stay in TIME-WAIT in the set.
pub(super) fn open_and_close(count: usize) -> io::Result<f64> {
    let mut hosts = hosts(1_500);
    let now = Instant::from_secs(1);
    let server = hosts[1].sockets.add(new_socket(SMALL));
    let begun = std::time::Instant::now();
    for index in 0..count {
        hosts[1].socket(server).listen(80).map_err(io::Error::other)?;
        let client = hosts[0].sockets.add(new_socket(SMALL));
        connect(&mut hosts[0], client, 80, 1_024 + index as u16)?;
        until(&mut hosts, now, |hosts| hosts[0].socket(client).may_send())?;
        hosts[0].socket(client).send_slice(b"x").map_err(io::Error::other)?;
        hosts[0].socket(client).close();
        until(&mut hosts, now, |hosts| hosts[1].socket(server).can_recv())?;
        let mut scratch = [0; 8];
        hosts[1].socket(server).recv_slice(&mut scratch).map_err(io::Error::other)?;
        hosts[1].socket(server).close();
        until(&mut hosts, now, |hosts| {
            hosts[1].socket(server).state() == State::Closed
                && hosts[0].socket(client).state() == State::TimeWait
        })?;
    }
    Ok(count as f64 / begun.elapsed().as_secs_f64())
}

/// Gigabits a second, both ends on one core.
pub(super) fn goodput(mtu: usize, total: usize, warm_up: usize) -> io::Result<f64> {
    let mut hosts = hosts(mtu);
    let mut now = Instant::from_secs(1);
    let server = hosts[1].sockets.add(new_socket(LARGE));
    hosts[1].socket(server).listen(80).map_err(io::Error::other)?;
    let client = hosts[0].sockets.add(new_socket(LARGE));
    connect(&mut hosts[0], client, 80, 50_000)?;
    until(&mut hosts, now, |hosts| hosts[0].socket(client).may_send())?;
    let data = vec![5; PIECE];
    let mut scratch = vec![0; PIECE];
    let mut moved = 0;
    let mut begun = std::time::Instant::now();
    let mut warm = true;
    while moved < total {
        while hosts[0].socket(client).send_slice(&data).is_ok_and(|sent| sent > 0) {}
        hosts[0].poll(now);
        hosts[1].poll(now);
        while let Ok(len @ 1..) = hosts[1].socket(server).recv_slice(&mut scratch) {
            moved += len;
        }
        hosts[1].poll(now);
        now += Duration::from_micros(10);
        if warm && moved >= warm_up {
            (warm, moved, begun) = (false, 0, std::time::Instant::now());
        }
    }
    Ok(gbit(moved, begun.elapsed()))
}
