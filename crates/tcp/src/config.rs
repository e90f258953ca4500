//! What may be set: for all connections of a stack (`TcpConfig`) and for one socket (`Settings`).
//! Spec: each field names its own. Where the RFC leaves room the default is Linux's, since that is what users know.
//! Owns: the numbers. Costs: a `Settings` is shared by reference count, so a million accepted sockets hold one.
//! Not here: what was agreed with the peer (`options`), path limits (`pmtu`).

use core::time::Duration;
use std::sync::Arc;

use crate::congestion::CongestionKind;
use crate::keepalive::KeepAliveSettings;

/// What holds for every connection of a stack.
#[derive(Clone, Debug)]
pub struct TcpConfig {
    /// The RTO before any measurement. 1 s (RFC 6298 2.1).
    pub rto_initial: Duration,
    /// The least RTO. 200 ms, as Linux; RFC 6298 2.4 would have 1 s (see docs/deviations.md).
    pub rto_min: Duration,
    /// The greatest RTO. 120 s, as Linux (RFC 6298 2.5 asks for 60 s or more).
    pub rto_max: Duration,
    /// How often an active open sends its SYN again before it fails. 6, as Linux: 127 s (RFC 9293 MUST-23: at least 3 min
    /// is for R2 of SYNs; see docs/deviations.md).
    pub syn_retries: u8,
    /// How often a passive open sends its SYN-ACK again. 5, as Linux: 63 s.
    pub syn_ack_retries: u8,
    /// R1: after so many retransmissions of one segment the path is suspected (RFC 9293 3.8.3, SHLD-10). 3.
    pub retries_1: u8,
    /// R2: after so many the connection ends (RFC 9293 3.8.3, SHLD-11: at least 100 s). 15, as Linux: about 15 minutes.
    pub retries_2: u8,
    /// R2 of a connection whose user has closed it. 8, as Linux.
    pub orphan_retries: u8,
    /// The initial congestion window in segments. 10 (RFC 6928).
    pub initial_window_segments: u8,
    /// Segments of the wire in one super-segment, at least, however slow the path (Linux's `tcp_min_tso_segs`). 2.
    pub burst_segments_min: u8,
    /// A window that was not used for an RTO starts over (RFC 5681 4.1; Linux's `tcp_slow_start_after_idle`). On.
    pub slow_start_after_idle: bool,
    /// How long an ACK may wait for company. 40 ms, as Linux (RFC 9293 MUST-40: under 500 ms).
    pub delayed_ack: Duration,
    /// Segments at the start of a connection that are acknowledged at once, so that a slow start is not held up. 16.
    pub quick_acks: u8,
    /// TIME-WAIT, 2*MSL. 60 s, as Linux (RFC 9293 3.4.2 takes MSL as 2 minutes; see docs/deviations.md).
    pub time_wait: Duration,
    /// How long FIN-WAIT-2 lasts once the user has called close(). 60 s, as Linux. Never after a mere shutdown().
    pub fin_wait_2: Duration,
    /// The most bytes a send queue holds if the socket does not say. 4 MiB, as Linux.
    pub send_buffer_max: u32,
    /// What a send queue may hold before the congestion window has shown a need for more. 64 KiB.
    pub send_buffer_initial: u32,
    /// The receive window at the start. 64 KiB, what a SYN can advertise.
    pub receive_buffer_initial: u32,
    /// Where receive-window auto-tuning stops. 6 MiB, as Linux.
    pub receive_buffer_max: u32,
    /// The MSS assumed of a peer that sends no MSS option. 536 (RFC 9293 MUST-15); IPv6 stacks hand in 1220 at open.
    pub mss_default: u16,
    /// The least MSS believed. 48, as Linux: a peer that offers less would make us send headers only.
    pub mss_min: u16,
    /// Window scaling offered (RFC 7323 2). On.
    pub window_scaling: bool,
    /// Timestamps offered (RFC 7323 3). On.
    pub timestamps: bool,
    /// SACK offered (RFC 2018). On.
    pub sack: bool,
    /// Explicit congestion notification (RFC 3168). Accepted, not asked for, as Linux.
    pub ecn: EcnPolicy,
    /// The least time between two challenge ACKs of one connection (RFC 5961 7; per connection, so nothing is shared that an
    /// off-path attacker could read). 500 ms.
    pub challenge_ack_interval: Duration,
    /// Timeouts of one full-sized segment after which the path is taken for a black hole (RFC 4821 7.7). 3, 0 = never.
    pub black_hole_retries: u8,
    /// How long after a fall to a smaller size a larger one is tried again (RFC 1191 6.3, RFC 4821 7.4). 600 s.
    pub mtu_probe_interval: Duration,
    /// RFC 5482 3.1, L_LIMIT: a peer cannot make us give up sooner. 100 s, the least R2 (RFC 9293 SHLD-11).
    pub user_timeout_min: Duration,
    /// RFC 5482 3.1, U_LIMIT: nor later. 924 s, what `retries_2` comes to with the least RTO, so that obeying a peer never holds
    /// memory longer than its silence would.
    pub user_timeout_max: Duration,
    /// RFC 5482 3.1, ADV_UTO of a socket that has set none: 5 min (RFC 9293 3.9.1.1, the global default).
    pub user_timeout_default: Duration,
    /// What a socket starts with.
    pub defaults: Arc<Settings>,
    /// Rules that a simulation switches off to show that its oracles notice.
    pub test: TestSwitches,
}

