//! Our own stack as a network: a `stack::Stack` over a device, polled inside the event loop.
//! Spec: the contract of `network`; DESIGN sections 5 and 6. Options are the kernel network's, by the same numbers.
//! Owns: the stack, the device, and eight octets a socket: whose it is.
//! Invariants: frames are taken only in `begin_turn` and leave only in `end_turn`, at the loop's time; no call sleeps or
//! reads a clock; once warm, nothing allocates a message. A stack's connections stay on the loop that accepted them: the
//! device delivers their segments there, and one that comes by another queue is handed on (`docs/decisions/0010`).
//! Not here: TCP and UDP themselves (`stack`), opening devices (`exchange`), what is traced (`trace`).

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::os::fd::AsRawFd;

use ::stack::socket::options::TcpOption;
use ::stack::socket::udp::{UdpOptions, UdpRecvError, UdpSend};
use ::stack::{Fragmentation, Handle, InterfaceId, Readiness as Bits, Stack, TcpHandle, UdpHandle};
use device::Device;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use slab::Slab;
use tcp::{KeepAliveSettings, SendFlags};
use wire::ip::Ecn;
use wire::meta::{Nanos, RxFrame};
use xmpp::time::Instant;

use super::kernel::{
    KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, KEEPALIVE_PROBES, NETWORK_SHIFT, UDP_BUFFER, USER_TIMEOUT,
};
use super::trace::{Answer, Flow, Question, Tap, Watches, ends};
use super::{
    DatagramMeta, DatagramSocket, Datagrams, Key, ListenerId, Network, Readiness, Received, Rows, SocketId,
    Stray, StrayTo, Stream, UdpId,
};

mod facts;
#[cfg(test)]
mod tests;

/// The one interface that faces the device.
const INTERFACE: InterfaceId = InterfaceId(0);
/// Frames taken from the device at a time, and times a turn: what is left waits for the next, so that a flood from
/// outside leaves the sessions their turn.
const FRAMES_MAX: usize = 64;
const BATCHES_A_TURN: usize = 8;
/// Hand-outs a turn. Each is bounded by the stack itself.
const TRANSMITS_A_TURN: usize = 8;
/// Datagrams that one call may hold: 40 fill 64 KiB, and the stack takes 128.
const SEGMENTS_MAX: usize = 64;
/// Packets for other loops kept until they are taken, which is once a turn; later ones are lost, as packets may be.
const STRAYS_MAX: usize = 512;

/// Whose a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// Nobody's yet: accepted, or given away. What became ready meanwhile is told to whoever attaches it.
    Nobody { readable: bool, writable: bool },
    /// The loop's, under this key.
    Key(u32),
}

/// One place of the stack's TCP table, as far as the loop knows it.
#[derive(Clone, Copy, Debug)]
struct Place {
    owner: Owner,
    /// Tells the place's tenants apart; the upper half of a handle.
    generation: u32,
    /// The peer has ended, or an error waits: what was read last is then no proof that nothing follows.
    ending: bool,
}

const VACANT: Place =
    Place { owner: Owner::Nobody { readable: false, writable: false }, generation: 0, ending: false };

#[derive(Debug)]
struct Datagram {
    handle: UdpHandle,
    key: Key,
    /// It was shared: another entry bound it, and closes it.
    borrowed: bool,
}

/// A stack over a device, as a network.
pub struct StackNetwork<D> {
    name: &'static str,
    stack: Stack,
    device: D,
    now: tcp::Instant,
    places: Vec<Place>,
    listeners: Slab<TcpHandle>,
    datagrams: Slab<Datagram>,
    /// What is told when the next turn begins.
    told: Vec<Readiness>,
    /// The device may have frames: it said so, or was not read empty.
    has_frames: bool,
    /// Loops that have a stack at the same address, this one among them.
    shared: u8,
    strays: VecDeque<Stray>,
    watches: Watches,
    /// Where frames are looked at on their way out, while something is watched.
    space: Vec<u8>,
    failed: bool,
}

impl<D: Device> StackNetwork<D> {
    /// A network that `switchboard who` calls `name`. `shared`: how many loops have a network at the same address, each on a
    /// queue of its own.
    pub fn new(name: &'static str, stack: Stack, device: D, shared: u8) -> Self {
        Self {
            name,
            stack,
            device,
            now: tcp::Instant::ZERO,
            places: Vec::new(),
            listeners: Slab::new(),
            datagrams: Slab::new(),
            told: Vec::new(),
            has_frames: true,
            shared,
            strays: VecDeque::new(),
            watches: Watches::default(),
            space: Vec::new(),
            failed: false,
        }
    }

