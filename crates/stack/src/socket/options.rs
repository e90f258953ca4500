//! Socket options of TCP, by their names in Linux.
//! Spec: RFC 9293 3.9.1 leaves them to the implementation; tcp(7), socket(7).
//! Owns: when an option may be set, and what a listener's connections inherit. Borrows: the settings themselves (`tcp`).
//! Invariants: a connection shares its listener's settings until it changes one.
//! Not here: what a setting does (`tcp::Settings` says).

use crate::port::Sharing;
use crate::ready::TcpHandle;
use crate::socket::error::SocketError;
use crate::tcp_host::TcpHost;
use crate::tcp_host::below::Below;
use crate::tcp_host::socket::Kind;
use std::sync::Arc;
use std::time::Duration;
use tcp::{CongestionKind, Instant, KeepAliveSettings, Linger, Settings};

/// One option and its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TcpOption {
    /// TCP_NODELAY.
    NoDelay(bool),
    /// TCP_CORK.
    Cork(bool),
    /// TCP_QUICKACK.
    QuickAck(bool),
    /// SO_KEEPALIVE.
    KeepAlive(bool),
    /// TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT.
    KeepAliveTiming(KeepAliveSettings),
    /// TCP_USER_TIMEOUT.
    UserTimeout(Option<Duration>),
    /// Whether a user timeout is told to the peer, and a peer's obeyed (RFC 5482).
    UserTimeoutOption(bool),
    /// SO_LINGER.
    Linger(Linger),
    /// TCP_LINGER2.
    FinWait2(Option<Duration>),
    /// TCP_CONGESTION.
    Congestion(CongestionKind),
    /// TCP_MAXSEG: 88 to 32,767, as Linux; before the connection opens it is announced too.
    MaxSegment(Option<u16>),
    /// TCP_NOTSENT_LOWAT.
    NotSentLowWater(u32),
    /// SO_SNDBUF: a fixed bound in place of one that follows the congestion window.
    SendBuffer(Option<u32>),
    /// SO_RCVBUF: a fixed buffer in place of an auto-tuned one.
    ReceiveBuffer(Option<u32>),
    /// SO_RCVLOWAT.
    ReceiveLowWater(u32),
    /// TCP_SYNCNT.
    SynRetries(Option<u8>),
    /// IP_TTL, IPV6_UNICAST_HOPS: 1 to 255 (RFC 9293 MUST-49). A listener's holds from its SYN,ACK on.
    HopLimit(Option<u8>),
    /// The differentiated services code point: the six upper bits of IP_TOS and IPV6_TCLASS (RFC 9293 MUST-48). May change while
    /// the connection is open (SHLD-21).
    Dscp(u8),
    /// SO_REUSEADDR; before bind().
    ReuseAddress(bool),
    /// SO_REUSEPORT; before bind().
    ReusePort(bool),
    /// IPV6_V6ONLY; before bind().
    V6Only(bool),
}

/// Linux's bounds of TCP_MAXSEG.
const MAX_SEGMENT: std::ops::RangeInclusive<u16> = 88..=32_767;

/// Six bits (RFC 2474 3).
const DSCP_MAX: u8 = 63;

/// Linux's least SO_SNDBUF and SO_RCVBUF (SOCK_MIN_SNDBUF, SOCK_MIN_RCVBUF, rounded).
const BUFFER_MIN: u32 = 2_304;

