//! connect(): which four-tuple a socket gets, and what stands in its way.
//! Spec: RFC 9293 3.9.1.1 (OPEN, active), 3.4.1 (ISN), 3.6.1 and RFC 6191 (TIME-WAIT); behaviour as Linux's, `tcp_tw_reuse` included.
//! Owns: the order of the questions. Invariants: a four-tuple belongs to one connection; one that comes after another on the same
//! four-tuple begins beyond it; a call that fails changes nothing but that a failed attempt before it is over.
//! Not here: the choice among free ports (`port`), the handshake (`tcp`).

use super::TcpHost;
use super::below::{Below, mss};
use super::config::TcpHostConfig;
use super::flows::{Flows, Place};
use super::socket::{Connected, ConnectedBits, Kind};
use crate::flow::FlowKey;
use crate::port::Scope;
use crate::ready::{Readiness, TcpHandle};
use crate::socket::error::ConnectError;
use crate::time_wait_table::TimeWaitPlace;
use crate::wheel::TimerId;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tcp::{Connection, Ctx, Instant, Opening, SeqNum, Settings};

/// How long an entry in TIME-WAIT rests before a port of our choice may be used again: Linux's.
const REUSE_AFTER: Duration = Duration::from_secs(1);

/// What connect() starts from.
struct Start {
    bound: Option<(Scope, SocketAddr)>,
    bits: ConnectedBits,
    settings: Arc<Settings>,
    /// The socket was connecting before; what it was bound to is not in the ports' book.
    again: bool,
}

impl TcpHost {
    /// connect().
    pub(crate) fn connect<B: Below>(
        &mut self,
        now: Instant,
        below: &mut B,
        handle: TcpHandle,
        remote: SocketAddr,
    ) -> Result<(), ConnectError> {
        let Start { bound, mut bits, settings, again } = self.start_of(handle)?;
        let sharing = bits.sharing();
        // As Linux: to connect to the unspecified address is to connect to oneself.
        let remote = SocketAddr::new(loopback_if_unspecified(remote.ip()), remote.port());
        // RFC 9293 3.9.1.1, MUST-46.
        if remote.port() == 0 || remote.ip().is_multicast() || below.is_broadcast(remote.ip()) {
            return Err(ConnectError::InvalidAddress);
        }
        let source = match bound {
            Some((Scope::One(ip), _)) if ip.is_ipv4() == remote.is_ipv4() => ip,
            Some((scope, _)) if !matches!(scope, Scope::One(_)) && scope.covers(remote.ip()) => {
                below.choose_source(remote.ip()).ok_or(ConnectError::NetworkUnreachable)?
            }
            Some(_) => return Err(ConnectError::InvalidAddress),
            None => below.choose_source(remote.ip()).ok_or(ConnectError::NetworkUnreachable)?,
        };
        let (_, limits) = below.path(now, remote.ip()).ok_or(ConnectError::NetworkUnreachable)?;
        let port = match bound {
            Some((_, local)) => local.port(),
            None => self.pick_port(now, source, remote)?,
        };
        let local = SocketAddr::new(source, port);
        let key = FlowKey::new(local, remote);
        if local == remote {
            return Err(ConnectError::AddrNotAvailable);
        }
        let hash = self.flows.hash(&key);
        let iss_floor = self.make_free(now, &key, hash, bound.is_some())?;
        // The port is the connection's now, not the socket's.
        if let Some((scope, _)) = bound {
            bits.set(ConnectedBits::CHOSE_PORT);
            if matches!(scope, Scope::One(_)) {
                bits.set(ConnectedBits::CHOSE_ADDRESS);
            }
            if !again {
                self.ports.unbind(handle.index, port);
            }
        }
        self.ports.add_connection(local, sharing);
        let (iss, ts_offset) = self.isn.start(now, &key, iss_floor);
        let opening = Opening {
            iss,
            ts_offset,
            mss: mss(limits.link_mtu, remote.ip()),
            path_mss: mss(limits.mtu, remote.ip()),
        };
        let mut ctx = Ctx::new(now, &self.config.connection, &mut self.memory);
        let connection = Connection::connect(&mut ctx, settings, &opening);
        bits.set(ConnectedBits::INDEXED);
        bits.set(ConnectedBits::OWNED);
        bits.set(ConnectedBits::HOLDS_PORT);
        if let Some(kind) = self.fresh_mut(handle) {
            *kind = Kind::Connected(Connected {
                connection,
                key,
                timer: TimerId::IDLE,
                bits,
                pending: Readiness::NONE,
            });
        }
        self.flows.insert(hash, Place::Socket(handle.index));
        self.after(now, below, handle.index);
        Ok(())
    }

