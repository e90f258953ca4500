//! What a connection tells about itself when asked: TCP_INFO, and how it ended.
//! Spec: RFC 9293 3.9.1.6 (STATUS call); the fields are those that users of Linux's `struct tcp_info` look at.
//! Owns: plain values.
//! Not here: counters of a stack (`stack`), what the program waits for (`events`).

use core::time::Duration;

use crate::congestion::CongestionKind;
use crate::state::State;

/// A look at a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TcpInfo {
    /// The state.
    pub state: State,
    /// Timestamps are in use.
    pub timestamps: bool,
    /// SACK is in use.
    pub sack: bool,
    /// ECN is in use.
    pub ecn: bool,
    /// Snd.Wind.Shift, if windows are scaled.
    pub snd_wscale: Option<u8>,
    /// Rcv.Wind.Shift, if windows are scaled.
    pub rcv_wscale: Option<u8>,
    /// RFC 5482 USER_TIMEOUT: what the program set, or else what the peer asked for; `None`: R2 decides.
    pub user_timeout: Option<Duration>,
    /// The retransmission timeout without backoff.
    pub rto: Duration,
    /// The smoothed round-trip time, once measured.
    pub srtt: Option<Duration>,
    /// Its variation.
    pub rttvar: Option<Duration>,
    /// The least round-trip time seen.
    pub min_rtt: Option<Duration>,
    /// The text a segment we send carries at most.
    pub snd_mss: u16,
    /// The MSS the peer announced.
    pub peer_mss: u16,
    /// The MSS we announce.
    pub own_mss: u16,
    /// The congestion window, in octets.
    pub cwnd: u32,
    /// The slow-start threshold, in octets; u32::MAX before the first loss.
    pub ssthresh: u32,
    /// SND.WND.
    pub snd_wnd: u32,
    /// RCV.WND.
    pub rcv_wnd: u32,
    /// The receive buffer, as auto-tuned.
    pub rcv_buffer: u32,
    /// Octets sent and not acknowledged, SYN and FIN counted.
    pub unacked: u32,
    /// Octets queued and not yet sent.
    pub not_sent: u32,
    /// Octets in order that the program has not read.
    pub unread: u32,
    /// Consecutive timeouts of the oldest unacknowledged segment.
    pub retransmits: u32,
    /// Segments sent again since data last started to flow.
    pub total_retransmits: u32,
    /// Zero-window probes sent since the window closed.
    pub probes: u32,
    /// Recoveries that proved uncalled for (RFC 3522, 3708, 5682) since data last started to flow.
    pub spurious_recoveries: u32,
    /// The path has been seen to deliver out of order (RFC 8985).
    pub reordering_seen: bool,
    /// Recovering from a loss.
    pub in_recovery: bool,
    /// Where loss recovery stands.
    pub recovery: RecoveryState,
    /// Octets in flight that the peer has reported by SACK.
    pub sacked: u32,
    /// Octets in flight that are taken for lost.
    pub lost: u32,
    /// Octets in flight that went out again, and whose second copy may still be on its way.
    pub resent: u32,
    /// By how many segments one has come late since data last started to flow; at least three, what RFC 5681 takes for loss.
    pub reordering: u32,
    /// Duplicate ACKs in a row.
    pub duplicate_acks: u32,
    /// Doublings of the RTO.
    pub backoff: u32,
    /// Keep-alives sent and not answered.
    pub keepalive_probes: u32,
    /// Octets that arrived early.
    pub early: u32,
    /// The congestion control in use.
    pub congestion: CongestionKind,
    /// The window doubles each round trip.
    pub in_slow_start: bool,
    /// The rate that congestion control would pace at, in octets a second, once a round trip is known.
    pub pacing_rate: Option<u64>,
}

/// How long ago things happened to a connection; counted from its beginning if they never did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ages {
    /// Since text or FIN last left.
    pub sent: Duration,
    /// Since text or FIN last came.
    pub received: Duration,
    /// Since anything acceptable last came.
    pub heard: Duration,
}

