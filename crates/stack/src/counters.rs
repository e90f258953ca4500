//! Counters: how many packets came, went and were dropped, and why.
//! Spec: RFC 1122 4.1.3.x and 4.2.x ask for error statistics without a format; the names here follow the branch that counts.
//! Owns: one number a reason. Invariants: every packet that is not delivered is counted once, at the door that dropped it;
//! counting allocates nothing and never fails.
//! Not here: what happened to one packet (`events`).

/// Why a packet went no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum DropReason {
    /// Too short, or its lengths contradict one another.
    Malformed,
    /// An EtherType, IP version or interface we have no use for.
    UnknownProtocol,
    /// Not for our link address, nor for a group we listen to.
    NotForThisLink,
    /// Not for an address of ours, nor for a group we joined.
    NotForThisHost,
    /// A source that no host may use: multicast, broadcast, or ours on the outside (RFC 1122 3.2.1.3, RFC 4291 2.5-2.7).
    MartianSource,
    /// A destination that may not arrive here: loopback from outside, the unspecified address.
    MartianDestination,
    /// IPv4 header checksum.
    BadHeaderChecksum,
    /// TCP, UDP or ICMP checksum, or a missing one where it is required (RFC 8200 8.1).
    BadChecksum,
    /// An option or extension header that forbids delivery (RFC 8200 4.2), or source routing (RFC 5095, RFC 7126).
    BadOption,
    /// No socket for this datagram or segment.
    NoSocket,
    /// The socket's receive queue was full.
    SocketFull,
    /// The stack's byte budget was spent.
    BudgetSpent,
    /// A fragment overlapped another (RFC 5722), or its datagram would exceed 65,535 octets.
    BadFragment,
    /// A fragment beyond the reassembly bound, or evicted to make room.
    ReassemblyFull,
    /// A datagram whose missing fragments did not come in time.
    ReassemblyTimeout,
    /// An ICMP error that matches nothing we sent (RFC 5927).
    IcmpUnrelated,
    /// An ICMP message we do not use, or a malformed one.
    IcmpIgnored,
    /// An ICMP error of ours, withheld by the rate limit (RFC 1812 4.3.2.8, RFC 4443 2.4 f).
    IcmpRateLimited,
    /// An ARP or ND message that fails its validity checks (RFC 826, RFC 4861 6.1, 7.1, 8.1).
    BadNeighborMessage,
    /// No route to the destination, or no source address for it.
    NoRoute,
    /// Larger than the path's MTU and not to be fragmented.
    TooBig,
    /// The neighbour did not answer.
    NeighborUnreachable,
    /// The queue of packets that wait for one neighbour was full; the oldest went.
    NeighborQueueFull,
    /// The table of neighbours was full of entries in use.
    NeighborTableFull,
    /// The queue of replies and control packets was full.
    ControlQueueFull,
    /// The loopback queue was full.
    LoopbackFull,
    /// TCP: a segment no connection accepts and that gets no answer either (RSTs, for one).
    TcpUnwanted,
    /// TCP: the SYN or accept backlog was full and cookies were off.
    TcpBacklogFull,
    /// TCP: an ACK that claims to be a cookie of ours and is not.
    TcpBadCookie,
    /// TCP: an answer (reset or challenge ACK) withheld by its limit (RFC 5961 7).
    TcpAnswerLimited,
    /// TCP: no table place, memory or port.
    TcpNoMemory,
}

impl DropReason {
    /// How many reasons there are.
    pub const COUNT: usize = Self::TcpNoMemory as usize + 1;

    /// Every reason, in order of declaration.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Malformed,
        Self::UnknownProtocol,
        Self::NotForThisLink,
        Self::NotForThisHost,
        Self::MartianSource,
        Self::MartianDestination,
        Self::BadHeaderChecksum,
        Self::BadChecksum,
        Self::BadOption,
        Self::NoSocket,
        Self::SocketFull,
        Self::BudgetSpent,
        Self::BadFragment,
        Self::ReassemblyFull,
        Self::ReassemblyTimeout,
        Self::IcmpUnrelated,
        Self::IcmpIgnored,
        Self::IcmpRateLimited,
        Self::BadNeighborMessage,
        Self::NoRoute,
        Self::TooBig,
        Self::NeighborUnreachable,
        Self::NeighborQueueFull,
        Self::NeighborTableFull,
        Self::ControlQueueFull,
        Self::LoopbackFull,
        Self::TcpUnwanted,
        Self::TcpBacklogFull,
        Self::TcpBadCookie,
        Self::TcpAnswerLimited,
        Self::TcpNoMemory,
    ];
}

/// What passed and what did not, since the stack was made.
#[derive(Debug, Clone)]
pub struct Counters {
    /// Frames handed in.
    pub frames_received: u64,
    /// Frames handed out, super-packets counted once.
    pub frames_sent: u64,
    /// IP packets that reached a transport or were answered, reassembled ones counted once.
    pub packets_delivered: u64,
    /// IP datagrams put together from fragments.
    pub datagrams_reassembled: u64,
    /// IP datagrams cut into fragments.
    pub datagrams_fragmented: u64,
    /// ICMP errors and echo replies sent.
    pub icmp_sent: u64,
    /// UDP datagrams queued for a socket.
    pub udp_received: u64,
    /// UDP datagrams handed out.
    pub udp_sent: u64,
    /// TCP segments that passed their checksum.
    pub tcp_segments_received: u64,
    /// TCP segments handed out, super-segments counted once.
    pub tcp_segments_sent: u64,
    /// Packets that stayed inside the host.
    pub loopback: u64,
    dropped: [u64; DropReason::COUNT],
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            frames_received: 0,
            frames_sent: 0,
            packets_delivered: 0,
            datagrams_reassembled: 0,
            datagrams_fragmented: 0,
            icmp_sent: 0,
            udp_received: 0,
            udp_sent: 0,
            tcp_segments_received: 0,
            tcp_segments_sent: 0,
            loopback: 0,
            dropped: [0; DropReason::COUNT],
        }
    }
}

impl Counters {
    /// How many packets were dropped for `reason`.
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped[reason as usize]
    }

    /// The reasons that occurred, with how often.
    pub fn drops(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        DropReason::ALL.into_iter().map(|reason| (reason, self.dropped(reason))).filter(|&(_, n)| n > 0)
    }

    pub(crate) fn drop_packet(&mut self, reason: DropReason) {
        self.dropped[reason as usize] += 1;
    }
}

#[cfg(test)]
mod tests;
