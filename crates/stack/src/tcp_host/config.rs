//! What may be set for the TCP of a host.
//! Owns: bounds and defaults; what holds inside one connection is `tcp::TcpConfig`'s.

use tcp::TcpConfig;

/// TCP of a host.
#[derive(Debug, Clone)]
pub struct TcpHostConfig {
    /// The rules of each connection.
    pub connection: TcpConfig,
    /// Sockets, at most: listeners and connections. Default 2^24, some 4 GiB of idle connections.
    pub sockets_max: usize,
    /// Handshakes that wait for their last ACK, at most, in units of 64 B: one over IPv4 weighs one, one over IPv6 (88 B) a good
    /// third more. Beyond, SYN cookies answer. Default 4,096, so 256 KiB.
    pub syn_backlog: usize,
    /// Answer by SYN cookies when the SYN cache is full (Linux's `tcp_syncookies`). Default on; off, SYNs are dropped.
    pub syn_cookies: bool,
    /// Entries in TIME-WAIT, at most, at 46 B (IPv6: 70 B), index included. Default 2^22; beyond, the oldest goes.
    pub time_wait_max: usize,
    /// connect() may take a four-tuple whose TIME-WAIT is ours, if it has timestamps: at once if the program chose the port, one
    /// second later if the port is ours to choose (Linux's `tcp_tw_reuse` = 1). Default on.
    pub time_wait_reuse: bool,
    /// Connections that their program has closed and that still have something to say, at most (Linux's `tcp_max_orphans`).
    /// Beyond, close() sends RST. Default 65,536.
    pub orphans_max: usize,
    /// Answers that belong to no connection (RST, SYN-ACK, ACK from TIME-WAIT) waiting to leave, at most. Default 4,096, some
    /// 600 KiB when full; what finds no room is dropped, and its cause comes again. Half of it may be duplicate ACKs.
    pub replies_max: usize,
    /// The backlog that listen() can ask for, at most (Linux's `somaxconn`). Default 4,096.
    pub backlog_max: u32,
}

impl Default for TcpHostConfig {
    fn default() -> Self {
        Self {
            connection: TcpConfig::default(),
            sockets_max: 1 << 24,
            syn_backlog: 4_096,
            syn_cookies: true,
            time_wait_max: 1 << 22,
            time_wait_reuse: true,
            orphans_max: 65_536,
            replies_max: 4_096,
            backlog_max: 4_096,
        }
    }
}