    /// What connect() starts from: a fresh socket, or one whose last attempt failed (as Linux: that error is told before).
    fn start_of(&mut self, handle: TcpHandle) -> Result<Start, ConnectError> {
        let index = self.index(handle).ok_or(ConnectError::NoSuchSocket)?;
        let failed = match self.flows.sockets.get(index).map(|socket| &socket.kind) {
            Some(Kind::Fresh(fresh)) => {
                let bits = ConnectedBits::default().with_sharing(fresh.sharing);
                return Ok(Start {
                    bound: fresh.bound,
                    bits,
                    settings: fresh.settings.clone(),
                    again: false,
                });
            }
            Some(Kind::Connected(connected)) => connected.connection.failed_to_open(),
            _ => false,
        };
        if !failed {
            return Err(ConnectError::AlreadyConnected);
        }
        if let Some(kind) = self.take_error(handle) {
            return Err(ConnectError::Failed(kind));
        }
        self.retire(index);
        let connected = self.flows.sockets.get_mut(index).and_then(|socket| socket.connected_mut());
        let connected = connected.ok_or(ConnectError::NoSuchSocket)?;
        connected.connection.release(&mut self.memory);
        let (local, bits) = (connected.key.local(), connected.bits);
        let scope = match local.ip() {
            ip if bits.has(ConnectedBits::CHOSE_ADDRESS) => Scope::One(ip),
            IpAddr::V4(_) => Scope::AnyV4,
            IpAddr::V6(_) => Scope::AnyV6,
        };
        let bound = bits.has(ConnectedBits::CHOSE_PORT).then_some((scope, local));
        // Its place in the output queue, if it is there still, is the next attempt's.
        let mut kept = ConnectedBits::default().with_sharing(bits.sharing());
        if bits.has(ConnectedBits::QUEUED) {
            kept.set(ConnectedBits::QUEUED);
        }
        let settings = Arc::new(connected.connection.settings().clone());
        Ok(Start { bound, bits: kept, settings, again: true })
    }

    fn pick_port(&mut self, now: Instant, source: IpAddr, remote: SocketAddr) -> Result<u16, ConnectError> {
        let (flows, config) = (&self.flows, &self.config);
        let taken = |port: u16| {
            let local = SocketAddr::new(source, port);
            let key = FlowKey::new(local, remote);
            local == remote
                || match flows.find(&key, flows.hash(&key)) {
                    None => false,
                    Some(Place::TimeWait(place)) => reusable(flows, config, now, place, false).is_none(),
                    Some(Place::Socket(_) | Place::Syn(_)) => true,
                }
        };
        self.ports.pick(source, remote, taken).map_err(|_| ConnectError::AddrNotAvailable)
    }

    /// Makes sure that a four-tuple is free. An entry in the SYN cache gives way to us, and so may one in TIME-WAIT: then the ISS
    /// must lie beyond what is given back.
    fn make_free(
        &mut self,
        now: Instant,
        key: &FlowKey,
        hash: u64,
        chosen: bool,
    ) -> Result<Option<SeqNum>, ConnectError> {
        match self.flows.find(key, hash) {
            None => Ok(None),
            Some(Place::Socket(_)) => Err(ConnectError::AddrNotAvailable),
            Some(Place::TimeWait(place)) => {
                let floor = reusable(&self.flows, &self.config, now, place, chosen)
                    .ok_or(ConnectError::AddrNotAvailable)?;
                self.leave_time_wait(place);
                Ok(Some(floor))
            }
            Some(Place::Syn(place)) => {
                self.forget_syn(hash, place);
                Ok(None)
            }
        }
    }
}

/// Whether connect() may take the place of an entry in TIME-WAIT. `chosen`: the program asked for this port.
fn reusable(
    flows: &Flows,
    config: &TcpHostConfig,
    now: Instant,
    place: TimeWaitPlace,
    chosen: bool,
) -> Option<SeqNum> {
    let rest = if chosen { Duration::ZERO } else { REUSE_AFTER };
    let wait = flows.time_wait.get(place).filter(|_| config.time_wait_reuse)?;
    wait.reopens_for_us(now, &config.connection, rest)
}

fn loopback_if_unspecified(addr: IpAddr) -> IpAddr {
    match addr {
        IpAddr::V4(v4) if v4.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(v6) if v6.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        addr => addr,
    }
}