    /// Polls the device's descriptor through `registry`, under the network number `number`.
    ///
    /// # Errors
    /// The poll refuses the descriptor.
    pub fn register(&self, registry: &Registry, number: u8) -> io::Result<()> {
        let Some(descriptor) = self.device.descriptor(0) else { return Ok(()) };
        let token = Token(usize::from(number) << NETWORK_SHIFT);
        registry.register(&mut SourceFd(&descriptor.as_raw_fd()), token, Interest::READABLE)
    }

    /// The stack, to look at.
    pub fn stack(&self) -> &Stack {
        &self.stack
    }

    fn place(&mut self, handle: TcpHandle) -> &mut Place {
        let index = handle.index as usize;
        if index >= self.places.len() {
            self.places.resize(index + 1, VACANT);
        }
        &mut self.places[index]
    }

    fn handle(&self, socket: SocketId) -> TcpHandle {
        TcpHandle { index: socket.0, generation: self.places[socket.0 as usize].generation }
    }

    fn listener(&mut self, address: SocketAddr, backlog: i32) -> io::Result<TcpHandle> {
        let now = self.now;
        let socket = self.stack.tcp_socket()?;
        let backlog = u32::try_from(backlog).unwrap_or(0);
        let timing = KeepAliveSettings {
            idle: KEEPALIVE_IDLE,
            interval: KEEPALIVE_INTERVAL,
            probes: KEEPALIVE_PROBES,
        };
        let options = [
            // A restarted exchange listens at once, whatever waits in TIME_WAIT.
            TcpOption::ReuseAddress(true),
            TcpOption::V6Only(true),
            TcpOption::NoDelay(true),
            TcpOption::KeepAlive(true),
            TcpOption::KeepAliveTiming(timing),
            TcpOption::UserTimeout(Some(USER_TIMEOUT)),
        ];
        let set = options
            .into_iter()
            .try_for_each(|option| self.stack.tcp_set_option(now, socket, option))
            .map_err(io::Error::from);
        let made = set
            .and_then(|()| Ok(self.stack.tcp_bind(socket, address)?))
            .and_then(|_| Ok(self.stack.tcp_listen(socket, backlog)?));
        if made.is_err() {
            // It was made a moment ago, so it can be closed.
            let _ = self.stack.tcp_close(now, socket);
        }
        made.map(|_| socket)
    }

    /// Takes what has arrived, within the turn's bound.
    fn receive(&mut self) {
        for _ in 0..BATCHES_A_TURN {
            let batch = match self.device.receive(Nanos(self.now.as_nanos()), 0, FRAMES_MAX) {
                Ok(batch) => batch,
                Err(error) => {
                    self.failed = true;
                    tracing::error!(network = self.name, %error, "the network's device is gone; its sessions end with it");
                    return;
                }
            };
            if batch.is_empty() {
                self.has_frames = false;
                return;
            }
            let mut by_one = false;
            if self.shared > 1 {
                for at in 0..batch.len() {
                    let frame = batch.frame(at);
                    if is_icmp_error(frame.bytes) {
                        stray(&mut self.strays, &frame, StrayTo::All);
                    }
                    by_one |= is_foreign(&self.stack, frame.bytes);
                }
            }
            by_one |= self.watches.is_on()
                && (0..batch.len()).any(|at| {
                    ends(batch.frame(at).bytes).is_some_and(|ends| self.watches.wants(false, ends))
                });
            if !by_one {
                self.stack.handle_frames(self.now, INTERFACE, batch);
                continue;
            }
            // One by one, so that the state that is told is the one after each, and what an earlier frame has opened is known.
            for at in 0..batch.len() {
                let frame = batch.frame(at);
                if self.shared > 1 && is_foreign(&self.stack, frame.bytes) {
                    stray(&mut self.strays, &frame, StrayTo::Next { asked: 1 });
                } else {
                    take(&mut self.stack, &mut self.watches, self.now, frame);
                }
            }
        }
    }

    /// Hands out what the stack has to send; through a tap, while something is watched.
    fn transmit(&mut self, nanos: Nanos) -> usize {
        let mut sink = self.device.transmit(nanos, 0);
        if !self.watches.is_on() {
            return self.stack.poll_transmit(self.now, &mut sink);
        }
        let mut tap = Tap { now: self.now, watches: &mut self.watches, inner: sink, space: &mut self.space };
        let sent = self.stack.poll_transmit(self.now, &mut tap);
        let stack = &self.stack;
        self.watches.fill(|local, remote| stack.tcp_state(local, remote));
        sent
    }