impl TcpHost {
    /// setsockopt().
    pub(crate) fn set_option<B: Below>(
        &mut self,
        now: Instant,
        below: &mut B,
        handle: TcpHandle,
        option: TcpOption,
    ) -> Result<(), SocketError> {
        let index = self.index(handle).ok_or(SocketError::NoSuchSocket)?;
        check(option)?;
        let socket = self.flows.sockets.get_mut(index).ok_or(SocketError::NoSuchSocket)?;
        match &mut socket.kind {
            Kind::Fresh(fresh) => match option {
                TcpOption::ReuseAddress(_) | TcpOption::ReusePort(_) | TcpOption::V6Only(_)
                    if fresh.bound.is_some() =>
                {
                    return Err(SocketError::Invalid);
                }
                TcpOption::ReuseAddress(on) => fresh.sharing = Sharing { address: on, ..fresh.sharing },
                TcpOption::ReusePort(on) => fresh.sharing = Sharing { port: on, ..fresh.sharing },
                TcpOption::V6Only(on) => fresh.v6_only = on,
                other => apply(Arc::make_mut(&mut fresh.settings), other),
            },
            Kind::Listening(listener) => match option {
                TcpOption::ReuseAddress(_) | TcpOption::ReusePort(_) | TcpOption::V6Only(_) => {
                    return Err(SocketError::Invalid);
                }
                other => apply(Arc::make_mut(&mut listener.settings), other),
            },
            Kind::Connected(_) => {
                if matches!(
                    option,
                    TcpOption::ReuseAddress(_) | TcpOption::ReusePort(_) | TcpOption::V6Only(_)
                ) {
                    return Err(SocketError::Invalid);
                }
                self.with_connection(now, index, |connected, ctx| match option {
                    TcpOption::QuickAck(on) => connected.connection.set_quick_ack(ctx, on),
                    TcpOption::NoDelay(true) => {
                        connected.connection.set_option(ctx, |settings| apply(settings, option));
                        connected.connection.flush(ctx);
                    }
                    other => connected.connection.set_option(ctx, |settings| apply(settings, other)),
                });
                self.after(now, below, index);
            }
        }
        Ok(())
    }

    /// What a socket has set; for a listener, what its connections will inherit.
    pub(crate) fn settings(&self, handle: TcpHandle) -> Option<&Settings> {
        let index = self.index(handle)?;
        Some(match &self.flows.sockets.get(index)?.kind {
            Kind::Fresh(fresh) => &fresh.settings,
            Kind::Listening(listener) => &listener.settings,
            Kind::Connected(connected) => connected.connection.settings(),
        })
    }
}

fn check(option: TcpOption) -> Result<(), SocketError> {
    let ok = match option {
        TcpOption::MaxSegment(Some(size)) => MAX_SEGMENT.contains(&size),
        TcpOption::KeepAliveTiming(timing) => {
            // Linux: 1 to 32,767 seconds, 1 to 127 probes.
            let range = Duration::from_secs(1)..=Duration::from_secs(32_767);
            range.contains(&timing.idle)
                && range.contains(&timing.interval)
                && (1..=127).contains(&timing.probes)
        }
        TcpOption::SynRetries(Some(retries)) => (1..=127).contains(&retries),
        TcpOption::HopLimit(Some(hops)) => hops > 0,
        TcpOption::Dscp(dscp) => dscp <= DSCP_MAX,
        _ => true,
    };
    if ok { Ok(()) } else { Err(SocketError::Invalid) }
}

fn apply(settings: &mut Settings, option: TcpOption) {
    match option {
        TcpOption::NoDelay(on) => settings.nodelay = on,
        TcpOption::Cork(on) => settings.cork = on,
        TcpOption::KeepAlive(on) => settings.keepalive = on,
        TcpOption::KeepAliveTiming(timing) => settings.keepalive_timing = timing,
        TcpOption::UserTimeout(limit) => settings.user_timeout = limit,
        TcpOption::UserTimeoutOption(on) => settings.user_timeout_option = on,
        TcpOption::HopLimit(hops) => settings.hop_limit = hops,
        TcpOption::Dscp(dscp) => settings.dscp = dscp,
        TcpOption::Linger(linger) => settings.linger = linger,
        TcpOption::FinWait2(limit) => settings.fin_wait_2 = limit,
        TcpOption::Congestion(kind) => settings.congestion = kind,
        TcpOption::MaxSegment(size) => settings.max_segment = size,
        TcpOption::NotSentLowWater(mark) => settings.not_sent_low_water = mark,
        TcpOption::SendBuffer(size) => settings.send_buffer = size.map(|size| size.max(BUFFER_MIN)),
        TcpOption::ReceiveBuffer(size) => settings.receive_buffer = size.map(|size| size.max(BUFFER_MIN)),
        TcpOption::ReceiveLowWater(mark) => settings.receive_low_water = mark.max(1),
        TcpOption::SynRetries(retries) => settings.syn_retries = retries,
        // A connection's own business, not a setting; and the three that belong to bind().
        TcpOption::QuickAck(_)
        | TcpOption::ReuseAddress(_)
        | TcpOption::ReusePort(_)
        | TcpOption::V6Only(_) => {}
    }
}
