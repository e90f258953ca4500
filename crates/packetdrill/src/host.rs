//! The host under examination: a stack, its virtual clock, and the calls of a program. No call here waits.
//! Spec: the calls are Linux's (socket(2), tcp(7), epoll(7)); `Err(EAGAIN)` stands for "would block" whatever O_NONBLOCK says.
//! Owns: the stack, made when the first socket is, so that sysctls set by the script's first command count; what was emitted, with
//! the time of its emission. Invariants: after every call all that can leave has left, stamped with the time of the call.
//! Not here: waiting and the passing of time (`turn`), options (`options`).

use crate::chrono::Times;
use crate::cut::cut;
use crate::descriptor::{Descriptors, Object};
use crate::epoll::Epoll;
use crate::errno::{self, Errno};
use crate::flags::Flags;
use crate::sysctl;
use stack::frame::{Capabilities, FrameQueue, RxFrame, RxMeta};
use stack::socket::error::{AcceptError, RecvError, SendError};
use stack::socket::options::TcpOption;
use stack::{
    Config, Handle, Instant, InterfaceConfig, InterfaceId, Prefix, Readiness, RouteConfig, Secret, Stack,
    TcpHandle,
};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr};
use std::os::fd::RawFd;
use tcp::{Ages, Linger, SendFlags, State, TcpInfo};

/// The one interface.
const INTERFACE: InterfaceId = InterfaceId(0);
/// Frames of one turn; a script's window is smaller.
const FRAMES_MAX: usize = 4_096;
/// The largest super-packet, as Linux's device-independent segmentation takes them.
const SUPER_PACKET: u32 = 65_535;
/// When the world begins. Far from zero, so that nothing is "before the start".
const START: Instant = Instant::from_secs(100_000);

/// An emitted packet and when it left.
pub(crate) type Emitted = (Instant, Vec<u8>);

/// What a call of `recv` came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) len: usize,
    /// TCP_CM_INQ, if asked for.
    pub(crate) inq: Option<libc::c_int>,
}

/// How shutdown() is meant.
pub(crate) fn shutdown_of(how: libc::c_int) -> Result<Shutdown, Errno> {
    match how {
        libc::SHUT_RD => Ok(Shutdown::Read),
        libc::SHUT_WR => Ok(Shutdown::Write),
        libc::SHUT_RDWR => Ok(Shutdown::Both),
        _ => Err(libc::EINVAL),
    }
}

/// The host.
#[derive(Debug)]
pub(crate) struct Host {
    flags: Flags,
    stack: Option<Stack>,
    pub(crate) now: Instant,
    pub(crate) descriptors: Descriptors,
    sink: FrameQueue,
    emitted: VecDeque<Emitted>,
}

impl Host {
    pub(crate) fn new(flags: Flags) -> Self {
        Host {
            flags,
            stack: None,
            now: START,
            descriptors: Descriptors::default(),
            sink: FrameQueue::new(FRAMES_MAX),
            emitted: VecDeque::new(),
        }
    }

    /// The stack, made on first use.
    pub(crate) fn stack(&mut self) -> Result<&mut Stack, Errno> {
        if self.stack.is_none() {
            let made = Stack::new(&config(self.flags), &Secret::from_seed(0), self.now);
            self.stack = Some(made.map_err(|_| libc::EINVAL)?);
        }
        self.stack.as_mut().ok_or(libc::EINVAL)
    }

    /// Lets everything leave that can, and tells epoll sets what happened.
    pub(crate) fn turn(&mut self) {
        let Some(stack) = &mut self.stack else { return };
        while stack.poll_transmit(self.now, &mut self.sink) > 0 {
            while let Some((frame, meta)) = self.sink.pop() {
                cut(&frame, meta, |packet| self.emitted.push_back((self.now, packet)));
                self.sink.recycle(frame);
            }
        }
        while let Some((handle, _)) = stack.poll_ready() {
            if let Handle::Tcp(handle) = handle
                && let Some(fd) = self.descriptors.of_tcp(handle)
            {
                self.descriptors.wake(fd);
            }
        }
        for (handle, chrono) in self.descriptors.chronos() {
            if chrono.wants_room && stack.tcp_level(self.now, handle).contains(Readiness::WRITABLE) {
                chrono.wants_room = false;
            }
            chrono.look(self.now, stack.tcp_info(handle).as_ref());
        }
    }