    /// Tells what the stack says has become ready.
    fn tell(&mut self, ready: &mut Vec<Readiness>) {
        ready.append(&mut self.told);
        while let Some((handle, bits)) = self.stack.poll_ready() {
            let has = |bit| bits.contains(bit);
            let ending = has(Bits::READ_CLOSED) || has(Bits::HANGUP) || has(Bits::ERROR);
            let (is_readable, is_writable) = (has(Bits::READABLE) || ending, has(Bits::WRITABLE));
            match handle {
                Handle::Tcp(handle) => {
                    let place = self.place(handle);
                    if place.generation != handle.generation {
                        *place = Place { generation: handle.generation, ..VACANT };
                    }
                    place.ending |= ending;
                    match &mut place.owner {
                        Owner::Nobody { readable, writable } => {
                            *readable |= is_readable;
                            *writable |= is_writable;
                        }
                        Owner::Key(key) => {
                            let key = *key as usize;
                            ready.push(Readiness { key, readable: is_readable, writable: is_writable });
                        }
                    }
                }
                Handle::Udp(handle) => {
                    let of_it = self.datagrams.iter().filter(|(_, datagram)| datagram.handle == handle);
                    ready.extend(of_it.filter(|(_, d)| !d.borrowed || is_writable).map(|(_, datagram)| {
                        Readiness {
                            key: datagram.key,
                            readable: is_readable && !datagram.borrowed,
                            writable: is_writable,
                        }
                    }));
                }
            }
        }
    }
}

/// Handles stay far below 2^32.
fn narrow(index: usize) -> u32 {
    u32::try_from(index).expect("fewer sockets than 2^32")
}

fn foreign() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "this socket is not of this stack")
}

/// Hands a frame to the stack, and keeps it if its conversation is watched.
fn take(stack: &mut Stack, watches: &mut Watches, now: tcp::Instant, frame: RxFrame<'_>) {
    stack.handle_frame(now, INTERFACE, frame);
    if watches.is_on()
        && let Some((protocol, remote, local)) = ends(frame.bytes)
    {
        let state = (protocol == Flow::TCP).then(|| stack.tcp_state(local, remote));
        let state = state.map(|state| state.unwrap_or(tcp::State::Closed));
        watches.record(now, false, frame.bytes, state);
    }
}

fn stray(strays: &mut VecDeque<Stray>, frame: &RxFrame<'_>, to: StrayTo) {
    if strays.len() < STRAYS_MAX {
        strays.push_back(Stray { packet: frame.bytes.to_vec(), meta: frame.meta, to });
    }
}

/// Whether a packet is a segment of a connection that this stack does not hold: another's, or nobody's. A SYN opens one wherever it
/// comes. (A fragment is judged by no port: it is put together by the stack that it came to, as datagrams are.)
fn is_foreign(stack: &Stack, packet: &[u8]) -> bool {
    const FLAGS: usize = 13;
    const SYN: u8 = 2;
    const ACK: u8 = 16;
    let Some((Flow::TCP, remote, local)) = ends(packet) else { return false };
    let is_fragment = remote.is_ipv4() && (packet[6] & 0x3f != 0 || packet[7] != 0);
    let header = if remote.is_ipv4() { usize::from(packet[0] & 15) * 4 } else { 40 };
    let opens = packet.get(header + FLAGS).is_none_or(|flags| flags & (SYN | ACK) == SYN);
    !opens && !is_fragment && stack.tcp_state(local, remote).is_none()
}

/// Whether a packet is an ICMP error (RFC 792, RFC 4443 2.1): it speaks of a flow that another loop may hold.
fn is_icmp_error(packet: &[u8]) -> bool {
    const ICMP: u8 = 1;
    const ICMPV6: u8 = 58;
    match packet {
        [first, ..] if first >> 4 == 4 => {
            let header = usize::from(first & 15) * 4;
            // Unreachable, time exceeded, parameter problem.
            packet.get(9) == Some(&ICMP) && matches!(packet.get(header), Some(3 | 11 | 12))
        }
        // ICMPv6 errors are the types below 128; no extension header stands before them in practice.
        [first, ..] if first >> 4 == 6 => {
            packet.get(6) == Some(&ICMPV6) && packet.get(40).is_some_and(|kind| *kind < 128)
        }
        _ => false,
    }
}

