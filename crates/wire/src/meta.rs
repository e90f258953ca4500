//! What travels beside a frame: what the device vouches for, and what it is asked to finish.
//! Spec: the vocabulary is that of virtio-net's `virtio_net_hdr` (checksum start/offset, GSO size), which TUN, AF_PACKET
//!       and most NICs can express.
//! Owns: the types that `device` and `stack` share, so that neither depends on the other.
//! Invariants: `RxMeta::default()` vouches for nothing; `TxMeta::default()` asks for nothing.
//! Not here: the devices themselves (`device`), what the stack does with frames (`stack`).

use core::time::Duration;

/// What the frames of a device start with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Medium {
    /// An IPv4 or IPv6 header at once (TUN): no neighbours to resolve.
    #[default]
    Ip,
    /// An Ethernet II header (TAP, AF_XDP, AF_PACKET).
    Ethernet,
}

/// What a device can do, told once when the stack is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// What its frames start with.
    pub medium: Medium,
    /// The largest IP packet that the link carries, in bytes, without the Ethernet header.
    pub mtu: u32,
    /// The device sums what it sends when [`TxMeta::checksum`] asks it to.
    pub tx_checksum: bool,
    /// The largest IP packet that the device itself cuts into segments (TSO), in bytes; 0: it cannot. IPv4 and IPv6 alike.
    pub tso_max: u32,
    /// The largest UDP super-datagram, as an IP packet, that the device cuts (USO), in bytes; 0: it cannot.
    pub uso_max: u32,
    /// The largest IP packet that the device may hand over coalesced (GRO), in bytes; 0: never more than `mtu`.
    pub gro_max: u32,
    /// Independent receive and transmit queues, at least 1.
    pub queues: u16,
}

impl Default for Capabilities {
    fn default() -> Capabilities {
        Capabilities {
            medium: Medium::Ip,
            mtu: 1500,
            tx_checksum: false,
            tso_max: 0,
            uso_max: 0,
            gro_max: 0,
            queues: 1,
        }
    }
}

impl Capabilities {
    /// The longest frame that may arrive, link header included.
    pub fn max_rx_frame(&self) -> usize {
        self.mtu.max(self.gro_max) as usize + self.link_header_len()
    }

    /// The longest frame that may be sent, link header included.
    pub fn max_tx_frame(&self) -> usize {
        self.mtu.max(self.tso_max).max(self.uso_max) as usize + self.link_header_len()
    }

    /// Bytes in front of the IP header.
    pub fn link_header_len(&self) -> usize {
        match self.medium {
            Medium::Ip => 0,
            Medium::Ethernet => crate::ethernet::HEADER_LEN,
        }
    }
}

/// What a device says about a frame it received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RxMeta {
    /// The device verified the transport checksum, or the frame never left memory. The IPv4 header's own checksum is
    /// still the receiver's to verify: summing 20 bytes is nearly free.
    pub checksum_ok: bool,
    /// Payload bytes of each of the segments that the device coalesced into this frame; 0: a single segment.
    pub gso_size: u16,
    /// The queue that it came from.
    pub queue: u16,
}

/// What a device is asked to do to a frame it sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TxMeta {
    /// Finish the transport checksum. The field already holds the folded, *uncomplemented* pseudo-header sum.
    pub checksum: Option<ChecksumOffload>,
    /// Cut the frame into segments.
    pub gso: Option<Gso>,
    /// The queue that it goes to.
    pub queue: u16,
}

/// Where the checksum that the device finishes lies, counted from the first byte of the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChecksumOffload {
    /// The first byte that is summed: the transport header.
    pub start: u16,
    /// The checksum field, counted from `start`: 16 for TCP, 6 for UDP.
    pub offset: u16,
}

/// How the device cuts a super-packet. Each piece gets the headers again, with lengths, IPv4 identification, sequence
/// number and checksums put right; CWR stays on the first piece only, FIN and PSH on the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gso {
    /// Which headers it cuts below.
    pub kind: GsoKind,
    /// Payload bytes of each piece but the last; never 0.
    pub size: u16,
    /// All headers, link to transport, in bytes.
    pub header_len: u16,
}

/// The protocol of a super-packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GsoKind {
    /// TCP over IPv4.
    TcpV4,
    /// TCP over IPv6.
    TcpV6,
    /// UDP over either; each piece is a datagram of its own.
    Udp,
}

/// One received frame.
#[derive(Debug, Clone, Copy)]
pub struct RxFrame<'a> {
    /// The frame, starting with what [`Medium`] says.
    pub bytes: &'a [u8],
    /// What the device says about it.
    pub meta: RxMeta,
}

/// A batch of received frames. Frames belong to the device and stay put until the batch is given back, so a reader may
/// look at them in any order and more than once (two-pass demux lookups need that).
pub trait FrameBatch {
    /// Frames in the batch.
    fn len(&self) -> usize;

    /// Frame `index`; `index` is below [`len`](FrameBatch::len).
    fn frame(&self, index: usize) -> RxFrame<'_>;

    /// Whether the batch holds nothing.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl FrameBatch for [RxFrame<'_>] {
    fn len(&self) -> usize {
        <[RxFrame<'_>]>::len(self)
    }

    fn frame(&self, index: usize) -> RxFrame<'_> {
        self[index]
    }
}

/// Where frames to be sent are written. Frames belong to the sink: the writer reserves room, writes, and commits, so
/// that payload is copied once, into the memory that the device sends from.
pub trait FrameSink {
    /// Room for a frame of at most `len` bytes, or nothing when the sink is full for now. The bytes hold garbage.
    /// Reserving again without a commit forgets the earlier reservation.
    fn reserve(&mut self, len: usize) -> Option<&mut [u8]>;

    /// Whether [`reserve`](FrameSink::reserve) would grant `len` bytes now. It too forgets an earlier reservation.
    fn has_room(&mut self, len: usize) -> bool {
        self.reserve(len).is_some()
    }

    /// How many frames of `len` bytes would be granted now, one after the other, each committed; fewer if the sink cannot tell.
    fn room_for(&mut self, len: usize) -> usize {
        usize::from(self.has_room(len))
    }

    /// Sends the first `len` bytes of the latest reservation, `len` at most what was reserved.
    fn commit(&mut self, len: usize, meta: TxMeta);
}

impl<S: FrameSink + ?Sized> FrameSink for &mut S {
    fn reserve(&mut self, len: usize) -> Option<&mut [u8]> {
        (**self).reserve(len)
    }

    fn has_room(&mut self, len: usize) -> bool {
        (**self).has_room(len)
    }

    fn room_for(&mut self, len: usize) -> usize {
        (**self).room_for(len)
    }

    fn commit(&mut self, len: usize, meta: TxMeta) {
        (**self).commit(len, meta);
    }
}

/// Monotonic time since a moment that the driver chose, in nanoseconds: what devices that delay, and captures, are handed.
/// A plain integer, since `wire` knows no clock; `tcp::Instant` converts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Nanos(pub u64);

impl Nanos {
    /// This moment and `d`; saturates after 584 years.
    pub fn after(self, d: Duration) -> Nanos {
        Nanos(self.0.saturating_add(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// Time since `earlier`, or zero.
    pub fn since(self, earlier: Nanos) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}