impl Default for TcpConfig {
    fn default() -> Self {
        TcpConfig {
            rto_initial: Duration::from_secs(1),
            rto_min: Duration::from_millis(200),
            rto_max: Duration::from_secs(120),
            syn_retries: 6,
            syn_ack_retries: 5,
            retries_1: 3,
            retries_2: 15,
            orphan_retries: 8,
            initial_window_segments: 10,
            burst_segments_min: 2,
            slow_start_after_idle: true,
            delayed_ack: Duration::from_millis(40),
            quick_acks: 16,
            time_wait: Duration::from_secs(60),
            fin_wait_2: Duration::from_secs(60),
            send_buffer_max: 4 << 20,
            send_buffer_initial: 64 << 10,
            receive_buffer_initial: 65_535,
            receive_buffer_max: 6 << 20,
            mss_default: 536,
            mss_min: 48,
            window_scaling: true,
            timestamps: true,
            sack: true,
            ecn: EcnPolicy::Accept,
            challenge_ack_interval: Duration::from_millis(500),
            black_hole_retries: 3,
            mtu_probe_interval: Duration::from_secs(600),
            user_timeout_min: Duration::from_secs(100),
            user_timeout_max: Duration::from_secs(924),
            user_timeout_default: Duration::from_secs(300),
            defaults: Arc::new(Settings::default()),
            test: TestSwitches::default(),
        }
    }
}

/// Whether ECN is asked for, accepted or refused (RFC 3168 6.1.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum EcnPolicy {
    /// Neither asked for nor accepted.
    Off,
    /// Accepted from a peer that asks.
    #[default]
    Accept,
    /// Asked for in our SYNs, and accepted.
    Request,
}

/// Rules that can be broken on purpose, so that a test shows that their absence is noticed. All on in any real stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TestSwitches {
    /// Lost segments are sent again.
    pub retransmission: bool,
    /// The SACK blocks of the peer are believed.
    pub sack: bool,
    /// A zero window is probed.
    pub persist: bool,
    /// Segments with old timestamps are refused (RFC 7323 5).
    pub paws: bool,
    /// The end that closes first waits 2*MSL.
    pub time_wait: bool,
    /// Expected segments are taken in one stride; without, by the RFC's steps, to the same effect.
    pub prediction: bool,
}

impl Default for TestSwitches {
    fn default() -> Self {
        TestSwitches {
            retransmission: true,
            sack: true,
            persist: true,
            paws: true,
            time_wait: true,
            prediction: true,
        }
    }
}