impl<D: Device + Send> Network for StackNetwork<D> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn listen(
        &mut self,
        address: SocketAddr,
        backlog: i32,
        key: Key,
    ) -> io::Result<(ListenerId, SocketAddr)> {
        let handle = self.listener(address, backlog)?;
        let bound = self.stack.tcp_local_addr(handle).unwrap_or(address);
        *self.place(handle) =
            Place { owner: Owner::Key(narrow(key)), generation: handle.generation, ending: false };
        Ok((ListenerId(narrow(self.listeners.insert(handle))), bound))
    }

    fn accept(&mut self, listener: ListenerId) -> io::Result<(Stream, SocketAddr)> {
        let (handle, remote) = self.stack.tcp_accept(self.listeners[listener.0 as usize])?;
        *self.place(handle) = Place { generation: handle.generation, ..VACANT };
        Ok((Stream::Stack(handle), remote))
    }

    fn close_listener(&mut self, listener: ListenerId) {
        if let Some(handle) = self.listeners.try_remove(listener.0 as usize) {
            *self.place(handle) = VACANT;
            let _ = self.stack.tcp_close(self.now, handle); // it is ours, so it is there
        }
    }

    fn attach(&mut self, stream: Stream, key: Key) -> io::Result<SocketId> {
        let Stream::Stack(handle) = stream else { return Err(foreign()) };
        let place = self.place(handle);
        if place.generation != handle.generation {
            return Err(foreign());
        }
        if let Owner::Nobody { readable, writable } = place.owner
            && (readable || writable)
        {
            self.told.push(Readiness { key, readable, writable });
        }
        self.place(handle).owner = Owner::Key(narrow(key));
        Ok(SocketId(handle.index))
    }

    fn detach(&mut self, socket: SocketId) -> io::Result<Stream> {
        let handle = self.handle(socket);
        // What was told of it may not have been dealt with.
        self.place(handle).owner = Owner::Nobody { readable: true, writable: true };
        Ok(Stream::Stack(handle))
    }

    fn recv(&mut self, socket: SocketId, buffer: &mut [u8]) -> io::Result<Received> {
        let handle = self.handle(socket);
        let len = self.stack.tcp_recv(self.now, handle, buffer)?;
        let ending = self.places[socket.0 as usize].ending;
        let more = len > 0 && (ending || self.stack.tcp_readable(handle).is_some_and(|left| left > 0));
        Ok(Received { len, more })
    }

    fn send_vectored(&mut self, socket: SocketId, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        let handle = self.handle(socket);
        Ok(self.stack.tcp_send_vectored(self.now, handle, buffers, SendFlags::default())?)
    }

    fn shutdown_write(&mut self, socket: SocketId) -> io::Result<()> {
        let handle = self.handle(socket);
        Ok(self.stack.tcp_shutdown(self.now, handle, Shutdown::Write)?)
    }

    fn close(&mut self, socket: SocketId) {
        let handle = self.handle(socket);
        *self.place(handle) = VACANT;
        let _ = self.stack.tcp_close(self.now, handle); // it is ours, so it is there
    }

    fn bind_udp(&mut self, address: SocketAddr, key: Key) -> io::Result<(UdpId, SocketAddr)> {
        let options = UdpOptions {
            takes_joined: true,
            // RFC 9000 14: QUIC's datagrams are not fragmented, and it probes for larger ones itself.
            fragmentation: Fragmentation::Probe,
            ..UdpOptions::default()
        };
        let handle = self.stack.udp_bind_with(address, None, true, options)?;
        self.stack.set_udp_buffers(handle, UDP_BUFFER, UDP_BUFFER);
        let bound = self.stack.udp_local_addr(handle).unwrap_or(address);
        let index = self.datagrams.insert(Datagram { handle, key, borrowed: false });
        Ok((UdpId(narrow(index)), bound))
    }

    fn share_udp(&mut self, socket: UdpId) -> io::Result<DatagramSocket> {
        Ok(DatagramSocket::Stack(self.datagrams[socket.0 as usize].handle))
    }

    fn attach_udp(&mut self, socket: DatagramSocket, key: Key) -> io::Result<UdpId> {
        let DatagramSocket::Stack(handle) = socket else { return Err(foreign()) };
        if self.stack.udp_local_addr(handle).is_none() {
            return Err(foreign());
        }
        Ok(UdpId(narrow(self.datagrams.insert(Datagram { handle, key, borrowed: true }))))
    }

    fn recv_datagrams(
        &mut self,
        socket: UdpId,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut Vec<DatagramMeta>,
    ) -> io::Result<usize> {
        let handle = self.datagrams[socket.0 as usize].handle;
        metas.clear();
        for buffer in buffers {
            let got = loop {
                match self.stack.udp_recv(handle, buffer) {
                    // A peer's ICMP error: QUIC finds out by itself.
                    Err(UdpRecvError::ConnectionRefused) => {}
                    other => break other,
                }
            };
            match got {
                Ok(got) => metas.push(DatagramMeta {
                    remote: got.remote,
                    local: Some(got.local),
                    len: got.len,
                    stride: got.segment_size.map_or(got.len, usize::from),
                    ecn: got.ecn.bits(),
                }),
                Err(error) if metas.is_empty() => return Err(error.into()),
                Err(_) => break,
            }
        }
        Ok(metas.len())
    }

    fn send_datagrams(&mut self, socket: UdpId, datagrams: &Datagrams<'_>) -> io::Result<()> {
        let handle = self.datagrams[socket.0 as usize].handle;
        let send = UdpSend {
            remote: Some(datagrams.remote),
            local: datagrams.local.filter(|local: &IpAddr| !local.is_unspecified()),
            ecn: Ecn::from_bits(datagrams.ecn),
            fragmentation: None,
            segment_size: datagrams.segment_size.and_then(|size| u16::try_from(size).ok()),
        };
        self.stack.udp_send(self.now, handle, datagrams.contents, &send)?;
        Ok(())
    }

    fn segments_max(&self, _socket: UdpId) -> usize {
        SEGMENTS_MAX
    }

    fn close_udp(&mut self, socket: UdpId) {
        if let Some(datagram) = self.datagrams.try_remove(socket.0 as usize)
            && !datagram.borrowed
        {
            let _ = self.stack.udp_close(datagram.handle); // it is ours, so it is there
        }
    }

    fn moves_between_loops(&self) -> bool {
        false
    }

    fn handle_event(&mut self, _event: &mio::event::Event, _ready: &mut Vec<Readiness>) {
        self.has_frames = true;
    }

    fn begin_turn(&mut self, now: Instant, ready: &mut Vec<Readiness>) {
        self.now = tcp::Instant::from_nanos(now.as_nanos());
        if self.watches.is_on() {
            self.watches.expire(self.now);
        }
        if self.failed {
            return self.tell(ready);
        }
        if self.has_frames || self.device.descriptor(0).is_none() {
            self.receive();
        }
        if self.stack.next_deadline(self.now).is_some_and(|at| at <= self.now) {
            self.stack.handle_deadline(self.now);
        }
        self.tell(ready);
    }

    fn end_turn(&mut self) {
        let nanos = Nanos(self.now.as_nanos());
        for _ in 0..TRANSMITS_A_TURN {
            let sent = self.transmit(nanos);
            if let Err(error) = self.device.flush(nanos, 0) {
                self.failed = true;
                tracing::error!(network = self.name, %error, "the network's device is gone; its sessions end with it");
            }
            if sent == 0 || self.failed {
                break;
            }
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let at_once = !self.told.is_empty() || self.stack.has_ready() || (self.has_frames && !self.failed);
        if at_once {
            return Some(Instant::from_nanos(self.now.as_nanos()));
        }
        let device = self.device.next_deadline().map(|at| at.0);
        let stack = self.stack.next_deadline(self.now).map(tcp::Instant::as_nanos);
        device.into_iter().chain(stack).min().map(Instant::from_nanos)
    }

    fn remote(&self, socket: SocketId) -> Option<SocketAddr> {
        self.stack.tcp_peer_addr(self.handle(socket))
    }

    fn tcp_facts(&self, socket: SocketId) -> Option<Rows> {
        self.stack.tcp_info(self.handle(socket)).map(|info| facts::rows(&info))
    }

    fn shows_frames(&self) -> bool {
        true
    }

    fn trace(&mut self, question: Question) -> Answer {
        self.watches.ask(self.now, question).map_or(Answer::Full, Answer::Watched)
    }

    fn poll_stray(&mut self) -> Option<Stray> {
        self.strays.pop_front()
    }

    fn handle_stray(&mut self, stray: &Stray) {
        let frame = RxFrame { bytes: &stray.packet, meta: stray.meta };
        match stray.to {
            StrayTo::Next { asked } if asked < self.shared && is_foreign(&self.stack, frame.bytes) => {
                self::stray(&mut self.strays, &frame, StrayTo::Next { asked: asked + 1 });
            }
            _ => take(&mut self.stack, &mut self.watches, self.now, frame),
        }
    }
}