    /// When something will happen by itself.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.stack.as_ref()?.next_deadline(self.now)
    }

    /// Time has come to `now`.
    pub(crate) fn handle_deadline(&mut self, now: Instant) {
        self.now = self.now.max(now);
        if let Some(stack) = &mut self.stack {
            stack.handle_deadline(self.now);
        }
        self.turn();
    }

    /// A packet arrives.
    pub(crate) fn inject(&mut self, packet: &[u8]) {
        if let Some(stack) = &mut self.stack {
            let frames = [RxFrame { bytes: packet, meta: RxMeta::default() }];
            stack.handle_frames(self.now, INTERFACE, &frames[..]);
        }
        self.turn();
    }

    /// The oldest packet that was emitted.
    pub(crate) fn take_emitted(&mut self) -> Option<Emitted> {
        self.emitted.pop_front()
    }

    // --- The calls ---

    pub(crate) fn socket(&mut self, domain: libc::c_int, kind: libc::c_int) -> Result<RawFd, Errno> {
        if domain != libc::AF_INET && domain != libc::AF_INET6 {
            return Err(libc::EAFNOSUPPORT);
        }
        if kind & 0xf != libc::SOCK_STREAM {
            return Err(libc::EPROTONOSUPPORT);
        }
        let handle = self.stack()?.tcp_socket().map_err(|error| errno::of(error.kind()))?;
        let nonblocking = if kind & libc::SOCK_NONBLOCK != 0 { libc::O_NONBLOCK } else { 0 };
        self.descriptors.add(Object::Tcp(handle), domain, nonblocking)
    }

    pub(crate) fn bind(&mut self, fd: RawFd, addr: SocketAddr) -> Result<(), Errno> {
        let handle = self.descriptors.tcp(fd)?;
        let bound = self.stack()?.tcp_bind(handle, canonical(addr));
        bound.map(drop).map_err(|error| errno::of(error.kind()))
    }

    pub(crate) fn listen(&mut self, fd: RawFd, backlog: libc::c_int) -> Result<(), Errno> {
        let handle = self.descriptors.tcp(fd)?;
        let backlog = u32::try_from(backlog).unwrap_or(u32::MAX);
        self.stack()?.tcp_listen(handle, backlog).map(drop).map_err(|error| errno::of(error.kind()))
    }

    /// The new descriptor and the peer.
    pub(crate) fn accept(&mut self, fd: RawFd) -> Result<(RawFd, SocketAddr), Errno> {
        let handle = self.descriptors.tcp(fd)?;
        let (domain, buffers) = {
            let listener = self.descriptors.get(fd)?;
            (listener.domain, listener.buffers)
        };
        let (accepted, peer) = self.stack()?.tcp_accept(handle).map_err(|error| match error {
            AcceptError::WouldBlock => libc::EAGAIN,
            AcceptError::NotListening => libc::EINVAL,
            AcceptError::NoSuchSocket => libc::EBADF,
        })?;
        let new = self.descriptors.add(Object::Tcp(accepted), domain, 0)?;
        self.descriptors.get_mut(new)?.buffers = buffers;
        Ok((new, peer))
    }

    /// `Err(EINPROGRESS)` the first time, `Err(EALREADY)` until the outcome is known, then the outcome.
    pub(crate) fn connect(&mut self, fd: RawFd, remote: SocketAddr) -> Result<(), Errno> {
        let handle = self.descriptors.tcp(fd)?;
        let (now, remote) = (self.now, canonical(remote));
        if self.descriptors.get(fd)?.connecting {
            return self.connect_outcome(fd);
        }
        match self.info(handle) {
            Some(info) if info.state.is_synchronized() => return Err(libc::EISCONN),
            _ => {}
        }
        self.stack()?.tcp_connect(now, handle, remote).map_err(|error| errno::of(error.kind()))?;
        self.descriptors.get_mut(fd)?.connecting = true;
        self.turn();
        Err(libc::EINPROGRESS)
    }

    /// What became of a connect().
    pub(crate) fn connect_outcome(&mut self, fd: RawFd) -> Result<(), Errno> {
        let handle = self.descriptors.tcp(fd)?;
        let state = self.info(handle).map_or(State::Closed, |info| info.state);
        let outcome = match state {
            State::SynSent | State::SynReceived => return Err(libc::EALREADY),
            State::Closed => {
                let kind = self.stack()?.tcp_take_error(handle);
                Err(kind.map_or(libc::ECONNABORTED, errno::of))
            }
            _ => Ok(()),
        };
        self.descriptors.get_mut(fd)?.connecting = false;
        outcome
    }

    pub(crate) fn recv(&mut self, fd: RawFd, out: &mut [u8], flags: libc::c_int) -> Result<Received, Errno> {
        let handle = self.descriptors.tcp(fd)?;
        let inq = self.descriptors.get(fd)?.inq;
        let now = self.now;
        let stack = self.stack()?;
        let got = if flags & libc::MSG_PEEK != 0 {
            stack.tcp_peek(now, handle, out)
        } else {
            stack.tcp_recv(now, handle, out)
        };
        let len = got.map_err(|error| match error {
            RecvError::NoSuchSocket => libc::EBADF,
            RecvError::NotConnected => libc::ENOTCONN,
            RecvError::WouldBlock => libc::EAGAIN,
            RecvError::Failed(kind) => errno::of(kind),
        })?;
        self.turn();
        let inq = if inq { Some(self.in_queue(handle)?) } else { None };
        Ok(Received { len, inq })
    }

    /// TCP_INQ as Linux tells it: what is left, or one if only the end is.
    fn in_queue(&mut self, handle: TcpHandle) -> Result<libc::c_int, Errno> {
        let info = self.info(handle).ok_or(libc::ENOTCONN)?;
        let ended = info.state.peer_has_finished() || info.state == State::Closed;
        Ok(match info.unread {
            0 => libc::c_int::from(ended),
            unread => libc::c_int::try_from(unread).unwrap_or(libc::c_int::MAX),
        })
    }

    /// As much as there is room for.
    pub(crate) fn send(&mut self, fd: RawFd, data: &[u8], flags: libc::c_int) -> Result<usize, Errno> {
        let handle = self.descriptors.tcp(fd)?;
        let now = self.now;
        let meant = SendFlags {
            more: flags & libc::MSG_MORE != 0,
            end_of_record: flags & libc::MSG_EOR != 0,
            urgent: flags & libc::MSG_OOB != 0,
        };
        let taken = self.stack()?.tcp_send(now, handle, data, meant);
        if matches!(taken, Ok(len) if len < data.len()) || taken == Err(SendError::WouldBlock) {
            self.descriptors.get_mut(fd)?.chrono.wants_room = true;
        }
        self.turn();
        taken.map_err(|error| match error {
            SendError::NoSuchSocket => libc::EBADF,
            SendError::NotConnected | SendError::BrokenPipe => libc::EPIPE,
            SendError::WouldBlock => libc::EAGAIN,
            SendError::Failed(kind) => errno::of(kind),
        })
    }

    pub(crate) fn shutdown(&mut self, fd: RawFd, how: Shutdown) -> Result<(), Errno> {
        let handle = self.descriptors.tcp(fd)?;
        let now = self.now;
        self.stack()?.tcp_shutdown(now, handle, how).map_err(|error| errno::of(error.kind()))?;
        self.turn();
        Ok(())
    }

    /// The descriptor is gone. If the socket lingers: whom to wait for, and until when.
    pub(crate) fn close(&mut self, fd: RawFd) -> Result<Option<(TcpHandle, Instant)>, Errno> {
        let Object::Tcp(handle) = self.descriptors.remove(fd)? else { return Ok(None) };
        let now = self.now;
        let stack = self.stack()?;
        let linger = stack.tcp_settings(handle).map(|settings| settings.linger);
        stack.tcp_close(now, handle).map_err(|error| errno::of(error.kind()))?;
        self.turn();
        Ok(match linger {
            Some(Linger::Bounded(span)) => Some((handle, now + span)),
            _ => None,
        })
    }

    /// Whether a socket that lingers has still something to say.
    pub(crate) fn is_closing(&self, handle: TcpHandle) -> bool {
        self.stack.as_ref().is_some_and(|stack| stack.tcp_is_closing(handle))
    }

    pub(crate) fn info(&self, handle: TcpHandle) -> Option<TcpInfo> {
        self.stack.as_ref()?.tcp_info(handle)
    }

    pub(crate) fn ages(&self, handle: TcpHandle) -> Option<Ages> {
        self.stack.as_ref()?.tcp_ages(self.now, handle)
    }

    /// What a connection's time was spent on so far.
    pub(crate) fn times(&self, fd: RawFd) -> Times {
        self.descriptors.get(fd).map_or_else(|_| Times::default(), |it| it.chrono.at(self.now))
    }

    /// SIOCINQ: octets that can be read.
    pub(crate) fn readable(&mut self, fd: RawFd) -> Result<usize, Errno> {
        let handle = self.descriptors.tcp(fd)?;
        self.stack()?.tcp_readable(handle).ok_or(libc::EINVAL)
    }

    /// What poll() says of a descriptor now.
    pub(crate) fn level(&mut self, fd: RawFd) -> u32 {
        let Ok(handle) = self.descriptors.tcp(fd) else { return 0 };
        let Some(stack) = &mut self.stack else { return 0 };
        let level = stack.tcp_level(self.now, handle);
        let table = [
            (Readiness::READABLE, libc::EPOLLIN | libc::EPOLLRDNORM),
            (Readiness::WRITABLE, libc::EPOLLOUT | libc::EPOLLWRNORM),
            (Readiness::ERROR, libc::EPOLLERR),
            (Readiness::HANGUP, libc::EPOLLHUP),
            (Readiness::PRIORITY, libc::EPOLLPRI),
            (Readiness::READ_CLOSED, libc::EPOLLRDHUP),
        ];
        table.iter().filter(|(bit, _)| level.contains(*bit)).fold(0, |all, (_, word)| all | *word as u32)
    }

    pub(crate) fn epoll_create(&mut self) -> Result<RawFd, Errno> {
        self.descriptors.add(Object::Epoll(Epoll::default()), 0, 0)
    }

    fn epoll(&mut self, fd: RawFd) -> Result<&mut Epoll, Errno> {
        match &mut self.descriptors.get_mut(fd)?.object {
            Object::Epoll(epoll) => Ok(epoll),
            Object::Tcp(_) => Err(libc::EINVAL),
        }
    }

    pub(crate) fn epoll_control(
        &mut self,
        set: RawFd,
        op: libc::c_int,
        fd: RawFd,
        events: u32,
        data: u64,
    ) -> Result<(), Errno> {
        self.descriptors.get(fd)?;
        self.epoll(set)?.control(op, fd, events, data)
    }

    /// What is ready of a set; empty stands for "would block".
    pub(crate) fn epoll_wait(&mut self, set: RawFd, max: usize) -> Result<Vec<(u32, u64)>, Errno> {
        let woken = self.epoll(set)?.woken();
        let levels: Vec<(RawFd, u32)> = woken.into_iter().map(|fd| (fd, self.level(fd))).collect();
        let level = |fd| levels.iter().find(|(other, _)| *other == fd).map_or(0, |(_, level)| *level);
        Ok(self.epoll(set)?.wait(max, level))
    }

    pub(crate) fn set_option(&mut self, fd: RawFd, option: TcpOption) -> Result<(), Errno> {
        let handle = self.descriptors.tcp(fd)?;
        let now = self.now;
        self.stack()?.tcp_set_option(now, handle, option).map_err(|error| errno::of(error.kind()))?;
        self.turn();
        Ok(())
    }

    /// SO_ERROR.
    pub(crate) fn take_error(&mut self, fd: RawFd) -> Result<Errno, Errno> {
        let handle = self.descriptors.tcp(fd)?;
        Ok(self.stack()?.tcp_take_error(handle).map_or(0, errno::of))
    }

    pub(crate) fn settings(&mut self, fd: RawFd) -> Result<tcp::Settings, Errno> {
        let handle = self.descriptors.tcp(fd)?;
        self.stack()?.tcp_settings(handle).cloned().ok_or(libc::EBADF)
    }
}

/// One interface without a link layer, through which everybody is reached.
fn config(flags: Flags) -> Config {
    let (addr, len) = flags.local;
    let capabilities =
        Capabilities { mtu: flags.mtu, tso_max: SUPER_PACKET, tx_checksum: true, ..Capabilities::default() };
    let mut config = Config { interfaces: vec![InterfaceConfig::ip(capabilities)], ..Config::default() };
    if let Some(prefix) = Prefix::new(addr, len) {
        config.interfaces[0].addresses.push(prefix);
    }
    let everywhere =
        if addr.is_ipv4() { IpAddr::from(Ipv4Addr::UNSPECIFIED) } else { Ipv6Addr::UNSPECIFIED.into() };
    if let Some(prefix) = Prefix::new(everywhere, 0) {
        config.routes.push(RouteConfig { prefix, gateway: None, interface: INTERFACE, metric: 0 });
    }
    config.tcp.connection = sysctl::tcp_config();
    config
}

/// An IPv4 address that came in IPv6's clothes is one of IPv4.
fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

#[cfg(test)]
mod tests;