/// What one socket may set. Shared until changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// TCP_NODELAY: Nagle's algorithm off (RFC 9293 3.7.4, MUST-17). Off.
    pub nodelay: bool,
    /// TCP_CORK: nothing but full segments leaves until it is taken away, for at most 200 ms (Linux). Off.
    pub cork: bool,
    /// SO_KEEPALIVE (RFC 9293 3.8.4, MUST-24, MUST-25). Off.
    pub keepalive: bool,
    /// TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT: 2 h (MUST-28), 75 s, 9.
    pub keepalive_timing: KeepAliveSettings,
    /// TCP_USER_TIMEOUT (RFC 5482; RFC 9293 3.9.1.2): how long data may stay unacknowledged. None: R2 decides.
    pub user_timeout: Option<Duration>,
    /// RFC 5482 3.1, ENABLED: a timeout that is set is told to the peer; where none is set, the peer's is obeyed within the
    /// stack's limits. On.
    pub user_timeout_option: bool,
    /// SO_LINGER. Graceful, in the background.
    pub linger: Linger,
    /// TCP_CONGESTION. CUBIC.
    pub congestion: CongestionKind,
    /// New data is spread over the round trip where it would else leave in bursts: on paths longer than 2 ms. On; Linux would need
    /// the fq scheduler for it.
    pub pacing: bool,
    /// Somebody below paces (a queueing discipline, a device), so that slow start need not limit its bursts here: L of RFC 9406 4.3 is
    /// infinite, as it is while [`Settings::pacing`] is on. Off.
    pub paced_elsewhere: bool,
    /// TCP_MAXSEG: no larger segment is sent nor asked for. None: the path decides.
    pub max_segment: Option<u16>,
    /// TCP_NOTSENT_LOWAT: writable only while fewer unsent bytes are queued. u32::MAX.
    pub not_sent_low_water: u32,
    /// SO_SNDBUF: a fixed bound of the send queue. None: grows with the congestion window up to `send_buffer_max`.
    pub send_buffer: Option<u32>,
    /// SO_RCVBUF: a fixed receive buffer. None: auto-tuned up to `receive_buffer_max`.
    pub receive_buffer: Option<u32>,
    /// SO_RCVLOWAT: readable only with so many bytes (or at the end). 1.
    pub receive_low_water: u32,
    /// TCP_SYNCNT. None: `syn_retries` of the stack.
    pub syn_retries: Option<u8>,
    /// TCP_LINGER2: FIN-WAIT-2 after close() for this socket. None: `fin_wait_2` of the stack.
    pub fin_wait_2: Option<Duration>,
    /// IP_TTL, IPV6_UNICAST_HOPS (RFC 9293 3.9.2, MUST-49). A connection only keeps it for the layer below. None: the interface's.
    pub hop_limit: Option<u8>,
    /// The six upper bits of IP_TOS and IPV6_TCLASS (RFC 9293 3.9.2, MUST-48); likewise. 0.
    pub dscp: u8,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            nodelay: false,
            cork: false,
            keepalive: false,
            keepalive_timing: KeepAliveSettings {
                idle: Duration::from_secs(7200),
                interval: Duration::from_secs(75),
                probes: 9,
            },
            user_timeout: None,
            user_timeout_option: true,
            linger: Linger::Background,
            congestion: CongestionKind::default(),
            pacing: true,
            paced_elsewhere: false,
            max_segment: None,
            not_sent_low_water: u32::MAX,
            send_buffer: None,
            receive_buffer: None,
            receive_low_water: 1,
            syn_retries: None,
            fin_wait_2: None,
            hop_limit: None,
            dscp: 0,
        }
    }
}

/// SO_LINGER: what close() does with data not yet acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Linger {
    /// close() returns at once; the data is delivered in the background.
    #[default]
    Background,
    /// close() waits so long for the FIN to be acknowledged ([`crate::Events::LINGER_OVER`] tells); then as `Background`.
    Bounded(Duration),
    /// close() throws the data away and sends RST.
    Abort,
}