/// Where loss recovery stands, in the order of Linux's `tcp_ca_state`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RecoveryState {
    /// Nothing seems wrong.
    Open,
    /// Reordering, or loss: not yet known.
    Disorder,
    /// The window was reduced for ECN.
    Reduced,
    /// Lost segments are sent again.
    Recovery,
    /// The retransmission timer expired.
    Loss,
}

/// Why a connection is no more. Recorded once.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum End {
    /// Both sides finished and both know.
    Finished,
    /// The peer answered our SYN with RST.
    Refused,
    /// The peer sent RST.
    ResetByPeer,
    /// The peer had finished, then sent RST: reading comes to the ordinary end, writing to a broken pipe.
    ResetAfterFin,
    /// We sent RST because the program said so, or closed with data unread.
    Aborted,
    /// Text arrived after the program had closed; the peer was told by RST (RFC 9293 3.6.1, SHLD-3).
    DataAfterClose,
    /// R2: the peer acknowledged nothing for too long (RFC 9293 3.8.3).
    TimedOut,
    /// The user timeout (RFC 5482) ran out.
    UserTimedOut,
    /// The peer did not answer keep-alives (RFC 9293 3.8.4).
    KeepAliveTimedOut,
    /// The program closed before the connection was open.
    ClosedWhileOpening,
    /// FIN-WAIT-2 lasted too long after close().
    PeerNeverFinished,
    /// ICMP or the stack said that there is no way to the peer, and it never answered.
    Unreachable(Unreachable),
}

/// What ICMP, or the stack's own routing, said about the way to the peer (RFC 9293 3.9.2.2, RFC 5461).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Unreachable {
    /// No route to the network (code 0, 5, 6, 8, 11; ICMPv6 code 0). Soft.
    Network,
    /// No answer from the host (code 1, 7, 12; ICMPv6 code 3). Soft.
    Host,
    /// The next hop on our own link does not answer ARP or Neighbour Discovery: said by the stack, not by ICMP, so that nobody can
    /// have made it up. Ends an active open, as in Linux; soft afterwards.
    Neighbor,
    /// The host does not speak TCP (code 2; ICMPv6 parameter problem). Hard.
    Protocol,
    /// Nobody listens on the port (code 3; ICMPv6 code 4). Hard.
    Port,
    /// Forbidden by a filter (code 9, 10, 13; ICMPv6 code 1). Soft, as it may be one path's filter.
    Prohibited,
    /// TTL ran out on the way. Soft.
    TimeExceeded,
}

impl Unreachable {
    /// RFC 5461 2.2, RFC 9293 MUST-56 and SHLD-26: whether ICMP's word ends an attempt to open.
    #[must_use]
    pub const fn is_hard(self) -> bool {
        matches!(self, Unreachable::Protocol | Unreachable::Port)
    }
}

impl End {
    /// The word std's IO errors have for it; `None` for an ordinary end.
    #[must_use]
    pub const fn error_kind(self) -> Option<std::io::ErrorKind> {
        use std::io::ErrorKind;
        Some(match self {
            End::Finished | End::ClosedWhileOpening | End::PeerNeverFinished | End::DataAfterClose => {
                return None;
            }
            End::Refused => ErrorKind::ConnectionRefused,
            End::ResetAfterFin => ErrorKind::BrokenPipe,
            End::ResetByPeer => ErrorKind::ConnectionReset,
            End::Aborted => ErrorKind::ConnectionAborted,
            End::TimedOut | End::UserTimedOut | End::KeepAliveTimedOut => ErrorKind::TimedOut,
            End::Unreachable(Unreachable::Network) => ErrorKind::NetworkUnreachable,
            End::Unreachable(Unreachable::Port | Unreachable::Protocol) => ErrorKind::ConnectionRefused,
            End::Unreachable(_) => ErrorKind::HostUnreachable,
        })
    }
}
